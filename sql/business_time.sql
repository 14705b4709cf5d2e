--
-- business time: calendars, business_interval(), business_time_add()
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lead_qualify;
RESET client_min_messages;
SET search_path = lead_qualify, public;
SET TimeZone = 'Europe/Berlin';
SET DateStyle = 'ISO, MDY';
SET IntervalStyle = 'postgres';

-- what is shipped
TABLE calendar;

-- Monday to Friday, nine to five; 2026-01-06 was a Tuesday
SELECT to_char(since, 'Dy HH24:MI') AS since, to_char(until, 'Dy HH24:MI') AS until,
	business_interval(since, until), business_interval(until, since) AS backwards
FROM (VALUES
	('2026-01-06 10:00'::timestamptz, '2026-01-06 12:30'::timestamptz),
	('2026-01-09 16:30', '2026-01-12 09:30'),
	('2026-01-10 11:00', '2026-01-12 10:00'),
	('2026-01-10 11:00', '2026-01-11 23:00'),
	('2026-01-06 17:00', '2026-01-07 09:00'),
	('2026-01-06 00:00', '2026-01-07 00:00'),
	('2026-01-06 09:00', '2026-01-06 09:00'),
	('2026-01-06 16:59:59.999999', '2026-01-07 09:00:00.000001'),
	('2026-01-06 08:00', '2026-02-03 18:00')) AS v(since, until);

-- ten years and a thousand: hours, never days
SELECT business_interval('2016-01-04', '2026-01-05') AS ten_years, 522 * 40 AS hours;
SELECT business_interval('2000-01-03 00:00 UTC', '3000-01-06 00:00 UTC', 'default', 'UTC') AS thousand_years,
	(date '3000-01-06' - date '2000-01-03') / 7 * 40 AS hours;

-- when so much has passed: of several moments the nearest
SELECT to_char(since, 'Dy HH24:MI') AS since, amount, to_char(business_time_add(since, amount), 'Dy YYYY-MM-DD HH24:MI:SS.US') AS due
FROM (VALUES
	('2026-01-06 10:00'::timestamptz, '2:30'::interval),
	('2026-01-09 16:30', '1:00'),
	('2026-01-10 11:00', '1:00'),
	('2026-01-06 09:00', '8:00'),
	('2026-01-06 09:00', '8:00:00.000001'),
	('2026-01-10 11:00', '0'),
	('2026-01-12 10:00', '-1:00'),
	('2026-01-12 10:00', '-1:00:00.000001'),
	('2026-01-12 10:00', '-2:00'),
	-- a day is 24 hours, as everywhere: three days of work
	('2026-01-06 09:00', '1 day'),
	('2026-01-06 09:00', '20880:00')) AS v(since, amount);

-- a calendar without time zone is read in that of the session, or in one that is passed
SELECT business_interval('2026-01-06 10:00', '2026-01-06 12:30') AS here,
	business_interval('2026-01-06 10:00', '2026-01-06 12:30', 'default', 'America/New_York') AS new_york,
	business_interval('2026-01-06 15:00', '2026-01-07 00:00', 'default', 'America/New_York') AS new_york_evening,
	business_time_add('2026-01-06 10:00', '1:00', 'default', 'America/New_York') AS there;
SET TimeZone = 'America/New_York';
SELECT business_interval('2026-01-06 10:00+01', '2026-01-07 00:00+01');
SET TimeZone = 'Europe/Berlin';
SELECT business_interval('2026-01-06 10:00+01', '2026-01-07 00:00+01');
SELECT business_interval('2026-01-06', '2026-01-07', 'default', 'Europe/Nowhere');

--
-- Both changes of the clock: 2026-03-29 and 2026-10-25
--
INSERT INTO calendar (calendar, time_zone, weekdays, opens, closes) VALUES
	('test always', 'Europe/Berlin', '{1,2,3,4,5,6,7}', '00:00', '24:00'),
	('test night', 'Europe/Berlin', '{7}', '01:00', '05:00'),
	-- within the hour that is skipped and repeated
	('test half past two', 'Europe/Berlin', '{7}', '02:30', '02:45'),
	('test utc', 'UTC', '{1,2,3,4,5}', '09:00', '17:00'),
	('test lord howe', 'Australia/Lord_Howe', '{7}', '01:00', '03:00');
SELECT business_interval('2026-03-27 16:30', '2026-03-30 09:30') AS spring,
	business_interval('2026-10-23 16:30', '2026-10-26 09:30') AS autumn,
	business_time_add('2026-03-27 16:30', '1:00') AS due_spring,
	business_time_add('2026-10-23 16:30', '1:00') AS due_autumn;
SELECT c, business_interval('2026-03-28 12:00', '2026-03-29 12:00', c) AS spring,
	business_interval('2026-10-24 12:00', '2026-10-25 12:00', c) AS autumn,
	business_interval('2026-11-07 12:00', '2026-11-08 12:00', c) AS other
FROM unnest('{test always,test night,test half past two}'::text[]) c;
SELECT n, business_time_add('2026-03-29 00:00', n * '1:00'::interval, 'test night') AS spring,
	business_time_add('2026-10-25 00:00', n * '1:00'::interval, 'test night') AS autumn
FROM generate_series(1, 5) n;
-- the clock of the calendar counts, whatever the session's is
SELECT business_interval('2026-07-01 09:00', '2026-07-01 12:00', 'test utc') AS summer,
	business_interval('2026-12-01 09:00', '2026-12-01 12:00', 'test utc') AS winter,
	business_interval('2026-07-01 09:00', '2026-07-01 12:00', 'test utc', 'Asia/Tokyo') AS not_tokyo;
-- half an hour, the other way round
SELECT business_interval('2026-04-04 12:00 UTC', '2026-04-05 12:00 UTC', 'test lord howe') AS autumn,
	business_interval('2026-10-03 12:00 UTC', '2026-10-04 12:00 UTC', 'test lord howe') AS spring;

--
-- Weekdays that differ, and holidays
--
INSERT INTO calendar (calendar, description) VALUES ('test office', 'lunch break, short Friday');
INSERT INTO calendar_hours SELECT 'test office', d, s.opens, s.closes
FROM generate_series(1, 4) d, (VALUES (time '09:00', time '12:00'), ('13:00', '18:00')) AS s(opens, closes);
INSERT INTO calendar_hours VALUES ('test office', 5, '09:00', '15:00');
SELECT business_interval('2026-01-05', '2026-01-12', 'test office') AS week,
	business_interval('2026-01-06 11:30', '2026-01-06 13:30', 'test office') AS lunch,
	business_time_add('2026-01-06 11:30', '0:30', 'test office') AS before_lunch,
	business_time_add('2026-01-06 11:30', '0:31', 'test office') AS after_lunch,
	business_time_add('2026-01-06 13:30', '-0:30', 'test office') AS back,
	business_time_add('2026-01-09 14:00', '2:00', 'test office') AS friday;
-- overlapping spans count once
INSERT INTO calendar_hours VALUES ('test office', 5, '10:00', '16:00'), ('test office', 5, '11:00', '12:00');
SELECT business_interval('2026-01-09', '2026-01-10', 'test office') AS friday;

-- closed on 1 January; short on 31 December; a Saturday that is worked
INSERT INTO holiday VALUES ('test utc', '2026-01-01', 'New Year''s Day', NULL, NULL),
	('test utc', '2025-12-31', 'New Year''s Eve', '09:00', '12:00'),
	('test utc', '2026-01-10', 'stocktaking', '10:00', '14:00');
SET TimeZone = 'UTC';
SELECT business_interval('2025-12-30', '2025-12-31', 'test utc') AS tuesday,
	business_interval('2025-12-31', '2026-01-01', 'test utc') AS eve,
	business_interval('2026-01-01', '2026-01-02', 'test utc') AS new_year,
	business_interval('2025-12-29', '2026-01-05', 'test utc') AS week,
	business_interval('2026-01-05', '2026-01-12', 'test utc') AS next_week,
	business_interval('2020-01-06', '2030-01-07', 'test utc') = '40:00'::interval * 522 - '9:00' AS ten_years;
SELECT amount, business_time_add('2025-12-30 16:00', amount, 'test utc') AS due
FROM unnest('{1:00,1:01,4:00,4:01,12:00,52:00,53:00,56:00,56:01}'::interval[]) amount;
SET TimeZone = 'Europe/Berlin';

--
-- Against the definition: of each quarter of an hour, is the wall clock within
-- the hours of its day?
--
INSERT INTO holiday SELECT c, d, 'test', o, o + interval '7:15'
FROM unnest('{test always,test night,test lord howe,test office}'::text[]) c,
	(VALUES (date '2026-03-29', NULL), ('2026-04-05', time '01:30'), ('2026-10-24', '00:15'), ('2026-10-26', '02:30')) AS h(d, o);
CREATE TEMP TABLE stretch AS
SELECT calendar, coalesce(time_zone, 'Europe/Berlin') AS zone, since, since + (n * 37 % 600) * interval '15 minutes' AS until
FROM calendar,
	generate_series(1, 25) n,
	(VALUES (timestamptz '2026-03-26'), ('2026-04-01'), ('2026-10-01'), ('2026-10-22'), ('2011-05-05')) AS v(around),
	LATERAL (SELECT around + (n * 53 % 300) * interval '15 minutes') AS s(since);

CREATE FUNCTION pg_temp.by_quarters(since timestamptz, until timestamptz, cal text, zone text) RETURNS interval
LANGUAGE sql STABLE AS $$
SELECT coalesce(sum(interval '15 minutes') FILTER (WHERE CASE
		WHEN h.day IS NOT NULL THEN h.opens <= l::time AND l::time < h.closes
		WHEN EXISTS (SELECT FROM calendar_hours w WHERE w.calendar = cal AND weekday = extract(isodow FROM l))
		THEN EXISTS (SELECT FROM calendar_hours w WHERE w.calendar = cal AND weekday = extract(isodow FROM l)
			AND w.opens <= l::time AND l::time < w.closes)
		ELSE extract(isodow FROM l) = ANY (c.weekdays) AND c.opens <= l::time AND l::time < c.closes END), '0')
FROM calendar c, generate_series(since, until - interval '1 second', interval '15 minutes') t,
	LATERAL (SELECT t AT TIME ZONE zone) AS local(l) LEFT JOIN holiday h ON h.calendar = cal AND h.day = l::date
WHERE c.calendar = cal
$$;
SELECT count(*) > 500 AS many, count(*) FILTER (WHERE business_interval(since, until, calendar) > '0') > 300 AS in_hours,
	count(*) FILTER (WHERE business_interval(since, until, calendar) <> pg_temp.by_quarters(since, until, calendar, zone)) AS wrong
FROM stretch;

-- business_time_add() is the inverse, and gives the nearest moment; parts add up
SELECT count(*) FILTER (WHERE business_interval(since, due, calendar) <> amount) AS wrong,
	count(*) FILTER (WHERE amount > '0' AND business_interval(since, due - usec, calendar) <> amount - usec
		OR amount < '0' AND business_interval(since, due + usec, calendar) <> amount + usec
		OR amount = '0' AND due <> since) AS not_nearest,
	count(*) FILTER (WHERE business_interval(since, until, calendar) + business_interval(until, due, calendar) <> amount) AS wrong_sum
FROM stretch, unnest('{0,0:15,-0:15,1:00,-1:00,2:00:00.000001,-3:33,40:00,-40:00,1000:00,-5000:00}'::interval[]) amount,
	LATERAL (SELECT business_time_add(since, amount, calendar), interval '1 microsecond') AS d(due, usec);

-- parallel workers begin with an empty cache
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET parallel_leader_participation = off;
CREATE TABLE stretch_copy AS TABLE stretch;
ALTER TABLE stretch_copy SET (parallel_workers = 2);
CREATE TEMP TABLE alone AS SELECT sum(business_interval(since, until, calendar)) AS s FROM stretch;
SELECT (SELECT sum(business_interval(since, until, calendar)) FROM stretch_copy) = s AS same FROM alone;
DROP TABLE stretch_copy;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
RESET parallel_leader_participation;

--
-- Editing: a change counts at once, also one that is undone
--
BEGIN;
SELECT business_interval('2026-01-06', '2026-01-07');
UPDATE calendar SET opens = '08:00', closes = '18:00' WHERE calendar = 'default' RETURNING calendar, shipped, opens;
SELECT business_interval('2026-01-06', '2026-01-07');
SAVEPOINT s;
INSERT INTO holiday VALUES ('default', '2026-01-06', 'Epiphany');
SELECT business_interval('2026-01-06', '2026-01-07');
ROLLBACK TO s;
SELECT business_interval('2026-01-06', '2026-01-07');
-- again: now your row is edited, and the shipped one below it left alone
UPDATE calendar SET opens = '07:00' WHERE calendar = 'default';
SELECT shipped, opens, closes FROM calendar WHERE calendar = 'default' ORDER BY shipped;
SELECT business_interval('2026-01-06', '2026-01-07');
DELETE FROM calendar WHERE calendar = 'default' AND NOT shipped;
SELECT business_interval('2026-01-06', '2026-01-07');
ROLLBACK;
SELECT business_interval('2026-01-06', '2026-01-07');
DELETE FROM calendar WHERE calendar = 'default';
TRUNCATE calendar;
UPDATE calendar SET calendar = 'mine' WHERE calendar = 'default';
INSERT INTO calendar (calendar, shipped) VALUES ('default', true);
UPDATE calendar SET shipped = true WHERE calendar = 'test office';

--
-- What is refused
--
SELECT business_interval('2026-01-06', '2026-01-07', 'ofice');
INSERT INTO calendar (calendar, weekdays) VALUES ('test empty', '{}');
SELECT business_interval('2026-01-06', '2026-01-07', 'test empty');
SELECT business_time_add('2026-01-06', '1:00', 'test empty');
INSERT INTO calendar (calendar, weekdays) VALUES ('test', '{1,8}');
INSERT INTO calendar (calendar, weekdays) VALUES ('test', '{1,NULL}');
INSERT INTO calendar (calendar, opens, closes) VALUES ('test', '22:00', '06:00');
INSERT INTO calendar (calendar, time_zone) VALUES ('test', 'Mars/Olympus');
INSERT INTO calendar_hours VALUES ('test office', 0, '09:00', '12:00');
INSERT INTO calendar_hours VALUES ('test office', 7, '12:00', '12:00');
INSERT INTO holiday VALUES ('test office', '2026-05-01', 'Labour Day', '09:00');
INSERT INTO holiday VALUES ('test office', '2026-05-01', 'Labour Day', '09:00', '08:00');
\set VERBOSITY terse
INSERT INTO holiday VALUES ('test office', 'infinity', 'never');
INSERT INTO calendar (calendar) VALUES (' test');
\set VERBOSITY default
-- no error: the calendar may come later
INSERT INTO holiday VALUES ('ofice', '2026-05-01', 'Labour Day');

-- what has no answer
SELECT business_interval('2026-01-06', 'infinity');
SELECT business_time_add('infinity', '1:00') AS later, business_time_add('-infinity', '1:00') AS earlier;
SELECT business_time_add('294276-12-30 UTC', '100:00');
SELECT business_time_add('4713-01-02 BC UTC', '-1000000:00');
SELECT business_time_add('2026-01-06', '2000000000:00');
SELECT business_time_add('2026-01-06', '100000000 years');
SELECT business_interval('4713-01-02 BC UTC', '294276-12-30 UTC', 'test always');
SELECT business_interval('2026-01-06', NULL) IS NULL AS until, business_interval('2026-01-06', '2026-01-07', NULL) IS NULL AS calendar,
	business_time_add(NULL, '1:00') IS NULL AS since, business_interval('2026-01-06', '2026-01-07', 'default', NULL) IS NULL AS zone;

-- anybody may reckon and read, nobody else may write
CREATE ROLE regress_lq_clerk;
SET ROLE regress_lq_clerk;
SELECT business_interval('2026-01-06', '2026-01-07'), (SELECT count(*) FROM holiday WHERE calendar = 'test utc');
DELETE FROM holiday;
UPDATE calendar SET opens = '00:00';
RESET ROLE;
-- ... unless they were given the right, which is to their own rows
GRANT INSERT, UPDATE ON calendar TO regress_lq_clerk;
SET ROLE regress_lq_clerk;
UPDATE calendar SET closes = '18:00' WHERE calendar = 'default';
SELECT shipped, opens, closes FROM calendar WHERE calendar = 'default' ORDER BY shipped;
RESET ROLE;

REVOKE ALL ON calendar FROM regress_lq_clerk;
DROP ROLE regress_lq_clerk;
DELETE FROM calendar WHERE NOT shipped;
DELETE FROM calendar_hours;
DELETE FROM holiday;
