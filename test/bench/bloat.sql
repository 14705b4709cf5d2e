-- What the live path writes: the share of updates of the state that are HOT, how
-- much the tables grow, and WAL an activity, by the fillfactor of
-- <leads>_qualification and by how eager autovacuum is on it.  300,000
-- activities in statements of 100 (QUICK=1: 10,000, autovacuum as it usually is, two fillfactors) for 6,000 leads (QUICK=1: 1,000), for each
-- setting from a table that has just been rewritten.  Then WAL of statements of
-- 1, 100 and 10,000 rows, beside the same without a trigger; other databases of
-- the server must be idle then.
--
-- Goal of what attach sets: at least 95 % of the updates HOT, the table at most
-- twice what its rows take without any room.

\ir common.sql
\ir tables.sql

\if :quick
\set leads 1000
\set blocks 1
\else
\set leads 6000
\set blocks 30
\endif

-- What is set; NULL: as attach sets it.
CREATE TABLE bench.shape (n int PRIMARY KEY, name text, what text, fillfactor int, vacuum text);
INSERT INTO bench.shape VALUES (0, 'plain', 'no trigger', NULL, NULL), (1, 'shipped', 'as attached', NULL, NULL);
INSERT INTO bench.shape SELECT 1 + row_number() OVER (), 'ff' || f || v, format('fillfactor %s, autovacuum %s', f, v), f,
	CASE v WHEN 'off' THEN 'autovacuum_enabled = off'
		WHEN 'eager' THEN 'autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 500, autovacuum_vacuum_cost_delay = 0' END
FROM unnest(CASE WHEN :'quick' THEN '{50, 100}' ELSE '{50, 70, 80, 90, 100}' END::int[]) f, unnest(CASE WHEN :'quick' THEN '{usual}' ELSE '{off, usual, eager}' END::text[]) v;
CREATE TABLE bench.measured (name text, relation text, moment text, size bigint, indexes bigint, updates bigint, hot bigint, wal numeric, packed bigint,
	at timestamptz DEFAULT clock_timestamp());
-- so that in this short a time autovacuum comes as often as it would in hours
ALTER SYSTEM SET autovacuum_naptime = '1s';
SELECT FROM pg_reload_conf() \g /dev/null

-- packed is what the rows of the state take without any room
CREATE FUNCTION bench.measure(name text, moment text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO bench.measured SELECT schemaname, relname, moment, pg_relation_size(relid), pg_indexes_size(relid), n_tup_upd, n_tup_hot_upd,
		pg_current_wal_insert_lsn() - '0/0'
	FROM pg_stat_user_tables WHERE schemaname = measure.name;
	IF moment = 'after' AND to_regclass(name || '.lead_qualification') IS NOT NULL THEN
		EXECUTE format('CREATE UNLOGGED TABLE bench.packed AS TABLE %I.lead_qualification', name);
		UPDATE bench.measured m SET packed = pg_relation_size('bench.packed')
		WHERE m.name = measure.name AND relation = 'lead_qualification' AND m.moment = 'after';
		DROP TABLE bench.packed;
	END IF;
END $$;

CREATE TYPE bench.activity AS (lead_id int, type text, occurred_at timestamptz, campaign_id int);

-- a block of activities in statements of some rows
CREATE PROCEDURE bench.insert_block(name text, leads int, block int, n int, size int) LANGUAGE plpgsql AS $$
DECLARE
	rows bench.activity[];
BEGIN
	rows := ARRAY(SELECT a::bench.activity FROM bench.activities(leads, block, n, '3 days') a);
	FOR i IN 0 .. n / size - 1 LOOP
		EXECUTE format('INSERT INTO %I.activity (lead_id, type, occurred_at, campaign_id) SELECT (a).* FROM unnest($1) a', name)
			USING rows[i * size + 1 : (i + 1) * size];
		COMMIT;
	END LOOP;
END $$;

SELECT bench.tables(name) FROM bench.shape ORDER BY n \g /dev/null
SELECT lead_qualify.attach(name, format('%I.lead', name)::regclass, format('%I.activity', name)::regclass, time_zone => 'UTC')
FROM bench.shape WHERE n > 0 ORDER BY n \g /dev/null
SELECT bench.leads(name, :leads) FROM bench.shape ORDER BY n \g /dev/null
SELECT format('INSERT INTO %I.activity (lead_id, type, occurred_at, campaign_id) SELECT * FROM bench.activities(%s, 0, 5 * %2$s)', name, :leads)
FROM bench.shape ORDER BY n \gexec
SELECT format('ALTER TABLE %I.lead_qualification SET (fillfactor = %s)', name, fillfactor) FROM bench.shape WHERE fillfactor IS NOT NULL \gexec
SELECT format('ALTER TABLE %I.%I SET (%s)', name, relation, vacuum) FROM bench.shape, unnest('{lead, lead_qualification}'::text[]) relation WHERE vacuum IS NOT NULL \gexec
SELECT format('VACUUM (FULL, ANALYZE) %I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname IN (SELECT name FROM bench.shape) \gexec

-- autovacuum has seen all that now; an ANALYZE of it that is still running would
-- hold back what may be pruned
DO $$
BEGIN
	PERFORM pg_sleep(3);
	WHILE EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'autovacuum worker') LOOP
		COMMIT;
		PERFORM pg_sleep(0.5);
	END LOOP;
END $$;

-- Statement by statement and not in one procedure: only then autovacuum hears of
-- the updates.
SET synchronous_commit = off;
\o /dev/null
SELECT CASE block WHEN 4 THEN 'SELECT pg_stat_force_next_flush()' END,
	CASE block WHEN 4 THEN format('SELECT FROM bench.measure(%L, %L)', name, 'before') END,
	format('CALL bench.insert_block(%L, %s, %s, 10000, 100)', name, :leads, block),
	CASE block WHEN 3 + :blocks THEN 'SELECT pg_stat_force_next_flush()' END,
	CASE block WHEN 3 + :blocks THEN format('SELECT FROM bench.measure(%L, %L)', name, 'after') END
FROM bench.shape, generate_series(4, 3 + :blocks) block ORDER BY n, block \gexec
\o

-- WAL by the size of the statement, where nothing else writes
CREATE TABLE bench.wal (name text, size int, bytes numeric);
CREATE PROCEDURE bench.measure_wal(name text, leads int, block int, size int) LANGUAGE plpgsql AS $$
DECLARE
	begun pg_lsn := pg_current_wal_insert_lsn();
BEGIN
	CALL bench.insert_block(name, leads, block, 10000, size);
	INSERT INTO bench.wal VALUES (name, size, (pg_current_wal_insert_lsn() - begun) / 10000.0);
	COMMIT;
END $$;
ALTER SYSTEM RESET autovacuum_naptime;
SELECT FROM pg_reload_conf() \g /dev/null
SELECT format('CALL bench.measure_wal(%L, %s, %s, %s)', name, :leads, 4 + :blocks + i, size)
FROM bench.shape, unnest('{1, 100, 10000}'::int[]) WITH ORDINALITY s (size, i)
WHERE n < 2 OR (name ~ 'off' AND NOT :'quick') ORDER BY n, i \gexec

CREATE VIEW bench.bloat AS
SELECT s.n, s.name, s.what, b.relation, a.updates - b.updates AS updates, 100.0 * (a.hot - b.hot) / nullif(a.updates - b.updates, 0) AS hot,
	b.size AS size_before, a.size, a.packed, a.size::numeric / a.packed AS growth, a.indexes::numeric / nullif(b.indexes, 0) AS index_growth,
	extract(epoch FROM a.at - b.at) AS seconds, (a.wal - b.wal) / (:blocks * 10000.0) AS wal
FROM bench.shape s JOIN bench.measured b USING (name) JOIN bench.measured a USING (name, relation)
WHERE b.moment = 'before' AND a.moment = 'after';

SELECT what, relation, updates, round(hot, 1) AS "HOT %", pg_size_pretty(size_before) AS before, pg_size_pretty(size) AS after, pg_size_pretty(packed) AS packed, round(growth, 2) AS "× packed",
	round(index_growth, 2) AS "indexes ×", round(wal) AS "WAL an activity", round(seconds, 1) AS s
FROM bench.bloat WHERE relation IN ('lead', 'lead_qualification') AND updates > 0 ORDER BY relation DESC, n;
SELECT what, round(max(bytes) FILTER (WHERE size = 1)) AS "1 row", round(max(bytes) FILTER (WHERE size = 100)) AS "100 rows",
	round(max(bytes) FILTER (WHERE size = 10000)) AS "10,000 rows" FROM bench.wal JOIN bench.shape USING (name) GROUP BY n, what ORDER BY n;

INSERT INTO bench.figure
SELECT 'updates of ' || relation || ' that are HOT', what, round(hot, 1), '%', CASE WHEN name = 'shipped' AND relation = 'lead_qualification' THEN '≥ 95' END
FROM bench.bloat WHERE updates > 0 ORDER BY relation, n;
INSERT INTO bench.figure
SELECT 'growth of ' || relation, what, round(growth, 2), 'times its rows packed', CASE WHEN name = 'shipped' AND relation = 'lead_qualification' THEN '≤ 2' END
FROM bench.bloat WHERE packed IS NOT NULL ORDER BY n;
INSERT INTO bench.figure
SELECT 'WAL, statements of ' || size || ' rows', what, round(bytes), 'bytes an activity' FROM bench.wal JOIN bench.shape USING (name) ORDER BY size, n;
