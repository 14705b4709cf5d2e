/*
 * list.c
 *		The lists of a version, for in_list(): a set of (list, value), values
 *		without regard to case.
 */
#include "postgres.h"

#include "catalog/pg_collation.h"
#include "common/hashfn.h"
#include "utils/formatting.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"

#include "compat.h"
#include "expression.h"

/* the strings live beside the table, in its memory context */
typedef struct ListKey
{
	const char *list;
	const char *value;			/* in lower case */
} ListKey;

static uint32
hash_key(const void *key, Size keysize)
{
	const ListKey *k = key;

	return hash_combine(string_hash(k->list, strlen(k->list) + 1),
						string_hash(k->value, strlen(k->value) + 1));
}

static int
compare_keys(const void *a, const void *b, Size keysize)
{
	const ListKey *x = a;
	const ListKey *y = b;

	return strcmp(x->value, y->value) != 0 || strcmp(x->list, y->list) != 0;
}

static char *
fold(const char *value)
{
	return str_tolower(value, strlen(value), DEFAULT_COLLATION_OID);
}

/* the set lives in a context below cxt */
HTAB *
lq_list_create(MemoryContext cxt)
{
	HASHCTL		ctl = {0};

	ctl.keysize = sizeof(ListKey);
	ctl.entrysize = sizeof(ListKey);
	ctl.hash = hash_key;
	ctl.match = compare_keys;
	ctl.hcxt = cxt;
	return hash_create("lead_qualify lists", 64, &ctl,
					   HASH_ELEM | HASH_FUNCTION | HASH_COMPARE |
					   HASH_CONTEXT);
}

void
lq_list_add(HTAB *lists, const char *list, const char *value)
{
	MemoryContext cxt = GetMemoryChunkContext(lists);
	ListKey		key;

	key.value = fold(value);
	key.list = list;
	if (hash_search(lists, &key, HASH_FIND, NULL) == NULL)
	{
		key.list = MemoryContextStrdup(cxt, list);
		key.value = MemoryContextStrdup(cxt, key.value);
		hash_search(lists, &key, HASH_ENTER, NULL);
	}
}

bool
lq_list_has(HTAB *lists, const char *list, const char *value)
{
	ListKey		key;

	key.list = list;
	key.value = fold(value);
	return hash_search(lists, &key, HASH_FIND, NULL) != NULL;
}
