/*
 * conversion_text.c
 *		Input and output of the summary of a cohort.
 *
 * As text: durations 2^0 {c86400000000:2 o172800000000:1} ages 2^0
 * {c432000000000:2}.  Each axis has its step in microseconds and the counts:
 * a letter for the outcome (converted, lost, open), the time in steps, how
 * many leads.  On the wire: a version byte, and for each axis a byte with the
 * exponent of the step, four bytes with the number of counts, and for each
 * count eight bytes with the time and the outcome, eight with how many.
 *
 * Counts may come in any order; what is stored is canonical.  Text and binary
 * input pass the same checks, after which every function can rely on what
 * leads can really look like.
 */
#include "postgres.h"

#include "fmgr.h"
#include "lib/stringinfo.h"
#include "libpq/pqformat.h"
#include "miscadmin.h"

#include "compat.h"
#include "conversion.h"

#define WIRE_VERSION 1

PG_FUNCTION_INFO_V1(conversion_in);
PG_FUNCTION_INFO_V1(conversion_out);
PG_FUNCTION_INFO_V1(conversion_recv);
PG_FUNCTION_INFO_V1(conversion_send);

static const char *const axis_name[LQ_AXES] = {"durations", "ages"};
static const char outcome_letter[LQ_OUTCOMES] = {'c', 'l', 'o'};

/* ----------------------------------------------------------------
 * What input must be like
 * ----------------------------------------------------------------
 */

/* add one count as it was read, or say what is wrong with it */
static const char *
add_count(LqConversionState *state, LqAxis axis, int shift, uint64 time,
		  int outcome, uint64 count)
{
	if (time > LQ_MAX_TIME >> shift)
		return "A time is too long.";
	if (outcome >= LQ_OUTCOMES)
		return "There is no such outcome.";
	if (axis == LQ_AGE && outcome == LQ_OPEN)
		return "Ages are of leads that are converted or lost.";
	if (count == 0)
		return "A count is zero.";
	if (count > PG_INT64_MAX - state->counter[axis].total)
		return "There are too many leads.";
	lq_conversion_add_bin(state, axis, shift, LQ_BIN_KEY(time, outcome), count);
	return NULL;
}

/*
 * No lead can have converted or been lost at a greater age than it has: at no
 * time there are more leads with an age up to it than with a duration up to
 * it.  That is checked in the greater of the two steps, in which both are
 * counted.
 */
static bool
ages_fit(const LqTimes *durations, const LqTimes *ages, LqOutcome outcome)
{
	int			shift = Max(durations->shift, ages->shift);
	int64		ended = 0;
	int64		aged = 0;
	int			i = 0;

	for (int j = 0; j < ages->nbins; j++)
	{
		uint64		time = LQ_BIN_TIME(&ages->bins[j]) >> (shift - ages->shift);

		if (LQ_BIN_OUTCOME(&ages->bins[j]) != outcome)
			continue;
		for (; i < durations->nbins; i++)
		{
			if (LQ_BIN_TIME(&durations->bins[i]) >> (shift - durations->shift) > time)
				break;
			if (LQ_BIN_OUTCOME(&durations->bins[i]) == outcome)
				ended += durations->bins[i].count;
		}
		if (ages->bins[j].count > ended - aged)
			return false;
		aged += ages->bins[j].count;
	}
	for (; i < durations->nbins; i++)
	{
		if (LQ_BIN_OUTCOME(&durations->bins[i]) == outcome)
			ended += durations->bins[i].count;
	}
	return ended == aged;
}

/*
 * Steps half as large would have had more than LQ_MAX_TIMES times, of which
 * at most two have become one.
 */
static bool
step_needed(const LqTimes *times)
{
	int			ntimes = 0;

	for (int i = 0; i < times->nbins; i++)
	{
		if (i == 0 || LQ_BIN_TIME(&times->bins[i]) != LQ_BIN_TIME(&times->bins[i - 1]))
			ntimes++;
	}
	return times->shift == 0 || ntimes > LQ_MAX_TIMES / 2;
}

/* what is wrong with the whole, or NULL */
static const char *
problem_of(LqConversionState *state)
{
	const LqConversion *value = lq_conversion_get(EOHPGetRODatum(&state->hdr));
	LqTimes		durations = lq_conversion_times(value, LQ_DURATION);
	LqTimes		ages = lq_conversion_times(value, LQ_AGE);

	if (!ages_fit(&durations, &ages, LQ_CONVERTED) ||
		!ages_fit(&durations, &ages, LQ_LOST))
		return "Each lead that is converted or lost has an age that is not less than its duration.";

	if (!step_needed(&durations) || !step_needed(&ages))
		return "A step is larger than necessary.";
	return NULL;
}

/* ----------------------------------------------------------------
 * Text
 * ----------------------------------------------------------------
 */

static void
skip_space(const char **at)
{
	while (**at == ' ' || **at == '\t' || **at == '\n' || **at == '\r')
		(*at)++;
}

static bool
read_word(const char **at, const char *word)
{
	size_t		len = strlen(word);

	skip_space(at);
	if (strncmp(*at, word, len) != 0)
		return false;
	*at += len;
	return true;
}

/* decimal digits only; false if there is none or the number exceeds 2^63 - 1 */
static bool
read_number(const char **at, uint64 *number)
{
	const char *start = *at;

	*number = 0;
	for (; **at >= '0' && **at <= '9'; (*at)++)
	{
		uint64		digit = **at - '0';

		if (*number > (PG_INT64_MAX - digit) / 10)
			return false;
		*number = *number * 10 + digit;
	}
	return *at > start;
}

/* c86400000000:2, or another letter */
static bool
read_count(const char **at, uint64 *time, int *outcome, uint64 *count)
{
	for (*outcome = 0; *outcome < LQ_OUTCOMES; (*outcome)++)
	{
		if (**at == outcome_letter[*outcome])
			break;
	}
	if (*outcome == LQ_OUTCOMES)
		return false;
	(*at)++;
	if (!read_number(at, time) || **at != ':')
		return false;
	(*at)++;
	return read_number(at, count);
}

static const char *
read_axis(const char **at, LqConversionState *state, LqAxis axis)
{
	static const char *const syntax =
		"Each axis is written as \"durations 2^0 {c86400000000:2 o172800000000:1}\".";
	uint64		shift;

	if (!read_word(at, axis_name[axis]) || !read_word(at, "2^") ||
		!read_number(at, &shift) || !read_word(at, "{"))
		return syntax;
	if (shift > LQ_TIME_BITS)
		return "A step is too large.";
	while (!read_word(at, "}"))
	{
		uint64		time;
		int			outcome;
		uint64		count;
		const char *problem;

		CHECK_FOR_INTERRUPTS();
		if (!read_count(at, &time, &outcome, &count))
			return syntax;
		problem = add_count(state, axis, (int) shift, time, outcome, count);
		if (problem != NULL)
			return problem;
	}
	return NULL;
}

Datum
conversion_in(PG_FUNCTION_ARGS)
{
	const char *at = PG_GETARG_CSTRING(0);
	LqConversionState *state = lq_conversion_new();
	const char *problem = NULL;

	for (int axis = 0; axis < LQ_AXES && problem == NULL; axis++)
		problem = read_axis(&at, state, axis);
	skip_space(&at);
	if (problem == NULL && *at != '\0')
		problem = "There is something behind the ages.";
	if (problem == NULL)
		problem = problem_of(state);
	if (problem != NULL)
		ereturn(fcinfo->context, (Datum) 0,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("invalid input for type %s", "conversion"),
				 errdetail_internal("%s", problem)));
	PG_RETURN_POINTER(lq_conversion_finish(state));
}

Datum
conversion_out(PG_FUNCTION_ARGS)
{
	const LqConversion *value = lq_conversion_get(PG_GETARG_DATUM(0));
	StringInfoData buf;

	initStringInfo(&buf);
	for (int axis = 0; axis < LQ_AXES; axis++)
	{
		LqTimes		times = lq_conversion_times(value, axis);

		appendStringInfo(&buf, "%s%s 2^%d {", axis == 0 ? "" : " ",
						 axis_name[axis], times.shift);
		for (int i = 0; i < times.nbins; i++)
		{
			const LqBin *bin = &times.bins[i];

			appendStringInfo(&buf, "%s%c" UINT64_FORMAT ":" INT64_FORMAT,
							 i == 0 ? "" : " ", outcome_letter[LQ_BIN_OUTCOME(bin)],
							 LQ_BIN_TIME(bin), bin->count);
		}
		appendStringInfoChar(&buf, '}');
	}
	PG_RETURN_CSTRING(buf.data);
}

/* ----------------------------------------------------------------
 * Binary
 * ----------------------------------------------------------------
 */

static const char *
receive_axis(StringInfo buf, LqConversionState *state, LqAxis axis)
{
	int			shift = pq_getmsgbyte(buf);
	uint32		nbins = pq_getmsgint(buf, 4);

	if (shift > LQ_TIME_BITS)
		return "A step is too large.";
	/* more counts than there are bytes end in an error of pq_getmsgint64 */
	for (uint32 i = 0; i < nbins; i++)
	{
		uint64		key = pq_getmsgint64(buf);
		uint64		count = pq_getmsgint64(buf);
		const char *problem = add_count(state, axis, shift, key >> 2, key & 3, count);

		CHECK_FOR_INTERRUPTS();
		if (problem != NULL)
			return problem;
	}
	return NULL;
}

Datum
conversion_recv(PG_FUNCTION_ARGS)
{
	StringInfo	buf = (StringInfo) PG_GETARG_POINTER(0);
	LqConversionState *state = lq_conversion_new();
	int			version = pq_getmsgbyte(buf);
	const char *problem = NULL;

	if (version != WIRE_VERSION)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("unsupported version %d of external \"%s\" value",
						version, "conversion")));
	for (int axis = 0; axis < LQ_AXES && problem == NULL; axis++)
		problem = receive_axis(buf, state, axis);
	if (problem == NULL)
		problem = problem_of(state);
	if (problem != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("invalid external \"%s\" value", "conversion"),
				 errdetail_internal("%s", problem)));
	PG_RETURN_POINTER(lq_conversion_finish(state));
}

Datum
conversion_send(PG_FUNCTION_ARGS)
{
	const LqConversion *value = lq_conversion_get(PG_GETARG_DATUM(0));
	StringInfoData buf;

	pq_begintypsend(&buf);
	pq_sendbyte(&buf, WIRE_VERSION);
	for (int axis = 0; axis < LQ_AXES; axis++)
	{
		LqTimes		times = lq_conversion_times(value, axis);

		pq_sendbyte(&buf, times.shift);
		pq_sendint32(&buf, times.nbins);
		for (int i = 0; i < times.nbins; i++)
		{
			pq_sendint64(&buf, times.bins[i].key);
			pq_sendint64(&buf, times.bins[i].count);
		}
	}
	PG_RETURN_BYTEA_P(pq_endtypsend(&buf));
}
