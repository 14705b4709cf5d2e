-- test/laws/check.sql
-- What is checked after each script: the stored state against the oracle, and
-- the three laws. Differences are collected and then raised, so that they can
-- be read afterwards.

CREATE TABLE laws.difference (
	id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, seed int, law text,
	lead text, item text, expected text, actual text);

CREATE FUNCTION laws.near(a float8, b float8, magnitude float8)
RETURNS boolean
LANGUAGE sql IMMUTABLE AS
$$
	SELECT CASE WHEN a IS NULL OR b IS NULL
		THEN a IS NULL AND b IS NULL
		ELSE abs(a - b) <= 1e-9 * coalesce(magnitude, 0) + 1e-12 END
$$;

-- Crossings are found to the millisecond, by other arithmetic: what the clock
-- does may be dated two apart.
CREATE FUNCTION laws.same_time(a timestamptz, b timestamptz, by_clock boolean)
RETURNS boolean
LANGUAGE sql IMMUTABLE AS
$$
	SELECT a IS NOT DISTINCT FROM b OR coalesce(by_clock AND isfinite(a)
		AND isfinite(b) AND abs(extract(epoch FROM a - b)) <= 0.002, false)
$$;

-- The stored state, with keys as text: these are filled by laws.look.
CREATE UNLOGGED TABLE laws.s_state (
	lead text PRIMARY KEY, leads_stage text, touched boolean, stage text,
	total float8, engagement float8, fit float8, scored_at timestamptz,
	grade text, mark timestamptz, assessment text, confirmed text,
	gate text, keeping boolean, since timestamptz, active_at timestamptz,
	cycle int, next_due_at timestamptz, check_at timestamptz);
CREATE UNLOGGED TABLE laws.s_history (
	lead text, step int, id bigint, stage text, from_stage text,
	entered_at timestamptz, left_at timestamptz, cause text, gate text,
	total float8, engagement float8, fit float8, version int,
	assessment text, cycle int, PRIMARY KEY (lead, step));
CREATE UNLOGGED TABLE laws.s_image (lead text, number int, values jsonb);

-- Several moves at one instant: each from where the one before led.
CREATE PROCEDURE laws.chain()
LANGUAGE plpgsql AS
$$
DECLARE
	g record;
	at_stage text;
	remaining int[];
	chained int[];
	next int;
BEGIN
	FOR g IN
		SELECT h.lead, array_agg(h.step ORDER BY h.step) AS steps
		FROM laws.s_history h GROUP BY h.lead, h.entered_at
		HAVING count(*) > 2
	LOOP
		SELECT h.stage INTO at_stage FROM laws.s_history h
		WHERE h.lead = g.lead AND h.step = g.steps[1] - 1;
		remaining := g.steps;
		chained := '{}';
		WHILE cardinality(remaining) > 0
		LOOP
			SELECT h.step, h.stage INTO next, at_stage FROM laws.s_history h
			WHERE h.lead = g.lead AND h.step = ANY (remaining)
			ORDER BY h.left_at, h.from_stage IS NOT DISTINCT FROM at_stage DESC,
				h.step LIMIT 1;
			chained := chained || next;
			remaining := array_remove(remaining, next);
		END LOOP;
		UPDATE laws.s_history h SET step = -h.step
		WHERE h.lead = g.lead AND h.step = ANY (g.steps);
		UPDATE laws.s_history h
		SET step = g.steps[array_position(chained, -h.step)]
		WHERE h.lead = g.lead AND h.step < 0;
	END LOOP;
END
$$;

CREATE PROCEDURE laws.look(p_pipeline text)
LANGUAGE plpgsql AS
$$
DECLARE
	p record;
BEGIN
	DELETE FROM laws.s_state;
	DELETE FROM laws.s_history;
	DELETE FROM laws.s_image;
	SELECT * INTO STRICT p FROM lead_qualify.pipeline
	WHERE pipeline = p_pipeline;
	EXECUTE format(
		'INSERT INTO laws.s_state
		 SELECT l.%1$I::text,
			coalesce((SELECT s.stage FROM lead_qualify.stage s
				WHERE s.pipeline = %2$L AND s.stored_as = l.stage), l.stage),
			q.lead IS NOT NULL, q.stage, q.total_at_event,
			q.engagement_at_event, q.fit_at_event, q.scored_at,
			q.grade::text, q.mark, q.assessment::text, q.confirmed::text,
			q.gate, coalesce(q.keeping, false), q.stage_since, q.active_at,
			q.cycle, q.next_due_at, q.check_at
		 FROM %3$I.%4$I l LEFT JOIN %3$I.%5$I q ON q.lead = l.%1$I',
		p.lead_key, p_pipeline, p.leads_schema, p.leads_table,
		p.prefix || '_qualification');
	EXECUTE format(
		'INSERT INTO laws.s_history
		 SELECT h.lead::text, row_number() OVER (PARTITION BY h.lead
				ORDER BY h.entered_at NULLS FIRST, h.left_at,
				array_position(''{created,attribute,activity,answer,manual}'',
					h.cause), h.id),
			h.id, h.stage, h.from_stage, h.entered_at, h.left_at, h.cause,
			h.gate, h.total, h.engagement, h.fit, h.version,
			h.assessment::text, h.cycle
		 FROM %1$I.%2$I h JOIN laws.s_state s ON s.lead = h.lead::text
		 WHERE h.superseded_at IS NULL', p.leads_schema,
		p.prefix || '_stage_history');
	CALL laws.chain();
	EXECUTE format(
		'INSERT INTO laws.s_image
		 SELECT a.lead::text, row_number() OVER (PARTITION BY a.lead
				ORDER BY a.changed_at), a.values
		 FROM %1$I.%2$I a', p.leads_schema, p.prefix || '_attributes');
END
$$;

CREATE FUNCTION laws.stored_path(p_lead text) RETURNS text
LANGUAGE sql AS
$$
	SELECT string_agg(format('%s->%s%s %s..%s %s [%s]', h.from_stage, h.stage,
		'(' || h.gate || ')', h.entered_at, h.left_at, h.cause,
		h.assessment), E'\n' ORDER BY h.step) FROM laws.s_history h WHERE h.lead = p_lead
$$;

CREATE FUNCTION laws.oracle_path(p_lead text) RETURNS text
LANGUAGE sql AS
$$
	SELECT string_agg(format('%s->%s%s %s..%s %s [%s]', p.from_stage, p.stage,
		'(' || p.gate || ')', p.entered_at, p.left_at,
		p.cause, laws.assessment(p.probe)), E'\n' ORDER BY p.step)
	FROM laws.o_path p WHERE p.lead = p_lead
$$;

-- A lead for which the clock is due at the time of its newest event.
CREATE FUNCTION laws.may_differ(p_lead text) RETURNS boolean
LANGUAGE sql STABLE AS
$$
	SELECT EXISTS (SELECT FROM laws.o_horizon h
		JOIN laws.o_due d USING (lead)
		JOIN laws.o_state s USING (lead)
		WHERE h.lead = p_lead AND d.tied AND s.visit = 0
		AND s.at = h.until)
$$;

-- The oracle, with the clock as far as it has run for each lead; where it is
-- due at the very time of the newest event, it may or may not have run. The
-- caller has called laws.look.
CREATE PROCEDURE laws.recompute_stored(p_pipeline text)
LANGUAGE plpgsql AS
$$
BEGIN
	DELETE FROM laws.o_horizon;
	INSERT INTO laws.o_horizon SELECT s.lead, s.scored_at FROM laws.s_state s
	WHERE s.touched;
	CALL laws.recompute(p_pipeline, p_ahead => '1 year');
END
$$;

-- Stored state and history against the oracle. The caller has called
-- laws.recompute and laws.look.
CREATE PROCEDURE laws.check_state(p_seed int)
LANGUAGE plpgsql AS
$$
#variable_conflict use_column
BEGIN
	INSERT INTO laws.difference (seed, law, lead, item, expected, actual)
	SELECT p_seed, 'state', s.lead, i.item, i.expected, i.actual
	FROM laws.s_state s
	LEFT JOIN laws.o_result o ON o.lead = s.lead
	LEFT JOIN laws.o_due d ON d.lead = s.lead
	CROSS JOIN LATERAL (SELECT CASE WHEN o.scored_at = s.scored_at THEN 1
		ELSE 1000 END AS scale) x,
	LATERAL (VALUES
		('total_at_event', o.total::text, s.total::text,
		 laws.near(o.total, s.total, o.magnitude * scale)),
		('engagement_at_event', o.engagement::text, s.engagement::text,
		 laws.near(o.engagement, s.engagement,
			o.engagement_magnitude * scale)),
		('fit_at_event', o.fit::text, s.fit::text,
		 laws.near(o.fit, s.fit, o.fit_magnitude * scale)),
		('scored_at', o.scored_at::text, s.scored_at::text,
		 laws.same_time(o.scored_at, s.scored_at, o.visit > 0)),
		('gate', o.gate, s.gate, o.gate IS NOT DISTINCT FROM s.gate),
		('keeping', o.keeping::text, s.keeping::text, o.keeping = s.keeping),
		('stage_since', o.since::text, s.since::text,
		 laws.same_time(o.since, s.since, true)),
		('active_at', o.active_at::text, s.active_at::text,
		 o.active_at IS NOT DISTINCT FROM s.active_at),
		('cycle', o.cycle::text, s.cycle::text, o.cycle = s.cycle),
		('next_due_at', d.due::text, s.next_due_at::text,
		 CASE WHEN d.due IS NULL THEN s.next_due_at IS NULL
			OR s.next_due_at > s.scored_at + interval '1 year'
			ELSE laws.same_time(d.due, s.next_due_at, true) END),
		('check_at', '<= ' || s.next_due_at, s.check_at::text,
		 s.next_due_at IS NULL OR coalesce(s.check_at <= s.next_due_at, false)),
		('stage', o.stage, s.stage, o.stage IS NOT DISTINCT FROM s.stage),
		('grade', o.grade, s.grade, o.grade IS NOT DISTINCT FROM s.grade),
		('mark', o.mark::text, s.mark::text,
		 laws.same_time(o.mark, s.mark, true)),
		('assessment', o.assessment, s.assessment,
		 o.assessment IS NOT DISTINCT FROM s.assessment),
		('confirmed', o.confirmed, s.confirmed,
		 o.confirmed IS NOT DISTINCT FROM s.confirmed),
		('stage column of leads', o.stage, s.leads_stage,
		 o.stage IS NOT DISTINCT FROM s.leads_stage)
	) AS i(item, expected, actual, agrees)
	WHERE s.touched AND NOT coalesce(i.agrees, false)
	AND NOT laws.may_differ(s.lead);

	INSERT INTO laws.difference (seed, law, lead, item, expected, actual)
	SELECT p_seed, 'state', s.lead, 'side row', 'one', 'none'
	FROM laws.s_state s, laws.script c JOIN laws.layout l USING (layout)
	WHERE NOT s.touched AND NOT l.has_stages;

	-- automatic rows in full; of fixed ones the stage, the stay and the cause.
	-- A row whose scores are the same but for a billionth of a point stays.
	INSERT INTO laws.difference (seed, law, lead, item, expected, actual)
	SELECT DISTINCT p_seed, 'history', lead, 'path', laws.oracle_path(lead),
		laws.stored_path(lead)
	FROM laws.o_path o
	FULL JOIN laws.s_history h USING (lead, step)
	LEFT JOIN LATERAL (SELECT x.cause FROM laws.o_path x
		WHERE x.lead = o.lead AND x.step = o.step + 1) n ON true
	LEFT JOIN LATERAL (SELECT CASE WHEN o.entered_at = h.entered_at THEN 1
		ELSE 1000 END AS scale) x ON true
	LEFT JOIN laws.o_value t ON t.probe = o.probe AND t.dimension = 'total'
	LEFT JOIN laws.o_value e ON e.probe = o.probe
		AND e.dimension = 'engagement'
	LEFT JOIN laws.o_value f ON f.probe = o.probe AND f.dimension = 'fit'
	WHERE EXISTS (SELECT FROM laws.s_state s
		WHERE s.lead = coalesce(o.lead, h.lead) AND s.touched)
	AND NOT laws.may_differ(coalesce(o.lead, h.lead))
	AND ((o.stage, o.cause) IS DISTINCT FROM (h.stage, h.cause)
		OR o.cycle IS DISTINCT FROM h.cycle AND o.cause <> 'attached'
		OR NOT laws.same_time(o.entered_at, h.entered_at,
			o.cause IN ('decay', 'clock'))
		OR NOT laws.same_time(o.left_at, h.left_at,
			n.cause IN ('decay', 'clock'))
		OR (o.cause NOT IN ('manual', 'attached') OR o.history IS NULL) AND (
			(o.from_stage, o.version, o.gate)
				IS DISTINCT FROM (h.from_stage, h.version, h.gate)
			OR laws.assessment(o.probe) IS DISTINCT FROM h.assessment
			OR NOT laws.near(t.value, h.total, (1 + t.magnitude) * scale)
			OR NOT laws.near(e.value, h.engagement,
				(1 + e.magnitude) * scale)
			OR NOT laws.near(f.value, h.fit, (1 + f.magnitude) * scale)));
END
$$;

-- What the script did by hand must be what the side tables keep of it.
CREATE PROCEDURE laws.check_log(p_seed int)
LANGUAGE plpgsql AS
$$
#variable_conflict use_column
BEGIN
	INSERT INTO laws.difference (seed, law, lead, item, expected, actual)
	SELECT p_seed, 'log', g.lead, 'answers', 'deleted with the lead', 'kept'
	FROM laws.log g WHERE g.kind = 'kept';

	INSERT INTO laws.difference (seed, law, lead, item, expected, actual)
	SELECT p_seed, 'log', lead, 'manual moves', coalesce(g.n, 0),
		coalesce(h.n, 0)
	FROM (SELECT lead, count(*) AS n FROM laws.log
		WHERE kind = 'manual' GROUP BY lead) g
	FULL JOIN (SELECT lead, count(*) AS n FROM laws.s_history
		WHERE cause = 'manual' AND gate IS NULL GROUP BY lead) h USING (lead)
	WHERE g.n IS DISTINCT FROM h.n;

	INSERT INTO laws.difference (seed, law, lead, item, expected, actual)
	SELECT p_seed, 'log', s.lead, 'images', 1 + coalesce(g.n, 0), i.n
	FROM laws.s_state s
	LEFT JOIN (SELECT lead, count(*) AS n FROM laws.log
		WHERE kind = 'attribute' GROUP BY lead) g USING (lead)
	LEFT JOIN (SELECT lead, count(*) AS n FROM laws.s_image
		GROUP BY lead) i USING (lead)
	WHERE i.n IS DISTINCT FROM 1 + coalesce(g.n, 0);

	INSERT INTO laws.difference (seed, law, lead, item, expected, actual)
	SELECT p_seed, 'log', i.lead, 'newest image', format('%s %s', l.employees,
			l.industry), i.values::text
	FROM (SELECT DISTINCT ON (lead) * FROM laws.s_image
		ORDER BY lead, number DESC) i
	JOIN laws.o_lead l ON l.lead = i.lead
	WHERE (l.employees::text, l.industry) IS DISTINCT FROM
		(i.values->>'employees', i.values->>'industry');
END
$$;

-- Law 3, for some leads at some times: contributions sum to the score, and
-- the requirements decide the stage. Scores of the past are compared too.
CREATE PROCEDURE laws.check_explain(p_seed int, p_pipeline text)
LANGUAGE plpgsql AS
$$
DECLARE
	side text;
BEGIN
	SELECT format('%I.%I', p.leads_schema, p.prefix || '_qualification')
	INTO side FROM lead_qualify.pipeline p WHERE p.pipeline = p_pipeline;

	-- at the newest event, at some time before, and some days later
	DELETE FROM laws.o_question;
	INSERT INTO laws.o_question (lead, at)
	SELECT o.lead, t.at
	FROM laws.o_result o
	JOIN (SELECT v.lead, min(v.at) AS first, count(*) AS events,
			abs(hashtext(v.lead || p_seed)) % 1000 / 1000.0 AS part
		FROM laws.o_event v GROUP BY v.lead) e ON e.lead = o.lead
	CROSS JOIN LATERAL (VALUES (o.scored_at),
		(e.first + (o.scored_at - e.first) * e.part),
		(least(o.scored_at + interval '3 days 01:02:03',
			greatest(o.scored_at, now())))) AS t(at)
	WHERE e.part < 0.3;
	CALL laws.answer();

	INSERT INTO laws.difference (seed, law, lead, item, expected, actual)
	SELECT p_seed, 'score_at', q.lead, format('%s at %s', x.dimension, q.at),
		x.value, x.points
	FROM laws.o_question q
	CROSS JOIN LATERAL (
		SELECT dimension, v.value, v.magnitude, s.points
		FROM (SELECT * FROM laws.o_value o WHERE o.probe = q.probe) v
		FULL JOIN lead_qualify.score_at(p_pipeline, q.lead, q.at) s
			USING (dimension)) x
	WHERE NOT laws.near(x.value, x.points, x.magnitude);

	INSERT INTO laws.difference (seed, law, lead, item, expected, actual)
	SELECT p_seed, 'explain', q.lead, format('sum of worths at %s', q.at),
		v.value, e.worth
	FROM laws.o_question q
	JOIN laws.o_value v ON v.probe = q.probe AND v.dimension = 'total'
	CROSS JOIN LATERAL (
		SELECT coalesce(sum(x.worth), 0) AS worth
		FROM lead_qualify.explain(p_pipeline, q.lead, q.at) x) e
	WHERE NOT laws.near(v.value, e.worth, v.magnitude);

	-- the stored score alone, at and after the newest event
	EXECUTE format(
		'INSERT INTO laws.difference (seed, law, lead, item, expected, actual)
		 SELECT $1, ''lead_score'', o.lead, format(''%%s at %%s'',
				v.dimension, o.at), v.value, x.value
		 FROM laws.o_question o
		 JOIN laws.o_value v ON v.probe = o.probe
		 JOIN %s q ON q.lead::text = o.lead
		 CROSS JOIN LATERAL (SELECT CASE WHEN v.dimension = ''total''
			THEN lead_qualify.total(q.score, o.at)
			ELSE lead_qualify.points(q.score, v.dimension, o.at)
			END AS value) x
		 WHERE o.settled AND NOT laws.near(v.value, x.value, v.magnitude)',
		side)
	USING p_seed;

	INSERT INTO laws.difference (seed, law, lead, item, expected, actual)
	SELECT p_seed, 'explain_stage', q.lead,
		format('gate %s %s at %s', x.stage, x.gate, q.at), x.opens,
		coalesce(x.met::text, 'not listed')
	FROM laws.o_question q
	CROSS JOIN LATERAL (
		WITH listed AS (
			SELECT s.stage, s.gate, s.met
			FROM lead_qualify.explain_stage(p_pipeline, q.lead, q.at) s)
		SELECT g.stage, g.gate, g.opens, (
			-- rows without a gate bind all gates, or those of their stage
			SELECT bool_and(l.met) FROM listed l
			WHERE (l.gate = g.gate AND l.stage = g.stage)
			OR (l.gate IS NULL AND (l.stage IS NULL OR l.stage = g.stage))
			HAVING bool_or(l.gate IS NOT NULL)) AS met
		FROM laws.open_gates(q.id) g) x
	WHERE q.settled AND x.met IS DISTINCT FROM x.opens
	AND (x.opens OR x.met);
END
$$;

CREATE PROCEDURE laws.check_verify(p_seed int, p_pipeline text)
LANGUAGE plpgsql AS
$$
#variable_conflict use_column
BEGIN
	INSERT INTO laws.difference (seed, law, lead, item, expected, actual)
	SELECT p_seed, 'verify', v.lead, v.item, v.replayed, v.stored
	FROM lead_qualify.verify(p_pipeline) v;
END
$$;

-- Keeps what is stored now, for a comparison with what will be.
CREATE UNLOGGED TABLE laws.k_state (LIKE laws.s_state);
CREATE UNLOGGED TABLE laws.k_history (LIKE laws.s_history);

CREATE PROCEDURE laws.keep()
LANGUAGE plpgsql AS
$$
BEGIN
	DELETE FROM laws.k_state;
	DELETE FROM laws.k_history;
	INSERT INTO laws.k_state SELECT * FROM laws.s_state;
	INSERT INTO laws.k_history SELECT * FROM laws.s_history;
END
$$;

-- Whether a lead's life begins at a time that its rows tell.
CREATE FUNCTION laws.is_dated(p_lead text) RETURNS boolean
LANGUAGE sql STABLE AS
$$
	SELECT l.has_created OR EXISTS (SELECT FROM laws.o_activity a
		WHERE a.lead = p_lead)
	FROM laws.script s JOIN laws.layout l USING (layout)
$$;

-- What is stored now against what was kept. Leads that have no events of
-- their own begin at the clock where there is no creation column.
CREATE PROCEDURE laws.check_kept(p_seed int, p_law text, p_same_rows boolean,
	p_same_ids boolean = NULL)
LANGUAGE plpgsql AS
$$
#variable_conflict use_column
BEGIN
	INSERT INTO laws.difference (seed, law, lead, item, expected, actual)
	SELECT p_seed, p_law, lead, 'state', k::text, s::text
	FROM laws.k_state k
	FULL JOIN laws.s_state s USING (lead)
	LEFT JOIN laws.o_result o USING (lead)
	WHERE ((k.stage, k.grade, k.leads_stage, k.assessment, k.confirmed,
			k.gate, k.keeping, k.cycle, k.active_at)
			IS DISTINCT FROM (s.stage, s.grade, s.leads_stage, s.assessment,
				s.confirmed, s.gate, s.keeping, s.cycle, s.active_at)
		OR NOT laws.same_time(k.scored_at, s.scored_at, o.visit > 0)
		OR NOT laws.same_time(k.mark, s.mark, true)
		OR NOT laws.same_time(k.since, s.since, true)
		OR NOT laws.same_time(k.next_due_at, s.next_due_at, true)
		OR NOT laws.near(k.total, s.total, o.magnitude)
		OR NOT laws.near(k.engagement, s.engagement, o.engagement_magnitude)
		OR NOT laws.near(k.fit, s.fit, o.fit_magnitude))
	AND (p_same_rows OR laws.is_dated(lead));

	INSERT INTO laws.difference (seed, law, lead, item, expected, actual)
	SELECT p_seed, p_law, lead, format('history row %s', step), k::text,
		s::text
	FROM laws.k_history k
	FULL JOIN laws.s_history s USING (lead, step)
	LEFT JOIN laws.o_result o USING (lead)
	WHERE ((k.stage, k.from_stage, k.cause, k.gate, k.version, k.assessment,
			k.cycle)
			IS DISTINCT FROM (s.stage, s.from_stage, s.cause, s.gate,
				s.version, s.assessment, s.cycle)
		OR NOT laws.same_time(k.entered_at, s.entered_at,
			k.cause IN ('decay', 'clock'))
		OR NOT laws.same_time(k.left_at, s.left_at, true)
		OR coalesce(p_same_ids, p_same_rows) AND k.id IS DISTINCT FROM s.id
		OR NOT laws.near(k.total, s.total, 1 + o.magnitude))
	AND (p_same_rows OR laws.is_dated(lead));
END
$$;

-- Law 1: all rows at once, in an order of their own, give the same.
CREATE PROCEDURE laws.check_batch(p_seed int)
LANGUAGE plpgsql AS
$$
DECLARE
	l laws.layout;
	schema text;
	side text;
	leads text;
	activities text;
	answers text;
BEGIN
	SELECT y.* INTO l FROM laws.script s JOIN laws.layout y USING (layout);
	schema := split_part(l.leads, '.', 1);
	EXECUTE format('CREATE TEMP TABLE t_leads ON COMMIT DROP AS '
		'SELECT * FROM %s', l.leads);
	EXECUTE format('CREATE TEMP TABLE t_activities ON COMMIT DROP AS '
		'SELECT * FROM %s', l.activities);
	IF l.second_source THEN
		EXECUTE format('CREATE TEMP TABLE t_calls ON COMMIT DROP AS '
			'SELECT * FROM %s.calls', schema);
	END IF;
	side := laws.side_table(l, '_answers');
	EXECUTE format('CREATE TEMP TABLE t_answers ON COMMIT DROP AS '
		'SELECT * FROM %s', side);
	CALL laws.keep();

	EXECUTE (laws.emptying(l))[1];
	EXECUTE (laws.emptying(l))[2];

	leads := format('INSERT INTO %1$s (%2$s, stage, start_stage, employees, '
		'industry, note%3$s) SELECT %2$s, start_stage, start_stage, '
		'employees, industry, note%3$s FROM t_leads ORDER BY hashtext(%2$s'
		'::text)', l.leads, l.lead_key,
		CASE WHEN l.has_created THEN ', created_at' ELSE '' END);
	activities := format('INSERT INTO %s SELECT * FROM t_activities '
		'ORDER BY %s', l.activities, CASE p_seed % 3
			WHEN 0 THEN format('hashtext(%s::text)', l.activity_key)
			WHEN 1 THEN format('%s DESC', l.activity_at)
			ELSE l.activity_at END);
	answers := format('INSERT INTO %s SELECT * FROM t_answers '
		'ORDER BY hashtext(id::text)', side);
	IF p_seed % 4 < 2 THEN
		EXECUTE answers;
	END IF;
	IF p_seed % 2 = 0 OR l.foreign_key THEN
		EXECUTE leads;
		EXECUTE activities;
	ELSE
		EXECUTE activities;
		EXECUTE leads;
	END IF;
	IF l.second_source THEN
		EXECUTE format('INSERT INTO %s.calls SELECT * FROM t_calls '
			'ORDER BY hashtext(id::text)', schema);
	END IF;
	IF p_seed % 4 >= 2 THEN
		EXECUTE answers;
	END IF;
END
$$;

-- The oracle, with the clock up to now for every lead.
CREATE PROCEDURE laws.recompute_now(p_pipeline text)
LANGUAGE plpgsql AS
$$
BEGIN
	DELETE FROM laws.o_horizon;
	CALL laws.recompute(p_pipeline, clock_timestamp(), '1 year');
END
$$;

-- Law 1 with the clock: the clock at each of its times, once to the end, or
-- never before a recompute; all from the state as the script left it.
CREATE PROCEDURE laws.check_clock(p_seed int, p_pipeline text)
LANGUAGE plpgsql AS
$$
DECLARE
	way text;
	states laws.s_state[];
	histories laws.s_history[];
	stepped_states laws.s_state[];
	stepped_histories laws.s_history[];
	jumped_states laws.s_state[];
	jumped_histories laws.s_history[];
	problems text[];
BEGIN
	FOREACH way IN ARRAY '{step,jump,recompute}'::text[]
	LOOP
		BEGIN
			IF way = 'step' THEN
				CALL laws.step_clock(p_pipeline);
			ELSIF way = 'jump' THEN
				PERFORM lead_qualify.advance(p_pipeline);
			ELSE
				PERFORM lead_qualify.recompute(p_pipeline);
			END IF;
			CALL laws.look(p_pipeline);
			SELECT array_agg(s) INTO states FROM laws.s_state s;
			SELECT array_agg(h) INTO histories FROM laws.s_history h;
			SELECT array_agg(v::text) INTO problems
			FROM lead_qualify.verify(p_pipeline) v;
			SET CONSTRAINTS ALL IMMEDIATE;
			RAISE SQLSTATE 'LW001';
		EXCEPTION WHEN SQLSTATE 'LW001' THEN
			NULL;
		END;
		INSERT INTO laws.difference (seed, law, item, actual)
		SELECT p_seed, 'verify after ' || way, 'row', x
		FROM unnest(problems) AS x;
		IF way = 'step' THEN
			stepped_states := states;
			stepped_histories := histories;
		ELSIF way = 'jump' THEN
			jumped_states := states;
			jumped_histories := histories;
		END IF;
	END LOOP;

	DELETE FROM laws.s_state;
	DELETE FROM laws.s_history;
	INSERT INTO laws.s_state SELECT * FROM unnest(stepped_states);
	INSERT INTO laws.s_history SELECT * FROM unnest(stepped_histories);
	CALL laws.keep();
	DELETE FROM laws.s_state;
	DELETE FROM laws.s_history;
	INSERT INTO laws.s_state SELECT * FROM unnest(jumped_states);
	INSERT INTO laws.s_history SELECT * FROM unnest(jumped_histories);
	CALL laws.check_kept(p_seed, 'clock: step, jump', true, false);
	CALL laws.keep();
	DELETE FROM laws.s_state;
	DELETE FROM laws.s_history;
	INSERT INTO laws.s_state SELECT * FROM unnest(states);
	INSERT INTO laws.s_history SELECT * FROM unnest(histories);
	CALL laws.check_kept(p_seed, 'clock: jump, recompute', true, false);
END
$$;

-- Rows of a pipeline's activity tables that are older than a time go, unseen
-- by triggers.
CREATE PROCEDURE laws.forget(p_pipeline text, p_before timestamptz)
LANGUAGE plpgsql AS
$$
DECLARE
	s record;
BEGIN
	SET LOCAL session_replication_role = replica;
	FOR s IN
		SELECT o.*, format('%I.%I', o.activities_schema, o.activities_table)
			AS name
		FROM lead_qualify.source o WHERE o.pipeline = p_pipeline
	LOOP
		EXECUTE format('DELETE FROM %1$s WHERE CASE pg_typeof(%2$I) '
			'WHEN ''timestamptz''::regtype THEN %2$I::timestamptz '
			'ELSE %2$I::timestamp AT TIME ZONE %3$L END < %4$L',
			s.name, s.activity_at, s.time_zone, p_before);
	END LOOP;
	SET LOCAL session_replication_role = origin;
END
$$;

-- Archiving changes nothing, nor does a recompute without the activities that
-- are archived; what is stored now was just kept.
CREATE PROCEDURE laws.check_archive(p_seed int, p_pipeline text)
LANGUAGE plpgsql AS
$$
DECLARE
	times timestamptz[];
	t timestamptz;
	states laws.s_state[];
	histories laws.s_history[];
	problems text[];
	sums text[];
BEGIN
	SELECT percentile_disc('{0.3,0.8}'::float8[]) WITHIN GROUP (ORDER BY x.at)
	INTO times
	FROM (SELECT s.scored_at FROM laws.s_state s
		UNION ALL SELECT s.active_at FROM laws.s_state s
		UNION ALL SELECT h.entered_at FROM laws.s_history h) AS x(at)
	WHERE isfinite(x.at) AND x.at < now();
	BEGIN
		FOREACH t IN ARRAY times
		LOOP
			PERFORM lead_qualify.archive(p_pipeline, t);
			CALL laws.forget(p_pipeline, t);
		END LOOP;
		PERFORM lead_qualify.recompute(p_pipeline);
		CALL laws.look(p_pipeline);
		SELECT array_agg(s) INTO states FROM laws.s_state s;
		SELECT array_agg(h) INTO histories FROM laws.s_history h;
		SELECT array_agg(v::text) INTO problems
		FROM lead_qualify.verify(p_pipeline) v;
		SELECT array_agg(format('%s: %s of %s', x.lead, x.worth, y.points))
		INTO sums
		FROM laws.s_state s JOIN laws.o_result o USING (lead),
			LATERAL (SELECT s.lead, sum(e.worth) AS worth
				FROM lead_qualify.explain(p_pipeline, s.lead) e) AS x,
			LATERAL (SELECT a.points
				FROM lead_qualify.score_at(p_pipeline, s.lead) a
				WHERE a.dimension = 'total') AS y
		WHERE s.touched
			AND NOT laws.near(coalesce(x.worth, 0), y.points, 1 + o.magnitude);
		SET CONSTRAINTS ALL IMMEDIATE;
		RAISE SQLSTATE 'LW001';
	EXCEPTION WHEN SQLSTATE 'LW001' THEN
		NULL;
	END;
	INSERT INTO laws.difference (seed, law, item, actual)
	SELECT p_seed, 'verify after archive', 'row', x FROM unnest(problems) AS x
	UNION ALL
	SELECT p_seed, 'explain after archive', 'sum', x FROM unnest(sums) AS x;
	DELETE FROM laws.s_state;
	DELETE FROM laws.s_history;
	INSERT INTO laws.s_state SELECT * FROM unnest(states);
	INSERT INTO laws.s_history SELECT * FROM unnest(histories);
	CALL laws.check_kept(p_seed, 'archive', true);
END
$$;

-- All checks of the script that has just run.
CREATE PROCEDURE laws.check_script(p_seed int)
LANGUAGE plpgsql AS
$$
DECLARE
	l laws.layout;
	is_pure boolean;
	differences int;
BEGIN
	SELECT y.* INTO l FROM laws.script s JOIN laws.layout y USING (layout);
	SELECT s.pure INTO is_pure FROM laws.script s;
	IF l.has_stages THEN
		-- also those that were never touched
		PERFORM lead_qualify.recompute(l.pipeline);
	END IF;

	CALL laws.look(l.pipeline);
	CALL laws.recompute_stored(l.pipeline);
	CALL laws.check_state(p_seed);
	IF NOT l.has_stages THEN
		CALL laws.check_log(p_seed);
	END IF;
	CALL laws.check_verify(p_seed, l.pipeline);
	COMMIT;

	-- with the clock up to now
	CALL laws.recompute_now(l.pipeline);
	CALL laws.check_clock(p_seed, l.pipeline);
	IF p_seed % 2 = 0 THEN
		CALL laws.step_clock(l.pipeline);
	ELSE
		PERFORM lead_qualify.advance(l.pipeline);
	END IF;
	CALL laws.look(l.pipeline);
	CALL laws.check_state(p_seed);
	CALL laws.check_explain(p_seed, l.pipeline);
	COMMIT;

	-- a recompute finds nothing to change, and touches no history row
	CALL laws.keep();
	PERFORM lead_qualify.recompute(l.pipeline);
	CALL laws.look(l.pipeline);
	CALL laws.check_kept(p_seed, 'recompute', true);
	COMMIT;
	CALL laws.keep();
	CALL laws.check_archive(p_seed, l.pipeline);
	COMMIT;

	IF is_pure THEN
		CALL laws.check_batch(p_seed);
		COMMIT;
		CALL laws.check_verify(p_seed, l.pipeline);
		PERFORM lead_qualify.advance(l.pipeline);
		CALL laws.look(l.pipeline);
		CALL laws.check_kept(p_seed, 'batch', false);
		CALL laws.check_verify(p_seed, l.pipeline);
		COMMIT;
	END IF;

	SELECT count(*) INTO differences FROM laws.difference
	WHERE seed = p_seed;
	IF differences > 0 THEN
		RAISE '% differences after script %', differences, p_seed;
	END IF;
END
$$;

-- The checks themselves: each of these falsifications must be found by the
-- comparison with the oracle and by verify; the packed score, which the oracle
-- cannot read, by verify alone.
CREATE PROCEDURE laws.check_checks()
LANGUAGE plpgsql AS
$$
DECLARE
	p record;
	c record;
	by_oracle int;
	by_verify int;
	victim text;
	missed text := '';
	p_pipeline constant text := (SELECT l.pipeline
		FROM laws.script s JOIN laws.layout l USING (layout));
BEGIN
	SELECT * INTO STRICT p FROM lead_qualify.pipeline
	WHERE pipeline = p_pipeline;
	CALL laws.recompute_now(p_pipeline);
	-- the lead with the longest path, as there are rows to falsify
	SELECT o.lead INTO STRICT victim FROM laws.o_path o
	WHERE o.history IS NULL AND o.left_at IS NOT NULL
	GROUP BY o.lead ORDER BY count(*) DESC, o.lead LIMIT 1;
	FOR c IN
		SELECT f.title, f.oracle, format(f.sql, p.leads_schema, p.prefix
			|| '_qualification', p.prefix || '_stage_history', victim) AS sql
		FROM (VALUES
			('a score', true, 'UPDATE %1$I.%2$I '
			 'SET total_at_event = total_at_event + 0.001 '
			 'WHERE lead::text = %4$L'),
			('a packed score', false, 'UPDATE %1$I.%2$I q SET score = o.score '
			 'FROM %1$I.%2$I o WHERE q.lead::text = %4$L '
			 'AND abs(o.total_at_event - q.total_at_event) > 1'),
			('a time', true, 'UPDATE %1$I.%2$I '
			 'SET scored_at = scored_at - interval ''1 second'' '
			 'WHERE lead::text = %4$L'),
			('a stage', true, 'UPDATE %1$I.%2$I SET stage = CASE stage '
			 'WHEN ''disqualified'' THEN ''hold'' ELSE ''disqualified'' END '
			 'WHERE lead::text = %4$L'),
			('an assessment', true, 'UPDATE %1$I.%2$I '
			 'SET assessment = assessment OPERATOR(lead_qualify.||) '
			 '''never_asked=yes'' '
			 'WHERE lead::text = %4$L'),
			('a confirmed assessment', true, 'UPDATE %1$I.%2$I '
			 'SET confirmed = ''never_asked=no'' '
			 'WHERE lead::text = %4$L'),
			('an assessment at a move', true, 'UPDATE %1$I.%3$I '
			 'SET assessment = ''never_asked=weak'' '
			 'WHERE lead::text = %4$L AND cause <> ''manual'' '
			 'AND superseded_at IS NULL'),
			('a history row', true, 'UPDATE %1$I.%3$I '
			 'SET entered_at = entered_at + interval ''1 second'' '
			 'WHERE lead::text = %4$L AND cause <> ''manual'' '
			 'AND superseded_at IS NULL'),
			('a time of entry', true, 'UPDATE %1$I.%2$I '
			 'SET stage_since = stage_since + interval ''1 second'' '
			 'WHERE lead::text = %4$L'),
			('a time of activity', true, 'UPDATE %1$I.%2$I '
			 'SET active_at = active_at - interval ''1 second'' '
			 'WHERE lead::text = %4$L'),
			('a gate of entry', true, 'UPDATE %1$I.%2$I '
			 'SET gate = ''none of them'' WHERE lead::text = %4$L'),
			('a score that binds', true, 'UPDATE %1$I.%2$I '
			 'SET keeping = NOT coalesce(keeping, false) '
			 'WHERE lead::text = %4$L'),
			('a cycle', true, 'UPDATE %1$I.%2$I SET cycle = cycle + 1 '
			 'WHERE lead::text = %4$L'),
			('a due time', true, 'UPDATE %1$I.%2$I '
			 'SET next_due_at = ''2400-01-01'', check_at = ''2500-01-01'' '
			 'WHERE lead::text = %4$L'),
			('a missing history row', true, 'DELETE FROM %1$I.%3$I '
			 'WHERE lead::text = %4$L AND cause = ''created''')
		) AS f(title, oracle, sql)
	LOOP
		BEGIN
			EXECUTE c.sql;
			DELETE FROM laws.difference;
			CALL laws.look(p_pipeline);
			CALL laws.check_state(0);
			SELECT count(*) INTO by_oracle FROM laws.difference
			WHERE lead = victim;
			DELETE FROM laws.difference;
			CALL laws.check_verify(0, p_pipeline);
			SELECT count(*) INTO by_verify FROM laws.difference
			WHERE lead = victim;
			RAISE SQLSTATE 'LW000';
		EXCEPTION WHEN SQLSTATE 'LW000' THEN
			IF by_oracle = 0 AND c.oracle THEN
				missed := missed || format('; %s by the oracle', c.title);
			END IF;
			IF by_verify = 0 THEN
				missed := missed || format('; %s by verify', c.title);
			END IF;
		END;
	END LOOP;
	IF missed <> '' THEN
		RAISE 'falsified but not found%', missed;
	END IF;
END
$$;
