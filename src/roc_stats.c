/*
 * roc_stats.c
 *		Area under the ROC curve and its interval, from counts by score.
 *
 * The area (AUC) is the chance that a lead that converted has a higher score
 * than one that did not, a tie counting half: D. Bamber, "The Area above the
 * Ordinal Dominance Graph and the Area below the Receiver Operating
 * Characteristic Graph", Journal of Mathematical Psychology 12 (1975),
 * 387-415.  Its variance is that of E. R. DeLong, D. M. DeLong and D. L.
 * Clarke-Pearson, "Comparing the Areas under Two or More Correlated Receiver
 * Operating Characteristic Curves", Biometrics 44 (1988), 837-845.
 *
 * Sums are doubles: half pairs are whole numbers, exact up to 2^53 pairs of
 * a lead that converted and one that did not.  Leads of one score share one
 * term, so everything takes one or two passes over the distinct scores.
 */
#include "postgres.h"

#include <math.h>

#include "normal.h"
#include "roc.h"

LqRocTotals
lq_roc_totals(const LqRocPoint *points, int npoints)
{
	LqRocTotals totals = {0, 0};

	for (int i = 0; i < npoints; i++)
	{
		totals.converted += points[i].converted;
		totals.others += points[i].others;
	}
	return totals;
}

/*
 * False if there is none: it takes a lead of either kind.
 */
bool
lq_roc_auc(const LqRocPoint *points, int npoints, double *auc)
{
	LqRocTotals totals = lq_roc_totals(points, npoints);
	int64		others_below = 0;
	double		half_pairs = 0;

	if (totals.converted == 0 || totals.others == 0)
		return false;
	for (int i = 0; i < npoints; i++)
	{
		half_pairs += (double) points[i].converted *
			(2.0 * others_below + points[i].others);
		others_below += points[i].others;
	}
	*auc = half_pairs / 2 / ((double) totals.converted * totals.others);
	return true;
}

/*
 * DeLong's variance.  The placement of a lead is the share of the leads of
 * the other kind that it is ordered rightly with; the mean placement of
 * either kind is the area, and the variances of the two means add up.
 */
static double
area_variance(const LqRocPoint *points, int npoints, LqRocTotals totals,
			  double auc)
{
	double		m = totals.converted;
	double		n = totals.others;
	int64		others_below = 0;
	int64		converted_above = totals.converted;
	double		converted_squares = 0;
	double		other_squares = 0;

	for (int i = 0; i < npoints; i++)
	{
		const LqRocPoint *point = &points[i];
		double		deviation;

		converted_above -= point->converted;
		deviation = (others_below + point->others / 2.0) / n - auc;
		converted_squares += point->converted * deviation * deviation;
		deviation = (converted_above + point->converted / 2.0) / m - auc;
		other_squares += point->others * deviation * deviation;
		others_below += point->others;
	}
	return converted_squares / (m - 1) / m + other_squares / (n - 1) / n;
}

/*
 * Interval for the area, z standard errors wide to either side on the logit
 * scale, which keeps it inside 0 to 1.  False if there is none: a variance
 * takes two leads of either kind.
 *
 * An area of 0 or 1 has no logit, and its DeLong variance of 0 says nothing
 * about how sure it is.  There the interval is the exact binomial one (C. J.
 * Clopper and E. S. Pearson, Biometrika 26 (1934), 404-413) for as many
 * disjoint pairs as there are, all of which came out the same way.
 */
bool
lq_roc_auc_interval(const LqRocPoint *points, int npoints, double z,
					double *low, double *high)
{
	LqRocTotals totals = lq_roc_totals(points, npoints);
	double		auc;

	if (totals.converted < 2 || totals.others < 2 ||
		!lq_roc_auc(points, npoints, &auc))
		return false;
	if (auc <= 0 || auc >= 1)
	{
		double		bound = pow(lq_upper_tail(z),
								1.0 / Min(totals.converted, totals.others));

		*low = auc <= 0 ? 0 : bound;
		*high = auc <= 0 ? 1 - bound : 1;
	}
	else
	{
		double		logit = log(auc / (1 - auc));
		double		spread = z / (auc * (1 - auc)) *
			sqrt(area_variance(points, npoints, totals, auc));

		*low = 1 / (1 + exp(spread - logit));
		*high = 1 / (1 + exp(-spread - logit));
	}
	return true;
}
