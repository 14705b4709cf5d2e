# A dump of a database with a pipeline at work, restored elsewhere, is the
# same and works on: whole, as schema and data, and through pg_upgrade.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use CRM;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('dump');
$node->init(extra => [ '-E', 'UTF8', '--locale=C' ]);
$node->append_conf('postgresql.conf', "fsync = off\ntimezone = 'UTC'");
$node->start;

# an owner who is no superuser, and a reader who sees one region
$node->safe_psql(
	'postgres', q{
	CREATE ROLE crm_owner;
	CREATE ROLE crm_reader;
	CREATE DATABASE source OWNER crm_owner;});
$node->safe_psql('source', 'CREATE EXTENSION lead_qualify');
create_crm($node, 'source', 200);
$node->safe_psql(
	'source', q{
	ALTER SCHEMA crm OWNER TO crm_owner;
	ALTER TABLE crm.leads OWNER TO crm_owner;
	ALTER TABLE crm.activities OWNER TO crm_owner;
	ALTER TABLE crm."Phone calls" OWNER TO crm_owner;
	GRANT USAGE ON SCHEMA crm TO crm_reader;
	GRANT SELECT ON crm.leads TO crm_reader;
	GRANT INSERT, UPDATE, DELETE ON lead_qualify.framework, lead_qualify.criterion,
		lead_qualify.question TO crm_owner;
	ALTER TABLE crm.leads ENABLE ROW LEVEL SECURITY;
	CREATE POLICY north ON crm.leads TO crm_reader USING (region = 'north');});

# frameworks: shipped rows edited, a framework of one's own and what it asks
$node->safe_psql(
	'source', q{
	SET ROLE crm_owner;
	UPDATE lead_qualify.framework SET min_met = 3 WHERE framework = 'BANT';
	-- places changed, which no row does alone
	UPDATE lead_qualify.criterion SET position = 3 - position
	WHERE framework = 'BANT' AND position < 3;
	UPDATE lead_qualify.criterion SET enabled = false
	WHERE framework = 'CHAMP' AND criterion = 'priority';
	UPDATE lead_qualify.question SET question = 'Is there money?'
	WHERE criterion = 'budget' AND language = 'en';
	INSERT INTO lead_qualify.framework (framework, min_met, min_score) VALUES ('Наша', 2, 12.5);
	INSERT INTO lead_qualify.criterion (framework, criterion, position, weight, met_at)
	VALUES ('Наша', 'Бюджет', 1, 2.5, 2), ('Наша', 'срок', 2, 1, 3), ('Наша', 'pain', 3, 1, 3);
	INSERT INTO lead_qualify.question (criterion, language, question)
	VALUES ('бюджет', 'en', 'Есть ли бюджет?');});
attach_crm($node, 'source', 'crm_owner');

# a gate that names it, and a form that answers
$node->safe_psql(
	'source', q{
	SET client_min_messages = warning;
	SET ROLE crm_owner;
	INSERT INTO lead_qualify.gate (pipeline, stage, name, framework)
	VALUES ('b2b', 'opportunity', 'наша', 'Наша');
	INSERT INTO lead_qualify.rule (pipeline, name, activity_type, condition, points, answers)
	VALUES ('b2b', 'form', 'whitepaper_download', 'campaign_id = 3', 0, 'срок=yes');
	SELECT lead_qualify.publish('b2b', 'a framework of our own', '-infinity');
	SELECT lead_qualify.alter_pipeline('b2b', framework => 'Наша');});
$node->safe_psql(
	'source', q{
	INSERT INTO crm.activities SELECT * FROM crm.make(1, 2000);
	INSERT INTO crm."Phone calls"
	SELECT md5(i::text)::uuid, i % 200 + 1, timestamp '2026-03-01' + i * interval '1 hour', i
	FROM generate_series(1, 300) i;
	UPDATE crm.leads SET employees = 500 WHERE id % 10 = 0;
	UPDATE crm.leads SET stage = 'opportunity' WHERE id IN (1, 2, 3);
	UPDATE crm.leads SET stage = 'lead' WHERE id = (
		SELECT min(id) FROM crm.leads WHERE stage = 'sql');
	DELETE FROM crm.activities WHERE id % 50 = 0;
	INSERT INTO crm.leads_answers (lead, assessment, answered_at, note)
	SELECT i, (CASE i % 3 WHEN 0 THEN 'бюджет=yes' WHEN 1 THEN 'бюджет=weak, pain=yes'
		ELSE 'need=partial, срок=no' END)::lead_qualify.assessment,
		timestamptz '2026-03-01Z' + i * interval '1 day', 'first call'
	FROM generate_series(1, 150) i;
	INSERT INTO crm.leads_answers (lead, withdrawn, answered_at)
	SELECT i, 'бюджет', '2026-09-01Z' FROM generate_series(3, 60, 6) i;
	SELECT lead_qualify.answer('b2b', i, 'challenge=yes', '2026-09-02Z') FROM generate_series(1, 75) i;
	INSERT INTO crm.activities SELECT * FROM crm.make(2001, 2100);
	-- the draft goes on
	SET ROLE crm_owner;
	UPDATE lead_qualify.rule SET points = 11 WHERE name = 'pricing_view';
	DELETE FROM lead_qualify.rule WHERE name = 'email_open';
	INSERT INTO lead_qualify.gate (pipeline, stage, name, min_total)
	VALUES ('b2b', 'sal', 'half done', 70);});
laws_hold($node, 'source', 'the original is in order');
my $state = crm_state($node, 'source');
cmp_ok(() = $state =~ /mql/g, '>', 20, 'and has seen some moves');
my $opened = q{
	SELECT count(*) FROM crm.leads_stage_history
	WHERE gate = 'наша' AND superseded_at IS NULL};
cmp_ok($node->safe_psql('source', $opened), '>', 5, 'some of them by the framework of our own');

# all configuration, what the owner sees of it, and what is different in the draft
sub configuration
{
	my ($in, $db) = @_;
	my $sql = join '', map { "SELECT '$_', t::text FROM lead_qualify.$_ t ORDER BY 2;\n" }
	  qw(pipeline source dimension rule stage gate exclusion list band version);

	return $in->safe_psql($db, $sql)
	  . $in->safe_psql($db,
		"SET ROLE crm_owner; SELECT * FROM lead_qualify.diff('b2b') ORDER BY 1, 2, 3, 4, 5");
}

# frameworks, shipped and edited, what they make of answers, and the answers
my $frameworks = q{
	SELECT f::text FROM lead_qualify.framework f ORDER BY 1;
	SELECT c::text FROM lead_qualify.criterion c ORDER BY 1;
	SELECT q::text FROM lead_qualify.question q ORDER BY 1;
	SELECT a::text FROM lead_qualify.assess_all('budget=yes, бюджет=yes, challenges=weak') a;
	SELECT a::text FROM crm.leads_answers a ORDER BY id;
	SELECT lead, missing_criteria, next_question FROM crm.leads_scored ORDER BY lead;};

# triggers, policies, grants and views of the application's schema
sub objects
{
	my ($in, $db) = @_;

	return $in->safe_psql(
		$db, q{
		SELECT tgrelid::regclass::text, tgname, tgenabled, pg_get_triggerdef(oid)
		FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1, 2;
		SELECT polrelid::regclass::text, polname, pg_get_expr(polqual, polrelid)
		FROM pg_policy WHERE polrelid::regclass::text LIKE 'crm.%' ORDER BY 1, 2;
		SELECT c.oid::regclass, relkind, pg_get_userbyid(relowner), relrowsecurity,
			reloptions, (SELECT array_agg(a::text ORDER BY a::text) FROM unnest(relacl) a),
			obj_description(c.oid, 'pg_class')
		FROM pg_class c WHERE relnamespace = 'crm'::regnamespace ORDER BY c.relname;});
}
my $reader = q{
	SET ROLE crm_reader;
	SELECT count(*), count(DISTINCT stage) FROM crm.leads_qualification;
	SELECT count(*) FROM crm.leads_stage_history;};
my $next = q{
	INSERT INTO crm.activities SELECT * FROM crm.make(2101, 2300);
	SELECT lead_qualify.answer('b2b', i, 'бюджет=yes, Срок=yes', '2026-09-03Z')
	FROM generate_series(140, 149) i;
	UPDATE crm.leads_answers SET assessment = 'бюджет=partial' WHERE id BETWEEN 60 AND 70 AND lead % 3 = 0;
	UPDATE crm.leads SET job_title = 'Chief Data Officer' WHERE id = 50;};
my $outcome = q{
	SELECT lead, round(total_at_event::numeric, 6), stage, version
	FROM crm.leads_qualification WHERE lead <> 50 ORDER BY 1;
	SELECT lead, stage, entered_at, left_at, cause, gate
	FROM crm.leads_stage_history WHERE superseded_at IS NULL AND lead <> 50 ORDER BY 1, 3, id;
	SELECT lead, count(*) FROM crm.leads_attributes GROUP BY 1 ORDER BY 1;};

# everything that has to be true of a copy
my %expected;

sub check_copy
{
	my ($in, $db, $how) = @_;

	is(crm_state($in, $db), $expected{state}, "$how: leads, states and history are the same");
	is(configuration($in, $db), $expected{configuration}, "$how: versions and the draft are the same");
	is(objects($in, $db), $expected{objects}, "$how: triggers, policies and grants are the same");
	is($in->safe_psql($db, $frameworks), $expected{frameworks}, "$how: frameworks and answers are the same");
	is($in->safe_psql($db, $reader), $expected{reader}, "$how: a reader sees what he saw");
	laws_hold($in, $db, "$how: verify finds nothing");
	is($in->safe_psql($db, 'SELECT * FROM lead_qualify.problem'), '', "$how: no problem");

	$in->safe_psql($db, $next);
	is($in->safe_psql($db, $outcome), $expected{outcome}, "$how: activities score and answers count as they would have");
	cmp_ok($in->safe_psql($db, $opened), '>', $expected{opened}, "$how: answers have opened the gate");
	laws_hold($in, $db, "$how: and verify still finds nothing");
	is( $in->safe_psql(
			$db, q{SET client_min_messages = warning; SET ROLE crm_owner;
				SELECT lead_qualify.publish('b2b', effective_from => '-infinity')}),
		$expected{version},
		"$how: the draft can be published");
	laws_hold($in, $db, "$how: with which verify agrees");
	return;
}

$expected{state} = $state;
$expected{configuration} = configuration($node, 'source');
$expected{objects} = objects($node, 'source');
$expected{frameworks} = $node->safe_psql('source', $frameworks);
like($expected{frameworks}, qr/^\d+\|\{бюджет[^}]*\}\|Есть ли бюджет\?$/m, 'a lead is asked the question of our own');
$expected{opened} = $node->safe_psql('source', $opened);
$expected{reader} = $node->safe_psql('source', $reader);
$expected{version} = 1 + $node->safe_psql('source', 'SELECT max(version) FROM lead_qualify.version');

my $dir = $node->basedir;
$node->command_ok([ 'pg_dump', '-Fc', '-f', "$dir/whole", '-d', $node->connstr('source') ], 'pg_dump');
$node->command_ok([ 'pg_dump', '-s', '-f', "$dir/schema.sql", '-d', $node->connstr('source') ], 'pg_dump --schema-only');
$node->command_ok([ 'pg_dump', '-a', '--disable-triggers', '-f', "$dir/data.sql", '-d', $node->connstr('source') ],
	'pg_dump --data-only');
$node->command_ok([ 'pg_dump', '-f', "$dir/plain.sql", '-d', $node->connstr('source') ], 'pg_dump as SQL');

# what an upgrade of the extension may replace is not in the dump
my $dumped = slurp_file("$dir/plain.sql");
foreach my $table ([ framework => 2 ], [ criterion => 6 ], [ question => 2 ])
{
	my ($name, $rows) = @$table;
	my ($columns, $data) =
	  $dumped =~ /^COPY lead_qualify\.$name \(([^)]*)\) FROM stdin;\n(.*?)^\\\.$/ms;
	my @columns = split /, /, $columns // '';
	my ($shipped) = grep { $columns[$_] eq 'shipped' } 0 .. $#columns;
	my @shipped = map { (split /\t/)[$shipped] } split /\n/, $data // '';
	is("@shipped", join(' ', ('f') x $rows), "only rows of ours are dumped of lead_qualify.$name");
}

# what the original does next, in a database of its own
$node->safe_psql('postgres', 'CREATE DATABASE ahead TEMPLATE source');
$node->safe_psql('ahead', $next);
$expected{outcome} = $node->safe_psql('ahead', $outcome);

$node->safe_psql('postgres', 'CREATE DATABASE plain OWNER crm_owner');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('plain'), '-f', "$dir/plain.sql" ],
	'the SQL is restored');
check_copy($node, 'plain', 'psql');

$node->safe_psql('postgres', 'CREATE DATABASE restored OWNER crm_owner');
$node->command_ok([ 'pg_restore', '-e', '-j', 2, '-d', $node->connstr('restored'), "$dir/whole" ], 'pg_restore');
check_copy($node, 'restored', 'pg_restore');

$node->safe_psql('postgres', 'CREATE DATABASE parts OWNER crm_owner');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('parts'), '-f', "$dir/schema.sql" ],
	'the schema alone is restored');

# the triggers are there, the pipeline is not yet
my ($status, $stdout, $stderr) =
  $node->psql('parts', q{INSERT INTO crm.leads (id) VALUES (1000000)});
is($status, 0, 'schema alone: leads can be inserted');
like($stderr, qr/WARNING: .*pipeline "b2b".*does not exist/, 'with a warning');
$node->safe_psql('parts', 'TRUNCATE crm.leads CASCADE');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('parts'), '-f', "$dir/data.sql" ],
	'the data alone is restored');
check_copy($node, 'parts', 'schema and data');

# pg_upgrade, from this version to itself
$node->stop;
my $new = PostgreSQL::Test::Cluster->new('upgraded');
$new->init(extra => [ '-E', 'UTF8', '--locale=C' ]);
$new->append_conf('postgresql.conf', "fsync = off\ntimezone = 'UTC'");
my $bindir = $node->config_data('--bindir');
SKIP:
{
	skip 'there is no pg_upgrade', 13 unless -x "$bindir/pg_upgrade";

	chdir $dir or die "cannot enter $dir: $!";
	command_ok(
		[
			'pg_upgrade', '--no-sync',
			'-d', $node->data_dir, '-D', $new->data_dir,
			'-b', $bindir, '-B', $bindir,
			'-s', $new->host, '-p', $node->port, '-P', $new->port
		],
		'pg_upgrade');
	$new->start;
	check_copy($new, 'source', 'pg_upgrade');
	$new->stop;
}

done_testing();
