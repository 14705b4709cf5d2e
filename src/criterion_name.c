/*
 * criterion_name.c
 *		Names of criteria: which there may be, and how they are spelled.
 *
 * They are folded here and nowhere else, by rules that depend on nothing but
 * the encoding of the database: no locale, no catalog, no setting.  So the
 * input of assessments is immutable.
 */
#include "postgres.h"

#include "common/unicode_norm.h"
#include "mb/pg_wchar.h"

#include "compat.h"
#include "assessment_internal.h"

/*
 * Composing a name to NFC makes it at most three times shorter, so what is
 * longer than this is too long in any form.
 */
#define MAX_RAW_BYTES (4 * LQ_CRITERION_BYTES)

typedef struct CodeRange
{
	uint32		first;
	uint32		last;
} CodeRange;

typedef struct LowerRule
{
	uint16		first;
	uint16		last;
	uint16		step;			/* 2: capitals and small letters alternate */
	int16		distance;		/* to the small letter */
} LowerRule;

typedef struct Alias
{
	const char *name;
	const char *criterion;
} Alias;

/* other words for a criterion, in the order of strcmp() */
static const Alias aliases[] = {
	{"access_to_authority", "authority"},
	{"challenge", "challenges"},
	{"champions", "champion"},
	{"competitor", "competition"},
	{"competitors", "competition"},
	{"consequences", "negative_consequences"},
	{"critical_event", "timing"},
	{"decision", "authority"},
	{"decision_criterion", "decision_criteria"},
	{"decision_maker", "authority"},
	{"economic_buyer", "authority"},
	{"economic_impact", "budget"},
	{"funds", "budget"},
	{"goal", "goals"},
	{"identify", "challenges"},
	{"identify_pain", "challenges"},
	{"implications", "positive_implications"},
	{"metric", "metrics"},
	{"money", "budget"},
	{"needs", "need"},
	{"negative_consequence", "negative_consequences"},
	{"pain", "challenges"},
	{"pain_point", "challenges"},
	{"pain_points", "challenges"},
	{"pains", "challenges"},
	{"plan", "plans"},
	{"positive_implication", "positive_implications"},
	{"priorities", "priority"},
	{"prioritisation", "priority"},
	{"prioritization", "priority"},
	{"requirement", "need"},
	{"requirements", "need"},
	{"timeframe", "timing"},
	{"timeline", "timing"},
	{"timescale", "timing"},
	{"urgency", "timing"},
};

/*
 * Capital letters that have no decomposition; the others are these with
 * combining marks.  Latin, Greek, Cyrillic, Armenian.
 */
static const LowerRule lower_rules[] = {
	{0x0041, 0x005A, 1, 32},
	{0x00C0, 0x00D6, 1, 32},
	{0x00D8, 0x00DE, 1, 32},
	{0x0100, 0x012E, 2, 1},
	{0x0132, 0x0136, 2, 1},
	{0x0139, 0x0147, 2, 1},
	{0x014A, 0x0176, 2, 1},
	{0x0179, 0x017D, 2, 1},
	{0x018F, 0x018F, 1, 202},
	{0x0391, 0x03A1, 1, 32},
	{0x03A3, 0x03A9, 1, 32},
	{0x0400, 0x040F, 1, 80},
	{0x0410, 0x042F, 1, 32},
	{0x0460, 0x0480, 2, 1},
	{0x048A, 0x04BE, 2, 1},
	{0x04C0, 0x04C0, 1, 15},
	{0x04C1, 0x04CD, 2, 1},
	{0x04D0, 0x052E, 2, 1},
	{0x0531, 0x0556, 1, 48},
	{0x1E9E, 0x1E9E, 1, 0x00DF - 0x1E9E},
};

/*
 * Code points above ASCII that are neither letters nor combining marks, by
 * the general categories of Unicode 14; what was not assigned then goes with
 * its neighbours.  Blocks of symbols are in as a whole, and so are marks that
 * cannot be seen.  The server's own tables change with its version; this one
 * does not, so a name that was valid stays so.
 */
static const CodeRange not_letters[] = {
	{0x0080, 0x00A9}, {0x00AB, 0x00B4}, {0x00B6, 0x00B9}, {0x00BB, 0x00BF},
	{0x00D7, 0x00D7}, {0x00F7, 0x00F7}, {0x02C2, 0x02C5}, {0x02D2, 0x02DF},
	{0x02E5, 0x02EB}, {0x02ED, 0x02ED}, {0x02EF, 0x02FF}, {0x034F, 0x034F},
	{0x0375, 0x0375}, {0x037E, 0x037E}, {0x0384, 0x0385}, {0x0387, 0x0387},
	{0x03F6, 0x03F6}, {0x0482, 0x0482}, {0x055A, 0x055F}, {0x0589, 0x058F},
	{0x05BE, 0x05BE}, {0x05C0, 0x05C0}, {0x05C3, 0x05C3}, {0x05C6, 0x05C6},
	{0x05F3, 0x060F}, {0x061B, 0x061F}, {0x0660, 0x066D}, {0x06D4, 0x06D4},
	{0x06DD, 0x06DE}, {0x06E9, 0x06E9}, {0x06F0, 0x06F9}, {0x06FD, 0x06FE},
	{0x0700, 0x070F}, {0x07C0, 0x07C9}, {0x07F6, 0x07F9}, {0x07FE, 0x07FF},
	{0x0830, 0x083E}, {0x085E, 0x085E}, {0x0888, 0x0888}, {0x0890, 0x0891},
	{0x08E2, 0x08E2}, {0x0964, 0x0970}, {0x09E6, 0x09EF}, {0x09F2, 0x09FB},
	{0x09FD, 0x09FD}, {0x0A66, 0x0A6F}, {0x0A76, 0x0A76}, {0x0AE6, 0x0AF1},
	{0x0B66, 0x0B70}, {0x0B72, 0x0B77}, {0x0BE6, 0x0BFA}, {0x0C66, 0x0C7F},
	{0x0C84, 0x0C84}, {0x0CE6, 0x0CEF}, {0x0D4F, 0x0D4F}, {0x0D58, 0x0D5E},
	{0x0D66, 0x0D79}, {0x0DE6, 0x0DEF}, {0x0DF4, 0x0DF4}, {0x0E3F, 0x0E3F},
	{0x0E4F, 0x0E5B}, {0x0ED0, 0x0ED9}, {0x0F01, 0x0F17}, {0x0F1A, 0x0F34},
	{0x0F36, 0x0F36}, {0x0F38, 0x0F38}, {0x0F3A, 0x0F3D}, {0x0F85, 0x0F85},
	{0x0FBE, 0x0FC5}, {0x0FC7, 0x0FDA}, {0x1040, 0x104F}, {0x1090, 0x1099},
	{0x109E, 0x109F}, {0x10FB, 0x10FB}, {0x115F, 0x1160}, {0x1360, 0x137C},
	{0x1390, 0x1399}, {0x1400, 0x1400}, {0x166D, 0x166E}, {0x1680, 0x1680},
	{0x169B, 0x169C}, {0x16EB, 0x16F0}, {0x1735, 0x1736}, {0x17B4, 0x17B5},
	{0x17D4, 0x17D6}, {0x17D8, 0x17DB}, {0x17E0, 0x1819}, {0x1940, 0x194F},
	{0x19D0, 0x19FF}, {0x1A1E, 0x1A1F}, {0x1A80, 0x1AA6}, {0x1AA8, 0x1AAD},
	{0x1B50, 0x1B6A}, {0x1B74, 0x1B7E}, {0x1BB0, 0x1BB9}, {0x1BFC, 0x1BFF},
	{0x1C3B, 0x1C49}, {0x1C50, 0x1C59}, {0x1C7E, 0x1C7F}, {0x1CC0, 0x1CC7},
	{0x1CD3, 0x1CD3}, {0x1FBD, 0x1FBD}, {0x1FBF, 0x1FC1}, {0x1FCD, 0x1FCF},
	{0x1FDD, 0x1FDF}, {0x1FED, 0x1FEF}, {0x1FFD, 0x2BFF}, {0x2CE5, 0x2CEA},
	{0x2CF9, 0x2CFF}, {0x2D70, 0x2D70}, {0x2E00, 0x2E2E}, {0x2E30, 0x3004},
	{0x3008, 0x303F}, {0x309B, 0x309C}, {0x30A0, 0x30A0}, {0x30FB, 0x30FB},
	{0x3164, 0x3164}, {0x3190, 0x319F}, {0x31C0, 0x31E3}, {0x3200, 0x33FF},
	{0x4DC0, 0x4DFF}, {0xA490, 0xA4C6}, {0xA4FE, 0xA4FF}, {0xA60D, 0xA60F},
	{0xA620, 0xA629}, {0xA673, 0xA673}, {0xA67E, 0xA67E}, {0xA6E6, 0xA6EF},
	{0xA6F2, 0xA716}, {0xA720, 0xA721}, {0xA789, 0xA78A}, {0xA828, 0xA82B},
	{0xA830, 0xA839}, {0xA874, 0xA877}, {0xA8CE, 0xA8D9}, {0xA8F8, 0xA8FA},
	{0xA8FC, 0xA8FC}, {0xA900, 0xA909}, {0xA92E, 0xA92F}, {0xA95F, 0xA95F},
	{0xA9C1, 0xA9CD}, {0xA9D0, 0xA9DF}, {0xA9F0, 0xA9F9}, {0xAA50, 0xAA5F},
	{0xAA77, 0xAA79}, {0xAADE, 0xAADF}, {0xAAF0, 0xAAF1}, {0xAB5B, 0xAB5B},
	{0xAB6A, 0xAB6B}, {0xABEB, 0xABEB}, {0xABF0, 0xABF9}, {0xD800, 0xF8FF},
	{0xFB29, 0xFB29}, {0xFBB2, 0xFBC2}, {0xFD3E, 0xFD4F}, {0xFDCF, 0xFDCF},
	{0xFDFC, 0xFE19}, {0xFE30, 0xFE6B}, {0xFEFF, 0xFF20}, {0xFF3B, 0xFF40},
	{0xFF5B, 0xFF65}, {0xFFA0, 0xFFA0}, {0xFFE0, 0xFFFF}, {0x10100, 0x101FC},
	{0x102E1, 0x102FB}, {0x10320, 0x10323}, {0x10341, 0x10341},
	{0x1034A, 0x1034A}, {0x1039F, 0x1039F}, {0x103D0, 0x103D5},
	{0x104A0, 0x104A9}, {0x1056F, 0x1056F}, {0x10857, 0x1085F},
	{0x10877, 0x1087F}, {0x108A7, 0x108AF}, {0x108FB, 0x108FF},
	{0x10916, 0x1091F}, {0x1093F, 0x1093F}, {0x109BC, 0x109BD},
	{0x109C0, 0x109FF}, {0x10A40, 0x10A58}, {0x10A7D, 0x10A7F},
	{0x10A9D, 0x10A9F}, {0x10AC8, 0x10AC8}, {0x10AEB, 0x10AF6},
	{0x10B39, 0x10B3F}, {0x10B58, 0x10B5F}, {0x10B78, 0x10B7F},
	{0x10B99, 0x10BAF}, {0x10CFA, 0x10CFF}, {0x10D30, 0x10E7E},
	{0x10EAD, 0x10EAD}, {0x10F1D, 0x10F26}, {0x10F51, 0x10F59},
	{0x10F86, 0x10F89}, {0x10FC5, 0x10FCB}, {0x11047, 0x1106F},
	{0x110BB, 0x110C1}, {0x110CD, 0x110CD}, {0x110F0, 0x110F9},
	{0x11136, 0x11143}, {0x11174, 0x11175}, {0x111C5, 0x111C8},
	{0x111CD, 0x111CD}, {0x111D0, 0x111D9}, {0x111DB, 0x111DB},
	{0x111DD, 0x111F4}, {0x11238, 0x1123D}, {0x112A9, 0x112A9},
	{0x112F0, 0x112F9}, {0x1144B, 0x1145D}, {0x114C6, 0x114C6},
	{0x114D0, 0x114D9}, {0x115C1, 0x115D7}, {0x11641, 0x11643},
	{0x11650, 0x1166C}, {0x116B9, 0x116C9}, {0x11730, 0x1173F},
	{0x1183B, 0x1183B}, {0x118E0, 0x118F2}, {0x11944, 0x11959},
	{0x119E2, 0x119E2}, {0x11A3F, 0x11A46}, {0x11A9A, 0x11A9C},
	{0x11A9E, 0x11AA2}, {0x11C41, 0x11C71}, {0x11D50, 0x11D59},
	{0x11DA0, 0x11DA9}, {0x11EF7, 0x11EF8}, {0x11FC0, 0x11FFF},
	{0x12400, 0x1247F}, {0x12FF1, 0x12FF2}, {0x13430, 0x13438},
	{0x16A60, 0x16A6F}, {0x16AC0, 0x16AC9}, {0x16AF5, 0x16AF5},
	{0x16B37, 0x16B3F}, {0x16B44, 0x16B61}, {0x16E80, 0x16E9A},
	{0x16FE2, 0x16FE2}, {0x1BC9C, 0x1BC9C}, {0x1BC9F, 0x1DEFF},
	{0x1E140, 0x1E149}, {0x1E14F, 0x1E14F}, {0x1E2F0, 0x1E2FF},
	{0x1E8C7, 0x1E8CF}, {0x1E950, 0x1ED3D}, {0x1EEF0, 0x1FBF9},
	{0x40000, 0x10FFFF}
};

/* marks that would join whatever is written before the name */
static const CodeRange not_first[] = {
	{0x0300, 0x036F}, {0x0483, 0x0489}, {0x0591, 0x05C7}, {0x0610, 0x061A},
	{0x064B, 0x065F}, {0x1AB0, 0x1AFF}, {0x1DC0, 0x1DFF}, {0xFE20, 0xFE2F}
};

/* what the user wrote, short enough for a message */
char *
lq_excerpt(const char *text, int len)
{
	if (len <= LQ_CRITERION_BYTES)
		return pnstrdup(text, len);
	return psprintf("%.*s...", pg_mbcliplen(text, len, LQ_CRITERION_BYTES),
					text);
}

static bool
name_too_long(const char *name, int len, struct Node *context)
{
	ereturn(context, false,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("criterion name \"%s\" is too long", lq_excerpt(name, len)),
			 errdetail("A name can have at most %d bytes.", LQ_CRITERION_BYTES)));
}

static bool
bad_name(const char *name, int len, uint32 code, struct Node *context)
{
	ereturn(context, false,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid criterion name \"%s\"", lq_excerpt(name, len)),
			 errdetail("U+%04X cannot be at this place in a name.", code),
			 errhint("A name begins with a letter; letters, digits and underscores follow.")));
}

static bool
in_ranges(uint32 code, const CodeRange *ranges, int nranges)
{
	int			low = 0;
	int			high = nranges;

	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (code > ranges[middle].last)
			low = middle + 1;
		else
			high = middle;
	}
	return low < nranges && code >= ranges[low].first;
}

/* the name is folded already: capitals are letters that have no small one */
static bool
may_stand(uint32 code, bool first)
{
	if (code >= 0x80)
		return !in_ranges(code, not_letters, lengthof(not_letters)) &&
			!(first && in_ranges(code, not_first, lengthof(not_first)));
	if (code >= 'a' && code <= 'z')
		return true;
	return !first && ((code >= '0' && code <= '9') || code == '_');
}

/*
 * Folds a name of plain bytes into "out", which has room for
 * LQ_CRITERION_BYTES.  For ASCII, and for every encoding but UTF8, where
 * bytes above ASCII count as letters and stay as they are.
 */
static bool
fold_bytes(const char *name, int len, char *out, int *out_len,
		   struct Node *context)
{
	if (len > LQ_CRITERION_BYTES)
		return name_too_long(name, len, context);
	for (int i = 0; i < len; i++)
	{
		unsigned char c = (unsigned char) name[i];

		if (c >= 'A' && c <= 'Z')
			c += 'a' - 'A';
		else if (c == '-')
			c = '_';
		if (c < 0x80 && !may_stand(c, i == 0))
			return bad_name(name, len, c, context);
		out[i] = (char) c;
	}
	*out_len = len;
	return true;
}

static pg_wchar
lower_code(pg_wchar code)
{
	for (int i = 0; i < lengthof(lower_rules); i++)
	{
		const LowerRule *rule = &lower_rules[i];

		if (code < rule->first)
			break;
		if (code <= rule->last && (code - rule->first) % rule->step == 0)
			return code + rule->distance;
	}
	return code;
}

/*
 * Lower-cases decomposed text in place.  The dot of a Turkish capital I is
 * dropped, so that both ways to write the letter in capitals give the same.
 */
static void
lower_decomposed(pg_wchar *codes)
{
	pg_wchar   *to = codes;

	for (pg_wchar *from = codes; *from != 0; from++)
	{
		if (*from == 0x0307 && to > codes && to[-1] == 'i')
			continue;
		*to++ = *from == '-' ? '_' : lower_code(*from);
	}
	*to = 0;
}

/* Greek writes a small sigma at the end of a word in another way */
static void
place_final_sigmas(pg_wchar *codes)
{
	for (int i = 0; codes[i] != 0; i++)
	{
		if (codes[i] == 0x03C2 || codes[i] == 0x03C3)
			codes[i] = i > 0 && codes[i - 1] >= 0x80 && codes[i + 1] < 0x80 ?
				0x03C2 : 0x03C3;
	}
}

/*
 * Like fold_bytes(), for UTF8.  Capitals are lower-cased while decomposed,
 * where few rules cover them all; the result is NFC.
 */
static bool
fold_utf8(const char *name, int len, char *out, int *out_len,
		  struct Node *context)
{
	pg_wchar	raw[MAX_RAW_BYTES + 1];
	pg_wchar   *decomposed;
	pg_wchar   *codes;
	int			count = 0;
	int			used = 0;

	if (len > MAX_RAW_BYTES)
		return name_too_long(name, len, context);
	for (int at = 0; at < len;)
	{
		int			bytes = pg_utf_mblen((const unsigned char *) name + at);

		if (bytes > len - at)
			elog(ERROR, "incomplete character in the name of a criterion");
		raw[count++] = utf8_to_unicode((const unsigned char *) name + at);
		at += bytes;
	}
	raw[count] = 0;

	decomposed = unicode_normalize(UNICODE_NFD, raw);
	lower_decomposed(decomposed);
	codes = unicode_normalize(UNICODE_NFC, decomposed);
	place_final_sigmas(codes);
	for (int i = 0; codes[i] != 0; i++)
	{
		unsigned char bytes[4];
		int			size;

		if (!may_stand(codes[i], i == 0))
			return bad_name(name, len, codes[i], context);
		unicode_to_utf8(codes[i], bytes);
		size = pg_utf_mblen(bytes);
		if (used + size > LQ_CRITERION_BYTES)
			return name_too_long(name, len, context);
		memcpy(out + used, bytes, size);
		used += size;
	}
	*out_len = used;
	pfree(decomposed);
	pfree(codes);
	return true;
}

static bool
is_ascii(const char *text, int len)
{
	for (int i = 0; i < len; i++)
	{
		if (IS_HIGHBIT_SET(text[i]))
			return false;
	}
	return true;
}

/* what the name is another word for, else the name itself */
static const char *
resolve_alias(const char *name, int *len)
{
	int			low = 0;
	int			high = lengthof(aliases);

	while (low < high)
	{
		int			middle = (low + high) / 2;
		const Alias *alias = &aliases[middle];
		int			order = lq_criterion_cmp(name, *len, alias->name,
										  strlen(alias->name));

		if (order == 0)
		{
			*len = strlen(alias->criterion);
			return alias->criterion;
		}
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return name;
}

/*
 * The canonical name of a criterion, NULL after a soft error.  It is in
 * "room", of LQ_CRITERION_BYTES, or is a constant; not terminated.
 */
const char *
lq_criterion_read(const char *name, int len, char *room, int *canonical_len,
		  struct Node *context)
{
	bool		good;

	if (len == 0)
		ereturn(context, NULL,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("criterion name is empty")));
	if (GetDatabaseEncoding() != PG_UTF8 || is_ascii(name, len))
		good = fold_bytes(name, len, room, canonical_len, context);
	else
		good = fold_utf8(name, len, room, canonical_len, context);
	return good ? resolve_alias(room, canonical_len) : NULL;
}

char *
lq_criterion_fold(const char *name, int len)
{
	char		room[LQ_CRITERION_BYTES];
	int			canonical_len;
	const char *canonical = lq_criterion_read(name, len, room, &canonical_len, NULL);

	return pnstrdup(canonical, canonical_len);
}
