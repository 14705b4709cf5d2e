/*
 * lead_grade.c
 *		SQL type lead_grade: A+, A, A-, ... D-, F.
 *
 * Stored as an int16 that is greater for a better grade, passed by value.
 * The letters are only its spelling: input takes any case, output is
 * canonical, and nothing here depends on locale or settings.
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "fmgr.h"
#include "libpq/pqformat.h"

#include "compat.h"
#include "lead_grade.h"

PG_FUNCTION_INFO_V1(lead_grade_in);
PG_FUNCTION_INFO_V1(lead_grade_out);
PG_FUNCTION_INFO_V1(lead_grade_recv);
PG_FUNCTION_INFO_V1(lead_grade_send);
PG_FUNCTION_INFO_V1(lead_grade_lt);
PG_FUNCTION_INFO_V1(lead_grade_le);
PG_FUNCTION_INFO_V1(lead_grade_eq);
PG_FUNCTION_INFO_V1(lead_grade_ne);
PG_FUNCTION_INFO_V1(lead_grade_ge);
PG_FUNCTION_INFO_V1(lead_grade_gt);
PG_FUNCTION_INFO_V1(lead_grade_cmp);
PG_FUNCTION_INFO_V1(lead_grade_hash);
PG_FUNCTION_INFO_V1(lead_grade_hash_extended);
PG_FUNCTION_INFO_V1(lead_grade_larger);
PG_FUNCTION_INFO_V1(lead_grade_smaller);

static const char *const grade_names[LQ_GRADES] = {
	"F", "D-", "D", "D+", "C-", "C", "C+", "B-", "B", "B+", "A-", "A", "A+"
};

int
lq_grade_parse(const char *text)
{
	for (int code = 0; code < LQ_GRADES; code++)
	{
		if (pg_strcasecmp(text, grade_names[code]) == 0)
			return code;
	}
	return -1;
}

const char *
lq_grade_name(int code)
{
	return code >= 0 && code < LQ_GRADES ? grade_names[code] : NULL;
}

/* ----------------------------------------------------------------
 * Input and output
 * ----------------------------------------------------------------
 */

Datum
lead_grade_in(PG_FUNCTION_ARGS)
{
	char	   *text = PG_GETARG_CSTRING(0);
	int			code = lq_grade_parse(text);

	if (code < 0)
		ereturn(fcinfo->context, (Datum) 0,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("invalid input syntax for type %s: \"%s\"",
						"lead_grade", text),
				 errhint("The grades are A+, A, A-, B+, B, B-, C+, C, C-, D+, D, D-, F.")));
	PG_RETURN_INT16(code);
}

Datum
lead_grade_out(PG_FUNCTION_ARGS)
{
	int			code = PG_GETARG_INT16(0);
	const char *name = lq_grade_name(code);

	if (name == NULL)
		elog(ERROR, "invalid lead grade code: %d", code);
	PG_RETURN_CSTRING(pstrdup(name));
}

Datum
lead_grade_recv(PG_FUNCTION_ARGS)
{
	StringInfo	buf = (StringInfo) PG_GETARG_POINTER(0);
	int			code = (int16) pq_getmsgint(buf, sizeof(int16));

	if (lq_grade_name(code) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("invalid code %d in external \"%s\" value",
						code, "lead_grade"),
				 errhint("The codes are 0 (F) to %d (A+).", LQ_GRADES - 1)));
	PG_RETURN_INT16(code);
}

Datum
lead_grade_send(PG_FUNCTION_ARGS)
{
	StringInfoData buf;

	pq_begintypsend(&buf);
	pq_sendint16(&buf, PG_GETARG_INT16(0));
	PG_RETURN_BYTEA_P(pq_endtypsend(&buf));
}

/* ----------------------------------------------------------------
 * Comparison
 * ----------------------------------------------------------------
 */

Datum
lead_grade_lt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(PG_GETARG_INT16(0) < PG_GETARG_INT16(1));
}

Datum
lead_grade_le(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(PG_GETARG_INT16(0) <= PG_GETARG_INT16(1));
}

Datum
lead_grade_eq(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(PG_GETARG_INT16(0) == PG_GETARG_INT16(1));
}

Datum
lead_grade_ne(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(PG_GETARG_INT16(0) != PG_GETARG_INT16(1));
}

Datum
lead_grade_ge(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(PG_GETARG_INT16(0) >= PG_GETARG_INT16(1));
}

Datum
lead_grade_gt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(PG_GETARG_INT16(0) > PG_GETARG_INT16(1));
}

Datum
lead_grade_cmp(PG_FUNCTION_ARGS)
{
	int			a = PG_GETARG_INT16(0);
	int			b = PG_GETARG_INT16(1);

	PG_RETURN_INT32((a > b) - (a < b));
}

Datum
lead_grade_hash(PG_FUNCTION_ARGS)
{
	return hash_uint32((uint32) PG_GETARG_INT16(0));
}

Datum
lead_grade_hash_extended(PG_FUNCTION_ARGS)
{
	return hash_uint32_extended((uint32) PG_GETARG_INT16(0),
								PG_GETARG_INT64(1));
}

Datum
lead_grade_larger(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT16(Max(PG_GETARG_INT16(0), PG_GETARG_INT16(1)));
}

Datum
lead_grade_smaller(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT16(Min(PG_GETARG_INT16(0), PG_GETARG_INT16(1)));
}
