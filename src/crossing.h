/*
 * crossing.h
 *		When a score next falls below a threshold.
 */
#ifndef LQ_CROSSING_H
#define LQ_CROSSING_H

#include "score.h"

/*
 * First moment after "from", in whole milliseconds, at which the value no
 * longer reaches the threshold, as lq_reaches() has it; DT_NOEND: never.
 * The value is that of a dimension, -1: the total.  "from" is not before
 * score->as_of, and no event comes in between.
 */
extern TimestampTz lq_score_crossing(const LqScore *score, int dimension,
									 double threshold, TimestampTz from);

#endif
