"""The records of one log, partition by partition, and the groups that read them."""

import itertools
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from isthmus.contracts import Edge, Record, Versions, partition_of
from isthmus.engines.memory.changes import Changes
from isthmus.engines.memory.group import Group
from isthmus.engines.memory.transaction import Undo
from isthmus.errors import ConflictError
from isthmus.message import Message

__all__ = ["Journal", "Partition"]

TOMBSTONE = 24 * 3600.0
"""How long compaction keeps a tombstone, in seconds, so that readers see it.
Source: Kafka's delete.retention.ms."""


@dataclass(slots=True)
class Partition:
    records: list[Record] = field(default_factory=list[Record])
    end: int = 0
    """The offset that comes next."""
    bytes: int = 0

    def offset(self, at: Edge | float) -> int:
        if at == "end":
            return self.end
        since = float("-inf") if at == "first" else at
        return next((record.offset for record in self.records if record.at >= since), self.end)

    def index(self, offset: int) -> int:
        return bisect_left(self.records, offset, key=_offset)

    def slice(self, offset: int, limit: int) -> list[Record]:
        start = self.index(offset)
        return self.records[start : start + limit]

    def add(self, record: Record) -> None:
        self.records.append(record)
        self.end = record.offset + 1
        self.bytes += _bytes(record)

    def drop(self, records: Iterable[Record]) -> None:
        gone = {record.offset for record in records}
        self.records = [record for record in self.records if record.offset not in gone]
        self.bytes = sum(map(_bytes, self.records))

    def restore(self, count: int, end: int) -> None:
        """Forget all but the first `count` records, as if they never were."""
        del self.records[count:]
        self.end, self.bytes = end, sum(map(_bytes, self.records))


def _offset(record: Record) -> int:
    return record.offset


def _bytes(record: Record) -> int:
    return len(record.message.body) + len(record.message.key.encode())


class Journal:
    def __init__(self, name: str, *, partitions: int, versioned: bool) -> None:
        self.name = name
        self.versioned = versioned
        self.retention: float | None = None
        self.max_bytes: int | None = None
        self.compaction = False
        self.partitions = [Partition() for _ in range(partitions)]
        self.groups: dict[str, Group] = {}
        self.changes = Changes()
        self._keys: dict[str, list[Record]] = {}  # of each key, if versioned
        self._versions: dict[str, int] = {}

    # --- appending

    def require(self, expected: Versions) -> None:
        for key, version in (expected or {}).items():
            if (actual := self._versions.get(key, 0)) != version:
                raise ConflictError(
                    f"{self.name}/{key} is at version {actual}, not at {version} as expected",
                    subject=f"{self.name}/{key}",
                )

    def append(self, messages: Sequence[Message], *, now: float) -> Undo:
        before = [(len(partition.records), partition.end) for partition in self.partitions]
        added = [self._add(message, now) for message in messages]
        self.changes.note()

        def undo() -> None:
            for partition, (count, end) in zip(self.partitions, before, strict=True):
                partition.restore(count, end)
            for record in reversed(added):
                self._forget(record)

        return undo

    def _add(self, message: Message, now: float) -> Record:
        number = partition_of(message.key, len(self.partitions))
        partition = self.partitions[number]
        version = self._versions.get(message.key, 0) + 1 if self.versioned else 0
        record = Record(message, number, partition.end, now, version)
        partition.add(record)
        if self.versioned:
            self._versions[message.key] = version
            self._keys.setdefault(message.key, []).append(record)
        return record

    def _forget(self, record: Record) -> None:
        if self.versioned:
            self._versions[record.message.key] -= 1
            self._keys[record.message.key].pop()

    # --- reading

    def history(self, key: str, *, after: int, limit: int) -> Sequence[Record]:
        records = self._keys.get(key, [])
        start = bisect_right(records, after, key=_version)
        return records[start : start + limit]

    def offsets(self, at: Edge | float) -> dict[int, int]:
        return {number: each.offset(at) for number, each in enumerate(self.partitions)}

    # --- looking after

    def trim(self, number: int, before: int) -> int:
        partition = self.partitions[number]
        return self._drop(partition, partition.records[: partition.index(before)])

    def shorten(self, limit: int, *, now: float) -> int:
        """Apply retention, size and compaction; drop at most `limit` records."""
        gone = 0
        for partition in self.partitions:
            for outdated in (self._outdated, self._superseded):
                gone += self._drop(partition, outdated(partition, now)[: limit - gone])
        return gone

    def _outdated(self, partition: Partition, now: float) -> list[Record]:
        surplus = 0 if self.max_bytes is None else partition.bytes - self.max_bytes
        since = float("-inf") if self.retention is None else now - self.retention

        def is_outdated(record: Record) -> bool:
            nonlocal surplus
            outdated = surplus > 0 or record.at <= since
            surplus -= _bytes(record)
            return outdated

        return list(itertools.takewhile(is_outdated, partition.records))

    def _superseded(self, partition: Partition, now: float) -> list[Record]:
        if not self.compaction:
            return []
        newest = {record.message.key: record.offset for record in partition.records}

        def is_superseded(record: Record) -> bool:
            buried = not record.message.body and record.at + TOMBSTONE <= now
            return bool(record.message.key) and (
                buried or newest[record.message.key] != record.offset
            )

        return list(filter(is_superseded, partition.records))

    def _drop(self, partition: Partition, records: Sequence[Record]) -> int:
        partition.drop(records)
        if self.versioned:
            for key in {record.message.key for record in records}:
                gone = {record.offset for record in records if record.message.key == key}
                self._keys[key] = [each for each in self._keys[key] if each.offset not in gone]
        return len(records)


def _version(record: Record) -> int:
    return record.version
