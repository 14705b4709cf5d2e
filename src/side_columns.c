/*
 * side_columns.c
 *		The columns of what stands beside a leads table.
 *
 * Side tables belong to the application's owner, who can alter them; we read
 * their values as the types given here, so these are checked when a pipeline
 * is loaded.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_attribute.h"
#include "catalog/pg_type.h"
#include "side_columns.h"
#include "sql.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

static const LqSideColumn qualification_columns[LQ_NSTATE] = {
	[LQ_STATE_LEAD] = {"lead", NULL, "NOT NULL PRIMARY KEY", "Key of the lead"},
	[LQ_STATE_SCORE] = {"score", "lead_qualify.lead_score", NULL, "Score as of scored_at, from which lead_qualify.points() and total() give it for any later time; NULL: not scored yet"},
	[LQ_STATE_TOTAL] = {"total_at_event", "double precision", NULL, "Total score at scored_at"},
	[LQ_STATE_ENGAGEMENT] = {"engagement_at_event", "double precision", NULL, "Engagement at scored_at"},
	[LQ_STATE_FIT] = {"fit_at_event", "double precision", NULL, "Fit at scored_at"},
	[LQ_STATE_SCORED_AT] = {"scored_at", "timestamp with time zone", NULL, "Time of the newest event that the score contains"},
	[LQ_STATE_STAGE] = {"stage", "text", NULL, "Stage the lead is in"},
	[LQ_STATE_GRADE] = {"grade", "lead_qualify.lead_grade", NULL, "Grade at scored_at"},
	[LQ_STATE_ASSESSMENT] = {"assessment", "lead_qualify.assessment", "NOT NULL DEFAULT ''", "What the lead has answered: criterion by criterion the newest answer"},
	[LQ_STATE_CONFIRMED] = {"confirmed", "lead_qualify.assessment", NULL, "What was answered since the mark; NULL: there is no mark"},
	[LQ_STATE_EXCLUDED] = {"excluded", "text", NULL, "Exclusion that holds for the lead; reports leave it out"},
	[LQ_STATE_CYCLE] = {"cycle", "integer", "NOT NULL DEFAULT 1", "How often the lead has begun, counted from 1"},
	[LQ_STATE_MARK] = {"mark", "timestamp with time zone", NULL, "Time of the newest step back: for the stages left behind, only what is newer counts"},
	[LQ_STATE_MARK_STAGE] = {"mark_stage", "text", NULL, "Furthest stage that was left behind"},
	[LQ_STATE_GATE] = {"gate", "text", NULL, "Gate by which the lead came into its stage"},
	[LQ_STATE_KEEPING] = {"keeping", "boolean", NULL, "The score has been where that gate wants to keep it: below it the lead falls back"},
	[LQ_STATE_STAGE_SINCE] = {"stage_since", "timestamp with time zone", NULL, "When the lead came into its stage"},
	[LQ_STATE_ACTIVE_AT] = {"active_at", "timestamp with time zone", NULL, "Time of the newest activity, or of the lead's beginning"},
	[LQ_STATE_HELD_FROM] = {"held_from", "text", NULL, "Stage that the lead goes back to after the hold"},
	[LQ_STATE_HELD_UNTIL] = {"held_until", "timestamp with time zone", NULL, "End of the hold"},
	[LQ_STATE_WAITS_AT] = {"waits_at", "timestamp with time zone", NULL, "Time of the first activity or answer that is dated in the future"},
	[LQ_STATE_DUE] = {"next_due_at", "timestamp with time zone", NULL, "When the clock will next change something"},
	[LQ_STATE_CHECK_AT] = {"check_at", "timestamp with time zone", NULL, "When advance() looks at the lead, not later than next_due_at; indexed"},
	[LQ_STATE_ATTRIBUTES_AT] = {"attributes_at", "timestamp with time zone", NULL, "Time of the newest known change of the lead's columns"},
	[LQ_STATE_LEAD_SINCE] = {"lead_since", "timestamp with time zone", NULL, "When the lead began"},
	[LQ_STATE_VERSION] = {"version", "integer", NULL, "Version of the configuration in force at scored_at"},
	[LQ_STATE_PUBLISHED] = {"published_version", "integer", NULL, "Newest version when the state was computed"},
	[LQ_STATE_ARCHIVED_AT] = {"archived_at", "timestamp with time zone", NULL, "Replays start here, from the row of the baseline table; NULL: from the first event"},
};

static const LqSideColumn history_columns[] = {
	{"id", "bigint", "GENERATED ALWAYS AS IDENTITY PRIMARY KEY", "Number of the row"},
	{"lead", NULL, "NOT NULL", "Key of the lead"},
	{"cycle", "integer", "NOT NULL DEFAULT 1", "Cycle of the lead the move belongs to"},
	{"stage", "text", NULL, "Stage entered"},
	{"from_stage", "text", NULL, "Stage left, NULL at the beginning"},
	{"entered_at", "timestamp with time zone", NULL, "Time of the event that moved the lead; NULL: before the pipeline was attached"},
	{"left_at", "timestamp with time zone", NULL, "When the lead left the stage, NULL while it is there"},
	{"cause", "text", "NOT NULL", "Kind of the event that moved the lead"},
	{"gate", "text", NULL, "Gate by which the lead came"},
	{"reason", "text", NULL, "Reason given for a manual move"},
	{"note", "text", NULL, "Note given for a manual move"},
	{"origin", "text", NULL, "How the row came about: live, backfill, import or recompute"},
	{"total", "double precision", NULL, "Total score at the move"},
	{"engagement", "double precision", NULL, "Engagement at the move"},
	{"fit", "double precision", NULL, "Fit at the move"},
	{"assessment", "lead_qualify.assessment", NULL, "What the lead had answered by the move"},
	{"version", "integer", NULL, "Version of the configuration in force at the move"},
	{"moved_by", "text", NULL, "Who moved the lead by hand"},
	{"held_until", "timestamp with time zone", NULL, "End of a hold; NULL: until further notice"},
	{"forced", "boolean", "NOT NULL DEFAULT false", "Moved by hand although no gate of the stage held"},
	{"recorded_at", "timestamp with time zone", NULL, "Time of the transaction that wrote the row"},
	{"txid", "xid8", NULL, "Transaction that wrote the row"},
	{"superseded_at", "timestamp with time zone", NULL, "When a replay found that the move did not happen, NULL: it stands"},
	{"segments", "jsonb", NULL, "What the pipeline's segment columns were at the move, kept when the lead is deleted or erased"},
};

static const LqSideColumn answers_columns[] = {
	{"id", "bigint", "GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY", "Number of the row; answers of one moment count in this order"},
	{"lead", NULL, "NOT NULL", "Key of the lead"},
	{"assessment", "lead_qualify.assessment", NULL, "What was answered"},
	{"withdrawn", "text", NULL, "Criterion of which nothing is known any more; instead of assessment"},
	{"answered_at", "timestamp with time zone", "NOT NULL DEFAULT now()", "When it was answered"},
	{"note", "text", NULL, "What else was said"},
	{"answered_by", "text", "DEFAULT CURRENT_USER", "Who recorded it"},
	{"recorded_at", "timestamp with time zone", "DEFAULT now()", "Time of the transaction that recorded it"},
};

static const LqSideColumn attributes_columns[] = {
	{"lead", NULL, "NOT NULL", "Key of the lead"},
	{"changed_at", "timestamp with time zone", "NOT NULL", "Since when the lead's columns have these values"},
	{"values", "jsonb", "NOT NULL", "Columns of the lead that published conditions name"},
};

const LqSideTable lq_side_tables[LQ_NSIDE_TABLES] =
{
	/* a score is updated in place at each activity: leave room for it */
	{"qualification", qualification_columns, lengthof(qualification_columns), NULL, 80, false, true, NULL},
	{"stage_history", history_columns, lengthof(history_columns), NULL, 90, true, false,
	"Stages each lead was in"},
	{"attributes", attributes_columns, lengthof(attributes_columns),
	"PRIMARY KEY (lead, changed_at)", 100, false, true, "What the leads' columns were when"},
	{"answers", answers_columns, lengthof(answers_columns),
		"CONSTRAINT answer_or_withdrawal CHECK ((assessment IS NULL) <> (withdrawn IS NULL)), "
		"CONSTRAINT withdrawn_is_a_criterion CHECK (lead_qualify.criterion_name(withdrawn) <> ''), "
		"CONSTRAINT answered_at_is_finite CHECK (isfinite(answered_at))", 100, true, true,
	"Answers to the qualification questions, as they were given"},
	/* a copy of the state as it was then: the same columns */
	{"baseline", qualification_columns, lengthof(qualification_columns), NULL, 100, false, true,
	"States that archive() made the baseline of their leads"},
};

Oid
lq_side_column_type(const LqSideColumn *column, Oid key_type)
{
	static const struct
	{
		const char *name;
		Oid			type;
	}			types[] =
	{
		{"text", TEXTOID},
		{"integer", INT4OID},
		{"bigint", INT8OID},
		{"boolean", BOOLOID},
		{"double precision", FLOAT8OID},
		{"timestamp with time zone", TIMESTAMPTZOID},
		{"jsonb", JSONBOID},
		{"xid8", XID8OID},
	};

	if (column->type == NULL)
		return key_type;
	for (int i = 0; i < lengthof(types); i++)
		if (strcmp(column->type, types[i].name) == 0)
			return types[i].type;
	/* a type of ours */
	return lq_type_oid(strchr(column->type, '.') + 1);
}

static char *
column_problem(const LqSideColumn *column, Oid relid, Oid key_type)
{
	HeapTuple	tuple = SearchSysCacheAttName(relid, column->name);
	Form_pg_attribute att;
	char	   *problem = NULL;

	if (!HeapTupleIsValid(tuple))
		return psprintf("column \"%s\" of table %s.%s does not exist", column->name,
						get_namespace_name(get_rel_namespace(relid)), get_rel_name(relid));
	att = (Form_pg_attribute) GETSTRUCT(tuple);
	if (att->atttypid != lq_side_column_type(column, key_type) ||
		(!att->attnotnull && column->constraint != NULL &&
		 strncmp(column->constraint, "NOT NULL", 8) == 0))
		problem = psprintf("column \"%s\" of table %s.%s has been altered", column->name,
						   get_namespace_name(get_rel_namespace(relid)), get_rel_name(relid));
	ReleaseSysCache(tuple);
	return problem;
}

char *
lq_side_problem(const LqSideTable *table, Oid relid, Oid key_type)
{
	for (int i = 0; i < table->ncolumns; i++)
	{
		char	   *problem = column_problem(&table->columns[i], relid, key_type);

		if (problem != NULL)
			return problem;
	}
	return NULL;
}
