-- A gate's condition is asked again when something has happened that may open it:
-- activities one by one, each a statement, come to the same as in one statement and in a replay.

SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lead_qualify;
SET timezone = 'UTC';
SET datestyle = ISO;
CREATE SCHEMA gates;
SET search_path = gates;
CREATE TABLE lead (id int PRIMARY KEY, size int, created_at timestamptz NOT NULL);
CREATE TABLE activity (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, lead_id int, type text, at timestamptz);
CREATE INDEX ON activity (lead_id);
SELECT FROM lead_qualify.attach('gates', 'lead', 'activity', template => 'empty', time_zone => 'UTC');
INSERT INTO lead_qualify.stage (pipeline, stage, position, kind) VALUES
	('gates', 'sal', 3, 'sal'), ('gates', 'sql', 4, 'sql'), ('gates', 'opportunity', 5, 'opportunity'), ('gates', 'lost', 9, 'lost'), ('gates', 'recycled', 8, 'recycled');
INSERT INTO lead_qualify.rule (pipeline, name, dimension, activity_type, points, decay) VALUES
	('gates', 'read', 'engagement', 'read', 1, 'none'), ('gates', 'ask', 'engagement', 'ask', 1, 'none'), ('gates', 'look', 'engagement', 'look', 1, 'none'),
	('gates', 'greet', 'engagement', 'greet', 0, 'none');
INSERT INTO lead_qualify.gate (pipeline, stage, name, from_stages, condition) VALUES
	('gates', 'mql', 'asked', '{lead,recycled}', 'times(''ask'') > 1 AND size > 0'),
	-- open again when the next cycle begins to count
	('gates', 'lost', 'unseen', '{mql}', 'times(''greet'') < 1'),
	('gates', 'sal', 'readers', '{mql}', 'points(''engagement'') >= 6 AND times(''ask'') > 0'),
	('gates', 'sql', 'eager', '{sal}', 'times(''read'', ''2 days'') > 1'),
	('gates', 'opportunity', 'again', '{sql}', 'since_last(''read'') > ''5 days'''),
	('gates', 'recycled', 'quiet', '{opportunity}', 'times(''look'') > 0');
-- and more of them than are remembered: these come last, as they lead to the nearest stage
INSERT INTO lead_qualify.gate (pipeline, stage, name, from_stages, condition)
SELECT 'gates', 'mql', 'never ' || i, '{lead,recycled}', format('times(''look'') > 100 + %s', i) FROM generate_series(1, 70) i;
SELECT FROM lead_qualify.publish('gates', effective_from => '2024-01-01');

CREATE VIEW journey AS SELECT lead, string_agg(stage || ' ' || to_char(entered_at, 'FMDD'), ', ' ORDER BY entered_at, id) FROM lead_stage_history
WHERE superseded_at IS NULL GROUP BY 1 ORDER BY 1;
-- the same for each of three leads, in order of time
CREATE TABLE script (day int, what text);
INSERT INTO script VALUES (1, 'greet'), (2, 'ask'), (3, 'look'), (4, 'ask'), (5, 'look'), (8, 'read'), (9, 'look'), (12, 'read'), (13, 'read'), (14, 'look'), (20, 'ask'), (21, 'look'),
	(22, 'ask'), (23, 'ask'), (24, 'read'), (25, 'look');
INSERT INTO lead SELECT i, 1, '2024-02-01' FROM generate_series(1, 3) i;
-- 1: a statement each; 2: one statement; 3: loaded, then replayed
\set ECHO none
SELECT format('INSERT INTO activity (lead_id, type, at) VALUES (1, %L, %L)', what, timestamptz '2024-02-01' + (day - 1) * interval '1 day') FROM script ORDER BY day \gexec
\set ECHO all
INSERT INTO activity (lead_id, type, at) SELECT 2, what, timestamptz '2024-02-01' + (day - 1) * interval '1 day' FROM script ORDER BY day;
SET session_replication_role = replica;
INSERT INTO activity (lead_id, type, at) SELECT 3, what, timestamptz '2024-02-01' + (day - 1) * interval '1 day' FROM script ORDER BY day;
RESET session_replication_role;
SELECT lead_qualify.recompute('gates', '{3}');
TABLE journey;
DROP VIEW journey;
SELECT * FROM lead_qualify.verify('gates');

-- a column that changes opens the gate, as does another version, and a person's step back closes it again
INSERT INTO lead SELECT i, 0, now() FROM generate_series(11, 12) i;
INSERT INTO activity (lead_id, type, at) SELECT i, unnest('{ask,ask,ask,greet}'::text[]), now() FROM generate_series(11, 12) i;
UPDATE lead SET size = 1 WHERE id = 11;
SELECT id, stage FROM lead WHERE id > 10 ORDER BY 1;
UPDATE lead_qualify.gate SET condition = 'times(''ask'') > 1' WHERE stage = 'mql';
SELECT FROM lead_qualify.publish('gates');
INSERT INTO activity (lead_id, type, at) VALUES (12, 'look', clock_timestamp());
SELECT id, stage FROM lead WHERE id > 10 ORDER BY 1;
SELECT lead_qualify.move('gates', '11', 'lead');
INSERT INTO activity (lead_id, type, at) VALUES (11, 'look', clock_timestamp());
INSERT INTO activity (lead_id, type, at) VALUES (11, 'ask', clock_timestamp());
SELECT id, stage FROM lead WHERE id > 10 ORDER BY 1;
INSERT INTO activity (lead_id, type, at) VALUES (11, 'ask', clock_timestamp());
SELECT id, stage FROM lead WHERE id > 10 ORDER BY 1;
SELECT * FROM lead_qualify.verify('gates');
SELECT lead_qualify.recompute('gates');
SELECT id, stage FROM lead WHERE id > 10 ORDER BY 1;

SELECT FROM lead_qualify.detach('gates', keep_data => false);
DROP SCHEMA gates CASCADE;
