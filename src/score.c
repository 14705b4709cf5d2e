/*
 * score.c
 *		Arithmetic of a lead's score.
 *
 * The score is kept relative to as_of, the time of its newest event, and
 * only ever carried forward: sums with exponential decay are multiplied by
 * 2^(-dt/period) as as_of moves on.  No common origin in the past is used,
 * because factors that grow with time lose the small differences on which
 * thresholds depend.
 *
 * Nothing here reads a clock or a catalog.  All memory that a score owns is
 * in score->cxt; every array is a chunk of its own, so that it can grow by
 * repalloc.  Sums saturate at the largest finite double: what is stored is
 * always finite and never NaN.
 */
#include "postgres.h"

#include <float.h>
#include <math.h>

#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "utils/float.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "score.h"
#include "score_internal.h"

static const char *const decay_names[] = {
	"none", "exponential", "linear", "window"
};

/*
 * A score without events, dimensions or bounds, allocated in cxt.
 */
LqScore *
lq_score_create(MemoryContext cxt)
{
	LqScore    *score = MemoryContextAllocZero(cxt, sizeof(LqScore));

	score->cxt = cxt;
	score->as_of = DT_NOBEGIN;
	score->last.at = DT_NOBEGIN;
	score->mark = DT_NOBEGIN;
	score->steady_since = DT_NOBEGIN;
	score->total_minimum = -get_float8_infinity();
	score->total_maximum = get_float8_infinity();
	score->total_peak = -get_float8_infinity();
	return score;
}

/*
 * Microseconds from one time to a later one.  The span between the earliest
 * and the latest timestamp does not fit into int64; with an infinite end it
 * is longer than any period.
 */
static uint64
elapsed(TimestampTz from, TimestampTz to)
{
	Assert(from <= to);
	if (from == to)
		return 0;
	if (TIMESTAMP_IS_NOBEGIN(from) || TIMESTAMP_IS_NOEND(to))
		return PG_UINT64_MAX;
	return (uint64) to - (uint64) from;
}

/* a + b, held to the finite range */
static double
add(double a, double b)
{
	return lq_clamp(a + b, -DBL_MAX, DBL_MAX);
}

/* 2^(-dt/period) */
static double
decay_factor(uint64 dt, int64 period)
{
	if (dt == 0)
		return 1;				/* so it is at each event, asked several times */
	if (dt == PG_UINT64_MAX)
		return 0;
	return exp2(-((double) dt / (double) period));
}

/*
 * Worth at "at" of points earned at "happened".
 */
double
lq_worth(double points, LqDecay decay, int64 period,
		 TimestampTz happened, TimestampTz at)
{
	uint64		dt;

	if (happened > at)
		return 0;
	if (decay == LQ_DECAY_NONE)
		return points;

	Assert(period > 0);
	dt = elapsed(happened, at);
	if (decay == LQ_DECAY_EXPONENTIAL)
		return points * decay_factor(dt, period);
	if (dt >= (uint64) period)
		return 0;
	if (decay == LQ_DECAY_WINDOW)
		return points;
	return points * (1.0 - (double) dt / (double) period);
}

double
lq_clamp(double value, double minimum, double maximum)
{
	if (value > maximum)
		value = maximum;
	if (value < minimum)
		value = minimum;
	return value;
}

/* the least score at which a threshold holds: less than it by what rounding may take */
double
lq_least_reaching(double threshold)
{
	return threshold - 1e-9 * Max(1.0, fabs(threshold));
}

bool
lq_reaches(double score, double threshold)
{
	return score >= lq_least_reaching(threshold);
}

const char *
lq_decay_name(LqDecay decay)
{
	return decay_names[decay];
}

bool
lq_decay_parse(const char *name, LqDecay *decay)
{
	for (int i = 0; i < lengthof(decay_names); i++)
	{
		if (strcmp(name, decay_names[i]) == 0)
		{
			*decay = (LqDecay) i;
			return true;
		}
	}
	return false;
}

/*
 * Order of two positions: time, kind, source, key bytes; a key that is the
 * beginning of the other comes first.
 */
int
lq_position_cmp(const LqPosition *a, const LqPosition *b)
{
	int			common;
	int			cmp;

	if (a->at != b->at)
		return a->at < b->at ? -1 : 1;
	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	if (a->source != b->source)
		return a->source < b->source ? -1 : 1;
	common = Min(a->keylen, b->keylen);
	cmp = common > 0 ? memcmp(a->key, b->key, common) : 0;
	if (cmp != 0)
		return cmp < 0 ? -1 : 1;
	if (a->keylen != b->keylen)
		return a->keylen < b->keylen ? -1 : 1;
	return 0;
}

/* index of the dimension, -1 if the score has none of that name */
int
lq_score_dimension(const LqScore *score, const char *name)
{
	for (int i = 0; i < score->ndimensions; i++)
	{
		if (strcmp(score->dimensions[i].name, name) == 0)
			return i;
	}
	return -1;
}

/*
 * Room for one more element.  Asking for the next power of two keeps this
 * cheap without remembering a capacity: repalloc returns at once while the
 * chunk is large enough.
 */
static void *
grow(MemoryContext cxt, void *array, int n, Size element)
{
	Size		size = pg_nextpower2_32(Max(n + 1, 4)) * element;

	return array ? repalloc(array, size) : MemoryContextAlloc(cxt, size);
}

/* index of the memory of the rule of that name, whose length is len; -1 if it has none */
int
lq_score_memory_named(const LqScore *score, const char *rule, int len)
{
	for (int i = 0; i < score->nmemories; i++)
		if (strncmp(score->memories[i].rule, rule, len) == 0 &&
			score->memories[i].rule[len] == '\0')
			return i;
	return -1;
}

/*
 * Index of the rule's memory; -1 if it has none and none is to be created.
 */
int
lq_score_memory(LqScore *score, const char *rule, bool create)
{
	int			found = lq_score_memory_named(score, rule, strlen(rule));
	LqMemory   *memory;

	if (found >= 0 || !create)
		return found;

	score->memories = grow(score->cxt, score->memories, score->nmemories,
						   sizeof(LqMemory));
	memory = &score->memories[score->nmemories];
	memory->rule = MemoryContextStrdup(score->cxt, rule);
	memory->max_points = get_float8_infinity();
	memory->matches = 0;
	memory->fresh_matches = 0;
	memory->last_at = DT_NOBEGIN;
	return score->nmemories++;
}

/*
 * The term for these properties, created if need be.  The pointer is good
 * until the next term is created.
 */
LqTerm *
lq_score_term(LqScore *score, int dimension, int memory, LqDecay decay,
			  int64 period)
{
	LqTerm	   *term;

	if (decay == LQ_DECAY_NONE)
		period = 0;
	for (int i = 0; i < score->nterms; i++)
	{
		term = &score->terms[i];
		if (term->dimension == dimension && term->memory == memory &&
			term->decay == decay && term->period == period)
			return term;
	}

	score->terms = grow(score->cxt, score->terms, score->nterms,
						sizeof(LqTerm));
	term = &score->terms[score->nterms++];
	term->dimension = dimension;
	term->memory = memory;
	term->decay = decay;
	term->period = period;
	term->sum = 0;
	term->fresh = 0;
	return term;
}

/* index of the first entry of a term, or where it would be */
int
lq_score_first_entry(const LqScore *score, int term)
{
	int			low = 0;
	int			high = score->nentries;

	while (low < high)
	{
		int			mid = low + (high - low) / 2;

		if (score->entries[mid].term < term)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* make room for an entry at this index, which the caller fills in */
LqEntry *
lq_score_insert_entry(LqScore *score, int place)
{
	LqEntry    *entry;

	score->entries = grow(score->cxt, score->entries, score->nentries,
						  sizeof(LqEntry));
	entry = &score->entries[place];
	memmove(entry + 1, entry, (score->nentries - place) * sizeof(LqEntry));
	memset(entry, 0, sizeof(LqEntry));
	score->nentries++;
	return entry;
}

/*
 * Insert an entry in its place.  Of more than LQ_MAX_ENTRIES of a term the
 * first is dropped, which may be the new one.  Entries of one instant are
 * ordered by points, so that what is dropped does not depend on arrival.
 */
static void
add_entry(LqScore *score, int term, TimestampTz at, double points)
{
	int			first = lq_score_first_entry(score, term);
	int			end = lq_score_first_entry(score, term + 1);
	int			place = end;
	LqEntry    *entry;

	/* from the end: nearly every activity is the newest */
	while (place > first)
	{
		entry = &score->entries[place - 1];
		if (entry->at < at || (entry->at == at && entry->points <= points))
			break;
		place--;
	}

	if (end - first >= LQ_MAX_ENTRIES)
	{
		if (place == first)
			return;
		place--;
		memmove(&score->entries[first], &score->entries[first + 1],
				(place - first) * sizeof(LqEntry));
	}
	else
		lq_score_insert_entry(score, place);
	entry = &score->entries[place];
	entry->term = term;
	entry->at = at;
	entry->points = points;
}

/*
 * Add an activity that happened at "at", not after as_of.  What is worth
 * nothing already leaves no trace.
 */
void
lq_score_add(LqScore *score, int dimension, int memory, LqDecay decay,
			 int64 period, TimestampTz at, double points)
{
	LqTerm	   *term;
	double		worth;

	if (at > score->as_of)
		lq_score_advance(score, at);
	worth = lq_worth(points, decay, period, at, score->as_of);
	if (worth == 0)
		return;

	term = lq_score_term(score, dimension, memory, decay, period);
	if (LQ_HAS_ENTRIES(decay))
	{
		add_entry(score, (int) (term - score->terms), at, points);
		return;
	}
	term->sum = add(term->sum, worth);
	if (TIMESTAMP_IS_NOBEGIN(score->mark))
		term->fresh = term->sum;
	else if (at > score->mark)
		term->fresh = add(term->fresh, worth);
}

/* drop the entries that are worth nothing at as_of */
static void
drop_expired(LqScore *score)
{
	int			kept = 0;

	for (int i = 0; i < score->nentries; i++)
	{
		const LqEntry *entry = &score->entries[i];
		const LqTerm *term = &score->terms[entry->term];

		if (elapsed(entry->at, score->as_of) >= (uint64) term->period)
			continue;
		if (kept != i)
			score->entries[kept] = *entry;
		kept++;
	}
	score->nentries = kept;
}

/*
 * Carry the score forward to "at".  Going back is impossible: an earlier
 * time changes nothing.
 */
void
lq_score_advance(LqScore *score, TimestampTz at)
{
	uint64		dt;
	int64		period = 0;
	double		factor = 1;

	Assert(!TIMESTAMP_NOT_FINITE(at));
	if (at <= score->as_of)
		return;
	if (TIMESTAMP_IS_NOBEGIN(score->as_of))
	{
		score->as_of = at;
		return;
	}

	dt = elapsed(score->as_of, at);
	for (int i = 0; i < score->nterms; i++)
	{
		LqTerm	   *term = &score->terms[i];

		if (term->decay != LQ_DECAY_EXPONENTIAL)
			continue;
		if (term->period != period)
		{
			period = term->period;
			factor = decay_factor(dt, period);
		}
		term->sum *= factor;
		term->fresh *= factor;
	}
	score->as_of = at;
	drop_expired(score);
}

/*
 * Set the mark of points: from now on "fresh" counts only what is newer.
 * Without a mark (DT_NOBEGIN) everything is fresh again.
 */
void
lq_score_set_mark(LqScore *score, TimestampTz mark)
{
	bool		none = TIMESTAMP_IS_NOBEGIN(mark);

	score->mark = mark;
	for (int i = 0; i < score->nterms; i++)
		score->terms[i].fresh = none ? score->terms[i].sum : 0;
}

/* the same for matches: all are fresh, or none of those until now */
void
lq_score_mark_matches(LqScore *score, bool all)
{
	for (int i = 0; i < score->nmemories; i++)
		score->memories[i].fresh_matches = all ? score->memories[i].matches : 0;
}

/*
 * Begin anew: what activities earned and left behind is gone, what the lead
 * is (base) stays.
 */
void
lq_score_renew(LqScore *score)
{
	score->nmemories = 0;
	score->nterms = 0;
	score->nentries = 0;
	score->ncounts = 0;
	score->ntimes = 0;
}

/*
 * Remember the time of a match; times of one rule and kind stay in order.
 * Of more than LQ_MAX_ENTRIES the oldest is forgotten.
 */
void
lq_score_time_add(LqScore *score, int memory, bool pending, TimestampTz at)
{
	int			oldest = -1;
	int			count = 0;
	int			place;

	for (int i = 0; i < score->ntimes; i++)
	{
		if (score->times[i].memory != memory ||
			score->times[i].pending != pending)
			continue;
		if (count++ == 0)
			oldest = i;
	}
	if (count >= LQ_MAX_ENTRIES)
	{
		if (at < score->times[oldest].at)
			return;
		score->ntimes--;
		memmove(&score->times[oldest], &score->times[oldest + 1],
				(score->ntimes - oldest) * sizeof(LqTime));
	}

	score->times = grow(score->cxt, score->times, score->ntimes,
						sizeof(LqTime));
	for (place = score->ntimes; place > 0; place--)
	{
		const LqTime *time = &score->times[place - 1];

		if (time->memory == memory && time->pending == pending &&
			time->at <= at)
			break;
		score->times[place] = *time;
	}
	score->times[place].memory = memory;
	score->times[place].pending = pending;
	score->times[place].at = at;
	score->ntimes++;
}

/*
 * Forget the times of one rule and kind that are earlier than "before".
 */
void
lq_score_times_drop(LqScore *score, int memory, bool pending,
					TimestampTz before)
{
	int			kept = 0;

	for (int i = 0; i < score->ntimes; i++)
	{
		const LqTime *time = &score->times[i];

		if (time->memory == memory && time->pending == pending &&
			time->at < before)
			continue;
		if (kept != i)
			score->times[kept] = *time;
		kept++;
	}
	score->ntimes = kept;
}

/*
 * The counter of a rule's cap for a bucket and value, created with 0 if need
 * be; good until the next call.  Events come in order, so that a new bucket
 * means that the rule's others are over: they are dropped.
 */
LqCount *
lq_score_count(LqScore *score, int memory, int64 bucket, uint64 value)
{
	LqCount    *count;
	int			kept = 0;

	for (int i = 0; i < score->ncounts; i++)
	{
		count = &score->counts[i];
		if (count->memory == memory && count->bucket == bucket &&
			count->value == value)
			return count;
	}

	for (int i = 0; i < score->ncounts; i++)
	{
		count = &score->counts[i];
		if (count->memory == memory && count->bucket != bucket)
			continue;
		if (kept != i)
			score->counts[kept] = *count;
		kept++;
	}
	score->ncounts = kept;

	score->counts = grow(score->cxt, score->counts, score->ncounts,
						 sizeof(LqCount));
	count = &score->counts[score->ncounts++];
	count->memory = memory;
	count->bucket = bucket;
	count->value = value;
	count->count = 0;
	count->full_at = DT_NOBEGIN;
	return count;
}

/*
 * Exchange the dimensions: what was dimension i is renumber[i] from now on,
 * or gone with all it earned if that is -1.  The new array becomes the
 * score's; it must live as long.
 */
void
lq_score_renumber(LqScore *score, const int *renumber,
				  LqDimension *dimensions, int ndimensions)
{
	int		   *moved = palloc(sizeof(int) * Max(score->nterms, 1));
	int			kept = 0;

	for (int i = 0; i < score->nterms; i++)
	{
		LqTerm		term = score->terms[i];

		term.dimension = renumber[term.dimension];
		moved[i] = term.dimension < 0 ? -1 : kept;
		if (moved[i] >= 0)
			score->terms[kept++] = term;
	}
	score->nterms = kept;

	kept = 0;
	for (int i = 0; i < score->nentries; i++)
	{
		LqEntry		entry = score->entries[i];

		entry.term = moved[entry.term];
		if (entry.term >= 0)
			score->entries[kept++] = entry;
	}
	score->nentries = kept;
	pfree(moved);

	score->dimensions = dimensions;
	score->ndimensions = ndimensions;
}

/* worth of one term at "at", not before as_of */
static double
term_worth(const LqScore *score, int number, TimestampTz at, bool fresh)
{
	const LqTerm *term = &score->terms[number];
	double		sum = 0;

	if (!LQ_HAS_ENTRIES(term->decay))
		return lq_worth(fresh ? term->fresh : term->sum, term->decay,
						term->period, score->as_of, at);

	for (int i = lq_score_first_entry(score, number);
		 i < score->nentries && score->entries[i].term == number; i++)
	{
		const LqEntry *entry = &score->entries[i];

		/* with no mark, at > mark is true of every time */
		if (!fresh || entry->at > score->mark)
			sum = add(sum, lq_worth(entry->points, term->decay, term->period,
									entry->at, at));
	}
	return sum;
}

static bool
is_capped(const LqScore *score, const LqTerm *term)
{
	return term->memory >= 0 &&
		!isinf(score->memories[term->memory].max_points);
}

/*
 * Worth of the rule whose first term in the dimension is "number", held to
 * its max_points.  A later term of the same rule (versions may have changed
 * its decay) is counted with the first and gives 0 here.
 */
static double
capped_worth(const LqScore *score, int number, TimestampTz at, bool fresh)
{
	const LqTerm *term = &score->terms[number];
	double		limit = score->memories[term->memory].max_points;
	double		sum = 0;

	for (int i = 0; i < score->nterms; i++)
	{
		const LqTerm *other = &score->terms[i];

		if (other->dimension != term->dimension ||
			other->memory != term->memory)
			continue;
		if (i < number)
			return 0;
		sum = add(sum, term_worth(score, i, at, fresh));
	}
	return lq_clamp(sum, -limit, limit);
}

/*
 * Points of a dimension at "at", which is not before as_of; "fresh" counts
 * of the activities only what is newer than the mark.
 */
double
lq_score_points(const LqScore *score, int dimension, TimestampTz at,
				bool fresh)
{
	const LqDimension *dim = &score->dimensions[dimension];
	double		sum = dim->base;

	Assert(at >= score->as_of);
	for (int i = 0; i < score->nterms; i++)
	{
		const LqTerm *term = &score->terms[i];

		if (term->dimension != dimension)
			continue;
		CHECK_FOR_INTERRUPTS();
		if (is_capped(score, term))
			sum = add(sum, capped_worth(score, i, at, fresh));
		else
			sum = add(sum, term_worth(score, i, at, fresh));
	}
	return lq_clamp(sum, dim->minimum, dim->maximum);
}

/*
 * The total at "at": the dimensions by weight.  If each is not NULL, each[i] gets
 * the points of dimension i.
 */
double
lq_score_total_and_each(const LqScore *score, TimestampTz at, bool fresh, double *each)
{
	double		sum = 0;

	for (int i = 0; i < score->ndimensions; i++)
	{
		double		points = lq_score_points(score, i, at, fresh);

		if (each != NULL)
			each[i] = points;
		sum = add(sum, lq_clamp(score->dimensions[i].weight * points, -DBL_MAX, DBL_MAX));
	}
	return lq_clamp(sum, score->total_minimum, score->total_maximum);
}

double
lq_score_total(const LqScore *score, TimestampTz at, bool fresh)
{
	return lq_score_total_and_each(score, at, fresh, NULL);
}
