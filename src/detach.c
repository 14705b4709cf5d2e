/*
 * detach.c
 *		detach() and go_live().
 *
 * detach must work whatever became of the tables: triggers are found by the
 * pipeline's name among their arguments, not by the names of tables, and
 * everything that is gone is passed over.
 */
#include "postgres.h"

#include "access/xact.h"
#include "attach.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "model.h"
#include "side_tables.h"
#include "sql.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

/* a pipeline's row, as far as detach needs it */
typedef struct PipelineRow
{
	const char *pipeline;
	char	   *schema;
	char	   *table;
	char	   *stage_column;
	char	   *changed_column;
	char	   *prefix;
	bool		shadow;
	Oid			leads;			/* InvalidOid: gone */
} PipelineRow;

LqPipeline *
lq_pipeline_whole(const char *name)
{
	LqPipeline *pipeline = lq_pipeline_get(name, false);

	if (pipeline->broken)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("a table or column of pipeline \"%s\" is missing", name),
				 errhint("View lead_qualify.problem says which.")));
	return pipeline;
}

static PipelineRow *
read_row(const char *pipeline)
{
	PipelineRow *row = palloc0(sizeof(PipelineRow));
	LqUser		saved;
	HeapTuple	tuple;
	TupleDesc	desc;

	(void) lq_pipeline_get(pipeline, false);	/* an error if it is unknown */
	lq_become(&saved, lq_extension_owner());
	if (lq_run("SELECT leads_schema, leads_table, stage_column, changed_column, prefix, mode"
			   " FROM lead_qualify.pipeline WHERE pipeline = %L FOR UPDATE", pipeline) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("pipeline \"%s\" was detached in the meantime", pipeline)));
	lq_return(&saved);
	tuple = SPI_tuptable->vals[0];
	desc = SPI_tuptable->tupdesc;
	row->pipeline = pipeline;
	row->schema = SPI_getvalue(tuple, desc, 1);
	row->table = SPI_getvalue(tuple, desc, 2);
	row->stage_column = SPI_getvalue(tuple, desc, 3);
	row->changed_column = SPI_getvalue(tuple, desc, 4);
	row->prefix = SPI_getvalue(tuple, desc, 5);
	row->shadow = strcmp(SPI_getvalue(tuple, desc, 6), "shadow") == 0;
	row->leads = lq_find_relation(row->schema, row->table);
	return row;
}

/*
 * Whose pipeline it is: the leads owner's; of the state table when leads are
 * gone; of the extension when that is gone, too.
 */
static void
check_owner(const PipelineRow *row)
{
	Oid			owner = lq_relation_owner(row->leads);

	if (!OidIsValid(owner))
		owner = lq_relation_owner(lq_find_relation(row->schema,
											 psprintf("%s_qualification", row->prefix)));
	if (!OidIsValid(owner))
		owner = lq_extension_owner();
	if (!has_privs_of_role(GetUserId(), owner))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("must be owner of pipeline \"%s\"", row->pipeline),
				 errdetail("Its owner is role \"%s\".", GetUserNameFromId(owner, false)),
				 errhint("Let a member of that role do this.")));
}

/* ----------------------------------------------------------------
 * detach
 * ----------------------------------------------------------------
 */

/*
 * Run a statement, which format() makes of a trigger's name and its table's
 * schema and name, for the triggers that name the pipeline and call one of
 * these functions, on tables of the caller.  One that somebody else put on a
 * table of his own is refused when it fires.
 */
static void
run_for_triggers(const char *pipeline, const char *functions, const char *statement)
{
	uint64		n = lq_run("SELECT DISTINCT pg_catalog.format(%L, t.tgname, n.nspname, c.relname)"
						   " FROM pg_catalog.pg_trigger t"
						   " JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid"
						   " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
						   " JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid"
						   " JOIN pg_catalog.pg_namespace f ON f.oid = p.pronamespace"
						   " CROSS JOIN (SELECT pg_catalog.convert_to(%L, pg_catalog.getdatabaseencoding())"
						   " || pg_catalog.decode('00', 'hex') AS bytes) a"
						   " WHERE f.nspname = 'lead_qualify' AND p.proname = ANY (%L::pg_catalog.name[])"
						   " AND NOT t.tgisinternal AND t.tgparentid = 0"
						   " AND pg_catalog.substring(t.tgargs, 1, pg_catalog.octet_length(a.bytes)) = a.bytes"
						   " AND pg_catalog.pg_has_role(c.relowner, 'USAGE') ORDER BY 1",
						   statement, pipeline, functions);
	char	  **statements = palloc(n * sizeof(char *));

	for (uint64 i = 0; i < n; i++)
		statements[i] = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1);
	for (uint64 i = 0; i < n; i++)
		lq_run("%s", statements[i]);
}

/* configuration and versions; the pipeline's own row goes last */
static void
delete_rows(const char *pipeline)
{
	static const char *const tables[] = {
		"condition_problem", "band", "reason", "list", "exclusion", "transition", "gate",
		"stage", "rule", "dimension", "version", "source", "pipeline"
	};
	LqUser		saved;

	lq_become(&saved, lq_extension_owner());
	for (int i = 0; i < lengthof(tables); i++)
		lq_run("DELETE FROM lead_qualify.%I WHERE pipeline = %L", tables[i], pipeline);
	lq_return(&saved);
}

static void
drop_stage_columns(const PipelineRow *row)
{
	const char *columns[] = {row->stage_column, row->changed_column};

	if (!OidIsValid(row->leads))
		return;
	for (int i = 0; i < lengthof(columns); i++)
		if (lq_stage_column_is_ours(row->leads, columns[i], row->pipeline))
			lq_run("ALTER TABLE %I.%I DROP COLUMN %I", row->schema, row->table, columns[i]);
}

static void
detach(const char *pipeline, bool keep_data)
{
	PipelineRow *row = read_row(pipeline);
	LqUser		saved;

	check_owner(row);
	lq_become(&saved, GetUserId());
	/* writers of activities go on to leads, writers of leads only read activities */
	run_for_triggers(pipeline, "{activity_changed}",
					 "LOCK TABLE %2$I.%3$I IN SHARE ROW EXCLUSIVE MODE");
	if (OidIsValid(row->leads))
		lq_run("LOCK TABLE %I.%I IN SHARE ROW EXCLUSIVE MODE", row->schema, row->table);
	run_for_triggers(pipeline, "{activity_changed,lead_changed}",
					 "DROP TRIGGER %1$I ON %2$I.%3$I");
	lq_views_drop(row->schema, row->prefix);
	if (keep_data)
		lq_side_tables_keep(row->schema, row->prefix, pipeline, row->shadow);
	else
	{
		lq_side_tables_drop(row->schema, row->prefix);
		drop_stage_columns(row);
	}
	lq_return(&saved);
	delete_rows(pipeline);
}

PG_FUNCTION_INFO_V1(lq_detach);

Datum
lq_detach(PG_FUNCTION_ARGS)
{
	SPI_connect();
	detach(text_to_cstring(PG_GETARG_TEXT_PP(0)), PG_GETARG_BOOL(1));
	SPI_finish();
	PG_RETURN_VOID();
}

/* ----------------------------------------------------------------
 * go_live
 * ----------------------------------------------------------------
 */

/* what lq_stages_write() needs, from the live version */
static LqTarget *
live_target(LqPipeline *pipeline)
{
	LqTarget   *target = palloc0(sizeof(LqTarget));
	const LqModel *model = lq_model_at(pipeline, GetCurrentTransactionStartTimestamp());
	AttrNumber	attnum = get_attnum(pipeline->leads, pipeline->stage_column);
	Oid			collation;

	target->pipeline = pstrdup(pipeline->name);
	target->leads = pipeline->leads;
	target->owner = pipeline->owner;
	target->schema = pstrdup(pipeline->leads_schema);
	target->table = pstrdup(pipeline->leads_table);
	target->name = lq_leads_name(pipeline);
	target->lead_key = pstrdup(pipeline->lead_key);
	target->stage_column = pstrdup(pipeline->stage_column);
	target->changed_column = pstrdup(pipeline->changed_column);
	target->prefix = pstrdup(pipeline->prefix);
	get_atttypetypmodcoll(pipeline->leads, attnum, &target->stage_type,
						  &target->stage_typmod, &collation);
	for (int i = 0; i < model->nstages; i++)
	{
		LqSpelling *stage = palloc0(sizeof(LqSpelling));

		stage->stage = pstrdup(model->stages[i].name);
		stage->stored = pstrdup(model->stages[i].stored_as);
		target->stages = lappend(target->stages, stage);
		if (target->first == NULL && LQ_ON_PATH(model->stages[i].kind))
			target->first = stage;
	}
	return target;
}

/*
 * Writers of leads and whoever holds their rows must have finished, and the
 * statements that still computed in shadow mode: the former by the lock on
 * leads, the latter by that on the state table, in this order.
 */
static void
go_live(const char *name)
{
	PipelineRow *row = read_row(name);
	LqPipeline *pipeline;
	LqUser		saved;
	uint64		written;

	check_owner(row);
	if (!row->shadow)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("pipeline \"%s\" is live already", name),
				 errhint("go_live() ends what attach(mode => 'shadow') began.")));
	pipeline = lq_pipeline_whole(name);

	lq_become(&saved, GetUserId());
	lq_run("LOCK TABLE %s IN EXCLUSIVE MODE", lq_leads_name(pipeline));
	lq_run("LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE",
		   lq_side_name(pipeline, "qualification"));
	lq_return(&saved);
	pipeline = lq_pipeline_whole(name); /* as of now, after waiting */

	lq_become(&saved, lq_extension_owner());
	lq_run("UPDATE lead_qualify.pipeline SET mode = 'live' WHERE pipeline = %L", name);
	lq_return(&saved);
	written = lq_stages_write(live_target(pipeline));
	ereport(NOTICE,
			(errmsg("pipeline \"%s\" is live", name),
			 errdetail_plural("The stage of %llu lead was written.",
							  "The stages of %llu leads were written.",
							  (unsigned long) written, (unsigned long long) written)));
}

PG_FUNCTION_INFO_V1(lq_go_live);

Datum
lq_go_live(PG_FUNCTION_ARGS)
{
	SPI_connect();
	go_live(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	SPI_finish();
	PG_RETURN_VOID();
}
