#!/usr/bin/env bash
# make bench: what things cost, against their baseline in the same run, in a
# throw-away server that is as durable as one in production.
#
#	QUICK=1			smaller data, a few minutes in all
#	BENCHES="frameworks"	only these of test/bench/*.sql and *.sh
#	TMPDIR=...		where the server's files are; in memory, commits cost nothing
#	PG_CONFIG=...		the PostgreSQL to use, as in test.sh
#
# Each benchmark has a database of its own.  What it found is kept as
# test/bench/results/<benchmark>.json (QUICK=1: results/quick), and what has
# become of the goals is said at the end.

. "$(dirname "$0")/lib.sh"

export QUICK=${QUICK:-0}
results=$top/test/bench/results
[ "$QUICK" = 0 ] || results=$results/quick
goals=
ran=

machine()
{
	sed -n 's/^model name[^:]*: *//p' /proc/cpuinfo 2>/dev/null | head -n 1 | grep . || uname -m
}

query() { as_user "$server_bin/psql" -X -q -A -t -v ON_ERROR_STOP=1 "$@"; }

run()
{
	case $1 in
		*.sql) as_user "$server_bin/psql" -X -q -v ON_ERROR_STOP=1 -f "$1" ;;
		*.sh) as_user bash "$1" ;;
	esac || die "the benchmark $name failed"
}

keep_results()
{
	if [ -z "$(query -c "SELECT to_regclass('bench.goal')")" ]; then return; fi
	mkdir -p "$results"
	query -v machine="$(machine)" -v cores="$(getconf _NPROCESSORS_ONLN)" -v quick="$QUICK" \
		>"$results/$name.json" <<-'SQL'
		SELECT jsonb_pretty(bench.results() || jsonb_build_object('machine', :'machine', 'cores', :cores, 'quick', :'quick' <> '0'));
	SQL
	goals+=$(query -F '' -c "SELECT CASE WHEN met THEN 'met     ' ELSE 'missed  ' END,
		concat_ws(', ', current_database(), nullif(measure, current_database()), what), ': ', have, ' (goal ', goal, ')' FROM bench.goal")$'\n'
}

find_postgres
make_workplace
copy_server
build
say "built in $built_in; starting a server"
start_server "fsync = on" "full_page_writes = on" "shared_buffers = 1GB" \
	"max_wal_size = 8GB" "checkpoint_timeout = 30min"

started=$EPOCHREALTIME
for file in "$work"/source/test/bench/*.sql "$work"/source/test/bench/*.sh; do
	name=$(basename "${file%.*}")
	case $name in common|tables|triggers) continue ;; esac	# what others include
	[ -e "$file" ] || continue
	case " ${BENCHES:-$name} " in *" $name "*) ;; *) continue ;; esac
	begun=$EPOCHREALTIME
	ran=$name
	say "$name"
	quietly "creating the database" as_user "$server_bin/createdb" "$name"
	export PGDATABASE=$name
	run "$file"
	keep_results
	unset PGDATABASE
	quietly "dropping the database" as_user "$server_bin/dropdb" "$name"
	say "$name took $(since "$begun")"
done
stop_server
[ -n "$ran" ] || die "there is no such benchmark: $BENCHES"

say "the goals"
printf '%s' "$goals" | sort
missed=$(grep -c ^missed <<<"$goals" || true)
say "$(grep -c ^met <<<"$goals" || true) met, $missed missed, in $(since "$started")"
