/*
 * conversion.c
 *		SQL functions on the summary of a cohort: its aggregates, and what they
 *		tell.
 *
 * A lead counts from entered_at on, as it is known at as_of:
 * - no entered_at, an infinite one, or one after as_of: not counted;
 * - what happened after as_of has not happened yet; 'infinity' is never;
 * - the earlier of converted and lost is the outcome, of a tie the conversion;
 * - what happened before the lead was entered happened at once, after 0;
 * - a lead without outcome is open, at an age of as_of - entered_at.
 * There is no answer without as_of: a NULL or infinite one is an error.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "compat.h"
#include "conversion_forecast.h"
#include "conversion_stats.h"
#include "expression.h"
#include "normal.h"
#include "wilson.h"

PG_FUNCTION_INFO_V1(conversion_add);
PG_FUNCTION_INFO_V1(conversion_merge);
PG_FUNCTION_INFO_V1(lq_entered);
PG_FUNCTION_INFO_V1(lq_converted);
PG_FUNCTION_INFO_V1(lq_lost);
PG_FUNCTION_INFO_V1(lq_still_open);
PG_FUNCTION_INFO_V1(lq_conversion_rate);
PG_FUNCTION_INFO_V1(lq_rate_low);
PG_FUNCTION_INFO_V1(lq_rate_high);
PG_FUNCTION_INFO_V1(lq_rate_within_low);
PG_FUNCTION_INFO_V1(lq_rate_within_high);
PG_FUNCTION_INFO_V1(lq_eligible);
PG_FUNCTION_INFO_V1(lq_conversion_followed);
PG_FUNCTION_INFO_V1(lq_incidence_between);
PG_FUNCTION_INFO_V1(lq_conversion_expected);
PG_FUNCTION_INFO_V1(lq_conversion_rate_within);
PG_FUNCTION_INFO_V1(lq_incidence_at);
PG_FUNCTION_INFO_V1(lq_incidence_low);
PG_FUNCTION_INFO_V1(lq_incidence_high);
PG_FUNCTION_INFO_V1(lq_km_at);
PG_FUNCTION_INFO_V1(lq_km_low);
PG_FUNCTION_INFO_V1(lq_km_high);
PG_FUNCTION_INFO_V1(lq_time_quantile);
PG_FUNCTION_INFO_V1(lq_conversion_quantile);
PG_FUNCTION_INFO_V1(lq_conversion_curve);
PG_FUNCTION_INFO_V1(lq_conversion_compare);

static const char *const conf_type_name[LQ_CONF_TYPES] = {
	"plain", "log", "log-log", "logit", "arcsin"
};

/* ----------------------------------------------------------------
 * Aggregates
 * ----------------------------------------------------------------
 */

/*
 * The state in argument 0, to be changed in place.  What is not ours to change
 * is copied to where the aggregate keeps its states, or outside of one, to
 * where a function's result belongs.
 */
static LqConversionState *
state_argument(FunctionCallInfo fcinfo)
{
	LqConversionState *state;
	MemoryContext context;

	if (!PG_ARGISNULL(0) &&
		VARATT_IS_EXTERNAL_EXPANDED_RW(PG_GETARG_POINTER(0)))
		return (LqConversionState *) DatumGetEOHP(PG_GETARG_DATUM(0));
	if (AggCheckCallContext(fcinfo, &context))
		state = lq_conversion_new_shared(context);
	else
		state = lq_conversion_new();
	if (!PG_ARGISNULL(0))
		lq_conversion_merge(state, lq_conversion_get(PG_GETARG_DATUM(0)));
	return state;
}

static TimestampTz
as_of_argument(FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(4))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("as_of must not be null"),
				 errdetail("It is the time up to which it is known what happened to a lead."),
				 errhint("Usually it is now(), or the time of an export.")));
	if (TIMESTAMP_NOT_FINITE(PG_GETARG_TIMESTAMPTZ(4)))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("as_of must be finite"),
				 errdetail("It is the time up to which it is known what happened to a lead."),
				 errhint("Usually it is now(), or the time of an export.")));
	return PG_GETARG_TIMESTAMPTZ(4);
}

/* microseconds; since is finite and, if until is earlier, none passed */
static inline uint64
elapsed(TimestampTz since, TimestampTz until)
{
	/* the whole range of timestamps does not fit into 63 bits, but into 64 */
	return until <= since ? 0 : Min((uint64) until - (uint64) since, LQ_MAX_TIME);
}

/* conversion_add(state, entered_at, converted_at, lost_at, as_of) */
Datum
conversion_add(PG_FUNCTION_ARGS)
{
	LqConversionState *state = state_argument(fcinfo);
	TimestampTz entered;
	TimestampTz as_of;
	TimestampTz end;
	LqOutcome	outcome = LQ_OPEN;

	if (PG_ARGISNULL(1) || TIMESTAMP_NOT_FINITE(PG_GETARG_TIMESTAMPTZ(1)))
		PG_RETURN_DATUM(EOHPGetRWDatum(&state->hdr));
	entered = PG_GETARG_TIMESTAMPTZ(1);
	as_of = end = as_of_argument(fcinfo);
	if (entered <= as_of)
	{
		/* a tie with the end of what is known, or with a loss, converts */
		if (!PG_ARGISNULL(3) && PG_GETARG_TIMESTAMPTZ(3) <= end)
		{
			outcome = LQ_LOST;
			end = PG_GETARG_TIMESTAMPTZ(3);
		}
		if (!PG_ARGISNULL(2) && PG_GETARG_TIMESTAMPTZ(2) <= end)
		{
			outcome = LQ_CONVERTED;
			end = PG_GETARG_TIMESTAMPTZ(2);
		}
		lq_conversion_add(state, outcome, elapsed(entered, end),
						  elapsed(entered, as_of));
	}
	PG_RETURN_DATUM(EOHPGetRWDatum(&state->hdr));
}

/* conversion_merge(conversion, conversion): both cohorts as one */
Datum
conversion_merge(PG_FUNCTION_ARGS)
{
	LqConversionState *state = state_argument(fcinfo);

	lq_conversion_merge(state, lq_conversion_get(PG_GETARG_DATUM(1)));
	PG_RETURN_DATUM(EOHPGetRWDatum(&state->hdr));
}

/* ----------------------------------------------------------------
 * Arguments and results
 * ----------------------------------------------------------------
 */

#define GETARG_CONVERSION(n) lq_conversion_get(PG_GETARG_DATUM(n))

/* an interval in microseconds: 24-hour days and 30-day months */
static int64
interval_argument(FunctionCallInfo fcinfo, int arg)
{
	int64		length;

	if (!lq_interval_length(PG_GETARG_INTERVAL_P(arg), &length))
		ereport(ERROR,
				(errcode(ERRCODE_INTERVAL_FIELD_OVERFLOW),
				 errmsg("interval out of range")));
	if (length < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("time since a lead was entered must not be negative"),
				 errhint("Use an interval such as '30 days'.")));
	return length;
}

static double
confidence_argument(FunctionCallInfo fcinfo, int arg)
{
	double		confidence = PG_GETARG_FLOAT8(arg);

	(void) lq_confidence_z(confidence);	/* an error if it is none */
	return confidence;
}

static LqConfType
conf_type_argument(FunctionCallInfo fcinfo, int arg)
{
	char	   *name = text_to_cstring(PG_GETARG_TEXT_PP(arg));

	for (int i = 0; i < LQ_CONF_TYPES; i++)
	{
		if (strcmp(name, conf_type_name[i]) == 0)
			return i;
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unknown type of confidence interval \"%s\"", name),
			 errhint("The types are plain, log, log-log, logit and arcsin.")));
	return LQ_CONF_PLAIN;		/* keep compiler quiet */
}

static double
fraction_argument(FunctionCallInfo fcinfo, int arg)
{
	double		fraction = PG_GETARG_FLOAT8(arg);

	if (!(fraction >= 0 && fraction <= 1))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("fraction must be between 0 and 1, not %g", fraction),
				 errhint("The median is 0.5.")));
	return fraction;
}

/* whole days, as an argument counts them, and the rest */
static Datum
interval_datum(int64 time)
{
	Interval   *result = palloc0(sizeof(Interval));

	result->day = (int32) (time / USECS_PER_DAY);
	result->time = time % USECS_PER_DAY;
	return IntervalPGetDatum(result);
}

/* ----------------------------------------------------------------
 * Counts and rates
 * ----------------------------------------------------------------
 */

Datum
lq_entered(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(lq_rate(GETARG_CONVERSION(0)).eligible);
}

Datum
lq_converted(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(lq_conversion_count(GETARG_CONVERSION(0), LQ_CONVERTED));
}

Datum
lq_lost(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(lq_conversion_count(GETARG_CONVERSION(0), LQ_LOST));
}

Datum
lq_still_open(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(lq_conversion_count(GETARG_CONVERSION(0), LQ_OPEN));
}

static Datum
rate_datum(FunctionCallInfo fcinfo, LqRate rate)
{
	if (rate.eligible == 0)
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8((double) rate.converted / rate.eligible);
}

/* rate(conversion): converted of all that were entered, NULL of none */
Datum
lq_conversion_rate(PG_FUNCTION_ARGS)
{
	return rate_datum(fcinfo, lq_rate(GETARG_CONVERSION(0)));
}

/* rate_within(conversion, interval): of those entered at least that long ago */
Datum
lq_conversion_rate_within(PG_FUNCTION_ARGS)
{
	return rate_datum(fcinfo, lq_rate_within(GETARG_CONVERSION(0),
											 interval_argument(fcinfo, 1)));
}

static Datum
rate_bound(FunctionCallInfo fcinfo, LqRate rate, double confidence, bool upper)
{
	double		low,
				high;

	if (rate.eligible == 0)
		PG_RETURN_NULL();
	lq_wilson(rate.converted, rate.eligible, confidence, &low, &high);
	PG_RETURN_FLOAT8(upper ? high : low);
}

Datum
lq_rate_low(PG_FUNCTION_ARGS)
{
	return rate_bound(fcinfo, lq_rate(GETARG_CONVERSION(0)), confidence_argument(fcinfo, 1), false);
}

Datum
lq_rate_high(PG_FUNCTION_ARGS)
{
	return rate_bound(fcinfo, lq_rate(GETARG_CONVERSION(0)), confidence_argument(fcinfo, 1), true);
}

/* rate_within_low(conversion, interval, confidence) */
Datum
lq_rate_within_low(PG_FUNCTION_ARGS)
{
	return rate_bound(fcinfo, lq_rate_within(GETARG_CONVERSION(0), interval_argument(fcinfo, 1)),
					  confidence_argument(fcinfo, 2), false);
}

Datum
lq_rate_within_high(PG_FUNCTION_ARGS)
{
	return rate_bound(fcinfo, lq_rate_within(GETARG_CONVERSION(0), interval_argument(fcinfo, 1)),
					  confidence_argument(fcinfo, 2), true);
}

/* eligible(conversion, interval): entered at least that long ago */
Datum
lq_eligible(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(lq_rate_within(GETARG_CONVERSION(0), interval_argument(fcinfo, 1)).eligible);
}

/* ----------------------------------------------------------------
 * Curves
 * ----------------------------------------------------------------
 */

static Datum
estimate_at(FunctionCallInfo fcinfo, bool competing)
{
	int64		time = interval_argument(fcinfo, 1);
	LqCurve		curve;

	lq_curve_begin(&curve, GETARG_CONVERSION(0), competing);
	if (!lq_curve_seek(&curve, time))
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(curve.incidence);
}

/* (conversion, interval, confidence, conf_type) */
static Datum
estimate_bound(FunctionCallInfo fcinfo, bool competing, bool upper)
{
	int64		time = interval_argument(fcinfo, 1);
	double		confidence = confidence_argument(fcinfo, 2);
	LqConfType	type = conf_type_argument(fcinfo, 3);
	LqCurve		curve;
	double		low,
				high;

	lq_curve_begin(&curve, GETARG_CONVERSION(0), competing);
	if (!lq_curve_seek(&curve, time) ||
		!lq_curve_interval(&curve, confidence, type, &low, &high))
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(upper ? high : low);
}

Datum
lq_incidence_at(PG_FUNCTION_ARGS)
{
	return estimate_at(fcinfo, true);
}

Datum
lq_incidence_low(PG_FUNCTION_ARGS)
{
	return estimate_bound(fcinfo, true, false);
}

Datum
lq_incidence_high(PG_FUNCTION_ARGS)
{
	return estimate_bound(fcinfo, true, true);
}

Datum
lq_km_at(PG_FUNCTION_ARGS)
{
	return estimate_at(fcinfo, false);
}

Datum
lq_km_low(PG_FUNCTION_ARGS)
{
	return estimate_bound(fcinfo, false, false);
}

Datum
lq_km_high(PG_FUNCTION_ARGS)
{
	return estimate_bound(fcinfo, false, true);
}

/* time_quantile(conversion, q): smallest time whose incidence is at least q */
Datum
lq_time_quantile(PG_FUNCTION_ARGS)
{
	const LqConversion *value = GETARG_CONVERSION(0);
	double		fraction = fraction_argument(fcinfo, 1);
	LqCurve		curve;

	lq_curve_begin(&curve, value, true);
	if (curve.remaining == 0 || !lq_curve_reach(&curve, fraction))
		PG_RETURN_NULL();
	return interval_datum(curve.time);
}

/* converted_quantile(conversion, q): smallest duration of a fraction q of the converted */
Datum
lq_conversion_quantile(PG_FUNCTION_ARGS)
{
	const LqConversion *value = GETARG_CONVERSION(0);
	double		fraction = fraction_argument(fcinfo, 1);
	int64		time;

	if (!lq_converted_quantile(value, fraction, &time))
		PG_RETURN_NULL();
	return interval_datum(time);
}

/* curve(conversion, confidence, conf_type): a row for each duration, in order */
Datum
lq_conversion_curve(PG_FUNCTION_ARGS)
{
	const LqConversion *value = GETARG_CONVERSION(0);
	double		confidence = confidence_argument(fcinfo, 1);
	LqConfType	type = conf_type_argument(fcinfo, 2);
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	LqCurve		curve;

	InitMaterializedSRF(fcinfo, 0);
	lq_curve_begin(&curve, value, true);
	while (lq_curve_next(&curve))
	{
		Datum		values[7];
		bool		nulls[7] = {0};
		double		low = 0,
					high = 0;

		nulls[5] = nulls[6] = !lq_curve_interval(&curve, confidence, type, &low, &high);
		values[0] = interval_datum(curve.time);
		values[1] = Int64GetDatum(curve.at_risk);
		values[2] = Int64GetDatum(curve.count[LQ_CONVERTED]);
		values[3] = Int64GetDatum(curve.count[LQ_LOST]);
		values[4] = Float8GetDatum(curve.incidence);
		values[5] = Float8GetDatum(low);
		values[6] = Float8GetDatum(high);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
		pfree(DatumGetPointer(values[0]));
	}
	return (Datum) 0;
}

/* ----------------------------------------------------------------
 * Comparing two cohorts
 * ----------------------------------------------------------------
 */

/* compare(a, b, within, confidence): within may be NULL, which is: ever */
Datum
lq_conversion_compare(PG_FUNCTION_ARGS)
{
	const LqConversion *cohort[2];
	LqRate		rate[2];
	double		confidence;
	TupleDesc	desc;
	Datum		values[12];
	bool		nulls[12];
	double		chi2,
				p_value;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(3))
		PG_RETURN_NULL();
	confidence = confidence_argument(fcinfo, 3);
	memset(nulls, true, sizeof(nulls));
	for (int i = 0; i < 2; i++)
	{
		Datum	   *value = values + i * 3;

		cohort[i] = GETARG_CONVERSION(i);
		rate[i] = PG_ARGISNULL(2) ? lq_rate(cohort[i]) :
			lq_rate_within(cohort[i], interval_argument(fcinfo, 2));
		value[0] = Int64GetDatum(rate[i].eligible);
		value[1] = Int64GetDatum(rate[i].converted);
		nulls[i * 3] = nulls[i * 3 + 1] = false;
		if (rate[i].eligible > 0)
		{
			value[2] = Float8GetDatum((double) rate[i].converted / rate[i].eligible);
			nulls[i * 3 + 2] = false;
		}
	}
	if (rate[0].eligible > 0 && rate[1].eligible > 0)
	{
		LqDifference result = lq_difference(&rate[0], &rate[1], confidence);

		values[6] = Float8GetDatum(result.difference);
		values[7] = Float8GetDatum(result.low);
		values[8] = Float8GetDatum(result.high);
		values[9] = Float8GetDatum(result.p_value);
		nulls[6] = nulls[7] = nulls[8] = false;
		nulls[9] = !result.tested;
	}
	if (lq_logrank(cohort[0], cohort[1], &chi2, &p_value))
	{
		values[10] = Float8GetDatum(chi2);
		values[11] = Float8GetDatum(p_value);
		nulls[10] = nulls[11] = false;
	}
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(desc, values, nulls)));
}

/* ----------------------------------------------------------------
 * What is to come
 * ----------------------------------------------------------------
 */

/* followed(conversion): the largest observed time, NULL without leads */
Datum
lq_conversion_followed(PG_FUNCTION_ARGS)
{
	int64		time;

	if (!lq_followed(GETARG_CONVERSION(0), &time))
		PG_RETURN_NULL();
	return interval_datum(time);
}

/* incidence_between(conversion, after, until) */
Datum
lq_incidence_between(PG_FUNCTION_ARGS)
{
	double		chance;
	int64		events;

	if (!lq_chance(GETARG_CONVERSION(0), interval_argument(fcinfo, 1), interval_argument(fcinfo, 2),
				   &chance, &events))
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(chance);
}

/* expected_rate(cohort, pool, within, confidence): pool may be NULL */
Datum
lq_conversion_expected(PG_FUNCTION_ARGS)
{
	TupleDesc	desc;
	LqExpected	expected;
	Datum		values[4] = {0};
	bool		nulls[4] = {true, true, true, true};

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	if (PG_ARGISNULL(0) || PG_ARGISNULL(2) || PG_ARGISNULL(3))
		PG_RETURN_NULL();
	if (lq_expected_rate(GETARG_CONVERSION(0), PG_ARGISNULL(1) ? NULL : GETARG_CONVERSION(1),
						 interval_argument(fcinfo, 2), confidence_argument(fcinfo, 3), &expected))
	{
		values[0] = Float8GetDatum(expected.rate);
		values[1] = Float8GetDatum(expected.low);
		values[2] = Float8GetDatum(expected.high);
		values[3] = BoolGetDatum(expected.projected);
		memset(nulls, false, sizeof(nulls));
	}
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(desc, values, nulls)));
}
