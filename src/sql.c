/*
 * sql.c
 *		Running SQL text from C: formatting, results, whose rights.
 *
 * Statements are written with qualified names and run under search_path =
 * pg_catalog, pg_temp, so that nothing an application or an attacker puts
 * into another schema can take the place of what is meant.  Identifiers and
 * literals reach a text only through %I and %L.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/indexing.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_namespace.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "compat.h"
#include "condition.h"
#include "sql.h"

#define LQ_SAFE_PATH "pg_catalog, pg_temp"

static void
append_literal(StringInfo buf, const char *value)
{
	char	   *quoted;

	if (value == NULL)
	{
		appendStringInfoString(buf, "NULL");
		return;
	}
	quoted = quote_literal_cstr(value);
	appendStringInfoString(buf, quoted);
	pfree(quoted);
}

static void
append_va(StringInfo buf, const char *fmt, va_list args)
{
	for (const char *p = fmt; *p != '\0'; p++)
	{
		if (*p != '%')
		{
			appendStringInfoChar(buf, *p);
			continue;
		}
		switch (*++p)
		{
			case 's':
				appendStringInfoString(buf, va_arg(args, const char *));
				break;
			case 'I':
				appendStringInfoString(buf,
									   quote_identifier(va_arg(args,
															   const char *)));
				break;
			case 'L':
				append_literal(buf, va_arg(args, const char *));
				break;
			case 'd':
				appendStringInfo(buf, "%d", va_arg(args, int));
				break;
			case '%':
				appendStringInfoChar(buf, '%');
				break;
			default:
				elog(ERROR, "unrecognized conversion in SQL format \"%s\"",
					 fmt);
		}
	}
}

void
lq_append(StringInfo buf, const char *fmt,...)
{
	va_list		args;

	va_start(args, fmt);
	append_va(buf, fmt, args);
	va_end(args);
}

char *
lq_format(const char *fmt,...)
{
	StringInfoData buf;
	va_list		args;

	initStringInfo(&buf);
	va_start(args, fmt);
	append_va(&buf, fmt, args);
	va_end(args);
	return buf.data;
}

/* SPI adds the statement to the context of an error by itself */
static void
execute(const char *sql, long limit)
{
	int			code = SPI_execute(sql, false, limit);

	if (code < 0)
		elog(ERROR, "could not run \"%s\": %s", sql,
			 SPI_result_code_string(code));
}

uint64
lq_run(const char *fmt,...)
{
	StringInfoData buf;
	va_list		args;

	initStringInfo(&buf);
	va_start(args, fmt);
	append_va(&buf, fmt, args);
	va_end(args);

	execute(buf.data, 0);
	pfree(buf.data);
	return SPI_processed;
}

char *
lq_run_text(const char *fmt,...)
{
	StringInfoData buf;
	va_list		args;
	char	   *result = NULL;

	initStringInfo(&buf);
	va_start(args, fmt);
	append_va(&buf, fmt, args);
	va_end(args);

	execute(buf.data, 1);
	pfree(buf.data);
	if (SPI_processed > 0 && SPI_tuptable != NULL)
		result = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	return result;
}

void
lq_set_option(const char *name, const char *value)
{
	if (set_config_option(name, value, PGC_USERSET, PGC_S_SESSION,
						  GUC_ACTION_SAVE, true, 0, false) <= 0)
		elog(ERROR, "could not set parameter \"%s\" to \"%s\"", name, value);
}

void
lq_set_safe_path(void)
{
	if (namespace_search_path == NULL ||
		strcmp(namespace_search_path, LQ_SAFE_PATH) != 0)
		lq_set_option("search_path", LQ_SAFE_PATH);
}

/*
 * An error in between needs no lq_return(): the end of the (sub)transaction
 * restores user and parameters.
 */
void
lq_become(LqUser *saved, Oid userid)
{
	GetUserIdAndSecContext(&saved->userid, &saved->context);
	SetUserIdAndSecContext(userid,
						   saved->context | SECURITY_LOCAL_USERID_CHANGE);
	saved->guc_level = NewGUCNestLevel();
	lq_set_safe_path();
}

void
lq_return(const LqUser *saved)
{
	AtEOXact_GUC(false, saved->guc_level);
	SetUserIdAndSecContext(saved->userid, saved->context);
}

Oid
lq_schema(void)
{
	return get_namespace_oid("lead_qualify", false);
}

static Oid
schema_owner(Oid schema)
{
	HeapTuple	tuple = SearchSysCache1(NAMESPACEOID, ObjectIdGetDatum(schema));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for schema %u", schema);
	owner = ((Form_pg_namespace) GETSTRUCT(tuple))->nspowner;
	ReleaseSysCache(tuple);
	return owner;
}

/*
 * The owner of the extension; of its schema where the functions were created
 * without CREATE EXTENSION.  The schema may be older than the extension and
 * belong to someone else, so the extension's row comes first.
 */
Oid
lq_extension_owner(void)
{
	Oid			extension = get_extension_oid("lead_qualify", true);
	Oid			owner = InvalidOid;
	Relation	rel;
	SysScanDesc scan;
	ScanKeyData key;
	HeapTuple	tuple;

	if (!OidIsValid(extension))
		return schema_owner(lq_schema());

	rel = table_open(ExtensionRelationId, AccessShareLock);
	ScanKeyInit(&key, Anum_pg_extension_oid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(extension));
	scan = systable_beginscan(rel, ExtensionOidIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
		owner = ((Form_pg_extension) GETSTRUCT(tuple))->extowner;
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	if (!OidIsValid(owner))
		elog(ERROR, "could not find tuple for extension %u", extension);
	return owner;
}

bool
lq_try(void (*body) (void *arg), void *arg)
{
	MemoryContext cxt = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	volatile bool done = false;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(cxt);
	PG_TRY();
	{
		body(arg);
		ReleaseCurrentSubTransaction();
		done = true;
	}
	PG_CATCH();
	{
		ErrorData  *edata;

		MemoryContextSwitchTo(cxt);
		edata = CopyErrorData();
		FlushErrorState();
		/* in any case: someone further up may catch it and go on */
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(cxt);
		CurrentResourceOwner = owner;
		if (!lq_error_blames_expression(edata->sqlerrcode))
			ReThrowError(edata);
		FreeErrorData(edata);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(cxt);
	CurrentResourceOwner = owner;
	return done;
}

Oid
lq_type_oid(const char *name)
{
	return GetSysCacheOid2(TYPENAMENSP, Anum_pg_type_oid,
						   CStringGetDatum(name), ObjectIdGetDatum(lq_schema()));
}

/* number of a column of one of our own tables; columns may be added by upgrades */
int
lq_column_number(Relation rel, const char *name)
{
	int			attnum = SPI_fnumber(RelationGetDescr(rel), name);

	if (attnum <= 0)
		elog(ERROR, "column \"%s\" of \"lead_qualify.%s\" is missing",
			 name, RelationGetRelationName(rel));
	return attnum;
}

Datum
lq_column(Relation rel, HeapTuple tuple, const char *name, bool *isnull)
{
	return heap_getattr(tuple, lq_column_number(rel, name), RelationGetDescr(rel), isnull);
}

/* NULL if it is null */
char *
lq_column_text(Relation rel, HeapTuple tuple, const char *name)
{
	bool		isnull;
	Datum		value = lq_column(rel, tuple, name, &isnull);

	return isnull ? NULL : TextDatumGetCString(value);
}

Oid
lq_find_relation(const char *schema, const char *table)
{
	Oid			namespace = get_namespace_oid(schema, true);

	return OidIsValid(namespace) ? get_relname_relid(table, namespace) : InvalidOid;
}

Oid
lq_relation_owner(Oid relid)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		return InvalidOid;
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
}

/* an error if it is NULL */
void
lq_argument_needed(FunctionCallInfo fcinfo, int arg, const char *name)
{
	if (PG_ARGISNULL(arg))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be null", name)));
}

/* of an argument of any type that is not NULL */
char *
lq_argument_text(FunctionCallInfo fcinfo, int arg)
{
	return lq_value_text(get_fn_expr_argtype(fcinfo->flinfo, arg), PG_GETARG_DATUM(arg));
}

char *
lq_value_text(Oid type, Datum value)
{
	Oid			output;
	bool		varlena;

	getTypeOutputInfo(type, &output, &varlena);
	return OidOutputFunctionCall(output, value);
}

/* SPI is connected; returns rows processed */
uint64
lq_execute(const char *query, int nargs, Oid *types, Datum *values)
{
	int			code = SPI_execute_with_args(query, nargs, types, values, NULL, false, 0);

	if (code < 0)
		elog(ERROR, "could not run \"%s\": %s", query, SPI_result_code_string(code));
	return SPI_processed;
}
