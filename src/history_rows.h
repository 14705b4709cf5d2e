/*
 * history_rows.h
 *		Rows of <leads>_stage_history, read and written for many leads at once.
 */
#ifndef LQ_HISTORY_ROWS_H
#define LQ_HISTORY_ROWS_H

#include "row_arrays.h"
#include "state.h"

/* a row that is not superseded */
typedef struct LqHistoryRow
{
	int64		id;
	int			cycle;
	const char *stage;
	const char *from_stage;
	TimestampTz entered_at;		/* DT_NOBEGIN: unknown */
	TimestampTz at;				/* ... then when it was recorded */
	TimestampTz left_at;		/* DT_NOEND: still there */
	const char *cause;
	const char *gate;
	TimestampTz held_until;		/* DT_NOEND: open */
	bool		by_hand;
	const char *origin;
	double		total;
	double		engagement;
	double		fit;
	const LqAssessment *assessment; /* NULL: not noted */
	int			version;
	bool		archived;		/* the stay that the baseline is in */
	bool		taken;			/* a move of the replay says the same */
} LqHistoryRow;

static inline bool
lq_history_row_is_attached(const LqHistoryRow *row)
{
	return strcmp(row->cause, "attached") == 0;
}

/* a person or another system made it, not the engine: no replay changes that */
static inline bool
lq_history_row_is_fixed(const LqHistoryRow *row)
{
	return row->by_hand || lq_history_row_is_attached(row);
}

static inline bool
lq_move_is_attached(const LqMove *move)
{
	return strcmp(move->cause, "attached") == 0;
}

/*
 * What is to be written: it waits until the writer is closed, so that triggers of
 * the owner's find what is new before anything that it replaces is gone.
 */
typedef struct LqHistoryWriter
{
	LqCases    *cases;
	LqRowArrays *rows;			/* new ones; NULL: none */
	List	   *changes;		/* of rows that are there */
} LqHistoryWriter;

extern void lq_history_read(LqCases *cases);

/* SPI is connected */
extern LqHistoryWriter *lq_history_writer_open(LqCases *cases);
extern void lq_history_writer_close(LqHistoryWriter *writer);

extern void lq_history_insert(LqHistoryWriter *writer, const LqCase *c, const LqMove *move,
							  TimestampTz left_at, const char *origin, bool ends);
extern void lq_history_link(LqHistoryWriter *writer, int64 id, const LqMove *move,
							TimestampTz left_at);
extern void lq_history_leave(LqHistoryWriter *writer, int64 id, TimestampTz left_at);
extern void lq_history_supersede(LqHistoryWriter *writer, int64 id);

#endif
