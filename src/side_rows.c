/*
 * side_rows.c
 *		Rows of <leads>_qualification and <leads>_baseline, found by lead and
 *		updated in place, without a planner in between.
 *
 * Each activity reads one such row and writes it back.  A statement that takes
 * its values as arrays spends more on taking them apart than on the row, so we
 * do what the executor would do: find by the primary key, update by ctid, and
 * leave constraints, indexes and row triggers to ExecSimpleRelationUpdate(),
 * which serves logical replication in the same way.  What a row is when
 * somebody else has changed it is no question here: whoever writes it holds the
 * lock of its leads row.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "commands/trigger.h"
#include "compat.h"
#include "executor/executor.h"
#include "nodes/makefuncs.h"
#include "parser/parse_relation.h"
#include "sql.h"
#include "side_rows.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

/* what updating takes */
struct LqSideWriter
{
	EState	   *estate;
	ResultRelInfo *result;
	EPQState	epq;
	TupleTableSlot *slot;		/* the new row */
	Snapshot	latest;			/* where the transaction's is older; or NULL */
};

/* ----------------------------------------------------------------
 * Open and close
 * ----------------------------------------------------------------
 */

/* where the columns are: in their order, unless somebody has altered the table */
static void
map_columns(LqSideRows *rows, const LqSideTable *table)
{
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

static void
open_index(LqSideRows *rows)
{
	Oid			index = LQ_PRIMARY_KEY_INDEX(rows->rel);
	Oid			opfamily,
				type;

	if (rows->rel->rd_rel->relkind != RELKIND_RELATION || !OidIsValid(index))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table \"%s\" is not the ordinary table with a primary key that attach() made",
						RelationGetRelationName(rows->rel)),
				 errhint("Restore its primary key, \"lead\".")));
	rows->index = index_open(index, AccessShareLock);
	opfamily = rows->index->rd_opfamily[0];
	type = rows->index->rd_opcintype[0];
	ScanKeyEntryInitialize(&rows->key, 0, 1, BTEqualStrategyNumber, type,
						   rows->index->rd_indcollation[0],
						   get_opcode(get_opfamily_member(opfamily, type, type,
														  BTEqualStrategyNumber)),
						   (Datum) 0);
}

/*
 * read_only: under the caller's snapshot; else under one that sees what was
 * committed and done up to now, as a statement would.
 */
LqSideRows *
lq_side_rows_open(LqPipeline *p, int table, bool read_only)
{
	LqSideRows *rows = palloc0(sizeof(LqSideRows));
	char	   *name = psprintf("%s_%s", p->prefix, lq_side_tables[table].suffix);
	Oid			relid = lq_find_relation(p->leads_schema, name);

	if (!OidIsValid(relid))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("table \"%s.%s\" does not exist", p->leads_schema, name),
				 errhint("See lead_qualify.problem; call lead_qualify.detach('%s') if the pipeline is no longer wanted.",
						 p->name)));
	rows->read_only = read_only;
	rows->rel = table_open(relid, read_only ? AccessShareLock : RowExclusiveLock);
	map_columns(rows, &lq_side_tables[table]);
	open_index(rows);
	if (!read_only)
	{
		PushActiveSnapshot(GetTransactionSnapshot());
		CommandCounterIncrement();
		UpdateActiveSnapshotCommandId();
	}
	rows->slot = table_slot_create(rows->rel, NULL);
	return rows;
}

static void
close_writer(LqSideWriter *writer)
{
	ExecASUpdateTriggers(writer->estate, writer->result, NULL);
	AfterTriggerEndQuery(writer->estate);
	if (writer->latest != NULL)
		UnregisterSnapshot(writer->latest);
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
	ExecDropSingleTupleTableSlot(rows->slot);
	if (rows->scan != NULL)
		index_endscan(rows->scan);
	index_close(rows->index, NoLock);
	if (!rows->read_only)
	{
		PopActiveSnapshot();
		/* what comes next sees what was written */
		CommandCounterIncrement();
	}
	table_close(rows->rel, NoLock);
	pfree(rows);
}

/* ----------------------------------------------------------------
 * Reading
 * ----------------------------------------------------------------
 */

/*
 * The row of a lead; false: there is none.  Values by reference are those of
 * the row, good until the next call.
 */
bool
lq_side_rows_find(LqSideRows *rows, Datum lead, Datum *values, bool *nulls)
{
	if (rows->scan == NULL)
		rows->scan = LQ_INDEX_BEGINSCAN(rows->rel, rows->index, GetActiveSnapshot(), 1);
	rows->key.sk_argument = lead;
	index_rescan(rows->scan, &rows->key, 1, NULL, 0);
	if (!index_getnext_slot(rows->scan, ForwardScanDirection, rows->slot))
		return false;
	slot_getallattrs(rows->slot);
	for (int i = 0; i < LQ_NSTATE; i++)
	{
		values[i] = rows->slot->tts_values[rows->columns[i]];
		nulls[i] = rows->slot->tts_isnull[rows->columns[i]];
	}
	return true;
}

/* where the row that was found is, and whose it is */
void
lq_side_rows_where(LqSideRows *rows, ItemPointer tid, TransactionId *xmin)
{
	bool		isnull;

	*tid = rows->slot->tts_tid;
	*xmin = DatumGetTransactionId(slot_getsysattr(rows->slot, MinTransactionIdAttributeNumber,
												  &isnull));
}

/* ----------------------------------------------------------------
 * Writing
 * ----------------------------------------------------------------
 */

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

/*
 * Rows of a statement come one by one, so we have no transition table to offer
 * to a trigger that wants one.
 */
static void
check_triggers(Relation rel)
{
	TriggerDesc *triggers = rel->trigdesc;

	if (triggers == NULL || !(triggers->trig_update_old_table || triggers->trig_update_new_table))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("table \"%s\" cannot have an update trigger with transition tables",
					RelationGetRelationName(rel)),
			 errhint("Use a trigger FOR EACH ROW, or one on the leads table or the stage history.")));
}

static LqSideWriter *
open_writer(LqSideRows *rows)
{
	LqSideWriter *writer = palloc0(sizeof(LqSideWriter));
	EState	   *estate = CreateExecutorState();

	check_triggers(rows->rel);
	writer->estate = estate;
	init_range_table(rows, estate);
	estate->es_output_cid = GetCurrentCommandId(true);
	writer->result = makeNode(ResultRelInfo);
	InitResultRelInfo(writer->result, rows->rel, 1, NULL, 0);
	/* so that AFTER triggers do not open another one */
	estate->es_opened_result_relations = list_make1(writer->result);
	LQ_EVAL_PLAN_QUAL_INIT(&writer->epq, estate);
	writer->slot = ExecInitExtraTupleSlot(estate, RelationGetDescr(rows->rel), &TTSOpsVirtual);
	ExecOpenIndices(writer->result, false);
	if (IsolationUsesXactSnapshot())
		writer->latest = RegisterSnapshot(GetLatestSnapshot());
	AfterTriggerBeginQuery();
	ExecBSUpdateTriggers(estate, writer->result);
	return writer;
}

/* put values into the row at tid, but for its key; other columns stay */
void
lq_side_rows_update(LqSideRows *rows, ItemPointer tid, const Datum *values, const bool *nulls)
{
	LqSideWriter *writer;
	TupleTableSlot *new;
	int			natts = RelationGetDescr(rows->rel)->natts;

	if (rows->writer == NULL)
		rows->writer = open_writer(rows);
	writer = rows->writer;
	new = writer->slot;
	if (!table_tuple_fetch_row_version(rows->rel, tid, SnapshotAny, rows->slot))
		elog(ERROR, "a row of table \"%s\" is gone", RelationGetRelationName(rows->rel));
	if (writer->latest != NULL &&
		!table_tuple_satisfies_snapshot(rows->rel, rows->slot, writer->latest))
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not serialize access due to concurrent update")));
	slot_getallattrs(rows->slot);
	ExecClearTuple(new);
	memcpy(new->tts_values, rows->slot->tts_values, natts * sizeof(Datum));
	memcpy(new->tts_isnull, rows->slot->tts_isnull, natts * sizeof(bool));
	for (int i = 0; i < LQ_NSTATE; i++)
	{
		if (i == LQ_STATE_LEAD)
			continue;
		new->tts_values[rows->columns[i]] = values[i];
		new->tts_isnull[rows->columns[i]] = nulls[i];
	}
	ExecStoreVirtualTuple(new);
	ExecSimpleRelationUpdate(writer->result, writer->estate, &writer->epq, rows->slot, new);
	ResetPerTupleExprContext(writer->estate);
}
