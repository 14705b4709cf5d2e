-- Bank marketing: 45,211 telephone calls to sell a deposit (Moro, Cortez and
-- Rita), and what R says of them: two logistic regressions with their areas
-- under the ROC curve, counts by segment, and binomial intervals.

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
