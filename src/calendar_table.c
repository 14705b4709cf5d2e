/*
 * calendar_table.c
 *		The tables calendar, calendar_hours and holiday, cached per backend,
 *		and the functions that reckon with them.
 *
 * All three are read at once, into one context: they are small, and seldom
 * change.  Each carries a trigger that sends a relcache invalidation for it;
 * the callback only takes note.  The next caller then loads anew, with the
 * catalog snapshot for the reasons given in model.c.  So the scan needs no
 * rights of the caller, and works in a parallel worker, which begins with an
 * empty cache.
 *
 * A calendar is compiled for a time zone when it is first asked for there.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "calendar_table.h"
#include "catalog/pg_type.h"
#include "compat.h"
#include "expression.h"
#include "sql.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"

/* a session that asks in more time zones than this loads anew */
#define MAX_COMPILED 256

/* a calendar in a time zone */
typedef struct Compiled
{
	pg_tz	   *zone;
	LqCalendar *calendar;
	struct Compiled *next;
} Compiled;

/* the row of a calendar, with its hours and holidays */
typedef struct Entry
{
	char	   *name;
	bool		shipped;
	char	   *time_zone;		/* NULL: that of who asks */
	bool		usual[LQ_DAYS_PER_WEEK];	/* opens and closes are for these */
	int64		opens;
	int64		closes;
	LqTimetable timetable;
	Compiled   *compiled;		/* one, or one for each zone of who asked */
} Entry;

typedef struct Tables
{
	MemoryContext cxt;
	Entry	   *entries;		/* by name */
	int			nentries;
	int			ncompiled;		/* of all of them */
} Tables;

enum
{
	CALENDAR, CALENDAR_HOURS, HOLIDAY, NTABLES
};

static const char *const table_names[NTABLES] = {
	"calendar", "calendar_hours", "holiday"
};

static Tables *tables = NULL;	/* its context is under CacheMemoryContext */
static Oid	watched[NTABLES];	/* the tables as they were loaded */
static bool valid = false;
static uint64 generation = 0;	/* counts invalidations */

/* ----------------------------------------------------------------
 * Invalidation
 * ----------------------------------------------------------------
 */

/* only minimal tagging may be done here */
static void
relcache_callback(Datum arg, Oid relid)
{
	if (OidIsValid(relid) && relid != watched[CALENDAR] &&
		relid != watched[CALENDAR_HOURS] && relid != watched[HOLIDAY])
		return;
	valid = false;
	generation++;
}

void
lq_calendar_init(void)
{
	CacheRegisterRelcacheCallback(relcache_callback, (Datum) 0);
}

/* ----------------------------------------------------------------
 * Reading rows
 * ----------------------------------------------------------------
 */

/* false if one of them is null */
static bool
read_span(Relation rel, HeapTuple tuple, int64 *opens, int64 *closes)
{
	bool		no_opens,
				no_closes;
	Datum		from = lq_column(rel, tuple, "opens", &no_opens),
				to = lq_column(rel, tuple, "closes", &no_closes);

	if (no_opens || no_closes)
		return false;
	*opens = DatumGetTimeADT(from);
	*closes = DatumGetTimeADT(to);
	return true;
}

static int
entry_cmp(const void *a, const void *b)
{
	const Entry *left = a,
			   *right = b;
	int			order = strcmp(left->name, right->name);

	return order != 0 ? order : (int) left->shipped - (int) right->shipped;
}

static Entry *
find_entry(const Tables *t, const char *name, int len)
{
	int			low = 0,
				high = t->nentries;

	while (low < high)
	{
		int			middle = (low + high) / 2;
		Entry	   *entry = &t->entries[middle];
		int			order = strncmp(entry->name, name, len);

		if (order == 0 && entry->name[len] == '\0')
			return entry;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

static void
read_calendar(Tables *t, Relation rel, HeapTuple tuple)
{
	Entry	   *entry;
	bool		isnull;
	Datum		weekdays;
	Datum	   *days;
	bool	   *nulls;
	int			ndays;

	t->entries = t->nentries == 0 ? palloc(sizeof(Entry)) :
		repalloc(t->entries, (t->nentries + 1) * sizeof(Entry));
	entry = &t->entries[t->nentries++];
	memset(entry, 0, sizeof(Entry));
	entry->name = lq_column_text(rel, tuple, "calendar");
	entry->shipped = DatumGetBool(lq_column(rel, tuple, "shipped", &isnull));
	entry->time_zone = lq_column_text(rel, tuple, "time_zone");
	read_span(rel, tuple, &entry->opens, &entry->closes);
	weekdays = lq_column(rel, tuple, "weekdays", &isnull);
	deconstruct_array(DatumGetArrayTypeP(weekdays), INT4OID, sizeof(int32),
					  true, TYPALIGN_INT, &days, &nulls, &ndays);
	for (int i = 0; i < ndays; i++)
	{
		int			weekday = nulls[i] ? 0 : DatumGetInt32(days[i]);

		if (weekday >= 1 && weekday <= LQ_DAYS_PER_WEEK)
			entry->usual[weekday - 1] = true;
	}
}

static void
read_hours(Tables *t, Relation rel, HeapTuple tuple)
{
	char	   *name = lq_column_text(rel, tuple, "calendar");
	Entry	   *entry = find_entry(t, name, strlen(name));
	bool		isnull;
	int			weekday = DatumGetInt32(lq_column(rel, tuple, "weekday", &isnull));
	int64		opens,
				closes;

	pfree(name);
	if (entry == NULL || weekday < 1 || weekday > LQ_DAYS_PER_WEEK ||
		!read_span(rel, tuple, &opens, &closes))
		return;
	entry->usual[weekday - 1] = false;
	lq_hours_add(&entry->timetable.weekday[weekday - 1], opens, closes);
}

static void
read_holiday(Tables *t, Relation rel, HeapTuple tuple)
{
	char	   *name = lq_column_text(rel, tuple, "calendar");
	Entry	   *entry = find_entry(t, name, strlen(name));
	bool		isnull;
	DateADT		day = DatumGetDateADT(lq_column(rel, tuple, "day", &isnull));
	LqTimetable *timetable;
	LqHoliday  *holiday;
	int64		opens,
				closes;

	pfree(name);
	/* what the constraint refuses would overflow */
	if (entry == NULL ||
		day < date2j(LQ_HOLIDAY_FIRST_YEAR, 1, 1) - POSTGRES_EPOCH_JDATE ||
		day > date2j(LQ_HOLIDAY_LAST_YEAR, 12, 31) - POSTGRES_EPOCH_JDATE)
		return;
	timetable = &entry->timetable;
	if (timetable->nholidays == 0)
		timetable->holidays = palloc(sizeof(LqHoliday));
	else if ((timetable->nholidays & (timetable->nholidays - 1)) == 0)
		timetable->holidays = repalloc(timetable->holidays,
									   2 * timetable->nholidays * sizeof(LqHoliday));
	holiday = &timetable->holidays[timetable->nholidays++];
	memset(holiday, 0, sizeof(LqHoliday));
	holiday->day = day;
	if (read_span(rel, tuple, &opens, &closes))
		lq_hours_add(&holiday->hours, opens, closes);
}

typedef void (*RowReader) (Tables *t, Relation rel, HeapTuple tuple);

static void
read_table(Tables *t, int table, RowReader reader)
{
	Oid			relid = get_relname_relid(table_names[table], lq_schema());
	Relation	rel;
	SysScanDesc scan;
	HeapTuple	tuple;

	if (!OidIsValid(relid))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("table \"lead_qualify.%s\" does not exist", table_names[table]),
				 errhint("Create the extension with CREATE EXTENSION lead_qualify.")));
	watched[table] = relid;
	rel = table_open(relid, AccessShareLock);
	scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
		reader(t, rel, tuple);
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
}

/* ----------------------------------------------------------------
 * Loading
 * ----------------------------------------------------------------
 */

/* a row with shipped = false hides the shipped row of the same calendar */
static void
hide_shipped(Tables *t)
{
	int			kept = 0;

	qsort(t->entries, t->nentries, sizeof(Entry), entry_cmp);
	for (int i = 0; i < t->nentries; i++)
		if (kept == 0 || strcmp(t->entries[kept - 1].name, t->entries[i].name) != 0)
			t->entries[kept++] = t->entries[i];
	t->nentries = kept;
}

static Tables *
tables_load(void)
{
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext,
											  "lead_qualify calendars",
											  ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	Tables	   *t = palloc0(sizeof(Tables));

	t->cxt = cxt;
	read_table(t, CALENDAR, read_calendar);
	hide_shipped(t);
	read_table(t, CALENDAR_HOURS, read_hours);
	read_table(t, HOLIDAY, read_holiday);
	for (int i = 0; i < t->nentries; i++)
	{
		Entry	   *entry = &t->entries[i];

		for (int weekday = 0; weekday < LQ_DAYS_PER_WEEK; weekday++)
			if (entry->usual[weekday])
				lq_hours_add(&entry->timetable.weekday[weekday],
							 entry->opens, entry->closes);
		lq_timetable_finish(&entry->timetable);
	}
	MemoryContextSwitchTo(old);
	return t;
}

/*
 * An invalidation may arrive while we load; then what we have read may be
 * stale, and we begin again.
 */
static Tables *
tables_get(void)
{
	AcceptInvalidationMessages();
	while (!valid)
	{
		uint64		before = generation;
		Tables	   *loaded = tables_load();

		if (generation != before)
		{
			MemoryContextDelete(loaded->cxt);
			continue;
		}
		if (tables != NULL)
			MemoryContextDelete(tables->cxt);
		MemoryContextSetParent(loaded->cxt, CacheMemoryContext);
		tables = loaded;
		valid = true;
	}
	return tables;
}

/* ----------------------------------------------------------------
 * Looking up
 * ----------------------------------------------------------------
 */

char *
lq_calendar_names(void)
{
	const Tables *t = tables_get();
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < t->nentries; i++)
		appendStringInfo(&buf, "%s\"%s\"", i > 0 ? ", " : "", t->entries[i].name);
	return buf.data;
}

bool
lq_calendar_exists(const char *name)
{
	return find_entry(tables_get(), name, strlen(name)) != NULL;
}

pg_tz *
lq_time_zone(const char *name)
{
	pg_tz	   *zone = pg_tzset(name);

	return zone != NULL && pg_tz_acceptable(zone) ? zone : NULL;
}

static Entry *
usable_entry(const Tables *t, const char *name, int len)
{
	Entry	   *entry = find_entry(t, name, len);

	if (entry == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("calendar \"%.*s\" does not exist", len, name),
				 errhint("Calendars are: %s. Others are made by a row in lead_qualify.calendar.",
						 lq_calendar_names())));
	if (entry->timetable.week == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("calendar \"%s\" has no hours", entry->name),
				 errhint("Set weekdays of its row in lead_qualify.calendar, such as '{1,2,3,4,5}' for Monday to Friday, or insert rows into lead_qualify.calendar_hours.")));
	return entry;
}

static const LqCalendar *
compile(Tables *t, Entry *entry, pg_tz *zone)
{
	MemoryContext old;
	Compiled   *compiled;

	if (entry->time_zone != NULL)
		zone = lq_time_zone(entry->time_zone);
	if (zone == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("time zone \"%s\" of calendar \"%s\" does not exist",
						entry->time_zone, entry->name),
				 errhint("Names are listed in pg_timezone_names.")));
	old = MemoryContextSwitchTo(t->cxt);
	compiled = palloc(sizeof(Compiled));
	compiled->zone = zone;
	compiled->calendar = lq_calendar_compile(&entry->timetable, zone);
	compiled->next = entry->compiled;
	entry->compiled = compiled;
	t->ncompiled++;
	MemoryContextSwitchTo(old);
	return compiled->calendar;
}

const LqCalendar *
lq_calendar_get(const char *name, int len, pg_tz *zone)
{
	Tables	   *t = tables_get();
	Entry	   *entry = usable_entry(t, name, len);

	for (Compiled *c = entry->compiled; c != NULL; c = c->next)
		if (c->zone == zone || entry->time_zone != NULL)
			return c->calendar;
	if (t->ncompiled >= MAX_COMPILED && entry->time_zone == NULL)
	{
		valid = false;
		t = tables_get();
		entry = usable_entry(t, name, len);
	}
	return compile(t, entry, zone);
}

/* ----------------------------------------------------------------
 * SQL functions
 * ----------------------------------------------------------------
 */

/* of (..., calendar) or (..., calendar, time_zone) */
static const LqCalendar *
calendar_argument(FunctionCallInfo fcinfo)
{
	text	   *name = PG_GETARG_TEXT_PP(2);
	pg_tz	   *zone = session_timezone;

	if (PG_NARGS() > 3)
	{
		char	   *zone_name = text_to_cstring(PG_GETARG_TEXT_PP(3));

		zone = lq_time_zone(zone_name);
		if (zone == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("time zone \"%s\" does not exist", zone_name),
					 errhint("Names are listed in pg_timezone_names.")));
		pfree(zone_name);
	}
	return lq_calendar_get(VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name), zone);
}

PG_FUNCTION_INFO_V1(lq_business_interval);

/*
 * business_interval(since, until, calendar = 'default' [, time_zone])
 */
Datum
lq_business_interval(PG_FUNCTION_ARGS)
{
	TimestampTz since = PG_GETARG_TIMESTAMPTZ(0);
	TimestampTz until = PG_GETARG_TIMESTAMPTZ(1);
	const LqCalendar *calendar = calendar_argument(fcinfo);
	Interval   *result = palloc0(sizeof(Interval));

	if (TIMESTAMP_NOT_FINITE(since) || TIMESTAMP_NOT_FINITE(until))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("business time from or until infinity is not defined"),
				 errhint("Replace infinite times, for example by now().")));
	if (!lq_business_length(calendar, since, until, &result->time))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("interval out of range")));
	PG_RETURN_INTERVAL_P(result);
}

PG_FUNCTION_INFO_V1(lq_business_time_add);

/*
 * business_time_add(since, amount, calendar = 'default' [, time_zone])
 */
Datum
lq_business_time_add(PG_FUNCTION_ARGS)
{
	TimestampTz since = PG_GETARG_TIMESTAMPTZ(0);
	Interval   *amount = PG_GETARG_INTERVAL_P(1);
	const LqCalendar *calendar = calendar_argument(fcinfo);
	int64		length;
	TimestampTz result;

	/* as everywhere, infinity stays what it is */
	if (TIMESTAMP_NOT_FINITE(since))
		PG_RETURN_TIMESTAMPTZ(since);
	if (!lq_interval_length(amount, &length) ||
		!lq_business_end(calendar, since, length, &result))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("timestamp out of range")));
	PG_RETURN_TIMESTAMPTZ(result);
}
