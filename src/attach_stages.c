/*
 * attach_stages.c
 *		A stage column that the application already has.
 *
 * Its values are the stages the leads start from.  A stage is spelled there
 * as the setting lead_qualify.stored_as says, or as the draft says, or else as
 * the value that says the same: case and punctuation do not matter, and the
 * stage's kind or its long name will do ("New", "Marketing Qualified Lead").
 * What was found goes into stage.stored_as of the draft.  Each value stands
 * for one stage; what remains is an error.
 *
 * All statements run on an open SPI connection.
 */
#include "postgres.h"

#include "attach.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "sql.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"

#define SHOWN_VALUES 10			/* in the error about unmapped ones */
#define MAX_VALUES 1000			/* distinct values worth looking at */

/* other words for the kinds, folded */
static const struct
{
	const char *kind;
	const char *word;
}			synonyms[] =
{
	{"lead", "new"},
	{"lead", "newlead"},
	{"mql", "marketingqualified"},
	{"mql", "marketingqualifiedlead"},
	{"sal", "salesaccepted"},
	{"sal", "salesacceptedlead"},
	{"sql", "salesqualified"},
	{"sql", "salesqualifiedlead"},
	{"won", "customer"},
	{"won", "closedwon"},
	{"hold", "onhold"},
	{"disqualified", "unqualified"},
	{"lost", "closedlost"},
};

/* a value found in the column */
typedef struct StageValue
{
	char	   *text;
	char	   *folded;
	int64		count;			/* 0: a label of the enum that no row uses */
	bool		taken;
} StageValue;

/* setting lead_qualify.stored_as */
static char *stored_as_setting = NULL;

void
lq_attach_init(void)
{
	DefineCustomStringVariable("lead_qualify.stored_as",
							   "How an existing stage column spells the stages, for attach().",
							   "A JSON object of stage and spelling, such as {\"mql\": \"Qualified\"}.",
							   &stored_as_setting,
							   "",
							   PGC_USERSET, 0,
							   NULL, NULL, NULL);
}

/* letters and digits only, ASCII in lower case */
static char *
fold(const char *text)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (const char *p = text; *p != '\0'; p++)
	{
		if (*p >= 'A' && *p <= 'Z')
			appendStringInfoChar(&buf, *p - 'A' + 'a');
		else if ((*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9') ||
				 IS_HIGHBIT_SET(*p))
			appendStringInfoChar(&buf, *p);
	}
	return buf.data;
}

/*
 * Work as the leads owner, seeing all his rows.  What only reads is restricted
 * besides: CHECK constraints are his code, and the caller may be a superuser.
 */
static void
become_owner(LqUser *saved, const LqTarget *target, bool restricted)
{
	lq_become(saved, target->owner);
	SetUserIdAndSecContext(target->owner,
						   saved->context | SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_NOFORCE_RLS |
						   (restricted ? SECURITY_RESTRICTED_OPERATION : 0));
}

static char *
column_value(uint64 row, int column)
{
	return SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column);
}

/*
 * The stages of the draft.  first is the one new leads are in.
 */
void
lq_stages_read(LqTarget *target)
{
	static const char *const path[] = {"lead", "mql", "sal", "sql", "opportunity", "won"};
	LqUser		saved;
	uint64		n;

	lq_become(&saved, lq_extension_owner());
	n = lq_run("SELECT stage, kind, stored_as FROM lead_qualify.stage"
			   " WHERE pipeline = %L ORDER BY \"position\", stage", target->pipeline);
	lq_return(&saved);

	target->stages = NIL;
	target->first = NULL;
	for (uint64 i = 0; i < n; i++)
	{
		LqSpelling *stage = palloc0(sizeof(LqSpelling));

		stage->stage = column_value(i, 1);
		stage->kind = column_value(i, 2);
		stage->stored = column_value(i, 3);
		target->stages = lappend(target->stages, stage);
		for (int k = 0; k < lengthof(path) && target->first == NULL; k++)
			if (strcmp(stage->kind, path[k]) == 0)
				target->first = stage;
	}
	if (target->first == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("pipeline \"%s\" has no stage on the path", target->pipeline)));
}

/* stages as a list for messages */
static char *
stage_names(const LqTarget *target, bool unspelled_only)
{
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	foreach(lc, target->stages)
	{
		LqSpelling *stage = lfirst(lc);

		if (!unspelled_only || stage->stored == NULL)
			appendStringInfo(&buf, "%s%s", buf.len > 0 ? ", " : "", stage->stage);
	}
	return buf.data;
}

/* ----------------------------------------------------------------
 * Finding each stage's spelling
 * ----------------------------------------------------------------
 */

/* what the setting says goes before everything else */
static void
apply_setting(LqTarget *target)
{
	const char *setting = GetConfigOption("lead_qualify.stored_as", true, false);
	uint64		n;

	if (setting == NULL || setting[0] == '\0')
		return;
	n = lq_run("SELECT key, value FROM pg_catalog.jsonb_each_text(%L::pg_catalog.jsonb)",
			   setting);
	for (uint64 i = 0; i < n; i++)
	{
		char	   *name = column_value(i, 1);
		bool		known = false;
		ListCell   *lc;

		foreach(lc, target->stages)
		{
			LqSpelling *stage = lfirst(lc);

			if (strcmp(stage->stage, name) != 0)
				continue;
			stage->stored = column_value(i, 2);
			known = true;
		}
		if (!known)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("setting lead_qualify.stored_as names stage \"%s\", which does not exist",
							name),
					 errdetail("The stages are %s.", stage_names(target, false)),
					 errhint("Its form is {\"stage\": \"spelling\"}.")));
	}
}

/* the values in use, most frequent first, then the other labels of an enum */
static List *
read_values(const LqTarget *target)
{
	Oid			base = getBaseType(target->stage_type);
	const char *column = quote_identifier(target->stage_column);
	List	   *values = NIL;
	LqUser		saved;
	uint64		n;

	become_owner(&saved, target, true);
	n = lq_run("SELECT value, pg_catalog.sum(count)::bigint FROM ("
			   "SELECT %s::text AS value, pg_catalog.count(*) AS count FROM %s"
			   " WHERE %s IS NOT NULL GROUP BY 1"
			   " UNION ALL SELECT enumlabel::text, 0 FROM pg_catalog.pg_enum"
			   " WHERE enumtypid = %s) AS v"
			   " GROUP BY value ORDER BY 2 DESC, value COLLATE \"C\" LIMIT %d",
			   column, target->name, column, psprintf("%u", base), MAX_VALUES);
	lq_return(&saved);
	for (uint64 i = 0; i < n; i++)
	{
		StageValue *value = palloc0(sizeof(StageValue));

		value->text = column_value(i, 1);
		value->folded = fold(value->text);
		value->count = strtoll(column_value(i, 2), NULL, 10);
		values = lappend(values, value);
	}
	return values;
}

/* how sure we are that a value means a stage; 0: not at all */
static int
likeness(const LqSpelling *stage, const StageValue *value)
{
	if (strcmp(value->text, stage->stage) == 0)
		return 4;
	if (strcmp(value->folded, fold(stage->stage)) == 0)
		return 3;
	if (strcmp(value->folded, stage->kind) == 0)
		return 2;
	for (int i = 0; i < lengthof(synonyms); i++)
		if (strcmp(synonyms[i].kind, stage->kind) == 0 &&
			strcmp(synonyms[i].word, value->folded) == 0)
			return 1;
	return 0;
}

static void
match_values(LqTarget *target, List *values)
{
	ListCell   *lc;
	ListCell   *lv;

	foreach(lc, target->stages)
	{
		LqSpelling *stage = lfirst(lc);

		foreach(lv, values)
		{
			StageValue *value = lfirst(lv);

			if (stage->stored != NULL && strcmp(stage->stored, value->text) == 0)
				value->taken = true;
		}
	}
	for (int wanted = 4; wanted > 0; wanted--)
		foreach(lc, target->stages)
		{
			LqSpelling *stage = lfirst(lc);

			foreach(lv, values)
			{
				StageValue *value = lfirst(lv);

				if (stage->stored == NULL && !value->taken &&
					likeness(stage, value) == wanted)
				{
					stage->stored = value->text;
					value->taken = true;
				}
			}
		}
}

/* ----------------------------------------------------------------
 * What cannot be mapped or stored
 * ----------------------------------------------------------------
 */

static void
refuse_unmapped(const LqTarget *target, List *values)
{
	StringInfoData buf;
	ListCell   *lc;
	int			n = 0;

	initStringInfo(&buf);
	foreach(lc, values)
	{
		StageValue *value = lfirst(lc);

		if (value->taken || value->count == 0)
			continue;
		if (n++ < SHOWN_VALUES)
			appendStringInfo(&buf, "%s\"%s\" (%lld)", buf.len > 0 ? ", " : "",
							 value->text, (long long) value->count);
	}
	if (n == 0)
		return;
	if (n > SHOWN_VALUES)
		appendStringInfo(&buf, " and %d more", n - SHOWN_VALUES);
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("column \"%s\" of %s holds values that are no stage of pipeline \"%s\"",
					target->stage_column, target->name, target->pipeline),
			 errdetail("Values and how many leads have them: %s. Stages not spelled there: %s.",
					   buf.data, stage_names(target, true)),
			 errhint("Say how the column spells the stages, as in SET lead_qualify.stored_as = '{\"mql\": \"spelling\"}'; "
					 "or leave it alone and pass stage_column => 'a new column'.")));
}

static void
refuse_unstorable(const LqTarget *target, const char *stages, const char *why)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("column \"%s\" of %s cannot hold every stage of pipeline \"%s\"",
					target->stage_column, target->name, target->pipeline),
			 errdetail("%s: %s.", why, stages),
			 errhint("Make room for them in the column, spell them by SET lead_qualify.stored_as = '{\"stage\": \"spelling\"}', "
					 "or leave it alone and pass stage_column => 'a new column'.")));
}

/* (VALUES ('mql', 'Qualified'), ...) */
static char *
spelling_values(const LqTarget *target)
{
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	appendStringInfoString(&buf, "(VALUES ");
	foreach(lc, target->stages)
	{
		LqSpelling *stage = lfirst(lc);

		lq_append(&buf, "%s(%L::text, %L::text)", foreach_current_index(lc) > 0 ? ", " : "",
				  stage->stage, stage->stored);
	}
	appendStringInfoChar(&buf, ')');
	return buf.data;
}

/* type of the stage column as SQL */
static char *
stage_type_sql(const LqTarget *target)
{
	return format_type_extended(target->stage_type, target->stage_typmod,
								FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY);
}

static void
casting_context(void *arg)
{
	const LqTarget *target = arg;

	errcontext("checking that column \"%s\" of %s can hold every stage (%s)",
			   target->stage_column, target->name, stage_names(target, false));
}

/* does a spelling survive the column's type? */
static void
check_type(LqTarget *target)
{
	Oid			base = getBaseType(target->stage_type);
	char	   *unfit;
	ErrorContextCallback context;

	if (type_is_enum(base))
	{
		unfit = lq_run_text("SELECT pg_catalog.string_agg(s.stored, ', ') FROM %s AS s(stage, stored)"
							" WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_enum e"
							" WHERE e.enumtypid = %s AND e.enumlabel::text = s.stored)",
							spelling_values(target), psprintf("%u", base));
		if (unfit != NULL)
			refuse_unstorable(target, unfit,
							  psprintf("Type %s has no labels for", format_type_be(base)));
		return;
	}

	context.callback = casting_context;
	context.arg = target;
	context.previous = error_context_stack;
	error_context_stack = &context;
	unfit = lq_run_text("SELECT pg_catalog.string_agg(stored, ', ') FROM %s AS s(stage, stored)"
						" WHERE CAST(CAST(stored AS %s) AS text) IS DISTINCT FROM stored",
						spelling_values(target), stage_type_sql(target));
	error_context_stack = context.previous;
	if (unfit != NULL)
		refuse_unstorable(target, unfit,
						  psprintf("Type %s changes", format_type_with_typemod(target->stage_type,
																			   target->stage_typmod)));
}

/* is a CHECK constraint against it? */
static void
check_constraints(LqTarget *target)
{
	uint64		n = lq_run("SELECT conname, pg_catalog.pg_get_expr(conbin, conrelid)"
						   " FROM pg_catalog.pg_constraint WHERE contype = 'c' AND conrelid = %s"
						   " AND conkey = ARRAY[(SELECT attnum FROM pg_catalog.pg_attribute"
						   " WHERE attrelid = conrelid AND attname = %L)]",
						   psprintf("%u", target->leads), target->stage_column);
	char	  **names = palloc(n * sizeof(char *));
	char	  **checks = palloc(n * sizeof(char *));

	for (uint64 i = 0; i < n; i++)
	{
		names[i] = column_value(i, 1);
		checks[i] = column_value(i, 2);
	}
	for (uint64 i = 0; i < n; i++)
	{
		char	   *unfit;

		unfit = lq_run_text("SELECT pg_catalog.string_agg(v.stored, ', ')"
							" FROM (SELECT stored, CAST(stored AS %s) AS %I FROM %s AS s(stage, stored)) AS v"
							" WHERE NOT (%s)",
							stage_type_sql(target), target->stage_column,
							spelling_values(target), checks[i]);
		if (unfit != NULL)
			refuse_unstorable(target, unfit,
							  psprintf("CHECK constraint \"%s\" refuses", names[i]));
	}
}

/*
 * Map an existing stage column: fills in how each stage is stored and writes
 * it to the draft, or raises an error.
 */
void
lq_stages_map(LqTarget *target)
{
	List	   *values;
	ListCell   *lc;
	LqUser		saved;

	apply_setting(target);
	values = read_values(target);
	match_values(target, values);
	refuse_unmapped(target, values);

	lq_become(&saved, lq_extension_owner());
	foreach(lc, target->stages)
	{
		LqSpelling *stage = lfirst(lc);

		if (stage->stored == NULL)
			stage->stored = stage->stage;
		lq_run("UPDATE lead_qualify.stage SET stored_as = NULLIF(%L, stage)"
			   " WHERE pipeline = %L AND stage = %L",
			   stage->stored, target->pipeline, stage->stage);
	}
	lq_return(&saved);

	lq_stages_check(target);
}

/* can the column hold every stage, as it is spelled? */
void
lq_stages_check(LqTarget *target)
{
	ListCell   *lc;
	LqUser		saved;

	foreach(lc, target->stages)
	{
		LqSpelling *stage = lfirst(lc);

		if (stage->stored == NULL)
			stage->stored = stage->stage;
	}
	become_owner(&saved, target, true);
	check_type(target);
	check_constraints(target);
	lq_return(&saved);
}

/* ----------------------------------------------------------------
 * Leads that are in a stage already
 * ----------------------------------------------------------------
 */

/*
 * A lead whose kept state says another stage than its row was moved by the
 * application while the pipeline was detached.
 */
static void
import_moved(const LqTarget *target, const char *state, const char *history)
{
	lq_run("WITH moved AS (UPDATE %s AS q SET stage = s.stage"
		   " FROM %s AS l JOIN %s AS s(stage, stored) ON s.stored = l.%I::text"
		   " WHERE l.%I = q.lead AND s.stage <> q.stage"
		   " RETURNING q.lead, q.cycle, s.stage),"
		   " closed AS (UPDATE %s AS h SET left_at = pg_catalog.now() FROM moved AS m"
		   " WHERE h.lead = m.lead AND h.left_at IS NULL AND h.superseded_at IS NULL"
		   " RETURNING h.lead, h.stage)"
		   " INSERT INTO %s (lead, cycle, stage, from_stage, entered_at, cause, origin,"
		   " moved_by, recorded_at, txid)"
		   " SELECT m.lead, m.cycle, m.stage, c.stage, pg_catalog.now(), 'manual', 'live',"
		   " %L, pg_catalog.now(), pg_catalog.pg_current_xact_id()"
		   " FROM moved AS m LEFT JOIN closed AS c ON c.lead = m.lead ORDER BY m.lead",
		   state, target->name, spelling_values(target), target->stage_column,
		   target->lead_key, history, history,
		   GetUserNameFromId(GetUserId(), false));
}

/*
 * Leads that came in while the pipeline was detached, or all: their stage is
 * what it is, since nobody knows when.
 */
static void
import_attached(const LqTarget *target, const char *state, const char *history)
{
	char	   *condition = target->stage_existed ? "" :
		lq_format(" AND COALESCE(s.stage, %L) <> %L", target->first->stage,
				  target->first->stage);

	lq_run("WITH attached AS (INSERT INTO %s (lead, stage)"
		   " SELECT l.%I, COALESCE(s.stage, %L) FROM %s AS l"
		   " LEFT JOIN %s AS s(stage, stored) ON s.stored = l.%I::text"
		   " WHERE NOT EXISTS (SELECT FROM %s AS q WHERE q.lead = l.%I)%s"
		   " ORDER BY 1 RETURNING lead, cycle, stage)"
		   " INSERT INTO %s (lead, cycle, stage, cause, origin, moved_by, recorded_at, txid)"
		   " SELECT lead, cycle, stage, 'attached', 'live', %L, pg_catalog.now(),"
		   " pg_catalog.pg_current_xact_id() FROM attached",
		   state, target->lead_key, target->first->stage, target->name,
		   spelling_values(target), target->stage_column, state, target->lead_key,
		   condition, history, GetUserNameFromId(GetUserId(), false));
}

/*
 * State and history of leads whose table has stages already.  State that
 * detach kept is brought up to date: what happened since then is found when
 * the lead is first touched, since its score is unknown now.
 */
void
lq_stages_import(const LqTarget *target)
{
	char	   *state = lq_format("%I.%I", target->schema,
								  psprintf("%s_qualification", target->prefix));
	char	   *history = lq_format("%I.%I", target->schema,
									psprintf("%s_stage_history", target->prefix));
	char	   *attributes = lq_format("%I.%I", target->schema,
									   psprintf("%s_attributes", target->prefix));
	LqUser		saved;

	become_owner(&saved, target, false);
	if (target->taken_up)
	{
		lq_run("DELETE FROM %s AS a WHERE NOT EXISTS (SELECT FROM %s AS l WHERE l.%I = a.lead)",
			   attributes, target->name, target->lead_key);
		lq_run("DELETE FROM %s AS q WHERE NOT EXISTS (SELECT FROM %s AS l WHERE l.%I = q.lead)",
			   state, target->name, target->lead_key);
		lq_run("UPDATE %s SET score = NULL, total_at_event = NULL, engagement_at_event = NULL,"
			   " fit_at_event = NULL, scored_at = NULL, grade = NULL, next_due_at = NULL,"
			   " version = NULL", state);
		if (!target->stage_missing && !target->kept_shadow)
			import_moved(target, state, history);
	}
	if (!target->stage_missing)
		import_attached(target, state, history);
	lq_return(&saved);
}

/*
 * Write the stages that the state has to the leads table, where they differ;
 * locks rows in key order.  Returns how many leads were written.
 */
uint64
lq_stages_write(const LqTarget *target)
{
	char	   *state = lq_format("%I.%I", target->schema,
								  psprintf("%s_qualification", target->prefix));
	char	   *history = lq_format("%I.%I", target->schema,
									psprintf("%s_stage_history", target->prefix));
	char	   *differing = lq_format("l.%I = q.lead AND s.stage = q.stage AND"
									  " COALESCE(l.%I::text, %L) IS DISTINCT FROM s.stored",
									  target->lead_key, target->stage_column,
									  target->first->stored);
	LqUser		saved;
	uint64		written;

	become_owner(&saved, target, false);
	lq_run("SELECT FROM %s AS l, %s AS q, %s AS s(stage, stored) WHERE %s"
		   " ORDER BY l.%I FOR NO KEY UPDATE OF l",
		   target->name, state, spelling_values(target), differing, target->lead_key);
	written = lq_run("UPDATE %s AS l SET %I = CAST(s.stored AS %s), %I ="
					 " (SELECT pg_catalog.max(h.entered_at) FROM %s AS h WHERE h.lead = q.lead"
					 " AND h.left_at IS NULL AND h.superseded_at IS NULL)"
					 " FROM %s AS q, %s AS s(stage, stored) WHERE %s",
					 target->name, target->stage_column, stage_type_sql(target),
					 target->changed_column, history, state, spelling_values(target),
					 differing);
	lq_return(&saved);
	return written;
}
