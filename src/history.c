/*
 * history.c
 *		Stage history: rows that stand, appending moves, replacing a path.
 *
 * Automatic rows are what the engine says; a replay that comes to the same
 * row leaves it untouched, marks the others superseded and adds its own.
 * Rows made by people are fixed points: they are read back as events and
 * never superseded.
 */
#include "postgres.h"

#include <math.h>

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "notify.h"
#include "sql.h"
#include "state.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

typedef struct StoredRow
{
	int64		id;
	int			cycle;
	char	   *stage;
	char	   *from_stage;
	TimestampTz entered_at;		/* DT_NOBEGIN: unknown */
	TimestampTz left_at;		/* DT_NOEND: still there */
	char	   *cause;
	char	   *gate;
	bool		by_hand;
	char	   *origin;
	double		total;
	double		engagement;
	double		fit;
	const LqAssessment *assessment;	/* NULL: not noted */
	int			version;
	bool		archived;		/* the stay that the baseline is in */
	bool		taken;
} StoredRow;

/* rows that a person or another system made, not the engine */
#define FIXED_CONDITION \
	"h.superseded_at IS NULL AND (h.cause = 'attached' OR h.moved_by IS NOT NULL)"

/* ----------------------------------------------------------------
 * Reading
 * ----------------------------------------------------------------
 */

/*
 * For the replayed cases: the rows that stand, and the stage that the lead
 * was created in.
 */
void
lq_history_read_fixed(LqCases *cases)
{
	LqPipeline *p = cases->pipeline;
	MemoryContext cxt = CurrentMemoryContext;
	ArrayType  *keys = lq_key_array(cases, lq_case_is_replayed);
	SPIPlanPtr *plan = lq_plan_slot(p, LQ_PLAN_FIXED);
	Datum		values[1];

	if (keys == NULL)
		return;
	values[0] = PointerGetDatum(keys);
	SPI_connect();
	if (*plan == NULL)
		*plan = lq_plan_keep(lq_format("SELECT h.lead, h.id, h.cause, h.stage, "
									   "COALESCE(h.entered_at, h.recorded_at), h.gate, h.held_until FROM %s h "
									   "WHERE h.lead OPERATOR(pg_catalog.=) ANY ($1) AND ((" FIXED_CONDITION
									   ") OR (h.cause = 'created' AND h.superseded_at IS NULL)) "
									   "ORDER BY h.lead, h.id",
									   lq_side_name(p, "stage_history")),
							 1, &p->key_array);
	lq_plan_run(*plan, values, NULL, cases->read_only);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool		isnull;
		LqCase	   *c = lq_case_find(cases, SPI_getbinval(SPI_tuptable->vals[i],
														  SPI_tuptable->tupdesc, 1, &isnull));
		char	   *cause = lq_field_text(i, 3, cxt);
		MemoryContext old;
		LqFixed    *fixed;

		if (c == NULL)
			continue;
		if (strcmp(cause, "created") == 0)
		{
			c->initial = lq_field_text(i, 4, cxt);
			continue;
		}
		old = MemoryContextSwitchTo(cxt);
		fixed = palloc(sizeof(LqFixed));
		fixed->id = lq_field_bigint(i, 2);
		fixed->cause = cause;
		fixed->stage = lq_field_text(i, 4, cxt);
		fixed->at = lq_field_time(i, 5, DT_NOBEGIN);
		fixed->gate = lq_field_text(i, 6, cxt);
		fixed->held_until = lq_field_time(i, 7, DT_NOEND);
		c->fixed = lappend(c->fixed, fixed);
		MemoryContextSwitchTo(old);
	}
	SPI_finish();
}

/*
 * The unsuperseded rows of one lead, oldest first; of those before its
 * baseline only the stay that the baseline is in.  SPI is connected.
 */
static StoredRow *
stored_rows(LqCases *cases, LqCase *c, int *count)
{
	LqPipeline *p = cases->pipeline;
	MemoryContext cxt = CurrentMemoryContext;
	SPIPlanPtr *plan = lq_plan_slot(p, LQ_PLAN_STORED);
	StoredRow  *rows;
	Datum		values[1];

	values[0] = c->key;
	if (*plan == NULL)
		*plan = lq_plan_keep(lq_format("SELECT h.id, h.cycle::pg_catalog.int8, h.stage, h.from_stage, "
									   "h.entered_at, h.left_at, h.cause, h.gate, "
									   "h.total, h.engagement, h.fit, h.version::pg_catalog.int8, h.assessment, "
									   "(h.moved_by IS NOT NULL)::pg_catalog.int4::pg_catalog.int8, h.origin, "
									   "COALESCE(h.entered_at, h.recorded_at) FROM %s h "
									   "WHERE h.lead = $1 AND h.superseded_at IS NULL "
									   "ORDER BY h.entered_at NULLS FIRST, h.id",
									   lq_side_name(p, "stage_history")),
							 1, &p->key_type);
	lq_plan_run(*plan, values, NULL, cases->read_only);
	rows = MemoryContextAllocZero(cxt, Max(1, SPI_processed) * sizeof(StoredRow));
	*count = 0;
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		StoredRow  *row = &rows[*count];

		row->entered_at = lq_field_time(i, 5, DT_NOBEGIN);
		row->left_at = lq_field_time(i, 6, DT_NOEND);
		row->archived = c->baseline != NULL &&
			lq_field_time(i, 16, DT_NOBEGIN) < c->baseline->at;
		if (row->archived && row->left_at < c->baseline->at)
			continue;
		row->taken = row->archived;
		row->id = lq_field_bigint(i, 1);
		row->cycle = (int) lq_field_bigint(i, 2);
		row->stage = lq_field_text(i, 3, cxt);
		row->from_stage = lq_field_text(i, 4, cxt);
		row->cause = lq_field_text(i, 7, cxt);
		row->gate = lq_field_text(i, 8, cxt);
		row->total = lq_field_float(i, 9);
		row->engagement = lq_field_float(i, 10);
		row->fit = lq_field_float(i, 11);
		row->version = (int) lq_field_bigint(i, 12);
		row->assessment = lq_field_assessment(i, 13, cxt);
		row->by_hand = lq_field_bigint(i, 14) != 0;
		row->origin = lq_field_text(i, 15, cxt);
		(*count)++;
	}
	SPI_freetuptable(SPI_tuptable);
	return rows;
}

/* ----------------------------------------------------------------
 * Writing rows
 * ----------------------------------------------------------------
 */

static bool
is_attached(const LqMove *move)
{
	return strcmp(move->cause, "attached") == 0;
}

/*
 * A lead that is scored for the first time brings its past along: what came
 * before its newest event is backfill, unless a bulk load says otherwise.
 */
static const char *
origin_of(const LqCases *cases, const LqCase *c, const LqMove *move)
{
	if (strcmp(cases->origin, "live") == 0 && c->first_touch &&
		move->at < c->lead.score->as_of)
		return "backfill";
	return cases->origin;
}

static void
history_insert(LqCases *cases, LqCase *c, const LqMove *move, TimestampTz left_at,
			   const char *origin)
{
	LqPipeline *p = cases->pipeline;
	SPIPlanPtr *plan = lq_plan_slot(p, LQ_PLAN_HISTORY_INSERT);
	const LqEvent *by_hand = is_attached(move) ? NULL : move->by_hand;
	Oid			types[20] = {p->key_type, INT4OID, TEXTOID, TEXTOID, TIMESTAMPTZOID,
		TIMESTAMPTZOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID,
	FLOAT8OID, FLOAT8OID, FLOAT8OID, INT4OID, TEXTOID, TIMESTAMPTZOID, InvalidOid,
		TIMESTAMPTZOID, BOOLOID};
	Datum		values[20];
	char		nulls[21];

#define SET_TEXT(i, value) \
	do { \
		const char *text_ = (value); \
		nulls[i] = text_ == NULL ? 'n' : ' '; \
		values[i] = text_ == NULL ? (Datum) 0 : CStringGetTextDatum(text_); \
	} while (0)

	memset(nulls, ' ', sizeof(nulls));
	values[0] = c->key;
	values[1] = Int32GetDatum(move->cycle);
	SET_TEXT(2, move->stage);
	SET_TEXT(3, move->from_stage);
	values[4] = TimestampTzGetDatum(move->at);
	nulls[4] = is_attached(move) ? 'n' : ' ';
	values[5] = TimestampTzGetDatum(left_at);
	nulls[5] = left_at == DT_NOEND ? 'n' : ' ';
	SET_TEXT(6, move->cause);
	SET_TEXT(7, move->gate);
	SET_TEXT(8, by_hand == NULL ? NULL : by_hand->reason);
	SET_TEXT(9, by_hand == NULL ? NULL : by_hand->note);
	SET_TEXT(10, origin);
	values[11] = Float8GetDatum(move->total);
	values[12] = Float8GetDatum(move->engagement);
	values[13] = Float8GetDatum(move->fit);
	values[14] = Int32GetDatum(move->version);
	SET_TEXT(15, by_hand == NULL ? NULL : by_hand->actor);
	values[16] = TimestampTzGetDatum(GetCurrentTransactionStartTimestamp());
	values[17] = PointerGetDatum(move->assessment);
	nulls[18] = by_hand == NULL || by_hand->held_until == DT_NOEND ? 'n' : ' ';
	values[18] = TimestampTzGetDatum(by_hand == NULL ? 0 : by_hand->held_until);
	values[19] = BoolGetDatum(by_hand != NULL && by_hand->forced);
#undef SET_TEXT

	types[17] = lq_type_oid("assessment");
	if (*plan == NULL)
		*plan = lq_plan_keep(lq_format("INSERT INTO %s (lead, cycle, stage, from_stage, entered_at, left_at, "
									   "cause, gate, reason, note, origin, total, engagement, fit, version, "
									   "moved_by, recorded_at, assessment, held_until, forced, txid) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, "
									   "$10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, "
									   "pg_catalog.pg_current_xact_id())",
									   lq_side_name(p, "stage_history")),
							 20, types);
	lq_plan_run(*plan, values, nulls, false);
}

/*
 * A row that stands gets the neighbours that it now has, and what is now known
 * to have been answered by then.
 */
static void
history_link(LqCases *cases, int64 id, const LqMove *move, TimestampTz left_at)
{
	LqPipeline *p = cases->pipeline;
	SPIPlanPtr *plan = lq_plan_slot(p, LQ_PLAN_HISTORY_LINK);
	const char *from_stage = move->from_stage;
	Oid			types[5] = {INT8OID, TIMESTAMPTZOID, TEXTOID, lq_type_oid("assessment"), INT4OID};
	Datum		values[5];
	char		nulls[6] = "     ";

	values[0] = Int64GetDatum(id);
	values[3] = PointerGetDatum(move->assessment);
	values[1] = TimestampTzGetDatum(left_at);
	nulls[1] = left_at == DT_NOEND ? 'n' : ' ';
	values[2] = from_stage == NULL ? (Datum) 0 : CStringGetTextDatum(from_stage);
	nulls[2] = from_stage == NULL ? 'n' : ' ';
	values[4] = Int32GetDatum(move->cycle);
	if (*plan == NULL)
		*plan = lq_plan_keep(lq_format("UPDATE %s SET left_at = $2, from_stage = $3, assessment = $4, cycle = $5 "
									   "WHERE id = $1",
									   lq_side_name(p, "stage_history")), 5, types);
	lq_plan_run(*plan, values, nulls, false);
}

static void
history_supersede(LqCases *cases, int64 id)
{
	LqPipeline *p = cases->pipeline;
	SPIPlanPtr *plan = lq_plan_slot(p, LQ_PLAN_HISTORY_SUPERSEDE);
	Oid			types[2] = {INT8OID, TIMESTAMPTZOID};
	Datum		values[2];

	values[0] = Int64GetDatum(id);
	values[1] = TimestampTzGetDatum(GetCurrentTransactionStartTimestamp());
	if (*plan == NULL)
		*plan = lq_plan_keep(lq_format("UPDATE %s SET superseded_at = $2 WHERE id = $1",
									   lq_side_name(p, "stage_history")), 2, types);
	lq_plan_run(*plan, values, NULL, false);
}

/* the stay that the baseline is in ends, or goes on: DT_NOEND */
static void
history_leave(LqCases *cases, int64 id, TimestampTz left_at)
{
	LqPipeline *p = cases->pipeline;
	SPIPlanPtr *plan = lq_plan_slot(p, LQ_PLAN_HISTORY_LEAVE);
	Oid			types[2] = {INT8OID, TIMESTAMPTZOID};
	Datum		values[2] = {Int64GetDatum(id), TimestampTzGetDatum(left_at)};

	if (*plan == NULL)
		*plan = lq_plan_keep(lq_format("UPDATE %s SET left_at = $2 WHERE id = $1",
									   lq_side_name(p, "stage_history")), 2, types);
	lq_plan_run(*plan, values, left_at == DT_NOEND ? " n" : "  ", false);
}

/* the open row of a lead ends */
static void
history_close(LqCases *cases, LqCase *c, TimestampTz at)
{
	LqPipeline *p = cases->pipeline;
	SPIPlanPtr *plan = lq_plan_slot(p, LQ_PLAN_HISTORY_CLOSE);
	Oid			types[2] = {p->key_type, TIMESTAMPTZOID};
	Datum		values[2];

	values[0] = c->key;
	values[1] = TimestampTzGetDatum(at);
	if (*plan == NULL)
		*plan = lq_plan_keep(lq_format("UPDATE %s SET left_at = $2 WHERE lead = $1 "
									   "AND left_at IS NULL AND superseded_at IS NULL",
									   lq_side_name(p, "stage_history")), 2, types);
	lq_plan_run(*plan, values, NULL, false);
}

/* ----------------------------------------------------------------
 * Entry points: SPI is connected
 * ----------------------------------------------------------------
 */

/* of the row that a person's move is stored in, 0: none */
static int64
history_id(const LqMove *move)
{
	return move->by_hand == NULL ? 0 : move->by_hand->history_id;
}

/* the stored row that says what the move says, NULL if there is none */
static StoredRow *
stored_match(StoredRow *rows, int count, const LqMove *move)
{
	for (int i = 0; i < count; i++)
	{
		StoredRow  *row = &rows[i];

		if (row->taken)
			continue;
		if (history_id(move) != 0 ? row->id == history_id(move) :
			(row->entered_at == move->at && row->cycle == move->cycle &&
			 lq_text_equal(row->stage, move->stage) &&
			 lq_text_equal(row->from_stage, move->from_stage) &&
			 lq_text_equal(row->cause, move->cause) && lq_text_equal(row->gate, move->gate)))
			return row;
	}
	return NULL;
}

/* a row that a person made is never superseded, whatever became of its stage; nor one of the archive */
static bool
is_fixed(const StoredRow *row)
{
	return row->by_hand || row->archived || strcmp(row->cause, "attached") == 0;
}

/* when the stay that the baseline is in ends */
static TimestampTz
end_of_baseline(const LqCase *c)
{
	return c->moves == NIL ? DT_NOEND : ((LqMove *) linitial(c->moves))->at;
}

static bool
number_equal(double a, double b)
{
	if (isnan(a) || isnan(b))
		return isnan(a) && isnan(b);
	return fabs(a - b) <= 1e-9 * Max(1, Max(fabs(a), fabs(b)));
}

static bool
same_answers(const StoredRow *row, const LqMove *move)
{
	return row->assessment != NULL && lq_assessment_equal(row->assessment, move->assessment);
}

/*
 * An automatic row also keeps the scores that moved the lead; a fixed one
 * keeps those that its maker saw.
 */
static bool
same_scores(const StoredRow *row, const LqMove *move)
{
	if (history_id(move) != 0 || is_attached(move))
		return true;
	return row->version == move->version &&
		number_equal(row->total, move->total) &&
		number_equal(row->engagement, move->engagement) &&
		number_equal(row->fit, move->fit) && same_answers(row, move);
}

static const char *
stay_text(const char *from_stage, const char *stage, int cycle, const LqAssessment *assessment)
{
	char	   *text = psprintf("end of %s after %s", stage,
								from_stage == NULL ? "nothing" : from_stage);

	if (cycle > 1)
		text = psprintf("%s in cycle %d", text, cycle);
	if (assessment == NULL || lq_assessment_count(assessment) == 0)
		return text;
	return psprintf("%s with answers {%s}", text, lq_assessment_text(assessment));
}

static const char *
scores_text(const char *stage, double total, const LqAssessment *assessment, int version)
{
	return psprintf("%s with total %.17g and answers {%s} by version %d", stage, total,
					assessment == NULL ? "" : lq_assessment_text(assessment), version);
}

/* the origin of a stored row of the same entry, NULL if there is none */
static const char *
origin_before(const StoredRow *rows, int count, const LqMove *move)
{
	for (int i = 0; i < count; i++)
		if (rows[i].entered_at == move->at && rows[i].cycle == move->cycle &&
			lq_text_equal(rows[i].stage, move->stage))
			return rows[i].origin;
	return NULL;
}

/* an entry that is written anew stays what it was, and is no news */
static void
history_add(LqCases *cases, LqCase *c, const LqMove *move, TimestampTz left_at,
			const StoredRow *rows, int count)
{
	const char *before = origin_before(rows, count, move);
	const char *origin = before != NULL ? before : origin_of(cases, c, move);

	history_insert(cases, c, move, left_at, origin);
	if (before == NULL)
		lq_notify_move(cases->pipeline, c->key, move, origin);
}

/* does a row that stands lack its neighbours, its cycle, or what is now known to have been answered? */
static bool
needs_link(const StoredRow *row, const LqMove *move, TimestampTz left_at)
{
	return row->left_at != left_at || row->cycle != move->cycle ||
		!lq_text_equal(row->from_stage, move->from_stage) || !same_answers(row, move);
}

/* end of the stay that a move begins */
static TimestampTz
end_of_stay(const LqCase *c, const ListCell *lc)
{
	const ListCell *next = lnext(c->moves, lc);

	return next == NULL ? DT_NOEND : ((LqMove *) lfirst(next))->at;
}

/* what is to become of a row that no move says */
typedef enum Leftover
{
	ROW_STANDS,
	ROW_IS_WRONG,				/* it did not happen */
	ROW_ENDS_ELSE				/* the stay of the baseline has another end */
} Leftover;

static Leftover
leftover(const LqCase *c, const StoredRow *row)
{
	if (row->archived)
		return row->left_at == end_of_baseline(c) ? ROW_STANDS : ROW_ENDS_ELSE;
	return row->taken || is_fixed(row) ? ROW_STANDS : ROW_IS_WRONG;
}

/* make the stored path that of c->moves */
static void
history_write(LqCases *cases, LqCase *c, StoredRow *rows, int count)
{
	TimestampTz added_at = DT_NOBEGIN;	/* of the newest row that was added */
	ListCell   *lc;

	foreach(lc, c->moves)
	{
		LqMove	   *move = lfirst(lc);
		TimestampTz left_at = end_of_stay(c, lc);
		StoredRow  *row = stored_match(rows, count, move);

		/* rows of one instant are in the order of their ids */
		if (row == NULL || !same_scores(row, move) ||
			(move->at == added_at && !is_fixed(row)))
		{
			added_at = move->at;
			history_add(cases, c, move, left_at, rows, count);
			continue;			/* row is superseded below */
		}
		row->taken = true;
		if (needs_link(row, move, left_at))
			history_link(cases, row->id, move, left_at);
	}
	for (int i = 0; i < count; i++)
		switch (leftover(c, &rows[i]))
		{
			case ROW_ENDS_ELSE:
				history_leave(cases, rows[i].id, end_of_baseline(c));
				break;
			case ROW_IS_WRONG:
				history_supersede(cases, rows[i].id);
				break;
			case ROW_STANDS:
				break;
		}
}

/* what history_write() would change: a List of LqHistoryDifference */
static List *
history_compare(LqCase *c, StoredRow *rows, int count)
{
	List	   *differences = NIL;
	ListCell   *lc;

#define DIFFER(...) \
	differences = lappend(differences, lq_history_difference(__VA_ARGS__))

	foreach(lc, c->moves)
	{
		LqMove	   *move = lfirst(lc);
		TimestampTz left_at = end_of_stay(c, lc);
		StoredRow  *row = stored_match(rows, count, move);

		if (row == NULL)
		{
			DIFFER(NULL, DT_NOBEGIN, move->stage, move->at);
			continue;
		}
		row->taken = true;
		if (!same_scores(row, move))
			DIFFER(scores_text(row->stage, row->total, row->assessment, row->version),
				   row->entered_at,
				   scores_text(move->stage, move->total, move->assessment, move->version),
				   move->at);
		if (needs_link(row, move, left_at))
			DIFFER(stay_text(row->from_stage, row->stage, row->cycle, row->assessment), row->left_at,
				   stay_text(move->from_stage, move->stage, move->cycle, move->assessment), left_at);
	}
	for (int i = 0; i < count; i++)
		switch (leftover(c, &rows[i]))
		{
			case ROW_ENDS_ELSE:
				DIFFER(rows[i].stage, rows[i].left_at, rows[i].stage, end_of_baseline(c));
				break;
			case ROW_IS_WRONG:
				DIFFER(rows[i].stage, rows[i].entered_at, NULL, DT_NOBEGIN);
				break;
			case ROW_STANDS:
				break;
		}
#undef DIFFER
	return differences;
}

/* add moves that follow what is stored */
void
lq_history_append(LqCases *cases, LqCase *c)
{
	ListCell   *lc;

	foreach(lc, c->moves)
	{
		LqMove	   *move = lfirst(lc);

		if (lc == list_head(c->moves))
			history_close(cases, c, move->at);
		history_add(cases, c, move, end_of_stay(c, lc), NULL, 0);
	}
}

void
lq_history_replace(LqCases *cases, LqCase *c)
{
	int			count;
	StoredRow  *rows = stored_rows(cases, c, &count);

	history_write(cases, c, rows, count);
}

List *
lq_history_differences(LqCases *cases, LqCase *c)
{
	List	   *differences;

	SPI_connect();
	{
		MemoryContext spi = MemoryContextSwitchTo(cases->cxt);
		int			count;
		StoredRow  *rows = stored_rows(cases, c, &count);

		differences = history_compare(c, rows, count);
		MemoryContextSwitchTo(spi);
	}
	SPI_finish();
	return differences;
}

LqHistoryDifference *
lq_history_difference(const char *stored, TimestampTz stored_at,
					  const char *replayed, TimestampTz replayed_at)
{
	LqHistoryDifference *difference = palloc(sizeof(LqHistoryDifference));

	difference->stored = stored;
	difference->stored_at = stored_at;
	difference->replayed = replayed;
	difference->replayed_at = replayed_at;
	return difference;
}
