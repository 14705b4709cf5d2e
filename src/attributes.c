/*
 * attributes.c
 *		Images of a lead's columns: JSON <-> row of the leads table.
 *
 * A value is written so that it reads back as the same datum whatever the
 * session's settings: numbers and booleans as such, dates and times in ISO
 * form, jsonb as it is, anything else by its type's text.
 */
#include "postgres.h"

#include "attributes.h"
#include "catalog/pg_type.h"
#include "common/shortest_dec.h"
#include "sql.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/datum.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"

LqImage *
lq_image_create(LqPipeline *pipeline, TupleDesc leads)
{
	LqImage    *image = palloc(sizeof(LqImage));

	image->changed_at = DT_NOBEGIN;
	image->values = palloc0(leads->natts * sizeof(Datum));
	image->nulls = palloc(leads->natts * sizeof(bool));
	memset(image->nulls, true, leads->natts * sizeof(bool));
	image->known = palloc0(leads->natts * sizeof(bool));
	return image;
}

/* attribute of the leads table by name, -1 if it is gone */
static int
attribute_find(TupleDesc desc, const char *name)
{
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (!att->attisdropped && strcmp(NameStr(att->attname), name) == 0)
			return i;
	}
	return -1;
}

/* ----------------------------------------------------------------
 * JSON
 * ----------------------------------------------------------------
 */

/* a datum's text, the same under all settings */
static char *
value_text(Oid type, Datum value)
{
	char		buf[MAXDATELEN + 1];
	int			utc = 0;

	switch (type)
	{
		case DATEOID:
		case TIMESTAMPOID:
			return pstrdup(JsonEncodeDateTime(buf, value, type, NULL));
		case TIMESTAMPTZOID:
			return pstrdup(JsonEncodeDateTime(buf, value, type, &utc));
		case FLOAT4OID:
			{
				char	   *text = palloc(FLOAT_SHORTEST_DECIMAL_LEN);

				float_to_shortest_decimal_buf(DatumGetFloat4(value), text);
				return text;
			}
		case FLOAT8OID:
			{
				char	   *text = palloc(DOUBLE_SHORTEST_DECIMAL_LEN);

				double_to_shortest_decimal_buf(DatumGetFloat8(value), text);
				return text;
			}
		default:
			return lq_value_text(type, value);
	}
}

static bool
is_number(Oid type, const char *text)
{
	switch (type)
	{
		case INT2OID:
		case INT4OID:
		case INT8OID:
			return true;
		case FLOAT4OID:
		case FLOAT8OID:
		case NUMERICOID:
			/* NaN and infinities are no JSON numbers */
			return strpbrk(text, "NnIi") == NULL;
		default:
			return false;
	}
}

static void
push_text(JsonbParseState **state, const char *text, JsonbIteratorToken token)
{
	JsonbValue	v;

	v.type = jbvString;
	v.val.string.val = unconstify(char *, text);
	v.val.string.len = strlen(text);
	pushJsonbValue(state, token, &v);
}

static void
push_value(JsonbParseState **state, Oid type, Datum value)
{
	JsonbValue	v;
	char	   *text;

	if (type == BOOLOID)
	{
		v.type = jbvBool;
		v.val.boolean = DatumGetBool(value);
		pushJsonbValue(state, WJB_VALUE, &v);
		return;
	}
	if (type == JSONBOID)
	{
		Jsonb	   *jb = DatumGetJsonbP(value);

		/* the caller's object takes a nested container or a scalar alike */
		if (!JB_ROOT_IS_SCALAR(jb))
		{
			v.type = jbvBinary;
			v.val.binary.data = &jb->root;
			v.val.binary.len = VARSIZE(jb) - VARHDRSZ;
			pushJsonbValue(state, WJB_VALUE, &v);
			return;
		}
	}
	text = value_text(type, value);
	if (is_number(type, text))
	{
		v.type = jbvNumeric;
		v.val.numeric = DatumGetNumeric(DirectFunctionCall3(numeric_in,
															CStringGetDatum(text),
															ObjectIdGetDatum(InvalidOid),
															Int32GetDatum(-1)));
		pushJsonbValue(state, WJB_VALUE, &v);
		return;
	}
	push_text(state, text, WJB_VALUE);
}

/* an image as JSON, under lq_fixed_settings(): the columns that published conditions name */
Datum
lq_image_json(LqPipeline *pipeline, TupleDesc leads, const LqImage *image)
{
	JsonbParseState *state = NULL;
	JsonbValue	null;
	JsonbValue *object;
	ListCell   *lc;

	null.type = jbvNull;
	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	foreach(lc, pipeline->lead_columns)
	{
		int			i = attribute_find(leads, lfirst(lc));

		if (i < 0 || !image->known[i])
			continue;
		push_text(&state, lfirst(lc), WJB_KEY);
		if (image->nulls[i])
			pushJsonbValue(&state, WJB_VALUE, &null);
		else
			push_value(&state, TupleDescAttr(leads, i)->atttypid, image->values[i]);
	}
	object = pushJsonbValue(&state, WJB_END_OBJECT, NULL);
	return JsonbPGetDatum(JsonbValueToJsonb(object));
}

/* text that the column's type reads, from a JSON value that is not null */
static char *
json_text(const JsonbValue *v)
{
	switch (v->type)
	{
		case jbvString:
			return pnstrdup(v->val.string.val, v->val.string.len);
		case jbvNumeric:
			return DatumGetCString(DirectFunctionCall1(numeric_out,
													   NumericGetDatum(v->val.numeric)));
		case jbvBool:
			return pstrdup(v->val.boolean ? "true" : "false");
		case jbvBinary:
			return JsonbToCString(NULL, v->val.binary.data, v->val.binary.len);
		default:
			elog(ERROR, "unexpected JSON value in an attribute image");
			return NULL;
	}
}

typedef struct Reading
{
	Form_pg_attribute att;
	char	   *text;
	Datum		value;
} Reading;

static void
value_input(void *arg)
{
	Reading    *reading = arg;
	Oid			input,
				param;

	getTypeInputInfo(reading->att->atttypid, &input, &param);
	reading->value = OidInputFunctionCall(input, reading->text, param,
										  reading->att->atttypmod);
}

/*
 * A value that the column's present type cannot read (ALTER TABLE changed it)
 * is as good as unknown; it must not make an application's insert fail.
 */
static bool
value_read(Form_pg_attribute att, char *text, Datum *value)
{
	Reading		reading = {att, text, (Datum) 0};

	if (att->atttypid == TEXTOID)
		value_input(&reading);	/* reads anything */
	else if (!lq_try(value_input, &reading))
		return false;
	*value = reading.value;
	return true;
}

/* read an image, under lq_fixed_settings(); columns that are not in it stay unknown */
void
lq_image_read(LqPipeline *pipeline, TupleDesc leads, Datum json, LqImage *image)
{
	Jsonb	   *jb = DatumGetJsonbP(json);
	ListCell   *lc;

	foreach(lc, pipeline->lead_columns)
	{
		char	   *name = lfirst(lc);
		int			i = attribute_find(leads, name);
		JsonbValue	v;

		if (i < 0 || getKeyJsonValueFromContainer(&jb->root, name, strlen(name), &v) == NULL)
			continue;
		image->nulls[i] = v.type == jbvNull;
		/* a jsonb column's scalars were written as text of JSON */
		image->known[i] = image->nulls[i] ||
			value_read(TupleDescAttr(leads, i), json_text(&v), &image->values[i]);
	}
}

/* ----------------------------------------------------------------
 * Rows
 * ----------------------------------------------------------------
 */

/* the image of a row that may have another layout (a partition's) */
LqImage *
lq_image_of_row(LqPipeline *pipeline, TupleDesc leads, HeapTuple row, TupleDesc rowdesc)
{
	LqImage    *image = lq_image_create(pipeline, leads);
	ListCell   *lc;

	foreach(lc, pipeline->lead_columns)
	{
		int			to = attribute_find(leads, lfirst(lc));
		int			from = attribute_find(rowdesc, lfirst(lc));

		if (to < 0 || from < 0)
			continue;
		image->values[to] = heap_getattr(row, from + 1, rowdesc, &image->nulls[to]);
		image->known[to] = true;
	}
	return image;
}

/* are all columns that both know the same? */
bool
lq_image_equal(TupleDesc leads, const LqImage *a, const LqImage *b)
{
	for (int i = 0; i < leads->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(leads, i);

		if (!a->known[i] || !b->known[i])
			continue;
		if (a->nulls[i] != b->nulls[i])
			return false;
		if (!a->nulls[i] &&
			!datum_image_eq(a->values[i], b->values[i], att->attbyval, att->attlen))
			return false;
	}
	return true;
}

/* does it know all columns that published conditions name? */
bool
lq_image_complete(LqPipeline *pipeline, TupleDesc leads, const LqImage *image)
{
	ListCell   *lc;

	foreach(lc, pipeline->lead_columns)
	{
		int			i = attribute_find(leads, lfirst(lc));

		if (i >= 0 && !image->known[i])
			return false;
	}
	return true;
}

static void
fill_from(LqImage *image, const LqImage *other, int i)
{
	image->values[i] = other->values[i];
	image->nulls[i] = other->nulls[i];
	image->known[i] = true;
}

/*
 * Complete images, in order of time: a column that an image lacks has the
 * value of the image before, or else the first value known, at worst the
 * current one.
 */
void
lq_images_fill(LqImage **images, int nimages, const LqImage *current, int natts)
{
	for (int i = 0; i < natts; i++)
	{
		for (int k = 1; k < nimages; k++)
			if (!images[k]->known[i] && images[k - 1]->known[i])
				fill_from(images[k], images[k - 1], i);
		for (int k = nimages - 2; k >= 0; k--)
			if (!images[k]->known[i] && images[k + 1]->known[i])
				fill_from(images[k], images[k + 1], i);
		for (int k = 0; k < nimages; k++)
			if (!images[k]->known[i] && current != NULL && current->known[i])
				fill_from(images[k], current, i);
	}
}

HeapTuple
lq_image_tuple(TupleDesc leads, const LqImage *image)
{
	return heap_form_tuple(leads, image->values, image->nulls);
}

/* ----------------------------------------------------------------
 * For SQL
 * ----------------------------------------------------------------
 */

/*
 * SQL of the jsonb value that a column had for a lead at a time, both SQL, too: that
 * of the newest image by then, or of the first one that knows the column.
 */
char *
lq_as_of_sql(const char *attributes, const char *lead, const char *at, const char *column)
{
	return lq_format("(SELECT a.\"values\" OPERATOR(pg_catalog.->) %L FROM %s AS a"
					 " WHERE a.lead = %s AND a.\"values\" OPERATOR(pg_catalog.?) %L"
					 " ORDER BY a.changed_at OPERATOR(pg_catalog.<=) %s DESC NULLS LAST,"
					 " CASE WHEN a.changed_at OPERATOR(pg_catalog.<=) %s THEN a.changed_at END DESC,"
					 " a.changed_at LIMIT 1)",
					 column, attributes, lead, column, at, at);
}

PG_FUNCTION_INFO_V1(lq_as_of_sql_text);

/* as_of_sql(attributes, lead, at, column) */
Datum
lq_as_of_sql_text(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(lq_as_of_sql(text_to_cstring(PG_GETARG_TEXT_PP(0)),
												  text_to_cstring(PG_GETARG_TEXT_PP(1)),
												  text_to_cstring(PG_GETARG_TEXT_PP(2)),
												  text_to_cstring(PG_GETARG_TEXT_PP(3)))));
}
