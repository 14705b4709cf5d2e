/*
 * key_rows.c
 *		A table's rows, found and locked by key without a planner in between.
 *
 * An activity touches two rows by key, that of the lead and that of its state.
 * To start a statement costs more than to find a row, so of an ordinary table
 * we do what the executor would do.  Any other table, as one that is
 * partitioned or that Citus has distributed, whose rows are not where the
 * table is, is left to SQL.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_am.h"
#include "catalog/pg_index.h"
#include "catalog/pg_namespace.h"
#include "compat.h"
#include "key_rows.h"
#include "miscadmin.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"
#include "utils/typcache.h"

/* ----------------------------------------------------------------
 * Open and close
 * ----------------------------------------------------------------
 */

/* is the table distributed by Citus, which keeps its rows in other tables? */
static bool
is_distributed(Oid relid)
{
	Oid			catalog = get_relname_relid("pg_dist_partition", PG_CATALOG_NAMESPACE);
	Relation	rel;
	ScanKeyData key;
	SysScanDesc scan;
	bool		found;

	if (!OidIsValid(catalog))
		return false;
	ScanKeyInit(&key, get_attnum(catalog, "logicalrelid"), BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(relid));
	rel = table_open(catalog, AccessShareLock);
	scan = systable_beginscan(rel, InvalidOid, false, NULL, 1, &key);
	found = HeapTupleIsValid(systable_getnext(scan));
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return found;
}

/* are all rows of the table in it, and would SQL do nothing but read and write them? */
static bool
is_ordinary(Relation rel)
{
	return rel->rd_rel->relkind == RELKIND_RELATION && !rel->rd_rel->relhassubclass &&
		rel->rd_rules == NULL && !is_distributed(RelationGetRelid(rel)) &&
		check_enable_rls(RelationGetRelid(rel), InvalidOid, true) != RLS_ENABLED;
}

/* does the index find just the key, as lq_key_cmp() does? */
static bool
finds_keys(Relation index, AttrNumber column, Oid collation, Oid opfamily)
{
	Form_pg_index form = index->rd_index;

	/* indcheckxmin: not all snapshots may use it */
	if (OidIsValid(collation) && !get_collation_isdeterministic(collation))
		return false;
	return form->indisunique && form->indisvalid && form->indimmediate && !form->indcheckxmin &&
		form->indnkeyatts == 1 && form->indkey.values[0] == column &&
		index->rd_rel->relam == BTREE_AM_OID && index->rd_opfamily[0] == opfamily &&
		index->rd_indcollation[0] == collation &&
		heap_attisnull(index->rd_indextuple, Anum_pg_index_indpred, NULL);
}

/* usually the primary key's index; NULL: there is none that would do */
static Relation
open_index(Relation rel, AttrNumber column, Oid opfamily)
{
	Oid			collation = TupleDescAttr(RelationGetDescr(rel), column - 1)->attcollation;
	List	   *indexes = RelationGetIndexList(rel);
	Relation	found = NULL;
	ListCell   *lc;

	foreach(lc, indexes)
	{
		found = index_open(lfirst_oid(lc), AccessShareLock);
		if (finds_keys(found, column, collation, opfamily))
			break;
		index_close(found, NoLock);
		found = NULL;
	}
	list_free(indexes);
	return found;
}

/*
 * NULL: this takes SQL.  Until it is closed the active snapshot is one that
 * sees what was committed and done up to now, as a statement's would.
 */
LqKeyRows *
lq_key_rows_open(Relation rel, AttrNumber column, Oid type)
{
	TypeCacheEntry *entry = lookup_type_cache(type, TYPECACHE_EQ_OPR | TYPECACHE_BTREE_OPFAMILY);
	LqKeyRows  *rows;
	Relation	index;

	if (!is_ordinary(rel) || (index = open_index(rel, column, entry->btree_opf)) == NULL)
		return NULL;
	rows = palloc0(sizeof(LqKeyRows));
	rows->rel = rel;
	rows->index = index;
	ScanKeyEntryInitialize(&rows->key, 0, 1, BTEqualStrategyNumber, InvalidOid,
						   index->rd_indcollation[0], get_opcode(entry->eq_opr), (Datum) 0);
	rows->slot = table_slot_create(rel, NULL);
	CommandCounterIncrement();
	PushActiveSnapshot(GetTransactionSnapshot());
	return rows;
}

void
lq_key_rows_close(LqKeyRows *rows)
{
	if (rows->scan != NULL)
		index_endscan(rows->scan);
	ExecDropSingleTupleTableSlot(rows->slot);
	index_close(rows->index, NoLock);
	PopActiveSnapshot();
	pfree(rows);
}

/* ----------------------------------------------------------------
 * Rows
 * ----------------------------------------------------------------
 */

/* into rows->slot; false: there is none */
bool
lq_key_rows_find(LqKeyRows *rows, Datum key)
{
	rows->key.sk_argument = key;
	if (rows->scan == NULL)
		rows->scan = LQ_INDEX_BEGINSCAN(rows->rel, rows->index, GetActiveSnapshot(), 1);
	index_rescan(rows->scan, &rows->key, 1, NULL, 0);
	return index_getnext_slot(rows->scan, ForwardScanDirection, rows->slot);
}

/*
 * Lock the row at tid, which had this key, FOR NO KEY UPDATE, after whoever is
 * changing it; its newest version comes into rows->slot.  False: it is deleted,
 * or has another key now.
 */
bool
lq_key_rows_lock_at(LqKeyRows *rows, ItemPointer tid, Datum key)
{
	bool		fixed = IsolationUsesXactSnapshot();
	uint8		flags = TUPLE_LOCK_FLAG_LOCK_UPDATE_IN_PROGRESS |
		(fixed ? 0 : TUPLE_LOCK_FLAG_FIND_LAST_VERSION);
	TM_FailureData failure;
	TM_Result	result;

	result = table_tuple_lock(rows->rel, tid, GetActiveSnapshot(), rows->slot,
							  GetCurrentCommandId(false), LockTupleNoKeyExclusive, LockWaitBlock,
							  flags, &failure);
	if (result == TM_Invisible || result == TM_SelfModified)
		ereport(ERROR,
				(errcode(ERRCODE_TRIGGERED_DATA_CHANGE_VIOLATION),
				 errmsg("a row of table \"%s\" was changed by the command that is to update it",
						RelationGetRelationName(rows->rel)),
				 errhint("Make that change in an AFTER trigger on the activity table.")));
	if (fixed && (result == TM_Updated || result == TM_Deleted))
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not serialize access due to concurrent update"),
				 errhint("The transaction might succeed if retried.")));
	return result == TM_Ok && lq_key_rows_is(rows, key);
}

/* is the row in the slot the one with this key? */
bool
lq_key_rows_is(LqKeyRows *rows, Datum key)
{
	bool		isnull;
	Datum		value = slot_getattr(rows->slot, rows->index->rd_index->indkey.values[0], &isnull);

	return !isnull && DatumGetBool(FunctionCall2Coll(&rows->key.sk_func, rows->key.sk_collation,
													 value, key));
}

bool
lq_key_rows_lock(LqKeyRows *rows, Datum key)
{
	ItemPointerData tid;

	if (!lq_key_rows_find(rows, key))
		return false;
	tid = rows->slot->tts_tid;
	return lq_key_rows_lock_at(rows, &tid, key);
}
