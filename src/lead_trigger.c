/*
 * lead_trigger.c
 *		Shell "live": triggers on the leads table.
 *
 * INSERT takes in the activities that are already there.  UPDATE compares in
 * C the columns that the model reads: a change of one is an attribute event;
 * a stage that is not the state's own is a manual move by the application.
 * DELETE and TRUNCATE forget the person and keep the history without him; a
 * changed key takes everything along.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "live.h"
#include "move.h"
#include "run.h"
#include "side_columns.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

/* a column of a row that may be a partition's, by name; the type too */
static Datum
row_value(Relation rel, TupleTableSlot *slot, const char *column, bool *isnull, Oid *type)
{
	AttrNumber	attnum = get_attnum(RelationGetRelid(rel), column);

	if (attnum == InvalidAttrNumber)
		elog(ERROR, "table \"%s\" has no column \"%s\"", RelationGetRelationName(rel), column);
	if (type != NULL)
		*type = TupleDescAttr(RelationGetDescr(rel), attnum - 1)->atttypid;
	return slot_getattr(slot, attnum, isnull);
}

/* text of the stage column, NULL if null */
static char *
row_stage(LqLive *live, Relation rel, TupleTableSlot *slot)
{
	bool		isnull;
	Oid			type;
	Datum		value = row_value(rel, slot, live->pipeline->stage_column, &isnull, &type);

	if (isnull)
		return NULL;
	/* a stage is not longer for being kept in a column of fixed length */
	return type == BPCHAROID ? TextDatumGetCString(DirectFunctionCall1(rtrim1, value)) :
		lq_value_text(type, value);
}

/* false if the key is null: such a row is no lead */
static bool
row_key(LqLive *live, Relation rel, TupleTableSlot *slot, Datum *key)
{
	LqPipeline *p = live->pipeline;
	bool		isnull;
	Oid			type;
	Datum		value = row_value(rel, slot, p->lead_key, &isnull, &type);

	if (type != p->key_type && getBaseType(type) != p->key_type)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("table \"%s\" is not the leads table of pipeline \"%s\"",
						RelationGetRelationName(rel), p->name),
				 errdetail("Its column \"%s\" is of type %s, not %s.", p->lead_key,
						   format_type_be(type), format_type_be(p->key_type)),
				 errhint("Drop the trigger; triggers are made by lead_qualify.attach().")));
	if (!isnull)
		*key = datumCopy(value, p->key_byval, p->key_len);
	return !isnull;
}

/* ----------------------------------------------------------------
 * INSERT
 * ----------------------------------------------------------------
 */

/* rows of an INSERT on leads, for lq_transition_rows() */
typedef struct Inserted
{
	LqLive	   *live;
	Relation	rel;
	LqArrivals	arrivals;
} Inserted;

static void
read_inserted(void *arg, TupleTableSlot *slot)
{
	Inserted   *inserted = arg;
	Datum		key;

	if (row_key(inserted->live, inserted->rel, slot, &key))
		lq_arrivals_add(&inserted->arrivals, key, NULL);
}

static void
leads_inserted(LqLive *live, TriggerData *trigdata)
{
	Inserted	inserted = {live, trigdata->tg_relation, {0}};

	if (TRIGGER_FIRED_FOR_ROW(trigdata->tg_event))
		read_inserted(&inserted, trigdata->tg_trigslot);
	else
		lq_transition_rows(trigdata, trigdata->tg_newtable, read_inserted, &inserted);
	live->inserting = true;
	lq_live_arrivals(live, &inserted.arrivals);
}

/* ----------------------------------------------------------------
 * UPDATE
 * ----------------------------------------------------------------
 */

/*
 * Statements on side tables that follow a lead; the answers' own trigger must
 * not take them for somebody's.
 */
static bool following = false;

bool
lq_follows_lead(void)
{
	return following;
}

static uint64
follow(LqPipeline *p, const char *query, int nargs, Datum *values)
{
	Oid			types[2] = {p->key_type, p->key_type};
	bool		before = following;
	int			code = 0;

	following = true;
	PG_TRY();
	{
		code = SPI_execute_with_args(query, nargs, types, values, NULL, false, 0);
	}
	PG_FINALLY();
	{
		following = before;
	}
	PG_END_TRY();
	if (code < 0)
		elog(ERROR, "could not run \"%s\": %s", query, SPI_result_code_string(code));
	return SPI_processed;
}

/* side tables follow a lead whose key was changed */
static void
key_changed(LqLive *live, Datum old, Datum new)
{
	LqPipeline *p = live->pipeline;
	Datum		values[2] = {old, new};

	SPI_connect();
	for (int i = 0; i < LQ_NSIDE_TABLES; i++)
		follow(p, lq_format("UPDATE %s SET lead = $2 WHERE lead = $1",
							lq_side_name(p, lq_side_tables[i].suffix)), 2, values);
	SPI_finish();
}

/* store the new image and make it an event */
static TimestampTz
attributes_changed(LqCases *cases, LqCase *c, const LqImage *before, LqImage *after)
{
	LqEvent		event = {0};

	/* an activity of this very statement may have been judged by the new row */
	c->replay = c->replay || !c->scored || c->written_here;
	event.pos.at = lq_time_of_change(c, LQ_EVENT_ATTRIBUTE);
	event.pos.kind = LQ_EVENT_ATTRIBUTE;
	event.attributes = lq_image_tuple(RelationGetDescr(cases->leads), after);
	if (!lq_image_exists(cases, c))
		lq_image_store(cases, c, before, DT_NOBEGIN);
	else
		lq_image_amend(cases, c, before);
	lq_image_store(cases, c, after, event.pos.at);
	lq_case_add_event(c, &event);
	return event.pos.at;
}

/* a stage that is not the state's own was written by the application */
static void
stage_changed(LqLive *live, LqCase *c, const char *before, const char *after,
			  TimestampTz not_before)
{
	LqPipeline *p = live->pipeline;
	const char *stage;
	LqEvent		event = {0};

	/* our own write; an event of the past may lead into a stage that is no more */
	if (c->stored && lq_column_says(p, after, c->lead.stage))
		return;
	stage = lq_stage_of_column(p, after, true);
	if (stage == NULL)			/* NULL: back to the beginning */
		stage = lq_first_stage(p);
	if (c->stored && lq_text_equal(c->lead.stage, stage))
		return;
	if (!c->scored)
	{
		c->replay = true;
		if (!c->stored)
		{
			c->initial = lq_stage_of_column(p, before, false);
			if (c->initial == NULL)
				c->initial = lq_first_stage(p);
		}
	}
	event.pos.at = Max(lq_time_of_change(c, LQ_EVENT_MANUAL), not_before);
	event.pos.kind = LQ_EVENT_MANUAL;
	event.stage = stage;
	event.cause = "manual";
	event.held_until = DT_NOEND;
	lq_live_by_hand(&event, live->caller);
	lq_case_add_event(c, &event);
}

/* what a lead's row was and what it is now */
static void
lead_compare(LqLive *live, LqCases *cases, const LqImage *was, LqImage *is,
			 const char *before, const char *after)
{
	LqCase	   *c = &cases->cases[0];
	bool		moved = !lq_text_equal(before, after);
	bool		changed = !lq_image_equal(RelationGetDescr(cases->leads), was, is);
	TimestampTz at = DT_NOBEGIN;

	if (!moved && !changed && !c->replay)
		return;
	lq_live_cases_init(live, cases);
	lq_cases_lock(cases);
	lq_cases_read(cases);
	if (!c->exists)
		return;					/* erased, or gone meanwhile */
	if (changed)
		at = attributes_changed(cases, c, was, is);
	if (moved)
		stage_changed(live, c, before, after, at);
	if (c->nevents == 0 && !c->replay)
		return;
	lq_live_run(live, cases);
	/* in shadow mode the column says where a lead is, and not the state */
	if (!live->pipeline->shadow)
		lq_move_check(cases, c);
}

static LqImage *
slot_image(LqLive *live, LqCases *cases, Relation rel, TupleTableSlot *slot)
{
	return lq_image_of_row(live->pipeline, RelationGetDescr(cases->leads),
						   ExecFetchSlotHeapTuple(slot, false, NULL),
						   RelationGetDescr(rel));
}

static void
lead_updated(LqLive *live, TriggerData *trigdata)
{
	LqPipeline *p = live->pipeline;
	Relation	rel = trigdata->tg_relation;
	Datum		key;
	Datum		old;
	LqCases    *cases;

	if (!row_key(live, rel, trigdata->tg_newslot, &key))
		return;
	cases = lq_cases_create(p, &key, 1);
	if (!row_key(live, rel, trigdata->tg_trigslot, &old))
		cases->cases[0].replay = true;	/* it was no lead before */
	else if (lq_key_cmp(p, old, key) != 0)
	{
		lq_newcomers_leads(cases);
		key_changed(live, old, key);
		/* activities may or may not have followed */
		cases->cases[0].replay = true;
	}
	lead_compare(live, cases,
				 slot_image(live, cases, rel, trigdata->tg_trigslot),
				 slot_image(live, cases, rel, trigdata->tg_newslot),
				 row_stage(live, rel, trigdata->tg_trigslot),
				 row_stage(live, rel, trigdata->tg_newslot));
	lq_cases_close(cases);
}

/* ----------------------------------------------------------------
 * DELETE, TRUNCATE
 * ----------------------------------------------------------------
 */

/* a key that no lead has, for the history of one that is gone */
static const char *
random_key_sql(Oid type)
{
	switch (type)
	{
		case UUIDOID:
			return "pg_catalog.gen_random_uuid()";
		case INT2OID:
			return "(-1 - pg_catalog.floor(pg_catalog.random() * 32767))::pg_catalog.int2";
		case INT4OID:
			return "(-1 - pg_catalog.floor(pg_catalog.random() * 2147483647))::pg_catalog.int4";
		case INT8OID:
			return "(-1 - pg_catalog.floor(pg_catalog.random() * 9007199254740991))::pg_catalog.int8";
		default:
			return "('erased ' || pg_catalog.gen_random_uuid())";
	}
}

/*
 * An UPDATE that moves a row to another partition comes as a DELETE: the lead
 * is still there.  True if so; then it has been treated as updated.
 */
static bool
lead_moved(LqLive *live, TriggerData *trigdata, Datum key)
{
	Relation	rel = trigdata->tg_relation;
	LqCases    *cases;
	bool		moved;

	if (!rel->rd_rel->relispartition)
		return false;
	cases = lq_cases_create(live->pipeline, &key, 1);
	lq_cases_lock(cases);
	moved = cases->cases[0].exists;
	if (moved)
		lead_compare(live, cases,
					 slot_image(live, cases, rel, trigdata->tg_trigslot),
					 cases->cases[0].current != NULL ? cases->cases[0].current :
					 lq_image_create(live->pipeline, RelationGetDescr(cases->leads)),
					 row_stage(live, rel, trigdata->tg_trigslot),
					 cases->cases[0].column);
	lq_cases_close(cases);
	return moved;
}

/*
 * SQL of what rows "h" of the history keep of the leads' columns, so that
 * reports can still be split by them.
 */
static char *
segments_sql(const LqPipeline *p)
{
	StringInfoData buf;
	ListCell   *lc;

	if (p->segments == NIL)
		return "NULL";
	initStringInfo(&buf);
	appendStringInfoString(&buf, "pg_catalog.jsonb_build_object(");
	foreach(lc, p->segments)
		lq_append(&buf, "%s%L, %s", foreach_current_index(lc) > 0 ? ", " : "", lfirst(lc),
				  lq_as_of_sql(lq_side_name(p, "attributes"), "h.lead", "h.entered_at", lfirst(lc)));
	appendStringInfoChar(&buf, ')');
	return buf.data;
}

/*
 * Forget a person: state, attributes, answers, reasons and notes go; the
 * history stays under a random key, so that what reports have counted they
 * count again.  A lead that is excluded they leave out because its state says
 * so: its history goes, too.  Returns how many rows there were.
 */
uint64
lq_lead_forget(LqPipeline *p, Datum key)
{
	uint64		rows;

	SPI_connect();
	rows = follow(p, lq_format("DELETE FROM %s h WHERE h.lead = $1 AND EXISTS "
							   "(SELECT FROM %s q WHERE q.lead = $1 AND q.excluded IS NOT NULL)",
							   lq_side_name(p, "stage_history"),
							   lq_side_name(p, "qualification")), 1, &key);
	/* one random key for all rows of the lead: materialized, or each has its own */
	rows += follow(p, lq_format("WITH k AS MATERIALIZED (SELECT %s AS key) "
								"UPDATE %s h SET lead = k.key, reason = NULL, note = NULL, moved_by = NULL, "
								"segments = %s FROM k WHERE h.lead = $1",
								random_key_sql(p->key_type),
								lq_side_name(p, "stage_history"), segments_sql(p)), 1, &key);
	for (int i = 0; i < LQ_NSIDE_TABLES; i++)
		if (lq_side_tables[i].personal)
			rows += follow(p, lq_format("DELETE FROM %s WHERE lead = $1",
										lq_side_name(p, lq_side_tables[i].suffix)), 1, &key);
	SPI_finish();
	return rows;
}

static void
lead_deleted(LqLive *live, TriggerData *trigdata)
{
	Datum		key;

	if (row_key(live, trigdata->tg_relation, trigdata->tg_trigslot, &key) &&
		!lead_moved(live, trigdata, key))
		(void) lq_lead_forget(live->pipeline, key);
}

static void
leads_truncated(LqLive *live)
{
	LqPipeline *p = live->pipeline;

	SPI_connect();
	lq_run("DELETE FROM %s h USING %s q WHERE q.lead = h.lead AND q.excluded IS NOT NULL",
		   lq_side_name(p, "stage_history"), lq_side_name(p, "qualification"));
	lq_run("WITH k AS MATERIALIZED (SELECT l.lead, %s AS key FROM (SELECT DISTINCT lead FROM %s) l) "
		   "UPDATE %s h SET lead = k.key, reason = NULL, note = NULL, moved_by = NULL, "
		   "segments = COALESCE(h.segments, %s) FROM k WHERE k.lead = h.lead",
		   random_key_sql(p->key_type), lq_side_name(p, "stage_history"),
		   lq_side_name(p, "stage_history"), segments_sql(p));
	/* not TRUNCATE: the same command may have truncated these too */
	for (int i = 0; i < LQ_NSIDE_TABLES; i++)
		if (lq_side_tables[i].personal)
			follow(p, lq_format("DELETE FROM %s", lq_side_name(p, lq_side_tables[i].suffix)), 0, NULL);
	SPI_finish();
}

PG_FUNCTION_INFO_V1(lq_lead_changed);

/*
 * lead_changed(pipeline)
 */
Datum
lq_lead_changed(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	LqLive		live;

	if (!lq_live_begin(&live, trigdata, "lead_changed"))
		return PointerGetDatum(NULL);
	if (TRIGGER_FIRED_BY_TRUNCATE(trigdata->tg_event))
		leads_truncated(&live);
	else if (TRIGGER_FIRED_BY_INSERT(trigdata->tg_event))
		leads_inserted(&live, trigdata);
	else if (TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event))
		lead_updated(&live, trigdata);
	else
		lead_deleted(&live, trigdata);
	lq_live_end(&live);
	return PointerGetDatum(NULL);
}
