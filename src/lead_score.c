/*
 * lead_score.c
 *		SQL type lead_score: a lead's score as a value.
 *
 * The stored bytes are those of score_pack.c inside a varlena.  A score has
 * one packed form, so equality and hashing look at the bytes alone.  There
 * is no order: which of two scores is greater depends on the time at which
 * one looks.  The text form is described in score_text.c.
 *
 * Storage is "extended".  A typical score has 200 to 300 bytes and stays in
 * its row untouched; compression and the out-of-line table are tried only
 * for a row of over 2 kB, which takes hundreds of entries.  Those are the
 * ones worth moving out: an update that leaves the score alone, such as a
 * manual move, then does not copy them, and the rows stay narrow for HOT.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "fmgr.h"
#include "libpq/pqformat.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "score.h"
#include "score_internal.h"

PG_FUNCTION_INFO_V1(lead_score_in);
PG_FUNCTION_INFO_V1(lead_score_out);
PG_FUNCTION_INFO_V1(lead_score_recv);
PG_FUNCTION_INFO_V1(lead_score_send);
PG_FUNCTION_INFO_V1(lead_score_eq);
PG_FUNCTION_INFO_V1(lead_score_ne);
PG_FUNCTION_INFO_V1(lead_score_hash);
PG_FUNCTION_INFO_V1(lead_score_hash_extended);
PG_FUNCTION_INFO_V1(lead_score_points);
PG_FUNCTION_INFO_V1(lead_score_total);
PG_FUNCTION_INFO_V1(lead_score_as_of);
PG_FUNCTION_INFO_V1(lead_score_dimensions);

/*
 * The score in an argument, unpacked into the current memory context.
 */
static LqScore *
getarg_score(FunctionCallInfo fcinfo, int argument)
{
	bytea	   *value = PG_GETARG_BYTEA_PP(argument);
	const char *problem;
	LqScore    *score = lq_score_unpack(VARDATA_ANY(value),
										VARSIZE_ANY_EXHDR(value),
										CurrentMemoryContext, &problem);

	if (score == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("stored value of type %s is not valid", "lead_score"),
				 errdetail("The value is not valid: %s.", problem)));
	return score;
}

/* ----------------------------------------------------------------
 * Input and output
 * ----------------------------------------------------------------
 */

Datum
lead_score_in(PG_FUNCTION_ARGS)
{
	LOCAL_FCINFO(json_call, 1);
	Datum		json;
	LqScore    *score;
	const char *problem;

	/* by hand, so that the caller's wish for soft errors is passed on */
	InitFunctionCallInfoData(*json_call, NULL, 1, InvalidOid, fcinfo->context,
							 NULL);
	json_call->args[0].value = PG_GETARG_DATUM(0);
	json_call->args[0].isnull = false;
	json = jsonb_in(json_call);
	if (DatumGetPointer(json) == NULL)
		PG_RETURN_NULL();		/* a soft error was reported */

	score = lq_score_from_json(DatumGetJsonbP(json), &problem);
	if (score == NULL)
		ereturn(fcinfo->context, (Datum) 0,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("invalid input for type %s", "lead_score"),
				 errdetail_internal("%s", problem)));
	PG_RETURN_BYTEA_P(lq_score_pack(score));
}

Datum
lead_score_out(PG_FUNCTION_ARGS)
{
	PG_RETURN_CSTRING(lq_score_to_text(getarg_score(fcinfo, 0)));
}

Datum
lead_score_recv(PG_FUNCTION_ARGS)
{
	StringInfo	buf = (StringInfo) PG_GETARG_POINTER(0);
	int			len = buf->len - buf->cursor;
	const char *bytes = pq_getmsgbytes(buf, len);
	const char *problem;
	bytea	   *result;

	if (lq_score_unpack(bytes, len, CurrentMemoryContext, &problem) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("invalid external \"%s\" value", "lead_score"),
				 errdetail("The value is not valid: %s.", problem)));

	/* what unpacks is canonical: store it as it came */
	result = palloc(VARHDRSZ + len);
	SET_VARSIZE(result, VARHDRSZ + len);
	memcpy(VARDATA(result), bytes, len);
	PG_RETURN_BYTEA_P(result);
}

Datum
lead_score_send(PG_FUNCTION_ARGS)
{
	/* the stored bytes are portable; the copy is not packed or toasted */
	PG_RETURN_BYTEA_P(PG_GETARG_BYTEA_P_COPY(0));
}

/* ----------------------------------------------------------------
 * Equality
 * ----------------------------------------------------------------
 */

static bool
scores_equal(FunctionCallInfo fcinfo)
{
	bytea	   *a = PG_GETARG_BYTEA_PP(0);
	bytea	   *b = PG_GETARG_BYTEA_PP(1);
	Size		length = VARSIZE_ANY_EXHDR(a);
	bool		equal;

	equal = length == VARSIZE_ANY_EXHDR(b) &&
		memcmp(VARDATA_ANY(a), VARDATA_ANY(b), length) == 0;
	PG_FREE_IF_COPY(a, 0);
	PG_FREE_IF_COPY(b, 1);
	return equal;
}

Datum
lead_score_eq(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(scores_equal(fcinfo));
}

Datum
lead_score_ne(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(!scores_equal(fcinfo));
}

Datum
lead_score_hash(PG_FUNCTION_ARGS)
{
	bytea	   *value = PG_GETARG_BYTEA_PP(0);
	Datum		hash = hash_any((unsigned char *) VARDATA_ANY(value),
								VARSIZE_ANY_EXHDR(value));

	PG_FREE_IF_COPY(value, 0);
	return hash;
}

Datum
lead_score_hash_extended(PG_FUNCTION_ARGS)
{
	bytea	   *value = PG_GETARG_BYTEA_PP(0);
	Datum		hash = hash_any_extended((unsigned char *) VARDATA_ANY(value),
										 VARSIZE_ANY_EXHDR(value),
										 PG_GETARG_INT64(1));

	PG_FREE_IF_COPY(value, 0);
	return hash;
}

/* ----------------------------------------------------------------
 * Reading a score
 * ----------------------------------------------------------------
 */

/*
 * Does the score know what it was worth at this time?  Not before its newest
 * event: what had decayed or was not yet there by then is no longer in it.
 */
static bool
score_knows(const LqScore *score, TimestampTz at)
{
	if (TIMESTAMP_NOT_FINITE(at))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the time of a score must be finite")));
	return at >= score->as_of;
}

static char *
list_dimensions(const LqScore *score)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < score->ndimensions; i++)
		appendStringInfo(&buf, "%s\"%s\"", i > 0 ? ", " : "",
						 score->dimensions[i].name);
	return buf.data;
}

Datum
lead_score_points(PG_FUNCTION_ARGS)
{
	LqScore    *score = getarg_score(fcinfo, 0);
	char	   *name = text_to_cstring(PG_GETARG_TEXT_PP(1));
	TimestampTz at = PG_GETARG_TIMESTAMPTZ(2);
	int			dimension = lq_score_dimension(score, name);

	if (dimension < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("score has no dimension \"%s\"", name),
				 score->ndimensions == 0 ?
				 errdetail("The score has no dimensions.") :
				 errdetail("The dimensions of the score are %s.",
						   list_dimensions(score))));
	if (!score_knows(score, at))
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(lq_score_points(score, dimension, at, false));
}

Datum
lead_score_total(PG_FUNCTION_ARGS)
{
	LqScore    *score = getarg_score(fcinfo, 0);
	TimestampTz at = PG_GETARG_TIMESTAMPTZ(1);

	if (!score_knows(score, at))
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(lq_score_total(score, at, false));
}

Datum
lead_score_as_of(PG_FUNCTION_ARGS)
{
	LqScore    *score = getarg_score(fcinfo, 0);

	if (TIMESTAMP_IS_NOBEGIN(score->as_of))
		PG_RETURN_NULL();
	PG_RETURN_TIMESTAMPTZ(score->as_of);
}

Datum
lead_score_dimensions(PG_FUNCTION_ARGS)
{
	LqScore    *score = getarg_score(fcinfo, 0);
	Datum	   *names = palloc(sizeof(Datum) * Max(score->ndimensions, 1));

	for (int i = 0; i < score->ndimensions; i++)
		names[i] = CStringGetTextDatum(score->dimensions[i].name);
	PG_RETURN_ARRAYTYPE_P(construct_array(names, score->ndimensions, TEXTOID,
										  -1, false, TYPALIGN_INT));
}
