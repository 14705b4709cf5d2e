-- One million is_qualified(assessment, 'BANT') in a scan, beyond the scan.
-- Goal: 0.5 microseconds each.  The baseline counts the column; both run
-- eleven times, turn by turn, and the medians are compared.

\pset footer off
SET client_min_messages = warning;
CREATE EXTENSION lead_qualify;
SET max_parallel_workers_per_gather = 0;
SET jit = off;

CREATE TABLE answered (a lead_qualify.assessment NOT NULL);
INSERT INTO answered
SELECT format('budget=%s, authority=%s, need=%s, timing=%s, champion=%s', i % 4, i / 4 % 4, i / 16 % 4,
			  i / 64 % 4, i / 256 % 4)::lead_qualify.assessment
FROM generate_series(1, 1000000) i;
VACUUM (ANALYZE, FREEZE) answered;

CREATE TEMP TABLE run (what text, seconds float8);
DO $$
DECLARE
	begun timestamptz;
	what text;
	query text;
BEGIN
	FOR i IN 0 .. 11 LOOP
		FOR what, query IN VALUES
			('scan', 'SELECT count(a) FROM answered'),
			('is_qualified', 'SELECT count(lead_qualify.is_qualified(a, ''BANT'')) FROM answered'),
			('framework_score', 'SELECT count(lead_qualify.framework_score(a, ''BANT'')) FROM answered'),
			('missing_criteria', 'SELECT count(lead_qualify.missing_criteria(a, ''BANT'')) FROM answered')
		LOOP
			begun := clock_timestamp();
			EXECUTE query;
			IF i > 0 THEN	-- the first is for warming up
				INSERT INTO run VALUES (what, extract(epoch FROM clock_timestamp() - begun));
			END IF;
		END LOOP;
	END LOOP;
END $$;

WITH median AS (
	SELECT what, percentile_cont(0.5) WITHIN GROUP (ORDER BY seconds) AS seconds,
		min(seconds) AS best, max(seconds) AS worst
	FROM run GROUP BY what
)
SELECT m.what, round((m.seconds * 1000)::numeric, 1) AS "ms a million", round((m.best * 1000)::numeric, 1) AS best,
	round((m.worst * 1000)::numeric, 1) AS worst,
	round((m.seconds - s.seconds)::numeric, 3) AS "µs each beyond the scan"
FROM median m, (SELECT seconds FROM median WHERE what = 'scan') s
ORDER BY m.seconds;
