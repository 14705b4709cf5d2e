/*
 * framework_table.c
 *		The tables framework, criterion and question, cached per backend.
 *
 * All three are read at once, into one context: they are small, and seldom
 * change.  Each carries a trigger that sends a relcache invalidation for it;
 * the callback only counts.  The next caller then loads anew, with the
 * catalog snapshot for the reasons given in model.c.  So the scan needs no
 * rights of the caller, and works in a parallel worker, which begins with an
 * empty cache.
 *
 * This is the only place that knows that a row of the user hides the shipped
 * row of the same key.
 */
#include "postgres.h"

#include <math.h>

#include "access/genam.h"
#include "access/table.h"
#include "access/xact.h"
#include "common/shortest_dec.h"
#include "compat.h"
#include "framework_table.h"
#include "sql.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/formatting.h"
#include "utils/inval.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

/* what keeps a framework from being used */
typedef enum
{
	USABLE,
	NO_CRITERIA,
	MIN_MET_TOO_HIGH,
	NO_WEIGHT,
	NOTHING_ASKED
} Problem;

typedef struct Entry
{
	LqFramework framework;		/* first, so that it can stand for the entry */
	int			place;			/* among the frameworks */
	int		   *positions;		/* of the criteria */
	int			clash;			/* first of two criteria at one position, -1: none */
	int			own_clash;		/* ... that are both the user's */
	Problem		problem;
} Entry;

typedef struct Question
{
	char	   *criterion;
	char	   *language;
	char	   *text;
} Question;

typedef struct Tables
{
	MemoryContext cxt;
	Entry	   *entries;		/* in the order in which they are shown */
	int			nentries;
	List	   *usable;			/* of those, const LqFramework */
	Question   *questions;		/* by criterion and language */
	int			nquestions;
} Tables;

enum
{
	FRAMEWORK, CRITERION, QUESTION, NTABLES
};

static const struct
{
	const char *name;
	const char *key;			/* the key: this, and perhaps that */
	const char *key2;
} table_info[NTABLES] = {
	{"framework", "framework", NULL},
	{"criterion", "framework", "criterion"},
	{"question", "criterion", "language"},
};

static Tables *tables = NULL;	/* its context is under CacheMemoryContext */
static Oid	watched[NTABLES];	/* the tables as they were loaded */
static bool valid = false;
static uint64 generation = 1;	/* counts invalidations */

/* ----------------------------------------------------------------
 * Invalidation
 * ----------------------------------------------------------------
 */

/* only minimal tagging may be done here */
static void
relcache_callback(Datum arg, Oid relid)
{
	if (OidIsValid(relid) && relid != watched[FRAMEWORK] &&
		relid != watched[CRITERION] && relid != watched[QUESTION])
		return;
	valid = false;
	generation++;
}

void
lq_framework_init(void)
{
	CacheRegisterRelcacheCallback(relcache_callback, (Datum) 0);
}

uint64
lq_framework_generation(void)
{
	return generation;
}

/* ----------------------------------------------------------------
 * Reading rows
 * ----------------------------------------------------------------
 */

typedef struct Row
{
	char	   *key;
	char	   *key2;
	bool		shipped;
	HeapTuple	tuple;
} Row;

static int
column_int(Relation rel, HeapTuple tuple, const char *name, int if_null)
{
	bool		isnull;
	Datum		value = lq_column(rel, tuple, name, &isnull);

	return isnull ? if_null : DatumGetInt32(value);
}

static double
column_double(Relation rel, HeapTuple tuple, const char *name)
{
	bool		isnull;
	Datum		value = lq_column(rel, tuple, name, &isnull);

	return isnull ? get_float8_nan() : DatumGetFloat8(value);
}

static bool
column_bool(Relation rel, HeapTuple tuple, const char *name)
{
	bool		isnull;
	Datum		value = lq_column(rel, tuple, name, &isnull);

	return !isnull && DatumGetBool(value);
}

static int
key_cmp(const Row *a, const Row *b)
{
	int			order = strcmp(a->key, b->key);

	return order != 0 || a->key2 == NULL ? order : strcmp(a->key2, b->key2);
}

/* by key, the user's row before the shipped one */
static int
row_cmp(const void *a, const void *b)
{
	const Row  *left = a,
			   *right = b;
	int			order = key_cmp(left, right);

	return order != 0 ? order : (int) left->shipped - (int) right->shipped;
}

/*
 * The effective rows of a table, in the order of their keys: a row with
 * shipped = false hides the shipped row of the same key.
 */
static Row *
effective_rows(Relation rel, int table, int *nrows)
{
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	int			allocated = 64,
				n = 0,
				kept = 0;
	Row		   *rows = palloc(allocated * sizeof(Row));
	HeapTuple	tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		if (n == allocated)
		{
			allocated *= 2;
			rows = repalloc(rows, allocated * sizeof(Row));
		}
		rows[n].key = lq_column_text(rel, tuple, table_info[table].key);
		rows[n].key2 = table_info[table].key2 == NULL ? NULL :
			lq_column_text(rel, tuple, table_info[table].key2);
		rows[n].shipped = column_bool(rel, tuple, "shipped");
		rows[n++].tuple = heap_copytuple(tuple);
	}
	systable_endscan(scan);
	qsort(rows, n, sizeof(Row), row_cmp);
	for (int i = 0; i < n; i++)
		if (kept == 0 || key_cmp(&rows[kept - 1], &rows[i]) != 0)
			rows[kept++] = rows[i];
	*nrows = kept;
	return rows;
}

static Relation
table_begin(int table)
{
	Oid			relid = get_relname_relid(table_info[table].name, lq_schema());

	if (!OidIsValid(relid))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("table \"lead_qualify.%s\" does not exist",
						table_info[table].name),
				 errhint("Create the extension with CREATE EXTENSION lead_qualify.")));
	watched[table] = relid;
	return table_open(relid, AccessShareLock);
}

/* ----------------------------------------------------------------
 * Loading
 *
 * Rows are read in a context that is deleted at the end of it, what stays
 * is made in the context of the tables.
 * ----------------------------------------------------------------
 */

static int
entry_cmp(const void *a, const void *b)
{
	const Entry *left = a,
			   *right = b;

	if (left->place != right->place)
		return left->place < right->place ? -1 : 1;
	return strcmp(left->framework.name, right->framework.name);
}

static void
load_frameworks(Tables *t)
{
	Relation	rel = table_begin(FRAMEWORK);
	int			n;
	Row		   *rows = effective_rows(rel, FRAMEWORK, &n);

	t->entries = MemoryContextAllocZero(t->cxt, (n + 1) * sizeof(Entry));
	t->nentries = n;
	for (int i = 0; i < n; i++)
	{
		LqFramework *framework = &t->entries[i].framework;

		t->entries[i].clash = t->entries[i].own_clash = -1;
		framework->name = MemoryContextStrdup(t->cxt, rows[i].key);
		framework->min_met = column_int(rel, rows[i].tuple, "min_met", -1);
		framework->min_score = column_double(rel, rows[i].tuple, "min_score");
		t->entries[i].place = column_int(rel, rows[i].tuple, "position",
										 PG_INT32_MAX);
	}
	table_close(rel, AccessShareLock);
}

typedef struct Placed
{
	int			position;
	bool		shipped;
	LqCriterion criterion;
} Placed;

static int
placed_cmp(const void *a, const void *b)
{
	const Placed *left = a,
			   *right = b;

	if (left->position != right->position)
		return left->position < right->position ? -1 : 1;
	/* a release may ship a criterion where a user has put his own */
	if (left->shipped != right->shipped)
		return left->shipped ? 1 : -1;
	return strcmp(left->criterion.name, right->criterion.name);
}

static void
find_problem(Entry *entry)
{
	const LqFramework *framework = &entry->framework;
	double		weight = 0;
	bool		asks = framework->min_met != 0 || !isnan(framework->min_score);

	for (int i = 0; i < framework->ncriteria; i++)
	{
		weight += framework->criteria[i].weight;
		asks = asks || framework->criteria[i].required;
	}
	if (framework->ncriteria == 0)
		entry->problem = NO_CRITERIA;
	else if (framework->min_met > framework->ncriteria)
		entry->problem = MIN_MET_TOO_HIGH;
	else if (!(weight > 0))
		entry->problem = NO_WEIGHT;
	else if (!asks)
		entry->problem = NOTHING_ASKED;
}

/* the first two criteria at one position; with own, only two of the user's */
static int
find_clash(const Placed *placed, int n, bool own)
{
	for (int i = 1; i < n; i++)
		if (placed[i].position == placed[i - 1].position &&
			!(own && placed[i].shipped))
			return i - 1;
	return -1;
}

/* the rows are those of one framework; disabled ones are left out */
static void
load_criteria(Tables *t, Entry *entry, Relation rel, const Row *rows, int nrows)
{
	LqFramework *framework = &entry->framework;
	Placed	   *placed = palloc((nrows + 1) * sizeof(Placed));
	int			n = 0;

	for (int i = 0; i < nrows; i++)
	{
		HeapTuple	tuple = rows[i].tuple;
		LqCriterion *criterion = &placed[n].criterion;

		if (!column_bool(rel, tuple, "enabled"))
			continue;
		placed[n].shipped = rows[i].shipped;
		placed[n++].position = column_int(rel, tuple, "position", 0);
		criterion->name = rows[i].key2;
		criterion->len = strlen(criterion->name);
		criterion->weight = column_double(rel, tuple, "weight");
		criterion->required = column_bool(rel, tuple, "required");
		criterion->met_at = column_int(rel, tuple, "met_at", LQ_LEVEL_YES);
	}
	qsort(placed, n, sizeof(Placed), placed_cmp);

	entry->clash = find_clash(placed, n, false);
	entry->own_clash = find_clash(placed, n, true);
	framework->ncriteria = n;
	framework->criteria = MemoryContextAlloc(t->cxt, (n + 1) * sizeof(LqCriterion));
	entry->positions = MemoryContextAlloc(t->cxt, (n + 1) * sizeof(int));
	for (int i = 0; i < n; i++)
	{
		framework->criteria[i] = placed[i].criterion;
		framework->criteria[i].name =
			MemoryContextStrdup(t->cxt, placed[i].criterion.name);
		entry->positions[i] = placed[i].position;
	}
}

/* criteria of a framework that has no row are nobody's */
static void
load_all_criteria(Tables *t)
{
	Relation	rel = table_begin(CRITERION);
	int			n,
				next;
	Row		   *rows = effective_rows(rel, CRITERION, &n);

	for (int i = 0; i < n; i = next)
	{
		for (next = i + 1; next < n && strcmp(rows[next].key, rows[i].key) == 0;)
			next++;
		for (int e = 0; e < t->nentries; e++)
			if (strcmp(t->entries[e].framework.name, rows[i].key) == 0)
				load_criteria(t, &t->entries[e], rel, rows + i, next - i);
	}
	table_close(rel, AccessShareLock);
	for (int e = 0; e < t->nentries; e++)
		find_problem(&t->entries[e]);
}

static void
load_questions(Tables *t)
{
	Relation	rel = table_begin(QUESTION);
	int			n;
	Row		   *rows = effective_rows(rel, QUESTION, &n);

	t->questions = MemoryContextAlloc(t->cxt, (n + 1) * sizeof(Question));
	t->nquestions = n;
	for (int i = 0; i < n; i++)
	{
		char	   *text = lq_column_text(rel, rows[i].tuple, "question");

		t->questions[i].criterion = MemoryContextStrdup(t->cxt, rows[i].key);
		t->questions[i].language = MemoryContextStrdup(t->cxt, rows[i].key2);
		t->questions[i].text = MemoryContextStrdup(t->cxt, text);
	}
	table_close(rel, AccessShareLock);
}

/* made under the current context; the caller decides how long it lives */
static Tables *
tables_load(bool with_questions)
{
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext,
											  "lead_qualify frameworks",
											  ALLOCSET_SMALL_SIZES);
	MemoryContext rows = AllocSetContextCreate(CurrentMemoryContext,
											   "lead_qualify framework rows",
											   ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(rows);
	Tables	   *t = MemoryContextAllocZero(cxt, sizeof(Tables));

	t->cxt = cxt;
	load_frameworks(t);
	load_all_criteria(t);
	if (with_questions)
		load_questions(t);
	qsort(t->entries, t->nentries, sizeof(Entry), entry_cmp);
	MemoryContextSwitchTo(cxt);
	for (int i = 0; i < t->nentries; i++)
		if (t->entries[i].problem == USABLE)
			t->usable = lappend(t->usable, &t->entries[i].framework);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(rows);
	return t;
}

/*
 * An invalidation may arrive while we load; then what we have read may be
 * stale, and we begin again.
 */
static void
tables_refresh(void)
{
	AcceptInvalidationMessages();
	while (!valid)
	{
		uint64		before = generation;
		Tables	   *loaded = tables_load(true);

		if (generation != before)
		{
			MemoryContextDelete(loaded->cxt);
			continue;
		}
		MemoryContextSetParent(loaded->cxt, CacheMemoryContext);
		if (tables != NULL)
			MemoryContextDelete(tables->cxt);
		tables = loaded;
		valid = true;
	}
}

/* ----------------------------------------------------------------
 * Finding a framework
 * ----------------------------------------------------------------
 */

static bool
same_name(const char *stored, const char *name, int len, bool any_case)
{
	if (strlen(stored) != len)
		return false;
	for (int i = 0; i < len; i++)
		if (stored[i] != name[i] &&
			(!any_case ||
			 pg_ascii_tolower(stored[i]) != pg_ascii_tolower(name[i])))
			return false;
	return true;
}

static Entry *
entry_find(const Tables *t, const char *name, int len)
{
	for (int any_case = 0; any_case <= 1; any_case++)
		for (int i = 0; i < t->nentries; i++)
			if (same_name(t->entries[i].framework.name, name, len, any_case))
				return &t->entries[i];
	return NULL;
}

static void
report_unknown(const char *name, int len)
{
	StringInfoData known;

	initStringInfo(&known);
	for (int i = 0; i < tables->nentries; i++)
		appendStringInfo(&known, "%s%s", i > 0 ? ", " : "",
						 tables->entries[i].framework.name);
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("framework \"%s\" does not exist", pnstrdup(name, len)),
			 known.len == 0 ?
			 errhint("Insert a row into lead_qualify.framework, and its criteria into lead_qualify.criterion.") :
			 errhint("Frameworks are: %s. A new one is a row of lead_qualify.framework.",
					 known.data)));
}

/* "3, 5 and from 9 on" */
static char *
free_positions(const Entry *entry)
{
	StringInfoData buf;
	int			listed = 0,
				next = 1;

	initStringInfo(&buf);
	for (int i = 0; i < entry->framework.ncriteria; i++)
	{
		for (; next < entry->positions[i] && listed < 5; next++)
			appendStringInfo(&buf, "%s%d", listed++ > 0 ? ", " : "", next);
		next = entry->positions[i] + 1;
	}
	if (next <= LQ_MAX_CRITERIA)
		appendStringInfo(&buf, "%sfrom %d on", listed > 0 ? " and " : "", next);
	return buf.data;
}

static void
report_clash(const Entry *entry, int clash)
{
	const LqFramework *framework = &entry->framework;

	ereport(ERROR,
			(errcode(ERRCODE_UNIQUE_VIOLATION),
			 errmsg("criteria \"%s\" and \"%s\" of framework \"%s\" are both at position %d",
					framework->criteria[clash].name,
					framework->criteria[clash + 1].name,
					framework->name, entry->positions[clash]),
			 errdetail("Free positions: %s.", free_positions(entry)),
			 errhint("Give one of them another position; one UPDATE may also let two criteria change places.")));
}

static void
report_unusable(const Entry *entry)
{
	const LqFramework *framework = &entry->framework;

	switch (entry->problem)
	{
		case USABLE:
			break;
		case NO_CRITERIA:
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("framework \"%s\" has no criteria", framework->name),
					 errhint("Insert them into lead_qualify.criterion, or enable those that are there.")));
			break;
		case MIN_MET_TOO_HIGH:
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("framework \"%s\" asks for %d met criteria but has only %d",
							framework->name, framework->min_met,
							framework->ncriteria),
					 errhint("Set min_met in lead_qualify.framework to at most %d, or to NULL for all of them.",
							 framework->ncriteria)));
			break;
		case NO_WEIGHT:
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("all criteria of framework \"%s\" have weight 0",
							framework->name),
					 errhint("Set weight in lead_qualify.criterion above 0 for at least one of them.")));
			break;
		case NOTHING_ASKED:
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("framework \"%s\" asks for nothing: min_met is 0", framework->name),
					 errhint("Set min_met above 0 or a min_score in lead_qualify.framework, or make a criterion required.")));
			break;
	}
}

const LqFramework *
lq_framework_get(const char *name, int len, bool missing_ok)
{
	Entry	   *entry;

	tables_refresh();
	entry = entry_find(tables, name, len);
	if (entry != NULL && entry->problem == USABLE)
		return &entry->framework;
	if (missing_ok)
		return NULL;
	if (entry == NULL)
		report_unknown(name, len);
	else
		report_unusable(entry);
	return NULL;				/* not reached */
}

List *
lq_framework_list(void)
{
	tables_refresh();
	return tables->usable;
}

/*
 * For a trigger: the invalidation of the statement that it belongs to is not
 * yet sent, so look at the tables themselves.
 */
void
lq_framework_check_positions(const char *name, bool own)
{
	Tables	   *t;
	Entry	   *entry;
	int			clash;

	CommandCounterIncrement();
	t = tables_load(false);
	entry = entry_find(t, name, strlen(name));
	if (entry != NULL && strcmp(entry->framework.name, name) == 0)
	{
		clash = own ? entry->own_clash : entry->clash;
		if (clash >= 0)
			report_clash(entry, clash);
	}
	MemoryContextDelete(t->cxt);
}

/* ----------------------------------------------------------------
 * Questions
 * ----------------------------------------------------------------
 */

static const char *
question_find(const char *criterion, const char *language)
{
	int			low = 0,
				high = tables->nquestions - 1;

	while (low <= high)
	{
		int			middle = (low + high) / 2;
		const Question *question = &tables->questions[middle];
		int			order = strcmp(criterion, question->criterion);

		if (order == 0)
			order = strcmp(language, question->language);
		if (order == 0)
			return question->text;
		if (order < 0)
			high = middle - 1;
		else
			low = middle + 1;
	}
	return NULL;
}

const char *
lq_framework_question(const LqCriterion *criterion, const char *language, int len)
{
	char	   *folded = asc_tolower(language, len);
	const char *question = question_find(criterion->name, folded);

	pfree(folded);
	return question != NULL ? question : question_find(criterion->name, "en");
}

/* ----------------------------------------------------------------
 * As JSON
 * ----------------------------------------------------------------
 */

static void
append_double(StringInfo buf, double value)
{
	char		text[DOUBLE_SHORTEST_DECIMAL_LEN];

	double_to_shortest_decimal_buf(value, text);
	appendStringInfoString(buf, text);
}

/* positions are counted anew from 1: only their order means anything */
void
lq_framework_json(const LqFramework *framework, StringInfo buf)
{
	appendStringInfoString(buf, "{\"framework\": ");
	escape_json(buf, framework->name);
	appendStringInfoString(buf, ", \"min_met\": ");
	if (framework->min_met < 0)
		appendStringInfoString(buf, "null");
	else
		appendStringInfo(buf, "%d", framework->min_met);
	appendStringInfoString(buf, ", \"min_score\": ");
	if (isnan(framework->min_score))
		appendStringInfoString(buf, "null");
	else
		append_double(buf, framework->min_score);
	appendStringInfoString(buf, ", \"criteria\": [");
	for (int i = 0; i < framework->ncriteria; i++)
	{
		const LqCriterion *criterion = &framework->criteria[i];

		appendStringInfoString(buf, i > 0 ? ", {\"criterion\": " : "{\"criterion\": ");
		escape_json(buf, criterion->name);
		appendStringInfoString(buf, ", \"weight\": ");
		append_double(buf, criterion->weight);
		appendStringInfo(buf, ", \"position\": %d, \"required\": %s, \"met_at\": %d}",
						 i + 1, criterion->required ? "true" : "false",
						 criterion->met_at);
	}
	appendStringInfoString(buf, "]}");
}
