--
-- type lead_grade
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lead_qualify;
RESET client_min_messages;
SET search_path = lead_qualify, public;

-- do all operator classes of the type validate?
SELECT a.amname, c.opcname, amvalidate(c.oid) AS valid
FROM pg_opclass c JOIN pg_am a ON a.oid = c.opcmethod
WHERE c.opcintype = 'lead_grade'::regtype
ORDER BY 1;

-- every grade in any case; output is canonical
SELECT string_agg(g::text, ' ' ORDER BY n) AS grades
FROM unnest('{A+,A,A-,B+,B,B-,C+,C,C-,D+,D,D-,F}'::lead_grade[]) WITH ORDINALITY AS x(g, n);
SELECT 'a+'::lead_grade, 'b-'::lead_grade, 'f'::lead_grade;

-- what is no grade
SELECT 'E'::lead_grade;
SELECT 'A++'::lead_grade;
SELECT 'F-'::lead_grade;
SELECT ''::lead_grade;
SELECT ' A'::lead_grade;
SELECT '12'::lead_grade;

-- the better grade is greater: A+ first, F last
CREATE TEMP TABLE grades AS
SELECT g, n FROM unnest('{C,A+,F,B-,A,D,B+,C+,A-,D-,B,C-,D+}'::lead_grade[]) WITH ORDINALITY AS x(g, n);
SELECT string_agg(g::text, ' ' ORDER BY g DESC) AS best_first FROM grades;
SELECT 'A+'::lead_grade > 'A' AS gt, 'A'::lead_grade >= 'A' AS ge, 'A'::lead_grade = 'a' AS eq,
    'A'::lead_grade <> 'A-' AS ne, 'F'::lead_grade < 'D-' AS lt, 'B'::lead_grade <= 'B-' AS le;

-- the six operators and the comparison function agree on all 169 pairs
SELECT count(*) AS pairs,
    count(*) FILTER (WHERE (a.g < b.g) <> (lead_grade_cmp(a.g, b.g) < 0)
        OR (a.g <= b.g) <> (lead_grade_cmp(a.g, b.g) <= 0)
        OR (a.g = b.g) <> (lead_grade_cmp(a.g, b.g) = 0)
        OR (a.g <> b.g) <> (lead_grade_cmp(a.g, b.g) <> 0)
        OR (a.g >= b.g) <> (lead_grade_cmp(a.g, b.g) >= 0)
        OR (a.g > b.g) <> (lead_grade_cmp(a.g, b.g) > 0)
        OR lead_grade_cmp(a.g, b.g) <> -lead_grade_cmp(b.g, a.g)) AS disagreeing
FROM grades a, grades b;

-- aggregates, with and without an index; of nothing they are NULL
SELECT max(g), min(g), max(g) FILTER (WHERE g < 'B') AS below_b, min(g) FILTER (WHERE false) AS none FROM grades;
CREATE INDEX ON grades (g);
ANALYZE grades;
SET enable_seqscan = off;
SELECT max(g), min(g) FROM grades;
SELECT g FROM grades WHERE g BETWEEN 'B-' AND 'B+' ORDER BY g;
SELECT g FROM grades WHERE g = 'C+';
RESET enable_seqscan;

-- hashing: aggregate, join, partition
SET enable_sort = off;
SET enable_indexscan = off;
SET enable_indexonlyscan = off;
SET enable_bitmapscan = off;
EXPLAIN (COSTS OFF) SELECT g, count(*) FROM grades GROUP BY g;
SELECT count(*) AS groups, sum(n) AS rows FROM (SELECT g, count(*) AS n FROM (SELECT * FROM grades UNION ALL SELECT * FROM grades) x GROUP BY g) y;
SET enable_mergejoin = off;
SET enable_nestloop = off;
EXPLAIN (COSTS OFF) SELECT count(*) FROM grades a JOIN grades b ON a.g = b.g;
SELECT count(*) FROM grades a JOIN grades b ON a.g = b.g;
RESET enable_sort;
RESET enable_indexscan;
RESET enable_indexonlyscan;
RESET enable_bitmapscan;
RESET enable_mergejoin;
RESET enable_nestloop;
SELECT count(DISTINCT lead_grade_hash(g)) AS hashes,
    bool_and((lead_grade_hash_extended(g, 0) & 4294967295) = (lead_grade_hash(g)::bigint & 4294967295)) AS extended_agrees,
    bool_and(lead_grade_hash_extended(g, 1) <> lead_grade_hash_extended(g, 0)) AS salted
FROM grades;
CREATE TEMP TABLE by_grade (g lead_grade) PARTITION BY HASH (g);
CREATE TEMP TABLE by_grade_0 PARTITION OF by_grade FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TEMP TABLE by_grade_1 PARTITION OF by_grade FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO by_grade SELECT g FROM grades;
SELECT count(*) FROM by_grade WHERE g = 'A+';

-- binary output is the stored code, 0 for F to 12 for A+
SELECT lead_grade_send('F'), lead_grade_send('C'), lead_grade_send('A+');
