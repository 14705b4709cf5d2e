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

#include "engine_internal.h"
#include "utils/datetime.h"
#include "utils/timestamp.h"

static void activity_apply(LqEngine *engine, const LqEvent *event);
static void manual_apply(LqEngine *engine, const LqEvent *event);
static void created_apply(LqEngine *engine, const LqEvent *event);

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
void
lq_lead_bind(LqEngine *engine, const LqModel *model)
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
	engine->closed = 0;
}

/* does a rule about the lead hold for the lead's columns as known now? */
bool
lq_lead_rule_holds(LqEngine *engine, const LqRule *rule)
{
	return rule->of_lead &&
		(rule->condition == NULL || engine->holds(engine, rule->condition));
}

/* points of the lead rules for the lead's columns as known now */
void
lq_lead_rules_evaluate(LqEngine *engine)
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
	if (lead->confirmed != NULL && engine->at > lead->mark)
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
	lq_lead_fall(engine);
	lq_lead_rise(engine, "answer", false);
}

/* ----------------------------------------------------------------
 * Activities
 * ----------------------------------------------------------------
 */

/* add a time, and forget those of its kind that are out of reach of the newest */
static int
times_push(LqScore *score, int memory, bool pending, TimestampTz at, TimestampTz newest,
		   int64 within)
{
	int			count = 0;

	lq_score_time_add(score, memory, pending, at);
	if (within > 0)
		lq_score_times_drop(score, memory, pending, newest - within);
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
	if (times_push(score, memory, true, at, at, rule->within) < rule->at_least)
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
	if (++count->count == rule->at_most)
		count->full_at = event->pos.at;
	return true;
}

static void
rule_watch(LqLead *lead, const LqRule *rule, int memory, TimestampTz at)
{
	LqScore    *score = lead->score;
	LqMemory   *mem = &score->memories[memory];

	mem->matches++;
	mem->fresh_matches += at > lead->mark;
	mem->last_at = Max(mem->last_at, at);	/* it may come late */
	if (rule->watch_within > 0)
		times_push(score, memory, false, at, mem->last_at, rule->watch_within);
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
const char *
lq_match_apply(LqEngine *engine, const LqEvent *event, const LqMatch *match)
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
		rule_watch(engine->lead, rule, memory, event->pos.at);
	if (score->unscored)
		return "excluded";
	if (!at_least_met(score, rule, memory, event->pos.at))
		return "waits for at_least";
	if (!at_most_allows(score, model, rule, memory, event, match->value))
		return "over at_most";
	if (rule->points != 0)
		lq_score_add(score, rule->dimension, rule_sums(rule) ? memory : -1,
					 rule->decay, rule->period, event->pos.at, rule->points);
	lq_peak_follow_decay(score, rule);
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

/* one sum or entry of a score whose activities are not at hand */
static void
recall_points(LqEngine *engine, const LqTerm *term, TimestampTz at, double points)
{
	const LqScore *score = engine->lead->score;
	LqContribution *row = palloc0(sizeof(LqContribution));

	row->dimension = score->dimensions[term->dimension].name;
	row->rule = term->memory < 0 ? NULL : score->memories[term->memory].rule;
	row->at = at;
	row->points = points;
	row->decay = term->decay;
	row->period = term->period;
	row->counted = true;
	row->own_sum = term->memory >= 0;
	row->note = "archived";
	engine->contributions = lappend(engine->contributions, row);
}

/* explain a score that the lead begins with: contributions for what it holds */
void
lq_engine_recall(LqEngine *engine)
{
	const LqScore *score = engine->lead->score;
	MemoryContext old = MemoryContextSwitchTo(engine->cxt);

	for (int i = 0; i < score->nterms; i++)
		if (score->terms[i].sum != 0)
			recall_points(engine, &score->terms[i], score->as_of, score->terms[i].sum);
	for (int i = 0; i < score->nentries; i++)
		recall_points(engine, &score->terms[score->entries[i].term],
					  score->entries[i].at, score->entries[i].points);
	MemoryContextSwitchTo(old);
}

static void
activity_apply(LqEngine *engine, const LqEvent *event)
{
	LqLead	   *lead = engine->lead;
	const LqRule *rules = lead->model->rules;

	for (int i = 0; i < event->nmatches; i++)
	{
		const LqRule *rule = &rules[event->matches[i].rule];
		const char *note = lq_match_apply(engine, event, &event->matches[i]);

		/* whether or not it counts: a cap is on points, not on what is known */
		answers_add(engine, rule->answers);
		lq_gates_ask_again(engine, event->matches[i].rule);
		if (engine->explaining && !rule->hidden)
			match_explain(engine, event, &event->matches[i], note);
	}
	lq_lead_note_peaks(engine);
	lead->active_at = engine->at;
	lq_lead_fall(engine);
	lq_lead_rise(engine, "activity", false);
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

	engine->lead->active_at = engine->at;
	lq_lead_steady(engine);
	if (event->cause != NULL && strcmp(event->cause, "attached") == 0)
		return;
	stage = lq_model_stage(model, event->stage);
	for (int i = 0; i < model->nstages && stage < 0; i++)
		if (LQ_ON_PATH(model->stages[i].kind))
			stage = i;
	(void) lq_lead_move(engine, stage, "created", NULL);
	lq_lead_rise(engine, "attribute", false);
}

/*
 * The gate of a stage that a person may go through: one that holds, automatic
 * or not, while no exclusion does.  NULL with *none where the stage has no gate
 * at all.
 */
static const LqGate *
gate_by_hand(LqEngine *engine, int stage, bool *none)
{
	LqLead	   *lead = engine->lead;
	const LqModel *model = lead->model;
	const LqGate *found = NULL;

	*none = true;
	engine->fresh = lq_stage_left_behind(lead, stage);
	for (int i = 0; i < model->ngates && found == NULL; i++)
		if (model->gates[i].stage == stage)
		{
			*none = false;
			if (lq_gate_holds(engine, &model->gates[i]))
				found = &model->gates[i];
		}
	engine->fresh = false;
	return found != NULL && lq_exclusion_holding(engine) != NULL ? NULL : found;
}

/* where a lead that is put on hold goes back to: not to another hold */
static const char *
hold_origin(const LqLead *lead)
{
	int			current = lq_model_stage(lead->model, lead->stage);

	if (current >= 0 && lead->model->stages[current].kind == LQ_STAGE_HOLD)
		return lead->held_from;
	return lead->stage;
}

static void
manual_apply(LqEngine *engine, const LqEvent *event)
{
	LqLead	   *lead = engine->lead;
	bool		attached = strcmp(event->cause, "attached") == 0;
	int			stage = lq_model_stage(lead->model, event->stage);
	const char *gate = event->gate;
	const char *from = hold_origin(lead);
	LqMove	   *move;

	if (stage < 0)
		return;					/* a stage that this version does not know */
	if (event->must_hold)
	{
		bool		none;
		const LqGate *found = gate_by_hand(engine, stage, &none);

		gate = found == NULL ? NULL : found->name;
		engine->refused = found == NULL && !none && !event->forced;
		if (engine->refused)
			return;
	}
	move = lq_lead_move(engine, stage, event->cause, gate);
	move->by_hand = event;
	if (lead->model->stages[stage].kind == LQ_STAGE_HOLD)
	{
		lead->held_from = from;
		lead->held_until = event->held_until;
	}
	if (!attached)
		lq_lead_rise(engine, "manual", false);
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
	lead->stage_since = DT_NOBEGIN;
	lead->active_at = DT_NOBEGIN;
	lead->held_until = DT_NOEND;
	lead->mark = DT_NOBEGIN;
	lead->cycle = 1;
}

/*
 * Apply one event, which must not sort before the newest one applied.  What
 * the clock changes before it comes first.
 */
void
lq_engine_step(LqEngine *engine, const LqEvent *event)
{
	LqLead	   *lead = engine->lead;
	bool		rebound;
	bool		attributes = event->pos.kind == LQ_EVENT_CREATED ||
		event->pos.kind == LQ_EVENT_ATTRIBUTE;

	Assert(lead->score->as_of <= event->pos.at);
	if (lead->model != NULL)
		lq_engine_clock(engine, event->pos.at);
	rebound = lead->model != event->model;
	engine->at = event->pos.at;
	engine->fresh = false;
	lq_score_advance(lead->score, event->pos.at);
	lead->score->last = event->pos;
	if (event->pos.kind != LQ_EVENT_ACTIVITY)
		engine->closed = 0;

	if (attributes)
		lead->attributes = event->attributes;
	if (rebound)
		lq_lead_bind(engine, event->model);
	if (rebound || attributes)
	{
		lq_lead_rules_evaluate(engine);
		lq_lead_steady(engine);
	}

	switch (event->pos.kind)
	{
		case LQ_EVENT_CREATED:
			created_apply(engine, event);
			break;
		case LQ_EVENT_ATTRIBUTE:
			lead->attributes_at = event->pos.at;
			lq_lead_fall(engine);
			lq_lead_rise(engine, "attribute", false);
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
		case LQ_EVENT_CLOCK:
			break;				/* its changes are our own doing */
	}
}
