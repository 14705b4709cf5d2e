-- Pardot: one table of activities with an integer "type" beside "type_name",
-- and prospects that have the product's own score and grade.
--
-- The export is a sample: the activities are of prospects that it does not
-- contain; they are added with their key.

CREATE SCHEMA pardot;
\set header `head -n 1 dbt_pardot/pardot_prospect_data.csv | tr -d '\r'`
SELECT tap.create_table('pardot.prospect', :'header', '_fivetran_deleted boolean, _fivetran_synced timestamptz, annual_revenue numeric, campaign_id bigint,
	created_at timestamptz, crm_last_sync timestamptz, employees integer, id bigint, is_do_not_call boolean, is_do_not_email boolean,
	is_reviewed boolean, is_starred boolean, last_activity_at timestamptz, opted_out boolean, prospect_account_id bigint,
	score integer, updated_at timestamptz, user_id bigint', 'id') \gset
\set header `head -n 1 dbt_pardot/pardot_visitor_activity_data.csv | tr -d '\r'`
SELECT tap.create_table('pardot.visitor_activity', :'header', 'id bigint, _fivetran_synced timestamptz, campaign_id bigint, created_at timestamptz,
	email_id bigint, email_template_id bigint, opportunity_id bigint, prospect_id bigint, type integer, visitor_id bigint, visit_id bigint', 'id') \gset
CREATE INDEX ON pardot.visitor_activity (prospect_id);

\copy pardot.prospect FROM 'dbt_pardot/pardot_prospect_data.csv' CSV HEADER
CREATE TABLE pardot.staged (LIKE pardot.visitor_activity);
\copy pardot.staged FROM 'dbt_pardot/pardot_visitor_activity_data.csv' CSV HEADER
INSERT INTO pardot.prospect (id, company, created_at)
SELECT prospect_id, CASE WHEN prospect_id % 2 = 0 THEN 'known' END, '2016-01-01' FROM pardot.staged;
\copy pardot.visitor_activity FROM PROGRAM 'head -n 41 dbt_pardot/pardot_visitor_activity_data.csv' CSV HEADER

SELECT tap.refused($$SELECT lead_qualify.attach('pardot', 'pardot.prospect', 'pardot.visitor_activity')$$,
	'that is activity_lead', 'pardot: without a foreign key the lead column must be named');
SELECT lead_qualify.attach('pardot', 'pardot.prospect', 'pardot.visitor_activity', activity_lead => 'prospect_id', activity_type => 'type');
-- the same tables a second time, by the name of the type
SELECT lead_qualify.attach('names', 'pardot.prospect', 'pardot.visitor_activity', activity_lead => 'prospect_id',
	stage_column => 'named_stage', template => 'empty', fire => 'deferred');
SELECT tap.is($$SELECT string_agg(activity_type || ' ' || activity_at, ', ' ORDER BY pipeline) FROM lead_qualify.source
	WHERE pipeline IN ('pardot', 'names')$$, 'type_name created_at, type created_at', 'pardot: both type columns serve');

INSERT INTO lead_qualify.rule (pipeline, name, dimension, applies_to, activity_type, condition, points, decay, period, at_most)
VALUES ('pardot', 'email_12', 'engagement', 'activity', '12', $$type_name = 'Email'$$, 6, 'exponential', '90 days', 5),
	('pardot', 'email_other', 'engagement', 'activity', NULL, $$type IN (14, 35, 36)$$, 8, 'linear', '180 days', NULL),
	('pardot', 'new_opportunity', 'engagement', 'activity', '8', 'opportunity_id IS NOT NULL', 30, 'none', NULL, NULL),
	('pardot', 'won', 'engagement', 'activity', '9', NULL, 50, 'none', NULL, NULL),
	('pardot', 'lost', 'engagement', 'activity', '10', NULL, -25, 'none', NULL, NULL),
	('pardot', 'own_grade', 'fit', 'lead', NULL, $$grade IN ('A', 'B', 'C+', 'C')$$, 10, 'none', NULL, NULL),
	('pardot', 'own_score', 'fit', 'lead', NULL, 'score >= 5 AND NOT coalesce(opted_out, false)', 5, 'none', NULL, NULL);
UPDATE lead_qualify.gate SET min_fit = 5 WHERE pipeline = 'pardot' AND stage = 'mql' AND name = 'score';
INSERT INTO lead_qualify.gate (pipeline, stage, name, activity_type) VALUES ('pardot', 'opportunity', 'from_crm', '8'), ('pardot', 'customer', 'from_crm', '9');
INSERT INTO lead_qualify.exclusion (pipeline, name, condition) VALUES ('pardot', 'gone', '_fivetran_deleted');
SELECT tap.ok(lead_qualify.publish('pardot', effective_from => '-infinity') = 2, 'pardot: the rules are published');

UPDATE lead_qualify.dimension SET maximum = 40 WHERE pipeline = 'names';
INSERT INTO lead_qualify.rule (pipeline, name, activity_type, points, decay, period)
VALUES ('names', 'opportunity', 'New Opportunity', 40, 'window', '5 years'), ('names', 'email', 'Email', 10, 'exponential', '1 year');
INSERT INTO lead_qualify.gate (pipeline, stage, name, min_engagement) VALUES ('names', 'mql', 'score', 40);
SELECT tap.ok(lead_qualify.publish('names', effective_from => '-infinity') = 2, 'pardot: those of the second pipeline too');
SELECT lead_qualify.recompute('pardot') + lead_qualify.recompute('names') > 0 AS all_scored \gset

-- the rest: 30 rows by one COPY, 30 a statement each
\copy pardot.visitor_activity FROM PROGRAM 'sed -n 42,71p dbt_pardot/pardot_visitor_activity_data.csv' CSV
CREATE VIEW pardot.remaining AS SELECT * FROM pardot.staged s WHERE NOT EXISTS (SELECT FROM pardot.visitor_activity a WHERE a.id = s.id);
SELECT tap.row_by_row('pardot.remaining', 'pardot.visitor_activity', 'created_at DESC');
SELECT tap.is('SELECT count(*) FROM pardot.visitor_activity', '100', 'pardot: every row is in');
SELECT tap.laws('pardot', 40);
SELECT tap.laws('names', 30);
SELECT tap.is($$SELECT string_agg(stage || ' ' || n, ', ' ORDER BY stage) FROM (SELECT stage, count(*) AS n FROM pardot.prospect GROUP BY 1) s$$,
	(SELECT string_agg(stage || ' ' || n, ', ' ORDER BY stage) FROM (
		SELECT CASE a.type WHEN 8 THEN 'opportunity' WHEN 9 THEN 'customer' ELSE 'lead' END AS stage, count(*) AS n
		FROM pardot.prospect p LEFT JOIN pardot.visitor_activity a ON a.prospect_id = p.id GROUP BY 1) s),
	'pardot: opportunities and customers are those of the CRM');
SELECT tap.is($$SELECT count(*) FROM pardot.prospect WHERE grade IS NOT NULL AND score IS NOT NULL$$, '97', 'pardot: its own score and grade are as they were');
SELECT tap.ok(points = 10, 'pardot: an e-mail is half worth after a year')
FROM pardot.visitor_activity a, lead_qualify.score_at('names', a.prospect_id, a.created_at) WHERE a.type_name = 'Email' AND dimension = 'total' LIMIT 1;
-- a changed column of a prospect is an event
UPDATE pardot.prospect SET score = 90, grade = 'A', employees = 500, job_title = 'Director of Operations' WHERE id IN (SELECT prospect_id FROM pardot.visitor_activity WHERE type = 12);
SELECT tap.no_row($$SELECT * FROM lead_qualify.verify('pardot') UNION ALL SELECT * FROM lead_qualify.verify('names')$$, 'pardot: verify is empty after attributes changed');
SELECT lead_qualify.detach('names', keep_data => false);
SELECT lead_qualify.detach('pardot', keep_data => false);
SELECT tap.no_row($$SELECT relname FROM pg_class WHERE relnamespace = 'pardot'::regnamespace AND relname ~ '^prospect_(qual|stage|attr|scored|names)'
	UNION ALL SELECT attname FROM pg_attribute WHERE attrelid = 'pardot.prospect'::regclass AND attname ~ 'stage' AND NOT attisdropped
	UNION ALL SELECT tgname FROM pg_trigger WHERE tgrelid IN ('pardot.prospect'::regclass, 'pardot.visitor_activity'::regclass)$$,
	'pardot: detach leaves nothing behind');
