/*
 * attach_columns.c
 *		Which columns of leads and activities mean what.
 *
 * A column that the caller names must exist and fit.  Otherwise the first one
 * of the usual names is taken, or what a key of the table says.  Every error
 * ends with the argument to pass and the columns that could be passed.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "attach.h"
#include "catalog/index.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "parser/parse_coerce.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/partcache.h"
#include "utils/relcache.h"

/* schema.table, quoted as needed */
char *
lq_relation_name(Relation rel)
{
	return pstrdup(quote_qualified_identifier(get_namespace_name(RelationGetNamespace(rel)),
											  RelationGetRelationName(rel)));
}

static bool
is_key_type(Oid type)
{
	return type == INT8OID || type == INT4OID || type == INT2OID ||
		type == UUIDOID || type == TEXTOID || type == VARCHAROID;
}

static bool
is_string_type(Oid type)
{
	return TypeCategory(type) == TYPCATEGORY_STRING;
}

static bool
column_fits(Oid type, LqColumnUse use, Oid key_type)
{
	Oid			base = getBaseType(type);
	Oid			function;

	switch (use)
	{
		case LQ_COLUMN_KEY:
			return is_key_type(base);
		case LQ_COLUMN_LEAD:
			if (!is_key_type(base) && !is_string_type(base) && base != NUMERICOID)
				return false;
			/* text goes through the key type's input function */
			return base == key_type || is_string_type(base) ||
				find_coercion_pathway(key_type, base, COERCION_ASSIGNMENT,
									  &function) != COERCION_PATH_NONE;
		case LQ_COLUMN_TYPE:
			return is_string_type(base) || type_is_enum(base) ||
				base == INT8OID || base == INT4OID || base == INT2OID;
		case LQ_COLUMN_TIME:
			return base == TIMESTAMPTZOID || base == TIMESTAMPOID ||
				base == DATEOID;
	}
	return false;
}

static const char *
use_description(LqColumnUse use, Oid key_type)
{
	switch (use)
	{
		case LQ_COLUMN_KEY:
			return "bigint, integer, uuid or text";
		case LQ_COLUMN_LEAD:
			return psprintf("a type that can be cast to %s", format_type_be(key_type));
		case LQ_COLUMN_TYPE:
			return "text, varchar, an enum or an integer";
		case LQ_COLUMN_TIME:
			return "timestamp with time zone, timestamp or date";
	}
	return NULL;
}

/* for DETAIL: what the caller could pass */
static char *
fitting_columns(Relation rel, LqColumnUse use, Oid key_type)
{
	TupleDesc	desc = RelationGetDescr(rel);
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (!att->attisdropped && column_fits(att->atttypid, use, key_type))
			appendStringInfo(&buf, "%s\"%s\"", buf.len > 0 ? ", " : "",
							 NameStr(att->attname));
	}
	if (buf.len == 0)
		return psprintf("No column of %s could fit: it must be %s.",
						lq_relation_name(rel), use_description(use, key_type));
	return psprintf("Columns of %s that could fit: %s.",
					lq_relation_name(rel), buf.data);
}

static Form_pg_attribute
column_get(Relation rel, const char *name)
{
	TupleDesc	desc = RelationGetDescr(rel);

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (!att->attisdropped && strcmp(NameStr(att->attname), name) == 0)
			return att;
	}
	return NULL;
}

static int
hint_argument(const char *argument)
{
	return errhint("Pass %s => 'column'.", argument);
}

static void
check_fit(Relation rel, Form_pg_attribute att, LqColumnUse use, Oid key_type,
		  const char *argument)
{
	if (!column_fits(att->atttypid, use, key_type))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" of %s cannot be %s: it is of type %s",
						NameStr(att->attname), lq_relation_name(rel), argument,
						format_type_be(att->atttypid)),
				 errdetail("It must be %s. %s", use_description(use, key_type),
						   fitting_columns(rel, use, key_type)),
				 hint_argument(argument)));
}

static char *
column_given(Relation rel, const char *given, LqColumnUse use, Oid key_type,
			 const char *argument)
{
	Form_pg_attribute att = column_get(rel, given);

	if (att == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of %s does not exist", given,
						lq_relation_name(rel)),
				 errdetail_internal("%s", fitting_columns(rel, use, key_type)),
				 hint_argument(argument)));
	check_fit(rel, att, use, key_type, argument);
	return pstrdup(given);
}

/*
 * The column given, or the first of the candidates that exists.  Without any,
 * NULL if argument is NULL, else an error.
 */
char *
lq_column_find(Relation rel, const char *given, const char *const *candidates,
			   LqColumnUse use, Oid key_type, const char *argument)
{
	if (given != NULL)
		return column_given(rel, given, use, key_type, argument);

	for (int i = 0; candidates[i] != NULL; i++)
	{
		Form_pg_attribute att = column_get(rel, candidates[i]);

		if (att == NULL)
			continue;
		if (argument == NULL)
			return column_fits(att->atttypid, use, key_type) ?
				pstrdup(candidates[i]) : NULL;
		check_fit(rel, att, use, key_type, argument);
		return pstrdup(candidates[i]);
	}
	if (argument == NULL)
		return NULL;
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_COLUMN),
			 errmsg("could not find the column of %s that is %s",
					lq_relation_name(rel), argument),
			 errdetail_internal("%s", fitting_columns(rel, use, key_type)),
			 hint_argument(argument)));
	return NULL;				/* keep compiler quiet */
}

static bool
in_partition_key(Relation rel, AttrNumber attnum)
{
	PartitionKey key;

	if (rel->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
		return false;
	key = RelationGetPartitionKey(rel);
	for (int i = 0; i < key->partnatts; i++)
		if (key->partattrs[i] == attnum)
			return true;
	return false;
}

/*
 * The one-column primary key.  In a partitioned table the primary key must
 * contain the partition key; the column beside it is meant then.
 */
static AttrNumber
primary_key_column(Relation rel)
{
	AttrNumber	found = InvalidAttrNumber;
	Relation	index;
	int			nkeys,
				nfound = 0;

	list_free(RelationGetIndexList(rel));	/* sets rd_pkindex */
	if (!OidIsValid(rel->rd_pkindex))
		return InvalidAttrNumber;
	index = index_open(rel->rd_pkindex, AccessShareLock);
	nkeys = index->rd_index->indnkeyatts;
	for (int i = 0; i < nkeys; i++)
	{
		AttrNumber	attnum = index->rd_index->indkey.values[i];

		if (nkeys > 1 && in_partition_key(rel, attnum))
			continue;
		found = attnum;
		nfound++;
	}
	index_close(index, AccessShareLock);
	return nfound == 1 ? found : InvalidAttrNumber;
}

/*
 * Is a unique index there that makes the column a key?  For leads it must
 * hold the column alone (and the partition key); an activity need only be
 * told from others, such as those of its lead or time.
 */
static bool
column_is_unique(Relation rel, AttrNumber attnum, bool of_leads)
{
	List	   *indexes = RelationGetIndexList(rel);
	ListCell   *lc;
	bool		result = false;

	foreach(lc, indexes)
	{
		Relation	index = index_open(lfirst_oid(lc), AccessShareLock);
		Form_pg_index form = index->rd_index;
		bool		contained = false;
		bool		others = false;

		for (int i = 0; i < form->indnkeyatts; i++)
		{
			if (form->indkey.values[i] == attnum)
				contained = true;
			else if (!in_partition_key(rel, form->indkey.values[i]))
				others = true;
		}
		if (form->indisunique && form->indisvalid && contained &&
			!(of_leads && others) && RelationGetIndexPredicate(index) == NIL)
			result = true;
		index_close(index, AccessShareLock);
	}
	list_free(indexes);
	return result;
}

/*
 * The column that names a lead, or an activity.
 */
char *
lq_key_find(Relation rel, const char *given, bool of_leads, const char *argument)
{
	Form_pg_attribute att;

	if (given != NULL)
		att = column_get(rel, column_given(rel, given, LQ_COLUMN_KEY,
										   InvalidOid, argument));
	else
	{
		AttrNumber	attnum = primary_key_column(rel);

		if (attnum == InvalidAttrNumber)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("%s has no primary key of one column", lq_relation_name(rel)),
					 errdetail_internal("%s", fitting_columns(rel, LQ_COLUMN_KEY, InvalidOid)),
					 hint_argument(argument)));
		att = TupleDescAttr(RelationGetDescr(rel), attnum - 1);
		check_fit(rel, att, LQ_COLUMN_KEY, InvalidOid, argument);
	}

	if (!column_is_unique(rel, att->attnum, of_leads))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_COLUMN_REFERENCE),
				 errmsg("column \"%s\" of %s is not unique", NameStr(att->attname),
						lq_relation_name(rel)),
				 errdetail("A unique index must make it a key."),
				 hint_argument(argument)));
	if (of_leads && !att->attnotnull)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_COLUMN_REFERENCE),
				 errmsg("column \"%s\" of %s may be null", NameStr(att->attname),
						lq_relation_name(rel)),
				 errhint("Make it a key: ALTER TABLE %s ALTER COLUMN %s SET NOT NULL;",
						 lq_relation_name(rel), quote_identifier(NameStr(att->attname)))));
	return pstrdup(NameStr(att->attname));
}

/*
 * The column of activities that names the lead: the given one, the foreign
 * key to the key of leads, or lead_id.
 */
char *
lq_lead_find(Relation activities, const char *given, Oid leads,
			 const char *lead_key, Oid key_type)
{
	static const char *const candidates[] = {"lead_id", NULL};
	AttrNumber	key = get_attnum(leads, lead_key);
	List	   *found = NIL;
	ListCell   *lc;

	if (given != NULL)
		return lq_column_find(activities, given, candidates, LQ_COLUMN_LEAD,
							  key_type, "activity_lead");

	foreach(lc, RelationGetFKeyList(activities))
	{
		ForeignKeyCacheInfo *fk = lfirst_node(ForeignKeyCacheInfo, lc);

		for (int i = 0; i < fk->nkeys; i++)
			if (fk->confrelid == leads && fk->confkey[i] == key)
				found = list_append_unique_int(found, fk->conkey[i]);
	}
	if (found == NIL)
		return lq_column_find(activities, NULL, candidates, LQ_COLUMN_LEAD,
							  key_type, "activity_lead");
	if (list_length(found) > 1)
	{
		StringInfoData buf;

		initStringInfo(&buf);
		foreach(lc, found)
			appendStringInfo(&buf, "%s\"%s\"", buf.len > 0 ? ", " : "",
							 NameStr(TupleDescAttr(RelationGetDescr(activities),
												   lfirst_int(lc) - 1)->attname));
		ereport(ERROR,
				(errcode(ERRCODE_AMBIGUOUS_COLUMN),
				 errmsg("several columns of %s are foreign keys to the leads table",
						lq_relation_name(activities)),
				 errdetail("They are %s.", buf.data),
				 hint_argument("activity_lead")));
	}
	return pstrdup(NameStr(TupleDescAttr(RelationGetDescr(activities),
										 linitial_int(found) - 1)->attname));
}

/* does a valid, complete index begin with the column? */
bool
lq_column_indexed(Relation rel, const char *column)
{
	AttrNumber	attnum = get_attnum(RelationGetRelid(rel), column);
	List	   *indexes = RelationGetIndexList(rel);
	ListCell   *lc;
	bool		result = false;

	foreach(lc, indexes)
	{
		Relation	index = index_open(lfirst_oid(lc), AccessShareLock);

		if (index->rd_index->indisvalid &&
			index->rd_index->indkey.values[0] == attnum &&
			RelationGetIndexPredicate(index) == NIL)
			result = true;
		index_close(index, AccessShareLock);
	}
	list_free(indexes);
	return result;
}
