/*
 * conversion_forecast.h
 *		What the leads of a cohort will do, judged by what others did.
 */
#ifndef LQ_CONVERSION_FORECAST_H
#define LQ_CONVERSION_FORECAST_H

#include "conversion_stats.h"

/* the rate that a cohort will have, and an interval for what it will turn out to be */
typedef struct LqExpected
{
	double		rate;
	double		low;
	double		high;
	bool		projected;		/* others' leads were asked for the end */
} LqExpected;

/* longest time that any lead was followed; false: there is no lead */
extern bool lq_followed(const LqConversion *value, int64 *time);

/*
 * Probability that a lead still open after one time has converted by a later
 * one; events: how many did.  False: nobody was followed so long.
 */
extern bool lq_chance(const LqConversion *value, int64 after, int64 until,
					  double *chance, int64 *events);

/* pool may be NULL; false: nobody can say */
extern bool lq_expected_rate(const LqConversion *cohort, const LqConversion *pool,
							 int64 within, double confidence, LqExpected *result);

#endif
