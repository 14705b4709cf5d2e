/*
 * compat.h
 *		Differences between the supported server versions, 15 to 18.
 *
 * The only place where PG_VERSION_NUM is tested.
 */
#ifndef LQ_COMPAT_H
#define LQ_COMPAT_H

#if PG_VERSION_NUM < 150000
#error "lead_qualify needs PostgreSQL 15 or later"
#endif

/* 18 takes the module's name and version */
#ifdef PG_MODULE_MAGIC_EXT
#define LQ_MODULE_MAGIC \
	PG_MODULE_MAGIC_EXT(.name = "lead_qualify", .version = LQ_VERSION)
#else
#define LQ_MODULE_MAGIC PG_MODULE_MAGIC
#endif

/* 16 moved the VARDATA family out of postgres.h */
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/* 16 has one function for the rights on any kind of object */
#if PG_VERSION_NUM >= 160000
#define LQ_MAY_USE_SCHEMA(schema, role) \
	(object_aclcheck(NamespaceRelationId, schema, role, ACL_USAGE) == ACLCHECK_OK)
#else
#define LQ_MAY_USE_SCHEMA(schema, role) \
	(pg_namespace_aclcheck(schema, role, ACL_USAGE) == ACLCHECK_OK)
#endif

/* 16 can leave indexes alone that only summarize */
#if PG_VERSION_NUM >= 160000
#define LQ_INSERT_INDEX_TUPLES(result, slot, estate) \
	ExecInsertIndexTuples(result, slot, estate, false, false, NULL, NIL, false)
#else
#define LQ_INSERT_INDEX_TUPLES(result, slot, estate) \
	ExecInsertIndexTuples(result, slot, estate, false, false, NULL, NIL)
#endif

/* 16 keeps the rights on a relation, and the updated columns, in a node of their own */
#if PG_VERSION_NUM >= 160000
#define LQ_EVAL_PLAN_QUAL_INIT(epq, estate) EvalPlanQualInit(epq, estate, NULL, NIL, -1, NIL)
#else
#define LQ_EVAL_PLAN_QUAL_INIT(epq, estate) EvalPlanQualInit(epq, estate, NULL, NIL, -1)
#endif
#if PG_VERSION_NUM >= 180000
#define LQ_EXEC_INIT_RANGE_TABLE(estate, tables, rights) \
	ExecInitRangeTable(estate, tables, rights, bms_make_singleton(1))
#elif PG_VERSION_NUM >= 160000
#define LQ_EXEC_INIT_RANGE_TABLE(estate, tables, rights) \
	ExecInitRangeTable(estate, tables, rights)
#endif

/* 18 counts index searches */
#if PG_VERSION_NUM >= 180000
#define LQ_INDEX_BEGINSCAN(rel, index, snapshot, nkeys) \
	index_beginscan(rel, index, snapshot, NULL, nkeys, 0)
#else
#define LQ_INDEX_BEGINSCAN(rel, index, snapshot, nkeys) \
	index_beginscan(rel, index, snapshot, nkeys, 0)
#endif

/* 17 ends sessions whose transactions take long; ours have a limit of their own */
#if PG_VERSION_NUM >= 170000
#define LQ_NO_TRANSACTION_TIMEOUT() \
	SetConfigOption("transaction_timeout", "0", PGC_SUSET, PGC_S_OVERRIDE)
#else
#define LQ_NO_TRANSACTION_TIMEOUT() ((void) 0)
#endif

/* 17 has infinite intervals */
#include "datatype/timestamp.h"
#ifndef INTERVAL_NOT_FINITE
#define INTERVAL_NOT_FINITE(interval) false
#endif

/* 16 lets input functions report errors softly */
#ifndef ereturn
#define ereturn(context, dummy_value, ...) ereport(ERROR, __VA_ARGS__)
#endif

#endif
