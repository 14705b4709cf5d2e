/*
 * touches.c
 *		activities_of(): the activities of a pipeline as the engine sees them,
 *		for reports.
 *
 * Rows are read with the caller's rights; what the pipeline says of them
 * (filter, type, time, lead) is evaluated under guard, with the rights of the
 * leads table's owner and the pipeline's settings, as everywhere.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_type.h"
#include "events.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "sql.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

/* one source at work */
typedef struct Touches
{
	ReturnSetInfo *rsinfo;
	LqReader	reader;
	TupleTableSlot *slot;
	MemoryContext row;			/* reset after each row */
	SPITupleTable *table;
	uint64		count;
} Touches;

/* a row of the source becomes a row of the result, if it is an activity of a lead */
static void
touch_row(Touches *t)
{
	LqReader   *reader = &t->reader;
	LqSource   *source = reader->source;
	Datum		values[6];
	bool		nulls[6] = {false};
	Datum		lead;
	TimestampTz at;
	int64		number = 0;
	char	   *key;
	char	   *type;

	if (!lq_activity_lead(reader, t->slot, &lead))
		return;
	type = lq_activity_type(reader, t->slot);
	if (type == NULL || !lq_activity_at(reader, t->slot, &at, &nulls[1]))
		return;
	nulls[3] = !lq_activity_key(reader, t->slot, &number, &key) || key != NULL;
	values[0] = CStringGetTextDatum(lq_key_text(reader->pipeline, lead));
	values[1] = TimestampTzGetDatum(at);
	values[2] = Int32GetDatum(source->number);
	values[3] = Int64GetDatum(number);
	nulls[4] = key == NULL;
	values[4] = nulls[4] ? (Datum) 0 : CStringGetTextDatum(key);
	values[5] = CStringGetTextDatum(type);
	tuplestore_putvalues(t->rsinfo->setResult, t->rsinfo->setDesc, values, nulls);
}

static void
touch_rows(void *arg)
{
	Touches    *t = arg;
	MemoryContext old = MemoryContextSwitchTo(t->row);

	for (uint64 i = 0; i < t->count; i++)
	{
		CHECK_FOR_INTERRUPTS();
		ExecStoreHeapTuple(t->table->vals[i], t->slot, false);
		touch_row(t);
		MemoryContextReset(t->row);
	}
	ExecClearTuple(t->slot);
	MemoryContextSwitchTo(old);
}

static void
touch_source(Touches *t, LqSource *source)
{
	LqReader   *reader = &t->reader;
	LqGuard    *guard = reader->guard;
	LqPipeline *p = reader->pipeline;
	StringInfoData buf;
	Portal		portal;

	reader->source = source;
	reader->rel = table_open(source->relid, AccessShareLock);
	t->slot = MakeSingleTupleTableSlot(RelationGetDescr(reader->rel), &TTSOpsHeapTuple);
	SPI_connect();
	initStringInfo(&buf);
	lq_append_activities(&buf, source, reader->rel);
	portal = SPI_cursor_open_with_args(NULL, buf.data, 0, NULL, NULL, NULL, true,
									   CURSOR_OPT_NO_SCROLL);
	for (;;)
	{
		SPI_cursor_fetch(portal, true, LQ_FETCH_ROWS);
		if (SPI_processed == 0)
			break;
		t->table = SPI_tuptable;
		t->count = SPI_processed;
		lq_guard_begin(guard, p->name, p->time_zone, p->owner);
		lq_guard_run(guard, touch_rows, t);
		lq_guard_end(guard);
		SPI_freetuptable(t->table);
	}
	SPI_cursor_close(portal);
	SPI_finish();
	ExecDropSingleTupleTableSlot(t->slot);
	table_close(reader->rel, NoLock);
}

PG_FUNCTION_INFO_V1(lq_activities_of);

/* activities_of(pipeline): lead, at, source, key_number, key_text, type */
Datum
lq_activities_of(PG_FUNCTION_ARGS)
{
	Touches		t = {0};
	LqGuard		guard = {0};
	LqPipeline *p;
	LqUser		user;

	InitMaterializedSRF(fcinfo, 0);
	if (PG_ARGISNULL(0))
		return (Datum) 0;
	p = lq_pipeline_get(text_to_cstring(PG_GETARG_TEXT_PP(0)), false);
	lq_pipeline_check(p);
	t.rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	t.row = AllocSetContextCreate(CurrentMemoryContext, "lead_qualify activity",
								  ALLOCSET_DEFAULT_SIZES);
	t.reader.pipeline = p;
	t.reader.guard = &guard;
	/* the caller's rights, but not his search_path */
	lq_become(&user, GetUserId());
	for (int i = 0; i < p->nsources; i++)
		if (OidIsValid(p->sources[i].relid))
			touch_source(&t, &p->sources[i]);
	lq_return(&user);
	MemoryContextDelete(t.row);
	return (Datum) 0;
}
