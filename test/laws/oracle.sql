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
	 ' the mark holds up to the further of the two (false)');

CREATE FUNCTION laws.reading(name text) RETURNS text
LANGUAGE sql STABLE AS
$$ SELECT r.choice FROM laws.reading r WHERE r.name = $1 $$;

-- The configuration of each version that can be in force.
CREATE UNLOGGED TABLE laws.o_version (
	version int PRIMARY KEY, effective_from timestamptz);
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
	framework text, activity_type text, condition text, automatic boolean,
	position int, facts_only boolean);
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
	PRIMARY KEY (lead, n));
CREATE UNLOGGED TABLE laws.o_match (
	lead text, rule text, n int, at timestamptz, at_us bigint, version int,
	dimension text, points float8, decay text, period_us float8,
	at_most int, bucket timestamp, value text, at_least int,
	within_us bigint, max_points float8, passes boolean,
	unscored boolean, counted boolean, PRIMARY KEY (lead, rule, n));
-- one criterion answered or (level NULL) withdrawn at an event; by which rule,
-- '' at an answer event
CREATE UNLOGGED TABLE laws.o_answer (
	lead text, n int, rule text COLLATE "C", at timestamptz, criterion text,
	level int, PRIMARY KEY (lead, n, rule, criterion));

-- A probe asks for everything as of event n and time t; with a mark, only
-- for what is newer than it.
CREATE UNLOGGED TABLE laws.o_probe (
	id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	lead text, n int, at timestamptz, t_us bigint, mark timestamptz,
	version int, employees int, industry text, excluded boolean,
	unscored boolean);
CREATE UNLOGGED TABLE laws.o_value (
	probe int, dimension text, value float8, magnitude float8,
	PRIMARY KEY (probe, dimension));
CREATE UNLOGGED TABLE laws.o_known (
	probe int, criterion text, level int, PRIMARY KEY (probe, criterion));
CREATE UNLOGGED TABLE laws.o_truth (
	probe int, stage text, gate text, holds boolean, position int,
	from_stages text[], PRIMARY KEY (probe, stage, gate));

-- What comes out.
CREATE UNLOGGED TABLE laws.o_state (
	lead text, n int, probe int, stage text, mark timestamptz,
	mark_position int, PRIMARY KEY (lead, n));
CREATE UNLOGGED TABLE laws.o_path (
	lead text, step int, stage text, from_stage text,
	entered_at timestamptz, left_at timestamptz, cause text, gates text[],
	history bigint, n int, probe int, version int, PRIMARY KEY (lead, step));

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
LANGUAGE sql IMMUTABLE STRICT AS
$$ SELECT (extract(epoch FROM at) * 1000000)::bigint $$;

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
		g.activity_type, g.condition, g.automatic, s.position,
		g.min_total IS NULL AND g.min_engagement IS NULL
		AND g.framework IS NULL AND g.activity_type IS NULL
		AND coalesce(g.condition, '') !~ '(times|since_last|points)\('
	FROM lead_qualify.version v
	JOIN laws.o_version o USING (version),
	jsonb_to_recordset(v.config->'gates') AS g(stage text, name text,
		from_stages text[], min_total float8, min_engagement float8,
		min_fit float8, min_grade text, framework text, activity_type text,
		condition text, automatic boolean, enabled boolean)
	JOIN laws.o_stage s ON s.stage = g.stage
	WHERE v.pipeline = p_pipeline AND g.enabled
	AND s.version = v.version AND s.on_path;

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
	SELECT e.lead, r.name, e.n, e.at, e.at_us, e.version, r.dimension,
		r.points, r.decay,
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
	FOR m IN SELECT lead, rule, n, at_us, at_least, within_us
		FROM laws.o_match WHERE at_least IS NOT NULL AND NOT unscored
		ORDER BY lead, rule, n
	LOOP
		IF run IS DISTINCT FROM m.lead || chr(1) || m.rule THEN
			run := m.lead || chr(1) || m.rule;
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
			PARTITION BY lead, rule, bucket, value ORDER BY n) AS nth
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
	p_mark timestamptz = NULL) RETURNS int
LANGUAGE plpgsql AS
$$
DECLARE
	before constant int := (SELECT coalesce(max(p.id), 0) FROM laws.o_probe p);
BEGIN
	INSERT INTO laws.o_probe (lead, n, at, t_us, mark, version, employees,
		industry, excluded, unscored)
	SELECT e.lead, e.n, e.at, e.at_us, p_mark, e.version, e.employees,
		e.industry, e.excluded, e.unscored
	FROM laws.o_event e
	WHERE p_lead IS NULL OR (e.lead = p_lead AND e.n >= p_n);
	RETURN before + 1;
END
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
		JOIN laws.o_match m ON m.lead = p.lead AND m.n <= p.n AND m.counted
			AND (p.mark IS NULL OR m.at > p.mark)
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
		AND (p.mark IS NULL OR a.at > p.mark)
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
-- probes from p_first on; the present stage is not looked at here.
CREATE PROCEDURE laws.judge_gates(p_first int)
LANGUAGE plpgsql AS
$$
BEGIN
	INSERT INTO laws.o_truth
	SELECT p.id, g.stage, g.name,
		g.automatic AND NOT p.excluded
		AND (g.min_total IS NULL OR laws.reaches(v.total, g.min_total))
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
			WHERE a.lead = p.lead AND a.n <= p.n AND a.kind = 2
			AND a.type = g.activity_type
			AND (laws.reading('activity_type') = 'any' OR EXISTS (
				SELECT FROM laws.o_gate n WHERE n.version = a.version
				AND n.activity_type = a.type))
			AND (p.mark IS NULL OR a.at > p.mark)))
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
					AND m.n <= p.n AND (p.mark IS NULL OR m.at > p.mark)
					AND (a.within_us IS NULL
						 OR p.t_us - m.at_us < a.within_us
						 OR (p.t_us - m.at_us = a.within_us AND
							 laws.reading('times_inclusive')::boolean)))
				WHEN 'since_last' THEN p.t_us - (
					SELECT max(m.at_us) FROM laws.o_match m
					WHERE m.lead = p.lead AND m.rule = a.subject
					AND m.n <= p.n AND (p.mark IS NULL OR m.at > p.mark))
				WHEN 'points' THEN (
					SELECT y.value FROM laws.o_value y
					WHERE y.probe = p.id AND y.dimension = a.subject)
				END::float8 AS found) x
			WHERE a.version = g.version AND a.stage = g.stage
			AND a.name = g.name)),
		g.position, g.from_stages
	FROM laws.o_probe p
	JOIN laws.o_gate g ON g.version = p.version
	JOIN (
		SELECT probe, max(value) FILTER (WHERE dimension = 'total') AS total,
			max(value) FILTER (WHERE dimension = 'engagement') AS engagement,
			max(value) FILTER (WHERE dimension = 'fit') AS fit
		FROM laws.o_value WHERE probe >= p_first GROUP BY probe) v
		ON v.probe = p.id
	WHERE p.id >= p_first;
END
$$;

-- Walks each lead's events and writes o_state and o_path.
CREATE PROCEDURE laws.walk()
LANGUAGE plpgsql AS
$$
DECLARE
	attached_tests constant boolean :=
		laws.reading('attached_tests_gates')::boolean;
	manual_tests constant boolean :=
		laws.reading('manual_tests_gates')::boolean;
	seen_by_mover constant boolean :=
		laws.reading('manual_from') = 'stored';
	overwrite constant boolean := laws.reading('mark_overwrite')::boolean;
	creation_cause constant text := laws.reading('creation_move_cause');
	attached_cause constant text := laws.reading('attached_move_cause');
	manual_cause constant text := laws.reading('manual_move_cause');
	e record;
	c record;
	old record;
	furthest record;
	current_lead text;
	at_stage text;
	mark_at timestamptz;
	mark_position int;
	marked int;
	first int;
	step int;
BEGIN
	FOR e IN
		SELECT v.*, p.id AS probe
		FROM laws.o_event v
		JOIN laws.o_probe p ON p.lead = v.lead AND p.n = v.n
		ORDER BY v.lead, v.n
	LOOP
		IF current_lead IS DISTINCT FROM e.lead THEN
			current_lead := e.lead;
			at_stage := NULL;
			mark_at := NULL;
			mark_position := NULL;
			step := 0;
		END IF;

		IF e.kind <= 0 THEN
			at_stage := coalesce(e.stage, (
				SELECT s.stage FROM laws.o_stage s
				WHERE s.version = e.version AND s.on_path
				ORDER BY s.position LIMIT 1));
			step := step + 1;
			INSERT INTO laws.o_path VALUES (e.lead, step, at_stage, NULL,
				CASE WHEN e.kind = 0 THEN e.at END, NULL,
				CASE WHEN e.kind = 0 THEN 'created' ELSE 'attached' END,
				NULL, e.history, e.n, e.probe, e.version);
		ELSIF e.kind = 4 THEN
			SELECT * INTO old FROM laws.o_stage s
			WHERE s.version = e.version AND s.stage = CASE
				WHEN seen_by_mover THEN e.from_stage ELSE at_stage END;
			SELECT * INTO c FROM laws.o_stage s
			WHERE s.version = e.version AND s.stage = e.stage;
			step := step + 1;
			INSERT INTO laws.o_path VALUES (e.lead, step, e.stage, at_stage,
				e.at, NULL, 'manual', NULL, e.history, e.n, e.probe,
				e.version);
			IF old.on_path AND (NOT c.on_path OR c.position < old.position)
			THEN
				mark_at := e.at;
				mark_position := CASE WHEN overwrite THEN old.position
					ELSE greatest(mark_position, old.position) END;
				-- this event and all that follow, seen from the mark
				first := laws.add_probes(e.lead, e.n, e.at);
				CALL laws.measure(first);
				CALL laws.judge_gates(first);
			END IF;
			at_stage := e.stage;
		END IF;

		SELECT * INTO c FROM laws.o_stage s
		WHERE s.version = e.version AND s.stage = at_stage;
		IF at_stage IS NOT NULL
			AND c.kind NOT IN ('won', 'disqualified', 'lost')
			AND (e.kind <> -1 OR attached_tests)
			AND (e.kind <> 4 OR manual_tests)
		THEN
			marked := NULL;
			IF mark_at IS NOT NULL THEN
				SELECT p.id INTO marked FROM laws.o_probe p
				WHERE p.lead = e.lead AND p.n = e.n AND p.mark = mark_at;
			END IF;
			-- the furthest stage with an open gate, and all its open gates
			SELECT t.stage, array_agg(t.gate ORDER BY t.gate) AS gates
			INTO furthest
			FROM laws.o_truth t
			WHERE t.holds AND t.probe IN (e.probe, marked)
			AND t.probe = CASE WHEN t.position <= mark_position THEN marked
				ELSE e.probe END
			AND CASE WHEN c.on_path
				THEN t.position > c.position
					AND (t.from_stages IS NULL
						OR at_stage = ANY (t.from_stages))
				ELSE at_stage = ANY (t.from_stages) END
			GROUP BY t.stage, t.position ORDER BY t.position DESC LIMIT 1;
			IF FOUND THEN
				step := step + 1;
				INSERT INTO laws.o_path VALUES (e.lead, step, furthest.stage,
					at_stage, e.at, NULL,
					CASE e.kind WHEN 0 THEN creation_cause
						WHEN -1 THEN attached_cause WHEN 1 THEN 'attribute'
						WHEN 2 THEN 'activity' WHEN 3 THEN 'answer'
						ELSE manual_cause END,
					furthest.gates, NULL, e.n, e.probe, e.version);
				at_stage := furthest.stage;
			END IF;
		END IF;
		INSERT INTO laws.o_state VALUES (e.lead, e.n, e.probe, at_stage,
			mark_at, mark_position);
	END LOOP;

	UPDATE laws.o_path o SET left_at = x.entered_at
	FROM laws.o_path x WHERE x.lead = o.lead AND x.step = o.step + 1;
END
$$;

-- Everything, from the raw rows as they are now.
CREATE PROCEDURE laws.recompute(p_pipeline text)
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
	CALL laws.walk();
END
$$;

-- The outcome at each lead's newest event; the mark only while a stage that
-- was left behind is still ahead.
CREATE VIEW laws.o_result AS
SELECT s.lead, p.at AS scored_at, s.stage, p.version,
	m.mark, laws.assessment(p.id) AS assessment,
	CASE WHEN m.mark IS NOT NULL THEN laws.assessment((
		SELECT min(x.id) FROM laws.o_probe x WHERE x.lead = s.lead
		AND x.n = s.n AND x.mark = m.mark)) END AS confirmed,
	t.value AS total, e.value AS engagement, f.value AS fit,
	laws.grade_of(p.version, f.value) AS grade,
	t.magnitude, e.magnitude AS engagement_magnitude,
	f.magnitude AS fit_magnitude
FROM (SELECT DISTINCT ON (lead) * FROM laws.o_state
	ORDER BY lead, n DESC) s
JOIN laws.o_probe p ON p.id = s.probe
LEFT JOIN laws.o_stage g ON g.version = p.version AND g.stage = s.stage
CROSS JOIN LATERAL (SELECT CASE WHEN NOT g.on_path
	OR g.position < s.mark_position THEN s.mark END AS mark) m
JOIN laws.o_value t ON t.probe = p.id AND t.dimension = 'total'
LEFT JOIN laws.o_value e ON e.probe = p.id AND e.dimension = 'engagement'
LEFT JOIN laws.o_value f ON f.probe = p.id AND f.dimension = 'fit';

-- Questions about leads at any time. Fill lead and at, then CALL laws.answer;
-- n and what follows stay NULL before the lead's first event. settled: no
-- event is later.
CREATE UNLOGGED TABLE laws.o_question (
	id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	lead text, at timestamptz, n int, settled boolean, probe int,
	marked_probe int, stage text, position int, kind text, on_path boolean, mark timestamptz,
	mark_position int);

CREATE PROCEDURE laws.answer()
LANGUAGE plpgsql AS
$$
DECLARE
	before constant int := (SELECT coalesce(max(p.id), 0) FROM laws.o_probe p);
BEGIN
	UPDATE laws.o_question q SET n = (SELECT max(e.n) FROM laws.o_event e
		WHERE e.lead = q.lead AND e.at <= q.at);
	UPDATE laws.o_question q SET stage = s.stage, position = g.position,
		kind = g.kind, on_path = g.on_path, mark = s.mark,
		mark_position = s.mark_position,
		settled = NOT EXISTS (SELECT FROM laws.o_event x
			WHERE x.lead = q.lead AND x.n > q.n)
	FROM laws.o_state s
	JOIN laws.o_event e ON e.lead = s.lead AND e.n = s.n
	LEFT JOIN laws.o_stage g ON g.version = e.version AND g.stage = s.stage
	WHERE s.lead = q.lead AND s.n = q.n;

	INSERT INTO laws.o_probe (lead, n, at, t_us, mark, version, employees,
		industry, excluded, unscored)
	SELECT e.lead, e.n, q.at, laws.epoch(q.at), m.mark, e.version,
		e.employees, e.industry, e.excluded, e.unscored
	FROM laws.o_question q
	JOIN laws.o_event e ON e.lead = q.lead AND e.n = q.n
	CROSS JOIN LATERAL (SELECT NULL::timestamptz AS mark
		UNION ALL SELECT q.mark WHERE q.mark IS NOT NULL) m;
	UPDATE laws.o_question q SET
		probe = (SELECT p.id FROM laws.o_probe p WHERE p.id > before
			AND p.lead = q.lead AND p.at = q.at AND p.mark IS NULL LIMIT 1),
		marked_probe = (SELECT p.id FROM laws.o_probe p WHERE p.id > before
			AND p.lead = q.lead AND p.at = q.at AND p.mark = q.mark LIMIT 1);
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
	SELECT t.stage, t.gate, t.holds AND CASE WHEN q.on_path
		THEN t.from_stages IS NULL OR q.stage = ANY (t.from_stages)
		ELSE coalesce(q.stage = ANY (t.from_stages), false) END
	FROM laws.o_question q
	JOIN laws.o_truth t ON t.probe = CASE
		WHEN t.position <= q.mark_position THEN q.marked_probe
		ELSE q.probe END
	WHERE q.id = p_question
	AND q.kind NOT IN ('won', 'disqualified', 'lost')
	AND (NOT q.on_path OR t.position > q.position)
$$;
