/*
 * attributes.h
 *		What was known of a lead, and when: images of the columns that
 *		published conditions name.
 *
 * In memory an image is a HeapTuple in the layout of the leads table, all
 * other columns NULL, so that conditions compiled for the leads table
 * evaluate on it.  Stored, it is JSON by column name.
 */
#ifndef LQ_ATTRIBUTES_H
#define LQ_ATTRIBUTES_H

#include "model.h"

/* an image that may lack columns: those published later */
typedef struct LqImage
{
	TimestampTz changed_at;
	Datum	   *values;			/* by attribute of leads */
	bool	   *nulls;
	bool	   *known;
} LqImage;

extern LqImage *lq_image_create(LqPipeline *pipeline, TupleDesc leads);
extern void lq_image_read(LqPipeline *pipeline, TupleDesc leads, Datum json,
						  LqImage *image);
extern char *lq_as_of_sql(const char *attributes, const char *lead, const char *at, const char *column);
extern Datum lq_image_json(LqPipeline *pipeline, TupleDesc leads,
						   const LqImage *image);
extern LqImage *lq_image_of_row(LqPipeline *pipeline, TupleDesc leads,
								HeapTuple row, TupleDesc rowdesc);
extern bool lq_image_equal(TupleDesc leads, const LqImage *a, const LqImage *b);
extern bool lq_image_complete(LqPipeline *pipeline, TupleDesc leads,
							  const LqImage *image);
extern void lq_images_fill(LqImage **images, int nimages, const LqImage *current,
						   int natts);
extern HeapTuple lq_image_tuple(TupleDesc leads, const LqImage *image);

#endif
