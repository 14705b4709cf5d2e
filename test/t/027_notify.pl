# Who listens hears of live moves, once each and at commit; who polls the
# stage history reads each row exactly once.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('notify');
$node->init;
$node->append_conf(
	'postgresql.conf', q{
	fsync = off
	max_prepared_transactions = 2
	timezone = 'Asia/Tokyo'});
$node->start;
$node->safe_psql(
	'postgres', q{
	SET client_min_messages = warning;
	CREATE EXTENSION lead_qualify;
	CREATE SCHEMA crm;
	CREATE TABLE crm.leads (id text PRIMARY KEY, created_at timestamptz);
	CREATE TABLE crm.acts (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, lead_id text, type text, at timestamptz);
	CREATE INDEX ON crm.acts (lead_id);
	INSERT INTO crm.leads SELECT 'a' || i, now() - interval '10 days' FROM generate_series(1, 3000) i;
	INSERT INTO crm.leads VALUES ('O"Neil \ 7', now() - interval '10 days'), (repeat('long', 2100), now() - interval '10 days');
	CREATE TABLE crm.people (id int PRIMARY KEY);
	CREATE TABLE crm.calls (id int PRIMARY KEY, lead_id int, type text, at timestamptz);
	CREATE INDEX ON crm.calls (lead_id);
	INSERT INTO crm.people SELECT generate_series(1, 600);
	SELECT lead_qualify.attach('b2b', 'crm.leads', 'crm.acts', template => 'empty');
	SELECT lead_qualify.attach('calls', 'crm.people', 'crm.calls', template => 'empty');
	INSERT INTO lead_qualify.stage (pipeline, stage, position, kind) VALUES ('b2b', 'won', 9, 'won');
	INSERT INTO lead_qualify.rule (pipeline, name, activity_type, points)
	VALUES ('b2b', 'ask', 'ask', 10), ('b2b', 'view', 'view', 1), ('calls', 'ask', 'ask', 10);
	INSERT INTO lead_qualify.gate (pipeline, stage, name, min_engagement)
	VALUES ('b2b', 'mql', 'asked', 10), ('b2b', 'won', 'asked often', 20), ('calls', 'mql', 'asked', 10);
	SELECT lead_qualify.publish('b2b', effective_from => '-infinity');
	SELECT lead_qualify.publish('calls', effective_from => '-infinity');
	SELECT lead_qualify.recompute('b2b');
	SELECT lead_qualify.recompute('calls');
	CREATE FUNCTION crm.ask(lead text, type text = 'ask', ago interval = '0') RETURNS void LANGUAGE sql
		AS 'INSERT INTO crm.acts (lead_id, type, at) VALUES (lead, type, now() - ago)';});

# what a listener hears of the statements, one line a notification
sub heard
{
	my ($sql) = @_;

	my ($status, $out, $err) = $node->psql('postgres', "SET client_min_messages = warning;\nLISTEN lead_qualify;\n$sql");
	diag $err if $err ne '';
	return join "\n", $out =~ /^Asynchronous notification "lead_qualify" with payload "(.*)" received from server process/mg;
}

sub told
{
	my ($sql, $expected, $name) = @_;
	my $heard = heard($sql);

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return ref $expected ? like($heard, $expected, $name) : is($heard, $expected, $name);
}

# --- what is told

my $time = qr/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?\+00:00/;
my $heard = heard(q{SELECT crm.ask('a1')});
like($heard, qr/^\{"pipeline": "b2b", "lead": "a1", "cycle": 1, "from": "lead", "to": "mql", "at": "$time"\}$/, 'a move');
is( $node->safe_psql(
		'postgres', "SELECT (p ->> 'at')::timestamptz = h.entered_at AND p ->> 'lead' = h.lead AND (p ->> 'cycle')::int = h.cycle
		FROM jsonb('$heard') p, crm.leads_stage_history h WHERE h.lead = 'a1' AND h.stage = 'mql'"),
	't', 'its time is that of the history row, in UTC');
$heard = heard(q{SELECT crm.ask('O"Neil \ 7')});
is($node->safe_psql('postgres', qq{SELECT jsonb(\$json\$$heard\$json\$) ->> 'lead'}), 'O"Neil \ 7', 'a key with quotes');
told(q{SELECT crm.ask(repeat('long', 2100))}, '{"pipeline": "b2b", "moves": 1}', 'a key that does not fit is only counted');
told(q{SELECT crm.ask('a1', 'view')}, '', 'no move, nothing to hear');
told(q{UPDATE crm.leads SET stage = 'lead' WHERE id = 'a1'}, qr/^\{.*"lead": "a1".*"from": "mql", "to": "lead".*\}$/, 'a move by hand');
told(q{BEGIN; SELECT crm.ask('a2'); SELECT crm.ask('a2'); COMMIT;},
	qr/^\{.*"a2".*"from": "lead", "to": "mql".*\}\n\{.*"a2".*"from": "mql", "to": "won".*\}$/, 'two moves of a lead, in their order');
told(q{SELECT crm.ask('a3'), crm.ask('a4')}, qr/"a3".*\n.*"a4"/, 'two leads');
told(q{INSERT INTO crm.leads (id, created_at) VALUES ('new', now())}, '', 'a beginning is no move');
told(q{BEGIN; INSERT INTO crm.calls VALUES (1000, 1, 'ask', now()); SELECT crm.ask('a5'); COMMIT;},
	qr/"calls", "lead": "1".*\n.*"b2b", "lead": "a5"/, 'two pipelines');

# --- what is not

told(q{BEGIN; SELECT crm.ask('a6'); ROLLBACK;}, '', 'nothing of what is rolled back');
told(
	q{
	BEGIN;
	SELECT crm.ask('a7');
	SAVEPOINT s; SELECT crm.ask('a8'); SAVEPOINT t; SELECT crm.ask('a9'); RELEASE t; ROLLBACK TO s;
	SELECT crm.ask('a10');
	SAVEPOINT u; SELECT crm.ask('a11'); RELEASE u;
	SAVEPOINT v; SELECT crm.ask('a12'); ROLLBACK TO v; SELECT crm.ask('a13');
	COMMIT;},
	qr/\A.*"a7".*\n.*"a10".*\n.*"a11".*\n.*"a13".*\z/, 'nor of a savepoint that is');
told(q{BEGIN; SET LOCAL lead_qualify.origin = 'import'; SELECT crm.ask('a14'); COMMIT;}, '', 'nothing of an import');
told(q{SELECT crm.ask('a15', ago => '1 day')}, '', 'nothing that is a day old');
told(q{SELECT crm.ask('a16', ago => '23 hours 59 minutes')}, qr/"a16"/, 'but what is a little younger');
told(q{BEGIN; SET LOCAL lead_qualify.notify = off; SELECT crm.ask('a17'); COMMIT;}, '', 'nothing while it is off');
told(q{SET lead_qualify.notify = off; SELECT crm.ask('a18'); SET lead_qualify.notify = on; SELECT crm.ask('a19');},
	qr/\A.*"a19".*\z/, 'then again');
$node->safe_psql('postgres', q{
	ALTER TABLE crm.acts DISABLE TRIGGER USER;
	SELECT crm.ask('a20');
	ALTER TABLE crm.acts ENABLE TRIGGER USER;});
told(q{SELECT lead_qualify.recompute('b2b')}, '', 'nothing of a recompute');
is($node->safe_psql('postgres', q{SELECT stage, origin FROM crm.leads_stage_history WHERE lead = 'a20' ORDER BY id DESC LIMIT 1}),
	'mql|recompute', 'although it moved a lead');

# a late row makes the lead's history anew: told is what is new in it
told(q{SELECT crm.ask('a21')}, qr/\A.*"to": "mql".*\z/, 'a lead moves');
told(q{SELECT crm.ask('a21', 'view', '2 hours')}, '', 'a late row that changes only the score of the move is not told');
is($node->safe_psql('postgres', q{SELECT count(*) FROM crm.leads_stage_history WHERE lead = 'a21' AND superseded_at IS NOT NULL}),
	'1', 'although it replaced the history row');
told(q{SELECT crm.ask('a21', 'ask', '1 hour')}, qr/\A.*"to": "mql".*\n.*"from": "mql", "to": "won".*\z/, 'one that makes another path is');

# --- settings of the pipeline

$node->safe_psql('postgres', q{SELECT lead_qualify.alter_pipeline('b2b', notify_within => '7 days')});
told(q{SELECT crm.ask('a22', ago => '6 days')}, qr/"a22"/, 'notify_within can be longer');
$node->safe_psql('postgres', q{SELECT lead_qualify.alter_pipeline('b2b', notify_within => '0')});
told(q{SELECT crm.ask('a23')}, '', 'zero tells nothing');
my ($status, $out, $err) = $node->psql('postgres', q{SELECT lead_qualify.alter_pipeline('b2b', notify_within => '-1 day')});
like($err, qr/notify_within must not be negative/, 'less than nothing is an error');
$node->safe_psql('postgres', q{SELECT lead_qualify.alter_pipeline('b2b', notify_within => '1 day')});
is($node->safe_psql('postgres', q{SELECT notify_within, framework FROM lead_qualify.pipeline WHERE pipeline = 'b2b'}),
	'1 day|BANT', 'it is a column of the pipeline');

# --- many

my $ask = q{INSERT INTO crm.acts (lead_id, type, at) SELECT 'a' || i, 'ask', now() FROM generate_series(%d, %d) i;};
$heard = heard(sprintf($ask, 101, 1100));
is(scalar(() = $heard =~ /"to": "mql"/g), 1000, 'a thousand moves are told one by one');
told(sprintf($ask, 1101, 2600), '{"pipeline": "b2b", "moves": 1500}', 'of more, only how many');
$heard = heard('BEGIN; ' . sprintf($ask, 2601, 2700) . 'SAVEPOINT s;' . sprintf($ask, 101, 1600) .
	'ROLLBACK TO s; ' . sprintf($ask, 2701, 2710) . 'COMMIT;');
is(scalar(() = $heard =~ /"to": "mql"/g), 110, 'what is left of many after a rollback is told one by one');
like($heard, qr/"a2601".*"a2710"/s, 'all of it');
told('BEGIN; ' . sprintf($ask, 2711, 2900) . q{INSERT INTO crm.calls SELECT i, i, 'ask', now() FROM generate_series(2, 500) i;}
	  . 'SAVEPOINT s;' . sprintf($ask, 101, 500) . 'RELEASE s; COMMIT;',
	"{\"pipeline\": \"b2b\", \"moves\": 590}\n{\"pipeline\": \"calls\", \"moves\": 499}", 'one for each pipeline');

# --- shadow

$node->safe_psql('postgres', q{
	CREATE TABLE crm.dark (id int PRIMARY KEY);
	CREATE TABLE crm.steps (id int PRIMARY KEY, lead_id int, type text, at timestamptz);
	CREATE INDEX ON crm.steps (lead_id);
	INSERT INTO crm.dark VALUES (1);
	SET client_min_messages = warning;
	SELECT lead_qualify.attach('dark', 'crm.dark', 'crm.steps', template => 'empty', mode => 'shadow');
	INSERT INTO lead_qualify.rule (pipeline, name, activity_type, points) VALUES ('dark', 'ask', 'ask', 10);
	INSERT INTO lead_qualify.gate (pipeline, stage, name, min_engagement) VALUES ('dark', 'mql', 'asked', 10);
	SELECT lead_qualify.publish('dark', effective_from => '-infinity');
	SELECT lead_qualify.recompute('dark')});
told(q{INSERT INTO crm.steps VALUES (1, 1, 'ask', now())}, '', 'a shadow tells nothing');
is($node->safe_psql('postgres', 'SELECT stage FROM crm.dark_qualification'), 'mql', 'although it moves');

# --- two-phase commit

($status, $out, $err) = $node->psql('postgres', q{BEGIN; SELECT crm.ask('a31'); PREPARE TRANSACTION 'p';});
like($err, qr/cannot PREPARE.*HINT:  SET lead_qualify.notify = off/s, 'two-phase commit and notifications exclude each other');
told(q{SET lead_qualify.notify = off; BEGIN; SELECT crm.ask('a31'); PREPARE TRANSACTION 'p';}, '', 'it works without');
told(q{COMMIT PREPARED 'p'; SELECT crm.ask('a32');}, qr/\A.*"a32".*\z/, 'the prepared move is not told');
is($node->safe_psql('postgres', q{SELECT stage FROM crm.leads WHERE id = 'a31'}), 'mql', 'but made');
told(q{BEGIN; SELECT crm.ask('a33', 'view'); PREPARE TRANSACTION 'q';}, '', 'nor is anything in the way without a move');
$node->safe_psql('postgres', q{COMMIT PREPARED 'q'});

# --- the outbox

# reads what has come since the last time; keeps the mark in a table, as a
# reader in another system keeps it there
$node->safe_psql('postgres', 'CREATE TABLE crm.reader AS SELECT pg_snapshot_xmin(pg_current_snapshot()) AS mark; CREATE TABLE crm.received (id bigint)');
sub poll_outbox
{
	$node->safe_psql(
		'postgres', q{
		BEGIN ISOLATION LEVEL REPEATABLE READ;
		INSERT INTO crm.received
		SELECT h.id FROM crm.leads_stage_history h, crm.reader r
		WHERE h.txid >= r.mark AND h.txid < pg_snapshot_xmin(pg_current_snapshot());
		UPDATE crm.reader SET mark = pg_snapshot_xmin(pg_current_snapshot());
		COMMIT;});
	return $node->safe_psql('postgres', q{
		SELECT string_agg(h.lead, ' ' ORDER BY h.id) FROM crm.received JOIN crm.leads_stage_history h USING (id)});
}
is(poll_outbox(), '', 'nothing has come');
my $slow = $node->background_psql('postgres');
$slow->query_safe('BEGIN');
$node->safe_psql('postgres', q{SELECT crm.ask('a41')});
$slow->query_safe(q{SELECT crm.ask('a42')});
$node->safe_psql('postgres', q{SELECT crm.ask('a43')});
is(poll_outbox(), 'a41', 'rows after an open transaction wait for it');
$node->safe_psql('postgres', q{SELECT crm.ask('a44')});
is(poll_outbox(), 'a41', 'as long as it takes');
$slow->query_safe('COMMIT');
$slow->quit;
$node->safe_psql('postgres', q{SELECT crm.ask('a45')});
is(poll_outbox(), 'a41 a42 a43 a44 a45', 'then they come');
$node->safe_psql('postgres', q{BEGIN; SELECT crm.ask('a46'); ROLLBACK; SELECT crm.ask('a47')});
poll_outbox();
is(poll_outbox(), 'a41 a42 a43 a44 a45 a47', 'each once');

$node->stop;
done_testing();
