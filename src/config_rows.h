/*
 * config_rows.h
 *		Typed rows out of a version's frozen configuration.
 */
#ifndef LQ_CONFIG_ROWS_H
#define LQ_CONFIG_ROWS_H

#include "model.h"

typedef struct LqConfigRows
{
	SPITupleTable *table;
	int			count;
} LqConfigRows;

extern LqConfigRows lq_config_rows(Datum config, const char *query);
extern Datum lq_config_field(const LqConfigRows *rows, int row, int column, bool *isnull);
extern char *lq_config_text(const LqPipeline *p, const LqConfigRows *rows, int row, int column);
extern double lq_config_float(const LqConfigRows *rows, int row, int column, double otherwise);
extern int lq_config_int(const LqConfigRows *rows, int row, int column, int otherwise);
extern bool lq_config_bool(const LqConfigRows *rows, int row, int column);
extern const LqAssessment *lq_config_assessment(const LqPipeline *p, const LqConfigRows *rows, int row, int column);
extern int64 lq_config_usecs(const LqConfigRows *rows, int row, int column);
extern void *lq_config_alloc(const LqPipeline *p, int count, Size size);

#endif
