/*
 * archive.c
 *		archive(): what leads were at a time becomes the beginning of their
 *		replays, so that older activities may go.
 *
 * A lead is first computed anew, so that what is archived is right, and then
 * replayed once more, up to the time.  That state is its baseline: replays of
 * every shell start there (begin_from_baseline() in run.c).
 */
#include "postgres.h"

#include "fmgr.h"
#include "replay.h"
#include "run.h"
#include "sql.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

typedef struct Archive
{
	TimestampTz before;
	int64		leads;			/* that have a new baseline */
} Archive;

/* did anything happen to the lead before that time that is not archived yet? */
static bool
is_older(const LqCase *c, TimestampTz before)
{
	if (c->baseline != NULL)
		return c->baseline->at < before;
	if (c->lead_since < before)
		return true;
	for (int i = 0; i < c->nevents; i++)
		if (c->events[i].pos.at < before)
			return true;
	return false;
}

/* leads that have just been computed, and are locked */
static void
archive_batch(LqPipeline *p, const Datum *keys, int nkeys, void *arg)
{
	Archive    *archive = arg;
	LqCases    *cases = lq_cases_create(p, keys, nkeys);

	cases->past = true;
	lq_cases_lock(cases);
	lq_cases_read(cases);
	for (int i = 0; i < cases->count; i++)
		cases->cases[i].replay = cases->cases[i].scored;
	lq_events_load(cases, false);
	for (int i = 0; i < cases->count; i++)
	{
		LqCase	   *c = &cases->cases[i];

		c->replay = lq_case_is_replayed(c) && is_older(c, archive->before);
		archive->leads += c->replay;
	}
	lq_cases_replay(cases, archive->before - 1);
	lq_cases_archive(cases, archive->before);
	lq_cases_close(cases);
}

PG_FUNCTION_INFO_V1(lq_archive);

/* archive(pipeline text, before timestamptz) returns bigint: leads that have a new baseline */
Datum
lq_archive(PG_FUNCTION_ARGS)
{
	Archive		archive = {0};
	LqPipeline *p;

	lq_argument_needed(fcinfo, 0, "pipeline");
	lq_argument_needed(fcinfo, 1, "before");
	p = lq_pipeline_for_owner(text_to_cstring(PG_GETARG_TEXT_PP(0)), "archive");
	archive.before = PG_GETARG_TIMESTAMPTZ(1);
	if (TIMESTAMP_NOT_FINITE(archive.before) || archive.before > GetCurrentTimestamp())
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("cannot archive what is before %s",
						timestamptz_to_str(archive.before)),
				 errhint("Pass a time that has come.")));
	lq_pipeline_check_sources(p, "archive");
	lq_recompute_and(p, "archive", archive_batch, &archive);
	PG_RETURN_INT64(archive.leads);
}
