/*
 * run.h
 *		Running the engine over cases: what all shells share.
 */
#ifndef LQ_RUN_H
#define LQ_RUN_H

#include "events.h"

extern void lq_cases_run(LqCases *cases, TimestampTz horizon, TimestampTz clock);
extern void lq_cases_replay(LqCases *cases, TimestampTz horizon);
extern void lq_case_replay(LqCases *cases, LqCase *c, LqEngine *engine,
						   TimestampTz horizon, TimestampTz clock);
extern void lq_run_engine_init(LqCases *cases, LqEngine *engine);
extern char *lq_engine_text(LqEngine *engine, const LqCondition *condition);
extern void lq_run_engine_done(LqCases *cases, LqEngine *engine);

#endif
