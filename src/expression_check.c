/*
 * expression_check.c
 *		What a SQL expression of the configuration may hold.
 *
 * Nothing but the row may decide: no volatile function, no clock, no session,
 * no catalogs; so that a replay finds what the live engine found.  And because
 * an expression runs with the rights of the leads table's owner, its functions
 * must belong to PostgreSQL, to an extension of a superuser or, unless he is a
 * superuser, to the owner himself.
 *
 * times(), since_last(), points() and in_list() of our own schema are told
 * from functions of the same name elsewhere by their OIDs.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "common/int.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parse_node.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "condition.h"
#include "sql.h"

/* the functions that we treat specially */
typedef struct OurFunctions
{
	Oid			schema;
	Oid			times;
	Oid			since_last;
	Oid			points;
	Oid			in_list;
} OurFunctions;

typedef struct CheckContext
{
	ParseState *pstate;
	Relation	rel;
	LqExpressionUse use;
	Oid			owner;
	OurFunctions ours;
	int			location;		/* of the innermost node that has one */
	LqChecked  *checked;		/* NULL: do not collect */
} CheckContext;

static bool check_node(Node *node, void *context);

/*
 * STABLE functions of pg_catalog that ask the clock, the session or the
 * catalogs; those with the prefixes below do as well.  age() is one of them
 * only with one argument.
 */
static const char *const outside_names[] = {
	"col_description", "current_database", "current_query", "current_schema",
	"current_schemas", "current_setting", "current_user",
	"get_current_ts_config", "getpgusername", "mxid_age", "now",
	"obj_description", "row_security_active", "session_user",
	"shobj_description", "statement_timestamp", "transaction_timestamp",
	"version"
};

static const char *const outside_prefixes[] = {
	"database_to_xml", "has_", "inet_client_", "inet_server_", "pg_",
	"query_to_xml", "schema_to_xml", "table_to_xml", "txid_"
};

static const char *const inside_names[] = {
	"pg_collation_for", "pg_column_size", "pg_typeof"
};

static bool
in_names(const char *name, const char *const *names, int n)
{
	for (int i = 0; i < n; i++)
	{
		if (strcmp(name, names[i]) == 0)
			return true;
	}
	return false;
}

/* does this STABLE function of pg_catalog look at more than its arguments? */
static bool
looks_outside(const char *name, int nargs)
{
	if (strcmp(name, "age") == 0)
		return nargs == 1;
	if (in_names(name, inside_names, lengthof(inside_names)))
		return false;
	for (int i = 0; i < lengthof(outside_prefixes); i++)
	{
		if (strncmp(name, outside_prefixes[i],
					strlen(outside_prefixes[i])) == 0)
			return true;
	}
	return in_names(name, outside_names, lengthof(outside_names));
}

/* exact look-up, whatever the search_path and whoever asks */
static Oid
our_function(const char *name, Oid schema, int nargs, Oid type1, Oid type2)
{
	Oid			types[2] = {type1, type2};

	return GetSysCacheOid3(PROCNAMEARGSNSP, Anum_pg_proc_oid,
						   CStringGetDatum(name),
						   PointerGetDatum(buildoidvector(types, nargs)),
						   ObjectIdGetDatum(schema));
}

static void
find_our_functions(OurFunctions *ours)
{
	Oid			schema = lq_schema();

	ours->schema = schema;
	ours->times = our_function("times", schema, 2, TEXTOID, INTERVALOID);
	ours->since_last = our_function("since_last", schema, 1, TEXTOID, 0);
	ours->points = our_function("points", schema, 1, TEXTOID, 0);
	ours->in_list = our_function("in_list", schema, 2, TEXTOID, TEXTOID);
}

static bool
is_ours(const OurFunctions *ours, Oid function)
{
	return function == ours->times || function == ours->since_last ||
		function == ours->points || function == ours->in_list;
}

bool
lq_interval_length(const Interval *interval, int64 *microseconds)
{
	int64		days = (int64) interval->month * DAYS_PER_MONTH + interval->day;
	int64		length;

	/* infinite intervals (17 and later) hold extremes and overflow here */
	return !pg_mul_s64_overflow(days, USECS_PER_DAY, &length) &&
		!pg_add_s64_overflow(length, interval->time, microseconds);
}

/* ----------
 * Rejecting what an expression may not hold
 * ----------
 */
static void
reject(const CheckContext *context, int code, char *message)
{
	ereport(ERROR,
			(errcode(code),
			 errmsg_internal("%s", message),
			 parser_errposition(context->pstate, context->location)));
}

/* functions whose author is trusted with the owner's rights */
static bool
function_is_trusted(Oid function, Form_pg_proc form, Oid owner)
{
	if (isAnyTempNamespace(form->pronamespace))
		return false;
	if (!superuser_arg(owner) && form->proowner == owner)
		return true;

	/* whoever owns an extension may add functions to it: ask for their owner */
	return superuser_arg(form->proowner) &&
		(form->pronamespace == PG_CATALOG_NAMESPACE ||
		 OidIsValid(getExtensionOfObject(ProcedureRelationId, function)));
}

/* check_functions_in_node() callback; always false, or an error */
static bool
check_function(Oid function, void *arg)
{
	CheckContext *context = arg;
	HeapTuple	tuple;
	Form_pg_proc form;

	if (is_ours(&context->ours, function))
		return false;

	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u", function);
	form = (Form_pg_proc) GETSTRUCT(tuple);

	if (form->provolatile == PROVOLATILE_VOLATILE)
		reject(context, ERRCODE_INVALID_OBJECT_DEFINITION,
			   psprintf(_("function %s is volatile"),
						format_procedure(function)));
	if (form->pronamespace == PG_CATALOG_NAMESPACE &&
		form->provolatile == PROVOLATILE_STABLE &&
		looks_outside(NameStr(form->proname), form->pronargs))
		reject(context, ERRCODE_INVALID_OBJECT_DEFINITION,
			   psprintf(_("function %s asks the clock, the session or the catalogs"),
						format_procedure(function)));
	if (form->pronamespace == context->ours.schema &&
		form->provolatile != PROVOLATILE_IMMUTABLE)
		reject(context, ERRCODE_INVALID_OBJECT_DEFINITION,
			   psprintf(_("function %s reads tables"),
						format_procedure(function)));
	if (!function_is_trusted(function, form, context->owner))
		reject(context, ERRCODE_INSUFFICIENT_PRIVILEGE,
			   psprintf(superuser_arg(context->owner) ?
						_("function %s belongs neither to PostgreSQL nor to an extension of a superuser") :
						_("function %s belongs neither to PostgreSQL nor to an extension of a superuser nor to the owner of the leads table"),
						format_procedure_qualified(function)));

	ReleaseSysCache(tuple);
	return false;
}

/* the constraints of a domain are code of its owner */
static void
check_domain(const CheckContext *context, Oid type)
{
	HeapTuple	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for type %u", type);
	owner = ((Form_pg_type) GETSTRUCT(tuple))->typowner;
	ReleaseSysCache(tuple);

	if (owner != context->owner && !superuser_arg(owner))
		reject(context, ERRCODE_INSUFFICIENT_PRIVILEGE,
			   psprintf(_("domain %s belongs neither to a superuser nor to the owner of the leads table"),
						format_type_be(type)));
}

/* value of an argument that must be a literal; NULL if it is null */
static Const *
literal_argument(const CheckContext *context, List *args, int n,
				 const char *function)
{
	Node	   *arg = list_nth(args, n);

	while (IsA(arg, RelabelType))
		arg = (Node *) ((RelabelType *) arg)->arg;
	if (!IsA(arg, Const))
		reject(context, ERRCODE_INVALID_OBJECT_DEFINITION,
			   psprintf(_("argument %d of %s() must be a constant"),
						n + 1, function));
	return ((Const *) arg)->constisnull ? NULL : (Const *) arg;
}

static char *
literal_name(const CheckContext *context, List *args, const char *function)
{
	Const	   *literal = literal_argument(context, args, 0, function);

	if (literal == NULL)
		reject(context, ERRCODE_NULL_VALUE_NOT_ALLOWED,
			   psprintf(_("argument 1 of %s() must not be null"), function));
	return TextDatumGetCString(literal->constvalue);
}

static int64
literal_within(const CheckContext *context, List *args)
{
	Const	   *literal = literal_argument(context, args, 1, "times");
	int64		within;

	if (literal == NULL)
		return 0;
	if (!lq_interval_length(DatumGetIntervalP(literal->constvalue), &within) ||
		within <= 0)
		reject(context, ERRCODE_INVALID_PARAMETER_VALUE,
			   _("the interval given to times() must be positive and finite"));
	return within;
}

static void
check_our_call(CheckContext *context, Oid function, List *args)
{
	const OurFunctions *ours = &context->ours;
	LqGateCall *call;

	if (function == ours->in_list)
	{
		char	   *list = literal_name(context, args, "in_list");

		if (context->checked)
			context->checked->lists = lappend(context->checked->lists, list);
		return;
	}
	if (context->use != LQ_USE_GATE)
		reject(context, ERRCODE_INVALID_OBJECT_DEFINITION,
			   _("functions times(), since_last() and points() belong in the conditions of gates"));

	call = palloc0(sizeof(LqGateCall));
	if (function == ours->times)
	{
		call->function = LQ_CALL_TIMES;
		call->argument = literal_name(context, args, "times");
		call->within = literal_within(context, args);
	}
	else if (function == ours->since_last)
	{
		call->function = LQ_CALL_SINCE_LAST;
		call->argument = literal_name(context, args, "since_last");
	}
	else
	{
		call->function = LQ_CALL_POINTS;
		call->argument = literal_name(context, args, "points");
	}
	if (context->checked)
		context->checked->calls = lappend(context->checked->calls, call);
}

/*
 * Named arguments in their places and defaults filled in, as the planner will
 * do: a default may be volatile too.
 */
static void
check_call(CheckContext *context, FuncExpr *call)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID,
										ObjectIdGetDatum(call->funcid));
	List	   *args;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u", call->funcid);
	args = expand_function_arguments(copyObject(call->args), false,
									 call->funcresulttype, tuple);
	ReleaseSysCache(tuple);

	if (is_ours(&context->ours, call->funcid))
		check_our_call(context, call->funcid, args);
	expression_tree_walker((Node *) args, check_node, context);
}

static void
check_var(CheckContext *context, const Var *var)
{
	ListCell   *cell;
	char	   *name;

	if (var->varattno <= 0)
		reject(context, ERRCODE_INVALID_COLUMN_REFERENCE,
			   var->varattno == 0 ?
			   _("whole rows are not allowed") :
			   _("system columns are not allowed"));
	/* 18's: a trigger finds nothing in them */
	if (TupleDescAttr(RelationGetDescr(context->rel), var->varattno - 1)->attgenerated == 'v')
		reject(context, ERRCODE_FEATURE_NOT_SUPPORTED,
			   _("virtual generated columns are not allowed"));
	if (context->checked == NULL)
		return;

	name = NameStr(TupleDescAttr(RelationGetDescr(context->rel),
								 var->varattno - 1)->attname);
	foreach(cell, context->checked->columns)
	{
		if (strcmp(lfirst(cell), name) == 0)
			return;
	}
	context->checked->columns = lappend(context->checked->columns,
										pstrdup(name));
}

/* always false, or an error */
static bool
check_node(Node *node, void *arg)
{
	CheckContext *context = arg;
	int			outer = context->location;
	int			location;

	if (node == NULL)
		return false;
	check_stack_depth();
	location = exprLocation(node);
	if (location >= 0)
		context->location = location;

	switch (nodeTag(node))
	{
		case T_Var:
			check_var(context, (Var *) node);
			break;
		case T_SQLValueFunction:
			reject(context, ERRCODE_INVALID_OBJECT_DEFINITION,
				   _("the clock and the session may not be asked"));
			break;
		case T_NextValueExpr:
		case T_CurrentOfExpr:
		case T_Param:
		case T_SubLink:
		case T_Aggref:
		case T_WindowFunc:
			/* the parser lets none of these through */
			elog(ERROR, "unexpected node type: %d", (int) nodeTag(node));
			break;
		case T_CoerceToDomain:
			check_domain(context, ((CoerceToDomain *) node)->resulttype);
			break;
		default:
			break;
	}

	check_functions_in_node(node, check_function, context);
	if (IsA(node, FuncExpr))
		check_call(context, (FuncExpr *) node);
	else
		expression_tree_walker(node, check_node, context);
	context->location = outer;
	return false;
}

/*
 * Raise an error unless "expr", just parsed over the columns of rel, may be
 * used.  Columns, calls and lists are added to "checked" if that is not NULL.
 */
void
lq_expression_inspect(ParseState *pstate, Node *expr, Relation rel,
					  LqExpressionUse use, Oid owner, LqChecked *checked)
{
	CheckContext context = {0};

	context.pstate = pstate;
	context.rel = rel;
	context.use = use;
	context.owner = owner;
	context.location = -1;
	context.checked = checked;
	find_our_functions(&context.ours);
	check_node(expr, &context);
}

/* ----------
 * Whose rights it takes
 * ----------
 */

/* types whose text form depends on no parameter */
static bool
prints_plainly(Oid type)
{
	switch (type)
	{
		case BOOLOID:
		case INT2OID:
		case INT4OID:
		case INT8OID:
		case NUMERICOID:
		case TEXTOID:
		case VARCHAROID:
		case BPCHAROID:
		case NAMEOID:
		case UUIDOID:
		case JSONOID:
		case JSONBOID:
			return true;
		default:
			return type_is_enum(type);
	}
}

/* check_functions_in_node() callback */
static bool
function_needs_owner(Oid function, void *ours)
{
	if (is_ours(ours, function))
		return false;
	return func_volatile(function) != PROVOLATILE_IMMUTABLE ||
		get_func_namespace(function) != PG_CATALOG_NAMESPACE;
}

/* true unless all that the expression holds is known to be harmless */
static bool
needs_owner(Node *node, void *ours)
{
	CoerceViaIO *cast;

	if (node == NULL)
		return false;
	switch (nodeTag(node))
	{
		case T_Var:
		case T_Const:
		case T_FuncExpr:
		case T_OpExpr:
		case T_DistinctExpr:
		case T_NullIfExpr:
		case T_ScalarArrayOpExpr:
		case T_BoolExpr:
		case T_RelabelType:
		case T_CaseExpr:
		case T_CaseWhen:
		case T_CaseTestExpr:
		case T_ArrayExpr:
		case T_CoalesceExpr:
		case T_MinMaxExpr:
		case T_NullTest:
		case T_BooleanTest:
		case T_SubscriptingRef:
		case T_List:
			if (check_functions_in_node(node, function_needs_owner, ours))
				return true;
			break;
		case T_CoerceViaIO:
			/* its type I/O functions count as stable for some harmless types */
			cast = (CoerceViaIO *) node;
			if (!prints_plainly(exprType((Node *) cast->arg)) ||
				!prints_plainly(cast->resulttype))
				return true;
			break;
		default:
			return true;
	}
	return expression_tree_walker(node, needs_owner, ours);
}

/*
 * Can the outcome of a planned expression depend on who evaluates it and on
 * his settings?
 */
bool
lq_expression_needs_owner(Node *expr)
{
	OurFunctions ours;

	find_our_functions(&ours);
	return needs_owner(expr, &ours);
}
