/*
 * lead_qualify.h
 *		Settings.
 */
#ifndef LEAD_QUALIFY_H
#define LEAD_QUALIFY_H

extern char *lq_origin;			/* lead_qualify.origin */
extern char *lq_actor;			/* lead_qualify.actor */
extern char *lq_reason;			/* lead_qualify.reason */
extern char *lq_language;		/* lead_qualify.language */
extern bool lq_notify;			/* lead_qualify.notify */
extern bool lq_worker;			/* lead_qualify.worker */
extern int	lq_naptime;			/* lead_qualify.naptime, seconds */
extern char *lq_databases;		/* lead_qualify.databases */

#endif
