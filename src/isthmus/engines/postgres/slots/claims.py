"""The functions that hand messages out, and that drop them."""

__all__ = ["SQL"]

SQL = r"""
-- Let what is due by now be handed out. Those a rival has just locked, it lets itself.
CREATE FUNCTION isthmus.let_due(_sub int, moment float8) RETURNS void LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE moved int;
BEGIN
  FOR round IN 1 .. 10 LOOP
    UPDATE isthmus.slot SET state = 0 WHERE sub = _sub AND seq = ANY(ARRAY(
      SELECT d.seq FROM isthmus.slot d WHERE d.sub = _sub AND d.state = 1 AND d.ready_at <= moment
      ORDER BY d.ready_at LIMIT 1000 FOR UPDATE SKIP LOCKED));
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
      SELECT c.seq FROM isthmus.slot c WHERE c.sub = _sub AND c.state = 0
      ORDER BY c.priority DESC, c.seq LIMIT most FOR UPDATE SKIP LOCKED)
    UPDATE isthmus.slot AS s SET state = 1, token = _token, span = _span, ready_at = moment + _span,
      attempt = s.attempt + (s.token IS NOT NULL)::int,
      lapses = s.lapses + (s.token IS NOT NULL)::int
    FROM next WHERE s.sub = _sub AND s.seq = next.seq
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
  WITH gone AS (
    DELETE FROM isthmus.slot WHERE sub = _sub AND seq = ANY(ARRAY(
      SELECT f.seq FROM isthmus.slot f WHERE f.sub = _sub AND f.seq = ANY(seqs)
        AND (f.token IS NULL OR f.ready_at <= moment)
      ORDER BY f.seq FOR UPDATE SKIP LOCKED))
    RETURNING line)
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
    SELECT seq FROM isthmus.slot WHERE sub = _sub AND id = ANY(ids)), moment);
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
