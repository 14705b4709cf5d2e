#!/usr/bin/env bash
# make demo: a sample CRM in a throw-away server, and the main job shown on it.
#
#	PG_CONFIG=...	the PostgreSQL to use, as in test.sh

. "$(dirname "$0")/lib.sh"

say "lead_qualify: the demo, in a throw-away server; nothing is installed into the system's PostgreSQL"
find_postgres
make_workplace
say "working in $work as user $user"
copy_server
build
say "built in $built_in; starting a server"
start_server

psql=("$server_bin/psql" -X -q -v ON_ERROR_STOP=1 -d crm)
if [ -t 1 ]; then
	psql+=(-v "bold=$(printf '\033[1m')" -v "plain=$(printf '\033[0m')")
else
	psql+=(-v bold= -v plain=)
fi

started=$EPOCHREALTIME
say "generating a CRM: 20,000 leads and what they did in the past year"
quietly "creating the database" as_user "$server_bin/createdb" crm
quietly "the generator" as_user "${psql[@]}" -f "$work/source/examples/demo/crm.sql"
say "generated in $(since "$started")"

# from standard input, so that notices carry no file name, and in their place
as_user "${psql[@]}" <"$work/source/examples/demo/tour.sql" 2>&1

stop_server
say "done; the server is stopped, and $work will be removed"
say "the statements above are in examples/demo/tour.sql; README.md says how to attach to your own tables"
