# A small CRM with a pipeline, for the tests beside this file.

package CRM;

use strict;
use warnings;

use Exporter 'import';
use Test::More;

our @EXPORT = qw(create_crm attach_crm laws_hold crm_state);

# Leads and activity tables as an application has them.  crm.make(m, n) gives
# the activities m to n, always the same ones, in no order of time.
sub create_crm
{
	my ($node, $db, $leads) = @_;

	$node->safe_psql(
		$db, qq{
		CREATE SCHEMA crm;
		CREATE TABLE crm.leads (id bigint PRIMARY KEY, email text,
			company text, industry text, employees int, job_title text,
			region text, created_at timestamptz);
		CREATE TABLE crm.activities (id bigint PRIMARY KEY,
			lead_id bigint REFERENCES crm.leads, type text,
			occurred_at timestamptz, properties jsonb, campaign_id int);
		CREATE INDEX ON crm.activities (lead_id, occurred_at);
		CREATE TABLE crm."Phone calls" ("Call" uuid PRIMARY KEY,
			lead_id bigint, at timestamp, seconds int);
		CREATE INDEX ON crm."Phone calls" (lead_id);

		INSERT INTO crm.leads
		SELECT i, 'lead' || i || '\@example.com',
			CASE WHEN i % 3 > 0 THEN 'Company ' || i END,
			CASE WHEN i % 2 = 0 THEN 'SaaS' END, i % 120,
			CASE WHEN i % 5 = 0 THEN 'Director of Sales' END,
			CASE WHEN i % 4 = 0 THEN 'south' ELSE 'north' END,
			timestamptz '2026-01-01Z' + i * interval '1 minute'
		FROM generate_series(1, $leads) i;

		CREATE FUNCTION crm.make(first int, last int)
		RETURNS SETOF crm.activities LANGUAGE sql AS \$\$
			SELECT i, 1 + abs(hashint4(i)::bigint) % $leads,
				(ARRAY['page_view', 'page_view', 'email_open', 'email_click',
					'pricing_view', 'webinar_attended', 'whitepaper_download',
					'demo_request', 'unsubscribed'])
					[1 + abs(hashint4(i + 1000000)::bigint) % 9],
				timestamptz '2026-02-01Z' +
					abs(hashint4(i + 2000000)::bigint) % 200000 * interval '1 minute',
				jsonb_build_object('page', '/' || i % 10), i % 7
			FROM generate_series(first, last) i
		\$\$;});
	return;
}

# The pipeline "b2b": the template, a second source and rules of most kinds.
sub attach_crm
{
	my ($node, $db, $role) = @_;

	$node->safe_psql(
		$db, ($role ? "SET ROLE $role;" : '') . q{
		SET client_min_messages = warning;
		SELECT lead_qualify.attach('b2b', 'crm.leads', 'crm.activities',
			time_zone => 'Europe/Copenhagen');
		SELECT lead_qualify.add_source('b2b', 'crm."Phone calls"',
			type_value => 'call');
		INSERT INTO lead_qualify.rule (pipeline, name, activity_type, condition,
			points, decay, period, at_least, within)
		VALUES ('b2b', 'long_call', 'call', 'seconds > 60', 15, 'linear',
				'60 days', NULL, NULL),
			('b2b', 'keen', 'page_view', NULL, 7, 'window', '30 days', 3,
				'10 days');
		INSERT INTO lead_qualify.list VALUES ('b2b', 'rivals', 'Company 7');
		INSERT INTO lead_qualify.exclusion (pipeline, name, condition)
		VALUES ('b2b', 'rival', $$in_list('rivals', company)$$);
		SELECT lead_qualify.publish('b2b', 'more rules', '-infinity');});
	return;
}

# What must be the same here and there, as text.
sub crm_state
{
	my ($node, $db) = @_;

	return $node->safe_psql(
		$db, q{
		SELECT q::text FROM crm.leads_qualification q ORDER BY lead;
		SELECT h::text FROM crm.leads_stage_history h ORDER BY id;
		SELECT a::text FROM crm.leads_attributes a ORDER BY lead, changed_at;
		SELECT id, stage, stage_changed_at FROM crm.leads ORDER BY id;});
}

# verify() finds nothing, and a lead and its state do not contradict.
sub laws_hold
{
	my ($node, $db, $name) = @_;

	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return is(
		$node->safe_psql(
			$db, q{
			SELECT * FROM lead_qualify.verify('b2b');
			SELECT l.id, l.stage, q.stage
			FROM crm.leads l JOIN crm.leads_qualification q ON q.lead = l.id
			WHERE l.stage IS DISTINCT FROM q.stage;
			SELECT lead FROM crm.leads_stage_history
			WHERE left_at IS NULL AND superseded_at IS NULL
			GROUP BY 1 HAVING count(*) > 1;}),
		'', $name);
}

1;
