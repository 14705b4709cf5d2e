/*
 * falling.h
 *		When a value that only falls is first below a threshold.
 */
#ifndef LQ_FALLING_H
#define LQ_FALLING_H

#include "score.h"
#include "utils/timestamp.h"

#define LQ_TICK 1000				/* microseconds of the grid */
#define LQ_LAST_TICK ((int64) (END_TIMESTAMP - 1) / LQ_TICK)

/* the value of a dimension, -1: the total, against a threshold */
typedef struct LqQuestion
{
	const LqScore *score;
	int			dimension;
	double		threshold;
} LqQuestion;

/*
 * A tick at which the value reaches the threshold and a later one at which it
 * does not, between which it only falls.
 */
typedef struct LqBracket
{
	int64		reaches;
	int64		below;
	double		value_reaches;
	double		value_below;
} LqBracket;

/* the first tick after a time */
static inline int64
lq_first_tick(TimestampTz at)
{
	/* division rounds towards 0 */
	return at / LQ_TICK + (at < 0 && at % LQ_TICK != 0 ? 0 : 1);
}

/* can time only take from the score? */
extern bool lq_score_only_falls(const LqScore *score);

extern double lq_asked_value(const LqQuestion *asked, int64 tick);
extern int64 lq_narrow(const LqQuestion *asked, LqBracket bracket);
extern int64 lq_falls_below(const LqQuestion *asked, int64 first, int64 last);

#endif
