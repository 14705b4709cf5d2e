-- HubSpot: contacts, and things that happened to them in many shapes.
--
-- Attached as they are: form submissions, list memberships, changed
-- properties, and mail events, which name the contact by address.  Not: the
-- mail_event_* and engagement_* tables, because the row names no contact (it
-- is found through another table), and engagement_contact, because the row
-- has no time.

CREATE SCHEMA hubspot;
\set header `head -n 1 dbt_hubspot/contact_data.csv | tr -d '\r'`
SELECT tap.create_table('hubspot.contact', :'header', 'id bigint, _fivetran_deleted boolean, _fivetran_synced timestamptz, property_createdate timestamptz,
	property_annualrevenue numeric, property_created_at timestamptz, property_first_conversion_date timestamptz', 'id') \gset
\set header `head -n 1 dbt_hubspot/contact_form_submission_data.csv | tr -d '\r'`
SELECT tap.create_table('hubspot.contact_form_submission', :'header',
	'timestamp timestamptz, form_id bigint, contact_id bigint, conversion_id text, page_id bigint, portal_id bigint, _fivetran_synced timestamptz', 'conversion_id') \gset
\set header `head -n 1 dbt_hubspot/contact_list_member_data.csv | tr -d '\r'`
SELECT tap.create_table('hubspot.contact_list_member', :'header',
	'contact_id bigint, contact_list_id bigint, _fivetran_deleted boolean, _fivetran_synced timestamptz, added_at timestamptz', 'contact_id, contact_list_id') \gset
\set header `head -n 1 dbt_hubspot/contact_property_history_data.csv | tr -d '\r'`
SELECT tap.create_table('hubspot.contact_property_history', :'header',
	'contact_id bigint, timestamp timestamptz, _fivetran_synced timestamptz', 'contact_id, name, timestamp') \gset
\set header `head -n 1 dbt_hubspot/email_event_data.csv | tr -d '\r'`
SELECT tap.create_table('hubspot.email_event', :'header', 'id uuid, _fivetran_synced timestamptz, app_id bigint, caused_by_created timestamptz, caused_by_id uuid,
	created timestamptz, email_campaign_id bigint, obsoleted_by_created timestamptz, obsoleted_by_id uuid, portal_id bigint, sent_by_created timestamptz,
	sent_by_id uuid, filtered_event boolean', 'id') \gset
\set header `head -n 1 dbt_hubspot/email_event_open_data.csv | tr -d '\r'`
SELECT tap.create_table('hubspot.email_event_open', :'header', 'id uuid, _fivetran_synced timestamptz, duration bigint', 'id') \gset
\set header `head -n 1 dbt_hubspot/engagement_call_data.csv | tr -d '\r'`
SELECT tap.create_table('hubspot.engagement_call', :'header', 'engagement_id bigint, _fivetran_deleted boolean, _fivetran_synced timestamptz,
	property_hs_createdate timestamptz, property_hs_timestamp timestamptz', 'engagement_id') \gset
\set header `head -n 1 dbt_hubspot/engagement_contact_data.csv | tr -d '\r'`
SELECT tap.create_table('hubspot.engagement_contact', :'header', 'contact_id bigint, engagement_id bigint, type_id integer', 'contact_id, engagement_id') \gset

\copy hubspot.contact FROM 'dbt_hubspot/contact_data.csv' CSV HEADER
\copy hubspot.email_event_open FROM 'dbt_hubspot/email_event_open_data.csv' CSV HEADER
\copy hubspot.engagement_call FROM 'dbt_hubspot/engagement_call_data.csv' CSV HEADER
\copy hubspot.engagement_contact FROM 'dbt_hubspot/engagement_contact_data.csv' CSV HEADER
CREATE INDEX ON hubspot.email_event (recipient);
CREATE INDEX ON hubspot.contact_form_submission (contact_id);

-- the sample's activities are of other contacts, who are added
CREATE TEMP TABLE events (LIKE hubspot.email_event);
\copy events FROM 'dbt_hubspot/email_event_data.csv' CSV HEADER
CREATE TEMP TABLE members (LIKE hubspot.contact_list_member);
\copy members FROM 'dbt_hubspot/contact_list_member_data.csv' CSV HEADER
INSERT INTO hubspot.contact (id, property_email, property_created_at, property_jobtitle)
SELECT row_number() OVER (ORDER BY recipient), recipient, '2020-06-01', 'Head of Data' FROM (SELECT DISTINCT recipient FROM events) e;
INSERT INTO hubspot.contact (id, property_email, property_created_at)
SELECT DISTINCT contact_id, 'contact ' || contact_id, timestamptz '2020-06-01' FROM members;

SELECT tap.refused($$SELECT lead_qualify.attach('hubspot', 'hubspot.contact', 'hubspot.engagement_contact',
	activity_lead => 'contact_id', activity_type => 'engagement_type')$$,
	'could not find the column of hubspot.engagement_contact that is activity_at', 'hubspot: a link table without a time cannot be attached');
SELECT tap.refused($$SELECT lead_qualify.attach('hubspot', 'hubspot.contact', 'hubspot.engagement_call')$$,
	'could not find the column of hubspot.engagement_call that is activity_lead', 'hubspot: nor an engagement, whose row names no contact');
SELECT tap.refused($$SELECT lead_qualify.attach('hubspot', 'hubspot.contact', 'hubspot.email_event_open', type_value => 'open', activity_lead => 'contact_id')$$,
	'column "contact_id" of hubspot.email_event_open does not exist', 'hubspot: nor the details of a mail event');
SELECT tap.refused($$SELECT lead_qualify.attach('hubspot', 'hubspot.contact', 'hubspot.email_event', lead_key => 'property_email',
	activity_lead => 'recipient', activity_at => 'created')$$, 'is not unique', 'hubspot: an address must be unique to be a key');
CREATE UNIQUE INDEX ON hubspot.contact (property_email);
SELECT tap.refused($$SELECT lead_qualify.attach('hubspot', 'hubspot.contact', 'hubspot.email_event', lead_key => 'property_email',
	activity_lead => 'recipient', activity_at => 'created')$$, 'may be null', 'hubspot: and not null');
ALTER TABLE hubspot.contact ALTER property_email SET NOT NULL;

SELECT lead_qualify.attach('hubspot', 'hubspot.contact', 'hubspot.contact_form_submission', activity_lead => 'contact_id',
	activity_type => 'title', created_at => 'property_created_at', time_zone => 'America/New_York');
SELECT tap.is($$SELECT ROW (activity_at, activity_key)::text FROM lead_qualify.source WHERE pipeline = 'hubspot'$$,
	'(timestamp,conversion_id)', 'hubspot: a column called timestamp is found');
-- one key column of two: it tells the memberships of a contact apart
SELECT lead_qualify.add_source('hubspot', 'hubspot.contact_list_member', activity_lead => 'contact_id', activity_at => 'added_at',
	activity_key => 'contact_list_id', type_value => 'list', filter => 'NOT _fivetran_deleted');
SELECT lead_qualify.add_source('hubspot', 'hubspot.contact_property_history', activity_lead => 'contact_id', activity_key => 'name', activity_type => 'source');
INSERT INTO lead_qualify.rule (pipeline, name, activity_type, condition, points, decay, period)
VALUES ('hubspot', 'newsletter', 'Newsletter Signup', NULL, 5, 'exponential', '90 days'),
	('hubspot', 'download', 'Download Guide', $$page_url LIKE '%/guide'$$, 10, 'exponential', '90 days'),
	('hubspot', 'contact_us', 'Contact Us', NULL, 40, 'exponential', '60 days'),
	('hubspot', 'any_form', NULL, 'form_id IS NOT NULL', 20, 'linear', '60 days'),
	('hubspot', 'meeting', 'MEETINGS', NULL, 30, 'none', NULL),
	('hubspot', 'on_list', 'list', 'contact_list_id < 100', 3, 'none', NULL),
	('hubspot', 'touched', 'ASSOCIATIONS', 'value IS NOT NULL', 26, 'window', '30 days');
SELECT tap.ok(lead_qualify.publish('hubspot', effective_from => '-infinity') > 1, 'hubspot: the rules are published');
SELECT tap.is($$SELECT string_agg(k, ',' ORDER BY k) FROM lead_qualify.version v, jsonb_object_keys(config -> 'expressions' -> 'rule any_form') k
	WHERE pipeline = 'hubspot' AND version = (SELECT max(version) FROM lead_qualify.version WHERE pipeline = 'hubspot')$$, '1',
	'hubspot: a condition on form_id is for the table that has it');

\copy hubspot.contact_form_submission FROM 'dbt_hubspot/contact_form_submission_data.csv' CSV HEADER
INSERT INTO hubspot.contact_list_member SELECT * FROM members;
\copy hubspot.contact_property_history FROM 'dbt_hubspot/contact_property_history_data.csv' CSV HEADER
-- contacts that come after their activities; 97 of the history
INSERT INTO hubspot.contact (id, property_email, property_created_at)
SELECT DISTINCT contact_id, 'contact ' || contact_id, timestamptz '2021-01-01' FROM hubspot.contact_property_history
ON CONFLICT DO NOTHING;
SELECT lead_qualify.recompute('hubspot') > 0 AS all_scored \gset
SELECT tap.laws('hubspot', 40);

-- mails: a second pipeline on the same contacts, by address
SELECT lead_qualify.attach('mail', 'hubspot.contact', 'hubspot.email_event', lead_key => 'property_email', activity_lead => 'recipient',
	activity_at => 'created', created_at => 'property_created_at', stage_column => 'mail_stage', fire => 'row', filter => 'filtered_event IS NOT TRUE');
INSERT INTO lead_qualify.rule (pipeline, name, activity_type, points, decay, period, at_most, per, per_value, at_least, within, max_points)
VALUES ('mail', 'open', 'OPEN', 3, 'exponential', '14 days', 2, 'day', 'email_campaign_id::text', NULL, NULL, 30),
	('mail', 'opens_again', 'OPEN', 10, 'none', NULL, NULL, NULL, NULL, 3, '1 day', NULL),
	('mail', 'delivered', 'DELIVERED', 1, 'none', NULL, NULL, NULL, NULL, NULL, NULL, NULL);
UPDATE lead_qualify.gate SET condition = $$times('open', '7 days') >= 3$$, min_engagement = 10, keep_engagement = 5, min_fit = NULL WHERE pipeline = 'mail' AND stage = 'mql' AND name = 'score';
UPDATE lead_qualify.gate SET enabled = true, min_engagement = 25, condition = $$since_last('opens_again') < interval '30 days'$$ WHERE pipeline = 'mail' AND stage = 'sql' AND name = 'score';
SELECT tap.ok(lead_qualify.publish('mail', effective_from => '-infinity') = 2, 'hubspot: rules with caps and counts are published');
SELECT tap.row_by_row('events', 'hubspot.email_event', 'id');
SELECT tap.is('SELECT count(*) FROM hubspot.email_event', '100', 'hubspot: every mail event is in');
SELECT lead_qualify.recompute('mail') > 0 AS all_scored \gset
SELECT tap.laws('mail', 5);
-- the same in one statement
CREATE TEMP TABLE singly AS SELECT o FROM tap.outcome('mail') o;
TRUNCATE hubspot.email_event;
SELECT tap.no_row($$SELECT * FROM lead_qualify.verify('mail')$$, 'hubspot: verify is empty after TRUNCATE');
SELECT tap.is('SELECT max(engagement_at_event) FROM hubspot.contact_mail_qualification', '0', 'hubspot: and so are the scores');
\copy hubspot.email_event FROM 'dbt_hubspot/email_event_data.csv' CSV HEADER
SELECT tap.no_row($$SELECT * FROM lead_qualify.verify('mail')$$, 'hubspot: verify is empty after the COPY');
SELECT tap.no_row($$(SELECT o FROM singly EXCEPT ALL SELECT tap.outcome('mail')) UNION ALL (SELECT tap.outcome('mail') EXCEPT ALL SELECT o FROM singly)$$,
	'hubspot: one COPY leaves what single rows leave');
SELECT tap.no_row($$SELECT * FROM lead_qualify.verify('hubspot')$$, 'hubspot: the other pipeline is as it was');
