# docs/conversion.md shows what really comes out: each of its console blocks
# stands, word for word, in the output of docs/conversion.sql on the CRM of the
# demo; and the picture was drawn from its first table.

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

sub slurp
{
	my $file = shift;
	open(my $fh, '<:encoding(UTF-8)', $file) or die "$file: $!";
	local $/;
	return scalar <$fh>;
}

my $doc = slurp('docs/conversion.md');
my @blocks = $doc =~ /^```console\n(.*?)^```$/gms;

my $node = PostgreSQL::Test::Cluster->new('doc');
$node->init(extra => [ '--encoding=UTF8', '--locale=C' ]);
$node->append_conf('postgresql.conf', "timezone = 'Asia/Tokyo'");
$node->start;
local $ENV{PGCLIENTENCODING} = 'UTF8';

sub run_file
{
	my @options = @_;
	my ($out, $err);
	my @command = ('psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('postgres'), @options);

	IPC::Run::run(\@command, '>', \$out, '2>', \$err) or die "@command: $err";
	return $out;
}

run_file('-v', "anchor='2026-01-01Z'", '-f', 'examples/demo/crm.sql');
my $output = run_file('-a', '-f', 'docs/conversion.sql');
utf8::decode($output);

cmp_ok(scalar(@blocks), '>', 4, 'docs/conversion.md has tables');
for my $block (@blocks)
{
	my ($title) = $block =~ /^(.*)$/m;

	ok(index($output, $block) >= 0, "real output: $title");
}

# the picture's description is the rows that it was drawn from
my ($drawn) = slurp('docs/conversion.svg') =~ m{<dc:description>(.*?)</dc:description>}s;
my ($months) = $blocks[0] =~ /came true \n[-+]+\n(.*)\n\z/s;

is($drawn, $months, 'the picture shows the table');

done_testing();
