--
-- Reports on stages and sources: flow_report, stage_duration_report,
-- velocity_report, source_report, reject_report.  One pipeline of a few leads,
-- whose numbers can be told by hand; others for what it has not.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lead_qualify;
CREATE SCHEMA reports_stages;
SET search_path = reports_stages, lead_qualify;
SET timezone = 'UTC';
SET datestyle = ISO;
SET intervalstyle = 'postgres';
SET extra_float_digits = -3;
\set SHOW_CONTEXT never

CREATE TABLE lead (id int PRIMARY KEY, channel text, value numeric, email text, stage text, created_at timestamptz);
CREATE TABLE act (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, lead_id int, type text, at timestamptz);
CREATE INDEX ON act (lead_id);
-- another source: leads as text, local times, no type, rows that are no activities
CREATE TABLE visit (id text PRIMARY KEY, who varchar(20), day date, robot boolean);
CREATE INDEX ON visit (who);

-- lead 1 is there when the pipeline is attached: since when it is an MQL nobody knows
INSERT INTO lead VALUES (1, 'web', 500, NULL, 'mql', '2025-01-01');
SELECT attach('f', 'lead', 'act', template => 'empty', time_zone => 'UTC');
SELECT add_source('f', 'visit', activity_lead => 'who', activity_at => 'day', type_value => 'visit', filter => 'NOT visit.robot',
	time_zone => 'America/New_York');
INSERT INTO stage (pipeline, stage, position, kind) VALUES ('f', 'sql', 4, 'sql'), ('f', 'opportunity', 5, 'opportunity'),
	('f', 'customer', 6, 'won'), ('f', 'hold', 7, 'hold'), ('f', 'recycled', 8, 'recycled'), ('f', 'disqualified', 9, 'disqualified');
INSERT INTO gate (pipeline, stage, name, from_stages, activity_type) VALUES ('f', 'mql', 'ask', '{lead,recycled}', 'ask'),
	('f', 'sql', 'demo', NULL, 'demo'), ('f', 'opportunity', 'offer', NULL, 'offer'), ('f', 'customer', 'order', NULL, 'order');
INSERT INTO exclusion (pipeline, name, condition) VALUES ('f', 'staff', 'email = ''own''');
SELECT publish('f', effective_from => '-infinity');

-- nobody has come yet but lead 1
SELECT * FROM flow_report('f');
SELECT position, stage, stays, ended, still_there, median_time, p90_time FROM stage_duration_report('f');
SELECT * FROM velocity_report('f', 'value');
SELECT * FROM source_report('f', segment => 'channel');
SELECT * FROM reject_report('f');

INSERT INTO lead (id, channel, value, email, created_at) VALUES
	(2, 'web', 1000, NULL, '2025-01-05'), (3, 'web', 3000, NULL, '2025-01-05'), (4, 'fair', 700, NULL, '2025-01-06'),
	(5, 'fair', 800, NULL, '2025-01-08'), (6, 'fair', 900, NULL, '2025-01-31 23:30'), (7, 'web', 1, 'own', '2025-01-10'),
	(8, NULL, NULL, NULL, '2025-02-01'), (9, 'web', 1, NULL, '2025-01-12');
-- began beyond the stage lead
INSERT INTO lead (id, channel, value, stage, created_at) VALUES (10, 'fair', 5000, 'opportunity', '2025-02-15');
INSERT INTO act (lead_id, type, at) VALUES
	(2, 'mail', '2025-01-05'), (2, 'ask', '2025-01-10'), (2, 'demo', '2025-01-20'), (2, 'offer', '2025-02-01'), (2, 'order', '2025-03-01'),
	(3, 'ask', '2025-01-15'), (3, 'demo', '2025-02-10'), (3, 'offer', '2025-02-20'), (3, 'order', '2025-04-21'),
	(4, 'demo', '2025-01-20'),							-- skips mql
	(5, 'ask', '2025-01-09'),
	(6, 'ask', '2025-02-02'),
	(7, 'ask', '2025-01-11'), (7, 'demo', '2025-01-12'),
	(8, 'mail', '2025-02-03'),
	(9, 'ask', '2025-01-13');
-- the MQL of lead 9 did not happen
DELETE FROM act WHERE lead_id = 9;
-- of the robot, of one that may be a robot, of nobody, of another spelling, at no time: no activities.  Others are of
-- 05:00 in UTC: before the demo of lead 4, after the ask of lead 5 on the same day
INSERT INTO visit VALUES ('a', '4', '2025-01-19', false), ('b', '3', '2025-01-06', true), ('c', '5', '2025-01-09', false),
	('d', '2', '2025-01-04', false), ('e', '5', '2025-01-08', NULL), ('f', 'nobody', '2025-01-01', false), ('g', '04', '2025-01-07', false),
	('h', '6', '-infinity', false), ('i', '6', NULL, false);
SELECT disqualify('f', 4, 'no_budget', at => '2025-02-03');
SELECT reject('f', 5, 'no_budget', at => '2025-01-19');
INSERT INTO act (lead_id, type, at) VALUES (5, 'ask', '2025-03-10'), (5, 'demo', '2025-03-15');
SELECT recycle('f', 5, 'not_now', at => '2025-03-20');
SELECT hold('f', 6, at => '2025-02-05');
SELECT reject('f', 7, 'no_budget', at => '2025-01-19');
SELECT count(*) FILTER (WHERE superseded_at IS NOT NULL) > 0 AS superseded, count(*) FILTER (WHERE entered_at IS NULL) AS unknown
FROM lead_stage_history;

-- ----------------------------------------------------------------
-- Flows
-- ----------------------------------------------------------------

SELECT * FROM flow_report('f', as_of => '2025-05-01') WHERE entered + left_forward + left_back + left_lost + left_aside + in_stage > 0;
-- stages in which nothing happens have rows, too
SELECT period, count(*) FROM flow_report('f', as_of => '2025-05-01') GROUP BY 1 ORDER BY 1;
-- by a column; NULL is a value
SELECT period, segment, stage, entered, left_forward, in_stage FROM flow_report('f', segment => 'channel', as_of => '2025-03-01')
WHERE stage IN ('lead', 'sql') ORDER BY 1, 2, position;
-- who is there at the end of a period: those there before, those who came, less those who left; and so says the history
SELECT b.bucket, g.segment, bool_and(r.in_stage = r.before + r.entered - r.left_forward - r.left_back - r.left_lost - r.left_aside) AS adds_up,
	bool_and(r.there = (SELECT count(*) FROM lead_stage_history h
		WHERE h.superseded_at IS NULL AND h.stage = r.stage AND h.lead <> 7
			AND coalesce(h.entered_at < r.ends, true) AND coalesce(h.left_at >= r.ends, true))) AS is_true,
	count(r.before) > 0 AS several
FROM unnest('{day,week,month,quarter,year}'::text[]) b (bucket), (VALUES (NULL), ('channel')) g (segment),
	LATERAL (SELECT r.*, lag(r.in_stage) OVER (PARTITION BY r.segment, r.stage ORDER BY r.period) AS before,
			sum(r.in_stage) OVER (PARTITION BY r.period, r.stage) AS there,
			r.period + CASE b.bucket WHEN 'quarter' THEN interval '3 months' ELSE ('1 ' || b.bucket)::interval END AS ends
		FROM flow_report('f', bucket => b.bucket, segment => g.segment, as_of => '2025-05-01') r) r
GROUP BY 1, 2 ORDER BY 1, 2;
-- since is included, until is not; who was there before is there still
SELECT stage, entered, left_forward, in_stage FROM flow_report('f', '2025-01-20', '2025-02-10', 'year', as_of => '2025-05-01') WHERE position < 6;
SELECT stage, entered, left_forward, in_stage FROM flow_report('f', '2025-01-20 00:00:01', '2025-02-10 00:00:01', 'year', as_of => '2025-05-01')
WHERE position < 6;
-- what comes after as_of is not seen: leads 2 and 4 came to sql that day
SELECT a.as_of, r.entered, r.in_stage
FROM unnest('{2025-01-19 23:59:59,2025-01-20}'::timestamptz[]) a (as_of), flow_report('f', as_of => a.as_of) r WHERE r.stage = 'sql';
SELECT count(*) FROM flow_report('f', '2030-01-01');
SELECT count(*) FROM flow_report('f', as_of => 'infinity') WHERE in_stage > 0;
SELECT count(*) > 0 AS as_of_now FROM flow_report('f', as_of => NULL);

-- ----------------------------------------------------------------
-- Time in stage
-- ----------------------------------------------------------------

-- MQLs: 10, 26, 10 (lead 5) and 5 days (again), 3 (lead 6); not lead 1
SELECT * FROM stage_duration_report('f', as_of => '2025-05-01');
-- on 10 February lead 3 leaves; the day before it has been there for 25 days
SELECT a.as_of, r.stays, r.ended, r.still_there, r.median_time, r.median_low, r.median_high, r.p90_time
FROM unnest('{2025-01-20,2025-02-09,2025-02-10,2025-03-15}'::timestamptz[]) a (as_of), stage_duration_report('f', as_of => a.as_of) r
WHERE r.stage = 'mql';
SELECT stage, segment, stays, ended, median_time FROM stage_duration_report('f', '2025-01-09', '2025-02-10', 'channel', '2025-05-01') WHERE position < 5;
-- the interval of the median by another way, the interval of 1 - survival
SELECT count(*) AS stages, count(low) AS with_low, count(high) AS with_high, bool_and(low IS NOT DISTINCT FROM median_low AND high IS NOT DISTINCT FROM median_high) AS same
FROM (SELECT r.stage, r.median_low, r.median_high, min(u.after) FILTER (WHERE km_high(c.c, u.after, 0.7, 'logit') >= 0.5) AS low,
		min(u.after) FILTER (WHERE km_low(c.c, u.after, 0.7, 'logit') >= 0.5) AS high
	FROM stage_duration_report('f', as_of => '2025-05-01', confidence => 0.7) r
	JOIN (SELECT h.stage, conversion(h.entered_at, h.left_at, NULL, '2025-05-01') AS c FROM lead_stage_history h
		WHERE h.superseded_at IS NULL AND h.lead <> 7 GROUP BY 1) c ON c.stage = r.stage, curve(c.c) u GROUP BY 1, 2, 3) x;
SELECT stage, median_low, median_high, a.confidence FROM (VALUES (0.5), (0.95)) a (confidence),
	stage_duration_report('f', as_of => '2025-05-01', confidence => a.confidence) r WHERE r.stage = 'mql';

-- ----------------------------------------------------------------
-- Velocity
-- ----------------------------------------------------------------

-- leads 2 and 3 were won after 28 and 60 days, lead 10 not in 75
SELECT * FROM velocity_report('f', 'value', as_of => '2025-05-01', within => '60 days') \gx
-- 2 of 3 within 60 days, 2000 each, in 44 days; by hand
SELECT round(3 * 2000 * 2 / 3.0 / 44, 10) = round(velocity, 10) AS same FROM velocity_report('f', 'value', as_of => '2025-05-01', within => '60 days');
-- within 30 days only lead 2 was won, for 1000; 80 days ago there was nobody else, and a year ago nobody
SELECT a.within, r.opportunities, r.eligible, r.won, r.win_rate, r.average_value, r.cycle_time, r.velocity
FROM unnest('{30 days,60 days,80 days,1 year}'::interval[]) a (within), velocity_report('f', 'value', as_of => '2025-05-01', within => a.within) r;
SELECT segment, opportunities, eligible, won, win_rate, average_value, cycle_time, velocity
FROM velocity_report('f', 'value', segment => 'channel', as_of => '2025-07-01');
SELECT opportunities, won, velocity FROM velocity_report('f', since => '2025-02-01', until => '2025-02-20', as_of => '2025-07-01');
SELECT opportunities, won, average_value, velocity FROM velocity_report('f', 'id', '2025-02-01 00:00:01', '2025-02-20 00:00:01', as_of => '2025-07-01');
-- by the pipeline's conversion_window, 90 days, as of now
SELECT eligible, won FROM velocity_report('f');

-- 40 opportunities, 10 of them won after 90 days for 25,000 each: 2,777.8 a day
CREATE TABLE deal (id bigint PRIMARY KEY, amount float8, what text, stage text, created_at timestamptz);
CREATE TABLE deed (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, deal_id bigint, type text, at timestamptz);
CREATE INDEX ON deed (deal_id);
SELECT attach('v', 'deal', 'deed', activity_lead => 'deal_id', template => 'empty', time_zone => 'UTC');
INSERT INTO stage (pipeline, stage, position, kind) VALUES ('v', 'opportunity', 5, 'opportunity'), ('v', 'signed', 6, 'won'), ('v', 'lost', 7, 'lost');
INSERT INTO gate (pipeline, stage, name, from_stages, activity_type) VALUES ('v', 'signed', 'sign', NULL, 'sign'), ('v', 'lost', 'lose', '{lead,opportunity}', 'lose');
SELECT publish('v', effective_from => '-infinity');
INSERT INTO deal SELECT i, 25000, 'text', 'opportunity', '2025-01-01' FROM generate_series(1, 40) i;
INSERT INTO deed (deal_id, type, at) SELECT i, CASE WHEN i <= 10 THEN 'sign' ELSE 'lose' END, timestamptz '2025-01-01' + interval '90 days' FROM generate_series(1, 30) i;
SELECT opportunities, eligible, won, win_rate, average_value, cycle_time, round(velocity, 1) AS velocity FROM velocity_report('v', 'amount', as_of => '2025-06-01');
-- a microsecond too early there is no rate; what is won after the window was not won in it; nothing won is no velocity
SELECT opportunities, eligible, won, velocity FROM velocity_report('v', 'amount', as_of => '2025-03-31 23:59:59.999999');
SELECT opportunities, eligible, won, win_rate, cycle_time, velocity FROM velocity_report('v', 'amount', within => '89 days 23:59:59.999999', as_of => '2025-06-01');
-- nobody knows what it is worth; won at once
UPDATE deal SET amount = NULL;
SELECT won, average_value, cycle_time, velocity FROM velocity_report('v', 'amount', as_of => '2025-06-01');
UPDATE deed SET at = '2025-01-01';
SELECT won, cycle_time, velocity FROM velocity_report('v', as_of => '2025-06-01');

-- ----------------------------------------------------------------
-- Sources
-- ----------------------------------------------------------------

-- web: leads 2, 3 and 9; fair: 4, 5 and 6; not 1, which did not begin, nor 10, which began further on.
-- Lead 4 skips mql
SELECT * FROM source_report('f', segment => 'channel', as_of => '2025-07-01') \gx
-- all together; before the order of lead 3, and with other times for each step
SELECT leads, mql, sql, customers, mql_rate, sql_rate, customer_rate, last_touch -> 'customer' AS customer FROM source_report('f', as_of => '2025-04-20');
SELECT leads, mql, sql, customers, mql_rate, sql_rate, customer_rate, last_touch -> 'customer' AS customer
FROM source_report('f', within => '60 days', as_of => '2025-07-01');
SELECT leads, mql_rate FROM source_report('f', within => '1 year', as_of => '2025-07-01');
SELECT leads, mql FROM source_report('f', since => '2025-01-05', until => '2025-01-08', as_of => '2025-07-01');
-- per cycle lead 5 is lost when it is rejected
SELECT p.per, r.leads, r.mql, r.sql, r.mql_rate, r.sql_rate FROM unnest('{lead,cycle,first}'::text[]) p (per), source_report('f', per => p.per, as_of => '2025-07-01') r;
-- rates are those of conversion of the journeys, with Wilson's interval
SELECT bool_and((r.sql_rate, r.sql_low, r.sql_high) = (rate_within(c, '90 days'), w.low, w.high)) AS same, count(*)
FROM source_report('f', per => 'first', as_of => '2025-07-01') r,
	(SELECT conversion(j.entered_at, j.converted_at, j.lost_at, '2025-07-01') AS c, count(j.entered_at) AS n
		FROM journeys('f', per => 'first', as_of => '2025-07-01') j WHERE j.lead <> '1') j,
	wilson_interval(converted(j.c), j.n) w;
SELECT bool_and(r.mql_low > s.mql_low AND r.mql_high < s.mql_high) AS narrower
FROM source_report('f', as_of => '2025-07-01', confidence => 0.5) r, source_report('f', as_of => '2025-07-01') s;

-- activities of one instant: those of the first source first, and of one source by their keys, numbers as numbers
CREATE TABLE person (id uuid PRIMARY KEY, created_at timestamptz);
CREATE TABLE click (id bigint PRIMARY KEY, person_id text, type text, at timestamp);
CREATE TABLE call (id text PRIMARY KEY, person uuid, type text, at timestamptz);
CREATE INDEX ON click (person_id); CREATE INDEX ON call (person);
SELECT attach('u', 'person', 'click', activity_lead => 'person_id', template => 'empty', time_zone => 'Asia/Tokyo');
SELECT add_source('u', 'call', activity_lead => 'person');
INSERT INTO stage (pipeline, stage, position, kind) VALUES ('u', 'sql', 4, 'sql'), ('u', 'customer', 6, 'won');
INSERT INTO gate (pipeline, stage, name, activity_type) VALUES ('u', 'mql', 'm', 'm'), ('u', 'sql', 's', 's');
SELECT publish('u', effective_from => '-infinity');
INSERT INTO person SELECT format('aaaaaaaa-0000-0000-0000-00000000000%s', i)::uuid, '2025-01-01' FROM generate_series(1, 4) i;
INSERT INTO click VALUES
	-- lead 1: 10:00 in Tokyo is 01:00; the MQL is of 02:00, the click after it of 02:30
	(1, 'aaaaaaaa-0000-0000-0000-000000000001', 'read', '2025-01-05 10:00'), (2, 'AAAAAAAA-0000-0000-0000-000000000001', 'see', '2025-01-05 11:30'),
	-- lead 4: capitals
	(3, 'AAAAAAAA-0000-0000-0000-000000000004', 'caps', '2025-01-05 10:00'),
	-- lead 2: key 9 is before key 10; "Aa" is no spelling
	(9, 'aaaaaaaa-0000-0000-0000-000000000002', 'nine', '2025-01-05 11:00'), (10, 'aaaaaaaa-0000-0000-0000-000000000002', 'ten', '2025-01-05 11:00'),
	(11, 'Aaaaaaaa-0000-0000-0000-000000000002', 'never', '2025-01-05 08:00'),
	-- lead 3: an activity without a type
	(12, 'aaaaaaaa-0000-0000-0000-000000000003', NULL, '2025-01-05 09:00');
INSERT INTO call SELECT 'c' || i, format('aaaaaaaa-0000-0000-0000-00000000000%s', i)::uuid, 'm', '2025-01-05 02:00' FROM generate_series(1, 4) i;
SELECT leads, mql, first_touch, last_touch FROM source_report('u', as_of => '2025-07-01');
UPDATE call SET id = 'b', type = 's' WHERE id = 'c3';
INSERT INTO call VALUES ('c', 'aaaaaaaa-0000-0000-0000-000000000003', 'm', '2025-01-05 02:00');
SELECT leads, mql, sql, first_touch, last_touch FROM source_report('u', as_of => '2025-07-01');
-- a source that is gone has no activities; the rest stays
ALTER TABLE click RENAME at TO happened;
SELECT first_touch FROM source_report('u', as_of => '2025-07-01');
DROP TABLE click, call;
SELECT first_touch FROM source_report('u', as_of => '2025-07-01');

-- ----------------------------------------------------------------
-- Rejections
-- ----------------------------------------------------------------

-- lead 4 was in sql for 14 days; lead 5 in mql for 10, came back and is given back again, from sql, after 5; lead 7 is excluded
SELECT * FROM reject_report('f', as_of => '2025-07-01') \gx
SELECT period, reason, cause, moves, share, share_low, share_high, returned FROM reject_report('f', bucket => 'month', as_of => '2025-07-01');
SELECT segment, reason, cause, moves, share FROM reject_report('f', segment => 'channel', as_of => '2025-07-01');
-- it came back on 10 March
SELECT a.as_of, r.reason, r.cause, r.moves, r.returned
FROM unnest('{2025-03-09,2025-03-10}'::timestamptz[]) a (as_of), reject_report('f', as_of => a.as_of) r WHERE r.cause = 'reject';
SELECT cause FROM reject_report('f', since => '2025-01-19', until => '2025-02-03', as_of => '2025-07-01');
SELECT cause FROM reject_report('f', since => '2025-01-19 00:00:01', until => '2025-02-03 00:00:01', as_of => '2025-07-01');
-- a reason that is no more has no label; times of unknown beginning have no median; a lead that was deleted still counts
SELECT disqualify('f', 1, 'wrong_size');
DELETE FROM reason WHERE pipeline = 'f' AND code = 'wrong_size';
UPDATE reason SET label = 'no money' WHERE pipeline = 'f' AND code = 'no_budget';
SELECT publish('f');
DELETE FROM lead WHERE id = 4;
SELECT reason, label, cause, from_stage, moves, leads, median_time FROM reject_report('f');
-- lead 1 was an MQL from the beginning, and is none now: five have come and six have gone
SELECT sum(entered) AS entered, sum(left_forward) AS forward, sum(left_lost) AS lost, sum(left_aside) AS aside,
	(array_agg(in_stage ORDER BY period))[1] AS first, (array_agg(in_stage ORDER BY period DESC))[1] AS last
FROM flow_report('f', bucket => 'year') WHERE stage = 'mql';

-- ----------------------------------------------------------------
-- Periods are of the pipeline's time zone, whatever the session's
-- ----------------------------------------------------------------

CREATE TABLE zlead (id int PRIMARY KEY, created_at timestamptz);
CREATE TABLE zact (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, lead_id int, type text, at timestamptz);
CREATE INDEX ON zact (lead_id);
SELECT attach('z', 'zlead', 'zact', template => 'empty', time_zone => 'Europe/Berlin');
SELECT publish('z', effective_from => '-infinity');
-- the day on which clocks go forward: 23 hours, from 23:00 of the day before to 22:00
INSERT INTO zlead VALUES (1, '2025-03-29 22:59:59.999999+00'), (2, '2025-03-29 23:00+00'), (3, '2025-03-30 21:59:59.999999+00'), (4, '2025-03-30 22:00+00');
SELECT period, entered, in_stage FROM flow_report('z', bucket => 'day', as_of => '2025-05-01') WHERE stage = 'lead';
SET timezone = 'America/New_York';
SELECT period, entered, in_stage FROM flow_report('z', bucket => 'day', as_of => '2025-05-01') WHERE stage = 'lead';
SELECT period AT TIME ZONE 'Europe/Berlin' AS period, entered FROM flow_report('z', bucket => 'week', as_of => '2025-05-01') WHERE stage = 'lead';
SET timezone = 'UTC';
-- a day without a midnight: at 00:00 it was 01:00 in Sao Paulo
CREATE TABLE slead (id int PRIMARY KEY, created_at timestamptz);
CREATE TABLE sact (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, lead_id int, type text, at timestamptz);
CREATE INDEX ON sact (lead_id);
SELECT attach('s', 'slead', 'sact', template => 'empty', time_zone => 'America/Sao_Paulo');
SELECT publish('s', effective_from => '-infinity');
INSERT INTO slead VALUES (1, '2018-11-04 03:00+00'), (2, '2018-11-06 12:00+00');
SELECT period, entered, in_stage FROM flow_report('s', bucket => 'day', as_of => '2019-01-01') WHERE stage = 'lead';

-- ----------------------------------------------------------------
-- Errors
-- ----------------------------------------------------------------

SELECT * FROM flow_report(NULL);
SELECT * FROM stage_duration_report('nothing');
SELECT * FROM flow_report('f', bucket => 'hour');
SELECT * FROM flow_report('f', bucket => NULL);
SELECT * FROM flow_report('f', segment => 'nothing');
SELECT * FROM stage_duration_report('f', segment => 'nothing');
SELECT * FROM stage_duration_report('f', confidence => 1);
SELECT * FROM stage_duration_report('f', as_of => 'infinity');
SELECT * FROM velocity_report('f', 'nothing');
SELECT * FROM velocity_report('f', 'email');
SELECT * FROM velocity_report('f', per => 'nothing');
SELECT * FROM velocity_report('f', within => '-1 day');
SELECT * FROM velocity_report('z');
SELECT * FROM source_report('f', segment => 'nothing');
SELECT * FROM source_report('f', per => 'nothing');
SELECT * FROM source_report('z');
SELECT * FROM reject_report('f', bucket => 'hour');
SELECT * FROM reject_report('f', confidence => 2);

-- ----------------------------------------------------------------
-- Rights: the side tables, and only what is asked for of the others
-- ----------------------------------------------------------------

CREATE ROLE reports_stages_reader;
GRANT USAGE ON SCHEMA reports_stages TO reports_stages_reader;
GRANT SELECT ON lead_stage_history, lead_qualification, lead_attributes TO reports_stages_reader;
GRANT SELECT (id) ON lead TO reports_stages_reader;
SET ROLE reports_stages_reader;
SELECT count(*) > 0 AS readable FROM flow_report('f');
SELECT count(*) > 0 AS stages FROM stage_duration_report('f');
SELECT count(*) > 0 AS rejections FROM reject_report('f');
SELECT count(*) > 0 AS velocity FROM velocity_report('f');
SELECT count(*) FROM stage_duration_report('f', segment => 'channel');
RESET ROLE;
GRANT SELECT ON lead TO reports_stages_reader;
SET ROLE reports_stages_reader;
SELECT count(*) > 0 AS flows FROM flow_report('f', segment => 'channel');
SELECT count(*) > 0 AS stages FROM stage_duration_report('f', segment => 'channel');
SELECT count(*) > 0 AS velocity FROM velocity_report('f', 'value');
SELECT count(*) > 0 AS rejections FROM reject_report('f');
SELECT count(*) FROM source_report('f');
RESET ROLE;
GRANT SELECT ON act, visit TO reports_stages_reader;
SET ROLE reports_stages_reader;
SELECT count(*) FROM source_report('f');
RESET ROLE;

--
-- Moves of one instant have an order that a replay does not change
--
CREATE TABLE tie_lead (id int PRIMARY KEY, created_at timestamptz DEFAULT '2025-01-01');
CREATE TABLE tie_act (id int PRIMARY KEY, lead_id int, type text, at timestamptz);
CREATE INDEX ON tie_act (lead_id);
SELECT attach('tie', 'tie_lead', 'tie_act', template => 'empty', time_zone => 'UTC');
INSERT INTO stage (pipeline, stage, position, kind) VALUES ('tie', 'disqualified', 3, 'disqualified');
INSERT INTO rule (pipeline, name, activity_type, points) VALUES ('tie', 'page', 'page', 1);
INSERT INTO gate (pipeline, stage, name, activity_type) VALUES ('tie', 'mql', 'ask', 'ask');
SELECT publish('tie', effective_from => '-infinity');
INSERT INTO tie_lead VALUES (1);
INSERT INTO tie_act VALUES (1, 1, 'ask', '2025-02-01');
SELECT disqualify('tie', 1, 'no_budget', at => '2025-02-01');
CREATE TABLE tie AS SELECT to_jsonb(f) AS r FROM flow_report('tie') AS f UNION ALL SELECT to_jsonb(r) FROM reject_report('tie') AS r;
INSERT INTO tie_act VALUES (2, 1, 'page', '2025-01-15');
SELECT stage, entered_at, left_at FROM tie_lead_stage_history WHERE superseded_at IS NULL AND stage <> 'lead' ORDER BY id;
SELECT count(*) FROM (TABLE tie EXCEPT (SELECT to_jsonb(f) FROM flow_report('tie') AS f UNION ALL SELECT to_jsonb(r) FROM reject_report('tie') AS r)) AS x;
SET client_min_messages = error;
SELECT detach('tie', keep_data => false);
SET client_min_messages = warning;

--
-- What the owner of a pipeline has written runs with his rights, whoever asks
--
CREATE ROLE reports_stages_owner;
CREATE SCHEMA his AUTHORIZATION reports_stages_owner;
SET ROLE reports_stages_owner;
SET search_path = his, lead_qualify;
CREATE FUNCTION mine(text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
	IF current_user <> 'reports_stages_owner' THEN
		RAISE WARNING 'runs as %', current_user;
	END IF;
	RETURN $1 = 'b';
END $$;
CREATE TYPE kind AS ENUM ('ask', 'demo');
CREATE FUNCTION as_text(kind) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT CASE WHEN his.mine('b') THEN 'cast' END $$;
CREATE FUNCTION as_json(kind) RETURNS json LANGUAGE sql IMMUTABLE AS $$ SELECT CASE WHEN his.mine('b') THEN '"cast"'::json END $$;
CREATE TABLE lead (id int PRIMARY KEY, k kind, created_at timestamptz DEFAULT '2025-01-01');
CREATE TABLE act (id int PRIMARY KEY, lead_id int, type kind, at timestamptz, n text);
CREATE INDEX ON act (lead_id);
SELECT attach('his', 'lead', 'act', template => 'empty', time_zone => 'Asia/Tokyo', filter => 'mine(n) AND extract(hour from at) >= 9');
INSERT INTO stage (pipeline, stage, position, kind) VALUES ('his', 'sql', 3, 'sql'), ('his', 'won', 4, 'won');
INSERT INTO gate (pipeline, stage, name, activity_type) VALUES ('his', 'mql', 'ask', 'ask');
SELECT publish('his', effective_from => '-infinity');
INSERT INTO lead VALUES (1, 'ask');
-- noon in Tokyo
INSERT INTO act VALUES (1, 1, 'ask', '2025-01-02 03:00+00', 'b'), (2, 1, 'demo', '2025-01-01 03:00+00', 'a');
CREATE CAST (kind AS text) WITH FUNCTION as_text(kind);
CREATE CAST (kind AS json) WITH FUNCTION as_json(kind);
RESET ROLE;
SELECT segment, leads, mql, last_touch -> 'mql' AS mql_touch FROM source_report('his', segment => 'k', as_of => '2025-07-01');
SELECT segment, entered FROM conversion_report('his', segment => 'k', as_of => '2025-07-01');
-- a view in the place of a table
ALTER TABLE his.lead_stage_history RENAME TO mine;
CREATE VIEW his.lead_stage_history AS SELECT * FROM his.mine WHERE his.mine('b');
SELECT count(*) FROM funnel_report('his');
DROP VIEW his.lead_stage_history;
ALTER TABLE his.mine RENAME TO lead_stage_history;
SET search_path = reports_stages, lead_qualify;

SET client_min_messages = error;
SELECT detach('his', keep_data => false);
DROP SCHEMA his CASCADE;
DROP ROLE reports_stages_owner;
DROP SCHEMA reports_stages CASCADE;
DROP OWNED BY reports_stages_reader;
DROP ROLE reports_stages_reader;
SELECT detach(p, keep_data => false) FROM unnest('{f,v,u,z,s}'::text[]) p;
