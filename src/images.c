/*
 * images.c
 *		What was known of leads, and when: reading and writing
 *		<leads>_attributes.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "sql.h"
#include "state.h"
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

	if (p->lead_columns == NIL || keys == NULL)
		return;
	values[0] = PointerGetDatum(keys);
	SPI_connect();
	lq_plan_run(plan_images(p), values, NULL, cases->read_only);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		bool		isnull;
		LqCase	   *c = lq_case_find(cases, lq_field(i, 1, &isnull));
		Datum		json = lq_field(i, 3, &isnull);
		MemoryContext old = MemoryContextSwitchTo(cxt);
		LqImage    *image;

		if (c != NULL && !isnull)
		{
			image = lq_image_create(p, desc);
			image->changed_at = lq_field_time(i, 2, DT_NOBEGIN);
			lq_image_read(p, desc, json, image);
			c->images = c->nimages == 0 ? palloc(sizeof(LqImage *)) :
				repalloc(c->images, (c->nimages + 1) * sizeof(LqImage *));
			c->images[c->nimages++] = image;
		}
		MemoryContextSwitchTo(old);
	}
	SPI_finish();
}

/* has the lead any image? */
bool
lq_image_exists(LqCases *cases, LqCase *c)
{
	LqPipeline *p = cases->pipeline;
	SPIPlanPtr *slot = lq_plan_slot(p, LQ_PLAN_IMAGE_EXISTS);
	bool		exists;

	SPI_connect();
	if (*slot == NULL)
		*slot = lq_plan_keep(lq_format("SELECT 1 FROM %s WHERE lead = $1 LIMIT 1",
									   lq_side_name(p, "attributes")),
							 1, &p->key_type);
	lq_plan_run(*slot, &c->key, NULL, false);
	exists = SPI_processed > 0;
	SPI_finish();
	return exists;
}

/* a new image of the lead's columns */
void
lq_image_store(LqCases *cases, LqCase *c, const LqImage *image, TimestampTz at)
{
	LqPipeline *p = cases->pipeline;
	SPIPlanPtr *slot = lq_plan_slot(p, LQ_PLAN_IMAGE_ADD);
	Oid			types[3] = {p->key_type, TIMESTAMPTZOID, JSONBOID};
	Datum		values[3];

	values[0] = c->key;
	values[1] = TimestampTzGetDatum(at);
	values[2] = lq_image_json(p, RelationGetDescr(cases->leads), image);
	SPI_connect();
	if (*slot == NULL)
		*slot = lq_plan_keep(lq_format("INSERT INTO %s (lead, changed_at, \"values\") "
									   "VALUES ($1, $2, $3)",
									   lq_side_name(p, "attributes")),
							 3, types);
	lq_plan_run(*slot, values, NULL, false);
	SPI_finish();
}

/* add to the newest image the columns it lacks */
void
lq_image_amend(LqCases *cases, LqCase *c, const LqImage *image)
{
	LqPipeline *p = cases->pipeline;
	SPIPlanPtr *slot = lq_plan_slot(p, LQ_PLAN_IMAGE_AMEND);
	Oid			types[2] = {p->key_type, JSONBOID};
	Datum		values[2];
	char	   *table;

	values[0] = c->key;
	values[1] = lq_image_json(p, RelationGetDescr(cases->leads), image);
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
