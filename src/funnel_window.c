/*
 * funnel_window.c
 *		The end of a window: timestamptz + interval, fast and without overflow.
 *
 * Days and months are those of the calendar in the session's time zone, so a
 * later beginning may even mean an earlier end: from January 29, 23:00, and
 * from January 30, 1:00, a month ends on February 28, at 23:00 and at 1:00.
 * Nothing here or in funnel.c assumes otherwise.
 *
 * The arithmetic of the server costs more than all the rest of a funnel, yet
 * between two changes of the clock every window of some days has one length.
 * Those lengths are kept, with the span of time in which each is valid.  A
 * window with months is computed each time.
 */
#include "postgres.h"

#include "funnel.h"

#include "compat.h"
#include "fmgr.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"

#define UNIX_EPOCH_SECS \
	((POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * (int64) SECS_PER_DAY)

/* a Gregorian month on average; so many months differ by three days at most */
#define USECS_PER_MONTH (30.436875 * USECS_PER_DAY)
#define MONTHS_MARGIN (5.0 * USECS_PER_DAY)

/*
 * So long before the clock changes no reading of it is ambiguous yet: in some
 * places it was once put back by a whole day.
 */
#define CHANGE_MARGIN (2 * USECS_PER_DAY)

bool
lq_window_is_positive(const Interval *interval)
{
	Interval	zero = {0};

	return DatumGetBool(DirectFunctionCall2(interval_gt, IntervalPGetDatum(interval),
											IntervalPGetDatum(&zero)));
}

void
lq_window_init(LqFunnelWindow *window, const Interval *interval)
{
	window->interval = *interval;
	window->zone = session_timezone;
	window->nspans = 0;
	window->oldest = 0;
	if (interval->month == 0 && interval->day == 0)
	{
		window->spans[0].from = MIN_TIMESTAMP;
		window->spans[0].until = END_TIMESTAMP - interval->time;
		window->spans[0].length = interval->time;
		window->nspans = 1;
	}
}

/*
 * Would the server's arithmetic leave the range of time, at the end or on the
 * way there?  Returns by which side, or 0.  That it is asked of an estimate
 * makes no difference to events in the next 290,000 years.
 */
static int
out_of_range(const Interval *interval, TimestampTz begin)
{
	double		parts[3] = {interval->month * USECS_PER_MONTH,
		interval->day * (double) USECS_PER_DAY, interval->time};
	double		at = begin;

	for (int i = 0; i < lengthof(parts); i++)
	{
		at += parts[i];
		if (at >= END_TIMESTAMP - MONTHS_MARGIN)
			return 1;
		if (parts[i] < 0 && at <= MIN_TIMESTAMP + MONTHS_MARGIN)
			return -1;
	}
	return 0;
}

/*
 * How far the clock is ahead of UTC, and until when it stays so.  False if
 * that is not known.
 */
static bool
clock_offset(pg_tz *zone, TimestampTz at, int64 *offset, TimestampTz *until)
{
	int64		rounding = at < 0 ? USECS_PER_SEC - 1 : 0;	/* down */
	pg_time_t	time = (at - rounding) / USECS_PER_SEC + UNIX_EPOCH_SECS;
	pg_time_t	change;
	long		before,
				after;
	int			before_dst,
				after_dst;
	int			found = pg_next_dst_boundary(&time, &before, &before_dst, &change,
											 &after, &after_dst, zone);

	if (found < 0)
		return false;
	*offset = before * USECS_PER_SEC;
	if (found == 0 ||
		change >= END_TIMESTAMP / USECS_PER_SEC + UNIX_EPOCH_SECS)
		*until = END_TIMESTAMP;
	else
		*until = (change - UNIX_EPOCH_SECS) * USECS_PER_SEC;
	return true;
}

/*
 * This window, which has no months, lasts from begin to end: later ones are as
 * long until the clock changes, where they begin or shortly before where they
 * end.
 */
static void
remember_length(LqFunnelWindow *window, TimestampTz begin, TimestampTz end)
{
	/* days are counted by the clock, then the time is added as it is */
	TimestampTz after_days = end - window->interval.time;
	int64		days = window->interval.day * USECS_PER_DAY;
	LqWindowSpan span;
	TimestampTz until;
	int64		offset,
				offset_after;

	if (!clock_offset(window->zone, begin, &offset, &span.until) ||
		!clock_offset(window->zone, after_days, &offset_after, &until))
		return;
	/* a reading that the clock skips is no measure for the next one */
	if (after_days - begin != days + offset - offset_after)
		return;
	span.from = begin;
	span.length = end - begin;
	span.until = Min(span.until, until - CHANGE_MARGIN - (after_days - begin));
	if (span.until <= begin)
		return;

	/* mostly it is known already, from a later beginning on */
	for (int i = 0; i < window->nspans; i++)
	{
		if (window->spans[i].until == span.until &&
			window->spans[i].length == span.length)
		{
			window->spans[i].from = Min(window->spans[i].from, begin);
			return;
		}
	}
	if (window->nspans < LQ_WINDOW_SPANS)
		window->spans[window->nspans++] = span;
	else
	{
		window->spans[window->oldest] = span;
		window->oldest = (window->oldest + 1) % LQ_WINDOW_SPANS;
	}
}

/* as the server adds them; the end of time if it is past that */
static TimestampTz
add_interval(LqFunnelWindow *window, TimestampTz begin)
{
	Interval   *interval = &window->interval;
	TimestampTz end;
	int			side;

	if (INTERVAL_NOT_FINITE(interval))
		return DT_NOEND;
	if (TIMESTAMP_NOT_FINITE(begin))
		return begin;
	side = out_of_range(interval, begin);
	if (side != 0)
		return side > 0 ? DT_NOEND : begin;

	end = DatumGetTimestampTz(DirectFunctionCall2(timestamptz_pl_interval,
												  TimestampTzGetDatum(begin),
												  IntervalPGetDatum(interval)));
	/* "1 month -29 days" is positive, but not in every February */
	if (end < begin)
		return begin;
	if (interval->month == 0)
		remember_length(window, begin, end);
	return end;
}

TimestampTz
lq_window_end(LqFunnelWindow *window, TimestampTz begin)
{
	for (int i = 0; i < window->nspans; i++)
	{
		const LqWindowSpan *span = &window->spans[i];

		if (begin >= span->from && begin < span->until)
			return begin + span->length;
	}
	return add_interval(window, begin);
}
