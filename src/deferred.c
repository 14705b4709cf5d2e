/*
 * deferred.c
 *		fire => 'deferred': rows are collected as they come and worked off by
 *		the first deferred trigger at the end of the transaction, all leads in
 *		key order.
 *
 * The list belongs to the transaction; rows of a subtransaction that rolls
 * back are forgotten.
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/xact.h"
#include "executor/executor.h"
#include "live.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/rel.h"

/* a table as it was when it fired */
typedef struct FiredTable
{
	Oid			relid;
	TupleDesc	desc;
} FiredTable;

typedef struct Deferred
{
	int32		source;
	const FiredTable *table;
	HeapTuple	row;
	bool		replay;
	SubTransactionId subxact;	/* that collected it */
	SubTransactionId flushed;	/* that scored it, or InvalidSubTransactionId */
} Deferred;

/*
 * Rows of one pipeline; all of it in TopTransactionContext.  What a
 * subtransaction that has not ended has collected is at the end of the list.
 */
typedef struct Collected
{
	char	   *pipeline;
	List	   *tables;			/* of FiredTable: sources, or their partitions */
	List	   *rows;			/* of Deferred */
	int			waiting;		/* of them not flushed */
	int			first;			/* those before it are flushed */
	SubTransactionId flusher;	/* the innermost one that has flushed any of them */
} Collected;

static List *collected = NIL;

static void
xact_callback(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT ||
		event == XACT_EVENT_PREPARE)
		collected = NIL;		/* freed with TopTransactionContext */
}

/* what a subtransaction has flushed is the parent's doing, or waits again */
static void
flushed_end(Collected *c, SubTransactionId subxact, SubTransactionId parent)
{
	ListCell   *lc;

	if (c->flusher != subxact)
		return;
	c->flusher = InvalidSubTransactionId;
	foreach(lc, c->rows)
	{
		Deferred   *d = lfirst(lc);

		if (d->flushed == subxact)
		{
			d->flushed = parent;
			c->waiting += parent == InvalidSubTransactionId;
		}
		c->flusher = Max(c->flusher, d->flushed);
	}
	if (parent == InvalidSubTransactionId)
		c->first = 0;
}

/* a subtransaction takes back what it collected */
static void
rows_abort(Collected *c, SubTransactionId subxact)
{
	flushed_end(c, subxact, InvalidSubTransactionId);
	while (c->rows != NIL)
	{
		Deferred   *d = llast(c->rows);

		if (d->subxact != subxact)
			break;
		c->waiting -= d->flushed == InvalidSubTransactionId;
		heap_freetuple(d->row);
		pfree(d);
		c->rows = list_delete_last(c->rows);
	}
	c->first = Min(c->first, list_length(c->rows));
}

static void
rows_commit(Collected *c, SubTransactionId subxact, SubTransactionId parent)
{
	flushed_end(c, subxact, parent);
	for (int i = list_length(c->rows) - 1; i >= 0; i--)
	{
		Deferred   *d = list_nth(c->rows, i);

		if (d->subxact != subxact)
			break;
		d->subxact = parent;
	}
}

static void
subxact_callback(SubXactEvent event, SubTransactionId mySubid,
				 SubTransactionId parentSubid, void *arg)
{
	ListCell   *lc;

	foreach(lc, collected)
	{
		if (event == SUBXACT_EVENT_COMMIT_SUB)
			rows_commit(lfirst(lc), mySubid, parentSubid);
		else if (event == SUBXACT_EVENT_ABORT_SUB)
			rows_abort(lfirst(lc), mySubid);
	}
}

void
lq_deferred_init(void)
{
	RegisterXactCallback(xact_callback, NULL);
	RegisterSubXactCallback(subxact_callback, NULL);
}

static Collected *
collected_of(const char *pipeline, bool create)
{
	ListCell   *lc;
	Collected  *c;

	foreach(lc, collected)
	{
		c = lfirst(lc);
		if (strcmp(c->pipeline, pipeline) == 0)
			return c;
	}
	if (!create)
		return NULL;
	c = palloc0(sizeof(Collected));
	c->pipeline = pstrdup(pipeline);
	collected = lappend(collected, c);
	return c;
}

/* kept until the end of the transaction */
static const FiredTable *
fired_table(Collected *c, Relation rel)
{
	ListCell   *lc;
	FiredTable *table;

	foreach(lc, c->tables)
	{
		table = lfirst(lc);
		if (table->relid == RelationGetRelid(rel) &&
			equalTupleDescs(table->desc, RelationGetDescr(rel)))
			return table;
	}
	table = palloc(sizeof(FiredTable));
	table->relid = RelationGetRelid(rel);
	table->desc = CreateTupleDescCopyConstr(RelationGetDescr(rel));
	c->tables = lappend(c->tables, table);
	return table;
}

static void
collect(LqLive *live, LqSource *source, Relation rel, TupleTableSlot *slot, bool replay)
{
	MemoryContext old = MemoryContextSwitchTo(TopTransactionContext);
	Collected  *c = collected_of(live->pipeline->name, true);
	Deferred   *d = palloc(sizeof(Deferred));

	d->source = source->number;
	d->table = fired_table(c, rel);
	d->row = ExecCopySlotHeapTuple(slot);
	d->replay = replay;
	d->subxact = GetCurrentSubTransactionId();
	d->flushed = InvalidSubTransactionId;
	c->rows = lappend(c->rows, d);
	c->waiting++;
	MemoryContextSwitchTo(old);
}

/* note the row that fired, to be scored later */
void
lq_deferred_collect(LqLive *live, LqSource *source, TriggerData *trigdata)
{
	bool		insert = TRIGGER_FIRED_BY_INSERT(trigdata->tg_event);

	collect(live, source, trigdata->tg_relation, trigdata->tg_trigslot, !insert);
	if (TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event))
		collect(live, source, trigdata->tg_relation, trigdata->tg_newslot, true);
}

/* a table whose rows a flush reads */
typedef struct OpenTable
{
	const FiredTable *table;
	Relation	rel;			/* NULL: it was dropped since */
	TupleTableSlot *slot;
} OpenTable;

/* a flush at work, as lq_live_read() takes it */
typedef struct Flush
{
	LqLive	   *live;
	Collected  *rows;
	LqReader	reader;
	List	   *tables;			/* of OpenTable */
	OpenTable  *last;			/* that of the row before */
	LqArrivals	arrivals;
} Flush;

static OpenTable *
open_table(Flush *flush, const FiredTable *table)
{
	ListCell   *lc;
	OpenTable  *open;

	foreach(lc, flush->tables)
	{
		open = lfirst(lc);
		if (open->table == table)
			return open;
	}
	open = palloc0(sizeof(OpenTable));
	open->table = table;
	open->rel = try_relation_open(table->relid, AccessShareLock);
	if (open->rel != NULL && !equalTupleDescs(table->desc, RelationGetDescr(open->rel)))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" was altered while activities of it waited for the end of the transaction",
						RelationGetRelationName(open->rel)),
				 errhint("Alter it in a transaction of its own.")));
	if (open->rel != NULL)
		open->slot = MakeSingleTupleTableSlot(table->desc, &TTSOpsHeapTuple);
	flush->tables = lappend(flush->tables, open);
	return open;
}

static void
close_tables(Flush *flush)
{
	ListCell   *lc;

	foreach(lc, flush->tables)
	{
		OpenTable  *open = lfirst(lc);

		if (open->rel == NULL)
			continue;
		ExecDropSingleTupleTableSlot(open->slot);
		relation_close(open->rel, NoLock);
	}
}

/* one collected row becomes an arrival, unless its table was dropped since */
static void
read_collected(Flush *flush, const Deferred *d)
{
	LqReader   *reader = &flush->reader;
	OpenTable  *open = flush->last;

	reader->source = lq_source_get(flush->live->pipeline, d->source);
	if (reader->source == NULL || reader->source->lead == NULL)
		return;
	if (open == NULL || open->table != d->table)
		open = flush->last = open_table(flush, d->table);
	reader->rel = open->rel;
	if (reader->rel == NULL)
		return;
	ExecStoreHeapTuple(d->row, open->slot, false);
	lq_arrivals_take(&flush->arrivals, reader, open->slot, d->replay);
	ExecClearTuple(open->slot);
}

static void
read_all(void *arg)
{
	Flush	   *flush = arg;
	ListCell   *lc;

	for_each_from(lc, flush->rows->rows, flush->rows->first)
	{
		Deferred   *d = lfirst(lc);

		CHECK_FOR_INTERRUPTS();
		if (d->flushed == InvalidSubTransactionId)
			read_collected(flush, d);
	}
}

/* does anything wait to be scored at the end of the transaction? */
bool
lq_deferred_waits(const char *pipeline)
{
	Collected  *c = collected_of(pipeline, false);

	return c != NULL && c->waiting > 0;
}

/* no savepoint can take back what is flushed outside of any */
static void
rows_flushed(Collected *c)
{
	ListCell   *lc;

	for_each_from(lc, c->rows, c->first)
	{
		Deferred   *d = lfirst(lc);

		if (d->flushed == InvalidSubTransactionId)
			d->flushed = GetCurrentSubTransactionId();
	}
	c->waiting = 0;
	c->flusher = GetCurrentSubTransactionId();
	c->first = list_length(c->rows);
	if (GetCurrentTransactionNestLevel() > 1)
		return;
	foreach(lc, c->rows)
		heap_freetuple(((Deferred *) lfirst(lc))->row);
	list_free_deep(c->rows);
	c->rows = NIL;
	c->first = 0;
}

/* score all that waits for the pipeline; later calls find nothing */
void
lq_deferred_flush(LqLive *live)
{
	Flush		flush = {0};

	flush.live = live;
	flush.rows = collected_of(live->pipeline->name, false);
	if (flush.rows == NULL)
		return;
	flush.reader.pipeline = live->pipeline;
	lq_live_read(&flush.reader, read_all, &flush);
	close_tables(&flush);
	rows_flushed(flush.rows);
	lq_live_arrivals(live, &flush.arrivals);
}
