/*
 * history_rows.c
 *		Rows of <leads>_stage_history, read and written for many leads at once.
 *
 * New rows, and the open stays that end with them, are written with one statement,
 * after whose end the owner's triggers run: they find each lead in one stay.  What
 * a replay changes of rows that are there follows row by row, because it is seldom.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "history_rows.h"
#include "sql.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

/* ----------------------------------------------------------------
 * Reading
 * ----------------------------------------------------------------
 */

enum
{
	READ_LEAD = 1, READ_ID, READ_CYCLE, READ_STAGE, READ_FROM_STAGE, READ_ENTERED_AT, READ_AT,
	READ_LEFT_AT, READ_CAUSE, READ_GATE, READ_HELD_UNTIL, READ_BY_HAND, READ_ORIGIN, READ_TOTAL,
	READ_ENGAGEMENT, READ_FIT, READ_ASSESSMENT, READ_VERSION
};

static SPIPlanPtr
plan_read(LqPipeline *p)
{
	SPIPlanPtr *plan = lq_plan_slot(p, LQ_PLAN_HISTORY);

	if (*plan == NULL)
		*plan = lq_plan_keep(lq_format("SELECT h.lead, h.id, h.cycle::pg_catalog.int8, h.stage, h.from_stage, "
									   "h.entered_at, COALESCE(h.entered_at, h.recorded_at), h.left_at, "
									   "h.cause, h.gate, h.held_until, "
									   "(h.moved_by IS NOT NULL)::pg_catalog.int4::pg_catalog.int8, h.origin, "
									   "h.total, h.engagement, h.fit, h.assessment, "
									   "h.version::pg_catalog.int8 FROM %s h "
									   "WHERE h.lead OPERATOR(pg_catalog.=) ANY ($1) "
									   "AND h.superseded_at IS NULL ORDER BY h.lead, h.id",
									   lq_side_name(p, "stage_history")),
							 1, &p->key_array);
	return *plan;
}

static LqHistoryRow *
read_row(int i, MemoryContext cxt)
{
	LqHistoryRow *row = MemoryContextAllocZero(cxt, sizeof(LqHistoryRow));

	row->id = lq_field_bigint(i, READ_ID);
	row->cycle = (int) lq_field_bigint(i, READ_CYCLE);
	row->stage = lq_field_text(i, READ_STAGE, cxt);
	row->from_stage = lq_field_text(i, READ_FROM_STAGE, cxt);
	row->entered_at = lq_field_time(i, READ_ENTERED_AT, DT_NOBEGIN);
	row->at = lq_field_time(i, READ_AT, DT_NOBEGIN);
	row->left_at = lq_field_time(i, READ_LEFT_AT, DT_NOEND);
	row->cause = lq_field_text(i, READ_CAUSE, cxt);
	row->gate = lq_field_text(i, READ_GATE, cxt);
	row->held_until = lq_field_time(i, READ_HELD_UNTIL, DT_NOEND);
	row->by_hand = lq_field_bigint(i, READ_BY_HAND) != 0;
	row->origin = lq_field_text(i, READ_ORIGIN, cxt);
	row->total = lq_field_float(i, READ_TOTAL);
	row->engagement = lq_field_float(i, READ_ENGAGEMENT);
	row->fit = lq_field_float(i, READ_FIT);
	row->assessment = lq_field_assessment(i, READ_ASSESSMENT, cxt);
	row->version = (int) lq_field_bigint(i, READ_VERSION);
	return row;
}

/* of what came before the baseline a replay needs only the stay that the baseline is in */
static void
take_row(LqCase *c, LqHistoryRow *row, MemoryContext cxt)
{
	MemoryContext old;

	if (strcmp(row->cause, "created") == 0)
		c->initial = row->stage;
	row->archived = c->baseline != NULL && row->at < c->baseline->at;
	if (row->archived && row->left_at < c->baseline->at)
		return;
	old = MemoryContextSwitchTo(cxt);
	c->history = lappend(c->history, row);
	MemoryContextSwitchTo(old);
}

/*
 * For the replayed cases, whose baselines have been read: the rows that stand,
 * in the order in which they were written, and the stage that the lead was
 * created in.
 */
void
lq_history_read(LqCases *cases)
{
	MemoryContext cxt = CurrentMemoryContext;
	ArrayType  *keys = lq_key_array(cases, lq_case_is_replayed);
	Datum		values[1] = {PointerGetDatum(keys)};

	if (keys == NULL)
		return;
	SPI_connect();
	lq_plan_run(plan_read(cases->pipeline), values, NULL, cases->read_only);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool		isnull;
		LqCase	   *c = lq_case_find(cases, lq_field(i, READ_LEAD, &isnull));

		if (c != NULL)
			take_row(c, read_row(i, cxt), cxt);
	}
	SPI_finish();
}

/* ----------------------------------------------------------------
 * Writing new rows
 * ----------------------------------------------------------------
 */

typedef enum InsertColumn
{
	INSERT_LEAD, INSERT_CYCLE, INSERT_STAGE, INSERT_FROM_STAGE, INSERT_ENTERED_AT, INSERT_LEFT_AT,
	INSERT_CAUSE, INSERT_GATE, INSERT_REASON, INSERT_NOTE, INSERT_ORIGIN, INSERT_TOTAL,
	INSERT_ENGAGEMENT, INSERT_FIT, INSERT_VERSION, INSERT_MOVED_BY, INSERT_ASSESSMENT,
	INSERT_HELD_UNTIL, INSERT_FORCED, NINSERT,
	ENDS_AT = NINSERT,			/* of the open stay before; NULL: of none */
	NWRITE
} InsertColumn;

static const char *const insert_columns[NINSERT] = {
	[INSERT_LEAD] = "lead",[INSERT_CYCLE] = "cycle",[INSERT_STAGE] = "stage",
	[INSERT_FROM_STAGE] = "from_stage",[INSERT_ENTERED_AT] = "entered_at",
	[INSERT_LEFT_AT] = "left_at",[INSERT_CAUSE] = "cause",[INSERT_GATE] = "gate",
	[INSERT_REASON] = "reason",[INSERT_NOTE] = "note",[INSERT_ORIGIN] = "origin",
	[INSERT_TOTAL] = "total",[INSERT_ENGAGEMENT] = "engagement",[INSERT_FIT] = "fit",
	[INSERT_VERSION] = "version",[INSERT_MOVED_BY] = "moved_by",
	[INSERT_ASSESSMENT] = "assessment",[INSERT_HELD_UNTIL] = "held_until",
	[INSERT_FORCED] = "forced",
};

LqHistoryWriter *
lq_history_writer_open(LqCases *cases)
{
	LqHistoryWriter *writer = palloc0(sizeof(LqHistoryWriter));

	writer->cases = cases;
	return writer;
}

static LqRowArrays *
new_rows(const LqPipeline *p)
{
	const Oid	types[NWRITE] = {
		[INSERT_LEAD] = p->key_type,[INSERT_CYCLE] = INT4OID,[INSERT_STAGE] = TEXTOID,
		[INSERT_FROM_STAGE] = TEXTOID,[INSERT_ENTERED_AT] = TIMESTAMPTZOID,
		[INSERT_LEFT_AT] = TIMESTAMPTZOID,[INSERT_CAUSE] = TEXTOID,[INSERT_GATE] = TEXTOID,
		[INSERT_REASON] = TEXTOID,[INSERT_NOTE] = TEXTOID,[INSERT_ORIGIN] = TEXTOID,
		[INSERT_TOTAL] = FLOAT8OID,[INSERT_ENGAGEMENT] = FLOAT8OID,[INSERT_FIT] = FLOAT8OID,
		[INSERT_VERSION] = INT4OID,[INSERT_MOVED_BY] = TEXTOID,
		[INSERT_ASSESSMENT] = lq_type_oid("assessment"),[INSERT_HELD_UNTIL] = TIMESTAMPTZOID,
		[INSERT_FORCED] = BOOLOID,[ENDS_AT] = TIMESTAMPTZOID,
	};

	return lq_row_arrays_create(NWRITE, types);
}

/* ends: with this move the stay ends that is open now */
void
lq_history_insert(LqHistoryWriter *writer, const LqCase *c, const LqMove *move,
				  TimestampTz left_at, const char *origin, bool ends)
{
	bool		attached = lq_move_is_attached(move);
	const LqEvent *by_hand = attached ? NULL : move->by_hand;
	Datum		values[NWRITE];
	bool		nulls[NWRITE] = {false};

	values[INSERT_LEAD] = c->key;
	values[INSERT_CYCLE] = Int32GetDatum(move->cycle);
	lq_put_text(values, nulls, INSERT_STAGE, move->stage);
	lq_put_text(values, nulls, INSERT_FROM_STAGE, move->from_stage);
	lq_put_time(values, nulls, INSERT_ENTERED_AT, attached ? DT_NOEND : move->at);
	lq_put_time(values, nulls, INSERT_LEFT_AT, left_at);
	lq_put_text(values, nulls, INSERT_CAUSE, move->cause);
	lq_put_text(values, nulls, INSERT_GATE, move->gate);
	lq_put_text(values, nulls, INSERT_REASON, by_hand == NULL ? NULL : by_hand->reason);
	lq_put_text(values, nulls, INSERT_NOTE, by_hand == NULL ? NULL : by_hand->note);
	lq_put_text(values, nulls, INSERT_ORIGIN, origin);
	values[INSERT_TOTAL] = Float8GetDatum(move->total);
	values[INSERT_ENGAGEMENT] = Float8GetDatum(move->engagement);
	values[INSERT_FIT] = Float8GetDatum(move->fit);
	values[INSERT_VERSION] = Int32GetDatum(move->version);
	lq_put_text(values, nulls, INSERT_MOVED_BY, by_hand == NULL ? NULL : by_hand->actor);
	values[INSERT_ASSESSMENT] = PointerGetDatum(move->assessment);
	lq_put_time(values, nulls, INSERT_HELD_UNTIL, by_hand == NULL ? DT_NOEND : by_hand->held_until);
	values[INSERT_FORCED] = BoolGetDatum(by_hand != NULL && by_hand->forced);
	lq_put_time(values, nulls, ENDS_AT, ends ? move->at : DT_NOEND);
	if (writer->rows == NULL)
		writer->rows = new_rows(writer->cases->pipeline);
	lq_row_arrays_add(writer->rows, values, nulls);
}

static char *
write_sql(const LqPipeline *p, const char *from)
{
	const char *history = lq_side_name(p, "stage_history");
	StringInfoData columns;

	initStringInfo(&columns);
	for (int i = 0; i < NINSERT; i++)
		appendStringInfo(&columns, "%s%s", i > 0 ? ", " : "", insert_columns[i]);
	return lq_format("WITH new (%s, ends_at) AS (SELECT * FROM %s AS r), ends AS ("
					 "UPDATE %s AS h SET left_at = n.ends_at FROM new AS n "
					 "WHERE n.ends_at IS NOT NULL AND h.lead OPERATOR(pg_catalog.=) n.lead "
					 "AND h.left_at IS NULL AND h.superseded_at IS NULL) "
					 "INSERT INTO %s (%s, recorded_at, txid) SELECT %s, "
					 "pg_catalog.transaction_timestamp(), pg_catalog.pg_current_xact_id() FROM new",
					 columns.data, from, history, history, columns.data,
					 columns.data);
}

/* ----------------------------------------------------------------
 * Changing rows that are there
 * ----------------------------------------------------------------
 */

typedef struct Change
{
	LqPlan		kind;
	int64		id;
	const LqMove *move;			/* of a link */
	TimestampTz left_at;
} Change;

static void
change_add(LqHistoryWriter *writer, LqPlan kind, int64 id, const LqMove *move, TimestampTz left_at)
{
	Change	   *change = palloc(sizeof(Change));

	change->kind = kind;
	change->id = id;
	change->move = move;
	change->left_at = left_at;
	writer->changes = lappend(writer->changes, change);
}

/* a row that stands gets the neighbours that it now has, and what is now known to have been answered by then */
void
lq_history_link(LqHistoryWriter *writer, int64 id, const LqMove *move, TimestampTz left_at)
{
	change_add(writer, LQ_PLAN_HISTORY_LINK, id, move, left_at);
}

/* the stay that the baseline is in ends, or goes on: DT_NOEND */
void
lq_history_leave(LqHistoryWriter *writer, int64 id, TimestampTz left_at)
{
	change_add(writer, LQ_PLAN_HISTORY_LEAVE, id, NULL, left_at);
}

void
lq_history_supersede(LqHistoryWriter *writer, int64 id)
{
	change_add(writer, LQ_PLAN_HISTORY_SUPERSEDE, id, NULL, DT_NOEND);
}

static SPIPlanPtr
plan_change(LqPipeline *p, LqPlan kind)
{
	SPIPlanPtr *plan = lq_plan_slot(p, kind);
	Oid			types[5] = {INT8OID, TIMESTAMPTZOID, TEXTOID, lq_type_oid("assessment"), INT4OID};
	const char *set = kind == LQ_PLAN_HISTORY_LINK ?
		"left_at = $2, from_stage = $3, assessment = $4, cycle = $5" :
		kind == LQ_PLAN_HISTORY_LEAVE ? "left_at = $2" :
		"superseded_at = pg_catalog.transaction_timestamp()";

	if (*plan == NULL)
		*plan = lq_plan_keep(lq_format("UPDATE %s SET %s WHERE id = $1",
									   lq_side_name(p, "stage_history"), set), 5, types);
	return *plan;
}

static void
write_change(LqPipeline *p, const Change *change)
{
	const LqMove *move = change->move;
	Datum		values[5] = {Int64GetDatum(change->id), TimestampTzGetDatum(change->left_at)};
	char		nulls[] = "  nnn";

	if (change->left_at == DT_NOEND)
		nulls[1] = 'n';
	if (move != NULL)
	{
		if (move->from_stage != NULL)
			values[2] = CStringGetTextDatum(move->from_stage);
		values[3] = PointerGetDatum(move->assessment);
		values[4] = Int32GetDatum(move->cycle);
		memcpy(nulls + 2, move->from_stage == NULL ? "n  " : "   ", 3);
	}
	lq_plan_run(plan_change(p, change->kind), values, nulls, false);
}

void
lq_history_writer_close(LqHistoryWriter *writer)
{
	ListCell   *lc;

	if (writer->rows != NULL)
		lq_row_arrays_run(writer->rows, writer->cases->pipeline, LQ_PLAN_HISTORY_INSERT, write_sql);
	foreach(lc, writer->changes)
		write_change(writer->cases->pipeline, lfirst(lc));
}
