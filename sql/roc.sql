--
-- type roc: how well a score told who would convert
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lead_qualify;
RESET client_min_messages;
SET search_path = lead_qualify, public;

--
-- Text
--
-- output is canonical: scores rise, and each is there once
SELECT r::roc FROM unnest(ARRAY['10:1/4, 20:3/5', '20:3/5,10:1/4', '10:0/1, 20:3/5, 10:1/3', E' \t1e1 : 1 / 4\n,2e1:3/5 ', '', ' ']) AS r;
SELECT 'Infinity:1/1, -Infinity:0/2, -0:0/1, 0:1/1, 0.1:1/1, 4.9e-324:0/1, -1.7976931348623157e308:1/2'::roc;
-- whatever the setting, no digit is lost
SET extra_float_digits = -15;
SELECT '0.1:1/1, 0.10000000000000002:0/1'::roc;
RESET extra_float_digits;

-- what is none
SELECT '10'::roc;
SELECT '10:1'::roc;
SELECT '10:/4'::roc;
SELECT '10:1/'::roc;
SELECT ':1/4'::roc;
SELECT 'ten:1/4'::roc;
SELECT '10:1/4,'::roc;
SELECT ',10:1/4'::roc;
SELECT '10:1/4 20:3/5'::roc;
SELECT '10:1/4; 20:3/5'::roc;
SELECT '10:5/4'::roc;
SELECT '10:0/0'::roc;
SELECT '10:-1/4'::roc;
SELECT '10:1/-4'::roc;
SELECT '10:1.5/4'::roc;
SELECT '10:1/9223372036854775808'::roc;
SELECT '1e400:1/4'::roc;
SELECT '1e-400:1/4'::roc;
SELECT 'NaN:1/4'::roc;
-- as many leads as can be counted, and one more
SELECT '1:0/9223372036854775806, 2:1/1'::roc;
SELECT '1:0/9223372036854775807, 2:1/1'::roc;
SELECT roc_add('1:0/9223372036854775807', 1, true);
SELECT roc_combine('1:0/9223372036854775807', '3:1/1');

--
-- Counting
--
SELECT roc(score, converted)
FROM (VALUES (10::float8, true), (20, false), (20, true), (10, false), (30, NULL), (NULL, true), (10, false), (0, false), ('-0', true),
    ('Infinity', true), ('-Infinity', false)) AS x (score, converted);
-- of no lead there is none
SELECT roc(score, converted), auc(roc(score, converted)) FROM (VALUES (1, NULL::boolean), (NULL, true)) AS x (score, converted);
SELECT roc(1, true) FROM (SELECT) x WHERE false;
SELECT roc(score, true) FROM (VALUES (1::float8), ('NaN')) AS x (score);
SELECT roc(score, true) FILTER (WHERE score <> 'NaN') FROM (VALUES (1::float8), ('NaN')) AS x (score);
-- neither of these is a score
SELECT roc('NaN', NULL), roc(NULL, NULL);

-- a frame that grows leaves the earlier values as they were
SELECT i, roc(i % 2, i > 2) OVER (ORDER BY i), roc(i % 2, i > 2) OVER (ORDER BY i ROWS 1 PRECEDING) FROM generate_series(1, 4) AS i;
SELECT grouping(i % 2), i % 2 AS odd, roc(i % 3, i > 5) FROM generate_series(1, 9) AS i GROUP BY ROLLUP (i % 2) ORDER BY 1, 2;

-- outside of an aggregate the transitions are plain functions
SELECT roc_add(NULL, 1, true), roc_add('1:0/1', 1, true), roc_add('1:0/1', NULL, true), roc_add('1:0/1', 1, NULL), roc_add(NULL, NULL, NULL);
SELECT roc_add(roc_add('1:0/1', 1, true), 2, false), roc_combine('1:0/1', '1:1/2, 3:0/1'), roc_combine('', ''), roc_combine(NULL, '');
DO $$
DECLARE
    a lead_qualify.roc := '1:0/1';
    b lead_qualify.roc;
BEGIN
    FOR i IN 1..3 LOOP
        a := lead_qualify.roc_add(a, i, true);
        b := coalesce(b, a);
    END LOOP;
    a := lead_qualify.roc_combine(a, a);
    RAISE NOTICE '% and %', a, b;
END
$$;

-- rollup leaves out NULLs
SELECT rollup(r), rollup(r) FILTER (WHERE r IS NULL) FROM unnest('{1:0/1,NULL,"2:1/1, 1:1/1"}'::roc[]) AS r;

--
-- Area under the curve
--
-- by hand: of the 20 pairs of one that converted and one that did not 13 are
-- in order, 5 are ties and 2 are in the wrong order, so the area is 15.5 / 20
SELECT auc('10:0/2, 20:1/2, 30:2/4, 40:1/1');
-- one kind of leads only
SELECT r, auc(r), auc_low(r), auc_high(r) FROM unnest('{"",1:0/3,"1:2/2, 2:1/1"}'::roc[]) AS r;
-- no variance of one
SELECT r, auc(r), auc_low(r), auc_high(r) FROM unnest('{"1:0/2, 2:1/2, 3:0/1","1:0/1, 2:3/3"}'::roc[]) AS r;
-- a perfect score, one that is perfectly wrong, and one that tells nothing:
-- with all 3 of 3 in order, 0.025 ^ (1 / 3)
SELECT r, auc(r), auc_low(r), auc_high(r), auc_low(r, 0.5), auc_high(r, 0.5)
FROM unnest('{"1:0/3, 2:4/4","1:4/4, 2:0/3","1:4/7"}'::roc[]) AS r;

-- R 4.2.2, pROC 1.18.0: auc(), var(method = "delong"), and plogis(qlogis(auc) -+ qnorm() * sqrt(var) / (auc * (1 - auc)))
CREATE TABLE scored (id int, score float8, converted boolean);
INSERT INTO scored SELECT i, (i * i * 7919 + i * 104729) % 257, (i * 48271) % 1009 < 100 + 3 * ((i * i * 7919 + i * 104729) % 257)
FROM generate_series(1, 1000::bigint) AS i;
SELECT x.what, abs(auc(x.r) - x.auc) < 1e-14 AS auc, abs(auc_low(x.r) - x.low) < 1e-12 AS low, abs(auc_high(x.r) - x.high) < 1e-12 AS high,
    abs(auc_low(x.r, 0.9) - x.low_90) < 1e-12 AS low_90, abs(auc_high(x.r, 0.9) - x.high_90) < 1e-12 AS high_90
FROM (VALUES
    ('ten leads', '1:0/2, 2:2/3, 3:1/2, 4:1/2, 5:1/1'::roc, 0.72::float8,
        0.32435628694933955::float8, 0.93231123826443574::float8, 0.38603746003488409::float8, 0.91316626091207009::float8),
    ('a thousand', (SELECT roc(score, converted) FROM scored), 0.72396642080745343684,
        0.69156190751825441509, 0.75417665361372077104, 0.69691271972703661142, 0.74947337968782634654)) AS x (what, r, auc, low, high, low_90, high_90);
-- its coords() at the best of Youden's
SELECT * FROM threshold_table((SELECT roc(score, converted) FROM scored)) ORDER BY youden DESC LIMIT 1;

SELECT auc_low('', 0);
SELECT auc_low('', 1);
SELECT auc_high('', 'NaN');
SELECT auc(NULL), auc_low(NULL), auc_high('', NULL);

--
-- Thresholds
--
SELECT * FROM roc_curve('10:1/4, 20:3/5');
SELECT * FROM threshold_table('10:1/4, 20:3/5');
SELECT * FROM roc_curve('-Infinity:0/1, Infinity:1/1');
-- shares of none
SELECT * FROM roc_curve('1:0/1, 2:0/1');
SELECT * FROM threshold_table('1:0/1, 2:0/1');
SELECT * FROM threshold_table('1:2/2');
SELECT * FROM roc_curve('');
SELECT * FROM threshold_table('');
SELECT * FROM threshold_table(NULL);

--
-- Against plain SQL: every pair for the area, every lead's placement for the
-- variance, every lead at every threshold
--
CREATE TABLE sample AS
SELECT s AS sample, hashint4extended(i, s) AS random, (hashint4extended(i, s) & 65535) % (s % 9 + 1) / CASE WHEN s % 2 = 0 THEN 1 ELSE 3.0 END - s % 3 AS score,
    (hashint4extended(i, s) >> 16 & 65535) % 100 < 20 + s AS converted
FROM generate_series(1, 60) AS s, generate_series(1, 3 + s) AS i;
CREATE VIEW oracle AS
WITH pair AS (
    SELECT c.sample, c.random AS converted, o.random AS other, (sign(c.score - o.score) + 1) / 2 AS ordered
    FROM sample c JOIN sample o USING (sample)
    WHERE c.converted AND NOT o.converted
), area AS (
    SELECT sample, avg(ordered)::float8 AS auc FROM pair GROUP BY sample
), error AS (
    SELECT a.sample, a.auc,
        sqrt((SELECT var_samp(v) / count(*) FROM (SELECT avg(p.ordered)::float8 FROM pair p WHERE p.sample = a.sample GROUP BY p.converted) AS x (v))
            + (SELECT var_samp(v) / count(*) FROM (SELECT avg(p.ordered)::float8 FROM pair p WHERE p.sample = a.sample GROUP BY p.other) AS x (v))) AS error
    FROM area a
)
SELECT sample, auc, 1 / (1 + exp(1.959963984540054 * error / (auc * (1 - auc)) - ln(auc / (1 - auc)))) AS low,
    1 / (1 + exp(-1.959963984540054 * error / (auc * (1 - auc)) - ln(auc / (1 - auc)))) AS high
FROM error WHERE auc BETWEEN 0.01 AND 0.99;
SELECT count(*), min(auc) < 0.4 AND max(auc) > 0.6 AS varied, bool_or(low IS NULL) AND bool_or(low IS NOT NULL) AS some_without_variance FROM oracle;
SELECT o.sample, o.auc, auc(r), o.low, auc_low(r), o.high, auc_high(r)
FROM oracle o JOIN (SELECT sample, roc(score, converted) AS r FROM sample GROUP BY sample) s USING (sample)
WHERE (abs(o.auc - auc(r)) < 1e-12 AND (abs(o.low - auc_low(r)) < 1e-9 AND abs(o.high - auc_high(r)) < 1e-9
    OR o.low IS NULL AND auc_low(r) IS NULL AND auc_high(r) IS NULL)) IS NOT TRUE;

CREATE TABLE cut AS
SELECT t.sample, t.score::float8 AS threshold, count(*) FILTER (WHERE s.score >= t.score AND s.converted) AS tp,
    count(*) FILTER (WHERE s.score >= t.score AND NOT s.converted) AS fp, count(*) FILTER (WHERE s.score < t.score AND NOT s.converted) AS tn,
    count(*) FILTER (WHERE s.score < t.score AND s.converted) AS fn, count(*) AS leads, count(*) FILTER (WHERE s.converted) AS converted
FROM (SELECT DISTINCT sample, score FROM sample) t JOIN sample s USING (sample)
GROUP BY t.sample, t.score;
SELECT count(*) FROM cut;
CREATE VIEW told AS
SELECT s.sample, t.* FROM (SELECT sample, roc(score, converted) AS r FROM sample GROUP BY sample) s, threshold_table(s.r) t;
SELECT count(*) AS wrong
FROM told t FULL JOIN cut c ON (c.sample, c.threshold) = (t.sample, t.threshold)
WHERE ((t.tp, t.fp, t.tn, t.fn) = (c.tp, c.fp, c.tn, c.fn)
    AND abs(t.precision - c.tp::float8 / (c.tp + c.fp)) < 1e-12
    AND (abs(t.recall - c.tp::float8 / c.converted) < 1e-12
        AND abs(t.lift - t.precision / (c.converted::float8 / c.leads)) < 1e-12 OR c.converted = 0 AND t.recall IS NULL AND t.lift IS NULL)
    AND (abs(t.youden - (t.recall - c.fp::float8 / (c.fp + c.tn))) < 1e-12 OR c.converted IN (0, c.leads) AND t.youden IS NULL)) IS NOT TRUE;
-- the curve has the same thresholds and rates, and the area below it is the AUC
SELECT count(*) AS wrong
FROM (SELECT s.sample, c.* FROM (SELECT sample, roc(score, converted) AS r FROM sample GROUP BY sample) s, roc_curve(s.r) c WHERE c.threshold IS NOT NULL) t
FULL JOIN cut c ON (c.sample, c.threshold) = (t.sample, t.threshold)
WHERE ((abs(t.true_positive_rate - c.tp::float8 / c.converted) < 1e-12 OR c.converted = 0 AND t.true_positive_rate IS NULL)
    AND (abs(t.false_positive_rate - c.fp::float8 / (c.leads - c.converted)) < 1e-12 OR c.converted = c.leads AND t.false_positive_rate IS NULL)
    AND abs(t.positive_rate - (c.tp + c.fp)::float8 / c.leads) < 1e-12) IS NOT TRUE;
SELECT o.sample, area, o.auc
FROM oracle o, LATERAL (
    SELECT sum(step) AS area
    FROM (SELECT (c.true_positive_rate + lag(c.true_positive_rate) OVER w) / 2 * (c.false_positive_rate - lag(c.false_positive_rate) OVER w)
        FROM roc_curve((SELECT roc(score, converted) FROM sample s WHERE s.sample = o.sample)) WITH ORDINALITY AS c
        WINDOW w AS (ORDER BY ordinality)) AS x (step)) AS c
WHERE abs(area - o.auc) > 1e-12;

--
-- In any order, in parts and in parallel: the same bytes
--
SELECT count(DISTINCT bytes) FROM (
    SELECT roc_send(roc(score, converted ORDER BY random)) AS bytes FROM sample
    UNION ALL SELECT roc_send(roc(score, converted ORDER BY random DESC)) FROM sample
    UNION ALL SELECT roc_send(roc(score, converted ORDER BY score DESC)) FROM sample
    UNION ALL SELECT roc_send(rollup(r)) FROM (SELECT roc(score, converted) AS r FROM sample GROUP BY sample) AS x
    UNION ALL SELECT roc_send(rollup(r ORDER BY r::text)) FROM (SELECT roc(score, converted) AS r FROM sample GROUP BY sample, score) AS x
    UNION ALL SELECT roc_send(rollup(r)) FROM (
        SELECT rollup(r) AS r FROM (SELECT sample, roc(score, converted) AS r FROM sample GROUP BY sample) AS y GROUP BY sample % 7) AS x) AS z;
CREATE TABLE summary AS SELECT sample, roc(score, converted) AS r FROM sample GROUP BY sample;
SELECT roc_send((SELECT roc(score, converted) FROM sample)) = roc_send((SELECT rollup(r) FROM summary)) AS same;
CREATE TABLE serial AS SELECT sample % 5 AS part, roc(score, converted) AS r FROM sample GROUP BY 1;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
SET enable_hashagg = off;
EXPLAIN (COSTS OFF) SELECT roc(score, converted) FROM sample;
EXPLAIN (COSTS OFF) SELECT rollup(r) FROM summary;
SELECT roc_send((SELECT roc(score, converted) FROM sample)) = roc_send((SELECT rollup(r) FROM serial)) AS same,
    roc_send((SELECT rollup(r) FROM summary)) = roc_send((SELECT rollup(r) FROM serial)) AS rollup_same;
EXPLAIN (COSTS OFF) SELECT sample % 5 AS part, roc(score, converted) AS r FROM sample GROUP BY 1;
SELECT count(*) AS same FROM serial s JOIN (SELECT sample % 5 AS part, roc(score, converted) AS r FROM sample GROUP BY 1) p USING (part)
WHERE roc_send(s.r) = roc_send(p.r);
RESET enable_hashagg;
SET enable_sort = off;
SELECT count(*) AS same FROM serial s JOIN (SELECT sample % 5 AS part, roc(score, converted) AS r FROM sample GROUP BY 1) p USING (part)
WHERE roc_send(s.r) = roc_send(p.r);
-- states so short that workers pack their headers
SELECT roc(1, converted)::text = format('1:%s/%s', count(*) FILTER (WHERE converted), count(*)) AS same FROM sample;
-- who finds nothing has nothing to add
SELECT roc(score, converted) FROM sample WHERE sample = 1 AND score > 1e9;
RESET enable_sort;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
RESET max_parallel_workers_per_gather;

--
-- As many scores as there can be, and one more
--
SELECT pg_column_size(roc(i, i % 2 = 0)) FROM generate_series(1, 2000000) AS i;
SELECT roc(i, i % 2 = 0) FROM generate_series(1, 2000001) AS i;
-- stored out of line and compressed
CREATE TABLE large AS SELECT roc(i / 8.0, i % 3 = 0) AS r FROM generate_series(1, 20000) AS i;
SELECT pg_column_size(r) < 20000 * 24 AS compressed, auc(r), (SELECT count(*) FROM threshold_table(r)) FROM large;
SELECT roc_send(r) = roc_send(r::text::roc) AS same FROM large;

--
-- Binary
--
SELECT roc_send(''), roc_send('10:1/4');
-- bytes are received as COPY receives them, from a file in the data directory
CREATE TEMP TABLE received (r roc);
CREATE FUNCTION pg_temp.receive(bytes bytea) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    file oid;
BEGIN
    file := lo_from_bytea(0, '\x5047434f50590aff0d0a000000000000000000'::bytea || int2send(1::int2)
        || int4send(length(bytes)) || bytes || int2send(-1::int2));
    PERFORM lo_export(file, 'roc.regress');
    PERFORM lo_unlink(file);
    TRUNCATE received;
    BEGIN
        COPY received FROM 'roc.regress' (FORMAT binary);
    EXCEPTION WHEN OTHERS THEN
        RETURN sqlstate || ' ' || sqlerrm;
    END;
    RETURN (SELECT CASE WHEN lead_qualify.roc_send(r::text::lead_qualify.roc) <> lead_qualify.roc_send(r) OR lead_qualify.auc(r) NOT BETWEEN 0 AND 1 THEN 'XX unsound'
            WHEN lead_qualify.roc_send(r) = bytes THEN 'received' ELSE 'received as ' || r::text END FROM received);
END
$$;
SELECT bool_and(pg_temp.receive(roc_send(r)) = 'received') AS round_trip
FROM (SELECT r FROM summary UNION ALL SELECT r FROM large UNION ALL SELECT '-Infinity:1/1, -0:0/9223372036854775000, Infinity:1/2') AS x;
CREATE FUNCTION pg_temp.point(score float8, converted bigint, others bigint) RETURNS bytea LANGUAGE sql
RETURN float8send(score) || int8send(converted) || int8send(others);
SELECT what, pg_temp.receive(bytes), bytes
FROM (VALUES
    ('\x0100000000'::bytea, 'an empty summary: version, number of scores'),
    ('\x0100000001' || pg_temp.point(10, 1, 3), 'one score'),
    ('\x0100000001' || pg_temp.point('-0', 1, 3), 'minus 0'),
    ('\x0100000002' || pg_temp.point(1, 1, 0) || pg_temp.point(1, 0, 1), 'the same twice'),
    ('\x0100000002' || pg_temp.point(2, 1, 0) || pg_temp.point(1, 0, 1), 'falling'),
    ('\x0100000002' || pg_temp.point(0, 1, 0) || pg_temp.point('-0', 0, 1), 'twice 0'),
    ('\x0100000001' || pg_temp.point('NaN', 1, 3), 'NaN'),
    ('\x0100000001' || pg_temp.point(1, 0, 0), 'no lead'),
    ('\x0100000001' || pg_temp.point(1, -1, 2), 'less than none that converted'),
    ('\x0100000001' || pg_temp.point(1, 2, -1), 'less than none that did not'),
    ('\x0100000001' || pg_temp.point(1, 9223372036854775807, 1), 'too many leads of a score'),
    ('\x0100000002' || pg_temp.point(1, 9223372036854775807, 0) || pg_temp.point(2, 0, 1), 'too many leads'),
    ('\x', 'nothing'),
    ('\x01', 'a version'),
    ('\x0000000000', 'no version'),
    ('\x0200000000', 'a version to come'),
    ('\x010000000000', 'a byte too many'),
    ('\x0100000001', 'a score less'),
    ('\x017fffffff', 'many scores less'),
    ('\x01ffffffff', 'less than no score')) AS x (bytes, what);
-- every prefix is refused
SELECT count(*) FILTER (WHERE pg_temp.receive(substring(bytes, 1, n)) LIKE 'received%') AS accepted
FROM (SELECT roc_send('10:1/4, 20.5:3/5') AS bytes) AS x, generate_series(0, length(bytes) - 1) AS n;
-- with one byte changed it is refused, or sound
SELECT count(*) FILTER (WHERE result LIKE 'received%') BETWEEN 1 AND count(*) - 1 AS some_received, count(*) FILTER (WHERE result LIKE 'XX%') AS unsound
FROM (SELECT pg_temp.receive(set_byte(bytes, n, get_byte(bytes, n) # flip)) AS result
    FROM (SELECT roc_send('10:1/4, 20.5:3/5') AS bytes) AS x, generate_series(0, length(bytes) - 1) AS n, unnest('{1,2,32,128}'::int[]) AS flip) AS y;
COPY (SELECT) TO PROGRAM 'cat >/dev/null; rm -f roc.regress';

-- all of it is immutable and parallel safe; a NULL summary is one of no lead to roc_add() alone
SELECT p.oid::regprocedure, p.prokind, p.provolatile, p.proparallel, p.proisstrict FROM pg_proc p
WHERE p.pronamespace = 'lead_qualify'::regnamespace AND 'roc'::regtype = ANY (p.proargtypes::oid[] || p.prorettype)
    AND NOT (p.provolatile = 'i' AND p.proisstrict AND p.proparallel = 's')
ORDER BY p.oid::regprocedure::text COLLATE "C";

DROP VIEW oracle, told;
DROP TABLE scored, sample, cut, summary, serial, large;
