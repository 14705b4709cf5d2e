/*
 * score.h
 *		A lead's score in memory: what the engine adds to and the type
 *		lead_score stores.
 *
 * The score is a closed form in time.  Activities without decay and with
 * exponential decay are sums as of "as_of", the time of the newest event;
 * linear and window decay keep one entry for each activity that is still
 * worth something.  Rules with caps, counts or max_points keep the memory
 * they need to go on from here without their activities.
 *
 * All arrays live in one memory context, given to lq_score_create().
 */
#ifndef LQ_SCORE_H
#define LQ_SCORE_H

#include "datatype/timestamp.h"
#include "lib/stringinfo.h"
#include "nodes/pg_list.h"

#define LQ_MAX_ENTRIES 1000		/* entries or times one rule keeps */

typedef enum LqDecay
{
	LQ_DECAY_NONE = 0,
	LQ_DECAY_EXPONENTIAL,
	LQ_DECAY_LINEAR,
	LQ_DECAY_WINDOW
} LqDecay;

/*
 * Kinds of event, in the order in which events of one instant are taken.
 * LQ_EVENT_CREATED and LQ_EVENT_ATTRIBUTE sort before activities.
 */
typedef enum LqEventKind
{
	LQ_EVENT_CREATED = 0,
	LQ_EVENT_ATTRIBUTE,
	LQ_EVENT_ACTIVITY,
	LQ_EVENT_ANSWER,
	LQ_EVENT_MANUAL,
	LQ_EVENT_CLOCK
} LqEventKind;

/*
 * A position in a lead's sequence of events.  "key" compares as bytes:
 * integer keys are encoded so that this is their numeric order.
 */
typedef struct LqPosition
{
	TimestampTz at;
	LqEventKind kind;
	int32		source;
	int32		keylen;
	const char *key;
} LqPosition;

typedef struct LqDimension
{
	char	   *name;
	double		minimum;		/* -inf when unbounded */
	double		maximum;		/* +inf when unbounded */
	double		weight;			/* in the total */
	double		base;			/* points of lead rules, undecayed */
	double		peak;			/* greatest value since steady_since */
} LqDimension;

/* what a rule with caps, counts, max_points or watchers remembers */
typedef struct LqMemory
{
	char	   *rule;
	double		max_points;		/* +inf when unlimited */
	int64		matches;		/* in this cycle */
	int64		fresh_matches;	/* since the lead's mark */
	TimestampTz last_at;		/* newest match, DT_NOBEGIN if none */
} LqMemory;

/*
 * One sum.  "memory" is -1, or the rule whose own sum it is (max_points; and
 * every linear or window rule).  "fresh" counts only what is newer than the
 * score's mark; equal to "sum" while there is no mark.
 */
typedef struct LqTerm
{
	int			dimension;
	int			memory;
	LqDecay		decay;
	int64		period;			/* microseconds, 0 for LQ_DECAY_NONE */
	double		sum;			/* as of as_of; unused for entries */
	double		fresh;
} LqTerm;

typedef struct LqEntry			/* linear, window: ordered by (term, at) */
{
	int			term;
	TimestampTz at;
	double		points;
} LqEntry;

typedef struct LqCount			/* at_most */
{
	int			memory;
	int64		bucket;			/* calendar bucket, 0 for ever */
	uint64		value;			/* hash of per_value, 0 if there is none */
	int32		count;
	TimestampTz full_at;		/* of the match that reached the cap as it was then; DT_NOBEGIN: none has */
} LqCount;

typedef struct LqTime			/* at_least (pending) and times() (watched) */
{
	int			memory;
	bool		pending;
	TimestampTz at;
} LqTime;

typedef struct LqScore
{
	MemoryContext cxt;
	TimestampTz as_of;			/* newest event; DT_NOBEGIN: none yet */
	LqPosition	last;			/* of the newest event */
	TimestampTz mark;			/* of points; DT_NOBEGIN: no mark */
	TimestampTz steady_since;	/* see lq_engine_merge() */
	bool		unscored;		/* an exclusion holds whose scored is false */
	double		total_minimum;
	double		total_maximum;
	double		total_peak;

	int			ndimensions;
	LqDimension *dimensions;
	int			nmemories;
	LqMemory   *memories;
	int			nterms;
	LqTerm	   *terms;
	int			nentries;
	LqEntry    *entries;
	int			ncounts;
	LqCount    *counts;
	int			ntimes;
	LqTime	   *times;
} LqScore;

/* score.c */
extern LqScore *lq_score_create(MemoryContext cxt);
extern int	lq_score_dimension(const LqScore *score, const char *name);
extern int	lq_score_memory(LqScore *score, const char *rule, bool create);
extern int	lq_score_memory_named(const LqScore *score, const char *rule, int len);
extern LqTerm *lq_score_term(LqScore *score, int dimension, int memory,
							 LqDecay decay, int64 period);
extern void lq_score_add(LqScore *score, int dimension, int memory,
						 LqDecay decay, int64 period,
						 TimestampTz at, double points);
extern void lq_score_advance(LqScore *score, TimestampTz at);
extern void lq_score_time_add(LqScore *score, int memory, bool pending,
							  TimestampTz at);
extern void lq_score_times_drop(LqScore *score, int memory, bool pending,
								TimestampTz before);
extern LqCount *lq_score_count(LqScore *score, int memory, int64 bucket,
							   uint64 value);
extern void lq_score_renumber(LqScore *score, const int *renumber,
							  LqDimension *dimensions, int ndimensions);
extern void lq_score_set_mark(LqScore *score, TimestampTz mark);
extern void lq_score_mark_matches(LqScore *score, bool all);
extern void lq_score_renew(LqScore *score);
extern double lq_score_points(const LqScore *score, int dimension,
							  TimestampTz at, bool fresh);
extern double lq_score_total(const LqScore *score, TimestampTz at, bool fresh);
extern double lq_score_total_and_each(const LqScore *score, TimestampTz at, bool fresh, double *each);
extern double lq_worth(double points, LqDecay decay, int64 period,
					   TimestampTz happened, TimestampTz at);
extern double lq_least_reaching(double threshold);
extern bool lq_reaches(double score, double threshold);
extern double lq_clamp(double value, double minimum, double maximum);
extern const char *lq_decay_name(LqDecay decay);
extern bool lq_decay_parse(const char *name, LqDecay *decay);
extern int	lq_position_cmp(const LqPosition *a, const LqPosition *b);

/* score_pack.c: the stored bytes, portable and versioned; unpack distrusts everything */
extern bytea *lq_score_pack(const LqScore *score);
extern LqScore *lq_score_unpack(const char *bytes, int len, MemoryContext cxt,
								const char **problem);
extern const char *lq_score_problem(const LqScore *score);	/* NULL if valid */

#endif
