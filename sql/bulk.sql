-- Statements of so many rows that they are sorted on disk come to the same as
-- many small ones.

SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lead_qualify;
SET timezone = 'UTC';
SET work_mem = '1MB';
CREATE SCHEMA bulk;
SET search_path = bulk;
CREATE TABLE lead (id text PRIMARY KEY, created_at timestamptz NOT NULL);
CREATE TABLE activity (id bigint PRIMARY KEY, lead_id text, type text, at timestamptz, page text);
CREATE INDEX ON activity (lead_id);
SELECT FROM lead_qualify.attach('bulk', 'lead', 'activity', activity_key => 'id', template => 'empty', time_zone => 'UTC');
INSERT INTO lead_qualify.rule (pipeline, name, activity_type, points, decay, period, at_most, per) VALUES
	('bulk', 'visit', 'visit', 1, 'exponential', '30 days', 3, 'day'), ('bulk', 'demo', 'demo', 20, 'none', NULL, NULL, NULL);
INSERT INTO lead_qualify.gate (pipeline, stage, name, min_engagement) VALUES ('bulk', 'mql', 'score', 40);
SELECT FROM lead_qualify.publish('bulk', effective_from => '-infinity');
INSERT INTO lead SELECT 'lead ' || i, '2024-01-01' FROM generate_series(1, 300) i;

-- in the order of time: leads mixed; some rows of no lead, some of an unknown one, some without a time
INSERT INTO activity
SELECT i, CASE WHEN i % 1000 = 0 THEN NULL WHEN i % 1000 = 1 THEN 'nobody' ELSE 'lead ' || 1 + (hashint4(i) & 255) END,
	CASE WHEN i % 700 = 0 THEN 'demo' ELSE 'visit' END, timestamptz '2024-02-01' + i * interval '1 minute', repeat('/page', i % 5)
FROM generate_series(1, 100001) i;
SELECT count(*) FILTER (WHERE scored_at > '2024-02-01') AS touched, count(DISTINCT stage) AS stages FROM lead_qualification;
SELECT * FROM lead_qualify.verify('bulk');
-- a second one, older rows among them, and one without a time
SET client_min_messages = notice;
INSERT INTO activity
SELECT 200000 + i, 'lead ' || 1 + i % 300, 'visit', CASE WHEN i <> 77 THEN timestamptz '2024-04-01' + (i % 1000 - 100) * interval '1 hour' END
FROM generate_series(1, 100001) i;
SET client_min_messages = warning;
SELECT * FROM lead_qualify.verify('bulk');
-- a statement that fails leaves nothing
CREATE TABLE before AS TABLE lead_qualification;
ALTER TABLE lead_qualification ADD CONSTRAINT few CHECK (lead <> 'lead 299' OR total_at_event < 10000);
\set VERBOSITY terse
INSERT INTO activity SELECT 400000 + i, 'lead ' || 1 + i % 300, CASE WHEN i % 300 = 298 THEN 'demo' ELSE 'visit' END, '2024-09-01' FROM generate_series(1, 200000) i;
\set VERBOSITY default
SELECT count(*) AS changed FROM (TABLE before EXCEPT TABLE lead_qualification) x;

SELECT FROM lead_qualify.detach('bulk', keep_data => false);
DROP SCHEMA bulk CASCADE;
