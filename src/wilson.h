/*
 * wilson.h
 *		Intervals of rates.
 */
#ifndef LQ_WILSON_H
#define LQ_WILSON_H

/* 0 <= successes <= trials, trials > 0 */
extern void lq_wilson(int64 successes, int64 trials, double confidence,
					  double *low, double *high);

#endif
