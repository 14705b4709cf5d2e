#!/usr/bin/env bash
# Many sessions: 16 that insert 1, 5 and 100 activities a statement, half of the
# rows for 50 hot leads, the others for 20,000, in any order; without a trigger,
# with the whole product (template b2b) and with fire => 'deferred', in short
# turns, so that what slows the machine down slows all three.  The loads are
#
#	cold	all rows for any of the 20,000 leads
#	hot	as above
#	busy	as above, beside a session that runs reports and reads the views, one
#		that edits the draft and publishes, and one that recomputes leads.  These
#		three work on a pipeline in the turns without a trigger, too: on the one
#		of fire => 'statement', into which nobody inserts then.
#
# Then transactions of two statements that touch hot leads in opposite order,
# which is the application's own collision: such may deadlock, but not with
# fire => 'deferred'.
#
# Fails if a single statement was ever a deadlock's victim, if any session met
# another error, or if a point was lost: verify() returns a row, or a rule that
# only counts has counted anything but the activities.
#
# Called by scripts/bench.sh with a new database in PGDATABASE.  Two rounds of
# 60 seconds busy, 10 seconds of the others; QUICK=1: one of 4 and 1, and
# 4,000 leads.

set -euo pipefail
cd "$(dirname "$0")"

clients=16 leads=20000 hot=50
rounds=2 busy_seconds=60 other_seconds=10 clash_seconds=8
[ "${QUICK:-0}" != 1 ] || { rounds=1 busy_seconds=4 other_seconds=1 clash_seconds=1 leads=4000; }
dir=$(mktemp -d)
others=()						# the sessions beside those that insert
trap 'kill "${others[@]}" 2>/dev/null || true; rm -rf "$dir"' EXIT

sql() { psql -X -q -At -v ON_ERROR_STOP=1 "$@"; }

# ------------------------------------------------------------------ scripts

# a hot lead or any, as pgbench draws it, into the variables l$1 and t$1
draw()
{
	printf '\\set l%s CASE WHEN random(0, 1) < :hot THEN random(1, %s) * %s ELSE random(1, %s) END\n' \
		"$1" $hot $((leads / hot)) $leads
	printf '\\set t%s random(1, 12)\n' "$1"
}
values() { printf "(:l%s, (bench.types())[:t%s], now())" "$1" "$1"; }

{
	draw 1
	printf 'INSERT INTO activity (lead_id, type, occurred_at) VALUES %s;\n' "$(values 1)"
} >"$dir/rows_1"
{
	for i in 1 2 3 4 5; do draw $i; done
	printf 'INSERT INTO activity (lead_id, type, occurred_at) VALUES %s, %s, %s, %s, %s;\n' \
		"$(values 1)" "$(values 2)" "$(values 3)" "$(values 4)" "$(values 5)"
} >"$dir/rows_5"
cat >"$dir/rows_100" <<-'SQL'
	\set seed random(1, 1000000000)
	INSERT INTO activity (lead_id, type, occurred_at) SELECT lead_id, type, now() FROM bench.draw(:seed, 100, :hot);
SQL
cat >"$dir/clash" <<-SQL
	\set a random(1, $hot) * $((leads / hot))
	\set b random(1, $hot) * $((leads / hot))
	BEGIN;
	INSERT INTO activity (lead_id, type, occurred_at) VALUES (:a, 'page_view', now());
	INSERT INTO activity (lead_id, type, occurred_at) VALUES (:b, 'email_open', now());
	COMMIT;
SQL
cat >"$dir/reports" <<-'SQL'
	SELECT count(rate) FROM lead_qualify.conversion_report(current_schema());
	SELECT count(step_rate) FROM lead_qualify.funnel_report(current_schema());
	SELECT count(lead) FROM lead_qualify.journeys(current_schema());
	SELECT max(total), count(next_question) FROM lead_scored;
	SELECT count(step_rate) FROM lead_funnel;
	SELECT count(rate) FROM lead_conversion_monthly;
	SELECT count(business_due_at) FROM lead_sla_due;
	\sleep 500 ms
SQL
cat >"$dir/publish" <<-'SQL'
	UPDATE lead_qualify.rule SET points = 1 + points::int % 3 WHERE pipeline = current_schema() AND name = 'page_view';
	SELECT lead_qualify.publish(current_schema());
	\sleep 1 s
SQL
cat >"$dir/recompute_some" <<-SQL
	SELECT lead_qualify.recompute(current_schema(), (SELECT array_agg((i * $((leads / hot)))::text) FROM generate_series(1, $hot) i));
	\\sleep 1 s
SQL
cat >"$dir/recompute_all" <<-'SQL'
	CALL lead_qualify.recompute_all(current_schema(), 500);
	\sleep 1 s
SQL
cat >"$dir/recompute_at_once" <<-'SQL'
	SELECT lead_qualify.recompute(current_schema());
	\sleep 1 s
SQL

# ------------------------------------------------------------------- tables

sql -v leads=$leads -v hot=$hot <<-'SQL' >/dev/null
	\ir common.sql
	\ir tables.sql

	CREATE FUNCTION bench.types() RETURNS text[] IMMUTABLE LANGUAGE sql AS
		$$ SELECT ARRAY['page_view', 'page_view', 'page_view', 'page_view', 'email_open', 'email_open', 'email_open', 'email_click',
			'form_submit', 'webinar_attended', 'newsletter_signup', 'whitepaper_download'] $$;
	-- leads and types like those that pgbench draws for the small statements
	SELECT format($f$CREATE FUNCTION bench.draw(seed int, n int, hot int) RETURNS TABLE (lead_id int, type text) STABLE LANGUAGE sql AS $$
		SELECT CASE WHEN hashint8extended(i, seed) & 1 < hot THEN (%2$s / %1$s) * (1 + (hashint8extended(i, seed) >> 1 & 1048575) %% %1$s)
				ELSE 1 + (hashint8extended(i, seed) >> 1 & 1048575) %% %2$s END::int,
			(bench.types())[1 + (hashint8extended(i, seed) >> 32 & 1048575) %% 12]
		FROM generate_series(1, n) i $$ $f$, :hot, :leads) \gexec

	CREATE TABLE bench.way (n int, name text, what text);
	INSERT INTO bench.way VALUES (1, 'plain', 'no trigger'), (2, 'product', 'lead_qualify'), (3, 'deferred', 'lead_qualify, deferred');
	SELECT bench.tables(name) FROM bench.way ORDER BY n;
	SELECT lead_qualify.attach('product', 'product.lead', 'product.activity', time_zone => 'UTC');
	SELECT lead_qualify.attach('deferred', 'deferred.lead', 'deferred.activity', time_zone => 'UTC', fire => 'deferred');
	-- A rule that counts, without decay and bounds: its points can be counted
	-- in the activities, too.  Its dimension has no part in the total.
	INSERT INTO lead_qualify.dimension (pipeline, dimension, weight) SELECT name, 'opens', 0 FROM bench.way WHERE n > 1;
	INSERT INTO lead_qualify.rule (pipeline, name, dimension, activity_type, points, decay)
	SELECT name, 'opens', 'opens', 'email_open', 1, 'none' FROM bench.way WHERE n > 1;
	SELECT lead_qualify.publish(name, effective_from => '-infinity') FROM bench.way WHERE n > 1;
	SELECT bench.leads(name, :leads) FROM bench.way ORDER BY n;
	SELECT format('INSERT INTO %I.activity (lead_id, type, occurred_at, campaign_id) SELECT * FROM bench.activities(%s, %s, %2$s / 5)', name, :leads, block)
	FROM bench.way, generate_series(0, 24) block ORDER BY n, block \gexec
	SELECT format('VACUUM (ANALYZE) %I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname IN (SELECT name FROM bench.way) \gexec

	CREATE UNLOGGED TABLE bench.latency (script int, us int);
	-- what pgbench told: transactions that deadlocks or serialization ended, clients that another error ended
	CREATE TABLE bench.told (way text, load text, who text, sqlstate text, n int);
SQL

# -------------------------------------------------------------------- turns

# pgbench on the tables of schema $1, its words in file $2; further arguments are for it
run_pgbench()
{
	local schema=$1 words=$2

	shift 2
	# the status is 2 if a client ended early: its words tell why
	PGOPTIONS="-c search_path=$schema -c client_min_messages=warning -c max_parallel_workers_per_gather=0 -c synchronous_commit=off" \
		pgbench -n --failures-detailed --max-tries=1 "$@" >"$words" 2>&1 || [ $? = 2 ]
}

# keeps what pgbench told in file $4 of sessions $3 of alternative $1 under load $2
tell()
{
	local n

	n=$(sed -n 's/^number of deadlock failures: \([0-9]*\).*/\1/p' "$4")
	[ -n "$n" ] || { cat "$4" >&2; exit 1; }
	sql -c "INSERT INTO bench.told VALUES ('$1', '$2', '$3', '40P01', $n)"
	n=$(sed -n 's/^number of serialization failures: \([0-9]*\).*/\1/p' "$4")
	sql -c "INSERT INTO bench.told VALUES ('$1', '$2', '$3', '40001', $n)"
	n=$(grep -c 'aborted in' "$4" || true)
	sql -c "INSERT INTO bench.told VALUES ('$1', '$2', '$3', 'others', $n)"
	if [ "$n" != 0 ]; then
		echo "$1, $2, $3:"
		grep -A 3 'aborted in' "$4" | head -n 20
	fi
}

# one turn: alternative $1, load $2, number $3, seconds $4, then what pgbench is to run
turn()
{
	local way=$1 load=$2 number=$3 seconds=$4 pipeline=$1 who tps

	shift 4
	[ "$way" != plain ] || pipeline=product
	rm -f "$dir"/log.*
	if [ "$load" = busy ]; then
		run_pgbench $pipeline "$dir/words_reports" -c 1 -T "$seconds" -f "$dir/reports" &
		others+=($!)
		run_pgbench $pipeline "$dir/words_publish" -c 1 -T "$seconds" -f "$dir/publish" &
		others+=($!)
		run_pgbench $pipeline "$dir/words_recompute" -c 1 -T "$seconds" --random-seed="$number" \
			-f "$dir/recompute_some"@6 -f "$dir/recompute_all"@3 -f "$dir/recompute_at_once"@1 &
		others+=($!)
	fi
	run_pgbench "$way" "$dir/words_insert" -c $clients -j 2 -T "$seconds" -M prepared --random-seed="$number" \
		--log --log-prefix="$dir/log" "$@"
	wait
	others=()
	for who in insert $([ "$load" != busy ] || echo reports publish recompute); do
		tell "$way" "$load" "$who" "$dir/words_$who"
	done
	tps=$(sed -n 's/^tps = \([0-9.]*\).*/\1/p' "$dir/words_insert")
	sql -c 'TRUNCATE bench.latency'
	# client, transaction, microseconds or why it failed, script
	awk '$3 ~ /^[0-9]+$/ { print $4 "\t" $3 }' "$dir"/log.* | sql -c 'COPY bench.latency FROM STDIN'
	sql -v way="$way" -v load="$load" -v turn="$number" -v tps="$tps" <<-'SQL'
		INSERT INTO bench.run (measure, turn, what, wall)
		SELECT m.measure, :turn, w.what, m.seconds
		FROM bench.way w, (
			SELECT CASE WHEN :'load' = 'clash' THEN 'two statements' ELSE (ARRAY[1, 5, 100])[script + 1] || ' rows' END || ', ' || :'load' || ': ' || q AS measure,
				percentile_cont(CASE q WHEN 'p50' THEN 0.5 ELSE 0.99 END) WITHIN GROUP (ORDER BY us) / 1e6 AS seconds
			FROM bench.latency, unnest('{p50, p99}'::text[]) q GROUP BY script, q
			UNION ALL
			SELECT CASE WHEN :'load' = 'clash' THEN 'two statements, clash: ' ELSE 'all, ' || :'load' || ': ' END || '1 / tps', 1 / :tps) m
		WHERE w.name = :'way';
	SQL
	printf '%s %-6s %-9s %9.1f transactions a second\n' "$number" "$load" "$way" "$tps"
}

sql <<-'SQL'
	INSERT INTO bench.alternative (measure, n, what, run, baseline)
	SELECT m, n, what, 'pgbench', 'no trigger' FROM bench.way, (
		SELECT r || ' rows, ' || load || ': ' || q AS m FROM unnest(ARRAY[1, 5, 100]) r, unnest('{cold, hot, busy}'::text[]) load, unnest('{p50, p99}'::text[]) q
		UNION ALL SELECT 'all, ' || load || ': 1 / tps' FROM unnest('{cold, hot, busy}'::text[]) load
		UNION ALL SELECT 'two statements, clash: ' || q FROM unnest('{p50, p99, 1 / tps}'::text[]) q) x;
SQL
deadlocks_before=$(sql -c 'SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()')
echo "$clients sessions insert, $rounds rounds:"
batches=(-f "$dir/rows_1@10" -f "$dir/rows_5@3" -f "$dir/rows_100@1")
for ((i = 1; i <= rounds; i++)); do
	for way in plain product deferred; do
		turn $way cold $i $other_seconds -D hot=0 "${batches[@]}"
	done
	for way in plain product deferred; do
		turn $way hot $i $other_seconds -D hot=1 "${batches[@]}"
	done
	for way in plain product deferred; do
		turn $way busy $i $busy_seconds -D hot=1 "${batches[@]}"
	done
done
# the server's own count, of sessions that pgbench does not know, too
sql -c 'SELECT pg_stat_clear_snapshot()' >/dev/null
deadlocks=$(sql -c 'SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()')
for ((i = 1; i <= rounds; i++)); do
	for way in plain product deferred; do
		turn $way clash $i $clash_seconds -f "$dir/clash"
	done
done

# ------------------------------------------------------------------ results

sql -v deadlocks=$((deadlocks - deadlocks_before)) <<-'SQL'
	INSERT INTO bench.figure
	SELECT 'failed transactions, ' || load, w.what || ', ' || who || ': ' || sqlstate, sum(t.n), 'in all turns',
		CASE WHEN load = 'clash' AND w.name = 'product' THEN NULL ELSE '0' END
	FROM bench.told t JOIN bench.way w ON w.name = t.way GROUP BY load, w.n, w.name, w.what, who, sqlstate ORDER BY load DESC, w.n, who, sqlstate;
	INSERT INTO bench.figure VALUES ('failed transactions', 'deadlocks of the server, without clash', :deadlocks, 'in all turns', '0');
	SELECT format('INSERT INTO bench.figure SELECT %L, %L, count(*), %L, %L FROM lead_qualify.verify(%L)', 'lost points', what || ': verify', 'rows', '0', name)
	FROM bench.way WHERE n > 1 ORDER BY n \gexec
	SELECT format($q$INSERT INTO bench.figure SELECT %L, %L, count(*), 'leads', '0'
		FROM (SELECT lead_id AS lead, count(*) FROM %3$I.activity WHERE type = 'email_open' GROUP BY 1) a
			FULL JOIN (SELECT lead, lead_qualify.points(score, 'opens', now()) AS points FROM %3$I.lead_qualification) q USING (lead)
		WHERE coalesce(a.count, 0) IS DISTINCT FROM q.points$q$, 'lost points', what || ': counted otherwise', name)
	FROM bench.way WHERE n > 1 ORDER BY n \gexec
	SELECT format('INSERT INTO bench.figure SELECT %L, %L, count(*), %L FROM %I.activity', 'activities', what, 'rows', name) FROM bench.way ORDER BY n \gexec

	\pset footer off
	\pset format aligned
	\pset tuples_only off
	\echo
	\echo 'Latency and throughput: medians of the rounds; × is the median of the ratios of each round to its turn without a trigger'
	SELECT split_part(measure, ', ', 2) AS load, CASE WHEN measure ~ 'tps' THEN 'transactions a second' ELSE replace(split_part(measure, ', ', 1), '1 rows', '1 row') END AS what,
		substring(measure FROM 'p\d\d') AS " ", CASE WHEN measure ~ 'tps' THEN '' ELSE 'ms' END AS unit,
		max(figure) FILTER (WHERE what = 'no trigger') AS "no trigger",
		max(figure) FILTER (WHERE what = 'lead_qualify') AS lead_qualify, round((max(ratio) FILTER (WHERE what = 'lead_qualify'))::numeric, 2) AS "×",
		max(figure) FILTER (WHERE what = 'lead_qualify, deferred') AS deferred, round((max(ratio) FILTER (WHERE what = 'lead_qualify, deferred'))::numeric, 2) AS "×"
	FROM (SELECT replace(measure, ': ', ', ') AS measure, what, ratio, round((CASE WHEN measure ~ 'tps' THEN 1 / seconds ELSE seconds * 1000 END)::numeric, 2) AS figure FROM bench.result) r
	GROUP BY measure
	ORDER BY array_position('{cold, hot, busy, clash}'::text[], split_part(measure, ', ', 2)), measure ~ 'tps', length(split_part(measure, ', ', 1)), split_part(measure, ', ', 1), measure;
	\echo 'Failed transactions and lost points (of those that are 0, only the chief ones)'
	SELECT measure, what, value, unit, goal FROM bench.figure WHERE value <> 0 OR what ~ 'insert: 40P01|verify|otherwise|server';
	DO $$
	DECLARE
		f record;
	BEGIN
		FOR f IN SELECT * FROM bench.figure WHERE goal = '0' AND value <> 0 LOOP
			RAISE EXCEPTION '%, %: % %, goal 0', f.measure, f.what, f.value, f.unit;
		END LOOP;
	END $$;
SQL
