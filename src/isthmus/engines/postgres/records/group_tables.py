"""The tables of groups, and the functions by which their members take turns.

A member owns a partition while the row says so, under an epoch that grows with every owner.
Members note that they are alive; whoever does so finds those who did not, and takes what is
free up to a fair share. Who owns more than that is asked to release it, in its own time.
"""

__all__ = ["SQL"]

SQL = r"""
CREATE TABLE isthmus.reader ( -- groups
  reader int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  log int NOT NULL,
  name text COLLATE "C" NOT NULL,
  generation bigint NOT NULL DEFAULT 0, -- grows when every member should look again
  UNIQUE (log, name)
);
CREATE TABLE isthmus.position (
  reader int NOT NULL,
  number int NOT NULL, -- of the partition
  next bigint NOT NULL, -- the offset where the group goes on
  owner text COLLATE "C" NOT NULL DEFAULT '',
  epoch bigint NOT NULL DEFAULT 0,
  PRIMARY KEY (reader, number)
) WITH (fillfactor = 50);
CREATE TABLE isthmus.member (
  seat bigint GENERATED ALWAYS AS IDENTITY, -- who came first has the lower one
  reader int NOT NULL,
  name text COLLATE "C" NOT NULL,
  until float8 NOT NULL,
  span float8 NOT NULL,
  PRIMARY KEY (reader, name)
) WITH (fillfactor = 50);

-- Note that a member is alive, bury those who are not, and let all look again if any came or went.
CREATE FUNCTION isthmus.sit(_reader int, _member text, _span float8, moment float8) RETURNS boolean
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE buried bigint; came boolean;
BEGIN
  PERFORM set_config('synchronous_commit', 'off', true); -- what is lost is found out and redone
  PERFORM 1 FROM isthmus.reader WHERE reader = _reader FOR UPDATE;
  UPDATE isthmus.member SET until = moment + span
  WHERE reader = _reader AND until > moment + span;
  WITH gone AS (DELETE FROM isthmus.member
    WHERE reader = _reader AND until <= moment AND name <> _member RETURNING 1)
  SELECT count(*) INTO buried FROM gone;
  UPDATE isthmus.member SET until = moment + _span, span = _span
  WHERE reader = _reader AND name = _member;
  came := NOT FOUND;
  IF came THEN
    INSERT INTO isthmus.member (reader, name, until, span)
    VALUES (_reader, _member, moment + _span, _span);
  END IF;
  IF came OR buried > 0 THEN
    UPDATE isthmus.reader SET generation = generation + 1 WHERE reader = _reader;
  END IF;
  RETURN came OR buried > 0;
END $$;

-- Sit, and take what is free up to a fair share: who comes last takes from others as few as can
-- be, and when one goes, no share shrinks. Return what the member owns, and one row more, with
-- no number: whether others should look, the generation, and when another's session ends.
CREATE FUNCTION isthmus.attend(_reader int, _member text, _span float8, moment float8)
RETURNS TABLE (
  number int, next bigint, epoch bigint, revoked boolean, turned boolean, generation bigint,
  due float8
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE many int; rank int; total int; share int; mine int[]; free int[]; turn boolean;
BEGIN
  turn := isthmus.sit(_reader, _member, _span, moment);
  SELECT count(*), count(*) FILTER (WHERE m.seat < own.seat) INTO many, rank
  FROM isthmus.member m, (SELECT seat FROM isthmus.member
    WHERE reader = _reader AND name = _member) AS own WHERE m.reader = _reader;
  SELECT count(*), coalesce(array_agg(p.number ORDER BY p.number)
      FILTER (WHERE p.owner = _member), '{}'),
    coalesce(array_agg(p.number ORDER BY p.number) FILTER (WHERE m.name IS NULL), '{}')
  INTO total, mine, free
  FROM isthmus.position p LEFT JOIN isthmus.member m ON m.reader = p.reader AND m.name = p.owner
  WHERE p.reader = _reader;
  share := total / many + (rank < total % many)::int;
  free := free[1 : greatest(0, share - cardinality(mine))];
  IF cardinality(free) > 0 THEN
    -- waits for transactions that fence these, and reads what they committed
    PERFORM 1 FROM isthmus.position p WHERE p.reader = _reader AND p.number = ANY(free)
    ORDER BY p.number FOR UPDATE;
    UPDATE isthmus.position p SET owner = _member, epoch = p.epoch + 1
    WHERE p.reader = _reader AND p.number = ANY(free);
    UPDATE isthmus.reader SET generation = generation + 1 WHERE reader = _reader;
    turn := true;
  END IF;
  RETURN QUERY SELECT p.number, p.next, p.epoch,
    p.number = ANY(mine[share + 1 : cardinality(mine)]), NULL::boolean, NULL::bigint, NULL::float8
  FROM isthmus.position p WHERE p.reader = _reader AND p.owner = _member;
  RETURN QUERY SELECT NULL::int, NULL::bigint, NULL::bigint, NULL::boolean, turn, r.generation,
    (SELECT min(m.until) FROM isthmus.member m WHERE m.reader = _reader AND m.name <> _member)
  FROM isthmus.reader r WHERE r.reader = _reader;
END $$;

-- Let a transaction go on only if a member still owns these; set where the group goes on, but
-- where there is nothing to set, wait for nobody who does so too.
CREATE FUNCTION isthmus.fence(
  _reader int, _member text, numbers int[], epochs bigint[], nexts bigint[]
) RETURNS void LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE lost int[] := '{}'; i int;
BEGIN
  FOR i IN SELECT n.nth FROM unnest(numbers) WITH ORDINALITY AS n(number, nth) ORDER BY n.number
  LOOP
    IF nexts[i] IS NULL THEN
      PERFORM 1 FROM isthmus.position WHERE reader = _reader AND number = numbers[i]
        AND owner = _member AND epoch = epochs[i] FOR KEY SHARE;
    ELSE
      UPDATE isthmus.position SET next = nexts[i] WHERE reader = _reader AND number = numbers[i]
        AND owner = _member AND epoch = epochs[i];
    END IF;
    IF NOT FOUND THEN
      lost := lost || numbers[i];
    END IF;
  END LOOP;
  IF cardinality(lost) > 0 THEN
    RAISE EXCEPTION 'a partition was lost' USING ERRCODE = 'IS003', DETAIL = array_to_json(lost);
  END IF;
END $$;

-- Hand partitions over; leave the group too if the member is `leaving`.
CREATE FUNCTION isthmus.release(
  _reader int, _member text, numbers int[], epochs bigint[], leaving boolean
) RETURNS void LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
  PERFORM 1 FROM isthmus.reader WHERE reader = _reader FOR UPDATE;
  UPDATE isthmus.position AS p SET owner = ''
  FROM unnest(numbers, epochs) AS n(number, epoch)
  WHERE p.reader = _reader AND p.number = n.number AND p.owner = _member AND p.epoch = n.epoch;
  IF leaving THEN
    DELETE FROM isthmus.member WHERE reader = _reader AND name = _member;
  END IF;
  UPDATE isthmus.reader SET generation = generation + 1 WHERE reader = _reader;
END $$;

-- Set where a group goes on, and take these partitions from whoever owns them.
CREATE FUNCTION isthmus.seek(_reader int, numbers int[], nexts bigint[]) RETURNS void
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
  PERFORM 1 FROM isthmus.reader WHERE reader = _reader FOR UPDATE;
  PERFORM 1 FROM isthmus.position WHERE reader = _reader AND number = ANY(numbers)
  ORDER BY number FOR UPDATE;
  INSERT INTO isthmus.position AS p (reader, number, next)
  SELECT _reader, n.number, n.next FROM unnest(numbers, nexts) AS n(number, next)
  ORDER BY n.number
  ON CONFLICT (reader, number) DO UPDATE SET next = excluded.next, owner = '';
  UPDATE isthmus.reader SET generation = generation + 1 WHERE reader = _reader;
END $$;
"""
