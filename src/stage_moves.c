/*
 * stage_moves.c
 *		How a lead moves between stages: the mark, cycles, rising by gates,
 *		falling with the score.  Part of the pure engine.
 */
#include "postgres.h"

#include <math.h>

#include "engine_internal.h"

/* ----------------------------------------------------------------
 * Peaks, and the mark
 * ----------------------------------------------------------------
 */

static void
peak_set(double *peak, double value)
{
	if (*peak < PEAK_UNKNOWN)
		*peak = value;
}

void
lq_peak_follow_decay(LqScore *score, const LqRule *rule)
{
	LqDimension *dimension = &score->dimensions[rule->dimension];

	if (rule->decay == LQ_DECAY_NONE)
		return;
	if (rule->points < 0)
		dimension->peak = PEAK_UNKNOWN;
	if (rule->points * dimension->weight < 0)
		score->total_peak = PEAK_UNKNOWN;
}

/* from here on late rows cannot have changed anything before "at" */
void
lq_lead_steady(LqEngine *engine)
{
	LqScore    *score = engine->lead->score;

	score->steady_since = engine->at;
	for (int i = 0; i < score->ndimensions; i++)
		peak_set(&score->dimensions[i].peak, lq_score_points(score, i, engine->at, false));
	peak_set(&score->total_peak, lq_score_total(score, engine->at, false));
}

void
lq_lead_note_peaks(LqEngine *engine)
{
	LqScore    *score = engine->lead->score;
	double	   *each = palloc(score->ndimensions * sizeof(double));
	double		total = lq_score_total_and_each(score, engine->at, false, each);

	for (int i = 0; i < score->ndimensions; i++)
		if (each[i] > score->dimensions[i].peak)
			score->dimensions[i].peak = each[i];
	if (total > score->total_peak)
		score->total_peak = total;
	pfree(each);
}

/* what the lead left behind counts only by what is newer than now */
static void
mark_set(LqEngine *engine, int furthest, bool points)
{
	LqLead	   *lead = engine->lead;
	const LqStage *stages = lead->model->stages;
	int			marked = lq_model_stage(lead->model, lead->mark_stage);

	if (marked < 0 || stages[marked].position < stages[furthest].position)
		lead->mark_stage = stages[furthest].name;
	lead->mark = engine->at;
	lead->confirmed = lq_assessment_empty();
	lq_score_mark_matches(lead->score, false);
	if (points)
		lq_score_set_mark(lead->score, engine->at);
}

static void
mark_clear(LqLead *lead)
{
	lead->mark_stage = NULL;
	lead->mark = DT_NOBEGIN;
	lead->confirmed = NULL;
	lq_score_mark_matches(lead->score, true);
	lq_score_set_mark(lead->score, DT_NOBEGIN);
}

/*
 * Keep the mark when the lead goes from one stage to another: a step back
 * sets it, regaining what was left behind clears it.  Where the score fell by
 * itself, points go on counting: they have to rise again anyway.
 */
static void
mark_follow(LqEngine *engine, int from, int to, bool score_fell)
{
	LqLead	   *lead = engine->lead;
	const LqStage *stages = lead->model->stages;
	int			marked = lq_model_stage(lead->model, lead->mark_stage);

	if (from >= 0 && LQ_ON_PATH(stages[from].kind) &&
		(!LQ_ON_PATH(stages[to].kind) ||
		 stages[to].position < stages[from].position))
		mark_set(engine, from, !score_fell);
	else if (marked >= 0 && LQ_ON_PATH(stages[to].kind) &&
			 stages[to].position >= stages[marked].position)
		mark_clear(lead);
}

/* ----------------------------------------------------------------
 * Cycles
 * ----------------------------------------------------------------
 */

/*
 * Does a move into this stage begin a new cycle?  Not the first stage, nor the
 * end of a hold.
 */
static bool
begins_cycle(const LqLead *lead, int to, const char *cause, const char *gate)
{
	const LqModel *model = lead->model;

	if (lead->stage == NULL || (strcmp(cause, "clock") == 0 && gate == NULL))
		return false;
	return model->stages[to].kind == LQ_STAGE_RECYCLED ||
		strcmp(cause, "recycle") == 0 || strcmp(cause, "reject") == 0;
}

static void
contributions_renew(LqEngine *engine)
{
	ListCell   *lc;

	foreach(lc, engine->contributions)
	{
		LqContribution *row = lfirst(lc);

		if (!row->counted)
			continue;
		row->counted = false;
		row->note = "an earlier cycle";
	}
}

/*
 * A new cycle: activities and caps begin afresh, what the lead is counts in
 * full, and what it has answered is to be confirmed for every stage.
 */
static void
cycle_begin(LqEngine *engine)
{
	LqLead	   *lead = engine->lead;
	const LqModel *model = lead->model;
	int			furthest = -1;

	for (int i = 0; i < model->nstages; i++)
		if (LQ_ON_PATH(model->stages[i].kind))
			furthest = i;
	lq_score_renew(lead->score);
	lead->active_at = engine->at;
	if (engine->explaining)
		contributions_renew(engine);
	if (furthest >= 0)
		mark_set(engine, furthest, true);
}

/* ----------------------------------------------------------------
 * Moves
 * ----------------------------------------------------------------
 */

/* a move to be written down, with the scores that the lead has now */
static LqMove *
move_note(LqEngine *engine, int to, const char *cause, const char *gate)
{
	LqLead	   *lead = engine->lead;
	const LqModel *model = lead->model;
	MemoryContext old = MemoryContextSwitchTo(engine->cxt);
	LqMove	   *move = palloc(sizeof(LqMove));

	move->at = engine->at;
	move->stage = model->stages[to].name;
	move->from_stage = lead->stage;
	move->cause = cause;
	move->gate = gate;
	move->version = model->version;
	move->cycle = lead->cycle;
	move->total = lq_score_total(lead->score, engine->at, false);
	move->engagement = model->engagement < 0 ? 0 :
		lq_score_points(lead->score, model->engagement, engine->at, false);
	move->fit = model->fit < 0 ? 0 :
		lq_score_points(lead->score, model->fit, engine->at, false);
	move->assessment = lead->assessment;
	move->by_hand = NULL;
	engine->moves = lappend(engine->moves, move);
	MemoryContextSwitchTo(old);
	return move;
}

/* put the lead into a stage and say so; gate is the one it came by, or NULL */
LqMove *
lq_lead_move(LqEngine *engine, int to, const char *cause, const char *gate)
{
	LqLead	   *lead = engine->lead;
	const LqModel *model = lead->model;
	const LqGate *entry = lq_model_gate(model, to, gate);
	bool		renewed = begins_cycle(lead, to, cause, gate);
	LqMove	   *move;

	lead->cycle += renewed;
	move = move_note(engine, to, cause, gate);
	mark_follow(engine, lq_model_stage(model, lead->stage), to,
				strcmp(cause, "decay") == 0);
	if (renewed)
		cycle_begin(engine);
	engine->closed = 0;
	lead->stage = move->stage;
	lead->stage_since = engine->at;
	lead->gate = gate;
	lead->keeping = entry != NULL && lq_gate_keeps(entry) && lq_gate_kept(lead, entry, engine->at);
	lead->held_from = NULL;
	lead->held_until = DT_NOEND;
	lq_lead_steady(engine);
	return move;
}

/*
 * The automatic gate that holds, of the furthest stage on the path or beside
 * it; NULL: none.  Gates are sorted with the furthest stage first, so the first
 * one wins.  The clock opens only gates that wait for it.
 */
static const LqGate *
gate_open(LqEngine *engine, int current, bool on_path, bool clock)
{
	const LqLead *lead = engine->lead;
	const LqModel *model = lead->model;
	const LqGate *open = NULL;

	for (int i = 0; i < model->ngates && open == NULL; i++)
	{
		const LqGate *gate = &model->gates[i];

		if (!gate->automatic || LQ_ON_PATH(model->stages[gate->stage].kind) != on_path ||
			!lq_gate_reachable(model, gate, current) ||
			(clock && !lq_gate_waits(gate)))
			continue;
		engine->fresh = lq_stage_left_behind(lead, gate->stage);
		if (lq_gate_holds(engine, gate))
			open = gate;
		engine->fresh = false;
	}
	return open;
}

/*
 * Move the lead onwards on the path, as far as gates allow; if none does, to a
 * stage beside the path whose gate holds.
 */
void
lq_lead_rise(LqEngine *engine, const char *cause, bool clock)
{
	const LqModel *model = engine->lead->model;
	int			current = lq_model_stage(model, engine->lead->stage);
	const LqGate *gate;

	if (current < 0 || LQ_ENDS_MOVES(model->stages[current].kind))
		return;
	gate = gate_open(engine, current, true, clock);
	if (gate == NULL)
		gate = gate_open(engine, current, false, clock);
	/* asked last, because it is the dearest question */
	if (gate != NULL && lq_exclusion_holding(engine) == NULL)
		(void) lq_lead_move(engine, gate->stage, cause, gate->name);
}

/*
 * Another automatic gate of the lead's stage, one that would bring it back at
 * once if it fell; NULL: none.
 */
static const LqGate *
gate_instead(LqEngine *engine, const LqGate *lost)
{
	const LqModel *model = engine->lead->model;

	for (int i = 0; i < model->ngates; i++)
	{
		const LqGate *gate = &model->gates[i];

		if (gate != lost && gate->stage == lost->stage && gate->automatic && !lq_gate_waits(gate) &&
			lq_gate_reachable(model, gate, lost->fallback) && lq_gate_holds(engine, gate))
			return gate;
	}
	return NULL;
}

/*
 * Who fell into a stage that keeps a score, too, will fall on: the first of
 * its automatic gates whose keep_* are still reached binds.
 */
static void
gate_adopt(LqLead *lead, TimestampTz at)
{
	const LqModel *model = lead->model;
	int			current = lq_model_stage(model, lead->stage);

	for (int i = 0; i < model->ngates && lead->gate == NULL; i++)
	{
		const LqGate *gate = &model->gates[i];

		if (gate->stage != current || !gate->automatic || !lq_gate_keeps(gate) ||
			!lq_gate_kept(lead, gate, at))
			continue;
		lead->gate = gate->name;
		lead->keeping = true;
	}
}

/*
 * A lead that came by a gate that keeps a score falls back when the score,
 * once it was there, is no longer.
 */
void
lq_lead_fall(LqEngine *engine)
{
	LqLead	   *lead = engine->lead;
	const LqModel *model = lead->model;
	int			current = lq_model_stage(model, lead->stage);
	const LqGate *gate = current < 0 ? NULL : lq_model_gate(model, current, lead->gate);

	if (gate == NULL || !lq_gate_keeps(gate) || LQ_ENDS_MOVES(model->stages[current].kind))
		return;
	if (lq_gate_kept(lead, gate, engine->at))
	{
		/* a late row from before could have bound it earlier */
		if (!lead->keeping)
			lq_lead_steady(engine);
		lead->keeping = true;
		return;
	}
	if (!lead->keeping)
		return;
	gate = gate_instead(engine, gate);
	if (gate == NULL)
	{
		gate = lq_model_gate(model, current, lead->gate);
		(void) lq_lead_move(engine, gate->fallback, "decay", NULL);
		gate_adopt(lead, engine->at);
		return;
	}
	lead->gate = gate->name;
	lead->keeping = lq_gate_keeps(gate) && lq_gate_kept(lead, gate, engine->at);
	lq_lead_steady(engine);
}
