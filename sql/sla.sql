--
-- Service levels, and the picture of a pipeline.  docs/lifecycle.md quotes
-- the diagram and the recipe from here.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lead_qualify;
CREATE SCHEMA sla;
SET search_path = sla;
SET timezone = 'UTC';
SET datestyle = ISO;
SET intervalstyle = 'postgres';
\set SHOW_CONTEXT never

CREATE TABLE leads (id int PRIMARY KEY, email text, company text, industry text, employees int,
	job_title text, created_at timestamptz);
CREATE TABLE activities (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, lead_id int, type text,
	happened_at timestamptz, campaign_id int);
CREATE INDEX ON activities (lead_id);

-- ----------------------------------------------------------------
-- The picture of template b2b, with the recipe of docs/lifecycle.md
-- ----------------------------------------------------------------

SELECT lead_qualify.attach('b2b', 'leads', 'activities');
\pset format unaligned
\pset tuples_only on
SELECT lead_qualify.lifecycle_diagram('b2b');
\pset format aligned
\pset tuples_only off

INSERT INTO lead_qualify.gate (pipeline, stage, name, from_stages, after)
VALUES ('b2b', 'sal', 'by default', '{mql}', '24 hours');
SELECT lead_qualify.publish('b2b', 'accepted by default after 24 h', effective_from => '-infinity');

-- An MQL since Tuesday 10:00, another one since 15:00 that sales accept.
INSERT INTO leads VALUES
	(1, 'ann@acme.example', 'Acme', 'Retail', 120, 'CEO', '2026-01-05'),
	(2, 'bob@best.example', 'Best', 'Retail', 120, 'CEO', '2026-01-05');
INSERT INTO activities (lead_id, type, happened_at) VALUES
	(1, 'ebook_download', '2026-01-06 10:00'), (2, 'ebook_download', '2026-01-06 15:00'),
	(2, 'contact_sales', '2026-01-07 09:00');
SELECT lead, stage, next_due_at FROM leads_qualification ORDER BY lead;
-- a microsecond too early, in time, and twice changes nothing
SELECT lead_qualify.advance('b2b', '2026-01-07 09:59:59.999999');
SELECT lead_qualify.advance('b2b', '2026-01-07 10:00');
SELECT lead_qualify.advance('b2b', '2026-01-07 10:00');
SELECT lead, from_stage, stage, entered_at, cause, gate FROM leads_stage_history
WHERE stage = 'sal' AND superseded_at IS NULL ORDER BY lead;
SELECT * FROM lead_qualify.verify('b2b');
-- who is accepted when the 24 hours are over was answered in time
SELECT stage, sla, entered, answered_in_time, answered_late, ever_missed, median_time
FROM lead_qualify.sla_report('b2b', as_of => '2026-02-01');
SELECT l.line FROM regexp_split_to_table(lead_qualify.lifecycle_diagram('b2b'), E'\n') l (line)
WHERE l.line LIKE '%by default%';
SELECT lead_qualify.detach('b2b', keep_data => false);
TRUNCATE leads, activities RESTART IDENTITY;

-- ----------------------------------------------------------------
-- SLAs.  Activity a makes an MQL (24 hours), b a SAL (8 hours).
-- ----------------------------------------------------------------

SELECT lead_qualify.attach('s', 'leads', 'activities', template => 'empty', time_zone => 'UTC');
UPDATE lead_qualify.stage SET sla = '24 hours' WHERE pipeline = 's' AND stage = 'mql';
INSERT INTO lead_qualify.stage (pipeline, stage, position, kind, owner, sla) VALUES
	('s', 'sal', 3, 'sal', 'sales', '8 hours'), ('s', 'sql', 4, 'sql', 'sales', '2 days');
INSERT INTO lead_qualify.gate (pipeline, stage, name, activity_type) VALUES
	('s', 'mql', 'a', 'a'), ('s', 'sal', 'b', 'b');
INSERT INTO lead_qualify.exclusion (pipeline, name, condition) VALUES
	('s', 'staff', 'email LIKE ''%@own.example''');
-- a draft has no effect, and template empty has no SLA
SELECT * FROM lead_qualify.sla_report('s');
SELECT * FROM leads_sla_due;
SELECT lead_qualify.publish('s', effective_from => '-infinity');
SELECT * FROM lead_qualify.sla_report('s');

INSERT INTO leads (id, email, created_at)
SELECT i, CASE i WHEN 5 THEN 'eve@own.example' END, '2026-01-01' FROM generate_series(1, 9) i;
INSERT INTO activities (lead_id, type, happened_at) VALUES
	(1, 'a', '2026-01-06 10:00'), (1, 'b', '2026-01-06 12:30'),		-- Tuesday: 2:30
	(2, 'a', '2026-01-09 16:30'), (2, 'b', '2026-01-12 09:30'),		-- Friday to Monday: 65:00, in business 1:00
	(3, 'a', '2026-01-10 11:00'), (3, 'b', '2026-01-12 10:00'),		-- Saturday to Monday: 47:00, in business 1:00
	(4, 'a', '2026-01-12 10:00'),									-- Monday, still there
	(7, 'a', '2026-01-12 11:00'),
	(8, 'a', '2026-01-13 00:00');
-- not counted: excluded since, imported, a move that did not happen
INSERT INTO activities (lead_id, type, happened_at) VALUES (5, 'a', '2026-01-12 10:00');
UPDATE leads SET email = 'frank@own.example' WHERE id = 8;
BEGIN;
SET LOCAL lead_qualify.origin = 'import';
INSERT INTO activities (lead_id, type, happened_at) VALUES (6, 'a', '2026-01-12 10:00');
COMMIT;
DELETE FROM activities WHERE lead_id = 7;
SELECT lead, stage, origin, superseded_at IS NOT NULL AS superseded FROM leads_stage_history
WHERE lead BETWEEN 5 AND 8 AND stage = 'mql' ORDER BY 1;

-- by the clock: 1 is in time, 2 and 3 late, 4 is overdue since the 13th at 10:00
\x on
SELECT stage, owner, sla, entered, answered_in_time, answered_late, still_in_time, overdue, ever_missed,
	rate_in_time, round(rate_low::numeric, 4) AS rate_low, round(rate_high::numeric, 4) AS rate_high,
	median_time, p90_time
FROM lead_qualify.sla_report('s', as_of => '2026-01-14');
-- in business time: 2:30 and twice 1:00, and 4 has time until Thursday 10:00
SELECT stage, owner, sla, entered, answered_in_time, answered_late, still_in_time, overdue, ever_missed,
	rate_in_time, round(rate_low::numeric, 4) AS rate_low, round(rate_high::numeric, 4) AS rate_high,
	median_time, p90_time
FROM lead_qualify.sla_report('s', calendar => 'default', as_of => '2026-01-14');
\x off

-- ever missed and still overdue are kept apart: lead 2, due on Saturday 16:30, and lead 3, due on Sunday 11:00
SELECT a.as_of, r.entered, r.answered_in_time, r.answered_late, r.still_in_time, r.overdue, r.ever_missed
FROM unnest('{2026-01-09 16:29,2026-01-09 16:30,2026-01-10 16:30,2026-01-10 16:30:01,2026-01-11 12:00,
	2026-01-12 09:30,2026-01-12 10:00,2026-01-13 10:00,2026-01-13 10:00:01}'::timestamptz[]) a (as_of),
	lead_qualify.sla_report('s', since => '2026-01-09', as_of => a.as_of) r
WHERE r.stage = 'mql' ORDER BY 1;
-- since is included, until is not
SELECT r.entered FROM lead_qualify.sla_report('s', '2026-01-09 16:30', '2026-01-12 10:00') r WHERE stage = 'mql';
SELECT r.entered FROM lead_qualify.sla_report('s', '2026-01-06 10:00:01', '2026-01-12 10:00:01') r WHERE stage = 'mql';
SELECT count(*) FROM lead_qualify.sla_report('s', as_of => NULL) r WHERE r.overdue = 4 OR r.stage = 'mql' AND r.overdue = 1;
-- the interval is Wilson's
SELECT bool_and((r.rate_low, r.rate_high) = (w.low, w.high)) AS same
FROM lead_qualify.sla_report('s', as_of => '2026-01-14') r,
	lead_qualify.wilson_interval(r.answered_in_time, r.answered_in_time + r.ever_missed) w WHERE r.stage <> 'sql';

-- what waits now
SELECT lead, stage, owner, entered_at, sla, due_at, business_due_at, overdue, business_overdue
FROM leads_sla_due ORDER BY lead;
BEGIN;
INSERT INTO activities (lead_id, type, happened_at) VALUES (9, 'a', now());
SELECT lead, due_at = now() + '24 hours' AS due, business_due_at > now() + '2 days' AS business_due, overdue, business_overdue
FROM leads_sla_due WHERE lead = 9;
COMMIT;
-- the newest published SLA counts, also for those who are there already
UPDATE lead_qualify.stage SET sla = '10 days', owner = 'sales' WHERE pipeline = 's' AND stage = 'mql';
SELECT lead, owner, sla FROM leads_sla_due WHERE lead = 4;
SELECT lead_qualify.publish('s');
SELECT lead, owner, sla, due_at FROM leads_sla_due WHERE lead = 4;
-- what was entered live stays so when all is scored anew
INSERT INTO lead_qualify.rule (pipeline, name, activity_type, points) VALUES ('s', 'a', 'a', 7);
SELECT lead_qualify.publish('s', effective_from => '-infinity');
SELECT lead, origin, total FROM leads_stage_history
WHERE lead IN (4, 6) AND stage = 'mql' AND superseded_at IS NULL ORDER BY 1;
SELECT lead, due_at FROM leads_sla_due WHERE lead IN (4, 6);
SELECT entered FROM lead_qualify.sla_report('s', as_of => '2026-01-14') WHERE stage = 'mql';
-- a day has 24 hours, whatever the session's clock does
SET timezone = 'Europe/Sofia';
SELECT lead_qualify.sla_due('2026-03-28 12:00', '1 day', NULL, 'UTC') AS by_the_clock,
	lead_qualify.sla_due('2026-03-27 16:30', '2:00', 'default', 'Europe/Sofia') AS in_business;
SET timezone = 'UTC';

SELECT a.attname, col_description(a.attrelid, a.attnum) AS comment
FROM pg_attribute a WHERE a.attrelid = 'leads_sla_due'::regclass ORDER BY a.attnum;

-- who may read the leads may ask
SELECT lead_qualify.sla_report('x');
SELECT lead_qualify.sla_report(NULL);
SELECT lead_qualify.sla_report('s', calendar => 'ofice');
SELECT lead_qualify.lifecycle_diagram('x');
SELECT lead_qualify.lifecycle_diagram(NULL) IS NULL AS nothing;
CREATE ROLE regress_sla_reader;
GRANT USAGE ON SCHEMA sla TO regress_sla_reader;
SET ROLE regress_sla_reader;
SELECT lead_qualify.sla_report('s');
SELECT * FROM leads_sla_due;
RESET ROLE;
GRANT SELECT ON leads, leads_sla_due, leads_stage_history, leads_qualification TO regress_sla_reader;
SET ROLE regress_sla_reader;
SELECT lead FROM leads_sla_due ORDER BY 1;
SELECT stage, entered FROM lead_qualify.sla_report('s', as_of => '2026-01-14');
SELECT lead_qualify.lifecycle_diagram('s') LIKE 'stateDiagram-v2%' AS diagram;
RESET ROLE;
SELECT * FROM lead_qualify.verify('s');
SELECT lead_qualify.detach('s', keep_data => false);
DROP OWNED BY regress_sla_reader;
DROP ROLE regress_sla_reader;
TRUNCATE leads, activities RESTART IDENTITY;

-- ----------------------------------------------------------------
-- Pictures of anything
-- ----------------------------------------------------------------

SELECT lead_qualify.attach('d', 'leads', 'activities', template => 'empty');
\pset format unaligned
\pset tuples_only on
SELECT lead_qualify.lifecycle_diagram('d');
-- names that Mermaid would take for its own, and gates of every kind
DELETE FROM lead_qualify.stage WHERE pipeline = 'd';
INSERT INTO lead_qualify.stage (pipeline, stage, position, kind) VALUES
	('d', 'end', 1, 'lead'), ('d', 'Marketing: "qualified"; <b>100%</b> #1', 2, 'mql'), ('d', 'stage_2', 3, 'mql'),
	('d', 'note', 4, 'sal'), ('d', 'end note', 5, 'sql'), ('d', E'two\nlines', 6, 'opportunity'), ('d', 'Won', 7, 'won'),
	('d', 'hold', 8, 'hold'), ('d', 'any_stage', 9, 'hold'), ('d', 'lost', 10, 'lost'), ('d', 'no-go', 11, 'disqualified'),
	('d', 'почти', 12, 'lead');
INSERT INTO lead_qualify.gate (pipeline, stage, name, from_stages, min_total, min_engagement, activity_type, framework,
	condition, after, idle, keep_total, keep_engagement, fallback_stage, automatic, enabled) VALUES
	('d', 'stage_2', '1. score: "high"; so', NULL, 30, 12.5, NULL, NULL, NULL, NULL, NULL, 20, 5, 'end', true, true),
	('d', 'stage_2', 'e', NULL, NULL, 60, NULL, NULL, NULL, NULL, NULL, NULL, 40, 'Marketing: "qualified"; <b>100%</b> #1', true, true),
	('d', 'note', 'late', '{stage_2,hold}', NULL, NULL, NULL, NULL, NULL, '1 day 02:30', NULL, NULL, NULL, NULL, true, true),
	('d', 'end note', 'asked', NULL, NULL, NULL, 'demo: now', 'BANT', NULL, NULL, NULL, NULL, NULL, NULL, false, true),
	('d', 'end note', 'off', NULL, 99, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, true, false),
	('d', E'two\nlines', 'quiet', NULL, NULL, NULL, NULL, NULL, E'email <> ''a;b:c''\n AND company ~ ''^[[:alpha:]]+$'' AND length(industry) BETWEEN 1 AND 40',
	 NULL, '30 days', NULL, NULL, NULL, true, true);
SELECT lead_qualify.publish('d', effective_from => '-infinity');
SELECT lead_qualify.lifecycle_diagram('d');
\pset format aligned
\pset tuples_only off

-- every line is one of Mermaid's; no text has a character that means something to it
SELECT l.line AS odd
FROM regexp_split_to_table(lead_qualify.lifecycle_diagram('d'), E'\n') WITH ORDINALITY l (line, n)
WHERE l.n > 1 AND l.line <> '' AND regexp_replace(l.line, '#[0-9]+;', '?', 'g') !~
	('^    (state "[^"#;:<]+" as [A-Za-z]\w*|\[\*\] --> [A-Za-z]\w*|[A-Za-z]\w* --> (\[\*\]|[A-Za-z]\w*( : [^#;:"<]+)?)'
	 '|note right of [A-Za-z]\w*|    [^#;:"<]+|end note)$');
-- no arrow to or from what is not there, and no two stages of one name
SELECT count(DISTINCT m.id) AS ids
FROM regexp_matches(lead_qualify.lifecycle_diagram('d'), '^    (?:state "[^"]*" as (\w+)|(\w+) -->)', 'gn') g (g),
	LATERAL (SELECT coalesce(g[1], g[2])) m (id);
-- where only some moves by hand are allowed, those are shown
INSERT INTO lead_qualify.transition (pipeline, from_stage, to_stage) VALUES
	('d', 'note', 'end'), ('d', 'note', 'end note'), ('d', 'end', 'no-go'), ('d', E'two\nlines', 'Won');
SELECT lead_qualify.publish('d', effective_from => '-infinity');
SELECT l.line FROM regexp_split_to_table(lead_qualify.lifecycle_diagram('d'), E'\n') WITH ORDINALITY l (line, n)
WHERE l.line ~ ' : (by hand|accept|hold|disqualify|recycle or reject)$|any_stage' ORDER BY l.n;

SELECT lead_qualify.span_text(s) FROM unnest('{24:00,1 day,3 days 00:00:01.5,1 year 2 mons,0}'::interval[]) s;

SET client_min_messages = warning;
SELECT lead_qualify.detach('d', keep_data => false);
DROP SCHEMA sla CASCADE;
