# Frameworks over the life of the extension: edits survive ALTER EXTENSION
# UPDATE, sessions that have them cached follow it, DROP and CREATE EXTENSION
# too; and databases of other encodings.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use CRM;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $upgrade;					# the script that we add to the server's

END
{
	my $status = $?;
	unlink $upgrade if defined $upgrade;
	$? = $status;
}

my $node = PostgreSQL::Test::Cluster->new('frameworks');
$node->init(extra => [ '-E', 'UTF8', '--locale=C' ]);
$node->append_conf('postgresql.conf', "fsync = off\ntimezone = 'UTC'");
$node->start;

# What a session makes of frameworks: answers that tell weights and min_met,
# the order of criteria, a question; and all of it inside a prepared statement.
my $scores = q{
	SELECT format('%s %s %s', framework, round(lead_qualify.framework_score('budget=yes, timing=yes', framework)),
		lead_qualify.is_qualified('budget=yes, challenges=yes, authority=yes', framework))
	FROM unnest(ARRAY['BANT', 'CHAMP', 'CRAKIT']) framework};
my $prepared = q{
	PREPARE bant AS SELECT lead_qualify.framework_score('budget=yes, timing=yes', 'BANT'),
		lead_qualify.next_question('', 'BANT');};

# ------------------------------------------------------------------
# DROP EXTENSION, CREATE EXTENSION
# ------------------------------------------------------------------

$node->safe_psql('postgres', 'CREATE EXTENSION lead_qualify');
my $other = $node->background_psql('postgres', on_error_stop => 0);
my $shipped = $other->query_safe($scores);
is($shipped, "BANT 50 f\nCHAMP 20 f\nCRAKIT 17 f", 'what is shipped');
$other->query_safe($prepared);
my $bant = $other->query_safe('EXECUTE bant');

is( $node->safe_psql(
		'postgres', qq{
		SET client_min_messages = warning;
		$prepared
		EXECUTE bant;
		UPDATE lead_qualify.criterion SET weight = 16 WHERE framework = 'BANT' AND criterion = 'timing';
		EXECUTE bant;
		DROP EXTENSION lead_qualify;
		CREATE EXTENSION lead_qualify;
		EXECUTE bant;
		UPDATE lead_qualify.question SET question = 'Money?' WHERE criterion = 'budget' AND language = 'en';
		UPDATE lead_qualify.criterion SET weight = 14 WHERE framework = 'BANT' AND criterion = 'budget';
		EXECUTE bant;
		BEGIN;
		DROP EXTENSION lead_qualify;
		CREATE EXTENSION lead_qualify;
		EXECUTE bant;
		ROLLBACK;
		EXECUTE bant;}),
	join("\n", $bant, $bant =~ s/^50/80/r, $bant, '75|Money?', $bant, '75|Money?'),
	'a session follows DROP and CREATE EXTENSION of its own');
is($other->query_safe('EXECUTE bant'), '75|Money?', 'and so does one that was connected all the time');
is($other->query_safe($scores), "BANT 75 f\nCHAMP 20 f\nCRAKIT 17 f", 'in new statements too');

$node->safe_psql('postgres', 'DROP EXTENSION lead_qualify');
$other->query('EXECUTE bant');
like($other->{stderr}, qr/does not exist/, 'without the extension there is an error');
$other->{stderr} = '';
$node->safe_psql('postgres', 'CREATE EXTENSION lead_qualify');
is($other->query_safe('EXECUTE bant'), $bant, 'and with it all is well again');

# ------------------------------------------------------------------
# ALTER EXTENSION UPDATE
# ------------------------------------------------------------------

my $old = $node->safe_psql('postgres', q{SELECT extversion FROM pg_extension WHERE extname = 'lead_qualify'});
my $new = $old . 'test';
my $script = $node->config_data('--sharedir') . "/extension/lead_qualify--$old--$new.sql";

# The way that the install script prescribes: past the triggers, shipped rows
# only, and in the end a word to the other sessions.
my $replace = q{
	SET LOCAL session_replication_role = replica;
	UPDATE lead_qualify.criterion SET weight = weight * 10 + position
	WHERE shipped AND framework = 'BANT';
	UPDATE lead_qualify.framework SET min_met = 2 WHERE shipped AND framework IN ('BANT', 'CHAMP', 'CRAKIT');
	UPDATE lead_qualify.question SET question = 'New: ' || question WHERE shipped AND language = 'en';
	DELETE FROM lead_qualify.criterion WHERE shipped AND framework = 'CRAKIT' AND criterion IN ('timing', 'knowledge');
	INSERT INTO lead_qualify.framework (framework, shipped, position) VALUES ('NEU', true, 11);
	INSERT INTO lead_qualify.criterion (framework, criterion, shipped, position) VALUES
		('NEU', 'need', true, 1), ('NEU', 'budget', true, 2), ('CHAMP', 'timing', true, 5);
	INSERT INTO lead_qualify.question (criterion, language, shipped, question) VALUES ('need', 'de', true, 'Was brauchen Sie?');
	SET LOCAL session_replication_role = origin;
	DELETE FROM lead_qualify.framework WHERE false;
	DELETE FROM lead_qualify.criterion WHERE false;
	DELETE FROM lead_qualify.question WHERE false;
};

my $fh;
SKIP:
{
	skip "there is $script already", 1 if -e $script;
	skip "cannot write $script: $!", 1 unless open $fh, '>', $script;
	$upgrade = $script;
	print $fh "\\echo Use \"ALTER EXTENSION lead_qualify UPDATE\" to load this file. \\quit\n$replace";
	close $fh;

	# edits, before; and a gate, which has the framework as it was published
	create_crm($node, 'postgres', 5);
	$node->safe_psql(
		'postgres', q{
		SET client_min_messages = warning;
		UPDATE lead_qualify.criterion SET weight = 7 WHERE framework = 'BANT' AND criterion = 'budget';
		UPDATE lead_qualify.framework SET min_met = 3 WHERE framework = 'CHAMP';
		UPDATE lead_qualify.criterion SET enabled = false WHERE framework = 'CHAMP' AND criterion = 'challenges';
		UPDATE lead_qualify.criterion SET weight = 5 WHERE framework = 'CRAKIT' AND criterion = 'timing';
		UPDATE lead_qualify.question SET question = 'Money?' WHERE criterion = 'budget' AND language = 'en';
		INSERT INTO lead_qualify.framework (framework) VALUES ('Наша');
		INSERT INTO lead_qualify.criterion (framework, criterion, position) VALUES ('Наша', 'бюджет', 1), ('Наша', 'need', 2);
		INSERT INTO lead_qualify.question (criterion, language, question) VALUES ('бюджет', 'ru', 'Есть ли бюджет?');
		SELECT lead_qualify.attach('b2b', 'crm.leads', 'crm.activities');
		INSERT INTO crm.activities VALUES (1, 1, 'contact_sales', '2026-01-15Z');
		SELECT lead_qualify.answer('b2b', 1, 'budget=yes', '2026-02-01Z');});
	my $own = q{
		SELECT f::text FROM lead_qualify.framework f WHERE NOT shipped ORDER BY 1;
		SELECT c::text FROM lead_qualify.criterion c WHERE NOT shipped ORDER BY 1;
		SELECT q::text FROM lead_qualify.question q WHERE NOT shipped ORDER BY 1;};
	my $edits = $node->safe_psql('postgres', $own);
	my $own_framework = q{
		SELECT lead_qualify.framework_definition('Наша'), lead_qualify.next_question('', 'Наша', 'ru')};
	my $ours = $other->query_safe($own_framework);
	my $edited = "BANT 62 f\nCHAMP 33 f\nCRAKIT 50 f";
	is($other->query_safe($scores), $edited, 'as edited');

	# 7 + 14 of 7 + 32 + 23 + 14; (2 + 1) of 3 + 2 + 1 + 1; 5 of 9
	my $upgraded = "BANT 28 t\nCHAMP 43 f\nCRAKIT 56 t";
	is( $node->safe_psql(
			'postgres', qq{
			BEGIN; ALTER EXTENSION lead_qualify UPDATE TO '$new'; $scores; ROLLBACK; $scores}),
		"$upgraded\n$edited",
		'an upgrade is seen in its transaction, and no longer when that is rolled back');
	is($other->query_safe($scores), $edited, 'and never by others');

	$node->safe_psql('postgres', "ALTER EXTENSION lead_qualify UPDATE TO '$new'");
	is($other->query_safe($scores), $upgraded, 'a session that is connected follows an upgrade');
	like($other->query_safe(q{SELECT lead_qualify.next_question('budget=no', 'BANT')}), qr/^New: /, 'in its questions, too');
	is($node->safe_psql('postgres', $scores), $other->query_safe($scores), 'a new one sees the same');
	is($node->safe_psql('postgres', $own), $edits, 'rows of ours are what they were');
	is($other->query_safe($own_framework), $ours, 'so is the framework of our own');

	is( $node->safe_psql(
			'postgres', q{
			SELECT criterion, weight FROM lead_qualify.criterion WHERE framework = 'BANT' ORDER BY position, shipped;
			SELECT (lead_qualify.assess('', f)).unknown FROM unnest(ARRAY['CHAMP', 'CRAKIT', 'NEU']) f;
			SELECT lead_qualify.next_question('', 'BANT'), left(lead_qualify.next_question('budget=no', 'BANT'), 8),
				lead_qualify.next_question('', 'NEU', 'de');
			SELECT framework FROM lead_qualify.assess_all('') OFFSET 9;}),
		join("\n",
			'budget|7', 'budget|41', 'authority|32', 'need|23', 'timing|14',
			'{authority,budget,priority,timing}', '{competition,need,authority,challenges,timing}', '{need,budget}',
			'Money?|New: Who|Was brauchen Sie?',
			'CRAKIT', 'NEU', 'Наша'),
		'what was not edited is new, what was edited stays');

	# a gate goes on as it was published, until it is published anew
	is( $node->safe_psql(
			'postgres', q{
			SET client_min_messages = warning;
			SELECT lead_qualify.answer('b2b', 1, 'need=yes', '2026-02-02Z');
			SELECT stage FROM crm.leads WHERE id = 1;
			SELECT * FROM lead_qualify.verify('b2b');
			SELECT object, name, change FROM lead_qualify.diff('b2b');
			SELECT lead_qualify.publish('b2b', effective_from => '-infinity');
			SELECT stage FROM crm.leads WHERE id = 1;
			SELECT * FROM lead_qualify.verify('b2b');}),
		join("\n", '', 'sal', 'framework|BANT|changed', (map { "criterion|BANT/$_|changed" } qw(authority need timing)), 2, 'sql'),
		'a gate follows when it is published');

	# the new rows are shipped rows like the old ones
	my ($status, $out, $err) = $node->psql('postgres', q{DELETE FROM lead_qualify.criterion WHERE framework = 'NEU'});
	like($err, qr/cannot delete the shipped criterion "(need|budget)" of framework "NEU"/, 'new rows are protected');
	is( $node->safe_psql(
			'postgres', q{
			UPDATE lead_qualify.criterion SET position = 3 - position WHERE framework = 'NEU' RETURNING criterion, shipped;
			SELECT (lead_qualify.assess('', 'NEU')).unknown;}),
		"need|f\nbudget|f\n{budget,need}", 'and can be edited');
	my $dump = slurp_copy($node, 'postgres');
	is($dump =~ s/\tt\t//gr, $dump, 'only rows of ours are dumped');
	like($dump, qr/^NEU\tneed\tf\t2\t/m, 'all of them');

	# what was shipped last comes back; a criterion that no longer is does not
	$node->safe_psql(
		'postgres', q{
		DELETE FROM lead_qualify.framework WHERE NOT shipped;
		DELETE FROM lead_qualify.criterion WHERE NOT shipped;
		DELETE FROM lead_qualify.question WHERE NOT shipped;});
	is($other->query_safe($scores), "BANT 50 t\nCHAMP 27 t\nCRAKIT 0 t", 'edits undone, the new rows are in force');
}

# The data of the three tables in a dump.
sub slurp_copy
{
	my ($in, $db) = @_;
	my $file = $in->basedir . '/frameworks.sql';

	$in->command_ok([ 'pg_dump', '-a', '-f', $file, '-d', $in->connstr($db) ], 'pg_dump');
	return join '', slurp_file($file) =~ /^COPY lead_qualify\.(?:framework|criterion|question) .*?;\n(.*?)^\\\.$/msg;
}

$other->quit;

# ------------------------------------------------------------------
# Other encodings
# ------------------------------------------------------------------

$node->safe_psql(
	'postgres', q{
	CREATE DATABASE latin1 TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C';
	CREATE DATABASE ascii TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C';
	CREATE DATABASE japanese TEMPLATE template0 ENCODING 'EUC_JP' LC_COLLATE 'C' LC_CTYPE 'C';
	CREATE DATABASE moved TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C';});
$ENV{PGCLIENTENCODING} = 'UTF8';
is( $node->safe_psql(
		'latin1', q{
		CREATE EXTENSION lead_qualify;
		SELECT language, count(*) FROM lead_qualify.question GROUP BY 1;
		SELECT count(*) FROM lead_qualify.question WHERE octet_length(convert_to(question, 'UTF8')) > length(question);
		SELECT count(*) FROM lead_qualify.framework WHERE octet_length(convert_to(description, 'UTF8')) > length(description);
		SELECT count(*) FROM pg_description WHERE octet_length(convert_to(description, 'UTF8')) > length(description);
		SELECT count(*) FROM lead_qualify.assess_all('') WHERE next_question IS NULL;
		SELECT lead_qualify.next_question('', 'BANT', 'ru') = lead_qualify.next_question('', 'BANT');
		SET lead_qualify.language = 'da';
		SELECT (lead_qualify.assess('', 'BANT')).next_question = lead_qualify.next_question('', 'BANT');}),
	"en|20\n0\n0\n0\n0\nt\nt", 'LATIN1: questions in English only, nothing that it cannot hold');

# criteria, questions and answers in letters that it has
create_crm($node, 'latin1', 3);
my $state = q{
	SELECT lead, assessment, l.stage FROM crm.leads_qualification q JOIN crm.leads l ON l.id = q.lead ORDER BY lead;
	SELECT lead_qualify.framework_definition('Købeklar');
	SELECT lead_qualify.next_question('', 'Købeklar', 'da'), lead_qualify.next_question('', 'BANT', 'da');
	SELECT lead, missing_criteria FROM crm.leads_scored ORDER BY lead;
	SELECT * FROM lead_qualify.verify('b2b');};
is( $node->safe_psql(
		'latin1', qq{
		SET client_min_messages = warning;
		INSERT INTO lead_qualify.framework (framework) VALUES ('Købeklar');
		INSERT INTO lead_qualify.criterion (framework, criterion, position) VALUES ('Købeklar', 'råd', 1), ('Købeklar', 'need', 2);
		INSERT INTO lead_qualify.question (criterion, language, question)
		VALUES ('råd', 'da', 'Har I råd?'), ('budget', 'da', 'Er pengene på plads?');
		SELECT lead_qualify.attach('b2b', 'crm.leads', 'crm.activities', template => 'empty');
		SELECT lead_qualify.alter_pipeline('b2b', framework => 'Købeklar');
		INSERT INTO lead_qualify.gate (pipeline, stage, name, framework) VALUES ('b2b', 'mql', 'råd', 'Købeklar');
		SELECT lead_qualify.publish('b2b', effective_from => '-infinity');
		SELECT lead_qualify.answer('b2b', 1, 'råd=yes, need=yes', '2026-02-01Z');
		SELECT lead_qualify.answer('b2b', 2, 'RåD=yes', '2026-02-01Z');
		$state}),
	join("\n", ('') x 2, 2, ('') x 2, '1|need=yes, råd=yes|mql', '2|råd=yes|lead',
		'{"min_met": null, "criteria": [{"met_at": 3, "weight": 1, "position": 1, "required": false, "criterion": "råd"}, '
		  . '{"met_at": 3, "weight": 1, "position": 2, "required": false, "criterion": "need"}], "framework": "Købeklar", "min_score": null}',
		'Har I råd?|Er pengene på plads?', '1|{}', '2|{need}'),
	'LATIN1: a framework of our own works');

# ... and go along into a database that has more
my $file = $node->basedir . '/latin1.sql';
$node->command_ok([ 'pg_dump', '-E', 'LATIN1', '-f', $file, '-d', $node->connstr('latin1') ], 'LATIN1: pg_dump');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('moved'), '-f', $file ],
	'it is restored in UTF8');
is($node->safe_psql('moved', $state), $node->safe_psql('latin1', $state), 'and means the same');
is( $node->safe_psql(
		'moved', q{
		SELECT lead_qualify.answer('b2b', 2, 'NEED=yes', '2026-02-02Z');
		SELECT stage FROM crm.leads WHERE id = 2;
		SELECT * FROM lead_qualify.verify('b2b');
		SELECT count(DISTINCT language) FROM lead_qualify.question;}),
	"\nmql\n5", 'and goes on');

# bytes of no encoding
$ENV{PGCLIENTENCODING} = 'SQL_ASCII';
is( $node->safe_psql(
		'ascii', q{
		CREATE EXTENSION lead_qualify;
		SELECT language, count(*) FROM lead_qualify.question GROUP BY 1 ORDER BY 1;
		SELECT lead_qualify.is_qualified('Budget=yes, authority=partial, need=yes, timing=yes', 'BANT');
		SELECT 'бюджет=yes'::lead_qualify.assessment;}),
	"bg|20\nda|20\nen|20\npl|20\nru|20\nt\nбюджет=yes", 'SQL_ASCII: questions in all languages');
delete $ENV{PGCLIENTENCODING};

my ($status, $stdout, $stderr) = $node->psql('japanese', 'CREATE EXTENSION lead_qualify');
like($stderr, qr/invalid byte sequence for encoding "EUC_JP"/, 'EUC_JP: the extension cannot be installed');

$node->stop;
done_testing();
