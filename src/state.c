/*
 * state.c
 *		A lead's row, stored state and stage column: lock, read, write.
 *
 * Every statement names its tables with schema and takes the leads' keys as
 * an array, so that it means the same under any search_path and stays on the
 * leads' shard.  Lock
 * order: leads rows in key order, then their side rows, then history.
 */
#include "postgres.h"

#include <math.h>

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "lead_grade.h"
#include "lib/stringinfo.h"
#include "sql.h"
#include "state.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/float.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

/*
 * A stage move may fire the user's own triggers, which may insert activities,
 * which may move a stage.  Stages only rise by themselves, so that ends; a
 * loop with manual moves in it would not.
 */
#define MAX_DEPTH 32

/* ----------------------------------------------------------------
 * Statements
 * ----------------------------------------------------------------
 */

/* SQL of the lead's creation time as timestamptz */
static void
append_created_at(StringInfo buf, LqPipeline *p)
{
	AttrNumber	attnum = p->created_at == NULL ? InvalidAttrNumber :
		get_attnum(p->leads, p->created_at);
	Oid			type;

	if (attnum == InvalidAttrNumber)
	{
		appendStringInfoString(buf, "NULL::pg_catalog.timestamptz");
		return;
	}
	type = get_atttype(p->leads, attnum);
	if (type == TIMESTAMPTZOID)
		lq_append(buf, "l.%I", p->created_at);
	else if (type == TIMESTAMPOID || type == DATEOID)
		/* what no time zone can shift out of range */
		lq_append(buf, "CASE WHEN l.%I OPERATOR(pg_catalog.>) '4000-01-01 BC' AND "
				  "l.%I OPERATOR(pg_catalog.<) '200000-01-01' THEN "
				  "pg_catalog.timezone(%L, l.%I::pg_catalog.\"timestamp\") END",
				  p->created_at, p->created_at, p->time_zone, p->created_at);
	else
		appendStringInfoString(buf, "NULL::pg_catalog.timestamptz");
}

static SPIPlanPtr
plan_leads(LqPipeline *p, LqPlan which)
{
	SPIPlanPtr *slot = lq_plan_slot(p, which);
	StringInfoData buf;
	ListCell   *lc;

	if (*slot != NULL)
		return *slot;
	initStringInfo(&buf);
	lq_append(&buf, "SELECT l.%I, l.%I::pg_catalog.text, l.%I, ", p->lead_key, p->stage_column,
			  p->changed_column);
	append_created_at(&buf, p);
	foreach(lc, p->lead_columns)
	{
		if (get_attnum(p->leads, lfirst(lc)) != InvalidAttrNumber)
			lq_append(&buf, ", l.%I", lfirst(lc));
	}
	lq_append(&buf, " FROM %s l WHERE l.%I OPERATOR(pg_catalog.=) ANY ($1) ORDER BY l.%I%s",
			  lq_leads_name(p), p->lead_key, p->lead_key,
			  which == LQ_PLAN_LOCK ? " FOR NO KEY UPDATE" : "");
	*slot = lq_plan_keep(buf.data, 1, &p->key_array);
	return *slot;
}

/* of the side table or, with the same columns, of the baselines */
static SPIPlanPtr
plan_read(LqPipeline *p, LqPlan which)
{
	SPIPlanPtr *slot = lq_plan_slot(p, which);

	if (*slot == NULL)
		*slot = lq_plan_keep(lq_format("SELECT q.lead, q.score, q.stage, q.cycle, q.mark_stage, "
									   "q.next_due_at, q.attributes_at, q.lead_since, q.version, q.xmin, q.published_version, "
									   "q.total_at_event, q.engagement_at_event, q.fit_at_event, q.scored_at, q.grade, "
									   "q.assessment, q.confirmed, q.gate, q.keeping, q.stage_since, q.active_at, "
									   "q.held_from, q.held_until, q.mark, q.waits_at, q.excluded, q.check_at, q.archived_at "
									   "FROM %s q WHERE q.lead OPERATOR(pg_catalog.=) ANY ($1)",
									   lq_side_name(p, which == LQ_PLAN_READ ? "qualification" : "baseline")),
							 1, &p->key_array);
	return *slot;
}

/* ----------------------------------------------------------------
 * Reading
 * ----------------------------------------------------------------
 */

/* the image in a row of plan_leads: columns from the fifth on */
static LqImage *
current_image(LqCases *cases, int row, MemoryContext cxt)
{
	LqPipeline *p = cases->pipeline;
	TupleDesc	desc = RelationGetDescr(cases->leads);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	LqImage    *image = lq_image_create(p, desc);
	int			column = 5;
	ListCell   *lc;

	foreach(lc, p->lead_columns)
	{
		AttrNumber	attnum = get_attnum(p->leads, lfirst(lc));
		Form_pg_attribute att;
		Datum		value;
		bool		isnull;

		if (attnum == InvalidAttrNumber)
			continue;
		att = TupleDescAttr(desc, attnum - 1);
		value = lq_field(row, column++, &isnull);
		image->known[attnum - 1] = true;
		image->nulls[attnum - 1] = isnull;
		if (!isnull)
			image->values[attnum - 1] = datumCopy(value, att->attbyval, att->attlen);
	}
	MemoryContextSwitchTo(old);
	return image;
}

/*
 * Read the leads rows and lock them in key order, unless read_only.  Cases whose lead
 * does not exist keep exists = false.
 */
void
lq_cases_lock(LqCases *cases)
{
	bool		lock = !cases->read_only;
	LqPipeline *p = cases->pipeline;
	MemoryContext cxt = CurrentMemoryContext;
	Datum		values[1];

	if (cases->count == 0)
		return;
	/* they may have been looked at before */
	for (int i = 0; i < cases->count; i++)
		cases->cases[i].exists = false;
	values[0] = PointerGetDatum(lq_key_array(cases, NULL));
	SPI_connect();
	lq_plan_run(plan_leads(p, lock ? LQ_PLAN_LOCK : LQ_PLAN_LOOK), values, NULL, !lock);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool		isnull;
		LqCase	   *c = lq_case_find(cases, lq_field(i, 1, &isnull));

		if (c == NULL)
			continue;
		c->exists = true;
		c->column = lq_field_text(i, 2, cxt);
		c->column_changed_at = lq_field_time(i, 3, DT_NOBEGIN);
		c->created_at = lq_field_time(i, 4, DT_NOBEGIN);
		if (TIMESTAMP_NOT_FINITE(c->created_at))
			c->created_at = DT_NOBEGIN;
		if (p->lead_columns != NIL)
			c->current = current_image(cases, i, cxt);
	}
	SPI_finish();
}

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

/* columns of plan_read(), in order */
enum
{
	READ_LEAD = 1, READ_SCORE, READ_STAGE, READ_CYCLE, READ_MARK_STAGE, READ_DUE,
	READ_ATTRIBUTES_AT, READ_LEAD_SINCE, READ_VERSION, READ_XMIN, READ_PUBLISHED,
	READ_TOTAL, READ_ENGAGEMENT, READ_FIT, READ_SCORED_AT, READ_GRADE, READ_ASSESSMENT,
	READ_CONFIRMED, READ_GATE, READ_KEEPING, READ_STAGE_SINCE, READ_ACTIVE_AT,
	READ_HELD_FROM, READ_HELD_UNTIL, READ_MARK, READ_WAITS_AT, READ_EXCLUDED, READ_CHECK_AT,
	READ_ARCHIVED_AT
};

static int
field_int(int row, int column, int if_null)
{
	bool		isnull;
	Datum		value = lq_field(row, column, &isnull);

	return isnull ? if_null : DatumGetInt32(value);
}

/* what the row says beside the score */
static void
read_stored(LqStored *was, int row, MemoryContext cxt)
{
	bool		isnull;
	Datum		grade = lq_field(row, READ_GRADE, &isnull);

	was->grade = isnull ? -1 : DatumGetInt16(grade);
	was->stage = lq_field_text(row, READ_STAGE, cxt);
	was->cycle = field_int(row, READ_CYCLE, 1);
	was->mark_stage = lq_field_text(row, READ_MARK_STAGE, cxt);
	was->mark = lq_field_time(row, READ_MARK, DT_NOBEGIN);
	was->next_due_at = lq_field_time(row, READ_DUE, DT_NOEND);
	was->waits_at = lq_field_time(row, READ_WAITS_AT, DT_NOEND);
	was->attributes_at = lq_field_time(row, READ_ATTRIBUTES_AT, DT_NOBEGIN);
	was->lead_since = lq_field_time(row, READ_LEAD_SINCE, DT_NOBEGIN);
	was->version = field_int(row, READ_VERSION, 0);
	was->published = field_int(row, READ_PUBLISHED, 0);
	was->total = lq_field_float(row, READ_TOTAL);
	was->engagement = lq_field_float(row, READ_ENGAGEMENT);
	was->fit = lq_field_float(row, READ_FIT);
	was->scored_at = lq_field_time(row, READ_SCORED_AT, DT_NOBEGIN);
	was->assessment = lq_field_assessment(row, READ_ASSESSMENT, cxt);
	was->confirmed = lq_field_assessment(row, READ_CONFIRMED, cxt);
	was->gate = lq_field_text(row, READ_GATE, cxt);
	was->keeping = DatumGetBool(lq_field(row, READ_KEEPING, &isnull)) && !isnull;
	was->stage_since = lq_field_time(row, READ_STAGE_SINCE, DT_NOBEGIN);
	was->active_at = lq_field_time(row, READ_ACTIVE_AT, DT_NOBEGIN);
	was->held_from = lq_field_text(row, READ_HELD_FROM, cxt);
	was->held_until = lq_field_time(row, READ_HELD_UNTIL, DT_NOEND);
	was->excluded = lq_field_text(row, READ_EXCLUDED, cxt);
	was->check_at = lq_field_time(row, READ_CHECK_AT, DT_NOEND);
	was->archived_at = lq_field_time(row, READ_ARCHIVED_AT, DT_NOBEGIN);
}

/* the lead goes on from there, but for its score */
void
lq_lead_restore(LqLead *lead, const LqStored *was)
{
	lead->stage = was->stage;
	lead->cycle = was->cycle;
	lead->mark_stage = was->mark_stage;
	lead->mark = was->mark;
	lead->attributes_at = was->attributes_at;
	lead->assessment = was->assessment;
	lead->confirmed = was->mark_stage == NULL ? NULL : was->confirmed;
	lead->gate = was->gate;
	lead->keeping = was->keeping;
	lead->stage_since = was->stage_since;
	lead->active_at = was->active_at;
	lead->held_from = was->held_from;
	lead->held_until = was->held_until;
	lead->excluded = was->excluded;
}

/* the score of a row; NULL if there is none, or the row is not whole */
static LqScore *
read_score(int row, const LqStored *was, MemoryContext cxt, bytea **packed)
{
	bool		isnull;
	Datum		value = lq_field(row, READ_SCORE, &isnull);
	struct varlena *bytes;
	const char *problem;

	*packed = NULL;
	if (isnull || (was->mark_stage != NULL && was->confirmed == NULL))
		return NULL;
	bytes = PG_DETOAST_DATUM_PACKED(value);
	*packed = (bytea *) DatumGetPointer(datumCopy(PointerGetDatum(bytes), false, -1));
	return lq_score_unpack(VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes), cxt, &problem);
}

static void
read_state(LqCases *cases, LqCase *c, int row, MemoryContext cxt)
{
	bool		isnull;

	c->stored = true;
	c->written_here = TransactionIdIsCurrentTransactionId(
		DatumGetTransactionId(lq_field(row, READ_XMIN, &isnull)));
	read_stored(&c->was, row, cxt);
	lq_lead_restore(&c->lead, &c->was);
	c->lead_since = c->was.lead_since;
	c->waits_at = c->was.waits_at;
	c->next_due_at = c->was.next_due_at;
	if (c->was.version > 0)
		c->lead.model = lq_model_numbered(cases->pipeline, c->was.version);
	(void) lq_field(row, READ_SCORE, &isnull);
	c->erased = isnull && c->was.stage == NULL && lq_text_equal(c->was.excluded, LQ_ERASED);
	c->exists = c->exists && !c->erased;
	c->archived_at = c->was.archived_at;
	c->lead.score = read_score(row, &c->was, cxt, &c->packed);
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
	MemoryContext cxt = CurrentMemoryContext;
	Datum		values[1];

	if (cases->count == 0)
		return;
	values[0] = PointerGetDatum(lq_key_array(cases, NULL));
	SPI_connect();
	lq_plan_run(plan_read(cases->pipeline, LQ_PLAN_READ), values, NULL, cases->read_only);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool		isnull;
		LqCase	   *c = lq_case_find(cases, lq_field(i, 1, &isnull));
		MemoryContext old = MemoryContextSwitchTo(cxt);

		if (c != NULL)
			read_state(cases, c, i, cxt);
		MemoryContextSwitchTo(old);
	}
	SPI_finish();
	for (int i = 0; i < cases->count; i++)
		cases->cases[i].first_touch = !cases->cases[i].scored;
}

static bool
is_archived(const LqCase *c)
{
	return lq_case_is_replayed(c) && c->was.archived_at != DT_NOBEGIN;
}

static void
read_baseline(LqCases *cases, LqCase *c, int row, MemoryContext cxt)
{
	LqBaseline *baseline = palloc0(sizeof(LqBaseline));
	bytea	   *packed;

	read_stored(&baseline->was, row, cxt);
	baseline->at = baseline->was.archived_at;
	baseline->score = read_score(row, &baseline->was, cxt, &packed);
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
	MemoryContext cxt = CurrentMemoryContext;
	ArrayType  *keys = lq_key_array(cases, is_archived);
	Datum		values[1];

	if (keys == NULL)
		return;
	values[0] = PointerGetDatum(keys);
	SPI_connect();
	lq_plan_run(plan_read(cases->pipeline, LQ_PLAN_READ_BASELINE), values, NULL,
				cases->read_only);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool		isnull;
		LqCase	   *c = lq_case_find(cases, lq_field(i, 1, &isnull));
		MemoryContext old = MemoryContextSwitchTo(cxt);

		if (c != NULL)
			read_baseline(cases, c, i, cxt);
		MemoryContextSwitchTo(old);
	}
	SPI_finish();
}

/* ----------------------------------------------------------------
 * Writing
 * ----------------------------------------------------------------
 */

#define STATE_COLUMNS \
	"score, total_at_event, engagement_at_event, fit_at_event, scored_at, stage, grade, " \
	"cycle, mark, mark_stage, next_due_at, attributes_at, lead_since, version, published_version, " \
	"assessment, confirmed, gate, keeping, stage_since, active_at, held_from, held_until, waits_at, excluded, archived_at"
#define NSTATE 26				/* columns above */
#define STATE_DUE 10			/* next_due_at among them */

/* element types of the arrays that a write takes, after the keys' */
static void
state_types(Oid *types)
{
	Oid			score = lq_type_oid("lead_score");
	Oid			grade = lq_type_oid("lead_grade");
	Oid			assessment = lq_type_oid("assessment");
	Oid			fixed[NSTATE] = {InvalidOid, FLOAT8OID, FLOAT8OID, FLOAT8OID,
		TIMESTAMPTZOID, TEXTOID, InvalidOid, INT4OID, TIMESTAMPTZOID, TEXTOID,
	TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID, INT4OID, INT4OID, InvalidOid, InvalidOid,
		TEXTOID, BOOLOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTOID, TIMESTAMPTZOID};

	memcpy(types, fixed, sizeof(fixed));
	types[0] = score;
	types[6] = grade;
	types[15] = types[16] = assessment;
}

/*
 * check_at is indexed, so an update that leaves it alone can stay on its page:
 * it only becomes earlier, until advance() puts it forward.
 */
static SPIPlanPtr
plan_write(LqPipeline *p, LqPlan which)
{
	SPIPlanPtr *slot = lq_plan_slot(p, which);
	bool		update = which == LQ_PLAN_UPDATE || which == LQ_PLAN_FORWARD;
	Oid			types[NSTATE + 1];
	Oid			elements[NSTATE];
	StringInfoData buf;

	if (*slot != NULL)
		return *slot;
	state_types(elements);
	types[0] = p->key_array;
	for (int i = 0; i < NSTATE; i++)
		types[i + 1] = get_array_type(elements[i]);

	initStringInfo(&buf);
	if (update)
	{
		lq_append(&buf, "UPDATE %s q SET (" STATE_COLUMNS ", check_at) = ROW(",
				  lq_side_name(p, "qualification"));
		for (int i = 0; i < NSTATE; i++)
			appendStringInfo(&buf, "s.c%d, ", i);
		appendStringInfo(&buf, which == LQ_PLAN_FORWARD ? "s.c%d) FROM " :
						 "LEAST(q.check_at, s.c%d)) FROM ", STATE_DUE);
	}
	else
		lq_append(&buf, "INSERT INTO %s AS q (lead, " STATE_COLUMNS ", check_at) SELECT s.*, s.c%d FROM ",
				  lq_side_name(p, which == LQ_PLAN_INSERT ? "qualification" : "baseline"),
				  STATE_DUE);
	appendStringInfoString(&buf, "ROWS FROM (");
	for (int i = 0; i <= NSTATE; i++)
		appendStringInfo(&buf, "%spg_catalog.unnest($%d)", i > 0 ? ", " : "", i + 1);
	appendStringInfoString(&buf, ") AS s(lead");
	for (int i = 0; i < NSTATE; i++)
		appendStringInfo(&buf, ", c%d", i);
	appendStringInfoString(&buf, ")");
	if (update)
		appendStringInfoString(&buf, " WHERE q.lead = s.lead");
	else
		/* a row that an older snapshot hides is a serialization error, no duplicate */
		appendStringInfoString(&buf, " ON CONFLICT DO NOTHING");
	*slot = lq_plan_keep(buf.data, NSTATE + 1, types);
	return *slot;
}

/* the columns that repeat what the packed score says at its newest event */
void
lq_case_summary(const LqCase *c, LqStored *summary)
{
	const LqModel *model = c->lead.model;
	const LqScore *score = c->lead.score;

	summary->scored_at = score->as_of;
	summary->total = lq_score_total(score, score->as_of, false);
	summary->engagement = model->engagement < 0 ? get_float8_nan() :
		lq_score_points(score, model->engagement, score->as_of, false);
	summary->fit = model->fit < 0 ? get_float8_nan() :
		lq_score_points(score, model->fit, score->as_of, false);
	summary->grade = lq_model_grade(model, score, score->as_of);
}

/* text, or null */
static void
set_text(Datum *values, bool *nulls, int i, const char *text)
{
	nulls[i] = text == NULL;
	values[i] = text == NULL ? (Datum) 0 : CStringGetTextDatum(text);
}

/* what is not finite stands for null */
static void
set_time(Datum *values, bool *nulls, int i, TimestampTz at)
{
	nulls[i] = TIMESTAMP_NOT_FINITE(at);
	values[i] = TimestampTzGetDatum(at);
}

/* a lead's values in the order of STATE_COLUMNS */
static void
state_values(const LqCase *c, int published, Datum *values, bool *nulls)
{
	const LqLead *lead = &c->lead;
	LqStored	summary;

	lq_case_summary(c, &summary);
	memset(nulls, false, NSTATE * sizeof(bool));
	values[0] = PointerGetDatum(lq_score_pack(lead->score));
	values[1] = Float8GetDatum(summary.total);
	nulls[2] = isnan(summary.engagement);
	values[2] = Float8GetDatum(summary.engagement);
	nulls[3] = isnan(summary.fit);
	values[3] = Float8GetDatum(summary.fit);
	values[4] = TimestampTzGetDatum(summary.scored_at);
	set_text(values, nulls, 5, lead->stage);
	nulls[6] = summary.grade < 0;
	values[6] = Int16GetDatum((int16) summary.grade);
	values[7] = Int32GetDatum(lead->cycle);
	set_time(values, nulls, 8, lead->mark);
	set_text(values, nulls, 9, lead->mark_stage);
	set_time(values, nulls, STATE_DUE, c->next_due_at);
	set_time(values, nulls, 11, lead->attributes_at);
	set_time(values, nulls, 12, c->lead_since);
	values[13] = Int32GetDatum(lead->model->version);
	values[14] = Int32GetDatum(published);
	values[15] = PointerGetDatum(lead->assessment);
	nulls[16] = lead->confirmed == NULL;
	values[16] = PointerGetDatum(lead->confirmed);
	set_text(values, nulls, 17, lead->gate);
	values[18] = BoolGetDatum(lead->keeping);
	set_time(values, nulls, 19, lead->stage_since);
	set_time(values, nulls, 20, lead->active_at);
	set_text(values, nulls, 21, lead->held_from);
	set_time(values, nulls, 22, lead->held_until);
	set_time(values, nulls, 23, c->waits_at);
	set_text(values, nulls, 24, lead->excluded);
	set_time(values, nulls, 25, c->archived_at);
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

/* write the wanted cases with one statement */
static void
write_states(LqCases *cases, LqPlan which, bool (*wanted) (const LqCase *))
{
	LqPipeline *p = cases->pipeline;
	ArrayType  *keys = lq_key_array(cases, wanted);
	Oid			elements[NSTATE];
	Datum		arrays[NSTATE + 1];
	Datum	   *values[NSTATE];
	bool	   *nulls[NSTATE];
	int			n;

	if (keys == NULL)
		return;
	n = ArrayGetNItems(ARR_NDIM(keys), ARR_DIMS(keys));
	for (int i = 0; i < NSTATE; i++)
	{
		values[i] = palloc(n * sizeof(Datum));
		nulls[i] = palloc(n * sizeof(bool));
	}
	n = 0;
	for (int k = 0; k < cases->count; k++)
	{
		Datum		row[NSTATE];
		bool		rownulls[NSTATE];

		if (!wanted(&cases->cases[k]))
			continue;
		state_values(&cases->cases[k], p->versions[p->nversions - 1].number,
					 row, rownulls);
		for (int i = 0; i < NSTATE; i++)
		{
			values[i][n] = row[i];
			nulls[i][n] = rownulls[i];
		}
		n++;
	}
	state_types(elements);
	arrays[0] = PointerGetDatum(keys);
	for (int i = 0; i < NSTATE; i++)
	{
		int16		len;
		bool		byval;
		char		align;
		int			lbound = 1;

		get_typlenbyvalalign(elements[i], &len, &byval, &align);
		arrays[i + 1] = PointerGetDatum(construct_md_array(values[i], nulls[i], 1, &n,
														   &lbound, elements[i],
														   len, byval, align));
	}
	lq_plan_run(plan_write(p, which), arrays, NULL, false);
	if (wanted == is_dirty_new && SPI_processed != n)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not serialize access to the state of leads due to concurrent update")));
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

/*
 * Put the stage into the leads row where it differs from what is there.  The
 * side row is asked again, because a trigger on leads that an earlier move
 * fired may have moved this lead on.
 */
static void
write_stage_column(LqCases *cases, LqCase *c)
{
	LqPipeline *p = cases->pipeline;
	SPIPlanPtr *slot = lq_plan_slot(p, LQ_PLAN_STAGE);
	const char *spelled = lq_column_of_stage(p, c->lead.stage);
	Oid			types[4] = {InvalidOid, TEXTOID, TIMESTAMPTZOID, TEXTOID};
	Datum		values[4];
	LqMove	   *last;

	if (p->shadow || c->lead.stage == NULL || column_says(c, spelled))
		return;
	if (*slot == NULL)
	{
		Oid			type = get_atttype(p->leads, get_attnum(p->leads, p->stage_column));

		types[0] = p->key_type;
		*slot = lq_plan_keep(lq_format("UPDATE %s SET %I = $2::%s, %I = $3 "
									   "WHERE %I OPERATOR(pg_catalog.=) $1 AND EXISTS (SELECT 1 FROM %s q "
									   "WHERE q.lead OPERATOR(pg_catalog.=) $1 AND q.stage OPERATOR(pg_catalog.=) $4)",
									   lq_leads_name(p), p->stage_column,
									   format_type_be_qualified(type),
									   p->changed_column, p->lead_key,
									   lq_side_name(p, "qualification")),
							 4, types);
	}
	last = c->moves == NIL ? NULL : llast(c->moves);
	values[0] = c->key;
	values[1] = CStringGetTextDatum(spelled);
	values[2] = TimestampTzGetDatum(last != NULL ? last->at :
									TIMESTAMP_NOT_FINITE(c->lead.stage_since) ?
									c->lead.score->as_of : c->lead.stage_since);
	values[3] = CStringGetTextDatum(c->lead.stage);
	lq_plan_run(*slot, values, has_moved(last) || last == NULL ? NULL : "  n ", false);
}

/*
 * The application's own triggers on leads fire here.  They run, as we do, as
 * the leads owner, and find what stands beside the leads table.
 */
static void
write_stage_columns(LqCases *cases)
{
	static int	depth = 0;
	int			level = NewGUCNestLevel();

	if (depth >= MAX_DEPTH)
		ereport(ERROR,
				(errcode(ERRCODE_STATEMENT_TOO_COMPLEX),
				 errmsg("stage moves of pipeline \"%s\" trigger each other more than %d deep",
						cases->pipeline->name, MAX_DEPTH),
				 errhint("A trigger on the leads table moves stages or inserts activities without end.")));
	lq_set_option("search_path", psprintf("%s, pg_temp",
										  quote_identifier(cases->pipeline->leads_schema)));
	depth++;
	PG_TRY();
	{
		for (int i = 0; i < cases->count; i++)
			if (cases->cases[i].dirty)
				write_stage_column(cases, &cases->cases[i]);
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
	write_states(cases, cases->forward ? LQ_PLAN_FORWARD : LQ_PLAN_UPDATE, is_dirty_stored);
	write_states(cases, LQ_PLAN_INSERT, is_dirty_new);
	for (int i = 0; i < cases->count; i++)
	{
		LqCase	   *c = &cases->cases[i];

		lq_cases_tick(cases);
		if (!c->dirty)
			continue;
		if (c->replay)
			lq_history_replace(cases, c);
		else
			lq_history_append(cases, c);
	}
	lq_cases_plain_settings(cases);
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
	write_states(cases, LQ_PLAN_INSERT_BASELINE, is_dirty);
	(void) lq_execute(lq_format("UPDATE %s SET archived_at = $2 WHERE lead = ANY ($1)",
								lq_side_name(p, "qualification")), 2, types, values);
	SPI_finish();
}
