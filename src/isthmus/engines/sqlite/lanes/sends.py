"""Sends: those that share a commit become one insert per lane."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

import msgspec

from isthmus.clock import Clock
from isthmus.engines.sqlite.database.connection import Connection
from isthmus.engines.sqlite.database.rows import insert
from isthmus.engines.sqlite.lanes.lanes import NUMBERS, channel_of, ready_after
from isthmus.engines.sqlite.packing import pack
from isthmus.message import Message

__all__ = ["Send", "store"]

_NUMBER = """
UPDATE isthmus_subscription SET sent = sent + ? WHERE topic = ? RETURNING sub, ordered, sent
"""
_FILL = "UPDATE isthmus_lane SET ready = ready + ? WHERE sub = ? AND priority = ? RETURNING lane"
_OPEN = "INSERT INTO isthmus_lane (sub, priority, head, ready) VALUES (?, ?, 0, ?) RETURNING lane"
_SINGLE = """
INSERT INTO isthmus_single VALUES (?1, ?2, ?3, ?4,
  EXISTS (SELECT 1 FROM isthmus_single WHERE lane = ?2 AND key = ?3 AND key <> ''),
  1, 0, 0, 0, ?5, ?6, ?7)
"""


Row = tuple[int, str, str, bytes]
"""Its place in the call, the message's own id, key, packed"""


class Send(msgspec.Struct, frozen=True, gc=False):
    """What one call of `send` stores."""

    topic: str
    size: int
    rows: Mapping[int, Sequence[Row]]
    """By priority."""
    delay: float
    clock: Clock

    @classmethod
    def of(cls, topic: str, messages: Sequence[Message], *, delay: float, clock: Clock) -> "Send":
        rows: dict[int, list[Row]] = {}
        for place, message in enumerate(messages):
            row = (place, message.id, message.key, pack(message))
            rows.setdefault(message.priority, []).append(row)
        return cls(topic, len(messages), rows, delay, clock)


def store(db: Connection, sends: Sequence[Send]) -> list[None]:
    """Store them together; they are sent now, when they commit, and not when they were staged."""
    topics: dict[str, list[Send]] = {}
    for send in sends:
        topics.setdefault(send.topic, []).append(send)
    for topic, group in topics.items():
        count = sum([send.size for send in group])
        for sub, ordered, last in db.execute(_NUMBER, (count, topic)).fetchall():
            _store(db, sub, group, first=last - count + 1, ordered=bool(ordered))
            db.wake(channel_of(sub), ahead=True)
    return [None] * len(sends)


_Part = tuple[int, float, Sequence[Row]]
"""Rows for the same lane and table: the number of the first message of their call, when they
are ready, and the rows."""


def _store(db: Connection, sub: int, sends: Sequence[Send], *, first: int, ordered: bool) -> None:
    at = sends[0].clock.now()
    ranges: dict[int, list[_Part]] = defaultdict(list)
    singles: dict[int, list[_Part]] = defaultdict(list)
    for send in sends:
        ready_at = ready_after(send.delay, at) if send.delay else 0.0
        for priority, rows in send.rows.items():
            part = first, ready_at, rows
            if ordered:
                singles[0].append(part)
            else:
                (singles if ready_at else ranges)[priority].append(part)
        first += send.size
    for priority, parts in ranges.items():
        _store_ranges(db, sub, priority, parts, at)
    for priority, parts in singles.items():
        _store_singles(db, sub, priority, parts, at, ordered=ordered)


def _store_ranges(
    db: Connection, sub: int, priority: int, parts: Sequence[_Part], at: float
) -> None:
    lane = _lane(db, sub, priority, ready=sum([len(rows) for _, _, rows in parts]))
    base = lane << NUMBERS
    rows = [
        (base + first + place, name, at, packed)
        for first, _, rows in parts
        for place, name, _, packed in rows
    ]
    insert(db, "isthmus_message", rows)


def _store_singles(
    db: Connection, sub: int, priority: int, parts: Sequence[_Part], at: float, *, ordered: bool
) -> None:
    lane = _lane(db, sub, priority, ready=0)
    base = lane << NUMBERS
    rows = [
        (base + first + place, lane, key if ordered else "", ready_at, name, at, packed)
        for first, ready_at, rows in parts
        for place, name, key, packed in rows
    ]
    db.executemany(_SINGLE, sorted(rows))  # by id: who is blocked depends on those before


def _lane(db: Connection, sub: int, priority: int, *, ready: int) -> int:
    """Return the lane's number, with `ready` more messages in it."""
    found = db.execute(_FILL, (ready, sub, priority)).fetchone()
    return (found or db.execute(_OPEN, (sub, priority, ready)).fetchone())[0]
