"""The tables of subscriptions and of their messages, and the functions that send and settle."""

__all__ = ["SQL"]

SQL = r"""
CREATE TABLE isthmus.subscription (
  sub int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  topic text COLLATE "C" NOT NULL,
  name text COLLATE "C" NOT NULL,
  ordered boolean NOT NULL,
  retention float8,
  max_length bigint,
  UNIQUE (topic, name)
);
CREATE TABLE isthmus.dropped (sub int PRIMARY KEY); -- what was undeclared, and may have slots
CREATE TABLE isthmus.slot (
  seq bigint GENERATED ALWAYS AS IDENTITY, -- its place in the order of sending
  sub int NOT NULL,
  state smallint NOT NULL, -- 0: may be handed out, 1: at ready_at, 2: waits for its key's first
  priority smallint NOT NULL,
  attempt int NOT NULL DEFAULT 1,
  lapses int NOT NULL DEFAULT 0,
  token bigint, -- of the delivery that holds it, or that lapsed
  ready_at float8 NOT NULL, -- end of the delay, or of the lease; 0 for at once
  span float8 NOT NULL DEFAULT 0, -- of the lease
  sent_at float8 NOT NULL,
  line text COLLATE "C", -- the key, if the subscription is ordered and there is one
  id text COLLATE "C" NOT NULL,
  added jsonb, -- headers that were added since
  packed bytea NOT NULL, -- all of the message
  PRIMARY KEY (sub, seq)
) WITH (
  fillfactor = 85, -- most rows change once, when they are claimed
  autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000,
  autovacuum_vacuum_cost_delay = 0
);
CREATE INDEX slot_ready ON isthmus.slot (sub, priority DESC, seq) WHERE state = 0;
CREATE INDEX slot_due ON isthmus.slot (sub, ready_at) WHERE state = 1;
CREATE INDEX slot_line ON isthmus.slot (sub, line, seq) WHERE line IS NOT NULL;
CREATE INDEX slot_id ON isthmus.slot (sub, id);

-- Let nobody else send to, or settle the first of, these keys until the commit. There are 256
-- locks for all keys of a subscription, or a large batch would need more than the server has.
CREATE FUNCTION isthmus.lock_lines(subs int[], lines text[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(-l.sub, l.part) FROM (
    SELECT DISTINCT u.sub, hashtext(u.line) & 255 AS part FROM unnest(subs, lines) AS u(sub, line)
    WHERE u.line IS NOT NULL ORDER BY 1, 2) AS l;
END $$;

CREATE FUNCTION isthmus.send(
  topics text[], delays float8[], ids text[], keys text[], priorities smallint[], packs bytea[],
  moment float8
) RETURNS void LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE subs int[]; lines text[];
BEGIN
  IF NOT EXISTS (
      SELECT 1 FROM isthmus.subscription WHERE topic = ANY(topics) AND ordered) THEN
    INSERT INTO isthmus.slot (sub, state, priority, ready_at, sent_at, id, packed)
    SELECT s.sub, (m.delay > 0)::int, m.priority,
      CASE WHEN m.delay > 0 THEN moment + m.delay ELSE 0 END, moment, m.id, m.packed
    FROM unnest(topics, delays, ids, priorities, packs) WITH ORDINALITY
      AS m(topic, delay, id, priority, packed, place)
    JOIN isthmus.subscription s ON s.topic = m.topic ORDER BY m.place;
    RETURN;
  END IF;
  SELECT array_agg(s.sub), array_agg(m.key) INTO subs, lines
  FROM unnest(topics, keys) AS m(topic, key) JOIN isthmus.subscription s ON s.topic = m.topic
  WHERE s.ordered AND m.key <> '';
  PERFORM isthmus.lock_lines(subs, lines);
  INSERT INTO isthmus.slot (sub, state, priority, ready_at, sent_at, line, id, packed)
  SELECT m.sub,
    CASE WHEN m.line IS NOT NULL AND (m.rank > 1 OR (
        SELECT 1 FROM isthmus.slot e WHERE e.sub = m.sub AND e.line = m.line LIMIT 1) = 1) THEN 2
      ELSE (m.delay > 0)::int END,
    m.priority, CASE WHEN m.delay > 0 THEN moment + m.delay ELSE 0 END, moment,
    m.line, m.id, m.packed
  FROM (
    SELECT s.sub, u.delay, u.id, u.packed, u.place,
      CASE WHEN s.ordered THEN 0 ELSE u.priority END AS priority,
      CASE WHEN s.ordered AND u.key <> '' THEN u.key END AS line,
      row_number() OVER (PARTITION BY s.sub, u.key ORDER BY u.place) AS rank
    FROM unnest(topics, delays, ids, keys, priorities, packs) WITH ORDINALITY
      AS u(topic, delay, id, key, priority, packed, place)
    JOIN isthmus.subscription s ON s.topic = u.topic) AS m
  ORDER BY m.place;
END $$;

-- What stood first of these keys is gone: let the next of each be handed out.
CREATE FUNCTION isthmus.let_next(subs int[], lines text[]) RETURNS void LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
  PERFORM isthmus.lock_lines(subs, lines);
  UPDATE isthmus.slot AS s SET state = (s.ready_at > 0)::int
  FROM (
    SELECT l.sub, (SELECT min(e.seq) FROM isthmus.slot e WHERE e.sub = l.sub AND e.line = l.line)
      AS seq
    FROM (SELECT DISTINCT u.sub, u.line FROM unnest(subs, lines) AS u(sub, line)
      WHERE u.line IS NOT NULL) AS l) AS first
  WHERE s.sub = first.sub AND s.seq = first.seq AND s.state = 2;
END $$;

-- End deliveries: a NULL delay acknowledges. Return the places, from 1, of what is stale; if it
-- has to be whole, raise instead.
CREATE FUNCTION isthmus.settle(
  subs int[], seqs bigint[], tokens bigint[], delays float8[], counted int[], headers text[],
  receipts text[], whole boolean, moment float8
) RETURNS bigint[] LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE done bigint[]; again bigint[]; gone_subs int[]; gone_lines text[]; stale bigint[];
BEGIN
  WITH gone AS (
    DELETE FROM isthmus.slot AS s
    USING unnest(subs, seqs, tokens, delays) WITH ORDINALITY AS w(sub, seq, token, delay, place)
    WHERE s.sub = w.sub AND s.seq = w.seq AND s.token = w.token AND w.delay IS NULL
    RETURNING w.place, s.sub, s.line)
  SELECT array_agg(place), array_agg(sub) FILTER (WHERE line IS NOT NULL),
    array_agg(line) FILTER (WHERE line IS NOT NULL) INTO done, gone_subs, gone_lines FROM gone;
  IF array_position(delays, NULL) IS NULL OR coalesce(cardinality(done), 0) < cardinality(seqs) THEN
    WITH back AS (
      UPDATE isthmus.slot AS s SET token = NULL, attempt = s.attempt + w.counted,
        state = (w.delay > 0)::int,
        ready_at = CASE WHEN w.delay > 0 THEN moment + w.delay ELSE 0 END,
        added = CASE WHEN w.headers IS NULL THEN s.added
          ELSE coalesce(s.added, '{}') || w.headers::jsonb END
      FROM unnest(subs, seqs, tokens, delays, counted, headers) WITH ORDINALITY
        AS w(sub, seq, token, delay, counted, headers, place)
      WHERE s.sub = w.sub AND s.seq = w.seq AND s.token = w.token AND w.delay IS NOT NULL
      RETURNING w.place)
    SELECT array_agg(place) INTO again FROM back;
    done := done || again;
  END IF;
  IF gone_lines IS NOT NULL THEN
    PERFORM isthmus.let_next(gone_subs, gone_lines);
  END IF;
  IF coalesce(cardinality(done), 0) = cardinality(seqs) THEN
    RETURN '{}';
  END IF;
  SELECT array_agg(place ORDER BY place) INTO stale
  FROM generate_series(1, cardinality(seqs)) AS place
  WHERE done IS NULL OR place <> ALL (done);
  IF whole THEN
    RAISE EXCEPTION 'a lease was lost' USING ERRCODE = 'IS002',
      DETAIL = (SELECT json_agg(receipts[place]) FROM unnest(stale) AS place);
  END IF;
  RETURN stale;
END $$;

-- Hold deliveries until then; return the places, from 1, of what is stale.
CREATE FUNCTION isthmus.extend(
  _sub int, seqs bigint[], tokens bigint[], moment float8, _span float8
) RETURNS bigint[] LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE done bigint[];
BEGIN
  PERFORM set_config('synchronous_commit', 'off', true); -- a lease that is lost is taken anew
  WITH held AS (
    UPDATE isthmus.slot AS s SET ready_at = moment + _span, span = _span, state = 1
    FROM (SELECT _sub AS sub, u.* FROM unnest(seqs, tokens) WITH ORDINALITY
      AS u(seq, token, place) OFFSET 0) AS w
    WHERE s.sub = w.sub AND s.seq = w.seq AND s.token = w.token
    RETURNING w.place)
  SELECT array_agg(place) INTO done FROM held;
  RETURN ARRAY(SELECT place FROM generate_series(1, cardinality(seqs)) AS place
    WHERE done IS NULL OR place <> ALL (done) ORDER BY place);
END $$;
"""
