-- Marketo as its connector delivers it: no type column, a table for each type
-- of activity, no foreign keys, times without a zone.  Some files begin with a
-- byte order mark; HEADER skips it with the first line.
--
-- The export is a sample: the activities are of other leads than the 100 in
-- the leads file.  Those leads are added, some with their key and nothing
-- else before their activities, some after, as a connector syncs them.

CREATE SCHEMA marketo;
\set header `head -n 1 dbt_marketo/marketo_lead_data.csv | tr -d '\r'`
SELECT tap.create_table('marketo.lead', :'header', 'id bigint, created_at timestamp, updated_at timestamp', 'id') \gset
\set header `head -n 1 dbt_marketo/marketo_activity_open_email_data.csv | tr -d '\r\357\273\277'`
SELECT tap.create_table('marketo.activity_open_email', :'header',
	'activity_date timestamp, activity_type_id bigint, campaign_id bigint, id bigint, lead_id bigint, is_mobile_device boolean', 'id') \gset
\set header `head -n 1 dbt_marketo/marketo_activity_click_email_data.csv | tr -d '\r\357\273\277'`
SELECT tap.create_table('marketo.activity_click_email', :'header',
	'activity_date timestamp, activity_type_id bigint, campaign_id bigint, id bigint, lead_id bigint, is_mobile_device boolean', 'id') \gset
\set header `head -n 1 dbt_marketo/marketo_activity_unsubscribe_email_data.csv | tr -d '\r\357\273\277'`
SELECT tap.create_table('marketo.activity_unsubscribe_email', :'header',
	'activity_date timestamp, activity_type_id bigint, campaign_id bigint, id bigint, lead_id bigint', 'id') \gset
\set header `head -n 1 dbt_marketo/marketo_activity_email_bounced_data.csv | tr -d '\r\357\273\277'`
SELECT tap.create_table('marketo.activity_email_bounced', :'header',
	'activity_date timestamp, activity_type_id bigint, campaign_id bigint, id bigint, lead_id bigint, category integer', 'id') \gset
\set header `head -n 1 dbt_marketo/marketo_activity_email_delivered_data.csv | tr -d '\r\357\273\277'`
SELECT tap.create_table('marketo.activity_email_delivered', :'header',
	'activity_date timestamp, activity_type_id bigint, campaign_id bigint, id bigint, lead_id bigint', 'id') \gset
\set header `head -n 1 dbt_marketo/marketo_activity_send_email_data.csv | tr -d '\r\357\273\277'`
SELECT tap.create_table('marketo.activity_send_email', :'header',
	'activity_date timestamp, activity_type_id bigint, campaign_id bigint, id bigint, lead_id bigint', 'id') \gset
\set header `head -n 1 dbt_marketo/marketo_activity_change_data_value_data.csv | tr -d '\r\357\273\277'`
SELECT tap.create_table('marketo.activity_change_data_value', :'header',
	'activity_date timestamp, activity_type_id bigint, campaign_id bigint, id bigint, lead_id bigint', 'id') \gset
\set header `head -n 1 dbt_marketo/marketo_activity_merge_leads_data.csv | tr -d '\r\357\273\277'`
SELECT tap.create_table('marketo.activity_merge_leads', :'header',
	'activity_date timestamp, activity_type_id bigint, campaign_id bigint, id bigint, lead_id bigint, master_updated boolean, merged_in_sales boolean', 'id') \gset

\copy marketo.lead FROM 'dbt_marketo/marketo_lead_data.csv' CSV HEADER
-- the first half of two tables is there before attach
\copy marketo.activity_open_email FROM PROGRAM 'head -n 51 dbt_marketo/marketo_activity_open_email_data.csv' CSV HEADER
\copy marketo.activity_click_email FROM PROGRAM 'head -n 51 dbt_marketo/marketo_activity_click_email_data.csv' CSV HEADER
INSERT INTO marketo.lead (id)
SELECT lead_id FROM marketo.activity_open_email WHERE lead_id % 2 = 0
UNION SELECT lead_id FROM marketo.activity_click_email WHERE lead_id % 2 = 0;

SELECT tap.refused($$SELECT lead_qualify.attach('marketo', 'marketo.lead', 'marketo.activity_click_email')$$,
	'could not find the column of marketo.activity_click_email that is activity_type',
	'marketo: a table without a type column needs type_value');
SELECT lead_qualify.attach('marketo', 'marketo.lead', 'marketo.activity_click_email', type_value => 'email_click', time_zone => 'UTC');
SELECT tap.is($$SELECT ROW (activity_lead, activity_at, activity_key)::text FROM lead_qualify.source WHERE pipeline = 'marketo'$$,
	'(lead_id,activity_date,id)', 'marketo: the other columns are found');
SELECT lead_qualify.add_source('marketo', 'marketo.activity_open_email', type_value => 'email_open');
SELECT lead_qualify.add_source('marketo', 'marketo.activity_unsubscribe_email', type_value => 'unsubscribed');
SELECT lead_qualify.add_source('marketo', 'marketo.activity_email_bounced', type_value => 'bounced');
-- the number of the type will do as well
SELECT lead_qualify.add_source('marketo', 'marketo.activity_email_delivered', activity_type => 'activity_type_id');
SELECT lead_qualify.add_source('marketo', 'marketo.activity_send_email', activity_type => 'activity_type_id',
	filter => $$action_result = 'succeeded'$$);
SELECT lead_qualify.add_source('marketo', 'marketo.activity_change_data_value', activity_type => 'activity_type_id');
SELECT lead_qualify.add_source('marketo', 'marketo.activity_merge_leads', type_value => 'merged');

INSERT INTO lead_qualify.rule (pipeline, name, activity_type, condition, points, decay, period, at_most, per)
VALUES ('marketo', 'delivered', '7', NULL, 0.5, 'linear', '30 days', NULL, NULL),
	('marketo', 'sent', '6', NULL, 0.25, 'window', '30 days', NULL, NULL),
	('marketo', 'contact_type', '13', $$primary_attribute_value = 'Contact Type'$$, 4, 'none', NULL, 1, 'day'),
	('marketo', 'hard_bounce', 'bounced', $$category IN (1, 2)$$, -15, 'none', NULL, 1, NULL),
	('marketo', 'webinar_click', 'email_click', $$primary_attribute_value ILIKE '%webinar%'$$, 12, 'exponential', '60 days', 3, 'day'),
	('marketo', 'merge', 'merged', 'NOT merged_in_sales', 5, 'none', NULL, NULL, NULL);
UPDATE lead_qualify.gate SET min_engagement = 4, keep_engagement = 2 WHERE pipeline = 'marketo' AND stage = 'mql' AND name = 'score';
SELECT tap.ok(lead_qualify.publish('marketo', effective_from => '-infinity') > 1, 'marketo: the rules are published');
SELECT tap.ok(lead_qualify.recompute('marketo') = (SELECT count(*) FROM marketo.lead), 'marketo: the leads that are there are scored');

-- the rest comes live: some files as one COPY, one a row a statement
\copy marketo.activity_open_email FROM PROGRAM 'tail -n +52 dbt_marketo/marketo_activity_open_email_data.csv' CSV
\copy marketo.activity_click_email FROM PROGRAM 'tail -n +52 dbt_marketo/marketo_activity_click_email_data.csv' CSV
\copy marketo.activity_unsubscribe_email FROM 'dbt_marketo/marketo_activity_unsubscribe_email_data.csv' CSV HEADER
\copy marketo.activity_email_bounced FROM 'dbt_marketo/marketo_activity_email_bounced_data.csv' CSV HEADER
\copy marketo.activity_email_delivered FROM 'dbt_marketo/marketo_activity_email_delivered_data.csv' CSV HEADER
\copy marketo.activity_change_data_value FROM 'dbt_marketo/marketo_activity_change_data_value_data.csv' CSV HEADER
\copy marketo.activity_merge_leads FROM 'dbt_marketo/marketo_activity_merge_leads_data.csv' CSV HEADER
CREATE TEMP TABLE staged (LIKE marketo.activity_send_email);
\copy staged FROM 'dbt_marketo/marketo_activity_send_email_data.csv' CSV HEADER
SELECT tap.row_by_row('staged', 'marketo.activity_send_email', 'id DESC');

-- what is of no known lead waits for the lead
CREATE VIEW marketo.activity AS
	SELECT lead_id, id FROM marketo.activity_open_email
	UNION ALL SELECT lead_id, id FROM marketo.activity_click_email
	UNION ALL SELECT lead_id, id FROM marketo.activity_unsubscribe_email
	UNION ALL SELECT lead_id, id FROM marketo.activity_email_bounced
	UNION ALL SELECT lead_id, id FROM marketo.activity_email_delivered
	UNION ALL SELECT lead_id, id FROM marketo.activity_change_data_value
	UNION ALL SELECT lead_id, id FROM marketo.activity_merge_leads
	UNION ALL SELECT lead_id, id FROM marketo.activity_send_email;
SELECT tap.ok(count(*) > 100, 'marketo: activities of unknown leads are taken (' || count(*) || ')')
FROM marketo.activity a WHERE NOT EXISTS (SELECT FROM marketo.lead l WHERE l.id = a.lead_id);
INSERT INTO marketo.lead (id, created_at)
SELECT DISTINCT lead_id, timestamp '2020-05-15' FROM marketo.activity
ON CONFLICT DO NOTHING;
SELECT tap.no_row('SELECT id FROM marketo.lead WHERE stage IS NULL EXCEPT SELECT lead FROM marketo.lead_qualification',
	'marketo: a lead that comes after its activities is scored at once');
SELECT tap.laws('marketo', 20);


-- The same rows once more, all leads first, then every activity by itself and
-- backwards.
CREATE SCHEMA marketo_rows;
CREATE TABLE marketo_rows.lead (LIKE marketo.lead INCLUDING ALL);
ALTER TABLE marketo_rows.lead DROP COLUMN stage, DROP COLUMN stage_changed_at;
INSERT INTO marketo_rows.lead SELECT id, created_at, updated_at, email, first_name, last_name FROM marketo.lead;
SELECT format('CREATE TABLE marketo_rows.%I (LIKE marketo.%1$I INCLUDING ALL)', activities_table)
FROM lead_qualify.source WHERE pipeline = 'marketo' ORDER BY number \gexec
SELECT lead_qualify.attach('marketo_rows', 'marketo_rows.lead', 'marketo_rows.activity_click_email', type_value => 'email_click', time_zone => 'UTC');
SELECT lead_qualify.add_source('marketo_rows', format('marketo_rows.%I', activities_table)::regclass,
	activity_type => activity_type::name, type_value => type_value, filter => filter)
FROM lead_qualify.source WHERE pipeline = 'marketo' AND number > 1 ORDER BY number;
SELECT tap.copy_draft('marketo', 'marketo_rows');
SELECT tap.row_by_row(format('marketo.%I', activities_table)::regclass, format('marketo_rows.%I', activities_table)::regclass, 'activity_date DESC, id')
FROM lead_qualify.source WHERE pipeline = 'marketo' ORDER BY number DESC;
SELECT lead_qualify.recompute('marketo_rows') > 0 AS all_scored \gset
SELECT tap.laws('marketo_rows', 20);
SELECT tap.same_outcome('marketo', 'marketo_rows', 'marketo: a batch leaves what single rows leave');

-- changes of the data: late corrections and erasure
UPDATE marketo.activity_click_email SET activity_date = activity_date - interval '3 days' WHERE id % 3 = 0;
DELETE FROM marketo.activity_unsubscribe_email WHERE id % 2 = 0;
SELECT tap.no_row($$SELECT * FROM lead_qualify.verify('marketo')$$, 'marketo: verify is empty after updates and deletes');
DELETE FROM marketo.lead WHERE id IN (SELECT lead_id FROM marketo.activity_merge_leads);
SELECT tap.no_row($$SELECT * FROM lead_qualify.verify('marketo')$$, 'marketo: and after leads were deleted');
