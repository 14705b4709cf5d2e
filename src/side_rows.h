/*
 * side_rows.h
 *		Rows of <leads>_qualification and <leads>_baseline, found by lead and
 *		updated in place.
 */
#ifndef LQ_SIDE_ROWS_H
#define LQ_SIDE_ROWS_H

#include "state.h"

typedef struct LqSideRows LqSideRows;

extern LqSideRows *lq_side_rows_open(LqCases *cases, int table, bool read_only);
extern bool lq_side_rows_find(LqSideRows *rows, Datum lead, Datum *values, bool *nulls);
extern bool lq_side_rows_where(LqSideRows *rows, ItemPointer tid);
extern void lq_side_rows_update(LqSideRows *rows, ItemPointer tid, const Datum *values,
								const bool *nulls);
extern void lq_side_rows_close(LqSideRows *rows);

#endif
