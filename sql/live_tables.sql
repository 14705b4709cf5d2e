--
-- Tables of every shape: keys, times, names, partitions, columns.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lead_qualify;
\set VERBOSITY terse
SET timezone = 'UTC';
CREATE SCHEMA live_tables;
SET search_path = live_tables;

-- the same rules for all: demo 10, page 4; mql from 20
CREATE FUNCTION rules(pipeline text) RETURNS int LANGUAGE sql AS $$
	INSERT INTO lead_qualify.rule (pipeline, name, activity_type, points) VALUES
		($1, 'page', 'page', 4), ($1, 'demo', 'demo', 10);
	INSERT INTO lead_qualify.gate (pipeline, stage, name, min_total) VALUES ($1, 'mql', 'warm', 20);
	SELECT lead_qualify.publish($1, effective_from => '-infinity');
$$;
CREATE FUNCTION state(prefix text, OUT lead text, OUT total float8, OUT stage text, OUT scored_at timestamptz)
RETURNS SETOF record LANGUAGE plpgsql AS $$
BEGIN
	RETURN QUERY EXECUTE format(
		'SELECT lead::text, total_at_event, stage, scored_at FROM live_tables.%I ORDER BY lead::text COLLATE "C"',
		prefix || '_qualification');
END $$;

--
-- Keys: bigint of integers, text of varchar, uuid of text and text of integers
--
CREATE TABLE big_lead (id bigint PRIMARY KEY, created_at timestamptz);
CREATE TABLE big_act (id bigint PRIMARY KEY, lead_id int, type varchar(10), at timestamptz);
CREATE INDEX ON big_act (lead_id);
SELECT lead_qualify.attach('big', 'big_lead', 'big_act', template => 'empty'), rules('big');
INSERT INTO big_lead VALUES (1, '2024-01-01'), (2147483647, '2024-01-01'), (9007199254740993, '2024-01-01');
-- ties of time are taken in the order of the key: -1, 2, 10
INSERT INTO big_act VALUES (10, 1, 'page', '2024-02-01'), (2, 1, 'demo', '2024-02-01'), (-1, 1, 'demo', '2024-02-01'),
	(3, 2147483647, 'demo', '2024-02-01');
SELECT * FROM state('big_lead');
SELECT activity_key, worth FROM lead_qualify.explain('big', 1) WHERE activity_key IS NOT NULL;

CREATE TABLE text_lead (email varchar(40) PRIMARY KEY, created_at timestamptz);
CREATE TABLE text_act (code text PRIMARY KEY, lead_id text, type text, at timestamptz);
CREATE INDEX ON text_act (lead_id);
SELECT lead_qualify.attach('text', 'text_lead', 'text_act', template => 'empty'), rules('text');
INSERT INTO text_lead VALUES ('ann@a.example', '2024-01-01'), ('Ann@a.example', '2024-01-01'), ('', '2024-01-01'), ('ü''"\ %s', '2024-01-01');
INSERT INTO text_act
SELECT l.email || i, l.email, 'demo', timestamptz '2024-02-01' + i * interval '1 hour'
FROM text_lead l, generate_series(1, 2) i WHERE l.email <> 'Ann@a.example';
INSERT INTO text_act VALUES ('Z', 'Ann@a.example', 'page', '2024-02-01'), ('a', 'Ann@a.example', 'page', '2024-02-01');
SELECT * FROM state('text_lead');
SELECT activity_key FROM lead_qualify.explain('text', 'Ann@a.example') WHERE activity_key IS NOT NULL;

CREATE TABLE uuid_lead (id uuid PRIMARY KEY, created_at timestamptz);
CREATE TABLE uuid_act (id uuid PRIMARY KEY, lead_id text, type text, at timestamptz);
CREATE INDEX ON uuid_act (lead_id);
SELECT lead_qualify.attach('uuid', 'uuid_lead', 'uuid_act', template => 'empty'), rules('uuid');
INSERT INTO uuid_lead VALUES ('00000000-0000-0000-0000-00000000000a', '2024-01-01'), ('00000000-0000-0000-0000-00000000000b', '2024-01-01');
INSERT INTO uuid_act VALUES
	('10000000-0000-0000-0000-000000000001', '00000000-0000-0000-0000-00000000000a', 'demo', '2024-02-01'),
	('10000000-0000-0000-0000-000000000002', '00000000-0000-0000-0000-00000000000a', 'demo', '2024-02-02'),
	('10000000-0000-0000-0000-000000000003', '00000000-0000-0000-0000-00000000000B', 'demo', '2024-02-02');
SELECT * FROM state('uuid_lead');
-- capitals are known; what is spelled otherwise, or is no uuid, is no lead's
INSERT INTO uuid_act VALUES
	('10000000-0000-0000-0000-000000000004', '{00000000-0000-0000-0000-00000000000a}', 'demo', '2024-02-03'),
	('10000000-0000-0000-0000-000000000005', 'nobody', 'demo', '2024-02-03'),
	('10000000-0000-0000-0000-000000000006', '00000000-0000-0000-0000-00000000000B', 'demo', '2024-02-01');
SELECT * FROM state('uuid_lead');
SELECT kind, name, message FROM lead_qualify.problem WHERE pipeline = 'uuid';
DELETE FROM uuid_act WHERE id = '10000000-0000-0000-0000-000000000001';
SELECT * FROM state('uuid_lead');

CREATE TABLE word_lead (id text PRIMARY KEY, created_at timestamptz);
CREATE TABLE word_act (id int PRIMARY KEY, lead_id int, type text, at timestamptz);
CREATE INDEX ON word_act (lead_id);
SELECT lead_qualify.attach('word', 'word_lead', 'word_act', template => 'empty'), rules('word');
INSERT INTO word_lead VALUES ('7', '2024-01-01'), ('07', '2024-01-01');
INSERT INTO word_act VALUES (1, 7, 'demo', '2024-02-02'), (2, 7, 'demo', '2024-02-01');
SELECT * FROM state('word_lead');
SELECT * FROM lead_qualify.verify('big') UNION ALL SELECT * FROM lead_qualify.verify('text')
UNION ALL SELECT * FROM lead_qualify.verify('uuid') UNION ALL SELECT * FROM lead_qualify.verify('word');

--
-- Names that must be quoted; times without zone, dates, of the pipeline's zone
--
CREATE TABLE "Lead ""List""" ("Lead Id" int PRIMARY KEY, "Since" date, "select" text);
CREATE TABLE "Act;" ("Act Id" int PRIMARY KEY, "Of Lead" int, "Kind of" text, "When" timestamp);
CREATE INDEX ON "Act;" ("Of Lead");
CREATE TABLE "Visit Day" (id int PRIMARY KEY, lead_id int, at date);
CREATE INDEX ON "Visit Day" (lead_id);
SELECT lead_qualify.attach('It''s "1"', '"Lead ""List"""', '"Act;"', activity_lead => 'Of Lead', activity_type => 'Kind of',
	activity_at => 'When', created_at => 'Since', stage_column => 'The Stage', time_zone => 'America/New_York',
	template => 'empty');
SELECT lead_qualify.add_source('It''s "1"', '"Visit Day"', type_value => 'page', time_zone => 'Asia/Tokyo');
INSERT INTO lead_qualify.rule (pipeline, name, activity_type, condition, points) VALUES
	('It''s "1"', 'page', 'page', NULL, 4), ('It''s "1"', 'late "demo"', 'demo', '"When"::time > ''20:00''', 10);
INSERT INTO lead_qualify.gate (pipeline, stage, name, min_total, condition) VALUES ('It''s "1"', 'mql', 'it''s "warm"', 20, '"select" <> ''no''');
SELECT lead_qualify.publish('It''s "1"', effective_from => '-infinity');
INSERT INTO "Lead ""List""" VALUES (1, '2024-01-01', 'yes'), (2, '2024-01-01', 'no');
INSERT INTO "Act;" SELECT 10 * l + d, l, 'demo', timestamp '2024-02-01 21:00' + d * interval '1 day'
FROM generate_series(1, 2) l, generate_series(1, 2) d;
INSERT INTO "Act;" VALUES (13, 1, 'demo', '2024-02-05 19:00');
INSERT INTO "Visit Day" VALUES (1, 2, '2024-02-06');
-- 21:00 in New York is 02:00 of the next day here; midnight in Tokyo 15:00 of the day before
SELECT "Lead Id", l."The Stage", "The Stage_changed_at", total_at_event AS total, scored_at
FROM "Lead ""List""" l JOIN "Lead ""List""_qualification" q ON q.lead = l."Lead Id" ORDER BY 1;
SELECT lead, stage, gate, entered_at FROM "Lead ""List""_stage_history" ORDER BY lead, entered_at;
UPDATE "Lead ""List""" SET "select" = 'well' WHERE "Lead Id" = 2;
SELECT "Lead Id", "The Stage" FROM "Lead ""List""" ORDER BY 1;
SELECT * FROM lead_qualify.verify('It''s "1"');

--
-- Columns dropped before, generated, of an enum; stages of another spelling
--
CREATE TYPE step AS ENUM ('Neu', 'Warm', 'Kunde');
CREATE TYPE kind AS ENUM ('page', 'demo', 'Demo');
CREATE TABLE odd_lead (x1 int, id int PRIMARY KEY, first text, last text, full_name text GENERATED ALWAYS AS (first || ' ' || last) STORED,
	x2 text, step step NOT NULL DEFAULT 'Neu', created_at timestamptz);
CREATE TABLE odd_act (x1 text, id int PRIMARY KEY, x2 int, lead_id int REFERENCES odd_lead ON DELETE CASCADE, data jsonb, x3 text,
	type kind, at timestamptz, page text GENERATED ALWAYS AS (data ->> 'page') STORED);
CREATE INDEX ON odd_act (lead_id);
ALTER TABLE odd_lead DROP COLUMN x1, DROP COLUMN x2;
ALTER TABLE odd_act DROP COLUMN x1, DROP COLUMN x2, DROP COLUMN x3;
INSERT INTO odd_lead VALUES (1, 'Ann', 'Lee', DEFAULT, 'Neu', '2024-01-01'), (2, 'Bob', 'Ray', DEFAULT, 'Warm', '2024-01-01');
SET lead_qualify.stored_as = '{"lead": "Neu", "mql": "Warm"}';
SELECT lead_qualify.attach('odd', 'odd_lead', 'odd_act', stage_column => 'step', template => 'empty');
RESET lead_qualify.stored_as;
INSERT INTO lead_qualify.stage (pipeline, stage, position, kind, stored_as) VALUES ('odd', 'customer', 3, 'won', 'Kunde');
INSERT INTO lead_qualify.rule (pipeline, name, applies_to, activity_type, condition, points) VALUES
	('odd', 'pricing', 'activity', 'page', 'page = ''/pricing''', 10), ('odd', 'demo', 'activity', 'demo', NULL, 10),
	('odd', 'ann', 'lead', NULL, 'full_name LIKE ''Ann%''', 5);
INSERT INTO lead_qualify.gate (pipeline, stage, name, min_total) VALUES ('odd', 'mql', 'warm', 20), ('odd', 'customer', 'hot', 45);
SELECT lead_qualify.publish('odd', effective_from => '-infinity');
INSERT INTO odd_act VALUES (1, 1, '{"page": "/pricing"}', 'page', '2024-02-01'), (2, 1, '{"page": "/"}', 'page', '2024-02-02'),
	(3, 1, NULL, 'demo', '2024-02-03'), (4, 1, NULL, 'Demo', '2024-02-04');
INSERT INTO odd_lead VALUES (3, 'Ann', 'New', DEFAULT, 'Warm', '2024-03-01'), (4, 'Cy', 'Doe', DEFAULT, DEFAULT, '2024-03-01');
-- 1: 10 + 0 + 10 + 0 + 5; no gate is tested before the time of attach
SELECT q.lead, total_at_event AS total, l.step, q.stage FROM odd_lead_qualification q JOIN odd_lead l ON l.id = q.lead ORDER BY 1;
INSERT INTO odd_act SELECT 10 * l + i, l, '{"page": "/pricing"}', 'page', timestamptz '2024-03-01' + i * interval '1 day'
FROM generate_series(3, 4) l, generate_series(1, 4) i;
UPDATE odd_lead SET step = 'Kunde' WHERE id = 2;
UPDATE odd_lead SET first = 'Ann' WHERE id = 4;
-- 3: 5 + 4 x 10, a customer. 4: 40, and 5 as Ann: a customer, too
SELECT q.lead, total_at_event AS total, l.step, q.stage FROM odd_lead_qualification q JOIN odd_lead l ON l.id = q.lead ORDER BY 1;
SELECT lead, from_stage, stage, cause, gate FROM odd_lead_stage_history WHERE superseded_at IS NULL ORDER BY lead, id;
-- columns that rules read go and are made anew
ALTER TABLE odd_lead DROP COLUMN last CASCADE;
ALTER TABLE odd_lead ADD COLUMN full_name text DEFAULT 'Ann X';
ALTER TABLE odd_act DROP COLUMN data CASCADE;
ALTER TABLE odd_act ADD COLUMN page text;
INSERT INTO odd_lead (id, created_at) VALUES (5, '2024-03-01');
INSERT INTO odd_act (id, lead_id, type, at, page) VALUES (51, 5, 'page', '2024-03-02', '/pricing'), (52, 5, 'demo', '2024-03-03', NULL);
-- 5 + 10 + 10
SELECT q.lead, total_at_event AS total, l.step FROM odd_lead_qualification q JOIN odd_lead l ON l.id = q.lead WHERE lead = 5;
DELETE FROM odd_lead WHERE id < 5;
SELECT * FROM lead_qualify.verify('odd');

--
-- Partitions: of leads by hash, of activities by time, with columns in another order
--
CREATE TABLE part_lead (id bigint PRIMARY KEY, name text, created_at timestamptz) PARTITION BY HASH (id);
CREATE TABLE part_lead_0 PARTITION OF part_lead FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE part_lead_1 (created_at timestamptz, gone int, name text, id bigint NOT NULL);
ALTER TABLE part_lead_1 DROP COLUMN gone;
ALTER TABLE part_lead ATTACH PARTITION part_lead_1 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE part_act (id int, lead_id bigint, type text, at timestamptz, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE part_act_1 PARTITION OF part_act FOR VALUES FROM (MINVALUE) TO ('2024-03-01');
CREATE TABLE part_act_2 (gone text, type text, at timestamptz NOT NULL, lead_id bigint, id int NOT NULL);
ALTER TABLE part_act_2 DROP COLUMN gone;
ALTER TABLE part_act ATTACH PARTITION part_act_2 FOR VALUES FROM ('2024-03-01') TO ('2024-04-01');
CREATE INDEX ON part_act (lead_id);
SELECT lead_qualify.attach('part', 'part_lead', 'part_act', activity_key => 'id', template => 'empty'), rules('part');
SELECT lead_qualify.attach('each', 'part_lead', 'part_act', activity_key => 'id', template => 'empty', fire => 'row',
	stage_column => 'each_stage');
INSERT INTO lead_qualify.rule (pipeline, name, dimension, applies_to, condition, points) VALUES ('each', 'named', 'engagement', 'lead', 'name <> ''''', 1);
SELECT rules('each');
INSERT INTO part_lead SELECT i, 'n' || i, '2024-01-01' FROM generate_series(1, 4) i;
INSERT INTO part_act SELECT 10 * l + i, l, 'demo', timestamptz '2024-02-01' + i * interval '20 days'
FROM generate_series(1, 4) l, generate_series(1, 2) i;
-- 10 + 10, and a point for the name
SELECT * FROM state('part_lead');
SELECT * FROM state('part_lead_each');
-- from one partition to another, out of the order of time, and back
UPDATE part_act SET at = at + interval '1 month' WHERE id = 11;
UPDATE part_act SET at = at - interval '1 month' WHERE id = 22;
UPDATE part_lead SET name = '' WHERE id = 3;
DELETE FROM part_act WHERE id = 42;
COPY part_act FROM stdin;
13	1	page	2024-03-02
14	1	page	2024-02-02
\.
-- 1: 10 + 10 + 4 + 4; 2: 20; 3: 20; 4: 10
SELECT * FROM state('part_lead');
SELECT lead, total, stage FROM state('part_lead_each');
SELECT lead, stage, entered_at FROM part_lead_each_stage_history WHERE lead = 1 AND superseded_at IS NULL ORDER BY entered_at;
SELECT * FROM lead_qualify.verify('part') UNION ALL SELECT * FROM lead_qualify.verify('each');
-- into a partition only row triggers see it; the other pipeline is told by recompute
INSERT INTO part_act_2 (id, lead_id, type, at) VALUES (43, 4, 'demo', '2024-03-30');
SELECT a.*, b.total AS each FROM state('part_lead') a JOIN state('part_lead_each') b USING (lead) WHERE lead = '4';
SELECT DISTINCT lead FROM lead_qualify.verify('part');
SELECT lead_qualify.recompute('part');
SELECT a.*, b.total AS each FROM state('part_lead') a JOIN state('part_lead_each') b USING (lead) WHERE lead = '4';
-- new partitions come with their row triggers; one that is detached takes its rows along
CREATE TABLE part_act_3 PARTITION OF part_act FOR VALUES FROM ('2024-04-01') TO (MAXVALUE);
INSERT INTO part_act VALUES (44, 4, 'page', '2024-04-01');
INSERT INTO part_act_3 VALUES (45, 4, 'page', '2024-04-02');
SELECT lead_qualify.recompute('part', '{4}');
SELECT a.total, b.total AS each FROM state('part_lead') a JOIN state('part_lead_each') b USING (lead) WHERE lead = '4';
ALTER TABLE part_act DETACH PARTITION part_act_3;
SELECT lead_qualify.recompute('part'), lead_qualify.recompute('each');
SELECT a.total, b.total AS each FROM state('part_lead') a JOIN state('part_lead_each') b USING (lead) WHERE lead = '4';
SELECT * FROM lead_qualify.verify('part') UNION ALL SELECT * FROM lead_qualify.verify('each');

--
-- A further source: comments on anything, of which those on leads count
--
CREATE TABLE comment (id int PRIMARY KEY, subject_type text, subject_id text, happened_at timestamptz);
CREATE INDEX ON comment (subject_id);
SELECT lead_qualify.add_source('part', 'comment', activity_lead => 'subject_id', type_value => 'demo', filter => 'subject_type = ''Lead''');
INSERT INTO comment VALUES (1, 'Lead', '4', '2024-02-25'), (2, 'Deal', '4', '2024-02-25'), (3, NULL, '4', '2024-02-25'), (4, 'Lead', '04', '2024-02-25');
SELECT lead, total FROM state('part_lead') WHERE lead = '4';
UPDATE comment SET subject_type = 'Lead' WHERE id IN (2, 3);
UPDATE comment SET subject_type = 'Deal' WHERE id = 1;
-- 10 + 10, and two comments more
SELECT lead, total FROM state('part_lead') WHERE lead = '4';
SELECT source, activity_key FROM lead_qualify.explain('part', 4, '2024-05-01') WHERE counted AND source LIKE '%comment';
SELECT * FROM lead_qualify.verify('part');
TRUNCATE comment;
SELECT lead, total FROM state('part_lead') WHERE lead = '4';
SELECT * FROM lead_qualify.verify('part');

--
-- Keys of a domain, or of a collation to which different keys are equal; a stage of fixed length
--
CREATE DOMAIN number AS int CHECK (value > 0);
CREATE TABLE domain_lead (id number PRIMARY KEY, stage char(12), created_at timestamptz);
CREATE TABLE domain_act (id int PRIMARY KEY, lead_id int, type text, at timestamptz);
CREATE INDEX ON domain_act (lead_id);
SELECT FROM lead_qualify.attach('domain', 'domain_lead', 'domain_act', time_zone => 'UTC');
INSERT INTO domain_lead (id, created_at) VALUES (1, '2024-01-01'), (2, '2024-01-01');
INSERT INTO domain_act VALUES (1, 2, 'demo_request', '2024-02-01'), (2, 1, 'page_view', '2024-02-02');
INSERT INTO domain_act VALUES (3, 1, 'demo_request', '2024-02-03');
UPDATE domain_lead SET stage = 'sql' WHERE id = 2;
SELECT id, l.stage, q.stage AS state, total_at_event FROM domain_lead l JOIN domain_lead_qualification q ON lead = id ORDER BY 1;
CREATE COLLATION any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE case_lead (id text COLLATE any_case PRIMARY KEY, created_at timestamptz);
CREATE TABLE case_act (id int PRIMARY KEY, lead_id text, type text, at timestamptz);
CREATE INDEX ON case_act (lead_id);
SELECT FROM lead_qualify.attach('case', 'case_lead', 'case_act', time_zone => 'UTC');
INSERT INTO case_lead VALUES ('ABC', '2024-01-01'), ('def', '2024-01-01');
INSERT INTO case_act VALUES (1, 'ABC', 'page_view', '2024-02-01');
-- only the very key counts, by whatever way
INSERT INTO case_act VALUES (2, 'abc', 'page_view', '2024-02-02');
INSERT INTO case_act VALUES (3, 'Abc', 'demo_request', '2024-02-03'), (4, 'ABC', 'page_view', '2024-02-05'), (5, 'abc', 'page_view', '2024-02-06');
SELECT lead, stage, total_at_event FROM case_lead_qualification ORDER BY 1;
SELECT * FROM lead_qualify.verify('domain') UNION ALL SELECT * FROM lead_qualify.verify('case');

SELECT count(lead_qualify.detach(pipeline, keep_data => false)::text) FROM lead_qualify.pipeline WHERE leads_schema = 'live_tables';
RESET search_path;
DROP SCHEMA live_tables CASCADE;
