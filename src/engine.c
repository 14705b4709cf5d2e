/*
 * engine.c
 *		The pure engine: one event applied to one lead.
 *
 * lq_engine_step() is the product's meaning; live, recompute, explain and
 * verify all call it, so that they agree by construction.  Given the events
 * of a lead in order (lq_position_cmp), the resulting score, stage and moves
 * depend on nothing else.  No SPI, no catalog, no clock: SQL conditions are
 * reached through engine->holds.
 */
#include "postgres.h"

#include <math.h>

#include "engine.h"
#include "utils/datetime.h"
#include "utils/timestamp.h"

static void lead_bind(LqEngine *engine, const LqModel *model);
static void lead_rules_evaluate(LqEngine *engine);
static void activity_apply(LqEngine *engine, const LqEvent *event);
static void manual_apply(LqEngine *engine, const LqEvent *event);
static void created_apply(LqEngine *engine, const LqEvent *event);
static void lead_rise(LqEngine *engine, const char *cause);

/* ----------------------------------------------------------------
 * Buckets and values
 * ----------------------------------------------------------------
 */

/*
 * Number of the calendar bucket that a moment falls into, in a time zone.
 * Only equality matters; weeks begin on Monday.
 */
int64
lq_bucket(TimestampTz at, LqBucket per, pg_tz *zone)
{
	struct pg_tm tm;
	fsec_t		fsec;
	int			tz;
	int			day;

	if (per == LQ_PER_EVER)
		return 0;
	if (timestamp2tm(at, &tz, &tm, &fsec, NULL, zone) != 0)
		return 0;
	day = date2j(tm.tm_year, tm.tm_mon, tm.tm_mday);
	if (per == LQ_PER_DAY)
		return day;
	if (per == LQ_PER_WEEK)
		return day / 7;			/* Julian day 0 was a Monday */
	return (int64) tm.tm_year * 12 + tm.tm_mon;
}

/* FNV-1a: stored in scores, so it must mean the same on every machine */
uint64
lq_hash_value(const char *value, int len)
{
	uint64		hash = UINT64CONST(0xcbf29ce484222325);

	for (int i = 0; i < len; i++)
	{
		hash ^= (unsigned char) value[i];
		hash *= UINT64CONST(0x100000001b3);
	}
	return hash;
}

/* ----------------------------------------------------------------
 * Moves and the mark
 * ----------------------------------------------------------------
 */

/*
 * Peaks are the greatest values at events; they say nothing of the time in
 * between when points are there whose decay makes a value rise.
 */
#define PEAK_UNKNOWN 1e300

static void
peak_set(double *peak, double value)
{
	if (*peak < PEAK_UNKNOWN)
		*peak = value;
}

static void
peak_follow_decay(LqScore *score, const LqRule *rule)
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
static void
lead_steady(LqEngine *engine)
{
	LqScore    *score = engine->lead->score;

	score->steady_since = engine->at;
	for (int i = 0; i < score->ndimensions; i++)
		peak_set(&score->dimensions[i].peak, lq_score_points(score, i, engine->at, false));
	peak_set(&score->total_peak, lq_score_total(score, engine->at, false));
}

static void
lead_note_peaks(LqEngine *engine)
{
	LqScore    *score = engine->lead->score;
	double		total = lq_score_total(score, engine->at, false);

	for (int i = 0; i < score->ndimensions; i++)
	{
		double		value = lq_score_points(score, i, engine->at, false);

		if (value > score->dimensions[i].peak)
			score->dimensions[i].peak = value;
	}
	if (total > score->total_peak)
		score->total_peak = total;
}

/*
 * Keep the mark when the lead goes from one stage to another: a step back
 * sets it, regaining what was left behind clears it.
 */
static void
mark_follow(LqEngine *engine, int from, int to)
{
	LqLead	   *lead = engine->lead;
	const LqStage *stages = lead->model->stages;
	int			marked = lq_model_stage(lead->model, lead->mark_stage);

	if (from >= 0 && LQ_ON_PATH(stages[from].kind) &&
		(!LQ_ON_PATH(stages[to].kind) ||
		 stages[to].position < stages[from].position))
	{
		if (marked < 0 || stages[marked].position < stages[from].position)
			lead->mark_stage = stages[from].name;
		lead->confirmed = lq_assessment_empty();
		lq_score_set_mark(lead->score, engine->at);
	}
	else if (marked >= 0 && LQ_ON_PATH(stages[to].kind) &&
			 stages[to].position >= stages[marked].position)
	{
		lead->mark_stage = NULL;
		lead->confirmed = NULL;
		lq_score_set_mark(lead->score, DT_NOBEGIN);
	}
}

/* put the lead into a stage and say so */
static void
lead_move(LqEngine *engine, int to, const char *cause, const char *gate,
		  int64 history_id)
{
	LqLead	   *lead = engine->lead;
	const LqModel *model = lead->model;
	LqMove	   *move;

	mark_follow(engine, lq_model_stage(model, lead->stage), to);

	move = MemoryContextAlloc(engine->cxt, sizeof(LqMove));
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
	move->history_id = history_id;

	lead->stage = move->stage;
	lead_steady(engine);
	if (engine->history)
	{
		MemoryContext old = MemoryContextSwitchTo(engine->cxt);

		engine->moves = lappend(engine->moves, move);
		MemoryContextSwitchTo(old);
	}
}

/*
 * Move the lead to the furthest stage with an automatic gate that holds.
 * Gates are sorted with the furthest stage first, so the first one wins.
 */
static void
lead_rise(LqEngine *engine, const char *cause)
{
	LqLead	   *lead = engine->lead;
	const LqModel *model = lead->model;
	int			current = lq_model_stage(model, lead->stage);

	if (current < 0 || LQ_ENDS_MOVES(model->stages[current].kind))
		return;
	for (int i = 0; i < model->ngates; i++)
	{
		const LqGate *gate = &model->gates[i];

		if (!gate->automatic || !lq_gate_reachable(model, gate, current))
			continue;
		engine->fresh = lq_stage_left_behind(lead, gate->stage);
		if (lq_gate_holds(engine, gate))
		{
			engine->fresh = false;
			/* asked last, because it is the dearest question */
			if (lq_exclusion_holding(engine) == NULL)
				lead_move(engine, gate->stage, cause, gate->name, 0);
			return;
		}
		engine->fresh = false;
	}
}

/* ----------------------------------------------------------------
 * Versions and lead rules
 * ----------------------------------------------------------------
 */

/* what a dimension had earned is gone with it, also if it comes back later */
static void
contributions_forget(LqEngine *engine, const LqModel *model)
{
	ListCell   *lc;

	foreach(lc, engine->contributions)
	{
		LqContribution *row = lfirst(lc);
		bool		kept = false;

		for (int i = 0; i < model->ndimensions; i++)
			kept = kept || strcmp(model->dimensions[i].name, row->dimension) == 0;
		if (kept || !row->counted)
			continue;
		row->counted = false;
		row->note = "the dimension was dropped";
	}
}

/*
 * Carry a score over to another version: dimensions by name, bounds and
 * weights of the new version.  What a dimension that is gone had earned is
 * gone with it.
 */
static void
lead_bind(LqEngine *engine, const LqModel *model)
{
	LqLead	   *lead = engine->lead;
	LqScore    *score = lead->score;
	int		   *renumber;
	LqDimension *dimensions;

	renumber = palloc(sizeof(int) * Max(1, score->ndimensions));
	for (int i = 0; i < score->ndimensions; i++)
		renumber[i] = -1;
	dimensions = MemoryContextAllocZero(score->cxt,
										sizeof(LqDimension) * Max(1, model->ndimensions));
	for (int i = 0; i < model->ndimensions; i++)
	{
		int			old = lq_score_dimension(score, model->dimensions[i].name);

		dimensions[i] = model->dimensions[i];
		if (old < 0)
			continue;
		renumber[old] = i;
		if (score->dimensions[old].peak >= PEAK_UNKNOWN)
			dimensions[i].peak = PEAK_UNKNOWN;
	}
	if (engine->explaining)
		contributions_forget(engine, model);
	lq_score_renumber(score, renumber, dimensions, model->ndimensions);
	pfree(renumber);

	score->total_minimum = model->total_minimum;
	score->total_maximum = model->total_maximum;
	for (int i = 0; i < score->nmemories; i++)
	{
		int			rule = lq_model_rule(model, score->memories[i].rule);

		if (rule >= 0)
			score->memories[i].max_points = model->rules[rule].max_points;
	}
	lead->model = model;
}

/* does a rule about the lead hold for the lead's columns as known now? */
bool
lq_lead_rule_holds(LqEngine *engine, const LqRule *rule)
{
	return rule->of_lead &&
		(rule->condition == NULL || engine->holds(engine, rule->condition));
}

/* points of the lead rules for the lead's columns as known now */
static void
lead_rules_evaluate(LqEngine *engine)
{
	LqLead	   *lead = engine->lead;
	const LqModel *model = lead->model;
	LqScore    *score = lead->score;

	score->unscored = false;
	if (model->unscored_possible)
		for (int i = 0; i < model->nexclusions && !score->unscored; i++)
			score->unscored = !model->exclusions[i].scored &&
				engine->holds(engine, model->exclusions[i].condition);

	for (int i = 0; i < score->ndimensions; i++)
		score->dimensions[i].base = 0;
	for (int i = 0; i < model->nrules && !score->unscored; i++)
	{
		const LqRule *rule = &model->rules[i];

		if (lq_lead_rule_holds(engine, rule))
			score->dimensions[rule->dimension].base += rule->points;
	}
}

/* ----------------------------------------------------------------
 * Answers
 * ----------------------------------------------------------------
 */

/* exchange an assessment, which a move may hold on to, where it has changed */
static void
answers_set(const LqAssessment **assessment, LqAssessment *changed)
{
	if (lq_assessment_equal(*assessment, changed))
		pfree(changed);
	else
		*assessment = changed;
}

/* what is newer than the mark is known and confirmed; NULL adds nothing */
static void
answers_add(LqEngine *engine, const LqAssessment *answers)
{
	LqLead	   *lead = engine->lead;
	MemoryContext old;

	if (answers == NULL)
		return;
	old = MemoryContextSwitchTo(engine->cxt);
	answers_set(&lead->assessment, lq_assessment_take(lead->assessment, answers));
	if (lead->confirmed != NULL)
		answers_set(&lead->confirmed, lq_assessment_take(lead->confirmed, answers));
	MemoryContextSwitchTo(old);
}

/* nothing is known of a criterion any more; NULL: of none */
static void
answer_withdraw(LqEngine *engine, const char *criterion)
{
	LqLead	   *lead = engine->lead;
	MemoryContext old;

	if (criterion == NULL)
		return;
	old = MemoryContextSwitchTo(engine->cxt);
	answers_set(&lead->assessment,
				lq_assessment_remove(lead->assessment, criterion, strlen(criterion)));
	if (lead->confirmed != NULL)
		answers_set(&lead->confirmed,
					lq_assessment_remove(lead->confirmed, criterion, strlen(criterion)));
	MemoryContextSwitchTo(old);
}

static void
answer_apply(LqEngine *engine, const LqEvent *event)
{
	answer_withdraw(engine, event->withdrawn);
	answers_add(engine, event->answers);
	lead_rise(engine, "answer");
}

/* ----------------------------------------------------------------
 * Activities
 * ----------------------------------------------------------------
 */

/* forget times of one kind that are out of reach, then add one */
static int
times_push(LqScore *score, int memory, bool pending, TimestampTz at, int64 within)
{
	int			count = 0;

	lq_score_time_add(score, memory, pending, at);
	if (within > 0)
		lq_score_times_drop(score, memory, pending, at - within);
	for (int i = 0; i < score->ntimes; i++)
		if (score->times[i].memory == memory && score->times[i].pending == pending)
			count++;
	return count;
}

/* does this match complete the rule's at_least? */
static bool
at_least_met(LqScore *score, const LqRule *rule, int memory, TimestampTz at)
{
	if (rule->at_least <= 1)
		return true;
	if (times_push(score, memory, true, at, rule->within) < rule->at_least)
		return false;
	lq_score_times_drop(score, memory, true, DT_NOEND);
	return true;
}

/* is there room under the rule's cap? takes it if so */
static bool
at_most_allows(LqScore *score, const LqModel *model, const LqRule *rule,
			   int memory, const LqEvent *event, uint64 value)
{
	int64		bucket;
	LqCount    *count;

	if (rule->at_most == 0)
		return true;
	bucket = lq_bucket(event->pos.at, rule->per, model->zone);
	count = lq_score_count(score, memory, bucket, value);
	if (count->count >= rule->at_most)
		return false;
	count->count++;
	return true;
}

static void
rule_watch(LqScore *score, const LqRule *rule, int memory, TimestampTz at)
{
	LqMemory   *mem = &score->memories[memory];

	mem->matches++;
	mem->fresh_matches++;		/* an event is never older than the mark */
	mem->last_at = at;
	if (rule->watch_within > 0)
		times_push(score, memory, false, at, rule->watch_within);
}

/* does the rule keep a sum of its own? */
static bool
rule_sums(const LqRule *rule)
{
	return !isinf(rule->max_points) ||
		rule->decay == LQ_DECAY_LINEAR || rule->decay == LQ_DECAY_WINDOW;
}

/*
 * Apply one match.  Returns NULL if it counts, else why it earns nothing.
 * The order of the tests is part of the meaning: at_least, then the cap.
 */
static const char *
match_apply(LqEngine *engine, const LqEvent *event, const LqMatch *match)
{
	LqScore    *score = engine->lead->score;
	const LqModel *model = engine->lead->model;
	const LqRule *rule = &model->rules[match->rule];
	int			memory = -1;

	if (rule->remembers)
	{
		memory = lq_score_memory(score, rule->name, true);
		score->memories[memory].max_points = rule->max_points;
	}
	if (rule->watched)
		rule_watch(score, rule, memory, event->pos.at);
	if (score->unscored)
		return "excluded";
	if (!at_least_met(score, rule, memory, event->pos.at))
		return "waits for at_least";
	if (!at_most_allows(score, model, rule, memory, event, match->value))
		return "over at_most";
	if (rule->points != 0)
		lq_score_add(score, rule->dimension, rule_sums(rule) ? memory : -1,
					 rule->decay, rule->period, event->pos.at, rule->points);
	peak_follow_decay(score, rule);
	return NULL;
}

static void
match_explain(LqEngine *engine, const LqEvent *event, const LqMatch *match,
			  const char *note)
{
	const LqModel *model = engine->lead->model;
	const LqRule *rule = &model->rules[match->rule];
	MemoryContext old = MemoryContextSwitchTo(engine->cxt);
	LqContribution *row = palloc(sizeof(LqContribution));

	row->dimension = model->dimensions[rule->dimension].name;
	row->rule = rule->name;
	row->version = model->version;
	row->source_name = event->source_name;
	row->key_text = event->key_text;
	row->at = event->pos.at;
	row->points = rule->points;
	row->decay = rule->decay;
	row->period = rule->period;
	row->counted = (note == NULL);
	row->own_sum = rule_sums(rule);
	row->note = note;
	row->worth = 0;
	row->visited = false;
	engine->contributions = lappend(engine->contributions, row);
	MemoryContextSwitchTo(old);
}

static void
activity_apply(LqEngine *engine, const LqEvent *event)
{
	const LqRule *rules = engine->lead->model->rules;

	for (int i = 0; i < event->nmatches; i++)
	{
		const LqRule *rule = &rules[event->matches[i].rule];
		const char *note = match_apply(engine, event, &event->matches[i]);

		/* whether or not it counts: a cap is on points, not on what is known */
		answers_add(engine, rule->answers);
		if (engine->explaining && !rule->hidden)
			match_explain(engine, event, &event->matches[i], note);
	}
	lead_note_peaks(engine);
	lead_rise(engine, "activity");
}

/* ----------------------------------------------------------------
 * Other events
 * ----------------------------------------------------------------
 */

/*
 * The beginning of a lead's life.  A lead that was there at attach begins
 * with an unknown stage; its 'attached' event follows.
 */
static void
created_apply(LqEngine *engine, const LqEvent *event)
{
	const LqModel *model = engine->lead->model;
	int			stage;

	lead_steady(engine);
	if (event->cause != NULL && strcmp(event->cause, "attached") == 0)
		return;
	stage = lq_model_stage(model, event->stage);
	for (int i = 0; i < model->nstages && stage < 0; i++)
		if (LQ_ON_PATH(model->stages[i].kind))
			stage = i;
	lead_move(engine, stage, "created", NULL, event->history_id);
	lead_rise(engine, "attribute");
}

static void
manual_apply(LqEngine *engine, const LqEvent *event)
{
	bool		attached = strcmp(event->cause, "attached") == 0;
	int			stage = lq_model_stage(engine->lead->model, event->stage);

	if (stage < 0)
		return;					/* a stage that this version does not know */
	lead_move(engine, stage, event->cause, NULL, event->history_id);
	if (!attached)
		lead_rise(engine, "manual");
}

/* ----------------------------------------------------------------
 * Entry points
 * ----------------------------------------------------------------
 */

void
lq_lead_init(LqLead *lead, MemoryContext cxt)
{
	memset(lead, 0, sizeof(LqLead));
	lead->score = lq_score_create(cxt);
	lead->assessment = lq_assessment_empty();
	lead->attributes_at = DT_NOBEGIN;
	lead->cycle = 1;
}

/*
 * Apply one event, which must not sort before the newest one applied.
 */
void
lq_engine_step(LqEngine *engine, const LqEvent *event)
{
	LqLead	   *lead = engine->lead;
	bool		rebound = lead->model != event->model;
	bool		attributes = event->pos.kind == LQ_EVENT_CREATED ||
		event->pos.kind == LQ_EVENT_ATTRIBUTE;

	Assert(lead->score->as_of <= event->pos.at);
	engine->at = event->pos.at;
	engine->fresh = false;
	lq_score_advance(lead->score, event->pos.at);
	lead->score->last = event->pos;

	if (attributes)
		lead->attributes = event->attributes;
	if (rebound)
		lead_bind(engine, event->model);
	if (rebound || attributes)
	{
		lead_rules_evaluate(engine);
		lead_steady(engine);
	}

	switch (event->pos.kind)
	{
		case LQ_EVENT_CREATED:
			created_apply(engine, event);
			break;
		case LQ_EVENT_ATTRIBUTE:
			lead->attributes_at = event->pos.at;
			lead_rise(engine, "attribute");
			break;
		case LQ_EVENT_ACTIVITY:
			activity_apply(engine, event);
			break;
		case LQ_EVENT_ANSWER:
			answer_apply(engine, event);
			break;
		case LQ_EVENT_MANUAL:
			manual_apply(engine, event);
			break;
	}
}

/* ----------------------------------------------------------------
 * Late rows
 * ----------------------------------------------------------------
 */

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
		match_apply(engine, event, &event->matches[i]);
	for (int i = 0; i < score->ndimensions; i++)
		score->dimensions[i].peak += added[i];
	score->total_peak += added_total;
	pfree(added);
	return true;
}
