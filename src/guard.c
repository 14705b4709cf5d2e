/*
 * guard.c
 *		Evaluating conditions without being harmed by them.
 *
 * A condition that fails counts as false; the statement that made us look at
 * it goes on.  So evaluation happens in a read-only subtransaction, which an
 * error rolls back.  An error of the caller must find none of ours open,
 * because the server would take it for a savepoint of the user's.  Hence each
 * evaluation, of one condition or those of a row, has one of its own, which costs
 * more than most conditions do; inside lq_guard_run(), which catches the caller's
 * errors, many share one.
 *
 * Where a condition calls anything but immutable functions of pg_catalog it
 * has the rights of the leads table's owner and fixed settings, so that the
 * answer depends neither on who inserted the row nor on his session.  That is
 * switched once, outside the subtransactions, and stays until lq_guard_end();
 * after an error the end of the caller's transaction puts it back.
 *
 * Bare columns and constants need none of this and are read directly.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "pgtime.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/bytea.h"
#include "utils/datum.h"
#include "utils/float.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "condition.h"
#include "problem.h"
#include "sql.h"

/* a condition that failed under this guard */
typedef struct Failure
{
	const LqCondition *condition;
	char	   *message;
	int			sqlerrcode;
} Failure;

/* a condition to be evaluated on a row, and what comes of it */
typedef struct Evaluation
{
	const LqCondition *condition;
	LqVariant  *variant;
	Datum		value;
	bool		isnull;
} Evaluation;

/* a column of a row as it is stored, while it is unpacked */
typedef struct Packed
{
	int			column;
	Datum		value;
} Packed;

typedef struct GuardState
{
	MemoryContext cxt;			/* the caller's, at lq_guard_begin() */
	uint64		number;			/* of this guard in the backend */
	List	   *failures;		/* of Failure, by condition */
	ExprContext *econtext;		/* NULL: to be made */

	/* the row at work, whose columns are unpacked */
	MemoryContext row_cxt;		/* NULL: to be made */
	Packed	   *packed;
	int			npacked;

	/* the relation last seen */
	Oid			relid;
	uint64		row_type;

	/* the subtransaction */
	bool		started;
	bool		keep;			/* inside lq_guard_run() */
	ResourceOwner outer_owner;
	ResourceOwner inner_owner;

	/* the leads owner and our settings */
	bool		as_owner;
	bool		zone_is_set;
	Oid			save_userid;
	int			save_context;
	int			guc_level;
} GuardState;

/* the guard that is evaluating right now, for times() and its kin */
static LqGuard *guard_at_work = NULL;

PG_FUNCTION_INFO_V1(lq_condition_times);
PG_FUNCTION_INFO_V1(lq_condition_since_last);
PG_FUNCTION_INFO_V1(lq_condition_points);
PG_FUNCTION_INFO_V1(lq_condition_in_list);

/* ----------
 * The subtransaction.  Outside of evaluations the caller's memory context and
 * resource owner are in place, so that what he allocates and opens survives.
 * ----------
 */
static void
start(GuardState *state)
{
	MemoryContext caller = CurrentMemoryContext;

	state->outer_owner = CurrentResourceOwner;
	BeginInternalSubTransaction(NULL);
	XactReadOnly = true;		/* its end restores this */
	state->inner_owner = CurrentResourceOwner;
	state->started = true;
	CurrentResourceOwner = state->outer_owner;
	MemoryContextSwitchTo(caller);
}

static void
release(GuardState *state)
{
	MemoryContext caller = CurrentMemoryContext;

	state->started = false;
	CurrentResourceOwner = state->inner_owner;
	ReleaseCurrentSubTransaction();
	CurrentResourceOwner = state->outer_owner;
	MemoryContextSwitchTo(caller);
}

static void
rollback(GuardState *state, MemoryContext caller)
{
	state->started = false;
	RollbackAndReleaseCurrentSubTransaction();
	CurrentResourceOwner = state->outer_owner;
	MemoryContextSwitchTo(caller);
}

/* ----------
 * Whose rights, which settings
 * ----------
 */

/*
 * Setting a parameter costs more than looking whether that is needed.  False
 * if the server does not know the time zone (any more).
 */
static bool
set_evaluation_options(const char *time_zone)
{
	static const char *const fixed[][2] = {
		{"default_text_search_config", "pg_catalog.simple"},
		{"lc_time", "C"}, {"lc_monetary", "C"}, {"xmloption", "content"}
	};

	lq_set_safe_path();
	if (DateStyle != USE_ISO_DATES || DateOrder != DATEORDER_MDY)
		lq_set_option("DateStyle", "ISO, MDY");
	if (IntervalStyle != INTSTYLE_POSTGRES)
		lq_set_option("IntervalStyle", "postgres");
	if (extra_float_digits != 1)
		lq_set_option("extra_float_digits", "1");
	if (bytea_output != BYTEA_OUTPUT_HEX)
		lq_set_option("bytea_output", "hex");
	for (int i = 0; i < lengthof(fixed); i++)
		if (strcmp(GetConfigOption(fixed[i][0], false, false), fixed[i][1]) != 0)
			lq_set_option(fixed[i][0], fixed[i][1]);
	return session_timezone == pg_tzset(time_zone) ||
		set_config_option("TimeZone", time_zone, PGC_USERSET, PGC_S_SESSION,
						  GUC_ACTION_SAVE, true, DEBUG1, false) > 0;
}

/*
 * The same for text that is not a condition's: a new GUC nest level, to be
 * ended by AtEOXact_GUC().
 */
int
lq_fixed_settings(const char *time_zone)
{
	int			level = NewGUCNestLevel();

	(void) set_evaluation_options(time_zone);
	return level;
}

static void
become_owner(LqGuard *guard, GuardState *state)
{
	if (state->as_owner)
		return;
	GetUserIdAndSecContext(&state->save_userid, &state->save_context);
	SetUserIdAndSecContext(guard->owner,
						   state->save_context |
						   SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_RESTRICTED_OPERATION);
	state->guc_level = NewGUCNestLevel();
	state->as_owner = true;
	state->zone_is_set = set_evaluation_options(guard->time_zone);
}

/* ----------
 * Begin, end
 * ----------
 */
void
lq_guard_begin(LqGuard *guard, const char *pipeline, const char *time_zone,
			   Oid owner)
{
	static uint64 last_number = 0;
	GuardState *state;

	/* it would turn in circles, and take compiled conditions from under one at work */
	if (guard_at_work != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("leads of pipeline \"%s\" cannot be scored while a condition is evaluated",
						pipeline),
				 errhint("A condition must not call what scores leads.")));
	state = palloc0(sizeof(GuardState));
	state->cxt = CurrentMemoryContext;
	state->number = ++last_number;

	memset(guard, 0, sizeof(LqGuard));
	guard->pipeline = pipeline;
	guard->time_zone = time_zone;
	guard->owner = owner;
	guard->active = true;
	guard->private_state = state;
}

void
lq_guard_end(LqGuard *guard)
{
	GuardState *state = guard->private_state;
	ListCell   *cell;

	if (!guard->active)
		return;
	guard->active = false;
	Assert(!state->started);
	if (state->as_owner)
	{
		AtEOXact_GUC(false, state->guc_level);
		SetUserIdAndSecContext(state->save_userid, state->save_context);
	}
	if (state->econtext)
		FreeExprContext(state->econtext, true);

	foreach(cell, state->failures)
	{
		Failure    *failure = lfirst(cell);

		lq_problem_raise(guard->pipeline, failure->condition->kind,
						 failure->condition->name, failure->message,
						 failure->sqlerrcode, failure->condition->serial,
						 has_privs_of_role(GetOuterUserId(), guard->owner));
	}
	guard->private_state = NULL;
	if (state->row_cxt)
		MemoryContextDelete(state->row_cxt);
	list_free_deep(state->failures);
	pfree(state);
}

static void
note_failure(GuardState *state, const LqCondition *condition,
			 const char *message, int sqlerrcode)
{
	MemoryContext caller;
	Failure    *failure;
	ListCell   *cell;

	foreach(cell, state->failures)
	{
		failure = lfirst(cell);
		if (failure->condition == condition)
			return;
	}
	caller = MemoryContextSwitchTo(state->cxt);
	failure = palloc(sizeof(Failure));
	failure->condition = condition;
	failure->message = pstrdup(message ? message : "");
	failure->sqlerrcode = sqlerrcode;
	state->failures = lappend(state->failures, failure);
	MemoryContextSwitchTo(caller);
}

/* ----------
 * Evaluation
 * ----------
 */

/* in the current memory context, detoasted */
static Datum
copy_value(const LqCondition *condition, Datum value)
{
	if (condition->typbyval)
		return value;
	if (condition->typlen == -1)
		return PointerGetDatum(PG_DETOAST_DATUM_COPY(value));
	return datumCopy(value, false, condition->typlen);
}

/* will lq_variant_compile() or ExecInitExpr() be called? */
static inline bool
needs_compiling(const LqVariant *variant)
{
	return variant->kind == LQ_VARIANT_NEW || !lq_variant_valid(variant) ||
		(variant->kind == LQ_VARIANT_EXPRESSION && variant->state == NULL);
}

static void
compile(GuardState *state, const LqCondition *condition, LqVariant *variant,
		Relation rel)
{
	ExprContext *econtext = state->econtext;
	MemoryContext caller = CurrentMemoryContext;

	if (!state->zone_is_set)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the time zone of the pipeline is not known to the server")));
	if (variant->kind == LQ_VARIANT_NEW || !lq_variant_valid(variant))
	{
		MemoryContextSwitchTo(econtext->ecxt_per_tuple_memory);
		lq_variant_compile(condition, variant, rel);
		MemoryContextSwitchTo(caller);
		ResetExprContext(econtext);
	}
	if (variant->kind == LQ_VARIANT_EXPRESSION)
	{
		/* this checks the right to execute the functions */
		MemoryContextSwitchTo(variant->state_cxt);
		variant->state = ExecInitExpr((Expr *) variant->cached->expr, NULL);
		MemoryContextSwitchTo(caller);
	}
}

/*
 * Inside the subtransaction: compile if need be, then evaluate unless there is
 * a shortcut.
 */
static void
run(GuardState *state, Evaluation *e, Relation rel, TupleTableSlot *slot)
{
	ExprContext *econtext = state->econtext;

	e->isnull = true;
	if (needs_compiling(e->variant))
		compile(state, e->condition, e->variant, rel);
	if (e->variant->kind != LQ_VARIANT_EXPRESSION)
		return;
	econtext->ecxt_scantuple = slot;
	e->value = ExecEvalExprSwitchContext(e->variant->state, econtext, &e->isnull);
	if (!e->isnull)
		e->value = copy_value(e->condition, e->value);
}

/*
 * An error came up in an evaluation, and the subtransaction is rolled back:
 * remember why, and let the rest go on.
 */
static void
recover(GuardState *state, const LqCondition *condition, LqVariant *variant)
{
	MemoryContext caller = CurrentMemoryContext;
	ErrorData  *edata;

	/* FreeErrorData() does not free all, and there may be many */
	MemoryContextSwitchTo(state->econtext->ecxt_per_tuple_memory);
	edata = CopyErrorData();
	FlushErrorState();
	rollback(state, caller);
	if (!lq_error_blames_expression(edata->sqlerrcode))
		ReThrowError(edata);

	if (variant->kind == LQ_VARIANT_NEW)
		lq_variant_break(variant, edata);
	else
	{
		/* what functions keep in it may be half done */
		MemoryContextReset(variant->state_cxt);
		variant->state = NULL;
	}
	note_failure(state, condition, edata->message, edata->sqlerrcode);
	FreeExprContext(state->econtext, false);
	state->econtext = NULL;
}

/* does it take the owner's rights, or may it: what is to be compiled? */
static inline bool
needs_owner(const LqVariant *variant)
{
	return variant->as_owner || needs_compiling(variant);
}

/* before the subtransaction, which would take it back on an error */
static void
prepare(LqGuard *guard, GuardState *state, const Evaluation *each, int n)
{
	MemoryContext caller = CurrentMemoryContext;
	bool		as_owner = state->as_owner;

	for (int i = 0; i < n && !as_owner; i++)
		as_owner = needs_owner(each[i].variant);
	if (as_owner && !state->as_owner)
	{
		if (state->started)
			release(state);
		become_owner(guard, state);
	}
	if (state->econtext == NULL)
	{
		MemoryContextSwitchTo(state->cxt);
		state->econtext = CreateStandaloneExprContext();
		MemoryContextSwitchTo(caller);
	}
	if (!state->started)
		start(state);
}

/*
 * Run the evaluations, all in one subtransaction unless one fails: that one is
 * null, and the others go on.  What one calls may change while those before it
 * run, so that it is to be compiled anew: each is looked at when its turn comes.
 */
static void
run_guarded(LqGuard *guard, const LqModel *model, Evaluation *each, int n, Relation rel,
			TupleTableSlot *slot)
{
	GuardState *state = guard->private_state;
	MemoryContext caller = CurrentMemoryContext;
	volatile int done = 0;

	guard->model = model;
	while (done < n)
	{
		prepare(guard, state, each + done, n - done);
		PG_TRY();
		{
			CurrentResourceOwner = state->inner_owner;
			guard_at_work = guard;
			for (; done < n && (state->as_owner || !needs_owner(each[done].variant)); done++)
				run(state, &each[done], rel, slot);
		}
		PG_CATCH();
		{
			guard_at_work = NULL;
			MemoryContextSwitchTo(caller);
			recover(state, each[done].condition, each[done].variant);
			each[done].isnull = true;
			done++;
		}
		PG_END_TRY();
		guard_at_work = NULL;
		CurrentResourceOwner = state->outer_owner;
	}
	if (state->econtext != NULL)
		ResetExprContext(state->econtext);
	if (state->started && !state->keep)
		release(state);
}

void
lq_guard_run(LqGuard *guard, void (*body) (void *arg), void *arg)
{
	GuardState *state = guard->private_state;
	MemoryContext caller = CurrentMemoryContext;

	Assert(guard->active && !state->keep);
	state->keep = true;
	PG_TRY();
	{
		body(arg);
	}
	PG_CATCH();
	{
		state->keep = false;
		if (state->started)
		{
			ErrorData  *edata;

			MemoryContextSwitchTo(caller);
			edata = CopyErrorData();
			FlushErrorState();
			rollback(state, caller);
			ReThrowError(edata);
		}
		PG_RE_THROW();
	}
	PG_END_TRY();
	state->keep = false;
	if (state->started)
		release(state);
}

/* the variant for rel's columns */
static inline LqVariant *
find_variant(LqGuard *guard, const LqCondition *condition, Relation rel)
{
	GuardState *state = guard->private_state;

	if (state->relid != RelationGetRelid(rel))
	{
		state->row_type = lq_row_type(rel, state->number);
		state->relid = RelationGetRelid(rel);
	}
	return lq_condition_variant(condition, state->row_type, guard->owner);
}

/* is there more to do than to take a column or a constant? */
static inline bool
is_run(const LqVariant *variant)
{
	return variant->kind == LQ_VARIANT_NEW || variant->kind == LQ_VARIANT_EXPRESSION;
}

/* the value of what is not run, or has turned out not to be; it may point into the slot */
static void
take(GuardState *state, Evaluation *e, TupleTableSlot *slot)
{
	const LqVariant *variant = e->variant;

	if (variant->kind == LQ_VARIANT_COLUMN)
		e->value = slot_getattr(slot, variant->column, &e->isnull);
	else if (variant->kind == LQ_VARIANT_CONSTANT)
	{
		e->value = variant->constant;
		e->isnull = variant->constant_isnull;
	}
	else
	{
		/* reported before, but perhaps in a transaction that rolled back */
		if (variant->kind == LQ_VARIANT_BROKEN)
			note_failure(state, e->condition, variant->message, variant->sqlerrcode);
		e->isnull = true;
	}
}

/*
 * Value of the condition for a row of rel; by reference, it may point into
 * the slot or the condition, unless *copied.
 */
static Datum
evaluate(LqGuard *guard, const LqModel *model, const LqCondition *condition,
		 Relation rel, TupleTableSlot *slot, bool *isnull, bool *copied)
{
	Evaluation	e = {condition, find_variant(guard, condition, rel)};

	Assert(guard->active);
	if (is_run(e.variant))
		run_guarded(guard, model, &e, 1, rel, slot);
	*copied = e.variant->kind == LQ_VARIANT_EXPRESSION;
	if (!*copied)
		take(guard->private_state, &e, slot);
	*isnull = e.isnull;
	return e.value;
}

bool
lq_guard_holds(LqGuard *guard, const LqModel *model,
			   const LqCondition *condition, Relation rel,
			   TupleTableSlot *slot)
{
	bool		isnull;
	bool		copied;
	Datum		value;

	Assert(condition->result_type == BOOLOID);
	value = evaluate(guard, model, condition, rel, slot, &isnull, &copied);
	return !isnull && DatumGetBool(value);
}

/*
 * Many conditions look at the same few columns, and each would unpack what is
 * stored short or compressed: it is unpacked once for all of them.  What is
 * stored elsewhere is left there, because most may be decided without it.
 */
static void
unpack_columns(GuardState *state, const Evaluation *each, int n, TupleTableSlot *slot)
{
	int			natts = slot->tts_tupleDescriptor->natts;
	MemoryContext caller;

	if (state->row_cxt == NULL)
		state->row_cxt = AllocSetContextCreate(state->cxt, "lead_qualify row",
											   ALLOCSET_SMALL_SIZES);
	caller = MemoryContextSwitchTo(state->row_cxt);
	slot_getallattrs(slot);
	state->packed = palloc(natts * sizeof(Packed));
	state->npacked = 0;
	for (int k = 0; k < n; k++)
		for (int i = -1; (i = bms_next_member(each[k].variant->packable, i)) >= 0;)
		{
			Datum		value = slot->tts_values[i];

			if (slot->tts_isnull[i] || !VARATT_IS_EXTENDED(DatumGetPointer(value)) ||
				VARATT_IS_EXTERNAL(DatumGetPointer(value)))
				continue;
			state->packed[state->npacked].column = i;
			state->packed[state->npacked++].value = value;
			slot->tts_values[i] = PointerGetDatum(PG_DETOAST_DATUM(value));
		}
	MemoryContextSwitchTo(caller);
}

static void
pack_columns(GuardState *state, TupleTableSlot *slot)
{
	for (int i = 0; i < state->npacked; i++)
		slot->tts_values[state->packed[i].column] = state->packed[i].value;
	MemoryContextReset(state->row_cxt);
}

/*
 * lq_guard_holds() of n conditions, at most LQ_HOLD_MAX; where one is NULL, its
 * element of holds stays as it is.
 */
void
lq_guard_holds_each(LqGuard *guard, const LqModel *model, const LqCondition *const *conditions,
					int n, Relation rel, TupleTableSlot *slot, bool *holds)
{
	GuardState *state = guard->private_state;
	Evaluation	each[LQ_HOLD_MAX];
	int			which[LQ_HOLD_MAX];
	int			nrun = 0;

	Assert(guard->active && n <= LQ_HOLD_MAX);
	for (int i = 0; i < n; i++)
	{
		Evaluation *e = &each[nrun];

		if (conditions[i] == NULL)
			continue;
		e->condition = conditions[i];
		e->variant = find_variant(guard, conditions[i], rel);
		if (is_run(e->variant))
		{
			which[nrun++] = i;
			continue;
		}
		take(state, e, slot);
		holds[i] = !e->isnull && DatumGetBool(e->value);
	}
	if (nrun == 0)
		return;
	if (nrun > 1)
		unpack_columns(state, each, nrun, slot);
	run_guarded(guard, model, each, nrun, rel, slot);
	if (nrun > 1)
		pack_columns(state, slot);
	for (int k = 0; k < nrun; k++)
	{
		if (each[k].variant->kind != LQ_VARIANT_EXPRESSION)
			take(state, &each[k], slot);
		holds[which[k]] = !each[k].isnull && DatumGetBool(each[k].value);
	}
}

Datum
lq_guard_value(LqGuard *guard, const LqModel *model,
			   const LqCondition *condition, Relation rel,
			   TupleTableSlot *slot, bool *isnull)
{
	bool		copied;
	Datum		value = evaluate(guard, model, condition, rel, slot, isnull,
								 &copied);

	if (!*isnull && !copied)
		value = copy_value(condition, value);
	return value;
}

char *
lq_guard_text(LqGuard *guard, const LqModel *model,
			  const LqCondition *condition, Relation rel,
			  TupleTableSlot *slot)
{
	bool		isnull;
	bool		copied;
	Datum		value;
	char	   *result;

	Assert(condition->result_type == TEXTOID);
	value = evaluate(guard, model, condition, rel, slot, &isnull, &copied);
	if (isnull)
		return NULL;
	result = TextDatumGetCString(value);
	if (copied)
		pfree(DatumGetPointer(value));
	return result;
}

/* ----------
 * What conditions may call
 * ----------
 */
static LqGuard *
guard_for(const char *function, bool gate)
{
	if (guard_at_work == NULL ||
		(gate && guard_at_work->engine == NULL))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 gate ?
				 errmsg("function %s() has a meaning only in the condition of a gate",
						function) :
				 errmsg("function %s() has a meaning only in a condition", function),
				 errhint("Write it into column \"condition\" of table lead_qualify.gate%s.",
						 gate ? "" : ", rule or exclusion")));
	return guard_at_work;
}

/* times(rule text, within interval): NULL means ever */
Datum
lq_condition_times(PG_FUNCTION_ARGS)
{
	LqGuard    *guard = guard_for("times", true);
	int64		within = 0;
	text	   *rule;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	rule = PG_GETARG_TEXT_PP(0);
	if (!PG_ARGISNULL(1) &&
		(!lq_interval_length(PG_GETARG_INTERVAL_P(1), &within) ||
		 within <= 0))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the interval given to times() must be positive and finite")));
	PG_RETURN_INT64(lq_times_named(guard->engine, VARDATA_ANY(rule), VARSIZE_ANY_EXHDR(rule), within));
}

/* since_last(rule text): NULL if it never happened */
Datum
lq_condition_since_last(PG_FUNCTION_ARGS)
{
	LqGuard    *guard = guard_for("since_last", true);
	TimestampTz last;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	last = lq_last_match(guard->engine,
						 text_to_cstring(PG_GETARG_TEXT_PP(0)));
	if (TIMESTAMP_NOT_FINITE(last))
		PG_RETURN_NULL();
	return DirectFunctionCall2(timestamp_mi,
							   TimestampTzGetDatum(guard->engine->at),
							   TimestampTzGetDatum(last));
}

/* points(dimension text): as the gate counts them; NULL if it is unknown */
Datum
lq_condition_points(PG_FUNCTION_ARGS)
{
	LqEngine   *engine = guard_for("points", true)->engine;
	LqScore    *score = engine->lead->score;
	char	   *name;
	int			dimension;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	if (strcmp(name, "total") == 0)
		PG_RETURN_FLOAT8(lq_score_total(score, engine->at, engine->fresh));
	dimension = lq_score_dimension(score, name);
	if (dimension < 0)
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(lq_score_points(score, dimension, engine->at,
									 engine->fresh));
}

/* in_list(list text, value text): NULL if either is */
Datum
lq_condition_in_list(PG_FUNCTION_ARGS)
{
	const LqModel *model = guard_for("in_list", false)->model;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		PG_RETURN_NULL();
	PG_RETURN_BOOL(model != NULL && model->lists != NULL &&
				   lq_list_has(model->lists,
							   text_to_cstring(PG_GETARG_TEXT_PP(0)),
							   text_to_cstring(PG_GETARG_TEXT_PP(1))));
}
