/*
 * trigger.c
 *		Shell "live": triggers on activity tables.
 *
 * An inserted row goes on from the lead's stored state; an updated or deleted
 * one makes the engine replay its lead.  A statement trigger reads the
 * transition table; a row trigger (fire => 'row') does the same with one row;
 * fire => 'deferred' collects rows and works them off at the end of the
 * transaction (deferred.c).
 */
#include "postgres.h"

#include "executor/executor.h"
#include "live.h"
#include "miscadmin.h"
#include "replay.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/tuplestore.h"

/* rows of a transition table become arrivals */
static void
read_table(LqReader *reader, Tuplestorestate *store, bool replay, LqArrivals *arrivals)
{
	TupleTableSlot *slot = MakeSingleTupleTableSlot(RelationGetDescr(reader->rel),
													&TTSOpsMinimalTuple);
	/* other triggers share the store: use a read pointer of our own */
	int			pointer = tuplestore_alloc_read_pointer(store, EXEC_FLAG_REWIND);

	tuplestore_select_read_pointer(store, pointer);
	tuplestore_rescan(store);
	while (tuplestore_gettupleslot(store, true, false, slot))
	{
		LqEvent		event;
		Datum		lead;

		CHECK_FOR_INTERRUPTS();
		if (replay)
		{
			if (lq_activity_lead(reader, slot, &lead))
				lq_arrivals_add(arrivals, lead, NULL);
		}
		else if (lq_activity_read(reader, slot, &event, &lead))
			lq_arrivals_add(arrivals, lead, &event);
	}
	tuplestore_select_read_pointer(store, 0);
	ExecDropSingleTupleTableSlot(slot);
}

static void
read_row(LqReader *reader, TupleTableSlot *slot, bool replay, LqArrivals *arrivals)
{
	LqEvent		event;
	Datum		lead;

	if (replay)
	{
		if (lq_activity_lead(reader, slot, &lead))
			lq_arrivals_add(arrivals, lead, NULL);
	}
	else if (lq_activity_read(reader, slot, &event, &lead))
		lq_arrivals_add(arrivals, lead, &event);
}

static void
check_transition(TriggerData *trigdata, Tuplestorestate *store)
{
	if (store == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("trigger \"%s\" needs transition tables",
						trigdata->tg_trigger->tgname),
				 errhint("Triggers are made by lead_qualify.attach().")));
}

static void
read_statement(LqReader *reader, TriggerData *trigdata, LqArrivals *arrivals)
{
	bool		insert = TRIGGER_FIRED_BY_INSERT(trigdata->tg_event);

	if (!insert)
	{
		check_transition(trigdata, trigdata->tg_oldtable);
		read_table(reader, trigdata->tg_oldtable, true, arrivals);
	}
	if (!TRIGGER_FIRED_BY_DELETE(trigdata->tg_event))
	{
		check_transition(trigdata, trigdata->tg_newtable);
		read_table(reader, trigdata->tg_newtable, !insert, arrivals);
	}
}

static void
read_rows(LqReader *reader, TriggerData *trigdata, LqArrivals *arrivals)
{
	bool		insert = TRIGGER_FIRED_BY_INSERT(trigdata->tg_event);

	read_row(reader, trigdata->tg_trigslot, !insert, arrivals);
	if (TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event))
		read_row(reader, trigdata->tg_newslot, true, arrivals);
}

/* what a trigger call is about, as lq_guard_run() takes it */
typedef struct Fired
{
	LqReader	reader;
	TriggerData *trigdata;
	LqArrivals	arrivals;
} Fired;

static void
read_fired(void *arg)
{
	Fired	   *fired = arg;

	if (TRIGGER_FIRED_FOR_STATEMENT(fired->trigdata->tg_event))
		read_statement(&fired->reader, fired->trigdata, &fired->arrivals);
	else
		read_rows(&fired->reader, fired->trigdata, &fired->arrivals);
}

static void
activities_changed(LqLive *live, LqSource *source, TriggerData *trigdata)
{
	Fired		fired = {{0}};
	LqGuard		guard = {0};

	fired.trigdata = trigdata;
	fired.reader.pipeline = live->pipeline;
	fired.reader.source = source;
	fired.reader.rel = trigdata->tg_relation;
	fired.reader.guard = &guard;
	fired.reader.live = true;
	lq_guard_begin(&guard, live->pipeline->name, live->pipeline->time_zone,
				   live->pipeline->owner);
	lq_guard_run(&guard, read_fired, &fired);
	lq_guard_end(&guard);
	lq_live_arrivals(live, &fired.arrivals);
}

PG_FUNCTION_INFO_V1(lq_activity_changed);

/*
 * activity_changed(pipeline, source number [, 'collect' | 'flush'])
 */
Datum
lq_activity_changed(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	LqLive		live;
	LqSource   *source;
	const char *third;

	if (!lq_live_begin(&live, trigdata, "activity_changed"))
		return PointerGetDatum(NULL);
	source = lq_live_source(&live, trigdata);
	third = trigdata->tg_trigger->tgnargs > 2 ? trigdata->tg_trigger->tgargs[2] : "";
	if (TRIGGER_FIRED_BY_TRUNCATE(trigdata->tg_event))
		lq_recompute_all_leads(live.pipeline);
	else if (!OidIsValid(source->relid) && source->lead == NULL)
		;						/* a column is gone: lead_qualify.problem says so */
	else if (strcmp(third, "flush") == 0)
		lq_deferred_flush(&live);
	else if (strcmp(third, "collect") == 0)
		lq_deferred_collect(&live, source, trigdata);
	else
		activities_changed(&live, source, trigdata);
	lq_live_end(&live);
	return PointerGetDatum(NULL);
}
