/* sql/lead_qualify--1.0.sql */

-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION lead_qualify" to load this file. \quit

-- Nothing below depends on the installer's search_path: every name of ours is
-- written with its schema, everything else is found in pg_catalog.
SET LOCAL search_path TO pg_catalog, pg_temp;

-- ----------------------------------------------------------------
-- Types
-- ----------------------------------------------------------------

-- ---------------------------------------------------------------------
-- lead_grade: A+, A, A-, ... D-, F
-- ---------------------------------------------------------------------

CREATE TYPE lead_qualify.lead_grade;

CREATE FUNCTION lead_qualify.lead_grade_in(pg_catalog.cstring)
RETURNS lead_qualify.lead_grade
AS 'MODULE_PATHNAME', 'lead_grade_in'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION lead_qualify.lead_grade_in(pg_catalog.cstring) IS 'I/O';

CREATE FUNCTION lead_qualify.lead_grade_out(lead_qualify.lead_grade)
RETURNS pg_catalog.cstring
AS 'MODULE_PATHNAME', 'lead_grade_out'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION lead_qualify.lead_grade_out(lead_qualify.lead_grade) IS 'I/O';

CREATE FUNCTION lead_qualify.lead_grade_recv(pg_catalog.internal)
RETURNS lead_qualify.lead_grade
AS 'MODULE_PATHNAME', 'lead_grade_recv'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION lead_qualify.lead_grade_recv(pg_catalog.internal) IS 'I/O';

CREATE FUNCTION lead_qualify.lead_grade_send(lead_qualify.lead_grade)
RETURNS pg_catalog.bytea
AS 'MODULE_PATHNAME', 'lead_grade_send'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION lead_qualify.lead_grade_send(lead_qualify.lead_grade) IS 'I/O';

CREATE TYPE lead_qualify.lead_grade (
    INPUT = lead_qualify.lead_grade_in,
    OUTPUT = lead_qualify.lead_grade_out,
    RECEIVE = lead_qualify.lead_grade_recv,
    SEND = lead_qualify.lead_grade_send,
    INTERNALLENGTH = 2,
    PASSEDBYVALUE,
    ALIGNMENT = int2,
    STORAGE = plain
);
COMMENT ON TYPE lead_qualify.lead_grade IS 'grade of a lead, F to A+; a better grade is greater';

CREATE FUNCTION lead_qualify.lead_grade_lt(lead_qualify.lead_grade, lead_qualify.lead_grade)
RETURNS pg_catalog.bool
AS 'MODULE_PATHNAME', 'lead_grade_lt'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION lead_qualify.lead_grade_lt(lead_qualify.lead_grade, lead_qualify.lead_grade) IS 'implementation of < operator';

CREATE FUNCTION lead_qualify.lead_grade_le(lead_qualify.lead_grade, lead_qualify.lead_grade)
RETURNS pg_catalog.bool
AS 'MODULE_PATHNAME', 'lead_grade_le'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION lead_qualify.lead_grade_le(lead_qualify.lead_grade, lead_qualify.lead_grade) IS 'implementation of <= operator';

CREATE FUNCTION lead_qualify.lead_grade_eq(lead_qualify.lead_grade, lead_qualify.lead_grade)
RETURNS pg_catalog.bool
AS 'MODULE_PATHNAME', 'lead_grade_eq'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION lead_qualify.lead_grade_eq(lead_qualify.lead_grade, lead_qualify.lead_grade) IS 'implementation of = operator';

CREATE FUNCTION lead_qualify.lead_grade_ne(lead_qualify.lead_grade, lead_qualify.lead_grade)
RETURNS pg_catalog.bool
AS 'MODULE_PATHNAME', 'lead_grade_ne'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION lead_qualify.lead_grade_ne(lead_qualify.lead_grade, lead_qualify.lead_grade) IS 'implementation of <> operator';

CREATE FUNCTION lead_qualify.lead_grade_ge(lead_qualify.lead_grade, lead_qualify.lead_grade)
RETURNS pg_catalog.bool
AS 'MODULE_PATHNAME', 'lead_grade_ge'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION lead_qualify.lead_grade_ge(lead_qualify.lead_grade, lead_qualify.lead_grade) IS 'implementation of >= operator';

CREATE FUNCTION lead_qualify.lead_grade_gt(lead_qualify.lead_grade, lead_qualify.lead_grade)
RETURNS pg_catalog.bool
AS 'MODULE_PATHNAME', 'lead_grade_gt'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION lead_qualify.lead_grade_gt(lead_qualify.lead_grade, lead_qualify.lead_grade) IS 'implementation of > operator';

CREATE FUNCTION lead_qualify.lead_grade_cmp(lead_qualify.lead_grade, lead_qualify.lead_grade)
RETURNS pg_catalog.int4
AS 'MODULE_PATHNAME', 'lead_grade_cmp'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION lead_qualify.lead_grade_cmp(lead_qualify.lead_grade, lead_qualify.lead_grade) IS 'less-equal-greater';

CREATE FUNCTION lead_qualify.lead_grade_hash(lead_qualify.lead_grade)
RETURNS pg_catalog.int4
AS 'MODULE_PATHNAME', 'lead_grade_hash'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION lead_qualify.lead_grade_hash(lead_qualify.lead_grade) IS 'hash';

CREATE FUNCTION lead_qualify.lead_grade_hash_extended(lead_qualify.lead_grade, pg_catalog.int8)
RETURNS pg_catalog.int8
AS 'MODULE_PATHNAME', 'lead_grade_hash_extended'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION lead_qualify.lead_grade_hash_extended(lead_qualify.lead_grade, pg_catalog.int8) IS 'hash';

CREATE FUNCTION lead_qualify.lead_grade_larger(lead_qualify.lead_grade, lead_qualify.lead_grade)
RETURNS lead_qualify.lead_grade
AS 'MODULE_PATHNAME', 'lead_grade_larger'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION lead_qualify.lead_grade_larger(lead_qualify.lead_grade, lead_qualify.lead_grade) IS 'better of two';

CREATE FUNCTION lead_qualify.lead_grade_smaller(lead_qualify.lead_grade, lead_qualify.lead_grade)
RETURNS lead_qualify.lead_grade
AS 'MODULE_PATHNAME', 'lead_grade_smaller'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION lead_qualify.lead_grade_smaller(lead_qualify.lead_grade, lead_qualify.lead_grade) IS 'worse of two';

CREATE OPERATOR lead_qualify.= (
    FUNCTION = lead_qualify.lead_grade_eq,
    LEFTARG = lead_qualify.lead_grade,
    RIGHTARG = lead_qualify.lead_grade,
    COMMUTATOR = OPERATOR(lead_qualify.=),
    NEGATOR = OPERATOR(lead_qualify.<>),
    RESTRICT = pg_catalog.eqsel,
    JOIN = pg_catalog.eqjoinsel,
    HASHES,
    MERGES
);
COMMENT ON OPERATOR lead_qualify.= (lead_qualify.lead_grade, lead_qualify.lead_grade) IS 'equal';

CREATE OPERATOR lead_qualify.<> (
    FUNCTION = lead_qualify.lead_grade_ne,
    LEFTARG = lead_qualify.lead_grade,
    RIGHTARG = lead_qualify.lead_grade,
    COMMUTATOR = OPERATOR(lead_qualify.<>),
    NEGATOR = OPERATOR(lead_qualify.=),
    RESTRICT = pg_catalog.neqsel,
    JOIN = pg_catalog.neqjoinsel
);
COMMENT ON OPERATOR lead_qualify.<> (lead_qualify.lead_grade, lead_qualify.lead_grade) IS 'not equal';

CREATE OPERATOR lead_qualify.< (
    FUNCTION = lead_qualify.lead_grade_lt,
    LEFTARG = lead_qualify.lead_grade,
    RIGHTARG = lead_qualify.lead_grade,
    COMMUTATOR = OPERATOR(lead_qualify.>),
    NEGATOR = OPERATOR(lead_qualify.>=),
    RESTRICT = pg_catalog.scalarltsel,
    JOIN = pg_catalog.scalarltjoinsel
);
COMMENT ON OPERATOR lead_qualify.< (lead_qualify.lead_grade, lead_qualify.lead_grade) IS 'worse than';

CREATE OPERATOR lead_qualify.<= (
    FUNCTION = lead_qualify.lead_grade_le,
    LEFTARG = lead_qualify.lead_grade,
    RIGHTARG = lead_qualify.lead_grade,
    COMMUTATOR = OPERATOR(lead_qualify.>=),
    NEGATOR = OPERATOR(lead_qualify.>),
    RESTRICT = pg_catalog.scalarlesel,
    JOIN = pg_catalog.scalarlejoinsel
);
COMMENT ON OPERATOR lead_qualify.<= (lead_qualify.lead_grade, lead_qualify.lead_grade) IS 'worse than or equal';

CREATE OPERATOR lead_qualify.>= (
    FUNCTION = lead_qualify.lead_grade_ge,
    LEFTARG = lead_qualify.lead_grade,
    RIGHTARG = lead_qualify.lead_grade,
    COMMUTATOR = OPERATOR(lead_qualify.<=),
    NEGATOR = OPERATOR(lead_qualify.<),
    RESTRICT = pg_catalog.scalargesel,
    JOIN = pg_catalog.scalargejoinsel
);
COMMENT ON OPERATOR lead_qualify.>= (lead_qualify.lead_grade, lead_qualify.lead_grade) IS 'better than or equal';

CREATE OPERATOR lead_qualify.> (
    FUNCTION = lead_qualify.lead_grade_gt,
    LEFTARG = lead_qualify.lead_grade,
    RIGHTARG = lead_qualify.lead_grade,
    COMMUTATOR = OPERATOR(lead_qualify.<),
    NEGATOR = OPERATOR(lead_qualify.<=),
    RESTRICT = pg_catalog.scalargtsel,
    JOIN = pg_catalog.scalargtjoinsel
);
COMMENT ON OPERATOR lead_qualify.> (lead_qualify.lead_grade, lead_qualify.lead_grade) IS 'better than';

CREATE OPERATOR FAMILY lead_qualify.lead_grade_ops USING btree;
COMMENT ON OPERATOR FAMILY lead_qualify.lead_grade_ops USING btree IS 'grades, the worst first';
CREATE OPERATOR CLASS lead_qualify.lead_grade_ops
DEFAULT FOR TYPE lead_qualify.lead_grade USING btree FAMILY lead_qualify.lead_grade_ops AS
    OPERATOR 1 lead_qualify.<,
    OPERATOR 2 lead_qualify.<=,
    OPERATOR 3 lead_qualify.=,
    OPERATOR 4 lead_qualify.>=,
    OPERATOR 5 lead_qualify.>,
    FUNCTION 1 lead_qualify.lead_grade_cmp(lead_qualify.lead_grade, lead_qualify.lead_grade),
    FUNCTION 4 pg_catalog.btequalimage(pg_catalog.oid);
COMMENT ON OPERATOR CLASS lead_qualify.lead_grade_ops USING btree IS 'grades, the worst first';

CREATE OPERATOR FAMILY lead_qualify.lead_grade_ops USING hash;
COMMENT ON OPERATOR FAMILY lead_qualify.lead_grade_ops USING hash IS 'grades by equality';
CREATE OPERATOR CLASS lead_qualify.lead_grade_ops
DEFAULT FOR TYPE lead_qualify.lead_grade USING hash FAMILY lead_qualify.lead_grade_ops AS
    OPERATOR 1 lead_qualify.=,
    FUNCTION 1 lead_qualify.lead_grade_hash(lead_qualify.lead_grade),
    FUNCTION 2 lead_qualify.lead_grade_hash_extended(lead_qualify.lead_grade, pg_catalog.int8);
COMMENT ON OPERATOR CLASS lead_qualify.lead_grade_ops USING hash IS 'grades by equality';

CREATE AGGREGATE lead_qualify.max(lead_qualify.lead_grade) (
    SFUNC = lead_qualify.lead_grade_larger,
    STYPE = lead_qualify.lead_grade,
    COMBINEFUNC = lead_qualify.lead_grade_larger,
    SORTOP = OPERATOR(lead_qualify.>),
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE lead_qualify.max(lead_qualify.lead_grade) IS 'best grade of all';

CREATE AGGREGATE lead_qualify.min(lead_qualify.lead_grade) (
    SFUNC = lead_qualify.lead_grade_smaller,
    STYPE = lead_qualify.lead_grade,
    COMBINEFUNC = lead_qualify.lead_grade_smaller,
    SORTOP = OPERATOR(lead_qualify.<),
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE lead_qualify.min(lead_qualify.lead_grade) IS 'worst grade of all';

-- ---------------------------------------------------------------------
-- lead_score
-- ---------------------------------------------------------------------

CREATE TYPE lead_qualify.lead_score;

CREATE FUNCTION lead_qualify.lead_score_in(pg_catalog.cstring)
RETURNS lead_qualify.lead_score
AS 'MODULE_PATHNAME', 'lead_score_in'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION lead_qualify.lead_score_in(pg_catalog.cstring) IS 'I/O';

CREATE FUNCTION lead_qualify.lead_score_out(lead_qualify.lead_score)
RETURNS pg_catalog.cstring
AS 'MODULE_PATHNAME', 'lead_score_out'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION lead_qualify.lead_score_out(lead_qualify.lead_score) IS 'I/O';

CREATE FUNCTION lead_qualify.lead_score_recv(pg_catalog.internal)
RETURNS lead_qualify.lead_score
AS 'MODULE_PATHNAME', 'lead_score_recv'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION lead_qualify.lead_score_recv(pg_catalog.internal) IS 'I/O';

CREATE FUNCTION lead_qualify.lead_score_send(lead_qualify.lead_score)
RETURNS pg_catalog.bytea
AS 'MODULE_PATHNAME', 'lead_score_send'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION lead_qualify.lead_score_send(lead_qualify.lead_score) IS 'I/O';

CREATE TYPE lead_qualify.lead_score (
    INPUT = lead_qualify.lead_score_in,
    OUTPUT = lead_qualify.lead_score_out,
    RECEIVE = lead_qualify.lead_score_recv,
    SEND = lead_qualify.lead_score_send,
    INTERNALLENGTH = VARIABLE,
    ALIGNMENT = int4,
    STORAGE = extended
);
COMMENT ON TYPE lead_qualify.lead_score IS 'score of a lead as of its newest event: what its activities earned, as a function of time. Equality is of the whole state; there is no order, because which of two scores is greater depends on the time: compare total(score, at)';

CREATE FUNCTION lead_qualify.lead_score_eq(lead_qualify.lead_score, lead_qualify.lead_score)
RETURNS pg_catalog.bool
AS 'MODULE_PATHNAME', 'lead_score_eq'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION lead_qualify.lead_score_eq(lead_qualify.lead_score, lead_qualify.lead_score) IS 'implementation of = operator';

CREATE FUNCTION lead_qualify.lead_score_ne(lead_qualify.lead_score, lead_qualify.lead_score)
RETURNS pg_catalog.bool
AS 'MODULE_PATHNAME', 'lead_score_ne'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION lead_qualify.lead_score_ne(lead_qualify.lead_score, lead_qualify.lead_score) IS 'implementation of <> operator';

CREATE FUNCTION lead_qualify.lead_score_hash(lead_qualify.lead_score)
RETURNS pg_catalog.int4
AS 'MODULE_PATHNAME', 'lead_score_hash'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION lead_qualify.lead_score_hash(lead_qualify.lead_score) IS 'hash';

CREATE FUNCTION lead_qualify.lead_score_hash_extended(lead_qualify.lead_score, pg_catalog.int8)
RETURNS pg_catalog.int8
AS 'MODULE_PATHNAME', 'lead_score_hash_extended'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION lead_qualify.lead_score_hash_extended(lead_qualify.lead_score, pg_catalog.int8) IS 'hash';

CREATE OPERATOR lead_qualify.= (
    FUNCTION = lead_qualify.lead_score_eq,
    LEFTARG = lead_qualify.lead_score,
    RIGHTARG = lead_qualify.lead_score,
    COMMUTATOR = OPERATOR(lead_qualify.=),
    NEGATOR = OPERATOR(lead_qualify.<>),
    RESTRICT = pg_catalog.eqsel,
    JOIN = pg_catalog.eqjoinsel,
    HASHES
);
COMMENT ON OPERATOR lead_qualify.= (lead_qualify.lead_score, lead_qualify.lead_score) IS 'same state';

CREATE OPERATOR lead_qualify.<> (
    FUNCTION = lead_qualify.lead_score_ne,
    LEFTARG = lead_qualify.lead_score,
    RIGHTARG = lead_qualify.lead_score,
    COMMUTATOR = OPERATOR(lead_qualify.<>),
    NEGATOR = OPERATOR(lead_qualify.=),
    RESTRICT = pg_catalog.neqsel,
    JOIN = pg_catalog.neqjoinsel
);
COMMENT ON OPERATOR lead_qualify.<> (lead_qualify.lead_score, lead_qualify.lead_score) IS 'different state';

CREATE OPERATOR FAMILY lead_qualify.lead_score_ops USING hash;
COMMENT ON OPERATOR FAMILY lead_qualify.lead_score_ops USING hash IS 'scores by equality of state';
CREATE OPERATOR CLASS lead_qualify.lead_score_ops
DEFAULT FOR TYPE lead_qualify.lead_score USING hash FAMILY lead_qualify.lead_score_ops AS
    OPERATOR 1 lead_qualify.=,
    FUNCTION 1 lead_qualify.lead_score_hash(lead_qualify.lead_score),
    FUNCTION 2 lead_qualify.lead_score_hash_extended(lead_qualify.lead_score, pg_catalog.int8);
COMMENT ON OPERATOR CLASS lead_qualify.lead_score_ops USING hash IS 'scores by equality of state';

CREATE FUNCTION lead_qualify.points(score lead_qualify.lead_score, dimension pg_catalog.text, at pg_catalog.timestamptz)
RETURNS pg_catalog.float8
AS 'MODULE_PATHNAME', 'lead_score_points'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION lead_qualify.points(lead_qualify.lead_score, pg_catalog.text, pg_catalog.timestamptz) IS 'points of a dimension at a time, which the score knows from its newest event on: NULL before';

CREATE FUNCTION lead_qualify.total(score lead_qualify.lead_score, at pg_catalog.timestamptz)
RETURNS pg_catalog.float8
AS 'MODULE_PATHNAME', 'lead_score_total'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION lead_qualify.total(lead_qualify.lead_score, pg_catalog.timestamptz) IS 'weighted total of all dimensions at a time, which the score knows from its newest event on: NULL before';

CREATE FUNCTION lead_qualify.as_of(score lead_qualify.lead_score)
RETURNS pg_catalog.timestamptz
AS 'MODULE_PATHNAME', 'lead_score_as_of'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION lead_qualify.as_of(lead_qualify.lead_score) IS 'time of the newest event in the score; NULL if there was none';

CREATE FUNCTION lead_qualify.dimensions(score lead_qualify.lead_score)
RETURNS pg_catalog.text[]
AS 'MODULE_PATHNAME', 'lead_score_dimensions'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE COST 10;
COMMENT ON FUNCTION lead_qualify.dimensions(lead_qualify.lead_score) IS 'names of the dimensions of the score';

-- ---------------------------------------------------------------------
-- assessment: answers to qualification questions
-- ---------------------------------------------------------------------

CREATE TYPE lead_qualify.assessment;

CREATE FUNCTION lead_qualify.assessment_in(pg_catalog.cstring)
RETURNS lead_qualify.assessment
AS 'MODULE_PATHNAME', 'assessment_in'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION lead_qualify.assessment_in(pg_catalog.cstring) IS 'I/O';

CREATE FUNCTION lead_qualify.assessment_out(lead_qualify.assessment)
RETURNS pg_catalog.cstring
AS 'MODULE_PATHNAME', 'assessment_out'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION lead_qualify.assessment_out(lead_qualify.assessment) IS 'I/O';

CREATE FUNCTION lead_qualify.assessment_recv(pg_catalog.internal)
RETURNS lead_qualify.assessment
AS 'MODULE_PATHNAME', 'assessment_recv'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION lead_qualify.assessment_recv(pg_catalog.internal) IS 'I/O';

CREATE FUNCTION lead_qualify.assessment_send(lead_qualify.assessment)
RETURNS pg_catalog.bytea
AS 'MODULE_PATHNAME', 'assessment_send'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION lead_qualify.assessment_send(lead_qualify.assessment) IS 'I/O';

CREATE TYPE lead_qualify.assessment (
    INPUT = lead_qualify.assessment_in,
    OUTPUT = lead_qualify.assessment_out,
    RECEIVE = lead_qualify.assessment_recv,
    SEND = lead_qualify.assessment_send,
    INTERNALLENGTH = VARIABLE,
    ALIGNMENT = int4,
    STORAGE = extended
);
COMMENT ON TYPE lead_qualify.assessment IS 'answers to qualification questions: for each criterion no, weak, partial or yes; what is not in it is unknown. Written like budget=yes, authority=partial';

CREATE FUNCTION lead_qualify.assessment_lt(lead_qualify.assessment, lead_qualify.assessment)
RETURNS pg_catalog.bool
AS 'MODULE_PATHNAME', 'assessment_lt'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION lead_qualify.assessment_lt(lead_qualify.assessment, lead_qualify.assessment) IS 'implementation of < operator';

CREATE FUNCTION lead_qualify.assessment_le(lead_qualify.assessment, lead_qualify.assessment)
RETURNS pg_catalog.bool
AS 'MODULE_PATHNAME', 'assessment_le'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION lead_qualify.assessment_le(lead_qualify.assessment, lead_qualify.assessment) IS 'implementation of <= operator';

CREATE FUNCTION lead_qualify.assessment_eq(lead_qualify.assessment, lead_qualify.assessment)
RETURNS pg_catalog.bool
AS 'MODULE_PATHNAME', 'assessment_eq'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION lead_qualify.assessment_eq(lead_qualify.assessment, lead_qualify.assessment) IS 'implementation of = operator';

CREATE FUNCTION lead_qualify.assessment_ne(lead_qualify.assessment, lead_qualify.assessment)
RETURNS pg_catalog.bool
AS 'MODULE_PATHNAME', 'assessment_ne'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION lead_qualify.assessment_ne(lead_qualify.assessment, lead_qualify.assessment) IS 'implementation of <> operator';

CREATE FUNCTION lead_qualify.assessment_ge(lead_qualify.assessment, lead_qualify.assessment)
RETURNS pg_catalog.bool
AS 'MODULE_PATHNAME', 'assessment_ge'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION lead_qualify.assessment_ge(lead_qualify.assessment, lead_qualify.assessment) IS 'implementation of >= operator';

CREATE FUNCTION lead_qualify.assessment_gt(lead_qualify.assessment, lead_qualify.assessment)
RETURNS pg_catalog.bool
AS 'MODULE_PATHNAME', 'assessment_gt'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION lead_qualify.assessment_gt(lead_qualify.assessment, lead_qualify.assessment) IS 'implementation of > operator';

CREATE FUNCTION lead_qualify.assessment_cmp(lead_qualify.assessment, lead_qualify.assessment)
RETURNS pg_catalog.int4
AS 'MODULE_PATHNAME', 'assessment_cmp'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION lead_qualify.assessment_cmp(lead_qualify.assessment, lead_qualify.assessment) IS 'less-equal-greater';

CREATE FUNCTION lead_qualify.assessment_hash(lead_qualify.assessment)
RETURNS pg_catalog.int4
AS 'MODULE_PATHNAME', 'assessment_hash'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION lead_qualify.assessment_hash(lead_qualify.assessment) IS 'hash';

CREATE FUNCTION lead_qualify.assessment_hash_extended(lead_qualify.assessment, pg_catalog.int8)
RETURNS pg_catalog.int8
AS 'MODULE_PATHNAME', 'assessment_hash_extended'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION lead_qualify.assessment_hash_extended(lead_qualify.assessment, pg_catalog.int8) IS 'hash';

CREATE FUNCTION lead_qualify.assessment_level(lead_qualify.assessment, pg_catalog.text)
RETURNS pg_catalog.text
AS 'MODULE_PATHNAME', 'assessment_level'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION lead_qualify.assessment_level(lead_qualify.assessment, pg_catalog.text) IS 'implementation of -> operator';

CREATE FUNCTION lead_qualify.assessment_concat(lead_qualify.assessment, lead_qualify.assessment)
RETURNS lead_qualify.assessment
AS 'MODULE_PATHNAME', 'assessment_concat'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION lead_qualify.assessment_concat(lead_qualify.assessment, lead_qualify.assessment) IS 'implementation of || operator';

CREATE FUNCTION lead_qualify.assessment_remove(lead_qualify.assessment, pg_catalog.text)
RETURNS lead_qualify.assessment
AS 'MODULE_PATHNAME', 'assessment_remove'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION lead_qualify.assessment_remove(lead_qualify.assessment, pg_catalog.text) IS 'implementation of - operator';

CREATE FUNCTION lead_qualify.assessment_contains(lead_qualify.assessment, lead_qualify.assessment)
RETURNS pg_catalog.bool
AS 'MODULE_PATHNAME', 'assessment_contains'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION lead_qualify.assessment_contains(lead_qualify.assessment, lead_qualify.assessment) IS 'implementation of @> operator';

CREATE FUNCTION lead_qualify.assessment_contained(lead_qualify.assessment, lead_qualify.assessment)
RETURNS pg_catalog.bool
AS 'MODULE_PATHNAME', 'assessment_contained'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION lead_qualify.assessment_contained(lead_qualify.assessment, lead_qualify.assessment) IS 'implementation of <@ operator';

CREATE OPERATOR lead_qualify.= (
    FUNCTION = lead_qualify.assessment_eq,
    LEFTARG = lead_qualify.assessment,
    RIGHTARG = lead_qualify.assessment,
    COMMUTATOR = OPERATOR(lead_qualify.=),
    NEGATOR = OPERATOR(lead_qualify.<>),
    RESTRICT = pg_catalog.eqsel,
    JOIN = pg_catalog.eqjoinsel,
    HASHES,
    MERGES
);
COMMENT ON OPERATOR lead_qualify.= (lead_qualify.assessment, lead_qualify.assessment) IS 'the same answers';

CREATE OPERATOR lead_qualify.<> (
    FUNCTION = lead_qualify.assessment_ne,
    LEFTARG = lead_qualify.assessment,
    RIGHTARG = lead_qualify.assessment,
    COMMUTATOR = OPERATOR(lead_qualify.<>),
    NEGATOR = OPERATOR(lead_qualify.=),
    RESTRICT = pg_catalog.neqsel,
    JOIN = pg_catalog.neqjoinsel
);
COMMENT ON OPERATOR lead_qualify.<> (lead_qualify.assessment, lead_qualify.assessment) IS 'not the same answers';

CREATE OPERATOR lead_qualify.< (
    FUNCTION = lead_qualify.assessment_lt,
    LEFTARG = lead_qualify.assessment,
    RIGHTARG = lead_qualify.assessment,
    COMMUTATOR = OPERATOR(lead_qualify.>),
    NEGATOR = OPERATOR(lead_qualify.>=),
    RESTRICT = pg_catalog.scalarltsel,
    JOIN = pg_catalog.scalarltjoinsel
);
COMMENT ON OPERATOR lead_qualify.< (lead_qualify.assessment, lead_qualify.assessment) IS 'less than';

CREATE OPERATOR lead_qualify.<= (
    FUNCTION = lead_qualify.assessment_le,
    LEFTARG = lead_qualify.assessment,
    RIGHTARG = lead_qualify.assessment,
    COMMUTATOR = OPERATOR(lead_qualify.>=),
    NEGATOR = OPERATOR(lead_qualify.>),
    RESTRICT = pg_catalog.scalarlesel,
    JOIN = pg_catalog.scalarlejoinsel
);
COMMENT ON OPERATOR lead_qualify.<= (lead_qualify.assessment, lead_qualify.assessment) IS 'less than or equal';

CREATE OPERATOR lead_qualify.>= (
    FUNCTION = lead_qualify.assessment_ge,
    LEFTARG = lead_qualify.assessment,
    RIGHTARG = lead_qualify.assessment,
    COMMUTATOR = OPERATOR(lead_qualify.<=),
    NEGATOR = OPERATOR(lead_qualify.<),
    RESTRICT = pg_catalog.scalargesel,
    JOIN = pg_catalog.scalargejoinsel
);
COMMENT ON OPERATOR lead_qualify.>= (lead_qualify.assessment, lead_qualify.assessment) IS 'greater than or equal';

CREATE OPERATOR lead_qualify.> (
    FUNCTION = lead_qualify.assessment_gt,
    LEFTARG = lead_qualify.assessment,
    RIGHTARG = lead_qualify.assessment,
    COMMUTATOR = OPERATOR(lead_qualify.<),
    NEGATOR = OPERATOR(lead_qualify.<=),
    RESTRICT = pg_catalog.scalargtsel,
    JOIN = pg_catalog.scalargtjoinsel
);
COMMENT ON OPERATOR lead_qualify.> (lead_qualify.assessment, lead_qualify.assessment) IS 'greater than';

CREATE OPERATOR lead_qualify.-> (
    FUNCTION = lead_qualify.assessment_level,
    LEFTARG = lead_qualify.assessment,
    RIGHTARG = pg_catalog.text
);
COMMENT ON OPERATOR lead_qualify.-> (lead_qualify.assessment, pg_catalog.text) IS 'level of a criterion: no, weak, partial or yes; NULL if it is unknown';

CREATE OPERATOR lead_qualify.|| (
    FUNCTION = lead_qualify.assessment_concat,
    LEFTARG = lead_qualify.assessment,
    RIGHTARG = lead_qualify.assessment
);
COMMENT ON OPERATOR lead_qualify.|| (lead_qualify.assessment, lead_qualify.assessment) IS 'answers of both; where they differ, those of the right one';

CREATE OPERATOR lead_qualify.- (
    FUNCTION = lead_qualify.assessment_remove,
    LEFTARG = lead_qualify.assessment,
    RIGHTARG = pg_catalog.text
);
COMMENT ON OPERATOR lead_qualify.- (lead_qualify.assessment, pg_catalog.text) IS 'without a criterion, which becomes unknown';

-- as for other containers: estimated by trying the most common values
CREATE OPERATOR lead_qualify.@> (
    FUNCTION = lead_qualify.assessment_contains,
    LEFTARG = lead_qualify.assessment,
    RIGHTARG = lead_qualify.assessment,
    COMMUTATOR = OPERATOR(lead_qualify.<@),
    RESTRICT = pg_catalog.matchingsel,
    JOIN = pg_catalog.matchingjoinsel
);
COMMENT ON OPERATOR lead_qualify.@> (lead_qualify.assessment, lead_qualify.assessment) IS 'has all these answers';

CREATE OPERATOR lead_qualify.<@ (
    FUNCTION = lead_qualify.assessment_contained,
    LEFTARG = lead_qualify.assessment,
    RIGHTARG = lead_qualify.assessment,
    COMMUTATOR = OPERATOR(lead_qualify.@>),
    RESTRICT = pg_catalog.matchingsel,
    JOIN = pg_catalog.matchingjoinsel
);
COMMENT ON OPERATOR lead_qualify.<@ (lead_qualify.assessment, lead_qualify.assessment) IS 'all its answers are in the other';

-- an order without meaning, for DISTINCT, unique indexes and merge joins: the
-- fewer answers first, then byte by byte; equal ones have equal bytes
CREATE OPERATOR FAMILY lead_qualify.assessment_ops USING btree;
COMMENT ON OPERATOR FAMILY lead_qualify.assessment_ops USING btree IS 'assessments by number of answers, then bytes';
CREATE OPERATOR CLASS lead_qualify.assessment_ops
DEFAULT FOR TYPE lead_qualify.assessment USING btree FAMILY lead_qualify.assessment_ops AS
    OPERATOR 1 lead_qualify.<,
    OPERATOR 2 lead_qualify.<=,
    OPERATOR 3 lead_qualify.=,
    OPERATOR 4 lead_qualify.>=,
    OPERATOR 5 lead_qualify.>,
    FUNCTION 1 lead_qualify.assessment_cmp(lead_qualify.assessment, lead_qualify.assessment),
    FUNCTION 4 pg_catalog.btequalimage(pg_catalog.oid);
COMMENT ON OPERATOR CLASS lead_qualify.assessment_ops USING btree IS 'assessments by number of answers, then bytes';

CREATE OPERATOR FAMILY lead_qualify.assessment_ops USING hash;
COMMENT ON OPERATOR FAMILY lead_qualify.assessment_ops USING hash IS 'assessments by equality';
CREATE OPERATOR CLASS lead_qualify.assessment_ops
DEFAULT FOR TYPE lead_qualify.assessment USING hash FAMILY lead_qualify.assessment_ops AS
    OPERATOR 1 lead_qualify.=,
    FUNCTION 1 lead_qualify.assessment_hash(lead_qualify.assessment),
    FUNCTION 2 lead_qualify.assessment_hash_extended(lead_qualify.assessment, pg_catalog.int8);
COMMENT ON OPERATOR CLASS lead_qualify.assessment_ops USING hash IS 'assessments by equality';

CREATE FUNCTION lead_qualify.assessment_gin_extract_value(lead_qualify.assessment, pg_catalog.internal, pg_catalog.internal)
RETURNS pg_catalog.internal
AS 'MODULE_PATHNAME', 'assessment_gin_extract_value'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION lead_qualify.assessment_gin_extract_value(lead_qualify.assessment, pg_catalog.internal, pg_catalog.internal) IS 'GIN support';

CREATE FUNCTION lead_qualify.assessment_gin_extract_query(lead_qualify.assessment, pg_catalog.internal, pg_catalog.int2, pg_catalog.internal, pg_catalog.internal, pg_catalog.internal, pg_catalog.internal)
RETURNS pg_catalog.internal
AS 'MODULE_PATHNAME', 'assessment_gin_extract_query'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION lead_qualify.assessment_gin_extract_query(lead_qualify.assessment, pg_catalog.internal, pg_catalog.int2, pg_catalog.internal, pg_catalog.internal, pg_catalog.internal, pg_catalog.internal) IS 'GIN support';

CREATE FUNCTION lead_qualify.assessment_gin_consistent(pg_catalog.internal, pg_catalog.int2, lead_qualify.assessment, pg_catalog.int4, pg_catalog.internal, pg_catalog.internal, pg_catalog.internal, pg_catalog.internal)
RETURNS pg_catalog.bool
AS 'MODULE_PATHNAME', 'assessment_gin_consistent'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION lead_qualify.assessment_gin_consistent(pg_catalog.internal, pg_catalog.int2, lead_qualify.assessment, pg_catalog.int4, pg_catalog.internal, pg_catalog.internal, pg_catalog.internal, pg_catalog.internal) IS 'GIN support';

CREATE FUNCTION lead_qualify.assessment_gin_triconsistent(pg_catalog.internal, pg_catalog.int2, lead_qualify.assessment, pg_catalog.int4, pg_catalog.internal, pg_catalog.internal, pg_catalog.internal)
RETURNS pg_catalog."char"
AS 'MODULE_PATHNAME', 'assessment_gin_triconsistent'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION lead_qualify.assessment_gin_triconsistent(pg_catalog.internal, pg_catalog.int2, lead_qualify.assessment, pg_catalog.int4, pg_catalog.internal, pg_catalog.internal, pg_catalog.internal) IS 'GIN support';

-- a key is a level and a name as bytes: no collation, nothing to recheck
CREATE OPERATOR FAMILY lead_qualify.assessment_ops USING gin;
COMMENT ON OPERATOR FAMILY lead_qualify.assessment_ops USING gin IS 'answers of assessments, for @>';
CREATE OPERATOR CLASS lead_qualify.assessment_ops
DEFAULT FOR TYPE lead_qualify.assessment USING gin FAMILY lead_qualify.assessment_ops AS
    OPERATOR 7 lead_qualify.@>,
    FUNCTION 1 pg_catalog.byteacmp(pg_catalog.bytea, pg_catalog.bytea),
    FUNCTION 2 lead_qualify.assessment_gin_extract_value(lead_qualify.assessment, pg_catalog.internal, pg_catalog.internal),
    FUNCTION 3 lead_qualify.assessment_gin_extract_query(lead_qualify.assessment, pg_catalog.internal, pg_catalog.int2, pg_catalog.internal, pg_catalog.internal, pg_catalog.internal, pg_catalog.internal),
    FUNCTION 4 lead_qualify.assessment_gin_consistent(pg_catalog.internal, pg_catalog.int2, lead_qualify.assessment, pg_catalog.int4, pg_catalog.internal, pg_catalog.internal, pg_catalog.internal, pg_catalog.internal),
    FUNCTION 6 lead_qualify.assessment_gin_triconsistent(pg_catalog.internal, pg_catalog.int2, lead_qualify.assessment, pg_catalog.int4, pg_catalog.internal, pg_catalog.internal, pg_catalog.internal),
    STORAGE pg_catalog.bytea;
COMMENT ON OPERATOR CLASS lead_qualify.assessment_ops USING gin IS 'answers of assessments, for @>';

CREATE FUNCTION lead_qualify.assessment_to_jsonb(assessment lead_qualify.assessment)
RETURNS pg_catalog.jsonb
AS 'MODULE_PATHNAME', 'assessment_to_jsonb'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION lead_qualify.assessment_to_jsonb(lead_qualify.assessment) IS 'assessment as a JSON object of level names';

CREATE FUNCTION lead_qualify.assessment_from_jsonb(answers pg_catalog.jsonb)
RETURNS lead_qualify.assessment
AS 'MODULE_PATHNAME', 'assessment_from_jsonb'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION lead_qualify.assessment_from_jsonb(pg_catalog.jsonb) IS 'assessment from a JSON object: levels by name or number, true is yes, false is no, null is unknown';

-- Both explicit only, like the casts of other containers.  From jsonb because
-- it fails for most values; to jsonb because levels become plain strings, and
-- a column of type jsonb that is filled by mistake would not tell.
CREATE CAST (lead_qualify.assessment AS pg_catalog.jsonb)
WITH FUNCTION lead_qualify.assessment_to_jsonb(lead_qualify.assessment);
COMMENT ON CAST (lead_qualify.assessment AS pg_catalog.jsonb) IS 'JSON object of level names';

CREATE CAST (pg_catalog.jsonb AS lead_qualify.assessment)
WITH FUNCTION lead_qualify.assessment_from_jsonb(pg_catalog.jsonb);
COMMENT ON CAST (pg_catalog.jsonb AS lead_qualify.assessment) IS 'from a JSON object of levels';

CREATE FUNCTION lead_qualify.assessment(criterion pg_catalog.text, level pg_catalog.text)
RETURNS lead_qualify.assessment
AS 'MODULE_PATHNAME', 'assessment_from_text'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION lead_qualify.assessment(pg_catalog.text, pg_catalog.text) IS 'assessment of one criterion';

CREATE FUNCTION lead_qualify.assessment(criteria pg_catalog.text[], levels pg_catalog.text[])
RETURNS lead_qualify.assessment
AS 'MODULE_PATHNAME', 'assessment_from_arrays'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION lead_qualify.assessment(pg_catalog.text[], pg_catalog.text[]) IS 'assessment from criteria and their levels; a level that is NULL is unknown';

CREATE FUNCTION lead_qualify.answers(assessment lead_qualify.assessment, OUT criterion pg_catalog.text, OUT level pg_catalog.text, OUT value pg_catalog.int4)
RETURNS SETOF pg_catalog.record
AS 'MODULE_PATHNAME', 'assessment_answers'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE ROWS 5;
COMMENT ON FUNCTION lead_qualify.answers(lead_qualify.assessment) IS 'answers of an assessment in the order of their names; value is the level from 0 (no) to 3 (yes)';

CREATE FUNCTION lead_qualify.criterion_name(name pg_catalog.text)
RETURNS pg_catalog.text
AS 'MODULE_PATHNAME', 'criterion_name'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION lead_qualify.criterion_name(pg_catalog.text) IS 'name under which a criterion is kept: small letters, underscores, aliases resolved; an error if it is no name';

CREATE AGGREGATE lead_qualify.assessment_merge(lead_qualify.assessment) (
    SFUNC = lead_qualify.assessment_concat,
    STYPE = lead_qualify.assessment,
    COMBINEFUNC = lead_qualify.assessment_concat,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE lead_qualify.assessment_merge(lead_qualify.assessment) IS 'answers of all; where they differ, the last one wins, so give the order: assessment_merge(a ORDER BY at)';

-- ----------------------------------------------------------------
-- Pipelines: written by attach() and its kin only
-- ----------------------------------------------------------------

CREATE TABLE lead_qualify.pipeline (
	pipeline text NOT NULL,
	leads_schema text NOT NULL,
	leads_table text NOT NULL,
	lead_key text NOT NULL,
	created_at text,
	stage_column text NOT NULL,
	changed_column text NOT NULL,
	prefix text NOT NULL,
	time_zone text NOT NULL,
	mode text NOT NULL DEFAULT 'live',
	fire text NOT NULL DEFAULT 'statement',
	framework text NOT NULL DEFAULT 'BANT',
	notify_within interval NOT NULL DEFAULT '1 day',
	conversion_window interval NOT NULL DEFAULT '90 days',
	segments text[] NOT NULL DEFAULT '{}',
	version integer,
	stage_existed boolean NOT NULL DEFAULT false,
	attached_at timestamptz NOT NULL DEFAULT now(),
	CONSTRAINT pipeline_pkey PRIMARY KEY (pipeline),
	CONSTRAINT pipeline_name_length CHECK (octet_length(pipeline) BETWEEN 1 AND 63),
	CONSTRAINT pipeline_mode_known CHECK (mode IN ('live', 'shadow')),
	CONSTRAINT pipeline_fire_known CHECK (fire IN ('statement', 'row', 'deferred')),
	CONSTRAINT pipeline_notify_within_not_negative CHECK (notify_within >= interval '0'),
	CONSTRAINT pipeline_conversion_window_positive CHECK (conversion_window > interval '0'),
	CONSTRAINT pipeline_segments_have_names CHECK (array_position(segments, NULL) IS NULL),
	CONSTRAINT pipeline_version_positive CHECK (version >= 1)
);
COMMENT ON TABLE lead_qualify.pipeline IS
'An attached table of leads: one row a pipeline. Names are text, not OIDs, so that they mean the same after a restore and on another node. Written by functions only.';
COMMENT ON COLUMN lead_qualify.pipeline.pipeline IS 'name of the pipeline, the first argument of every function';
COMMENT ON COLUMN lead_qualify.pipeline.leads_schema IS 'schema of the leads table';
COMMENT ON COLUMN lead_qualify.pipeline.leads_table IS 'the leads table';
COMMENT ON COLUMN lead_qualify.pipeline.lead_key IS 'its key column';
COMMENT ON COLUMN lead_qualify.pipeline.created_at IS 'its column with the time a lead was created; NULL if there is none';
COMMENT ON COLUMN lead_qualify.pipeline.stage_column IS 'its column that shows the stage';
COMMENT ON COLUMN lead_qualify.pipeline.changed_column IS 'its column with the time of the last change of stage';
COMMENT ON COLUMN lead_qualify.pipeline.prefix IS 'the side tables are <prefix>_qualification, <prefix>_stage_history, <prefix>_attributes, <prefix>_answers and <prefix>_baseline, in the schema of leads';
COMMENT ON COLUMN lead_qualify.pipeline.time_zone IS 'time zone of calendar days, weeks and months and of times stored without a zone';
COMMENT ON COLUMN lead_qualify.pipeline.mode IS 'live, or shadow: computed, but the leads table is not written';
COMMENT ON COLUMN lead_qualify.pipeline.fire IS 'how the triggers fire: statement, row or deferred';
COMMENT ON COLUMN lead_qualify.pipeline.framework IS 'framework whose missing criteria and next question the view <prefix>_scored shows; changed by alter_pipeline()';
COMMENT ON COLUMN lead_qualify.pipeline.notify_within IS 'how old a live move may be to be told by NOTIFY lead_qualify; zero: none is told; changed by alter_pipeline()';
COMMENT ON COLUMN lead_qualify.pipeline.conversion_window IS 'time within which reports expect a lead to convert; changed by alter_pipeline()';
COMMENT ON COLUMN lead_qualify.pipeline.segments IS 'columns of leads by which reports are split: their changes are noted, and their values stay with the history of a lead that is deleted or erased; changed by alter_pipeline()';
COMMENT ON COLUMN lead_qualify.pipeline.version IS 'newest published version';
COMMENT ON COLUMN lead_qualify.pipeline.stage_existed IS 'true if the stage column was there before attach, so detach leaves it';
COMMENT ON COLUMN lead_qualify.pipeline.attached_at IS 'when the pipeline was attached';

CREATE TABLE lead_qualify.source (
	pipeline text NOT NULL,
	number integer NOT NULL,
	activities_schema text NOT NULL,
	activities_table text NOT NULL,
	activity_lead text NOT NULL,
	activity_type text,
	activity_at text NOT NULL,
	activity_key text NOT NULL,
	type_value text,
	filter text,
	filter_expression text,
	time_zone text NOT NULL,
	fire text NOT NULL DEFAULT 'statement',
	CONSTRAINT source_pkey PRIMARY KEY (pipeline, number),
	CONSTRAINT source_number_positive CHECK (number >= 1),
	CONSTRAINT source_has_type CHECK (activity_type IS NOT NULL OR type_value IS NOT NULL),
	CONSTRAINT source_fire_known CHECK (fire IN ('statement', 'row', 'deferred'))
);
COMMENT ON TABLE lead_qualify.source IS
'A table of activities that feeds a pipeline. Written by attach() and add_source() only.';
COMMENT ON COLUMN lead_qualify.source.pipeline IS 'pipeline that it feeds';
COMMENT ON COLUMN lead_qualify.source.number IS 'number of the source in its pipeline, from 1; activities of one instant are taken in this order';
COMMENT ON COLUMN lead_qualify.source.activities_schema IS 'schema of the activity table';
COMMENT ON COLUMN lead_qualify.source.activities_table IS 'the activity table';
COMMENT ON COLUMN lead_qualify.source.activity_lead IS 'its column with the key of the lead';
COMMENT ON COLUMN lead_qualify.source.activity_type IS 'its column with the type of activity; NULL where type_value names the type of all';
COMMENT ON COLUMN lead_qualify.source.activity_at IS 'its column with the time of the activity';
COMMENT ON COLUMN lead_qualify.source.activity_key IS 'its key column';
COMMENT ON COLUMN lead_qualify.source.type_value IS 'type of every activity of a table without a type column';
COMMENT ON COLUMN lead_qualify.source.filter IS 'condition as it was given: rows for which it does not hold are no activities';
COMMENT ON COLUMN lead_qualify.source.filter_expression IS 'the filter with every name qualified: what is evaluated';
COMMENT ON COLUMN lead_qualify.source.time_zone IS 'time zone of times that the table stores without one';
COMMENT ON COLUMN lead_qualify.source.fire IS 'how its triggers fire: statement, row or deferred';

CREATE TABLE lead_qualify.version (
	pipeline text NOT NULL,
	version integer NOT NULL,
	config jsonb NOT NULL,
	effective_from timestamptz NOT NULL,
	published_at timestamptz NOT NULL DEFAULT now(),
	published_by text NOT NULL,
	note text,
	CONSTRAINT version_pkey PRIMARY KEY (pipeline, version),
	CONSTRAINT version_number_positive CHECK (version >= 1),
	CONSTRAINT version_config_object CHECK (jsonb_typeof(config) = 'object'),
	CONSTRAINT version_effective_from_reached CHECK (effective_from < 'infinity')
);
COMMENT ON TABLE lead_qualify.version IS
'A published configuration, frozen: what scores. The version in force at a time is the newest one effective by then. Written by publish() and rollback_to() only.';
COMMENT ON COLUMN lead_qualify.version.pipeline IS 'pipeline that it belongs to';
COMMENT ON COLUMN lead_qualify.version.version IS 'number of the version, from 1';
COMMENT ON COLUMN lead_qualify.version.config IS 'the configuration tables as they were when published, and the expressions with every name qualified';
COMMENT ON COLUMN lead_qualify.version.effective_from IS 'activities from this time on are scored by it, unless a newer version is in force';
COMMENT ON COLUMN lead_qualify.version.published_at IS 'when it was published';
COMMENT ON COLUMN lead_qualify.version.published_by IS 'the role that published it';
COMMENT ON COLUMN lead_qualify.version.note IS 'what the publisher said about it';

-- ----------------------------------------------------------------
-- The draft: rows that people edit and publish() freezes.  A bad value is
-- refused when it is written; what depends on other rows or on the attached
-- tables is checked by publish().
-- ----------------------------------------------------------------

CREATE TABLE lead_qualify.dimension (
	pipeline text NOT NULL,
	dimension text NOT NULL,
	minimum double precision,
	maximum double precision,
	weight double precision NOT NULL DEFAULT 1,
	CONSTRAINT dimension_pkey PRIMARY KEY (pipeline, dimension),
	CONSTRAINT dimension_name_length CHECK (octet_length(dimension) BETWEEN 1 AND 63),
	CONSTRAINT dimension_minimum_finite CHECK (abs(minimum) <= 1e100),
	CONSTRAINT dimension_maximum_finite CHECK (abs(maximum) <= 1e100),
	CONSTRAINT dimension_minimum_not_above_maximum CHECK (minimum <= maximum),
	CONSTRAINT dimension_weight_finite CHECK (abs(weight) <= 1e100)
);
COMMENT ON TABLE lead_qualify.dimension IS
'Draft: a score that rules add to, such as engagement and fit. The row named total bounds the total.';
COMMENT ON COLUMN lead_qualify.dimension.pipeline IS 'pipeline that it belongs to';
COMMENT ON COLUMN lead_qualify.dimension.dimension IS 'name of the dimension, or total';
COMMENT ON COLUMN lead_qualify.dimension.minimum IS 'the score is never shown below this; NULL: no bound';
COMMENT ON COLUMN lead_qualify.dimension.maximum IS 'the score is never shown above this; NULL: no bound';
COMMENT ON COLUMN lead_qualify.dimension.weight IS 'the total is the sum of weight times score; not used in the row total';

CREATE TABLE lead_qualify.rule (
	pipeline text NOT NULL,
	name text NOT NULL,
	dimension text NOT NULL DEFAULT 'engagement',
	applies_to text NOT NULL DEFAULT 'activity',
	activity_type text,
	condition text,
	points double precision NOT NULL DEFAULT 0,
	decay text NOT NULL DEFAULT 'none',
	period interval,
	at_most integer,
	per text,
	per_value text,
	at_least integer,
	within interval,
	max_points double precision,
	answers lead_qualify.assessment,
	enabled boolean NOT NULL DEFAULT true,
	description text,
	CONSTRAINT rule_pkey PRIMARY KEY (pipeline, name),
	CONSTRAINT rule_name_length CHECK (octet_length(name) BETWEEN 1 AND 63),
	-- the engine names what it remembers of a gate's activity_type like this
	CONSTRAINT rule_name_not_reserved CHECK (NOT starts_with(name, 'type:')),
	CONSTRAINT rule_dimension_length CHECK (octet_length(dimension) BETWEEN 1 AND 63),
	CONSTRAINT rule_applies_to_known CHECK (applies_to IN ('activity', 'lead')),
	CONSTRAINT rule_activity_type_not_empty CHECK (activity_type <> ''),
	CONSTRAINT rule_condition_not_empty CHECK (btrim(condition) <> ''),
	-- refuses NaN and infinity too, and leaves room to add up any number of rows
	CONSTRAINT rule_points_finite CHECK (abs(points) <= 1e100),
	CONSTRAINT rule_decay_known CHECK (decay IN ('none', 'exponential', 'linear', 'window')),
	CONSTRAINT rule_decay_needs_period CHECK (decay = 'none' OR period IS NOT NULL),
	CONSTRAINT rule_period_needs_decay CHECK (decay <> 'none' OR period IS NULL),
	CONSTRAINT rule_period_positive CHECK (period > '0'),
	-- microseconds must fit 64 bits
	CONSTRAINT rule_period_at_most_1000_years CHECK (period <= '1000 years'),
	CONSTRAINT rule_at_most_positive CHECK (at_most >= 1),
	CONSTRAINT rule_per_known CHECK (per IN ('day', 'week', 'month')),
	CONSTRAINT rule_per_needs_at_most CHECK (per IS NULL OR at_most IS NOT NULL),
	CONSTRAINT rule_per_value_not_empty CHECK (btrim(per_value) <> ''),
	CONSTRAINT rule_per_value_needs_at_most CHECK (per_value IS NULL OR at_most IS NOT NULL),
	CONSTRAINT rule_at_least_positive CHECK (at_least BETWEEN 1 AND 1000),
	CONSTRAINT rule_within_needs_at_least CHECK (within IS NULL OR at_least IS NOT NULL),
	CONSTRAINT rule_within_positive CHECK (within > '0'),
	CONSTRAINT rule_within_at_most_1000_years CHECK (within <= '1000 years'),
	CONSTRAINT rule_max_points_positive CHECK (max_points > 0),
	CONSTRAINT rule_max_points_finite CHECK (max_points <= 1e100),
	CONSTRAINT rule_answers_not_empty CHECK (answers OPERATOR(lead_qualify.<>) ''),
	CONSTRAINT rule_of_lead_has_no_activity_parts CHECK (
		applies_to <> 'lead'
		OR (activity_type IS NULL AND decay = 'none' AND at_most IS NULL
			AND at_least IS NULL AND max_points IS NULL AND answers IS NULL))
);
COMMENT ON TABLE lead_qualify.rule IS
'Draft: a rule gives points for an activity, or for what is known about the lead. With 0 points it is a named signal that gates can ask for.';
COMMENT ON COLUMN lead_qualify.rule.pipeline IS 'pipeline that it belongs to';
COMMENT ON COLUMN lead_qualify.rule.name IS 'name of the rule: shown by explain(), used by times() and since_last()';
COMMENT ON COLUMN lead_qualify.rule.dimension IS 'score that the points are added to';
COMMENT ON COLUMN lead_qualify.rule.applies_to IS 'activity: each matching activity scores; lead: the points are given while the condition holds for the lead';
COMMENT ON COLUMN lead_qualify.rule.activity_type IS 'type of activity that matches; NULL: any';
COMMENT ON COLUMN lead_qualify.rule.condition IS 'SQL condition over the columns of the activity, or of the lead; NULL: always';
COMMENT ON COLUMN lead_qualify.rule.points IS 'points, may be negative';
COMMENT ON COLUMN lead_qualify.rule.decay IS 'how an activity loses worth with time: none, exponential (half in each period), linear (to 0 in one period), window (all at the end of the period)';
COMMENT ON COLUMN lead_qualify.rule.period IS 'half-life or length of the decay, in 24-hour days and 30-day months';
COMMENT ON COLUMN lead_qualify.rule.at_most IS 'at most so many activities score in each calendar day, week or month, the earliest ones';
COMMENT ON COLUMN lead_qualify.rule.per IS 'day, week or month that at_most is for; NULL: ever';
COMMENT ON COLUMN lead_qualify.rule.per_value IS 'SQL expression over the activity: at_most counts each of its values apart';
COMMENT ON COLUMN lead_qualify.rule.at_least IS 'scores only at the so manieth match, and again after as many new ones';
COMMENT ON COLUMN lead_qualify.rule.within IS 'time in which the at_least matches must lie; NULL: any';
COMMENT ON COLUMN lead_qualify.rule.max_points IS 'the sum of the rule is held between minus and plus this';
COMMENT ON COLUMN lead_qualify.rule.answers IS 'what a matching activity answers, such as budget=yes for a form with that box ticked';
COMMENT ON COLUMN lead_qualify.rule.enabled IS 'false: published but without effect';
COMMENT ON COLUMN lead_qualify.rule.description IS 'what the rule is for';

CREATE TABLE lead_qualify.stage (
	pipeline text NOT NULL,
	stage text NOT NULL,
	position integer NOT NULL,
	kind text NOT NULL,
	stored_as text,
	owner text NOT NULL DEFAULT 'marketing',
	sla interval,
	CONSTRAINT stage_pkey PRIMARY KEY (pipeline, stage),
	-- deferrable: one UPDATE may shift them all
	CONSTRAINT stage_position_unique UNIQUE (pipeline, position) DEFERRABLE,
	CONSTRAINT stage_name_length CHECK (octet_length(stage) BETWEEN 1 AND 63),
	CONSTRAINT stage_kind_known CHECK (
		kind IN ('lead', 'mql', 'sal', 'sql', 'opportunity', 'won',
				 'hold', 'recycled', 'disqualified', 'lost')),
	CONSTRAINT stage_stored_as_not_empty CHECK (stored_as <> ''),
	CONSTRAINT stage_owner_known CHECK (owner IN ('marketing', 'sales')),
	CONSTRAINT stage_sla_positive CHECK (sla > '0'),
	CONSTRAINT stage_sla_at_most_1000_years CHECK (sla <= '1000 years')
);
COMMENT ON TABLE lead_qualify.stage IS
'Draft: a stage of a lead. Kinds lead, mql, sal, sql, opportunity and won form the path, in the order of position; hold, recycled, disqualified and lost stand beside it.';
COMMENT ON COLUMN lead_qualify.stage.pipeline IS 'pipeline that it belongs to';
COMMENT ON COLUMN lead_qualify.stage.stage IS 'name of the stage';
COMMENT ON COLUMN lead_qualify.stage.position IS 'order of the stages; a lead begins in the first one';
COMMENT ON COLUMN lead_qualify.stage.kind IS 'what the stage means: lead, mql, sal, sql, opportunity, won, hold, recycled, disqualified or lost';
COMMENT ON COLUMN lead_qualify.stage.stored_as IS 'how the leads table spells it; NULL: by its name';
COMMENT ON COLUMN lead_qualify.stage.owner IS 'who works on leads in this stage: marketing or sales';
COMMENT ON COLUMN lead_qualify.stage.sla IS 'time in which a lead in this stage should be worked on; NULL: none agreed';

CREATE TABLE lead_qualify.gate (
	pipeline text NOT NULL,
	stage text NOT NULL,
	name text NOT NULL,
	from_stages text[],
	min_total double precision,
	min_engagement double precision,
	min_fit double precision,
	min_grade lead_qualify.lead_grade,
	framework text,
	activity_type text,
	condition text,
	after interval,
	idle interval,
	keep_total double precision,
	keep_engagement double precision,
	fallback_stage text,
	automatic boolean NOT NULL DEFAULT true,
	enabled boolean NOT NULL DEFAULT true,
	CONSTRAINT gate_pkey PRIMARY KEY (pipeline, stage, name),
	CONSTRAINT gate_name_length CHECK (octet_length(name) BETWEEN 1 AND 63),
	CONSTRAINT gate_stage_length CHECK (octet_length(stage) BETWEEN 1 AND 63),
	CONSTRAINT gate_from_stages_not_empty CHECK (cardinality(from_stages) >= 1),
	CONSTRAINT gate_from_stages_one_dimension CHECK (array_ndims(from_stages) = 1),
	CONSTRAINT gate_from_stages_without_null CHECK (array_position(from_stages, NULL) IS NULL),
	CONSTRAINT gate_min_total_finite CHECK (abs(min_total) <= 1e100),
	CONSTRAINT gate_min_engagement_finite CHECK (abs(min_engagement) <= 1e100),
	CONSTRAINT gate_min_fit_finite CHECK (abs(min_fit) <= 1e100),
	CONSTRAINT gate_framework_not_empty CHECK (framework <> ''),
	CONSTRAINT gate_activity_type_not_empty CHECK (activity_type <> ''),
	CONSTRAINT gate_condition_not_empty CHECK (btrim(condition) <> ''),
	CONSTRAINT gate_after_positive CHECK (after > '0'),
	CONSTRAINT gate_after_at_most_1000_years CHECK (after <= '1000 years'),
	CONSTRAINT gate_idle_positive CHECK (idle > '0'),
	CONSTRAINT gate_idle_at_most_1000_years CHECK (idle <= '1000 years'),
	CONSTRAINT gate_keep_total_finite CHECK (abs(keep_total) <= 1e100),
	CONSTRAINT gate_keep_engagement_finite CHECK (abs(keep_engagement) <= 1e100),
	CONSTRAINT gate_keep_needs_fallback_stage CHECK (
		coalesce(keep_total, keep_engagement) IS NULL OR fallback_stage IS NOT NULL),
	CONSTRAINT gate_fallback_stage_needs_keep CHECK (
		fallback_stage IS NULL OR coalesce(keep_total, keep_engagement) IS NOT NULL),
	CONSTRAINT gate_keep_total_below_minimum CHECK (keep_total < min_total),
	CONSTRAINT gate_keep_engagement_below_minimum CHECK (keep_engagement < min_engagement)
);
COMMENT ON TABLE lead_qualify.gate IS
'Draft: a way into a stage. It opens when everything it names holds; gates of one stage are alternatives.';
COMMENT ON COLUMN lead_qualify.gate.pipeline IS 'pipeline that it belongs to';
COMMENT ON COLUMN lead_qualify.gate.stage IS 'stage that it leads to';
COMMENT ON COLUMN lead_qualify.gate.name IS 'name of the gate: shown by the history and explain_stage()';
COMMENT ON COLUMN lead_qualify.gate.from_stages IS 'stages it may be entered from; NULL: any earlier one on the path';
COMMENT ON COLUMN lead_qualify.gate.min_total IS 'the total must reach this';
COMMENT ON COLUMN lead_qualify.gate.min_engagement IS 'the score engagement must reach this';
COMMENT ON COLUMN lead_qualify.gate.min_fit IS 'the score fit must reach this';
COMMENT ON COLUMN lead_qualify.gate.min_grade IS 'the grade must be this or better';
COMMENT ON COLUMN lead_qualify.gate.framework IS 'the lead''s answers must qualify for this framework, as it is when published';
COMMENT ON COLUMN lead_qualify.gate.activity_type IS 'there must be an activity of this type';
COMMENT ON COLUMN lead_qualify.gate.condition IS 'SQL condition over the columns of the lead, with times(), since_last() and points()';
COMMENT ON COLUMN lead_qualify.gate.after IS 'the lead must have been in its stage for so long, in 24-hour days and 30-day months';
COMMENT ON COLUMN lead_qualify.gate.idle IS 'the lead must have been without an activity for so long';
COMMENT ON COLUMN lead_qualify.gate.keep_total IS 'a lead that came by this gate falls to fallback_stage when its total falls below this';
COMMENT ON COLUMN lead_qualify.gate.keep_engagement IS 'a lead that came by this gate falls to fallback_stage when its engagement falls below this';
COMMENT ON COLUMN lead_qualify.gate.fallback_stage IS 'earlier stage on the path that it falls to';
COMMENT ON COLUMN lead_qualify.gate.automatic IS 'false: the lead does not move by itself, a person must move it';
COMMENT ON COLUMN lead_qualify.gate.enabled IS 'false: published but without effect';

CREATE TABLE lead_qualify.transition (
	pipeline text NOT NULL,
	from_stage text NOT NULL,
	to_stage text NOT NULL,
	CONSTRAINT transition_pkey PRIMARY KEY (pipeline, from_stage, to_stage),
	CONSTRAINT transition_leads_elsewhere CHECK (from_stage <> to_stage)
);
COMMENT ON TABLE lead_qualify.transition IS
'Draft: a move that people may make. Where a pipeline has any row, all other moves by hand are refused, from any client; automatic moves ask only their gates.';
COMMENT ON COLUMN lead_qualify.transition.pipeline IS 'pipeline that it belongs to';
COMMENT ON COLUMN lead_qualify.transition.from_stage IS 'stage that the lead is in';
COMMENT ON COLUMN lead_qualify.transition.to_stage IS 'stage that it may be moved to';

CREATE TABLE lead_qualify.exclusion (
	pipeline text NOT NULL,
	name text NOT NULL,
	condition text NOT NULL,
	scored boolean NOT NULL DEFAULT true,
	CONSTRAINT exclusion_pkey PRIMARY KEY (pipeline, name),
	CONSTRAINT exclusion_name_length CHECK (octet_length(name) BETWEEN 1 AND 63),
	CONSTRAINT exclusion_condition_not_empty CHECK (btrim(condition) <> '')
);
COMMENT ON TABLE lead_qualify.exclusion IS
'Draft: leads that must not qualify, such as competitors, own staff, or people without consent. While the condition holds no gate opens.';
COMMENT ON COLUMN lead_qualify.exclusion.pipeline IS 'pipeline that it belongs to';
COMMENT ON COLUMN lead_qualify.exclusion.name IS 'name of the exclusion: shown by explain_stage()';
COMMENT ON COLUMN lead_qualify.exclusion.condition IS 'SQL condition over the columns of the lead';
COMMENT ON COLUMN lead_qualify.exclusion.scored IS 'false: while it holds activities earn nothing either';

CREATE TABLE lead_qualify.list (
	pipeline text NOT NULL,
	list text NOT NULL,
	value text NOT NULL,
	CONSTRAINT list_pkey PRIMARY KEY (pipeline, list, value),
	CONSTRAINT list_name_length CHECK (octet_length(list) BETWEEN 1 AND 63),
	CONSTRAINT list_value_not_empty CHECK (value <> '')
);
COMMENT ON TABLE lead_qualify.list IS
'Draft: the values of the lists that conditions ask with in_list(), such as the domains of competitors.';
COMMENT ON COLUMN lead_qualify.list.pipeline IS 'pipeline that it belongs to';
COMMENT ON COLUMN lead_qualify.list.list IS 'name of the list';
COMMENT ON COLUMN lead_qualify.list.value IS 'a value on it; upper and lower case are the same';

CREATE TABLE lead_qualify.reason (
	pipeline text NOT NULL,
	code text NOT NULL,
	kind text,
	label text,
	CONSTRAINT reason_pkey PRIMARY KEY (pipeline, code),
	CONSTRAINT reason_code_length CHECK (octet_length(code) BETWEEN 1 AND 63),
	CONSTRAINT reason_kind_known CHECK (kind IN ('reject', 'recycle', 'disqualify', 'hold'))
);
COMMENT ON TABLE lead_qualify.reason IS
'Draft: the reasons that reject(), recycle(), disqualify(), hold(), accept() and move() take.';
COMMENT ON COLUMN lead_qualify.reason.pipeline IS 'pipeline that it belongs to';
COMMENT ON COLUMN lead_qualify.reason.code IS 'code that the function is given and the history shows';
COMMENT ON COLUMN lead_qualify.reason.kind IS 'function that it is for: reject, recycle, disqualify or hold; NULL: any. move() takes all';
COMMENT ON COLUMN lead_qualify.reason.label IS 'what it says to people';

CREATE TABLE lead_qualify.band (
	pipeline text NOT NULL,
	dimension text NOT NULL,
	label text NOT NULL,
	minimum double precision NOT NULL,
	CONSTRAINT band_pkey PRIMARY KEY (pipeline, dimension, label),
	CONSTRAINT band_minimum_unique UNIQUE (pipeline, dimension, minimum) DEFERRABLE,
	CONSTRAINT band_dimension_length CHECK (octet_length(dimension) BETWEEN 1 AND 63),
	CONSTRAINT band_label_length CHECK (octet_length(label) BETWEEN 1 AND 63),
	CONSTRAINT band_minimum_finite CHECK (abs(minimum) <= 1e100)
);
COMMENT ON TABLE lead_qualify.band IS
'Draft: the names of ranges of a score. Those of fit are grades, A+ to F; a lead is labelled by the grade and the band of its engagement, such as A1.';
COMMENT ON COLUMN lead_qualify.band.pipeline IS 'pipeline that it belongs to';
COMMENT ON COLUMN lead_qualify.band.dimension IS 'score that it divides, or total';
COMMENT ON COLUMN lead_qualify.band.label IS 'name of the range';
COMMENT ON COLUMN lead_qualify.band.minimum IS 'the range begins here and ends where the next one begins';

CREATE TABLE lead_qualify.condition_problem (
	pipeline text NOT NULL,
	kind text NOT NULL,
	name text NOT NULL,
	message text NOT NULL,
	since timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE lead_qualify.condition_problem IS
'Conditions that failed while they were evaluated, as noted by each session; read the view lead_qualify.problem. Emptied by publish().';
COMMENT ON COLUMN lead_qualify.condition_problem.pipeline IS 'pipeline that met the problem';
COMMENT ON COLUMN lead_qualify.condition_problem.kind IS 'kind of object: rule, gate, exclusion, filter ...';
COMMENT ON COLUMN lead_qualify.condition_problem.name IS 'its name';
COMMENT ON COLUMN lead_qualify.condition_problem.message IS 'the error';
COMMENT ON COLUMN lead_qualify.condition_problem.since IS 'when a session first met it';

-- What users wrote is dumped with the database; problems are not.
SELECT pg_catalog.pg_extension_config_dump('lead_qualify.pipeline', '');
SELECT pg_catalog.pg_extension_config_dump('lead_qualify.source', '');
SELECT pg_catalog.pg_extension_config_dump('lead_qualify.version', '');
SELECT pg_catalog.pg_extension_config_dump('lead_qualify.dimension', '');
SELECT pg_catalog.pg_extension_config_dump('lead_qualify.rule', '');
SELECT pg_catalog.pg_extension_config_dump('lead_qualify.stage', '');
SELECT pg_catalog.pg_extension_config_dump('lead_qualify.gate', '');
SELECT pg_catalog.pg_extension_config_dump('lead_qualify.transition', '');
SELECT pg_catalog.pg_extension_config_dump('lead_qualify.exclusion', '');
SELECT pg_catalog.pg_extension_config_dump('lead_qualify.list', '');
SELECT pg_catalog.pg_extension_config_dump('lead_qualify.reason', '');
SELECT pg_catalog.pg_extension_config_dump('lead_qualify.band', '');

-- ----------------------------------------------------------------
-- Who may see and edit what
-- ----------------------------------------------------------------

-- The row security policies below and may_edit() agree through these two.
-- A superuser is a member of every role, so pg_has_role() holds for him; when
-- the leads table is gone its side table tells whose pipeline it was.
CREATE FUNCTION lead_qualify.leads_owned(leads_schema text, leads_table text, prefix text)
RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
	SELECT coalesce(
		(SELECT pg_has_role(c.relowner, 'USAGE')
		 FROM pg_class c
		 JOIN pg_namespace n ON n.oid = c.relnamespace
		 WHERE n.nspname = leads_owned.leads_schema
			AND c.relname IN (leads_owned.leads_table,
							  leads_owned.prefix || '_qualification')
		 ORDER BY c.relname <> leads_owned.leads_table
		 LIMIT 1),
		(SELECT r.rolsuper FROM pg_roles r WHERE r.rolname = current_user));
END;
COMMENT ON FUNCTION lead_qualify.leads_owned(text, text, text) IS
'Does the current user have the rights of the owner of this leads table?';

CREATE FUNCTION lead_qualify.leads_readable(leads_schema text, leads_table text)
RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
	SELECT EXISTS (
		SELECT
		FROM pg_class c
		JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname = leads_readable.leads_schema
			AND c.relname = leads_readable.leads_table
			AND has_any_column_privilege(c.oid, 'SELECT'));
END;
COMMENT ON FUNCTION lead_qualify.leads_readable(text, text) IS
'May the current user read this leads table?';

CREATE FUNCTION lead_qualify.may_edit(pipeline text)
RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
	SELECT EXISTS (
		SELECT
		FROM lead_qualify.pipeline p
		WHERE p.pipeline = may_edit.pipeline
			AND lead_qualify.leads_owned(p.leads_schema, p.leads_table, p.prefix));
END;
COMMENT ON FUNCTION lead_qualify.may_edit(text) IS
'May the current user edit the draft of the pipeline? True for those with the rights of the owner of its leads table.';

ALTER TABLE lead_qualify.pipeline ENABLE ROW LEVEL SECURITY;
ALTER TABLE lead_qualify.source ENABLE ROW LEVEL SECURITY;
ALTER TABLE lead_qualify.version ENABLE ROW LEVEL SECURITY;
ALTER TABLE lead_qualify.dimension ENABLE ROW LEVEL SECURITY;
ALTER TABLE lead_qualify.rule ENABLE ROW LEVEL SECURITY;
ALTER TABLE lead_qualify.stage ENABLE ROW LEVEL SECURITY;
ALTER TABLE lead_qualify.gate ENABLE ROW LEVEL SECURITY;
ALTER TABLE lead_qualify.transition ENABLE ROW LEVEL SECURITY;
ALTER TABLE lead_qualify.exclusion ENABLE ROW LEVEL SECURITY;
ALTER TABLE lead_qualify.list ENABLE ROW LEVEL SECURITY;
ALTER TABLE lead_qualify.reason ENABLE ROW LEVEL SECURITY;
ALTER TABLE lead_qualify.band ENABLE ROW LEVEL SECURITY;
ALTER TABLE lead_qualify.condition_problem ENABLE ROW LEVEL SECURITY;

-- Pipelines and what was published: for whoever may read the leads.
CREATE POLICY pipeline_readable ON lead_qualify.pipeline FOR SELECT
	USING (lead_qualify.leads_owned(leads_schema, leads_table, prefix)
		   OR lead_qualify.leads_readable(leads_schema, leads_table));
COMMENT ON POLICY pipeline_readable ON lead_qualify.pipeline IS
'shown to those who may read or own the leads table';
CREATE POLICY source_readable ON lead_qualify.source FOR SELECT
	USING (EXISTS (SELECT FROM lead_qualify.pipeline p WHERE p.pipeline = source.pipeline));
COMMENT ON POLICY source_readable ON lead_qualify.source IS
'shown to those who see the pipeline';
CREATE POLICY version_readable ON lead_qualify.version FOR SELECT
	USING (EXISTS (SELECT FROM lead_qualify.pipeline p WHERE p.pipeline = version.pipeline));
COMMENT ON POLICY version_readable ON lead_qualify.version IS
'shown to those who see the pipeline';

-- The draft: for those with the rights of the leads table's owner.
CREATE POLICY dimension_of_owner ON lead_qualify.dimension
	USING (lead_qualify.may_edit(pipeline));
COMMENT ON POLICY dimension_of_owner ON lead_qualify.dimension IS
'seen and edited with the rights of the leads table''s owner';
CREATE POLICY rule_of_owner ON lead_qualify.rule
	USING (lead_qualify.may_edit(pipeline));
COMMENT ON POLICY rule_of_owner ON lead_qualify.rule IS
'seen and edited with the rights of the leads table''s owner';
CREATE POLICY stage_of_owner ON lead_qualify.stage
	USING (lead_qualify.may_edit(pipeline));
COMMENT ON POLICY stage_of_owner ON lead_qualify.stage IS
'seen and edited with the rights of the leads table''s owner';
CREATE POLICY gate_of_owner ON lead_qualify.gate
	USING (lead_qualify.may_edit(pipeline));
COMMENT ON POLICY gate_of_owner ON lead_qualify.gate IS
'seen and edited with the rights of the leads table''s owner';
CREATE POLICY transition_of_owner ON lead_qualify.transition
	USING (lead_qualify.may_edit(pipeline));
COMMENT ON POLICY transition_of_owner ON lead_qualify.transition IS
'seen and edited with the rights of the leads table''s owner';
CREATE POLICY exclusion_of_owner ON lead_qualify.exclusion
	USING (lead_qualify.may_edit(pipeline));
COMMENT ON POLICY exclusion_of_owner ON lead_qualify.exclusion IS
'seen and edited with the rights of the leads table''s owner';
CREATE POLICY list_of_owner ON lead_qualify.list
	USING (lead_qualify.may_edit(pipeline));
COMMENT ON POLICY list_of_owner ON lead_qualify.list IS
'seen and edited with the rights of the leads table''s owner';
CREATE POLICY reason_of_owner ON lead_qualify.reason
	USING (lead_qualify.may_edit(pipeline));
COMMENT ON POLICY reason_of_owner ON lead_qualify.reason IS
'seen and edited with the rights of the leads table''s owner';
CREATE POLICY band_of_owner ON lead_qualify.band
	USING (lead_qualify.may_edit(pipeline));
COMMENT ON POLICY band_of_owner ON lead_qualify.band IS
'seen and edited with the rights of the leads table''s owner';
CREATE POLICY condition_problem_of_owner ON lead_qualify.condition_problem FOR SELECT
	USING (lead_qualify.may_edit(pipeline));
COMMENT ON POLICY condition_problem_of_owner ON lead_qualify.condition_problem IS
'seen with the rights of the leads table''s owner';

GRANT USAGE ON SCHEMA lead_qualify TO PUBLIC;
GRANT SELECT ON lead_qualify.pipeline, lead_qualify.source, lead_qualify.version,
	lead_qualify.condition_problem TO PUBLIC;
GRANT SELECT, INSERT, UPDATE, DELETE ON lead_qualify.dimension, lead_qualify.rule,
	lead_qualify.stage, lead_qualify.gate, lead_qualify.transition, lead_qualify.exclusion,
	lead_qualify.list, lead_qualify.reason, lead_qualify.band TO PUBLIC;

-- ----------------------------------------------------------------
-- Triggers on our own tables
-- ----------------------------------------------------------------

CREATE FUNCTION lead_qualify.config_changed()
RETURNS trigger
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'lq_config_changed';
COMMENT ON FUNCTION lead_qualify.config_changed() IS
'trigger: tells every session, at commit, to load pipelines and versions anew';
REVOKE EXECUTE ON FUNCTION lead_qualify.config_changed() FROM PUBLIC;

CREATE TRIGGER pipeline_changed
	AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON lead_qualify.pipeline
	FOR EACH STATEMENT EXECUTE FUNCTION lead_qualify.config_changed();
COMMENT ON TRIGGER pipeline_changed ON lead_qualify.pipeline IS
'sessions load pipelines anew';
CREATE TRIGGER source_changed
	AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON lead_qualify.source
	FOR EACH STATEMENT EXECUTE FUNCTION lead_qualify.config_changed();
COMMENT ON TRIGGER source_changed ON lead_qualify.source IS
'sessions load sources anew';
CREATE TRIGGER version_changed
	AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON lead_qualify.version
	FOR EACH STATEMENT EXECUTE FUNCTION lead_qualify.config_changed();
COMMENT ON TRIGGER version_changed ON lead_qualify.version IS
'sessions load versions anew';

-- ---------------------------------------------------------------------
-- Qualification frameworks: shipped rows, which users may edit
-- ---------------------------------------------------------------------

-- A row with shipped = false is a user's.  It hides the shipped row of the
-- same key, and only such rows are dumped.
CREATE TABLE lead_qualify.framework (
	framework text NOT NULL,
	shipped boolean NOT NULL DEFAULT false,
	position integer,
	min_met integer,
	min_score double precision,
	description text,
	CONSTRAINT framework_pkey PRIMARY KEY (framework, shipped),
	CONSTRAINT framework_name_form CHECK (octet_length(framework) BETWEEN 1 AND 63 AND btrim(framework) = framework),
	CONSTRAINT framework_min_met_range CHECK (min_met BETWEEN 0 AND 1000),
	-- refuses NaN too
	CONSTRAINT framework_min_score_range CHECK (min_score BETWEEN 0 AND 100)
);
COMMENT ON TABLE lead_qualify.framework IS
'Qualification frameworks, such as BANT: which criteria a lead must meet to be qualified. A row of yours hides the shipped one of the same name.';
COMMENT ON COLUMN lead_qualify.framework.framework IS 'name; where none is spelled exactly so, upper and lower case of ASCII letters are the same';
COMMENT ON COLUMN lead_qualify.framework.shipped IS 'true: comes with the extension; an UPDATE of it makes a row with false';
COMMENT ON COLUMN lead_qualify.framework.position IS 'order in which assess_all() shows them; NULL: last, by name';
COMMENT ON COLUMN lead_qualify.framework.min_met IS 'a qualified lead meets at least so many criteria; NULL: all of them';
COMMENT ON COLUMN lead_qualify.framework.min_score IS 'a qualified lead has at least this score, 0 to 100; NULL: any';
COMMENT ON COLUMN lead_qualify.framework.description IS 'what the framework is for';

CREATE TABLE lead_qualify.criterion (
	framework text NOT NULL,
	criterion text NOT NULL,
	shipped boolean NOT NULL DEFAULT false,
	position integer NOT NULL,
	weight double precision NOT NULL DEFAULT 1,
	required boolean NOT NULL DEFAULT false,
	met_at integer NOT NULL DEFAULT 3,
	enabled boolean NOT NULL DEFAULT true,
	CONSTRAINT criterion_pkey PRIMARY KEY (framework, criterion, shipped),
	-- no foreign key: the framework may be shipped, and the criterion a user's;
	-- nor is the position unique in the table, only among the rows in effect
	CONSTRAINT criterion_framework_form CHECK (octet_length(framework) BETWEEN 1 AND 63 AND btrim(framework) = framework),
	CONSTRAINT criterion_name_length CHECK (octet_length(criterion) BETWEEN 1 AND 63),
	CONSTRAINT criterion_position_range CHECK (position BETWEEN 1 AND 1000),
	CONSTRAINT criterion_weight_range CHECK (weight BETWEEN 0 AND 1000000),
	CONSTRAINT criterion_met_at_range CHECK (met_at BETWEEN 1 AND 3)
);
COMMENT ON TABLE lead_qualify.criterion IS
'The criteria of the qualification frameworks. A row of yours hides the shipped one of the same framework and name.';
COMMENT ON COLUMN lead_qualify.criterion.framework IS 'framework that it belongs to, spelled as in lead_qualify.framework';
COMMENT ON COLUMN lead_qualify.criterion.criterion IS 'name; an alias is stored as the name it stands for, so money as budget';
COMMENT ON COLUMN lead_qualify.criterion.shipped IS 'true: comes with the extension; an UPDATE of it makes a row with false';
COMMENT ON COLUMN lead_qualify.criterion.position IS 'order in which to ask, from 1, the main criterion; one UPDATE may let two change places';
COMMENT ON COLUMN lead_qualify.criterion.weight IS 'share of the score, against the weights of the others';
COMMENT ON COLUMN lead_qualify.criterion.required IS 'true: without it no lead is qualified, whatever min_met says';
COMMENT ON COLUMN lead_qualify.criterion.met_at IS 'least level that meets it: 1 weak, 2 partial, 3 yes';
COMMENT ON COLUMN lead_qualify.criterion.enabled IS 'false: the framework does without it';

CREATE TABLE lead_qualify.question (
	criterion text NOT NULL,
	language text NOT NULL,
	shipped boolean NOT NULL DEFAULT false,
	question text NOT NULL,
	CONSTRAINT question_pkey PRIMARY KEY (criterion, language, shipped),
	CONSTRAINT question_criterion_length CHECK (octet_length(criterion) BETWEEN 1 AND 63),
	CONSTRAINT question_language_form CHECK (language ~ '^[abcdefghijklmnopqrstuvwxyz-]{2,8}$'),
	CONSTRAINT question_not_empty CHECK (btrim(question, E' \t\r\n') <> '')
);
COMMENT ON TABLE lead_qualify.question IS
'What to ask a lead about a criterion, whatever the framework. A row of yours hides the shipped one of the same criterion and language.';
COMMENT ON COLUMN lead_qualify.question.criterion IS 'criterion that it asks about; an alias is stored as the name it stands for';
COMMENT ON COLUMN lead_qualify.question.language IS 'language code, such as en, ru or pt-br';
COMMENT ON COLUMN lead_qualify.question.shipped IS 'true: comes with the extension; an UPDATE of it makes a row with false';
COMMENT ON COLUMN lead_qualify.question.question IS 'the question';

-- Everybody may read them; who may write them is told by GRANT.
GRANT SELECT ON lead_qualify.framework, lead_qualify.criterion, lead_qualify.question TO PUBLIC;

SELECT pg_catalog.pg_extension_config_dump('lead_qualify.framework', 'WHERE NOT shipped');
SELECT pg_catalog.pg_extension_config_dump('lead_qualify.criterion', 'WHERE NOT shipped');
SELECT pg_catalog.pg_extension_config_dump('lead_qualify.question', 'WHERE NOT shipped');

INSERT INTO lead_qualify.framework (framework, shipped, position, min_met, min_score, description) VALUES
	('BANT', true, 1, NULL, NULL, 'Can they buy, and now? Budget comes first.'),
	('CHAMP', true, 2, NULL, NULL, 'Begins with the problem to solve, then asks who decides and what money there is.'),
	('ANUM', true, 3, NULL, NULL, 'Begins with the person who decides; money comes last.'),
	('GPCTBA/C&I', true, 4, NULL, NULL, 'For advisory selling: goals and plans, what stands in their way, and what success or failure would mean.'),
	('MEDDIC', true, 5, NULL, NULL, 'For complex sales: numbers, people and the way a decision is made.'),
	('MEDDPICC', true, 6, 0, 83, 'MEDDIC with the paper process and the competition; passes at 20 of 24 points, whichever criteria give them.'),
	('FAINT', true, 7, NULL, NULL, 'For buyers without a budget line: funds they could use, and interest before need.'),
	('NEAT', true, 8, NULL, NULL, 'The need and what it costs them, access to who decides, and a date that matters.'),
	('SPICED', true, 9, NULL, NULL, 'For recurring revenue: where they are, what hurts, what solving it is worth, and by when.'),
	('CRAKIT', true, 10, NULL, NULL, 'Who else is in the race, what is needed, who decides, what they know, and when it must be done.');

-- authority counts from partial on: strong influence on the decision is enough
INSERT INTO lead_qualify.criterion (framework, criterion, shipped, position, weight, met_at) VALUES
	('BANT', 'budget', true, 1, 4, 3),
	('BANT', 'authority', true, 2, 3, 2),
	('BANT', 'need', true, 3, 2, 3),
	('BANT', 'timing', true, 4, 1, 3),
	('CHAMP', 'challenges', true, 1, 4, 3),
	('CHAMP', 'authority', true, 2, 3, 2),
	('CHAMP', 'budget', true, 3, 2, 3),
	('CHAMP', 'priority', true, 4, 1, 3),
	('ANUM', 'authority', true, 1, 4, 2),
	('ANUM', 'need', true, 2, 3, 3),
	('ANUM', 'timing', true, 3, 2, 3),
	('ANUM', 'budget', true, 4, 1, 3),
	('GPCTBA/C&I', 'goals', true, 1, 8, 3),
	('GPCTBA/C&I', 'plans', true, 2, 7, 3),
	('GPCTBA/C&I', 'challenges', true, 3, 6, 3),
	('GPCTBA/C&I', 'timing', true, 4, 5, 3),
	('GPCTBA/C&I', 'budget', true, 5, 4, 3),
	('GPCTBA/C&I', 'authority', true, 6, 3, 2),
	('GPCTBA/C&I', 'negative_consequences', true, 7, 2, 3),
	('GPCTBA/C&I', 'positive_implications', true, 8, 1, 3),
	('MEDDIC', 'metrics', true, 1, 1, 3),
	('MEDDIC', 'authority', true, 2, 1, 2),
	('MEDDIC', 'decision_criteria', true, 3, 1, 3),
	('MEDDIC', 'decision_process', true, 4, 1, 3),
	('MEDDIC', 'challenges', true, 5, 1, 3),
	('MEDDIC', 'champion', true, 6, 1, 3),
	('MEDDPICC', 'metrics', true, 1, 1, 3),
	('MEDDPICC', 'authority', true, 2, 1, 2),
	('MEDDPICC', 'decision_criteria', true, 3, 1, 3),
	('MEDDPICC', 'decision_process', true, 4, 1, 3),
	('MEDDPICC', 'paper_process', true, 5, 1, 3),
	('MEDDPICC', 'challenges', true, 6, 1, 3),
	('MEDDPICC', 'champion', true, 7, 1, 3),
	('MEDDPICC', 'competition', true, 8, 1, 3),
	('FAINT', 'budget', true, 1, 1, 3),
	('FAINT', 'authority', true, 2, 1, 2),
	('FAINT', 'interest', true, 3, 1, 3),
	('FAINT', 'need', true, 4, 1, 3),
	('FAINT', 'timing', true, 5, 1, 3),
	('NEAT', 'need', true, 1, 1, 3),
	('NEAT', 'budget', true, 2, 1, 3),
	('NEAT', 'authority', true, 3, 1, 2),
	('NEAT', 'timing', true, 4, 1, 3),
	('SPICED', 'situation', true, 1, 1, 3),
	('SPICED', 'challenges', true, 2, 1, 3),
	('SPICED', 'impact', true, 3, 1, 3),
	('SPICED', 'timing', true, 4, 1, 3),
	('SPICED', 'authority', true, 5, 1, 2),
	('CRAKIT', 'competition', true, 1, 1, 3),
	('CRAKIT', 'need', true, 2, 1, 3),
	('CRAKIT', 'authority', true, 3, 1, 2),
	('CRAKIT', 'knowledge', true, 4, 1, 3),
	('CRAKIT', 'challenges', true, 5, 1, 3),
	('CRAKIT', 'timing', true, 6, 1, 3);

-- one question a criterion, as a salesperson of that language asks it
INSERT INTO lead_qualify.question (criterion, language, shipped, question) VALUES
	('budget',                'en', true, 'Has money already been set aside for this, or would it have to compete with other spending?'),
	('authority',             'en', true, 'Who makes the final decision on this, and who else has to agree to it?'),
	('need',                  'en', true, 'What do you need to be able to do that you can''t do today?'),
	('timing',                'en', true, 'By when does this have to be working, and what makes that date important?'),
	('challenges',            'en', true, 'What is getting in your way most at the moment, and what have you tried so far?'),
	('priority',              'en', true, 'Compared with your other projects, how high up the list is this one?'),
	('goals',                 'en', true, 'What results does your team have to deliver this year?'),
	('plans',                 'en', true, 'How do you plan to reach that goal, and which steps have you already taken?'),
	('negative_consequences', 'en', true, 'If nothing changes, what will that mean for you a year from now?'),
	('positive_implications', 'en', true, 'If you reach this goal, what does it make possible for you next?'),
	('metrics',               'en', true, 'How will you measure success, and what are those figures today?'),
	('decision_criteria',     'en', true, 'What will you judge the options by, and what counts most?'),
	('decision_process',      'en', true, 'Which steps lead from here to a decision, and who is involved in each one?'),
	('paper_process',         'en', true, 'Once you have decided, what do legal and procurement need before a contract can be signed?'),
	('champion',              'en', true, 'Who in the company most wants this to happen, and will they make the case for it when we are not in the room?'),
	('competition',           'en', true, 'What else are you considering, including doing it yourselves or leaving things as they are?'),
	('interest',              'en', true, 'What made you start looking into this, and why now?'),
	('situation',             'en', true, 'How do you handle this today, and what people and tools does it take?'),
	('impact',                'en', true, 'When this is solved, what changes for the business in money, time or risk?'),
	('knowledge',             'en', true, 'What do you already know about us and about solutions of this kind?');

-- A database of another encoding cannot hold these; its users write their own.
DO $questions$
BEGIN
	IF pg_catalog.getdatabaseencoding() NOT IN ('UTF8', 'SQL_ASCII') THEN
		RETURN;
	END IF;
	INSERT INTO lead_qualify.question (criterion, language, shipped, question) VALUES
		('budget',                'ru', true, 'Заложены ли в бюджет деньги на эту задачу, а если нет — готовы ли Вы выделить их в первую очередь?'),
		('budget',                'da', true, 'Har I sat penge af til at løse problemet, og hvor højt ligger det, når budgettet skal fordeles?'),
		('budget',                'bg', true, 'Предвидени ли са средства за решаването на този проблем и какво място заема той при разпределянето на бюджета?'),
		('budget',                'pl', true, 'Czy na ten cel są już zabezpieczone środki i na ile jest on priorytetem przy podziale budżetu?'),
		('authority',             'ru', true, 'Кто у Вас принимает окончательное решение и с кем его нужно согласовать?'),
		('authority',             'da', true, 'Hvem har det sidste ord hos jer, og hvem skal ellers tages med på råd?'),
		('authority',             'bg', true, 'Кой при Вас взема окончателното решение и с кого трябва да го съгласува?'),
		('authority',             'pl', true, 'Kto u Państwa podejmuje ostateczną decyzję i czyja zgoda jest jeszcze potrzebna?'),
		('need',                  'ru', true, 'Какую задачу Вам нужно решить и чего для этого сейчас не хватает?'),
		('need',                  'da', true, 'Hvad har I brug for, som jeres nuværende løsning ikke giver jer?'),
		('need',                  'bg', true, 'От какво точно имате нужда и какво Ви липсва в сегашното решение?'),
		('need',                  'pl', true, 'Czego dokładnie Państwo potrzebują i dlaczego obecne rozwiązanie nie wystarcza?'),
		('timing',                'ru', true, 'К какому сроку решение должно заработать и с чем связан этот срок?'),
		('timing',                'da', true, 'Hvornår skal løsningen være på plads, og hvad gør netop det tidspunkt vigtigt?'),
		('timing',                'bg', true, 'До коя дата трябва да е внедрено решението и какво налага точно този срок?'),
		('timing',                'pl', true, 'Na kiedy rozwiązanie ma być gotowe i z czego wynika ten termin?'),
		('challenges',            'ru', true, 'Что сейчас мешает Вам больше всего и как Вы уже пробовали с этим справиться?'),
		('challenges',            'da', true, 'Hvad volder jer flest problemer i dag, og hvad har I allerede prøvet at gøre ved det?'),
		('challenges',            'bg', true, 'С какви трудности се сблъсквате най-често и какво сте опитали досега, за да ги преодолеете?'),
		('challenges',            'pl', true, 'Co sprawia Państwu dziś najwięcej kłopotu i jak próbowali Państwo dotychczas temu zaradzić?'),
		('priority',              'ru', true, 'Какое место эта задача занимает среди других Ваших проектов и что может отодвинуть её на второй план?'),
		('priority',              'da', true, 'Hvor højt står opgaven på jeres liste i forhold til de andre projekter, I har i gang?'),
		('priority',              'bg', true, 'На кое място поставяте тази задача сред останалите си проекти и кои са преди нея?'),
		('priority',              'pl', true, 'Jak ważny jest ten projekt na tle innych, które teraz Państwo prowadzą?'),
		('goals',                 'ru', true, 'Какого результата ждут в этом году от Вас и Вашей команды?'),
		('goals',                 'da', true, 'Hvilke mål skal I nå i år, og hvilket af dem betyder mest?'),
		('goals',                 'bg', true, 'Какви цели сте си поставили за тази година и коя от тях е най-важна?'),
		('goals',                 'pl', true, 'Jakie cele stoją w tym roku przed Państwa zespołem i który z nich jest najważniejszy?'),
		('plans',                 'ru', true, 'Как Вы планируете прийти к этой цели и за что уже взялись?'),
		('plans',                 'da', true, 'Hvordan har I tænkt jer at nå målet, og hvad er I allerede gået i gang med?'),
		('plans',                 'bg', true, 'Как смятате да постигнете тази цел и какво вече сте предприели?'),
		('plans',                 'pl', true, 'Jak zamierzają Państwo osiągnąć ten cel i co już udało się zrobić?'),
		('negative_consequences', 'ru', true, 'Чем это обернётся для компании, если оставить всё как есть?'),
		('negative_consequences', 'da', true, 'Hvilke følger får det for jer, hvis alt fortsætter som hidtil?'),
		('negative_consequences', 'bg', true, 'Какви ще са последиците за Вас, ако всичко си остане както досега?'),
		('negative_consequences', 'pl', true, 'Co to będzie oznaczało dla Państwa firmy, jeśli wszystko zostanie po staremu?'),
		('positive_implications', 'ru', true, 'Какие возможности откроются перед компанией, если всё получится?'),
		('positive_implications', 'da', true, 'Hvilke nye muligheder giver det jer, hvis I kommer i mål?'),
		('positive_implications', 'bg', true, 'Какви нови възможности ще се открият пред Вас, ако успеете?'),
		('positive_implications', 'pl', true, 'Jakie nowe możliwości otworzą się przed Państwem, jeśli ten cel uda się osiągnąć?'),
		('metrics',               'ru', true, 'По каким показателям Вы поймёте, что всё удалось, и каковы они сегодня?'),
		('metrics',               'da', true, 'Hvilke tal skal vise, om det er lykkedes, og hvordan ser de ud i dag?'),
		('metrics',               'bg', true, 'По какви показатели ще измервате успеха и какви са стойностите им днес?'),
		('metrics',               'pl', true, 'Jakie wskaźniki pokażą, że się udało, i ile wynoszą dziś?'),
		('decision_criteria',     'ru', true, 'По каким критериям Вы будете выбирать решение и какой из них главный?'),
		('decision_criteria',     'da', true, 'Hvad lægger I vægt på, når I skal vælge, og hvad vejer tungest?'),
		('decision_criteria',     'bg', true, 'По какви критерии ще избирате и кой от тях е решаващ?'),
		('decision_criteria',     'pl', true, 'Czym będą się Państwo kierować przy wyborze i co ostatecznie o nim przesądzi?'),
		('decision_process',      'ru', true, 'Как у Вас принимаются такие решения: какие этапы нужно пройти и кто участвует в каждом из них?'),
		('decision_process',      'da', true, 'Hvordan plejer I at træffe den slags beslutninger, fra første møde til endeligt ja?'),
		('decision_process',      'bg', true, 'През какви етапи минава при Вас вземането на такова решение и кой участва във всеки от тях?'),
		('decision_process',      'pl', true, 'Jak krok po kroku zapada u Państwa taka decyzja i kto bierze w tym udział?'),
		('paper_process',         'ru', true, 'Как у Вас согласуют договор: что проверяют юристы, что нужно отделу закупок и сколько времени на это уходит?'),
		('paper_process',         'da', true, 'Hvad skal jeres jurister og indkøbsafdeling have på plads, før kontrakten kan underskrives, og hvor lang tid plejer det at tage?'),
		('paper_process',         'bg', true, 'Какви съгласувания с юристите и с отдел „Доставки“ са нужни преди подписването на договора и колко време отнемат?'),
		('paper_process',         'pl', true, 'Jakie formalności trzeba załatwić w dziale prawnym i w dziale zakupów, zanim podpiszą Państwo umowę, i ile to zwykle trwa?'),
		('champion',              'ru', true, 'Кто внутри компании больше всех заинтересован в этом проекте и готов отстаивать его перед руководством?'),
		('champion',              'da', true, 'Hvem hos jer brænder mest for projektet og er klar til at kæmpe for det over for ledelsen?'),
		('champion',              'bg', true, 'Кой във фирмата най-силно подкрепя проекта и е готов да го отстоява пред ръководството?'),
		('champion',              'pl', true, 'Komu w firmie najbardziej zależy na tym projekcie i kto będzie przekonywał do niego zarząd?'),
		('competition',           'ru', true, 'Какие ещё варианты Вы рассматриваете, в том числе обойтись своими силами или ничего не менять?'),
		('competition',           'da', true, 'Hvilke andre muligheder har I oppe at vende, og er en af dem at lade alt blive ved det gamle?'),
		('competition',           'bg', true, 'Какви други варианти обмисляте, включително да се справите сами или да не променяте нищо?'),
		('competition',           'pl', true, 'Jakie inne możliwości biorą Państwo pod uwagę, łącznie z pozostawieniem wszystkiego bez zmian?'),
		('interest',              'ru', true, 'Что побудило Вас заняться этим вопросом именно сейчас?'),
		('interest',              'da', true, 'Hvad fik jer til at se nærmere på det her, og hvorfor lige nu?'),
		('interest',              'bg', true, 'Какво Ви подтикна да потърсите решение точно сега?'),
		('interest',              'pl', true, 'Co sprawiło, że zainteresowali się Państwo tym tematem właśnie teraz?'),
		('situation',             'ru', true, 'Как у Вас сейчас устроена эта работа: кто ею занимается и какими инструментами пользуется?'),
		('situation',             'da', true, 'Hvordan løser I opgaven i dag, hvem er med, og hvilke værktøjer bruger I?'),
		('situation',             'bg', true, 'Как е организирана тази работа при Вас днес: кой я върши и с какви инструменти?'),
		('situation',             'pl', true, 'Jak to dziś u Państwa wygląda: kto się tym zajmuje i z jakich narzędzi korzysta?'),
		('impact',                'ru', true, 'Что изменится для бизнеса, когда эта проблема будет решена, и сколько это в деньгах?'),
		('impact',                'da', true, 'Hvad vil det betyde for forretningen i kroner og øre, at problemet bliver løst?'),
		('impact',                'bg', true, 'Какво ще се промени за бизнеса, когато проблемът бъде решен, и как ще се отрази това на приходите и разходите?'),
		('impact',                'pl', true, 'Co zmieni się w firmie, kiedy problem zostanie rozwiązany, i jak przełoży się to na wyniki?'),
		('knowledge',             'ru', true, 'Что Вы уже знаете о нас и нашем решении, а что хотели бы уточнить?'),
		('knowledge',             'da', true, 'Hvad kender I til os og vores løsning i forvejen?'),
		('knowledge',             'bg', true, 'Какво вече знаете за нас и за този вид решения?'),
		('knowledge',             'pl', true, 'Co już Państwo wiedzą o naszej firmie i naszym rozwiązaniu?');
END;
$questions$;

-- From here on shipped rows cannot be written.  An upgrade script, which
-- replaces them, says SET LOCAL session_replication_role = replica first, so
-- that no trigger fires, and leaves rows with shipped = false alone.  Back at
-- origin it says DELETE FROM each of the tables WHERE false, which tells
-- other sessions to load them anew.
CREATE FUNCTION lead_qualify.framework_edit()
RETURNS trigger
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'lq_framework_edit';
COMMENT ON FUNCTION lead_qualify.framework_edit() IS
'trigger: checks rows of frameworks, and turns the edit of a shipped row into a row of the user that hides it';
REVOKE EXECUTE ON FUNCTION lead_qualify.framework_edit() FROM PUBLIC;

CREATE TRIGGER framework_edit
	BEFORE INSERT OR UPDATE OR DELETE ON lead_qualify.framework
	FOR EACH ROW EXECUTE FUNCTION lead_qualify.framework_edit();
COMMENT ON TRIGGER framework_edit ON lead_qualify.framework IS
'checks the row; an edit of a shipped row becomes a row of the user';
CREATE TRIGGER framework_edited
	AFTER UPDATE ON lead_qualify.framework
	FOR EACH ROW EXECUTE FUNCTION lead_qualify.framework_edit();
COMMENT ON TRIGGER framework_edited ON lead_qualify.framework IS
'puts back a shipped row that was edited';
CREATE TRIGGER framework_truncate
	BEFORE TRUNCATE ON lead_qualify.framework
	FOR EACH STATEMENT EXECUTE FUNCTION lead_qualify.framework_edit();
COMMENT ON TRIGGER framework_truncate ON lead_qualify.framework IS
'shipped rows are not the user''s to remove';
CREATE TRIGGER framework_changed
	AFTER INSERT OR UPDATE OR DELETE ON lead_qualify.framework
	FOR EACH STATEMENT EXECUTE FUNCTION lead_qualify.config_changed();
COMMENT ON TRIGGER framework_changed ON lead_qualify.framework IS
'sessions load the frameworks anew';
CREATE TRIGGER criterion_edit
	BEFORE INSERT OR UPDATE OR DELETE ON lead_qualify.criterion
	FOR EACH ROW EXECUTE FUNCTION lead_qualify.framework_edit();
COMMENT ON TRIGGER criterion_edit ON lead_qualify.criterion IS
'checks the row; an edit of a shipped row becomes a row of the user';
CREATE TRIGGER criterion_edited
	AFTER INSERT OR UPDATE OR DELETE ON lead_qualify.criterion
	FOR EACH ROW EXECUTE FUNCTION lead_qualify.framework_edit();
COMMENT ON TRIGGER criterion_edited ON lead_qualify.criterion IS
'puts back a shipped row that was edited; no two criteria at one position';
CREATE TRIGGER criterion_truncate
	BEFORE TRUNCATE ON lead_qualify.criterion
	FOR EACH STATEMENT EXECUTE FUNCTION lead_qualify.framework_edit();
COMMENT ON TRIGGER criterion_truncate ON lead_qualify.criterion IS
'shipped rows are not the user''s to remove';
CREATE TRIGGER criterion_changed
	AFTER INSERT OR UPDATE OR DELETE ON lead_qualify.criterion
	FOR EACH STATEMENT EXECUTE FUNCTION lead_qualify.config_changed();
COMMENT ON TRIGGER criterion_changed ON lead_qualify.criterion IS
'sessions load the frameworks anew';
CREATE TRIGGER question_edit
	BEFORE INSERT OR UPDATE OR DELETE ON lead_qualify.question
	FOR EACH ROW EXECUTE FUNCTION lead_qualify.framework_edit();
COMMENT ON TRIGGER question_edit ON lead_qualify.question IS
'checks the row; an edit of a shipped row becomes a row of the user';
CREATE TRIGGER question_edited
	AFTER UPDATE ON lead_qualify.question
	FOR EACH ROW EXECUTE FUNCTION lead_qualify.framework_edit();
COMMENT ON TRIGGER question_edited ON lead_qualify.question IS
'puts back a shipped row that was edited';
CREATE TRIGGER question_truncate
	BEFORE TRUNCATE ON lead_qualify.question
	FOR EACH STATEMENT EXECUTE FUNCTION lead_qualify.framework_edit();
COMMENT ON TRIGGER question_truncate ON lead_qualify.question IS
'shipped rows are not the user''s to remove';
CREATE TRIGGER question_changed
	AFTER INSERT OR UPDATE OR DELETE ON lead_qualify.question
	FOR EACH STATEMENT EXECUTE FUNCTION lead_qualify.config_changed();
COMMENT ON TRIGGER question_changed ON lead_qualify.question IS
'sessions load the frameworks anew';

-- ---------------------------------------------------------------------
-- Frameworks as views of an assessment
-- ---------------------------------------------------------------------

CREATE FUNCTION lead_qualify.assess(
    assessment lead_qualify.assessment,
    framework pg_catalog.text,
    OUT framework pg_catalog.text,
    OUT qualified pg_catalog.bool,
    OUT score pg_catalog.float8,
    OUT score_max pg_catalog.float8,
    OUT coverage pg_catalog.float8,
    OUT met pg_catalog.text[],
    OUT unmet pg_catalog.text[],
    OUT unknown pg_catalog.text[],
    OUT next_criterion pg_catalog.text,
    OUT next_question pg_catalog.text
)
RETURNS record
AS 'MODULE_PATHNAME', 'lq_assess'
LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION lead_qualify.assess(lead_qualify.assessment, pg_catalog.text)
    IS 'what the answers mean to a framework: is the lead qualified, its score now and at best, and what to ask next';

CREATE FUNCTION lead_qualify.assess_all(assessment lead_qualify.assessment)
RETURNS TABLE (
    framework pg_catalog.text,
    qualified pg_catalog.bool,
    score pg_catalog.float8,
    score_max pg_catalog.float8,
    coverage pg_catalog.float8,
    met pg_catalog.text[],
    unmet pg_catalog.text[],
    unknown pg_catalog.text[],
    next_criterion pg_catalog.text,
    next_question pg_catalog.text
)
AS 'MODULE_PATHNAME', 'lq_assess_all'
LANGUAGE C STABLE STRICT PARALLEL SAFE
ROWS 10;
COMMENT ON FUNCTION lead_qualify.assess_all(lead_qualify.assessment)
    IS 'what the answers mean to every framework, in the order of the frameworks; unfinished frameworks are left out';

CREATE FUNCTION lead_qualify.is_qualified(
    assessment lead_qualify.assessment,
    framework pg_catalog.text
)
RETURNS pg_catalog.bool
AS 'MODULE_PATHNAME', 'lq_is_qualified'
LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION lead_qualify.is_qualified(lead_qualify.assessment, pg_catalog.text)
    IS 'do the answers qualify by this framework?';

CREATE FUNCTION lead_qualify.framework_score(
    assessment lead_qualify.assessment,
    framework pg_catalog.text
)
RETURNS pg_catalog.float8
AS 'MODULE_PATHNAME', 'lq_framework_score'
LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION lead_qualify.framework_score(lead_qualify.assessment, pg_catalog.text)
    IS 'score of the answers by this framework, 0 to 100; what is unknown gives nothing';

CREATE FUNCTION lead_qualify.next_question(
    assessment lead_qualify.assessment,
    framework pg_catalog.text,
    language pg_catalog.text DEFAULT 'en'
)
RETURNS pg_catalog.text
AS 'MODULE_PATHNAME', 'lq_next_question'
LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION lead_qualify.next_question(lead_qualify.assessment, pg_catalog.text, pg_catalog.text)
    IS 'question about the first unknown criterion of the framework; NULL when all are answered';

CREATE FUNCTION lead_qualify.missing_criteria(
    assessment lead_qualify.assessment,
    framework pg_catalog.text
)
RETURNS pg_catalog.text[]
AS 'MODULE_PATHNAME', 'lq_missing_criteria'
LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION lead_qualify.missing_criteria(lead_qualify.assessment, pg_catalog.text)
    IS 'criteria of the framework that are unmet or unknown, in its order';

CREATE FUNCTION lead_qualify.framework_definition(framework pg_catalog.text)
RETURNS pg_catalog.jsonb
AS 'MODULE_PATHNAME', 'lq_framework_definition'
LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION lead_qualify.framework_definition(pg_catalog.text)
    IS 'the framework as it is now, edits included: what publish() freezes; NULL if there is none of that name that is of use';

-- ---------------------------------------------------------------------
-- Business time: calendars are rows
-- ---------------------------------------------------------------------

-- A row with shipped = false is a user's.  It hides the shipped row of the
-- same calendar, and only such rows are dumped.
CREATE TABLE lead_qualify.calendar (
	calendar text NOT NULL,
	shipped boolean NOT NULL DEFAULT false,
	time_zone text,
	weekdays integer[] NOT NULL DEFAULT '{1,2,3,4,5}',
	opens time NOT NULL DEFAULT '09:00',
	closes time NOT NULL DEFAULT '17:00',
	description text,
	CONSTRAINT calendar_pkey PRIMARY KEY (calendar, shipped),
	CONSTRAINT calendar_name_form CHECK (octet_length(calendar) BETWEEN 1 AND 63 AND btrim(calendar) = calendar),
	CONSTRAINT calendar_weekdays_range CHECK (weekdays <@ '{1,2,3,4,5,6,7}'::integer[]),
	CONSTRAINT calendar_weekdays_flat CHECK (array_ndims(weekdays) = 1),
	CONSTRAINT calendar_closes_later CHECK (opens < closes)
);
COMMENT ON TABLE lead_qualify.calendar IS
'Business calendars: on which weekdays there is business, from when to when. A row of yours hides the shipped one of the same name.';
COMMENT ON COLUMN lead_qualify.calendar.calendar IS 'name';
COMMENT ON COLUMN lead_qualify.calendar.shipped IS 'true: comes with the extension; an UPDATE of it makes a row with false';
COMMENT ON COLUMN lead_qualify.calendar.time_zone IS 'time zone of its clock; NULL: that of the session, in reports that of the pipeline';
COMMENT ON COLUMN lead_qualify.calendar.weekdays IS 'weekdays with business, 1 (Monday) to 7 (Sunday)';
COMMENT ON COLUMN lead_qualify.calendar.opens IS 'business begins at that time of day';
COMMENT ON COLUMN lead_qualify.calendar.closes IS 'business ends at that time of day; 24:00 is the end of the day';
COMMENT ON COLUMN lead_qualify.calendar.description IS 'what the calendar is for';

-- No foreign keys: the calendar may be shipped, and the hours a user's.
CREATE TABLE lead_qualify.calendar_hours (
	calendar text NOT NULL,
	weekday integer NOT NULL,
	opens time NOT NULL,
	closes time NOT NULL,
	CONSTRAINT calendar_hours_pkey PRIMARY KEY (calendar, weekday, opens),
	CONSTRAINT calendar_hours_name_form CHECK (octet_length(calendar) BETWEEN 1 AND 63 AND btrim(calendar) = calendar),
	CONSTRAINT calendar_hours_weekday_range CHECK (weekday BETWEEN 1 AND 7),
	CONSTRAINT calendar_hours_closes_later CHECK (opens < closes)
);
COMMENT ON TABLE lead_qualify.calendar_hours IS
'Weekdays that differ: where a weekday of a calendar has rows here, they are its hours, instead of those in calendar. Several rows leave out a lunch break.';
COMMENT ON COLUMN lead_qualify.calendar_hours.calendar IS 'name of the calendar';
COMMENT ON COLUMN lead_qualify.calendar_hours.weekday IS '1 (Monday) to 7 (Sunday)';
COMMENT ON COLUMN lead_qualify.calendar_hours.opens IS 'business begins at that time of day';
COMMENT ON COLUMN lead_qualify.calendar_hours.closes IS 'business ends at that time of day; 24:00 is the end of the day';

CREATE TABLE lead_qualify.holiday (
	calendar text NOT NULL,
	day date NOT NULL,
	label text,
	opens time,
	closes time,
	CONSTRAINT holiday_pkey PRIMARY KEY (calendar, day),
	CONSTRAINT holiday_name_form CHECK (octet_length(calendar) BETWEEN 1 AND 63 AND btrim(calendar) = calendar),
	-- refuses infinity too
	CONSTRAINT holiday_day_range CHECK (day BETWEEN date '0001-01-01' AND date '9999-12-31'),
	CONSTRAINT holiday_closes_later CHECK (CASE WHEN opens IS NULL OR closes IS NULL THEN opens IS NULL AND closes IS NULL ELSE opens < closes END)
);
COMMENT ON TABLE lead_qualify.holiday IS
'Days of a calendar that differ from their weekday: closed, or with hours of their own.';
COMMENT ON COLUMN lead_qualify.holiday.calendar IS 'name of the calendar';
COMMENT ON COLUMN lead_qualify.holiday.day IS 'the day, from midnight to midnight of the calendar''s time zone';
COMMENT ON COLUMN lead_qualify.holiday.label IS 'name of the day';
COMMENT ON COLUMN lead_qualify.holiday.opens IS 'business begins at that time on that day; NULL: closed all day';
COMMENT ON COLUMN lead_qualify.holiday.closes IS 'business ends at that time on that day; NULL: closed all day';

-- Everybody may read them; who may write them is told by GRANT.
GRANT SELECT ON lead_qualify.calendar, lead_qualify.calendar_hours, lead_qualify.holiday TO PUBLIC;

SELECT pg_catalog.pg_extension_config_dump('lead_qualify.calendar', 'WHERE NOT shipped');
SELECT pg_catalog.pg_extension_config_dump('lead_qualify.calendar_hours', '');
SELECT pg_catalog.pg_extension_config_dump('lead_qualify.holiday', '');

INSERT INTO lead_qualify.calendar (calendar, shipped, description) VALUES
	('default', true, 'Monday to Friday, nine to five');

-- From here on shipped rows cannot be written.  An upgrade script, which
-- replaces them, says SET LOCAL session_replication_role = replica first, so
-- that no trigger fires, and leaves rows with shipped = false alone.
CREATE FUNCTION lead_qualify.calendar_edit()
RETURNS trigger
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'lq_calendar_edit';
COMMENT ON FUNCTION lead_qualify.calendar_edit() IS
'trigger: checks rows of calendars, and turns the edit of a shipped row into a row of the user that hides it';
REVOKE EXECUTE ON FUNCTION lead_qualify.calendar_edit() FROM PUBLIC;

CREATE TRIGGER calendar_edit
	BEFORE INSERT OR UPDATE OR DELETE ON lead_qualify.calendar
	FOR EACH ROW EXECUTE FUNCTION lead_qualify.calendar_edit();
COMMENT ON TRIGGER calendar_edit ON lead_qualify.calendar IS
'checks the row; an edit of a shipped row becomes a row of the user';
CREATE TRIGGER calendar_edited
	AFTER UPDATE ON lead_qualify.calendar
	FOR EACH ROW EXECUTE FUNCTION lead_qualify.calendar_edit();
COMMENT ON TRIGGER calendar_edited ON lead_qualify.calendar IS
'puts back a shipped row that was edited';
CREATE TRIGGER calendar_truncate
	BEFORE TRUNCATE ON lead_qualify.calendar
	FOR EACH STATEMENT EXECUTE FUNCTION lead_qualify.calendar_edit();
COMMENT ON TRIGGER calendar_truncate ON lead_qualify.calendar IS
'shipped rows are not the user''s to remove';
CREATE TRIGGER calendar_changed
	AFTER INSERT OR UPDATE OR DELETE ON lead_qualify.calendar
	FOR EACH STATEMENT EXECUTE FUNCTION lead_qualify.config_changed();
COMMENT ON TRIGGER calendar_changed ON lead_qualify.calendar IS
'sessions load the calendars anew';
CREATE TRIGGER calendar_hours_edit
	BEFORE INSERT OR UPDATE ON lead_qualify.calendar_hours
	FOR EACH ROW EXECUTE FUNCTION lead_qualify.calendar_edit();
COMMENT ON TRIGGER calendar_hours_edit ON lead_qualify.calendar_hours IS
'checks the row';
CREATE TRIGGER calendar_hours_changed
	AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON lead_qualify.calendar_hours
	FOR EACH STATEMENT EXECUTE FUNCTION lead_qualify.config_changed();
COMMENT ON TRIGGER calendar_hours_changed ON lead_qualify.calendar_hours IS
'sessions load the calendars anew';
CREATE TRIGGER holiday_edit
	BEFORE INSERT OR UPDATE ON lead_qualify.holiday
	FOR EACH ROW EXECUTE FUNCTION lead_qualify.calendar_edit();
COMMENT ON TRIGGER holiday_edit ON lead_qualify.holiday IS
'checks the row';
CREATE TRIGGER holiday_changed
	AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON lead_qualify.holiday
	FOR EACH STATEMENT EXECUTE FUNCTION lead_qualify.config_changed();
COMMENT ON TRIGGER holiday_changed ON lead_qualify.holiday IS
'sessions load the calendars anew';

CREATE FUNCTION lead_qualify.business_interval(
    since pg_catalog.timestamptz,
    until pg_catalog.timestamptz,
    calendar pg_catalog.text DEFAULT 'default'
)
RETURNS pg_catalog.interval
LANGUAGE C STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'lq_business_interval';
COMMENT ON FUNCTION lead_qualify.business_interval(pg_catalog.timestamptz, pg_catalog.timestamptz, pg_catalog.text) IS
'business time between two moments by a calendar, negative if until is the earlier; a calendar without time zone is read in that of the session';

CREATE FUNCTION lead_qualify.business_interval(
    since pg_catalog.timestamptz,
    until pg_catalog.timestamptz,
    calendar pg_catalog.text,
    time_zone pg_catalog.text
)
RETURNS pg_catalog.interval
LANGUAGE C STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'lq_business_interval';
COMMENT ON FUNCTION lead_qualify.business_interval(pg_catalog.timestamptz, pg_catalog.timestamptz, pg_catalog.text, pg_catalog.text) IS
'business time between two moments by a calendar, negative if until is the earlier; time_zone is for a calendar that has none of its own';

CREATE FUNCTION lead_qualify.business_time_add(
    since pg_catalog.timestamptz,
    amount pg_catalog.interval,
    calendar pg_catalog.text DEFAULT 'default'
)
RETURNS pg_catalog.timestamptz
LANGUAGE C STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'lq_business_time_add';
COMMENT ON FUNCTION lead_qualify.business_time_add(pg_catalog.timestamptz, pg_catalog.interval, pg_catalog.text) IS
'the moment nearest to since that is so much business time from it, backwards if amount is negative; a day of amount is 24 hours of business';

CREATE FUNCTION lead_qualify.business_time_add(
    since pg_catalog.timestamptz,
    amount pg_catalog.interval,
    calendar pg_catalog.text,
    time_zone pg_catalog.text
)
RETURNS pg_catalog.timestamptz
LANGUAGE C STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'lq_business_time_add';
COMMENT ON FUNCTION lead_qualify.business_time_add(pg_catalog.timestamptz, pg_catalog.interval, pg_catalog.text, pg_catalog.text) IS
'the moment nearest to since that is so much business time from it, backwards if amount is negative; time_zone is for a calendar that has none of its own';

-- ----------------------------------------------------------------
-- What conditions may call
-- ----------------------------------------------------------------

-- Functions of conditions: the engine fills them in

CREATE FUNCTION lead_qualify.times(
    rule pg_catalog.text,
    within pg_catalog.interval DEFAULT NULL
)
RETURNS pg_catalog.int8
AS 'MODULE_PATHNAME', 'lq_condition_times'
LANGUAGE C STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION lead_qualify.times(pg_catalog.text, pg_catalog.interval)
    IS 'in the condition of a gate: how often the lead''s activities matched a rule in this cycle, or in the time before the event';

CREATE FUNCTION lead_qualify.since_last(rule pg_catalog.text)
RETURNS pg_catalog.interval
AS 'MODULE_PATHNAME', 'lq_condition_since_last'
LANGUAGE C STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION lead_qualify.since_last(pg_catalog.text)
    IS 'in the condition of a gate: time since an activity of the lead last matched a rule; null if none did';

CREATE FUNCTION lead_qualify.points(dimension pg_catalog.text)
RETURNS pg_catalog.float8
AS 'MODULE_PATHNAME', 'lq_condition_points'
LANGUAGE C STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION lead_qualify.points(pg_catalog.text)
    IS 'in the condition of a gate: the lead''s points in a dimension, or in total, at the time of the event';

CREATE FUNCTION lead_qualify.in_list(list pg_catalog.text, value pg_catalog.text)
RETURNS pg_catalog.bool
AS 'MODULE_PATHNAME', 'lq_condition_in_list'
LANGUAGE C STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION lead_qualify.in_list(pg_catalog.text, pg_catalog.text)
    IS 'in a condition: is the value in a list of the pipeline''s published version, whatever its case';

-- ----------------------------------------------------------------
-- The draft as one value, and back
-- ----------------------------------------------------------------

-- Frameworks belong to no pipeline; those that its gates name are frozen with it.
CREATE FUNCTION lead_qualify.draft_frameworks(pipeline text)
RETURNS TABLE (definition jsonb)
LANGUAGE sql STABLE STRICT PARALLEL SAFE
BEGIN ATOMIC
	-- as the gates spell them; one that is of no use is left to publish() to refuse
	SELECT d.definition || jsonb_build_object('framework', n.framework)
	FROM (SELECT DISTINCT g.framework
		  FROM lead_qualify.gate g
		  WHERE g.pipeline = draft_frameworks.pipeline AND g.enabled) n,
		lead_qualify.framework_definition(n.framework) AS d (definition)
	WHERE d.definition IS NOT NULL;
END;
COMMENT ON FUNCTION lead_qualify.draft_frameworks(text) IS
'The frameworks that the gates of a draft name, as they are now';

-- The settings decide how intervals and floats are written: the same draft
-- must give the same JSON in every session.
CREATE FUNCTION lead_qualify.draft_config(pipeline text)
RETURNS jsonb
LANGUAGE sql STABLE STRICT PARALLEL SAFE
SET intervalstyle = 'postgres'
SET extra_float_digits = 1
BEGIN ATOMIC
	WITH frozen AS MATERIALIZED (
		SELECT f.definition FROM lead_qualify.draft_frameworks(draft_config.pipeline) f
	)
	SELECT jsonb_build_object(
		'dimensions', (
			SELECT coalesce(jsonb_agg(to_jsonb(t) - 'pipeline' ORDER BY t.dimension COLLATE "C"), '[]')
			FROM lead_qualify.dimension t
			WHERE t.pipeline = draft_config.pipeline),
		'rules', (
			SELECT coalesce(jsonb_agg(to_jsonb(t) - 'pipeline' ORDER BY t.name COLLATE "C"), '[]')
			FROM lead_qualify.rule t
			WHERE t.pipeline = draft_config.pipeline),
		'stages', (
			SELECT coalesce(jsonb_agg(to_jsonb(t) - 'pipeline' ORDER BY t.position), '[]')
			FROM lead_qualify.stage t
			WHERE t.pipeline = draft_config.pipeline),
		'gates', (
			SELECT coalesce(jsonb_agg(to_jsonb(t) - 'pipeline'
									  ORDER BY t.stage COLLATE "C", t.name COLLATE "C"), '[]')
			FROM lead_qualify.gate t
			WHERE t.pipeline = draft_config.pipeline),
		'frameworks', (
			SELECT coalesce(jsonb_agg(f.definition - 'criteria' ORDER BY f.definition ->> 'framework' COLLATE "C"), '[]')
			FROM frozen f),
		'criteria', (
			SELECT coalesce(jsonb_agg(c.criterion || jsonb_build_object('framework', f.definition -> 'framework')
									  ORDER BY f.definition ->> 'framework' COLLATE "C", c.criterion -> 'position'), '[]')
			FROM frozen f,
				jsonb_array_elements(f.definition -> 'criteria') AS c (criterion)),
		'transitions', (
			SELECT coalesce(jsonb_agg(to_jsonb(t) - 'pipeline'
									  ORDER BY t.from_stage COLLATE "C", t.to_stage COLLATE "C"), '[]')
			FROM lead_qualify.transition t
			WHERE t.pipeline = draft_config.pipeline),
		'exclusions', (
			SELECT coalesce(jsonb_agg(to_jsonb(t) - 'pipeline' ORDER BY t.name COLLATE "C"), '[]')
			FROM lead_qualify.exclusion t
			WHERE t.pipeline = draft_config.pipeline),
		'lists', (
			SELECT coalesce(jsonb_agg(to_jsonb(t) - 'pipeline'
									  ORDER BY t.list COLLATE "C", t.value COLLATE "C"), '[]')
			FROM lead_qualify.list t
			WHERE t.pipeline = draft_config.pipeline),
		'reasons', (
			SELECT coalesce(jsonb_agg(to_jsonb(t) - 'pipeline' ORDER BY t.code COLLATE "C"), '[]')
			FROM lead_qualify.reason t
			WHERE t.pipeline = draft_config.pipeline),
		'bands', (
			SELECT coalesce(jsonb_agg(to_jsonb(t) - 'pipeline'
									  ORDER BY t.dimension COLLATE "C", t.minimum DESC, t.label COLLATE "C"), '[]')
			FROM lead_qualify.band t
			WHERE t.pipeline = draft_config.pipeline));
END;
COMMENT ON FUNCTION lead_qualify.draft_config(text) IS
'The draft of a pipeline as the JSON that publish() freezes, without the expressions';

CREATE FUNCTION lead_qualify.restore_draft(pipeline text, config jsonb)
RETURNS void
LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
	own jsonb := jsonb_build_object('pipeline', restore_draft.pipeline);
BEGIN
	DELETE FROM lead_qualify.dimension t WHERE t.pipeline = restore_draft.pipeline;
	DELETE FROM lead_qualify.rule t WHERE t.pipeline = restore_draft.pipeline;
	DELETE FROM lead_qualify.stage t WHERE t.pipeline = restore_draft.pipeline;
	DELETE FROM lead_qualify.gate t WHERE t.pipeline = restore_draft.pipeline;
	DELETE FROM lead_qualify.transition t WHERE t.pipeline = restore_draft.pipeline;
	DELETE FROM lead_qualify.exclusion t WHERE t.pipeline = restore_draft.pipeline;
	DELETE FROM lead_qualify.list t WHERE t.pipeline = restore_draft.pipeline;
	DELETE FROM lead_qualify.reason t WHERE t.pipeline = restore_draft.pipeline;
	DELETE FROM lead_qualify.band t WHERE t.pipeline = restore_draft.pipeline;

	-- keys that the configuration lacks are taken from the first argument
	INSERT INTO lead_qualify.dimension
	SELECT t.* FROM jsonb_populate_recordset(
		jsonb_populate_record(NULL::lead_qualify.dimension, own), config -> 'dimensions') t;
	INSERT INTO lead_qualify.rule
	SELECT t.* FROM jsonb_populate_recordset(
		jsonb_populate_record(NULL::lead_qualify.rule, own), config -> 'rules') t;
	INSERT INTO lead_qualify.stage
	SELECT t.* FROM jsonb_populate_recordset(
		jsonb_populate_record(NULL::lead_qualify.stage, own), config -> 'stages') t;
	INSERT INTO lead_qualify.gate
	SELECT t.* FROM jsonb_populate_recordset(
		jsonb_populate_record(NULL::lead_qualify.gate, own), config -> 'gates') t;
	INSERT INTO lead_qualify.transition
	SELECT t.* FROM jsonb_populate_recordset(
		jsonb_populate_record(NULL::lead_qualify.transition, own), config -> 'transitions') t;
	INSERT INTO lead_qualify.exclusion
	SELECT t.* FROM jsonb_populate_recordset(
		jsonb_populate_record(NULL::lead_qualify.exclusion, own), config -> 'exclusions') t;
	INSERT INTO lead_qualify.list
	SELECT t.* FROM jsonb_populate_recordset(
		jsonb_populate_record(NULL::lead_qualify.list, own), config -> 'lists') t;
	INSERT INTO lead_qualify.reason
	SELECT t.* FROM jsonb_populate_recordset(
		jsonb_populate_record(NULL::lead_qualify.reason, own), config -> 'reasons') t;
	INSERT INTO lead_qualify.band
	SELECT t.* FROM jsonb_populate_recordset(
		jsonb_populate_record(NULL::lead_qualify.band, own), config -> 'bands') t;
END;
$function$;
COMMENT ON FUNCTION lead_qualify.restore_draft(text, jsonb) IS
'Replaces the draft of a pipeline by a published configuration: part of discard_draft() and rollback_to()';
REVOKE EXECUTE ON FUNCTION lead_qualify.restore_draft(text, jsonb) FROM PUBLIC;

CREATE FUNCTION lead_qualify.config_items(config jsonb)
RETURNS TABLE (object text, keys text[], item jsonb)
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
BEGIN ATOMIC
	SELECT k.object,
		ARRAY(SELECT e.item ->> u.key
			  FROM unnest(k.keys) WITH ORDINALITY AS u (key, ord)
			  ORDER BY u.ord),
		e.item
	FROM (VALUES ('dimension'::text, 'dimensions'::text, ARRAY['dimension'::text]),
				 ('rule', 'rules', ARRAY['name']),
				 ('stage', 'stages', ARRAY['stage']),
				 ('gate', 'gates', ARRAY['stage', 'name']),
				 ('framework', 'frameworks', ARRAY['framework']),
				 ('criterion', 'criteria', ARRAY['framework', 'criterion']),
				 ('transition', 'transitions', ARRAY['from_stage', 'to_stage']),
				 ('exclusion', 'exclusions', ARRAY['name']),
				 ('list', 'lists', ARRAY['list', 'value']),
				 ('reason', 'reasons', ARRAY['code']),
				 ('band', 'bands', ARRAY['dimension', 'label'])) AS k (object, member, keys),
		jsonb_array_elements(config_items.config -> k.member) AS e (item);
END;
COMMENT ON FUNCTION lead_qualify.config_items(jsonb) IS
'The rows of a configuration: table, key values, and the row as JSON';

-- columns in the order of the table, those without a value left out
CREATE FUNCTION lead_qualify.item_text(object text, item jsonb)
RETURNS text
LANGUAGE sql STABLE STRICT PARALLEL SAFE
BEGIN ATOMIC
	SELECT string_agg(a.attname || ': ' || (item_text.item ->> a.attname::text), ', ' ORDER BY a.attnum)
	FROM pg_attribute a
	JOIN pg_class c ON c.oid = a.attrelid
	JOIN pg_namespace n ON n.oid = c.relnamespace
	WHERE n.nspname = 'lead_qualify'
		AND c.relname = item_text.object
		AND a.attnum > 0
		AND NOT a.attisdropped;
END;
COMMENT ON FUNCTION lead_qualify.item_text(text, jsonb) IS
'A row of a configuration as text that people read: column: value, ...';

CREATE FUNCTION lead_qualify.diff(pipeline text)
RETURNS TABLE (object text, name text, change text, draft text, live text)
LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
	IF NOT EXISTS (SELECT FROM lead_qualify.pipeline p WHERE p.pipeline = diff.pipeline) THEN
		RAISE EXCEPTION 'pipeline "%" does not exist', diff.pipeline
			USING ERRCODE = 'undefined_object',
				HINT = coalesce(
					(SELECT 'The pipelines are: ' || string_agg(p.pipeline, ', ' ORDER BY p.pipeline) || '.'
					 FROM lead_qualify.pipeline p),
					'There is no pipeline; make one with lead_qualify.attach().');
	END IF;
	IF NOT lead_qualify.may_edit(diff.pipeline) THEN
		RAISE EXCEPTION 'permission denied for the draft of pipeline "%"', diff.pipeline
			USING ERRCODE = 'insufficient_privilege',
				HINT = 'Only roles with the rights of the leads table''s owner see and edit the draft.';
	END IF;

	RETURN QUERY
	WITH drafted AS (
		SELECT i.object, i.keys, i.item
		FROM lead_qualify.config_items(lead_qualify.draft_config(diff.pipeline)) i
	), published AS (
		SELECT i.object, i.keys, i.item
		FROM lead_qualify.pipeline p
		JOIN lead_qualify.version v ON v.pipeline = p.pipeline AND v.version = p.version,
			lead_qualify.config_items(v.config) i
		WHERE p.pipeline = diff.pipeline
	), pair AS (
		SELECT coalesce(d.object, l.object) AS object,
			coalesce(d.keys, l.keys) AS keys, d.item AS draft, l.item AS live
		FROM drafted d
		FULL JOIN published l ON l.object = d.object AND l.keys = d.keys
		WHERE d.item IS DISTINCT FROM l.item
	), shown AS (
		-- a row that is there on one side only
		SELECT p.object, p.keys, 0::smallint AS attnum,
			CASE WHEN p.live IS NULL THEN 'added' ELSE 'removed' END AS change,
			lead_qualify.item_text(p.object, p.draft) AS draft,
			lead_qualify.item_text(p.object, p.live) AS live
		FROM pair p
		WHERE p.draft IS NULL OR p.live IS NULL
		UNION ALL
		-- a column that differs
		SELECT p.object, p.keys, a.attnum, 'changed',
			a.attname || ': ' || coalesce(p.draft ->> a.attname::text, 'NULL'),
			a.attname || ': ' || coalesce(p.live ->> a.attname::text, 'NULL')
		FROM pair p
		JOIN pg_class c ON c.relname = p.object
			AND c.relnamespace = (SELECT n.oid FROM pg_namespace n WHERE n.nspname = 'lead_qualify')
		JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
		WHERE p.draft ->> a.attname::text IS DISTINCT FROM p.live ->> a.attname::text
			AND p.draft IS NOT NULL AND p.live IS NOT NULL
	)
	SELECT s.object, array_to_string(s.keys, '/'), s.change, s.draft, s.live
	FROM shown s
	ORDER BY array_position(ARRAY['dimension', 'rule', 'stage', 'gate', 'framework', 'criterion',
								  'transition', 'exclusion', 'list', 'reason', 'band'], s.object),
		s.keys COLLATE "C", s.attnum;
END;
$function$;
COMMENT ON FUNCTION lead_qualify.diff(text) IS
'What publish() would change: rows added to or removed from the draft, and each changed column, against the newest published version';

-- ----------------------------------------------------------------
-- Templates: the first draft of a pipeline
-- ----------------------------------------------------------------

-- kind is any, text or number; upper and lower case are the same, but the
-- earlier name wins
CREATE FUNCTION lead_qualify.find_column(relation regclass, names text[], kind text)
RETURNS name
LANGUAGE sql STABLE STRICT PARALLEL SAFE
BEGIN ATOMIC
	SELECT a.attname
	FROM pg_attribute a
	JOIN pg_type t ON t.oid = a.atttypid
	WHERE a.attrelid = find_column.relation
		AND a.attnum > 0
		AND NOT a.attisdropped
		AND array_position(find_column.names, lower(a.attname::text)) IS NOT NULL
		AND CASE find_column.kind
			WHEN 'text' THEN t.typcategory = 'S'
			WHEN 'number' THEN t.typcategory = 'N' AND t.typname <> ALL (ARRAY['money', 'oid']::name[])
				AND NOT starts_with(t.typname::text, 'reg')
			ELSE true
		END
	ORDER BY array_position(find_column.names, lower(a.attname::text)), a.attnum
	LIMIT 1;
END;
COMMENT ON FUNCTION lead_qualify.find_column(regclass, text[], text) IS
'The first of these columns that a table has, NULL if it has none: part of the templates';

CREATE FUNCTION lead_qualify.known_condition(relation regclass, attribute name)
RETURNS text
LANGUAGE sql STABLE STRICT PARALLEL SAFE
BEGIN ATOMIC
	SELECT CASE t.typcategory
			WHEN 'S' THEN format('btrim(%I) <> ''''', a.attname)
			ELSE format('%I IS NOT NULL', a.attname)
		END
	FROM pg_attribute a
	JOIN pg_type t ON t.oid = a.atttypid
	WHERE a.attrelid = known_condition.relation
		AND a.attname = known_condition.attribute;
END;
COMMENT ON FUNCTION lead_qualify.known_condition(regclass, name) IS
'A condition that holds where the column has a value: part of the templates';

CREATE FUNCTION lead_qualify.template_reasons(pipeline text)
RETURNS void
LANGUAGE sql VOLATILE STRICT PARALLEL UNSAFE
BEGIN ATOMIC
	INSERT INTO lead_qualify.reason (pipeline, code, label)
	VALUES (template_reasons.pipeline, 'wrong_size', 'the company is too small or too large'),
		(template_reasons.pipeline, 'wrong_title', 'the person does not decide'),
		(template_reasons.pipeline, 'wrong_geography', 'we do not sell there'),
		(template_reasons.pipeline, 'existing_customer', 'is a customer already'),
		(template_reasons.pipeline, 'competitor', 'works for a competitor'),
		(template_reasons.pipeline, 'no_contact', 'cannot be reached'),
		(template_reasons.pipeline, 'no_budget', 'has no budget'),
		(template_reasons.pipeline, 'not_now', 'perhaps later');
END;
COMMENT ON FUNCTION lead_qualify.template_reasons(text) IS
'Writes the reasons that each first draft has: part of the templates';
REVOKE EXECUTE ON FUNCTION lead_qualify.template_reasons(text) FROM PUBLIC;

CREATE FUNCTION lead_qualify.template_b2b(pipeline text, leads regclass, activities regclass, activity_key name)
RETURNS text[]
LANGUAGE plpgsql VOLATILE STRICT PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
	industry name := lead_qualify.find_column(leads, ARRAY['industry', 'branch', 'sector'], 'any');
	company name := lead_qualify.find_column(leads,
		ARRAY['company', 'company_name', 'organization', 'account_name'], 'any');
	employees name := lead_qualify.find_column(leads,
		ARRAY['employees', 'no_of_employees', 'employee_count', 'company_size'], 'number');
	title name := lead_qualify.find_column(leads, ARRAY['job_title', 'title', 'position'], 'text');
	email name := lead_qualify.find_column(leads, ARRAY['email', 'email_address', 'property_email'], 'any');
	campaign name := lead_qualify.find_column(activities,
		ARRAY['campaign_id', 'campaign', 'email_campaign_id'], 'any');
	known text;
	best_fit float8;
	left_out text[] := '{}';
BEGIN
	INSERT INTO lead_qualify.dimension (pipeline, dimension, minimum, maximum)
	VALUES (template_b2b.pipeline, 'engagement', 0, 100),
		(template_b2b.pipeline, 'fit', NULL, NULL);

	INSERT INTO lead_qualify.rule (pipeline, name, activity_type, points, decay, period, description)
	SELECT template_b2b.pipeline, r.type, r.type, r.points,
		CASE WHEN r.days IS NULL THEN 'none' ELSE 'exponential' END,
		make_interval(days => r.days), r.description
	FROM (VALUES
		('newsletter_signup', 5, 90, 'signed up for the newsletter'),
		('whitepaper_download', 10, 90, 'downloaded a whitepaper'),
		('ebook_download', 10, 90, 'downloaded an e-book'),
		('guide_download', 10, 90, 'downloaded a guide'),
		('webinar_signup', 10, 90, 'signed up for a webinar'),
		('webinar_attended', 20, 90, 'attended a webinar'),
		('demo_video_view', 10, 90, 'watched a demo video'),
		('contact_form', 10, 90, 'filled in the contact form'),
		('page_view', 1, 14, 'viewed a page: 5 a day and 15 points in all'),
		('feature_view', 3, 14, 'viewed a page about a feature'),
		('pricing_view', 10, 30, 'viewed the prices'),
		('email_open', 1, 14, 'opened a mail'),
		('email_click', 3, 30, 'clicked on a link in a mail'),
		('demo_request', 40, 60, 'asked for a demo'),
		('contact_sales', 40, 60, 'asked to talk to sales'),
		('quote_request', 40, 60, 'asked for a quote'),
		('consultation_signup', 40, 60, 'signed up for a consultation'),
		('campaign_reply', 40, 60, 'replied to a campaign'),
		('payment_question', 40, 60, 'asked about payment'),
		('unsubscribed', -20, NULL, 'unsubscribed from mails')
	) AS r (type, points, days, description);

	UPDATE lead_qualify.rule r
	SET at_most = 5, per = 'day', max_points = 15
	WHERE r.pipeline = template_b2b.pipeline AND r.name = 'page_view';

	IF campaign IS NULL THEN
		left_out := left_out || 'counting email_open and email_click once a mail (activities have no campaign_id, campaign or email_campaign_id)'::text;
	ELSE
		-- an activity without a campaign counts by itself
		UPDATE lead_qualify.rule r
		SET at_most = 1,
			per_value = format('COALESCE(''campaign '' || %I::text, ''activity '' || %I::text)',
							   campaign, activity_key),
			description = r.description || ', once a campaign'
		WHERE r.pipeline = template_b2b.pipeline AND r.name = ANY (ARRAY['email_open', 'email_click']);
	END IF;

	INSERT INTO lead_qualify.rule (pipeline, name, dimension, applies_to, condition, points, description)
	SELECT template_b2b.pipeline, r.name, 'fit', 'lead', r.condition, r.points, r.description
	FROM (VALUES
		('industry_known', lead_qualify.known_condition(leads, industry), 5,
		 'the industry is known'),
		('company_known', lead_qualify.known_condition(leads, company), 5,
		 'the company is known'),
		('company_size', quote_ident(employees::text) || ' >= 50', 15,
		 'the company has 50 employees or more'),
		('decision_maker',
		 -- word boundaries without a backslash: the text means the same under any setting
		 quote_ident(title::text) || ' ~* ''[[:<:]](chief|c[efimot]o|president|founder|owner'
			'|director|head of|vp|partner)[[:>:]]''',
		 15, 'the title is that of a decision-maker')
	) AS r (name, condition, points, description)
	WHERE r.condition IS NOT NULL;	-- there is such a column

	IF industry IS NULL THEN
		left_out := left_out || 'fit rule industry_known (leads have no industry, branch or sector)'::text;
	END IF;
	IF company IS NULL THEN
		left_out := left_out || 'fit rule company_known (leads have no company, company_name, organization or account_name)'::text;
	END IF;
	IF employees IS NULL THEN
		left_out := left_out || 'fit rule company_size (leads have no numeric employees, no_of_employees, employee_count or company_size)'::text;
	END IF;
	IF title IS NULL THEN
		left_out := left_out || 'fit rule decision_maker (leads have no job_title, title or position)'::text;
	END IF;

	INSERT INTO lead_qualify.stage (pipeline, stage, position, kind, owner, sla)
	VALUES (template_b2b.pipeline, 'lead', 1, 'lead', 'marketing', NULL),
		(template_b2b.pipeline, 'mql', 2, 'mql', 'marketing', '24 hours'),
		(template_b2b.pipeline, 'sal', 3, 'sal', 'sales', NULL),
		(template_b2b.pipeline, 'sql', 4, 'sql', 'sales', NULL),
		(template_b2b.pipeline, 'opportunity', 5, 'opportunity', 'sales', NULL),
		(template_b2b.pipeline, 'customer', 6, 'won', 'sales', NULL),
		(template_b2b.pipeline, 'hold', 7, 'hold', 'sales', NULL),
		(template_b2b.pipeline, 'recycled', 8, 'recycled', 'sales', NULL),
		(template_b2b.pipeline, 'disqualified', 9, 'disqualified', 'sales', NULL);

	-- thresholds of fit only where there are fit rules (NULL: none), and within reach
	SELECT sum(r.points) INTO best_fit
	FROM lead_qualify.rule r
	WHERE r.pipeline = template_b2b.pipeline AND r.dimension = 'fit';

	known := nullif(concat_ws(' AND ',
		lead_qualify.known_condition(leads, company),
		lead_qualify.known_condition(leads, email),
		lead_qualify.known_condition(leads, industry)), '');

	INSERT INTO lead_qualify.gate (pipeline, stage, name, from_stages, min_engagement, min_fit, framework,
		activity_type, condition, enabled)
	VALUES (template_b2b.pipeline, 'mql', 'score', ARRAY['lead', 'recycled'], 25,
		 CASE WHEN best_fit < 10 THEN best_fit WHEN best_fit >= 10 THEN 10 END, NULL, NULL, NULL, true),
		(template_b2b.pipeline, 'mql', 'document', ARRAY['lead', 'recycled'], NULL, NULL, NULL, NULL,
		 concat_ws(' AND ',
			'(times(''whitepaper_download'') > 0 OR times(''ebook_download'') > 0'
			' OR times(''guide_download'') > 0 OR times(''webinar_signup'') > 0)', known),
		 company IS NOT NULL AND email IS NOT NULL AND industry IS NOT NULL),
		(template_b2b.pipeline, 'sal', 'contact', NULL, NULL, NULL, NULL, 'contact_sales', NULL, true),
		(template_b2b.pipeline, 'sql', 'bant', ARRAY['mql', 'sal', 'hold'], NULL, NULL, 'BANT', NULL, NULL, true),
		(template_b2b.pipeline, 'sql', 'request', NULL, NULL,
		 CASE WHEN best_fit < 15 THEN best_fit WHEN best_fit >= 15 THEN 15 END, NULL, NULL,
		 'times(''demo_request'') > 0 OR times(''quote_request'') > 0 OR times(''consultation_signup'') > 0'
		 ' OR times(''campaign_reply'') > 0 OR times(''payment_question'') > 0', true),
		(template_b2b.pipeline, 'sql', 'score', NULL, 60, NULL, NULL, NULL, NULL, false);
	-- sales take what marketing hand over, whatever made it an MQL
	INSERT INTO lead_qualify.gate (pipeline, stage, name, from_stages, automatic)
	VALUES (template_b2b.pipeline, 'sal', 'accept', ARRAY['mql'], false);
	-- who became an MQL by the score is none any more when it has gone
	UPDATE lead_qualify.gate g SET keep_engagement = 12, fallback_stage = 'lead'
	WHERE g.pipeline = template_b2b.pipeline AND g.stage = 'mql' AND g.name = 'score';

	IF best_fit IS NULL THEN
		left_out := left_out || 'thresholds of fit in gates mql/score and sql/request (no fit rule)'::text;
	ELSIF best_fit < 15 THEN
		left_out := left_out || format('fit %s is asked for at most: with these columns no lead reaches more', best_fit);
	END IF;
	IF company IS NULL OR email IS NULL OR industry IS NULL THEN
		left_out := left_out || format('gate mql/document, which is disabled (leads have no column for %s)',
			concat_ws(', ', CASE WHEN company IS NULL THEN 'company' END,
					  CASE WHEN email IS NULL THEN 'e-mail' END,
					  CASE WHEN industry IS NULL THEN 'industry' END));
	END IF;

	INSERT INTO lead_qualify.band (pipeline, dimension, label, minimum)
	VALUES (template_b2b.pipeline, 'engagement', '1', 50),
		(template_b2b.pipeline, 'engagement', '2', 25),
		(template_b2b.pipeline, 'engagement', '3', 0),
		(template_b2b.pipeline, 'fit', 'A', 35),
		(template_b2b.pipeline, 'fit', 'B', 25),
		(template_b2b.pipeline, 'fit', 'C', 15),
		(template_b2b.pipeline, 'fit', 'D', 0);
	PERFORM lead_qualify.template_reasons(template_b2b.pipeline);
	RETURN left_out;
END;
$function$;
COMMENT ON FUNCTION lead_qualify.template_b2b(text, regclass, regclass, name) IS
'Writes the first draft of a pipeline of business leads; returns what was left out for missing columns: part of attach()';
REVOKE EXECUTE ON FUNCTION lead_qualify.template_b2b(text, regclass, regclass, name) FROM PUBLIC;

CREATE FUNCTION lead_qualify.template_empty(pipeline text, leads regclass DEFAULT NULL,
	activities regclass DEFAULT NULL, activity_key name DEFAULT NULL)
RETURNS text[]
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
	INSERT INTO lead_qualify.dimension (pipeline, dimension)
	VALUES (template_empty.pipeline, 'engagement');
	INSERT INTO lead_qualify.stage (pipeline, stage, position, kind)
	VALUES (template_empty.pipeline, 'lead', 1, 'lead'),
		(template_empty.pipeline, 'mql', 2, 'mql');
	PERFORM lead_qualify.template_reasons(template_empty.pipeline);
	RETURN '{}';
END;
$function$;
COMMENT ON FUNCTION lead_qualify.template_empty(text, regclass, regclass, name) IS
'Writes a draft to begin from: dimension engagement without bounds, stages lead and mql, no rule: part of attach()';
REVOKE EXECUTE ON FUNCTION lead_qualify.template_empty(text, regclass, regclass, name) FROM PUBLIC;

-- ----------------------------------------------------------------
-- Functions of the engine
--
-- Those that write may be called by PUBLIC, because the owner of the leads
-- needs no superuser to use them: each asks first, in C, whether the current
-- user has the rights of that owner.  The others run with the caller's rights.
-- ----------------------------------------------------------------

CREATE FUNCTION lead_qualify.publish(pipeline text, note text DEFAULT NULL, effective_from timestamptz DEFAULT now())
RETURNS integer
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'lq_publish_draft';
COMMENT ON FUNCTION lead_qualify.publish(text, text, timestamptz) IS
'Checks the draft, freezes it as the next version and returns its number; leads with newer events than effective_from are computed anew';

CREATE FUNCTION lead_qualify.rollback_to(pipeline text, version integer)
RETURNS integer
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'lq_rollback_to';
COMMENT ON FUNCTION lead_qualify.rollback_to(text, integer) IS
'Makes an earlier version the draft and publishes it as the next version, whose number it returns';

CREATE FUNCTION lead_qualify.discard_draft(pipeline text)
RETURNS void
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'lq_discard_draft';
COMMENT ON FUNCTION lead_qualify.discard_draft(text) IS
'Makes the newest published version the draft again';

-- ----------------------------------------------------------------
-- Attaching.  PUBLIC may call these: each checks first that the caller owns
-- the tables.
-- ----------------------------------------------------------------

CREATE FUNCTION lead_qualify.attach(
	pipeline text,
	leads regclass,
	activities regclass,
	lead_key name DEFAULT NULL,
	activity_lead name DEFAULT NULL,
	activity_type name DEFAULT NULL,
	activity_at name DEFAULT NULL,
	activity_key name DEFAULT NULL,
	created_at name DEFAULT NULL,
	stage_column name DEFAULT 'stage',
	template text DEFAULT 'b2b',
	time_zone text DEFAULT NULL,
	mode text DEFAULT 'live',
	fire text DEFAULT 'statement',
	type_value text DEFAULT NULL,
	filter text DEFAULT NULL)
RETURNS void
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'lq_attach';
COMMENT ON FUNCTION lead_qualify.attach(text, regclass, regclass,
	name, name, name, name, name,
	name, name, text, text, text,
	text, text, text) IS
	'make a pipeline of a table of leads and a table of activities';

CREATE FUNCTION lead_qualify.add_source(
	pipeline text,
	activities regclass,
	activity_lead name DEFAULT NULL,
	activity_type name DEFAULT NULL,
	activity_at name DEFAULT NULL,
	activity_key name DEFAULT NULL,
	type_value text DEFAULT NULL,
	filter text DEFAULT NULL,
	time_zone text DEFAULT NULL,
	fire text DEFAULT 'statement')
RETURNS void
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'lq_add_source';
COMMENT ON FUNCTION lead_qualify.add_source(text, regclass, name,
	name, name, name, text, text,
	text, text) IS
	'add a further table of activities to a pipeline';

CREATE FUNCTION lead_qualify.detach(
	pipeline text,
	keep_data bool DEFAULT true)
RETURNS void
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'lq_detach';
COMMENT ON FUNCTION lead_qualify.detach(text, bool) IS
	'undo attach; scores and history stay beside the leads unless keep_data is false';

CREATE FUNCTION lead_qualify.go_live(pipeline text)
RETURNS void
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'lq_go_live';
COMMENT ON FUNCTION lead_qualify.go_live(text) IS
	'end the shadow mode of a pipeline: write the stages to the leads table from now on';

-- What the views beside the leads ask the live version.  Their readers need
-- no rights on the configuration.

CREATE FUNCTION lead_qualify.band_label(
	pipeline text,
	dimension text,
	value float8)
RETURNS text
LANGUAGE C STABLE STRICT PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'lq_band_label';
COMMENT ON FUNCTION lead_qualify.band_label(text, text, float8) IS
	'label of the band that a value of a dimension is in, by the version now in force';

CREATE FUNCTION lead_qualify.stage_position(
	pipeline text,
	stage text)
RETURNS int4
LANGUAGE C STABLE STRICT PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'lq_stage_position';
COMMENT ON FUNCTION lead_qualify.stage_position(text, text) IS
	'position of a stage, by the version now in force';

CREATE FUNCTION lead_qualify.pipeline_framework(pipeline text)
RETURNS text
LANGUAGE C STABLE STRICT PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'lq_pipeline_framework';
COMMENT ON FUNCTION lead_qualify.pipeline_framework(text) IS
	'framework whose criteria the views of a pipeline show; NULL if it is unknown or of no use';

CREATE FUNCTION lead_qualify.alter_pipeline(pipeline text, framework text DEFAULT NULL,
	notify_within interval DEFAULT NULL, conversion_window interval DEFAULT NULL, segments text[] DEFAULT NULL)
RETURNS void
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'lq_alter_pipeline';
COMMENT ON FUNCTION lead_qualify.alter_pipeline(text, text, interval, interval, text[]) IS
'Changes what is not part of a published version: the framework whose missing criteria and next question the views show, how old a move may be to be told by NOTIFY, within what time reports expect a lead to convert, and by which columns of leads they may be split for leads that are gone; NULL leaves it as it is';

CREATE FUNCTION lead_qualify.as_of_sql(attributes text, lead text, at text, "column" text)
RETURNS text
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'lq_as_of_sql_text';
COMMENT ON FUNCTION lead_qualify.as_of_sql(text, text, text, text) IS
'SQL of the jsonb value that a column of leads had at a time, by the table of attributes; lead and at are SQL, too: part of the reports';

-- ----------------------------------------------------------------
-- Answers.  Who may insert into <leads>_answers may call these.
-- ----------------------------------------------------------------

CREATE FUNCTION lead_qualify.answer(pipeline text, lead anycompatible, assessment lead_qualify.assessment,
	answered_at timestamptz DEFAULT now(), note text DEFAULT NULL)
RETURNS void
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'lq_answer';
COMMENT ON FUNCTION lead_qualify.answer(text, anycompatible, lead_qualify.assessment, timestamptz, text) IS
'Records what a lead has answered as one event: a row of <leads>_answers';

CREATE FUNCTION lead_qualify.withdraw(pipeline text, lead anycompatible, criterion text)
RETURNS void
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'lq_withdraw';
COMMENT ON FUNCTION lead_qualify.withdraw(text, anycompatible, text) IS
'Takes an answer back: nothing is known of the criterion until it is answered again';

-- ----------------------------------------------------------------
-- Moves by hand.  PUBLIC may call these: each checks first that the caller may
-- update the stage column, and locks the lead with the caller's rights.
-- ----------------------------------------------------------------

CREATE FUNCTION lead_qualify.move(pipeline text, lead anycompatible, stage text,
	reason text DEFAULT NULL, note text DEFAULT NULL, at timestamptz DEFAULT now(), force boolean DEFAULT false)
RETURNS text
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'lq_move';
COMMENT ON FUNCTION lead_qualify.move(text, anycompatible, text, text, text, timestamptz, boolean) IS
'Moves a lead to a stage, through one of its gates unless forced, and returns the stage that the lead is in afterwards';

CREATE FUNCTION lead_qualify.accept(pipeline text, lead anycompatible,
	reason text DEFAULT NULL, note text DEFAULT NULL, at timestamptz DEFAULT now(), force boolean DEFAULT false)
RETURNS text
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'lq_accept';
COMMENT ON FUNCTION lead_qualify.accept(text, anycompatible, text, text, timestamptz, boolean) IS
'Sales accept a lead: moves it to the stage of kind sal, through one of its gates unless forced, and returns the stage that the lead is in afterwards';

CREATE FUNCTION lead_qualify.reject(pipeline text, lead anycompatible,
	reason text DEFAULT NULL, note text DEFAULT NULL, at timestamptz DEFAULT now())
RETURNS text
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'lq_reject';
COMMENT ON FUNCTION lead_qualify.reject(text, anycompatible, text, text, timestamptz) IS
'Sales give a lead back for a reason: moves it to the stage of kind recycled, or else the first, begins a new cycle, and returns the stage that the lead is in afterwards';

CREATE FUNCTION lead_qualify.recycle(pipeline text, lead anycompatible,
	reason text DEFAULT NULL, note text DEFAULT NULL, at timestamptz DEFAULT now())
RETURNS text
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'lq_recycle';
COMMENT ON FUNCTION lead_qualify.recycle(text, anycompatible, text, text, timestamptz) IS
'Gives a lead back to marketing for a reason: moves it to the stage of kind recycled, or else the first, begins a new cycle, and returns the stage that the lead is in afterwards';

CREATE FUNCTION lead_qualify.disqualify(pipeline text, lead anycompatible,
	reason text DEFAULT NULL, note text DEFAULT NULL, at timestamptz DEFAULT now())
RETURNS text
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'lq_disqualify';
COMMENT ON FUNCTION lead_qualify.disqualify(text, anycompatible, text, text, timestamptz) IS
'Ends a lead for a reason: moves it to the stage of kind disqualified, and returns the stage that the lead is in afterwards';

CREATE FUNCTION lead_qualify.hold(pipeline text, lead anycompatible, until timestamptz DEFAULT NULL,
	reason text DEFAULT NULL, note text DEFAULT NULL, at timestamptz DEFAULT now())
RETURNS text
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'lq_hold';
COMMENT ON FUNCTION lead_qualify.hold(text, anycompatible, timestamptz, text, text, timestamptz) IS
'Puts a lead aside: moves it to the stage of kind hold, from where it goes back when the hold ends (NULL: when a person moves it), and returns the stage that the lead is in afterwards';

CREATE FUNCTION lead_qualify.activity_changed()
RETURNS trigger
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'lq_activity_changed';
COMMENT ON FUNCTION lead_qualify.activity_changed() IS
'trigger on activities, made by attach() and add_source(): scores what was inserted, updated or deleted';

CREATE FUNCTION lead_qualify.lead_changed()
RETURNS trigger
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'lq_lead_changed';
COMMENT ON FUNCTION lead_qualify.lead_changed() IS
'trigger on leads, made by attach(): follows new, changed and deleted leads and manual moves';

CREATE FUNCTION lead_qualify.recompute(pipeline text, leads text[] DEFAULT NULL)
RETURNS bigint
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'lq_recompute';
COMMENT ON FUNCTION lead_qualify.recompute(text, text[]) IS
'Computes the given leads, or all, from their activities and returns how many there were';

CREATE PROCEDURE lead_qualify.recompute_all(pipeline text, batch integer DEFAULT 1000)
LANGUAGE C
AS 'MODULE_PATHNAME', 'lq_recompute_all';
COMMENT ON PROCEDURE lead_qualify.recompute_all(text, integer) IS
'Computes all leads from their activities and commits after each batch of leads';

CREATE FUNCTION lead_qualify.verify(pipeline text, leads text[] DEFAULT NULL)
RETURNS TABLE (lead text, item text, stored text, replayed text)
LANGUAGE C VOLATILE PARALLEL UNSAFE
ROWS 10
AS 'MODULE_PATHNAME', 'lq_verify';
COMMENT ON FUNCTION lead_qualify.verify(text, text[]) IS
'Computes the given leads, or all, from their activities and returns what differs from what is stored: no row if all is well';

CREATE FUNCTION lead_qualify.advance(pipeline text, at timestamptz DEFAULT now())
RETURNS bigint
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'lq_advance';
COMMENT ON FUNCTION lead_qualify.advance(text, timestamptz) IS
'Does what the clock changes by a time, each change dated when it fell due, and returns how many leads were due';

CREATE FUNCTION lead_qualify.merge_leads(pipeline text, lead anycompatible, duplicate anycompatible)
RETURNS bigint
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'lq_merge_leads';
COMMENT ON FUNCTION lead_qualify.merge_leads(text, anycompatible, anycompatible) IS
'Makes one lead of two that are one person: activities, answers and history of the duplicate become the lead''s, the duplicate is deleted; returns how many activities were moved';

CREATE FUNCTION lead_qualify.archive(pipeline text, before timestamptz)
RETURNS bigint
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'lq_archive';
COMMENT ON FUNCTION lead_qualify.archive(text, timestamptz) IS
'Makes what each lead was at that time its baseline, from which every replay starts: older activities may then be deleted, or their partitions detached, and older ones that arrive are not scored any more. Computes all leads anew first, and returns how many have a new baseline. Errors: null, infinite or future time';

CREATE FUNCTION lead_qualify.erase_lead(pipeline text, lead anycompatible)
RETURNS void
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'lq_erase_lead';
COMMENT ON FUNCTION lead_qualify.erase_lead(text, anycompatible) IS
'Forgets a person: state, answers, attributes, reasons and notes go, history stays under a random key so that no report of the past changes; a NOTICE says what is left to the application';

CREATE FUNCTION lead_qualify.score_at(pipeline text, lead anycompatible, at timestamptz DEFAULT now())
RETURNS TABLE (dimension text, points double precision)
LANGUAGE C STABLE PARALLEL UNSAFE
ROWS 4
AS 'MODULE_PATHNAME', 'lq_score_at';
COMMENT ON FUNCTION lead_qualify.score_at(text, anycompatible, timestamptz) IS
'The scores of a lead at a time, the total last';

CREATE FUNCTION lead_qualify.explain(pipeline text, lead anycompatible, at timestamptz DEFAULT now())
RETURNS TABLE (dimension text, rule text, version integer, source text, activity_key text,
	occurred_at timestamptz, points double precision, counted boolean, worth double precision, note text)
LANGUAGE C STABLE PARALLEL UNSAFE
ROWS 50
AS 'MODULE_PATHNAME', 'lq_explain';
COMMENT ON FUNCTION lead_qualify.explain(text, anycompatible, timestamptz) IS
'Where the score of a lead at a time comes from: the worths add up to the total';

CREATE FUNCTION lead_qualify.explain_stage(pipeline text, lead anycompatible, at timestamptz DEFAULT now())
RETURNS TABLE (stage text, gate text, requirement text, have text, need text, met boolean)
LANGUAGE C STABLE PARALLEL UNSAFE
ROWS 20
AS 'MODULE_PATHNAME', 'lq_explain_stage';
COMMENT ON FUNCTION lead_qualify.explain_stage(text, anycompatible, timestamptz) IS
'What each gate asks of a lead at a time, what the lead has, and whether that is enough';

CREATE FUNCTION lead_qualify.lead_qualify_version()
RETURNS text
LANGUAGE C STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'lq_version';
COMMENT ON FUNCTION lead_qualify.lead_qualify_version() IS
'The version of the loaded library';

-- ----------------------------------------------------------------
-- roc: how well a score told who would convert
-- ----------------------------------------------------------------

CREATE TYPE lead_qualify.roc;

CREATE FUNCTION lead_qualify.roc_in(pg_catalog.cstring)
RETURNS lead_qualify.roc
AS 'MODULE_PATHNAME', 'roc_in'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION lead_qualify.roc_in(pg_catalog.cstring) IS 'I/O';

CREATE FUNCTION lead_qualify.roc_out(lead_qualify.roc)
RETURNS pg_catalog.cstring
AS 'MODULE_PATHNAME', 'roc_out'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION lead_qualify.roc_out(lead_qualify.roc) IS 'I/O';

CREATE FUNCTION lead_qualify.roc_recv(pg_catalog.internal)
RETURNS lead_qualify.roc
AS 'MODULE_PATHNAME', 'roc_recv'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION lead_qualify.roc_recv(pg_catalog.internal) IS 'I/O';

CREATE FUNCTION lead_qualify.roc_send(lead_qualify.roc)
RETURNS pg_catalog.bytea
AS 'MODULE_PATHNAME', 'roc_send'
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION lead_qualify.roc_send(lead_qualify.roc) IS 'I/O';

CREATE TYPE lead_qualify.roc (
    INPUT = lead_qualify.roc_in,
    OUTPUT = lead_qualify.roc_out,
    RECEIVE = lead_qualify.roc_recv,
    SEND = lead_qualify.roc_send,
    INTERNALLENGTH = VARIABLE,
    ALIGNMENT = double,
    STORAGE = extended
);
COMMENT ON TYPE lead_qualify.roc IS 'summary of scores and outcomes: for each distinct score how many leads converted, of how many, as "10:1/4, 20:3/5"; exact, of up to 2,000,000 distinct scores; made by the aggregate roc(score, converted), merged by rollup(roc)';

CREATE FUNCTION lead_qualify.roc_add(summary lead_qualify.roc, score float8, converted boolean)
RETURNS lead_qualify.roc
LANGUAGE C IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'roc_add';
COMMENT ON FUNCTION lead_qualify.roc_add(lead_qualify.roc, float8, boolean) IS
'The summary with one more lead: transition of roc(score, converted). A NULL summary is one of no lead; a lead with a NULL is left out; a NaN score and the 2,000,001st distinct score are errors';

CREATE FUNCTION lead_qualify.roc_combine(a lead_qualify.roc, b lead_qualify.roc)
RETURNS lead_qualify.roc
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'roc_combine';
COMMENT ON FUNCTION lead_qualify.roc_combine(lead_qualify.roc, lead_qualify.roc) IS
'One summary of the leads of both: transition of rollup(roc), and how parallel parts are put together';

CREATE FUNCTION lead_qualify.roc_close(summary lead_qualify.roc)
RETURNS lead_qualify.roc
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'roc_close';
COMMENT ON FUNCTION lead_qualify.roc_close(lead_qualify.roc) IS
'The summary in the form in which it is stored: final function of roc(score, converted) and rollup(roc)';

CREATE AGGREGATE lead_qualify.roc(score float8, converted boolean) (
    SFUNC = lead_qualify.roc_add,
    STYPE = lead_qualify.roc,
    SSPACE = 1024,
    FINALFUNC = lead_qualify.roc_close,
    COMBINEFUNC = lead_qualify.roc_combine,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE lead_qualify.roc(float8, boolean) IS
'Summary of how well a score told who converted. Leads whose score or outcome is NULL are left out; NULL if none is left. A NaN score is an error, infinite ones are in order. The order of the rows does not matter';

CREATE AGGREGATE lead_qualify.rollup(lead_qualify.roc) (
    SFUNC = lead_qualify.roc_combine,
    STYPE = lead_qualify.roc,
    SSPACE = 1024,
    FINALFUNC = lead_qualify.roc_close,
    COMBINEFUNC = lead_qualify.roc_combine,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE lead_qualify.rollup(lead_qualify.roc) IS
'One summary of the leads of all, the same as of roc(score, converted) over all their rows; NULLs are left out';

CREATE FUNCTION lead_qualify.auc(roc lead_qualify.roc)
RETURNS float8
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'roc_auc';
COMMENT ON FUNCTION lead_qualify.auc(lead_qualify.roc) IS
'Area under the ROC curve, 0 to 1: the chance that a lead that converted scored higher than one that did not, a tie counting half (Mann and Whitney; Bamber 1975); NULL unless there are both kinds';

CREATE FUNCTION lead_qualify.auc_low(roc lead_qualify.roc, confidence float8 DEFAULT 0.95)
RETURNS float8
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'roc_auc_low';
COMMENT ON FUNCTION lead_qualify.auc_low(lead_qualify.roc, float8) IS
'Lower end of the two-sided interval of auc(roc): variance of DeLong, DeLong and Clarke-Pearson (1988), on the logit scale. An AUC of 0 or 1, where that variance is 0, has the exact binomial interval (Clopper and Pearson 1934) of as many pairs as the smaller kind has leads. NULL with fewer than two leads of either kind; an error unless confidence is between 0 and 1';

CREATE FUNCTION lead_qualify.auc_high(roc lead_qualify.roc, confidence float8 DEFAULT 0.95)
RETURNS float8
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'roc_auc_high';
COMMENT ON FUNCTION lead_qualify.auc_high(lead_qualify.roc, float8) IS
'Upper end of the interval of auc(roc): see auc_low';

CREATE FUNCTION lead_qualify.roc_curve(roc lead_qualify.roc)
RETURNS TABLE (threshold float8, false_positive_rate float8, true_positive_rate float8, positive_rate float8)
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
ROWS 100
AS 'MODULE_PATHNAME', 'roc_curve';
COMMENT ON FUNCTION lead_qualify.roc_curve(lead_qualify.roc) IS
'The corners of the ROC curve from (0, 0), whose threshold is NULL because no score is high enough, to (1, 1), thresholds falling; a lead is positive at score >= threshold. positive_rate is the share of all leads that are: with true_positive_rate the curve of cumulative gains. A share of none is NULL';

CREATE FUNCTION lead_qualify.threshold_table(roc lead_qualify.roc)
RETURNS TABLE (threshold float8, tp bigint, fp bigint, tn bigint, fn bigint,
	"precision" float8, recall float8, lift float8, youden float8)
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
ROWS 100
AS 'MODULE_PATHNAME', 'roc_threshold_table';
COMMENT ON FUNCTION lead_qualify.threshold_table(lead_qualify.roc) IS
'What each score would do as a threshold, the highest first; a lead is positive at score >= threshold. tp and fp: positives that converted and did not; fn and tn: others that did and did not; precision = tp / (tp + fp); recall = tp / (tp + fn); lift = precision / share of all leads that converted; youden = recall - fp / (fp + tn) (Youden 1950). A share of none is NULL';

-- ----------------------------------------------------------------
-- Funnels: how far events went, in any table
-- ----------------------------------------------------------------

CREATE FUNCTION lead_qualify.window_funnel_accum(pg_catalog.internal, within pg_catalog.interval, at pg_catalog.timestamptz, VARIADIC steps "any")
RETURNS pg_catalog.internal
LANGUAGE C IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'window_funnel_accum';
COMMENT ON FUNCTION lead_qualify.window_funnel_accum(pg_catalog.internal, pg_catalog.interval, pg_catalog.timestamptz, "any") IS 'aggregate transition function';

CREATE FUNCTION lead_qualify.window_funnel_accum(pg_catalog.internal, within pg_catalog.interval, mode pg_catalog.text, at pg_catalog.timestamptz, VARIADIC steps "any")
RETURNS pg_catalog.internal
LANGUAGE C IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'window_funnel_mode_accum';
COMMENT ON FUNCTION lead_qualify.window_funnel_accum(pg_catalog.internal, pg_catalog.interval, pg_catalog.text, pg_catalog.timestamptz, "any") IS 'aggregate transition function';

CREATE FUNCTION lead_qualify.window_funnel_combine(pg_catalog.internal, pg_catalog.internal)
RETURNS pg_catalog.internal
LANGUAGE C IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'window_funnel_combine';
COMMENT ON FUNCTION lead_qualify.window_funnel_combine(pg_catalog.internal, pg_catalog.internal) IS 'aggregate combine function';

CREATE FUNCTION lead_qualify.window_funnel_serialize(pg_catalog.internal)
RETURNS pg_catalog.bytea
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'window_funnel_serialize';
COMMENT ON FUNCTION lead_qualify.window_funnel_serialize(pg_catalog.internal) IS 'aggregate serial function';

CREATE FUNCTION lead_qualify.window_funnel_deserialize(pg_catalog.bytea, pg_catalog.internal)
RETURNS pg_catalog.internal
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'window_funnel_deserialize';
COMMENT ON FUNCTION lead_qualify.window_funnel_deserialize(pg_catalog.bytea, pg_catalog.internal) IS 'aggregate deserial function';

-- days and months are those of the session's time zone: stable
CREATE FUNCTION lead_qualify.window_funnel_final(pg_catalog.internal)
RETURNS pg_catalog.int4
LANGUAGE C STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'window_funnel_final';
COMMENT ON FUNCTION lead_qualify.window_funnel_final(pg_catalog.internal) IS 'aggregate final function';

CREATE FUNCTION lead_qualify.window_funnel_times_final(pg_catalog.internal)
RETURNS pg_catalog.timestamptz[]
LANGUAGE C STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'window_funnel_times_final';
COMMENT ON FUNCTION lead_qualify.window_funnel_times_final(pg_catalog.internal) IS 'aggregate final function';

-- The state of a lead with 2,000 events has the size of SSPACE.  Most are
-- smaller, but a hash table is at its worst with these states, growing all at a
-- time and sorted in the end, so the planner is to prefer an index on
-- (lead, at) wherever there is one.
CREATE AGGREGATE lead_qualify.window_funnel(within pg_catalog.interval, at pg_catalog.timestamptz, VARIADIC steps "any") (
    SFUNC = lead_qualify.window_funnel_accum,
    STYPE = pg_catalog.internal,
    SSPACE = 32768,
    COMBINEFUNC = lead_qualify.window_funnel_combine,
    SERIALFUNC = lead_qualify.window_funnel_serialize,
    DESERIALFUNC = lead_qualify.window_funnel_deserialize,
    FINALFUNC = lead_qualify.window_funnel_final,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE lead_qualify.window_funnel(pg_catalog.interval, pg_catalog.timestamptz, "any") IS
'How far the rows of a group got: the furthest step that was taken, after all steps before it, within the window from a first step on; 0 if there is no first step.
within: the length of the window, inclusive, in the days and months of the session''s time zone. at: the time of the row; without one the row is ignored. steps: 1 to 32 conditions, in order; NULL is false.
A row can be several steps, and rows of the same time come in any order. The result is the maximum over all choices of rows and does not depend on the order of input.
Formula: for each step the chain is kept whose window ends last';

CREATE AGGREGATE lead_qualify.window_funnel(within pg_catalog.interval, mode pg_catalog.text, at pg_catalog.timestamptz, VARIADIC steps "any") (
    SFUNC = lead_qualify.window_funnel_accum,
    STYPE = pg_catalog.internal,
    SSPACE = 32768,
    COMBINEFUNC = lead_qualify.window_funnel_combine,
    SERIALFUNC = lead_qualify.window_funnel_serialize,
    DESERIALFUNC = lead_qualify.window_funnel_deserialize,
    FINALFUNC = lead_qualify.window_funnel_final,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE lead_qualify.window_funnel(pg_catalog.interval, pg_catalog.text, pg_catalog.timestamptz, "any") IS
'How far the rows of a group got, by these modes, separated by commas:
strict_increase: each step is later than the one before, not at the same time. strict_once: a row can be one step only. strict_order: a row that is no step, or a step too early, ends the search after a first step (with allow_reentry a step too early is ignored). strict_deduplication: a step other than the first that is taken again ends the search.
Otherwise as without mode. strict_order and strict_deduplication are by definition the search that windowFunnel of ClickHouse makes, in order of time and step';

CREATE AGGREGATE lead_qualify.window_funnel_times(within pg_catalog.interval, at pg_catalog.timestamptz, VARIADIC steps "any") (
    SFUNC = lead_qualify.window_funnel_accum,
    STYPE = pg_catalog.internal,
    SSPACE = 32768,
    COMBINEFUNC = lead_qualify.window_funnel_combine,
    SERIALFUNC = lead_qualify.window_funnel_serialize,
    DESERIALFUNC = lead_qualify.window_funnel_deserialize,
    FINALFUNC = lead_qualify.window_funnel_times_final,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE lead_qualify.window_funnel_times(pg_catalog.interval, pg_catalog.timestamptz, "any") IS
'When the steps that window_funnel() counts were taken, one time for each step; empty if there is none. Of the chains that got so far it is the one that was complete first, and of those the one with each step as late as possible: the shortest';

CREATE AGGREGATE lead_qualify.window_funnel_times(within pg_catalog.interval, mode pg_catalog.text, at pg_catalog.timestamptz, VARIADIC steps "any") (
    SFUNC = lead_qualify.window_funnel_accum,
    STYPE = pg_catalog.internal,
    SSPACE = 32768,
    COMBINEFUNC = lead_qualify.window_funnel_combine,
    SERIALFUNC = lead_qualify.window_funnel_serialize,
    DESERIALFUNC = lead_qualify.window_funnel_deserialize,
    FINALFUNC = lead_qualify.window_funnel_times_final,
    PARALLEL = SAFE
);
COMMENT ON AGGREGATE lead_qualify.window_funnel_times(pg_catalog.interval, pg_catalog.text, pg_catalog.timestamptz, "any") IS
'When the steps that window_funnel() counts by these modes were taken, one time for each step; empty if there is none. It is a chain that is complete when the search first gets so far, and of those the one with each step as late as possible: the shortest';

-- ----------------------------------------------------------------
-- Rates, and the summary of a cohort
-- ----------------------------------------------------------------

CREATE FUNCTION lead_qualify.wilson_interval(successes bigint, trials bigint, confidence float8 DEFAULT 0.95,
	OUT low float8, OUT high float8)
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'lq_wilson_interval';
COMMENT ON FUNCTION lead_qualify.wilson_interval(bigint, bigint, float8) IS
'Wilson score interval of the rate successes / trials; NULL without trials';

CREATE TYPE lead_qualify.conversion;

CREATE FUNCTION lead_qualify.conversion_in(cstring)
RETURNS lead_qualify.conversion
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'conversion_in';
COMMENT ON FUNCTION lead_qualify.conversion_in(cstring) IS 'I/O';

CREATE FUNCTION lead_qualify.conversion_out(lead_qualify.conversion)
RETURNS cstring
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'conversion_out';
COMMENT ON FUNCTION lead_qualify.conversion_out(lead_qualify.conversion) IS 'I/O';

CREATE FUNCTION lead_qualify.conversion_recv(internal)
RETURNS lead_qualify.conversion
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'conversion_recv';
COMMENT ON FUNCTION lead_qualify.conversion_recv(internal) IS 'I/O';

CREATE FUNCTION lead_qualify.conversion_send(lead_qualify.conversion)
RETURNS bytea
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'conversion_send';
COMMENT ON FUNCTION lead_qualify.conversion_send(lead_qualify.conversion) IS 'I/O';

CREATE TYPE lead_qualify.conversion (
	INPUT = lead_qualify.conversion_in,
	OUTPUT = lead_qualify.conversion_out,
	RECEIVE = lead_qualify.conversion_recv,
	SEND = lead_qualify.conversion_send,
	INTERNALLENGTH = VARIABLE,
	ALIGNMENT = double,
	STORAGE = extended
);
COMMENT ON TYPE lead_qualify.conversion IS
'Summary of a cohort: after what time its leads converted, were lost, or are still open. Made by the aggregate of the same name, merged by rollup(). Durations are exact up to 65,536 different ones, then in the smallest power-of-two step of microseconds that leaves no more';

CREATE FUNCTION lead_qualify.conversion_add(lead_qualify.conversion,
	entered_at timestamptz, converted_at timestamptz, lost_at timestamptz, as_of timestamptz)
RETURNS lead_qualify.conversion
LANGUAGE C IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'conversion_add';
COMMENT ON FUNCTION lead_qualify.conversion_add(lead_qualify.conversion, timestamptz, timestamptz, timestamptz, timestamptz) IS
'Adds a lead to a summary: part of the aggregate conversion';

CREATE FUNCTION lead_qualify.conversion_merge(lead_qualify.conversion, lead_qualify.conversion)
RETURNS lead_qualify.conversion
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'conversion_merge';
COMMENT ON FUNCTION lead_qualify.conversion_merge(lead_qualify.conversion, lead_qualify.conversion) IS
'The summary of two cohorts together: part of the aggregates conversion and rollup';

-- With an empty summary to begin with, no lead at all gives one, whose counts
-- are 0.  SSPACE is what a small group takes.
CREATE AGGREGATE lead_qualify.conversion(entered_at timestamptz, converted_at timestamptz, lost_at timestamptz,
	as_of timestamptz) (
	SFUNC = lead_qualify.conversion_add,
	STYPE = lead_qualify.conversion,
	SSPACE = 1024,
	INITCOND = 'durations 2^0 {} ages 2^0 {}',
	COMBINEFUNC = lead_qualify.conversion_merge,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE lead_qualify.conversion(timestamptz, timestamptz, timestamptz, timestamptz) IS
'Summary of a cohort, a row for each lead: when it was entered, when it converted and when it was lost (NULL or infinity: not), and the time up to which that is known. The earlier of the two is the outcome, of a tie the conversion; what happened after as_of is not seen, what happened before entered_at counts as at once. Leads without a finite entered_at, or entered after as_of, are not counted; a NULL or infinite as_of is an error';

CREATE AGGREGATE lead_qualify.rollup(lead_qualify.conversion) (
	SFUNC = lead_qualify.conversion_merge,
	STYPE = lead_qualify.conversion,
	SSPACE = 1024,
	INITCOND = 'durations 2^0 {} ages 2^0 {}',
	COMBINEFUNC = lead_qualify.conversion_merge,
	PARALLEL = SAFE
);
COMMENT ON AGGREGATE lead_qualify.rollup(lead_qualify.conversion) IS
'Summary of all leads of the cohorts, to the byte what conversion() makes of them';

CREATE FUNCTION lead_qualify.entered(lead_qualify.conversion)
RETURNS bigint
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'lq_entered';
COMMENT ON FUNCTION lead_qualify.entered(lead_qualify.conversion) IS
'How many leads there are in a cohort';

CREATE FUNCTION lead_qualify.converted(lead_qualify.conversion)
RETURNS bigint
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'lq_converted';
COMMENT ON FUNCTION lead_qualify.converted(lead_qualify.conversion) IS
'How many leads of a cohort have converted';

CREATE FUNCTION lead_qualify.lost(lead_qualify.conversion)
RETURNS bigint
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'lq_lost';
COMMENT ON FUNCTION lead_qualify.lost(lead_qualify.conversion) IS
'How many leads of a cohort were lost';

CREATE FUNCTION lead_qualify.still_open(lead_qualify.conversion)
RETURNS bigint
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'lq_still_open';
COMMENT ON FUNCTION lead_qualify.still_open(lead_qualify.conversion) IS
'How many leads of a cohort have neither converted nor been lost';

CREATE FUNCTION lead_qualify.rate(lead_qualify.conversion)
RETURNS float8
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'lq_conversion_rate';
COMMENT ON FUNCTION lead_qualify.rate(lead_qualify.conversion) IS
'Converted / entered, NULL if nobody entered. It is too low as long as leads are open: see incidence_at() and rate_within()';

CREATE FUNCTION lead_qualify.rate_low(lead_qualify.conversion, confidence float8 DEFAULT 0.95)
RETURNS float8
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'lq_rate_low';
COMMENT ON FUNCTION lead_qualify.rate_low(lead_qualify.conversion, float8) IS
'Lower end of the Wilson score interval of rate()';

CREATE FUNCTION lead_qualify.rate_high(lead_qualify.conversion, confidence float8 DEFAULT 0.95)
RETURNS float8
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'lq_rate_high';
COMMENT ON FUNCTION lead_qualify.rate_high(lead_qualify.conversion, float8) IS
'Upper end of the Wilson score interval of rate()';

CREATE FUNCTION lead_qualify.rate_within(lead_qualify.conversion, within interval)
RETURNS float8
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'lq_conversion_rate_within';
COMMENT ON FUNCTION lead_qualify.rate_within(lead_qualify.conversion, interval) IS
'Of the leads entered at least that long before as_of, the part that converted within that time; NULL if there are none. Days have 24 hours, months 30 days';

CREATE FUNCTION lead_qualify.rate_within_low(lead_qualify.conversion, within interval, confidence float8 DEFAULT 0.95)
RETURNS float8
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'lq_rate_within_low';
COMMENT ON FUNCTION lead_qualify.rate_within_low(lead_qualify.conversion, interval, float8) IS
'Lower end of the Wilson score interval of rate_within()';

CREATE FUNCTION lead_qualify.rate_within_high(lead_qualify.conversion, within interval, confidence float8 DEFAULT 0.95)
RETURNS float8
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'lq_rate_within_high';
COMMENT ON FUNCTION lead_qualify.rate_within_high(lead_qualify.conversion, interval, float8) IS
'Upper end of the Wilson score interval of rate_within()';

CREATE FUNCTION lead_qualify.eligible(lead_qualify.conversion, within interval)
RETURNS bigint
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'lq_eligible';
COMMENT ON FUNCTION lead_qualify.eligible(lead_qualify.conversion, interval) IS
'How many leads of a cohort were entered at least that long before as_of: what rate_within() divides by';

CREATE FUNCTION lead_qualify.followed(lead_qualify.conversion)
RETURNS interval
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'lq_conversion_followed';
COMMENT ON FUNCTION lead_qualify.followed(lead_qualify.conversion) IS
'The largest observed time of a cohort, past which incidence_at() is NULL; NULL if nobody entered';

CREATE FUNCTION lead_qualify.incidence_between(lead_qualify.conversion, after interval, until interval)
RETURNS float8
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'lq_incidence_between';
COMMENT ON FUNCTION lead_qualify.incidence_between(lead_qualify.conversion, interval, interval) IS
'Probability that a lead that is still open after one time converts by the other: the growth of the incidence between them, divided by the share still open (Aalen and Johansen 1978). NULL where nobody was followed so long, or is open';

CREATE FUNCTION lead_qualify.expected_rate(cohort lead_qualify.conversion, pool lead_qualify.conversion, within interval,
	confidence float8 DEFAULT 0.95, OUT rate float8, OUT low float8, OUT high float8, OUT projected boolean)
LANGUAGE C IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'lq_conversion_expected';
COMMENT ON FUNCTION lead_qualify.expected_rate(lead_qualify.conversion, lead_qualify.conversion, interval, float8) IS
'The rate of conversion within a time that a young cohort will have: what has converted already, and of each open lead the probability that it still does, by the incidence of a pool of leads (its own and older ones) given its age, see incidence_between(); with an interval for what the rate will turn out to be, from the chance of the open leads and the number of conversions it was judged by, held to what is still possible. projected: the cohort itself was not followed so long. NULL where the pool was not either, or is NULL';

CREATE FUNCTION lead_qualify.incidence_at(lead_qualify.conversion, after interval)
RETURNS float8
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'lq_incidence_at';
COMMENT ON FUNCTION lead_qualify.incidence_at(lead_qualify.conversion, interval) IS
'Probability that a lead has converted by that time, being lost a competing outcome (Aalen and Johansen 1978); NULL past the largest observed duration. Days have 24 hours, months 30 days';

CREATE FUNCTION lead_qualify.incidence_low(lead_qualify.conversion, after interval, confidence float8 DEFAULT 0.95,
	conf_type text DEFAULT 'log-log')
RETURNS float8
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'lq_incidence_low';
COMMENT ON FUNCTION lead_qualify.incidence_low(lead_qualify.conversion, interval, float8, text) IS
'Lower end of the interval of incidence_at(): variance of Greenwood type with competing outcomes (Andersen, Borgan, Gill and Keiding 1993, IV.4), on the scale plain, log, log-log, logit or arcsin of the incidence; NULL where the incidence is 0 or 1';

CREATE FUNCTION lead_qualify.incidence_high(lead_qualify.conversion, after interval, confidence float8 DEFAULT 0.95,
	conf_type text DEFAULT 'log-log')
RETURNS float8
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'lq_incidence_high';
COMMENT ON FUNCTION lead_qualify.incidence_high(lead_qualify.conversion, interval, float8, text) IS
'Upper end of the interval of incidence_at(): see incidence_low()';

CREATE FUNCTION lead_qualify.km_at(lead_qualify.conversion, after interval)
RETURNS float8
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'lq_km_at';
COMMENT ON FUNCTION lead_qualify.km_at(lead_qualify.conversion, interval) IS
'One less the estimate of Kaplan and Meier (1958) with lost leads censored: the probability of having converted by that time if nobody could be lost, which is more than the part that does convert; NULL past the largest observed duration';

CREATE FUNCTION lead_qualify.km_low(lead_qualify.conversion, after interval, confidence float8 DEFAULT 0.95,
	conf_type text DEFAULT 'log-log')
RETURNS float8
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'lq_km_low';
COMMENT ON FUNCTION lead_qualify.km_low(lead_qualify.conversion, interval, float8, text) IS
'Lower end of the interval of km_at(): Greenwood''s variance, on the scale plain, log, log-log, logit or arcsin of survival, that is 1 - km_at(); NULL where that is 0 or 1';

CREATE FUNCTION lead_qualify.km_high(lead_qualify.conversion, after interval, confidence float8 DEFAULT 0.95,
	conf_type text DEFAULT 'log-log')
RETURNS float8
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'lq_km_high';
COMMENT ON FUNCTION lead_qualify.km_high(lead_qualify.conversion, interval, float8, text) IS
'Upper end of the interval of km_at(): see km_low()';

CREATE FUNCTION lead_qualify.time_quantile(lead_qualify.conversion, q float8)
RETURNS interval
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'lq_time_quantile';
COMMENT ON FUNCTION lead_qualify.time_quantile(lead_qualify.conversion, float8) IS
'Time by which a fraction q of all leads has converted: the smallest whose incidence is at least q, NULL if that is not reached';

CREATE FUNCTION lead_qualify.converted_quantile(lead_qualify.conversion, q float8)
RETURNS interval
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'lq_conversion_quantile';
COMMENT ON FUNCTION lead_qualify.converted_quantile(lead_qualify.conversion, float8) IS
'Time within which a fraction q of those leads converted that have (as percentile_disc), NULL if none has';

CREATE FUNCTION lead_qualify.curve(lead_qualify.conversion, confidence float8 DEFAULT 0.95, conf_type text DEFAULT 'log-log')
RETURNS TABLE (after interval, at_risk bigint, converted bigint, lost bigint, incidence float8, low float8, high float8)
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
ROWS 100
AS 'MODULE_PATHNAME', 'lq_conversion_curve';
COMMENT ON FUNCTION lead_qualify.curve(lead_qualify.conversion, float8, text) IS
'The incidence with its interval, as incidence_at() gives it, a row for each duration observed, in order; at_risk is how many leads were still open just before, and those that converted or were lost did so then';

CREATE FUNCTION lead_qualify.compare(a lead_qualify.conversion, b lead_qualify.conversion, within interval DEFAULT NULL,
	confidence float8 DEFAULT 0.95,
	OUT eligible_a bigint, OUT converted_a bigint, OUT rate_a float8,
	OUT eligible_b bigint, OUT converted_b bigint, OUT rate_b float8,
	OUT difference float8, OUT difference_low float8, OUT difference_high float8, OUT p_value float8,
	OUT logrank_chi2 float8, OUT logrank_p float8)
LANGUAGE C IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'lq_conversion_compare';
COMMENT ON FUNCTION lead_qualify.compare(lead_qualify.conversion, lead_qualify.conversion, interval, float8) IS
'Is cohort a better than cohort b? Their rates, of what converted within the time (NULL: at all) of the leads entered at least that long ago; a''s less b''s with Newcombe''s hybrid score interval (1998, method 10) and the p-value of the score test (pooled variance, two-sided, no continuity correction); and the log-rank test (Mantel 1966) between the curves, lost leads censored, whatever within is. NULL where there is nothing to compare';

-- ----------------------------------------------------------------
-- Reports
-- ----------------------------------------------------------------

CREATE FUNCTION lead_qualify.stages_of(pipeline text)
RETURNS TABLE (stage text, "position" integer, kind text)
LANGUAGE sql STABLE STRICT PARALLEL SAFE
BEGIN ATOMIC
	SELECT s.stage, s."position", s.kind
	FROM lead_qualify.pipeline p
	JOIN lead_qualify.version v ON v.pipeline = p.pipeline AND v.version = p.version,
		jsonb_to_recordset(v.config -> 'stages') AS s (stage text, "position" integer, kind text)
	WHERE p.pipeline = stages_of.pipeline;
END;
COMMENT ON FUNCTION lead_qualify.stages_of(text) IS
'The stages of the newest version: part of the reports';

CREATE FUNCTION lead_qualify.path_stages(pipeline text)
RETURNS TABLE (stage text, "position" integer, kind text)
LANGUAGE sql STABLE STRICT PARALLEL SAFE
BEGIN ATOMIC
	SELECT s.stage, s."position", s.kind
	FROM lead_qualify.stages_of(path_stages.pipeline) s
	WHERE s.kind IN ('lead', 'mql', 'sal', 'sql', 'opportunity', 'won');
END;
COMMENT ON FUNCTION lead_qualify.path_stages(text) IS
'The stages on the path of the newest version: part of the reports';

-- By name or, if no stage has that name, by kind: the earliest of that kind.
-- A customer is a lead that is won.
CREATE FUNCTION lead_qualify.path_position(pipeline text, stage text)
RETURNS integer
LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
	found integer;
	known text;
BEGIN
	SELECT s.position INTO found
	FROM lead_qualify.path_stages(path_position.pipeline) s
	WHERE s.stage = path_position.stage OR s.kind = path_position.stage
		OR (s.kind = 'won' AND path_position.stage = 'customer')
	ORDER BY s.stage <> path_position.stage, s.position
	LIMIT 1;
	IF found IS NULL THEN
		SELECT string_agg(s.stage, ', ' ORDER BY s.position) INTO known
		FROM lead_qualify.path_stages(path_position.pipeline) s;
		IF known IS NULL THEN
			RAISE EXCEPTION 'pipeline "%" does not exist', path_position.pipeline
				USING ERRCODE = 'undefined_object',
					HINT = 'The pipelines whose leads you may read are in lead_qualify.pipeline.';
		END IF;
		RAISE EXCEPTION 'pipeline "%" has no stage "%" on its path', path_position.pipeline, path_position.stage
			USING ERRCODE = 'undefined_object',
				HINT = 'The stages on the path are: ' || known || '.';
	END IF;
	RETURN found;
END;
$function$;
COMMENT ON FUNCTION lead_qualify.path_position(text, text) IS
'Position of a stage on the path, by name or kind: part of the reports';

-- One row a lead: its first entry into sql or a later stage before the
-- outcome, with the answers known by then (what was answered later must not
-- predict), and whether the outcome came.
CREATE FUNCTION lead_qualify.framework_report(pipeline text, outcome_stage text DEFAULT 'customer',
	as_of timestamptz DEFAULT now())
RETURNS TABLE (framework text, assessed bigint, qualified bigint,
	qualified_converted bigint, qualified_rate float8, qualified_low float8, qualified_high float8,
	unqualified_converted bigint, unqualified_rate float8, unqualified_low float8, unqualified_high float8,
	auc float8)
LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE
ROWS 10
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $function$
DECLARE
	landmark integer := lead_qualify.path_position(framework_report.pipeline, 'sql');
	outcome integer := lead_qualify.path_position(framework_report.pipeline, framework_report.outcome_stage);
	history text;
	state text;
BEGIN
	IF outcome <= landmark THEN
		RAISE EXCEPTION 'outcome stage "%" must be later than the sql stage', framework_report.outcome_stage
			USING ERRCODE = 'invalid_parameter_value',
				HINT = 'A framework is judged by what comes after sql, such as customer.';
	END IF;
	SELECT format('%I.%I', p.leads_schema, p.prefix || '_stage_history'),
		format('%I.%I', p.leads_schema, p.prefix || '_qualification')
	INTO history, state
	FROM lead_qualify.pipeline p
	WHERE p.pipeline = framework_report.pipeline;

	RETURN QUERY EXECUTE format($query$
		WITH entry AS (
			SELECT h.id, h.lead, h.entered_at, coalesce(h.left_at, 'infinity') AS left_at, h.assessment, s.position
			FROM %1$s h
			JOIN lead_qualify.path_stages($1) s ON s.stage = h.stage
			WHERE h.superseded_at IS NULL AND h.entered_at <= $4 AND s.position >= $2
				AND %2$s
		), reached AS (
			SELECT DISTINCT ON (e.lead) e.lead, e.id, e.entered_at, e.left_at
			FROM entry e
			WHERE e.position >= $3
			ORDER BY e.lead, e.entered_at DESC, e.left_at DESC, e.id DESC
		), judged AS (
			SELECT DISTINCT ON (e.lead) coalesce(e.assessment, '') AS assessment,
				coalesce((r.entered_at, r.left_at, r.id) > (e.entered_at, e.left_at, e.id), false) AS converted
			FROM entry e
			LEFT JOIN reached r ON r.lead = e.lead
			WHERE e.position < $3
			ORDER BY e.lead, e.entered_at, e.left_at, e.id
		), verdict AS (
			SELECT a.framework, cardinality(a.met) + cardinality(a.unmet) > 0 AS assessed, a.qualified, a.score, j.converted
			FROM judged j, lead_qualify.assess_all(j.assessment) a
		), counted AS (
			SELECT v.framework, count(*) AS assessed,
				count(*) FILTER (WHERE v.qualified) AS qualified,
				count(*) FILTER (WHERE v.qualified AND v.converted) AS q_converted,
				count(*) FILTER (WHERE NOT v.qualified AND v.converted) AS u_converted,
				lead_qualify.auc(lead_qualify.roc(v.score, v.converted)) AS auc
			FROM verdict v
			WHERE v.assessed
			GROUP BY v.framework
		)
		SELECT c.framework, c.assessed, c.qualified,
			c.q_converted, c.q_converted::float8 / nullif(c.qualified, 0), q.low, q.high,
			c.u_converted, c.u_converted::float8 / nullif(c.assessed - c.qualified, 0), u.low, u.high,
			c.auc
		FROM counted c,
			lead_qualify.wilson_interval(c.q_converted, c.qualified) q,
			lead_qualify.wilson_interval(c.u_converted, c.assessed - c.qualified) u
		ORDER BY c.auc DESC NULLS LAST, c.framework COLLATE "C"
	$query$, history, lead_qualify.counted_sql(state, 'h.lead'))
	USING framework_report.pipeline, landmark, outcome, framework_report.as_of;
END;
$function$;
COMMENT ON FUNCTION lead_qualify.framework_report(text, text, timestamptz) IS
'Which framework told best, at the entry into sql, who would reach the outcome: the best first';

-- ----------------------------------------------------------------
-- Journeys: what the conversion reports count
--
-- Each report is one query over the history, put together as text, because
-- the tables are named by the pipeline's row.  What a journey is stands in
-- journeys_sql() alone.  To compile such a query takes longer than to run it:
-- hence no JIT.  Times are written into queries in ISO style: others are not
-- always read back as they were meant.
-- ----------------------------------------------------------------

-- A condition of two parameters, since and until: half-open.
CREATE FUNCTION lead_qualify.since_until_sql(at text, since text, until text)
RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
BEGIN ATOMIC
	SELECT format('coalesce(%1$s >= %2$s, %2$s IS NULL) AND coalesce(%1$s < %3$s, %3$s IS NULL)',
		since_until_sql.at, since_until_sql.since, since_until_sql.until);
END;
COMMENT ON FUNCTION lead_qualify.since_until_sql(text, text, text) IS
'SQL of whether a time lies in [since, until), of which either may be NULL; all three are SQL: part of the reports';

CREATE FUNCTION lead_qualify.counted_sql(state text, lead text)
RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
BEGIN ATOMIC
	SELECT format('NOT EXISTS (SELECT FROM %s AS q WHERE q.lead = %s AND q.excluded IS NOT NULL)',
		counted_sql.state, counted_sql.lead);
END;
COMMENT ON FUNCTION lead_qualify.counted_sql(text, text) IS
'SQL that tells whether reports count a lead, which they do unless it is excluded; state is its table, lead is SQL, too: part of the reports';

-- Nobody knows the future: nothing is mature because somebody asks as of then.
CREATE FUNCTION lead_qualify.known_at(as_of timestamptz)
RETURNS timestamptz
LANGUAGE plpgsql VOLATILE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
	IF NOT isfinite(as_of) THEN
		RAISE EXCEPTION 'as_of must be finite' USING ERRCODE = 'invalid_parameter_value', HINT = 'Leave it out for now().';
	END IF;
	RETURN least(coalesce(as_of, now()), clock_timestamp());
END;
$function$;
COMMENT ON FUNCTION lead_qualify.known_at(timestamptz) IS
'The time up to which a report sees what happened: as_of, NULL being now(), but nothing later than the present; an error if it is infinite: part of the reports';

-- The row of a pipeline, with the names that a query needs.
CREATE FUNCTION lead_qualify.report_on(pipeline text, OUT leads text, OUT lead_key text, OUT history text,
	OUT state text, OUT attributes text, OUT time_zone text, OUT conversion_window interval, OUT segments text[],
	OUT observed text[])
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
	IF report_on.pipeline IS NULL THEN
		RAISE EXCEPTION 'pipeline must not be null' USING ERRCODE = 'null_value_not_allowed';
	END IF;
	SELECT format('%I.%I', p.leads_schema, p.leads_table), format('%I', p.lead_key),
		format('%I.%I', p.leads_schema, p.prefix || '_stage_history'),
		format('%I.%I', p.leads_schema, p.prefix || '_qualification'),
		format('%I.%I', p.leads_schema, p.prefix || '_attributes'),
		p.time_zone, p.conversion_window, p.segments,
		p.segments || ARRAY(
			SELECT c FROM lead_qualify.version v, jsonb_array_elements_text(v.config -> 'lead_columns') AS c
			WHERE v.pipeline = p.pipeline)
	INTO leads, lead_key, history, state, attributes, time_zone, conversion_window, segments, observed
	FROM lead_qualify.pipeline p
	WHERE p.pipeline = report_on.pipeline;
	IF leads IS NULL THEN
		RAISE EXCEPTION 'pipeline "%" does not exist', report_on.pipeline
			USING ERRCODE = 'undefined_object',
				HINT = 'The pipelines whose leads you may read are in lead_qualify.pipeline.';
	END IF;
	-- a view in the place of a table would run its owner's functions with the reader's rights
	IF EXISTS (SELECT FROM unnest(ARRAY[leads, history, state, attributes]) AS n (name)
			LEFT JOIN pg_class c ON c.oid = to_regclass(n.name)
			WHERE c.relkind IS NULL OR c.relkind NOT IN ('r', 'p')) THEN
		RAISE EXCEPTION 'pipeline "%" is out of order', report_on.pipeline
			USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'See lead_qualify.problem.';
	END IF;
END;
$function$;
COMMENT ON FUNCTION lead_qualify.report_on(text) IS
'The tables of a pipeline as SQL, and what else a report needs of it: part of the reports';

-- As of entry where the column's changes are known, else as it is now; of a
-- lead that is gone, what its history has kept.
CREATE FUNCTION lead_qualify.segment_sql(pipeline text, segment text, lead text, at text)
RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
	p record := lead_qualify.report_on(segment_sql.pipeline);
	columns text;
	is_builtin boolean;
BEGIN
	IF segment_sql.segment IS NULL THEN
		RETURN 'NULL::text';
	END IF;
	SELECT t.typnamespace = 'pg_catalog'::regnamespace INTO is_builtin
	FROM pg_attribute a
	JOIN pg_type t ON t.oid = a.atttypid
	WHERE a.attrelid = p.leads::regclass AND a.attname = segment_sql.segment AND a.attnum > 0 AND NOT a.attisdropped;
	IF is_builtin IS NULL THEN
		SELECT string_agg(a.attname, ', ' ORDER BY a.attnum) INTO columns
		FROM pg_attribute a
		WHERE a.attrelid = p.leads::regclass AND a.attnum > 0 AND NOT a.attisdropped;
		RAISE EXCEPTION '% has no column "%"', p.leads, segment_sql.segment
			USING ERRCODE = 'undefined_column',
				HINT = 'A segment is a column of leads: ' || columns || '.';
	END IF;
	RETURN format('coalesce(%s(SELECT %s FROM %s l WHERE l.%s = %s), '
		'(SELECT g.segments -> %L FROM %s g WHERE g.lead = %s AND g.entered_at = %s AND g.segments IS NOT NULL LIMIT 1)) #>> ''{}''',
		CASE WHEN segment_sql.segment = ANY (p.observed) THEN
			lead_qualify.as_of_sql(p.attributes, segment_sql.lead, segment_sql.at, segment_sql.segment) || ', ' END,
		-- of a type of the owner's its output, not a cast that he may have made
		CASE WHEN is_builtin THEN format('to_jsonb(l.%I)', segment_sql.segment)
			ELSE format('CASE WHEN l.%1$I IS NOT NULL THEN to_jsonb(format(''%%s'', l.%1$I)) END', segment_sql.segment) END,
		p.leads, p.lead_key, segment_sql.lead,
		segment_sql.segment, p.history, segment_sql.lead, segment_sql.at);
END;
$function$;
COMMENT ON FUNCTION lead_qualify.segment_sql(text, text, text, text) IS
'SQL of the text that a column of leads had for a lead at a time, both SQL, too: part of the reports';

CREATE FUNCTION lead_qualify.check_choice(what text, value text, choices text[])
RETURNS void
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
	IF value = ANY (choices) THEN
		RETURN;
	END IF;
	RAISE EXCEPTION '% must not be %', what, coalesce('"' || value || '"', 'null')
		USING ERRCODE = 'invalid_parameter_value', HINT = 'It is one of: ' || array_to_string(choices, ', ') || '.';
END;
$function$;
COMMENT ON FUNCTION lead_qualify.check_choice(text, text, text[]) IS
'An error that lists the choices, unless the value is one of them: part of the reports';

-- A unit is what a lead is counted once in: a cycle, all its cycles, or the
-- first.  "entered" is its first entry into from_stage, "further" the first
-- into a later stage of the path.  The next cycle ends a unit.  Where the first
-- conversion (or loss) came before the entry, which is rare, the unit is
-- looked at again.
CREATE FUNCTION lead_qualify.journeys_sql(pipeline text, from_stage text, to_stage text, segment text, per text, as_of timestamptz)
RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
SET datestyle = iso
AS $function$
DECLARE
	p record := lead_qualify.report_on(journeys_sql.pipeline);
	from_position integer := lead_qualify.path_position(journeys_sql.pipeline, journeys_sql.from_stage);
	to_position integer := lead_qualify.path_position(journeys_sql.pipeline, journeys_sql.to_stage);
	stages text;
BEGIN
	PERFORM lead_qualify.check_choice('per', journeys_sql.per, '{cycle,lead,first}');
	IF from_position IS NULL OR to_position IS NULL THEN
		RAISE EXCEPTION 'from_stage and to_stage must not be null' USING ERRCODE = 'null_value_not_allowed';
	ELSIF to_position <= from_position THEN
		RAISE EXCEPTION 'stage "%" is not later on the path than stage "%"', journeys_sql.to_stage, journeys_sql.from_stage
			USING ERRCODE = 'invalid_parameter_value', HINT = 'A lead converts to a stage that comes after the one it entered.';
	END IF;
	-- what an entry into each stage means
	SELECT string_agg(format('(%L, %L::boolean, %L::boolean, %L::boolean, %L::boolean)', s.stage, x.n = from_position,
			x.n > from_position, x.n >= to_position, s.kind IN ('disqualified', 'lost')), ', ')
	INTO stages
	FROM lead_qualify.stages_of(journeys_sql.pipeline) s
	LEFT JOIN lead_qualify.path_stages(journeys_sql.pipeline) o ON o.stage = s.stage,
		LATERAL (SELECT coalesce(o.position, from_position - 1) AS n) x;

	RETURN format($query$
		WITH stage (stage, enters, further, converts, loses) AS (VALUES %2$s
		), unit AS (
			SELECT h.lead, %1$s AS cycle, lead(min(h.entered_at)) OVER (PARTITION BY h.lead ORDER BY %1$s) AS next,
				min(h.entered_at) FILTER (WHERE s.enters) AS entered, min(h.entered_at) FILTER (WHERE s.further) AS further,
				min(h.entered_at) FILTER (WHERE s.converts) AS converted, min(h.entered_at) FILTER (WHERE s.loses) AS lost,
				bool_or(h.entered_at IS NULL AND (s.enters OR s.further)) AS unknown
			FROM %3$s h LEFT JOIN stage s ON s.stage = h.stage
			WHERE h.superseded_at IS NULL AND (h.entered_at <= %4$L OR h.entered_at IS NULL)
			GROUP BY h.lead, %1$s
		), journey AS (
			SELECT u.lead, u.cycle, u.entered AS entered_at,
				CASE WHEN u.entered IS NULL THEN u.further END AS skipped_at,
				CASE WHEN u.converted >= u.entered THEN u.converted
					WHEN u.converted < u.entered THEN
						(SELECT min(h.entered_at) FROM %3$s h JOIN stage s ON s.stage = h.stage WHERE h.lead = u.lead %5$s AND s.converts
							AND h.superseded_at IS NULL AND h.entered_at >= u.entered AND h.entered_at <= %4$L)
					END AS converted_at,
				CASE WHEN u.entered IS NOT NULL THEN
					least(u.next, CASE WHEN u.lost >= u.entered THEN u.lost
						WHEN u.lost < u.entered THEN
							(SELECT min(h.entered_at) FROM %3$s h JOIN stage s ON s.stage = h.stage WHERE h.lead = u.lead %5$s AND s.loses
								AND h.superseded_at IS NULL AND h.entered_at >= u.entered AND h.entered_at <= %4$L)
						END)
				END AS lost_at,
				u.cycle > 1 OR u.next IS NOT NULL AS again
			FROM unit u
			WHERE (u.entered IS NOT NULL OR u.further IS NOT NULL) AND NOT coalesce(u.unknown, false) %6$s
				AND %7$s
		)
		SELECT j.*, %8$s AS segment FROM journey j
	$query$,
		CASE journeys_sql.per WHEN 'lead' THEN '1' ELSE 'h.cycle' END, stages, p.history, journeys_sql.as_of,
		CASE journeys_sql.per WHEN 'lead' THEN '' ELSE 'AND h.cycle = u.cycle' END,
		CASE journeys_sql.per WHEN 'first' THEN 'AND u.cycle = 1' ELSE '' END, lead_qualify.counted_sql(p.state, 'u.lead'),
		lead_qualify.segment_sql(journeys_sql.pipeline, journeys_sql.segment, 'j.lead', 'coalesce(j.entered_at, j.skipped_at)'));
END;
$function$;
COMMENT ON FUNCTION lead_qualify.journeys_sql(text, text, text, text, text, timestamptz) IS
'The query behind journeys() and the reports that count them';

-- As in the reports below, segment is the name of a column that goes in and
-- its value that comes out.
CREATE FUNCTION lead_qualify.journeys(pipeline text, from_stage text DEFAULT 'mql', to_stage text DEFAULT 'sql',
	since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL, OUT lead text, OUT cycle integer,
	INOUT segment text DEFAULT NULL, per text DEFAULT 'cycle', as_of timestamptz DEFAULT now(),
	OUT entered_at timestamptz, OUT converted_at timestamptz, OUT lost_at timestamptz, OUT skipped_at timestamptz)
RETURNS SETOF record
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $function$
BEGIN
	RETURN QUERY EXECUTE format('SELECT j.lead::text, j.cycle, j.segment, j.entered_at, j.converted_at, j.lost_at, j.skipped_at '
		'FROM (%s) j WHERE %s ORDER BY coalesce(j.entered_at, j.skipped_at), j.lead, j.cycle',
		lead_qualify.journeys_sql(journeys.pipeline, journeys.from_stage, journeys.to_stage, journeys.segment, journeys.per,
			lead_qualify.known_at(journeys.as_of)),
		lead_qualify.since_until_sql('coalesce(j.entered_at, j.skipped_at)', '$1', '$2'))
	USING journeys.since, journeys.until;
END;
$function$;
COMMENT ON FUNCTION lead_qualify.journeys(text, text, text, timestamptz, timestamptz, text, text, timestamptz) IS
'One row a journey from a stage to a later one (by name or kind): when the lead entered, first reached the later stage or one beyond, and was first lost (disqualified, lost or, but per lead, recycled) since; skipped_at instead of entered_at where it came further without ever being in from_stage. per is cycle, lead or first. Entries whose time nobody knows, and excluded leads, are left out';

-- ----------------------------------------------------------------
-- Conversion
-- ----------------------------------------------------------------

CREATE FUNCTION lead_qualify.check_window(within interval, confidence float8)
RETURNS void
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
	IF within <= interval '0' THEN
		RAISE EXCEPTION 'within must be longer than zero'
			USING ERRCODE = 'invalid_parameter_value', HINT = 'It is the time within which a lead should convert, such as 90 days.';
	END IF;
	PERFORM lead_qualify.confidence_z(confidence);
END;
$function$;
COMMENT ON FUNCTION lead_qualify.check_window(interval, float8) IS
'An error unless both are of use: part of the reports';

-- Cohorts before "since" are no rows of the report, but what younger ones are
-- expected to do is judged by them.
CREATE FUNCTION lead_qualify.conversion_report(pipeline text, from_stage text DEFAULT 'mql', to_stage text DEFAULT 'sql',
	since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL, bucket text DEFAULT 'month',
	OUT cohort timestamptz, INOUT segment text DEFAULT NULL, within interval DEFAULT NULL, per text DEFAULT 'cycle',
	as_of timestamptz DEFAULT now(), confidence float8 DEFAULT 0.95,
	OUT leads bigint, OUT entered bigint, OUT converted bigint, OUT lost bigint, OUT still_open bigint, OUT skipped bigint,
	OUT eligible bigint, OUT mature boolean, OUT rate float8, OUT rate_low float8, OUT rate_high float8,
	OUT expected_rate float8, OUT expected_low float8, OUT expected_high float8, OUT projected boolean,
	OUT median_time interval, OUT p90_time interval)
RETURNS SETOF record
LANGUAGE plpgsql STABLE PARALLEL SAFE
ROWS 24
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $function$
DECLARE
	p record := lead_qualify.report_on(conversion_report.pipeline);
	as_of timestamptz := lead_qualify.known_at(conversion_report.as_of);
	within interval := coalesce(conversion_report.within, p.conversion_window);
BEGIN
	PERFORM lead_qualify.check_window(within, conversion_report.confidence),
		lead_qualify.check_choice('bucket', conversion_report.bucket, '{day,week,month,quarter,year}');
	RETURN QUERY EXECUTE format($query$
		WITH cohorts AS (
			SELECT date_trunc($1, coalesce(j.entered_at, j.skipped_at), $2) AS cohort, j.segment,
				coalesce(coalesce(j.entered_at, j.skipped_at) >= $3, true) AS shown,
				count(*) FILTER (WHERE j.entered_at IS NOT NULL AND NOT j.again)
					+ count(DISTINCT j.lead) FILTER (WHERE j.entered_at IS NOT NULL AND j.again) AS leads,
				lead_qualify.conversion(j.entered_at, j.converted_at, j.lost_at, $5) AS c,
				count(j.skipped_at) AS skipped
			FROM (%s) j
			WHERE $4 IS NULL OR coalesce(j.entered_at, j.skipped_at) < $4
			GROUP BY 1, 2, 3
		), judged AS (
			SELECT k.*, lead_qualify.rollup(k.c) OVER (PARTITION BY k.segment ORDER BY k.cohort, k.shown
					ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS pool,
				lead_qualify.entered(k.c) AS entered, lead_qualify.eligible(k.c, $6) AS eligible,
				(k.cohort AT TIME ZONE $2 + CASE $1 WHEN 'quarter' THEN interval '3 months' ELSE ('1 ' || $1)::interval END)
					AT TIME ZONE $2 <= $5 AS over
			FROM cohorts k
		)
		SELECT k.cohort, k.segment, k.leads, k.entered, lead_qualify.converted(k.c), lead_qualify.lost(k.c),
			lead_qualify.still_open(k.c), k.skipped, k.eligible, m.mature,
			lead_qualify.rate_within(k.c, $6), lead_qualify.rate_within_low(k.c, $6, $7), lead_qualify.rate_within_high(k.c, $6, $7),
			x.rate, x.low, x.high, x.projected,
			CASE WHEN m.mature AND x.rate > 0 THEN lead_qualify.time_quantile(k.c, x.rate * 0.5) END,
			CASE WHEN m.mature AND x.rate > 0 THEN lead_qualify.time_quantile(k.c, x.rate * 0.9) END
		FROM judged k, LATERAL (SELECT k.over AND k.eligible = k.entered AS mature) m,
			lead_qualify.expected_rate(k.c, k.pool, $6, $7) x
		WHERE k.shown
		ORDER BY k.segment, k.cohort
	$query$, lead_qualify.journeys_sql(conversion_report.pipeline, conversion_report.from_stage, conversion_report.to_stage,
		conversion_report.segment, conversion_report.per, as_of))
	USING conversion_report.bucket, p.time_zone, conversion_report.since, conversion_report.until, as_of, within,
		conversion_report.confidence;
END;
$function$;
COMMENT ON FUNCTION lead_qualify.conversion_report(text, text, text, timestamptz, timestamptz, text, text, interval, text, timestamptz, float8) IS
'Conversion from a stage to a later one by cohort: the leads that entered from_stage in the same bucket. leads, entered, converted, lost and still_open count journeys up to as_of; skipped are those that came further without from_stage and count in no rate; eligible entered at least within ago (NULL: the pipeline''s conversion_window); rate is converted within that time of the eligible, with Wilson''s interval, NULL if there are none; mature: the bucket is over and all are eligible, so the rate will not change but for late activities; expected_rate is what the rate of the whole cohort will be, its open leads judged by it and older cohorts of its segment, with a prediction interval; projected where the cohort itself is too young, see the function expected_rate(); median_time and p90_time are when half and nine tenths of those that convert within the time have, NULL until mature';

-- "reached" has a time for each stage of the path: the first entry into it or
-- a later one, so a stage that was skipped counts as passed.  What was before
-- attach is unknown, and so is when the stages up to there were reached.
CREATE FUNCTION lead_qualify.funnel_report(pipeline text, since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL,
	INOUT segment text DEFAULT NULL, within interval DEFAULT NULL, per text DEFAULT 'cycle', as_of timestamptz DEFAULT now(),
	confidence float8 DEFAULT 0.95, OUT "position" integer, OUT stage text,
	OUT entered bigint, OUT converted bigint, OUT lost bigint, OUT still_open bigint, OUT current_leads bigint,
	OUT step_rate float8, OUT step_low float8, OUT step_high float8, OUT cumulative_rate float8)
RETURNS SETOF record
LANGUAGE plpgsql STABLE PARALLEL SAFE
ROWS 10
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $function$
DECLARE
	p record := lead_qualify.report_on(funnel_report.pipeline);
	as_of timestamptz := lead_qualify.known_at(funnel_report.as_of);
	within interval := coalesce(funnel_report.within, p.conversion_window);
	reached text;
	stages text;
BEGIN
	PERFORM lead_qualify.check_window(within, funnel_report.confidence),
		lead_qualify.check_choice('per', funnel_report.per, '{cycle,lead,first}');
	SELECT string_agg(format('min(h.entered_at) FILTER (WHERE s.n >= %s)', n), ', ' ORDER BY n)
	INTO reached
	FROM (SELECT row_number() OVER () AS n FROM lead_qualify.path_stages(funnel_report.pipeline)) s;
	-- n counts the stages of the path
	SELECT string_agg(format('(%L, %L::integer, %L::integer, %L::boolean)', s.stage, s.position,
			o.n, s.kind IN ('disqualified', 'lost')), ', ')
	INTO stages
	FROM lead_qualify.stages_of(funnel_report.pipeline) s
	LEFT JOIN (SELECT t.stage, row_number() OVER (ORDER BY t.position) AS n
		FROM lead_qualify.path_stages(funnel_report.pipeline) t) o ON o.stage = s.stage;

	RETURN QUERY EXECUTE format($query$
		WITH stage (stage, "position", n, loses) AS (VALUES %6$s
		), unit AS (
			SELECT h.lead, %1$s AS cycle, min(h.entered_at) AS began, ARRAY[%2$s] AS reached,
				lead(min(h.entered_at)) OVER (PARTITION BY h.lead ORDER BY %1$s) AS again,
				array_agg(h.entered_at) FILTER (WHERE s.loses) AS lost,
				max(s.n) FILTER (WHERE h.left_at IS NULL OR h.left_at > $4) AS present,
				max(s.n) FILTER (WHERE h.entered_at IS NULL) AS unknown
			FROM %3$s h LEFT JOIN stage s ON s.stage = h.stage
			WHERE h.superseded_at IS NULL AND (h.entered_at <= $4 OR h.entered_at IS NULL)
			GROUP BY h.lead, %1$s
		), counted AS (
			SELECT u.lead, u.cycle, u.reached, u.lost, u.present, coalesce(u.unknown, 0) AS unknown, u.again,
				coalesce(u.reached[1], u.began) AS began
			FROM unit u
			WHERE (u.cycle = 1 OR $6 = 'cycle')
				AND %4$s
		), shown AS MATERIALIZED (
			SELECT u.*, %5$s AS segment
			FROM counted u
			WHERE ($1 IS NULL OR u.began >= $1) AND ($2 IS NULL OR u.began < $2)
		), steps AS (
			SELECT u.segment, e.n,
				lead_qualify.conversion(CASE WHEN e.n > u.unknown THEN e.entered END, u.reached[e.n + 1],
					CASE WHEN u.lost IS NULL THEN u.again
						ELSE least(u.again, (SELECT min(l) FROM unnest(u.lost) l WHERE l >= e.entered)) END, $4) AS c,
				count(*) FILTER (WHERE u.present = e.n) AS current_leads
			FROM shown u, unnest(u.reached) WITH ORDINALITY AS e (entered, n)
			GROUP BY 1, 2
		), rates AS (
			SELECT a.stage, a.position, s.*, lead_qualify.rate_within(s.c, $3) AS rate, s.n = max(s.n) OVER () AS last
			FROM steps s JOIN stage a ON a.n = s.n
		)
		SELECT s.segment, s.position, s.stage, lead_qualify.entered(s.c),
			CASE WHEN NOT s.last THEN lead_qualify.converted(s.c) END, CASE WHEN NOT s.last THEN lead_qualify.lost(s.c) END,
			CASE WHEN NOT s.last THEN lead_qualify.still_open(s.c) END, s.current_leads,
			CASE WHEN NOT s.last THEN s.rate END, CASE WHEN NOT s.last THEN lead_qualify.rate_within_low(s.c, $3, $5) END,
			CASE WHEN NOT s.last THEN lead_qualify.rate_within_high(s.c, $3, $5) END,
			CASE WHEN s.n = 1 THEN 1
				-- a product: 0 if one is, NULL if one is unknown
				WHEN bool_or(s.rate = 0) OVER before THEN 0
				WHEN bool_or(s.rate IS NULL) OVER before THEN NULL
				ELSE exp(sum(ln(nullif(s.rate, 0))) OVER before) END
		FROM rates s
		WINDOW before AS (PARTITION BY s.segment ORDER BY s.n ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
		ORDER BY s.segment, s.n
	$query$, CASE funnel_report.per WHEN 'lead' THEN '1' ELSE 'h.cycle' END, reached, p.history, lead_qualify.counted_sql(p.state, 'u.lead'),
		lead_qualify.segment_sql(funnel_report.pipeline, funnel_report.segment, 'u.lead', 'u.began'), stages)
	USING funnel_report.since, funnel_report.until, within, as_of, funnel_report.confidence, funnel_report.per;
END;
$function$;
COMMENT ON FUNCTION lead_qualify.funnel_report(text, timestamptz, timestamptz, text, interval, text, timestamptz, float8) IS
'The stages of the path, for leads that came to it in [since, until): entered reached the stage or a later one (who skipped a stage has passed it), converted went on, lost were disqualified, lost or (but per lead) recycled, current_leads are in the stage at as_of; step_rate is converted within the time (NULL: the pipeline''s conversion_window) of those that entered at least that long ago, with Wilson''s interval; cumulative_rate the product of the step rates before. Of leads that were there at attach, stages up to the one they were in then are unknown and not counted';

-- ----------------------------------------------------------------
-- Heat maps and forecast
-- ----------------------------------------------------------------

-- Wilson's interval of none of one ends at z^2 / (1 + z^2).
CREATE FUNCTION lead_qualify.confidence_z(confidence float8)
RETURNS float8
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $function$
BEGIN
	IF confidence IS NULL THEN
		RAISE EXCEPTION 'confidence must not be null' USING ERRCODE = 'null_value_not_allowed';
	END IF;
	RETURN (SELECT sqrt(w.high / (1 - w.high)) FROM lead_qualify.wilson_interval(0, 1, confidence) w);
END;
$function$;
COMMENT ON FUNCTION lead_qualify.confidence_z(float8) IS
'How many standard deviations an interval of that confidence reaches to either side under the normal distribution; an error unless the confidence is of use: part of the reports';

-- Each cohort is summed up once; all its periods are read from that.
CREATE FUNCTION lead_qualify.cohort_matrix(pipeline text, from_stage text DEFAULT 'mql', to_stage text DEFAULT 'sql',
	since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL, bucket text DEFAULT 'month', periods integer DEFAULT 12,
	OUT cohort timestamptz, INOUT segment text DEFAULT NULL, per text DEFAULT 'cycle', as_of timestamptz DEFAULT now(),
	confidence float8 DEFAULT 0.95, OUT period integer, OUT entered bigint, OUT eligible bigint, OUT mature boolean,
	OUT converted bigint, OUT rate float8, OUT rate_low float8, OUT rate_high float8)
RETURNS SETOF record
LANGUAGE plpgsql STABLE PARALLEL SAFE
ROWS 300
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $function$
DECLARE
	p record := lead_qualify.report_on(cohort_matrix.pipeline);
	as_of timestamptz := lead_qualify.known_at(cohort_matrix.as_of);
	step interval;
BEGIN
	PERFORM lead_qualify.check_choice('bucket', cohort_matrix.bucket, '{day,week,month,quarter,year}'),
		lead_qualify.confidence_z(cohort_matrix.confidence);
	IF cohort_matrix.periods BETWEEN 1 AND 1000 THEN
		step := CASE cohort_matrix.bucket WHEN 'quarter' THEN '3 months' ELSE '1 ' || cohort_matrix.bucket END;
	ELSE
		RAISE EXCEPTION 'periods must not be %', coalesce(cohort_matrix.periods::text, 'null')
			USING ERRCODE = 'invalid_parameter_value', HINT = 'It is how many columns the heat map has, from 1 to 1000.';
	END IF;
	RETURN QUERY EXECUTE format($query$
		WITH cohorts AS MATERIALIZED (
			SELECT date_trunc($1, j.entered_at, $2) AS cohort, j.segment,
				lead_qualify.conversion(j.entered_at, j.converted_at, j.lost_at, $5) AS c
			FROM (%s) j
			WHERE j.entered_at IS NOT NULL AND ($3 IS NULL OR j.entered_at >= $3) AND ($4 IS NULL OR j.entered_at < $4)
			GROUP BY 1, 2
		), cell AS (
			SELECT k.*, n.period, $7 * n.period AS within, lead_qualify.entered(k.c) AS entered,
				lead_qualify.eligible(k.c, $7 * n.period) AS eligible,
				(k.cohort AT TIME ZONE $2 + $7) AT TIME ZONE $2 <= $5 AS over
			FROM cohorts k, generate_series(1, $6) AS n (period)
		)
		SELECT e.cohort, e.segment, e.period, e.entered, e.eligible, e.over AND e.eligible = e.entered,
			coalesce(round(r.rate * e.eligible), 0)::bigint, r.rate,
			lead_qualify.rate_within_low(e.c, e.within, $8), lead_qualify.rate_within_high(e.c, e.within, $8)
		FROM cell e, LATERAL (SELECT lead_qualify.rate_within(e.c, e.within) AS rate) r
		ORDER BY e.segment, e.cohort, e.period
	$query$, lead_qualify.journeys_sql(cohort_matrix.pipeline, cohort_matrix.from_stage, cohort_matrix.to_stage,
		cohort_matrix.segment, cohort_matrix.per, as_of))
	USING cohort_matrix.bucket, p.time_zone, cohort_matrix.since, cohort_matrix.until, as_of, cohort_matrix.periods, step,
		cohort_matrix.confidence;
END;
$function$;
COMMENT ON FUNCTION lead_qualify.cohort_matrix(text, text, text, timestamptz, timestamptz, text, integer, text, text, timestamptz, float8) IS
'For a heat map: a row a cohort (the leads that entered from_stage in the same bucket: day, week, month, quarter or year of the pipeline''s time zone), segment and period, from 1 to periods. rate is the share that converted within that many buckets'' time after its own entry, cumulative, of the eligible, those entered at least that long ago; it is rate_within(), with Wilson''s interval, NULL where nobody is eligible, which is where the map is still blank. The time is period times the bucket, as an interval counts: days of 24 hours, weeks of 7 days, months of 30, quarters of 90, years of 360. entered is how many the cohort has in all, converted how many of the eligible converted within the time; mature when the bucket is over and all are eligible: before that a later period can have a lower rate, being of fewer leads';

-- A number that leads have, such as what the deal is worth.
CREATE FUNCTION lead_qualify.value_sql(pipeline text, value_column text, lead text, at text)
RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
	p record := lead_qualify.report_on(value_sql.pipeline);
	columns text[] := ARRAY(
		SELECT a.attname::text
		FROM pg_attribute a
		JOIN pg_type t ON t.oid = a.atttypid
		WHERE a.attrelid = p.leads::regclass AND a.attnum > 0 AND NOT a.attisdropped
			AND coalesce(nullif(t.typbasetype, 0), t.oid) = ANY ('{int2,int4,int8,numeric,float4,float8}'::regtype[])
		ORDER BY a.attnum);
BEGIN
	IF value_sql.value_column IS NULL THEN
		RETURN 'NULL::numeric';
	ELSIF NOT value_sql.value_column = ANY (columns) THEN
		RAISE EXCEPTION '% has no numeric column "%"', p.leads, value_sql.value_column
			USING ERRCODE = 'undefined_column',
				HINT = coalesce('Its numeric columns are: ' || nullif(array_to_string(columns, ', '), '') || '.',
					'It has no numeric column at all.');
	END IF;
	RETURN '(' || lead_qualify.segment_sql(value_sql.pipeline, value_sql.value_column, value_sql.lead, value_sql.at) || ')::numeric';
END;
$function$;
COMMENT ON FUNCTION lead_qualify.value_sql(text, text, text, text) IS
'SQL of the number that a column of leads had for a lead at a time, both SQL, too: part of the reports';

-- Holding a lead does not end its stay in the stage before: it is the next row
-- of another kind that does.  A stay that begins when the journey is over (a
-- customer taken back) is none.
CREATE FUNCTION lead_qualify.stay_outcomes_sql(pipeline text, to_stage text, as_of timestamptz)
RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
SET datestyle = iso
AS $function$
DECLARE
	p record := lead_qualify.report_on(stay_outcomes_sql.pipeline);
	to_position integer := lead_qualify.path_position(stay_outcomes_sql.pipeline, stay_outcomes_sql.to_stage);
	holds text[] := ARRAY(SELECT s.stage FROM lead_qualify.stages_of(stay_outcomes_sql.pipeline) s WHERE s.kind = 'hold');
	journeys text;
BEGIN
	SELECT string_agg(format('SELECT %L AS stage, j.* FROM (%s) j', s.stage,
			lead_qualify.journeys_sql(stay_outcomes_sql.pipeline, s.stage, stay_outcomes_sql.to_stage, NULL, 'cycle', stay_outcomes_sql.as_of)),
			' UNION ALL ')
	INTO journeys
	FROM lead_qualify.path_stages(stay_outcomes_sql.pipeline) s
	WHERE s.position < to_position;
	IF to_position IS NULL THEN
		RAISE EXCEPTION 'to_stage must not be null' USING ERRCODE = 'null_value_not_allowed';
	ELSIF journeys IS NULL THEN
		RAISE EXCEPTION 'no stage on the path comes before stage "%"', stay_outcomes_sql.to_stage
			USING ERRCODE = 'invalid_parameter_value', HINT = 'A lead converts to a stage that comes after the one it is in.';
	END IF;
	RETURN format($query$
		WITH stay AS (
			SELECT h.lead, h.cycle, h.stage, h.entered_at,
				lead(h.entered_at) OVER (PARTITION BY h.lead ORDER BY h.entered_at, h.left_at, h.id) AS left_at
			FROM %s h
			WHERE h.superseded_at IS NULL AND h.entered_at <= %L AND h.stage <> ALL (%L::text[])
		)
		SELECT s.stage, s.lead, s.entered_at, s.left_at, j.converted_at, j.lost_at
		FROM stay s
		JOIN (%s) j ON j.stage = s.stage AND j.lead = s.lead AND j.cycle = s.cycle
		WHERE j.entered_at IS NOT NULL AND coalesce(s.entered_at < least(j.converted_at, j.lost_at), true)
	$query$, p.history, stay_outcomes_sql.as_of, holds, journeys);
END;
$function$;
COMMENT ON FUNCTION lead_qualify.stay_outcomes_sql(text, text, timestamptz) IS
'SQL of the stays in stages before one on the path, up to a time, and what the journeys from there came to: part of the reports';

-- When a forecast begins and ends, by month of the pipeline's time zone; the
-- row without a month is the whole of it.
CREATE FUNCTION lead_qualify.forecast_periods(as_of timestamptz, horizon interval, time_zone text)
RETURNS TABLE (month timestamptz, until interval)
LANGUAGE plpgsql STABLE PARALLEL SAFE
ROWS 5
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
	ends timestamptz;
BEGIN
	IF NOT isfinite(forecast_periods.as_of) THEN
		RAISE EXCEPTION 'as_of must be finite' USING ERRCODE = 'invalid_parameter_value';
	ELSIF horizon > interval '0' AND horizon <= interval '10 years' THEN
		ends := (forecast_periods.as_of AT TIME ZONE time_zone + horizon) AT TIME ZONE time_zone;
	ELSE
		RAISE EXCEPTION 'horizon must not be %', coalesce(horizon::text, 'null')
			USING ERRCODE = 'invalid_parameter_value',
				HINT = 'It is how far ahead the forecast looks, such as 3 months: more than zero, at most 10 years.';
	END IF;
	RETURN QUERY
		SELECT m.begins AT TIME ZONE time_zone,
			least((m.begins + interval '1 month') AT TIME ZONE time_zone, ends) - forecast_periods.as_of
		FROM generate_series(date_trunc('month', forecast_periods.as_of AT TIME ZONE time_zone), ends AT TIME ZONE time_zone,
			interval '1 month') AS m (begins)
		WHERE m.begins AT TIME ZONE time_zone < ends
		UNION ALL
		SELECT NULL, ends - forecast_periods.as_of;
END;
$function$;
COMMENT ON FUNCTION lead_qualify.forecast_periods(timestamptz, interval, text) IS
'The months that a forecast has, with their end counted from as_of, and the whole of it without a month: part of the reports';

-- What a lead will do is judged by the stays in its stage that had lasted as
-- long as its own, counted from then on: who has moved on since it was that
-- old tells nothing about one that has not.  To be of use to many leads, ages
-- are taken at landmarks, 2^(level/4) - 1 days.
CREATE FUNCTION lead_qualify.forecast(pipeline text, horizon interval DEFAULT '3 months', value_column name DEFAULT NULL,
	to_stage text DEFAULT 'customer', as_of timestamptz DEFAULT now(), confidence float8 DEFAULT 0.8,
	OUT stage text, OUT "position" integer, OUT month timestamptz, OUT open_leads bigint, OUT unknown_leads bigint,
	OUT expected float8, OUT expected_low float8, OUT expected_high float8,
	OUT value float8, OUT value_low float8, OUT value_high float8)
RETURNS SETOF record
LANGUAGE plpgsql STABLE PARALLEL SAFE
ROWS 25
SET search_path = pg_catalog, pg_temp
-- compiling so long a query takes longer than running it
SET jit = off
AS $function$
DECLARE
	p record := lead_qualify.report_on(forecast.pipeline);
	as_of timestamptz := lead_qualify.known_at(forecast.as_of);
	z float8 := lead_qualify.confidence_z(forecast.confidence);
BEGIN
	-- here an error comes without the query
	PERFORM FROM lead_qualify.forecast_periods(as_of, forecast.horizon, p.time_zone);
	RETURN QUERY EXECUTE format($query$
		WITH period AS MATERIALIZED (
			SELECT * FROM lead_qualify.forecast_periods($1, $2, $3)
		), stay AS MATERIALIZED (
			SELECT s.*, floor(4 / ln(2) * ln(1 + extract(epoch FROM least(s.left_at, $1) - s.entered_at)::float8 / 86400))::integer AS level
			FROM (%1$s) s
		), pool AS MATERIALIZED (
			SELECT g.*, lead_qualify.followed(g.c) AS followed
			FROM period e, (
				SELECT s.stage, n.level, lead_qualify.conversion(s.entered_at + a.age, s.converted_at, s.lost_at, $1) AS c
				FROM stay s, generate_series(0, s.level) AS n (level),
					LATERAL (SELECT (2 ^ (n.level / 4::float8) - 1) * interval '24 hours' AS age) a
				WHERE s.left_at IS NULL OR s.entered_at + a.age < s.left_at
				GROUP BY 1, 2) g
			WHERE e.month IS NULL AND (g.level = 0 OR lead_qualify.eligible(g.c, e.until) >= 30)
		), incidence AS (
			SELECT k.stage, k.level, e.month, e.until, lead_qualify.eligible(k.c, e.until)::float8 AS trials,
				lead_qualify.incidence_at(k.c, least(e.until, k.followed)) AS incidence
			FROM pool k, period e
		), chance AS MATERIALIZED (
			SELECT i.stage, i.level, i.month, i.trials,
				i.incidence - lag(i.incidence, 1, 0) OVER (PARTITION BY i.stage, i.level, i.month IS NULL ORDER BY i.until) AS p
			FROM incidence i
		), present AS (
			SELECT s.stage, s.level, count(*) AS n, sum(v.value) AS value, sum(v.value * v.value) AS squares,
				sum(least(v.value, 0)) AS least, sum(greatest(v.value, 0)) AS most
			FROM stay s, LATERAL (SELECT coalesce((%2$s)::float8, 0) AS value) v
			WHERE s.left_at IS NULL AND s.converted_at IS NULL AND s.lost_at IS NULL
				AND EXISTS (SELECT FROM %3$s l WHERE l.%4$s = s.lead)
			GROUP BY 1, 2
		), judged AS (
			SELECT s.stage, s.position, e.month, o.n, o.value, o.squares, o.least, o.most, c.trials, c.p,
				-- nothing is surer than so many trials can tell
				greatest(least(c.p, c.trials / (c.trials + 1)), 1 / (c.trials + 1)) AS q
			FROM lead_qualify.path_stages($4) s
			CROSS JOIN period e
			LEFT JOIN present o ON o.stage = s.stage
			LEFT JOIN chance c ON c.stage = o.stage AND c.month IS NOT DISTINCT FROM e.month AND c.trials > 0
				AND c.level = (SELECT max(j.level) FROM chance j WHERE j.stage = o.stage AND j.level <= o.level)
			WHERE s.position < $5
		), total AS (
			SELECT c.stage, c.position, c.month, coalesce(sum(c.n), 0)::bigint AS n,
				coalesce(sum(c.n) FILTER (WHERE c.p IS NULL), 0)::bigint AS unknown,
				sum(c.n * c.p) AS expected, coalesce(sum(c.n) FILTER (WHERE c.p IS NOT NULL), 0) AS possible,
				sum(c.value * c.p) AS value, sum(c.least) FILTER (WHERE c.p IS NOT NULL) AS least,
				sum(c.most) FILTER (WHERE c.p IS NOT NULL) AS most,
				$6 * sqrt(sum(c.n * c.q * (1 - c.q)) + sum(c.n * sqrt(c.q * (1 - c.q) / c.trials)) ^ 2) AS spread,
				$6 * sqrt(sum(c.squares * c.q * (1 - c.q)) + sum(c.value * sqrt(c.q * (1 - c.q) / c.trials)) ^ 2) AS value_spread
			FROM judged c
			GROUP BY GROUPING SETS ((c.stage, c.position, c.month), (c.month))
		), shown AS (
			-- where there is no lead, it is known what will happen
			SELECT t.stage, t.position, t.month, t.n, t.unknown,
				CASE WHEN t.n = 0 THEN '{0,0,0}' WHEN t.unknown < t.n
					THEN ARRAY[t.expected, greatest(t.expected - t.spread, 0), least(t.expected + t.spread, t.possible)] END AS e,
				CASE WHEN NOT $7 THEN NULL WHEN t.n = 0 THEN '{0,0,0}' WHEN t.unknown < t.n
					THEN ARRAY[t.value, greatest(t.value - t.value_spread, t.least), least(t.value + t.value_spread, t.most)] END AS v
			FROM total t
		)
		SELECT s.stage, s.position, s.month, s.n, s.unknown, s.e[1], s.e[2], s.e[3], s.v[1], s.v[2], s.v[3]
		FROM shown s
		ORDER BY s.month, s.position
	$query$, lead_qualify.stay_outcomes_sql(forecast.pipeline, forecast.to_stage, as_of),
		lead_qualify.value_sql(forecast.pipeline, forecast.value_column, 's.lead', '$1'), p.leads, p.lead_key)
	USING as_of, forecast.horizon, p.time_zone, forecast.pipeline,
		lead_qualify.path_position(forecast.pipeline, forecast.to_stage), z, forecast.value_column IS NOT NULL;
END;
$function$;
COMMENT ON FUNCTION lead_qualify.forecast(text, interval, name, text, timestamptz, float8) IS
'Conversions into to_stage (or beyond) to be expected of the leads now open, a row a stage that they are in and month (of the pipeline''s time zone; the first is what is left of the present one, the last ends with the horizon); where stage is NULL all stages, where month is NULL the whole horizon. Leads that have yet to come are not counted. open_leads are in the stage at as_of, by the history as it is known today, held ones in the stage before; neither converted, lost or recycled in their cycle, nor excluded or deleted, nor there since nobody knows when. expected adds up the probabilities of converting in that time. That of a lead is the incidence (Aalen and Johansen 1978) among all stays in the same stage that lasted at least as long as its own has, counted from that age on (landmark: van Houwelingen 2007, Putter and Spitoni 2018), ages taken down to 2^(k/4) - 1 days (0, 0.2, 0.4, 0.7, 1, ... 7, 8.5, ... 31, ...); of the ages for which at least 30 stays were followed over the whole horizon the highest one that is not above the lead''s, or else age 0. Nothing is extrapolated: of unknown_leads it is not known, as no stay was followed so long, and expected leaves them out; it is NULL if all are. expected_low and expected_high are a prediction interval of that confidence: the leads are independent trials, n of probability p varying by n p (1 - p), and p, known from N stays followed so long, by p (1 - p) / N more (p taken for this as between 1 / (N + 1) and N / (N + 1)); errors of the estimates are taken to go together. The sum is taken as normal, and the interval held to what is possible. What no past tells, such as a changed market, it does not know. value is the same with each lead counted as value_column (a numeric column of leads, as of as_of where its changes are known; NULL counts nothing)';

-- ----------------------------------------------------------------
-- Reports on stages and sources
--
-- As there, segment is the name of a column that goes in and its value that
-- comes out.
-- ----------------------------------------------------------------

-- A row a stay in a stage, in no order.  Of those of unknown beginning
-- entered_at is NULL; left_at may come after as_of.
CREATE FUNCTION lead_qualify.stays_sql(pipeline text, segment text, as_of timestamptz)
RETURNS text
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
SET datestyle = iso
AS $function$
DECLARE
	p record := lead_qualify.report_on(stays_sql.pipeline);
BEGIN
	RETURN format($query$
		SELECT h.id, h.lead, h.stage, h.from_stage, h.entered_at, h.left_at, h.recorded_at, h.cause, h.reason, %1$s AS segment
		FROM %2$s h
		WHERE h.superseded_at IS NULL AND (h.entered_at <= %3$L OR h.entered_at IS NULL)
			AND %4$s
	$query$, lead_qualify.segment_sql(stays_sql.pipeline, stays_sql.segment, 'h.lead', 'h.entered_at'),
		p.history, stays_sql.as_of, lead_qualify.counted_sql(p.state, 'h.lead'));
END;
$function$;
COMMENT ON FUNCTION lead_qualify.stays_sql(text, text, timestamptz) IS
'The query behind the reports that count stays in stages: a row a stay that began by as_of or nobody knows when, excluded leads left out';

-- Where a lead came from and went to is what its rows before and after say:
-- they are in the order of their times, those of one instant in that of their
-- ids.  A row of unknown time follows, if any, the stay that ended then.
--
-- A period is kept as local time until it is shown: there every day has a
-- midnight.  The row without a period is what was before the first one.
CREATE FUNCTION lead_qualify.flow_report(pipeline text, since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL,
	bucket text DEFAULT 'month', OUT period timestamptz, INOUT segment text DEFAULT NULL, as_of timestamptz DEFAULT now(),
	OUT "position" integer, OUT stage text, OUT entered bigint, OUT left_forward bigint, OUT left_back bigint,
	OUT left_lost bigint, OUT left_aside bigint, OUT in_stage bigint, OUT flow_ratio float8)
RETURNS SETOF record
LANGUAGE plpgsql STABLE PARALLEL SAFE
ROWS 100
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $function$
DECLARE
	p record := lead_qualify.report_on(flow_report.pipeline);
	as_of timestamptz := lead_qualify.known_at(flow_report.as_of);
	period constant text := 'CASE WHEN %1$s.counted AND isfinite(%1$s.at) AND coalesce(%1$s.at >= $2, true) '
		'THEN date_trunc($4, %1$s.at AT TIME ZONE $5) END';
BEGIN
	PERFORM lead_qualify.check_choice('bucket', flow_report.bucket, '{day,week,month,quarter,year}');
	RETURN QUERY EXECUTE format($query$
		WITH stay AS (
			SELECT h.stage, h.segment, h.left_at, coalesce(h.entered_at, lag(h.left_at) OVER w) AS entered_at,
				lag(h.stage) OVER w AS before, lead(h.stage) OVER w AS after
			FROM (%1$s) h
			WINDOW w AS (PARTITION BY h.lead ORDER BY coalesce(h.entered_at, h.recorded_at), h.left_at, h.id)
		), alike AS (
			SELECT t.segment, t.before, t.stage, t.after, e.counted AS enters, %2$s AS entered, l.counted AS leaves, %3$s AS has_left,
				count(*) AS n
			FROM stay t, LATERAL (SELECT t.entered_at AS at, coalesce(t.entered_at <= $6 AND coalesce(t.entered_at < $3, true), true)) e (at, counted),
				LATERAL (SELECT t.left_at AS at, coalesce(t.left_at <= $6 AND coalesce(t.left_at < $3, true), false)) l (at, counted)
			GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
		), move AS MATERIALIZED (
			SELECT m.period, a.segment, a.stage, m.enters, m.other, sum(a.n) AS n
			FROM alike a, LATERAL (VALUES (true, a.enters, a.entered, a.before), (false, a.leaves, a.has_left, a.after))
				m (enters, counted, period, other)
			WHERE m.counted
			GROUP BY 1, 2, 3, 4, 5
		), stage AS MATERIALIZED (
			SELECT s.stage, s.position, a.position IS NOT NULL AS on_path, s.kind IN ('disqualified', 'lost') AS is_lost,
				coalesce(a.position = max(a.position) OVER (), false) AS is_last
			FROM lead_qualify.stages_of($1) s
			LEFT JOIN lead_qualify.path_stages($1) a ON a.stage = s.stage
			UNION ALL
			-- the newest version does not know it any more
			SELECT DISTINCT m.stage, NULL::integer, false, false, false
			FROM move m
			WHERE m.stage NOT IN (SELECT s.stage FROM lead_qualify.stages_of($1) s)
		), flow AS (
			SELECT m.period, m.segment, m.stage, m.n, m.enters, 0 AS onwards,
				CASE WHEN m.enters THEN NULL
					WHEN o.is_lost THEN 'lost'
					WHEN NOT coalesce(o.on_path, false) THEN 'aside'
					WHEN s.on_path AND o.position <= s.position THEN 'back'
					ELSE 'forward' END AS leaves
			FROM move m
			JOIN stage s ON s.stage = m.stage
			LEFT JOIN stage o ON o.stage = m.other
			UNION ALL
			-- entries past a stage, of leads that were not past it
			SELECT m.period, m.segment, s.stage, 0, NULL, m.n, NULL
			FROM move m
			JOIN stage t ON t.stage = m.stage AND t.on_path
			LEFT JOIN stage f ON f.stage = m.other AND f.on_path
			JOIN stage s ON s.on_path AND s.position < t.position AND coalesce(f.position <= s.position, true)
			WHERE m.enters
			UNION ALL
			SELECT t.period, m.segment, s.stage, 0, NULL, 0, NULL
			FROM (SELECT DISTINCT m.segment FROM move m) m, stage s,
				(SELECT generate_series(min(m.period), max(m.period),
						CASE $4 WHEN 'quarter' THEN interval '3 months' ELSE ('1 ' || $4)::interval END)
				 FROM move m) t (period)
		), counted AS (
			SELECT f.period, f.segment, f.stage,
				coalesce(sum(f.n) FILTER (WHERE f.enters), 0) AS entered,
				coalesce(sum(f.n) FILTER (WHERE f.leaves = 'forward'), 0) AS forward,
				coalesce(sum(f.n) FILTER (WHERE f.leaves = 'back'), 0) AS back,
				coalesce(sum(f.n) FILTER (WHERE f.leaves = 'lost'), 0) AS lost,
				coalesce(sum(f.n) FILTER (WHERE f.leaves = 'aside'), 0) AS aside,
				sum(f.onwards) AS onwards,
				sum(sum(CASE WHEN f.enters THEN f.n ELSE -f.n END)) OVER (PARTITION BY f.segment, f.stage
					ORDER BY f.period NULLS FIRST) AS in_stage
			FROM flow f
			GROUP BY f.period, f.segment, f.stage
		)
		SELECT c.period AT TIME ZONE $5, c.segment, s.position, c.stage, c.entered::bigint, c.forward::bigint, c.back::bigint,
			c.lost::bigint, c.aside::bigint, c.in_stage::bigint,
			CASE WHEN s.on_path AND NOT s.is_last THEN c.onwards::float8 / nullif(c.entered, 0)::float8 END
		FROM counted c
		JOIN stage s ON s.stage = c.stage
		WHERE c.period IS NOT NULL
		ORDER BY c.period, c.segment, s.position, c.stage COLLATE "C"
	$query$, lead_qualify.stays_sql(flow_report.pipeline, flow_report.segment, as_of), format(period, 'e'), format(period, 'l'))
	USING flow_report.pipeline, flow_report.since, flow_report.until, flow_report.bucket, p.time_zone, as_of;
END;
$function$;
COMMENT ON FUNCTION lead_qualify.flow_report(text, timestamptz, timestamptz, text, text, timestamptz) IS
'What came into each stage and went out of it, by period: from the first to the last in which a lead moved in [since, until), in the time zone of the pipeline, not after as_of. entered: entries; left_forward: to a later stage of the path (from beside the path: to any), left_back: to an earlier one or the same, left_lost: to disqualified or lost, left_aside: elsewhere, such as hold or recycled; in_stage: leads there at the end of the period (or at until, or as_of), which is those at the end of the one before and entered less all that left. Leads of unknown entry are in_stage from the beginning, but never entered. flow_ratio: entries into later stages of the path, by leads that were not past this one, divided by entries into this one in the same period. It mixes cohorts and may exceed 1: conversion_report() tells rates. A segment is a column''s value at the entry into the stage';

CREATE FUNCTION lead_qualify.stage_duration_report(pipeline text, since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL,
	OUT "position" integer, OUT stage text, INOUT segment text DEFAULT NULL, as_of timestamptz DEFAULT now(),
	confidence float8 DEFAULT 0.95, OUT stays bigint, OUT ended bigint, OUT still_there bigint,
	OUT median_time interval, OUT median_low interval, OUT median_high interval, OUT p90_time interval)
RETURNS SETOF record
LANGUAGE plpgsql STABLE PARALLEL SAFE
ROWS 10
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $function$
DECLARE
	as_of timestamptz := lead_qualify.known_at(stage_duration_report.as_of);
BEGIN
	PERFORM lead_qualify.check_window(NULL, stage_duration_report.confidence);
	RETURN QUERY EXECUTE format($query$
		WITH counted AS (
			SELECT h.stage, h.segment, lead_qualify.conversion(h.entered_at, h.left_at, NULL, $4) AS c
			FROM (%1$s) h
			WHERE h.entered_at IS NOT NULL AND %2$s
			GROUP BY h.stage, h.segment
		)
		SELECT s.position, n.stage, d.segment, coalesce(lead_qualify.entered(d.c), 0),
			coalesce(lead_qualify.converted(d.c), 0), coalesce(lead_qualify.still_open(d.c), 0),
			lead_qualify.time_quantile(d.c, 0.5), m.low, m.high, lead_qualify.time_quantile(d.c, 0.9)
		FROM lead_qualify.stages_of($1) s
		FULL JOIN counted d ON d.stage = s.stage
		CROSS JOIN LATERAL (SELECT coalesce(s.stage, d.stage)) n (stage)
		-- where one half is in the interval; on this scale, that of what has ended is that of what goes on
		CROSS JOIN LATERAL (SELECT min(u.after) FILTER (WHERE u.high >= 0.5) AS low, min(u.after) FILTER (WHERE u.low >= 0.5) AS high
			FROM lead_qualify.curve(d.c, $5, 'logit') u) m
		ORDER BY s.position, n.stage COLLATE "C", d.segment
	$query$, lead_qualify.stays_sql(stage_duration_report.pipeline, stage_duration_report.segment, as_of),
		lead_qualify.since_until_sql('h.entered_at', '$2', '$3'))
	USING stage_duration_report.pipeline, stage_duration_report.since, stage_duration_report.until, as_of,
		stage_duration_report.confidence;
END;
$function$;
COMMENT ON FUNCTION lead_qualify.stage_duration_report(text, timestamptz, timestamptz, text, timestamptz, float8) IS
'How long leads stay in each stage, of the stays that began in [since, until): stays: how many, ended: left by as_of, still_there: not; median_time: by when half of them have ended, p90_time: nine tenths, by the estimate of Kaplan and Meier, in which a stay that goes on counts as long as it has lasted; NULL while that is not reached. median_low and median_high: interval of the median, the times at which the interval of the curve takes in one half (Brookmeyer and Crowley 1982, on the logit scale); NULL where it does not. There is no mean: as long as stays go on nobody knows it. Stays of unknown beginning are left out; a stage that nobody entered has one row';

-- Win rate, value and cycle are those of the same journeys, the eligible: a
-- young cohort has the quick wins only.
CREATE FUNCTION lead_qualify.velocity_report(pipeline text, value_column name DEFAULT NULL, since timestamptz DEFAULT NULL,
	until timestamptz DEFAULT NULL, INOUT segment text DEFAULT NULL, within interval DEFAULT NULL, per text DEFAULT 'cycle',
	as_of timestamptz DEFAULT now(), confidence float8 DEFAULT 0.95, OUT opportunities bigint, OUT eligible bigint, OUT won bigint,
	OUT win_rate float8, OUT win_low float8, OUT win_high float8, OUT average_value numeric, OUT cycle_time interval,
	OUT velocity numeric)
RETURNS SETOF record
LANGUAGE plpgsql STABLE PARALLEL SAFE
ROWS 10
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $function$
DECLARE
	p record := lead_qualify.report_on(velocity_report.pipeline);
	as_of timestamptz := lead_qualify.known_at(velocity_report.as_of);
	within interval := coalesce(velocity_report.within, p.conversion_window);
	-- as of the win
	value text := lead_qualify.value_sql(velocity_report.pipeline, velocity_report.value_column, 'j.lead', 'j.converted_at');
BEGIN
	PERFORM lead_qualify.check_window(within, velocity_report.confidence);

	RETURN QUERY EXECUTE format($query$
		WITH journey AS (
			-- what rate_within() says of a cohort of one: 1 won in time, 0 not, NULL too young
			SELECT j.*, lead_qualify.rate_within(lead_qualify.conversion_add(NULL, j.entered_at, j.converted_at, j.lost_at, $3), $4) = 1
				AS won
			FROM (%1$s) j
			WHERE j.entered_at IS NOT NULL AND %2$s
		), counted AS (
			SELECT j.segment, lead_qualify.conversion(j.entered_at, j.converted_at, j.lost_at, $3) AS c,
				count(*) FILTER (WHERE j.won) AS won,
				avg(CASE WHEN j.won THEN %3$s END) AS average_value,
				justify_hours(avg(j.converted_at - j.entered_at) FILTER (WHERE j.won)) AS cycle_time
			FROM journey j
			GROUP BY j.segment
		)
		SELECT d.segment, lead_qualify.entered(d.c), lead_qualify.eligible(d.c, $4), d.won, r.rate,
			lead_qualify.rate_within_low(d.c, $4, $5), lead_qualify.rate_within_high(d.c, $4, $5),
			d.average_value, d.cycle_time,
			CASE WHEN r.rate = 0 THEN 0
				-- the rate as it is, not rounded to the digits that a float8 is cast to
				ELSE lead_qualify.entered(d.c) * CASE WHEN $6 THEN d.average_value ELSE 1 END * d.won * 86400
					/ nullif(lead_qualify.eligible(d.c, $4) * extract(epoch FROM d.cycle_time), 0)
			END
		FROM counted d, LATERAL (SELECT lead_qualify.rate_within(d.c, $4) AS rate) r
		ORDER BY d.segment
	$query$, lead_qualify.journeys_sql(velocity_report.pipeline, 'opportunity', 'won', velocity_report.segment,
			velocity_report.per, as_of),
		lead_qualify.since_until_sql('j.entered_at', '$1', '$2'), value)
	USING velocity_report.since, velocity_report.until, as_of, within, velocity_report.confidence,
		velocity_report.value_column IS NOT NULL;
END;
$function$;
COMMENT ON FUNCTION lead_qualify.velocity_report(text, name, timestamptz, timestamptz, text, interval, text, timestamptz, float8) IS
'Sales velocity: opportunities * average_value * win_rate / cycle_time, in units of value_column (a column of leads) a day; without value_column in leads won a day. opportunities: journeys from the stage opportunity to won that began in [since, until); eligible: those that began at least within before as_of (NULL: the pipeline''s conversion_window), won: those of the eligible that were won within that time, win_rate: won / eligible with Wilson''s interval win_low and win_high; average_value: mean of value_column at the win, cycle_time: mean time from the beginning to the win, both of won. NULL what cannot be told yet; velocity is 0 where nothing was won. Journeys that skipped the stage opportunity are left out';

CREATE FUNCTION lead_qualify.activities_of(pipeline text)
RETURNS TABLE (lead text, at timestamptz, source integer, key_number bigint, key_text text, type text)
LANGUAGE C STABLE STRICT PARALLEL UNSAFE
ROWS 100000
AS 'MODULE_PATHNAME', 'lq_activities_of';
COMMENT ON FUNCTION lead_qualify.activities_of(text) IS
'The activities of a pipeline as it sees them: of which lead, when, of what type; ordered in time by source and key. Rows are read with the caller''s rights, filters evaluated with those of the leads table''s owner: part of the reports';

-- Rates are of journeys, as conversion_report() has them: from mql, and from
-- sql, of leads that were there.  The counts are of all leads that began.
CREATE FUNCTION lead_qualify.source_report(pipeline text, since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL,
	INOUT segment text DEFAULT NULL, within interval DEFAULT NULL, per text DEFAULT 'lead', as_of timestamptz DEFAULT now(),
	confidence float8 DEFAULT 0.95, OUT leads bigint, OUT mql bigint, OUT sql bigint, OUT customers bigint,
	OUT mql_rate float8, OUT mql_low float8, OUT mql_high float8, OUT sql_rate float8, OUT sql_low float8, OUT sql_high float8,
	OUT customer_rate float8, OUT customer_low float8, OUT customer_high float8, OUT first_touch jsonb, OUT last_touch jsonb)
RETURNS SETOF record
LANGUAGE plpgsql STABLE PARALLEL UNSAFE
ROWS 10
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $function$
DECLARE
	p record := lead_qualify.report_on(source_report.pipeline);
	as_of timestamptz := lead_qualify.known_at(source_report.as_of);
	within interval := coalesce(source_report.within, p.conversion_window);
	journeys text[] := ARRAY(
		SELECT lead_qualify.journeys_sql(source_report.pipeline, j.from_stage, j.to_stage, j.segment, source_report.per, as_of)
		FROM (VALUES (1, 'lead', 'mql', source_report.segment), (2, 'lead', 'won', NULL), (3, 'mql', 'sql', NULL), (4, 'sql', 'won', NULL))
			j (n, from_stage, to_stage, segment)
		ORDER BY j.n);
BEGIN
	PERFORM lead_qualify.check_window(within, source_report.confidence);
	RETURN QUERY EXECUTE format($query$
		WITH reached AS MATERIALIZED (
			SELECT b.lead, b.cycle, b.segment, b.entered_at, b.converted_at AS mql_at, x.sql_at, c.converted_at AS customer_at,
				greatest(b.converted_at, x.sql_at, c.converted_at) AS until, b.lost_at,
				m.entered_at AS from_mql, m.converted_at AS mql_to_sql, m.lost_at AS mql_lost,
				q.entered_at AS from_sql, q.converted_at AS sql_to_customer, q.lost_at AS sql_lost
			FROM (%1$s) b
			LEFT JOIN (%2$s) c ON c.lead = b.lead AND c.cycle = b.cycle
			LEFT JOIN (%3$s) m ON m.lead = b.lead AND m.cycle = b.cycle
			LEFT JOIN (%4$s) q ON q.lead = b.lead AND q.cycle = b.cycle
			CROSS JOIN LATERAL (SELECT coalesce(q.entered_at, q.skipped_at) AS at) a
			CROSS JOIN LATERAL (SELECT CASE WHEN a.at >= b.entered_at THEN a.at END AS sql_at) x
			WHERE b.entered_at IS NOT NULL AND %5$s
		), counted AS (
			SELECT r.segment, count(*) AS leads, count(r.mql_at) AS mql, count(r.sql_at) AS sql, count(r.customer_at) AS customers,
				lead_qualify.conversion(r.entered_at, r.mql_at, r.lost_at, $3) AS to_mql,
				lead_qualify.conversion(r.from_mql, r.mql_to_sql, r.mql_lost, $3) AS to_sql,
				lead_qualify.conversion(r.from_sql, r.sql_to_customer, r.sql_lost, $3) AS to_customer
			FROM reached r
			GROUP BY r.segment
		), unit AS (
			SELECT r.lead, r.cycle, r.segment, r.mql_at, r.sql_at, r.customer_at, r.until
			FROM reached r
			WHERE r.until IS NOT NULL
		), touched AS (
			-- those up to a stage come first in the order of time
			SELECT t.segment, t.types[1] AS first, t.types[t.to_mql] AS mql, t.types[t.to_sql] AS sql, t.types[t.to_customer] AS customer,
				count(*) AS n
			FROM (SELECT u.segment, array_agg(a.type ORDER BY a.at, a.source, a.key_number, a.key_text COLLATE "C") AS types,
					count(*) FILTER (WHERE a.at <= u.mql_at) AS to_mql, count(*) FILTER (WHERE a.at <= u.sql_at) AS to_sql,
					count(*) FILTER (WHERE a.at <= u.customer_at) AS to_customer
				FROM unit u JOIN lead_qualify.activities_of($6) a ON a.lead = u.lead::text AND a.at <= u.until
				GROUP BY u.lead, u.cycle, u.segment) t
			GROUP BY 1, 2, 3, 4, 5
		), touch AS (
			SELECT t.segment, e.stage, x.is_first, x.type, sum(t.n) AS n
			FROM touched t, LATERAL (VALUES ('mql', t.mql), ('sql', t.sql), ('customer', t.customer)) e (stage, last),
				LATERAL (VALUES (true, t.first), (false, e.last)) x (is_first, type)
			WHERE e.last IS NOT NULL
			GROUP BY 1, 2, 3, 4
		), shown AS (
			SELECT s.segment, jsonb_object_agg(s.stage, s.types) FILTER (WHERE s.is_first) AS first_touch,
				jsonb_object_agg(s.stage, s.types) FILTER (WHERE NOT s.is_first) AS last_touch
			FROM (SELECT t.segment, t.stage, t.is_first, jsonb_object_agg(t.type, t.n) AS types FROM touch t GROUP BY 1, 2, 3) s
			GROUP BY s.segment
		)
		SELECT c.segment, c.leads, c.mql, c.sql, c.customers,
			lead_qualify.rate_within(c.to_mql, $4), lead_qualify.rate_within_low(c.to_mql, $4, $5), lead_qualify.rate_within_high(c.to_mql, $4, $5),
			lead_qualify.rate_within(c.to_sql, $4), lead_qualify.rate_within_low(c.to_sql, $4, $5), lead_qualify.rate_within_high(c.to_sql, $4, $5),
			lead_qualify.rate_within(c.to_customer, $4), lead_qualify.rate_within_low(c.to_customer, $4, $5),
			lead_qualify.rate_within_high(c.to_customer, $4, $5), n.none || coalesce(s.first_touch, '{}'), n.none || coalesce(s.last_touch, '{}')
		FROM counted c
		-- NULL is a segment, too; unlike IS NOT DISTINCT FROM, this can be hashed
		LEFT JOIN shown s ON coalesce(s.segment, '') = coalesce(c.segment, '') AND (s.segment IS NULL) = (c.segment IS NULL)
		CROSS JOIN (SELECT jsonb '{"mql": {}, "sql": {}, "customer": {}}') n (none)
		ORDER BY c.segment
	$query$, journeys[1], journeys[2], journeys[3], journeys[4],
		lead_qualify.since_until_sql('b.entered_at', '$1', '$2'))
	USING source_report.since, source_report.until, as_of, within, source_report.confidence, source_report.pipeline;
END;
$function$;
COMMENT ON FUNCTION lead_qualify.source_report(text, timestamptz, timestamptz, text, interval, text, timestamptz, float8) IS
'What became of the leads of each source, that is, value of a segment as of their beginning. leads: those that began, in the stage lead, in [since, until); mql, sql, customers: how many of them have reached that stage or a later one by as_of. mql_rate is from lead to mql, sql_rate from mql to sql, customer_rate from sql to customer: of their journeys that began at least within before as_of (NULL: the pipeline''s conversion_window), the part that got there within that time, with Wilson''s interval (_low, _high); who skipped mql, or sql, is left out of the rate from there, as in conversion_report(). first_touch and last_touch: by stage and type of activity, how many had that as their first, or last, activity at or before they reached the stage; who had none is in neither. per is lead (all cycles together), cycle or first; later cycles begin in the stage recycled, so with cycle they count only where they pass through lead';

-- The stay that a move ended is the one of the stage left that ended then.
CREATE FUNCTION lead_qualify.reject_report(pipeline text, since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL,
	bucket text DEFAULT NULL, OUT period timestamptz, INOUT segment text DEFAULT NULL, as_of timestamptz DEFAULT now(),
	confidence float8 DEFAULT 0.95, OUT reason text, OUT label text, OUT cause text, OUT from_stage text, OUT moves bigint,
	OUT leads bigint, OUT share float8, OUT share_low float8, OUT share_high float8, OUT median_time interval, OUT returned bigint)
RETURNS SETOF record
LANGUAGE plpgsql STABLE PARALLEL SAFE
ROWS 20
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $function$
DECLARE
	p record := lead_qualify.report_on(reject_report.pipeline);
	as_of timestamptz := lead_qualify.known_at(reject_report.as_of);
BEGIN
	IF reject_report.bucket IS NOT NULL THEN
		PERFORM lead_qualify.check_choice('bucket', reject_report.bucket, '{day,week,month,quarter,year}');
	END IF;
	PERFORM lead_qualify.check_window(NULL, reject_report.confidence);
	RETURN QUERY EXECUTE format($query$
		WITH qualified AS MATERIALIZED (
			SELECT coalesce(array_agg(s.stage), '{}') AS stages
			FROM lead_qualify.path_stages($1) s
			WHERE s.kind <> 'lead'
		), move AS (
			SELECT date_trunc($4, h.entered_at, $5) AS period, h.segment, h.reason, h.cause, h.from_stage, h.lead, h.entered_at,
				(SELECT g.entered_at FROM %2$s g
				 WHERE g.lead = h.lead AND g.superseded_at IS NULL AND g.stage = h.from_stage AND g.left_at = h.entered_at AND g.id <> h.id
				 ORDER BY g.entered_at DESC NULLS LAST, g.id DESC LIMIT 1) AS began,
				EXISTS (SELECT FROM %2$s g
						WHERE g.lead = h.lead AND g.superseded_at IS NULL AND g.stage = ANY ((SELECT q.stages FROM qualified q)::text[])
							AND (g.entered_at, coalesce(g.left_at, 'infinity'), g.id) > (h.entered_at, coalesce(h.left_at, 'infinity'), h.id)
							AND g.entered_at <= $6) AS returns
			FROM (%1$s) h
			WHERE h.cause IN ('reject', 'disqualify', 'recycle') AND %3$s
		), counted AS (
			SELECT m.period, m.segment, m.reason, m.cause, m.from_stage, count(*) AS moves, count(DISTINCT m.lead) AS leads,
				lead_qualify.conversion(m.began, m.entered_at, NULL, $6) AS c,
				count(DISTINCT m.lead) FILTER (WHERE m.returns) AS returned
			FROM move m
			GROUP BY m.period, m.segment, m.reason, m.cause, m.from_stage
		), shared AS (
			SELECT c.*, (sum(c.moves) OVER (PARTITION BY c.period, c.segment))::bigint AS of_moves
			FROM counted c
		)
		SELECT c.period, c.segment, c.reason, r.label, c.cause, c.from_stage, c.moves, c.leads,
			c.moves::float8 / c.of_moves, w.low, w.high, lead_qualify.time_quantile(c.c, 0.5), c.returned
		FROM shared c
		CROSS JOIN LATERAL lead_qualify.wilson_interval(c.moves, c.of_moves, $7) w
		LEFT JOIN (SELECT r.code, r.label
			FROM lead_qualify.pipeline p
			JOIN lead_qualify.version v ON v.pipeline = p.pipeline AND v.version = p.version,
				jsonb_to_recordset(v.config -> 'reasons') AS r (code text, label text)
			WHERE p.pipeline = $1) r ON r.code = c.reason
		LEFT JOIN lead_qualify.stages_of($1) s ON s.stage = c.from_stage
		ORDER BY c.period, c.segment, c.moves DESC, c.reason COLLATE "C", c.cause COLLATE "C", s.position, c.from_stage COLLATE "C"
	$query$, lead_qualify.stays_sql(reject_report.pipeline, reject_report.segment, as_of), p.history,
		lead_qualify.since_until_sql('h.entered_at', '$2', '$3'))
	USING reject_report.pipeline, reject_report.since, reject_report.until, reject_report.bucket, p.time_zone, as_of,
		reject_report.confidence;
END;
$function$;
COMMENT ON FUNCTION lead_qualify.reject_report(text, timestamptz, timestamptz, text, text, timestamptz, float8) IS
'Why leads were turned down: the moves made by reject(), disqualify() and recycle() in [since, until), by reason (NULL of leads that are gone), cause (which of the three) and from_stage, the stage they were in; by bucket, too, if that is not NULL. label: what the newest version says of the reason; moves, leads: how many moves, of how many leads; share: of all these moves in the same period and segment, with Wilson''s interval; median_time: time in from_stage before, of those whose entry is known; returned: leads that came to mql or a later stage afterwards, up to as_of. Automatic moves into such stages have no reason and are not counted, see flow_report()';

-- ----------------------------------------------------------------
-- Service levels: in what time a lead is to be worked on.  After the reports
-- (wilson_interval) and business time.
-- ----------------------------------------------------------------

CREATE FUNCTION lead_qualify.live_config(pipeline text)
RETURNS jsonb
LANGUAGE sql STABLE STRICT PARALLEL SAFE
BEGIN ATOMIC
	SELECT v.config
	FROM lead_qualify.version v
	WHERE v.pipeline = live_config.pipeline AND v.effective_from <= now()
	ORDER BY v.version DESC
	LIMIT 1;
END;
COMMENT ON FUNCTION lead_qualify.live_config(text) IS
'The published configuration now in force, for those who may read the leads; NULL if there is none';

CREATE FUNCTION lead_qualify.stage_slas(pipeline text)
RETURNS TABLE (stage text, "position" integer, owner text, sla interval, time_zone text)
LANGUAGE sql STABLE STRICT PARALLEL SAFE
ROWS 3
BEGIN ATOMIC
	SELECT s.stage, s."position", s.owner, s.sla, p.time_zone
	FROM lead_qualify.pipeline p,
		jsonb_to_recordset(lead_qualify.live_config(p.pipeline) -> 'stages')
			AS s (stage text, "position" integer, owner text, sla interval)
	WHERE p.pipeline = stage_slas.pipeline AND s.sla IS NOT NULL;
END;
COMMENT ON FUNCTION lead_qualify.stage_slas(text) IS
'Stages with an SLA by the version now in force, and the time zone of the pipeline: what <leads>_sla_due and sla_report() ask';

-- A day of an SLA has 24 hours and a month 30 days, whatever the session's
-- time zone does.
CREATE FUNCTION lead_qualify.sla_due(entered_at timestamptz, sla interval, calendar text, time_zone text)
RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
	SELECT CASE
		WHEN sla_due.calendar IS NULL
			THEN sla_due.entered_at + interval '1 second' * extract(epoch FROM sla_due.sla)::float8
		ELSE lead_qualify.business_time_add(sla_due.entered_at, sla_due.sla, sla_due.calendar, sla_due.time_zone)
	END;
END;
COMMENT ON FUNCTION lead_qualify.sla_due(timestamptz, interval, text, text) IS
'When an SLA that began at a moment runs out: by the clock if calendar is NULL, else in business time; time_zone is for a calendar that has none of its own';

CREATE FUNCTION lead_qualify.sla_report(pipeline text, since timestamptz DEFAULT NULL, until timestamptz DEFAULT NULL,
	calendar text DEFAULT NULL, as_of timestamptz DEFAULT now())
RETURNS TABLE (stage text, owner text, sla interval, entered bigint,
	answered_in_time bigint, answered_late bigint, still_in_time bigint, overdue bigint, ever_missed bigint,
	rate_in_time float8, rate_low float8, rate_high float8, median_time interval, p90_time interval)
LANGUAGE plpgsql STABLE PARALLEL SAFE
ROWS 3
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
	history text;
	state text;
BEGIN
	IF sla_report.pipeline IS NULL THEN
		RAISE EXCEPTION 'pipeline must not be null' USING ERRCODE = 'null_value_not_allowed';
	END IF;
	SELECT format('%I.%I', p.leads_schema, p.prefix || '_stage_history'),
		format('%I.%I', p.leads_schema, p.prefix || '_qualification')
	INTO history, state
	FROM lead_qualify.pipeline p
	WHERE p.pipeline = sla_report.pipeline;
	IF history IS NULL THEN
		RAISE EXCEPTION 'pipeline "%" does not exist', sla_report.pipeline
			USING ERRCODE = 'undefined_object',
				HINT = 'The pipelines whose leads you may read are in lead_qualify.pipeline.';
	END IF;
	-- a calendar that is not there is an error also where nothing is to be reckoned
	PERFORM lead_qualify.business_time_add(now(), '0', sla_report.calendar, 'UTC')
	WHERE sla_report.calendar IS NOT NULL;

	-- a stay ends when the lead leaves the stage, for whatever reason
	RETURN QUERY EXECUTE format($query$
		WITH agreed AS MATERIALIZED (
			SELECT s.* FROM lead_qualify.stage_slas($1) s
		), stay AS (
			SELECT h.stage, h.entered_at,
				CASE WHEN h.left_at <= $5 THEN h.left_at END AS left_at,
				lead_qualify.sla_due(h.entered_at, a.sla, $4, a.time_zone) AS due_at, a.time_zone
			FROM agreed a
			JOIN %1$s h ON h.stage = a.stage
			WHERE h.superseded_at IS NULL AND h.entered_at <= $5
				AND h.origin = 'live'
				AND ($2 IS NULL OR h.entered_at >= $2) AND ($3 IS NULL OR h.entered_at < $3)
				AND %2$s
		), counted AS (
			SELECT t.stage, count(*) AS entered,
				count(*) FILTER (WHERE t.left_at <= t.due_at) AS answered_in_time,
				count(*) FILTER (WHERE t.left_at > t.due_at) AS answered_late,
				count(*) FILTER (WHERE t.left_at IS NULL AND t.due_at >= $5) AS still_in_time,
				count(*) FILTER (WHERE t.left_at IS NULL AND t.due_at < $5) AS overdue,
				percentile_cont(ARRAY[0.5, 0.9]) WITHIN GROUP (ORDER BY
					CASE WHEN $4 IS NULL THEN t.left_at - t.entered_at
						ELSE lead_qualify.business_interval(t.entered_at, t.left_at, $4, t.time_zone)
					END) AS times
			FROM stay t
			GROUP BY t.stage
		), shown AS (
			SELECT a.position, a.stage, a.owner, a.sla, coalesce(c.entered, 0) AS entered,
				coalesce(c.answered_in_time, 0) AS answered_in_time, coalesce(c.answered_late, 0) AS answered_late,
				coalesce(c.still_in_time, 0) AS still_in_time, coalesce(c.overdue, 0) AS overdue,
				coalesce(c.entered - c.still_in_time, 0) AS decided, c.times
			FROM agreed a
			LEFT JOIN counted c ON c.stage = a.stage
		)
		SELECT s.stage, s.owner, s.sla, s.entered, s.answered_in_time, s.answered_late, s.still_in_time, s.overdue,
			s.answered_late + s.overdue,
			s.answered_in_time::float8 / nullif(s.decided, 0), w.low, w.high,
			-- hours of business do not make days
			CASE WHEN $4 IS NULL THEN justify_hours(s.times[1]) ELSE s.times[1] END,
			CASE WHEN $4 IS NULL THEN justify_hours(s.times[2]) ELSE s.times[2] END
		FROM shown s, lead_qualify.wilson_interval(s.answered_in_time, s.decided) w
		ORDER BY s.position
	$query$, history, lead_qualify.counted_sql(state, 'h.lead'))
	USING sla_report.pipeline, sla_report.since, sla_report.until, sla_report.calendar, coalesce(sla_report.as_of, now());
END;
$function$;
COMMENT ON FUNCTION lead_qualify.sla_report(text, timestamptz, timestamptz, text, timestamptz) IS
'For each stage with an SLA: how many leads entered it, how many left it in time or late, and how many are still there, in time or overdue; with a calendar in business time';

-- ----------------------------------------------------------------
-- The picture of a pipeline
-- ----------------------------------------------------------------

-- Mermaid takes entities everywhere; whatever could mean something to it or
-- to Markdown becomes one.
CREATE FUNCTION lead_qualify.mermaid_text(value text)
RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
BEGIN ATOMIC
	SELECT coalesce(string_agg(
		CASE WHEN ascii(c.c) < 128 AND (c.c !~ '[[:alnum:] _.,()/''+=>?!-]' OR c.ord = 1 AND c.c !~ '[[:alnum:] (]')
				-- "1. " begins a list
				OR c.c = '.' AND substr(mermaid_text.value, 1, c.ord::integer - 1) ~ '^[0-9]+$'
			THEN '#' || ascii(c.c) || ';'
			ELSE c.c
		END, '' ORDER BY c.ord), '')
	FROM regexp_split_to_table(btrim(regexp_replace(mermaid_text.value, '\s+', ' ', 'g')), '')
		WITH ORDINALITY AS c (c, ord)
	WHERE c.c <> '';
END;
COMMENT ON FUNCTION lead_qualify.mermaid_text(text) IS
'Text for a Mermaid diagram, on one line: part of lifecycle_diagram()';

CREATE FUNCTION lead_qualify.span_text(span interval)
RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
BEGIN ATOMIC
	SELECT string_agg(u.amount || ' ' || u.unit || CASE WHEN u.amount <> 1 AND u.unit IN ('year', 'month', 'day') THEN 's' ELSE '' END,
					  ' ' ORDER BY u.ord)
	FROM (VALUES (1, extract(year FROM span_text.span), 'year'::text),
				 (2, extract(month FROM span_text.span), 'month'),
				 (3, extract(day FROM span_text.span), 'day'),
				 (4, extract(hour FROM span_text.span), 'h'),
				 (5, extract(minute FROM span_text.span), 'min'),
				 (6, trim_scale(extract(second FROM span_text.span)), 's')) AS u (ord, amount, unit)
	WHERE u.amount <> 0;
END;
COMMENT ON FUNCTION lead_qualify.span_text(interval) IS
'An interval in short words, such as 2 days 12 h: part of lifecycle_diagram()';

-- times('rule') > 0 is the most frequent condition: shown as the rule's name
CREATE FUNCTION lead_qualify.gate_text(gate jsonb)
RETURNS text
LANGUAGE sql STABLE STRICT PARALLEL SAFE
BEGIN ATOMIC
	SELECT concat_ws(', ',
		'after ' || lead_qualify.span_text((gate_text.gate ->> 'after')::interval),
		'idle ' || lead_qualify.span_text((gate_text.gate ->> 'idle')::interval),
		'total >= ' || (gate_text.gate ->> 'min_total'),
		'engagement >= ' || (gate_text.gate ->> 'min_engagement'),
		'fit >= ' || (gate_text.gate ->> 'min_fit'),
		'grade >= ' || (gate_text.gate ->> 'min_grade'),
		(gate_text.gate ->> 'framework') || ' qualified',
		gate_text.gate ->> 'activity_type',
		CASE WHEN length(c.condition) > 60 THEN left(c.condition, 57) || '...' ELSE c.condition END)
	FROM (SELECT regexp_replace(regexp_replace(gate_text.gate ->> 'condition', '\s+', ' ', 'g'),
								'\mtimes\(''([^'']+)''\) > 0', '\1', 'g')) AS c (condition);
END;
COMMENT ON FUNCTION lead_qualify.gate_text(jsonb) IS
'What a published gate asks for, in short: part of lifecycle_diagram()';

CREATE FUNCTION lead_qualify.lifecycle_diagram(pipeline text)
RETURNS text
LANGUAGE plpgsql STABLE STRICT PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $function$
DECLARE
	config jsonb := lead_qualify.live_config(lifecycle_diagram.pipeline);
	diagram text;
BEGIN
	IF config IS NULL THEN
		RAISE EXCEPTION 'pipeline "%" does not exist', lifecycle_diagram.pipeline
			USING ERRCODE = 'undefined_object',
				HINT = 'The pipelines whose leads you may read are in lead_qualify.pipeline.';
	END IF;
	WITH stage AS MATERIALIZED (
		-- names that Mermaid would misread, or that we use, get another one
		SELECT s.stage, s.position AS pos, s.kind,
			s.kind IN ('lead', 'mql', 'sal', 'sql', 'opportunity', 'won') AS on_path,
			s.kind IN ('won', 'disqualified', 'lost') AS ends,
			CASE WHEN s.stage ~ '^[A-Za-z][A-Za-z0-9_]*$' AND lower(s.stage) !~ '^(stage_[0-9]+|any_stage)$'
				AND lower(s.stage) <> ALL (ARRAY['accdescr', 'acctitle', 'as', 'choice', 'class', 'classdef', 'click',
					'default', 'direction', 'divider', 'end', 'fork', 'hide', 'history', 'href', 'join', 'left', 'note',
					'of', 'right', 'root', 'root_end', 'root_start', 'scale', 'state', 'statediagram', 'style', 'title'])
				THEN s.stage
				ELSE 'stage_' || row_number() OVER (ORDER BY s.position)
			END AS id,
			CASE WHEN row_number() OVER (PARTITION BY s.kind ORDER BY s.position) = 1
				THEN CASE s.kind WHEN 'sal' THEN 'accept' WHEN 'recycled' THEN 'recycle or reject' WHEN 'hold' THEN 'hold'
					WHEN 'disqualified' THEN 'disqualify' END
			END AS verb
		FROM jsonb_to_recordset(config -> 'stages') AS s (stage text, position integer, kind text)
	), path AS MATERIALIZED (
		SELECT s.id, s.pos, s.verb, lag(s.id) OVER (ORDER BY s.pos) AS before
		FROM stage s
		WHERE s.on_path
	), gate AS MATERIALIZED (
		SELECT g.gate ->> 'name' AS name, g.gate, t.id, t.pos, t.on_path, (g.gate ->> 'automatic')::boolean AS automatic
		FROM jsonb_array_elements(config -> 'gates') AS g (gate)
		JOIN stage t ON t.stage = g.gate ->> 'stage'
		WHERE (g.gate ->> 'enabled')::boolean
	), way AS (
		-- where each gate may be entered from; the nearest stage on the path first
		SELECT g.*, f.id AS from_id, f.pos AS from_pos,
			row_number() OVER (PARTITION BY g.id, g.name ORDER BY f.on_path DESC, f.pos DESC) AS nth
		FROM gate g
		JOIN stage f ON f.id <> g.id AND NOT (g.automatic AND f.ends)
			AND CASE WHEN jsonb_typeof(g.gate -> 'from_stages') = 'array' THEN g.gate -> 'from_stages' ? f.stage
					ELSE f.on_path END
			AND (f.pos < g.pos OR NOT f.on_path OR NOT g.on_path)
	), allowed AS MATERIALIZED (
		-- where a pipeline says which moves people may make, the others are refused
		SELECT f.id AS from_id, f.pos AS from_pos, t.id, t.pos, t.on_path, t.verb
		FROM jsonb_to_recordset(config -> 'transitions') AS m (from_stage text, to_stage text)
		JOIN stage f ON f.stage = m.from_stage
		JOIN stage t ON t.stage = m.to_stage
	), by_hand AS (
		-- into stages on the path that have no gate, from the one before
		SELECT p.before AS from_id, p.pos AS from_pos, p.id, p.pos, true AS on_path, p.verb
		FROM path p
		WHERE p.before IS NOT NULL AND NOT EXISTS (SELECT FROM gate g WHERE g.id = p.id)
			AND NOT EXISTS (SELECT FROM allowed)
		UNION ALL
		-- and into all beside it; who is recycled goes to the first stage if there is no such stage
		SELECT 'any_stage', 0, s.id, s.pos, false, s.verb
		FROM stage s
		WHERE NOT s.on_path AND NOT EXISTS (SELECT FROM allowed)
		UNION ALL
		SELECT 'any_stage', 0, p.id, -2147483648, false, 'recycle or reject'
		FROM path p
		WHERE p.before IS NULL AND NOT EXISTS (SELECT FROM stage s WHERE s.kind = 'recycled')
			AND NOT EXISTS (SELECT FROM allowed)
		UNION ALL
		SELECT a.from_id, a.from_pos, a.id, a.pos, a.on_path, a.verb
		FROM allowed a
		WHERE NOT EXISTS (SELECT FROM way w WHERE w.from_id = a.from_id AND w.id = a.id AND NOT w.automatic)
	), line (section, a, b, name, text) AS (
		SELECT 1, s.pos, 0, '', format('state "%s" as %s', lead_qualify.mermaid_text(s.stage), s.id)
		FROM stage s
		WHERE s.id <> s.stage
		UNION ALL
		SELECT 1, 2147483647, 0, '', 'state "any stage" as any_stage'
		WHERE NOT EXISTS (SELECT FROM allowed) OR EXISTS (SELECT FROM stage s WHERE s.kind = 'hold')
		UNION ALL
		SELECT 2, 0, 0, '', format('[*] --> %s', p.id)
		FROM path p
		WHERE p.before IS NULL
		UNION ALL
		-- what a gate asks is said once
		SELECT 3, w.pos, w.from_pos, w.name,
			format('%s --> %s : %s%s%s', w.from_id, w.id, lead_qualify.mermaid_text(w.name),
				   CASE WHEN w.automatic THEN '' ELSE ', by hand' END,
				   CASE WHEN w.nth = 1 THEN ' [' || nullif(lead_qualify.mermaid_text(lead_qualify.gate_text(w.gate)), '') || ']' END)
		FROM way w
		UNION ALL
		SELECT CASE WHEN m.on_path THEN 4 ELSE 7 END, m.pos, m.from_pos, m.from_id,
			format('%s --> %s : %s', m.from_id, m.id, coalesce(m.verb, 'by hand'))
		FROM by_hand m
		UNION ALL
		-- a score that was kept and fell: Mermaid has no dashed arrows here
		SELECT DISTINCT 5, g.pos, 0, f.id, format('%s --> %s : (falls back)', g.id, f.id)
		FROM gate g
		JOIN stage f ON f.stage = g.gate ->> 'fallback_stage'
		UNION ALL
		SELECT 6, b.pos, 0, '', format(E'note right of %s\n%s\n    end note', b.id, b.notes)
		FROM (SELECT g.id, g.pos, string_agg(
				format('        who came by %s falls back to %s when %s',
					   lead_qualify.mermaid_text(g.name), lead_qualify.mermaid_text(f.stage),
					   concat_ws(' or ', 'the total is below ' || (g.gate ->> 'keep_total'),
								 'engagement is below ' || (g.gate ->> 'keep_engagement'))),
				E'\n' ORDER BY g.name COLLATE "C") AS notes
			  FROM gate g
			  JOIN stage f ON f.stage = g.gate ->> 'fallback_stage'
			  GROUP BY g.id, g.pos) b
		UNION ALL
		SELECT 7, s.pos, 2147483647, '', format('%s --> any_stage : back when the hold ends', s.id)
		FROM stage s
		WHERE s.kind = 'hold'
		UNION ALL
		SELECT 8, s.pos, 0, '', format('%s --> [*]', s.id)
		FROM stage s
		WHERE s.ends
	)
	SELECT string_agg('    ' || l.text, E'\n' ORDER BY l.section, l.a, l.b, l.name COLLATE "C")
	INTO diagram
	FROM line l;
	RETURN E'stateDiagram-v2\n' || diagram || E'\n';
END;
$function$;
COMMENT ON FUNCTION lead_qualify.lifecycle_diagram(text) IS
'The stages of a pipeline, its gates and what they ask, by the version now in force: a Mermaid stateDiagram-v2';

-- ----------------------------------------------------------------
-- What is wrong
-- ----------------------------------------------------------------

CREATE FUNCTION lead_qualify.pipeline_problem(pipeline text, OUT kind text, OUT name text, OUT message text)
RETURNS SETOF record
AS 'MODULE_PATHNAME', 'lq_pipeline_problem'
LANGUAGE C STABLE STRICT PARALLEL RESTRICTED ROWS 1;
COMMENT ON FUNCTION lead_qualify.pipeline_problem(text) IS
'What keeps a pipeline or its activity tables from being scored: tables and columns that are gone or altered, owners, time zone. See the view problem.';

CREATE VIEW lead_qualify.problem WITH (security_invoker = true, security_barrier = true) AS
	SELECT p.pipeline, x.kind, x.name, x.message, NULL::timestamptz AS since
	FROM lead_qualify.pipeline p, lead_qualify.pipeline_problem(p.pipeline) x
	WHERE lead_qualify.may_edit(p.pipeline)
	UNION ALL
	SELECT p.pipeline, p.kind, p.name, p.message, min(p.since)
	FROM lead_qualify.condition_problem p
	GROUP BY p.pipeline, p.kind, p.name, p.message;
COMMENT ON VIEW lead_qualify.problem IS
'What keeps pipelines from working as configured: tables and columns that are gone, conditions that failed. Empty if all is well.';
COMMENT ON COLUMN lead_qualify.problem.pipeline IS 'pipeline that has the problem';
COMMENT ON COLUMN lead_qualify.problem.kind IS 'pipeline, source, or the kind of object whose condition failed';
COMMENT ON COLUMN lead_qualify.problem.name IS 'its name';
COMMENT ON COLUMN lead_qualify.problem.message IS 'what is wrong';
COMMENT ON COLUMN lead_qualify.problem.since IS 'when a condition first failed; NULL where the time is not known';
GRANT SELECT ON lead_qualify.problem TO PUBLIC;
