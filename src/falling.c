/*
 * falling.c
 *		When a value that only falls is first below a threshold.
 *
 * Most scores are a sum of exponentials, for which Newton's method names the
 * moment; asking score.c about it and the tick before is then all there is to do.
 * Limits, windows and linear decay take more looks, between a tick that
 * reaches the threshold and one that does not.
 */
#include "postgres.h"

#include <math.h>

#include "falling.h"
#include "score_internal.h"
#include "utils/float.h"

/* what score.c says, which has the last word */
double
lq_asked_value(const LqQuestion *asked, int64 tick)
{
	return asked->dimension < 0 ? lq_score_total(asked->score, tick * LQ_TICK, false) :
		lq_score_points(asked->score, asked->dimension, tick * LQ_TICK, false);
}

/* true: the tick is below */
static bool
probe(const LqQuestion *asked, LqBracket *bracket, int64 tick)
{
	double		value = lq_asked_value(asked, tick);

	if (lq_reaches(value, asked->threshold))
	{
		bracket->reaches = tick;
		bracket->value_reaches = value;
		return false;
	}
	bracket->below = tick;
	bracket->value_below = value;
	return true;
}

/*
 * Come near the moment from the earlier side, in steps of the shortest period,
 * which double: the interval may be thousands of them long.
 */
static void
gallop(const LqQuestion *asked, LqBracket *bracket)
{
	const LqScore *score = asked->score;
	int64		step = LQ_LAST_TICK;

	for (int i = 0; i < score->nterms; i++)
		if (score->terms[i].decay != LQ_DECAY_NONE)
			step = Min(step, score->terms[i].period / LQ_TICK);
	step = Max(step, 1);
	while (step < bracket->below - bracket->reaches &&
		   !probe(asked, bracket, bracket->reaches + step))
		step *= 2;
}

/*
 * The tick in the bracket at which the value would first be below if it fell as one
 * exponential does, or as a line where that cannot be.
 */
static int64
guess(const LqBracket *bracket, double threshold)
{
	double		high = bracket->value_reaches;
	double		low = bracket->value_below;
	double		span = (double) (bracket->below - bracket->reaches);
	double		part;

	if (threshold > 0 && low > 0)
		part = log(high / threshold) / log(high / low);
	else
		part = (high - threshold) / (high - low);
	/* rounding may make anything of it, also no number */
	part = part > 0 ? Min(part, 1) : 0;
	return Min(bracket->reaches + 1 + (int64) (part * span), bracket->below - 1);
}

/*
 * The first tick below.  A guess comes near, so a tick a little beyond it is tried
 * next, farther beyond after a guess that was worse; at most in the middle, so
 * that this is never much worse than a bisection.
 */
int64
lq_narrow(const LqQuestion *asked, LqBracket bracket)
{
	double		least = lq_least_reaching(asked->threshold);
	int			shift = 10;		/* beyond: so many times half of what is left */

	gallop(asked, &bracket);
	while (bracket.below - bracket.reaches > 1)
	{
		bool		below = probe(asked, &bracket, guess(&bracket, least));
		int64		span = bracket.below - bracket.reaches;
		int64		step = Min((span >> shift) + 1, span / 2);

		if (span > 1 &&
			probe(asked, &bracket,
				  below ? bracket.below - step : bracket.reaches + step) == below)
			shift = Max(shift / 2, 1);
	}
	return bracket.below;
}

/*
 * When sums that decay exponentially would fall below if nothing limited them, in
 * microseconds after as_of; NaN if the score has other ones, or they never do.
 * Newton's method on the logarithm, which is nearly a line, and convex: it comes
 * from the left.
 */
static double
unlimited_crossing(const LqQuestion *asked)
{
	const LqScore *score = asked->score;
	bool		one = asked->dimension >= 0;
	double		least = lq_least_reaching(asked->threshold);
	double		constant = 0;
	double		at = 0;

	for (int i = 0; i < score->ndimensions; i++)
		if (!one || i == asked->dimension)
			constant += (one ? 1 : score->dimensions[i].weight) * score->dimensions[i].base;
	for (int round = 0; round < 20; round++)
	{
		double		sum = 0;
		double		slope = 0;
		double		settled = constant;
		double		step;

		for (int i = 0; i < score->nterms; i++)
		{
			const LqTerm *term = &score->terms[i];
			double		weight = one ? term->dimension == asked->dimension :
				score->dimensions[term->dimension].weight;
			double		points = term->sum * weight;

			if (weight == 0)
				continue;
			if (LQ_HAS_ENTRIES(term->decay))
				return get_float8_nan();
			if (term->decay == LQ_DECAY_EXPONENTIAL)
			{
				double		rate = M_LN2 / (double) term->period;

				points *= exp(-rate * at);
				sum += points;
				slope += rate * points;
			}
			else
				settled += points;
		}
		step = log(sum / (least - settled)) * sum / slope;
		/* not so if it is infinite, or no number */
		if (!(fabs(step) < (double) END_TIMESTAMP))
			return get_float8_nan();
		at += step;
		if (fabs(step) < LQ_TICK / 2)
			break;
	}
	return at;
}

/* can time only take from the score? */
bool
lq_score_only_falls(const LqScore *score)
{
	for (int i = 0; i < score->ndimensions; i++)
		if (score->dimensions[i].weight < 0)
			return false;
	for (int i = 0; i < score->nterms; i++)
		if (score->terms[i].sum < 0)
			return false;
	for (int i = 0; i < score->nentries; i++)
		if (score->entries[i].points < 0)
			return false;
	return true;
}

/*
 * First tick from "first" to "last" at which the value of a score that only
 * falls is below; -1 less than "first": none.
 */
int64
lq_falls_below(const LqQuestion *asked, int64 first, int64 last)
{
	double		at;
	LqBracket	bracket;
	bool		found = false;

	if (probe(asked, &bracket, first))
		return first;
	at = unlimited_crossing(asked);
	if (at > 0 && at < (double) (END_TIMESTAMP - asked->score->as_of))
	{
		int64		tick = lq_first_tick(asked->score->as_of + (int64) at);

		if (tick > first && tick < last)
			found = probe(asked, &bracket, tick);
		if (found && tick - 1 > first)
			(void) probe(asked, &bracket, tick - 1);
	}
	if (!found && (first == last || !probe(asked, &bracket, last)))
		return first - 1;
	return lq_narrow(asked, bracket);
}
