/*
 * notify.h
 *		Telling listeners that leads have moved.
 */
#ifndef LQ_NOTIFY_H
#define LQ_NOTIFY_H

#include "model.h"

/* a row that is being added to the stage history */
extern void lq_notify_move(LqPipeline *pipeline, Datum lead, const LqMove *move,
						   const char *origin);
extern void lq_notify_init(void);	/* from _PG_init */

#endif
