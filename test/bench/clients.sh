#!/usr/bin/env bash
# Single activities as an application inserts them, each a transaction, and two
# sessions that insert 100 a statement: lead_qualify (template b2b) beside no
# trigger and the triggers that people write, in turns of some seconds each.
# Goals: 1.25 times no trigger where each commit waits for the disk, 1.4 where
# it does not, 1.7 and no deadlock for two sessions.
#
# Called by scripts/bench.sh with a new database in PGDATABASE.

set -euo pipefail
cd "$(dirname "$0")"

turns=5 seconds=2 leads=100000 first=0
[ "${QUICK:-0}" != 1 ] || turns=1 seconds=1 leads=5000 first=1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

sql() { psql -X -q -At -v ON_ERROR_STOP=1 "$@"; }

cat >"$dir/one" <<-SQL
	\\set l random(1, $leads)
	\\set t random(1, 12)
	INSERT INTO activity (lead_id, type, occurred_at) VALUES (:l, (ARRAY['page_view', 'page_view', 'page_view', 'page_view', 'email_open', 'email_open', 'email_open', 'email_click',
		'form_submit', 'webinar_attended', 'newsletter_signup', 'whitepaper_download'])[:t], now());
SQL
cat >"$dir/hundred" <<-SQL
	\\set b random(100, 1000000)
	INSERT INTO activity (lead_id, type, occurred_at) SELECT lead_id, type, now() FROM bench.activities($leads, :b, 100);
SQL

sql -v leads=$leads <<-'SQL' >/dev/null
	\ir common.sql
	\ir tables.sql
	\ir triggers.sql
	SELECT format('VACUUM (ANALYZE) %I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname IN (SELECT name FROM bench.way) \gexec
	INSERT INTO bench.alternative (measure, n, what, run, units, baseline, goal)
	SELECT m, n, what, 'pgbench', 1, nullif('no trigger', what), CASE n WHEN 2 THEN goal END
	FROM bench.way, (VALUES ('1 row, commits wait', 1.25), ('1 row', 1.4), ('100 rows, 2 sessions', 1.7)) m (m, goal) WHERE name <> 'deferred';
SQL

# one turn: measure $1, turn $2, schema $3, synchronous_commit $4; the rest is for pgbench
turn()
{
	local measure=$1 turn=$2 schema=$3 commit=$4 words

	shift 4
	words=$(PGOPTIONS="-c search_path=$schema -c client_min_messages=warning -c synchronous_commit=$commit" \
		pgbench -n -M prepared --failures-detailed --max-tries=1 --random-seed="$turn" -T $seconds "$@" 2>&1) || { echo "$words"; exit 1; }
	sql -v measure="$measure" -v turn="$turn" -v schema="$schema" \
		-v seconds="$(sed -n 's/^tps = \([0-9.]*\).*/\1/p' <<<"$words")" \
		-v deadlocks="$(sed -n 's/^number of deadlock failures: \([0-9]*\).*/\1/p' <<<"$words")" <<-'SQL'
		INSERT INTO bench.run (measure, turn, what, wall) SELECT :'measure', :turn, what, 1 / :seconds FROM bench.way WHERE name = :'schema';
		INSERT INTO bench.figure SELECT :'measure', what || ': deadlocks', 0, NULL, CASE n WHEN 2 THEN '0' END FROM bench.way
		WHERE name = :'schema' AND NOT EXISTS (SELECT FROM bench.figure f WHERE f.measure = :'measure' AND f.what = bench.way.what || ': deadlocks');
		UPDATE bench.figure f SET value = value + :deadlocks, met = CASE WHEN goal IS NOT NULL THEN value + :deadlocks = 0 END
		FROM bench.way w WHERE f.measure = :'measure' AND f.what = w.what || ': deadlocks' AND w.name = :'schema';
	SQL
}

for ((i = first; i <= turns; i++)); do
	for schema in plain product by_row by_row_caps by_statement caps; do
		turn '1 row, commits wait' $i $schema on -f "$dir/one"
		turn '1 row' $i $schema off -f "$dir/one"
		turn '100 rows, 2 sessions' $i $schema off -c 2 -j 2 -f "$dir/hundred"
	done
done
psql -X -q <<-'SQL'
	\pset footer off
	DELETE FROM bench.run WHERE turn = 0;
	SELECT * FROM bench.report;
	SELECT * FROM bench.figure;
SQL
