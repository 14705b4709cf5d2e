# Logical replication: a subscriber that scores what is applied there, and one
# that takes over what the publisher scored.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $tables = q{
	CREATE TABLE lead (id int PRIMARY KEY, employees int, created_at timestamptz);
	CREATE TABLE activity (id int PRIMARY KEY, lead_id int, type text, at timestamptz);
	CREATE INDEX ON activity (lead_id);};

# demo 10, page 4 at most twice a day, size 5; an mql from 20
my $rules = q{
	INSERT INTO lead_qualify.rule
		(pipeline, name, applies_to, activity_type, condition, points, at_most, per) VALUES
		('r', 'demo', 'activity', 'demo', NULL, 10, NULL, NULL),
		('r', 'page', 'activity', 'page', NULL, 4, 2, 'day'),
		('r', 'size', 'lead', NULL, 'employees >= 50', 5, NULL, NULL);
	INSERT INTO lead_qualify.gate (pipeline, stage, name, min_total)
		VALUES ('r', 'mql', 'warm', 20);
	SELECT lead_qualify.publish('r', effective_from => '-infinity');};

my $state = q{
	SELECT l.id, q.total_at_event, q.stage, l.stage, timezone('UTC', q.scored_at)
	FROM lead l JOIN lead_qualification q ON q.lead = l.id ORDER BY 1};

my $publisher = PostgreSQL::Test::Cluster->new('publisher');
$publisher->init(allows_streaming => 'logical');
$publisher->append_conf('postgresql.conf', 'fsync = off');
$publisher->start;
my $subscriber = PostgreSQL::Test::Cluster->new('subscriber');
$subscriber->init(allows_streaming => 'logical');
$subscriber->append_conf('postgresql.conf', 'fsync = off');
$subscriber->start;
my $connection = $publisher->connstr . ' dbname=postgres';

# Waits until the subscriber has applied all, initial copies included.
sub catch_up
{
	my ($name) = @_;

	$publisher->wait_for_catchup($name);
	$subscriber->poll_query_until('postgres',
		"SELECT count(*) = 0 FROM pg_subscription_rel WHERE srsubstate NOT IN ('r', 's')")
	  or die "timed out waiting for the initial copy";
	return;
}

#
# The subscriber scores
#
# Its stage columns come last and are not among those that are published.
$publisher->safe_psql('postgres', $tables);
$publisher->safe_psql('postgres', q{
	INSERT INTO lead VALUES (1, 10, '2024-01-01 00:00+0'), (2, 60, '2024-01-01 00:00+0');
	INSERT INTO activity VALUES (1, 1, 'demo', '2024-02-01 00:00+0'), (2, 2, 'demo', '2024-02-01 00:00+0'),
		(3, 2, 'page', '2024-02-02 00:00+0'), (4, 2, 'page', '2024-02-02 00:00+0');
	CREATE PUBLICATION scored_there FOR TABLE lead, activity;});
$subscriber->safe_psql('postgres', $tables);
$subscriber->safe_psql('postgres', 'CREATE EXTENSION lead_qualify');
$subscriber->safe_psql('postgres', q{
	SELECT lead_qualify.attach('r', 'lead', 'activity', template => 'empty', fire => 'row')});
$subscriber->safe_psql('postgres', $rules);
$subscriber->safe_psql('postgres', qq{
	CREATE SUBSCRIPTION scored_there CONNECTION '$connection' PUBLICATION scored_there});
catch_up('scored_there');
# The two tables are copied by two workers at once, which do not see each
# other's rows: as README.md says, recompute takes in what was missed.
$subscriber->safe_psql('postgres', q{SELECT lead_qualify.recompute('r')});

# 1: 10. 2: 10 + 2 x 4 + 5
is($subscriber->safe_psql('postgres', $state),
	"1|10|lead|lead|2024-02-01 00:00:00\n2|23|mql|mql|2024-02-02 00:00:00",
	'the initial copy is scored');

$publisher->safe_psql('postgres', q{
	INSERT INTO activity VALUES (5, 1, 'demo', '2024-02-03 00:00+0');
	INSERT INTO activity VALUES (6, 2, 'page', '2024-02-02 00:00+0');
	INSERT INTO lead VALUES (3, 10, '2024-02-01 00:00+0');
	INSERT INTO activity VALUES (7, 3, 'page', '2024-02-04 00:00+0'), (8, 3, 'demo', '2024-02-05 00:00+0'),
		(9, 3, 'demo', '2024-02-03 00:00+0');});
catch_up('scored_there');

# 1: 20. 2: the third page of a day earns nothing. 3: 4 + 10 + 10
is($subscriber->safe_psql('postgres', $state),
	"1|20|mql|mql|2024-02-03 00:00:00\n"
	  . "2|23|mql|mql|2024-02-02 00:00:00\n"
	  . "3|24|mql|mql|2024-02-05 00:00:00",
	'rows that are applied are scored, in any order, with caps');

$publisher->safe_psql('postgres', q{
	UPDATE activity SET type = 'page' WHERE id = 5;
	DELETE FROM activity WHERE id = 8;
	UPDATE lead SET employees = 50 WHERE id = 1;
	DELETE FROM lead WHERE id = 2;});
catch_up('scored_there');

# 1: 10 + 4 + 5; 3: 4 + 10
is( $subscriber->safe_psql('postgres', q{
		SELECT l.id, q.total_at_event, q.stage, l.stage
		FROM lead l JOIN lead_qualification q ON q.lead = l.id ORDER BY 1}),
	"1|19|lead|lead\n3|14|lead|lead",
	'updates and deletes are followed');
is($subscriber->safe_psql('postgres', 'SELECT count(*) FROM lead_qualification WHERE lead = 2'),
	'0', 'a deleted lead leaves no state');
is($subscriber->safe_psql('postgres', q{SELECT * FROM lead_qualify.verify('r')}),
	'', 'verify finds nothing');

$publisher->safe_psql('postgres', 'TRUNCATE activity');
catch_up('scored_there');
is($subscriber->safe_psql('postgres', q{
		SELECT l.id, q.total_at_event, q.stage FROM lead l JOIN lead_qualification q ON q.lead = l.id ORDER BY 1}),
	"1|5|lead\n3|0|lead", 'so is TRUNCATE');
is($subscriber->safe_psql('postgres', q{SELECT * FROM lead_qualify.verify('r')}),
	'', 'verify still finds nothing');
is($subscriber->safe_psql('postgres', 'SELECT * FROM lead_qualify.problem'),
	'', 'there is no problem');
unlike(slurp_file($subscriber->logfile), qr/(ERROR|PANIC):/, 'nothing failed in the apply worker');

$subscriber->safe_psql('postgres', 'DROP SUBSCRIPTION scored_there');

#
# The publisher scores, the subscriber reads
#
$subscriber->safe_psql('postgres', q{
	SELECT lead_qualify.detach('r', keep_data => false);
	DROP TABLE activity, lead;});
$publisher->safe_psql('postgres', q{
	DROP PUBLICATION scored_there;
	CREATE EXTENSION lead_qualify;
	SELECT lead_qualify.attach('r', 'lead', 'activity', template => 'empty');});
$publisher->safe_psql('postgres', $rules);
$publisher->safe_psql('postgres', q{
	INSERT INTO activity VALUES (1, 1, 'demo', '2024-02-01 00:00+0'), (2, 1, 'demo', '2024-02-02 00:00+0')});
$publisher->safe_psql('postgres', q{
	CREATE PUBLICATION scored_here FOR TABLE lead, lead_qualification, lead_stage_history});
my ($schema) = run_command([ 'pg_dump', '--schema-only', '--no-publications',
		'-t', 'lead', '-t', 'lead_qualification', '-t', 'lead_stage_history',
		'-d', $publisher->connstr('postgres') ]);
# the triggers stay where the pipeline is
$schema =~ s/^CREATE TRIGGER .*?;$//gms;
$subscriber->safe_psql('postgres', $schema);
$subscriber->safe_psql('postgres', qq{
	CREATE SUBSCRIPTION scored_here CONNECTION '$connection' PUBLICATION scored_here});
catch_up('scored_here');
$publisher->safe_psql('postgres', q{
	INSERT INTO activity VALUES (3, 3, 'demo', '2024-02-03 00:00+0'), (4, 3, 'demo', '2024-02-04 00:00+0')});
catch_up('scored_here');

# 1: 10 + 10 and 5. 3: 10 + 10
is($subscriber->safe_psql('postgres', $state),
	"1|25|mql|mql|2024-02-02 00:00:00\n3|20|mql|mql|2024-02-04 00:00:00",
	'side tables are replicated like any other');
is( $subscriber->safe_psql('postgres', q{
		SELECT lead, lead_qualify.total(score, timestamptz '2024-03-01 00:00+0') FROM lead_qualification ORDER BY 1}),
	"1|25\n3|20", 'a score can be read without its pipeline');

$subscriber->safe_psql('postgres', 'DROP SUBSCRIPTION scored_here');
$subscriber->stop;
$publisher->stop;

done_testing();
