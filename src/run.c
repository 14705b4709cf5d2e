/*
 * run.c
 *		Running the engine over cases: what all shells share.
 *
 * A case either goes on from its stored state with its new events, or is
 * replayed from all its events.  Both end in c->lead and c->moves.
 */
#include "postgres.h"

#include "executor/executor.h"
#include "history_rows.h"
#include "miscadmin.h"
#include "run.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* what the engine's callback needs */
typedef struct RunState
{
	LqCases    *cases;
	TupleTableSlot *slot;		/* row of leads */
} RunState;

/* the lead's columns as known now */
static RunState *
run_prepare(LqEngine *engine)
{
	RunState   *run = engine->arg;

	if (engine->lead->attributes != NULL)
		ExecStoreHeapTuple((HeapTuple) engine->lead->attributes, run->slot, false);
	else
		ExecStoreAllNullTuple(run->slot);
	run->cases->guard.engine = engine;
	return run;
}

/* LqEngine.holds */
static bool
condition_holds(LqEngine *engine, const LqCondition *condition)
{
	RunState   *run = run_prepare(engine);
	LqLead	   *lead = engine->lead;
	bool		result;

	result = lq_guard_holds(&run->cases->guard, lead->model, condition,
							run->cases->leads, run->slot);
	ExecClearTuple(run->slot);
	return result;
}

/* LqEngine.model_at */
static const LqModel *
version_at(LqEngine *engine, TimestampTz at)
{
	RunState   *run = engine->arg;

	return lq_model_at(run->cases->pipeline, at);
}

/* LqEngine.clock_changes */
static TimestampTz
clock_changes(LqEngine *engine, TimestampTz after)
{
	RunState   *run = engine->arg;

	return lq_clock_change(run->cases->pipeline, after);
}

/* value of a text expression over the same, NULL if null */
char *
lq_engine_text(LqEngine *engine, const LqCondition *condition)
{
	RunState   *run = run_prepare(engine);
	char	   *result = lq_guard_text(&run->cases->guard, engine->lead->model, condition,
									   run->cases->leads, run->slot);

	ExecClearTuple(run->slot);
	return result;
}

/* an engine whose conditions are evaluated under the cases' guard */
void
lq_run_engine_init(LqCases *cases, LqEngine *engine)
{
	RunState   *run = palloc(sizeof(RunState));

	memset(engine, 0, sizeof(LqEngine));
	run->cases = cases;
	run->slot = MakeSingleTupleTableSlot(RelationGetDescr(cases->leads), &TTSOpsHeapTuple);
	engine->holds = condition_holds;
	engine->model_at = version_at;
	engine->clock_changes = clock_changes;
	engine->arg = run;
	engine->cxt = cases->cxt;
	lq_guard_begin(&cases->guard, cases->pipeline->name,
				   cases->pipeline->time_zone, cases->pipeline->owner);
}

void
lq_run_engine_done(LqCases *cases, LqEngine *engine)
{
	RunState   *run = engine->arg;

	lq_guard_end(&cases->guard);
	cases->guard.engine = NULL;
	ExecDropSingleTupleTableSlot(run->slot);
	pfree(run);
}

static int
event_cmp(const void *a, const void *b)
{
	return lq_position_cmp(&((const LqEvent *) a)->pos, &((const LqEvent *) b)->pos);
}

/* an activity or answer of the future waits for its time */
static void
note_waiting(LqCase *c, TimestampTz at)
{
	if (at < c->waits_at)
		c->waits_at = at;
}

/* the case is where its last event or the clock has brought it */
static void
case_done(LqCase *c, LqEngine *engine, TimestampTz clock)
{
	const LqExclusion *exclusion;
	TimestampTz due;

	lq_engine_clock(engine, clock == DT_NOEND ? clock : clock + 1);
	exclusion = lq_exclusion_holding(engine);
	c->lead.excluded = exclusion == NULL ? NULL : exclusion->name;
	due = lq_engine_due(engine);
	c->next_due_at = Min(c->waits_at, due);
	c->moves = engine->moves;
	c->refused = engine->refused;
	engine->refused = false;
	c->dirty = true;
}

/* ----------------------------------------------------------------
 * Replay
 * ----------------------------------------------------------------
 */

static void
add_images(LqCases *cases, LqCase *c)
{
	TupleDesc	desc = RelationGetDescr(cases->leads);

	if (c->nimages > 0)
	{
		c->images_lacking = !lq_image_complete(cases->pipeline, desc,
											   c->images[c->nimages - 1]);
		lq_images_fill(c->images, c->nimages, c->current, desc->natts);
	}
	for (int i = 1; i < c->nimages; i++)
	{
		LqEvent		event = {0};

		event.pos.at = c->images[i]->changed_at;
		event.pos.kind = LQ_EVENT_ATTRIBUTE;
		event.attributes = lq_image_tuple(desc, c->images[i]);
		lq_case_add_event(c, &event);
	}
}

/* rows that people made are events; true if the lead was there at attach */
static bool
add_fixed(LqCase *c)
{
	bool		attached = false;
	ListCell   *lc;

	foreach(lc, c->history)
	{
		const LqHistoryRow *row = lfirst(lc);
		LqEvent		event = {0};

		if (!lq_history_row_is_fixed(row))
			continue;
		event.pos.at = row->at;
		event.pos.kind = LQ_EVENT_MANUAL;
		event.stage = row->stage;
		event.cause = row->cause;
		event.gate = row->gate;
		event.held_until = row->held_until;
		event.history_id = row->id;
		attached = attached || lq_history_row_is_attached(row);
		lq_case_add_event(c, &event);
	}
	return attached;
}

/* the event that a lead's life begins with, at the earlier of its creation and its first event */
static LqEvent
created_event(LqCases *cases, LqCase *c, bool attached, TimestampTz horizon)
{
	TupleDesc	desc = RelationGetDescr(cases->leads);
	LqEvent		event = {0};

	/* what is stored must give every later replay the same time */
	if (c->lead_since == DT_NOBEGIN)
		c->lead_since = Min(horizon, c->created_at != DT_NOBEGIN ? c->created_at :
							GetCurrentTimestamp());
	event.pos.kind = LQ_EVENT_CREATED;
	event.pos.at = Min(c->lead_since, horizon);
	if (c->nevents > 0 && c->events[0].pos.at < event.pos.at)
		event.pos.at = c->events[0].pos.at;
	if (c->nimages > 0)
		event.attributes = lq_image_tuple(desc, c->images[0]);
	else if (c->current != NULL)
		event.attributes = lq_image_tuple(desc, c->current);
	event.cause = attached ? "attached" : NULL;
	event.stage = c->initial != NULL || c->stored ? c->initial :
		lq_stage_of_column(cases->pipeline, c->column, false);
	event.model = lq_model_at(cases->pipeline, event.pos.at);
	return event;
}

/* a lead begins with nothing */
static void
begin_from_nothing(LqCases *cases, LqCase *c, LqEngine *engine, bool attached,
				   TimestampTz horizon)
{
	LqEvent		created = created_event(cases, c, attached, horizon);

	lq_lead_init(&c->lead, cases->cxt);
	lq_engine_step(engine, &created);
}

/*
 * A lead goes on from its baseline: what happened before is in it.  Returns
 * the number of events that did.
 */
static int
begin_from_baseline(LqCases *cases, LqCase *c, LqEngine *engine)
{
	TupleDesc	desc = RelationGetDescr(cases->leads);
	const LqBaseline *baseline = c->baseline;
	LqLead	   *lead = &c->lead;
	LqEvent		publication = {0};
	LqPosition	last = baseline->score->last;
	int			n = 0;

	lq_lead_restore(lead, &baseline->was);
	lead->score = baseline->score;
	lead->model = NULL;
	if (c->nimages > 0)
		lead->attributes = lq_image_tuple(desc, c->images[0]);
	else if (c->current != NULL)
		lead->attributes = lq_image_tuple(desc, c->current);
	for (; n < c->nevents && c->events[n].pos.at < baseline->at; n++)
		if (c->events[n].pos.kind == LQ_EVENT_ATTRIBUTE)
			lead->attributes = c->events[n].attributes;
	if (engine->explaining)
		lq_engine_recall(engine);
	/* another version may have been put in force for that time since */
	publication.pos.at = lead->score->as_of;
	publication.pos.kind = LQ_EVENT_CLOCK;
	publication.model = lq_model_at(cases->pipeline, publication.pos.at);
	lq_engine_step(engine, &publication);
	lead->score->last = last;
	return n;
}

/*
 * Run all events of a case up to the horizon, from nothing or from its
 * baseline, and the clock up to "clock" (DT_NOBEGIN: only what falls due
 * between events).  Events must have been loaded (lq_events_load).
 */
void
lq_case_replay(LqCases *cases, LqCase *c, LqEngine *engine, TimestampTz horizon,
			   TimestampTz clock)
{
	bool		attached;
	int			i = 0;

	add_images(cases, c);
	attached = add_fixed(c);
	if (c->nevents > 1)
		qsort(c->events, c->nevents, sizeof(LqEvent), event_cmp);

	lq_engine_begin(engine, &c->lead);
	c->archived_at = c->baseline == NULL ? DT_NOBEGIN : c->baseline->at;
	engine->not_before = c->archived_at;
	if (c->baseline != NULL)
		i = begin_from_baseline(cases, c, engine);
	else
		begin_from_nothing(cases, c, engine, attached, horizon);
	for (; i < c->nevents && c->events[i].pos.at <= horizon; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (c->events[i].model == NULL)
			c->events[i].model = lq_model_at(cases->pipeline, c->events[i].pos.at);
		lq_engine_step(engine, &c->events[i]);
	}
	c->waits_at = i < c->nevents ? c->events[i].pos.at : DT_NOEND;
	case_done(c, engine, clock);
}

/* ----------------------------------------------------------------
 * Going on
 * ----------------------------------------------------------------
 */

/*
 * Apply a case's new events to its stored state.  False if that is not
 * enough and the case must be replayed; its state is then of no use.
 *
 * A row of this very statement may be in the state already: a replay that
 * the trigger of an earlier row or table did has read it.  Such a row does
 * not sort after the newest event, and the state is of this transaction.
 */
static bool
case_continue(LqCases *cases, LqCase *c, LqEngine *engine, TimestampTz horizon,
			  TimestampTz clock)
{
	if (!c->scored || c->waits_at <= horizon ||
		lq_asks_for_more(cases->pipeline, c->was.published))
		return false;
	if (c->nevents > 1)
		qsort(c->events, c->nevents, sizeof(LqEvent), event_cmp);
	lq_engine_begin(engine, &c->lead);
	engine->not_before = c->archived_at;
	for (int i = 0; i < c->nevents; i++)
	{
		LqEvent    *event = &c->events[i];

		if (event->pos.at > horizon)
		{
			note_waiting(c, event->pos.at);
			continue;
		}
		if (event->pos.at < c->archived_at)
			return false;
		if (event->model == NULL)
			event->model = lq_model_at(cases->pipeline, event->pos.at);
		if (lq_position_cmp(&event->pos, &c->lead.score->last) > 0)
			lq_engine_step(engine, event);
		else if (c->written_here || !lq_engine_merge(engine, event))
			return false;
	}
	case_done(c, engine, clock);
	return true;
}

/* a run over all cases, as lq_guard_run() takes it */
typedef struct RunAll
{
	LqCases    *cases;
	LqEngine	engine;
	TimestampTz horizon;
	TimestampTz clock;			/* how far the clock runs; DT_NOBEGIN: with the events */
} RunAll;

static void
continue_all(void *arg)
{
	RunAll	   *all = arg;

	for (int i = 0; i < all->cases->count; i++)
	{
		LqCase	   *c = &all->cases->cases[i];

		if (c->exists && !c->replay)
			c->replay = !case_continue(all->cases, c, &all->engine, all->horizon,
									   all->clock);
	}
}

static void
replay_all(void *arg)
{
	RunAll	   *all = arg;

	for (int i = 0; i < all->cases->count; i++)
	{
		LqCase	   *c = &all->cases->cases[i];
		/* no replay of what the lead is now ends before the stored state did */
		TimestampTz least = all->cases->past ? DT_NOBEGIN : c->was.scored_at;

		lq_cases_tick(all->cases);
		if (c->exists && c->replay)
			lq_case_replay(all->cases, c, &all->engine, Max(all->horizon, least),
						   Max(all->clock, least));
	}
}

static void
run_all(LqCases *cases, void (*body) (void *arg), TimestampTz horizon, TimestampTz clock)
{
	RunAll		all;

	all.cases = cases;
	all.horizon = horizon;
	all.clock = clock;
	lq_run_engine_init(cases, &all.engine);
	lq_guard_run(&cases->guard, body, &all);
	lq_run_engine_done(cases, &all.engine);
}

/* replay the cases whose events are loaded, and the clock up to the horizon */
void
lq_cases_replay(LqCases *cases, TimestampTz horizon)
{
	run_all(cases, replay_all, horizon, horizon);
}

/*
 * Bring all cases up to the horizon, and the clock as far as asked.  The leads
 * are locked and their stored states read.
 */
void
lq_cases_run(LqCases *cases, TimestampTz horizon, TimestampTz clock)
{
	run_all(cases, continue_all, horizon, clock);
	lq_events_load(cases, false);
	run_all(cases, replay_all, horizon, clock);
}
