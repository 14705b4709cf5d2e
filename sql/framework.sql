--
-- Qualification frameworks: assess() and its kin, and editing the tables.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lead_qualify;
CREATE ROLE regress_framework_editor;
CREATE ROLE regress_framework_reader;
GRANT SELECT, INSERT, UPDATE, DELETE ON lead_qualify.framework, lead_qualify.criterion,
	lead_qualify.question TO regress_framework_editor;
\set VERBOSITY default
\set SHOW_CONTEXT never
SET timezone = 'UTC';

-- ----------------------------------------------------------------
-- The shipped frameworks
-- ----------------------------------------------------------------

-- order of asking, beginning with the main criterion
SELECT framework, unknown AS criteria, next_criterion AS main
FROM lead_qualify.assess_all('');

-- one answer, yes to the main criterion: n of n + ... + 1, or one of n
SELECT a.framework, a.next_criterion AS answered, round(b.score::numeric, 4) AS score,
	b.score_max, round(b.coverage::numeric, 4) AS coverage, b.next_criterion
FROM lead_qualify.assess_all('') a,
	lead_qualify.assess((a.next_criterion || '=yes')::lead_qualify.assessment, a.framework) b;

-- weights, met_at and what it takes to pass
SELECT f.framework, d -> 'min_met' AS min_met, d -> 'min_score' AS min_score,
	(SELECT string_agg(c ->> 'weight', ' ' ORDER BY n) FROM jsonb_array_elements(d -> 'criteria') WITH ORDINALITY e (c, n)) AS weights,
	(SELECT string_agg(c ->> 'met_at', ' ' ORDER BY n) FROM jsonb_array_elements(d -> 'criteria') WITH ORDINALITY e (c, n)) AS met_at
FROM lead_qualify.framework f, lead_qualify.framework_definition(f.framework) d
ORDER BY f.position;

SELECT framework, position, description IS NOT NULL AS described FROM lead_qualify.framework ORDER BY position;

-- every criterion has its question in every language
SELECT DISTINCT c.criterion, l.language
FROM lead_qualify.criterion c CROSS JOIN unnest(ARRAY['en', 'ru', 'da', 'bg', 'pl']) l (language)
WHERE NOT EXISTS (SELECT FROM lead_qualify.question q
	WHERE q.criterion = c.criterion AND q.language = l.language)
ORDER BY 1, 2;

-- ----------------------------------------------------------------
-- What answers mean
-- ----------------------------------------------------------------

SELECT lead_qualify.is_qualified('budget=yes, authority=partial, need=yes, timing=yes', 'BANT');
SELECT lead_qualify.framework_score('budget=yes', 'BANT') AS bant,
	lead_qualify.framework_score('budget=yes', 'CHAMP') AS champ,
	lead_qualify.framework_score('budget=yes', 'ANUM') AS anum;

-- 3/3 of 4, 2/3 of 3, 1/3 of 2, 0/3 of 1: 40 + 20 + 6.667 + 0
SELECT framework, qualified, round(score::numeric, 4) AS score, round(score_max::numeric, 4) AS score_max,
	coverage, met, unmet, unknown, next_criterion, next_question IS NOT NULL AS asks
FROM lead_qualify.assess('money=yes, economic_buyer=partial, need=weak, urgency=no', 'BANT');
-- unknown is neither met nor unmet, and not the same as no
SELECT framework, qualified, round(score::numeric, 4) AS score, round(score_max::numeric, 4) AS score_max,
	coverage, met, unmet, unknown, next_criterion, next_question IS NOT NULL AS asks
FROM lead_qualify.assess('', 'BANT');
SELECT framework, qualified, round(score::numeric, 4) AS score, round(score_max::numeric, 4) AS score_max,
	coverage, met, unmet, unknown, next_criterion, next_question IS NOT NULL AS asks
FROM lead_qualify.assess('budget=no', 'BANT');
SELECT framework, qualified, round(score::numeric, 4) AS score, round(score_max::numeric, 4) AS score_max,
	coverage, met, unmet, unknown, next_criterion, next_question IS NOT NULL AS asks
FROM lead_qualify.assess('budget=no, authority=no, need=no, timing=no', 'BANT');
-- what a framework does not ask about does not count
SELECT framework, qualified, round(score::numeric, 4) AS score, round(score_max::numeric, 4) AS score_max,
	coverage, met, unmet, unknown, next_criterion, next_question IS NOT NULL AS asks
FROM lead_qualify.assess('goals=yes, plans=yes', 'BANT');
SELECT lead_qualify.missing_criteria('timing=yes, authority=weak', 'BANT');
SELECT lead_qualify.missing_criteria('budget=yes, authority=partial, need=yes, timing=yes', 'BANT');

-- MEDDPICC: 20 of 24 points pass, 19 do not, whichever criteria give them
SELECT round(score::numeric, 4) AS score, qualified, cardinality(met) AS met
FROM lead_qualify.assess('metrics=3, authority=3, decision_criteria=3, decision_process=3, paper_process=2, pain=2, champion=2, competition=2', 'MEDDPICC');
SELECT round(score::numeric, 4) AS score, qualified, cardinality(met) AS met
FROM lead_qualify.assess('metrics=3, authority=3, decision_criteria=3, decision_process=3, paper_process=2, pain=2, champion=2, competition=1', 'MEDDPICC');

-- the name in any case; NULL gives NULL
SELECT lead_qualify.is_qualified('', 'bant'), framework FROM lead_qualify.assess('', 'gpctba/c&i');
SELECT lead_qualify.is_qualified(NULL, 'BANT') IS NULL AS n1, lead_qualify.is_qualified('', NULL) IS NULL AS n2,
	lead_qualify.assess(NULL, 'BANT') IS NULL AS n3, lead_qualify.next_question('', 'BANT', NULL) IS NULL AS n4,
	(SELECT count(*) FROM lead_qualify.assess_all(NULL)) AS n5;

-- questions: in the language asked for, else in English, else none
SELECT lead_qualify.next_question('', 'BANT') = q.question AS english FROM lead_qualify.question q
WHERE criterion = 'budget' AND language = 'en';
SELECT l.language, lead_qualify.next_question('budget=yes', 'BANT', l.language) = q.question AS right_one
FROM unnest(ARRAY['en', 'ru', 'da', 'bg', 'pl', 'DA', 'xx', '', 'no-such-language']) WITH ORDINALITY l (language, n)
LEFT JOIN lead_qualify.question q ON q.criterion = 'authority'
	AND q.language = CASE WHEN n <= 5 THEN l.language WHEN n = 6 THEN 'da' ELSE 'en' END
ORDER BY n;
SELECT lead_qualify.next_question('budget=yes, authority=no, need=no, timing=no', 'BANT') IS NULL AS all_answered;
SET lead_qualify.language = 'pl';
SELECT (lead_qualify.assess('', 'BANT')).next_question = lead_qualify.next_question('', 'BANT', 'pl') AS polish,
	(SELECT next_question FROM lead_qualify.assess_all('') WHERE framework = 'BANT') = lead_qualify.next_question('', 'BANT', 'pl') AS all_polish,
	lead_qualify.next_question('', 'BANT') = lead_qualify.next_question('', 'BANT', 'en') AS argument_wins;
RESET lead_qualify.language;

-- laws, on all answers to five criteria
CREATE TEMP TABLE answers AS
SELECT n, (SELECT coalesce(string_agg(c || '=' || level - 1, ',' ORDER BY c), '')
	FROM (SELECT c, (n / (5 ^ (i - 1))::int) % 5 AS level
		FROM unnest(ARRAY['budget', 'authority', 'need', 'timing', 'challenges']) WITH ORDINALITY u (c, i)) l
	WHERE level > 0)::lead_qualify.assessment AS a
FROM generate_series(0, 3124) n;
SELECT count(*) AS tried,
	count(*) FILTER (WHERE lead_qualify.is_qualified(a, r.framework) <> r.qualified) AS differ,
	count(*) FILTER (WHERE lead_qualify.framework_score(a, r.framework) <> r.score) AS scores_differ,
	count(*) FILTER (WHERE r.score < 0 OR r.score > r.score_max OR r.score_max > 100 OR r.coverage < 0 OR r.coverage > 1) AS out_of_range,
	count(*) FILTER (WHERE r.unknown <> '{}' AND r.next_criterion IS DISTINCT FROM r.unknown[1]) AS wrong_next,
	count(*) FILTER (WHERE cardinality(met) + cardinality(unmet) + cardinality(unknown) <>
		jsonb_array_length(lead_qualify.framework_definition(r.framework) -> 'criteria')) AS lost
FROM answers, lead_qualify.assess_all(a) r;
-- score_max is the score if all that is unknown were yes
SELECT count(*) FROM answers, lead_qualify.assess_all(a) r
WHERE abs(r.score_max - lead_qualify.framework_score(a OPERATOR(lead_qualify.||)
	(SELECT coalesce(string_agg(u || '=yes', ','), '') FROM unnest(r.unknown) u)::lead_qualify.assessment, r.framework)) > 1e-9;

-- ----------------------------------------------------------------
-- Editing, by somebody who was granted it
-- ----------------------------------------------------------------

SET ROLE regress_framework_reader;
SELECT count(*) FROM lead_qualify.framework;
SELECT lead_qualify.framework_score('budget=yes', 'BANT');
UPDATE lead_qualify.criterion SET weight = 9 WHERE framework = 'BANT';
SET ROLE regress_framework_editor;

-- an UPDATE of a shipped row makes one of ours; the next one changes ours
UPDATE lead_qualify.criterion SET weight = 14
WHERE framework = 'BANT' AND criterion = 'budget' RETURNING *;
SELECT * FROM lead_qualify.criterion WHERE framework = 'BANT' ORDER BY position, shipped;
SELECT lead_qualify.framework_score('budget=yes', 'BANT');		-- 14 of 20
UPDATE lead_qualify.criterion SET weight = 6
WHERE framework = 'BANT' AND criterion = 'budget' RETURNING weight, shipped;
SELECT lead_qualify.framework_score('budget=yes', 'BANT');		-- 6 of 12
UPDATE lead_qualify.framework SET min_met = 3 WHERE framework = 'BANT' RETURNING *;
SELECT lead_qualify.is_qualified('budget=yes, authority=yes, need=yes', 'BANT') AS three_of_four;
UPDATE lead_qualify.criterion SET required = true WHERE framework = 'BANT' AND criterion = 'timing';
SELECT lead_qualify.is_qualified('budget=yes, authority=yes, need=yes', 'BANT') AS without_required,
	lead_qualify.is_qualified('timing=yes, authority=yes, need=yes', 'BANT') AS with_required;
UPDATE lead_qualify.question SET question = 'Is there money?' WHERE criterion = 'budget' AND language = 'en';
SELECT lead_qualify.next_question('', 'BANT'), lead_qualify.next_question('', 'BANT', 'xx');
SELECT framework, position FROM lead_qualify.assess_all('') WITH ORDINALITY a (framework, b, c, d, e, f, g, h, i, j, position)
WHERE framework = 'BANT';

-- back to what was shipped
DELETE FROM lead_qualify.framework WHERE NOT shipped;
DELETE FROM lead_qualify.criterion WHERE NOT shipped;
DELETE FROM lead_qualify.question WHERE NOT shipped;
SELECT lead_qualify.framework_score('budget=yes', 'BANT'), lead_qualify.is_qualified('budget=yes, authority=yes, need=yes', 'BANT');
SELECT count(*) FROM lead_qualify.criterion;

-- one UPDATE may let criteria change places, of shipped rows and of ours
UPDATE lead_qualify.criterion SET position = 5 - position WHERE framework = 'BANT';
SELECT unknown FROM lead_qualify.assess('', 'BANT');
UPDATE lead_qualify.criterion SET position = CASE criterion WHEN 'timing' THEN 2 ELSE 1 END
WHERE framework = 'BANT' AND criterion IN ('timing', 'need');
SELECT unknown FROM lead_qualify.assess('', 'BANT');
-- ... but no two may stay at one
UPDATE lead_qualify.criterion SET position = 4 WHERE framework = 'BANT' AND criterion = 'need';
DELETE FROM lead_qualify.criterion WHERE framework = 'BANT' AND criterion = 'timing' AND NOT shipped;
INSERT INTO lead_qualify.criterion (framework, criterion, position) VALUES ('BANT', 'goals', 3);
INSERT INTO lead_qualify.criterion (framework, criterion, position) VALUES ('BANT', 'goals', 7);
UPDATE lead_qualify.criterion SET position = 7 WHERE framework = 'BANT' AND criterion = 'need';
-- a criterion that is left out gives its position up, and takes it back
UPDATE lead_qualify.criterion SET enabled = false WHERE framework = 'BANT' AND criterion = 'timing';
UPDATE lead_qualify.criterion SET position = 2 WHERE framework = 'BANT' AND criterion = 'goals';
SELECT unknown FROM lead_qualify.assess('', 'BANT');
UPDATE lead_qualify.criterion SET enabled = true WHERE framework = 'BANT' AND criterion = 'timing';
DELETE FROM lead_qualify.criterion WHERE NOT shipped;

-- INSERT ... ON CONFLICT and MERGE meet our own rows
INSERT INTO lead_qualify.criterion AS c (framework, criterion, position, weight) VALUES ('BANT', 'budget', 1, 5)
ON CONFLICT (framework, criterion, shipped) DO UPDATE SET weight = excluded.weight RETURNING c.weight, c.shipped;
INSERT INTO lead_qualify.criterion AS c (framework, criterion, position, weight) VALUES ('BANT', 'money', 1, 7)
ON CONFLICT (framework, criterion, shipped) DO UPDATE SET weight = excluded.weight RETURNING c.criterion, c.weight, c.shipped;
MERGE INTO lead_qualify.criterion c
USING (VALUES ('BANT', 'budget', 8), ('BANT', 'need', 8)) v (framework, criterion, weight)
ON c.framework = v.framework AND c.criterion = v.criterion
WHEN MATCHED THEN UPDATE SET weight = v.weight;
SELECT criterion, shipped, weight FROM lead_qualify.criterion
WHERE framework = 'BANT' AND criterion IN ('budget', 'need') ORDER BY 1, 2;
SELECT lead_qualify.framework_score('budget=yes', 'BANT');		-- 8 of 20
WITH timing AS (UPDATE lead_qualify.criterion SET weight = 12 WHERE framework = 'BANT' AND criterion = 'timing' RETURNING 1)
UPDATE lead_qualify.criterion SET weight = 9 WHERE framework = 'BANT' AND criterion = 'authority';
SELECT criterion, shipped, weight FROM lead_qualify.criterion WHERE framework = 'BANT' ORDER BY 1, 2;
DELETE FROM lead_qualify.criterion WHERE NOT shipped;

-- a key is the canonical name, so an alias of it is a duplicate
INSERT INTO lead_qualify.criterion (framework, criterion, position) VALUES ('BANT', 'Pain-Points', 5) RETURNING criterion;
INSERT INTO lead_qualify.criterion (framework, criterion, position) VALUES ('BANT', 'challenge', 6);
INSERT INTO lead_qualify.question (criterion, language, question) VALUES ('pain', 'en', 'Where does it hurt?') RETURNING criterion, shipped;
SELECT lead_qualify.next_question('budget=no, authority=no, need=no, timing=no', 'BANT');
DELETE FROM lead_qualify.criterion WHERE NOT shipped;
DELETE FROM lead_qualify.question WHERE NOT shipped;

-- the right to update is enough to edit a shipped row
RESET ROLE;
REVOKE INSERT, DELETE ON lead_qualify.criterion FROM regress_framework_editor;
SET ROLE regress_framework_editor;
UPDATE lead_qualify.criterion SET weight = 14 WHERE framework = 'BANT' AND criterion = 'budget' RETURNING weight, shipped;
SELECT lead_qualify.framework_score('budget=yes', 'BANT');
RESET ROLE;
GRANT INSERT, DELETE ON lead_qualify.criterion TO regress_framework_editor;
SET ROLE regress_framework_editor;
DELETE FROM lead_qualify.criterion WHERE NOT shipped;

-- shipped rows stay
DELETE FROM lead_qualify.criterion WHERE framework = 'BANT' AND criterion = 'budget';
DELETE FROM lead_qualify.framework WHERE framework = 'BANT';
DELETE FROM lead_qualify.question WHERE criterion = 'budget' AND language = 'pl';
INSERT INTO lead_qualify.framework (framework, shipped) VALUES ('MINE', true);
INSERT INTO lead_qualify.framework (framework, shipped) VALUES ('BANT', true) ON CONFLICT DO NOTHING;
INSERT INTO lead_qualify.framework (framework) VALUES ('MINE');
UPDATE lead_qualify.framework SET shipped = true WHERE framework = 'MINE';
UPDATE lead_qualify.criterion SET criterion = 'goals' WHERE framework = 'BANT' AND criterion = 'budget';
UPDATE lead_qualify.framework SET framework = 'BUNT' WHERE framework = 'BANT';
UPDATE lead_qualify.criterion SET criterion = 'money', weight = 4 WHERE framework = 'BANT' AND criterion = 'budget' RETURNING criterion, shipped;
TRUNCATE lead_qualify.criterion;
RESET ROLE;
TRUNCATE lead_qualify.framework;
TRUNCATE lead_qualify.criterion;
TRUNCATE lead_qualify.question;
SELECT lead_qualify.framework_edit();
SET ROLE regress_framework_editor;
DELETE FROM lead_qualify.criterion WHERE NOT shipped;
DELETE FROM lead_qualify.framework WHERE NOT shipped;

-- ----------------------------------------------------------------
-- Own frameworks
-- ----------------------------------------------------------------

-- in any script: a Russian team's, with questions of its own
INSERT INTO lead_qualify.framework (framework, min_met, description) VALUES ('СДЕЛКА', 2, 'как у нас принято');
INSERT INTO lead_qualify.criterion (framework, criterion, position, weight, required) VALUES
	('СДЕЛКА', 'Тендер', 1, 3, true), ('СДЕЛКА', 'Бюджет', 2, 2, false), ('СДЕЛКА', 'timeline', 3, 1, false);
INSERT INTO lead_qualify.question (criterion, language, question) VALUES
	('Тендер', 'ru', 'Объявлен ли тендер?'), ('тендер', 'en', 'Is there a tender?'), ('бюджет', 'ru', 'Есть ли бюджет?');
SELECT framework, criterion, position, weight, required, met_at FROM lead_qualify.criterion
WHERE NOT shipped ORDER BY position;
SELECT framework, qualified, round(score::numeric, 4) AS score, round(score_max::numeric, 4) AS score_max,
	coverage, met, unmet, unknown, next_criterion, next_question IS NOT NULL AS asks
FROM lead_qualify.assess('тендер=yes', 'СДЕЛКА');
SELECT lead_qualify.is_qualified('тендер=yes, ТЕНДЕР=yes, Timeframe=yes', 'СДЕЛКА') AS required_and_two,
	lead_qualify.is_qualified('бюджет=yes, timing=yes', 'СДЕЛКА') AS two_without_required;
SELECT lead_qualify.next_question('', 'СДЕЛКА', 'ru') AS ru, lead_qualify.next_question('', 'СДЕЛКА') AS en,
	lead_qualify.next_question('тендер=no', 'СДЕЛКА', 'ru') AS second, lead_qualify.next_question('тендер=no', 'СДЕЛКА') AS no_english;
SELECT lead_qualify.framework_definition('СДЕЛКА');

-- after the shipped ones, by name, unless it has a position
INSERT INTO lead_qualify.framework (framework) VALUES ('Zeta'), ('Alpha'), ('First');
INSERT INTO lead_qualify.criterion (framework, criterion, position) SELECT f, 'need', 1 FROM unnest(ARRAY['Zeta', 'Alpha', 'First']) f;
UPDATE lead_qualify.framework SET position = 0 WHERE framework = 'First';
SELECT array_agg(framework ORDER BY n) FROM lead_qualify.assess_all('') WITH ORDINALITY a (framework, b, c, d, e, f, g, h, i, j, n);

-- exactly so first, then in any case
INSERT INTO lead_qualify.framework (framework) VALUES ('bant');
INSERT INTO lead_qualify.criterion (framework, criterion, position) VALUES ('bant', 'need', 1);
SELECT (lead_qualify.assess('', 'bant')).unknown AS own, (lead_qualify.assess('', 'BANT')).unknown AS shipped, (lead_qualify.assess('', 'Bant')).framework AS either;

-- only our rows are dumped
SELECT format('SELECT %L AS dumped, count(*) FILTER (WHERE NOT shipped) AS own, count(*) FILTER (WHERE shipped) AS shipped FROM %s %s',
	c.relname, c.oid::regclass, x.condition)
FROM pg_extension e, unnest(e.extconfig, e.extcondition) x (rel, condition) JOIN pg_class c ON c.oid = x.rel
WHERE e.extname = 'lead_qualify' AND c.relname IN ('framework', 'criterion', 'question')
ORDER BY c.relname \gexec

DELETE FROM lead_qualify.question WHERE NOT shipped;
DELETE FROM lead_qualify.criterion WHERE NOT shipped;
DELETE FROM lead_qualify.framework WHERE NOT shipped;

-- ----------------------------------------------------------------
-- Errors
-- ----------------------------------------------------------------

SELECT lead_qualify.assess('', 'BUNT');
SELECT lead_qualify.is_qualified('', '');
SELECT lead_qualify.is_qualified('', repeat('x', 100));

-- unfinished frameworks: an error where one is named, left out elsewhere
INSERT INTO lead_qualify.criterion (framework, criterion, position) VALUES ('MINE', 'need', 1);
SELECT lead_qualify.framework_score('', 'MINE');		-- has no row
DELETE FROM lead_qualify.criterion WHERE NOT shipped;
INSERT INTO lead_qualify.framework (framework) VALUES ('MINE');
SELECT lead_qualify.framework_score('', 'MINE');
INSERT INTO lead_qualify.criterion (framework, criterion, position, weight) VALUES ('MINE', 'need', 1, 0), ('MINE', 'goals', 2, 0);
SELECT lead_qualify.next_question('', 'MINE');
UPDATE lead_qualify.criterion SET weight = 1 WHERE framework = 'MINE';
UPDATE lead_qualify.framework SET min_met = 3 WHERE framework = 'MINE';
SELECT lead_qualify.missing_criteria('', 'MINE');
SELECT count(*) AS shipped_ones FROM lead_qualify.assess_all('');
UPDATE lead_qualify.framework SET min_met = 2 WHERE framework = 'MINE';
SELECT count(*) AS with_mine FROM lead_qualify.assess_all('');
UPDATE lead_qualify.criterion SET enabled = false WHERE framework = 'MINE';
SELECT lead_qualify.framework_definition('MINE');

-- what rows may say
INSERT INTO lead_qualify.framework (framework, min_met) VALUES ('BAD', -1);
INSERT INTO lead_qualify.framework (framework, min_score) VALUES ('BAD', 101);
UPDATE lead_qualify.framework SET min_score = 'NaN' WHERE framework = 'BANT';
INSERT INTO lead_qualify.framework (framework) VALUES ('');
INSERT INTO lead_qualify.framework (framework) VALUES (' BAD');
INSERT INTO lead_qualify.framework (framework) VALUES (repeat('x', 64));
INSERT INTO lead_qualify.criterion (framework, criterion, position) VALUES ('MINE', 'budget', 0);
INSERT INTO lead_qualify.criterion (framework, criterion, position) VALUES ('MINE', 'budget', 1001);
INSERT INTO lead_qualify.criterion (framework, criterion, position, weight) VALUES ('MINE', 'budget', 3, -1);
UPDATE lead_qualify.criterion SET weight = 'infinity' WHERE framework = 'BANT' AND criterion = 'budget';
UPDATE lead_qualify.criterion SET weight = 'NaN' WHERE framework = 'BANT' AND criterion = 'budget';
UPDATE lead_qualify.criterion SET met_at = 4 WHERE framework = 'BANT' AND criterion = 'budget';
UPDATE lead_qualify.criterion SET met_at = 0 WHERE framework = 'BANT' AND criterion = 'budget';
INSERT INTO lead_qualify.criterion (framework, criterion) VALUES ('MINE', 'budget');
INSERT INTO lead_qualify.criterion (framework, criterion, position) VALUES (NULL, NULL, 1);
INSERT INTO lead_qualify.question (criterion, language, question) VALUES ('budget', 'EN', 'Well?');
INSERT INTO lead_qualify.question (criterion, language, question) VALUES ('budget', 'e', 'Well?');
INSERT INTO lead_qualify.question (criterion, language, question) VALUES ('budget', 'en', E' \n ');
\set VERBOSITY sqlstate
INSERT INTO lead_qualify.criterion (framework, criterion, position) VALUES ('MINE', repeat('x', 64), 3);
INSERT INTO lead_qualify.criterion (framework, criterion, position) VALUES ('MINE', 'two words', 3);
SELECT lead_qualify.is_qualified('budget=maybe', 'BANT');
SELECT lead_qualify.assess('', 'BUNT');
UPDATE lead_qualify.criterion SET met_at = 4 WHERE framework = 'BANT' AND criterion = 'budget';
UPDATE lead_qualify.criterion SET position = 1 WHERE framework = 'BANT' AND criterion = 'need';
SELECT lead_qualify.framework_score('', 'MINE');
-- what asks for nothing is of no use
UPDATE lead_qualify.criterion SET enabled = true WHERE framework = 'MINE' AND NOT shipped;
UPDATE lead_qualify.framework SET min_met = 0 WHERE framework = 'MINE';
SELECT lead_qualify.framework_score('', 'MINE');
-- spelled otherwise it is another framework
INSERT INTO lead_qualify.criterion (framework, criterion, position) VALUES ('mine', 'goals', 4);
\set VERBOSITY default
-- the constraints say the same where no trigger fires
RESET ROLE;
SET session_replication_role = replica;
INSERT INTO lead_qualify.criterion (framework, criterion, position, weight) VALUES ('MINE', 'budget', 3, -1);
INSERT INTO lead_qualify.question (criterion, language, question) VALUES ('budget', 'en_GB', 'Well?');
RESET session_replication_role;
SET ROLE regress_framework_editor;
DELETE FROM lead_qualify.criterion WHERE NOT shipped;
DELETE FROM lead_qualify.framework WHERE NOT shipped;

-- ----------------------------------------------------------------
-- When an edit is seen
-- ----------------------------------------------------------------

-- in the transaction at once, and no longer once it is undone
PREPARE score AS SELECT lead_qualify.framework_score('budget=yes', 'BANT');
EXECUTE score;
BEGIN;
UPDATE lead_qualify.criterion SET weight = 14 WHERE framework = 'BANT' AND criterion = 'budget';
EXECUTE score;
SAVEPOINT s;
UPDATE lead_qualify.criterion SET weight = 0 WHERE framework = 'BANT' AND criterion = 'budget';
EXECUTE score;
ROLLBACK TO s;
EXECUTE score;
ROLLBACK;
EXECUTE score;
BEGIN;
UPDATE lead_qualify.criterion SET position = 1 WHERE framework = 'BANT' AND criterion = 'need';
ROLLBACK;
EXECUTE score;
-- a call site that is in use follows an edit too
DO $$
DECLARE
	scores float8[];
	score float8;
BEGIN
	FOR i IN 1..4 LOOP
		score := lead_qualify.framework_score('budget=yes', 'BANT');
		scores := scores || score;
		UPDATE lead_qualify.criterion SET weight = 4 + 10 * i WHERE framework = 'BANT' AND criterion = 'budget';
	END LOOP;
	RAISE WARNING '%', (SELECT array_agg(round(s::numeric, 2)) FROM unnest(scores) s);
END $$;
DELETE FROM lead_qualify.criterion WHERE NOT shipped;

-- in parallel workers, edits of this transaction included
RESET ROLE;
CREATE TABLE framework_leads AS SELECT n, a FROM answers, generate_series(1, 10);
ANALYZE framework_leads;
CREATE TABLE framework_serial AS SELECT count(*) FILTER (WHERE lead_qualify.is_qualified(a, 'BANT')) AS qualified,
	sum(cardinality(lead_qualify.missing_criteria(a, 'CHAMP'))) AS missing FROM framework_leads;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
SELECT set_config(CASE WHEN current_setting('server_version_num')::int < 160000 THEN 'force_parallel_mode' ELSE 'debug_parallel_query' END, 'on', false);
EXPLAIN (COSTS OFF) SELECT count(*) FILTER (WHERE lead_qualify.is_qualified(a, 'BANT')) FROM framework_leads;
SELECT count(*) FILTER (WHERE lead_qualify.is_qualified(a, 'BANT')) = (SELECT qualified FROM framework_serial) AS qualified,
	sum(cardinality(lead_qualify.missing_criteria(a, 'CHAMP'))) = (SELECT missing FROM framework_serial) AS missing
FROM framework_leads;
SELECT lead_qualify.framework_score('budget=yes', 'BANT'), (lead_qualify.assess('', 'BANT')).next_criterion,
	(SELECT count(*) FROM lead_qualify.assess_all(''));
SELECT lead_qualify.framework_score('budget=yes', 'BUNT');
BEGIN;
UPDATE lead_qualify.framework SET min_met = 0, min_score = 0 WHERE framework = 'BANT';
SELECT count(*) = count(*) FILTER (WHERE lead_qualify.is_qualified(a, 'BANT')) AS all_qualified FROM framework_leads;
ROLLBACK;
SELECT count(*) FILTER (WHERE lead_qualify.is_qualified(a, 'BANT')) = (SELECT qualified FROM framework_serial) AS as_before FROM framework_leads;

-- functions say so, and writing is nobody's by default
SELECT p.oid::regprocedure, p.provolatile, p.proparallel, p.proisstrict FROM pg_proc p
WHERE p.pronamespace = 'lead_qualify'::regnamespace
	AND p.proname IN ('assess', 'assess_all', 'is_qualified', 'framework_score', 'next_question', 'missing_criteria', 'framework_definition')
ORDER BY p.proname COLLATE "C";
SELECT has_table_privilege('regress_framework_reader', 'lead_qualify.' || t, 'SELECT') AS reads,
	has_table_privilege('regress_framework_reader', 'lead_qualify.' || t, 'INSERT, UPDATE, DELETE, TRUNCATE') AS writes
FROM unnest(ARRAY['framework', 'criterion', 'question']) t;

DROP TABLE framework_leads, framework_serial;
DROP OWNED BY regress_framework_editor, regress_framework_reader;
DROP ROLE regress_framework_editor, regress_framework_reader;
