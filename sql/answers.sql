--
-- Answers as events: gates by framework, answering rules, what is stored and
-- explained.  The frameworks themselves: framework.sql.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lead_qualify;
CREATE SCHEMA answers;
SET search_path = answers;
SET timezone = 'UTC';
SET datestyle = ISO;

CREATE TABLE leads (id int PRIMARY KEY, company text, email text, industry text,
	created_at timestamptz NOT NULL DEFAULT '2026-01-01');
CREATE TABLE activities (id int PRIMARY KEY, lead_id int, type text, occurred_at timestamptz, properties jsonb);
CREATE INDEX ON activities (lead_id);
SELECT lead_qualify.attach('a', 'leads', 'activities');
INSERT INTO leads (id) SELECT generate_series(1, 9);
-- everybody is an SAL
INSERT INTO activities SELECT i, i, 'contact_sales', '2026-01-02' FROM generate_series(1, 9) i;
CREATE VIEW now_in AS SELECT l.id, l.stage, q.assessment, q.confirmed FROM leads l JOIN leads_qualification q ON q.lead = l.id;
CREATE VIEW path AS SELECT lead, stage, from_stage, entered_at, cause, gate, assessment
FROM leads_stage_history WHERE superseded_at IS NULL ORDER BY lead, entered_at, id;
SELECT stage, count(*) FROM leads GROUP BY stage;

-- a gate that opens on the last answer; partial authority is enough
SELECT lead_qualify.answer('a', 1, 'budget=yes, authority=partial, need=yes', '2026-01-03');
SELECT * FROM now_in WHERE id = 1;
SELECT gate, requirement, have, need, met FROM lead_qualify.explain_stage('a', 1, '2026-01-04') WHERE stage = 'sql' AND gate = 'bant';
SELECT missing_criteria, next_question FROM leads_scored WHERE lead = 1;
SELECT lead_qualify.answer('a', '1', 'timeline: yes', '2026-01-05', 'wants it before the season');
SELECT * FROM path WHERE lead = 1;
SELECT missing_criteria, next_question FROM leads_scored WHERE lead = 1;
SELECT lead, assessment, withdrawn, answered_at, note, answered_by = current_user AS by_me FROM leads_answers ORDER BY id;

-- unknown is not no, and no is not yes
SELECT lead_qualify.answer('a', 2, 'budget=yes authority=yes need=yes timing=no', '2026-01-03');
SELECT requirement, have, need, met FROM lead_qualify.explain_stage('a', 2, '2026-01-04') WHERE gate = 'bant';
SELECT id, stage FROM now_in WHERE id = 2;

-- withdrawn before the last answer: the gate stays shut
SELECT lead_qualify.answer('a', 3, 'budget=yes, authority=yes', '2026-01-03');
INSERT INTO leads_answers (lead, withdrawn, answered_at) VALUES (3, 'Money', '2026-01-04');
SELECT lead_qualify.answer('a', 3, 'need=yes, timing=yes', '2026-01-05');
SELECT * FROM now_in WHERE id = 3;
-- withdraw() now; of nothing it says so
SELECT lead_qualify.withdraw('a', 3, 'urgency');
SET client_min_messages = notice;
SELECT lead_qualify.withdraw('a', 9, 'budget');
SET client_min_messages = warning;
SELECT * FROM now_in WHERE id = 3;

-- late and out of order: as if they had come in order
INSERT INTO leads_answers (lead, assessment, answered_at) VALUES
	(4, 'timing=yes', '2026-01-08'),
	(4, 'budget=yes', '2026-01-05'),
	(4, 'budget=no', '2026-01-04');
INSERT INTO leads_answers (lead, assessment, answered_at) VALUES (4, 'need=yes, authority=weak', '2026-01-03');
INSERT INTO leads_answers (lead, assessment, answered_at) VALUES (4, 'authority=yes', '2026-01-06');
SELECT * FROM path WHERE lead = 4;
-- corrected and deleted
UPDATE leads_answers SET assessment = 'timing=no' WHERE lead = 4 AND answered_at = '2026-01-08';
SELECT * FROM path WHERE lead = 4;
UPDATE leads_answers SET assessment = 'timing=yes' WHERE lead = 4 AND answered_at = '2026-01-08';
DELETE FROM leads_answers WHERE lead = 4 AND answered_at = '2026-01-05';
SELECT * FROM now_in WHERE id = 4;
SELECT * FROM lead_qualify.verify('a');

-- at one moment: activity, answers by number, manual move
INSERT INTO leads_answers (id, lead, assessment, answered_at) VALUES (1001, 5, 'budget=no', '2026-01-05'),
	(1000, 5, 'budget=yes, authority=yes, need=yes, timing=yes', '2026-01-05');
SELECT * FROM now_in WHERE id = 5;
SELECT * FROM path WHERE lead = 5;

-- a form that answers, whatever its cap
INSERT INTO lead_qualify.rule (pipeline, name, activity_type, condition, points, at_most, answers)
VALUES ('a', 'budget_box', 'form', $$properties->>'budget_approved' = 'yes'$$, 5, 1, 'budget=yes'),
	('a', 'decider_box', 'form', $$properties->>'role' = 'decider'$$, 0, NULL, 'authority=yes'),
	('a', 'no_budget_box', 'form', $$properties->>'budget_approved' = 'no'$$, 0, NULL, 'money=no');
SELECT object, name, change, draft FROM lead_qualify.diff('a');
SELECT lead_qualify.publish('a', effective_from => '-infinity');
SELECT lead_qualify.answer('a', 6, 'need=yes, timing=yes', '2026-01-03');
INSERT INTO activities VALUES (101, 6, 'form', '2026-01-04', '{"budget_approved": "yes"}'),
	(102, 6, 'form', '2026-01-05', '{"budget_approved": "no"}'),
	(103, 6, 'form', '2026-01-06', '{"budget_approved": "yes"}');
SELECT * FROM now_in WHERE id = 6;
INSERT INTO activities VALUES (104, 6, 'form', '2026-01-07', '{"role": "decider"}');
SELECT * FROM path WHERE lead = 6;
-- late forms answer, too
INSERT INTO activities VALUES (105, 7, 'form', '2026-01-07', '{"role": "decider", "budget_approved": "no"}');
INSERT INTO activities VALUES (106, 7, 'form', '2026-01-06', '{"budget_approved": "yes"}');
SELECT * FROM now_in WHERE id = 7;
SELECT * FROM lead_qualify.verify('a');

-- a step back: what was answered before is known, but not confirmed
UPDATE leads SET stage = 'mql' WHERE id = 1;
SELECT * FROM now_in WHERE id = 1;
INSERT INTO activities VALUES (201, 1, 'page_view', clock_timestamp());
SELECT lead_qualify.answer('a', 1, 'budget=yes, need=yes', clock_timestamp());
SELECT * FROM now_in WHERE id = 1;
SELECT requirement, have, need, met FROM lead_qualify.explain_stage('a', 1, clock_timestamp()) WHERE gate = 'bant' AND requirement LIKE 'framework%';
SELECT lead_qualify.answer('a', 1, 'authority=partial, timing=yes', clock_timestamp());
SELECT * FROM now_in WHERE id = 1;
SELECT * FROM lead_qualify.verify('a');

-- the future waits
SELECT lead_qualify.answer('a', 8, 'budget=yes, authority=yes, need=yes, timing=yes', '2300-01-01');
SELECT l.id, l.stage, l.assessment, q.next_due_at FROM now_in l JOIN leads_qualification q ON q.lead = l.id WHERE id = 8;

-- published frameworks are frozen; the draft's are those of the tables
BEGIN;
UPDATE lead_qualify.framework SET min_met = 2 WHERE framework = 'BANT';
UPDATE lead_qualify.criterion SET weight = 7 WHERE framework = 'BANT' AND criterion = 'timing';
SELECT object, name, change, draft, live FROM lead_qualify.diff('a');
SELECT lead_qualify.answer('a', 8, 'budget=yes, authority=yes', '2026-01-05');
SELECT stage FROM leads WHERE id = 8;
SELECT lead_qualify.publish('a', effective_from => '-infinity');
SELECT stage FROM leads WHERE id = 8;
SELECT * FROM lead_qualify.verify('a');
ROLLBACK;
SELECT object, name, change FROM lead_qualify.diff('a');

-- two gates may spell one framework differently
BEGIN;
INSERT INTO lead_qualify.gate (pipeline, stage, name, framework) VALUES ('a', 'mql', 'bant', 'bant');
SELECT lead_qualify.publish('a');
SELECT jsonb_array_length(config -> 'frameworks') AS frameworks, jsonb_array_length(config -> 'criteria') AS criteria
FROM lead_qualify.version ORDER BY version DESC LIMIT 1;
ROLLBACK;

-- a framework of one's own
INSERT INTO lead_qualify.framework (framework, min_met) VALUES ('Наша', 1);
INSERT INTO lead_qualify.criterion (framework, criterion, position, met_at) VALUES ('Наша', 'Бюджет', 1, 1), ('Наша', 'срок', 2, 3);
UPDATE lead_qualify.gate SET framework = 'Наша' WHERE pipeline = 'a' AND name = 'bant';
SELECT lead_qualify.publish('a', effective_from => '-infinity');
SELECT lead_qualify.alter_pipeline('a', framework => 'Наша');
SELECT stage FROM leads WHERE id = 9;
SELECT lead_qualify.answer('a', 9, 'бюджет=weak', '2026-01-05');
SELECT stage FROM leads WHERE id = 9;
SELECT missing_criteria, next_question FROM leads_scored WHERE lead = 9;
SELECT gate, requirement, have, need, met FROM lead_qualify.explain_stage('a', 8, '2026-01-04') WHERE gate = 'bant';
-- gone from the tables, still in the version; the view has nothing to show
DELETE FROM lead_qualify.framework WHERE framework = 'Наша';
SELECT lead_qualify.answer('a', 8, 'бюджет=yes', '2026-01-05');
SELECT stage FROM leads WHERE id = 8;
SELECT missing_criteria, next_question FROM leads_scored WHERE lead = 8;
SELECT lead_qualify.publish('a');
DELETE FROM lead_qualify.criterion WHERE framework = 'Наша';
SELECT lead_qualify.rollback_to('a', 2);
SELECT lead_qualify.alter_pipeline('a', framework => 'bant');
SELECT lead_qualify.recompute('a');
SELECT * FROM lead_qualify.verify('a');

-- the language of the views
SELECT next_question FROM leads_scored WHERE lead = 2;
SET lead_qualify.language = 'bg';
SELECT next_question FROM leads_scored WHERE lead = 7;
SET lead_qualify.language = 'xx';
SELECT next_question FROM leads_scored WHERE lead = 7;
RESET lead_qualify.language;

-- bad input
SELECT lead_qualify.answer('x', 1, 'budget=yes');
SELECT lead_qualify.answer('a', 77, 'budget=yes');
SELECT lead_qualify.answer('a', 'seven', 'budget=yes');
SELECT lead_qualify.answer('a', 1, 'budget=maybe');
SELECT lead_qualify.answer('a', 1, '');
SELECT lead_qualify.answer('a', 1, NULL);
SELECT lead_qualify.answer('a', NULL::int, 'budget=yes');
SELECT lead_qualify.answer('a', 1, 'budget=yes', 'infinity');
SELECT lead_qualify.answer('a', 1, 'budget=yes', NULL);
SELECT lead_qualify.withdraw('a', 77, 'budget');
SELECT lead_qualify.withdraw('a', 1, 'what?');
SELECT lead_qualify.withdraw('a', 1, NULL);
\set VERBOSITY terse
INSERT INTO leads_answers (lead) VALUES (1);
INSERT INTO leads_answers (lead, assessment, withdrawn) VALUES (1, 'budget=yes', 'need');
INSERT INTO leads_answers (lead, withdrawn) VALUES (1, 'what?');
INSERT INTO leads_answers (lead, assessment, answered_at) VALUES (1, 'budget=yes', '-infinity');
\set VERBOSITY default
SELECT lead_qualify.alter_pipeline('a', framework => 'BAND');
SELECT lead_qualify.alter_pipeline('x', framework => 'BANT');
SELECT lead_qualify.alter_pipeline(NULL);
BEGIN;
UPDATE lead_qualify.gate SET framework = 'BAND' WHERE pipeline = 'a' AND name = 'bant';
SELECT lead_qualify.publish('a');
ROLLBACK;
BEGIN;
INSERT INTO lead_qualify.framework (framework) VALUES ('EMPTY');
UPDATE lead_qualify.gate SET framework = 'EMPTY' WHERE pipeline = 'a' AND name = 'bant';
SELECT lead_qualify.publish('a');
ROLLBACK;
\set VERBOSITY terse
INSERT INTO lead_qualify.rule (pipeline, name, applies_to, condition, answers) VALUES ('a', 'x', 'lead', 'true', 'budget=yes');
INSERT INTO lead_qualify.rule (pipeline, name, answers) VALUES ('a', 'x', '');

-- what is answered late of the time before a move by hand belongs to that move, too
UPDATE leads SET stage = 'opportunity' WHERE id = 9;
SELECT lead_qualify.answer('a', 9, 'need=weak', '2026-01-04');
SELECT stage, cause, assessment FROM leads_stage_history WHERE lead = 9 AND superseded_at IS NULL ORDER BY entered_at, id;
SELECT * FROM lead_qualify.verify('a', '{9}');

-- what rows of one moment say, they say in order of id, also after a replay
INSERT INTO activities VALUES (301, 5, 'contact_sales', '2025-12-01');
SELECT stage, from_stage, entered_at FROM leads_stage_history WHERE lead = 5 AND superseded_at IS NULL ORDER BY entered_at, id;

-- more than a lead can have answered is left out, and harms nobody
INSERT INTO leads_answers (lead, assessment) SELECT 12, string_agg('c' || g || '=yes', ',')::lead_qualify.assessment
FROM generate_series(1, 1100) g GROUP BY g / 600;
INSERT INTO leads (id) VALUES (12), (13);
SELECT lead, cardinality(ARRAY(SELECT a.criterion FROM lead_qualify.answers(assessment) a)) FROM leads_qualification WHERE lead > 11 ORDER BY lead;
SELECT * FROM lead_qualify.verify('a');
DELETE FROM leads WHERE id IN (12, 13);

-- an answer may come before its lead; a changed key takes answers along; a deleted lead's are gone
INSERT INTO leads_answers (lead, assessment, answered_at) VALUES (10, 'budget=yes', '2026-01-03');
INSERT INTO leads (id) VALUES (10);
SELECT * FROM now_in WHERE id = 10;
UPDATE leads SET id = 11 WHERE id = 10;
SELECT * FROM now_in WHERE id IN (10, 11);
SELECT lead, assessment FROM leads_answers WHERE lead IN (10, 11);
DELETE FROM leads WHERE id = 11;
SELECT count(*) FROM leads_answers WHERE lead = 11;
SELECT * FROM lead_qualify.verify('a');
TRUNCATE leads_answers;
SELECT count(*) FROM leads_qualification WHERE assessment::text <> '' AND lead <> 6 AND lead <> 7;
SELECT * FROM lead_qualify.verify('a');

-- who may answer: INSERT on <leads>_answers, for leads that he sees
CREATE ROLE regress_lq_seller;
GRANT USAGE ON SCHEMA answers TO regress_lq_seller;
SET ROLE regress_lq_seller;
SELECT lead_qualify.answer('a', 2, 'need=yes');
RESET ROLE;
GRANT INSERT ON leads_answers TO regress_lq_seller;
SET ROLE regress_lq_seller;
SELECT lead_qualify.answer('a', 2, 'need=yes', '2026-02-01');
SELECT lead_qualify.withdraw('a', 2, 'budget');
SELECT lead_qualify.alter_pipeline('a', framework => 'CHAMP');
RESET ROLE;
SELECT lead, assessment, withdrawn, answered_by FROM leads_answers ORDER BY id;
DROP VIEW now_in, path;
SELECT lead_qualify.detach('a', keep_data => false);
SELECT to_regclass('leads_answers');

ALTER TABLE leads ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON leads USING (id < 5);
GRANT SELECT ON leads TO regress_lq_seller;
SELECT lead_qualify.attach('a', 'leads', 'activities', template => 'empty', fire => 'deferred');
GRANT SELECT, INSERT ON leads_answers TO regress_lq_seller;
SET ROLE regress_lq_seller;
SELECT lead_qualify.answer('a', 2, 'need=yes', '2026-02-01');
SELECT lead_qualify.answer('a', 7, 'need=yes', '2026-02-01');
SELECT lead, assessment FROM leads_answers;
RESET ROLE;
SELECT lead, assessment FROM leads_qualification ORDER BY lead;
SELECT * FROM lead_qualify.verify('a');
SELECT lead_qualify.detach('a');
SELECT count(*) FROM leads_answers;
SELECT lead_qualify.attach('a', 'leads', 'activities', template => 'empty', fire => 'row');
INSERT INTO leads_answers (lead, assessment) VALUES (2, 'budget=yes'), (3, 'budget=no');
SELECT lead, assessment FROM leads_qualification ORDER BY lead;
SELECT lead_qualify.detach('a', keep_data => false);

-- which framework predicted best, by what was known at the entry into sql
CREATE TABLE deals (id int PRIMARY KEY, created_at timestamptz NOT NULL DEFAULT '2026-01-01');
CREATE TABLE steps (id int PRIMARY KEY, lead_id int, type text, at timestamptz);
CREATE INDEX ON steps (lead_id);
SELECT lead_qualify.attach('r', 'deals', 'steps', template => 'empty');
SELECT * FROM lead_qualify.framework_report('r');
INSERT INTO lead_qualify.stage (pipeline, stage, position, kind)
VALUES ('r', 'sales ready', 3, 'sql'), ('r', 'offer', 4, 'opportunity'), ('r', 'won', 5, 'won');
INSERT INTO lead_qualify.gate (pipeline, stage, name, activity_type)
VALUES ('r', 'sales ready', 'demo', 'demo'), ('r', 'offer', 'offer', 'offer'), ('r', 'won', 'won', 'won');
SELECT lead_qualify.publish('r', effective_from => '-infinity');
SELECT * FROM lead_qualify.framework_report('r');
INSERT INTO deals (id) SELECT generate_series(1, 8);
-- 1 to 6 are judged at the demo, 7 at the offer, 8 goes straight to won: nothing to judge it by
INSERT INTO deals_answers (lead, assessment, answered_at) VALUES
	(1, 'budget=yes, authority=yes, need=yes, timing=yes', '2026-01-02'), (2, 'budget=yes, authority=yes, need=yes, timing=yes', '2026-01-02'),
	(3, 'budget=yes', '2026-01-02'), (4, 'budget=no, authority=yes', '2026-01-02'), (5, 'budget=no', '2026-01-02'),
	-- known too late
	(5, 'budget=yes, authority=yes, need=yes, timing=yes', '2026-01-04'),
	(7, 'champion=yes', '2026-01-02'), (8, 'budget=yes', '2026-01-02');
INSERT INTO steps SELECT i, i, 'demo', '2026-01-03' FROM generate_series(1, 6) i;
INSERT INTO steps VALUES (7, 7, 'offer', '2026-01-03');
INSERT INTO steps SELECT 10 + i, i, 'won', '2026-02-01' FROM unnest(ARRAY[1, 3, 5, 7, 8]) i;
SELECT framework, assessed, qualified, qualified_converted AS q_conv, qualified_rate AS q_rate,
	round(qualified_low::numeric, 4) AS q_low, round(qualified_high::numeric, 4) AS q_high,
	unqualified_converted AS u_conv, round(unqualified_rate::numeric, 4) AS u_rate,
	round(unqualified_low::numeric, 4) AS u_low, round(unqualified_high::numeric, 4) AS u_high, auc
FROM lead_qualify.framework_report('r');
-- BANT by hand: who was won scored 100, 40, 0, the others 100, 30; of the 6 pairs (1/2 + 1) + (0 + 1) + (0 + 0)
-- before anybody is won
SELECT framework, qualified_converted, unqualified_converted, auc
FROM lead_qualify.framework_report('r', as_of => '2026-01-15') WHERE framework = 'BANT';
SELECT framework, qualified_converted, unqualified_converted
FROM lead_qualify.framework_report('r', 'offer') WHERE framework = 'BANT';
-- excluded leads are left out
INSERT INTO lead_qualify.exclusion (pipeline, name, condition) VALUES ('r', 'the first', 'id = 1');
SELECT lead_qualify.publish('r', effective_from => '-infinity');
SELECT lead, excluded FROM deals_qualification WHERE excluded IS NOT NULL;
SELECT framework, assessed, qualified_converted FROM lead_qualify.framework_report('r') WHERE framework = 'BANT';
SELECT * FROM lead_qualify.framework_report('r', 'sql');
SELECT * FROM lead_qualify.framework_report('r', 'nowhere');
SELECT * FROM lead_qualify.framework_report('nothing');
SELECT lead_qualify.detach('r', keep_data => false);

-- how sure a rate is
SELECT round(low::numeric, 4) AS low, round(high::numeric, 4) AS high FROM lead_qualify.wilson_interval(25, 100);
SELECT low, round(high::numeric, 4) AS high FROM lead_qualify.wilson_interval(0, 10);
SELECT round(low::numeric, 4) AS low, high FROM lead_qualify.wilson_interval(10, 10, 0.99);
SELECT * FROM lead_qualify.wilson_interval(0, 0);
SELECT * FROM lead_qualify.wilson_interval(3, 2);
SELECT * FROM lead_qualify.wilson_interval(-1, 2);
SELECT * FROM lead_qualify.wilson_interval(1, 2, 1);
SELECT * FROM lead_qualify.wilson_interval(1, 2, 'NaN');

DROP SCHEMA answers CASCADE;
DROP ROLE regress_lq_seller;
