-- One million is_qualified(assessment, 'BANT') in a scan (QUICK=1: 200,000),
-- and its kin, beyond a count of the column.  Goal: 0.5 microseconds each.

\ir common.sql
\if :quick
\set n 200000
\else
\set n 1000000
\endif

CREATE TABLE answered (a lead_qualify.assessment NOT NULL);
INSERT INTO answered
SELECT format('budget=%s, authority=%s, need=%s, timing=%s, champion=%s', i % 4, i / 4 % 4, i / 16 % 4,
			  i / 64 % 4, i / 256 % 4)::lead_qualify.assessment
FROM generate_series(1, :n) i;
VACUUM (ANALYZE, FREEZE) answered;

INSERT INTO bench.alternative (measure, n, what, run, units, baseline, goal, goal_is)
SELECT 'frameworks', n, what, format('SELECT count(%s) FROM answered', run), :n, CASE WHEN n > 1 THEN 'scan' END,
	CASE WHEN n = 2 THEN 0.5 END, '≤ µs'
FROM (VALUES
	(1, 'scan', 'a'),
	(2, 'is_qualified', 'lead_qualify.is_qualified(a, ''BANT'')'),
	(3, 'framework_score', 'lead_qualify.framework_score(a, ''BANT'')'),
	(4, 'missing_criteria', 'lead_qualify.missing_criteria(a, ''BANT'')')) v (n, what, run);
CALL bench.turns('frameworks', 11);
SELECT * FROM bench.report;
