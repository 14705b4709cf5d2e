/*
 * framework_edit.c
 *		The trigger of the tables framework, criterion and question.
 *
 * It checks what a row may say, and looks after shipped rows (shipped_row.c).
 */
#include "postgres.h"

#include "assessment.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "framework_table.h"
#include "shipped_row.h"
#include "sql.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/rel.h"

#define NO_DELETE "cannot delete the shipped %s"
#define NO_RENAME "cannot rename the shipped %s"
#define NO_WRITE \
	{"%s cannot be written as a shipped row", LQ_SHIPPED_DETAIL, \
	"Leave shipped at its default, false: your row then hides a shipped one of the same key."}
#define USE_UPDATE "To change it, use UPDATE. " LQ_SHIPPED_UNDO

static const LqShippedTable tables[] = {
	{"framework", {"framework"}, "framework \"%s\"",
		{NO_DELETE, LQ_SHIPPED_DETAIL, USE_UPDATE},
		{NO_RENAME, NULL, "Insert a row of the new name."},
	NO_WRITE},
	{"criterion", {"framework", "criterion"}, "criterion \"%2$s\" of framework \"%1$s\"",
		{NO_DELETE, LQ_SHIPPED_DETAIL,
		"To leave the criterion out, set enabled to false. " LQ_SHIPPED_UNDO},
		{NO_RENAME, NULL, "Set its enabled to false, and insert a row of the new name."},
	NO_WRITE},
	{"question", {"criterion", "language"}, "question about \"%s\" in language \"%s\"",
		{NO_DELETE, LQ_SHIPPED_DETAIL, USE_UPDATE},
		{NO_RENAME, NULL, "Insert a row of the new name."},
	NO_WRITE},
};

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
 * Tables
 * ----------------------------------------------------------------
 */

static bool
is_table(Relation rel, const char *name)
{
	return strcmp(RelationGetRelationName(rel), name) == 0;
}

static const LqShippedTable *
table_of(Relation rel)
{
	for (int i = 0; i < lengthof(tables); i++)
		if (is_table(rel, tables[i].name))
			return &tables[i];
	elog(ERROR, "framework_edit() is no trigger for \"%s\"", RelationGetRelationName(rel));
}

static char *
row_name(Relation rel, HeapTuple tuple)
{
	return lq_shipped_row_name(table_of(rel), rel, tuple);
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
		lq_shipped_with(rel, tuple, "criterion",
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
 * Writing
 * ----------------------------------------------------------------
 */

static HeapTuple
before_row(TriggerData *trigdata)
{
	Relation	rel = trigdata->tg_relation;
	bool		deleted = TRIGGER_FIRED_BY_DELETE(trigdata->tg_event);
	HeapTuple	new = TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event) ?
		trigdata->tg_newtuple : trigdata->tg_trigtuple;

	if (!deleted)
		new = with_canonical_name(rel, new);
	new = lq_shipped_before(table_of(rel), trigdata, new);
	if (new != NULL && !deleted)
		check_row(rel, new);
	return new;
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

static void
after_row(TriggerData *trigdata)
{
	Relation	rel = trigdata->tg_relation;
	HeapTuple	old = trigdata->tg_trigtuple;

	if (TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event))
	{
		lq_shipped_after(trigdata);
		check_positions(rel, trigdata->tg_newtuple, false);
		if (lq_shipped_same_key(table_of(rel), rel, old, trigdata->tg_newtuple))
			return;
	}
	/* a dump puts back versions of shipped rows one by one: two that changed places */
	check_positions(rel, old, TRIGGER_FIRED_BY_INSERT(trigdata->tg_event) &&
					is_table(rel, "criterion") &&
					lq_shipped_hides(table_of(rel), rel, old));
}

PG_FUNCTION_INFO_V1(lq_framework_edit);

/* trigger: BEFORE and AFTER each row, BEFORE TRUNCATE */
Datum
lq_framework_edit(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = lq_shipped_trigger(fcinfo, "framework_edit");

	if (TRIGGER_FIRED_BEFORE(trigdata->tg_event))
		return PointerGetDatum(before_row(trigdata));
	after_row(trigdata);
	return PointerGetDatum(NULL);
}
