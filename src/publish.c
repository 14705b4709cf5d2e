/*
 * publish.c
 *		publish, rollback_to, discard_draft: from the draft to a version.
 *
 * The configuration tables hold a draft.  Publishing checks all of it, freezes
 * it as JSON together with its expressions (publish_check.c), and makes that
 * the next version; nothing else ever reads the draft.
 *
 * Two identities take part.  Configuration tables are read and written as the
 * extension's owner, leads and side tables as the owner of leads.  Conditions
 * are parsed as the publisher, under his search_path: what they name is what
 * he would have meant in a query.
 *
 * Locks: the pipeline's row first, against other publishers (NO KEY UPDATE,
 * since those who edit the draft hold KEY SHARE through the foreign key); then
 * the side table, against activities that are being scored by the version
 * that this one replaces.
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "model.h"
#include "attach.h"
#include "publish.h"
#include "replay.h"
#include "sql.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

/* a row of lead_qualify.pipeline, locked */
typedef struct Target
{
	const char *pipeline;
	Oid			leads;
	Oid			owner;			/* of leads */
	char	   *stage_column;
	bool		shadow;
	bool		stage_existed;
} Target;

/* ----------------------------------------------------------------
 * The pipeline and its versions
 * ----------------------------------------------------------------
 */

static char *
result_text(uint64 row, int column)
{
	return SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column);
}

/*
 * Lock the pipeline's row and read it.  One publication of a pipeline runs at
 * a time.
 */
static void
lock_pipeline(Target *target, const char *pipeline)
{
	LqUser		saved;
	Relation	leads;
	char	   *schema;
	char	   *table;

	lq_become(&saved, lq_extension_owner());
	if (lq_run("SELECT leads_schema, leads_table, stage_column, mode = 'shadow', stage_existed"
			   " FROM lead_qualify.pipeline WHERE pipeline = %L FOR NO KEY UPDATE",
			   pipeline) != 1)
		elog(ERROR, "pipeline \"%s\" is gone", pipeline);
	lq_return(&saved);
	schema = result_text(0, 1);
	table = result_text(0, 2);
	target->pipeline = pipeline;
	target->stage_column = result_text(0, 3);
	target->shadow = result_text(0, 4)[0] == 't';
	target->stage_existed = result_text(0, 5)[0] == 't';

	target->leads = lq_find_relation(schema, table);
	if (!OidIsValid(target->leads))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("leads table %s of pipeline \"%s\" does not exist",
						quote_qualified_identifier(schema, table), pipeline)));
	leads = table_open(target->leads, AccessShareLock);
	target->owner = leads->rd_rel->relowner;
	table_close(leads, NoLock);
}

static char *
version_config(const char *pipeline, int version)
{
	LqUser		saved;
	char	   *config;

	lq_become(&saved, lq_extension_owner());
	config = lq_run_text("SELECT v.config FROM lead_qualify.version AS v"
						 " WHERE v.pipeline = %L AND v.version = %d",
						 pipeline, version);
	lq_return(&saved);
	return config;
}

/* number of the newest version, 0 if there is none */
static int
newest_version(const char *pipeline)
{
	LqUser		saved;
	char	   *version;

	lq_become(&saved, lq_extension_owner());
	version = lq_run_text("SELECT pg_catalog.max(v.version) FROM lead_qualify.version AS v"
						  " WHERE v.pipeline = %L", pipeline);
	lq_return(&saved);
	return version == NULL ? 0 : pg_strtoint32(version);
}

/* ----------------------------------------------------------------
 * Leads and their stages
 * ----------------------------------------------------------------
 */

/* wait until nothing is being scored, and let nothing be until we commit */
static void
lock_scoring(const Target *target, LqPipeline *pipeline)
{
	LqUser		saved;

	lq_become(&saved, target->owner);
	/*
	 * Leads first, as everywhere: an UPDATE holds its lock already.  Nor may
	 * anybody hold a row of leads and then wait for the state table.
	 */
	lq_run("LOCK TABLE %s IN EXCLUSIVE MODE", lq_leads_name(pipeline));
	lq_run("LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE",
		   lq_side_name(pipeline, "qualification"));
	lq_return(&saved);
}

/* a stage that the column cannot hold would make activity inserts fail */
static void
check_stage_column(const Target *target, LqPipeline *pipeline)
{
	LqTarget	column = {0};
	AttrNumber	attnum = get_attnum(target->leads, target->stage_column);
	Oid			collation;

	if (attnum == InvalidAttrNumber)
		return;
	column.pipeline = target->pipeline;
	column.leads = target->leads;
	column.owner = target->owner;
	column.name = lq_leads_name(pipeline);
	column.stage_column = target->stage_column;
	get_atttypetypmodcoll(target->leads, attnum, &column.stage_type,
						  &column.stage_typmod, &collation);
	lq_stages_read(&column);
	lq_stages_check(&column);
}

/*
 * Values that versions know for a stage and this configuration does not, as
 * an array; NULL if there are none.
 */
static char *
dropped_values(const Target *target, const char *config, const char *value)
{
	LqUser		saved;
	char	   *result;

	lq_become(&saved, lq_extension_owner());
	result = lq_run_text("SELECT pg_catalog.array_agg(DISTINCT %s)"
						 " FROM lead_qualify.version AS v,"
						 " pg_catalog.jsonb_to_recordset(v.config -> 'stages')"
						 " AS s(stage text, stored_as text)"
						 " WHERE v.pipeline = %L AND %s <> ALL (SELECT %s"
						 " FROM pg_catalog.jsonb_to_recordset(%L::jsonb -> 'stages')"
						 " AS s(stage text, stored_as text))",
						 value, target->pipeline, value, value, config);
	lq_return(&saved);
	return result;
}

/* error if rows of a table have one of these values in a column */
static void
refuse_values_in_use(const Target *target, const char *what, const char *table,
					 const char *column, const char *dropped, bool archived)
{
	LqUser		saved;
	uint64		n;

	lq_become(&saved, target->owner);
	n = lq_run("SELECT %I::text, pg_catalog.count(*) FROM %s"
			   " WHERE %I::text = ANY (%L::text[]) GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 1",
			   column, table, column, dropped);
	lq_return(&saved);
	if (n > 0)
	{
		unsigned long leads = strtoul(result_text(0, 2), NULL, 10);

		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("%s \"%s\" of pipeline \"%s\" cannot be dropped",
						what, result_text(0, 1), target->pipeline),
				 archived ?
				 errdetail_plural("%lu lead was in it when it was archived.",
								  "%lu leads were in it when they were archived.", leads, leads) :
				 errdetail_plural("%lu lead is in it.", "%lu leads are in it.", leads, leads),
				 archived ? errhint("Keep the stage, or archive the leads anew first.") :
				 errhint("Keep the stage, or move the leads to another one first.")));
	}
}

/*
 * A stage that a lead is in stays, and so does its spelling in the leads
 * table.  There also are the leads that have no state yet.
 */
static void
check_stages_in_use(const Target *target, LqPipeline *pipeline, const char *config)
{
	char	   *stages = dropped_values(target, config, "s.stage");
	char	   *spellings = dropped_values(target, config, "COALESCE(s.stored_as, s.stage)");

	if (stages != NULL)
		refuse_values_in_use(target, "stage", lq_side_name(pipeline, "qualification"),
							 "stage", stages, false);
	if (stages != NULL)
		refuse_values_in_use(target, "stage", lq_side_name(pipeline, "baseline"),
							 "stage", stages, true);
	if (spellings != NULL && !target->shadow)
		refuse_values_in_use(target, "stored stage", lq_leads_name(pipeline),
							 target->stage_column, spellings, false);
}

/* the first stage on the path of a configuration, as the leads table spells it */
static char *
first_stage(const char *config)
{
	return lq_run_text("SELECT COALESCE(s.stored_as, s.stage)"
					   " FROM pg_catalog.jsonb_to_recordset(%L::jsonb -> 'stages')"
					   " AS s(stage text, \"position\" int, kind text, stored_as text)"
					   " WHERE " LQ_SQL_ON_PATH("s.kind") " ORDER BY s.\"position\" LIMIT 1",
					   config);
}

/* where attach() added the stage column, new rows begin in the first stage */
static void
follow_first_stage(const Target *target, LqPipeline *pipeline, int last,
				   const char *config)
{
	LqUser		saved;
	char	   *before;
	char	   *after;

	if (target->stage_existed || last == 0)
		return;
	before = version_config(target->pipeline, last);
	lq_become(&saved, target->owner);
	before = first_stage(before);
	after = first_stage(config);
	if (before == NULL || strcmp(before, after) != 0)
		lq_run("ALTER TABLE %s ALTER COLUMN %I SET DEFAULT %L",
			   lq_leads_name(pipeline), target->stage_column, after);
	lq_return(&saved);
}

/* ----------------------------------------------------------------
 * Storing
 * ----------------------------------------------------------------
 */

static void
store_version(const Target *target, int version, const char *config,
			  TimestampTz effective_from, const char *note)
{
	Oid			types[6] = {TEXTOID, INT4OID, TEXTOID, TIMESTAMPTZOID, TEXTOID, TEXTOID};
	char		nulls[6] = {' ', ' ', ' ', ' ', ' ', ' '};
	Datum		values[6];
	LqUser		saved;
	int			code;

	values[0] = CStringGetTextDatum(target->pipeline);
	values[1] = Int32GetDatum(version);
	values[2] = CStringGetTextDatum(config);
	values[3] = TimestampTzGetDatum(effective_from);
	values[4] = CStringGetTextDatum(GetUserNameFromId(GetUserId(), false));
	values[5] = note == NULL ? (Datum) 0 : CStringGetTextDatum(note);
	nulls[5] = note == NULL ? 'n' : ' ';

	lq_become(&saved, lq_extension_owner());
	code = SPI_execute_with_args("INSERT INTO lead_qualify.version"
								 " (pipeline, version, config, effective_from, published_at, published_by, note)"
								 " VALUES ($1, $2, $3::pg_catalog.jsonb, $4, pg_catalog.now(), $5, $6)",
								 6, types, values, nulls, false, 0);
	if (code != SPI_OK_INSERT)
		elog(ERROR, "could not store the version: %s", SPI_result_code_string(code));
	lq_run("UPDATE lead_qualify.pipeline SET version = %d WHERE pipeline = %L",
		   version, target->pipeline);
	/* what failed under the old conditions may be mended */
	lq_run("DELETE FROM lead_qualify.condition_problem WHERE pipeline = %L",
		   target->pipeline);
	lq_return(&saved);
}

/* score anew the leads that have events the version is in force for */
static int64
recompute_newer(const Target *target, LqPipeline *pipeline, TimestampTz effective_from)
{
	Oid			types[1] = {TIMESTAMPTZOID};
	Datum		values[1] = {TimestampTzGetDatum(effective_from)};
	LqUser		saved;

	lq_become(&saved, target->owner);
	if (SPI_execute_with_args(lq_format("SELECT FROM %s WHERE scored_at >= $1 LIMIT 1",
										lq_side_name(pipeline, "qualification")),
							  1, types, values, NULL, false, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read the leads of pipeline \"%s\"", target->pipeline);
	lq_return(&saved);
	return SPI_processed == 0 ? 0 : lq_recompute_since(target->pipeline, effective_from);
}

/*
 * Where gates ask other things of the clock than before, every lead is due
 * when the version comes into force.
 */
static void
check_all(const Target *target, LqPipeline *pipeline, TimestampTz effective_from)
{
	Oid			types[1] = {TIMESTAMPTZOID};
	Datum		values[1] = {TimestampTzGetDatum(effective_from)};
	LqUser		saved;

	if (TIMESTAMP_IS_NOBEGIN(effective_from) ||
		lq_clock_change(pipeline, effective_from - 1) != effective_from)
		return;
	lq_become(&saved, target->owner);
	if (SPI_execute_with_args(lq_format("UPDATE %s SET next_due_at = LEAST(next_due_at, $1), "
										"check_at = LEAST(check_at, $1) WHERE scored_at < $1",
										lq_side_name(pipeline, "qualification")),
							  1, types, values, NULL, false, 0) != SPI_OK_UPDATE)
		elog(ERROR, "could not make the leads of pipeline \"%s\" due", target->pipeline);
	lq_return(&saved);
}

static void
report_version(const Target *target, int version, TimestampTz effective_from,
			   int64 recomputed)
{
	char	   *from = TIMESTAMP_IS_NOBEGIN(effective_from) ? "the beginning" :
	pstrdup(timestamptz_to_str(effective_from));

	ereport(NOTICE,
			(errmsg("published version %d of pipeline \"%s\", effective from %s",
					version, target->pipeline, from),
			 recomputed == 0 ? errdetail("No lead had newer events.") :
			 errdetail_plural("%ld lead with newer events was recomputed.",
							  "%ld leads with newer events were recomputed.",
							  (unsigned long) recomputed, (long) recomputed)));
}

int
lq_publish(const char *pipeline, const char *note, TimestampTz effective_from,
		   bool first, int restored)
{
	Target		target;
	LqPipeline *attached;
	char	   *config;
	int			last;

	if (!first && IsolationUsesXactSnapshot())
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("cannot publish in a transaction of isolation level %s",
						XactIsoLevel == XACT_SERIALIZABLE ? "serializable" : "repeatable read"),
				 errdetail("Leads that were scored since the transaction began would be missed."),
				 errhint("Publish in a READ COMMITTED transaction.")));
	SPI_connect();
	lock_pipeline(&target, pipeline);
	config = lq_draft_freeze(pipeline, target.leads,
							 restored == 0 ? NULL : version_config(pipeline, restored));
	last = newest_version(pipeline);
	if (!first)
	{
		attached = lq_pipeline_get(pipeline, false);
		lock_scoring(&target, attached);
		check_stage_column(&target, attached);
		check_stages_in_use(&target, attached, config);
		follow_first_stage(&target, attached, last, config);
	}
	store_version(&target, last + 1, config, effective_from, note);
	if (!first)
	{
		/* compiled once here, an error comes now and not with an activity */
		attached = lq_pipeline_get(pipeline, false);
		(void) lq_model_numbered(attached, last + 1);
		check_all(&target, attached, effective_from);
		report_version(&target, last + 1, effective_from,
					   recompute_newer(&target, attached, effective_from));
	}
	SPI_finish();
	return last + 1;
}

/* ----------------------------------------------------------------
 * SQL functions
 * ----------------------------------------------------------------
 */

/* replace the draft by a version, while nobody else publishes or restores */
static void
restore_version(const char *pipeline, int version)
{
	LqUser		saved;
	char	   *config = version_config(pipeline, version);

	if (config == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("pipeline \"%s\" has no version %d", pipeline, version),
				 errhint("Its newest version is %d.", newest_version(pipeline))));
	lq_become(&saved, lq_extension_owner());
	lq_run("SELECT FROM lead_qualify.pipeline WHERE pipeline = %L FOR NO KEY UPDATE",
		   pipeline);
	lq_run("SELECT lead_qualify.restore_draft(%L, %L::jsonb)", pipeline, config);
	lq_return(&saved);
}

PG_FUNCTION_INFO_V1(lq_publish_draft);
PG_FUNCTION_INFO_V1(lq_rollback_to);
PG_FUNCTION_INFO_V1(lq_discard_draft);

/* publish(pipeline, note, effective_from) */
Datum
lq_publish_draft(PG_FUNCTION_ARGS)
{
	char	   *pipeline;
	TimestampTz effective_from;

	lq_argument_needed(fcinfo, 0, "pipeline");
	if (PG_ARGISNULL(2) || TIMESTAMP_IS_NOEND(PG_GETARG_TIMESTAMPTZ(2)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("effective_from must be a time or -infinity"),
				 errhint("Leave it out to score from now on, or pass '-infinity' to score all history anew.")));
	pipeline = text_to_cstring(PG_GETARG_TEXT_PP(0));
	effective_from = PG_GETARG_TIMESTAMPTZ(2);
	(void) lq_pipeline_for_owner(pipeline, "publish");
	PG_RETURN_INT32(lq_publish(pipeline,
							   PG_ARGISNULL(1) ? NULL :
							   text_to_cstring(PG_GETARG_TEXT_PP(1)),
							   effective_from, false, 0));
}

/* rollback_to(pipeline, version) */
Datum
lq_rollback_to(PG_FUNCTION_ARGS)
{
	char	   *pipeline = text_to_cstring(PG_GETARG_TEXT_PP(0));
	int			version = PG_GETARG_INT32(1);

	(void) lq_pipeline_for_owner(pipeline, "publish");
	SPI_connect();
	restore_version(pipeline, version);
	SPI_finish();
	PG_RETURN_INT32(lq_publish(pipeline, psprintf("rollback to version %d", version),
							   GetCurrentTransactionStartTimestamp(), false, version));
}

/* discard_draft(pipeline) */
Datum
lq_discard_draft(PG_FUNCTION_ARGS)
{
	char	   *pipeline = text_to_cstring(PG_GETARG_TEXT_PP(0));

	(void) lq_pipeline_for_owner(pipeline, "discard the draft of");
	SPI_connect();
	restore_version(pipeline, newest_version(pipeline));
	SPI_finish();
	PG_RETURN_VOID();
}
