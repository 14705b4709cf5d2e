/*
 * late.c
 *		Late rows: activities older than the newest event that can be added
 *		without a replay.  Part of the pure engine.
 */
#include "postgres.h"

#include <math.h>

#include "engine_internal.h"

/*
 * Could this gate open, now or at any event since the lead was last steady,
 * if every dimension had been higher by "added"?  Peaks are the greatest
 * values the dimensions had at events since then.
 */
static bool
gate_could_hold(const LqLead *lead, const LqGate *gate,
				const double *added, double added_total)
{
	const LqModel *model = lead->model;
	const LqScore *score = lead->score;
	bool		thresholds = false;

	if (!isnan(gate->min_total))
	{
		thresholds = true;
		if (!lq_reaches(score->total_peak + added_total, gate->min_total))
			return false;
	}
	if (!isnan(gate->min_engagement))
	{
		int			d = model->engagement;

		thresholds = true;
		if (!lq_reaches(score->dimensions[d].peak + added[d], gate->min_engagement))
			return false;
	}
	if (!isnan(gate->min_fit))
	{
		int			d = model->fit;

		thresholds = true;
		if (!lq_reaches(score->dimensions[d].peak + added[d], gate->min_fit))
			return false;
	}
	if (gate->min_grade >= 0 && added[model->fit] != 0)
		return true;

	/*
	 * Thresholds within reach must be judged by replay.  Without thresholds
	 * the gate's facts are those of the event before the late row, where it
	 * was already judged, unless they change by time alone.
	 */
	return thresholds || gate->asks_points;
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

		/* caps, counts, watchers and answers depend on order; a full list may lose another entry */
		if (rule->watched || rule->answers != NULL || rule->at_most > 0 || rule->at_least > 1 ||
			!isinf(rule->max_points) || score->nentries >= LQ_MAX_ENTRIES)
			return false;
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

	for (int i = 0; i < event->nmatches; i++)
		lq_match_apply(engine, event, &event->matches[i]);
	for (int i = 0; i < score->ndimensions; i++)
		score->dimensions[i].peak += added[i];
	score->total_peak += added_total;
	lead->active_at = Max(lead->active_at, event->pos.at);
	pfree(added);
	return true;
}
