-- Bank marketing: 45,211 telephone calls to sell a deposit (Moro, Cortez and
-- Rita), and what R says of them: two logistic regressions with their areas
-- under the ROC curve, counts by segment, and binomial intervals.  A pipeline
-- on the calls converts by segment as they count.

CREATE SCHEMA bank;
\set header `gzip -dc bank_marketing/bank_market.csv.gz | head -n 1 | tr -d '\r'`
SELECT tap.create_table('bank.call', :'header', 'age integer, balance integer, housing boolean, loan boolean, duration integer, campaign integer,
	previous integer, y boolean') \gset
\copy bank.call FROM PROGRAM 'gzip -dc bank_marketing/bank_market.csv.gz' CSV HEADER
CREATE TABLE bank.model (term text PRIMARY KEY, estimate float8, se float8, z float8, p float8);
\copy bank.model FROM 'bank_marketing/glm_bank.csv' CSV HEADER NULL 'NA'
CREATE TABLE bank.duration_model (LIKE bank.model);
\copy bank.duration_model FROM 'bank_marketing/glm_bank_duration.csv' CSV HEADER NULL 'NA'
CREATE TABLE bank.by_campaign (campaign integer, size bigint, sum bigint);
\copy bank.by_campaign FROM 'bank_marketing/bank_by_campaign.csv' CSV HEADER
CREATE TABLE bank.by_month (month text, size bigint, sum bigint);
\copy bank.by_month FROM 'bank_marketing/bank_by_month.csv' CSV HEADER
CREATE TABLE bank.by_poutcome (poutcome text, size bigint, sum bigint);
\copy bank.by_poutcome FROM 'bank_marketing/bank_by_poutcome.csv' CSV HEADER
CREATE TABLE bank.binomial (x bigint, n bigint, conf float8, wilson_low float8, wilson_high float8, continuity_low float8, continuity_high float8,
	exact_low float8, exact_high float8);
\copy bank.binomial FROM 'wilson/wilson_grid_95.csv' CSV HEADER
SELECT tap.is('SELECT count(*) FROM bank.call', '45211', 'bank: all calls are loaded');

-- what the model predicts: on the logit scale, which has the same order
CREATE TABLE bank.predicted AS
SELECT c.month, c.y, (
	SELECT sum(m.estimate * CASE m.term
		WHEN '(Intercept)' THEN 1
		WHEN 'age' THEN c.age
		WHEN 'balance' THEN c.balance
		WHEN 'campaign' THEN c.campaign
		WHEN 'previous' THEN c.previous
		WHEN 'I(housing == "yes")TRUE' THEN c.housing::int
		WHEN 'I(loan == "yes")TRUE' THEN c.loan::int
		WHEN 'poutcome=' || c.poutcome THEN 1
		WHEN 'contact=' || c.contact THEN 1
		ELSE 0
	END ORDER BY m.term)
	FROM bank.model m
	WHERE m.se IS NOT NULL) AS score
FROM bank.call c;
SELECT tap.ok(abs(lead_qualify.auc(lead_qualify.roc(score, y)) - (SELECT estimate FROM bank.model WHERE term = 'auc_insample')) < 1e-9,
	'bank: the area below the curve of the model', lead_qualify.auc(lead_qualify.roc(score, y))::text)
FROM bank.predicted;
-- the model's other facts come from the same predictions, so these are right
SELECT tap.ok(abs(avg((1 / (1 + exp(-score)) - y::int) ^ 2) - (SELECT estimate FROM bank.model WHERE term = 'brier')) < 1e-9, 'bank: they are the model''s predictions')
FROM bank.predicted;
SELECT tap.ok(abs(lead_qualify.auc(lead_qualify.roc(duration, y)) - (SELECT estimate FROM bank.duration_model WHERE term = 'auc_insample')) < 1e-12,
	'bank: the area below the curve of the duration', lead_qualify.auc(lead_qualify.roc(duration, y))::text)
FROM bank.call;

-- counts by segment
SELECT tap.is('SELECT lead_qualify.roc(least(campaign, 10), y)::text FROM bank.call',
	(SELECT string_agg(format('%s:%s/%s', campaign, sum, size), ', ' ORDER BY campaign) FROM bank.by_campaign),
	'bank: a summary has the counts of each score');
SELECT tap.no_row($$
	SELECT m.month
	FROM bank.by_month m
	FULL JOIN (SELECT month, lead_qualify.roc(score, y) AS roc FROM bank.predicted GROUP BY month) s USING (month)
	WHERE (SELECT (max(tp), max(tp + fp)) = (m.sum, m.size) FROM lead_qualify.threshold_table(s.roc)) IS NOT TRUE$$,
	'bank: the lowest threshold has all calls of the month');
SELECT tap.is($$
	SELECT md5(lead_qualify.roc_send(lead_qualify.rollup(s.roc)))
	FROM (SELECT lead_qualify.roc(score, y) AS roc FROM bank.predicted GROUP BY month) s$$,
	(SELECT md5(lead_qualify.roc_send(lead_qualify.roc(score, y))) FROM bank.predicted), 'bank: the months together are the whole');

-- intervals
SELECT tap.no_row($$
	SELECT b.* FROM bank.binomial b, lead_qualify.wilson_interval(b.x, b.n, b.conf) w
	WHERE NOT (abs(w.low - b.wilson_low) < 1e-12 AND abs(w.high - b.wilson_high) < 1e-12)$$,
	'bank: Wilson''s intervals of ' || (SELECT count(*) FROM bank.binomial) || ' rates');
-- n disjoint pairs, all in order or none
CREATE VIEW bank.perfect AS
SELECT b.*, format(CASE WHEN b.x = 0 THEN '1:%1$s/%1$s, 2:0/%1$s' ELSE '1:0/%1$s, 2:%1$s/%1$s' END, b.n)::lead_qualify.roc AS roc
FROM bank.binomial b
WHERE b.x IN (0, b.n) AND b.n > 1;
SELECT tap.no_row($$
	SELECT p.* FROM bank.perfect p
	WHERE NOT (abs(lead_qualify.auc_low(p.roc, p.conf) - p.exact_low) < 1e-12 AND abs(lead_qualify.auc_high(p.roc, p.conf) - p.exact_high) < 1e-12)$$,
	'bank: a perfect or perfectly wrong score has the exact interval of as many pairs');
SELECT tap.ok(count(*) FILTER (WHERE x = 0) >= 4 AND count(*) FILTER (WHERE x > 0) >= 4, 'bank: of which there are several') FROM bank.perfect;

-- The calls as leads, which answer yes or no when the call ends.  The file is
-- in the order of time and names no year: it begins in 2008, and where the
-- month is before that of the call before, a year does.
SET timezone = 'UTC';
CREATE TABLE bank.lead AS
SELECT cust_num::bigint AS id, make_date(2008 + (count(*) FILTER (WHERE m < before) OVER (ORDER BY cust_num::bigint))::int, m, day::int)::timestamptz AS called_at,
	least(campaign, 10) AS calls, month, poutcome
FROM (SELECT *, lag(m) OVER (ORDER BY cust_num::bigint) AS before
	FROM (SELECT c.*, "Cust_num" AS cust_num, extract(month FROM to_date(month, 'mon'))::int AS m FROM bank.call c) n) o;
ALTER TABLE bank.lead ADD PRIMARY KEY (id);
CREATE TABLE bank.answer (lead_id bigint PRIMARY KEY REFERENCES bank.lead, answer text, answered_at timestamptz);
CREATE VIEW bank.answered AS
SELECT l.id AS lead_id, CASE WHEN c.y THEN 'yes' ELSE 'no' END AS answer, l.called_at + c.duration * interval '1 second' AS answered_at
FROM bank.lead l JOIN bank.call c ON c."Cust_num"::bigint = l.id;
-- all but the last thousands are there before attach
INSERT INTO bank.answer SELECT * FROM bank.answered WHERE lead_id <= 40000;
SELECT tap.is($$SELECT concat_ws(' ', min(called_at)::date, max(called_at)::date) FROM bank.lead$$, '2008-05-05 2010-11-17', 'bank: the calls are of 31 months');
SELECT lead_qualify.attach('bank', 'bank.lead', 'bank.answer', activity_type => 'answer', activity_at => 'answered_at', created_at => 'called_at',
	template => 'empty', time_zone => 'UTC');
DELETE FROM lead_qualify.stage WHERE pipeline = 'bank' AND stage = 'mql';
INSERT INTO lead_qualify.stage (pipeline, stage, position, kind) VALUES ('bank', 'deposit', 2, 'won'), ('bank', 'refused', 3, 'lost');
INSERT INTO lead_qualify.gate (pipeline, stage, name, from_stages, activity_type)
VALUES ('bank', 'deposit', 'yes', '{lead}', 'yes'), ('bank', 'refused', 'no', '{lead}', 'no');
SELECT tap.ok(lead_qualify.publish('bank', effective_from => '-infinity') = 2, 'bank: the stages are published');
SELECT tap.ok(lead_qualify.recompute('bank') = 45211, 'bank: the calls are attached');
INSERT INTO bank.answer SELECT * FROM bank.answered WHERE lead_id > 40000;
SELECT tap.steady('bank');
SELECT tap.is($$SELECT string_agg(stage || ' ' || n, ', ' ORDER BY stage) FROM (SELECT stage, count(*) AS n FROM bank.lead GROUP BY 1) s$$,
	(SELECT format('deposit %s, refused %s', count(*) FILTER (WHERE y), count(*) FILTER (WHERE NOT y)) FROM bank.call), 'bank: each call is where its answer leads');

-- each fact as segment, size, sum
CREATE VIEW bank.fact AS
SELECT 'calls' AS "column", campaign::text AS segment, size, sum FROM bank.by_campaign
UNION ALL SELECT 'month', * FROM bank.by_month
UNION ALL SELECT 'poutcome', * FROM bank.by_poutcome;
SELECT tap.no_row(format($$
	SELECT * FROM (SELECT segment, sum(entered) AS size, sum(converted) AS sum, sum(lost) AS lost, sum(eligible) AS eligible,
			sum(rate * eligible) AS in_time, sum(still_open + skipped) AS none
		FROM lead_qualify.conversion_report('bank', 'lead', 'deposit', bucket => 'year', segment => %1$L, within => '2 hours') GROUP BY 1) r
	FULL JOIN (SELECT * FROM bank.fact WHERE "column" = %1$L) f USING (segment)
	WHERE (r.size, r.eligible, r.sum, r.lost, r.none) IS DISTINCT FROM (f.size, f.size, f.sum, f.size - f.sum, 0) OR (abs(r.in_time - f.sum) < 1e-6) IS NOT TRUE$$, "column"),
	format('bank: conversion_report by %s (%s segments)', "column", count(*)))
FROM bank.fact GROUP BY "column" ORDER BY "column";
SELECT tap.no_row(format($$
	SELECT * FROM lead_qualify.funnel_report('bank', segment => %1$L) r
	FULL JOIN (SELECT f.*, w.* FROM bank.fact f, lead_qualify.wilson_interval(f.sum, f.size) w WHERE "column" = %1$L) f USING (segment)
	WHERE CASE r.stage
		WHEN 'lead' THEN (r.entered, r.converted, r.lost, r.still_open, r.current_leads) = (f.size, f.sum, f.size - f.sum, 0, 0)
			AND abs(r.step_rate - f.sum / f.size::float8) < 1e-12 AND abs(r.step_low - f.low) < 1e-12 AND abs(r.step_high - f.high) < 1e-12
		WHEN 'deposit' THEN (r.entered, r.current_leads) = (f.sum, f.sum) AND abs(r.cumulative_rate - f.sum / f.size::float8) < 1e-12
		END IS NOT TRUE$$, "column"),
	format('bank: funnel_report by %s, with Wilson''s intervals', "column"))
FROM bank.fact GROUP BY "column" ORDER BY "column";
-- the cohorts of each month of three years, with the time that it took
SELECT tap.no_row($$
	SELECT * FROM lead_qualify.conversion_report('bank', 'lead', 'deposit', within => '2 hours') r
	FULL JOIN (SELECT date_trunc('month', called_at) AS cohort, count(*) AS size, count(*) FILTER (WHERE y) AS sum,
			percentile_disc(0.5) WITHIN GROUP (ORDER BY duration) FILTER (WHERE y) * interval '1 second' AS median_time,
			percentile_disc(0.9) WITHIN GROUP (ORDER BY duration) FILTER (WHERE y) * interval '1 second' AS p90_time
		FROM bank.lead JOIN bank.call c ON c."Cust_num"::bigint = id GROUP BY 1) e USING (cohort)
	WHERE (r.entered, r.converted, r.rate, r.median_time, r.p90_time, r.mature) IS DISTINCT FROM (e.size, e.sum, e.sum / e.size::float8, e.median_time, e.p90_time, true)$$,
	'bank: cohorts by month, with median and ninth decile of the calls that sold');
SELECT tap.is($$SELECT lead_qualify.roc(duration, j.converted_at IS NOT NULL)::text
	FROM lead_qualify.journeys('bank', 'lead', 'deposit') j JOIN bank.call c ON c."Cust_num" = j.lead$$,
	(SELECT lead_qualify.roc(duration, y)::text FROM bank.call), 'bank: the journeys make the same summary as the answers');
