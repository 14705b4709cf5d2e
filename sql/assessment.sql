--
-- type assessment
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lead_qualify;
RESET client_min_messages;
SET search_path = lead_qualify, public;

-- do all operator classes of the type validate?
SELECT a.amname, c.opcname, amvalidate(c.oid) AS valid
FROM pg_opclass c JOIN pg_am a ON a.oid = c.opcmethod
WHERE c.opcintype = 'assessment'::regtype
ORDER BY 1;

--
-- Text
--
-- output is canonical: by name, levels by name
SELECT 'need=no, budget=yes, authority=partial, timing=weak'::assessment;
SELECT a::assessment FROM unnest(ARRAY[
    'budget:yes authority:partial',
    'BUDGET = Yes; Authority=PARTIAL',
    'budget=3 authority=2 need=1 timing=0',
    E'\tbudget\n=\r\nyes ;; , authority\f:\0132,',
    'decision-process=yes paper_process=no step2=weak x__=1',
    '', ' ,; ']) AS a;
-- the output is input again
SELECT a::text::assessment = a AS same FROM (VALUES ('b=yes, a=no, c_1=partial'::assessment), ('')) AS x(a);

-- aliases fold to the criterion they stand for
SELECT criterion_name(min(a)) AS criterion, string_agg(a, ' ' ORDER BY a COLLATE "C") AS aliases
FROM unnest(string_to_array('money funds economic_impact timeline timeframe urgency timescale critical_event'
    ' prioritization prioritisation priorities challenge pain pains identify_pain pain_points pain_point identify'
    ' economic_buyer access_to_authority decision decision_maker needs requirement requirements goal plan metric'
    ' consequences negative_consequence implications positive_implication decision_criterion competitors competitor'
    ' champions', ' ')) AS a
GROUP BY criterion_name(a) ORDER BY 1;
SELECT criterion_name(c) = c AS kept, count(*) FROM unnest('{budget,authority,need,timing,challenges,priority,goals,plans,negative_consequences,positive_implications,metrics,decision_criteria,decision_process,champion,paper_process,competition,interest,situation,impact,knowledge,decisions,pained}'::text[]) AS c GROUP BY 1;
SELECT 'Money=yes, Time-Frame=no, TimeFrame=weak'::assessment;
-- the same said twice is fine, two levels are not
SELECT 'funds=yes, money=3, budget=YES'::assessment;
SELECT 'funds=yes, money=no'::assessment;
SELECT 'x=weak x=partial'::assessment;

-- what is no answer
SELECT 'budget=maybe'::assessment;
SELECT 'budget=4'::assessment;
SELECT 'budget=-1'::assessment;
SELECT 'budget=yes=no'::assessment;
SELECT 'budget'::assessment;
SELECT 'budget='::assessment;
SELECT 'decision process=yes'::assessment;
SELECT '=yes'::assessment;
SELECT 'budget=yes, :'::assessment;
SELECT '{"budget": "yes"}'::assessment;
SELECT '1st=yes'::assessment;
SELECT '_a=yes'::assessment;
SELECT '-a=yes'::assessment;
SELECT 'a.b=yes'::assessment;
SELECT ('budget=' || repeat('y', 100))::assessment;
SELECT repeat('x', 100)::assessment;

-- names have at most 63 bytes
SELECT length((repeat('x', 63) || '=yes')::assessment::text);
SELECT (repeat('x', 64) || '=yes')::assessment;
SELECT (repeat('x', 100000) || '=yes')::assessment;

-- error codes
CREATE FUNCTION pg_temp.sqlstate_of(command text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE command;
    RETURN 'none';
EXCEPTION WHEN OTHERS THEN
    RETURN sqlstate;
END
$$;
SELECT a, pg_temp.sqlstate_of(format('SELECT %L::lead_qualify.assessment', a))
FROM unnest('{budget=maybe,budget=4,budget,=yes,a b=yes,a.b=yes,"a=yes a=no"}'::text[]) AS a;

--
-- Letters of any script
--
SELECT criterion_name(c) FROM unnest('{БЮДЖЕТ,Ёлка-Й,Środki,ŁÓDŹ,Økonomi-Ærø,İHTİYAÇ,STRAẞE,ΣΤΟΧΟΣ_Σ,ԲՅՈՒՋԵ,ÑANDÚ,Ộ,予算,인사,बजट,הון,ميزانية}'::text[]) AS c;
-- composed and decomposed are the same name
SELECT criterion_name(normalize(c, NFD)) = criterion_name(c) AS same, count(*)
FROM unnest('{Йога,Ёлка,Środki,ŁÓDŹ,Økonomi-Ærø,İHTİYAÇ,ΆΛΦΑ,ÑANDÚ,Ộ,인사,हिन्दी}'::text[]) AS c GROUP BY 1;
-- folding a name again changes nothing
SELECT count(*) FILTER (WHERE criterion_name(criterion_name(n)) <> criterion_name(n)) AS not_idempotent, count(*) > 1000 AS many
FROM (SELECT 'a' || chr(c) || 'b' AS n FROM generate_series(192, 1415) AS c
    WHERE pg_temp.sqlstate_of(format('SELECT lead_qualify.criterion_name(%L)', 'a' || chr(c) || 'b')) = 'none' OFFSET 0) AS x;
-- spaces, punctuation, symbols, digits and what cannot be seen are not letters
SELECT to_hex(c) AS code, pg_temp.sqlstate_of(format('SELECT lead_qualify.criterion_name(%L)', 'a' || chr(c)))
FROM unnest('{160,173,215,8194,8203,8211,8364,8704,12288,12289,9786,1632,57344,65039,65279,65292,128512,917601}'::int[]) AS c;
-- a name does not begin with a mark
SELECT criterion_name('a' || chr(769)), pg_temp.sqlstate_of('SELECT lead_qualify.criterion_name(chr(769))') AS mark;
-- the limit is on bytes, and counts the composed name
SELECT octet_length(criterion_name(repeat('я', 31))), octet_length(criterion_name(normalize(repeat('й', 31), NFD)));
SELECT criterion_name(repeat('я', 32));
SELECT criterion_name('бюджет' || chr(8203));

SELECT criterion_name('Identify-Pain'), criterion_name(NULL) IS NULL AS of_null;
SELECT criterion_name('');
SELECT criterion_name('two words');

--
-- Operators
--
CREATE TEMP TABLE one AS SELECT 'authority=partial, budget=yes, need=no'::assessment AS a;
SELECT a -> 'budget' AS budget, a -> 'need' AS need, a -> 'timing' AS unknown, a -> 'Economic-Buyer' AS alias FROM one;
SELECT a -> 'two words' FROM one;
SELECT a || 'need=weak timing=yes' AS right_wins, a || '' AS nothing_new, ''::assessment || a AS all_new FROM one;
SELECT a - 'need' AS one_less, a - 'Money' AS alias, a - 'timing' AS as_before, a - 'need' - 'budget' - 'authority' AS empty FROM one;
SELECT a - '' FROM one;
SELECT a @> 'budget=yes' AS yes, a @> 'budget=no' AS other_level, a @> 'timing=no' AS unknown_is_not_no,
    a @> 'need=no, authority=partial' AS two, a @> a AS itself, a @> '' AS of_nothing,
    ''::assessment @> a AS nothing, a @> 'authority=partial, budget=yes, need=no, timing=yes' AS more FROM one;
SELECT 'budget=yes' <@ a AS yes, a <@ 'budget=yes' AS no, '' <@ a AS empty FROM one;

-- arbitrary, but total order: fewer answers first
CREATE TEMP TABLE samples AS
SELECT a::assessment FROM unnest(ARRAY['', 'a=no', 'a=yes', 'b=no', 'ab=no', 'a=no b=no', 'a=no b=yes', 'a=yes b=no', 'budget=yes', 'я=yes', 'a=1 b=1 c=1']) AS a;
SELECT a FROM samples ORDER BY a;
SELECT count(*) AS pairs,
    count(*) FILTER (WHERE (a.a < b.a) <> (assessment_cmp(a.a, b.a) < 0)
        OR (a.a <= b.a) <> (assessment_cmp(a.a, b.a) <= 0)
        OR (a.a = b.a) <> (assessment_cmp(a.a, b.a) = 0)
        OR (a.a <> b.a) <> (assessment_cmp(a.a, b.a) <> 0)
        OR (a.a >= b.a) <> (assessment_cmp(a.a, b.a) >= 0)
        OR (a.a > b.a) <> (assessment_cmp(a.a, b.a) > 0)
        OR (a.a = b.a) <> (a.a::text = b.a::text)
        OR (a.a = b.a) <> (a.a @> b.a AND a.a <@ b.a)
        OR assessment_cmp(a.a, b.a) <> -assessment_cmp(b.a, a.a)) AS disagreeing
FROM samples a, samples b;
SELECT count(DISTINCT assessment_hash(a)) AS hashes,
    bool_and((assessment_hash_extended(a, 0) & 4294967295) = (assessment_hash(a)::bigint & 4294967295)) AS extended_agrees,
    bool_and(assessment_hash_extended(a, 1) <> assessment_hash_extended(a, 0)) AS salted
FROM samples;
-- laws of || and -
SELECT bool_and((a.a || b.a) @> b.a) AS right_is_in, bool_and(a.a || a.a = a.a) AS idempotent,
    bool_and((a.a || b.a) - 'a' = (a.a - 'a') || (b.a - 'a')) AS distributive
FROM samples a, samples b;
SELECT bool_and((a.a || b.a) || c.a = a.a || (b.a || c.a)) AS associative FROM samples a, samples b, samples c;

-- hash and merge join, unique index, hash partitions
SET enable_nestloop = off;
SET enable_mergejoin = off;
EXPLAIN (COSTS OFF) SELECT count(*) FROM samples a JOIN samples b USING (a);
SELECT count(*) FROM samples a JOIN samples b USING (a);
SET enable_hashjoin = off;
RESET enable_mergejoin;
EXPLAIN (COSTS OFF) SELECT count(*) FROM samples a JOIN samples b USING (a);
SELECT count(*) FROM samples a JOIN samples b USING (a);
RESET enable_nestloop;
RESET enable_hashjoin;
CREATE UNIQUE INDEX ON samples (a);
INSERT INTO samples VALUES ('b:0; a:0');
CREATE TEMP TABLE parts (a assessment) PARTITION BY HASH (a);
CREATE TEMP TABLE parts_0 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TEMP TABLE parts_1 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO parts SELECT a FROM samples;
SELECT count(*) FROM parts WHERE a = 'budget=yes';

--
-- Constructors, casts, reading
--
SELECT assessment('Money', 'Partial'), assessment('need', '0'), assessment(NULL, 'yes') IS NULL AS of_null;
SELECT assessment('need', 'often');
SELECT assessment('need', '');
SELECT assessment('', 'yes');
SELECT assessment('{money,authority,need}'::text[], '{yes,2,NULL}'), assessment('{}'::text[], '{}') AS empty;
SELECT assessment('{money,need}'::text[], '{yes}');
SELECT assessment('{money,NULL}'::text[], '{yes,no}');
SELECT assessment('{{money},{need}}'::text[], '{yes,no}');
SELECT assessment('{money,budget}'::text[], '{yes,no}');
SELECT assessment('{money,a b}'::text[], '{yes,NULL}');

SELECT a::jsonb, ''::assessment::jsonb AS empty FROM one;
SELECT '{"Money": 2, "authority": true, "need": false, "timing": null, "goals": "Weak", "plans": "3", "metrics": 1.0}'::jsonb::assessment;
SELECT a::jsonb::assessment = a AS same FROM one;
SELECT '{}'::jsonb::assessment AS empty;
SELECT '{"budget": "maybe"}'::jsonb::assessment;
SELECT '{"budget": 4}'::jsonb::assessment;
SELECT '{"budget": 1.5}'::jsonb::assessment;
SELECT '{"budget": 1e999}'::jsonb::assessment;
SELECT '{"budget": ["yes"]}'::jsonb::assessment;
SELECT '{"budget": {"a": 1, "b": {}}}'::jsonb::assessment;
SELECT '{"": "yes"}'::jsonb::assessment;
SELECT '{"a b": null}'::jsonb::assessment;
SELECT '{"money": "yes", "budget": "no"}'::jsonb::assessment;
SELECT '["budget"]'::jsonb::assessment;
SELECT '"budget=yes"'::jsonb::assessment;
SELECT 'null'::jsonb::assessment;

SELECT * FROM answers('timing=no, authority=weak, budget=yes');
SELECT count(*) FROM answers('');
SELECT count(*) FROM answers(NULL);
SELECT a.a, x.criterion, x.value FROM samples a, answers(a.a) AS x WHERE x.value > 1 ORDER BY a.a, x.criterion COLLATE "C";

--
-- Merging
--
CREATE TEMP TABLE told (at int, a assessment);
INSERT INTO told VALUES (3, 'budget=no'), (1, 'budget=yes, need=weak'), (2, NULL), (4, 'timing=yes, need=yes'), (5, '');
SELECT assessment_merge(a ORDER BY at) AS newest, assessment_merge(a ORDER BY at DESC) AS oldest,
    assessment_merge(a) FILTER (WHERE at = 2) AS of_null, assessment_merge(a) FILTER (WHERE at = 5) AS of_empty FROM told;
SELECT at, assessment_merge(a) OVER (ORDER BY at) FROM told ORDER BY at;
CREATE TABLE told_much AS SELECT i, assessment('c' || i % 100, '2') AS a FROM generate_series(1, 3000) AS i;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
EXPLAIN (COSTS OFF) SELECT assessment_merge(a) FROM told_much;
SELECT count(*), min(value), max(value) FROM answers((SELECT assessment_merge(a) FROM told_much));
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
RESET max_parallel_workers_per_gather;
DROP TABLE told_much;

--
-- GIN: who has budget=yes and no authority yet?
--
CREATE TEMP TABLE many AS
SELECT i, concat_ws(', ', CASE WHEN i % 100 = 0 THEN 'budget=yes' WHEN i % 3 = 0 THEN 'budget=no' END,
    CASE WHEN i % 7 = 0 THEN 'authority=partial' END, CASE WHEN i % 2 = 0 THEN 'need=yes' END)::assessment AS a
FROM generate_series(1, 20000) AS i;
INSERT INTO many VALUES (0, NULL);
CREATE INDEX many_a ON many USING gin (a);
ANALYZE many;
EXPLAIN (COSTS OFF) SELECT count(*) FROM many WHERE a @> 'budget=yes' AND a -> 'authority' IS NULL;
SELECT count(*) FROM many WHERE a @> 'budget=yes' AND a -> 'authority' IS NULL;
CREATE TEMP TABLE answer_counts AS
SELECT q, (SELECT count(*) FROM many WHERE a @> q) AS n
FROM unnest('{"","budget=yes","budget=no","budget=weak","need=yes","budget=yes,need=yes","authority=partial,budget=no,need=yes","authority=partial,need=no","zzz=yes"}'::assessment[]) AS q;
SET enable_seqscan = off;
EXPLAIN (COSTS OFF) SELECT count(*) FROM many WHERE a @> '';
SELECT q, n, (SELECT count(*) FROM many WHERE a @> q) = n AS index_agrees FROM answer_counts ORDER BY q;
-- rows still in the pending list are found too
INSERT INTO many VALUES (20001, 'zzz=yes, budget=yes');
SELECT i FROM many WHERE a @> 'zzz=yes';
-- several scan keys
SELECT count(*) FROM many WHERE a @> 'budget=yes' AND a @> 'need=yes' AND a @> '';
SELECT count(*) FROM many WHERE a @> 'budget=yes' OR a @> 'authority=partial';
RESET enable_seqscan;

--
-- Size
--
-- a hundred criteria, and as many as there can be; kept compressed or out of line
CREATE TEMP TABLE large AS
SELECT n, string_agg('criterion_' || i || '=' || i % 4, ',' ORDER BY md5(i::text))::assessment AS a
FROM unnest('{100,1000}'::int[]) AS n, generate_series(1, n) AS i GROUP BY n;
INSERT INTO large SELECT 1001, string_agg('c' || md5(i::text) || i || '=' || i % 4, ' ')::assessment FROM generate_series(1, 1000) AS i;
SELECT n, length(a::text), pg_column_size(a) < length(a::text) / 2 AS compressed, (SELECT count(*) FROM answers(a)) AS answers,
    a -> 'criterion_77' AS level, a::text::assessment = a AS text, a::jsonb::assessment = a AS json,
    a || a = a AS merged, a @> a AS contained, (a - 'criterion_77') <@ a AS removed,
    assessment_hash(a) = assessment_hash(a::text::assessment) AS hash
FROM large ORDER BY n;
CREATE INDEX ON large USING gin (a);
SET enable_seqscan = off;
SELECT n FROM large WHERE a @> 'criterion_77=1, criterion_100=no' ORDER BY n;
RESET enable_seqscan;
SELECT string_agg('c' || i || '=yes', ',')::assessment FROM generate_series(1, 1001) AS i;
SELECT a || 'one_more=yes' FROM large WHERE n = 1000;
SELECT pg_temp.sqlstate_of('SELECT a || ''one_more=yes'' FROM large WHERE n = 1000');
-- repeating oneself is not limited
SELECT repeat('budget=yes ', 100000)::assessment;
SELECT (repeat('budget=yes ', 100000) || 'budget=no')::assessment;

--
-- Binary
--
SELECT assessment_send(''), assessment_send('budget=yes, a=no');
-- bytes are received as COPY receives them, from a file in the data directory
CREATE TEMP TABLE received (a assessment);
CREATE FUNCTION pg_temp.receive(bytes bytea) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    file oid;
BEGIN
    file := lo_from_bytea(0, '\x5047434f50590aff0d0a000000000000000000'::bytea || int2send(1::int2)
        || int4send(length(bytes)) || bytes || int2send(-1::int2));
    PERFORM lo_export(file, 'assessment.regress');
    PERFORM lo_unlink(file);
    TRUNCATE received;
    BEGIN
        COPY received FROM 'assessment.regress' (FORMAT binary);
    EXCEPTION WHEN OTHERS THEN
        RETURN sqlstate || ' ' || sqlerrm;
    END;
    RETURN (SELECT CASE WHEN a::text::lead_qualify.assessment OPERATOR(lead_qualify.<>) a THEN 'XX unsound'
            WHEN lead_qualify.assessment_send(a) = bytes THEN 'received' ELSE 'received as ' || a::text END FROM received);
END
$$;
SELECT bool_and(pg_temp.receive(assessment_send(a)) = 'received') AS round_trip FROM (SELECT a FROM samples UNION ALL SELECT a FROM large) AS x;
SELECT what, pg_temp.receive(bytes), bytes
FROM (VALUES
    ('\x010000'::bytea, 'an empty assessment: version, number of answers'),
    ('\x01000103000161', 'an answer: level, length of the name, name'),
    ('\x0100020300016203000161', 'out of order'),
    ('\x0100010300056d6f6e6579', 'an alias'),
    ('\x01000103000141', 'a capital'),
    ('\x0100020300016103000161', 'the same twice'),
    ('\x', 'nothing'),
    ('\x01', 'a version'),
    ('\x020000', 'a version to come'),
    ('\x01000003', 'a byte too many'),
    ('\x010001', 'an answer less'),
    ('\x01ffff', 'many answers less'),
    ('\x010001030002', 'a name that is missing'),
    ('\x0100010300ff61', 'a name that is cut off'),
    ('\x01000104000161', 'level 4'),
    ('\x010001ff000161', 'level 255'),
    ('\x010001030000', 'no name'),
    ('\x01000103000120', 'a space as name'),
    ('\x01000103000100', 'a zero byte'),
    ('\x010001030001ff', 'no character'),
    ('\x010001030001d0', 'half a character'),
    ('\x010001030040'::bytea || convert_to(repeat('x', 64), 'UTF8'), 'a name too long'),
    ('\x0100020300016102000161', 'two levels')) AS x(bytes, what);
SELECT pg_temp.receive('\x0103e9' || string_agg('\x030004'::bytea || convert_to('c' || lpad(to_hex(i), 3, '0'), 'UTF8'), '')) FROM generate_series(1, 1001) AS i;
-- every prefix is refused
SELECT count(*) FILTER (WHERE pg_temp.receive(substring(bytes, 1, n)) LIKE 'received%') AS accepted
FROM (SELECT assessment_send('budget=yes, a=no, ю=weak') AS bytes) x, generate_series(0, length(bytes) - 1) AS n;
-- with one byte changed it is refused, or sound
SELECT count(*) FILTER (WHERE result LIKE 'received as%') BETWEEN 1 AND count(*) - 1 AS some_received, count(*) FILTER (WHERE result LIKE 'XX%') AS unsound
FROM (SELECT pg_temp.receive(set_byte(bytes, n, get_byte(bytes, n) # flip)) AS result
    FROM (SELECT assessment_send('budget=yes, a=no, ю=weak') AS bytes) x,
        generate_series(0, length(bytes) - 1) AS n, unnest('{1,2,32,128}'::int[]) AS flip) y;
COPY (SELECT) TO PROGRAM 'cat >/dev/null; rm -f assessment.regress';

-- all of it is immutable, strict and parallel safe
SELECT p.oid::regprocedure FROM pg_proc p
WHERE p.pronamespace = 'lead_qualify'::regnamespace AND p.prokind = 'f'
    AND (p.proname ~ '^assessment' OR p.proname IN ('answers', 'criterion_name'))
    AND NOT (p.provolatile = 'i' AND p.proisstrict AND p.proparallel = 's')
ORDER BY 1;
