-- How cost grows where something grows tenfold: leads, activities a lead, rules,
-- rows of history, the activities of one lead.  Each size has a CRM of its own
-- and is compared with the size before; QUICK=1 leaves out the greatest of each.
-- Goals: what has to read all of it is not worse than linear (a quarter is allowed
-- for n log n and noise); an insert, which has not, takes at most twice as long, except that
-- it has to try all rules.  docs/performance.py draws it.

\ir common.sql
SET synchronous_commit = off;
SET work_mem = '64MB';

CREATE TABLE bench.size (axis text, size int, before int, leads int, per_lead int, rules int, name text);
INSERT INTO bench.size
SELECT axis, size, lag(size) OVER (PARTITION BY axis ORDER BY size), leads, per_lead, rules, replace(axis, ' ', '_') || size
FROM (SELECT 'leads', n, n, 5, NULL::int FROM unnest('{10000, 100000, 1000000}'::int[]) n
	UNION ALL SELECT 'activities a lead', n, 100000 / n, n, NULL FROM unnest('{10, 100, 1000, 10000}'::int[]) n
	UNION ALL SELECT 'rules', n, 10000, 5, n FROM unnest('{1, 10, 100, 500}'::int[]) n
	UNION ALL SELECT 'rows of history', n, n * 10 / 26, 0, NULL FROM unnest('{30000, 300000, 3000000}'::int[]) n
	UNION ALL SELECT 'activities of one lead', n, 1, n, NULL FROM unnest('{10, 1000, 100000}'::int[]) n) s (axis, size, leads, per_lead, rules);
\if :quick
DELETE FROM bench.size s WHERE size = (SELECT max(size) FROM bench.size x WHERE x.axis = s.axis);
\endif

-- A replay runs the clock up to now.  What is inserted afterwards must be newer
-- than what the clock has done, or it is late, and replayed.
SELECT format('CREATE FUNCTION bench.begun() RETURNS timestamptz LANGUAGE sql IMMUTABLE AS %L',
	format('SELECT %L::timestamptz', now() - interval '1 hour')) \gexec

-- A CRM whose leads take turns with their activities for 330 days; under the
-- template b2b, or under so many rules.
CREATE PROCEDURE bench.build(name text, leads int, per_lead int, rules int) LANGUAGE plpgsql AS $$
BEGIN
	PERFORM bench.crm(name);
	PERFORM lead_qualify.attach(name, name || '.lead', name || '.activity', time_zone => 'UTC', template => CASE WHEN rules IS NULL THEN 'b2b' ELSE 'empty' END);
	IF rules IS NOT NULL THEN
		INSERT INTO lead_qualify.rule (pipeline, name, activity_type, condition, points, decay, period)
		SELECT build.name, 'rule' || i, bench.kind(1 + i % 12), 'campaign_id % 32 = ' || i % 32, 1, 'exponential', '30 days' FROM generate_series(1, rules) i;
		PERFORM lead_qualify.publish(name, effective_from => '-infinity');
	END IF;
	SET LOCAL session_replication_role = replica;
	EXECUTE format('INSERT INTO %I.lead SELECT * FROM bench.leads(%s)', name, leads);
	EXECUTE format($q$INSERT INTO %I.activity (lead_id, type, occurred_at, campaign_id)
		SELECT 1 + i %% %s, bench.kind(1 + floor(bench.draw(i, 1) * 12)::int), bench.begun() - interval '331 days' + i * (interval '330 days' / nullif(%s, 0)), floor(bench.draw(i, 2) * 32)
		FROM generate_series(0, %3$s - 1) i$q$, name, leads, leads * per_lead);
	COMMIT;
	EXECUTE format('ANALYZE %I.lead', name);
	EXECUTE format('ANALYZE %I.activity', name);
END $$;
SELECT format('CALL bench.build(%L, %s, %s, %L)', name, leads, per_lead, rules) FROM bench.size \gexec

-- A history of leads that become mql, and of which three in five go on or are lost.
SELECT format($q$INSERT INTO %I.lead_stage_history (lead, stage, from_stage, entered_at, left_at, cause, origin, version)
	SELECT i, h.* FROM generate_series(1, %s) i,
		LATERAL (SELECT timestamptz '2024-01-01' + bench.draw(i, 1) * interval '600 days' AS a, CASE WHEN i %% 5 < 2 THEN 'sql' WHEN i %% 5 = 2 THEN 'disqualified' END AS after) l,
		LATERAL (SELECT a - ln(bench.draw(i, 2)) * interval '10 days' AS b) m, LATERAL (SELECT b - ln(bench.draw(i, 3)) * interval '40 days' AS c) s,
		LATERAL (VALUES ('lead', NULL, a, b, 'created', 'live', 1), ('mql', 'lead', b, CASE WHEN after <> '' THEN c END, 'activity', 'live', 1), (after, 'mql', c, NULL, 'activity', 'live', 1)) h (stage)
	WHERE h.stage <> ''$q$, name, leads) FROM bench.size WHERE axis = 'rows of history' \gexec
SELECT format('VACUUM ANALYZE %I.lead_stage_history', name) FROM bench.size WHERE axis = 'rows of history' \gexec

-- {i} goes on from one insert to the next, {turn} from turn to turn
INSERT INTO bench.alternative (measure, n, what, run, repeat, units, baseline, goal_is, goal)
SELECT axis || ', ' || v.measure, size, size, replace(v.run, 'NAME', name), v.repeat, v.units, before, '≤ × cpu',
	CASE WHEN before IS NULL THEN NULL WHEN v.measure <> 'insert' OR axis = 'rules' THEN round(1.25 * size / before, 1) ELSE 2 END
FROM bench.size, LATERAL (
	SELECT 'recompute', 'SELECT lead_qualify.recompute(''NAME'')', 1, leads * per_lead WHERE axis <> 'rows of history'
	UNION ALL
	SELECT 'insert', format('INSERT INTO NAME.activity (lead_id, type, occurred_at, campaign_id)
		SELECT 1 + i * 7919::bigint %% %s, bench.kind(1 + i %% 12), bench.begun() + {turn} * interval ''10 minutes'' + ({i} * %s + i) * interval ''10 milliseconds'', i %% 32
		FROM generate_series(1, %2$s) i', least(rows, leads), rows), repeat, rows * repeat
	FROM (VALUES ('leads', 10000, 1), ('activities a lead', 10, 50), ('rules', 10000, 1), ('activities of one lead', 1, 200)) r (axis, rows, repeat) WHERE r.axis = size.axis
	UNION ALL
	SELECT report, run, 1, size.size FROM (VALUES
		('conversion_report', 'SELECT sum(entered) FROM lead_qualify.conversion_report(''NAME'')'),
		('funnel_report', 'SELECT sum(entered) FROM lead_qualify.funnel_report(''NAME'')'),
		('journeys and conversion()', 'SELECT lead_qualify.entered(lead_qualify.conversion(entered_at, converted_at, lost_at, now())) FROM lead_qualify.journeys(''NAME'')')) r (report, run)
	WHERE axis = 'rows of history') v (measure, run, repeat, units);
-- of leads the first time counts, which writes every state
SELECT format('CALL bench.turns(%L, %s, %s)', measure, times, first) FROM (
	SELECT DISTINCT measure, CASE WHEN :'quick' OR measure = 'leads, recompute' THEN 1 ELSE 3 END AS times, CASE WHEN measure = 'leads, recompute' OR (:'quick' AND measure !~ 'insert') THEN 1 ELSE 0 END AS first
	FROM bench.alternative) m ORDER BY measure DESC \gexec
SELECT * FROM bench.report;
