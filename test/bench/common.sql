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

\getenv quick QUICK
\if :{?quick}
\else
\set quick 0
\endif

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
	goal numeric,				-- at most so many times the baseline; NULL: none
	settings text[],			-- name=value
	PRIMARY KEY (measure, n),
	UNIQUE (measure, what));

CREATE TABLE bench.run (
	measure text,
	turn int,
	what text,
	wall float8,				-- seconds, commit included
	cpu float8,					-- of the session, NULL where the system does not tell
	answer text);				-- what the statement returned

-- seconds of CPU that this session has used; Linux only
CREATE FUNCTION bench.cpu() RETURNS float8 LANGUAGE plpgsql AS $$
BEGIN
	RETURN split_part(pg_read_file('/proc/self/schedstat'), ' ', 1)::float8 / 1e9;
EXCEPTION WHEN undefined_file THEN
	RETURN NULL;
END $$;

CREATE FUNCTION bench.set(setting text) RETURNS void LANGUAGE sql AS
	$$ SELECT FROM set_config(split_part(setting, '=', 1), split_part(setting, '=', 2), false) $$;

-- One turn of one alternative.
CREATE PROCEDURE bench.turn(a bench.alternative, turn int) LANGUAGE plpgsql AS $$
DECLARE
	begun timestamptz;
	cpu float8;
	run text;
	answer text;
	wall float8;
	setting text;
BEGIN
	FOREACH setting IN ARRAY coalesce(a.settings, '{}') LOOP
		PERFORM bench.set(setting);
	END LOOP;
	IF a.ready IS NOT NULL THEN
		EXECUTE replace(a.ready, '{turn}', turn::text);
	END IF;
	COMMIT;
	cpu := bench.cpu();
	begun := clock_timestamp();
	FOR i IN 0 .. a.repeat - 1 LOOP
		run := replace(replace(a.run, '{turn}', turn::text), '{i}', i::text);
		IF run ~* '^(select|with)' THEN
			EXECUTE run INTO answer;
		ELSE
			EXECUTE run;
		END IF;
		COMMIT;
	END LOOP;
	wall := extract(epoch FROM clock_timestamp() - begun);
	INSERT INTO bench.run VALUES (a.measure, turn, a.what, wall, bench.cpu() - cpu, answer);
	FOREACH setting IN ARRAY coalesce(a.settings, '{}') LOOP
		EXECUTE format('RESET %I', split_part(setting, '=', 1));
	END LOOP;
	COMMIT;
END $$;

-- All alternatives of a measure turn by turn; what turn 0 takes is thrown away.
CREATE PROCEDURE bench.turns(measure text, times int) LANGUAGE plpgsql AS $$
DECLARE
	a bench.alternative;
BEGIN
	FOR i IN 0 .. times LOOP
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
SELECT a.measure, a.n, a.what, a.baseline, a.goal, count(*) AS turns,
	percentile_cont(0.5) WITHIN GROUP (ORDER BY r.wall) AS seconds, min(r.wall) AS least, max(r.wall) AS most,
	percentile_cont(0.5) WITHIN GROUP (ORDER BY r.cpu) AS cpu,
	percentile_cont(0.5) WITHIN GROUP (ORDER BY r.wall / b.wall) AS ratio,
	min(r.wall / b.wall) AS ratio_least, max(r.wall / b.wall) AS ratio_most,
	percentile_cont(0.5) WITHIN GROUP (ORDER BY r.cpu / nullif(b.cpu, 0)) AS cpu_ratio,
	min(r.answer) AS answer
FROM bench.alternative a JOIN bench.run r USING (measure, what)
	LEFT JOIN bench.run b ON b.measure = a.measure AND b.what = a.baseline AND b.turn = r.turn
GROUP BY a.measure, a.n;

CREATE VIEW bench.report AS
SELECT measure, what, round(seconds::numeric * 1000, 2) AS ms,
	round(least::numeric * 1000, 2) || ' – ' || round(most::numeric * 1000, 2) AS spread,
	round(cpu::numeric * 1000, 2) AS "cpu ms", round(ratio::numeric, 2) AS "×",
	round(ratio_least::numeric, 2) || ' – ' || round(ratio_most::numeric, 2) AS "× spread",
	round(cpu_ratio::numeric, 2) AS "cpu ×", '≤ ' || goal AS goal,
	CASE WHEN goal IS NULL THEN NULL WHEN ratio <= goal THEN 'met' ELSE 'missed' END AS "goal is"
FROM bench.result ORDER BY measure, n;

-- figures beside times: sizes, shares, counts
CREATE TABLE bench.figure (measure text, what text, value numeric, unit text, goal text);

CREATE FUNCTION bench.results() RETURNS jsonb LANGUAGE sql AS $$
	SELECT jsonb_build_object('server', current_setting('server_version'),
		'times', (SELECT jsonb_agg(to_jsonb(r) - 'n' ORDER BY measure, n) FROM bench.result r),
		'figures', (SELECT jsonb_agg(to_jsonb(f)) FROM bench.figure f)) $$;
