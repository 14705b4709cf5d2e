/*
 * notify.c
 *		NOTIFY lead_qualify: one message a move, or one a pipeline where a
 *		transaction makes many.
 *
 * Only at the end of the transaction is it known how many moves it makes, so
 * they are collected, and turned into notifications before the server puts
 * its own into the queue.  By then all deferred triggers have run.
 *
 * What is collected is a stack: a subtransaction that rolls back takes away
 * the top of it.  SubTransactionIds grow, and while one is open only it and
 * those inside it add to the stack, so the top is what bears its number or a
 * later one.  Hence nothing is to be done when one commits, and of a long
 * stack only the beginning needs to be kept in detail: whatever is taken away,
 * a stack that has become short has all its details.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "commands/async.h"
#include "lead_qualify.h"
#include "notify.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/json.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#define CHANNEL "lead_qualify"

/* moves in a transaction that are told one by one */
#define MAX_MOVES 1000

/* what the server refuses: NOTIFY_PAYLOAD_MAX_LENGTH, which only async.c knows */
#define MAX_PAYLOAD (BLCKSZ - NAMEDATALEN - 128)

/* one move, or from MAX_MOVES on several */
typedef struct Entry
{
	SubTransactionId subxact;
	const char *pipeline;
	int64		moves;
	const char *payload;		/* of one; NULL: only counted */
} Entry;

/* all in TopTransactionContext */
static Entry *entries = NULL;
static int	nentries = 0;
static int	maxentries = 0;
static int64 nmoves = 0;		/* of all entries */

/* ----------------------------------------------------------------
 * Messages
 * ----------------------------------------------------------------
 */

static void
append_member(StringInfo buf, const char *name, const char *value)
{
	appendStringInfo(buf, "%s\"%s\": ", buf->len == 0 ? "{" : ", ", name);
	if (value == NULL)
		appendStringInfoString(buf, "null");
	else
		escape_json(buf, value);
}

/* in UTC, whatever the session's time zone is */
static const char *
time_text(TimestampTz at)
{
	int			utc = 0;
	char	   *buf = palloc(MAXDATELEN + 1);

	return JsonEncodeDateTime(buf, TimestampTzGetDatum(at), TIMESTAMPTZOID, &utc);
}

/* NULL if it is longer than the server takes */
static const char *
move_payload(LqPipeline *p, Datum lead, const LqMove *move)
{
	StringInfoData buf;
	char	   *key = lq_key_text(p, lead);

	initStringInfo(&buf);
	append_member(&buf, "pipeline", p->name);
	append_member(&buf, "lead", key);
	appendStringInfo(&buf, ", \"cycle\": %d", move->cycle);
	append_member(&buf, "from", move->from_stage);
	append_member(&buf, "to", move->stage);
	append_member(&buf, "at", time_text(move->at));
	appendStringInfoChar(&buf, '}');
	return buf.len >= MAX_PAYLOAD ? NULL : buf.data;
}

static void
send_count(const char *pipeline, int64 moves)
{
	StringInfoData buf;

	initStringInfo(&buf);
	append_member(&buf, "pipeline", pipeline);
	appendStringInfo(&buf, ", \"moves\": " INT64_FORMAT "}", moves);
	Async_Notify(CHANNEL, buf.data);
}

static int64
moves_of(const char *pipeline)
{
	int64		moves = 0;

	for (int i = 0; i < nentries; i++)
		if (strcmp(entries[i].pipeline, pipeline) == 0)
			moves += entries[i].moves;
	return moves;
}

static void
send_summaries(void)
{
	List	   *told = NIL;

	for (int i = 0; i < nentries; i++)
	{
		const char *pipeline = entries[i].pipeline;
		bool		known = false;
		ListCell   *lc;

		foreach(lc, told)
			known = known || strcmp(lfirst(lc), pipeline) == 0;
		if (known)
			continue;
		send_count(pipeline, moves_of(pipeline));
		told = lappend(told, unconstify(char *, pipeline));
	}
}

static void
send_all(void)
{
	if (nmoves > MAX_MOVES)
	{
		send_summaries();
		return;
	}
	for (int i = 0; i < nentries; i++)
	{
		if (entries[i].payload != NULL)
			Async_Notify(CHANNEL, entries[i].payload);
		else
			send_count(entries[i].pipeline, entries[i].moves);
	}
}

/* ----------------------------------------------------------------
 * The end of transactions
 * ----------------------------------------------------------------
 */

static void
forget(void)
{
	entries = NULL;				/* freed with TopTransactionContext */
	nentries = maxentries = 0;
	nmoves = 0;
}

static void
xact_callback(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_COMMIT:
			if (nentries > 0 && lq_notify)
				send_all();
			break;
		case XACT_EVENT_PRE_PREPARE:
			if (nentries > 0 && lq_notify)
				ereport(ERROR,
						(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						 errmsg("cannot PREPARE a transaction that has moved leads and is to notify listeners of it"),
						 errhint("SET lead_qualify.notify = off where two-phase commit is used, and read the stage history instead.")));
			break;
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			forget();
			break;
		default:
			break;
	}
}

static void
subxact_callback(SubXactEvent event, SubTransactionId mySubid,
				 SubTransactionId parentSubid, void *arg)
{
	if (event != SUBXACT_EVENT_ABORT_SUB)
		return;
	while (nentries > 0 && entries[nentries - 1].subxact >= mySubid)
		nmoves -= entries[--nentries].moves;
}

void
lq_notify_init(void)
{
	RegisterXactCallback(xact_callback, NULL);
	RegisterSubXactCallback(subxact_callback, NULL);
}

/* ----------------------------------------------------------------
 * Collecting
 * ----------------------------------------------------------------
 */

/* the first stage of a lead is none that it moved to */
static bool
is_told(const LqPipeline *p, const LqMove *move, const char *origin)
{
	return lq_notify && !p->shadow && move->from_stage != NULL &&
		strcmp(origin, "live") == 0 && p->notify_within > 0 &&
		GetCurrentTransactionStartTimestamp() - move->at < p->notify_within;
}

static Entry *
push_entry(const char *pipeline)
{
	Entry	   *last = nentries == 0 ? NULL : &entries[nentries - 1];
	Entry	   *entry;

	if (nentries == maxentries)
	{
		maxentries = Max(8, maxentries * 2);
		if (entries == NULL)
			entries = palloc(maxentries * sizeof(Entry));
		else
			entries = repalloc(entries, maxentries * sizeof(Entry));
		last = nentries == 0 ? NULL : &entries[nentries - 1];
	}
	entry = &entries[nentries++];
	entry->subxact = GetCurrentSubTransactionId();
	entry->pipeline = last != NULL && strcmp(last->pipeline, pipeline) == 0 ?
		last->pipeline : pstrdup(pipeline);
	entry->moves = 0;
	entry->payload = NULL;
	return entry;
}

void
lq_notify_move(LqPipeline *p, Datum lead, const LqMove *move, const char *origin)
{
	Entry	   *last = nentries == 0 ? NULL : &entries[nentries - 1];
	MemoryContext old;

	if (!is_told(p, move, origin))
		return;
	old = MemoryContextSwitchTo(TopTransactionContext);
	if (nmoves < MAX_MOVES)
	{
		last = push_entry(p->name);
		last->payload = move_payload(p, lead, move);
	}
	else if (last->payload != NULL || last->subxact != GetCurrentSubTransactionId() ||
			 strcmp(last->pipeline, p->name) != 0)
		last = push_entry(p->name);
	last->moves++;
	nmoves++;
	MemoryContextSwitchTo(old);
}
