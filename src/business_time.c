/*
 * business_time.c
 *		Business time: how much of a stretch of time lies in opening hours.
 *
 * A moment is business time if the wall clock, read at that moment, is within
 * the hours of that day.  So an hour that the clock skips in spring is none,
 * and one that it repeats in autumn is two.
 *
 * Let T(local) be the business time from a fixed origin to a reading of a
 * clock that is never changed: whole weeks by multiplication, the week so far
 * from a table of seven, the day by its spans, and what holidays took away by
 * a binary search.  A time zone is a list of stretches of constant offset; in
 * each of them business time is T(moment + offset) plus a constant, chosen so
 * that the stretches join.  So it costs two binary searches, however long the
 * time, and as it is continuous and never falls it can be inverted the same
 * way.
 */
#include "postgres.h"

#include "business_time.h"
#include "common/int.h"

/* 2000-01-01, day 0, was a Saturday: days since its Monday */
#define DAYS_SINCE_MONDAY 5
#define USECS_PER_WEEK (LQ_DAYS_PER_WEEK * USECS_PER_DAY)

/*
 * Changes of the clock are taken from these years, as Unix times: 1900-01-01
 * and 2300-01-01.  Outside of them the nearest offset known stands.
 */
#define FIRST_CHANGE INT64CONST(-2208988800)
#define LAST_CHANGE INT64CONST(10413792000)

#define UNIX_EPOCH_SECS \
	((POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * (int64) SECS_PER_DAY)

/* ----------------------------------------------------------------
 * The hours of a day
 * ----------------------------------------------------------------
 */

void
lq_hours_add(LqHours *hours, int64 opens, int64 closes)
{
	if (opens >= closes)
		return;
	hours->spans = hours->nspans == 0 ? palloc(sizeof(LqSpan)) :
		repalloc(hours->spans, (hours->nspans + 1) * sizeof(LqSpan));
	hours->spans[hours->nspans].opens = opens;
	hours->spans[hours->nspans++].closes = closes;
}

static int
span_cmp(const void *a, const void *b)
{
	const LqSpan *left = a,
			   *right = b;

	return left->opens < right->opens ? -1 : left->opens > right->opens;
}

/* spans that overlap count once */
static void
hours_finish(LqHours *hours)
{
	int			kept = 0;

	if (hours->nspans > 1)
		qsort(hours->spans, hours->nspans, sizeof(LqSpan), span_cmp);
	for (int i = 0; i < hours->nspans; i++)
	{
		LqSpan	   *span = &hours->spans[i];

		if (kept > 0 && hours->spans[kept - 1].closes >= span->opens)
			hours->spans[kept - 1].closes =
				Max(hours->spans[kept - 1].closes, span->closes);
		else
			hours->spans[kept++] = *span;
	}
	hours->nspans = kept;
	hours->length = 0;
	for (int i = 0; i < kept; i++)
		hours->length += hours->spans[i].closes - hours->spans[i].opens;
}

/* business time of the day by that time of day */
static int64
hours_elapsed(const LqHours *hours, int64 time)
{
	int64		elapsed = 0;

	for (int i = 0; i < hours->nspans && hours->spans[i].opens < time; i++)
		elapsed += Min(time, hours->spans[i].closes) - hours->spans[i].opens;
	return elapsed;
}

/* the first time of day by which so much has elapsed; 0 < elapsed <= length */
static int64
hours_first(const LqHours *hours, int64 elapsed)
{
	int			i = 0;

	while (elapsed > hours->spans[i].closes - hours->spans[i].opens)
	{
		elapsed -= hours->spans[i].closes - hours->spans[i].opens;
		i++;
	}
	return hours->spans[i].opens + elapsed;
}

/* ----------------------------------------------------------------
 * The timetable
 * ----------------------------------------------------------------
 */

/* rounds down */
static int64
weeks_of(int64 usecs)
{
	int64		weeks = usecs / USECS_PER_WEEK;

	return weeks * USECS_PER_WEEK > usecs ? weeks - 1 : weeks;
}

/* of holidays that fall on that day or before it */
static int
count_holidays(const LqTimetable *timetable, int64 day)
{
	int			low = 0,
				high = timetable->nholidays;

	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (timetable->holidays[middle].day <= day)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* business time by a reading of the clock, microseconds since 2000-01-01 */
static int64
timetable_elapsed(const LqTimetable *timetable, int64 local)
{
	int64		since_monday = local + DAYS_SINCE_MONDAY * USECS_PER_DAY;
	int64		weeks = weeks_of(since_monday);
	int64		in_week = since_monday - weeks * USECS_PER_WEEK;
	int			weekday = (int) (in_week / USECS_PER_DAY);
	int64		time = in_week % USECS_PER_DAY;
	int64		day = weeks * LQ_DAYS_PER_WEEK + weekday - DAYS_SINCE_MONDAY;
	int			n = count_holidays(timetable, day);
	const LqHoliday *last = n == 0 ? NULL : &timetable->holidays[n - 1];

	if (last != NULL && last->day == day)
		return last->before + hours_elapsed(&last->hours, time);
	return weeks * timetable->week + timetable->before[weekday] +
		hours_elapsed(&timetable->weekday[weekday], time) +
		(last == NULL ? 0 : last->change);
}

/* as if there were no holidays; false if it is out of range */
static bool
week_first(const LqTimetable *timetable, int64 elapsed, int64 *local)
{
	int64		weeks = (elapsed - 1) / timetable->week;
	int64		rest;
	int			weekday = LQ_DAYS_PER_WEEK - 1;

	if (weeks * timetable->week > elapsed - 1)
		weeks--;
	rest = elapsed - weeks * timetable->week;	/* 1 to a whole week */
	while (timetable->before[weekday] >= rest)
		weekday--;
	rest = hours_first(&timetable->weekday[weekday],
					   rest - timetable->before[weekday]);
	return !pg_mul_s64_overflow(weeks, USECS_PER_WEEK, local) &&
		!pg_add_s64_overflow(*local, (weekday - DAYS_SINCE_MONDAY) * USECS_PER_DAY + rest,
							 local);
}

/* the first reading by which so much has elapsed; false if it is out of range */
static bool
timetable_first(const LqTimetable *timetable, int64 elapsed, int64 *local)
{
	const LqHoliday *holidays = timetable->holidays;
	int			low = 0,
				high = timetable->nholidays;
	int64		change;

	/* the first holiday by whose end it has */
	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (holidays[middle].before + holidays[middle].hours.length >= elapsed)
			high = middle;
		else
			low = middle + 1;
	}
	if (low < timetable->nholidays && holidays[low].before < elapsed)
	{
		*local = holidays[low].day * USECS_PER_DAY +
			hours_first(&holidays[low].hours, elapsed - holidays[low].before);
		return true;
	}
	change = low == 0 ? 0 : holidays[low - 1].change;
	return !pg_sub_s64_overflow(elapsed, change, &elapsed) &&
		elapsed > PG_INT64_MIN &&
		week_first(timetable, elapsed, local);
}

static int
holiday_cmp(const void *a, const void *b)
{
	const LqHoliday *left = a,
			   *right = b;

	return left->day < right->day ? -1 : left->day > right->day;
}

void
lq_timetable_finish(LqTimetable *timetable)
{
	int			nholidays = timetable->nholidays;

	timetable->week = 0;
	for (int i = 0; i < LQ_DAYS_PER_WEEK; i++)
	{
		hours_finish(&timetable->weekday[i]);
		timetable->before[i] = timetable->week;
		timetable->week += timetable->weekday[i].length;
	}

	if (nholidays > 1)
		qsort(timetable->holidays, nholidays, sizeof(LqHoliday), holiday_cmp);
	/* each of them starts from what those before it make of the timetable */
	for (int i = 0; i < nholidays; i++)
	{
		LqHoliday  *holiday = &timetable->holidays[i];
		int64		midnight = holiday->day * USECS_PER_DAY;

		hours_finish(&holiday->hours);
		timetable->nholidays = i;
		holiday->before = timetable_elapsed(timetable, midnight);
		holiday->change = (i == 0 ? 0 : holiday[-1].change) +
			holiday->hours.length -
			(timetable_elapsed(timetable, midnight + USECS_PER_DAY) - holiday->before);
	}
	timetable->nholidays = nholidays;
}

/* ----------------------------------------------------------------
 * The calendar: the timetable in a time zone
 * ----------------------------------------------------------------
 */

/* from then on the clock is ahead of UTC by that much */
static void
add_offset(LqCalendar *calendar, TimestampTz since, int64 offset)
{
	LqOffset   *last = &calendar->offsets[calendar->noffsets - 1];
	LqOffset   *next = last + 1;

	next->since = since;
	next->offset = offset;
	next->elapsed = last->base +
		timetable_elapsed(calendar->timetable, since + last->offset);
	next->base = next->elapsed -
		timetable_elapsed(calendar->timetable, since + offset);
	calendar->noffsets++;
}

LqCalendar *
lq_calendar_compile(const LqTimetable *timetable, pg_tz *zone)
{
	LqCalendar *calendar = palloc0(sizeof(LqCalendar));
	pg_time_t	at = FIRST_CHANGE;
	pg_time_t	change;
	long int	before,
				after;
	int			dst_before,
				dst_after;
	int			allocated = 256;
	int			found;

	calendar->timetable = timetable;
	calendar->offsets = palloc0(allocated * sizeof(LqOffset));
	calendar->offsets[0].since = DT_NOBEGIN;
	calendar->noffsets = 1;
	found = pg_next_dst_boundary(&at, &before, &dst_before, &change,
								 &after, &dst_after, zone);
	if (found >= 0)
		calendar->offsets[0].offset = before * USECS_PER_SEC;
	while (found > 0 && change < LAST_CHANGE)
	{
		if (calendar->noffsets == allocated)
		{
			allocated *= 2;
			calendar->offsets = repalloc(calendar->offsets,
										 allocated * sizeof(LqOffset));
		}
		/* some changes are only of the name */
		if (after != before)
			add_offset(calendar, (change - UNIX_EPOCH_SECS) * USECS_PER_SEC,
					   after * USECS_PER_SEC);
		at = change;
		found = pg_next_dst_boundary(&at, &before, &dst_before, &change,
									 &after, &dst_after, zone);
	}
	return calendar;
}

/* business time by a moment */
static int64
calendar_elapsed(const LqCalendar *calendar, TimestampTz at)
{
	int			low = 0,
				high = calendar->noffsets - 1;

	/* the last one that began by then */
	while (low < high)
	{
		int			middle = (low + high + 1) / 2;

		if (calendar->offsets[middle].since <= at)
			low = middle;
		else
			high = middle - 1;
	}
	return calendar->offsets[low].base +
		timetable_elapsed(calendar->timetable, at + calendar->offsets[low].offset);
}

/* the first moment by which so much has elapsed; false if it is out of range */
static bool
calendar_first(const LqCalendar *calendar, int64 elapsed, TimestampTz *at)
{
	int			low = 0,
				high = calendar->noffsets - 1;

	/* the first one by whose end it has */
	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (calendar->offsets[middle + 1].elapsed >= elapsed)
			high = middle;
		else
			low = middle + 1;
	}
	return !pg_sub_s64_overflow(elapsed, calendar->offsets[low].base, &elapsed) &&
		timetable_first(calendar->timetable, elapsed, at) &&
		!pg_sub_s64_overflow(*at, calendar->offsets[low].offset, at) &&
		IS_VALID_TIMESTAMP(*at);
}

/* ----------------------------------------------------------------
 * For callers
 * ----------------------------------------------------------------
 */

bool
lq_business_length(const LqCalendar *calendar, TimestampTz since,
				   TimestampTz until, int64 *length)
{
	return !pg_sub_s64_overflow(calendar_elapsed(calendar, until),
								calendar_elapsed(calendar, since), length);
}

bool
lq_business_end(const LqCalendar *calendar, TimestampTz since,
				int64 length, TimestampTz *end)
{
	int64		elapsed;

	if (length == 0)
	{
		*end = since;
		return true;
	}
	if (pg_add_s64_overflow(calendar_elapsed(calendar, since), length, &elapsed))
		return false;
	if (length > 0)
		return calendar_first(calendar, elapsed, end);

	/*
	 * Backwards the nearest is the last moment by which no more has elapsed:
	 * a microsecond before the first by which one more has.
	 */
	if (elapsed == PG_INT64_MAX || !calendar_first(calendar, elapsed + 1, end))
		return false;
	*end -= 1;
	return IS_VALID_TIMESTAMP(*end);
}
