/*
 * lead_rows.c
 *		The rows of the leads table: read, and locked in key order.
 *
 * Of an ordinary table a lead's row is found and locked without a statement, which
 * costs more to start than to run.  Who only reads has one, for his rights, and
 * so has every leads table that is not quite ordinary.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "key_rows.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "sql.h"
#include "state.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

/* ----------------------------------------------------------------
 * Statements
 * ----------------------------------------------------------------
 */

/* SQL of the lead's creation time as timestamptz */
static void
append_created_at(StringInfo buf, LqPipeline *p)
{
	AttrNumber	attnum = p->created_at == NULL ? InvalidAttrNumber :
		get_attnum(p->leads, p->created_at);
	Oid			type;

	if (attnum == InvalidAttrNumber)
	{
		appendStringInfoString(buf, "NULL::pg_catalog.timestamptz");
		return;
	}
	type = get_atttype(p->leads, attnum);
	if (type == TIMESTAMPTZOID)
		lq_append(buf, "l.%I", p->created_at);
	else if (type == TIMESTAMPOID || type == DATEOID)
		/* what no time zone can shift out of range */
		lq_append(buf, "CASE WHEN l.%I OPERATOR(pg_catalog.>) '4000-01-01 BC' AND "
				  "l.%I OPERATOR(pg_catalog.<) '200000-01-01' THEN "
				  "pg_catalog.timezone(%L, l.%I::pg_catalog.\"timestamp\") END",
				  p->created_at, p->created_at, p->time_zone, p->created_at);
	else
		appendStringInfoString(buf, "NULL::pg_catalog.timestamptz");
}

/* one lead has a plan of its own, without the sort and the bitmap that many take */
static SPIPlanPtr
plan_leads(LqPipeline *p, LqPlan which)
{
	bool		one = which == LQ_PLAN_LOCK_ONE;
	SPIPlanPtr *slot = lq_plan_slot(p, which);
	StringInfoData buf;
	ListCell   *lc;

	if (*slot != NULL)
		return *slot;
	initStringInfo(&buf);
	lq_append(&buf, "SELECT l.%I, l.%I::pg_catalog.text, l.%I, ", p->lead_key, p->stage_column,
			  p->changed_column);
	append_created_at(&buf, p);
	foreach(lc, p->lead_columns)
	{
		if (get_attnum(p->leads, lfirst(lc)) != InvalidAttrNumber)
			lq_append(&buf, ", l.%I", lfirst(lc));
	}
	lq_append(&buf, " FROM %s l WHERE l.%I OPERATOR(pg_catalog.=) ", lq_leads_name(p), p->lead_key);
	if (one)
		appendStringInfoString(&buf, "$1");
	else
		lq_append(&buf, "ANY ($1) ORDER BY l.%I", p->lead_key);
	if (which != LQ_PLAN_LOOK)
		appendStringInfoString(&buf, " FOR NO KEY UPDATE");
	*slot = lq_plan_keep(buf.data, 1, one ? &p->key_type : &p->key_array);
	return *slot;
}

/* ----------------------------------------------------------------
 * Reading
 * ----------------------------------------------------------------
 */

/*
 * The image in a row: of plan_leads(), whose columns from the fifth on it is,
 * or (slot) of the table itself.
 */
static LqImage *
current_image(LqCases *cases, int row, TupleTableSlot *slot, MemoryContext cxt)
{
	LqPipeline *p = cases->pipeline;
	TupleDesc	desc = RelationGetDescr(cases->leads);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	LqImage    *image = lq_image_create(p, desc);
	int			column = 5;
	ListCell   *lc;

	foreach(lc, p->lead_columns)
	{
		AttrNumber	attnum = get_attnum(p->leads, lfirst(lc));
		Form_pg_attribute att;
		Datum		value;
		bool		isnull;

		if (attnum == InvalidAttrNumber)
			continue;
		att = TupleDescAttr(desc, attnum - 1);
		value = slot != NULL ? slot_getattr(slot, attnum, &isnull) :
			lq_field(row, column++, &isnull);
		image->known[attnum - 1] = true;
		image->nulls[attnum - 1] = isnull;
		if (!isnull)
			image->values[attnum - 1] = datumCopy(value, att->attbyval, att->attlen);
	}
	MemoryContextSwitchTo(old);
	return image;
}

static void
take_row(LqCase *c, char *column, TimestampTz changed_at, TimestampTz created_at)
{
	c->exists = true;
	c->column = column;
	c->column_changed_at = changed_at;
	c->created_at = TIMESTAMP_NOT_FINITE(created_at) ? DT_NOBEGIN : created_at;
}

static void
read_by_sql(LqCases *cases, LqPlan plan)
{
	LqPipeline *p = cases->pipeline;
	MemoryContext cxt = CurrentMemoryContext;
	Datum		values[1];

	values[0] = plan == LQ_PLAN_LOCK_ONE ? cases->cases[0].key :
		PointerGetDatum(lq_key_array(cases, NULL));
	SPI_connect();
	lq_plan_run(plan_leads(p, plan), values, NULL, plan == LQ_PLAN_LOOK);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool		isnull;
		LqCase	   *c = lq_case_find(cases, lq_field(i, 1, &isnull));

		if (c == NULL)
			continue;
		take_row(c, lq_field_text(i, 2, cxt), lq_field_time(i, 3, DT_NOBEGIN),
				 lq_field_time(i, 4, DT_NOBEGIN));
		if (p->lead_columns != NIL)
			c->current = current_image(cases, i, NULL, cxt);
	}
	SPI_finish();
}

/* ----------------------------------------------------------------
 * Without a statement
 * ----------------------------------------------------------------
 */

/* the columns that are read here */
typedef struct Columns
{
	AttrNumber	key;
	AttrNumber	stage;
	AttrNumber	changed_at;
	AttrNumber	created_at;		/* InvalidAttrNumber: there is none */
} Columns;

/* false: one of them is computed or converted, which SQL does */
static bool
find_columns(LqCases *cases, Columns *columns)
{
	LqPipeline *p = cases->pipeline;
	TupleDesc	desc = RelationGetDescr(cases->leads);
	Oid			stage_type;

	columns->key = get_attnum(p->leads, p->lead_key);
	columns->stage = get_attnum(p->leads, p->stage_column);
	columns->changed_at = get_attnum(p->leads, p->changed_column);
	columns->created_at = p->created_at == NULL ? InvalidAttrNumber :
		get_attnum(p->leads, p->created_at);
	stage_type = TupleDescAttr(desc, columns->stage - 1)->atttypid;
	return (stage_type == TEXTOID || stage_type == VARCHAROID) &&
		(columns->created_at == InvalidAttrNumber ||
		 (TupleDescAttr(desc, columns->created_at - 1)->atttypid == TIMESTAMPTZOID &&
		  TupleDescAttr(desc, columns->created_at - 1)->attgenerated != 'v'));	/* 18's virtual */
}

static TimestampTz
time_of(TupleTableSlot *slot, AttrNumber column)
{
	bool		isnull = true;
	Datum		value = column == InvalidAttrNumber ? (Datum) 0 : slot_getattr(slot, column, &isnull);

	return isnull ? DT_NOBEGIN : DatumGetTimestampTz(value);
}

/* NULL: this takes a statement */
static LqKeyRows *
open_directly(LqCases *cases, Columns *columns)
{
	if (cases->read_only || !find_columns(cases, columns))
		return NULL;
	return lq_key_rows_open(cases->leads, columns->key, cases->pipeline->key_type);
}

static bool
lock_directly(LqCases *cases)
{
	Columns		columns;
	LqKeyRows  *rows = open_directly(cases, &columns);

	if (rows == NULL)
		return false;
	/* as a statement would */
	PreventCommandIfReadOnly("SELECT FOR NO KEY UPDATE");
	LockRelation(cases->leads, RowShareLock);
	for (int i = 0; i < cases->count; i++)
	{
		LqCase	   *c = &cases->cases[i];
		Datum		stage;
		bool		isnull;

		if (!lq_key_rows_lock(rows, c->key))
			continue;
		stage = slot_getattr(rows->slot, columns.stage, &isnull);
		take_row(c, isnull ? NULL : TextDatumGetCString(stage),
				 time_of(rows->slot, columns.changed_at), time_of(rows->slot, columns.created_at));
		if (cases->pipeline->lead_columns != NIL)
			c->current = current_image(cases, 0, rows->slot, CurrentMemoryContext);
	}
	lq_key_rows_close(rows);
	return true;
}

/* ----------------------------------------------------------------
 * Entry points
 * ----------------------------------------------------------------
 */

/* which of the leads exist, without locks */
void
lq_cases_look(LqCases *cases)
{
	Columns		columns;
	LqKeyRows  *rows = open_directly(cases, &columns);

	if (rows == NULL)
	{
		read_by_sql(cases, LQ_PLAN_LOOK);
		return;
	}
	for (int i = 0; i < cases->count; i++)
		cases->cases[i].exists = lq_key_rows_find(rows, cases->cases[i].key);
	lq_key_rows_close(rows);
}

/*
 * Read the leads rows and lock them in key order, unless read_only.  Cases whose lead
 * does not exist keep exists = false.
 */
void
lq_cases_lock(LqCases *cases)
{
	if (cases->count == 0)
		return;
	/* they may have been looked at before */
	for (int i = 0; i < cases->count; i++)
		cases->cases[i].exists = false;
	if (!lock_directly(cases))
		read_by_sql(cases, cases->read_only ? LQ_PLAN_LOOK :
					cases->count == 1 ? LQ_PLAN_LOCK_ONE : LQ_PLAN_LOCK);
}
