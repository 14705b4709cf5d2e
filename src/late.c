/*
 * late.c
 *		Late rows: activities older than the newest event that can be added
 *		without a replay.  Part of the pure engine.
 */
#include "postgres.h"

#include <math.h>

#include "engine_internal.h"

/* what a rule's cap says of a match that comes late, whatever came after it */
typedef enum Cap
{
	CAP_ROOM,					/* it counts */
	CAP_FULL,					/* it would not have counted then */
	CAP_UNKNOWN					/* only a replay knows */
} Cap;

/*
 * A match from before the cap was full would have displaced one that counted,
 * and of a bucket that is over nothing is known any more.  Which match would be
 * the one that fills the cap is known only of the first.
 */
static Cap
cap_of(const LqScore *score, const LqModel *model, const LqEvent *event, const LqMatch *match)
{
	const LqRule *rule = &model->rules[match->rule];
	int			memory = lq_score_memory_named(score, rule->name, strlen(rule->name));
	int64		bucket = lq_bucket(event->pos.at, rule->per, model->zone);
	int			counted = 0;

	for (int i = 0; i < score->ncounts; i++)
	{
		const LqCount *count = &score->counts[i];

		if (count->memory != memory)
			continue;
		if (count->bucket > bucket)
			return CAP_UNKNOWN;
		if (count->bucket != bucket || count->value != match->value)
			continue;
		counted = count->count;
		if (counted >= rule->at_most)
			return count->full_at != DT_NOBEGIN && event->pos.at > count->full_at ? CAP_FULL :
				CAP_UNKNOWN;
	}
	return counted == 0 || counted + 1 < rule->at_most ? CAP_ROOM : CAP_UNKNOWN;
}

/*
 * What one threshold says of a late row: OUT_OF_REACH, it would not be reached
 * with the row either; AS_IT_WAS, it is what it was at the event before, where
 * the gate was judged; else only a replay knows.
 */
typedef enum Threshold
{
	OUT_OF_REACH,
	AS_IT_WAS,
	WITHIN_REACH
} Threshold;

/* of a value that had this peak at events since the lead was last steady */
static Threshold
threshold(double peak, double added, double least)
{
	if (isnan(least))
		return AS_IT_WAS;
	if (!lq_reaches(peak + added, least))
		return OUT_OF_REACH;
	/* without a peak it may have risen by time alone */
	return added == 0 && peak < PEAK_UNKNOWN ? AS_IT_WAS : WITHIN_REACH;
}

/*
 * Could this gate open, at the late row or at any event since the lead was last
 * steady, if every dimension had been higher by "added"?
 */
static bool
gate_could_hold(const LqLead *lead, const LqGate *gate,
				const double *added, double added_total)
{
	const LqModel *model = lead->model;
	const LqScore *score = lead->score;
	Threshold	said[3];

	said[0] = threshold(score->total_peak, added_total, gate->min_total);
	said[1] = isnan(gate->min_engagement) ? AS_IT_WAS :
		threshold(score->dimensions[model->engagement].peak, added[model->engagement],
				  gate->min_engagement);
	said[2] = isnan(gate->min_fit) ? AS_IT_WAS :
		threshold(score->dimensions[model->fit].peak, added[model->fit], gate->min_fit);
	for (int i = 0; i < lengthof(said); i++)
		if (said[i] == OUT_OF_REACH)
			return false;
	if (gate->min_grade >= 0 && added[model->fit] != 0)
		return true;
	for (int i = 0; i < lengthof(said); i++)
		if (said[i] == WITHIN_REACH)
			return true;
	return gate->asks_time;
}

/* does a gate that the lead may come through depend on how often the rule matched? */
static bool
gate_asks(const LqModel *model, int current, int rule)
{
	for (int i = 0; i < model->ngates; i++)
		if (model->gates[i].automatic && model->gates[i].asks_rule[rule] &&
			lq_gate_reachable(model, &model->gates[i], current))
			return true;
	return false;
}

/*
 * Take in an activity older than the newest event without a replay, if
 * nothing but the sums can depend on it.  Returns false if the lead must be
 * replayed; then nothing has changed.
 */
bool
lq_engine_merge(LqEngine *engine, const LqEvent *event)
{
	LqLead	   *lead = engine->lead;
	const LqModel *model = lead->model;
	LqScore    *score = lead->score;
	int			current = lq_model_stage(model, lead->stage);
	const LqGate *entry = lq_model_gate(model, current, lead->gate);
	bool		keeps = entry != NULL && lq_gate_keeps(entry);
	double	   *added;
	double		added_total = 0;

	if (event->model != model || event->pos.kind != LQ_EVENT_ACTIVITY ||
		event->pos.at <= score->steady_since || current < 0 ||
		lead->mark_stage != NULL || score->unscored)
		return false;

	added = palloc0(sizeof(double) * model->ndimensions);
	for (int i = 0; i < event->nmatches; i++)
	{
		const LqRule *rule = &model->rules[event->matches[i].rule];
		double		weighted = rule->points * model->dimensions[rule->dimension].weight;
		Cap			cap = rule->at_most == 0 ? CAP_ROOM :
			cap_of(score, model, event, &event->matches[i]);

		/* counts and answers depend on order; a full list may lose another entry */
		if (rule->answers != NULL || rule->at_least > 1 || cap == CAP_UNKNOWN ||
			score->nentries >= LQ_MAX_ENTRIES || score->ntimes >= LQ_MAX_ENTRIES ||
			(rule->watched && gate_asks(model, current, event->matches[i].rule)))
			return false;
		if (cap == CAP_FULL)
			continue;
		/* an earlier fall, or a score that begins to bind earlier */
		if (keeps && (rule->points < 0 || !lead->keeping))
			return false;
		added[rule->dimension] += Max(rule->points, 0);
		added_total += Max(weighted, 0);
	}
	if (!LQ_ENDS_MOVES(model->stages[current].kind))
		for (int i = 0; i < model->ngates; i++)
			if (model->gates[i].automatic &&
				lq_gate_reachable(model, &model->gates[i], current) &&
				gate_could_hold(lead, &model->gates[i], added, added_total))
				return false;

	engine->closed = 0;
	for (int i = 0; i < event->nmatches; i++)
		lq_match_apply(engine, event, &event->matches[i]);
	for (int i = 0; i < score->ndimensions; i++)
		score->dimensions[i].peak += added[i];
	score->total_peak += added_total;
	lead->active_at = Max(lead->active_at, event->pos.at);
	pfree(added);
	return true;
}
