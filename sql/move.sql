--
-- Moves by hand: move(), accept(), reject(), recycle(), disqualify(), hold(),
-- the UPDATE of an application, and what guards them all.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lead_qualify;
\set VERBOSITY default
\set SHOW_CONTEXT never
CREATE SCHEMA move;
SET search_path = move;
SET timezone = 'UTC';
SET datestyle = ISO;
CREATE ROLE regress_move_sales;

CREATE TABLE leads (id int PRIMARY KEY, team text DEFAULT 'east', created_at timestamptz NOT NULL DEFAULT '2024-01-01');
CREATE TABLE activities (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, lead_id int, type text, occurred_at timestamptz);
CREATE INDEX ON activities (lead_id);
SELECT lead_qualify.attach('m', 'leads', 'activities');
INSERT INTO leads (id) SELECT generate_series(1, 40);
-- times of now are not shown
CREATE VIEW path AS
SELECT lead, cycle, from_stage, stage, CASE WHEN entered_at < '2024-12-31' THEN entered_at::text ELSE 'now' END AS entered_at,
	cause, gate, reason, note, forced, CASE WHEN moved_by = current_user THEN 'me' ELSE moved_by END AS moved_by
FROM leads_stage_history WHERE superseded_at IS NULL ORDER BY lead, leads_stage_history.entered_at, id;
CREATE VIEW now_in AS
SELECT l.id, l.stage, q.stage = l.stage AS agrees, q.cycle, round(q.engagement_at_event::numeric, 2) AS engagement, q.held_from, q.held_until
FROM leads l LEFT JOIN leads_qualification q ON q.lead = l.id;

CREATE FUNCTION message_of(statement text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	message text;
BEGIN
	EXECUTE statement;
	RETURN NULL;
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS message = MESSAGE_TEXT;
	RETURN regexp_replace(message, '\d{4}-\S+ \S+', 'a time');
END;
$$;

--
-- move(): through a gate that holds
--
-- 1: 40 points make it an sql by itself, 2: nobody knows it
INSERT INTO activities (lead_id, type, occurred_at) VALUES (1, 'demo_request', '2024-01-10'), (2, 'page_view', '2024-01-10');
SELECT lead_qualify.move('m', 2, 'sql', at => '2024-01-11');
SELECT lead_qualify.move('m', 2, 'sql', 'not_now', 'the boss said so', '2024-01-11', force => true);
-- who comes through a gate, or to a stage that has none, was not forced in
INSERT INTO activities (lead_id, type, occurred_at) VALUES (3, 'contact_form', '2024-01-10'), (3, 'webinar_attended', '2024-01-11');
SELECT lead_qualify.move('m', 3, 'lead', at => '2024-01-11 01:00');
INSERT INTO activities (lead_id, type, occurred_at) VALUES (3, 'pricing_view', '2024-01-12');
SELECT lead_qualify.move('m', 3, 'mql', at => '2024-01-12 00:01');
INSERT INTO activities (lead_id, type, occurred_at) VALUES (3, 'contact_form', '2024-01-12 00:02'), (3, 'ebook_download', '2024-01-12 00:03');
SELECT lead_qualify.move('m', '3', 'lead', at => '2024-01-13');
INSERT INTO activities (lead_id, type, occurred_at) VALUES (3, 'guide_download', '2024-01-13 01:00'), (3, 'webinar_signup', '2024-01-13 01:00');
SELECT lead_qualify.move('m', 3, 'sal', at => '2024-01-13 02:00', force => true);
SELECT lead_qualify.move('m', 3::bigint, 'opportunity', at => '2024-01-14', force => true);
SELECT * FROM path WHERE lead IN (2, 3);
-- a stage without gates is open to people
SELECT lead_qualify.move('m', 1, 'opportunity', note => 'signed tomorrow', at => '2024-01-12');
SELECT lead_qualify.move('m', 1, 'customer', at => '2024-01-13');
SELECT * FROM now_in WHERE id <= 3 ORDER BY id;
SELECT * FROM lead_qualify.verify('m');
-- where it is already nothing happens
SET client_min_messages = notice;
SELECT lead_qualify.move('m', 1, 'customer');
SELECT lead_qualify.move('m', 4, 'lead');
RESET client_min_messages;
SET client_min_messages = warning;
SELECT count(*) FROM path WHERE lead = 4;
-- a move may be followed by one that the engine makes in the same instant: that is what is returned
SELECT lead_qualify.answer('m', 5, 'budget=yes, authority=yes, need=yes, timing=yes', '2024-01-10');
SELECT lead_qualify.move('m', 5, 'mql', at => '2024-01-11', force => true);
SELECT from_stage, stage, cause, gate, forced, moved_by FROM path WHERE lead = 5;

-- while an exclusion holds no gate opens, to people neither
INSERT INTO lead_qualify.exclusion (pipeline, name, condition) VALUES ('m', 'own staff', $$team = 'staff'$$);
SELECT lead_qualify.publish('m', effective_from => '-infinity');
INSERT INTO activities (lead_id, type, occurred_at) VALUES (41, 'webinar_attended', '2024-01-10'), (41, 'contact_form', '2024-01-10');
INSERT INTO leads (id, team) VALUES (41, 'staff');
SELECT lead_qualify.accept('m', 41);
SELECT lead_qualify.move('m', 41, 'sal', at => '2024-01-11', force => true);
SELECT lead_qualify.move('m', 41, 'opportunity', at => '2024-01-12');
SELECT from_stage, stage, cause, gate, forced FROM path WHERE lead = 41;

-- errors
SELECT lead_qualify.move(NULL, 1, 'sql');
SELECT lead_qualify.move('m', NULL::int, 'sql');
SELECT lead_qualify.move('m', 1, NULL);
SELECT lead_qualify.move('m', 1, 'sql', at => NULL);
SELECT lead_qualify.move('m', 1, 'sql', force => NULL);
SELECT lead_qualify.move('nobody', 1, 'sql');
SELECT lead_qualify.move('m', 1, 'SQL');
SELECT lead_qualify.move('m', 999, 'sql');
SELECT lead_qualify.move('m', 'x', 'sql');
SELECT lead_qualify.move('m', 1, 'sql', 'we like them');
SELECT lead_qualify.move('m', 1, 'sql', at => '2300-01-01');
SELECT lead_qualify.move('m', 1, 'sql', at => 'infinity');
SELECT lead_qualify.move('m', 1, 'sql', at => '-infinity');
UPDATE leads SET stage = 'SQL' WHERE id = 1;

--
-- accept()
--
INSERT INTO activities (lead_id, type, occurred_at) VALUES (6, 'webinar_attended', '2024-02-01'), (6, 'contact_form', '2024-02-01');
SELECT lead_qualify.accept('m', 6, note => 'I take it', at => '2024-02-02');
SET client_min_messages = notice;
SELECT lead_qualify.accept('m', 6);
-- what is further on is not taken back
INSERT INTO activities (lead_id, type, occurred_at) VALUES (6, 'demo_request', '2024-02-03');
SELECT lead_qualify.accept('m', 6);
SELECT lead_qualify.accept('m', 6, at => '2024-02-02 12:00');
SET client_min_messages = warning;
SELECT * FROM path WHERE lead = 6;
SELECT * FROM lead_qualify.verify('m');
-- rejected and back again: accepted again, though nothing is newer than the step back but the person
SELECT lead_qualify.reject('m', 6, 'no_contact', 'called three times', '2024-02-04');
INSERT INTO activities (lead_id, type, occurred_at) VALUES (6, 'webinar_attended', '2024-03-01'), (6, 'contact_form', '2024-03-01');
SELECT lead_qualify.accept('m', 6, at => '2024-03-02');
SELECT * FROM path WHERE lead = 6 AND cycle = 2;
SELECT * FROM lead_qualify.verify('m');

--
-- Reasons
--
SELECT lead_qualify.reject('m', 7);
SELECT lead_qualify.recycle('m', 7, 'bored');
SELECT lead_qualify.disqualify('m', 7, '');
SELECT lead_qualify.hold('m', 7, reason => 'later');
SELECT lead_qualify.reject('m', 7, NULL, 'because');
-- the setting is for UPDATEs, and a reason of the draft is none yet
SET lead_qualify.reason = 'bored';
SELECT lead_qualify.disqualify('m', 7);
INSERT INTO lead_qualify.reason (pipeline, code, kind, label) VALUES ('m', 'bored', 'recycle', 'yawned'), ('m', 'on_leave', 'hold', 'is on leave');
SELECT lead_qualify.recycle('m', 7, 'bored', at => '2024-01-02');
SELECT object, name, change, draft FROM lead_qualify.diff('m');
SELECT lead_qualify.publish('m');
-- each has its own, move() and accept() all
SELECT lead_qualify.disqualify('m', 7, 'bored');
SELECT lead_qualify.hold('m', 7, reason => 'bored');
SELECT lead_qualify.hold('m', 7, reason => 'on_leave', at => '2024-01-02');
SELECT lead_qualify.move('m', 7, 'lead', 'bored', at => '2024-01-03');
SELECT lead_qualify.accept('m', 7, 'bored', at => '2024-01-03 12:00');
SELECT lead_qualify.recycle('m', 7, 'bored', at => '2024-01-04');
SELECT lead_qualify.disqualify('m', 7, 'competitor', at => '2024-01-05');
RESET lead_qualify.reason;
SELECT * FROM path WHERE lead = 7;
SELECT * FROM lead_qualify.verify('m');
-- a lead that was disqualified stays so
INSERT INTO activities (lead_id, type, occurred_at) VALUES (7, 'demo_request', '2024-02-01');
SELECT stage, agrees, cycle FROM now_in WHERE id = 7;
INSERT INTO lead_qualify.reason (pipeline, code, kind) VALUES ('m', 'x', 'move');
INSERT INTO lead_qualify.reason (pipeline, code) VALUES ('m', '');

--
-- A salesperson's decision is not undone by a page view
--
-- 8: by a request, 9: by answers
INSERT INTO activities (lead_id, type, occurred_at) VALUES (8, 'demo_request', '2024-02-01');
INSERT INTO activities (lead_id, type, occurred_at) VALUES (9, 'demo_video_view', '2024-02-01'), (9, 'webinar_attended', '2024-02-01');
SELECT lead_qualify.answer('m', 9, 'budget=yes, authority=yes, need=yes, timing=yes', '2024-02-02');
SELECT lead_qualify.move('m', 8, 'mql', at => '2024-02-03'), lead_qualify.move('m', 9, 'mql', at => '2024-02-03');
INSERT INTO activities (lead_id, type, occurred_at) SELECT l, 'page_view', timestamptz '2024-02-04' + l * interval '1 hour' FROM generate_series(8, 9) l;
SELECT lead_qualify.answer('m', 9, 'budget=yes, authority=yes, need=yes', '2024-02-05');
SELECT id, stage, agrees FROM now_in WHERE id IN (8, 9) ORDER BY id;
SELECT * FROM lead_qualify.verify('m');
INSERT INTO activities (lead_id, type, occurred_at) VALUES (8, 'demo_request', '2024-02-06');
SELECT lead_qualify.answer('m', 9, 'timing=yes', '2024-02-06');
SELECT * FROM path WHERE lead IN (8, 9);
-- the same by an UPDATE, which is dated now
UPDATE leads SET stage = 'mql' WHERE id IN (8, 9);
INSERT INTO activities (lead_id, type, occurred_at) SELECT l, 'page_view', clock_timestamp() FROM generate_series(8, 9) l;
SELECT id, stage, agrees FROM now_in WHERE id IN (8, 9) ORDER BY id;
INSERT INTO activities (lead_id, type, occurred_at) VALUES (8, 'demo_request', clock_timestamp());
SELECT lead_qualify.answer('m', 9, 'budget=yes, authority=yes, need=yes, timing=yes', clock_timestamp());
SELECT id, stage, agrees FROM now_in WHERE id IN (8, 9) ORDER BY id;
SELECT * FROM lead_qualify.verify('m');

--
-- recycle(): old points do not count again, new ones on their own
--
CREATE TABLE old_leads (id text PRIMARY KEY, created_at timestamptz DEFAULT '2024-01-01');
CREATE TABLE old_activities (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, lead_id text, type text, at timestamptz);
CREATE INDEX ON old_activities (lead_id);
SELECT lead_qualify.attach('o', 'old_leads', 'old_activities', template => 'empty');
INSERT INTO lead_qualify.rule (pipeline, name, activity_type, points, at_most, per) VALUES ('o', 'demo', 'demo', 30, 10, NULL), ('o', 'page', 'page', 1, NULL, NULL);
INSERT INTO lead_qualify.gate (pipeline, stage, name, min_engagement) VALUES ('o', 'mql', 'score', 25);
-- there is no stage of kind recycled yet: back to the first
SELECT lead_qualify.publish('o', effective_from => '-infinity');
INSERT INTO old_leads (id) VALUES ('a'), ('b'), ('c');
INSERT INTO old_activities (lead_id, type, at) SELECT l, 'demo', timestamptz '2024-02-01' + i * interval '1 day'
FROM unnest('{a,b}'::text[]) l, generate_series(1, 10) i;
SELECT lead_qualify.recycle('o', 'a', 'not_now', at => '2024-03-01');
-- in the stage already, but with a new cycle
SELECT lead_qualify.recycle('o', 'a', 'not_now', at => '2024-03-02');
SELECT lead_qualify.accept('o', 'a');
SELECT lead_qualify.hold('o', 'a');
SELECT lead_qualify.disqualify('o', 'a', 'competitor');
-- with one, and a stage to wait in
INSERT INTO lead_qualify.stage (pipeline, stage, position, kind) VALUES ('o', 'sql', 3, 'sql'), ('o', 'nurture', 8, 'recycled'), ('o', 'pause', 9, 'hold');
UPDATE lead_qualify.gate SET from_stages = '{lead,nurture}' WHERE pipeline = 'o';
SELECT lead_qualify.publish('o', effective_from => '2024-01-01');
SELECT lead_qualify.recycle('o', 'b', 'not_now', 'perhaps next year', '2024-03-01');
SELECT lead_qualify.advance('o', '2024-10-01') >= 0 AS advanced;
INSERT INTO old_activities (lead_id, type, at) VALUES ('b', 'page', '2024-10-02');
CREATE VIEW old_path AS SELECT lead, cycle, from_stage, stage, entered_at, cause, gate, reason, note, engagement
FROM old_leads_stage_history WHERE superseded_at IS NULL ORDER BY lead, entered_at, id;
SELECT l.id, l.stage, q.cycle, q.engagement_at_event FROM old_leads l JOIN old_leads_qualification q ON q.lead = l.id WHERE id = 'b';
SELECT * FROM lead_qualify.verify('o');
-- the cap is afresh, too
INSERT INTO old_activities (lead_id, type, at) VALUES ('b', 'demo', '2024-10-03');
SELECT l.id, l.stage, q.cycle, q.engagement_at_event FROM old_leads l JOIN old_leads_qualification q ON q.lead = l.id WHERE id = 'b';
SELECT * FROM old_path WHERE lead IN ('a', 'b');
SELECT rule, occurred_at, points, counted, worth, note FROM lead_qualify.explain('o', 'b', '2024-10-04') WHERE counted ORDER BY occurred_at;
SELECT rule, counted, note, count(*), sum(worth) FROM lead_qualify.explain('o', 'b', '2024-10-04') GROUP BY 1, 2, 3 ORDER BY 1, 2;
-- as it was in the first cycle
SELECT * FROM lead_qualify.score_at('o', 'b', '2024-02-28') ORDER BY dimension;
SELECT * FROM lead_qualify.verify('o');
-- in a stage beside the path already: no third cycle by calling twice
SELECT lead_qualify.reject('o', 'b', 'no_budget', at => '2024-10-05');
SELECT lead_qualify.reject('o', 'b', 'no_budget', at => '2024-10-06');
SELECT cycle FROM old_leads_qualification WHERE lead = 'b';

--
-- hold(): with an end the clock takes the lead back
--
INSERT INTO old_activities (lead_id, type, at) VALUES ('c', 'demo', '2024-02-01');
SELECT message_of($$SELECT lead_qualify.hold('o', 'c', '2024-02-01')$$);
SELECT lead_qualify.hold('o', 'c', '2024-03-01', at => '2024-03-01');
SELECT lead_qualify.hold('o', 'c', '2024-05-01', 'not_now', 'on leave', '2024-03-01');
SELECT stage, held_from, held_until, next_due_at FROM old_leads_qualification WHERE lead = 'c';
-- a hold gets another end, and goes back to where it came from
SELECT lead_qualify.hold('o', 'c', '2024-06-01', at => '2024-04-01');
SELECT stage, held_from, held_until, next_due_at FROM old_leads_qualification WHERE lead = 'c';
SELECT lead_qualify.advance('o', '2024-05-31 23:59:59');
SELECT stage FROM old_leads WHERE id = 'c';
SELECT lead_qualify.advance('o', '2024-06-01');
SELECT * FROM old_path WHERE lead = 'c';
SELECT * FROM lead_qualify.verify('o');
-- without one, and infinity is none, it waits for a person
SELECT lead_qualify.hold('o', 'c', at => '2024-07-01');
SELECT lead_qualify.move('o', 'c', 'lead', at => '2024-07-02');
SELECT lead_qualify.hold('o', 'c', 'infinity', at => '2024-07-03');
SELECT stage, held_from, held_until, next_due_at FROM old_leads_qualification WHERE lead = 'c';
-- a hold that was over before somebody noted it
SELECT lead_qualify.move('o', 'c', 'lead', at => '2024-07-04');
SELECT lead_qualify.hold('o', 'c', '2024-07-06', at => '2024-07-05');
SELECT lead_qualify.advance('o', '2024-07-07');
SELECT stage, cause, entered_at FROM old_path WHERE lead = 'c' ORDER BY entered_at DESC LIMIT 2;
SELECT * FROM lead_qualify.verify('o');

--
-- Moves of the past
--
INSERT INTO activities (lead_id, type, occurred_at) VALUES (10, 'webinar_attended', '2024-02-01'), (10, 'contact_form', '2024-02-02'),
	(10, 'page_view', '2024-03-01'), (10, 'demo_request', '2024-04-01');
SELECT from_stage, stage, entered_at, cause FROM path WHERE lead = 10;
-- gates are asked as they were: on the first of February there were 20 points
SELECT lead_qualify.move('m', 10, 'sql', at => '2024-02-01 12:00');
-- put aside in between; what happened since goes on from there. It is an sql now, by the request
SELECT lead_qualify.move('m', 10, 'lead', note => 'forgot to tell', at => '2024-02-10');
SELECT from_stage, stage, entered_at, cause, gate, note, moved_by FROM path WHERE lead = 10;
-- at one moment: in the order in which they were made
SELECT lead_qualify.move('m', 10, 'opportunity', at => '2024-05-01'), lead_qualify.move('m', 10, 'hold', at => '2024-05-01');
SELECT lead_qualify.move('m', 10, 'recycled', at => '2024-05-01');
SELECT from_stage, stage, entered_at, cause, cycle FROM path WHERE lead = 10 AND entered_at >= '2024-05-01';
SELECT * FROM lead_qualify.verify('m');
SELECT lead_qualify.recompute('m', '{10}');
SELECT * FROM lead_qualify.verify('m');
-- of the future of the transaction's beginning, but not of the clock
BEGIN;
SELECT lead_qualify.move('m', 11, 'disqualified', at => clock_timestamp());
SELECT lead_qualify.move('m', 11, 'lead');
SELECT from_stage, stage, cause FROM path WHERE lead = 11;
COMMIT;
-- before the table was attached nothing is known
CREATE TABLE past_leads (id int PRIMARY KEY, stage text);
CREATE TABLE past_activities (id int PRIMARY KEY, lead_id int, type text, at timestamptz);
INSERT INTO past_leads VALUES (1, 'mql');
INSERT INTO past_activities VALUES (1, 1, 'x', '2024-01-01');
SELECT lead_qualify.attach('past', 'past_leads', 'past_activities', template => 'empty');
\set VERBOSITY terse
SELECT lead_qualify.move('past', 1, 'lead', at => '2024-02-01');
\set VERBOSITY default
SELECT lead_qualify.move('past', 1, 'lead');
SELECT from_stage, stage, cause FROM past_leads_stage_history WHERE superseded_at IS NULL ORDER BY id;
SELECT * FROM lead_qualify.verify('past');
-- a stage that a version of that time does not have
INSERT INTO lead_qualify.stage (pipeline, stage, position, kind) VALUES ('past', 'late', 3, 'sql'), ('past', 'lost', 4, 'lost');
SELECT lead_qualify.publish('past');
CREATE TABLE before_publish AS SELECT min(published_at) + (max(published_at) - min(published_at)) / 2 AS at
FROM lead_qualify.version WHERE pipeline = 'past';
SELECT message_of(format('SELECT lead_qualify.move(''past'', 1, ''lost'', at => %L)', at)) FROM before_publish;
INSERT INTO lead_qualify.stage (pipeline, stage, position, kind) VALUES ('past', 'far', 5, 'lost');
SELECT lead_qualify.publish('past', effective_from => '2300-01-01');
SELECT message_of('UPDATE past_leads SET stage = ''far''');
SELECT message_of('SELECT lead_qualify.move(''past'', 1, ''far'')');
SELECT lead_qualify.move('past', 1, 'late');
SELECT * FROM lead_qualify.verify('past');

--
-- The application's UPDATE: who and why, for one row and for many
--
BEGIN;
SET LOCAL lead_qualify.reason = 'called us, and so on';
SET LOCAL lead_qualify.actor = 'ann@example.com';
UPDATE leads SET stage = 'opportunity' WHERE id = 12;
UPDATE leads SET stage = 'sal' WHERE id BETWEEN 13 AND 30;
SELECT lead_qualify.move('m', 31, 'opportunity');
COMMIT;
UPDATE leads SET stage = 'sal' WHERE id = 32;
SELECT stage, cause, reason, moved_by, forced, count(*) FROM path WHERE lead BETWEEN 12 AND 32 AND cause <> 'created' GROUP BY 1, 2, 3, 4, 5 ORDER BY min(lead);
SELECT * FROM lead_qualify.verify('m');

--
-- Allowed transitions
--
INSERT INTO lead_qualify.transition (pipeline, from_stage, to_stage) VALUES ('m', 'sal', 'sal');
INSERT INTO lead_qualify.transition (pipeline, from_stage, to_stage) VALUES ('m', 'sal', 'sqll');
SELECT lead_qualify.publish('m');
UPDATE lead_qualify.transition SET from_stage = 'salt', to_stage = 'sql' WHERE pipeline = 'm';
SELECT lead_qualify.publish('m');
UPDATE lead_qualify.transition SET from_stage = 'sal' WHERE pipeline = 'm';
INSERT INTO lead_qualify.transition (pipeline, from_stage, to_stage) VALUES ('m', 'sal', 'recycled'), ('m', 'lead', 'disqualified'), ('m', 'lead', 'mql');
SELECT object, name, change, draft FROM lead_qualify.diff('m');
-- the draft guards nothing
UPDATE leads SET stage = 'customer' WHERE id = 12;
SELECT lead_qualify.publish('m');
SELECT count(*) FROM lead_qualify.diff('m');
UPDATE leads SET stage = 'customer' WHERE id = 13;
UPDATE leads SET stage = 'opportunity' WHERE id = 12;
SELECT regexp_replace(message_of('UPDATE leads SET stage = ''mql'' WHERE id BETWEEN 14 AND 30'), '\d+', 'n');
UPDATE leads SET stage = NULL WHERE id = 13;
SELECT lead_qualify.move('m', 33, 'customer', force => true);
SELECT lead_qualify.hold('m', 33);
-- also in a time that did not know of it
SELECT lead_qualify.move('m', 33, 'opportunity', at => '2024-05-01');
UPDATE leads SET stage = 'recycled' WHERE id BETWEEN 13 AND 20;
SELECT lead_qualify.recycle('m', 21, 'not_now');
SELECT lead_qualify.disqualify('m', 33, 'competitor');
SELECT lead_qualify.move('m', 34, 'mql', force => true);
-- the engine's own moves, and the clock's, ask for none of it
INSERT INTO activities (lead_id, type, occurred_at) VALUES (35, 'demo_request', clock_timestamp());
SELECT stage, count(*) FROM leads WHERE id BETWEEN 12 AND 35 GROUP BY 1 ORDER BY 1;
-- nor does a replay ask, whatever was moved before
SELECT lead_qualify.recompute('m') > 0 AS recomputed;
SELECT stage, count(*) FROM leads WHERE id BETWEEN 12 AND 35 GROUP BY 1 ORDER BY 1;
SELECT * FROM lead_qualify.verify('m');
-- a new lead may begin anywhere
INSERT INTO leads (id, stage) VALUES (50, 'customer');
SELECT lead_qualify.rollback_to('m', 2);
SELECT count(*) FROM lead_qualify.transition WHERE pipeline = 'm';
UPDATE leads SET stage = 'opportunity' WHERE id = 12;
SELECT stage FROM leads WHERE id = 12;

--
-- Rights: UPDATE of the stage column of a lead that is visible
--
SET ROLE regress_move_sales;
SELECT lead_qualify.move('m', 36, 'disqualified');
RESET ROLE;
GRANT USAGE ON SCHEMA move TO regress_move_sales;
GRANT SELECT ON leads TO regress_move_sales;
SET ROLE regress_move_sales;
SELECT lead_qualify.move('m', 36, 'disqualified');
RESET ROLE;
GRANT UPDATE (team) ON leads TO regress_move_sales;
SET ROLE regress_move_sales;
SELECT lead_qualify.hold('m', 36);
RESET ROLE;
GRANT UPDATE (stage) ON leads TO regress_move_sales;
SET ROLE regress_move_sales;
SELECT lead_qualify.move('m', 36, 'disqualified', 'competitor', 'seen at the fair');
RESET ROLE;
SELECT stage, reason, note, moved_by FROM path WHERE lead = 36;
-- row security: who may see a lead and who may update it
ALTER TABLE leads ENABLE ROW LEVEL SECURITY;
CREATE POLICY seen ON leads FOR SELECT TO regress_move_sales USING (team IN ('east', 'west'));
CREATE POLICY written ON leads FOR UPDATE TO regress_move_sales USING (team = 'east');
UPDATE leads SET team = 'west' WHERE id = 37;
UPDATE leads SET team = 'north' WHERE id = 38;
SET ROLE regress_move_sales;
SELECT id, team FROM leads WHERE id BETWEEN 36 AND 39 ORDER BY id;
SELECT lead_qualify.move('m', 37, 'disqualified');
SELECT lead_qualify.move('m', 38, 'disqualified');
SELECT lead_qualify.accept('m', 39, force => true);
RESET ROLE;
SELECT id, stage FROM leads WHERE id BETWEEN 36 AND 39 ORDER BY id;
SELECT * FROM lead_qualify.verify('m');
ALTER TABLE leads DISABLE ROW LEVEL SECURITY;
-- not in a transaction that only reads
BEGIN READ ONLY;
SELECT lead_qualify.move('m', 39, 'disqualified');
ROLLBACK;
-- an application's own trigger moves the lead on: what is returned is where it is then
CREATE FUNCTION welcome() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO activities (lead_id, type, occurred_at) VALUES (NEW.id, 'demo_request', clock_timestamp());
	RETURN NULL;
END;
$$;
CREATE TRIGGER welcome AFTER UPDATE OF stage ON leads FOR EACH ROW WHEN (NEW.stage = 'mql') EXECUTE FUNCTION welcome();
SELECT lead_qualify.move('m', 40, 'mql', force => true);
DROP TRIGGER welcome ON leads;
SELECT * FROM lead_qualify.verify('m');

--
-- Shadow mode: the state moves, the leads table does not
--
CREATE TABLE shadow_leads (id uuid PRIMARY KEY, stage text DEFAULT 'New');
CREATE TABLE shadow_activities (id int PRIMARY KEY, lead_id uuid, type text, at timestamptz);
SET lead_qualify.stored_as = '{"lead": "New", "mql": "Qualified"}';
SELECT lead_qualify.attach('s', 'shadow_leads', 'shadow_activities', template => 'empty', mode => 'shadow');
RESET lead_qualify.stored_as;
INSERT INTO shadow_leads VALUES ('00000000-0000-0000-0000-00000000000a'), ('00000000-0000-0000-0000-00000000000b');
INSERT INTO lead_qualify.stage (pipeline, stage, position, kind) VALUES ('s', 'gone', 3, 'lost'), ('s', 'out', 4, 'disqualified');
INSERT INTO lead_qualify.transition (pipeline, from_stage, to_stage) VALUES ('s', 'lead', 'mql'), ('s', 'mql', 'gone');
SELECT lead_qualify.publish('s');
SELECT lead_qualify.move('s', '00000000-0000-0000-0000-00000000000A'::uuid, 'mql');
SELECT lead_qualify.move('s', '00000000-0000-0000-0000-00000000000A'::uuid, 'gone');
SELECT lead_qualify.disqualify('s', '00000000-0000-0000-0000-00000000000b', 'competitor');
SELECT l.stage, q.stage FROM shadow_leads l JOIN shadow_leads_qualification q ON q.lead = l.id;
-- the application goes its own ways, which the transitions do not judge
UPDATE shadow_leads SET stage = 'out' WHERE id = '00000000-0000-0000-0000-00000000000b';
SELECT l.stage, q.stage FROM shadow_leads l JOIN shadow_leads_qualification q ON q.lead = l.id ORDER BY l.id;
SELECT * FROM lead_qualify.verify('s');
SELECT lead_qualify.go_live('s');
SELECT stage FROM shadow_leads ORDER BY id;
UPDATE shadow_leads SET stage = 'New' WHERE id = '00000000-0000-0000-0000-00000000000b';
SELECT * FROM lead_qualify.verify('s');

-- deleted by a trigger of the application that fires first
CREATE FUNCTION bury() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN DELETE FROM leads WHERE id = NEW.id; RETURN NULL; END';
CREATE TRIGGER a_bury AFTER UPDATE OF stage ON leads FOR EACH ROW WHEN (NEW.stage = 'disqualified') EXECUTE FUNCTION bury();
UPDATE leads SET stage = 'disqualified' WHERE id = 31;
SELECT lead_qualify.disqualify('m', 32, 'competitor') IS NULL AS gone;
SELECT count(*) FROM leads WHERE id IN (31, 32);
DROP TRIGGER a_bury ON leads;
-- rows that wait for the end of the transaction
CREATE TABLE mails (id int PRIMARY KEY, lead_id int, at timestamptz);
CREATE INDEX ON mails (lead_id);
SELECT lead_qualify.add_source('m', 'mails', type_value => 'demo_request', fire => 'deferred');
BEGIN;
INSERT INTO mails VALUES (1, 29, '2024-06-01'), (2, 30, clock_timestamp());
SELECT lead_qualify.move('m', 29, 'hold'), lead_qualify.move('m', 30, 'lead');
COMMIT;
-- the first was an sal till the mail came, and the second's came before it went back
SELECT lead, from_stage, stage, entered_at, cause FROM path WHERE lead IN (29, 30) AND cause <> 'created';
SELECT * FROM lead_qualify.verify('m');

DROP VIEW path, now_in, old_path;
SELECT lead_qualify.detach(p, keep_data => false) FROM unnest('{m,o,past,s}'::text[]) p;
SELECT count(*) FROM lead_qualify.reason WHERE pipeline IN ('m', 'o', 'past', 's');
SELECT count(*) FROM lead_qualify.transition WHERE pipeline IN ('m', 'o', 'past', 's');
RESET search_path;
DROP SCHEMA move CASCADE;
DROP ROLE regress_move_sales;
