# Each SQL block of docs/bi.md works as it stands: what prepares the database
# as the owner, what a tool sends as the role "bi" that the document makes.

use strict;
use warnings FATAL => 'all';

use FindBin;
use lib $FindBin::RealBin;

use CRM;
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

my $node = PostgreSQL::Test::Cluster->new('bi');
$node->init(extra => [ '-E', 'UTF8', '--locale=C' ]);
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION lead_qualify');
create_crm($node, 'postgres', 300);
attach_crm($node, 'postgres');
$node->safe_psql(
	'postgres', q{
	INSERT INTO crm.activities SELECT * FROM crm.make(1, 5000);
	GRANT USAGE ON SCHEMA crm TO PUBLIC;});

# what the tools make of their macros
sub expand
{
	my ($sql, $filter) = @_;

	$sql =~ s/\$__timeFilter\((\w+)\)/$1 BETWEEN '2026-01-01T00:00:00Z' AND '2026-12-31T00:00:00Z'/g;
	if ($filter)
	{
		$sql =~ s/\[\[(.*?)\]\]/$1/g;
		$sql =~ s/\{\{since\}\}/'2026-01-01'/g;
	}
	else
	{
		$sql =~ s/\[\[.*?\]\]//g;
	}
	return $sql;
}

sub as_bi
{
	my $sql = shift;
	my ($out, $err);
	my $status = $node->psql('postgres', $sql, stdout => \$out, stderr => \$err,
		extra_params => [ '-U', 'bi' ]);

	diag($err) if $status != 0;
	return $status == 0 ? $out : undef;
}

my $doc = slurp('docs/bi.md');
my @blocks = $doc =~ /^```sql\n(.*?)^```$/gms;
my $queries = 0;

cmp_ok(scalar(@blocks), '>', 10, 'docs/bi.md has recipes');
for my $block (@blocks)
{
	my ($title) = split /\n/, $block;

	if ($block =~ /^SELECT/)
	{
		my $all = as_bi(expand($block, 0));

		isnt($all, undef, "works as bi: $title");
		isnt($all, '', 'and returns rows');
		is(as_bi(expand($block, 1)), $all, 'also with the variable given') if $block =~ /\[\[/;
		$queries++;
	}
	else
	{
		my ($status, $out, $err) = $node->psql('postgres', $block);

		is($status, 0, "works as the owner: $title") or diag($err);
	}
}
cmp_ok($queries, '>', 5, 'as many as there are tools');

# no type in the two views that a driver might not know
is( $node->safe_psql(
		'postgres', q{
		SELECT string_agg(DISTINCT format_type(a.atttypid, NULL), ', ')
		FROM pg_attribute a
		WHERE a.attrelid IN ('crm.leads_funnel'::regclass, 'crm.leads_conversion_monthly'::regclass)
			AND a.attnum > 0}),
	'boolean, double precision, integer, text, timestamp with time zone',
	'types of the views');

# bi reads, and nothing else
for my $sql ("SELECT lead_qualify.publish('b2b')", "SELECT lead_qualify.recompute('b2b')",
	"SELECT lead_qualify.move('b2b', 1, 'sql')", "SELECT lead_qualify.answer('b2b', 1, 'budget=yes')",
	'SELECT email FROM crm.leads')
{
	my $err;

	isnt($node->psql('postgres', "SET default_transaction_read_only = off; $sql",
			stderr => \$err, extra_params => [ '-U', 'bi' ]), 0, "refused: $sql");
	like($err, qr/permission denied/, 'for want of rights');
}

# Row security, enabled after attach: as the document says, the history has to
# be attached again
my $entered = "SELECT sum(entered) FROM crm.leads_funnel WHERE stage = 'lead'";
my $all = 300 - 1;				# the rival is excluded
my $north = $all - 300 / 4;

is(as_bi($entered), $all, 'row security enabled after attach does not hold for the history');
$node->safe_psql(
	'postgres', q{
	SET client_min_messages = warning;
	DROP MATERIALIZED VIEW crm.conversion_monthly_kept;
	SELECT lead_qualify.detach('b2b');
	SELECT lead_qualify.attach('b2b', 'crm.leads', 'crm.activities');
	GRANT SELECT ON crm.leads_qualification, crm.leads_stage_history, crm.leads_attributes TO bi;
	GRANT SELECT ON crm.leads_funnel, crm.leads_conversion_monthly, crm.leads_scored, crm.leads_sla_due TO bi;});
is(as_bi($entered), $north, 'attached again, bi counts the leads that it sees');

done_testing();
