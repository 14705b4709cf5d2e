-- What the benchmarks share, included by each of them: alternatives run turn
-- by turn in one session, timed by the wall and by the CPU of that session.
--
-- A benchmark fills bench.alternative, calls bench.turns(), and shows
-- bench.report.  scripts/bench.sh keeps bench.results() as
-- test/bench/results/<benchmark>.json.

\pset footer off
SET client_min_messages = warning;
SET max_parallel_workers_per_gather = 0;
SET jit = off;
SET timezone = 'UTC';
CREATE EXTENSION lead_qualify;
CREATE SCHEMA bench;

\set quick ''
\getenv quick QUICK
SELECT :'quick' NOT IN ('', '0') AS quick \gset

-- One thing to measure, several ways to do it.  "ready" is run before each
-- turn, outside the time.  {turn} stands for its number in both, {i} for that
-- of the repetition, each of which is a transaction.
CREATE TABLE bench.alternative (
	measure text,
	n int,
	what text NOT NULL,
	run text NOT NULL,
	ready text,
	repeat int NOT NULL DEFAULT 1,
	baseline text,				-- what it is a multiple of: another alternative of the measure
	goal numeric,				-- NULL: none
	settings text[],			-- name=value
	units bigint,				-- how many things a turn deals with, for the time of each
	goal_is text NOT NULL DEFAULT '≤ ×'	-- multiples of the baseline (of its CPU, if that is known), ms a turn, µs each beyond the baseline
		CHECK (goal_is IN ('≤ ×', '≥ ×', '≤ × cpu', '≤ ms', '≤ µs')),
	PRIMARY KEY (measure, n),
	UNIQUE (measure, what));

CREATE TABLE bench.run (
	measure text,
	turn int,
	what text,
	wall float8,				-- seconds, commit included
	cpu float8,					-- of the session, NULL where the system does not tell
	answer text);				-- what the statement returned

-- figures beside times: sizes, shares, counts
-- and met is what the goal's text says, unless given
CREATE TABLE bench.figure (measure text, what text, value numeric, unit text, goal text, met boolean);

CREATE FUNCTION bench.meets(value numeric, goal text) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
	SELECT CASE left(goal, 1) WHEN '<' THEN value < n WHEN '≤' THEN value <= n WHEN '≥' THEN value >= n ELSE value = n END
	FROM substring(goal FROM '[\d.]+') s, CAST(s AS numeric) n $$;

-- seconds of CPU that this session has used; Linux only
CREATE FUNCTION bench.cpu() RETURNS float8 LANGUAGE plpgsql AS $$
BEGIN
	RETURN split_part(pg_read_file('/proc/self/schedstat'), ' ', 1)::float8 / 1e9;
EXCEPTION WHEN undefined_file THEN
	RETURN NULL;
END $$;

-- Sets and returns what undoes it.
CREATE FUNCTION bench.set(settings text[]) RETURNS text[] LANGUAGE sql AS $$
	WITH old AS MATERIALIZED (
		SELECT s, split_part(s, '=', 1) || '=' || current_setting(split_part(s, '=', 1)) AS undo FROM unnest(settings) s)
	SELECT array_agg(undo) FROM old WHERE set_config(split_part(s, '=', 1), split_part(s, '=', 2), false) IS NOT NULL $$;

-- EXECUTE 'CALL …' cannot commit, a CALL of this can.
CREATE PROCEDURE bench.called() LANGUAGE sql AS '';

-- One turn of one alternative.
CREATE PROCEDURE bench.turn(a bench.alternative, turn int) LANGUAGE plpgsql AS $$
DECLARE
	begun timestamptz;
	cpu float8;
	run text;
	answer text;
	undo text[] := bench.set(a.settings);
BEGIN
	IF a.ready IS NOT NULL THEN
		EXECUTE replace(a.ready, '{turn}', turn::text);
	END IF;
	IF a.run LIKE 'CALL %' THEN
		EXECUTE format('CREATE OR REPLACE PROCEDURE bench.called() LANGUAGE plpgsql AS %L',
			'BEGIN ' || replace(a.run, '{turn}', turn::text) || '; END');
	END IF;
	COMMIT;
	cpu := bench.cpu();
	begun := clock_timestamp();
	FOR i IN 0 .. a.repeat - 1 LOOP
		run := replace(replace(a.run, '{turn}', turn::text), '{i}', i::text);
		IF run LIKE 'CALL %' THEN
			CALL bench.called();
		ELSIF run ~* '^\s*(select|with)' THEN
			EXECUTE run INTO answer;
		ELSE
			EXECUTE run;
		END IF;
		COMMIT;
	END LOOP;
	INSERT INTO bench.run VALUES (a.measure, turn, a.what, extract(epoch FROM clock_timestamp() - begun), bench.cpu() - cpu, answer);
	PERFORM bench.set(undo);
	COMMIT;
END $$;

-- All alternatives of a measure turn by turn.  The first turn, number 0, is
-- thrown away, unless there is none.
CREATE PROCEDURE bench.turns(measure text, times int, first int DEFAULT 0) LANGUAGE plpgsql AS $$
DECLARE
	a bench.alternative;
BEGIN
	FOR i IN first .. times LOOP
		FOR a IN SELECT * FROM bench.alternative b WHERE b.measure = turns.measure ORDER BY n LOOP
			CALL bench.turn(a, i);
		END LOOP;
	END LOOP;
	DELETE FROM bench.run r WHERE r.measure = turns.measure AND r.turn = 0;
	COMMIT;
END $$;

-- Medians; a ratio is the median of the ratios of each turn, so that what
-- slows the machine down for a while slows both.
CREATE VIEW bench.result AS
WITH median AS (
	SELECT a.measure, a.n, a.what, a.baseline, a.goal, a.goal_is, count(*) AS turns,
		percentile_cont(0.5) WITHIN GROUP (ORDER BY r.wall) AS seconds, min(r.wall) AS least, max(r.wall) AS most,
		percentile_cont(0.5) WITHIN GROUP (ORDER BY r.cpu) AS cpu,
		percentile_cont(0.5) WITHIN GROUP (ORDER BY r.wall / b.wall) AS ratio,
		min(r.wall / b.wall) AS ratio_least, max(r.wall / b.wall) AS ratio_most,
		-- the system counts CPU in ticks of some milliseconds
		percentile_cont(0.5) WITHIN GROUP (ORDER BY CASE WHEN b.cpu > 0.01 THEN r.cpu / b.cpu END) AS cpu_ratio,
		a.units, percentile_cont(0.5) WITHIN GROUP (ORDER BY r.wall) * 1e6 / a.units AS us_each,
		percentile_cont(0.5) WITHIN GROUP (ORDER BY r.wall - coalesce(b.wall, 0)) * 1e6 / a.units AS us_beyond,
		min(r.answer) AS answer
	FROM bench.alternative a JOIN bench.run r USING (measure, what)
		LEFT JOIN bench.run b ON b.measure = a.measure AND b.what = a.baseline AND b.turn = r.turn
	GROUP BY a.measure, a.n)
SELECT m.*, v.have, CASE WHEN goal_is LIKE '≤%' THEN v.have <= goal ELSE v.have >= goal END AS met
FROM median m, LATERAL (SELECT CASE goal_is WHEN '≤ ms' THEN seconds * 1000 WHEN '≤ µs' THEN us_beyond
	WHEN '≤ × cpu' THEN coalesce(cpu_ratio, ratio) ELSE ratio END AS have) v;

CREATE VIEW bench.report AS
SELECT measure, what, round(seconds::numeric * 1000, 2) AS ms,
	round(least::numeric * 1000, 2) || ' – ' || round(most::numeric * 1000, 2) AS spread,
	round(cpu::numeric * 1000, 2) AS "cpu ms", round(ratio::numeric, 2) AS "×",
	round(ratio_least::numeric, 2) || ' – ' || round(ratio_most::numeric, 2) AS "× spread",
	round(cpu_ratio::numeric, 2) AS "cpu ×", round(us_each::numeric, 3) AS "µs each",
	CASE WHEN baseline IS NOT NULL THEN round(us_beyond::numeric, 3) END AS "beyond",
	left(answer, 20) AS answer, overlay(goal_is PLACING ' ' || goal FROM 2 FOR 0) AS goal,
	CASE WHEN met THEN 'met' WHEN NOT met THEN 'missed' END AS "goal is"
FROM bench.result ORDER BY measure, n;

-- every goal of the benchmark, for the summary at the end
CREATE VIEW bench.goal AS
SELECT r.measure, r.what, p.goal, round(r.have::numeric, 2) || substr(r.goal_is, 2) AS have, r.met
FROM bench.result r JOIN bench.report p USING (measure, what) WHERE r.goal IS NOT NULL
UNION ALL
SELECT measure, what, goal, concat_ws(' ', trim_scale(round(value, 2)), unit), coalesce(met, bench.meets(value, goal)) FROM bench.figure WHERE goal IS NOT NULL;

CREATE FUNCTION bench.results() RETURNS jsonb LANGUAGE sql AS $$
	SELECT jsonb_build_object('server', current_setting('server_version'),
		'times', (SELECT jsonb_agg(jsonb_strip_nulls(to_jsonb(t)) ORDER BY measure, n) FROM (
			SELECT measure, n, what, turns, round(seconds::numeric, 6) AS seconds, round(least::numeric, 6) AS least, round(most::numeric, 6) AS most,
				round(cpu::numeric, 6) AS cpu, baseline, round(ratio::numeric, 4) AS ratio, round(ratio_least::numeric, 4) AS ratio_least,
				round(ratio_most::numeric, 4) AS ratio_most, round(cpu_ratio::numeric, 4) AS cpu_ratio, units, round(us_each::numeric, 4) AS us_each,
				round(us_beyond::numeric, 4) AS us_beyond, answer, goal_is, goal,
				CASE WHEN goal IS NOT NULL THEN round(have::numeric, 4) END AS have, met
			FROM bench.result) t),
		'figures', (SELECT jsonb_agg(jsonb_strip_nulls(to_jsonb(f))) FROM (
			SELECT measure, what, value, unit, goal, coalesce(met, bench.meets(value, goal)) AS met FROM bench.figure) f)) $$;

-- ------------------------------------------------------------------ data

-- The two tables of a CRM.
CREATE FUNCTION bench.crm(schema text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format($q$
		CREATE SCHEMA %1$I;
		CREATE TABLE %1$I.lead (id int PRIMARY KEY, email text, company text, industry text, employees int,
			job_title text, created_at timestamptz NOT NULL) WITH (fillfactor = 70);
		CREATE TABLE %1$I.activity (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, lead_id int NOT NULL,
			type text NOT NULL, occurred_at timestamptz NOT NULL, campaign_id int);
		CREATE INDEX ON %1$I.activity (lead_id, occurred_at)$q$, schema);
END $$;

CREATE FUNCTION bench.leads(n int) RETURNS TABLE (id int, email text, company text, industry text, employees int, job_title text, created_at timestamptz)
LANGUAGE sql IMMUTABLE AS $$
	SELECT i, 'a' || i || '@example.org', 'company ' || i % 9999, CASE WHEN i % 3 > 0 THEN 'Manufacturing' END, i % 700,
		CASE i % 5 WHEN 0 THEN 'Head of Operations' WHEN 1 THEN 'Student' ELSE 'Engineer' END, timestamptz '2024-12-31'
	FROM generate_series(1, n) i $$;

-- a number in (0, 1) that looks random and is the same every time
CREATE FUNCTION bench.draw(i bigint, seed int) RETURNS float8 LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
	$$ SELECT ((hashint8extended(i, seed) & 1048575) + 0.5) / 1048576 $$;

-- A year of activities of 12 kinds, 50 a lead: half of the leads have fewer
-- than 20, some 2,000 (log-normal).  In no order.
CREATE FUNCTION bench.events(leads int) RETURNS TABLE (lead_id int, at timestamptz, kind int) LANGUAGE sql IMMUTABLE AS $$
	SELECT l.lead_id, timestamptz '2025-01-01' + bench.draw(l.lead_id * 4096::bigint + k, 3) * interval '365 days',
		1 + floor(12 * bench.draw(l.lead_id * 4096::bigint + k, 4))::int
	FROM (SELECT i AS lead_id, ceil(least(19 * exp(1.4 * sqrt(-2 * ln(bench.draw(i, 1))) * cos(2 * pi() * bench.draw(i, 2))), 2000))::int AS n
		FROM generate_series(1, leads) i) l, generate_series(1, l.n) k $$;

-- what the template b2b calls them
CREATE FUNCTION bench.kind(n int) RETURNS text LANGUAGE sql IMMUTABLE AS $$
	SELECT (ARRAY['page_view', 'page_view', 'page_view', 'page_view', 'email_open', 'email_open', 'email_open', 'email_click',
		'form_submit', 'webinar_attended', 'newsletter_signup', 'whitepaper_download'])[n] $$;
