# The server dies in the middle of the work: what was committed is there and
# in order, the rest never was.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use CRM;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('crash');
$node->init;
# the operating system survives, so that fsync is not needed
$node->append_conf(
	'postgresql.conf', q{
	fsync = off
	timezone = 'UTC'});
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION lead_qualify');
create_crm($node, 'postgres', 2000);
attach_crm($node, 'postgres');
$node->safe_psql('postgres',
	'INSERT INTO crm.activities SELECT * FROM crm.make(1, 6000)');

# Runs SQL in sessions of their own, kills the server once the condition
# holds, and starts it again.
sub crash_during
{
	my ($condition, @statements) = @_;
	my @sessions;

	foreach my $sql (@statements)
	{
		my $file = $node->basedir . '/session' . @sessions . '.sql';
		my ($in, $out, $err) = ('', '', '');

		append_to_file($file, $sql);
		push @sessions,
		  IPC::Run::start(
			[ 'psql', '-X', '-q', '-d', $node->connstr('postgres'), '-f', $file ],
			'<', \$in, '>', \$out, '2>', \$err);
	}
	ok($node->poll_query_until('postgres', $condition), 'the work is in progress');

	# all of it at once: a busy backend would not notice for long that the
	# postmaster is gone, and even commit
	my @pids = split /\n/, $node->safe_psql('postgres', 'SELECT pid FROM pg_stat_activity');
	$node->kill9;
	kill 'KILL', @pids;
	$_->finish foreach @sessions;
	unlink glob $node->basedir . '/session*.sql';
	for (1 .. 200)
	{
		last unless kill 0, @pids;
		select undef, undef, undef, 0.05;
	}
	$node->start;
	return;
}

# the trigger has written some leads, which nobody else can see
my $writing = q{
	SELECT EXISTS (
		SELECT FROM pg_locks l JOIN pg_stat_activity a USING (pid)
		WHERE l.relation = 'crm.leads_stage_history'::regclass
			AND l.mode = 'RowExclusiveLock' AND pid <> pg_backend_pid())};

my $before = crm_state($node, 'postgres');
crash_during($writing, 'INSERT INTO crm.activities SELECT * FROM crm.make(6001, 150000)');
is($node->safe_psql('postgres', 'SELECT count(*) FROM crm.activities'),
	'6000', 'nothing of the interrupted statement is there');
ok(crm_state($node, 'postgres') eq $before, 'and nothing of what it would have done');
laws_hold($node, 'postgres', 'verify finds nothing after a crash during a batch');

# a publication that computes all leads anew
$node->safe_psql(
	'postgres', q{
	INSERT INTO crm.activities SELECT * FROM crm.make(6001, 30000);
	UPDATE lead_qualify.rule SET points = points + 1 WHERE applies_to = 'activity'});
$before = crm_state($node, 'postgres');
my $versions = $node->safe_psql('postgres', 'SELECT max(version) FROM lead_qualify.version');
crash_during($writing, q{SELECT lead_qualify.publish('b2b', effective_from => '-infinity')});
is($node->safe_psql('postgres', 'SELECT max(version) FROM lead_qualify.version'),
	$versions, 'the interrupted publication has not happened');
ok(crm_state($node, 'postgres') eq $before, 'and no lead knows of it');
laws_hold($node, 'postgres', 'verify finds nothing after a crash during publish');
isnt($node->safe_psql('postgres', q{SELECT * FROM lead_qualify.diff('b2b')}),
	'', 'the draft is still there');

# recompute_all commits as it goes
$node->safe_psql(
	'postgres', q{
	SET client_min_messages = warning;
	SELECT lead_qualify.detach('b2b', keep_data => false)});
attach_crm($node, 'postgres');
crash_during(
	'SELECT count(*) > 100 FROM crm.leads_qualification',
	q{CALL lead_qualify.recompute_all('b2b', 20)});
my $scored = $node->safe_psql('postgres', 'SELECT count(*) FROM crm.leads_qualification');
cmp_ok($scored, '>=', 100, 'the batches that were committed are there');
is($scored % 20, 0, 'whole') or diag "$scored leads";
laws_hold($node, 'postgres', 'verify finds nothing after a crash during recompute_all');
$node->safe_psql('postgres', q{
	SET client_min_messages = warning;
	CALL lead_qualify.recompute_all('b2b')});
is($node->safe_psql('postgres', 'SELECT count(*) FROM crm.leads_qualification'),
	'2000', 'and it can be done again');
laws_hold($node, 'postgres', 'with which verify agrees');

# many small transactions in several sessions
my @small = map
{
	my $first = 200000 + $_ * 100000;
	join '', map { "INSERT INTO crm.activities SELECT * FROM crm.make($_, $_ + 2);\n" }
	  map { $first + 3 * $_ } 1 .. 5000;
} 1 .. 3;
crash_during('SELECT count(*) > 300 FROM crm.activities WHERE id > 200000', @small);
my $new = $node->safe_psql('postgres', 'SELECT count(*) FROM crm.activities WHERE id > 200000');
cmp_ok($new, '>', 300, 'what was committed is there');
is($new % 3, 0, 'statement by statement');
laws_hold($node, 'postgres', 'verify finds nothing after a crash of concurrent sessions');
$node->safe_psql('postgres', 'INSERT INTO crm.activities SELECT * FROM crm.make(700001, 701000)');
laws_hold($node, 'postgres', 'and activities go on to be scored');

$node->stop;
done_testing();
