-- A CRM's sales opportunities (Maven Analytics): 8,800 by 30 agents, with the
-- day each was engaged and the day it was won or lost.  The days become the
-- activities of a pipeline; its reports are compared with plain SQL over the
-- file, with counts by agent and by product, and with what R's survfit says.
-- Those not engaged yet have no date at all.

SET timezone = 'UTC';
SET datestyle = 'ISO, MDY';
CREATE SCHEMA maven;
\set header `head -n 1 maven_crm/sales_pipeline.csv | tr -d '\r'`
SELECT tap.create_table('maven.opportunity', :'header', 'engage_date date, close_date date, close_value numeric', 'opportunity_id') \gset
\copy maven.opportunity FROM 'maven_crm/sales_pipeline.csv' CSV HEADER
CREATE TABLE maven.by_agent (sales_agent text PRIMARY KEY, won bigint, lost bigint, win_rate numeric, val numeric);
\copy maven.by_agent FROM 'maven_crm/maven_by_agent.csv' CSV HEADER
CREATE TABLE maven.by_product (product text PRIMARY KEY, won bigint, lost bigint, open bigint, win_rate numeric);
\copy maven.by_product FROM 'maven_crm/maven_by_product.csv' CSV HEADER
CREATE TABLE maven.km (kind text, day integer, at_risk bigint, value float8, se float8);
\copy maven.km FROM 'maven_crm/maven_km.csv' CSV HEADER

CREATE TABLE maven.event (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, opportunity_id text REFERENCES maven.opportunity, event text, on_day date);
CREATE INDEX ON maven.event (opportunity_id);
CREATE VIEW maven.happened AS
SELECT opportunity_id, 'engaged' AS event, engage_date AS on_day FROM maven.opportunity WHERE engage_date IS NOT NULL
UNION ALL SELECT opportunity_id, lower(deal_stage), close_date FROM maven.opportunity WHERE close_date IS NOT NULL;
-- the first half of the year is there before attach
INSERT INTO maven.event (opportunity_id, event, on_day) SELECT * FROM maven.happened WHERE on_day < '2017-07-01' ORDER BY on_day, opportunity_id;

SELECT lead_qualify.attach('maven', 'maven.opportunity', 'maven.event', activity_type => 'event', activity_at => 'on_day', created_at => 'engage_date',
	template => 'empty', time_zone => 'UTC');
DELETE FROM lead_qualify.stage WHERE pipeline = 'maven' AND stage = 'mql';
INSERT INTO lead_qualify.stage (pipeline, stage, position, kind) VALUES ('maven', 'opportunity', 2, 'opportunity'), ('maven', 'won', 3, 'won'), ('maven', 'lost', 4, 'lost');
INSERT INTO lead_qualify.gate (pipeline, stage, name, from_stages, activity_type)
VALUES ('maven', 'opportunity', 'engaged', '{lead}', 'engaged'), ('maven', 'won', 'won', '{opportunity}', 'won'), ('maven', 'lost', 'lost', '{opportunity}', 'lost');
INSERT INTO lead_qualify.rule (pipeline, name, activity_type, points, decay, period) VALUES ('maven', 'engaged', 'engaged', 10, 'exponential', '60 days');
SELECT lead_qualify.alter_pipeline('maven', segments => '{sales_agent,product}');
SELECT tap.ok(lead_qualify.publish('maven', effective_from => '-infinity') = 2, 'maven: the stages are published');
SELECT tap.ok(lead_qualify.recompute('maven') = 8800, 'maven: the opportunities are attached');
-- the second comes live, all in one statement and in no order
INSERT INTO maven.event (opportunity_id, event, on_day) SELECT * FROM maven.happened WHERE on_day >= '2017-07-01' ORDER BY md5(opportunity_id || event);
SELECT tap.laws('maven', 8300);
SELECT tap.no_row($$SELECT opportunity_id, deal_stage, stage FROM maven.opportunity
	WHERE stage IS DISTINCT FROM CASE deal_stage WHEN 'Prospecting' THEN 'lead' WHEN 'Engaging' THEN 'opportunity' ELSE lower(deal_stage) END$$,
	'maven: each opportunity is where the CRM has it');

-- journeys
CREATE VIEW maven.journey AS
SELECT * FROM lead_qualify.journeys('maven', 'opportunity', 'won', segment => 'sales_agent');
CREATE VIEW maven.raw AS
SELECT opportunity_id, sales_agent, product, engage_date::timestamptz AS entered_at, CASE WHEN deal_stage = 'Won' THEN close_date::timestamptz END AS won_at,
	CASE WHEN deal_stage = 'Lost' THEN close_date::timestamptz END AS lost_at, close_value
FROM maven.opportunity WHERE engage_date IS NOT NULL;
SELECT tap.no_row($$
	(SELECT lead, cycle, segment, entered_at, converted_at, lost_at, skipped_at FROM maven.journey
		EXCEPT ALL SELECT opportunity_id, 1, sales_agent, entered_at, won_at, lost_at, NULL FROM maven.raw)
	UNION ALL (SELECT opportunity_id, 1, sales_agent, entered_at, won_at, lost_at, NULL FROM maven.raw
		EXCEPT ALL SELECT lead, cycle, segment, entered_at, converted_at, lost_at, skipped_at FROM maven.journey)$$,
	format('maven: journeys are the rows of the file (%s)', (SELECT count(*) FROM maven.raw)));

-- conversion by month and product, on days when some are open and some too
-- young to count in a rate, and when none is
CREATE FUNCTION maven.expected(as_of timestamptz, within interval)
RETURNS TABLE (cohort timestamptz, segment text, entered bigint, converted bigint, lost bigint, still_open bigint, eligible bigint, in_time bigint, mature boolean,
	median_time interval, p90_time interval)
LANGUAGE sql
AS $$
	SELECT date_trunc('month', r.entered_at), r.product, count(*), count(*) FILTER (WHERE r.won_at <= as_of), count(*) FILTER (WHERE r.lost_at <= as_of),
		count(*) FILTER (WHERE (coalesce(r.won_at, r.lost_at) <= as_of) IS NOT TRUE), count(*) FILTER (WHERE r.entered_at + within <= as_of),
		count(*) FILTER (WHERE r.entered_at + within <= as_of AND r.won_at <= r.entered_at + within),
		bool_and(r.entered_at + within <= as_of) AND date_trunc('month', r.entered_at) + interval '1 month' <= as_of,
		percentile_disc(0.5) WITHIN GROUP (ORDER BY r.won_at - r.entered_at) FILTER (WHERE r.won_at <= r.entered_at + within),
		percentile_disc(0.9) WITHIN GROUP (ORDER BY r.won_at - r.entered_at) FILTER (WHERE r.won_at <= r.entered_at + within)
	FROM maven.raw r WHERE r.entered_at <= as_of GROUP BY 1, 2
$$;
CREATE FUNCTION maven.same_report(as_of timestamptz, within interval)
RETURNS TABLE (cohort timestamptz, segment text, difference text)
LANGUAGE sql
AS $$
	SELECT cohort, segment, concat_ws(' ', r, e)
	FROM lead_qualify.conversion_report('maven', 'opportunity', 'won', segment => 'product', within => within, as_of => as_of) r
	FULL JOIN maven.expected(as_of, within) e USING (cohort, segment), lead_qualify.wilson_interval(e.in_time, e.eligible) w
	WHERE (r.leads, r.entered, r.converted, r.lost, r.still_open, r.skipped, r.eligible, r.mature)
			IS DISTINCT FROM (e.entered, e.entered, e.converted, e.lost, e.still_open, 0, e.eligible, e.mature)
		OR r.rate IS DISTINCT FROM e.in_time / nullif(e.eligible, 0)::float8
		OR (e.eligible > 0 AND (abs(r.rate_low - w.low) < 1e-12 AND abs(r.rate_high - w.high) < 1e-12) IS NOT TRUE)
		OR r.median_time IS DISTINCT FROM CASE WHEN e.mature THEN e.median_time END
		OR r.p90_time IS DISTINCT FROM CASE WHEN e.mature THEN e.p90_time END
		-- what is known is expected
		OR (e.mature AND (abs(r.expected_rate - r.rate) < 1e-12 AND NOT r.projected) IS NOT TRUE)
$$;
SELECT tap.no_row(format('SELECT * FROM maven.same_report(%L, %L)', as_of, within),
	format('maven: conversion_report by month and product within %s as of %s (%s cohorts, %s of them mature)', within, as_of::date, count(*), count(*) FILTER (WHERE mature)))
FROM unnest(ARRAY['2017-05-20', '2017-09-30', '2018-12-31']::timestamptz[]) AS as_of, unnest('{7 days,60 days}'::interval[]) AS within,
	maven.expected(as_of, within)
GROUP BY as_of, within ORDER BY as_of, within;

-- the facts by segment: a win rate is of those decided
SELECT tap.no_row($$
	SELECT f.sales_agent, f.won, f.lost, s.*
	FROM maven.by_agent f
	FULL JOIN (SELECT segment AS sales_agent, sum(converted) AS won, sum(lost) AS lost
		FROM lead_qualify.conversion_report('maven', 'opportunity', 'won', segment => 'sales_agent') GROUP BY 1) s USING (sales_agent)
	LEFT JOIN (SELECT j.segment AS sales_agent, sum(o.close_value) AS val FROM maven.journey j JOIN maven.opportunity o ON o.opportunity_id = j.lead
		WHERE j.converted_at IS NOT NULL GROUP BY 1) v USING (sales_agent)
	WHERE (f.won, f.lost, f.win_rate, f.val) IS DISTINCT FROM (s.won, s.lost, round(s.won / (s.won + s.lost), 6), v.val)$$,
	format('maven: won, lost, win rate and value of %s agents', (SELECT count(*) FROM maven.by_agent)));
CREATE VIEW maven.funnel AS SELECT * FROM lead_qualify.funnel_report('maven', segment => 'product', within => '90 days');
SELECT tap.no_row($$
	SELECT f.product, f.won, f.lost, f.open, s.*
	FROM maven.by_product f
	FULL JOIN (SELECT segment AS product, sum(current_leads) FILTER (WHERE stage = 'won') AS won, sum(converted) FILTER (WHERE stage = 'opportunity') AS converted,
			sum(lost) FILTER (WHERE stage = 'opportunity') AS lost, sum(current_leads) FILTER (WHERE stage <> 'won') AS open
		FROM maven.funnel GROUP BY 1) s USING (product)
	WHERE (f.won, f.won, f.lost, f.open, f.win_rate) IS DISTINCT FROM (s.won, s.converted, s.lost, s.open, round(s.converted / (s.converted + s.lost), 6))$$,
	format('maven: won, lost, open and win rate of %s products', (SELECT count(*) FROM maven.by_product)));

-- the funnel
SELECT tap.no_row($$
	SELECT s.*, f.* FROM maven.funnel f
	FULL JOIN (
		SELECT product AS segment, 'lead' AS stage, count(*) AS entered, count(engage_date) AS converted, 0 AS lost, count(*) - count(engage_date) AS still_open,
			count(*) FILTER (WHERE deal_stage = 'Prospecting') AS current_leads
		FROM maven.opportunity GROUP BY 1
		UNION ALL SELECT product, 'opportunity', count(*), count(won_at), count(lost_at), count(*) - count(won_at) - count(lost_at), count(*) - count(won_at) - count(lost_at)
		FROM maven.raw GROUP BY 1
		UNION ALL SELECT product, 'won', count(won_at), NULL, NULL, NULL, count(won_at) FROM maven.raw GROUP BY 1
	) s USING (segment, stage)
	WHERE (s.entered, s.converted, s.lost, s.still_open, s.current_leads) IS DISTINCT FROM (f.entered, f.converted, f.lost, f.still_open, f.current_leads)$$,
	'maven: the stages of funnel_report by product');
SELECT tap.no_row($$
	SELECT f.*, s.* FROM maven.funnel f
	JOIN (SELECT product AS segment, count(*) AS n, count(*) FILTER (WHERE won_at <= entered_at + interval '90 days') AS k FROM maven.raw GROUP BY 1) s USING (segment),
		lead_qualify.wilson_interval(s.k, s.n) w
	WHERE f.stage = 'opportunity' AND (abs(f.step_rate - s.k / s.n::float8) < 1e-12 AND abs(f.step_low - w.low) < 1e-12 AND abs(f.step_high - w.high) < 1e-12) IS NOT TRUE$$,
	'maven: the step rate is what was won within 90 days, of all by now');
SELECT tap.no_row($$
	SELECT * FROM (SELECT segment, stage, cumulative_rate, lag(step_rate) OVER w * lag(step_rate, 2, 1) OVER w AS product
		FROM maven.funnel WINDOW w AS (PARTITION BY segment ORDER BY position)) f
	WHERE (abs(cumulative_rate - coalesce(product, 1)) < 1e-12) IS NOT TRUE$$,
	'maven: cumulative rates are products of step rates');

-- survival
CREATE TABLE maven.cohort AS
SELECT o.product, lead_qualify.conversion(j.entered_at, j.converted_at, j.lost_at, '2017-12-31') AS won,
	lead_qualify.conversion(j.entered_at, j.lost_at, j.converted_at, '2017-12-31') AS lost
FROM maven.journey j JOIN maven.opportunity o ON o.opportunity_id = j.lead GROUP BY 1;
SELECT tap.no_row($$
	SELECT k.kind, k.day, k.value, e.estimate, e.high
	FROM maven.km k, (SELECT lead_qualify.rollup(won) AS won, lead_qualify.rollup(lost) AS lost FROM maven.cohort) c,
		LATERAL (SELECT k.day * interval '1 day' AS after, CASE WHEN k.kind LIKE '%Lost' THEN c.lost ELSE c.won END AS cohort, k.kind LIKE '1-KM%' AS km) x,
		LATERAL (SELECT CASE WHEN km THEN lead_qualify.km_at(x.cohort, x.after) ELSE lead_qualify.incidence_at(x.cohort, x.after) END AS estimate,
			CASE WHEN km THEN lead_qualify.km_high(x.cohort, x.after, 0.95, 'plain') ELSE lead_qualify.incidence_high(x.cohort, x.after, 0.95, 'plain') END AS high) e
	WHERE (abs(e.estimate - k.value) < 1e-9 AND abs((e.high - e.estimate) / 1.959963984540054 - k.se) < 1e-9) IS NOT TRUE$$,
	format('maven: the curves of the journeys, rolled up from products, are those of survfit (%s points)', (SELECT count(*) FROM maven.km)));
-- by product there is no table of R: the definitions of Kaplan and Meier and of Aalen and Johansen
CREATE TABLE maven.life AS
SELECT product, day, at_risk, d, l, exp(sum(ln(1 - (d + l) / at_risk::float8)) OVER (PARTITION BY product ORDER BY day ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)) AS before,
	1 - exp(sum(ln(1 - d / at_risk::float8)) OVER (PARTITION BY product ORDER BY day)) AS km
FROM (SELECT product, day, sum(count(*)) OVER (PARTITION BY product ORDER BY day DESC) AS at_risk, count(won_at) AS d, count(lost_at) AS l
	FROM maven.raw, LATERAL (SELECT coalesce(won_at, lost_at, '2017-12-31')::date - entered_at::date AS day) t GROUP BY 1, 2) n
WHERE at_risk > d + l;
SELECT tap.no_row($$
	SELECT * FROM (SELECT *, sum(coalesce(before, 1) * d / at_risk) OVER (PARTITION BY product ORDER BY day) AS incidence FROM maven.life) l JOIN maven.cohort USING (product)
	WHERE (abs(lead_qualify.incidence_at(won, day * interval '1 day') - incidence) < 1e-9 AND abs(lead_qualify.km_at(won, day * interval '1 day') - km) < 1e-9) IS NOT TRUE$$,
	format('maven: the curves of each product are their definitions (%s points)', (SELECT count(*) FROM maven.life)));
SELECT tap.no_row($$
	SELECT * FROM maven.life l
	FULL JOIN (SELECT product, u.* FROM maven.cohort, lead_qualify.curve(won) u WHERE u.at_risk > u.converted + u.lost) c
		ON c.product = l.product AND c.after = l.day * interval '1 day'
	WHERE coalesce(l.d + l.l, 1) > 0 AND (c.at_risk, c.converted, c.lost) IS DISTINCT FROM (l.at_risk, l.d, l.l)$$,
	'maven: with the same numbers at risk, won and lost');
