/*
 * side_rows.c
 *		Rows of <leads>_qualification and <leads>_baseline, found by lead and
 *		updated in place, without a planner in between.
 *
 * Each activity reads one such row and writes it back.  A statement that takes
 * its values as arrays spends more on taking them apart than on the row, so we
 * do what the executor would do: find by an index, update by ctid, and
 * leave constraints, indexes and row triggers to ExecSimpleRelationUpdate(),
 * which serves logical replication in the same way.  Whoever writes a state
 * holds the lock of its leads row; only the owner may meanwhile have changed
 * columns of his own.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/pg_am.h"
#include "catalog/pg_index.h"
#include "commands/trigger.h"
#include "compat.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "parser/parse_relation.h"
#include "sql.h"
#include "side_rows.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"
#include "utils/typcache.h"

/* what updating takes */
struct LqSideWriter
{
	EState	   *estate;
	ResultRelInfo *result;
	EPQState	epq;
	TupleTableSlot *slot;		/* the new row */
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

/* does the index find a lead as rows->key does? */
static bool
finds_leads(const LqSideRows *rows, Relation index, Oid opfamily)
{
	Form_pg_index form = index->rd_index;

	return form->indisunique && form->indisvalid && form->indimmediate &&
		form->indnkeyatts == 1 && form->indkey.values[0] == rows->columns[LQ_STATE_LEAD] + 1 &&
		index->rd_rel->relam == BTREE_AM_OID && index->rd_opfamily[0] == opfamily &&
		index->rd_indcollation[0] == rows->key.sk_collation &&
		heap_attisnull(index->rd_indextuple, Anum_pg_index_indpred, NULL);
}

/* usually the primary key; without any, rows are found by reading the table */
static void
open_index(LqSideRows *rows, Oid key_type)
{
	TypeCacheEntry *type = lookup_type_cache(key_type, TYPECACHE_EQ_OPR | TYPECACHE_BTREE_OPFAMILY);
	Form_pg_attribute lead = TupleDescAttr(RelationGetDescr(rows->rel), rows->columns[LQ_STATE_LEAD]);
	List	   *indexes = RelationGetIndexList(rows->rel);
	ListCell   *lc;

	ScanKeyEntryInitialize(&rows->key, 0, lead->attnum, BTEqualStrategyNumber, InvalidOid,
						   lead->attcollation, get_opcode(type->eq_opr), (Datum) 0);
	foreach(lc, indexes)
	{
		Relation	index = index_open(lfirst_oid(lc), AccessShareLock);

		if (finds_leads(rows, index, type->btree_opf))
		{
			rows->index = index;
			rows->key.sk_attno = 1;
			break;
		}
		index_close(index, NoLock);
	}
	list_free(indexes);
}

/* the caller may read the table; with row security, only the rows that it shows him */
static void
check_rights(LqSideRows *rows)
{
	Oid			relid = RelationGetRelid(rows->rel);

	if (pg_class_aclcheck(relid, GetUserId(), ACL_SELECT) != ACLCHECK_OK &&
		pg_attribute_aclcheck_all(relid, GetUserId(), ACL_SELECT, ACLMASK_ALL) != ACLCHECK_OK)
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_TABLE, RelationGetRelationName(rows->rel));
	rows->row_security = check_enable_rls(relid, InvalidOid, false) == RLS_ENABLED;
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
	open_index(rows, p->key_type);
	rows->key_type = p->key_type;
	if (read_only)
		check_rights(rows);
	else
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
	if (rows->index != NULL)
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

static bool
find_by_index(LqSideRows *rows)
{
	if (rows->scan == NULL)
		rows->scan = LQ_INDEX_BEGINSCAN(rows->rel, rows->index, GetActiveSnapshot(), 1);
	index_rescan(rows->scan, &rows->key, 1, NULL, 0);
	return index_getnext_slot(rows->scan, ForwardScanDirection, rows->slot);
}

static bool
find_by_reading(LqSideRows *rows)
{
	TableScanDesc scan = table_beginscan(rows->rel, GetActiveSnapshot(), 1, &rows->key);
	bool		found = table_scan_getnextslot(scan, ForwardScanDirection, rows->slot);

	if (found)
		ExecMaterializeSlot(rows->slot);
	table_endscan(scan);
	return found;
}

/* does row security let the caller see the row? */
static bool
is_shown(LqSideRows *rows, Datum lead)
{
	bool		shown;
	Relation	rel = rows->rel;

	SPI_connect();
	SPI_execute_with_args(lq_format("SELECT FROM %I.%I WHERE lead = $1",
									get_namespace_name(RelationGetNamespace(rel)),
									RelationGetRelationName(rel)),
						  1, &rows->key_type, &lead, NULL, true, 1);
	shown = SPI_processed > 0;
	SPI_finish();
	return shown;
}

/*
 * The row of a lead; false: there is none.  Values by reference are those of
 * the row, good until the next call.
 */
bool
lq_side_rows_find(LqSideRows *rows, Datum lead, Datum *values, bool *nulls)
{
	rows->key.sk_argument = lead;
	if (!(rows->index != NULL ? find_by_index(rows) : find_by_reading(rows)) ||
		(rows->row_security && !is_shown(rows, lead)))
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
 * States are written one by one, so there is no transition table to offer to a
 * trigger that wants one.  It is left out, rather than the application's insert.
 */
static void
leave_out_triggers(ResultRelInfo *result)
{
	static Oid	warned = InvalidOid;
	TriggerDesc *triggers = result->ri_TrigDesc;
	Relation	rel = result->ri_RelationDesc;

	if (triggers == NULL || !(triggers->trig_update_old_table || triggers->trig_update_new_table))
		return;
	triggers->trig_update_after_statement = false;
	if (warned == RelationGetRelid(rel))
		return;
	warned = RelationGetRelid(rel);
	ereport(WARNING,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("UPDATE triggers of table \"%s\" do not fire: one of them has transition tables",
					RelationGetRelationName(rel)),
			 errhint("Use a trigger FOR EACH ROW, or one on the leads table or the stage history.")));
}

static LqSideWriter *
open_writer(LqSideRows *rows)
{
	LqSideWriter *writer = palloc0(sizeof(LqSideWriter));
	EState	   *estate = CreateExecutorState();

	writer->estate = estate;
	init_range_table(rows, estate);
	estate->es_output_cid = GetCurrentCommandId(true);
	writer->result = makeNode(ResultRelInfo);
	InitResultRelInfo(writer->result, rows->rel, 1, NULL, 0);
	leave_out_triggers(writer->result);
	/* so that AFTER triggers do not open another one */
	estate->es_opened_result_relations = list_make1(writer->result);
	LQ_EVAL_PLAN_QUAL_INIT(&writer->epq, estate);
	writer->slot = ExecInitExtraTupleSlot(estate, RelationGetDescr(rows->rel), &TTSOpsVirtual);
	ExecOpenIndices(writer->result, false);
	AfterTriggerBeginQuery();
	ExecBSUpdateTriggers(estate, writer->result);
	return writer;
}

/*
 * The row at tid as it is now, into rows->slot.  Mostly it is as it was read;
 * where the owner has changed a column of his own meanwhile, it is the
 * version that he left.
 */
static void
fetch_newest(LqSideRows *rows, ItemPointer tid)
{
	LqSideWriter *writer = rows->writer;
	TriggerDesc *triggers = writer->result->ri_TrigDesc;
	bool		serializable = IsolationUsesXactSnapshot();
	TM_FailureData failure;
	TM_Result	result;
	bool		isnull;

	if (!table_tuple_fetch_row_version(rows->rel, tid, SnapshotAny, rows->slot))
		elog(ERROR, "a row of table \"%s\" is gone", RelationGetRelationName(rows->rel));
	if (!serializable && (triggers == NULL || !triggers->trig_update_before_row) &&
		DatumGetTransactionId(slot_getsysattr(rows->slot, MaxTransactionIdAttributeNumber,
											  &isnull)) == InvalidTransactionId)
		return;
	result = table_tuple_lock(rows->rel, tid, GetActiveSnapshot(), rows->slot,
							  GetCurrentCommandId(false), LockTupleNoKeyExclusive,
							  LockWaitBlock,
							  serializable ? 0 : TUPLE_LOCK_FLAG_FIND_LAST_VERSION, &failure);
	if (result == TM_SelfModified)
		ereport(ERROR,
				(errcode(ERRCODE_TRIGGERED_DATA_CHANGE_VIOLATION),
				 errmsg("a trigger on table \"%s\" has changed a row that is being updated",
						RelationGetRelationName(rows->rel)),
				 errhint("Insert activities in an AFTER trigger instead of a BEFORE trigger.")));
	if (result != TM_Ok)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not serialize access due to concurrent update")));
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
	fetch_newest(rows, tid);
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
