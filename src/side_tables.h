/*
 * side_tables.h
 *		DDL of what attach puts beside the application's tables.
 *
 * All functions run on an open SPI connection, as the user and under the
 * search_path that the caller has set.
 */
#ifndef LQ_SIDE_TABLES_H
#define LQ_SIDE_TABLES_H

#include "attach.h"

/* the longest name added to a prefix is "_conversion_monthly" */
#define LQ_PREFIX_MAX		(NAMEDATALEN - 1 - 19)
/* "lead_qualify_" and "_truncate" or "_deferred" around it must fit a name */
#define LQ_PIPELINE_MAX		40

extern char *lq_prefix_choose(const LqTarget *target, bool second);
extern void lq_side_tables_create(LqTarget *target);
extern void lq_side_tables_drop(const char *schema, const char *prefix);
extern void lq_side_tables_keep(const char *schema, const char *prefix,
								const char *pipeline, bool shadow);
extern void lq_views_create(const LqTarget *target);
extern void lq_views_drop(const char *schema, const char *prefix);
extern void lq_leads_triggers_create(const LqTarget *target);
extern void lq_answers_triggers_create(const LqTarget *target);
extern void lq_activity_triggers_create(const LqTarget *target,
										const LqActivityTable *activities);
extern void lq_stage_columns_add(const LqTarget *target);
extern bool lq_stage_column_is_ours(Oid leads, const char *column,
									const char *pipeline);

#endif
