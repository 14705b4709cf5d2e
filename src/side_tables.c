/*
 * side_tables.c
 *		DDL of what attach puts beside the application's tables: side tables,
 *		their grants and policies, views, triggers, the stage columns.
 *
 * Side tables are ordinary tables of the leads owner without foreign keys, so
 * that they are dumped, replicated and secured with the application and are in
 * the way of none of its DDL.  A comment on the state table tells whose it is:
 * by that, attach knows again what detach kept.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "commands/comment.h"
#include "commands/policy.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "model.h"
#include "side_columns.h"
#include "side_tables.h"
#include "sql.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#define LQ_POLICY "lead_qualify_visible"

typedef struct View
{
	const char *suffix;
	const char *comment;		/* %s is the pipeline */
	const char *(*columns)[2];	/* in order, with their comments */
	int			ncolumns;
} View;

static const char *scored_columns[][2] = {
	{"lead", "Key of the lead"},
	{"total", "Total score now"},
	{"engagement", "Engagement now"},
	{"fit", "Fit now"},
	{"grade", "Grade: the band that fit is in now"},
	{"label", "Grade and engagement band, such as A1"},
	{"stage", "Stage the lead is in"},
	{"stage_position", "Position of the stage, for ORDER BY"},
	{"days_in_stage", "Days since the lead entered the stage; NULL: unknown"},
	{"missing_criteria", "Criteria of the pipeline's framework that the lead does not meet, or has to confirm after a step back, in its order"},
	{"next_question", "Question to ask next"},
};

static const char *sla_due_columns[][2] = {
	{"lead", "Key of the lead"},
	{"stage", "Stage the lead is in"},
	{"owner", "Who works on leads in this stage: marketing or sales"},
	{"entered_at", "When the lead entered the stage"},
	{"sla", "Time in which a lead in this stage should be worked on, by the version now in force"},
	{"due_at", "When that time is over by the clock"},
	{"business_due_at", "When that time is over in business time, by calendar default in the time zone of the pipeline"},
	{"overdue", "due_at has passed"},
	{"business_overdue", "business_due_at has passed"},
};

static const char *funnel_columns[][2] = {
	{"position", "Position of the stage, for ORDER BY"},
	{"stage", "Stage on the path"},
	{"entered", "Journeys that reached the stage or a later one"},
	{"converted", "Of these, those that went on"},
	{"lost", "Of these, those that were disqualified, lost or recycled"},
	{"still_open", "Of these, those of which it is not known yet"},
	{"current_leads", "Leads that are in the stage now"},
	{"step_rate", "Went on within the pipeline's conversion_window, of those that entered at least that long ago"},
	{"step_low", "Lower end of its interval (Wilson, 95 %)"},
	{"step_high", "Upper end of its interval (Wilson, 95 %)"},
	{"cumulative_rate", "Product of the step rates before"},
};

static const char *conversion_columns[][2] = {
	{"month", "Month in which the leads became MQL, in the pipeline's time zone"},
	{"leads", "Different leads"},
	{"entered", "Journeys that became MQL in the month"},
	{"converted", "Of these, those that reached SQL or a later stage so far"},
	{"lost", "Of these, those that were disqualified, lost or recycled before"},
	{"still_open", "Of these, those of which it is not known yet"},
	{"skipped", "Journeys that came to a later stage without ever being MQL; in no rate"},
	{"eligible", "Journeys that became MQL at least the pipeline's conversion_window ago"},
	{"mature", "All are eligible: the rate will hardly change any more"},
	{"rate", "Converted within the conversion_window, of the eligible"},
	{"rate_low", "Lower end of its interval (Wilson, 95 %)"},
	{"rate_high", "Upper end of its interval (Wilson, 95 %)"},
	{"expected_rate", "What the rate of the whole month will be"},
	{"expected_low", "Lower end of its prediction interval (95 %)"},
	{"expected_high", "Upper end of its prediction interval (95 %)"},
	{"projected", "expected_rate goes on with the hazards of older months"},
	{"median_days", "Days in which half of those that convert have; NULL until mature"},
	{"p90_days", "Days in which nine tenths of those that convert have; NULL until mature"},
};

static const View views[] = {
	{"scored", "Leads of pipeline \"%s\" with score and stage, as of now",
	scored_columns, lengthof(scored_columns)},
	{"sla_due", "Leads of pipeline \"%s\" that wait in a stage with an SLA, and until when they may, as of now",
	sla_due_columns, lengthof(sla_due_columns)},
	{"funnel", "Stages of pipeline \"%s\" and how many leads went on from each, as of now",
	funnel_columns, lengthof(funnel_columns)},
	{"conversion_monthly", "Conversion from MQL to SQL of pipeline \"%s\" by the month in which the leads became MQL, as of now",
	conversion_columns, lengthof(conversion_columns)},
};

/* ----------------------------------------------------------------
 * Names
 * ----------------------------------------------------------------
 */

static char *
side_name(const char *schema, const char *prefix, const char *suffix)
{
	char	   *name = psprintf("%s_%s", prefix, suffix);

	return pstrdup(quote_qualified_identifier(schema, name));
}

static Oid
side_relid(const char *schema, const char *prefix, const char *suffix)
{
	Oid			namespace = get_namespace_oid(schema, true);

	return OidIsValid(namespace) ?
		get_relname_relid(psprintf("%s_%s", prefix, suffix), namespace) : InvalidOid;
}

/* comment of the state table */
static char *
state_mark(const char *pipeline, bool shadow)
{
	return psprintf(shadow ? "State of each lead in pipeline \"%s\" of lead_qualify (shadow)" :
					"State of each lead in pipeline \"%s\" of lead_qualify", pipeline);
}

/* comment of a column that attach added to the leads table */
static char *
column_mark(const char *pipeline)
{
	return psprintf("Written by pipeline \"%s\" of lead_qualify", pipeline);
}

/* is the table there, with a mark of this pipeline? */
static bool
is_kept(const LqTarget *target, const char *prefix, bool *shadow)
{
	Oid			relid = side_relid(target->schema, prefix, "qualification");
	char	   *comment = OidIsValid(relid) ?
		GetComment(relid, RelationRelationId, 0) : NULL;

	if (comment == NULL)
		return false;
	*shadow = strcmp(comment, state_mark(target->pipeline, true)) == 0;
	return *shadow || strcmp(comment, state_mark(target->pipeline, false)) == 0;
}

/*
 * The prefix of the side tables: the leads table's name, with the pipeline's
 * after it if the leads have a pipeline already; cut so that all names fit.
 * Tables that detach kept for this pipeline decide where they are.
 */
char *
lq_prefix_choose(const LqTarget *target, bool second)
{
	int			room = LQ_PREFIX_MAX - 1 - strlen(target->pipeline);
	char	   *alone = pnstrdup(target->table,
								 pg_mbcliplen(target->table, strlen(target->table),
											  LQ_PREFIX_MAX));
	char	   *both = psprintf("%.*s_%s",
								pg_mbcliplen(target->table, strlen(target->table), room),
								target->table, target->pipeline);
	bool		shadow;

	if (second || is_kept(target, both, &shadow))
		return both;
	return alone;
}

/* ----------------------------------------------------------------
 * Tables
 * ----------------------------------------------------------------
 */

static bool
is_side_table(const LqTarget *target, Oid relid, const LqSideTable *table)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Form_pg_class form;
	bool		result;

	if (!HeapTupleIsValid(tuple))
		return false;
	form = (Form_pg_class) GETSTRUCT(tuple);
	result = form->relkind == RELKIND_RELATION && form->relowner == target->owner;
	for (int i = 0; i < table->ncolumns && result; i++)
	{
		const LqSideColumn *column = &table->columns[i];
		AttrNumber	attnum = get_attnum(relid, column->name);
		Oid			type = attnum == InvalidAttrNumber ? InvalidOid :
			get_atttype(relid, attnum);

		if (!OidIsValid(type))
			result = false;
		else if (column->type == NULL)
			result = type == target->key_type;
		else
			result = strcmp(format_type_be(type), column->type) == 0;
	}
	ReleaseSysCache(tuple);
	return result;
}

/*
 * Are our names free, or what detach kept?  A name that is neither is an
 * error.
 */
static bool
check_names(const LqTarget *target, bool *shadow)
{
	bool		kept = is_kept(target, target->prefix, shadow);

	for (int i = 0; i < LQ_NSIDE_TABLES + lengthof(views); i++)
	{
		bool		is_view = i >= LQ_NSIDE_TABLES;
		const char *suffix = is_view ? views[i - LQ_NSIDE_TABLES].suffix :
			lq_side_tables[i].suffix;
		Oid			relid = side_relid(target->schema, target->prefix, suffix);

		if (!OidIsValid(relid) ||
			(kept && !is_view && is_side_table(target, relid, &lq_side_tables[i])))
			continue;
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_TABLE),
				 errmsg("relation %s already exists",
						side_name(target->schema, target->prefix, suffix)),
				 errdetail("Pipeline \"%s\" needs this name, and the relation is not what detach() of this pipeline kept.",
						   target->pipeline),
				 errhint("Rename or drop it.")));
	}
	return kept;
}

static void
create_table(const LqTarget *target, const LqSideTable *table)
{
	char	   *name = side_name(target->schema, target->prefix, table->suffix);
	StringInfoData buf;

	initStringInfo(&buf);
	lq_append(&buf, "CREATE TABLE %s (", name);
	for (int i = 0; i < table->ncolumns; i++)
	{
		const LqSideColumn *column = &table->columns[i];

		lq_append(&buf, "%s%I %s %s", i > 0 ? ", " : "", column->name,
				  column->type ? column->type : target->key_type_sql,
				  column->constraint ? column->constraint : "");
	}
	if (table->constraint)
		lq_append(&buf, ", %s", table->constraint);
	lq_append(&buf, ") WITH (fillfactor = %d)", table->fillfactor);
	lq_run("%s", buf.data);
	for (int i = 0; i < table->ncolumns; i++)
		lq_run("COMMENT ON COLUMN %s.%I IS %L", name, table->columns[i].name,
			   table->columns[i].comment);
	if (table->events)
		lq_run("CREATE INDEX ON %s (lead)", name);
	if (strcmp(table->suffix, "qualification") == 0)
	{
		lq_run("CREATE INDEX ON %s (check_at) WHERE check_at IS NOT NULL", name);
		/* reports leave these out */
		lq_run("CREATE INDEX ON %s (lead) WHERE excluded IS NOT NULL", name);
	}
	if (GetUserId() != target->owner)
		lq_run("ALTER TABLE %s OWNER TO %I", name,
			   GetUserNameFromId(target->owner, false));
}

/* who may read the leads may read what stands beside them */
static void
copy_grants(const LqTarget *target, const char *name)
{
	uint64		n = lq_run("SELECT CASE a.grantee WHEN 0 THEN 'PUBLIC'"
						   " ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) END,"
						   " CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END"
						   " FROM pg_catalog.pg_class c, pg_catalog.aclexplode(c.relacl) AS a"
						   " WHERE c.oid = %s AND a.privilege_type = 'SELECT'"
						   " AND a.grantee <> c.relowner ORDER BY a.grantee",
						   psprintf("%u", target->leads));
	char	  **grantees = palloc(n * sizeof(char *));
	char	  **options = palloc(n * sizeof(char *));

	for (uint64 i = 0; i < n; i++)
	{
		grantees[i] = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1);
		options[i] = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 2);
	}
	for (uint64 i = 0; i < n; i++)
		lq_run("GRANT SELECT ON %s TO %s%s", name, grantees[i], options[i]);
}

/*
 * A row is visible when its lead is; the owner passes by.  Answers are also
 * given by others, on leads that they see.
 */
static void
create_policy(const LqTarget *target, const char *suffix)
{
	Oid			relid = side_relid(target->schema, target->prefix, suffix);
	char	   *name = side_name(target->schema, target->prefix, suffix);

	lq_run("ALTER TABLE %s ENABLE ROW LEVEL SECURITY", name);
	if (!OidIsValid(get_relation_policy_oid(relid, LQ_POLICY, true)))
		lq_run("CREATE POLICY " LQ_POLICY " ON %s FOR %s"
			   " USING (EXISTS (SELECT FROM %s AS l WHERE l.%I = %I.lead))",
			   name, strcmp(suffix, "answers") == 0 ? "ALL" : "SELECT", target->name, target->lead_key,
			   psprintf("%s_%s", target->prefix, suffix));
}

/*
 * Create the side tables, or take up what detach kept; fills in taken_up and
 * kept_shadow.
 */
void
lq_side_tables_create(LqTarget *target)
{
	target->taken_up = check_names(target, &target->kept_shadow);
	for (int i = 0; i < LQ_NSIDE_TABLES; i++)
	{
		const LqSideTable *table = &lq_side_tables[i];
		char	   *name = side_name(target->schema, target->prefix, table->suffix);

		if (!OidIsValid(side_relid(target->schema, target->prefix, table->suffix)))
			create_table(target, table);
		lq_run("COMMENT ON TABLE %s IS %L", name,
			   table->comment ? table->comment : state_mark(target->pipeline, false));
		copy_grants(target, name);
		if (target->row_security)
			create_policy(target, table->suffix);
	}
}

void
lq_side_tables_drop(const char *schema, const char *prefix)
{
	for (int i = 0; i < LQ_NSIDE_TABLES; i++)
		if (OidIsValid(side_relid(schema, prefix, lq_side_tables[i].suffix)))
			lq_run("DROP TABLE %s", side_name(schema, prefix, lq_side_tables[i].suffix));
}

/* leave a mark by which attach knows the tables again */
void
lq_side_tables_keep(const char *schema, const char *prefix,
					const char *pipeline, bool shadow)
{
	if (OidIsValid(side_relid(schema, prefix, "qualification")))
		lq_run("COMMENT ON TABLE %s IS %L", side_name(schema, prefix, "qualification"),
			   state_mark(pipeline, shadow));
}

/* ----------------------------------------------------------------
 * Views
 * ----------------------------------------------------------------
 */

/*
 * They name no column of the application's tables: a view would forbid to
 * change its type or to drop it.  A score knows no time before its newest
 * event, which may be a moment after the transaction's now().
 */
#define POINTS_OR_NULL(dimension) \
	"CASE WHEN '" dimension "' OPERATOR(pg_catalog.=) ANY (lead_qualify.dimensions(q.score))" \
	" THEN lead_qualify.points(q.score, '" dimension "', t.at) END"

static void
scored_create(const LqTarget *target, const char *name)
{
	lq_run("CREATE VIEW %s WITH (security_invoker = true) AS"
		   " SELECT s.lead, s.total, s.engagement, s.fit, s.grade,"
		   " NULLIF(pg_catalog.concat(s.grade, lead_qualify.band_label(%L, 'engagement', s.engagement)), '') AS label,"
		   " s.stage, lead_qualify.stage_position(%L, s.stage) AS stage_position,"
		   " CAST(EXTRACT(epoch FROM pg_catalog.now() - h.entered_at) / 86400 AS double precision) AS days_in_stage,"
		   " lead_qualify.missing_criteria(s.assessment, lead_qualify.pipeline_framework(%L)) AS missing_criteria,"
		   " lead_qualify.next_question(s.assessment, lead_qualify.pipeline_framework(%L),"
		   " pg_catalog.current_setting('lead_qualify.language')) AS next_question"
		   /* after a step back what was answered before is to be confirmed */
		   " FROM (SELECT q.lead, q.stage, COALESCE(q.confirmed, q.assessment) AS assessment,"
		   " lead_qualify.total(q.score, t.at) AS total,"
		   " " POINTS_OR_NULL("engagement") " AS engagement,"
		   " " POINTS_OR_NULL("fit") " AS fit,"
		   " CAST(lead_qualify.band_label(%L, 'fit', " POINTS_OR_NULL("fit") ")"
		   " AS lead_qualify.lead_grade) AS grade FROM %s AS q,"
		   " LATERAL (SELECT GREATEST(pg_catalog.now(), q.scored_at) AS at) AS t) AS s"
		   " LEFT JOIN %s AS h ON h.lead = s.lead AND h.left_at IS NULL AND h.superseded_at IS NULL",
		   name, target->pipeline, target->pipeline, target->pipeline, target->pipeline, target->pipeline,
		   side_name(target->schema, target->prefix, "qualification"),
		   side_name(target->schema, target->prefix, "stage_history"));
}

/*
 * What sla_report() counts as still there, lead by lead: no imports, whose
 * SLA nobody promised, and no excluded leads.
 */
static void
sla_due_create(const LqTarget *target, const char *name)
{
	char	   *history = side_name(target->schema, target->prefix, "stage_history");

	lq_run("CREATE VIEW %s WITH (security_invoker = true) AS"
		   " SELECT d.lead, d.stage, d.owner, d.entered_at, d.sla, d.due_at, d.business_due_at,"
		   " d.due_at < pg_catalog.now() AS overdue,"
		   " d.business_due_at < pg_catalog.now() AS business_overdue"
		   " FROM (SELECT h.lead, a.stage, a.owner, h.entered_at, a.sla,"
		   " lead_qualify.sla_due(h.entered_at, a.sla, NULL, a.time_zone) AS due_at,"
		   " lead_qualify.sla_due(h.entered_at, a.sla, 'default', a.time_zone) AS business_due_at"
		   " FROM lead_qualify.stage_slas(%L) AS a JOIN %s AS h ON h.stage = a.stage"
		   " AND h.left_at IS NULL AND h.superseded_at IS NULL"
		   /* it stays live when a replay writes it anew, with other scores */
		   " AND (h.origin = 'live' OR EXISTS (SELECT FROM %s AS o WHERE o.lead = h.lead"
		   " AND o.cycle = h.cycle AND o.stage = h.stage"
		   " AND o.entered_at = h.entered_at AND o.origin = 'live'))"
		   " JOIN %s AS q ON q.lead = h.lead AND q.excluded IS NULL"
		   " WHERE h.entered_at IS NOT NULL) AS d",
		   name, target->pipeline, history, history,
		   side_name(target->schema, target->prefix, "qualification"));
}

/* counts as integers: many a tool reads a bigint as text */
static void
funnel_create(const LqTarget *target, const char *name)
{
	lq_run("CREATE VIEW %s WITH (security_invoker = true) AS"
		   " SELECT r.\"position\", r.stage, r.entered::integer, r.converted::integer, r.lost::integer,"
		   " r.still_open::integer, r.current_leads::integer, r.step_rate, r.step_low, r.step_high, r.cumulative_rate"
		   " FROM lead_qualify.funnel_report(%L) AS r",
		   name, target->pipeline);
}

static void
conversion_create(const LqTarget *target, const char *name)
{
	lq_run("CREATE VIEW %s WITH (security_invoker = true) AS"
		   " SELECT r.cohort AS month, r.leads::integer, r.entered::integer, r.converted::integer, r.lost::integer,"
		   " r.still_open::integer, r.skipped::integer, r.eligible::integer, r.mature, r.rate, r.rate_low, r.rate_high,"
		   " r.expected_rate, r.expected_low, r.expected_high, r.projected,"
		   " CAST(EXTRACT(epoch FROM r.median_time) / 86400 AS double precision) AS median_days,"
		   " CAST(EXTRACT(epoch FROM r.p90_time) / 86400 AS double precision) AS p90_days"
		   /* a pipeline without such stages has no such rates */
		   " FROM (SELECT %L AS pipeline FROM lead_qualify.path_stages(%L) AS s"
		   " HAVING pg_catalog.bool_or(s.kind = 'mql') AND pg_catalog.bool_or(s.kind = 'sql')) AS p,"
		   " LATERAL lead_qualify.conversion_report(p.pipeline) AS r",
		   name, target->pipeline, target->pipeline);
}

void
lq_views_create(const LqTarget *target)
{
	scored_create(target, side_name(target->schema, target->prefix, "scored"));
	sla_due_create(target, side_name(target->schema, target->prefix, "sla_due"));
	funnel_create(target, side_name(target->schema, target->prefix, "funnel"));
	conversion_create(target, side_name(target->schema, target->prefix, "conversion_monthly"));
	for (int i = 0; i < lengthof(views); i++)
	{
		const View *view = &views[i];
		char	   *name = side_name(target->schema, target->prefix, view->suffix);

		lq_run("COMMENT ON VIEW %s IS %L", name, psprintf(view->comment, target->pipeline));
		for (int j = 0; j < view->ncolumns; j++)
			lq_run("COMMENT ON COLUMN %s.%I IS %L", name, view->columns[j][0],
				   view->columns[j][1]);
		if (GetUserId() != target->owner)
			lq_run("ALTER VIEW %s OWNER TO %I", name,
				   GetUserNameFromId(target->owner, false));
		copy_grants(target, name);
	}
}

void
lq_views_drop(const char *schema, const char *prefix)
{
	for (int i = 0; i < lengthof(views); i++)
	{
		Oid			relid = side_relid(schema, prefix, views[i].suffix);

		if (OidIsValid(relid) && get_rel_relkind(relid) == RELKIND_VIEW)
			lq_run("DROP VIEW %s", side_name(schema, prefix, views[i].suffix));
	}
}

/* ----------------------------------------------------------------
 * Triggers
 * ----------------------------------------------------------------
 */

/* before and after are what stands before and after the table's name */
static void
create_trigger(const char *pipeline, const char *event, const char *kind,
			   const char *table, const char *before, const char *after,
			   const char *call)
{
	lq_run("CREATE %s %I %s ON %s %s EXECUTE FUNCTION %s", kind,
		   psprintf("lead_qualify_%s_%s", pipeline, event),
		   before, table, after, call);
}

/*
 * Logical replication applies changes as a replica, where only such triggers
 * fire.
 */
static void
enable_always(const char *pipeline, const char *table, const char *const *events)
{
	for (int i = 0; events[i] != NULL; i++)
		lq_run("ALTER TABLE %s ENABLE ALWAYS TRIGGER %I", table,
			   psprintf("lead_qualify_%s_%s", pipeline, events[i]));
}

#define EACH_ROW "FOR EACH ROW"
#define EACH_STATEMENT "FOR EACH STATEMENT"
#define NEW_ROWS "REFERENCING NEW TABLE AS lead_qualify_new " EACH_STATEMENT
#define OLD_ROWS "REFERENCING OLD TABLE AS lead_qualify_old " EACH_STATEMENT
#define BOTH_ROWS "REFERENCING OLD TABLE AS lead_qualify_old NEW TABLE AS lead_qualify_new " EACH_STATEMENT

void
lq_activity_triggers_create(const LqTarget *target,
							const LqActivityTable *activities)
{
	static const char *const row_events[] = {"change", "truncate", NULL};
	const char *pipeline = target->pipeline;
	const char *table = activities->name;
	char	   *number = psprintf("%d", activities->number);
	char	   *call = lq_format("lead_qualify.activity_changed(%L, %L)", pipeline, number);

	if (strcmp(activities->fire, "statement") == 0)
	{
		create_trigger(pipeline, "insert", "TRIGGER", table, "AFTER INSERT", NEW_ROWS, call);
		create_trigger(pipeline, "update", "TRIGGER", table, "AFTER UPDATE", BOTH_ROWS, call);
		create_trigger(pipeline, "delete", "TRIGGER", table, "AFTER DELETE", OLD_ROWS, call);
	}
	else
		create_trigger(pipeline, "change", "TRIGGER", table,
					   "AFTER INSERT OR UPDATE OR DELETE", EACH_ROW,
					   strcmp(activities->fire, "deferred") != 0 ? call :
					   lq_format("lead_qualify.activity_changed(%L, %L, 'collect')",
								 pipeline, number));
	if (strcmp(activities->fire, "deferred") == 0)
		create_trigger(pipeline, "deferred", "CONSTRAINT TRIGGER", table,
					   "AFTER INSERT OR UPDATE OR DELETE",
					   "DEFERRABLE INITIALLY DEFERRED " EACH_ROW,
					   lq_format("lead_qualify.activity_changed(%L, %L, 'flush')",
								 pipeline, number));
	create_trigger(pipeline, "truncate", "TRIGGER", table, "AFTER TRUNCATE",
				   EACH_STATEMENT, call);
	if (strcmp(activities->fire, "row") == 0)
		enable_always(pipeline, table, row_events);
}

/*
 * Updates of leads are compared row by row: with transition tables each
 * update would copy every wide row.
 */
void
lq_leads_triggers_create(const LqTarget *target)
{
	static const char *const events[] = {"insert", "update", "delete", "truncate", NULL};
	const char *pipeline = target->pipeline;
	const char *table = target->name;
	bool		row = strcmp(target->fire, "row") == 0;
	/* a row that moves to another partition fires row triggers only */
	bool		partitioned = get_rel_relkind(target->leads) == RELKIND_PARTITIONED_TABLE;
	char	   *call = lq_format("lead_qualify.lead_changed(%L)", pipeline);

	create_trigger(pipeline, "insert", "TRIGGER", table, "AFTER INSERT",
				   row || partitioned ? EACH_ROW : NEW_ROWS, call);
	create_trigger(pipeline, "update", "TRIGGER", table, "AFTER UPDATE", EACH_ROW, call);
	create_trigger(pipeline, "delete", "TRIGGER", table, "AFTER DELETE", EACH_ROW, call);
	create_trigger(pipeline, "truncate", "TRIGGER", table, "AFTER TRUNCATE",
				   EACH_STATEMENT, call);
	if (row)
		enable_always(pipeline, table, events);
}

/* answers are events like activities, and fire as they do */
void
lq_answers_triggers_create(const LqTarget *target)
{
	LqActivityTable answers = {0};

	answers.number = LQ_ANSWERS;
	answers.name = side_name(target->schema, target->prefix, "answers");
	answers.fire = target->fire;
	lq_activity_triggers_create(target, &answers);
}

/* ----------------------------------------------------------------
 * The stage columns
 * ----------------------------------------------------------------
 */

/*
 * A constant default is stored in the catalog and needs no rewrite: the table
 * is locked for a moment only.
 */
void
lq_stage_columns_add(const LqTarget *target)
{
	StringInfoData buf;
	const char *first = target->first->stored ? target->first->stored :
		target->first->stage;

	if (target->stage_existed && !target->changed_missing)
		return;
	initStringInfo(&buf);
	lq_append(&buf, "ALTER TABLE %s", target->name);
	if (target->stage_missing)
		lq_append(&buf, " ADD COLUMN %I text DEFAULT %L", target->stage_column, first);
	else if (!target->stage_existed)
		lq_append(&buf, " ALTER COLUMN %I SET DEFAULT %L", target->stage_column, first);
	if (target->changed_missing)
		lq_append(&buf, "%s ADD COLUMN %I timestamp with time zone",
				  target->stage_existed ? "" : ",", target->changed_column);
	lq_run("%s", buf.data);
	if (target->stage_missing)
		lq_run("COMMENT ON COLUMN %s.%I IS %L", target->name, target->stage_column,
			   column_mark(target->pipeline));
	if (target->changed_missing)
		lq_run("COMMENT ON COLUMN %s.%I IS %L", target->name, target->changed_column,
			   column_mark(target->pipeline));
}

/* did attach add the column? */
bool
lq_stage_column_is_ours(Oid leads, const char *column, const char *pipeline)
{
	AttrNumber	attnum = get_attnum(leads, column);
	char	   *comment = attnum == InvalidAttrNumber ? NULL :
		GetComment(leads, RelationRelationId, attnum);

	return comment != NULL && strcmp(comment, column_mark(pipeline)) == 0;
}
