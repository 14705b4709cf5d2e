/*
 * conversion_forecast.c
 *		What the leads of a cohort will do, judged by what others did.
 *
 * The expected rate of a cohort at some age is its own incidence as far as it
 * was followed, continued with the hazards of a pool of older leads:
 *
 *		I(within) = I_own(f) + S_own(f) * (I_pool(within) - I_pool(f)) / S_pool(f)
 *
 * where f is how long the cohort was followed, I the incidence of converting
 * and S the share that is still open (Aalen and Johansen).
 *
 * Its interval is one of prediction: what has happened is known, so only the m
 * leads that are still open can make a difference.  If they convert with
 * probability p each, the rate varies by m p (1 - p) / n^2, which for unequal
 * probabilities of this mean is the most it can vary; and p is as uncertain as
 * a count of the conversions that it was estimated from, e: by its square
 * divided by e (Poisson).  Both are added and taken as normal, and the interval is held to
 * the rates that are still possible, from nobody's to everybody's conversion.
 */
#include "postgres.h"

#include <math.h>

#include "conversion_forecast.h"
#include "normal.h"

bool
lq_followed(const LqConversion *value, int64 *time)
{
	LqTimes		durations = lq_conversion_times(value, LQ_DURATION);

	if (durations.nbins == 0)
		return false;
	*time = (int64) (LQ_BIN_TIME(&durations.bins[durations.nbins - 1]) << durations.shift);
	return true;
}

/* conversions up to a time */
static int64
converted_by(const LqConversion *value, int64 time)
{
	LqTimes		durations = lq_conversion_times(value, LQ_DURATION);
	int64		count = 0;

	for (int i = 0; i < durations.nbins; i++)
		if (LQ_BIN_OUTCOME(&durations.bins[i]) == LQ_CONVERTED &&
			LQ_BIN_TIME(&durations.bins[i]) <= (uint64) time >> durations.shift)
			count += durations.bins[i].count;
	return count;
}

/* leads that are open and younger than this */
static int64
open_and_younger(const LqConversion *value, int64 age)
{
	LqTimes		durations = lq_conversion_times(value, LQ_DURATION);
	int64		count = 0;

	for (int i = 0; i < durations.nbins; i++)
		if (LQ_BIN_OUTCOME(&durations.bins[i]) == LQ_OPEN &&
			LQ_BIN_TIME(&durations.bins[i]) < (uint64) age >> durations.shift)
			count += durations.bins[i].count;
	return count;
}

bool
lq_chance(const LqConversion *value, int64 after, int64 until, double *chance, int64 *events)
{
	LqCurve		curve;
	double		incidence;
	double		survival;

	lq_curve_begin(&curve, value, true);
	if (!lq_curve_seek(&curve, after))
		return false;
	incidence = curve.incidence;
	survival = curve.survival;
	if (survival <= 0 || !lq_curve_seek(&curve, Max(after, until)))
		return false;
	*chance = Min(1, (curve.incidence - incidence) / survival);
	*events = converted_by(value, Max(after, until)) - converted_by(value, after);
	return true;
}

/* what can still happen to the cohort, and what is sure */
static void
predict(const LqConversion *cohort, int64 within, int64 events, double confidence,
		LqExpected *result)
{
	double		n = lq_rate(cohort).eligible;
	double		sure = converted_by(cohort, within) / n;
	double		open = open_and_younger(cohort, within);
	double		more;
	double		spread;

	result->rate = Min(Max(result->rate, sure), sure + open / n);
	more = result->rate - sure;
	spread = open == 0 ? 0 :
		sqrt(more * (1 - more * n / open) / n + more * more / Max(events, 1));
	spread *= lq_confidence_z(confidence);
	result->low = Max(result->rate - spread, sure);
	result->high = Min(result->rate + spread, sure + open / n);
}

bool
lq_expected_rate(const LqConversion *cohort, const LqConversion *pool, int64 within,
				 double confidence, LqExpected *result)
{
	int64		followed;
	int64		events = converted_by(cohort, within);
	LqCurve		own;

	if (!lq_followed(cohort, &followed))
		return false;
	lq_curve_begin(&own, cohort, true);
	(void) lq_curve_seek(&own, Min(within, followed));
	result->rate = own.incidence;
	result->projected = false;
	if (followed < within && open_and_younger(cohort, within) > 0)
	{
		double		chance;
		int64		others;

		if (pool == NULL || !lq_chance(pool, followed, within, &chance, &others))
			return false;
		/* at the end of what was followed the open ones leave the curve, but not the cohort */
		result->rate += own.survival * chance;
		result->projected = true;
		events += others;
	}
	predict(cohort, within, events, confidence, result);
	return true;
}
