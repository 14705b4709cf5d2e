--
-- The five-minute tour of README.md: every command and output there is here.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lead_qualify;
CREATE SCHEMA tour;
SET search_path = tour;
SET timezone = 'UTC';
SET datestyle = ISO;
SET client_min_messages = notice;
\set VERBOSITY default

CREATE TABLE leads (
    id         bigint PRIMARY KEY,
    email      text,
    company    text,
    industry   text,
    employees  integer,
    job_title  text,
    created_at timestamptz DEFAULT now());

CREATE TABLE activities (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    lead_id     bigint REFERENCES leads,
    type        text,
    occurred_at timestamptz DEFAULT now(),
    campaign_id integer);

CREATE INDEX ON activities (lead_id, occurred_at);

INSERT INTO leads VALUES
    (42, 'ann@acme.example', 'Acme', 'Manufacturing', 120, 'Head of Operations', '2026-01-01 09:00+00'),
    (43, 'bob@example.org', NULL, NULL, 3, 'student', '2026-01-01 09:30+00');

SELECT lead_qualify.attach('b2b', leads => 'leads', activities => 'activities');

INSERT INTO activities (lead_id, type, occurred_at) VALUES
    (42, 'newsletter_signup', '2026-01-02 10:00+00'),
    (42, 'page_view',         '2026-01-02 10:05+00'),
    (43, 'page_view',         '2026-01-02 11:00+00');

SELECT id, company, stage, stage_changed_at FROM leads ORDER BY id;

INSERT INTO activities (lead_id, type, occurred_at) VALUES (42, 'webinar_attended', '2026-01-06 15:00+00');

SELECT id, company, stage, stage_changed_at FROM leads ORDER BY id;

SELECT rule, occurred_at, points, round(worth::numeric, 2) AS worth, note
FROM lead_qualify.explain('b2b', 42, '2026-01-20');

SELECT stage, gate, requirement, have, need, met
FROM lead_qualify.explain_stage('b2b', 43, '2026-01-20')
WHERE stage = 'mql' AND gate = 'score';

SELECT dimension, round(points::numeric, 2) AS points
FROM lead_qualify.score_at('b2b', 42, '2026-03-31');

SELECT lead_qualify.answer('b2b', 42, 'budget=yes, authority=partial', '2026-01-20 10:00+00');

SELECT missing_criteria, next_question FROM leads_scored WHERE lead = 42;

SELECT a.framework, round(a.score) AS score, a.met, a.unknown
FROM leads_qualification q, lead_qualify.assess_all(q.assessment) a WHERE q.lead = 42 LIMIT 3;

INSERT INTO activities (lead_id, type, occurred_at) VALUES (42, 'demo_request', '2026-01-21 08:00+00');

UPDATE activities SET type = 'webinar_signup' WHERE type = 'webinar_attended';

SELECT stage, from_stage, entered_at, left_at, cause, gate, round(engagement::numeric, 2) AS engagement, fit
FROM leads_stage_history WHERE lead = 42 AND superseded_at IS NULL ORDER BY entered_at;

UPDATE lead_qualify.rule SET points = 60 WHERE pipeline = 'b2b' AND name = 'demo_request';
INSERT INTO lead_qualify.rule (pipeline, name, activity_type, points, decay, period, at_most, per)
VALUES ('b2b', 'calculator', 'calculator_used', 8, 'exponential', '30 days', 1, 'day');
SELECT object, name, change, draft, live FROM lead_qualify.diff('b2b');
SELECT lead_qualify.publish('b2b', 'demo requests count more', effective_from => '2026-02-01');

SELECT * FROM lead_qualify.verify('b2b');

SET client_min_messages = warning;
SELECT lead_qualify.detach('b2b', keep_data => false);
DROP SCHEMA tour CASCADE;
