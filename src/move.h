/*
 * move.h
 *		Moves by hand: what the verbs and the trigger on leads share.
 */
#ifndef LQ_MOVE_H
#define LQ_MOVE_H

#include "state.h"

extern TimestampTz lq_time_of_change(const LqCase *c, LqEventKind kind);
extern void lq_move_check(LqCases *cases, const LqCase *c);

#endif
