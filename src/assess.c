/*
 * assess.c
 *		assess() and its kin: frameworks for SQL.
 *
 * A scan asks about the same framework in every row, so each call site keeps
 * the one it found, until the tables change.
 */
#include "postgres.h"

#include "assessment.h"
#include "catalog/pg_type.h"
#include "compat.h"
#include "fmgr.h"
#include "framework.h"
#include "framework_table.h"
#include "funcapi.h"
#include "lead_qualify.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

PG_FUNCTION_INFO_V1(lq_assess);
PG_FUNCTION_INFO_V1(lq_assess_all);
PG_FUNCTION_INFO_V1(lq_is_qualified);
PG_FUNCTION_INFO_V1(lq_framework_score);
PG_FUNCTION_INFO_V1(lq_next_question);
PG_FUNCTION_INFO_V1(lq_missing_criteria);
PG_FUNCTION_INFO_V1(lq_framework_definition);

/* columns of a row of assess() */
enum
{
	COL_FRAMEWORK, COL_QUALIFIED, COL_SCORE, COL_SCORE_MAX, COL_COVERAGE,
	COL_MET, COL_UNMET, COL_UNKNOWN, COL_NEXT_CRITERION, COL_NEXT_QUESTION,
	NCOLUMNS
};

/* what a call site remembers */
typedef struct Site
{
	const LqFramework *framework;
	uint64		generation;		/* framework is valid in this one only */
	int			len;
	char		name[NAMEDATALEN];	/* as the caller spelled it */
	TupleDesc	tupdesc;		/* of assess() */
} Site;

/* which criteria a list is made of */
#define LIST_MET		(1 << LQ_MET)
#define LIST_UNMET		(1 << LQ_UNMET)
#define LIST_UNKNOWN	(1 << LQ_NOT_ANSWERED)

static Site *
call_site(FunctionCallInfo fcinfo)
{
	if (fcinfo->flinfo->fn_extra == NULL)
		fcinfo->flinfo->fn_extra =
			MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(Site));
	return fcinfo->flinfo->fn_extra;
}

static const LqFramework *
site_find(Site *site, const char *name, int len)
{
	const LqFramework *framework = lq_framework_get(name, len, false);

	/* no framework has a longer name, so that this is only for safety */
	if (len < NAMEDATALEN)
	{
		memcpy(site->name, name, len);
		site->len = len;
		site->framework = framework;
		site->generation = lq_framework_generation();
	}
	return framework;
}

static inline const LqFramework *
site_framework(FunctionCallInfo fcinfo, Site *site, int argument)
{
	text	   *name = PG_GETARG_TEXT_PP(argument);
	int			len = VARSIZE_ANY_EXHDR(name);

	if (site->generation == lq_framework_generation() && site->len == len &&
		memcmp(site->name, VARDATA_ANY(name), len) == 0)
		return site->framework;
	return site_find(site, VARDATA_ANY(name), len);
}

static const LqAssessment *
assessment_arg(FunctionCallInfo fcinfo)
{
	return (const LqAssessment *) PG_GETARG_VARLENA_PP(0);
}

/* ----------------------------------------------------------------
 * Parts of a result
 * ----------------------------------------------------------------
 */

/* names of the criteria of those kinds, in the framework's order */
static Datum
criteria_list(const LqFramework *framework, const LqAssessment *assessment,
			  int kinds)
{
	Datum	   *names = palloc(framework->ncriteria * sizeof(Datum));
	int			n = 0;

	for (int i = 0; i < framework->ncriteria; i++)
	{
		const LqCriterion *criterion = &framework->criteria[i];
		int			level = lq_assessment_level(assessment, criterion->name,
												criterion->len);

		if ((kinds & (1 << lq_criterion_standing(criterion, level))) != 0)
			names[n++] = PointerGetDatum(cstring_to_text_with_len(criterion->name,
																  criterion->len));
	}
	return PointerGetDatum(construct_array(names, n, TEXTOID, -1, false,
										   TYPALIGN_INT));
}

/* the question about the first unknown criterion, NULL if there is none */
static const char *
next_question(const LqFramework *framework, const LqVerdict *verdict,
			  const char *language, int len)
{
	return verdict->next < 0 ? NULL :
		lq_framework_question(&framework->criteria[verdict->next], language, len);
}

static void
fill_row(const LqFramework *framework, const LqAssessment *assessment,
		 Datum *values, bool *nulls)
{
	LqVerdict	verdict;
	const char *question;

	lq_framework_assess(framework, assessment, &verdict);
	question = next_question(framework, &verdict, lq_language,
							 strlen(lq_language));

	memset(nulls, 0, NCOLUMNS * sizeof(bool));
	values[COL_FRAMEWORK] = CStringGetTextDatum(framework->name);
	values[COL_QUALIFIED] = BoolGetDatum(verdict.qualified);
	values[COL_SCORE] = Float8GetDatum(verdict.score);
	values[COL_SCORE_MAX] = Float8GetDatum(verdict.score_max);
	values[COL_COVERAGE] = Float8GetDatum(verdict.coverage);
	values[COL_MET] = criteria_list(framework, assessment, LIST_MET);
	values[COL_UNMET] = criteria_list(framework, assessment, LIST_UNMET);
	values[COL_UNKNOWN] = criteria_list(framework, assessment, LIST_UNKNOWN);
	if (verdict.next >= 0)
		values[COL_NEXT_CRITERION] =
			CStringGetTextDatum(framework->criteria[verdict.next].name);
	else
		nulls[COL_NEXT_CRITERION] = true;
	if (question != NULL)
		values[COL_NEXT_QUESTION] = CStringGetTextDatum(question);
	else
		nulls[COL_NEXT_QUESTION] = true;
}

/* ----------------------------------------------------------------
 * Functions
 * ----------------------------------------------------------------
 */

Datum
lq_assess(PG_FUNCTION_ARGS)
{
	Site	   *site = call_site(fcinfo);
	Datum		values[NCOLUMNS];
	bool		nulls[NCOLUMNS];

	if (site->tupdesc == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);
		TupleDesc	tupdesc;

		if (get_call_result_type(fcinfo, NULL, &tupdesc) != TYPEFUNC_COMPOSITE ||
			tupdesc->natts != NCOLUMNS)
			elog(ERROR, "assess() must return a row of %d columns", NCOLUMNS);
		site->tupdesc = BlessTupleDesc(CreateTupleDescCopy(tupdesc));
		MemoryContextSwitchTo(old);
	}
	fill_row(site_framework(fcinfo, site, 1), assessment_arg(fcinfo), values,
			 nulls);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(site->tupdesc, values, nulls)));
}

Datum
lq_assess_all(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	const LqAssessment *assessment = assessment_arg(fcinfo);
	ListCell   *lc;

	InitMaterializedSRF(fcinfo, 0);
	if (rsinfo->setDesc->natts != NCOLUMNS)
		elog(ERROR, "assess_all() must return rows of %d columns", NCOLUMNS);
	foreach(lc, lq_framework_list())
	{
		Datum		values[NCOLUMNS];
		bool		nulls[NCOLUMNS];

		fill_row(lfirst(lc), assessment, values, nulls);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}

Datum
lq_is_qualified(PG_FUNCTION_ARGS)
{
	const LqFramework *framework = site_framework(fcinfo, call_site(fcinfo), 1);

	PG_RETURN_BOOL(lq_framework_qualified(framework, assessment_arg(fcinfo)));
}

Datum
lq_framework_score(PG_FUNCTION_ARGS)
{
	const LqFramework *framework = site_framework(fcinfo, call_site(fcinfo), 1);
	LqVerdict	verdict;

	lq_framework_assess(framework, assessment_arg(fcinfo), &verdict);
	PG_RETURN_FLOAT8(verdict.score);
}

Datum
lq_next_question(PG_FUNCTION_ARGS)
{
	const LqFramework *framework = site_framework(fcinfo, call_site(fcinfo), 1);
	text	   *language = PG_GETARG_TEXT_PP(2);
	const char *question;
	LqVerdict	verdict;

	lq_framework_assess(framework, assessment_arg(fcinfo), &verdict);
	question = next_question(framework, &verdict, VARDATA_ANY(language),
							 VARSIZE_ANY_EXHDR(language));
	if (question == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(question));
}

Datum
lq_missing_criteria(PG_FUNCTION_ARGS)
{
	const LqFramework *framework = site_framework(fcinfo, call_site(fcinfo), 1);

	return criteria_list(framework, assessment_arg(fcinfo),
						 LIST_UNMET | LIST_UNKNOWN);
}

Datum
lq_framework_definition(PG_FUNCTION_ARGS)
{
	text	   *name = PG_GETARG_TEXT_PP(0);
	const LqFramework *framework = lq_framework_get(VARDATA_ANY(name),
													VARSIZE_ANY_EXHDR(name), true);
	StringInfoData buf;

	if (framework == NULL)
		PG_RETURN_NULL();
	initStringInfo(&buf);
	lq_framework_json(framework, &buf);
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(buf.data));
}
