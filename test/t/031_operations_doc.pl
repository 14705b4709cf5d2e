# docs/operations.md: each of its SQL blocks is run by sql/operations.sql, whose
# output the regression test compares, and what it says of the shipped settings
# is so.

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

my $doc = slurp('docs/operations.md');
my $script = slurp('sql/operations.sql');
my $output = slurp('expected/operations.out');
my @blocks = $doc =~ /^```sql\n(.*?)^```$/gms;

cmp_ok(scalar(@blocks), '>', 5, 'docs/operations.md has commands');
for my $block (@blocks)
{
	my ($title) = split /\n/, $block;

	$block =~ s/\n\z//;
	ok(index($script, $block) >= 0, "real command: $title");
}
unlike($output, qr/^ERROR/m, 'none of them fails');
my ($fillfactor) = $doc =~ /`fillfactor` (\d+)/;
like(slurp('src/side_columns.c'), qr/\{"qualification", .*, \Q$fillfactor\E, false, true, NULL\}/,
	"attach sets the fillfactor that it names");

done_testing();
