# docs/lifecycle.md shows what really comes out: its diagram is what
# lifecycle_diagram() makes of template b2b, and each of its SQL blocks is run
# by sql/sla.sql, whose output the regression test compares.

use strict;
use warnings FATAL => 'all';

use Test::More;

sub slurp
{
	my $file = shift;
	open(my $fh, '<:encoding(UTF-8)', $file) or die "$file: $!";
	local $/;
	return scalar <$fh>;
}

my $doc = slurp('docs/lifecycle.md');
my $output = slurp('expected/sla.out');
my ($diagram) = $doc =~ /^```mermaid\n(.*?)^```$/ms;
my @blocks = $doc =~ /^```sql\n(.*?)^```$/gms;

ok(defined $diagram, 'docs/lifecycle.md has a diagram');
ok(index($output, "SELECT lead_qualify.lifecycle_diagram('b2b');\n$diagram\n") >= 0,
	'it is what lifecycle_diagram() returns');
cmp_ok(scalar(@blocks), '>', 0, 'docs/lifecycle.md has recipes');
for my $block (@blocks)
{
	my ($title) = split /\n/, $block;

	ok(index($output, $block) >= 0, "real command: $title");
}

done_testing();
