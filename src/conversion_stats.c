/*
 * conversion_stats.c
 *		Estimators on the summary of a cohort.
 *
 * Sources:
 * - Kaplan and Meier, "Nonparametric Estimation from Incomplete
 *	 Observations", JASA 53 (1958), 457-481, with Greenwood's variance.
 * - Aalen and Johansen, "An Empirical Transition Matrix for Non-homogeneous
 *	 Markov Chains Based on Censored Observations", Scand. J. Statist. 5
 *	 (1978), 141-150; variance: Andersen, Borgan, Gill and Keiding,
 *	 "Statistical Models Based on Counting Processes" (1993), section IV.4.1.3,
 *	 the covariance of Greenwood type.
 * - Scales of intervals: Kalbfleisch and Prentice, "The Statistical Analysis
 *	 of Failure Time Data" (2002), section 1.4; Klein and Moeschberger,
 *	 "Survival Analysis" (2003), section 4.3; those of R's survfit.
 * - Newcombe, "Interval Estimation for the Difference between Independent
 *	 Proportions", Statistics in Medicine 17 (1998), 873-890, method 10.
 * - Mantel, "Evaluation of Survival Data and Two New Rank Order Statistics
 *	 Arising in Its Consideration", Cancer Chemotherapy Reports 50 (1966),
 *	 163-170: the log-rank test, its variance hypergeometric.
 */
#include "postgres.h"

#include <math.h>

#include "conversion_stats.h"
#include "normal.h"
#include "wilson.h"

/* a quantile is reached if only rounding keeps the estimate below it */
#define TOLERANCE 1e-12

/* ----------------------------------------------------------------
 * Counts and rates
 * ----------------------------------------------------------------
 */

int64
lq_conversion_count(const LqConversion *value, LqOutcome outcome)
{
	LqTimes		durations = lq_conversion_times(value, LQ_DURATION);
	int64		count = 0;

	for (int i = 0; i < durations.nbins; i++)
	{
		if (LQ_BIN_OUTCOME(&durations.bins[i]) == outcome)
			count += durations.bins[i].count;
	}
	return count;
}

LqRate
lq_rate(const LqConversion *value)
{
	LqRate		rate;

	rate.converted = lq_conversion_count(value, LQ_CONVERTED);
	rate.eligible = rate.converted + lq_conversion_count(value, LQ_LOST) +
		lq_conversion_count(value, LQ_OPEN);
	return rate;
}

/* leads with an outcome before a time, which is in steps of 2^shift */
static int64
count_before(const LqTimes *times, LqOutcome outcome, int shift, uint64 time)
{
	int64		count = 0;

	for (int i = 0; i < times->nbins; i++)
	{
		const LqBin *bin = &times->bins[i];

		if (LQ_BIN_TIME(bin) >> (shift - times->shift) >= time)
			break;
		if (LQ_BIN_OUTCOME(bin) == outcome)
			count += bin->count;
	}
	return count;
}

/*
 * Of the leads that were entered at least so long ago, how many converted
 * within that time?  Nobody converts at a greater age than he has, so those
 * who are too young all converted within it:
 *
 *		#(duration <= within <= age) = #(duration <= within) - #(age < within)
 *
 * and durations and ages need not be kept together.  Both are counted in the
 * greater of their two steps, so that this is still true when rounded.
 */
LqRate
lq_rate_within(const LqConversion *value, int64 within)
{
	LqTimes		durations = lq_conversion_times(value, LQ_DURATION);
	LqTimes		ages = lq_conversion_times(value, LQ_AGE);
	int			shift = Max(durations.shift, ages.shift);
	uint64		time = (uint64) within >> shift;
	int64		young = count_before(&ages, LQ_CONVERTED, shift, time);
	LqRate		rate = lq_rate(value);

	rate.converted = count_before(&durations, LQ_CONVERTED, shift, time + 1) - young;
	rate.eligible -= young + count_before(&ages, LQ_LOST, shift, time) +
		count_before(&durations, LQ_OPEN, shift, time);
	return rate;
}

bool
lq_converted_quantile(const LqConversion *value, double fraction, int64 *time)
{
	LqTimes		durations = lq_conversion_times(value, LQ_DURATION);
	int64		converted = lq_conversion_count(value, LQ_CONVERTED);
	double		wanted = ceil(fraction * converted);
	int64		count = 0;

	for (int i = 0; i < durations.nbins; i++)
	{
		const LqBin *bin = &durations.bins[i];

		if (LQ_BIN_OUTCOME(bin) != LQ_CONVERTED)
			continue;
		count += bin->count;
		if (count >= wanted || count == converted)
		{
			*time = (int64) (LQ_BIN_TIME(bin) << durations.shift);
			return true;
		}
	}
	return false;
}

/* ----------------------------------------------------------------
 * Curves
 * ----------------------------------------------------------------
 */

void
lq_curve_begin(LqCurve *curve, const LqConversion *value, bool competing)
{
	memset(curve, 0, sizeof(*curve));
	curve->durations = lq_conversion_times(value, LQ_DURATION);
	curve->competing = competing;
	curve->remaining = lq_rate(value).eligible;
	curve->survival = 1;
}

/* reads all bins of the next time */
static bool
read_step(LqCurve *curve)
{
	const LqTimes *durations = &curve->durations;
	uint64		time;

	if (curve->next == durations->nbins)
		return false;
	time = LQ_BIN_TIME(&durations->bins[curve->next]);
	curve->time = (int64) (time << durations->shift);
	curve->at_risk = curve->remaining;
	memset(curve->count, 0, sizeof(curve->count));
	for (; curve->next < durations->nbins; curve->next++)
	{
		const LqBin *bin = &durations->bins[curve->next];

		if (LQ_BIN_TIME(bin) != time)
			break;
		curve->count[LQ_BIN_OUTCOME(bin)] = bin->count;
		curve->remaining -= bin->count;
	}
	return true;
}

/*
 * Whose end is not known at a time is at risk at that time.
 *
 * A step multiplies survival by 1 - p and adds survival * c to the incidence,
 * where p and c are the fractions of those at risk that leave and convert.
 * They are multinomial given what was before, and uncorrelated with it, which
 * carries the covariance matrix of survival and incidence from step to step
 * (the delta method).  Without competing outcomes this is Greenwood's formula.
 */
bool
lq_curve_next(LqCurve *curve)
{
	int64		leave;
	double		n;
	double		c;
	double		p;
	double		stay;
	double		s = curve->survival;

	if (!read_step(curve))
		return false;
	leave = curve->count[LQ_CONVERTED] +
		(curve->competing ? curve->count[LQ_LOST] : 0);
	n = curve->at_risk;
	c = curve->count[LQ_CONVERTED] / n;
	p = leave / n;
	stay = (curve->at_risk - leave) / n;

	curve->incidence_variance += c * c * curve->survival_variance +
		2 * c * curve->covariance + s * s * c * (1 - c) / n;
	curve->covariance = stay * (curve->covariance + c * curve->survival_variance) -
		s * s * c * stay / n;
	curve->survival_variance = stay * stay * curve->survival_variance +
		s * s * p * stay / n;
	curve->survival = s * stay;
	/* as long as nothing else ended one, all who left converted: exactly */
	curve->others |= leave > curve->count[LQ_CONVERTED];
	curve->incidence = curve->others ? Min(curve->incidence + s * c, 1) :
		1 - curve->survival;
	return true;
}

bool
lq_curve_seek(LqCurve *curve, int64 time)
{
	const LqTimes *durations = &curve->durations;
	uint64		step = (uint64) time >> durations->shift;

	if (durations->nbins == 0 ||
		step > LQ_BIN_TIME(&durations->bins[durations->nbins - 1]))
		return false;
	while (curve->next < durations->nbins &&
		   LQ_BIN_TIME(&durations->bins[curve->next]) <= step)
		lq_curve_next(curve);
	return true;
}

bool
lq_curve_reach(LqCurve *curve, double incidence)
{
	do
	{
		if (curve->incidence >= incidence * (1 - TOLERANCE))
			return true;
	} while (lq_curve_next(curve));
	return false;
}

/*
 * p is an estimated probability, between 0 and 1, of this variance.
 */
static void
interval(double p, double variance, double z, LqConfType type,
		 double *low, double *high)
{
	double		spread = z * sqrt(Max(variance, 0));
	double		center;

	switch (type)
	{
		case LQ_CONF_PLAIN:
			*low = p - spread;
			*high = p + spread;
			break;
		case LQ_CONF_LOG:
			spread /= p;
			*low = p * exp(-spread);
			*high = p * exp(spread);
			break;
		case LQ_CONF_LOG_LOG:
			spread /= -p * log(p);
			*low = pow(p, exp(spread));
			*high = pow(p, exp(-spread));
			break;
		case LQ_CONF_LOGIT:
			spread /= p * (1 - p);
			center = log(p / (1 - p));
			*low = 1 / (1 + exp(spread - center));
			*high = 1 / (1 + exp(-spread - center));
			break;
		case LQ_CONF_ARCSIN:
			spread /= 2 * sqrt(p * (1 - p));
			center = asin(sqrt(p));
			*low = pow(sin(Max(center - spread, 0)), 2);
			*high = pow(sin(Min(center + spread, M_PI / 2)), 2);
			break;
	}
	*low = Max(*low, 0);
	*high = Min(*high, 1);
}

/*
 * The scale is that of what the method estimates: of the incidence with
 * competing outcomes, else of survival, as in R.  An estimate of 0 or 1 has
 * none: its variance is 0, which says nothing about how sure it is.
 */
bool
lq_curve_interval(const LqCurve *curve, double confidence, LqConfType type,
				  double *low, double *high)
{
	double		z = lq_confidence_z(confidence);
	double		survival_low;
	double		survival_high;

	if (curve->incidence <= 0 || curve->incidence >= 1)
		return false;
	if (curve->competing)
	{
		interval(curve->incidence, curve->incidence_variance, z, type, low, high);
		return true;
	}
	interval(curve->survival, curve->survival_variance, z, type,
			 &survival_low, &survival_high);
	*low = 1 - survival_high;
	*high = 1 - survival_low;
	return true;
}

/* ----------------------------------------------------------------
 * Comparing two cohorts
 * ----------------------------------------------------------------
 */

LqDifference
lq_difference(const LqRate *a, const LqRate *b, double confidence)
{
	double		rate_a = (double) a->converted / a->eligible;
	double		rate_b = (double) b->converted / b->eligible;
	double		pooled = ((double) a->converted + b->converted) /
		((double) a->eligible + b->eligible);
	double		variance = pooled * (1 - pooled) *
		(1.0 / a->eligible + 1.0 / b->eligible);
	double		low_a,
				high_a,
				low_b,
				high_b;
	LqDifference result;

	lq_wilson(a->converted, a->eligible, confidence, &low_a, &high_a);
	lq_wilson(b->converted, b->eligible, confidence, &low_b, &high_b);
	result.difference = rate_a - rate_b;
	result.low = result.difference - hypot(rate_a - low_a, high_b - rate_b);
	result.high = result.difference + hypot(high_a - rate_a, rate_b - low_b);
	/* all or none of both converted: nothing tells them apart */
	result.tested = variance > 0;
	result.p_value = result.tested ?
		2 * lq_upper_tail(fabs(result.difference) / sqrt(variance)) : 0;
	return result;
}

/* leads that converted and that left at a time in steps of 2^shift */
static void
read_both(LqCurve *curve, int shift, uint64 time, int64 *converted, int64 *left)
{
	const LqTimes *durations = &curve->durations;

	*converted = 0;
	*left = 0;
	for (; curve->next < durations->nbins; curve->next++)
	{
		const LqBin *bin = &durations->bins[curve->next];

		if (LQ_BIN_TIME(bin) >> (shift - durations->shift) != time)
			break;
		if (LQ_BIN_OUTCOME(bin) == LQ_CONVERTED)
			*converted += bin->count;
		*left += bin->count;
	}
}

/*
 * Did one cohort convert faster than the other?  At each time those who
 * convert are spread over both cohorts as if there were no difference; the sum
 * of what is observed beyond that is judged by its variance.  Leads that are
 * lost are censored.
 */
bool
lq_logrank(const LqConversion *a, const LqConversion *b, double *chi2, double *p_value)
{
	LqCurve		curve[2];
	int			shift;
	double		excess = 0;		/* in a, observed less expected */
	double		variance = 0;

	lq_curve_begin(&curve[0], a, false);
	lq_curve_begin(&curve[1], b, false);
	shift = Max(curve[0].durations.shift, curve[1].durations.shift);
	/* once nobody is left in one of them, there is nothing to compare */
	while (curve[0].remaining > 0 && curve[1].remaining > 0)
	{
		double		n[2] = {curve[0].remaining, curve[1].remaining};
		double		all = n[0] + n[1];
		double		events;
		int64		converted[2];
		uint64		time = PG_UINT64_MAX;

		for (int i = 0; i < 2; i++)
		{
			const LqTimes *durations = &curve[i].durations;

			time = Min(time, LQ_BIN_TIME(&durations->bins[curve[i].next]) >>
					   (shift - durations->shift));
		}
		for (int i = 0; i < 2; i++)
		{
			int64		left;

			read_both(&curve[i], shift, time, &converted[i], &left);
			curve[i].remaining -= left;
		}
		events = (double) converted[0] + converted[1];
		excess += converted[0] - events * n[0] / all;
		/* at least two are at risk here */
		variance += events * (n[0] / all) * (n[1] / all) * (all - events) / (all - 1);
	}
	if (variance <= 0)
		return false;
	*chi2 = excess * excess / variance;
	/* chi-squared with one degree of freedom: the square of a normal value */
	*p_value = 2 * lq_upper_tail(sqrt(*chi2));
	return true;
}
