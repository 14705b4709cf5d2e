/*
 * normal.h
 *		The standard normal distribution.
 */
#ifndef LQ_NORMAL_H
#define LQ_NORMAL_H

extern double lq_upper_tail(double z);
extern double lq_normal_quantile(double upper_tail);
extern double lq_confidence_z(double confidence);

#endif
