-- What an INSERT of activities costs with the whole product on (template b2b: 20
-- rules with caps and decay, rules about the lead, gates, stage history), as a
-- multiple of the same INSERT into the same tables without a trigger; beside
-- what people write: a row trigger and a statement trigger in PL/pgSQL; and a floor,
-- a statement trigger that computes nothing but locks the leads and writes a row as
-- wide as a state for each.  Batches of 100 and 10,000 rows, COPY of 100,000 and a
-- million.  100,000 leads (QUICK=1: a tenth, and two turns), half a million
-- activities before the first turn.

\ir common.sql
\ir tables.sql

\if :quick
\set leads 10000
\else
\set leads 100000
\endif

\ir triggers.sql
INSERT INTO bench.way VALUES (8, 'floor', 'floor: lock, write a state');
SELECT bench.tables('floor') \g /dev/null
SELECT bench.leads('floor', :leads) \g /dev/null
CREATE TABLE floor.state (lead int PRIMARY KEY, at timestamptz, score bytea) WITH (fillfactor = 80);
INSERT INTO floor.state SELECT id, created_at, decode(repeat(md5(id::text), 24), 'hex') FROM floor.lead;
CREATE FUNCTION floor.score() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	PERFORM FROM floor.lead WHERE id IN (SELECT lead_id FROM new_rows) ORDER BY id FOR NO KEY UPDATE;
	UPDATE floor.state SET at = s.at, score = state.score
	FROM (SELECT lead_id, max(n.occurred_at) AS at FROM new_rows n GROUP BY 1) s WHERE lead = s.lead_id;
	RETURN NULL;
END $$;
CREATE TRIGGER score AFTER INSERT ON floor.activity REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION floor.score();
SELECT format('INSERT INTO %I.activity (lead_id, type, occurred_at, campaign_id)
	SELECT lead_id, type, occurred_at, campaign_id FROM bench.activities(%s, 0, 5 * %2$s)', name, :leads) FROM bench.way ORDER BY n \gexec
SELECT format('VACUUM (ANALYZE) %I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname IN (SELECT name FROM bench.way) \gexec
SELECT count(*) AS rules, (SELECT count(*) FROM lead_qualify.gate g WHERE g.pipeline = 'product') AS gates FROM lead_qualify.rule WHERE pipeline = 'product';

-- the rows to insert, one block a turn; COPY reads them from a file
CREATE UNLOGGED TABLE bench.rows (block int, i int, lead_id int, type text, occurred_at timestamptz, campaign_id int);
CREATE INDEX ON bench.rows (block, i);
-- size, rows in a turn, turns, goal, first block
CREATE PROCEDURE bench.by_batches(measure text, leads int, size int, batches int, times int, goal numeric, first int) LANGUAGE plpgsql AS $$
BEGIN
	TRUNCATE bench.rows;
	INSERT INTO bench.rows SELECT b, row_number() OVER (PARTITION BY b), a.* FROM generate_series(0, times) b, bench.activities(leads, first + b, size * batches) a;
	ANALYZE bench.rows;
	INSERT INTO bench.alternative (measure, n, what, run, repeat, units, baseline, goal)
	SELECT by_batches.measure, n, what, format('INSERT INTO %I.activity (lead_id, type, occurred_at, campaign_id)
		SELECT lead_id, type, occurred_at, campaign_id FROM bench.rows WHERE block = {turn} AND i > {i} * %s AND i <= ({i} + 1) * %2$s', name, size),
		batches, size * batches, nullif('no trigger', what), CASE WHEN n = 2 THEN by_batches.goal END FROM bench.way;
	CALL bench.turns(measure, times);
END $$;

CREATE PROCEDURE bench.by_copy(measure text, leads int, size int, times int, goal numeric, first int, names text[]) LANGUAGE plpgsql AS $$
DECLARE
	file text := current_setting('data_directory') || '/bench_copy';
BEGIN
	FOR b IN 0 .. times LOOP
		EXECUTE format('COPY (SELECT * FROM bench.activities(%s, %s, %s)) TO %L', leads, first + b, size, file || b);
	END LOOP;
	INSERT INTO bench.alternative (measure, n, what, run, units, baseline, goal)
	SELECT by_copy.measure, n, what, format('COPY %I.activity (lead_id, type, occurred_at, campaign_id) FROM %L', name, file || '{turn}'),
		size, nullif('no trigger', what), CASE WHEN n = 2 THEN by_copy.goal END FROM bench.way WHERE name = ANY (names);
	CALL bench.turns(measure, times);
END $$;

SET synchronous_commit = off;
\if :quick
CALL bench.by_batches('100 rows', :leads, 100, 50, 2, 1.6, 1);
CALL bench.by_batches('10,000 rows', :leads, 10000, 1, 2, 1.45, 10);
CALL bench.by_copy('COPY of 20,000', :leads, 20000, 2, 1.55, 20, '{plain, product, deferred, by_row, by_row_caps, by_statement, caps, floor}');
\else
CALL bench.by_batches('100 rows', :leads, 100, 50, 5, 1.6, 1);
CALL bench.by_batches('10,000 rows', :leads, 10000, 1, 5, 1.45, 10);
CALL bench.by_copy('COPY of 100,000', :leads, 100000, 5, 1.55, 20, '{plain, product, deferred, by_row, by_row_caps, by_statement, caps, floor}');
CALL bench.by_copy('COPY of 1,000,000', :leads, 1000000, 3, 1.15, 30, '{plain, product, by_statement, floor}');
\endif
SELECT * FROM bench.report;
