/*
 * person.c
 *		What merge_leads() and erase_lead() share: a person is one, however
 *		many pipelines look at him, so both work on every pipeline of the
 *		leads table.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "person.h"
#include "sql.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"

/* text of a lead's key, which is of any type */
char *
lq_person_argument(FunctionCallInfo fcinfo, int arg, const char *name)
{
	lq_argument_needed(fcinfo, arg, name);
	return lq_argument_text(fcinfo, arg);
}

/* the pipeline that the first argument names; its owner's rights are needed */
LqPipeline *
lq_person_pipeline(FunctionCallInfo fcinfo, const char *verb)
{
	lq_argument_needed(fcinfo, 0, "pipeline");
	return lq_pipeline_for_owner(text_to_cstring(PG_GETARG_TEXT_PP(0)), verb);
}

void
lq_person_unknown(const LqPipeline *p, const char *lead)
{
	ereport(ERROR,
			(errcode(ERRCODE_NO_DATA_FOUND),
			 errmsg("lead \"%s\" is not in %s", lead, lq_leads_name(p)),
			 errhint("A lead is named by its \"%s\".", p->lead_key)));
}

/*
 * The pipelines of this one's leads table, this one first, locked against
 * publish.  What is out of order is left out, but not this one.  SPI is
 * connected and the user is the leads owner.
 */
List *
lq_person_pipelines(LqPipeline *named, MemoryContext cxt)
{
	List	   *pipelines = NIL;
	List	   *names = NIL;
	ListCell   *lc;
	uint64		n = lq_run("SELECT p.pipeline FROM lead_qualify.pipeline AS p "
						   "WHERE p.leads_schema = %L AND p.leads_table = %L "
						   "ORDER BY p.pipeline <> %L, p.pipeline",
						   named->leads_schema, named->leads_table, named->name);
	MemoryContext old = MemoryContextSwitchTo(cxt);

	for (uint64 i = 0; i < n; i++)
		names = lappend(names, lq_field_text(i, 1, cxt));
	foreach(lc, names)
	{
		LqPipeline *p = lq_pipeline_get(lfirst(lc), false);

		/* half a person is not forgotten, nor merged */
		lq_pipeline_check(p);
		lq_pipeline_lock(p);
		p = lq_pipeline_get(lfirst(lc), false);
		lq_pipeline_check(p);
		pipelines = lappend(pipelines, p);
	}
	MemoryContextSwitchTo(old);
	return pipelines;
}

/*
 * The key that a lead of the named pipeline has in another one, which may go
 * by another column; false: none.  SPI is connected.
 */
bool
lq_person_key(const LqPipeline *named, Datum key, const LqPipeline *p, MemoryContext cxt,
			  Datum *result)
{
	bool		isnull = true;
	Oid			type = named->key_type;
	MemoryContext old;

	if (lq_execute(lq_format("SELECT l.%I FROM %s AS l WHERE l.%I = $1", p->lead_key,
							 lq_leads_name(p), named->lead_key), 1, &type, &key) > 0)
		*result = lq_field(0, 1, &isnull);
	if (isnull)
		return false;
	old = MemoryContextSwitchTo(cxt);
	*result = datumCopy(*result, p->key_byval, p->key_len);
	MemoryContextSwitchTo(old);
	return true;
}
