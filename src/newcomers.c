/*
 * newcomers.c
 *		A lead and an activity of it that two transactions insert at the same
 *		moment do not see each other.
 *
 * Where no foreign key makes one wait for the other, we do: who inserts a lead
 * and who inserts an activity of an unknown lead lock its key, in modes that
 * conflict with each other but not with themselves, and look again when they
 * have the lock.  Locks last until the end of the transaction, so only so many
 * are taken in one; a bulk load of leads beside a bulk load of their
 * activities is left to recompute.
 */
#include "postgres.h"

#include "access/xact.h"
#include "common/hashfn.h"
#include "live.h"
#include "miscadmin.h"
#include "storage/lock.h"

#define MAX_LOCKED 64			/* keys in one transaction */

/* tells our locks from those of pg_advisory_lock() */
#define LOCK_FIELD 0x4C51

static int	locked = 0;

static void
xact_callback(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT ||
		event == XACT_EVENT_PREPARE)
		locked = 0;
}

void
lq_newcomers_init(void)
{
	RegisterXactCallback(xact_callback, NULL);
}

static void
lock_key(LqPipeline *p, Datum key, LOCKMODE mode)
{
	char	   *text = lq_key_text(p, key);
	uint32		pipeline = hash_bytes((const unsigned char *) p->name, strlen(p->name));
	uint32		lead = hash_bytes((const unsigned char *) text, strlen(text));
	LOCKTAG		tag;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, pipeline, lead, LOCK_FIELD);
	(void) LockAcquire(&tag, mode, false, false);
	pfree(text);
}

/* lock the keys of leads that are being inserted */
void
lq_newcomers_leads(LqCases *cases)
{
	if (locked + cases->count > MAX_LOCKED)
		return;
	locked += cases->count;
	for (int i = 0; i < cases->count; i++)
		lock_key(cases->pipeline, cases->cases[i].key, ShareLock);
}

/* lock the keys of unknown leads; true if it is worth looking again */
static bool
lock_unknown(LqCases *cases)
{
	int			unknown = 0;

	for (int i = 0; i < cases->count; i++)
		unknown += !cases->cases[i].exists;
	if (unknown == 0 || locked + unknown > MAX_LOCKED)
		return false;
	locked += unknown;
	for (int i = 0; i < cases->count; i++)
		if (!cases->cases[i].exists)
			lock_key(cases->pipeline, cases->cases[i].key, RowExclusiveLock);
	return true;
}

/*
 * Lock the leads rows of activities that arrived.  Rows must be locked in key
 * order at one go: so where there are several, first look without locks which
 * leads are unknown, and wait for them.
 */
void
lq_newcomers_activities(LqCases *cases)
{
	if (cases->count > 1 && cases->count <= MAX_LOCKED)
	{
		lq_cases_look(cases);
		(void) lock_unknown(cases);
	}
	lq_cases_lock(cases);
	if (cases->count == 1 && lock_unknown(cases))
		lq_cases_lock(cases);
}
