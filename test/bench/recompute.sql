-- Everything computed anew: recompute_all() of 100,000 leads with 5,000,000
-- activities (QUICK=1: a twentieth) under the template b2b, caps, stages and history
-- included: the first time, which writes every state, and again.  Goal: at most
-- 8 times a count of the activities.  Beside what it takes to read them lead by
-- lead in order of time, and the batches that people run at night: an UPDATE
-- that adds up decayed points, and the same with the caps, by window functions
-- over lead, rule and day.  The scores are compared.

\ir common.sql
\if :quick
\set leads 5000
\else
\set leads 100000
\endif
SET work_mem = '256MB';
SET synchronous_commit = off;

SELECT bench.crm('crm') \g /dev/null
SELECT lead_qualify.attach('crm', 'crm.lead', 'crm.activity', time_zone => 'UTC') \g /dev/null
CREATE TABLE crm.batch (lead_id int PRIMARY KEY, points float8, mql boolean) WITH (fillfactor = 50);
INSERT INTO crm.lead SELECT * FROM bench.leads(:leads);
INSERT INTO crm.batch SELECT id, 0, false FROM crm.lead;
-- as after a load that fired no triggers
SET session_replication_role = replica;
INSERT INTO crm.activity (lead_id, type, occurred_at, campaign_id)
SELECT lead_id, bench.kind(kind), at, hashint4(kind * lead_id) & 31 FROM bench.events(:leads) ORDER BY at;
RESET session_replication_role;
VACUUM (ANALYZE, FREEZE) crm.activity;
VACUUM ANALYZE crm.lead;
VACUUM ANALYZE crm.batch;
SELECT count(*) AS n, count(DISTINCT lead_id) AS leads FROM crm.activity \gset

-- a rule as a row, as a batch would have it
CREATE TABLE bench.rule AS SELECT activity_type AS type, points, extract(epoch FROM period) AS half_life, at_most, per, max_points
FROM lead_qualify.rule WHERE pipeline = 'crm' AND activity_type IS NOT NULL;
ANALYZE bench.rule;

INSERT INTO bench.alternative (measure, n, what, run, units, baseline, goal)
SELECT 'recompute', n, what, replace(replace(run, 'BATCH', 'UPDATE crm.batch b SET points = s.points, mql = s.points >= 25
		FROM (SELECT lead_id, least(100, greatest(0, sum(points))) AS points FROM'),
	'DECAYED', 'r.points * power(0.5, coalesce(extract(epoch FROM ''2026-01-01'' - a.occurred_at) / r.half_life, 0)::float8) AS points'),
	:n, CASE WHEN n > 1 THEN 'count(*)' END, CASE WHEN n = 2 THEN 8 END
FROM (VALUES
	(1, 'count(*)', 'SELECT count(*) FROM crm.activity'),
	(2, 'recompute_all', 'CALL lead_qualify.recompute_all(''crm'')'),
	(5, 'reading in order', $$SELECT count(row) FROM (SELECT a AS row FROM crm.activity a ORDER BY lead_id, occurred_at OFFSET 0) a$$),
	(3, 'SQL batch, no caps', $$BATCH (
			SELECT a.lead_id, DECAYED FROM crm.activity a JOIN bench.rule r USING (type)) p GROUP BY 1) s
		WHERE b.lead_id = s.lead_id$$),
	(4, 'SQL batch, caps', $$BATCH (
			SELECT lead_id, least(sum(points), max(max_points)) AS points FROM (
				SELECT a.lead_id, r.type, r.at_most, r.max_points, DECAYED,
					row_number() OVER (PARTITION BY a.lead_id, r.type, CASE WHEN r.per = 'day' THEN date_trunc('day', a.occurred_at) END,
						CASE WHEN r.at_most = 1 THEN a.campaign_id END ORDER BY a.occurred_at, a.id) AS nth
				FROM crm.activity a JOIN bench.rule r USING (type)) n
			WHERE at_most IS NULL OR nth <= at_most GROUP BY lead_id, type) p GROUP BY 1) s
		WHERE b.lead_id = s.lead_id$$)) v (n, what, run);
INSERT INTO bench.alternative (measure, n, what, run, units) SELECT 'first time', n, what, run, units FROM bench.alternative WHERE n <= 2;
CALL bench.turns('first time', 1, 1);
CALL bench.turns('recompute', 3, 1);

-- the batch with caps was the last to write: do both say the same?
INSERT INTO bench.figure
SELECT 'recompute', 'leads with an unequal score', count(*) FILTER (WHERE abs(b.points - p.points) > 1e-6), 'of ' || count(*), '0',
	bool_and(abs(b.points - p.points) <= 1e-6)
FROM crm.batch b JOIN crm.lead_qualification q ON q.lead = b.lead_id, lead_qualify.points(q.score, 'engagement', '2026-01-01') p (points);
SELECT * FROM bench.report;
SELECT * FROM bench.figure;
