/*
 * funnel.h
 *		How far events went through the steps of a funnel.
 *
 * Arithmetic over events that are in memory: no catalog, no SQL.  Only the end
 * of a window asks for a setting, the session's time zone.
 */
#ifndef LQ_FUNNEL_H
#define LQ_FUNNEL_H

#include "datatype/timestamp.h"
#include "pgtime.h"

#define LQ_FUNNEL_STEPS 32

/* modes, a set of bits; lq_funnel_mode_names has them in this order */
#define LQ_FUNNEL_DEDUPLICATION	0x01
#define LQ_FUNNEL_ORDER			0x02
#define LQ_FUNNEL_INCREASE		0x04
#define LQ_FUNNEL_ONCE			0x08
#define LQ_FUNNEL_REENTRY		0x10
#define LQ_FUNNEL_MODES			5

extern const char *const lq_funnel_mode_names[LQ_FUNNEL_MODES];

/* a row that satisfies some steps, or none: bit i is step i + 1 */
typedef struct LqFunnelEvent
{
	TimestampTz at;
	uint32		steps;
	uint32		unused;			/* zero */
} LqFunnelEvent;

/* windows that begin from .. until (exclusive) are all of this length */
typedef struct LqWindowSpan
{
	TimestampTz from;
	TimestampTz until;
	int64		length;			/* microseconds */
} LqWindowSpan;

#define LQ_WINDOW_SPANS 16

/* a window, and what is known of its length in the session's time zone */
typedef struct LqFunnelWindow
{
	Interval	interval;
	pg_tz	   *zone;
	int			nspans;
	int			oldest;			/* the span that gives way to the next one */
	LqWindowSpan spans[LQ_WINDOW_SPANS];
} LqFunnelWindow;

typedef struct LqFunnel
{
	int			nsteps;			/* 1 to LQ_FUNNEL_STEPS */
	int			modes;
	LqFunnelWindow *window;
	int			nevents;
	const LqFunnelEvent *events;	/* by time */
} LqFunnel;

/* by time; what is equal stays in any order */
extern void lq_funnel_sort(LqFunnelEvent *events, int nevents);

/*
 * The furthest step, 0 for none; *end becomes the number of events by which it
 * is reached.
 */
extern int	lq_funnel_level(const LqFunnel *funnel, int *end);

/*
 * When the steps of the chain were taken that lq_funnel_level() found: of all
 * chains that are complete at that moment, the one with each step as late as
 * possible.
 */
extern void lq_funnel_times(const LqFunnel *funnel, int level, int end,
							TimestampTz *times);

/* is it longer than nothing, a month being 30 days? */
extern bool lq_window_is_positive(const Interval *interval);

/* 1 day is not 24 hours here, for it need not end at the same moment */
static inline bool
lq_window_equal(const Interval *a, const Interval *b)
{
	return a->time == b->time && a->day == b->day && a->month == b->month;
}

/* ready for an interval that is positive, in the session's time zone */
extern void lq_window_init(LqFunnelWindow *window, const Interval *interval);

/* the last moment of a window that begins then */
extern TimestampTz lq_window_end(LqFunnelWindow *window, TimestampTz begin);

#endif
