/*
 * roc.c
 *		SQL type roc: its input and output, its aggregates, and what it tells
 *		of a score as a predictor of conversion.
 *
 * The text form lists the scores in order, each with how many of its leads
 * converted: "10:1/4, 20:3/5" is 1 of 4 at score 10 and 3 of 5 at score 20.
 * The type is the state of its aggregates and not "internal", so that any
 * planner, a distributed one too, can aggregate in parts; roc_combine() puts
 * them together, and is the transition of rollup(roc) as well.
 *
 * A lead is predicted to convert at a threshold if its score is at least the
 * threshold.
 */
#include "postgres.h"

#include <math.h>

#include "common/shortest_dec.h"
#include "fmgr.h"
#include "funcapi.h"
#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "parser/scansup.h"
#include "utils/builtins.h"

#include "compat.h"
#include "normal.h"
#include "roc.h"

#define WIRE_VERSION 1

PG_FUNCTION_INFO_V1(roc_in);
PG_FUNCTION_INFO_V1(roc_out);
PG_FUNCTION_INFO_V1(roc_recv);
PG_FUNCTION_INFO_V1(roc_send);
PG_FUNCTION_INFO_V1(roc_add);
PG_FUNCTION_INFO_V1(roc_combine);
PG_FUNCTION_INFO_V1(roc_close);
PG_FUNCTION_INFO_V1(roc_auc);
PG_FUNCTION_INFO_V1(roc_auc_low);
PG_FUNCTION_INFO_V1(roc_auc_high);
PG_FUNCTION_INFO_V1(roc_curve);
PG_FUNCTION_INFO_V1(roc_threshold_table);

#define GETARG_ROC(n) lq_roc_from_datum(PG_GETARG_DATUM(n))

/* ----------------------------------------------------------------
 * Input and output
 * ----------------------------------------------------------------
 */

static const char *
skip_space(const char *text)
{
	while (scanner_isspace(*text))
		text++;
	return text;
}

/*
 * Read a number of leads.  Returns what is behind it, NULL if it is none.
 */
static const char *
read_leads(const char *text, int64 *leads)
{
	char	   *end;

	if (*text < '0' || *text > '9')
		return NULL;
	errno = 0;
	*leads = strtoi64(text, &end, 10);
	return errno == 0 ? end : NULL;
}

/*
 * Read "score:converted/leads".  Returns what is behind it, NULL if it is not
 * like that.
 */
static const char *
read_point(const char *text, LqRocPoint *point)
{
	char	   *end;
	const char *next;
	int64		leads;

	errno = 0;
	point->score = strtod(text, &end);
	/* a range error is one only if the value was lost, as in float8in() */
	if (end == text ||
		(errno == ERANGE && (point->score == 0 || isinf(point->score))))
		return NULL;
	next = skip_space(end);
	if (*next != ':')
		return NULL;
	next = read_leads(skip_space(next + 1), &point->converted);
	if (next == NULL || *(next = skip_space(next)) != '/')
		return NULL;
	next = read_leads(skip_space(next + 1), &leads);
	if (next == NULL || leads == 0 || point->converted > leads)
		return NULL;
	point->others = leads - point->converted;
	return skip_space(next);
}

/*
 * Scores may come in any order and more than once.
 */
Datum
roc_in(PG_FUNCTION_ARGS)
{
	const char *text = PG_GETARG_CSTRING(0);
	LqRocTable *table = lq_roc_begin();
	const char *next = skip_space(text);

	while (*next != '\0')
	{
		LqRocPoint	point;

		CHECK_FOR_INTERRUPTS();
		next = read_point(next, &point);
		if (next != NULL && *next == ',')
		{
			/* a comma is between two scores */
			next = skip_space(next + 1);
			if (*next == '\0')
				next = NULL;
		}
		else if (next != NULL && *next != '\0')
			next = NULL;
		if (next == NULL)
			ereturn(fcinfo->context, (Datum) 0,
					(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
					 errmsg("invalid input syntax for type %s", "roc"),
					 errdetail("After each score there must be how many leads with it converted, of how many."),
					 errhint("Write it as 10:1/4, 20:3/5.")));
		table = lq_roc_count(table, &point, fcinfo->context);
		if (table == NULL)
			PG_RETURN_NULL();	/* a soft error was reported */
	}
	PG_RETURN_POINTER(lq_roc_close(table));
}

Datum
roc_out(PG_FUNCTION_ARGS)
{
	LqRoc	   *roc = GETARG_ROC(0);
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < LQ_ROC_NPOINTS(roc); i++)
	{
		const LqRocPoint *point = &roc->points[i];
		char		score[DOUBLE_SHORTEST_DECIMAL_LEN];

		CHECK_FOR_INTERRUPTS();
		/* not float8out(), which extra_float_digits makes round */
		double_to_shortest_decimal_buf(point->score, score);
		appendStringInfo(&buf, "%s%s:" INT64_FORMAT "/" INT64_FORMAT,
						 i > 0 ? ", " : "", score, point->converted,
						 point->converted + point->others);
	}
	PG_RETURN_CSTRING(buf.data);
}

/*
 * On the wire: a version byte, the number of scores, then of each score,
 * rising, the score, how many converted and how many did not.
 */
Datum
roc_recv(PG_FUNCTION_ARGS)
{
	StringInfo	buf = (StringInfo) PG_GETARG_POINTER(0);
	LqRocTable *table = lq_roc_begin();
	int			version = pq_getmsgbyte(buf);
	int			npoints;
	double		last = 0;

	if (version != WIRE_VERSION)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("unsupported version %d of external \"%s\" value",
						version, "roc")));
	npoints = pq_getmsgint(buf, 4);
	if (npoints < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("invalid number of scores in external \"%s\" value",
						"roc")));
	for (int i = 0; i < npoints; i++)
	{
		LqRocPoint	point;

		CHECK_FOR_INTERRUPTS();
		point.score = pq_getmsgfloat8(buf);
		point.converted = pq_getmsgint64(buf);
		point.others = pq_getmsgint64(buf);
		if (point.converted < 0 || point.others < 0 ||
			(point.converted == 0 && point.others == 0))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
					 errmsg("invalid number of leads in external \"%s\" value",
							"roc")));
		if (i > 0 && point.score <= last)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
					 errmsg("scores of external \"%s\" value do not rise",
							"roc")));
		table = lq_roc_count(table, &point, NULL);
		last = point.score;
	}
	PG_RETURN_POINTER(lq_roc_close(table));
}

Datum
roc_send(PG_FUNCTION_ARGS)
{
	LqRoc	   *roc = GETARG_ROC(0);
	StringInfoData buf;

	pq_begintypsend(&buf);
	pq_sendbyte(&buf, WIRE_VERSION);
	pq_sendint32(&buf, LQ_ROC_NPOINTS(roc));
	for (int i = 0; i < LQ_ROC_NPOINTS(roc); i++)
	{
		CHECK_FOR_INTERRUPTS();
		pq_sendfloat8(&buf, roc->points[i].score);
		pq_sendint64(&buf, roc->points[i].converted);
		pq_sendint64(&buf, roc->points[i].others);
	}
	PG_RETURN_BYTEA_P(pq_endtypsend(&buf));
}

/* ----------------------------------------------------------------
 * Aggregates
 * ----------------------------------------------------------------
 */

/*
 * What a transition returns: the state, but outside of an aggregate, where
 * the transitions are plain functions, a value like any other.
 */
static Datum
state_datum(FunctionCallInfo fcinfo, LqRocTable *table)
{
	if (AggCheckCallContext(fcinfo, NULL))
		return PointerGetDatum(table);
	return PointerGetDatum(lq_roc_close(table));
}

/*
 * roc_add(summary, score, converted): the summary may be NULL, for one of no
 * lead; a lead without a score or whose outcome is unknown is left out.
 */
Datum
roc_add(PG_FUNCTION_ARGS)
{
	LqRocPoint	point;
	LqRocTable *table;

	if (PG_ARGISNULL(1) || PG_ARGISNULL(2))
	{
		if (PG_ARGISNULL(0))
			PG_RETURN_NULL();
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	}
	point.score = PG_GETARG_FLOAT8(1);
	point.converted = PG_GETARG_BOOL(2) ? 1 : 0;
	point.others = 1 - point.converted;
	table = lq_roc_count(lq_roc_getarg_state(fcinfo), &point, NULL);
	PG_RETURN_DATUM(state_datum(fcinfo, table));
}

Datum
roc_combine(PG_FUNCTION_ARGS)
{
	LqRocTable *table = lq_roc_getarg_state(fcinfo);

	table = lq_roc_count_all(table, GETARG_ROC(1));
	PG_RETURN_DATUM(state_datum(fcinfo, table));
}

/*
 * Final function: a state as the one form in which a value is stored.
 */
Datum
roc_close(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(GETARG_ROC(0));
}

/* ----------------------------------------------------------------
 * Area under the curve
 * ----------------------------------------------------------------
 */

Datum
roc_auc(PG_FUNCTION_ARGS)
{
	LqRoc	   *roc = GETARG_ROC(0);
	double		auc;

	if (!lq_roc_auc(roc->points, LQ_ROC_NPOINTS(roc), &auc))
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(auc);
}

static Datum
auc_bound(FunctionCallInfo fcinfo, bool lower)
{
	LqRoc	   *roc = GETARG_ROC(0);
	double		z = lq_confidence_z(PG_GETARG_FLOAT8(1));
	double		low,
				high;

	if (!lq_roc_auc_interval(roc->points, LQ_ROC_NPOINTS(roc), z, &low, &high))
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(lower ? low : high);
}

Datum
roc_auc_low(PG_FUNCTION_ARGS)
{
	return auc_bound(fcinfo, true);
}

Datum
roc_auc_high(PG_FUNCTION_ARGS)
{
	return auc_bound(fcinfo, false);
}

/* ----------------------------------------------------------------
 * Thresholds
 * ----------------------------------------------------------------
 */

/* what a threshold makes of the leads, from the strictest on */
typedef struct Cut
{
	const LqRoc *roc;
	LqRocTotals totals;
	int			next;			/* point of the next threshold */
	double		threshold;
	int64		tp;				/* converted, at the threshold or above */
	int64		fp;				/* did not convert, but are so too */
} Cut;

static Cut
no_cut(const LqRoc *roc)
{
	Cut			cut = {0};

	cut.roc = roc;
	cut.totals = lq_roc_totals(roc->points, LQ_ROC_NPOINTS(roc));
	cut.next = LQ_ROC_NPOINTS(roc) - 1;
	return cut;
}

static bool
next_cut(Cut *cut)
{
	const LqRocPoint *point;

	CHECK_FOR_INTERRUPTS();
	if (cut->next < 0)
		return false;
	point = &cut->roc->points[cut->next--];
	cut->threshold = point->score;
	cut->tp += point->converted;
	cut->fp += point->others;
	return true;
}

/* a share of nothing is NULL */
static void
put_ratio(Datum *value, bool *null, double part, double whole)
{
	*null = whole == 0;
	if (!*null)
		*value = Float8GetDatum(part / whole);
}

static void
put_curve_row(ReturnSetInfo *rsinfo, const Cut *cut, bool has_threshold)
{
	Datum		values[4] = {0};
	bool		nulls[4] = {0};

	nulls[0] = !has_threshold;
	values[0] = Float8GetDatum(cut->threshold);
	put_ratio(&values[1], &nulls[1], cut->fp, cut->totals.others);
	put_ratio(&values[2], &nulls[2], cut->tp, cut->totals.converted);
	put_ratio(&values[3], &nulls[3], cut->tp + cut->fp,
			  cut->totals.converted + cut->totals.others);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/*
 * roc_curve(roc): the corners of the curve from (0, 0), which no score is
 * high enough for, to (1, 1).
 */
Datum
roc_curve(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Cut			cut = no_cut(GETARG_ROC(0));

	InitMaterializedSRF(fcinfo, 0);
	put_curve_row(rsinfo, &cut, false);
	while (next_cut(&cut))
		put_curve_row(rsinfo, &cut, true);
	return (Datum) 0;
}

/*
 * threshold_table(roc): one row for each score as the threshold.
 */
Datum
roc_threshold_table(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Cut			cut = no_cut(GETARG_ROC(0));
	double		converted = cut.totals.converted;
	double		others = cut.totals.others;

	InitMaterializedSRF(fcinfo, 0);
	while (next_cut(&cut))
	{
		Datum		values[9] = {0};
		bool		nulls[9] = {0};
		double		positives = cut.tp + cut.fp;

		values[0] = Float8GetDatum(cut.threshold);
		values[1] = Int64GetDatum(cut.tp);
		values[2] = Int64GetDatum(cut.fp);
		values[3] = Int64GetDatum(cut.totals.others - cut.fp);
		values[4] = Int64GetDatum(cut.totals.converted - cut.tp);
		put_ratio(&values[5], &nulls[5], cut.tp, positives);
		put_ratio(&values[6], &nulls[6], cut.tp, converted);
		/* lift: precision by the share of all leads that converted */
		put_ratio(&values[7], &nulls[7], cut.tp * (converted + others),
				  positives * converted);
		/* Youden's J: the true positive rate less the false positive rate */
		put_ratio(&values[8], &nulls[8], cut.tp * others - cut.fp * converted,
				  converted * others);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}
