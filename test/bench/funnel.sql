-- A funnel of 4 steps in 30 days over 5,000,000 activities of 100,000 leads
-- (QUICK=1: a fifth of both), of 12 types, with an index on (lead_id, at)
-- INCLUDE (type).  Goal: at most 1.5 times the floor, a GROUP BY lead_id that
-- reads that index and counts, and the planner takes that plan by itself.
-- Beside what people write instead: window functions on top of each other,
-- which are exact, and chained minima, which are not.  Turn by turn, medians
-- of five.

\pset footer off
SET client_min_messages = warning;
CREATE EXTENSION lead_qualify;
SET max_parallel_workers_per_gather = 0;
SET jit = off;
SET timezone = 'UTC';

\getenv quick QUICK
\if :{?quick}
\set leads 20000
\else
\set leads 100000
\endif

-- half of the leads have fewer than 20 activities, some 2,000: log-normal
CREATE UNLOGGED TABLE activity (lead_id int, at timestamptz, type int2);
SET work_mem = '256MB';
SELECT setseed(0.5);
INSERT INTO activity
SELECT lead_id, timestamptz '2025-01-01' + random() * interval '365 days' AS at, 1 + floor(random() * 12)
FROM (SELECT lead_id, ceil(least(19 * exp(1.4 * sqrt(-2 * ln(1 - random())) * cos(2 * pi() * random())), 2000))::int AS n
	FROM generate_series(1, :leads) lead_id) l, generate_series(1, n)
ORDER BY at;
SET work_mem = '64MB';
CREATE INDEX ON activity (lead_id, at) INCLUDE (type);
VACUUM (ANALYZE, FREEZE) activity;
SELECT count(*) AS activities, count(DISTINCT lead_id) AS leads FROM activity;

CREATE FUNCTION plan(query text, memory text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	line text;
	nodes text[];
BEGIN
	PERFORM set_config('work_mem', memory, true);
	FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
		nodes := nodes || substring(line FROM '[A-Za-z]*Aggregate|Sort$|Index Only Scan|Seq Scan');
	END LOOP;
	RETURN array_to_string(nodes, ', ');
END $$;
\set funnel 'at, type = 1, type = 2, type = 3, type = 4) AS level FROM activity GROUP BY lead_id'
SELECT memory AS work_mem, plan($$SELECT lead_id, lead_qualify.window_funnel('30 days', $$ || :'funnel', memory)
FROM unnest('{4MB,16MB,64MB,256MB}'::text[]) memory;

CREATE TEMP TABLE run (n int, what text, zone text, seconds float8, fourth bigint);
CREATE PROCEDURE measure(funnel text, times int) LANGUAGE plpgsql AS $$
DECLARE
	sum text := 'SELECT count(*) FILTER (WHERE level = 4) FROM (SELECT lead_id, lead_qualify.';
	n int;
	what text;
	zone text;
	setting text;
	query text;
	begun timestamptz;
	fourth bigint;
BEGIN
	FOR i IN 0 .. times LOOP
		FOR n, what, zone, setting, query IN VALUES
			(1, 'count(*)', 'UTC', 'on', 'SELECT count(*) FROM activity'),
			(2, 'floor: GROUP BY', 'UTC', 'off', 'SELECT max(n) FROM (SELECT lead_id, count(*) AS n FROM activity GROUP BY lead_id) x'),
			(3, 'the same, 4 conditions', 'UTC', 'off', 'SELECT max(n) FROM (SELECT lead_id, greatest(count(*) FILTER (WHERE type = 1),
				count(*) FILTER (WHERE type = 2), count(*) FILTER (WHERE type = 3), count(*) FILTER (WHERE type = 4)) AS n FROM activity GROUP BY lead_id) x'),
			(4, 'window_funnel', 'UTC', 'on', sum || 'window_funnel(''30 days'', ' || funnel || ') x'),
			(5, 'window_funnel', 'Europe/Berlin', 'on', sum || 'window_funnel(''30 days'', ' || funnel || ') x'),
			(6, 'window_funnel, 1 month', 'Europe/Berlin', 'on', sum || 'window_funnel(''1 month'', ' || funnel || ') x'),
			(7, 'window_funnel, strict_once', 'UTC', 'on', sum || 'window_funnel(''30 days'', ''strict_once'', ' || funnel || ') x'),
			(8, 'window_funnel, strict_order', 'UTC', 'on', sum || 'window_funnel(''30 days'', ''strict_order'', ' || funnel || ') x'),
			(9, 'chained minima', 'UTC', 'on', $q$
				WITH s1 AS (SELECT lead_id, min(at) AS t1 FROM activity WHERE type = 1 GROUP BY 1),
				s2 AS (SELECT lead_id, t1, min(at) AS t2 FROM s1 JOIN activity USING (lead_id) WHERE type = 2 AND at BETWEEN t1 AND t1 + interval '30 days' GROUP BY 1, 2),
				s3 AS (SELECT lead_id, t1, min(at) AS t3 FROM s2 JOIN activity USING (lead_id) WHERE type = 3 AND at BETWEEN t2 AND t1 + interval '30 days' GROUP BY 1, 2)
				SELECT count(DISTINCT lead_id) FROM s3 JOIN activity USING (lead_id) WHERE type = 4 AND at BETWEEN t3 AND t1 + interval '30 days'$q$),
			(10, 'window functions', 'UTC', 'on', $q$
				SELECT count(DISTINCT lead_id) FROM (
					SELECT *, max(s2) FILTER (WHERE type = 3 AND at <= s2 + interval '30 days') OVER w AS s3 FROM (
						SELECT *, max(s1) FILTER (WHERE type = 2 AND at <= s1 + interval '30 days') OVER w AS s2 FROM (
							SELECT lead_id, at, type, max(at) FILTER (WHERE type = 1) OVER w AS s1
							FROM activity WINDOW w AS (PARTITION BY lead_id ORDER BY at)) a
						WINDOW w AS (PARTITION BY lead_id ORDER BY at)) b
					WINDOW w AS (PARTITION BY lead_id ORDER BY at)) c
				WHERE type = 4 AND at <= s3 + interval '30 days'$q$)
		LOOP
			PERFORM set_config('timezone', zone, true), set_config('enable_hashagg', setting, true);
			begun := clock_timestamp();
			EXECUTE query INTO fourth;
			IF i > 0 THEN	-- the first one is for warming up
				INSERT INTO run VALUES (n, what, zone, extract(epoch FROM clock_timestamp() - begun), fourth);
			END IF;
		END LOOP;
	END LOOP;
END $$;
CALL measure(:'funnel', 5);
SELECT what, zone, round(median::numeric * 1000) AS "ms", round(best::numeric * 1000) AS best, round(worst::numeric * 1000) AS worst,
	round((median / first_value(median) OVER (ORDER BY n <> 2))::numeric, 2) AS "× floor", CASE WHEN n > 3 THEN fourth END AS "leads at step 4"
FROM (SELECT n, what, zone, percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds) AS median, min(seconds) AS best, max(seconds) AS worst, min(fourth) AS fourth
	FROM run GROUP BY n, what, zone) r ORDER BY n;
