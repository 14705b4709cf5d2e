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
\echo 'How far the leads ever came, and where they are today:'
\echo

WITH path AS (
    SELECT stage, "position"
    FROM lead_qualify.stage
    WHERE pipeline = 'b2b'
      AND kind IN ('lead', 'mql', 'sal', 'sql', 'opportunity', 'won')
), furthest AS (
    SELECT h.lead, max(p."position") AS "position"
    FROM crm.leads_stage_history AS h JOIN path AS p USING (stage)
    WHERE h.superseded_at IS NULL
    GROUP BY h.lead
), reached AS (
    SELECT p.stage, p."position", count(f.lead) AS reached
    FROM path AS p LEFT JOIN furthest AS f ON f."position" >= p."position"
    GROUP BY p.stage, p."position"
)
SELECT stage,
       to_char(reached, '999,999') AS "came so far",
       to_char((SELECT count(*) FROM crm.leads AS l WHERE l.stage = r.stage), '999,999') AS "are there now",
       coalesce(to_char(100.0 * reached / nullif(lag(reached) OVER w, 0), '990.0') || ' %', '') AS "of the stage before",
       repeat('█', ceil(40.0 * reached / max(reached) OVER ())::int) AS " "
FROM reached AS r
WINDOW w AS (ORDER BY "position")
ORDER BY "position";

\echo :bold'8. From MQL to SQL, by month':plain
\echo 'Of the leads that became MQL in a month, how many became SQL within 90 days.  A month whose'
\echo 'leads have not all had their 90 days has no rate yet: it would look worse than it is.'
\echo

WITH entered AS (
    SELECT lead, cycle, min(entered_at) AS mql_at
    FROM crm.leads_stage_history
    WHERE stage = 'mql' AND superseded_at IS NULL
    GROUP BY lead, cycle
), journey AS (
    SELECT e.lead, e.mql_at, min(h.entered_at) AS sql_at
    FROM entered AS e
         LEFT JOIN crm.leads_stage_history AS h
             ON h.lead = e.lead AND h.cycle = e.cycle AND h.superseded_at IS NULL
                AND h.stage IN ('sql', 'opportunity', 'customer')
                AND h.entered_at >= e.mql_at
    GROUP BY e.lead, e.cycle, e.mql_at
), cohort AS (
    SELECT date_trunc('month', mql_at) AS month,
           count(*) AS mqls,
           count(*) FILTER (WHERE sql_at <= mql_at + interval '90 days') AS sqls,
           percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM sql_at - mql_at) / 86400)
               FILTER (WHERE sql_at <= mql_at + interval '90 days') AS days,
           date_trunc('month', mql_at) + interval '1 month' + interval '90 days' AS mature_at
    FROM journey
    WHERE mql_at IS NOT NULL
    GROUP BY 1
), rated AS (
    SELECT *, CASE WHEN mature_at <= now() THEN sqls::numeric / mqls END AS rate
    FROM cohort
)
SELECT to_char(month, 'YYYY-MM') AS month,
       to_char(mqls, '99,999') AS "MQLs",
       to_char(sqls, '99,999') AS "SQLs so far",
       to_char(100 * rate, '990.0') || ' %' AS "rate",
       to_char(CASE WHEN rate IS NOT NULL THEN days END, '990') AS "median days",
       CASE WHEN rate IS NULL THEN 'known from ' || to_char(mature_at, 'YYYY-MM-DD')
            ELSE repeat('█', round(30 * rate / max(rate) OVER ())::int) END AS " "
FROM rated
ORDER BY month;

\echo :bold'9. Can the numbers be trusted?':plain
\echo 'verify replays every lead from its activities and lists those whose stored state differs:'
\echo
\set ECHO queries
SELECT count(*) AS differences FROM lead_qualify.verify('b2b');
\set ECHO none
