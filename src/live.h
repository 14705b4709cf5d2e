/*
 * live.h
 *		What the triggers share.
 */
#ifndef LQ_LIVE_H
#define LQ_LIVE_H

#include "commands/trigger.h"
#include "events.h"
#include "sql.h"

/* a trigger at work: the pipeline, with its tables locked against publish, as the leads owner */
typedef struct LqLive
{
	LqPipeline *pipeline;
	MemoryContext cxt;			/* work, deleted at the end */
	MemoryContext outer;
	LqUser		user;
	Oid			caller;
	bool		inserting;		/* leads, which are new to us */
} LqLive;

/* an activity that arrived; event NULL: updated or deleted, the lead is replayed */
typedef struct LqArrival
{
	Datum		lead;
	LqEvent    *event;
} LqArrival;

typedef struct LqArrivals
{
	int			count;
	int			max;
	LqArrival  *rows;
} LqArrivals;

/*
 * A lead that somebody is about to replay: what happens to its activities
 * meanwhile needs no replay of its own.
 */
typedef struct LqBusy
{
	const char *pipeline;
	Datum		lead;
	struct LqBusy *next;
} LqBusy;

/* from now on these; returns those before, to be put back, also after an error */
extern LqBusy *lq_live_busy(LqBusy *leads);
extern void lq_trigger_check(TriggerData *trigdata, const char *function);
extern bool lq_live_check(LqLive *live, TriggerData *trigdata, const char *function);
extern bool lq_live_begin(LqLive *live, TriggerData *trigdata, const char *function);
extern void lq_live_end(LqLive *live);
extern void lq_live_cases_init(LqLive *live, LqCases *cases);
extern void lq_live_by_hand(LqEvent *event, Oid caller);
extern void lq_live_run(LqLive *live, LqCases *cases);
extern void lq_transition_rows(TriggerData *trigdata, Tuplestorestate *store,
							   void (*row) (void *arg, TupleTableSlot *slot),
							   void *arg);
extern void lq_arrivals_add(LqArrivals *arrivals, Datum lead, const LqEvent *event);
extern void lq_arrivals_take(LqArrivals *arrivals, LqReader *reader, TupleTableSlot *slot,
							 bool replay);
extern void lq_live_read(LqReader *reader, void (*body) (void *arg), void *arg);
extern void lq_live_arrivals(LqLive *live, LqArrivals *arrivals);
extern LqSource *lq_live_source(LqLive *live, TriggerData *trigdata);

/* bulk.c */
extern void lq_live_bulk(LqLive *live, LqReader *reader, TriggerData *trigdata);

/* lead_trigger.c: is what happens to the answers our own doing? */
extern bool lq_follows_lead(void);

/* ... and what goes and what stays when a lead is no more */
extern uint64 lq_lead_forget(LqPipeline *p, Datum key);

/* newcomers.c */
extern void lq_newcomers_leads(LqCases *cases);
extern void lq_newcomers_activities(LqCases *cases);
extern void lq_newcomers_init(void);	/* from _PG_init */

/* deferred.c */
extern void lq_deferred_collect(LqLive *live, LqSource *source, TriggerData *trigdata);
extern bool lq_deferred_waits(const char *pipeline);
extern void lq_deferred_flush(LqLive *live);
extern void lq_deferred_init(void); /* from _PG_init */

#endif
