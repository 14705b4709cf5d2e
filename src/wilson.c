/*
 * wilson.c
 *		wilson_interval(): how sure a rate is.
 *
 * The score interval of E. B. Wilson, "Probable Inference, the Law of
 * Succession, and Statistical Inference", Journal of the American Statistical
 * Association 22 (1927), 209-212: the rates p for which the observed one is
 * within z standard errors of p.  It stays inside [0, 1] and is of use for few
 * trials and for rates of 0 and 1.
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "fmgr.h"
#include "funcapi.h"

#include "normal.h"
#include "wilson.h"

void
lq_wilson(int64 successes, int64 trials, double confidence, double *low, double *high)
{
	double		n = trials;
	double		p = successes / n;
	double		z = lq_confidence_z(confidence);
	double		zz = z * z / n;
	double		center = p + zz / 2;
	double		spread = sqrt(zz * (p * (1 - p) + zz / 4));

	*low = successes == 0 ? 0 : (center - spread) / (1 + zz);
	*high = successes == trials ? 1 : (center + spread) / (1 + zz);
}

PG_FUNCTION_INFO_V1(lq_wilson_interval);

/* wilson_interval(successes, trials, confidence): NULLs for no trial */
Datum
lq_wilson_interval(PG_FUNCTION_ARGS)
{
	int64		successes = PG_GETARG_INT64(0);
	int64		trials = PG_GETARG_INT64(1);
	TupleDesc	desc;
	Datum		values[2] = {0};
	bool		nulls[2] = {trials == 0, trials == 0};
	double		confidence = PG_GETARG_FLOAT8(2);
	double		low,
				high;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	if (successes < 0 || successes > trials)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%lld successes of %lld trials are not possible",
						(long long) successes, (long long) trials),
				 errhint("Successes are from 0 to the number of trials.")));
	(void) lq_confidence_z(confidence);
	if (trials > 0)
	{
		lq_wilson(successes, trials, confidence, &low, &high);
		values[0] = Float8GetDatum(low);
		values[1] = Float8GetDatum(high);
	}
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(desc, values, nulls)));
}
