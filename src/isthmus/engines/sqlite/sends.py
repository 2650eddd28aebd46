"""Sends: those that share a commit become one insert per lane."""

import itertools
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

from isthmus.clock import Clock
from isthmus.engines.sqlite.connection import Connection
from isthmus.engines.sqlite.lanes import NUMBERS, channel_of, ready_after
from isthmus.engines.sqlite.packing import pack
from isthmus.message import Message

__all__ = ["Send", "store"]

_NUMBER = """
UPDATE isthmus_subscription SET sent = sent + ? WHERE topic = ? RETURNING sub, ordered, sent
"""
_FILL = "UPDATE isthmus_lane SET ready = ready + ? WHERE sub = ? AND priority = ? RETURNING lane"
_OPEN = "INSERT INTO isthmus_lane (sub, priority, head, ready) VALUES (?, ?, 0, ?) RETURNING lane"
_MESSAGE = "INSERT INTO isthmus_message VALUES (?, ?, ?, ?, ?)"
_SINGLE = """
INSERT INTO isthmus_single VALUES (?1, ?2, ?3, ?4,
  EXISTS (SELECT 1 FROM isthmus_single WHERE lane = ?2 AND key = ?3 AND key <> ''),
  1, 0, 0, 0, ?5, ?6, ?7, ?8)
"""


class Row(NamedTuple):
    message_id: str
    key: str
    priority: int
    packed: bytes
    body: bytes


class Send(NamedTuple):
    """What one call of `send` stores."""

    topic: str
    rows: Sequence[Row]
    delay: float
    clock: Clock

    @classmethod
    def of(cls, topic: str, messages: Sequence[Message], *, delay: float, clock: Clock) -> "Send":
        rows = [Row(m.id, m.key, m.priority, pack(m), m.body) for m in messages]
        return cls(topic, rows, delay, clock)


def store(db: Connection, sends: Sequence[Send]) -> list[None]:
    """Store them together; they are sent now, when they commit, and not when they were staged."""
    topics: dict[str, list[Send]] = defaultdict(list)
    for send in sends:
        topics[send.topic].append(send)
    for topic, group in topics.items():
        count = sum(len(send.rows) for send in group)
        for sub, ordered, last in db.execute(_NUMBER, (count, topic)).fetchall():
            _store(db, sub, group, first=last - count + 1, ordered=bool(ordered))
            db.wake(channel_of(sub))
    return [None] * len(sends)


def _store(db: Connection, sub: int, sends: Sequence[Send], *, first: int, ordered: bool) -> None:
    ranges: dict[int, list[tuple[Any, ...]]] = defaultdict(list)
    singles: dict[int, list[tuple[Any, ...]]] = defaultdict(list)
    numbers, at = itertools.count(first), sends[0].clock.now()
    for send in sends:
        ready_at = ready_after(send.delay, at)
        for (name, key, priority, packed, body), number in zip(send.rows, numbers, strict=False):
            if ordered:
                singles[0].append((number, key, ready_at, name, at, packed, body))
            elif ready_at:
                singles[priority].append((number, "", ready_at, name, at, packed, body))
            else:
                ranges[priority].append((number, name, at, packed, body))
    for priority, rows in ranges.items():
        base = _lane(db, sub, priority, ready=len(rows)) << NUMBERS
        db.executemany(_MESSAGE, ((base + number, *row) for number, *row in rows))
    for priority, rows in singles.items():
        lane = _lane(db, sub, priority, ready=0)
        base = lane << NUMBERS
        db.executemany(_SINGLE, ((base + number, lane, *row) for number, *row in rows))


def _lane(db: Connection, sub: int, priority: int, *, ready: int) -> int:
    """Return the lane's number, with `ready` more messages in it."""
    found = db.execute(_FILL, (ready, sub, priority)).fetchone()
    return (found or db.execute(_OPEN, (sub, priority, ready)).fetchone())[0]
