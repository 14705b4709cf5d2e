-- Many conditions on one activity are evaluated together: each counts as it
-- would alone, also beside one that fails, and columns stay what they are.

SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lead_qualify;
SET timezone = 'UTC';
CREATE SCHEMA conditions;
SET search_path = conditions;
CREATE TABLE lead (id int PRIMARY KEY, created_at timestamptz NOT NULL);
CREATE TABLE activity (id int PRIMARY KEY, lead_id int, type text, at timestamptz, page text, properties jsonb);
CREATE INDEX ON activity (lead_id);
SELECT FROM lead_qualify.attach('many', 'lead', 'activity', template => 'empty', time_zone => 'UTC');

-- 70 rules of one type: of n from 1 to 70 rule n holds if n is among the numbers and earns 1; rules 5 and 40 fail on
-- some rows, rule 6 is a column, rule 7 a constant, rule 8 has no condition, every seventh is once a page
INSERT INTO lead_qualify.rule (pipeline, name, activity_type, condition, points, at_most, per_value)
SELECT 'many', to_char(n, '"rule "FM00'), 'visit',
	CASE n WHEN 5 THEN '1 / (properties->>''divisor'')::int = 1' WHEN 40 THEN '(properties->>''text'')::int = 40'
		WHEN 6 THEN 'properties IS NOT NULL' WHEN 7 THEN 'true' WHEN 8 THEN NULL
		ELSE format('properties->''numbers'' @> ''%s''%s', n, CASE WHEN n % 7 = 0 THEN ' AND coalesce(page, '''') <> ''/none''' END) END,
	1, CASE WHEN n % 7 = 0 THEN 1 END, CASE WHEN n % 7 = 0 THEN 'page' END
FROM generate_series(1, 70) n;
SELECT FROM lead_qualify.publish('many', effective_from => '-infinity');
INSERT INTO lead SELECT i, '2024-01-01' FROM generate_series(1, 3) i;
CREATE VIEW earned AS SELECT lead, total_at_event AS total FROM lead_qualification ORDER BY 1;

-- one activity after the other: short, long and compressed columns; the expected total beside it
CREATE FUNCTION numbers(VARIADIC int[]) RETURNS jsonb LANGUAGE sql AS $$ SELECT jsonb_build_object('numbers', $1) $$;
INSERT INTO activity VALUES (1, 1, 'visit', '2024-02-01', '/a', numbers(1, 31, 32, 33, 64, 70));
SELECT total, 6 + 3 AS expected FROM earned WHERE lead = 1;
-- a page counts once for each of rules 7, 14 .. 70
INSERT INTO activity VALUES (2, 1, 'visit', '2024-02-02', '/a', numbers(14, 70));
SELECT total, 9 + 3 AS expected FROM earned WHERE lead = 1;
INSERT INTO activity VALUES (3, 1, 'visit', '2024-02-03', repeat('/long', 1000), numbers(14, 70) || jsonb_build_object('much', repeat('x', 5000)));
SELECT pg_column_size(page) < 1000 AS compressed, pg_column_size(properties) < 1000 AS compressed_too, total, 12 + 5 AS expected FROM activity, earned WHERE id = 3 AND lead = 1;
INSERT INTO activity VALUES (4, 1, 'visit', '2024-02-04', NULL, NULL);
SELECT total, 17 + 2 AS expected FROM earned WHERE lead = 1;

-- those that fail count as false, and the others as ever
INSERT INTO activity VALUES (5, 2, 'visit', '2024-02-01', '/a', numbers(1, 9, 32, 41, 70) || '{"divisor": 0, "text": "forty"}');
SELECT total, 5 + 3 AS expected FROM earned WHERE lead = 2;
INSERT INTO activity VALUES (6, 2, 'visit', '2024-02-02', '/b', numbers(1) || '{"divisor": 1, "text": "40"}');
SELECT total, 8 + 6 AS expected FROM earned WHERE lead = 2;
SELECT kind, name, message FROM lead_qualify.problem WHERE pipeline = 'many' ORDER BY name;

-- the same in one statement, and computed anew
INSERT INTO activity SELECT 10 + id, 3, type, at, page, properties FROM activity ORDER BY id;
SELECT total FROM earned WHERE lead = 3;
SELECT lead_qualify.recompute('many');
TABLE earned;
SELECT * FROM lead_qualify.verify('many');

-- a condition cannot ask what is made of conditions: it fails, and the one after it does not
CREATE FUNCTION asks(n int) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
	IF n % 2 = 0 THEN PERFORM lead_qualify.explain('many', 1); END IF;
	RETURN true;
END $$;
CREATE DOMAIN asked AS int CHECK (conditions.asks(value));
INSERT INTO lead_qualify.rule (pipeline, name, activity_type, condition, points) VALUES
	('many', 'asked', 'ask', '(properties->>''n'')::int::conditions.asked > 0', 1), ('many', 'not asked', 'ask', '(properties->>''n'')::int > 0', 1);
SELECT FROM lead_qualify.publish('many');
INSERT INTO activity SELECT 20 + n, 2, 'ask', clock_timestamp(), NULL, jsonb_build_object('n', n) FROM generate_series(1, 2) n;
SELECT e.rule, count(*) FILTER (WHERE e.counted) AS counted FROM lead_qualify.explain('many', 2) e WHERE e.rule LIKE '%asked' GROUP BY 1 ORDER BY 1;
SELECT name, message FROM lead_qualify.problem WHERE name LIKE '%asked';

DROP VIEW earned;
SELECT FROM lead_qualify.detach('many', keep_data => false);
DROP SCHEMA conditions CASCADE;
