/*
 * engine.h
 *		The pure engine: (model, lead, event) -> (lead', moves, contributions).
 *
 * No SPI, no catalog, no clock.  SQL conditions are opaque (LqCondition) and
 * evaluated by a callback; activity rows arrive with the rules they match
 * already found (that depends on the row alone).
 */
#ifndef LQ_ENGINE_H
#define LQ_ENGINE_H

#include "framework.h"
#include "score.h"
#include "pgtime.h"
#include "utils/hsearch.h"

typedef struct LqCondition LqCondition; /* expression.h */

typedef enum LqStageKind
{
	LQ_STAGE_LEAD,
	LQ_STAGE_MQL,
	LQ_STAGE_SAL,
	LQ_STAGE_SQL,
	LQ_STAGE_OPPORTUNITY,
	LQ_STAGE_WON,
	/* beside the path */
	LQ_STAGE_HOLD,
	LQ_STAGE_RECYCLED,
	LQ_STAGE_DISQUALIFIED,
	LQ_STAGE_LOST
} LqStageKind;

#define LQ_ON_PATH(kind) ((kind) <= LQ_STAGE_WON)
#define LQ_ENDS_MOVES(kind) \
	((kind) == LQ_STAGE_WON || (kind) == LQ_STAGE_DISQUALIFIED || (kind) == LQ_STAGE_LOST)

typedef enum LqBucket
{
	LQ_PER_EVER,
	LQ_PER_DAY,
	LQ_PER_WEEK,
	LQ_PER_MONTH
} LqBucket;

typedef struct LqRule
{
	char	   *name;
	int			dimension;
	bool		of_lead;		/* applies_to = 'lead' */
	char	   *activity_type;	/* NULL: any */
	LqCondition *condition;		/* of a lead rule; NULL: always */
	LqCondition **conditions;	/* by source index; NULL: always; an element
								 * is NULL where the source lacks its columns */
	LqCondition **per_values;	/* by source index; NULL: none */
	double		points;
	LqDecay		decay;
	int64		period;			/* microseconds */
	int			at_most;		/* 0: no cap */
	LqBucket	per;
	int			at_least;		/* 0: every match scores */
	int64		within;			/* microseconds, 0: ever */
	double		max_points;		/* +inf: none */
	const LqAssessment *answers;	/* that a match gives; NULL: none */
	bool		watched;		/* a gate asks for times() or since_last() */
	int64		watch_within;	/* longest window asked for, 0: only totals */
	bool		hidden;			/* stands for a gate's activity_type */
	bool		remembers;		/* needs an LqMemory: derived */
} LqRule;

typedef struct LqStage
{
	char	   *name;
	int			position;
	LqStageKind kind;
	char	   *stored_as;		/* how the leads table spells it; never NULL */
} LqStage;

typedef struct LqGate
{
	int			stage;			/* index of the stage it opens */
	char	   *name;
	int			nfrom;			/* -1: any earlier stage on the path */
	int		   *from;			/* stage indexes */
	double		min_total;		/* NaN: not asked */
	double		min_engagement;
	double		min_fit;
	int			min_grade;		/* lead_grade code, -1: not asked */
	const LqFramework *framework;	/* must qualify; NULL: not asked */
	int64		after;			/* microseconds in the present stage, 0: not asked */
	int64		idle;			/* microseconds without an activity, 0: not asked */
	double		keep_total;		/* below it the lead falls back; NaN: never */
	double		keep_engagement;
	int			fallback;		/* index of the stage it falls to, -1: none */
	char	   *activity_type;	/* for explain_stage; the test is activity_rule */
	int			activity_rule;	/* hidden rule, -1: none */
	LqCondition *condition;
	bool		automatic;
	bool		asks_activity;	/* names something that activities or answers make true */
	bool		asks_time;		/* ... points(), since_last() or times() of an interval: it changes by itself */
	bool	   *asks_rule;		/* by rule: it depends on how often the rule matched */
} LqGate;

typedef struct LqExclusion
{
	char	   *name;
	LqCondition *condition;
	bool		scored;
} LqExclusion;

typedef struct LqBand
{
	int			dimension;		/* -1: total */
	char	   *label;
	double		minimum;
} LqBand;

/* a move that people may make */
typedef struct LqTransition
{
	int			from;			/* stage indexes */
	int			to;
} LqTransition;

/* why people move leads */
typedef struct LqReason
{
	char	   *code;
	char	   *kind;			/* cause of the moves it is for, NULL: any */
} LqReason;

/* rules that may match an activity of one type, in order of name */
typedef struct LqTypeRules
{
	const char *type;
	int			nrules;
	int		   *rules;
} LqTypeRules;

/* one published version, compiled */
typedef struct LqModel
{
	int			version;
	TimestampTz effective_from;
	pg_tz	   *zone;
	int			ndimensions;
	LqDimension *dimensions;	/* base and peak unused */
	int			engagement;		/* index of that dimension, -1: none */
	int			fit;
	double		total_minimum;
	double		total_maximum;
	int			nrules;
	LqRule	   *rules;			/* by name */
	int			ntypes;
	LqTypeRules *types;			/* by type */
	LqTypeRules other_types;	/* rules without activity_type */
	int			nstages;
	LqStage    *stages;			/* by position */
	int			ngates;
	LqGate	   *gates;			/* furthest stage first, then by name */
	int			nframeworks;
	LqFramework *frameworks;	/* that gates name */
	int			ntransitions;
	LqTransition *transitions;	/* by stages; none: any move by hand */
	int			nexclusions;
	LqExclusion *exclusions;
	int			nreasons;
	LqReason   *reasons;		/* by code */
	int			nbands;
	LqBand	   *bands;			/* by dimension, highest minimum first */
	HTAB	   *lists;			/* (list, value) folded; NULL: none */
	bool		unscored_possible;	/* some exclusion has scored = false */
} LqModel;

typedef struct LqMatch
{
	int			rule;			/* index in the version in force at the event's time */
	uint64		value;			/* hash of per_value */
} LqMatch;

typedef struct LqEvent
{
	LqPosition	pos;
	const LqModel *model;		/* version in force at pos.at */
	/* activity */
	int			nmatches;
	LqMatch    *matches;
	const char *source_name;	/* for explain; may be NULL otherwise */
	const char *key_text;
	/* answer: one of them */
	const LqAssessment *answers;	/* NULL: none */
	const char *withdrawn;		/* criterion; NULL: none */
	/* attribute, created: the lead's columns from now on */
	void	   *attributes;
	/* created, manual */
	const char *stage;			/* created: NULL = first on the path */
	const char *cause;			/* manual: history's cause */
	int64		history_id;		/* of the fixed row, 0: not stored yet */
	/* manual */
	const char *gate;			/* that the person went through; NULL: none */
	TimestampTz held_until;		/* of a hold; DT_NOEND: until further notice */
	bool		must_hold;		/* refuse unless a gate of the stage holds */
	const char *reason;
	const char *note;
	const char *actor;
	bool		forced;
} LqEvent;

typedef struct LqMove
{
	TimestampTz at;				/* entered_at */
	const char *stage;
	const char *from_stage;		/* NULL: none */
	const char *cause;
	const char *gate;			/* NULL: none */
	int			version;
	int			cycle;
	double		total;
	double		engagement;
	double		fit;
	const LqAssessment *assessment;
	const LqEvent *by_hand;		/* that a person did; NULL: automatic */
} LqMove;

/* one activity under one rule, for explain */
typedef struct LqContribution
{
	const char *dimension;
	const char *rule;
	int			version;
	const char *source_name;
	const char *key_text;
	TimestampTz at;
	double		points;
	LqDecay		decay;
	int64		period;
	bool		counted;
	bool		own_sum;		/* the rule has max_points */
	const char *note;
	/* explain's own */
	double		worth;
	bool		visited;
} LqContribution;

/* a lead as the engine sees it */
typedef struct LqLead
{
	LqScore    *score;
	const LqModel *model;		/* the score is bound to; NULL: none yet */
	const char *stage;			/* NULL: unknown (before 'attached') */
	TimestampTz stage_since;	/* when it entered the stage */
	const char *gate;			/* by which it came, NULL: none */
	bool		keeping;		/* that gate's keep_* bind: they were reached */
	TimestampTz active_at;		/* newest activity, or the beginning */
	const char *held_from;		/* where a hold goes back to, NULL: no hold */
	TimestampTz held_until;		/* DT_NOEND: until further notice */
	TimestampTz mark;			/* newest step back, DT_NOBEGIN: none */
	const char *mark_stage;		/* furthest stage left behind, NULL: no mark */
	const LqAssessment *assessment; /* all answers; never NULL */
	const LqAssessment *confirmed;	/* those newer than the mark; NULL: no mark */
	TimestampTz attributes_at;	/* newest attribute event, DT_NOBEGIN: none */
	int			cycle;
	void	   *attributes;		/* columns as known now, for conditions */
	const char *excluded;		/* the exclusion that holds, NULL: none */
} LqLead;

typedef struct LqEngine
{
	/* true if the condition holds for the lead's columns at this time */
	bool		(*holds) (struct LqEngine *engine, const LqCondition *condition);
	/* the version in force at a time */
	const LqModel *(*model_at) (struct LqEngine *engine, TimestampTz at);
	/* when, later than that, another version begins to ask other things of the clock */
	TimestampTz (*clock_changes) (struct LqEngine *engine, TimestampTz after);
	void	   *arg;			/* the shell's */
	MemoryContext cxt;			/* where output lives */
	LqLead	   *lead;			/* the lead at work, for holds() */
	TimestampTz at;				/* time of the event at work */
	TimestampTz not_before;		/* the clock does nothing before: that is archived */
	bool		fresh;			/* the gate at work counts only newer than the mark */
	bool		explaining;		/* collect contributions */
	bool		refused;		/* a move by hand found no gate that holds */
	uint64		closed;			/* of the first gates those whose conditions do not hold, a bit each */
	List	   *moves;			/* of LqMove */
	List	   *contributions;	/* of LqContribution */
} LqEngine;

/* another lead; what the engine knows of the last one means nothing any more */
static inline void
lq_engine_begin(LqEngine *engine, LqLead *lead)
{
	engine->lead = lead;
	engine->moves = NIL;
	engine->contributions = NIL;
	engine->closed = 0;
}

extern void lq_engine_step(LqEngine *engine, const LqEvent *event);
extern void lq_engine_clock(LqEngine *engine, TimestampTz until);
extern TimestampTz lq_engine_due(LqEngine *engine);
extern void lq_engine_recall(LqEngine *engine);
extern bool lq_engine_merge(LqEngine *engine, const LqEvent *event);
extern void lq_lead_init(LqLead *lead, MemoryContext cxt);
extern const LqAssessment *lq_lead_answers(const LqEngine *engine);
extern const LqExclusion *lq_exclusion_holding(LqEngine *engine);
extern bool lq_lead_rule_holds(LqEngine *engine, const LqRule *rule);
extern bool lq_gate_holds(LqEngine *engine, const LqGate *gate);
extern bool lq_gate_reachable(const LqModel *model, const LqGate *gate, int current);
extern TimestampTz lq_idle_since(const LqLead *lead, const LqGate *gate);
extern bool lq_gate_keeps(const LqGate *gate);
extern bool lq_gate_waits(const LqGate *gate);
extern bool lq_gate_kept(const LqLead *lead, const LqGate *gate, TimestampTz at);
extern const LqGate *lq_model_gate(const LqModel *model, int stage, const char *name);
extern bool lq_stage_left_behind(const LqLead *lead, int stage);
extern int	lq_model_stage(const LqModel *model, const char *name);
extern int	lq_model_rule(const LqModel *model, const char *name);
extern int	lq_model_grade(const LqModel *model, const LqScore *score, TimestampTz at);
extern int64 lq_bucket(TimestampTz at, LqBucket per, pg_tz *zone);
extern uint64 lq_hash_value(const char *value, int len);

/* times() and since_last() as the engine fills them in */
extern int64 lq_times_named(const LqEngine *engine, const char *rule, int len, int64 within);
static inline int64
lq_times(const LqEngine *engine, const char *rule, int64 within)
{
	return lq_times_named(engine, rule, strlen(rule), within);
}

extern TimestampTz lq_last_match(const LqEngine *engine, const char *rule);

#endif
