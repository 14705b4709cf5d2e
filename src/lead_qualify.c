/*
 * lead_qualify.c
 *		Module magic and settings.
 */
#include "postgres.h"

#include "attach.h"
#include "compat.h"
#include "fmgr.h"
#include "framework_table.h"
#include "lead_qualify.h"
#include "live.h"
#include "model.h"
#include "utils/builtins.h"
#include "utils/guc.h"

LQ_MODULE_MAGIC;

PGDLLEXPORT void _PG_init(void);

/* lead_qualify.origin: what the stage history says of rows written now */
char	   *lq_origin = NULL;

/* lead_qualify.actor, lead_qualify.reason: who moves a lead by hand, and why */
char	   *lq_actor = NULL;
char	   *lq_reason = NULL;

/* lead_qualify.language: of the questions that views and assess() show */
char	   *lq_language = NULL;

static bool
check_origin(char **newval, void **extra, GucSource source)
{
	if (*newval == NULL || (*newval)[0] == '\0' ||
		strcmp(*newval, "live") == 0 || strcmp(*newval, "import") == 0)
		return true;
	GUC_check_errdetail("The origin is \"live\" or \"import\".");
	return false;
}

void
_PG_init(void)
{
	DefineCustomStringVariable("lead_qualify.origin",
							   "Origin that stage history rows of this transaction get.",
							   "\"import\" marks a bulk load of old data; empty means \"live\".",
							   &lq_origin, "", PGC_USERSET, 0,
							   check_origin, NULL, NULL);
	DefineCustomStringVariable("lead_qualify.actor",
							   "Who moves leads by hand in this transaction.",
							   "Empty means the current user.",
							   &lq_actor, "", PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("lead_qualify.reason",
							   "Why leads are moved by hand in this transaction.",
							   NULL,
							   &lq_reason, "", PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("lead_qualify.language",
							   "Language of the questions that views and assess() show.",
							   "A question that is not there in this language is shown in English.",
							   &lq_language, "en", PGC_USERSET, 0, NULL, NULL, NULL);
	lq_attach_init();
	MarkGUCPrefixReserved("lead_qualify");
	lq_model_init();
	lq_framework_init();
	lq_deferred_init();
	lq_newcomers_init();
}

PG_FUNCTION_INFO_V1(lq_version);

/* the version this library was built as */
Datum
lq_version(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(LQ_VERSION));
}
