-- Salesforce: text keys, wide tables, and activities that name a lead or a
-- contact in one column (who_id; keys of leads begin with 00Q).
--
-- The export is a sample of one lead, four contacts and ten tasks and events;
-- who the activities name is added with its key.

CREATE SCHEMA salesforce;
\set header `head -n 1 dbt_salesforce/sf_lead_data.csv | tr -d '\r'`
SELECT tap.create_table('salesforce.lead', :'header', 'created_date timestamp, converted_date timestamp, last_modified_date timestamp,
	system_modstamp timestamp, is_converted boolean, is_deleted boolean, number_of_employees integer', 'id') \gset
\set header `head -n 1 dbt_salesforce/sf_contact_data.csv | tr -d '\r'`
SELECT tap.create_table('salesforce.contact', :'header', 'created_date timestamp, is_deleted boolean', 'id') \gset
\set header `head -n 1 dbt_salesforce/sf_task_data.csv | tr -d '\r'`
SELECT tap.create_table('salesforce.task', :'header', 'activity_date timestamp, created_date timestamp, is_closed boolean, is_deleted boolean', 'id') \gset
\set header `head -n 1 dbt_salesforce/sf_event_data.csv | tr -d '\r'`
SELECT tap.create_table('salesforce.event', :'header', 'activity_date timestamp, activity_date_time timestamp, created_date timestamp,
	duration_in_minutes integer, is_deleted boolean', 'id') \gset
CREATE INDEX ON salesforce.task (who_id);
CREATE INDEX ON salesforce.event (who_id);

\copy salesforce.lead FROM 'dbt_salesforce/sf_lead_data.csv' CSV HEADER
\copy salesforce.contact FROM 'dbt_salesforce/sf_contact_data.csv' CSV HEADER
SELECT tap.ok(count(*) > 380, 'salesforce: leads have ' || count(*) || ' columns') FROM pg_attribute WHERE attrelid = 'salesforce.lead'::regclass AND attnum > 0;

SELECT tap.refused($$SELECT lead_qualify.attach('sf_lead', 'salesforce.lead', 'salesforce.task', activity_lead => 'who_id', stage_column => 'status')$$,
	'', 'salesforce: its own status cannot be the stage while values are not mapped');
SELECT lead_qualify.attach('sf_lead', 'salesforce.lead', 'salesforce.task', activity_lead => 'who_id', activity_type => 'task_subtype',
	created_at => 'created_date', filter => $$who_id LIKE '00Q%' AND NOT is_deleted$$);
SELECT lead_qualify.add_source('sf_lead', 'salesforce.event', activity_lead => 'who_id', filter => $$who_id LIKE '00Q%'$$);
SELECT lead_qualify.attach('sf_contact', 'salesforce.contact', 'salesforce.task', activity_lead => 'who_id', activity_type => 'task_subtype',
	created_at => 'created_date', filter => $$who_id LIKE '003%'$$);
SELECT lead_qualify.add_source('sf_contact', 'salesforce.event', activity_lead => 'who_id', activity_at => 'activity_date_time', filter => $$who_id LIKE '003%'$$);
SELECT tap.is($$SELECT string_agg(activity_type || ' ' || activity_at, ', ' ORDER BY number) FROM lead_qualify.source WHERE pipeline = 'sf_contact'$$,
	'task_subtype activity_date, type activity_date_time', 'salesforce: columns are found, or as they were named');

INSERT INTO lead_qualify.rule (pipeline, name, activity_type, condition, points, decay, period)
SELECT p, r.* FROM unnest(ARRAY['sf_lead', 'sf_contact']) p, (VALUES
	('completed_task', 'Task', $$status = 'Completed' AND is_closed$$, 26, 'exponential', interval '30 days'),
	('open_task', 'Task', $$status <> 'Completed'$$, 10, 'exponential', '30 days'),
	('call', 'Call', 'duration_in_minutes >= 15', 15, 'linear', '90 days'),
	('meeting', 'Meeting', NULL, 40, 'linear', '90 days')) AS r;
UPDATE lead_qualify.gate SET min_fit = NULL, min_engagement = 10, keep_engagement = 5 WHERE pipeline IN ('sf_lead', 'sf_contact') AND stage = 'mql' AND name = 'score';
SELECT tap.ok(lead_qualify.publish('sf_lead', effective_from => '-infinity') > 1 AND lead_qualify.publish('sf_contact', effective_from => '-infinity') > 1,
	'salesforce: the rules are published');

\copy salesforce.task FROM 'dbt_salesforce/sf_task_data.csv' CSV HEADER
\copy salesforce.event FROM 'dbt_salesforce/sf_event_data.csv' CSV HEADER
INSERT INTO salesforce.lead (id, created_date) SELECT DISTINCT who_id, timestamp '2019-11-01' FROM salesforce.task WHERE who_id LIKE '00Q%';
INSERT INTO salesforce.contact (id, created_date) SELECT who_id, timestamp '2019-11-01' FROM salesforce.task WHERE who_id LIKE '003%'
UNION SELECT who_id, timestamp '2019-11-01' FROM salesforce.event;
SELECT lead_qualify.recompute('sf_lead') + lead_qualify.recompute('sf_contact') > 0 AS all_scored \gset
SELECT tap.laws('sf_lead', 1);
SELECT tap.laws('sf_contact', 10);
UPDATE salesforce.task SET who_id = (SELECT min(id) FROM salesforce.lead) WHERE who_id LIKE '003%';
SELECT tap.no_row($$SELECT * FROM lead_qualify.verify('sf_lead') UNION ALL SELECT * FROM lead_qualify.verify('sf_contact')$$,
	'salesforce: verify is empty after tasks went from contacts to a lead');
