/*
 * wilson.h
 *		Interval of a rate.
 */
#ifndef LQ_WILSON_H
#define LQ_WILSON_H

/* z such that a standard normal value is above it with this probability */
extern double lq_normal_quantile(double upper_tail);
extern void lq_check_confidence(double confidence);
extern void lq_wilson(int64 successes, int64 trials, double confidence,
					  double *low, double *high);

#endif
