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
#include "utils/memutils.h"
#include "utils/rel.h"

typedef struct Deferred
{
	int32		source;
	Oid			relid;			/* table of the row */
	HeapTuple	row;
	bool		replay;
	SubTransactionId subxact;	/* that collected it */
	SubTransactionId flushed;	/* that scored it, or InvalidSubTransactionId */
} Deferred;

/* rows of one pipeline; all of it in TopTransactionContext */
typedef struct Collected
{
	char	   *pipeline;
	List	   *rows;			/* of Deferred */
	int			waiting;		/* of them not flushed */
} Collected;

static List *collected = NIL;

static void
xact_callback(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT ||
		event == XACT_EVENT_PREPARE)
		collected = NIL;		/* freed with TopTransactionContext */
}

/* a subtransaction takes back what it collected, and what it flushed waits again */
static void
rows_abort(Collected *c, SubTransactionId subxact)
{
	ListCell   *lc;

	foreach(lc, c->rows)
	{
		Deferred   *d = lfirst(lc);

		if (d->flushed == subxact)
		{
			d->flushed = InvalidSubTransactionId;
			c->waiting++;
		}
		if (d->subxact == subxact)
		{
			c->waiting -= d->flushed == InvalidSubTransactionId;
			c->rows = foreach_delete_current(c->rows, lc);
		}
	}
}

static void
rows_commit(Collected *c, SubTransactionId subxact, SubTransactionId parent)
{
	ListCell   *lc;

	foreach(lc, c->rows)
	{
		Deferred   *d = lfirst(lc);

		if (d->subxact == subxact)
			d->subxact = parent;
		if (d->flushed == subxact)
			d->flushed = parent;
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

static void
collect(LqLive *live, LqSource *source, Relation rel, TupleTableSlot *slot, bool replay)
{
	MemoryContext old = MemoryContextSwitchTo(TopTransactionContext);
	Collected  *c = collected_of(live->pipeline->name, true);
	Deferred   *d = palloc(sizeof(Deferred));

	d->source = source->number;
	d->relid = RelationGetRelid(rel);
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

/* one collected row becomes an arrival */
static void
read_collected(LqLive *live, LqGuard *guard, const Deferred *d, LqArrivals *arrivals)
{
	LqReader	reader = {0};
	TupleTableSlot *slot;
	LqEvent		event;
	Datum		lead;

	reader.pipeline = live->pipeline;
	reader.source = lq_source_get(live->pipeline, d->source);
	reader.guard = guard;
	reader.live = true;
	if (reader.source == NULL || reader.source->lead == NULL)
		return;
	reader.rel = try_relation_open(d->relid, AccessShareLock);
	if (reader.rel == NULL)
		return;					/* dropped since */
	slot = MakeSingleTupleTableSlot(RelationGetDescr(reader.rel), &TTSOpsHeapTuple);
	ExecStoreHeapTuple(d->row, slot, false);
	if (d->replay)
	{
		if (lq_activity_lead(&reader, slot, &lead))
			lq_arrivals_add(arrivals, lead, NULL);
	}
	else if (lq_activity_read(&reader, slot, &event, &lead))
		lq_arrivals_add(arrivals, lead, &event);
	ExecDropSingleTupleTableSlot(slot);
	relation_close(reader.rel, NoLock);
}

/* score all that waits for the pipeline; later calls find nothing */
void
lq_deferred_flush(LqLive *live)
{
	Collected  *c = collected_of(live->pipeline->name, false);
	LqArrivals	arrivals = {0};
	LqGuard		guard = {0};
	ListCell   *lc;

	if (c == NULL || c->waiting == 0)
		return;
	lq_guard_begin(&guard, live->pipeline->name, live->pipeline->time_zone,
				   live->pipeline->owner);
	foreach(lc, c->rows)
	{
		Deferred   *d = lfirst(lc);

		if (d->flushed != InvalidSubTransactionId)
			continue;
		read_collected(live, &guard, d, &arrivals);
		d->flushed = GetCurrentSubTransactionId();
	}
	lq_guard_end(&guard);
	c->waiting = 0;
	lq_live_arrivals(live, &arrivals);
}
