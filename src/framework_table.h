/*
 * framework_table.h
 *		The frameworks and questions as the tables have them now, cached per
 *		backend.
 */
#ifndef LQ_FRAMEWORK_TABLE_H
#define LQ_FRAMEWORK_TABLE_H

#include "framework.h"
#include "lib/stringinfo.h"
#include "nodes/pg_list.h"

/*
 * Valid until the next invalidation: use it before anything that may open a
 * relation.  An unknown or unusable framework is an error that says what
 * there is, or NULL with missing_ok.
 */
extern const LqFramework *lq_framework_get(const char *name, int len, bool missing_ok);
/* as JSON, which publish() freezes: {"framework": ..., "criteria": [...]} */
extern void lq_framework_json(const LqFramework *framework, StringInfo buf);
extern void lq_framework_init(void);	/* from _PG_init */

/*
 * Changes whenever what lq_framework_get() returned is no longer valid, so
 * that a caller may keep it from one call to the next.
 */
extern uint64 lq_framework_generation(void);
/* the usable frameworks, in their order; the elements are const LqFramework */
extern List *lq_framework_list(void);
/*
 * The question about a criterion, in English if not in that language, else
 * NULL.  Looks no further than what lq_framework_get() has just loaded.
 */
extern const char *lq_framework_question(const LqCriterion *criterion,
										 const char *language, int len);
/*
 * An error if two criteria of the framework are at one position by now; with
 * own, only if both are rows of the user's.
 */
extern void lq_framework_check_positions(const char *name, bool own);

#endif
