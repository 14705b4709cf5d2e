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
	char	   *pipeline;
	int32		source;
	Oid			relid;			/* table of the row */
	HeapTuple	row;
	bool		replay;
	SubTransactionId subxact;
} Deferred;

static List *collected = NIL;	/* of Deferred, in TopTransactionContext */

static void
xact_callback(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT ||
		event == XACT_EVENT_PREPARE)
		collected = NIL;		/* freed with TopTransactionContext */
}

/* rows of the subtransaction that ends are the last ones of the list */
static void
subxact_callback(SubXactEvent event, SubTransactionId mySubid,
				 SubTransactionId parentSubid, void *arg)
{
	if (event != SUBXACT_EVENT_COMMIT_SUB && event != SUBXACT_EVENT_ABORT_SUB)
		return;
	for (int i = list_length(collected) - 1; i >= 0; i--)
	{
		Deferred   *d = list_nth(collected, i);

		if (d->subxact != mySubid)
			break;
		if (event == SUBXACT_EVENT_COMMIT_SUB)
			d->subxact = parentSubid;
		else
			collected = list_truncate(collected, i);
	}
}

void
lq_deferred_init(void)
{
	RegisterXactCallback(xact_callback, NULL);
	RegisterSubXactCallback(subxact_callback, NULL);
}

static void
collect(LqLive *live, LqSource *source, Relation rel, TupleTableSlot *slot, bool replay)
{
	MemoryContext old = MemoryContextSwitchTo(TopTransactionContext);
	Deferred   *d = palloc(sizeof(Deferred));

	d->pipeline = pstrdup(live->pipeline->name);
	d->source = source->number;
	d->relid = RelationGetRelid(rel);
	d->row = ExecCopySlotHeapTuple(slot);
	d->replay = replay;
	d->subxact = GetCurrentSubTransactionId();
	collected = lappend(collected, d);
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

/* score all that was collected for the pipeline; later calls find nothing */
void
lq_deferred_flush(LqLive *live)
{
	LqArrivals	arrivals = {0};
	LqGuard		guard = {0};
	List	   *kept = NIL;
	ListCell   *lc;
	MemoryContext old;

	if (collected == NIL)
		return;
	lq_guard_begin(&guard, live->pipeline->name, live->pipeline->time_zone,
				   live->pipeline->owner);
	foreach(lc, collected)
	{
		Deferred   *d = lfirst(lc);

		if (strcmp(d->pipeline, live->pipeline->name) == 0)
			read_collected(live, &guard, d, &arrivals);
		else
		{
			old = MemoryContextSwitchTo(TopTransactionContext);
			kept = lappend(kept, d);
			MemoryContextSwitchTo(old);
		}
	}
	lq_guard_end(&guard);
	collected = kept;
	lq_live_arrivals(live, &arrivals);
}
