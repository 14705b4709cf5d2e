/*
 * normal.c
 *		The standard normal distribution.
 */
#include "postgres.h"

#include <math.h>

#include "normal.h"

/*
 * Probability that a standard normal value is above z.
 */
double
lq_upper_tail(double z)
{
	return 0.5 * erfc(z / sqrt(2.0));
}

/*
 * z such that a standard normal value is above it with this probability: a
 * rational approximation (Abramowitz and Stegun, Handbook of Mathematical
 * Functions, 26.2.23, error below 5e-4), made exact by Halley's method, which
 * triples the number of correct digits each time.
 */
double
lq_normal_quantile(double upper_tail)
{
	double		p = upper_tail > 0.5 ? 1 - upper_tail : upper_tail;
	double		t = sqrt(-2 * log(p));
	double		z = t - (2.515517 + t * (0.802853 + t * 0.010328)) /
		(1 + t * (1.432788 + t * (0.189269 + t * 0.001308)));

	for (int i = 0; i < 3; i++)
	{
		double		density = exp(-z * z / 2) / sqrt(2 * M_PI);
		double		step = (lq_upper_tail(z) - p) / density;

		z += step / (1 - step * z / 2);
	}
	return upper_tail > 0.5 ? -z : z;
}

/*
 * How many standard errors an interval of this confidence reaches to either
 * side; an error for what is no confidence.
 */
double
lq_confidence_z(double confidence)
{
	if (!(confidence > 0 && confidence < 1))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("confidence must be between 0 and 1, not %g", confidence),
				 errhint("Usual values are 0.8, 0.9, 0.95 and 0.99.")));
	return lq_normal_quantile((1 - confidence) / 2);
}
