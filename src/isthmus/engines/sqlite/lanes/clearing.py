"""Drops messages that nobody holds: removed, purged, too old or too many."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from isthmus.engines.sqlite.database.connection import Connection
from isthmus.engines.sqlite.lanes.lanes import (
    NUMBERS,
    Lane,
    channel_of,
    lane_of,
    lanes_of,
    let_next,
)
from isthmus.engines.sqlite.lanes.survey import oldest

__all__ = ["Clearing", "Removal", "find", "sent", "surplus", "sweep"]

_DROP_FRESH = "DELETE FROM isthmus_message WHERE id = ?1 AND id >= ?2"
_UNFILL = "UPDATE isthmus_lane SET ready = ready - ? WHERE lane = ?"
_DROP_LAPSED = """
DELETE FROM isthmus_message WHERE id = ?1 AND EXISTS (
  SELECT 1 FROM isthmus_lease WHERE lane = ?2 AND until <= ?3 AND ?1 BETWEEN first AND last)
"""
_RECOUNT = """
UPDATE isthmus_lease SET left = (
  SELECT count(*) FROM isthmus_message WHERE id BETWEEN isthmus_lease.first AND isthmus_lease.last)
WHERE lane = ? AND until <= ?
"""
_END = "DELETE FROM isthmus_lease WHERE lane = ? AND left = 0"
_DROP_SINGLE = """
DELETE FROM isthmus_single WHERE id = ? AND (token = 0 OR ready_at <= ?) RETURNING lane, key
"""
_FIND_SINGLES = """
SELECT id FROM isthmus_single
WHERE message_id IN (SELECT value FROM json_each(?))
  AND lane IN (SELECT lane FROM isthmus_lane WHERE sub = ?)
"""
_FIND = """
SELECT id FROM isthmus_message WHERE id BETWEEN ? AND ?
  AND message_id IN (SELECT value FROM json_each(?))
"""
_SENT = "SELECT sent FROM isthmus_subscription WHERE sub = ?"
_COUNT = """
SELECT ready + singles + (SELECT ifnull(sum(left), 0) FROM isthmus_lease WHERE lane = l.lane)
FROM isthmus_lane l WHERE sub = ?
"""
_ORPHANS = """
SELECT lane FROM isthmus_lane WHERE sub NOT IN (SELECT sub FROM isthmus_subscription)
"""
_SWEEP = [
    f"DELETE FROM {table} WHERE id IN (SELECT id FROM {table} WHERE id BETWEEN ? AND ? LIMIT ?)"
    for table in ("isthmus_message", "isthmus_single")
]


def sent(db: Connection, sub: int) -> int:
    """Return the number of the last message that was sent."""
    rows = db.execute(_SENT, (sub,)).fetchall()
    return rows[0][0] if rows else 0


def find(db: Connection, sub: int, names: Sequence[str], *, after: int = 0) -> list[int]:
    """Return the ids of messages beyond `after` that bear these names: looks at each."""
    which = msgspec.json.encode(names).decode()
    return [
        row[0]
        for lane in lanes_of(db, sub)
        for row in db.execute(_FIND, (lane.first + after + 1, lane.last, which)).fetchall()
    ]


def surplus(
    db: Connection,
    sub: int,
    *,
    retention: float | None,
    max_length: int | None,
    now: float,
    limit: int,
) -> list[int]:
    """Return the ids, oldest first, of what is beyond these limits, held or not."""
    before = float("-inf") if retention is None else now - retention
    total = (
        0 if max_length is None else sum(row[0] for row in db.execute(_COUNT, (sub,)).fetchall())
    )
    excess = 0 if max_length is None else total - max_length
    found: list[int] = []
    for rank, place in enumerate(oldest(db, sub, limit=limit)):
        if rank >= excess and place.sent_at > before:
            break
        found.append(place.id)
    return found


@dataclass(frozen=True, slots=True)
class Clearing:
    """Drop those of `ids` that nobody holds; return how many went."""

    sub: int
    ids: Sequence[int]
    now: float

    def __call__(self, db: Connection) -> int:
        lanes = {lane.number: lane for lane in lanes_of(db, self.sub)}
        ids: dict[int, list[int]] = defaultdict(list)
        for id_ in self.ids:
            ids[lane_of(id_)].append(id_)
        gone = sum(self._clear(db, lanes[number], each) for number, each in ids.items())
        apart = {number for number, lane in lanes.items() if lane.singles}
        return gone + self._clear_singles(db, [id_ for id_ in self.ids if lane_of(id_) in apart])

    def _clear(self, db: Connection, lane: Lane, ids: Sequence[int]) -> int:
        fresh = db.executemany(_DROP_FRESH, ((id_, lane.head) for id_ in ids)).rowcount
        db.execute(_UNFILL, (fresh, lane.number))
        if lane.lapse_at > self.now:
            return fresh
        rows = ((id_, lane.number, self.now) for id_ in ids if id_ < lane.head)
        lapsed = db.executemany(_DROP_LAPSED, rows).rowcount
        db.execute(_RECOUNT, (lane.number, self.now))
        db.execute(_END, (lane.number,))
        return fresh + max(0, lapsed)

    def _clear_singles(self, db: Connection, ids: Sequence[int]) -> int:
        gone = 0
        for id_ in ids:
            for lane, key in db.execute(_DROP_SINGLE, (id_, self.now)).fetchall():
                let_next(db, lane, [key] if key else [])
                gone += 1
        if gone:
            db.wake(channel_of(self.sub))
        return gone


@dataclass(frozen=True, slots=True)
class Removal:
    """Drop the messages with these names that nobody holds; return how many went."""

    sub: int
    names: Sequence[str]
    found: Sequence[int]
    """Ids of those that were in a range before the number `seen` was reached."""
    seen: int
    now: float

    def __call__(self, db: Connection) -> int:
        which = msgspec.json.encode(self.names).decode()
        singles = [row[0] for row in db.execute(_FIND_SINGLES, (which, self.sub)).fetchall()]
        later = find(db, self.sub, self.names, after=self.seen)
        ids = {*singles, *self.found, *later}
        return Clearing(self.sub, sorted(ids), self.now)(db)


def sweep(db: Connection, limit: int) -> int:
    """Drop what an undeclared subscription left behind; return how many messages went."""
    gone = 0
    for lane in [row[0] for row in db.execute(_ORPHANS).fetchall()]:
        first, last = lane << NUMBERS, (lane + 1 << NUMBERS) - 1
        for statement in _SWEEP:
            gone += db.execute(statement, (first, last, limit - gone)).rowcount
        if gone >= limit:
            break
        db.execute("DELETE FROM isthmus_lease WHERE lane = ?", (lane,))
        db.execute("DELETE FROM isthmus_lane WHERE lane = ?", (lane,))
    return gone
