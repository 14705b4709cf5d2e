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

#define LQ_NSIDE_TABLES 5
extern const LqSideTable lq_side_tables[LQ_NSIDE_TABLES];

/* what is wrong with a column, NULL if all are as they were made */
extern char *lq_side_problem(const LqSideTable *table, Oid relid, Oid key_type);

#endif
