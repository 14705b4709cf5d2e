/*
 * roc.h
 *		How well a score told who would convert: the summary and its statistics.
 *
 * The summary has, for each distinct score, how many leads with that score
 * converted and how many did not.  All that can be asked of a score follows
 * from these counts, and adding counts is exact whatever the order.
 */
#ifndef LQ_ROC_H
#define LQ_ROC_H

#include "fmgr.h"

struct Node;

typedef struct LqRocPoint
{
	double		score;			/* not NaN; 0 is not -0 */
	int64		converted;
	int64		others;			/* did not convert; one of the two is above 0 */
} LqRocPoint;

/*
 * A stored value: the points by rising score, so equal summaries have equal
 * bytes.  The format is there for a later version to know this one by; it
 * also aligns the points.
 */
typedef struct LqRoc
{
	int32		vl_len_;		/* varlena header */
	uint32		format;
	LqRocPoint	points[FLEXIBLE_ARRAY_MEMBER];
} LqRoc;

#define LQ_ROC_FORMAT 1

/*
 * So few that the longest text of a summary, and the table in which it is
 * counted (100 MB), stay far below what PostgreSQL can allocate.
 */
#define LQ_ROC_MAX_POINTS 2000000

#define LQ_ROC_SIZE(npoints) \
	(offsetof(LqRoc, points) + sizeof(LqRocPoint) * (Size) (npoints))
#define LQ_ROC_NPOINTS(roc) \
	((int) ((VARSIZE(roc) - offsetof(LqRoc, points)) / sizeof(LqRocPoint)))

/* roc_stats.c: pure */
typedef struct LqRocTotals
{
	int64		converted;
	int64		others;
} LqRocTotals;

extern LqRocTotals lq_roc_totals(const LqRocPoint *points, int npoints);
extern bool lq_roc_auc(const LqRocPoint *points, int npoints, double *auc);
extern bool lq_roc_auc_interval(const LqRocPoint *points, int npoints, double z,
								double *low, double *high);

/* roc_count.c: a summary while it is being counted */
typedef struct LqRocTable LqRocTable;

extern LqRocTable *lq_roc_begin(void);
extern LqRocTable *lq_roc_getarg_state(FunctionCallInfo fcinfo);
extern LqRocTable *lq_roc_count(LqRocTable *table, const LqRocPoint *point,
								struct Node *context);
extern LqRocTable *lq_roc_count_all(LqRocTable *table, const LqRoc *roc);
extern LqRoc *lq_roc_close(const LqRocTable *table);
extern LqRoc *lq_roc_from_datum(Datum datum);

#endif
