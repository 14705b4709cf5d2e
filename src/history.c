/*
 * history.c
 *		Stage history: moves that are appended, a path that is replaced.
 *
 * Automatic rows are what the engine says; a replay that comes to the same
 * row leaves it untouched, marks the others superseded and adds its own.
 * Rows made by people are fixed points: they are read back as events and
 * never superseded.
 */
#include "postgres.h"

#include <math.h>

#include "history_rows.h"
#include "notify.h"
#include "utils/timestamp.h"

/* ----------------------------------------------------------------
 * Comparing what is stored with the moves of a replay
 * ----------------------------------------------------------------
 */

/* of the row that a person's move is stored in, 0: none */
static int64
history_id(const LqMove *move)
{
	return move->by_hand == NULL ? 0 : move->by_hand->history_id;
}

/* the stored row that says what the move says, NULL if there is none */
static LqHistoryRow *
stored_match(const LqCase *c, const LqMove *move)
{
	ListCell   *lc;

	foreach(lc, c->history)
	{
		LqHistoryRow *row = lfirst(lc);

		if (row->taken || row->archived)
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
same_answers(const LqHistoryRow *row, const LqMove *move)
{
	return row->assessment != NULL && lq_assessment_equal(row->assessment, move->assessment);
}

/*
 * An automatic row also keeps the scores that moved the lead; a fixed one
 * keeps those that its maker saw.
 */
static bool
same_scores(const LqHistoryRow *row, const LqMove *move)
{
	if (history_id(move) != 0 || lq_move_is_attached(move))
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
origin_before(const LqCase *c, const LqMove *move)
{
	ListCell   *lc;

	foreach(lc, c->history)
	{
		const LqHistoryRow *row = lfirst(lc);

		if (row->entered_at == move->at && row->cycle == move->cycle &&
			lq_text_equal(row->stage, move->stage))
			return row->origin;
	}
	return NULL;
}

/* does a row that stands lack its neighbours, its cycle, or what is now known to have been answered? */
static bool
needs_link(const LqHistoryRow *row, const LqMove *move, TimestampTz left_at)
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
leftover(const LqCase *c, const LqHistoryRow *row)
{
	if (row->archived)
		return row->left_at == end_of_baseline(c) ? ROW_STANDS : ROW_ENDS_ELSE;
	return row->taken || lq_history_row_is_fixed(row) ? ROW_STANDS : ROW_IS_WRONG;
}

/*
 * What history_replace() would change: a List of LqHistoryDifference.  Like that, it
 * marks the rows that moves have taken.
 */
List *
lq_history_differences(LqCase *c)
{
	List	   *differences = NIL;
	ListCell   *lc;

#define DIFFER(...) \
	differences = lappend(differences, lq_history_difference(__VA_ARGS__))

	foreach(lc, c->moves)
	{
		const LqMove *move = lfirst(lc);
		TimestampTz left_at = end_of_stay(c, lc);
		LqHistoryRow *row = stored_match(c, move);

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
	foreach(lc, c->history)
	{
		const LqHistoryRow *row = lfirst(lc);

		switch (leftover(c, row))
		{
			case ROW_ENDS_ELSE:
				DIFFER(row->stage, row->left_at, row->stage, end_of_baseline(c));
				break;
			case ROW_IS_WRONG:
				DIFFER(row->stage, row->entered_at, NULL, DT_NOBEGIN);
				break;
			case ROW_STANDS:
				break;
		}
	}
#undef DIFFER
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

/* ----------------------------------------------------------------
 * Writing
 * ----------------------------------------------------------------
 */

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

/* an entry that is written anew stays what it was, and is no news */
static void
history_add(LqHistoryWriter *writer, const LqCase *c, const LqMove *move, TimestampTz left_at,
			bool ends)
{
	const LqCases *cases = writer->cases;
	const char *before = origin_before(c, move);
	const char *origin = before != NULL ? before : origin_of(cases, c, move);

	lq_history_insert(writer, c, move, left_at, origin, ends);
	if (before == NULL)
		lq_notify_move(cases->pipeline, c->key, move, origin);
}

/* make the stored path that of c->moves */
static void
history_replace(LqHistoryWriter *writer, LqCase *c)
{
	TimestampTz added_at = DT_NOBEGIN;	/* of the newest row that was added */
	ListCell   *lc;

	foreach(lc, c->moves)
	{
		const LqMove *move = lfirst(lc);
		TimestampTz left_at = end_of_stay(c, lc);
		LqHistoryRow *row = stored_match(c, move);

		/* rows of one instant are in the order of their ids */
		if (row == NULL || !same_scores(row, move) ||
			(move->at == added_at && !lq_history_row_is_fixed(row)))
		{
			added_at = move->at;
			history_add(writer, c, move, left_at, false);
			continue;			/* row is superseded below */
		}
		row->taken = true;
		if (needs_link(row, move, left_at))
			lq_history_link(writer, row->id, move, left_at);
	}
	foreach(lc, c->history)
	{
		const LqHistoryRow *row = lfirst(lc);

		switch (leftover(c, row))
		{
			case ROW_ENDS_ELSE:
				lq_history_leave(writer, row->id, end_of_baseline(c));
				break;
			case ROW_IS_WRONG:
				lq_history_supersede(writer, row->id);
				break;
			case ROW_STANDS:
				break;
		}
	}
}

/* add moves that follow what is stored */
static void
history_append(LqHistoryWriter *writer, const LqCase *c)
{
	ListCell   *lc;

	foreach(lc, c->moves)
		history_add(writer, c, lfirst(lc), end_of_stay(c, lc), lc == list_head(c->moves));
}

/* the moves of the dirty cases; SPI is connected */
void
lq_history_write(LqCases *cases)
{
	LqHistoryWriter *writer = lq_history_writer_open(cases);

	for (int i = 0; i < cases->count; i++)
	{
		LqCase	   *c = &cases->cases[i];

		lq_cases_tick(cases);
		if (!c->dirty)
			continue;
		if (c->replay)
			history_replace(writer, c);
		else
			history_append(writer, c);
	}
	lq_history_writer_close(writer);
}
