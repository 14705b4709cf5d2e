/*
 * conversion.h
 *		The summary of a cohort: how long its leads took to convert, were lost or
 *		have been open.
 */
#ifndef LQ_CONVERSION_H
#define LQ_CONVERSION_H

#include "utils/expandeddatum.h"

/* at one time in the order in which they are counted */
typedef enum LqOutcome
{
	LQ_CONVERTED,
	LQ_LOST,
	LQ_OPEN
} LqOutcome;

#define LQ_OUTCOMES 3

/*
 * How long it took to the outcome (of an open lead: how old it is), and how
 * old a lead is that has had its outcome, which says whether it was entered
 * long enough ago to count for a rate.
 */
typedef enum LqAxis
{
	LQ_DURATION,
	LQ_AGE
} LqAxis;

#define LQ_AXES 2

/* more different times than this are rounded down to a step */
#define LQ_MAX_TIMES 65536

/* microseconds, some 146,000 years; what is longer counts as this */
#define LQ_TIME_BITS 62
#define LQ_MAX_TIME ((UINT64CONST(1) << LQ_TIME_BITS) - 1)

/* so many leads (never 0) with one outcome at one time, which is in steps */
typedef struct LqBin
{
	uint64		key;			/* the time, and the outcome in two bits */
	int64		count;
} LqBin;

#define LQ_BIN_KEY(time, outcome) ((time) << 2 | (uint64) (outcome))
#define LQ_BIN_TIME(bin) ((bin)->key >> 2)
#define LQ_BIN_OUTCOME(bin) ((LqOutcome) ((bin)->key & 3))

/*
 * The value as it is stored.  A step of an axis is 2^shift microseconds, the
 * smallest that leaves at most LQ_MAX_TIMES different times.  Equal cohorts
 * have equal bytes.
 */
typedef struct LqConversion
{
	int32		vl_len_;
	uint8		format;
	uint8		shift[LQ_AXES];
	uint8		unused;			/* 0 */
	int32		nbins[LQ_AXES];
	LqBin		bins[FLEXIBLE_ARRAY_MEMBER];	/* of durations, then of ages,
												 * each in the order of keys */
} LqConversion;

/* one axis of a value */
typedef struct LqTimes
{
	int			shift;
	int			nbins;
	const LqBin *bins;
} LqTimes;

static inline LqTimes
lq_conversion_times(const LqConversion *value, LqAxis axis)
{
	LqTimes		times;

	times.shift = value->shift[axis];
	times.nbins = value->nbins[axis];
	times.bins = value->bins + (axis == LQ_AGE ? value->nbins[LQ_DURATION] : 0);
	return times;
}

/* leads counted on one axis */
typedef struct LqCounter
{
	int			shift;
	uint32		nbins;
	LqBin	   *bins;			/* in the order of keys */
	uint32		npending;
	uint32		max_pending;
	LqBin	   *pending;		/* not in bins yet, in any order */
	int64		total;			/* leads in both */
} LqCounter;

/* the value in memory, where leads are added to it */
typedef struct LqConversionState
{
	ExpandedObjectHeader hdr;
	LqCounter	counter[LQ_AXES];
	LqConversion *flat;			/* as it would be stored, or NULL */
} LqConversionState;

/* conversion_state.c */

/* in a new child of CurrentMemoryContext */
extern LqConversionState *lq_conversion_new(void);
/* in a child of an aggregate's context, with the states of all of its groups */
extern LqConversionState *lq_conversion_new_shared(MemoryContext aggregate);
/* one lead; age is not less than duration */
extern void lq_conversion_add(LqConversionState *state, LqOutcome outcome,
							  uint64 duration, uint64 age);
/* count leads on one axis, whose time is in steps of 2^shift microseconds */
extern void lq_conversion_add_bin(LqConversionState *state, LqAxis axis,
								  int shift, uint64 key, int64 count);
extern void lq_conversion_merge(LqConversionState *state, const LqConversion *value);
/* the stored form in CurrentMemoryContext; frees the state, which is not shared */
extern LqConversion *lq_conversion_finish(LqConversionState *state);
/* valid as long as the datum, or the state behind it is left alone */
extern const LqConversion *lq_conversion_get(Datum value);

#endif
