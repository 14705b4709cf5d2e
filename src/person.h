/*
 * person.h
 *		What merge_leads() and erase_lead() share.
 */
#ifndef LQ_PERSON_H
#define LQ_PERSON_H

#include "fmgr.h"
#include "state.h"

extern char *lq_person_argument(FunctionCallInfo fcinfo, int arg, const char *name);
extern LqPipeline *lq_person_pipeline(FunctionCallInfo fcinfo, const char *verb);
extern void lq_person_unknown(const LqPipeline *p, const char *lead);
extern List *lq_person_pipelines(LqPipeline *named, MemoryContext cxt);
extern bool lq_person_key(const LqPipeline *named, Datum key, const LqPipeline *p,
						  MemoryContext cxt, Datum *result);

#endif
