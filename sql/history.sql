-- The stage history as triggers of the owner's find it: a lead is in one stay, and
-- what replaces a row is there before it is superseded.

SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lead_qualify;
SET timezone = 'UTC';
CREATE SCHEMA history;
SET search_path = history;
CREATE TABLE lead (id int PRIMARY KEY, created_at timestamptz NOT NULL);
CREATE TABLE activity (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, lead_id int, type text, at timestamptz);
CREATE INDEX ON activity (lead_id);
SELECT FROM lead_qualify.attach('history', 'lead', 'activity', template => 'empty', time_zone => 'UTC');
INSERT INTO lead_qualify.stage (pipeline, stage, position, kind) VALUES ('history', 'sal', 3, 'sal'), ('history', 'lost', 9, 'lost');
INSERT INTO lead_qualify.rule (pipeline, name, dimension, activity_type, points, decay) VALUES ('history', 'ask', 'engagement', 'ask', 1, 'none');
INSERT INTO lead_qualify.gate (pipeline, stage, name, from_stages, condition) VALUES
	('history', 'mql', 'first', '{lead}', 'times(''ask'') > 0'), ('history', 'sal', 'second', '{mql}', 'times(''ask'') > 1');
SELECT FROM lead_qualify.publish('history', effective_from => '2024-01-01');
INSERT INTO lead SELECT i, '2024-01-20' FROM generate_series(1, 7) i;

-- how many stays of a lead are open, at each change of its history
CREATE TABLE seen (lead int, what text, open bigint);
CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO history.seen SELECT new.lead, lower(tg_op), count(*) FROM history.lead_stage_history
	WHERE lead = new.lead AND left_at IS NULL AND superseded_at IS NULL;
	RETURN NULL;
END $$;
CREATE TRIGGER look AFTER INSERT OR UPDATE ON lead_stage_history FOR EACH ROW EXECUTE FUNCTION look();
INSERT INTO activity (lead_id, type, at) VALUES (1, 'ask', '2024-02-05'), (2, 'ask', '2024-02-02'), (2, 'ask', '2024-02-03');
TABLE seen ORDER BY 1, 2, 3;
TRUNCATE seen;
-- a late one: another row takes the place of the first
INSERT INTO activity (lead_id, type, at) VALUES (1, 'ask', '2024-02-01');
TABLE seen ORDER BY 1, 2, 3;
DROP TRIGGER look ON lead_stage_history;

-- who is superseded is moved
CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	PERFORM lead_qualify.move('history', tg_argv[0]::int, 'lost', force => true);
	RETURN NULL;
END $$;
CREATE TRIGGER lose AFTER UPDATE OF superseded_at ON lead_stage_history FOR EACH ROW WHEN (new.superseded_at IS NOT NULL AND new.lead = 3) EXECUTE FUNCTION lose(3);
INSERT INTO activity (lead_id, type, at) VALUES (3, 'ask', '2024-02-05');
INSERT INTO activity (lead_id, type, at) VALUES (3, 'ask', '2024-02-02');
DROP TRIGGER lose ON lead_stage_history;
-- when a stay of one lead ends, another lead of the statement is moved
CREATE TRIGGER lose AFTER UPDATE ON lead_stage_history FOR EACH ROW WHEN (new.left_at IS NOT NULL AND new.lead = 5) EXECUTE FUNCTION lose(4);
INSERT INTO activity (lead_id, type, at) VALUES (4, 'ask', '2024-02-05'), (5, 'ask', '2024-02-02');
DROP TRIGGER lose ON lead_stage_history;
CREATE TRIGGER lose AFTER UPDATE ON lead_stage_history FOR EACH ROW WHEN (new.left_at IS NOT NULL AND new.lead = 6) EXECUTE FUNCTION lose(7);
INSERT INTO activity (lead_id, type, at) VALUES (6, 'ask', '2024-02-06'), (7, 'ask', '2024-02-06'), (7, 'ask', '2024-02-07');
DROP TRIGGER lose ON lead_stage_history;
SELECT lead, string_agg(stage || CASE WHEN left_at IS NULL THEN ', open' ELSE '' END, '; ' ORDER BY id) AS stays
FROM lead_stage_history WHERE superseded_at IS NULL GROUP BY 1 ORDER BY 1;
SELECT * FROM lead_qualify.verify('history');

SELECT FROM lead_qualify.detach('history', keep_data => false);
DROP SCHEMA history CASCADE;
