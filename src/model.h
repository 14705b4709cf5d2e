/*
 * model.h
 *		Pipelines and their published versions, compiled and cached.
 */
#ifndef LQ_MODEL_H
#define LQ_MODEL_H

#include "engine.h"
#include "executor/spi.h"
#include "expression.h"

#define LQ_ANSWERS 0			/* activity tables are numbered from 1 */

/* an activity table of a pipeline; expressions are over its columns */
typedef struct LqSource
{
	int32		number;
	char	   *schema;
	char	   *table;
	char	   *name;			/* schema.table, quoted as needed: shown in results */
	Oid			relid;			/* InvalidOid when it is gone */
	char	   *activity_lead;	/* column names; type may be NULL with type_value */
	char	   *activity_type;
	char	   *activity_at;
	char	   *activity_key;
	char	   *type_value;
	LqCondition *lead;			/* compiled from the columns: key type of leads */
	LqCondition *type;			/* text */
	LqCondition *at;			/* timestamptz */
	LqCondition *key;			/* text */
	LqCondition *filter;		/* bool, NULL: none */
	LqCondition *assessment;	/* of the answers only: what was answered */
	LqCondition *withdrawn;		/* ... or the criterion that was withdrawn */
	char	   *filter_text;	/* qualified */
	char	   *time_zone;		/* in which it writes local times */
	bool		key_is_integer;
	List	   *columns;		/* of char *: all that published expressions name */
	char	   *problem;		/* why relid is invalid */
	SPIPlanPtr	load_plan;		/* events.c: activities of some leads */
} LqSource;

/*
 * A rule, or a type of activity, that a gate of some version asks about.  All
 * versions note its matches, because a gate of today asks for yesterday's.
 */
typedef struct LqWatch
{
	char	   *rule;			/* NULL: a type */
	char	   *activity_type;
	int64		within;			/* longest window asked for, microseconds */
} LqWatch;

typedef struct LqVersion
{
	int			number;
	TimestampTz effective_from;
	Datum		config;			/* jsonb, in the pipeline's context */
	LqModel    *model;			/* compiled */
	int			asked;			/* grows with what is watched up to this version */
	char	   *clock;			/* what its gates ask of the clock, as text */
} LqVersion;

typedef struct LqPipeline
{
	char	   *name;
	MemoryContext cxt;
	char	   *leads_schema;
	char	   *leads_table;
	Oid			leads;			/* InvalidOid when it is gone */
	Oid			owner;			/* of leads */
	char	   *lead_key;		/* column */
	Oid			key_type;
	int16		key_len;
	bool		key_byval;
	Oid			key_array;		/* array type of key_type */
	FmgrInfo	key_cmp;		/* btree comparison */
	Oid			key_collation;
	FmgrInfo	key_out;
	char	   *created_at;		/* column, or NULL */
	char	   *stage_column;
	char	   *changed_column; /* stage_changed_at */
	char	   *prefix;			/* side tables: <prefix>_qualification ... */
	char	   *time_zone;
	char	   *framework;		/* whose criteria <leads>_scored shows */
	bool		shadow;
	int64		notify_within;	/* microseconds: how old a move may be that listeners hear of */
	List	   *segments;		/* of char *: columns of leads that reports are split by */
	int			nsources;
	LqSource   *sources;
	LqSource	answers;		/* <leads>_answers, read like a source; number LQ_ANSWERS */
	int			nversions;
	LqVersion  *versions;		/* by number */
	List	   *lead_columns;	/* of char *: all that published conditions name, and segments */
	List	   *watches;		/* of LqWatch: what gates of any version ask about */
	struct LqStatePlans *plans; /* state.c */
	char	   *problem;		/* why it is broken */
	bool		broken;			/* leads or a side table is gone or not ours */
} LqPipeline;

/*
 * The pipeline as last committed (or changed by this transaction); stays
 * valid until the end of the transaction.  NULL when unknown and missing_ok.
 */
extern LqPipeline *lq_pipeline_get(const char *name, bool missing_ok);
/* an error if it cannot work */
extern void lq_pipeline_check(LqPipeline *pipeline);
/* an error if an activity table cannot be read; verb: what would be done */
extern void lq_pipeline_check_sources(const LqPipeline *pipeline, const char *verb);
/* whole, and the caller has the rights of the leads owner */
extern LqPipeline *lq_pipeline_for_owner(const char *name, const char *verb);
extern const LqModel *lq_model_at(LqPipeline *pipeline, TimestampTz at);
extern const LqModel *lq_model_numbered(LqPipeline *pipeline, int number);
extern TimestampTz lq_clock_change(LqPipeline *pipeline, TimestampTz after);
extern bool lq_asks_for_more(LqPipeline *pipeline, int number);
extern LqSource *lq_source_get(LqPipeline *pipeline, int32 number);
extern int	lq_key_cmp(LqPipeline *pipeline, Datum a, Datum b);
extern char *lq_key_text(LqPipeline *pipeline, Datum key);
extern Datum lq_key_parse(LqPipeline *pipeline, const char *text);

/* qualified, quoted name of a side table: suffix "qualification", "stage_history", "attributes" */
extern char *lq_side_name(const LqPipeline *pipeline, const char *suffix);
extern char *lq_leads_name(const LqPipeline *pipeline);

extern void lq_model_init(void);	/* from _PG_init */

#endif
