-- Ways to score, each on tables of its own: none, the product (template b2b), and
-- the triggers that people write.  Included after common.sql and tables.sql, with
-- the number of leads in :leads.

CREATE TABLE bench.way (n int, name text, what text);
INSERT INTO bench.way VALUES (1, 'plain', 'no trigger'), (2, 'product', 'lead_qualify'), (3, 'deferred', 'lead_qualify, deferred'),
	(4, 'by_row', 'row trigger'), (5, 'by_row_caps', 'row trigger, caps'),
	(6, 'by_statement', 'statement trigger'), (7, 'caps', 'statement trigger, caps');
SELECT count(bench.tables(name)) AS ways FROM bench.way;

-- the product is attached to empty tables, so that no clock is ahead of what comes in
SELECT lead_qualify.attach('product', 'product.lead', 'product.activity', time_zone => 'UTC') \g /dev/null
SELECT lead_qualify.attach('deferred', 'deferred.lead', 'deferred.activity', time_zone => 'UTC', fire => 'deferred') \g /dev/null
SELECT count(bench.leads(name, :leads)) FROM bench.way \g /dev/null
-- what people write: points of a table, added up where the lead is, a stage by threshold
CREATE TABLE bench.points AS SELECT DISTINCT ON (activity_type) activity_type AS type, points, at_most FROM lead_qualify.rule
WHERE pipeline = 'product' AND activity_type IS NOT NULL ORDER BY activity_type, name;
ALTER TABLE bench.points ADD PRIMARY KEY (type);

CREATE FUNCTION by_row.score() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	UPDATE by_row.lead SET points = lead.points + p.points,
		stage = CASE WHEN stage = 'lead' AND lead.points + p.points >= 25 THEN 'mql' ELSE stage END,
		stage_changed_at = CASE WHEN stage = 'lead' AND lead.points + p.points >= 25 THEN new.occurred_at ELSE stage_changed_at END
	FROM bench.points p WHERE p.type = new.type AND id = new.lead_id;
	RETURN NULL;
END $$;
CREATE TRIGGER score AFTER INSERT ON by_row.activity FOR EACH ROW EXECUTE FUNCTION by_row.score();

-- with caps: at most so many a day, counted in the activities themselves
CREATE FUNCTION by_row_caps.score() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
	rule bench.points;
	day timestamptz := date_trunc('day', new.occurred_at);
BEGIN
	SELECT * INTO rule FROM bench.points WHERE type = new.type;
	IF rule.points IS NULL OR rule.at_most < (SELECT count(*) FROM by_row_caps.activity a WHERE a.lead_id = new.lead_id AND a.type = new.type
			AND a.occurred_at >= day AND a.occurred_at < day + interval '1 day') THEN
		RETURN NULL;
	END IF;
	UPDATE by_row_caps.lead SET points = lead.points + rule.points,
		stage = CASE WHEN stage = 'lead' AND lead.points + rule.points >= 25 THEN 'mql' ELSE stage END,
		stage_changed_at = CASE WHEN stage = 'lead' AND lead.points + rule.points >= 25 THEN new.occurred_at ELSE stage_changed_at END
	WHERE id = new.lead_id;
	RETURN NULL;
END $$;
CREATE TRIGGER score AFTER INSERT ON by_row_caps.activity FOR EACH ROW EXECUTE FUNCTION by_row_caps.score();

CREATE FUNCTION by_statement.score() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	UPDATE by_statement.lead SET points = lead.points + s.points,
		stage = CASE WHEN stage = 'lead' AND lead.points + s.points >= 25 THEN 'mql' ELSE stage END,
		stage_changed_at = CASE WHEN stage = 'lead' AND lead.points + s.points >= 25 THEN s.at ELSE stage_changed_at END
	FROM (SELECT n.lead_id, sum(p.points) AS points, max(n.occurred_at) AS at FROM new_rows n JOIN bench.points p USING (type) GROUP BY 1) s
	WHERE id = s.lead_id;
	RETURN NULL;
END $$;
CREATE TRIGGER score AFTER INSERT ON by_statement.activity REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION by_statement.score();

CREATE FUNCTION caps.score() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	WITH fresh AS (
		SELECT n.lead_id, n.type, date_trunc('day', n.occurred_at) AS day, count(*) AS n, max(n.occurred_at) AS at FROM new_rows n GROUP BY 1, 2, 3),
	counted AS (
		SELECT f.*, p.points, p.at_most, (SELECT count(*) FROM caps.activity a WHERE a.lead_id = f.lead_id AND a.type = f.type
			AND a.occurred_at >= f.day AND a.occurred_at < f.day + interval '1 day') AS today
		FROM fresh f JOIN bench.points p USING (type))
	UPDATE caps.lead SET points = lead.points + s.points,
		stage = CASE WHEN stage = 'lead' AND lead.points + s.points >= 25 THEN 'mql' ELSE stage END,
		stage_changed_at = CASE WHEN stage = 'lead' AND lead.points + s.points >= 25 THEN s.at ELSE stage_changed_at END
	FROM (SELECT lead_id, max(at) AS at, sum(points * CASE WHEN at_most IS NULL THEN n ELSE greatest(0, least(n, at_most - (today - n))) END) AS points
		FROM counted GROUP BY 1) s
	WHERE id = s.lead_id AND s.points <> 0;
	RETURN NULL;
END $$;
CREATE TRIGGER score AFTER INSERT ON caps.activity REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION caps.score();
