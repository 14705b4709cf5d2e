/*
 * score_pack.c
 *		The stored form of a score: bytes that mean the same on every machine.
 *
 * A score is written on every activity, so the form is small: defaults take
 * no room, numbers are of variable length, times are distances.  Every score
 * has exactly one packed form ("canonical"), so that equal scores have equal
 * bytes.  The bytes are also what lead_score sends and receives.
 *
 *	score		version=1, flags, [as_of], [last.at], [mark], [steady_since],
 *				[total minimum], [total maximum], [total peak],
 *				the number of dimensions, memories, terms, entries, counts
 *				and times, the names, [last: kind, source, key],
 *				dimension..., memory..., term..., count..., time...
 *	names		length in bytes, then dimensions' and memories' names, each
 *				followed by a zero byte
 *	dimension	flags, [minimum], [maximum], [weight], [base], [peak]
 *	memory		flags, [max_points], matches, [fresh_matches], [last_at]
 *	term		flags with decay, dimension, [memory], [period], then sum and
 *				[fresh], or the number of entries and the entries
 *	entry		distance * 2 + (points differ), [points]
 *	count		memory, bucket, count * 4 + (is full) * 2 + (value is not 0),
 *				[value], [distance]
 *	time		memory * 2 + pending, distance
 *
 *	int			7 bits a byte, least significant first; signed ones zigzag
 *	double		number of leading bytes that are not zero, then those bytes,
 *				most significant first
 *	time		8 bytes, most significant first
 *	distance	microseconds before as_of, or after the time before it in the
 *				same list
 *
 * The arrays are in canonical order, see score_check.c.
 */
#include "postgres.h"

#include <math.h>

#include "port/pg_bitutils.h"
#include "port/pg_bswap.h"
#include "utils/float.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "score.h"
#include "score_internal.h"

#define LQ_SCORE_VERSION 1

/* flags of a score */
#define SCORE_EVENTS		0x01	/* has as_of and last */
#define SCORE_LAST_AT		0x02	/* last.at is not as_of */
#define SCORE_MARK			0x04
#define SCORE_STEADY		0x08
#define SCORE_UNSCORED		0x10
#define SCORE_MINIMUM		0x20
#define SCORE_MAXIMUM		0x40
#define SCORE_PEAK			0x80

/* flags of a dimension */
#define DIM_MINIMUM			0x01
#define DIM_MAXIMUM			0x02
#define DIM_WEIGHT			0x04	/* is not 1 */
#define DIM_BASE			0x08	/* is not 0 */
#define DIM_PEAK			0x10
#define DIM_ALL				0x1F

/* flags of a memory */
#define MEM_MAX_POINTS		0x01
#define MEM_FRESH			0x02	/* fresh_matches is not matches */
#define MEM_LAST_AT			0x04
#define MEM_ALL				0x07

/* flags of a term */
#define TERM_DECAY			0x03
#define TERM_MEMORY			0x04	/* is not -1 */
#define TERM_FRESH			0x08	/* is not sum */
#define TERM_DAYS			0x10	/* period is in days */
#define TERM_ALL			0x1F

/* fewest bytes that one element takes: bounds what is allocated */
#define MIN_DIMENSION		1
#define MIN_MEMORY			2
#define MIN_TERM			3
#define MIN_ENTRY			1
#define MIN_COUNT			3
#define MIN_TIME			2

/* ----------------------------------------------------------------
 * Packing
 * ----------------------------------------------------------------
 */

static void
put_byte(StringInfo buf, uint8 byte)
{
	appendStringInfoCharMacro(buf, (char) byte);
}

static void
put_int(StringInfo buf, uint64 value)
{
	while (value >= 0x80)
	{
		put_byte(buf, (uint8) (value & 0x7F) | 0x80);
		value >>= 7;
	}
	put_byte(buf, (uint8) value);
}

static void
put_signed(StringInfo buf, int64 value)
{
	put_int(buf, value < 0 ? ~((uint64) value << 1) : (uint64) value << 1);
}

static void
put_fixed(StringInfo buf, uint64 value)
{
	uint64		bytes = pg_hton64(value);

	appendBinaryStringInfo(buf, (const char *) &bytes, sizeof(bytes));
}

/* the round numbers that people write in rules have few significant bytes */
static void
put_double(StringInfo buf, double value)
{
	uint64		bits;
	uint64		bytes;
	int			n;

	if (value == 0)				/* -0 too */
	{
		put_byte(buf, 0);
		return;
	}
	memcpy(&bits, &value, sizeof(bits));
	n = 8 - pg_rightmost_one_pos64(bits) / 8;
	bytes = pg_hton64(bits);
	put_byte(buf, (uint8) n);
	appendBinaryStringInfo(buf, (const char *) &bytes, n);
}

/* write what its flag says is there */
static void
put_double_if(StringInfo buf, uint8 flags, uint8 flag, double value)
{
	if (flags & flag)
		put_double(buf, value);
}

static void
pack_header(StringInfo buf, const LqScore *score)
{
	uint8		flags = 0;

	if (!TIMESTAMP_IS_NOBEGIN(score->as_of))
		flags |= SCORE_EVENTS;
	if (score->last.at != score->as_of)
		flags |= SCORE_LAST_AT;
	if (!TIMESTAMP_IS_NOBEGIN(score->mark))
		flags |= SCORE_MARK;
	if (!TIMESTAMP_IS_NOBEGIN(score->steady_since))
		flags |= SCORE_STEADY;
	if (score->unscored)
		flags |= SCORE_UNSCORED;
	if (!isinf(score->total_minimum))
		flags |= SCORE_MINIMUM;
	if (!isinf(score->total_maximum))
		flags |= SCORE_MAXIMUM;
	if (!isinf(score->total_peak))
		flags |= SCORE_PEAK;

	put_byte(buf, LQ_SCORE_VERSION);
	put_byte(buf, flags);
	if (flags & SCORE_EVENTS)
		put_fixed(buf, (uint64) score->as_of);
	if (flags & SCORE_LAST_AT)
		put_fixed(buf, (uint64) score->last.at);
	if (flags & SCORE_MARK)
		put_fixed(buf, (uint64) score->mark);
	if (flags & SCORE_STEADY)
		put_fixed(buf, (uint64) score->steady_since);
	put_double_if(buf, flags, SCORE_MINIMUM, score->total_minimum);
	put_double_if(buf, flags, SCORE_MAXIMUM, score->total_maximum);
	put_double_if(buf, flags, SCORE_PEAK, score->total_peak);
}

static void
pack_names(StringInfo buf, const LqScore *score)
{
	Size		length = 0;

	for (int i = 0; i < score->ndimensions; i++)
		length += strlen(score->dimensions[i].name) + 1;
	for (int i = 0; i < score->nmemories; i++)
		length += strlen(score->memories[i].rule) + 1;

	put_int(buf, length);
	for (int i = 0; i < score->ndimensions; i++)
		appendBinaryStringInfo(buf, score->dimensions[i].name,
							   (int) strlen(score->dimensions[i].name) + 1);
	for (int i = 0; i < score->nmemories; i++)
		appendBinaryStringInfo(buf, score->memories[i].rule,
							   (int) strlen(score->memories[i].rule) + 1);
}

static void
pack_dimension(StringInfo buf, const LqDimension *dim)
{
	uint8		flags = 0;

	if (!isinf(dim->minimum))
		flags |= DIM_MINIMUM;
	if (!isinf(dim->maximum))
		flags |= DIM_MAXIMUM;
	if (dim->weight != 1)
		flags |= DIM_WEIGHT;
	if (dim->base != 0)
		flags |= DIM_BASE;
	if (!isinf(dim->peak))
		flags |= DIM_PEAK;

	put_byte(buf, flags);
	put_double_if(buf, flags, DIM_MINIMUM, dim->minimum);
	put_double_if(buf, flags, DIM_MAXIMUM, dim->maximum);
	put_double_if(buf, flags, DIM_WEIGHT, dim->weight);
	put_double_if(buf, flags, DIM_BASE, dim->base);
	put_double_if(buf, flags, DIM_PEAK, dim->peak);
}

static void
pack_memory(StringInfo buf, const LqScore *score, const LqMemory *memory)
{
	uint8		flags = 0;

	if (!isinf(memory->max_points))
		flags |= MEM_MAX_POINTS;
	if (memory->fresh_matches != memory->matches)
		flags |= MEM_FRESH;
	if (!TIMESTAMP_IS_NOBEGIN(memory->last_at))
		flags |= MEM_LAST_AT;

	put_byte(buf, flags);
	put_double_if(buf, flags, MEM_MAX_POINTS, memory->max_points);
	put_int(buf, memory->matches);
	if (flags & MEM_FRESH)
		put_int(buf, memory->fresh_matches);
	if (flags & MEM_LAST_AT)
		put_int(buf, (uint64) score->as_of - (uint64) memory->last_at);
}

/* entries of one term, from entries[first]; returns the next term's first */
static int
pack_entries(StringInfo buf, const LqScore *score, int term, int first)
{
	double		points = 0;
	int			end = first;

	while (end < score->nentries && score->entries[end].term == term)
		end++;
	put_int(buf, end - first);
	for (int i = first; i < end; i++)
	{
		const LqEntry *entry = &score->entries[i];
		uint64		distance;

		/* less than the period, so that there is a bit to spare */
		if (i == first)
			distance = (uint64) score->as_of - (uint64) entry->at;
		else
			distance = (uint64) entry->at - (uint64) entry[-1].at;
		put_int(buf, distance << 1 | (entry->points != points));
		if (entry->points != points)
			put_double(buf, entry->points);
		points = entry->points;
	}
	return end;
}

static void
pack_terms(StringInfo buf, const LqScore *score)
{
	int			entry = 0;

	for (int i = 0; i < score->nterms; i++)
	{
		const LqTerm *term = &score->terms[i];
		uint8		flags = (uint8) term->decay;

		if (term->memory >= 0)
			flags |= TERM_MEMORY;
		if (term->fresh != term->sum)
			flags |= TERM_FRESH;
		if (term->period != 0 && term->period % USECS_PER_DAY == 0)
			flags |= TERM_DAYS;

		put_byte(buf, flags);
		put_int(buf, term->dimension);
		if (flags & TERM_MEMORY)
			put_int(buf, term->memory);
		if (flags & TERM_DAYS)
			put_int(buf, term->period / USECS_PER_DAY);
		else if (term->period != 0)
			put_int(buf, term->period);
		if (LQ_HAS_ENTRIES(term->decay))
			entry = pack_entries(buf, score, i, entry);
		else
		{
			put_double(buf, term->sum);
			put_double_if(buf, flags, TERM_FRESH, term->fresh);
		}
	}
}

static void
pack_uses(StringInfo buf, const LqScore *score)
{
	for (int i = 0; i < score->ncounts; i++)
	{
		const LqCount *count = &score->counts[i];

		put_int(buf, count->memory);
		put_signed(buf, count->bucket);
		put_int(buf, (uint64) count->count << 2 | (count->full_at != DT_NOBEGIN) << 1 |
				(count->value != 0));
		if (count->value != 0)
			put_fixed(buf, count->value);
		if (count->full_at != DT_NOBEGIN)
			put_int(buf, (uint64) score->as_of - (uint64) count->full_at);
	}
	for (int i = 0; i < score->ntimes; i++)
	{
		const LqTime *time = &score->times[i];

		put_int(buf, (uint64) time->memory << 1 | time->pending);
		if (i > 0 && time[-1].memory == time->memory &&
			time[-1].pending == time->pending)
			put_int(buf, (uint64) time->at - (uint64) time[-1].at);
		else
			put_int(buf, (uint64) score->as_of - (uint64) time->at);
	}
}

/*
 * The packed form, allocated in the current memory context as a varlena.
 * What could not be unpacked again is an error here, before it is stored.
 */
bytea *
lq_score_pack(const LqScore *score)
{
	StringInfoData buf;
	const char *problem = "an index is out of range";

	if (lq_score_indexes_valid(score))
	{
		score = lq_score_canonical(score);
		problem = lq_score_content_problem(score);
	}
	if (problem)
		elog(ERROR, "cannot store score: %s", problem);

	initStringInfo(&buf);
	appendBinaryStringInfo(&buf, "\0\0\0\0", VARHDRSZ);
	pack_header(&buf, score);
	put_int(&buf, score->ndimensions);
	put_int(&buf, score->nmemories);
	put_int(&buf, score->nterms);
	put_int(&buf, score->nentries);
	put_int(&buf, score->ncounts);
	put_int(&buf, score->ntimes);
	pack_names(&buf, score);
	if (!TIMESTAMP_IS_NOBEGIN(score->as_of))
	{
		put_byte(&buf, (uint8) score->last.kind);
		put_signed(&buf, score->last.source);
		put_int(&buf, score->last.keylen);
		if (score->last.keylen > 0)
			appendBinaryStringInfo(&buf, score->last.key, score->last.keylen);
	}
	for (int i = 0; i < score->ndimensions; i++)
		pack_dimension(&buf, &score->dimensions[i]);
	for (int i = 0; i < score->nmemories; i++)
		pack_memory(&buf, score, &score->memories[i]);
	pack_terms(&buf, score);
	pack_uses(&buf, score);

	SET_VARSIZE(buf.data, buf.len);
	return (bytea *) buf.data;
}

/* ----------------------------------------------------------------
 * Unpacking
 * ----------------------------------------------------------------
 */

/*
 * After the first problem everything reads as zero bytes, so that callers
 * need to look only where they would allocate, loop or index.
 */
typedef struct Reader
{
	const uint8 *next;
	const uint8 *end;
	const char *problem;
} Reader;

static void
fail(Reader *reader, const char *problem)
{
	if (reader->problem == NULL)
		reader->problem = problem;
	reader->next = reader->end;
}

static uint8
get_byte(Reader *reader)
{
	if (reader->next >= reader->end)
	{
		fail(reader, "it ends too early");
		return 0;
	}
	return *reader->next++;
}

static uint8
get_flags(Reader *reader, uint8 known)
{
	uint8		flags = get_byte(reader);

	if (flags & ~known)
		fail(reader, "an unknown flag is set");
	return flags & known;
}

static uint64
get_int(Reader *reader)
{
	uint64		value = 0;

	for (int shift = 0; shift < 64; shift += 7)
	{
		uint8		byte = get_byte(reader);

		if (shift == 63 && byte > 1)
			break;
		value |= (uint64) (byte & 0x7F) << shift;
		if ((byte & 0x80) == 0)
		{
			if (byte == 0 && shift > 0)
				fail(reader, "an integer is longer than need be");
			return reader->problem ? 0 : value;
		}
	}
	fail(reader, "an integer is out of range");
	return 0;
}

/* an integer from 0 to max */
static uint64
get_int_to(Reader *reader, uint64 max)
{
	uint64		value = get_int(reader);

	if (value > max)
	{
		fail(reader, "an integer is out of range");
		return 0;
	}
	return value;
}

static int64
get_signed(Reader *reader)
{
	uint64		value = get_int(reader);

	return (int64) (value & 1 ? ~(value >> 1) : value >> 1);
}

/* the next n bytes, NULL if there are fewer */
static const uint8 *
get_bytes(Reader *reader, uint64 n)
{
	const uint8 *bytes = reader->next;

	if (n > (uint64) (reader->end - reader->next))
	{
		fail(reader, "it ends too early");
		return NULL;
	}
	reader->next += n;
	return bytes;
}

static uint64
get_fixed(Reader *reader)
{
	const uint8 *bytes = get_bytes(reader, sizeof(uint64));
	uint64		value = 0;

	if (bytes != NULL)
		memcpy(&value, bytes, sizeof(value));
	return pg_ntoh64(value);
}

static double
get_double(Reader *reader)
{
	int			n = get_byte(reader);
	const uint8 *bytes;
	uint64		bits = 0;
	double		value;

	if (n == 0)
		return 0;
	if (n > 8)
	{
		fail(reader, "a number is too long");
		return 0;
	}
	bytes = get_bytes(reader, n);
	if (bytes == NULL)
		return 0;
	memcpy(&bits, bytes, n);
	bits = pg_ntoh64(bits);
	memcpy(&value, &bits, sizeof(value));
	if (bytes[n - 1] == 0)
		fail(reader, "a number is longer than need be");
	if (isnan(value) || isinf(value))
		fail(reader, "a number is not finite");
	if (value == 0)
		fail(reader, "a zero is negative");
	return reader->problem ? 0 : value;
}

/*
 * A number that is there if its flag is set, which must not be so for the
 * default.
 */
static double
get_double_if(Reader *reader, uint8 flags, uint8 flag, double absent)
{
	double		value;

	if ((flags & flag) == 0)
		return absent;
	value = get_double(reader);
	if (value == absent)
		fail(reader, "a default is spelled out");
	return value;
}

/* a time with flag; checked for range by lq_score_content_problem() */
static TimestampTz
get_time_if(Reader *reader, uint8 flags, uint8 flag, TimestampTz absent)
{
	TimestampTz value;

	if ((flags & flag) == 0)
		return absent;
	value = (TimestampTz) get_fixed(reader);
	if (value == absent)
		fail(reader, "a default is spelled out");
	return value;
}

/* a time at a distance before "from" */
static TimestampTz
time_before(Reader *reader, TimestampTz from, uint64 distance)
{
	if (TIMESTAMP_IS_NOBEGIN(from) ||
		distance > (uint64) from - (uint64) MIN_TIMESTAMP)
	{
		fail(reader, "a time is out of range");
		return DT_NOBEGIN;
	}
	return (TimestampTz) ((uint64) from - distance);
}

/* a time at a distance after "from", which must not be after "limit" */
static TimestampTz
time_after(Reader *reader, TimestampTz from, TimestampTz limit, uint64 distance)
{
	if (from > limit || distance > (uint64) limit - (uint64) from)
	{
		fail(reader, "a time is out of range");
		return DT_NOBEGIN;
	}
	return (TimestampTz) ((uint64) from + distance);
}

/*
 * The number of elements to come, no more than the remaining bytes can hold,
 * and the array for them: a chunk of its own, because it may grow.
 */
static void *
get_array(Reader *reader, int *n, MemoryContext cxt, Size smallest,
		  Size element)
{
	uint64		count = get_int(reader);

	*n = 0;
	if (count > (uint64) (reader->end - reader->next) / smallest ||
		count > MaxAllocSize / element)
		fail(reader, "it has more elements than bytes");
	if (reader->problem || count == 0)
		return NULL;
	*n = (int) count;
	return MemoryContextAllocZero(cxt, count * element);
}

static void
unpack_header(Reader *reader, LqScore *score, MemoryContext cxt)
{
	uint8		flags;
	double		infinity = get_float8_infinity();

	if (get_byte(reader) != LQ_SCORE_VERSION)
		fail(reader, "its version is unknown");
	flags = get_byte(reader);
	score->unscored = (flags & SCORE_UNSCORED) != 0;
	if ((flags & (SCORE_EVENTS | SCORE_LAST_AT)) == SCORE_LAST_AT)
		fail(reader, "there is a newest event without a time");
	score->as_of = get_time_if(reader, flags, SCORE_EVENTS, DT_NOBEGIN);
	score->last.at = get_time_if(reader, flags, SCORE_LAST_AT, score->as_of);
	score->mark = get_time_if(reader, flags, SCORE_MARK, DT_NOBEGIN);
	score->steady_since = get_time_if(reader, flags, SCORE_STEADY, DT_NOBEGIN);
	score->total_minimum = get_double_if(reader, flags, SCORE_MINIMUM, -infinity);
	score->total_maximum = get_double_if(reader, flags, SCORE_MAXIMUM, infinity);
	score->total_peak = get_double_if(reader, flags, SCORE_PEAK, -infinity);

#define GET_ARRAY(number, array, smallest) \
	(array) = get_array(reader, &(number), cxt, smallest, sizeof(*(array)))
	GET_ARRAY(score->ndimensions, score->dimensions, MIN_DIMENSION);
	GET_ARRAY(score->nmemories, score->memories, MIN_MEMORY);
	GET_ARRAY(score->nterms, score->terms, MIN_TERM);
	GET_ARRAY(score->nentries, score->entries, MIN_ENTRY);
	GET_ARRAY(score->ncounts, score->counts, MIN_COUNT);
	GET_ARRAY(score->ntimes, score->times, MIN_TIME);
#undef GET_ARRAY
}

/* one chunk for all names; they stand in it as they are in the bytes */
static void
unpack_names(Reader *reader, LqScore *score, MemoryContext cxt)
{
	uint64		length = get_int(reader);
	const uint8 *names = get_bytes(reader, length);
	char	   *name;
	char	   *end;

	if (names == NULL || reader->problem)
		return;
	name = MemoryContextAlloc(cxt, length + 1);
	memcpy(name, names, length);
	name[length] = '\0';
	end = name + length;

	for (int i = 0; i < score->ndimensions + score->nmemories; i++)
	{
		if (name >= end)
		{
			fail(reader, "a name is missing");
			return;
		}
		if (i < score->ndimensions)
			score->dimensions[i].name = name;
		else
			score->memories[i - score->ndimensions].rule = name;
		name += strlen(name) + 1;
	}
	/* the last name must have had its zero byte inside */
	if (name != end)
		fail(reader, "the names do not fill their place");
}

static void
unpack_last(Reader *reader, LqScore *score, MemoryContext cxt)
{
	int64		source;
	uint64		length;
	const uint8 *key;

	if (TIMESTAMP_IS_NOBEGIN(score->as_of))
		return;
	score->last.kind = (LqEventKind) get_int_to(reader, LQ_EVENT_CLOCK);
	source = get_signed(reader);
	if (source < PG_INT32_MIN || source > PG_INT32_MAX)
		fail(reader, "an integer is out of range");
	score->last.source = (int32) source;
	length = get_int(reader);
	key = get_bytes(reader, length);
	if (reader->problem || length == 0)
		return;
	score->last.key = memcpy(MemoryContextAlloc(cxt, length), key, length);
	score->last.keylen = (int32) length;
}

static void
unpack_dimension(Reader *reader, LqDimension *dim)
{
	uint8		flags = get_flags(reader, DIM_ALL);
	double		infinity = get_float8_infinity();

	dim->minimum = get_double_if(reader, flags, DIM_MINIMUM, -infinity);
	dim->maximum = get_double_if(reader, flags, DIM_MAXIMUM, infinity);
	dim->weight = get_double_if(reader, flags, DIM_WEIGHT, 1);
	dim->base = get_double_if(reader, flags, DIM_BASE, 0);
	dim->peak = get_double_if(reader, flags, DIM_PEAK, -infinity);
}

static void
unpack_memory(Reader *reader, const LqScore *score, LqMemory *memory)
{
	uint8		flags = get_flags(reader, MEM_ALL);

	memory->max_points = get_double_if(reader, flags, MEM_MAX_POINTS,
									   get_float8_infinity());
	memory->matches = (int64) get_int_to(reader, PG_INT64_MAX);
	memory->fresh_matches = memory->matches;
	if (flags & MEM_FRESH)
	{
		memory->fresh_matches = (int64) get_int_to(reader, PG_INT64_MAX);
		if (memory->fresh_matches == memory->matches)
			fail(reader, "a default is spelled out");
	}
	memory->last_at = DT_NOBEGIN;
	if (flags & MEM_LAST_AT)
		memory->last_at = time_before(reader, score->as_of, get_int(reader));
}

/* entries of a term, from entries[first]; returns the next term's first */
static int
unpack_entries(Reader *reader, LqScore *score, int term, int first)
{
	int			end = first + (int) get_int_to(reader, score->nentries - first);
	double		points = 0;
	TimestampTz at = DT_NOBEGIN;

	for (int i = first; i < end && !reader->problem; i++)
	{
		uint64		distance = get_int(reader);

		if (distance & 1)
			points = get_double_if(reader, 1, 1, points);
		distance >>= 1;
		if (i == first)
			at = time_before(reader, score->as_of, distance);
		else
			at = time_after(reader, at, score->as_of, distance);
		score->entries[i].term = term;
		score->entries[i].at = at;
		score->entries[i].points = points;
	}
	return end;
}

static void
unpack_terms(Reader *reader, LqScore *score)
{
	int			entry = 0;

	for (int i = 0; i < score->nterms && !reader->problem; i++)
	{
		LqTerm	   *term = &score->terms[i];
		uint8		flags = get_flags(reader, TERM_ALL);

		term->decay = (LqDecay) (flags & TERM_DECAY);
		/* checked against the arrays by lq_score_indexes_valid() */
		term->dimension = (int) get_int_to(reader, PG_INT32_MAX - 1);
		term->memory = -1;
		if (flags & TERM_MEMORY)
			term->memory = (int) get_int_to(reader, PG_INT32_MAX - 1);
		if (flags & TERM_DAYS)
		{
			term->period = get_int_to(reader, PG_INT64_MAX / USECS_PER_DAY) *
				USECS_PER_DAY;
			if (term->decay == LQ_DECAY_NONE)
				fail(reader, "a period is not valid");
		}
		else if (term->decay != LQ_DECAY_NONE)
		{
			term->period = (int64) get_int_to(reader, PG_INT64_MAX);
			if (term->period % USECS_PER_DAY == 0)
				fail(reader, "a period is not in days");
		}
		if (LQ_HAS_ENTRIES(term->decay))
		{
			if (flags & TERM_FRESH)
				fail(reader, "a sum has entries too");
			entry = unpack_entries(reader, score, i, entry);
			continue;
		}
		term->sum = get_double(reader);
		term->fresh = get_double_if(reader, flags, TERM_FRESH, term->sum);
	}
	if (entry != score->nentries)
		fail(reader, "the number of entries is wrong");
}

static void
unpack_uses(Reader *reader, LqScore *score)
{
	for (int i = 0; i < score->ncounts && !reader->problem; i++)
	{
		LqCount    *count = &score->counts[i];
		uint64		number;

		count->memory = (int) get_int_to(reader, PG_INT32_MAX);
		count->bucket = get_signed(reader);
		number = get_int_to(reader, (uint64) PG_INT32_MAX << 2 | 3);
		count->count = (int32) (number >> 2);
		count->full_at = DT_NOBEGIN;
		if (number & 1)
		{
			count->value = get_fixed(reader);
			if (count->value == 0)
				fail(reader, "a default is spelled out");
		}
		if (number & 2)
			count->full_at = time_before(reader, score->as_of, get_int(reader));
	}
	for (int i = 0; i < score->ntimes && !reader->problem; i++)
	{
		LqTime	   *time = &score->times[i];
		uint64		number = get_int_to(reader, (uint64) PG_INT32_MAX << 1 | 1);

		time->memory = (int) (number >> 1);
		time->pending = number & 1;
		if (i > 0 && time[-1].memory == time->memory &&
			time[-1].pending == time->pending)
			time->at = time_after(reader, time[-1].at, score->as_of,
								  get_int(reader));
		else
			time->at = time_before(reader, score->as_of, get_int(reader));
	}
}

/*
 * The score in bytes that may come from anywhere, allocated in cxt.  Returns
 * NULL and a short phrase in *problem if they are not the packed form of a
 * valid score.
 */
LqScore *
lq_score_unpack(const char *bytes, int len, MemoryContext cxt,
				const char **problem)
{
	LqScore    *score = lq_score_create(cxt);
	Reader		reader;

	reader.next = (const uint8 *) bytes;
	reader.end = reader.next + len;
	reader.problem = NULL;

	unpack_header(&reader, score, cxt);
	unpack_names(&reader, score, cxt);
	unpack_last(&reader, score, cxt);
	for (int i = 0; i < score->ndimensions && !reader.problem; i++)
		unpack_dimension(&reader, &score->dimensions[i]);
	for (int i = 0; i < score->nmemories && !reader.problem; i++)
		unpack_memory(&reader, score, &score->memories[i]);
	unpack_terms(&reader, score);
	unpack_uses(&reader, score);
	if (reader.next != reader.end)
		fail(&reader, "it goes on after its end");
	if (!reader.problem && !lq_score_indexes_valid(score))
		fail(&reader, "an index is out of range");
	if (!reader.problem && !lq_score_is_canonical(score))
		fail(&reader, "it is not in canonical order");
	if (!reader.problem)
		reader.problem = lq_score_content_problem(score);

	*problem = reader.problem;
	return reader.problem ? NULL : score;
}
