"""What lies in a subscription, seen without taking it."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import merge
from itertools import islice
from typing import Any, NamedTuple

from isthmus.contracts import QueueStats, Waiting
from isthmus.engines.sqlite.database.connection import Connection
from isthmus.engines.sqlite.lanes.lanes import Lane, lanes_of, number_of
from isthmus.engines.sqlite.packing import unpack

__all__ = ["Place", "browse", "count", "oldest"]

_LEASES = """
SELECT first, last, until, lapses FROM isthmus_lease WHERE lane = ? ORDER BY first
"""
_HELD = """
SELECT ifnull(sum(left), 0), ifnull(sum(left) FILTER (WHERE until > ?), 0)
FROM isthmus_lease WHERE lane = ?
"""
_HELD_APART = """
SELECT count(*) FROM isthmus_single WHERE lane = ? AND token <> 0 AND ready_at > ?
"""
_SIDE = """
SELECT count(*) FROM (
  SELECT 1 FROM isthmus_single WHERE lane = ?1 AND blocked = 0 AND ready_at {sign} ?2
  UNION ALL
  SELECT 1 FROM isthmus_single WHERE lane = ?1 AND blocked = 1 AND ready_at {sign} ?2
  LIMIT ?3)
"""
_DUE, _LATER = _SIDE.format(sign="<="), _SIDE.format(sign=">")
_OLDEST = """
SELECT min(sent_at) FROM (
  SELECT sent_at FROM (
    SELECT sent_at FROM isthmus_message WHERE id BETWEEN ?3 AND ?4 ORDER BY id LIMIT 1)
  UNION ALL
  SELECT (SELECT sent_at FROM isthmus_message WHERE id BETWEEN first AND last ORDER BY id LIMIT 1)
    FROM isthmus_lease WHERE lane = ?1 AND until <= ?2
  UNION ALL
  SELECT sent_at FROM isthmus_single WHERE id IN (
    SELECT min(id) FROM (
      SELECT id FROM isthmus_single WHERE lane = ?1 AND blocked = 0 AND ready_at <= ?2
      ORDER BY ready_at LIMIT 64)
    UNION ALL
    SELECT min(id) FROM (
      SELECT id FROM isthmus_single WHERE lane = ?1 AND blocked = 1 AND ready_at <= ?2
      ORDER BY ready_at LIMIT 64))
)
"""
_RANGES = """
SELECT id, packed, sent_at FROM isthmus_message
WHERE id BETWEEN ? AND ? ORDER BY id LIMIT ?
"""
_APART = """
SELECT id, packed, sent_at, ready_at, attempt + (token <> 0 AND ready_at <= ?),
  token FROM isthmus_single
WHERE id BETWEEN ? AND ? ORDER BY id LIMIT ?
"""
_PLACES = """
SELECT id, sent_at FROM isthmus_message WHERE id BETWEEN ?1 AND ?2
UNION ALL SELECT id, sent_at FROM isthmus_single WHERE id BETWEEN ?1 AND ?2
ORDER BY id LIMIT ?3
"""


def count(db: Connection, sub: int, now: float) -> QueueStats:
    """Ranges are counted as they are filled and leased, singles as they come and go.

    So it costs no more the more there are, unless many are due and many are not.
    """
    ready = leased = delayed = 0
    oldest_at: list[float] = []
    for lane in lanes_of(db, sub):
        ranged, held = db.execute(_HELD, (now, lane.number)).fetchone()
        (apart,) = db.execute(_HELD_APART, (lane.number, now)).fetchone()
        due = _count_due(db, lane, now)
        ready += lane.ready + ranged - held + due
        leased += held + apart
        delayed += lane.singles - due - apart
        if lane.ready + ranged - held + due:
            oldest_at.append(_oldest_at(db, lane, now))
    return QueueStats(
        ready=ready, leased=leased, delayed=delayed, oldest_at=min(oldest_at, default=0.0)
    )


def _count_due(db: Connection, lane: Lane, now: float) -> int:
    """Count the fewer of those that are due and those that are not."""
    limit = 1000
    while lane.singles:
        (due,) = db.execute(_DUE, (lane.number, now, limit)).fetchone()
        if due < limit:
            return due
        (later,) = db.execute(_LATER, (lane.number, now, limit)).fetchone()
        if later < limit:
            return lane.singles - later
        limit *= 10
    return 0


def _oldest_at(db: Connection, lane: Lane, now: float) -> float:
    first = max(lane.head, lane.first)
    (found,) = db.execute(_OLDEST, (lane.number, now, first, lane.last)).fetchone()
    return found or 0.0


class Place(NamedTuple):
    """Where a message stands in the order of sending, over all lanes."""

    number: int
    id: int
    sent_at: float


def oldest(db: Connection, sub: int, *, after: int = 0, limit: int) -> list[Place]:
    """Return the places beyond `after`, those that are held too."""
    lanes = [
        [
            Place(number_of(id_), id_, sent_at)
            for id_, sent_at in db.execute(
                _PLACES, (lane.first + after + 1, lane.last, limit)
            ).fetchall()
        ]
        for lane in lanes_of(db, sub)
    ]
    return list(islice(merge(*lanes), limit))


def browse(db: Connection, sub: int, *, after: str, limit: int, now: float) -> list[Waiting]:
    beyond = int(after, 16) if after else 0
    pages = [_Page(db, lane, beyond, limit, now).seen() for lane in lanes_of(db, sub)]
    return [waiting for _, waiting in islice(merge(*pages, key=_number), limit)]


def _number(seen: tuple[int, Waiting]) -> int:
    return seen[0]


@dataclass(frozen=True, slots=True)
class _Page:
    """The next messages of one lane."""

    db: Connection
    lane: Lane
    after: int
    limit: int
    now: float

    def seen(self) -> Sequence[tuple[int, Waiting]]:
        return list(merge(self._ranges(), self._singles(), key=_number))

    def _ranges(self) -> Sequence[tuple[int, Waiting]]:
        leases = self.db.execute(_LEASES, (self.lane.number,)).fetchall()
        return [self._in_range(leases, *row) for row in self._rows(_RANGES)]

    def _in_range(
        self, leases: list[Any], id_: int, packed: bytes, sent_at: float
    ) -> tuple[int, Waiting]:
        ready_at, attempt, leased = sent_at, 1, False
        before = bisect_right(leases, id_, key=_first) - 1
        if before >= 0 and id_ <= leases[before][1]:
            _, _, ready_at, lapses = leases[before]
            leased = ready_at > self.now
            attempt = 1 + lapses + (not leased)
        return self._waiting(id_, packed, sent_at, ready_at, attempt, leased=leased)

    def _singles(self) -> Sequence[tuple[int, Waiting]]:
        return [
            self._waiting(*row, leased=bool(token) and row[3] > self.now)
            for *row, token in self._rows(_APART, self.now)
        ]

    def _rows(self, sql: str, *leading: float) -> list[Any]:
        bounds = self.lane.first + self.after + 1, self.lane.last, self.limit
        return self.db.execute(sql, (*leading, *bounds)).fetchall()

    def _waiting(
        self,
        id_: int,
        packed: bytes,
        sent_at: float,
        ready_at: float,
        attempt: int,
        *,
        leased: bool,
    ) -> tuple[int, Waiting]:
        number = number_of(id_)
        return number, Waiting(
            message=unpack(packed),
            place=f"{number:010x}",
            sent_at=sent_at,
            ready_at=ready_at or sent_at,
            attempt=attempt,
            leased=leased,
        )


def _first(lease: Sequence[int]) -> int:
    return lease[0]
