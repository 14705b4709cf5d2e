--
-- The catalog: what every object of the extension must have.
--
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS lead_qualify;

-- Check whether any of our opclasses fail amvalidate
SELECT am.amname, opc.opcname
FROM pg_opclass opc JOIN pg_am am ON am.oid = opc.opcmethod
WHERE opc.opcnamespace = 'lead_qualify'::regnamespace AND NOT amvalidate(opc.oid);

-- every object has a comment
CREATE TEMP VIEW members AS
SELECT d.classid, d.objid, pg_describe_object(d.classid, d.objid, 0) AS object
FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid AND d.refclassid = 'pg_extension'::regclass
WHERE d.deptype = 'e' AND e.extname = 'lead_qualify';

SELECT count(*) > 50 AS many FROM members;

SELECT object FROM members
WHERE obj_description(objid, classid::regclass::name) IS NULL
	AND classid NOT IN ('pg_amop'::regclass, 'pg_amproc'::regclass, 'pg_cast'::regclass)
	AND NOT (classid = 'pg_type'::regclass AND EXISTS
		(SELECT FROM pg_type t WHERE t.oid = objid AND (t.typelem <> 0 OR t.typrelid <> 0)))
ORDER BY object COLLATE "C";

-- ... and every column of its tables and views
SELECT c.relname, a.attname
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relnamespace = 'lead_qualify'::regnamespace AND c.relkind IN ('r', 'v')
	AND col_description(c.oid, a.attnum) IS NULL
ORDER BY 1, 2;

-- types have binary input and output, and their I/O looks at nothing else
SELECT t.typname, t.typreceive <> 0 AND t.typsend <> 0 AS binary_io, p.proname, p.provolatile, p.proparallel, p.proisstrict
FROM pg_type t JOIN pg_proc p ON p.oid IN (t.typinput, t.typoutput, t.typreceive, t.typsend)
WHERE t.typname IN ('lead_score', 'lead_grade', 'assessment', 'conversion') AND t.typnamespace = 'lead_qualify'::regnamespace
ORDER BY 1, p.proname COLLATE "C";

-- operators that compare have their commutator and an estimator, and a negator but for containment
SELECT o.oid::regoperator FROM pg_operator o
WHERE o.oprnamespace = 'lead_qualify'::regnamespace AND o.oprresult = 'bool'::regtype
	AND (o.oprcom = 0 OR o.oprrest = 0 OR o.oprjoin = 0 OR (o.oprnegate = 0 AND o.oprname NOT IN ('@>', '<@')));

-- functions that write are marked so; functions in PL and SQL have a safe search_path or a parsed body
SELECT p.oid::regprocedure FROM pg_proc p
WHERE p.pronamespace = 'lead_qualify'::regnamespace
	AND p.proname IN ('publish', 'rollback_to', 'discard_draft', 'recompute', 'recompute_all', 'attach', 'add_source', 'detach', 'go_live',
		'answer', 'withdraw', 'alter_pipeline', 'advance', 'move', 'accept', 'reject', 'recycle', 'disqualify', 'hold',
		'merge_leads', 'erase_lead')
	AND (p.provolatile <> 'v' OR p.proparallel <> 'u')
ORDER BY 1;

SELECT p.oid::regprocedure FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
WHERE p.pronamespace = 'lead_qualify'::regnamespace AND l.lanname IN ('sql', 'plpgsql')
	AND p.prosqlbody IS NULL
	AND NOT EXISTS (SELECT FROM unnest(p.proconfig) c WHERE c LIKE 'search_path=%')
ORDER BY 1;

-- no function runs with the rights of the extension's owner unless it must
SELECT p.oid::regprocedure FROM pg_proc p
WHERE p.pronamespace = 'lead_qualify'::regnamespace AND p.prosecdef
ORDER BY 1;

-- views run with the caller's rights
SELECT c.relname, c.reloptions FROM pg_class c
WHERE c.relnamespace = 'lead_qualify'::regnamespace AND c.relkind = 'v'
ORDER BY 1;

-- the configuration is dumped
SELECT c.relname FROM pg_class c
WHERE c.relnamespace = 'lead_qualify'::regnamespace AND c.relkind = 'r'
	AND c.oid <> ALL ((SELECT extconfig FROM pg_extension WHERE extname = 'lead_qualify')::oid[])
ORDER BY 1;

SELECT lead_qualify.lead_qualify_version() = extversion AS same_version FROM pg_extension WHERE extname = 'lead_qualify';
