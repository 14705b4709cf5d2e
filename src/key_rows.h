/*
 * key_rows.h
 *		A table's rows, found and locked by key without a planner in between.
 */
#ifndef LQ_KEY_ROWS_H
#define LQ_KEY_ROWS_H

#include "access/genam.h"
#include "executor/tuptable.h"
#include "utils/relcache.h"

typedef struct LqKeyRows
{
	Relation	rel;
	Relation	index;
	IndexScanDesc scan;			/* NULL: none begun yet */
	ScanKeyData key;
	TupleTableSlot *slot;		/* the row that was found */
} LqKeyRows;

/* a snapshot of its own is active from open to close */
extern LqKeyRows *lq_key_rows_open(Relation rel, AttrNumber column, Oid type);
extern bool lq_key_rows_find(LqKeyRows *rows, Datum key);
extern bool lq_key_rows_lock(LqKeyRows *rows, Datum key);
extern bool lq_key_rows_lock_at(LqKeyRows *rows, ItemPointer tid, Datum key);
extern bool lq_key_rows_is(LqKeyRows *rows, Datum key);
extern void lq_key_rows_close(LqKeyRows *rows);

#endif
