/*
 * clock.c
 *		What time alone changes: a score that falls below what a gate keeps,
 *		gates that wait, the end of a hold.  Part of the pure engine, which
 *		reads no clock: it is told how far to go.
 */
#include "postgres.h"

#include <math.h>

#include "common/int.h"
#include "crossing.h"
#include "engine_internal.h"
#include "falling.h"
#include "miscadmin.h"
#include "utils/timestamp.h"

static TimestampTz
later(TimestampTz at, int64 microseconds)
{
	TimestampTz sum;

	if (TIMESTAMP_IS_NOBEGIN(at) || pg_add_s64_overflow(at, microseconds, &sum))
		return DT_NOEND;
	return sum;
}

/* when a gate that waits for the clock will have waited long enough */
static TimestampTz
gate_due(const LqLead *lead, const LqGate *gate)
{
	TimestampTz due = DT_NOBEGIN;

	if (gate->after > 0)
		due = Max(due, later(lead->stage_since, gate->after));
	if (gate->idle > 0)
		due = Max(due, later(lq_idle_since(lead, gate), gate->idle));
	return due;
}

/*
 * When, before "until", the score will fall below what the gate of entry
 * keeps; DT_NOEND if not.
 */
static TimestampTz
keep_due(const LqLead *lead, int current, TimestampTz until)
{
	const LqModel *model = lead->model;
	const LqScore *score = lead->score;
	const LqGate *gate = lq_model_gate(model, current, lead->gate);
	TimestampTz due = DT_NOEND;

	if (gate == NULL || !lead->keeping)
		return due;
	/* mostly the next event comes first: then the crossing need not be known */
	if (until != DT_NOEND && lq_score_only_falls(score) && lq_gate_kept(lead, gate, until))
		return due;
	if (!isnan(gate->keep_total))
		due = lq_score_crossing(score, -1, gate->keep_total, score->as_of);
	if (!isnan(gate->keep_engagement))
	{
		TimestampTz cold = lq_score_crossing(score, model->engagement,
											 gate->keep_engagement, score->as_of);

		due = Min(due, cold);
	}
	return due;
}

/*
 * The first moment after the newest event and before "until" at which the
 * clock may change something.
 */
static TimestampTz
due_before(LqEngine *engine, TimestampTz until)
{
	LqLead	   *lead = engine->lead;
	const LqModel *model = lead->model;
	const LqScore *score = lead->score;
	int			current = lq_model_stage(model, lead->stage);
	/* what falls due at the very time of the newest event comes after it */
	TimestampTz first = score->as_of + (score->last.kind == LQ_EVENT_CLOCK);
	TimestampTz due = engine->clock_changes(engine, score->as_of);
	TimestampTz falls;

	if (current < 0 || LQ_ENDS_MOVES(model->stages[current].kind))
		return Max(due, engine->not_before);
	falls = keep_due(lead, current, until);
	due = Min(due, falls);
	if (lead->held_from != NULL)
		due = Min(due, Max(lead->held_until, first));
	for (int i = 0; i < model->ngates; i++)
	{
		const LqGate *gate = &model->gates[i];
		TimestampTz open;

		if (!gate->automatic || !lq_gate_waits(gate) ||
			!lq_gate_reachable(model, gate, current))
			continue;
		open = gate_due(lead, gate);
		/* what has waited long enough when the lead comes is not tested yet */
		if (open < first && lead->stage_since == score->as_of)
			open = first;
		if (open >= first)
			due = Min(due, open);
	}
	/* a version published for the past asks from there on */
	return Max(due, engine->not_before);
}

/* the same if nothing else ever happens; DT_NOEND: never */
TimestampTz
lq_engine_due(LqEngine *engine)
{
	return due_before(engine, DT_NOEND);
}

/* what falls due at this moment */
static void
clock_apply(LqEngine *engine, TimestampTz at)
{
	LqLead	   *lead = engine->lead;
	const LqModel *model = engine->model_at(engine, at);

	engine->at = at;
	engine->fresh = false;
	lq_score_advance(lead->score, at);
	memset(&lead->score->last, 0, sizeof(LqPosition));
	lead->score->last.at = at;
	lead->score->last.kind = LQ_EVENT_CLOCK;
	if (model != lead->model)
	{
		lq_lead_bind(engine, model);
		lq_lead_rules_evaluate(engine);
	}
	/* late rows may change what the clock finds: they are replayed */
	lq_lead_steady(engine);
	lq_lead_fall(engine);
	if (lead->held_from != NULL && lead->held_until <= at)
	{
		int			back = lq_model_stage(lead->model, lead->held_from);

		lead->held_until = DT_NOEND;
		if (back >= 0)
			(void) lq_lead_move(engine, back, "clock", NULL);
	}
	lq_lead_rise(engine, "clock", true);
}

/*
 * All that falls due before "until".  Gates that wait may lead in a circle, but
 * only by a stage beside the path, and publish() makes that take an hour.
 */
void
lq_engine_clock(LqEngine *engine, TimestampTz until)
{
	/* nothing falls due before the newest event, and to look is not cheap */
	while (until > engine->lead->score->as_of)
	{
		TimestampTz due = due_before(engine, until);

		if (due >= until)
			break;
		CHECK_FOR_INTERRUPTS();
		clock_apply(engine, due);
	}
}
