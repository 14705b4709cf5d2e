/*
 * problem.h
 *		Conditions that fail, as people get to know of them.
 */
#ifndef LQ_PROBLEM_H
#define LQ_PROBLEM_H

/*
 * As lq_problem_report(), with the code of the error.  "serial" changes when
 * what bears the name is another one than before; then a row is due again.
 */
extern void lq_problem_raise(const char *pipeline, const char *kind,
							 const char *name, const char *message,
							 int sqlerrcode, uint64 serial, bool show);

#endif
