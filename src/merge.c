/*
 * merge.c
 *		merge_leads(): two leads that are one person become one.
 *
 * A merge moves rows from the duplicate's key to the lead's and then replays
 * the lead once: what its triggers would make of each step is left out
 * (LqBusy).  What people did by hand cannot come out of a replay, so of that
 * is decided beforehand what stands (journeys_join()).
 *
 * Locks: first the activity rows of the duplicate, because whoever updates
 * one has it locked when he comes to the lead; then both leads rows in key
 * order, the duplicate's as strongly as its deletion needs; then side rows.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "condition.h"
#include "fmgr.h"
#include "lead_qualify.h"
#include "live.h"
#include "miscadmin.h"
#include "person.h"
#include "run.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* one of two leads in one pipeline, and the journey it has made */
typedef struct Journey
{
	Datum		key;
	TimestampTz since;			/* when the lead began, DT_NOBEGIN: unknown */
	TimestampTz archived;		/* up to when, DT_NOBEGIN: not at all */
	/* first entry into a stage on the path after the first one */
	TimestampTz entered;		/* DT_NOBEGIN: unknown when, DT_NOEND: none */
	int			stage;
	TimestampTz decided;		/* newest move by hand that stands */
	struct HistoryRow *created; /* NULL: none */
	struct HistoryRow *attached;
} Journey;

/* a row of history that stands */
typedef struct HistoryRow
{
	int64		id;
	bool		duplicate;
	const char *cause;
	int			stage;			/* in the newest version, -1: unknown there */
	bool		known;			/* when it was entered */
	TimestampTz at;
	bool		by_hand;
} HistoryRow;

/* what a merge is about in one pipeline */
typedef struct Merge
{
	LqPipeline *pipeline;
	const LqModel *model;		/* newest version */
	Journey		lead;
	Journey		duplicate;
	TimestampTz clock;			/* how far both had come */
	LqBusy		busy[2];
	int			nrows;
	HistoryRow *rows;
	List	   *superseded;		/* of HistoryRow */
	List	   *converted;		/* of HistoryRow: become moves by hand, cause 'merge' */
} Merge;

/* ----------------------------------------------------------------
 * Statements
 * ----------------------------------------------------------------
 */

/* $1 the one key, $2 the other */
static uint64
execute_keys(const LqPipeline *p, const char *query, Datum one, Datum other)
{
	Oid			types[2] = {p->key_type, p->key_type};
	Datum		values[2] = {one, other};

	return lq_execute(query, 2, types, values);
}

static ArrayType *
key_array(const LqPipeline *p, Datum key)
{
	int16		len;
	bool		byval;
	char		align;

	get_typlenbyvalalign(p->key_type, &len, &byval, &align);
	return construct_array(&key, 1, p->key_type, len, byval, align);
}

/* ----------------------------------------------------------------
 * Activities and the leads rows: the application's tables
 * ----------------------------------------------------------------
 */

/*
 * "WHERE a row a is the duplicate's", $1 being an array of its key.  A filter
 * is evaluated in the pipeline's time zone, until the end of the GUC nest
 * level.
 */
static char *
of_duplicate(const LqPipeline *p, const LqSource *source)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfoString(&buf, " WHERE ");
	lq_append_about_leads(&buf, p, source);
	if (source->filter_text != NULL)
	{
		lq_append(&buf, " AND (%s)", source->filter_text);
		lq_set_option("TimeZone", p->time_zone);
		lq_set_option("DateStyle", "ISO");
	}
	return buf.data;
}

/* a table that is there, but not as it was, would keep activities of nobody */
static void
check_sources(const LqPipeline *p)
{
	for (int i = 0; i < p->nsources; i++)
	{
		const LqSource *source = &p->sources[i];

		if (source->problem == NULL ||
			!OidIsValid(lq_find_relation(source->schema, source->table)))
			continue;
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("activities of %s cannot be merged", source->name),
				 errdetail_internal("%s.", lq_error_sentence(source->problem)),
				 errhint("See lead_qualify.problem.")));
	}
}

/* lock the activities that will be moved, before any lead */
static void
activities_lock(Merge *m)
{
	LqPipeline *p = m->pipeline;
	Datum		values[1] = {PointerGetDatum(key_array(p, m->duplicate.key))};

	for (int i = 0; i < p->nsources; i++)
	{
		LqSource   *source = &p->sources[i];
		int			level = NewGUCNestLevel();

		if (OidIsValid(source->relid))
			(void) lq_execute(lq_format("SELECT FROM %s AS a%s FOR NO KEY UPDATE", source->name,
										of_duplicate(p, source)), 1, &p->key_array, values);
		AtEOXact_GUC(false, level);
	}
}

/* the activities of one table become the lead's; returns how many */
static uint64
activities_move(Merge *m, LqSource *source)
{
	LqPipeline *p = m->pipeline;
	Oid			types[2] = {p->key_array, TEXTOID};
	Datum		values[2];
	char	   *condition = of_duplicate(p, source);
	Oid			type;
	int32		typmod;
	Oid			collation;
	uint64		moved;

	get_atttypetypmodcoll(source->relid, get_attnum(source->relid, source->activity_lead),
						  &type, &typmod, &collation);
	values[0] = PointerGetDatum(key_array(p, m->duplicate.key));
	values[1] = CStringGetTextDatum(lq_key_text(p, m->lead.key));
	moved = lq_execute(lq_format("UPDATE %s AS a SET %I = $2::%s%s", source->name,
								 source->activity_lead, format_type_be_qualified(type), condition),
					   2, types, values);
	if (lq_execute(lq_format("SELECT FROM %s AS a%s LIMIT 1", source->name, condition),
				   1, types, values) > 0)
		ereport(ERROR,
				(errcode(ERRCODE_TRIGGERED_ACTION_EXCEPTION),
				 errmsg("an activity of the duplicate was not moved: a trigger or policy on %s keeps it",
						source->name)));
	return moved;
}

/* lock a leads row, as strongly as what is to come needs */
static void
lead_lock(const LqPipeline *p, Datum key, bool to_be_deleted)
{
	Oid			type = p->key_type;

	if (lq_execute(lq_format("SELECT FROM %s AS l WHERE l.%I = $1 FOR %s", lq_leads_name(p),
							 p->lead_key, to_be_deleted ? "UPDATE" : "NO KEY UPDATE"),
				   1, &type, &key) == 0)
		lq_person_unknown(p, lq_key_text(unconstify(LqPipeline *, p), key));
}

static void
leads_lock(Merge *m)
{
	LqPipeline *p = m->pipeline;
	bool		lead_first = lq_key_cmp(p, m->lead.key, m->duplicate.key) < 0;

	lead_lock(p, lead_first ? m->lead.key : m->duplicate.key, !lead_first);
	lead_lock(p, lead_first ? m->duplicate.key : m->lead.key, lead_first);
}

/* other tables' rows of the duplicate are the application's business */
static void
lead_delete(Merge *m)
{
	LqPipeline *p = m->pipeline;
	MemoryContext cxt = CurrentMemoryContext;
	uint64		volatile deleted = 0;

	PG_TRY();
	{
		deleted = lq_execute(lq_format("DELETE FROM %s AS l WHERE l.%I OPERATOR(pg_catalog.=) $1", lq_leads_name(p),
									   p->lead_key), 1, &p->key_type, &m->duplicate.key);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(cxt);
		error = CopyErrorData();
		if (error->sqlerrcode == ERRCODE_FOREIGN_KEY_VIOLATION && error->hint == NULL)
		{
			FlushErrorState();
			error->hint = psprintf("Let the rows that refer to the duplicate refer to lead \"%s\" first.",
								   lq_key_text(p, m->lead.key));
			ReThrowError(error);
		}
		PG_RE_THROW();
	}
	PG_END_TRY();
	if (deleted == 0)
		ereport(ERROR,
				(errcode(ERRCODE_TRIGGERED_ACTION_EXCEPTION),
				 errmsg("the duplicate was not deleted: a trigger or policy on %s keeps it",
						lq_leads_name(p))));
}

/* ----------------------------------------------------------------
 * Two journeys become one
 * ----------------------------------------------------------------
 */

static bool
is_cause(const HistoryRow *row, const char *cause)
{
	return strcmp(row->cause, cause) == 0;
}

static bool
is_first_stage(const Merge *m, int stage)
{
	return stage >= 0 && strcmp(m->model->stages[stage].name, lq_first_stage(m->pipeline)) == 0;
}

static bool
is_later_stage(const Merge *m, int stage)
{
	return stage >= 0 && LQ_ON_PATH(m->model->stages[stage].kind) && !is_first_stage(m, stage);
}

/* the rows of both that stand, oldest first; SPI is connected */
static void
rows_read(Merge *m, MemoryContext cxt)
{
	LqPipeline *p = m->pipeline;

	m->nrows = execute_keys(p, lq_format("SELECT h.id, (h.lead = $2)::pg_catalog.int4::pg_catalog.int8, h.cause, "
										 "h.stage, h.entered_at, COALESCE(h.entered_at, h.recorded_at), "
										 "(h.moved_by IS NOT NULL)::pg_catalog.int4::pg_catalog.int8 "
										 "FROM %s AS h WHERE h.lead IN ($1, $2) AND h.superseded_at IS NULL "
										 "ORDER BY 6, 1", lq_side_name(p, "stage_history")),
							m->lead.key, m->duplicate.key);
	m->rows = MemoryContextAllocZero(cxt, Max(1, m->nrows) * sizeof(HistoryRow));
	for (int i = 0; i < m->nrows; i++)
	{
		HistoryRow *row = &m->rows[i];
		const char *stage = lq_field_text(i, 4, cxt);

		row->id = lq_field_bigint(i, 1);
		row->duplicate = lq_field_bigint(i, 2) != 0;
		row->cause = lq_field_text(i, 3, cxt);
		row->stage = stage == NULL ? -1 : lq_model_stage(m->model, stage);
		row->known = lq_field_time(i, 5, DT_NOBEGIN) != DT_NOBEGIN;
		row->at = lq_field_time(i, 6, DT_NOBEGIN);
		/* attach notes who called it */
		row->by_hand = lq_field_bigint(i, 7) != 0 && !is_cause(row, "attached");
	}
}

/* where each began, and when it came further */
static void
journeys_read(Merge *m)
{
	for (int i = 0; i < m->nrows; i++)
	{
		HistoryRow *row = &m->rows[i];
		Journey    *j = row->duplicate ? &m->duplicate : &m->lead;
		TimestampTz at = row->known ? row->at : DT_NOBEGIN;

		if (is_cause(row, "created"))
			j->created = row;
		else if (is_cause(row, "attached"))
			j->attached = row;
		if (is_later_stage(m, row->stage) && at < j->entered)
		{
			j->entered = at;
			j->stage = row->stage;
		}
	}
}

/*
 * Did the duplicate's journey begin earlier?  Of two that began nobody knows
 * when, or together, the one that began further on.
 */
static bool
duplicate_is_earlier(const Merge *m)
{
	if (m->lead.archived != DT_NOBEGIN)
		return false;			/* what is archived stands */
	if (m->duplicate.entered != m->lead.entered)
		return m->duplicate.entered < m->lead.entered;
	return m->lead.entered != DT_NOEND && m->duplicate.stage > m->lead.stage;
}

/* that a duplicate was put away says nothing of the person */
static bool
was_put_away(const Merge *m, const HistoryRow *row)
{
	return row->duplicate && row->stage >= 0 &&
		m->model->stages[row->stage].kind == LQ_STAGE_DISQUALIFIED;
}

/*
 * What the merged lead begins with: one 'attached' row, or one 'created' row,
 * which the replay will date.  Whoever was created later, in a stage that
 * says something, was moved there then.
 */
static void
beginnings_join(Merge *m, Journey *first, Journey *second)
{
	HistoryRow *begins = first->attached;

	/* of activities before attach no gate is tested: that stays so, if it can */
	if (begins == NULL && second->attached != NULL && m->lead.archived == DT_NOBEGIN &&
		is_first_stage(m, second->attached->stage) && second->attached->at <= first->entered)
		begins = second->attached;
	if (second->attached != NULL && begins != second->attached)
		m->superseded = lappend(m->superseded, second->attached);
	if (begins == NULL && first->created != NULL &&
		(m->lead.archived != DT_NOBEGIN || is_first_stage(m, first->created->stage) ||
		 first->created->at <= (second->created != NULL ? second->created->at :
								second->since != DT_NOBEGIN ? second->since : DT_NOEND)))
		begins = first->created;
	if (begins == NULL && first->created == NULL)
		begins = second->created;
	for (int i = 0; i < 2; i++)
	{
		Journey    *j = i == 0 ? first : second;

		if (j->created == NULL || j->created == begins)
			continue;
		m->superseded = lappend(m->superseded, j->created);
		if (!is_first_stage(m, j->created->stage) && !was_put_away(m, j->created) &&
			(j == first || j->created->at > first->decided))
		{
			m->converted = lappend(m->converted, j->created);
			j->decided = Max(j->decided, j->created->at);
		}
	}
}

/*
 * What stands of what people did.  The journey with the earliest entry goes
 * on: its moves by hand stand, and of the other lead's those that came after
 * them.  All else of the other is superseded; the automatic rows of the
 * merged lead come out of its replay.
 */
static void
journeys_join(Merge *m)
{
	bool		duplicate_first = duplicate_is_earlier(m);
	Journey    *first = duplicate_first ? &m->duplicate : &m->lead;
	Journey    *second = duplicate_first ? &m->lead : &m->duplicate;

	for (int i = 0; i < m->nrows; i++)
	{
		HistoryRow *row = &m->rows[i];

		if (!row->by_hand || row->duplicate != duplicate_first)
			continue;
		if (was_put_away(m, row))
			m->superseded = lappend(m->superseded, row);
		else
			first->decided = Max(first->decided, row->at);
	}
	beginnings_join(m, first, second);
	for (int i = 0; i < m->nrows; i++)
	{
		HistoryRow *row = &m->rows[i];

		if (row->duplicate == duplicate_first || is_cause(row, "created") ||
			is_cause(row, "attached"))
			continue;
		if (!row->by_hand || was_put_away(m, row) || row->at <= first->decided)
			m->superseded = lappend(m->superseded, row);
	}
}

static ArrayType *
ids_of_rows(const List *rows)
{
	Datum	   *ids = palloc(Max(1, list_length(rows)) * sizeof(Datum));
	int			n = 0;
	ListCell   *lc;

	foreach(lc, rows)
		ids[n++] = Int64GetDatum(((HistoryRow *) lfirst(lc))->id);
	return construct_array(ids, n, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE);
}

static void
supersede(const LqPipeline *p, ArrayType *ids)
{
	Oid			types[1] = {INT8ARRAYOID};
	Datum		values[1] = {PointerGetDatum(ids)};

	(void) lq_execute(lq_format("UPDATE %s SET superseded_at = pg_catalog.now() WHERE id = ANY ($1)",
								lq_side_name(p, "stage_history")), 1, types, values);
}

/* write down what journeys_join() decided, and let all of it be the lead's */
static void
history_join(Merge *m, const char *actor)
{
	LqPipeline *p = m->pipeline;
	char	   *history = lq_side_name(p, "stage_history");
	Oid			types[3] = {INT8ARRAYOID, TEXTOID, TEXTOID};
	Datum		values[3];

	supersede(p, ids_of_rows(m->superseded));
	values[0] = PointerGetDatum(ids_of_rows(m->converted));
	values[1] = CStringGetTextDatum(actor);
	values[2] = CStringGetTextDatum(psprintf("merged with lead \"%s\"",
											 lq_key_text(p, m->duplicate.key)));
	if (m->converted != NIL)
		(void) lq_execute(lq_format("INSERT INTO %s (lead, cycle, stage, entered_at, cause, note, origin, total, "
									"engagement, fit, assessment, version, moved_by, recorded_at, txid) "
									"SELECT h.lead, h.cycle, h.stage, h.entered_at, 'merge', $3, h.origin, h.total, "
									"h.engagement, h.fit, h.assessment, h.version, $2, pg_catalog.now(), "
									"pg_catalog.pg_current_xact_id() FROM %s AS h WHERE h.id = ANY ($1)",
									history, history), 3, types, values);
	(void) execute_keys(p, lq_format("UPDATE %s SET lead = $1 WHERE lead = $2", history),
						m->lead.key, m->duplicate.key);
}

/* ----------------------------------------------------------------
 * The side tables
 * ----------------------------------------------------------------
 */

static Journey *
journey_of(Merge *m, const LqCase *c)
{
	return lq_key_cmp(m->pipeline, c->key, m->lead.key) == 0 ? &m->lead : &m->duplicate;
}

/* what is archived of each, and whether it began before its row tells */
static void
archives_read(Merge *m, LqCases *cases)
{
	lq_events_load(cases, false);
	for (int i = 0; i < cases->count; i++)
	{
		LqCase	   *c = &cases->cases[i];
		Journey    *j = journey_of(m, c);

		if (c->baseline != NULL)
			j->archived = c->baseline->at;
		for (int k = 0; k < c->nevents; k++)
			j->since = Min(j->since, c->events[k].pos.at);
	}
}

/* when each lead began, and how far the clock has come */
static void
states_read(Merge *m)
{
	Datum		keys[2] = {m->lead.key, m->duplicate.key};
	LqCases    *cases = lq_cases_create(m->pipeline, keys, 2);
	bool		archived = false;

	m->clock = GetCurrentTimestamp();
	lq_cases_lock(cases);
	lq_cases_read(cases);
	for (int i = 0; i < cases->count; i++)
	{
		LqCase	   *c = &cases->cases[i];
		Journey    *j = journey_of(m, c);

		if (c->erased)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("lead \"%s\" of pipeline \"%s\" has been erased",
							lq_key_text(m->pipeline, c->key), m->pipeline->name),
					 errhint("Its row in %s says so; delete that first if the lead is to begin anew.",
							 lq_side_name(m->pipeline, "qualification"))));
		j->since = c->lead_since != DT_NOBEGIN ? c->lead_since : c->created_at;
		m->clock = Max(m->clock, c->was.scored_at);
		archived = archived || c->archived_at != DT_NOBEGIN;
		c->replay = true;
	}
	if (archived)
		archives_read(m, cases);
	lq_cases_close(cases);
}

/*
 * The activities that a baseline stands for cannot be merged with others.  A
 * duplicate that began later than what is archived of the lead can.
 */
static void
check_archived(const Merge *m)
{
	LqPipeline *p = m->pipeline;
	TimestampTz began = m->duplicate.since;

	if (m->duplicate.created != NULL)
		began = Min(began, m->duplicate.created->at);
	if (m->duplicate.archived == DT_NOBEGIN && began >= m->lead.archived)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("lead \"%s\" of pipeline \"%s\" cannot be merged into lead \"%s\": it is older than an archive",
					lq_key_text(p, m->duplicate.key), p->name, lq_key_text(p, m->lead.key)),
			 m->duplicate.archived != DT_NOBEGIN ?
			 errdetail("Lead \"%s\" is archived up to %s.", lq_key_text(p, m->duplicate.key),
					   timestamptz_to_str(m->duplicate.archived)) :
			 errdetail("Lead \"%s\" is archived up to %s.", lq_key_text(p, m->lead.key),
					   timestamptz_to_str(m->lead.archived)),
			 m->lead.archived == DT_NOBEGIN ?
			 errhint("Merge lead \"%s\" into lead \"%s\", if it began later.",
					 lq_key_text(p, m->lead.key), lq_key_text(p, m->duplicate.key)) :
			 errhint("If the archived activities are still there, delete both leads' rows from %s, merge, and archive again.",
					 lq_side_name(p, "baseline"))));
}

/* state and images of the duplicate go, its answers and history become the lead's */
static void
side_rows_move(Merge *m, const char *actor)
{
	LqPipeline *p = m->pipeline;

	states_read(m);
	rows_read(m, CurrentMemoryContext);
	journeys_read(m);
	check_archived(m);
	journeys_join(m);
	(void) lq_execute(lq_format("DELETE FROM %s WHERE lead = $1", lq_side_name(p, "qualification")),
					  1, &p->key_type, &m->duplicate.key);
	(void) lq_execute(lq_format("DELETE FROM %s WHERE lead = $1", lq_side_name(p, "attributes")),
					  1, &p->key_type, &m->duplicate.key);
	(void) execute_keys(p, lq_format("UPDATE %s SET lead = $1 WHERE lead = $2",
									 lq_side_name(p, "answers")),
						m->lead.key, m->duplicate.key);
	history_join(m, actor);
}

/*
 * A move by hand into the stage that the merged lead is in already would count
 * it twice.  A hold may follow a hold: it has another end.
 */
static int64
redundant_move(Merge *m, const LqCase *c)
{
	ListCell   *lc;

	foreach(lc, c->moves)
	{
		LqMove	   *move = lfirst(lc);
		int			stage = lq_model_stage(m->model, move->stage);

		if (move->by_hand != NULL && move->by_hand->history_id != 0 &&
			strcmp(move->cause, "attached") != 0 &&
			lq_text_equal(move->stage, move->from_stage) &&
			(stage < 0 || m->model->stages[stage].kind != LQ_STAGE_HOLD))
			return move->by_hand->history_id;
	}
	return 0;
}

/* all events of the lead; false if a row of its history is in the way */
static bool
lead_replay(Merge *m)
{
	LqPipeline *p = m->pipeline;
	LqCases    *cases = lq_cases_create(p, &m->lead.key, 1);
	LqCase	   *c = &cases->cases[0];
	int64		redundant;

	if (lq_origin != NULL && lq_origin[0] != '\0')
		cases->origin = lq_origin;
	lq_cases_lock(cases);
	lq_cases_read(cases);
	if (!c->exists)
		ereport(ERROR,
				(errcode(ERRCODE_TRIGGERED_ACTION_EXCEPTION),
				 errmsg("lead \"%s\" was deleted together with its duplicate", lq_key_text(p, m->lead.key)),
				 errhint("A foreign key with ON DELETE CASCADE or a trigger on %s deletes it.",
						 lq_leads_name(p))));
	c->replay = true;
	c->lead_since = m->lead.since == DT_NOBEGIN ? m->duplicate.since :
		m->duplicate.since == DT_NOBEGIN ? m->lead.since :
		Min(m->lead.since, m->duplicate.since);
	lq_events_load(cases, false);
	lq_cases_replay(cases, m->clock);
	redundant = redundant_move(m, c);
	if (redundant == 0)
	{
		lq_cases_keep_images(cases, m->clock);
		lq_cases_write(cases);
	}
	else
	{
		Datum		id = Int64GetDatum(redundant);

		supersede(p, construct_array(&id, 1, INT8OID, sizeof(int64), FLOAT8PASSBYVAL,
									 TYPALIGN_DOUBLE));
	}
	lq_cases_close(cases);
	return redundant == 0;
}

/* ----------------------------------------------------------------
 * merge_leads()
 * ----------------------------------------------------------------
 */

/* a Merge for each pipeline of the person; the named one first */
static List *
merges_create(LqPipeline *named, Datum lead, Datum duplicate)
{
	MemoryContext cxt = CurrentMemoryContext;
	List	   *merges = NIL;
	List	   *pipelines;
	ListCell   *lc;

	SPI_connect();
	pipelines = lq_person_pipelines(named, cxt);
	named = linitial(pipelines);
	foreach(lc, pipelines)
	{
		Merge	   *m = MemoryContextAllocZero(cxt, sizeof(Merge));
		MemoryContext old;

		m->pipeline = lfirst(lc);
		m->model = lq_model_numbered(m->pipeline,
									 m->pipeline->versions[m->pipeline->nversions - 1].number);
		m->lead.key = lead;
		m->duplicate.key = duplicate;
		m->lead.entered = m->duplicate.entered = DT_NOEND;
		m->lead.archived = m->duplicate.archived = DT_NOBEGIN;
		m->lead.decided = m->duplicate.decided = DT_NOBEGIN;
		if (m->pipeline != named &&
			(!lq_person_key(named, lead, m->pipeline, cxt, &m->lead.key) ||
			 !lq_person_key(named, duplicate, m->pipeline, cxt, &m->duplicate.key)))
			continue;			/* no lead of that pipeline */
		check_sources(m->pipeline);
		old = MemoryContextSwitchTo(cxt);
		merges = lappend(merges, m);
		MemoryContextSwitchTo(old);
	}
	SPI_finish();
	return merges;
}

/* all leads of the merges, for lq_live_busy() */
static LqBusy *
busy_leads(List *merges)
{
	LqBusy	   *busy = NULL;
	ListCell   *lc;

	foreach(lc, merges)
	{
		Merge	   *m = lfirst(lc);

		m->busy[0].pipeline = m->busy[1].pipeline = m->pipeline->name;
		m->busy[0].lead = m->lead.key;
		m->busy[1].lead = m->duplicate.key;
		m->busy[0].next = busy;
		m->busy[1].next = &m->busy[0];
		busy = &m->busy[1];
	}
	return busy;
}

/* rows change hands; returns the number of activities */
static int64
rows_move(List *merges, const char *actor)
{
	Merge	   *named = linitial(merges);
	int64		moved = 0;
	ListCell   *lc;

	foreach(lc, merges)
	{
		Merge	   *m = lfirst(lc);

		for (int i = 0; i < m->pipeline->nsources; i++)
		{
			int			level = NewGUCNestLevel();

			/* the application's triggers find what stands beside the leads */
			lq_set_option("search_path", psprintf("%s, pg_temp",
												  quote_identifier(m->pipeline->leads_schema)));
			if (OidIsValid(m->pipeline->sources[i].relid))
				moved += activities_move(m, &m->pipeline->sources[i]);
			AtEOXact_GUC(false, level);
		}
	}
	foreach(lc, merges)
		side_rows_move(lfirst(lc), actor);
	{
		int			level = NewGUCNestLevel();

		lq_set_option("search_path", psprintf("%s, pg_temp",
											  quote_identifier(named->pipeline->leads_schema)));
		lead_delete(named);
		AtEOXact_GUC(false, level);
	}
	return moved;
}

/* the user is the leads owner */
static int64
merge(LqPipeline *p, Datum lead, Datum duplicate, const char *actor)
{
	List	   *merges = merges_create(p, lead, duplicate);
	LqBusy	   *before;
	int64		moved = 0;
	ListCell   *lc;

	SPI_connect();
	foreach(lc, merges)
		activities_lock(lfirst(lc));
	leads_lock(linitial(merges));
	before = lq_live_busy(busy_leads(merges));
	PG_TRY();
	{
		moved = rows_move(merges, actor);
	}
	PG_FINALLY();
	{
		(void) lq_live_busy(before);
	}
	PG_END_TRY();
	foreach(lc, merges)
	{
		while (!lead_replay(lfirst(lc)))
			CHECK_FOR_INTERRUPTS();
	}
	SPI_finish();
	return moved;
}

PG_FUNCTION_INFO_V1(lq_merge_leads);

/*
 * merge_leads(pipeline text, lead anycompatible, duplicate anycompatible)
 * returns bigint: activities moved.
 */
Datum
lq_merge_leads(PG_FUNCTION_ARGS)
{
	LqPipeline *p;
	char	   *actor;
	Datum		keys[2];
	LqUser		user;
	MemoryContext cxt;
	MemoryContext old;
	int64		moved;

	p = lq_person_pipeline(fcinfo, "merge leads of");
	keys[0] = lq_key_parse(p, lq_person_argument(fcinfo, 1, "lead"));
	keys[1] = lq_key_parse(p, lq_person_argument(fcinfo, 2, "duplicate"));
	if (lq_key_cmp(p, keys[0], keys[1]) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("cannot merge lead \"%s\" with itself", lq_key_text(p, keys[0]))));
	actor = lq_actor != NULL && lq_actor[0] != '\0' ? lq_actor :
		GetUserNameFromId(GetUserId(), false);
	cxt = AllocSetContextCreate(CurrentMemoryContext, "lead_qualify merge",
								ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(cxt);
	lq_become(&user, p->owner);
	moved = merge(p, keys[0], keys[1], actor);
	lq_return(&user);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(cxt);
	PG_RETURN_INT64(moved);
}
