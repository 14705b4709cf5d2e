-- test/real/common.sql: what the files beside it share.
--
-- The functions print TAP lines.  The data is loaded by \copy relative to its
-- own directory, where run has gone.

CREATE EXTENSION lead_qualify;
CREATE SCHEMA tap;
CREATE SEQUENCE tap.counter;

CREATE FUNCTION tap.ok(good boolean, name text, detail text DEFAULT NULL)
RETURNS text
LANGUAGE sql
RETURN concat(CASE WHEN good THEN 'ok ' ELSE 'not ok ' END, nextval('tap.counter'), ' - ', name,
	CASE WHEN good IS NOT TRUE THEN E'\n#   ' || replace(detail, E'\n', E'\n#   ') END);

-- the query gives no row
CREATE FUNCTION tap.no_row(query text, name text)
RETURNS text
LANGUAGE plpgsql
AS $$
DECLARE
	rows bigint;
	example text;
BEGIN
	EXECUTE format('SELECT count(*), min(q::text) FROM (%s) AS q', query) INTO rows, example;
	RETURN tap.ok(rows = 0, name, format('%s rows, such as %s', rows, example));
END;
$$;

CREATE FUNCTION tap.is(query text, expected text, name text)
RETURNS text
LANGUAGE plpgsql
AS $$
DECLARE
	got text;
BEGIN
	EXECUTE query INTO got;
	RETURN tap.ok(got IS NOT DISTINCT FROM expected, name, format('expected %s, got %s', expected, got));
END;
$$;

-- the statement fails with a message that has the words
CREATE FUNCTION tap.refused(statement text, words text, name text)
RETURNS text
LANGUAGE plpgsql
AS $$
DECLARE
	message text;
BEGIN
	EXECUTE statement;
	RETURN tap.ok(false, name, 'no error');
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS message = MESSAGE_TEXT;
	RETURN tap.ok(message LIKE '%' || words || '%', name, message);
END;
$$;

-- A table with the columns of a CSV header, of type text but where types says
-- otherwise: "id bigint, created_at timestamp".
CREATE FUNCTION tap.create_table(name text, header text, types text, key text DEFAULT NULL)
RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
	columns text;
BEGIN
	SELECT string_agg(format('%I %s', c, coalesce(t[2], 'text')), ', ' ORDER BY ord) INTO columns
	FROM string_to_table(header, ',') WITH ORDINALITY AS h (c, ord)
	LEFT JOIN regexp_matches(types, '([a-z_0-9]+) ([^,]+)', 'g') AS t ON t[1] = h.c;
	EXECUTE format('CREATE TABLE %s (%s%s)', name, columns, ', PRIMARY KEY (' || key || ')');
END;
$$;

-- Names of the pipeline's tables.
CREATE FUNCTION tap.side(pipeline text, suffix text)
RETURNS text
LANGUAGE sql
RETURN (SELECT format('%I.%I', p.leads_schema, p.prefix || '_' || suffix)
	FROM lead_qualify.pipeline p WHERE p.pipeline = side.pipeline);

-- What must be the same however the rows came in.
CREATE FUNCTION tap.outcome(pipeline text)
RETURNS SETOF text
LANGUAGE plpgsql
AS $$
BEGIN
	RETURN QUERY EXECUTE format($q$
		SELECT ROW (lead, round(total_at_event::numeric, 6), round(engagement_at_event::numeric, 6),
			round(fit_at_event::numeric, 6), scored_at, stage, grade, cycle, version)::text FROM %s
		UNION ALL
		SELECT ROW (lead, cycle, stage, from_stage, entered_at, left_at, cause, gate,
			round(total::numeric, 6), round(engagement::numeric, 6), version)::text
		FROM %s WHERE superseded_at IS NULL $q$,
		tap.side(pipeline, 'qualification'), tap.side(pipeline, 'stage_history'));
END;
$$;

-- All that a recompute must leave alone: the outcome and, to the letter, the
-- history with its superseded rows and the attributes.  (The scores may differ
-- by rounding, and the bounds that they carry may become closer.)
CREATE FUNCTION tap.state(pipeline text)
RETURNS SETOF text
LANGUAGE plpgsql
AS $$
BEGIN
	RETURN QUERY EXECUTE format('SELECT tap.outcome(%L) UNION ALL SELECT h::text FROM %s h UNION ALL SELECT a::text FROM %s a',
		pipeline, tap.side(pipeline, 'stage_history'), tap.side(pipeline, 'attributes'));
END;
$$;

-- What is stored is what a replay finds, and stays so.
CREATE FUNCTION tap.steady(pipeline text)
RETURNS SETOF text
LANGUAGE plpgsql
AS $$
DECLARE
	n bigint;
	leads bigint;
BEGIN
	RETURN NEXT tap.no_row(format('SELECT * FROM lead_qualify.verify(%L)', pipeline),
		pipeline || ': verify returns no row');
	-- recompute does what is due, too
	PERFORM lead_qualify.advance(pipeline);
	RETURN NEXT tap.no_row(format('SELECT * FROM lead_qualify.verify(%L)', pipeline),
		pipeline || ': nor after advance');

	CREATE TEMPORARY TABLE before_recompute AS SELECT tap.state(pipeline) AS s;
	n := lead_qualify.recompute(pipeline);
	EXECUTE (SELECT format('SELECT count(*) FROM %I.%I', p.leads_schema, p.leads_table)
		FROM lead_qualify.pipeline p WHERE p.pipeline = steady.pipeline) INTO leads;
	RETURN NEXT tap.ok(n = leads, pipeline || ': recompute takes every lead', format('%s of %s', n, leads));
	RETURN NEXT tap.no_row(format($f$(SELECT s FROM before_recompute EXCEPT ALL SELECT tap.state(%L))
		UNION ALL (SELECT tap.state(%1$L) EXCEPT ALL SELECT s FROM before_recompute)$f$, pipeline),
		pipeline || ': and changes nothing');
	DROP TABLE before_recompute;
END;
$$;

-- The three laws on one pipeline, and that it did something.
CREATE FUNCTION tap.laws(pipeline text, moved integer DEFAULT 1)
RETURNS SETOF text
LANGUAGE plpgsql
AS $$
DECLARE
	q text := tap.side(pipeline, 'qualification');
	n bigint;
	bad text;
BEGIN
	RETURN QUERY SELECT tap.steady(pipeline);

	EXECUTE format($f$
		SELECT string_agg(format('lead %%s: stored %%s, explain %%s, score_at %%s',
			q.lead, q.total_at_event, e.sum, s.points), E'\n')
		FROM %s q
		CROSS JOIN LATERAL (SELECT coalesce(sum(worth), 0) FROM lead_qualify.explain(%L, q.lead, q.scored_at)) e (sum)
		CROSS JOIN LATERAL (SELECT points FROM lead_qualify.score_at(%2$L, q.lead, q.scored_at)
			WHERE dimension = 'total') s
		WHERE abs(e.sum - q.total_at_event) > 1e-6 OR abs(s.points - q.total_at_event) > 1e-6
			OR abs(lead_qualify.total(q.score, q.scored_at) - q.total_at_event) > 1e-6$f$, q, pipeline) INTO bad;
	RETURN NEXT tap.ok(bad IS NULL, pipeline || ': explain adds up to the score of each lead', bad);

	EXECUTE (SELECT format('SELECT string_agg(concat_ws('' '', l.%I, l.%I, q.stage), '', '') FROM %I.%I l JOIN %s q ON q.lead = l.%1$I
			WHERE l.%2$I IS DISTINCT FROM q.stage', p.lead_key, p.stage_column, p.leads_schema, p.leads_table, q)
		FROM lead_qualify.pipeline p WHERE p.pipeline = laws.pipeline) INTO bad;
	RETURN NEXT tap.ok(bad IS NULL, pipeline || ': the leads table shows the stage', bad);

	EXECUTE format($f$SELECT count(DISTINCT lead) FROM %s WHERE from_stage IS NOT NULL$f$,
		tap.side(pipeline, 'stage_history')) INTO n;
	RETURN NEXT tap.ok(n >= moved, format('%s: stages move (%s leads)', pipeline, n), format('at least %s expected', moved));
	RETURN NEXT tap.no_row(format('SELECT * FROM lead_qualify.problem WHERE pipeline = %L', pipeline),
		pipeline || ': no problem is known');
END;
$$;

-- Gives a pipeline the draft of another one, and publishes it for all time.
CREATE FUNCTION tap.copy_draft(source text, target text)
RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
	name text;
BEGIN
	FOREACH name IN ARRAY ARRAY['dimension', 'rule', 'stage', 'gate', 'exclusion', 'list', 'band'] LOOP
		EXECUTE format('DELETE FROM lead_qualify.%I WHERE pipeline = %L', name, target);
		EXECUTE format('INSERT INTO lead_qualify.%I SELECT r.* FROM lead_qualify.%1$I d,
			jsonb_populate_record(NULL::lead_qualify.%1$I, to_jsonb(d) || jsonb_build_object(''pipeline'', %L)) r
			WHERE d.pipeline = %L', name, target, source);
	END LOOP;
	PERFORM lead_qualify.publish(target, effective_from => '-infinity');
END;
$$;

-- Copies the rows of a table one statement each, in the order given.
CREATE FUNCTION tap.row_by_row(source regclass, target regclass, sort text)
RETURNS void
LANGUAGE plpgsql
AS $$
DECLARE
	r record;
BEGIN
	FOR r IN EXECUTE format('SELECT s::text AS row FROM %s s ORDER BY %s', source, sort) LOOP
		EXECUTE format('INSERT INTO %s SELECT ($1::%1$s).*', target) USING r.row;
	END LOOP;
END;
$$;

CREATE FUNCTION tap.same_outcome(one text, other text, name text)
RETURNS text
LANGUAGE sql
RETURN tap.no_row(format('(SELECT tap.outcome(%L) EXCEPT ALL SELECT tap.outcome(%L))
	UNION ALL (SELECT tap.outcome(%2$L) EXCEPT ALL SELECT tap.outcome(%1$L))', one, other), name);
