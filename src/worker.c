/*
 * worker.c
 *		What the background worker does in a database: looks when the next
 *		lead of each pipeline is due, or advances the leads of one owner.
 *
 * The processes are started by the launcher, live for a few seconds at most
 * and end by themselves.  Every step is a transaction of its own, and a step
 * that fails is logged and noted, and harms no other pipeline.
 *
 * Rights.  A process enters a database as the bootstrap superuser, because an
 * owner need not be allowed to log in or to connect, but runs nothing of
 * anybody's as such.  A look reads the configuration by plain scans, and asks
 * each state table for its earliest check_at as its owner, restricted.  One
 * that advances becomes the owner of the leads before anything else and stays
 * it until its end: session and current user, also at the commit, when
 * deferred triggers fire.  In its transactions the user counts as changed
 * locally, which is what keeps such triggers from going back with SET SESSION
 * AUTHORIZATION.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "access/xact.h"
#include "advance.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_extension.h"
#include "commands/extension.h"
#include "compat.h"
#include "miscadmin.h"
#include "model.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "sql.h"
#include "storage/ipc.h"
#include "storage/lmgr.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"
#include "worker.h"

/* leads in a transaction */
#define BATCH_LEADS 1000

/* a process that has worked for so long makes way for others */
#define RUN_MS 3000

/* waiting for somebody who holds a lead; when some have failed; a batch as a whole */
#define LOCK_TIMEOUT_TEXT "2s"
#define SHORT_LOCK_TIMEOUT_TEXT "200ms"
#define BATCH_TIMEOUT_MS (60 * 1000)

/* after so many failures in a row it is not one lead or another */
#define MAX_FAILURES 20

/* a pipeline, as far as it takes no model to know it */
typedef struct Candidate
{
	char	   *pipeline;
	char	   *state_table;	/* qualified and quoted */
	Oid			owner;			/* of the leads */
	/* advancing */
	int			limit;			/* leads of the next batch */
	int			skip;			/* earliest leads, each of which failed alone */
	int			failures;		/* in a row */
	bool		failed;
	bool		advanced;		/* some leads */
} Candidate;

/* a step on a pipeline, for attempt() */
typedef struct Step
{
	const Candidate *candidate;
	bool		out;			/* nothing was done: the extension is gone */
	TimestampTz due;			/* look: earliest check_at, DT_NOEND: none */
	int			found;			/* advance: leads of the batch */
} Step;

PGDLLEXPORT void lq_worker_main(Datum arg);

/* what the process works with, deleted at its end */
static MemoryContext work_cxt = NULL;

/* ----------------------------------------------------------------
 * Transactions
 * ----------------------------------------------------------------
 */

/*
 * Lock the extension until the end of the transaction, so that DROP EXTENSION
 * waits for us and not midway through.  False if there is none.
 */
static bool
extension_lock(void)
{
	Oid			extension = get_extension_oid("lead_qualify", true);

	if (!OidIsValid(extension))
		return false;
	LockDatabaseObject(ExtensionRelationId, extension, 0, AccessShareLock);
	return get_extension_oid("lead_qualify", true) == extension;
}

static void
begin(void)
{
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	SetUserIdAndSecContext(GetUserId(), SECURITY_LOCAL_USERID_CHANGE);
	PushActiveSnapshot(GetTransactionSnapshot());
}

static void
commit(void)
{
	PopActiveSnapshot();
	CommitTransactionCommand();
	SetUserIdAndSecContext(GetUserId(), 0);
	MemoryContextSwitchTo(work_cxt);
}

static void
describe_step(void *arg)
{
	const Step *step = arg;

	errcontext("background worker, pipeline \"%s\"", step->candidate->pipeline);
}

/* an error is logged, and everything is as it was before the transaction */
static void
log_and_abort(void)
{
	HOLD_INTERRUPTS();
	disable_timeout(STATEMENT_TIMEOUT, false);
	QueryCancelPending = false;
	EmitErrorReport();
	AbortOutOfAnyTransaction();
	FlushErrorState();
	MemoryContextSwitchTo(work_cxt);
	RESUME_INTERRUPTS();
}

/* body(step) in a transaction; false if it raised an error */
static bool
attempt(void (*body) (Step *step), Step *step)
{
	volatile bool done = false;

	PG_TRY();
	{
		ErrorContextCallback callback;

		callback.callback = describe_step;
		callback.arg = step;
		callback.previous = error_context_stack;
		error_context_stack = &callback;
		enable_timeout_after(STATEMENT_TIMEOUT, BATCH_TIMEOUT_MS);
		begin();
		step->out = !extension_lock();
		if (!step->out)
			body(step);
		commit();
		disable_timeout(STATEMENT_TIMEOUT, false);
		error_context_stack = callback.previous;
		done = true;
	}
	PG_CATCH();
	{
		log_and_abort();
	}
	PG_END_TRY();
	return done;
}

/* ----------------------------------------------------------------
 * Pipelines
 * ----------------------------------------------------------------
 */

/* NULL if its tables are not there: lead_qualify.problem says so */
static Candidate *
candidate_read(Relation rel, HeapTuple tuple)
{
	char	   *schema = lq_column_text(rel, tuple, "leads_schema");
	char	   *state = psprintf("%s_qualification", lq_column_text(rel, tuple, "prefix"));
	Oid			leads = lq_find_relation(schema, lq_column_text(rel, tuple, "leads_table"));
	Candidate  *c;

	if (!OidIsValid(leads) || !OidIsValid(lq_relation_owner(leads)) ||
		!OidIsValid(lq_find_relation(schema, state)))
		return NULL;
	c = MemoryContextAllocZero(work_cxt, sizeof(Candidate));
	c->pipeline = MemoryContextStrdup(work_cxt, lq_column_text(rel, tuple, "pipeline"));
	c->state_table = MemoryContextStrdup(work_cxt, quote_qualified_identifier(schema, state));
	c->owner = lq_relation_owner(leads);
	return c;
}

/* all pipelines of the database; none if it has no extension */
static List *
candidates_read(void)
{
	List	   *candidates = NIL;

	begin();
	/* whoever made all transactions of a database read-only means us, too */
	if (!XactReadOnly && extension_lock())
	{
		Oid			relid = get_relname_relid("pipeline", lq_schema());
		Relation	rel = table_open(relid, AccessShareLock);
		SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
		HeapTuple	tuple;

		while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		{
			Candidate  *c = candidate_read(rel, tuple);
			MemoryContext old = MemoryContextSwitchTo(work_cxt);

			if (c != NULL)
				candidates = lappend(candidates, c);
			MemoryContextSwitchTo(old);
		}
		systable_endscan(scan);
		table_close(rel, AccessShareLock);
	}
	commit();
	return candidates;
}

/* ----------------------------------------------------------------
 * Looking
 * ----------------------------------------------------------------
 */

static void
find_due(Step *step)
{
	LqUser		saved;
	bool		isnull;
	Datum		due;

	lq_become(&saved, step->candidate->owner);
	SetUserIdAndSecContext(step->candidate->owner,
						   SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
	SPI_connect();
	if (SPI_execute(lq_format("SELECT pg_catalog.min(q.check_at) FROM %s q",
							  step->candidate->state_table), true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not look for leads that are due");
	due = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
	step->due = isnull ? DT_NOEND : DatumGetTimestampTz(due);
	SPI_finish();
	lq_return(&saved);
}

static void
look_note_owner(LqLook *look, Oid owner)
{
	for (int i = 0; i < look->nowners; i++)
		if (look->owners[i] == owner)
			return;
	if (look->nowners < LQ_MAX_OWNERS)
		look->owners[look->nowners++] = owner;
}

static void
look_at_pipelines(const LqTask *task)
{
	LqLook		look = {0};
	ListCell   *lc;

	look.number = task->number;
	look.next_due = DT_NOEND;
	foreach(lc, candidates_read())
	{
		Step		step = {0};
		TimestampTz not_before;

		step.candidate = lfirst(lc);
		(void) lq_failures(step.candidate->pipeline, &not_before);
		if (not_before <= GetCurrentTimestamp() && !attempt(find_due, &step))
		{
			lq_failed(step.candidate->pipeline, false);
			(void) lq_failures(step.candidate->pipeline, &not_before);
		}
		if (step.out)
			break;
		step.due = Max(step.due, not_before);
		if (step.due <= GetCurrentTimestamp())
			look_note_owner(&look, step.candidate->owner);
		else
			look.next_due = Min(look.next_due, step.due);
	}
	lq_look_answer(&look);
}

/* ----------------------------------------------------------------
 * Advancing
 * ----------------------------------------------------------------
 */

static void
advance_step(Step *step)
{
	const Candidate *c = step->candidate;
	LqPipeline *p = lq_pipeline_get(c->pipeline, false);

	lq_pipeline_check(p);
	/* the leads may have changed hands: the next look will see */
	if (p->owner == GetUserId())
		(void) lq_advance_step(p->name, GetCurrentTimestamp(), c->skip, c->limit, &step->found);
}

/*
 * One batch of a pipeline; false: nothing more to do now.  After one that
 * failed they get smaller, down to the lead that prevents it, which is named
 * in the log and passed over.
 */
static bool
advance_batch(Candidate *c)
{
	Step		step = {0};

	step.candidate = c;
	SetConfigOption("lock_timeout", c->failed ? SHORT_LOCK_TIMEOUT_TEXT : LOCK_TIMEOUT_TEXT,
					PGC_SUSET, PGC_S_OVERRIDE);
	pgstat_report_activity(STATE_RUNNING,
						   psprintf("lead_qualify: advance pipeline %s", c->pipeline));
	if (attempt(advance_step, &step))
	{
		bool		more = step.found == c->limit;

		c->advanced = c->advanced || step.found > 0;
		c->failures = 0;
		c->limit = Min(BATCH_LEADS, c->limit * 8);
		return more && !step.out;
	}
	c->failed = true;
	c->failures++;
	if (step.found > 1)
		c->limit = Max(1, step.found / 8);
	else if (step.found == 1)
		c->skip++;
	return step.found > 0 && c->failures < MAX_FAILURES;
}

/* those whose turn it is; what failed before begins with single leads */
static List *
candidates_of(Oid owner)
{
	List	   *candidates = candidates_read();
	ListCell   *lc;

	foreach(lc, candidates)
	{
		Candidate  *c = lfirst(lc);
		TimestampTz not_before;

		c->failed = lq_failures(c->pipeline, &not_before) > 0;
		c->limit = c->failed ? 1 : BATCH_LEADS;
		if (c->owner != owner || not_before > GetCurrentTimestamp())
			candidates = foreach_delete_current(candidates, lc);
	}
	return candidates;
}

/* become somebody for the rest of the process */
static void
become_for_good(Oid owner)
{
	const char *name;

	StartTransactionCommand();
	name = GetUserNameFromId(owner, true);
	if (name == NULL)
		proc_exit(0);			/* dropped since */
	SetConfigOption("session_authorization", name, PGC_SUSET, PGC_S_SESSION);
	CommitTransactionCommand();
	if (GetUserId() != owner || GetSessionUserId() != owner)
		elog(ERROR, "could not become role %u", owner);
}

/* a pipeline had its turn */
static void
candidate_done(const Candidate *c)
{
	if (c->skip > 0 || c->failures > 0)
		lq_failed(c->pipeline, c->advanced);
	else
		lq_succeeded(c->pipeline);
}

/* the pipelines of an owner in turn, a batch of each */
static void
advance_pipelines(const LqTask *task)
{
	TimestampTz started = GetCurrentTimestamp();
	List	   *candidates;
	ListCell   *lc;

	become_for_good(task->owner);
	candidates = candidates_of(task->owner);
	while (candidates != NIL)
		foreach(lc, candidates)
		{
			Candidate  *c = lfirst(lc);
			bool		more;

			CHECK_FOR_INTERRUPTS();
			more = advance_batch(c) &&
				!TimestampDifferenceExceeds(started, GetCurrentTimestamp(), RUN_MS);
			if (more)
				continue;
			candidate_done(c);
			candidates = foreach_delete_current(candidates, lc);
		}
}

/* ----------------------------------------------------------------
 * The process
 * ----------------------------------------------------------------
 */

/* whatever the database or the server sets for sessions of people */
static void
session_settings(void)
{
	SetConfigOption("application_name", "lead_qualify", PGC_USERSET, PGC_S_SESSION);
	SetConfigOption("default_transaction_isolation", "read committed",
					PGC_SUSET, PGC_S_OVERRIDE);
	SetConfigOption("lock_timeout", LOCK_TIMEOUT_TEXT, PGC_SUSET, PGC_S_OVERRIDE);
	LQ_NO_TRANSACTION_TIMEOUT();
}

void
lq_worker_main(Datum arg)
{
	LqTask		task;

	memcpy(&task, MyBgworkerEntry->bgw_extra, sizeof(task));
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	BackgroundWorkerInitializeConnectionByOid(task.database, InvalidOid, 0);
	session_settings();
	work_cxt = AllocSetContextCreate(TopMemoryContext, "lead_qualify worker",
									 ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(work_cxt);
	if (OidIsValid(task.owner))
		advance_pipelines(&task);
	else
	{
		pgstat_report_activity(STATE_RUNNING, "lead_qualify: look for leads that are due");
		look_at_pipelines(&task);
	}
}
