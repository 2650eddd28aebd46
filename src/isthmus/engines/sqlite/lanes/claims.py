"""Claims: who is handed out next.

Higher lanes first; within one, by id: what was sent first. Ranges whose lease
ran out and singles that are due stand beside what is fresh, so an old message
that comes back goes first, and a delayed one takes its own place.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import NamedTuple

import msgspec

from isthmus.engines.sqlite.database.connection import Connection
from isthmus.engines.sqlite.lanes.lanes import Lane, first_due, lanes_of
from isthmus.engines.sqlite.lanes.leases import Receipt

__all__ = ["Claim", "Claimed", "Row"]

_RANGE = """
SELECT id, ?, packed, ?, ? FROM isthmus_message
WHERE id BETWEEN ? AND ? ORDER BY id LIMIT ?
"""
_HEAD = "UPDATE isthmus_lane SET head = ?, ready = ? WHERE lane = ?"
_LEASE = "INSERT INTO isthmus_lease VALUES (?1, ?2, ?3, ?4, ?5, ?5, ?6 + ?7, ?7, ?8)"
_LAPSED = """
SELECT token, first, last, left, lapses + 1 FROM isthmus_lease
WHERE lane = ? AND until <= ? ORDER BY first LIMIT ?
"""
_CARVE = "UPDATE isthmus_lease SET first = ?, taken = taken - ?, left = left - ? WHERE token = ?"
_END = "DELETE FROM isthmus_lease WHERE token = ?"
_DUE = """
SELECT id FROM (
  SELECT id FROM isthmus_single WHERE lane = ? AND blocked = 0 AND ready_at <= ?
  ORDER BY ready_at LIMIT ?)
ORDER BY id LIMIT ?
"""
_TAKE_SINGLES = """
UPDATE isthmus_single SET attempt = attempt + (token <> 0), lapses = lapses + (token <> 0),
  token = ?1, ready_at = ?2 + ?3, span = ?3
WHERE id IN (SELECT value FROM json_each(?4))
RETURNING id, token, packed, attempt, lapses
"""

Row = tuple[int, int, bytes, int, int]
"""id, token, packed, attempt, lapses"""


class Claimed(NamedTuple):
    rows: Sequence[Row]
    settled: Sequence[Receipt]
    """Those of the doubtful that are no longer held."""
    due_at: float
    """When to look again, if there are no rows."""


class _Lapsed(NamedTuple):
    """A range whose lease ran out; its holder may settle what nobody took since."""

    token: int
    first: int
    last: int
    left: int
    lapses: int
    """With this one."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Lease at most `most` messages of `sub` for `span`, and return them in order."""

    sub: int
    most: int
    room: int
    doubtful: Sequence[Receipt]
    """`room` may be larger: by those of these that a transaction has settled."""
    now: float
    span: float
    fresh_first: bool = False
    """Half of it for what is fresh: those that come back have had their turns."""

    def __call__(self, db: Connection) -> Claimed:
        settled = [receipt for receipt in self.doubtful if not receipt.is_live(db)]
        most = min(self.most, self.room + len(settled))
        lanes = lanes_of(db, self.sub)
        rows: list[Row] = []
        for lane in lanes if most > 0 else ():
            rows += self._claim(db, lane, most - len(rows))
            if len(rows) >= most:
                break
        return Claimed(rows, settled, first_due(lanes) if most > 0 else inf)

    def _claim(self, db: Connection, lane: Lane, most: int) -> list[Row]:
        lapsed = self._find_lapsed(db, lane, most)
        due = self._find_due(db, lane, most)
        fresh = self._find_fresh(db, lane, most)
        back = [*due, *(row[0] for _, rows in lapsed for row in rows)]
        if not back:
            return self._take_fresh(db, lane, fresh)
        chosen = self._choose(back, [row[0] for row in fresh], most)
        taken = self._take_fresh(db, lane, _only(chosen, fresh))
        for range_, rows in lapsed:
            taken += self._take_lapsed(db, lane, range_, _only(chosen, rows))
        taken += self._take_singles(db, chosen.intersection(due))
        return sorted(taken)

    def _choose(self, back: Sequence[int], fresh: Sequence[int], most: int) -> set[int]:
        if not self.fresh_first:
            return set(sorted([*back, *fresh])[:most])
        kept = fresh[: max(most - len(back), most - most // 2)]
        return {*kept, *sorted(back)[: most - len(kept)]}

    # --- what was never handed out

    def _find_fresh(self, db: Connection, lane: Lane, most: int) -> list[Row]:
        if not lane.ready:
            return []
        first = max(lane.head, lane.first)
        return db.execute(_RANGE, (_token(), 1, 0, first, lane.last, most)).fetchall()

    def _take_fresh(self, db: Connection, lane: Lane, rows: list[Row]) -> list[Row]:
        if rows:
            db.execute(_HEAD, (rows[-1][0] + 1, lane.ready - len(rows), lane.number))
            self._lease(db, lane, rows)
        return rows

    def _lease(self, db: Connection, lane: Lane, rows: Sequence[Row]) -> None:
        (first, token, *_, lapses), last = rows[0], rows[-1][0]
        db.execute(
            _LEASE, (token, lane.number, first, last, len(rows), self.now, self.span, lapses)
        )

    # --- ranges whose lease ran out

    def _find_lapsed(
        self, db: Connection, lane: Lane, most: int
    ) -> list[tuple[_Lapsed, list[Row]]]:
        if lane.lapse_at > self.now:
            return []
        found: list[tuple[_Lapsed, list[Row]]] = []
        for row in db.execute(_LAPSED, (lane.number, self.now, most)).fetchall():
            if most <= 0:
                break
            lapsed = _Lapsed(*row)
            rows = db.execute(
                _RANGE,
                (_token(), 1 + lapsed.lapses, lapsed.lapses, lapsed.first, lapsed.last, most),
            ).fetchall()
            found.append((lapsed, rows))
            most -= len(rows)
        return found

    def _take_lapsed(
        self, db: Connection, lane: Lane, lapsed: _Lapsed, rows: list[Row]
    ) -> list[Row]:
        count = len(rows)
        if count == lapsed.left:
            db.execute(_END, (lapsed.token,))
        elif rows:
            db.execute(_CARVE, (rows[-1][0] + 1, count, count, lapsed.token))
        if rows:
            self._lease(db, lane, rows)
        return rows

    # --- singles

    def _find_due(self, db: Connection, lane: Lane, most: int) -> list[int]:
        """Those sent first, of those that have been due longest."""
        if lane.single_at > self.now:
            return []
        look = max(64, 4 * most)
        return [row[0] for row in db.execute(_DUE, (lane.number, self.now, look, most)).fetchall()]

    def _take_singles(self, db: Connection, ids: set[int]) -> list[Row]:
        if not ids:
            return []
        which = msgspec.json.encode(ids).decode()
        return db.execute(_TAKE_SINGLES, (_token(), self.now, self.span, which)).fetchall()


def _token() -> int:
    return secrets.randbits(62) + 1


def _only(chosen: set[int], rows: list[Row]) -> list[Row]:
    return [row for row in rows if row[0] in chosen]
