--
-- window_funnel() and window_funnel_times()
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lead_qualify;
RESET client_min_messages;
SET search_path = lead_qualify, public;
SET TimeZone = 'UTC';
SET DateStyle = 'ISO, MDY';
SET IntervalStyle = 'postgres';

--
-- What it counts
--
CREATE TEMP TABLE visit (lead text, at timestamptz, type text);
INSERT INTO visit VALUES
	('all', '2026-03-01', 'visit'), ('all', '2026-03-02', 'demo'), ('all', '2026-03-09', 'offer'),
	-- the first visit is too early for the offer, the second is not
	('restart', '2026-03-01', 'visit'), ('restart', '2026-04-01', 'visit'), ('restart', '2026-04-02', 'demo'), ('restart', '2026-04-20', 'offer'),
	('late', '2026-03-01', 'visit'), ('late', '2026-03-02', 'demo'), ('late', '2026-03-31 00:00:00.000001', 'offer'),
	('just', '2026-03-01', 'visit'), ('just', '2026-03-02', 'demo'), ('just', '2026-03-31', 'offer'),
	('backwards', '2026-03-01', 'offer'), ('backwards', '2026-03-02', 'demo'), ('backwards', '2026-03-03', 'visit'),
	('no time', NULL, 'visit'), ('no time', '2026-03-02', 'demo'),
	('no type', '2026-03-01', NULL),
	('skipped', '2026-03-01', 'visit'), ('skipped', '2026-03-02', 'offer');
SELECT lead, window_funnel('30 days', at, type = 'visit', type = 'demo', type = 'offer'),
	window_funnel_times('30 days', at, type = 'visit', type = 'demo', type = 'offer')
FROM visit GROUP BY lead ORDER BY lead;
-- no row
SELECT window_funnel('1 day', at, true), window_funnel_times('1 day', at, true),
	window_funnel('1 day', 'strict_order', at, true) AS with_mode FROM visit WHERE false;
-- of the chains the one that is complete first, each step as late as possible
SELECT window_funnel_times('1 hour', at, s = 'a', s = 'b', s = 'c')
FROM (VALUES ('2026-01-01 10:00'::timestamptz, 'a'), ('2026-01-01 10:10', 'a'), ('2026-01-01 10:20', 'b'), ('2026-01-01 10:30', 'a'),
	('2026-01-01 10:40', 'b'), ('2026-01-01 10:50', 'a'), ('2026-01-01 11:00', 'c'), ('2026-01-01 11:10', 'b'), ('2026-01-01 11:15', 'c')) AS e (at, s);

-- which function an unknown literal means
CREATE TEMP TABLE one AS SELECT timestamptz '2026-01-01' AS at;
SELECT window_funnel('30 days', at, true, true) AS plain, window_funnel('30 days', 'strict_once', at, true, true) AS mode,
	window_funnel('30 days', at::timestamp, true, true) AS "timestamp", window_funnel('30 days', 'strict_once', at::timestamp, true, true) AS mode,
	window_funnel('30 days', at::date, true, true) AS date, window_funnel('30 days', 'strict_once', at::date, true, true) AS mode,
	window_funnel(interval '30 days', text 'strict_once', at, true, true) AS typed,
	window_funnel_times('30 days', 'strict_once', at, true, true) AS times,
	window_funnel('30 days', at, VARIADIC ARRAY[true, NULL, true]) AS "array",
	window_funnel('30 days', 'strict_once', at, VARIADIC '{t,t}'::boolean[]) AS array_mode
FROM one;
PREPARE ask (interval, text) AS SELECT window_funnel($1, $2, at, true, true) FROM one;
EXECUTE ask('1 day', '');
EXECUTE ask('1 day', ' Strict_Increase , allow_reentry');

-- a domain over boolean is a step, an untyped NULL is one that nothing satisfies
CREATE DOMAIN pg_temp.yes_or_no AS boolean;
SELECT window_funnel('1 day', at, true::pg_temp.yes_or_no, true) AS domain, window_funnel('1 day', at, true, NULL, true) AS untyped,
	window_funnel('1 day', at, NULL) AS only_untyped FROM one;

--
-- The vectors of windowFunnel's own tests and issues: letters are events a
-- second apart
--
CREATE FUNCTION pg_temp.letters(steps text, mode text, events text) RETURNS int LANGUAGE sql AS $$
	SELECT lead_qualify.window_funnel('1 day', mode, to_timestamp(i), VARIADIC
		ARRAY(SELECT e = s FROM regexp_split_to_table(steps, '') WITH ORDINALITY AS x (s, n) ORDER BY n))
	FROM regexp_split_to_table(events, '') WITH ORDINALITY AS y (e, i)
$$;
SELECT events, pg_temp.letters('ABC', '', events) AS "default", pg_temp.letters('ABC', 'strict_order', events),
	pg_temp.letters('ABC', 'strict_order, allow_reentry', events) AS and_reentry,
	pg_temp.letters('ABC', 'strict_deduplication', events), pg_temp.letters('ABC', 'strict_deduplication,strict_order', events) AS both
FROM unnest('{ABC,ADBC,AABBCC,AABBDCC,BBCCAA,ACB,ACBC,DABC,AABC,ABAC,ABABC}'::text[]) AS events;
-- install, start, login, end: 3 and 3
SELECT pg_temp.letters('ISLE', 'strict_deduplication', 'ISLI') AS again, pg_temp.letters('ISLE', 'strict_deduplication', 'ISLISISLE') AS thrice;
-- several steps at one time: 5 and 2
SELECT window_funnel('10000 s', at, c = 1, c = 2, c = 3, c = 4, c = 5), window_funnel('10000 s', 'strict_increase', at, c = 1, c = 2, c = 3, c = 4, c = 5)
FROM (SELECT to_timestamp(s), c FROM (VALUES (0, 1), (1, 2), (1, 3), (1, 4), (2, 5)) AS v (s, c)) AS e (at, c);
-- one repeated: 7 and 6
SELECT window_funnel('10000 s', at, c = 1, c = 2, c = 3, c = 4, c = 5, c = 6, c = 7),
	window_funnel('10000 s', 'strict_deduplication', at, c = 1, c = 2, c = 3, c = 4, c = 5, c = 6, c = 7)
FROM (SELECT to_timestamp(s), c FROM (VALUES (0, 1), (10, 2), (20, 3), (30, 4), (40, 5), (50, 6), (51, 6), (60, 7)) AS v (s, c)) AS e (at, c);
-- one event for three steps: 3, 1 and 1
SELECT window_funnel('1 day', at, true, true, true), window_funnel('1 day', 'strict_once', at, true, true, true) AS once,
	window_funnel('1 day', 'strict_increase', at, true, true, true) AS increase FROM one;
-- a page that is two of the steps: following only the latest chain loses it
SELECT window_funnel('1 day', 'strict_once', to_timestamp(i), e = 's', e IN ('a', 'b'), e = 'a', e = 'e') AS once
FROM unnest('{s,b,a,e}'::text[]) WITH ORDINALITY AS x (e, i);
-- at one time it is a matching: two rows for two steps, whatever each could be
SELECT window_funnel('1 day', 'strict_once', at, a, b) AS two, window_funnel('1 day', 'strict_once', at, a, b, b) AS three
FROM one, (VALUES (true, true), (true, false)) AS e (a, b);
-- the latest first step is not strictly earlier, the one before it is
SELECT window_funnel('1 day', 'strict_increase', to_timestamp(i), a, b) AS two
FROM (VALUES (0, true, false), (1, true, false), (1, false, true)) AS e (i, a, b);

--
-- Against brute force.  For more of it: psql -v rounds=10000 -v seed=0.1
--
-- all chains there are
CREATE FUNCTION pg_temp.every_chain(within interval, mode text, at timestamptz[], steps int[], nsteps int, OUT level int, OUT times timestamptz[])
LANGUAGE sql AS $$
	WITH RECURSIVE e AS (
		SELECT * FROM unnest(at, steps) WITH ORDINALITY AS u (at, steps, id) WHERE u.at IS NOT NULL
	), chain AS (
		SELECT 1 AS step, ARRAY[e.at] AS times, ARRAY[id] AS ids FROM e WHERE e.steps & 1 = 1
		UNION ALL
		SELECT step + 1, times || e.at, ids || id FROM chain JOIN e
			ON step < nsteps AND e.steps >> step & 1 = 1
			AND CASE WHEN mode LIKE '%increase%' THEN e.at > times[step] ELSE e.at >= times[step] END
			AND e.at <= greatest(times[1] + within, times[1])
			AND (mode NOT LIKE '%once%' OR id <> ALL (ids))
	)
	SELECT step, times FROM chain
	ORDER BY step DESC, times[step], ARRAY(SELECT t FROM unnest(times) WITH ORDINALITY AS r (t, n) ORDER BY n DESC) DESC LIMIT 1
$$;
-- the search over pairs of time and step
CREATE FUNCTION pg_temp.search(within interval, mode text, at timestamptz[], steps int[], nsteps int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
	pair record;
	row int;
	level int := 0;
	earlier jsonb;
	chain jsonb;
	chains jsonb[] := array_fill('[]'::jsonb, ARRAY[nsteps]);	-- of each step: first, last, rows
BEGIN
	FOR pair IN
		SELECT u.at, step, array_agg(id ORDER BY id) AS rows
		FROM unnest(at, steps) WITH ORDINALITY AS u (at, steps, id), generate_series(0, nsteps) AS step
		WHERE u.at IS NOT NULL AND CASE step WHEN 0 THEN u.steps = 0 ELSE u.steps >> (step - 1) & 1 = 1 END
		GROUP BY 1, 2 ORDER BY 1, 2
	LOOP
		IF pair.step = 0 THEN
			EXIT WHEN mode LIKE '%order%' AND level > 0;
			CONTINUE;
		END IF;
		EXIT WHEN mode LIKE '%dedup%' AND pair.step > 1 AND level >= pair.step;
		IF mode LIKE '%order%' AND level > 0 AND pair.step > level + 1 THEN
			CONTINUE WHEN mode LIKE '%reentry%';
			EXIT;
		END IF;
		FOREACH row IN ARRAY pair.rows LOOP
			earlier := CASE WHEN pair.step = 1 THEN jsonb_build_array(jsonb_build_object('first', pair.at, 'last', '-infinity', 'rows', '[]'::jsonb))
				ELSE chains[pair.step - 1] END;
			FOR chain IN SELECT jsonb_array_elements(earlier) LOOP
				CONTINUE WHEN pair.at > greatest((chain ->> 'first')::timestamptz, (chain ->> 'first')::timestamptz + within)
					OR mode LIKE '%increase%' AND pair.at <= (chain ->> 'last')::timestamptz
					OR mode LIKE '%once%' AND chain -> 'rows' @> to_jsonb(row);
				chain := jsonb_build_object('first', chain -> 'first', 'last', pair.at, 'rows', (chain -> 'rows') || to_jsonb(row));
				chains[pair.step] := CASE WHEN mode LIKE '%once%' THEN chains[pair.step] || chain ELSE jsonb_build_array(chain) END;
				level := greatest(level, pair.step);
			END LOOP;
		END LOOP;
		EXIT WHEN mode LIKE '%dedup%' AND pair.step > 1 AND level >= pair.step AND cardinality(pair.rows) > 1;
		EXIT WHEN level = nsteps;
	END LOOP;
	RETURN level;
END;
$$;
\if :{?rounds}
\else
\set rounds 250
\set seed 0.5
\endif
SET TimeZone = 'Europe/Berlin';
SELECT setseed(:seed);
-- few times, many steps at once, and both changes of the clock
CREATE TEMP TABLE sample AS
SELECT g, 1 + (random() * 4)::int AS nsteps, (ARRAY['3 hours', '1 day', '2 days', '1 day -1 hour', '1 mon', '1 mon -29 days'])[1 + (random() * 5)::int]::interval AS within,
	(ARRAY['2026-03-27 20:00', '2026-10-23 20:00', '2026-01-28 20:00', '1999-12-30 20:00'])[1 + (random() * 3)::int]::timestamptz AS start,
	(ARRAY['30 min', '6 hours', '1 day', '8 days'])[1 + (random() * 3)::int]::interval AS spread
FROM generate_series(1, :rounds) g;
CREATE TEMP TABLE event AS
SELECT g, i, CASE WHEN random() < 0.97 THEN start + (random() * 6)::int * spread END AS at, (random() * random() * (1 << nsteps))::int & ((1 << nsteps) - 1) AS steps
FROM sample, generate_series(1, 1 + (random() * 7)::int) i;
CREATE TEMP VIEW answer AS
SELECT s.*, m AS mode, level, times, e.at, e.steps
FROM sample s, unnest('{"",strict_increase,strict_once,"strict_once,strict_increase",allow_reentry,
	strict_order,strict_deduplication,"strict_order,strict_deduplication","strict_order,allow_reentry","strict_order,strict_deduplication,allow_reentry",
	"strict_order,strict_increase","strict_deduplication,strict_increase","strict_order,strict_once","strict_deduplication,strict_once",
	"strict_order,strict_deduplication,strict_once,allow_reentry","strict_order,strict_increase,strict_once,allow_reentry"}'::text[]) m,
	LATERAL (SELECT window_funnel(within, m, at, VARIADIC ARRAY(SELECT steps >> n & 1 = 1 FROM generate_series(0, nsteps - 1) n ORDER BY n)) AS level,
		window_funnel_times(within, m, at, VARIADIC ARRAY(SELECT steps >> n & 1 = 1 FROM generate_series(0, nsteps - 1) n ORDER BY n)) AS times,
		array_agg(at) AS at, array_agg(steps) AS steps
		FROM event WHERE event.g = s.g) e;
-- the true maximum, and the shortest chain
SELECT mode, count(*), count(*) FILTER (WHERE c.level > 1) > 20 AS varied,
	count(*) FILTER (WHERE a.level <> coalesce(c.level, 0)) AS other_level, count(*) FILTER (WHERE a.times <> coalesce(c.times, '{}')) AS other_times
FROM answer a, pg_temp.every_chain(within, mode, at, steps, nsteps) c
WHERE mode NOT LIKE '%order%' AND mode NOT LIKE '%dedup%' GROUP BY mode ORDER BY mode COLLATE "C";
-- what the search finds, and that there is such a chain
SELECT mode, count(*), count(*) FILTER (WHERE c.level > 1) > 20 AS varied,
	count(*) FILTER (WHERE a.level <> c.level) AS other_level, count(*) FILTER (WHERE cardinality(a.times) <> a.level) AS other_length,
	count(*) FILTER (WHERE EXISTS (SELECT FROM generate_subscripts(a.times, 1) k
		WHERE a.times[k] > greatest(a.times[1], a.times[1] + within) OR a.times[k] < a.times[k - 1] OR mode LIKE '%increase%' AND a.times[k] = a.times[k - 1]
			OR NOT EXISTS (SELECT FROM event WHERE event.g = a.g AND event.at = a.times[k] AND event.steps >> (k - 1) & 1 = 1))) AS no_chain
FROM answer a, pg_temp.search(within, mode, at, steps, nsteps) c (level)
WHERE mode LIKE '%order%' OR mode LIKE '%dedup%' GROUP BY mode ORDER BY mode COLLATE "C";
-- no order of input matters
SELECT count(*) AS groups, count(*) FILTER (WHERE one <> other OR one <> third) AS differing
FROM (SELECT g, m, window_funnel_times('1 day', m, at, steps & 1 = 1, steps & 2 = 2, steps & 4 = 4 ORDER BY at) AS one,
		window_funnel_times('1 day', m, at, steps & 1 = 1, steps & 2 = 2, steps & 4 = 4 ORDER BY at DESC, i DESC) AS other,
		window_funnel_times('1 day', m, at, steps & 1 = 1, steps & 2 = 2, steps & 4 = 4 ORDER BY steps, i) AS third
	FROM event, unnest('{"",strict_increase,strict_once,strict_order,strict_deduplication,"strict_deduplication,strict_once"}'::text[]) m GROUP BY g, m) AS x;
DROP VIEW answer;

--
-- Windows
--
-- a day and a month are those of the session's time zone
CREATE FUNCTION pg_temp.within(within interval, since text, until text) RETURNS boolean LANGUAGE sql AS $$
	SELECT lead_qualify.window_funnel(within, at, first, NOT first) = 2
	FROM (VALUES (since::timestamptz, true), (until::timestamptz, false)) AS e (at, first)
$$;
SELECT within, since, until, pg_temp.within(within, since, until) FROM (VALUES
	(interval '1 day', '2026-03-28 12:00', '2026-03-29 12:00'), ('1 day', '2026-03-28 12:00', '2026-03-29 12:00:00.000001'),
	('24:00', '2026-03-28 12:00', '2026-03-29 13:00'), ('24:00', '2026-03-28 12:00', '2026-03-29 13:00:00.000001'),
	('1 day', '2026-10-24 12:00', '2026-10-25 12:00'), ('24:00', '2026-10-24 12:00', '2026-10-25 12:00'),
	('1 mon', '2026-01-31 12:00', '2026-02-28 12:00'), ('1 mon', '2026-01-31 12:00', '2026-02-28 12:00:00.000001'),
	('30 days -00:00:00.000001', '2026-01-01', '2026-01-31'), ('30 days -00:00:00.000001', '2026-01-01', '2026-01-30 23:59:59.999999'),
	-- no longer than nothing in this February, but no less
	('1 mon -29 days', '2026-02-01', '2026-02-01'), ('1 mon -29 days', '2026-02-01', '2026-02-02'),
	-- infinite times, and windows that end after all time
	('1 day', '-infinity', '-infinity'), ('1 day', '-infinity', '2026-01-01'), ('1 day', '2026-01-01', 'infinity'), ('1 day', 'infinity', 'infinity'),
	('290000 years', '2026-01-01', '290000-01-01'), ('290000 years', '290000-01-01', '294276-12-31'), ('290000 years', '290000-01-01', 'infinity'),
	('178000000 years', '4713-01-01 BC', '294276-12-31'), ('2147483647 days', '4713-01-01 BC', '294276-12-31'),
	('2562047788:00:54.775807', '4713-01-01 BC', '294276-12-31'), ('2562047788:00:54.775807', '294276-12-31', '294276-12-31 23:59:59.999999'),
	('290000 years -100000000 days', '4713-06-01 BC', '2000-01-01'), ('178000000 years -2147483648 days', '2026-01-01', '2027-01-01')) AS v (within, since, until);
-- a later start may end earlier: the month from the first ends on February 28, at 23:00
SELECT window_funnel('1 mon', at, s = 'a', s = 'b'), window_funnel_times('1 mon', at, s = 'a', s = 'b')
FROM (VALUES ('2026-01-29 23:00'::timestamptz, 'a'), ('2026-01-30 01:00', 'a'), ('2026-02-28 20:00', 'b')) AS e (at, s);
-- the lengths that are remembered are those that the server reckons, whatever comes first
CREATE FUNCTION pg_temp.wrong_windows(zone text, within interval) RETURNS bigint LANGUAGE plpgsql SET enable_hashagg = off AS $$
BEGIN
	PERFORM set_config('TimeZone', zone, true);
	RETURN (SELECT count(*) FROM (
		SELECT window_funnel(within, e.at, first, NOT first) AS just,
			window_funnel(within, CASE WHEN first THEN e.at ELSE e.at + interval '1 microsecond' END, first, NOT first) AS more
		FROM (SELECT n, timestamptz '1990-01-01 00:00' + n * interval '107 hours 29 min' AS at FROM generate_series(0, 3000) n) AS start,
			LATERAL (VALUES (at, true), (at + within, false)) AS e (at, first)
		GROUP BY n * 7919 % 3001) AS x WHERE just <> 2 OR more <> 1);
END;
$$;
SELECT zone, sum(pg_temp.wrong_windows(zone, within)) AS wrong
FROM unnest('{Europe/Berlin,America/New_York,Australia/Lord_Howe,Pacific/Apia,Asia/Kolkata,UTC}'::text[]) zone,
	unnest('{1 day,30 days,1 day -25 min,24:00,1 mon}'::interval[]) within GROUP BY zone ORDER BY zone;

--
-- Plans
--
-- the whole table, and with an order, a filter, without repetitions, and as a window function
CREATE TEMP TABLE many AS
SELECT n % 100 AS lead, timestamptz '2026-01-01Z' + (n * 7919 % 10007) * interval '1 hour' AS at, n * 31 % 11 AS type FROM generate_series(1, 10000) n;
SELECT window_funnel('30 days', at, type = 1, type = 2, type = 3), window_funnel('30 days', at, type = 1, type = 2, type = 3) FILTER (WHERE type <> 2) AS filtered,
	window_funnel('30 days', at, type = 1, type = 2, type = 3 ORDER BY at DESC) AS ordered, window_funnel(DISTINCT '30 days', at, type = 1, type = 2, type = 3) AS "distinct",
	window_funnel('1 us', at, type = 1, type = 2) AS short FROM many;
SELECT at, type, window_funnel('30 days', at, type = 'visit', type = 'demo', type = 'offer') OVER w AS so_far,
	window_funnel('30 days', at, type = 'visit', type = 'demo', type = 'offer') OVER (w ROWS 1 PRECEDING) AS of_two,
	window_funnel_times('30 days', at, type = 'visit', type = 'demo', type = 'offer') OVER (ORDER BY at DESC) AS backwards
FROM visit WHERE lead = 'all' WINDOW w AS (ORDER BY at) ORDER BY at;
-- in parallel: partial states are written, read and combined
CREATE TABLE public.funnel_many AS SELECT * FROM many;
ANALYZE public.funnel_many;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
CREATE FUNCTION pg_temp.plan(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE line text;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
		RETURN NEXT substring(line FROM '(?:Finalize |Partial )?(?:Hash|Group)?Aggregate|Gather|Index Only Scan');
	END LOOP;
END;
$$;
SELECT bool_or(p LIKE 'Partial%') AS partial FROM pg_temp.plan($$SELECT window_funnel('30 days', at, type = 1, type = 2) FROM public.funnel_many$$) p;
SELECT bool_or(p LIKE 'Partial%') AS partial FROM pg_temp.plan($$SELECT window_funnel('200 days', at, type = 1, type = 2, type = 3, type = 4) FROM public.funnel_many GROUP BY lead$$) p;
CREATE TEMP TABLE parallel AS
SELECT m, window_funnel('30 days', m, at, type = 1, type = 2, type = 3, type = 4, type = 5) AS level, window_funnel_times('30 days', m, at, type = 1, type = 2, type = 3, type = 4, type = 5) AS times
FROM (SELECT 'strict_order'::text AS m, * FROM public.funnel_many UNION ALL SELECT 'strict_once', * FROM public.funnel_many UNION ALL SELECT '', * FROM public.funnel_many) AS f GROUP BY m;
CREATE TEMP TABLE parallel_leads AS
SELECT lead, window_funnel_times('200 days', at, type = 1, type = 2, type = 3, type = 4) AS times FROM public.funnel_many GROUP BY lead;
SET max_parallel_workers_per_gather = 0;
SELECT m, p.level, p.level = s.level AND p.times = s.times AS same FROM parallel p,
	LATERAL (SELECT window_funnel('30 days', m, at, type = 1, type = 2, type = 3, type = 4, type = 5) AS level,
		window_funnel_times('30 days', m, at, type = 1, type = 2, type = 3, type = 4, type = 5) AS times FROM many) s ORDER BY m COLLATE "C";
SELECT count(*) AS leads, count(*) FILTER (WHERE p.times <> s.times) AS differing, max(cardinality(s.times)) AS furthest
FROM parallel_leads p JOIN (SELECT lead, window_funnel_times('200 days', at, type = 1, type = 2, type = 3, type = 4) AS times FROM many GROUP BY lead) s USING (lead);
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
RESET max_parallel_workers_per_gather;
-- the planner takes the index with the order it needs, however much memory there is
CREATE TABLE public.funnel_wide AS SELECT n / 7 AS lead_id, timestamptz '2026-01-01Z' + n * 31 % 10007 * interval '1 hour' AS at, n % 12 AS type FROM generate_series(1, 70000) n;
CREATE INDEX ON public.funnel_wide (lead_id, at) INCLUDE (type);
VACUUM (ANALYZE) public.funnel_wide;
SET work_mem = '4MB';
SELECT p FROM pg_temp.plan($$SELECT window_funnel('30 days', at, type = 1, type = 2) FROM public.funnel_wide GROUP BY lead_id$$) p WHERE p IS NOT NULL;
SET work_mem = '32MB';
SELECT p FROM pg_temp.plan($$SELECT window_funnel('30 days', at, type = 1, type = 2) FROM public.funnel_wide GROUP BY lead_id$$) p WHERE p IS NOT NULL;
RESET work_mem;
DROP TABLE public.funnel_many, public.funnel_wide;

--
-- Bad input
--
SELECT window_funnel('0', at, true) FROM one;
SELECT window_funnel('-1 day', at, true) FROM one;
SELECT window_funnel('1 day -25 hours', at, true) FROM one;
SELECT window_funnel('30 days', 'strict_order,strict', at, true) FROM one;
SELECT window_funnel('30 days', 'strict_order,', at, true) FROM one;
SELECT window_funnel(NULL::interval, at, true) FROM one;
SELECT window_funnel('30 days', NULL::text, at, true) FROM one;
-- of rows that satisfy nothing, too
SELECT window_funnel('0', NULL::timestamptz, false) FROM one;
SELECT window_funnel('30 days', at) FROM one;
SELECT window_funnel('30 days', at, VARIADIC '{}'::boolean[]) FROM one;
SELECT window_funnel('30 days', at, VARIADIC NULL::boolean[]) FROM one;
SELECT window_funnel('30 days', at, VARIADIC '{1}'::int[]) FROM one;
SELECT window_funnel('30 days', at, true, 1) FROM one;
SELECT window_funnel('30 days', at, true, NULL, 'true') FROM one;
SELECT window_funnel('30 days', 'strict_once', at, 'x'::text) FROM one;
\set eight 'true, true, true, true, true, true, true, true'
SELECT window_funnel('30 days', at, :eight, :eight, :eight, :eight), window_funnel('30 days', 'strict_once', at, :eight, :eight, :eight, :eight) AS once,
	cardinality(window_funnel_times('30 days', at, :eight, :eight, :eight, :eight)) AS times FROM one;
SELECT window_funnel('30 days', at, :eight, :eight, :eight, :eight, true) FROM one;
SELECT window_funnel('30 days', at, VARIADIC array_fill(true, ARRAY[33])) FROM one;
-- all rows of a group must ask the same; what satisfies no step asks nothing
SELECT window_funnel(n * interval '1 day', at, true) FROM one, generate_series(1, 2) n;
SELECT window_funnel('1 day', ('{strict_once,strict_order}'::text[])[n], at, true) FROM one, generate_series(1, 2) n;
SELECT window_funnel('1 day', at, VARIADIC array_fill(true, ARRAY[n])) FROM one, generate_series(1, 2) n;
SELECT window_funnel(n * interval '1 day', at, n = 1) FROM one, generate_series(1, 2) n;
-- a day is not 24 hours
SELECT window_funnel(w, at, true) FROM one, unnest('{1 day,24:00}'::interval[]) w;
