/*
 * problem.h
 *		Conditions that fail, as people get to know of them.
 */
#ifndef LQ_PROBLEM_H
#define LQ_PROBLEM_H

/*
 * A WARNING and a row in lead_qualify.condition_problem, each once per session
 * and (pipeline, kind, name); no row while the transaction is read-only.  "show"
 * tells whether the caller may see the message.  "serial" changes when
 * what bears the name is another one than before; then a row is due again.
 */
extern void lq_problem_raise(const char *pipeline, const char *kind,
							 const char *name, const char *message,
							 int sqlerrcode, uint64 serial, bool show);

#endif
