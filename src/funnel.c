/*
 * funnel.c
 *		How far events went through the steps of a funnel.
 *
 * A chain is step 1, 2, ... each at the time of the one before or later, all
 * by the end of the window that step 1 opens.  For the next step nothing
 * matters of the chains that have come so far but the one whose window ends
 * last.  So it is enough to keep, for each step, the latest such end, and to
 * go over the events once: O(events × steps satisfied).
 *
 * Events of one time, an instant, are taken together, because within it the
 * steps may come in any order.  What an instant adds to a chain is a run of
 * steps, from some step to a later one; the longest run up to a step says all,
 * since whatever the instant can do for a run it can do for part of it.  The
 * modes differ in that run only:
 *	- any number of steps of which each has an event;
 *	- strict_increase: one;
 *	- strict_once: as many as have events of their own, a bipartite matching.
 *
 * strict_order and strict_deduplication end the search at an event that does
 * not belong there, and what they end it at depends on the search.  They are
 * defined by the one that ClickHouse does in windowFunnel (its source
 * AggregateFunctionWindowFunnel.cpp): over pairs of time and step, in that
 * order, the latest chain of each step replacing the one before; with
 * strict_once all chains are followed.
 */
#include "postgres.h"

#include "funnel.h"

#include "miscadmin.h"
#include "port/pg_bitutils.h"

#define SCANNED (LQ_FUNNEL_ORDER | LQ_FUNNEL_DEDUPLICATION)

#define STEP_BIT(step) (UINT32_C(1) << ((step) - 1))

const char *const lq_funnel_mode_names[LQ_FUNNEL_MODES] = {
	"strict_deduplication", "strict_order", "strict_increase", "strict_once",
	"allow_reentry"
};

/* the events of one time */
typedef struct Instant
{
	TimestampTz at;
	int			from;
	int			until;			/* exclusive */
	uint32		any;			/* steps that an event satisfies */
	uint32		twice;			/* that two events do */
	bool		idle;			/* has an event that satisfies none */
} Instant;

/* how far it went; arrays are indexed by step, from 1 to level */
typedef struct Progress
{
	int			level;
	TimestampTz ends[LQ_FUNNEL_STEPS + 1];	/* of the window */
	TimestampTz taken[LQ_FUNNEL_STEPS + 1]; /* when; only by scan_step() */
} Progress;

#define ST_SORT sort_events
#define ST_ELEMENT_TYPE LqFunnelEvent
#define ST_COMPARE(a, b) ((a)->at < (b)->at ? -1 : (a)->at > (b)->at)
#define ST_CHECK_FOR_INTERRUPTS
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

void
lq_funnel_sort(LqFunnelEvent *events, int nevents)
{
	sort_events(events, nevents);
}

/* ----------------------------------------------------------------
 * Instants
 * ----------------------------------------------------------------
 */

static void
instant_gather(const LqFunnel *funnel, Instant *instant)
{
	instant->any = 0;
	instant->twice = 0;
	instant->idle = false;
	for (int i = instant->from; i < instant->until; i++)
	{
		uint32		steps = funnel->events[i].steps;

		instant->twice |= instant->any & steps;
		instant->any |= steps;
		instant->idle |= steps == 0;
	}
}

static void
instant_after(const LqFunnel *funnel, int from, Instant *instant)
{
	int			until = from + 1;

	instant->at = funnel->events[from].at;
	while (until < funnel->nevents && funnel->events[until].at == instant->at)
		until++;
	instant->from = from;
	instant->until = until;
	instant_gather(funnel, instant);
}

static void
instant_before(const LqFunnel *funnel, int until, Instant *instant)
{
	int			from = until - 1;

	instant->at = funnel->events[from].at;
	while (from > 0 && funnel->events[from - 1].at == instant->at)
		from--;
	instant->from = from;
	instant->until = until;
	instant_gather(funnel, instant);
}

/* ----------------------------------------------------------------
 * strict_once: which steps can have an event each
 * ----------------------------------------------------------------
 */

/*
 * More events than there are steps are of no use to a step, as the other steps
 * cannot take them all.
 */
#define CANDIDATES (LQ_FUNNEL_STEPS * LQ_FUNNEL_STEPS)

typedef struct Matching
{
	int			nevents;
	uint32		steps[CANDIDATES];
	uint8		step_of[CANDIDATES];	/* 0: free */
	uint8		asked[CANDIDATES];	/* for this step, in this round */
} Matching;

static void
matching_init(Matching *matching, const LqFunnel *funnel, const Instant *instant)
{
	uint32		wanted = instant->any;
	uint8		count[LQ_FUNNEL_STEPS + 1] = {0};

	matching->nevents = 0;
	for (int i = instant->from; i < instant->until && wanted != 0; i++)
	{
		uint32		steps = funnel->events[i].steps;

		if ((steps & wanted) == 0)
			continue;
		matching->steps[matching->nevents] = steps;
		matching->step_of[matching->nevents] = 0;
		matching->asked[matching->nevents++] = 0;
		for (uint32 left = steps & wanted; left != 0; left &= left - 1)
		{
			int			step = pg_rightmost_one_pos32(left) + 1;

			if (++count[step] == funnel->nsteps)
				wanted &= ~STEP_BIT(step);
		}
	}
}

/*
 * Find an event for the step, if need be by moving other steps to other
 * events.  Not deeper than there are steps, for each call asks an event that
 * has a step already.
 */
static bool
matching_add(Matching *matching, int step, int round)
{
	for (int i = 0; i < matching->nevents; i++)
	{
		if ((matching->steps[i] & STEP_BIT(step)) == 0 || matching->asked[i] == round)
			continue;
		matching->asked[i] = round;
		if (matching->step_of[i] == 0 ||
			matching_add(matching, matching->step_of[i], round))
		{
			matching->step_of[i] = step;
			return true;
		}
	}
	return false;
}

static void
matching_remove(Matching *matching, int step)
{
	for (int i = 0; i < matching->nevents; i++)
	{
		if (matching->step_of[i] == step)
			matching->step_of[i] = 0;
	}
}

/*
 * A window slides over the steps: at its upper end a step is added, at its
 * lower end steps are removed until the rest has events.
 */
static void
match_floors(const LqFunnel *funnel, const Instant *instant, int *floors)
{
	Matching	matching;
	int			floor = 0;
	int			round = 0;		/* two a step at most: a uint8 will do */

	matching_init(&matching, funnel, instant);
	for (int step = 1; step <= funnel->nsteps; step++)
	{
		bool		possible = (instant->any & STEP_BIT(step)) != 0;

		while (!(possible && matching_add(&matching, step, ++round)) && floor < step)
			matching_remove(&matching, ++floor);
		floors[step] = floor;
	}
}

/*
 * For each step that the instant has: the step after which it can supply all
 * up to this one.
 */
static void
find_floors(const LqFunnel *funnel, const Instant *instant, int *floors)
{
	bool		single = (funnel->modes & (LQ_FUNNEL_INCREASE | LQ_FUNNEL_ONCE)) != 0;

	if (single && (funnel->modes & LQ_FUNNEL_INCREASE) == 0 &&
		instant->until - instant->from > 1)
	{
		match_floors(funnel, instant, floors);
		return;
	}
	for (uint32 left = instant->any; left != 0; left &= left - 1)
	{
		int			step = pg_rightmost_one_pos32(left) + 1;
		bool		run = !single && step > 1 &&
			(instant->any & STEP_BIT(step - 1)) != 0;

		floors[step] = run ? floors[step - 1] : step - 1;
	}
}

/* ----------------------------------------------------------------
 * Forward: how far
 * ----------------------------------------------------------------
 */

/*
 * The latest end of a window in which the step is reached at this instant,
 * which supplies the steps after floor.  Level and ends are from before it.
 * False if there is none.
 *
 * A chain to a step is one to the steps below it, too: so the lower the step
 * from which a chain goes on, the later the end of its window.  Only one that
 * begins at this instant must be compared.
 */
static bool
latest_end(const LqFunnel *funnel, const Instant *instant, int step, int floor,
		   int level, const TimestampTz *ends, TimestampTz *end)
{
	int			lowest = Max(floor, 1);
	bool		begins = floor == 0;
	bool		goes_on = lowest < step && lowest <= level && ends[lowest] >= instant->at;

	if (begins)
		*end = lq_window_end(funnel->window, instant->at);
	if (goes_on && (!begins || ends[lowest] > *end))
		*end = ends[lowest];
	return begins || goes_on;
}

/* from the last step down, so that the chains below are still those before */
static void
advance(const LqFunnel *funnel, const Instant *instant, Progress *progress)
{
	int			level = progress->level;
	int			floors[LQ_FUNNEL_STEPS + 1];
	TimestampTz end;

	find_floors(funnel, instant, floors);
	for (uint32 left = instant->any; left != 0;)
	{
		int			step = pg_leftmost_one_pos32(left) + 1;

		left &= ~STEP_BIT(step);
		if (!latest_end(funnel, instant, step, floors[step], level,
						progress->ends, &end))
			continue;
		if (step > level || end > progress->ends[step])
			progress->ends[step] = end;
		progress->level = Max(progress->level, step);
	}
}

/* a step of the scan, whose predecessor has been taken */
static bool
scan_step(const LqFunnel *funnel, const Instant *instant, int step,
		  Progress *progress)
{
	if (step == 1)
		progress->ends[1] = lq_window_end(funnel->window, instant->at);
	else if (progress->ends[step - 1] >= instant->at &&
			 ((funnel->modes & LQ_FUNNEL_INCREASE) == 0 ||
			  progress->taken[step - 1] < instant->at))
		progress->ends[step] = progress->ends[step - 1];
	else
		return false;
	progress->taken[step] = instant->at;
	return true;
}

/*
 * strict_order and strict_deduplication.  False if the search ends here.
 *
 * Two events of an instant that satisfy one step are a repetition if that step
 * has been taken by then.  (With strict_once ClickHouse would go by the order
 * of its input.)
 */
static bool
scan(const LqFunnel *funnel, const Instant *instant, Progress *progress)
{
	bool		order = (funnel->modes & LQ_FUNNEL_ORDER) != 0;
	bool		once = (funnel->modes & LQ_FUNNEL_ONCE) != 0;
	uint32		repeated = (funnel->modes & LQ_FUNNEL_DEDUPLICATION) == 0 ? 0 :
		instant->twice & ~STEP_BIT(1);
	Progress	before;
	int			floors[LQ_FUNNEL_STEPS + 1];
	TimestampTz end;

	if (order && instant->idle && progress->level > 0)
		return false;
	if (once)
	{
		before = *progress;
		find_floors(funnel, instant, floors);
	}
	for (uint32 left = instant->any; left != 0; left &= left - 1)
	{
		int			step = pg_rightmost_one_pos32(left) + 1;

		if (step > 1 && step <= progress->level &&
			(funnel->modes & LQ_FUNNEL_DEDUPLICATION) != 0)
			return false;
		if (step > progress->level + 1)
		{
			if (order && progress->level > 0 && (funnel->modes & LQ_FUNNEL_REENTRY) == 0)
				return false;
			continue;
		}
		if (!once)
		{
			if (scan_step(funnel, instant, step, progress))
				progress->level = Max(progress->level, step);
		}
		else if (latest_end(funnel, instant, step, floors[step], before.level,
							before.ends, &end))
		{
			if (step > before.level || end > progress->ends[step])
				progress->ends[step] = end;
			progress->level = Max(progress->level, step);
		}
		if ((repeated & STEP_BIT(step)) != 0 && step <= progress->level)
			return false;
	}
	return true;
}

int
lq_funnel_level(const LqFunnel *funnel, int *end)
{
	Progress	progress;
	Instant		instant;
	bool		more = true;

	progress.level = 0;
	*end = 0;
	for (int i = 0; more && i < funnel->nevents; i = instant.until)
	{
		int			level = progress.level;

		CHECK_FOR_INTERRUPTS();
		instant_after(funnel, i, &instant);
		if ((funnel->modes & SCANNED) != 0)
			more = scan(funnel, &instant, &progress);
		else
			advance(funnel, &instant, &progress);
		if (progress.level > level)
			*end = instant.until;
		if (progress.level == funnel->nsteps)
			break;
	}
	return progress.level;
}

/* ----------------------------------------------------------------
 * Backward: when
 * ----------------------------------------------------------------
 */

/*
 * From the last step back, each instant supplies as many steps as it can: a
 * chain that took one of them before could take it here as well.  Step 1 alone
 * may have to come earlier than it could, for a window that ends late enough.
 */
void
lq_funnel_times(const LqFunnel *funnel, int level, int end, TimestampTz *times)
{
	int			step = level;
	Instant		instant;
	int			floors[LQ_FUNNEL_STEPS + 1];

	for (int until = end; step > 0 && until > 0; until = instant.from)
	{
		int			floor;

		CHECK_FOR_INTERRUPTS();
		instant_before(funnel, until, &instant);
		if ((instant.any & STEP_BIT(step)) == 0)
			continue;
		find_floors(funnel, &instant, floors);
		floor = floors[step];
		if (floor == 0 &&
			lq_window_end(funnel->window, instant.at) < funnel->events[end - 1].at)
			floor = 1;
		for (; step > floor; step--)
			times[step - 1] = instant.at;
	}
	if (step > 0)
		elog(ERROR, "funnel of %d steps has no chain of that length", level);
}
