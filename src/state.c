/*
 * state.c
 *		A lead's stored state and stage column: read, write.
 *
 * Statements name their tables with schema, so that they mean the same under any
 * search_path; rows of states are found and updated by side_rows.c.  Lock order:
 * leads rows in key order (lead_rows.c), then their side rows, then history.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "lib/stringinfo.h"
#include "row_arrays.h"
#include "sql.h"
#include "side_rows.h"
#include "state_row.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/*
 * A stage move may fire the user's own triggers, which may insert activities,
 * which may move a stage.  Stages only rise by themselves, so that ends; a
 * loop with manual moves in it would not.
 */
#define MAX_DEPTH 32

/* ----------------------------------------------------------------
 * Reading
 * ----------------------------------------------------------------
 */

/* anyone who may write the side table can put any score there */
static bool
same_dimensions(const LqScore *score, const LqModel *model)
{
	if (score->ndimensions != model->ndimensions)
		return false;
	for (int i = 0; i < score->ndimensions; i++)
		if (strcmp(score->dimensions[i].name, model->dimensions[i].name) != 0)
			return false;
	return true;
}

static void
read_state(LqCases *cases, LqCase *c, const Datum *values, const bool *nulls, MemoryContext cxt)
{
	c->stored = true;
	lq_state_row_read(&c->was, values, nulls, cxt);
	lq_lead_restore(&c->lead, &c->was);
	c->lead_since = c->was.lead_since;
	c->waits_at = c->was.waits_at;
	c->next_due_at = c->was.next_due_at;
	if (c->was.version > 0)
		c->lead.model = lq_model_numbered(cases->pipeline, c->was.version);
	c->erased = nulls[LQ_STATE_SCORE] && c->was.stage == NULL &&
		lq_text_equal(c->was.excluded, LQ_ERASED);
	c->exists = c->exists && !c->erased;
	c->archived_at = c->was.archived_at;
	c->lead.score = lq_state_row_score(values, nulls, &c->was, cxt, &c->packed);
	/* a state that is not whole, or not of its version, is computed anew */
	c->scored = c->lead.score != NULL && c->lead.model != NULL &&
		same_dimensions(c->lead.score, c->lead.model);
	if (c->scored && c->current != NULL)
		c->lead.attributes = lq_image_tuple(RelationGetDescr(cases->leads), c->current);
}

/* read the stored states, under the locks taken by lq_cases_lock() */
void
lq_cases_read(LqCases *cases)
{
	LqSideRows *rows;

	if (cases->count == 0)
		return;
	rows = lq_side_rows_open(cases, LQ_SIDE_STATE, cases->read_only);
	for (int i = 0; i < cases->count; i++)
	{
		LqCase	   *c = &cases->cases[i];
		Datum		values[LQ_NSTATE];
		bool		nulls[LQ_NSTATE];

		if (lq_side_rows_find(rows, c->key, values, nulls))
		{
			c->written_here = lq_side_rows_where(rows, &c->side_row);
			read_state(cases, c, values, nulls, CurrentMemoryContext);
		}
		c->first_touch = !c->scored;
	}
	lq_side_rows_close(rows);
}

static bool
is_archived(const LqCase *c)
{
	return lq_case_is_replayed(c) && c->was.archived_at != DT_NOBEGIN;
}

static void
read_baseline(LqCases *cases, LqCase *c, const Datum *values, const bool *nulls)
{
	LqBaseline *baseline = palloc0(sizeof(LqBaseline));
	bytea	   *packed;

	lq_state_row_read(&baseline->was, values, nulls, CurrentMemoryContext);
	baseline->at = baseline->was.archived_at;
	baseline->score = lq_state_row_score(values, nulls, &baseline->was, CurrentMemoryContext,
										 &packed);
	/* never in silence from the first event, whose activities may be gone */
	if (baseline->score == NULL || baseline->at == DT_NOBEGIN)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("the row of lead \"%s\" in %s is not whole",
						lq_key_text(cases->pipeline, c->key),
						lq_side_name(cases->pipeline, "baseline")),
				 errhint("Restore it from a backup; if the archived activities are still there, delete it.")));
	c->baseline = baseline;
}

/* where the replayed cases start, of those that archive() has put somewhere */
void
lq_cases_read_baselines(LqCases *cases)
{
	LqSideRows *rows = NULL;

	for (int i = 0; i < cases->count; i++)
	{
		LqCase	   *c = &cases->cases[i];
		Datum		values[LQ_NSTATE];
		bool		nulls[LQ_NSTATE];

		if (!is_archived(c))
			continue;
		if (rows == NULL)
			rows = lq_side_rows_open(cases, LQ_SIDE_BASELINE, cases->read_only);
		if (lq_side_rows_find(rows, c->key, values, nulls))
			read_baseline(cases, c, values, nulls);
	}
	if (rows != NULL)
		lq_side_rows_close(rows);
}

/* ----------------------------------------------------------------
 * Writing
 * ----------------------------------------------------------------
 */

static char *
insert_into(const char *table, const char *from)
{
	StringInfoData buf;

	initStringInfo(&buf);
	lq_append(&buf, "INSERT INTO %s (", table);
	for (int i = 0; i < LQ_NSTATE; i++)
		appendStringInfo(&buf, "%s%s", i > 0 ? ", " : "", lq_side_tables[LQ_SIDE_STATE].columns[i].name);
	/* a row that an older snapshot hides is a serialization error, no duplicate */
	lq_append(&buf, ") SELECT * FROM %s AS r ON CONFLICT DO NOTHING", from);
	return buf.data;
}

static char *
insert_sql(const LqPipeline *p, const char *from)
{
	return insert_into(lq_side_name(p, "qualification"), from);
}

static char *
insert_baseline_sql(const LqPipeline *p, const char *from)
{
	return insert_into(lq_side_name(p, "baseline"), from);
}

static bool
is_dirty_stored(const LqCase *c)
{
	return c->dirty && c->stored && !c->state_same;
}

static bool
is_dirty_new(const LqCase *c)
{
	return c->dirty && !c->stored;
}

static bool
is_dirty(const LqCase *c)
{
	return c->dirty;
}

/* the newest version: what the states say they were computed under */
static int
published_version(const LqPipeline *p)
{
	return p->versions[p->nversions - 1].number;
}

static LqRowArrays *
new_states(const LqPipeline *p)
{
	Oid			types[LQ_NSTATE];

	for (int i = 0; i < LQ_NSTATE; i++)
		types[i] = lq_side_column_type(&lq_side_tables[LQ_SIDE_STATE].columns[i], p->key_type);
	return lq_row_arrays_create(LQ_NSTATE, types);
}

/* insert rows for the wanted cases with one statement */
static void
insert_states(LqCases *cases, LqPlan which, bool (*wanted) (const LqCase *))
{
	LqPipeline *p = cases->pipeline;
	LqRowArrays *rows = NULL;	/* most batches have no new lead */

	for (int i = 0; i < cases->count; i++)
	{
		Datum		values[LQ_NSTATE];
		bool		nulls[LQ_NSTATE];

		if (!wanted(&cases->cases[i]))
			continue;
		if (rows == NULL)
			rows = new_states(p);
		lq_state_row_write(&cases->cases[i], published_version(p), true, values, nulls);
		lq_row_arrays_add(rows, values, nulls);
	}
	if (rows == NULL)
		return;
	lq_row_arrays_run(rows, p, which, which == LQ_PLAN_INSERT ? insert_sql : insert_baseline_sql);
	if (which == LQ_PLAN_INSERT && SPI_processed != rows->nrows)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not serialize access to the state of leads due to concurrent update")));
}

/* write the dirty cases that have a row */
static void
update_states(LqCases *cases)
{
	int			published = published_version(cases->pipeline);
	LqSideRows *rows = NULL;

	for (int i = 0; i < cases->count; i++)
	{
		LqCase	   *c = &cases->cases[i];
		Datum		values[LQ_NSTATE];
		bool		nulls[LQ_NSTATE];

		if (!is_dirty_stored(c))
			continue;
		if (rows == NULL)
			rows = lq_side_rows_open(cases, LQ_SIDE_STATE, false);
		lq_state_row_write(c, published, cases->forward, values, nulls);
		lq_side_rows_update(rows, &c->side_row, values, nulls);
	}
	if (rows != NULL)
		lq_side_rows_close(rows);
}

/* is it a move, and not only a beginning? */
static bool
has_moved(const LqMove *move)
{
	return move != NULL && strcmp(move->cause, "created") != 0 &&
		strcmp(move->cause, "attached") != 0;
}

/*
 * Does the leads row say all that the state says?  A lead that has not moved
 * since its creation needs no stage_changed_at.
 */
static bool
column_says(const LqCase *c, const char *spelled)
{
	const LqMove *last = c->moves == NIL ? NULL : llast(c->moves);

	if (c->column == NULL || strcmp(c->column, spelled) != 0)
		return false;
	return last == NULL || last->at == c->column_changed_at || !has_moved(last);
}

static bool
lacks_stage(const LqCases *cases, const LqCase *c)
{
	return c->dirty && !cases->pipeline->shadow && c->lead.stage != NULL &&
		!column_says(c, lq_column_of_stage(cases->pipeline, c->lead.stage));
}

static bool
any_lacks_stage(const LqCases *cases)
{
	for (int i = 0; i < cases->count; i++)
		if (lacks_stage(cases, &cases->cases[i]))
			return true;
	return false;
}

/*
 * Put stages into leads rows.  The side row is asked again, because a trigger on
 * leads may have moved a lead on.
 */
static char *
stages_sql(const LqPipeline *p, const char *from)
{
	Oid			type;
	int32		typmod;
	Oid			collation;

	get_atttypetypmodcoll(p->leads, get_attnum(p->leads, p->stage_column), &type, &typmod, &collation);
	return lq_format("UPDATE %s l SET %I = s.spelled::%s, %I = s.at FROM %s AS s(lead, spelled, at, stage) "
					 "WHERE l.%I OPERATOR(pg_catalog.=) s.lead AND EXISTS (SELECT 1 FROM %s q "
					 "WHERE q.lead OPERATOR(pg_catalog.=) s.lead AND q.stage OPERATOR(pg_catalog.=) s.stage)",
					 lq_leads_name(p), p->stage_column,
					 format_type_extended(type, typmod, FORMAT_TYPE_TYPEMOD_GIVEN |
										  FORMAT_TYPE_FORCE_QUALIFY),
					 p->changed_column, from, p->lead_key, lq_side_name(p, "qualification"));
}

/* when the lead came into its stage; false: that is how it began */
static bool
time_of_stage(const LqCase *c, TimestampTz *at)
{
	const LqMove *last = c->moves == NIL ? NULL : llast(c->moves);

	*at = last != NULL ? last->at :
		TIMESTAMP_NOT_FINITE(c->lead.stage_since) ? c->lead.score->as_of : c->lead.stage_since;
	return last == NULL || has_moved(last);
}

/* write the stages of the leads whose rows lack them, all with one statement */
static void
write_lacking_stages(LqCases *cases)
{
	LqPipeline *p = cases->pipeline;
	const Oid	types[] = {p->key_type, TEXTOID, TIMESTAMPTZOID, TEXTOID};
	LqRowArrays *rows = lq_row_arrays_create(lengthof(types), types);

	for (int i = 0; i < cases->count; i++)
	{
		const LqCase *c = &cases->cases[i];
		Datum		values[lengthof(types)];
		bool		nulls[lengthof(types)] = {false};
		TimestampTz at;

		if (!lacks_stage(cases, c))
			continue;
		nulls[2] = !time_of_stage(c, &at);
		values[0] = c->key;
		values[1] = CStringGetTextDatum(lq_column_of_stage(p, c->lead.stage));
		values[2] = TimestampTzGetDatum(at);
		values[3] = CStringGetTextDatum(c->lead.stage);
		lq_row_arrays_add(rows, values, nulls);
	}
	lq_row_arrays_run(rows, p, LQ_PLAN_STAGE, stages_sql);
}

/*
 * The application's own triggers on leads fire here.  They run, as we do, as
 * the leads owner, and find what stands beside the leads table.
 */
static void
write_stage_columns(LqCases *cases)
{
	static int	depth = 0;
	int			level;

	if (!any_lacks_stage(cases))
		return;
	if (depth >= MAX_DEPTH)
		ereport(ERROR,
				(errcode(ERRCODE_STATEMENT_TOO_COMPLEX),
				 errmsg("stage moves of pipeline \"%s\" trigger each other more than %d deep",
						cases->pipeline->name, MAX_DEPTH),
				 errhint("A trigger on the leads table moves stages or inserts activities without end.")));
	level = NewGUCNestLevel();
	lq_set_option("search_path", psprintf("%s, pg_temp",
										  quote_identifier(cases->pipeline->leads_schema)));
	depth++;
	PG_TRY();
	{
		write_lacking_stages(cases);
	}
	PG_FINALLY();
	{
		depth--;
	}
	PG_END_TRY();
	AtEOXact_GUC(false, level);
}

/*
 * Write the dirty cases: state first, then history, then the stage column, so
 * that our own trigger on leads finds the state equal to the column and knows
 * the update for ours.
 */
void
lq_cases_write(LqCases *cases)
{
	SPI_connect();
	update_states(cases);
	insert_states(cases, LQ_PLAN_INSERT, is_dirty_new);
	lq_history_write(cases);
	write_stage_columns(cases);
	SPI_finish();
}

/*
 * The states that the dirty cases have been replayed to become the baselines
 * of their leads: whatever happened before that time is in them.
 */
void
lq_cases_archive(LqCases *cases, TimestampTz before)
{
	LqPipeline *p = cases->pipeline;
	ArrayType  *keys = lq_key_array(cases, is_dirty);
	Oid			types[2] = {p->key_array, TIMESTAMPTZOID};
	Datum		values[2] = {PointerGetDatum(keys), TimestampTzGetDatum(before)};

	if (keys == NULL)
		return;
	SPI_connect();
	(void) lq_execute(lq_format("DELETE FROM %s WHERE lead = ANY ($1)",
								lq_side_name(p, "baseline")), 1, types, values);
	for (int i = 0; i < cases->count; i++)
		cases->cases[i].archived_at = before;
	insert_states(cases, LQ_PLAN_INSERT_BASELINE, is_dirty);
	(void) lq_execute(lq_format("UPDATE %s SET archived_at = $2 WHERE lead = ANY ($1)",
								lq_side_name(p, "qualification")), 2, types, values);
	SPI_finish();
}
