/*
 * advance.h
 *		Shell "advance".
 */
#ifndef LQ_ADVANCE_H
#define LQ_ADVANCE_H

#include "model.h"

/* up to so many due leads, after the earliest "skip" ones; returns how many were due of those found */
extern int64 lq_advance_step(const char *pipeline, TimestampTz at, int skip, int limit, int *found);

#endif
