/*
 * assessment.h
 *		The type assessment: answers to qualification questions, criterion by
 *		criterion.  What is not in it is unknown, which is not "no".
 *
 * A value is its own representation in memory: packed bytes, read in place
 * behind a short or a long varlena header, so that a scan needs no copy.
 * Names are canonical: folded, aliases resolved, in the order of strcmp().
 * Results are allocated in the current memory context.
 */
#ifndef LQ_ASSESSMENT_H
#define LQ_ASSESSMENT_H

#define LQ_MAX_CRITERIA 1000
#define LQ_CRITERION_BYTES 63

#define LQ_UNKNOWN (-1)			/* levels are 0 (no) to LQ_LEVEL_YES */
#define LQ_LEVEL_YES 3

/* version byte, number of criteria, then level, length and name of each */
typedef struct varlena LqAssessment;

typedef struct LqAnswer
{
	const char *criterion;		/* in the value, not terminated */
	int			len;
	int			level;
} LqAnswer;

/* for (lq_answers_begin(a, &scan); lq_answers_next(&scan, &answer);) */
typedef struct LqAnswerScan
{
	const unsigned char *next;
	int			left;
} LqAnswerScan;

extern void lq_answers_begin(const LqAssessment *assessment, LqAnswerScan *scan);
extern bool lq_answers_next(LqAnswerScan *scan, LqAnswer *answer);
extern int	lq_assessment_count(const LqAssessment *assessment);
extern int	lq_assessment_level(const LqAssessment *assessment,
								const char *criterion, int len);

extern LqAssessment *lq_assessment_empty(void);
extern char *lq_assessment_text(const LqAssessment *assessment);
/* right wins */
extern LqAssessment *lq_assessment_concat(const LqAssessment *left,
										  const LqAssessment *right);
/* the same, but never an error: new criteria beyond LQ_MAX_CRITERIA are left out */
extern LqAssessment *lq_assessment_take(const LqAssessment *left,
										const LqAssessment *right);
extern LqAssessment *lq_assessment_remove(const LqAssessment *assessment,
										  const char *criterion, int len);
extern bool lq_assessment_equal(const LqAssessment *a, const LqAssessment *b);

/* canonical name of a criterion; an error where it is none */
extern char *lq_criterion_fold(const char *name, int len);
extern const char *lq_level_name(int level);

#endif
