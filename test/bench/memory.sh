#!/usr/bin/env bash
# What one session holds privately (RssAnon of its process: no shared buffers)
# while it loads, replays and inserts: a COPY of 5,000,000 activities, the replay
# of all of them, and 1,000,000 single inserts, each a transaction.  Goal: less
# than 256 MB above what the session had before the statement.  QUICK=1: fewer
# of all.
#
# The same COPY without a trigger stands beside it; fire => 'deferred', which
# keeps the rows of a transaction by design, too, with a tenth and without a goal.
#
# Called by scripts/bench.sh with a new database in PGDATABASE.  Linux only.

set -euo pipefail
cd "$(dirname "$0")"

limit=256
leads=100000 rows=5000000 singles=1000000 statements=20000
if [ "${QUICK:-0}" = 1 ]; then
	leads=10000 rows=150000 singles=10000 statements=1000
fi
if [ ! -r /proc/self/status ]; then
	echo "memory: there is no /proc/self/status here, so nothing is measured"
	exit 0
fi
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

sql() { psql -X -q -At -v ON_ERROR_STOP=1 "$@"; }

# kB of private memory of process $1; nothing if it is gone
private_memory()
{
	local key value rest

	while read -r key value rest; do
		[ "$key" != RssAnon: ] || echo "$value"
	done 2>/dev/null <"/proc/$1/status" || true
}

# Runs the statements of standard input in a session of its own, samples that
# session's memory all the while, and keeps the peak above its beginning.
#	$1 what is measured, $2 of which alternative, $3 goal in MB or nothing
measure()
{
	local psql_pid pid= begun peak=0 now started=$EPOCHREALTIME

	: >"$dir/pid"
	{
		# a first statement, so that the catalog caches are there
		printf 'SELECT count(*) FROM bench.figure \\g /dev/null\n'
		printf 'SELECT pg_backend_pid() \\g %s\n' "$dir/pid"
		printf '\\! while [ -e %s ]; do sleep 0.02; done\n' "$dir/pid"
		cat
	} >"$dir/script"
	sql -f "$dir/script" >"$dir/out" &
	psql_pid=$!
	while [ -z "$pid" ]; do
		sleep 0.02
		read -r pid <"$dir/pid" || kill -0 "$psql_pid"
	done
	begun=$(private_memory "$pid")
	rm "$dir/pid"					# go
	while kill -0 "$psql_pid" 2>/dev/null; do
		now=$(private_memory "$pid")
		[ "${now:-0}" -le "$peak" ] || peak=$now
		sleep 0.05
	done
	wait "$psql_pid"
	now=$(( (${EPOCHREALTIME/[.,]/} - ${started/[.,]/}) / 1000 ))
	sql -v measure="$1" -v what="$2" -v goal="$3" -v kb=$((peak - begun)) -v ms=$now <<-'SQL'
		INSERT INTO bench.figure VALUES (:'measure', :'what', round(:kb / 1024.0, 1), 'MB', '< ' || nullif(:'goal', '')),
			(:'measure', :'what' || ': time', round(:ms / 1000.0, 1), 's', NULL);
	SQL
	printf '%-26s %-42s %8.1f MB above %5.1f MB  %7.1f s\n' "$1" "$2" \
		"$(awk "BEGIN { print ($peak - $begun) / 1024 }")" "$(awk "BEGIN { print $begun / 1024 }")" "$(awk "BEGIN { print $now / 1000 }")"
}

sql -v leads=$leads -v rows=$rows <<-'SQL' >/dev/null
	\ir common.sql
	\ir tables.sql

	-- What the session holds by PostgreSQL's own account, when an insert is the n-th
	CREATE TABLE bench.memory (name text, n int, bytes bigint, private float8);
	CREATE FUNCTION bench.note_memory(name text, n int) RETURNS void LANGUAGE sql AS $$
		INSERT INTO bench.memory SELECT note_memory.name, note_memory.n, sum(used_bytes),
			substring(pg_read_file('/proc/self/status') FROM 'RssAnon:\s+(\d+)')::float8 / 1024
		FROM pg_backend_memory_contexts $$;
	CREATE PROCEDURE bench.singles(name text, leads int, block int, times int) LANGUAGE plpgsql AS $$
	DECLARE
		insertion text := format('INSERT INTO %I.activity (lead_id, type, occurred_at, campaign_id) VALUES ($1, $2, $3, $4)', name);
		part int := times / 100;	-- the draw of a whole million would be memory, too
		a record;
	BEGIN
		FOR i IN 0 .. 99 LOOP
			FOR a IN SELECT * FROM bench.activities(leads, block + i, part, '3 days') LOOP
				EXECUTE insertion USING a.lead_id, a.type, a.occurred_at, a.campaign_id;
				COMMIT;
			END LOOP;
			IF i IN (9, 49, 99) THEN
				PERFORM bench.note_memory(name, (i + 1) * part);
			END IF;
		END LOOP;
	END $$;

	SELECT bench.tables(name) FROM unnest('{plain, product, deferred}'::text[]) name;
	SELECT lead_qualify.attach('product', 'product.lead', 'product.activity', time_zone => 'UTC');
	SELECT lead_qualify.attach('deferred', 'deferred.lead', 'deferred.activity', time_zone => 'UTC', fire => 'deferred');
	SELECT bench.leads(name, :leads) FROM unnest('{plain, product, deferred}'::text[]) name;
	SELECT format('COPY (SELECT * FROM bench.activities(%s, 0, %s)) TO %L', :leads, :rows, current_setting('data_directory') || '/bench_copy'),
		format('COPY (SELECT * FROM bench.activities(%s, 0, %s)) TO %L', :leads, :rows / 10, current_setting('data_directory') || '/bench_copy_tenth') \gexec
	VACUUM ANALYZE;
SQL
file=$(sql -c "SELECT current_setting('data_directory') || '/bench_copy'")

copy_into() { echo "COPY $1.activity (lead_id, type, occurred_at, campaign_id) FROM '$file$2';"; }

echo "Private memory of the session at its peak, above its beginning:"
copy_into plain '' | measure "COPY of $rows" 'no trigger' ''
copy_into product '' | measure "COPY of $rows" 'lead_qualify' $limit
copy_into deferred _tenth | measure "COPY of $((rows / 10))" 'lead_qualify, deferred' ''
echo "CALL lead_qualify.recompute_all('product');" | measure "replay of $rows" 'recompute_all' $limit
echo "SELECT lead_qualify.recompute('product') \g /dev/null" | measure "replay of $rows" 'recompute, one transaction' $limit
echo "SELECT count(*) FROM lead_qualify.verify('product') \g /dev/null" | measure "replay of $rows" 'verify' $limit
for name in plain product deferred; do
	what='no trigger'
	[ $name = plain ] || what=lead_qualify
	[ $name != deferred ] || what='lead_qualify, deferred'
	measure "$singles single inserts" "$what" $limit <<-SQL
		SET synchronous_commit = off;
		CALL bench.singles('$name', $leads, 4, $singles);
	SQL
done
measure "$statements client statements" 'lead_qualify' $limit <<-SQL
	SET synchronous_commit = off;
	\o /dev/null
	SELECT format('INSERT INTO product.activity (lead_id, type, occurred_at, campaign_id) VALUES (%s, %L, %L, %s)', lead_id, type, occurred_at, campaign_id),
		CASE WHEN i IN ($statements / 10, $statements / 2, $statements) THEN format('SELECT FROM bench.note_memory(%L, %s)', 'client', i) END
	FROM bench.activities($leads, 104, $statements, '3 days') WITH ORDINALITY a (lead_id, type, occurred_at, campaign_id, i) \gexec
SQL

echo
echo "Single inserts: what the memory contexts of the session hold after so many"
sql <<-'SQL'
	\pset footer off
	\pset format aligned
	\pset tuples_only off
	-- PL/pgSQL keeps a little of each COMMIT, which has to be taken off; client statements are none of its
	CREATE VIEW bench.beyond AS
	SELECT m.name, m.n, m.bytes, m.bytes - coalesce(p.bytes, 0) AS beyond, m.private FROM bench.memory m LEFT JOIN bench.memory p ON p.n = m.n AND p.name = 'plain' AND m.name <> 'client';
	SELECT name, n, round(bytes / 1024.0) AS "used kB", round(beyond / 1024.0) AS "beyond plain kB", round(private::numeric, 1) AS "private MB"
	FROM bench.beyond ORDER BY name DESC, n;
	INSERT INTO bench.figure SELECT 'memory contexts beyond those without a trigger', name || ' after ' || n || ' inserts', round(beyond / 1024.0), 'kB', NULL
	FROM bench.beyond WHERE name <> 'plain';
SQL
rm -f "$file" "${file}_tenth" 2>/dev/null || true

# The caches fill in the first half; what grows after that grows for ever.  Half of
# the client statements are few, so what a cache still takes is allowed for.
sql <<-'SQL'
	DO $$
	DECLARE
		f record;
	BEGIN
		FOR f IN SELECT * FROM bench.figure WHERE unit = 'MB' AND goal IS NOT NULL AND value >= substring(goal FROM '\d+')::numeric LOOP
			RAISE EXCEPTION '%, %: % MB, goal %', f.measure, f.what, f.value, f.goal;
		END LOOP;
		FOR f IN SELECT name, b.beyond - a.beyond AS grown FROM bench.beyond a JOIN bench.beyond b USING (name) WHERE b.n = 2 * a.n
			AND b.beyond - a.beyond > CASE name WHEN 'client' THEN 524288 ELSE 65536 END LOOP
			RAISE EXCEPTION 'single inserts, %: the session grows by % bytes', f.name, f.grown;
		END LOOP;
	END $$;
SQL
