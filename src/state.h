/*
 * state.h
 *		A lead at work: its row, its stored state, its events, what came out.
 */
#ifndef LQ_STATE_H
#define LQ_STATE_H

#include "attributes.h"
#include "model.h"
#include "side_columns.h"
#include "storage/itemptr.h"
#include "utils/array.h"

/* what "excluded" says of a lead that erase_lead() has erased, beside no stage and no score */
#define LQ_ERASED "erased"

/* what the side row says, to see whether a replay comes to the same */
typedef struct LqStored
{
	const char *stage;
	const char *mark_stage;
	int			cycle;
	int			version;
	int			published;		/* newest version when it was computed */
	TimestampTz attributes_at;
	TimestampTz lead_since;
	TimestampTz archived_at;	/* DT_NOBEGIN: never */
	TimestampTz next_due_at;
	/* what stands beside the packed score; NaN, DT_NOBEGIN, -1 for null */
	double		total;
	double		engagement;
	double		fit;
	TimestampTz scored_at;
	int			grade;
	const LqAssessment *assessment;
	const LqAssessment *confirmed;	/* NULL: none */
	const char *gate;
	bool		keeping;
	TimestampTz stage_since;
	TimestampTz active_at;
	const char *held_from;
	TimestampTz held_until;
	TimestampTz mark;
	TimestampTz waits_at;
	TimestampTz check_at;
	const char *excluded;
} LqStored;

/* where archive() lets the replays of a lead start */
typedef struct LqBaseline
{
	TimestampTz at;				/* what happened before is in it */
	LqStored	was;
	LqScore    *score;			/* that the replay goes on with */
} LqBaseline;

typedef struct LqCase
{
	Datum		key;
	bool		exists;			/* the leads row was found (and locked) */
	/* the leads row */
	char	   *column;			/* text of the stage column, NULL if null */
	TimestampTz column_changed_at;	/* DT_NOBEGIN: null */
	TimestampTz created_at;		/* DT_NOBEGIN: unknown */
	LqImage    *current;		/* NULL when no published condition names a column */
	/* the stored state */
	bool		stored;			/* a side row exists */
	bool		scored;			/* ... with a score */
	ItemPointerData side_row;	/* ... there */
	bool		written_here;	/* ... by this transaction */
	bool		first_touch;	/* was there before, but never scored */
	bool		erased;			/* by erase_lead(): counts as if it did not exist */
	bool		dirty;			/* to be written */
	bytea	   *packed;			/* the stored score */
	LqStored	was;
	bool		state_same;		/* a replay came to what is stored */
	LqLead		lead;
	TimestampTz lead_since;		/* DT_NOBEGIN: not fixed yet */
	TimestampTz waits_at;		/* first event of the future; DT_NOEND: none */
	TimestampTz next_due_at;	/* when it or the clock will change something */
	/* events */
	bool		replay;			/* load its events and run them */
	LqBaseline *baseline;		/* ... from here on; NULL: from the first */
	TimestampTz archived_at;	/* of the baseline, DT_NOBEGIN: there is none */
	const char *initial;		/* stage before the first event; NULL: from column */
	LqEvent    *events;			/* new ones, not stored yet or just inserted */
	int			nevents;
	int			maxevents;
	LqImage   **images;			/* stored images, completed */
	int			nimages;
	bool		images_lacking; /* the newest stored one lacks a column */
	List	   *history;		/* of LqHistoryRow, if replayed: rows that stand, but of those before the baseline only its stay */
	/* result */
	List	   *moves;			/* of LqMove */
	bool		refused;		/* a move by hand found no gate that holds */
} LqCase;

/* a set of leads in key order */
typedef struct LqCases
{
	LqPipeline *pipeline;
	Relation	leads;			/* open */
	Relation	sides[LQ_NSIDE_TABLES]; /* open, lest a trigger alters them meanwhile */
	LqGuard		guard;
	MemoryContext cxt;			/* in which the cases live */
	bool		read_only;		/* explain, verify: the caller's snapshot, no locks */
	bool		forward;		/* check_at becomes next_due_at: advance() */
	bool		past;			/* replays end at the horizon, though the state is newer */
	const char *origin;			/* of history rows */
	/* called now and then while there is much to do; NULL: nobody waits */
	void		(*tick) (void *arg);
	void	   *tick_arg;
	int			count;
	LqCase	   *cases;
} LqCases;

/* stored and replayed stage entry; NULL: there is none */
typedef struct LqHistoryDifference
{
	const char *stored;
	TimestampTz stored_at;
	const char *replayed;
	TimestampTz replayed_at;
} LqHistoryDifference;

/* statements kept with a pipeline */
typedef enum LqPlan
{
	LQ_PLAN_LOCK,
	LQ_PLAN_LOCK_ONE,
	LQ_PLAN_LOOK,
	LQ_PLAN_FIND,
	LQ_PLAN_FIND_BASELINE,
	LQ_PLAN_UPDATE,
	LQ_PLAN_INSERT, LQ_PLAN_INSERT_ONE,
	LQ_PLAN_INSERT_BASELINE, LQ_PLAN_INSERT_BASELINE_ONE,
	LQ_PLAN_STAGE, LQ_PLAN_STAGE_ONE,
	LQ_PLAN_IMAGES,
	LQ_PLAN_IMAGE_EXISTS,
	LQ_PLAN_IMAGE_ADD, LQ_PLAN_IMAGE_ADD_ONE,
	LQ_PLAN_IMAGE_AMEND,
	LQ_PLAN_HISTORY,
	LQ_PLAN_HISTORY_INSERT, LQ_PLAN_HISTORY_INSERT_ONE,
	LQ_PLAN_HISTORY_LINK,
	LQ_PLAN_HISTORY_SUPERSEDE,
	LQ_PLAN_HISTORY_LEAVE,
	LQ_PLAN_DUE,
	LQ_PLAN_COUNT
} LqPlan;

/* are both null or both the same? */
static inline bool
lq_text_equal(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* fields of the rows in SPI_tuptable; lq_field() points into the row, the others copy */
extern Datum lq_field(int row, int column, bool *isnull);
extern TimestampTz lq_field_time(int row, int column, TimestampTz otherwise);
extern double lq_field_float(int row, int column); /* NaN for null */
extern int64 lq_field_bigint(int row, int column);
extern char *lq_field_text(int row, int column, MemoryContext cxt); /* NULL for null */
extern const LqAssessment *lq_field_assessment(int row, int column, MemoryContext cxt);

/* columns of a row to be written; no text, and a time that is not finite, are null */
extern void lq_put_text(Datum *values, bool *nulls, int column, const char *text);
extern void lq_put_time(Datum *values, bool *nulls, int column, TimestampTz at);

extern SPIPlanPtr *lq_plan_slot(LqPipeline *pipeline, LqPlan which);
extern SPIPlanPtr lq_plan_keep(const char *query, int nargs, Oid *types);
extern SPIPlanPtr lq_plan_check(SPIPlanPtr plan);
extern void lq_plan_run(SPIPlanPtr plan, Datum *values, const char *nulls, bool read_only);

/* cases.c */
extern void lq_pipeline_lock(LqPipeline *pipeline);
extern LqCases *lq_cases_create(LqPipeline *pipeline, const Datum *keys, int nkeys);
extern void lq_cases_close(LqCases *cases);
extern LqCase *lq_case_find(LqCases *cases, Datum key);
extern void lq_cases_tick(LqCases *cases);
extern bool lq_case_is_replayed(const LqCase *c);
extern void lq_case_add_event(LqCase *c, const LqEvent *event);

extern const char *lq_stage_of_column(LqPipeline *pipeline, const char *value, bool strict);
extern const char *lq_first_stage(LqPipeline *pipeline);
extern const char *lq_column_of_stage(LqPipeline *pipeline, const char *stage);
extern bool lq_column_says(LqPipeline *pipeline, const char *value, const char *stage);
extern ArrayType *lq_key_array(LqCases *cases, bool (*wanted) (const LqCase *));

/* lead_rows.c */
extern void lq_cases_look(LqCases *cases);
extern void lq_cases_lock(LqCases *cases);

/* state.c: each connects to SPI itself */
extern void lq_cases_read(LqCases *cases);
extern void lq_cases_read_baselines(LqCases *cases);
extern void lq_lead_restore(LqLead *lead, const LqStored *was);
extern void lq_cases_archive(LqCases *cases, TimestampTz before);
extern void lq_case_summary(const LqCase *c, LqStored *summary);
extern void lq_cases_write(LqCases *cases);

/* images.c */
extern void lq_cases_read_images(LqCases *cases);
extern void lq_cases_keep_images(LqCases *cases, TimestampTz now);
extern bool lq_image_exists(const LqCases *cases, const LqCase *c);
extern void lq_image_store(const LqCases *cases, const LqCase *c, const LqImage *image,
						   TimestampTz at);
extern void lq_image_amend(const LqCases *cases, const LqCase *c, const LqImage *image);

/* history.c */
extern void lq_history_write(LqCases *cases);
extern List *lq_history_differences(LqCase *c);
extern LqHistoryDifference *lq_history_difference(const char *stored, TimestampTz stored_at,
												  const char *replayed, TimestampTz replayed_at);

#endif
