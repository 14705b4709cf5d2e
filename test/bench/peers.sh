#!/usr/bin/env bash
# The funnel of funnel.sql on the same data in other engines, one thread each:
# ClickHouse's windowFunnel (npm chdb) and DuckDB by window functions (npm
# @duckdb/node-api), which are installed into a temporary directory; without npm
# or network this says "skipped".  Interleaved, medians of five; who gets to
# step 4 must be the same number of leads.  PGDATABASE names an empty database.

set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
for tool in node npm; do
	command -v "$tool" >/dev/null || { echo "skipped: there is no $tool"; exit 0; }
done
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
if ! timeout 300 npm install --silent --no-audit --no-fund --prefix "$work" chdb @duckdb/node-api >npm.log 2>&1 ||
	! node -e 'require("chdb"); require("@duckdb/node-api")' >>npm.log 2>&1; then
	echo "skipped: npm cannot install chdb and @duckdb/node-api: $(tail -n 1 npm.log)"
	exit 0
fi

cat >run.sql <<-SQL
	\i $here/common.sql
	\if :quick
	\set leads 10000
	\else
	\set leads 100000
	\endif
	CREATE UNLOGGED TABLE activity (lead_id int, at timestamptz, type int2);
	SET work_mem = '256MB';
	INSERT INTO activity SELECT * FROM bench.events(:leads) ORDER BY at;
	CREATE INDEX ON activity (lead_id, at) INCLUDE (type);
	VACUUM (ANALYZE, FREEZE) activity;
	\copy (SELECT lead_id, (extract(epoch FROM at) * 1000000)::bigint, type FROM activity ORDER BY lead_id, at) TO 'activity.csv' (FORMAT csv)
	INSERT INTO bench.alternative (measure, n, what, run, baseline) VALUES
		('funnel', 1, 'lead_qualify: window_funnel', '', NULL),
		('funnel', 2, 'ClickHouse: windowFunnel', '', 'lead_qualify: window_funnel'),
		('funnel', 3, 'DuckDB: window functions', '', 'lead_qualify: window_funnel');
SQL
psql -X -q -v ON_ERROR_STOP=1 -f run.sql

cat >run.cjs <<-'JS'
	const { execFileSync } = require('child_process');
	const { Session } = require('chdb');
	const { DuckDBInstance } = require('@duckdb/node-api');

	const month = 30 * 86400 * 1000000;
	const warm = "SET max_parallel_workers_per_gather = 0; SET jit = off; SELECT lead_qualify.window_funnel('1 day', now(), true)";
	const ours = `SELECT count(*) FILTER (WHERE level = 4) FROM (SELECT lead_id, lead_qualify.window_funnel('30 days', at,
			type = 1, type = 2, type = 3, type = 4) AS level FROM activity GROUP BY lead_id) x`;
	const clickhouse = `SELECT countIf(level = 4) FROM (SELECT lead_id, windowFunnel(${month})(at,
			type = 1, type = 2, type = 3, type = 4) AS level FROM activity GROUP BY lead_id) SETTINGS max_threads = 1`;
	const duckdb = `SELECT count(DISTINCT lead_id) FROM (
		SELECT *, max(s2) FILTER (WHERE type = 3 AND moment <= s2 + ${month}) OVER w AS s3 FROM (
			SELECT *, max(s1) FILTER (WHERE type = 2 AND moment <= s1 + ${month}) OVER w AS s2 FROM (
				SELECT lead_id, moment, type, max(moment) FILTER (WHERE type = 1) OVER w AS s1
				FROM activity WINDOW w AS (PARTITION BY lead_id ORDER BY moment)) a
			WINDOW w AS (PARTITION BY lead_id ORDER BY moment)) b
		WINDOW w AS (PARTITION BY lead_id ORDER BY moment)) c
		WHERE type = 4 AND moment <= s3 + ${month}`;

	async function main() {
		const session = new Session();
		session.query('CREATE DATABASE IF NOT EXISTS bench ENGINE = Atomic');
		session.query('CREATE TABLE bench.activity (lead_id UInt32, at UInt64, type UInt8) ENGINE = MergeTree ORDER BY (lead_id, at)');
		session.query(`INSERT INTO bench.activity SELECT * FROM file('${process.cwd()}/activity.csv', CSV, 'lead_id UInt32, at UInt64, type UInt8')`);
		session.query('OPTIMIZE TABLE bench.activity FINAL');
		const duck = await (await DuckDBInstance.create(':memory:')).connect();
		await duck.run('SET threads = 1');
		await duck.run("CREATE TABLE activity AS SELECT * FROM read_csv('activity.csv', columns = {lead_id: 'INTEGER', moment: 'BIGINT', type: 'TINYINT'})");

		// each gives the answer; what it took is measured here, or by psql where that is another process
		const engines = [
			['lead_qualify: window_funnel', async () => {
				const lines = execFileSync('psql', ['-X', '-q', '-A', '-t', '-c', warm, '-c', '\\timing on', '-c', ours]).toString().split('\n');
				const time = lines.filter(line => line.startsWith('Time:')).pop();
				return [lines.filter(line => /^\d+$/.test(line)).pop(), parseFloat(time.split(' ')[1]) / 1000];
			}],
			['ClickHouse: windowFunnel', async () => [session.query(clickhouse.replace('FROM activity', 'FROM bench.activity'), 'TSV').trim()]],
			['DuckDB: window functions', async () => [String((await duck.runAndReadAll(duckdb)).getRows()[0][0])]],
		];
		for (let turn = 0; turn <= 5; turn++)
			for (const [what, run] of engines) {
				const begun = process.hrtime.bigint();
				const [answer, seconds] = await run();
				const wall = seconds ?? Number(process.hrtime.bigint() - begun) / 1e9;
				if (turn > 0)
					console.log(['funnel', turn, what, wall, answer].join('\t'));
			}
		session.close();
	}
	main().catch(error => { console.error(String(error)); process.exit(1); });
JS
node run.cjs >run.tsv
psql -X -q -v ON_ERROR_STOP=1 <<-'SQL'
	\copy bench.run (measure, turn, what, wall, answer) FROM 'run.tsv'
	INSERT INTO bench.figure
	SELECT 'funnel', 'engines that give another answer', count(DISTINCT answer) - 1, NULL, '0', count(DISTINCT answer) = 1 FROM bench.run;
	\pset footer off
	SELECT * FROM bench.report;
	SELECT * FROM bench.figure;
SQL
