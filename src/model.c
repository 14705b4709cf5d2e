/*
 * model.c
 *		Pipelines and their published versions, cached per backend.
 *
 * The tables pipeline, source and version carry a trigger that sends a
 * relcache invalidation for them; so does any ALTER of a table we use.  The
 * callback only clears a flag.  The next lq_pipeline_get() then sets the old
 * pipelines aside until the end of the transaction, because a caller further
 * up may still hold one, and loads anew.
 *
 * Rows are read with the catalog snapshot (a systable scan without index),
 * never with the active one: an invalidation is consumed once, and a cache
 * that was filled under an old REPEATABLE READ snapshot would stay wrong.
 * The scan also needs no rights of the caller on the configuration.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "compat.h"
#include "condition.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "model.h"
#include "model_compile.h"
#include "side_columns.h"
#include "sql.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

static List *pipelines = NIL;	/* of LqPipeline, in CacheMemoryContext */
static List *expired = NIL;		/* of MemoryContext, freed at transaction end */
static bool valid = false;
static bool unresolved = false; /* some pipeline lacks a table */
static uint64 generation = 0;	/* counts invalidations */

/* relations whose invalidation makes the cache stale */
static Oid *watched = NULL;
static int	nwatched = 0;
static int	maxwatched = 0;

/* ----------------------------------------------------------------
 * Invalidation
 * ----------------------------------------------------------------
 */

/* only minimal tagging may be done here */
static void
relcache_callback(Datum arg, Oid relid)
{
	/* what was not there has no OID: it may have come */
	if (relid == InvalidOid || unresolved)
	{
		valid = false;
		generation++;
		return;
	}
	for (int i = 0; i < nwatched; i++)
		if (watched[i] == relid)
		{
			valid = false;
			generation++;
			return;
		}
}

static void
syscache_callback(Datum arg, int cacheid, uint32 hashvalue)
{
	valid = false;
	generation++;
}

static void
watch_relation(Oid relid)
{
	if (!OidIsValid(relid))
		return;
	for (int i = 0; i < nwatched; i++)
		if (watched[i] == relid)
			return;
	if (nwatched == maxwatched)
	{
		maxwatched = Max(32, maxwatched * 2);
		if (watched == NULL)
			watched = MemoryContextAlloc(TopMemoryContext, maxwatched * sizeof(Oid));
		else
			watched = repalloc(watched, maxwatched * sizeof(Oid));
	}
	watched[nwatched++] = relid;
}

static void
xact_callback(XactEvent event, void *arg)
{
	if (event != XACT_EVENT_COMMIT && event != XACT_EVENT_ABORT &&
		event != XACT_EVENT_PREPARE)
		return;
	while (expired != NIL)
	{
		MemoryContext cxt = linitial(expired);

		expired = list_delete_first(expired);
		MemoryContextDelete(cxt);
	}
}

void
lq_model_init(void)
{
	CacheRegisterRelcacheCallback(relcache_callback, (Datum) 0);
	/* a schema or a role was renamed, rights were changed */
	CacheRegisterSyscacheCallback(NAMESPACEOID, syscache_callback, (Datum) 0);
	CacheRegisterSyscacheCallback(AUTHOID, syscache_callback, (Datum) 0);
	CacheRegisterSyscacheCallback(AUTHMEMROLEMEM, syscache_callback, (Datum) 0);
	RegisterXactCallback(xact_callback, NULL);
}

/* set a pipeline aside; its context lives until the transaction ends */
static void
expire(LqPipeline *p)
{
	MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

	expired = lappend(expired, p->cxt);
	pipelines = list_delete_ptr(pipelines, p);
	MemoryContextSwitchTo(old);
}

static void
cache_reset(void)
{
	while (pipelines != NIL)
		expire(linitial(pipelines));
	nwatched = 0;
	unresolved = false;
}

/* ----------------------------------------------------------------
 * Reading configuration rows
 * ----------------------------------------------------------------
 */

static Oid
config_relation(const char *name)
{
	Oid			relid = get_relname_relid(name, lq_schema());

	if (!OidIsValid(relid))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("table \"lead_qualify.%s\" does not exist", name),
				 errhint("Create the extension with CREATE EXTENSION lead_qualify.")));
	return relid;
}

typedef void (*RowReader) (LqPipeline *pipeline, Relation rel, HeapTuple tuple);

/* call reader for each row of the table that belongs to the pipeline */
static int
rows_read(LqPipeline *pipeline, const char *table, RowReader reader)
{
	Oid			relid = config_relation(table);
	Relation	rel = table_open(relid, AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	HeapTuple	tuple;
	int			count = 0;

	watch_relation(relid);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		char	   *name = lq_column_text(rel, tuple, "pipeline");

		if (strcmp(name, pipeline->name) == 0)
		{
			reader(pipeline, rel, tuple);
			count++;
		}
		pfree(name);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return count;
}

static void
read_pipeline(LqPipeline *p, Relation rel, HeapTuple tuple)
{
	char	   *mode = lq_column_text(rel, tuple, "mode");
	bool		isnull;
	Datum	   *names;
	int			count;

	p->leads_schema = lq_column_text(rel, tuple, "leads_schema");
	p->leads_table = lq_column_text(rel, tuple, "leads_table");
	p->lead_key = lq_column_text(rel, tuple, "lead_key");
	p->created_at = lq_column_text(rel, tuple, "created_at");
	p->stage_column = lq_column_text(rel, tuple, "stage_column");
	p->changed_column = lq_column_text(rel, tuple, "changed_column");
	p->prefix = lq_column_text(rel, tuple, "prefix");
	p->time_zone = lq_column_text(rel, tuple, "time_zone");
	p->framework = lq_column_text(rel, tuple, "framework");
	p->shadow = strcmp(mode, "shadow") == 0;
	if (!lq_interval_length(DatumGetIntervalP(lq_column(rel, tuple, "notify_within", &isnull)),
							&p->notify_within))
		p->notify_within = PG_INT64_MAX;	/* longer than any time there is */
	deconstruct_array(DatumGetArrayTypeP(lq_column(rel, tuple, "segments", &isnull)), TEXTOID, -1,
					  false, TYPALIGN_INT, &names, NULL, &count);
	for (int i = 0; i < count; i++)
		p->segments = lappend(p->segments, TextDatumGetCString(names[i]));
	p->lead_columns = list_copy(p->segments);
}

static void
read_source(LqPipeline *p, Relation rel, HeapTuple tuple)
{
	LqSource   *source;
	bool		isnull;

	p->sources = p->nsources == 0 ? palloc(sizeof(LqSource)) :
		repalloc(p->sources, (p->nsources + 1) * sizeof(LqSource));
	source = &p->sources[p->nsources++];
	memset(source, 0, sizeof(LqSource));
	source->number = DatumGetInt32(lq_column(rel, tuple, "number", &isnull));
	source->schema = lq_column_text(rel, tuple, "activities_schema");
	source->table = lq_column_text(rel, tuple, "activities_table");
	source->name = pstrdup(quote_qualified_identifier(source->schema, source->table));
	source->activity_lead = lq_column_text(rel, tuple, "activity_lead");
	source->activity_type = lq_column_text(rel, tuple, "activity_type");
	source->activity_at = lq_column_text(rel, tuple, "activity_at");
	source->activity_key = lq_column_text(rel, tuple, "activity_key");
	source->type_value = lq_column_text(rel, tuple, "type_value");
	source->filter_text = lq_column_text(rel, tuple, "filter_expression");
	source->time_zone = lq_column_text(rel, tuple, "time_zone");
}

static void
read_version(LqPipeline *p, Relation rel, HeapTuple tuple)
{
	LqVersion  *version;
	bool		isnull;

	p->versions = p->nversions == 0 ? palloc(sizeof(LqVersion)) :
		repalloc(p->versions, (p->nversions + 1) * sizeof(LqVersion));
	version = &p->versions[p->nversions++];
	memset(version, 0, sizeof(LqVersion));
	version->number = DatumGetInt32(lq_column(rel, tuple, "version", &isnull));
	version->effective_from =
		DatumGetTimestampTz(lq_column(rel, tuple, "effective_from", &isnull));
	version->config = PointerGetDatum(PG_DETOAST_DATUM_COPY(
															lq_column(rel, tuple, "config", &isnull)));
}

static int
source_cmp(const void *a, const void *b)
{
	return ((const LqSource *) a)->number - ((const LqSource *) b)->number;
}

static int
version_cmp(const void *a, const void *b)
{
	return ((const LqVersion *) a)->number - ((const LqVersion *) b)->number;
}

/* ----------------------------------------------------------------
 * What the pipeline's tables are today
 * ----------------------------------------------------------------
 */

static Oid
relation_find(const char *schema, const char *table)
{
	Oid			namespace = get_namespace_oid(schema, true);
	Oid			relid = OidIsValid(namespace) ?
		get_relname_relid(table, namespace) : InvalidOid;

	/* what is not there has no OID to watch: watch all */
	if (!OidIsValid(relid))
		unresolved = true;
	watch_relation(relid);
	return relid;
}

/*
 * A table whose owner has the rights of the leads owner: nobody else's, and
 * no view, which would run its own functions when we read it.
 */
static bool
is_trusted(const LqPipeline *p, Oid relid)
{
	char		kind = get_rel_relkind(relid);

	return (kind == RELKIND_RELATION || kind == RELKIND_PARTITIONED_TABLE) &&
		has_privs_of_role(lq_relation_owner(relid), p->owner);
}

static void
resolve_key(LqPipeline *p)
{
	TypeCacheEntry *type;
	AttrNumber	attnum = get_attnum(p->leads, p->lead_key);
	Oid			output;
	bool		varlena;

	p->key_type = getBaseType(get_atttype(p->leads, attnum));
	get_typlenbyval(p->key_type, &p->key_len, &p->key_byval);
	p->key_array = get_array_type(p->key_type);
	type = lookup_type_cache(p->key_type, TYPECACHE_CMP_PROC_FINFO);
	fmgr_info_copy(&p->key_cmp, &type->cmp_proc_finfo, p->cxt);
	/* any fixed order will do for locks; C needs no catalog */
	p->key_collation = OidIsValid(type->typcollation) ? C_COLLATION_OID : InvalidOid;
	getTypeOutputInfo(p->key_type, &output, &varlena);
	fmgr_info_cxt(output, &p->key_out, p->cxt);
}

#define WRITE_RIGHTS (ACL_SELECT | ACL_INSERT | ACL_UPDATE | ACL_DELETE)

static char *
table_name(const char *schema, const char *table)
{
	return pstrdup(quote_qualified_identifier(schema, table));
}

static char *
missing_column(const char *column, const char *schema, const char *table)
{
	return psprintf("column \"%s\" of table %s does not exist", column,
					table_name(schema, table));
}

/* NULL if the table is there, ours, and the leads owner may do this with it */
static char *
table_problem(const LqPipeline *p, Oid relid, const char *schema, const char *table,
			  AclMode rights)
{
	if (!OidIsValid(relid))
		return psprintf("table %s does not exist", table_name(schema, table));
	if (!is_trusted(p, relid))
		return psprintf("table %s is not one whose owner has the rights of \"%s\"",
						table_name(schema, table), GetUserNameFromId(p->owner, true));
	if (pg_class_aclmask(relid, p->owner, rights, ACLMASK_ALL) != rights)
		return psprintf("role \"%s\" may not %s table %s", GetUserNameFromId(p->owner, true),
						rights == ACL_SELECT ? "read" :
						rights == WRITE_RIGHTS ? "read and write" : "read and update",
						table_name(schema, table));
	return NULL;
}

/* why nothing can be scored, NULL if it can */
static char *
leads_problem(LqPipeline *p)
{
	const char *columns[4] = {p->lead_key, p->stage_column, p->changed_column, p->created_at};
	char	   *problem;

	p->leads = relation_find(p->leads_schema, p->leads_table);
	p->owner = OidIsValid(p->leads) ? lq_relation_owner(p->leads) : InvalidOid;
	if ((problem = table_problem(p, p->leads, p->leads_schema, p->leads_table,
								 ACL_SELECT | ACL_UPDATE)) != NULL)
		return problem;
	for (int i = 0; i < lengthof(columns); i++)
		if (columns[i] != NULL && get_attnum(p->leads, columns[i]) == InvalidAttrNumber)
			return missing_column(columns[i], p->leads_schema, p->leads_table);
	resolve_key(p);
	for (int i = 0; i < LQ_NSIDE_TABLES; i++)
	{
		char	   *name = psprintf("%s_%s", p->prefix, lq_side_tables[i].suffix);
		Oid			relid = relation_find(p->leads_schema, name);

		if ((problem = table_problem(p, relid, p->leads_schema, name, WRITE_RIGHTS)) != NULL ||
			(problem = lq_side_problem(&lq_side_tables[i], relid, p->key_type)) != NULL)
			return problem;
	}
	if (!LQ_MAY_USE_SCHEMA(get_rel_namespace(p->leads), p->owner))
		return psprintf("role \"%s\" may not use schema \"%s\"",
						GetUserNameFromId(p->owner, true), p->leads_schema);
	if (pg_tzset(p->time_zone) == NULL)
		return psprintf("time zone \"%s\" is not known", p->time_zone);
	if (p->nversions == 0)
		return pstrdup("no version is published");
	return NULL;
}

static char *
source_problem(LqPipeline *p, LqSource *source)
{
	const char *columns[4] = {source->activity_lead, source->activity_at, source->activity_key,
	source->activity_type};
	char	   *problem = table_problem(p, source->relid, source->schema, source->table, ACL_SELECT);

	for (int i = 0; i < lengthof(columns) && problem == NULL; i++)
		if (columns[i] != NULL && get_attnum(source->relid, columns[i]) == InvalidAttrNumber)
			problem = missing_column(columns[i], source->schema, source->table);
	return problem;
}

/*
 * Find the pipeline's tables as they are today.  A pipeline with a problem of
 * its own is broken; a source with one scores nothing.
 */
static void
resolve_relations(LqPipeline *p)
{
	p->problem = leads_problem(p);
	p->broken = p->problem != NULL;
	for (int i = 0; i < p->nsources; i++)
	{
		LqSource   *source = &p->sources[i];

		source->relid = relation_find(source->schema, source->table);
		if (OidIsValid(p->leads))
			source->problem = source_problem(p, source);
		if (source->problem != NULL)
			source->relid = InvalidOid;
	}
}

/* answers are read as activities are, from a side table whose columns are ours */
static void
resolve_answers(LqPipeline *p)
{
	LqSource   *answers = &p->answers;

	answers->number = LQ_ANSWERS;
	answers->schema = p->leads_schema;
	answers->table = psprintf("%s_answers", p->prefix);
	answers->name = pstrdup(quote_qualified_identifier(answers->schema, answers->table));
	answers->relid = relation_find(answers->schema, answers->table);
	answers->activity_lead = pstrdup("lead");
	answers->activity_at = pstrdup("answered_at");
	answers->activity_key = pstrdup("id");
	answers->time_zone = p->time_zone;
	answers->columns = list_make2(pstrdup("assessment"), pstrdup("withdrawn"));
}

/* ----------------------------------------------------------------
 * Loading
 * ----------------------------------------------------------------
 */

static LqPipeline *
pipeline_load(const char *name)
{
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext,
											  "lead_qualify pipeline",
											  ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	LqPipeline *p = palloc0(sizeof(LqPipeline));

	p->cxt = cxt;
	p->name = pstrdup(name);
	if (rows_read(p, "pipeline", read_pipeline) == 0)
	{
		MemoryContextSwitchTo(old);
		MemoryContextDelete(cxt);
		return NULL;
	}
	rows_read(p, "source", read_source);
	rows_read(p, "version", read_version);
	qsort(p->sources, p->nsources, sizeof(LqSource), source_cmp);
	qsort(p->versions, p->nversions, sizeof(LqVersion), version_cmp);
	resolve_relations(p);
	if (!p->broken)
	{
		resolve_answers(p);
		lq_compile_sources(p);
	}
	for (int i = 0; i < p->nversions && !p->broken; i++)
		lq_collect_needs(p, &p->versions[i]);
	MemoryContextSwitchTo(old);
	return p;
}

static int
name_cmp(const ListCell *a, const ListCell *b)
{
	return strcmp(lfirst(a), lfirst(b));
}

/* "b2b", "partner": what there is, for an error */
static char *
known_pipelines(void)
{
	StringInfoData buf;
	Relation	rel = table_open(config_relation("pipeline"), AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	HeapTuple	tuple;
	List	   *names = NIL;
	ListCell   *lc;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		names = lappend(names, lq_column_text(rel, tuple, "pipeline"));
	list_sort(names, name_cmp);
	initStringInfo(&buf);
	foreach(lc, names)
		appendStringInfo(&buf, "%s\"%s\"", buf.len > 0 ? ", " : "", (char *) lfirst(lc));
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return buf.data;
}

static void
report_unknown(const char *name)
{
	char	   *known = known_pipelines();

	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("pipeline \"%s\" does not exist", name),
			 known[0] == '\0' ?
			 errhint("Attach the leads and activities tables first, with lead_qualify.attach().") :
			 errhint("Pipelines are: %s.", known)));
}

/*
 * An invalidation may arrive while we load; then what we have read may be
 * stale, and we begin again.
 */
LqPipeline *
lq_pipeline_get(const char *name, bool missing_ok)
{
	LqPipeline *p = NULL;
	ListCell   *lc;
	uint64		before;

	AcceptInvalidationMessages();
	do
	{
		if (!valid)
		{
			cache_reset();
			valid = true;
		}
		foreach(lc, pipelines)
		{
			p = lfirst(lc);
			if (strcmp(p->name, name) == 0)
				break;
			p = NULL;
		}
		if (p != NULL)
			return p;
		before = generation;
		p = pipeline_load(name);
		if (p != NULL && generation != before)
		{
			MemoryContextDelete(p->cxt);
			p = NULL;
		}
	} while (generation != before);

	if (p == NULL)
	{
		if (!missing_ok)
			report_unknown(name);
		return NULL;
	}
	MemoryContextSetParent(p->cxt, CacheMemoryContext);
	{
		MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

		pipelines = lappend(pipelines, p);
		MemoryContextSwitchTo(old);
	}
	return p;
}

/* an error if the pipeline cannot work */
void
lq_pipeline_check(LqPipeline *p)
{
	if (p->broken || p->nversions == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("pipeline \"%s\" is out of order", p->name),
				 errdetail_internal("%s.", lq_error_sentence(p->problem)),
				 errhint("See lead_qualify.problem.")));
}

/* a replay would count nothing of what cannot be read */
void
lq_pipeline_check_sources(const LqPipeline *p, const char *verb)
{
	for (int i = 0; i < p->nsources; i++)
		if (p->sources[i].problem != NULL)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("cannot %s pipeline \"%s\": activities of %s cannot be read",
							verb, p->name, p->sources[i].name),
					 errdetail_internal("%s.", lq_error_sentence(p->sources[i].problem)),
					 errhint("See lead_qualify.problem.")));
}

LqPipeline *
lq_pipeline_for_owner(const char *name, const char *verb)
{
	LqPipeline *p = lq_pipeline_get(name, false);

	lq_pipeline_check(p);
	if (!has_privs_of_role(GetUserId(), p->owner))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to %s pipeline \"%s\"", verb, name),
				 errhint("Only a role with the rights of \"%s\", the owner of %s, may.",
						 GetUserNameFromId(p->owner, false), lq_leads_name(p))));
	return p;
}

/* versions are compiled when first asked for: old ones seldom are */
static const LqModel *
version_model(LqPipeline *pipeline, LqVersion *version)
{
	if (version->model == NULL)
		lq_compile_version(pipeline, version);
	return version->model;
}

/* the version in force at a time, -1: none */
static int
version_at(const LqPipeline *pipeline, TimestampTz at)
{
	for (int i = pipeline->nversions - 1; i >= 0; i--)
		if (pipeline->versions[i].effective_from <= at)
			return i;
	return -1;
}

/*
 * The version in force at a time: the newest one that was effective by then.
 * NULL when no version is (then nothing is scored).
 */
const LqModel *
lq_model_at(LqPipeline *pipeline, TimestampTz at)
{
	int			i = version_at(pipeline, at);

	return i < 0 ? NULL : version_model(pipeline, &pipeline->versions[i]);
}

/* the version of that number, NULL if there is none */
const LqModel *
lq_model_numbered(LqPipeline *pipeline, int number)
{
	for (int i = 0; i < pipeline->nversions; i++)
		if (pipeline->versions[i].number == number)
			return version_model(pipeline, &pipeline->versions[i]);
	return NULL;
}

/*
 * When, later than that, a version comes into force whose gates ask other
 * things of the clock than those before; DT_NOEND: never.
 */
TimestampTz
lq_clock_change(LqPipeline *pipeline, TimestampTz after)
{
	TimestampTz change = DT_NOEND;

	for (int i = 0; i < pipeline->nversions; i++)
	{
		TimestampTz from = pipeline->versions[i].effective_from;
		int			before;

		if (from <= after || from >= change || version_at(pipeline, from) != i)
			continue;
		before = version_at(pipeline, from - 1);
		if (before >= 0 &&
			strcmp(pipeline->versions[before].clock, pipeline->versions[i].clock) != 0)
			change = from;
	}
	return change;
}

/* did versions published after that one begin to ask for more than it did? */
bool
lq_asks_for_more(LqPipeline *pipeline, int number)
{
	const LqVersion *newest = &pipeline->versions[pipeline->nversions - 1];

	for (int i = 0; i < pipeline->nversions; i++)
		if (pipeline->versions[i].number == number)
			return pipeline->versions[i].asked < newest->asked;
	return true;
}

LqSource *
lq_source_get(LqPipeline *pipeline, int32 number)
{
	if (number == LQ_ANSWERS)
		return &pipeline->answers;
	for (int i = 0; i < pipeline->nsources; i++)
		if (pipeline->sources[i].number == number)
			return &pipeline->sources[i];
	return NULL;
}

/* ----------------------------------------------------------------
 * Keys and names
 * ----------------------------------------------------------------
 */

char *
lq_key_text(LqPipeline *pipeline, Datum key)
{
	return OutputFunctionCall(&pipeline->key_out, key);
}

/* a lead's key from text; an error names the pipeline's key type */
Datum
lq_key_parse(LqPipeline *pipeline, const char *text)
{
	Oid			input,
				param;

	getTypeInputInfo(pipeline->key_type, &input, &param);
	return OidInputFunctionCall(input, unconstify(char *, text), param, -1);
}

int
lq_key_cmp(LqPipeline *pipeline, Datum a, Datum b)
{
	/* there are many, and the usual ones are simple */
	if (pipeline->key_cmp.fn_oid == F_BTINT8CMP)
		return DatumGetInt64(a) < DatumGetInt64(b) ? -1 : DatumGetInt64(a) > DatumGetInt64(b);
	if (pipeline->key_cmp.fn_oid == F_BTINT4CMP)
		return DatumGetInt32(a) < DatumGetInt32(b) ? -1 : DatumGetInt32(a) > DatumGetInt32(b);
	return DatumGetInt32(FunctionCall2Coll(&pipeline->key_cmp,
										   pipeline->key_collation, a, b));
}

char *
lq_side_name(const LqPipeline *pipeline, const char *suffix)
{
	char	   *name = psprintf("%s_%s", pipeline->prefix, suffix);

	return pstrdup(quote_qualified_identifier(pipeline->leads_schema, name));
}

char *
lq_leads_name(const LqPipeline *pipeline)
{
	return pstrdup(quote_qualified_identifier(pipeline->leads_schema,
											  pipeline->leads_table));
}

PG_FUNCTION_INFO_V1(lq_config_changed);

/*
 * Trigger on the configuration tables: tell all backends, at commit, to load
 * anew.
 */
Datum
lq_config_changed(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("config_changed() must be called as a trigger")));
	CacheInvalidateRelcache(trigdata->tg_relation);
	return PointerGetDatum(NULL);
}

PG_FUNCTION_INFO_V1(lq_pipeline_problem);

/*
 * pipeline_problem(pipeline text): what keeps its tables from being scored.
 */
Datum
lq_pipeline_problem(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	LqPipeline *p = lq_pipeline_get(text_to_cstring(PG_GETARG_TEXT_PP(0)), true);

	InitMaterializedSRF(fcinfo, 0);
	/* names of other people's tables are none of the caller's business */
	if (p != NULL && OidIsValid(p->owner) && !has_privs_of_role(GetUserId(), p->owner))
		p = NULL;
	for (int i = -1; p != NULL && i < p->nsources; i++)
	{
		const char *problem = i < 0 ? p->problem : p->sources[i].problem;
		Datum		values[3];
		bool		nulls[3] = {false, false, false};

		if (problem == NULL)
			continue;
		values[0] = CStringGetTextDatum(i < 0 ? "pipeline" : "source");
		values[1] = CStringGetTextDatum(i < 0 ? p->name : p->sources[i].name);
		values[2] = CStringGetTextDatum(problem);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}
