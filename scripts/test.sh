#!/usr/bin/env bash
# make test: every test layer, from a bare machine, in throw-away servers.
#
#	LAYERS="regress tap"	only these of: regress isolation tap laws real
#	PG_CONFIG=...		the PostgreSQL to use (default: the newest of 15 to 18 that is
#				installed, else the one the distribution offers)
#	LAYER_TIMEOUT=900	seconds after which a layer is stopped and counts as failed
#
# The last line is "N passed, N failed"; the exit status is 0 only without failures.

. "$(dirname "$0")/lib.sh"

layers=${LAYERS:-regress isolation tap laws real}
timeout=${LAYER_TIMEOUT:-900}
passed=0
failed=0

# even if it never comes to a test, the last line is what it should be
on_death() { printf '%d passed, %d failed\n' "$passed" $((failed + 1)); }

count() { grep -cE "$1" "$2" || true; }

# What a test wrote that helps to see why it failed.
show_failure()
{
	local file

	sed 's/^/    /' "$1" | tail -n 150
	for file in "$work"/source/regression.diffs "$work"/source/output_iso/regression.diffs; do
		if [ -s "$file" ]; then
			printf '\n--- %s\n' "${file#"$work"/source/}"
			head -n 400 "$file"
			rm -f "$file"
		fi
	done
}

# report LAYER DURATION PASSED FAILED SKIPPED
report()
{
	passed=$((passed + $3))
	failed=$((failed + $4))
	printf '  %-12s %9s   %4d passed' "$1" "$2" "$3"
	[ "$4" = 0 ] || printf ', %d FAILED' "$4"
	[ "$5" = 0 ] || printf ', %d skipped' "$5"
	printf '\n'
}

# Runs one layer.  Its exit status decides; the lines "ok" and "not ok" (or
# "test ... ok" and "FAILED" of pg_regress before PostgreSQL 16) are counted.
run_layer()
{
	local layer=$1 started=$EPOCHREALTIME status=0 log=$work/log/$1.log
	local ok not_ok skipped

	# in the background, so that a signal to this script is acted on at once
	timeout "$timeout" "${unprivileged[@]}" make -C "$work/source" -s \
		PG_CONFIG="$server_bin/pg_config" "${@:2}" >"$log" 2>&1 </dev/null &
	child=$!
	wait "$child" || status=$?
	child=

	skipped=$(count '^ok\b.*# *(skip|SKIP)|^1\.\.0 # *(skip|SKIP)' "$log")
	ok=$(( $(count '^ok\b|^test .*\.\.\. ok\b' "$log") - $(count '^ok\b.*# *(skip|SKIP)' "$log") ))
	not_ok=$(( $(count '^not ok\b|^test .*FAILED' "$log") - $(count '^not ok\b.*# *TODO' "$log") ))
	if [ "$status" != 0 ] && [ "$not_ok" -le 0 ]; then
		not_ok=1
	elif [ $((ok + not_ok + skipped)) = 0 ] && [ "$2" != installcheck ]; then
		ok=1				# a script that says nothing is one test
	fi
	report "$layer" "$(since "$started")" "$ok" "$not_ok" "$skipped"
	[ "$status" != 124 ] || printf '    stopped after %s s\n' "$timeout"
	grep -hE '^(ok\b.*|1\.\.0 )# *(skip|SKIP)' "$log" | sed 's/^/    /' || true
	[ "$not_ok" = 0 ] || show_failure "$log"
}

# A crash is a failure, even where the tests that met it passed.
check_server_log()
{
	local file=$work/log/server.log bad

	bad=$(grep -nE 'PANIC:|TRAP:|was terminated by signal|stack smashing' "$file" || true)
	if [ -n "$bad" ]; then
		report "server log" "" 0 1 0
		sed 's/^/    /' <<<"$bad"
	else
		report "server log" "" 1 0 0
	fi
}

say "lead_qualify: all tests, in throw-away servers; nothing is installed into the system's PostgreSQL"
find_postgres
make_workplace
say "working in $work as user $user"
# real data that is not part of the project; its tests say so when they skip
if [ -z "${LEAD_QUALIFY_DATA:-}" ] && [ -d "$top/../shared/data" ]; then
	LEAD_QUALIFY_DATA=$(cd "$top/../shared/data" && pwd)
fi
if [ -n "${LEAD_QUALIFY_DATA:-}" ]; then
	export LEAD_QUALIFY_DATA
	as_user test -r "$LEAD_QUALIFY_DATA/." ||
		say "note: user $user cannot read $LEAD_QUALIFY_DATA"
fi
copy_server
say "building, warnings are errors"
build WERROR=1
report build "$built_in" 1 0 0
say "starting a server, running the layers: $layers"
start_server
for layer in $layers; do
	case $layer in
		regress)	run_layer regress installcheck ISOLATION= TAP_TESTS= ;;
		isolation)	run_layer isolation installcheck REGRESS= TAP_TESTS= ;;
		tap)		run_layer tap installcheck REGRESS= ISOLATION= PROVE_FLAGS=-v ;;
		laws|real)	run_layer "$layer" "test-$layer" ;;
		*)		die "there is no layer \"$layer\"" \
				"The layers are: regress isolation tap laws real." ;;
	esac
done
stop_server
check_server_log

printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" = 0 ]
