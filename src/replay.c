/*
 * replay.c
 *		Shells "recompute" and "verify": the engine over all events of leads.
 *
 * Leads are taken in batches in key order, each batch in a memory context of
 * its own; a batch shrinks when its leads have many activities.
 */
#include "postgres.h"

#include <math.h>

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "condition.h"
#include "funcapi.h"
#include "lead_grade.h"
#include "miscadmin.h"
#include "replay.h"
#include "run.h"
#include "sql.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#define BATCH_LEADS 1000
#define BATCH_EVENTS 100000		/* above that the next batch is smaller */
#define PROGRESS_SECONDS 3

/* ----------------------------------------------------------------
 * Which leads
 * ----------------------------------------------------------------
 */

/* keys from their texts */
Datum *
lq_keys_of_texts(LqPipeline *p, ArrayType *texts, int *count)
{
	Datum	   *elements;
	bool	   *nulls;
	int			n;
	Datum	   *keys;

	deconstruct_array(texts, TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &n);
	keys = palloc(Max(1, n) * sizeof(Datum));
	*count = 0;
	for (int i = 0; i < n; i++)
		if (!nulls[i])
			keys[(*count)++] = lq_key_parse(p, TextDatumGetCString(elements[i]));
	return keys;
}

/* keys to work on, a batch at a time */
typedef struct KeyScan
{
	LqPipeline *pipeline;
	char	   *table;			/* scanned, unless keys are given */
	char	   *column;
	char	   *condition;		/* on alias t, may use $1, since; or NULL */
	TimestampTz since;
	bool		read_only;		/* under the caller's snapshot, not a fresh one */
	Datum	   *keys;
	int			nkeys;
	bool		started;
	Datum		last;
	const char *verb;			/* for progress */
	/* what is to be done with a batch that has been computed; NULL: nothing */
	void		(*then) (LqPipeline *pipeline, const Datum *keys, int nkeys, void *arg);
	void	   *then_arg;
	int64		total;
	int64		done;			/* keys handed out */
	int64		finished;		/* leads worked off */
	TimestampTz last_report;
	bool		reported;
} KeyScan;

/* without a condition all keys; since, $1, is never null */
static const char *
scan_condition(const KeyScan *scan)
{
	return scan->condition == NULL ? "$1 IS NOT NULL" : scan->condition;
}

static void
scan_count(KeyScan *scan)
{
	Oid			types[1] = {TIMESTAMPTZOID};
	Datum		values[1];
	bool		isnull;

	scan->total = scan->nkeys;
	if (scan->keys != NULL)
		return;
	values[0] = TimestampTzGetDatum(scan->since);
	SPI_connect();
	SPI_execute_with_args(lq_format("SELECT pg_catalog.count(*) FROM %s t WHERE %s", scan->table,
									scan_condition(scan)),
						  1, types, values, NULL, scan->read_only, 0);
	scan->total = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0],
											  SPI_tuptable->tupdesc, 1, &isnull));
	SPI_finish();
}

static Datum *
scan_given(KeyScan *scan, int limit, int *count)
{
	Datum	   *keys = scan->keys + scan->done;

	*count = Min(limit, scan->nkeys - (int) scan->done);
	scan->done += *count;
	return keys;
}

/* the next keys after the last one; allocated in the current context */
static Datum *
scan_next(KeyScan *scan, int limit, int *count, MemoryContext longer)
{
	LqPipeline *p = scan->pipeline;
	MemoryContext cxt = CurrentMemoryContext;
	Oid			types[3] = {TIMESTAMPTZOID, INT4OID, p->key_type};
	Datum		values[3];
	Datum	   *keys;
	MemoryContext old;

	if (scan->keys != NULL)
		return scan_given(scan, limit, count);
	values[0] = TimestampTzGetDatum(scan->since);
	values[1] = Int32GetDatum(limit);
	values[2] = scan->last;
	SPI_connect();
	SPI_execute_with_args(lq_format("SELECT t.%I FROM %s t WHERE %s%s ORDER BY t.%I LIMIT $2",
									scan->column, scan->table, scan_condition(scan),
									scan->started ? lq_format(" AND t.%I > $3", scan->column) : "",
									scan->column),
						  scan->started ? 3 : 2, types, values, NULL, scan->read_only, 0);
	*count = (int) SPI_processed;
	keys = MemoryContextAlloc(cxt, Max(1, *count) * sizeof(Datum));
	for (int i = 0; i < *count; i++)
	{
		bool		isnull;
		Datum		key = SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull);

		old = MemoryContextSwitchTo(cxt);
		keys[i] = datumCopy(key, p->key_byval, p->key_len);
		MemoryContextSwitchTo(old);
	}
	SPI_finish();
	if (*count > 0)
	{
		old = MemoryContextSwitchTo(longer);
		scan->last = datumCopy(keys[*count - 1], p->key_byval, p->key_len);
		scan->started = true;
		MemoryContextSwitchTo(old);
	}
	scan->done += *count;
	return keys;
}

/* ----------------------------------------------------------------
 * Recompute
 * ----------------------------------------------------------------
 */

/*
 * A change of the lead's columns that no trigger saw (they were disabled, or
 * the session replicates) is noted now.
 */
static void
observe(LqCases *cases, LqCase *c, TimestampTz now)
{
	TupleDesc	desc = RelationGetDescr(cases->leads);

	if (c->current == NULL || c->nimages == 0 ||
		lq_image_equal(desc, c->images[c->nimages - 1], c->current))
		return;
	c->current->changed_at = now;
	lq_image_store(cases, c, c->current, now);
	c->images = repalloc(c->images, (c->nimages + 1) * sizeof(LqImage *));
	c->images[c->nimages++] = c->current;
}

/* how the lead came into its stage, and how long it will stay */
static bool
same_stay(const LqStored *stored, const LqLead *lead)
{
	return lq_text_equal(stored->gate, lead->gate) && stored->keeping == lead->keeping &&
		stored->stage_since == lead->stage_since && stored->active_at == lead->active_at &&
		lq_text_equal(stored->held_from, lead->held_from) &&
		stored->held_until == lead->held_until && stored->mark == lead->mark;
}

static bool
same_answers(const LqAssessment *a, const LqAssessment *b)
{
	return a == NULL || b == NULL ? a == b : lq_assessment_equal(a, b);
}

/* did the replay come to what is stored? */
static bool
unchanged(LqPipeline *p, const LqCase *c)
{
	const LqStored *stored = &c->was;
	bytea	   *packed;

	if (!c->scored || !lq_text_equal(stored->stage, c->lead.stage) ||
		!lq_text_equal(stored->mark_stage, c->lead.mark_stage) ||
		stored->cycle != c->lead.cycle ||
		stored->version != c->lead.model->version ||
		lq_asks_for_more(p, stored->published) ||
		stored->attributes_at != c->lead.attributes_at ||
		stored->lead_since != c->lead_since ||
		!same_answers(stored->assessment, c->lead.assessment) ||
		!same_answers(stored->confirmed, c->lead.confirmed) ||
		!lq_text_equal(stored->excluded, c->lead.excluded) ||
		stored->next_due_at != c->next_due_at || stored->waits_at != c->waits_at ||
		stored->archived_at != c->archived_at ||
		!same_stay(stored, &c->lead))
		return false;
	packed = lq_score_pack(c->lead.score);
	return VARSIZE_ANY_EXHDR(packed) == VARSIZE_ANY_EXHDR(c->packed) &&
		memcmp(VARDATA_ANY(packed), VARDATA_ANY(c->packed),
			   VARSIZE_ANY_EXHDR(packed)) == 0;
}

static void
report_progress(KeyScan *scan)
{
	scan->reported = true;
	scan->last_report = GetCurrentTimestamp();
	ereport(NOTICE,
			(errmsg("%s of pipeline \"%s\": " INT64_FORMAT " of " INT64_FORMAT " leads (%d %%)",
					scan->verb, scan->pipeline->name, scan->finished, scan->total,
					scan->total == 0 ? 100 : (int) (scan->finished * 100 / scan->total))));
}

/* LqCases.tick: also in the middle of a batch whose leads take long */
static void
progress_tick(void *arg)
{
	KeyScan    *scan = arg;

	if (TimestampDifferenceExceeds(scan->last_report, GetCurrentTimestamp(),
								   PROGRESS_SECONDS * 1000))
		report_progress(scan);
}

/* replay a batch and write what differs; returns the number of leads */
static int64
recompute_batch(KeyScan *scan, Datum *keys, int nkeys, int64 *events)
{
	LqPipeline *p = scan->pipeline;
	LqCases    *cases = lq_cases_create(p, keys, nkeys);
	TimestampTz now;
	int64		found = 0;

	*events = 0;
	cases->tick = progress_tick;
	cases->tick_arg = scan;
	cases->origin = "recompute";
	lq_cases_lock(cases);
	now = GetCurrentTimestamp();
	lq_cases_read(cases);
	for (int i = 0; i < cases->count; i++)
		cases->cases[i].replay = true;
	lq_events_load(cases, false);
	for (int i = 0; i < cases->count; i++)
		if (cases->cases[i].exists)
			observe(cases, &cases->cases[i], now);
	lq_cases_replay(cases, now);
	lq_cases_keep_images(cases, now);
	for (int i = 0; i < cases->count; i++)
	{
		LqCase	   *c = &cases->cases[i];

		*events += c->nevents;
		found += c->exists;
		c->state_same = c->exists && unchanged(p, c);
	}
	lq_cases_write(cases);
	lq_cases_close(cases);
	if (scan->then != NULL)
		scan->then(p, keys, nkeys, scan->then_arg);
	scan->finished = scan->done;
	progress_tick(scan);
	return found;
}

/* what a source that is out of order had earned is not counted */
static void
warn_of_sources(const LqPipeline *p)
{
	for (int i = 0; i < p->nsources; i++)
		if (p->sources[i].problem != NULL)
			ereport(WARNING,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("activities of %s are not counted", p->sources[i].name),
					 errdetail_internal("%s.", lq_error_sentence(p->sources[i].problem)),
					 errhint("See lead_qualify.problem.")));
}

static int64
recompute_scan(KeyScan *scan)
{
	LqPipeline *p = scan->pipeline;
	MemoryContext outer = CurrentMemoryContext;
	MemoryContext batch = AllocSetContextCreate(outer, "lead_qualify recompute batch",
												ALLOCSET_DEFAULT_SIZES);
	int			limit = BATCH_LEADS;
	int64		worked = 0;
	LqUser		user;

	scan->last_report = GetCurrentTimestamp();
	lq_become(&user, p->owner);
	lq_pipeline_lock(p);
	p = scan->pipeline = lq_pipeline_get(pstrdup(p->name), false);
	lq_pipeline_check(p);
	warn_of_sources(p);
	scan_count(scan);
	for (;;)
	{
		Datum	   *keys;
		int			count;
		int64		events;

		CHECK_FOR_INTERRUPTS();
		MemoryContextSwitchTo(batch);
		keys = scan_next(scan, limit, &count, outer);
		if (count == 0)
			break;
		worked += recompute_batch(scan, keys, count, &events);
		if (events > BATCH_EVENTS)
			limit = Max(1, limit / 4);
		else if (events < BATCH_EVENTS / 8)
			limit = Min(BATCH_LEADS, limit * 2);
		MemoryContextSwitchTo(outer);
		MemoryContextReset(batch);
	}
	MemoryContextSwitchTo(outer);
	if (scan->reported)
		report_progress(scan);
	lq_return(&user);
	MemoryContextDelete(batch);
	return worked;
}

static void
scan_leads(KeyScan *scan, LqPipeline *p)
{
	memset(scan, 0, sizeof(KeyScan));
	scan->pipeline = p;
	scan->table = lq_leads_name(p);
	scan->column = p->lead_key;
	scan->verb = "recompute";
}

int64
lq_recompute_all_leads(LqPipeline *p)
{
	KeyScan		scan;

	scan_leads(&scan, p);
	return recompute_scan(&scan);
}

void
lq_recompute_and(LqPipeline *p, const char *verb,
				 void (*then) (LqPipeline *pipeline, const Datum *keys, int nkeys, void *arg),
				 void *arg)
{
	KeyScan		scan;

	scan_leads(&scan, p);
	scan.verb = verb;
	scan.then = then;
	scan.then_arg = arg;
	(void) recompute_scan(&scan);
}

int64
lq_recompute_since(const char *pipeline, TimestampTz since)
{
	LqPipeline *p = lq_pipeline_get(pipeline, false);
	KeyScan		scan;

	memset(&scan, 0, sizeof(scan));
	scan.pipeline = p;
	scan.table = lq_side_name(p, "qualification");
	scan.column = "lead";
	scan.verb = "recompute";
	scan.condition = "t.scored_at OPERATOR(pg_catalog.>=) $1";
	scan.since = since;
	return recompute_scan(&scan);
}

PG_FUNCTION_INFO_V1(lq_recompute);

/*
 * recompute(pipeline text, leads text[]) returns bigint: leads worked on.
 */
Datum
lq_recompute(PG_FUNCTION_ARGS)
{
	LqPipeline *p;
	KeyScan		scan;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	p = lq_pipeline_for_owner(text_to_cstring(PG_GETARG_TEXT_PP(0)), "recompute");
	scan_leads(&scan, p);
	if (!PG_ARGISNULL(1))
		scan.keys = lq_keys_of_texts(p, PG_GETARG_ARRAYTYPE_P(1), &scan.nkeys);
	PG_RETURN_INT64(recompute_scan(&scan));
}

/* one batch of CALL recompute_all(); returns the number of keys, 0 at the end */
static int
recompute_step(KeyScan *scan, const char *name, int batch, MemoryContext longer)
{
	LqPipeline *p = lq_pipeline_for_owner(name, "recompute");
	MemoryContext work = AllocSetContextCreate(longer, "lead_qualify recompute batch",
											   ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(work);
	LqUser		user;
	Datum	   *keys;
	int			count;
	int64		events;

	lq_become(&user, p->owner);
	lq_pipeline_lock(p);
	p = lq_pipeline_get(name, false);
	lq_pipeline_check(p);
	/* the last batch's transaction took its pipeline with it */
	scan->pipeline = p;
	scan->table = lq_leads_name(p);
	scan->column = p->lead_key;
	if (!scan->started)
		scan_count(scan);
	keys = scan_next(scan, batch, &count, longer);
	if (count > 0)
		(void) recompute_batch(scan, keys, count, &events);
	lq_return(&user);
	if (count == 0 && scan->reported)
		report_progress(scan);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(work);
	return count;
}

PG_FUNCTION_INFO_V1(lq_recompute_all);

/*
 * CALL recompute_all(pipeline text, batch int): commits after each batch,
 * unless it is called inside a transaction block or a function.
 */
Datum
lq_recompute_all(PG_FUNCTION_ARGS)
{
	bool		nonatomic = fcinfo->context != NULL && IsA(fcinfo->context, CallContext) &&
		!castNode(CallContext, fcinfo->context)->atomic;
	MemoryContext longer;
	KeyScan		scan = {.verb = "recompute"};
	char	   *name;
	int			batch;
	int			count;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("recompute_all() needs a pipeline and a batch size")));
	batch = PG_GETARG_INT32(1);
	if (batch < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("batch must be at least 1, not %d", batch)));
	/* lives across the commits; deleted below, or with the portal */
	longer = AllocSetContextCreate(PortalContext, "lead_qualify recompute_all",
								   ALLOCSET_SMALL_SIZES);
	name = MemoryContextStrdup(longer, text_to_cstring(PG_GETARG_TEXT_PP(0)));
	scan.last_report = GetCurrentTimestamp();
	SPI_connect_ext(nonatomic ? SPI_OPT_NONATOMIC : 0);
	do
	{
		count = recompute_step(&scan, name, batch, longer);
		if (nonatomic)
			SPI_commit();
	} while (count > 0);
	SPI_finish();
	MemoryContextDelete(longer);
	PG_RETURN_VOID();
}

/* ----------------------------------------------------------------
 * Verify
 * ----------------------------------------------------------------
 */

typedef struct Verifier
{
	ReturnSetInfo *rsinfo;
	LqPipeline *pipeline;
	const char *lead;
} Verifier;

static void
differ(Verifier *v, const char *item, const char *stored, const char *replayed)
{
	Datum		values[4];
	bool		nulls[4] = {false, false, stored == NULL, replayed == NULL};

	values[0] = CStringGetTextDatum(v->lead);
	values[1] = CStringGetTextDatum(item);
	values[2] = nulls[2] ? (Datum) 0 : CStringGetTextDatum(stored);
	values[3] = nulls[3] ? (Datum) 0 : CStringGetTextDatum(replayed);
	tuplestore_putvalues(v->rsinfo->setResult, v->rsinfo->setDesc, values, nulls);
}

static void
differ_number(Verifier *v, const char *item, double stored, double replayed, double tolerance)
{
	if (isnan(stored) != isnan(replayed) || fabs(stored - replayed) > tolerance)
		differ(v, item, psprintf("%.17g", stored), psprintf("%.17g", replayed));
}

static void
differ_text(Verifier *v, const char *item, const char *stored, const char *replayed)
{
	if (!lq_text_equal(stored, replayed))
		differ(v, item, stored, replayed);
}

static const char *
time_text(TimestampTz at)
{
	if (at == DT_NOBEGIN)
		return "an unknown time";
	if (at == DT_NOEND)
		return "no time yet";
	return DatumGetCString(DirectFunctionCall1(timestamptz_out, TimestampTzGetDatum(at)));
}

/* sum of the absolute worths that make up the score: what rounding scales with */
static double
worths(const LqEngine *engine, const LqScore *score)
{
	double		sum = 1;
	ListCell   *lc;

	for (int i = 0; i < score->ndimensions; i++)
		sum += fabs(score->dimensions[i].base) * Max(1, fabs(score->dimensions[i].weight));
	foreach(lc, engine->contributions)
	{
		LqContribution *row = lfirst(lc);

		if (row->counted)
			sum += fabs(lq_worth(row->points, row->decay, row->period, row->at, score->as_of));
	}
	return sum;
}

static void
verify_score(Verifier *v, const LqScore *stored, const LqScore *replayed, double tolerance)
{
	double		factor = 1;

	for (int i = 0; i < replayed->ndimensions; i++)
	{
		const char *name = replayed->dimensions[i].name;
		int			other = lq_score_dimension(stored, name);

		factor = Max(factor, fabs(replayed->dimensions[i].weight));
		if (other < 0)
			differ(v, name, NULL, "present");
		else
			differ_number(v, name,
						  lq_score_points(stored, other, stored->as_of, false),
						  lq_score_points(replayed, i, replayed->as_of, false), tolerance);
	}
	differ_number(v, "total", lq_score_total(stored, stored->as_of, false),
				  lq_score_total(replayed, replayed->as_of, false), tolerance * factor);
}

static void
verify_history(Verifier *v, LqCase *c)
{
	List	   *differences = lq_history_differences(c);
	ListCell   *lc;

	foreach(lc, differences)
	{
		LqHistoryDifference *d = lfirst(lc);

		differ(v, "history",
			   d->stored == NULL ? NULL : psprintf("%s at %s", d->stored, time_text(d->stored_at)),
			   d->replayed == NULL ? NULL : psprintf("%s at %s", d->replayed, time_text(d->replayed_at)));
	}
}

/*
 * A replay ends where the stored state does.  But what is newer, in the past
 * and not waiting for its time should be in the state: look for it, too.
 */
static TimestampTz
verify_horizon(const LqCase *c)
{
	TimestampTz seen = Min(GetCurrentTimestamp(), c->next_due_at - 1);

	return Max(c->lead.score->as_of, seen);
}

static const char *
answers_text(const LqAssessment *assessment)
{
	return assessment == NULL ? NULL : lq_assessment_text(assessment);
}

static const char *
grade_text(int grade)
{
	return grade < 0 ? NULL : lq_grade_name(grade);
}

/* the columns beside the packed score */
static void
verify_summary(Verifier *v, const LqStored *was, const LqCase *c, double tolerance)
{
	LqStored	is;

	lq_case_summary(c, &is);
	differ_number(v, "total_at_event", was->total, is.total, tolerance);
	differ_number(v, "engagement_at_event", was->engagement, is.engagement, tolerance);
	differ_number(v, "fit_at_event", was->fit, is.fit, tolerance);
	differ_text(v, "scored_at", time_text(was->scored_at), time_text(is.scored_at));
	differ_text(v, "grade", grade_text(was->grade), grade_text(is.grade));
	differ_text(v, "assessment", answers_text(was->assessment),
				answers_text(c->lead.assessment));
	differ_text(v, "confirmed", answers_text(was->confirmed),
				answers_text(c->lead.confirmed));
	differ_text(v, "excluded", was->excluded, c->lead.excluded);
}

/* a crossing is known to the millisecond; a lead that is not looked at in time never is */
static void
verify_due(Verifier *v, const LqStored *was, TimestampTz due)
{
	if (was->next_due_at > due && (was->next_due_at == DT_NOEND || was->next_due_at - due > 1000))
		differ(v, "next_due_at", time_text(was->next_due_at), time_text(due));
	if (was->check_at > was->next_due_at)
		differ(v, "check_at", time_text(was->check_at),
			   psprintf("not after %s", time_text(was->next_due_at)));
}

static void
verify_case(Verifier *v, LqCases *cases, LqCase *c, LqEngine *engine)
{
	LqLead		stored = c->lead;
	double		tolerance;

	v->lead = lq_key_text(cases->pipeline, c->key);
	lq_case_replay(cases, c, engine, verify_horizon(c), stored.score->as_of);
	tolerance = 1e-9 * worths(engine, c->lead.score);
	verify_score(v, stored.score, c->lead.score, tolerance);
	verify_summary(v, &c->was, c, tolerance);
	differ_text(v, "stage", stored.stage, c->lead.stage);
	if (stored.cycle != c->lead.cycle)
		differ(v, "cycle", psprintf("%d", stored.cycle), psprintf("%d", c->lead.cycle));
	differ_text(v, "mark", stored.mark_stage, c->lead.mark_stage);
	differ_text(v, "marked", time_text(stored.mark), time_text(c->lead.mark));
	differ_text(v, "gate", stored.gate, c->lead.gate);
	differ_text(v, "keeping", stored.keeping ? "true" : "false", c->lead.keeping ? "true" : "false");
	differ_text(v, "stage_since", time_text(stored.stage_since), time_text(c->lead.stage_since));
	differ_text(v, "active_at", time_text(stored.active_at), time_text(c->lead.active_at));
	differ_text(v, "held_from", stored.held_from, c->lead.held_from);
	differ_text(v, "held_until", time_text(stored.held_until), time_text(c->lead.held_until));
	verify_due(v, &c->was, c->next_due_at);
	if (c->was.version != c->lead.model->version)
		differ(v, "version", psprintf("%d", c->was.version),
			   psprintf("%d", c->lead.model->version));
	if (!cases->pipeline->shadow &&
		!lq_column_says(cases->pipeline, c->column, c->lead.stage))
		differ_text(v, "stage column", lq_stage_of_column(cases->pipeline, c->column, false),
					c->lead.stage);
}

static void
verify_batch(Verifier *v, Datum *keys, int nkeys)
{
	LqCases    *cases = lq_cases_create(v->pipeline, keys, nkeys);
	LqEngine	engine;

	cases->read_only = true;
	lq_cases_lock(cases);
	lq_cases_read(cases);
	for (int i = 0; i < cases->count; i++)
	{
		LqCase	   *c = &cases->cases[i];

		/* a lead never touched has nothing to verify */
		c->replay = c->exists && c->scored;
		if (c->stored && !c->exists && !c->erased)
		{
			v->lead = lq_key_text(v->pipeline, c->key);
			differ(v, "lead", "scored", NULL);
		}
	}
	lq_events_load(cases, true);
	lq_run_engine_init(cases, &engine);
	engine.explaining = true;
	for (int i = 0; i < cases->count; i++)
		if (cases->cases[i].replay)
			verify_case(v, cases, &cases->cases[i], &engine);
	lq_run_engine_done(cases, &engine);
	for (int i = 0; i < cases->count; i++)
		if (cases->cases[i].replay)
		{
			v->lead = lq_key_text(v->pipeline, cases->cases[i].key);
			verify_history(v, &cases->cases[i]);
		}
	lq_cases_close(cases);
}

PG_FUNCTION_INFO_V1(lq_verify);

/*
 * verify(pipeline text, leads text[]): every difference between what is
 * stored and what a replay of the same events gives.
 */
Datum
lq_verify(PG_FUNCTION_ARGS)
{
	Verifier	v = {0};
	KeyScan		scan = {0};
	LqUser		user;
	MemoryContext outer = CurrentMemoryContext;
	MemoryContext batch;

	InitMaterializedSRF(fcinfo, 0);
	if (PG_ARGISNULL(0))
		return (Datum) 0;
	v.rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	v.pipeline = lq_pipeline_get(text_to_cstring(PG_GETARG_TEXT_PP(0)), false);
	lq_pipeline_check(v.pipeline);
	scan.pipeline = v.pipeline;
	scan.table = lq_side_name(v.pipeline, "qualification");
	scan.column = "lead";
	scan.read_only = true;
	if (!PG_ARGISNULL(1))
		scan.keys = lq_keys_of_texts(v.pipeline, PG_GETARG_ARRAYTYPE_P(1), &scan.nkeys);
	batch = AllocSetContextCreate(outer, "lead_qualify verify batch", ALLOCSET_DEFAULT_SIZES);
	/* the caller's rights, but not his search_path */
	lq_become(&user, GetUserId());
	for (;;)
	{
		Datum	   *keys;
		int			count;

		CHECK_FOR_INTERRUPTS();
		MemoryContextSwitchTo(batch);
		keys = scan_next(&scan, BATCH_LEADS / 4, &count, outer);
		if (count == 0)
			break;
		verify_batch(&v, keys, count);
		MemoryContextSwitchTo(outer);
		MemoryContextReset(batch);
	}
	MemoryContextSwitchTo(outer);
	MemoryContextDelete(batch);
	lq_return(&user);
	return (Datum) 0;
}
