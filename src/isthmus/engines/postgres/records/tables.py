"""The tables of logs, and the functions that append to them and read."""

__all__ = ["SQL"]

SQL = r"""
CREATE TABLE isthmus.log (
  log int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name text COLLATE "C" NOT NULL UNIQUE,
  versioned boolean NOT NULL,
  retention float8,
  max_bytes bigint,
  compaction boolean NOT NULL
);
CREATE TABLE isthmus.part ( -- partitions
  part int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  log int NOT NULL,
  number int NOT NULL,
  tail bigint NOT NULL DEFAULT 0, -- the offset that is given next
  bytes bigint NOT NULL DEFAULT 0, -- of bodies and keys, of those that have an offset
  clean bigint NOT NULL DEFAULT 0, -- compaction went so far
  UNIQUE (log, number)
);
CREATE TABLE isthmus.record (
  seq bigint GENERATED ALWAYS AS IDENTITY,
  part int NOT NULL,
  place bigint, -- its offset, once it has been given one
  at float8 NOT NULL,
  version bigint, -- within the key; 0 of what compaction keeps, if there are no versions
  key text COLLATE "C" NOT NULL,
  size int NOT NULL, -- of the body; 0 is a tombstone
  packed bytea NOT NULL -- all of the message
) WITH (fillfactor = 85, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000);
CREATE UNIQUE INDEX record_place ON isthmus.record (part, place) WHERE place IS NOT NULL;
CREATE INDEX record_fresh ON isthmus.record (part, seq) WHERE place IS NULL;
CREATE INDEX record_key ON isthmus.record (part, key, version) WHERE version IS NOT NULL;
CREATE INDEX record_tombstone ON isthmus.record (part, place)
  WHERE version IS NOT NULL AND size = 0;
CREATE TABLE isthmus.head ( -- the last version of each key of logs that keep them
  log int NOT NULL,
  key text COLLATE "C" NOT NULL,
  version bigint NOT NULL,
  PRIMARY KEY (log, key)
);

-- Add records; those who add to one key of a versioned log do so in turn.
CREATE FUNCTION isthmus.append(
  _log int, versioned boolean, parts int[], keys text[], sizes int[], packs bytea[],
  expected_keys text[], expected_versions bigint[], moment float8
) RETURNS void LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE k text; many bigint; expected bigint; reached bigint; ks text[]; bases bigint[];
BEGIN
  IF NOT versioned THEN
    INSERT INTO isthmus.record (part, at, key, size, packed)
    SELECT r.part, moment, r.key, r.size, r.packed
    FROM unnest(parts, keys, sizes, packs) WITH ORDINALITY AS r(part, key, size, packed, nth)
    ORDER BY r.nth;
    RETURN;
  END IF;
  FOR k, many, expected IN
    SELECT u.key, coalesce(a.many, 0), e.version FROM (
      SELECT unnest(keys) AS key UNION SELECT unnest(expected_keys)) AS u
    LEFT JOIN (SELECT key, count(*) AS many FROM unnest(keys) AS key GROUP BY key) AS a
      ON a.key = u.key
    LEFT JOIN unnest(expected_keys, expected_versions) AS e(key, version) ON e.key = u.key
    ORDER BY u.key COLLATE "C"
  LOOP
    INSERT INTO isthmus.head AS h (log, key, version) VALUES (_log, k, many)
    ON CONFLICT (log, key) DO UPDATE SET version = h.version + many
    RETURNING version INTO reached;
    IF expected IS NOT NULL AND expected <> reached - many THEN
      PERFORM isthmus.conflict((SELECT name FROM isthmus.log WHERE log = _log) || '/' || k,
        format('is at version %s, not at %s as expected', reached - many, expected));
    END IF;
    ks := ks || k; bases := bases || (reached - many);
  END LOOP;
  INSERT INTO isthmus.record (part, at, version, key, size, packed)
  SELECT r.part, moment, b.base + r.rank, r.key, r.size, r.packed
  FROM (
    SELECT *, row_number() OVER (PARTITION BY u.key ORDER BY u.nth) AS rank
    FROM unnest(parts, keys, sizes, packs) WITH ORDINALITY AS u(part, key, size, packed, nth)
  ) AS r JOIN unnest(ks, bases) AS b(key, base) ON b.key = r.key
  ORDER BY r.nth;
END $$;

-- Give offsets to what has been committed, in the order in which it was added; to a bounded
-- number: return whether there may be more.
CREATE FUNCTION isthmus.sequence(_log int) RETURNS boolean LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE parts int[]; moved bigint;
BEGIN
  parts := ARRAY(SELECT part FROM isthmus.part WHERE log = _log);
  IF NOT EXISTS (SELECT 1 FROM isthmus.record WHERE place IS NULL AND part = ANY(parts)) THEN
    RETURN false;
  END IF;
  PERFORM pg_advisory_xact_lock(360120322, _log);
  WITH fresh AS MATERIALIZED ( -- nobody changes a record before it has its offset
    SELECT tid, p.tail + row_number() OVER (PARTITION BY f.part ORDER BY f.seq) - 1 AS place
    FROM (SELECT ctid AS tid, part, seq FROM isthmus.record
      WHERE place IS NULL AND part = ANY(parts) ORDER BY seq LIMIT 20000) AS f
    JOIN isthmus.part p ON p.part = f.part),
  placed AS (
    UPDATE isthmus.record AS r SET place = fresh.place FROM fresh WHERE r.ctid = fresh.tid
    RETURNING r.part, r.size + octet_length(r.key) AS bytes),
  grown AS (
    UPDATE isthmus.part AS p SET tail = p.tail + g.many, bytes = p.bytes + g.bytes
    FROM (SELECT part, count(*) AS many, sum(bytes) AS bytes FROM placed GROUP BY part) AS g
    WHERE p.part = g.part RETURNING g.many)
  SELECT coalesce(sum(many), 0) INTO moved FROM grown;
  RETURN moved = 20000;
END $$;

-- Read from each of these places on, at most `most` of all, in the order of the parts.
CREATE FUNCTION isthmus.pages(_log int, parts int[], places bigint[], most int)
RETURNS TABLE (part int, place bigint, at float8, version bigint, packed bytea)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE found_now int;
BEGIN
  PERFORM isthmus.sequence(_log);
  FOR i IN 1 .. coalesce(cardinality(parts), 0) LOOP
    EXIT WHEN most <= 0;
    RETURN QUERY SELECT r.part, r.place, r.at, coalesce(r.version, 0), r.packed
      FROM isthmus.record r
      WHERE r.part = parts[i] AND r.place >= places[i] AND r.place IS NOT NULL
      ORDER BY r.place LIMIT most;
    GET DIAGNOSTICS found_now = ROW_COUNT;
    most := most - found_now;
  END LOOP;
END $$;

-- Return the offset of the first record at that moment or later; the next one if there is none.
-- Records lie in the order of their moments, unless a clock went back.
CREATE FUNCTION isthmus.first_since(_part int, moment float8) RETURNS bigint LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE low bigint; high bigint; middle bigint; seen bigint; seen_at float8; last bigint;
BEGIN
  SELECT tail INTO last FROM isthmus.part WHERE part = _part;
  SELECT min(place) INTO low FROM isthmus.record WHERE part = _part AND place IS NOT NULL;
  high := last; low := coalesce(low, last);
  WHILE low < high LOOP
    middle := (low + high) / 2;
    SELECT place, at INTO seen, seen_at FROM isthmus.record
    WHERE part = _part AND place >= middle AND place < high ORDER BY place LIMIT 1;
    IF NOT FOUND OR seen_at >= moment THEN
      high := middle;
    ELSE
      low := seen + 1;
    END IF;
  END LOOP;
  SELECT min(place) INTO seen FROM isthmus.record WHERE part = _part AND place >= low;
  RETURN coalesce(seen, last);
END $$;

-- Return the first of these keys whose last version is another; 0 was none.
CREATE FUNCTION isthmus.changed_head(logs text[], keys text[], versions bigint[]) RETURNS text
LANGUAGE sql AS $$
  SELECT s.log || '/' || s.key FROM unnest(logs, keys, versions) AS s(log, key, version)
  WHERE s.version <> coalesce((SELECT h.version FROM isthmus.head h
    WHERE h.log = (SELECT l.log FROM isthmus.log l WHERE l.name = s.log) AND h.key = s.key), 0)
  LIMIT 1
$$;

-- Have nothing be added to these keys until the commit, or raise a conflict.
CREATE FUNCTION isthmus.keep_heads(logs text[], keys text[], versions bigint[]) RETURNS void
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE changed text; n int; k text;
BEGIN
  FOR n, k IN SELECT l.log, s.key FROM unnest(logs, keys) AS s(log, key)
      JOIN isthmus.log l ON l.name = s.log ORDER BY l.log, s.key COLLATE "C" LOOP
    PERFORM 1 FROM isthmus.head WHERE log = n AND key = k FOR NO KEY UPDATE;
    IF NOT FOUND THEN
      INSERT INTO isthmus.head (log, key, version) VALUES (n, k, 0) ON CONFLICT DO NOTHING;
      PERFORM 1 FROM isthmus.head WHERE log = n AND key = k FOR NO KEY UPDATE;
    END IF;
  END LOOP;
  changed := isthmus.changed_head(logs, keys, versions);
  IF changed IS NOT NULL THEN
    PERFORM isthmus.conflict(changed, 'has grown since it was read');
  END IF;
END $$;
"""
