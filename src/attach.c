/*
 * attach.c
 *		attach() and add_source(): from two tables to a pipeline.
 *
 * Both first look at everything and refuse what will not do, then write
 * configuration rows as the extension's owner, and run DDL as the caller, so
 * that PostgreSQL's own checks apply to it.  Leads are locked before
 * activities, against writers only; ALTER TABLE, which locks out readers, is
 * the last DDL.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/transam.h"
#include "access/xact.h"
#include "attach.h"
#include "catalog/catalog.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "expression.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "compat.h"
#include "model.h"
#include "publish.h"
#include "replay.h"
#include "side_tables.h"
#include "sql.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

/* what the caller said about an activity table; NULL where nothing */
typedef struct ActivityArguments
{
	Oid			relid;
	const char *lead;
	const char *type;
	const char *at;
	const char *key;
	const char *type_value;
	const char *filter;
	const char *time_zone;
	const char *fire;
} ActivityArguments;

static const char *const type_candidates[] = {
	"activity_type", "type_name", "type", "kind", "event_type", "event", NULL
};
static const char *const at_candidates[] = {
	"occurred_at", "happened_at", "activity_date", "event_time", "at", "ts",
	"timestamp", "created_at", NULL
};
static const char *const created_candidates[] = {"created_at", NULL};

/* ----------------------------------------------------------------
 * Arguments
 * ----------------------------------------------------------------
 */

static const char *
text_argument(FunctionCallInfo fcinfo, int n)
{
	return PG_ARGISNULL(n) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(n));
}

static const char *
name_argument(FunctionCallInfo fcinfo, int n)
{
	return PG_ARGISNULL(n) ? NULL : pstrdup(NameStr(*PG_GETARG_NAME(n)));
}

static void
require_arguments(FunctionCallInfo fcinfo, const char *const *names)
{
	for (int i = 0; names[i] != NULL; i++)
		if (PG_ARGISNULL(i))
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("%s must not be null", names[i]),
					 errhint("Pass %s => a value.", names[i])));
}

/* one of a few words; NULL is the first */
static const char *
choice_argument(const char *value, const char *argument, const char *const *choices)
{
	StringInfoData buf;

	if (value == NULL)
		return choices[0];
	initStringInfo(&buf);
	for (int i = 0; choices[i] != NULL; i++)
	{
		if (strcmp(value, choices[i]) == 0)
			return choices[i];
		appendStringInfo(&buf, "%s\"%s\"", i == 0 ? "" :
						 choices[i + 1] == NULL ? " or " : ", ", choices[i]);
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("%s cannot be \"%s\"", argument, value),
			 errhint("It is %s.", buf.data)));
	return NULL;				/* keep compiler quiet */
}

static const char *
fire_argument(const char *value)
{
	static const char *const choices[] = {"statement", "row", "deferred", NULL};

	return choice_argument(value, "fire", choices);
}

static const char *
time_zone_argument(const char *value, const char *fallback)
{
	pg_tz	   *zone;

	if (value == NULL)
		return fallback;
	zone = pg_tzset(value);
	if (zone == NULL || !pg_tz_acceptable(zone))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("time zone \"%s\" does not exist", value),
				 errhint("Names are listed in pg_timezone_names.")));
	return pg_get_timezone_name(zone);
}

static void
check_pipeline_name(const char *pipeline)
{
	if (pipeline[0] == '\0' || strlen(pipeline) > LQ_PIPELINE_MAX)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("\"%s\" cannot be the name of a pipeline", pipeline),
				 errdetail("It is part of the names of triggers and must have 1 to %d bytes.",
						   LQ_PIPELINE_MAX),
				 errhint("Choose a short name such as \"b2b\".")));
}

/* ----------------------------------------------------------------
 * Tables
 * ----------------------------------------------------------------
 */

static const char *
relation_kind(char relkind)
{
	switch (relkind)
	{
		case RELKIND_VIEW:
			return "a view";
		case RELKIND_MATVIEW:
			return "a materialized view";
		case RELKIND_FOREIGN_TABLE:
			return "a foreign table";
		case RELKIND_INDEX:
		case RELKIND_PARTITIONED_INDEX:
			return "an index";
		case RELKIND_SEQUENCE:
			return "a sequence";
		case RELKIND_COMPOSITE_TYPE:
			return "a composite type";
		default:
			return "no ordinary table";
	}
}

/* why a relation cannot be attached, NULL if it can */
static const char *
relation_problem(Oid relid, Form_pg_class form)
{
	if (IsCatalogRelationOid(relid) || IsToastNamespace(form->relnamespace) ||
		relid < FirstNormalObjectId)
		return "It is a system catalog.";
	if (form->relkind != RELKIND_RELATION && form->relkind != RELKIND_PARTITIONED_TABLE)
		return psprintf("It is %s, which cannot have the triggers.",
						relation_kind(form->relkind));
	if (form->relpersistence == RELPERSISTENCE_TEMP)
		return "It is temporary, and other sessions cannot see it.";
	if (form->relnamespace == lq_schema())
		return "It belongs to lead_qualify itself.";
	if (form->relispartition)
		return "It is a partition: attach the table it is a partition of.";
	return NULL;
}

/* the owner of a table that can be attached and that the caller owns */
static Oid
check_table(Oid relid, const char *argument)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Form_pg_class form;
	const char *problem;
	char	   *name;
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("table with OID %u does not exist", relid),
				 errhint("Pass %s => 'schema.table'.", argument)));
	form = (Form_pg_class) GETSTRUCT(tuple);
	name = quote_qualified_identifier(isAnyTempNamespace(form->relnamespace) ? "pg_temp" :
									  get_namespace_name(form->relnamespace),
									  NameStr(form->relname));
	owner = form->relowner;
	problem = relation_problem(relid, form);
	if (problem != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("%s cannot be attached", name),
				 errdetail_internal("%s", problem),
				 errhint("Pass an ordinary or partitioned table of the application as %s.", argument)));
	if (!has_privs_of_role(GetUserId(), owner))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be owner of table %s", name),
				 errdetail("Its owner is role \"%s\".", GetUserNameFromId(owner, false)),
				 errhint("Let a member of that role do this.")));
	ReleaseSysCache(tuple);
	return owner;
}

/*
 * Triggers of the activities write with the rights of the leads owner; so the
 * owner of the activities, who decides what is inserted there, must have them.
 */
static void
check_owners(Oid leads_owner, Oid activities_owner, Oid leads, Oid activities)
{
	if (!has_privs_of_role(activities_owner, leads_owner))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("owner of table \"%s\" lacks the rights of the owner of table \"%s\"",
						get_rel_name(activities), get_rel_name(leads)),
				 errdetail("The owners are \"%s\" and \"%s\".",
						   GetUserNameFromId(activities_owner, false),
						   GetUserNameFromId(leads_owner, false)),
				 errhint("Give both tables one owner, or grant the latter role to the former.")));
	if (pg_class_aclcheck(activities, leads_owner, ACL_SELECT) != ACLCHECK_OK ||
		!LQ_MAY_USE_SCHEMA(get_rel_namespace(activities), leads_owner))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("role \"%s\", the owner of table \"%s\", may not read table \"%s\"",
						GetUserNameFromId(leads_owner, false), get_rel_name(leads),
						get_rel_name(activities)),
				 errhint("GRANT him SELECT on it, and USAGE on its schema.")));
}

/* open and lock out writers; the table may have gone since it was checked */
static Relation
open_table(Oid relid)
{
	Relation	rel = try_table_open(relid, ShareRowExclusiveLock);

	if (rel == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("table with OID %u was dropped in the meantime", relid),
				 errhint("Look which tables there are and try again.")));
	return rel;
}

/* ----------------------------------------------------------------
 * Looking at leads
 * ----------------------------------------------------------------
 */

/* key type as SQL, with its collation if that is not the type's own */
static char *
key_type_sql(Oid type, Oid collation)
{
	char	   *sql = format_type_extended(type, -1, FORMAT_TYPE_FORCE_QUALIFY);
	HeapTuple	tuple;
	Form_pg_collation form;

	if (!OidIsValid(collation) || collation == get_typcollation(type))
		return sql;
	tuple = SearchSysCache1(COLLOID, ObjectIdGetDatum(collation));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for collation %u", collation);
	form = (Form_pg_collation) GETSTRUCT(tuple);
	sql = psprintf("%s COLLATE %s", sql,
				   quote_qualified_identifier(get_namespace_name(form->collnamespace),
											  NameStr(form->collname)));
	ReleaseSysCache(tuple);
	return sql;
}

static Form_pg_attribute
find_attribute(Relation rel, const char *name)
{
	AttrNumber	attnum = get_attnum(RelationGetRelid(rel), name);

	return attnum > 0 ? TupleDescAttr(RelationGetDescr(rel), attnum - 1) : NULL;
}

static void
find_stage_columns(LqTarget *target, Relation leads)
{
	static const char *const none[] = {NULL};
	Form_pg_attribute att = find_attribute(leads, target->stage_column);
	char	   *changed = psprintf("%.*s_changed_at",
								   pg_mbcliplen(target->stage_column,
												strlen(target->stage_column),
												NAMEDATALEN - 1 - 11),
								   target->stage_column);

	if (get_attnum(target->leads, target->stage_column) < 0 ||
		strcmp(target->stage_column, target->lead_key) == 0 ||
		(att != NULL && (att->attgenerated != '\0' || att->attidentity != '\0')))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_COLUMN_REFERENCE),
				 errmsg("column \"%s\" of %s cannot hold the stage",
						target->stage_column, target->name),
				 errdetail("It is a key, a generated or a system column."),
				 errhint("Pass another stage_column; it is added if it is missing.")));
	target->stage_missing = att == NULL;
	if (att != NULL)
	{
		target->stage_type = att->atttypid;
		target->stage_typmod = att->atttypmod;
		target->stage_existed = !lq_stage_column_is_ours(target->leads,
														 target->stage_column,
														 target->pipeline);
	}
	target->changed_column = changed;
	target->changed_missing = find_attribute(leads, changed) == NULL;
	if (!target->changed_missing)
		lq_column_find(leads, changed, none, LQ_COLUMN_TIME, InvalidOid, "stage_column");
}

/*
 * Everything about the leads table that needs it open.
 */
static void
look_at_leads(LqTarget *target, Relation leads, const char *lead_key,
			  const char *created_at)
{
	Form_pg_attribute key;

	target->schema = get_namespace_name(RelationGetNamespace(leads));
	target->table = pstrdup(RelationGetRelationName(leads));
	target->name = lq_relation_name(leads);
	target->row_security = leads->rd_rel->relrowsecurity;
	target->lead_key = lq_key_find(leads, lead_key, true, "lead_key");
	key = find_attribute(leads, target->lead_key);
	target->key_type = getBaseType(key->atttypid);
	target->key_type_sql = key_type_sql(target->key_type, key->attcollation);
	target->created_at = lq_column_find(leads, created_at, created_candidates,
										LQ_COLUMN_TIME, InvalidOid,
										created_at ? "created_at" : NULL);
	find_stage_columns(target, leads);
}

/* ----------------------------------------------------------------
 * Looking at activities
 * ----------------------------------------------------------------
 */

static void
find_type(LqActivityTable *activities, Relation rel, const ActivityArguments *args)
{
	if (args->type != NULL && args->type_value != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("activity_type and type_value exclude each other"),
				 errdetail("type_value names the one type of a table that has no column for it."),
				 errhint("Pass only one of them.")));
	activities->type_value = args->type_value;
	if (args->type_value == NULL)
		activities->type = lq_column_find(rel, args->type, type_candidates,
										  LQ_COLUMN_TYPE, InvalidOid, "activity_type");
}

/*
 * Everything about an activity table that needs it open.
 */
static LqActivityTable *
look_at_activities(const char *pipeline, Relation rel,
				   const ActivityArguments *args, Oid leads,
				   const char *lead_key, Oid key_type, Oid owner)
{
	LqActivityTable *activities = palloc0(sizeof(LqActivityTable));

	activities->relid = args->relid;
	activities->schema = get_namespace_name(RelationGetNamespace(rel));
	activities->table = pstrdup(RelationGetRelationName(rel));
	activities->name = lq_relation_name(rel);
	activities->lead = lq_lead_find(rel, args->lead, leads, lead_key, key_type);
	find_type(activities, rel, args);
	activities->at = lq_column_find(rel, args->at, at_candidates, LQ_COLUMN_TIME,
									InvalidOid, "activity_at");
	activities->key = lq_key_find(rel, args->key, false, "activity_key");
	activities->indexed = lq_column_indexed(rel, activities->lead);
	activities->time_zone = args->time_zone;
	activities->fire = args->fire;
	if (args->filter != NULL)
	{
		LqChecked  *checked = lq_expression_check(args->filter, rel, BOOLOID,
												  LQ_USE_ACTIVITY,
												  psprintf("filter of pipeline \"%s\"", pipeline),
												  owner);

		activities->filter = args->filter;
		activities->filter_expression = checked->text;
	}
	return activities;
}

static void
warn_without_index(const LqActivityTable *activities)
{
	if (!activities->indexed)
		ereport(WARNING,
				(errmsg("no index of %s begins with column \"%s\"", activities->name,
						activities->lead),
				 errdetail("The activities of a lead will be found by reading the whole table."),
				 errhint("CREATE INDEX ON %s (%s);", activities->name,
						 quote_identifier(activities->lead))));
}

/* the part of the NOTICE about an activity table */
static char *
describe_activities(const LqActivityTable *activities)
{
	char	   *type = activities->type ?
		psprintf("type \"%s\"", activities->type) :
		psprintf("every row of type '%s'", activities->type_value);

	return psprintf("%s: lead \"%s\", %s, time \"%s\", key \"%s\"%s; times are read in %s.",
					activities->name, activities->lead, type, activities->at,
					activities->key, activities->filter ? ", filtered" : "",
					activities->time_zone);
}

/* ----------------------------------------------------------------
 * Configuration rows
 * ----------------------------------------------------------------
 */

static void
refuse_existing(const char *pipeline)
{
	LqUser		saved;
	char	   *where;

	lq_become(&saved, lq_extension_owner());
	where = lq_run_text("SELECT pg_catalog.format('%%I.%%I', leads_schema, leads_table)"
						" FROM lead_qualify.pipeline WHERE pipeline = %L", pipeline);
	lq_return(&saved);
	if (where != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("pipeline \"%s\" already exists", pipeline),
				 errdetail("It is attached to %s.", where),
				 errhint("Choose another name, detach() it first, or add activity tables to it with add_source().")));
}

/*
 * Does another pipeline use these leads?  Then it must not use our stage
 * column, too.
 */
static bool
has_other_pipeline(const LqTarget *target)
{
	LqUser		saved;
	uint64		n;
	char	   *user;

	lq_become(&saved, lq_extension_owner());
	user = lq_run_text("SELECT pipeline FROM lead_qualify.pipeline"
					   " WHERE leads_schema = %L AND leads_table = %L"
					   " AND (stage_column IN (%L, %L) OR changed_column IN (%L, %L))",
					   target->schema, target->table, target->stage_column,
					   target->changed_column, target->stage_column, target->changed_column);
	n = lq_run("SELECT FROM lead_qualify.pipeline WHERE leads_schema = %L AND leads_table = %L",
			   target->schema, target->table);
	lq_return(&saved);
	if (user != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_COLUMN),
				 errmsg("column \"%s\" of %s is the stage of pipeline \"%s\" already",
						target->stage_column, target->name, user),
				 errhint("Pass a stage_column for this pipeline; it is added if it is missing.")));
	return n > 0;
}

static void
insert_source(const char *pipeline, const LqActivityTable *activities)
{
	LqUser		saved;

	lq_become(&saved, lq_extension_owner());
	lq_run("INSERT INTO lead_qualify.source (pipeline, number, activities_schema,"
		   " activities_table, activity_lead, activity_type, activity_at, activity_key,"
		   " type_value, filter, filter_expression, time_zone, fire)"
		   " VALUES (%L, %d, %L, %L, %L, %L, %L, %L, %L, %L, %L, %L, %L)",
		   pipeline, activities->number, activities->schema, activities->table,
		   activities->lead, activities->type, activities->at, activities->key,
		   activities->type_value, activities->filter, activities->filter_expression,
		   activities->time_zone, activities->fire);
	lq_return(&saved);
}

static void
insert_pipeline(const LqTarget *target)
{
	LqUser		saved;

	lq_become(&saved, lq_extension_owner());
	lq_run("INSERT INTO lead_qualify.pipeline (pipeline, leads_schema, leads_table,"
		   " lead_key, created_at, stage_column, changed_column, prefix, time_zone,"
		   " mode, fire, stage_existed, attached_at)"
		   " VALUES (%L, %L, %L, %L, %L, %L, %L, %L, %L, %L, %L, %s,"
		   " pg_catalog.clock_timestamp())",
		   target->pipeline, target->schema, target->table, target->lead_key,
		   target->created_at, target->stage_column, target->changed_column,
		   target->prefix, target->time_zone, target->shadow ? "shadow" : "live",
		   target->fire, target->stage_existed ? "true" : "false");
	lq_return(&saved);
}

/* fill the draft; returns what was left out, NULL if nothing */
static char *
run_template(const LqTarget *target, const LqActivityTable *activities,
			 const char *template)
{
	LqUser		saved;
	char	   *left_out;

	lq_become(&saved, lq_extension_owner());
	left_out = lq_run_text("SELECT NULLIF(pg_catalog.array_to_string(lead_qualify.%I("
						   "%L, %L::pg_catalog.regclass, %L::pg_catalog.regclass, %L), '; '), '')",
						   psprintf("template_%s", template), target->pipeline,
						   psprintf("%u", target->leads),
						   psprintf("%u", activities->relid), activities->key);
	lq_return(&saved);
	return left_out;
}

/* ----------------------------------------------------------------
 * attach
 * ----------------------------------------------------------------
 */

static void
notice_attached(const LqTarget *target, const LqActivityTable *activities,
				const char *left_out)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfo(&buf, "%s: key \"%s\", ", target->name, target->lead_key);
	if (target->created_at)
		appendStringInfo(&buf, "created \"%s\", ", target->created_at);
	appendStringInfo(&buf, "stage \"%s\" (%s).\n", target->stage_column,
					 target->stage_missing ? "added" : "there already");
	appendStringInfoString(&buf, describe_activities(activities));
	if (target->taken_up)
		appendStringInfo(&buf, "\nTables %s_... were kept by detach() and are taken up.",
						 target->prefix);
	if (left_out != NULL)
		appendStringInfo(&buf, "\nLeft out for missing columns: %s.", left_out);
	ereport(NOTICE,
			(errmsg("pipeline \"%s\" is attached to %s and %s%s", target->pipeline,
					target->name, activities->name,
					target->shadow ? ", in shadow mode" : ""),
			 errdetail_internal("%s", buf.data),
			 errhint("Leads that are there already are scored when they are first touched, or all at once by recompute(%s).",
					 quote_literal_cstr(target->pipeline))));
}

/*
 * From here on everything is known.  The first version is published last,
 * when all that it refers to is there.
 */
static void
build(LqTarget *target, LqActivityTable *activities, const char *template)
{
	char	   *left_out;
	LqUser		saved;

	insert_pipeline(target);
	insert_source(target->pipeline, activities);
	left_out = run_template(target, activities, template);
	lq_stages_read(target);
	if (!target->stage_missing)
		lq_stages_map(target);

	lq_become(&saved, GetUserId());
	lq_side_tables_create(target);
	lq_stages_import(target);
	lq_views_create(target);
	lq_activity_triggers_create(target, activities);
	lq_leads_triggers_create(target);
	lq_answers_triggers_create(target);
	lq_stage_columns_add(target);
	lq_return(&saved);

	lq_publish(target->pipeline, "attached", DT_NOBEGIN, true, 0);
	if (target->kept_shadow && !target->shadow)
		lq_stages_write(target);
	notice_attached(target, activities, left_out);
	warn_without_index(activities);
}

static void
attach(LqTarget *target, const ActivityArguments *args, const char *lead_key,
	   const char *created_at, const char *template)
{
	Oid			activities_owner;
	Relation	leads,
				rel;
	LqActivityTable *activities;

	target->owner = check_table(target->leads, "leads");
	activities_owner = check_table(args->relid, "activities");
	if (target->leads == args->relid)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("leads and activities must be two tables"),
				 errdetail("A lead has any number of activities, each a row of its own."),
				 errhint("Pass the table of activities as activities.")));
	check_owners(target->owner, activities_owner, target->leads, args->relid);
	refuse_existing(target->pipeline);

	leads = open_table(target->leads);
	rel = open_table(args->relid);
	look_at_leads(target, leads, lead_key, created_at);
	activities = look_at_activities(target->pipeline, rel, args, target->leads,
									target->lead_key, target->key_type, target->owner);
	activities->number = 1;
	table_close(rel, NoLock);
	table_close(leads, NoLock);

	target->prefix = lq_prefix_choose(target, has_other_pipeline(target));
	build(target, activities, template);
}

PG_FUNCTION_INFO_V1(lq_attach);

Datum
lq_attach(PG_FUNCTION_ARGS)
{
	static const char *const required[] = {"pipeline", "leads", "activities", NULL};
	static const char *const templates[] = {"b2b", "empty", NULL};
	static const char *const modes[] = {"live", "shadow", NULL};
	LqTarget   *target = palloc0(sizeof(LqTarget));
	ActivityArguments args;
	const char *template;

	require_arguments(fcinfo, required);
	target->pipeline = text_argument(fcinfo, 0);
	check_pipeline_name(target->pipeline);
	target->leads = PG_GETARG_OID(1);
	target->stage_column = PG_ARGISNULL(9) ? "stage" : pstrdup(NameStr(*PG_GETARG_NAME(9)));
	template = choice_argument(text_argument(fcinfo, 10), "template", templates);
	target->time_zone = time_zone_argument(text_argument(fcinfo, 11),
										   pg_get_timezone_name(session_timezone));
	target->shadow = strcmp(choice_argument(text_argument(fcinfo, 12), "mode", modes),
							"shadow") == 0;
	target->fire = fire_argument(text_argument(fcinfo, 13));

	args.relid = PG_GETARG_OID(2);
	args.lead = name_argument(fcinfo, 4);
	args.type = name_argument(fcinfo, 5);
	args.at = name_argument(fcinfo, 6);
	args.key = name_argument(fcinfo, 7);
	args.type_value = text_argument(fcinfo, 14);
	args.filter = text_argument(fcinfo, 15);
	args.time_zone = target->time_zone;
	args.fire = target->fire;

	SPI_connect();
	attach(target, &args, name_argument(fcinfo, 3), name_argument(fcinfo, 8), template);
	SPI_finish();
	PG_RETURN_VOID();
}

/* ----------------------------------------------------------------
 * add_source
 * ----------------------------------------------------------------
 */

static void
refuse_known_source(const LqPipeline *pipeline, Oid relid)
{
	for (int i = 0; i < pipeline->nsources; i++)
		if (pipeline->sources[i].relid == relid)
			ereport(ERROR,
					(errcode(ERRCODE_DUPLICATE_OBJECT),
					 errmsg("%s is a source of pipeline \"%s\" already",
							pipeline->sources[i].name, pipeline->name),
					 errdetail("It is source %d.", pipeline->sources[i].number),
					 errhint("Pass another table.")));
}

/* number of the next source; the pipeline's row is locked against others */
static int
next_source(const char *pipeline)
{
	LqUser		saved;
	char	   *number;

	lq_become(&saved, lq_extension_owner());
	lq_run("SELECT FROM lead_qualify.pipeline WHERE pipeline = %L FOR UPDATE", pipeline);
	number = lq_run_text("SELECT pg_catalog.max(number) + 1 FROM lead_qualify.source"
						 " WHERE pipeline = %L", pipeline);
	lq_return(&saved);
	return number == NULL ? 1 : pg_strtoint32(number);
}

static bool
nothing_scored(const LqTarget *target)
{
	LqPipeline *p = lq_pipeline_get(target->pipeline, false);

	return lq_run("SELECT FROM %s WHERE scored_at IS NOT NULL LIMIT 1",
				  lq_side_name(p, "qualification")) == 0;
}

/*
 * Rules are frozen with their conditions as they read over each activity
 * table, so a new table needs a new version.  It is published here unless
 * somebody is in the middle of editing the draft.
 */
static void
publish_source(const LqTarget *target, const LqActivityTable *activities,
			   bool unchanged)
{
	/* while no lead is scored there is no past that a new version could change */
	if (unchanged)
		lq_publish(target->pipeline, psprintf("source %s added", activities->name),
				   nothing_scored(target) ? DT_NOBEGIN : GetCurrentTransactionStartTimestamp(),
				   false, 0);
	ereport(NOTICE,
			(errmsg("%s is source %d of pipeline \"%s\"", activities->name,
					activities->number, target->pipeline),
			 errdetail_internal("%s", describe_activities(activities)),
			 unchanged ? 0 :
			 errhint("The draft differs from the live version: conditions cover the new table after publish(%s).",
					 quote_literal_cstr(target->pipeline))));
	/* leads that are scored already take its rows in */
	(void) lq_recompute_since(target->pipeline, DT_NOBEGIN);
}

static void
add_source(const char *name, ActivityArguments *args)
{
	LqPipeline *pipeline = lq_pipeline_whole(name);
	LqTarget	target = {.pipeline = name};
	LqActivityTable *activities;
	Relation	rel;
	LqUser		saved;
	bool		unchanged;

	target.leads = pipeline->leads;
	target.lead_key = pstrdup(pipeline->lead_key);
	target.key_type = getBaseType(pipeline->key_type);
	target.owner = check_table(target.leads, "leads");
	check_owners(target.owner, check_table(args->relid, "activities"),
				 target.leads, args->relid);
	refuse_known_source(pipeline, args->relid);
	if (args->relid == target.leads)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s is the leads table of pipeline \"%s\"",
						lq_leads_name(pipeline), name),
				 errhint("Pass a table of activities.")));
	args->time_zone = time_zone_argument(args->time_zone, pstrdup(pipeline->time_zone));

	rel = open_table(args->relid);
	activities = look_at_activities(name, rel, args, target.leads, target.lead_key,
									target.key_type, target.owner);
	table_close(rel, NoLock);

	activities->number = next_source(name);
	unchanged = strcmp(lq_run_text("SELECT pg_catalog.count(*) FROM lead_qualify.diff(%L)",
								   name), "0") == 0;
	insert_source(name, activities);
	lq_become(&saved, GetUserId());
	lq_activity_triggers_create(&target, activities);
	lq_return(&saved);
	publish_source(&target, activities, unchanged);
	warn_without_index(activities);
}

PG_FUNCTION_INFO_V1(lq_add_source);

Datum
lq_add_source(PG_FUNCTION_ARGS)
{
	static const char *const required[] = {"pipeline", "activities", NULL};
	ActivityArguments args;

	require_arguments(fcinfo, required);
	args.relid = PG_GETARG_OID(1);
	args.lead = name_argument(fcinfo, 2);
	args.type = name_argument(fcinfo, 3);
	args.at = name_argument(fcinfo, 4);
	args.key = name_argument(fcinfo, 5);
	args.type_value = text_argument(fcinfo, 6);
	args.filter = text_argument(fcinfo, 7);
	args.time_zone = text_argument(fcinfo, 8);
	args.fire = fire_argument(text_argument(fcinfo, 9));

	SPI_connect();
	add_source(text_argument(fcinfo, 0), &args);
	SPI_finish();
	PG_RETURN_VOID();
}
