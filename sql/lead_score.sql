--
-- type lead_score
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lead_qualify;
RESET client_min_messages;
SET search_path = lead_qualify, public;
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';

-- do all operator classes of the type validate?
SELECT a.amname, c.opcname, amvalidate(c.oid) AS valid
FROM pg_opclass c JOIN pg_am a ON a.oid = c.opcmethod
WHERE c.opcintype = 'lead_score'::regtype
ORDER BY 1;

-- a score of one dimension as of new year, with what the argument adds
CREATE FUNCTION pg_temp.score(more text, dimension text = '"weight": 1, "base": 0') RETURNS lead_score
LANGUAGE sql AS $$
    SELECT ('{"as_of": "2024-01-01T00:00:00Z", "last": {"kind": "activity", "source": 1, "key": "8000000000000007"}, '
        || '"dimensions": [{"dimension": "engagement", ' || dimension || '}], ' || more || '}')::lead_qualify.lead_score
$$;

--
-- What a score is worth
--
-- 10 points: exponential with a half-life of 30 days, linear over 60 days,
-- a window of 30 days, and without decay
CREATE TEMP TABLE decays (decay text, score lead_score);
INSERT INTO decays VALUES
    ('exponential', pg_temp.score('"sums": [{"dimension": "engagement", "decay": "exponential", "period_days": 30, "sum": 10}]')),
    ('linear', pg_temp.score('"rules": [{"rule": "r", "matches": 0}], "sums": [{"dimension": "engagement", "rule": "r", "decay": "linear", "period_days": 60, "entries": [{"at": "2024-01-01T00:00:00Z", "points": 10}]}]')),
    ('none', pg_temp.score('"sums": [{"dimension": "engagement", "decay": "none", "sum": 10}]')),
    ('window', pg_temp.score('"rules": [{"rule": "r", "matches": 0}], "sums": [{"dimension": "engagement", "rule": "r", "decay": "window", "period_days": 30, "entries": [{"at": "2024-01-01T00:00:00Z", "points": 10}]}]'));
SELECT days, decay, round(points(score, 'engagement', timestamptz '2024-01-01' + days * interval '1 day')::numeric, 4) AS points
FROM decays, unnest('{0,15,30,60,90}'::int[]) AS days
ORDER BY decay, days
\crosstabview days decay points

-- the last microsecond of a window, and the first after it
SELECT points(score, 'engagement', '2024-01-30T23:59:59.999999') AS inside,
    points(score, 'engagement', '2024-01-31') AS outside
FROM decays WHERE decay = 'window';

-- whitepaper 10 + newsletter 5 + webinar 20 = 35
SELECT points(pg_temp.score('"sums": [{"dimension": "engagement", "decay": "none", "sum": 35}]'), 'engagement', '2030-01-01');

-- points of lead rules count beside those of activities; bounds hold the sum: 35 + 30 = 65, held to 50
SELECT points(pg_temp.score('"sums": [{"dimension": "engagement", "decay": "none", "sum": 35}]', dimension), 'engagement', '2024-01-01') AS points, dimension
FROM (VALUES ('"weight": 1, "base": 30'), ('"maximum": 50, "weight": 1, "base": 30'), ('"minimum": 80, "weight": 1, "base": 30')) AS x(dimension);

-- max_points holds the sum of a rule, however it is made up: 12 + 8 to 15, -12 to -10, and 5 of no rule beside
SELECT points(pg_temp.score('"rules": [{"rule": "capped", "max_points": 15, "matches": 2}], "sums": [
        {"dimension": "engagement", "decay": "none", "sum": 5},
        {"dimension": "engagement", "rule": "capped", "decay": "none", "sum": 12},
        {"dimension": "engagement", "rule": "capped", "decay": "exponential", "period_days": 30, "sum": 8}]'), 'engagement', at) AS points, at
FROM unnest('{2024-01-01,2024-01-31,2024-03-01}'::timestamptz[]) AS at;     -- 5 + 15, 5 + 15 (12 + 4), 5 + 14
SELECT points(pg_temp.score('"rules": [{"rule": "capped", "max_points": 10, "matches": 2}], "sums": [
        {"dimension": "engagement", "rule": "capped", "decay": "none", "sum": -12}]'), 'engagement', '2024-01-01') AS points;

-- the total: 0.5 * 40 + 2 * 30 = 80, and held to 70
CREATE TEMP TABLE totals AS
SELECT ('{"as_of": "2024-01-01T00:00:00Z", "last": {"kind": "manual", "source": 0, "key": ""}, ' || total
    || '"dimensions": [{"dimension": "engagement", "weight": 0.5, "base": 40}, {"dimension": "fit", "weight": 2, "base": 30}]}')::lead_score AS score
FROM unnest(ARRAY['', '"total": {"maximum": 70}, ', '"total": {"minimum": 90}, ']) AS total;
SELECT total(score, '2024-02-01'), points(score, 'fit', '2024-02-01'), as_of(score), dimensions(score) FROM totals ORDER BY 1;

-- a score does not know its past; an infinite time is a mistake; so is an unknown dimension
SELECT points(score, 'fit', '2023-12-31T23:59:59.999999') AS before, points(score, 'fit', '2024-01-01') AS at, total(score, '2023-12-31') AS total_before
FROM totals LIMIT 1;
SELECT points(score, 'fit', 'infinity') FROM totals LIMIT 1;
SELECT total(score, '-infinity') FROM totals LIMIT 1;
SELECT points(score, 'budget', '2024-01-01') FROM totals LIMIT 1;
SELECT points('{"dimensions": []}', 'budget', '2024-01-01');

-- a score without events: only lead rules count, at any time
SELECT s AS score, points(s, 'fit', '1999-01-01'), total(s, '2999-01-01'), as_of(s), dimensions(s), s::text::lead_score = s AS same
FROM (SELECT '{"dimensions": [{"dimension": "fit", "weight": 1, "base": 20}]}'::lead_score AS s) x;
SELECT s AS score, total(s, '2024-01-01'), as_of(s), dimensions(s), lead_score_send(s)
FROM (SELECT '{"dimensions": []}'::lead_score AS s) x;

--
-- Text
--
-- any order of fields and elements, spelled out or not, is one value with one spelling
CREATE TEMP TABLE scores (name text, score lead_score);
INSERT INTO scores VALUES ('full', '{
    "times": [{"rule": "b", "pending": true, "at": "2023-12-31T00:00:00Z"}, {"rule": "a", "pending": false, "at": "2023-12-30T00:00:00Z"}, {"rule": "a", "pending": false, "at": "2023-12-29T00:00:00Z"}],
    "counts": [{"rule": "b", "bucket": -5, "value": "00ff00ff00ff00ff", "count": 2}, {"rule": "a", "bucket": 2460311, "count": 3, "full_at": "2024-01-01T00:00:00Z"}],
    "sums": [
        {"dimension": "fit", "decay": "none", "sum": -0.1, "fresh": 1e-300},
        {"dimension": "engagement", "rule": "b", "decay": "window", "period_us": 1, "entries": [{"at": "2024-01-01T00:00:00.123456Z", "points": 1}]},
        {"dimension": "engagement", "rule": "a", "decay": "linear", "period_days": 60, "entries": [
            {"at": "2024-01-01T00:00:00.123456Z", "points": 5},
            {"at": "2023-12-31T00:00:00Z", "points": 10}, {"at": "2023-12-31T00:00:00Z", "points": -10}]},
        {"dimension": "engagement", "decay": "exponential", "period_days": 14, "sum": 0, "fresh": 0},
        {"dimension": "engagement", "rule": "b", "decay": "exponential", "period_us": 86400000000, "sum": 0.30000000000000004, "fresh": 0.3}],
    "rules": [{"rule": "b", "max_points": 15, "matches": 3, "fresh_matches": 0, "last_at": "2024-01-01T00:00:00Z"}, {"rule": "a", "matches": 9223372036854775807}],
    "dimensions": [{"dimension": "fit", "minimum": -5, "weight": 1, "base": 12345.678}, {"dimension": "engagement", "minimum": 0, "maximum": 100, "weight": 0.5, "base": 0, "peak": 99.9}],
    "total": {"minimum": -1e308, "maximum": 100, "peak": -7},
    "unscored": true, "steady_since": "2023-06-01T00:00:00Z", "mark": "2023-12-30T12:00:00+00:00",
    "last": {"kind": "attribute", "source": -2, "key": "", "at": "2024-01-01T00:00:00Z"},
    "as_of": "2024-01-01T00:00:00.123456Z"}');
INSERT INTO scores VALUES
    ('names', '{"dimensions": [{"dimension": "a \"quoted\" \\ name\n", "weight": 1, "base": 0}, {"dimension": "x23456789012345678901234567890123456789012345678901234567890123", "weight": -1, "base": 0}]}'),
    ('old', '{"as_of": "0044-03-15T12:00:00Z BC", "last": {"kind": "created", "source": 0, "key": ""}, "dimensions": []}'),
    ('far', '{"as_of": "294276-12-31T23:59:59.999999Z", "last": {"kind": "created", "source": 0, "key": "00ff"}, "mark": "4714-11-24T00:00:00Z BC", "dimensions": []}');
INSERT INTO scores SELECT decay, score FROM decays;
SELECT name, score FROM scores ORDER BY name;

-- and no setting changes it
CREATE TEMP TABLE spelled AS SELECT name, score::text AS text FROM scores;
SET timezone = 'Asia/Kathmandu';
SET datestyle = 'German';
SET extra_float_digits = -10;
SET intervalstyle = 'sql_standard';
SELECT count(*) AS scores, count(*) FILTER (WHERE s.score::text <> t.text) AS spelled_otherwise,
    count(*) FILTER (WHERE t.text::lead_score <> s.score) AS read_otherwise
FROM scores s JOIN spelled t USING (name);
RESET extra_float_digits;
RESET intervalstyle;
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';

-- what is malformed, and why
CREATE FUNCTION pg_temp.complaint(value text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    message text;
    detail text;
    state text;
BEGIN
    RETURN value::lead_qualify.lead_score::text;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, state = RETURNED_SQLSTATE;
    RETURN state || ' ' || CASE WHEN message = 'invalid input for type lead_score' THEN detail ELSE message END;
END
$$;
SELECT pg_temp.complaint(value) AS complaint, value
FROM unnest(ARRAY[
    '', '{"dimensions": [}', '[]', '1', 'null', '{}',
    '{"dimensions": {}}', '{"dimensions": [1]}', '{"dimensions": [], "Mark": 1}',
    '{"dimensions": [{"dimension": "fit", "weight": 1}]}',
    '{"dimensions": [{"dimension": "fit", "weight": "1", "base": 0}]}',
    '{"dimensions": [{"dimension": "fit", "weight": 1, "base": 1e400}]}',
    '{"dimensions": [{"dimension": "", "weight": 1, "base": 0}]}',
    '{"dimensions": [{"dimension": "x234567890123456789012345678901234567890123456789012345678901234", "weight": 1, "base": 0}]}',
    '{"dimensions": [{"dimension": "fit", "weight": 1, "base": 0}, {"dimension": "fit", "weight": 1, "base": 0}]}',
    '{"dimensions": [{"dimension": "fit", "minimum": 2, "maximum": 1, "weight": 1, "base": 0}]}',
    '{"dimensions": [], "total": {"minimum": 2, "maximum": 1}}',
    '{"dimensions": [], "total": 5}',
    '{"dimensions": [], "unscored": 1}',
    '{"dimensions": [], "as_of": "2024-01-01T00:00:00Z"}',
    '{"dimensions": [], "last": {"kind": "activity", "source": 1, "key": ""}}',
    '{"dimensions": [], "rules": [{"rule": "r", "matches": -1}]}',
    '{"dimensions": [], "rules": [{"rule": "r", "matches": 1.5}]}',
    '{"dimensions": [], "rules": [{"rule": "r", "matches": 1, "fresh_matches": 2}]}',
    '{"dimensions": [], "rules": [{"rule": "r", "max_points": -1, "matches": 1}]}',
    '{"dimensions": [], "rules": [{"rule": "r", "matches": 1}, {"rule": "r", "matches": 1}]}',
    '{"dimensions": [], "rules": [{"rule": "r", "matches": 1, "last_at": "2024-01-01T00:00:00Z"}]}',
    '{"dimensions": [], "sums": [{"dimension": "fit", "decay": "none", "sum": 1}]}',
    '{"dimensions": [], "counts": [{"rule": "r", "bucket": 0, "count": 1}]}'
]) WITH ORDINALITY AS x(value, n) ORDER BY n;

-- the same of a score with an event, a dimension and a rule
SELECT pg_temp.complaint('{"as_of": "2024-01-01T00:00:00Z", "last": {"kind": "activity", "source": 1, "key": ""}, '
    || '"dimensions": [{"dimension": "fit", "weight": 1, "base": 0}], "rules": [{"rule": "r", "matches": 0}], ' || value || '}') AS complaint, value
FROM unnest(ARRAY[
    '"as_of": "infinity"', '"as_of": "2024-01-01"', '"as_of": "2024-01-01T00:00:00"', '"as_of": "2024-01-01T00:00:00+01:00"',
    '"as_of": "2024-02-30T00:00:00Z"', '"as_of": "2024-13-01T00:00:00Z"', '"as_of": "2024-01-01T24:00:00Z"', '"as_of": "2024-01-01T00:00:00.1234567Z"',
    '"as_of": "0000-01-01T00:00:00Z"', '"as_of": "999999-01-01T00:00:00Z"', '"as_of": "now"', '"as_of": 0', '"mark": "today"',
    '"last": {"kind": "email", "source": 1, "key": ""}', '"last": {"kind": "activity", "source": 2147483648, "key": ""}',
    '"last": {"kind": "activity", "source": 1, "key": "0"}', '"last": {"kind": "activity", "source": 1, "key": "AB"}',
    '"last": {"kind": "activity", "source": 1, "key": "", "at": "2024-01-01T00:00:01Z"}',
    '"sums": [{"dimension": "fit", "decay": "sudden", "sum": 1}]',
    '"sums": [{"dimension": "fit", "decay": "none"}]',
    '"sums": [{"dimension": "fit", "decay": "none", "period_days": 1, "sum": 1}]',
    '"sums": [{"dimension": "fit", "decay": "none", "sum": 1, "fresh": 2}]',
    '"sums": [{"dimension": "fit", "decay": "none", "sum": 1}, {"dimension": "fit", "decay": "none", "sum": 2}]',
    '"sums": [{"dimension": "fit", "decay": "exponential", "sum": 1}]',
    '"sums": [{"dimension": "fit", "decay": "exponential", "period_days": 0, "sum": 1}]',
    '"sums": [{"dimension": "fit", "decay": "exponential", "period_days": 106751992, "sum": 1}]',
    '"sums": [{"dimension": "fit", "decay": "exponential", "period_days": 1, "period_us": 1, "sum": 1}]',
    '"sums": [{"dimension": "fit", "decay": "exponential", "period_days": 1, "entries": []}]',
    '"sums": [{"dimension": "fit", "rule": "q", "decay": "none", "sum": 1}]',
    '"sums": [{"dimension": "fit", "rule": "r", "decay": "linear", "period_days": 1, "sum": 1}]',
    '"sums": [{"dimension": "fit", "rule": "r", "decay": "linear", "period_days": 1, "entries": [], "sum": 1}]',
    '"sums": [{"dimension": "fit", "rule": "r", "decay": "linear", "period_days": 1, "entries": [{"at": "2024-01-01T00:00:01Z", "points": 1}]}]',
    '"sums": [{"dimension": "fit", "rule": "r", "decay": "linear", "period_days": 1, "entries": [{"at": "2023-12-31T00:00:00Z", "points": 1}]}]',
    '"sums": [{"dimension": "fit", "rule": "r", "decay": "linear", "period_days": 1, "entries": [{"at": "2024-01-01T00:00:00Z", "points": 0}]}]',
    '"sums": [{"dimension": "fit", "rule": "r", "decay": "linear", "period_days": 1, "entries": [{"at": "2024-01-01T00:00:00Z"}]}]',
    '"counts": [{"rule": "r", "bucket": 1, "count": 0}]', '"counts": [{"rule": "r", "bucket": 1, "value": "12", "count": 1}]',
    '"counts": [{"rule": "r", "bucket": 1, "count": 1}, {"rule": "r", "bucket": 1, "value": "0000000000000000", "count": 1}]',
    '"counts": [{"rule": "r", "bucket": 1, "count": 1, "full_at": "2024-01-01T00:00:00.000001Z"}]', '"counts": [{"rule": "r", "bucket": 1, "count": 1, "full_at": "soon"}]',
    '"times": [{"rule": "r", "pending": false, "at": "2024-01-01T00:00:00.000001Z"}]', '"times": [{"rule": "r", "at": "2024-01-01T00:00:00Z"}]'
]) WITH ORDINALITY AS x(value, n) ORDER BY n;

-- one rule keeps 1,000 entries and no more
SELECT n, left(pg_temp.complaint('{"as_of": "2024-01-01T00:00:00Z", "last": {"kind": "activity", "source": 1, "key": ""}, "dimensions": [{"dimension": "fit", "weight": 1, "base": 0}], '
    || '"rules": [{"rule": "r", "matches": 0}], "sums": [{"dimension": "fit", "rule": "r", "decay": "window", "period_days": 1, "entries": ['
    || (SELECT string_agg('{"at": "2024-01-01T00:00:00Z", "points": 1}', ',') FROM generate_series(1, n)) || ']}]}'), 60)
FROM unnest('{1000,1001}'::int[]) AS n;

--
-- Equality and hashing
--
SELECT count(*) AS pairs, count(*) FILTER (WHERE a.score = b.score) AS equal,
    count(*) FILTER (WHERE (a.score = b.score) <> (a.name = b.name)) AS equal_by_mistake,
    count(*) FILTER (WHERE (a.score = b.score) = (a.score <> b.score)) AS both_or_neither
FROM scores a, scores b;
SET enable_mergejoin = off;
SET enable_nestloop = off;
SELECT count(*) FROM scores a JOIN spelled b ON a.score = b.text::lead_score;
RESET enable_mergejoin;
RESET enable_nestloop;
SELECT count(*) FROM (SELECT score FROM scores UNION SELECT text::lead_score FROM spelled) x;
SELECT count(DISTINCT lead_score_hash(score)) AS hashes,
    bool_and((lead_score_hash_extended(score, 0) & 4294967295) = (lead_score_hash(score)::bigint & 4294967295)) AS extended_agrees,
    bool_and(lead_score_hash_extended(score, 1) <> lead_score_hash_extended(score, 0)) AS salted
FROM scores;
-- there is no order
SELECT score FROM scores ORDER BY score;

--
-- Binary
--
-- bytes are received as COPY receives them, from a file in the data directory
CREATE TEMP TABLE received (score lead_score);
CREATE FUNCTION pg_temp.receive(bytes bytea) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    file oid;
    message text;
    detail text;
BEGIN
    file := lo_from_bytea(0, '\x5047434f50590aff0d0a000000000000000000'::bytea || int2send(1::int2)
        || int4send(length(bytes)) || bytes || int2send(-1::int2));
    PERFORM lo_export(file, 'lead_score.regress');
    PERFORM lo_unlink(file);
    TRUNCATE received;
    BEGIN
        COPY received FROM 'lead_score.regress' (FORMAT binary);
    EXCEPTION WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL;
        RETURN CASE WHEN message = 'invalid external "lead_score" value' THEN detail ELSE message END;
    END;
    RETURN (SELECT CASE WHEN lead_qualify.lead_score_send(score) <> bytes THEN 'received as something else'
            WHEN score::text::lead_qualify.lead_score OPERATOR(lead_qualify.<>) score THEN 'received, but spelled as something else'
            ELSE 'received' END FROM received);
END
$$;
SELECT name, length(lead_score_send(score)) AS bytes, pg_temp.receive(lead_score_send(score)) FROM scores ORDER BY name;

-- the bytes of a small score; they must never change their meaning
SELECT lead_score_send(score) FROM scores WHERE name = 'linear';

-- malformed and, between them, well-formed
SELECT what, pg_temp.receive(bytes), bytes
FROM (VALUES
    ('\x010000000000000000'::bytea, 'an empty score: version, flags, six counts, no names'),
    ('\x'::bytea, ''),
    ('\x01'::bytea, ''),
    ('\x020000000000000000'::bytea, 'a version to come'),
    ('\x01000000000000000000'::bytea, 'a byte too many'),
    ('\x0100000000000000'::bytea, 'a byte too few'),
    ('\x01000100000000000000'::bytea, 'a dimension without a name'),
    ('\x0100010000000000016600'::bytea, 'its name without the zero byte'),
    ('\x010001000000000002660000'::bytea, 'a dimension "f"'),
    ('\x010001000000000002660080'::bytea, 'an unknown flag'),
    ('\x01000100000000000266000403'::bytea, 'a weight that is cut off'),
    ('\x010001000000000002660004024000'::bytea, 'weight 2 with a zero too many'),
    ('\x0100010000000000026600040140'::bytea, 'weight 2'),
    ('\x010001000000000002660004023ff0'::bytea, 'weight 1 spelled out'),
    ('\x010001000000000002660004027ff8'::bytea, 'NaN'),
    ('\x010001000000000002660004027ff0'::bytea, 'infinity'),
    ('\x0100010000000000026600080180'::bytea, 'minus zero'),
    ('\x01000100000000000266000809000000000000000000'::bytea, 'nine bytes of a number'),
    ('\x010002000000000004660066000000'::bytea, 'a dimension twice'),
    ('\x0100ffffffff0f0000000000'::bytea, 'more dimensions than bytes'),
    ('\x010080000000000000'::bytea, 'zero in two bytes'),
    ('\x0100ffffffffffffffffff02000000000000'::bytea, 'an integer of 65 bits'),
    ('\x010000000100000000000000'::bytea, 'a sum of a dimension that is not there'),
    ('\x010001000100000002660000000000'::bytea, 'a sum of zero'),
    ('\x01000100010000000266000000000140'::bytea, 'a sum of 2'),
    ('\x01000100010000000266000001000140'::bytea, 'a decay without a period'),
    ('\x0100010002000000026600000000014000000140'::bytea, 'a sum twice'),
    ('\x0100010001010000026600000200020100'::bytea, 'an entry without a time to relate to'),
    ('\x0102000000000000000000000000000000'::bytea, 'a newest event without a time'),
    ('\x01017fffffffffffffff00000000000000000000'::bytea, 'as of infinity'),
    ('\x0101800000000000000000000000000000000000'::bytea, 'as of -infinity'),
    ('\x0101000000000000000000000000000000000000'::bytea, 'as of 2000-01-01'),
    ('\x0101000000000000000000000000000000060000'::bytea, 'an unknown kind of event'),
    ('\x0101000000000000000000000000000000000005'::bytea, 'a key that is cut off')) AS x(bytes, what);

-- every prefix of a score is refused, and so is a byte too many
SELECT count(*) FILTER (WHERE pg_temp.receive(substring(bytes, 1, n)) LIKE 'received%') AS accepted
FROM (SELECT lead_score_send(score) AS bytes FROM scores WHERE name = 'full') x, generate_series(0, length(bytes) - 1) AS n;
SELECT pg_temp.receive(lead_score_send(score) || '\x00'::bytea) FROM scores WHERE name = 'full';

-- a score with one byte changed is refused, or it is another score: no two spellings of one
SELECT count(*) FILTER (WHERE result LIKE 'received%' AND result <> 'received') AS respelled,
    count(*) FILTER (WHERE result = 'received') BETWEEN 1 AND count(*) - 1 AS some_received
FROM (SELECT pg_temp.receive(set_byte(bytes, n, get_byte(bytes, n) # flip)) AS result
    FROM (SELECT lead_score_send(score) AS bytes FROM scores WHERE name = 'full') x,
        generate_series(0, length(bytes) - 1) AS n, unnest('{1,128}'::int[]) AS flip) y;
COPY (SELECT) TO PROGRAM 'cat >/dev/null; rm -f lead_score.regress';
