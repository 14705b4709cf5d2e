/*
 * side_columns.h
 *		The columns of what stands beside a leads table.
 */
#ifndef LQ_SIDE_COLUMNS_H
#define LQ_SIDE_COLUMNS_H

typedef struct LqSideColumn
{
	const char *name;
	const char *type;			/* as format_type() has it; NULL: of the key */
	const char *constraint;
	const char *comment;
} LqSideColumn;

typedef struct LqSideTable
{
	const char *suffix;
	const LqSideColumn *columns;
	int			ncolumns;
	const char *constraint;		/* after the columns */
	int			fillfactor;
	bool		events;			/* many rows a lead, to be found by it */
	bool		personal;		/* goes with the lead; the history stays without the person */
	const char *comment;		/* NULL: the mark */
} LqSideTable;

/* columns of <leads>_qualification and <leads>_baseline */
typedef enum LqStateColumn
{
	LQ_STATE_LEAD, LQ_STATE_SCORE, LQ_STATE_TOTAL, LQ_STATE_ENGAGEMENT, LQ_STATE_FIT,
	LQ_STATE_SCORED_AT, LQ_STATE_STAGE, LQ_STATE_GRADE, LQ_STATE_ASSESSMENT, LQ_STATE_CONFIRMED,
	LQ_STATE_EXCLUDED, LQ_STATE_CYCLE, LQ_STATE_MARK, LQ_STATE_MARK_STAGE, LQ_STATE_GATE,
	LQ_STATE_KEEPING, LQ_STATE_STAGE_SINCE, LQ_STATE_ACTIVE_AT, LQ_STATE_HELD_FROM,
	LQ_STATE_HELD_UNTIL, LQ_STATE_WAITS_AT, LQ_STATE_DUE, LQ_STATE_CHECK_AT,
	LQ_STATE_ATTRIBUTES_AT, LQ_STATE_LEAD_SINCE, LQ_STATE_VERSION, LQ_STATE_PUBLISHED,
	LQ_STATE_ARCHIVED_AT, LQ_NSTATE
} LqStateColumn;

/* which of the tables */
#define LQ_SIDE_STATE 0
#define LQ_SIDE_BASELINE 4
#define LQ_NSIDE_TABLES 5
extern const LqSideTable lq_side_tables[LQ_NSIDE_TABLES];

extern Oid	lq_side_column_type(const LqSideColumn *column, Oid key_type);

/* what is wrong with a column, NULL if all are as they were made */
extern char *lq_side_problem(const LqSideTable *table, Oid relid, Oid key_type);

#endif
