"""Where the records of logs lie.

A record's id is its partition's number and its offset, `part << 40 | offset`, so
that a partition is a piece of the one table, in order. Writers commit one after
the other, so offsets become visible in order too, and no reader passes a gap
that will be filled.

`version` is NULL for a record that no index needs to find. It is 1, 2, 3 ... in
versioned logs, and 0 for what compaction has kept as the newest of its key.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec

from isthmus.clock import Clock
from isthmus.contracts import Record, Versions, partition_of
from isthmus.engines.sqlite.database.connection import Connection
from isthmus.engines.sqlite.database.rows import find_each, insert
from isthmus.engines.sqlite.packing import pack, unpack_all
from isthmus.errors import ConflictError
from isthmus.message import Message

__all__ = [
    "OFFSETS",
    "TABLES",
    "Append",
    "Shape",
    "append",
    "channel_of",
    "first_since",
    "history",
    "page",
    "part_of",
    "records_of",
]

OFFSETS = 40
"""Bits of an id that are its offset."""
_LAST = (1 << OFFSETS) - 1

TABLES = """
CREATE TABLE isthmus_log (
  log INTEGER PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  versioned INTEGER NOT NULL,
  retention REAL,
  max_bytes INTEGER,
  compaction INTEGER NOT NULL
);
CREATE TABLE isthmus_partition (
  part INTEGER PRIMARY KEY,
  log INTEGER NOT NULL,
  number INTEGER NOT NULL,
  tail INTEGER NOT NULL DEFAULT 0, -- the offset that comes next
  bytes INTEGER NOT NULL DEFAULT 0, -- of bodies and keys
  clean INTEGER NOT NULL DEFAULT 0, -- compaction went so far
  UNIQUE (log, number)
);
CREATE TABLE isthmus_record (
  id INTEGER PRIMARY KEY,
  at REAL NOT NULL,
  version INTEGER,
  key TEXT NOT NULL,
  size INTEGER NOT NULL, -- of the body, in bytes; 0 is a tombstone
  packed BLOB NOT NULL -- all of the message
);
CREATE INDEX isthmus_record_key ON isthmus_record (id >> 40, key, version)
  WHERE version IS NOT NULL;
CREATE INDEX isthmus_record_tombstone ON isthmus_record (id)
  WHERE version IS NOT NULL AND size = 0;
CREATE TABLE isthmus_version ( -- of keys whose last records are gone
  part INTEGER NOT NULL,
  key TEXT NOT NULL,
  version INTEGER NOT NULL,
  PRIMARY KEY (part, key)
) WITHOUT ROWID;
"""

_ADVANCE = """
UPDATE isthmus_partition SET tail = tail + ?, bytes = bytes + ? WHERE part = ? RETURNING tail
"""
_VERSIONS = """
SELECT w.key, ifnull(
  (SELECT max(version) FROM isthmus_record
    WHERE id >> 40 = ? AND key = w.key AND version IS NOT NULL),
  ifnull((SELECT version FROM isthmus_version WHERE part = ? AND key = w.key), 0))
FROM w
"""
_PAGE = """
SELECT id, at, ifnull(version, 0), packed FROM isthmus_record
WHERE id BETWEEN ? AND ? ORDER BY id LIMIT ?
"""
_HISTORY = """
SELECT id, at, version, packed FROM isthmus_record
WHERE id >> 40 = ? AND key = ? AND version > ? AND version IS NOT NULL ORDER BY version LIMIT ?
"""
_FIRST = "SELECT id, at FROM isthmus_record WHERE id >= ? AND id < ? ORDER BY id LIMIT 1"

Row = tuple[int, float, int, bytes]
"""id, at, version, packed"""


class Shape(NamedTuple):
    """What of a log never changes."""

    log: int
    name: str
    versioned: bool
    parts: Sequence[int]
    """The number of each partition's part of the table."""


class Append(msgspec.Struct, frozen=True, gc=False):
    """What one call of `append` adds."""

    shape: Shape
    rows: Sequence[tuple[int, str, int, bytes]]
    """part, key, size of the body, packed"""
    expected: Sequence[tuple[tuple[int, str], int]]
    """part and key, version"""
    clock: Clock

    @classmethod
    def of(
        cls, shape: Shape, messages: Sequence[Message], *, expected: Versions, clock: Clock
    ) -> "Append":
        rows = [(part_of(shape, m.key), m.key, len(m.body), pack(m)) for m in messages]
        wanted = (expected or {}).items()
        versions = [((part_of(shape, key), key), version) for key, version in wanted]
        return cls(shape, rows, versions, clock)


def part_of(shape: Shape, key: str) -> int:
    parts = shape.parts
    return parts[0] if len(parts) == 1 else parts[partition_of(key, len(parts))]


_Added = tuple[float, int | None, str, int, bytes]
"""at, version, key, size, packed"""


def append(db: Connection, appends: Sequence[Append]) -> list[ConflictError | None]:
    """Add them together, each whole or, if a version differs, not at all.

    They are appended now, when they commit: moments ascend with the offsets.
    """
    versions = _Versions.of(db, appends)
    rows: dict[int, list[_Added]] = defaultdict(list)
    answers: list[ConflictError | None] = []
    at = appends[0].clock.now()
    for each in appends:
        answers.append(conflict := versions.conflict(each))
        if conflict is None:
            _add(each, versions, rows, at=at)
            db.wake(channel_of(each.shape.log))
    for part, added in rows.items():
        size = sum([len(key.encode()) + body for _, _, key, body, _ in added])
        (tail,) = db.execute(_ADVANCE, (len(added), size, part)).fetchone()
        first = (part << OFFSETS) + tail - len(added)
        insert(db, "isthmus_record", [(first + place, *row) for place, row in enumerate(added)])
    return answers


class _Versions(dict[tuple[int, str], int]):
    """The last version of each key, by part and key; looked up once."""

    @classmethod
    def of(cls, db: Connection, appends: Sequence[Append]) -> "_Versions":
        versions, keys = cls(), defaultdict[int, set[str]](set)
        for each in appends:
            for (part, key), _ in each.expected:
                keys[part].add(key)
            if each.shape.versioned:
                for part, key, _, _ in each.rows:
                    keys[part].add(key)
        for part, wanted in keys.items():
            for key, version in find_each(db, _VERSIONS, list(wanted), parameters=(part, part)):
                versions[part, key] = version
        return versions

    def conflict(self, append: Append) -> ConflictError | None:
        """Return why its expectation does not hold."""
        for place, version in append.expected:
            if (actual := self[place]) != version:
                subject = f"{append.shape.name}/{place[1]}"
                return ConflictError(
                    f"{subject} is at version {actual}, not at {version} as expected",
                    subject=subject,
                )
        return None


def _add(
    append: Append,
    versions: _Versions,
    rows: Mapping[int, list[_Added]],
    *,
    at: float,
) -> None:
    """Give each row its version, and put it with the others of its partition."""
    version = None
    for part, key, size, packed in append.rows:
        if append.shape.versioned:
            version = versions[part, key] = versions[part, key] + 1
        rows[part].append((at, version, key, size, packed))


def page(db: Connection, part: int, *, offset: int, limit: int) -> list[Row]:
    first = part << OFFSETS
    return db.execute(_PAGE, (first + max(0, offset), first + _LAST, limit)).fetchall()


def history(db: Connection, part: int, key: str, *, after: int, limit: int) -> list[Row]:
    return db.execute(_HISTORY, (part, key, after, limit)).fetchall()


def records_of(rows: Sequence[Row], number: int) -> list[Record]:
    """Return the records of partition `number` that lie in these rows."""
    messages = unpack_all([packed for _, _, _, packed in rows])
    return [
        Record(message, number, id_ & _LAST, at, version)
        for message, (id_, at, version, _) in zip(messages, rows, strict=True)
    ]


def first_since(db: Connection, part: int, tail: int, moment: float) -> int:
    """Return the offset of the first record at `moment` or later; `tail` if there is none.

    Records lie in the order of their moments, unless the clock went back.
    """
    low, high = part << OFFSETS, (part << OFFSETS) + tail
    while low < high:
        middle = (low + high) // 2
        found = db.execute(_FIRST, (middle, high)).fetchone()
        if found is None or found[1] >= moment:
            high = middle
        else:
            low = found[0] + 1
    found = db.execute(_FIRST, (low, (part << OFFSETS) + tail)).fetchone()
    return found[0] & _LAST if found else tail


def channel_of(log: int) -> str:
    """Return what readers of a log, and members of its groups, listen to."""
    return f"log:{log}"
