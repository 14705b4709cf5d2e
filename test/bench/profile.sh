#!/usr/bin/env bash
# Where the time of lead_qualify goes (template b2b): the share of each part in
# the CPU time of an INSERT of one row, of 10,000 rows and of a recompute, as perf
# sees it.  Without perf, or where the kernel does not allow it, nothing is
# measured.
#
# Called by scripts/bench.sh with a new database in PGDATABASE.  QUICK=1: fewer
# rows and shorter.

set -euo pipefail
cd "$(dirname "$0")"

leads=100000 seconds=10
[ "${QUICK:-0}" != 1 ] || { leads=4000 seconds=1; }
dir=$(mktemp -d)
inserting=
trap 'kill $inserting 2>/dev/null || true; rm -rf "$dir"' EXIT

sql() { psql -X -q -At -v ON_ERROR_STOP=1 "$@"; }

if ! perf record -q -o "$dir/data" true >/dev/null 2>&1; then
	echo "profile: perf does not work here, so nothing is measured"
	exit 0
fi

sql -v leads=$leads <<-'SQL' >/dev/null
	\ir common.sql
	\ir tables.sql
	SELECT bench.tables('product');
	SELECT lead_qualify.attach('product', 'product.lead', 'product.activity', time_zone => 'UTC');
	SELECT bench.leads('product', :leads);
	INSERT INTO product.activity (lead_id, type, occurred_at, campaign_id) SELECT * FROM bench.activities(:leads, 0, 5 * :leads);
	VACUUM (ANALYZE) product.lead, product.activity, product.lead_qualification, product.lead_stage_history;
SQL

cat >"$dir/one" <<-SQL
	\\set l random(1, $leads)
	\\set t random(1, 12)
	INSERT INTO product.activity (lead_id, type, occurred_at) VALUES (:l, (ARRAY['page_view', 'page_view', 'page_view', 'page_view', 'email_open', 'email_open', 'email_open', 'email_click',
		'form_submit', 'webinar_attended', 'newsletter_signup', 'whitepaper_download'])[:t], now());
SQL
cat >"$dir/many" <<-SQL
	\\set b random(100, 1000000)
	INSERT INTO product.activity (lead_id, type, occurred_at) SELECT lead_id, type, now() FROM bench.activities($leads, :b, 10000);
SQL
cat >"$dir/recompute" <<-'SQL'
	SELECT lead_qualify.recompute('product');
SQL

# The part of each sample: the outermost of these functions that its stack shows.
# Those marked ~ only stand for what is in no other, the innermost of them first.
parts='
lq_cases_lock			leads rows: find, read and lock
lq_cases_look			leads rows: find, read and lock
lq_cases_read			states: find and read
lq_activity_read		activities: match rules
lq_live_read			activities: match rules
lq_events_load			~activities: fetch
lq_cases_run			~engine: points, caps, gates
lq_cases_replay			~engine: points, caps, gates
lq_history_read			history
lq_history_write		history
lq_history_writer_close	history
lq_cases_read_images	images of leads
lq_cases_keep_images	images of leads
lq_lead_changed			stage columns
write_stage_columns		stage columns
lq_cases_write			~states: write
lq_activity_changed		~the rest
lq_recompute			~the rest'

# $1 what is measured, $2 the script of pgbench
measure()
{
	local pid=

	PGOPTIONS="-c synchronous_commit=off" PGAPPNAME=profile pgbench -n -M prepared --random-seed=1 -T $((seconds + 1)) -f "$dir/$2" >/dev/null &
	inserting=$!
	while [ -z "$pid" ]; do
		sleep 0.2
		kill -0 $inserting
		pid=$(sql -c "SELECT pid FROM pg_stat_activity WHERE application_name = 'profile'")
	done
	sleep 0.3
	perf record -q -F 499 --call-graph dwarf,16384 -p "$pid" -o "$dir/data" sleep $seconds >/dev/null 2>&1
	wait $inserting
	inserting=
	perf script -i "$dir/data" -F ip,sym 2>/dev/null | awk -v parts="$parts" -v measure="$1" '
		BEGIN {
			n = split(parts, lines, "\n")
			for (i = 1; i <= n; i++) {
				name = lines[i]; sub(/[ \t]+.*/, "", name)
				what = lines[i]; sub(/^[^ \t]*[ \t]+/, "", what)
				if (name == "") continue
				weak[name] = sub(/^~/, "", what)
				part[name] = what
			}
		}
		function done() {
			if (!open) return
			count[found == "" ? "PostgreSQL without us" : found]++; total++
			open = 0; found = ""
		}
		NF == 0 { done(); next }		# stacks are listed from inside
		{ open = 1; sym = $2; if (sym in part && (found == "" || !weak[sym])) found = part[sym] }
		END {
			done()
			for (what in count) printf "%s\t%s\t%.1f\n", measure, what, 100 * count[what] / total
		}' | sort -t "$(printf '\t')" -k 3 -rn |
		sql -c "CREATE TEMP TABLE share (measure text, what text, value numeric)" -c "\\copy share FROM pstdin" \
			-c "INSERT INTO bench.figure (measure, what, value, unit) SELECT *, '%' FROM share ORDER BY value DESC"
}

measure '1 row' one
measure '10,000 rows' many
measure 'recompute' recompute
psql -X -q -c '\pset footer off' -c 'SELECT measure, what, value, unit FROM bench.figure'
