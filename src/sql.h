/*
 * sql.h
 *		Running SQL text from C.
 */
#ifndef LQ_SQL_H
#define LQ_SQL_H

#include "executor/spi.h"

/*
 * Append to buf: %s as it is, %I as an identifier, %L as a literal (NULL
 * pointer: NULL), %d int, %% a percent sign.
 */
extern void lq_append(StringInfo buf, const char *fmt,...);
extern char *lq_format(const char *fmt,...);
/* run a formatted statement; SPI must be connected; returns rows processed */
extern uint64 lq_run(const char *fmt,...);
/* first column of the first row as text (palloc'd in the SPI context), NULL if none or null */
extern char *lq_run_text(const char *fmt,...);

/* switch to another user for the statements in between */
typedef struct LqUser
{
	Oid			userid;
	int			context;
	int			guc_level;
} LqUser;
extern void lq_become(LqUser *saved, Oid userid);	/* also search_path = pg_catalog, pg_temp */
extern void lq_return(const LqUser *saved);

/* set a run-time parameter until the end of the current GUC nest level */
extern void lq_set_option(const char *name, const char *value);
/* search_path = pg_catalog, pg_temp, until then */
extern void lq_set_safe_path(void);

/*
 * body(arg) in a subtransaction; false if it raised an error that tells
 * something about its data.  Other errors pass through.
 */
extern bool lq_try(void (*body) (void *arg), void *arg);

/* columns of our own tables' rows */
extern int	lq_column_number(Relation rel, const char *name);
extern Datum lq_column(Relation rel, HeapTuple tuple, const char *name, bool *isnull);
extern char *lq_column_text(Relation rel, HeapTuple tuple, const char *name);

/* InvalidOid: there is no such table, it has no owner any more */
extern Oid	lq_find_relation(const char *schema, const char *table);
extern Oid	lq_relation_owner(Oid relid);

/* arguments of an SQL function, and values of any type as text */
/* SPI is connected; returns rows processed */
extern uint64 lq_execute(const char *query, int nargs, Oid *types, Datum *values);
extern void lq_argument_needed(FunctionCallInfo fcinfo, int arg, const char *name);
extern char *lq_argument_text(FunctionCallInfo fcinfo, int arg);
extern char *lq_value_text(Oid type, Datum value);

/* schema and owner of the extension */
extern Oid	lq_schema(void);
/* one of the extension's types */
extern Oid	lq_type_oid(const char *name);
extern Oid	lq_extension_owner(void);

#endif
