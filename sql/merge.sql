--
-- Two leads that are one person become one; a person is forgotten.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lead_qualify;
\set VERBOSITY terse
SET timezone = 'UTC';
CREATE SCHEMA merge;
SET search_path = merge;

-- activities name their lead as text; calls may be about other things than leads
CREATE TABLE lead (id int PRIMARY KEY, name text, employees int, created_at timestamptz);
CREATE TABLE activity (id int PRIMARY KEY, lead_ref text, type text, at timestamptz, page text);
CREATE TABLE call (id int PRIMARY KEY, about text, about_id bigint, at timestamptz);
CREATE INDEX ON activity (lead_ref);
CREATE INDEX ON call (about_id);
SELECT lead_qualify.attach('merge', 'lead', 'activity', activity_lead => 'lead_ref', template => 'empty', time_zone => 'UTC');
SELECT lead_qualify.add_source('merge', 'call', activity_lead => 'about_id', type_value => 'call', filter => 'about = ''Lead''');

-- page 4, at most 2 a day; demo 10; call 5; fit 15 from 50 employees; mql from 20, sql from 50 or by BANT
INSERT INTO lead_qualify.dimension (pipeline, dimension) VALUES ('merge', 'fit');
INSERT INTO lead_qualify.rule (pipeline, name, dimension, applies_to, activity_type, condition, points, at_most, per) VALUES
	('merge', 'page', 'engagement', 'activity', 'page', NULL, 4, 2, 'day'),
	('merge', 'demo', 'engagement', 'activity', 'demo', NULL, 10, NULL, NULL),
	('merge', 'call', 'engagement', 'activity', 'call', NULL, 5, NULL, NULL),
	('merge', 'big', 'fit', 'lead', NULL, 'employees >= 50', 15, NULL, NULL);
INSERT INTO lead_qualify.stage (pipeline, stage, position, kind) VALUES
	('merge', 'sql', 3, 'sql'), ('merge', 'opportunity', 4, 'opportunity'), ('merge', 'customer', 5, 'won'),
	('merge', 'hold', 7, 'hold'), ('merge', 'recycled', 8, 'recycled'), ('merge', 'disqualified', 9, 'disqualified');
INSERT INTO lead_qualify.gate (pipeline, stage, name, from_stages, min_total, framework) VALUES
	('merge', 'mql', 'warm', '{lead,recycled}', 20, NULL), ('merge', 'sql', 'hot', NULL, 50, NULL), ('merge', 'sql', 'bant', NULL, NULL, 'BANT');
SELECT lead_qualify.publish('merge', effective_from => '-infinity');

CREATE VIEW state AS
SELECT l.id, q.total_at_event AS total, q.fit_at_event AS fit, l.stage, l.stage = q.stage AS agrees, q.cycle, q.assessment, q.lead_since::date
FROM lead l LEFT JOIN lead_qualification q ON q.lead = l.id;
-- times of now are not shown
CREATE VIEW path AS
SELECT lead, cycle, from_stage, stage, cause, gate, reason, note,
	CASE WHEN entered_at < '2024-12-31' THEN entered_at::date::text ELSE 'now' END AS entered_at,
	left_at IS NULL AS open, superseded_at IS NOT NULL AS superseded, id
FROM lead_stage_history;
-- a move by hand, as it would have been made on that day; only tests may do so
CREATE FUNCTION moved(integer, text, timestamptz) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	UPDATE lead SET stage = $2 WHERE id = $1;
	UPDATE lead_stage_history SET entered_at = $3 WHERE lead = $1 AND left_at IS NULL AND superseded_at IS NULL;
	PERFORM lead_qualify.recompute('merge', ARRAY[$1::text]);
END $$;

--
-- Activities, answers, caps
--
INSERT INTO lead VALUES (1, 'Ann', 10, '2024-02-01'), (2, 'Anne', 500, '2024-01-01'), (3, 'Bob', 10, '2024-01-01');
INSERT INTO activity VALUES
	(11, '1', 'demo', '2024-02-02'), (12, '1', 'page', '2024-02-03 10:00'), (13, '1', 'page', '2024-02-03 12:00'),
	(21, '2', 'demo', '2024-01-02'), (22, '2', 'page', '2024-02-03 09:00'), (23, '2', 'page', '2024-02-05'),
	(31, '3', 'demo', '2024-01-02');
INSERT INTO call VALUES (1, 'Lead', 2, '2024-02-06'), (2, 'Contact', 2, '2024-02-06'), (3, 'Lead', 1, '2024-02-07');
SELECT lead_qualify.answer('merge', 1, 'budget=yes, need=no', '2024-02-04', 'asked by phone');
SELECT lead_qualify.answer('merge', 2, 'authority=yes, need=yes', '2024-02-08', 'asked by mail');
SELECT * FROM state ORDER BY id;
-- 10 + 8 + 5, 15 + 10 + 4 + 4 + 5: the third page of February 3 does not count; fit is the lead's, not the duplicate's
SELECT lead_qualify.merge_leads('merge', 1, 2);
SELECT * FROM state ORDER BY id;
SELECT lead_ref, count(*) FROM activity GROUP BY 1 ORDER BY 1;
SELECT * FROM call ORDER BY id;
SELECT activity_key, source, counted FROM lead_qualify.explain('merge', 1) WHERE activity_key IS NOT NULL ORDER BY source, occurred_at;
SELECT lead, assessment, note FROM lead_answers ORDER BY answered_at;
SELECT lead, values FROM lead_attributes ORDER BY lead;
-- both were created and mql: the merged lead is so once, from the day when both together had 20
SELECT lead, from_stage, stage, cause, gate, entered_at, open, superseded FROM path WHERE lead <> 3 ORDER BY id;
SELECT lead FROM lead_qualification ORDER BY 1;
SELECT * FROM lead_qualify.verify('merge');
-- recompute comes to the same
SELECT lead_qualify.recompute('merge');
SELECT count(*) FROM path;
-- goes on from there: 41 points, and the last answer is missing
INSERT INTO activity VALUES (14, '1', 'demo', '2024-03-01');
SELECT total, stage FROM state WHERE id = 1;
SELECT lead_qualify.answer('merge', 1, 'timing=yes', '2024-03-02');
SELECT from_stage, stage, gate, entered_at FROM path WHERE lead = 1 AND NOT superseded ORDER BY id;
SELECT * FROM lead_qualify.verify('merge');

--
-- Moves by hand
--
CREATE VIEW stands AS
SELECT lead, cycle, from_stage, stage, cause, gate, reason, note, entered_at, open, id FROM path WHERE NOT superseded;
-- 4 (the duplicate) became mql in January and sql in May; 5 mql in February, opportunity in March, customer in June.
-- The journey of 4 began earlier: its moves stand, and of 5 what came after them
INSERT INTO lead VALUES (4, 'Di', 10, '2024-01-01'), (5, 'Di', 10, '2024-01-01');
SELECT moved(4, 'mql', '2024-01-10'), moved(4, 'sql', '2024-05-10');
SELECT moved(5, 'mql', '2024-02-10'), moved(5, 'opportunity', '2024-03-10'), moved(5, 'customer', '2024-06-10');
SELECT lead_qualify.merge_leads('merge', 5, '4');
SELECT lead, from_stage, stage, cause, entered_at, open, superseded FROM path WHERE lead = 5 ORDER BY id;
SELECT id, stage, agrees FROM state WHERE id = 5;
-- the other way round: the lead's journey began earlier, and of the duplicate nothing came later
INSERT INTO lead VALUES (6, 'Ed', 10, '2024-01-01'), (7, 'Ed', 10, '2024-01-01');
SELECT moved(6, 'mql', '2024-01-10'), moved(6, 'sql', '2024-05-10');
SELECT moved(7, 'mql', '2024-02-10'), moved(7, 'opportunity', '2024-03-10');
SELECT lead_qualify.merge_leads('merge', '6', '7');
SELECT lead, from_stage, stage, cause, entered_at, open, superseded FROM path WHERE lead = 6 ORDER BY id;
-- two thirds of an mql each: together one since January; what a person said in February it is already then.
-- That the duplicate was disqualified, say as a duplicate, does not disqualify the lead
INSERT INTO lead VALUES (8, 'Flo', 10, '2024-01-01'), (9, 'Flo', 10, '2024-01-01');
INSERT INTO activity VALUES (81, '8', 'demo', '2024-01-05'), (91, '9', 'demo', '2024-01-06');
SELECT moved(8, 'mql', '2024-02-10'), moved(9, 'mql', '2024-02-01'), moved(9, 'disqualified', '2024-03-01');
SELECT lead_qualify.merge_leads('merge', 8, 9);
SELECT lead, from_stage, stage, cause, gate, entered_at, superseded FROM path WHERE lead = 8 ORDER BY id;
-- that the lead was does
INSERT INTO lead VALUES (10, 'Gus', 10, '2024-01-01'), (11, 'Gus', 10, '2024-01-01');
INSERT INTO activity VALUES (111, '11', 'demo', '2024-01-05'), (112, '11', 'demo', '2024-01-06'), (113, '11', 'demo', '2024-06-01');
SELECT moved(10, 'disqualified', '2024-03-01');
SELECT lead_qualify.merge_leads('merge', 10, 11);
SELECT from_stage, stage, cause, gate, entered_at, open FROM stands WHERE lead = 10 ORDER BY id;
SELECT * FROM lead_qualify.verify('merge');

--
-- Cycles: the duplicate was recycled in March and has 20 new points; the lead was sql in April
--
INSERT INTO lead VALUES (12, 'Hal', 10, '2024-01-01'), (13, 'Hal', 10, '2024-01-01');
INSERT INTO activity SELECT 1300 + i, '13', 'demo', timestamptz '2024-01-10' + i * interval '1 day' FROM generate_series(1, 3) i;
SELECT moved(13, 'recycled', '2024-03-01');
INSERT INTO activity SELECT 1310 + i, '13', 'demo', timestamptz '2024-05-10' + i * interval '1 day' FROM generate_series(1, 2) i;
SELECT moved(12, 'sql', '2024-04-01');
INSERT INTO activity VALUES (1201, '12', 'demo', '2024-03-10');
SELECT * FROM state WHERE id IN (12, 13) ORDER BY id;
SELECT lead_qualify.merge_leads('merge', 12, 13);
SELECT * FROM state WHERE id = 12;
SELECT cycle, from_stage, stage, cause, gate, entered_at, open FROM stands WHERE lead = 12 ORDER BY id;
SELECT * FROM lead_qualify.verify('merge');

--
-- Created in a later stage: it was moved there then
--
INSERT INTO lead (id, name, created_at) VALUES (14, 'Ida', '2024-01-01');
INSERT INTO lead (id, name, created_at, stage) VALUES (15, 'Ida', '2024-03-01', 'customer'), (16, 'Ida', '2024-02-01', 'sql');
SELECT lead_qualify.merge_leads('merge', 14, 15);
SELECT from_stage, stage, cause, note, entered_at, open FROM stands WHERE lead = 14 ORDER BY id;
SELECT lead_since FROM state WHERE id = 14;
-- sql in February came before customer in March; the lead began in January all the same
SELECT lead_qualify.merge_leads('merge', 16, 14);
SELECT from_stage, stage, cause, note, entered_at, open FROM stands WHERE lead = 16 ORDER BY id;
SELECT lead_since FROM state WHERE id = 16;
SELECT * FROM lead_qualify.verify('merge');

--
-- The application's tables have their say
--
CREATE TABLE note (id int PRIMARY KEY, lead_id int REFERENCES lead, said text);
INSERT INTO lead VALUES (20, 'Kim', 10, '2024-01-01'), (21, 'Kim', 10, '2024-01-01');
INSERT INTO note VALUES (1, 21, 'likes tea');
\set VERBOSITY default
\set SHOW_CONTEXT never
SELECT lead_qualify.merge_leads('merge', 20, 21);
SELECT lead_qualify.merge_leads('merge', 20, 20);
SELECT lead_qualify.merge_leads('merge', 20, 999);
SELECT lead_qualify.merge_leads('merge', 999, 20);
SELECT lead_qualify.merge_leads('merge', 20, 'Kim');
SELECT lead_qualify.merge_leads('merge', 20, NULL);
SELECT lead_qualify.merge_leads(NULL, 20, 21);
SELECT lead_qualify.merge_leads('none', 20, 21);
CREATE ROLE merge_clerk;
GRANT USAGE ON SCHEMA merge TO merge_clerk;
GRANT SELECT, UPDATE, DELETE ON lead, activity, call TO merge_clerk;
SET ROLE merge_clerk;
SELECT lead_qualify.merge_leads('merge', 20, 21);
SELECT lead_qualify.erase_lead('merge', 20);
RESET ROLE;
-- a trigger that keeps what should go
CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
INSERT INTO lead VALUES (22, 'Lea', 10, '2024-01-01'), (23, 'Lea', 10, '2024-01-01');
INSERT INTO activity VALUES (231, '23', 'demo', '2024-01-05');
CREATE TRIGGER keep BEFORE UPDATE ON activity FOR EACH ROW EXECUTE FUNCTION keep();
SELECT lead_qualify.merge_leads('merge', 22, 23);
DROP TRIGGER keep ON activity;
CREATE TRIGGER keep BEFORE DELETE ON lead FOR EACH ROW EXECUTE FUNCTION keep();
SELECT lead_qualify.merge_leads('merge', 22, 23);
DROP TRIGGER keep ON lead;
-- one that deletes the lead with its duplicate
CREATE FUNCTION follow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN DELETE FROM lead WHERE id = 22; RETURN OLD; END $$;
CREATE TRIGGER follow AFTER DELETE ON lead FOR EACH ROW WHEN (OLD.id = 23) EXECUTE FUNCTION follow();
SELECT lead_qualify.merge_leads('merge', 22, 23);
DROP TRIGGER follow ON lead;
-- a table that is not as it was
ALTER TABLE call RENAME at TO called_at;
SELECT lead_qualify.merge_leads('merge', 22, 23);
ALTER TABLE call RENAME called_at TO at;
\set VERBOSITY terse
-- nothing of all that left a trace
SELECT id, total FROM state WHERE id BETWEEN 20 AND 23 ORDER BY id;
SELECT * FROM lead_qualify.verify('merge');
-- one that writes activities and moves leads while the merge is at it: what it does counts
CREATE FUNCTION busy() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO activity VALUES (NEW.id + 5000, NEW.lead_ref, 'page', NEW.at);
	UPDATE lead SET stage = 'sql' WHERE id::text = NEW.lead_ref AND stage = 'lead';
	RETURN NEW;
END $$;
CREATE TRIGGER busy AFTER UPDATE ON activity FOR EACH ROW EXECUTE FUNCTION busy();
SELECT lead_qualify.merge_leads('merge', 22, 23);
DROP TRIGGER busy ON activity;
SELECT id, total, stage FROM state WHERE id BETWEEN 20 AND 23 ORDER BY id;
SELECT from_stage, stage, cause, entered_at, open FROM stands WHERE lead = 22 ORDER BY id;
SELECT * FROM lead_qualify.verify('merge');
-- the stage is written once, and other triggers on leads see the lead whole
CREATE TABLE seen (id int, stage text, activities bigint, duplicate boolean);
CREATE FUNCTION seen() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO merge.seen SELECT NEW.id, NEW.stage, count(*), EXISTS (SELECT FROM lead WHERE id = 25) FROM activity WHERE lead_ref = NEW.id::text;
	RETURN NULL;
END $$;
INSERT INTO lead VALUES (24, 'Max', 10, '2024-01-01'), (25, 'Max', 10, '2024-01-01');
INSERT INTO activity VALUES (241, '24', 'demo', '2024-01-05'), (251, '25', 'demo', '2024-01-06');
CREATE TRIGGER seen AFTER UPDATE OF stage ON lead FOR EACH ROW WHEN (OLD.stage <> NEW.stage) EXECUTE FUNCTION seen();
SELECT lead_qualify.merge_leads('merge', 24, 25);
SELECT * FROM seen;
DROP TRIGGER seen ON lead;
DROP TABLE note;

--
-- Leads that were there at attach, in stages that they had; a second pipeline, which goes by another key
--
CREATE TABLE person (id bigint PRIMARY KEY, mail text NOT NULL UNIQUE, stage text, created_at timestamptz);
CREATE TABLE visit (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), person_id bigint REFERENCES person, kind text, at timestamptz);
CREATE INDEX ON visit (person_id);
INSERT INTO person VALUES
	(1, 'a', 'lead', '2023-01-01'), (2, 'b', 'mql', '2023-02-01'),
	(3, 'c', 'lead', '2023-01-01'),
	(5, 'e', 'sql', '2023-01-01'), (6, 'f', 'mql', '2023-01-01');
-- 1 and 3 had 30 points before attach, for which no gate was tested
INSERT INTO visit (person_id, kind, at) SELECT p, 'demo', timestamptz '2023-03-01' + i * interval '1 day' FROM unnest('{1,3}'::bigint[]) p, generate_series(1, 3) i;
CREATE FUNCTION rules(text) RETURNS integer LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO lead_qualify.rule (pipeline, name, activity_type, points) VALUES ($1, 'demo', 'demo', 10);
	INSERT INTO lead_qualify.stage (pipeline, stage, position, kind) SELECT $1, 'sql', 3, 'sql' WHERE $1 = 'mail';
	INSERT INTO lead_qualify.gate (pipeline, stage, name, min_total) VALUES ($1, 'mql', 'warm', 20);
	RETURN lead_qualify.publish($1, effective_from => '-infinity');
END $$;
SELECT lead_qualify.attach('person', 'person', 'visit', activity_type => 'kind', time_zone => 'UTC');
DELETE FROM lead_qualify.rule WHERE pipeline = 'person';
DELETE FROM lead_qualify.gate WHERE pipeline = 'person';
SELECT rules('person');
CREATE TABLE mailing (id int PRIMARY KEY, mail text, kind text, at timestamptz);
CREATE INDEX ON mailing (mail);
SELECT lead_qualify.attach('mail', 'person', 'mailing', lead_key => 'mail', activity_lead => 'mail', activity_type => 'kind',
	stage_column => 'mail_stage', template => 'empty', time_zone => 'UTC');
SELECT rules('mail');
-- came in since: mql of its own
INSERT INTO person VALUES (4, 'd', 'lead', '2024-01-01'), (7, 'g', 'lead', '2024-01-01');
INSERT INTO visit (person_id, kind, at) SELECT p, 'demo', now() FROM unnest('{4,7}'::bigint[]) p, generate_series(1, 2) i;
INSERT INTO mailing VALUES (1, 'a', 'demo', '2024-01-01'), (2, 'b', 'demo', '2024-01-02'), (3, 'c', 'demo', '2024-01-03'), (4, 'd', 'demo', '2024-01-04');
UPDATE person SET mail_stage = 'sql' WHERE id = 2;
SELECT lead_qualify.recompute('person'), lead_qualify.recompute('mail');
CREATE VIEW person_stands AS
SELECT lead, from_stage, stage, cause, gate, entered_at IS NULL AS unknown, left_at IS NULL AS open, id
FROM person_stage_history WHERE superseded_at IS NULL;
SELECT lead, from_stage, stage, cause, gate, unknown, open FROM person_stands ORDER BY lead, id;
-- of two that were there the one that had come further; the duplicate's points count since attach
SELECT lead_qualify.merge_leads('person', 1, 2);
-- the duplicate came in later: no gate is tested for the time before attach
SELECT lead_qualify.merge_leads('person', 3, 4);
SELECT lead_qualify.merge_leads('person', 6, 5);
SELECT lead_qualify.merge_leads('person', 7, 6);
SELECT lead, from_stage, stage, cause, gate, unknown, open FROM person_stands ORDER BY lead, id;
SELECT id, mail, stage, mail_stage FROM person ORDER BY id;
SELECT person_id, count(*) FROM visit GROUP BY 1 ORDER BY 1;
-- the mails, too
SELECT * FROM mailing ORDER BY id;
SELECT q.lead, q.total_at_event AS total, q.stage FROM person_mail_qualification q ORDER BY 1;
SELECT lead, from_stage, stage, cause, moved_by = current_user AS by_me FROM person_mail_stage_history WHERE superseded_at IS NULL ORDER BY lead, id;
SELECT * FROM lead_qualify.verify('person');
SELECT * FROM lead_qualify.verify('mail');

--
-- A merged lead is what a lead with the activities and answers of both would have been all along: small
-- random cases against a pipeline that was told so from the beginning, for each type of key and way to fire
--
CREATE FUNCTION lead_name(i integer, type text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
	SELECT CASE type WHEN 'uuid' THEN '00000000-0000-4000-8000-' || lpad(i::text, 12, '0') WHEN 'text' THEN 'L' || i ELSE i::text END
$$;
CREATE PROCEDURE tables(pipeline text, type text, fire text, about text) LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('CREATE TABLE %s_lead (id %s PRIMARY KEY, employees int, created_at timestamptz)', pipeline, type);
	EXECUTE format('CREATE TABLE %s_event (id int PRIMARY KEY, lead_id %s, type text, at timestamptz)', pipeline, about);
	EXECUTE format('CREATE TABLE %s_mail (id uuid PRIMARY KEY, lead_id %s%s, at timestamptz)', pipeline, type,
		CASE WHEN pipeline = 'tried' THEN ' REFERENCES tried_lead' ELSE '' END);
	EXECUTE format('CREATE INDEX ON %s_event (lead_id); CREATE INDEX ON %1$s_mail (lead_id)', pipeline);
	PERFORM lead_qualify.attach(pipeline, pipeline || '_lead', pipeline || '_event', activity_lead => 'lead_id', template => 'empty', time_zone => 'UTC', fire => fire);
	PERFORM lead_qualify.add_source(pipeline, (pipeline || '_mail')::regclass, activity_lead => 'lead_id', type_value => 'mail', fire => fire);
	INSERT INTO lead_qualify.dimension (pipeline, dimension) VALUES (tables.pipeline, 'fit');
	INSERT INTO lead_qualify.rule (pipeline, name, dimension, applies_to, activity_type, condition, points, decay, period, at_most, per, answers) VALUES
		(tables.pipeline, 'demo', 'engagement', 'activity', 'demo', NULL, 15, 'exponential', '30 days', NULL, NULL, NULL),
		(tables.pipeline, 'page', 'engagement', 'activity', 'page', NULL, 4, 'linear', '60 days', 2, 'day', NULL),
		(tables.pipeline, 'mail', 'engagement', 'activity', 'mail', NULL, 6, 'window', '20 days', NULL, NULL, NULL),
		(tables.pipeline, 'form', 'engagement', 'activity', 'form', NULL, 0, 'none', NULL, NULL, NULL, 'budget=yes, need=yes'),
		(tables.pipeline, 'gone', 'engagement', 'activity', 'gone', NULL, -8, 'none', NULL, NULL, NULL, NULL),
		(tables.pipeline, 'big', 'fit', 'lead', NULL, 'employees >= 50', 15, 'none', NULL, NULL, NULL, NULL);
	INSERT INTO lead_qualify.stage (pipeline, stage, position, kind) VALUES
		(tables.pipeline, 'sql', 3, 'sql'), (tables.pipeline, 'recycled', 8, 'recycled');
	INSERT INTO lead_qualify.gate (pipeline, stage, name, from_stages, min_total, keep_total, fallback_stage, framework, idle) VALUES
		(tables.pipeline, 'mql', 'warm', '{lead,recycled}', 20, 10, 'lead', NULL, NULL),
		(tables.pipeline, 'sql', 'hot', NULL, 60, NULL, NULL, NULL, NULL),
		(tables.pipeline, 'sql', 'bant', NULL, NULL, NULL, NULL, 'BANT', NULL),
		(tables.pipeline, 'recycled', 'asleep', '{mql,sql}', NULL, NULL, NULL, NULL, '45 days');
	PERFORM lead_qualify.publish(pipeline, effective_from => '-infinity');
END $$;
-- pair i: lead 2i and duplicate 2i - 1, or the other way round
CREATE PROCEDURE try(type text, fire text, about text, pairs integer) LANGUAGE plpgsql AS $$
BEGIN
	CALL tables('tried', type, fire, about);
	CALL tables('told', type, 'statement', about);
	CREATE TEMP TABLE pair ON COMMIT DROP AS
		SELECT i, lead_name(2 * i - (i % 2), type) AS lead, lead_name(2 * i - 1 + (i % 2), type) AS duplicate FROM generate_series(1, pairs) i;
	CREATE TEMP TABLE given ON COMMIT DROP AS
		SELECT n, lead_name(1 + floor(random() * 2 * pairs)::int, type) AS lead,
			(ARRAY['demo', 'demo', 'page', 'page', 'page', 'mail', 'mail', 'form', 'gone', 'answer', 'answer'])[1 + floor(random() * 11)] AS kind,
			CASE WHEN random() < 0.03 THEN timestamptz '2100-01-01' ELSE '2024-01-10' END + floor(random() * 150 * 8) * interval '3 hours' AS at,
			(ARRAY['timing=yes', 'authority=partial, timing=no', 'budget=no', 'authority=yes', 'need=yes, budget=yes'])[1 + floor(random() * 5)] AS answers
		FROM generate_series(1, pairs * 24) n;
	EXECUTE format('INSERT INTO tried_lead SELECT lead_name(i, %L)::%1$s, (i * 37) %% 80, timestamptz ''2024-01-01'' + (i * 7 %% 60) * interval ''1 day'' FROM generate_series(1, 2 * %s) i', type, pairs);
	EXECUTE format('INSERT INTO told_lead SELECT p.lead::%s, l.employees, least(l.created_at, d.created_at)
		FROM pair p JOIN tried_lead l ON l.id::text = p.lead JOIN tried_lead d ON d.id::text = p.duplicate', type);
	-- some come after the merge
	FOR part IN 1 .. 2 LOOP
		EXECUTE format('INSERT INTO tried_event SELECT n, lead::%s, kind, at FROM given WHERE kind NOT IN (''mail'', ''answer'') AND (n %% 5 = 0) = (%s = 2)', about, part);
		EXECUTE format('INSERT INTO tried_mail SELECT lead_name(n, ''uuid'')::uuid, lead::%s, at FROM given WHERE kind = ''mail'' AND (n %% 5 = 0) = (%s = 2)', type, part);
		EXECUTE format('INSERT INTO tried_lead_answers (id, lead, assessment, answered_at) SELECT n, lead::%s, answers::lead_qualify.assessment, at FROM given WHERE kind = ''answer'' AND (n %% 5 = 0) = (%s = 2)', type, part);
		IF part = 1 THEN
			EXECUTE format('SELECT sum(lead_qualify.merge_leads(''tried'', lead::%s, duplicate::%1$s)) FROM pair', type);
			INSERT INTO difference SELECT type, fire, 'merged', v.lead, v::text FROM lead_qualify.verify('tried') v;
			UPDATE given g SET lead = p.lead FROM pair p WHERE p.duplicate = g.lead;
		END IF;
	END LOOP;
	EXECUTE format('INSERT INTO told_event SELECT n, lead::%s, kind, at FROM given WHERE kind NOT IN (''mail'', ''answer'') ORDER BY random()', about);
	EXECUTE format('INSERT INTO told_mail SELECT lead_name(n, ''uuid'')::uuid, lead::%s, at FROM given WHERE kind = ''mail''', type);
	EXECUTE format('INSERT INTO told_lead_answers (id, lead, assessment, answered_at) SELECT n, lead::%s, answers::lead_qualify.assessment, at FROM given WHERE kind = ''answer''', type);
	SET CONSTRAINTS ALL IMMEDIATE;
	PERFORM lead_qualify.advance('tried'), lead_qualify.recompute('told');
END $$;
-- everything that both say of the same leads
CREATE FUNCTION said(pipeline text) RETURNS TABLE (lead text, said text) LANGUAGE plpgsql AS $$
BEGIN
	RETURN QUERY EXECUTE format($q$
		SELECT q.lead::text, concat_ws(' | ', round(q.total_at_event::numeric, 6), round(q.engagement_at_event::numeric, 6), q.fit_at_event, q.scored_at, q.stage, l.stage,
			q.cycle, q.mark, q.mark_stage, q.gate, q.keeping, q.stage_since, q.active_at, q.waits_at, q.next_due_at, q.lead_since, 'answers', q.assessment, 'confirmed', q.confirmed)
		FROM %1$s_lead_qualification q JOIN %1$s_lead l ON l.id = q.lead
		UNION ALL
		SELECT h.lead::text, concat_ws(' | ', h.cycle, h.from_stage, h.stage, h.entered_at, h.left_at, h.cause, h.gate, round(h.total::numeric, 6), h.assessment)
		FROM %1$s_lead_stage_history h WHERE h.superseded_at IS NULL
	$q$, pipeline);
END $$;
CREATE TABLE difference (type text, fire text, pipeline text, lead text, said text);
CREATE TABLE tried (type text, fire text, about text, leads bigint, stays bigint, stages text);
CREATE PROCEDURE compare(type text, fire text, about text, pairs integer) LANGUAGE plpgsql AS $$
BEGIN
	CALL try(type, fire, about, pairs);
	INSERT INTO difference
	(SELECT type, fire, 'tried', * FROM said('tried') EXCEPT ALL SELECT type, fire, 'tried', * FROM said('told'))
	UNION ALL (SELECT type, fire, 'told', * FROM said('told') EXCEPT ALL SELECT type, fire, 'told', * FROM said('tried'))
	UNION ALL SELECT type, fire, 'verify', v.lead, v::text FROM lead_qualify.verify('tried') v;
	INSERT INTO tried SELECT type, fire, about, count(DISTINCT h.lead), count(*),
		string_agg(DISTINCT stage || CASE WHEN cycle > 1 THEN ' again' ELSE '' END, ', ')
	FROM tried_lead_stage_history h WHERE superseded_at IS NULL;
	PERFORM lead_qualify.detach(p, keep_data => false) FROM unnest('{tried,told}'::text[]) p;
	DROP TABLE tried_lead, tried_event, tried_mail CASCADE;
	DROP TABLE told_lead, told_event, told_mail;
	COMMIT;
END $$;
SELECT setseed(0.4);
CALL compare('bigint', 'statement', 'bigint', 10);
CALL compare('bigint', 'row', 'text', 10);
CALL compare('bigint', 'deferred', 'integer', 10);
CALL compare('uuid', 'statement', 'text', 10);
CALL compare('uuid', 'row', 'uuid', 10);
CALL compare('uuid', 'deferred', 'varchar', 10);
CALL compare('text', 'statement', 'varchar', 10);
CALL compare('text', 'row', 'text', 10);
CALL compare('text', 'deferred', 'text', 10);
SELECT * FROM difference;
-- not the least of the cases: stages beside the path, and several cycles
SELECT type, fire, about, leads, stays > 2 * leads AS many_stays, stages FROM tried;

--
-- The same with moves by hand, of which a replay knows nothing: whatever people did, the history is whole
--
SELECT setseed(0.3);
INSERT INTO lead SELECT i, 'lead ' || i, 10 * (i % 8), timestamptz '2024-01-01' + (i * 7 % 30) * interval '1 day' FROM generate_series(1001, 1080) i;
UPDATE lead SET employees = employees + 10 WHERE id > 1000 AND id % 3 = 0;
INSERT INTO activity SELECT 100000 + n, 1001 + floor(random() * 80), (ARRAY['demo', 'page'])[1 + n % 2],
	timestamptz '2024-02-01' + floor(random() * 200) * interval '12 hours' FROM generate_series(1, 400) n;
INSERT INTO call SELECT 1000 + n, 'Lead', 1001 + floor(random() * 80), timestamptz '2024-02-01' + floor(random() * 200) * interval '12 hours'
FROM generate_series(1, 100) n;
CREATE TEMP TABLE move AS
	SELECT n, 1001 + floor(random() * 80)::int AS lead,
		(ARRAY['mql', 'sql', 'opportunity', 'mql', 'sql', 'lead', 'hold', 'recycled', 'disqualified', 'customer'])[1 + floor(random() * 10)] AS stage,
		timestamptz '2024-03-01' + n * interval '12 hours' AS at
	FROM generate_series(1, 200) n;
DO $$ BEGIN PERFORM moved(lead, stage, at) FROM (SELECT * FROM move ORDER BY n) m; END $$;
SELECT count(*) FROM lead_qualify.verify('merge');
SELECT count(*) AS by_hand FROM lead_stage_history WHERE lead > 1000 AND cause = 'manual' \gset
-- pairs, and then pairs of pairs
SELECT count(*), sum(lead_qualify.merge_leads('merge', i + 1, i)) > 0 AS some FROM generate_series(1001, 1079, 2) i;
SELECT * FROM lead_qualify.verify('merge');
SELECT count(*), sum(lead_qualify.merge_leads('merge', i, i + 2)) > 0 AS some FROM generate_series(1002, 1078, 4) i;
SELECT * FROM lead_qualify.verify('merge');
SELECT count(*) FROM lead WHERE id > 1000;
-- one beginning, one present stage, each stay follows on the one before, and none twice
SELECT lead FROM lead_stage_history WHERE lead > 1000 AND superseded_at IS NULL
GROUP BY lead HAVING count(*) FILTER (WHERE cause = 'created') <> 1 OR count(*) FILTER (WHERE left_at IS NULL) <> 1;
SELECT lead, stage, from_stage, entered_at FROM (
	SELECT *, lag(stage) OVER stays AS previous, lag(left_at) OVER stays AS until, lag(cycle) OVER stays AS counted
	FROM lead_stage_history WHERE lead > 1000 AND superseded_at IS NULL
	WINDOW stays AS (PARTITION BY lead ORDER BY entered_at, id)) h
WHERE previous IS DISTINCT FROM from_stage OR until <> entered_at OR (stage = from_stage AND stage <> 'hold') OR counted > cycle;
-- no move by hand got lost from the audit, and recompute finds nothing to do
SELECT count(*) > 100 AS many, count(*) - :by_hand AS lost FROM lead_stage_history WHERE lead > 1000 AND cause = 'manual';
SELECT count(*) AS rows FROM lead_stage_history \gset
SELECT lead_qualify.recompute('merge') > 0 AS some;
SELECT count(*) - :rows AS new FROM lead_stage_history;

--
-- Erasing
--
CREATE VIEW counts AS
SELECT stage, cycle, date_trunc('month', entered_at) AS month, count(*), count(DISTINCT lead) AS leads
FROM lead_stage_history h
WHERE superseded_at IS NULL AND NOT EXISTS (SELECT FROM lead_qualification q WHERE q.lead = h.lead AND q.excluded IS NOT NULL)
GROUP BY 1, 2, 3;
INSERT INTO lead_qualify.exclusion (pipeline, name, condition) VALUES ('merge', 'huge', 'employees > 10000');
SELECT lead_qualify.publish('merge', effective_from => '-infinity');
INSERT INTO lead VALUES (30, 'Pia', 60, '2024-01-01'), (31, 'Pit', 60, '2024-01-01'), (32, 'Pol', 60000, '2024-01-01');
INSERT INTO activity SELECT 3000 + 10 * l + i, l::text, 'demo', timestamptz '2024-02-01' + i * interval '1 day' FROM generate_series(30, 32) l, generate_series(1, 4) i;
SELECT lead_qualify.answer('merge', l, 'need=yes, budget=no', '2024-03-01', 'she is ill') FROM generate_series(30, 31) l;
BEGIN;
SET LOCAL lead_qualify.reason = 'no budget: her husband lost his job';
SET LOCAL lead_qualify.actor = 'ann';
UPDATE lead SET stage = 'recycled' WHERE id IN (30, 31);
COMMIT;
SELECT * FROM state WHERE id BETWEEN 30 AND 32 ORDER BY id;
CREATE TABLE counted AS SELECT * FROM counts;
CREATE TABLE reported AS SELECT * FROM lead_qualify.framework_report('merge');
SET client_min_messages = notice;
\set VERBOSITY default
SELECT lead_qualify.erase_lead('merge', 30);
\set VERBOSITY terse
SET client_min_messages = warning;
CREATE VIEW remains AS
SELECT 'history' AS kind, to_jsonb(h) AS said FROM lead_stage_history h
UNION ALL SELECT 'state', to_jsonb(q) FROM lead_qualification q
UNION ALL SELECT 'answers', to_jsonb(a) FROM lead_answers a
UNION ALL SELECT 'attributes', to_jsonb(a) FROM lead_attributes a;
SELECT kind, jsonb_strip_nulls(said) FROM remains WHERE said ->> 'lead' = '30';
SELECT count(DISTINCT said ->> 'lead') AS one_key, count(*) AS rows, bool_and((said ->> 'lead')::int < 0) AS random,
	count(said ->> 'reason') + count(said ->> 'note') + count(said ->> 'moved_by') AS personal
FROM remains WHERE (said ->> 'lead')::int < 0;
-- no report has changed
SELECT * FROM counts EXCEPT ALL SELECT * FROM counted;
SELECT * FROM counted EXCEPT ALL SELECT * FROM counts;
SELECT * FROM reported EXCEPT ALL SELECT * FROM lead_qualify.framework_report('merge');
-- nor does the lead begin anew: not by activities, answers, moves, changes, recompute or the clock
INSERT INTO activity VALUES (9000, '30', 'demo', '2024-06-01');
UPDATE activity SET type = 'page' WHERE id = 3301;
SELECT lead_qualify.answer('merge', 30, 'need=yes');
INSERT INTO lead_answers (lead, assessment) VALUES (30, 'need=yes');
\set VERBOSITY default
SELECT lead_qualify.move('merge', 30, 'sql', force => true);
\set VERBOSITY terse
UPDATE lead SET stage = 'sql', employees = 70 WHERE id = 30;
SELECT lead_qualify.recompute('merge', '{30}'), lead_qualify.advance('merge');
SELECT kind, said ->> 'excluded' AS state FROM remains WHERE said ->> 'lead' = '30' ORDER BY 1;
SELECT count(*) FROM lead_qualify.explain('merge', 30) WHERE activity_key IS NOT NULL;
SELECT * FROM lead_qualify.verify('merge');
SELECT lead_qualify.merge_leads('merge', 31, 30);
SELECT lead_qualify.merge_leads('merge', 30, 31);
-- again: what came in meanwhile
SELECT lead_qualify.erase_lead('merge', '30');
SELECT kind FROM remains WHERE said ->> 'lead' = '30';
-- the application follows, in any order
DELETE FROM activity WHERE lead_ref = '30';
DELETE FROM lead WHERE id = 30;
SELECT kind FROM remains WHERE said ->> 'lead' = '30';
SELECT * FROM counts EXCEPT ALL SELECT * FROM counted;
SELECT * FROM counted EXCEPT ALL SELECT * FROM counts;
-- an excluded lead is in no report, and is in none afterwards; nor when it is deleted
SELECT count(*), max(excluded) AS excluded FROM lead_stage_history h JOIN lead_qualification q USING (lead) WHERE lead = 32;
SELECT lead_qualify.erase_lead('merge', 32);
SELECT * FROM counts EXCEPT ALL SELECT * FROM counted;
INSERT INTO lead VALUES (33, 'Pam', 60000, '2024-01-01');
DELETE FROM lead WHERE id = 33;
SELECT * FROM counts EXCEPT ALL SELECT * FROM counted;
SELECT count(DISTINCT lead) FROM lead_stage_history WHERE lead < 0;
-- whoever comes back of himself: the note of the erasure is deleted by hand
DELETE FROM activity WHERE lead_ref = '32';
UPDATE lead SET employees = 60 WHERE id = 32;
DELETE FROM lead_qualification WHERE lead = 32;
INSERT INTO activity VALUES (9001, '32', 'demo', '2024-06-01');
SELECT id, total, stage FROM state WHERE id = 32;
-- what is not there
SELECT lead_qualify.erase_lead('merge', 999);
SELECT lead_qualify.erase_lead('merge', NULL);
SELECT lead_qualify.erase_lead(NULL, 31);
SELECT lead_qualify.erase_lead('merge', 'x');
-- both pipelines of a person
SELECT lead_qualify.erase_lead('mail', 'c');
SELECT lead, stage, excluded FROM person_qualification WHERE lead = 3;
SELECT lead, stage, excluded FROM person_mail_qualification WHERE lead = 'c';
SELECT count(DISTINCT lead) FROM person_stage_history WHERE lead < 0;
SELECT count(DISTINCT lead) FROM person_mail_stage_history WHERE lead LIKE 'erased %';
DELETE FROM mailing WHERE mail = 'c';
DELETE FROM visit WHERE person_id = 3;
DELETE FROM person WHERE id = 3;
SELECT count(*) FROM person_qualification WHERE lead = 3;
SELECT * FROM lead_qualify.verify('merge') UNION ALL SELECT * FROM lead_qualify.verify('person') UNION ALL SELECT * FROM lead_qualify.verify('mail');


--
-- An owner who is no superuser, and whoever has his rights
--
CREATE ROLE merge_owner;
GRANT merge_owner TO merge_clerk;
GRANT CREATE, USAGE ON SCHEMA merge TO merge_owner;
SET ROLE merge_owner;
CREATE TABLE client (id text PRIMARY KEY, created_at timestamptz);
CREATE TABLE deed (id int PRIMARY KEY, client_id text REFERENCES client, type text, at timestamptz);
CREATE INDEX ON deed (client_id);
SELECT lead_qualify.attach('client', 'client', 'deed', activity_lead => 'client_id', template => 'empty', time_zone => 'UTC');
INSERT INTO lead_qualify.rule (pipeline, name, activity_type, points) VALUES ('client', 'demo', 'demo', 10);
INSERT INTO lead_qualify.gate (pipeline, stage, name, min_total) VALUES ('client', 'mql', 'warm', 20);
SELECT lead_qualify.publish('client', effective_from => '-infinity');
INSERT INTO client VALUES ('a', '2024-01-01'), ('A', '2024-01-01');
INSERT INTO deed VALUES (1, 'a', 'demo', '2024-02-01'), (2, 'A', 'demo', '2024-02-02');
SET ROLE merge_clerk;
SELECT lead_qualify.merge_leads('client', 'a', 'A');
SET ROLE merge_owner;
SELECT id, stage FROM client;
SELECT * FROM lead_qualify.verify('client');
SET ROLE merge_clerk;
SELECT lead_qualify.erase_lead('client', 'a');
RESET ROLE;
SELECT lead, excluded FROM client_qualification;
SELECT stage, cause, lead LIKE 'erased %' AS random FROM client_stage_history WHERE superseded_at IS NULL ORDER BY id;

DROP VIEW stands, path, state, person_stands, counts, remains;
DROP FUNCTION moved;
SELECT lead_qualify.detach(p, keep_data => false) FROM unnest('{merge,mail,person,client}'::text[]) p;
DROP OWNED BY merge_clerk, merge_owner;
DROP ROLE merge_clerk, merge_owner;
DROP SCHEMA merge CASCADE;
