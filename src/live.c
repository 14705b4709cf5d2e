/*
 * live.c
 *		What the triggers share: rights, locks, and a run over the leads that
 *		a statement touched.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/partition.h"
#include "condition.h"
#include "executor/executor.h"
#include "lead_qualify.h"
#include "live.h"
#include "miscadmin.h"
#include "run.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

/* leads, and about how many rows, that are worked on at a time */
#define CHUNK_LEADS 300
#define CHUNK_ROWS 50000

/* ----------------------------------------------------------------
 * Begin and end
 * ----------------------------------------------------------------
 */

void
lq_trigger_check(TriggerData *trigdata, const char *function)
{
	if (trigdata == NULL || !IsA(trigdata, TriggerData))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" can only be called as a trigger", function),
				 errhint("Triggers are made by lead_qualify.attach().")));
	if (!TRIGGER_FIRED_AFTER(trigdata->tg_event) || trigdata->tg_trigger->tgnargs < 1)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("trigger \"%s\" must fire AFTER and name a pipeline",
						trigdata->tg_trigger->tgname),
				 errhint("Triggers are made by lead_qualify.attach().")));
}

/*
 * The insert goes on, unscored; lead_qualify.problem says why.  Without the
 * pipeline (p NULL) the triggers are all that there is of it: such is a copy
 * of the schema without the data.
 */
static void
warn_broken(const char *name, const LqPipeline *p)
{
	static char warned[NAMEDATALEN];

	if (strcmp(warned, name) == 0)
		return;
	strlcpy(warned, name, sizeof(warned));
	if (p == NULL)
		ereport(WARNING,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("nothing is scored: pipeline \"%s\", which a trigger names, does not exist",
						name),
				 errhint("Restore the data of extension lead_qualify, or drop the trigger.")));
	else
		ereport(WARNING,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("pipeline \"%s\" is out of order: nothing is scored", name),
				 p->problem == NULL ? 0 : errdetail_internal("%s.", lq_error_sentence(p->problem)),
				 errhint("See lead_qualify.problem; call lead_qualify.detach('%s') if it is no longer wanted.",
						 name)));
}

/* has the pipeline a source of that name, or one that it is a partition of? */
static bool
is_source(const LqPipeline *p, Oid relid)
{
	if (get_rel_relispartition(relid))
		relid = llast_oid(get_partition_ancestors(relid));
	for (int i = 0; i < p->nsources; i++)
		if (strcmp(p->sources[i].table, get_rel_name(relid)) == 0 &&
			strcmp(p->sources[i].schema,
				   get_namespace_name(get_rel_namespace(relid))) == 0)
			return true;
	return false;
}

/*
 * Which pipeline a trigger works for, with its tables locked against publish.
 * False: it is out of order, the statement goes on without us.
 */
bool
lq_live_check(LqLive *live, TriggerData *trigdata, const char *function)
{
	const char *name;
	LqPipeline *p;

	lq_trigger_check(trigdata, function);
	name = trigdata->tg_trigger->tgargs[0];
	p = lq_pipeline_get(name, true);
	if (p != NULL && !p->broken)
	{
		lq_pipeline_lock(p);
		p = lq_pipeline_get(name, true);
	}
	if (p == NULL || p->broken || p->nversions == 0)
	{
		warn_broken(name, p);
		return false;
	}
	if (!has_privs_of_role(trigdata->tg_relation->rd_rel->relowner, p->owner))
	{
		/* a table of ours that was given away goes on unscored */
		if (is_source(p, RelationGetRelid(trigdata->tg_relation)))
		{
			warn_broken(name, p);
			return false;
		}
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("trigger \"%s\" on table \"%s\" may not write pipeline \"%s\"",
						trigdata->tg_trigger->tgname,
						RelationGetRelationName(trigdata->tg_relation), p->name),
				 errdetail("The owner of the table lacks the rights of the owner of the pipeline's leads table."),
				 errhint("Drop the trigger, or let the leads owner attach the table.")));
	}
	live->pipeline = p;
	return true;
}

/* the same, and from here on as the leads owner, in a context of its own */
bool
lq_live_begin(LqLive *live, TriggerData *trigdata, const char *function)
{
	LqPipeline *p;

	if (!lq_live_check(live, trigdata, function))
		return false;
	p = live->pipeline;
	(void) lq_model_at(p, GetCurrentTimestamp());	/* compile before any guard */
	live->inserting = false;
	live->caller = GetUserId();
	live->cxt = AllocSetContextCreate(CurrentMemoryContext, "lead_qualify trigger",
									  ALLOCSET_DEFAULT_SIZES);
	live->outer = MemoryContextSwitchTo(live->cxt);
	lq_become(&live->user, p->owner);
	return true;
}

void
lq_live_end(LqLive *live)
{
	lq_return(&live->user);
	MemoryContextSwitchTo(live->outer);
	MemoryContextDelete(live->cxt);
}

/* the source that the trigger's second argument names */
LqSource *
lq_live_source(LqLive *live, TriggerData *trigdata)
{
	LqSource   *source = trigdata->tg_trigger->tgnargs < 2 ? NULL :
		lq_source_get(live->pipeline, atoi(trigdata->tg_trigger->tgargs[1]));

	if (source == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("trigger \"%s\" names no activity table of pipeline \"%s\"",
						trigdata->tg_trigger->tgname, live->pipeline->name),
				 errhint("Triggers are made by lead_qualify.attach() and add_source().")));
	return source;
}

/* call row for each row of a transition table */
void
lq_transition_rows(TriggerData *trigdata, Tuplestorestate *store,
				   void (*row) (void *arg, TupleTableSlot *slot), void *arg)
{
	TupleTableSlot *slot;
	int			pointer;

	if (store == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("trigger \"%s\" needs transition tables",
						trigdata->tg_trigger->tgname),
				 errhint("Triggers are made by lead_qualify.attach().")));
	slot = MakeSingleTupleTableSlot(RelationGetDescr(trigdata->tg_relation),
									&TTSOpsMinimalTuple);
	/* other triggers share the store: use a read pointer of our own */
	pointer = tuplestore_alloc_read_pointer(store, EXEC_FLAG_REWIND);
	tuplestore_select_read_pointer(store, pointer);
	tuplestore_rescan(store);
	while (tuplestore_gettupleslot(store, true, false, slot))
	{
		CHECK_FOR_INTERRUPTS();
		row(arg, slot);
	}
	tuplestore_select_read_pointer(store, 0);
	ExecDropSingleTupleTableSlot(slot);
}

/* ----------------------------------------------------------------
 * Running
 * ----------------------------------------------------------------
 */

static const char *
setting(const char *value)
{
	return value == NULL || value[0] == '\0' ? NULL : value;
}

void
lq_live_cases_init(LqLive *live, LqCases *cases)
{
	const char *origin = setting(lq_origin);

	if (origin != NULL)
		cases->origin = origin;
}

/* who does something by hand in this transaction, and why */
void
lq_live_by_hand(LqEvent *event, Oid caller)
{
	event->reason = setting(lq_reason);
	event->actor = setting(lq_actor);
	if (event->actor == NULL)
		event->actor = GetUserNameFromId(caller, false);
}

/*
 * Now, or the newest change by hand: that is dated after what is already
 * there, which a clock that was put back may not have reached.
 */
static TimestampTz
newest_change(const LqCases *cases)
{
	TimestampTz newest = GetCurrentTimestamp();

	for (int i = 0; i < cases->count; i++)
		for (int k = 0; k < cases->cases[i].nevents; k++)
			if (cases->cases[i].events[k].pos.kind == LQ_EVENT_ATTRIBUTE ||
				cases->cases[i].events[k].pos.kind == LQ_EVENT_MANUAL)
				newest = Max(newest, cases->cases[i].events[k].pos.at);
	return newest;
}

/* lock done and states read: run, write */
void
lq_live_run(LqLive *live, LqCases *cases)
{
	TimestampTz now = newest_change(cases);

	/* the clock goes as far as events do: advance() takes it further */
	lq_cases_run(cases, now, DT_NOBEGIN);
	lq_cases_keep_images(cases, now);
	lq_cases_write(cases);
}

/* ----------------------------------------------------------------
 * Arrivals
 * ----------------------------------------------------------------
 */

/* event NULL: the lead is to be replayed */
void
lq_arrivals_add(LqArrivals *a, Datum lead, const LqEvent *event)
{
	if (a->count == a->max)
	{
		a->max = Max(16, a->max * 2);
		a->rows = a->rows == NULL ? palloc(a->max * sizeof(LqArrival)) :
			repalloc_huge(a->rows, a->max * sizeof(LqArrival));
	}
	a->rows[a->count].lead = lead;
	a->rows[a->count].event = NULL;
	if (event != NULL)
	{
		a->rows[a->count].event = palloc(sizeof(LqEvent));
		*a->rows[a->count].event = *event;
	}
	a->count++;
}

/* a row that came in, or (replay) was updated or deleted, becomes an arrival if it is an activity */
void
lq_arrivals_take(LqArrivals *a, LqReader *reader, TupleTableSlot *slot, bool replay)
{
	LqEvent		event;
	Datum		lead;

	if (replay)
	{
		if (lq_activity_lead(reader, slot, &lead))
			lq_arrivals_add(a, lead, NULL);
	}
	else if (lq_activity_read(reader, slot, &event, &lead))
		lq_arrivals_add(a, lead, &event);
}

/* body(arg) reads rows with the reader, under one guard for all of them */
void
lq_live_read(LqReader *reader, void (*body) (void *arg), void *arg)
{
	LqPipeline *p = reader->pipeline;
	LqGuard		guard = {0};

	reader->live = true;
	reader->guard = &guard;
	lq_guard_begin(&guard, p->name, p->time_zone, p->owner);
	lq_guard_run(&guard, body, arg);
	lq_guard_end(&guard);
	reader->guard = NULL;
}

static int
arrival_cmp(const void *a, const void *b, void *pipeline)
{
	return lq_key_cmp(pipeline, ((const LqArrival *) a)->lead,
					  ((const LqArrival *) b)->lead);
}

/* score the leads of some arrivals, in key order */
static void
score_chunk(LqLive *live, const LqArrival *rows, int nrows)
{
	Datum	   *keys = palloc(nrows * sizeof(Datum));
	LqCases    *cases;

	for (int i = 0; i < nrows; i++)
		keys[i] = rows[i].lead;
	cases = lq_cases_create(live->pipeline, keys, nrows);
	lq_live_cases_init(live, cases);
	for (int i = 0; i < nrows; i++)
	{
		LqCase	   *c = lq_case_find(cases, rows[i].lead);

		if (rows[i].event == NULL)
			c->replay = true;
		else
			lq_case_add_event(c, rows[i].event);
	}
	if (live->inserting)
	{
		lq_newcomers_leads(cases);
		lq_cases_lock(cases);
	}
	else
		lq_newcomers_activities(cases);
	lq_cases_read(cases);
	for (int i = 0; i < cases->count && live->inserting; i++)
	{
		cases->cases[i].first_touch = false;
		/* a lead may come in any stage, but in one that exists */
		(void) lq_stage_of_column(live->pipeline, cases->cases[i].column, true);
	}
	lq_live_run(live, cases);
	lq_cases_close(cases);
}

/* end of the chunk that begins at start: whole leads only */
static int
chunk_end(LqLive *live, const LqArrivals *a, int start)
{
	int			leads = 0;
	int			end = start;

	while (end < a->count)
	{
		if (end == start ||
			lq_key_cmp(live->pipeline, a->rows[end - 1].lead, a->rows[end].lead) != 0)
		{
			if (leads == CHUNK_LEADS || end - start >= CHUNK_ROWS)
				break;
			leads++;
		}
		end++;
	}
	return end;
}

static LqBusy *busy = NULL;

LqBusy *
lq_live_busy(LqBusy *leads)
{
	LqBusy	   *before = busy;

	busy = leads;
	return before;
}

static bool
is_busy(LqPipeline *p, Datum lead)
{
	for (LqBusy *b = busy; b != NULL; b = b->next)
		if (strcmp(b->pipeline, p->name) == 0 && lq_key_cmp(p, b->lead, lead) == 0)
			return true;
	return false;
}

/* somebody else takes in what arrived for leads that are busy */
static void
leave_out_busy(LqPipeline *p, LqArrivals *a)
{
	int			kept = 0;

	for (int i = 0; i < a->count; i++)
		if (!is_busy(p, a->rows[i].lead))
			a->rows[kept++] = a->rows[i];
	a->count = kept;
}

/*
 * Score what arrived, some leads at a time, so that what a statement of
 * millions of rows needs beside its rows stays small.
 */
void
lq_live_arrivals(LqLive *live, LqArrivals *a)
{
	MemoryContext chunk;
	MemoryContext old;
	int			start = 0;

	if (busy != NULL)
		leave_out_busy(live->pipeline, a);
	if (a->count > 1)
		qsort_arg(a->rows, a->count, sizeof(LqArrival), arrival_cmp, live->pipeline);
	chunk = AllocSetContextCreate(CurrentMemoryContext, "lead_qualify chunk of leads",
								  ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(chunk);
	while (start < a->count)
	{
		int			end = chunk_end(live, a, start);

		CHECK_FOR_INTERRUPTS();
		score_chunk(live, a->rows + start, end - start);
		MemoryContextReset(chunk);
		start = end;
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(chunk);
}
