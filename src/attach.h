/*
 * attach.h
 *		What attach, add_source, detach and go_live share.
 *
 * attach first finds out everything about the two tables while it holds them
 * open, then closes them and does its DDL from these structs: no statement
 * can ALTER a relation that this session still has open.
 */
#ifndef LQ_ATTACH_H
#define LQ_ATTACH_H

#include "nodes/pg_list.h"
#include "utils/rel.h"

/* what a column must be able to do */
typedef enum LqColumnUse
{
	LQ_COLUMN_KEY,				/* name a lead or an activity */
	LQ_COLUMN_LEAD,				/* be cast to the leads table's key type */
	LQ_COLUMN_TYPE,				/* name a type of activity */
	LQ_COLUMN_TIME
} LqColumnUse;

/* a stage and how the leads table spells it */
typedef struct LqSpelling
{
	char	   *stage;
	char	   *kind;
	char	   *stored;			/* NULL: not known yet */
} LqSpelling;

/* the leads table of a pipeline and what stands beside it */
typedef struct LqTarget
{
	const char *pipeline;
	Oid			leads;
	Oid			owner;
	char	   *schema;
	char	   *table;
	char	   *name;			/* schema.table, quoted as needed */
	char	   *lead_key;
	Oid			key_type;		/* base type */
	char	   *key_type_sql;	/* with COLLATE where it is not the default */
	char	   *created_at;		/* NULL: there is none */
	char	   *stage_column;
	char	   *changed_column;
	bool		stage_missing;	/* the columns are yet to be added */
	bool		changed_missing;
	bool		stage_existed;	/* the stage column is the application's */
	Oid			stage_type;		/* of an existing stage column */
	int32		stage_typmod;
	List	   *stages;			/* of LqSpelling *, by position */
	const LqSpelling *first;	/* the first on the path */
	char	   *prefix;
	bool		row_security;
	const char *time_zone;
	bool		shadow;
	const char *fire;
	bool		taken_up;		/* detach had kept the side tables */
	bool		kept_shadow;	/* ... of a pipeline in shadow mode */
} LqTarget;

/* one activity table of a pipeline */
typedef struct LqActivityTable
{
	int			number;
	Oid			relid;
	char	   *schema;
	char	   *table;
	char	   *name;
	char	   *lead;			/* columns */
	char	   *type;			/* NULL with type_value */
	char	   *at;
	char	   *key;
	bool		indexed;		/* by lead */
	const char *type_value;
	const char *filter;
	const char *filter_expression;
	const char *time_zone;
	const char *fire;
} LqActivityTable;

/* attach_columns.c */
extern char *lq_relation_name(Relation rel);
extern char *lq_column_find(Relation rel, const char *given,
							const char *const *candidates, LqColumnUse use,
							Oid key_type, const char *argument);
extern char *lq_key_find(Relation rel, const char *given, bool of_leads,
						 const char *argument);
extern char *lq_lead_find(Relation activities, const char *given, Oid leads,
						  const char *lead_key, Oid key_type);
extern bool lq_column_indexed(Relation rel, const char *column);

/* detach.c: a pipeline of which nothing is missing, or an error */
extern struct LqPipeline *lq_pipeline_whole(const char *name);

/* attach_stages.c */
extern void lq_attach_init(void);	/* from _PG_init */
extern void lq_stages_read(LqTarget *target);
extern void lq_stages_map(LqTarget *target);
extern void lq_stages_check(LqTarget *target);
extern void lq_stages_import(const LqTarget *target);
extern uint64 lq_stages_write(const LqTarget *target);

#endif
