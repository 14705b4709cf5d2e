/*
 * assessment_type.c
 *		SQL type assessment: its functions, operators and index support.
 *
 * The value is described in assessment.c.  It is toastable; arguments are
 * detoasted but never copied for alignment.
 *
 * On the wire a value is a version byte, the number of answers in two bytes,
 * and for each answer a byte with its level, two bytes with the length of
 * its name and the name in the client's encoding.  What comes in is trusted
 * no more than text is: names are folded as in text, because their canonical
 * form and order depend on the encoding, and the order may be any.
 *
 * The order of assessments is of use for indexes, DISTINCT and merge joins
 * only: fewer answers first, then byte by byte.
 */
#include "postgres.h"

#include "access/gin.h"
#include "access/stratnum.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "fmgr.h"
#include "funcapi.h"
#include "libpq/pqformat.h"
#include "mb/pg_wchar.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/tuplestore.h"

#include "compat.h"
#include "assessment_internal.h"

#define WIRE_VERSION 1

PG_FUNCTION_INFO_V1(assessment_in);
PG_FUNCTION_INFO_V1(assessment_out);
PG_FUNCTION_INFO_V1(assessment_recv);
PG_FUNCTION_INFO_V1(assessment_send);
PG_FUNCTION_INFO_V1(assessment_lt);
PG_FUNCTION_INFO_V1(assessment_le);
PG_FUNCTION_INFO_V1(assessment_eq);
PG_FUNCTION_INFO_V1(assessment_ne);
PG_FUNCTION_INFO_V1(assessment_ge);
PG_FUNCTION_INFO_V1(assessment_gt);
PG_FUNCTION_INFO_V1(assessment_cmp);
PG_FUNCTION_INFO_V1(assessment_hash);
PG_FUNCTION_INFO_V1(assessment_hash_extended);
PG_FUNCTION_INFO_V1(assessment_level);
PG_FUNCTION_INFO_V1(assessment_concat);
PG_FUNCTION_INFO_V1(assessment_remove);
PG_FUNCTION_INFO_V1(assessment_contains);
PG_FUNCTION_INFO_V1(assessment_contained);
PG_FUNCTION_INFO_V1(assessment_to_jsonb);
PG_FUNCTION_INFO_V1(assessment_from_jsonb);
PG_FUNCTION_INFO_V1(assessment_from_text);
PG_FUNCTION_INFO_V1(assessment_from_arrays);
PG_FUNCTION_INFO_V1(assessment_answers);
PG_FUNCTION_INFO_V1(assessment_gin_extract_value);
PG_FUNCTION_INFO_V1(assessment_gin_extract_query);
PG_FUNCTION_INFO_V1(assessment_gin_consistent);
PG_FUNCTION_INFO_V1(assessment_gin_triconsistent);
PG_FUNCTION_INFO_V1(criterion_name);

#define GETARG_ASSESSMENT(n) ((LqAssessment *) PG_GETARG_VARLENA_PP(n))

/* ----------------------------------------------------------------
 * Input and output
 * ----------------------------------------------------------------
 */

Datum
assessment_in(PG_FUNCTION_ARGS)
{
	LqAssessment *result = lq_assessment_read(PG_GETARG_CSTRING(0),
											  fcinfo->context);

	if (result == NULL)
		PG_RETURN_NULL();		/* a soft error was reported */
	PG_RETURN_POINTER(result);
}

Datum
assessment_out(PG_FUNCTION_ARGS)
{
	PG_RETURN_CSTRING(lq_assessment_text(GETARG_ASSESSMENT(0)));
}

Datum
assessment_recv(PG_FUNCTION_ARGS)
{
	StringInfo	buf = (StringInfo) PG_GETARG_POINTER(0);
	int			version = pq_getmsgbyte(buf);
	int			count;
	LqAnswerList list;

	if (version != WIRE_VERSION)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("unsupported version %d of external \"%s\" value",
						version, "assessment")));

	lq_answer_list_init(&list);
	count = pq_getmsgint(buf, 2);
	for (int i = 0; i < count; i++)
	{
		LqLevelInput level = {0};
		char	   *name;
		int			len;

		level.number = pq_getmsgbyte(buf);
		if (lq_level_name(level.number) == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
					 errmsg("invalid level %d in external \"%s\" value",
							level.number, "assessment")));
		len = pq_getmsgint(buf, 2);
		name = pq_getmsgtext(buf, len, &len);
		lq_answer_list_add(&list, name, len, &level, NULL);
		pfree(name);
	}
	PG_RETURN_POINTER(lq_answer_list_pack(&list, NULL));
}

Datum
assessment_send(PG_FUNCTION_ARGS)
{
	LqAssessment *assessment = GETARG_ASSESSMENT(0);
	StringInfoData buf;
	LqAnswerScan scan;
	LqAnswer	answer;

	pq_begintypsend(&buf);
	pq_sendbyte(&buf, WIRE_VERSION);
	pq_sendint16(&buf, lq_assessment_count(assessment));
	lq_answers_begin(assessment, &scan);
	while (lq_answers_next(&scan, &answer))
	{
		char	   *name = pg_server_to_client(answer.criterion, answer.len);
		int			len = answer.len;

		/* only a converted name is a terminated string of its own */
		if (name != answer.criterion)
			len = strlen(name);
		pq_sendbyte(&buf, answer.level);
		pq_sendint16(&buf, len);
		pq_sendbytes(&buf, name, len);
		if (name != answer.criterion)
			pfree(name);
	}
	PG_RETURN_BYTEA_P(pq_endtypsend(&buf));
}

/* ----------------------------------------------------------------
 * Comparison
 * ----------------------------------------------------------------
 */

static int
compare_arguments(FunctionCallInfo fcinfo)
{
	LqAssessment *a = GETARG_ASSESSMENT(0);
	LqAssessment *b = GETARG_ASSESSMENT(1);
	Size		a_len = VARSIZE_ANY_EXHDR(a);
	Size		b_len = VARSIZE_ANY_EXHDR(b);
	int			order;

	/* the number of answers comes first in the bytes */
	order = memcmp(VARDATA_ANY(a), VARDATA_ANY(b), Min(a_len, b_len));
	if (order == 0)
		order = (a_len > b_len) - (a_len < b_len);
	PG_FREE_IF_COPY(a, 0);
	PG_FREE_IF_COPY(b, 1);
	return order;
}

static bool
arguments_equal(FunctionCallInfo fcinfo)
{
	LqAssessment *a = GETARG_ASSESSMENT(0);
	LqAssessment *b = GETARG_ASSESSMENT(1);
	bool		equal = lq_assessment_equal(a, b);

	PG_FREE_IF_COPY(a, 0);
	PG_FREE_IF_COPY(b, 1);
	return equal;
}

Datum
assessment_lt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_arguments(fcinfo) < 0);
}

Datum
assessment_le(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_arguments(fcinfo) <= 0);
}

Datum
assessment_eq(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(arguments_equal(fcinfo));
}

Datum
assessment_ne(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(!arguments_equal(fcinfo));
}

Datum
assessment_ge(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_arguments(fcinfo) >= 0);
}

Datum
assessment_gt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_arguments(fcinfo) > 0);
}

Datum
assessment_cmp(PG_FUNCTION_ARGS)
{
	int			order = compare_arguments(fcinfo);

	PG_RETURN_INT32((order > 0) - (order < 0));
}

Datum
assessment_hash(PG_FUNCTION_ARGS)
{
	LqAssessment *assessment = GETARG_ASSESSMENT(0);
	Datum		hash = hash_any((unsigned char *) VARDATA_ANY(assessment),
								VARSIZE_ANY_EXHDR(assessment));

	PG_FREE_IF_COPY(assessment, 0);
	return hash;
}

Datum
assessment_hash_extended(PG_FUNCTION_ARGS)
{
	LqAssessment *assessment = GETARG_ASSESSMENT(0);
	Datum		hash = hash_any_extended((unsigned char *) VARDATA_ANY(assessment),
										 VARSIZE_ANY_EXHDR(assessment),
										 PG_GETARG_INT64(1));

	PG_FREE_IF_COPY(assessment, 0);
	return hash;
}

/* ----------------------------------------------------------------
 * Operators
 * ----------------------------------------------------------------
 */

/* canonical name of a criterion that is given as text */
static char *
fold_text(Datum name)
{
	text	   *value = DatumGetTextPP(name);

	return lq_criterion_fold(VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value));
}

Datum
assessment_level(PG_FUNCTION_ARGS)
{
	LqAssessment *assessment = GETARG_ASSESSMENT(0);
	text	   *name = PG_GETARG_TEXT_PP(1);
	int			level = lq_assessment_level(assessment, VARDATA_ANY(name),
											VARSIZE_ANY_EXHDR(name));

	/* names in a value are canonical: only what is not there needs folding */
	if (level == LQ_UNKNOWN)
	{
		char	   *criterion = lq_criterion_fold(VARDATA_ANY(name),
												  VARSIZE_ANY_EXHDR(name));

		level = lq_assessment_level(assessment, criterion, strlen(criterion));
		pfree(criterion);
	}
	PG_FREE_IF_COPY(assessment, 0);
	if (level == LQ_UNKNOWN)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(lq_level_name(level)));
}

Datum
assessment_concat(PG_FUNCTION_ARGS)
{
	PG_RETURN_POINTER(lq_assessment_concat(GETARG_ASSESSMENT(0),
										   GETARG_ASSESSMENT(1)));
}

Datum
assessment_remove(PG_FUNCTION_ARGS)
{
	char	   *criterion = fold_text(PG_GETARG_DATUM(1));

	PG_RETURN_POINTER(lq_assessment_remove(GETARG_ASSESSMENT(0), criterion,
										   strlen(criterion)));
}

/*
 * Are all the answers of "part" in "whole"?  Both are in order, so one pass
 * will do.
 */
static bool
contains(const LqAssessment *whole, const LqAssessment *part)
{
	LqAnswerScan whole_scan;
	LqAnswerScan part_scan;
	LqAnswer	wanted;
	LqAnswer	found;

	lq_answers_begin(whole, &whole_scan);
	lq_answers_begin(part, &part_scan);
	while (lq_answers_next(&part_scan, &wanted))
	{
		do
		{
			if (part_scan.left >= whole_scan.left ||
				!lq_answers_next(&whole_scan, &found))
				return false;
		} while (found.len != wanted.len ||
				 memcmp(found.criterion, wanted.criterion, wanted.len) != 0);
		if (found.level != wanted.level)
			return false;
	}
	return true;
}

Datum
assessment_contains(PG_FUNCTION_ARGS)
{
	LqAssessment *whole = GETARG_ASSESSMENT(0);
	LqAssessment *part = GETARG_ASSESSMENT(1);
	bool		result = contains(whole, part);

	PG_FREE_IF_COPY(whole, 0);
	PG_FREE_IF_COPY(part, 1);
	PG_RETURN_BOOL(result);
}

Datum
assessment_contained(PG_FUNCTION_ARGS)
{
	LqAssessment *part = GETARG_ASSESSMENT(0);
	LqAssessment *whole = GETARG_ASSESSMENT(1);
	bool		result = contains(whole, part);

	PG_FREE_IF_COPY(part, 0);
	PG_FREE_IF_COPY(whole, 1);
	PG_RETURN_BOOL(result);
}

/* ----------------------------------------------------------------
 * Conversion
 * ----------------------------------------------------------------
 */

Datum
assessment_to_jsonb(PG_FUNCTION_ARGS)
{
	LqAssessment *assessment = GETARG_ASSESSMENT(0);
	JsonbParseState *state = NULL;
	JsonbValue *object;
	LqAnswerScan scan;
	LqAnswer	answer;

	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	lq_answers_begin(assessment, &scan);
	while (lq_answers_next(&scan, &answer))
	{
		JsonbValue	key;
		JsonbValue	value;

		key.type = jbvString;
		key.val.string.val = (char *) answer.criterion;
		key.val.string.len = answer.len;
		pushJsonbValue(&state, WJB_KEY, &key);
		value.type = jbvString;
		value.val.string.val = (char *) lq_level_name(answer.level);
		value.val.string.len = strlen(value.val.string.val);
		pushJsonbValue(&state, WJB_VALUE, &value);
	}
	object = pushJsonbValue(&state, WJB_END_OBJECT, NULL);
	PG_RETURN_JSONB_P(JsonbValueToJsonb(object));
}

/* the level that a number is, however it is written, else LQ_UNKNOWN */
static int
level_of_number(Numeric number)
{
	for (int level = 0; level <= LQ_LEVEL_YES; level++)
	{
		Datum		wanted = DirectFunctionCall1(int4_numeric,
												 Int32GetDatum(level));

		if (DatumGetBool(DirectFunctionCall2(numeric_eq, wanted,
											 NumericGetDatum(number))))
			return level;
	}
	return LQ_UNKNOWN;
}

/* what is no level at all is left as text, for the error message */
static void
level_of_json(JsonbValue *value, LqLevelInput *level)
{
	Jsonb	   *json;

	switch (value->type)
	{
		case jbvBool:
			level->number = value->val.boolean ? LQ_LEVEL_YES : 0;
			return;
		case jbvString:
			level->text = value->val.string.val;
			level->len = value->val.string.len;
			return;
		case jbvNumeric:
			level->number = level_of_number(value->val.numeric);
			if (level->number != LQ_UNKNOWN)
				return;
			break;
		default:
			break;
	}
	json = JsonbValueToJsonb(value);
	level->text = JsonbToCString(NULL, &json->root, VARSIZE(json));
	level->len = strlen(level->text);
}

Datum
assessment_from_jsonb(PG_FUNCTION_ARGS)
{
	Jsonb	   *json = PG_GETARG_JSONB_P(0);
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue	value;
	LqAnswerList list;
	char	   *key = NULL;
	int			key_len = 0;

	if (!JB_ROOT_IS_OBJECT(json))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("cannot convert JSON to type %s", "assessment"),
				 errdetail("It is not an object."),
				 errhint("Write it as {\"budget\": \"yes\", \"authority\": \"partial\"}.")));

	lq_answer_list_init(&list);
	iterator = JsonbIteratorInit(&json->root);
	token = JsonbIteratorNext(&iterator, &value, false);
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		LqLevelInput level = {0};

		if (token == WJB_KEY)
		{
			key = value.val.string.val;
			key_len = value.val.string.len;
		}
		else if (token != WJB_VALUE)
			continue;
		else if (value.type == jbvNull)
			pfree(lq_criterion_fold(key, key_len)); /* must be a name */
		else
		{
			level_of_json(&value, &level);
			lq_answer_list_add(&list, key, key_len, &level, NULL);
		}
	}
	PG_RETURN_POINTER(lq_answer_list_pack(&list, NULL));
}

static void
add_texts(LqAnswerList *list, Datum criterion, Datum level)
{
	text	   *name = DatumGetTextPP(criterion);
	text	   *level_text = DatumGetTextPP(level);
	LqLevelInput input = {0};

	input.text = VARDATA_ANY(level_text);
	input.len = VARSIZE_ANY_EXHDR(level_text);
	lq_answer_list_add(list, VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name),
					   &input, NULL);
}

Datum
assessment_from_text(PG_FUNCTION_ARGS)
{
	LqAnswerList list;

	lq_answer_list_init(&list);
	add_texts(&list, PG_GETARG_DATUM(0), PG_GETARG_DATUM(1));
	PG_RETURN_POINTER(lq_answer_list_pack(&list, NULL));
}

Datum
assessment_from_arrays(PG_FUNCTION_ARGS)
{
	ArrayType  *criteria = PG_GETARG_ARRAYTYPE_P(0);
	ArrayType  *levels = PG_GETARG_ARRAYTYPE_P(1);
	Datum	   *names;
	Datum	   *texts;
	bool	   *no_name;
	bool	   *no_level;
	int			nnames;
	int			ntexts;
	LqAnswerList list;

	if (ARR_NDIM(criteria) > 1 || ARR_NDIM(levels) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("criteria and levels must be one-dimensional arrays")));
	deconstruct_array(criteria, TEXTOID, -1, false, TYPALIGN_INT,
					  &names, &no_name, &nnames);
	deconstruct_array(levels, TEXTOID, -1, false, TYPALIGN_INT,
					  &texts, &no_level, &ntexts);
	if (nnames != ntexts)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("there must be as many levels as criteria"),
				 errdetail("There are %d criteria and %d levels.",
						   nnames, ntexts)));

	lq_answer_list_init(&list);
	for (int i = 0; i < nnames; i++)
	{
		if (no_name[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("criterion name must not be null")));
		if (no_level[i])
			pfree(fold_text(names[i]));	/* must be a name */
		else
			add_texts(&list, names[i], texts[i]);
	}
	PG_RETURN_POINTER(lq_answer_list_pack(&list, NULL));
}

Datum
assessment_answers(PG_FUNCTION_ARGS)
{
	LqAssessment *assessment = GETARG_ASSESSMENT(0);
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	LqAnswerScan scan;
	LqAnswer	answer;

	InitMaterializedSRF(fcinfo, 0);
	lq_answers_begin(assessment, &scan);
	while (lq_answers_next(&scan, &answer))
	{
		Datum		values[3];
		bool		nulls[3] = {0};

		values[0] = PointerGetDatum(cstring_to_text_with_len(answer.criterion,
															 answer.len));
		values[1] = CStringGetTextDatum(lq_level_name(answer.level));
		values[2] = Int32GetDatum(answer.level);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc,
							 values, nulls);
	}
	return (Datum) 0;
}

Datum
criterion_name(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(fold_text(PG_GETARG_DATUM(0))));
}

/* ----------------------------------------------------------------
 * GIN: one key for each answer, the level and the name as bytea.  A key says
 * all there is to an answer, so @> needs no recheck.
 * ----------------------------------------------------------------
 */

static Datum *
answer_keys(const LqAssessment *assessment, int32 *nkeys)
{
	Datum	   *keys;
	LqAnswerScan scan;
	LqAnswer	answer;
	int			n = 0;

	keys = palloc(sizeof(Datum) * Max(lq_assessment_count(assessment), 1));
	lq_answers_begin(assessment, &scan);
	while (lq_answers_next(&scan, &answer))
	{
		bytea	   *key = palloc(VARHDRSZ + 1 + answer.len);

		SET_VARSIZE(key, VARHDRSZ + 1 + answer.len);
		VARDATA(key)[0] = (char) answer.level;
		memcpy(VARDATA(key) + 1, answer.criterion, answer.len);
		keys[n++] = PointerGetDatum(key);
	}
	*nkeys = n;
	return keys;
}

Datum
assessment_gin_extract_value(PG_FUNCTION_ARGS)
{
	int32	   *nkeys = (int32 *) PG_GETARG_POINTER(1);

	PG_RETURN_POINTER(answer_keys(GETARG_ASSESSMENT(0), nkeys));
}

Datum
assessment_gin_extract_query(PG_FUNCTION_ARGS)
{
	int32	   *nkeys = (int32 *) PG_GETARG_POINTER(1);
	StrategyNumber strategy = PG_GETARG_UINT16(2);
	int32	   *search_mode = (int32 *) PG_GETARG_POINTER(6);
	Datum	   *keys;

	if (strategy != RTContainsStrategyNumber)
		elog(ERROR, "unrecognized strategy number: %d", strategy);
	keys = answer_keys(GETARG_ASSESSMENT(0), nkeys);
	/* every assessment contains the empty one */
	if (*nkeys == 0)
		*search_mode = GIN_SEARCH_MODE_ALL;
	PG_RETURN_POINTER(keys);
}

Datum
assessment_gin_consistent(PG_FUNCTION_ARGS)
{
	bool	   *check = (bool *) PG_GETARG_POINTER(0);
	int32		nkeys = PG_GETARG_INT32(3);
	bool	   *recheck = (bool *) PG_GETARG_POINTER(5);

	*recheck = false;
	for (int i = 0; i < nkeys; i++)
	{
		if (!check[i])
			PG_RETURN_BOOL(false);
	}
	PG_RETURN_BOOL(true);
}

Datum
assessment_gin_triconsistent(PG_FUNCTION_ARGS)
{
	GinTernaryValue *check = (GinTernaryValue *) PG_GETARG_POINTER(0);
	int32		nkeys = PG_GETARG_INT32(3);
	GinTernaryValue result = GIN_TRUE;

	for (int i = 0; i < nkeys; i++)
	{
		if (check[i] == GIN_FALSE)
			PG_RETURN_GIN_TERNARY_VALUE(GIN_FALSE);
		if (check[i] == GIN_MAYBE)
			result = GIN_MAYBE;
	}
	PG_RETURN_GIN_TERNARY_VALUE(result);
}
