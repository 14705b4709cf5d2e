--
-- Rights: who may insert activities, what the triggers may do, row security.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lead_qualify;
\set VERBOSITY terse
SET timezone = 'UTC';
CREATE ROLE regress_live_owner;
CREATE ROLE regress_live_web;
CREATE ROLE regress_live_sales;
CREATE ROLE regress_live_other;
CREATE SCHEMA live_rights AUTHORIZATION regress_live_owner;
GRANT USAGE ON SCHEMA live_rights TO regress_live_web, regress_live_sales, regress_live_other;
SET search_path = live_rights;

SET ROLE regress_live_owner;
CREATE TABLE lead (id int PRIMARY KEY, name text, team text, created_at timestamptz);
CREATE TABLE activity (id int PRIMARY KEY, lead_id int REFERENCES lead, type text, at timestamptz, team text);
CREATE INDEX ON activity (lead_id);
-- a condition may call the owner's functions
CREATE FUNCTION is_team(text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
	RETURN $1 IN ('east', 'west') AND current_user = 'regress_live_owner';
END $$;
REVOKE ALL ON FUNCTION is_team(text) FROM PUBLIC;
SELECT lead_qualify.attach('rights', 'lead', 'activity', template => 'empty');
INSERT INTO lead_qualify.rule (pipeline, name, activity_type, condition, points) VALUES
	('rights', 'demo', 'demo', NULL, 10), ('rights', 'team', NULL, 'is_team(team)', 1);
INSERT INTO lead_qualify.gate (pipeline, stage, name, min_total, condition) VALUES
	('rights', 'mql', 'warm', 20, 'is_team(team)');
SELECT lead_qualify.publish('rights', effective_from => '-infinity');
GRANT INSERT ON activity TO regress_live_web;
GRANT SELECT, INSERT, UPDATE, DELETE ON lead, activity TO regress_live_sales;
INSERT INTO lead SELECT i, 'lead ' || i, (ARRAY['east', 'west', 'none'])[1 + i % 3], '2024-01-01' FROM generate_series(1, 6) i;

-- a role that may only insert activities
SET ROLE regress_live_web;
INSERT INTO activity SELECT 10 * l + i, l, 'demo', timestamptz '2024-02-01' + i * interval '1 day', 'east'
FROM generate_series(1, 6) l, generate_series(1, 2) i;
SELECT * FROM lead;
SELECT * FROM lead_qualification;
SELECT * FROM lead_qualify.verify('rights');
SELECT lead_qualify.recompute('rights');
SELECT * FROM lead_qualify.score_at('rights', 1);
-- whatever its settings are
SET search_path = pg_temp;
SET datestyle = 'German, DMY';
SET timezone = 'Asia/Kolkata';
INSERT INTO live_rights.activity VALUES (101, 1, 'demo', '01.02.2024 12:00+0', 'east');
RESET timezone;
RESET datestyle;
SET timezone = 'UTC';
SET search_path = live_rights;
RESET ROLE;
-- 1: 3 x 11, others 2 x 11; those of team none stay
SELECT q.lead, q.total_at_event AS total, l.stage, q.scored_at FROM lead_qualification q JOIN lead l ON l.id = q.lead ORDER BY 1;

-- a role that may write leads, and says who it is
SET ROLE regress_live_sales;
UPDATE lead SET stage = 'mql' WHERE id = 2;
UPDATE lead SET team = 'west' WHERE id = 5;
DELETE FROM activity WHERE id = 12;
SELECT lead, total_at_event FROM lead_qualification;
RESET ROLE;
SELECT lead, stage, cause, moved_by FROM lead_stage_history WHERE lead IN (2, 5) AND superseded_at IS NULL ORDER BY lead, id;
SELECT lead, total_at_event AS total FROM lead_qualification WHERE lead = 1;

-- side tables are not for others, unless they may read leads
SET ROLE regress_live_other;
SELECT * FROM lead_qualification;
SELECT * FROM lead_stage_history;
INSERT INTO activity VALUES (102, 1, 'demo', '2024-02-01');
RESET ROLE;

-- the functions of triggers do nothing for those who call them
SELECT lead_qualify.activity_changed();
CREATE TABLE forged (id int, lead_id int, type text, at timestamptz);
CREATE TRIGGER forged AFTER INSERT ON forged FOR EACH STATEMENT EXECUTE FUNCTION lead_qualify.activity_changed('rights', '1');
CREATE TRIGGER forged_early BEFORE INSERT ON forged FOR EACH ROW EXECUTE FUNCTION lead_qualify.lead_changed('rights');
INSERT INTO forged VALUES (1, 1, 'demo', '2024-02-01');
DROP TRIGGER forged_early ON forged;
INSERT INTO forged VALUES (1, 1, 'demo', '2024-02-01');
GRANT CREATE ON SCHEMA live_rights TO regress_live_other;
ALTER TABLE forged OWNER TO regress_live_other;
INSERT INTO forged VALUES (1, 1, 'demo', '2024-02-01');
DROP TABLE forged;

--
-- Row security on both tables, the owner included
--
ALTER TABLE lead ENABLE ROW LEVEL SECURITY;
ALTER TABLE activity ENABLE ROW LEVEL SECURITY;
CREATE POLICY team ON lead TO regress_live_sales USING (team = 'east') WITH CHECK (team = 'east');
CREATE POLICY team ON activity TO regress_live_sales, regress_live_web USING (team = 'east') WITH CHECK (team = 'east');
SET ROLE regress_live_web;
INSERT INTO activity VALUES (103, 1, 'demo', '2024-02-05', 'west');
-- the lead is of another team, and scored
INSERT INTO activity VALUES (104, 1, 'demo', '2024-02-05', 'east'), (105, 4, 'demo', '2024-02-05', 'east');
SET ROLE regress_live_sales;
SELECT id, team, stage FROM lead ORDER BY id;
INSERT INTO activity VALUES (106, 3, 'demo', '2024-02-06', 'east');
UPDATE activity SET type = 'none' WHERE id = 104;
DELETE FROM activity WHERE id = 105;
RESET ROLE;
-- 1: 11 + 11 + 1. 3: 3 x 11. 4: 22
SELECT lead, total_at_event AS total, stage FROM lead_qualification WHERE lead IN (1, 3, 4) ORDER BY lead;
SET ROLE regress_live_owner;
SELECT * FROM lead_qualify.verify('rights');
-- when even the owner is subject to policies, they must show him the leads
RESET ROLE;
ALTER TABLE lead FORCE ROW LEVEL SECURITY;
ALTER TABLE activity FORCE ROW LEVEL SECURITY;
CREATE POLICY all_of_it ON lead TO regress_live_owner USING (true);
CREATE POLICY all_of_it ON activity TO regress_live_owner USING (true);
SET ROLE regress_live_web;
INSERT INTO activity VALUES (107, 3, 'demo', '2024-02-07', 'east');
SET ROLE regress_live_owner;
-- 4 x 11
SELECT lead, total_at_event AS total FROM lead_qualification WHERE lead = 3;
-- a right that the owner lost is a problem of the pipeline: inserts go on, unscored
REVOKE UPDATE ON lead_qualification FROM regress_live_owner;
SET ROLE regress_live_web;
INSERT INTO activity VALUES (108, 3, 'demo', '2024-02-08', 'east');
SET ROLE regress_live_owner;
SELECT kind, name, message FROM lead_qualify.problem WHERE pipeline = 'rights';
GRANT UPDATE ON lead_qualification TO regress_live_owner;

SELECT * FROM lead_qualify.problem WHERE pipeline = 'rights';
SELECT lead_qualify.recompute('rights');
SELECT * FROM lead_qualify.verify('rights');
SELECT lead_qualify.detach('rights', keep_data => false);
RESET ROLE;
RESET search_path;
DROP SCHEMA live_rights CASCADE;
DROP ROLE regress_live_owner, regress_live_web, regress_live_sales, regress_live_other;
