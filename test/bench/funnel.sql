-- A funnel of 4 steps in 30 days over 5,000,000 activities of 100,000 leads
-- (QUICK=1: a tenth of both), of 12 types, with an index on (lead_id, at)
-- INCLUDE (type).  Goal: at most 1.5 times the floor, a GROUP BY lead_id that
-- reads that index and counts, and the planner takes that plan by itself at any
-- work_mem from 4 to 256 MB (QUICK=1: a tenth).
-- Beside what people write instead: window functions on top of each other,
-- which are exact, and chained minima, which are not.

\ir common.sql
\if :quick
\set leads 10000
\set memory '{1MB,4MB,12MB,24MB}'
\else
\set leads 100000
\set memory '{4MB,16MB,64MB,256MB}'
\endif

CREATE UNLOGGED TABLE activity (lead_id int, at timestamptz, type int2);
SET work_mem = '256MB';
INSERT INTO activity SELECT * FROM bench.events(:leads) ORDER BY at;
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
INSERT INTO bench.figure
SELECT 'plan', 'at work_mem = ' || memory, NULL, plan, 'GroupAggregate, Index Only Scan', plan = 'GroupAggregate, Index Only Scan'
FROM unnest(:'memory'::text[]) memory, plan($$SELECT lead_id, lead_qualify.window_funnel('30 days', $$ || :'funnel', memory);

INSERT INTO bench.alternative (measure, n, what, run, settings, baseline, goal)
SELECT 'funnel', n, what, replace(replace(run, 'FUNNEL', 'SELECT count(*) FILTER (WHERE level = 4) FROM (SELECT lead_id, lead_qualify.window_funnel'),
	'STEPS', :'funnel' || ') x'), settings, CASE WHEN n <> 2 THEN 'floor: GROUP BY' END, CASE WHEN n = 4 THEN 1.5 END
FROM (VALUES
	(1, 'count(*)', '{}'::text[], 'SELECT count(*) FROM activity'),
	(2, 'floor: GROUP BY', '{enable_hashagg=off}', 'SELECT max(n) FROM (SELECT lead_id, count(*) AS n FROM activity GROUP BY lead_id) x'),
	(3, 'the same, 4 conditions', '{enable_hashagg=off}', 'SELECT max(n) FROM (SELECT lead_id, greatest(count(*) FILTER (WHERE type = 1),
		count(*) FILTER (WHERE type = 2), count(*) FILTER (WHERE type = 3), count(*) FILTER (WHERE type = 4)) AS n FROM activity GROUP BY lead_id) x'),
	(4, 'window_funnel', '{}', 'FUNNEL(''30 days'', STEPS'),
	(5, 'the same, Berlin', '{timezone=Europe/Berlin}', 'FUNNEL(''30 days'', STEPS'),
	(6, '1 month, Berlin', '{timezone=Europe/Berlin}', 'FUNNEL(''1 month'', STEPS'),
	(7, 'strict_once', '{}', 'FUNNEL(''30 days'', ''strict_once'', STEPS'),
	(8, 'strict_order', '{}', 'FUNNEL(''30 days'', ''strict_order'', STEPS'),
	(9, 'SQL: chained minima', '{}', $q$
		WITH s1 AS (SELECT lead_id, min(at) AS t1 FROM activity WHERE type = 1 GROUP BY 1),
		s2 AS (SELECT lead_id, t1, min(at) AS t2 FROM s1 JOIN activity USING (lead_id) WHERE type = 2 AND at BETWEEN t1 AND t1 + interval '30 days' GROUP BY 1, 2),
		s3 AS (SELECT lead_id, t1, min(at) AS t3 FROM s2 JOIN activity USING (lead_id) WHERE type = 3 AND at BETWEEN t2 AND t1 + interval '30 days' GROUP BY 1, 2)
		SELECT count(DISTINCT lead_id) FROM s3 JOIN activity USING (lead_id) WHERE type = 4 AND at BETWEEN t3 AND t1 + interval '30 days'$q$),
	(10, 'SQL: window functions', '{}', $q$
		SELECT count(DISTINCT lead_id) FROM (
			SELECT *, max(s2) FILTER (WHERE type = 3 AND at <= s2 + interval '30 days') OVER w AS s3 FROM (
				SELECT *, max(s1) FILTER (WHERE type = 2 AND at <= s1 + interval '30 days') OVER w AS s2 FROM (
					SELECT lead_id, at, type, max(at) FILTER (WHERE type = 1) OVER w AS s1
					FROM activity WINDOW w AS (PARTITION BY lead_id ORDER BY at)) a
				WINDOW w AS (PARTITION BY lead_id ORDER BY at)) b
			WINDOW w AS (PARTITION BY lead_id ORDER BY at)) c
		WHERE type = 4 AND at <= s3 + interval '30 days'$q$)) v (n, what, settings, run);
CALL bench.turns('funnel', 5);
SELECT * FROM bench.report;
SELECT * FROM bench.figure;
