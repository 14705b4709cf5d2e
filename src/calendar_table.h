/*
 * calendar_table.h
 *		The business calendars as the tables have them now, cached per
 *		backend.
 */
#ifndef LQ_CALENDAR_TABLE_H
#define LQ_CALENDAR_TABLE_H

#include "business_time.h"

/* holidays are in these years; the table has the same as a CHECK constraint */
#define LQ_HOLIDAY_FIRST_YEAR 1
#define LQ_HOLIDAY_LAST_YEAR 9999

/*
 * Valid until the next call, or the next invalidation: use it before anything
 * that may open a relation.  zone is that of a calendar which names none.  A
 * calendar that is unknown or cannot be used is an error.
 */
extern const LqCalendar *lq_calendar_get(const char *name, int len, pg_tz *zone);
extern bool lq_calendar_exists(const char *name);
/* "\"default\", \"berlin\"": what there is, for messages */
extern char *lq_calendar_names(void);
/* NULL if there is no such time zone */
extern pg_tz *lq_time_zone(const char *name);
extern void lq_calendar_init(void); /* from _PG_init */

#endif
