# Malformed binary input of the types is an error, never more: whatever bytes
# come, the server lives, and what it takes in is a sound value.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use CRM;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('binary');
$node->init(extra => [ '-E', 'UTF8', '--locale=C' ]);
$node->append_conf('postgresql.conf', "fsync = off\ntimezone = 'UTC'");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION lead_qualify');
create_crm($node, 'postgres', 100);
attach_crm($node, 'postgres');
$node->safe_psql(
	'postgres', q{
	INSERT INTO crm.activities SELECT * FROM crm.make(1, 600);
	CREATE TABLE score (v lead_qualify.lead_score);
	CREATE TABLE grade (v lead_qualify.lead_grade);
	CREATE TABLE assessment (v lead_qualify.assessment);});

# A file of COPY BINARY: one row for each value.
sub copy_file
{
	my ($name, @values) = @_;
	my $file = $node->basedir . "/$name";

	open my $fh, '>:raw', $file or die "cannot write $file: $!";
	print $fh "PGCOPY\n\377\r\n\0", pack('NN', 0, 0),
	  (map { pack('nN', 1, length $_) . $_ } @values), pack('n', 0xffff);
	close $fh;
	return $file;
}

# The values that a query gives, in binary.
sub binary_values
{
	my ($query) = @_;
	my $file = $node->basedir . '/out';

	$node->safe_psql('postgres', "COPY ($query) TO '$file' BINARY");
	my $data = slurp_file($file);
	my $at = 19;
	my @values;
	while ((my $fields = unpack 'n', substr $data, $at, 2) != 0xffff)
	{
		my $length = unpack 'N', substr $data, $at + 2, 4;
		push @values, substr $data, $at + 6, $length;
		$at += 6 + $length;
	}
	return @values;
}

# Feeds every value by itself to COPY.  Returns the SQLSTATEs and how often
# each came; the values that were taken are in the table.
sub feed
{
	my ($table, @values) = @_;
	my $script = "\\set VERBOSITY sqlstate\nTRUNCATE $table;\n";
	my $n = 0;
	my %states;

	foreach my $value (@values)
	{
		my $file = copy_file($table . $n++, $value);
		$script .= "COPY $table FROM '$file' BINARY;\n";
	}
	my ($status, $out, $err) =
	  $node->psql('postgres', $script, on_error_stop => 0);
	is($status, 0, "$table: the session survives " . @values . ' values') or diag substr $err, 0, 1000;
	$states{$1}++ while $err =~ /ERROR:  (\w+)/g;
	unlink map { $node->basedir . "/$table$_" } 0 .. $n - 1;
	my $failed = 0;
	$failed += $_ foreach values %states;
	is($node->safe_psql('postgres', "SELECT count(*) FROM $table"),
		@values - $failed, "$table: each was taken or refused");
	note "$table: SQLSTATE $_ $states{$_} times" foreach sort keys %states;
	return \%states;
}

# Only what the messages of a type are for; above all no internal errors.
sub only_clean
{
	my ($states, $name, @more) = @_;
	my %clean = map { $_ => 1 } qw(22P03 08P01 22021 22003 54000), @more;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return is(join(' ', grep { !$clean{$_} } sort keys %$states), '', $name);
}

# What was taken can be used like any other value.
sub sound
{
	my ($name) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return is(
		$node->safe_psql(
			'postgres', q{
			SELECT count(*) FROM score
			WHERE v::text::lead_qualify.lead_score OPERATOR(lead_qualify.<>) v
				OR lead_qualify.lead_score_hash(v) IS NULL
				OR (lead_qualify.total(v, '2030-01-01Z') + length(v::text)
					+ lead_qualify.points(v, (lead_qualify.dimensions(v))[1], '2030-01-01Z')) = 'NaN';}),
		'0', $name);
}

# a round trip first: the helpers are right
my @scores = binary_values('SELECT score FROM crm.leads_qualification ORDER BY length(score::text) DESC, lead');
feed('score', @scores);
is( $node->safe_psql(
		'postgres',
		q{SELECT count(*) FROM (SELECT v::text FROM score EXCEPT ALL SELECT score::text FROM crm.leads_qualification) x}),
	'0', 'whole values come back as they were');

# the longest value, one of medium length and the shortest
my %kinds = map { $_ => 1 } @scores[ 0, @scores / 2, -1 ];
foreach my $score (sort { length $a <=> length $b } keys %kinds)
{
	my $length = length $score;
	my $states;

	# every prefix, and something behind the end
	$states = feed('score', (map { substr $score, 0, $_ } 0 .. $length - 1),
		"$score\0", $score . 'x' x 100);
	only_clean($states, "$length bytes: cut short or too long");
	is($node->safe_psql('postgres', 'SELECT count(*) FROM score'),
		'0', "$length bytes: no part is a value");

	# every byte changed, in ways that hit counts, lengths, kinds and floats
	my @changed;
	for my $i (0 .. $length - 1)
	{
		foreach my $with (0, 1, 0x7f, 0x80, 0xff)
		{
			my $copy = $score;
			substr($copy, $i, 1) = chr $with;
			push @changed, $copy if $copy ne $score;
		}
	}
	# at most 700 of them, evenly
	my $step = int(@changed / 700) + 1;
	@changed = @changed[ grep { $_ % $step == 0 } 0 .. $#changed ];
	only_clean(feed('score', @changed), "$length bytes: single bytes changed");
	sound("$length bytes: what was taken is sound");
}

# runs of bytes: huge counts, NaN, infinity, negative numbers
my $score = $scores[0];
my @runs;
foreach my $run ("\xff\xff\xff\xff", "\x7f\xff\xff\xff", "\x00\x00\x00\x00",
	"\x7f\xf8\x00\x00\x00\x00\x00\x00", "\x7f\xf0\x00\x00\x00\x00\x00\x00",
	"\xff\xf0\x00\x00\x00\x00\x00\x00", "\x80\x00\x00\x00\x00\x00\x00\x00",
	"\x7f\xef\xff\xff\xff\xff\xff\xff")
{
	for (my $i = 0; $i + length $run <= length $score; $i += 3)
	{
		my $copy = $score;
		substr($copy, $i, length $run) = $run;
		push @runs, $copy;
	}
}
only_clean(feed('score', @runs[ 0 .. ($#runs < 900 ? $#runs : 900) ]), 'runs of bytes changed');
sound('and what was taken is sound');

# noise, always the same
srand 42;
only_clean(
	feed('score', map { my $n = int rand 200; join '', map { chr int rand 256 } 1 .. $n } 1 .. 300),
	'noise');
only_clean(
	feed('score',
		map { my $copy = $score; substr($copy, rand length $copy, 1) = chr int rand 256 for 1 .. 4; $copy } 1 .. 300),
	'several bytes changed');
sound('after noise too');

# grades
my @grades = binary_values(q{SELECT g::lead_qualify.lead_grade FROM unnest('{A+,C,F}'::text[]) g});
is(join(' ', map { length } @grades), join(' ', (length $grades[0]) x 3), 'a grade has a fixed length');
my $states = feed('grade', '', (map { chr } 0 .. 255), (map { pack 'n', $_ * 257 } 0 .. 255),
	(map { pack 'n', $_ } 0 .. 255), pack('N', 1), "\0" x 100);
only_clean($states, 'grades: everything else is refused');
is( $node->safe_psql(
		'postgres', q{
		SELECT count(*) > 0, count(*) FILTER (WHERE v::text !~ '^([ABCD][+-]?|F)$')
		FROM grade}),
	't|0', 'grades: what was taken is one');

# assessments: version, number of answers, then level, length and name of each
sub assessment
{
	my @answers = @_;
	return pack 'Cn(Cn/a)*', 1, @answers / 2, map { @answers[ 2 * $_ + 1, 2 * $_ ] } 0 .. @answers / 2 - 1;
}

# What was taken is what its text says, and what every other way to make it gives.
sub sound_assessments
{
	my ($name) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return is(
		$node->safe_psql(
			'postgres', q{
			SET search_path = lead_qualify, public, pg_catalog;
			SELECT v FROM public.assessment
			WHERE v::text::lead_qualify.assessment <> v OR v::jsonb::lead_qualify.assessment <> v
				OR v || v <> v OR NOT v @> v OR v <> ''::lead_qualify.assessment || v
				OR assessment_hash(v) <> assessment_hash(v::text::lead_qualify.assessment)
				OR lead_qualify.assessment_send(v) <> lead_qualify.assessment_send(v::text::lead_qualify.assessment)
				OR v <> (SELECT coalesce(assessment_merge(lead_qualify.assessment(criterion, level)), '') FROM answers(v))
				OR EXISTS (SELECT FROM answers(v) a WHERE a.criterion <> criterion_name(a.criterion) OR v -> a.criterion IS DISTINCT FROM a.level)
				OR (SELECT count(*) FROM assess_all(v)) < 10;}),
		'', $name);
}

my @assessments = binary_values(q{
	SELECT a::lead_qualify.assessment FROM unnest(ARRAY['', 'budget=yes', 'authority=partial, Бюджет=weak, need=no, timing=yes',
		(SELECT string_agg('criterion_' || i || '=' || i % 4, ',') FROM generate_series(1, 1000) i)]) WITH ORDINALITY u (a, n) ORDER BY n});
is($assessments[0], assessment(), 'nothing is three bytes');
is($assessments[1], assessment(budget => 3), 'an answer has its level, length and name');
is($assessments[2], assessment(authority => 2, need => 0, timing => 3, 'бюджет' => 1), 'answers are in the order of their names');
feed('assessment', @assessments);
is( $node->safe_psql('postgres', q{
		SELECT left(v::text, 80) FROM assessment ORDER BY v}),
	"\nbudget=yes\nauthority=partial, need=no, timing=yes, бюджет=weak\n"
	  . 'criterion_1=weak, criterion_10=partial, criterion_100=no, criterion_1000=no, cri', 'whole assessments come back as they were');
sound_assessments('and are sound');

# what is said in another way is the same value
feed('assessment', assessment(timing => 3, budget => 1), assessment('Money', 1, 'Critical-Event', 3),
	assessment(funds => 1, budget => 1, urgency => 3));
is($node->safe_psql('postgres', q{SELECT DISTINCT v FROM assessment}),
	'budget=weak, timing=yes', 'order, case and aliases do not matter');
sound_assessments('nor remain');

# what is no name, no level, too much or said twice
my $refused = feed('assessment', map { assessment(@$_) }[ '' => 1 ], [ 'two words' => 1 ], [ 'x' x 64 => 1 ], [ 'б' x 32 => 1 ],
	[ "\xd0" => 1 ], [ "a\0b" => 1 ], [ '1st' => 1 ], [ budget => 4 ], [ budget => 255 ], [ budget => 1, money => 2 ],
	[ map { ("c$_" => 1) } 1 .. 1001 ]);
only_clean($refused, 'bad assessments: clear errors', '22023');
is($node->safe_psql('postgres', 'SELECT count(*) FROM assessment'), '0', 'bad assessments: none is taken');

foreach my $assessment (@assessments[ 1, 2 ])
{
	my $length = length $assessment;
	my (@changed, @several);

	$states = feed('assessment', (map { substr $assessment, 0, $_ } 0 .. $length - 1), "$assessment\0", $assessment . 'x' x 100);
	only_clean($states, "$length bytes: cut short or too long", '22023');
	is($node->safe_psql('postgres', 'SELECT count(*) FROM assessment'), '0', "$length bytes: no part is a value");
	foreach my $i (0 .. $length - 1)
	{
		foreach my $with (0, 1, 2, 0x20, 0x41, 0x7f, 0x80, 0xff)
		{
			push @changed, $assessment;
			substr($changed[-1], $i, 1) = chr $with;
		}
	}
	@several = map { my $copy = $assessment; substr($copy, rand $length, 1) = chr int rand 256 for 1 .. 3; $copy } 1 .. 100;
	only_clean(feed('assessment', @changed, @several), "$length bytes: bytes changed", '22023');
	sound_assessments("$length bytes: what was taken is sound");
}
my @pieces = ('a' .. 'e', '_', '-', '7', 'б', 'Ж', 'é', "e\xcc\x81", map { chr } 0x20, 0xd0);

sub noisy_name
{
	return join '', 'N', map { $pieces[ rand(rand() < 0.02 ? 14 : 12) ] } 0 .. rand 30;
}
only_clean(
	feed('assessment', map { assessment(map { noisy_name() => int rand 4 } 0 .. rand 3) } 1 .. 150),
	'noise', '22023');
sound_assessments('after noise too');

like($node->safe_psql('postgres', 'SELECT pg_postmaster_start_time() IS NOT NULL'), qr/t/, 'the server lives');
unlike(slurp_file($node->logfile), qr/PANIC|TRAP|terminated by signal/, 'and never crashed');
$node->stop;
done_testing();
