/*
 * business_time.h
 *		Business time: how much of a stretch of time lies in opening hours.
 *
 * Arithmetic over a compiled calendar: no catalog, no clock, no settings.
 */
#ifndef LQ_BUSINESS_TIME_H
#define LQ_BUSINESS_TIME_H

#include "pgtime.h"
#include "utils/date.h"
#include "utils/timestamp.h"

#define LQ_DAYS_PER_WEEK 7

/* from opens (inclusive) to closes (exclusive), microseconds after midnight */
typedef struct LqSpan
{
	int64		opens;
	int64		closes;
} LqSpan;

/* the hours of a day */
typedef struct LqHours
{
	int			nspans;
	LqSpan	   *spans;			/* once finished: in order, not touching */
	int64		length;			/* of all, microseconds */
} LqHours;

/* a day with hours of its own, mostly none */
typedef struct LqHoliday
{
	DateADT		day;
	LqHours		hours;
	int64		before;			/* business time at its first moment */
	int64		change;			/* by holidays so far, this one included */
} LqHoliday;

/*
 * Hours on the face of a clock that is never put forward or back.  Business
 * time is reckoned from the Monday before 2000-01-01.
 */
typedef struct LqTimetable
{
	LqHours		weekday[LQ_DAYS_PER_WEEK];	/* from Monday */
	int64		before[LQ_DAYS_PER_WEEK];	/* business time of the week so far */
	int64		week;			/* business time of a week without holidays */
	int			nholidays;
	LqHoliday  *holidays;		/* once finished: by day */
} LqTimetable;

/* how far the clock is ahead of UTC, from some moment on */
typedef struct LqOffset
{
	TimestampTz since;			/* of the first one: the beginning of time */
	int64		offset;			/* microseconds */
	int64		base;			/* business time is base + that of the timetable */
	int64		elapsed;		/* business time at since; not of the first one */
} LqOffset;

/* a timetable on the clock of a time zone */
typedef struct LqCalendar
{
	const LqTimetable *timetable;
	int			noffsets;
	LqOffset   *offsets;		/* in order */
} LqCalendar;

/* add a span to the hours of a day; allocates in CurrentMemoryContext */
extern void lq_hours_add(LqHours *hours, int64 opens, int64 closes);

/* all hours and holidays are in: sort, merge, sum */
extern void lq_timetable_finish(LqTimetable *timetable);

/* in CurrentMemoryContext; the timetable must stay, with week > 0 */
extern LqCalendar *lq_calendar_compile(const LqTimetable *timetable, pg_tz *zone);

/*
 * Business time between two finite moments, negative if until is earlier.
 * False if it is out of range.
 */
extern bool lq_business_length(const LqCalendar *calendar, TimestampTz since,
							   TimestampTz until, int64 *length);

/*
 * The moment at which so much business time has passed: of several the one
 * nearest to since.  False if it is out of range.
 */
extern bool lq_business_end(const LqCalendar *calendar, TimestampTz since,
							int64 length, TimestampTz *end);

#endif
