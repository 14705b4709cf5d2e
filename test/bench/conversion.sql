-- The incidence after 30 days of 2,000,000 leads in one cohort, of 330,000 in
-- twelve cohorts by month, and of 330,000 in cohorts of four: conversion()
-- against the window functions that people write, and against the floor, which
-- only computes the durations.  Every time is a different microsecond, the
-- worst case.  All run six times, turn by turn; medians of the last five.
-- Goal: 2.5 times as fast as SQL, and at most 1.3 times the floor.  One process
-- does it all.

\pset footer off
SET client_min_messages = warning;
CREATE EXTENSION lead_qualify;
SET max_parallel_workers_per_gather = 0;
SET jit = off;
SET timezone = 'UTC';
SET work_mem = '256MB';

SELECT setseed(0.5) \g /dev/null
CREATE TABLE lead AS
SELECT i, 1 AS cohort, e AS entered_at, CASE WHEN random() < 0.35 THEN e - ln(1 - random()) * interval '40 days' END AS converted_at,
	CASE WHEN random() < 0.5 THEN e - ln(1 - random()) * interval '90 days' END AS lost_at
FROM (SELECT i, timestamptz '2024-01-01' + random() * interval '366 days' AS e FROM generate_series(1, 2000000) i) g;
VACUUM (ANALYZE, FREEZE) lead;
CREATE TABLE some_lead AS
SELECT date_part('month', entered_at)::int AS cohort, entered_at, converted_at, lost_at FROM lead WHERE i <= 330000;
VACUUM (ANALYZE, FREEZE) some_lead;
CREATE TABLE small_cohort AS SELECT i / 4 AS cohort, entered_at, converted_at, lost_at FROM lead WHERE i <= 330000;
VACUUM (ANALYZE, FREEZE) small_cohort;

CREATE TEMP TABLE query (leads text, what text, query text);
INSERT INTO query
SELECT l.leads, q.what, replace(q.query, 'LEADS', l.source)
FROM (VALUES
	('2,000,000, one cohort', 'lead'),
	('330,000, by month', 'some_lead'),
	('330,000, by four', 'small_cohort')) l (leads, source),
(VALUES
	('floor: durations only', $$
		SELECT sum(n) FROM (SELECT count(least(converted_at, lost_at, '2025-01-01') - entered_at) AS n,
			max(least(converted_at, lost_at, '2025-01-01') - entered_at)
		FROM LEADS GROUP BY cohort) c$$),
	('conversion()', $$
		SELECT sum(lead_qualify.incidence_at(c, '30 days'))
		FROM (SELECT lead_qualify.conversion(entered_at, converted_at, lost_at, '2025-01-01') AS c FROM LEADS GROUP BY cohort) c$$),
	('SQL: window functions', $$
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
		SELECT sum(incidence)
		FROM (SELECT sum(s * converted / at_risk::float8) FILTER (WHERE t <= '30 days') AS incidence FROM survival
			GROUP BY cohort HAVING max(t) >= '30 days') c$$)) q (what, query);

CREATE TEMP TABLE run (leads text, what text, seconds float8, result float8);
DO $$
DECLARE
	begun timestamptz;
	q query;
	result float8;
BEGIN
	FOR i IN 0 .. 5 LOOP
		FOR q IN SELECT * FROM query LOOP
			begun := clock_timestamp();
			EXECUTE q.query INTO result;
			IF i > 0 THEN	-- the first is for warming up
				INSERT INTO run VALUES (q.leads, q.what, extract(epoch FROM clock_timestamp() - begun), result);
			END IF;
		END LOOP;
	END LOOP;
END $$;

WITH median AS (
	SELECT leads, what, percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds) AS seconds, min(seconds) AS best,
		max(seconds) AS worst, max(result) AS result
	FROM run GROUP BY leads, what
)
SELECT m.leads, m.what, round((m.seconds * 1000)::numeric) AS ms, round((m.best * 1000)::numeric) AS best,
	round((m.worst * 1000)::numeric) AS worst, round((m.seconds / f.seconds)::numeric, 2) AS "× floor",
	round((m.seconds / c.seconds)::numeric, 2) AS "× conversion()", round(m.result::numeric, 4) AS result
FROM median m
JOIN median f ON f.leads = m.leads AND f.what LIKE 'floor%'
JOIN median c ON c.leads = m.leads AND c.what = 'conversion()'
ORDER BY m.leads, m.seconds;
