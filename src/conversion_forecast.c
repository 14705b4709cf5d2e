/*
 * conversion_forecast.c
 *		What the leads of a cohort will do, judged by what others did.
 *
 * The expected rate of a cohort within a time is what is sure, the k of its n
 * leads that have converted within it, and what may be added by each lead that
 * is open at an age a below that time: such a lead converts with probability
 *
 *		p = (I(within) - I(a)) / S(a)
 *
 * where I is the incidence of converting and S the share still open, of a
 * pool of leads (Aalen and Johansen).  So every lead counts with its own life
 * as far as that was seen, continued with the hazards of the pool.
 *
 * Its interval is one of prediction: open leads convert or not, by chance,
 * which makes the rate vary by sum p (1 - p) / n^2; and the p are as uncertain
 * as a count of the e conversions in the pool that they were estimated from:
 * their mean by its square divided by e (Poisson).  For both, no p is taken as
 * surer than N leads, followed for that time, can tell: it is between
 * 1 / (N + 1) and N / (N + 1).  They are added and taken as normal, and the
 * interval is held to the rates that are still possible.
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

/* what the open leads of a cohort may add to its conversions */
typedef struct Outlook
{
	int64		open;			/* leads that are younger than the time */
	double		expected;		/* of them convert */
	double		uncertain;		/* the same, but no chance surer than it can be known */
	double		variance;
	int64		events;			/* that this was judged by */
} Outlook;

static bool
look_ahead(const LqConversion *cohort, const LqConversion *pool, int64 within, Outlook *outlook)
{
	LqTimes		durations = lq_conversion_times(cohort, LQ_DURATION);
	double		trials = Max(lq_rate_within(pool, within).eligible, 1);
	LqCurve		end;
	LqCurve		curve;

	memset(outlook, 0, sizeof(Outlook));
	lq_curve_begin(&end, pool, true);
	if (!lq_curve_seek(&end, within))
		return false;
	lq_curve_begin(&curve, pool, true);
	for (int i = 0; i < durations.nbins; i++)
	{
		const LqBin *bin = &durations.bins[i];
		int64		age = (int64) (LQ_BIN_TIME(bin) << durations.shift);
		double		chance;

		if (age >= within)
			break;
		if (LQ_BIN_OUTCOME(bin) != LQ_OPEN)
			continue;
		if (outlook->open == 0)
			outlook->events = converted_by(pool, within) - converted_by(pool, age);
		(void) lq_curve_seek(&curve, age);
		chance = curve.survival <= 0 ? 0 :
			Min(1, Max(0, (end.incidence - curve.incidence) / curve.survival));
		outlook->open += bin->count;
		outlook->expected += bin->count * chance;
		chance = Min(Max(chance, 1 / (trials + 1)), trials / (trials + 1));
		outlook->uncertain += bin->count * chance;
		outlook->variance += bin->count * chance * (1 - chance);
	}
	return true;
}

bool
lq_expected_rate(const LqConversion *cohort, const LqConversion *pool, int64 within,
				 double confidence, LqExpected *result)
{
	double		n = lq_rate(cohort).eligible;
	double		z = lq_confidence_z(confidence);
	int64		followed;
	double		sure;
	double		spread;
	Outlook		outlook;

	if (n == 0)
		return false;
	if (lq_rate_within(cohort, within).eligible == n || open_and_younger(cohort, within) == 0)
		memset(&outlook, 0, sizeof(outlook));
	else if (pool == NULL || !look_ahead(cohort, pool, within, &outlook))
		return false;
	sure = converted_by(cohort, within) / n;
	spread = z * sqrt(outlook.variance +
					  outlook.uncertain * outlook.uncertain / Max(outlook.events, 1)) / n;
	result->rate = sure + outlook.expected / n;
	result->low = Max(result->rate - spread, sure);
	result->high = Min(result->rate + spread, sure + outlook.open / n);
	result->projected = outlook.open > 0 && lq_followed(cohort, &followed) && followed < within;
	return true;
}
