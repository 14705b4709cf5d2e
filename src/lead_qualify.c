/*
 * lead_qualify.c
 *		Module magic and settings.
 */
#include "postgres.h"

#include "attach.h"
#include "calendar_table.h"
#include "compat.h"
#include "fmgr.h"
#include "framework_table.h"
#include "lead_qualify.h"
#include "live.h"
#include "miscadmin.h"
#include "model.h"
#include "notify.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/varlena.h"
#include "worker.h"

LQ_MODULE_MAGIC;

PGDLLEXPORT void _PG_init(void);

/* lead_qualify.origin: what the stage history says of rows written now */
char	   *lq_origin = NULL;

/* lead_qualify.actor, lead_qualify.reason: who moves a lead by hand, and why */
char	   *lq_actor = NULL;
char	   *lq_reason = NULL;

/* lead_qualify.language: of the questions that views and assess() show */
char	   *lq_language = NULL;

/* lead_qualify.notify: tell listeners of moves */
bool		lq_notify = true;

/* lead_qualify.worker, .naptime, .databases: who calls advance() by itself, how often, where */
bool		lq_worker = false;
int			lq_naptime = 60;
char	   *lq_databases = NULL;

static bool
check_origin(char **newval, void **extra, GucSource source)
{
	if (*newval == NULL || (*newval)[0] == '\0' ||
		strcmp(*newval, "live") == 0 || strcmp(*newval, "import") == 0)
		return true;
	GUC_check_errdetail("The origin is \"live\" or \"import\".");
	return false;
}

static bool
check_databases(char **newval, void **extra, GucSource source)
{
	char	   *names = pstrdup(*newval == NULL ? "" : *newval);
	List	   *list;
	bool		valid = SplitIdentifierString(names, ',', &list);

	if (!valid)
		GUC_check_errdetail("List syntax is invalid.");
	list_free(list);
	pfree(names);
	return valid;
}

/*
 * A worker is there from the start of the server or not at all.  Where the
 * library comes too late for that, the setting is known but changes nothing.
 */
static void
define_worker_settings(void)
{
	DefineCustomBoolVariable("lead_qualify.worker",
							 "Starts a background worker that does what the clock brings about.",
							 "Needs lead_qualify in shared_preload_libraries. Without it something must call lead_qualify.advance().",
							 &lq_worker, false,
							 process_shared_preload_libraries_in_progress ? PGC_POSTMASTER : PGC_SIGHUP,
							 0, NULL, NULL, NULL);
	DefineCustomIntVariable("lead_qualify.naptime",
							"Longest time between two looks of the background worker at a database.",
							NULL,
							&lq_naptime, 60, 1, INT_MAX / 1000, PGC_SIGHUP, GUC_UNIT_S,
							NULL, NULL, NULL);
	DefineCustomStringVariable("lead_qualify.databases",
							   "Databases that the background worker looks at.",
							   "A list of names; empty means all.",
							   &lq_databases, "", PGC_SIGHUP, GUC_LIST_INPUT,
							   check_databases, NULL, NULL);
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
	DefineCustomBoolVariable("lead_qualify.notify",
							 "Sends NOTIFY lead_qualify when leads move.",
							 "Turn it off where two-phase commit is used.",
							 &lq_notify, true, PGC_USERSET, 0, NULL, NULL, NULL);
	define_worker_settings();
	lq_attach_init();
	MarkGUCPrefixReserved("lead_qualify");
	lq_model_init();
	lq_framework_init();
	lq_calendar_init();
	lq_deferred_init();
	lq_newcomers_init();
	lq_notify_init();
	lq_worker_init();
}

PG_FUNCTION_INFO_V1(lq_version);

/* the version this library was built as */
Datum
lq_version(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(LQ_VERSION));
}
