"""The functions that drop records: by age, by size, and what a newer one of its key replaced."""

__all__ = ["SQL"]

SQL = r"""
-- Drop records of one partition; return how many there were.
CREATE FUNCTION isthmus.drop_records(_part int, places bigint[]) RETURNS bigint
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE went bigint; freed bigint;
BEGIN
  WITH gone AS (
    DELETE FROM isthmus.record AS r
    USING (SELECT _part AS part, unnest(places) AS place OFFSET 0) AS n
    WHERE r.part = n.part AND r.place = n.place
    RETURNING r.size + octet_length(r.key) AS bytes)
  SELECT count(*), coalesce(sum(bytes), 0) INTO went, freed FROM gone;
  UPDATE isthmus.part SET bytes = bytes - freed WHERE part = _part;
  RETURN went;
END $$;

CREATE FUNCTION isthmus.trim_log(_part int, before bigint, most int) RETURNS bigint
LANGUAGE sql AS $$
  SELECT isthmus.drop_records(_part, ARRAY(
    SELECT place FROM isthmus.record WHERE part = _part AND place < before
    ORDER BY place LIMIT most))
$$;

-- Drop the oldest, as far as they are from before that moment, or too much.
CREATE FUNCTION isthmus.drop_outdated(_part int, before float8, max_bytes bigint, most int)
RETURNS bigint LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE surplus bigint; outdated bigint[];
BEGIN
  SELECT coalesce(bytes - max_bytes, 0) INTO surplus FROM isthmus.part WHERE part = _part
  FOR UPDATE;
  SELECT array_agg(o.place) INTO outdated FROM (
    SELECT place, bool_and(older < surplus OR coalesce(at <= before, false))
      OVER (ORDER BY place) AS beyond
    FROM (
      SELECT place, at, sum(bytes) OVER (ORDER BY place) - bytes AS older FROM (
        SELECT place, at, size + octet_length(key) AS bytes FROM isthmus.record
        WHERE part = _part AND place IS NOT NULL ORDER BY place LIMIT most) AS first
    ) AS summed) AS o
  WHERE o.beyond;
  RETURN isthmus.drop_records(_part, coalesce(outdated, '{}'));
END $$;

-- One step of compaction, over at most `most` records: below `clean`, every key has one. Return
-- how many went; NULL once all is clean.
CREATE FUNCTION isthmus.compact(_part int, most int) RETURNS bigint LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE begun bigint; reached bigint; kept bigint[]; replaced bigint[]; older bigint[];
BEGIN
  SELECT clean INTO begun FROM isthmus.part WHERE part = _part FOR UPDATE;
  WITH page AS MATERIALIZED (
    SELECT place, key FROM isthmus.record WHERE part = _part AND place >= begun
    ORDER BY place LIMIT most),
  newest AS MATERIALIZED (
    SELECT _part AS part, key, max(place) AS place FROM page WHERE key <> '' GROUP BY key)
  SELECT (SELECT max(place) + 1 FROM page), (SELECT array_agg(place) FROM newest),
    (SELECT array_agg(p.place) FROM page p JOIN newest n ON n.key = p.key AND p.place < n.place),
    (SELECT array_agg(r.place) FROM newest n JOIN isthmus.record r
      ON r.part = n.part AND r.key = n.key AND r.version IS NOT NULL AND r.place < begun)
  INTO reached, kept, replaced, older;
  IF reached IS NULL THEN
    RETURN NULL;
  END IF;
  UPDATE isthmus.record AS r SET version = 0
  FROM (SELECT _part AS part, unnest(kept) AS place OFFSET 0) AS n
  WHERE r.part = n.part AND r.place = n.place AND r.version IS NULL;
  UPDATE isthmus.part SET clean = reached WHERE part = _part;
  RETURN isthmus.drop_records(_part, replaced || older);
END $$;

-- Drop tombstones so old that every reader has seen them.
CREATE FUNCTION isthmus.drop_tombstones(_part int, before float8, most int) RETURNS bigint
LANGUAGE sql AS $$
  SELECT isthmus.drop_records(_part, ARRAY(
    SELECT r.place FROM isthmus.record r JOIN isthmus.part p ON p.part = r.part
    WHERE r.part = _part AND r.version IS NOT NULL AND r.size = 0 AND r.key <> ''
      AND r.place < p.clean AND r.at <= before
    LIMIT most))
$$;
"""
