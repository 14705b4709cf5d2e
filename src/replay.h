/*
 * replay.h
 *		Shells that replay leads: recompute and verify.
 */
#ifndef LQ_REPLAY_H
#define LQ_REPLAY_H

#include "state.h"

/* all leads; for a TRUNCATE of activities */
extern int64 lq_recompute_all_leads(LqPipeline *pipeline);
/* leads whose newest event is at or after since; for publish */
extern int64 lq_recompute_since(const char *pipeline, TimestampTz since);
extern Datum *lq_keys_of_texts(LqPipeline *pipeline, ArrayType *texts, int *count);

#endif
