-- The summary of a cohort against R: tables that R made of the data of its
-- package survival and of a CRM's opportunities, its prop.test, and, where R
-- is there, R itself on leads that are made up here and in conversion.R.

SET search_path = public, lead_qualify;
SET timezone = 'UTC';
-- tables of R name the day, as the time since an entry on the day before as_of
CREATE FUNCTION day(float8) RETURNS interval LANGUAGE sql RETURN $1 * interval '1 day';
CREATE FUNCTION same(float8, float8, tolerance float8 DEFAULT 1e-9) RETURNS boolean LANGUAGE sql
RETURN ($1 IS NULL AND $2 IS NULL) OR coalesce(abs($1 - $2) <= tolerance, false);

\set there `test -r survival/set_aml.csv && test -r wilson/wilson_grid_95.csv && test -r maven_crm/maven_km.csv && echo true || echo false`
\if :there
CREATE TABLE grid (x bigint, n bigint, conf float8, low float8, high float8, cc_low float8, cc_high float8, clopper_low float8, clopper_high float8);
\copy grid FROM 'wilson/wilson_grid_95.csv' CSV HEADER
SELECT tap.no_row($$
	SELECT x, n FROM grid, LATERAL (SELECT format('durations 2^0 {%s %s} ages 2^0 {%s}', 'c1:' || nullif(x, 0), 'o1:' || nullif(n - x, 0), 'c1:' || nullif(x, 0))::conversion) s (c)
	WHERE entered(c) <> n OR NOT same(rate_low(c, conf), low, 1e-12) OR NOT same(rate_high(c, conf), high, 1e-12)$$,
	format('conversion: Wilson intervals are those of prop.test (%s pairs)', (SELECT count(*) FROM grid)));

-- survival: time in days, status 1 at an event for aml, 2 for lung
CREATE TABLE lead (file text, strata text, time float8, event boolean);
CREATE TEMP TABLE aml (time float8, status int, x text);
\copy aml FROM 'survival/set_aml.csv' CSV HEADER
CREATE TEMP TABLE lung (inst text, time float8, status int, age text, sex text, ecog text, karno text, pat_karno text, meal text, wt text);
\copy lung FROM 'survival/set_lung.csv' CSV HEADER NULL 'NA'
INSERT INTO lead SELECT 'aml', 'x=' || x, time, status = 1 FROM aml UNION ALL SELECT 'lung', '', time, status = 2 FROM lung;
CREATE TABLE cohort AS
SELECT file, strata, conversion('2026-01-01'::timestamptz - day(time), CASE WHEN event THEN timestamptz '2026-01-01' END, NULL, '2026-01-01') AS c
FROM lead GROUP BY 1, 2;
CREATE TEMP TABLE km (strata text, time float8, at_risk bigint, event bigint, censored bigint, survival float8, se float8, low float8, high float8);
CREATE TABLE km_of (file text, conf_type text, LIKE km);
\copy km FROM 'survival/km_aml_plain.csv' CSV HEADER NULL 'NA'
INSERT INTO km_of SELECT 'aml', 'plain', * FROM km; TRUNCATE km;
\copy km FROM 'survival/km_aml_log.csv' CSV HEADER NULL 'NA'
INSERT INTO km_of SELECT 'aml', 'log', * FROM km; TRUNCATE km;
\copy km FROM 'survival/km_aml_log-log.csv' CSV HEADER NULL 'NA'
INSERT INTO km_of SELECT 'aml', 'log-log', * FROM km; TRUNCATE km;
\copy km FROM 'survival/km_aml_logit.csv' CSV HEADER NULL 'NA'
INSERT INTO km_of SELECT 'aml', 'logit', * FROM km; TRUNCATE km;
\copy km FROM 'survival/km_aml_arcsin.csv' CSV HEADER NULL 'NA'
INSERT INTO km_of SELECT 'aml', 'arcsin', * FROM km; TRUNCATE km;
\copy km FROM 'survival/km_lung_log.csv' CSV HEADER NULL 'NA'
INSERT INTO km_of SELECT 'lung', 'log', * FROM km;
-- without anything lost, incidence_at() is the same
SELECT tap.no_row($$
	SELECT k.file, k.strata, k.conf_type, k.time FROM km_of k JOIN cohort USING (file, strata)
	WHERE NOT same(1 - km_at(c, day(time)), survival) OR incidence_at(c, day(time)) IS DISTINCT FROM km_at(c, day(time))
		OR NOT same(1 - km_high(c, day(time), 0.95, conf_type), low)
		OR NOT same(1 - km_low(c, day(time), 0.95, conf_type), high)$$,
	format('conversion: km_at with its intervals is survfit (%s rows of 5 types)', (SELECT count(*) FROM km_of)));
SELECT tap.no_row($$
	SELECT k.file, k.strata, k.time FROM km_of k JOIN cohort USING (file, strata) LEFT JOIN LATERAL curve(c) u ON u.after = day(time)
	WHERE u.at_risk IS DISTINCT FROM k.at_risk OR u.converted IS DISTINCT FROM event$$, 'conversion: curve has its counts');
CREATE TABLE median (file text, strata text, records int, n_max int, n_start int, events int, rmean float8, se float8, median float8, low float8, high float8);
\copy median FROM 'survival/km_medians.csv' CSV HEADER NULL 'NA'
SELECT tap.no_row($$SELECT file, strata FROM median m FULL JOIN cohort USING (file, strata)
	WHERE time_quantile(c, 0.5) IS DISTINCT FROM day(median) OR converted(c) IS DISTINCT FROM events OR entered(c) IS DISTINCT FROM records$$,
	'conversion: medians are those of survfit');

-- opportunities, open ones followed up to the last day of the table
CREATE TEMP TABLE deal (id text, agent text, product text, account text, stage text, engaged text, closed text, value text);
\copy deal FROM 'maven_crm/sales_pipeline.csv' CSV HEADER
CREATE TABLE deals AS
SELECT conversion(e, CASE stage WHEN 'Won' THEN c END, CASE stage WHEN 'Lost' THEN c END, '2017-12-31') AS won,
	conversion(e, CASE stage WHEN 'Lost' THEN c END, CASE stage WHEN 'Won' THEN c END, '2017-12-31') AS lost
FROM deal, LATERAL (SELECT to_date(engaged, 'MM/DD/YYYY')::timestamptz AS e, to_date(closed, 'MM/DD/YYYY')::timestamptz AS c) d;
CREATE TABLE crm (kind text, day float8, at_risk bigint, value float8, se float8);
\copy crm FROM 'maven_crm/maven_km.csv' CSV HEADER
SELECT tap.no_row($$
	SELECT kind, day FROM crm, deals, LATERAL (SELECT CASE kind WHEN 'Aalen-Johansen CIF Lost' THEN lost ELSE won END AS c, kind LIKE '1-KM%' AS km) s,
		LATERAL (SELECT CASE WHEN km THEN km_at(c, day(day)) ELSE incidence_at(c, day(day)) END AS estimate,
			CASE WHEN km THEN km_high(c, day(day), 0.95, 'plain') ELSE incidence_high(c, day(day), 0.95, 'plain') END AS high) e
	WHERE NOT same(estimate, value) OR NOT same((high - estimate) / 1.959963984540054, se)$$,
	format('conversion: incidence_at and km_at with their standard errors are survfit (%s rows of 8300 opportunities)', (SELECT count(*) FROM crm)));
SELECT tap.is('SELECT concat_ws('' '', entered(won), converted(won), lost(won), still_open(won)) FROM deals', '8300 4238 2473 1589', 'conversion: opportunities are counted');
\else
SELECT 'ok ' || nextval('tap.counter') || ' # SKIP conversion: there are no tables of R here';
\endif

\set there `Rscript -e 'library(survival)' >/dev/null 2>&1 && echo true || echo false`
\if :there
CREATE TABLE r (kind text, conf_type text, day float8, estimate float8, low float8, high float8);
\copy r FROM PROGRAM 'Rscript "$LEAD_QUALIFY_REAL/conversion.R"' CSV
CREATE TABLE made AS
SELECT conversion(e, c, l, '2026-01-01') AS c, conversion(e, c, l, '2026-01-01') FILTER (WHERE i % 2 = 1) AS a, conversion(e, c, l, '2026-01-01') FILTER (WHERE i % 2 = 0) AS b
FROM (SELECT i, i * 7919 % 397 + 1 AS age FROM generate_series(1, 2000::bigint) i) g, LATERAL (SELECT timestamptz '2026-01-01' - day(age) AS e) x,
	LATERAL (SELECT CASE WHEN i % 7 < 3 THEN e + day(i * 104729 % 211) END AS c, CASE WHEN i % 5 < 2 THEN e + day(i * 1299709 % 173) END AS l) y;
-- R's intervals of 0 and of 1 have no width: ours are NULL
SELECT tap.no_row($$
	SELECT kind, conf_type, day FROM r, made, LATERAL (SELECT kind = 'km' AS km) k,
		LATERAL (SELECT CASE WHEN km THEN km_at(c, day(day)) ELSE incidence_at(c, day(day)) END AS e,
			CASE WHEN km THEN km_low(c, day(day), 0.95, conf_type) ELSE incidence_low(c, day(day), 0.95, conf_type) END AS l,
			CASE WHEN km THEN km_high(c, day(day), 0.95, conf_type) ELSE incidence_high(c, day(day), 0.95, conf_type) END AS h) e
	WHERE kind IN ('km', 'incidence') AND (NOT same(e, estimate)
		OR (estimate > 1e-9 AND estimate < 1 - 1e-9 AND (NOT same(l, low) OR NOT same(h, high))))$$,
	format('conversion: R agrees (%s rows)', (SELECT count(*) FROM r)));
SELECT tap.no_row($$
	SELECT kind FROM r, made, compare(a, b) s WHERE (kind = 'logrank' AND (NOT same(logrank_chi2, estimate) OR NOT same(logrank_p, high)))
		OR (kind = 'score' AND (NOT same(s.difference, estimate) OR NOT same(p_value, high)))$$, 'conversion: R agrees on compare');
SELECT tap.ok((SELECT count(*) > 1000 AND count(DISTINCT kind) = 4 FROM r), 'conversion: R was asked');
\else
SELECT 'ok ' || nextval('tap.counter') || ' # SKIP conversion: there is no R with package survival here';
\endif
