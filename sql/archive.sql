--
-- archive(): what leads were at a time is where their replays begin, so that
-- older activities may go.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lead_qualify;
CREATE ROLE regress_archive_other;
\set VERBOSITY default
\set SHOW_CONTEXT never
SET timezone = 'UTC';
SET datestyle = ISO;
CREATE SCHEMA archive;
SET search_path = archive;

-- two pipelines of one configuration and the same events; only "a" is archived
CREATE PROCEDURE make(name text) LANGUAGE plpgsql SET search_path = archive AS $$
BEGIN
	EXECUTE format('CREATE TABLE %1$I (id int PRIMARY KEY, size int, created_at timestamptz DEFAULT ''2024-01-01 00:00+0'');
		CREATE TABLE %2$I (id int PRIMARY KEY, lead_id int, type text, at timestamptz, page text);
		CREATE INDEX ON %2$I (lead_id)', name || '_lead', name || '_act');
	PERFORM lead_qualify.attach(name, format('%I', name || '_lead')::regclass, format('%I', name || '_act')::regclass,
		template => 'empty', time_zone => 'UTC');
	INSERT INTO lead_qualify.dimension (pipeline, dimension, maximum) VALUES (name, 'fit', 30);
	INSERT INTO lead_qualify.stage (pipeline, stage, position, kind) VALUES (name, 'sql', 3, 'sql'), (name, 'recycled', 8, 'recycled');
	INSERT INTO lead_qualify.rule (pipeline, name, dimension, applies_to, activity_type, condition, points, decay, period, at_most, per, at_least, within, max_points) VALUES
		(name, 'big', 'fit', 'lead', NULL, 'size >= 50', 15, 'none', NULL, NULL, NULL, NULL, NULL, NULL),
		(name, 'page', 'engagement', 'activity', 'page', NULL, 4, 'exponential', '30 days', 2, 'day', NULL, NULL, 20),
		(name, 'demo', 'engagement', 'activity', 'demo', NULL, 10, 'exponential', '40 days', 3, NULL, NULL, NULL, NULL),
		(name, 'webinar', 'engagement', 'activity', 'webinar', NULL, 8, 'linear', '60 days', NULL, NULL, NULL, NULL, NULL),
		(name, 'mail', 'engagement', 'activity', 'mail', NULL, 6, 'window', '20 days', NULL, NULL, 2, '10 days', NULL),
		(name, 'left', 'engagement', 'activity', 'left', NULL, -3, 'exponential', '20 days', NULL, NULL, NULL, NULL, NULL);
	INSERT INTO lead_qualify.gate (pipeline, stage, name, from_stages, min_total, keep_total, fallback_stage, condition, framework) VALUES
		(name, 'mql', 'warm', '{lead,recycled}', 20, 10, 'lead', NULL, NULL),
		(name, 'sql', 'hot', NULL, 45, NULL, NULL, NULL, NULL), (name, 'sql', 'bant', NULL, NULL, NULL, NULL, NULL, 'BANT'),
		(name, 'mql', 'demos', '{lead}', NULL, NULL, NULL, 'lead_qualify.times(''demo'', ''20 days'') >= 3', NULL);
	PERFORM lead_qualify.publish(name, effective_from => '-infinity');
END $$;
CALL make('a');
CALL make('b');

-- the same for both
CREATE PROCEDURE twice(query text) LANGUAGE plpgsql SET search_path = archive AS $$
BEGIN
	EXECUTE format(query, 'a');
	EXECUTE format(query, 'b');
END $$;
-- where the two differ; states of leads, what their scores will be, and the stages since a time
CREATE FUNCTION differences(since timestamptz) RETURNS TABLE (lead int, what text, a text, b text) LANGUAGE sql SET search_path = archive AS $$
	SELECT lead, key, a.value, b.value
	FROM a_lead_qualification AS qa JOIN b_lead_qualification AS qb USING (lead),
		LATERAL jsonb_each_text(to_jsonb(qa) - '{score,check_at,archived_at,total_at_event,engagement_at_event}'::text[]) AS a
		JOIN LATERAL jsonb_each_text(to_jsonb(qb) - '{score,check_at,archived_at}'::text[]) AS b USING (key)
	WHERE a.value IS DISTINCT FROM b.value
	UNION ALL
	SELECT q.lead, d.dimension || ' at ' || at, a.points::text, d.points::text
	FROM a_lead_qualification AS q, unnest('{now,2030-01-01}'::timestamptz[]) AS at,
		LATERAL lead_qualify.score_at('a', q.lead, at) AS a
		JOIN LATERAL lead_qualify.score_at('b', q.lead, at) AS d USING (dimension)
	WHERE abs(a.points - d.points) > 1e-9
	UNION ALL
	SELECT lead, 'history', string_agg(h, '; ') FILTER (WHERE pipeline = 'a'), string_agg(h, '; ') FILTER (WHERE pipeline = 'b')
	FROM (SELECT 'a' AS pipeline, lead, concat_ws(' ', cycle, from_stage, stage, cause, gate, entered_at, left_at) AS h
		FROM a_lead_stage_history WHERE superseded_at IS NULL AND coalesce(left_at, 'infinity') >= since
		UNION ALL
		SELECT 'b', lead, concat_ws(' ', cycle, from_stage, stage, cause, gate, entered_at, left_at)
		FROM b_lead_stage_history WHERE superseded_at IS NULL AND coalesce(left_at, 'infinity') >= since) AS x
	GROUP BY lead, h HAVING count(*) <> 2
$$;

SELECT setseed(0.4);
CREATE TABLE life AS
SELECT i AS id, 1 + (random() * 39)::int AS lead_id, (ARRAY['page','page','demo','webinar','mail','mail','left','other'])[1 + floor(random() * 8)::int] AS type,
	timestamptz '2024-01-02' + random() * interval '300 days' AS at, 'p' || i % 7 AS page
FROM generate_series(1, 900) AS i;
CALL twice('INSERT INTO %1$I_lead (id, size) SELECT i, i %% 3 * 40 FROM generate_series(1, 45) AS i');
CALL twice('INSERT INTO %1$I_act SELECT * FROM life');
CALL twice('INSERT INTO %1$I_lead_answers (lead, assessment, answered_at) SELECT i, ''budget=yes, authority=yes'', ''2024-03-01'' FROM generate_series(1, 20) AS i');
SELECT lead_qualify.advance('a') > 0 AS moved, lead_qualify.advance('b') > 0 AS moved;
SELECT stage, count(*) FROM a_lead_stage_history WHERE superseded_at IS NULL GROUP BY 1 ORDER BY 1;
SELECT * FROM differences('-infinity');

--
-- An archive changes nothing but where replays begin
--
SELECT lead_qualify.archive('a', '2024-06-01');
SELECT count(*), min(archived_at) FROM a_lead_baseline;
SELECT count(*), min(archived_at) FROM a_lead_qualification WHERE archived_at IS NOT NULL;
SELECT * FROM differences('-infinity');
SELECT * FROM lead_qualify.verify('a');
-- twice or earlier: there is nothing to do
SELECT lead_qualify.archive('a', '2024-06-01'), lead_qualify.archive('a', '2024-02-01');

-- older activities go, with and without triggers that see it
DELETE FROM a_act WHERE at < '2024-06-01' AND lead_id % 2 = 0;
ALTER TABLE a_act DISABLE TRIGGER USER;
DELETE FROM a_act WHERE at < '2024-06-01';
ALTER TABLE a_act ENABLE TRIGGER USER;
SELECT * FROM differences('-infinity');
SELECT * FROM lead_qualify.verify('a');
SELECT lead_qualify.recompute('a');
SELECT * FROM differences('-infinity');
SELECT * FROM lead_qualify.verify('a');
-- law 3: what explain says adds up, with one row for each sum that the archive holds
SELECT l.id, x.sum, s.points FROM a_lead AS l,
	LATERAL (SELECT sum(worth) FROM lead_qualify.explain('a', l.id, '2025-01-01') WHERE dimension <> 'fit') AS x,
	LATERAL (SELECT points FROM lead_qualify.score_at('a', l.id, '2025-01-01') WHERE dimension = 'engagement') AS s
WHERE abs(coalesce(x.sum, 0) - s.points) > 1e-9;
SELECT dimension, rule, source, activity_key, points > 0 AS positive, counted, note FROM lead_qualify.explain('a', 1, '2024-11-01')
WHERE note = 'archived' ORDER BY rule NULLS LAST;

--
-- What happens later counts as it would without
--
CALL twice('INSERT INTO %1$I_act VALUES (2001, 1, ''demo'', ''2024-06-01''), (2002, 2, ''page'', ''2024-06-02''), (2003, 3, ''webinar'', ''2024-07-01''),
	(2004, 4, ''mail'', ''2024-06-03''), (2005, 5, ''left'', ''2024-06-03''), (2006, 41, ''demo'', ''2024-06-03''), (2007, 41, ''demo'', ''2024-12-03'')');
CALL twice('DELETE FROM %1$I_act WHERE at >= ''2024-06-01'' AND id %% 5 = 0');
CALL twice('UPDATE %1$I_act SET at = at + interval ''3 days'' WHERE at >= ''2024-06-01'' AND id %% 5 = 1');
CALL twice('UPDATE %1$I_lead SET size = 90 WHERE id BETWEEN 5 AND 9');
CALL twice('INSERT INTO %1$I_lead_answers (lead, assessment, answered_at) SELECT i, ''need=yes, timing=yes'', ''2024-08-01'' FROM generate_series(1, 10) AS i');
SELECT lead_qualify.advance('a') = lead_qualify.advance('b') AS same;
-- changes of a lead and moves by hand are dated now, a moment apart
SELECT * FROM differences('-infinity') WHERE what NOT IN ('attributes_at', 'scored_at') AND lead NOT BETWEEN 5 AND 9;
SELECT * FROM lead_qualify.verify('a');
SELECT * FROM lead_qualify.verify('b');

-- again, later: the archive grows; leads that began since are taken in
SELECT lead_qualify.archive('a', '2024-09-01');
DELETE FROM a_act WHERE at < '2024-09-01';
SELECT lead_qualify.recompute('a');
SELECT * FROM differences('-infinity') WHERE what NOT IN ('attributes_at', 'scored_at') AND lead NOT BETWEEN 5 AND 9;
SELECT * FROM lead_qualify.verify('a');

--
-- What comes too late is not scored, and said
--
INSERT INTO a_act VALUES (3001, 1, 'demo', '2024-05-01'), (3002, 1, 'demo', '2024-05-02'), (3003, 2, 'demo', '2024-08-31 23:59:59.999999'), (3004, 43, 'left', '2024-08-01');
INSERT INTO a_lead_answers (lead, assessment, answered_at) VALUES (1, 'need=no', '2024-02-01');
SELECT * FROM differences('-infinity') WHERE lead IN (1, 2, 43);
SELECT * FROM lead_qualify.verify('a');
SELECT * FROM lead_qualify.score_at('a', 1, '2024-05-01');
SELECT * FROM lead_qualify.explain_stage('a', 1, '2024-08-31');
SELECT dimension FROM lead_qualify.score_at('a', 1, '2024-09-01');
-- a lead that is new has no archive
INSERT INTO a_lead (id, created_at) VALUES (50, '2024-04-01');
INSERT INTO a_act VALUES (3050, 50, 'demo', '2024-05-01');
SELECT total_at_event, archived_at FROM a_lead_qualification WHERE lead = 50;

--
-- Versions: what is archived stands; what it was bound to may be republished
--
UPDATE lead_qualify.rule SET points = 20 WHERE pipeline = 'a' AND name IN ('demo', 'big');
SELECT lead_qualify.publish('a', effective_from => '-infinity');
SELECT * FROM lead_qualify.verify('a');
SELECT dimension, points FROM lead_qualify.score_at('a', 44);
SELECT count(*) > 0 AS some FROM a_lead_baseline WHERE stage = 'mql';
DELETE FROM lead_qualify.gate WHERE pipeline = 'a' AND stage = 'mql';
SELECT lead_qualify.publish('a');
UPDATE a_lead SET stage = 'lead' WHERE stage = 'mql';
DELETE FROM lead_qualify.stage WHERE pipeline = 'a' AND stage = 'mql';
SELECT lead_qualify.publish('a');
SELECT lead_qualify.discard_draft('a');

--
-- Merge, erase, delete, a new key
--
SELECT lead_qualify.merge_leads('a', 1, 2);
SELECT lead_qualify.merge_leads('a', 1, 50);
INSERT INTO a_lead (id, created_at) VALUES (51, '2024-10-01');
SELECT lead_qualify.merge_leads('a', 51, 44);
INSERT INTO a_act VALUES (3051, 51, 'demo', '2024-10-02'), (3052, 51, 'mail', '2024-10-03');
SELECT lead_qualify.merge_leads('a', 44, 51);
SELECT lead, cycle, from_stage, stage, cause, left_at IS NULL AS open FROM a_lead_stage_history WHERE lead = 44 AND superseded_at IS NULL ORDER BY id;
SELECT * FROM lead_qualify.verify('a');
-- a key that is never replayed from nothing
UPDATE a_lead SET id = 145 WHERE id = 45;
SELECT count(*) FROM a_lead_baseline WHERE lead IN (45, 145);
SELECT * FROM lead_qualify.verify('a', '{145}');
DELETE FROM a_lead WHERE id = 145;
SET client_min_messages = error;
SELECT lead_qualify.erase_lead('a', 4);
SET client_min_messages = warning;
SELECT count(*) FROM a_lead_baseline WHERE lead IN (4, 145);

--
-- A version for the past asks its questions from the baseline on: nothing is dated before it
--
CALL make('c');
INSERT INTO c_lead (id) SELECT generate_series(1, 9);
INSERT INTO c_act SELECT i * 10 + n, i, 'demo', '2024-02-01' FROM generate_series(1, 4) AS i, generate_series(1, 3) AS n;
SELECT lead_qualify.advance('c') > 0 AS fell;
SELECT lead_qualify.archive('c', '2024-02-10');
UPDATE lead_qualify.gate SET min_total = 28, keep_total = 27.9 WHERE pipeline = 'c' AND name = 'warm';
DELETE FROM lead_qualify.gate WHERE pipeline = 'c' AND name = 'demos';
INSERT INTO lead_qualify.gate (pipeline, stage, name, from_stages, after) VALUES ('c', 'recycled', 'forgotten', '{lead}', '1 day');
SELECT lead_qualify.publish('c', effective_from => '-infinity');
SELECT * FROM lead_qualify.verify('c');
DELETE FROM c_act WHERE lead_id = 1;
SELECT lead_qualify.recompute('c', '{1,2}');
SELECT lead, cycle, from_stage, stage, cause, entered_at, left_at FROM c_lead_stage_history WHERE superseded_at IS NULL AND lead IN (1, 2, 5) ORDER BY lead, entered_at, id;
SELECT * FROM lead_qualify.verify('c');

-- what is archived cannot be moved, and merges leave it as it is
SELECT lead_qualify.move('c', 3, 'mql', at => '2024-02-05', force => true);
CREATE TABLE c_call (id int PRIMARY KEY, lead_id int, at timestamptz);
CREATE INDEX ON c_call (lead_id);
SELECT lead_qualify.add_source('c', 'c_call', type_value => 'demo');
ALTER TABLE c_call RENAME at TO happened;
SELECT lead_qualify.archive('c', '2024-03-01');
ALTER TABLE c_call RENAME happened TO at;
INSERT INTO c_lead (id, created_at) VALUES (10, '2024-08-01');
INSERT INTO c_act VALUES (101, 10, 'demo', '2024-02-05');
SELECT lead_qualify.merge_leads('c', 3, 10);
-- the hint works while the activities are there
DELETE FROM c_lead_baseline WHERE lead IN (3, 10);
SELECT lead_qualify.merge_leads('c', 3, 10);
SELECT * FROM lead_qualify.verify('c');
SELECT count(*) FROM c_lead_qualification WHERE lead = 3 AND archived_at IS NULL;
SELECT lead_qualify.archive('c', '2024-02-10');
SELECT count(*) FROM c_lead_baseline WHERE lead = 3;
-- a row that is damaged is no reason to begin anew
UPDATE c_lead_baseline SET score = NULL WHERE lead = 4;
SELECT lead_qualify.recompute('c', '{4}');
DELETE FROM c_lead_baseline WHERE lead = 4;

-- detach keeps it, and whatever configuration takes it up goes on from there
DELETE FROM c_act WHERE at < '2024-02-10';
UPDATE c_lead SET stage = 'lead';
SELECT lead_qualify.detach('c');
SELECT lead_qualify.attach('c', 'c_lead', 'c_act', template => 'empty', time_zone => 'UTC');
SELECT lead_qualify.recompute('c') > 0 AS recomputed;
SELECT lead, b.stage = q.stage AS same_stage, q.archived_at, lead_qualify.points(q.score, 'engagement', q.scored_at) > 0 AS points
FROM c_lead_qualification AS q JOIN c_lead_baseline AS b USING (lead) WHERE lead IN (2, 3);
SELECT * FROM lead_qualify.verify('c');
SET client_min_messages = error;
SELECT lead_qualify.detach('c', keep_data => false);
SET client_min_messages = warning;

--
-- Undone while the activities are there: without a baseline a replay begins with the first event
--
SELECT lead_qualify.archive('b', '2024-09-01');
TRUNCATE b_lead_baseline;
CREATE TABLE before AS SELECT lead, stage, total_at_event FROM b_lead_qualification;
SELECT lead_qualify.recompute('b');
SELECT * FROM b_lead_qualification AS q JOIN before AS o USING (lead) WHERE (q.stage, q.total_at_event) IS DISTINCT FROM (o.stage, o.total_at_event);
SELECT count(*) FROM lead_qualify.score_at('b', 1, '2024-05-01');
SELECT count(*) FROM b_lead_qualification WHERE archived_at IS NOT NULL;
SELECT lead_qualify.archive('b', '2024-09-01');

--
-- Who may, and what may not be
--
SELECT lead_qualify.archive('a', NULL);
SELECT lead_qualify.archive('a', '-infinity');
SELECT lead_qualify.archive('a', 'infinity');
SELECT lead_qualify.archive('a', '2999-01-01');
SELECT lead_qualify.archive('nowhere', '2024-01-01');
GRANT USAGE ON SCHEMA archive TO regress_archive_other;
GRANT SELECT ON a_lead TO regress_archive_other;
SET ROLE regress_archive_other;
SELECT lead_qualify.archive('a', '2024-10-01');
RESET ROLE;

TRUNCATE a_lead;
SELECT count(*) FROM a_lead_baseline;
SET client_min_messages = error;
SELECT lead_qualify.detach('a', keep_data => false), lead_qualify.detach('b', keep_data => false);
DROP SCHEMA archive CASCADE;
DROP ROLE regress_archive_other;
