/*
 * launcher.c
 *		The background worker that waits until there is something to do.
 *
 * It is connected to no database, so it is in nobody's way; the shared
 * catalog pg_database tells it which databases there are.  To look into one
 * it starts a process there, which reports when the next lead is due there
 * and exits; then, for each owner of leads that are due, one that advances
 * them (worker.c).  One process runs at a time and begins no batch after a few
 * seconds, so that databases take turns and a DROP DATABASE, which waits five
 * seconds for others to leave, gets its way; where a batch takes longer it needs
 * WITH (FORCE).
 *
 * A database is looked at when its next lead is due, and every
 * lead_qualify.naptime at least, because nobody tells us of leads that become
 * due earlier.  What must outlive the processes is in shared memory: the
 * answer to the last look, and which pipelines fail, so that they are tried
 * ever more seldom.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_database.h"
#include "common/hashfn.h"
#include "lead_qualify.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lwlock.h"
#include "storage/shmem.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/varlena.h"
#include "utils/wait_event.h"
#include "worker.h"

#define LIBRARY "lead_qualify"

/* seconds until a launcher that failed is started again */
#define RESTART_AFTER 5

/* between two looks at a database where something was due */
#define BREAK_MS 1000

/* pipelines, of all databases, whose failures are remembered */
#define MAX_FAILING 64

/* a pipeline that fails is tried at least this often, unless naptime is longer */
#define MAX_DELAY_S 3600

/* a database that a DROP DATABASE left half removed; older minor versions lack the name */
#ifndef DATCONNLIMIT_INVALID_DB
#define DATCONNLIMIT_INVALID_DB -2
#endif

typedef struct Failing
{
	Oid			database;		/* InvalidOid: free */
	uint64		pipeline;		/* hash of its name */
	int			failures;		/* without a success in between */
	TimestampTz not_before;
} Failing;

typedef struct Shared
{
	LqLook		look;
	Failing		failing[MAX_FAILING];
} Shared;

/* a database, in the launcher's own memory */
typedef struct Database
{
	Oid			oid;
	char	   *name;
	TimestampTz look_at;
	bool		seen;
} Database;

PGDLLEXPORT void lq_launcher_main(Datum arg);

static Shared *shared = NULL;
static LWLock *shared_lock = NULL;
static shmem_request_hook_type prev_shmem_request_hook = NULL;

/* the launcher's */
static MemoryContext launcher_cxt = NULL;
static List *databases = NIL;	/* of Database */
static uint32 last_task = 0;

/* ----------------------------------------------------------------
 * Shared memory
 * ----------------------------------------------------------------
 */

static void
request_shared(void)
{
	if (prev_shmem_request_hook != NULL)
		prev_shmem_request_hook();
	RequestAddinShmemSpace(MAXALIGN(sizeof(Shared)));
	RequestNamedLWLockTranche(LIBRARY, 1);
}

static void
shared_acquire(LWLockMode mode)
{
	bool		found;

	if (shared == NULL)
	{
		LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
		shared = ShmemInitStruct(LIBRARY, sizeof(Shared), &found);
		if (!found)
			memset(shared, 0, sizeof(Shared));
		LWLockRelease(AddinShmemInitLock);
		shared_lock = &GetNamedLWLockTranche(LIBRARY)->lock;
	}
	LWLockAcquire(shared_lock, mode);
}

/* answers that nobody waits for any more are lost */
void
lq_look_answer(const LqLook *look)
{
	shared_acquire(LW_EXCLUSIVE);
	if (shared->look.number == look->number)
	{
		shared->look = *look;
		shared->look.answered = true;
	}
	LWLockRelease(shared_lock);
}

static uint64
name_hash(const char *pipeline)
{
	return DatumGetUInt64(hash_any_extended((const unsigned char *) pipeline,
											strlen(pipeline), 0));
}

/* of a pipeline of this database; with the lock; NULL if it is not failing */
static Failing *
failing_find(const char *pipeline)
{
	uint64		hash = name_hash(pipeline);

	for (int i = 0; i < MAX_FAILING; i++)
		if (shared->failing[i].database == MyDatabaseId &&
			shared->failing[i].pipeline == hash)
			return &shared->failing[i];
	return NULL;
}

/* a free place, else that which is tried again first */
static Failing *
failing_add(const char *pipeline)
{
	Failing    *place = &shared->failing[0];

	for (int i = 0; i < MAX_FAILING && OidIsValid(place->database); i++)
		if (!OidIsValid(shared->failing[i].database) ||
			shared->failing[i].not_before < place->not_before)
			place = &shared->failing[i];
	place->database = MyDatabaseId;
	place->pipeline = name_hash(pipeline);
	place->failures = 0;
	return place;
}

/*
 * Advancing failed: try again after naptime, then after twice that, and so on.
 * In part: other leads of the pipeline go on, so look again after naptime.
 */
void
lq_failed(const char *pipeline, bool in_part)
{
	Failing    *failing;
	int64		delay;

	shared_acquire(LW_EXCLUSIVE);
	failing = failing_find(pipeline);
	if (failing == NULL)
		failing = failing_add(pipeline);
	if (in_part)
		failing->failures = 0;
	delay = Min((int64) lq_naptime << Min(failing->failures, 20),
				Max(lq_naptime, MAX_DELAY_S));
	failing->failures++;
	failing->not_before = GetCurrentTimestamp() + delay * USECS_PER_SEC;
	LWLockRelease(shared_lock);
}

void
lq_succeeded(const char *pipeline)
{
	Failing    *failing;

	shared_acquire(LW_EXCLUSIVE);
	failing = failing_find(pipeline);
	if (failing != NULL)
		memset(failing, 0, sizeof(Failing));
	LWLockRelease(shared_lock);
}

/* how often a pipeline failed in a row, and when to try it again */
int
lq_failures(const char *pipeline, TimestampTz *not_before)
{
	Failing    *failing;
	int			failures = 0;

	*not_before = DT_NOBEGIN;
	shared_acquire(LW_SHARED);
	failing = failing_find(pipeline);
	if (failing != NULL)
	{
		failures = failing->failures;
		*not_before = failing->not_before;
	}
	LWLockRelease(shared_lock);
	return failures;
}

/* ----------------------------------------------------------------
 * Databases
 * ----------------------------------------------------------------
 */

/* does lead_qualify.databases, parsed, name it? */
static bool
is_wanted(const char *name, List *wanted)
{
	ListCell   *lc;

	foreach(lc, wanted)
		if (strcmp(lfirst(lc), name) == 0)
			return true;
	return wanted == NIL;
}

static Database *
database_find(Oid oid)
{
	ListCell   *lc;

	foreach(lc, databases)
		if (((Database *) lfirst(lc))->oid == oid)
			return lfirst(lc);
	return NULL;
}

/* one that is there; new ones are looked at now */
static void
database_note(Form_pg_database form)
{
	MemoryContext old = MemoryContextSwitchTo(launcher_cxt);
	Database   *d = database_find(form->oid);

	if (d == NULL)
	{
		d = palloc0(sizeof(Database));
		d->oid = form->oid;
		d->look_at = GetCurrentTimestamp();
		databases = lappend(databases, d);
	}
	else
		pfree(d->name);
	d->name = pstrdup(NameStr(form->datname));
	d->seen = true;
	MemoryContextSwitchTo(old);
}

/*
 * Bring the list up to date.  A template is left alone, because CREATE
 * DATABASE needs it to be.
 */
static void
databases_refresh(void)
{
	Relation	rel;
	TableScanDesc scan;
	HeapTuple	tuple;
	List	   *wanted;
	ListCell   *lc;

	StartTransactionCommand();
	(void) GetTransactionSnapshot();
	if (!SplitIdentifierString(pstrdup(lq_databases == NULL ? "" : lq_databases), ',', &wanted))
		wanted = NIL;			/* cannot happen: checked when it was set */
	foreach(lc, databases)
		((Database *) lfirst(lc))->seen = false;
	rel = table_open(DatabaseRelationId, AccessShareLock);
	scan = table_beginscan_catalog(rel, 0, NULL);
	while (HeapTupleIsValid(tuple = heap_getnext(scan, ForwardScanDirection)))
	{
		Form_pg_database form = (Form_pg_database) GETSTRUCT(tuple);

		if (form->datallowconn && !form->datistemplate &&
			form->datconnlimit != DATCONNLIMIT_INVALID_DB &&
			is_wanted(NameStr(form->datname), wanted))
			database_note(form);
	}
	table_endscan(scan);
	table_close(rel, AccessShareLock);
	CommitTransactionCommand();
	foreach(lc, databases)
	{
		Database   *d = lfirst(lc);

		if (d->seen)
			continue;
		databases = foreach_delete_current(databases, lc);
		pfree(d->name);
		pfree(d);
	}
}

/* ----------------------------------------------------------------
 * Processes
 * ----------------------------------------------------------------
 */

/* start a process and wait for its end; false if none could be had */
static bool
run_process(const Database *d, Oid owner)
{
	static bool warned = false;
	BackgroundWorker worker = {0};
	BackgroundWorkerHandle *handle;
	LqTask		task;

	task.database = d->oid;
	task.owner = owner;
	task.number = last_task;
	snprintf(worker.bgw_name, BGW_MAXLEN, "lead_qualify worker in %s", d->name);
	strlcpy(worker.bgw_type, "lead_qualify worker", BGW_MAXLEN);
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	strlcpy(worker.bgw_library_name, LIBRARY, sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, "lq_worker_main", sizeof(worker.bgw_function_name));
	memcpy(worker.bgw_extra, &task, sizeof(task));
	worker.bgw_notify_pid = MyProcPid;
	if (!RegisterDynamicBackgroundWorker(&worker, &handle))
	{
		if (!warned)
			ereport(WARNING,
					(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
					 errmsg("lead_qualify found no free background worker process"),
					 errhint("Raise max_worker_processes. It is tried again every lead_qualify.naptime.")));
		warned = true;
		return false;
	}
	warned = false;
	if (WaitForBackgroundWorkerShutdown(handle) == BGWH_POSTMASTER_DIED)
		proc_exit(1);
	pfree(handle);
	return true;
}

/* false if it did not answer: it is gone, or cannot be entered */
static bool
look(const Database *d, LqLook *answer)
{
	shared_acquire(LW_EXCLUSIVE);
	memset(&shared->look, 0, sizeof(LqLook));
	shared->look.number = ++last_task;
	LWLockRelease(shared_lock);
	if (!run_process(d, InvalidOid))
		return false;
	shared_acquire(LW_SHARED);
	*answer = shared->look;
	LWLockRelease(shared_lock);
	return answer->answered && answer->number == last_task;
}

/* look at a database, do what is due there, and note when to look again */
static void
serve(Database *d)
{
	LqLook		answer;
	TimestampTz latest;

	pgstat_report_activity(STATE_RUNNING, psprintf("lead_qualify: database %s", d->name));
	if (!look(d, &answer))
	{
		answer.next_due = DT_NOEND;
		answer.nowners = 0;
	}
	for (int i = 0; i < answer.nowners; i++)
		(void) run_process(d, answer.owners[i]);
	if (answer.nowners > 0)
		answer.next_due = DT_NOBEGIN;	/* there may be more */
	latest = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), (int64) lq_naptime * 1000);
	d->look_at = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), BREAK_MS);
	d->look_at = Min(Max(d->look_at, answer.next_due), latest);
	pgstat_report_activity(STATE_IDLE, NULL);
}

/* ----------------------------------------------------------------
 * The launcher
 * ----------------------------------------------------------------
 */

static void
reload_settings(void)
{
	ListCell   *lc;
	TimestampTz latest;

	ConfigReloadPending = false;
	ProcessConfigFile(PGC_SIGHUP);
	latest = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), (int64) lq_naptime * 1000);
	foreach(lc, databases)
	{
		Database   *d = lfirst(lc);

		d->look_at = Min(d->look_at, latest);
	}
}

static void
nap(void)
{
	TimestampTz now = GetCurrentTimestamp();
	TimestampTz until = TimestampTzPlusMilliseconds(now, (int64) lq_naptime * 1000);
	ListCell   *lc;

	if (ConfigReloadPending)
		return;
	foreach(lc, databases)
		until = Min(until, ((Database *) lfirst(lc))->look_at);
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
					 TimestampDifferenceMilliseconds(now, until), PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
}

void
lq_launcher_main(Datum arg)
{
	MemoryContext round;

	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);
	launcher_cxt = AllocSetContextCreate(TopMemoryContext, "lead_qualify launcher",
										 ALLOCSET_DEFAULT_SIZES);
	round = AllocSetContextCreate(launcher_cxt, "lead_qualify launcher round",
								  ALLOCSET_DEFAULT_SIZES);
	for (;;)
	{
		ListCell   *lc;

		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
			reload_settings();
		databases_refresh();
		MemoryContextReset(round);
		MemoryContextSwitchTo(round);
		foreach(lc, databases)
		{
			Database   *d = lfirst(lc);

			if (d->look_at <= GetCurrentTimestamp())
				serve(d);
		}
		nap();
	}
}

/*
 * Nothing is started by pg_upgrade, which wants to be alone with the old
 * cluster's data.
 */
void
lq_worker_init(void)
{
	BackgroundWorker worker = {0};

	if (!process_shared_preload_libraries_in_progress)
	{
		if (lq_worker && IsUnderPostmaster)
			ereport(LOG,
					(errmsg("lead_qualify.worker is on, but has no effect"),
					 errhint("Add lead_qualify to shared_preload_libraries and restart the server.")));
		return;
	}
	if (!lq_worker || IsBinaryUpgrade)
		return;
	prev_shmem_request_hook = shmem_request_hook;
	shmem_request_hook = request_shared;

	strlcpy(worker.bgw_name, "lead_qualify launcher", BGW_MAXLEN);
	strlcpy(worker.bgw_type, "lead_qualify launcher", BGW_MAXLEN);
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = RESTART_AFTER;
	strlcpy(worker.bgw_library_name, LIBRARY, sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, "lq_launcher_main", sizeof(worker.bgw_function_name));
	RegisterBackgroundWorker(&worker);
}
