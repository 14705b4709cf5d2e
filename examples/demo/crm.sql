-- examples/demo/crm.sql
--
-- A sample CRM: schema crm with tables leads and activities, a year of it.
--
--	psql -f examples/demo/crm.sql
--	psql -v leads=100000 -v per_lead=80 -v anchor="'2026-01-01Z'" -f examples/demo/crm.sql
--
--	leads		how many (20,000)
--	per_lead	the scale of activities a lead (30: about 500,000 for 20,000 leads)
--	anchor		the instant the data ends at (the last midnight, UTC)
--
-- Nothing is random: every choice is a hash of the lead's key and of what is
-- being chosen, so the same arguments give the same rows on every server and
-- under every plan.  Another anchor merely moves them in time.

\if :{?leads}
\else
\set leads 20000
\endif
\if :{?per_lead}
\else
\set per_lead 30
\endif
\if :{?anchor}
\else
SELECT pg_catalog.quote_literal(pg_catalog.date_trunc('day', pg_catalog.now(), 'UTC')) AS anchor \gset
\endif

BEGIN;
SET LOCAL search_path = pg_catalog, pg_temp;
SET LOCAL timezone = 'UTC';
SET LOCAL work_mem = '128MB';
SET LOCAL client_min_messages = warning;
DROP SCHEMA IF EXISTS crm CASCADE;
CREATE SCHEMA crm;

CREATE TABLE crm.leads (
    id bigint NOT NULL,
    email text,
    company text,
    industry text,
    employees int,
    job_title text,
    source text NOT NULL,
    country text,
    created_at timestamptz NOT NULL
);
CREATE TABLE crm.activities (
    id bigint NOT NULL,
    lead_id bigint NOT NULL,
    type text NOT NULL,
    occurred_at timestamptz NOT NULL,
    campaign_id int,
    properties jsonb
);

-- a number in [0, 1) that depends on the arguments only
CREATE FUNCTION pg_temp.chance(key bigint, topic int) RETURNS float8
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (hashint8extended(key, topic) & 4294967295) / 4294967296.0::float8;

CREATE FUNCTION pg_temp.pick(choices text[], chance float8) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN choices[1 + floor(chance * cardinality(choices))::int];

-- ---------------------------------------------------------------------------
-- Firms: a name, an industry, a size, a country.
CREATE TEMPORARY TABLE firm ON COMMIT DROP AS
SELECT n AS firm,
       first || ' ' || second AS company,
       lower(first || '-' || second) || '.example' AS domain,
       industry,
       -- from 6 to 9,000, most of them small
       CASE WHEN pg_temp.chance(n, 101) < 0.9
            THEN (6 * 10 ^ (3.2 * pg_temp.chance(n, 102) ^ 1.2))::int END AS employees,
       pg_temp.pick('{DE,DE,US,US,US,GB,GB,FR,FR,NL,PL,PL,ES,IT,SE,BG,CZ,AT,CH,CA}',
                    pg_temp.chance(n, 103)) AS country
FROM unnest('{Alder,Amber,Anchor,Arbor,Aspen,Beacon,Birch,Blue,Bright,Brook,Canyon,Cedar,Clear,Cobalt,Copper,
              Coral,Crest,Delta,Dune,East,Elm,Ember,Falcon,Fern,Field,Flint,Forge,Fox,Glen,Granite,Green,Harbor,
              Hazel,Heron,High,Hill,Iron,Ivory,Juniper,Lake,Larch,Linden,Maple,Marble,Meadow,Mill,North,Oak,
              Olive,Orchard,Pine,Quarry,Ridge,River,Rowan,Silver,Stone,Summit,Tall,Willow}'::text[])
         WITH ORDINALITY AS a (first, i),
     (VALUES (1, 'Logistics', 'Transport'), (2, 'Freight', 'Transport'), (3, 'Software', 'Software'),
             (4, 'Systems', 'Software'), (5, 'Data', 'Software'), (6, 'Cloud', 'Software'),
             (7, 'Foods', 'Food'), (8, 'Bakeries', 'Food'), (9, 'Health', 'Health care'),
             (10, 'Clinics', 'Health care'), (11, 'Energy', 'Energy'), (12, 'Solar', 'Energy'),
             (13, 'Bank', 'Finance'), (14, 'Capital', 'Finance'), (15, 'Insurance', 'Finance'),
             (16, 'Retail', 'Retail'), (17, 'Outfitters', 'Retail'), (18, 'Media', 'Media'),
             (19, 'Press', 'Media'), (20, 'Robotics', 'Manufacturing'), (21, 'Tools', 'Manufacturing'),
             (22, 'Plastics', 'Manufacturing'), (23, 'Academy', 'Education'), (24, 'Learning', 'Education'),
             (25, 'Homes', 'Construction'), (26, 'Builders', 'Construction')) AS b (j, second, industry),
     LATERAL (SELECT 26 * (i - 1) + j - 1) AS c (n);

-- ---------------------------------------------------------------------------
-- People.  Interest decides nearly everything a lead does: 1 passes by, 2
-- reads, 3 evaluates, 4 wants to buy.
CREATE TEMPORARY TABLE person ON COMMIT DROP AS
SELECT id, interest, source, created_at,
       -- how far into the year the lead came: marketing learns
       (id - 1) / :leads::float8 AS progress,
       -- a few leads do most of what is done
       least(2500, ceil((:per_lead / 30.0 * (ARRAY[2.9, 11.5, 30, 50])[interest])
                        * (1 - pg_temp.chance(id, 6)) ^ -0.62))::int AS activities,
       -- days of activity
       (ARRAY[70, 150, 220, 150])[interest] * (0.3 + 1.2 * pg_temp.chance(id, 7)) AS days,
       CASE WHEN pg_temp.chance(id, 8) < (ARRAY[0.40, 0.60, 0.82, 0.92])[interest]
            THEN floor(1560 * pg_temp.chance(id, 9) ^ 1.6)::bigint END AS firm
FROM (SELECT id,
             1 + width_bucket(pg_temp.chance(id, 1), ARRAY[0.52, 0.82, 0.95]::float8[]) AS interest,
             (ARRAY['newsletter', 'content', 'contact form', 'event', 'webinar', 'referral', 'advertising'])[
                 1 + width_bucket(pg_temp.chance(id, 2),
                                  ARRAY[0.42, 0.53, 0.65, 0.75, 0.83, 0.91]::float8[])] AS source,
             -- more and more of them, in office hours
             date_trunc('day', :anchor::timestamptz
                               - interval '365 days' * (1 - ((id - 1) / :leads::float8) ^ 0.85))
             + interval '7 hours'
             + interval '13 hours' * (pg_temp.chance(id, 3) + pg_temp.chance(id, 4)) / 2 AS created_at
      FROM generate_series(1::bigint, :leads) AS id) AS lead
WHERE created_at < :anchor::timestamptz;

INSERT INTO crm.leads
SELECT id,
       CASE WHEN p.source <> 'event' OR pg_temp.chance(id, 11) < 0.85
            THEN lower(given || '.' || family) || id || '@' || coalesce(f.domain, 'mail.example') END,
       f.company,
       CASE WHEN pg_temp.chance(id, 12) < 0.8 THEN f.industry END,
       f.employees,
       CASE WHEN f.firm IS NOT NULL AND pg_temp.chance(id, 13) < 0.75
            THEN pg_temp.pick('{Analyst,Sales Manager,Engineer,Consultant,Office Manager,Marketing Manager,Developer,
                                Product Manager,Accountant,Assistant,Project Manager,Head of Marketing,
                                Head of Operations,VP Sales,Director of IT,CEO,CFO,Owner}',
                              pg_temp.chance(id, 14)) END,
       p.source,
       coalesce(f.country, pg_temp.pick('{DE,US,US,GB,FR,NL,PL,ES,IT,BG}', pg_temp.chance(id, 15))),
       p.created_at
FROM person AS p
     LEFT JOIN firm AS f USING (firm),
     LATERAL (SELECT pg_temp.pick('{Anna,Ben,Clara,David,Elena,Finn,Grace,Hugo,Irina,Jan,Kate,Leo,Maria,Nikolai,Olga,
                                    Paul,Rosa,Stefan,Tanya,Viktor,Yana,Zoe,Adam,Boris,Carmen,Daria,Emil,Fiona}',
                                  pg_temp.chance(id, 16)),
                     pg_temp.pick('{Adams,Berg,Costa,Dimitrov,Evans,Fischer,Garcia,Hansen,Ivanova,Jones,Kowalski,Lang,
                                    Moreau,Novak,Olsen,Petrov,Quinn,Rossi,Schmidt,Taylor,Unger,Vega,Weber,Young}',
                                  pg_temp.chance(id, 17))) AS n (given, family);

-- ---------------------------------------------------------------------------
-- What they do.  First the everyday: visits in bursts, dense after the lead
-- came and thinning out.  A visit begins with a mail or without one.
CREATE TEMPORARY TABLE done ON COMMIT DROP AS
SELECT id AS lead, n,
       CASE WHEN mail AND n = 1 THEN 'email_open'
            WHEN mail AND n = 2 THEN 'email_click'
            ELSE (ARRAY['page_view', 'feature_view', 'pricing_view'])[
                1 + width_bucket(pg_temp.chance(act, 25),
                                 CASE interest WHEN 1 THEN ARRAY[0.99, 1]
                                               WHEN 2 THEN ARRAY[0.95, 0.997]
                                               WHEN 3 THEN ARRAY[0.90, 0.985]
                                               ELSE ARRAY[0.86, 0.965] END::float8[])] END AS type,
       -- pages follow each other within two minutes
       began + interval '65 seconds' * (n - 1) + interval '50 seconds' * pg_temp.chance(act, 26) AS at,
       mail AS of_mail,
       act
FROM (SELECT id, interest, visit,
             created_at + interval '1 hour'
             + interval '1 day' * days * pg_temp.chance(key, 21) ^ 1.8 AS began,
             pg_temp.chance(key, 22) < (ARRAY[0.55, 0.45, 0.30, 0.25])[interest] AS mail,
             1 + floor(ln(1 - pg_temp.chance(key, 23)) / ln(0.76))::int AS acts,
             pg_temp.chance(key, 24) < 0.45 AS opened_only
      FROM person,
           LATERAL generate_series(1, ceil(activities / 4.0)::int) AS visit,
           LATERAL (SELECT id * 10000 + visit) AS k (key)) AS v,
     LATERAL generate_series(1, CASE WHEN mail AND opened_only THEN 1 ELSE least(acts, 25) END) AS n,
     LATERAL (SELECT (id * 10000 + visit) * 100 + n) AS a (act)
WHERE began < :anchor::timestamptz;

-- How the lead came.
INSERT INTO done
SELECT id, 0,
       CASE source
           WHEN 'newsletter' THEN 'newsletter_signup'
           WHEN 'content' THEN pg_temp.pick('{whitepaper_download,ebook_download,guide_download}',
                                            pg_temp.chance(id, 31))
           WHEN 'webinar' THEN 'webinar_signup'
           WHEN 'advertising' THEN 'demo_video_view'
           ELSE 'contact_form' END,
       created_at, false, -id
FROM person
WHERE source <> 'event';

-- The steps that matter: type, likelihood by interest, and after how many days.
INSERT INTO done
SELECT id, 0, pg_temp.pick(types, pg_temp.chance(id, topic + 1)),
       created_at + interval '1 day' * (from_day + (to_day - from_day) * pg_temp.chance(id, topic + 2) ^ 1.5),
       false, -id * 100 - topic
FROM person,
     (VALUES
         (40, '{newsletter_signup}'::text[],                        '{0.10,0.20,0.20,0.15}'::float8[], 0, 60, 0),
         (43, '{whitepaper_download,ebook_download,guide_download}', '{0.02,0.14,0.40,0.50}', 3, 120, 0),
         (46, '{whitepaper_download,guide_download}',                '{0.00,0.04,0.20,0.25}', 20, 160, 0),
         (49, '{webinar_signup}',                                    '{0.01,0.07,0.20,0.25}', 7, 140, 0),
         (52, '{demo_video_view}',                                   '{0.01,0.06,0.22,0.35}', 2, 90, 0),
         (55, '{contact_form}',                                      '{0.02,0.05,0.12,0.18}', 5, 120, 0),
         (58, '{contact_sales,payment_question}',                    '{0.00,0.01,0.07,0.22}', 5, 110, 1),
         (61, '{demo_request,demo_request,quote_request,consultation_signup,campaign_reply}',
                                                                     '{0.003,0.045,0.36,0.70}', 6, 130, 1),
         (64, '{unsubscribed}',                                      '{0.07,0.05,0.03,0.02}', 10, 200, 0)
     ) AS step (topic, types, likely, from_day, to_day, learns)
WHERE pg_temp.chance(id, topic) < likely[interest] * (1 + learns * (0.8 * progress - 0.4));

-- Who signed up for a webinar comes, or does not.
INSERT INTO done
SELECT lead, 1, 'webinar_attended',
       date_trunc('day', at) + interval '1 day' * (1 + floor(7 * pg_temp.chance(lead, 71))) + interval '16 hours',
       false, act
FROM done
WHERE type = 'webinar_signup' AND pg_temp.chance(act, 72) < 0.55;

INSERT INTO crm.activities
SELECT row_number() OVER (ORDER BY at, lead, act, n), lead, type, at,
       CASE WHEN type LIKE 'email%' OR type LIKE 'webinar%'
            THEN 100 + week * 10 + CASE WHEN of_mail THEN (act / 100 % 3)::int ELSE 9 END END,
       CASE
           WHEN type = 'page_view' THEN jsonb_build_object(
               'page', pg_temp.pick('{/,/,/blog,/blog/scoring,/blog/funnels,/customers,/docs,/docs/install,/about,/careers}',
                                    pg_temp.chance(act, 81)),
               'seconds', 3 + floor(110 * pg_temp.chance(act, 82) ^ 3))
           WHEN type = 'feature_view' THEN jsonb_build_object(
               'page', '/features/' || pg_temp.pick('{reports,alerts,imports,security}', pg_temp.chance(act, 81)))
           WHEN type = 'pricing_view' THEN jsonb_build_object('page', '/pricing')
           WHEN type LIKE 'email%' THEN jsonb_build_object('mail', 'week ' || week)
           WHEN type LIKE '%download' THEN jsonb_build_object(
               'document', pg_temp.pick('{State of the market,Buyer''s guide,Ten mistakes,Security overview}',
                                        pg_temp.chance(act, 81)))
           WHEN type LIKE 'webinar%' THEN jsonb_build_object('webinar', 'week ' || week)
           WHEN type IN ('demo_request', 'quote_request') THEN jsonb_build_object(
               'seats', (5 * 10 ^ (2 * pg_temp.chance(lead, 83)))::int)
       END
FROM (SELECT *, extract(day FROM at - (:anchor::timestamptz - interval '365 days'))::int / 7 AS week
      FROM done
      WHERE at < :anchor::timestamptz) AS d
ORDER BY 1;

ALTER TABLE crm.leads ADD PRIMARY KEY (id);
ALTER TABLE crm.activities
    ADD PRIMARY KEY (id),
    ADD FOREIGN KEY (lead_id) REFERENCES crm.leads;
CREATE INDEX activities_lead_id_occurred_at ON crm.activities (lead_id, occurred_at);
DROP FUNCTION pg_temp.chance(bigint, int), pg_temp.pick(text[], float8);
COMMIT;

VACUUM (ANALYZE) crm.leads, crm.activities;
