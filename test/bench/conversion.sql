-- The incidence after 30 days of 2,000,000 leads in one cohort, of 330,000 in
-- twelve cohorts by month, and of 330,000 in cohorts of four (QUICK=1: a tenth and a sixth):
-- conversion() against the window functions that people write, and against the
-- floor, which only computes the durations.  Every time is a different
-- microsecond, the worst case.  Goals: at most 1.3 times the floor, and SQL
-- takes at least 2.5 times as long.

\ir common.sql
\if :quick
\set n 200000
\set some 55000
\else
\set n 2000000
\set some 330000
\endif
SET work_mem = '256MB';

CREATE TABLE one_cohort AS
SELECT i, 1 AS cohort, e AS entered_at, CASE WHEN bench.draw(i, 2) < 0.35 THEN e - ln(bench.draw(i, 3)) * interval '40 days' END AS converted_at,
	CASE WHEN bench.draw(i, 4) < 0.5 THEN e - ln(bench.draw(i, 5)) * interval '90 days' END AS lost_at
FROM (SELECT i, timestamptz '2024-01-01' + i * 0.618034 % 1 * interval '366 days' + i * interval '1 microsecond' AS e FROM generate_series(1, :n) i) g;
CREATE TABLE by_month AS
SELECT date_part('month', entered_at)::int AS cohort, entered_at, converted_at, lost_at FROM one_cohort WHERE i <= :some;
CREATE TABLE by_four AS SELECT i / 4 AS cohort, entered_at, converted_at, lost_at FROM one_cohort WHERE i <= :some;
VACUUM (ANALYZE, FREEZE) one_cohort;
VACUUM (ANALYZE, FREEZE) by_month;
VACUUM (ANALYZE, FREEZE) by_four;

INSERT INTO bench.alternative (measure, n, what, run, baseline, goal, goal_is)
SELECT l.leads, q.n, q.what, replace(q.query, 'LEADS', l.source), q.baseline, q.goal, q.goal_is
FROM (VALUES
	(to_char(:n, 'FM9,999,999') || ', one cohort', 'one_cohort'),
	(to_char(:some, 'FM9,999,999') || ', by month', 'by_month'),
	(to_char(:some, 'FM9,999,999') || ', by four', 'by_four')) l (leads, source),
(VALUES
	(1, 'floor: durations only', NULL, NULL, '≤ ×', $$
		SELECT sum(n) FROM (SELECT count(least(converted_at, lost_at, '2025-01-01') - entered_at) AS n,
			max(least(converted_at, lost_at, '2025-01-01') - entered_at)
		FROM LEADS GROUP BY cohort) c$$),
	(2, 'conversion()', 'floor: durations only', 1.3, '≤ ×', $$
		SELECT round(sum(lead_qualify.incidence_at(c, '30 days'))::numeric, 6)
		FROM (SELECT lead_qualify.conversion(entered_at, converted_at, lost_at, '2025-01-01') AS c FROM LEADS GROUP BY cohort) c$$),
	(3, 'SQL: window functions', 'conversion()', 2.5, '≥ ×', $$
		WITH duration AS (
			SELECT cohort, least(converted_at, lost_at, '2025-01-01') - entered_at AS t,
				converted_at <= least(lost_at, '2025-01-01') AS converted,
				least(converted_at, lost_at) <= '2025-01-01' AS ended
			FROM LEADS
		), step AS (
			SELECT cohort, t, count(*) AS n, count(*) FILTER (WHERE converted) AS converted, count(*) FILTER (WHERE ended) AS ended
			FROM duration GROUP BY cohort, t
		), risk AS (
			SELECT *, sum(n) OVER (PARTITION BY cohort ORDER BY t DESC) AS at_risk FROM step
		), survival AS (
			SELECT *, coalesce(exp(sum(ln(1 - ended / at_risk::float8 + 1e-300)) OVER (PARTITION BY cohort ORDER BY t
				ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)), 1) AS s
			FROM risk
		)
		SELECT round(sum(incidence)::numeric, 6)
		FROM (SELECT sum(s * converted / at_risk::float8) FILTER (WHERE t <= '30 days') AS incidence FROM survival
			GROUP BY cohort HAVING max(t) >= '30 days') c$$)) q (n, what, baseline, goal, goal_is, query);
SELECT format('CALL bench.turns(%L, 5)', measure) FROM bench.alternative WHERE n = 1 ORDER BY measure DESC \gexec
SELECT * FROM bench.report;
