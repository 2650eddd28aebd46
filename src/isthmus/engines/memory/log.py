"""Logs and their groups in memory."""

from collections.abc import Mapping, Sequence

from isthmus.contracts import (
    Edge,
    LogCapabilities,
    LogEngine,
    Member,
    Record,
    Tx,
    Versions,
)
from isthmus.engines.memory.database import FOREVER, MAX_BATCH, MAX_BODY, Connection
from isthmus.engines.memory.group import Group
from isthmus.engines.memory.journal import Journal, Partition
from isthmus.engines.memory.member import MemoryMember
from isthmus.engines.memory.transaction import Undo
from isthmus.errors import ConfigError, ConflictError, NotFoundError
from isthmus.message import Message

__all__ = ["MemoryLog"]

BOUND = 10_000
"""Most records that one `maintain` drops."""


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

        if messages or expected:
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
        within = self._at.reading(tx)
        seen = journal.history(key, after=after, limit=limit)

        def unchanged() -> None:
            if journal.history(key, after=after, limit=limit) != seen:
                raise ConflictError(f"{log}/{key} has changed since it was read", subject="read")

        if within is not None:
            within.check(unchanged)
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
