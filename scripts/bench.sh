#!/usr/bin/env bash
# make bench: what things cost, against their baseline in the same run, in a
# throw-away server.
#
#	BENCHES="frameworks"	only these of test/bench/*.sql
#	PG_CONFIG=...		the PostgreSQL to use, as in test.sh

. "$(dirname "$0")/lib.sh"

find_postgres
make_workplace
copy_server
build
say "built in $built_in; starting a server"
start_server

for file in "$work"/source/test/bench/*.sql; do
	name=$(basename "$file" .sql)
	case " ${BENCHES:-$name} " in *" $name "*) ;; *) continue ;; esac
	say "$name"
	quietly "creating the database" as_user "$server_bin/createdb" "$name"
	as_user "$server_bin/psql" -X -q -v ON_ERROR_STOP=1 -d "$name" <"$file"
done
stop_server
