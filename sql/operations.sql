-- The commands of docs/operations.md, on a table of activities by month.

SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lead_qualify;
SET timezone = 'UTC';
SET datestyle = 'ISO';
CREATE SCHEMA operations;
SET search_path = operations;
CREATE TABLE leads (id bigint PRIMARY KEY, company text, created_at timestamptz NOT NULL);
-- activities by month
CREATE TABLE activities (
    id          bigint GENERATED ALWAYS AS IDENTITY,
    lead_id     bigint NOT NULL REFERENCES leads,
    type        text NOT NULL,
    occurred_at timestamptz NOT NULL,
    PRIMARY KEY (id, occurred_at)
) PARTITION BY RANGE (occurred_at);
CREATE INDEX ON activities (lead_id, occurred_at) INCLUDE (type);
CREATE TABLE activities_2026_01 PARTITION OF activities FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
CREATE TABLE activities_2026_02 PARTITION OF activities FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
SELECT lead_qualify.attach('b2b', leads => 'leads', activities => 'activities', activity_key => 'id') \g /dev/null
INSERT INTO leads SELECT i, 'company ' || i, '2025-12-31' FROM generate_series(1, 100) i;
INSERT INTO activities (lead_id, type, occurred_at)
SELECT 1 + i % 100, (ARRAY['page_view', 'webinar_attended', 'form_submit', 'email_click'])[1 + i % 4], timestamptz '2026-01-05' + i * interval '1 hour'
FROM generate_series(1, 1000) i;
-- the next month
CREATE TABLE activities_2026_03 PARTITION OF activities
    FOR VALUES FROM ('2026-03-01') TO ('2026-04-01');
INSERT INTO activities (lead_id, type, occurred_at) SELECT i, 'form_submit', '2026-03-02' FROM generate_series(1, 10) i;
CREATE TEMP TABLE before AS SELECT lead, stage, total_at_event FROM leads_qualification;
SELECT stage, count(*) FROM leads_qualification GROUP BY 1 ORDER BY 1;

-- what is old leaves
SELECT lead_qualify.archive('b2b', '2026-02-01 00:00+00');
ALTER TABLE activities DETACH PARTITION activities_2026_01;
DROP TABLE activities_2026_01;
SELECT lead_qualify.recompute('b2b');
SELECT count(*) AS changed FROM before b JOIN leads_qualification q USING (lead)
WHERE (b.stage, round(b.total_at_event::numeric, 6)) IS DISTINCT FROM (q.stage, round(q.total_at_event::numeric, 6));
SELECT * FROM lead_qualify.verify('b2b');

-- recompute in several sessions: a part of the leads in each
SELECT lead_qualify.recompute('b2b',
    (SELECT array_agg(id::text) FROM leads WHERE id % 4 = 0));

-- how the side tables keep
SELECT relname, n_live_tup AS rows, n_dead_tup AS dead, n_tup_upd AS updates,
    round(100.0 * n_tup_hot_upd / nullif(n_tup_upd, 0), 1) AS hot_percent,
    pg_size_pretty(pg_total_relation_size(relid)) AS size, last_autovacuum
FROM pg_stat_user_tables
WHERE relname IN ('leads', 'leads_qualification', 'leads_stage_history') \g /dev/null

SELECT FROM lead_qualify.detach('b2b', keep_data => false);
DROP SCHEMA operations CASCADE;
