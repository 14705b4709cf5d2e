-- Cases of other funnel functions: the inputs and expected levels of the tests
-- of ClickHouse's windowFunnel and of StarRocks' documentation.  A case has a
-- window in seconds, modes, steps as conditions on the column event, and events
-- as pairs of seconds and an object.

\set content `cat funnel/funnel_cases.json`
CREATE TABLE tap.funnel_case AS
SELECT c ->> 'id' AS id, (c ->> 'window')::bigint * interval '1 second' AS within, array_to_string(ARRAY(SELECT jsonb_array_elements_text(c -> 'mode')), ',') AS mode,
	ARRAY(SELECT jsonb_array_elements_text(c -> 'steps')) AS steps, c -> 'events' AS events, (c ->> 'expect')::int AS expect, c ->> 'note' AS note
FROM jsonb_array_elements(:'content') AS c;

-- level and times, the events in the order of the case or the other way round
CREATE FUNCTION tap.funnel(c tap.funnel_case, backwards boolean, OUT level int, OUT times timestamptz[])
LANGUAGE plpgsql
AS $$
DECLARE
	arguments text := format('%L, %s at, %s ORDER BY n %s', c.within, CASE WHEN c.mode <> '' THEN quote_literal(c.mode) || ',' END,
		array_to_string(c.steps, ', '), CASE WHEN backwards THEN 'DESC' END);
BEGIN
	EXECUTE format('SELECT lead_qualify.window_funnel(%s), lead_qualify.window_funnel_times(%1$s)
		FROM (SELECT n, to_timestamp((e ->> 0)::float8) AS at, (e -> 1 ->> ''event'')::%s AS event
			FROM jsonb_array_elements($1) WITH ORDINALITY AS x (e, n)) AS event',
		arguments, CASE jsonb_typeof(c.events -> 0 -> 1 -> 'event') WHEN 'number' THEN 'int' ELSE 'text' END)
	INTO level, times USING c.events;
END;
$$;

SELECT tap.ok((SELECT count(*) FROM tap.funnel_case) >= 49, 'funnel: the cases are there');
SELECT tap.ok(f.level = c.expect AND b.level = c.expect AND f.times = b.times AND cardinality(f.times) = c.expect,
	concat_ws(' ', 'funnel:', c.id, nullif(c.mode, '')), format('expected %s, got %s with %s, backwards %s with %s: %s',
		c.expect, f.level, f.times, b.level, b.times, c.note))
FROM tap.funnel_case c, tap.funnel(c, false) f, tap.funnel(c, true) b ORDER BY c.id COLLATE "C";
