/*
 * row_arrays.c
 *		Rows for a statement that takes many of them, each column as an array.
 *
 * One statement for many rows costs less than one for each, from a few rows on.
 * Where rows are no more than updated by key, side_rows.c does without any.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "row_arrays.h"
#include "state.h"
#include "utils/array.h"
#include "utils/lsyscache.h"

LqRowArrays *
lq_row_arrays_create(int ncolumns, const Oid *types)
{
	LqRowArrays *rows = palloc(sizeof(LqRowArrays));

	rows->ncolumns = ncolumns;
	rows->types = memcpy(palloc(ncolumns * sizeof(Oid)), types, ncolumns * sizeof(Oid));
	rows->nrows = 0;
	rows->maxrows = 8;
	rows->values = palloc(ncolumns * sizeof(Datum *));
	rows->nulls = palloc(ncolumns * sizeof(bool *));
	for (int i = 0; i < ncolumns; i++)
	{
		rows->values[i] = palloc(rows->maxrows * sizeof(Datum));
		rows->nulls[i] = palloc(rows->maxrows * sizeof(bool));
	}
	return rows;
}

/* values by reference must stay until the statement is run */
void
lq_row_arrays_add(LqRowArrays *rows, const Datum *values, const bool *nulls)
{
	if (rows->nrows == rows->maxrows)
	{
		rows->maxrows *= 2;
		for (int i = 0; i < rows->ncolumns; i++)
		{
			rows->values[i] = repalloc_huge(rows->values[i], rows->maxrows * sizeof(Datum));
			rows->nulls[i] = repalloc_huge(rows->nulls[i], rows->maxrows * sizeof(bool));
		}
	}
	for (int i = 0; i < rows->ncolumns; i++)
	{
		rows->values[i][rows->nrows] = values[i];
		rows->nulls[i][rows->nrows] = nulls[i];
	}
	rows->nrows++;
}

/* the rows as an item of FROM; they come in the order in which they were added */
static char *
rows_sql(int ncolumns, bool single)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfoString(&buf, single ? "(VALUES (" : "ROWS FROM (");
	for (int i = 0; i < ncolumns; i++)
		appendStringInfo(&buf, single ? "%s$%d" : "%spg_catalog.unnest($%d)", i > 0 ? ", " : "", i + 1);
	appendStringInfoString(&buf, single ? "))" : ")");
	return buf.data;
}

static SPIPlanPtr
plan_make(const LqRowArrays *rows, const char *query, bool single)
{
	Oid		   *types = palloc(rows->ncolumns * sizeof(Oid));

	for (int i = 0; i < rows->ncolumns; i++)
		types[i] = single ? rows->types[i] : get_array_type(rows->types[i]);
	return lq_plan_keep(query, rows->ncolumns, types);
}

static void
run_single(const LqRowArrays *rows, SPIPlanPtr plan)
{
	Datum	   *values = palloc(rows->ncolumns * sizeof(Datum));
	char	   *nulls = palloc(rows->ncolumns);

	for (int i = 0; i < rows->ncolumns; i++)
	{
		values[i] = rows->values[i][0];
		nulls[i] = rows->nulls[i][0] ? 'n' : ' ';
	}
	lq_plan_run(plan, values, nulls, false);
}

/* no array may have more than 1 GB */
static void
run_arrays(const LqRowArrays *rows, SPIPlanPtr plan)
{
	Datum	   *arrays = palloc(rows->ncolumns * sizeof(Datum));
	int			count = rows->nrows;
	int			lower = 1;

	for (int i = 0; i < rows->ncolumns; i++)
	{
		int16		len;
		bool		byval;
		char		align;

		get_typlenbyvalalign(rows->types[i], &len, &byval, &align);
		arrays[i] = PointerGetDatum(construct_md_array(rows->values[i], rows->nulls[i], 1, &count,
													   &lower, rows->types[i], len, byval, align));
	}
	lq_plan_run(plan, arrays, NULL, false);
}

/* taking arrays apart costs more than a single row */
void
lq_row_arrays_run(const LqRowArrays *rows, LqPipeline *pipeline, LqPlan which,
				  char *(*sql) (const LqPipeline *pipeline, const char *from))
{
	bool		single = rows->nrows == 1;
	SPIPlanPtr *plan;

	Assert(rows->nrows > 0);
	plan = lq_plan_slot(pipeline, which + single);
	if (*plan == NULL)
		*plan = plan_make(rows, sql(pipeline, rows_sql(rows->ncolumns, single)), single);
	if (single)
		run_single(rows, *plan);
	else
		run_arrays(rows, *plan);
}
