/*
 * explain.c
 *		Shells "score_at", "explain" and "explain_stage": the engine over a
 *		lead's events up to a time, writing nothing.
 *
 * They run with the caller's rights: who may not read the activities gets
 * PostgreSQL's own error.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "funcapi.h"
#include "lead_grade.h"
#include "miscadmin.h"
#include "replay.h"
#include "run.h"
#include "sql.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

/* one lead, replayed up to a time */
typedef struct Explained
{
	ReturnSetInfo *rsinfo;
	LqPipeline *pipeline;
	LqCases    *cases;
	LqCase	   *c;
	LqEngine	engine;			/* under guard until explained_done() */
	TimestampTz at;
	LqUser		user;
} Explained;

/*
 * Replay the lead named by the arguments (pipeline, lead, at).  False when an
 * argument is NULL: no rows.
 */
static bool
explained_begin(FunctionCallInfo fcinfo, Explained *x)
{
	Datum		key;
	char	   *name;

	InitMaterializedSRF(fcinfo, 0);
	memset(x, 0, sizeof(Explained));
	x->rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(2))
		return false;
	x->pipeline = lq_pipeline_get(text_to_cstring(PG_GETARG_TEXT_PP(0)), false);
	lq_pipeline_check(x->pipeline);
	name = lq_argument_text(fcinfo, 1);
	x->at = PG_GETARG_TIMESTAMPTZ(2);
	if (TIMESTAMP_NOT_FINITE(x->at))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a score is of a finite time"),
				 errhint("Pass a time, or leave it out for now().")));
	key = lq_key_parse(x->pipeline, name);
	/* the caller's rights, but not his search_path */
	lq_become(&x->user, GetUserId());
	x->cases = lq_cases_create(x->pipeline, &key, 1);
	x->cases->read_only = true;
	x->c = &x->cases->cases[0];
	lq_cases_lock(x->cases);
	if (!x->c->exists)
		ereport(ERROR,
				(errcode(ERRCODE_NO_DATA_FOUND),
				 errmsg("lead \"%s\" is not in %s", name, lq_leads_name(x->pipeline)),
				 errhint("A lead is named by its \"%s\".", x->pipeline->lead_key)));
	lq_cases_read(x->cases);
	x->c->replay = true;
	lq_events_load(x->cases, true);
	if (x->c->baseline != NULL && x->at < x->c->baseline->at)
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("what lead \"%s\" was at %s is archived", name,
						timestamptz_to_str(x->at)),
				 errdetail("The archive ends at %s.",
						   pstrdup(timestamptz_to_str(x->c->baseline->at))),
				 errhint("The stage history has the scores at each move.")));
	lq_run_engine_init(x->cases, &x->engine);
	x->engine.explaining = true;
	lq_case_replay(x->cases, x->c, &x->engine, x->at, x->at);
	x->engine.at = x->at;
	return true;
}

static void
explained_done(Explained *x)
{
	lq_run_engine_done(x->cases, &x->engine);
	lq_cases_close(x->cases);
	lq_return(&x->user);
}

static void
put_row(Explained *x, Datum *values, bool *nulls)
{
	tuplestore_putvalues(x->rsinfo->setResult, x->rsinfo->setDesc, values, nulls);
}

/* a text value, or null */
static void
set_text(Datum *values, bool *nulls, int column, const char *text)
{
	nulls[column] = text == NULL;
	values[column] = text == NULL ? (Datum) 0 : CStringGetTextDatum(text);
}

/* ----------------------------------------------------------------
 * score_at
 * ----------------------------------------------------------------
 */

PG_FUNCTION_INFO_V1(lq_score_at);

Datum
lq_score_at(PG_FUNCTION_ARGS)
{
	Explained	x;
	LqScore    *score;

	if (!explained_begin(fcinfo, &x))
		return (Datum) 0;
	score = x.c->lead.score;
	for (int i = 0; i <= score->ndimensions; i++)
	{
		bool		total = i == score->ndimensions;
		Datum		values[2];
		bool		nulls[2] = {false, false};

		set_text(values, nulls, 0, total ? "total" : score->dimensions[i].name);
		values[1] = Float8GetDatum(total ? lq_score_total(score, x.at, false) :
								   lq_score_points(score, i, x.at, false));
		put_row(&x, values, nulls);
	}
	explained_done(&x);
	return (Datum) 0;
}

/* ----------------------------------------------------------------
 * explain
 * ----------------------------------------------------------------
 */

/* a row of explain(); NULL and 0 leave columns null */
typedef struct ExplainRow
{
	const char *dimension;
	const char *rule;
	int			version;		/* 0: null */
	const char *source;
	const char *key;
	TimestampTz at;				/* DT_NOBEGIN: null */
	double		points;			/* NaN: null */
	bool		counted;
	double		worth;
	const char *note;
} ExplainRow;

static void
put_explain(Explained *x, const ExplainRow *row)
{
	Datum		values[10];
	bool		nulls[10] = {false};

	set_text(values, nulls, 0, row->dimension);
	set_text(values, nulls, 1, row->rule);
	nulls[2] = row->version == 0;
	values[2] = Int32GetDatum(row->version);
	set_text(values, nulls, 3, row->source);
	set_text(values, nulls, 4, row->key);
	nulls[5] = row->at == DT_NOBEGIN;
	values[5] = TimestampTzGetDatum(row->at);
	nulls[6] = isnan(row->points);
	values[6] = Float8GetDatum(row->points);
	values[7] = BoolGetDatum(row->counted);
	values[8] = Float8GetDatum(row->worth);
	set_text(values, nulls, 9, row->note);
	put_row(x, values, nulls);
}

/* a row that is about a dimension, not about an activity */
static void
put_correction(Explained *x, const char *dimension, const char *rule,
			   double worth, const char *note)
{
	ExplainRow	row = {dimension, rule, 0, NULL, NULL, DT_NOBEGIN, NAN, true, 0, NULL};

	row.worth = worth;
	row.note = note;
	put_explain(x, &row);
}

/*
 * linear and window keep a rule's latest entries only; what was pushed out is
 * worth nothing.  Contributions are in order of time.
 */
static void
forget_oldest(List *contributions)
{
	for (int i = list_length(contributions) - 1; i >= 0; i--)
	{
		LqContribution *newest = list_nth(contributions, i);
		int			kept = 0;

		if (!newest->counted || newest->visited ||
			(newest->decay != LQ_DECAY_LINEAR && newest->decay != LQ_DECAY_WINDOW))
			continue;
		for (int k = i; k >= 0; k--)
		{
			LqContribution *row = list_nth(contributions, k);

			if (!row->counted || row->decay != newest->decay ||
				row->period != newest->period || strcmp(row->rule, newest->rule) != 0 ||
				strcmp(row->dimension, newest->dimension) != 0)
				continue;
			row->visited = true;
			if (++kept > LQ_MAX_ENTRIES)
			{
				row->counted = false;
				row->note = "only the rule's latest 1000 count";
			}
		}
	}
}

/* activities; returns the sum of worths of one dimension */
static void
explain_activities(Explained *x, double *sums)
{
	const LqScore *score = x->c->lead.score;
	ListCell   *lc;

	forget_oldest(x->engine.contributions);
	foreach(lc, x->engine.contributions)
	{
		LqContribution *c = lfirst(lc);
		int			dimension = lq_score_dimension(score, c->dimension);
		ExplainRow	row = {c->dimension, c->rule, c->version, c->source_name, c->key_text,
		c->at, c->points, c->counted, 0, c->note};

		if (dimension < 0)
		{
			row.counted = false;
			row.note = "the dimension is no longer there";
		}
		if (row.counted)
			row.worth = lq_worth(c->points, c->decay, c->period, c->at, x->at);
		c->worth = row.worth;
		c->counted = row.counted;
		if (dimension >= 0)
			sums[dimension] += row.worth;
		put_explain(x, &row);
	}
}

/* what max_points takes away from a rule's sum */
static void
explain_max_points(Explained *x, double *sums)
{
	LqScore    *score = x->c->lead.score;

	for (int m = 0; m < score->nmemories; m++)
	{
		const LqMemory *memory = &score->memories[m];

		if (isinf(memory->max_points))
			continue;
		for (int d = 0; d < score->ndimensions; d++)
		{
			double		sum = 0;
			double		held;
			ListCell   *lc;

			foreach(lc, x->engine.contributions)
			{
				LqContribution *c = lfirst(lc);

				if (c->own_sum && strcmp(c->rule, memory->rule) == 0 &&
					strcmp(c->dimension, score->dimensions[d].name) == 0)
					sum += c->worth;
			}
			held = lq_clamp(sum, -memory->max_points, memory->max_points);
			if (held == sum)
				continue;
			put_correction(x, score->dimensions[d].name, memory->rule, held - sum,
						   psprintf("held to max_points %g", memory->max_points));
			sums[d] += held - sum;
		}
	}
}

/* lead rules, bounds, weights: from the dimensions to the total */
static void
explain_lead_rules(Explained *x, double *sums)
{
	const LqLead *lead = &x->c->lead;
	const LqModel *model = lead->model;

	for (int i = 0; i < model->nrules && !lead->score->unscored; i++)
	{
		const LqRule *rule = &model->rules[i];
		ExplainRow	row = {NULL, rule->name, model->version, NULL, NULL, DT_NOBEGIN,
		rule->points, true, rule->points, "fact about the lead"};

		if (!lq_lead_rule_holds(&x->engine, rule))
			continue;
		row.dimension = model->dimensions[rule->dimension].name;
		sums[rule->dimension] += rule->points;
		put_explain(x, &row);
	}
}

static const char *
held_note(double before, double after)
{
	return psprintf("held to %s %g", after < before ? "maximum" : "minimum", after);
}

static void
explain_bounds(Explained *x, double *sums)
{
	const LqScore *score = x->c->lead.score;
	double		total = 0;
	double		held;

	for (int d = 0; d < score->ndimensions; d++)
	{
		const LqDimension *dimension = &score->dimensions[d];
		double		value = lq_clamp(sums[d], dimension->minimum, dimension->maximum);

		if (value != sums[d])
			put_correction(x, dimension->name, NULL, value - sums[d],
						   held_note(sums[d], value));
		if (dimension->weight != 1 && value != 0)
			put_correction(x, dimension->name, NULL, value * (dimension->weight - 1),
						   psprintf("weight %g in the total", dimension->weight));
		total += value * dimension->weight;
	}
	held = lq_clamp(total, score->total_minimum, score->total_maximum);
	if (held != total)
		put_correction(x, "total", NULL, held - total, held_note(total, held));
}

PG_FUNCTION_INFO_V1(lq_explain);

Datum
lq_explain(PG_FUNCTION_ARGS)
{
	Explained	x;
	double	   *sums;

	if (!explained_begin(fcinfo, &x))
		return (Datum) 0;
	sums = palloc0(sizeof(double) * Max(1, x.c->lead.score->ndimensions));
	explain_activities(&x, sums);
	explain_max_points(&x, sums);
	explain_lead_rules(&x, sums);
	explain_bounds(&x, sums);
	explained_done(&x);
	return (Datum) 0;
}

/* ----------------------------------------------------------------
 * explain_stage
 * ----------------------------------------------------------------
 */

static void
put_requirement(Explained *x, const char *stage, const char *gate,
				const char *requirement, const char *have, const char *need, bool met)
{
	Datum		values[6];
	bool		nulls[6] = {false};

	set_text(values, nulls, 0, stage);
	set_text(values, nulls, 1, gate);
	set_text(values, nulls, 2, requirement);
	set_text(values, nulls, 3, have);
	set_text(values, nulls, 4, need);
	values[5] = BoolGetDatum(met);
	put_row(x, values, nulls);
}

static void
put_threshold(Explained *x, const LqGate *gate, const char *requirement,
			  double have, double need)
{
	if (isnan(need))
		return;
	put_requirement(x, x->c->lead.model->stages[gate->stage].name, gate->name, requirement,
					psprintf("%.6g", have), psprintf(">= %.6g", need), lq_reaches(have, need));
}

/* microseconds as people write them: days of 24 hours */
static char *
length_text(int64 microseconds)
{
	Interval	interval = {0};

	interval.day = microseconds / USECS_PER_DAY;
	interval.time = microseconds % USECS_PER_DAY;
	return DatumGetCString(DirectFunctionCall1(interval_out, IntervalPGetDatum(&interval)));
}

/* how long something lasts already, and how long it must */
static void
put_wait(Explained *x, const LqGate *gate, const char *requirement,
		 TimestampTz since, int64 need)
{
	if (need == 0)
		return;
	put_requirement(x, x->c->lead.model->stages[gate->stage].name, gate->name, requirement,
					length_text(x->at - since), psprintf(">= %s", length_text(need)),
					x->at - since >= need);
}

static void
explain_grade(Explained *x, const LqGate *gate)
{
	const LqLead *lead = &x->c->lead;
	int			grade;

	if (gate->min_grade < 0)
		return;
	grade = lq_model_grade(lead->model, lead->score, x->at);
	put_requirement(x, lead->model->stages[gate->stage].name, gate->name, "grade",
					grade < 0 ? NULL : lq_grade_name(grade),
					psprintf(">= %s", lq_grade_name(gate->min_grade)),
					grade >= gate->min_grade);
}

/* "unmet: authority (no)": the criteria that stand so, with their levels */
static void
append_criteria(StringInfo buf, const LqFramework *framework, const LqAssessment *answers,
				LqStanding standing, const char *title)
{
	bool		any = false;

	for (int i = 0; i < framework->ncriteria; i++)
	{
		const LqCriterion *criterion = &framework->criteria[i];
		int			level = lq_assessment_level(answers, criterion->name, criterion->len);

		if (lq_criterion_standing(criterion, level) != standing)
			continue;
		if (any)
			appendStringInfoString(buf, ", ");
		else
			appendStringInfo(buf, "%s%s: ", buf->len > 0 ? "; " : "", title);
		appendStringInfoString(buf, criterion->name);
		if (standing == LQ_UNMET)
			appendStringInfo(buf, " (%s)", lq_level_name(level));
		any = true;
	}
}

/* "all 4", "3 of 4, budget required, score >= 60" */
static char *
framework_need(const LqFramework *framework)
{
	StringInfoData buf;
	int			min_met = framework->min_met;

	initStringInfo(&buf);
	if (min_met < 0 || min_met == framework->ncriteria)
		appendStringInfo(&buf, "all %d", framework->ncriteria);
	else if (min_met > 0)
		appendStringInfo(&buf, "%d of %d", min_met, framework->ncriteria);
	for (int i = 0; i < framework->ncriteria; i++)
		if (framework->criteria[i].required)
			appendStringInfo(&buf, "%s%s required", buf.len > 0 ? ", " : "",
							 framework->criteria[i].name);
	if (!isnan(framework->min_score))
		appendStringInfo(&buf, "%sscore >= %.6g", buf.len > 0 ? ", " : "",
						 framework->min_score);
	return buf.data;
}

static void
explain_framework(Explained *x, const LqGate *gate)
{
	const LqFramework *framework = gate->framework;
	const LqAssessment *answers = lq_lead_answers(&x->engine);
	LqVerdict	verdict;
	StringInfoData have;

	if (framework == NULL)
		return;
	lq_framework_assess(framework, answers, &verdict);
	initStringInfo(&have);
	append_criteria(&have, framework, answers, LQ_MET, "met");
	append_criteria(&have, framework, answers, LQ_UNMET, "unmet");
	append_criteria(&have, framework, answers, LQ_NOT_ANSWERED,
					x->engine.fresh ? "to be confirmed" : "unknown");
	if (!isnan(framework->min_score))
		appendStringInfo(&have, "; score: %.6g", verdict.score);
	put_requirement(x, x->c->lead.model->stages[gate->stage].name, gate->name,
					psprintf("framework %s", framework->name), have.data,
					framework_need(framework), verdict.qualified);
}

/* "employees = 20, lead_qualify.times('demo_request') = 0" */
static char *
values_found(Explained *x, const LqGate *gate, const LqPart *part)
{
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	foreach(lc, part->subjects)
	{
		const LqPart *subject = lfirst(lc);
		LqCondition *text = lq_condition_create(psprintf("(%s)::pg_catalog.text", subject->text),
												TEXTOID, "gate", gate->name);
		char	   *value = lq_engine_text(&x->engine, text);

		appendStringInfo(&buf, "%s%s = %s", buf.len > 0 ? ", " : "", subject->title,
						 value == NULL ? "null" : value);
	}
	return buf.data;
}

/* each part that AND joins is a row of its own */
static void
explain_condition(Explained *x, const LqGate *gate)
{
	const char *stage = x->c->lead.model->stages[gate->stage].name;
	ListCell   *lc;

	if (gate->condition == NULL)
		return;
	foreach(lc, lq_expression_parts(lq_condition_text(gate->condition),
									 x->cases->leads, x->pipeline->owner))
	{
		LqPart	   *part = lfirst(lc);
		LqCondition *condition = lq_condition_create(part->text, BOOLOID, "gate", gate->name);

		put_requirement(x, stage, gate->name, part->title, values_found(x, gate, part),
						"true", x->engine.holds(&x->engine, condition));
	}
}

/* the present stage must be one that the gate leads from */
static bool
explain_from(Explained *x, const LqGate *gate)
{
	const LqLead *lead = &x->c->lead;
	const LqModel *model = lead->model;
	StringInfoData need;

	if (lq_gate_reachable(model, gate, lq_model_stage(model, lead->stage)))
		return true;
	initStringInfo(&need);
	for (int i = 0; i < gate->nfrom; i++)
		appendStringInfo(&need, "%s%s", i > 0 ? ", " : "", model->stages[gate->from[i]].name);
	put_requirement(x, model->stages[gate->stage].name, gate->name, "from_stages",
					lead->stage, gate->nfrom < 0 ? "a stage on the path" : need.data, false);
	return false;
}

static void
explain_mark(Explained *x, const LqGate *gate)
{
	const LqLead *lead = &x->c->lead;
	const char *mark = timestamptz_to_str(lead->mark);

	if (!x->engine.fresh)
		return;
	put_requirement(x, lead->model->stages[gate->stage].name, gate->name, "mark",
					psprintf("stepped back at %s", mark),
					gate->asks_activity ? "only what is newer counts" : "a change of the lead since",
					gate->asks_activity || lead->attributes_at > lead->mark);
}

static void
explain_gate(Explained *x, const LqGate *gate)
{
	const LqLead *lead = &x->c->lead;
	const LqModel *model = lead->model;
	const LqScore *score = lead->score;
	const char *stage = model->stages[gate->stage].name;
	bool		fresh = lq_stage_left_behind(lead, gate->stage);

	(void) explain_from(x, gate);
	x->engine.fresh = fresh;
	put_threshold(x, gate, "total", lq_score_total(score, x->at, fresh), gate->min_total);
	if (!isnan(gate->min_engagement))
		put_threshold(x, gate, "engagement",
					  lq_score_points(score, model->engagement, x->at, fresh),
					  gate->min_engagement);
	if (!isnan(gate->min_fit))
		put_threshold(x, gate, "fit", lq_score_points(score, model->fit, x->at, fresh),
					  gate->min_fit);
	explain_grade(x, gate);
	if (gate->activity_rule >= 0)
	{
		int64		times = lq_times(&x->engine, model->rules[gate->activity_rule].name, 0);

		put_requirement(x, stage, gate->name, psprintf("activity %s", gate->activity_type),
						psprintf(INT64_FORMAT, times), ">= 1", times > 0);
	}
	explain_framework(x, gate);
	put_wait(x, gate, "after", lead->stage_since, gate->after);
	put_wait(x, gate, "idle", lq_idle_since(lead, gate), gate->idle);
	explain_condition(x, gate);
	explain_mark(x, gate);
	if (!gate->automatic)
		put_requirement(x, stage, gate->name, "manual", NULL, "a person moves the lead", false);
	x->engine.fresh = false;
}

/* a stage ahead: its gates in order of name; without any, a person decides */
static void
explain_ahead(Explained *x, int stage)
{
	const LqModel *model = x->c->lead.model;
	bool		any = false;

	for (int i = 0; i < model->ngates; i++)
		if (model->gates[i].stage == stage)
		{
			explain_gate(x, &model->gates[i]);
			any = true;
		}
	if (!any)
		put_requirement(x, model->stages[stage].name, NULL, "manual", NULL,
						"a person moves the lead", false);
}

/* a stage beside the path: the gates that lead there from here */
static void
explain_beside(Explained *x, int stage, int current)
{
	const LqModel *model = x->c->lead.model;

	for (int i = 0; i < model->ngates; i++)
		if (model->gates[i].stage == stage &&
			lq_gate_reachable(model, &model->gates[i], current))
			explain_gate(x, &model->gates[i]);
}

/* what keeps the lead from every stage */
static void
explain_obstacles(Explained *x)
{
	const LqLead *lead = &x->c->lead;
	const LqModel *model = lead->model;
	int			current = lq_model_stage(model, lead->stage);

	if (current < 0)
		put_requirement(x, NULL, NULL, "stage", NULL, "a known stage", false);
	else if (LQ_ENDS_MOVES(model->stages[current].kind))
		put_requirement(x, NULL, NULL, "stage", lead->stage,
						"a stage that automatic moves leave", false);
	for (int i = 0; i < model->nexclusions; i++)
		if (x->engine.holds(&x->engine, model->exclusions[i].condition))
			put_requirement(x, NULL, NULL, psprintf("exclusion %s", model->exclusions[i].name),
							"holds", "does not hold", false);
}

/* what keeps the lead where it is */
static void
explain_stay(Explained *x, int current)
{
	const LqLead *lead = &x->c->lead;
	const LqModel *model = lead->model;
	const LqGate *gate = lq_model_gate(model, current, lead->gate);
	const char *stage = model->stages[current].name;

	if (lead->held_from != NULL)
		put_requirement(x, stage, NULL, "hold", stage,
						lead->held_until == DT_NOEND ? "a person ends it" :
						psprintf("until %s, then %s", timestamptz_to_str(lead->held_until),
								 lead->held_from), true);
	if (gate == NULL || !lead->keeping)
		return;
	put_threshold(x, gate, "keep_total", lq_score_total(lead->score, x->at, false),
				  gate->keep_total);
	if (!isnan(gate->keep_engagement))
		put_threshold(x, gate, "keep_engagement",
					  lq_score_points(lead->score, model->engagement, x->at, false),
					  gate->keep_engagement);
}

PG_FUNCTION_INFO_V1(lq_explain_stage);

Datum
lq_explain_stage(PG_FUNCTION_ARGS)
{
	Explained	x;
	const LqModel *model;
	int			current;

	if (!explained_begin(fcinfo, &x))
		return (Datum) 0;
	model = x.c->lead.model;
	current = lq_model_stage(model, x.c->lead.stage);
	explain_obstacles(&x);
	if (current >= 0)
		explain_stay(&x, current);
	for (int stage = 0; stage < model->nstages && current >= 0; stage++)
		if (!LQ_ON_PATH(model->stages[stage].kind))
			explain_beside(&x, stage, current);
		else if (!LQ_ON_PATH(model->stages[current].kind) ||
				 model->stages[stage].position > model->stages[current].position)
			explain_ahead(&x, stage);
	explained_done(&x);
	return (Datum) 0;
}
