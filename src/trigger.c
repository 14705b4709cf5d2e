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

#include "live.h"
#include "replay.h"
#include "utils/rel.h"
#include "utils/tuplestore.h"

/* an insert of more rows is sorted on disk */
#define MANY_ROWS 100000

/* what a trigger call is about, as lq_live_read() and lq_transition_rows() take it */
typedef struct Fired
{
	LqReader	reader;
	TriggerData *trigdata;
	bool		replay;			/* the rows at hand were updated or deleted */
	LqArrivals	arrivals;
} Fired;

/* as lq_transition_rows() takes it */
static void
read_row(void *arg, TupleTableSlot *slot)
{
	Fired	   *fired = arg;

	lq_arrivals_take(&fired->arrivals, &fired->reader, slot, fired->replay);
}

/* old and new rows, of a statement or one */
static void
read_fired(void *arg)
{
	Fired	   *fired = arg;
	TriggerData *trigdata = fired->trigdata;
	bool		insert = TRIGGER_FIRED_BY_INSERT(trigdata->tg_event);

	fired->replay = !insert;
	if (TRIGGER_FIRED_FOR_ROW(trigdata->tg_event))
	{
		read_row(fired, trigdata->tg_trigslot);
		if (TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event))
			read_row(fired, trigdata->tg_newslot);
		return;
	}
	if (!insert)
		lq_transition_rows(trigdata, trigdata->tg_oldtable, read_row, fired);
	if (!TRIGGER_FIRED_BY_DELETE(trigdata->tg_event))
		lq_transition_rows(trigdata, trigdata->tg_newtable, read_row, fired);
}

static void
activities_changed(LqLive *live, LqSource *source, TriggerData *trigdata)
{
	Fired		fired = {{0}};

	fired.trigdata = trigdata;
	fired.reader.pipeline = live->pipeline;
	fired.reader.source = source;
	fired.reader.rel = trigdata->tg_relation;
	if (TRIGGER_FIRED_BY_INSERT(trigdata->tg_event) && trigdata->tg_newtable != NULL &&
		tuplestore_tuple_count(trigdata->tg_newtable) > MANY_ROWS)
	{
		lq_live_bulk(live, &fired.reader, trigdata);
		return;
	}
	lq_live_read(&fired.reader, read_fired, &fired);
	lq_live_arrivals(live, &fired.arrivals);
}

/* a row is only noted: no need to become the leads owner for each */
static void
collect(TriggerData *trigdata)
{
	LqLive		live;

	if (!TRIGGER_FIRED_FOR_ROW(trigdata->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("trigger \"%s\" must be FOR EACH ROW", trigdata->tg_trigger->tgname),
				 errhint("Triggers are made by lead_qualify.attach() and add_source().")));
	if (lq_live_check(&live, trigdata, "activity_changed"))
		lq_deferred_collect(&live, lq_live_source(&live, trigdata), trigdata);
}

/* scores what the trigger is about */
static void
score(TriggerData *trigdata, bool flush)
{
	LqLive		live;
	LqSource   *source;

	if (!lq_live_begin(&live, trigdata, "activity_changed"))
		return;
	source = lq_live_source(&live, trigdata);
	if (TRIGGER_FIRED_BY_TRUNCATE(trigdata->tg_event))
		lq_recompute_all_leads(live.pipeline);
	else if (!OidIsValid(source->relid) && source->lead == NULL)
		;						/* a column is gone: lead_qualify.problem says so */
	else if (flush)
		lq_deferred_flush(&live);
	else
		activities_changed(&live, source, trigdata);
	lq_live_end(&live);
}

PG_FUNCTION_INFO_V1(lq_activity_changed);

/*
 * activity_changed(pipeline, source number [, 'collect' | 'flush'])
 */
Datum
lq_activity_changed(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	Trigger    *trigger;
	const char *how;

	lq_trigger_check(trigdata, "activity_changed");
	trigger = trigdata->tg_trigger;
	how = trigger->tgnargs < 3 ? "" : trigger->tgargs[2];
	/* what happens to answers while a lead is deleted or merged is our own doing */
	if (trigger->tgnargs > 1 && atoi(trigger->tgargs[1]) == LQ_ANSWERS && lq_follows_lead())
		return PointerGetDatum(NULL);
	if (strcmp(how, "collect") == 0)
		collect(trigdata);
	else if (strcmp(how, "flush") != 0)
		score(trigdata, false);
	else if (lq_deferred_waits(trigger->tgargs[0]))
		score(trigdata, true);
	return PointerGetDatum(NULL);
}
