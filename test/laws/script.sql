-- test/laws/script.sql
-- One script, :seed, generated, run statement by statement and checked.
SET TimeZone = 'Asia/Tokyo';
CALL laws.generate(:seed);
\o /dev/null
SELECT s.sql FROM laws.step s ORDER BY s.n \gexec
CALL laws.check_script(:seed);
\o
