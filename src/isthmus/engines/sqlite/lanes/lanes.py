"""Where the messages of a subscription lie.

Each priority of a subscription is a lane. A message's id names its lane and its
number in the order of sending, `lane << 40 | number`, for all its life:

    isthmus_message   those handed out in ranges, by rising id:

        lane 3   ░░░░▓▓▓▓▓▓░░▓▓▓▓│██████████████
                     └─lease──┘  │head  ready ──►       (░ is settled: the row is gone)

    isthmus_single    those with a state of their own: delayed, given back,
                      extended apart from their range, or of an ordered subscription

One row in isthmus_lease holds a whole range; a message under it is one whose row
is still there. What needs a state of its own moves to isthmus_single, so that
"a row, inside the range of a live token" is exactly "leased under this receipt".
Ids of one lane that follow no row are gaps, and harmless.
"""

from collections.abc import Sequence
from math import inf
from typing import NamedTuple

from isthmus.engines.sqlite.database.connection import Connection
from isthmus.errors import NotFoundError

__all__ = [
    "NUMBERS",
    "TABLES",
    "Lane",
    "channel_of",
    "first_due",
    "lane_of",
    "lanes_of",
    "let_next",
    "number_of",
    "ready_after",
]

NUMBERS = 40
"""Bits of an id that count the messages of its subscription."""

TABLES = """
CREATE TABLE isthmus_subscription (
  sub INTEGER PRIMARY KEY AUTOINCREMENT,
  topic TEXT NOT NULL,
  name TEXT NOT NULL,
  ordered INTEGER NOT NULL,
  retention REAL,
  max_length INTEGER,
  sent INTEGER NOT NULL DEFAULT 0, -- the number of the last message
  UNIQUE (topic, name)
);
CREATE TABLE isthmus_lane (
  lane INTEGER PRIMARY KEY,
  sub INTEGER NOT NULL,
  priority INTEGER NOT NULL,
  head INTEGER NOT NULL, -- the id from which on nothing was handed out yet
  ready INTEGER NOT NULL, -- how many messages lie there
  singles INTEGER NOT NULL DEFAULT 0,
  UNIQUE (sub, priority)
);
CREATE TABLE isthmus_message (
  id INTEGER PRIMARY KEY,
  message_id TEXT NOT NULL,
  sent_at REAL NOT NULL,
  packed BLOB NOT NULL -- all of the message
);
CREATE TABLE isthmus_lease (
  token INTEGER PRIMARY KEY,
  lane INTEGER NOT NULL,
  first INTEGER NOT NULL,
  last INTEGER NOT NULL,
  taken INTEGER NOT NULL, -- messages under this token at first
  left INTEGER NOT NULL, -- and now
  until REAL NOT NULL,
  span REAL NOT NULL,
  lapses INTEGER NOT NULL
);
CREATE INDEX isthmus_lease_until ON isthmus_lease (lane, until);
CREATE TABLE isthmus_single (
  id INTEGER PRIMARY KEY,
  lane INTEGER NOT NULL,
  key TEXT NOT NULL, -- '' unless the subscription is ordered
  ready_at REAL NOT NULL, -- the end of its delay, or of its lease
  blocked INTEGER NOT NULL, -- one before it has the same key
  attempt INTEGER NOT NULL,
  lapses INTEGER NOT NULL,
  token INTEGER NOT NULL, -- 0 if nobody holds it
  span REAL NOT NULL,
  message_id TEXT NOT NULL,
  sent_at REAL NOT NULL,
  packed BLOB NOT NULL -- all of the message
);
CREATE INDEX isthmus_single_ready ON isthmus_single (lane, ready_at)
  WHERE blocked = 0;
CREATE INDEX isthmus_single_blocked ON isthmus_single (lane, ready_at)
  WHERE blocked = 1;
CREATE INDEX isthmus_single_held ON isthmus_single (lane, ready_at)
  WHERE token <> 0;
CREATE INDEX isthmus_single_key ON isthmus_single (lane, key) WHERE key <> '';
CREATE INDEX isthmus_single_message ON isthmus_single (message_id);
CREATE TRIGGER isthmus_single_comes AFTER INSERT ON isthmus_single BEGIN
  UPDATE isthmus_lane SET singles = singles + 1 WHERE lane = new.lane;
END;
CREATE TRIGGER isthmus_single_goes AFTER DELETE ON isthmus_single BEGIN
  UPDATE isthmus_lane SET singles = singles - 1 WHERE lane = old.lane;
END;
"""

_LANES = """
SELECT lane, head, ready, singles,
  ifnull((SELECT min(until) FROM isthmus_lease WHERE lane = l.lane), 9e999),
  ifnull((SELECT min(ready_at) FROM isthmus_single WHERE lane = l.lane AND blocked = 0), 9e999)
FROM isthmus_subscription LEFT JOIN isthmus_lane l USING (sub)
WHERE sub = ? ORDER BY priority DESC
"""

_LET_NEXT = """
UPDATE isthmus_single SET blocked = 0 WHERE blocked = 1 AND id = (
  SELECT min(id) FROM isthmus_single WHERE lane = ? AND key = ? AND key <> '')
"""


class Lane(NamedTuple):
    """One priority of one subscription."""

    number: int
    head: int
    ready: int
    singles: int
    lapse_at: float
    """When the first of its leased ranges ends, or ended; inf if there is none."""
    single_at: float
    """When the first of its singles is, or was, due; inf if there is none."""

    @property
    def first(self) -> int:
        return self.number << NUMBERS

    @property
    def last(self) -> int:
        return (self.number + 1 << NUMBERS) - 1


def lanes_of(db: Connection, sub: int) -> list[Lane]:
    """Return its lanes, the highest priority first.

    Raises:
        NotFoundError: It is no longer declared.
    """
    rows = db.execute(_LANES, (sub,)).fetchall()
    if not rows:
        raise NotFoundError("the subscription was undeclared meanwhile: declare it again")
    return [Lane(*row) for row in rows if row[0] is not None]


def first_due(lanes: Sequence[Lane]) -> float:
    """Return when something can be handed out; 0 if it lies there, inf if nothing will."""
    moments = [0.0 if lane.ready else min(lane.lapse_at, lane.single_at) for lane in lanes]
    return min(moments, default=inf)


def let_next(db: Connection, lane: int, keys: Sequence[str]) -> None:
    """One of each of these keys is gone: those that are first now need wait no longer."""
    db.executemany(_LET_NEXT, [(lane, key) for key in keys])


def ready_after(delay: float, now: float) -> float:
    """Return when a message is ready; 0 without a delay: no clock need come so far again."""
    return now + delay if delay > 0 else 0.0


def lane_of(id_: int) -> int:
    return id_ >> NUMBERS


def number_of(id_: int) -> int:
    """Return the message's number in the order of sending."""
    return id_ & (1 << NUMBERS) - 1


def channel_of(sub: int) -> str:
    """Return what the receivers of a subscription listen to."""
    return f"queue:{sub}"
