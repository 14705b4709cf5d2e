/*
 * move.c
 *		Moves by hand: move(), accept(), reject(), recycle(), disqualify() and
 *		hold(), and what guards every such move, also that of an application
 *		that writes the stage column itself.
 *
 * Who moves a lead must be able to update its stage column: the row is locked
 * with the caller's rights, so that policies for UPDATE apply.  The work itself
 * is done as the leads owner, as the triggers do it.
 *
 * What a move is refused for is known only when the engine has run: the clock
 * may have moved the lead since its newest event, and a move may be dated
 * back.  Gates are asked as they were at the time of the move; the allowed
 * transitions and the reasons are those of the version that is in force while
 * somebody makes it.  Replays ask neither: a move that was made stands.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "history_rows.h"
#include "lib/stringinfo.h"
#include "live.h"
#include "miscadmin.h"
#include "move.h"
#include "run.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* a function that moves leads */
typedef struct Verb
{
	const char *cause;			/* in the history */
	const char *name;
	LqStageKind kind;			/* of the stage that it leads to; not of move() */
	const char *kind_name;
	bool		asks_gates;
	bool		needs_reason;
} Verb;

static const Verb verb_move = {"manual", "move", 0, NULL, true, false};
static const Verb verb_accept = {"accept", "accept", LQ_STAGE_SAL, "sal", true, false};
static const Verb verb_reject = {"reject", "reject", LQ_STAGE_RECYCLED, "recycled", false, true};
static const Verb verb_recycle = {"recycle", "recycle", LQ_STAGE_RECYCLED, "recycled", false, true};
static const Verb verb_disqualify = {"disqualify", "disqualify", LQ_STAGE_DISQUALIFIED, "disqualified", false, true};
static const Verb verb_hold = {"hold", "hold", LQ_STAGE_HOLD, "hold", false, false};

/* what a call asks for */
typedef struct Order
{
	const Verb *verb;
	LqPipeline *pipeline;
	const LqModel *model;		/* in force now */
	Datum		key;
	char	   *lead;			/* as the caller wrote it */
	int			stage;			/* index in model */
	char	   *reason;			/* NULL: none */
	char	   *note;
	TimestampTz at;
	bool		now;			/* at is no time that the caller named */
	TimestampTz until;			/* of a hold; DT_NOEND: until further notice */
	bool		force;
} Order;

/* ----------------------------------------------------------------
 * What guards every move by hand
 * ----------------------------------------------------------------
 */

/*
 * When a change by hand happened: now, but after what is already there.
 */
TimestampTz
lq_time_of_change(const LqCase *c, LqEventKind kind)
{
	TimestampTz now = GetCurrentTimestamp();
	LqPosition	pos = {0};

	if (!c->scored)
		return now;
	pos.at = Max(now, c->lead.score->as_of);
	pos.kind = kind;
	if (lq_position_cmp(&pos, &c->lead.score->last) <= 0)
		pos.at = c->lead.score->last.at + 1;
	return pos.at;
}

static void
append_name(StringInfo buf, const char *name)
{
	appendStringInfo(buf, "%s%s", buf->len > 0 ? ", " : "", name);
}

/* may people make this move?  It is an error where only others are allowed */
static void
check_transition(LqPipeline *p, const LqCase *c, const LqMove *move)
{
	const LqModel *model = lq_model_at(p, GetCurrentTimestamp());
	int			from = lq_model_stage(model, move->from_stage);
	int			to = lq_model_stage(model, move->stage);
	StringInfoData allowed;

	if (model->ntransitions == 0 || from < 0 || from == to)
		return;
	initStringInfo(&allowed);
	for (int i = 0; i < model->ntransitions; i++)
	{
		if (model->transitions[i].from != from)
			continue;
		if (model->transitions[i].to == to)
			return;
		append_name(&allowed, model->stages[model->transitions[i].to].name);
	}
	ereport(ERROR,
			(errcode(ERRCODE_CHECK_VIOLATION),
			 errmsg("lead \"%s\" of pipeline \"%s\" may not be moved from stage \"%s\" to \"%s\"",
					lq_key_text(p, c->key), p->name, move->from_stage, move->stage),
			 allowed.len == 0 ?
			 errdetail("No move by hand leads from stage \"%s\".", move->from_stage) :
			 errdetail("From stage \"%s\" it may be moved to: %s.", move->from_stage, allowed.data),
			 errhint("Moves that are allowed are rows of lead_qualify.transition, published with a version.")));
}

/* the move that a new event made, NULL if it made none */
static LqMove *
move_of(const LqCase *c, const LqEvent *event)
{
	ListCell   *lc;

	foreach(lc, c->moves)
	{
		LqMove	   *move = lfirst(lc);

		if (move->by_hand == event)
			return move;
	}
	return NULL;
}

/*
 * After a run: may the moves by hand that are new be made?  An error if not.
 * A lead that is gone by now was not moved.
 */
void
lq_move_check(LqCases *cases, const LqCase *c)
{
	LqPipeline *p = cases->pipeline;

	for (int i = 0; i < c->nevents && c->exists; i++)
	{
		const LqEvent *event = &c->events[i];
		const LqMove *move;

		if (event->pos.kind != LQ_EVENT_MANUAL || event->history_id != 0)
			continue;
		move = move_of(c, event);
		if (move == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("pipeline \"%s\" had no stage \"%s\" at %s", p->name,
							event->stage, timestamptz_to_str(event->pos.at)),
					 errdetail("The version in force at that time does not know it.")));
		check_transition(p, c, move);
	}
}

/* ----------------------------------------------------------------
 * Arguments
 * ----------------------------------------------------------------
 */

static char *
text_or_null(FunctionCallInfo fcinfo, int arg)
{
	return PG_ARGISNULL(arg) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(arg));
}

/* the caller must be able to update the stage column */
static void
check_right(const LqPipeline *p)
{
	AttrNumber	column = get_attnum(p->leads, p->stage_column);

	if (pg_class_aclcheck(p->leads, GetUserId(), ACL_UPDATE) != ACLCHECK_OK &&
		pg_attribute_aclcheck(p->leads, column, GetUserId(), ACL_UPDATE) != ACLCHECK_OK)
		aclcheck_error_col(ACLCHECK_NO_PRIV, OBJECT_COLUMN, p->leads_table, p->stage_column);
}

/*
 * Arguments that all functions begin with: pipeline and lead, which is of any
 * type.  From here on no version is published.
 */
static void
order_begin(FunctionCallInfo fcinfo, Order *order, const Verb *verb)
{
	char	   *name;

	lq_argument_needed(fcinfo, 0, "pipeline");
	lq_argument_needed(fcinfo, 1, "lead");
	memset(order, 0, sizeof(Order));
	order->verb = verb;
	order->until = DT_NOEND;
	name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	order->pipeline = lq_pipeline_get(name, false);
	lq_pipeline_check(order->pipeline);
	check_right(order->pipeline);
	lq_pipeline_lock(order->pipeline);
	order->pipeline = lq_pipeline_get(name, false); /* as of now, after waiting */
	lq_pipeline_check(order->pipeline);
	order->model = lq_model_at(order->pipeline, GetCurrentTimestamp());
	order->lead = lq_argument_text(fcinfo, 1);
	order->key = lq_key_parse(order->pipeline, order->lead);
}

/* codes that the verb takes; move() and accept() take all */
static bool
reason_fits(const Verb *verb, const LqReason *reason)
{
	return reason->kind == NULL || verb == &verb_move || verb == &verb_accept ||
		strcmp(reason->kind, verb->cause) == 0;
}

static void
check_reason(const Order *order)
{
	const LqModel *model = order->model;
	StringInfoData known;

	if (order->reason == NULL && !order->verb->needs_reason)
		return;
	initStringInfo(&known);
	for (int i = 0; i < model->nreasons; i++)
	{
		if (!reason_fits(order->verb, &model->reasons[i]))
			continue;
		if (lq_text_equal(order->reason, model->reasons[i].code))
			return;
		append_name(&known, model->reasons[i].code);
	}
	ereport(ERROR,
			(errcode(order->reason == NULL ? ERRCODE_NULL_VALUE_NOT_ALLOWED :
					 ERRCODE_INVALID_PARAMETER_VALUE),
			 order->reason == NULL ?
			 errmsg("%s() needs a reason", order->verb->name) :
			 errmsg("\"%s\" is no reason for %s() in pipeline \"%s\"", order->reason,
					order->verb->name, order->pipeline->name),
			 known.len == 0 ?
			 errhint("Insert reasons into lead_qualify.reason and publish them; there is none.") :
			 errhint("Reasons are: %s.", known.data)));
}

/* the arguments that all functions end with */
static void
order_close(FunctionCallInfo fcinfo, Order *order, int reason)
{
	order->reason = text_or_null(fcinfo, reason);
	order->note = text_or_null(fcinfo, reason + 1);
	lq_argument_needed(fcinfo, reason + 2, "at");
	order->at = PG_GETARG_TIMESTAMPTZ(reason + 2);
	if (order->verb->asks_gates)
	{
		lq_argument_needed(fcinfo, reason + 3, "force");
		order->force = PG_GETARG_BOOL(reason + 3);
	}
	check_reason(order);
	if (TIMESTAMP_IS_NOBEGIN(order->at) || order->at > GetCurrentTimestamp())
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a lead cannot be moved at %s", timestamptz_to_str(order->at)),
				 errhint("Pass a time that is not in the future, or leave it out for now().")));
	/* the default is when the transaction began, and meant as now */
	order->now = order->at >= GetCurrentTransactionStartTimestamp();
	if (order->until <= order->at)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a hold must end after it begins"),
				 errdetail("It would begin at %s.", timestamptz_to_str(order->at)),
				 errhint("Pass a later time as until, or leave it out to hold the lead until further notice.")));
}

static void
stage_named(Order *order, const char *name)
{
	const LqModel *model = order->model;
	StringInfoData known;

	order->stage = lq_model_stage(model, name);
	if (order->stage >= 0)
		return;
	initStringInfo(&known);
	for (int i = 0; i < model->nstages; i++)
		append_name(&known, model->stages[i].name);
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("pipeline \"%s\" has no stage \"%s\"", order->pipeline->name, name),
			 errhint("Its stages are: %s.", known.data)));
}

/*
 * The first stage of the verb's kind.  Where nothing is recycled a lead goes
 * back to the beginning of the path.
 */
static void
stage_of_verb(Order *order)
{
	const LqModel *model = order->model;
	LqStageKind kind = order->verb->kind;

	order->stage = -1;
	for (int i = 0; i < model->nstages && order->stage < 0; i++)
		if (model->stages[i].kind == kind)
			order->stage = i;
	for (int i = 0; i < model->nstages && order->stage < 0 && kind == LQ_STAGE_RECYCLED; i++)
		if (LQ_ON_PATH(model->stages[i].kind))
			order->stage = i;
	if (order->stage < 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("pipeline \"%s\" has no stage of kind %s", order->pipeline->name,
						order->verb->kind_name),
				 errhint("Insert one into lead_qualify.stage and publish it, or name another stage with lead_qualify.move().")));
}

/* ----------------------------------------------------------------
 * Moving
 * ----------------------------------------------------------------
 */

/*
 * Lock the lead with the caller's rights: who does not see it, or may not
 * update it, learns no more than that.
 */
static void
lock_lead(const Order *order)
{
	LqPipeline *p = order->pipeline;
	Oid			type = p->key_type;
	Datum		key = order->key;
	LqUser		saved;

	lq_become(&saved, GetUserId());
	SPI_connect();
	if (SPI_execute_with_args(lq_format("SELECT FROM %s AS l WHERE l.%I = $1 FOR NO KEY UPDATE",
										lq_leads_name(p), p->lead_key),
							  1, &type, &key, NULL, false, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not lock the lead");
	if (SPI_processed == 0)
		ereport(ERROR,
				(errcode(ERRCODE_NO_DATA_FOUND),
				 errmsg("lead \"%s\" is not in %s", order->lead, lq_leads_name(p)),
				 errhint("A lead is named by its \"%s\"; it must be one that you may update.",
						 p->lead_key)));
	SPI_finish();
	lq_return(&saved);
}

/* no two moves by hand at one instant: they would have no order */
static TimestampTz
free_instant(const Order *order)
{
	LqPipeline *p = order->pipeline;
	Oid			types[2] = {p->key_type, TIMESTAMPTZOID};
	Datum		values[2] = {order->key, TimestampTzGetDatum(order->at)};
	TimestampTz at = order->at;

	SPI_connect();
	if (SPI_execute_with_args(lq_format("SELECT COALESCE(h.entered_at, h.recorded_at) AS at FROM %s AS h "
										"WHERE h.lead = $1 AND h.superseded_at IS NULL "
										"AND (h.moved_by IS NOT NULL OR h.cause = 'attached') "
										"AND COALESCE(h.entered_at, h.recorded_at) >= $2 ORDER BY 1",
										lq_side_name(p, "stage_history")),
							  2, types, values, NULL, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the stage history");
	for (int i = 0; i < SPI_processed && lq_field_time(i, 1, DT_NOEND) == at; i++)
		at++;
	SPI_finish();
	return at;
}

static void
add_event(const Order *order, LqCase *c, Oid caller)
{
	LqEvent		event = {0};

	event.pos.kind = LQ_EVENT_MANUAL;
	event.pos.at = order->now ? lq_time_of_change(c, LQ_EVENT_MANUAL) : free_instant(order);
	event.stage = order->model->stages[order->stage].name;
	event.cause = order->verb->cause;
	event.held_until = order->until;
	event.must_hold = order->verb->asks_gates;
	event.forced = order->force;
	lq_live_by_hand(&event, caller);
	event.reason = order->reason;
	event.note = order->note;
	lq_case_add_event(c, &event);
}

/* the event among those of a replay, where it has found its place in time */
static LqEvent *
new_event(LqCase *c)
{
	for (int i = 0; i < c->nevents; i++)
		if (c->events[i].pos.kind == LQ_EVENT_MANUAL && c->events[i].history_id == 0)
			return &c->events[i];
	elog(ERROR, "the move is lost");
	return NULL;
}

/* before attach nothing is known of the stages that a lead was in; what is archived stands */
static void
check_known(const Order *order, const LqCase *c, const LqEvent *event)
{
	ListCell   *lc;

	if (event->pos.at < c->archived_at)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("lead \"%s\" cannot be moved at a time that is archived", order->lead),
				 errdetail("The archive ends at %s.", timestamptz_to_str(c->archived_at))));
	foreach(lc, c->history)
	{
		const LqHistoryRow *row = lfirst(lc);

		if (lq_history_row_is_attached(row) && row->at >= event->pos.at)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("lead \"%s\" cannot be moved at a time before its table was attached",
							order->lead),
					 errdetail("Its stages are known from %s on.",
							   timestamptz_to_str(row->at))));
	}
}

/* the gates of a stage by name, NULL if it has none */
static char *
gate_names(const LqModel *model, int stage)
{
	StringInfoData names;

	initStringInfo(&names);
	for (int i = 0; i < model->ngates; i++)
		if (model->gates[i].stage == stage)
			append_name(&names, model->gates[i].name);
	return names.len == 0 ? NULL : names.data;
}

static void
refuse_by_gates(const Order *order, const LqCase *c, const LqEvent *event)
{
	LqPipeline *p = order->pipeline;
	const LqModel *model = lq_model_at(p, event->pos.at);
	const char *exclusion = order->now ? c->lead.excluded : NULL;

	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 exclusion != NULL ?
			 errmsg("lead \"%s\" may not enter stage \"%s\": exclusion \"%s\" holds",
					order->lead, event->stage, exclusion) :
			 errmsg("lead \"%s\" may not enter stage \"%s\": none of its gates holds",
					order->lead, event->stage),
			 errdetail("Its gates are: %s.",
					   gate_names(model, lq_model_stage(model, event->stage))),
			 errhint("lead_qualify.explain_stage(%s, %s) tells what is asked of the lead; force => true moves it all the same.",
					 quote_literal_cstr(p->name), quote_literal_cstr(order->lead))));
}

/*
 * Is nothing to be done?  A lead that comes from the stage itself stays,
 * unless a hold gets another end or a new cycle begins; and none is accepted
 * back from further on.
 */
static bool
is_there(const Order *order, const char *from_stage)
{
	const LqModel *model = order->model;
	const LqStage *stage = &model->stages[order->stage];
	int			from = lq_model_stage(model, from_stage);

	if (from < 0)
		return false;
	if (from == order->stage)
		return !(order->verb == &verb_hold ||
				 (LQ_ON_PATH(stage->kind) &&
				  (order->verb == &verb_reject || order->verb == &verb_recycle)));
	return order->verb == &verb_accept && LQ_ON_PATH(model->stages[from].kind) &&
		model->stages[from].position > stage->position;
}

/*
 * After the run: NULL if the move was made and may be written; the stage that
 * the lead is in if there was nothing to do.  Errors tell why it may not be
 * made.
 */
static const char *
judge(const Order *order, LqCases *cases, LqCase *c)
{
	LqEvent    *event = new_event(c);
	LqMove	   *move = move_of(c, event);
	/* a refused move leaves no trace of where the lead was in the past */
	const char *from = move != NULL ? move->from_stage : order->now ? c->lead.stage : NULL;
	const LqModel *model = lq_model_at(order->pipeline, event->pos.at);

	check_known(order, c, event);
	if (is_there(order, from))
		return from;
	if (c->refused)
		refuse_by_gates(order, c, event);
	lq_move_check(cases, c);
	/* who was let in was not forced in */
	event->forced = event->forced && move != NULL && move->gate == NULL &&
		gate_names(model, lq_model_stage(model, move->stage)) != NULL;
	return NULL;
}

/* the stage that the lead is in now; triggers of the application may have moved it on */
static char *
present_stage(const Order *order, MemoryContext cxt)
{
	LqPipeline *p = order->pipeline;
	Oid			type = p->key_type;
	Datum		key = order->key;
	char	   *stage = NULL;

	SPI_connect();
	if (SPI_execute_with_args(lq_format("SELECT q.stage FROM %s AS q WHERE q.lead = $1",
										lq_side_name(p, "qualification")),
							  1, &type, &key, NULL, false, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read the lead's stage");
	if (SPI_processed > 0)
		stage = lq_field_text(0, 1, cxt);
	SPI_finish();
	return stage;
}

/* run the move as the leads owner; returns the stage that the lead is in then */
static char *
order_run(const Order *order, MemoryContext cxt)
{
	LqLive		live = {.pipeline = order->pipeline,.caller = GetUserId()};
	LqCases    *cases;
	LqCase	   *c;
	const char *there;
	char	   *stage;

	lock_lead(order);
	lq_become(&live.user, order->pipeline->owner);
	cases = lq_cases_create(order->pipeline, &order->key, 1);
	c = &cases->cases[0];
	lq_live_cases_init(&live, cases);
	lq_cases_lock(cases);
	if (!c->exists)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("the owner of %s does not see lead \"%s\"",
						lq_leads_name(order->pipeline), order->lead),
				 errhint("Its row security must show it all leads.")));
	lq_cases_read(cases);
	if (c->erased)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("lead \"%s\" has been erased", order->lead),
				 errhint("It is not scored, nor moved, until its row in %s is deleted.",
						 lq_side_name(order->pipeline, "qualification"))));
	add_event(order, c, live.caller);
	lq_cases_run(cases, Max(GetCurrentTimestamp(), c->events[0].pos.at), DT_NOBEGIN);
	there = judge(order, cases, c);
	if (there == NULL)
	{
		lq_cases_keep_images(cases, GetCurrentTimestamp());
		lq_cases_write(cases);
	}
	else
		ereport(NOTICE,
				(order->now ?
				 errmsg("lead \"%s\" is in stage \"%s\" already", order->lead, there) :
				 errmsg("lead \"%s\" was in stage \"%s\" already", order->lead, there)));
	stage = there != NULL && order->now ? NULL : present_stage(order, cxt);
	if (stage == NULL && there != NULL)
		stage = MemoryContextStrdup(cxt, there);
	lq_cases_close(cases);
	lq_return(&live.user);
	return stage;
}

/* NULL only if a trigger of the application has deleted the lead */
static Datum
order_done(FunctionCallInfo fcinfo, const Order *order)
{
	MemoryContext cxt = CurrentMemoryContext;
	MemoryContext work = AllocSetContextCreate(cxt, "lead_qualify move",
											   ALLOCSET_DEFAULT_SIZES);
	char	   *stage;

	MemoryContextSwitchTo(work);
	stage = order_run(order, cxt);
	MemoryContextSwitchTo(cxt);
	MemoryContextDelete(work);
	if (stage == NULL)
		PG_RETURN_NULL();
	return CStringGetTextDatum(stage);
}

/* ----------------------------------------------------------------
 * SQL functions
 * ----------------------------------------------------------------
 */

PG_FUNCTION_INFO_V1(lq_move);

/* move(pipeline, lead, stage, reason, note, at, force) */
Datum
lq_move(PG_FUNCTION_ARGS)
{
	Order		order;

	order_begin(fcinfo, &order, &verb_move);
	lq_argument_needed(fcinfo, 2, "stage");
	stage_named(&order, text_to_cstring(PG_GETARG_TEXT_PP(2)));
	order_close(fcinfo, &order, 3);
	return order_done(fcinfo, &order);
}

/* (pipeline, lead, reason, note, at); some verbs take force, too */
static Datum
move_by_verb(FunctionCallInfo fcinfo, const Verb *verb)
{
	Order		order;

	order_begin(fcinfo, &order, verb);
	stage_of_verb(&order);
	order_close(fcinfo, &order, 2);
	return order_done(fcinfo, &order);
}

PG_FUNCTION_INFO_V1(lq_accept);

Datum
lq_accept(PG_FUNCTION_ARGS)
{
	return move_by_verb(fcinfo, &verb_accept);
}

PG_FUNCTION_INFO_V1(lq_reject);

Datum
lq_reject(PG_FUNCTION_ARGS)
{
	return move_by_verb(fcinfo, &verb_reject);
}

PG_FUNCTION_INFO_V1(lq_recycle);

Datum
lq_recycle(PG_FUNCTION_ARGS)
{
	return move_by_verb(fcinfo, &verb_recycle);
}

PG_FUNCTION_INFO_V1(lq_disqualify);

Datum
lq_disqualify(PG_FUNCTION_ARGS)
{
	return move_by_verb(fcinfo, &verb_disqualify);
}

PG_FUNCTION_INFO_V1(lq_hold);

/* hold(pipeline, lead, until, reason, note, at) */
Datum
lq_hold(PG_FUNCTION_ARGS)
{
	Order		order;

	order_begin(fcinfo, &order, &verb_hold);
	stage_of_verb(&order);
	if (!PG_ARGISNULL(2))
		order.until = PG_GETARG_TIMESTAMPTZ(2);
	order_close(fcinfo, &order, 3);
	return order_done(fcinfo, &order);
}
