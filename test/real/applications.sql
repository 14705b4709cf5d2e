-- Four applications: their tables as their own migrations define them, with
-- a few rows each.  What can be attached is; what cannot says why.

CREATE TABLE tap.schema_column (app text, table_name text, pos integer, column_name text, data_type text, is_nullable text);
\copy tap.schema_column FROM 'app_schema_columns.csv' CSV HEADER
SELECT format('CREATE SCHEMA %I', app) FROM (SELECT DISTINCT app FROM tap.schema_column) a ORDER BY app \gexec
SELECT format('CREATE TABLE %I.%I (%s)', app, table_name, string_agg(format('%I %s%s', column_name,
		CASE data_type WHEN 'ARRAY' THEN 'text[]' WHEN 'character' THEN 'character(2)' WHEN 'USER-DEFINED' THEN 'text' ELSE data_type END,
		CASE is_nullable WHEN 'NO' THEN ' NOT NULL' END), ', ' ORDER BY pos))
FROM tap.schema_column GROUP BY app, table_name ORDER BY app, table_name \gexec
-- the catalog listing has no keys; the applications' are these
SELECT format('ALTER TABLE %I.%I ADD PRIMARY KEY (%I)', app, table_name, column_name)
FROM tap.schema_column
WHERE (app, column_name) IN (('fat_free_crm', 'id'), ('frappe_crm', 'name'), ('krayin', 'id'))
	OR (app, table_name, column_name) IN (('umami', 'session', 'session_id'), ('umami', 'website_event', 'event_id'), ('umami', 'event_data', 'event_data_id'))
ORDER BY app, table_name \gexec
SELECT tap.is('SELECT count(*) FROM (SELECT DISTINCT app, table_name FROM tap.schema_column) t',
	(SELECT count(*)::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE relkind = 'r' AND nspname IN (SELECT app FROM tap.schema_column)),
	'applications: every table is created');

-- Fat Free CRM: bigint keys, integer references, one log for all kinds of
-- subjects.
CREATE INDEX ON fat_free_crm.activities (subject_id);
SELECT lead_qualify.attach('fat_free', 'fat_free_crm.leads', 'fat_free_crm.activities', activity_lead => 'subject_id', activity_type => 'action',
	filter => $$subject_type = 'Lead'$$, time_zone => 'UTC');
SELECT lead_qualify.add_source('fat_free', 'fat_free_crm.emails', activity_lead => 'mediator_id', activity_at => 'sent_at', type_value => 'mail',
	filter => $$mediator_type = 'Lead' AND deleted_at IS NULL$$);
SELECT lead_qualify.add_source('fat_free', 'fat_free_crm.comments', activity_lead => 'commentable_id', type_value => 'comment', filter => $$commentable_type = 'Lead'$$);
SELECT lead_qualify.add_source('fat_free', 'fat_free_crm.tasks', activity_lead => 'asset_id', activity_type => 'category', activity_at => 'completed_at',
	filter => $$asset_type = 'Lead' AND completed_at IS NOT NULL$$);
SELECT lead_qualify.add_source('fat_free', 'fat_free_crm.versions', activity_lead => 'item_id', filter => $$item_type = 'Lead'$$);
INSERT INTO lead_qualify.rule (pipeline, name, activity_type, condition, points, decay, period)
VALUES ('fat_free', 'viewed', 'viewed', 'NOT private', 2, 'exponential', '14 days'), ('fat_free', 'mail', 'mail', $$subject !~* 'out of office'$$, 10, 'exponential', '30 days'),
	('fat_free', 'comment', 'comment', NULL, 5, 'none', NULL), ('fat_free', 'call', 'call', $$due_at >= completed_at$$, 15, 'none', NULL),
	('fat_free', 'update', 'update', NULL, 1, 'none', NULL);
INSERT INTO lead_qualify.exclusion (pipeline, name, condition) VALUES ('fat_free', 'deleted', 'deleted_at IS NOT NULL');
INSERT INTO lead_qualify.rule (pipeline, name, dimension, applies_to, condition, points) VALUES ('fat_free', 'rating', 'fit', 'lead', 'rating >= 3', 10);
SELECT tap.ok(lead_qualify.publish('fat_free', effective_from => '-infinity') > 1, 'fat_free_crm: five sources, rules published');
INSERT INTO fat_free_crm.leads (id, first_name, last_name, title, company, status, email, rating, do_not_call, created_at)
SELECT i, 'First', 'Last', CASE i % 3 WHEN 0 THEN 'Director' END, 'Company ' || i, 'new', 'a' || i || '@example.com', i % 5, false, timestamp '2026-01-01' + i * interval '1 hour'
FROM generate_series(1, 30) i;
INSERT INTO fat_free_crm.activities (id, subject_type, subject_id, action, private, created_at)
SELECT i, CASE i % 4 WHEN 0 THEN 'Account' ELSE 'Lead' END, i % 30 + 1, CASE i % 3 WHEN 0 THEN 'created' ELSE 'viewed' END, false, timestamp '2026-02-01' + i * interval '7 hours'
FROM generate_series(1, 200) i;
INSERT INTO fat_free_crm.emails (id, imap_message_id, mediator_type, mediator_id, sent_from, sent_to, subject, sent_at, state)
SELECT i, 'm' || i, 'Lead', i % 10 + 1, 'a', 'b', CASE i % 5 WHEN 0 THEN 'Out of office' ELSE 'Re: offer' END, timestamp '2026-02-10' + i * interval '9 hours', 'Expanded' FROM generate_series(1, 40) i;
INSERT INTO fat_free_crm.comments (id, commentable_type, commentable_id, comment, created_at, state)
SELECT i, 'Lead', i, 'called back', timestamp '2026-02-20' + i * interval '1 minute', 'Expanded' FROM generate_series(1, 10) i;
INSERT INTO fat_free_crm.tasks (id, name, asset_type, asset_id, category, due_at) SELECT i, 'call', 'Lead', i, 'call', '2026-03-01' FROM generate_series(1, 10) i;
UPDATE fat_free_crm.tasks SET completed_at = '2026-02-27' WHERE id <= 8;
UPDATE fat_free_crm.leads SET deleted_at = '2026-03-05' WHERE id = 3;
SELECT tap.laws('fat_free', 4);
SELECT tap.is('SELECT count(DISTINCT q.lead) FROM fat_free_crm.leads_qualification q, lead_qualify.explain(''fat_free'', q.lead) e WHERE e.rule = ''call''', '8', 'fat_free_crm: a task counts once it is completed');

-- Frappe CRM: names with spaces, text keys, columns called "from" and "to".
CREATE INDEX ON frappe_crm."tabCRM Call Log" (reference_docname);
SELECT lead_qualify.attach('frappe', 'frappe_crm."tabCRM Lead"', 'frappe_crm."tabCRM Call Log"', activity_lead => 'reference_docname',
	activity_at => 'start_time', created_at => 'creation', filter => $$reference_doctype = 'CRM Lead'$$, time_zone => 'Asia/Kolkata', fire => 'deferred');
SELECT tap.refused($$SELECT lead_qualify.add_source('frappe', 'frappe_crm."tabCRM Status Change Log"', activity_at => 'from_date', type_value => 'status')$$,
	'that is activity_lead', 'frappe_crm: a status change log names no lead in these columns');
SELECT lead_qualify.add_source('frappe', 'frappe_crm."tabCRM Task"', activity_lead => 'reference_docname', activity_type => 'status', activity_at => 'start_date',
	filter => $$reference_doctype = 'CRM Lead'$$);
INSERT INTO lead_qualify.rule (pipeline, name, activity_type, condition, points, decay, period)
VALUES ('frappe', 'incoming', 'Incoming', $$status = 'Completed' AND "from" <> '' AND duration > 60$$, 15, 'linear', '60 days'),
	('frappe', 'done', 'Done', NULL, 10, 'none', NULL);
UPDATE lead_qualify.gate SET min_fit = 5 WHERE pipeline = 'frappe' AND stage = 'mql' AND name = 'score';
SELECT tap.ok(lead_qualify.publish('frappe', effective_from => '-infinity') > 1, 'frappe_crm: the rules are published');
INSERT INTO frappe_crm."tabCRM Lead" (name, creation, docstatus, converted, organization, job_title, email)
SELECT 'CRM-LEAD-2026-' || lpad(i::text, 5, '0'), '2026-01-01', 0, 0, CASE WHEN i % 4 > 0 THEN 'Org ' || i END, 'Founder & CEO', 'x@example.com' FROM generate_series(1, 12) i;
INSERT INTO frappe_crm."tabCRM Call Log" (name, docstatus, "from", "to", status, type, start_time, duration, reference_doctype, reference_docname)
SELECT 'call-' || i, 0, '+91 1', '+91 2', 'Completed', CASE i % 2 WHEN 0 THEN 'Incoming' ELSE 'Outgoing' END, timestamp '2026-02-01' + i * interval '5 hours', 30 * (i % 5), 'CRM Lead',
	'CRM-LEAD-2026-' || lpad((i % 12 + 1)::text, 5, '0') FROM generate_series(1, 100) i;
INSERT INTO frappe_crm."tabCRM Task" (name, docstatus, status, start_date, reference_doctype, reference_docname)
SELECT 'task-' || i, 0, CASE i % 2 WHEN 0 THEN 'Done' ELSE 'Todo' END, date '2026-02-01' + i, 'CRM Lead', 'CRM-LEAD-2026-00001' FROM generate_series(1, 10) i;
SELECT tap.laws('frappe', 2);
SELECT tap.ok(to_regclass('frappe_crm."tabCRM Lead_qualification"') IS NOT NULL, 'frappe_crm: the side tables have the spaced name');
SELECT tap.is($$SELECT (e.occurred_at AT TIME ZONE 'Asia/Kolkata')::text FROM lead_qualify.explain('frappe', 'CRM-LEAD-2026-00005'::text) e WHERE activity_key = 'call-4'$$,
	'2026-02-01 20:00:00', 'frappe_crm: times are read in the zone of the site');

-- Krayin: what happened to a lead is found through lead_activities.
SELECT tap.refused($$SELECT lead_qualify.attach('krayin', 'krayin.leads', 'krayin.activities')$$,
	'could not find the column of krayin.activities that is activity_lead', 'krayin: activities name no lead');
SELECT tap.refused($$SELECT lead_qualify.attach('krayin', 'krayin.leads', 'krayin.lead_activities', type_value => 'activity')$$,
	'could not find the column of krayin.lead_activities that is activity_at', 'krayin: and the link has no time');
SELECT tap.refused($$SELECT lead_qualify.attach('krayin', 'krayin.leads', 'krayin.activities', filter => 'EXISTS (SELECT FROM krayin.lead_activities)', activity_lead => 'user_id')$$,
	'', 'krayin: a filter cannot look elsewhere');
CREATE INDEX ON krayin.emails (lead_id);
SELECT lead_qualify.attach('krayin', 'krayin.leads', 'krayin.emails', type_value => 'mail');
-- what an application can do about it: a copy of the link with what is needed
CREATE TABLE krayin.lead_timeline (activity_id integer PRIMARY KEY, lead_id integer, type varchar, created_at timestamp);
CREATE INDEX ON krayin.lead_timeline (lead_id);
CREATE FUNCTION krayin.follow() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO krayin.lead_timeline SELECT id, NEW.lead_id, type, created_at FROM krayin.activities WHERE id = NEW.activity_id;
	RETURN NULL;
END
$$;
CREATE TRIGGER follow AFTER INSERT ON krayin.lead_activities FOR EACH ROW EXECUTE FUNCTION krayin.follow();
SELECT lead_qualify.add_source('krayin', 'krayin.lead_timeline');
INSERT INTO lead_qualify.rule (pipeline, name, activity_type, condition, points, decay, period)
VALUES ('krayin', 'mail', 'mail', $$source = 'web' AND folders ? 'inbox'$$, 8, 'exponential', '30 days'), ('krayin', 'meeting', 'meeting', NULL, 25, 'exponential', '90 days');
UPDATE lead_qualify.gate SET min_fit = NULL WHERE pipeline = 'krayin' AND stage = 'mql' AND name = 'score';
SELECT tap.ok(lead_qualify.publish('krayin', effective_from => '-infinity') > 1, 'krayin: mails and a table kept by a trigger');
INSERT INTO krayin.leads (id, title, lead_value, created_at, lead_pipeline_stage_id) SELECT i, 'Lead ' || i, 100, '2026-01-01', 1 FROM generate_series(1, 20) i;
INSERT INTO krayin.emails (id, source, user_type, is_read, message_id, folders, lead_id, created_at)
SELECT i, 'web', 'person', false, 'm' || i, CASE i % 2 WHEN 0 THEN '["inbox"]'::jsonb ELSE '["sent"]' END, i % 20 + 1, timestamp '2026-02-01' + i * interval '6 hours' FROM generate_series(1, 120) i;
INSERT INTO krayin.activities (id, title, type, is_done, created_at) SELECT i, 'a', CASE i % 2 WHEN 0 THEN 'meeting' ELSE 'note' END, true, timestamp '2026-03-01' + i * interval '1 hour' FROM generate_series(1, 10) i;
INSERT INTO krayin.lead_activities SELECT i, i FROM generate_series(1, 10) i;
SELECT tap.laws('krayin', 5);

-- umami: uuid keys, sessions as leads, page views and events.
CREATE INDEX ON umami.website_event (session_id, created_at);
SELECT lead_qualify.attach('umami', 'umami.session', 'umami.website_event', activity_lead => 'session_id', fire => 'row');
SELECT tap.is($$SELECT activity_type FROM lead_qualify.source WHERE pipeline = 'umami'$$, 'event_type', 'umami: the integer event type is found');
SELECT tap.refused($$SELECT lead_qualify.add_source('umami', 'umami.event_data', type_value => 'data')$$,
	'could not find the column of umami.event_data that is activity_lead', 'umami: event data hangs on an event, not on a session');
INSERT INTO lead_qualify.rule (pipeline, name, activity_type, condition, points, decay, period, at_most, per, per_value)
VALUES ('umami', 'page', '1', NULL, 1, 'exponential', '14 days', 1, 'day', 'url_path'), ('umami', 'prices', '1', $$url_path = '/pricing'$$, 10, 'exponential', '30 days', NULL, NULL, NULL),
	('umami', 'signup', '2', $$event_name = 'signup' AND utm_source IS NOT NULL$$, 30, 'none', NULL, NULL, NULL, NULL);
SELECT tap.ok(lead_qualify.publish('umami', effective_from => '-infinity') = 2, 'umami: the rules are published');
INSERT INTO umami.session (session_id, website_id, browser, country, created_at)
SELECT md5('s' || i)::uuid, md5('w')::uuid, 'firefox', 'DE', timestamptz '2026-03-01Z' + i * interval '1 minute' FROM generate_series(1, 25) i;
PREPARE visit (integer, integer) AS INSERT INTO umami.website_event (event_id, website_id, session_id, created_at, url_path, event_type, event_name, visit_id, utm_source)
SELECT md5('e' || i)::uuid, md5('w')::uuid, md5('s' || i % 25 + 1)::uuid, timestamptz '2026-03-01Z' + i * interval '11 minutes', CASE i % 5 WHEN 0 THEN '/pricing' ELSE '/' || i % 7 END,
	CASE WHEN i % 40 = 0 THEN 2 ELSE 1 END, CASE WHEN i % 40 = 0 THEN 'signup' END, md5('v' || i)::uuid, 'google' FROM generate_series($1, $2) i;
EXECUTE visit(1, 150);
EXECUTE visit(151, 151);
EXECUTE visit(152, 300);
SELECT tap.laws('umami', 3);
SELECT tap.is('SELECT count(*) FROM umami.session_qualification', '25', 'umami: every session has a row');
