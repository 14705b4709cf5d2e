/*
 * funnel_state.h
 *		The events that a funnel has seen: the state of its aggregates.
 */
#ifndef LQ_FUNNEL_STATE_H
#define LQ_FUNNEL_STATE_H

#include "funnel.h"

typedef struct LqFunnelState
{
	int			nsteps;
	int			modes;
	Interval	interval;		/* the window */
	bool		sorted;			/* the events are in order of time */
	int			nevents;
	int			capacity;
	LqFunnelEvent *events;		/* in the context of the state */
} LqFunnelState;

/* without events; in CurrentMemoryContext */
extern LqFunnelState *lq_funnel_state_new(int nsteps, int modes,
										  const Interval *interval);

/* make room for so many events more */
extern void lq_funnel_state_reserve(LqFunnelState *state, int nevents);

/* add the events of another state */
extern void lq_funnel_state_append(LqFunnelState *state,
								   const LqFunnelState *other);

/* a state as bytes, and back, in CurrentMemoryContext */
extern bytea *lq_funnel_state_write(const LqFunnelState *state);
extern LqFunnelState *lq_funnel_state_read(bytea *bytes);

static inline void
lq_funnel_state_add(LqFunnelState *state, TimestampTz at, uint32 steps)
{
	LqFunnelEvent *event;

	if (unlikely(state->nevents == state->capacity))
		lq_funnel_state_reserve(state, 1);
	event = &state->events[state->nevents];
	if (state->nevents > 0 && event[-1].at > at)
		state->sorted = false;
	event->at = at;
	event->steps = steps;
	state->nevents++;
}

#endif
