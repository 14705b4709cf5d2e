/*
 * shipped_row.h
 *		Tables with rows that the extension ships and that a user's row of the
 *		same key hides.
 */
#ifndef LQ_SHIPPED_ROW_H
#define LQ_SHIPPED_ROW_H

#include "commands/trigger.h"
#include "fmgr.h"

/* why something cannot be done to a row */
typedef struct LqRefusal
{
	const char *message;		/* %s is the row */
	const char *detail;			/* NULL: none */
	const char *hint;
} LqRefusal;

typedef struct LqShippedTable
{
	const char *name;
	const char *keys[2];		/* columns of type text that are the key beside
								 * shipped; the second may be NULL */
	const char *row;			/* a row in messages: %1$s and %2$s are its key */
	LqRefusal	no_delete;		/* of a shipped row */
	LqRefusal	no_rename;		/* of a shipped row */
	LqRefusal	no_write;		/* by a user, of a row that says it is shipped */
} LqShippedTable;

#define LQ_SHIPPED_DETAIL \
	"Shipped rows belong to the extension; rows with shipped = false are yours."
#define LQ_SHIPPED_UNDO "To undo your edits, DELETE ... WHERE NOT shipped."

/*
 * The call as a trigger of ours; anything else is an error, and so is
 * TRUNCATE.  name is the trigger function's.
 */
extern TriggerData *lq_shipped_trigger(FunctionCallInfo fcinfo, const char *name);
/*
 * BEFORE each row: what to write instead of it, NULL for nothing.  new is the
 * new row as the table wants it; of a DELETE it is the old one.
 */
extern HeapTuple lq_shipped_before(const LqShippedTable *table,
								   TriggerData *trigdata, HeapTuple new);
/* AFTER UPDATE of each row: puts back a shipped row that was edited */
extern void lq_shipped_after(TriggerData *trigdata);

extern bool lq_shipped_same_key(const LqShippedTable *table, Relation rel,
								HeapTuple a, HeapTuple b);
/* is the row a user's version of a shipped one? */
extern bool lq_shipped_hides(const LqShippedTable *table, Relation rel,
							 HeapTuple tuple);
/* such as: criterion "budget" of framework "BANT" */
extern char *lq_shipped_row_name(const LqShippedTable *table, Relation rel,
								 HeapTuple tuple);
/* with a value, not null, in a column */
extern HeapTuple lq_shipped_with(Relation rel, HeapTuple tuple,
								 const char *column, Datum value);

#endif
