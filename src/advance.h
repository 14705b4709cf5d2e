/*
 * advance.h
 *		Shell "advance".
 */
#ifndef LQ_ADVANCE_H
#define LQ_ADVANCE_H

#include "model.h"

extern int64 lq_advance_step(const char *pipeline, TimestampTz at, int limit, bool *more);

#endif
