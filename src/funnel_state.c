/*
 * funnel_state.c
 *		The events that a funnel has seen: the state of its aggregates.
 *
 * A state goes from a parallel worker to its leader as bytes.  Both are of the
 * same build and nobody else can make such bytes, so events are sent as they
 * are in memory.
 */
#include "postgres.h"

#include "funnel_state.h"

#include "compat.h"
#include "lib/stringinfo.h"
#include "libpq/pqformat.h"
#include "utils/memutils.h"

/* most leads have few events that satisfy a step */
#define INITIAL_CAPACITY 8

/* what can be sent in one piece, with room for the rest of the state */
#define MAX_EVENTS ((int) (MaxAllocSize / sizeof(LqFunnelEvent)) - 16)

LqFunnelState *
lq_funnel_state_new(int nsteps, int modes, const Interval *interval)
{
	LqFunnelState *state = palloc(sizeof(LqFunnelState));

	state->nsteps = nsteps;
	state->modes = modes;
	state->interval = *interval;
	state->sorted = true;
	state->nevents = 0;
	state->capacity = INITIAL_CAPACITY;
	state->events = palloc(INITIAL_CAPACITY * sizeof(LqFunnelEvent));
	return state;
}

void
lq_funnel_state_reserve(LqFunnelState *state, int nevents)
{
	int64		needed = (int64) state->nevents + nevents;

	if (needed <= state->capacity)
		return;
	if (needed > MAX_EVENTS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("too many events in a funnel"),
				 errdetail("At most %d rows of a group can be kept.", MAX_EVENTS),
				 errhint("Group by lead, or by some stretch of time.")));
	state->capacity = (int) Min(Max(needed, (int64) state->capacity * 2), MAX_EVENTS);
	state->events = repalloc(state->events, state->capacity * sizeof(LqFunnelEvent));
}

void
lq_funnel_state_append(LqFunnelState *state, const LqFunnelState *other)
{
	if (other->nevents == 0)
		return;
	lq_funnel_state_reserve(state, other->nevents);
	state->sorted = state->sorted && other->sorted &&
		(state->nevents == 0 ||
		 state->events[state->nevents - 1].at <= other->events[0].at);
	memcpy(&state->events[state->nevents], other->events,
		   other->nevents * sizeof(LqFunnelEvent));
	state->nevents += other->nevents;
}

bytea *
lq_funnel_state_write(const LqFunnelState *state)
{
	StringInfoData buf;

	pq_begintypsend(&buf);
	pq_sendbyte(&buf, state->nsteps);
	pq_sendbyte(&buf, state->modes);
	pq_sendbyte(&buf, state->sorted);
	pq_sendint64(&buf, state->interval.time);
	pq_sendint32(&buf, state->interval.day);
	pq_sendint32(&buf, state->interval.month);
	pq_sendint32(&buf, state->nevents);
	pq_sendbytes(&buf, (const char *) state->events,
				 state->nevents * sizeof(LqFunnelEvent));
	return pq_endtypsend(&buf);
}

LqFunnelState *
lq_funnel_state_read(bytea *bytes)
{
	StringInfoData buf;
	LqFunnelState *state;
	Interval	interval;
	int			nsteps,
				modes,
				nevents;
	bool		sorted;

	/* read where it is: it may be large */
	buf.data = VARDATA_ANY(bytes);
	buf.len = VARSIZE_ANY_EXHDR(bytes);
	buf.maxlen = buf.len;
	buf.cursor = 0;

	nsteps = pq_getmsgbyte(&buf);
	modes = pq_getmsgbyte(&buf);
	sorted = pq_getmsgbyte(&buf);
	interval.time = pq_getmsgint64(&buf);
	interval.day = pq_getmsgint(&buf, 4);
	interval.month = pq_getmsgint(&buf, 4);
	nevents = pq_getmsgint(&buf, 4);

	state = lq_funnel_state_new(nsteps, modes, &interval);
	lq_funnel_state_reserve(state, nevents);
	pq_copymsgbytes(&buf, (char *) state->events, nevents * sizeof(LqFunnelEvent));
	pq_getmsgend(&buf);
	state->nevents = nevents;
	state->sorted = sorted;
	return state;
}
