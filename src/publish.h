/*
 * publish.h
 *		Freezing a draft as a version.
 */
#ifndef LQ_PUBLISH_H
#define LQ_PUBLISH_H

#include "datatype/timestamp.h"

/*
 * Check the draft of a pipeline and store it as the next version, whose
 * number is returned.  To be called as the publisher, whose search_path and
 * rights count for conditions; the caller has asked for his right to publish.
 * "first" is the version that attach() publishes: no lead is scored yet, the
 * side tables may be missing, and attach() itself tells what it did.
 * "restored" is the version that the draft is again, whose frozen frameworks
 * stay; 0: they are taken from their tables.
 */
extern int	lq_publish(const char *pipeline, const char *note,
					   TimestampTz effective_from, bool first, int restored);

/*
 * publish_check.c: the draft as JSON text, checked, with its expressions; SPI
 * must be connected.  "restored" is the configuration whose frameworks stay, or
 * NULL.
 */
extern char *lq_draft_freeze(const char *pipeline, Oid leads, const char *restored);

/* InvalidOid if there is no such table */

/* SQL: is this kind of stage on the path? */
#define LQ_SQL_ON_PATH(kind) \
	kind " = ANY (ARRAY['lead', 'mql', 'sal', 'sql', 'opportunity', 'won'])"

#endif
