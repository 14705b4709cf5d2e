/*
 * calendar_edit.c
 *		The trigger of the tables calendar, calendar_hours and holiday.
 *
 * It says what is wrong with a row in more words than a CHECK constraint can,
 * and looks after shipped calendars (shipped_row.c).
 */
#include "postgres.h"

#include "calendar_table.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "shipped_row.h"
#include "sql.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/rel.h"

static const LqShippedTable shipped_calendar = {
	"calendar", {"calendar"}, "calendar \"%s\"",
	{"cannot delete shipped %s", LQ_SHIPPED_DETAIL,
	"To change it, use UPDATE. " LQ_SHIPPED_UNDO},
	{"cannot rename shipped %s", LQ_SHIPPED_DETAIL, "Insert a row of the new name."},
	{"cannot write shipped %s", LQ_SHIPPED_DETAIL,
	"Leave shipped at its default, false: your row then hides a shipped one of the same name."},
};

/* ----------------------------------------------------------------
 * Columns
 * ----------------------------------------------------------------
 */

/* as it is shown; NULL if it is null: NOT NULL is checked by the constraint */
static char *
column_shown(Relation rel, HeapTuple tuple, const char *name)
{
	return SPI_getvalue(tuple, RelationGetDescr(rel), lq_column_number(rel, name));
}

/* "" if it is null */
static char *
calendar_name(Relation rel, HeapTuple tuple)
{
	char	   *name = column_shown(rel, tuple, "calendar");

	return name == NULL ? "" : name;
}

/* ----------------------------------------------------------------
 * What a row may say
 * ----------------------------------------------------------------
 */

static void
check_span(Relation rel, HeapTuple tuple, const char *constraint)
{
	bool		no_opens,
				no_closes;
	Datum		opens = lq_column(rel, tuple, "opens", &no_opens),
				closes = lq_column(rel, tuple, "closes", &no_closes);

	if (no_opens || no_closes || DatumGetTimeADT(opens) < DatumGetTimeADT(closes))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_CHECK_VIOLATION),
			 errmsg("calendar \"%s\" cannot close at %s when it opens at %s",
					calendar_name(rel, tuple), column_shown(rel, tuple, "closes"),
					column_shown(rel, tuple, "opens")),
			 strcmp(RelationGetRelationName(rel), "holiday") == 0 ?
			 errhint("The end of the day is 24:00.") :
			 errhint("The end of the day is 24:00. Hours through midnight are two rows of lead_qualify.calendar_hours: until 24:00, and from 00:00 on the next weekday."),
			 errtableconstraint(rel, constraint)));
}

static void
check_weekday(Relation rel, HeapTuple tuple, bool isnull, int weekday,
			  const char *constraint)
{
	if (!isnull && weekday >= 1 && weekday <= LQ_DAYS_PER_WEEK)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_CHECK_VIOLATION),
			 errmsg("%s is no weekday (calendar \"%s\")",
					isnull ? "NULL" : psprintf("%d", weekday), calendar_name(rel, tuple)),
			 errhint("Weekdays go from 1, Monday, to 7, Sunday."),
			 errtableconstraint(rel, constraint)));
}

static void
check_calendar(Relation rel, HeapTuple tuple)
{
	char	   *time_zone = column_shown(rel, tuple, "time_zone");
	bool		isnull;
	Datum		weekdays = lq_column(rel, tuple, "weekdays", &isnull);
	Datum	   *days;
	bool	   *nulls;
	int			ndays = 0;

	if (time_zone != NULL && lq_time_zone(time_zone) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_CHECK_VIOLATION),
				 errmsg("time zone \"%s\" does not exist", time_zone),
				 errhint("Names are listed in pg_timezone_names. NULL is the time zone of the session, or of the pipeline that a report is about.")));
	if (!isnull)
		deconstruct_array(DatumGetArrayTypeP(weekdays), INT4OID, sizeof(int32),
						  true, TYPALIGN_INT, &days, &nulls, &ndays);
	for (int i = 0; i < ndays; i++)
		check_weekday(rel, tuple, nulls[i], nulls[i] ? 0 : DatumGetInt32(days[i]),
					  "calendar_weekdays_range");
	check_span(rel, tuple, "calendar_closes_later");
}

/* not an error: a dump may be restored in any order */
static void
warn_unknown_calendar(Relation rel, HeapTuple tuple)
{
	char	   *name = calendar_name(rel, tuple);

	if (!lq_calendar_exists(name))
		ereport(WARNING,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("calendar \"%s\" does not exist", name),
				 errdetail("The row has no effect until there is such a row in lead_qualify.calendar."),
				 errhint("Calendars are: %s.", lq_calendar_names())));
}

static void
check_hours(Relation rel, HeapTuple tuple)
{
	bool		isnull;
	Datum		weekday = lq_column(rel, tuple, "weekday", &isnull);

	if (!isnull)
		check_weekday(rel, tuple, false, DatumGetInt32(weekday),
					  "calendar_hours_weekday_range");
	check_span(rel, tuple, "calendar_hours_closes_later");
	warn_unknown_calendar(rel, tuple);
}

static void
check_holiday(Relation rel, HeapTuple tuple)
{
	bool		no_opens,
				no_closes;

	lq_column(rel, tuple, "opens", &no_opens);
	lq_column(rel, tuple, "closes", &no_closes);
	if (no_opens != no_closes)
		ereport(ERROR,
				(errcode(ERRCODE_CHECK_VIOLATION),
				 errmsg("holiday %s of calendar \"%s\" has only one of opens and closes",
						column_shown(rel, tuple, "day"), calendar_name(rel, tuple)),
				 errhint("Give both for a day with short hours, none for a day that is closed."),
				 errtableconstraint(rel, "holiday_closes_later")));
	check_span(rel, tuple, "holiday_closes_later");
	warn_unknown_calendar(rel, tuple);
}

PG_FUNCTION_INFO_V1(lq_calendar_edit);

/*
 * Trigger: on calendar BEFORE and AFTER each row and BEFORE TRUNCATE, on
 * calendar_hours and holiday BEFORE INSERT and UPDATE of each row.
 */
Datum
lq_calendar_edit(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = lq_shipped_trigger(fcinfo, "calendar_edit");
	Relation	rel = trigdata->tg_relation;
	HeapTuple	tuple = TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event) ?
		trigdata->tg_newtuple : trigdata->tg_trigtuple;

	if (strcmp(RelationGetRelationName(rel), shipped_calendar.name) != 0)
	{
		if (strcmp(RelationGetRelationName(rel), "calendar_hours") == 0)
			check_hours(rel, tuple);
		else
			check_holiday(rel, tuple);
		return PointerGetDatum(tuple);
	}
	if (TRIGGER_FIRED_AFTER(trigdata->tg_event))
	{
		lq_shipped_after(trigdata);
		return PointerGetDatum(NULL);
	}
	tuple = lq_shipped_before(&shipped_calendar, trigdata, tuple);
	if (tuple != NULL && !TRIGGER_FIRED_BY_DELETE(trigdata->tg_event))
		check_calendar(rel, tuple);
	return PointerGetDatum(tuple);
}
