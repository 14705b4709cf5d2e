/*
 * framework.h
 *		A qualification framework: which criteria, in what order, with what
 *		weight.  Pure: the engine calls it for gates, assess() for everyone.
 */
#ifndef LQ_FRAMEWORK_H
#define LQ_FRAMEWORK_H

#include "assessment.h"

typedef struct LqCriterion
{
	char	   *name;			/* canonical */
	int			len;
	double		weight;			/* >= 0 */
	bool		required;
	int			met_at;			/* least level that meets it, 1 to 3 */
} LqCriterion;

typedef struct LqFramework
{
	char	   *name;
	int			min_met;		/* -1: all criteria */
	double		min_score;		/* NaN: not asked */
	int			ncriteria;
	LqCriterion *criteria;		/* in the framework's order */
} LqFramework;

typedef struct LqVerdict
{
	bool		qualified;
	int			met;			/* criteria */
	double		score;			/* 0 to 100 */
	double		score_max;		/* if every unknown were yes */
	double		coverage;		/* 0 to 1: share of weight answered */
	int			next;			/* first unknown criterion, -1: none */
} LqVerdict;

typedef enum LqStanding
{
	LQ_MET,
	LQ_UNMET,					/* answered, below met_at */
	LQ_NOT_ANSWERED				/* unknown, which is not "no" */
} LqStanding;

static inline LqStanding
lq_criterion_standing(const LqCriterion *criterion, int level)
{
	return level == LQ_UNKNOWN ? LQ_NOT_ANSWERED :
		level >= criterion->met_at ? LQ_MET : LQ_UNMET;
}

extern void lq_framework_assess(const LqFramework *framework,
								const LqAssessment *assessment,
								LqVerdict *verdict);
extern bool lq_framework_qualified(const LqFramework *framework,
								   const LqAssessment *assessment);

#endif
