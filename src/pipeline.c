/*
 * pipeline.c
 *		alter_pipeline(), and what the views beside the leads ask of a pipeline.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "framework_table.h"
#include "compat.h"
#include "expression.h"
#include "model.h"
#include "sql.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

/* ----------------------------------------------------------------
 * alter_pipeline
 * ----------------------------------------------------------------
 */

/* pipelines are written by functions only: as the owner of the extension */
static void
set_column(const char *pipeline, const char *column, const char *value)
{
	LqUser		saved;

	SPI_connect();
	lq_become(&saved, lq_extension_owner());
	lq_run("UPDATE lead_qualify.pipeline SET %I = %L WHERE pipeline OPERATOR(pg_catalog.=) %L",
		   column, value, pipeline);
	lq_return(&saved);
	SPI_finish();
}

static void
check_notify_within(const Interval *within)
{
	int64		length;

	/* one that is too long to be counted lets all moves through */
	if (lq_interval_length(within, &length) && length < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("notify_within must not be negative"),
				 errhint("Zero notifies nobody.")));
}

static void
check_conversion_window(const Interval *window)
{
	int64		length;

	if (lq_interval_length(window, &length) && length <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("conversion_window must be longer than zero"),
				 errhint("It is the time within which a lead should convert, such as 90 days.")));
}

/* each must be a column of leads */
static void
check_segments(const LqPipeline *p, ArrayType *segments)
{
	Datum	   *names;
	bool	   *nulls;
	int			count;

	deconstruct_array(segments, TEXTOID, -1, false, TYPALIGN_INT, &names, &nulls, &count);
	for (int i = 0; i < count; i++)
		if (nulls[i] || get_attnum(p->leads, TextDatumGetCString(names[i])) <= 0)
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 nulls[i] ? errmsg("the name of a segment must not be null") :
					 errmsg("%s has no column \"%s\"", lq_leads_name(p),
							TextDatumGetCString(names[i])),
					 errhint("segments are names of columns of the leads table.")));
	for (int i = 0; i < count; i++)
		if (get_attgenerated(p->leads, get_attnum(p->leads, TextDatumGetCString(names[i]))) == 'v')
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("column \"%s\" of %s is a virtual generated column",
							TextDatumGetCString(names[i]), lq_leads_name(p)),
					 errhint("A trigger finds nothing in it: make it STORED.")));
}

PG_FUNCTION_INFO_V1(lq_alter_pipeline);

/*
 * alter_pipeline(pipeline, framework, notify_within, conversion_window,
 * segments): what is NULL stays as it is
 */
Datum
lq_alter_pipeline(PG_FUNCTION_ARGS)
{
	char	   *name;
	LqPipeline *p;

	lq_argument_needed(fcinfo, 0, "pipeline");
	name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	p = lq_pipeline_for_owner(name, "alter");
	if (!PG_ARGISNULL(3))
		check_conversion_window(PG_GETARG_INTERVAL_P(3));
	if (!PG_ARGISNULL(4))
		check_segments(p, PG_GETARG_ARRAYTYPE_P(4));
	if (!PG_ARGISNULL(1))
	{
		text	   *framework = PG_GETARG_TEXT_PP(1);
		char	   *known = pstrdup(lq_framework_get(VARDATA_ANY(framework),
													 VARSIZE_ANY_EXHDR(framework),
													 false)->name);

		set_column(name, "framework", known);
	}
	if (!PG_ARGISNULL(2))
	{
		check_notify_within(PG_GETARG_INTERVAL_P(2));
		set_column(name, "notify_within",
				   DatumGetCString(DirectFunctionCall1(interval_out, PG_GETARG_DATUM(2))));
	}
	if (!PG_ARGISNULL(3))
		set_column(name, "conversion_window",
				   DatumGetCString(DirectFunctionCall1(interval_out, PG_GETARG_DATUM(3))));
	if (!PG_ARGISNULL(4))
		set_column(name, "segments", OidOutputFunctionCall(F_ARRAY_OUT, PG_GETARG_DATUM(4)));
	PG_RETURN_VOID();
}

/* ----------------------------------------------------------------
 * What <leads>_scored asks
 * ----------------------------------------------------------------
 */

/* the version in force now, NULL if there is none or no such pipeline */
static const LqModel *
live_model(const char *name)
{
	LqPipeline *pipeline = lq_pipeline_get(name, true);

	if (pipeline == NULL || pipeline->broken)
		return NULL;
	return lq_model_at(pipeline, GetCurrentTransactionStartTimestamp());
}

PG_FUNCTION_INFO_V1(lq_band_label);

/* the highest band of the dimension that the value reaches */
Datum
lq_band_label(PG_FUNCTION_ARGS)
{
	const LqModel *model = live_model(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	char	   *dimension = text_to_cstring(PG_GETARG_TEXT_PP(1));
	double		value = PG_GETARG_FLOAT8(2);

	for (int i = 0; model != NULL && i < model->nbands; i++)
	{
		const LqBand *band = &model->bands[i];
		const char *name = band->dimension < 0 ? "total" :
			model->dimensions[band->dimension].name;

		if (strcmp(name, dimension) == 0 && lq_reaches(value, band->minimum))
			PG_RETURN_TEXT_P(cstring_to_text(band->label));
	}
	PG_RETURN_NULL();
}

PG_FUNCTION_INFO_V1(lq_stage_position);

Datum
lq_stage_position(PG_FUNCTION_ARGS)
{
	const LqModel *model = live_model(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	int			stage = model == NULL ? -1 :
		lq_model_stage(model, text_to_cstring(PG_GETARG_TEXT_PP(1)));

	if (stage < 0)
		PG_RETURN_NULL();
	PG_RETURN_INT32(model->stages[stage].position);
}

PG_FUNCTION_INFO_V1(lq_pipeline_framework);

/* the framework whose criteria <leads>_scored shows; NULL if it is of no use */
Datum
lq_pipeline_framework(PG_FUNCTION_ARGS)
{
	LqPipeline *pipeline = lq_pipeline_get(text_to_cstring(PG_GETARG_TEXT_PP(0)), true);

	if (pipeline == NULL ||
		lq_framework_get(pipeline->framework, strlen(pipeline->framework), true) == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(pipeline->framework));
}
