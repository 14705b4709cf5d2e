/*
 * answer.c
 *		answer() and withdraw(): rows of <leads>_answers, written with the
 *		caller's rights.  The trigger on that table does the rest, as it does
 *		for rows that an application inserts itself.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "compat.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "lead_qualify.h"
#include "miscadmin.h"
#include "state.h"
#include "sql.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

/* the lead that a row is about, and the row */
typedef struct Given
{
	LqPipeline *pipeline;
	Datum		key;
	char	   *name;			/* of the lead */
	Datum		assessment;		/* 0: none */
	char	   *withdrawn;		/* NULL: none */
	TimestampTz at;
	Datum		note;			/* 0: none */
} Given;

/* arguments that both functions have: pipeline and lead, which is of any type */
static void
read_lead(FunctionCallInfo fcinfo, Given *given)
{
	lq_argument_needed(fcinfo, 0, "pipeline");
	lq_argument_needed(fcinfo, 1, "lead");
	memset(given, 0, sizeof(Given));
	given->pipeline = lq_pipeline_get(text_to_cstring(PG_GETARG_TEXT_PP(0)), false);
	lq_pipeline_check(given->pipeline);
	given->name = lq_argument_text(fcinfo, 1);
	given->key = lq_key_parse(given->pipeline, given->name);
	given->at = GetCurrentTransactionStartTimestamp();
}

/* is there such a lead, not erased?  read as its owner; SPI is connected */
static bool
lead_exists(const Given *given)
{
	LqPipeline *p = given->pipeline;
	Oid			type = p->key_type;
	Datum		key = given->key;
	LqUser		saved;

	lq_become(&saved, p->owner);
	/* locked: whoever answers at this moment has finished */
	if (SPI_execute_with_args(lq_format("SELECT FROM %s AS l WHERE l.%I = $1 AND NOT EXISTS "
										"(SELECT FROM %s AS q WHERE q.lead = $1 AND q.stage IS NULL AND q.excluded = %L) "
										"FOR NO KEY UPDATE OF l",
										lq_leads_name(p), p->lead_key,
										lq_side_name(p, "qualification"), LQ_ERASED),
							  1, &type, &key, NULL, false, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read the lead");
	lq_return(&saved);
	return SPI_processed > 0;
}

/*
 * The newest event of a lead that is not of the future: what is withdrawn now
 * comes after it.
 */
static TimestampTz
newest_event(const Given *given)
{
	LqPipeline *p = given->pipeline;
	Oid			type = p->key_type;
	Datum		key = given->key;
	LqUser		saved;

	lq_become(&saved, p->owner);
	/* with fire => 'deferred' the state does not know of all answers yet */
	if (SPI_execute_with_args(lq_format("SELECT GREATEST((SELECT q.scored_at FROM %s AS q WHERE q.lead = $1), "
										"(SELECT pg_catalog.max(a.answered_at) FROM %s AS a WHERE a.lead = $1 "
										"AND a.answered_at <= pg_catalog.clock_timestamp()))",
										lq_side_name(p, "qualification"), lq_side_name(p, "answers")),
							  1, &type, &key, NULL, false, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read the lead");
	lq_return(&saved);
	return SPI_processed == 0 ? DT_NOBEGIN : lq_field_time(0, 1, DT_NOBEGIN);
}

/* has the lead an answer to the criterion?  asked with the caller's rights */
static bool
has_answer(const Given *given)
{
	LqPipeline *p = given->pipeline;
	Oid			types[2] = {p->key_type, TEXTOID};
	Datum		values[2] = {given->key, CStringGetTextDatum(given->withdrawn)};
	LqUser		saved;

	lq_become(&saved, GetUserId());
	if (SPI_execute_with_args(lq_format("SELECT FROM %s AS q WHERE q.lead = $1 AND "
										"(q.assessment OPERATOR(lead_qualify.->) $2) IS NOT NULL "
										"UNION ALL SELECT FROM %s AS a WHERE a.lead = $1 AND "
										"(a.assessment OPERATOR(lead_qualify.->) $2) IS NOT NULL",
										lq_side_name(p, "qualification"), lq_side_name(p, "answers")),
							  2, types, values, NULL, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read the answers");
	lq_return(&saved);
	return SPI_processed > 0;
}

/* may the caller read what the lead has answered? */
static bool
may_read_answers(const LqPipeline *p)
{
	Oid			schema = get_namespace_oid(p->leads_schema, false);
	Oid			state = get_relname_relid(psprintf("%s_qualification", p->prefix), schema);

	return pg_class_aclcheck(state, GetUserId(), ACL_SELECT) == ACLCHECK_OK &&
		pg_class_aclcheck(p->answers.relid, GetUserId(), ACL_SELECT) == ACLCHECK_OK;
}

/*
 * Insert the row.  The caller's policies come first: who does not see the
 * lead learns nothing of it.
 */
static void
insert_row(const Given *given)
{
	LqPipeline *p = given->pipeline;
	Oid			types[6] = {p->key_type, lq_type_oid("assessment"), TEXTOID,
	TIMESTAMPTZOID, TEXTOID, TEXTOID};
	Datum		values[6];
	char		nulls[7] = "      ";
	LqUser		saved;

	values[0] = given->key;
	values[1] = given->assessment;
	nulls[1] = given->assessment == (Datum) 0 ? 'n' : ' ';
	values[2] = given->withdrawn == NULL ? (Datum) 0 : CStringGetTextDatum(given->withdrawn);
	nulls[2] = given->withdrawn == NULL ? 'n' : ' ';
	values[3] = TimestampTzGetDatum(given->at);
	values[4] = given->note;
	nulls[4] = given->note == (Datum) 0 ? 'n' : ' ';
	values[5] = CStringGetTextDatum(lq_actor != NULL && lq_actor[0] != '\0' ? lq_actor :
									GetUserNameFromId(GetUserId(), false));
	lq_become(&saved, GetUserId());
	/* the application's own triggers find what stands beside the leads */
	lq_set_option("search_path", psprintf("%s, pg_temp", quote_identifier(p->leads_schema)));
	if (SPI_execute_with_args(lq_format("INSERT INTO %s (lead, assessment, withdrawn, answered_at, note, answered_by) "
										"VALUES ($1, $2, $3, $4, $5, $6)",
										lq_side_name(p, "answers")),
							  6, types, values, nulls, false, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not record the answer");
	if (SPI_processed == 0)
		ereport(ERROR,
				(errcode(ERRCODE_TRIGGERED_ACTION_EXCEPTION),
				 errmsg("the answer was not recorded: a trigger on %s discarded it",
						lq_side_name(p, "answers"))));
	lq_return(&saved);
	if (!lead_exists(given))
		ereport(ERROR,
				(errcode(ERRCODE_NO_DATA_FOUND),
				 errmsg("lead \"%s\" is not in %s, or has been erased", given->name, lq_leads_name(p)),
				 errhint("A lead is named by its \"%s\".", p->lead_key)));
}

PG_FUNCTION_INFO_V1(lq_answer);

/* answer(pipeline, lead, assessment, answered_at, note) */
Datum
lq_answer(PG_FUNCTION_ARGS)
{
	Given		given;

	read_lead(fcinfo, &given);
	lq_argument_needed(fcinfo, 2, "assessment");
	lq_argument_needed(fcinfo, 3, "answered_at");
	given.assessment = PointerGetDatum(PG_GETARG_VARLENA_P(2));
	if (lq_assessment_count((LqAssessment *) DatumGetPointer(given.assessment)) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the assessment is empty: nothing was answered"),
				 errhint("Name at least one criterion, such as 'budget=yes'; withdraw() takes an answer back.")));
	given.at = PG_GETARG_TIMESTAMPTZ(3);
	if (TIMESTAMP_NOT_FINITE(given.at))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("answered_at must be finite"),
				 errhint("Pass a time, or leave it out for now().")));
	given.note = PG_ARGISNULL(4) ? (Datum) 0 : PG_GETARG_DATUM(4);
	SPI_connect();
	insert_row(&given);
	SPI_finish();
	PG_RETURN_VOID();
}

PG_FUNCTION_INFO_V1(lq_withdraw);

/*
 * withdraw(pipeline, lead, criterion): from now on, or from the newest event
 * where that was dated later.
 */
Datum
lq_withdraw(PG_FUNCTION_ARGS)
{
	Given		given;
	text	   *criterion;
	TimestampTz newest;

	read_lead(fcinfo, &given);
	lq_argument_needed(fcinfo, 2, "criterion");
	criterion = PG_GETARG_TEXT_PP(2);
	given.withdrawn = lq_criterion_fold(VARDATA_ANY(criterion), VARSIZE_ANY_EXHDR(criterion));
	SPI_connect();
	(void) lead_exists(&given);
	newest = newest_event(&given);
	given.at = Max(given.at, newest);
	if (may_read_answers(given.pipeline) && !has_answer(&given))
		ereport(NOTICE,
				(errmsg("lead \"%s\" has no answer to \"%s\"", given.name, given.withdrawn)));
	insert_row(&given);
	SPI_finish();
	PG_RETURN_VOID();
}
