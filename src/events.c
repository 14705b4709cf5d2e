/*
 * events.c
 *		From rows to events: which rules an activity matches, and loading the
 *		events of leads that are replayed.
 */
#include "postgres.h"

#include "access/table.h"
#include "catalog/pg_type.h"
#include "events.h"
#include "executor/executor.h"
#include "executor/spi.h"
#include "history_rows.h"
#include "miscadmin.h"
#include "port/pg_bswap.h"
#include "sql.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"


/* ----------------------------------------------------------------
 * One activity row
 * ----------------------------------------------------------------
 */

static const LqTypeRules *
rules_of_type(const LqModel *model, const char *type)
{
	int			low = 0,
				high = model->ntypes - 1;

	while (type != NULL && low <= high)
	{
		int			middle = (low + high) / 2;
		int			cmp = strcmp(type, model->types[middle].type);

		if (cmp == 0)
			return &model->types[middle];
		if (cmp < 0)
			high = middle - 1;
		else
			low = middle + 1;
	}
	return &model->other_types;
}

/* events of a replay wait in memory, so no more than is needed */
static void
make_room(LqEvent *event, int matches)
{
	Size		size = (event->nmatches + matches) * sizeof(LqMatch);

	event->matches = event->matches == NULL ? palloc(size) : repalloc(event->matches, size);
}

/* a rule holds for a row; which of its values does the row have? */
static void
add_match(LqReader *reader, TupleTableSlot *slot, int rule, LqEvent *event)
{
	int			source = reader->source - reader->pipeline->sources;
	LqCondition **per_values = event->model->rules[rule].per_values;
	LqMatch    *match = &event->matches[event->nmatches++];
	char	   *value;

	match->rule = rule;
	match->value = 0;
	if (per_values == NULL || per_values[source] == NULL)
		return;
	value = lq_guard_text(reader->guard, event->model, per_values[source], reader->rel, slot);
	if (value != NULL)
	{
		match->value = lq_hash_value(value, strlen(value));
		pfree(value);
	}
}

/* the rules that a row matches, in order of name */
static void
activity_match(LqReader *reader, TupleTableSlot *slot, const char *type,
			   LqEvent *event)
{
	const LqModel *model = event->model;
	const LqTypeRules *rules = rules_of_type(model, type);
	int			source = reader->source - reader->pipeline->sources;

	event->nmatches = 0;
	event->matches = NULL;
	for (int start = 0; start < rules->nrules; start += LQ_HOLD_MAX)
	{
		int			n = Min(LQ_HOLD_MAX, rules->nrules - start);
		int			holding = 0;
		const LqCondition *conditions[LQ_HOLD_MAX];
		bool		holds[LQ_HOLD_MAX];

		for (int i = 0; i < n; i++)
		{
			const LqRule *rule = &model->rules[rules->rules[start + i]];

			holds[i] = rule->conditions == NULL;
			conditions[i] = rule->conditions == NULL ? NULL : rule->conditions[source];
		}
		lq_guard_holds_each(reader->guard, model, conditions, n, reader->rel, slot, holds);
		for (int i = 0; i < n; i++)
			holding += holds[i];
		if (holding == 0)
			continue;
		make_room(event, holding);
		for (int i = 0; i < n; i++)
			if (holds[i])
				add_match(reader, slot, rules->rules[start + i], event);
	}
}

/* what a row of <leads>_answers says */
static void
answer_read(LqReader *reader, TupleTableSlot *slot, LqEvent *event)
{
	LqSource   *source = reader->source;
	bool		isnull;
	Datum		value = lq_guard_value(reader->guard, NULL, source->assessment,
									   reader->rel, slot, &isnull);

	if (!isnull)
		event->answers = (LqAssessment *) PG_DETOAST_DATUM_COPY(value);
	event->withdrawn = lq_guard_text(reader->guard, NULL, source->withdrawn,
									 reader->rel, slot);
}

/* the key of a row, a number or else text; false if it is null */
bool
lq_activity_key(LqReader *reader, TupleTableSlot *slot, int64 *number, char **text)
{
	const LqSource *source = reader->source;
	bool		isnull;

	*text = NULL;
	if (!source->key_is_integer)
	{
		*text = lq_guard_text(reader->guard, NULL, source->key, reader->rel, slot);
		return *text != NULL;
	}
	*number = DatumGetInt64(lq_guard_value(reader->guard, NULL, source->key, reader->rel, slot,
										   &isnull));
	return !isnull;
}

/* the key in the event's position: bytes that sort as the key does */
static void
key_read(LqReader *reader, TupleTableSlot *slot, LqEvent *event)
{
	int64		number;
	uint64		flipped;
	char	   *text;
	char	   *bytes;

	event->pos.key = "";
	event->pos.keylen = 0;
	if (!lq_activity_key(reader, slot, &number, &text))
		text = "";
	else if (text != NULL)
	{
		event->pos.key = text;
		event->pos.keylen = strlen(text);
	}
	else
	{
		flipped = pg_hton64((uint64) number ^ (UINT64CONST(1) << 63));
		bytes = palloc(sizeof(uint64));
		memcpy(bytes, &flipped, sizeof(uint64));
		event->pos.key = bytes;
		event->pos.keylen = sizeof(uint64);
		if (reader->explaining)
			text = psprintf(INT64_FORMAT, number);
	}
	if (reader->explaining)
	{
		event->source_name = reader->source->name;
		event->key_text = text;
	}
}

/*
 * The lead that a row is about; false if the row is no activity of any lead.
 * The result is copied.
 */
bool
lq_activity_lead(LqReader *reader, TupleTableSlot *slot, Datum *lead)
{
	LqPipeline *p = reader->pipeline;
	bool		isnull;

	if (reader->source->filter != NULL &&
		!lq_guard_holds(reader->guard, NULL, reader->source->filter, reader->rel, slot))
		return false;
	*lead = lq_guard_value(reader->guard, NULL, reader->source->lead,
						   reader->rel, slot, &isnull);
	if (isnull)
		return false;
	if (!p->key_byval)
		*lead = datumCopy(*lead, p->key_byval, p->key_len);
	return true;
}

/* say once a statement that a row without a usable time is passed over */
static void
warn_of_time(LqReader *reader, TupleTableSlot *slot, bool isnull)
{
	int64		number;
	char	   *key;

	if (!reader->live || reader->warned)
		return;
	reader->warned = true;
	if (!lq_activity_key(reader, slot, &number, &key))
		key = "";
	else if (key == NULL)
		key = psprintf(INT64_FORMAT, number);
	ereport(WARNING,
			(errcode(ERRCODE_INVALID_DATETIME_FORMAT),
			 errmsg("%s \"%s\" of %s is not scored: its time is %s",
					reader->source->number == LQ_ANSWERS ? "answer" : "activity",
					key, reader->source->name, isnull ? "null" : "infinite"),
			 errhint("Give column \"%s\" a time; the row is scored when it is updated.",
					 reader->source->activity_at)));
}

/* when it happened; false if nobody can say */
bool
lq_activity_at(LqReader *reader, TupleTableSlot *slot, TimestampTz *at, bool *isnull)
{
	*at = DatumGetTimestampTz(lq_guard_value(reader->guard, NULL, reader->source->at,
											 reader->rel, slot, isnull));
	return !*isnull && !TIMESTAMP_NOT_FINITE(*at);
}

/* its type; NULL if it has none */
char *
lq_activity_type(LqReader *reader, TupleTableSlot *slot)
{
	LqSource   *source = reader->source;

	return source->type == NULL ? source->type_value :
		lq_guard_text(reader->guard, NULL, source->type, reader->rel, slot);
}

/*
 * The event of a row; false if the row is none: filtered out, without lead,
 * or without a finite time.  Allocates in the current context.
 */
bool
lq_activity_read(LqReader *reader, TupleTableSlot *slot, LqEvent *event, Datum *lead)
{
	LqSource   *source = reader->source;
	bool		isnull;
	char	   *type;

	if (!lq_activity_lead(reader, slot, lead))
		return false;
	memset(event, 0, sizeof(LqEvent));
	event->pos.kind = source->number == LQ_ANSWERS ? LQ_EVENT_ANSWER : LQ_EVENT_ACTIVITY;
	event->pos.source = source->number;
	if (!lq_activity_at(reader, slot, &event->pos.at, &isnull))
	{
		warn_of_time(reader, slot, isnull);
		return false;
	}
	event->model = lq_model_at(reader->pipeline, event->pos.at);
	if (event->model == NULL)
		return false;
	key_read(reader, slot, event);
	if (source->number == LQ_ANSWERS)
		answer_read(reader, slot, event);
	else
	{
		type = lq_activity_type(reader, slot);
		activity_match(reader, slot, type, event);
		if (type != NULL && type != source->type_value)
			pfree(type);
	}
	return true;
}

/* ----------------------------------------------------------------
 * Loading
 * ----------------------------------------------------------------
 */

static bool
column_needed(const LqSource *source, const char *name)
{
	ListCell   *lc;

	/* a filter may name any column */
	if (source->filter != NULL ||
		strcmp(name, source->activity_lead) == 0 ||
		strcmp(name, source->activity_at) == 0 ||
		strcmp(name, source->activity_key) == 0 ||
		(source->activity_type != NULL && strcmp(name, source->activity_type) == 0))
		return true;
	foreach(lc, source->columns)
	{
		if (strcmp(name, lfirst(lc)) == 0)
			return true;
	}
	return false;
}

static bool
is_integer_type(Oid type)
{
	return type == INT2OID || type == INT4OID || type == INT8OID;
}

static bool
is_text_type(Oid type)
{
	return type == TEXTOID || type == VARCHAROID || type == BPCHAROID;
}

/* append the condition that a row "a" is about one of the leads in the array $1 */
void
lq_append_about_leads(StringInfo buf, const LqPipeline *p, const LqSource *source)
{
	Oid			type = get_atttype(source->relid,
								   get_attnum(source->relid, source->activity_lead));

	lq_append(buf, "(a.%I", source->activity_lead);
	if (type == p->key_type || (is_integer_type(type) && is_integer_type(p->key_type)) ||
		(is_text_type(type) && is_text_type(p->key_type)))
		appendStringInfoString(buf, " OPERATOR(pg_catalog.=) ANY ($1)");
	else if (is_text_type(type))
	{
		appendStringInfoString(buf, " OPERATOR(pg_catalog.=) ANY ($1::pg_catalog.text[])");
		if (p->key_type == UUIDOID)
			lq_append(buf, " OR a.%I OPERATOR(pg_catalog.=) ANY "
					  "(pg_catalog.upper($1::pg_catalog.text)::pg_catalog.text[])",
					  source->activity_lead);
	}
	else
		lq_append(buf, "::%s OPERATOR(pg_catalog.=) ANY ($1)",
				  format_type_be_qualified(p->key_type));
	appendStringInfoChar(buf, ')');
}

/* kept plans outlive the pipeline's context unless freed */
static void
load_plan_free(void *source)
{
	SPI_freeplan(((LqSource *) source)->load_plan);
}

/*
 * Append a SELECT of activities "a", each column in its place in the table's
 * row (NULL where it is not needed), so that expressions compiled for the table
 * work.
 */
void
lq_append_activities(StringInfo buf, const LqSource *source, Relation rel)
{
	TupleDesc	desc = RelationGetDescr(rel);

	appendStringInfoString(buf, "SELECT ");
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (i > 0)
			appendStringInfoString(buf, ", ");
		if (!att->attisdropped && column_needed(source, NameStr(att->attname)))
			lq_append(buf, "a.%I", NameStr(att->attname));
		else
			appendStringInfoString(buf, "NULL");
	}
	lq_append(buf, " FROM %s a", source->name);
}

/* activities of some leads */
static SPIPlanPtr
load_plan(LqPipeline *p, LqSource *source, Relation rel)
{
	StringInfoData buf;
	MemoryContextCallback *callback;

	if (source->load_plan != NULL)
		return source->load_plan;
	initStringInfo(&buf);
	lq_append_activities(&buf, source, rel);
	appendStringInfoString(&buf, " WHERE ");
	lq_append_about_leads(&buf, p, source);
	source->load_plan = lq_plan_keep(buf.data, 1, &p->key_array);
	callback = MemoryContextAlloc(p->cxt, sizeof(MemoryContextCallback));
	callback->func = load_plan_free;
	callback->arg = source;
	MemoryContextRegisterResetCallback(p->cxt, callback);
	return source->load_plan;
}

typedef struct LoadedRows
{
	LqCases    *cases;
	LqReader   *reader;
	TupleTableSlot *slot;
	SPITupleTable *table;
	uint64		count;
} LoadedRows;

/* rows just fetched become events of their cases */
static void
load_rows(void *arg)
{
	LoadedRows *rows = arg;
	LqCases    *cases = rows->cases;

	for (uint64 i = 0; i < rows->count; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(cases->cxt);
		LqEvent		event;
		Datum		lead;
		LqCase	   *c;

		if (i % 16 == 0)
			lq_cases_tick(cases);	/* conditions may be slow */
		ExecStoreHeapTuple(rows->table->vals[i], rows->slot, false);
		if (lq_activity_read(rows->reader, rows->slot, &event, &lead) &&
			(c = lq_case_find(cases, lead)) != NULL)
			lq_case_add_event(c, &event);
		MemoryContextSwitchTo(old);
	}
	ExecClearTuple(rows->slot);
}

static void
load_source(LqCases *cases, LqSource *source, ArrayType *keys, bool explaining)
{
	LqReader	reader = {0};
	LoadedRows	rows = {cases, &reader, NULL, NULL, 0};
	Portal		portal;
	Datum		values[1];

	reader.pipeline = cases->pipeline;
	reader.source = source;
	reader.guard = &cases->guard;
	reader.explaining = explaining;
	reader.rel = table_open(source->relid, AccessShareLock);
	rows.slot = MakeSingleTupleTableSlot(RelationGetDescr(reader.rel), &TTSOpsHeapTuple);
	values[0] = PointerGetDatum(keys);
	SPI_connect();
	portal = SPI_cursor_open(NULL, lq_plan_check(load_plan(cases->pipeline, source, reader.rel)),
							 values, NULL, cases->read_only);
	for (;;)
	{
		lq_cases_tick(cases);
		SPI_cursor_fetch(portal, true, LQ_FETCH_ROWS);
		if (SPI_processed == 0)
			break;
		rows.table = SPI_tuptable;
		rows.count = SPI_processed;
		lq_guard_begin(&cases->guard, cases->pipeline->name,
					   cases->pipeline->time_zone, cases->pipeline->owner);
		lq_guard_run(&cases->guard, load_rows, &rows);
		lq_guard_end(&cases->guard);
		SPI_freetuptable(rows.table);
	}
	SPI_cursor_close(portal);
	ExecDropSingleTupleTableSlot(rows.slot);
	SPI_finish();
	table_close(reader.rel, NoLock);
}

/* what archive() has closed stays closed: say so once a statement */
static void
warn_of_archived(const LqCases *cases, const LqCase *c, const LqEvent *event)
{
	LqSource   *source = lq_source_get(cases->pipeline, event->pos.source);

	ereport(WARNING,
			(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
			 errmsg("%s of lead \"%s\" in %s is not scored: its time is %s",
					source->number == LQ_ANSWERS ? "an answer" : "an activity",
					lq_key_text(cases->pipeline, c->key), source->name,
					timestamptz_to_str(event->pos.at)),
			 errdetail("What happened to the lead before %s is archived.",
					   timestamptz_to_str(c->baseline->at))));
}

/*
 * New activities of a case are in their tables already: they are dropped from
 * its own events.  True if one of them is too old to count.
 */
static bool
drop_arrivals(const LqCases *cases, LqCase *c, bool warned)
{
	int			kept = 0;

	for (int i = 0; i < c->nevents; i++)
	{
		if (c->events[i].pos.kind == LQ_EVENT_MANUAL)
			c->events[kept++] = c->events[i];
		else if (!warned && c->baseline != NULL && !c->written_here &&
				 c->events[i].pos.at < c->baseline->at)
		{
			warn_of_archived(cases, c, &c->events[i]);
			warned = true;
		}
	}
	c->nevents = kept;
	return warned;
}

/*
 * Load what the replayed cases need: baselines, images, rows that stand,
 * activities, answers.
 */
void
lq_events_load(LqCases *cases, bool explaining)
{
	LqPipeline *p = cases->pipeline;
	ArrayType  *keys = lq_key_array(cases, lq_case_is_replayed);
	bool		warned = false;

	if (keys == NULL)
		return;
	lq_cases_read_baselines(cases);
	for (int i = 0; i < cases->count; i++)
		if (lq_case_is_replayed(&cases->cases[i]))
			warned = drop_arrivals(cases, &cases->cases[i], warned);
	lq_cases_read_images(cases);
	lq_history_read(cases);
	for (int i = 0; i < p->nsources; i++)
		if (OidIsValid(p->sources[i].relid))
			load_source(cases, &p->sources[i], keys, explaining);
	load_source(cases, &p->answers, keys, explaining);
}
