/*
 * score_text.c
 *		The text form of a score.
 *
 * It is one JSON object, written in a fixed order of fields and
 * independent of all settings: times are UTC in ISO 8601, numbers are the
 * shortest that read back as the same double.  What is at its default is
 * left out (bounds that are infinite, no mark, empty lists).  Reading it is
 * strict: a field that is unknown, missing or of the wrong type is an error.
 *
 *	as_of			time of the newest event; left out if there was none
 *	last			that event: at (if not as_of), kind, source, key (hex)
 *	mark, steady_since, unscored
 *	total			minimum, maximum, peak
 *	dimensions		dimension, minimum, maximum, weight, base, peak
 *	rules			rule, max_points, matches, fresh_matches, last_at
 *	sums			dimension, rule, decay, period_days or period_us; sum, fresh
 *					or entries: at, points
 *	counts			rule, bucket, value (hex), count, full_at
 *	times			rule, pending, at
 */
#include "postgres.h"

#include <ctype.h>
#include <math.h>

#include "catalog/pg_type.h"
#include "common/shortest_dec.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/float.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "score.h"
#include "score_internal.h"

static const char *const kind_names[] = {
	"created", "attribute", "activity", "answer", "manual", "clock"
};

static const char hex_digits[] = "0123456789abcdef";

/* ----------------------------------------------------------------
 * Writing
 * ----------------------------------------------------------------
 */

/* a comma, unless an object or array has just been opened */
static void
put_separator(StringInfo buf)
{
	char		last = buf->data[buf->len - 1];

	if (last != '{' && last != '[')
		appendStringInfoString(buf, ", ");
}

static void
put_key(StringInfo buf, const char *key)
{
	put_separator(buf);
	appendStringInfo(buf, "\"%s\": ", key);
}

static void
put_string(StringInfo buf, const char *key, const char *value)
{
	put_key(buf, key);
	escape_json(buf, value);
}

static void
put_integer(StringInfo buf, const char *key, int64 value)
{
	put_key(buf, key);
	appendStringInfo(buf, INT64_FORMAT, value);
}

/* a number; an infinite one is the absence of a bound and left out */
static void
put_number(StringInfo buf, const char *key, double value)
{
	char		digits[DOUBLE_SHORTEST_DECIMAL_LEN];

	if (isinf(value))
		return;
	put_key(buf, key);
	double_to_shortest_decimal_buf(value, digits);
	appendStringInfoString(buf, digits);
}

/* a time, left out if it is the "absent" one */
static void
put_time(StringInfo buf, const char *key, TimestampTz at, TimestampTz absent)
{
	char		text[MAXDATELEN + 1];
	int			utc = 0;

	if (at == absent)
		return;
	JsonEncodeDateTime(text, TimestampTzGetDatum(at), TIMESTAMPTZOID, &utc);
	put_string(buf, key, text);
}

static void
put_hex(StringInfo buf, const char *key, const char *bytes, int length)
{
	put_key(buf, key);
	appendStringInfoChar(buf, '"');
	for (int i = 0; i < length; i++)
	{
		appendStringInfoChar(buf, hex_digits[(uint8) bytes[i] >> 4]);
		appendStringInfoChar(buf, hex_digits[(uint8) bytes[i] & 0x0F]);
	}
	appendStringInfoChar(buf, '"');
}

static void
put_head(StringInfo buf, const LqScore *score)
{
	put_time(buf, "as_of", score->as_of, DT_NOBEGIN);
	if (!TIMESTAMP_IS_NOBEGIN(score->as_of))
	{
		put_key(buf, "last");
		appendStringInfoChar(buf, '{');
		put_time(buf, "at", score->last.at, score->as_of);
		put_string(buf, "kind", kind_names[score->last.kind]);
		put_integer(buf, "source", score->last.source);
		put_hex(buf, "key", score->last.key, score->last.keylen);
		appendStringInfoChar(buf, '}');
	}
	put_time(buf, "mark", score->mark, DT_NOBEGIN);
	put_time(buf, "steady_since", score->steady_since, DT_NOBEGIN);
	if (score->unscored)
	{
		put_key(buf, "unscored");
		appendStringInfoString(buf, "true");
	}
	if (!isinf(score->total_minimum) || !isinf(score->total_maximum) ||
		!isinf(score->total_peak))
	{
		put_key(buf, "total");
		appendStringInfoChar(buf, '{');
		put_number(buf, "minimum", score->total_minimum);
		put_number(buf, "maximum", score->total_maximum);
		put_number(buf, "peak", score->total_peak);
		appendStringInfoChar(buf, '}');
	}
}

static void
put_dimension(StringInfo buf, const LqScore *score, int i)
{
	const LqDimension *dim = &score->dimensions[i];

	put_string(buf, "dimension", dim->name);
	put_number(buf, "minimum", dim->minimum);
	put_number(buf, "maximum", dim->maximum);
	put_number(buf, "weight", dim->weight);
	put_number(buf, "base", dim->base);
	put_number(buf, "peak", dim->peak);
}

static void
put_rule(StringInfo buf, const LqScore *score, int i)
{
	const LqMemory *memory = &score->memories[i];

	put_string(buf, "rule", memory->rule);
	put_number(buf, "max_points", memory->max_points);
	put_integer(buf, "matches", memory->matches);
	if (memory->fresh_matches != memory->matches)
		put_integer(buf, "fresh_matches", memory->fresh_matches);
	put_time(buf, "last_at", memory->last_at, DT_NOBEGIN);
}

static void
put_sum(StringInfo buf, const LqScore *score, int i)
{
	const LqTerm *term = &score->terms[i];

	put_string(buf, "dimension", score->dimensions[term->dimension].name);
	if (term->memory >= 0)
		put_string(buf, "rule", score->memories[term->memory].rule);
	put_string(buf, "decay", lq_decay_name(term->decay));
	if (term->decay != LQ_DECAY_NONE)
	{
		if (term->period % USECS_PER_DAY == 0)
			put_integer(buf, "period_days", term->period / USECS_PER_DAY);
		else
			put_integer(buf, "period_us", term->period);
	}
	if (!LQ_HAS_ENTRIES(term->decay))
	{
		put_number(buf, "sum", term->sum);
		if (term->fresh != term->sum)
			put_number(buf, "fresh", term->fresh);
		return;
	}

	put_key(buf, "entries");
	appendStringInfoChar(buf, '[');
	for (int e = lq_score_first_entry(score, i);
		 e < score->nentries && score->entries[e].term == i; e++)
	{
		put_separator(buf);
		appendStringInfoChar(buf, '{');
		put_time(buf, "at", score->entries[e].at, DT_NOBEGIN);
		put_number(buf, "points", score->entries[e].points);
		appendStringInfoChar(buf, '}');
	}
	appendStringInfoChar(buf, ']');
}

static void
put_count(StringInfo buf, const LqScore *score, int i)
{
	const LqCount *count = &score->counts[i];
	char		bytes[8];

	put_string(buf, "rule", score->memories[count->memory].rule);
	put_integer(buf, "bucket", count->bucket);
	if (count->value != 0)
	{
		for (int b = 0; b < 8; b++)
			bytes[b] = (char) (count->value >> (56 - 8 * b));
		put_hex(buf, "value", bytes, 8);
	}
	put_integer(buf, "count", count->count);
	put_time(buf, "full_at", count->full_at, DT_NOBEGIN);
}

static void
put_when(StringInfo buf, const LqScore *score, int i)
{
	const LqTime *when = &score->times[i];

	put_string(buf, "rule", score->memories[when->memory].rule);
	put_key(buf, "pending");
	appendStringInfoString(buf, when->pending ? "true" : "false");
	put_time(buf, "at", when->at, DT_NOBEGIN);
}

/* a list of objects, whose fields put() writes */
static void
put_list(StringInfo buf, const char *key, const LqScore *score, int n,
		 void (*put) (StringInfo buf, const LqScore *score, int i))
{
	put_key(buf, key);
	appendStringInfoChar(buf, '[');
	for (int i = 0; i < n; i++)
	{
		put_separator(buf);
		appendStringInfoChar(buf, '{');
		put(buf, score, i);
		appendStringInfoChar(buf, '}');
	}
	appendStringInfoChar(buf, ']');
}

/*
 * The text of a score that is in canonical order, as what has been unpacked
 * is; in the current memory context.
 */
char *
lq_score_to_text(const LqScore *score)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfoChar(&buf, '{');
	put_head(&buf, score);
	put_list(&buf, "dimensions", score, score->ndimensions, put_dimension);
	if (score->nmemories > 0)
		put_list(&buf, "rules", score, score->nmemories, put_rule);
	if (score->nterms > 0)
		put_list(&buf, "sums", score, score->nterms, put_sum);
	if (score->ncounts > 0)
		put_list(&buf, "counts", score, score->ncounts, put_count);
	if (score->ntimes > 0)
		put_list(&buf, "times", score, score->ntimes, put_when);
	appendStringInfoChar(&buf, '}');
	return buf.data;
}

/* ----------------------------------------------------------------
 * Reading
 *
 * The functions return false after the first problem, which stands in the
 * parser as a sentence.
 * ----------------------------------------------------------------
 */

typedef struct Parser
{
	LqScore    *score;			/* being filled */
	char	   *problem;
} Parser;

typedef struct Field
{
	const char *key;
	bool		required;
	bool		found;
	JsonbValue	value;
} Field;

typedef struct Object
{
	Parser	   *parser;
	const char *path;			/* where it is, such as "sums[2]" */
	int			nfields;
	Field	   *fields;
} Object;

/* read element i of a list; what has been read before is counted already */
typedef bool (*ReadElement) (Parser *parser, JsonbContainer *json,
							 const char *path, int i);

static bool
refuse(Parser *parser, const char *path, const char *key, const char *reason)
{
	parser->problem = psprintf("Field \"%s%s%s\" %s.", path,
							   path[0] && key[0] ? "." : "", key, reason);
	return false;
}

/* read an object into fields, which name all that it may have */
static bool
open_object(Object *object, Parser *parser, JsonbContainer *json,
			const char *path, Field *fields, int nfields)
{
	JsonbIterator *it = JsonbIteratorInit(json);
	JsonbValue	value;
	JsonbIteratorToken token;
	Field	   *field = NULL;

	object->parser = parser;
	object->path = path;
	object->fields = fields;
	object->nfields = nfields;
	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
	{
		if (token == WJB_VALUE)
		{
			field->found = true;
			field->value = value;
		}
		if (token != WJB_KEY)
			continue;
		for (field = fields; field < fields + nfields; field++)
		{
			if (strlen(field->key) == value.val.string.len &&
				strncmp(field->key, value.val.string.val,
						value.val.string.len) == 0)
				break;
		}
		if (field == fields + nfields)
			return refuse(parser, path, pnstrdup(value.val.string.val,
												 value.val.string.len),
						  "is unknown");
	}
	for (field = fields; field < fields + nfields; field++)
	{
		if (field->required && !field->found)
			return refuse(parser, path, field->key, "is missing");
	}
	return true;
}

#define OPEN_OBJECT(object, parser, json, path, fields) \
	open_object(object, parser, json, path, fields, lengthof(fields))

static Field *
find_field(const Object *object, const char *key)
{
	Field	   *field = object->fields;

	while (strcmp(field->key, key) != 0)
		field++;
	return field;
}

static bool
refuse_field(const Object *object, const char *key, const char *reason)
{
	return refuse(object->parser, object->path, key, reason);
}

/*
 * The get_ functions leave the target alone when the field is not there.
 */
static bool
get_string(const Object *object, const char *key, char **target)
{
	Field	   *field = find_field(object, key);

	if (!field->found)
		return true;
	if (field->value.type != jbvString)
		return refuse_field(object, key, "must be a string");
	*target = pnstrdup(field->value.val.string.val,
					   field->value.val.string.len);
	return true;
}

static bool
get_bool(const Object *object, const char *key, bool *target)
{
	Field	   *field = find_field(object, key);

	if (!field->found)
		return true;
	if (field->value.type != jbvBool)
		return refuse_field(object, key, "must be true or false");
	*target = field->value.val.boolean;
	return true;
}

static bool
get_number(const Object *object, const char *key, double *target)
{
	Field	   *field = find_field(object, key);

	if (!field->found)
		return true;
	if (field->value.type != jbvNumeric)
		return refuse_field(object, key, "must be a number");
	*target = DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow,
												 NumericGetDatum(field->value.val.numeric)));
	if (isnan(*target) || isinf(*target))
		return refuse_field(object, key, "is out of range");
	return true;
}

static bool
get_integer(const Object *object, const char *key, int64 minimum,
			int64 maximum, int64 *target)
{
	Field	   *field = find_field(object, key);
	char	   *digits;
	char	   *end;

	if (!field->found)
		return true;
	if (field->value.type != jbvNumeric)
		return refuse_field(object, key, "must be an integer");
	digits = DatumGetCString(DirectFunctionCall1(numeric_out,
												 NumericGetDatum(field->value.val.numeric)));
	errno = 0;
	*target = strtoi64(digits, &end, 10);
	if (*end != '\0')
		return refuse_field(object, key, "must be an integer");
	if (errno != 0 || *target < minimum || *target > maximum)
		return refuse_field(object, key, "is out of range");
	return true;
}

/* "n" decimal digits */
static bool
scan_digits(const char **text, int n, int *value)
{
	*value = 0;
	for (int i = 0; i < n; i++, (*text)++)
	{
		if (!isdigit((unsigned char) **text))
			return false;
		*value = *value * 10 + (**text - '0');
	}
	return true;
}

static bool
scan_char(const char **text, char c)
{
	if (**text != c)
		return false;
	(*text)++;
	return true;
}

/* up to six digits after the decimal point, as microseconds */
static bool
scan_fraction(const char **text, fsec_t *fsec)
{
	int			scale = 100000;

	if (!isdigit((unsigned char) **text))
		return false;
	for (; isdigit((unsigned char) **text); (*text)++, scale /= 10)
	{
		if (scale == 0)
			return false;
		*fsec += (**text - '0') * scale;
	}
	return true;
}

/*
 * A time as put_time() writes it.  timestamptz_in() would not do: it takes
 * "now" and "tomorrow", and what it makes of others depends on settings.
 */
static bool
scan_time(const char *text, TimestampTz *at)
{
	struct pg_tm tm;
	fsec_t		fsec = 0;
	int			utc = 0;
	int			year_digits = (int) strspn(text, "0123456789");
	int			year;
	int			month;
	int			day;

	memset(&tm, 0, sizeof(tm));
	if (year_digits < 4 || year_digits > 6 ||
		!scan_digits(&text, year_digits, &tm.tm_year) ||
		!scan_char(&text, '-') || !scan_digits(&text, 2, &tm.tm_mon) ||
		!scan_char(&text, '-') || !scan_digits(&text, 2, &tm.tm_mday) ||
		!scan_char(&text, 'T') || !scan_digits(&text, 2, &tm.tm_hour) ||
		!scan_char(&text, ':') || !scan_digits(&text, 2, &tm.tm_min) ||
		!scan_char(&text, ':') || !scan_digits(&text, 2, &tm.tm_sec))
		return false;
	if (scan_char(&text, '.') && !scan_fraction(&text, &fsec))
		return false;
	if (strncmp(text, "+00:00", 6) == 0)
		text += 6;
	else if (!scan_char(&text, 'Z'))
		return false;
	if (tm.tm_year == 0)
		return false;
	if (strcmp(text, " BC") == 0)
		tm.tm_year = 1 - tm.tm_year;
	else if (*text != '\0')
		return false;

	if (tm.tm_mon < 1 || tm.tm_mon > MONTHS_PER_YEAR || tm.tm_mday < 1 ||
		tm.tm_hour >= HOURS_PER_DAY || tm.tm_min >= MINS_PER_HOUR ||
		tm.tm_sec >= SECS_PER_MINUTE ||
		!IS_VALID_JULIAN(tm.tm_year, tm.tm_mon, tm.tm_mday))
		return false;
	/* a day that the month does not have comes back as another */
	j2date(date2j(tm.tm_year, tm.tm_mon, tm.tm_mday), &year, &month, &day);
	return day == tm.tm_mday && tm2timestamp(&tm, fsec, &utc, at) == 0;
}

static bool
get_time(const Object *object, const char *key, TimestampTz *target)
{
	char	   *text = NULL;

	if (!get_string(object, key, &text))
		return false;
	if (text != NULL && !scan_time(text, target))
		return refuse_field(object, key,
							"must be a time in UTC such as 2024-05-01T09:30:00Z");
	return true;
}

/* bytes in hexadecimal; their number, at most limit, goes to *length */
static bool
get_hex(const Object *object, const char *key, char **target, int *length)
{
	char	   *text = NULL;
	int			n;

	if (!get_string(object, key, &text))
		return false;
	if (text == NULL)
		return true;
	n = (int) strlen(text);
	if (n % 2 != 0 || strspn(text, hex_digits) != n)
		return refuse_field(object, key,
							"must be an even number of hexadecimal digits in lower case");
	*length = n / 2;
	*target = palloc(*length + 1);
	for (int i = 0; i < n; i++)
	{
		int			digit = (int) (strchr(hex_digits, text[i]) - hex_digits);

		if (i % 2 == 0)
			(*target)[i / 2] = (char) (digit << 4);
		else
			(*target)[i / 2] |= (char) digit;
	}
	return true;
}

/* the container of a field that is an object */
static bool
get_object(const Object *object, const char *key, JsonbContainer **target)
{
	Field	   *field = find_field(object, key);

	if (!field->found)
		return true;
	if (field->value.type != jbvBinary ||
		!JsonContainerIsObject(field->value.val.binary.data))
		return refuse_field(object, key, "must be an object");
	*target = field->value.val.binary.data;
	return true;
}

static bool
get_array(const Object *object, const char *key, JsonbContainer **target)
{
	Field	   *field = find_field(object, key);

	if (!field->found)
		return true;
	if (field->value.type != jbvBinary ||
		!JsonContainerIsArray(field->value.val.binary.data))
		return refuse_field(object, key, "must be an array");
	*target = field->value.val.binary.data;
	return true;
}

/* read every element of an array, which must be objects, counting them in n */
static bool
read_elements(Parser *parser, JsonbContainer *array, const char *path,
			  int *n, ReadElement read)
{
	for (int i = 0; i < JsonContainerSize(array); i++)
	{
		JsonbValue *value = getIthJsonbValueFromContainer(array, i);
		char	   *place = psprintf("%s[%d]", path, i);

		CHECK_FOR_INTERRUPTS();
		if (value->type != jbvBinary ||
			!JsonContainerIsObject(value->val.binary.data))
			return refuse(parser, place, "", "must be an object");
		if (!read(parser, value->val.binary.data, place, i))
			return false;
		*n = i + 1;
	}
	return true;
}

/* read a list of the score into a new array of elements */
static bool
read_list(const Object *object, const char *key, void **array, int *n,
		  Size element, ReadElement read)
{
	JsonbContainer *json = NULL;

	if (!get_array(object, key, &json))
		return false;
	if (json == NULL || JsonContainerSize(json) == 0)
		return true;
	*array = palloc0(JsonContainerSize(json) * element);
	return read_elements(object->parser, json, key, n, read);
}

/* the number of the dimension that a field names */
static bool
get_dimension(const Object *object, int *target)
{
	char	   *name = NULL;

	if (!get_string(object, "dimension", &name))
		return false;
	*target = lq_score_dimension(object->parser->score, name);
	if (*target < 0)
		return refuse_field(object, "dimension", "names no dimension of the score");
	return true;
}

/* the number of the rule that a field names, if it is there */
static bool
get_rule(const Object *object, int *target)
{
	char	   *name = NULL;

	if (!get_string(object, "rule", &name))
		return false;
	if (name == NULL)
		return true;
	*target = lq_score_memory(object->parser->score, name, false);
	if (*target < 0)
		return refuse_field(object, "rule", "names no rule of the score");
	return true;
}

static bool
read_last(Parser *parser, JsonbContainer *json)
{
	Field		fields[] = {{"at"}, {"kind", true}, {"source", true}, {"key", true}};
	LqPosition *last = &parser->score->last;
	Object		object;
	char	   *kind = NULL;
	char	   *key = NULL;
	int64		source = 0;
	int			number = 0;

	last->at = parser->score->as_of;
	if (!OPEN_OBJECT(&object, parser, json, "last", fields) ||
		!get_time(&object, "at", &last->at) ||
		!get_string(&object, "kind", &kind) ||
		!get_integer(&object, "source", PG_INT32_MIN, PG_INT32_MAX, &source) ||
		!get_hex(&object, "key", &key, &last->keylen))
		return false;
	while (number < lengthof(kind_names) &&
		   strcmp(kind, kind_names[number]) != 0)
		number++;
	if (number == lengthof(kind_names))
		return refuse_field(&object, "kind", "is no kind of event");
	last->kind = (LqEventKind) number;
	last->source = (int32) source;
	last->key = key;
	return true;
}

static bool
read_total(Parser *parser, JsonbContainer *json)
{
	Field		fields[] = {{"minimum"}, {"maximum"}, {"peak"}};
	LqScore    *score = parser->score;
	Object		object;

	return OPEN_OBJECT(&object, parser, json, "total", fields) &&
		get_number(&object, "minimum", &score->total_minimum) &&
		get_number(&object, "maximum", &score->total_maximum) &&
		get_number(&object, "peak", &score->total_peak);
}

static bool
read_dimension(Parser *parser, JsonbContainer *json, const char *path, int i)
{
	Field		fields[] = {{"dimension", true}, {"minimum"}, {"maximum"},
	{"weight", true}, {"base", true}, {"peak"}};
	LqDimension *dim = &parser->score->dimensions[i];
	Object		object;

	dim->minimum = -get_float8_infinity();
	dim->maximum = get_float8_infinity();
	dim->peak = -get_float8_infinity();
	return OPEN_OBJECT(&object, parser, json, path, fields) &&
		get_string(&object, "dimension", &dim->name) &&
		get_number(&object, "minimum", &dim->minimum) &&
		get_number(&object, "maximum", &dim->maximum) &&
		get_number(&object, "weight", &dim->weight) &&
		get_number(&object, "base", &dim->base) &&
		get_number(&object, "peak", &dim->peak);
}

static bool
read_rule(Parser *parser, JsonbContainer *json, const char *path, int i)
{
	Field		fields[] = {{"rule", true}, {"max_points"}, {"matches", true},
	{"fresh_matches"}, {"last_at"}};
	LqMemory   *memory = &parser->score->memories[i];
	Object		object;

	memory->max_points = get_float8_infinity();
	memory->last_at = DT_NOBEGIN;
	if (!OPEN_OBJECT(&object, parser, json, path, fields) ||
		!get_string(&object, "rule", &memory->rule) ||
		!get_number(&object, "max_points", &memory->max_points) ||
		!get_integer(&object, "matches", 0, PG_INT64_MAX, &memory->matches))
		return false;
	memory->fresh_matches = memory->matches;
	return get_integer(&object, "fresh_matches", 0, memory->matches,
					   &memory->fresh_matches) &&
		get_time(&object, "last_at", &memory->last_at);
}

/* an entry of the term that is being read, which is not counted yet */
static bool
read_entry(Parser *parser, JsonbContainer *json, const char *path, int i)
{
	Field		fields[] = {{"at", true}, {"points", true}};
	LqScore    *score = parser->score;
	LqEntry    *entry = lq_score_insert_entry(score, score->nentries);
	Object		object;

	entry->term = score->nterms;
	return OPEN_OBJECT(&object, parser, json, path, fields) &&
		get_time(&object, "at", &entry->at) &&
		get_number(&object, "points", &entry->points);
}

/* decay and period of a sum: the period is in days or in microseconds */
static bool
read_decay(Object *object, LqTerm *term)
{
	bool		in_days = find_field(object, "period_days")->found;
	bool		in_us = find_field(object, "period_us")->found;
	char	   *decay = NULL;

	if (!get_string(object, "decay", &decay))
		return false;
	if (!lq_decay_parse(decay, &term->decay))
		return refuse_field(object, "decay", "is no decay");
	if (term->decay == LQ_DECAY_NONE && (in_days || in_us))
		return refuse_field(object, in_days ? "period_days" : "period_us",
							"has no meaning without decay");
	if (term->decay != LQ_DECAY_NONE && !in_days && !in_us)
		return refuse_field(object, "period_days", "is missing");
	if (in_days && in_us)
		return refuse_field(object, "period_us", "cannot be given beside period_days");
	if (!get_integer(object, "period_days", 1, PG_INT64_MAX / USECS_PER_DAY,
					 &term->period) ||
		!get_integer(object, "period_us", 1, PG_INT64_MAX, &term->period))
		return false;
	if (in_days)
		term->period *= USECS_PER_DAY;
	return true;
}

static bool
read_sum(Parser *parser, JsonbContainer *json, const char *path, int i)
{
	Field		fields[] = {{"dimension", true}, {"rule"}, {"decay", true},
	{"period_days"}, {"period_us"}, {"sum"}, {"fresh"}, {"entries"}};
	LqTerm	   *term = &parser->score->terms[i];
	JsonbContainer *entries = NULL;
	Object		object;
	const char *wanted;
	const char *unwanted;
	int			n;

	term->memory = -1;
	if (!OPEN_OBJECT(&object, parser, json, path, fields) ||
		!get_dimension(&object, &term->dimension) ||
		!get_rule(&object, &term->memory) ||
		!read_decay(&object, term) ||
		!get_number(&object, "sum", &term->sum))
		return false;
	term->fresh = term->sum;
	if (!get_number(&object, "fresh", &term->fresh) ||
		!get_array(&object, "entries", &entries))
		return false;

	wanted = LQ_HAS_ENTRIES(term->decay) ? "entries" : "sum";
	unwanted = LQ_HAS_ENTRIES(term->decay) ? "sum" : "entries";
	if (!find_field(&object, wanted)->found)
		return refuse_field(&object, wanted, "is missing");
	if (find_field(&object, unwanted)->found)
		return refuse_field(&object, unwanted, "has no meaning with this decay");
	if (entries == NULL)
		return true;
	return read_elements(parser, entries, psprintf("%s.entries", path), &n,
						 read_entry);
}

static bool
read_count(Parser *parser, JsonbContainer *json, const char *path, int i)
{
	Field		fields[] = {{"rule", true}, {"bucket", true}, {"value"}, {"count", true}, {"full_at"}};
	LqCount    *count = &parser->score->counts[i];
	Object		object;
	int64		number = 0;
	char	   *bytes = NULL;
	int			length = 8;

	count->full_at = DT_NOBEGIN;
	if (!OPEN_OBJECT(&object, parser, json, path, fields) ||
		!get_rule(&object, &count->memory) ||
		!get_integer(&object, "bucket", PG_INT64_MIN, PG_INT64_MAX, &count->bucket) ||
		!get_integer(&object, "count", 1, PG_INT32_MAX, &number) ||
		!get_hex(&object, "value", &bytes, &length) ||
		!get_time(&object, "full_at", &count->full_at))
		return false;
	if (length != 8)
		return refuse_field(&object, "value", "must have 16 digits");
	count->count = (int32) number;
	for (int b = 0; bytes != NULL && b < length; b++)
		count->value = count->value << 8 | (uint8) bytes[b];
	return true;
}

static bool
read_when(Parser *parser, JsonbContainer *json, const char *path, int i)
{
	Field		fields[] = {{"rule", true}, {"pending", true}, {"at", true}};
	LqTime	   *when = &parser->score->times[i];
	Object		object;

	return OPEN_OBJECT(&object, parser, json, path, fields) &&
		get_rule(&object, &when->memory) &&
		get_bool(&object, "pending", &when->pending) &&
		get_time(&object, "at", &when->at);
}

#define READ_LIST(object, key, array, n, read) \
	read_list(object, key, (void **) &(array), &(n), sizeof(*(array)), read)

static bool
read_score(Parser *parser, JsonbContainer *json)
{
	Field		fields[] = {{"as_of"}, {"last"}, {"mark"}, {"steady_since"},
	{"unscored"}, {"total"}, {"dimensions", true}, {"rules"}, {"sums"},
	{"counts"}, {"times"}};
	LqScore    *score = parser->score;
	JsonbContainer *last = NULL;
	JsonbContainer *total = NULL;
	Object		object;

	if (!OPEN_OBJECT(&object, parser, json, "", fields) ||
		!get_time(&object, "as_of", &score->as_of) ||
		!get_object(&object, "last", &last) ||
		!get_time(&object, "mark", &score->mark) ||
		!get_time(&object, "steady_since", &score->steady_since) ||
		!get_bool(&object, "unscored", &score->unscored) ||
		!get_object(&object, "total", &total))
		return false;
	if (TIMESTAMP_IS_NOBEGIN(score->as_of) != (last == NULL))
		return refuse_field(&object, last ? "as_of" : "last", "is missing");
	if ((last != NULL && !read_last(parser, last)) ||
		(total != NULL && !read_total(parser, total)))
		return false;
	return READ_LIST(&object, "dimensions", score->dimensions,
					 score->ndimensions, read_dimension) &&
		READ_LIST(&object, "rules", score->memories, score->nmemories, read_rule) &&
		READ_LIST(&object, "sums", score->terms, score->nterms, read_sum) &&
		READ_LIST(&object, "counts", score->counts, score->ncounts, read_count) &&
		READ_LIST(&object, "times", score->times, score->ntimes, read_when);
}

/*
 * The score that a JSON object describes, in the current memory context, not
 * necessarily in canonical order.  Returns NULL and a sentence in *problem
 * if it describes none.
 */
LqScore *
lq_score_from_json(Jsonb *json, const char **problem)
{
	Parser		parser = {0};
	const char *invalid;

	parser.score = lq_score_create(CurrentMemoryContext);
	*problem = NULL;
	if (!JB_ROOT_IS_OBJECT(json))
		*problem = "A score is a JSON object.";
	else if (!read_score(&parser, &json->root))
		*problem = parser.problem;
	else if ((invalid = lq_score_problem(parser.score)) != NULL)
		*problem = psprintf("The value is not valid: %s.", invalid);
	return *problem ? NULL : parser.score;
}
