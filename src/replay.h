/*
 * replay.h
 *		Shells that replay leads: recompute and verify.  archive() goes along
 *		with the first.
 */
#ifndef LQ_REPLAY_H
#define LQ_REPLAY_H

#include "state.h"

/* all leads; for a TRUNCATE of activities */
extern int64 lq_recompute_all_leads(LqPipeline *pipeline);
/* ... in batches, each of which then goes to a function, under the leads' locks */
extern void lq_recompute_and(LqPipeline *pipeline, const char *verb,
							 void (*then) (LqPipeline *pipeline, const Datum *keys, int nkeys, void *arg),
							 void *arg);
/* leads whose newest event is at or after since; for publish */
extern int64 lq_recompute_since(const char *pipeline, TimestampTz since);
extern Datum *lq_keys_of_texts(LqPipeline *pipeline, ArrayType *texts, int *count);

#endif
