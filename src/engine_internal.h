/*
 * engine_internal.h
 *		What the parts of the engine know of each other: engine.c,
 *		stage_moves.c, gate.c, clock.c, late.c.
 */
#ifndef LQ_ENGINE_INTERNAL_H
#define LQ_ENGINE_INTERNAL_H

#include "engine.h"

/*
 * Peaks are the greatest values at events; they say nothing of the time in
 * between when points are there whose decay makes a value rise.
 */
#define PEAK_UNKNOWN 1e300

/* engine.c */
extern void lq_lead_bind(LqEngine *engine, const LqModel *model);
extern void lq_lead_rules_evaluate(LqEngine *engine);
extern const char *lq_match_apply(LqEngine *engine, const LqEvent *event,
								  const LqMatch *match);

/* gate.c */
extern void lq_gates_ask_again(LqEngine *engine, int rule);

/* stage_moves.c */
extern void lq_peak_follow_decay(LqScore *score, const LqRule *rule);
extern void lq_lead_steady(LqEngine *engine);
extern void lq_lead_note_peaks(LqEngine *engine);
extern LqMove *lq_lead_move(LqEngine *engine, int to, const char *cause, const char *gate);
extern void lq_lead_rise(LqEngine *engine, const char *cause, bool clock);
extern void lq_lead_fall(LqEngine *engine);

#endif
