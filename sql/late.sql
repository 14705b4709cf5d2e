-- Activities that come in any order, one by one, come to the same as in order:
-- under caps, limits and gates that are within reach, of leads at rest and on
-- the move.

SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lead_qualify;
SET timezone = 'UTC';
CREATE SCHEMA late;
SET search_path = late;
CREATE TABLE lead (id int PRIMARY KEY, size int, created_at timestamptz NOT NULL);
CREATE TABLE activity (id int PRIMARY KEY, lead_id int, type text, at timestamptz, campaign int);
CREATE INDEX ON activity (lead_id);
SELECT FROM lead_qualify.attach('late', 'lead', 'activity', template => 'empty', time_zone => 'Europe/Berlin');
INSERT INTO lead_qualify.dimension (pipeline, dimension, minimum, maximum) VALUES ('late', 'fit', NULL, NULL), ('late', 'heat', 0, 20);
INSERT INTO lead_qualify.rule (pipeline, name, dimension, activity_type, points, decay, period, at_most, per, per_value, max_points) VALUES
	('late', 'page', 'engagement', 'page', 1, 'exponential', '14 days', 2, 'day', NULL, NULL),
	('late', 'click', 'engagement', 'click', 2, 'exponential', '30 days', 1, 'week', 'campaign', NULL),
	('late', 'form', 'engagement', 'form', 5, 'exponential', '30 days', NULL, NULL, NULL, 12),
	('late', 'ever', 'heat', 'click', 3, 'none', NULL, 3, NULL, 'campaign', NULL),
	('late', 'visit', 'heat', 'page', 1, 'linear', '10 days', 3, 'day', NULL, NULL),
	('late', 'read', 'heat', 'read', 1, 'linear', '10 days', 3, 'day', NULL, NULL),
	('late', 'bounce', 'engagement', 'bounce', -2, 'none', NULL, NULL, NULL, NULL, NULL),
	('late', 'demo', 'engagement', 'demo', 3, 'none', NULL, NULL, NULL, NULL, NULL);
INSERT INTO lead_qualify.rule (pipeline, name, dimension, applies_to, condition, points) VALUES ('late', 'big', 'fit', 'lead', 'size > 1', 10);
INSERT INTO lead_qualify.stage (pipeline, stage, position, kind) VALUES ('late', 'sal', 3, 'sal'), ('late', 'sql', 4, 'sql'), ('late', 'opportunity', 5, 'opportunity');
INSERT INTO lead_qualify.gate (pipeline, stage, name, min_engagement, min_fit, condition, keep_engagement, fallback_stage) VALUES
	('late', 'mql', 'score', 10, NULL, NULL, 4, 'lead'),
	('late', 'sql', 'asked', NULL, 10, 'times(''demo'') > 1', NULL, NULL),
	('late', 'sql', 'hot', 24, 10, NULL, NULL, NULL);
-- what counts for these while the lead cannot come through them counts once it can
INSERT INTO lead_qualify.gate (pipeline, stage, name, from_stages, condition) VALUES
	('late', 'sal', 'readers', '{mql}', 'times(''read'') > 2'),
	('late', 'opportunity', 'readers', '{sal}', 'times(''read'', ''2 days'') > 1 AND times(''page'', ''5 days'') > 1');
SELECT FROM lead_qualify.publish('late', effective_from => '-infinity');
INSERT INTO lead SELECT i, i % 3, '2024-01-01' FROM generate_series(1, 40) i;

-- in the order of time, but each row up to some days late; the types of a lead's rows differ from lead to lead
CREATE FUNCTION draw(i int, seed int) RETURNS float8 LANGUAGE sql IMMUTABLE AS $$ SELECT (hashint8extended(i, seed) & 65535) / 65536.0 $$;
-- looked at after every tenth, because a later replay would mend what was wrong
CREATE TABLE differs (after int, lead text, item text, stored text, replayed text);
-- a transaction each: in one of its own, a late row is always replayed
\set ECHO none
SELECT format('INSERT INTO activity VALUES (%s, %s, %L, %L, %s)', i, 1 + i % 40, CASE
	WHEN draw(i, 1) < 0.02 THEN 'bounce' WHEN draw(i, 1) < 0.03 THEN 'demo' WHEN draw(i, 1) < 0.15 THEN 'read'
	ELSE (ARRAY['page', 'click', 'form'])[1 + floor(draw(i, 2) * (1 + i % 3))::int] END,
	timestamptz '2024-02-01' + i * interval '1 hour' - draw(i, 3) ^ (1 + i % 4) * interval '200 hours', floor(draw(i, 4) * 2)),
	CASE WHEN i % 10 = 0 THEN format('INSERT INTO differs SELECT %s, v.* FROM lead_qualify.verify(%L) v', i, 'late') END
FROM generate_series(1, 1500) i \gexec
\set ECHO all
SELECT stage, count(*) FROM lead_qualification GROUP BY 1 ORDER BY 1;
TABLE differs;

-- Around the moment when a cap is full: 2 pages a day count for engagement, 3 pages and 3 reads for heat.  On time come two, at
-- 10:00 and 15:00, and a form at 23:00; the late ones of 41 are after the second, of 42 between them, of 43 before, of 44 and 45 all over the day
INSERT INTO lead SELECT i, 0, '2024-01-01' FROM generate_series(41, 45) i;
INSERT INTO activity SELECT 10000 + 10 * i + h, i, CASE WHEN i < 45 THEN 'page' ELSE 'read' END, timestamptz '2024-03-01 10:00+01' + h * interval '5 hours'
FROM generate_series(41, 45) i, generate_series(0, 1) h ORDER BY 2, 4;
INSERT INTO activity SELECT 10009 + 10 * i, i, 'form', '2024-03-01 23:00+01' FROM generate_series(41, 45) i;
\set ECHO none
SELECT format('INSERT INTO activity VALUES (%s, %s, %L, %L)', 20000 + n, lead, CASE WHEN lead < 45 THEN 'page' ELSE 'read' END, timestamptz '2024-03-01 00:00+01' + hour * interval '1 hour'),
	format('INSERT INTO differs SELECT %s, v.* FROM lead_qualify.verify(%L) v', 20000 + n, 'late')
FROM (VALUES (1, 41, 16), (2, 41, 17), (3, 41, 16.5), (4, 42, 12), (5, 42, 11), (6, 42, 13), (7, 43, 8), (8, 43, 12), (9, 43, 7),
	(10, 44, 8), (11, 44, 12), (12, 44, 14), (13, 44, 20), (14, 44, 10.5), (15, 44, 8.5),
	(16, 45, 8), (17, 45, 12), (18, 45, 16), (19, 45, 7)) v (n, lead, hour) ORDER BY n \gexec
\set ECHO all
SELECT lead, rule, (occurred_at AT TIME ZONE 'Europe/Berlin')::time AS counted FROM generate_series(41, 45) lead, lead_qualify.explain('late', lead, '2024-03-02') e
WHERE e.counted AND rule IN ('page', 'visit', 'read') ORDER BY rule, lead, occurred_at;
TABLE differs;

SELECT FROM lead_qualify.detach('late', keep_data => false);
DROP SCHEMA late CASCADE;
