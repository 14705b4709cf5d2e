# On a streaming standby the reading functions work as on the primary, and
# follow what is published there.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use CRM;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1);
$primary->append_conf('postgresql.conf', "fsync = off\ntimezone = 'UTC'");
$primary->start;
$primary->safe_psql('postgres', 'CREATE EXTENSION lead_qualify');
create_crm($primary, 'postgres', 100);
attach_crm($primary, 'postgres');
$primary->safe_psql('postgres',
	'INSERT INTO crm.activities SELECT * FROM crm.make(1, 1000)');

$primary->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'copy', has_streaming => 1);
$standby->start;

my $read = q{
	SELECT l.id, s.* FROM crm.leads l, lead_qualify.score_at('b2b', l.id, '2026-05-01Z') s ORDER BY 1, 2;
	SELECT l.id, e.* FROM crm.leads l, lead_qualify.explain('b2b', l.id, '2026-05-01Z') e
	WHERE l.id <= 20 ORDER BY 1, 2, 3, 6, 5;
	SELECT l.id, e.* FROM crm.leads l, lead_qualify.explain_stage('b2b', l.id, '2026-05-01Z') e
	WHERE l.id <= 20 ORDER BY 1, 2, 3, 4, 5, 6;
	SELECT lead, stage, stage_position, grade, label FROM crm.leads_scored ORDER BY 1;
	SELECT * FROM lead_qualify.diff('b2b') ORDER BY 1, 2, 3, 4, 5;
	SELECT * FROM lead_qualify.problem;};

sub same_there
{
	my ($name) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	$primary->wait_for_catchup($standby);
	my $here = $primary->safe_psql('postgres', $read);
	like($here, qr/pricing_view/, "$name: the primary answers");
	is($standby->safe_psql('postgres', $read), $here, "$name: the standby answers the same");
	is(crm_state($standby, 'postgres'), crm_state($primary, 'postgres'), "$name: and has the same state");
	laws_hold($standby, 'postgres', "$name: verify finds nothing on the standby");
	return;
}
same_there('at first');

# one session of the standby sees everything that comes
my $session = $standby->background_psql('postgres');
my $version = q{SELECT max(version) FROM lead_qualify.explain('b2b', 7::bigint, '2026-05-01Z')};
my $total = q{SELECT sum(points) FROM crm.leads l, lead_qualify.score_at('b2b', l.id, '2026-05-01Z') WHERE dimension = 'total'};
my $first_version = $session->query($version);
my $first_total = $session->query($total);

$primary->safe_psql('postgres', 'INSERT INTO crm.activities SELECT * FROM crm.make(1001, 2000)');
same_there('more activities');
isnt($session->query($total), $first_total, 'an open session sees the activities');
is($session->query($version), $first_version, 'by the same version');

$primary->safe_psql(
	'postgres', q{
	UPDATE lead_qualify.rule SET points = 25 WHERE name = 'pricing_view';
	SELECT lead_qualify.publish('b2b', 'prices matter', '-infinity')});
same_there('a new version');
is($session->query($version), $first_version + 1, 'an open session sees the new version');
is($session->query($total), $primary->safe_psql('postgres', $total), 'and scores by it');

# a condition that fails is noted nowhere on a standby, and harms nothing
$primary->safe_psql(
	'postgres', q{
	INSERT INTO lead_qualify.rule (pipeline, name, dimension, applies_to, condition, points)
	VALUES ('b2b', 'fails', 'fit', 'lead', '100 / (employees - 8) > 0', 1);
	SELECT lead_qualify.publish('b2b', effective_from => '-infinity');
	DELETE FROM lead_qualify.condition_problem});
$primary->wait_for_catchup($standby);
my ($status, $out, $err) = $standby->psql('postgres',
	q{SELECT count(*) FROM lead_qualify.explain('b2b', 8::bigint, '2026-05-01Z')});
is($status, 0, 'a failing condition is no error on the standby') or diag $err;
like($err, qr/WARNING: .*"fails"/, 'but a warning');
is($standby->safe_psql('postgres', q{SELECT * FROM lead_qualify.verify('b2b')}),
	'', 'verify works with it');

# what writes is refused
foreach my $sql (
	q{SELECT lead_qualify.recompute('b2b')},
	q{SELECT lead_qualify.publish('b2b')},
	q{CALL lead_qualify.recompute_all('b2b')},
	q{SELECT lead_qualify.detach('b2b')},
	q{INSERT INTO crm.activities SELECT * FROM crm.make(2001, 2001)})
{
	($status, $out, $err) = $standby->psql('postgres', "\\set VERBOSITY sqlstate\n$sql");
	like($err, qr/ERROR:  25006/, "read-only: $sql");
}
$session->quit;

# the standby takes over
$standby->promote;
$standby->poll_query_until('postgres', 'SELECT NOT pg_is_in_recovery()');
$standby->safe_psql('postgres', q{
	SET client_min_messages = error;
	INSERT INTO crm.activities SELECT * FROM crm.make(2001, 3000);
	UPDATE crm.leads SET employees = 300 WHERE id % 3 = 0});
laws_hold($standby, 'postgres', 'promoted: activities are scored, verify finds nothing');
is($standby->safe_psql('postgres', q{SELECT name FROM lead_qualify.problem}),
	'fails', 'and the failing condition is noted now');

$standby->stop;
$primary->stop;
done_testing();
