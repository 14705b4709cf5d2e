# The extension installs, says the same version everywhere, and goes without
# a trace.

use strict;
use warnings;

use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

sub slurp_json
{
	my ($file) = @_;
	return JSON::PP->new->utf8->decode(slurp_file($file));
}

# prove runs in the top directory of the source tree
my ($control) =
  slurp_file('lead_qualify.control') =~ /^default_version *= *'([^']+)'/m;
like($control, qr/^\d+\.\d+$/, 'the control file states a version');

my $meta = slurp_json('META.json');
like($meta->{version}, qr/^\Q$control\E\.\d+$/,
	'META.json states the version of the control file');
is($meta->{provides}{lead_qualify}{version},
	$meta->{version}, 'what META.json provides is of the same version');
is($meta->{provides}{lead_qualify}{file},
	"sql/lead_qualify--$control.sql", 'META.json names the install script');
foreach my $key (qw(name abstract maintainer license provides meta-spec))
{
	ok($meta->{$key}, "META.json has the required key \"$key\"");
}
foreach my $file (map { @{$_}{qw(file docfile)} } values %{ $meta->{provides} })
{
	ok(-e $file, "$file, which META.json names, is there");
}

my ($newest) = slurp_file('CHANGELOG.md') =~ /^## (\S+)/m;
is($newest, $meta->{version}, 'the newest entry of CHANGELOG.md is this version');

my $node = PostgreSQL::Test::Cluster->new('install');
$node->init;
$node->append_conf('postgresql.conf', 'fsync = off');
$node->start;

# What no fresh database has.  The schema itself is made by CREATE EXTENSION
# for the control file's sake, belongs to no extension and stays; anything
# left in it would be found.
my $objects = q{
	SELECT pg_catalog.pg_describe_object(classid, objid, objsubid)
	FROM pg_catalog.pg_depend
	WHERE refclassid = 'pg_catalog.pg_namespace'::regclass
		AND refobjid >= 16384
	UNION ALL
	SELECT 'schema ' || nspname
	FROM pg_catalog.pg_namespace
	WHERE oid >= 16384 AND nspname <> 'lead_qualify'
	UNION ALL
	SELECT 'event trigger ' || evtname FROM pg_catalog.pg_event_trigger};
is($node->safe_psql('postgres', $objects), '', 'a fresh database is empty');

$node->safe_psql('postgres', 'CREATE EXTENSION lead_qualify');
is( $node->safe_psql(
		'postgres', q{
		SELECT extversion, n.nspname
		FROM pg_catalog.pg_extension e
			JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
		WHERE extname = 'lead_qualify'}),
	"$control|lead_qualify",
	'the installed version and schema');
is( $node->safe_psql(
		'postgres', q{
		SELECT count(*) FROM pg_catalog.pg_proc p
			JOIN pg_catalog.pg_language l ON l.oid = p.prolang
		WHERE l.lanname = 'c' AND p.pronamespace = 'lead_qualify'::regnamespace
			AND p.probin <> '$libdir/lead_qualify'}),
	'0',
	'every C function is in this library');

# a library of another build must be noticed by loading all of it
$node->safe_psql('postgres', q{LOAD 'lead_qualify'});

$node->safe_psql('postgres', 'DROP EXTENSION lead_qualify');
is($node->safe_psql('postgres', $objects), '', 'DROP EXTENSION leaves nothing');

$node->safe_psql('postgres', 'CREATE EXTENSION lead_qualify');
pass('it installs again');

# The script is of use only through CREATE EXTENSION.
my $script = "sql/lead_qualify--$control.sql";
my ($status, $stdout, $stderr) =
  $node->psql('postgres', undef, extra_params => [ '-f', $script ]);
like($stdout, qr/CREATE EXTENSION lead_qualify/,
	'the install script refuses to be run by psql');

$node->stop;

done_testing();
