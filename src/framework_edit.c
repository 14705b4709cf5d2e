/*
 * framework_edit.c
 *		The trigger of the tables framework, criterion and question.
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

#include "access/tableam.h"
#include "access/xact.h"
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "assessment.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "compat.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "framework_table.h"
#include "storage/lmgr.h"
#include "sql.h"
#include "utils/builtins.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#define MAX_WEIGHT 1000000
#define MIN_LANGUAGE 2
#define MAX_LANGUAGE 8

/* what numbers may be; the tables have the same as CHECK constraints */
static const struct
{
	const char *table;
	const char *column;
	double		low;
	double		high;
	const char *constraint;
	const char *hint;
} ranges[] = {
	{"framework", "min_met", 0, LQ_MAX_CRITERIA, "framework_min_met_range",
	"It is how many criteria must be met, or NULL for all of them."},
	{"framework", "min_score", 0, 100, "framework_min_score_range",
	"It is a score from 0 to 100, or NULL to ask for none."},
	{"criterion", "position", 1, LQ_MAX_CRITERIA, "criterion_position_range",
	"Positions go from 1, the main criterion, to 1000."},
	{"criterion", "weight", 0, MAX_WEIGHT, "criterion_weight_range",
	"Weights go from 0 to 1000000, and not all of a framework may be 0."},
	{"criterion", "met_at", 1, LQ_LEVEL_YES, "criterion_met_at_range",
	"It is the least level that meets the criterion: 1 (weak), 2 (partial) or 3 (yes)."},
};

/* ----------------------------------------------------------------
 * Columns
 * ----------------------------------------------------------------
 */

static bool
is_table(Relation rel, const char *name)
{
	return strcmp(RelationGetRelationName(rel), name) == 0;
}

static bool
is_shipped(Relation rel, HeapTuple tuple)
{
	bool		isnull;
	Datum		value = lq_column(rel, tuple, "shipped", &isnull);

	return !isnull && DatumGetBool(value);
}

static HeapTuple
with_column(Relation rel, HeapTuple tuple, const char *name, Datum value)
{
	int			attnum = lq_column_number(rel, name);
	bool		isnull = false;

	return heap_modify_tuple_by_cols(tuple, RelationGetDescr(rel), 1, &attnum,
									 &value, &isnull);
}

/* the key columns beside shipped */
static const char *
first_key(Relation rel)
{
	return is_table(rel, "question") ? "criterion" : "framework";
}

static const char *
second_key(Relation rel)
{
	return is_table(rel, "question") ? "language" :
		is_table(rel, "criterion") ? "criterion" : NULL;
}

static bool
same_text(Relation rel, HeapTuple a, HeapTuple b, const char *column)
{
	char	   *left = lq_column_text(rel, a, column);
	char	   *right = lq_column_text(rel, b, column);

	return left != NULL && right != NULL && strcmp(left, right) == 0;
}

static bool
same_key(Relation rel, HeapTuple a, HeapTuple b)
{
	const char *second = second_key(rel);

	return same_text(rel, a, b, first_key(rel)) &&
		(second == NULL || same_text(rel, a, b, second));
}

/* criterion "budget" of framework "BANT": for messages */
static char *
row_name(Relation rel, HeapTuple tuple)
{
	char	   *first = lq_column_text(rel, tuple, first_key(rel));
	char	   *second = second_key(rel) == NULL ? NULL :
		lq_column_text(rel, tuple, second_key(rel));

	first = first == NULL ? "" : first;
	second = second == NULL ? "" : second;
	if (is_table(rel, "framework"))
		return psprintf("framework \"%s\"", first);
	if (is_table(rel, "criterion"))
		return psprintf("criterion \"%s\" of framework \"%s\"", second, first);
	return psprintf("question about \"%s\" in language \"%s\"", first, second);
}

/* ----------------------------------------------------------------
 * What a row may say
 * ----------------------------------------------------------------
 */

static void
check_ranges(Relation rel, HeapTuple tuple)
{
	for (int i = 0; i < lengthof(ranges); i++)
	{
		bool		isnull;
		Datum		value;
		double		number;
		int			attnum;

		if (!is_table(rel, ranges[i].table))
			continue;
		value = lq_column(rel, tuple, ranges[i].column, &isnull);
		if (isnull)
			continue;
		attnum = lq_column_number(rel, ranges[i].column);
		number = SPI_gettypeid(RelationGetDescr(rel), attnum) == INT4OID ?
			DatumGetInt32(value) : DatumGetFloat8(value);
		if (!(number >= ranges[i].low && number <= ranges[i].high))
			ereport(ERROR,
					(errcode(ERRCODE_CHECK_VIOLATION),
					 errmsg("%s of %s must be from %.0f to %.0f, not %s",
							ranges[i].column, row_name(rel, tuple),
							ranges[i].low, ranges[i].high,
							SPI_getvalue(tuple, RelationGetDescr(rel), attnum)),
					 errhint("%s", ranges[i].hint),
					 errtableconstraint(rel, ranges[i].constraint)));
	}
}

static void
check_framework_name(Relation rel, HeapTuple tuple)
{
	char	   *name = lq_column_text(rel, tuple, "framework");

	if (name != NULL && (name[0] == '\0' || strlen(name) >= NAMEDATALEN ||
						 name[0] == ' ' || name[strlen(name) - 1] == ' '))
		ereport(ERROR,
				(errcode(ERRCODE_CHECK_VIOLATION),
				 errmsg("\"%s\" is no name for a framework", name),
				 errhint("It has 1 to %d bytes and neither begins nor ends with a space.",
						 NAMEDATALEN - 1),
				 errtableconstraint(rel, is_table(rel, "framework") ?
									"framework_name_form" :
									"criterion_framework_form")));
}

static void
check_question(Relation rel, HeapTuple tuple)
{
	char	   *language = lq_column_text(rel, tuple, "language");
	char	   *question = lq_column_text(rel, tuple, "question");
	int			len = language == NULL ? 0 : strlen(language);

	if (language != NULL &&
		(len < MIN_LANGUAGE || len > MAX_LANGUAGE ||
		 strspn(language, "abcdefghijklmnopqrstuvwxyz-") != len))
		ereport(ERROR,
				(errcode(ERRCODE_CHECK_VIOLATION),
				 errmsg("\"%s\" is no language code", language),
				 errhint("It has %d to %d characters, lower-case letters or hyphens, such as en or pt-br.",
						 MIN_LANGUAGE, MAX_LANGUAGE),
				 errtableconstraint(rel, "question_language_form")));
	if (question != NULL && question[strspn(question, " \t\r\n")] == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_CHECK_VIOLATION),
				 errmsg("%s is empty", row_name(rel, tuple)),
				 errhint("To ask nothing, delete your row; to ask in other words, write them."),
				 errtableconstraint(rel, "question_not_empty")));
}

/* names of criteria are stored as the type assessment spells them */
static HeapTuple
with_canonical_name(Relation rel, HeapTuple tuple)
{
	char	   *name,
			   *canonical;

	if (is_table(rel, "framework"))
		return tuple;
	name = lq_column_text(rel, tuple, "criterion");
	if (name == NULL)
		return tuple;
	canonical = lq_criterion_fold(name, strlen(name));
	return strcmp(name, canonical) == 0 ? tuple :
		with_column(rel, tuple, "criterion",
					PointerGetDatum(cstring_to_text(canonical)));
}

/*
 * A criterion of a framework that is spelled otherwise would be nobody's.  No
 * error: a dump brings criteria before frameworks.
 */
static void
warn_of_spelling(Relation rel, HeapTuple tuple)
{
	char	   *name = lq_column_text(rel, tuple, "framework");
	const LqFramework *framework = name == NULL ? NULL :
		lq_framework_get(name, strlen(name), true);

	if (framework != NULL && strcmp(framework->name, name) != 0)
		ereport(WARNING,
				(errmsg("%s belongs to no framework yet", row_name(rel, tuple)),
				 errhint("There is a framework spelled \"%s\".", framework->name)));
}

static void
check_row(Relation rel, HeapTuple tuple)
{
	if (is_table(rel, "question"))
		check_question(rel, tuple);
	else
		check_framework_name(rel, tuple);
	if (is_table(rel, "criterion"))
		warn_of_spelling(rel, tuple);
	check_ranges(rel, tuple);
}

/* ----------------------------------------------------------------
 * Shipped rows
 * ----------------------------------------------------------------
 */

static void
refuse_delete(Relation rel, HeapTuple tuple)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("cannot delete the shipped %s", row_name(rel, tuple)),
			 errdetail("Shipped rows belong to the extension; rows with shipped = false are yours."),
			 is_table(rel, "criterion") ?
			 errhint("To leave the criterion out, set enabled to false. To undo your edits, DELETE ... WHERE NOT shipped.") :
			 errhint("To change it, use UPDATE. To undo your edits, DELETE ... WHERE NOT shipped.")));
}

static void
refuse_truncate(Relation rel)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("cannot truncate \"lead_qualify.%s\"", RelationGetRelationName(rel)),
			 errdetail("Shipped rows belong to the extension; rows with shipped = false are yours."),
			 errhint("To undo all edits, DELETE FROM lead_qualify.%s WHERE NOT shipped.",
					 RelationGetRelationName(rel))));
}

static void
refuse_shipped(Relation rel, HeapTuple tuple)
{
	if (is_shipped(rel, tuple))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("%s cannot be written as a shipped row", row_name(rel, tuple)),
				 errdetail("Shipped rows belong to the extension; rows with shipped = false are yours."),
				 errhint("Leave shipped at its default, false: your row then hides a shipped one of the same key.")));
}

/*
 * Seen by the command, not by the catalog: a row that came later must meet
 * the unique index, or the command would silently do nothing.
 */
static bool
user_row_exists(Relation rel, HeapTuple tuple)
{
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false,
										  GetActiveSnapshot(), 0, NULL);
	HeapTuple	other;
	bool		found = false;

	while (!found && HeapTupleIsValid(other = systable_getnext(scan)))
		found = !is_shipped(rel, other) && same_key(rel, tuple, other);
	systable_endscan(scan);
	return found;
}

/* the row to write instead, NULL: none */
static HeapTuple
edit_shipped(Relation rel, HeapTuple old, HeapTuple new)
{
	if (!same_key(rel, old, new))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot rename the shipped %s", row_name(rel, old)),
				 is_table(rel, "criterion") ?
				 errhint("Set its enabled to false, and insert a row of the new name.") :
				 errhint("Insert a row of the new name.")));
	if (user_row_exists(rel, old))
		return NULL;
	return with_column(rel, new, "shipped", BoolGetDatum(false));
}

static HeapTuple
before_row(TriggerData *trigdata)
{
	Relation	rel = trigdata->tg_relation;
	HeapTuple	old = trigdata->tg_trigtuple,
				new;

	if (TRIGGER_FIRED_BY_DELETE(trigdata->tg_event))
	{
		if (is_shipped(rel, old))
			refuse_delete(rel, old);
		return old;
	}
	if (TRIGGER_FIRED_BY_INSERT(trigdata->tg_event))
		new = with_canonical_name(rel, old);
	else
	{
		new = with_canonical_name(rel, trigdata->tg_newtuple);
		if (is_shipped(rel, old))
			new = edit_shipped(rel, old, new);
		if (new == NULL)
			return NULL;
	}
	refuse_shipped(rel, new);
	check_row(rel, new);
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

/*
 * The lock makes editors wait for each other, and nobody else: else two of
 * them could take the same position without seeing each other's row.
 */
static void
check_positions(Relation rel, HeapTuple tuple, bool own)
{
	if (!is_table(rel, "criterion"))
		return;
	LockRelationOid(RelationGetRelid(rel), ShareUpdateExclusiveLock);
	lq_framework_check_positions(lq_column_text(rel, tuple, "framework"), own);
}

/* is the row a user's version of a shipped one? */
static bool
hides_shipped(Relation rel, HeapTuple tuple)
{
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false,
										  GetActiveSnapshot(), 0, NULL);
	HeapTuple	other;
	bool		found = false;

	while (!found && HeapTupleIsValid(other = systable_getnext(scan)))
		found = is_shipped(rel, other) && same_key(rel, tuple, other);
	systable_endscan(scan);
	return found;
}

static void
after_row(TriggerData *trigdata)
{
	Relation	rel = trigdata->tg_relation;
	HeapTuple	old = trigdata->tg_trigtuple;

	if (TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event))
	{
		if (is_shipped(rel, old) && !is_shipped(rel, trigdata->tg_newtuple))
			put_back(rel, old);
		check_positions(rel, trigdata->tg_newtuple, false);
		if (same_key(rel, old, trigdata->tg_newtuple))
			return;
	}
	/* a dump puts back versions of shipped rows one by one: two that changed places */
	check_positions(rel, old, TRIGGER_FIRED_BY_INSERT(trigdata->tg_event) &&
					is_table(rel, "criterion") && hides_shipped(rel, old));
}

PG_FUNCTION_INFO_V1(lq_framework_edit);

/* trigger: BEFORE and AFTER each row, BEFORE TRUNCATE */
Datum
lq_framework_edit(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("framework_edit() must be called as a trigger")));
	if (TRIGGER_FIRED_BY_TRUNCATE(trigdata->tg_event))
		refuse_truncate(trigdata->tg_relation);
	if (!TRIGGER_FIRED_FOR_ROW(trigdata->tg_event))
		elog(ERROR, "framework_edit() must be fired for each row");
	if (TRIGGER_FIRED_BEFORE(trigdata->tg_event))
		return PointerGetDatum(before_row(trigdata));
	after_row(trigdata);
	return PointerGetDatum(NULL);
}
