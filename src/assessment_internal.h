/*
 * assessment_internal.h
 *		What assessment.c, assessment_type.c and criterion_name.c know of each
 *		other.
 *
 * Functions with a "context" report bad input into it, as ereturn() does,
 * and then return false or NULL; with a NULL context they raise the error.
 */
#ifndef LQ_ASSESSMENT_INTERNAL_H
#define LQ_ASSESSMENT_INTERNAL_H

#include "assessment.h"

struct Node;

/* answers in any order, to be sorted and packed into a value */
typedef struct LqAnswerList
{
	LqAnswer   *items;			/* names are canonical */
	int			count;
	int			size;
} LqAnswerList;

/* the level as text, or as a valid number where the text is NULL */
typedef struct LqLevelInput
{
	const char *text;
	int			len;
	int			number;
} LqLevelInput;

extern void lq_answer_list_init(LqAnswerList *list);
extern bool lq_answer_list_add(LqAnswerList *list, const char *name, int len,
							   const LqLevelInput *level,
							   struct Node *context);
extern LqAssessment *lq_answer_list_pack(LqAnswerList *list,
										 struct Node *context);

/* criterion_name.c: into room, of LQ_CRITERION_BYTES, or a constant; not terminated */
extern const char *lq_criterion_read(const char *name, int len, char *room,
									 int *canonical_len, struct Node *context);
/* what the user wrote, short enough for a message */
extern char *lq_excerpt(const char *text, int len);

extern int	lq_criterion_cmp(const char *a, int a_len, const char *b, int b_len);

extern LqAssessment *lq_assessment_read(const char *text,
										struct Node *context);

#endif
