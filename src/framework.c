/*
 * framework.c
 *		What an assessment means to a qualification framework.
 *
 * Pure arithmetic over the two, without catalog or memory of its own.  What
 * is unknown earns nothing yet and counts as neither met nor unmet.  The
 * framework is a usable one: it has criteria, and not all weights are 0.
 */
#include "postgres.h"

#include <math.h>

#include "framework.h"
#include "score.h"

/*
 * Weights are mostly small integers; the sums are then exact, and so is a
 * score that can be.
 */
static double
percent(double gained, double possible)
{
	if (gained >= possible)
		return 100.0;
	return Min(100.0, 100.0 * gained / possible);
}

static int
must_meet(const LqFramework *framework)
{
	return framework->min_met < 0 ? framework->ncriteria : framework->min_met;
}

void
lq_framework_assess(const LqFramework *framework,
					const LqAssessment *assessment, LqVerdict *verdict)
{
	double		possible = 0,
				gained = 0,
				answered = 0;
	bool		required = true;

	verdict->met = 0;
	verdict->next = -1;
	for (int i = 0; i < framework->ncriteria; i++)
	{
		const LqCriterion *criterion = &framework->criteria[i];
		int			level = lq_assessment_level(assessment, criterion->name,
												criterion->len);

		possible += criterion->weight * LQ_LEVEL_YES;
		if (level != LQ_UNKNOWN)
		{
			gained += criterion->weight * level;
			answered += criterion->weight * LQ_LEVEL_YES;
		}
		else if (verdict->next < 0)
			verdict->next = i;

		if (lq_criterion_standing(criterion, level) == LQ_MET)
			verdict->met++;
		else if (criterion->required)
			required = false;
	}
	verdict->score = percent(gained, possible);
	verdict->score_max = percent(gained + (possible - answered), possible);
	verdict->coverage = Min(1.0, answered / possible);
	verdict->qualified = required && verdict->met >= must_meet(framework) &&
		(isnan(framework->min_score) ||
		 lq_reaches(verdict->score, framework->min_score));
}

static bool
score_reached(const LqFramework *framework, const LqAssessment *assessment)
{
	double		possible = 0,
				gained = 0;

	for (int i = 0; i < framework->ncriteria; i++)
	{
		const LqCriterion *criterion = &framework->criteria[i];
		int			level = lq_assessment_level(assessment, criterion->name,
												criterion->len);

		possible += criterion->weight * LQ_LEVEL_YES;
		gained += criterion->weight * Max(level, 0);
	}
	return lq_reaches(percent(gained, possible), framework->min_score);
}

/*
 * The same answer as lq_framework_assess() gives, but no more work than it
 * takes: most leads fail at their first criteria.
 */
bool
lq_framework_qualified(const LqFramework *framework,
					   const LqAssessment *assessment)
{
	int			may_miss = framework->ncriteria - must_meet(framework);

	for (int i = 0; i < framework->ncriteria; i++)
	{
		const LqCriterion *criterion = &framework->criteria[i];
		int			level = lq_assessment_level(assessment, criterion->name,
												criterion->len);

		if (lq_criterion_standing(criterion, level) != LQ_MET &&
			(criterion->required || --may_miss < 0))
			return false;
	}
	return isnan(framework->min_score) || score_reached(framework, assessment);
}
