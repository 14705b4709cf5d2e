# scripts/lib.sh: what "make test", "make demo" and "make bench" share.  Sourced, not run.
#
# From a bare Debian or Ubuntu to a throw-away server with the extension in it:
#
#	find_postgres	chooses a PostgreSQL 15 to 18; installs packages if some are missing
#	make_workplace	a temporary directory that the exit trap removes
#	copy_server	a private copy of the server's program tree, mostly symbolic links.
#			PostgreSQL finds its libraries and extensions relative to its own
#			programs, so installing there changes nothing in the system and
#			needs no rights.
#	build		compiles a copy of this source tree and installs it into that copy
#	start_server	a new cluster on a Unix socket, no TCP, no durability unless its
#			arguments, lines of configuration, say otherwise
#
# Run as root, everything but the packages is done by the user "postgres"; run
# by anybody else, by that user, with sudo for the packages only.

set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
work=			# the temporary directory
child=			# pid of the layer that is running
pg_bin=			# programs of the installed server
server_bin=		# programs of our copy
log=			# where a quiet step writes

# an outer make, or settings of another server, must not leak in
unset MAKEFLAGS MAKELEVEL MFLAGS MAKEOVERRIDES
for name in "${!PG@}"; do
	[ "$name" = PG_CONFIG ] || unset "$name"
done

say() { printf '==> %s\n' "$*"; }

die()
{
	printf '\n%s: %s\n' "$(basename "$0")" "$1" >&2
	shift
	[ $# -eq 0 ] || printf '%s\n' "$@" >&2
	[ "$(type -t on_death)" != function ] || on_death
	exit 1
}

# seconds since $1 (an earlier $EPOCHREALTIME), with one decimal
since()
{
	local ms=$(( (${EPOCHREALTIME/[.,]/} - ${1/[.,]/}) / 1000 ))

	printf '%d.%d s' $((ms / 1000)) $((ms % 1000 / 100))
}

# ------------------------------------------------------------------ packages

# does the machine have what apt would bring?
have()
{
	case $1 in
		gcc)			command -v gcc ;;
		make)			command -v make ;;
		perl)			command -v prove ;;
		libc6-dev)		[ -e /usr/include/stdio.h ] ;;
		libipc-run-perl)	perl -MIPC::Run -e 1 ;;
		postgresql-server-dev-*)
			[ -e "/usr/lib/postgresql/${1##*-}/lib/pgxs/src/makefiles/pgxs.mk" ] ;;
		postgresql-[0-9]*)	[ -x "/usr/lib/postgresql/${1##*-}/bin/postgres" ] ;;
	esac >/dev/null 2>&1
}

missing_packages()
{
	local package

	for package in "$@"; do
		have "$package" || printf '%s ' "$package"
	done
}

as_root()
{
	if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

apt()
{
	as_root env DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 \
		apt-get -qq -o DPkg::Lock::Timeout=600 -o Dpkg::Use-Pty=0 "$@"
}

read_package_lists()
{
	local try

	command -v apt-get >/dev/null ||
		die "packages are missing, and there is no apt-get here" \
			"Needed: PostgreSQL 15 to 18 with its server headers and PGXS, gcc, make, perl, IPC::Run." \
			"If that is there, name it: PG_CONFIG=/path/to/pg_config"
	[ "$(id -u)" = 0 ] || command -v sudo >/dev/null ||
		die "packages are missing, and there is neither root nor sudo to install them"
	say "some packages are missing: reading the package lists"
	for try in 1 2 3; do
		if apt update >"$log" 2>&1; then return; fi
		sleep $((try * 5))
	done
	tail -n 20 "$log" >&2		# older lists may still do
}

# The majors we support, newest first; of those, a complete server, else one
# that lacks only its headers.
majors="18 17 16 15"

installed_major()
{
	local major

	for major in $majors; do
		if [ -z "$(missing_packages "postgresql-$major" "postgresql-server-dev-$major")" ]; then
			echo "$major"
			return
		fi
	done
	for major in $majors; do
		if have "postgresql-$major"; then
			echo "$major"
			return
		fi
	done
}

offered_major()
{
	local major

	for major in $majors; do
		if apt-cache show "postgresql-server-dev-$major" >/dev/null 2>&1; then
			echo "$major"
			return
		fi
	done
}

# The headers of the very version of a server that is there already, if they
# are on offer: to upgrade somebody's server is not our business.
exact_version()
{
	local version

	case $1 in
		postgresql-server-dev-*)
			version=$(dpkg-query -W -f '${Version}' "postgresql-${1##*-}" 2>/dev/null || true)
			if [ -n "$version" ] && apt-cache show "$1=$version" >/dev/null 2>&1; then
				echo "$1=$version"
				return
			fi ;;
	esac
	echo "$1"
}

install_packages()
{
	local package packages=() status=0
	local no_cluster=/etc/postgresql-common/createcluster.d/lead_qualify.conf

	for package in "$@"; do
		packages+=("$(exact_version "$package")")
	done
	say "installing packages: ${packages[*]}"

	# else the server's package would create a cluster and start it
	as_root mkdir -p "${no_cluster%/*}"
	echo 'create_main_cluster = false' | as_root tee "$no_cluster" >/dev/null
	apt install -y --no-install-recommends "${packages[@]}" >"$log" 2>&1 || status=$?
	as_root rm -f "$no_cluster"
	[ "$status" = 0 ] ||
		{ tail -n 40 "$log" >&2; die "apt-get could not install: ${packages[*]}"; }
}

# Sets pg_bin.  $PG_CONFIG, if given, decides which server.
find_postgres()
{
	local packages="gcc libc6-dev make perl libipc-run-perl" major= lists=old

	log=$(mktemp)
	trap 'rm -f "$log"' EXIT
	if [ -n "${PG_CONFIG:-}" ]; then
		pg_bin=$("$PG_CONFIG" --bindir) || die "cannot run PG_CONFIG=$PG_CONFIG"
		[ -x "$pg_bin/postgres" ] || die "there is no server in $pg_bin"
		[ -e "$("$PG_CONFIG" --pgxs)" ] || die "the PostgreSQL of $PG_CONFIG has no PGXS"
	else
		major=$(installed_major)
		if [ -z "$major" ]; then
			read_package_lists
			lists=new
			major=$(offered_major)
			[ -n "$major" ] || die "this system offers no PostgreSQL 15 to 18" \
				"Use Debian 12 or later, Ubuntu 24.04 or later, or name a server: PG_CONFIG=/path/to/pg_config"
		fi
		pg_bin=/usr/lib/postgresql/$major/bin
		packages="$packages postgresql-$major postgresql-server-dev-$major"
	fi
	packages=$(missing_packages $packages)
	if [ -n "$packages" ]; then
		[ "$lists" = new ] || read_package_lists
		install_packages $packages
		packages=$(missing_packages $packages)
		[ -z "$packages" ] || die "still missing after the installation: $packages"
	fi
	rm -f "$log"
	say "using $("$pg_bin/postgres" --version)"
}

# ----------------------------------------------------------- the workplace

# Runs a command as the unprivileged user.
as_user() { "${unprivileged[@]}" "$@"; }

# Ends what still runs and removes every trace; safe to call at any point.
clean_up()
{
	local status=$? file pid

	trap - EXIT
	trap '' INT TERM HUP
	if [ -n "$child" ]; then
		kill "$child" 2>/dev/null || true
		wait "$child" 2>/dev/null || true
	fi
	# servers under our own directory, those of interrupted tests included
	find "$work" -name postmaster.pid 2>/dev/null | while read -r file; do
		pid=$(head -n 1 "$file" 2>/dev/null || true)
		case $pid in
			''|*[!0-9]*) continue ;;
		esac
		kill -QUIT "$pid" 2>/dev/null || continue
		for _ in {1..50}; do
			kill -0 "$pid" 2>/dev/null || break
			sleep 0.1
		done
	done || true
	cd /
	rm -rf "$work"
	exit "$status"
}

make_workplace()
{
	user=$(id -un)
	unprivileged=()
	if [ "$(id -u)" = 0 ]; then
		user=postgres
		id "$user" >/dev/null 2>&1 || user=nobody
		unprivileged=(runuser -u "$user" --)
	fi
	work=$(mktemp -d "${TMPDIR:-/tmp}/lead_qualify.XXXXXX")
	trap clean_up EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
	trap 'exit 129' HUP
	umask 022
	mkdir "$work/source" "$work/home" "$work/socket" "$work/log" "$work/tmp"
	tar -C "$top" --exclude=./.git --exclude='*.o' --exclude='*.so' --exclude='*.bc' \
		--exclude=./results --exclude=./output_iso --exclude=./tmp_check \
		--exclude=./tmp_check_iso --exclude=./log --exclude='./regression.*' -cf - . |
		tar -C "$work/source" --no-same-owner -xf -
	[ "$(id -u)" != 0 ] || chown -R "$user:" "$work"

	cd "$work"
	export HOME=$work/home TMPDIR=$work/tmp LC_ALL=C.UTF-8 LANG=C.UTF-8
	export PGHOST=$work/socket PGPORT=5432 PGUSER=postgres
	unset LANGUAGE
}

# Runs a step whose output matters only when it fails.
quietly()
{
	local what=$1

	shift
	log=$work/log/step.log
	"$@" >"$log" 2>&1 || { tail -n 80 "$log" >&2; die "$what failed"; }
}

# Links everything in directory $1 into $2, but nothing of an installed copy
# of the extension.
link_all()
{
	local file

	mkdir -p "$2"
	for file in "$1"/*; do
		case ${file##*/} in
			lead_qualify*) ;;
			*) [ -e "$2/${file##*/}" ] || ln -s "$file" "$2/" ;;
		esac
	done
}

copy_server()
{
	local config=$pg_bin/pg_config root=$work/server
	local bindir pkglibdir sharedir directory

	bindir=$("$config" --bindir)
	pkglibdir=$("$config" --pkglibdir)
	sharedir=$("$config" --sharedir)
	mkdir -p "$root$bindir"
	cp -L "$bindir"/* "$root$bindir/"	# a link would lead back home
	link_all "$pkglibdir" "$root$pkglibdir"
	link_all "$sharedir/extension" "$root$sharedir/extension"
	link_all "$sharedir" "$root$sharedir"
	for directory in "$("$config" --includedir)" "$("$config" --includedir-server)" \
		"$("$config" --libdir)"; do
		if [ ! -e "$root$directory" ]; then
			mkdir -p "$root${directory%/*}"
			ln -s "$directory" "$root$directory"
		fi
	done
	[ "$(id -u)" != 0 ] || chown -R -h "$user:" "$root"
	server_bin=$root$bindir
	PATH=$server_bin:$PATH
	[ "$("$server_bin/pg_config" --sharedir)" = "$root$sharedir" ] ||
		die "this PostgreSQL cannot be relocated, so no private copy of it can be made"
}

# Further arguments are for make.
build()
{
	local started=$EPOCHREALTIME

	quietly "the build" as_user make -C "$work/source" -s -j "$(getconf _NPROCESSORS_ONLN)" \
		PG_CONFIG="$server_bin/pg_config" "$@" all
	quietly "the installation" as_user make -C "$work/source" -s \
		PG_CONFIG="$server_bin/pg_config" "$@" install
	built_in=$(since "$started")
}

start_server()
{
	quietly "initdb" as_user "$server_bin/initdb" -D "$work/data" -U postgres -A trust \
		-E UTF8 --locale=C.UTF-8 --no-sync --no-instructions
	cat >>"$work/data/postgresql.conf" <<-CONF
		listen_addresses = ''
		unix_socket_directories = '$work/socket'
		max_connections = 50
		shared_buffers = 256MB
		maintenance_work_mem = 128MB
		max_wal_size = 4GB
		fsync = off
		full_page_writes = off
		timezone = 'UTC'
		log_timezone = 'UTC'
		logging_collector = off
	CONF
	[ $# -eq 0 ] || printf '%s\n' "$@" >>"$work/data/postgresql.conf"	# the last word counts
	quietly "starting the server" as_user "$server_bin/pg_ctl" -D "$work/data" \
		-l "$work/log/server.log" -w -s start
}

stop_server()
{
	quietly "stopping the server" as_user "$server_bin/pg_ctl" -D "$work/data" -m fast -w -s stop
}
