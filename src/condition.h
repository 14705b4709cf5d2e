/*
 * condition.h
 *		Conditions from within: shared by expression.c, condition.c and guard.c.
 */
#ifndef LQ_CONDITION_H
#define LQ_CONDITION_H

#include "expression.h"
#include "parser/parse_node.h"

typedef enum LqVariantKind
{
	LQ_VARIANT_NEW,				/* to be compiled */
	LQ_VARIANT_BROKEN,			/* could not be compiled, for good */
	LQ_VARIANT_COLUMN,
	LQ_VARIANT_CONSTANT,
	LQ_VARIANT_EXPRESSION
} LqVariantKind;

/* a condition compiled for one row type and owner */
typedef struct LqVariant
{
	struct LqVariant *next;
	uint64		row_type;		/* lq_row_type() */
	Oid			owner;
	LqVariantKind kind;
	MemoryContext cxt;
	AttrNumber	column;			/* LQ_VARIANT_COLUMN */
	Datum		constant;		/* LQ_VARIANT_CONSTANT */
	bool		constant_isnull;
	/* LQ_VARIANT_EXPRESSION */
	bool		as_owner;		/* needs the owner's rights and our settings */
	struct CachedExpression *cached;	/* tells when a function has changed */
	MemoryContext state_cxt;	/* of state */
	struct ExprState *state;	/* NULL: to be initialized */
	Bitmapset  *packable;		/* columns it names whose values may be stored packed, from 0 */
	/* LQ_VARIANT_BROKEN */
	char	   *message;
	int			sqlerrcode;
} LqVariant;

struct LqCondition
{
	char	   *text;
	Oid			result_type;
	int16		typlen;			/* of result_type */
	bool		typbyval;
	char	   *kind;
	char	   *name;
	uint64		serial;			/* tells apart conditions of one name */
	MemoryContext cxt;
	LqVariant  *variants;
	int			nvariants;
};

/* condition.c */
extern uint64 lq_row_type(Relation rel, uint64 check);
extern LqVariant *lq_condition_variant(const LqCondition *condition,
									   uint64 row_type, Oid owner);
extern void lq_variant_compile(const LqCondition *condition,
							   LqVariant *variant, Relation rel);
extern void lq_variant_break(LqVariant *variant, const ErrorData *edata);
extern bool lq_variant_valid(const LqVariant *variant);

/* expression_check.c */
extern void lq_expression_inspect(ParseState *pstate, Node *expr,
								  Relation rel, LqExpressionUse use,
								  Oid owner, LqChecked *checked);
extern bool lq_expression_needs_owner(Node *expr);

/* expression.c */
extern struct CachedExpression *lq_expression_compile(const char *text,
													  Relation rel,
													  Oid result_type,
													  Oid owner,
													  bool *as_owner);
extern char *lq_error_sentence(const char *message);
extern bool lq_error_blames_expression(int sqlerrcode);

#endif
