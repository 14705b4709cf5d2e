/*
 * model_compile.c
 *		From the frozen configuration of a version to the engine's model.
 *
 * version.config is JSON; jsonb_to_recordset() turns each of its arrays into
 * typed rows, so that this file reads columns and never parses JSON.  Only
 * enabled rules and gates are compiled.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "config_rows.h"
#include "lead_grade.h"
#include "mb/pg_wchar.h"
#include "model_compile.h"
#include "sql.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* ----------------------------------------------------------------
 * Expressions
 * ----------------------------------------------------------------
 */

/*
 * A condition in the pipeline's context.  kind and name say whose it is when
 * it fails.
 */
static LqCondition *
condition_make(const LqPipeline *p, const char *text, Oid type,
			   const char *kind, const char *name)
{
	MemoryContext old = MemoryContextSwitchTo(p->cxt);
	LqCondition *condition;

	condition = lq_condition_create(pstrdup(text), type, pstrdup(kind), pstrdup(name));
	MemoryContextSwitchTo(old);
	return condition;
}

/* SQL text of an activity time as timestamptz */
static char *
time_expression(const LqSource *source)
{
	Oid			type = get_atttype(source->relid,
								   get_attnum(source->relid, source->activity_at));
	const char *column = quote_identifier(source->activity_at);
	const char *zone = quote_literal_cstr(source->time_zone);

	if (type == TIMESTAMPOID)
		return psprintf("pg_catalog.timezone(%s, %s)", zone, column);
	if (type == DATEOID)
		return psprintf("pg_catalog.timezone(%s, (%s)::pg_catalog.\"timestamp\")",
						zone, column);
	return pstrdup(column);
}

static char *
cast_expression(const char *column, Oid from, Oid to)
{
	if (from == to)
		return pstrdup(quote_identifier(column));
	return psprintf("(%s)::%s", quote_identifier(column), format_type_be_qualified(to));
}

static bool
is_text_type(Oid type)
{
	return type == TEXTOID || type == VARCHAROID || type == BPCHAROID;
}

/*
 * The lead's key.  Where activities keep it as text, only the spelling of the
 * key's type counts (a uuid may be in capitals), because a replay finds the
 * activities of a lead by that.
 */
static char *
lead_expression(const char *column, Oid from, Oid to)
{
	const char *text = quote_identifier(column);
	char	   *cast = cast_expression(column, from, to);

	if (!is_text_type(from) || is_text_type(to))
		return cast;
	return psprintf("CASE WHEN (%s)::pg_catalog.text OPERATOR(pg_catalog.=) ANY "
					"(ARRAY[(%s)::pg_catalog.text, pg_catalog.upper((%s)::pg_catalog.text)]) "
					"THEN %s END", text, cast, cast, cast);
}

static void
compile_source(LqPipeline *p, LqSource *source)
{
	Oid			relid = source->relid;
	AttrNumber	lead = get_attnum(relid, source->activity_lead);
	AttrNumber	at = get_attnum(relid, source->activity_at);
	AttrNumber	key = get_attnum(relid, source->activity_key);
	AttrNumber	type = source->activity_type == NULL ? 0 :
		get_attnum(relid, source->activity_type);
	Oid			key_type;

	/* a column that was renamed or dropped: nothing of this table is scored */
	if (lead == InvalidAttrNumber || at == InvalidAttrNumber ||
		key == InvalidAttrNumber ||
		(source->activity_type != NULL && type == InvalidAttrNumber))
	{
		source->relid = InvalidOid;
		return;
	}
	key_type = get_atttype(relid, key);
	source->key_is_integer = key_type == INT2OID || key_type == INT4OID ||
		key_type == INT8OID;
	source->lead = condition_make(p, lead_expression(source->activity_lead,
													 get_atttype(relid, lead), p->key_type),
								  p->key_type, "activity_lead", source->name);
	source->at = condition_make(p, time_expression(source), TIMESTAMPTZOID,
								"activity_at", source->name);
	source->key = condition_make(p, cast_expression(source->activity_key, key_type,
													source->key_is_integer ? INT8OID : TEXTOID),
								 source->key_is_integer ? INT8OID : TEXTOID,
								 "activity_key", source->name);
	if (source->activity_type != NULL)
		source->type = condition_make(p, cast_expression(source->activity_type,
														 get_atttype(relid, type), TEXTOID),
									  TEXTOID, "activity_type", source->name);
	if (source->filter_text != NULL)
		source->filter = condition_make(p, source->filter_text, BOOLOID,
										"filter", source->name);
}

void
lq_compile_sources(LqPipeline *p)
{
	for (int i = 0; i < p->nsources; i++)
		if (OidIsValid(p->sources[i].relid))
			compile_source(p, &p->sources[i]);
	compile_source(p, &p->answers);
	p->answers.assessment = condition_make(p, "assessment", lq_type_oid("assessment"),
										   "answers", p->answers.name);
	p->answers.withdrawn = condition_make(p, "lead_qualify.criterion_name(withdrawn)", TEXTOID,
										  "answers", p->answers.name);
}

/* the frozen, qualified text of one expression; NULL if there is none */
static char *
expression_text(const LqPipeline *p, Datum config, const char *object, const char *table)
{
	Oid			types[3] = {JSONBOID, TEXTOID, TEXTOID};
	Datum		values[3];
	LqConfigRows rows;

	values[0] = config;
	values[1] = CStringGetTextDatum(object);
	values[2] = CStringGetTextDatum(table);
	if (SPI_execute_with_args("SELECT pg_catalog.jsonb_extract_path_text($1, 'expressions', $2, $3)",
							  3, types, values, NULL, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read configuration");
	rows.table = SPI_tuptable;
	return lq_config_text(p, &rows, 0, 1);
}

static LqCondition *
lead_condition(const LqPipeline *p, Datum config, const char *kind,
			   const char *object, const char *name)
{
	char	   *text = expression_text(p, config, object, "leads");

	if (text == NULL)
		return NULL;
	return condition_make(p, text, BOOLOID, kind, name);
}

/* one condition a source, NULL where the source lacks its columns */
static LqCondition **
source_conditions(const LqPipeline *p, Datum config, const char *object,
				  Oid type, const char *kind, const char *name)
{
	LqCondition **conditions = lq_config_alloc(p, p->nsources, sizeof(LqCondition *));

	for (int i = 0; i < p->nsources; i++)
	{
		char	   *text = expression_text(p, config, object,
										   psprintf("%d", p->sources[i].number));

		if (text != NULL)
			conditions[i] = condition_make(p, text, type, kind, name);
	}
	return conditions;
}

/* ----------------------------------------------------------------
 * The parts of a model
 * ----------------------------------------------------------------
 */

static int
dimension_find(const LqModel *model, const char *name)
{
	for (int i = 0; i < model->ndimensions; i++)
		if (strcmp(model->dimensions[i].name, name) == 0)
			return i;
	return -1;
}

static void
compile_dimensions(LqPipeline *p, LqModel *model, Datum config)
{
	LqConfigRows rows = lq_config_rows(config,
									   "SELECT r.dimension, r.minimum, r.maximum, r.weight "
									   "FROM pg_catalog.jsonb_to_recordset(pg_catalog.jsonb_extract_path($1, 'dimensions')) "
									   "AS r(dimension pg_catalog.text, minimum pg_catalog.float8, "
									   "maximum pg_catalog.float8, weight pg_catalog.float8) "
									   "ORDER BY r.dimension COLLATE pg_catalog.\"C\"");

	model->dimensions = lq_config_alloc(p, rows.count, sizeof(LqDimension));
	model->total_minimum = -INFINITY;
	model->total_maximum = INFINITY;
	for (int i = 0; i < rows.count; i++)
	{
		char	   *name = lq_config_text(p, &rows, i, 1);
		double		minimum = lq_config_float(&rows, i, 2, -INFINITY);
		double		maximum = lq_config_float(&rows, i, 3, INFINITY);
		LqDimension *dimension;

		if (strcmp(name, "total") == 0)
		{
			model->total_minimum = minimum;
			model->total_maximum = maximum;
			continue;
		}
		dimension = &model->dimensions[model->ndimensions++];
		dimension->name = name;
		dimension->minimum = minimum;
		dimension->maximum = maximum;
		dimension->weight = lq_config_float(&rows, i, 4, 1);
	}
	model->engagement = dimension_find(model, "engagement");
	model->fit = dimension_find(model, "fit");
}

static void
compile_stages(LqPipeline *p, LqModel *model, Datum config)
{
	static const char *const kinds[] = {"lead", "mql", "sal", "sql", "opportunity", "won",
	"hold", "recycled", "disqualified", "lost"};
	LqConfigRows rows = lq_config_rows(config,
									   "SELECT r.stage, r.position, r.kind, r.stored_as "
									   "FROM pg_catalog.jsonb_to_recordset(pg_catalog.jsonb_extract_path($1, 'stages')) "
									   "AS r(stage pg_catalog.text, \"position\" pg_catalog.int4, "
									   "kind pg_catalog.text, stored_as pg_catalog.text) ORDER BY r.position");

	model->nstages = rows.count;
	model->stages = lq_config_alloc(p, rows.count, sizeof(LqStage));
	for (int i = 0; i < rows.count; i++)
	{
		LqStage    *stage = &model->stages[i];
		char	   *kind = lq_config_text(p, &rows, i, 3);

		stage->name = lq_config_text(p, &rows, i, 1);
		stage->position = lq_config_int(&rows, i, 2, i);
		stage->stored_as = lq_config_text(p, &rows, i, 4);
		if (stage->stored_as == NULL)
			stage->stored_as = stage->name;
		for (int k = 0; k < lengthof(kinds); k++)
			if (strcmp(kind, kinds[k]) == 0)
				stage->kind = (LqStageKind) k;
	}
}

static LqBucket
bucket_parse(const char *per)
{
	if (per == NULL)
		return LQ_PER_EVER;
	return strcmp(per, "day") == 0 ? LQ_PER_DAY :
		strcmp(per, "week") == 0 ? LQ_PER_WEEK : LQ_PER_MONTH;
}

static void
compile_rule(LqPipeline *p, LqModel *model, Datum config, LqRule *rule,
			 const LqConfigRows *rows, int i)
{
	char	   *decay = lq_config_text(p, rows, i, 6);

	rule->name = lq_config_text(p, rows, i, 1);
	rule->dimension = dimension_find(model, lq_config_text(p, rows, i, 2));
	rule->of_lead = strcmp(lq_config_text(p, rows, i, 3), "lead") == 0;
	rule->activity_type = lq_config_text(p, rows, i, 4);
	rule->points = lq_config_float(rows, i, 5, 0);
	if (!lq_decay_parse(decay, &rule->decay))
		elog(ERROR, "unknown decay \"%s\" in version %d", decay, model->version);
	rule->period = lq_config_usecs(rows, i, 7);
	rule->at_most = lq_config_int(rows, i, 8, 0);
	rule->per = bucket_parse(lq_config_text(p, rows, i, 9));
	rule->at_least = lq_config_int(rows, i, 10, 0);
	rule->within = lq_config_usecs(rows, i, 11);
	rule->max_points = lq_config_float(rows, i, 12, INFINITY);
	if (lq_config_bool(rows, i, 13))
	{
		char	   *object = psprintf("rule %s", rule->name);

		if (rule->of_lead)
			rule->condition = lead_condition(p, config, "rule", object, rule->name);
		else
			rule->conditions = source_conditions(p, config, object, BOOLOID,
												 "rule", rule->name);
	}
	rule->answers = lq_config_assessment(p, rows, i, 15);
	if (lq_config_bool(rows, i, 14))
		rule->per_values = source_conditions(p, config,
											 psprintf("per_value %s", rule->name),
											 TEXTOID, "rule", rule->name);
}

/* a rule that only notes that an activity of the gate's type was there */
static void
hidden_rule(const LqPipeline *p, LqRule *rule, const char *activity_type)
{
	rule->name = MemoryContextStrdup(p->cxt, psprintf("type:%s", activity_type));
	rule->name[pg_mbcliplen(rule->name, strlen(rule->name), NAMEDATALEN - 1)] = '\0';
	rule->activity_type = MemoryContextStrdup(p->cxt, activity_type);
	rule->max_points = INFINITY;
	rule->watched = true;
	rule->hidden = true;
}

static int
rule_cmp(const void *a, const void *b)
{
	return strcmp(((const LqRule *) a)->name, ((const LqRule *) b)->name);
}

/* a call that a gate condition makes: "calls" of the configuration */
#define CALLS_QUERY(columns, rest) \
	"SELECT " columns " FROM pg_catalog.jsonb_to_recordset(" \
	"pg_catalog.jsonb_extract_path($1, 'calls')) " \
	"AS c(stage pg_catalog.text, gate pg_catalog.text, function pg_catalog.text, " \
	"argument pg_catalog.text, within_us pg_catalog.int8) " rest

/*
 * Rules that gates of any version ask about must remember their matches, in
 * every version.
 */
static void
compile_watches(LqPipeline *p, LqModel *model)
{
	ListCell   *lc;

	foreach(lc, p->watches)
	{
		LqWatch    *watch = lfirst(lc);
		int			rule = watch->rule == NULL ? -1 : lq_model_rule(model, watch->rule);

		if (rule < 0)
			continue;			/* a rule that is not there never matches */
		model->rules[rule].watched = true;
		model->rules[rule].watch_within = watch->within;
	}
}

static void
compile_rules(LqPipeline *p, LqModel *model, Datum config)
{
	LqConfigRows rows = lq_config_rows(config,
									   "SELECT r.name, r.dimension, r.applies_to, r.activity_type, r.points, "
									   "r.decay, r.period, r.at_most, r.per, r.at_least, r.within, r.max_points, "
									   "r.condition IS NOT NULL, r.per_value IS NOT NULL, r.answers "
									   "FROM pg_catalog.jsonb_to_recordset(pg_catalog.jsonb_extract_path($1, 'rules')) "
									   "AS r(name pg_catalog.text, dimension pg_catalog.text, applies_to pg_catalog.text, "
									   "activity_type pg_catalog.text, points pg_catalog.float8, decay pg_catalog.text, "
									   "period pg_catalog.interval, at_most pg_catalog.int4, per pg_catalog.text, "
									   "at_least pg_catalog.int4, within pg_catalog.interval, "
									   "max_points pg_catalog.float8, condition pg_catalog.text, "
									   "per_value pg_catalog.text, answers lead_qualify.assessment, "
									   "enabled pg_catalog.bool) WHERE r.enabled");
	ListCell   *lc;

	model->nrules = rows.count;
	model->rules = lq_config_alloc(p, rows.count + list_length(p->watches), sizeof(LqRule));
	for (int i = 0; i < rows.count; i++)
		compile_rule(p, model, config, &model->rules[i], &rows, i);
	foreach(lc, p->watches)
	{
		LqWatch    *watch = lfirst(lc);

		if (watch->activity_type != NULL)
			hidden_rule(p, &model->rules[model->nrules++], watch->activity_type);
	}
	qsort(model->rules, model->nrules, sizeof(LqRule), rule_cmp);
	compile_watches(p, model);
	for (int i = 0; i < model->nrules; i++)
	{
		LqRule	   *rule = &model->rules[i];

		rule->remembers = rule->watched || rule->at_most > 0 || rule->at_least > 1 ||
			!isinf(rule->max_points) || rule->decay == LQ_DECAY_LINEAR ||
			rule->decay == LQ_DECAY_WINDOW;
	}
}

/* which rules may match an activity of a type: each list is in order of name */
static void
compile_types(LqPipeline *p, LqModel *model)
{
	LqTypeRules *types = lq_config_alloc(p, model->nrules, sizeof(LqTypeRules));

	model->types = types;
	for (int i = 0; i < model->nrules; i++)
	{
		const char *type = model->rules[i].activity_type;
		int			low = 0;

		if (type == NULL || model->rules[i].of_lead)
			continue;
		while (low < model->ntypes && strcmp(types[low].type, type) < 0)
			low++;
		if (low < model->ntypes && strcmp(types[low].type, type) == 0)
			continue;
		memmove(&types[low + 1], &types[low], (model->ntypes - low) * sizeof(LqTypeRules));
		types[low].type = type;
		model->ntypes++;
	}
	model->other_types.rules = lq_config_alloc(p, model->nrules, sizeof(int));
	for (int t = 0; t < model->ntypes; t++)
		types[t].rules = lq_config_alloc(p, model->nrules, sizeof(int));
	for (int i = 0; i < model->nrules; i++)
	{
		const LqRule *rule = &model->rules[i];

		if (rule->of_lead)
			continue;
		for (int t = 0; t < model->ntypes; t++)
			if (rule->activity_type == NULL ||
				strcmp(rule->activity_type, types[t].type) == 0)
				types[t].rules[types[t].nrules++] = i;
		if (rule->activity_type == NULL)
			model->other_types.rules[model->other_types.nrules++] = i;
	}
}

static int
stage_find(const LqModel *model, const char *name)
{
	int			stage = lq_model_stage(model, name);

	if (stage < 0)
		elog(ERROR, "version %d names unknown stage \"%s\"", model->version, name);
	return stage;
}

/* from_stages: NULL means any earlier stage on the path */
static void
compile_from(const LqPipeline *p, LqModel *model, LqGate *gate,
			 const LqConfigRows *rows, int row, int column)
{
	bool		isnull;
	Datum		value = lq_config_field(rows, row, column, &isnull);
	Datum	   *names;
	int			count;

	gate->nfrom = -1;
	if (isnull)
		return;
	deconstruct_array(DatumGetArrayTypeP(value), TEXTOID, -1, false, TYPALIGN_INT,
					  &names, NULL, &count);
	gate->nfrom = count;
	gate->from = lq_config_alloc(p, count, sizeof(int));
	for (int i = 0; i < count; i++)
		gate->from[i] = stage_find(model, TextDatumGetCString(names[i]));
}

/* a gate that waits for a person and for nothing else */
static bool
asks_nothing(const LqGate *gate)
{
	return isnan(gate->min_fit) && gate->min_grade < 0 && gate->condition == NULL &&
		!gate->asks_activity;
}

/*
 * Does the gate name something that activities make true?  And does its
 * condition change by time alone?  The person that a gate without any
 * requirement waits for is news, too: no step back closes it.
 */
static void
compile_gate_calls(LqPipeline *p, LqModel *model, LqGate *gate, const char *stage,
				   const LqConfigRows *calls)
{
	gate->asks_rule = lq_config_alloc(p, model->nrules, sizeof(bool));
	if (gate->activity_rule >= 0)
		gate->asks_rule[gate->activity_rule] = true;
	gate->asks_activity = !isnan(gate->min_total) || !isnan(gate->min_engagement) ||
		gate->framework != NULL || gate->activity_rule >= 0 || lq_gate_waits(gate);
	for (int i = 0; i < calls->count; i++)
	{
		bool		isnull,
					forever;
		int			rule;

		(void) DatumGetInt64(lq_config_field(calls, i, 4, &forever));
		if (strcmp(TextDatumGetCString(lq_config_field(calls, i, 1, &isnull)), stage) != 0 ||
			strcmp(TextDatumGetCString(lq_config_field(calls, i, 2, &isnull)), gate->name) != 0)
			continue;
		gate->asks_activity = true;
		/* or it is the name of a dimension, which does no harm */
		rule = lq_model_rule(model, TextDatumGetCString(lq_config_field(calls, i, 5, &isnull)));
		if (rule >= 0)
			gate->asks_rule[rule] = true;
		if (strcmp(TextDatumGetCString(lq_config_field(calls, i, 3, &isnull)), "times") != 0 ||
			!forever)
			gate->asks_time = true;
	}
	gate->asks_activity = gate->asks_activity || asks_nothing(gate);
}

static void
compile_gate(LqPipeline *p, LqModel *model, Datum config, LqGate *gate,
			 const LqConfigRows *rows, int i)
{
	char	   *stage = lq_config_text(p, rows, i, 1);
	char	   *grade = lq_config_text(p, rows, i, 7);
	char	   *framework = lq_config_text(p, rows, i, 11);
	char	   *fallback = lq_config_text(p, rows, i, 16);

	gate->stage = stage_find(model, stage);
	gate->name = lq_config_text(p, rows, i, 2);
	compile_from(p, model, gate, rows, i, 3);
	gate->min_total = lq_config_float(rows, i, 4, NAN);
	gate->min_engagement = lq_config_float(rows, i, 5, NAN);
	gate->min_fit = lq_config_float(rows, i, 6, NAN);
	gate->min_grade = grade == NULL ? -1 : lq_grade_parse(grade);
	gate->after = lq_config_usecs(rows, i, 12);
	gate->idle = lq_config_usecs(rows, i, 13);
	gate->keep_total = lq_config_float(rows, i, 14, NAN);
	gate->keep_engagement = lq_config_float(rows, i, 15, NAN);
	gate->fallback = fallback == NULL ? -1 : stage_find(model, fallback);
	gate->activity_type = lq_config_text(p, rows, i, 8);
	gate->activity_rule = -1;
	for (int r = 0; gate->activity_type != NULL && r < model->nrules; r++)
		if (model->rules[r].hidden &&
			strcmp(model->rules[r].activity_type, gate->activity_type) == 0)
			gate->activity_rule = r;
	for (int f = 0; framework != NULL && f < model->nframeworks; f++)
		if (strcmp(model->frameworks[f].name, framework) == 0)
			gate->framework = &model->frameworks[f];
	if (framework != NULL && gate->framework == NULL)
		elog(ERROR, "version %d lacks framework \"%s\"", model->version, framework);
	gate->automatic = lq_config_bool(rows, i, 9);
	if (lq_config_bool(rows, i, 10))
		gate->condition = lead_condition(p, config, "gate",
										 psprintf("gate %s %s", stage, gate->name),
										 psprintf("%s.%s", stage, gate->name));
}

/* furthest stage first, then by name */
static int
gate_cmp(const void *a, const void *b)
{
	const LqGate *x = a;
	const LqGate *y = b;

	if (x->stage != y->stage)
		return y->stage - x->stage;
	return strcmp(x->name, y->name);
}

/* criteria come in the frameworks' order */
static void
compile_criteria(LqPipeline *p, LqFramework *framework, const LqConfigRows *rows)
{
	framework->criteria = lq_config_alloc(p, rows->count, sizeof(LqCriterion));
	for (int i = 0; i < rows->count; i++)
	{
		LqCriterion *criterion = &framework->criteria[framework->ncriteria];
		char	   *of = lq_config_text(p, rows, i, 1);

		if (strcmp(of, framework->name) != 0)
			continue;
		criterion->name = lq_config_text(p, rows, i, 2);
		criterion->len = strlen(criterion->name);
		criterion->weight = lq_config_float(rows, i, 3, 1);
		criterion->required = lq_config_bool(rows, i, 4);
		criterion->met_at = lq_config_int(rows, i, 5, LQ_LEVEL_YES);
		framework->ncriteria++;
	}
}

static void
compile_frameworks(LqPipeline *p, LqModel *model, Datum config)
{
	LqConfigRows rows = lq_config_rows(config,
									   "SELECT f.framework, f.min_met, f.min_score "
									   "FROM pg_catalog.jsonb_to_recordset(pg_catalog.jsonb_extract_path($1, 'frameworks')) "
									   "AS f(framework pg_catalog.text, min_met pg_catalog.int4, min_score pg_catalog.float8)");
	LqConfigRows criteria = lq_config_rows(config,
										   "SELECT c.framework, c.criterion, c.weight, c.required, c.met_at "
										   "FROM pg_catalog.jsonb_to_recordset(pg_catalog.jsonb_extract_path($1, 'criteria')) "
										   "AS c(framework pg_catalog.text, criterion pg_catalog.text, "
										   "\"position\" pg_catalog.int4, weight pg_catalog.float8, "
										   "required pg_catalog.bool, met_at pg_catalog.int4) ORDER BY c.\"position\"");

	model->nframeworks = rows.count;
	model->frameworks = lq_config_alloc(p, rows.count, sizeof(LqFramework));
	for (int i = 0; i < rows.count; i++)
	{
		LqFramework *framework = &model->frameworks[i];

		framework->name = lq_config_text(p, &rows, i, 1);
		framework->min_met = lq_config_int(&rows, i, 2, -1);
		framework->min_score = lq_config_float(&rows, i, 3, NAN);
		compile_criteria(p, framework, &criteria);
	}
}

static void
compile_gates(LqPipeline *p, LqModel *model, Datum config)
{
	LqConfigRows rows = lq_config_rows(config,
									   "SELECT g.stage, g.name, g.from_stages, g.min_total, g.min_engagement, "
									   "g.min_fit, g.min_grade, g.activity_type, g.automatic, "
									   "g.condition IS NOT NULL, g.framework, g.after, g.idle, g.keep_total, "
											"g.keep_engagement, g.fallback_stage "
									   "FROM pg_catalog.jsonb_to_recordset(pg_catalog.jsonb_extract_path($1, 'gates')) "
									   "AS g(stage pg_catalog.text, name pg_catalog.text, from_stages pg_catalog._text, "
									   "min_total pg_catalog.float8, min_engagement pg_catalog.float8, "
									   "min_fit pg_catalog.float8, min_grade pg_catalog.text, "
									   "framework pg_catalog.text, after pg_catalog.interval, idle pg_catalog.interval, "
											"keep_total pg_catalog.float8, keep_engagement pg_catalog.float8, "
											"fallback_stage pg_catalog.text, activity_type pg_catalog.text, "
											"automatic pg_catalog.bool, "
									   "condition pg_catalog.text, enabled pg_catalog.bool) WHERE g.enabled");
	LqConfigRows calls = lq_config_rows(config,
										CALLS_QUERY("c.stage, c.gate, c.function, c.within_us, c.argument", ""));

	model->ngates = rows.count;
	model->gates = lq_config_alloc(p, rows.count, sizeof(LqGate));
	for (int i = 0; i < rows.count; i++)
	{
		compile_gate(p, model, config, &model->gates[i], &rows, i);
		compile_gate_calls(p, model, &model->gates[i],
						   model->stages[model->gates[i].stage].name, &calls);
	}
	/* stages are sorted by position, so their indexes are too */
	qsort(model->gates, model->ngates, sizeof(LqGate), gate_cmp);
}

/* moves that people may make */
static void
compile_transitions(LqPipeline *p, LqModel *model, Datum config)
{
	LqConfigRows rows = lq_config_rows(config,
									   "SELECT t.from_stage, t.to_stage "
									   "FROM pg_catalog.jsonb_to_recordset(pg_catalog.jsonb_extract_path($1, 'transitions')) "
									   "AS t(from_stage pg_catalog.text, to_stage pg_catalog.text)");

	model->ntransitions = rows.count;
	model->transitions = lq_config_alloc(p, rows.count, sizeof(LqTransition));
	for (int i = 0; i < rows.count; i++)
	{
		model->transitions[i].from = stage_find(model, lq_config_text(p, &rows, i, 1));
		model->transitions[i].to = stage_find(model, lq_config_text(p, &rows, i, 2));
	}
}

/* why people move leads */
static void
compile_reasons(LqPipeline *p, LqModel *model, Datum config)
{
	LqConfigRows rows = lq_config_rows(config,
									   "SELECT r.code, r.kind "
									   "FROM pg_catalog.jsonb_to_recordset(pg_catalog.jsonb_extract_path($1, 'reasons')) "
									   "AS r(code pg_catalog.text, kind pg_catalog.text) "
									   "ORDER BY r.code COLLATE pg_catalog.\"C\"");

	model->nreasons = rows.count;
	model->reasons = lq_config_alloc(p, rows.count, sizeof(LqReason));
	for (int i = 0; i < rows.count; i++)
	{
		model->reasons[i].code = lq_config_text(p, &rows, i, 1);
		model->reasons[i].kind = lq_config_text(p, &rows, i, 2);
	}
}

static void
compile_exclusions(LqPipeline *p, LqModel *model, Datum config)
{
	LqConfigRows rows = lq_config_rows(config,
									   "SELECT x.name, x.scored "
									   "FROM pg_catalog.jsonb_to_recordset(pg_catalog.jsonb_extract_path($1, 'exclusions')) "
									   "AS x(name pg_catalog.text, scored pg_catalog.bool) "
									   "ORDER BY x.name COLLATE pg_catalog.\"C\"");

	model->exclusions = lq_config_alloc(p, rows.count, sizeof(LqExclusion));
	for (int i = 0; i < rows.count; i++)
	{
		LqExclusion *exclusion = &model->exclusions[model->nexclusions];

		exclusion->name = lq_config_text(p, &rows, i, 1);
		exclusion->scored = lq_config_bool(&rows, i, 2);
		exclusion->condition = lead_condition(p, config, "exclusion",
											  psprintf("exclusion %s", exclusion->name),
											  exclusion->name);
		if (exclusion->condition == NULL)
			continue;
		model->nexclusions++;
		if (!exclusion->scored)
			model->unscored_possible = true;
	}
}

static void
compile_bands(LqPipeline *p, LqModel *model, Datum config)
{
	LqConfigRows rows = lq_config_rows(config,
									   "SELECT b.dimension, b.label, b.minimum "
									   "FROM pg_catalog.jsonb_to_recordset(pg_catalog.jsonb_extract_path($1, 'bands')) "
									   "AS b(dimension pg_catalog.text, label pg_catalog.text, minimum pg_catalog.float8) "
									   "ORDER BY b.dimension, b.minimum DESC, b.label COLLATE pg_catalog.\"C\"");

	model->nbands = rows.count;
	model->bands = lq_config_alloc(p, rows.count, sizeof(LqBand));
	for (int i = 0; i < rows.count; i++)
	{
		model->bands[i].dimension = dimension_find(model, lq_config_text(p, &rows, i, 1));
		model->bands[i].label = lq_config_text(p, &rows, i, 2);
		model->bands[i].minimum = lq_config_float(&rows, i, 3, -INFINITY);
	}
}

static void
compile_lists(LqPipeline *p, LqModel *model, Datum config)
{
	LqConfigRows rows = lq_config_rows(config,
									   "SELECT l.list, l.value "
									   "FROM pg_catalog.jsonb_to_recordset(pg_catalog.jsonb_extract_path($1, 'lists')) "
									   "AS l(list pg_catalog.text, value pg_catalog.text)");

	if (rows.count == 0)
		return;
	model->lists = lq_list_create(p->cxt);
	for (int i = 0; i < rows.count; i++)
		lq_list_add(model->lists, lq_config_text(p, &rows, i, 1), lq_config_text(p, &rows, i, 2));
}

/* ----------------------------------------------------------------
 * Entry points
 * ----------------------------------------------------------------
 */

/* add names of one array of column names to a list, each once */
static List *
columns_add(LqPipeline *p, List *columns, Datum config, const char *query)
{
	LqConfigRows rows = lq_config_rows(config, query);

	for (int i = 0; i < rows.count; i++)
	{
		char	   *name = lq_config_text(p, &rows, i, 1);
		bool		known = false;
		ListCell   *lc;

		foreach(lc, columns)
			known = known || strcmp(lfirst(lc), name) == 0;
		if (!known)
		{
			MemoryContext old = MemoryContextSwitchTo(p->cxt);

			columns = lappend(columns, name);
			MemoryContextSwitchTo(old);
		}
	}
	return columns;
}

/* watch a rule or a type; true if that is more than was watched before */
static bool
watch_add(LqPipeline *p, char *rule, char *activity_type, int64 within)
{
	MemoryContext old;
	LqWatch    *watch;
	ListCell   *lc;

	foreach(lc, p->watches)
	{
		watch = lfirst(lc);
		if (rule != NULL ? watch->rule == NULL || strcmp(watch->rule, rule) != 0 :
			watch->activity_type == NULL || strcmp(watch->activity_type, activity_type) != 0)
			continue;
		if (within <= watch->within)
			return false;
		watch->within = within;
		return true;
	}
	old = MemoryContextSwitchTo(p->cxt);
	watch = palloc(sizeof(LqWatch));
	watch->rule = rule;
	watch->activity_type = activity_type;
	watch->within = within;
	p->watches = lappend(p->watches, watch);
	MemoryContextSwitchTo(old);
	return true;
}

/* what a version's gates ask about, added to the pipeline's */
static void
collect_watches(LqPipeline *p, LqVersion *version)
{
	LqConfigRows calls = lq_config_rows(version->config,
										CALLS_QUERY("c.argument, c.within_us",
										"WHERE c.function <> 'points'"));
	LqConfigRows types = lq_config_rows(version->config,
										"SELECT DISTINCT g.activity_type "
										"FROM pg_catalog.jsonb_to_recordset(pg_catalog.jsonb_extract_path($1, 'gates')) "
										"AS g(activity_type pg_catalog.text, enabled pg_catalog.bool) "
										"WHERE g.enabled AND g.activity_type IS NOT NULL");
	LqVersion  *before = version == p->versions ? NULL : version - 1;

	version->asked = before == NULL ? 0 : before->asked;
	for (int i = 0; i < calls.count; i++)
	{
		bool		isnull;
		int64		within = DatumGetInt64(lq_config_field(&calls, i, 2, &isnull));

		version->asked += watch_add(p, lq_config_text(p, &calls, i, 1), NULL,
									isnull ? 0 : within);
	}
	for (int i = 0; i < types.count; i++)
		version->asked += watch_add(p, NULL, lq_config_text(p, &types, i, 1), 0);
}

/* what a version's gates ask of the clock, as text: to be compared */
static void
collect_clock(LqPipeline *p, LqVersion *version)
{
	LqConfigRows rows = lq_config_rows(version->config,
									   "SELECT COALESCE(pg_catalog.jsonb_agg(g)::pg_catalog.text, '') "
									   "FROM pg_catalog.jsonb_array_elements(pg_catalog.jsonb_extract_path($1, 'gates')) AS g "
									   "WHERE g OPERATOR(pg_catalog.@>) '{\"enabled\": true}' AND COALESCE(g OPERATOR(pg_catalog.->>) 'after', g OPERATOR(pg_catalog.->>) 'idle', "
									   "g OPERATOR(pg_catalog.->>) 'keep_total', g OPERATOR(pg_catalog.->>) 'keep_engagement') IS NOT NULL");

	version->clock = lq_config_text(p, &rows, 0, 1);
}

/*
 * The columns that a version's expressions name and what its gates ask about,
 * added to the pipeline's.  Versions come in order.
 */
void
lq_collect_needs(LqPipeline *p, LqVersion *version)
{
	SPI_connect();
	collect_watches(p, version);
	collect_clock(p, version);
	p->lead_columns = columns_add(p, p->lead_columns, version->config,
								  "SELECT c FROM pg_catalog.jsonb_array_elements_text("
								  "pg_catalog.jsonb_extract_path($1, 'lead_columns')) AS c");
	for (int i = 0; i < p->nsources; i++)
		p->sources[i].columns = columns_add(p, p->sources[i].columns, version->config,
											psprintf("SELECT c FROM pg_catalog.jsonb_array_elements_text("
													 "pg_catalog.jsonb_extract_path($1, 'activity_columns', '%d')) AS c",
													 p->sources[i].number));
	SPI_finish();
}

void
lq_compile_version(LqPipeline *p, LqVersion *version)
{
	LqModel    *model;

	SPI_connect();
	model = MemoryContextAllocZero(p->cxt, sizeof(LqModel));
	model->version = version->number;
	model->effective_from = version->effective_from;
	model->zone = pg_tzset(p->time_zone);
	if (model->zone == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("time zone \"%s\" of pipeline \"%s\" is not known",
						p->time_zone, p->name)));
	compile_dimensions(p, model, version->config);
	compile_stages(p, model, version->config);
	compile_rules(p, model, version->config);
	compile_types(p, model);
	compile_frameworks(p, model, version->config);
	compile_gates(p, model, version->config);
	compile_transitions(p, model, version->config);
	compile_exclusions(p, model, version->config);
	compile_reasons(p, model, version->config);
	compile_bands(p, model, version->config);
	compile_lists(p, model, version->config);
	SPI_finish();
	version->model = model;
}
