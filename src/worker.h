/*
 * worker.h
 *		The background worker: a launcher that waits, and processes that it
 *		starts in a database when there is something to do.
 */
#ifndef LQ_WORKER_H
#define LQ_WORKER_H

#include "datatype/timestamp.h"

/* owners of leads that are due, as one look reports them; others wait for the next */
#define LQ_MAX_OWNERS 32

/* what the launcher asks of a process, in bgw_extra */
typedef struct LqTask
{
	Oid			database;
	Oid			owner;			/* advance the due leads of his; InvalidOid: look */
	uint32		number;
} LqTask;

/* what a look found */
typedef struct LqLook
{
	uint32		number;			/* of the task that it answers */
	bool		answered;
	TimestampTz next_due;		/* of what is not due yet; DT_NOEND: none */
	int			nowners;
	Oid			owners[LQ_MAX_OWNERS];
} LqLook;

extern void lq_worker_init(void);	/* from _PG_init */

/* launcher.c, for the processes that it starts */
extern void lq_look_answer(const LqLook *look);
extern void lq_failed(const char *pipeline, bool in_part);
extern void lq_succeeded(const char *pipeline);
extern int	lq_failures(const char *pipeline, TimestampTz *not_before);

#endif
