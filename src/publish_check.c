/*
 * publish_check.c
 *		The draft: checked as a whole and frozen as JSON.
 *
 * What one row of the draft shows to be wrong is a CHECK constraint of its
 * table.  Here is what depends on other rows or on the attached tables: names
 * that must exist, and SQL expressions, which are parsed as the publisher over
 * the table they belong to and frozen with every name qualified.
 *
 * The draft is read as the extension's owner and with one snapshot, so that
 * what is frozen is what was checked, whatever others commit meanwhile.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "expression.h"
#include "framework_table.h"
#include "lead_grade.h"
#include "miscadmin.h"
#include "publish.h"
#include "sql.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"

/* an activity table whose columns conditions may name */
typedef struct DraftSource
{
	char	   *number;
	char	   *type_value;		/* NULL: the table has a type column */
	Relation	rel;			/* NULL when it is gone */
	List	   *columns;		/* of char *: named by any expression */
} DraftSource;

typedef struct Draft
{
	const char *pipeline;
	Relation	leads;
	Oid			owner;			/* of leads */
	int			nsources;
	DraftSource *sources;
	List	   *lead_columns;	/* of char * */
	StringInfoData expressions; /* members of JSON objects */
	StringInfoData calls;
} Draft;

/* a condition or per_value, with whom to name in errors */
typedef struct DraftExpression
{
	char	   *key;			/* in "expressions" */
	char	   *culprit;
	char	   *text;
	LqExpressionUse use;
	Oid			result_type;
	char	   *activity_type;	/* NULL: any */
	char	   *stage;			/* of a gate */
	char	   *name;
} DraftExpression;

/* ----------------------------------------------------------------
 * Reading
 * ----------------------------------------------------------------
 */

/*
 * A query over the draft with parameters $1 (the pipeline) and $2, under the
 * snapshot of this publication.  Result in SPI_tuptable.
 */
static uint64
draft_query(const char *query, const char *pipeline, const char *second)
{
	Oid			types[2] = {TEXTOID, TEXTOID};
	Datum		values[2];
	int			nargs = second == NULL ? 1 : 2;
	int			code;
	LqUser		saved;

	values[0] = CStringGetTextDatum(pipeline);
	values[1] = second == NULL ? (Datum) 0 : CStringGetTextDatum(second);
	lq_become(&saved, lq_extension_owner());
	code = SPI_execute_with_args(query, nargs, types, values, NULL, true, 0);
	lq_return(&saved);
	if (code != SPI_OK_SELECT)
		elog(ERROR, "could not read the draft: %s", SPI_result_code_string(code));
	return SPI_processed;
}

static char *
result_text(const SPITupleTable *table, uint64 row, int column)
{
	return SPI_getvalue(table->vals[row], table->tupdesc, column);
}

/* open the activity tables; one that is gone is left out with a warning */
static void
open_sources(Draft *draft)
{
	uint64		n = draft_query("SELECT s.number, s.type_value, s.activities_schema, s.activities_table,"
								" s.filter_expression FROM lead_qualify.source AS s"
								" WHERE s.pipeline = $1 ORDER BY s.number",
								draft->pipeline, NULL);
	SPITupleTable *table = SPI_tuptable;

	draft->nsources = n;
	draft->sources = palloc0(Max(n, 1) * sizeof(DraftSource));
	for (uint64 i = 0; i < n; i++)
	{
		DraftSource *source = &draft->sources[i];
		char	   *schema = result_text(table, i, 3);
		char	   *name = result_text(table, i, 4);
		char	   *filter = result_text(table, i, 5);
		Oid			relid = lq_find_relation(schema, name);

		source->number = result_text(table, i, 1);
		source->type_value = result_text(table, i, 2);
		if (!OidIsValid(relid))
		{
			ereport(WARNING,
					(errcode(ERRCODE_UNDEFINED_TABLE),
					 errmsg("activity table %s of pipeline \"%s\" does not exist",
							quote_qualified_identifier(schema, name), draft->pipeline)));
			continue;
		}
		source->rel = table_open(relid, AccessShareLock);
		if (filter != NULL)
			source->columns = lq_expression_check(filter, source->rel, BOOLOID,
												  LQ_USE_ACTIVITY,
												  psprintf("the filter on %s of pipeline \"%s\"",
														   quote_qualified_identifier(schema, name),
														   draft->pipeline),
												  draft->owner)->columns;
	}
}

/* the locks stay until the end of the transaction */
static void
close_relations(Draft *draft)
{
	table_close(draft->leads, NoLock);
	for (int i = 0; i < draft->nsources; i++)
		if (draft->sources[i].rel != NULL)
			table_close(draft->sources[i].rel, NoLock);
}

/* ----------------------------------------------------------------
 * What the rows of the draft must be to each other
 * ----------------------------------------------------------------
 */

typedef struct DraftCheck
{
	int			code;
	const char *query;			/* gives the message, no row if all is well */
	const char *hint;
} DraftCheck;

#define NO_DIMENSION(name) \
	"NOT EXISTS (SELECT FROM lead_qualify.dimension AS d" \
	" WHERE d.pipeline = $1 AND d.dimension = " name ")"
#define NO_STAGE(name) \
	"NOT EXISTS (SELECT FROM lead_qualify.stage AS s" \
	" WHERE s.pipeline = $1 AND s.stage = " name ")"
#define GATE(rest) \
	"SELECT pg_catalog.format('gate \"%s\" of stage \"%s\" of pipeline \"%s\" " rest
#define FROM_GATE \
	" FROM lead_qualify.gate AS g WHERE g.pipeline = $1 AND "
#define FIRST_GATE \
	" ORDER BY g.stage, g.name LIMIT 1"

#define HINT_DIMENSION \
	"Insert the dimension into lead_qualify.dimension, or name another."
#define HINT_STAGE \
	"Insert the stage into lead_qualify.stage, or name another."

static const DraftCheck draft_checks[] = {
	{ERRCODE_UNDEFINED_OBJECT,
		"SELECT pg_catalog.format('rule \"%s\" of pipeline \"%s\" adds to dimension \"%s\", which does not exist',"
		" r.name, $1, r.dimension)"
		" FROM lead_qualify.rule AS r WHERE r.pipeline = $1 AND " NO_DIMENSION("r.dimension")
		" ORDER BY r.name LIMIT 1",
	HINT_DIMENSION},
	{ERRCODE_INVALID_PARAMETER_VALUE,
		"SELECT pg_catalog.format('rule \"%s\" of pipeline \"%s\" adds to the total', r.name, $1)"
		" FROM lead_qualify.rule AS r WHERE r.pipeline = $1 AND r.dimension = 'total'"
		" ORDER BY r.name LIMIT 1",
	"The total is the weighted sum of the dimensions; let the rule add to one of them."},

	{ERRCODE_INVALID_PARAMETER_VALUE,
		"SELECT pg_catalog.format('pipeline \"%s\" has no stage on the path', $1)"
		" WHERE NOT EXISTS (SELECT FROM lead_qualify.stage AS s WHERE s.pipeline = $1 AND " LQ_SQL_ON_PATH("s.kind") ")",
	"A lead begins in a stage of kind lead, mql, sal, sql, opportunity or won."},
	{ERRCODE_INVALID_PARAMETER_VALUE,
		"SELECT pg_catalog.format('the first stage of pipeline \"%s\", \"%s\", is of kind %s, which is beside the path',"
		" $1, f.stage, f.kind) FROM (SELECT s.stage, s.kind FROM lead_qualify.stage AS s"
		" WHERE s.pipeline = $1 ORDER BY s.\"position\" LIMIT 1) AS f WHERE NOT " LQ_SQL_ON_PATH("f.kind"),
	"Give another stage the lowest position."},
	{ERRCODE_INVALID_PARAMETER_VALUE,
		"SELECT pg_catalog.format('stages %s of pipeline \"%s\" are stored alike, as \"%s\"',"
		" pg_catalog.string_agg(pg_catalog.format('\"%s\"', s.stage), ', ' ORDER BY s.\"position\"),"
		" $1, COALESCE(s.stored_as, s.stage)) FROM lead_qualify.stage AS s WHERE s.pipeline = $1"
		" GROUP BY COALESCE(s.stored_as, s.stage) HAVING pg_catalog.count(*) > 1 ORDER BY 1 LIMIT 1",
	"Let stored_as differ."},

	{ERRCODE_UNDEFINED_OBJECT,
		"SELECT pg_catalog.format('gate \"%s\" of pipeline \"%s\" leads to stage \"%s\", which does not exist',"
		" g.name, $1, g.stage)" FROM_GATE NO_STAGE("g.stage") FIRST_GATE,
	HINT_STAGE},
	{ERRCODE_UNDEFINED_OBJECT,
		GATE("names stage \"%s\" in from_stages, which does not exist', g.name, g.stage, $1, f.stage)")
		" FROM lead_qualify.gate AS g, pg_catalog.unnest(g.from_stages) AS f(stage) WHERE g.pipeline = $1 AND "
		NO_STAGE("f.stage") FIRST_GATE,
	HINT_STAGE},
	{ERRCODE_INVALID_PARAMETER_VALUE,
		GATE("names its own stage in from_stages', g.name, g.stage, $1)")
		FROM_GATE "g.stage = ANY (g.from_stages)" FIRST_GATE,
	"A gate leads from other stages into its own."},
	{ERRCODE_INVALID_PARAMETER_VALUE,
		GATE("asks for nothing', g.name, g.stage, $1)")
		FROM_GATE "g.enabled AND g.automatic AND g.min_total IS NULL AND g.min_engagement IS NULL"
		" AND g.min_fit IS NULL AND g.min_grade IS NULL AND g.framework IS NULL AND g.activity_type IS NULL"
		" AND g.condition IS NULL AND g.after IS NULL AND g.idle IS NULL" FIRST_GATE,
	"Every lead would go through at once: give it a minimum, a framework, an activity_type, a condition or a time to wait, or set automatic to false."},
	{ERRCODE_INVALID_PARAMETER_VALUE,
		GATE("lets leads fall to stage \"%s\", which is not an earlier one on the path', g.name, g.stage, $1, g.fallback_stage)")
		FROM_GATE "g.fallback_stage IS NOT NULL AND NOT EXISTS (SELECT FROM lead_qualify.stage AS f, lead_qualify.stage AS t"
		" WHERE f.pipeline = $1 AND t.pipeline = $1 AND f.stage = g.fallback_stage AND t.stage = g.stage"
		" AND " LQ_SQL_ON_PATH("f.kind") " AND f.position < t.position)" FIRST_GATE,
	"Name a stage that comes before the gate's own."},
	{ERRCODE_INVALID_PARAMETER_VALUE,
		GATE("leads to a stage beside the path, but does not say from where', g.name, g.stage, $1)")
		FROM_GATE "g.enabled AND g.automatic AND g.from_stages IS NULL AND EXISTS"
		" (SELECT FROM lead_qualify.stage AS t WHERE t.pipeline = $1 AND t.stage = g.stage"
		" AND NOT " LQ_SQL_ON_PATH("t.kind") ")" FIRST_GATE,
	"It would never open: set from_stages, such as '{lead,mql}'."},
	{ERRCODE_INVALID_PARAMETER_VALUE,
		GATE("leads to a stage beside the path after less than an hour', g.name, g.stage, $1)")
		FROM_GATE "g.enabled AND g.automatic AND LEAST(g.after, g.idle) < '1 hour' AND EXISTS"
		" (SELECT FROM lead_qualify.stage AS t WHERE t.pipeline = $1 AND t.stage = g.stage"
		" AND NOT " LQ_SQL_ON_PATH("t.kind") ")" FIRST_GATE,
	"Leads that another gate brings back would go in a circle; wait for an hour or longer."},
	{ERRCODE_UNDEFINED_OBJECT,
		GATE("keeps engagement, but there is no dimension \"engagement\"', g.name, g.stage, $1)")
		FROM_GATE "g.keep_engagement IS NOT NULL AND " NO_DIMENSION("'engagement'") FIRST_GATE,
	HINT_DIMENSION},
	{ERRCODE_UNDEFINED_OBJECT,
		GATE("asks for engagement, but there is no dimension \"engagement\"', g.name, g.stage, $1)")
		FROM_GATE "g.min_engagement IS NOT NULL AND " NO_DIMENSION("'engagement'") FIRST_GATE,
	HINT_DIMENSION},
	{ERRCODE_UNDEFINED_OBJECT,
		GATE("asks for fit, but there is no dimension \"fit\"', g.name, g.stage, $1)")
		FROM_GATE "g.min_fit IS NOT NULL AND " NO_DIMENSION("'fit'") FIRST_GATE,
	HINT_DIMENSION},
	{ERRCODE_UNDEFINED_OBJECT,
		GATE("asks for a grade, but fit has no bands', g.name, g.stage, $1)")
		FROM_GATE "g.min_grade IS NOT NULL AND NOT EXISTS (SELECT FROM lead_qualify.band AS b"
		" WHERE b.pipeline = $1 AND b.dimension = 'fit')" FIRST_GATE,
	"Insert the fit that each grade begins with into lead_qualify.band."},
	{ERRCODE_UNDEFINED_OBJECT,
		"SELECT pg_catalog.format('transition from \"%s\" to \"%s\" of pipeline \"%s\" names stage \"%s\", which does not exist',"
		" t.from_stage, t.to_stage, $1, n.stage) FROM lead_qualify.transition AS t,"
		" pg_catalog.unnest(ARRAY[t.from_stage, t.to_stage]) AS n(stage) WHERE t.pipeline = $1 AND "
		NO_STAGE("n.stage") " ORDER BY t.from_stage, t.to_stage, n.stage LIMIT 1",
	HINT_STAGE},
	{ERRCODE_AMBIGUOUS_PARAMETER,
		"SELECT pg_catalog.format('two gates of pipeline \"%s\" are both called \"%s %s\"', $1, g.stage, g.name)"
		" FROM lead_qualify.gate AS g JOIN lead_qualify.gate AS o"
		" ON o.stage || ' ' || o.name = g.stage || ' ' || g.name AND o.stage <> g.stage"
		" WHERE g.pipeline = $1 AND o.pipeline = $1" FIRST_GATE,
	"Stage and name together must differ; rename one of the gates."},

	{ERRCODE_UNDEFINED_OBJECT,
		"SELECT pg_catalog.format('band \"%s\" of pipeline \"%s\" divides dimension \"%s\", which does not exist',"
		" b.label, $1, b.dimension) FROM lead_qualify.band AS b WHERE b.pipeline = $1"
		" AND b.dimension <> 'total' AND " NO_DIMENSION("b.dimension")
		" ORDER BY b.dimension, b.label LIMIT 1",
	HINT_DIMENSION},
};

static void
check_rows(const Draft *draft)
{
	for (int i = 0; i < lengthof(draft_checks); i++)
	{
		const DraftCheck *check = &draft_checks[i];

		if (draft_query(check->query, draft->pipeline, NULL) > 0)
			ereport(ERROR,
					(errcode(check->code),
					 errmsg_internal("%s", result_text(SPI_tuptable, 0, 1)),
					 errhint("%s", check->hint)));
	}
}

/* bands of fit are grades */
static void
check_grades(const Draft *draft)
{
	uint64		n = draft_query("SELECT b.label FROM lead_qualify.band AS b"
								" WHERE b.pipeline = $1 AND b.dimension = 'fit' ORDER BY b.label",
								draft->pipeline, NULL);

	for (uint64 i = 0; i < n; i++)
	{
		char	   *label = result_text(SPI_tuptable, i, 1);

		if (lq_grade_parse(label) < 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("band \"%s\" of fit of pipeline \"%s\" is no grade",
							label, draft->pipeline),
					 errhint("Grades are A+, A, A-, B+ and so on to F.")));
	}
}

static void
gate_context(void *culprit)
{
	errcontext("%s", (const char *) culprit);
}

/* frameworks that gates name must exist and be of use */
static void
check_frameworks(const Draft *draft)
{
	uint64		n = draft_query("SELECT DISTINCT ON (g.framework) g.framework,"
								" pg_catalog.format('gate \"%s\" of stage \"%s\" of pipeline \"%s\"', g.name, g.stage, $1)"
								" FROM lead_qualify.gate AS g WHERE g.pipeline = $1 AND g.enabled"
								" AND g.framework IS NOT NULL ORDER BY g.framework, g.stage, g.name",
								draft->pipeline, NULL);
	SPITupleTable *table = SPI_tuptable;

	for (uint64 i = 0; i < n; i++)
	{
		char	   *framework = result_text(table, i, 1);
		ErrorContextCallback callback = {error_context_stack, gate_context, NULL};

		callback.arg = result_text(table, i, 2);
		error_context_stack = &callback;
		(void) lq_framework_get(framework, strlen(framework), false);
		error_context_stack = callback.previous;
	}
}

/* ----------------------------------------------------------------
 * Expressions
 * ----------------------------------------------------------------
 */

static void
append_json_key(StringInfo buf, const char *key)
{
	if (buf->len > 0)
		appendStringInfoString(buf, ", ");
	escape_json(buf, key);
	appendStringInfoString(buf, ": ");
}

static List *
add_columns(List *columns, List *more)
{
	ListCell   *lc;
	ListCell   *lk;

	foreach(lc, more)
	{
		bool		known = false;

		foreach(lk, columns)
			known = known || strcmp(lfirst(lk), lfirst(lc)) == 0;
		if (!known)
			columns = lappend(columns, lfirst(lc));
	}
	return columns;
}

/* in_list() may name only lists that have values: else it is a slip */
static void
check_lists(const Draft *draft, const DraftExpression *expression,
			const LqChecked *checked)
{
	ListCell   *lc;

	foreach(lc, checked->lists)
	{
		const char *list = lfirst(lc);

		if (draft_query("SELECT FROM lead_qualify.list AS l WHERE l.pipeline = $1"
						" AND l.list = $2 LIMIT 1",
						draft->pipeline, list) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_OBJECT),
					 errmsg("%s names list \"%s\", which has no values",
							expression->culprit, list),
					 errhint("Insert its values into lead_qualify.list, or name another list.")));
	}
}

/* a rule that times() or since_last() asks about */
static void
check_called_rule(const Draft *draft, const DraftExpression *expression,
				  const char *rule)
{
	if (draft_query("SELECT r.applies_to, r.enabled FROM lead_qualify.rule AS r"
					" WHERE r.pipeline = $1 AND r.name = $2",
					draft->pipeline, rule) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("%s asks for rule \"%s\", which does not exist",
						expression->culprit, rule),
				 errhint("times() and since_last() take the name of a rule; insert it into lead_qualify.rule, with 0 points if it is only a signal.")));
	if (strcmp(result_text(SPI_tuptable, 0, 1), "lead") == 0)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("%s asks how often rule \"%s\" matched, which applies to the lead",
						expression->culprit, rule),
				 errhint("times() and since_last() count activities; write the condition of that rule instead.")));
	if (result_text(SPI_tuptable, 0, 2)[0] != 't')
		ereport(NOTICE,
				(errmsg("%s asks for rule \"%s\", which is disabled and never matches",
						expression->culprit, rule)));
}

static void
check_called_dimension(const Draft *draft, const DraftExpression *expression,
					   const char *dimension)
{
	if (strcmp(dimension, "total") != 0 &&
		draft_query("SELECT FROM lead_qualify.dimension AS d"
					" WHERE d.pipeline = $1 AND d.dimension = $2",
					draft->pipeline, dimension) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("%s asks for points of dimension \"%s\", which does not exist",
						expression->culprit, dimension),
				 errhint(HINT_DIMENSION)));
}

/* check what a gate's condition calls, and note it for the model */
static void
add_calls(Draft *draft, const DraftExpression *expression, List *calls)
{
	StringInfo	buf = &draft->calls;
	ListCell   *lc;

	foreach(lc, calls)
	{
		const LqGateCall *call = lfirst(lc);

		if (call->function == LQ_CALL_POINTS)
			check_called_dimension(draft, expression, call->argument);
		else
			check_called_rule(draft, expression, call->argument);

		appendStringInfo(buf, "%s{\"stage\": ", buf->len > 0 ? ", " : "");
		escape_json(buf, expression->stage);
		appendStringInfoString(buf, ", \"gate\": ");
		escape_json(buf, expression->name);
		appendStringInfo(buf, ", \"function\": \"%s\", \"argument\": ",
						 call->function == LQ_CALL_TIMES ? "times" :
						 call->function == LQ_CALL_SINCE_LAST ? "since_last" : "points");
		escape_json(buf, call->argument);
		if (call->within > 0)
			appendStringInfo(buf, ", \"within_us\": " INT64_FORMAT, call->within);
		appendStringInfoChar(buf, '}');
	}
}

/*
 * Does an error only say that the expression is about another table's
 * columns?
 */
static bool
is_about_columns(int code)
{
	switch (code)
	{
		case ERRCODE_UNDEFINED_COLUMN:
		case ERRCODE_UNDEFINED_FUNCTION:
		case ERRCODE_AMBIGUOUS_FUNCTION:
		case ERRCODE_DATATYPE_MISMATCH:
		case ERRCODE_CANNOT_COERCE:
		case ERRCODE_WRONG_OBJECT_TYPE:
		case ERRCODE_INVALID_TEXT_REPRESENTATION:
		case ERRCODE_INVALID_DATETIME_FORMAT:
			return true;
		default:
			return false;
	}
}

/*
 * Check an expression over one of several activity tables.  NULL when it does
 * not fit that table's columns; *error is then what was wrong.
 */
static LqChecked *
try_source(const Draft *draft, const DraftExpression *expression,
		   const DraftSource *source, ErrorData **error)
{
	MemoryContext cxt = CurrentMemoryContext;
	ResourceOwner resowner = CurrentResourceOwner;
	LqChecked  *volatile checked = NULL;
	ErrorData  *volatile edata = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(cxt);
	PG_TRY();
	{
		checked = lq_expression_check(expression->text, source->rel,
									  expression->result_type, expression->use,
									  expression->culprit, draft->owner);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(cxt);
		edata = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(cxt);
	CurrentResourceOwner = resowner;

	if (edata != NULL && !is_about_columns(edata->sqlerrcode))
		ReThrowError(edata);
	*error = edata;
	return checked;
}

/* can an activity of this table be of the type that the rule wants? */
static bool
may_match(const DraftSource *source, const char *activity_type)
{
	return activity_type == NULL || source->type_value == NULL ||
		strcmp(source->type_value, activity_type) == 0;
}

/*
 * An expression over activities: it must fit the columns of at least one
 * table that can have them.  Where it fits none the first error stands.
 */
static void
check_activity(Draft *draft, const DraftExpression *expression)
{
	StringInfoData texts;
	ErrorData  *first_error = NULL;
	bool		any_may_match = false;

	initStringInfo(&texts);
	for (int i = 0; i < draft->nsources; i++)
		any_may_match = any_may_match ||
			(draft->sources[i].rel != NULL &&
			 may_match(&draft->sources[i], expression->activity_type));
	for (int i = 0; i < draft->nsources; i++)
	{
		DraftSource *source = &draft->sources[i];
		ErrorData  *error = NULL;
		LqChecked  *checked;

		if (source->rel == NULL ||
			(any_may_match && !may_match(source, expression->activity_type)))
			continue;
		checked = try_source(draft, expression, source, &error);
		if (checked == NULL)
		{
			if (first_error == NULL)
				first_error = error;
			continue;
		}
		check_lists(draft, expression, checked);
		source->columns = add_columns(source->columns, checked->columns);
		append_json_key(&texts, source->number);
		escape_json(&texts, checked->text);
	}
	if (texts.len == 0 && first_error != NULL)
		ReThrowError(first_error);
	append_json_key(&draft->expressions, expression->key);
	appendStringInfo(&draft->expressions, "{%s}", texts.data);
}

static void
check_lead(Draft *draft, const DraftExpression *expression)
{
	LqChecked  *checked = lq_expression_check(expression->text, draft->leads,
											  expression->result_type,
											  expression->use, expression->culprit,
											  draft->owner);

	check_lists(draft, expression, checked);
	if (expression->use == LQ_USE_GATE)
		add_calls(draft, expression, checked->calls);
	draft->lead_columns = add_columns(draft->lead_columns, checked->columns);
	append_json_key(&draft->expressions, expression->key);
	appendStringInfoString(&draft->expressions, "{\"leads\": ");
	escape_json(&draft->expressions, checked->text);
	appendStringInfoChar(&draft->expressions, '}');
}

/* every expression of an enabled row */
static const char expressions_query[] =
"SELECT e.key, e.culprit, e.text, e.use, e.type, e.stage, e.name FROM ("
"SELECT 'rule ' || r.name, pg_catalog.format('rule \"%s\" of pipeline \"%s\"', r.name, $1),"
" r.condition, r.applies_to, r.activity_type, NULL::pg_catalog.text, r.name"
" FROM lead_qualify.rule AS r WHERE r.pipeline = $1 AND r.enabled"
" UNION ALL "
"SELECT 'per_value ' || r.name, pg_catalog.format('rule \"%s\" of pipeline \"%s\"', r.name, $1),"
" r.per_value, 'value', r.activity_type, NULL, r.name"
" FROM lead_qualify.rule AS r WHERE r.pipeline = $1 AND r.enabled"
" UNION ALL "
"SELECT 'gate ' || g.stage || ' ' || g.name,"
" pg_catalog.format('gate \"%s\" of stage \"%s\" of pipeline \"%s\"', g.name, g.stage, $1),"
" g.condition, 'gate', NULL, g.stage, g.name"
" FROM lead_qualify.gate AS g WHERE g.pipeline = $1 AND g.enabled"
" UNION ALL "
"SELECT 'exclusion ' || x.name, pg_catalog.format('exclusion \"%s\" of pipeline \"%s\"', x.name, $1),"
" x.condition, 'lead', NULL, NULL, x.name"
" FROM lead_qualify.exclusion AS x WHERE x.pipeline = $1"
") AS e(key, culprit, text, use, type, stage, name)"
" WHERE e.text IS NOT NULL ORDER BY e.key COLLATE pg_catalog.\"C\"";

static void
check_expressions(Draft *draft)
{
	uint64		n = draft_query(expressions_query, draft->pipeline, NULL);
	SPITupleTable *table = SPI_tuptable;

	for (uint64 i = 0; i < n; i++)
	{
		DraftExpression expression = {0};
		char	   *use = result_text(table, i, 4);

		expression.key = result_text(table, i, 1);
		expression.culprit = result_text(table, i, 2);
		expression.text = result_text(table, i, 3);
		expression.activity_type = result_text(table, i, 5);
		expression.stage = result_text(table, i, 6);
		expression.name = result_text(table, i, 7);
		expression.result_type = strcmp(use, "value") == 0 ? TEXTOID : BOOLOID;
		expression.use = strcmp(use, "gate") == 0 ? LQ_USE_GATE :
			strcmp(use, "lead") == 0 ? LQ_USE_LEAD : LQ_USE_ACTIVITY;

		CHECK_FOR_INTERRUPTS();
		if (expression.use == LQ_USE_ACTIVITY)
			check_activity(draft, &expression);
		else
			check_lead(draft, &expression);
	}
}

/* ----------------------------------------------------------------
 * Freezing
 * ----------------------------------------------------------------
 */

static int
name_cmp(const ListCell *a, const ListCell *b)
{
	return strcmp(lfirst(a), lfirst(b));
}

static void
append_names(StringInfo buf, List *names)
{
	ListCell   *lc;

	list_sort(names, name_cmp);
	appendStringInfoChar(buf, '[');
	foreach(lc, names)
	{
		if (foreach_current_index(lc) > 0)
			appendStringInfoString(buf, ", ");
		escape_json(buf, lfirst(lc));
	}
	appendStringInfoChar(buf, ']');
}

/* what check_expressions() found, as JSON to be added to the draft's */
static char *
compiled_json(const Draft *draft)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfo(&buf, "{\"expressions\": {%s}, \"calls\": [%s], \"lead_columns\": ",
					 draft->expressions.data, draft->calls.data);
	append_names(&buf, draft->lead_columns);
	appendStringInfoString(&buf, ", \"activity_columns\": {");
	for (int i = 0; i < draft->nsources; i++)
	{
		appendStringInfo(&buf, "%s\"%s\": ", i > 0 ? ", " : "",
						 draft->sources[i].number);
		append_names(&buf, draft->sources[i].columns);
	}
	appendStringInfoString(&buf, "}}");
	return buf.data;
}

char *
lq_draft_freeze(const char *pipeline, Oid leads, const char *restored)
{
	Draft		draft = {.pipeline = pipeline};
	char	   *config;

	initStringInfo(&draft.expressions);
	initStringInfo(&draft.calls);
	draft.leads = table_open(leads, AccessShareLock);
	draft.owner = draft.leads->rd_rel->relowner;

	PushActiveSnapshot(GetTransactionSnapshot());
	open_sources(&draft);
	check_rows(&draft);
	check_grades(&draft);
	if (restored == NULL)
		check_frameworks(&draft);
	check_expressions(&draft);
	draft_query("SELECT lead_qualify.draft_config($1) || $2::pg_catalog.jsonb",
				pipeline, compiled_json(&draft));
	config = result_text(SPI_tuptable, 0, 1);
	if (restored != NULL)
	{
		draft_query("SELECT $1::pg_catalog.jsonb || pg_catalog.jsonb_build_object("
					"'frameworks', $2::pg_catalog.jsonb -> 'frameworks', "
					"'criteria', $2::pg_catalog.jsonb -> 'criteria')", config, restored);
		config = result_text(SPI_tuptable, 0, 1);
	}
	PopActiveSnapshot();
	close_relations(&draft);
	return config;
}
