/*
 * row_arrays.h
 *		Rows for a statement that takes each of their columns as an array.
 */
#ifndef LQ_ROW_ARRAYS_H
#define LQ_ROW_ARRAYS_H

#include "executor/spi.h"

typedef struct LqRowArrays
{
	int			ncolumns;
	const Oid  *types;			/* of a column in a row */
	int			nrows;
	int			maxrows;
	Datum	  **values;			/* by column */
	bool	  **nulls;
} LqRowArrays;

extern LqRowArrays *lq_row_arrays_create(int ncolumns, const Oid *types);
extern void lq_row_arrays_add(LqRowArrays *rows, const Datum *values, const bool *nulls);

/* what stands after FROM, and the plan of such a statement */
extern char *lq_row_arrays_from(int ncolumns);
extern SPIPlanPtr lq_row_arrays_plan(const LqRowArrays *rows, const char *query);
extern void lq_row_arrays_run(const LqRowArrays *rows, SPIPlanPtr plan);

#endif
