# The tour in README.md shows what really comes out: each of its console
# blocks stands, word for word, in the expected output of sql/tour.sql.

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

my $readme = slurp('README.md');
my $tour = slurp('expected/tour.out');
my @blocks = $readme =~ /^```console\n(.*?)^```$/gms;

cmp_ok(scalar(@blocks), '>', 5, 'README.md has a tour');
for my $block (@blocks)
{
	my ($title) = split /\n/, $block;

	ok(index($tour, $block) >= 0, "real output: $title");
}

done_testing();
