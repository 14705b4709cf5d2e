/*
 * row_arrays.h
 *		Rows for a statement that takes many of them, each column as an array.
 */
#ifndef LQ_ROW_ARRAYS_H
#define LQ_ROW_ARRAYS_H

#include "state.h"

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

/*
 * Run the statement that sql() gives, whose item of FROM are the rows.  Its plans
 * are kept: which for arrays, which + 1 for a single row.  SPI is connected; there is a row.
 */
extern void lq_row_arrays_run(const LqRowArrays *rows, LqPipeline *pipeline, LqPlan which,
							  char *(*sql) (const LqPipeline *pipeline, const char *from));

#endif
