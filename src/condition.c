/*
 * condition.c
 *		Conditions: a qualified text and what it was compiled to.
 *
 * A compiled expression depends on the columns of a table, not on the table:
 * partitions that look alike have one row type and share what was compiled
 * for it (a variant).  ALTER TABLE gives the table another row type, and so
 * the condition another variant; functions and types that change are seen by
 * the plan cache, which marks the planned expression invalid.
 *
 * Variants live in a child of the condition's memory context and go with it.
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "catalog/pg_type.h"
#include "nodes/primnodes.h"
#include "optimizer/optimizer.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/plancache.h"

#include "compat.h"
#include "condition.h"

#define LQ_MAX_VARIANTS 64		/* of one condition */
#define LQ_MAX_ROW_TYPES 1000	/* remembered in a backend */

/* ----------
 * Row types
 * ----------
 */
typedef struct RowType
{
	uint64		id;
	TupleDesc	desc;
} RowType;

typedef struct KnownRelation
{
	Oid			relid;			/* hash key */
	uint64		check;
	const RowType *type;
} KnownRelation;

/* both in row_type_cxt */
static MemoryContext row_type_cxt = NULL;
static HTAB *known_relations = NULL;
static List *row_types = NIL;

static bool
same_columns(TupleDesc a, TupleDesc b)
{
	if (a->natts != b->natts)
		return false;
	for (int i = 0; i < a->natts; i++)
	{
		Form_pg_attribute x = TupleDescAttr(a, i);
		Form_pg_attribute y = TupleDescAttr(b, i);

		if (x->attisdropped != y->attisdropped ||
			x->atttypid != y->atttypid ||
			x->atttypmod != y->atttypmod ||
			x->attcollation != y->attcollation ||
			strcmp(NameStr(x->attname), NameStr(y->attname)) != 0)
			return false;
	}
	return true;
}

static const RowType *
find_row_type(TupleDesc desc)
{
	static uint64 last_id = 0;
	ListCell   *cell;
	RowType    *type;
	MemoryContext old;

	foreach(cell, row_types)
	{
		type = lfirst(cell);
		if (same_columns(type->desc, desc))
			return type;
	}
	old = MemoryContextSwitchTo(row_type_cxt);
	type = palloc(sizeof(RowType));
	type->desc = CreateTupleDescCopy(desc);
	type->id = ++last_id;
	row_types = lappend(row_types, type);
	MemoryContextSwitchTo(old);
	return type;
}

static void
start_row_types(void)
{
	HASHCTL		ctl = {0};

	/* numbers are never used again, so old variants just find no user */
	if (row_type_cxt)
		MemoryContextDelete(row_type_cxt);
	known_relations = NULL;
	row_types = NIL;
	row_type_cxt = AllocSetContextCreate(TopMemoryContext,
										 "lead_qualify row types",
										 ALLOCSET_SMALL_SIZES);
	ctl.keysize = sizeof(Oid);
	ctl.entrysize = sizeof(KnownRelation);
	ctl.hcxt = row_type_cxt;
	known_relations = hash_create("lead_qualify relations", 32, &ctl,
								  HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

/*
 * A number for the columns of rel: the same for tables whose columns are the
 * same, another one after ALTER TABLE.  "check" is a number above 0; as long
 * as it stays the same, the columns of a relation are taken to stay as well.
 */
uint64
lq_row_type(Relation rel, uint64 check)
{
	Oid			relid = RelationGetRelid(rel);
	KnownRelation *known;
	bool		found;

	if (known_relations == NULL ||
		hash_get_num_entries(known_relations) >= LQ_MAX_ROW_TYPES ||
		list_length(row_types) >= LQ_MAX_ROW_TYPES)
		start_row_types();

	known = hash_search(known_relations, &relid, HASH_ENTER, &found);
	if (!found)
	{
		known->check = 0;
		known->type = NULL;
	}
	if (known->check != check)
	{
		if (known->type == NULL ||
			!same_columns(known->type->desc, RelationGetDescr(rel)))
		{
			known->type = NULL;
			known->type = find_row_type(RelationGetDescr(rel));
		}
		known->check = check;
	}
	return known->type->id;
}

/* ----------
 * Conditions and variants
 * ----------
 */
LqCondition *
lq_condition_create(const char *text, Oid result_type, const char *kind,
					const char *name)
{
	static uint64 last_serial = 0;
	LqCondition *condition = palloc0(sizeof(LqCondition));

	condition->text = pstrdup(text);
	condition->result_type = result_type;
	get_typlenbyval(result_type, &condition->typlen, &condition->typbyval);
	condition->kind = pstrdup(kind);
	condition->name = pstrdup(name);
	condition->serial = ++last_serial;
	condition->cxt = CurrentMemoryContext;
	return condition;
}

const char *
lq_condition_text(const LqCondition *condition)
{
	return condition->text;
}

/* reset callback of a variant's context: plancache keeps a list of these */
static void
forget_cached(void *arg)
{
	LqVariant  *variant = arg;

	if (variant->cached)
		FreeCachedExpression(variant->cached);
	variant->cached = NULL;
}

/* back to LQ_VARIANT_NEW */
static void
clear_variant(LqVariant *variant)
{
	MemoryContextCallback *callback;

	MemoryContextReset(variant->cxt);
	variant->kind = LQ_VARIANT_NEW;
	variant->state = NULL;
	variant->message = NULL;
	variant->cached = NULL;
	variant->packable = NULL;
	callback = MemoryContextAlloc(variant->cxt, sizeof(*callback));
	callback->func = forget_cached;
	callback->arg = variant;
	MemoryContextRegisterResetCallback(variant->cxt, callback);
	variant->state_cxt = AllocSetContextCreate(variant->cxt,
											   "lead_qualify expression state",
											   ALLOCSET_SMALL_SIZES);
}

static LqVariant *
create_variant(LqCondition *condition, uint64 row_type, Oid owner)
{
	LqVariant  *variant;

	if (condition->nvariants >= LQ_MAX_VARIANTS)
	{
		while ((variant = condition->variants) != NULL)
		{
			condition->variants = variant->next;
			MemoryContextDelete(variant->cxt);
			pfree(variant);
		}
		condition->nvariants = 0;
	}

	variant = MemoryContextAllocZero(condition->cxt, sizeof(LqVariant));
	variant->row_type = row_type;
	variant->owner = owner;
	variant->cxt = AllocSetContextCreate(condition->cxt,
										 "lead_qualify expression",
										 ALLOCSET_SMALL_SIZES);
	clear_variant(variant);
	variant->next = condition->variants;
	condition->variants = variant;
	condition->nvariants++;
	return variant;
}

/* the condition is const to callers; its variants are a cache */
LqVariant *
lq_condition_variant(const LqCondition *condition, uint64 row_type, Oid owner)
{
	for (LqVariant *variant = condition->variants; variant;
		 variant = variant->next)
	{
		if (variant->row_type == row_type && variant->owner == owner)
			return variant;
	}
	return create_variant((LqCondition *) condition, row_type, owner);
}

/* false when a function or type it was compiled with has changed */
bool
lq_variant_valid(const LqVariant *variant)
{
	return variant->cached == NULL || variant->cached->is_valid;
}

void
lq_variant_break(LqVariant *variant, const ErrorData *edata)
{
	clear_variant(variant);
	variant->kind = LQ_VARIANT_BROKEN;
	variant->message = MemoryContextStrdup(variant->cxt, edata->message);
	variant->sqlerrcode = edata->sqlerrcode;
}

/* what needs no evaluation */
static void
find_shortcut(LqVariant *variant, Node *expr)
{
	while (IsA(expr, RelabelType))
		expr = (Node *) ((RelabelType *) expr)->arg;

	variant->kind = LQ_VARIANT_EXPRESSION;
	if (IsA(expr, Var))
	{
		variant->kind = LQ_VARIANT_COLUMN;
		variant->column = ((Var *) expr)->varattno;
	}
	else if (IsA(expr, Const))
	{
		variant->kind = LQ_VARIANT_CONSTANT;
		variant->constant = ((Const *) expr)->constvalue;
		variant->constant_isnull = ((Const *) expr)->constisnull;
	}
}

/* columns of variable length that an expression names */
static Bitmapset *
packable_columns(Node *expr, Relation rel)
{
	Bitmapset  *named = NULL;
	Bitmapset  *packable = NULL;
	int			i = -1;

	pull_varattnos(expr, 1, &named);
	while ((i = bms_next_member(named, i)) >= 0)
	{
		int			column = i + FirstLowInvalidHeapAttributeNumber - 1;

		if (column >= 0 && TupleDescAttr(RelationGetDescr(rel), column)->attlen == -1)
			packable = bms_add_member(packable, column);
	}
	return packable;
}

/*
 * Compile condition for the columns of rel.  To be called as the owner, in a
 * subtransaction, and in a short-lived memory context.
 */
void
lq_variant_compile(const LqCondition *condition, LqVariant *variant,
				   Relation rel)
{
	MemoryContext caller;

	clear_variant(variant);
	variant->cached = lq_expression_compile(condition->text, rel,
											condition->result_type,
											variant->owner,
											&variant->as_owner);
	find_shortcut(variant, variant->cached->expr);
	caller = MemoryContextSwitchTo(variant->cxt);
	variant->packable = packable_columns(variant->cached->expr, rel);
	MemoryContextSwitchTo(caller);
}
