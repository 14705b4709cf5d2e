-- test/laws/generator.sql
-- Random scripts, each a list of statements that depends on its seed alone:
-- tables and attach (once for a layout), an empty start, a configuration, and
-- some dozen changes of activities, answers, leads, stages and versions.

CREATE TABLE laws.layout (
	layout int PRIMARY KEY,
	title text NOT NULL,
	pipeline text NOT NULL,
	leads text NOT NULL,				-- qualified and quoted
	lead_key text NOT NULL,				-- all column names are quoted
	lead_type text NOT NULL,
	activities text NOT NULL,
	activity_key text NOT NULL,
	activity_key_type text NOT NULL,
	activity_lead text NOT NULL,
	activity_type text NOT NULL,
	activity_at text NOT NULL,
	at_type text NOT NULL,
	zone text NOT NULL,
	fire text NOT NULL,
	has_created boolean NOT NULL,
	second_source boolean NOT NULL,
	foreign_key boolean NOT NULL,
	partitioned boolean NOT NULL,
	has_stages boolean NOT NULL,		-- leads and stages before attach
	arguments text NOT NULL				-- what attach cannot find
);

INSERT INTO laws.layout VALUES
	(0, 'bigint keys', 'p0', 'crm0.leads', 'id', 'bigint',
	 'crm0.activities', 'id', 'bigint', 'lead_id', 'type', 'at',
	 'timestamptz', 'UTC', 'statement', true, false, false, false, false, ''),
	(1, 'a second source', 'p1', 'crm1.leads', 'id', 'bigint',
	 'crm1.activities', 'id', 'bigint', 'lead_id', 'type', 'at',
	 'timestamptz', 'America/New_York', 'statement', true, true, false, false,
	 false, ''),
	(2, 'uuid keys, no creation column', 'p2', 'crm2.leads', 'id', 'uuid',
	 'crm2.activities', 'id', 'bigint', 'lead_id', 'event_type',
	 'happened_at', 'timestamptz', 'Europe/Sofia', 'statement', false, false,
	 false, false, false, ''),
	(3, 'text keys, two sources', 'p3', 'crm3.leads', 'code', 'text',
	 'crm3.activities', 'code', 'text', 'lead_id', 'type', 'occurred_at',
	 'timestamp', 'America/New_York', 'statement', true, true, false, false,
	 false, ''),
	(4, 'a foreign key that cascades', 'p4', 'crm4.leads', 'id', 'bigint',
	 'crm4.activities', 'id', 'integer', 'lead', 'kind', 'at', 'timestamptz',
	 'UTC', 'statement', true, false, true, false, false, ''),
	(5, 'row triggers', 'p5', 'crm5.leads', 'id', 'integer',
	 'crm5.activities', 'id', 'bigint', 'lead_id', 'type', 'at',
	 'timestamptz', 'Asia/Kolkata', 'row', true, false, false, false, false,
	 ''),
	(6, 'deferred triggers', 'p6', 'crm6.leads', 'id', 'bigint',
	 'crm6.activities', 'id', 'bigint', 'lead_id', 'type', 'at',
	 'timestamptz', 'UTC', 'deferred', true, true, false, false, false, ''),
	(7, 'quoted names, dates', 'p 7', '"Crm 7"."Sales Leads"', '"Lead Id"',
	 'bigint', '"Crm 7"."What""Happened"', '"Key"', 'uuid', '"Of Lead"',
	 '"The Type"', '"On"', 'date', 'Australia/Lord_Howe', 'statement', true,
	 false, false, false, false,
	 'activity_lead => ''Of Lead'', activity_type => ''The Type'', '
	 'activity_at => ''On'', '),
	(8, 'partitions', 'p8', 'crm8.leads', 'id', 'bigint',
	 'crm8.activities', 'id', 'bigint', 'lead_id', 'type', 'at',
	 'timestamptz', 'UTC', 'statement', true, false, false, true, false,
	 'activity_key => ''id'', '),
	(9, 'stages before attach', 'p9', 'crm9.leads', 'id', 'bigint',
	 'crm9.activities', 'id', 'bigint', 'lead_id', 'type', 'at',
	 'timestamptz', 'UTC', 'statement', true, false, false, false, true, '');

-- The statements of the script under way, and what is known of it.
CREATE TABLE laws.step (
	n int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, sql text NOT NULL);
CREATE TABLE laws.script (
	seed int PRIMARY KEY, layout int NOT NULL, pure boolean NOT NULL);
-- Manual moves and changes of columns that took place, written by the script
-- itself in the same transaction; leads that were deleted.
CREATE TABLE laws.log (kind text NOT NULL, lead text NOT NULL);

CREATE FUNCTION laws.chance(p float8) RETURNS boolean
LANGUAGE sql VOLATILE AS $$ SELECT random() < p $$;

CREATE FUNCTION laws.number(low int, high int) RETURNS int
LANGUAGE plpgsql VOLATILE AS
$$
BEGIN
	RETURN low + floor(random() * (high - low + 1))::int;
END
$$;

CREATE FUNCTION laws.pick(VARIADIC choices text[]) RETURNS text
LANGUAGE plpgsql VOLATILE AS
$$
BEGIN
	RETURN choices[laws.number(1, cardinality(choices))];
END
$$;

CREATE FUNCTION laws.say(sql text, VARIADIC arguments text[] = '{}')
RETURNS void
LANGUAGE plpgsql AS
$$
BEGIN
	INSERT INTO laws.step (sql) VALUES (format(sql, VARIADIC arguments));
END
$$;

CREATE FUNCTION laws.lead_name(l laws.layout, i int) RETURNS text
LANGUAGE plpgsql IMMUTABLE AS
$$
BEGIN
	RETURN CASE l.lead_type
		WHEN 'text' THEN (ARRAY['a', 'B', 'b', 'ä'])[i % 4 + 1] || i
		WHEN 'uuid' THEN md5('lead ' || i)::uuid::text
		ELSE (i * 7 - 3)::text END;
END
$$;

CREATE FUNCTION laws.activity_name(l laws.layout, k int) RETURNS text
LANGUAGE plpgsql IMMUTABLE AS
$$
BEGIN
	RETURN CASE l.activity_key_type
		WHEN 'text' THEN (ARRAY['a', 'B', 'b', 'Ä'])[k % 4 + 1]
			|| k * 7919 % 10000
		WHEN 'uuid' THEN md5('activity ' || k)::uuid::text
		ELSE (k * 7919 % 1000003 - 100)::text END;
END
$$;

-- A lead's key as a value; under a foreign key NULL where there is no lead.
CREATE FUNCTION laws.lead_value(l laws.layout, name text) RETURNS text
LANGUAGE plpgsql IMMUTABLE AS
$$
BEGIN
	RETURN CASE WHEN l.foreign_key AND name IS NOT NULL
		THEN format('(SELECT %1$s FROM %2$s WHERE %1$s = %3$L)', l.lead_key,
			l.leads, name)
		ELSE quote_nullable(name) END;
END
$$;

-- A time as a literal of a column's type, NULL being the present.
CREATE FUNCTION laws.time_literal(at timestamptz, type text, zone text)
RETURNS text
LANGUAGE plpgsql STABLE AS
$$
BEGIN
	RETURN CASE
		WHEN at IS NULL AND type = 'timestamptz' THEN 'now()'
		WHEN at IS NULL THEN
			format('(now() AT TIME ZONE %L)::%s', zone, type)
		WHEN type = 'timestamptz' THEN
			quote_literal(to_char(at AT TIME ZONE 'UTC',
				'YYYY-MM-DD HH24:MI:SS.US') || '+00')
		WHEN type = 'timestamp' THEN
			quote_literal(to_char(at AT TIME ZONE zone,
				'YYYY-MM-DD HH24:MI:SS.US'))
		ELSE quote_literal(to_char(at AT TIME ZONE zone, 'YYYY-MM-DD'))
	END;
END
$$;

-- Tables as an application might have them, and attach.
CREATE PROCEDURE laws.say_layout(l laws.layout, seed int)
LANGUAGE plpgsql AS
$$
DECLARE
	schema constant text := split_part(l.leads, '.', 1);
BEGIN
	IF EXISTS (SELECT FROM lead_qualify.pipeline p
			   WHERE p.pipeline = l.pipeline)
	THEN
		IF NOT l.has_stages THEN
			RETURN;
		END IF;
		PERFORM laws.say('SELECT lead_qualify.detach(%L, keep_data => false)',
			l.pipeline);
		PERFORM laws.say('DROP SCHEMA %s CASCADE', schema);
	END IF;

	PERFORM laws.say('CREATE SCHEMA %s', schema);
	PERFORM laws.say('CREATE TABLE %s (%s %s PRIMARY KEY, start_stage text, '
		'employees int, industry text, note text%s%s)', l.leads, l.lead_key,
		l.lead_type,
		CASE WHEN l.has_created THEN ', created_at timestamptz' ELSE '' END,
		CASE WHEN l.has_stages THEN ', stage text' ELSE '' END);
	PERFORM laws.say('CREATE TABLE %s (%s %s%s, %s %s%s, %s text, %s %s, '
		'amount numeric, campaign text, properties jsonb%s)%s',
		l.activities, l.activity_key, l.activity_key_type,
		CASE WHEN l.partitioned THEN '' ELSE ' PRIMARY KEY' END,
		l.activity_lead, l.lead_type,
		CASE WHEN l.foreign_key
			THEN format(' REFERENCES %s ON DELETE CASCADE', l.leads)
			ELSE '' END,
		l.activity_type, l.activity_at, l.at_type,
		CASE WHEN l.partitioned
			THEN format(', PRIMARY KEY (%s, %s)', l.activity_key,
				l.activity_at) ELSE '' END,
		CASE WHEN l.partitioned
			THEN format(' PARTITION BY RANGE (%s)', l.activity_at)
			ELSE '' END);
	PERFORM laws.say('CREATE INDEX ON %s (%s)', l.activities, l.activity_lead);
	IF l.partitioned THEN
		PERFORM laws.say('CREATE TABLE %s.january PARTITION OF %s FOR VALUES '
			'FROM (''2026-01-01 00:00+00'') TO (''2026-02-01 00:00+00'')',
			schema, l.activities);
		PERFORM laws.say('CREATE TABLE %s.february PARTITION OF %s FOR VALUES '
			'FROM (''2026-02-01 00:00+00'') TO (''2026-03-01 00:00+00'')',
			schema, l.activities);
		PERFORM laws.say('CREATE TABLE %s.others PARTITION OF %s DEFAULT',
			schema, l.activities);
	END IF;
	IF l.has_stages THEN
		PERFORM laws.say('INSERT INTO %s (%s, created_at, employees, industry, '
			'stage) SELECT i * 7 - 3, ''2026-01-10 00:00+00'', i * 10, '
			'''SaaS'', (ARRAY[''lead'', ''mql'', ''sql'', ''hold'', '
			'''recycled''])[i %% 5 + 1] FROM generate_series(1, 8) AS i', l.leads,
			l.lead_key);
		PERFORM laws.say('INSERT INTO %s SELECT 900000 + i, i %% 10 * 7 - 3, '
			'(ARRAY[''visit'', ''form'', ''demo''])[i %% 3 + 1], '
			'''2026-01-05 00:00+00''::timestamptz + i * interval ''40 hours'''
			' FROM generate_series(1, 40) AS i', l.activities);
	END IF;
	PERFORM laws.say('SELECT lead_qualify.attach(%L, leads => %L, '
		'activities => %L, %stemplate => %L, time_zone => %L, fire => %L)',
		l.pipeline, l.leads, l.activities, l.arguments,
		CASE WHEN l.has_stages THEN 'b2b' ELSE 'empty' END, l.zone, l.fire);
	IF l.second_source THEN
		PERFORM laws.say('CREATE TABLE %s.calls (id bigint PRIMARY KEY, '
			'subject text, subject_type text, started timestamp, '
			'amount numeric, campaign text, properties jsonb)', schema);
		PERFORM laws.say('CREATE INDEX ON %s.calls (subject)', schema);
		PERFORM laws.say('SELECT lead_qualify.add_source(%L, activities => %L, '
			'activity_lead => ''subject'', activity_at => ''started'', '
			'type_value => ''call'', filter => ''subject_type = ''''Lead'''''
			''')', l.pipeline, schema || '.calls');
	END IF;
END
$$;

-- A side table, qualified and quoted.
CREATE FUNCTION laws.side_table(l laws.layout, suffix text) RETURNS text
LANGUAGE plpgsql IMMUTABLE AS
$$
DECLARE
	leads constant text := (parse_ident(l.leads))[2];
BEGIN
	RETURN format('%s.%I', split_part(l.leads, '.', 1), leads || suffix);
END
$$;

-- Two statements after which there is no activity, no lead and no trace of
-- one; the published versions stay.
CREATE FUNCTION laws.emptying(l laws.layout) RETURNS text[]
LANGUAGE plpgsql AS
$$
DECLARE
	schema constant text := split_part(l.leads, '.', 1);
BEGIN
	RETURN ARRAY[
		format('TRUNCATE %s, %s, %s%s', l.activities, l.leads,
			laws.side_table(l, '_answers'),
			CASE WHEN l.second_source THEN ', ' || schema || '.calls'
				ELSE '' END),
		format('TRUNCATE %s, %s, %s', laws.side_table(l, '_qualification'),
			laws.side_table(l, '_stage_history'),
			laws.side_table(l, '_attributes'))];
END
$$;

CREATE FUNCTION laws.activity_condition() RETURNS text
LANGUAGE plpgsql VOLATILE AS
$$
BEGIN
	RETURN laws.pick('(properties->>''page'') = ''/pricing''',
		'properties ? ''page''', 'amount > 50', 'amount >= 10',
		'(amount IS NULL OR amount < 20)', '100 / amount > 3',
		'campaign = ''spring''', 'campaign IN (''spring'', ''autumn'')',
		'lead_qualify.in_list(''partners'', campaign)');
END
$$;

CREATE FUNCTION laws.lead_condition() RETURNS text
LANGUAGE plpgsql VOLATILE AS
$$
BEGIN
	RETURN laws.pick('employees >= 50', 'employees < 50', 'employees >= 500',
		'(employees IS NULL OR employees < 10)', 'industry = ''SaaS''',
		'industry IS NOT NULL');
END
$$;

-- One to four criteria with a level each, written as people write them, or
-- all that any framework here asks.
CREATE FUNCTION laws.some_answers() RETURNS text
LANGUAGE plpgsql VOLATILE AS
$$
DECLARE
	names text[];
BEGIN
	IF laws.chance(0.2) THEN
		RETURN 'money=yes authority=3; need:yes, timing=yes, challenges=yes, '
			'priority=yes, team=yes';
	END IF;
	SELECT array_agg(c ORDER BY random()) INTO names
	FROM unnest('{budget,authority,need,timing,challenges,priority,team}'
		::text[]) AS c;
	RETURN (
		SELECT string_agg(laws.spelled(c) || laws.pick('=', '=', ':')
			|| laws.pick('yes', 'yes', 'yes', 'Yes', '3', 'partial', 'partial',
				'weak', 'no'), laws.pick(', ', '; ', ' '))
		FROM unnest(names[1:laws.number(1, 4)]) AS c);
END
$$;

-- A criterion by its own name or by another.
CREATE FUNCTION laws.spelled(criterion text) RETURNS text
LANGUAGE plpgsql VOLATILE AS
$$
BEGIN
	RETURN laws.pick(criterion, criterion, upper(criterion), CASE criterion
		WHEN 'budget' THEN 'money' WHEN 'timing' THEN 'Timeline'
		WHEN 'challenges' THEN 'pain' ELSE criterion END);
END
$$;

CREATE FUNCTION laws.span() RETURNS text
LANGUAGE plpgsql VOLATILE AS
$$
BEGIN
	RETURN laws.pick('1 day', '2 days', '3 days 12:00', '7 days', '14 days',
		'30 days', '1 mon', '5 days 00:30:07');
END
$$;

CREATE FUNCTION laws.signal_condition() RETURNS text
LANGUAGE plpgsql VOLATILE AS
$$
DECLARE
	rule constant text := laws.pick('s_visit', 's_visit', 's_form');
BEGIN
	CASE laws.number(1, 5)
		WHEN 1 THEN
			RETURN format('lead_qualify.times(%L) >= %s', rule,
				laws.number(1, 5));
		WHEN 2 THEN
			RETURN format('lead_qualify.times(%L, interval %L) >= %s', rule,
				laws.span(), laws.number(1, 3));
		WHEN 3 THEN
			RETURN format('lead_qualify.since_last(%L) < interval %L', rule,
				laws.span());
		WHEN 4 THEN
			RETURN format('lead_qualify.points(''engagement'') >= %s',
				laws.pick('4.37', '11.13', '17.37', '31.71'));
		ELSE
			RETURN format('lead_qualify.times(%L) < %s AND '
				'lead_qualify.times(''s_visit'') >= %s', rule,
				laws.number(3, 6), laws.number(1, 2));
	END CASE;
END
$$;

CREATE PROCEDURE laws.say_rule(l laws.layout, name text, dimension text,
	type text)
LANGUAGE plpgsql AS
$$
DECLARE
	decay constant text := laws.pick('none', 'exponential', 'exponential',
		'linear', 'window');
	kind constant int := laws.number(1, 20);
	condition text;
	capped boolean;
BEGIN
	IF name NOT LIKE 's\_%' AND laws.chance(0.5) THEN
		condition := laws.activity_condition();
		IF laws.chance(0.2) THEN
			condition := condition || ' AND ' || laws.activity_condition();
		END IF;
	END IF;
	capped := kind IN (1, 2, 3, 4, 5, 6);
	PERFORM laws.say('INSERT INTO lead_qualify.rule (pipeline, name, dimension, '
		'activity_type, condition, points, decay, period, at_most, per, '
		'per_value, at_least, within, max_points, answers) VALUES (%L, %L, '
		'%L, %L, %L, %s, %L, %L, %L, %L, %L, %L, %L, %L, %L)', l.pipeline,
		name,
		dimension, type, condition,
		CASE WHEN name LIKE 's\_%' THEN laws.pick('0', '1', '5', '10')
			ELSE laws.pick('-20', '-5', '0.5', '1', '3', '5', '10', '20',
				'40') END,
		decay, CASE WHEN decay <> 'none' THEN laws.span() END,
		CASE WHEN capped THEN laws.number(1, 4) END::text,
		CASE WHEN capped THEN laws.pick('day', 'week', 'month', NULL) END,
		CASE WHEN capped AND laws.chance(0.3)
			THEN laws.pick('campaign', 'properties->>''page''') END,
		CASE WHEN kind IN (6, 7, 8, 9, 10) THEN laws.number(2, 3) END::text,
		CASE WHEN kind IN (6, 7, 8, 9) THEN laws.span() END,
		CASE WHEN kind IN (5, 10, 11, 12) THEN laws.pick('7', '15', '40')
		END,
		CASE WHEN laws.chance(0.2) THEN laws.some_answers() END);
END
$$;

CREATE PROCEDURE laws.say_gate(l laws.layout, stage text, name text,
	lower_stages text[])
LANGUAGE plpgsql AS
$$
DECLARE
	needs int[] := ARRAY[laws.number(1, 10)];
	condition text;
	stages text[];
	total text;
	engagement text;
	keeps constant int := CASE WHEN laws.chance(0.6) THEN laws.number(1, 3) END;
	waits constant int := CASE WHEN laws.chance(0.35) THEN laws.number(1, 4) END;
BEGIN
	IF laws.chance(0.5) THEN
		needs := needs || laws.number(1, 7);
	END IF;
	-- some gates wait for the clock alone
	IF waits = 4 OR waits IS NOT NULL AND laws.chance(0.3) THEN
		needs := '{}';
	END IF;
	IF 1 = ANY (needs) THEN
		total := laws.pick('15', '30', '37.7', '60');
	END IF;
	IF 2 = ANY (needs) THEN
		engagement := laws.pick('5.5', '12', '20', '25.25', '40');
	END IF;
	IF 6 = ANY (needs) THEN
		condition := laws.signal_condition();
	END IF;
	IF 7 = ANY (needs) THEN
		condition := concat_ws(' AND ', condition, laws.lead_condition());
	END IF;
	IF laws.chance(0.6) THEN
		SELECT array_agg(s) INTO stages FROM unnest(lower_stages) AS s
		WHERE laws.chance(0.7);
		IF laws.chance(0.6) THEN
			stages := stages || 'hold'::text;
		END IF;
		IF laws.chance(0.8) THEN
			stages := stages || 'recycled'::text;
		END IF;
		IF laws.chance(0.1) THEN
			stages := stages || 'disqualified'::text;
		END IF;
	END IF;
	PERFORM laws.say('INSERT INTO lead_qualify.gate (pipeline, stage, name, '
		'from_stages, min_total, min_engagement, min_fit, min_grade, '
		'framework, activity_type, condition, automatic, enabled, after, idle, '
		'keep_total, keep_engagement, fallback_stage) VALUES (%L, %L, %L, %L, '
		'%L, %L, %L, %L, %L, %L, %L, %L, %L, %L, %L, %L, %L, %L)', l.pipeline,
		stage, name, stages::text, total, engagement,
		CASE WHEN 3 = ANY (needs) THEN laws.pick('5', '10', '15') END,
		CASE WHEN 4 = ANY (needs) THEN laws.pick('A', 'B', 'C') END,
		CASE WHEN needs && '{8,9,10}'
			THEN laws.pick('BANT', 'champ', 'CHAMP', 'Own', 'Own') END,
		CASE WHEN 5 = ANY (needs) THEN laws.pick('demo', 'form', 'call') END,
		condition, (NOT laws.chance(0.08))::text,
		(NOT laws.chance(0.05))::text,
		CASE WHEN waits IN (1, 3, 4) THEN laws.span() END,
		CASE WHEN waits IN (2, 3) THEN laws.span() END,
		CASE WHEN keeps IN (1, 3) THEN least(total::numeric - 1,
			laws.pick('2', '6', '9.5', '14', '25')::numeric)::text END,
		CASE WHEN keeps IN (2, 3) THEN least(engagement::numeric - 1,
			laws.pick('-3', '1', '4.5', '8', '11.1')::numeric)::text END,
		CASE WHEN keeps IS NOT NULL
			THEN lower_stages[laws.number(1, cardinality(lower_stages))] END);
END
$$;

-- The frameworks as shipped, and one of the script's own.
CREATE PROCEDURE laws.say_frameworks()
LANGUAGE plpgsql AS
$$
DECLARE
	name text;
	place int := 0;
BEGIN
	PERFORM laws.say('DELETE FROM lead_qualify.criterion WHERE NOT shipped');
	PERFORM laws.say('DELETE FROM lead_qualify.framework WHERE NOT shipped');
	PERFORM laws.say('INSERT INTO lead_qualify.framework (framework, min_met, '
		'min_score) VALUES (''Own'', %L, %L)', laws.pick(NULL, '1', '1', '2'),
		laws.pick(NULL, NULL, '33', '50', '62.5'));
	FOREACH name IN ARRAY '{need,Money,team,priority}'::text[]
	LOOP
		place := place + 1;
		IF place < 3 OR laws.chance(0.5) THEN
			PERFORM laws.say('INSERT INTO lead_qualify.criterion (framework, '
				'criterion, position, weight, required, met_at) VALUES '
				'(''Own'', %L, %s, %s, %L, %s)', name, place::text,
				laws.pick('1', '1', '2', '0.5'), laws.chance(0.3)::text,
				laws.pick('3', '2', '1'));
		END IF;
	END LOOP;
	PERFORM laws.say('UPDATE lead_qualify.framework SET min_met = %L '
		'WHERE framework = %L', laws.pick('1', '2'),
		laws.pick('BANT', 'CHAMP'));
	IF laws.chance(0.4) THEN
		CALL laws.say_framework_change();
	END IF;
END
$$;

-- A change of a framework; those that gates name use it once published.
CREATE PROCEDURE laws.say_framework_change()
LANGUAGE plpgsql AS
$$
DECLARE
	framework constant text := laws.pick('BANT', 'CHAMP', 'Own');
	criterion constant text := CASE framework WHEN 'Own' THEN 'need'
		ELSE laws.pick('budget', 'authority') END;
BEGIN
	CASE laws.number(1, 9)
		WHEN 1, 2 THEN
			PERFORM laws.say('UPDATE lead_qualify.framework SET min_met = %L '
				'WHERE framework = %L', laws.pick(NULL, '1', '2'), framework);
		WHEN 3 THEN
			PERFORM laws.say('UPDATE lead_qualify.framework SET min_score = %L, '
				'min_met = %L WHERE framework = %L',
				laws.pick(NULL, '40', '70'), laws.pick('1', '2'), framework);
		WHEN 4 THEN
			PERFORM laws.say('UPDATE lead_qualify.criterion SET met_at = %s '
				'WHERE framework = %L AND criterion = %L',
				laws.pick('1', '2', '3'), framework, criterion);
		WHEN 5 THEN
			PERFORM laws.say('UPDATE lead_qualify.criterion SET required = NOT '
				'required WHERE framework = %L AND criterion = %L', framework,
				criterion);
		WHEN 6 THEN
			PERFORM laws.say('UPDATE lead_qualify.criterion SET weight = %s '
				'WHERE framework = %L AND criterion = %L',
				laws.pick('0', '5', '10'), framework, criterion);
		WHEN 7 THEN
			PERFORM laws.say('UPDATE lead_qualify.criterion SET enabled = NOT '
				'enabled WHERE framework = %L AND criterion = %L',
				laws.pick('BANT', 'CHAMP'), 'authority');
		WHEN 8 THEN
			PERFORM laws.say('INSERT INTO lead_qualify.criterion (framework, '
				'criterion, position) VALUES (%L, ''team'', 9) '
				'ON CONFLICT DO NOTHING', framework);
		ELSE
			PERFORM laws.say('DELETE FROM lead_qualify.%s WHERE NOT shipped '
				'AND framework <> ''Own''', laws.pick('criterion', 'framework'));
	END CASE;
END
$$;

-- What a version froze must be what the tables hold, a row of the user's in
-- place of the shipped one; run right after publish.
CREATE PROCEDURE laws.check_frozen(p_pipeline text)
LANGUAGE plpgsql AS
$$
DECLARE
	frozen text;
	tables text;
BEGIN
	CALL laws.load_versions(p_pipeline);
	SELECT string_agg(format('%s/%s/%s: %s', f.framework, f.min_met,
			f.min_score, (SELECT string_agg(format('%s/%s/%s/%s', c.criterion,
				c.weight, c.required, c.met_at), ', ' ORDER BY c.criterion)
			FROM laws.o_criterion c WHERE c.version = f.version
			AND c.framework = f.framework)), '; ' ORDER BY f.framework)
	INTO frozen
	FROM laws.o_framework f
	WHERE f.version = (SELECT max(v.version) FROM lead_qualify.version v
		WHERE v.pipeline = p_pipeline)
	-- a disabled gate may or may not bring its framework
	AND EXISTS (SELECT FROM laws.o_gate g WHERE g.version = f.version
		AND g.framework = f.framework);
	-- as the gates spell them
	SELECT string_agg(format('%s/%s/%s: %s', n.framework, f.min_met,
			f.min_score, (SELECT string_agg(format('%s/%s/%s/%s',
				laws.criterion(c.criterion), c.weight, c.required, c.met_at),
				', ' ORDER BY laws.criterion(c.criterion))
			FROM lead_qualify.criterion c WHERE c.framework = f.framework
			AND c.enabled AND NOT (c.shipped AND EXISTS (
				SELECT FROM lead_qualify.criterion u
				WHERE u.framework = c.framework AND u.criterion = c.criterion
				AND NOT u.shipped)))), '; ' ORDER BY n.framework)
	INTO tables
	FROM lead_qualify.framework f
	JOIN (SELECT DISTINCT g.framework FROM lead_qualify.gate g
		WHERE g.pipeline = p_pipeline AND g.enabled) n
		ON lower(n.framework) = lower(f.framework)
	WHERE NOT (f.shipped AND EXISTS (SELECT FROM lead_qualify.framework u
		WHERE u.framework = f.framework AND NOT u.shipped));
	IF frozen IS DISTINCT FROM tables THEN
		RAISE 'published with the frameworks %, but the tables hold %',
			frozen, tables;
	END IF;
END
$$;

-- A whole configuration, in place of what was drafted before.
CREATE PROCEDURE laws.say_configuration(l laws.layout)
LANGUAGE plpgsql AS
$$
DECLARE
	intent constant boolean := laws.chance(0.3);
	stored constant text := CASE WHEN NOT l.has_stages AND laws.chance(0.3)
		THEN 'Accepted by sales' END;
	path text[] := '{lead}';
	name text;
BEGIN
	PERFORM laws.say('BEGIN');
	FOREACH name IN ARRAY '{gate,rule,exclusion,list,band,stage,dimension}'
		::text[]
	LOOP
		PERFORM laws.say('DELETE FROM lead_qualify.%I WHERE pipeline = %L', name,
			l.pipeline);
	END LOOP;
	CALL laws.say_frameworks();

	PERFORM laws.say('INSERT INTO lead_qualify.dimension (pipeline, dimension, '
		'minimum, maximum, weight) VALUES (%1$L, ''engagement'', %2$L, %3$L, '
		'%4$s), (%1$L, ''fit'', %5$L, %6$L, %7$s)', l.pipeline,
		laws.pick(NULL, '0', '0', '-20'), laws.pick(NULL, '60', '100'),
		laws.pick('1', '1', '0.5'), laws.pick(NULL, '0'),
		laws.pick(NULL, '40'), laws.pick('1', '1', '2'));
	IF intent THEN
		PERFORM laws.say('INSERT INTO lead_qualify.dimension (pipeline, '
			'dimension, minimum, maximum, weight) VALUES (%L, ''intent'', '
			'NULL, %L, %s)', l.pipeline, laws.pick(NULL, '25'),
			laws.pick('0.3', '-0.5'));
	END IF;
	IF laws.chance(0.3) THEN
		PERFORM laws.say('INSERT INTO lead_qualify.dimension (pipeline, '
			'dimension, minimum, maximum) VALUES (%L, ''total'', %L, %L)',
			l.pipeline, laws.pick(NULL, '0'), laws.pick('80', '120'));
	END IF;

	-- both columns of the lead are named, always
	PERFORM laws.say('INSERT INTO lead_qualify.rule (pipeline, name, dimension, '
		'applies_to, condition, points) VALUES (%L, ''columns'', ''fit'', '
		'''lead'', ''employees >= 1000000 AND industry IS NOT NULL'', 1)',
		l.pipeline);
	FOR i IN 1 .. laws.number(1, 3)
	LOOP
		PERFORM laws.say('INSERT INTO lead_qualify.rule (pipeline, name, '
			'dimension, applies_to, condition, points) VALUES (%L, %L, %L, '
			'''lead'', %L, %s)', l.pipeline, 'l_' || i,
			laws.pick('fit', 'fit', 'fit', 'engagement'),
			laws.lead_condition(), laws.pick('-5', '5', '10', '15'));
	END LOOP;
	CALL laws.say_rule(l, 's_visit', 'engagement', 'visit');
	CALL laws.say_rule(l, 's_form', 'engagement', 'form');
	FOR i IN 1 .. laws.number(4, 8)
	LOOP
		CALL laws.say_rule(l, 'x_' || i,
			CASE WHEN intent AND laws.chance(0.3) THEN 'intent'
				ELSE 'engagement' END,
			laws.pick('visit', 'email', 'form', 'demo', 'unsub', 'call',
				NULL));
	END LOOP;

	PERFORM laws.say('INSERT INTO lead_qualify.stage (pipeline, stage, position, '
		'kind, stored_as) VALUES (%1$L, ''lead'', 1, ''lead'', NULL), '
		'(%1$L, ''mql'', 3, ''mql'', NULL), (%1$L, ''sal'', 4, ''sal'', %2$L), '
		'(%1$L, ''sql'', 5, ''sql'', NULL), (%1$L, ''opportunity'', 6, '
		'''opportunity'', NULL), (%1$L, ''customer'', 7, ''won'', NULL), '
		'(%1$L, ''hold'', %3$s, ''hold'', NULL), '
		'(%1$L, ''recycled'', %4$s, ''recycled'', NULL), '
		'(%1$L, ''disqualified'', 9, ''disqualified'', NULL)', l.pipeline,
		stored, laws.pick('2', '8'), laws.pick('10', '11'));

	FOREACH name IN ARRAY '{mql,sal,sql,opportunity,customer}'::text[]
	LOOP
		FOR i IN 1 .. CASE name WHEN 'mql' THEN laws.number(1, 3)
			WHEN 'sql' THEN laws.number(1, 2)
			WHEN 'customer' THEN laws.number(-3, 1)
			ELSE laws.number(0, 1) END
		LOOP
			CALL laws.say_gate(l, name, 'g' || i, path);
		END LOOP;
		path := path || name;
	END LOOP;

	IF laws.chance(0.4) THEN
		PERFORM laws.say('INSERT INTO lead_qualify.exclusion (pipeline, name, '
			'condition, scored) VALUES (%L, ''staff'', '
			'''industry = ''''Staff'''''', %L)', l.pipeline,
			laws.chance(0.5)::text);
	END IF;
	IF laws.chance(0.25) THEN
		PERFORM laws.say('INSERT INTO lead_qualify.exclusion (pipeline, name, '
			'condition, scored) VALUES (%L, ''competitors'', '
			'''lead_qualify.in_list(''''competitors'''', industry)'', %L)',
			l.pipeline, laws.chance(0.7)::text);
	END IF;
	PERFORM laws.say('INSERT INTO lead_qualify.list (pipeline, list, value) '
		'VALUES (%1$L, ''competitors'', ''PRESS''), '
		'(%1$L, ''partners'', ''Spring'')', l.pipeline);
	PERFORM laws.say('INSERT INTO lead_qualify.band (pipeline, dimension, label, '
		'minimum) VALUES (%1$L, ''fit'', ''A'', 25), (%1$L, ''fit'', ''B+'', '
		'15), (%1$L, ''fit'', ''B'', 10), (%1$L, ''fit'', ''C'', 5), '
		'(%1$L, ''fit'', ''F'', 0)', l.pipeline);

	PERFORM laws.say('SELECT lead_qualify.publish(%L, '
		'effective_from => ''-infinity'')', l.pipeline);
	PERFORM laws.say('CALL laws.check_frozen(%L)', l.pipeline);
	PERFORM laws.say('COMMIT');
END
$$;

-- A change of the draft and its publication; rules that keep a memory (caps,
-- counts, max_points) keep those settings.
CREATE PROCEDURE laws.say_publication(l laws.layout, base timestamptz, number int)
LANGUAGE plpgsql AS
$$
DECLARE
	rule text;
	effective text;
BEGIN
	FOR i IN 1 .. laws.number(1, 2)
	LOOP
		rule := 'x_' || laws.number(1, 5);
		CASE laws.number(1, 17)
			WHEN 14 THEN
				PERFORM laws.say('UPDATE lead_qualify.gate SET after = %L '
					'WHERE pipeline = %L AND stage = %L AND name = ''g1''',
					laws.span(), l.pipeline, laws.pick('mql', 'sql'));
			WHEN 15 THEN
				PERFORM laws.say('UPDATE lead_qualify.gate SET idle = %L '
					'WHERE pipeline = %L AND stage = %L AND name = ''g1''',
					laws.span(), l.pipeline, laws.pick('mql', 'sql'));
			WHEN 16 THEN
				PERFORM laws.say('UPDATE lead_qualify.gate SET keep_total = '
					'least(min_total - 1, %s), fallback_stage = ''lead'' '
					'WHERE pipeline = %L AND stage = %L',
					laws.pick('-2', '3', '7.5', '12', '20'), l.pipeline,
					laws.pick('mql', 'sal', 'sql'));
			WHEN 17 THEN
				PERFORM laws.say('UPDATE lead_qualify.gate SET keep_total = '
					'NULL, keep_engagement = NULL, fallback_stage = NULL '
					'WHERE pipeline = %L AND stage = %L', l.pipeline,
					laws.pick('mql', 'sal', 'sql'));
			WHEN 13 THEN
				PERFORM laws.say('UPDATE lead_qualify.rule SET answers = %L '
					'WHERE pipeline = %L AND name = %L',
					CASE WHEN laws.chance(0.7) THEN laws.some_answers() END,
					l.pipeline, rule);
			WHEN 11, 12 THEN
				CALL laws.say_framework_change();
			WHEN 10 THEN
				PERFORM laws.say('UPDATE lead_qualify.rule SET points = %s '
					'WHERE pipeline = %L AND name = ''l_1''',
					laws.pick('-3', '8', '20'), l.pipeline);
			WHEN 1, 2 THEN
				PERFORM laws.say('UPDATE lead_qualify.rule SET points = %s '
					'WHERE pipeline = %L AND name = %L AND max_points IS NULL',
					laws.pick('-7', '2', '4', '12', '25'), l.pipeline, rule);
			WHEN 3 THEN
				PERFORM laws.say('UPDATE lead_qualify.rule '
					'SET decay = ''exponential'', period = %L '
					'WHERE pipeline = %L AND name = %L AND max_points IS NULL',
					laws.span(), l.pipeline, rule);
			WHEN 4 THEN
				PERFORM laws.say('UPDATE lead_qualify.rule '
					'SET enabled = NOT enabled '
					'WHERE pipeline = %L AND name = %L AND max_points IS NULL '
					'AND at_most IS NULL AND at_least IS NULL', l.pipeline,
					rule);
			WHEN 5 THEN
				PERFORM laws.say('UPDATE lead_qualify.rule SET condition = %L '
					'WHERE pipeline = %L AND name = %L AND max_points IS NULL '
					'AND at_most IS NULL AND at_least IS NULL',
					laws.activity_condition(), l.pipeline, rule);
			WHEN 6 THEN
				CALL laws.say_rule(l, format('y_%s_%s', number, i),
					'engagement', laws.pick('visit', 'email', 'demo'));
			WHEN 7 THEN
				CALL laws.say_gate(l, laws.pick('mql', 'sql'),
					format('h%s_%s', number, i), '{lead}');
			WHEN 8 THEN
				PERFORM laws.say('UPDATE lead_qualify.dimension SET weight = %s '
					'WHERE pipeline = %L AND dimension = ''engagement''',
					laws.pick('0.25', '1', '1.5'), l.pipeline);
			ELSE
				PERFORM laws.say('UPDATE lead_qualify.gate '
					'SET enabled = NOT enabled '
					'WHERE pipeline = %L AND stage = %L AND name = ''g1''',
					l.pipeline, laws.pick('mql', 'sql'));
		END CASE;
	END LOOP;
	effective := CASE laws.number(1, 8)
		WHEN 1 THEN ', effective_from => ''-infinity'''
		WHEN 2 THEN ', effective_from => ''2100-01-01'''
		WHEN 3 THEN ''
		ELSE format(', effective_from => %L', base
			+ laws.number(0, 90 * 24) * interval '1 hour')
	END;
	PERFORM laws.say('SELECT lead_qualify.publish(%L, note => %L%s)', l.pipeline,
		'change ' || number, effective);
	PERFORM laws.say('CALL laws.check_frozen(%L)', l.pipeline);
END
$$;

-- One row of VALUES for source 1 or 2.
CREATE FUNCTION laws.activity_row(l laws.layout, source int, k int, lead text,
	at timestamptz) RETURNS text
LANGUAGE plpgsql VOLATILE AS
$$
BEGIN
	RETURN format('(%L, %s, %L, %s, %s, %L, %L)',
		CASE WHEN source = 1 THEN laws.activity_name(l, k)
			ELSE (k * 7919 % 1000003)::text END,
		laws.lead_value(l, lead),
		CASE WHEN source = 1
			THEN laws.pick('visit', 'visit', 'visit', 'email', 'form', 'demo',
				'unsub', 'other', NULL)
			ELSE laws.pick('Lead', 'Lead', 'Lead', 'Deal') END,
		laws.time_literal(at, CASE WHEN source = 1 THEN l.at_type
			ELSE 'timestamp' END, l.zone),
		laws.pick('NULL', '0', '5', '15', '33', '60'),
		laws.pick(NULL, 'spring', 'SPRING', 'autumn', 'winter'),
		laws.pick(NULL, '{"page": "/pricing"}', '{"page": "/about"}'));
END
$$;

CREATE PROCEDURE laws.say_leads(l laws.layout, pure boolean,
	base timestamptz, names text[])
LANGUAGE plpgsql AS
$$
DECLARE
	name text;
	stage text;
	rows text;
BEGIN
	FOREACH name IN ARRAY names
	LOOP
		stage := CASE WHEN laws.chance(0.12)
			THEN laws.pick('mql', 'hold', 'sql', 'recycled', 'recycled') END;
		rows := concat_ws(', ', rows, format('(%L, %L, %L, %L, %L%s)', name,
			stage, stage, laws.pick(NULL, '5', '20', '60', '600'),
			laws.pick(NULL, 'SaaS', 'SaaS', 'Staff', 'Staff', 'press',
				'Retail'),
			CASE WHEN l.has_created THEN ', ' || laws.time_literal(
				base + laws.number(0, 60 * 24) * interval '1 hour',
				'timestamptz', 'UTC') ELSE '' END));
	END LOOP;
	PERFORM laws.say('INSERT INTO %s (%s, stage, start_stage, employees, '
		'industry%s) VALUES %s ON CONFLICT DO NOTHING', l.leads, l.lead_key,
		CASE WHEN l.has_created THEN ', created_at' ELSE '' END, rows);
END
$$;

-- A change of leads' columns, stage or both, logged where it is one.
CREATE PROCEDURE laws.say_lead_change(l laws.layout, names text[],
	columns boolean, move boolean)
LANGUAGE plpgsql AS
$$
DECLARE
	employees constant text := laws.pick('NULL', '5', '20', '60', '600');
	industry constant text := laws.pick('NULL', '''SaaS''', '''Staff''',
		'''press''', '''Retail''');
	stage constant text := laws.pick('lead', 'lead', 'mql', 'sal', 'sql',
		'opportunity', 'customer', 'hold', 'hold', 'recycled', 'recycled',
		'recycled', 'disqualified');
	chosen text;
	stored text;
BEGIN
	SELECT format('%s IN (%s)', l.lead_key, string_agg(quote_literal(x), ', '))
	INTO chosen FROM unnest(names) AS x;
	-- the spelling that the draft gives the stage when the step runs
	stored := format('(SELECT coalesce(s.stored_as, s.stage) '
		'FROM lead_qualify.stage s WHERE s.pipeline = %L AND s.stage = %L)',
		l.pipeline, stage);
	IF columns THEN
		PERFORM laws.say('INSERT INTO laws.log SELECT ''attribute'', %s::text '
			'FROM %s WHERE %s AND (employees, industry) IS DISTINCT FROM '
			'(%s, %s)', l.lead_key, l.leads, chosen, employees, industry);
	END IF;
	IF move THEN
		PERFORM laws.say('INSERT INTO laws.log SELECT ''manual'', %s::text '
			'FROM %s WHERE %s AND stage IS DISTINCT FROM %s', l.lead_key,
			l.leads, chosen, stored);
	END IF;
	PERFORM laws.say('UPDATE %s SET %s WHERE %s', l.leads, concat_ws(', ',
		CASE WHEN columns THEN format('employees = %s, industry = %s',
			employees, industry) END,
		CASE WHEN move THEN format('stage = %s', stored) END,
		CASE WHEN NOT columns AND NOT move THEN 'note = ''seen''' END),
		chosen);
END
$$;

-- The key of an answer, in no order of arrival.
CREATE FUNCTION laws.answer_id(k int) RETURNS text
LANGUAGE sql IMMUTABLE AS $$ SELECT (k * 7919 % 1000003)::text $$;

-- Answers and withdrawals, at any time: one, several, or at the very time of
-- something else.
CREATE PROCEDURE laws.say_answers(l laws.layout, pure boolean, lead text,
	names text[], times timestamptz[], INOUT last int)
LANGUAGE plpgsql AS
$$
DECLARE
	side constant text := laws.side_table(l, '_answers');
	twin constant int := laws.number(1, CASE WHEN pure THEN 12 ELSE 6 END);
	at timestamptz;
	said text;
	rows text;
BEGIN
	IF cardinality(times) = 1 AND laws.chance(0.12) THEN
		PERFORM laws.say('SELECT lead_qualify.' || CASE
			WHEN pure OR laws.chance(0.7) THEN 'answer(%1$L, l.%3$s, %4$L, %5$s)'
			ELSE 'withdraw(%1$L, l.%3$s, ''money'')' END
			|| ' FROM %2$s l WHERE l.%3$s = %6$L', l.pipeline, l.leads,
			l.lead_key, laws.some_answers(),
			laws.time_literal(times[1], 'timestamptz', 'UTC'), lead);
		RETURN;
	END IF;
	IF cardinality(times) = 1 AND twin <= 3 THEN
		last := last + 1;
		-- of the lead's activity, the last manual move, the last change
		PERFORM laws.say('INSERT INTO %s (id, assessment, lead, answered_at) '
			'SELECT %s, %L, %s LIMIT 1', side, laws.answer_id(last),
			laws.some_answers(), CASE
				WHEN pure OR twin = 1 THEN format('a.%1$s, %2$s FROM %3$s a '
					'WHERE a.%1$s = %4$L ORDER BY a.%5$s::text COLLATE "C"',
					l.activity_lead, format(CASE l.at_type
						WHEN 'timestamptz' THEN 'a.%1$s'
						ELSE 'a.%1$s::timestamp AT TIME ZONE %2$L' END,
						l.activity_at, l.zone), l.activities, lead,
					l.activity_key)
				WHEN twin = 2 THEN format('h.lead, h.entered_at FROM %s h '
					'WHERE h.cause = ''manual'' AND h.superseded_at IS NULL '
					'ORDER BY h.id DESC', laws.side_table(l, '_stage_history'))
				ELSE format('i.lead, i.changed_at FROM %s i '
					'ORDER BY i.changed_at DESC, i.lead',
					laws.side_table(l, '_attributes')) END);
		RETURN;
	END IF;
	FOREACH at IN ARRAY times
	LOOP
		last := last + 1;
		said := CASE WHEN laws.chance(0.8) THEN laws.some_answers() END;
		rows := concat_ws(', ', rows, format('(%s, %L, %L, %L, %s)',
			laws.answer_id(last), CASE WHEN laws.chance(0.5) THEN lead
				ELSE names[laws.number(1, cardinality(names))] END, said,
			CASE WHEN said IS NULL THEN laws.pick('budget', 'authority', 'need',
				'timing', 'challenges', 'team') END,
			laws.time_literal(at, 'timestamptz', 'UTC')));
	END LOOP;
	PERFORM laws.say('INSERT INTO %s (id, lead, assessment, withdrawn, '
		'answered_at) VALUES %s', side, rows);
END
$$;

-- A change of answers that are there.
CREATE PROCEDURE laws.say_answer_change(l laws.layout, lead text, other text,
	last int, at timestamptz)
LANGUAGE plpgsql AS
$$
BEGIN
	PERFORM laws.say(laws.pick(
		'DELETE FROM %1$s WHERE id IN (%2$s, %3$s)',
		'DELETE FROM %1$s WHERE id IN (%2$s, %3$s)',
		'DELETE FROM %1$s WHERE lead = %4$L AND withdrawn IS NOT NULL',
		'UPDATE %1$s SET assessment = %7$L, withdrawn = NULL WHERE id = %2$s',
		'UPDATE %1$s SET assessment = assessment '
			'OPERATOR(lead_qualify.||) %7$L WHERE lead = %4$L '
			'AND assessment IS NOT NULL',
		'UPDATE %1$s SET assessment = NULL, withdrawn = ''budget'' '
			'WHERE id IN (%2$s, %3$s)',
		'UPDATE %1$s SET answered_at = %6$s WHERE id IN (%2$s, %3$s)',
		'UPDATE %1$s SET answered_at = answered_at - interval ''50 hours'' '
			'WHERE lead = %4$L',
		'UPDATE %1$s SET lead = %4$L WHERE id IN (%2$s, %3$s)',
		'UPDATE %1$s SET lead = %4$L, answered_at = %6$s WHERE lead = %5$L',
		'UPDATE %1$s SET id = 2000000 - id WHERE id = %2$s AND NOT EXISTS '
			'(SELECT FROM %1$s x WHERE x.id = 2000000 - %2$s)',
		'UPDATE %1$s SET note = ''heard'' WHERE lead = %4$L',
		'INSERT INTO %1$s (id, lead, assessment, answered_at) '
			'VALUES (%2$s, %4$L, %7$L, %6$s) ON CONFLICT (id) DO UPDATE '
			'SET answered_at = excluded.answered_at'),
		laws.side_table(l, '_answers'),
		laws.answer_id(laws.number(1, last)),
		laws.answer_id(laws.number(1, last)), lead, other,
		laws.time_literal(at, 'timestamptz', 'UTC'), laws.some_answers());
END
$$;

-- The clock runs at each time that it is due, the earliest first; so many
-- times at most.
CREATE PROCEDURE laws.step_clock(p_pipeline text, p_most int = 100000)
LANGUAGE plpgsql AS
$$
DECLARE
	p record;
	due timestamptz;
	last timestamptz;
BEGIN
	SELECT * INTO STRICT p FROM lead_qualify.pipeline
	WHERE pipeline = p_pipeline;
	FOR i IN 1 .. p_most
	LOOP
		EXECUTE format('SELECT min(q.next_due_at) FROM %1$I.%2$I q '
			'WHERE EXISTS (SELECT FROM %1$I.%3$I l WHERE l.%4$I = q.lead)',
			p.leads_schema, p.prefix || '_qualification', p.leads_table,
			p.lead_key) INTO due;
		EXIT WHEN due IS NULL OR due > clock_timestamp();
		IF due <= last THEN
			RAISE 'due at % after advance to %', due, last;
		END IF;
		PERFORM lead_qualify.advance(p_pipeline, due);
		last := due;
	END LOOP;
END
$$;

-- The clock runs in the middle of a script, or something happens at the very
-- time at which it is due.
CREATE PROCEDURE laws.say_clock(l laws.layout, lead text, at timestamptz,
	INOUT last int)
LANGUAGE plpgsql AS
$$
BEGIN
	IF laws.chance(0.35) THEN
		last := last + 1;
		PERFORM laws.say('INSERT INTO %s (id, assessment, lead, answered_at) '
			'SELECT %s, %L, q.lead, q.next_due_at FROM %s q '
			'WHERE q.next_due_at < ''2026-06-01'' '
			'ORDER BY q.lead::text = %L DESC, md5(q.lead::text) LIMIT 1',
			laws.side_table(l, '_answers'), laws.answer_id(last),
			laws.some_answers(), laws.side_table(l, '_qualification'), lead);
		RETURN;
	END IF;
	PERFORM laws.say(laws.pick(
		'SELECT lead_qualify.advance(%1$L, %2$L)',
		'SELECT lead_qualify.advance(%1$L, %2$L)',
		'SELECT lead_qualify.advance(%1$L, %2$L)',
		'SELECT lead_qualify.advance(%1$L)',
		'CALL laws.step_clock(%1$L, %3$s)',
		'CALL laws.step_clock(%1$L, %3$s)',
		'SELECT lead_qualify.recompute(%1$L)'), l.pipeline,
		to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') || '+00',
		laws.number(1, 12)::text);
END
$$;

-- Mostly as far on as the script is, else any time; many at whole hours or
-- days; NULL is the present, at which nothing of a pure script happens.
CREATE FUNCTION laws.some_time(base timestamptz, part float8, grain text,
	present float8) RETURNS timestamptz
LANGUAGE plpgsql VOLATILE AS
$$
DECLARE
	at timestamptz := base + 90 * interval '24 hours'
		* CASE WHEN laws.chance(0.25) THEN random()
			ELSE least(1, part + random() * 0.02) END;
BEGIN
	at := CASE laws.number(1, 8)
		WHEN 1 THEN date_trunc('day', at, 'UTC')
		WHEN 2 THEN at
		WHEN 3 THEN date_trunc('minute', at)
		ELSE date_trunc(grain, at, 'UTC') END;
	IF laws.chance(0.01) THEN
		RETURN at + interval '100 years';
	END IF;
	RETURN CASE WHEN NOT laws.chance(present) THEN at END;
END
$$;

CREATE PROCEDURE laws.generate(p_seed int)
LANGUAGE plpgsql AS
$$
DECLARE
	base constant timestamptz := '2026-01-01 00:00+00';
	l laws.layout;
	pure boolean;
	present float8;						-- share of activities dated now
	grain text;							-- most times are rounded to it
	steps int;
	source int;
	target text;
	names text[];
	chosen text;
	rows text[];
	upsert boolean;
	keys int[] := '{}';
	keys2 int[] := '{}';
	k int := 0;
	answers int := 0;
	at timestamptz;
	part float8;						-- of the script is over
	times timestamptz[];
	block int := 0;						-- 1 in a transaction, 2 after a savepoint
	publications int := 0;
BEGIN
	PERFORM setseed(p_seed % 1000000 / 1000000.0);
	SELECT * INTO l FROM laws.layout
	WHERE layout = (p_seed - 1) % (SELECT count(*) FROM laws.layout);
	-- pure scripts have no event that is dated by the clock
	pure := NOT l.has_stages AND laws.chance(0.4);
	present := CASE WHEN pure THEN 0
		WHEN l.has_stages OR laws.chance(0.5) THEN 0.5 ELSE 0.05 END;
	-- whole days make ties, and spans that end at an activity
	grain := laws.pick('hour', 'hour', 'day');
	DELETE FROM laws.step;
	DELETE FROM laws.script;
	INSERT INTO laws.script VALUES (p_seed, l.layout, pure);

	CALL laws.say_layout(l, p_seed);
	IF NOT l.has_stages THEN
		PERFORM laws.say(x) FROM unnest(laws.emptying(l)) AS x;
	END IF;
	PERFORM laws.say('DELETE FROM laws.log');
	CALL laws.say_configuration(l);
	SELECT array_agg(laws.lead_name(l, i) ORDER BY i) INTO names
	FROM generate_series(1, 24) AS i;
	CALL laws.say_leads(l, pure, base, names[9:CASE WHEN l.foreign_key THEN 24
		ELSE 20 END]);
	IF NOT l.has_stages THEN
		CALL laws.say_leads(l, pure, base, names[1:8]);
	END IF;

	steps := laws.number(60, 110);
	FOR step IN 1 .. steps
	LOOP
		-- transactions and savepoints around the steps
		IF block = 0 AND laws.chance(0.1) THEN
			PERFORM laws.say('BEGIN');
			block := 1;
		ELSIF block = 1 AND laws.chance(0.3) THEN
			PERFORM laws.say('SAVEPOINT s');
			block := 2;
		ELSIF block = 2 AND laws.chance(0.4) THEN
			PERFORM laws.say(laws.pick('ROLLBACK TO s', 'ROLLBACK TO s',
				'RELEASE s'));
			block := 1;
		ELSIF block > 0 AND laws.chance(0.3) THEN
			PERFORM laws.say(laws.pick('COMMIT', 'COMMIT', 'COMMIT', 'ROLLBACK'));
			block := 0;
		END IF;

		part := step::float8 / steps;
		source := CASE WHEN l.second_source AND laws.chance(0.3) THEN 2
			ELSE 1 END;
		-- some leads have many activities, most have few
		chosen := names[1 + floor(24 * random() * random())::int];
		target := CASE source WHEN 1 THEN l.activities
			ELSE split_part(l.leads, '.', 1) || '.calls' END;
		CASE
			WHEN laws.chance(0.1) THEN
				CALL laws.say_clock(l, chosen, base + least(1.1, part
					+ laws.number(-1, 3) * 0.1) * 90 * interval '24 hours',
					answers);
			WHEN laws.chance(0.16) THEN
				times := ARRAY(SELECT laws.some_time(base, part, grain,
						CASE WHEN pure THEN 0 ELSE greatest(present, 0.3) END)
					FROM generate_series(1, CASE WHEN laws.chance(0.6) THEN 1
						ELSE laws.number(2, 8) END));
				CALL laws.say_answers(l, pure, chosen, names, times, answers);
			WHEN laws.chance(0.1) AND answers > 0 THEN
				CALL laws.say_answer_change(l, chosen,
					names[laws.number(1, 24)], answers,
					laws.some_time(base, part, grain, 0));
			WHEN laws.chance(0.45) OR cardinality(keys) < 10
				OR cardinality(keys2) < 3 AND source = 2
			THEN
				rows := '{}';
				upsert := source = 1 AND NOT l.partitioned
					AND cardinality(keys) > 0 AND laws.chance(0.1);
				FOR i IN 1 .. CASE WHEN laws.chance(0.5) THEN 1
					ELSE laws.number(2, 12) END
				LOOP
					k := k + 1;
					at := laws.some_time(base, part, grain, present);
					IF source = 1 THEN
						keys := keys || k;
					ELSE
						keys2 := keys2 || k;
					END IF;
					rows := rows || laws.activity_row(l, source,
						CASE WHEN upsert AND i = 1
							THEN keys[laws.number(1, cardinality(keys) - 1)]
							ELSE k END,
						CASE WHEN laws.chance(0.02) THEN NULL
							WHEN laws.chance(0.5) THEN chosen
							ELSE names[1 + floor(24 * random())::int] END,
						at);
				END LOOP;
				IF source = 1 THEN
					PERFORM laws.say('INSERT INTO %s (%s, %s, %s, %s, amount, '
						'campaign, properties) VALUES %s%s', target,
						l.activity_key, l.activity_lead, l.activity_type,
						l.activity_at,
						(SELECT string_agg(r, ', ' ORDER BY random())
						 FROM unnest(rows) AS r),
						CASE WHEN upsert THEN format(' ON CONFLICT (%1$s) '
							'DO UPDATE SET %2$s = excluded.%2$s',
							l.activity_key, l.activity_at) ELSE '' END);
				ELSE
					PERFORM laws.say('INSERT INTO %s (id, subject, subject_type, '
						'started, amount, campaign, properties) VALUES %s',
						target, (SELECT string_agg(r, ', ' ORDER BY random())
						 FROM unnest(rows) AS r));
				END IF;
			WHEN source = 2 THEN
				PERFORM laws.say(laws.pick(
					'DELETE FROM %1$s WHERE id IN (%2$L, %3$L)',
					'UPDATE %1$s SET started = started - interval ''5 days'' '
						'WHERE id IN (%2$L, %3$L)',
					'UPDATE %1$s SET subject_type = ''Lead'' '
						'WHERE id IN (%2$L, %3$L)',
					'UPDATE %1$s SET subject_type = ''Deal'', subject = %4$L '
						'WHERE id = %2$L',
					'UPDATE %1$s SET subject = %4$L WHERE subject = %5$L'),
					target,
					(keys2[laws.number(1, cardinality(keys2))]
						* 7919 % 1000003)::text,
					(keys2[laws.number(1, cardinality(keys2))]
						* 7919 % 1000003)::text,
					chosen, names[laws.number(1, 24)]);
			WHEN laws.chance(0.4) THEN
				PERFORM laws.say(laws.pick(
					'DELETE FROM %1$s WHERE %2$s IN (%3$L, %4$L)',
					'DELETE FROM %1$s WHERE %2$s IN (%3$L, %4$L)',
					'DELETE FROM %1$s WHERE %5$s = %7$s AND %6$s = ''email''',
					'UPDATE %1$s SET %8$s = %9$s WHERE %2$s = %3$L',
					'UPDATE %1$s SET %8$s = %9$s WHERE %2$s = %3$L',
					'UPDATE %1$s SET %8$s = (%8$s + interval ''26 hours'')::'
						'%10$s WHERE %5$s = %7$s AND %8$s < ''2026-05-01''',
					'UPDATE %1$s SET %5$s = %7$s WHERE %2$s IN (%3$L, %4$L)',
					'UPDATE %1$s SET %5$s = NULL WHERE %2$s = %4$L',
					'UPDATE %1$s SET %6$s = ''form'' '
						'WHERE %2$s IN (%3$L, %4$L)',
					'UPDATE %1$s SET amount = coalesce(amount, 0) + 20 '
						'WHERE %5$s = %7$s',
					'UPDATE %1$s SET campaign = campaign WHERE %5$s = %7$s',
					'UPDATE %1$s SET %8$s = %9$s, %6$s = ''demo'', '
						'%5$s = %7$s WHERE %2$s IN (%3$L)',
					'WITH d AS (DELETE FROM %1$s WHERE %2$s IN (%3$L, %4$L) '
						'RETURNING *) INSERT INTO %1$s (%2$s, %5$s, %6$s, '
						'%8$s, amount) SELECT %2$s, %7$s, %6$s, %8$s, amount '
						'FROM d'),
					target, l.activity_key,
					laws.activity_name(l,
						keys[laws.number(1, cardinality(keys))]),
					laws.activity_name(l,
						keys[laws.number(1, cardinality(keys))]),
					l.activity_lead, l.activity_type,
					laws.lead_value(l, chosen),
					l.activity_at,
					laws.time_literal(base + random() * 90
						* interval '24 hours', l.at_type, l.zone),
					l.at_type);
			WHEN laws.chance(0.15) THEN
				IF block = 0 THEN
					PERFORM laws.say('BEGIN');
				END IF;
				publications := publications + 1;
				CALL laws.say_publication(l, base, publications);
				IF block = 0 THEN
					PERFORM laws.say('COMMIT');
				END IF;
			WHEN laws.chance(0.2) THEN
				CALL laws.say_leads(l, pure, base,
					ARRAY[chosen, names[laws.number(20, 24)]]);
			WHEN laws.chance(0.15) THEN
				PERFORM laws.say('DELETE FROM laws.log WHERE lead = %L', chosen);
				PERFORM laws.say('INSERT INTO laws.log SELECT ''kept'', %L '
					'FROM %s WHERE %s = %L', chosen, l.leads, l.lead_key,
					chosen);
				PERFORM laws.say('DELETE FROM %s WHERE %s = %L', l.leads,
					l.lead_key, chosen);
				-- an answer that is there still outlived its lead
				PERFORM laws.say('DELETE FROM laws.log WHERE kind = ''kept'' '
					'AND lead = %1$L %2$s', chosen,
					CASE WHEN l.fire = 'deferred' THEN '' ELSE format('AND NOT '
						'EXISTS (SELECT FROM %s WHERE lead = %L)',
						laws.side_table(l, '_answers'), chosen) END);
			WHEN pure THEN
				CALL laws.say_lead_change(l, ARRAY[chosen], false, false);
			ELSE
				CALL laws.say_lead_change(l, CASE WHEN laws.chance(0.8)
						THEN ARRAY[chosen]
						ELSE ARRAY[chosen, names[laws.number(1, 24)],
							names[laws.number(1, 24)]] END,
					laws.chance(0.4), laws.chance(0.7));
				IF laws.chance(0.5) THEN
					CALL laws.say_answers(l, pure, chosen, ARRAY[chosen],
						ARRAY[NULL::timestamptz], answers);
				END IF;
		END CASE;
	END LOOP;
	IF block > 0 THEN
		PERFORM laws.say('COMMIT');
	END IF;
	-- leads that a rollback or a delete left out come after their activities
	CALL laws.say_leads(l, pure, base, names[CASE WHEN l.has_stages THEN 9
		ELSE 1 END:24]);
END
$$;
