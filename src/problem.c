/*
 * problem.c
 *		Reporting what does not work: a WARNING and a row, once each.
 *
 * A session warns once of a (pipeline, kind, name) and stores one row for it,
 * unless another session did so before.  A row that went with a transaction or
 * savepoint that rolled back is stored again the next time, which is why the
 * subtransaction it was stored in is remembered until the end of the
 * transaction.
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "common/hashfn.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "compat.h"
#include "condition.h"
#include "problem.h"
#include "sql.h"

typedef struct Problem
{
	uint64		key;			/* of pipeline, kind and name */
	bool		warned;
	bool		stored;
	uint64		serial;			/* of the condition the row was stored for */
	SubTransactionId storing;	/* stored in; invalid: committed */
} Problem;

/* as many entries as there are names that failed; never emptied */
static HTAB *problems = NULL;

/* Forget rows stored in this or a later subtransaction, or keep all. */
static void
settle(SubTransactionId aborted)
{
	HASH_SEQ_STATUS scan;
	Problem    *problem;

	hash_seq_init(&scan, problems);
	while ((problem = hash_seq_search(&scan)) != NULL)
	{
		if (problem->storing == InvalidSubTransactionId)
			continue;
		if (aborted == InvalidSubTransactionId)
			problem->storing = InvalidSubTransactionId;
		else if (problem->storing >= aborted)
		{
			problem->storing = InvalidSubTransactionId;
			problem->stored = false;
		}
	}
}

static void
at_transaction_end(XactEvent event, void *arg)
{
	if (event == XACT_EVENT_ABORT)
		settle(TopSubTransactionId);
	else if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_PREPARE)
		settle(InvalidSubTransactionId);
}

static void
at_subtransaction_end(SubXactEvent event, SubTransactionId id,
					  SubTransactionId parent, void *arg)
{
	if (event == SUBXACT_EVENT_ABORT_SUB)
		settle(id);
}

static Problem *
find_problem(const char *pipeline, const char *kind, const char *name)
{
	uint64		key;
	Problem    *problem;
	bool		found;

	if (problems == NULL)
	{
		HASHCTL		ctl = {0};

		ctl.keysize = sizeof(uint64);
		ctl.entrysize = sizeof(Problem);
		ctl.hcxt = TopMemoryContext;
		problems = hash_create("lead_qualify problems", 32, &ctl,
							   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
		RegisterXactCallback(at_transaction_end, NULL);
		RegisterSubXactCallback(at_subtransaction_end, NULL);
	}

	/* 64 bits: that two names collide is not worth keeping them */
	key = DatumGetUInt64(hash_any_extended((const unsigned char *) pipeline,
										   strlen(pipeline), 0));
	key = DatumGetUInt64(hash_any_extended((const unsigned char *) kind,
										   strlen(kind), key));
	key = DatumGetUInt64(hash_any_extended((const unsigned char *) name,
										   strlen(name), key));
	problem = hash_search(problems, &key, HASH_ENTER, &found);
	if (!found)
		memset((char *) problem + sizeof(key), 0, sizeof(Problem) - sizeof(key));
	return problem;
}

/*
 * No unique index: two sessions may store the same at once without waiting
 * for each other's end.
 */
static void
store(const char *pipeline, const char *kind, const char *name,
	  const char *message)
{
	LqUser		user;

	lq_become(&user, lq_extension_owner());
	SPI_connect();
	lq_run("INSERT INTO lead_qualify.condition_problem"
		   " (pipeline, kind, name, message, since)"
		   " SELECT %L, %L, %L, %L, pg_catalog.now()"
		   " WHERE NOT EXISTS"
		   " (SELECT 1 FROM lead_qualify.condition_problem p"
		   " WHERE p.pipeline OPERATOR(pg_catalog.=) %L"
		   " AND p.kind OPERATOR(pg_catalog.=) %L"
		   " AND p.name OPERATOR(pg_catalog.=) %L)",
		   pipeline, kind, name, message, pipeline, kind, name);
	SPI_finish();
	lq_return(&user);
}

void
lq_problem_raise(const char *pipeline, const char *kind, const char *name,
				 const char *message, int sqlerrcode, uint64 serial,
				 bool show)
{
	Problem    *problem = find_problem(pipeline, kind, name);

	if (!problem->warned)
	{
		problem->warned = true;
		ereport(WARNING,
				(errcode(sqlerrcode),
				 errmsg("%s \"%s\" of pipeline \"%s\" failed",
						kind, name, pipeline),
				 /* the message may quote the row, which the inserting role need not see */
				 show ? errdetail_internal("%s.", lq_error_sentence(message)) : 0,
				 errhint("What fails counts as false. See the view lead_qualify.problem.")));
	}
	if ((problem->stored && problem->serial == serial) ||
		XactReadOnly || RecoveryInProgress() || IsInParallelMode())
		return;
	store(pipeline, kind, name, message);
	problem->stored = true;
	problem->serial = serial;
	problem->storing = GetCurrentSubTransactionId();
}
