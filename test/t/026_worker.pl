# The background worker: what the clock brings about happens by itself, and
# nothing that goes wrong on the way stops it or stands in anybody's way.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# naptime is as short as it can be where a test does not say otherwise
my $conf = q{
	shared_preload_libraries = 'lead_qualify'
	lead_qualify.worker = on
	lead_qualify.naptime = 1s
	fsync = off
	restart_after_crash = on
	timezone = 'UTC'
	log_line_prefix = '%m [%p] %d %b '};

my $node = PostgreSQL::Test::Cluster->new('worker');
$node->init(allows_streaming => 1);
$node->append_conf('postgresql.conf', $conf);
$node->append_conf('postgresql.conf', 'lead_qualify.worker = off');
$node->start;

my $processes = q{SELECT count(*) FROM pg_stat_activity WHERE backend_type LIKE 'lead_qualify%'};

# Leads of a pipeline that become mql by an activity, and a second later sal.
sub create_pipeline
{
	my ($db, $schema, $owner, $after) = @_;

	$after //= '1 second';
	$node->safe_psql(
		$db, qq{
		SET client_min_messages = warning;
		CREATE EXTENSION IF NOT EXISTS lead_qualify;
		CREATE SCHEMA $schema AUTHORIZATION $owner;
		GRANT USAGE ON SCHEMA $schema TO PUBLIC;
		SET ROLE $owner;
		CREATE TABLE $schema.leads (id int PRIMARY KEY, created_at timestamptz DEFAULT now());
		CREATE TABLE $schema.acts (id int PRIMARY KEY, lead_id int, type text, at timestamptz DEFAULT now());
		CREATE INDEX ON $schema.acts (lead_id);
		SELECT lead_qualify.attach('$schema', '$schema.leads', '$schema.acts', template => 'empty');
		INSERT INTO lead_qualify.rule (pipeline, name, activity_type, points)
		VALUES ('$schema', 'ask', 'ask', 10);
		INSERT INTO lead_qualify.stage (pipeline, stage, position, kind)
		VALUES ('$schema', 'sal', 3, 'sal'), ('$schema', 'sql', 4, 'sql');
		INSERT INTO lead_qualify.gate (pipeline, stage, name, min_engagement)
		VALUES ('$schema', 'mql', 'asked', 10);
		INSERT INTO lead_qualify.gate (pipeline, stage, name, from_stages, after)
		VALUES ('$schema', 'sal', 'late', '{mql}', '$after');
		SELECT lead_qualify.publish('$schema', effective_from => '-infinity');});
	return;
}

# n leads from "first" on that ask, a while ago if "ago" says so
sub ask
{
	my ($db, $schema, $first, $n, $ago) = @_;

	$ago //= '0';
	$node->safe_psql(
		$db, qq{
		INSERT INTO $schema.leads SELECT i, now() - interval '$ago' FROM generate_series($first, $first + $n - 1) i;
		INSERT INTO $schema.acts SELECT i, i, 'ask', now() - interval '$ago' FROM generate_series($first, $first + $n - 1) i;});
	return;
}

sub arrives
{
	my ($db, $schema, $count, $name) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return ok($node->poll_query_until($db, "SELECT count(*) = $count FROM $schema.leads WHERE stage = 'sal'"), $name);
}

# waits for what is not in the log before the offset
sub logged
{
	my ($pattern, $offset) = @_;

	for (1 .. 100)
	{
		return 1 if substr(slurp_file($node->logfile), $offset) =~ $pattern;
		select undef, undef, undef, 0.1;
	}
	diag substr(slurp_file($node->logfile), $offset);
	return 0;
}

# --- off unless it is asked for

$node->safe_psql('postgres', 'CREATE ROLE plain NOLOGIN; CREATE DATABASE other; CREATE DATABASE bare; REVOKE CONNECT ON DATABASE other FROM PUBLIC');
$node->safe_psql('other', 'GRANT CREATE ON DATABASE other TO plain');
create_pipeline('postgres', 'crm', 'postgres');
create_pipeline('other', 'b2b', 'plain');
ask('postgres', 'crm', 1, 3, '10 seconds');
is($node->safe_psql('postgres', 'SHOW lead_qualify.worker'), 'off', 'the worker is off');
is($node->safe_psql('postgres', $processes), '0', 'and there is no process');
sleep 1;
is($node->safe_psql('postgres', q{SELECT count(*) FROM crm.leads WHERE stage = 'mql'}), '3', 'nobody advances the leads');
my ($status, $out, $err) = $node->psql('postgres', 'SET lead_qualify.worker = on');
like($err, qr/cannot be changed without restarting the server/, 'it cannot be turned on for a session');

# --- on

$node->append_conf('postgresql.conf', q{lead_qualify.worker = on});
$node->restart;
arrives('postgres', 'crm', 3, 'leads that were due are advanced');
ask('postgres', 'crm', 4, 2);
ask('other', 'b2b', 1, 2);
is($node->safe_psql('other', q{SELECT string_agg(DISTINCT stage, ' ') FROM b2b.leads}), 'mql', 'not before they are due');
arrives('postgres', 'crm', 5, 'leads are advanced when they become due');
arrives('other', 'b2b', 2, 'in another database too, whose leads owner may neither log in nor connect');
is( $node->safe_psql(
		'other', q{
		SELECT DISTINCT h.cause, h.gate, h.origin, h.moved_by IS NULL, h.entered_at - m.entered_at
		FROM b2b.leads_stage_history h JOIN b2b.leads_stage_history m USING (lead)
		WHERE h.stage = 'sal' AND m.stage = 'mql'}),
	'clock|late|live|t|00:00:01', 'as moves of the clock, dated when they fell due');
is($node->safe_psql('other', q{SELECT * FROM lead_qualify.verify('b2b')}), '', 'verify agrees');
is( $node->safe_psql('postgres', q{
		SELECT backend_type, datname IS NULL, application_name = '', wait_event_type
		FROM pg_stat_activity WHERE backend_type = 'lead_qualify launcher'}),
	'lead_qualify launcher|t|t|Extension', 'the launcher is seen, in no database');

# --- rights: whatever runs, runs as the leads owner, the commit included

$node->safe_psql(
	'other', q{
	CREATE TABLE b2b.seen (at text, cur name, ses name, super text, app text);
	GRANT ALL ON b2b.seen TO PUBLIC;
	CREATE FUNCTION b2b.look() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		BEGIN
			SET SESSION AUTHORIZATION postgres;
			INSERT INTO b2b.seen VALUES ('escaped');
		EXCEPTION WHEN OTHERS THEN
			INSERT INTO b2b.seen SELECT tg_argv[0], current_user, session_user,
				current_setting('is_superuser'), current_setting('application_name');
		END;
		BEGIN
			RESET SESSION AUTHORIZATION;
			INSERT INTO b2b.seen VALUES ('escaped');
		EXCEPTION WHEN OTHERS THEN NULL;
		END;
		RETURN NULL;
	END $$;
	CREATE TRIGGER look AFTER UPDATE ON b2b.leads FOR EACH ROW WHEN (NEW.stage = 'sal')
		EXECUTE FUNCTION b2b.look('statement');
	CREATE CONSTRAINT TRIGGER look_late AFTER UPDATE ON b2b.leads DEFERRABLE INITIALLY DEFERRED
		FOR EACH ROW WHEN (NEW.stage = 'sal') EXECUTE FUNCTION b2b.look('commit');});

# --- a pipeline that fails, in the meantime

my $offset = -s $node->logfile;
create_pipeline('other', 'sad', 'plain');
$node->safe_psql(
	'other', q{
	CREATE TABLE sad.no_sale AS SELECT generate_series(1, 2) AS id;
	GRANT SELECT ON sad.no_sale TO plain;
	CREATE FUNCTION sad.fail() RETURNS trigger LANGUAGE plpgsql AS $$
	BEGIN
		IF EXISTS (SELECT FROM sad.no_sale n WHERE n.id = NEW.id) THEN
			RAISE 'no sale today of lead %', NEW.id;
		END IF;
		RETURN NEW;
	END $$;
	CREATE TRIGGER fail BEFORE UPDATE ON sad.leads FOR EACH ROW WHEN (NEW.stage = 'sal') EXECUTE FUNCTION sad.fail();});
ask('other', 'sad', 1, 2);
ask('other', 'b2b', 3, 1);
arrives('other', 'b2b', 3, 'a lead with triggers of the application');
is( $node->safe_psql('other', 'SELECT * FROM b2b.seen ORDER BY 1'),
	"commit|plain|plain|off|lead_qualify\nstatement|plain|plain|off|lead_qualify",
	'they see the leads owner, and cannot become the superuser');
$node->safe_psql('other', 'DROP TRIGGER look ON b2b.leads; DROP TRIGGER look_late ON b2b.leads');
ok(logged(qr/ERROR:  no sale today/, $offset), 'a failure is logged');
ok(logged(qr/CONTEXT:.*background worker, pipeline "sad"/s, $offset), 'with the name of the pipeline');
ask('other', 'b2b', 4, 2);
arrives('other', 'b2b', 5, 'another pipeline of the same owner goes on');
# both leads at once and each alone, then each alone after 1 s, after 2 s ...
my @failures = substr(slurp_file($node->logfile), $offset) =~ /ERROR:  no sale today/g;
cmp_ok(scalar @failures, '<=', 7, 'the failing one is tried ever more seldom');
$node->safe_psql('other', 'DELETE FROM sad.no_sale WHERE id = 2');
arrives('other', 'sad', 1, 'a lead that fails is passed over');
ask('other', 'sad', 3, 2);
arrives('other', 'sad', 3, 'and does not hold up those that are due later');
$offset = -s $node->logfile;
ok(logged(qr/ERROR:  no sale today of lead 1/, $offset), 'it is tried again');
$node->safe_psql('other', 'DELETE FROM sad.no_sale');
arrives('other', 'sad', 4, 'and goes on when the cause is gone');

# --- somebody holds a lead

my $holder = $node->background_psql('postgres');
$holder->query_safe('BEGIN');
$offset = -s $node->logfile;
ask('postgres', 'crm', 6, 1);
$holder->query_safe('SELECT FROM crm.leads WHERE id = 6 FOR UPDATE');
ok( $node->poll_query_until(
		'postgres', q{SELECT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'lead_qualify worker'
		AND wait_event_type = 'Lock' AND usename IS NOT NULL AND query LIKE '%advance pipeline crm')}),
	'a worker that waits for a lead is seen');
ok(logged(qr/canceling statement due to lock timeout/, $offset), 'it does not wait for long');
$holder->query_safe('COMMIT');
$holder->quit;
arrives('postgres', 'crm', 6, 'the lead is advanced when it is free');

# --- crashes

$node->safe_psql('postgres', q{
	SET client_min_messages = warning;
	CREATE TABLE crm.slow AS SELECT 600 AS seconds;
	CREATE FUNCTION crm.linger() RETURNS trigger LANGUAGE plpgsql AS
		'BEGIN PERFORM pg_sleep(seconds) FROM crm.slow; RETURN NULL; END';
	CREATE TRIGGER linger AFTER UPDATE ON crm.leads FOR EACH ROW WHEN (NEW.stage = 'sal') EXECUTE FUNCTION crm.linger();});
my $working = q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'lead_qualify worker' AND wait_event = 'PgSleep'};
ask('postgres', 'crm', 7, 1);
ok($node->poll_query_until('postgres', "SELECT count(*) = 1 FROM ($working) s"), 'a worker is in the middle of a lead');
my $pid = $node->safe_psql('postgres', $working);
$node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)");
ok($node->poll_query_until('postgres', "SELECT count(*) = 1 FROM ($working AND pid <> $pid) s"), 'terminated, there is a new one');
$pid = $node->safe_psql('postgres', $working);
kill 'KILL', $pid;
ok(logged(qr/all server processes terminated; reinitializing.*database system is ready/s, $offset), 'killed, the server recovers');
ok($node->poll_query_until('postgres', "SELECT count(*) = 1 FROM ($working AND pid <> $pid) s"), 'and a new one begins');
$node->stop('immediate');
$node->start;
$node->safe_psql('postgres', 'DELETE FROM crm.slow');
$node->safe_psql('postgres', "SELECT pg_terminate_backend(pid) FROM ($working) s");
arrives('postgres', 'crm', 7, 'after a crash the lead is advanced, once');
is($node->safe_psql('postgres', q{SELECT lead FROM crm.leads_stage_history WHERE stage = 'sal' GROUP BY 1 HAVING count(*) > 1}), '', 'and no other twice');
$pid = $node->safe_psql('postgres', q{SELECT pid FROM pg_stat_activity WHERE backend_type = 'lead_qualify launcher'});
is($node->safe_psql('postgres', "SELECT pg_terminate_backend($pid)"), 't', 'the launcher can be terminated');

# --- standby and promotion, while that launcher waits for its restart

$node->backup('copy');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'copy', has_streaming => 1);
$standby->start;
is($standby->safe_psql('postgres', $processes), '0', 'a standby has no launcher');

# --- DROP EXTENSION, DROP DATABASE

# a database where each lead takes its time, so that a batch takes half a second
sub create_busy
{
	create_pipeline('busy', 'crm', 'postgres', '0.1 seconds');
	ask('busy', 'crm', 1, 4000, '1 hour');
	$node->safe_psql(
		'busy', q{
		CREATE FUNCTION crm.linger() RETURNS trigger LANGUAGE plpgsql AS
			'BEGIN PERFORM pg_sleep(0.0005); RETURN NULL; END';
		CREATE TRIGGER linger AFTER UPDATE ON crm.leads FOR EACH ROW EXECUTE FUNCTION crm.linger();});
	return;
}

# while the launcher is away
$node->safe_psql('postgres', 'CREATE DATABASE busy');
create_busy();
ok($node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'lead_qualify launcher'"), 'the launcher is back');
my $part = q{SELECT count(*) BETWEEN 1 AND 3999 FROM crm.leads WHERE stage = 'sal'};
ok($node->poll_query_until('busy', $part), 'there is much to do');
$node->safe_psql('busy', 'SET client_min_messages = warning; DROP EXTENSION lead_qualify CASCADE');
ok(1, 'DROP EXTENSION in the middle of it');
is($node->safe_psql('busy', q{SELECT count(*) > 0 FROM crm.leads WHERE stage = 'mql'}), 't', 'which ends it');
$node->safe_psql('busy', 'DROP SCHEMA crm CASCADE');
create_busy();
ok($node->poll_query_until('busy', $part), 'created again, it goes on');
$node->safe_psql('postgres', 'DROP DATABASE busy');
ok(1, 'DROP DATABASE in the middle of it');
$node->safe_psql('postgres', 'CREATE DATABASE copied TEMPLATE bare');
ok(1, 'a database can be copied');

# --- naptime, databases

$node->append_conf('postgresql.conf', q{lead_qualify.naptime = 1h});
$node->append_conf('postgresql.conf', q{lead_qualify.databases = 'postgres, "no such database"'});
$node->restart;
$node->poll_query_until('postgres', "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'lead_qualify launcher'");
sleep 1;
ask('postgres', 'crm', 8, 1);
ask('other', 'b2b', 6, 1);
sleep 2;
is($node->safe_psql('postgres', 'SELECT stage FROM crm.leads WHERE id = 8'), 'mql', 'with a long naptime a lead that became due waits');
$node->append_conf('postgresql.conf', q{lead_qualify.naptime = 1s});
$node->reload;
arrives('postgres', 'crm', 8, 'a shorter one has effect at once');
is($node->safe_psql('other', 'SELECT stage FROM b2b.leads WHERE id = 6'), 'mql', 'a database that is not wanted is left alone');

# --- promotion

$node->wait_for_catchup($standby);
$node->stop('fast');
my $log = slurp_file($node->logfile);
unlike($log, qr/PANIC|TRAP/, 'no worse was logged');
$standby->promote;
$node = $standby;
ok($node->poll_query_until('other', q{SELECT stage = 'sal' FROM b2b.leads WHERE id = 6}), 'promoted, the standby has a worker of its own');
is($node->safe_psql('other', q{SELECT * FROM lead_qualify.verify('b2b')}), '', 'and verify agrees');
my $began = time;
$node->stop('fast');
cmp_ok(time - $began, '<', 5, 'it stops at once');

done_testing();
