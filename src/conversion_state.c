/*
 * conversion_state.c
 *		The summary of a cohort while leads are added to it.
 *
 * An aggregate's state is an expanded object, to which a lead is added in
 * place: put down as pending on both axes.  When there are as many pending as
 * there are bins, or MAX_PENDING, they are sorted and merged into the bins.
 * That reads and writes memory in order; a hash table took three times as
 * long, waiting for memory.  Wherever the value is stored, sent to another
 * process or read by an accessor, it is flattened into LqConversion.
 *
 * Times are exact as long as there are at most LQ_MAX_TIMES different ones on
 * an axis.  Then they are counted in steps of 2^k microseconds, k being the
 * smallest that leaves no more than that.  The result does not depend on the
 * order in which leads or parts of a cohort came.  Let D(k, S) be how many
 * different values of floor(t / 2^k) the times t of a multiset S have:
 *
 * - D does not grow with k, because equal values stay equal when they are
 *	 halved; and it does not shrink when S grows.  So the smallest k with
 *	 D(k, S) <= LQ_MAX_TIMES, call it K(S), exists and does not shrink when S
 *	 grows.
 * - floor(floor(t / 2^a) / 2^b) = floor(t / 2^(a + b)).  So what is kept of S
 *	 in steps of K(S) is enough to say how S looks in any larger step.
 *
 * By the first, K of a union is at least the K of each part; by the second,
 * the parts as kept are then enough to find it and to count in it.  So the
 * state is a function of the multiset of leads.
 */
#include "postgres.h"

#include "common/int.h"
#include "fmgr.h"
#include "port/pg_bitutils.h"
#include "utils/memutils.h"

#include "compat.h"
#include "conversion.h"

#define FORMAT_VERSION 1
#define CONTEXT_NAME "lead_qualify conversion"
#define FIRST_PENDING 16
#define MAX_PENDING 65536

/* fewer bins than this are sorted faster by comparison */
#define MIN_RADIX 512

#define ST_SORT compare_sort
#define ST_ELEMENT_TYPE LqBin
#define ST_COMPARE(a, b) ((a)->key < (b)->key ? -1 : (a)->key > (b)->key)
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

static Size flat_size(ExpandedObjectHeader *object);
static void flatten_into(ExpandedObjectHeader *object, void *result, Size size);

static const ExpandedObjectMethods methods = {flat_size, flatten_into};

/* ----------------------------------------------------------------
 * One axis
 * ----------------------------------------------------------------
 */

/*
 * By the bytes of the keys, the lowest first, each pass keeping the order of
 * the one before.  Bytes that all keys have in common are left out: times of
 * months take six passes, in steps they take three.
 */
static void
radix_sort(LqBin *bins, uint32 n, MemoryContext context)
{
	/* not in the current context: who flattens a value may have one in which nothing can be freed */
	LqBin	   *scratch = MemoryContextAlloc(context, n * sizeof(LqBin));
	LqBin	   *from = bins;
	LqBin	   *to = scratch;
	uint64		differ = 0;

	for (uint32 i = 1; i < n; i++)
		differ |= bins[i].key ^ bins[0].key;
	for (int byte = 0; byte < 64; byte += 8)
	{
		uint32		place[256] = {0};
		uint32		sum = 0;
		LqBin	   *swap = from;

		if (((differ >> byte) & 0xff) == 0)
			continue;
		for (uint32 i = 0; i < n; i++)
			place[(from[i].key >> byte) & 0xff]++;
		for (int i = 0; i < 256; i++)
		{
			uint32		count = place[i];

			place[i] = sum;
			sum += count;
		}
		for (uint32 i = 0; i < n; i++)
			to[place[(from[i].key >> byte) & 0xff]++] = from[i];
		from = to;
		to = swap;
	}
	if (from != bins)
		memcpy(bins, from, n * sizeof(LqBin));
	pfree(scratch);
}

/* bins in order of keys, where several may have one: returns how many are left */
static uint32
fold_equal(LqBin *bins, uint32 n)
{
	uint32		last = 0;

	for (uint32 i = 1; i < n; i++)
	{
		if (bins[i].key == bins[last].key)
			bins[last].count += bins[i].count;
		else
			bins[++last] = bins[i];
	}
	return n == 0 ? 0 : last + 1;
}

/* "to" has room for both; returns how many there are */
static uint32
merge_bins(const LqBin *a, uint32 na, const LqBin *b, uint32 nb, LqBin *to)
{
	LqBin	   *start = to;
	const LqBin *a_end = a + na;
	const LqBin *b_end = b + nb;

	while (a < a_end && b < b_end)
	{
		if (a->key < b->key)
			*to++ = *a++;
		else if (a->key > b->key)
			*to++ = *b++;
		else
		{
			*to = *a++;
			to->count += b++->count;
			to++;
		}
	}
	while (a < a_end)
		*to++ = *a++;
	while (b < b_end)
		*to++ = *b++;
	return to - start;
}

/*
 * Count in steps that are 2^by times as large.  Times stay in order; of those
 * that fall together the outcomes are sorted anew.
 */
static void
coarsen(LqCounter *counter, int by)
{
	LqBin	   *bins = counter->bins;
	uint32		n = 0;

	Assert(counter->npending == 0);
	for (uint32 i = 0; i < counter->nbins;)
	{
		uint64		time = LQ_BIN_TIME(&bins[i]) >> by;
		int64		count[LQ_OUTCOMES] = {0};

		for (; i < counter->nbins && LQ_BIN_TIME(&bins[i]) >> by == time; i++)
			count[LQ_BIN_OUTCOME(&bins[i])] += bins[i].count;
		for (int outcome = 0; outcome < LQ_OUTCOMES; outcome++)
		{
			if (count[outcome] == 0)
				continue;
			bins[n].key = LQ_BIN_KEY(time, outcome);
			bins[n++].count = count[outcome];
		}
	}
	counter->nbins = n;
	counter->shift += by;
}

/*
 * How much larger steps must be so that at most LQ_MAX_TIMES different times
 * are left.  Of times in order, neighbours fall together in steps of 2^k if
 * and only if the highest bit in which they differ is below k.
 */
static int
coarsening_needed(const LqCounter *counter)
{
	uint32		differ[64] = {0};
	uint32		ntimes = 1;
	int			by = 0;

	for (uint32 i = 1; i < counter->nbins; i++)
	{
		uint64		bits = LQ_BIN_TIME(&counter->bins[i]) ^
			LQ_BIN_TIME(&counter->bins[i - 1]);

		if (bits != 0)
		{
			differ[pg_leftmost_one_pos64(bits)]++;
			ntimes++;
		}
	}
	while (ntimes > LQ_MAX_TIMES)
		ntimes -= differ[by++];
	return by;
}

/* no more pending; room for as many as there are bins now */
static void
settle(LqCounter *counter, MemoryContext context)
{
	LqBin	   *merged;
	uint32		n;

	if (counter->npending == 0)
		return;
	if (counter->npending < MIN_RADIX)
		compare_sort(counter->pending, counter->npending);
	else
		radix_sort(counter->pending, counter->npending, context);
	n = fold_equal(counter->pending, counter->npending);
	merged = MemoryContextAlloc(context, (counter->nbins + n) * sizeof(LqBin));
	counter->nbins = merge_bins(counter->bins, counter->nbins, counter->pending, n,
								merged);
	if (counter->bins != NULL)
		pfree(counter->bins);
	counter->bins = merged;
	counter->npending = 0;
	if (counter->nbins > LQ_MAX_TIMES)
	{
		int			by = coarsening_needed(counter);

		if (by > 0)
			coarsen(counter, by);
	}
}

/* all of the pending ones are settled, so none needs to be kept */
static void
make_room(LqCounter *counter, MemoryContext context)
{
	uint32		room = Max(counter->max_pending, FIRST_PENDING);

	while (room < counter->nbins && room < MAX_PENDING)
		room *= 2;
	if (room == counter->max_pending)
		return;
	if (counter->pending != NULL)
		pfree(counter->pending);
	counter->pending = MemoryContextAlloc(context, room * sizeof(LqBin));
	counter->max_pending = room;
}

/* ----------------------------------------------------------------
 * The state
 * ----------------------------------------------------------------
 */

/* goes with its context */
static LqConversionState *
new_state(MemoryContext context)
{
	LqConversionState *state = MemoryContextAllocZero(context, sizeof(*state));

	EOH_init_header(&state->hdr, &methods, context);
	return state;
}

LqConversionState *
lq_conversion_new(void)
{
	return new_state(AllocSetContextCreate(CurrentMemoryContext, CONTEXT_NAME,
										   ALLOCSET_START_SMALL_SIZES));
}

/*
 * The executor takes an expanded object for a state that needs no copy only if
 * its context is a child of the aggregate's.  But at each new group a hash
 * aggregate asks all children how much memory they have, so with a context for
 * each group, which is usual, 100,000 groups took minutes.  All groups share
 * one.  That is safe because the executor frees a state by itself only when
 * the transition function returns another one, and ours never do.
 */
LqConversionState *
lq_conversion_new_shared(MemoryContext aggregate)
{
	MemoryContext child;

	for (child = aggregate->firstchild; child != NULL; child = child->nextchild)
	{
		if (strcmp(child->name, CONTEXT_NAME) == 0)
			return new_state(child);
	}
	return new_state(AllocSetContextCreate(aggregate, CONTEXT_NAME,
										   ALLOCSET_DEFAULT_SIZES));
}

/* the stored form is out of date */
static inline void
forget_flat(LqConversionState *state)
{
	if (unlikely(state->flat != NULL))
	{
		pfree(state->flat);
		state->flat = NULL;
	}
}

/* count leads at a time in steps of 2^shift microseconds, at most ours */
static inline void
add_bin(LqCounter *counter, MemoryContext context, int shift, uint64 key, int64 count)
{
	LqBin	   *bin;

	/* no single count can overflow, if their sum does not */
	if (unlikely(pg_add_s64_overflow(counter->total, count, &counter->total)))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("too many leads for one %s", "conversion"),
				 errdetail("There can be at most %lld.", (long long) PG_INT64_MAX)));
	if (unlikely(counter->npending == counter->max_pending))
	{
		settle(counter, context);
		make_room(counter, context);
	}
	bin = &counter->pending[counter->npending++];
	bin->key = LQ_BIN_KEY((key >> 2) >> (counter->shift - shift), key & 3);
	bin->count = count;
}

void
lq_conversion_add_bin(LqConversionState *state, LqAxis axis, int shift,
					  uint64 key, int64 count)
{
	LqCounter  *counter = &state->counter[axis];

	Assert(count > 0);
	if (unlikely(shift > counter->shift))
	{
		settle(counter, state->hdr.eoh_context);
		coarsen(counter, shift - counter->shift);
	}
	add_bin(counter, state->hdr.eoh_context, shift, key, count);
}

void
lq_conversion_add(LqConversionState *state, LqOutcome outcome, uint64 duration,
				  uint64 age)
{
	Assert(duration <= age && age <= LQ_MAX_TIME);
	forget_flat(state);
	add_bin(&state->counter[LQ_DURATION], state->hdr.eoh_context, 0,
			LQ_BIN_KEY(duration, outcome), 1);
	if (outcome != LQ_OPEN)
		add_bin(&state->counter[LQ_AGE], state->hdr.eoh_context, 0,
				LQ_BIN_KEY(age, outcome), 1);
}

/*
 * The value may be the stored form of this very state, so that is kept until
 * the end.
 */
void
lq_conversion_merge(LqConversionState *state, const LqConversion *value)
{
	for (int axis = 0; axis < LQ_AXES; axis++)
	{
		LqTimes		times = lq_conversion_times(value, axis);

		for (int i = 0; i < times.nbins; i++)
			lq_conversion_add_bin(state, axis, times.shift, times.bins[i].key,
								  times.bins[i].count);
	}
	forget_flat(state);
}

/* ----------------------------------------------------------------
 * The stored form
 * ----------------------------------------------------------------
 */

static Size
flat_size(ExpandedObjectHeader *object)
{
	LqConversionState *state = (LqConversionState *) object;
	Size		nbins = 0;

	for (int axis = 0; axis < LQ_AXES; axis++)
	{
		settle(&state->counter[axis], object->eoh_context);
		nbins += state->counter[axis].nbins;
	}
	return offsetof(LqConversion, bins) + nbins * sizeof(LqBin);
}

static void
flatten_into(ExpandedObjectHeader *object, void *result, Size size)
{
	LqConversionState *state = (LqConversionState *) object;
	LqConversion *flat = result;
	LqBin	   *bins = flat->bins;

	Assert(size == flat_size(object));	/* so all are settled */
	SET_VARSIZE(flat, size);
	flat->format = FORMAT_VERSION;
	flat->unused = 0;
	for (int axis = 0; axis < LQ_AXES; axis++)
	{
		const LqCounter *counter = &state->counter[axis];

		flat->shift[axis] = counter->shift;
		flat->nbins[axis] = counter->nbins;
		for (uint32 i = 0; i < counter->nbins; i++)
			*bins++ = counter->bins[i];
	}
}

LqConversion *
lq_conversion_finish(LqConversionState *state)
{
	Size		size = flat_size(&state->hdr);
	LqConversion *flat = palloc(size);

	flatten_into(&state->hdr, flat, size);
	MemoryContextDelete(state->hdr.eoh_context);
	return flat;
}

const LqConversion *
lq_conversion_get(Datum value)
{
	const LqConversion *flat;

	if (VARATT_IS_EXTERNAL_EXPANDED(DatumGetPointer(value)))
	{
		LqConversionState *state = (LqConversionState *) DatumGetEOHP(value);

		/* kept, because several accessors are mostly called on one value */
		if (state->flat == NULL)
		{
			Size		size = flat_size(&state->hdr);
			LqConversion *copy = MemoryContextAlloc(state->hdr.eoh_context, size);

			flatten_into(&state->hdr, copy, size);
			state->flat = copy;
		}
		return state->flat;
	}

	flat = (LqConversion *) PG_DETOAST_DATUM(value);
	if (flat->format != FORMAT_VERSION)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("unknown format %d of a stored %s", flat->format,
						"conversion")));
	return flat;
}
