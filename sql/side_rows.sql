-- <leads>_qualification is an ordinary table: what its owner adds to it stays,
-- and what he takes away is named.

SET client_min_messages = warning;
\set SHOW_CONTEXT never
CREATE EXTENSION IF NOT EXISTS lead_qualify;
SET timezone = 'UTC';
CREATE SCHEMA side_rows;
SET search_path = side_rows;
CREATE TABLE lead (id int PRIMARY KEY, created_at timestamptz NOT NULL);
CREATE TABLE activity (id int PRIMARY KEY, lead_id int, type text, at timestamptz);
CREATE INDEX ON activity (lead_id);
SELECT FROM lead_qualify.attach('side', 'lead', 'activity', template => 'empty', time_zone => 'UTC');
INSERT INTO lead_qualify.rule (pipeline, name, activity_type, points) VALUES ('side', 'visit', 'visit', 1);
INSERT INTO lead_qualify.gate (pipeline, stage, name, min_engagement) VALUES ('side', 'mql', 'score', 3);
SELECT FROM lead_qualify.publish('side', effective_from => '-infinity');
INSERT INTO lead SELECT i, '2024-01-01' FROM generate_series(1, 3) i;
INSERT INTO activity SELECT i, i, 'visit', '2024-02-01' FROM generate_series(1, 3) i;
CREATE VIEW state AS SELECT lead, stage, total_at_event AS total, scored_at::date AS scored FROM lead_qualification ORDER BY 1;

-- a column, an index on what changes, one on an expression, a check and a row trigger of the owner's
ALTER TABLE lead_qualification ADD COLUMN note text DEFAULT 'mine', ADD COLUMN twice float8 GENERATED ALWAYS AS (2 * total_at_event) STORED,
	ADD CONSTRAINT few CHECK (total_at_event <= 5);
CREATE INDEX by_total ON lead_qualification (total_at_event);
CREATE INDEX by_stage ON lead_qualification (upper(stage)) WHERE stage <> 'lead';
UPDATE lead_qualification SET note = 'of lead ' || lead WHERE lead < 3;
CREATE TABLE seen (n int GENERATED ALWAYS AS IDENTITY, what text);
CREATE FUNCTION seen() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO side_rows.seen (what) VALUES (format('%s %s: %s -> %s', tg_when, tg_level, old.total_at_event, new.total_at_event));
	RETURN new;
END $$;
CREATE FUNCTION spoken() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO side_rows.seen (what) VALUES (tg_when || ' ' || tg_level);
	RETURN NULL;
END $$;
CREATE TRIGGER before_row BEFORE UPDATE ON lead_qualification FOR EACH ROW EXECUTE FUNCTION seen();
CREATE TRIGGER after_row AFTER UPDATE ON lead_qualification FOR EACH ROW EXECUTE FUNCTION seen();
CREATE TRIGGER before_statement BEFORE UPDATE ON lead_qualification FOR EACH STATEMENT EXECUTE FUNCTION spoken();
CREATE TRIGGER after_statement AFTER UPDATE ON lead_qualification FOR EACH STATEMENT EXECUTE FUNCTION spoken();
INSERT INTO activity SELECT 10 + i, i % 2 + 1, 'visit', timestamptz '2024-02-02' + i * interval '1 hour' FROM generate_series(1, 3) i;
SELECT what FROM seen ORDER BY n;
TABLE state;
SELECT lead, note, twice FROM lead_qualification ORDER BY 1;
SET enable_seqscan = off;
SELECT lead FROM lead_qualification WHERE total_at_event = 3;
SELECT lead FROM lead_qualification WHERE upper(stage) = 'MQL' AND stage <> 'lead';
RESET enable_seqscan;
SELECT * FROM lead_qualify.verify('side');

-- a check that fails undoes the statement
\set VERBOSITY terse
INSERT INTO activity SELECT 20 + i, 1, 'visit', timestamptz '2024-02-03' + i * interval '1 hour' FROM generate_series(1, 9) i;
\set VERBOSITY default
ALTER TABLE lead_qualification DROP CONSTRAINT few;

-- a row trigger may leave a row as it was; verify() finds it
CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE TRIGGER a_keep BEFORE UPDATE ON lead_qualification FOR EACH ROW EXECUTE FUNCTION keep();
INSERT INTO activity VALUES (30, 3, 'visit', '2024-02-04');
TABLE state;
SELECT lead, item FROM lead_qualify.verify('side') ORDER BY 2;
DROP TRIGGER a_keep ON lead_qualification;
SELECT lead_qualify.recompute('side');
TABLE state;

-- a statement trigger has the row in its transition table
CREATE FUNCTION listed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO side_rows.seen (what) SELECT format('%s has %s', lead, total_at_event) FROM new_rows;
	RETURN NULL;
END $$;
CREATE TRIGGER rows AFTER UPDATE ON lead_qualification REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION listed();
INSERT INTO activity VALUES (40, 3, 'visit', '2024-02-05');
SELECT what FROM seen WHERE what LIKE '%has%';
DROP TRIGGER rows ON lead_qualification;

-- only an ordinary table without triggers is updated without a statement
DROP TRIGGER before_row ON lead_qualification;
DROP TRIGGER before_statement ON lead_qualification;
DROP TRIGGER after_statement ON lead_qualification;
CREATE TABLE updated (n int GENERATED ALWAYS AS IDENTITY, how text);
CREATE FUNCTION noted() RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	context text;
BEGIN
	GET DIAGNOSTICS context = PG_CONTEXT;
	INSERT INTO side_rows.updated (how) VALUES (CASE WHEN context LIKE '%UPDATE side_rows.lead_qualification%' THEN 'by SQL' ELSE 'directly' END);
	RETURN true;
END $$;
ALTER TABLE lead_qualification ADD CONSTRAINT noted CHECK (noted()) NOT VALID;
INSERT INTO activity VALUES (50, 3, 'visit', '2024-02-05 01:00');
DROP TRIGGER after_row ON lead_qualification;
INSERT INTO activity VALUES (51, 3, 'visit', '2024-02-05 02:00');
CREATE RULE also AS ON UPDATE TO lead_qualification DO ALSO NOTIFY side_rows;
INSERT INTO activity VALUES (52, 3, 'visit', '2024-02-05 03:00');
DROP RULE also ON lead_qualification;
-- what Citus says of a table whose rows are in shards
SET allow_system_table_mods = on;
CREATE TABLE pg_catalog.pg_dist_partition (logicalrelid regclass, partmethod "char");
RESET allow_system_table_mods;
INSERT INTO activity VALUES (53, 3, 'visit', '2024-02-05 04:00');
INSERT INTO pg_dist_partition VALUES ('lead_qualification', 'h');
INSERT INTO activity VALUES (54, 3, 'visit', '2024-02-05 05:00');
SET allow_system_table_mods = on;
DROP TABLE pg_catalog.pg_dist_partition;
RESET allow_system_table_mods;
INSERT INTO activity VALUES (55, 3, 'visit', '2024-02-05 06:00');
SELECT how FROM updated ORDER BY n;
ALTER TABLE lead_qualification DROP CONSTRAINT noted;
SELECT * FROM lead_qualify.verify('side');

-- rows in a partition
BEGIN;
ALTER TABLE lead_qualification RENAME TO part;
CREATE TABLE lead_qualification (LIKE part INCLUDING ALL EXCLUDING INDEXES, PRIMARY KEY (lead)) PARTITION BY HASH (lead);
ALTER TABLE lead_qualification ATTACH PARTITION part FOR VALUES WITH (MODULUS 1, REMAINDER 0);
INSERT INTO activity VALUES (60, 3, 'visit', '2024-02-05 07:00');
SELECT lead, total_at_event AS total FROM lead_qualification ORDER BY 1;
SELECT * FROM lead_qualify.verify('side');
ROLLBACK;

-- a trigger cannot alter or rewrite what is at work
CREATE FUNCTION alters() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	ALTER TABLE side_rows.lead_qualification ALTER engagement_at_event TYPE text;
	RETURN NULL;
END $$;
CREATE TRIGGER alters AFTER INSERT ON lead_stage_history FOR EACH ROW EXECUTE FUNCTION alters();
UPDATE lead SET stage = 'mql' WHERE id = 1;
DROP TRIGGER alters ON lead_stage_history;
-- nor can a transaction write that says it only reads
BEGIN READ ONLY;
SELECT lead_qualify.recompute('side');
ROLLBACK;

-- a key that no index finds, and another primary key
ALTER TABLE lead_qualification DROP CONSTRAINT lead_qualification_pkey;
INSERT INTO activity VALUES (41, 3, 'visit', '2024-02-05');
ALTER TABLE lead_qualification ADD COLUMN other text, ADD UNIQUE (lead);
UPDATE lead_qualification SET other = 'n' || lead;
ALTER TABLE lead_qualification ADD PRIMARY KEY (other);
INSERT INTO activity VALUES (44, 2, 'visit', '2024-02-05');
SELECT lead, other, total_at_event AS total FROM lead_qualification ORDER BY 1;
ALTER TABLE lead_qualification DROP COLUMN other, DROP CONSTRAINT lead_qualification_lead_key;
ALTER TABLE lead_qualification ADD PRIMARY KEY (lead);
INSERT INTO activity VALUES (42, 3, 'visit', '2024-02-05');

-- columns in another order, as a restore by hand may leave them
ALTER TABLE lead_qualification DROP COLUMN note;
BEGIN;
DROP VIEW state;
ALTER TABLE lead_qualification RENAME COLUMN gate TO gate_old;
ALTER TABLE lead_qualification ADD COLUMN gate text;
UPDATE lead_qualification SET gate = gate_old;
ALTER TABLE lead_qualification DROP COLUMN gate_old CASCADE;
INSERT INTO activity VALUES (43, 3, 'visit', '2024-02-06');
SELECT lead, stage, gate, total_at_event AS total FROM lead_qualification ORDER BY 1;
ROLLBACK;
SELECT * FROM lead_qualify.verify('side');

-- who reads needs the rights to
CREATE ROLE regress_lq_side;
GRANT USAGE ON SCHEMA side_rows TO regress_lq_side;
GRANT SELECT ON ALL TABLES IN SCHEMA side_rows TO regress_lq_side;
SELECT lead_qualify.archive('side', '2024-02-03');
DELETE FROM activity WHERE at < '2024-02-03';
SET ROLE regress_lq_side;
SELECT dimension, points FROM lead_qualify.score_at('side', 2, '2024-03-01');
RESET ROLE;
ALTER TABLE lead_baseline ENABLE ROW LEVEL SECURITY;
CREATE POLICY all_but_2 ON lead_baseline FOR SELECT USING (lead <> 2);
SET ROLE regress_lq_side;
SELECT dimension, points FROM lead_qualify.score_at('side', 2, '2024-03-01');
SELECT dimension, points FROM lead_qualify.score_at('side', 3, '2024-03-01');
RESET ROLE;
REVOKE SELECT ON lead_baseline FROM regress_lq_side;
SET ROLE regress_lq_side;
SELECT dimension, points FROM lead_qualify.score_at('side', 3, '2024-03-01');
RESET ROLE;
DROP OWNED BY regress_lq_side;
DROP ROLE regress_lq_side;

SET client_min_messages = warning;
DROP VIEW state;
SELECT FROM lead_qualify.detach('side', keep_data => false);
DROP SCHEMA side_rows CASCADE;
