--
-- docs/conversion.sql: the numbers in docs/conversion.md.
--
--	psql -v anchor="'2026-01-01Z'" -f examples/demo/crm.sql
--	psql -X -a -q -f docs/conversion.sql
--
-- The CRM of "make demo" moves with the clock; with an anchor of its own it is
-- the same rows on every server.  All reports are as of a day, not of now().
--
SET client_min_messages = warning;
SET timezone = 'UTC';
SET datestyle = ISO;
SET intervalstyle = postgres;
SET extra_float_digits = 0;
\pset footer off
CREATE EXTENSION IF NOT EXISTS lead_qualify;
SET search_path = lead_qualify, public;

-- In the template nobody is lost but by a salesperson's decision.  Here who
-- unsubscribes is disqualified, and who is silent for 45 days is recycled.
\o /dev/null
SELECT attach('b2b', leads => 'crm.leads', activities => 'crm.activities');
\o
INSERT INTO gate (pipeline, stage, name, from_stages, activity_type)
VALUES ('b2b', 'disqualified', 'unsubscribed', '{lead,mql,sal}', 'unsubscribed');
INSERT INTO gate (pipeline, stage, name, from_stages, idle)
VALUES ('b2b', 'recycled', 'silent', '{mql,sal}', '45 days');
\o /dev/null
SELECT publish('b2b', 'leads can be lost', effective_from => '-infinity');
SELECT recompute('b2b');
\o

CREATE FUNCTION public.pct(share numeric) RETURNS text LANGUAGE sql
	RETURN to_char(100 * share, '990.0') || ' %';
CREATE FUNCTION public.pct(share float8) RETURNS text LANGUAGE sql
	RETURN pct(share::numeric);
CREATE FUNCTION public.pct(low float8, high float8) RETURNS text LANGUAGE sql
	RETURN to_char(100 * low, '990.0') || ' –' || to_char(100 * high, '990.0') || ' %';

-- ----------------------------------------------------------------
-- The months as of 1 October, and what became of them
-- ----------------------------------------------------------------
SELECT to_char(r.cohort, 'YYYY-MM') AS month, r.entered, r.converted,
       pct(r.converted::numeric / r.entered) AS "so far",
       r.eligible, pct(r.rate) AS rate, pct(r.rate_low, r.rate_high) AS "95 % interval",
       pct(r.expected_rate) AS expected, pct(r.expected_low, r.expected_high) AS "95 % prediction",
       pct(later.rate) AS "came true"
FROM conversion_report('b2b', as_of => '2025-10-01') AS r
     JOIN conversion_report('b2b', as_of => '2026-01-01') AS later USING (cohort);

-- ----------------------------------------------------------------
-- Lost leads: an outcome, or a gap in the data?
-- ----------------------------------------------------------------
SELECT to_char(month, 'YYYY-MM') AS month, entered(c), lost(c),
       pct(rate_within(c, '90 days')) AS rate,
       pct(incidence_at(c, '90 days')) AS incidence,
       pct(incidence_low(c, '90 days'), incidence_high(c, '90 days')) AS "95 % interval",
       pct(km_at(c, '90 days')) AS "km_at"
FROM (SELECT date_trunc('month', entered_at) AS month,
             conversion(entered_at, converted_at, lost_at, '2025-10-01') AS c
      FROM journeys('b2b', as_of => '2025-10-01')
      WHERE entered_at IS NOT NULL
      GROUP BY 1) AS cohort
ORDER BY month;

-- ----------------------------------------------------------------
-- What happened in a month
-- ----------------------------------------------------------------
SELECT to_char(date_trunc('month', entered_at), 'YYYY-MM') AS month,
       count(*) FILTER (WHERE stage = 'mql') AS "became MQL",
       count(*) FILTER (WHERE stage = 'sql') AS "became SQL",
       pct(count(*) FILTER (WHERE stage = 'sql')::numeric
           / count(*) FILTER (WHERE stage = 'mql')) AS "flow ratio"
FROM crm.leads_stage_history
WHERE superseded_at IS NULL AND entered_at < '2025-10-01'
GROUP BY date_trunc('month', entered_at)
HAVING count(*) FILTER (WHERE stage = 'mql') > 0
ORDER BY 1;

-- ----------------------------------------------------------------
-- Where everybody is today
-- ----------------------------------------------------------------
SELECT count(*) FILTER (WHERE ever_mql) AS "ever MQL",
       count(*) FILTER (WHERE sql_now) AS "SQL or later now",
       pct(count(*) FILTER (WHERE sql_now)::numeric / count(*) FILTER (WHERE ever_mql)) AS snapshot
FROM (SELECT bool_or(stage = 'mql') AS ever_mql,
             bool_or(stage IN ('sql', 'opportunity', 'customer')
                     AND (left_at IS NULL OR left_at >= '2025-10-01')) AS sql_now
      FROM crm.leads_stage_history
      WHERE superseded_at IS NULL AND entered_at < '2025-10-01'
      GROUP BY lead) AS l;

-- ----------------------------------------------------------------
-- Who is counted, and who never was an MQL
-- ----------------------------------------------------------------
SELECT per, r.leads, r.entered, r.converted, r.lost, r.still_open, pct(r.rate) AS rate,
       r.skipped, pct((r.converted + r.skipped)::numeric / (r.entered + r.skipped)) AS "skipped mixed in"
FROM unnest('{cycle,lead,first}'::text[]) AS per,
     conversion_report('b2b', until => '2025-07-01', bucket => 'year', per => per,
                       as_of => '2025-10-01') AS r;
