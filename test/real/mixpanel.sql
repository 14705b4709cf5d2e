-- Mixpanel: one table of events with jsonb properties.  There is no table of
-- people, so one is made of the identifiers; event and insert identifiers
-- repeat, so the connector's own row key is the key.

CREATE SCHEMA mixpanel;
\set header `head -n 1 dbt_mixpanel/event.csv | tr -d '\r'`
SELECT tap.create_table('mixpanel.event', :'header', 'time timestamp, distinct_id uuid, properties jsonb, event_id bigint, mp_processing_time_ms bigint,
	_fivetran_synced timestamptz, _line bigint', '_file, _line, _fivetran_id') \gset
CREATE INDEX ON mixpanel.event (distinct_id);
CREATE TABLE mixpanel.people (distinct_id uuid PRIMARY KEY, first_seen date);

SELECT tap.refused($$SELECT lead_qualify.attach('mixpanel', 'mixpanel.people', 'mixpanel.event', activity_type => 'name', activity_at => 'time')$$,
	'activity_lead', 'mixpanel: the columns must be named');
SELECT lead_qualify.attach('mixpanel', 'mixpanel.people', 'mixpanel.event', activity_lead => 'distinct_id', activity_type => 'name', activity_at => 'time',
	activity_key => '_fivetran_id', created_at => 'first_seen', template => 'empty', time_zone => 'UTC');
INSERT INTO lead_qualify.rule (pipeline, name, activity_type, condition, points, at_most, per, per_value)
VALUES ('mixpanel', 'plays', 'plays', $$properties ->> 'Operating System' = 'Roku'$$, 10, 1, 'day', $$properties ->> 'video_id'$$),
	('mixpanel', 'quarter', NULL, $$name LIKE 'playthrough%' AND (properties ->> 'video_id')::int > 0$$, 5, NULL, NULL, NULL);
INSERT INTO lead_qualify.gate (pipeline, stage, name, min_engagement) VALUES ('mixpanel', 'mql', 'score', 10);
SELECT tap.ok(lead_qualify.publish('mixpanel', effective_from => '-infinity') = 2, 'mixpanel: rules over properties are published');
INSERT INTO mixpanel.people VALUES ('9e308c27-42ab-57af-beef-555708cde092', '2020-08-02');
\copy mixpanel.event FROM 'dbt_mixpanel/event.csv' CSV HEADER
INSERT INTO mixpanel.people SELECT DISTINCT distinct_id, date '2020-08-01' FROM mixpanel.event ON CONFLICT DO NOTHING;
SELECT tap.laws('mixpanel', 2);
SELECT tap.is($$SELECT entered_at::text FROM mixpanel.people_stage_history WHERE lead = '9e308c27-42ab-57af-beef-555708cde092' AND cause = 'created' AND superseded_at IS NULL$$,
	(SELECT '2020-08-01 10:16:46Z'::timestamptz::text), 'mixpanel: a lead begins with its first event, if that is before the date of the lead');
