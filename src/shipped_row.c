/*
 * shipped_row.c
 *		Tables with rows that the extension ships and that a user's row of the
 *		same key hides.
 *
 * Shipped rows belong to the extension, and an upgrade may replace them; an
 * edit must survive that.  So an UPDATE of a shipped row leaves it as it was
 * and makes a row of the user's that hides it: BEFORE turns the new row into
 * the user's, AFTER puts the shipped one back.  To the command it is an
 * ordinary UPDATE, with its count and its RETURNING.  Where the user has such
 * a row already, that one is edited and the hidden shipped row is skipped.
 *
 * An upgrade script writes shipped rows itself: it sets
 * session_replication_role to replica, so that none of this fires.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "compat.h"
#include "executor/executor.h"
#include "shipped_row.h"
#include "sql.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

/* ----------------------------------------------------------------
 * Rows
 * ----------------------------------------------------------------
 */

static bool
is_shipped(Relation rel, HeapTuple tuple)
{
	bool		isnull;
	Datum		value = lq_column(rel, tuple, "shipped", &isnull);

	return !isnull && DatumGetBool(value);
}

HeapTuple
lq_shipped_with(Relation rel, HeapTuple tuple, const char *column, Datum value)
{
	int			attnum = lq_column_number(rel, column);
	bool		isnull = false;

	return heap_modify_tuple_by_cols(tuple, RelationGetDescr(rel), 1, &attnum,
									 &value, &isnull);
}

bool
lq_shipped_same_key(const LqShippedTable *table, Relation rel, HeapTuple a, HeapTuple b)
{
	for (int i = 0; i < lengthof(table->keys) && table->keys[i] != NULL; i++)
	{
		char	   *left = lq_column_text(rel, a, table->keys[i]);
		char	   *right = lq_column_text(rel, b, table->keys[i]);

		if (left == NULL || right == NULL || strcmp(left, right) != 0)
			return false;
	}
	return true;
}

char *
lq_shipped_row_name(const LqShippedTable *table, Relation rel, HeapTuple tuple)
{
	const char *keys[lengthof(table->keys)];

	for (int i = 0; i < lengthof(keys); i++)
	{
		keys[i] = table->keys[i] == NULL ? NULL :
			lq_column_text(rel, tuple, table->keys[i]);
		if (keys[i] == NULL)
			keys[i] = "";
	}
	return psprintf(table->row, keys[0], keys[1]);
}

/*
 * Is there a row of the same key, shipped or a user's?  Seen by the command,
 * not by the catalog: a user's row that came later must meet the unique index,
 * or the command would silently do nothing.
 */
static bool
row_exists(const LqShippedTable *table, Relation rel, HeapTuple tuple, bool shipped)
{
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false,
										  GetActiveSnapshot(), 0, NULL);
	HeapTuple	other;
	bool		found = false;

	while (!found && HeapTupleIsValid(other = systable_getnext(scan)))
		found = is_shipped(rel, other) == shipped &&
			lq_shipped_same_key(table, rel, tuple, other);
	systable_endscan(scan);
	return found;
}

bool
lq_shipped_hides(const LqShippedTable *table, Relation rel, HeapTuple tuple)
{
	return row_exists(table, rel, tuple, true);
}

/* ----------------------------------------------------------------
 * The trigger
 * ----------------------------------------------------------------
 */

static void
refuse(const LqShippedTable *table, const LqRefusal *refusal, Relation rel,
	   HeapTuple tuple)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg(refusal->message, lq_shipped_row_name(table, rel, tuple)),
			 refusal->detail == NULL ? 0 : errdetail("%s", refusal->detail),
			 errhint("%s", refusal->hint)));
}

TriggerData *
lq_shipped_trigger(FunctionCallInfo fcinfo, const char *name)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("%s() must be called as a trigger", name)));
	if (TRIGGER_FIRED_BY_TRUNCATE(trigdata->tg_event))
	{
		const char *table = RelationGetRelationName(trigdata->tg_relation);

		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot truncate \"lead_qualify.%s\"", table),
				 errdetail(LQ_SHIPPED_DETAIL),
				 errhint("To undo all edits, DELETE FROM lead_qualify.%s WHERE NOT shipped.",
						 table)));
	}
	if (!TRIGGER_FIRED_FOR_ROW(trigdata->tg_event))
		elog(ERROR, "%s() must be fired for each row", name);
	return trigdata;
}

HeapTuple
lq_shipped_before(const LqShippedTable *table, TriggerData *trigdata, HeapTuple new)
{
	Relation	rel = trigdata->tg_relation;
	HeapTuple	old = trigdata->tg_trigtuple;

	if (TRIGGER_FIRED_BY_DELETE(trigdata->tg_event))
	{
		if (is_shipped(rel, old))
			refuse(table, &table->no_delete, rel, old);
		return old;
	}
	if (TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event) && is_shipped(rel, old))
	{
		if (!lq_shipped_same_key(table, rel, old, new))
			refuse(table, &table->no_rename, rel, old);
		if (row_exists(table, rel, old, false))
			return NULL;
		return lq_shipped_with(rel, new, "shipped", BoolGetDatum(false));
	}
	if (is_shipped(rel, new))
		refuse(table, &table->no_write, rel, new);
	return new;
}

/*
 * Past triggers and rights, which are those of the user: the row was here
 * before, and only this may write it.
 */
static void
put_back(Relation rel, HeapTuple shipped)
{
	EState	   *estate = CreateExecutorState();
	ResultRelInfo *result = makeNode(ResultRelInfo);
	TupleTableSlot *slot = MakeSingleTupleTableSlot(RelationGetDescr(rel), &TTSOpsHeapTuple);

	/* a DBA may have put any index on the table */
	InitResultRelInfo(result, rel, 1, NULL, 0);
	ExecOpenIndices(result, false);
	ExecStoreHeapTuple(heap_copytuple(shipped), slot, true);
	table_tuple_insert(rel, slot, GetCurrentCommandId(true), 0, NULL);
	LQ_INSERT_INDEX_TUPLES(result, slot, estate);
	ExecCloseIndices(result);
	ExecDropSingleTupleTableSlot(slot);
	FreeExecutorState(estate);
}

void
lq_shipped_after(TriggerData *trigdata)
{
	Relation	rel = trigdata->tg_relation;

	if (TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event) &&
		is_shipped(rel, trigdata->tg_trigtuple) &&
		!is_shipped(rel, trigdata->tg_newtuple))
		put_back(rel, trigdata->tg_trigtuple);
}
