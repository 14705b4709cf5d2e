--
-- Owners who alter what is theirs, and triggers that are not ours: errors or
-- WARNINGs, never a crash, and the application's inserts go on.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lead_qualify;
CREATE SCHEMA hostile;
SET search_path = hostile;
SET timezone = 'UTC';
SET datestyle = ISO;
\set VERBOSITY terse

CREATE TABLE leads (id bigint PRIMARY KEY, n int, created_at timestamptz);
CREATE TABLE activities (id bigint PRIMARY KEY, lead_id bigint, type text, at timestamptz);
CREATE INDEX ON activities (lead_id);
SELECT lead_qualify.attach('h', 'leads', 'activities', template => 'empty');
INSERT INTO lead_qualify.rule (pipeline, name, activity_type, points) VALUES ('h', 'demo', 'demo', 10);
INSERT INTO lead_qualify.gate (pipeline, stage, name, min_total, condition) VALUES ('h', 'mql', 'warm', 20, 'n > 1');
SELECT lead_qualify.publish('h', effective_from => '-infinity');
INSERT INTO leads VALUES (1, 5, '2026-01-01'), (2, 5, '2026-01-01');
INSERT INTO activities VALUES (1, 1, 'demo', '2026-02-01'), (2, 2, 'demo', '2026-02-01');

-- arguments
CALL lead_qualify.recompute_all(NULL);
CALL lead_qualify.recompute_all('h', 0);
CALL lead_qualify.recompute_all('h');

-- a trigger with our function on a table with another key
CREATE TABLE other (id text, stage text, stage_changed_at timestamptz, n int, created_at timestamptz);
CREATE TRIGGER forged AFTER INSERT ON other FOR EACH ROW EXECUTE FUNCTION lead_qualify.lead_changed('h');
INSERT INTO other VALUES ('x', 'lead');
CREATE TRIGGER forged_too AFTER INSERT ON other FOR EACH ROW EXECUTE FUNCTION lead_qualify.activity_changed('h', '9');
INSERT INTO other VALUES ('x', 'lead');
DROP TABLE other;

-- a score that is not of its version is computed anew
UPDATE leads_qualification SET score = '{"dimensions": []}' WHERE lead = 1;
INSERT INTO activities VALUES (3, 1, 'demo', '2026-02-02');
SELECT lead, total_at_event, stage FROM leads_qualification ORDER BY lead;

-- side tables that have been altered are not read: inserts go on, unscored
ALTER TABLE leads_attributes ALTER "values" DROP NOT NULL;
INSERT INTO activities VALUES (4, 2, 'demo', '2026-02-02');
SELECT kind, name, message FROM lead_qualify.problem WHERE pipeline = 'h';
SELECT * FROM lead_qualify.verify('h');
ALTER TABLE leads_attributes ALTER "values" SET NOT NULL;
-- what was missed is found, and taken in
SELECT * FROM lead_qualify.verify('h');
SELECT lead_qualify.recompute('h');
SELECT lead, total_at_event, stage FROM leads_qualification ORDER BY lead;

-- a table that was given away
CREATE ROLE regress_hostile_other;
GRANT ALL ON SCHEMA hostile TO regress_hostile_other;
CREATE ROLE regress_hostile_owner;
GRANT ALL ON SCHEMA hostile TO regress_hostile_owner;
ALTER TABLE leads OWNER TO regress_hostile_owner;
ALTER TABLE leads_qualification OWNER TO regress_hostile_owner;
ALTER TABLE leads_stage_history OWNER TO regress_hostile_owner;
ALTER TABLE leads_attributes OWNER TO regress_hostile_owner;
-- the new owner may not write one of the side tables: inserts go on
INSERT INTO activities VALUES (8, 2, 'demo', '2026-02-03');
SELECT kind, name, message FROM lead_qualify.problem WHERE pipeline = 'h';
ALTER TABLE leads_answers OWNER TO regress_hostile_owner;
ALTER TABLE leads_baseline OWNER TO regress_hostile_owner;
ALTER TABLE activities OWNER TO regress_hostile_other;
INSERT INTO activities VALUES (5, 2, 'demo', '2026-02-03');
SELECT kind, name, message FROM lead_qualify.problem WHERE pipeline = 'h';
ALTER TABLE activities OWNER TO regress_hostile_owner;
INSERT INTO activities VALUES (6, 2, 'demo', '2026-02-04');
SELECT lead_qualify.recompute('h');
SELECT * FROM lead_qualify.verify('h');

-- a view in the place of a side table
ALTER TABLE leads_attributes RENAME TO mine;
CREATE VIEW leads_attributes AS SELECT * FROM mine;
INSERT INTO activities VALUES (7, 2, 'demo', '2026-02-05');
SELECT kind, name, message FROM lead_qualify.problem WHERE pipeline = 'h';
DROP VIEW leads_attributes;
ALTER TABLE mine RENAME TO leads_attributes;
SELECT lead_qualify.recompute('h');
SELECT * FROM lead_qualify.verify('h');

SELECT lead_qualify.detach('h', keep_data => false);
DROP SCHEMA hostile CASCADE;
DROP ROLE regress_hostile_owner, regress_hostile_other;
