/*
 * window_funnel.c
 *		Aggregates window_funnel() and window_funnel_times().
 *
 * The transition function keeps the rows that satisfy a step, 16 bytes each;
 * funnel.c makes the answer of them at the end.  It sorts only what did not
 * come in order of time, as it does from an index on (lead, time).
 *
 * The state is "internal", with functions that write and read it for parallel
 * plans.  A type of SQL would be as fast, but worse with Citus: where a query
 * groups by the distribution column both are pushed down whole, and where it
 * does not Citus would push the transition function down for a state it can
 * send, yet refuse to call one whose arguments are VARIADIC "any".  With an
 * internal state it gathers the rows and the query works.
 *
 * The session's time zone matters at the end only, so the transition functions
 * are immutable and the final functions stable.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "port/pg_bitutils.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "funnel_state.h"

PG_FUNCTION_INFO_V1(window_funnel_accum);
PG_FUNCTION_INFO_V1(window_funnel_mode_accum);
PG_FUNCTION_INFO_V1(window_funnel_combine);
PG_FUNCTION_INFO_V1(window_funnel_serialize);
PG_FUNCTION_INFO_V1(window_funnel_deserialize);
PG_FUNCTION_INFO_V1(window_funnel_final);
PG_FUNCTION_INFO_V1(window_funnel_times_final);

/* what is known of one call in the query, kept from row to row */
typedef struct CallSite
{
	int			at;				/* number of the argument that is the time */
	bool		array;			/* the steps are one array of boolean */
	int			nsteps;
	uint32		untyped;		/* steps that can only be NULL */
	bool		has_interval;
	Interval	interval;		/* the window of the last row */
	int			modes;
	text	   *mode;			/* that of the last row, NULL at first */
} CallSite;

/* where the state lives */
static MemoryContext
aggregate_context(FunctionCallInfo fcinfo)
{
	MemoryContext context;

	if (!AggCheckCallContext(fcinfo, &context))
		elog(ERROR, "aggregate function called in non-aggregate context");
	return context;
}

/* NULL if there is none yet */
static LqFunnelState *
state_argument(FunctionCallInfo fcinfo, int argument)
{
	return PG_ARGISNULL(argument) ? NULL :
		(LqFunnelState *) PG_GETARG_POINTER(argument);
}

/* ----------------------------------------------------------------
 * Arguments
 * ----------------------------------------------------------------
 */

static void
check_step_count(int nsteps)
{
	if (nsteps < 1 || nsteps > LQ_FUNNEL_STEPS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a funnel has 1 to %d steps, not %d", LQ_FUNNEL_STEPS,
						nsteps)));
}

static void
report_step_type(int step, Oid type)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("step %d of the funnel must be of type boolean, not %s",
					step, format_type_be(type)),
			 errhint("A step is a condition, such as type = 'demo'.")));
}

static void
init_steps(CallSite *site, FmgrInfo *flinfo, int nargs)
{
	int			first = site->at + 1;
	Oid			type = get_fn_expr_argtype(flinfo, first);

	site->nsteps = nargs - first;
	site->array = get_fn_expr_variadic(flinfo);
	if (site->array)
	{
		Oid			element = get_base_element_type(type);

		if (getBaseType(element) != BOOLOID)
			report_step_type(1, OidIsValid(element) ? element : type);
		return;
	}
	check_step_count(site->nsteps);
	for (int i = 0; i < site->nsteps; i++)
	{
		type = get_fn_expr_argtype(flinfo, first + i);
		if (type == UNKNOWNOID)
			site->untyped |= UINT32_C(1) << i;
		else if (getBaseType(type) != BOOLOID)
			report_step_type(i + 1, type);
	}
}

static void
set_window(CallSite *site, const Interval *interval)
{
	if (!lq_window_is_positive(interval))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the window of a funnel must be positive, not %s",
						DatumGetCString(DirectFunctionCall1(interval_out,
															IntervalPGetDatum(interval))))));
	site->interval = *interval;
	site->has_interval = true;
}

static int
find_mode(const char *name)
{
	for (int i = 0; i < LQ_FUNNEL_MODES; i++)
	{
		if (pg_strcasecmp(name, lq_funnel_mode_names[i]) == 0)
			return 1 << i;
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("there is no funnel mode \"%s\"", name),
			 errhint("The modes, separated by commas, are %s, %s, %s, %s and %s.",
					 lq_funnel_mode_names[0], lq_funnel_mode_names[1],
					 lq_funnel_mode_names[2], lq_funnel_mode_names[3],
					 lq_funnel_mode_names[4])));
	return 0;					/* keep compiler quiet */
}

/* names separated by commas; blanks around them and no name at all are fine */
static int
read_modes(char *names)
{
	const char *blanks = " \t\n\r";
	int			modes = 0;

	names += strspn(names, blanks);
	if (*names == '\0')
		return 0;
	for (char *name = names; name != NULL;)
	{
		char	   *comma = strchr(name, ',');
		char	   *end = comma != NULL ? comma : name + strlen(name);

		name += strspn(name, blanks);
		while (end > name && strchr(blanks, end[-1]) != NULL)
			end--;
		*end = '\0';
		modes |= find_mode(name);
		name = comma != NULL ? comma + 1 : NULL;
	}
	return modes;
}

static void
set_mode(CallSite *site, text *mode, MemoryContext context)
{
	site->modes = read_modes(text_to_cstring(mode));
	if (site->mode != NULL)
		pfree(site->mode);
	site->mode = MemoryContextAlloc(context, VARSIZE_ANY(mode));
	memcpy(site->mode, mode, VARSIZE_ANY(mode));
}

static void
check_not_null(FunctionCallInfo fcinfo, int argument, const char *what)
{
	if (PG_ARGISNULL(argument))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("the %s of a funnel must not be null", what)));
}

/* what was checked at the first row, and window and mode of this one */
static CallSite *
call_site(FunctionCallInfo fcinfo, int at)
{
	CallSite   *site = fcinfo->flinfo->fn_extra;
	Interval   *interval;

	if (site == NULL)
	{
		site = MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(CallSite));
		site->at = at;
		init_steps(site, fcinfo->flinfo, PG_NARGS());
		fcinfo->flinfo->fn_extra = site;
	}

	check_not_null(fcinfo, 1, "window");
	interval = PG_GETARG_INTERVAL_P(1);
	if (!site->has_interval || !lq_window_equal(interval, &site->interval))
		set_window(site, interval);
	if (at > 2)
	{
		text	   *mode;

		check_not_null(fcinfo, 2, "mode");
		mode = PG_GETARG_TEXT_PP(2);
		if (site->mode == NULL || VARSIZE_ANY(mode) != VARSIZE_ANY(site->mode) ||
			memcmp(mode, site->mode, VARSIZE_ANY(mode)) != 0)
			set_mode(site, mode, fcinfo->flinfo->fn_mcxt);
	}
	return site;
}

static uint32
steps_of_array(FunctionCallInfo fcinfo, CallSite *site)
{
	int			argument = site->at + 1;
	ArrayType  *array;
	Datum	   *values;
	bool	   *nulls;
	uint32		steps = 0;

	check_not_null(fcinfo, argument, "array of steps");
	array = PG_GETARG_ARRAYTYPE_P(argument);
	deconstruct_array(array, ARR_ELEMTYPE(array), 1, true, TYPALIGN_CHAR,
					  &values, &nulls, &site->nsteps);
	check_step_count(site->nsteps);
	for (int i = 0; i < site->nsteps; i++)
		steps |= (uint32) (!nulls[i] && DatumGetBool(values[i])) << i;
	pfree(values);
	pfree(nulls);
	return steps;
}

/* the steps that this row satisfies */
static uint32
steps_of_row(FunctionCallInfo fcinfo, CallSite *site)
{
	const NullableDatum *args = &fcinfo->args[site->at + 1];
	uint32		steps = 0;

	if (site->array)
		return steps_of_array(fcinfo, site);
	/* no branch: nobody can predict what a row satisfies */
	for (int i = 0; i < site->nsteps; i++)
		steps |= (uint32) (!args[i].isnull & DatumGetBool(args[i].value)) << i;
	for (uint32 left = site->untyped; left != 0; left &= left - 1)
	{
		int			i = pg_rightmost_one_pos32(left);

		if (!args[i].isnull)
			report_step_type(i + 1, UNKNOWNOID);
	}
	return steps;
}

/* ----------------------------------------------------------------
 * Transition
 * ----------------------------------------------------------------
 */

/* all rows of a group must ask the same */
static void
check_same(const LqFunnelState *state, int nsteps, int modes, const Interval *interval)
{
	const char *what = NULL;

	if (!lq_window_equal(&state->interval, interval))
		what = "window";
	else if (state->modes != modes)
		what = "mode";
	else if (state->nsteps != nsteps)
		what = "number of steps";
	if (what != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the %s of a funnel must be the same in all rows", what),
				 errhint("To compare funnels call the aggregate once for each.")));
}

static LqFunnelState *
state_new(FunctionCallInfo fcinfo, int nsteps, int modes, const Interval *interval)
{
	MemoryContext before = MemoryContextSwitchTo(aggregate_context(fcinfo));
	LqFunnelState *state = lq_funnel_state_new(nsteps, modes, interval);

	MemoryContextSwitchTo(before);
	return state;
}

/*
 * Rows without a time never count.  Those that satisfy no step count only for
 * strict_order: they may end the search.
 */
static Datum
accumulate(FunctionCallInfo fcinfo, int at)
{
	LqFunnelState *state = state_argument(fcinfo, 0);
	CallSite   *site = call_site(fcinfo, at);
	uint32		steps = 0;

	if (!PG_ARGISNULL(at))
		steps = steps_of_row(fcinfo, site);
	if (steps != 0 ||
		((site->modes & LQ_FUNNEL_ORDER) != 0 && !PG_ARGISNULL(at)))
	{
		if (state == NULL)
			state = state_new(fcinfo, site->nsteps, site->modes, &site->interval);
		else
			check_same(state, site->nsteps, site->modes, &site->interval);
		lq_funnel_state_add(state, PG_GETARG_TIMESTAMPTZ(at), steps);
	}
	if (state == NULL)
		PG_RETURN_NULL();
	PG_RETURN_POINTER(state);
}

/* window_funnel(within, at, steps ...) */
Datum
window_funnel_accum(PG_FUNCTION_ARGS)
{
	return accumulate(fcinfo, 2);
}

/* window_funnel(within, mode, at, steps ...) */
Datum
window_funnel_mode_accum(PG_FUNCTION_ARGS)
{
	return accumulate(fcinfo, 3);
}

/* the second state is the caller's, so nothing of it is kept */
Datum
window_funnel_combine(PG_FUNCTION_ARGS)
{
	LqFunnelState *state = state_argument(fcinfo, 0);
	LqFunnelState *other = state_argument(fcinfo, 1);

	if (other != NULL)
	{
		if (state == NULL)
			state = state_new(fcinfo, other->nsteps, other->modes, &other->interval);
		else
			check_same(state, other->nsteps, other->modes, &other->interval);
		lq_funnel_state_append(state, other);
	}
	if (state == NULL)
		PG_RETURN_NULL();
	PG_RETURN_POINTER(state);
}

Datum
window_funnel_serialize(PG_FUNCTION_ARGS)
{
	(void) aggregate_context(fcinfo);
	PG_RETURN_BYTEA_P(lq_funnel_state_write(state_argument(fcinfo, 0)));
}

Datum
window_funnel_deserialize(PG_FUNCTION_ARGS)
{
	(void) aggregate_context(fcinfo);
	PG_RETURN_POINTER(lq_funnel_state_read(PG_GETARG_BYTEA_PP(0)));
}

/* ----------------------------------------------------------------
 * Result
 * ----------------------------------------------------------------
 */

/*
 * The funnel of a state, which stays as it is: other final functions, and in a
 * window frame more rows, may follow.  The window is kept from group to group
 * for what it remembers.
 */
static void
open_funnel(FunctionCallInfo fcinfo, const LqFunnelState *state, LqFunnel *funnel)
{
	LqFunnelWindow *window = fcinfo->flinfo->fn_extra;

	if (window == NULL)
	{
		window = MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt,
										sizeof(LqFunnelWindow));
		fcinfo->flinfo->fn_extra = window;
	}
	if (window->zone != session_timezone ||
		!lq_window_equal(&window->interval, &state->interval))
		lq_window_init(window, &state->interval);

	funnel->nsteps = state->nsteps;
	funnel->modes = state->modes;
	funnel->window = window;
	funnel->nevents = state->nevents;
	funnel->events = state->events;
	if (!state->sorted)
	{
		Size		size = state->nevents * sizeof(LqFunnelEvent);
		LqFunnelEvent *events = palloc(size);

		memcpy(events, state->events, size);
		lq_funnel_sort(events, state->nevents);
		funnel->events = events;
	}
}

Datum
window_funnel_final(PG_FUNCTION_ARGS)
{
	LqFunnelState *state = state_argument(fcinfo, 0);
	LqFunnel	funnel;
	int			end;

	if (state == NULL)
		PG_RETURN_INT32(0);
	open_funnel(fcinfo, state, &funnel);
	PG_RETURN_INT32(lq_funnel_level(&funnel, &end));
}

Datum
window_funnel_times_final(PG_FUNCTION_ARGS)
{
	LqFunnelState *state = state_argument(fcinfo, 0);
	LqFunnel	funnel;
	TimestampTz times[LQ_FUNNEL_STEPS];
	Datum		values[LQ_FUNNEL_STEPS];
	int			level = 0;
	int			end;

	if (state != NULL)
	{
		open_funnel(fcinfo, state, &funnel);
		level = lq_funnel_level(&funnel, &end);
		lq_funnel_times(&funnel, level, end, times);
	}
	for (int i = 0; i < level; i++)
		values[i] = TimestampTzGetDatum(times[i]);
	PG_RETURN_ARRAYTYPE_P(construct_array(values, level, TIMESTAMPTZOID, sizeof(TimestampTz),
										  FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}
