/*
 * events.h
 *		From rows to events.
 */
#ifndef LQ_EVENTS_H
#define LQ_EVENTS_H

#include "state.h"

#define LQ_FETCH_ROWS 5000		/* activities at a time */

/* reads activity rows of one source */
typedef struct LqReader
{
	LqPipeline *pipeline;
	LqSource   *source;
	Relation	rel;			/* the table the rows come from: a partition, a shard */
	LqGuard    *guard;
	bool		live;			/* warn of rows that are passed over */
	bool		explaining;		/* fill in source_name and key_text */
	bool		warned;
} LqReader;

extern bool lq_activity_read(LqReader *reader, TupleTableSlot *slot,
							 LqEvent *event, Datum *lead);
extern bool lq_activity_lead(LqReader *reader, TupleTableSlot *slot, Datum *lead);
extern bool lq_activity_at(LqReader *reader, TupleTableSlot *slot, TimestampTz *at, bool *isnull);
extern bool lq_activity_key(LqReader *reader, TupleTableSlot *slot, int64 *number, char **text);
extern char *lq_activity_type(LqReader *reader, TupleTableSlot *slot);
extern void lq_append_activities(StringInfo buf, const LqSource *source, Relation rel);
extern void lq_append_about_leads(StringInfo buf, const LqPipeline *p, const LqSource *source);
extern void lq_events_load(LqCases *cases, bool explaining);

#endif
