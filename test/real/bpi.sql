-- Travel expenses of a university (BPI Challenge 2020, domestic declarations):
-- 10,357 cases with 55,628 events, submitted, approved, sometimes rejected and
-- submitted again, paid.  A case is a lead here, a rejection begins a new
-- cycle.  Funnels of the raw events are compared with counts made elsewhere,
-- and the reports of a pipeline with plain SQL over the events.
--
-- The counts are of days of 24 hours: hence UTC, where days have no other
-- length for window_funnel().

SET timezone = 'UTC';
CREATE SCHEMA bpi;
CREATE TABLE bpi.event (case_id text, seq integer, activity text, lifecycle text, ts timestamptz, resource text, amount text, id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY);
\copy bpi.event (case_id, seq, activity, lifecycle, ts, resource, amount) FROM PROGRAM 'gzip -dc bpi2020/domestic_events.csv.gz' CSV HEADER
CREATE INDEX ON bpi.event (case_id, ts);
ANALYZE bpi.event;
CREATE TABLE bpi.fact (within text, submitted bigint, approved bigint, final_approved bigint, requested bigint, paid bigint);
\copy bpi.fact FROM 'bpi2020/bpi2020_domestic_funnel.csv' CSV HEADER
SELECT tap.is('SELECT concat_ws('' '', count(*), count(DISTINCT case_id)) FROM bpi.event', '55628 10357', 'bpi: all events are loaded');

-- which step of the way an event is; 0 is a step back
CREATE TABLE bpi.step (stage text PRIMARY KEY, n integer, kind text, activity text);
INSERT INTO bpi.step VALUES ('lead', 1, 'lead', NULL), ('submitted', 2, 'mql', 'Declaration SUBMITTED by EMPLOYEE'),
	('approved', 3, 'sal', 'Declaration APPROVED by ADMINISTRATION'), ('final approved', 4, 'sql', 'Declaration FINAL_APPROVED by SUPERVISOR'),
	('requested', 5, 'opportunity', 'Request Payment'), ('paid', 6, 'won', 'Payment Handled'), ('rejected', 0, 'recycled', 'Declaration REJECTED%');

-- funnels of the raw events, in the default mode
CREATE FUNCTION bpi.funnel(within interval, mode text DEFAULT '')
RETURNS TABLE (case_id text, level integer, times timestamptz[])
LANGUAGE sql
AS $$
	SELECT case_id, lead_qualify.window_funnel(within, mode, ts, n = 2, n = 3, n = 4, n = 5, n = 6),
		lead_qualify.window_funnel_times(within, mode, ts, n = 2, n = 3, n = 4, n = 5, n = 6)
	FROM bpi.event LEFT JOIN bpi.step s USING (activity) GROUP BY 1
$$;
SELECT tap.is(format('SELECT string_agg((SELECT count(*) FROM bpi.funnel(%L) WHERE level >= n)::text, '','' ORDER BY n) FROM generate_series(1, 5) AS n',
		CASE within WHEN 'none' THEN '100 years' ELSE within END),
	concat_ws(',', submitted, approved, final_approved, requested, paid), 'bpi: window_funnel counts what was counted, window ' || within)
FROM bpi.fact;

-- A plain search: from each submission the next of each step, whenever it
-- comes, and how many of them are in time.  In Amsterdam two days of the year
-- do not have 24 hours.
CREATE TABLE bpi.next_step AS
SELECT e.case_id, s.n, e.ts AS at, min(e.ts) FILTER (WHERE s.n = x.n) OVER (w RANGE BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) AS next, x.n AS next_n,
	min(e.ts) FILTER (WHERE s.n = x.n) OVER (w RANGE BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING EXCLUDE GROUP) AS later
FROM bpi.event e JOIN bpi.step s USING (activity), generate_series(3, 6) AS x (n) WINDOW w AS (PARTITION BY x.n, e.case_id ORDER BY e.ts);
DELETE FROM bpi.next_step WHERE next_n <> n + 1;
CREATE FUNCTION bpi.search(within interval, increase boolean)
RETURNS TABLE (case_id text, level bigint)
LANGUAGE sql
AS $$
	WITH RECURSIVE way AS (
		SELECT DISTINCT e.case_id, s.n, e.ts AS start, e.ts AS at FROM bpi.event e JOIN bpi.step s USING (activity) WHERE s.n = 2
		UNION SELECT w.case_id, x.next_n, w.start, CASE WHEN increase THEN x.later ELSE x.next END
		FROM way w JOIN bpi.next_step x ON x.case_id = w.case_id AND x.n = w.n AND x.at = w.at
	)
	SELECT e.case_id, coalesce(max(w.n - 1), 0) FROM bpi.event e LEFT JOIN way w ON w.case_id = e.case_id AND w.at <= w.start + within GROUP BY 1
$$;
SET timezone = 'Europe/Amsterdam';
SELECT tap.no_row(format('SELECT * FROM bpi.funnel(%L, %L) f FULL JOIN bpi.search(%1$L, %3$L) s USING (case_id) WHERE f.level IS DISTINCT FROM s.level', within, mode, mode <> ''),
	concat_ws(' ', 'bpi: window_funnel finds what a plain search finds, in Amsterdam, window', within, nullif(mode, '')))
FROM unnest('{3 days,1 month,7 days}'::interval[], '{"",strict_increase,""}'::text[]) AS w (within, mode);
SET timezone = 'UTC';
SELECT tap.no_row($$
	SELECT * FROM bpi.funnel('14 days') f
	WHERE cardinality(times) <> level OR times[level] > times[1] + interval '14 days'
		OR EXISTS (SELECT FROM unnest(times) WITH ORDINALITY AS t (at, i)
			WHERE at < times[i - 1] OR NOT EXISTS (SELECT FROM bpi.event e JOIN bpi.step s USING (activity) WHERE e.case_id = f.case_id AND s.n = i + 1 AND e.ts = at))$$,
	'bpi: window_funnel_times are times of events of each step, in order, within the window');

-- A pipeline on the cases.  Half of the events, every second of a case, are
-- there before attach; the rest comes live and late, and rewrites history.
CREATE TABLE bpi.declaration AS
SELECT case_id, min(ts) AS opened, bool_or(activity LIKE '%BUDGET OWNER') AS over_budget FROM bpi.event GROUP BY 1;
ALTER TABLE bpi.declaration ADD PRIMARY KEY (case_id);
CREATE TABLE bpi.log (LIKE bpi.event INCLUDING INDEXES, FOREIGN KEY (case_id) REFERENCES bpi.declaration);
INSERT INTO bpi.log SELECT * FROM bpi.event WHERE seq % 2 = 1;
SELECT lead_qualify.attach('bpi', 'bpi.declaration', 'bpi.log', activity_type => 'activity', activity_at => 'ts', created_at => 'opened', template => 'empty',
	time_zone => 'Europe/Amsterdam');
DELETE FROM lead_qualify.stage WHERE pipeline = 'bpi' AND stage = 'mql';
INSERT INTO lead_qualify.stage (pipeline, stage, position, kind) SELECT 'bpi', stage, CASE WHEN n = 0 THEN 7 ELSE n END, kind FROM bpi.step WHERE n <> 1;
INSERT INTO lead_qualify.gate (pipeline, stage, name, from_stages, activity_type)
SELECT 'bpi', stage, stage, (SELECT array_agg(f.stage) FROM bpi.step f WHERE f.n < s.n), activity FROM bpi.step s WHERE n > 1;
-- A gate that names a type holds from such an activity on to the end of the
-- cycle.  The second of two rejections must not count when the case has been
-- submitted again: a rejection holds at its own moment only.
INSERT INTO lead_qualify.rule (pipeline, name, condition, points, decay, period) VALUES ('bpi', 'rejected', $$activity LIKE 'Declaration REJECTED%'$$, -5, 'linear', '60 days'),
	('bpi', 'moved on', $$activity LIKE 'Declaration%APPROVED%'$$, 10, 'exponential', '30 days');
INSERT INTO lead_qualify.gate (pipeline, stage, name, from_stages, condition)
SELECT 'bpi', 'rejected', 'rejected', array_agg(stage), $$since_last('rejected') = interval '0'$$ FROM bpi.step WHERE n BETWEEN 1 AND 5;
SELECT lead_qualify.alter_pipeline('bpi', segments => '{over_budget}', conversion_window => '14 days');
SELECT tap.ok(lead_qualify.publish('bpi', effective_from => '-infinity') = 2, 'bpi: the stages are published');
SELECT tap.ok(lead_qualify.recompute('bpi') = 10357, 'bpi: the cases are attached');
INSERT INTO bpi.log SELECT * FROM bpi.event WHERE seq % 2 = 0 ORDER BY md5(case_id || seq);
SELECT tap.steady('bpi');

-- The same stays by plain SQL: of the events of a case up to its payment, the
-- rejections that follow no rejection, and steps further than any since.
CREATE FUNCTION bpi.stay(as_of timestamptz)
RETURNS TABLE (case_id text, cycle bigint, n integer, at timestamptz)
LANGUAGE sql
AS $$
	WITH e AS (
		SELECT e.case_id, e.seq, e.ts, s.n, lag(s.n) OVER w AS before, count(*) FILTER (WHERE s.n = 6) OVER (w ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS paid
		FROM bpi.event e JOIN bpi.step s ON e.activity LIKE s.activity WHERE e.ts <= as_of WINDOW w AS (PARTITION BY e.case_id ORDER BY e.seq)
	), cycles AS (
		SELECT *, 1 + count(*) FILTER (WHERE e.n = 0 AND e.before IS DISTINCT FROM 0) OVER (PARTITION BY e.case_id ORDER BY e.seq) AS cycle FROM e WHERE e.paid = 0
	), further AS (
		SELECT *, max(c.n) OVER (PARTITION BY c.case_id, c.cycle ORDER BY c.seq ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS furthest FROM cycles c
	)
	SELECT f.case_id, f.cycle, f.n, f.ts FROM further f WHERE CASE f.n WHEN 0 THEN f.before IS DISTINCT FROM 0 ELSE f.n > coalesce(f.furthest, 1) END
	UNION ALL SELECT e.case_id, 1, 1, min(e.ts) FROM bpi.event e WHERE e.ts <= as_of GROUP BY 1
$$;
CREATE TABLE bpi.stayed AS SELECT * FROM bpi.stay('infinity');
SELECT tap.no_row($$
	SELECT * FROM (SELECT h.lead AS case_id, h.cycle, s.n, h.entered_at AS at FROM bpi.declaration_stage_history h LEFT JOIN bpi.step s USING (stage) WHERE superseded_at IS NULL) h
	FULL JOIN bpi.stayed s USING (case_id, cycle, n, at) WHERE h IS NULL OR s IS NULL$$,
	format('bpi: the history is that of the events (%s stays in %s cycles)', (SELECT count(*) FROM bpi.stayed), (SELECT count(DISTINCT (case_id, cycle)) FROM bpi.stayed)));

-- Journeys and what the reports count of them: the units are cycles, or cases
CREATE FUNCTION bpi.journey(step_from integer, step_to integer, per text, as_of timestamptz)
RETURNS TABLE (case_id text, cycle bigint, entered_at timestamptz, converted_at timestamptz, lost_at timestamptz, skipped_at timestamptz)
LANGUAGE sql
AS $$
	WITH s AS (SELECT s.case_id, CASE WHEN per = 'lead' THEN 1 ELSE s.cycle END AS unit, s.n, s.at FROM bpi.stay(as_of) s),
	u AS (
		SELECT s.case_id, s.unit, min(s.at) FILTER (WHERE s.n = step_from) AS entered, min(s.at) FILTER (WHERE s.n > step_from) AS further,
			lead(min(s.at)) OVER (PARTITION BY s.case_id ORDER BY s.unit) AS again
		FROM s GROUP BY 1, 2
	)
	SELECT u.case_id, u.unit, u.entered, min(s.at), CASE WHEN u.entered IS NOT NULL THEN u.again END, CASE WHEN u.entered IS NULL THEN u.further END
	FROM u LEFT JOIN s ON s.case_id = u.case_id AND s.unit = u.unit AND s.n >= step_to AND s.at >= u.entered
	WHERE u.entered IS NOT NULL OR u.further IS NOT NULL
	GROUP BY u.case_id, u.unit, u.entered, u.further, u.again
$$;
CREATE FUNCTION bpi.stage(step_n integer) RETURNS text LANGUAGE sql RETURN (SELECT stage FROM bpi.step WHERE n = step_n);
CREATE TABLE bpi.asked (step_from integer, step_to integer, per text, as_of timestamptz, within interval, what text);
INSERT INTO bpi.asked
SELECT step_from, step_to, per, as_of, within::interval, format('from %s to %s per %s as of %s', bpi.stage(step_from), bpi.stage(step_to), per, as_of::date)
FROM (VALUES (2, 6, 'cycle', timestamptz '2019-12-31', '14 days'), (2, 6, 'lead', '2018-06-15', '14 days'), (2, 4, 'cycle', '2018-06-15', '3 days'),
	(3, 4, 'lead', '2019-12-31', '1 day')) AS v (step_from, step_to, per, as_of, within);
CREATE TABLE bpi.journeys AS
SELECT a.what, a.within, a.as_of, d.over_budget::text AS segment, j.*
FROM bpi.asked a, bpi.journey(a.step_from, a.step_to, a.per, a.as_of) j JOIN bpi.declaration d USING (case_id);
SELECT tap.no_row(format($$
	SELECT * FROM (SELECT lead AS case_id, cycle, segment, entered_at, converted_at, lost_at, skipped_at
		FROM lead_qualify.journeys('bpi', %L, %L, segment => 'over_budget', per => %L, as_of => %L)) r
	FULL JOIN (SELECT * FROM bpi.journeys WHERE what = %L) e USING (case_id, cycle)
	WHERE (r.segment, r.entered_at, r.converted_at, r.lost_at, r.skipped_at) IS DISTINCT FROM (e.segment, e.entered_at, e.converted_at, e.lost_at, e.skipped_at)
	$$, bpi.stage(step_from), bpi.stage(step_to), per, as_of, what), format('bpi: journeys %s (%s)', what, (SELECT count(*) FROM bpi.journeys j WHERE j.what = a.what)))
FROM bpi.asked a;

CREATE TABLE bpi.cohort AS
SELECT what, date_trunc('month', coalesce(entered_at, skipped_at), 'Europe/Amsterdam') AS cohort, segment,
	count(DISTINCT case_id) FILTER (WHERE entered_at IS NOT NULL) AS leads, count(entered_at) AS entered,
	count(won) AS converted, count(gone) AS lost, count(*) FILTER (WHERE entered_at IS NOT NULL AND won IS NULL AND gone IS NULL) AS still_open, count(skipped_at) AS skipped,
	count(*) FILTER (WHERE old) AS eligible, count(*) FILTER (WHERE old AND in_time) AS in_time,
	bool_and(entered_at IS NULL OR old)
		AND (date_trunc('month', max(coalesce(entered_at, skipped_at)) AT TIME ZONE 'Europe/Amsterdam') + interval '1 month') AT TIME ZONE 'Europe/Amsterdam' <= max(as_of) AS mature,
	percentile_disc(0.5) WITHIN GROUP (ORDER BY won - entered_at) FILTER (WHERE in_time) AS median_time,
	percentile_disc(0.9) WITHIN GROUP (ORDER BY won - entered_at) FILTER (WHERE in_time) AS p90_time
FROM (SELECT *, entered_at + within <= as_of AS old, won - entered_at <= within AS in_time
	FROM (SELECT *, CASE WHEN converted_at <= coalesce(lost_at, 'infinity') THEN converted_at END AS won,
			CASE WHEN lost_at < coalesce(converted_at, 'infinity') THEN lost_at END AS gone FROM bpi.journeys) j) t
GROUP BY 1, 2, 3;
SELECT tap.no_row(format($$
	SELECT * FROM lead_qualify.conversion_report('bpi', %L, %L, segment => 'over_budget', within => %L, per => %L, as_of => %L) r
	FULL JOIN (SELECT * FROM bpi.cohort WHERE what = %L) e USING (cohort, segment), lead_qualify.wilson_interval(e.in_time, e.eligible) w
	WHERE (r.leads, r.entered, r.converted, r.lost, r.still_open, r.skipped, r.eligible, r.mature)
			IS DISTINCT FROM (e.leads, e.entered, e.converted, e.lost, e.still_open, e.skipped, e.eligible, e.mature)
		OR r.rate IS DISTINCT FROM e.in_time / nullif(e.eligible, 0)::float8
		OR (e.eligible > 0 AND (abs(r.rate_low - w.low) < 1e-12 AND abs(r.rate_high - w.high) < 1e-12) IS NOT TRUE)
		OR (r.median_time, r.p90_time) IS DISTINCT FROM (CASE WHEN e.mature THEN e.median_time END, CASE WHEN e.mature THEN e.p90_time END)
	$$, bpi.stage(step_from), bpi.stage(step_to), within, per, as_of, what),
	format('bpi: conversion_report %s within %s (%s)', what, within,
		(SELECT format('%s cohorts, %s mature, %s lost, %s skipped', count(*), count(*) FILTER (WHERE mature), sum(lost), sum(skipped))
		FROM bpi.cohort c WHERE c.what = a.what)))
FROM bpi.asked a;

-- the funnel: who came so far, whatever was skipped
CREATE FUNCTION bpi.funnel_of(per text, as_of timestamptz, since timestamptz)
RETURNS TABLE (segment text, n integer, entered bigint, converted bigint, lost bigint, still_open bigint, current_leads bigint, eligible bigint, in_time bigint)
LANGUAGE sql
AS $$
	WITH s AS MATERIALIZED (SELECT s.case_id, CASE WHEN per = 'lead' THEN 1 ELSE s.cycle END AS unit, s.cycle, s.n, s.at FROM bpi.stay(as_of) s),
	units AS (
		SELECT s.case_id, s.unit, lead(min(s.at)) OVER (PARTITION BY s.case_id ORDER BY s.unit) AS again, min(s.at) AS began,
			ARRAY[min(s.at) FILTER (WHERE s.n >= 1), min(s.at) FILTER (WHERE s.n >= 2), min(s.at) FILTER (WHERE s.n >= 3), min(s.at) FILTER (WHERE s.n >= 4),
				min(s.at) FILTER (WHERE s.n >= 5), min(s.at) FILTER (WHERE s.n >= 6)] AS first
		FROM s GROUP BY 1, 2
	), steps AS (
		SELECT u.case_id, u.unit, k.n, u.again, u.first[k.n] AS at, u.first[k.n + 1] AS next
		FROM units u, generate_series(1, 6) AS k (n) WHERE (coalesce(u.first[1], u.began) >= since) IS NOT FALSE
	), present AS (SELECT DISTINCT ON (s.case_id) s.case_id, s.unit, s.n FROM s ORDER BY s.case_id, s.cycle DESC, s.at DESC, s.n DESC)
	SELECT d.over_budget::text, t.n, count(t.at), count(t.next), count(t.at) FILTER (WHERE t.next IS NULL AND t.again IS NOT NULL),
		count(t.at) FILTER (WHERE t.next IS NULL AND t.again IS NULL),
		count(p.n), count(*) FILTER (WHERE t.at + interval '14 days' <= as_of), count(*) FILTER (WHERE t.at + interval '14 days' <= as_of AND t.next <= t.at + interval '14 days')
	FROM steps t JOIN bpi.declaration d USING (case_id) LEFT JOIN present p USING (case_id, unit, n)
	GROUP BY 1, 2
$$;
SELECT tap.no_row(format($$
	SELECT * FROM lead_qualify.funnel_report('bpi', since => %3$L, segment => 'over_budget', per => %1$L, as_of => %2$L) r
	FULL JOIN bpi.funnel_of(%1$L, %2$L, %3$L) e ON r.position = e.n AND r.segment = e.segment, lead_qualify.wilson_interval(e.in_time, e.eligible) w
	WHERE (r.entered, r.current_leads) IS DISTINCT FROM (e.entered, e.current_leads)
		OR (e.n < 6 AND ((r.converted, r.lost, r.still_open) IS DISTINCT FROM (e.converted, e.lost, e.still_open)
			OR (abs(r.step_rate - e.in_time / e.eligible::float8) < 1e-12 AND abs(r.step_low - w.low) < 1e-12 AND abs(r.step_high - w.high) < 1e-12) IS NOT TRUE))
	$$, per, as_of, since), concat_ws(' ', 'bpi: funnel_report per', per, 'as of', as_of::date, 'since ' || since::date))
FROM (VALUES ('lead', timestamptz '2019-12-31', NULL::timestamptz), ('cycle', '2018-06-15', NULL), ('cycle', '2019-12-31', '2018-01-01')) AS v (per, as_of, since);
-- by the events alone
SELECT tap.is($$SELECT string_agg(concat_ws(' ', stage, entered), ', ' ORDER BY position) FROM lead_qualify.funnel_report('bpi', per => 'lead')$$,
	(SELECT string_agg(concat_ws(' ', stage, (SELECT count(DISTINCT e.case_id) FROM bpi.event e LEFT JOIN bpi.step x USING (activity) WHERE coalesce(x.n, 1) >= s.n)), ', ' ORDER BY n)
		FROM bpi.step s WHERE n > 0), 'bpi: a case has entered a stage when it has an event of that or a later one');

-- durations, and their quantiles
CREATE TABLE bpi.duration AS
SELECT case_id, submitted, paid, paid - submitted AS took
FROM (SELECT case_id, min(ts) FILTER (WHERE n = 2) AS submitted, min(ts) FILTER (WHERE n = 6) AS paid
	FROM bpi.event LEFT JOIN bpi.step s USING (activity) GROUP BY 1) e
WHERE submitted IS NOT NULL;
CREATE TABLE bpi.summary AS
SELECT lead_qualify.conversion(entered_at, converted_at, lost_at, '2019-12-31') AS c
FROM lead_qualify.journeys('bpi', 'submitted', 'paid', per => 'lead')
WHERE entered_at IS NOT NULL;
SELECT tap.is('SELECT concat_ws('' '', lead_qualify.entered(c), lead_qualify.converted(c), lead_qualify.lost(c)) FROM bpi.summary',
	(SELECT concat_ws(' ', count(*), count(took), 0) FROM bpi.duration), 'bpi: cases submitted and paid');
SELECT tap.no_row($$
	SELECT q, lead_qualify.converted_quantile(c, q), of_paid, lead_qualify.time_quantile(c, q), of_all
	FROM bpi.summary, LATERAL (
		SELECT q, percentile_disc(q) WITHIN GROUP (ORDER BY took) FILTER (WHERE took IS NOT NULL) AS of_paid,
			percentile_disc(q) WITHIN GROUP (ORDER BY coalesce(took, '1000 years')) AS of_all
		FROM bpi.duration, unnest('{0.05,0.25,0.5,0.75,0.9,0.95}'::float8[]) AS q GROUP BY 1) d
	WHERE lead_qualify.converted_quantile(c, q) IS DISTINCT FROM of_paid OR lead_qualify.time_quantile(c, q) IS DISTINCT FROM of_all$$,
	'bpi: quantiles of the time to payment, the median ' || (SELECT lead_qualify.time_quantile(c, 0.5) FROM bpi.summary));
