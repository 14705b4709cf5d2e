/*
 * conversion_stats.h
 *		What can be reckoned from the summary of a cohort.
 *
 * Arithmetic on the stored form: no function calls, no settings, no clock.
 * Times are in microseconds; where an axis is in larger steps, a time that is
 * given is rounded down to a step like those that were counted.
 */
#ifndef LQ_CONVERSION_STATS_H
#define LQ_CONVERSION_STATS_H

#include "conversion.h"

/* a value whose interval is on the scale of one of these functions */
typedef enum LqConfType
{
	LQ_CONF_PLAIN,
	LQ_CONF_LOG,
	LQ_CONF_LOG_LOG,
	LQ_CONF_LOGIT,
	LQ_CONF_ARCSIN
} LqConfType;

#define LQ_CONF_TYPES 5

/*
 * An estimate step by step: how many converted by a time.  Either being lost
 * competes with converting (Aalen and Johansen), or leads that are lost are
 * treated as if they might still convert (Kaplan and Meier).
 */
typedef struct LqCurve
{
	LqTimes		durations;
	int			next;			/* bin */
	bool		competing;
	bool		others;			/* has a competing outcome occurred? */
	int64		remaining;		/* leads of the bins from next on */

	/* at the time of the current step */
	int64		time;
	int64		at_risk;
	int64		count[LQ_OUTCOMES];
	double		survival;		/* neither converted nor, if competing, lost */
	double		incidence;		/* converted */
	double		survival_variance;
	double		incidence_variance;
	double		covariance;
} LqCurve;

typedef struct LqRate
{
	int64		converted;
	int64		eligible;		/* NULL rate if 0 */
} LqRate;

/* difference of two rates, a less b */
typedef struct LqDifference
{
	double		difference;
	double		low;
	double		high;
	bool		tested;			/* is there a p-value? */
	double		p_value;
} LqDifference;

extern int64 lq_conversion_count(const LqConversion *value, LqOutcome outcome);
extern LqRate lq_rate(const LqConversion *value);
extern LqRate lq_rate_within(const LqConversion *value, int64 within);

extern void lq_curve_begin(LqCurve *curve, const LqConversion *value, bool competing);
extern bool lq_curve_next(LqCurve *curve);
/* go to a time; false if it is past the largest observed one */
extern bool lq_curve_seek(LqCurve *curve, int64 time);
/* go to the first step whose incidence is at least this; false if none is */
extern bool lq_curve_reach(LqCurve *curve, double incidence);
/* false: there is no interval */
extern bool lq_curve_interval(const LqCurve *curve, double confidence, LqConfType type,
							  double *low, double *high);

/* smallest duration that a fraction of the converted did not exceed */
extern bool lq_converted_quantile(const LqConversion *value, double fraction, int64 *time);

/* both rates have eligible leads */
extern LqDifference lq_difference(const LqRate *a, const LqRate *b, double confidence);
/* false: there is nothing to compare */
extern bool lq_logrank(const LqConversion *a, const LqConversion *b,
					   double *chi2, double *p_value);

#endif
