"""What a log lets go: by age, by size, and what a newer record of its key replaced."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from isthmus.engines.sqlite.database.connection import Connection
from isthmus.engines.sqlite.records.records import OFFSETS

__all__ = [
    "Compaction",
    "Dropping",
    "Limits",
    "below",
    "compaction",
    "limited",
    "outdated",
    "tombstones",
]

TOMBSTONE = 24 * 3600.0
"""How long compaction keeps a tombstone, in seconds, so that readers see it.
Source: Kafka's delete.retention.ms."""

_LIMITED = """
SELECT part, tail, bytes, retention, max_bytes, compaction FROM isthmus_partition
JOIN isthmus_log USING (log)
WHERE retention IS NOT NULL OR max_bytes IS NOT NULL OR compaction
"""
_SIZES = """
SELECT id, at, length(CAST(key AS BLOB)) + size FROM isthmus_record
WHERE id BETWEEN ? AND ? ORDER BY id LIMIT ?
"""
_KEYS = "SELECT id, key FROM isthmus_record WHERE id BETWEEN ? AND ? ORDER BY id LIMIT ?"
_OLDER = """
SELECT id FROM isthmus_record
WHERE id >> 40 = ? AND key = ? AND version IS NOT NULL AND id < ?
"""
_TOMBSTONES = """
SELECT id FROM isthmus_record WHERE version IS NOT NULL AND size = 0
  AND id BETWEEN ? AND ? AND at <= ? AND key <> '' LIMIT ?
"""
_REMEMBER = """
INSERT INTO isthmus_version
SELECT ?1, key, max(version) FROM isthmus_record
WHERE version > 0 AND id IN (SELECT value FROM json_each(?2)) GROUP BY key
ON CONFLICT DO UPDATE SET version = max(version, excluded.version)
"""
_DROP = """
DELETE FROM isthmus_record WHERE id IN (SELECT value FROM json_each(?))
RETURNING length(CAST(key AS BLOB)) + size
"""
_SHRINK = "UPDATE isthmus_partition SET bytes = bytes - ? WHERE part = ?"
_STATE = "SELECT clean, tail FROM isthmus_partition WHERE part = ?"
_BELOW = "SELECT id FROM isthmus_record WHERE id >= ? AND id < ? ORDER BY id LIMIT ?"
_CLEAN = "UPDATE isthmus_partition SET clean = ? WHERE part = ? AND clean = ?"
_KEEP = """
UPDATE isthmus_record SET version = 0
WHERE version IS NULL AND id IN (SELECT value FROM json_each(?))
"""


class Limits(NamedTuple):
    """One partition, and what it must keep to."""

    part: int
    tail: int
    bytes: int
    retention: float | None
    max_bytes: int | None
    compaction: int

    @property
    def first(self) -> int:
        return self.part << OFFSETS


def limited(db: Connection) -> list[Limits]:
    return [Limits(*row) for row in db.execute(_LIMITED).fetchall()]


def outdated(db: Connection, limits: Limits, now: float, limit: int) -> list[int]:
    """Return the ids of the oldest that are too old, or too much."""
    before = float("-inf") if limits.retention is None else now - limits.retention
    surplus = 0 if limits.max_bytes is None else limits.bytes - limits.max_bytes
    found: list[int] = []
    last = limits.first + limits.tail
    for id_, at, size in db.execute(_SIZES, (limits.first, last, limit)).fetchall():
        if surplus <= 0 and at > before:
            break
        surplus -= size
        found.append(id_)
    return found


@dataclass(frozen=True, slots=True)
class Dropping:
    """Drop these records of one partition; return how many there were."""

    part: int
    ids: Sequence[int]

    def __call__(self, db: Connection) -> int:
        which = msgspec.json.encode(self.ids).decode()
        db.execute(_REMEMBER, (self.part, which))
        sizes = [row[0] for row in db.execute(_DROP, (which,)).fetchall()]
        db.execute(_SHRINK, (sum(sizes), self.part))
        return len(sizes)


@dataclass(frozen=True, slots=True)
class Compaction:
    """One step: below `clean`, every key now has one record."""

    part: int
    begin: int
    clean: int
    kept: Sequence[int]
    dropped: Sequence[int]

    def __call__(self, db: Connection) -> int:
        if not db.execute(_CLEAN, (self.clean, self.part, self.begin)).rowcount:
            return 0  # another was here first
        db.execute(_KEEP, (msgspec.json.encode(self.kept).decode(),))
        return Dropping(self.part, self.dropped)(db)


def compaction(db: Connection, part: int, limit: int) -> Compaction | None:
    """Return the next step, over at most `limit` records; None if all is clean."""
    base, begin, tail = part << OFFSETS, *_clean(db, part)
    first = base + begin
    rows = db.execute(_KEYS, (first, base + tail, limit)).fetchall()
    if not rows:
        return None
    newest = {key: id_ for id_, key in rows if key}
    replaced = [id_ for id_, key in rows if key and newest[key] != id_]
    older = [row[0] for key in newest for row in db.execute(_OLDER, (part, key, first)).fetchall()]
    clean = rows[-1][0] - base + 1
    return Compaction(part, begin, clean, list(newest.values()), [*older, *replaced])


def tombstones(db: Connection, part: int, now: float, limit: int) -> list[int]:
    """Return the ids of those old enough that every reader has seen them."""
    base, (clean, _) = part << OFFSETS, _clean(db, part)
    rows = db.execute(_TOMBSTONES, (base, base + clean - 1, now - TOMBSTONE, limit)).fetchall()
    return [row[0] for row in rows]


def below(db: Connection, part: int, offset: int, limit: int) -> list[int]:
    first = part << OFFSETS
    rows = db.execute(_BELOW, (first, first + offset, limit)).fetchall()
    return [row[0] for row in rows]


def _clean(db: Connection, part: int) -> tuple[int, int]:
    """Return how far compaction went, and how far it could."""
    return db.execute(_STATE, (part,)).fetchone()
