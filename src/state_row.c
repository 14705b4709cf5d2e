/*
 * state_row.c
 *		A lead's state as a row of <leads>_qualification or <leads>_baseline:
 *		from the row into memory and back.
 */
#include "postgres.h"

#include <math.h>

#include "state_row.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* ----------------------------------------------------------------
 * Reading
 * ----------------------------------------------------------------
 */

/* what the row says beside the score */
void
lq_state_row_read(LqStored *was, const Datum *values, const bool *nulls, MemoryContext cxt)
{
#define INT(column, if_null) \
	(nulls[column] ? (if_null) : DatumGetInt32(values[column]))
#define TIME(column, if_null) \
	(nulls[column] ? (if_null) : DatumGetTimestampTz(values[column]))
#define FLOAT(column) \
	(nulls[column] ? get_float8_nan() : DatumGetFloat8(values[column]))
#define TEXT(column) \
	(nulls[column] ? NULL : text_to_cstring(DatumGetTextPP(values[column])))
#define ANSWERS(column) \
	(nulls[column] ? NULL : (LqAssessment *) PG_DETOAST_DATUM_COPY(values[column]))
	MemoryContext old = MemoryContextSwitchTo(cxt);

	was->grade = nulls[LQ_STATE_GRADE] ? -1 : DatumGetInt16(values[LQ_STATE_GRADE]);
	was->stage = TEXT(LQ_STATE_STAGE);
	was->cycle = INT(LQ_STATE_CYCLE, 1);
	was->mark_stage = TEXT(LQ_STATE_MARK_STAGE);
	was->mark = TIME(LQ_STATE_MARK, DT_NOBEGIN);
	was->next_due_at = TIME(LQ_STATE_DUE, DT_NOEND);
	was->waits_at = TIME(LQ_STATE_WAITS_AT, DT_NOEND);
	was->attributes_at = TIME(LQ_STATE_ATTRIBUTES_AT, DT_NOBEGIN);
	was->lead_since = TIME(LQ_STATE_LEAD_SINCE, DT_NOBEGIN);
	was->version = INT(LQ_STATE_VERSION, 0);
	was->published = INT(LQ_STATE_PUBLISHED, 0);
	was->total = FLOAT(LQ_STATE_TOTAL);
	was->engagement = FLOAT(LQ_STATE_ENGAGEMENT);
	was->fit = FLOAT(LQ_STATE_FIT);
	was->scored_at = TIME(LQ_STATE_SCORED_AT, DT_NOBEGIN);
	was->assessment = ANSWERS(LQ_STATE_ASSESSMENT);
	was->confirmed = ANSWERS(LQ_STATE_CONFIRMED);
	was->gate = TEXT(LQ_STATE_GATE);
	was->keeping = !nulls[LQ_STATE_KEEPING] && DatumGetBool(values[LQ_STATE_KEEPING]);
	was->stage_since = TIME(LQ_STATE_STAGE_SINCE, DT_NOBEGIN);
	was->active_at = TIME(LQ_STATE_ACTIVE_AT, DT_NOBEGIN);
	was->held_from = TEXT(LQ_STATE_HELD_FROM);
	was->held_until = TIME(LQ_STATE_HELD_UNTIL, DT_NOEND);
	was->excluded = TEXT(LQ_STATE_EXCLUDED);
	was->check_at = TIME(LQ_STATE_CHECK_AT, DT_NOEND);
	was->archived_at = TIME(LQ_STATE_ARCHIVED_AT, DT_NOBEGIN);
	MemoryContextSwitchTo(old);
#undef INT
#undef TIME
#undef FLOAT
#undef TEXT
#undef ANSWERS
}

/*
 * The score of a row, and a copy of its bytes; NULL if there is none, or the row
 * is not whole.
 */
LqScore *
lq_state_row_score(const Datum *values, const bool *nulls, const LqStored *was,
				   MemoryContext cxt, bytea **packed)
{
	MemoryContext old;
	const char *problem;

	*packed = NULL;
	if (nulls[LQ_STATE_SCORE] || (was->mark_stage != NULL && was->confirmed == NULL))
		return NULL;
	old = MemoryContextSwitchTo(cxt);
	*packed = (bytea *) PG_DETOAST_DATUM_COPY(values[LQ_STATE_SCORE]);
	MemoryContextSwitchTo(old);
	return lq_score_unpack(VARDATA_ANY(*packed), VARSIZE_ANY_EXHDR(*packed), cxt, &problem);
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

/* ----------------------------------------------------------------
 * Writing
 * ----------------------------------------------------------------
 */

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

/*
 * The lead's row.  check_at is indexed, so an update that leaves it alone can
 * stay on its page: it only becomes earlier, until advance() puts it forward.
 */
void
lq_state_row_write(const LqCase *c, int published, bool forward, Datum *values, bool *nulls)
{
	const LqLead *lead = &c->lead;
	LqStored	summary;

	lq_case_summary(c, &summary);
	memset(nulls, false, LQ_NSTATE * sizeof(bool));
	values[LQ_STATE_LEAD] = c->key;
	values[LQ_STATE_SCORE] = PointerGetDatum(lq_score_pack(lead->score));
	values[LQ_STATE_TOTAL] = Float8GetDatum(summary.total);
	nulls[LQ_STATE_ENGAGEMENT] = isnan(summary.engagement);
	values[LQ_STATE_ENGAGEMENT] = Float8GetDatum(summary.engagement);
	nulls[LQ_STATE_FIT] = isnan(summary.fit);
	values[LQ_STATE_FIT] = Float8GetDatum(summary.fit);
	values[LQ_STATE_SCORED_AT] = TimestampTzGetDatum(summary.scored_at);
	lq_put_text(values, nulls, LQ_STATE_STAGE, lead->stage);
	nulls[LQ_STATE_GRADE] = summary.grade < 0;
	values[LQ_STATE_GRADE] = Int16GetDatum((int16) summary.grade);
	values[LQ_STATE_CYCLE] = Int32GetDatum(lead->cycle);
	lq_put_time(values, nulls, LQ_STATE_MARK, lead->mark);
	lq_put_text(values, nulls, LQ_STATE_MARK_STAGE, lead->mark_stage);
	lq_put_time(values, nulls, LQ_STATE_DUE, c->next_due_at);
	lq_put_time(values, nulls, LQ_STATE_CHECK_AT,
				c->stored && !forward ? Min(c->was.check_at, c->next_due_at) : c->next_due_at);
	lq_put_time(values, nulls, LQ_STATE_ATTRIBUTES_AT, lead->attributes_at);
	lq_put_time(values, nulls, LQ_STATE_LEAD_SINCE, c->lead_since);
	values[LQ_STATE_VERSION] = Int32GetDatum(lead->model->version);
	values[LQ_STATE_PUBLISHED] = Int32GetDatum(published);
	values[LQ_STATE_ASSESSMENT] = PointerGetDatum(lead->assessment);
	nulls[LQ_STATE_CONFIRMED] = lead->confirmed == NULL;
	values[LQ_STATE_CONFIRMED] = PointerGetDatum(lead->confirmed);
	lq_put_text(values, nulls, LQ_STATE_GATE, lead->gate);
	values[LQ_STATE_KEEPING] = BoolGetDatum(lead->keeping);
	lq_put_time(values, nulls, LQ_STATE_STAGE_SINCE, lead->stage_since);
	lq_put_time(values, nulls, LQ_STATE_ACTIVE_AT, lead->active_at);
	lq_put_text(values, nulls, LQ_STATE_HELD_FROM, lead->held_from);
	lq_put_time(values, nulls, LQ_STATE_HELD_UNTIL, lead->held_until);
	lq_put_time(values, nulls, LQ_STATE_WAITS_AT, c->waits_at);
	lq_put_text(values, nulls, LQ_STATE_EXCLUDED, lead->excluded);
	lq_put_time(values, nulls, LQ_STATE_ARCHIVED_AT, c->archived_at);
}
