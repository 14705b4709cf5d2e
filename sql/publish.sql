--
-- the draft, publish(), diff(), rollback_to(), discard_draft(), templates
--
SET client_min_messages = warning;
SET intervalstyle = postgres;
SET datestyle = ISO;
CREATE EXTENSION IF NOT EXISTS lead_qualify;
CREATE ROLE regress_publish_owner;
CREATE ROLE regress_publish_reader;
CREATE ROLE regress_publish_other;
SET timezone = 'UTC';
\set ON_ERROR_STOP 0
\set VERBOSITY default
\set SHOW_CONTEXT never

CREATE SCHEMA publish_crm AUTHORIZATION regress_publish_owner;
CREATE SCHEMA publish_mine AUTHORIZATION regress_publish_owner;
SET ROLE regress_publish_owner;
CREATE TABLE publish_crm.leads (
	id bigint PRIMARY KEY,
	email text,
	"Company" text,
	industry text,
	no_of_employees integer,
	job_title varchar(80),
	created_at timestamptz
);
CREATE TABLE publish_crm.activities (
	id bigint PRIMARY KEY,
	lead_id bigint REFERENCES publish_crm.leads,
	activity_type text,
	occurred_at timestamptz,
	campaign_id integer,
	page text
);
CREATE INDEX ON publish_crm.activities (lead_id);
CREATE TABLE publish_crm.calls (
	id bigint PRIMARY KEY,
	lead_id bigint REFERENCES publish_crm.leads,
	occurred_at timestamptz,
	seconds integer
);
CREATE INDEX ON publish_crm.calls (lead_id);
GRANT USAGE ON SCHEMA publish_crm TO regress_publish_reader;
GRANT SELECT ON publish_crm.leads TO regress_publish_reader;

SELECT lead_qualify.attach('pub', 'publish_crm.leads', 'publish_crm.activities');

-- the template
SELECT dimension, minimum, maximum, weight FROM lead_qualify.dimension ORDER BY 1;
SELECT name, points, decay, period, at_most, per, max_points, per_value
FROM lead_qualify.rule WHERE applies_to = 'activity' ORDER BY name COLLATE "C";
SELECT name, dimension, points, condition
FROM lead_qualify.rule WHERE applies_to = 'lead' ORDER BY name COLLATE "C";
SELECT stage, position, kind, owner, sla FROM lead_qualify.stage ORDER BY position;
SELECT stage, name, from_stages, min_engagement, min_fit, framework, activity_type, automatic, enabled
FROM lead_qualify.gate ORDER BY stage, name;
SELECT dimension, label, minimum FROM lead_qualify.band ORDER BY 1, 3 DESC;

-- the first version is in force from the beginning
SELECT version, effective_from, published_by, note FROM lead_qualify.version;
SELECT jsonb_object_keys(config) AS key FROM lead_qualify.version ORDER BY 1;
SELECT config -> 'lead_columns' AS lead_columns, config -> 'activity_columns' AS activity_columns
FROM lead_qualify.version;
SELECT config -> 'expressions' ->> 'rule company_known' AS company_known,
	config -> 'expressions' ->> 'per_value email_open' AS email_open
FROM lead_qualify.version;
SELECT c ->> 'stage' AS stage, c ->> 'gate' AS gate, c ->> 'function' AS function, c ->> 'argument' AS argument
FROM lead_qualify.version, jsonb_array_elements(config -> 'calls') c
ORDER BY c ->> 'stage', c ->> 'gate', c ->> 'argument';

-- nothing is different yet
SELECT * FROM lead_qualify.diff('pub');

-- an edit is shown, and acts when it is published
UPDATE lead_qualify.rule SET points = 12.5, period = '10 days' WHERE name = 'pricing_view';
DELETE FROM lead_qualify.rule WHERE name = 'guide_download';
UPDATE lead_qualify.gate
SET condition = 'times(''whitepaper_download'', ''7 days'') > 0'
WHERE name = 'document';
UPDATE lead_qualify.gate SET from_stages = '{lead}', min_grade = 'B' WHERE stage = 'mql' AND name = 'score';
INSERT INTO lead_qualify.rule (pipeline, name, activity_type, condition, points)
VALUES ('pub', 'pricing_page', 'page_view', 'page LIKE ''/pricing%''', 2);
INSERT INTO lead_qualify.list (pipeline, list, value) VALUES ('pub', 'competitors', 'acme.example');
INSERT INTO lead_qualify.exclusion (pipeline, name, condition)
VALUES ('pub', 'competitor', 'in_list(''competitors'', split_part(email, ''@'', 2))');
SELECT object, name, change, draft, live FROM lead_qualify.diff('pub');
SELECT lead_qualify.publish('pub', 'spring', '2024-01-01');
SELECT * FROM lead_qualify.diff('pub');
SELECT version, effective_from, note FROM lead_qualify.version ORDER BY version;
SELECT version FROM lead_qualify.pipeline;
SELECT config -> 'expressions' ->> 'exclusion competitor' AS competitor,
	config -> 'expressions' ->> 'rule pricing_page' AS pricing_page
FROM lead_qualify.version WHERE version = 2;
SELECT jsonb_array_elements(config -> 'calls') AS call
FROM lead_qualify.version WHERE version = 2 LIMIT 1;

-- the same draft is the same JSON under any setting
SELECT md5(lead_qualify.draft_config('pub')::text) AS before \gset
SET intervalstyle = 'iso_8601';
SET extra_float_digits = -10;
SELECT md5(lead_qualify.draft_config('pub')::text) = :'before' AS same;
RESET intervalstyle;
RESET extra_float_digits;

-- discard, and go back
UPDATE lead_qualify.rule SET points = 99;
DELETE FROM lead_qualify.stage;
DELETE FROM lead_qualify.gate;
SELECT lead_qualify.discard_draft('pub');
SELECT * FROM lead_qualify.diff('pub');
SELECT lead_qualify.rollback_to('pub', 1);
SELECT version, note FROM lead_qualify.version ORDER BY version;
SELECT a.config -> 'rules' = b.config -> 'rules' AS rules, a.config = b.config AS config
FROM lead_qualify.version a, lead_qualify.version b WHERE a.version = 1 AND b.version = 3;
SELECT lead_qualify.rollback_to('pub', 7);

-- values that no row may have
INSERT INTO lead_qualify.rule (pipeline, name, points) VALUES ('pub', 'x', 'NaN');
INSERT INTO lead_qualify.rule (pipeline, name, points) VALUES ('pub', 'x', '-Infinity');
INSERT INTO lead_qualify.rule (pipeline, name) VALUES ('pub', '');
INSERT INTO lead_qualify.rule (pipeline, name) VALUES ('pub', repeat('x', 64));
INSERT INTO lead_qualify.rule (pipeline, name, applies_to) VALUES ('pub', 'x', 'company');
INSERT INTO lead_qualify.rule (pipeline, name, decay, period) VALUES ('pub', 'x', 'cubic', '1 day');
INSERT INTO lead_qualify.rule (pipeline, name, decay) VALUES ('pub', 'x', 'linear');
INSERT INTO lead_qualify.rule (pipeline, name, period) VALUES ('pub', 'x', '1 day');
INSERT INTO lead_qualify.rule (pipeline, name, decay, period) VALUES ('pub', 'x', 'linear', '0');
INSERT INTO lead_qualify.rule (pipeline, name, decay, period) VALUES ('pub', 'x', 'linear', '1001 years');
INSERT INTO lead_qualify.rule (pipeline, name, at_most) VALUES ('pub', 'x', 0);
INSERT INTO lead_qualify.rule (pipeline, name, at_most, per) VALUES ('pub', 'x', 1, 'hour');
INSERT INTO lead_qualify.rule (pipeline, name, per) VALUES ('pub', 'x', 'day');
INSERT INTO lead_qualify.rule (pipeline, name, per_value) VALUES ('pub', 'x', 'page');
INSERT INTO lead_qualify.rule (pipeline, name, at_least) VALUES ('pub', 'x', 0);
INSERT INTO lead_qualify.rule (pipeline, name, within) VALUES ('pub', 'x', '1 day');
INSERT INTO lead_qualify.rule (pipeline, name, max_points) VALUES ('pub', 'x', 0);
INSERT INTO lead_qualify.rule (pipeline, name, max_points) VALUES ('pub', 'x', 'Infinity');
INSERT INTO lead_qualify.rule (pipeline, name, applies_to, decay, period) VALUES ('pub', 'x', 'lead', 'linear', '1 day');
INSERT INTO lead_qualify.rule (pipeline, name, condition) VALUES ('pub', 'x', ' ');
INSERT INTO lead_qualify.dimension (pipeline, dimension, minimum, maximum) VALUES ('pub', 'x', 2, 1);
INSERT INTO lead_qualify.dimension (pipeline, dimension, weight) VALUES ('pub', 'x', 'Infinity');
INSERT INTO lead_qualify.stage (pipeline, stage, position, kind) VALUES ('pub', 'x', 20, 'prospect');
INSERT INTO lead_qualify.stage (pipeline, stage, position, kind) VALUES ('pub', 'x', 1, 'mql');
INSERT INTO lead_qualify.gate (pipeline, stage, name, from_stages) VALUES ('pub', 'mql', 'x', '{}');
INSERT INTO lead_qualify.gate (pipeline, stage, name, from_stages) VALUES ('pub', 'mql', 'x', '{lead,NULL}');
INSERT INTO lead_qualify.gate (pipeline, stage, name, min_total) VALUES ('pub', 'mql', 'x', 'NaN');
INSERT INTO lead_qualify.exclusion (pipeline, name) VALUES ('pub', 'x');
INSERT INTO lead_qualify.band (pipeline, dimension, label, minimum) VALUES ('pub', 'fit', 'E', 'NaN');
-- positions can be shifted in one statement
BEGIN;
UPDATE lead_qualify.stage SET position = position + 1;
ROLLBACK;

-- what publish refuses: each is undone by the next discard
UPDATE lead_qualify.rule SET dimension = 'charm' WHERE name = 'demo_request';
SELECT lead_qualify.publish('pub');
SELECT lead_qualify.discard_draft('pub');

UPDATE lead_qualify.rule SET dimension = 'total' WHERE name = 'demo_request';
INSERT INTO lead_qualify.dimension (pipeline, dimension, maximum) VALUES ('pub', 'total', 100);
SELECT lead_qualify.publish('pub');
SELECT lead_qualify.discard_draft('pub');

UPDATE lead_qualify.rule SET condition = 'pages = 1' WHERE name = 'demo_request';
SELECT lead_qualify.publish('pub');
UPDATE lead_qualify.rule SET condition = 'page' WHERE name = 'demo_request';
SELECT lead_qualify.publish('pub');
UPDATE lead_qualify.rule SET condition = 'page = ''a'' OR' WHERE name = 'demo_request';
SELECT lead_qualify.publish('pub');
UPDATE lead_qualify.rule SET condition = 'random() < 0.5' WHERE name = 'demo_request';
SELECT lead_qualify.publish('pub');
UPDATE lead_qualify.rule SET condition = 'times(''page_view'') > 1' WHERE name = 'demo_request';
SELECT lead_qualify.publish('pub');
-- a disabled rule may be half edited
UPDATE lead_qualify.rule SET enabled = false WHERE name = 'demo_request';
BEGIN;
SELECT lead_qualify.publish('pub', effective_from => '2024-01-01');
ROLLBACK;
SELECT lead_qualify.discard_draft('pub');

UPDATE lead_qualify.rule SET per_value = 'nothing' WHERE name = 'email_open';
SELECT lead_qualify.publish('pub');
SELECT lead_qualify.discard_draft('pub');

UPDATE lead_qualify.rule SET condition = 'employees > 5' WHERE name = 'company_size';
SELECT lead_qualify.publish('pub');
SELECT lead_qualify.discard_draft('pub');

INSERT INTO lead_qualify.exclusion (pipeline, name, condition) VALUES ('pub', 'staff', 'email');
SELECT lead_qualify.publish('pub');
SELECT lead_qualify.discard_draft('pub');
INSERT INTO lead_qualify.exclusion (pipeline, name, condition)
VALUES ('pub', 'competitor', 'in_list(''rivals'', email)');
SELECT lead_qualify.publish('pub');
SELECT lead_qualify.discard_draft('pub');

UPDATE lead_qualify.gate SET condition = 'times(''nothing'') > 0' WHERE name = 'request';
SELECT lead_qualify.publish('pub');
UPDATE lead_qualify.gate SET condition = 'times(''company_size'') > 0' WHERE name = 'request';
SELECT lead_qualify.publish('pub');
UPDATE lead_qualify.gate SET condition = 'points(''charm'') > 0' WHERE name = 'request';
SELECT lead_qualify.publish('pub');
UPDATE lead_qualify.gate SET condition = 'email' WHERE name = 'request';
SELECT lead_qualify.publish('pub');
SELECT lead_qualify.discard_draft('pub');

INSERT INTO lead_qualify.gate (pipeline, stage, name) VALUES ('pub', 'mql', 'open');
SELECT lead_qualify.publish('pub');
INSERT INTO lead_qualify.gate (pipeline, stage, name, activity_type) VALUES ('pub', 'disqualified', 'nowhere', 'unsubscribed');
DELETE FROM lead_qualify.gate WHERE name = 'open';
SELECT lead_qualify.publish('pub');
DELETE FROM lead_qualify.gate WHERE name = 'nowhere';
INSERT INTO lead_qualify.gate (pipeline, stage, name) VALUES ('pub', 'mql', 'open');
UPDATE lead_qualify.gate SET stage = 'prospect', min_total = 1 WHERE name = 'open';
SELECT lead_qualify.publish('pub');
UPDATE lead_qualify.gate SET stage = 'sql', from_stages = '{mql,prospect}' WHERE name = 'open';
SELECT lead_qualify.publish('pub');
UPDATE lead_qualify.gate SET from_stages = '{mql,sql}' WHERE name = 'open';
SELECT lead_qualify.publish('pub');
UPDATE lead_qualify.gate SET from_stages = NULL, min_grade = 'A' WHERE name = 'open';
DELETE FROM lead_qualify.band WHERE dimension = 'fit';
SELECT lead_qualify.publish('pub');
SELECT lead_qualify.discard_draft('pub');

DELETE FROM lead_qualify.rule WHERE dimension = 'fit';
DELETE FROM lead_qualify.dimension WHERE dimension = 'fit';
SELECT lead_qualify.publish('pub');
UPDATE lead_qualify.gate SET min_fit = NULL;
SELECT lead_qualify.publish('pub');
SELECT lead_qualify.discard_draft('pub');

INSERT INTO lead_qualify.band (pipeline, dimension, label, minimum) VALUES ('pub', 'fit', 'E', -10);
SELECT lead_qualify.publish('pub');
SELECT lead_qualify.discard_draft('pub');

UPDATE lead_qualify.stage SET position = 0 WHERE stage = 'hold';
SELECT lead_qualify.publish('pub');
UPDATE lead_qualify.stage SET kind = 'hold';
SELECT lead_qualify.publish('pub');
SELECT lead_qualify.discard_draft('pub');
UPDATE lead_qualify.stage SET stored_as = 'waiting' WHERE stage IN ('mql', 'sal');
SELECT lead_qualify.publish('pub');
SELECT lead_qualify.discard_draft('pub');

SELECT lead_qualify.publish(NULL);
SELECT lead_qualify.publish('pub', NULL, NULL);
SELECT lead_qualify.publish('pub', NULL, 'infinity');
SELECT lead_qualify.publish('nothing');
SELECT lead_qualify.rollback_to('nothing', 1);
SELECT lead_qualify.discard_draft('nothing');
SELECT * FROM lead_qualify.diff('nothing');
-- after all that nothing has changed
SELECT * FROM lead_qualify.diff('pub');
SELECT max(version) FROM lead_qualify.version;

-- a stage that leads are in stays: demo requests with fit 35 lead to sql
INSERT INTO publish_crm.leads VALUES
	(1, 'ann@one.example', 'One', 'software', 80, 'CEO', '2024-02-01'),
	(2, 'bob@two.example', 'Two', 'software', 80, 'CEO', '2024-02-01'),
	(3, 'cat@three.example', NULL, NULL, NULL, NULL, '2024-02-01');
INSERT INTO publish_crm.activities VALUES
	(1, 1, 'demo_request', '2024-02-02', NULL, NULL),
	(2, 2, 'demo_request', '2024-02-02', NULL, NULL);
SELECT id, stage FROM publish_crm.leads ORDER BY id;
DELETE FROM lead_qualify.stage WHERE stage = 'sql';
DELETE FROM lead_qualify.gate WHERE stage = 'sql';
SELECT lead_qualify.publish('pub');
SELECT lead_qualify.discard_draft('pub');
-- lead 3 has no activity; its stage is the column's default
UPDATE lead_qualify.stage SET stored_as = 'new' WHERE stage = 'lead';
SELECT lead_qualify.publish('pub');
SELECT lead_qualify.discard_draft('pub');
-- one that no lead is in may go
DELETE FROM lead_qualify.stage WHERE stage = 'sal';
DELETE FROM lead_qualify.gate WHERE stage = 'sal';
UPDATE lead_qualify.gate SET from_stages = '{mql,hold}' WHERE name = 'bant';
SELECT lead_qualify.publish('pub', effective_from => '2024-03-01');
-- a new first stage is where new leads begin
INSERT INTO lead_qualify.stage (pipeline, stage, position, kind) VALUES ('pub', 'visitor', 0, 'lead');
SELECT lead_qualify.publish('pub', effective_from => '2024-03-01');
INSERT INTO publish_crm.leads (id, created_at) VALUES (4, '2024-03-02');
SELECT id, stage FROM publish_crm.leads ORDER BY id;

-- with effective_from in the past leads are computed anew
UPDATE lead_qualify.rule SET points = 20 WHERE name = 'demo_request';
RESET client_min_messages;
SELECT lead_qualify.publish('pub', 'half the points', '-infinity');
SET client_min_messages = warning;
SELECT lead, engagement_at_event, version FROM publish_crm.leads_qualification WHERE lead <= 2 ORDER BY lead;

-- a condition need not fit every source; with no source left it is refused
SELECT lead_qualify.add_source('pub', 'publish_crm.calls', type_value => 'call');
INSERT INTO lead_qualify.rule (pipeline, name, activity_type, condition, points)
VALUES ('pub', 'long_call', 'call', 'seconds > 300', 5),
	('pub', 'any_pricing', NULL, 'page = ''/pricing''', 1);
SELECT lead_qualify.publish('pub', effective_from => '2024-03-01');
SELECT config -> 'expressions' -> 'rule long_call' AS long_call,
	config -> 'expressions' -> 'rule any_pricing' AS any_pricing,
	config -> 'activity_columns' AS activity_columns
FROM lead_qualify.version ORDER BY version DESC LIMIT 1;
UPDATE lead_qualify.rule SET condition = 'minutes > 5' WHERE name = 'long_call';
SELECT lead_qualify.publish('pub');
UPDATE lead_qualify.rule SET condition = 'minutes > 5' WHERE name = 'any_pricing';
DELETE FROM lead_qualify.rule WHERE name = 'long_call';
SELECT lead_qualify.publish('pub');
SELECT lead_qualify.discard_draft('pub');

-- the publisher's search_path decides what a name means, then no longer
CREATE FUNCTION publish_mine.is_big(integer) RETURNS boolean
LANGUAGE sql IMMUTABLE AS 'SELECT $1 > 1000';
UPDATE lead_qualify.rule SET condition = 'is_big(no_of_employees)' WHERE name = 'company_size';
SELECT lead_qualify.publish('pub');
SET search_path = publish_mine;
SELECT lead_qualify.publish('pub', effective_from => '2024-03-01');
RESET search_path;
SELECT config -> 'expressions' -> 'rule company_size' AS company_size
FROM lead_qualify.version ORDER BY version DESC LIMIT 1;

-- others: a reader sees what is published, nobody else anything
SET ROLE regress_publish_reader;
SELECT pipeline FROM lead_qualify.pipeline WHERE pipeline = 'pub';
SELECT count(*) > 0 AS versions FROM lead_qualify.version WHERE pipeline = 'pub';
SELECT count(*) AS rules FROM lead_qualify.rule;
SELECT * FROM lead_qualify.diff('pub');
SELECT lead_qualify.publish('pub');
SELECT lead_qualify.rollback_to('pub', 1);
SELECT lead_qualify.discard_draft('pub');
INSERT INTO lead_qualify.rule (pipeline, name) VALUES ('pub', 'mine');
UPDATE lead_qualify.rule SET points = 1000;
DELETE FROM lead_qualify.version;
SELECT lead_qualify.restore_draft('pub', '{}');
SET ROLE regress_publish_other;
SELECT count(*) AS pipelines FROM lead_qualify.pipeline WHERE pipeline = 'pub';
SELECT count(*) AS versions FROM lead_qualify.version WHERE pipeline = 'pub';
SELECT lead_qualify.publish('pub');
SET ROLE regress_publish_owner;
UPDATE lead_qualify.pipeline SET version = 1;
INSERT INTO lead_qualify.version (pipeline, version, config, effective_from, published_by)
VALUES ('pub', 99, '{}', 'now', 'me');

-- what is missing is listed, for those who can mend it
SELECT * FROM lead_qualify.problem;
ALTER TABLE publish_crm.calls RENAME COLUMN occurred_at TO called_at;
ALTER TABLE publish_crm.leads_attributes RENAME TO elsewhere;
SELECT * FROM lead_qualify.problem ORDER BY kind, name, message;
SET ROLE regress_publish_reader;
SELECT * FROM lead_qualify.problem;
SET ROLE regress_publish_owner;
SELECT lead_qualify.publish('pub');
ALTER TABLE publish_crm.elsewhere RENAME TO leads_attributes;
ALTER TABLE publish_crm.calls RENAME COLUMN called_at TO occurred_at;

-- templates without the columns: thresholds of fit follow the rules there are
RESET client_min_messages;
CREATE TABLE publish_crm.bare (id integer PRIMARY KEY);
CREATE TABLE publish_crm.bare_activities (
	id integer PRIMARY KEY,
	lead_id integer REFERENCES publish_crm.bare,
	type text,
	at timestamptz
);
CREATE INDEX ON publish_crm.bare_activities (lead_id);
SELECT lead_qualify.attach('bare', 'publish_crm.bare', 'publish_crm.bare_activities');
SELECT stage, name, min_engagement, min_fit, enabled, condition
FROM lead_qualify.gate WHERE pipeline = 'bare' ORDER BY stage, name;
SELECT count(*) FILTER (WHERE applies_to = 'lead') AS fit_rules, count(*) AS rules
FROM lead_qualify.rule WHERE pipeline = 'bare';
SET client_min_messages = warning;
SELECT lead_qualify.detach('bare', keep_data => false);
ALTER TABLE publish_crm.bare ADD COLUMN sector text, ADD COLUMN employees text;
SELECT lead_qualify.attach('bare', 'publish_crm.bare', 'publish_crm.bare_activities');
SELECT stage, name, min_engagement, min_fit FROM lead_qualify.gate
WHERE pipeline = 'bare' AND min_fit IS NOT NULL ORDER BY stage, name;
SELECT lead_qualify.detach('bare', keep_data => false);
SELECT lead_qualify.attach('bare', 'publish_crm.bare', 'publish_crm.bare_activities', template => 'empty');
SELECT lead_qualify.draft_config('bare');
SELECT lead_qualify.detach('bare', keep_data => false);
SELECT lead_qualify.draft_config('bare') AS nothing;

-- an activity from before a stage was dropped leads into it still, and is inserted
CREATE TABLE publish_crm.late (id int PRIMARY KEY);
CREATE TABLE publish_crm.late_activities (id int PRIMARY KEY, lead_id int, type text, at timestamptz);
SELECT lead_qualify.attach('late', 'publish_crm.late', 'publish_crm.late_activities', template => 'empty');
INSERT INTO lead_qualify.stage (pipeline, stage, position, kind) VALUES ('late', 'sal', 3, 'sal');
INSERT INTO lead_qualify.gate (pipeline, stage, name, activity_type) VALUES ('late', 'sal', 'call', 'call');
SELECT lead_qualify.publish('late', effective_from => '-infinity');
DELETE FROM lead_qualify.gate WHERE pipeline = 'late';
DELETE FROM lead_qualify.stage WHERE pipeline = 'late' AND stage = 'sal';
SELECT lead_qualify.publish('late');
INSERT INTO publish_crm.late VALUES (1);
INSERT INTO publish_crm.late_activities VALUES (1, 1, 'call', '2024-01-01');
SELECT id, stage, stage_changed_at FROM publish_crm.late;
SELECT * FROM lead_qualify.verify('late');
UPDATE publish_crm.late SET stage = 'lead';
UPDATE publish_crm.late SET stage = 'sal';
SELECT lead_qualify.detach('late', keep_data => false);

-- the scripts' own shape
RESET ROLE;
SELECT pg_describe_object(o.classid, o.objid, o.objsubid) AS has_no_comment
FROM (
	SELECT 'pg_proc'::regclass AS classid, p.oid AS objid, 0 AS objsubid
	FROM pg_proc p WHERE p.pronamespace = 'lead_qualify'::regnamespace
	UNION ALL
	SELECT 'pg_class'::regclass, c.oid, 0
	FROM pg_class c WHERE c.relnamespace = 'lead_qualify'::regnamespace AND c.relkind IN ('r', 'v')
	UNION ALL
	SELECT 'pg_class'::regclass, a.attrelid, a.attnum
	FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
	WHERE c.relnamespace = 'lead_qualify'::regnamespace AND c.relkind IN ('r', 'v')
		AND a.attnum > 0 AND NOT a.attisdropped
	UNION ALL
	SELECT 'pg_policy'::regclass, p.oid, 0
	FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid
	WHERE c.relnamespace = 'lead_qualify'::regnamespace
	UNION ALL
	SELECT 'pg_trigger'::regclass, t.oid, 0
	FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
	WHERE c.relnamespace = 'lead_qualify'::regnamespace AND NOT t.tgisinternal
) o
WHERE NOT EXISTS (
	SELECT FROM pg_description d
	WHERE d.classoid = o.classid AND d.objoid = o.objid AND d.objsubid = o.objsubid)
ORDER BY 1;

SET client_min_messages = warning;
SELECT lead_qualify.detach('pub', keep_data => false);
DROP SCHEMA publish_crm, publish_mine CASCADE;
DROP ROLE regress_publish_owner, regress_publish_reader, regress_publish_other;
