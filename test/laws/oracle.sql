-- test/laws/oracle.sql
-- An independent recomputation of scores and stages in plain SQL. It reads
-- the raw rows only: activities, answers, leads, attribute images, history rows
-- of cause manual or attached, and the published versions. It calls no function
-- of the extension, so that the two can only agree by both being right.

CREATE SCHEMA laws;

-- Where the contract leaves room, the reading that the oracle takes.
CREATE TABLE laws.reading (
	name text PRIMARY KEY,
	choice text NOT NULL,
	note text NOT NULL
);

INSERT INTO laws.reading VALUES
	('creation_move_cause', 'attribute',
	 'cause of a move by a gate that holds at the creation event: it can hold'
	 ' only by the lead''s columns'),
	('attached_move_cause', 'attached',
	 'the same at the attached event; such a row has a gate, the fixed one none'),
	('manual_move_cause', 'manual',
	 'the same at a manual move'),
	('attached_tests_gates', 'false',
	 'gates are tested at the attached event, after the stage was taken over'),
	('manual_tests_gates', 'true',
	 'gates are tested at a manual move, after it'),
	('manual_from', 'replayed',
	 'whether a manual move is a step back is judged from the stage that the'
	 ' replay finds (replayed), not from the one its maker saw (stored)'),
	('activity_type', 'any',
	 'a gate''s activity_type counts every activity of the cycle (any), or only'
	 ' those at whose time some gate named the type (named)'),
	('times_inclusive', 'true',
	 'times(rule, within) takes in a match exactly `within` ago'),
	('unscored', 'signal',
	 'an activity under an exclusion with scored = false is still a match for'
	 ' times() and since_last() (signal), or none at all (nothing); it never'
	 ' counts towards at_least or a cap'),
	('mark_overwrite', 'false',
	 'a second step back replaces the first one''s range of stages (true), or'
	 ' the mark holds up to the further of the two (false)'),
	('newer', 'time',
	 'at the very time of the mark nothing is newer (time), or what comes later'
	 ' in the order of events is (order): answers, times() without an interval'
	 ' and activity_type'),
	('created_recycled_cycle', 'false',
	 'a lead that begins in a stage of kind recycled begins there with its'
	 ' second cycle, as at any other entry'),
	('takeover_facts', 'all',
	 'under a mark, whether another gate of the present stage takes over is'
	 ' judged by all that is known (all), or by what is newer (mark)'),
	('takeover_excluded', 'true',
	 'another gate can take over while an exclusion holds'),
	('wait_is_news', 'true',
	 'a gate that asks for after or idle and facts about the lead alone needs'
	 ' no change of the lead after a step back');

CREATE FUNCTION laws.reading(name text) RETURNS text
LANGUAGE sql STABLE AS
$$ SELECT r.choice FROM laws.reading r WHERE r.name = $1 $$;

-- The configuration of each version that can be in force.
-- clock: what its gates ask of the clock; visits: other than the version in
-- force before
CREATE UNLOGGED TABLE laws.o_version (
	version int PRIMARY KEY, effective_from timestamptz, clock text,
	visits boolean);
CREATE UNLOGGED TABLE laws.o_dimension (
	version int, dimension text, minimum float8, maximum float8,
	weight float8);
CREATE UNLOGGED TABLE laws.o_rule (
	version int, name text, dimension text, applies_to text,
	activity_type text, condition text, points float8, decay text,
	period_us float8, at_most int, per text, per_value text, at_least int,
	within_us bigint, max_points float8, answers jsonb);
CREATE UNLOGGED TABLE laws.o_stage (
	version int, stage text, position int, kind text, on_path boolean,
	PRIMARY KEY (version, stage));
CREATE UNLOGGED TABLE laws.o_gate (
	version int, stage text, name text, from_stages text[],
	min_total float8, min_engagement float8, min_fit float8, min_grade text,
	framework text, activity_type text, condition text, after_us bigint,
	idle_us bigint, keep_total float8, keep_engagement float8,
	fallback_stage text, automatic boolean, position int,
	facts_only boolean);
CREATE UNLOGGED TABLE laws.o_framework (
	version int, framework text, min_met int, min_score float8);
CREATE UNLOGGED TABLE laws.o_criterion (
	version int, framework text, criterion text, weight float8,
	required boolean, met_at int);
CREATE UNLOGGED TABLE laws.o_atom (
	version int, stage text, name text, atom text, kind text, subject text,
	comparison text, number float8, within_us bigint);
CREATE UNLOGGED TABLE laws.o_exclusion (
	version int, name text, condition text, scored boolean);
CREATE UNLOGGED TABLE laws.o_list (version int, list text, value text);
CREATE UNLOGGED TABLE laws.o_band (
	version int, dimension text, label text, minimum float8);

-- The leads and their events, numbered in the order of the contract.
CREATE UNLOGGED TABLE laws.o_lead (
	lead text PRIMARY KEY, life timestamptz, start_stage text,
	attached boolean, employees int, industry text);
CREATE UNLOGGED TABLE laws.o_image (
	lead text, at timestamptz, number int, values jsonb);
-- kind 2: activities, kind 3: answers, each criterion => level or, where it
-- was withdrawn, null
CREATE UNLOGGED TABLE laws.o_activity (
	lead text, at timestamptz, kind int, source int, key_number numeric,
	key text, type text, amount numeric, campaign text, page text,
	answers jsonb);
CREATE UNLOGGED TABLE laws.o_raw (
	lead text, at timestamptz, kind int, source int, key_number numeric,
	key text, type text, amount numeric, campaign text, page text,
	answers jsonb, stage text, from_stage text, history bigint);
CREATE UNLOGGED TABLE laws.o_event (
	lead text, n int, at timestamptz, at_us bigint, kind int, source int,
	key text, type text, amount numeric, campaign text, page text,
	answers jsonb, stage text, from_stage text, history bigint, version int,
	employees int, industry text, excluded boolean, unscored boolean,
	cycle int, cycle_n int, active_at timestamptz, PRIMARY KEY (lead, n));
CREATE UNLOGGED TABLE laws.o_match (
	lead text, rule text, n int, at timestamptz, at_us bigint, version int,
	cycle int, dimension text, points float8, decay text, period_us float8,
	at_most int, bucket timestamp, value text, at_least int,
	within_us bigint, max_points float8, passes boolean,
	unscored boolean, counted boolean, PRIMARY KEY (lead, rule, n));
-- one criterion answered or (level NULL) withdrawn at an event; by which rule,
-- '' at an answer event
CREATE UNLOGGED TABLE laws.o_answer (
	lead text, n int, rule text COLLATE "C", at timestamptz, criterion text,
	level int, PRIMARY KEY (lead, n, rule, criterion));

-- A probe asks for everything as of event n and time t; visit numbers what the
-- clock does after event n. With a mark, it asks only for what is newer than
-- it, of points only for those newer than points_mark.
CREATE UNLOGGED TABLE laws.o_probe (
	id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	lead text, n int, visit int, at timestamptz, t_us bigint,
	mark timestamptz, mark_n int, points_mark timestamptz,
	version int, cycle_n int, employees int, industry text, excluded boolean,
	unscored boolean);
CREATE INDEX ON laws.o_probe (lead, n);
CREATE UNLOGGED TABLE laws.o_value (
	probe int, dimension text, value float8, magnitude float8,
	PRIMARY KEY (probe, dimension));
CREATE UNLOGGED TABLE laws.o_known (
	probe int, criterion text, level int, PRIMARY KEY (probe, criterion));
-- met: all but what waits for the clock; holds: and no exclusion, automatic
CREATE UNLOGGED TABLE laws.o_truth (
	probe int, stage text, gate text COLLATE "C", met boolean, holds boolean,
	automatic boolean, position int, from_stages text[], after_us bigint,
	idle_us bigint, PRIMARY KEY (probe, stage, gate));

-- How far the clock runs for a lead beyond its newest event; that far and no
-- farther. Filled by the caller.
CREATE UNLOGGED TABLE laws.o_horizon (
	lead text PRIMARY KEY, until timestamptz);

-- What comes out: a lead after each event and each visit of the clock.
CREATE UNLOGGED TABLE laws.o_state (
	lead text, n int, visit int, at timestamptz, probe int, version int,
	stage text, since timestamptz, active_at timestamptz,
	gate text, keeping boolean, mark timestamptz, mark_n int,
	points_mark timestamptz, mark_position int, cycle int, step int,
	PRIMARY KEY (lead, n, visit));
CREATE UNLOGGED TABLE laws.o_path (
	lead text, step int, stage text, from_stage text,
	entered_at timestamptz, left_at timestamptz, cause text, gate text,
	history bigint, n int, probe int, version int, cycle int,
	PRIMARY KEY (lead, step));
-- when the clock comes next; NULL: not in the time looked at. tied: at the very
-- time of the newest event
CREATE UNLOGGED TABLE laws.o_due (
	lead text PRIMARY KEY, due timestamptz, tied boolean);

-- Intervals as lengths: days of 24 hours, months of 30 days.
CREATE FUNCTION laws.microseconds(span interval) RETURNS bigint
LANGUAGE sql IMMUTABLE STRICT AS
$$
	SELECT ((extract(year FROM span) * 12 + extract(month FROM span)) * 30
			+ extract(day FROM span))::bigint * 86400000000
		+ (extract(hour FROM span) * 3600000000
		   + extract(minute FROM span) * 60000000
		   + extract(microseconds FROM span))::bigint
$$;

CREATE FUNCTION laws.epoch(at timestamptz) RETURNS bigint
LANGUAGE sql IMMUTABLE AS
$$ SELECT (extract(epoch FROM at) * 1000000)::bigint $$;

CREATE FUNCTION laws.moment(us bigint) RETURNS timestamptz
LANGUAGE sql IMMUTABLE AS
$$
	SELECT timestamptz 'epoch' + us / 1000000 * interval '1 second'
		+ us % 1000000 * interval '1 microsecond'
$$;

-- The conditions on an activity that the oracle knows, NULL being false.
CREATE FUNCTION laws.activity_holds(condition text, version int,
	amount numeric, campaign text, page text) RETURNS boolean
LANGUAGE plpgsql STABLE AS
$$
DECLARE
	atom text;
	holds boolean;
BEGIN
	IF condition IS NULL THEN
		RETURN true;
	END IF;
	FOREACH atom IN ARRAY string_to_array(condition, ' AND ')
	LOOP
		CASE atom
			WHEN '(properties->>''page'') = ''/pricing''' THEN
				holds := page = '/pricing';
			WHEN 'properties ? ''page''' THEN
				holds := page IS NOT NULL;
			WHEN 'amount > 50' THEN
				holds := amount > 50;
			WHEN 'amount >= 10' THEN
				holds := amount >= 10;
			WHEN '(amount IS NULL OR amount < 20)' THEN
				holds := amount IS NULL OR amount < 20;
			WHEN '100 / amount > 3' THEN
				-- a condition that raises an error counts as false
				holds := amount <> 0 AND 100 / nullif(amount, 0) > 3;
			WHEN 'campaign = ''spring''' THEN
				holds := campaign = 'spring';
			WHEN 'campaign IN (''spring'', ''autumn'')' THEN
				holds := campaign IN ('spring', 'autumn');
			WHEN 'lead_qualify.in_list(''partners'', campaign)' THEN
				holds := EXISTS (
					SELECT FROM laws.o_list l
					WHERE l.version = activity_holds.version
					AND l.list = 'partners'
					AND lower(l.value) = lower(campaign));
			ELSE
				RAISE 'the oracle knows no activity condition "%"', atom;
		END CASE;
		IF holds IS NOT TRUE THEN
			RETURN false;
		END IF;
	END LOOP;
	RETURN true;
END
$$;

-- The conditions on a lead that the oracle knows, NULL being false.
CREATE FUNCTION laws.lead_holds(condition text, version int, employees int,
	industry text) RETURNS boolean
LANGUAGE plpgsql STABLE AS
$$
DECLARE
	atom text;
	holds boolean;
BEGIN
	IF condition IS NULL THEN
		RETURN true;
	END IF;
	FOREACH atom IN ARRAY string_to_array(condition, ' AND ')
	LOOP
		CASE atom
			WHEN 'employees >= 50' THEN
				holds := employees >= 50;
			WHEN 'employees < 50' THEN
				holds := employees < 50;
			WHEN 'employees >= 500' THEN
				holds := employees >= 500;
			WHEN '(employees IS NULL OR employees < 10)' THEN
				holds := employees IS NULL OR employees < 10;
			WHEN 'employees >= 1000000' THEN
				holds := employees >= 1000000;
			WHEN 'industry = ''SaaS''' THEN
				holds := industry = 'SaaS';
			WHEN 'industry IS NOT NULL' THEN
				holds := industry IS NOT NULL;
			WHEN 'industry = ''Staff''' THEN
				holds := industry = 'Staff';
			WHEN 'lead_qualify.in_list(''competitors'', industry)' THEN
				holds := EXISTS (
					SELECT FROM laws.o_list l
					WHERE l.version = lead_holds.version
					AND l.list = 'competitors'
					AND lower(l.value) = lower(industry));
			ELSE
				RAISE 'the oracle knows no lead condition "%"', atom;
		END CASE;
		IF holds IS NOT TRUE THEN
			RETURN false;
		END IF;
	END LOOP;
	RETURN true;
END
$$;

-- score >= threshold, with the tolerance of the contract
CREATE FUNCTION laws.reaches(score float8, threshold float8) RETURNS boolean
LANGUAGE sql IMMUTABLE AS
$$ SELECT score >= threshold - 1e-9 * greatest(1, abs(threshold)) $$;

-- 1 for A+ down to 13 for F
CREATE FUNCTION laws.grade_rank(grade text) RETURNS int
LANGUAGE sql IMMUTABLE STRICT AS
$$
	SELECT array_position(ARRAY['A+', 'A', 'A-', 'B+', 'B', 'B-', 'C+', 'C',
		'C-', 'D+', 'D', 'D-', 'F'], grade)
$$;

CREATE FUNCTION laws.grade_of(version int, fit float8) RETURNS text
LANGUAGE sql STABLE AS
$$
	SELECT b.label FROM laws.o_band b
	WHERE b.version = $1 AND b.dimension = 'fit'
	AND laws.reaches($2, b.minimum)
	ORDER BY b.minimum DESC LIMIT 1
$$;

-- The standard name of a criterion: the aliases that are known here.
CREATE FUNCTION laws.criterion(name text) RETURNS text
LANGUAGE sql IMMUTABLE AS
$$
	SELECT CASE lower(name)
		WHEN 'money' THEN 'budget'
		WHEN 'timeline' THEN 'timing'
		WHEN 'pain' THEN 'challenges'
		ELSE lower(name) END
$$;

-- What an assessment says, as text or as an object, as criterion => level.
CREATE FUNCTION laws.levels(assessment jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE STRICT AS
$$
DECLARE
	names constant text[] := '{no,weak,partial,yes}';
	levels jsonb := '{}';
	a record;
BEGIN
	FOR a IN
		SELECT split_part(x, '=', 1) AS criterion, split_part(x, '=', 2) AS name
		FROM unnest(string_to_array(assessment #>> '{}', ', ')) AS x
		WHERE jsonb_typeof(assessment) = 'string'
		UNION ALL
		SELECT x.key, x.value
		FROM jsonb_each_text(CASE jsonb_typeof(assessment)
			WHEN 'object' THEN assessment ELSE '{}' END) AS x
	LOOP
		IF NOT a.name = ANY (names) THEN
			RAISE 'the oracle cannot read the assessment %', assessment;
		END IF;
		levels := levels || jsonb_build_object(a.criterion,
			array_position(names, a.name) - 1);
	END LOOP;
	RETURN levels;
END
$$;

-- Reads the published versions. The newest effective from the beginning hides
-- all before it.
CREATE PROCEDURE laws.load_versions(p_pipeline text)
LANGUAGE plpgsql AS
$$
BEGIN
	DELETE FROM laws.o_version;
	DELETE FROM laws.o_dimension;
	DELETE FROM laws.o_rule;
	DELETE FROM laws.o_stage;
	DELETE FROM laws.o_gate;
	DELETE FROM laws.o_atom;
	DELETE FROM laws.o_framework;
	DELETE FROM laws.o_criterion;
	DELETE FROM laws.o_exclusion;
	DELETE FROM laws.o_list;
	DELETE FROM laws.o_band;

	INSERT INTO laws.o_version
	SELECT v.version, v.effective_from
	FROM lead_qualify.version v
	WHERE v.pipeline = p_pipeline
	AND v.version >= (
		SELECT max(b.version) FROM lead_qualify.version b
		WHERE b.pipeline = p_pipeline AND b.effective_from = '-infinity');

	INSERT INTO laws.o_dimension
	SELECT v.version, d.dimension, d.minimum, d.maximum,
		coalesce(d.weight, 1)
	FROM lead_qualify.version v
	JOIN laws.o_version o USING (version),
	jsonb_to_recordset(v.config->'dimensions') AS d(dimension text,
		minimum float8, maximum float8, weight float8)
	WHERE v.pipeline = p_pipeline;

	INSERT INTO laws.o_rule
	SELECT v.version, r.name, r.dimension, r.applies_to, r.activity_type,
		r.condition, r.points, r.decay, laws.microseconds(r.period),
		r.at_most, r.per, r.per_value, r.at_least,
		laws.microseconds(r."within"), r.max_points,
		laws.levels(nullif(r.answers, 'null'))
	FROM lead_qualify.version v
	JOIN laws.o_version o USING (version),
	jsonb_to_recordset(v.config->'rules') AS r(name text, dimension text,
		applies_to text, activity_type text, condition text, points float8,
		decay text, period interval, at_most int, per text, per_value text,
		at_least int, "within" interval, max_points float8, answers jsonb,
		enabled boolean)
	WHERE v.pipeline = p_pipeline AND r.enabled;

	INSERT INTO laws.o_stage
	SELECT v.version, s.stage, s.position, s.kind,
		s.kind IN ('lead', 'mql', 'sal', 'sql', 'opportunity', 'won')
	FROM lead_qualify.version v
	JOIN laws.o_version o USING (version),
	jsonb_to_recordset(v.config->'stages') AS s(stage text, position int,
		kind text)
	WHERE v.pipeline = p_pipeline;

	INSERT INTO laws.o_gate
	SELECT v.version, g.stage, g.name, g.from_stages, g.min_total,
		g.min_engagement, g.min_fit, g.min_grade, g.framework,
		g.activity_type, g.condition, laws.microseconds(g.after),
		laws.microseconds(g.idle), g.keep_total, g.keep_engagement,
		g.fallback_stage, g.automatic, s.position,
		g.min_total IS NULL AND g.min_engagement IS NULL
		AND g.framework IS NULL AND g.activity_type IS NULL
		AND (coalesce(g.after, g.idle) IS NULL
			OR NOT laws.reading('wait_is_news')::boolean)
		AND coalesce(g.condition, '') !~ '(times|since_last|points)\('
	FROM lead_qualify.version v
	JOIN laws.o_version o USING (version),
	jsonb_to_recordset(v.config->'gates') AS g(stage text, name text,
		from_stages text[], min_total float8, min_engagement float8,
		min_fit float8, min_grade text, framework text, activity_type text,
		condition text, after interval, idle interval, keep_total float8,
		keep_engagement float8, fallback_stage text, automatic boolean,
		enabled boolean)
	JOIN laws.o_stage s ON s.stage = g.stage
	WHERE v.pipeline = p_pipeline AND g.enabled
	AND s.version = v.version AND s.on_path;

	UPDATE laws.o_version v SET clock = (
		SELECT string_agg(concat_ws('/', g.stage, g.name,
			g.from_stages::text, 'a' || g.after_us, 'i' || g.idle_us,
			't' || g.keep_total, 'e' || g.keep_engagement,
			g.fallback_stage, g.automatic), ' ' ORDER BY g.stage, g.name)
		FROM laws.o_gate g WHERE g.version = v.version
		AND coalesce(g.after_us, g.idle_us, g.keep_total, g.keep_engagement)
			IS NOT NULL);
	-- one that a later one of the same time hides is never in force
	UPDATE laws.o_version v SET visits = v.clock IS DISTINCT FROM b.clock
	FROM laws.o_version b
	WHERE b.version = (SELECT max(x.version) FROM laws.o_version x
		WHERE x.effective_from < v.effective_from)
	AND v.version = (SELECT max(x.version) FROM laws.o_version x
		WHERE x.effective_from <= v.effective_from);

	-- a gate's condition in its parts, each of a form known here
	INSERT INTO laws.o_atom
	SELECT g.version, g.stage, g.name, a.atom,
		CASE WHEN f.part IS NULL THEN 'lead' ELSE f.part[1] END,
		f.part[2], f.part[4],
		CASE WHEN f.part[1] = 'since_last'
			THEN laws.microseconds((f.part[6])::interval)
			ELSE (f.part[5])::float8 END,
		laws.microseconds((f.part[3])::interval)
	FROM laws.o_gate g,
	unnest(string_to_array(g.condition, ' AND ')) AS a(atom)
	CROSS JOIN LATERAL (SELECT regexp_match(a.atom,
		'^lead_qualify\.(times|since_last|points)\(''(\w+)'''
		'(?:, interval ''([^'']+)'')?\) (>=|<) '
		'(?:([0-9.]+)|interval ''([^'']+)'')$')) AS f(part)
	WHERE g.condition IS NOT NULL;

	-- the frameworks as they were when the version was published
	INSERT INTO laws.o_framework
	SELECT v.version, f.framework, f.min_met, f.min_score
	FROM lead_qualify.version v
	JOIN laws.o_version o USING (version),
	jsonb_to_recordset(v.config->'frameworks') AS f(framework text,
		min_met int, min_score float8)
	WHERE v.pipeline = p_pipeline;

	INSERT INTO laws.o_criterion
	SELECT v.version, c.framework, c.criterion, c.weight, c.required, c.met_at
	FROM lead_qualify.version v
	JOIN laws.o_version o USING (version),
	jsonb_to_recordset(v.config->'criteria') AS c(framework text,
		criterion text, weight float8, required boolean, met_at int)
	WHERE v.pipeline = p_pipeline;

	INSERT INTO laws.o_exclusion
	SELECT v.version, e.name, e.condition, e.scored
	FROM lead_qualify.version v
	JOIN laws.o_version o USING (version),
	jsonb_to_recordset(v.config->'exclusions') AS e(name text,
		condition text, scored boolean)
	WHERE v.pipeline = p_pipeline;

	INSERT INTO laws.o_list
	SELECT v.version, l.list, l.value
	FROM lead_qualify.version v
	JOIN laws.o_version o USING (version),
	jsonb_to_recordset(v.config->'lists') AS l(list text, value text)
	WHERE v.pipeline = p_pipeline;

	INSERT INTO laws.o_band
	SELECT v.version, b.dimension, b.label, b.minimum
	FROM lead_qualify.version v
	JOIN laws.o_version o USING (version),
	jsonb_to_recordset(v.config->'bands') AS b(dimension text, label text,
		minimum float8)
	WHERE v.pipeline = p_pipeline;
END
$$;

-- Reads leads, images, fixed history rows, activities and answers of a pipeline
-- into o_lead, o_image, o_activity and the manual and attached rows of o_event.
CREATE PROCEDURE laws.load_rows(p_pipeline text, p_clock timestamptz)
LANGUAGE plpgsql AS
$$
DECLARE
	p record;
	s record;
	side text;
	at_type regtype;
	happened text;
BEGIN
	DELETE FROM laws.o_lead;
	DELETE FROM laws.o_image;
	DELETE FROM laws.o_activity;
	DELETE FROM laws.o_event;
	DELETE FROM laws.o_match;
	DELETE FROM laws.o_answer;
	DELETE FROM laws.o_value;
	DELETE FROM laws.o_known;
	DELETE FROM laws.o_truth;
	DELETE FROM laws.o_state;
	DELETE FROM laws.o_path;
	DELETE FROM laws.o_due;
	DELETE FROM laws.o_probe;

	SELECT * INTO STRICT p FROM lead_qualify.pipeline
	WHERE pipeline = p_pipeline;
	side := format('%I.%%I', p.leads_schema);

	-- A lead without a creation column begins when the side row says.
	EXECUTE format(
		'INSERT INTO laws.o_lead
		 SELECT l.%1$I::text, %2$s, l.start_stage, h.lead IS NOT NULL,
			l.employees, l.industry
		 FROM %3$I.%4$I l
		 JOIN %5$s q ON q.lead = l.%1$I
		 LEFT JOIN (SELECT DISTINCT lead FROM %6$s
			WHERE cause = ''attached'' AND superseded_at IS NULL) h
			ON h.lead = l.%1$I',
		p.lead_key,
		CASE WHEN p.created_at IS NULL THEN 'q.lead_since'
			ELSE format('l.%I', p.created_at) END,
		p.leads_schema, p.leads_table,
		format(side, p.prefix || '_qualification'),
		format(side, p.prefix || '_stage_history'));

	EXECUTE format(
		'INSERT INTO laws.o_image
		 SELECT i.lead::text, i.changed_at,
			row_number() OVER (PARTITION BY i.lead ORDER BY i.changed_at),
			i.values
		 FROM %s i JOIN laws.o_lead l ON l.lead = i.lead::text',
		format(side, p.prefix || '_attributes'));

	FOR s IN SELECT * FROM lead_qualify.source
		WHERE pipeline = p_pipeline ORDER BY number
	LOOP
		SELECT a.atttypid INTO STRICT at_type FROM pg_attribute a
		WHERE a.attrelid = format('%I.%I', s.activities_schema,
			s.activities_table)::regclass AND a.attname = s.activity_at;
		happened := CASE at_type
			WHEN 'timestamptz'::regtype THEN format('a.%I', s.activity_at)
			ELSE format('(a.%I::timestamp AT TIME ZONE %L)', s.activity_at,
				coalesce(s.time_zone, p.time_zone)) END;
		EXECUTE format(
			'INSERT INTO laws.o_activity
			 SELECT l.lead, %1$s, 2, %2$s,
				CASE WHEN pg_typeof(a.%3$I) IN (''bigint'', ''integer'')
					THEN a.%3$I::text::numeric END,
				a.%3$I::text, %4$s, a.amount, a.campaign,
				a.properties->>''page''
			 FROM %5$I.%6$I a
			 JOIN laws.o_lead l ON l.lead = a.%7$I::text
			 WHERE %1$s <= %8$L AND (%9$s)',
			happened, s.number, s.activity_key,
			coalesce(quote_literal(s.type_value),
				format('a.%I::text', s.activity_type)),
			s.activities_schema, s.activities_table, s.activity_lead,
			p_clock, coalesce(s.filter, 'true'));
	END LOOP;

	EXECUTE format(
		'INSERT INTO laws.o_activity (lead, at, kind, source, key_number,
			answers)
		 SELECT l.lead, a.answered_at, 3, 0, a.id,
			coalesce(laws.levels(to_jsonb(a.assessment::text)),
				jsonb_build_object(laws.criterion(a.withdrawn), NULL))
		 FROM %s a JOIN laws.o_lead l ON l.lead = a.lead::text
		 WHERE a.answered_at <= %L', format(side, p.prefix || '_answers'),
		p_clock);

	-- n = id for the time being: fixed rows come numbered
	EXECUTE format(
		'INSERT INTO laws.o_event (lead, n, at, kind, stage, from_stage,
			history)
		 SELECT h.lead::text, -row_number() OVER (PARTITION BY h.lead
				ORDER BY h.id),
			coalesce(h.entered_at, h.recorded_at),
			CASE h.cause WHEN ''attached'' THEN -1 ELSE 4 END, h.stage,
			h.from_stage, h.id
		 FROM %s h JOIN laws.o_lead l ON l.lead = h.lead::text
		 WHERE h.cause IN (''manual'', ''attached'') AND h.gate IS NULL
		 AND h.superseded_at IS NULL',
		format(side, p.prefix || '_stage_history'));
END
$$;

-- Turns rows into numbered events, each with the version in force and the
-- lead's columns as known then.
CREATE PROCEDURE laws.order_events()
LANGUAGE plpgsql AS
$$
BEGIN
	-- o_event holds the fixed rows; add the others, then number all anew
	DELETE FROM laws.o_raw;
	INSERT INTO laws.o_raw (lead, at, kind, stage, from_stage, history)
	SELECT lead, at, kind, stage, from_stage, history FROM laws.o_event;

	INSERT INTO laws.o_raw (lead, at, kind)
	SELECT lead, at, 1 FROM laws.o_image WHERE number > 1;

	INSERT INTO laws.o_raw (lead, at, kind, source, key_number, key, type,
		amount, campaign, page, answers)
	SELECT lead, at, kind, source, key_number, key, type, amount, campaign,
		page, answers
	FROM laws.o_activity;

	INSERT INTO laws.o_raw (lead, at, kind, stage)
	SELECT l.lead, least(l.life, r.first), 0, l.start_stage
	FROM laws.o_lead l
	LEFT JOIN (SELECT lead, min(at) AS first FROM laws.o_raw GROUP BY lead) r
		ON r.lead = l.lead
	WHERE NOT l.attached;

	DELETE FROM laws.o_event;
	INSERT INTO laws.o_event (lead, n, at, at_us, kind, source, key, type,
		amount, campaign, page, answers, stage, from_stage, history, version)
	SELECT r.lead, row_number() OVER (PARTITION BY r.lead
			ORDER BY r.at, r.kind, r.source, r.key_number,
			r.key COLLATE "C", r.history),
		r.at, laws.epoch(r.at), r.kind, r.source, r.key, r.type, r.amount,
		r.campaign, r.page, r.answers, r.stage, r.from_stage, r.history,
		(SELECT max(v.version) FROM laws.o_version v
		 WHERE v.effective_from <= r.at)
	FROM laws.o_raw r;

	-- the newest image that has the column, else the first one that has it
	UPDATE laws.o_event e SET
		employees = CASE WHEN i.employees IS NULL THEN l.employees
			ELSE (i.employees->>'employees')::int END,
		industry = CASE WHEN i.industry IS NULL THEN l.industry
			ELSE i.industry->>'industry' END
	FROM laws.o_lead l, laws.o_event s
	LEFT JOIN LATERAL (
		SELECT
			(SELECT x.values FROM laws.o_image x
			 WHERE x.lead = s.lead AND x.values ? 'employees'
			 ORDER BY x.at <= s.at DESC,
				CASE WHEN x.at <= s.at THEN -x.number ELSE x.number END
			 LIMIT 1) AS employees,
			(SELECT x.values FROM laws.o_image x
			 WHERE x.lead = s.lead AND x.values ? 'industry'
			 ORDER BY x.at <= s.at DESC,
				CASE WHEN x.at <= s.at THEN -x.number ELSE x.number END
			 LIMIT 1) AS industry) i ON true
	WHERE s.lead = e.lead AND s.n = e.n AND l.lead = e.lead;

	UPDATE laws.o_event e SET excluded = x.excluded, unscored = x.unscored
	FROM (
		SELECT s.lead, s.n, coalesce(bool_or(h.holds), false) AS excluded,
			coalesce(bool_or(h.holds AND NOT h.scored), false) AS unscored
		FROM laws.o_event s
		LEFT JOIN LATERAL (
			SELECT c.scored, laws.lead_holds(c.condition, s.version,
				s.employees, s.industry) AS holds
			FROM laws.o_exclusion c WHERE c.version = s.version) h ON true
		GROUP BY s.lead, s.n) x
	WHERE x.lead = e.lead AND x.n = e.n;

	-- a cycle begins with each entry into a stage of kind recycled: by hand,
	-- as no gate leads there; idle counts from the newest activity, else from
	-- the beginning
	UPDATE laws.o_event e SET cycle = x.cycle, cycle_n = x.cycle_n,
		active_at = x.active_at
	FROM (
		SELECT s.lead, s.n,
			1 + count(*) FILTER (WHERE k.begins) OVER w AS cycle,
			coalesce(max(s.n) FILTER (WHERE k.begins) OVER w, 0) AS cycle_n,
			coalesce(max(s.at) FILTER (WHERE s.kind = 2) OVER w,
				least(l.life, min(s.at) OVER (PARTITION BY s.lead)))
				AS active_at
		FROM laws.o_event s
		JOIN laws.o_lead l ON l.lead = s.lead
		CROSS JOIN LATERAL (SELECT (s.kind = 4 OR s.kind <= 0
				AND laws.reading('created_recycled_cycle')::boolean)
			AND EXISTS (SELECT FROM laws.o_stage g
				WHERE g.version = s.version AND g.stage = s.stage
				AND g.kind = 'recycled') AS begins) k
		WINDOW w AS (PARTITION BY s.lead ORDER BY s.n)) x
	WHERE x.lead = e.lead AND x.n = e.n;
END
$$;

-- Which activities match and which of them count: first at_least, then the
-- cap; max_points is held later, over the sum.
CREATE PROCEDURE laws.match_rules(p_pipeline text)
LANGUAGE plpgsql AS
$$
DECLARE
	zone constant text := (SELECT p.time_zone FROM lead_qualify.pipeline p
		WHERE p.pipeline = p_pipeline);
	m record;
	run text;
	waiting bigint[];
	matched bigint[];
BEGIN
	INSERT INTO laws.o_match
	SELECT e.lead, r.name, e.n, e.at, e.at_us, e.version, e.cycle,
		r.dimension, r.points, r.decay,
		r.period_us, r.at_most,
		CASE r.per
			WHEN 'day' THEN date_trunc('day', e.at AT TIME ZONE zone)
			WHEN 'week' THEN date_trunc('week', e.at AT TIME ZONE zone)
			WHEN 'month' THEN
				date_trunc('month', e.at AT TIME ZONE zone)
		END,
		CASE r.per_value
			WHEN 'campaign' THEN e.campaign
			WHEN 'properties->>''page''' THEN e.page
		END,
		r.at_least, r.within_us, r.max_points,
		r.at_least IS NULL AND NOT e.unscored, e.unscored, false
	FROM laws.o_event e
	JOIN laws.o_rule r ON r.version = e.version
		AND r.applies_to = 'activity'
		AND (r.activity_type IS NULL OR r.activity_type = e.type)
	WHERE e.kind = 2
	AND laws.activity_holds(r.condition, e.version, e.amount, e.campaign,
		e.page)
	AND (NOT e.unscored OR laws.reading('unscored') = 'signal');

	-- the n-th match inside `within` scores, and the count starts anew
	FOR m IN SELECT lead, rule, n, at_us, cycle, at_least, within_us
		FROM laws.o_match WHERE at_least IS NOT NULL AND NOT unscored
		ORDER BY lead, rule, n
	LOOP
		IF run IS DISTINCT FROM concat_ws(chr(1), m.lead, m.rule, m.cycle)
		THEN
			run := concat_ws(chr(1), m.lead, m.rule, m.cycle);
			waiting := '{}';
		END IF;
		SELECT array_agg(w ORDER BY w) INTO matched
		FROM unnest(waiting || m.at_us) AS w
		WHERE m.within_us IS NULL OR m.at_us - w <= m.within_us;
		IF cardinality(matched) >= m.at_least THEN
			UPDATE laws.o_match SET passes = true
			WHERE lead = m.lead AND rule = m.rule AND n = m.n;
			waiting := '{}';
		ELSE
			waiting := matched;
		END IF;
	END LOOP;

	UPDATE laws.o_match o SET counted = true
	FROM (SELECT lead, rule, n, row_number() OVER (
			PARTITION BY lead, rule, cycle, bucket, value ORDER BY n) AS nth
		FROM laws.o_match WHERE passes) c
	WHERE c.lead = o.lead AND c.rule = o.rule AND c.n = o.n
	AND (o.at_most IS NULL OR c.nth <= o.at_most);
END
$$;

-- What each event answers: an answer what it says, an activity what the rules
-- say that it matches, whether or not they score.
CREATE PROCEDURE laws.collect_answers()
LANGUAGE plpgsql AS
$$
BEGIN
	INSERT INTO laws.o_answer
	SELECT e.lead, e.n, '', e.at, a.key, a.value::int
	FROM laws.o_event e, jsonb_each_text(e.answers) AS a
	WHERE e.kind = 3;

	INSERT INTO laws.o_answer
	SELECT e.lead, e.n, r.name, e.at, a.key, a.value::int
	FROM laws.o_event e
	JOIN laws.o_rule r ON r.version = e.version
		AND r.applies_to = 'activity'
		AND (r.activity_type IS NULL OR r.activity_type = e.type),
	jsonb_each_text(r.answers) AS a
	WHERE e.kind = 2
	AND laws.activity_holds(r.condition, e.version, e.amount, e.campaign,
		e.page);
END
$$;

-- Probes at a lead's events from p_n on, or at all events of all leads.
-- Returns the first.
CREATE FUNCTION laws.add_probes(p_lead text = NULL, p_n int = 1,
	p_mark timestamptz = NULL, p_mark_n int = NULL,
	p_points_mark timestamptz = NULL) RETURNS int
LANGUAGE plpgsql AS
$$
DECLARE
	before constant int := (SELECT coalesce(max(p.id), 0) FROM laws.o_probe p);
BEGIN
	INSERT INTO laws.o_probe (lead, n, visit, at, t_us, mark, mark_n,
		points_mark, version, cycle_n, employees, industry, excluded,
		unscored)
	SELECT e.lead, e.n, 0, e.at, e.at_us, p_mark, p_mark_n, p_points_mark,
		e.version, e.cycle_n, e.employees, e.industry, e.excluded, e.unscored
	FROM laws.o_event e
	WHERE p_lead IS NULL OR (e.lead = p_lead AND e.n >= p_n);
	RETURN before + 1;
END
$$;

-- Whether what happened at an event is newer than a probe's mark, if any.
CREATE FUNCTION laws.newer(p laws.o_probe, at timestamptz, n int)
RETURNS boolean
LANGUAGE sql STABLE AS
$$
	SELECT p.mark IS NULL OR at > p.mark
		OR n > p.mark_n AND laws.reading('newer') = 'order'
$$;

-- Every dimension, the total and the assessment for the probes from p_first on.
CREATE PROCEDURE laws.measure(p_first int)
LANGUAGE plpgsql AS
$$
BEGIN
	WITH worth AS (
		SELECT p.id, m.dimension, m.rule, m.max_points,
			CASE m.decay
				WHEN 'none' THEN m.points
				WHEN 'exponential' THEN
					m.points * power(2::float8, -(p.t_us - m.at_us) / m.period_us)
				WHEN 'linear' THEN m.points
					* greatest(0, 1 - (p.t_us - m.at_us) / m.period_us)
				WHEN 'window' THEN CASE WHEN p.t_us - m.at_us < m.period_us
					THEN m.points ELSE 0 END
			END AS worth
		FROM laws.o_probe p
		JOIN laws.o_match m ON m.lead = p.lead AND m.n <= p.n
			AND m.n > p.cycle_n AND m.counted
			AND (p.points_mark IS NULL OR m.at > p.points_mark)
		WHERE p.id >= p_first),
	per_rule AS (
		SELECT id, dimension, rule,
			greatest(-max(max_points), least(max(max_points),
				sum(worth))) AS worth,
			sum(abs(worth)) AS magnitude
		FROM worth GROUP BY id, dimension, rule
		UNION ALL
		SELECT p.id, r.dimension, r.name, r.points, abs(r.points)
		FROM laws.o_probe p
		JOIN laws.o_rule r ON r.version = p.version
			AND r.applies_to = 'lead'
		WHERE p.id >= p_first AND NOT p.unscored
		AND laws.lead_holds(r.condition, p.version, p.employees,
			p.industry)),
	per_dimension AS (
		SELECT id, dimension, sum(worth) AS worth,
			sum(magnitude) AS magnitude
		FROM per_rule GROUP BY id, dimension)
	INSERT INTO laws.o_value
	SELECT p.id, d.dimension,
		greatest(d.minimum, least(d.maximum, coalesce(s.worth, 0))),
		coalesce(s.magnitude, 0)
	FROM laws.o_probe p
	JOIN laws.o_dimension d ON d.version = p.version
		AND d.dimension <> 'total'
	LEFT JOIN per_dimension s ON s.id = p.id AND s.dimension = d.dimension
	WHERE p.id >= p_first;

	INSERT INTO laws.o_value
	SELECT t.id, 'total', greatest(d.minimum, least(d.maximum, t.value)),
		t.magnitude
	FROM (
		SELECT p.id, p.version, sum(d.weight * v.value) AS value,
			sum(abs(d.weight) * v.magnitude) AS magnitude
		FROM laws.o_probe p
		JOIN laws.o_value v ON v.probe = p.id
		JOIN laws.o_dimension d ON d.version = p.version
			AND d.dimension = v.dimension
		WHERE p.id >= p_first
		GROUP BY p.id, p.version) t
	LEFT JOIN laws.o_dimension d ON d.version = t.version
		AND d.dimension = 'total';

	-- of each criterion what was said last; under a mark, after it
	INSERT INTO laws.o_known
	SELECT p.id, k.criterion, k.level
	FROM laws.o_probe p
	CROSS JOIN LATERAL (
		SELECT DISTINCT ON (a.criterion) a.criterion, a.level
		FROM laws.o_answer a
		WHERE a.lead = p.lead AND a.n <= p.n
		AND laws.newer(p, a.at, a.n)
		ORDER BY a.criterion, a.n DESC, a.rule DESC) k
	WHERE p.id >= p_first AND k.level IS NOT NULL;
END
$$;

-- A probe's assessment as the type writes it.
CREATE FUNCTION laws.assessment(probe int) RETURNS text
LANGUAGE sql STABLE AS
$$
	SELECT coalesce(string_agg(k.criterion || '='
			|| (ARRAY['no', 'weak', 'partial', 'yes'])[k.level + 1], ', '
			ORDER BY k.criterion COLLATE "C"), '')
	FROM laws.o_known k WHERE k.probe = $1
$$;

-- Whether a probe's assessment qualifies for a framework, named in any case.
CREATE FUNCTION laws.qualifies(probe int, version int, framework text)
RETURNS boolean
LANGUAGE plpgsql STABLE AS
$$
DECLARE
	f record;
	c record;
BEGIN
	SELECT * INTO STRICT f FROM laws.o_framework o
	WHERE o.version = qualifies.version
	AND lower(o.framework) = lower(qualifies.framework)
	ORDER BY o.framework = qualifies.framework DESC LIMIT 1;
	SELECT count(*) AS criteria,
		count(*) FILTER (WHERE k.level >= o.met_at) AS met,
		count(*) FILTER (WHERE o.required AND
			coalesce(k.level < o.met_at, true)) AS missing,
		100 * sum(o.weight * coalesce(k.level, 0)) / (3 * sum(o.weight))
			AS score
	INTO c
	FROM laws.o_criterion o
	LEFT JOIN laws.o_known k ON k.probe = qualifies.probe
		AND k.criterion = o.criterion
	WHERE o.version = qualifies.version AND o.framework = f.framework;
	RETURN c.met >= coalesce(f.min_met, c.criteria) AND c.missing = 0
		AND (f.min_score IS NULL OR laws.reaches(c.score, f.min_score));
END
$$;

-- Whether each part of each gate's condition, and so each gate, holds for the
-- probes from p_first on; the present stage is not looked at here, nor how
-- long the lead has waited.
CREATE PROCEDURE laws.judge_gates(p_first int)
LANGUAGE plpgsql AS
$$
BEGIN
	INSERT INTO laws.o_truth
	SELECT p.id, g.stage, g.name, k.met,
		k.met AND g.automatic AND NOT p.excluded, g.automatic, g.position,
		g.from_stages, g.after_us, g.idle_us
	FROM laws.o_probe p
	JOIN laws.o_gate g ON g.version = p.version
	JOIN (
		SELECT probe, max(value) FILTER (WHERE dimension = 'total') AS total,
			max(value) FILTER (WHERE dimension = 'engagement') AS engagement,
			max(value) FILTER (WHERE dimension = 'fit') AS fit
		FROM laws.o_value WHERE probe >= p_first GROUP BY probe) v
		ON v.probe = p.id
	CROSS JOIN LATERAL (SELECT
		(g.min_total IS NULL OR laws.reaches(v.total, g.min_total))
		AND (g.min_engagement IS NULL
			OR laws.reaches(v.engagement, g.min_engagement))
		AND (g.min_fit IS NULL OR laws.reaches(v.fit, g.min_fit))
		AND (g.min_grade IS NULL OR coalesce(
			laws.grade_rank(laws.grade_of(p.version, v.fit))
				<= laws.grade_rank(g.min_grade), false))
		AND (g.framework IS NULL
			OR laws.qualifies(p.id, p.version, g.framework))
		AND (g.activity_type IS NULL OR EXISTS (
			SELECT FROM laws.o_event a
			WHERE a.lead = p.lead AND a.n <= p.n AND a.n > p.cycle_n
			AND a.kind = 2 AND a.type = g.activity_type
			AND (laws.reading('activity_type') = 'any' OR EXISTS (
				SELECT FROM laws.o_gate n WHERE n.version = a.version
				AND n.activity_type = a.type))
			AND laws.newer(p, a.at, a.n)))
		AND (p.mark IS NULL OR NOT g.facts_only OR EXISTS (
			SELECT FROM laws.o_event a
			WHERE a.lead = p.lead AND a.n <= p.n AND a.kind = 1
			AND a.at > p.mark))
		AND (g.condition IS NULL OR (
			SELECT bool_and(coalesce(CASE
				WHEN a.kind = 'lead' THEN laws.lead_holds(a.atom, p.version,
					p.employees, p.industry)
				WHEN a.comparison = '>=' THEN x.found >= a.number
				ELSE x.found < a.number END, false))
			FROM laws.o_atom a
			CROSS JOIN LATERAL (SELECT CASE a.kind
				WHEN 'times' THEN (
					SELECT count(*) FROM laws.o_match m
					WHERE m.lead = p.lead AND m.rule = a.subject
					AND m.n <= p.n AND m.n > p.cycle_n
					AND CASE WHEN a.within_us IS NULL
						THEN laws.newer(p, m.at, m.n)
						ELSE p.mark IS NULL OR m.at > p.mark END
					AND (a.within_us IS NULL
						 OR p.t_us - m.at_us < a.within_us
						 OR (p.t_us - m.at_us = a.within_us AND
							 laws.reading('times_inclusive')::boolean)))
				WHEN 'since_last' THEN p.t_us - (
					SELECT max(m.at_us) FROM laws.o_match m
					WHERE m.lead = p.lead AND m.rule = a.subject
					AND m.n <= p.n AND m.n > p.cycle_n
					AND (p.mark IS NULL OR m.at > p.mark))
				WHEN 'points' THEN (
					SELECT y.value FROM laws.o_value y
					WHERE y.probe = p.id AND y.dimension = a.subject)
				END::float8 AS found) x
			WHERE a.version = g.version AND a.stage = g.stage
			AND a.name = g.name)) AS met) k
	WHERE p.id >= p_first;
END
$$;

-- Whether a gate's after and idle are over.
CREATE FUNCTION laws.waited(at timestamptz, since timestamptz,
	active timestamptz, after_us bigint, idle_us bigint) RETURNS boolean
LANGUAGE sql IMMUTABLE AS
$$
	SELECT coalesce(laws.epoch(at) - laws.epoch(since) >= after_us, true)
		AND coalesce(laws.epoch(at) - laws.epoch(active) >= idle_us, true)
$$;

-- What a lead's scores cannot be less than anywhere between two times, if
-- nothing happens: what falls is least at the end, what rises at the
-- beginning, and limits keep that order. Of a single moment it is the score.
CREATE FUNCTION laws.least_scores(probe laws.o_probe, a_us float8,
	b_us float8, OUT total float8, OUT engagement float8)
LANGUAGE plpgsql STABLE AS
$$
BEGIN
	WITH worth AS (
		SELECT m.dimension, m.rule, m.max_points, m.points * CASE m.decay
				WHEN 'none' THEN 1
				WHEN 'exponential' THEN
					power(2::float8, -(x.t - m.at_us) / m.period_us)
				WHEN 'linear' THEN greatest(0,
					1 - (x.t - m.at_us) / m.period_us)
				WHEN 'window' THEN
					CASE WHEN x.t - m.at_us < m.period_us THEN 1 ELSE 0 END
			END AS worth, x.low
		FROM laws.o_match m
		CROSS JOIN LATERAL (VALUES
			(CASE WHEN m.points > 0 THEN b_us ELSE a_us END, true),
			(CASE WHEN m.points > 0 THEN a_us ELSE b_us END, false))
			AS x(t, low)
		WHERE m.lead = probe.lead AND m.n <= probe.n
		AND m.n > probe.cycle_n AND m.counted),
	per_rule AS (
		SELECT w.dimension, greatest(-max(w.max_points),
			least(max(w.max_points), sum(w.worth))) AS worth, w.low
		FROM worth w GROUP BY w.dimension, w.rule, w.low
		UNION ALL
		SELECT r.dimension, r.points, x.low
		FROM laws.o_rule r, (VALUES (true), (false)) AS x(low)
		WHERE r.version = probe.version AND r.applies_to = 'lead'
		AND NOT probe.unscored
		AND laws.lead_holds(r.condition, probe.version, probe.employees,
			probe.industry)),
	per_dimension AS (
		SELECT d.dimension, d.weight, x.low, greatest(d.minimum,
			least(d.maximum, coalesce(sum(r.worth), 0))) AS value
		FROM laws.o_dimension d
		CROSS JOIN (VALUES (true), (false)) AS x(low)
		LEFT JOIN per_rule r ON r.dimension = d.dimension AND r.low = x.low
		WHERE d.version = probe.version AND d.dimension <> 'total'
		GROUP BY d.dimension, d.weight, d.minimum, d.maximum, x.low)
	SELECT greatest((SELECT t.minimum FROM laws.o_dimension t
				WHERE t.version = probe.version AND t.dimension = 'total'),
			least((SELECT t.maximum FROM laws.o_dimension t
				WHERE t.version = probe.version AND t.dimension = 'total'),
			sum(p.weight * p.value) FILTER (WHERE p.low = (p.weight >= 0)))),
		max(p.value) FILTER (WHERE p.dimension = 'engagement' AND p.low)
	INTO total, engagement
	FROM per_dimension p;
END
$$;

-- The first whole millisecond from one time to another at which a score is
-- below what is to be kept; NULL if there is none. Halves the time where
-- the scores might be, the earlier half first.
CREATE FUNCTION laws.crossing(p_probe int, keep_total float8,
	keep_engagement float8, p_from timestamptz, p_until timestamptz)
RETURNS timestamptz
LANGUAGE plpgsql STABLE AS
$$
DECLARE
	probe laws.o_probe;
	a bigint := (laws.epoch(p_from) + 999) / 1000;
	b bigint := laws.epoch(p_until) / 1000;
	ends bigint[] := ARRAY[b];
	found record;
	looks int := 0;
BEGIN
	SELECT * INTO STRICT probe FROM laws.o_probe p WHERE p.id = p_probe;
	WHILE cardinality(ends) > 0 AND a <= ends[1]
	LOOP
		b := ends[cardinality(ends)];
		looks := looks + 1;
		IF looks > 20000 THEN
			RAISE 'too many looks for a crossing of lead %', probe.lead;
		END IF;
		SELECT * INTO found FROM laws.least_scores(probe, a * 1000.0::float8,
			b * 1000.0::float8);
		IF coalesce(laws.reaches(found.total, keep_total), true)
			AND coalesce(laws.reaches(found.engagement, keep_engagement), true)
		THEN
			a := b + 1;
			ends := ends[1:cardinality(ends) - 1];
		ELSIF a = b THEN
			RETURN laws.moment(a * 1000);
		ELSE
			ends := ends || (a + b) / 2;
		END IF;
	END LOOP;
	RETURN NULL;
END
$$;

-- The probe of a lead where it is now; marked: of what is newer than its marks.
CREATE FUNCTION laws.marked_probe(w laws.o_state) RETURNS int
LANGUAGE plpgsql AS
$$
DECLARE
	marked int;
	first int;
BEGIN
	IF w.mark IS NULL THEN
		RETURN NULL;
	END IF;
	LOOP
		SELECT p.id INTO marked FROM laws.o_probe p
		WHERE p.lead = w.lead AND p.n = w.n AND p.visit = w.visit
		AND p.mark = w.mark AND p.mark_n = w.mark_n
		AND p.points_mark IS NOT DISTINCT FROM w.points_mark;
		IF FOUND THEN
			RETURN marked;
		END IF;
		IF w.visit = 0 THEN
			-- this event and all that follow
			first := laws.add_probes(w.lead, w.n, w.mark, w.mark_n,
				w.points_mark);
		ELSE
			INSERT INTO laws.o_probe (lead, n, visit, at, t_us, mark, mark_n,
				points_mark, version, cycle_n, employees, industry, excluded,
				unscored)
			SELECT lead, n, visit, at, t_us, w.mark, w.mark_n,
				w.points_mark, version, cycle_n, employees, industry, excluded, unscored
			FROM laws.o_probe p WHERE p.id = w.probe
			RETURNING id INTO first;
		END IF;
		CALL laws.measure(first);
		CALL laws.judge_gates(first);
	END LOOP;
END
$$;

-- Whether a lead's scores are where a gate keeps them; NULL if it keeps none.
CREATE FUNCTION laws.kept(p_probe int, g laws.o_gate) RETURNS boolean
LANGUAGE sql STABLE AS
$$
	SELECT CASE WHEN coalesce(g.keep_total, g.keep_engagement) IS NOT NULL
		THEN coalesce(laws.reaches((SELECT v.value FROM laws.o_value v
				WHERE v.probe = p_probe AND v.dimension = 'total'),
				g.keep_total), true)
			AND coalesce(laws.reaches((SELECT v.value FROM laws.o_value v
				WHERE v.probe = p_probe AND v.dimension = 'engagement'),
				g.keep_engagement), true) END
$$;

CREATE FUNCTION laws.gate(p_version int, p_stage text, p_name text)
RETURNS laws.o_gate
LANGUAGE sql STABLE AS
$$
	SELECT g FROM laws.o_gate g WHERE g.version = p_version
	AND g.stage = p_stage AND g.name = p_name
$$;

-- Moves a lead and writes it down. A step back sets the marks, of which points
-- keep theirs where the score fell by itself; regaining what was left clears
-- them; a new cycle sets them for every stage.
CREATE FUNCTION laws.move(w laws.o_state, p_stage text, p_cause text,
	p_gate text = NULL, p_history bigint = NULL) RETURNS laws.o_state
LANGUAGE plpgsql AS
$$
DECLARE
	overwrite constant boolean := laws.reading('mark_overwrite')::boolean;
	old laws.o_stage;
	new laws.o_stage;
	cycle constant int := (SELECT e.cycle FROM laws.o_event e
		WHERE e.lead = w.lead AND e.n = w.n);
BEGIN
	SELECT * INTO old FROM laws.o_stage s
	WHERE s.version = w.version AND s.stage = w.stage;
	SELECT * INTO STRICT new FROM laws.o_stage s
	WHERE s.version = w.version AND s.stage = p_stage;
	w.step := w.step + 1;
	INSERT INTO laws.o_path VALUES (w.lead, w.step, p_stage, w.stage,
		CASE WHEN p_cause <> 'attached' OR p_history IS NULL THEN w.at END,
		NULL, p_cause, p_gate, p_history, w.n, w.probe, w.version, cycle);
	IF old.on_path AND (NOT new.on_path OR new.position < old.position) THEN
		w.mark := w.at;
		w.mark_n := w.n;
		w.mark_position := CASE WHEN overwrite THEN old.position
			ELSE greatest(w.mark_position, old.position) END;
		IF p_cause <> 'decay' THEN
			w.points_mark := w.at;
		END IF;
	ELSIF new.on_path AND new.position >= w.mark_position THEN
		w.mark := NULL;
		w.mark_n := NULL;
		w.points_mark := NULL;
		w.mark_position := NULL;
	END IF;
	IF cycle > w.cycle THEN
		w.active_at := w.at;
		w.mark := w.at;
		w.mark_n := w.n;
		w.points_mark := w.at;
		w.mark_position := (SELECT max(s.position) FROM laws.o_stage s
			WHERE s.version = w.version AND s.on_path);
	END IF;
	w.cycle := cycle;
	w.stage := p_stage;
	w.since := w.at;
	w.gate := p_gate;
	w.keeping := coalesce(laws.kept(w.probe, laws.gate(w.version, p_stage,
		p_gate)), false);
	RETURN w;
END
$$;

-- Since when a lead is without an activity, for a gate; a step back begins it
-- anew for what was left behind.
CREATE FUNCTION laws.idle_since(w laws.o_state, p_position int)
RETURNS timestamptz
LANGUAGE sql IMMUTABLE AS
$$
	SELECT CASE WHEN p_position <= w.mark_position
		THEN greatest(w.active_at, w.mark) ELSE w.active_at END
$$;

-- A lead that came by a gate that keeps a score falls when it was there and
-- is no longer, unless another gate of the stage takes over.
CREATE FUNCTION laws.fall(w laws.o_state) RETURNS laws.o_state
LANGUAGE plpgsql AS
$$
DECLARE
	g constant laws.o_gate := laws.gate(w.version, w.stage, w.gate);
	kept constant boolean := laws.kept(w.probe, g);
	back laws.o_stage;
	other text;
	judged int := w.probe;
BEGIN
	IF kept IS NULL OR EXISTS (SELECT FROM laws.o_stage s
		WHERE s.version = w.version AND s.stage = w.stage
		AND s.kind IN ('won', 'disqualified', 'lost'))
	THEN
		RETURN w;
	END IF;
	IF kept OR NOT w.keeping THEN
		w.keeping := kept;
		RETURN w;
	END IF;
	IF g.position <= w.mark_position AND laws.reading('takeover_facts') = 'mark'
	THEN
		judged := laws.marked_probe(w);
	END IF;
	-- one that would bring the lead back at once
	SELECT * INTO back FROM laws.o_stage s
	WHERE s.version = w.version AND s.stage = g.fallback_stage;
	SELECT t.gate INTO other FROM laws.o_truth t, laws.o_probe p
	WHERE t.probe = judged AND t.stage = w.stage AND t.gate <> w.gate
	AND t.automatic AND t.met AND p.id = judged
	AND (NOT p.excluded OR laws.reading('takeover_excluded')::boolean)
	AND coalesce(t.after_us, t.idle_us) IS NULL
	AND laws.reachable(back, t.position, t.from_stages)
	ORDER BY t.gate LIMIT 1;
	IF FOUND THEN
		w.gate := other;
		w.keeping := coalesce(laws.kept(w.probe, laws.gate(w.version,
			w.stage, other)), false);
		RETURN w;
	END IF;
	w := laws.move(w, g.fallback_stage, 'decay');
	-- a stage that keeps a score, too, binds who falls into it
	SELECT x.name INTO other FROM laws.o_gate x
	WHERE x.version = w.version AND x.stage = w.stage AND x.automatic
	AND coalesce(x.keep_total, x.keep_engagement) IS NOT NULL
	AND laws.kept(w.probe, x) ORDER BY x.name LIMIT 1;
	IF FOUND THEN
		w.gate := other;
		w.keeping := true;
	END IF;
	RETURN w;
END
$$;

-- Whether a gate could move a lead on from its stage.
CREATE FUNCTION laws.reachable(old laws.o_stage, p_position int,
	from_stages text[]) RETURNS boolean
LANGUAGE sql IMMUTABLE AS
$$
	SELECT old.kind NOT IN ('won', 'disqualified', 'lost')
		AND CASE WHEN old.on_path
			THEN p_position > old.position
				AND (from_stages IS NULL OR old.stage = ANY (from_stages))
			ELSE coalesce(old.stage = ANY (from_stages), false) END
$$;

-- The furthest stage with an open gate, by the first of its open gates; the
-- clock tests only gates that wait for it.
CREATE FUNCTION laws.rise(w laws.o_state, p_cause text, clock boolean = false)
RETURNS laws.o_state
LANGUAGE plpgsql AS
$$
DECLARE
	marked constant int := laws.marked_probe(w);
	old laws.o_stage;
	furthest record;
BEGIN
	SELECT * INTO old FROM laws.o_stage s
	WHERE s.version = w.version AND s.stage = w.stage;
	SELECT t.stage, t.gate INTO furthest
	FROM laws.o_truth t
	WHERE t.holds AND t.probe IN (w.probe, marked)
	AND t.probe = CASE WHEN t.position <= w.mark_position THEN marked
		ELSE w.probe END
	AND laws.reachable(old, t.position, t.from_stages)
	AND laws.waited(w.at, w.since, laws.idle_since(w, t.position), t.after_us,
		t.idle_us)
	AND (NOT clock OR coalesce(t.after_us, t.idle_us) IS NOT NULL)
	ORDER BY t.position DESC, t.gate LIMIT 1;
	IF FOUND THEN
		w := laws.move(w, furthest.stage, p_cause, furthest.gate);
	END IF;
	RETURN w;
END
$$;

-- When the clock comes next, if nothing happens until p_until; at the very time
-- of an event after it, but not twice at one time.
CREATE FUNCTION laws.next_visit(w laws.o_state, p_until timestamptz)
RETURNS timestamptz
LANGUAGE plpgsql STABLE AS
$$
DECLARE
	g constant laws.o_gate := laws.gate(w.version, w.stage, w.gate);
	first constant timestamptz := CASE w.visit WHEN 0 THEN w.at
		ELSE w.at + interval '1 microsecond' END;
	old laws.o_stage;
	due timestamptz;
BEGIN
	IF p_until < w.at THEN
		RETURN NULL;
	END IF;
	SELECT * INTO old FROM laws.o_stage s
	WHERE s.version = w.version AND s.stage = w.stage;
	SELECT min(v.effective_from) INTO due FROM laws.o_version v
	WHERE v.visits AND v.effective_from > w.at;
	IF old.kind NOT IN ('won', 'disqualified', 'lost') THEN
		SELECT least(due, min(d.open)) INTO due
		FROM laws.o_gate x
		CROSS JOIN LATERAL (SELECT laws.moment(greatest(
			laws.epoch(w.since) + x.after_us,
			laws.epoch(laws.idle_since(w, x.position)) + x.idle_us)) AS done) m
		-- what has waited long enough when the lead comes is visited at once
		CROSS JOIN LATERAL (SELECT CASE WHEN m.done < first AND w.since = w.at
			THEN first ELSE m.done END AS open) d
		WHERE x.version = w.version AND x.automatic
		AND coalesce(x.after_us, x.idle_us) IS NOT NULL
		AND laws.reachable(old, x.position, x.from_stages)
		AND d.open >= first;
		IF w.keeping AND coalesce(g.keep_total, g.keep_engagement) IS NOT NULL
		THEN
			due := least(due, laws.crossing(w.probe, g.keep_total,
				g.keep_engagement, w.at, least(due, p_until)));
		END IF;
	END IF;
	RETURN CASE WHEN due <= p_until THEN due END;
END
$$;

-- A visit of the clock: an event with the version in force then and the lead
-- as it is known.
CREATE FUNCTION laws.visit(w laws.o_state, p_at timestamptz)
RETURNS laws.o_state
LANGUAGE plpgsql AS
$$
DECLARE
	e laws.o_event;
BEGIN
	SELECT * INTO STRICT e FROM laws.o_event x
	WHERE x.lead = w.lead AND x.n = w.n;
	w.at := p_at;
	w.visit := w.visit + 1;
	w.version := (SELECT max(v.version) FROM laws.o_version v
		WHERE v.effective_from <= p_at);
	INSERT INTO laws.o_probe (lead, n, visit, at, t_us, version, cycle_n,
		employees, industry, excluded, unscored)
	SELECT w.lead, w.n, w.visit, p_at, laws.epoch(p_at), w.version, e.cycle_n,
		e.employees, e.industry, coalesce(bool_or(h.holds), false),
		coalesce(bool_or(h.holds AND NOT h.scored), false)
	FROM (SELECT c.scored, laws.lead_holds(c.condition, c.version,
			e.employees, e.industry) AS holds
		FROM laws.o_exclusion c WHERE c.version = w.version) h
	RETURNING id INTO w.probe;
	CALL laws.measure(w.probe);
	CALL laws.judge_gates(w.probe);
	IF w.stage IS NOT NULL THEN
		w := laws.fall(w);
		w := laws.rise(w, 'clock', true);
	END IF;
	RETURN w;
END
$$;

-- One event: first what it does by itself, then a fall, then a rise.
CREATE FUNCTION laws.happen(w laws.o_state, e laws.o_event, p_probe int)
RETURNS laws.o_state
LANGUAGE plpgsql AS
$$
BEGIN
	w.n := e.n;
	w.visit := 0;
	w.at := e.at;
	w.probe := p_probe;
	w.version := e.version;
	w.active_at := greatest(e.active_at, w.active_at);
	IF e.kind <= 0 THEN
		w := laws.move(w, coalesce(e.stage, (
				SELECT s.stage FROM laws.o_stage s
				WHERE s.version = e.version AND s.on_path
				ORDER BY s.position LIMIT 1)),
			CASE e.kind WHEN 0 THEN 'created' ELSE 'attached' END, NULL,
			e.history);
		IF e.kind = 0 OR laws.reading('attached_tests_gates')::boolean THEN
			w := laws.rise(w, laws.reading(CASE e.kind
				WHEN 0 THEN 'creation_move_cause'
				ELSE 'attached_move_cause' END));
		END IF;
	ELSIF e.kind = 4 THEN
		IF laws.reading('manual_from') = 'stored' THEN
			w.stage := e.from_stage;
		END IF;
		w := laws.move(w, e.stage, 'manual', NULL, e.history);
		IF laws.reading('manual_tests_gates')::boolean THEN
			w := laws.rise(w, laws.reading('manual_move_cause'));
		END IF;
	ELSIF w.stage IS NOT NULL THEN
		w := laws.fall(w);
		w := laws.rise(w, CASE e.kind WHEN 1 THEN 'attribute'
			WHEN 2 THEN 'activity' ELSE 'answer' END);
	END IF;
	RETURN w;
END
$$;

-- Walks each lead's events and what the clock does between them and, up to
-- p_until or the lead's own horizon, after them. Writes o_state and o_path, and
-- what the clock will do next in the p_ahead after the end.
CREATE PROCEDURE laws.walk(p_until timestamptz, p_ahead interval)
LANGUAGE plpgsql AS
$$
DECLARE
	l record;
	e record;
	w laws.o_state;
	due timestamptz;
BEGIN
	FOR l IN
		SELECT v.lead, coalesce((SELECT h.until FROM laws.o_horizon h
			WHERE h.lead = v.lead), p_until) AS until
		FROM laws.o_lead v ORDER BY v.lead
	LOOP
		w := NULL;
		w.lead := l.lead;
		w.step := 0;
		w.cycle := 1;
		w.keeping := false;
		FOR e IN
			SELECT v AS event, p.id AS probe
			FROM laws.o_event v
			JOIN laws.o_probe p ON p.lead = v.lead AND p.n = v.n
				AND p.visit = 0 AND p.mark IS NULL
			WHERE v.lead = l.lead ORDER BY v.n
		LOOP
			WHILE w.n IS NOT NULL
			LOOP
				due := laws.next_visit(w, (e.event).at);
				EXIT WHEN due IS NULL OR due >= (e.event).at;
				w := laws.visit(w, due);
				INSERT INTO laws.o_state SELECT w.*;
			END LOOP;
			w := laws.happen(w, e.event, e.probe);
			INSERT INTO laws.o_state SELECT w.*;
		END LOOP;
		CONTINUE WHEN w.n IS NULL;
		due := laws.next_visit(w, w.at);
		INSERT INTO laws.o_due VALUES (l.lead, NULL, due IS NOT NULL);
		LOOP
			due := laws.next_visit(w, l.until);
			EXIT WHEN due IS NULL;
			w := laws.visit(w, due);
			INSERT INTO laws.o_state SELECT w.*;
		END LOOP;
		PERFORM laws.marked_probe(w);
		IF p_ahead IS NOT NULL THEN
			UPDATE laws.o_due d
			SET due = laws.next_visit(w, greatest(w.at, l.until) + p_ahead)
			WHERE d.lead = l.lead;
		END IF;
	END LOOP;

	UPDATE laws.o_path o SET left_at = x.entered_at
	FROM laws.o_path x WHERE x.lead = o.lead AND x.step = o.step + 1;
END
$$;

-- Everything, from the raw rows as they are now. The clock runs up to p_until, for
-- leads in o_horizon up to what is said there, and always up to the newest
-- event.
CREATE PROCEDURE laws.recompute(p_pipeline text,
	p_until timestamptz = '-infinity', p_ahead interval = NULL)
LANGUAGE plpgsql AS
$$
DECLARE
	first int;
BEGIN
	CALL laws.load_versions(p_pipeline);
	CALL laws.load_rows(p_pipeline, clock_timestamp());
	CALL laws.order_events();
	CALL laws.match_rules(p_pipeline);
	CALL laws.collect_answers();
	first := laws.add_probes();
	CALL laws.measure(first);
	CALL laws.judge_gates(first);
	CALL laws.walk(p_until, p_ahead);
END
$$;

-- The outcome at each lead's newest event or visit.
CREATE VIEW laws.o_result AS
SELECT s.lead, s.at AS scored_at, s.stage, s.version, s.visit, s.since,
	s.active_at, s.gate, s.keeping, s.cycle,
	s.mark, laws.assessment(p.id) AS assessment,
	CASE WHEN s.mark IS NOT NULL THEN laws.assessment((
		SELECT min(x.id) FROM laws.o_probe x WHERE x.lead = s.lead
		AND x.n = s.n AND x.visit = s.visit AND x.mark = s.mark)) END
		AS confirmed,
	t.value AS total, e.value AS engagement, f.value AS fit,
	laws.grade_of(p.version, f.value) AS grade,
	t.magnitude, e.magnitude AS engagement_magnitude,
	f.magnitude AS fit_magnitude
FROM (SELECT DISTINCT ON (lead) * FROM laws.o_state
	ORDER BY lead, n DESC, visit DESC) s
JOIN laws.o_probe p ON p.id = s.probe
JOIN laws.o_value t ON t.probe = p.id AND t.dimension = 'total'
LEFT JOIN laws.o_value e ON e.probe = p.id AND e.dimension = 'engagement'
LEFT JOIN laws.o_value f ON f.probe = p.id AND f.dimension = 'fit';

-- Questions about leads at any time. Fill lead and at, then CALL laws.answer;
-- n and what follows stay NULL before the lead's first event. settled: no
-- event is later, nor does the clock come until then.
CREATE UNLOGGED TABLE laws.o_question (
	id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	lead text, at timestamptz, n int, visit int, settled boolean, probe int,
	marked_probe int);

CREATE PROCEDURE laws.answer()
LANGUAGE plpgsql AS
$$
DECLARE
	before constant int := (SELECT coalesce(max(p.id), 0) FROM laws.o_probe p);
BEGIN
	UPDATE laws.o_question q SET n = s.n, visit = s.visit
	FROM laws.o_question o
	CROSS JOIN LATERAL (SELECT x.n, x.visit FROM laws.o_state x
		WHERE x.lead = o.lead AND x.at <= o.at
		ORDER BY x.n DESC, x.visit DESC LIMIT 1) s
	WHERE o.id = q.id;
	UPDATE laws.o_question q SET settled = NOT EXISTS (
		SELECT FROM laws.o_state x WHERE x.lead = q.lead
		AND (x.n, x.visit) > (q.n, q.visit))
	WHERE q.n IS NOT NULL;

	INSERT INTO laws.o_probe (lead, n, visit, at, t_us, mark, mark_n,
		points_mark, version, cycle_n, employees, industry, excluded, unscored)
	SELECT p.lead, p.n, NULL, q.at, laws.epoch(q.at), m.mark, m.mark_n,
		m.points_mark, p.version, p.cycle_n, p.employees, p.industry,
		p.excluded, p.unscored
	FROM laws.o_question q
	JOIN laws.o_state s USING (lead, n, visit)
	JOIN laws.o_probe p ON p.id = s.probe
	CROSS JOIN LATERAL (
		SELECT NULL::timestamptz AS mark, NULL::int AS mark_n,
			NULL::timestamptz AS points_mark
		UNION ALL SELECT s.mark, s.mark_n, s.points_mark
		WHERE s.mark IS NOT NULL) m;
	UPDATE laws.o_question q SET
		probe = (SELECT p.id FROM laws.o_probe p WHERE p.id > before
			AND p.lead = q.lead AND p.at = q.at AND p.mark IS NULL LIMIT 1),
		marked_probe = (SELECT p.id FROM laws.o_probe p WHERE p.id > before
			AND p.lead = q.lead AND p.at = q.at AND p.mark IS NOT NULL LIMIT 1);
	CALL laws.measure(before + 1);
	CALL laws.judge_gates(before + 1);
END
$$;

-- For a question: whether each gate of a later stage is open to the lead
-- where it stands.
CREATE FUNCTION laws.open_gates(p_question int)
RETURNS TABLE (stage text, gate text, opens boolean)
LANGUAGE sql STABLE AS
$$
	SELECT t.stage, t.gate, t.holds
		AND laws.reachable(g, t.position, t.from_stages)
		AND laws.waited(q.at, s.since, laws.idle_since(s, t.position), t.after_us,
			t.idle_us)
	FROM laws.o_question q
	JOIN laws.o_state s USING (lead, n, visit)
	JOIN laws.o_stage g ON g.version = s.version AND g.stage = s.stage
	JOIN laws.o_truth t ON t.probe = CASE
		WHEN t.position <= s.mark_position THEN q.marked_probe
		ELSE q.probe END
	WHERE q.id = p_question
	AND g.kind NOT IN ('won', 'disqualified', 'lost')
	AND (NOT g.on_path OR t.position > g.position)
$$;
