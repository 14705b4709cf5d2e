/*
 * expression.h
 *		SQL expressions of the configuration: checked at publish, compiled once
 *		per backend and row type, evaluated under guard.
 *
 * A condition belongs to the leads table or to one activity table.  At
 * publish, lq_expression_check() parses it under the publisher's search_path
 * and returns it deparsed with every name qualified; that text is frozen in
 * the version.  LqCondition holds such a text and compiles it when it first
 * meets a row of a table (a "variant" per row type: partitions that look alike
 * share one).
 */
#ifndef LQ_EXPRESSION_H
#define LQ_EXPRESSION_H

#include "engine.h"
#include "executor/tuptable.h"
#include "nodes/bitmapset.h"
#include "utils/rel.h"

typedef enum LqExpressionUse
{
	LQ_USE_ACTIVITY,			/* condition, per_value, filter of an activity */
	LQ_USE_LEAD,				/* lead rule, exclusion */
	LQ_USE_GATE					/* also times(), since_last(), points() */
} LqExpressionUse;

/* a call that a gate condition makes to the engine */
typedef struct LqGateCall
{
	enum {LQ_CALL_TIMES, LQ_CALL_SINCE_LAST, LQ_CALL_POINTS} function;
	char	   *argument;		/* rule or dimension */
	int64		within;			/* microseconds, 0: ever */
} LqGateCall;

typedef struct LqChecked
{
	char	   *text;			/* qualified */
	List	   *columns;		/* of char *: columns it names, in no order */
	List	   *calls;			/* of LqGateCall * */
	List	   *lists;			/* of char *: list names given to in_list() */
} LqChecked;

/*
 * Parse and check "text" against rel for the given use; result_type is
 * BOOLOID or TEXTOID (coerced).  "culprit" names it in errors, such as
 * 'rule "pricing_view" of pipeline "b2b"'.  The current user's rights and
 * search_path count; owner is the leads owner, whose functions are allowed
 * when he is no superuser.
 */
extern LqChecked *lq_expression_check(const char *text, Relation rel,
									  Oid result_type, LqExpressionUse use,
									  const char *culprit, Oid owner);

/* one of the parts that a condition joins by AND */
typedef struct LqPart
{
	char	   *text;
	char	   *title;			/* as a person would write it */
	List	   *subjects;		/* of LqPart *: columns and calls it looks at */
} LqPart;

extern List *lq_expression_parts(const char *text, Relation rel, Oid owner);

/*
 * A qualified text, ready to be compiled.  kind and name are those shown in
 * lead_qualify.problem; allocated in the current memory context, which must
 * live as long as the condition.
 */
extern LqCondition *lq_condition_create(const char *text, Oid result_type,
										const char *kind, const char *name);
extern const char *lq_condition_text(const LqCondition *condition);

/*
 * Guarded evaluation: as the leads owner, in the pipeline's time zone, read
 * only, with errors caught.  Begin and end bracket the evaluations of one
 * statement; user and settings may be switched in between, so no SPI call may
 * come there.  After an error of the caller's, lq_guard_end() is not needed.
 * The memory context at lq_guard_begin() must live until lq_guard_end().
 */
typedef struct LqGuard
{
	const char *pipeline;
	const char *time_zone;
	Oid			owner;
	const LqModel *model;		/* for in_list() */
	LqEngine   *engine;			/* for times(), since_last(), points(); or NULL */
	/* private */
	bool		active;
	void	   *private_state;
} LqGuard;

extern int	lq_fixed_settings(const char *time_zone);
extern void lq_guard_begin(LqGuard *guard, const char *pipeline,
						   const char *time_zone, Oid owner);
extern void lq_guard_end(LqGuard *guard);

/*
 * body(arg), with evaluations an order of magnitude cheaper: for loops over
 * many rows.  Errors pass through.  body must leave as it found them what
 * belongs to a subtransaction: no SPI connection, snapshot or savepoint.
 */
extern void lq_guard_run(LqGuard *guard, void (*body) (void *arg), void *arg);

/* false when the condition is false, NULL, or fails (with a WARNING) */
extern bool lq_guard_holds(LqGuard *guard, const LqModel *model,
						   const LqCondition *condition,
						   Relation rel, TupleTableSlot *slot);
/* the same of up to LQ_HOLD_MAX conditions of one row, which is cheaper */
#define LQ_HOLD_MAX 32
extern void lq_guard_holds_each(LqGuard *guard, const LqModel *model,
						  const LqCondition *const *conditions, int n,
						  Relation rel, TupleTableSlot *slot, bool *holds);
/* value of a text expression (palloc'd in the current context), NULL if NULL or failing */
extern char *lq_guard_text(LqGuard *guard, const LqModel *model,
						   const LqCondition *condition,
						   Relation rel, TupleTableSlot *slot);
/* value of an expression of any type; *isnull also when it fails */
extern Datum lq_guard_value(LqGuard *guard, const LqModel *model,
							const LqCondition *condition,
							Relation rel, TupleTableSlot *slot, bool *isnull);

/* what in_list() looks into: LqModel.lists */
extern HTAB *lq_list_create(MemoryContext cxt);
extern void lq_list_add(HTAB *lists, const char *list, const char *value);
extern bool lq_list_has(HTAB *lists, const char *list, const char *value);

/* months of 30 days, days of 24 hours; false when out of range */
extern bool lq_interval_length(const Interval *interval, int64 *microseconds);

#endif
