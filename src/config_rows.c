/*
 * config_rows.c
 *		Typed rows out of a version's frozen configuration, through
 *		jsonb_to_recordset(): nobody here parses JSON.  SPI is connected.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "config_rows.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* run a query whose only parameter is the configuration */
LqConfigRows
lq_config_rows(Datum config, const char *query)
{
	Oid			types[1] = {JSONBOID};
	Datum		values[1];
	LqConfigRows		rows;

	values[0] = config;
	if (SPI_execute_with_args(query, 1, types, values, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read configuration");
	rows.table = SPI_tuptable;
	rows.count = (int) SPI_processed;
	return rows;
}

Datum
lq_config_field(const LqConfigRows *rows, int row, int column, bool *isnull)
{
	return SPI_getbinval(rows->table->vals[row], rows->table->tupdesc, column, isnull);
}

/* text in the pipeline's context, NULL if null */
char *
lq_config_text(const LqPipeline *p, const LqConfigRows *rows, int row, int column)
{
	bool		isnull;
	Datum		value = lq_config_field(rows, row, column, &isnull);

	if (isnull)
		return NULL;
	return MemoryContextStrdup(p->cxt, TextDatumGetCString(value));
}

double
lq_config_float(const LqConfigRows *rows, int row, int column, double otherwise)
{
	bool		isnull;
	Datum		value = lq_config_field(rows, row, column, &isnull);

	return isnull ? otherwise : DatumGetFloat8(value);
}

int
lq_config_int(const LqConfigRows *rows, int row, int column, int otherwise)
{
	bool		isnull;
	Datum		value = lq_config_field(rows, row, column, &isnull);

	return isnull ? otherwise : DatumGetInt32(value);
}

bool
lq_config_bool(const LqConfigRows *rows, int row, int column)
{
	bool		isnull;
	Datum		value = lq_config_field(rows, row, column, &isnull);

	return !isnull && DatumGetBool(value);
}

/* in the pipeline's context, NULL if null */
const LqAssessment *
lq_config_assessment(const LqPipeline *p, const LqConfigRows *rows, int row, int column)
{
	bool		isnull;
	Datum		value = lq_config_field(rows, row, column, &isnull);
	MemoryContext old;
	LqAssessment *copy;

	if (isnull)
		return NULL;
	old = MemoryContextSwitchTo(p->cxt);
	copy = (LqAssessment *) PG_DETOAST_DATUM_COPY(value);
	MemoryContextSwitchTo(old);
	return copy;
}

int64
lq_config_usecs(const LqConfigRows *rows, int row, int column)
{
	bool		isnull;
	Datum		value = lq_config_field(rows, row, column, &isnull);
	int64		usecs = 0;

	if (!isnull && !lq_interval_length(DatumGetIntervalP(value), &usecs))
		usecs = PG_INT64_MAX;	/* longer than any time there is */
	return usecs;
}

void *
lq_config_alloc(const LqPipeline *p, int count, Size size)
{
	return MemoryContextAllocZero(p->cxt, Max(1, count) * size);
}
