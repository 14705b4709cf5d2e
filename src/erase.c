/*
 * erase.c
 *		erase_lead(): a person who is to be forgotten.
 *
 * What stands beside the leads table goes as it does when a lead is deleted;
 * the application's own rows are its own business.  As long as the leads row
 * is there, a note in place of the state keeps the lead from beginning anew.
 */
#include "postgres.h"

#include "fmgr.h"
#include "live.h"
#include "nodes/value.h"
#include "person.h"
#include "sql.h"

/* is the lead there?  locks it */
static bool
lead_exists(LqPipeline *p, Datum key)
{
	LqCases    *cases = lq_cases_create(p, &key, 1);
	bool		exists;

	lq_cases_lock(cases);
	exists = cases->cases[0].exists;
	lq_cases_close(cases);
	return exists;
}

/*
 * Forget the person in one pipeline.  As long as the leads row is there a
 * note of the erasure stands in place of the state, or the lead would begin
 * anew at its next activity and be counted again.
 */
static uint64
erase(LqPipeline *p, Datum key, bool exists)
{
	uint64		rows = lq_lead_forget(p, key);

	if (exists)
		(void) lq_execute(lq_format("INSERT INTO %s (lead, excluded) VALUES ($1, '" LQ_ERASED "')",
									lq_side_name(p, "qualification")), 1, &p->key_type, &key);
	return rows;
}

/* the activity tables of some pipelines, each once, for a message */
static char *
tables_text(List *pipelines)
{
	StringInfoData text;
	List	   *names = NIL;
	ListCell   *lc;

	initStringInfo(&text);
	foreach(lc, pipelines)
	{
		LqPipeline *p = lfirst(lc);

		for (int i = 0; i < p->nsources; i++)
			names = list_append_unique(names, makeString(p->sources[i].name));
	}
	foreach(lc, names)
		appendStringInfo(&text, "%s%s", text.len > 0 ? ", " : "", strVal(lfirst(lc)));
	return text.data;
}

/* what is not ours to erase */
static void
say_what_is_left(List *pipelines, const char *lead, bool exists)
{
	LqPipeline *p = linitial(pipelines);
	char	   *tables = tables_text(pipelines);

	ereport(NOTICE,
			(errmsg("lead \"%s\" is erased from what lead_qualify keeps beside %s", lead,
					lq_leads_name(p)),
			 exists ? errdetail("The row in %s and the activities in %s are as they were; they are not scored any more.",
								lq_leads_name(p), tables) :
			 errdetail("Activities in %s are as they were.", tables),
			 errhint("Delete or anonymise them, and other tables' rows about the person; backups, archived WAL and replicas keep what they have until they are replaced.")));
}

PG_FUNCTION_INFO_V1(lq_erase_lead);

/*
 * erase_lead(pipeline text, lead anycompatible)
 */
Datum
lq_erase_lead(PG_FUNCTION_ARGS)
{
	LqPipeline *p;
	char	   *name;
	Datum		key;
	LqUser		user;
	List	   *pipelines;
	ListCell   *lc;
	bool		exists;
	uint64		rows = 0;
	MemoryContext cxt = CurrentMemoryContext;

	p = lq_person_pipeline(fcinfo, "erase leads of");
	name = lq_person_argument(fcinfo, 1, "lead");
	key = lq_key_parse(p, name);
	lq_become(&user, p->owner);
	SPI_connect();
	pipelines = lq_person_pipelines(p, cxt);
	p = linitial(pipelines);
	exists = lead_exists(p, key);
	foreach(lc, pipelines)
	{
		LqPipeline *other = lfirst(lc);
		Datum		other_key = key;

		if (other == p || lq_person_key(p, key, other, cxt, &other_key))
			rows += erase(other, other_key, exists);
	}
	if (!exists && rows == 0)
		lq_person_unknown(p, name);
	say_what_is_left(pipelines, name, exists);
	SPI_finish();
	lq_return(&user);
	PG_RETURN_VOID();
}
