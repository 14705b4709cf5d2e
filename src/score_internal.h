/*
 * score_internal.h
 *		What the score_*.c files and lead_score.c know of each other.
 */
#ifndef LQ_SCORE_INTERNAL_H
#define LQ_SCORE_INTERNAL_H

#include "utils/jsonb.h"

#include "score.h"

#define LQ_MAX_DIMENSIONS 1000	/* their names are compared pairwise */

/* does a term of this decay keep entries instead of a sum? */
#define LQ_HAS_ENTRIES(decay) \
	((decay) == LQ_DECAY_LINEAR || (decay) == LQ_DECAY_WINDOW)

/* score.c */
extern int	lq_score_first_entry(const LqScore *score, int term);
extern LqEntry *lq_score_insert_entry(LqScore *score, int place);

/* score_text.c */
extern char *lq_score_to_text(const LqScore *score);
extern LqScore *lq_score_from_json(Jsonb *json, const char **problem);

/*
 * score_check.c
 */
/* is every index into another array in range? all below relies on it */
extern bool lq_score_indexes_valid(const LqScore *score);

/* is it in canonical order? equal neighbours pass */
extern bool lq_score_is_canonical(const LqScore *score);

/* the score itself if it is canonical, else a copy in the current context */
extern const LqScore *lq_score_canonical(const LqScore *score);

/* what is wrong with a score in canonical order, NULL if nothing is */
extern const char *lq_score_content_problem(const LqScore *score);

#endif
