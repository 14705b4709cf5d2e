/*
 * expression.c
 *		SQL expressions of the configuration: parse, deparse, plan.
 *
 * An expression is what a CHECK constraint could hold: one row in, one value
 * out.  It is text that one person writes and that later runs with the rights
 * of the leads table's owner, in every transaction that inserts an activity.
 * Hence, at publish:
 *
 * - it is parsed as a bare expression, so that no text can close it and begin
 *	 something else;
 * - names are resolved under the publisher's search_path, and the expression
 *	 is deparsed with every name qualified and parsed again, to be sure that
 *	 the text frozen in the version means what was checked;
 * - it may depend on nothing but the row (expression_check.c).
 *
 * The check is repeated when the frozen text is compiled, because since then
 * someone may have put another function under a name.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "parser/parse_coerce.h"
#include "parser/parse_collate.h"
#include "parser/parse_expr.h"
#include "parser/parse_node.h"
#include "parser/parse_relation.h"
#include "parser/parser.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/plancache.h"
#include "utils/ruleutils.h"

#include "compat.h"
#include "condition.h"
#include "sql.h"

#define LQ_EXCERPT 100			/* characters of a text shown in an error */

/* what was being parsed when an error came up */
typedef struct Source
{
	const char *text;
	ParseState *pstate;
} Source;

static Node *
only_target(List *raw)
{
	SelectStmt *stmt = (SelectStmt *) linitial_node(RawStmt, raw)->stmt;
	SelectStmt *plain = makeNode(SelectStmt);
	ResTarget  *target;

	plain->targetList = stmt->targetList;
	if (stmt->targetList == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("the expression is empty")));
	target = linitial_node(ResTarget, stmt->targetList);

	/* whatever else a SELECT can have makes it differ from a plain one */
	if (list_length(stmt->targetList) != 1 || target->name != NULL ||
		!equal(stmt, plain))
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("there is more than one plain expression")));
	if (IsA(target->val, ColumnRef) &&
		IsA(llast(((ColumnRef *) target->val)->fields), A_Star))
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("\"*\" is not an expression")));
	return target->val;
}

/* conditions must be boolean; anything can be cast to the other types */
static Node *
coerce_result(ParseState *pstate, Node *expr, Oid result_type)
{
	Oid			type = exprType(expr);
	bool		condition = result_type == BOOLOID;
	Node	   *result;

	result = coerce_to_target_type(pstate, expr, type, result_type, -1,
								   condition ? COERCION_ASSIGNMENT : COERCION_EXPLICIT,
								   condition ? COERCE_IMPLICIT_CAST : COERCE_EXPLICIT_CAST,
								   -1);
	if (result == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("the expression must be of type %s, not %s",
						format_type_be(result_type), format_type_be(type)),
				 parser_errposition(pstate, exprLocation(expr))));
	return result;
}

/* text -> expression over the columns of rel, under the present search_path */
static Node *
parse_expression(Source *source, const char *text, Relation rel,
				 Oid result_type)
{
	ParseState *pstate = make_parsestate(NULL);
	ParseNamespaceItem *columns;
	Node	   *expr;

	source->text = text;
	source->pstate = pstate;
	pstate->p_sourcetext = text;
	expr = only_target(raw_parser(text, RAW_PARSE_PLPGSQL_EXPR));

	columns = addRangeTableEntryForRelation(pstate, rel, AccessShareLock,
											NULL, false, false);
	addNSItemToQuery(pstate, columns, false, true, true);
	expr = transformExpr(pstate, expr, EXPR_KIND_CHECK_CONSTRAINT);
	expr = coerce_result(pstate, expr, result_type);
	assign_expr_collations(pstate, expr);
	return expr;
}

/*
 * Parameters that change what a text means or how a constant is written.  To
 * be set both where a text is deparsed and where it is parsed again.
 */
static void
set_text_options(void)
{
	lq_set_safe_path();
	lq_set_option("standard_conforming_strings", "on");
	lq_set_option("transform_null_equals", "off");
	lq_set_option("quote_all_identifiers", "off");
	lq_set_option("DateStyle", "ISO, MDY");
	lq_set_option("IntervalStyle", "postgres");
	lq_set_option("extra_float_digits", "1");
}

static bool
add_function(Oid function, void *functions)
{
	List	  **list = functions;

	*list = list_append_unique_oid(*list, function);
	return false;
}

static bool
collect_functions(Node *node, void *functions)
{
	if (node == NULL)
		return false;
	check_functions_in_node(node, add_function, functions);
	return expression_tree_walker(node, collect_functions, functions);
}

static bool
same_functions(Node *a, Node *b)
{
	List	   *of_a = NIL;
	List	   *of_b = NIL;

	collect_functions(a, &of_a);
	collect_functions(b, &of_b);
	return list_difference_oid(of_a, of_b) == NIL &&
		list_difference_oid(of_b, of_a) == NIL;
}

/*
 * The expression as text with every name qualified.  Parsed again it must be
 * the same expression.  A cast of an array constructor comes back distributed
 * over its elements and is stable from then on, hence a second attempt as long
 * as the same functions are called.  What has no way to name its operator (IS
 * DISTINCT FROM, NULLIF, CASE x WHEN with operators outside pg_catalog) fails.
 */
static char *
deparse_qualified(Source *source, Node *expr, Relation rel, Oid result_type)
{
	List	   *columns = deparse_context_for(RelationGetRelationName(rel),
											  RelationGetRelid(rel));

	for (int attempt = 0; attempt < 3; attempt++)
	{
		char	   *text = deparse_expression(expr, columns, false, false);
		Node	   *again = parse_expression(source, text, rel, result_type);

		if (equal(expr, again))
			return text;
		if (!same_functions(expr, again))
			break;
		expr = again;
	}
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("the expression cannot be written with qualified names"),
			 errhint("Write operators of types outside pg_catalog one by one, as in a = b, instead of IS DISTINCT FROM, NULLIF or CASE x WHEN.")));
	return NULL;				/* keep compiler quiet */
}

/* search_path, with our schema behind it for times() and its kin */
static void
append_our_schema(void)
{
	const char *path = namespace_search_path;

	if (path == NULL || strspn(path, " \t") == strlen(path))
		lq_set_option("search_path", "lead_qualify");
	else
		lq_set_option("search_path", psprintf("%s, lead_qualify", path));
}

static LqChecked *
check_text(Source *source, const char *text, Relation rel, Oid result_type,
		   LqExpressionUse use, Oid owner)
{
	LqChecked  *checked = palloc0(sizeof(LqChecked));
	Node	   *expr;
	int			level;

	level = NewGUCNestLevel();
	append_our_schema();
	expr = parse_expression(source, text, rel, result_type);
	AtEOXact_GUC(false, level);

	lq_expression_inspect(source->pstate, expr, rel, use, owner, checked);

	level = NewGUCNestLevel();
	set_text_options();
	checked->text = deparse_qualified(source, expr, rel, result_type);
	AtEOXact_GUC(false, level);
	return checked;
}

/* ----------
 * Errors
 * ----------
 */

/* a message as a sentence, without the full stop */
char *
lq_error_sentence(const char *message)
{
	char	   *sentence = pstrdup(message ? message : "");

	/* leave a first word alone that is no plain lower-case one */
	if (sentence[0] >= 'a' && sentence[0] <= 'z')
		sentence[0] = pg_ascii_toupper((unsigned char) sentence[0]);
	return sentence;
}

/* the part of text around a position, both in characters from 1 */
static char *
excerpt(const char *text, int position)
{
	const char *start = text;
	int			skip = Max(position - LQ_EXCERPT / 2, 0);
	int			len;
	int			shown;

	if (pg_mbstrlen(text) <= LQ_EXCERPT)
		return pstrdup(text);
	while (skip-- > 0 && *start != '\0')
		start += pg_mblen(start);
	len = strlen(start);
	shown = pg_mbcharcliplen(start, len, LQ_EXCERPT);
	return psprintf("%s%.*s%s", start > text ? "..." : "", shown, start,
					shown < len ? "..." : "");
}

/*
 * No subtransaction is needed around the parser, because the error goes on;
 * only its words change.
 */
static void
report_invalid(ErrorData *edata, const char *text, const char *culprit,
			   Oid result_type)
{
	StringInfoData detail;

	initStringInfo(&detail);
	appendStringInfoString(&detail, lq_error_sentence(edata->message));
	if (edata->cursorpos > 0)
		appendStringInfo(&detail, _(", at character %d of \"%s\"."),
						 edata->cursorpos, excerpt(text, edata->cursorpos));
	else
		appendStringInfo(&detail, ": \"%s\".", excerpt(text, 1));
	if (edata->detail)
		appendStringInfo(&detail, " %s", edata->detail);

	ereport(ERROR,
			(errcode(edata->sqlerrcode),
			 result_type == BOOLOID ?
			 errmsg("condition of %s is not valid", culprit) :
			 errmsg("expression of %s is not valid", culprit),
			 errdetail_internal("%s", detail.data),
			 edata->hint ? errhint("%s", edata->hint) :
			 errhint("Write one SQL expression over the columns of the row, as a CHECK constraint could hold.")));
}

LqChecked *
lq_expression_check(const char *text, Relation rel, Oid result_type,
					LqExpressionUse use, const char *culprit, Oid owner)
{
	MemoryContext cxt = CurrentMemoryContext;
	Source		source = {text, NULL};
	LqChecked  *checked = NULL;
	int			userid_context;
	Oid			userid;

	/* the parser evaluates constants: not with more rights than the owner's */
	GetUserIdAndSecContext(&userid, &userid_context);
	SetUserIdAndSecContext(owner, userid_context | SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_RESTRICTED_OPERATION);
	PG_TRY();
	{
		checked = check_text(&source, text, rel, result_type, use, owner);
	}
	PG_CATCH();
	{
		ErrorData  *edata;

		SetUserIdAndSecContext(userid, userid_context);
		if (!lq_error_blames_expression(geterrcode()))
			PG_RE_THROW();
		MemoryContextSwitchTo(cxt);
		edata = CopyErrorData();
		FlushErrorState();
		report_invalid(edata, source.text, culprit, result_type);
	}
	PG_END_TRY();
	SetUserIdAndSecContext(userid, userid_context);
	return checked;
}

/*
 * Does an error tell something about the expression and its row?  Others
 * (cancelled, out of memory, deadlock, the disk) would not come up a second
 * time and must not be taken for an answer.
 */
bool
lq_error_blames_expression(int sqlerrcode)
{
	switch (ERRCODE_TO_CATEGORY(sqlerrcode))
	{
		case ERRCODE_TO_CATEGORY(ERRCODE_TRANSACTION_ROLLBACK):
		case ERRCODE_TO_CATEGORY(ERRCODE_INSUFFICIENT_RESOURCES):
		case ERRCODE_TO_CATEGORY(ERRCODE_OPERATOR_INTERVENTION):
		case ERRCODE_TO_CATEGORY(ERRCODE_SYSTEM_ERROR):
			return false;
	}
	switch (sqlerrcode)
	{
		case ERRCODE_LOCK_NOT_AVAILABLE:
		case ERRCODE_ASSERT_FAILURE:
		case ERRCODE_DATA_CORRUPTED:
		case ERRCODE_INDEX_CORRUPTED:
			return false;
	}
	return true;
}

/*
 * Parse, check and plan a qualified text for the columns of rel.  To be called
 * as the owner, in a short-lived memory context; the result lives until
 * FreeCachedExpression().  *as_owner tells whether evaluating it needs the
 * owner's rights and the pipeline's settings.
 */
CachedExpression *
lq_expression_compile(const char *text, Relation rel, Oid result_type,
					  Oid owner, bool *as_owner)
{
	Source		source = {text, NULL};
	CachedExpression *compiled;
	Node	   *expr;
	int			level = NewGUCNestLevel();

	set_text_options();
	expr = parse_expression(&source, text, rel, result_type);
	AtEOXact_GUC(false, level);

	/* publish has seen to it that only gates ask for times() and its kin */
	lq_expression_inspect(source.pstate, expr, rel, LQ_USE_GATE, owner, NULL);

	compiled = GetCachedExpression(expr);
	*as_owner = lq_expression_needs_owner(compiled->expr);
	return compiled;
}

/* ----------
 * Parts, for explain
 * ----------
 */

typedef struct SubjectContext
{
	List	   *columns;		/* deparse context */
	Oid			schema;
	List	   *parts;			/* of LqPart * */
} SubjectContext;

/* the text without what only qualifies it */
static char *
readable(const char *text)
{
	static const char *const noise[] = {"lead_qualify.", "'::text"};
	StringInfoData buf;

	initStringInfo(&buf);
	while (*text != '\0')
	{
		if (strncmp(text, noise[0], strlen(noise[0])) == 0)
			text += strlen(noise[0]);
		else if (strncmp(text, noise[1], strlen(noise[1])) == 0)
		{
			appendStringInfoChar(&buf, '\'');
			text += strlen(noise[1]);
		}
		else
			appendStringInfoChar(&buf, *text++);
	}
	return buf.data;
}

static LqPart *
make_part(Node *node, List *columns)
{
	LqPart	   *part = palloc0(sizeof(LqPart));

	part->text = deparse_expression(node, columns, false, false);
	part->title = readable(part->text);
	return part;
}

/* columns, and calls of times() and its kin, each once */
static bool
collect_subjects(Node *node, void *arg)
{
	SubjectContext *context = arg;
	bool		call;

	if (node == NULL)
		return false;
	call = IsA(node, FuncExpr) &&
		get_func_namespace(((FuncExpr *) node)->funcid) == context->schema &&
		((FuncExpr *) node)->funcresulttype != BOOLOID;
	if (IsA(node, Var) || call)
	{
		LqPart	   *part = make_part(node, context->columns);
		ListCell   *lc;

		foreach(lc, context->parts)
		{
			if (strcmp(((LqPart *) lfirst(lc))->text, part->text) == 0)
				return false;
		}
		context->parts = lappend(context->parts, part);
		return false;
	}
	return expression_tree_walker(node, collect_subjects, context);
}

typedef struct PartsContext
{
	const char *text;
	Relation	rel;
	Oid			owner;
	List	   *parts;
} PartsContext;

static void
find_parts(void *arg)
{
	PartsContext *context = arg;
	Relation	rel = context->rel;
	Source		source = {context->text, NULL};
	ListCell   *lc;
	Node	   *expr;
	int			level = NewGUCNestLevel();
	int			userid_context;
	Oid			userid;

	GetUserIdAndSecContext(&userid, &userid_context);
	SetUserIdAndSecContext(context->owner, userid_context | SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_RESTRICTED_OPERATION);
	set_text_options();
	expr = parse_expression(&source, context->text, rel, BOOLOID);
	foreach(lc, make_ands_implicit((Expr *) expr))
	{
		SubjectContext subjects = {NIL, lq_schema(), NIL};
		LqPart	   *part;

		subjects.columns = deparse_context_for(RelationGetRelationName(rel),
											   RelationGetRelid(rel));
		part = make_part(lfirst(lc), subjects.columns);
		collect_subjects(lfirst(lc), &subjects);
		part->subjects = subjects.parts;
		context->parts = lappend(context->parts, part);
	}
	AtEOXact_GUC(false, level);
	SetUserIdAndSecContext(userid, userid_context);
}

/*
 * The top-level AND parts of a qualified condition, each with the columns and
 * calls that it looks at: a List of LqPart *.  A condition that no longer
 * parses, because a column is gone, is one part.
 */
List *
lq_expression_parts(const char *text, Relation rel, Oid owner)
{
	PartsContext context = {text, rel, owner, NIL};

	if (!lq_try(find_parts, &context))
	{
		LqPart	   *part = palloc0(sizeof(LqPart));

		part->text = pstrdup(text);
		part->title = readable(text);
		return list_make1(part);
	}
	return context.parts;
}
