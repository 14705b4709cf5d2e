/*
 * lead_grade.h
 *		The codes of the type lead_grade.
 */
#ifndef LQ_LEAD_GRADE_H
#define LQ_LEAD_GRADE_H

/*
 * The code is what is stored, an int16: 0 is F, 12 is A+, a better grade is
 * greater.  lq_grade_parse() ignores case and gives -1 for what is no grade;
 * lq_grade_name() gives NULL for what is no code.
 */
#define LQ_GRADES 13

extern int	lq_grade_parse(const char *text);
extern const char *lq_grade_name(int code);

#endif
