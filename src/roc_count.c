/*
 * roc_count.c
 *		A summary of type roc while it is being counted.
 *
 * An aggregate's state goes through roc_add() once a row, so counting a score
 * must not touch the others: the state is a hash table by score.  It is a
 * varlena without pointers that transitions change in place, and not an
 * expanded object: that would need a memory context for each group, and hash
 * aggregation looks at all contexts whenever a group is new.
 *
 * A table is a value of the type as well, because partial aggregates hand
 * their states on.  Nothing else lets it out: a final function closes it,
 * which gives the one stored form, and whatever reads a value closes it first.
 */
#include "postgres.h"

#include <math.h>

#include "common/hashfn.h"
#include "common/int.h"
#include "miscadmin.h"
#include "port/pg_bitutils.h"

#include "compat.h"
#include "roc.h"

/* linear probing; a slot is free if it has no lead */
struct LqRocTable
{
	int32		vl_len_;		/* varlena header */
	uint32		format;
	int64		leads;			/* the sum of all counts */
	uint32		nused;
	uint32		nslots;			/* a power of 2, more than are used */
	LqRocPoint	slots[FLEXIBLE_ARRAY_MEMBER];
};

#define TABLE_FORMAT 2			/* where a stored value has LQ_ROC_FORMAT */
#define TABLE_SIZE(nslots) \
	(offsetof(LqRocTable, slots) + sizeof(LqRocPoint) * (Size) (nslots))

/* if there are many groups, most have few scores */
#define MIN_SLOTS 4

#define FREE_SLOT(slot) ((slot)->converted == 0 && (slot)->others == 0)

#define ST_SORT sort_points
#define ST_ELEMENT_TYPE LqRocPoint
#define ST_COMPARE(a, b) (((a)->score > (b)->score) - ((a)->score < (b)->score))
#define ST_SCOPE static
#define ST_CHECK_FOR_INTERRUPTS
#define ST_DEFINE
#include "lib/sort_template.h"

/* is there room for one score more?  a quarter stays free, for short probes */
static inline bool
has_room(const LqRocTable *table)
{
	return table->nused < table->nslots / 4 * 3;
}

static LqRocTable *
make_table(uint32 nslots)
{
	LqRocTable *table = palloc0(TABLE_SIZE(nslots));

	SET_VARSIZE(table, TABLE_SIZE(nslots));
	table->format = TABLE_FORMAT;
	table->nslots = nslots;
	return table;
}

/*
 * The slot of a score, or the free one where it belongs.
 */
static LqRocPoint *
find_slot(LqRocTable *table, double score)
{
	uint64		bits;
	uint32		i;

	/* equal scores have equal bits: 0 is never -0 here */
	memcpy(&bits, &score, sizeof(bits));
	i = murmurhash32((uint32) bits ^ murmurhash32((uint32) (bits >> 32)));
	for (;; i++)
	{
		LqRocPoint *slot = &table->slots[i & (table->nslots - 1)];

		if (FREE_SLOT(slot) || slot->score == score)
			return slot;
	}
}

static LqRocTable *
grow(const LqRocTable *table)
{
	LqRocTable *larger = make_table(table->nslots * 2);

	larger->leads = table->leads;
	larger->nused = table->nused;
	for (uint32 i = 0; i < table->nslots; i++)
	{
		const LqRocPoint *slot = &table->slots[i];

		if (!FREE_SLOT(slot))
			*find_slot(larger, slot->score) = *slot;
	}
	return larger;
}

LqRocTable *
lq_roc_begin(void)
{
	return make_table(MIN_SLOTS);
}

/*
 * Add the counts of one score.  Returns the table, or a larger one in the
 * current memory context if it was full: the old one is the caller's, or the
 * aggregate's, to free.  NULL if an error was reported softly.
 */
LqRocTable *
lq_roc_count(LqRocTable *table, const LqRocPoint *point, struct Node *context)
{
	double		score = point->score + 0.0; /* makes 0 of -0 */
	int64		leads;
	LqRocPoint *slot;

	if (isnan(score))
		ereturn(context, NULL,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("score must not be NaN"),
				 errdetail("It is neither above nor below a threshold.")));
	/* one check for all the sums that are taken of the counts */
	if (pg_add_s64_overflow(point->converted, point->others, &leads) ||
		pg_add_s64_overflow(table->leads, leads, &leads))
		ereturn(context, NULL,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("too many leads for type %s", "roc")));

	slot = find_slot(table, score);
	if (FREE_SLOT(slot))
	{
		if (table->nused >= LQ_ROC_MAX_POINTS)
			ereturn(context, NULL,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("too many distinct scores for type %s", "roc"),
					 errdetail("A summary is exact and holds at most %d distinct scores.",
							   LQ_ROC_MAX_POINTS),
					 errhint("Round the scores.")));
		if (!has_room(table))
		{
			table = grow(table);
			slot = find_slot(table, score);
		}
		slot->score = score;
		table->nused++;
	}
	slot->converted += point->converted;
	slot->others += point->others;
	table->leads = leads;
	return table;
}

/*
 * Add the counts of all scores of a summary, as lq_roc_count() does.
 */
LqRocTable *
lq_roc_count_all(LqRocTable *table, const LqRoc *roc)
{
	for (int i = 0; i < LQ_ROC_NPOINTS(roc); i++)
	{
		CHECK_FOR_INTERRUPTS();
		table = lq_roc_count(table, &roc->points[i], NULL);
	}
	return table;
}

/*
 * The stored form, in the current memory context.
 */
LqRoc *
lq_roc_close(const LqRocTable *table)
{
	LqRoc	   *roc = palloc(LQ_ROC_SIZE(table->nused));
	uint32		npoints = 0;

	SET_VARSIZE(roc, LQ_ROC_SIZE(table->nused));
	roc->format = LQ_ROC_FORMAT;
	for (uint32 i = 0; i < table->nslots; i++)
	{
		if (!FREE_SLOT(&table->slots[i]))
			roc->points[npoints++] = table->slots[i];
	}
	Assert(npoints == table->nused);
	sort_points(roc->points, npoints);
	return roc;
}

/*
 * The stored form of a value: in place, or in the current memory context.
 */
LqRoc *
lq_roc_from_datum(Datum datum)
{
	LqRoc	   *roc = (LqRoc *) PG_DETOAST_DATUM(datum);

	if (VARSIZE(roc) >= TABLE_SIZE(MIN_SLOTS) && roc->format == TABLE_FORMAT)
		return lq_roc_close((LqRocTable *) roc);
	if (VARSIZE(roc) < LQ_ROC_SIZE(0) || roc->format != LQ_ROC_FORMAT ||
		VARSIZE(roc) != LQ_ROC_SIZE(LQ_ROC_NPOINTS(roc)))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("stored value of type %s is not valid", "roc")));
	return roc;
}

/*
 * The summary of a transition's first argument, to count in: the aggregate's
 * own state, in place, or else a copy.  A NULL starts a new one.
 */
LqRocTable *
lq_roc_getarg_state(FunctionCallInfo fcinfo)
{
	LqRocTable *table;
	LqRoc	   *roc;
	uint32		nslots;

	if (PG_ARGISNULL(0))
		return lq_roc_begin();
	table = (LqRocTable *) PG_DETOAST_DATUM(PG_GETARG_DATUM(0));
	if (AggCheckCallContext(fcinfo, NULL) && table->format == TABLE_FORMAT)
		return table;

	roc = lq_roc_from_datum(PointerGetDatum(table));
	nslots = pg_nextpower2_32(LQ_ROC_NPOINTS(roc) / 3 * 4 + MIN_SLOTS);
	return lq_roc_count_all(make_table(nslots), roc);
}
