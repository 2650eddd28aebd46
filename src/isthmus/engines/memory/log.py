"""Logs and their groups in memory."""

import itertools
from collections.abc import Mapping, Sequence
from typing import TypeVar

from isthmus.contracts import (
    Edge,
    LogCapabilities,
    LogEngine,
    Member,
    Record,
    Transaction,
    Tx,
    Versions,
)
from isthmus.engines.memory.changes import Changes
from isthmus.engines.memory.database import FOREVER, MAX_BATCH, MAX_BODY, Connection
from isthmus.engines.memory.group import Group
from isthmus.engines.memory.journal import Journal, Partition
from isthmus.engines.memory.transaction import Undo, nothing
from isthmus.errors import ConfigError, ConflictError, LeaseLostError, NotFoundError
from isthmus.message import Message

__all__ = ["MemoryLog", "MemoryMember"]

BOUND = 10_000
"""Most records that one `maintain` drops."""

_members = itertools.count(1)


class MemoryLog:
    def __init__(self, connection: Connection) -> None:
        self._at = connection
        self._capabilities = LogCapabilities(
            scope=connection.scope,
            durable="memory",
            versioned=True,
            retention=True,
            compaction=True,
            timed=True,
            max_batch=MAX_BATCH,
            max_body=MAX_BODY,
        )

    @property
    def capabilities(self) -> LogCapabilities:
        return self._capabilities

    async def declare(
        self,
        log: str,
        *,
        partitions: int = 1,
        versioned: bool = False,
        retention: float | None = None,
        max_bytes: int | None = None,
        compaction: bool = False,
    ) -> None:
        self._at.require_open()
        new = Journal(log, partitions=_at_least_one(log, partitions), versioned=versioned)
        found = self._all.setdefault(log, new)
        if (len(found.partitions), found.versioned) != (partitions, versioned):
            raise ConfigError(
                f"log {log!r} exists with partitions={len(found.partitions)}, "
                f"versioned={found.versioned}: declare it so, or give the new one another name"
            )
        found.retention, found.max_bytes, found.compaction = retention, max_bytes, compaction

    @property
    def _all(self) -> dict[str, Journal]:
        return self._at.database.journals

    def _find(self, log: str) -> Journal:
        self._at.require_open()
        try:
            return self._all[log]
        except KeyError:
            raise NotFoundError(f"log {log!r} was never declared: declare it first") from None

    def _partition(self, log: str, partition: int) -> Partition:
        partitions = self._find(log).partitions
        if not 0 <= partition < len(partitions):
            raise NotFoundError(
                f"log {log!r} has partitions 0 to {len(partitions) - 1}, not {partition}"
            )
        return partitions[partition]

    async def append(
        self, log: str, messages: Sequence[Message], *, expected: Versions = None, tx: Tx = None
    ) -> None:
        journal = self._find(log)
        _require_fitting(log, messages)
        if expected is not None:
            _require_versioned(journal)

        def step() -> Undo:
            journal.require(expected)
            return journal.append(messages, now=self._at.now())

        self._at.apply(step, tx)

    async def read(
        self, log: str, partition: int, *, offset: int, limit: int, wait: float = 0.0
    ) -> Sequence[Record]:
        journal, records = self._find(log), self._partition(log, partition)
        found = await self._at.until(
            lambda: records.slice(offset, limit) or None,
            changes=lambda: journal.changes,
            due=lambda: FOREVER,
            wait=wait,
        )
        return found or []

    async def history(
        self, log: str, key: str, *, after: int = 0, limit: int = 1000, tx: Tx = None
    ) -> Sequence[Record]:
        journal = self._find(log)
        _require_versioned(journal)
        seen = journal.history(key, after=after, limit=limit)

        def unchanged() -> None:
            if journal.history(key, after=after, limit=limit) != seen:
                raise ConflictError(f"{log}/{key} has changed since it was read", subject="read")

        if tx is not None:
            self._at.own(tx).check(unchanged)
        return seen

    async def offsets(self, log: str, *, at: Edge | float) -> Mapping[int, int]:
        return self._find(log).offsets(at)

    async def join(
        self, log: str, group: str, *, start: Edge = "first", session: float = 10.0
    ) -> Member:
        journal = self._find(log)
        joined = journal.groups.setdefault(group, Group())
        joined.positions = journal.offsets(start) | joined.positions
        member = MemoryMember(self._at, journal, joined, session=session)
        member.attend()
        journal.changes.note()
        return member

    async def positions(self, log: str, group: str) -> Mapping[int, int]:
        found = self._find(log).groups.get(group)
        return {} if found is None else dict(found.positions)

    async def seek(self, log: str, group: str, positions: Mapping[int, int]) -> None:
        for partition in positions:
            self._partition(log, partition)
        journal = self._find(log)
        journal.groups.setdefault(group, Group()).seek(dict(positions))
        journal.changes.note()

    async def groups(self, log: str) -> Sequence[str]:
        return list(self._find(log).groups)

    async def logs(self) -> Sequence[str]:
        self._at.require_open()
        return list(self._all)

    async def trim(self, log: str, before: Mapping[int, int]) -> None:
        for partition in before:
            self._partition(log, partition)
        for partition, offset in before.items():
            self._find(log).trim(partition, offset)

    async def maintain(self) -> int:
        now, gone = self._at.now(), 0
        for journal in self._all.values():
            gone += journal.shorten(BOUND - gone, now=now)
        return gone


class MemoryMember:
    def __init__(
        self, connection: Connection, journal: Journal, group: Group, *, session: float
    ) -> None:
        self._at = connection
        self._journal = journal
        self._group = group
        self._session = session
        self._name = f"member-{next(_members)}"
        self._owned: dict[int, int] = {}
        self._revoking: frozenset[int] = frozenset()
        self._cursors: dict[int, int] = {}  # of each owned partition, where to read on
        self._turn = 0
        self._drained = self._left = False

    @property
    def owned(self) -> Mapping[int, int]:
        return dict(self._owned)

    @property
    def revoking(self) -> frozenset[int]:
        return self._revoking

    async def read(self, limit: int, *, wait: float) -> Sequence[Record]:
        before = self._owned, self._revoking

        def look() -> Sequence[Record] | None:
            self.attend()
            self._balance()
            if self._drained:
                return []
            changed = before != (self._owned, self._revoking)
            return self._next(limit) or ([] if changed else None)

        found = await self._at.until(look, changes=self._changes, due=self._due, wait=wait)
        return found or []

    def attend(self) -> None:
        if not self._left:
            self._group.attend(self._name, session=self._session, now=self._at.now())

    def _balance(self) -> None:
        """Take what is ours by now, note what is not, and start at the group's position."""
        if self._left:
            return
        self._group.take(self._name)
        owned = self._group.owned(self._name)
        self._revoking = self._group.surplus(self._name)
        self._cursors = {
            p: self._cursors[p] if self._owned.get(p) == epoch else self._group.positions[p]
            for p, epoch in owned.items()
        }
        self._owned = owned

    def _next(self, limit: int) -> Sequence[Record]:
        """At most `limit` records; the partition that begins changes every time."""
        open_ = [p for p in self._owned if p not in self._revoking]
        found: list[Record] = []
        for partition in _rotated(open_, self._turn):
            cursor = self._cursors[partition]
            records = self._journal.partitions[partition].slice(cursor, limit - len(found))
            if records:
                self._cursors[partition] = records[-1].offset + 1
                found += records
        self._turn += bool(found)
        return found

    def _changes(self) -> Changes:
        return self._journal.changes

    def _due(self) -> float:
        """When somebody's session ends, or ours wants to be renewed."""
        seats = self._group.seats
        others = [seat.until for name, seat in seats.items() if name != self._name]
        return min([*others, self._at.now() + self._session / 3])

    async def commit(self, positions: Mapping[int, int], *, tx: Tx = None) -> None:
        epochs = {partition: self._owned.get(partition) for partition in positions}

        def step() -> Undo:
            self._require(epochs)
            before = dict(self._group.positions)
            self._group.positions.update(positions)
            return lambda: self._group.positions.update(before)

        self._at.apply(step, tx)

    async def guard(self, partitions: Sequence[int], *, tx: Transaction) -> None:
        epochs = {partition: self._owned.get(partition) for partition in partitions}

        def step() -> Undo:
            self._require(epochs)
            return nothing

        self._at.apply(step, tx)

    def _require(self, epochs: Mapping[int, int | None]) -> None:
        lost = [p for p, epoch in epochs.items() if not self._group.owns(self._name, p, epoch)]
        if lost:
            raise LeaseLostError(lost, what=f"partition of {self._journal.name!r}")

    async def release(self, partitions: Sequence[int]) -> None:
        self._at.require_open()
        self._group.release(
            self._name, {p: self._owned.pop(p) for p in partitions if p in self._owned}
        )
        self._revoking -= frozenset(partitions)
        self._journal.changes.note()

    async def drain(self) -> None:
        self._drained = True
        self._journal.changes.note()

    async def aclose(self) -> None:
        self._left = self._drained = True
        self._group.leave(self._name)
        self._owned, self._revoking = {}, frozenset()
        self._journal.changes.note()


T = TypeVar("T")


def _rotated(items: Sequence[T], by: int) -> Sequence[T]:
    start = by % len(items) if items else 0
    return [*items[start:], *items[:start]]


def _at_least_one(log: str, partitions: int) -> int:
    if partitions < 1:
        raise ConfigError(f"log {log!r} needs at least 1 partition, not {partitions}")
    return partitions


def _require_versioned(journal: Journal) -> None:
    if not journal.versioned:
        raise ConfigError(f"log {journal.name!r} keeps no versions: declare it with versioned=True")


def _require_fitting(log: str, messages: Sequence[Message]) -> None:
    if len(messages) > MAX_BATCH:
        raise ConfigError(f"{len(messages)} records for {log!r} at once, at most {MAX_BATCH}")
    for message in messages:
        if len(message.body) > MAX_BODY:
            raise ConfigError(
                f"record {message.id!r} for {log!r} has {len(message.body)} bytes, at most "
                f"{MAX_BODY}: store the body elsewhere and append a reference to it"
            )


_: type[LogEngine] = MemoryLog
__: type[Member] = MemoryMember
