/*
 * crossing.c
 *		When a score next falls below a threshold.
 *
 * Branch and bound on a line: of an interval of time we know lower bounds of
 * the value.  Where one stays above the threshold, or the value only rises,
 * the interval is done with; where the value only falls, its end decides,
 * and the moment is searched by value; else the interval is halved, and the
 * earlier half is looked at first.  Most scores can only fall: for them this is
 * not needed, see falling.c.
 *
 * Three things are known of a sum of worths on an interval [t0, t1]:
 *
 * - its range: what is positive is worth most at t0 and least at t1, what is
 *	 negative the other way round;
 * - the range of its slope.  Exponentials of one half-life are one
 *	 exponential, added up before the range of its slope is taken: so points
 *	 given and taken back cancel;
 * - by how much in all it drops and rises at once, as windows end.
 *
 * All three pass through limits and weights, since neither makes a change
 * greater (but for the weight as a factor).  A limit that may or may not be
 * in force adds 0 to the range of the slope.  From the ranges of value and
 * slope follow the two lower bounds that are used: the range itself, and the
 * one that S. A. Piyavskii ("An algorithm for finding the absolute extremum
 * of a function", USSR Computational Mathematics and Mathematical Physics 12
 * (1972), 57-67) takes from the values at both ends and the steepest slopes.
 * As the slope's range shrinks with the interval, this bound comes close
 * with the square of its length.
 *
 * Bounds are computed from sums over a rule's remaining entries, in other
 * order than score.c adds.  Where the difference could matter, score.c is
 * asked: whether a moment is below is always its answer.
 */
#include "postgres.h"

#include <float.h>
#include <math.h>

#include "miscadmin.h"
#include "utils/float.h"
#include "utils/timestamp.h"

#include "crossing.h"
#include "falling.h"
#include "score_internal.h"

/*
 * After so many half-lives no double is left of a double: 2^1024 to 2^-1075.
 */
#define HALF_LIVES 2200

/*
 * Ends of intervals that wait.  Each cut at the middle of one leaves a half,
 * and a span of time has less than 2^54 ticks; cuts elsewhere are for the
 * first levels only.
 */
#define FREE_CUTS 64
#define MAX_DEPTH 128

/*
 * Intervals to look at before giving up on bounds.  Tens are usual; twice
 * as many as entries if each of them must be looked at.  What is left then
 * is taken to fall only: the moment found is below, but a dip before it may
 * be missed.  It takes opposite sums of nearly the same half-life that nearly
 * cancel, at a limit that is the threshold as well.
 */
#define MAX_INTERVALS(entries) (10000 + 50 * (int64) (entries))

/*
 * What an entry and all later ones of its term come to, as of as_of: by sign,
 * points, and points times the microseconds they have left (linear only).
 */
typedef struct Rest
{
	double		positive;
	double		negative;
	double		positive_left;
	double		negative_left;
} Rest;

/* a term, in order of (dimension, capped rule) */
typedef struct Part
{
	int			dimension;
	int			rule;			/* whose max_points holds it, -1: none */
	LqDecay		decay;
	int64		period;
	double		points;			/* as of as_of; unused for entries */
	int			half_life;		/* of an exponential */
	int			nentries;
	const LqEntry *entries;
	Rest	   *rests;			/* one more than entries, the last empty */
} Part;

typedef struct HalfLife
{
	int64		period;
	double		rate;			/* of decay, per microsecond */
} HalfLife;

/* a tick, and what all intervals that begin or end there need */
typedef struct Moment
{
	int64		tick;
	double		since;			/* microseconds since as_of */
	double		value;
	double	   *factors;		/* by half-life: what is left of a point */
	int		   *live;			/* by part: first entry still worth something */
} Moment;

/* what is known of a sum on an interval */
typedef struct Sum
{
	double		low;
	double		high;
	double		slope_low;		/* per microsecond, without exponentials */
	double		slope_high;
	double		drop;			/* at once, in all */
	double		rise;
	double	   *exponentials;	/* points as of as_of, by half-life */
} Sum;

typedef struct Search
{
	LqQuestion	asked;
	int			nparts;
	Part	   *parts;
	int			nhalf_lives;
	HalfLife   *half_lives;
	Sum			sums[4];		/* of rule, dimension, total, value */
	double		error;			/* of a computed value, at most */
} Search;

typedef enum Verdict
{
	STAYS,						/* the value reaches the threshold throughout */
	FALLS,						/* if it is below anywhere, then at the end */
	UNSURE
} Verdict;

/* ----------------------------------------------------------------
 * Bounds
 * ----------------------------------------------------------------
 */

static void
clear(const Search *search, Sum *sum, double value)
{
	sum->low = sum->high = value;
	sum->slope_low = sum->slope_high = 0;
	sum->drop = sum->rise = 0;
	for (int i = 0; i < search->nhalf_lives; i++)
		sum->exponentials[i] = 0;
}

static void
add_window(const Rest *first, const Rest *last, Sum *sum)
{
	sum->low += last->positive + first->negative;
	sum->high += first->positive + last->negative;
	sum->drop += first->positive - last->positive;
	sum->rise += last->negative - first->negative;
}

/* worth of entries with linear decay, of one sign */
static double
linear(double points, double left, const Moment *at, double period)
{
	return (left - points * at->since) / period;
}

static void
add_linear(const Part *part, const Rest *first, const Rest *last,
		   const Moment *from, const Moment *to, Sum *sum)
{
	double		period = (double) part->period;

	sum->low += linear(last->positive, last->positive_left, to, period) +
		linear(first->negative, first->negative_left, from, period);
	sum->high += linear(first->positive, first->positive_left, from, period) +
		linear(last->negative, last->negative_left, to, period);
	sum->slope_low -= (first->positive + last->negative) / period;
	sum->slope_high -= (last->positive + first->negative) / period;
}

static void
add_part(const Search *search, int number, const Moment *from,
		 const Moment *to, Sum *sum)
{
	const Part *part = &search->parts[number];
	double		first,
				last;

	switch (part->decay)
	{
		case LQ_DECAY_NONE:
			sum->low += part->points;
			sum->high += part->points;
			break;
		case LQ_DECAY_EXPONENTIAL:
			first = part->points * from->factors[part->half_life];
			last = part->points * to->factors[part->half_life];
			sum->low += Min(first, last);
			sum->high += Max(first, last);
			sum->exponentials[part->half_life] += part->points;
			break;
		case LQ_DECAY_WINDOW:
			add_window(&part->rests[from->live[number]],
					   &part->rests[to->live[number]], sum);
			break;
		case LQ_DECAY_LINEAR:
			add_linear(part, &part->rests[from->live[number]],
					   &part->rests[to->live[number]], from, to, sum);
			break;
	}
}

/* make the slope's range include the exponentials */
static void
take_slopes(const Search *search, const Moment *from, const Moment *to,
			Sum *sum)
{
	for (int i = 0; i < search->nhalf_lives; i++)
	{
		double		slope = -sum->exponentials[i] * search->half_lives[i].rate;
		double		first = slope * from->factors[i];
		double		last = slope * to->factors[i];

		sum->slope_low += Min(first, last);
		sum->slope_high += Max(first, last);
		sum->exponentials[i] = 0;
	}
}

/* outer += weight * (inner, held to the limits) */
static void
add_limited(const Search *search, const Moment *from, const Moment *to,
			Sum *inner, double minimum, double maximum, double weight,
			Sum *outer)
{
	double		low = weight * lq_clamp(inner->low, minimum, maximum);
	double		high = weight * lq_clamp(inner->high, minimum, maximum);

	outer->low += Min(low, high);
	outer->high += Max(low, high);
	if (inner->high <= minimum || inner->low >= maximum)
		return;					/* does not move */

	if (inner->low < minimum || inner->high > maximum)
	{
		take_slopes(search, from, to, inner);
		inner->slope_low = Min(inner->slope_low, 0);
		inner->slope_high = Max(inner->slope_high, 0);
	}
	else
	{
		for (int i = 0; i < search->nhalf_lives; i++)
			outer->exponentials[i] += weight * inner->exponentials[i];
	}
	if (weight >= 0)
	{
		outer->slope_low += weight * inner->slope_low;
		outer->slope_high += weight * inner->slope_high;
		outer->drop += weight * inner->drop;
		outer->rise += weight * inner->rise;
	}
	else
	{
		outer->slope_low += weight * inner->slope_high;
		outer->slope_high += weight * inner->slope_low;
		outer->drop -= weight * inner->rise;
		outer->rise -= weight * inner->drop;
	}
}

/*
 * What is known of the value from one moment to another, good until the next
 * call.  Mirrors lq_score_points() and lq_score_total().
 */
static const Sum *
bound(Search *search, const Moment *from, const Moment *to)
{
	const LqScore *score = search->asked.score;
	bool		one = search->asked.dimension >= 0;
	int			end = one ? search->asked.dimension + 1 : score->ndimensions;
	Sum		   *of_rule = &search->sums[0],
			   *of_dimension = &search->sums[1],
			   *total = &search->sums[2],
			   *value = &search->sums[3];
	int			i = 0;

	clear(search, total, 0);
	for (int d = one ? search->asked.dimension : 0; d < end; d++)
	{
		const LqDimension *dim = &score->dimensions[d];

		clear(search, of_dimension, dim->base);
		while (i < search->nparts && search->parts[i].dimension == d)
		{
			int			rule = search->parts[i].rule;
			double		limit;

			if (rule < 0)
			{
				add_part(search, i++, from, to, of_dimension);
				continue;
			}
			clear(search, of_rule, 0);
			while (i < search->nparts && search->parts[i].dimension == d &&
				   search->parts[i].rule == rule)
				add_part(search, i++, from, to, of_rule);
			limit = score->memories[rule].max_points;
			add_limited(search, from, to, of_rule, -limit, limit, 1,
						of_dimension);
		}
		add_limited(search, from, to, of_dimension, dim->minimum,
					dim->maximum, one ? 1 : dim->weight, total);
	}
	if (one)
	{
		take_slopes(search, from, to, total);
		return total;
	}
	clear(search, value, 0);
	add_limited(search, from, to, total, score->total_minimum,
				score->total_maximum, 1, value);
	take_slopes(search, from, to, value);
	return value;
}

/* ----------------------------------------------------------------
 * Moments
 * ----------------------------------------------------------------
 */

/* index of the first entry of a part that is worth something at "at" */
static int
first_live(const Part *part, TimestampTz at)
{
	int			low = 0;
	int			high = part->nentries;

	while (low < high)
	{
		int			mid = low + (high - low) / 2;

		if ((uint64) at - (uint64) part->entries[mid].at >=
			(uint64) part->period)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static void
move_to(Search *search, Moment *moment, int64 tick)
{
	TimestampTz at = tick * LQ_TICK;

	moment->tick = tick;
	/* the longest spans do not fit into int64 */
	moment->since = (double) ((uint64) at - (uint64) search->asked.score->as_of);
	for (int i = 0; i < search->nhalf_lives; i++)
		moment->factors[i] = exp2(-(moment->since /
									(double) search->half_lives[i].period));
	for (int i = 0; i < search->nparts; i++)
	{
		if (LQ_HAS_ENTRIES(search->parts[i].decay))
			moment->live[i] = first_live(&search->parts[i], at);
	}
	moment->value = bound(search, moment, moment)->low;
}

/*
 * Is the value below the threshold?  score.c need not be asked where its answer
 * is plain.
 */
static bool
is_below(const Search *search, const Moment *moment)
{
	if (lq_reaches(moment->value - search->error, search->asked.threshold))
		return false;
	if (!lq_reaches(moment->value + search->error, search->asked.threshold))
		return true;
	return !lq_reaches(lq_asked_value(&search->asked, moment->tick), search->asked.threshold);
}

/* ----------------------------------------------------------------
 * The search
 * ----------------------------------------------------------------
 */

/*
 * Least that the value can be between two moments by what it is there and by
 * its slopes: it is above a line that falls from the one and above one that
 * rises to the other.  Drops may all come first, rises all last.
 */
static double
least(const Sum *sum, const Moment *from, const Moment *to, double span)
{
	double		fall = Max(-sum->slope_low, 0);
	double		climb = Max(sum->slope_high, 0);
	double		start = from->value - sum->drop;
	double		end = to->value - sum->rise;
	double		meet = 0;

	if (fall + climb > 0)
		meet = lq_clamp((start - end + climb * span) / (fall + climb), 0, span);

	/* rounding misses the point, and beside it the greater is too great */
	return Max(start - fall * meet, end - climb * (span - meet)) -
		4 * DBL_EPSILON * (fall + climb) * span;
}

/* what becomes of the value after "from", where it reaches the threshold? */
static Verdict
judge(Search *search, const Moment *from, const Moment *to)
{
	double		span = (double) (to->tick - from->tick) * LQ_TICK;
	const Sum  *sum;

	if (to->tick - from->tick <= 1)
		return FALLS;

	sum = bound(search, from, to);
	if (sum->slope_high <= 0 && sum->rise == 0)
		return FALLS;
	if (sum->slope_low >= 0 && sum->drop == 0)
		return STAYS;
	if (lq_reaches(sum->low - search->error, search->asked.threshold) ||
		lq_reaches(least(sum, from, to, span) - search->error,
				   search->asked.threshold))
		return STAYS;

	/*
	 * Changes as small as rounding errors cannot be told apart.  Put so that
	 * it holds if the error is not finite.
	 */
	if (!(Max(-sum->slope_low, sum->slope_high) * span + sum->drop +
		  sum->rise > search->error))
		return FALLS;
	return UNSURE;
}

/*
 * Where to cut an interval of at least two ticks: where windows end within
 * it, at the middle one of the rule that has most of them.  Halves of the
 * time alone would need many cuts to come close to a pair of ends.
 */
static int64
cut(const Search *search, const Moment *from, const Moment *to)
{
	int			part = -1;
	int			most = 0;
	const LqEntry *entry;
	TimestampTz end;
	int64		tick;

	for (int i = 0; i < search->nparts; i++)
	{
		if (search->parts[i].decay == LQ_DECAY_WINDOW &&
			to->live[i] - from->live[i] > most)
		{
			part = i;
			most = to->live[i] - from->live[i];
		}
	}
	if (part < 0)
		return from->tick + (to->tick - from->tick) / 2;

	/* it is over at "to", so that this is a time */
	entry = &search->parts[part].entries[from->live[part] + most / 2];
	end = entry->at + search->parts[part].period;
	tick = lq_first_tick(end - 1);
	return Min(tick, to->tick - 1);
}

/*
 * First tick from "first" to "last" at which the value is below; -1 less than
 * "first": none.  Ends of intervals that wait are on a stack.
 */
static int64
first_below(Search *search, Moment *from, Moment *to, int64 first, int64 last)
{
	int64		ends[MAX_DEPTH];
	int			nends = 0;
	int64		intervals = MAX_INTERVALS(search->asked.score->nentries);

	move_to(search, from, first);
	if (is_below(search, from))
		return first;
	move_to(search, to, last);
	for (;;)
	{
		Verdict		verdict = intervals-- > 0 ?
			judge(search, from, to) : FALLS;
		Moment	   *done = from;

		CHECK_FOR_INTERRUPTS();
		if (verdict == UNSURE)
		{
			int64		middle = nends < FREE_CUTS ? cut(search, from, to) :
				from->tick + (to->tick - from->tick) / 2;

			Assert(nends < MAX_DEPTH);
			ends[nends++] = to->tick;
			move_to(search, to, middle);
			continue;
		}
		if (verdict == FALLS && is_below(search, to))
			return lq_narrow(&search->asked,
						  (LqBracket) {from->tick, to->tick, from->value, to->value});
		if (nends == 0)
			return first - 1;
		from = to;
		to = done;
		move_to(search, to, ends[--nends]);
	}
}

/* ----------------------------------------------------------------
 * Setting up
 * ----------------------------------------------------------------
 */

static int
part_cmp(const void *x, const void *y)
{
	const Part *a = x;
	const Part *b = y;

	if (a->dimension != b->dimension)
		return a->dimension < b->dimension ? -1 : 1;
	if (a->rule != b->rule)
		return a->rule < b->rule ? -1 : 1;
	return 0;
}

static int
half_life(Search *search, int64 period)
{
	HalfLife   *next = &search->half_lives[search->nhalf_lives];

	for (int i = 0; i < search->nhalf_lives; i++)
	{
		if (search->half_lives[i].period == period)
			return i;
	}
	next->period = period;
	next->rate = M_LN2 / (double) period;
	return search->nhalf_lives++;
}

/*
 * Add up the entries of a part from the last to the first: the order in
 * which they end, so that nothing is ever subtracted.  Returns the points
 * without their signs.
 */
static double
take_entries(const Search *search, Part *part)
{
	Rest	   *rest = &part->rests[part->nentries];

	memset(rest, 0, sizeof(Rest));
	for (int i = part->nentries - 1; i >= 0; i--)
	{
		const LqEntry *entry = &part->entries[i];
		double		left = (double)
			((uint64) part->period -
			 ((uint64) search->asked.score->as_of - (uint64) entry->at));

		rest--;
		*rest = rest[1];
		if (entry->points > 0)
		{
			rest->positive += entry->points;
			rest->positive_left += entry->points * left;
		}
		else
		{
			rest->negative += entry->points;
			rest->negative_left += entry->points * left;
		}
	}
	return rest->positive - rest->negative;
}

/*
 * Turn a term into a part.  Returns its points without their signs; 0: it
 * does not matter.
 */
static double
take_term(Search *search, int number, Part *part, Rest *rests)
{
	const LqScore *score = search->asked.score;
	const LqTerm *term = &score->terms[number];

	if (search->asked.dimension >= 0 ? term->dimension != search->asked.dimension :
		score->dimensions[term->dimension].weight == 0)
		return 0;
	if (TIMESTAMP_IS_NOBEGIN(score->as_of) && term->decay != LQ_DECAY_NONE)
		return 0;				/* decayed for ever */

	memset(part, 0, sizeof(Part));
	part->dimension = term->dimension;
	part->rule = term->memory;
	if (term->memory >= 0 && isinf(score->memories[term->memory].max_points))
		part->rule = -1;
	part->decay = term->decay;
	part->period = term->period;
	if (LQ_HAS_ENTRIES(term->decay))
	{
		int			first = lq_score_first_entry(score, number);

		part->entries = &score->entries[first];
		part->nentries = lq_score_first_entry(score, number + 1) - first;
		/* each term before this one took one more than its entries */
		part->rests = &rests[first + number];
		return take_entries(search, part);
	}
	part->points = term->sum;
	if (term->decay == LQ_DECAY_EXPONENTIAL && term->sum != 0)
		part->half_life = half_life(search, term->period);
	return fabs(term->sum);
}

/*
 * How far a value may be from what score.c makes of it, which adds the same
 * numbers in another order.  "size" is their sum without signs; n equal ones
 * lose n / 4 units of precision in the worst case.
 */
static double
rounding_error(const LqScore *score, double size)
{
	int			n = score->nentries + score->nterms + score->ndimensions;

	return (8 + n / 4) * DBL_EPSILON * size;
}

/* greatest magnitude that occurs in adding up a dimension */
static double
dimension_size(const LqDimension *dim, double points)
{
	double		most = fabs(dim->base) + points;

	return Max(most, Max(fabs(lq_clamp(most, dim->minimum, dim->maximum)),
						 fabs(lq_clamp(-most, dim->minimum, dim->maximum))));
}

/* needs room for nterms parts and half-lives; sizes: for each dimension, 0 */
static void
take_terms(Search *search, Rest *rests, double *sizes)
{
	const LqScore *score = search->asked.score;
	double		size = 0;

	for (int i = 0; i < score->nterms; i++)
	{
		Part	   *part = &search->parts[search->nparts];
		double		points = take_term(search, i, part, rests);

		if (points == 0)
			continue;
		sizes[part->dimension] += points;
		search->nparts++;
	}
	if (search->nparts > 1)
		qsort(search->parts, search->nparts, sizeof(Part), part_cmp);

	for (int i = 0; i < score->ndimensions; i++)
	{
		const LqDimension *dim = &score->dimensions[i];

		if (search->asked.dimension < 0)
			size += fabs(dim->weight) * dimension_size(dim, sizes[i]);
		else if (search->asked.dimension == i)
			size = dimension_size(dim, sizes[i]);
	}
	search->error = rounding_error(score, size);
}

/*
 * The first tick at which nothing changes any more, or the last one there
 * is.
 */
static int64
settled(const Search *search)
{
	TimestampTz as_of = search->asked.score->as_of;
	uint64		most = (uint64) (END_TIMESTAMP - 1) - (uint64) as_of;
	uint64		longest = 0;

	for (int i = 0; i < search->nparts; i++)
	{
		const Part *part = &search->parts[i];
		uint64		span = (uint64) part->period;

		if (part->decay == LQ_DECAY_EXPONENTIAL)
			span = span > most / HALF_LIVES ? most : span * HALF_LIVES;
		longest = Max(longest, span);
	}
	if (longest >= most)
		return LQ_LAST_TICK;
	return Min(lq_first_tick((TimestampTz) ((uint64) as_of + longest)), LQ_LAST_TICK);
}

/* branch and bound, for a score that may rise as well */
static int64
search_below(Search *search, int64 first)
{
	const LqScore *score = search->asked.score;
	Moment		moments[2];
	int			n = score->nterms;
	Rest	   *rests = palloc((score->nentries + n) * sizeof(Rest));
	int		   *live = palloc(2 * n * sizeof(int));
	double	   *doubles = palloc0((score->ndimensions + 6 * n) * sizeof(double));
	int64		found;

	search->parts = palloc(n * sizeof(Part));
	search->half_lives = palloc(n * sizeof(HalfLife));
	take_terms(search, rests, doubles);
	for (int i = 0; i < 4; i++)
		search->sums[i].exponentials = doubles + score->ndimensions + i * n;
	for (int i = 0; i < 2; i++)
	{
		moments[i].factors = doubles + score->ndimensions + (4 + i) * n;
		moments[i].live = live + i * n;
	}
	found = first_below(search, &moments[0], &moments[1], first,
						Max(settled(search), first));
	pfree(search->parts);
	pfree(search->half_lives);
	pfree(rests);
	pfree(live);
	pfree(doubles);
	return found;
}

TimestampTz
lq_score_crossing(const LqScore *score, int dimension, double threshold,
				  TimestampTz from)
{
	Search		search = {0};
	int64		first,
				found;

	Assert(dimension >= -1 && dimension < score->ndimensions);
	Assert(from >= score->as_of);
	if (TIMESTAMP_IS_NOEND(from))
		return DT_NOEND;
	from = Max(from, MIN_TIMESTAMP);
	first = lq_first_tick(from);
	if (first > LQ_LAST_TICK)
		return DT_NOEND;

	search.asked.score = score;
	search.asked.dimension = dimension;
	search.asked.threshold = threshold;
	found = lq_score_only_falls(score) ? lq_falls_below(&search.asked, first, LQ_LAST_TICK) :
		search_below(&search, first);
	return found < first ? DT_NOEND : found * LQ_TICK;
}
