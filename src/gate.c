/*
 * gate.c
 *		What a gate asks of a lead, and whether it holds: part of the pure
 *		engine.
 */
#include "postgres.h"

#include <math.h>

#include "engine_internal.h"
#include "lead_grade.h"

/* ----------------------------------------------------------------
 * Small questions
 * ----------------------------------------------------------------
 */

int
lq_model_stage(const LqModel *model, const char *name)
{
	for (int i = 0; name != NULL && i < model->nstages; i++)
		if (strcmp(model->stages[i].name, name) == 0)
			return i;
	return -1;
}

/* rules are sorted by name */
int
lq_model_rule(const LqModel *model, const char *name)
{
	int			low = 0,
				high = model->nrules - 1;

	while (low <= high)
	{
		int			middle = (low + high) / 2;
		int			cmp = strcmp(name, model->rules[middle].name);

		if (cmp == 0)
			return middle;
		if (cmp < 0)
			high = middle - 1;
		else
			low = middle + 1;
	}
	return -1;
}

/* grade of the fit dimension, -1 if no band reaches down to it */
int
lq_model_grade(const LqModel *model, const LqScore *score, TimestampTz at)
{
	double		fit;

	if (model->fit < 0)
		return -1;
	fit = lq_score_points(score, model->fit, at, false);
	for (int i = 0; i < model->nbands; i++)
		if (model->bands[i].dimension == model->fit &&
			lq_reaches(fit, model->bands[i].minimum))
			return lq_grade_parse(model->bands[i].label);
	return -1;
}

/* matches of the rule of that name, whose length is len, in this cycle, at most "within" old; 0 counts all */
int64
lq_times_named(const LqEngine *engine, const char *rule, int len, int64 within)
{
	const LqScore *score = engine->lead->score;
	int			memory = lq_score_memory_named(score, rule, len);
	int64		count = 0;

	if (memory < 0)
		return 0;
	if (within == 0)
		return engine->fresh ? score->memories[memory].fresh_matches :
			score->memories[memory].matches;
	for (int i = 0; i < score->ntimes; i++)
	{
		const LqTime *time = &score->times[i];

		if (time->memory == memory && !time->pending &&
			engine->at - time->at <= within &&
			(!engine->fresh || time->at > engine->lead->mark))
			count++;
	}
	return count;
}

/* newest match of a rule, DT_NOBEGIN if there is none */
TimestampTz
lq_last_match(const LqEngine *engine, const char *rule)
{
	const LqScore *score = engine->lead->score;
	int			memory = lq_score_memory_named(score, rule, strlen(rule));
	TimestampTz last;

	if (memory < 0)
		return DT_NOBEGIN;
	last = score->memories[memory].last_at;
	if (engine->fresh && last <= engine->lead->mark)
		return DT_NOBEGIN;
	return last;
}

/* what the lead has answered, as the gate at work sees it */
const LqAssessment *
lq_lead_answers(const LqEngine *engine)
{
	return engine->fresh ? engine->lead->confirmed : engine->lead->assessment;
}

/* the first exclusion that holds for the lead, by name; NULL if none */
const LqExclusion *
lq_exclusion_holding(LqEngine *engine)
{
	const LqModel *model = engine->lead->model;

	for (int i = 0; i < model->nexclusions; i++)
		if (engine->holds(engine, model->exclusions[i].condition))
			return &model->exclusions[i];
	return NULL;
}

/* ----------------------------------------------------------------
 * Gates
 * ----------------------------------------------------------------
 */

/* without an activity since then; a step back begins it anew for what was left behind */
TimestampTz
lq_idle_since(const LqLead *lead, const LqGate *gate)
{
	return lq_stage_left_behind(lead, gate->stage) ? Max(lead->active_at, lead->mark) :
		lead->active_at;
}

/* of so many gates engine->closed has a bit; others are always asked */
#define CLOSED_MAX 64

/*
 * Few activities open a gate, so a condition that does not hold is remembered and
 * not asked again until a rule that it counts matches (lq_gates_ask_again), or
 * something else than an activity happens, the lead moves or another version is
 * in force, which forget all.  Not so where time alone may change it, or only facts
 * since the mark count.
 */
static bool
condition_holds(LqEngine *engine, const LqGate *gate)
{
	int			number = gate - engine->lead->model->gates;
	uint64		bit = number >= CLOSED_MAX || gate->asks_time || engine->fresh ? 0 :
		UINT64CONST(1) << number;

	if (engine->closed & bit)
		return false;
	if (engine->holds(engine, gate->condition))
		return true;
	engine->closed |= bit;
	return false;
}

/* a rule has matched: gates that count it are to be asked again */
void
lq_gates_ask_again(LqEngine *engine, int rule)
{
	const LqModel *model = engine->lead->model;

	for (int i = 0; engine->closed != 0 && i < Min(model->ngates, CLOSED_MAX); i++)
		if (model->gates[i].asks_rule[rule])
			engine->closed &= ~(UINT64CONST(1) << i);
}

/* does every requirement of a gate hold now? engine->fresh says by which facts */
bool
lq_gate_holds(LqEngine *engine, const LqGate *gate)
{
	LqLead	   *lead = engine->lead;
	const LqModel *model = lead->model;
	LqScore    *score = lead->score;
	TimestampTz at = engine->at;
	bool		fresh = engine->fresh;

	if (!isnan(gate->min_total) &&
		!lq_reaches(lq_score_total(score, at, fresh), gate->min_total))
		return false;
	if (!isnan(gate->min_engagement) &&
		!lq_reaches(lq_score_points(score, model->engagement, at, fresh),
					gate->min_engagement))
		return false;
	if (!isnan(gate->min_fit) &&
		!lq_reaches(lq_score_points(score, model->fit, at, fresh),
					gate->min_fit))
		return false;
	if (gate->min_grade >= 0 &&
		lq_model_grade(model, score, at) < gate->min_grade)
		return false;
	if (gate->activity_rule >= 0 &&
		lq_times(engine, model->rules[gate->activity_rule].name, 0) == 0)
		return false;
	if (gate->framework != NULL &&
		!lq_framework_qualified(gate->framework, lq_lead_answers(engine)))
		return false;
	/* facts about the lead alone are old news after a step back */
	if (fresh && !gate->asks_activity && lead->attributes_at <= lead->mark)
		return false;
	if (at - lead->stage_since < gate->after || at - lq_idle_since(lead, gate) < gate->idle)
		return false;
	return gate->condition == NULL || condition_holds(engine, gate);
}

/*
 * May this gate move the lead from where it is?  That is a question of the
 * stages only, not of the gate's requirements: onwards on the path, and from
 * or to a stage beside it if the gate names where the lead is.
 */
bool
lq_gate_reachable(const LqModel *model, const LqGate *gate, int current)
{
	const LqStage *from = &model->stages[current];
	const LqStage *to = &model->stages[gate->stage];

	bool		on_path = LQ_ON_PATH(from->kind) && LQ_ON_PATH(to->kind);

	if (to == from || (on_path && to->position < from->position))
		return false;
	if (gate->nfrom < 0)
		return on_path;
	for (int i = 0; i < gate->nfrom; i++)
		if (gate->from[i] == current)
			return true;
	return false;
}

/* was this stage left behind by the step back that set the mark? */
bool
lq_stage_left_behind(const LqLead *lead, int stage)
{
	int			marked;

	if (lead->mark_stage == NULL || !LQ_ON_PATH(lead->model->stages[stage].kind))
		return false;
	marked = lq_model_stage(lead->model, lead->mark_stage);
	return marked >= 0 &&
		lead->model->stages[stage].position <= lead->model->stages[marked].position;
}

/* the gate of a stage by name, NULL if there is none */
const LqGate *
lq_model_gate(const LqModel *model, int stage, const char *name)
{
	for (int i = 0; name != NULL && i < model->ngates; i++)
		if (model->gates[i].stage == stage && strcmp(model->gates[i].name, name) == 0)
			return &model->gates[i];
	return NULL;
}

/* can time alone open this gate? */
bool
lq_gate_waits(const LqGate *gate)
{
	return gate->after > 0 || gate->idle > 0;
}

/* does who came by this gate fall back when the score falls? */
bool
lq_gate_keeps(const LqGate *gate)
{
	return !isnan(gate->keep_total) || !isnan(gate->keep_engagement);
}

/* are the scores at a time, if nothing happens before, at or above what the gate keeps? */
bool
lq_gate_kept(const LqLead *lead, const LqGate *gate, TimestampTz at)
{
	const LqScore *score = lead->score;

	if (!isnan(gate->keep_total) &&
		!lq_reaches(lq_score_total(score, at, false), gate->keep_total))
		return false;
	return isnan(gate->keep_engagement) ||
		lq_reaches(lq_score_points(score, lead->model->engagement, at, false),
				   gate->keep_engagement);
}
