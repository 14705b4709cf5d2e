/*
 * side_rows.h
 *		Rows of <leads>_qualification and <leads>_baseline, found by lead and
 *		updated in place, without a planner in between.
 */
#ifndef LQ_SIDE_ROWS_H
#define LQ_SIDE_ROWS_H

#include "access/genam.h"
#include "model.h"
#include "side_columns.h"
#include "storage/itemptr.h"

typedef struct LqSideWriter LqSideWriter;

typedef struct LqSideRows
{
	Relation	rel;
	Relation	index;			/* by lead; NULL: there is none */
	IndexScanDesc scan;
	ScanKeyData key;
	TupleTableSlot *slot;		/* the row that was found */
	int			columns[LQ_NSTATE]; /* where each is in the row */
	Oid			key_type;
	bool		read_only;
	bool		row_security;	/* for the caller, who reads */
	LqSideWriter *writer;
} LqSideRows;

extern LqSideRows *lq_side_rows_open(LqPipeline *pipeline, int table, bool read_only);
extern bool lq_side_rows_find(LqSideRows *rows, Datum lead, Datum *values, bool *nulls);
extern void lq_side_rows_where(LqSideRows *rows, ItemPointer tid, TransactionId *xmin);
extern void lq_side_rows_update(LqSideRows *rows, ItemPointer tid, const Datum *values,
								const bool *nulls);
extern void lq_side_rows_close(LqSideRows *rows);

#endif
