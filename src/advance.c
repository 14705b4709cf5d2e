/*
 * advance.c
 *		Shell "advance": what the clock changes by itself.
 *
 * check_at is indexed and never later than next_due_at, so only leads that
 * are due, or were until something happened to them, are looked at; for the
 * latter it is put forward.  What the clock does is dated when it fell due.
 */
#include "postgres.h"

#include "access/xact.h"
#include "advance.h"
#include "catalog/pg_type.h"
#include "condition.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "replay.h"
#include "run.h"
#include "sql.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#define BATCH_LEADS 1000

/* keys of some leads to be looked at, the earliest first */
static Datum *
due_keys(LqPipeline *p, TimestampTz at, int skip, int limit, int *count, MemoryContext cxt)
{
	SPIPlanPtr *slot = lq_plan_slot(p, LQ_PLAN_DUE);
	Oid			types[3] = {TIMESTAMPTZOID, INT8OID, INT8OID};
	Datum		values[3] = {TimestampTzGetDatum(at), Int64GetDatum(limit), Int64GetDatum(skip)};
	Datum	   *keys;

	SPI_connect();
	if (*slot == NULL)
		*slot = lq_plan_keep(lq_format("SELECT q.lead FROM %s q WHERE q.check_at <= $1 "
									   "ORDER BY q.check_at LIMIT $2 OFFSET $3",
									   lq_side_name(p, "qualification")), 3, types);
	lq_plan_run(*slot, values, NULL, false);
	*count = (int) SPI_processed;
	keys = MemoryContextAlloc(cxt, Max(1, *count) * sizeof(Datum));
	for (int i = 0; i < *count; i++)
	{
		bool		isnull;
		MemoryContext old = MemoryContextSwitchTo(cxt);

		keys[i] = datumCopy(lq_field(i, 1, &isnull), p->key_byval, p->key_len);
		MemoryContextSwitchTo(old);
	}
	SPI_finish();
	return keys;
}

/* a state without a lead waits for nothing */
static void
forget_orphans(LqCases *cases)
{
	LqPipeline *p = cases->pipeline;

	for (int i = 0; i < cases->count; i++)
	{
		LqCase	   *c = &cases->cases[i];

		if (c->exists && c->stored)
			continue;
		SPI_connect();
		if (SPI_execute_with_args(lq_format("UPDATE %s SET check_at = NULL WHERE lead = $1",
											lq_side_name(p, "qualification")),
								  1, &p->key_type, &c->key, NULL, false, 0) != SPI_OK_UPDATE)
			elog(ERROR, "could not put a lead forward");
		SPI_finish();
	}
}

/* bring some leads up to the time; returns how many of them were due */
static int64
advance_batch(LqPipeline *p, TimestampTz at, const Datum *keys, int nkeys)
{
	LqCases    *cases = lq_cases_create(p, keys, nkeys);
	int64		due = 0;

	cases->forward = true;
	lq_cases_lock(cases);
	lq_cases_read(cases);
	for (int i = 0; i < cases->count; i++)
		due += cases->cases[i].exists && cases->cases[i].next_due_at <= at;
	forget_orphans(cases);
	lq_cases_run(cases, at, at);
	lq_cases_keep_images(cases, at);
	lq_cases_write(cases);
	lq_cases_close(cases);
	return due;
}

static int
key_cmp(const void *a, const void *b, void *pipeline)
{
	return lq_key_cmp(pipeline, *(const Datum *) a, *(const Datum *) b);
}

/*
 * Bring up to so many leads that are due up to the time, as the leads owner;
 * the earliest "skip" of them are left to somebody else.  check_at order finds
 * them, key order locks them, over all batches of the transaction.
 */
int64
lq_advance_step(const char *pipeline, TimestampTz at, int skip, int limit, int *found)
{
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "lead_qualify advance",
											  ALLOCSET_DEFAULT_SIZES);
	MemoryContext batch = AllocSetContextCreate(cxt, "lead_qualify advance batch",
												ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	LqPipeline *p = lq_pipeline_get(pipeline, false);
	LqUser		saved;
	Datum	   *keys;
	int64		due = 0;

	/* a publish that we waited for has made another version */
	lq_pipeline_lock(p);
	p = lq_pipeline_get(pipeline, false);
	lq_pipeline_check(p);
	lq_pipeline_check_sources(p, "advance");
	lq_become(&saved, p->owner);
	keys = due_keys(p, at, skip, limit, found, cxt);
	qsort_arg(keys, *found, sizeof(Datum), key_cmp, p);
	MemoryContextSwitchTo(batch);
	for (int i = 0; i < *found; i += BATCH_LEADS)
	{
		CHECK_FOR_INTERRUPTS();
		due += advance_batch(p, at, keys + i, Min(BATCH_LEADS, *found - i));
		MemoryContextReset(batch);
	}
	lq_return(&saved);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(cxt);
	return due;
}

PG_FUNCTION_INFO_V1(lq_advance);

/* advance(pipeline, at) */
Datum
lq_advance(PG_FUNCTION_ARGS)
{
	char	   *pipeline;
	TimestampTz at;
	int			found;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("advance() needs a pipeline and a time")));
	pipeline = text_to_cstring(PG_GETARG_TEXT_PP(0));
	(void) lq_pipeline_for_owner(pipeline, "advance");
	at = PG_GETARG_TIMESTAMPTZ(1);
	if (at > GetCurrentTimestamp())
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("cannot advance to %s, which is in the future", timestamptz_to_str(at)),
				 errhint("score_at() and explain_stage() tell what will be, if nothing else happens.")));
	PG_RETURN_INT64(lq_advance_step(pipeline, at, 0, INT_MAX, &found));
}
