/*
 * assessment.c
 *		Answers to qualification questions as packed bytes: the value itself and
 *		its text form.
 *
 * Behind the varlena header there are a version byte, the number of answers
 * in two bytes, the high one first, and for each answer a byte with its
 * level, a byte with the length of its name, and the name.  Nothing is
 * aligned, so a value is read in place behind a short header too.  Answers
 * are in the order of their names, byte by byte, and a name occurs once.
 * Equal assessments therefore have equal bytes.  Every function that makes a
 * value keeps this; functions that read one rely on it.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"

#include "compat.h"
#include "assessment_internal.h"

#define FORMAT_VERSION 1
#define HEAD_BYTES 3			/* version, number of answers */
#define ANSWER_BYTES 2			/* level, length of the name */

/* a list this long is searched for duplicates before it grows */
#define MAX_LISTED 2048

/* builds a value whose answers come in order */
typedef struct Writer
{
	LqAssessment *value;
	unsigned char *next;
	int			count;
} Writer;

static const char *const level_names[LQ_LEVEL_YES + 1] = {
	"no", "weak", "partial", "yes"
};

static const char *const levels_hint =
"The levels are no (0), weak (1), partial (2) and yes (3); leave out what is unknown.";

/* ----------------------------------------------------------------
 * Reading a value
 * ----------------------------------------------------------------
 */

void
lq_answers_begin(const LqAssessment *assessment, LqAnswerScan *scan)
{
	const unsigned char *data = (unsigned char *) VARDATA_ANY(assessment);

	if (unlikely(data[0] != FORMAT_VERSION))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("unknown format %d of a stored assessment", data[0])));
	scan->left = (data[1] << 8) | data[2];
	scan->next = data + HEAD_BYTES;
}

bool
lq_answers_next(LqAnswerScan *scan, LqAnswer *answer)
{
	const unsigned char *at = scan->next;

	if (scan->left == 0)
		return false;
	answer->level = at[0];
	answer->len = at[1];
	answer->criterion = (const char *) at + ANSWER_BYTES;
	scan->next = at + ANSWER_BYTES + answer->len;
	scan->left--;
	return true;
}

int
lq_assessment_count(const LqAssessment *assessment)
{
	LqAnswerScan scan;

	lq_answers_begin(assessment, &scan);
	return scan.left;
}

int
lq_criterion_cmp(const char *a, int a_len, const char *b, int b_len)
{
	int			order = memcmp(a, b, Min(a_len, b_len));

	return order != 0 ? order : a_len - b_len;
}

/*
 * The level of a criterion, whose name must be canonical, or LQ_UNKNOWN.
 */
int
lq_assessment_level(const LqAssessment *assessment, const char *criterion,
					int len)
{
	LqAnswerScan scan;
	LqAnswer	answer;
	unsigned char first = len > 0 ? (unsigned char) criterion[0] : 0;

	lq_answers_begin(assessment, &scan);
	while (lq_answers_next(&scan, &answer))
	{
		if (answer.len == len &&
			memcmp(answer.criterion, criterion, len) == 0)
			return answer.level;
		/* in order: what begins with a greater byte lies behind it */
		if ((unsigned char) answer.criterion[0] > first)
			break;
	}
	return LQ_UNKNOWN;
}

bool
lq_assessment_equal(const LqAssessment *a, const LqAssessment *b)
{
	Size		len = VARSIZE_ANY_EXHDR(a);

	return len == VARSIZE_ANY_EXHDR(b) &&
		memcmp(VARDATA_ANY(a), VARDATA_ANY(b), len) == 0;
}

const char *
lq_level_name(int level)
{
	return level >= 0 && level <= LQ_LEVEL_YES ? level_names[level] : NULL;
}

/* ----------------------------------------------------------------
 * Making a value
 * ----------------------------------------------------------------
 */

/* "room" is for answers: ANSWER_BYTES and the name of each */
static void
writer_begin(Writer *writer, Size room)
{
	writer->value = palloc(VARHDRSZ + HEAD_BYTES + room);
	writer->next = (unsigned char *) VARDATA(writer->value) + HEAD_BYTES;
	writer->count = 0;
}

static void
writer_put(Writer *writer, const LqAnswer *answer)
{
	writer->next[0] = (unsigned char) answer->level;
	writer->next[1] = (unsigned char) answer->len;
	memcpy(writer->next + ANSWER_BYTES, answer->criterion, answer->len);
	writer->next += ANSWER_BYTES + answer->len;
	writer->count++;
}

static bool
count_is_allowed(int count, struct Node *context)
{
	if (count > LQ_MAX_CRITERIA)
		ereturn(context, false,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("assessment has too many criteria"),
				 errdetail("There can be at most %d.", LQ_MAX_CRITERIA)));
	return true;
}

static LqAssessment *
writer_end(Writer *writer)
{
	unsigned char *data = (unsigned char *) VARDATA(writer->value);

	data[0] = FORMAT_VERSION;
	data[1] = (unsigned char) (writer->count >> 8);
	data[2] = (unsigned char) (writer->count & 0xFF);
	SET_VARSIZE(writer->value, writer->next - (unsigned char *) writer->value);
	return writer->value;
}

LqAssessment *
lq_assessment_empty(void)
{
	Writer		writer;

	writer_begin(&writer, 0);
	return writer_end(&writer);
}

/*
 * Both, the right one winning.  New criteria are taken while there is room for
 * so many.
 */
static LqAssessment *
concat(const LqAssessment *left, const LqAssessment *right, int room)
{
	Writer		writer;
	LqAnswerScan left_scan;
	LqAnswerScan right_scan;
	LqAnswer	l;
	LqAnswer	r;
	bool		have_left;
	bool		have_right;

	writer_begin(&writer, VARSIZE_ANY_EXHDR(left) + VARSIZE_ANY_EXHDR(right));
	lq_answers_begin(left, &left_scan);
	lq_answers_begin(right, &right_scan);
	have_left = lq_answers_next(&left_scan, &l);
	have_right = lq_answers_next(&right_scan, &r);
	while (have_left || have_right)
	{
		int			order;

		if (!have_left || !have_right)
			order = have_left ? -1 : 1;
		else
			order = lq_criterion_cmp(l.criterion, l.len, r.criterion, r.len);

		if (order <= 0 || room-- > 0)
			writer_put(&writer, order < 0 ? &l : &r);
		if (order <= 0)
			have_left = lq_answers_next(&left_scan, &l);
		if (order >= 0)
			have_right = lq_answers_next(&right_scan, &r);
	}
	return writer_end(&writer);
}

LqAssessment *
lq_assessment_concat(const LqAssessment *left, const LqAssessment *right)
{
	LqAssessment *both = concat(left, right, LQ_MAX_CRITERIA + 1);

	(void) count_is_allowed(lq_assessment_count(both), NULL);
	return both;
}

/* the same without an error: what there is no room for is left out */
LqAssessment *
lq_assessment_take(const LqAssessment *left, const LqAssessment *right)
{
	return concat(left, right, LQ_MAX_CRITERIA - lq_assessment_count(left));
}

/* the criterion must be canonical; one that is not there changes nothing */
LqAssessment *
lq_assessment_remove(const LqAssessment *assessment, const char *criterion,
					 int len)
{
	Writer		writer;
	LqAnswerScan scan;
	LqAnswer	answer;

	writer_begin(&writer, VARSIZE_ANY_EXHDR(assessment));
	lq_answers_begin(assessment, &scan);
	while (lq_answers_next(&scan, &answer))
	{
		if (lq_criterion_cmp(answer.criterion, answer.len, criterion, len) != 0)
			writer_put(&writer, &answer);
	}
	return writer_end(&writer);
}

/* ----------------------------------------------------------------
 * Lists of answers
 * ----------------------------------------------------------------
 */

/* the level, or LQ_UNKNOWN if it is none */
static int
parse_level(const char *text, int len)
{
	if (len == 1 && text[0] >= '0' && text[0] <= '0' + LQ_LEVEL_YES)
		return text[0] - '0';
	for (int level = 0; level <= LQ_LEVEL_YES; level++)
	{
		if (strlen(level_names[level]) == len &&
			pg_strncasecmp(text, level_names[level], len) == 0)
			return level;
	}
	return LQ_UNKNOWN;
}

void
lq_answer_list_init(LqAnswerList *list)
{
	list->count = 0;
	list->size = 8;
	list->items = palloc(list->size * sizeof(LqAnswer));
}

static int
compare_answers(const void *a, const void *b)
{
	const LqAnswer *x = a;
	const LqAnswer *y = b;
	int			order = lq_criterion_cmp(x->criterion, x->len,
									  y->criterion, y->len);

	return order != 0 ? order : x->level - y->level;
}

/*
 * Sorts the list and drops what is said twice.  A criterion may come twice
 * with the same level, not with two.
 */
static bool
compact(LqAnswerList *list, struct Node *context)
{
	int			kept = 0;

	qsort(list->items, list->count, sizeof(LqAnswer), compare_answers);
	for (int i = 0; i < list->count; i++)
	{
		LqAnswer   *item = &list->items[i];
		LqAnswer   *last = kept > 0 ? &list->items[kept - 1] : NULL;

		if (last == NULL || lq_criterion_cmp(last->criterion, last->len,
										  item->criterion, item->len) != 0)
			list->items[kept++] = *item;
		else if (last->level != item->level)
			ereturn(context, false,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("criterion \"%.*s\" has both level %s and level %s",
							item->len, item->criterion,
							level_names[last->level],
							level_names[item->level])));
		else
			pfree((char *) item->criterion);
	}
	list->count = kept;
	return count_is_allowed(kept, context);
}

bool
lq_answer_list_add(LqAnswerList *list, const char *name, int len,
				   const LqLevelInput *input, struct Node *context)
{
	char		room[LQ_CRITERION_BYTES];
	int			canonical_len;
	const char *canonical = lq_criterion_read(name, len, room, &canonical_len,
									  context);
	int			level = input->number;
	LqAnswer   *item;

	if (canonical == NULL)
		return false;
	if (input->text != NULL)
		level = parse_level(input->text, input->len);
	if (lq_level_name(level) == NULL)
		ereturn(context, false,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("invalid level \"%s\" of criterion \"%s\"",
						lq_excerpt(input->text, input->len),
						lq_excerpt(name, len)),
				 errhint("%s", levels_hint)));

	if (list->count == MAX_LISTED && !compact(list, context))
		return false;
	if (list->count == list->size)
	{
		list->size *= 2;
		list->items = repalloc(list->items, list->size * sizeof(LqAnswer));
	}
	item = &list->items[list->count++];
	item->criterion = pnstrdup(canonical, canonical_len);
	item->len = canonical_len;
	item->level = level;
	return true;
}

/* NULL after a soft error */
LqAssessment *
lq_answer_list_pack(LqAnswerList *list, struct Node *context)
{
	Writer		writer;
	Size		room = 0;

	if (!compact(list, context))
		return NULL;
	for (int i = 0; i < list->count; i++)
		room += ANSWER_BYTES + list->items[i].len;
	writer_begin(&writer, room);
	for (int i = 0; i < list->count; i++)
		writer_put(&writer, &list->items[i]);
	return writer_end(&writer);
}

/* ----------------------------------------------------------------
 * Text
 * ----------------------------------------------------------------
 */

static bool
is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool
is_separator(char c)
{
	return c == ',' || c == ';' || is_space(c);
}

static const char *
skip_spaces(const char *at)
{
	while (is_space(*at))
		at++;
	return at;
}

/*
 * Reads one answer.  Returns where it ends, NULL after a soft error.
 */
static const char *
read_answer(const char *at, const char *text, LqAnswerList *list,
			struct Node *context)
{
	const char *name = at;
	LqLevelInput level = {0};
	int			len;

	while (*at != '\0' && *at != '=' && *at != ':' && !is_separator(*at))
		at++;
	len = at - name;
	at = skip_spaces(at);
	if (*at == '=' || *at == ':')
	{
		level.text = skip_spaces(at + 1);
		for (at = level.text; *at != '\0' && !is_separator(*at); at++)
			;
		level.len = at - level.text;
	}
	if (len > 0 && level.len == 0)
		ereturn(context, NULL,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("invalid input syntax for type %s: \"%s\"",
						"assessment", lq_excerpt(text, strlen(text))),
				 errdetail("Criterion \"%s\" has no level.",
						   lq_excerpt(name, len)),
				 errhint("Write it as \"budget=yes, decision_process=partial\". %s",
						 levels_hint)));
	return lq_answer_list_add(list, name, len, &level, context) ? at : NULL;
}

/* the type's input; NULL after a soft error */
LqAssessment *
lq_assessment_read(const char *text, struct Node *context)
{
	LqAnswerList list;
	const char *at = text;

	lq_answer_list_init(&list);
	for (;;)
	{
		CHECK_FOR_INTERRUPTS();
		while (*at != '\0' && is_separator(*at))
			at++;
		if (*at == '\0')
			break;
		at = read_answer(at, text, &list, context);
		if (at == NULL)
			return NULL;
	}
	return lq_answer_list_pack(&list, context);
}

char *
lq_assessment_text(const LqAssessment *assessment)
{
	StringInfoData buf;
	LqAnswerScan scan;
	LqAnswer	answer;

	initStringInfo(&buf);
	lq_answers_begin(assessment, &scan);
	while (lq_answers_next(&scan, &answer))
	{
		if (buf.len > 0)
			appendStringInfoString(&buf, ", ");
		appendBinaryStringInfo(&buf, answer.criterion, answer.len);
		appendStringInfoChar(&buf, '=');
		appendStringInfoString(&buf, level_names[answer.level]);
	}
	return buf.data;
}
