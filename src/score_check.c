/*
 * score_check.c
 *		Canonical order and validity of a score.
 *
 * A score in memory is in the order in which things came up.  Its canonical
 * form, the one that is stored, has memories in order of name, terms of
 * (dimension, memory, decay, period) without those that are worth nothing,
 * entries of (term, at, points), counts of (memory, bucket, value) and times
 * of (memory, pending, at).  Dimensions keep the order that the model gave
 * them.
 *
 * Text, binary input and what the engine made pass the same check.
 */
#include "postgres.h"

#include <math.h>

#include "mb/pg_wchar.h"
#include "utils/float.h"
#include "utils/timestamp.h"

#include "score.h"
#include "score_internal.h"

#define COMPARE(a, b) \
	do { \
		if ((a) != (b)) \
			return (a) < (b) ? -1 : 1; \
	} while (0)

/* ----------------------------------------------------------------
 * Canonical order
 * ----------------------------------------------------------------
 */

static int
term_cmp(const LqTerm *a, const LqTerm *b)
{
	COMPARE(a->dimension, b->dimension);
	COMPARE(a->memory, b->memory);
	COMPARE(a->decay, b->decay);
	COMPARE(a->period, b->period);
	return 0;
}

static int
entry_cmp(const void *x, const void *y)
{
	const LqEntry *a = x;
	const LqEntry *b = y;

	COMPARE(a->term, b->term);
	COMPARE(a->at, b->at);
	COMPARE(a->points, b->points);
	return 0;
}

static int
count_cmp(const void *x, const void *y)
{
	const LqCount *a = x;
	const LqCount *b = y;

	COMPARE(a->memory, b->memory);
	COMPARE(a->bucket, b->bucket);
	COMPARE(a->value, b->value);
	return 0;
}

static int
time_cmp(const void *x, const void *y)
{
	const LqTime *a = x;
	const LqTime *b = y;

	COMPARE(a->memory, b->memory);
	COMPARE(a->pending, b->pending);
	COMPARE(a->at, b->at);
	return 0;
}

/* indexes into an array, for sorting it without losing what was where */
static int
memory_index_cmp(const void *x, const void *y, void *memories)
{
	const LqMemory *array = memories;

	return strcmp(array[*(const int *) x].rule, array[*(const int *) y].rule);
}

static int
term_index_cmp(const void *x, const void *y, void *terms)
{
	const LqTerm *array = terms;

	return term_cmp(&array[*(const int *) x], &array[*(const int *) y]);
}

/* is every index into another array in range? */
bool
lq_score_indexes_valid(const LqScore *score)
{
#define IN(index, n) ((index) >= 0 && (index) < (n))
	for (int i = 0; i < score->nterms; i++)
	{
		if (!IN(score->terms[i].dimension, score->ndimensions) ||
			!IN(score->terms[i].memory + 1, score->nmemories + 1))
			return false;
	}
	for (int i = 0; i < score->nentries; i++)
	{
		if (!IN(score->entries[i].term, score->nterms))
			return false;
	}
	for (int i = 0; i < score->ncounts; i++)
	{
		if (!IN(score->counts[i].memory, score->nmemories))
			return false;
	}
	for (int i = 0; i < score->ntimes; i++)
	{
		if (!IN(score->times[i].memory, score->nmemories))
			return false;
	}
	return true;
#undef IN
}

/* entries must be in order already */
static bool
terms_canonical(const LqScore *score)
{
	int			entry = 0;

	for (int i = 0; i < score->nterms; i++)
	{
		const LqTerm *term = &score->terms[i];
		bool		worthless = term->sum == 0 && term->fresh == 0;

		if (i > 0 && term_cmp(term - 1, term) > 0)
			return false;
		if (LQ_HAS_ENTRIES(term->decay))
		{
			worthless = entry == score->nentries ||
				score->entries[entry].term != i;
			while (entry < score->nentries && score->entries[entry].term == i)
				entry++;
		}
		if (worthless)
			return false;
	}
	return true;
}

/*
 * Is everything in canonical order and nothing worthless there?  Equal
 * neighbours pass; they are for lq_score_content_problem() to refuse.
 */
bool
lq_score_is_canonical(const LqScore *score)
{
	for (int i = 1; i < score->nmemories; i++)
	{
		if (strcmp(score->memories[i - 1].rule, score->memories[i].rule) > 0)
			return false;
	}
	for (int i = 1; i < score->nentries; i++)
	{
		if (entry_cmp(&score->entries[i - 1], &score->entries[i]) > 0)
			return false;
	}
	for (int i = 1; i < score->ncounts; i++)
	{
		if (count_cmp(&score->counts[i - 1], &score->counts[i]) > 0)
			return false;
	}
	for (int i = 1; i < score->ntimes; i++)
	{
		if (time_cmp(&score->times[i - 1], &score->times[i]) > 0)
			return false;
	}
	return terms_canonical(score);
}

static void *
copy_array(const void *array, int n, Size element)
{
	void	   *copy = palloc(Max(n, 1) * element);

	if (n > 0)
		memcpy(copy, array, n * element);
	return copy;
}

/* order the memories by name, in a copy, and renumber what refers to them */
static void
sort_memories(LqScore *score)
{
	const LqMemory *old = score->memories;
	int			n = score->nmemories;
	int		   *order = palloc(sizeof(int) * Max(n, 1));
	int		   *moved = palloc(sizeof(int) * Max(n, 1));

	for (int i = 0; i < n; i++)
		order[i] = i;
	qsort_arg(order, n, sizeof(int), memory_index_cmp, unconstify(LqMemory *, old));
	score->memories = palloc(sizeof(LqMemory) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		score->memories[i] = old[order[i]];
		moved[order[i]] = i;
	}
	for (int i = 0; i < score->nterms; i++)
	{
		if (score->terms[i].memory >= 0)
			score->terms[i].memory = moved[score->terms[i].memory];
	}
	for (int i = 0; i < score->ncounts; i++)
		score->counts[i].memory = moved[score->counts[i].memory];
	for (int i = 0; i < score->ntimes; i++)
		score->times[i].memory = moved[score->times[i].memory];
}

/* likewise the terms, without those that are worth nothing */
static void
sort_terms(LqScore *score)
{
	const LqTerm *old = score->terms;
	int			n = score->nterms;
	int		   *order = palloc(sizeof(int) * Max(n, 1));
	int		   *moved = palloc(sizeof(int) * Max(n, 1));
	bool	   *wanted = palloc0(sizeof(bool) * Max(n, 1));

	for (int i = 0; i < n; i++)
	{
		order[i] = i;
		if (!LQ_HAS_ENTRIES(old[i].decay))
			wanted[i] = old[i].sum != 0 || old[i].fresh != 0;
	}
	for (int i = 0; i < score->nentries; i++)
		wanted[score->entries[i].term] = true;

	qsort_arg(order, n, sizeof(int), term_index_cmp, unconstify(LqTerm *, old));
	score->terms = palloc(sizeof(LqTerm) * Max(n, 1));
	score->nterms = 0;
	for (int i = 0; i < n; i++)
	{
		if (!wanted[order[i]])
			continue;
		moved[order[i]] = score->nterms;
		score->terms[score->nterms++] = old[order[i]];
	}
	for (int i = 0; i < score->nentries; i++)
		score->entries[i].term = moved[score->entries[i].term];
}

/*
 * The score in canonical order: itself, which is the rule since scores come
 * from unpacking, or a copy in the current memory context.
 */
const LqScore *
lq_score_canonical(const LqScore *score)
{
	LqScore    *copy;

	if (lq_score_is_canonical(score))
		return score;

	copy = palloc(sizeof(LqScore));
	*copy = *score;
	copy->terms = copy_array(score->terms, score->nterms, sizeof(LqTerm));
	copy->entries = copy_array(score->entries, score->nentries, sizeof(LqEntry));
	copy->counts = copy_array(score->counts, score->ncounts, sizeof(LqCount));
	copy->times = copy_array(score->times, score->ntimes, sizeof(LqTime));
	sort_memories(copy);
	sort_terms(copy);
	qsort(copy->entries, copy->nentries, sizeof(LqEntry), entry_cmp);
	qsort(copy->counts, copy->ncounts, sizeof(LqCount), count_cmp);
	qsort(copy->times, copy->ntimes, sizeof(LqTime), time_cmp);
	return copy;
}

/* ----------------------------------------------------------------
 * Validity
 * ----------------------------------------------------------------
 */

/* a time at or before as_of */
static bool
past(const LqScore *score, TimestampTz at)
{
	return !TIMESTAMP_NOT_FINITE(at) && IS_VALID_TIMESTAMP(at) &&
		at <= score->as_of;
}

static bool
finite_or_none(TimestampTz at)
{
	return TIMESTAMP_IS_NOBEGIN(at) ||
		(!TIMESTAMP_NOT_FINITE(at) && IS_VALID_TIMESTAMP(at));
}

static bool
bounds_valid(double minimum, double maximum, double peak)
{
	double		infinity = get_float8_infinity();

	return !isnan(minimum) && minimum < infinity &&
		!isnan(maximum) && maximum > -infinity &&
		minimum <= maximum &&
		!isnan(peak) && peak < infinity;
}

static const char *
name_problem(const char *name)
{
	size_t		length = strlen(name);

	if (length == 0)
		return "a name is empty";
	if (length >= NAMEDATALEN)
		return "a name is too long";
	if (!pg_verify_mbstr(GetDatabaseEncoding(), name, (int) length, true))
		return "a name is not valid in the database encoding";
	return NULL;
}

static const char *
dimensions_problem(const LqScore *score)
{
	if (score->ndimensions > LQ_MAX_DIMENSIONS)
		return "it has too many dimensions";
	for (int i = 0; i < score->ndimensions; i++)
	{
		const LqDimension *dim = &score->dimensions[i];
		const char *problem = name_problem(dim->name);

		if (problem)
			return problem;
		/* few, and in the model's order */
		if (lq_score_dimension(score, dim->name) != i)
			return "a dimension occurs twice";
		if (!bounds_valid(dim->minimum, dim->maximum, dim->peak))
			return "the bounds of a dimension are not valid";
		if (isnan(dim->weight) || isinf(dim->weight) ||
			isnan(dim->base) || isinf(dim->base))
			return "a number of a dimension is not finite";
	}
	return NULL;
}

static const char *
memories_problem(const LqScore *score)
{
	for (int i = 0; i < score->nmemories; i++)
	{
		const LqMemory *memory = &score->memories[i];
		const char *problem = name_problem(memory->rule);

		if (problem)
			return problem;
		if (i > 0 && strcmp(memory[-1].rule, memory->rule) == 0)
			return "a rule occurs twice";
		if (isnan(memory->max_points) || memory->max_points < 0)
			return "the maximum of a rule is not valid";
		if (memory->matches < 0 || memory->fresh_matches < 0 ||
			memory->fresh_matches > memory->matches)
			return "the number of matches of a rule is not valid";
		if (!TIMESTAMP_IS_NOBEGIN(memory->last_at) &&
			!past(score, memory->last_at))
			return "a rule has matched after the newest event";
	}
	return NULL;
}

static const char *
terms_problem(const LqScore *score)
{
	for (int i = 0; i < score->nterms; i++)
	{
		const LqTerm *term = &score->terms[i];

		if (i > 0 && term_cmp(term - 1, term) == 0)
			return "a sum occurs twice";
		if ((int) term->decay < 0 || term->decay > LQ_DECAY_WINDOW)
			return "a decay is unknown";
		if (term->decay == LQ_DECAY_NONE ? term->period != 0 : term->period <= 0)
			return "a period is not valid";
		if (isnan(term->sum) || isinf(term->sum) ||
			isnan(term->fresh) || isinf(term->fresh))
			return "a sum is not finite";
		if (LQ_HAS_ENTRIES(term->decay) && (term->sum != 0 || term->fresh != 0))
			return "a sum has entries too";
		if (TIMESTAMP_IS_NOBEGIN(score->mark) && term->fresh != term->sum)
			return "a fresh sum differs without a mark";
	}
	return NULL;
}

static const char *
entries_problem(const LqScore *score)
{
	int			first = 0;

	for (int i = 0; i < score->nentries; i++)
	{
		const LqEntry *entry = &score->entries[i];
		const LqTerm *term = &score->terms[entry->term];

		if (entry->term != score->entries[first].term)
			first = i;
		if (i - first >= LQ_MAX_ENTRIES)
			return "a sum has too many entries";
		if (!LQ_HAS_ENTRIES(term->decay))
			return "a sum without entries has entries";
		if (isnan(entry->points) || isinf(entry->points) || entry->points == 0)
			return "the points of an entry are not valid";
		if (!past(score, entry->at))
			return "an entry is later than the newest event";
		if ((uint64) score->as_of - (uint64) entry->at >= (uint64) term->period)
			return "an entry is worth nothing any more";
	}
	return NULL;
}

static const char *
uses_problem(const LqScore *score)
{
	for (int i = 0; i < score->ncounts; i++)
	{
		const LqCount *count = &score->counts[i];

		if (i > 0 && count_cmp(count - 1, count) == 0)
			return "a count occurs twice";
		if (count->count <= 0)
			return "a count is not positive";
		if (count->full_at != DT_NOBEGIN && !past(score, count->full_at))
			return "a cap was full later than the newest event";
	}
	for (int i = 0; i < score->ntimes; i++)
	{
		if (!past(score, score->times[i].at))
			return "a time is later than the newest event";
	}
	return NULL;
}

static const char *
header_problem(const LqScore *score)
{
	if (!finite_or_none(score->as_of) || !finite_or_none(score->mark) ||
		!finite_or_none(score->steady_since))
		return "a time is out of range";
	if ((int) score->last.kind < 0 || score->last.kind > LQ_EVENT_CLOCK)
		return "the kind of the newest event is unknown";
	if (score->last.keylen < 0)
		return "the key of the newest event is not valid";
	if (TIMESTAMP_IS_NOBEGIN(score->as_of))
	{
		if (!TIMESTAMP_IS_NOBEGIN(score->last.at) || score->last.kind != 0 ||
			score->last.source != 0 || score->last.keylen != 0)
			return "there is a newest event without a time";
	}
	else if (!past(score, score->last.at))
		return "the time of the newest event is not valid";
	if (!bounds_valid(score->total_minimum, score->total_maximum,
					  score->total_peak))
		return "the bounds of the total are not valid";
	return NULL;
}

/* of a score in canonical order whose indexes are valid */
const char *
lq_score_content_problem(const LqScore *score)
{
	const char *problem;

	if ((problem = header_problem(score)) != NULL ||
		(problem = dimensions_problem(score)) != NULL ||
		(problem = memories_problem(score)) != NULL ||
		(problem = terms_problem(score)) != NULL ||
		(problem = entries_problem(score)) != NULL)
		return problem;
	return uses_problem(score);
}

/*
 * What is wrong with a score, as a short phrase; NULL if nothing is.  A
 * valid score can be packed, and its packed form is accepted by unpacking.
 */
const char *
lq_score_problem(const LqScore *score)
{
	if (!lq_score_indexes_valid(score))
		return "an index is out of range";
	return lq_score_content_problem(lq_score_canonical(score));
}
