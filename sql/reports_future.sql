--
-- cohort_matrix() and forecast(): when cohorts converted, and what the leads
-- that are open will come to, tried on what then happened.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lead_qualify;
\set VERBOSITY default
\set SHOW_CONTEXT never
SET timezone = 'Asia/Tokyo';
SET datestyle = ISO;
CREATE SCHEMA future;
SET search_path = future;

-- each activity moves the lead to the stage of its name
CREATE PROCEDURE make(name text, zone text) LANGUAGE plpgsql SET search_path = future AS $$
BEGIN
	EXECUTE format('CREATE TABLE %1$I (id int PRIMARY KEY, channel text, amount numeric(10, 2), competitor boolean, created_at timestamptz);
		CREATE TABLE %2$I (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, lead_id int, type text, at timestamptz);
		CREATE INDEX ON %2$I (lead_id)', name, name || '_act');
	PERFORM lead_qualify.attach(name, name::regclass, (name || '_act')::regclass, template => 'empty', time_zone => zone);
	INSERT INTO lead_qualify.stage (pipeline, stage, position, kind) VALUES (name, 'sql', 3, 'sql'), (name, 'customer', 4, 'won'),
		(name, 'hold', 5, 'hold'), (name, 'recycled', 6, 'recycled'), (name, 'lost', 7, 'lost');
	INSERT INTO lead_qualify.gate (pipeline, stage, name, from_stages, activity_type) VALUES
		(name, 'mql', 'mql', '{lead,hold,recycled}', 'mql'),
		(name, 'sql', 'sql', '{lead,mql,hold}', 'sql'), (name, 'customer', 'customer', '{mql,sql}', 'customer'),
		(name, 'hold', 'hold', '{mql}', 'hold'), (name, 'recycled', 'recycled', '{mql}', 'recycled'), (name, 'lost', 'lost', '{lead,mql,sql,hold}', 'lost');
	INSERT INTO lead_qualify.exclusion (pipeline, name, condition) VALUES (name, 'competitor', 'competitor');
	PERFORM lead_qualify.publish(name, effective_from => '-infinity');
END $$;
CALL make('pip', 'Asia/Tokyo');

-- ----------------------------------------------------------------
-- cohort_matrix()
-- ----------------------------------------------------------------

-- six became MQL in January, on day 1 to 6, three in March; SQL after so many days
INSERT INTO pip SELECT i, (ARRAY['web','fair'])[1 + i % 2], i * 100, i = 10, '2023-01-01' FROM generate_series(1, 10) AS i;
INSERT INTO pip_act (lead_id, type, at) SELECT i, 'mql', timestamptz '2024-01-01' + (i - 1) * interval '1 day' FROM generate_series(1, 6) AS i;
INSERT INTO pip_act (lead_id, type, at) SELECT i, 'mql', timestamptz '2024-03-10' FROM generate_series(7, 10) AS i;
INSERT INTO pip_act (lead_id, type, at) VALUES
	(1, 'sql', '2024-01-11'), (2, 'sql', '2024-02-11'), (3, 'lost', '2024-01-30'), (4, 'sql', '2024-02-03'), (5, 'sql', '2024-04-01'),
	(7, 'sql', '2024-03-11'), (10, 'sql', '2024-03-12');

-- after 10, 40, 30 and 87 days of January's six: 2, 3 and 4 in 30, 60 and 90
-- days; lead 10 is a competitor
SELECT cohort, period, entered, eligible, mature, converted, round(rate::numeric, 4) AS rate, round(rate_low::numeric, 4) AS low,
	round(rate_high::numeric, 4) AS high
FROM lead_qualify.cohort_matrix('pip', periods => 4, as_of => '2024-04-09');
SELECT count(*) AS wrong
FROM lead_qualify.cohort_matrix('pip', periods => 4, as_of => '2024-04-09', confidence => 0.9) AS m,
	lead_qualify.wilson_interval(m.converted, m.eligible, 0.9) AS w
WHERE (m.rate, m.rate_low, m.rate_high) IS DISTINCT FROM (m.converted::float8 / nullif(m.eligible, 0), w.low, w.high);
-- three of January's are there for 90 days
SELECT cohort, period, entered, eligible, mature, converted, rate
FROM lead_qualify.cohort_matrix('pip', periods => 3, as_of => '2024-04-02') WHERE cohort < '2024-03-01';
-- a bucket that is not over is not mature
SELECT cohort, period, entered, eligible, mature, converted, rate
FROM lead_qualify.cohort_matrix('pip', periods => 3, bucket => 'quarter', segment => 'channel', as_of => '2024-03-31 12:00') WHERE period = 1
UNION ALL
SELECT cohort, period, entered, eligible, mature, converted, rate
FROM lead_qualify.cohort_matrix('pip', periods => 1, bucket => 'day', until => '2024-01-02', as_of => '2024-01-02');
SELECT cohort, segment, period, entered, converted, rate
FROM lead_qualify.cohort_matrix('pip', segment => 'channel', periods => 2, since => '2024-01-02', until => '2024-03-01', as_of => '2025-01-01');
SELECT bucket, count(*), count(DISTINCT cohort) AS cohorts, min(cohort) AS first, max(cohort) AS last, max(rate) AS rate
FROM unnest('{day,week,month,quarter,year}'::text[]) AS bucket, lead_qualify.cohort_matrix('pip', bucket => bucket, as_of => '2025-01-02')
GROUP BY 1 ORDER BY 2 DESC, 1;
-- the time zone is the pipeline's, whatever the session's; what rate_within() gives
BEGIN;
SET LOCAL timezone = 'America/New_York';
SELECT DISTINCT cohort AT TIME ZONE 'Asia/Tokyo' AS cohort FROM lead_qualify.cohort_matrix('pip', as_of => '2025-01-01') ORDER BY 1;
ROLLBACK;
SELECT count(*) AS wrong
FROM lead_qualify.cohort_matrix('pip', bucket => 'week', per => 'lead', as_of => '2024-06-01') AS m
JOIN (SELECT date_trunc('week', entered_at) AS cohort, lead_qualify.conversion(entered_at, converted_at, lost_at, '2024-06-01') AS c
	FROM lead_qualify.journeys('pip', per => 'lead', as_of => '2024-06-01') GROUP BY 1) AS j USING (cohort)
WHERE (m.rate, m.eligible, m.entered) IS DISTINCT FROM
	(lead_qualify.rate_within(j.c, m.period * interval '1 week'), lead_qualify.eligible(j.c, m.period * interval '1 week'), lead_qualify.entered(j.c));
SELECT count(*) FROM lead_qualify.cohort_matrix('pip', periods => 1000, bucket => 'year', as_of => NULL);
SELECT count(*), sum(converted) AS converted FROM lead_qualify.cohort_matrix('pip', 'lead', 'won', periods => 1);
SELECT count(*) FROM lead_qualify.cohort_matrix('pip', since => '2030-01-01');

SELECT lead_qualify.cohort_matrix(NULL);
SELECT lead_qualify.cohort_matrix('nothing');
SELECT lead_qualify.cohort_matrix('pip', 'sql', 'mql');
SELECT lead_qualify.cohort_matrix('pip', to_stage => 'nothing');
SELECT lead_qualify.cohort_matrix('pip', bucket => 'hour');
SELECT lead_qualify.cohort_matrix('pip', bucket => NULL);
SELECT lead_qualify.cohort_matrix('pip', periods => 0);
SELECT lead_qualify.cohort_matrix('pip', periods => 1001);
SELECT lead_qualify.cohort_matrix('pip', periods => NULL);
SELECT lead_qualify.cohort_matrix('pip', segment => 'nothing');
SELECT lead_qualify.cohort_matrix('pip', per => 'nothing');
SELECT lead_qualify.cohort_matrix('pip', confidence => 1);
SELECT lead_qualify.cohort_matrix('pip', confidence => NULL);
SELECT lead_qualify.cohort_matrix('pip', as_of => 'infinity');

-- ----------------------------------------------------------------
-- forecast(): by hand
-- ----------------------------------------------------------------

SELECT confidence, round(lead_qualify.confidence_z(confidence)::numeric, 6) AS z FROM unnest('{0.5,0.8,0.95,0.999999}'::float8[]) AS confidence;
SELECT month, until FROM lead_qualify.forecast_periods('2024-01-31 18:00', '1 month', 'Asia/Tokyo');
SELECT month, until FROM lead_qualify.forecast_periods('2024-02-01', '1 month', 'Asia/Tokyo');
SELECT month AT TIME ZONE 'Europe/Berlin' AS month, until FROM lead_qualify.forecast_periods('2024-03-15 00:00+1', '1 month', 'Europe/Berlin');

-- ten MQL of 91 days ago: two customers on day 10, two lost on day 20, two
-- customers on day 40, four open; and three of today: incidence 0.2 from day
-- 10, 0.4 from day 40.  April has days 1 to 30, May 31 to 61, June 62 to 91.
TRUNCATE pip_act, pip, pip_stage_history;
INSERT INTO pip SELECT i, 'web', CASE WHEN i > 10 THEN (i - 10) * 100 END, false, '2023-12-31' FROM generate_series(1, 13) AS i;
INSERT INTO pip_act (lead_id, type, at) SELECT i, 'mql', '2024-01-01' FROM generate_series(1, 10) AS i;
INSERT INTO pip_act (lead_id, type, at) SELECT i, 'mql', '2024-04-01' FROM generate_series(11, 13) AS i;
INSERT INTO pip_act (lead_id, type, at) VALUES (1, 'customer', '2024-01-11'), (2, 'customer', '2024-01-11'), (3, 'lost', '2024-01-21'),
	(4, 'lost', '2024-01-21'), (5, 'customer', '2024-02-10'), (6, 'customer', '2024-02-10');
SELECT stage, month, open_leads AS open, unknown_leads AS unknown, round(expected::numeric, 4) AS expected,
	round(expected_low::numeric, 4) AS low, round(expected_high::numeric, 4) AS high,
	round(value::numeric, 2) AS value, round(value_low::numeric, 2) AS value_low, round(value_high::numeric, 2) AS value_high
FROM lead_qualify.forecast('pip', value_column => 'amount', as_of => '2024-04-01');
-- in all: 7 leads, 0.4 of 10; the values are 100, 200 and 300.  In June none did: reckoned with 1 of 11
SELECT 2.8 - d AS low, 2.8 + d AS high, 240 - v AS value_low, 240 + v AS value_high, j AS june
FROM (SELECT round((1.281552 * sqrt(7 * 0.24 + 49 * 0.24 / 10))::numeric, 4) AS d,
	round((1.281552 * sqrt(140000 * 0.24 + 360000 * 0.24 / 10))::numeric, 2) AS v,
	round((1.281552 * sqrt(7 * 10 / 121.0 + 49 * 10 / 121.0 / 10))::numeric, 4) AS j) AS x;
-- the older four bring what they are worth, too
UPDATE pip SET amount = 1000 WHERE id IN (7, 8);
SELECT month, open_leads, round(expected::numeric, 4) AS expected, round(value::numeric, 2) AS value
FROM lead_qualify.forecast('pip', '1 month', 'amount', as_of => '2024-04-01', confidence => 0.5) WHERE stage IS NULL;
-- nobody entered more than 91 days ago: what comes later is unknown
SELECT stage, month, open_leads, unknown_leads, expected, expected_low, expected_high, value
FROM lead_qualify.forecast('pip', '4 months', 'amount', as_of => '2024-04-01') WHERE (stage = 'mql' OR stage IS NULL) AND (month >= '2024-06-01' OR month IS NULL);

-- eighty MQL a year ago: 20 SQL on day 3 and customers on day 40; 30 customers
-- on day 20; 30 lost on day 30.  Of 4 of today 30/80 and 20/80 become
-- customers; of 4 that are MQL since a week 30/60, who are no longer those that went on
TRUNCATE pip_act, pip, pip_stage_history;
INSERT INTO pip SELECT i, 'web', 100, false, '2022-12-01' FROM generate_series(1, 88) AS i;
INSERT INTO pip_act (lead_id, type, at) SELECT i, 'mql', CASE WHEN i <= 80 THEN '2023-01-01'::timestamptz WHEN i <= 84 THEN '2024-01-01' ELSE '2023-12-24 12:00' END
FROM generate_series(1, 88) AS i;
INSERT INTO pip_act (lead_id, type, at) SELECT i, 'sql', '2023-01-04' FROM generate_series(1, 20) AS i;
INSERT INTO pip_act (lead_id, type, at) SELECT i, 'customer', '2023-02-10' FROM generate_series(1, 20) AS i;
INSERT INTO pip_act (lead_id, type, at) SELECT i, 'customer', '2023-01-21' FROM generate_series(21, 50) AS i;
INSERT INTO pip_act (lead_id, type, at) SELECT i, 'lost', '2023-01-31' FROM generate_series(51, 80) AS i;
SELECT stage, month, open_leads, round(expected::numeric, 4) AS expected FROM lead_qualify.forecast('pip', as_of => '2024-01-01');
SELECT stage, month, open_leads, round(expected::numeric, 4) AS expected FROM lead_qualify.forecast('pip', '2 months', to_stage => 'sql', as_of => '2024-01-01')
WHERE month IS NULL;
-- a month later they are older than any was: judged like the 30 that were MQL for 26 days, all of them lost
SELECT open_leads, round(expected::numeric, 4) AS expected
FROM lead_qualify.forecast('pip', as_of => '2024-02-01') WHERE stage IS NULL AND month IS NULL;

-- who is open, and where: 101 is held, 102 recycled, 103 again MQL, 104 and
-- 105, a customer, will be taken back, 106 is excluded, 107 not yet MQL, 108
-- will be deleted, 109 is MQL since nobody knows when
INSERT INTO pip SELECT i, 'web', 100, i = 106, '2023-12-01' FROM generate_series(101, 109) AS i;
INSERT INTO pip_act (lead_id, type, at) VALUES (101, 'mql', '2023-12-20'), (101, 'hold', '2023-12-25'), (102, 'mql', '2023-12-20'), (102, 'recycled', '2023-12-28'),
	(103, 'mql', '2023-12-10'), (103, 'recycled', '2023-12-15'), (103, 'mql', '2023-12-20'), (104, 'mql', '2023-12-20'),
	(105, 'mql', '2023-12-10'), (105, 'customer', '2023-12-20'), (106, 'mql', '2023-12-20'), (107, 'mql', '2024-01-05'),
	(108, 'mql', '2023-12-20'), (109, 'mql', '2023-12-20');
SELECT id, stage FROM pip WHERE id > 100 ORDER BY id;
SELECT stage, open_leads FROM lead_qualify.forecast('pip', as_of => '2024-01-01') WHERE month IS NULL;
DELETE FROM pip WHERE id = 108;
UPDATE pip_stage_history SET entered_at = NULL WHERE lead = 109 AND stage = 'mql';
SELECT stage, open_leads FROM lead_qualify.forecast('pip', as_of => '2024-01-01') WHERE month IS NULL;
-- now 107 is MQL, too; 104 is open in the stage that it is taken back to, 105 has converted
SELECT stage, open_leads FROM lead_qualify.forecast('pip') WHERE month IS NULL;
SELECT lead_qualify.move('pip', 104, 'lead', force => true), lead_qualify.move('pip', 105, 'mql', force => true);
SELECT stage, open_leads FROM lead_qualify.forecast('pip') WHERE month IS NULL;
-- as of the past it is what it was then, whatever came since, but for an entry that comes in late
CREATE TABLE before AS SELECT * FROM lead_qualify.forecast('pip', value_column => 'amount', as_of => '2024-01-03');
INSERT INTO pip_act (lead_id, type, at) SELECT i, 'customer', '2024-01-04' FROM generate_series(81, 88) AS i;
SELECT count(*) AS differ FROM (TABLE before EXCEPT SELECT * FROM lead_qualify.forecast('pip', value_column => 'amount', as_of => '2024-01-03')) AS d;
INSERT INTO pip_act (lead_id, type, at) VALUES (81, 'customer', '2024-01-02');
SELECT t.stage, t.open_leads - f.open_leads AS fewer FROM before AS t JOIN lead_qualify.forecast('pip', as_of => '2024-01-03') AS f
	ON (f.stage, f.month) IS NOT DISTINCT FROM (t.stage, t.month)
WHERE t.month IS NULL AND t.open_leads <> f.open_leads;
-- without leads nothing will happen; without a column there is no value
TRUNCATE pip;
SELECT stage, month, open_leads, unknown_leads, expected, expected_low, expected_high, value, value_low, value_high
FROM lead_qualify.forecast('pip', '10 days', 'amount', as_of => '2024-01-25') WHERE stage = 'mql' OR month IS NULL;
SELECT value, value_low, value_high FROM lead_qualify.forecast('pip', as_of => NULL) WHERE stage IS NULL AND month IS NULL;

SELECT lead_qualify.forecast(NULL);
SELECT lead_qualify.forecast('nothing');
SELECT lead_qualify.forecast('pip', '0');
SELECT lead_qualify.forecast('pip', '-1 month');
SELECT lead_qualify.forecast('pip', '11 years');
SELECT lead_qualify.forecast('pip', NULL);
SELECT lead_qualify.forecast('pip', value_column => 'nothing');
SELECT lead_qualify.forecast('pip', value_column => 'channel');
SELECT lead_qualify.forecast('pip', to_stage => 'lead');
SELECT lead_qualify.forecast('pip', to_stage => 'hold');
SELECT lead_qualify.forecast('pip', to_stage => NULL);
SELECT lead_qualify.forecast('pip', as_of => 'infinity');
SELECT lead_qualify.forecast('pip', as_of => '-infinity');
SELECT lead_qualify.forecast('pip', confidence => 0);
SELECT lead_qualify.forecast('pip', confidence => 1);
SELECT lead_qualify.forecast('pip', confidence => 'NaN');
SELECT lead_qualify.forecast('pip', confidence => NULL);
ALTER TABLE pip DROP COLUMN amount;
SELECT lead_qualify.forecast('pip', value_column => 'amount');

-- ----------------------------------------------------------------
-- forecast(): tried on what then happened
--
-- 3,000 leads over 1,000 days.  From lead half go on, after 40 days on average
-- with a hazard that stays the same; from mql 0.6, after about 44 days, with
-- one that grows; from sql 0.4 after 30 days; the others are lost then.  A
-- fifth of the MQL is held half the time.
-- ----------------------------------------------------------------

CALL make('past', 'UTC');
SELECT setseed(0.33);
CREATE TABLE life AS
WITH r AS MATERIALIZED (
	SELECT i AS id, '2022-01-01 00:00+0'::timestamptz + random() * interval '1000 days' AS created_at,
		-40 * ln(1 - random()) AS d1, 50 * sqrt(-ln(1 - random())) AS d2, -30 * ln(1 - random()) AS d3,
		random() < 0.5 AS on1, random() < 0.6 AS on2, random() < 0.4 AS on3
	FROM generate_series(1, 3000) AS i
), t AS (
	SELECT r.*, created_at + d1 * interval '1 day' AS t1, created_at + (d1 + d2) * interval '1 day' AS t2,
		created_at + (d1 + d2 + d3) * interval '1 day' AS t3
	FROM r
)
SELECT id, 50 + id % 7 * 100 AS amount, created_at, t1, t2, t3, on1, on2, t1 + (t2 - t1) / 2 AS held_at,
	CASE WHEN on1 AND on2 THEN t3 WHEN on1 THEN t2 ELSE t1 END AS ended, CASE WHEN on1 AND on2 AND on3 THEN t3 END AS won_at
FROM t;
INSERT INTO past SELECT id, 'web', amount, false, created_at FROM life;
INSERT INTO past_act (lead_id, type, at)
SELECT id, CASE WHEN on1 THEN 'mql' ELSE 'lost' END, t1 FROM life UNION ALL
SELECT id, 'hold', held_at FROM life WHERE on1 AND id % 5 = 0 UNION ALL
SELECT id, CASE WHEN on2 THEN 'sql' ELSE 'lost' END, t2 FROM life WHERE on1 UNION ALL
SELECT id, CASE WHEN won_at IS NULL THEN 'lost' ELSE 'customer' END, t3 FROM life WHERE on1 AND on2;
ANALYZE past_stage_history, past_qualification, past;

-- on the 10th of each of 23 months, for three months
CREATE TABLE made AS
SELECT a.as_of, f.*
FROM generate_series('2022-08-10 00:00+0'::timestamptz, '2024-06-10 00:00+0', '1 month') AS a (as_of),
	lead_qualify.forecast('past', value_column => 'amount', as_of => a.as_of) AS f;
CREATE TABLE tried AS
SELECT m.*, t.*
FROM made AS m, LATERAL (
	SELECT count(*) AS open, count(*) FILTER (WHERE l.won_at > w.begins AND l.won_at <= w.ends) AS won,
		coalesce(sum(l.amount) FILTER (WHERE l.won_at > w.begins AND l.won_at <= w.ends), 0) AS won_amount
	FROM life AS l, (SELECT greatest(m.as_of, m.month) AS begins, least(m.as_of + interval '3 months', m.month + interval '1 month') AS ends) AS w
	WHERE CASE m.stage WHEN 'lead' THEN l.created_at <= m.as_of AND l.t1 > m.as_of WHEN 'mql' THEN l.on1 AND l.t1 <= m.as_of AND l.t2 > m.as_of
		WHEN 'sql' THEN l.on1 AND l.on2 AND l.t2 <= m.as_of AND l.t3 > m.as_of ELSE l.created_at <= m.as_of AND l.ended > m.as_of END) AS t;

SELECT count(*) AS rows, sum((open <> open_leads)::int) AS wrong, sum(unknown_leads) AS unknown,
	sum((NOT (expected_low <= expected AND expected <= expected_high AND expected_low >= 0 AND expected_high <= open_leads))::int) AS disorder
FROM tried;
-- months add up to the whole, stages to the row of all
SELECT count(*) AS wrong
FROM (SELECT as_of, coalesce(stage, 'all') AS stage, sum(expected) FILTER (WHERE month IS NOT NULL) - sum(expected) FILTER (WHERE month IS NULL) AS d
	FROM tried GROUP BY 1, 2
	UNION ALL
	SELECT as_of, month::text, sum(expected) FILTER (WHERE stage IS NOT NULL) - sum(expected) FILTER (WHERE stage IS NULL) FROM tried GROUP BY 1, 2) AS x
WHERE abs(d) > 1e-9;
-- how often the 80 % intervals held what happened, and how much was expected of it
CREATE VIEW coverage AS
SELECT coalesce(stage, 'all') AS stage, CASE WHEN month IS NULL THEN 'three months' ELSE 'a month' END AS period, count(*) AS forecasts,
	avg((won BETWEEN expected_low AND expected_high)::int) AS held, avg((won_amount BETWEEN value_low AND value_high)::int) AS value_held,
	sum(won) AS won, sum(expected) AS expected, sum(expected) / sum(won) - 1 AS bias, sum(value) / sum(won_amount) - 1 AS value_bias
FROM tried
GROUP BY 1, 2;
SELECT stage, period, forecasts, round(held, 2) AS held, round(value_held, 2) AS value_held, won, round(expected::numeric, 1) AS expected,
	round(bias::numeric, 2) AS bias, round(value_bias::numeric, 2) AS value_bias
FROM coverage ORDER BY 2, 1;
SELECT round(sum(held * forecasts) / sum(forecasts), 2) AS held, sum(held * forecasts) / sum(forecasts) BETWEEN 0.65 AND 0.95 AS good,
	round(sum(value_held * forecasts) / sum(forecasts), 2) AS value_held, sum(value_held * forecasts) / sum(forecasts) BETWEEN 0.65 AND 0.95 AS good
FROM coverage;
SELECT bool_and(abs(bias) < 0.15 AND abs(value_bias) < 0.2) AS little_bias FROM coverage WHERE stage = 'all';

SET client_min_messages = error;
SELECT lead_qualify.detach('pip', keep_data => false), lead_qualify.detach('past', keep_data => false);
DROP SCHEMA future CASCADE;
