/*
 * model_compile.h
 *		From the frozen configuration of a version to the engine's model.
 */
#ifndef LQ_MODEL_COMPILE_H
#define LQ_MODEL_COMPILE_H

#include "model.h"

/* all allocate in pipeline->cxt */
extern void lq_compile_sources(LqPipeline *pipeline);
extern void lq_collect_needs(LqPipeline *pipeline, LqVersion *version);
extern void lq_compile_version(LqPipeline *pipeline, LqVersion *version);

#endif
