-- examples/demo/tour.sql: the main job, on the CRM that crm.sql made.
-- Run by scripts/demo.sh; every statement works in any psql.

\set ON_ERROR_STOP on
\set QUIET on
\pset linestyle unicode
\pset border 1
\pset footer off
\pset null '·'
\pset pager off
\timing off
SET client_min_messages = notice;
SET datestyle = 'ISO, YMD';

\echo
\echo :bold'1. A CRM as it is found':plain
\echo 'Two tables, crm.leads and crm.activities.  What the leads did in a year:'
\echo

SELECT type AS activity,
       to_char(count(*), '999,999') AS times,
       to_char(count(DISTINCT lead_id), '999,999') AS leads,
       repeat('█', ceil(30 * count(*) ^ 0.5 / max(count(*)) OVER () ^ 0.5)::int) AS "(√ scale)"
FROM crm.activities
GROUP BY type
ORDER BY count(*) DESC;

\echo :bold'2. Attach':plain
\echo 'The tables stay as they are; leads gains the columns stage and stage_changed_at.'
\echo

\set ECHO queries
CREATE EXTENSION lead_qualify;
\t on
SELECT lead_qualify.attach('b2b', leads => 'crm.leads', activities => 'crm.activities');
\t off
\set ECHO none

\echo 'Leads are scored when they are next touched, or all at once:'
\echo

\set ECHO queries
\timing on
SELECT lead_qualify.recompute('b2b');
\timing off
\set ECHO none

-- Somebody who is not qualified, but nearly: of the leads below the threshold
-- the one with the highest score today, if the firm fits and there is a story.
SELECT l.id AS lead, max(a.id) AS last_activity
FROM crm.leads AS l
     JOIN crm.leads_qualification AS q ON q.lead = l.id
     JOIN crm.activities AS a ON a.lead_id = l.id
WHERE l.stage = 'lead'
GROUP BY l.id, q.lead
ORDER BY count(DISTINCT a.type) BETWEEN 3 AND 6
             AND count(*) BETWEEN 8 AND 40
             AND q.fit_at_event >= 25 DESC,
         round(lead_qualify.points(q.score, 'engagement', now())::numeric, 6) DESC,
         l.id
LIMIT 1 \gset

\echo
\echo :bold'3. One lead':plain
\echo 'Not qualified yet, but close:'
\echo

\pset expanded on
SELECT l.id, l.email, l.company, l.industry, l.employees, l.job_title, l.stage,
       round(lead_qualify.points(q.score, 'engagement', now())::numeric, 1) AS "engagement now",
       round(lead_qualify.points(q.score, 'fit', now())::numeric, 1) AS "fit"
FROM crm.leads AS l
     JOIN crm.leads_qualification AS q ON q.lead = l.id
WHERE l.id = :lead;
\pset expanded off

\echo 'What the gates of the stages ahead ask, and what this lead has:'
\echo
\pset format wrapped
\pset columns 118
\set ECHO queries
SELECT * FROM lead_qualify.explain_stage('b2b', :lead);
\set ECHO none
\pset format aligned

\echo
\echo :bold'4. The lead asks for a demo':plain
\echo 'The application inserts an activity, as it always did ...'
\echo

SELECT max(id) + 1 AS next_activity FROM crm.activities \gset
\set ECHO queries
INSERT INTO crm.activities (id, lead_id, type, occurred_at, properties)
VALUES (:next_activity, :lead, 'demo_request', now(), '{"seats": 40}');
\set ECHO none

\echo
\echo '... and the stage has changed, in the same transaction:'
\echo
\set ECHO queries
SELECT id, company, stage, stage_changed_at FROM crm.leads WHERE id = :lead;
\set ECHO none

\echo :bold'5. Why?':plain
\echo 'The history names the gate that opened:'
\echo
\set ECHO queries
SELECT entered_at::timestamp(0), from_stage, stage, cause, gate,
       round(engagement::numeric, 1) AS engagement, round(fit::numeric, 1) AS fit
FROM crm.leads_stage_history
WHERE lead = :lead AND superseded_at IS NULL
ORDER BY entered_at, id;
\set ECHO none

\echo 'And what earned the score, the dearest first:'
\echo
\set ECHO queries
SELECT dimension, rule, occurred_at::date AS "on", points, round(worth::numeric, 2) AS "worth now", note
FROM lead_qualify.explain('b2b', :lead)
ORDER BY worth DESC, rule, occurred_at
LIMIT 12;
\set ECHO none

\echo
\echo :bold'6. Sales takes over':plain
\echo 'Opportunity and customer are a person''s decision: the application writes the column itself.  Here'
\echo 'somebody works through the leads that have waited for a month:'
\echo
\set ECHO queries
UPDATE crm.leads SET stage = 'opportunity'
WHERE stage = 'sql' AND stage_changed_at < now() - interval '30 days' AND id % 5 < 2;
UPDATE crm.leads SET stage = 'customer'
WHERE stage = 'opportunity' AND id % 4 = 0;

SELECT cause, from_stage, stage, count(*)
FROM crm.leads_stage_history
WHERE superseded_at IS NULL AND cause = 'manual'
GROUP BY cause, from_stage, stage
ORDER BY count(*) DESC;
\set ECHO none

\echo :bold'7. The funnel':plain
\echo 'The view crm.leads_funnel: how far the leads ever came, where they are today, and how many of'
\echo 'those that came at least 90 days ago went on within 90 days.  (Of the stage sql nobody did: here'
\echo 'sales began to work today, in step 6.)'
\echo

SELECT stage,
       to_char(entered, '999,999') AS "came so far",
       to_char(current_leads, '999,999') AS "are there now",
       coalesce(to_char(100 * step_rate, '990.0') || ' %', '') AS "went on in time",
       repeat('█', ceil(40.0 * entered / max(entered) OVER ())::int) AS " "
FROM crm.leads_funnel
ORDER BY "position";

\echo :bold'8. From MQL to SQL, by month':plain
\echo 'The view crm.leads_conversion_monthly: of the leads that became MQL in a month, how many became'
\echo 'SQL within 90 days.  As long as some have not had their 90 days, there is no rate, which would'
\echo 'look worse than it is, but what is to be expected, by the older months (95 % interval).'
\echo

SELECT to_char(month, 'YYYY-MM') AS month,
       to_char(entered, '99,999') AS "MQLs",
       to_char(converted, '99,999') AS "SQLs so far",
       to_char(100 * CASE WHEN mature THEN rate END, '990.0') || ' %' AS "rate",
       CASE WHEN NOT mature THEN
           format('%s %% (%s to %s)', to_char(100 * expected_rate, '990.0'),
                  to_char(100 * expected_low, 'FM990.0'), to_char(100 * expected_high, 'FM990.0'))
       END AS "expected",
       to_char(median_days, '990') AS "median days",
       repeat('█', b.sure) || repeat('░', b.likely - b.sure) AS "█ so far  ░ to come"
FROM crm.leads_conversion_monthly,
     LATERAL (SELECT CASE WHEN mature THEN rate ELSE expected_rate END AS total) AS t,
     LATERAL (SELECT round(150 * t.total)::int AS likely,
                     round(150 * CASE WHEN mature THEN rate
                                      ELSE converted::float8 / nullif(entered, 0) END)::int AS sure) AS b
ORDER BY month;

\echo :bold'9. Can the numbers be trusted?':plain
\echo 'verify replays every lead from its activities and lists those whose stored state differs:'
\echo
\set ECHO queries
SELECT count(*) AS differences FROM lead_qualify.verify('b2b');
\set ECHO none
