/*
 * images.c
 *		What was known of leads, and when: reading and writing
 *		<leads>_attributes.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "expression.h"
#include "row_arrays.h"
#include "sql.h"
#include "state.h"
#include "utils/guc.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

static SPIPlanPtr
plan_images(LqPipeline *p)
{
	SPIPlanPtr *slot = lq_plan_slot(p, LQ_PLAN_IMAGES);

	if (*slot == NULL)
		*slot = lq_plan_keep(lq_format("SELECT a.lead, a.changed_at, a.\"values\" FROM %s a "
									   "WHERE a.lead OPERATOR(pg_catalog.=) ANY ($1) ORDER BY a.lead, a.changed_at",
									   lq_side_name(p, "attributes")),
							 1, &p->key_array);
	return *slot;
}

/* stored images of the replayed cases */
void
lq_cases_read_images(LqCases *cases)
{
	LqPipeline *p = cases->pipeline;
	TupleDesc	desc = RelationGetDescr(cases->leads);
	MemoryContext cxt = CurrentMemoryContext;
	ArrayType  *keys = lq_key_array(cases, lq_case_is_replayed);
	Datum		values[1];
	int			level;

	if (p->lead_columns == NIL || keys == NULL)
		return;
	values[0] = PointerGetDatum(keys);
	SPI_connect();
	lq_plan_run(plan_images(p), values, NULL, cases->read_only);
	level = lq_fixed_settings(p->time_zone);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool		isnull;
		LqCase	   *c = lq_case_find(cases, lq_field(i, 1, &isnull));
		Datum		json = lq_field(i, 3, &isnull);
		MemoryContext old = MemoryContextSwitchTo(cxt);

		if (c != NULL && !isnull)
		{
			LqImage    *image = lq_image_create(p, desc);

			image->changed_at = lq_field_time(i, 2, DT_NOBEGIN);
			lq_image_read(p, desc, json, image);
			c->images = c->nimages == 0 ? palloc(sizeof(LqImage *)) :
				repalloc(c->images, (c->nimages + 1) * sizeof(LqImage *));
			c->images[c->nimages++] = image;
		}
		MemoryContextSwitchTo(old);
	}
	AtEOXact_GUC(false, level);
	SPI_finish();
}

/* has the lead any image? */
bool
lq_image_exists(const LqCases *cases, const LqCase *c)
{
	LqPipeline *p = cases->pipeline;
	SPIPlanPtr *slot = lq_plan_slot(p, LQ_PLAN_IMAGE_EXISTS);
	Datum		values[1];
	bool		exists;

	SPI_connect();
	if (*slot == NULL)
		*slot = lq_plan_keep(lq_format("SELECT 1 FROM %s WHERE lead = $1 LIMIT 1",
									   lq_side_name(p, "attributes")),
							 1, &p->key_type);
	values[0] = c->key;
	lq_plan_run(*slot, values, NULL, false);
	exists = SPI_processed > 0;
	SPI_finish();
	return exists;
}

/* the columns of a new image in a row */
enum
{
	NEW_LEAD, NEW_AT, NEW_VALUES, NNEW
};

static LqRowArrays *
new_images(const LqPipeline *p)
{
	const Oid	types[NNEW] = {
		[NEW_LEAD] = p->key_type,[NEW_AT] = TIMESTAMPTZOID,[NEW_VALUES] = JSONBOID
	};

	return lq_row_arrays_create(NNEW, types);
}

/* under lq_fixed_settings() */
static void
new_image_add(const LqCases *cases, LqRowArrays *rows, const LqCase *c, const LqImage *image,
			  TimestampTz at)
{
	const Datum values[NNEW] = {
		[NEW_LEAD] = c->key,[NEW_AT] = TimestampTzGetDatum(at),
		[NEW_VALUES] = lq_image_json(cases->pipeline, RelationGetDescr(cases->leads), image)
	};
	const bool	nulls[NNEW] = {false};

	lq_row_arrays_add(rows, values, nulls);
}

static char *
insert_sql(const LqPipeline *p, const char *from)
{
	return lq_format("INSERT INTO %s (lead, changed_at, \"values\") SELECT * FROM %s AS r",
					 lq_side_name(p, "attributes"), from);
}

static void
new_images_insert(LqPipeline *p, const LqRowArrays *rows)
{
	SPI_connect();
	lq_row_arrays_run(rows, p, LQ_PLAN_IMAGE_ADD, insert_sql);
	SPI_finish();
}

/* a new image of the lead's columns */
void
lq_image_store(const LqCases *cases, const LqCase *c, const LqImage *image, TimestampTz at)
{
	LqRowArrays *rows = new_images(cases->pipeline);
	int			level = lq_fixed_settings(cases->pipeline->time_zone);

	new_image_add(cases, rows, c, image, at);
	AtEOXact_GUC(false, level);
	new_images_insert(cases->pipeline, rows);
}

/* add to the newest image the columns it lacks */
void
lq_image_amend(const LqCases *cases, const LqCase *c, const LqImage *image)
{
	LqPipeline *p = cases->pipeline;
	SPIPlanPtr *slot = lq_plan_slot(p, LQ_PLAN_IMAGE_AMEND);
	Oid			types[2] = {p->key_type, JSONBOID};
	Datum		values[2];
	char	   *table;
	int			level = lq_fixed_settings(p->time_zone);

	values[0] = c->key;
	values[1] = lq_image_json(p, RelationGetDescr(cases->leads), image);
	AtEOXact_GUC(false, level);
	SPI_connect();
	if (*slot == NULL)
	{
		table = lq_side_name(p, "attributes");
		*slot = lq_plan_keep(lq_format("UPDATE %s a SET \"values\" = $2 OPERATOR(pg_catalog.||) a.\"values\" "
									   "WHERE a.lead = $1 AND a.changed_at = "
									   "(SELECT pg_catalog.max(b.changed_at) FROM %s b WHERE b.lead = $1)",
									   table, table),
							 2, types);
	}
	lq_plan_run(*slot, values, NULL, false);
	SPI_finish();
}

static bool
lacks_image(const LqCase *c)
{
	return c->dirty && c->replay && c->current != NULL && c->nimages == 0;
}

/*
 * Store images of replayed leads that had none, and what their newest image
 * lacks of the columns that are now asked for.
 */
void
lq_cases_keep_images(LqCases *cases, TimestampTz now)
{
	LqRowArrays *rows;
	bool		lacking = false;
	int			level;

	for (int i = 0; i < cases->count; i++)
	{
		const LqCase *c = &cases->cases[i];

		if (lacks_image(c))
			lacking = true;
		else if (c->dirty && c->replay && c->current != NULL && c->images_lacking)
			lq_image_amend(cases, c, c->current);
	}
	if (!lacking)
		return;
	rows = new_images(cases->pipeline);
	level = lq_fixed_settings(cases->pipeline->time_zone);
	for (int i = 0; i < cases->count; i++)
		if (lacks_image(&cases->cases[i]))
			new_image_add(cases, rows, &cases->cases[i], cases->cases[i].current, now);
	AtEOXact_GUC(false, level);
	new_images_insert(cases->pipeline, rows);
}
