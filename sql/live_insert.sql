--
-- Activities arrive: every way in which a row can be inserted scores the same.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lead_qualify;
\set VERBOSITY terse
SET timezone = 'UTC';
CREATE SCHEMA live_insert;
SET search_path = live_insert;

CREATE TABLE lead (id int PRIMARY KEY, name text, created_at timestamptz);
CREATE TABLE activity (id int PRIMARY KEY, lead_id int, type text, at timestamptz);
CREATE INDEX ON activity (lead_id);
INSERT INTO lead SELECT i, 'lead ' || i, '2024-01-01' FROM generate_series(1, 9) i;
SELECT lead_qualify.attach('arrive', 'lead', 'activity', template => 'empty');

-- page 4, demo 10, news 16 that halve every 30 days; mql from 20, sql from 50
INSERT INTO lead_qualify.rule (pipeline, name, activity_type, points, decay, period) VALUES
	('arrive', 'page', 'page', 4, 'none', NULL),
	('arrive', 'demo', 'demo', 10, 'none', NULL),
	('arrive', 'news', 'news', 16, 'exponential', '30 days');
INSERT INTO lead_qualify.stage (pipeline, stage, position, kind) VALUES ('arrive', 'sql', 3, 'sql');
INSERT INTO lead_qualify.gate (pipeline, stage, name, min_total) VALUES
	('arrive', 'mql', 'warm', 20), ('arrive', 'sql', 'hot', 50);
SELECT lead_qualify.publish('arrive', effective_from => '-infinity');

CREATE VIEW state AS
SELECT q.lead, q.total_at_event AS total, q.scored_at, l.stage,
	l.stage = q.stage AS agrees, l.stage_changed_at
FROM lead_qualification q JOIN lead l ON l.id = q.lead;

-- one row, several rows, rows of a query, COPY. 1: 10. 2: 10 + 10. 3: 4 + 16
-- of which 30 days later 8 are left: 12, and 4 more. 4: 5 x 10
INSERT INTO activity VALUES (101, 1, 'demo', '2024-02-01');
INSERT INTO activity VALUES (102, 2, 'demo', '2024-02-01'), (103, 2, 'demo', '2024-02-02');
INSERT INTO activity
SELECT 110 + i, 3, (ARRAY['page', 'news', 'page'])[i], timestamptz '2024-02-01' + (ARRAY[0, 0, 30])[i] * interval '1 day'
FROM generate_series(1, 3) i;
COPY activity FROM stdin;
120	4	demo	2024-02-01
121	4	demo	2024-02-03
122	4	demo	2024-02-02
123	4	demo	2024-02-05
124	4	demo	2024-02-04
\.
SELECT * FROM state ORDER BY lead;
-- the second demo made lead 2 an mql; lead 4 was one on its second and went on with its fifth
SELECT lead, from_stage, stage, cause, gate, origin, total, entered_at, left_at
FROM lead_stage_history WHERE lead IN (2, 4) ORDER BY lead, entered_at;

-- ON CONFLICT: DO NOTHING adds 10 once; DO UPDATE makes a demo of lead 5's page
INSERT INTO activity VALUES (130, 5, 'page', '2024-02-01');
INSERT INTO activity VALUES (130, 5, 'demo', '2024-02-01'), (131, 5, 'demo', '2024-02-02')
ON CONFLICT DO NOTHING;
SELECT lead, total, stage FROM state WHERE lead = 5;
INSERT INTO activity VALUES (130, 5, 'demo', '2024-02-01'), (132, 5, 'demo', '2024-02-03')
ON CONFLICT (id) DO UPDATE SET type = excluded.type;
-- 10 + 10 + 10
SELECT lead, total, stage, stage_changed_at FROM state WHERE lead = 5;

-- MERGE: one updated, one deleted, one inserted. 6: page + demo becomes demo + demo
INSERT INTO activity VALUES (140, 6, 'page', '2024-02-01'), (141, 6, 'demo', '2024-02-02'), (142, 7, 'demo', '2024-02-02');
MERGE INTO activity a
USING (VALUES (140, 6, 'demo'), (142, 7, 'gone'), (143, 7, 'page')) AS n (id, lead_id, type) ON n.id = a.id
WHEN MATCHED AND n.type = 'gone' THEN DELETE
WHEN MATCHED THEN UPDATE SET type = n.type
WHEN NOT MATCHED THEN INSERT VALUES (n.id, n.lead_id, n.type, '2024-02-04');
SELECT lead, total, stage, scored_at FROM state WHERE lead IN (6, 7) ORDER BY lead;

-- prepared statements, generic plan or not
SET plan_cache_mode = force_generic_plan;
PREPARE arrive(int, int, text, timestamptz) AS INSERT INTO activity VALUES ($1, $2, $3, $4);
EXECUTE arrive(150, 8, 'page', '2024-02-01');
EXECUTE arrive(151, 8, 'page', '2024-02-02');
RESET plan_cache_mode;
EXECUTE arrive(152, 8, 'demo', '2024-02-03');
-- 4 + 4 + 10
SELECT lead, total, stage FROM state WHERE lead = 8;

-- lead and activities in one transaction, and in one statement; activities first
BEGIN;
INSERT INTO lead VALUES (10, 'new', '2024-02-01');
INSERT INTO activity VALUES (160, 10, 'demo', '2024-02-02'), (161, 10, 'demo', '2024-02-03');
COMMIT;
WITH l AS (INSERT INTO lead VALUES (11, 'new', '2024-02-01') RETURNING id)
INSERT INTO activity SELECT 162 + i, l.id, 'page', '2024-02-02' FROM l, generate_series(0, 2) i;
INSERT INTO activity VALUES (170, 12, 'demo', '2024-02-05'), (171, 12, 'demo', '2024-02-04');
SELECT count(*) FROM lead_qualification WHERE lead = 12;
INSERT INTO lead VALUES (12, 'late', '2024-02-10');
-- 12 was created with its first activity, an mql with its second
SELECT * FROM state WHERE lead IN (10, 11, 12) ORDER BY lead;
SELECT stage, cause, entered_at, origin FROM lead_stage_history WHERE lead = 12 ORDER BY entered_at;

-- no lead, or an unknown one: ignored
INSERT INTO activity VALUES (180, NULL, 'demo', '2024-02-01'), (181, 999, 'demo', '2024-02-01');
-- no usable time: ignored with a warning, once a statement
INSERT INTO activity VALUES (182, 9, 'demo', NULL), (183, 9, 'demo', NULL), (184, 9, 'page', '2024-02-01');
INSERT INTO activity VALUES (185, 9, 'demo', 'infinity');
INSERT INTO activity VALUES (186, 9, 'demo', '-infinity');
SELECT lead, total, scored_at FROM state WHERE lead IN (9, 999);
UPDATE activity SET at = '2024-02-02' WHERE id IN (182, 185);
-- 4 + 10 + 10
SELECT lead, total, stage, scored_at FROM state WHERE lead = 9;

-- of the future: it waits, and does not count now
INSERT INTO activity VALUES (190, 1, 'demo', '2999-01-01'), (191, 1, 'page', '2024-02-02');
SELECT s.lead, s.total, s.scored_at, q.next_due_at FROM state s JOIN lead_qualification q USING (lead) WHERE s.lead = 1;

-- savepoints: what was rolled back earns nothing
BEGIN;
SAVEPOINT a;
INSERT INTO activity VALUES (200, 7, 'demo', '2024-02-05'), (201, 7, 'demo', '2024-02-06');
SELECT lead, total, stage FROM state WHERE lead = 7;
ROLLBACK TO a;
INSERT INTO activity VALUES (202, 7, 'page', '2024-02-06');
SAVEPOINT b;
INSERT INTO activity VALUES (203, 7, 'page', '2024-02-05');
RELEASE b;
COMMIT;
-- 4 + 4 + 4
SELECT lead, total, stage FROM state WHERE lead = 7;
SELECT count(*) FROM lead_stage_history WHERE lead = 7;

-- a loop of single inserts with subtransactions of its own
DO $$
BEGIN
	FOR i IN 1..6 LOOP
		BEGIN
			INSERT INTO activity VALUES (210 + i, 8, 'page', timestamptz '2024-03-01' + i * interval '1 hour');
			IF i % 2 = 0 THEN
				RAISE EXCEPTION 'no';
			END IF;
		EXCEPTION WHEN raise_exception THEN
			NULL;
		END;
	END LOOP;
END $$;
-- 18 + 3 x 4
SELECT lead, total, stage, stage_changed_at FROM state WHERE lead = 8;

-- a replica fires nothing; recompute takes in what it brought
SET session_replication_role = replica;
INSERT INTO activity VALUES (220, 11, 'demo', '2024-02-03');
RESET session_replication_role;
SELECT lead, total, stage FROM state WHERE lead = 11;
SELECT DISTINCT lead FROM lead_qualify.verify('arrive');
SELECT lead_qualify.recompute('arrive', '{11}');
SELECT lead, total, stage FROM state WHERE lead = 11;

-- a second pipeline on the same tables: pages count 100
SELECT lead_qualify.attach('pages', 'lead', 'activity', template => 'empty', stage_column => 'page_stage');
INSERT INTO lead_qualify.rule (pipeline, name, activity_type, points) VALUES ('pages', 'page', 'page', 100);
INSERT INTO lead_qualify.gate (pipeline, stage, name, min_total) VALUES ('pages', 'mql', 'reader', 200);
SELECT lead_qualify.publish('pages', effective_from => '-infinity');
-- scored when first touched, from all their activities: 1 has one page already
INSERT INTO activity VALUES (230, 1, 'page', '2024-02-03'), (231, 2, 'demo', '2024-02-03');
INSERT INTO lead VALUES (13, 'of both', '2024-02-01');
SELECT l.id, a.total_at_event AS arrive, l.stage, p.total_at_event AS pages, l.page_stage
FROM lead l JOIN lead_qualification a ON a.lead = l.id JOIN lead_pages_qualification p ON p.lead = l.id
ORDER BY l.id;
SELECT lead, stage, cause, gate, origin, entered_at FROM lead_pages_stage_history ORDER BY lead, entered_at;

-- one by one or all at once: the same
TRUNCATE activity;
CREATE TABLE batch AS
SELECT i AS id, 1 + i * 7 % 12 AS lead_id, (ARRAY['page', 'demo', 'news', 'call'])[1 + i % 4] AS type,
	timestamptz '2024-04-01' + (i * 37 % 100) * interval '7 hours' AS at
FROM generate_series(1, 200) i;
INSERT INTO activity SELECT * FROM batch;
CREATE TABLE at_once AS SELECT lead, total_at_event, scored_at, stage FROM lead_qualification;
CREATE TABLE path_at_once AS
SELECT lead, stage, from_stage, entered_at, left_at, cause, gate FROM lead_stage_history WHERE superseded_at IS NULL;
TRUNCATE activity;
DO $$
DECLARE
	b batch;
BEGIN
	FOR b IN SELECT * FROM batch ORDER BY id * 61 % 211 LOOP
		INSERT INTO activity VALUES (b.*);
	END LOOP;
END $$;
SELECT count(*) AS leads, max(abs(a.total_at_event - q.total_at_event)) < 1e-9 AS same_total,
	bool_and(a.scored_at = q.scored_at AND a.stage = q.stage) AS same_state
FROM at_once a JOIN lead_qualification q USING (lead);
SELECT count(*) AS entries, (SELECT count(*) FROM (
	(TABLE path_at_once EXCEPT SELECT lead, stage, from_stage, entered_at, left_at, cause, gate
		FROM lead_stage_history WHERE superseded_at IS NULL)
	UNION ALL
	(SELECT lead, stage, from_stage, entered_at, left_at, cause, gate
		FROM lead_stage_history WHERE superseded_at IS NULL EXCEPT TABLE path_at_once)) d) AS differences
FROM path_at_once;

SELECT * FROM lead_qualify.verify('arrive');
SELECT * FROM lead_qualify.verify('pages');
SELECT * FROM lead_qualify.problem WHERE pipeline IN ('arrive', 'pages');
DROP VIEW state;
SELECT lead_qualify.detach('pages', keep_data => false);
SELECT lead_qualify.detach('arrive', keep_data => false);
RESET search_path;
DROP SCHEMA live_insert CASCADE;
