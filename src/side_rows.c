/*
 * side_rows.c
 *		Rows of <leads>_qualification and <leads>_baseline, found by lead and
 *		updated in place.
 *
 * Each activity reads one such row and writes it back.  A statement that takes
 * its values as arrays spends more on taking them apart than on the row, so
 * where the table is an ordinary one without triggers that an update fires, we
 * do what the executor would do: find by an index, update by ctid, and leave
 * constraints and indexes to ExecSimpleRelationUpdate(), which serves logical
 * replication in the same way.  All other tables get a statement for each row,
 * which names its lead; so does who only reads, with his own rights.
 *
 * Whoever writes a state holds the lock of its leads row; only columns of the
 * owner's own may have changed since it was read.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "commands/trigger.h"
#include "compat.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "key_rows.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "parser/parse_relation.h"
#include "side_rows.h"
#include "sql.h"
#include "storage/lmgr.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

/* what updating without SQL takes */
typedef struct Writer
{
	EState	   *estate;
	ResultRelInfo *result;
	EPQState	epq;
	TupleTableSlot *slot;		/* the new row */
} Writer;

struct LqSideRows
{
	LqPipeline *pipeline;
	int			table;
	bool		read_only;
	Relation	rel;
	LqKeyRows  *direct;			/* NULL: by SQL */
	int			columns[LQ_NSTATE]; /* where each is in the row, if direct */
	Writer	   *writer;
};

/* ----------------------------------------------------------------
 * Open and close
 * ----------------------------------------------------------------
 */

/* where the columns are: in their order, unless somebody has altered the table */
static void
map_columns(LqSideRows *rows)
{
	const LqSideTable *table = &lq_side_tables[rows->table];
	TupleDesc	desc = RelationGetDescr(rows->rel);
	int			next = 0;

	for (int i = 0; i < LQ_NSTATE; i++)
	{
		int			tried = 0;

		while (tried < desc->natts &&
			   (TupleDescAttr(desc, next)->attisdropped ||
				strcmp(NameStr(TupleDescAttr(desc, next)->attname), table->columns[i].name) != 0))
		{
			next = (next + 1) % desc->natts;
			tried++;
		}
		if (tried == desc->natts)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("column \"%s\" of table \"%s\" does not exist",
							table->columns[i].name, RelationGetRelationName(rows->rel)),
					 errhint("See lead_qualify.problem.")));
		rows->columns[i] = next;
		next = (next + 1) % desc->natts;
	}
}

/* would an UPDATE fire any? */
static bool
has_update_triggers(Relation rel)
{
	const TriggerDesc *triggers = rel->trigdesc;

	return triggers != NULL &&
		(triggers->trig_update_before_statement || triggers->trig_update_before_row ||
		 triggers->trig_update_after_row || triggers->trig_update_after_statement);
}

/* run a plan; the caller does not notice that SPI has a memory context of its own */
static void
run_plan(LqSideRows *rows, SPIPlanPtr (*plan) (LqSideRows *), const Datum *values,
		 const char *nulls)
{
	MemoryContext caller = CurrentMemoryContext;

	lq_plan_run(plan(rows), (Datum *) values, nulls, rows->read_only);
	MemoryContextSwitchTo(caller);
}

/*
 * read_only: under the caller's snapshot; else under one that sees what was
 * committed and done up to now.
 */
LqSideRows *
lq_side_rows_open(LqCases *cases, int table, bool read_only)
{
	LqPipeline *p = cases->pipeline;
	MemoryContext caller = CurrentMemoryContext;
	LqSideRows *rows = palloc0(sizeof(LqSideRows));

	rows->pipeline = p;
	rows->table = table;
	rows->read_only = read_only;
	rows->rel = cases->sides[table];
	if (!read_only)
		LockRelation(rows->rel, RowExclusiveLock);
	map_columns(rows);
	if (!read_only && !has_update_triggers(rows->rel))
		rows->direct = lq_key_rows_open(rows->rel, rows->columns[LQ_STATE_LEAD] + 1, p->key_type);
	if (rows->direct == NULL)
		SPI_connect();
	MemoryContextSwitchTo(caller);
	return rows;
}

static void
close_writer(Writer *writer)
{
	EvalPlanQualEnd(&writer->epq);
	ExecCloseIndices(writer->result);
	ExecResetTupleTable(writer->estate->es_tupleTable, false);
	FreeExecutorState(writer->estate);
	pfree(writer);
}

void
lq_side_rows_close(LqSideRows *rows)
{
	if (rows->writer != NULL)
		close_writer(rows->writer);
	if (rows->direct == NULL)
		SPI_finish();
	else
	{
		lq_key_rows_close(rows->direct);
		/* what comes next sees what was written */
		CommandCounterIncrement();
	}
	pfree(rows);
}

/* ----------------------------------------------------------------
 * Reading
 * ----------------------------------------------------------------
 */

static SPIPlanPtr
plan_find(LqSideRows *rows)
{
	LqPipeline *p = rows->pipeline;
	const LqSideTable *table = &lq_side_tables[rows->table];
	SPIPlanPtr *slot = lq_plan_slot(p, rows->table == LQ_SIDE_STATE ? LQ_PLAN_FIND :
									LQ_PLAN_FIND_BASELINE);
	StringInfoData buf;

	if (*slot != NULL)
		return *slot;
	initStringInfo(&buf);
	appendStringInfoString(&buf, "SELECT ");
	for (int i = 0; i < LQ_NSTATE; i++)
		appendStringInfo(&buf, "q.%s, ", table->columns[i].name);
	lq_append(&buf, "q.xmin FROM %s q WHERE q.lead OPERATOR(pg_catalog.=) $1",
			  lq_side_name(p, table->suffix));
	*slot = lq_plan_keep(buf.data, 1, &p->key_type);
	return *slot;
}

static bool
find_by_sql(LqSideRows *rows, Datum lead, Datum *values, bool *nulls)
{
	SPI_freetuptable(SPI_tuptable);
	run_plan(rows, plan_find, &lead, NULL);
	if (SPI_processed == 0)
		return false;
	for (int i = 0; i < LQ_NSTATE; i++)
		values[i] = lq_field(0, i + 1, &nulls[i]);
	return true;
}

/*
 * The row of a lead; false: there is none.  Values by reference are those of
 * the row, good until the next call.
 */
bool
lq_side_rows_find(LqSideRows *rows, Datum lead, Datum *values, bool *nulls)
{
	TupleTableSlot *slot;

	if (rows->direct == NULL)
		return find_by_sql(rows, lead, values, nulls);
	if (!lq_key_rows_find(rows->direct, lead))
		return false;
	slot = rows->direct->slot;
	slot_getallattrs(slot);
	for (int i = 0; i < LQ_NSTATE; i++)
	{
		values[i] = slot->tts_values[rows->columns[i]];
		nulls[i] = slot->tts_isnull[rows->columns[i]];
	}
	return true;
}

/* where the row that was found is, for lq_side_rows_update(); true: this transaction wrote it */
bool
lq_side_rows_where(LqSideRows *rows, ItemPointer tid)
{
	bool		isnull;
	Datum		xmin;

	ItemPointerSetInvalid(tid);
	if (rows->direct == NULL)
		xmin = lq_field(0, LQ_NSTATE + 1, &isnull);
	else
	{
		*tid = rows->direct->slot->tts_tid;
		xmin = slot_getsysattr(rows->direct->slot, MinTransactionIdAttributeNumber, &isnull);
	}
	return TransactionIdIsCurrentTransactionId(DatumGetTransactionId(xmin));
}

/* ----------------------------------------------------------------
 * Writing
 * ----------------------------------------------------------------
 */

static SPIPlanPtr
plan_update(LqSideRows *rows)
{
	LqPipeline *p = rows->pipeline;
	const LqSideTable *table = &lq_side_tables[rows->table];
	SPIPlanPtr *slot = lq_plan_slot(p, LQ_PLAN_UPDATE);
	Oid			types[LQ_NSTATE];
	StringInfoData buf;

	Assert(rows->table == LQ_SIDE_STATE);
	if (*slot != NULL)
		return *slot;
	initStringInfo(&buf);
	lq_append(&buf, "UPDATE %s SET ", lq_side_name(p, table->suffix));
	for (int i = 0; i < LQ_NSTATE; i++)
	{
		types[i] = lq_side_column_type(&table->columns[i], p->key_type);
		if (i != LQ_STATE_LEAD)
			appendStringInfo(&buf, "%s = $%d%s", table->columns[i].name, i + 1,
							 i + 1 < LQ_NSTATE ? ", " : "");
	}
	appendStringInfo(&buf, " WHERE lead OPERATOR(pg_catalog.=) $%d", LQ_STATE_LEAD + 1);
	*slot = lq_plan_keep(buf.data, LQ_NSTATE, types);
	return *slot;
}

static void
update_by_sql(LqSideRows *rows, const Datum *values, const bool *nulls)
{
	char		spi_nulls[LQ_NSTATE];

	for (int i = 0; i < LQ_NSTATE; i++)
		spi_nulls[i] = nulls[i] ? 'n' : ' ';
	SPI_connect();
	run_plan(rows, plan_update, values, spi_nulls);
	SPI_finish();
}

/* the columns that we write: lead stays as it is */
static Bitmapset *
updated_columns(const LqSideRows *rows)
{
	Bitmapset  *columns = NULL;

	for (int i = 0; i < LQ_NSTATE; i++)
		if (i != LQ_STATE_LEAD)
			columns = bms_add_member(columns, rows->columns[i] + 1 -
									 FirstLowInvalidHeapAttributeNumber);
	return columns;
}

/* a range table of one, which says what is updated */
static void
init_range_table(const LqSideRows *rows, EState *estate)
{
	RangeTblEntry *rte = makeNode(RangeTblEntry);

	rte->rtekind = RTE_RELATION;
	rte->relid = RelationGetRelid(rows->rel);
	rte->relkind = rows->rel->rd_rel->relkind;
	rte->rellockmode = RowExclusiveLock;
#ifdef LQ_EXEC_INIT_RANGE_TABLE
	{
		List	   *rights = NIL;

		addRTEPermissionInfo(&rights, rte)->updatedCols = updated_columns(rows);
		LQ_EXEC_INIT_RANGE_TABLE(estate, list_make1(rte), rights);
	}
#else
	rte->updatedCols = updated_columns(rows);
	ExecInitRangeTable(estate, list_make1(rte));
#endif
}

static Writer *
open_writer(LqSideRows *rows)
{
	Writer	   *writer = palloc0(sizeof(Writer));
	EState	   *estate = CreateExecutorState();

	PreventCommandIfReadOnly("UPDATE"); /* as the executor does */
	writer->estate = estate;
	init_range_table(rows, estate);
	estate->es_output_cid = GetCurrentCommandId(true);
	writer->result = makeNode(ResultRelInfo);
	InitResultRelInfo(writer->result, rows->rel, 1, NULL, 0);
	LQ_EVAL_PLAN_QUAL_INIT(&writer->epq, estate);
	writer->slot = ExecInitExtraTupleSlot(estate, RelationGetDescr(rows->rel), &TTSOpsVirtual);
	ExecOpenIndices(writer->result, false);
	return writer;
}

/*
 * The row of lead, which was read at tid, as it is now, into the slot.  Where the
 * owner has columns of his own he may have changed them meanwhile, or be about
 * to: then the row is locked, and it is the version that he left.  (The caller's
 * snapshot, older than the read, keeps the place from being used again.)
 */
static void
fetch_newest(LqSideRows *rows, ItemPointer tid, Datum lead)
{
	TupleTableSlot *slot = rows->direct->slot;
	bool		isnull;

	if (!IsolationUsesXactSnapshot() && RelationGetDescr(rows->rel)->natts == LQ_NSTATE &&
		table_tuple_fetch_row_version(rows->rel, tid, SnapshotAny, slot) &&
		lq_key_rows_is(rows->direct, lead) &&
		DatumGetTransactionId(slot_getsysattr(slot, MaxTransactionIdAttributeNumber,
											  &isnull)) == InvalidTransactionId)
		return;
	if (!lq_key_rows_lock_at(rows->direct, tid, lead))
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not serialize access due to concurrent delete"),
				 errhint("The transaction might succeed if retried.")));
}

/* put values into the row of lead that is at tid; other columns stay */
void
lq_side_rows_update(LqSideRows *rows, ItemPointer tid, const Datum *values, const bool *nulls)
{
	Writer	   *writer;
	TupleTableSlot *old;
	TupleTableSlot *new;
	int			natts = RelationGetDescr(rows->rel)->natts;

	/* it was found by SQL if it has a trigger, which may be dropped since */
	if (rows->direct == NULL || !ItemPointerIsValid(tid))
	{
		update_by_sql(rows, values, nulls);
		return;
	}
	if (rows->writer == NULL)
		rows->writer = open_writer(rows);
	writer = rows->writer;
	old = rows->direct->slot;
	new = writer->slot;
	fetch_newest(rows, tid, values[LQ_STATE_LEAD]);
	slot_getallattrs(old);
	ExecClearTuple(new);
	memcpy(new->tts_values, old->tts_values, natts * sizeof(Datum));
	memcpy(new->tts_isnull, old->tts_isnull, natts * sizeof(bool));
	for (int i = 0; i < LQ_NSTATE; i++)
	{
		if (i == LQ_STATE_LEAD)
			continue;
		new->tts_values[rows->columns[i]] = values[i];
		new->tts_isnull[rows->columns[i]] = nulls[i];
	}
	ExecStoreVirtualTuple(new);
	ExecSimpleRelationUpdate(writer->result, writer->estate, &writer->epq, old, new);
	ResetPerTupleExprContext(writer->estate);
}
