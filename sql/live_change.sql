--
-- Facts change: activities are corrected, leads are changed, moved and go.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lead_qualify;
\set VERBOSITY terse
SET timezone = 'UTC';
CREATE SCHEMA live_change;
SET search_path = live_change;

CREATE TABLE lead (id int PRIMARY KEY, name text, employees int, created_at timestamptz);
CREATE TABLE activity (id int PRIMARY KEY, lead_id int, type text, at timestamptz, page text);
CREATE INDEX ON activity (lead_id);
SELECT lead_qualify.attach('change', 'lead', 'activity', template => 'empty');

-- page 4, at most 2 a day; demo 10; fit 15 from 50 employees; mql from 20, sql from 50
INSERT INTO lead_qualify.dimension (pipeline, dimension) VALUES ('change', 'fit');
INSERT INTO lead_qualify.rule (pipeline, name, dimension, applies_to, activity_type, condition, points, at_most, per) VALUES
	('change', 'page', 'engagement', 'activity', 'page', NULL, 4, 2, 'day'),
	('change', 'demo', 'engagement', 'activity', 'demo', NULL, 10, NULL, NULL),
	('change', 'big', 'fit', 'lead', NULL, 'employees >= 50', 15, NULL, NULL);
INSERT INTO lead_qualify.stage (pipeline, stage, position, kind) VALUES
	('change', 'sql', 3, 'sql'), ('change', 'won', 4, 'won'), ('change', 'lost', 9, 'lost');
INSERT INTO lead_qualify.gate (pipeline, stage, name, min_total) VALUES
	('change', 'mql', 'warm', 20), ('change', 'sql', 'hot', 50);
SELECT lead_qualify.publish('change', effective_from => '-infinity');

CREATE VIEW state AS
SELECT l.id, q.total_at_event AS total, q.engagement_at_event AS engagement, q.fit_at_event AS fit, l.stage,
	l.stage = q.stage AS agrees, q.mark IS NOT NULL AS marked
FROM lead l LEFT JOIN lead_qualification q ON q.lead = l.id;
-- times of now are not shown
CREATE VIEW path AS
SELECT lead, from_stage, stage, cause, gate, reason, moved_by, origin,
	CASE WHEN entered_at < '2024-12-31' THEN entered_at::text ELSE 'now' END AS entered_at,
	left_at IS NULL AS open, superseded_at IS NOT NULL AS superseded, id
FROM lead_stage_history;

INSERT INTO lead SELECT i, 'lead ' || i, 10, '2024-01-01' FROM generate_series(1, 9) i;
INSERT INTO activity
SELECT 10 * l + d, l, 'demo', timestamptz '2024-02-01' + d * interval '1 day'
FROM generate_series(1, 4) l, generate_series(1, 3) d;
SELECT * FROM state WHERE id <= 4 ORDER BY id;

--
-- Activities are corrected
--
-- 1: the third demo was a page: 24. 2: the second belongs to lead 5
UPDATE activity SET type = 'page' WHERE id = 13;
UPDATE activity SET lead_id = 5 WHERE id = 22;
-- 3: 20 were reached a day later
UPDATE activity SET at = at + interval '1 day' WHERE id IN (32, 33);
-- 4: one demo is left: back to lead
DELETE FROM activity WHERE id IN (41, 42);
SELECT * FROM state WHERE id <= 5 ORDER BY id;
SELECT lead, from_stage, stage, entered_at, open, superseded FROM path WHERE lead IN (3, 4) ORDER BY lead, id;
-- nothing that scores: nothing moves
UPDATE activity SET page = '/pricing';
UPDATE activity SET lead_id = NULL WHERE id = 43;
UPDATE activity SET lead_id = 999 WHERE id = 21;
SELECT id, total, stage FROM state WHERE id IN (2, 4) ORDER BY id;
SELECT count(*) FROM path;
SELECT * FROM lead_qualify.verify('change');

--
-- Late rows: without a cap they are added, with one the lead is computed anew
--
INSERT INTO activity VALUES (61, 6, 'demo', '2024-03-10'), (62, 6, 'page', '2024-03-10 08:00');
INSERT INTO activity VALUES (63, 6, 'demo', '2024-01-15');
-- 10 + 4 + 10; an mql with the page, not with the late demo
SELECT id, total, stage FROM state WHERE id = 6;
SELECT from_stage, stage, entered_at, superseded FROM path WHERE lead = 6 ORDER BY id;
-- three pages on one day: only the earliest two count, one from before the first
INSERT INTO activity VALUES (71, 7, 'page', '2024-03-10 12:00'), (72, 7, 'page', '2024-03-10 13:00');
INSERT INTO activity VALUES (73, 7, 'page', '2024-03-10 11:00'), (74, 7, 'page', '2024-03-09 11:00');
SELECT id, total FROM state WHERE id = 7;
SELECT activity_key, counted, worth FROM lead_qualify.explain('change', 7, '2024-03-11') WHERE rule = 'page' ORDER BY occurred_at;
-- so late that it comes before the lead was created
INSERT INTO activity VALUES (75, 7, 'demo', '2023-12-24');
SELECT stage, cause, entered_at, superseded FROM path WHERE lead = 7 ORDER BY id;
SELECT * FROM lead_qualify.verify('change');

--
-- Attributes
--
-- 15 of fit and 10 of a demo make lead 8 an mql; lead 7 was one, and of lead 9 nothing is read
INSERT INTO activity VALUES (82, 8, 'demo', '2024-03-01');
UPDATE lead SET employees = 60, name = upper(name) WHERE id IN (7, 8);
SELECT * FROM state WHERE id IN (7, 8) ORDER BY id;
SELECT lead, from_stage, stage, cause, gate, entered_at FROM path WHERE lead = 8 ORDER BY id;
-- a column that no rule reads, or the same value: no event
UPDATE lead SET name = 'x', employees = employees WHERE id IN (8, 9);
-- images: the first serves the time before, too
SELECT lead, values FROM lead_attributes WHERE lead IN (7, 8, 9) ORDER BY lead, changed_at;
-- fit goes, and the stage stays: time and loss do not lower it
UPDATE lead SET employees = NULL WHERE id = 7;
SELECT * FROM state WHERE id = 7;
-- the past is judged by what was known of it
INSERT INTO activity VALUES (76, 7, 'demo', '2024-03-01');
SELECT id, total, fit, stage FROM state WHERE id = 7;
SELECT dimension, points FROM lead_qualify.score_at('change', 7, '2024-06-01');
SELECT * FROM lead_qualify.verify('change');

--
-- Moves by hand
--
BEGIN;
SET LOCAL lead_qualify.reason = 'called us';
SET LOCAL lead_qualify.actor = 'ann';
SET LOCAL lead_qualify.origin = 'import';
UPDATE lead SET stage = 'sql' WHERE id IN (8, 9);
COMMIT;
-- back: what was earned before does not count again for mql and sql
UPDATE lead SET stage = 'lead' WHERE id IN (1, 8);
SELECT * FROM state WHERE id IN (1, 8, 9) ORDER BY id;
SELECT lead, from_stage, stage, cause, gate, reason, moved_by, origin, entered_at, open
FROM path WHERE lead IN (1, 8, 9) ORDER BY lead, id;
-- earlier ones do not undo the step back either, and no stage is made up
INSERT INTO activity VALUES (14, 1, 'demo', '2024-02-20');
UPDATE lead SET stage = 'nonsense' WHERE id = 1;
-- 10 + 10 + 4 + 10
SELECT * FROM state WHERE id = 1;
-- two new ones do: 2 x 10 since the step back
INSERT INTO activity SELECT 14 + i, 1, 'demo', clock_timestamp() FROM generate_series(1, 2) i;
SELECT * FROM state WHERE id = 1;
-- won ends all; lost as well. 2: 10 and 9 x 10, and 15 of fit
UPDATE lead SET stage = 'won' WHERE id = 1;
UPDATE lead SET stage = 'lost', employees = 100 WHERE id = 2;
INSERT INTO activity SELECT 200 + i, 2, 'demo', clock_timestamp() FROM generate_series(1, 9) i;
-- NULL is the beginning
UPDATE lead SET stage = NULL WHERE id = 9;
SELECT id, total, stage, agrees FROM state WHERE id IN (1, 2, 9) ORDER BY id;
SELECT * FROM lead_qualify.verify('change');
-- computing anew finds the same, and touches no row
CREATE TABLE before AS SELECT * FROM lead_stage_history;
SELECT lead_qualify.recompute('change');
SELECT count(*) FROM (TABLE before EXCEPT TABLE lead_stage_history) d;

--
-- Leads go, and change their key
--
UPDATE lead SET id = 1001 WHERE id = 1;
SELECT * FROM state WHERE id = 1001;
SELECT count(*) FROM lead_qualification WHERE lead = 1;
-- its activities follow
UPDATE activity SET lead_id = 1001 WHERE lead_id = 1;
SELECT * FROM state WHERE id = 1001;
-- a deleted lead leaves its history without its name
DELETE FROM lead WHERE id IN (3, 8);
SELECT (SELECT count(*) FROM lead_qualification WHERE lead IN (3, 8)) AS states,
	(SELECT count(*) FROM lead_attributes WHERE lead IN (3, 8)) AS images,
	(SELECT count(*) FROM lead_stage_history WHERE lead IN (3, 8)) AS named;
SELECT stage, reason, moved_by FROM path WHERE lead < 0 AND NOT superseded ORDER BY id;
SELECT count(DISTINCT lead) FROM lead_stage_history WHERE lead < 0;
INSERT INTO activity VALUES (81, 8, 'demo', '2024-02-01');
-- the key is free for another
INSERT INTO lead VALUES (8, 'another', 70, '2024-05-01');
SELECT * FROM state WHERE id = 8;
SELECT * FROM lead_qualify.verify('change');

--
-- Once a transaction, at its end
--
CREATE TABLE mail (id int PRIMARY KEY, lead_id int REFERENCES lead, at timestamptz);
CREATE INDEX ON mail (lead_id);
SELECT lead_qualify.add_source('change', 'mail', type_value => 'demo', fire => 'deferred');
SELECT id, total, stage FROM state WHERE id = 5;
BEGIN;
INSERT INTO mail VALUES (1, 5, '2024-02-05'), (2, 5, '2024-02-07');
SAVEPOINT a;
INSERT INTO mail VALUES (3, 5, '2024-02-06'), (4, 4, '2024-02-06');
ROLLBACK TO a;
SAVEPOINT b;
INSERT INTO mail VALUES (5, 4, '2024-02-06');
RELEASE b;
SELECT id, total, stage FROM state WHERE id IN (4, 5) ORDER BY id;
COMMIT;
-- 5: 10 + 10 + 10. 4: 10
SELECT id, total, stage FROM state WHERE id IN (4, 5) ORDER BY id;
BEGIN;
INSERT INTO mail VALUES (6, 4, '2024-02-08');
INSERT INTO lead VALUES (10, 'in between', 10, '2024-02-01');
INSERT INTO mail VALUES (7, 10, '2024-02-09'), (8, 10, '2024-02-10');
SET CONSTRAINTS ALL IMMEDIATE;
SELECT id, total, stage FROM state WHERE id IN (4, 10) ORDER BY id;
UPDATE mail SET lead_id = 4 WHERE id = 7;
DELETE FROM mail WHERE id = 8;
SELECT id, total, stage FROM state WHERE id IN (4, 10) ORDER BY id;
COMMIT;
-- collected, and then computed by something else, or gone: counted once
BEGIN;
INSERT INTO mail VALUES (9, 10, '2024-02-11'), (10, 10, '2024-02-12');
SELECT lead_qualify.recompute('change', '{10}');
DELETE FROM mail WHERE id = 10;
COMMIT;
SELECT id, total, stage FROM state WHERE id = 10;
SELECT * FROM lead_qualify.verify('change');
-- what one transaction inserts and takes back leaves nothing
BEGIN;
INSERT INTO mail VALUES (11, 10, '2024-02-13'), (12, 10, '2024-02-14');
UPDATE mail SET at = at + interval '1 day' WHERE id = 12;
DELETE FROM mail WHERE id = 11;
COMMIT;
-- 10 + 10, and nothing of the one that left
SELECT id, total, stage FROM state WHERE id = 10;
-- scored before a savepoint is rolled back: scored again at the end
BEGIN;
INSERT INTO mail VALUES (13, 10, '2024-02-16');
SAVEPOINT a;
SET CONSTRAINTS ALL IMMEDIATE;
SELECT id, total FROM state WHERE id = 10;
ROLLBACK TO a;
SELECT id, total FROM state WHERE id = 10;
COMMIT;
SELECT id, total FROM state WHERE id = 10;
SELECT * FROM lead_qualify.verify('change');
TRUNCATE mail;
SELECT id, total, stage FROM state WHERE id IN (4, 5, 10) ORDER BY id;
SELECT * FROM lead_qualify.verify('change');

--
-- TRUNCATE
--
TRUNCATE activity;
-- what people decided stands
SELECT id, total, stage, agrees FROM state WHERE total IS NOT NULL ORDER BY id;
SELECT * FROM lead_qualify.verify('change');
TRUNCATE lead, mail;
SELECT (SELECT count(*) FROM lead_qualification) AS states, (SELECT count(*) FROM lead_attributes) AS images,
	(SELECT count(*) FROM lead_stage_history WHERE lead > 0) AS named,
	(SELECT count(*) > 20 FROM lead_stage_history) AS history;
INSERT INTO lead VALUES (1, 'after', 10, '2024-06-01');
INSERT INTO activity VALUES (1, 1, 'demo', '2024-06-02'), (2, 1, 'demo', '2024-06-03');
SELECT id, total, stage, agrees FROM state;
SELECT * FROM lead_qualify.verify('change');

DROP VIEW state, path;
SELECT lead_qualify.detach('change', keep_data => false);
RESET search_path;
DROP SCHEMA live_change CASCADE;
