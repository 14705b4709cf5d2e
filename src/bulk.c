/*
 * bulk.c
 *		Inserts of so many activities that they are not kept in memory: sorted
 *		by lead, on disk if need be, and scored some leads at a time.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "live.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/tuplesort.h"
#include "utils/typcache.h"

/* rows that are read before their leads are scored, and then to the end of a lead */
#define BATCH_ROWS 50000

typedef struct Bulk
{
	LqLive	   *live;
	LqReader   *reader;
	TriggerData *trigdata;
	Tuplesortstate *sort;
	TupleTableSlot *unsorted;	/* lead, and the row as bytes */
	TupleTableSlot *sorted;		/* the same */
	TupleTableSlot *row;		/* of the activity table */
	MemoryContext per_row;		/* while rows are put in */
	bool		waiting;		/* sorted holds a row that is not read yet */
	LqArrivals	arrivals;
} Bulk;

static void
begin_sort(Bulk *bulk)
{
	LqPipeline *p = bulk->live->pipeline;
	TupleDesc	desc = CreateTemplateTupleDesc(2);
	AttrNumber	column = 1;
	Oid			less = lookup_type_cache(p->key_type, TYPECACHE_LT_OPR)->lt_opr;
	bool		nulls_first = false;

	TupleDescInitEntry(desc, 1, "lead", p->key_type, -1, 0);
	TupleDescInitEntry(desc, 2, "row", BYTEAOID, -1, 0);
	bulk->unsorted = MakeSingleTupleTableSlot(desc, &TTSOpsVirtual);
	bulk->sorted = MakeSingleTupleTableSlot(desc, &TTSOpsMinimalTuple);
	bulk->row = MakeSingleTupleTableSlot(RelationGetDescr(bulk->reader->rel), &TTSOpsMinimalTuple);
	bulk->sort = tuplesort_begin_heap(desc, 1, &column, &less, &p->key_collation, &nulls_first,
									  work_mem, NULL, TUPLESORT_NONE);
}

/* as lq_transition_rows() takes it */
static void
put_row(void *arg, TupleTableSlot *slot)
{
	Bulk	   *bulk = arg;
	TupleTableSlot *out = bulk->unsorted;
	MinimalTuple row;
	Datum		lead;
	bytea	   *bytes;
	MemoryContext old;

	MemoryContextReset(bulk->per_row);
	old = MemoryContextSwitchTo(bulk->per_row);
	if (!lq_activity_lead(bulk->reader, slot, &lead))
	{
		MemoryContextSwitchTo(old);
		return;
	}
	row = ExecCopySlotMinimalTuple(slot);
	bytes = palloc(VARHDRSZ + row->t_len);
	SET_VARSIZE(bytes, VARHDRSZ + row->t_len);
	memcpy(VARDATA(bytes), row, row->t_len);
	ExecClearTuple(out);
	out->tts_values[0] = lead;
	out->tts_values[1] = PointerGetDatum(bytes);
	out->tts_isnull[0] = out->tts_isnull[1] = false;
	(void) ExecStoreVirtualTuple(out);
	MemoryContextSwitchTo(old);
	tuplesort_puttupleslot(bulk->sort, out);
}

static void
put_rows(void *arg)
{
	Bulk	   *bulk = arg;

	lq_transition_rows(bulk->trigdata, bulk->trigdata->tg_newtable, put_row, bulk);
}

/* the row in sorted becomes an arrival */
static void
read_row(Bulk *bulk)
{
	bool		isnull;
	bytea	   *bytes = DatumGetByteaPP(slot_getattr(bulk->sorted, 2, &isnull));
	Size		size = VARSIZE_ANY_EXHDR(bytes);
	MinimalTuple row = palloc(size);

	memcpy(row, VARDATA_ANY(bytes), size);
	ExecStoreMinimalTuple(row, bulk->row, true);
	lq_arrivals_take(&bulk->arrivals, bulk->reader, bulk->row, false);
	ExecClearTuple(bulk->row);
}

/* whole leads, until there are rows enough */
static void
read_batch(void *arg)
{
	Bulk	   *bulk = arg;
	LqPipeline *p = bulk->live->pipeline;
	LqArrivals *a = &bulk->arrivals;

	while (bulk->waiting)
	{
		bool		isnull;
		Datum		lead = slot_getattr(bulk->sorted, 1, &isnull);

		CHECK_FOR_INTERRUPTS();
		if (a->count >= BATCH_ROWS && lq_key_cmp(p, a->rows[a->count - 1].lead, lead) != 0)
			break;
		read_row(bulk);
		bulk->waiting = tuplesort_gettupleslot(bulk->sort, true, false, bulk->sorted, NULL);
	}
}

/* score the activities that a statement has inserted */
void
lq_live_bulk(LqLive *live, LqReader *reader, TriggerData *trigdata)
{
	Bulk		bulk = {live, reader, trigdata};
	MemoryContext batch;
	MemoryContext old;

	begin_sort(&bulk);
	bulk.per_row = AllocSetContextCreate(CurrentMemoryContext, "lead_qualify row",
										 ALLOCSET_SMALL_SIZES);
	lq_live_read(reader, put_rows, &bulk);
	ExecDropSingleTupleTableSlot(bulk.unsorted);
	MemoryContextDelete(bulk.per_row);
	tuplesort_performsort(bulk.sort);
	bulk.waiting = tuplesort_gettupleslot(bulk.sort, true, false, bulk.sorted, NULL);
	batch = AllocSetContextCreate(CurrentMemoryContext, "lead_qualify batch of activities",
								  ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(batch);
	while (bulk.waiting)
	{
		memset(&bulk.arrivals, 0, sizeof(LqArrivals));
		lq_live_read(reader, read_batch, &bulk);
		lq_live_arrivals(live, &bulk.arrivals);
		MemoryContextReset(batch);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(batch);
	tuplesort_end(bulk.sort);
	ExecDropSingleTupleTableSlot(bulk.sorted);
	ExecDropSingleTupleTableSlot(bulk.row);
}
