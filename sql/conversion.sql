--
-- The summary of a cohort: type and aggregate conversion, rollup, what they tell
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lead_qualify;
RESET client_min_messages;
SET search_path = lead_qualify, public;
SET timezone = 'UTC';
SET intervalstyle = 'postgres';
SET extra_float_digits = -3;

CREATE FUNCTION pg_temp.sqlstate_of(query text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE query;
    RETURN 'ok';
EXCEPTION WHEN OTHERS THEN
    RETURN sqlstate || ' ' || sqlerrm;
END
$$;
-- a cohort from what is known of its leads in days: how long until they
-- converted or were lost, and how old they are
CREATE FUNCTION pg_temp.cohort(converted float8[], lost float8[], age float8[]) RETURNS conversion LANGUAGE sql
RETURN (SELECT conversion(t.as_of - a * interval '1 day', t.as_of - (a - c) * interval '1 day', t.as_of - (a - l) * interval '1 day', t.as_of)
    FROM unnest(converted, lost, age) u (c, l, a), (SELECT timestamptz '2026-01-01' AS as_of) t);

--
-- Converted on days 1 and 3, open at ages 2 and 5.  By hand: of 4 at risk 1
-- converts, of 2 one: 1 - 3/4 * 1/2 = 0.625 by day 3 and later.
--
CREATE TEMP TABLE nobody AS SELECT rollup(NULL::conversion) AS c;
CREATE TEMP TABLE vector AS SELECT pg_temp.cohort('{1,NULL,3,NULL}', '{}', '{30,2,30,5}') AS c;
SELECT c FROM vector;
SELECT entered(c), converted(c), lost(c), still_open(c), rate(c), incidence_at(c, '5 days') AS at_5, km_at(c, '5 days') AS km_at_5 FROM vector;
SELECT incidence_at(c, '0'), incidence_at(c, '1 day'), incidence_at(c, '72 hours'), incidence_at(c, '5 days 00:00:00.000001') AS past FROM vector;
SELECT u.* FROM vector, curve(c) u;
-- the leads of 3 days and more: three, of whom one converted by day 2, two by day 3
SELECT rate_within(c, '2 days'), rate_within(c, '3 days'), rate_within(c, '5 days'), rate_within(c, '6 days'), rate_within(c, '31 days') FROM vector;
SELECT time_quantile(c, 0.25), time_quantile(c, 0.26), time_quantile(c, 0.625), time_quantile(c, 0.63), time_quantile(c, 0),
    converted_quantile(c, 0), converted_quantile(c, 0.5), converted_quantile(c, 0.51), converted_quantile(c, 1) FROM vector;

--
-- What a row counts for
--
SELECT what, conversion(e::timestamptz, c::timestamptz, l::timestamptz, '2026-01-11') AS summary
FROM (VALUES
    (1, 'open', '2026-01-01', NULL, NULL),
    (2, 'converted', '2026-01-01', '2026-01-02', NULL),
    (3, 'lost', '2026-01-01', NULL, '2026-01-02'),
    (4, 'lost first', '2026-01-01', '2026-01-03', '2026-01-02'),
    (5, 'converted first', '2026-01-01', '2026-01-02', '2026-01-03'),
    (6, 'tie', '2026-01-01', '2026-01-02', '2026-01-02'),
    (7, 'at as_of', '2026-01-01', '2026-01-11', NULL),
    (8, 'after as_of', '2026-01-01', '2026-01-12', '2026-01-11 00:00:00.000001'),
    (9, 'lost, converts after as_of', '2026-01-01', '2026-01-12', '2026-01-05'),
    (10, 'entered at as_of', '2026-01-11', NULL, NULL),
    (11, 'entered after as_of', '2026-01-12', '2026-01-02', NULL),
    (12, 'not entered', NULL, '2026-01-02', NULL),
    (13, 'converted before entered', '2026-01-03', '2026-01-01', NULL),
    (14, 'lost before converted before entered', '2026-01-03', '2026-01-02', '2026-01-01'),
    (15, 'never', '2026-01-01', 'infinity', 'infinity'),
    (16, 'always', '2026-01-01', '-infinity', NULL),
    (17, 'entered never', 'infinity', NULL, NULL),
    (18, 'entered always', '-infinity', '2026-01-01', NULL)) v (n, what, e, c, l)
GROUP BY n, what ORDER BY n;
-- the longest there is
SELECT conversion('4713-01-01 BC', NULL, NULL, '294276-12-31');
SELECT time_quantile(conversion('4713-01-01 BC', '294276-12-31', NULL, '294276-12-31'), 1);
-- as_of is needed, unless nobody was entered
SELECT pg_temp.sqlstate_of(format('SELECT conversion(%L, NULL, NULL, %L)', e, a)) FROM (VALUES ('2026-01-01', NULL), ('2026-01-01', 'infinity'),
    ('2026-01-01', '-infinity'), (NULL, NULL)) v (e, a);
SELECT conversion('2026-01-01', NULL, NULL, NULL);
-- no row gives an empty cohort; a FILTER, too
SELECT conversion(now(), NULL, NULL, now()) AS none, conversion(now(), NULL, NULL, now()) FILTER (WHERE false) AS filtered FROM generate_series(1, 0);
SELECT entered(c), converted(c), rate(c), rate_low(c), rate_high(c), rate_within(c, '1 day') AS within, incidence_at(c, '0') AS incidence,
    incidence_low(c, '0') AS low, km_at(c, '0') AS km, km_high(c, '0') AS high, time_quantile(c, 0) AS t, converted_quantile(c, 0.5) AS q
FROM nobody;
SELECT count(*) FROM nobody, curve(c);
SELECT u.* FROM nobody n, vector v, compare(n.c, v.c) u \gx
-- the functions of the aggregate by themselves: the first argument is left as it is
SELECT conversion_add(NULL, '2026-01-01', NULL, NULL, '2026-01-02'), conversion_merge(c, c) AS twice, conversion_merge(NULL, c), c AS once FROM vector;
SELECT conversion_merge(conversion_merge(c, c), c) AS thrice FROM vector;
-- NULL of NULL
SELECT entered(NULL), rate(NULL), incidence_at(c, NULL), km_low(c, '1 day', NULL), time_quantile(c, NULL), rate_low(c, NULL) FROM vector;
SELECT count(*) FROM vector, curve(c, NULL);
SELECT compare(c, NULL) IS NULL AS b, compare(NULL, c) IS NULL AS a, compare(c, c, confidence => NULL) IS NULL AS confidence,
    compare(c, c, NULL) IS NULL AS within FROM vector;

--
-- Bad arguments
--
SELECT incidence_at(c, '-1 day') FROM vector;
SELECT incidence_low(c, '1 day', 1) FROM vector;
SELECT incidence_low(c, '1 day', 0.95, 'wald') FROM vector;
SELECT time_quantile(c, 1.1) FROM vector;
SELECT call, pg_temp.sqlstate_of(format('SELECT %s FROM vector', call)) FROM unnest(ARRAY[
    'rate_within(c, ''-1 microsecond'')', 'km_at(c, ''-1 day'')', 'km_low(c, ''-1 day'')', 'incidence_high(c, ''-1 day'')',
    'compare(c, c, ''-1 day'')', 'rate_within(c, ''178000000 years'')', 'incidence_at(c, ''290000 years'')',
    'rate_low(c, 0)', 'rate_high(c, ''nan'')', 'km_high(c, ''1 day'', 1)', 'incidence_high(c, ''1 day'', -0.1)', 'compare(c, c, confidence => 2)',
    'curve(c, 0)', 'curve(c, 0.9, '''')', 'km_high(c, ''1 day'', 0.9, ''LOG'')', 'incidence_high(c, ''1 day'', 0.9, ''loglog'')',
    'time_quantile(c, -0.1)', 'time_quantile(c, ''nan'')', 'converted_quantile(c, 1.5)', 'converted_quantile(c, -1)']) AS call;

--
-- Reference values
--
-- Wilson: 25 of 100, 0 of 10 and all of them
SELECT round(rate_low(c)::numeric, 6) AS low, round(rate_high(c)::numeric, 6) AS high,
    ROW (rate_low(c, 0.9), rate_high(c, 0.9)) = wilson_interval(converted(c), entered(c), 0.9) AS same
FROM (VALUES ('durations 2^0 {c1:25 o1:75} ages 2^0 {c1:25}'::conversion), ('durations 2^0 {o1:10} ages 2^0 {}'), ('durations 2^0 {c1:10} ages 2^0 {c1:10}')) v (c);
-- The aml data of R's package survival: time and status (1: relapse), R's
-- summary(survfit(Surv(time, status) ~ x, conf.type = ...)), of survival
CREATE TEMP TABLE aml (x text, time float8, status int);
INSERT INTO aml VALUES
    ('kept', 9, 1), ('kept', 13, 1), ('kept', 13, 0), ('kept', 18, 1), ('kept', 23, 1), ('kept', 28, 0), ('kept', 31, 1), ('kept', 34, 1),
    ('kept', 45, 0), ('kept', 48, 1), ('kept', 161, 0), ('not', 5, 1), ('not', 5, 1), ('not', 8, 1), ('not', 8, 1), ('not', 12, 1), ('not', 16, 0),
    ('not', 23, 1), ('not', 27, 1), ('not', 30, 1), ('not', 33, 1), ('not', 43, 1), ('not', 45, 1);
CREATE TEMP TABLE aml_cohort AS
SELECT x, pg_temp.cohort(array_agg(CASE status WHEN 1 THEN time END), '{}', array_agg(time)) AS c FROM aml GROUP BY x;
SELECT x, day, conf_type, abs(1 - km_at(c, day * interval '1 day') - surv) < 1e-12 AS estimate,
    abs(1 - km_high(c, day * interval '1 day', 0.95, conf_type) - low) < 1e-12 AS low, abs(1 - km_low(c, day * interval '1 day', 0.95, conf_type) - high) < 1e-12 AS high
FROM (VALUES
    ('kept', 18, 'plain', 0.715909090909091, 0.442170778715077, 0.989647403103104),
    ('kept', 18, 'log', 0.715909090909091, 0.488426287422128, 1),
    ('kept', 18, 'log-log', 0.715909090909091, 0.350190385907938, 0.899023974191053),
    ('kept', 18, 'logit', 0.715909090909091, 0.396118498507985, 0.906377265817779),
    ('kept', 18, 'arcsin', 0.715909090909091, 0.42010524961191, 0.934577885035896),
    ('kept', 34, 'log', 0.368181818181818, 0.154877117897191, 0.875260678143908),
    ('kept', 34, 'log-log', 0.368181818181818, 0.0928295749369852, 0.657040832398164),
    ('kept', 48, 'plain', 0.184090909090909, 0, 0.484931162720207),
    ('not', 43, 'plain', 0.0972222222222222, 0, 0.277276988949175)) v (x, day, conf_type, surv, low, high)
JOIN aml_cohort USING (x) ORDER BY x, day, conf_type;
-- where nobody, or everybody, has converted, there is no interval
SELECT km_at(c, '45 days'), km_low(c, '45 days'), km_high(c, '45 days', 0.95, 'plain') AS high, km_at(c, '4 days') AS none, km_low(c, '4 days', 0.95, 'plain') AS low
FROM aml_cohort WHERE x = 'not';
-- medians 31 and 23; survdiff(): chi-squared 3.39638869897760, p 0.0653393220405051
SELECT x, time_quantile(c, 0.5) FROM aml_cohort ORDER BY x;
SELECT abs(logrank_chi2 - 3.3963886989776) < 1e-12 AS chi2, abs(logrank_p - 0.0653393220405051) < 1e-12 AS p
FROM aml_cohort a, aml_cohort b, compare(a.c, b.c) WHERE a.x = 'kept' AND b.x = 'not';
-- Competing outcomes: survfit(Surv(t, s) ~ 1, conf.int = 0.9), s being censored,
-- converted (1) or lost (2); incidence, standard error, and intervals at 6
CREATE TEMP TABLE competing AS SELECT pg_temp.cohort('{1,NULL,NULL,3,4,NULL,NULL,6,NULL,NULL}', '{NULL,2,NULL,NULL,NULL,NULL,5}', '{1,2,2,3,4,5,5,6,7,8}') AS c;
SELECT after, at_risk, converted, lost, incidence, round(low::numeric, 12) AS low, round(high::numeric, 12) AS high FROM competing, curve(c, 0.9);
SELECT conf_type, round(incidence_low(c, '6 days', 0.9, conf_type)::numeric, 12) - low AS low, round(incidence_high(c, '6 days', 0.9, conf_type)::numeric, 12) - high AS high
FROM competing, (VALUES ('plain', 0.188166701160, 0.773738060744), ('log', 0.261649536296, 0.884064982564), ('log-log', 0.186101355987, 0.727127172406),
    ('logit', 0.222860791571, 0.749625779649)) v (conf_type, low, high);
-- arcsin by hand from the standard error 0.17800105431552 and the quantile 1.64485362695147
SELECT abs(incidence_low(c, '6 days', 0.9, 'arcsin') - sin(a - s) ^ 2) < 1e-12 AS low, abs(incidence_high(c, '6 days', 0.9, 'arcsin') - sin(a + s) ^ 2) < 1e-12 AS high
FROM competing, (SELECT asin(sqrt(p)) AS a, 1.64485362695147 * 0.17800105431552 / 2 / sqrt(p * (1 - p)) AS s FROM (SELECT 0.480952380952381::float8 AS p) p) x;
-- the incidences of converting and of being lost, and what is left, are 1; km_at promises more than there will be
SELECT after, round((incidence + incidence_at(pg_temp.cohort('{NULL,2,NULL,NULL,NULL,NULL,5}', '{1,NULL,NULL,3,4,NULL,NULL,6,NULL,NULL}', '{1,2,2,3,4,5,5,6,7,8}'), after))::numeric, 12) AS ended,
    km_at(c, after) >= incidence AS greater FROM competing, curve(c);
-- Newcombe (1998), table II (a), method 10: 56/70 and 48/80 are 0.0524 to 0.3339
-- apart; prop.test(c(56, 48), c(70, 80), correct = FALSE): p 0.00804508136819656
SELECT eligible_a, converted_a, rate_a, eligible_b, converted_b, rate_b, difference, round(difference_low::numeric, 4) AS low, round(difference_high::numeric, 4) AS high,
    abs(p_value - 0.00804508136819656) < 1e-15 AS p_value, logrank_chi2, logrank_p
FROM compare('durations 2^0 {c1:56 o2:14} ages 2^0 {c5:56}', 'durations 2^0 {c1:48 o2:32} ages 2^0 {c5:48}');
-- the other way round
SELECT abs(x.difference + y.difference) + abs(x.difference_low + y.difference_high) + abs(x.p_value - y.p_value) + abs(x.logrank_chi2 - y.logrank_chi2) < 1e-14 AS mirrored
FROM vector v, competing w, compare(v.c, w.c) x, compare(w.c, v.c) y;
-- within: only those entered so long ago
SELECT eligible_a, converted_a, rate_a, eligible_b, converted_b, rate_b, round(difference::numeric, 12) AS difference FROM vector v, competing w, compare(v.c, w.c, '3 days');
SELECT eligible_a, rate_a, eligible_b, difference, p_value, logrank_p IS NOT NULL AS logrank FROM vector v, competing w, compare(v.c, w.c, '20 days');
-- all, or none, converted at once: nothing tells them apart
SELECT difference, difference_low, difference_high, p_value, logrank_chi2, logrank_p
FROM (VALUES ('durations 2^0 {c1:3} ages 2^0 {c1:3}'::conversion), ('durations 2^0 {o1:3} ages 2^0 {}')) v (c), compare(c, c);

--
-- Text
--
CREATE TEMP TABLE sample AS
SELECT c FROM vector UNION ALL SELECT c FROM competing UNION ALL SELECT c FROM aml_cohort UNION ALL SELECT rollup(c) FROM aml_cohort UNION ALL SELECT c FROM nobody;
SELECT bool_and(c::text::conversion::text = c::text) AS round_trip FROM sample;
-- in any order, with space, repeated: the same
SELECT ' durations2^0{ l7:1 c7:2 c7:1 c5:1o9:1}' || E'\n\tages 2^0 {l9:1c7:4 } ' AS input, (' durations2^0{ l7:1 c7:2 c7:1 c5:1o9:1}' || E'\n\tages 2^0 {l9:1c7:4 } ')::conversion;
SELECT input, pg_temp.sqlstate_of(format('SELECT %L::conversion', input)) FROM unnest(ARRAY['', 'durations', 'durations 2^0 {}', 'durations 2^0 {} ages 2^0 {',
    'ages 2^0 {} durations 2^0 {}', 'durations 2^ {} ages 2^0 {}', 'durations 2^0 {x1:1} ages 2^0 {}', 'durations 2^0 {o:1} ages 2^0 {}', 'durations 2^0 {o1} ages 2^0 {}',
    'durations 2^0 {o1:} ages 2^0 {}', 'durations 2^0 {o1:-1} ages 2^0 {}', 'durations 2^0 {o99999999999999999999:1} ages 2^0 {}', 'durations 2^0 {o1 :1} ages 2^0 {}']) AS input;
SELECT 'durations'::conversion;
SELECT 'durations 2^0 {} ages 2^0 {} x'::conversion;
SELECT 'durations 2^63 {} ages 2^0 {}'::conversion;
SELECT 'durations 2^0 {o4611686018427387904:1} ages 2^0 {}'::conversion;
SELECT 'durations 2^62 {o1:1} ages 2^0 {}'::conversion;
SELECT 'durations 2^0 {o1:0} ages 2^0 {}'::conversion;
SELECT 'durations 2^0 {o1:9223372036854775807 o2:1} ages 2^0 {}'::conversion;
SELECT 'durations 2^0 {} ages 2^0 {o1:1}'::conversion;
SELECT 'durations 2^0 {c5:1} ages 2^0 {c4:1}'::conversion;
SELECT 'durations 2^0 {c5:1} ages 2^0 {}'::conversion;
SELECT 'durations 2^0 {} ages 2^0 {c5:1}'::conversion;
SELECT 'durations 2^0 {c5:1} ages 2^0 {l5:1}'::conversion;
SELECT 'durations 2^0 {c5:1} ages 2^0 {c5:9223372036854775807 c6:2}'::conversion;
SELECT 'durations 2^1 {o4:1} ages 2^0 {}'::conversion;
-- the largest numbers do no harm
SELECT entered(c), rate(c), rate_high(c) > 0.5 AS high, incidence_at(c, '146000 years'), time_quantile(c, 0.5), rate_within(c, '292000 years')
FROM (VALUES ('durations 2^0 {c4611686018427387903:4611686018427387904 o4611686018427387903:4611686018427387903} ages 2^0 {c4611686018427387903:4611686018427387904}'::conversion)) v (c);
SELECT (x).difference, (x).p_value, (x).logrank_p IS NULL AS p FROM (SELECT compare(c, c) AS x FROM (VALUES ('durations 2^0 {c1:4611686018427387904 o2:4611686018427387903} ages 2^0 {c4611686018427387903:4611686018427387904}'::conversion)) v (c)) y;
SELECT conversion_merge(c, c) FROM (VALUES ('durations 2^0 {o1:4611686018427387904} ages 2^0 {}'::conversion)) v (c);
SELECT conversion_add('durations 2^0 {o1:9223372036854775807} ages 2^0 {}', '2026-01-01', NULL, NULL, '2026-01-01');

--
-- Binary
--
SELECT conversion_send('durations 2^0 {} ages 2^0 {}'), conversion_send('durations 2^0 {c1:2 o5:3} ages 2^0 {c255:2}');
CREATE TEMP TABLE received (c conversion);
CREATE FUNCTION pg_temp.receive(bytes bytea) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    file oid;
BEGIN
    file := lo_from_bytea(0, '\x5047434f50590aff0d0a000000000000000000'::bytea || int2send(1::int2)
        || int4send(length(bytes)) || bytes || int2send(-1::int2));
    PERFORM lo_export(file, 'conversion.regress');
    PERFORM lo_unlink(file);
    TRUNCATE received;
    BEGIN
        COPY received FROM 'conversion.regress' (FORMAT binary);
    EXCEPTION WHEN OTHERS THEN
        RETURN sqlstate || ' ' || sqlerrm;
    END;
    RETURN (SELECT CASE WHEN lead_qualify.conversion_send(c::text::lead_qualify.conversion) <> lead_qualify.conversion_send(c) THEN 'XX unsound'
            WHEN lead_qualify.rate_within(c, '3 microseconds') NOT BETWEEN 0 AND 1 THEN 'XX odd rate'
            WHEN lead_qualify.conversion_send(c) = bytes THEN 'received' ELSE 'received as ' || c::text END FROM received);
END
$$;
SELECT bool_and(pg_temp.receive(conversion_send(c)) = 'received') AS round_trip FROM sample;
SELECT what, pg_temp.receive(bytes)
FROM (SELECT conversion_send('durations 2^0 {c2:1} ages 2^0 {c2:1}') AS one) o, LATERAL (VALUES
    ('\x'::bytea, 'nothing'),
    ('\x02'::bytea || substring(one, 2), 'a version to come'),
    (one || '\x00'::bytea, 'a byte too many'),
    (set_byte(one, 1, 63), 'a step too large'),
    (set_byte(one, 1, 3), 'a step not needed'),
    (set_byte(one, 2, 255), 'many counts less'),
    (set_byte(one, 13, 11), 'no such outcome'),
    (set_byte(one, 6, 255), 'a time too long'),
    (set_byte(one, 14, 128), 'a count below zero'),
    (set_byte(one, 21, 0), 'a count of zero'),
    (set_byte(one, 13, 4), 'a smaller duration'),
    (set_byte(one, 13, 12), 'converted later than it is old')) v (bytes, what);
-- every prefix is refused
SELECT count(*) FILTER (WHERE pg_temp.receive(substring(bytes, 1, n)) LIKE 'received%') AS accepted
FROM (SELECT conversion_send('durations 2^0 {c1:2 l2:1 o5:3} ages 2^0 {c255:2 l3:1}') AS bytes) x, generate_series(0, length(bytes) - 1) AS n;
-- with one byte changed it is refused, or sound
SELECT count(*) FILTER (WHERE result LIKE 'received as%') + count(*) FILTER (WHERE result = 'received') BETWEEN 1 AND count(*) - 1 AS some_received,
    count(*) FILTER (WHERE result LIKE 'XX%') AS unsound
FROM (SELECT pg_temp.receive(set_byte(bytes, n, get_byte(bytes, n) # flip)) AS result
    FROM (SELECT conversion_send('durations 2^0 {c1:2 l2:1 o5:3} ages 2^0 {c255:2 l3:1}') AS bytes) x,
        generate_series(0, length(bytes) - 1) AS n, unnest('{1,2,4,32,128}'::int[]) AS flip) y;
COPY (SELECT) TO PROGRAM 'cat >/dev/null; rm -f conversion.regress';

--
-- Against plain SQL, on 60 cohorts of made-up leads with many ties
--
CREATE TEMP TABLE made AS
SELECT i, i % 60 AS cohort, timestamptz '2026-01-01' - age * interval '1 hour' AS e,
    timestamptz '2026-01-01' - (age - c) * interval '1 hour' AS c, timestamptz '2026-01-01' - (age - l) * interval '1 hour' AS l
FROM (SELECT i, i * 7919 % (10 + i % 60 * 3) AS age, CASE WHEN i % 7 < 3 THEN i * 104729 % 67 END AS c, CASE WHEN i % 5 < 2 THEN i * 1299709 % 53 END AS l
    FROM generate_series(1, 6000::bigint) i) g;
-- NULL where a term has no value, as with the first row of a window
CREATE TEMP TABLE oracle AS
WITH lead AS (
    SELECT cohort, '2026-01-01' - e AS age, CASE WHEN c <= least(l, '2026-01-01') THEN 'c' WHEN l <= '2026-01-01' THEN 'l' ELSE 'o' END AS outcome,
        greatest(least(c, l, '2026-01-01') - e, interval '0') AS t
    FROM made
), step AS (
    SELECT cohort, t, count(*) AS n, count(*) FILTER (WHERE outcome = 'c') AS c, count(*) FILTER (WHERE outcome = 'l') AS l
    FROM lead GROUP BY 1, 2
), risk AS (
    SELECT *, sum(n) OVER (PARTITION BY cohort ORDER BY t DESC) AS r FROM step
), survival AS (
    SELECT *, exp(sum(ln(nullif(1 - (c + l)::float8 / r, 0))) OVER (PARTITION BY cohort ORDER BY t ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)) AS s,
        exp(sum(ln(nullif(1 - c::float8 / r, 0))) OVER (PARTITION BY cohort ORDER BY t)) AS km
    FROM risk
)
SELECT cohort, t, r, c, l, sum(coalesce(s, 1) * c / r) OVER (PARTITION BY cohort ORDER BY t) AS f,
    CASE WHEN c < r THEN 1 - km END AS km
FROM survival;
SELECT count(*) AS steps, count(*) FILTER (WHERE o.r IS DISTINCT FROM u.at_risk OR o.c IS DISTINCT FROM u.converted OR o.l IS DISTINCT FROM u.lost) AS counts_differ,
    count(*) FILTER (WHERE NOT abs(o.f - u.incidence) < 1e-12 OR NOT abs(o.f - u.at_t) < 1e-12) AS incidence_differs,
    count(*) FILTER (WHERE NOT abs(o.km - u.km_t) < 1e-12) AS km_differs,
    count(*) FILTER (WHERE u.incidence NOT BETWEEN 0 AND 1 OR NOT u.low <= u.incidence OR NOT u.high >= u.incidence) AS odd
FROM oracle o FULL JOIN (SELECT cohort, u.*, incidence_at(x.c, after) AS at_t, km_at(x.c, after) AS km_t
    FROM (SELECT cohort, conversion(e, c, l, '2026-01-01') AS c FROM made GROUP BY 1) x, curve(x.c) u) u
    ON o.cohort = u.cohort AND o.t = u.after;
-- each conf_type has the estimate inside, in order of confidence
SELECT conf_type, bool_and(incidence_low(c, t, 0.99, conf_type) <= incidence_low(c, t, 0.8, conf_type) AND incidence_low(c, t, 0.8, conf_type) <= incidence_at(c, t)
    AND incidence_at(c, t) <= incidence_high(c, t, 0.8, conf_type) AND incidence_high(c, t, 0.8, conf_type) <= incidence_high(c, t, 0.99, conf_type)
    AND km_low(c, t, 0.99, conf_type) <= km_low(c, t, 0.8, conf_type) AND km_low(c, t, 0.8, conf_type) <= km_at(c, t)
    AND km_at(c, t) <= km_high(c, t, 0.8, conf_type) AND km_high(c, t, 0.8, conf_type) <= km_high(c, t, 0.99, conf_type)) AS ordered
FROM (SELECT conversion(e, c, l, '2026-01-01') AS c FROM made GROUP BY cohort) x, unnest(ARRAY[interval '5 hours', '20 hours', '50 hours']) t,
    unnest(ARRAY['plain', 'log', 'log-log', 'logit', 'arcsin']) conf_type
GROUP BY conf_type ORDER BY conf_type;
-- rate_within by its definition
SELECT count(*), count(*) FILTER (WHERE rate_within(x.c, w) IS DISTINCT FROM rate) AS differ, count(rate) < count(*) AS some_null
FROM (SELECT cohort, conversion(e, c, l, '2026-01-01') AS c FROM made GROUP BY 1) x, unnest(ARRAY[interval '0', '1 hour', '5 hours', '17 hours', '60 hours', '7 days']) w,
    LATERAL (SELECT count(*) FILTER (WHERE c <= least(l, '2026-01-01') AND c - e <= w)::float8 / nullif(count(*), 0) AS rate
        FROM made m WHERE m.cohort = x.cohort AND '2026-01-01' - e >= w) y;
-- quantiles by theirs
SELECT count(*), count(*) FILTER (WHERE converted_quantile(x.c, q) IS DISTINCT FROM disc) AS differ,
    count(*) FILTER (WHERE time_quantile(x.c, q) IS DISTINCT FROM first) AS first_differs
FROM (SELECT cohort, conversion(e, c, l, '2026-01-01') AS c FROM made GROUP BY 1) x, unnest(ARRAY[0.05, 0.3, 0.5, 0.77, 1]) q,
    LATERAL (SELECT percentile_disc(q) WITHIN GROUP (ORDER BY greatest(c - e, interval '0')) AS disc FROM made m WHERE m.cohort = x.cohort AND c <= least(l, '2026-01-01')) y,
    LATERAL (SELECT min(after) AS first FROM curve(x.c) WHERE incidence >= q - 1e-13) z;
-- the log-rank test by its formula
SELECT count(*), count(*) FILTER (WHERE NOT abs(z.chi2 - v.logrank_chi2) < 1e-9 * z.chi2 + 1e-12) AS differ
FROM generate_series(0, 58) i,
    LATERAL (SELECT conversion(e, c, l, '2026-01-01') FILTER (WHERE cohort = i) AS a, conversion(e, c, l, '2026-01-01') FILTER (WHERE cohort = i + 1) AS b FROM made) x,
    compare(x.a, x.b) v,
    LATERAL (SELECT sum(ca - d * ra / r) ^ 2 / sum(CASE WHEN r > 1 THEN d * (ra / r) * (rb / r) * (r - d) / (r - 1) ELSE 0 END) AS chi2
        FROM (SELECT coalesce(ca, 0) AS ca, coalesce(ca, 0) + coalesce(cb, 0) AS d, ra, rb, ra + rb AS r
            FROM (SELECT t, max(c) FILTER (WHERE cohort = i)::float8 AS ca, max(c) FILTER (WHERE cohort = i + 1)::float8 AS cb FROM oracle WHERE cohort IN (i, i + 1) GROUP BY t) s,
                LATERAL (SELECT coalesce(max(r) FILTER (WHERE cohort = i), 0)::float8 AS ra, coalesce(max(r) FILTER (WHERE cohort = i + 1), 0)::float8 AS rb
                    FROM oracle o WHERE o.t >= s.t) n) w) z
WHERE i % 6 = 0;

--
-- More times than are kept, in any order, from any parts: equal bytes
--
CREATE TABLE conversion_many AS
SELECT i, timestamptz '2026-01-01' - age * interval '1 microsecond' AS e, timestamptz '2026-01-01' - (age - c) * interval '1 microsecond' AS c,
    timestamptz '2026-01-01' - (age - l) * interval '1 microsecond' AS l
FROM (SELECT i, i * 7919 % 1000003 * 2000000 AS age, CASE WHEN i % 7 < 3 THEN i * 104729 % 700001 * 1000003 END AS c,
        CASE WHEN i % 5 < 2 THEN i * 15485863 % 900007 * 999 END AS l
    FROM generate_series(1, 150000::bigint) i) g;
VACUUM ANALYZE conversion_many;
SET max_parallel_workers_per_gather = 0;
CREATE TEMP TABLE whole AS SELECT conversion(e, c, l, '2026-01-01') AS c FROM conversion_many;
SELECT substring(c::text, '^durations (\S+) '), substring(c::text, ' ages (\S+) '), entered(c), converted(c), lost(c), still_open(c) FROM whole;
CREATE TEMP TABLE step AS SELECT 2 ^ substring(c::text, '2\^(\d+)')::numeric AS step FROM whole;
SELECT count(*) BETWEEN 32769 AND 65536 AS times FROM whole, curve(c);
-- the step is the smallest: half of it would leave too many
SELECT count(DISTINCT div(extract(epoch FROM greatest(least(c, l, '2026-01-01') - e, interval '0')) * 1000000, step)) <= 65536 AS enough,
    count(DISTINCT div(extract(epoch FROM greatest(least(c, l, '2026-01-01') - e, interval '0')) * 1000000, step / 2)) > 65536 AS needed
FROM conversion_many, step;
-- times are rounded down to it
SELECT count(*) FILTER (WHERE u.at_risk IS DISTINCT FROM o.r OR u.converted IS DISTINCT FROM o.c) AS differ FROM (
    SELECT t, sum(n) OVER (ORDER BY t DESC) AS r, c FROM (
        SELECT div(extract(epoch FROM greatest(least(c, l, '2026-01-01') - e, interval '0')) * 1000000, step) * step AS t, count(*) AS n,
            count(*) FILTER (WHERE c <= least(l, '2026-01-01')) AS c
        FROM conversion_many, step GROUP BY 1) g) o
FULL JOIN (SELECT u.* FROM whole, curve(c) u) u ON extract(epoch FROM u.after) * 1000000 = o.t;
SELECT how, conversion_send(x.c) = conversion_send(whole.c) AS same FROM whole, (
    SELECT 'backwards' AS how, conversion(e, c, l, '2026-01-01') AS c FROM (SELECT * FROM conversion_many ORDER BY i DESC) o
    UNION ALL SELECT 'by duration', conversion(e, c, l, '2026-01-01') FROM (SELECT * FROM conversion_many ORDER BY least(c, l, '2026-01-01') - e) o
    UNION ALL SELECT 'shuffled', conversion(e, c, l, '2026-01-01') FROM (SELECT * FROM conversion_many ORDER BY md5(i::text)) o
    UNION ALL SELECT 'rolled up from 7', rollup(p) FROM (SELECT conversion(e, c, l, '2026-01-01') AS p FROM conversion_many GROUP BY i % 7) o
    UNION ALL SELECT 'rolled up from 1000', rollup(p) FROM (SELECT conversion(e, c, l, '2026-01-01') AS p FROM conversion_many GROUP BY i % 1000) o
    UNION ALL SELECT 'coarse and exact', rollup(p ORDER BY n) FROM (SELECT i < 140000 AS n, conversion(e, c, l, '2026-01-01') AS p FROM conversion_many GROUP BY 1) o
    UNION ALL SELECT 'exact and coarse', rollup(p ORDER BY n DESC) FROM (SELECT i < 140000 AS n, conversion(e, c, l, '2026-01-01') AS p FROM conversion_many GROUP BY 1) o
    UNION ALL SELECT 'from text', c::text::conversion FROM whole
    UNION ALL SELECT 'with an empty one', conversion_merge(w.c, n.c) FROM whole w, nobody n) x;
-- 65,536 are kept exactly, with one more they are not
SELECT n, substring(c::text, '^durations (\S+) ') AS step FROM unnest(ARRAY[65536, 65537]) n,
    LATERAL (SELECT conversion(timestamptz '2026-01-01' - i * interval '1 microsecond', NULL, NULL, '2026-01-01') AS c FROM generate_series(1, n) i) x;
-- a single time far away has no need of larger steps
SELECT substring(rollup(c)::text, '^durations (\S+) ') AS step FROM (SELECT conversion(timestamptz '2026-01-01' - i * interval '1 microsecond', NULL, NULL, '2026-01-01') AS c
    FROM generate_series(1, 1000) i UNION ALL SELECT 'durations 2^0 {o4611686018427387903:1} ages 2^0 {}') x;
-- parallel
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
EXPLAIN (COSTS OFF) SELECT conversion(e, c, l, '2026-01-01') FROM conversion_many;
SELECT conversion_send(p.c) = conversion_send(w.c) AS same FROM (SELECT conversion(e, c, l, '2026-01-01') AS c FROM conversion_many) p, whole w;
CREATE TABLE conversion_part AS SELECT i % 500 AS part, conversion(e, c, l, '2026-01-01') AS c FROM conversion_many GROUP BY 1;
ANALYZE conversion_part;
EXPLAIN (COSTS OFF) SELECT rollup(c) FROM conversion_part;
SELECT conversion_send(p.c) = conversion_send(w.c) AS same FROM (SELECT rollup(c) AS c FROM conversion_part) p, whole w;
RESET max_parallel_workers_per_gather;
RESET min_parallel_table_scan_size;
RESET parallel_tuple_cost;
RESET parallel_setup_cost;
DROP TABLE conversion_part, conversion_many;

--
-- In tables, windows and functions
--
CREATE TEMP TABLE stored (n int, c conversion);
INSERT INTO stored SELECT 1, c FROM vector UNION ALL SELECT 2, c FROM competing UNION ALL SELECT 3, c FROM whole;
SELECT n, pg_column_size(c) > 100000 AS toasted, entered(c) FROM stored ORDER BY n;
SELECT n, entered(rollup(c) OVER (ORDER BY n)), converted(rollup(c) OVER (ORDER BY n ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)) FROM stored ORDER BY n;
DO $$
DECLARE
    a lead_qualify.conversion;
    b lead_qualify.conversion;
BEGIN
    a := lead_qualify.conversion_add(NULL, '2026-01-01', NULL, NULL, '2026-01-05');
    b := a;
    a := lead_qualify.conversion_merge(a, b);
    a := lead_qualify.conversion_merge(a, a);
    RAISE NOTICE '% and %', lead_qualify.entered(a), lead_qualify.entered(b);
END
$$;
PREPARE twice (conversion) AS SELECT entered(conversion_merge($1, $1)), entered(conversion_merge($1, $1)), entered($1);
EXECUTE twice ('durations 2^0 {o1:1} ages 2^0 {}');

-- all of it is immutable and parallel safe, and strict but for what takes NULL
SELECT p.oid::regprocedure, p.proisstrict FROM pg_proc p
WHERE p.pronamespace = 'lead_qualify'::regnamespace AND p.prokind = 'f' AND ('conversion'::regtype = ANY (p.proargtypes) OR p.prorettype = 'conversion'::regtype)
    AND NOT (p.provolatile = 'i' AND p.proisstrict AND p.proparallel = 's')
ORDER BY 1;
