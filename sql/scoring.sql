--
-- What a score means: decays, caps, counts, bounds, weights, on real tables.
-- The expected numbers are worked out by hand in the comments.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lead_qualify;
CREATE SCHEMA scoring;
SET search_path = scoring;
SET timezone = 'UTC';
SET datestyle = ISO;
\set VERBOSITY terse

CREATE TABLE leads (id int PRIMARY KEY, email text, employees int, created_at timestamptz);
CREATE TABLE activities (
	id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, lead_id int, type text,
	happened_at timestamptz, amount int, mail text);
CREATE INDEX ON activities (lead_id);
SELECT lead_qualify.attach('s', 'leads', 'activities', template => 'empty', time_zone => 'Europe/Sofia');
DELETE FROM lead_qualify.stage WHERE pipeline = 's';
INSERT INTO lead_qualify.stage (pipeline, stage, position, kind) VALUES
	('s', 'lead', 1, 'lead'), ('s', 'mql', 2, 'mql'), ('s', 'sql', 3, 'sql'), ('s', 'lost', 9, 'lost');
INSERT INTO lead_qualify.dimension (pipeline, dimension, minimum, maximum, weight) VALUES
	('s', 'fit', 0, 20, 2), ('s', 'interest', -10, NULL, 0.5), ('s', 'total', NULL, 150, 1);
INSERT INTO lead_qualify.rule (pipeline, name, dimension, activity_type, points, decay, period, at_most, per, per_value, at_least, within, max_points, condition) VALUES
	('s', 'none',        'engagement', 'none',        10, 'none',        NULL,      NULL, NULL,    NULL,   NULL, NULL,     NULL, NULL),
	('s', 'exponential', 'engagement', 'exponential', 10, 'exponential', '30 days', NULL, NULL,    NULL,   NULL, NULL,     NULL, NULL),
	('s', 'linear',      'engagement', 'linear',      10, 'linear',      '60 days', NULL, NULL,    NULL,   NULL, NULL,     NULL, NULL),
	('s', 'window',      'engagement', 'window',      10, 'window',      '30 days', NULL, NULL,    NULL,   NULL, NULL,     NULL, NULL),
	('s', 'whitepaper',  'engagement', 'whitepaper',  10, 'none',        NULL,      NULL, NULL,    NULL,   NULL, NULL,     NULL, NULL),
	('s', 'newsletter',  'engagement', 'newsletter',   5, 'none',        NULL,      NULL, NULL,    NULL,   NULL, NULL,     NULL, NULL),
	('s', 'webinar',     'engagement', 'webinar',     20, 'none',        NULL,      NULL, NULL,    NULL,   NULL, NULL,     NULL, NULL),
	('s', 'daily',       'engagement', 'view',         1, 'none',        NULL,      2,    'day',   NULL,   NULL, NULL,     3,    NULL),
	('s', 'mail',        'engagement', 'mail',         4, 'none',        NULL,      1,    NULL,    'mail', NULL, NULL,     NULL, NULL),
	('s', 'burst',       'engagement', 'visit',        7, 'none',        NULL,      NULL, NULL,    NULL,   3,    '1 hour', NULL, NULL),
	('s', 'complaint',   'interest',   'complaint',   -8, 'exponential', '10 days', NULL, NULL,    NULL,   NULL, NULL,     NULL, NULL),
	('s', 'big',         'interest',   'order',       30, 'none',        NULL,      NULL, NULL,    NULL,   NULL, NULL,     NULL, 'amount >= 100');
INSERT INTO lead_qualify.rule (pipeline, name, dimension, applies_to, condition, points) VALUES
	('s', 'size', 'fit', 'lead', 'employees >= 50', 15), ('s', 'huge', 'fit', 'lead', 'employees >= 5000', 15);
INSERT INTO lead_qualify.band (pipeline, dimension, label, minimum) VALUES
	('s', 'fit', 'A', 20), ('s', 'fit', 'B+', 15), ('s', 'fit', 'D', 0), ('s', 'engagement', '1', 50), ('s', 'engagement', '2', 0);
INSERT INTO lead_qualify.gate (pipeline, stage, name, min_engagement, min_grade) VALUES
	('s', 'mql', 'score', 35, NULL), ('s', 'sql', 'grade', NULL, 'A');
INSERT INTO lead_qualify.exclusion (pipeline, name, condition, scored) VALUES
	('s', 'staff', 'in_list(''own'', split_part(email, ''@'', 2))', false),
	('s', 'competitor', 'in_list(''competitors'', split_part(email, ''@'', 2))', true);
INSERT INTO lead_qualify.list VALUES ('s', 'own', 'Our.Example'), ('s', 'competitors', 'rival.example');
SELECT lead_qualify.publish('s', effective_from => '-infinity');

-- decays: 10 points, P = 30 days (linear 60), after 0, 15, 30, 60, 90 days:
-- exponential 10, 7.0711, 5, 2.5, 1.25; linear 10, 7.5, 5, 0, 0; window 10, 10, 0, 0, 0
INSERT INTO leads SELECT g, 'a@b.example', 10, '2026-01-01' FROM generate_series(1, 4) g;
INSERT INTO activities (lead_id, type, happened_at) VALUES
	(1, 'none', '2026-01-10'), (2, 'exponential', '2026-01-10'), (3, 'linear', '2026-01-10'), (4, 'window', '2026-01-10');
SELECT l.id, d.days, round(s.points::numeric, 4) AS score_at, round(lead_qualify.points(q.score, 'engagement', t.at)::numeric, 4) AS points
FROM leads l JOIN leads_qualification q ON q.lead = l.id,
	unnest(ARRAY[0, 15, 30, 60, 90]) AS d (days), LATERAL (SELECT '2026-01-10'::timestamptz + d.days * interval '1 day') AS t (at),
	LATERAL lead_qualify.score_at('s', l.id, t.at) s
WHERE s.dimension = 'engagement' ORDER BY 1, 2;
-- before its own time an activity is worth nothing
SELECT * FROM lead_qualify.score_at('s', 1, '2026-01-09');

-- whitepaper 10 + newsletter 5 + webinar 20 = 35: the threshold itself is enough
INSERT INTO leads VALUES (10, 'a@b.example', 10, '2026-01-01');
INSERT INTO activities (lead_id, type, happened_at) VALUES (10, 'whitepaper', '2026-01-02'), (10, 'newsletter', '2026-01-03');
SELECT id, stage FROM leads WHERE id = 10;
INSERT INTO activities (lead_id, type, happened_at) VALUES (10, 'webinar', '2026-01-04');
SELECT id, stage, stage_changed_at FROM leads WHERE id = 10;
SELECT total_at_event, engagement_at_event FROM leads_qualification WHERE lead = 10;

-- at_most 2 a day of Sofia (UTC+2): 21:30 and 21:50 UTC fall on the 5th there, 22:10 on the 6th;
-- 3 views on the 5th count 2, 1 on the 6th counts, and max_points 3 holds what comes on the 7th
INSERT INTO leads VALUES (11, 'a@b.example', 10, '2026-01-01');
INSERT INTO activities (lead_id, type, happened_at) VALUES
	(11, 'view', '2026-01-05 21:30'), (11, 'view', '2026-01-05 21:40'), (11, 'view', '2026-01-05 21:50'),
	(11, 'view', '2026-01-05 22:10'), (11, 'view', '2026-01-07 12:00');
SELECT dimension, rule, occurred_at, points, counted, worth, note FROM lead_qualify.explain('s', 11, '2026-02-01');

-- once a mail, whatever the mail is; no mail is one value too: 4 + 4 + 4
INSERT INTO leads VALUES (12, 'a@b.example', 10, '2026-01-01');
INSERT INTO activities (lead_id, type, happened_at, mail) VALUES
	(12, 'mail', '2026-01-05', 'x'), (12, 'mail', '2026-02-05', 'x'), (12, 'mail', '2026-01-06', 'y'),
	(12, 'mail', '2026-01-07', NULL), (12, 'mail', '2026-01-08', NULL);
SELECT occurred_at, counted, worth, note FROM lead_qualify.explain('s', 12, '2026-03-01');

-- 3 visits within an hour, ends included: 10:00, 10:30, 11:00 score; then 3 new ones are needed
INSERT INTO leads VALUES (13, 'a@b.example', 10, '2026-01-01');
INSERT INTO activities (lead_id, type, happened_at) VALUES
	(13, 'visit', '2026-01-05 10:00'), (13, 'visit', '2026-01-05 10:30'), (13, 'visit', '2026-01-05 11:00'),
	(13, 'visit', '2026-01-05 11:01'), (13, 'visit', '2026-01-05 11:02'), (13, 'visit', '2026-01-05 12:01:00.000001'), (13, 'visit', '2026-01-05 12:02');
SELECT occurred_at, counted, worth, note FROM lead_qualify.explain('s', 13, '2026-03-01');

-- bounds and weights: two complaints are -8 - 8 * 2^-1 = -12, held to -10, half of which counts; fit 15 counts twice:
-- total = 2 * 15 + 0.5 * -10 = 25
INSERT INTO leads VALUES (14, 'a@b.example', 60, '2026-01-01');
INSERT INTO activities (lead_id, type, happened_at) VALUES (14, 'complaint', '2026-01-01'), (14, 'complaint', '2026-01-11');
SELECT * FROM lead_qualify.score_at('s', 14, '2026-01-11');
SELECT dimension, rule, points, worth, note FROM lead_qualify.explain('s', 14, '2026-01-11');
-- a condition on the activity; the total is held to 150: 10 orders are 300, half of it 150, plus 30
INSERT INTO activities (lead_id, type, happened_at, amount) SELECT 14, 'order', '2026-01-12', a FROM unnest(ARRAY[99, NULL]) a;
INSERT INTO activities (lead_id, type, happened_at, amount) SELECT 14, 'order', '2026-01-12', 100 FROM generate_series(1, 11);
SELECT dimension, round(points::numeric, 6) AS points FROM lead_qualify.score_at('s', 14, '2026-01-12');
SELECT sum(worth) FROM lead_qualify.explain('s', 14, '2026-01-12');

-- facts about the lead as they were known: employees change, fit 15 -> 20 (held), grade B+ -> A opens sql
SELECT lead, fit_at_event, grade, stage FROM leads_qualification WHERE lead = 14;
UPDATE leads SET employees = 9000 WHERE id = 14;
SELECT lead, fit_at_event, grade, stage FROM leads_qualification WHERE lead = 14;
SELECT cause, gate, fit FROM leads_stage_history WHERE lead = 14 ORDER BY id;
SELECT dimension, points FROM lead_qualify.score_at('s', 14, '2026-01-11') WHERE dimension = 'fit';
SELECT lead, grade, label FROM leads_scored WHERE lead IN (10, 14) ORDER BY 1;

-- exclusions: a competitor is scored but moves nowhere; staff earn nothing; the case of the list does not matter
INSERT INTO leads VALUES (15, 'eve@RIVAL.example', 60, '2026-01-01'), (16, 'me@our.example', 60, '2026-01-01');
INSERT INTO activities (lead_id, type, happened_at) SELECT l, 'webinar', '2026-01-05' FROM unnest(ARRAY[15, 15, 16, 16]) l;
SELECT lead, stage, engagement_at_event, fit_at_event FROM leads_qualification WHERE lead IN (15, 16) ORDER BY 1;
SELECT * FROM lead_qualify.explain_stage('s', 15, '2026-01-06');
SELECT rule, counted, worth, note FROM lead_qualify.explain('s', 16, '2026-01-06');
-- no longer one of the staff: what comes now counts
UPDATE leads SET email = 'me@b.example' WHERE id = 16;
INSERT INTO activities (lead_id, type, happened_at) VALUES (16, 'webinar', clock_timestamp());
SELECT lead, stage, engagement_at_event, fit_at_event FROM leads_qualification WHERE lead = 16;

-- won and lost end automatic moves
UPDATE leads SET stage = 'lost' WHERE id = 13;
INSERT INTO activities (lead_id, type, happened_at) SELECT 13, 'webinar', clock_timestamp() FROM generate_series(1, 3);
SELECT id, stage FROM leads WHERE id = 13;

SELECT * FROM lead_qualify.verify('s');
-- contributions add up for all, now and then
SELECT l.id, t.at FROM leads l, unnest('{2026-01-05 11:00,2026-01-20,2026-06-01}'::timestamptz[]) AS t (at)
WHERE abs((SELECT sum(worth) FROM lead_qualify.explain('s', l.id, t.at)) -
	(SELECT points FROM lead_qualify.score_at('s', l.id, t.at) WHERE dimension = 'total')) > 1e-9;

-- bad questions
SELECT * FROM lead_qualify.score_at('nothing', 1);
SELECT * FROM lead_qualify.score_at('s', 999);
SELECT * FROM lead_qualify.score_at('s', 'x');
SELECT * FROM lead_qualify.explain('s', 1, 'infinity');
SELECT lead_qualify.points(score, 'size', '2027-01-01') FROM leads_qualification WHERE lead = 1;
SELECT lead_qualify.recompute('s', '{1,999}');
SELECT lead_qualify.times('daily'), lead_qualify.in_list('own', 'x');

SELECT lead_qualify.detach('s', keep_data => false);
DROP SCHEMA scoring CASCADE;
