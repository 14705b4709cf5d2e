# Work that is cancelled leaves everything as it was, whatever it waits for or
# computes; and long work says how far it is.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use CRM;
use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('cancel');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\ntimezone = 'UTC'");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION lead_qualify');
create_crm($node, 'postgres', 2500);
attach_crm($node, 'postgres');
$node->safe_psql('postgres',
	'INSERT INTO crm.activities SELECT * FROM crm.make(1, 12000)');
my $scored = crm_state($node, 'postgres');

# make every recompute want to change something
$node->safe_psql(
	'postgres', q{
	ALTER TABLE crm.activities DISABLE TRIGGER USER;
	INSERT INTO crm.activities SELECT * FROM crm.make(12001, 24000);
	ALTER TABLE crm.activities ENABLE TRIGGER USER});

sub unchanged
{
	my ($name) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	# without printing two thousand leads
	return ok(crm_state($node, 'postgres') eq $scored, $name);
}

# cancelled while it computes
foreach my $ms (1, 20, 60)
{
	my ($status, $out, $err) = $node->psql('postgres',
		"SET statement_timeout = $ms; \\set VERBOSITY sqlstate\nSELECT lead_qualify.recompute('b2b')");
	like($err, qr/ERROR:  57014/, "recompute stops at a timeout of $ms ms");
}
unchanged('and nothing is changed');

# Somebody holds a lead of the third thousand, so that work stops there.
my $holder = $node->background_psql('postgres');
$holder->query_safe('BEGIN');
$holder->query_safe('SELECT id FROM crm.leads WHERE id = 2100 FOR UPDATE');

my $waits = q{
	SELECT EXISTS (SELECT FROM pg_stat_activity
		WHERE wait_event_type = 'Lock' AND query LIKE '%lead_qualify.rec%' AND pid <> pg_backend_pid())};
my $cancel = q{
	SELECT pg_cancel_backend(pid) FROM pg_stat_activity
	WHERE wait_event_type = 'Lock' AND query LIKE '%lead_qualify.rec%' AND pid <> pg_backend_pid()};

sub start_psql
{
	my ($sql) = @_;
	my %run = (in => '', out => '', err => '');

	$run{handle} = IPC::Run::start(
		[ 'psql', '-X', '-A', '-t', '-q', '-d', $node->connstr('postgres'), '-c', $sql ],
		'<', \$run{in}, '>', \$run{out}, '2>', \$run{err});
	return \%run;
}

my $run = start_psql(q{SELECT lead_qualify.recompute('b2b')});
ok($node->poll_query_until('postgres', $waits), 'recompute waits for a lead');
$node->safe_psql('postgres', $cancel);
$run->{handle}->finish;
like($run->{err}, qr/canceling statement due to user request/, 'recompute can be cancelled while it waits');
unchanged('two thousand leads were done by then, and are as they were');

# a batch of activities that cannot go on either
my ($status, $out, $err) = $node->psql('postgres',
	q{SET lock_timeout = '200ms'; INSERT INTO crm.activities SELECT * FROM crm.make(24001, 28000)});
like($err, qr/canceling statement due to lock timeout/, 'a batch can be cancelled while it waits');
is($node->safe_psql('postgres', 'SELECT max(id) FROM crm.activities'), '24000', 'none of it is there');
unchanged('and no lead has changed');

# long work reports: this one waits for longer than the reports are apart
$run = start_psql(q{SELECT 'leads: ' || lead_qualify.recompute('b2b')});
ok($node->poll_query_until('postgres', $waits), 'recompute waits again');
sleep 4;
$holder->query_safe('ROLLBACK');
$run->{handle}->finish;
like($run->{err}, qr/NOTICE:  recompute of pipeline "b2b": \d+ of 2500 leads \(\d+ %\)/, 'it says how far it is');
like($run->{err}, qr/2500 of 2500 leads \(100 %\)/, 'and that it is through');
like($run->{out}, qr/leads: 2500/, 'and returns the number of leads');
laws_hold($node, 'postgres', 'the recompute that was let through is right');
ok(crm_state($node, 'postgres') ne $scored, 'and had something to do');

# recompute_all keeps what it has committed
$node->safe_psql(
	'postgres', q{
	ALTER TABLE crm.activities DISABLE TRIGGER USER;
	INSERT INTO crm.activities SELECT * FROM crm.make(30001, 36000);
	ALTER TABLE crm.activities ENABLE TRIGGER USER});
$holder->query_safe('BEGIN');
$holder->query_safe('SELECT id FROM crm.leads WHERE id = 2100 FOR UPDATE');
$run = start_psql(q{CALL lead_qualify.recompute_all('b2b', 500)});
ok($node->poll_query_until('postgres', $waits), 'recompute_all waits');
$node->safe_psql('postgres', $cancel);
$run->{handle}->finish;
like($run->{err}, qr/canceling statement due to user request/, 'recompute_all can be cancelled');
$holder->query_safe('ROLLBACK');
my $wrong = $node->safe_psql('postgres', q{SELECT DISTINCT lead::int FROM lead_qualify.verify('b2b') ORDER BY 1});
cmp_ok((split /\n/, $wrong)[0], '>', 2000, 'the batches before are done');
$node->safe_psql('postgres', q{SET client_min_messages = warning; CALL lead_qualify.recompute_all('b2b', 500)});
laws_hold($node, 'postgres', 'and the next one completes it');

# A condition that takes long is cancelled with the statement; it has not
# "failed", which would count as false and let the statement go on.
$node->safe_psql(
	'postgres', q{
	SET client_min_messages = error;
	INSERT INTO lead_qualify.rule (pipeline, name, activity_type, condition, points)
	VALUES ('b2b', 'slow', 'slow', $$(properties ->> 'text') ~ '^(x*)(x*)(x*)\1\2\3y$'$$, 100);
	SELECT lead_qualify.publish('b2b', effective_from => '-infinity')});
$scored = crm_state($node, 'postgres');
($status, $out, $err) = $node->psql(
	'postgres', q{SET statement_timeout = '300ms'; \set VERBOSITY sqlstate
	INSERT INTO crm.activities VALUES (100001, 1, 'slow', '2026-07-01Z', jsonb_build_object('text', repeat('x', 1001) || 'y'))});
like($err, qr/ERROR:  57014/, 'a slow condition is cancelled');
is($node->safe_psql('postgres', 'SELECT * FROM lead_qualify.problem'), '', 'and is no problem of the condition');
unchanged('nothing was scored');
($status, $out, $err) = $node->psql('postgres',
	q{INSERT INTO crm.activities VALUES (100001, 1, 'slow', '2026-07-01Z', '{"text": "xxy"}')});
is("$status$err", '0', 'the row can be inserted later');
laws_hold($node, 'postgres', 'and verify finds nothing in the end');

$holder->quit;
$node->stop;
done_testing();
