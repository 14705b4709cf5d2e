/*
 * cases.c
 *		The leads that a shell works on: finding them by key, the plans kept
 *		for their statements, and how the leads table spells their stages.
 *
 * Plans are kept with the pipeline and freed with it.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/namespace.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "sql.h"
#include "state.h"
#include "storage/lmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/plancache.h"

/* ----------------------------------------------------------------
 * Cases
 * ----------------------------------------------------------------
 */

static int
key_qsort(const void *a, const void *b, void *arg)
{
	return lq_key_cmp(arg, *(const Datum *) a, *(const Datum *) b);
}

/*
 * Triggers of the application's run while we are at work.  What we have read, and
 * the columns that we take for granted, stay as they are only if the tables are
 * in use for as long.
 */
static void
open_tables(LqCases *cases)
{
	LqPipeline *p = cases->pipeline;

	cases->leads = table_open(p->leads, AccessShareLock);
	for (int i = 0; i < LQ_NSIDE_TABLES; i++)
	{
		char	   *name = psprintf("%s_%s", p->prefix, lq_side_tables[i].suffix);
		Oid			relid = lq_find_relation(p->leads_schema, name);

		if (!OidIsValid(relid))
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_TABLE),
					 errmsg("table \"%s.%s\" does not exist", p->leads_schema, name),
					 errhint("See lead_qualify.problem; call lead_qualify.detach('%s') if the pipeline is no longer wanted.",
							 p->name)));
		cases->sides[i] = table_open(relid, AccessShareLock);
	}
}

/* one case for each different key, in key order; opens the tables */
LqCases *
lq_cases_create(LqPipeline *pipeline, const Datum *keys, int nkeys)
{
	LqCases    *cases = palloc0(sizeof(LqCases));
	Datum	   *sorted = palloc(Max(1, nkeys) * sizeof(Datum));

	memcpy(sorted, keys, nkeys * sizeof(Datum));
	if (nkeys > 1)
		qsort_arg(sorted, nkeys, sizeof(Datum), key_qsort, pipeline);
	cases->pipeline = pipeline;
	cases->cxt = CurrentMemoryContext;
	cases->origin = "live";
	open_tables(cases);
	cases->cases = MemoryContextAllocHuge(CurrentMemoryContext,
										  Max(1, nkeys) * sizeof(LqCase));
	for (int i = 0; i < nkeys; i++)
	{
		LqCase	   *c = &cases->cases[cases->count];

		if (cases->count > 0 && lq_key_cmp(pipeline, c[-1].key, sorted[i]) == 0)
			continue;
		memset(c, 0, sizeof(LqCase));
		c->key = sorted[i];
		c->created_at = DT_NOBEGIN;
		c->lead_since = DT_NOBEGIN;
		c->archived_at = DT_NOBEGIN;
		c->was.archived_at = DT_NOBEGIN;
		c->waits_at = DT_NOEND;
		c->next_due_at = DT_NOEND;
		c->was.scored_at = DT_NOBEGIN;
		cases->count++;
	}
	pfree(sorted);
	return cases;
}

void
lq_cases_close(LqCases *cases)
{
	for (int i = 0; i < LQ_NSIDE_TABLES; i++)
		table_close(cases->sides[i], NoLock);
	table_close(cases->leads, NoLock);
}

LqCase *
lq_case_find(LqCases *cases, Datum key)
{
	int			low = 0,
				high = cases->count - 1;

	while (low <= high)
	{
		int			middle = low + (high - low) / 2;
		int			cmp = lq_key_cmp(cases->pipeline, key, cases->cases[middle].key);

		if (cmp == 0)
			return &cases->cases[middle];
		if (cmp < 0)
			high = middle - 1;
		else
			low = middle + 1;
	}
	return NULL;
}

void
lq_cases_tick(LqCases *cases)
{
	CHECK_FOR_INTERRUPTS();
	if (cases->tick != NULL)
		cases->tick(cases->tick_arg);
}

bool
lq_case_is_replayed(const LqCase *c)
{
	return c->exists && c->replay;
}

void
lq_case_add_event(LqCase *c, const LqEvent *event)
{
	if (c->nevents == c->maxevents)
	{
		c->maxevents = Max(4, c->maxevents * 2);
		c->events = c->events == NULL ? palloc(c->maxevents * sizeof(LqEvent)) :
			repalloc_huge(c->events, c->maxevents * sizeof(LqEvent));
	}
	c->events[c->nevents++] = *event;
}

/* array of the keys of the wanted cases; NULL if there is none */
ArrayType *
lq_key_array(LqCases *cases, bool (*wanted) (const LqCase *))
{
	LqPipeline *pipeline = cases->pipeline;
	Datum	   *keys = palloc(Max(1, cases->count) * sizeof(Datum));
	int			n = 0;
	int16		len;
	bool		byval;
	char		align;

	for (int i = 0; i < cases->count; i++)
		if (wanted == NULL || wanted(&cases->cases[i]))
			keys[n++] = cases->cases[i].key;
	if (n == 0)
		return NULL;
	get_typlenbyvalalign(pipeline->key_type, &len, &byval, &align);
	return construct_array(keys, n, pipeline->key_type, pipeline->key_len,
						   pipeline->key_byval, align);
}

/* wait out a publish in progress, and hold off the next one */
void
lq_pipeline_lock(LqPipeline *p)
{
	Oid			side = lq_find_relation(p->leads_schema,
										psprintf("%s_qualification", p->prefix));

	LockRelationOid(p->leads, RowExclusiveLock);
	if (OidIsValid(side))
		LockRelationOid(side, RowExclusiveLock);
}

/* ----------------------------------------------------------------
 * Stage column
 * ----------------------------------------------------------------
 */

static const LqModel *
newest_model(LqPipeline *pipeline)
{
	if (pipeline->nversions == 0)
		return NULL;
	return lq_model_numbered(pipeline,
							 pipeline->versions[pipeline->nversions - 1].number);
}

/*
 * The stage that a value of the stage column spells; NULL for NULL.  strict:
 * an unknown one is an error that lists the stages, else NULL.
 */
const char *
lq_stage_of_column(LqPipeline *pipeline, const char *value, bool strict)
{
	const LqModel *model = newest_model(pipeline);
	StringInfoData known;

	if (value == NULL || model == NULL)
		return NULL;
	for (int i = 0; i < model->nstages; i++)
		if (strcmp(model->stages[i].stored_as, value) == 0)
			return model->stages[i].name;
	if (!strict)
		return NULL;
	initStringInfo(&known);
	for (int i = 0; i < model->nstages; i++)
		appendStringInfo(&known, "%s%s", i > 0 ? ", " : "", model->stages[i].stored_as);
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("\"%s\" is not a stage of pipeline \"%s\"", value, pipeline->name),
			 errhint("Column \"%s\" takes one of: %s.", pipeline->stage_column, known.data)));
	return NULL;
}

/* the first stage on the path */
const char *
lq_first_stage(LqPipeline *pipeline)
{
	const LqModel *model = newest_model(pipeline);

	for (int i = 0; i < model->nstages; i++)
		if (LQ_ON_PATH(model->stages[i].kind))
			return model->stages[i].name;
	return NULL;
}

const char *
lq_column_of_stage(LqPipeline *pipeline, const char *stage)
{
	const LqModel *model = newest_model(pipeline);
	int			i = lq_model_stage(model, stage);

	return i < 0 ? stage : model->stages[i].stored_as;
}

/* does the stage column name this stage?  A stage of an older version, too */
bool
lq_column_says(LqPipeline *pipeline, const char *value, const char *stage)
{
	return value != NULL && stage != NULL &&
		strcmp(lq_column_of_stage(pipeline, stage), value) == 0;
}

/* ----------------------------------------------------------------
 * Plans
 * ----------------------------------------------------------------
 */

struct LqStatePlans
{
	SPIPlanPtr	plans[LQ_PLAN_COUNT];
	MemoryContextCallback callback;
};

static void
plans_free(void *arg)
{
	struct LqStatePlans *plans = arg;

	for (int i = 0; i < LQ_PLAN_COUNT; i++)
		if (plans->plans[i] != NULL)
			SPI_freeplan(plans->plans[i]);
}

/*
 * Our plans are made once and kept, often while the side tables are still
 * empty, and every statement takes its rows by key: so they are to use the
 * indexes whatever the tables looked like on that day.
 */
static void
make_plan(SPIPlanPtr plan)
{
	int			level = NewGUCNestLevel();

	lq_set_option("enable_seqscan", "off");
	lq_set_option("enable_hashjoin", "off");
	lq_set_option("enable_mergejoin", "off");
	lq_set_option("jit", "off");
	ReleaseCachedPlan(SPI_plan_get_cached_plan(plan), CurrentResourceOwner);
	AtEOXact_GUC(false, level);
}

/*
 * Keep a plan; always generic, because a custom plan for an array parameter
 * costs more than the statement.
 */
SPIPlanPtr
lq_plan_keep(const char *query, int nargs, Oid *types)
{
	SPIPlanPtr	plan = SPI_prepare_cursor(query, nargs, types, CURSOR_OPT_GENERIC_PLAN);

	if (plan == NULL)
		elog(ERROR, "could not prepare \"%s\": %s", query,
			 SPI_result_code_string(SPI_result));
	SPI_keepplan(plan);
	make_plan(plan);
	return plan;
}

/* before each use: a table may have changed since the plan was made */
SPIPlanPtr
lq_plan_check(SPIPlanPtr plan)
{
	if (!SPI_plan_is_valid(plan))
		make_plan(plan);
	return plan;
}

/* SPI is connected */
void
lq_plan_run(SPIPlanPtr plan, Datum *values, const char *nulls, bool read_only)
{
	int			code = SPI_execute_plan(lq_plan_check(plan), values, nulls, read_only, 0);

	if (code < 0)
		elog(ERROR, "could not run a statement of lead_qualify: %s",
			 SPI_result_code_string(code));
}

SPIPlanPtr *
lq_plan_slot(LqPipeline *p, LqPlan which)
{
	if (p->plans == NULL)
	{
		p->plans = MemoryContextAllocZero(p->cxt, sizeof(struct LqStatePlans));
		p->plans->callback.func = plans_free;
		p->plans->callback.arg = p->plans;
		MemoryContextRegisterResetCallback(p->cxt, &p->plans->callback);
	}
	return &p->plans->plans[which];
}

/* ----------------------------------------------------------------
 * Fields of the rows in SPI_tuptable
 * ----------------------------------------------------------------
 */

Datum
lq_field(int row, int column, bool *isnull)
{
	return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, isnull);
}

TimestampTz
lq_field_time(int row, int column, TimestampTz otherwise)
{
	bool		isnull;
	Datum		value = lq_field(row, column, &isnull);

	return isnull ? otherwise : DatumGetTimestampTz(value);
}

double
lq_field_float(int row, int column)
{
	bool		isnull;
	Datum		value = lq_field(row, column, &isnull);

	return isnull ? get_float8_nan() : DatumGetFloat8(value);
}

int64
lq_field_bigint(int row, int column)
{
	bool		isnull;

	return DatumGetInt64(lq_field(row, column, &isnull));
}

char *
lq_field_text(int row, int column, MemoryContext cxt)
{
	bool		isnull;
	Datum		value = lq_field(row, column, &isnull);
	MemoryContext old;
	char	   *copy;

	if (isnull)
		return NULL;
	old = MemoryContextSwitchTo(cxt);
	copy = TextDatumGetCString(value);
	MemoryContextSwitchTo(old);
	return copy;
}

/* NULL for null */
const LqAssessment *
lq_field_assessment(int row, int column, MemoryContext cxt)
{
	bool		isnull;
	Datum		value = lq_field(row, column, &isnull);
	MemoryContext old;
	LqAssessment *copy;

	if (isnull)
		return NULL;
	old = MemoryContextSwitchTo(cxt);
	copy = (LqAssessment *) PG_DETOAST_DATUM_COPY(value);
	MemoryContextSwitchTo(old);
	return copy;
}

/* ----------------------------------------------------------------
 * Columns of a row to be written
 * ----------------------------------------------------------------
 */

void
lq_put_text(Datum *values, bool *nulls, int column, const char *text)
{
	nulls[column] = text == NULL;
	values[column] = text == NULL ? (Datum) 0 : CStringGetTextDatum(text);
}

void
lq_put_time(Datum *values, bool *nulls, int column, TimestampTz at)
{
	nulls[column] = TIMESTAMP_NOT_FINITE(at);
	values[column] = TimestampTzGetDatum(at);
}
