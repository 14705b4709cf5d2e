/*
 * state_row.h
 *		A lead's state as a row of <leads>_qualification or <leads>_baseline.
 */
#ifndef LQ_STATE_ROW_H
#define LQ_STATE_ROW_H

#include "side_columns.h"
#include "state.h"

/* values and nulls have LQ_NSTATE members; what is kept is copied into cxt */
extern void lq_state_row_read(LqStored *was, const Datum *values, const bool *nulls,
							  MemoryContext cxt);
extern LqScore *lq_state_row_score(const Datum *values, const bool *nulls, const LqStored *was,
								   MemoryContext cxt, bytea **packed);
extern void lq_state_row_write(const LqCase *c, int published, bool forward,
							   Datum *values, bool *nulls);

#endif
