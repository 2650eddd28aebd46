"""The functions that hand messages out, and that drop them."""

__all__ = ["SQL"]

SQL = r"""
-- Let what is due by now be handed out. Those a rival has just locked, it lets itself.
CREATE FUNCTION isthmus.let_due(_sub int, moment float8) RETURNS void LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE moved int;
BEGIN
  FOR round IN 1 .. 10 LOOP
    WITH due AS MATERIALIZED (
      SELECT d.sub, d.seq FROM isthmus.slot d
      WHERE d.sub = _sub AND d.state = 1 AND d.ready_at <= moment
      ORDER BY d.ready_at LIMIT 1000 FOR UPDATE SKIP LOCKED)
    UPDATE isthmus.slot AS s SET state = 0 FROM due WHERE s.sub = due.sub AND s.seq = due.seq;
    GET DIAGNOSTICS moved = ROW_COUNT;
    EXIT WHEN moved < 1000;
  END LOOP;
END $$;

-- Lease at most `most`: those of higher priority, and those sent first, before others. If there
-- are none, one row tells when something is due.
CREATE FUNCTION isthmus.claim(_sub int, most int, _token bigint, moment float8, _span float8)
RETURNS TABLE (
  seq bigint, priority smallint, attempt int, lapses int, added text, packed bytea, due float8
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
  PERFORM set_config('synchronous_commit', 'off', true); -- a claim that is lost is made anew
  PERFORM isthmus.let_due(_sub, moment);
  RETURN QUERY
    WITH next AS MATERIALIZED (
      SELECT c.sub, c.seq FROM isthmus.slot c WHERE c.sub = _sub AND c.state = 0
      ORDER BY c.priority DESC, c.seq LIMIT most FOR UPDATE SKIP LOCKED)
    UPDATE isthmus.slot AS s SET state = 1, token = _token, span = _span, ready_at = moment + _span,
      attempt = s.attempt + (s.token IS NOT NULL)::int,
      lapses = s.lapses + (s.token IS NOT NULL)::int
    FROM next WHERE s.sub = next.sub AND s.seq = next.seq
    RETURNING s.seq, s.priority, s.attempt, s.lapses, s.added::text, s.packed, NULL::float8;
  IF NOT FOUND THEN
    RETURN QUERY SELECT NULL::bigint, NULL::smallint, NULL::int, NULL::int, NULL::text,
      NULL::bytea, (SELECT min(d.ready_at) FROM isthmus.slot d WHERE d.sub = _sub AND d.state = 1);
  END IF;
END $$;

-- The clock went back: no lease lasts longer than it was given for, and what is not due is not.
CREATE FUNCTION isthmus.cut_leases(moment float8) RETURNS void LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
  UPDATE isthmus.slot SET ready_at = moment + span
  WHERE state = 1 AND token IS NOT NULL AND ready_at > moment + span;
END $$;

CREATE FUNCTION isthmus.step_back(moment float8) RETURNS void LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
  UPDATE isthmus.slot SET state = 1,
    ready_at = CASE WHEN token IS NULL THEN ready_at ELSE least(ready_at, moment + span) END
  WHERE state = 0 AND ready_at > moment;
  PERFORM isthmus.cut_leases(moment);
END $$;

-- Drop those of these slots that nobody holds; return how many went.
CREATE FUNCTION isthmus.clear(_sub int, seqs bigint[], moment float8) RETURNS bigint
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE went bigint; lines text[];
BEGIN
  WITH free AS MATERIALIZED (
    SELECT f.sub, f.seq FROM (SELECT _sub AS sub, unnest(seqs) AS seq OFFSET 0) AS n
    JOIN isthmus.slot f ON f.sub = n.sub AND f.seq = n.seq
    WHERE f.token IS NULL OR f.ready_at <= moment
    ORDER BY f.seq FOR UPDATE OF f SKIP LOCKED),
  gone AS (
    DELETE FROM isthmus.slot AS s USING free WHERE s.sub = free.sub AND s.seq = free.seq
    RETURNING s.line)
  SELECT count(*), array_agg(line) FILTER (WHERE line IS NOT NULL) INTO went, lines FROM gone;
  IF lines IS NOT NULL THEN
    PERFORM isthmus.let_next(array_fill(_sub, ARRAY[cardinality(lines)]), lines);
  END IF;
  RETURN went;
END $$;

CREATE FUNCTION isthmus.remove(_sub int, ids text[], moment float8) RETURNS bigint
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
  RETURN isthmus.clear(_sub, ARRAY(
    SELECT DISTINCT s.seq FROM (SELECT _sub AS sub, unnest(ids) AS id OFFSET 0) AS n
    JOIN isthmus.slot s ON s.sub = n.sub AND s.id = n.id), moment);
END $$;

-- Drop, oldest first, what is beyond these limits and not held, looking at `most`.
CREATE FUNCTION isthmus.shorten(
  _sub int, retention float8, max_length bigint, moment float8, most int
) RETURNS bigint LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE surplus bigint := 0; outdated bigint[];
BEGIN
  IF max_length IS NOT NULL THEN
    SELECT count(*) - max_length INTO surplus FROM isthmus.slot WHERE sub = _sub;
  END IF;
  SELECT array_agg(o.seq ORDER BY o.seq) INTO outdated FROM (
    SELECT seq, bool_and(rank <= surplus OR coalesce(sent_at + retention <= moment, false))
        OVER (ORDER BY seq) AS beyond
    FROM (
      SELECT seq, sent_at, row_number() OVER (ORDER BY seq) AS rank FROM (
        SELECT seq, sent_at FROM isthmus.slot WHERE sub = _sub ORDER BY seq LIMIT most) AS first
    ) AS ranked) AS o
  WHERE o.beyond;
  RETURN isthmus.clear(_sub, coalesce(outdated, '{}'), moment);
END $$;
"""
