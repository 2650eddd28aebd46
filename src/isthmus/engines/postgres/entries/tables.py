"""The table of entries, and the functions that change it.

A function's statements see what was committed before each of them, so that one may lock a row
and the next read what its former holder left there.
"""

__all__ = ["SQL"]

SQL = r"""
CREATE TABLE isthmus.entry (
  space text COLLATE "C" NOT NULL,
  key text COLLATE "C" NOT NULL,
  value bytea NOT NULL,
  version bigint NOT NULL, -- 0: nothing is there, but somebody needed a row to lock
  until float8 NOT NULL,
  PRIMARY KEY (space, key)
);
CREATE INDEX entry_until ON isthmus.entry (until) WHERE until < 'infinity';

CREATE FUNCTION isthmus.conflict(subject text, what text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% %', subject, what USING ERRCODE = 'IS001', DETAIL = subject;
END $$;

-- Put entries that must be absent, each key once: the way of an inbox.
CREATE FUNCTION isthmus.put_absent(
  spaces text[], keys text[], vals bytea[], untils float8[], moment float8
) RETURNS void LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE added_spaces text[]; added_keys text[];
BEGIN
  WITH added AS (
    INSERT INTO isthmus.entry AS e (space, key, value, version, until)
    SELECT p.space, p.key, p.val, 1, p.til
    FROM unnest(spaces, keys, vals, untils) AS p(space, key, val, til)
    ORDER BY p.space COLLATE "C", p.key COLLATE "C"
    ON CONFLICT (space, key) DO UPDATE
      SET value = excluded.value, version = 1, until = excluded.until WHERE e.until <= moment
    RETURNING space, key)
  SELECT array_agg(space), array_agg(key) INTO added_spaces, added_keys FROM added;
  IF coalesce(cardinality(added_keys), 0) < cardinality(keys) THEN
    PERFORM isthmus.conflict(taken.space || '/' || taken.key, 'is there already') FROM (
      SELECT * FROM unnest(spaces, keys) AS p(space, key)
      EXCEPT SELECT * FROM unnest(added_spaces, added_keys) LIMIT 1) AS taken;
  END IF;
END $$;

-- Apply puts in turn: a NULL value deletes; versions are NULL for any, 0 for absence.
CREATE FUNCTION isthmus.put(
  spaces text[], keys text[], vals bytea[], versions bigint[], untils float8[], moment float8
) RETURNS void LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE wanted bigint; val bytea; s text; k text;
BEGIN
  FOR i IN 1 .. cardinality(keys) LOOP
    s := spaces[i]; k := keys[i]; val := vals[i]; wanted := versions[i];
    IF val IS NULL THEN
      IF wanted = 0 THEN
        PERFORM 1 FROM isthmus.entry WHERE space = s AND key = k AND until > moment FOR UPDATE;
        IF FOUND THEN
          PERFORM isthmus.conflict(s || '/' || k, 'is there, and should not be');
        END IF;
      ELSE
        DELETE FROM isthmus.entry WHERE space = s AND key = k
          AND (wanted IS NULL OR (version = wanted AND until > moment));
      END IF;
    ELSIF wanted IS NULL OR wanted = 0 THEN
      INSERT INTO isthmus.entry AS e (space, key, value, version, until)
      VALUES (s, k, val, 1, untils[i])
      ON CONFLICT (space, key) DO UPDATE SET value = excluded.value, until = excluded.until,
        version = CASE WHEN e.until <= moment THEN 1 ELSE e.version + 1 END
        WHERE wanted IS NULL OR e.until <= moment;
    ELSE
      UPDATE isthmus.entry SET value = val, until = untils[i], version = version + 1
      WHERE space = s AND key = k AND version = wanted AND until > moment;
    END IF;
    IF NOT FOUND AND wanted IS NOT NULL AND NOT (val IS NULL AND wanted = 0) THEN
      PERFORM isthmus.conflict(s || '/' || k, 'is not at version ' || wanted);
    END IF;
  END LOOP;
END $$;

-- Return the first entry that is not as it was seen; version 0 was none.
CREATE FUNCTION isthmus.changed_entry(
  spaces text[], keys text[], versions bigint[], digests text[], moments float8[]
) RETURNS text LANGUAGE sql AS $$
  SELECT s.space || '/' || s.key
  FROM unnest(spaces, keys, versions, digests, moments) AS s(space, key, version, digest, moment)
  LEFT JOIN LATERAL (SELECT version, value FROM isthmus.entry
    WHERE space = s.space AND key = s.key AND until > s.moment LIMIT 1) AS e ON true
  WHERE coalesce(e.version, 0) <> s.version OR (s.version > 0 AND md5(e.value) <> s.digest)
  LIMIT 1
$$;

-- Have the entries stay as they were seen until the commit, or raise a conflict.
CREATE FUNCTION isthmus.keep_entries(
  spaces text[], keys text[], versions bigint[], digests text[], moments float8[], writes boolean[]
) RETURNS void LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE changed text; i int;
BEGIN
  INSERT INTO isthmus.entry (space, key, value, version, until)
  SELECT s.space, s.key, '', 0, '-infinity' FROM unnest(spaces, keys) AS s(space, key)
  WHERE (SELECT 1 FROM isthmus.entry e WHERE e.space = s.space AND e.key = s.key) IS NULL
  ORDER BY s.space COLLATE "C", s.key COLLATE "C"
  ON CONFLICT DO NOTHING;
  FOR i IN SELECT s.place FROM unnest(spaces, keys) WITH ORDINALITY AS s(space, key, place)
      ORDER BY s.space COLLATE "C", s.key COLLATE "C" LOOP
    IF writes[i] THEN
      PERFORM 1 FROM isthmus.entry WHERE space = spaces[i] AND key = keys[i] FOR UPDATE;
    ELSE
      PERFORM 1 FROM isthmus.entry WHERE space = spaces[i] AND key = keys[i] FOR SHARE;
    END IF;
  END LOOP;
  changed := isthmus.changed_entry(spaces, keys, versions, digests, moments);
  IF changed IS NOT NULL THEN
    PERFORM isthmus.conflict(changed, 'has changed since it was read');
  END IF;
END $$;

-- Wake who waits for these, once the transaction has committed.
CREATE FUNCTION isthmus.tell(channels bigint[]) RETURNS void LANGUAGE sql AS $$
  SELECT pg_notify('isthmus', number::text) FROM unnest(channels) AS number
$$;
"""
