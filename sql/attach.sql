--
-- Attaching to existing tables: what is found, what is refused, what is made.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lead_qualify;
RESET client_min_messages;
\set SHOW_CONTEXT never
SET timezone = 'UTC';

CREATE SCHEMA crm;

-- what attach may not change when it refuses
CREATE VIEW crm.traces AS
SELECT (SELECT count(*) FROM lead_qualify.pipeline WHERE leads_schema = 'crm') AS pipelines,
       (SELECT count(*) FROM lead_qualify.stage JOIN lead_qualify.pipeline USING (pipeline)
        WHERE leads_schema = 'crm') AS stages,
       (SELECT count(*) FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
        WHERE t.tgname LIKE 'lead_qualify%' AND c.relnamespace = 'crm'::regnamespace) AS triggers,
       (SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = 'crm' AND c.relkind IN ('r', 'v')
          AND c.relname ~ '_(qualification|stage_history|attributes|scored)$') AS relations;

--
-- The main case: nothing is named
--
CREATE TABLE crm.leads (id bigint PRIMARY KEY, email text, created_at timestamptz);
CREATE TABLE crm.activities (
	id bigserial PRIMARY KEY,
	person bigint REFERENCES crm.leads,
	type text,
	occurred_at timestamptz DEFAULT now());
INSERT INTO crm.leads VALUES (1, 'a@example.com', '2026-01-01');
SELECT lead_qualify.attach('empty', 'crm.leads', 'crm.activities', template => 'empty');
SELECT lead_key, created_at, stage_column, changed_column, prefix, time_zone, mode, fire, version, stage_existed
FROM lead_qualify.pipeline WHERE pipeline = 'empty';
SELECT number, activities_schema, activities_table, activity_lead, activity_type, activity_at, activity_key,
       type_value, filter, time_zone, fire
FROM lead_qualify.source WHERE pipeline = 'empty';
SELECT tgrelid::regclass AS "table", tgname, pg_get_triggerdef(oid) AS definition
FROM pg_trigger WHERE NOT tgisinternal AND tgname LIKE 'lead\_qualify\_empty%' ORDER BY 1, 2;
SELECT stage, stage_changed_at FROM crm.leads;
-- every column is explained
SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod) AS type, a.attnotnull,
       col_description(c.oid, a.attnum) IS NOT NULL AS commented
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
WHERE c.relnamespace = 'crm'::regnamespace AND a.attnum > 0 AND c.relkind IN ('r', 'v')
  AND c.relname LIKE 'leads\_%'
ORDER BY c.relname, a.attnum;
SELECT relname, reloptions FROM pg_class
WHERE relnamespace = 'crm'::regnamespace AND relname ~ '^leads_[a-z]+$' ORDER BY relname;
SELECT lead, total, engagement, fit, grade, label, stage, stage_position, days_in_stage FROM crm.leads_scored;

-- attached twice, and a second pipeline that forgets its stage column
SELECT lead_qualify.attach('empty', 'crm.leads', 'crm.activities');
SELECT lead_qualify.attach('two', 'crm.leads', 'crm.activities', template => 'empty');
SELECT * FROM crm.traces;
SELECT lead_qualify.attach('two', 'crm.leads', 'crm.activities', template => 'empty', stage_column => 'partner stage');
SELECT stage_column, changed_column, prefix FROM lead_qualify.pipeline WHERE pipeline = 'two';
SELECT * FROM crm.leads;
SELECT lead_qualify.detach('two', keep_data => false);
SELECT * FROM crm.leads;
SELECT * FROM crm.traces;
SELECT lead_qualify.detach('empty', false);
SELECT * FROM crm.leads;
SELECT * FROM crm.traces;
SELECT lead_qualify.detach('empty');

--
-- Wrong arguments
--
SELECT lead_qualify.attach(NULL, 'crm.leads', 'crm.activities');
SELECT lead_qualify.attach('b2b', NULL, 'crm.activities');
SELECT lead_qualify.attach('', 'crm.leads', 'crm.activities');
SELECT lead_qualify.attach(repeat('x', 41), 'crm.leads', 'crm.activities');
SELECT lead_qualify.attach('b2b', 'crm.nothing', 'crm.activities');
SELECT lead_qualify.attach('b2b', 4294967295::regclass, 'crm.activities');
SELECT lead_qualify.attach('b2b', 'crm.leads', 'crm.leads');
SELECT lead_qualify.attach('b2b', 'crm.leads', 'crm.activities', template => 'b2c');
SELECT lead_qualify.attach('b2b', 'crm.leads', 'crm.activities', mode => 'dry');
SELECT lead_qualify.attach('b2b', 'crm.leads', 'crm.activities', fire => 'never');
SELECT lead_qualify.attach('b2b', 'crm.leads', 'crm.activities', time_zone => 'Mars/Olympus');
SELECT lead_qualify.attach('b2b', 'crm.leads', 'crm.activities', lead_key => 'nothing');
SELECT lead_qualify.attach('b2b', 'crm.leads', 'crm.activities', lead_key => 'email');
SELECT lead_qualify.attach('b2b', 'crm.leads', 'crm.activities', activity_at => 'type');
SELECT lead_qualify.attach('b2b', 'crm.leads', 'crm.activities', activity_type => 'occurred_at');
SELECT lead_qualify.attach('b2b', 'crm.leads', 'crm.activities', activity_lead => 'occurred_at');
SELECT lead_qualify.attach('b2b', 'crm.leads', 'crm.activities', activity_key => 'person');
SELECT lead_qualify.attach('b2b', 'crm.leads', 'crm.activities', created_at => 'email');
SELECT lead_qualify.attach('b2b', 'crm.leads', 'crm.activities', activity_type => 'type', type_value => 'call');
SELECT lead_qualify.attach('b2b', 'crm.leads', 'crm.activities', stage_column => 'id');
SELECT lead_qualify.attach('b2b', 'crm.leads', 'crm.activities', stage_column => 'xmin');
SELECT lead_qualify.add_source('nothing', 'crm.activities');
SELECT lead_qualify.go_live('nothing');
SELECT * FROM crm.traces;

--
-- Wrong relations
--
CREATE VIEW crm.view AS SELECT * FROM crm.leads;
CREATE MATERIALIZED VIEW crm.matview AS SELECT * FROM crm.leads;
CREATE FOREIGN DATA WRAPPER crm_dummy;
CREATE SERVER crm_server FOREIGN DATA WRAPPER crm_dummy;
CREATE FOREIGN TABLE crm.foreign_leads (id bigint) SERVER crm_server;
CREATE TEMPORARY TABLE temporary_leads (id bigint PRIMARY KEY);
CREATE TABLE crm.parts (id bigint, at timestamptz, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE crm.part PARTITION OF crm.parts DEFAULT;
SELECT lead_qualify.attach('b2b', 'pg_class', 'crm.activities');
SELECT lead_qualify.attach('b2b', 'information_schema.sql_features', 'crm.activities');
SELECT lead_qualify.attach('b2b', 'lead_qualify.rule', 'crm.activities');
SELECT lead_qualify.attach('b2b', 'crm.view', 'crm.activities');
SELECT lead_qualify.attach('b2b', 'crm.matview', 'crm.activities');
SELECT lead_qualify.attach('b2b', 'crm.foreign_leads', 'crm.activities');
SELECT lead_qualify.attach('b2b', 'temporary_leads', 'crm.activities');
SELECT lead_qualify.attach('b2b', 'crm.part', 'crm.activities');
SELECT lead_qualify.attach('b2b', 'crm.leads_pkey', 'crm.activities');
SELECT lead_qualify.attach('b2b', 'crm.leads', 'pg_class');
SELECT lead_qualify.attach('b2b', 'crm.leads', 'crm.view');

--
-- What cannot be found, or is ambiguous
--
CREATE TABLE crm.poor (a text, b bigint, "When" date, c jsonb);
SELECT lead_qualify.attach('b2b', 'crm.poor', 'crm.activities');
SELECT lead_qualify.attach('b2b', 'crm.poor', 'crm.activities', lead_key => 'b');
CREATE UNIQUE INDEX ON crm.poor (b);
SELECT lead_qualify.attach('b2b', 'crm.poor', 'crm.activities', lead_key => 'b');
SELECT lead_qualify.attach('b2b', 'crm.leads', 'crm.poor');
SELECT lead_qualify.attach('b2b', 'crm.leads', 'crm.poor', activity_lead => 'b');
SELECT lead_qualify.attach('b2b', 'crm.leads', 'crm.poor', activity_lead => 'b', activity_type => 'a');
SELECT lead_qualify.attach('b2b', 'crm.leads', 'crm.poor', activity_lead => 'b', activity_type => 'a', activity_at => 'When');
CREATE TABLE crm.calls (id bigint PRIMARY KEY, caller bigint REFERENCES crm.leads, callee bigint REFERENCES crm.leads);
SELECT lead_qualify.attach('b2b', 'crm.leads', 'crm.calls');
CREATE TABLE crm.composite (a bigint, b bigint, PRIMARY KEY (a, b));
SELECT lead_qualify.attach('b2b', 'crm.composite', 'crm.activities');
SELECT lead_qualify.attach('b2b', 'crm.leads', 'crm.activities', filter => 'nothing = 1');
SELECT lead_qualify.attach('b2b', 'crm.leads', 'crm.activities', filter => 'id');
SELECT * FROM crm.traces;

--
-- Whose tables
--
CREATE ROLE regress_lq_owner;
CREATE ROLE regress_lq_stranger;
CREATE ROLE regress_lq_reader;
CREATE ROLE regress_lq_member IN ROLE regress_lq_owner;
GRANT USAGE ON SCHEMA crm TO PUBLIC;
GRANT SELECT ON crm.traces TO PUBLIC;
GRANT CREATE ON SCHEMA crm TO regress_lq_owner;
ALTER TABLE crm.leads OWNER TO regress_lq_owner;
SET ROLE regress_lq_stranger;
SELECT lead_qualify.attach('b2b', 'crm.leads', 'crm.activities');
SET ROLE regress_lq_member;
SELECT lead_qualify.attach('b2b', 'crm.leads', 'crm.activities');
RESET ROLE;
-- a superuser's activities may write for anybody, a stranger's may not
ALTER TABLE crm.activities OWNER TO regress_lq_stranger;
SELECT lead_qualify.attach('b2b', 'crm.leads', 'crm.activities');
SELECT * FROM crm.traces;
ALTER TABLE crm.activities OWNER TO regress_lq_owner;
GRANT SELECT ON crm.leads TO regress_lq_reader;
SET ROLE regress_lq_member;
SELECT lead_qualify.attach('b2b', 'crm.leads', 'crm.activities', template => 'empty');
RESET ROLE;
SELECT relname, relowner::regrole, has_table_privilege('regress_lq_reader', oid, 'SELECT') AS readable,
       has_table_privilege('regress_lq_stranger', oid, 'SELECT') AS by_strangers
FROM pg_class WHERE relnamespace = 'crm'::regnamespace
AND relname IN ('leads_qualification', 'leads_stage_history', 'leads_attributes', 'leads_scored') ORDER BY 1;
SET ROLE regress_lq_reader;
SELECT count(*) FROM crm.leads_scored;
SET ROLE regress_lq_stranger;
SELECT count(*) FROM crm.leads_scored;
SELECT lead_qualify.detach('b2b');
SELECT lead_qualify.go_live('b2b');
SELECT lead_qualify.add_source('b2b', 'crm.calls');
-- a forged trigger, of the same form
CREATE TEMPORARY TABLE forged (id bigint, person bigint, type text, occurred_at timestamptz);
CREATE TRIGGER lead_qualify_b2b_insert AFTER INSERT ON forged REFERENCING NEW TABLE AS lead_qualify_new
	FOR EACH STATEMENT EXECUTE FUNCTION lead_qualify.activity_changed('b2b', '1');
INSERT INTO forged VALUES (1, 1, 'demo_request', '2026-01-02');
SET ROLE regress_lq_owner;
SELECT lead_qualify.go_live('b2b');
SELECT lead_qualify.detach('b2b', false);
RESET ROLE;
DROP TABLE forged;
SELECT * FROM crm.traces;

-- attached by a superuser: all belongs to the owner of leads
ALTER TABLE crm.leads ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON crm.leads FOR SELECT USING (email LIKE '%@example.com');
SELECT lead_qualify.attach('b2b', 'crm.leads', 'crm.activities', template => 'empty');
SELECT relname, relowner::regrole, relrowsecurity
FROM pg_class WHERE relnamespace = 'crm'::regnamespace
AND relname IN ('leads_qualification', 'leads_stage_history', 'leads_attributes', 'leads_scored') ORDER BY 1;
INSERT INTO crm.leads_attributes VALUES (1, '2026-01-01', '{}'), (2, '2026-01-01', '{}');
SELECT tablename, policyname, cmd, qual FROM pg_policies WHERE schemaname = 'crm' ORDER BY 1, 2;
SET ROLE regress_lq_reader;
SELECT lead FROM crm.leads_attributes;
RESET ROLE;
SELECT lead_qualify.detach('b2b', false);
DROP VIEW crm.view;
DROP MATERIALIZED VIEW crm.matview;
DROP TABLE crm.leads, crm.calls, crm.activities;

--
-- A stage column of the application
--
CREATE TYPE crm.status AS ENUM ('New', 'MQL', 'SAL', 'Sales qualified', 'Opportunity', 'Closed-Won', 'On hold', 'Recycled');
CREATE TABLE crm.leads (id uuid PRIMARY KEY, status text, stage crm.status);
CREATE TABLE crm.activities (id uuid PRIMARY KEY, lead_id text, kind varchar(20), happened_at timestamp);
INSERT INTO crm.leads
SELECT ('00000000-0000-0000-0000-00000000000' || i)::uuid,
       (ARRAY['Neu', 'Neu', 'Heiss', NULL, 'Kunde'])[i],
       (ARRAY['New', 'MQL', 'Sales qualified', NULL, 'On hold'])[i]::crm.status
FROM generate_series(1, 5) i;
-- a label is missing
SELECT lead_qualify.attach('b2b', 'crm.leads', 'crm.activities');
ALTER TYPE crm.status ADD VALUE 'Unqualified';
SELECT lead_qualify.attach('b2b', 'crm.leads', 'crm.activities', time_zone => 'Europe/Berlin');
SELECT stage, stored_as FROM lead_qualify.stage WHERE pipeline = 'b2b' ORDER BY "position";
SELECT lead, stage, cycle, score IS NULL AS unscored FROM crm.leads_qualification ORDER BY lead;
SELECT lead, cycle, stage, from_stage, entered_at, left_at, cause, origin, recorded_at = now() AS now
FROM crm.leads_stage_history ORDER BY id;
SELECT lead, total, stage, stage_position, days_in_stage FROM crm.leads_scored ORDER BY lead;
SELECT attname FROM pg_attribute WHERE attrelid = 'crm.leads'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum;
SELECT lead_qualify.detach('b2b', false);
SELECT attname FROM pg_attribute WHERE attrelid = 'crm.leads'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum;

-- values in other words
SELECT lead_qualify.attach('b2b', 'crm.leads', 'crm.activities', stage_column => 'status');
SET lead_qualify.stored_as = '{"lead": "Neu", "mql": "Heiss", "kunde": "Kunde"}';
SELECT lead_qualify.attach('b2b', 'crm.leads', 'crm.activities', stage_column => 'status');
SET lead_qualify.stored_as = '{"lead": "Neu", "mql": "Heiss", "customer": "Kunde"}';
ALTER TABLE crm.leads ADD CONSTRAINT known CHECK (status IN ('Neu', 'Heiss', 'Kunde', 'sql'));
SELECT lead_qualify.attach('b2b', 'crm.leads', 'crm.activities', stage_column => 'status');
ALTER TABLE crm.leads DROP CONSTRAINT known;
ALTER TABLE crm.leads ALTER COLUMN status TYPE varchar(8);
SELECT lead_qualify.attach('b2b', 'crm.leads', 'crm.activities', stage_column => 'status');
ALTER TABLE crm.leads ALTER COLUMN status TYPE text;
SELECT * FROM crm.traces;
SELECT lead_qualify.attach('b2b', 'crm.leads', 'crm.activities', stage_column => 'status', mode => 'shadow');
RESET lead_qualify.stored_as;
SELECT lead, stage FROM crm.leads_qualification ORDER BY lead;

--
-- Shadow mode, detach that keeps, attach that takes up
--
UPDATE crm.leads_qualification SET stage = 'sql' WHERE lead = '00000000-0000-0000-0000-000000000001';
SELECT status, status_changed_at FROM crm.leads WHERE id = '00000000-0000-0000-0000-000000000001';
SELECT lead_qualify.go_live('b2b');
SELECT status, status_changed_at FROM crm.leads WHERE id = '00000000-0000-0000-0000-000000000001';
SELECT lead_qualify.go_live('b2b');
SELECT lead_qualify.detach('b2b');
SELECT * FROM crm.traces;
SELECT obj_description('crm.leads_qualification'::regclass);
-- while detached: one lead moves, one goes, one comes
UPDATE crm.leads SET status = 'Kunde' WHERE id = '00000000-0000-0000-0000-000000000002';
DELETE FROM crm.leads WHERE id = '00000000-0000-0000-0000-000000000003';
INSERT INTO crm.leads VALUES ('00000000-0000-0000-0000-000000000006', 'Neu');
-- another pipeline does not take them
SELECT lead_qualify.attach('other', 'crm.leads', 'crm.activities', stage_column => 'stage2', template => 'empty');
SET lead_qualify.stored_as = '{"lead": "Neu", "mql": "Heiss", "customer": "Kunde"}';
SELECT lead_qualify.attach('b2b', 'crm.leads', 'crm.activities', stage_column => 'status');
RESET lead_qualify.stored_as;
SELECT lead, stage FROM crm.leads_qualification ORDER BY lead;
SELECT lead, stage, from_stage, cause, left_at IS NULL AS open FROM crm.leads_stage_history ORDER BY id;
SELECT lead_qualify.detach('b2b', false);

-- a taken name
CREATE TABLE crm.leads_attributes (x int);
SELECT lead_qualify.attach('b2b', 'crm.leads', 'crm.activities', stage_column => 's');
DROP TABLE crm.leads_attributes;

-- what was dropped or renamed meanwhile is passed over
SELECT lead_qualify.attach('b2b', 'crm.leads', 'crm.activities', stage_column => 's', template => 'empty');
DROP TABLE crm.leads_attributes;
ALTER TABLE crm.leads RENAME TO persons;
SELECT lead_qualify.detach('b2b', false);
SELECT * FROM crm.traces;
ALTER TABLE crm.persons RENAME TO leads;
SELECT lead_qualify.attach('b2b', 'crm.leads', 'crm.activities', stage_column => 's2', template => 'empty');
DROP TABLE crm.leads, crm.activities CASCADE;
SELECT lead_qualify.detach('b2b', false);
SELECT * FROM crm.traces;

--
-- Odd names, other keys, partitions, other triggers
--
CREATE TABLE crm."Leads, ""all""" ("Lead Id" varchar(10) COLLATE "C", born date NOT NULL, PRIMARY KEY ("Lead Id", born))
	PARTITION BY RANGE (born);
CREATE TABLE crm.leads_of_old PARTITION OF crm."Leads, ""all""" DEFAULT;
CREATE TABLE crm."Events" ("Id" int, "Who" text, "What" int, "Day" date, PRIMARY KEY ("Id", "Day")) PARTITION BY RANGE ("Day");
CREATE TABLE crm.events_of_old PARTITION OF crm."Events" DEFAULT;
CREATE INDEX ON crm."Events" ("Who", "Day");
INSERT INTO crm."Leads, ""all""" VALUES ('x', '2026-01-01');
SELECT lead_qualify.attach('it''s', 'crm."Leads, ""all"""', 'crm."Events"', activity_lead => 'Who', activity_type => 'What',
	activity_at => 'Day', fire => 'row', template => 'empty', filter => '"What" > 0', stage_column => 'The Stage');
SELECT filter, filter_expression FROM lead_qualify.source WHERE pipeline = 'it''s';
SELECT tgrelid::regclass AS "table", tgname, tgenabled, pg_get_triggerdef(oid) AS definition
FROM pg_trigger WHERE NOT tgisinternal AND tgparentid = 0 AND tgname LIKE 'lead\_qualify\_it''s%' ORDER BY 1, 2;
CREATE TABLE crm.mails (id bigint PRIMARY KEY, lead_id text, at timestamptz);
CREATE INDEX ON crm.mails (lead_id);
-- (publish says from when the new version is in force)
SET client_min_messages = warning;
SELECT lead_qualify.add_source('it''s', 'crm.mails', type_value => 'mail', fire => 'deferred');
RESET client_min_messages;
SELECT lead_qualify.add_source('it''s', 'crm.mails', type_value => 'mail');
SELECT lead_qualify.add_source('it''s', 'crm."Leads, ""all"""', type_value => 'mail');
SELECT number, activities_table, activity_type, type_value, time_zone, fire FROM lead_qualify.source
WHERE pipeline = 'it''s' ORDER BY number;
SELECT version, note FROM lead_qualify.version WHERE pipeline = 'it''s' ORDER BY version;
SELECT tgname, tgdeferrable, tginitdeferred, pg_get_triggerdef(oid) AS definition
FROM pg_trigger WHERE tgrelid = 'crm.mails'::regclass ORDER BY 1;
UPDATE lead_qualify.dimension SET maximum = 7 WHERE pipeline = 'it''s';
CREATE TABLE crm.forms (id bigint PRIMARY KEY, lead_id text, at timestamptz);
SELECT lead_qualify.add_source('it''s', 'crm.forms', type_value => 'form');
SELECT format_type(atttypid, atttypmod), collname FROM pg_attribute a JOIN pg_collation c ON c.oid = attcollation
WHERE attrelid = 'crm."Leads, ""all""_qualification"'::regclass AND attname = 'lead';
SELECT lead_qualify.detach('it''s', false);
SELECT * FROM crm.traces;

-- the longest names
CREATE TABLE crm.a123456789b123456789c123456789d123456789e123456789f123456789g12 (id int PRIMARY KEY);
CREATE TABLE crm.acts (id int PRIMARY KEY, lead_id int, at date, type text);
SELECT lead_qualify.attach(repeat('p', 40), 'crm.a123456789b123456789c123456789d123456789e123456789f123456789g12',
	'crm.acts', stage_column => repeat('s', 63), template => 'empty');
SELECT relname FROM pg_class WHERE relnamespace = 'crm'::regnamespace AND relname LIKE 'a12345%' AND relkind IN ('r', 'v') ORDER BY 1;
SELECT attname FROM pg_attribute
WHERE attrelid = 'crm.a123456789b123456789c123456789d123456789e123456789f123456789g12'::regclass AND attnum > 1;
SELECT lead_qualify.detach(repeat('p', 40), false);

SET client_min_messages = warning;
DROP SCHEMA crm CASCADE;
DROP SERVER crm_server;
DROP FOREIGN DATA WRAPPER crm_dummy;
DROP ROLE regress_lq_member, regress_lq_reader, regress_lq_stranger, regress_lq_owner;
