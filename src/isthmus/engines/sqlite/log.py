"""Logs, and the groups that read them, in one file."""

from collections.abc import Awaitable, Mapping, Sequence
from math import inf
from typing import Any

from isthmus.contracts import Edge, LogCapabilities, LogEngine, Member, Record, Tx, Versions
from isthmus.engines.sqlite.database.database import Connection, Database
from isthmus.engines.sqlite.database.transaction import DONE
from isthmus.engines.sqlite.limits import MAX_BATCH, MAX_BODY, require_fitting
from isthmus.engines.sqlite.records import groups, records
from isthmus.engines.sqlite.records.groups import Group
from isthmus.engines.sqlite.records.member import SqliteMember, new_name
from isthmus.engines.sqlite.records.records import (
    Append,
    Shape,
    append,
    channel_of,
    first_since,
    history,
    page,
    part_of,
    records_of,
)
from isthmus.engines.sqlite.records.upkeep import Upkeep
from isthmus.errors import ConfigError, NotFoundError
from isthmus.message import Message

__all__ = ["TABLES", "SqliteLog"]

TABLES = records.TABLES + groups.TABLES

_DECLARE = """
INSERT INTO isthmus_log (name, versioned, retention, max_bytes, compaction)
VALUES (?1, ?2, ?3, ?4, ?5)
ON CONFLICT (name) DO UPDATE SET retention = ?3, max_bytes = ?4, compaction = ?5
WHERE versioned = ?2
RETURNING log
"""
_PARTITION = "INSERT OR IGNORE INTO isthmus_partition (log, number) VALUES (?, ?)"
_SHAPE = """
SELECT log, name, versioned, part FROM isthmus_log JOIN isthmus_partition USING (log)
WHERE name = ? ORDER BY number
"""
_LIMITS = "SELECT retention, max_bytes, compaction FROM isthmus_log WHERE name = ?"
_LOGS = "SELECT name FROM isthmus_log"
_GROUPS = "SELECT name FROM isthmus_group WHERE log = ?"
_POSITIONS = """
SELECT partition, next FROM isthmus_position JOIN isthmus_group ON reader = isthmus_group.number
WHERE log = ? AND name = ?
"""
_TAILS = "SELECT number, part, tail FROM isthmus_partition WHERE log = ? ORDER BY number"


class SqliteLog:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._upkeep = Upkeep(database)
        self._shapes: dict[str, Shape] = {}
        self._capabilities = LogCapabilities(
            scope=database.scope,
            durable=database.durability,
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

    # --- declaring

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
        if partitions < 1:
            raise ConfigError(f"log {log!r} needs at least 1 partition, not {partitions}")
        limits = (retention, max_bytes, compaction)
        found = await self._database.read(lambda db: _shape(db, log))
        if found is None or await self._database.read(lambda db: _limits(db, log)) != limits:
            row = (log, versioned, *limits)
            found = await self._database.write(lambda db: _declare(db, row, partitions))
        if (len(found.parts), found.versioned) != (partitions, versioned):
            raise ConfigError(
                f"log {log!r} exists with partitions={len(found.parts)}, "
                f"versioned={found.versioned}: declare it so, or name the new one otherwise"
            )

    async def logs(self) -> Sequence[str]:
        return await self._database.read(
            lambda db: [row[0] for row in db.execute(_LOGS).fetchall()]
        )

    async def _shape(self, log: str) -> Shape:
        if (shape := self._shapes.get(log)) is None:
            shape = await self._database.read(lambda db: _shape(db, log))
            if shape is None:
                raise NotFoundError(f"log {log!r} was never declared: declare it first")
            self._shapes[log] = shape
        return shape

    async def _part(self, log: str, partition: int) -> int:
        parts = (await self._shape(log)).parts
        if not 0 <= partition < len(parts):
            raise NotFoundError(
                f"log {log!r} has partitions 0 to {len(parts) - 1}, not {partition}"
            )
        return parts[partition]

    # --- appending and reading

    def append(
        self, log: str, messages: Sequence[Message], *, expected: Versions = None, tx: Tx = None
    ) -> Awaitable[None]:
        if (shape := self._shapes.get(log)) is None:
            return self._append_first(log, messages, expected, tx)
        require_fitting(log, messages)
        if expected is not None:
            _require_versioned(shape)
        if not (messages or expected):
            return DONE
        added = Append.of(shape, messages, expected=expected, clock=self._database.clock)
        return self._database.merge(append, added, tx=tx)

    async def _append_first(
        self, log: str, messages: Sequence[Message], expected: Versions, tx: Tx
    ) -> None:
        await self._shape(log)
        await self.append(log, messages, expected=expected, tx=tx)

    async def read(
        self, log: str, partition: int, *, offset: int, limit: int, wait: float = 0.0
    ) -> Sequence[Record]:
        part, shape = await self._part(log, partition), await self._shape(log)

        async def probe() -> tuple[Any, float]:
            rows = await self._database.read(lambda db: page(db, part, offset=offset, limit=limit))
            return rows, inf

        channel = channel_of(shape.log)
        rows = await self._database.until(probe, channel=channel, wait=wait if limit > 0 else 0.0)
        return records_of(rows, partition)

    async def history(
        self, log: str, key: str, *, after: int = 0, limit: int = 1000, tx: Tx = None
    ) -> Sequence[Record]:
        shape = await self._shape(log)
        _require_versioned(shape)
        part = part_of(shape, key)
        rows = await self._database.read(
            lambda db: history(db, part, key, after=after, limit=limit), tx=tx
        )
        return records_of(rows, shape.parts.index(part))

    async def offsets(self, log: str, *, at: Edge | float) -> Mapping[int, int]:
        shape = await self._shape(log)
        return await self._database.read(lambda db: _offsets(db, shape.log, at))

    # --- groups

    async def join(
        self, log: str, group: str, *, start: Edge = "first", session: float = 10.0
    ) -> Member:
        shape, name, now = await self._shape(log), new_name(), self._database.clock.now()

        def enter(db: Connection) -> Group:
            entered = Group.enter(db, shape.log, group)
            entered.begin(db, _offsets(db, shape.log, start))
            entered.sit(db, name, session=session, now=now)
            return entered

        entered = await self._database.write(enter)
        return SqliteMember(self._database, shape, entered, name, session=session)

    async def positions(self, log: str, group: str) -> Mapping[int, int]:
        shape = await self._shape(log)
        return await self._database.read(
            lambda db: dict(db.execute(_POSITIONS, (shape.log, group)).fetchall())
        )

    async def seek(self, log: str, group: str, positions: Mapping[int, int]) -> None:
        shape, wanted = await self._shape(log), dict(positions)
        for partition in wanted:
            await self._part(log, partition)
        await self._database.write(lambda db: Group.enter(db, shape.log, group).seek(db, wanted))

    async def groups(self, log: str) -> Sequence[str]:
        shape = await self._shape(log)
        return await self._database.read(
            lambda db: [row[0] for row in db.execute(_GROUPS, (shape.log,)).fetchall()]
        )

    # --- letting go

    async def trim(self, log: str, before: Mapping[int, int]) -> None:
        parts = {await self._part(log, number): offset for number, offset in before.items()}
        for part, offset in parts.items():
            await self._upkeep.trim(part, offset)

    async def maintain(self) -> int:
        return await self._upkeep.maintain()


def _require_versioned(shape: Shape) -> None:
    if not shape.versioned:
        raise ConfigError(f"log {shape.name!r} keeps no versions: declare it with versioned=True")


def _shape(db: Connection, log: str) -> Shape | None:
    rows = db.execute(_SHAPE, (log,)).fetchall()
    if not rows:
        return None
    number, name, versioned, _ = rows[0]
    return Shape(number, name, bool(versioned), [row[3] for row in rows])


def _limits(db: Connection, log: str) -> tuple[object, ...]:
    return db.execute(_LIMITS, (log,)).fetchone()


def _declare(db: Connection, row: tuple[object, ...], partitions: int) -> Shape:
    """Return what is declared now."""
    found = _shape(db, str(row[0]))
    if found is None or len(found.parts) == partitions:
        for (log,) in db.execute(_DECLARE, row).fetchall():
            db.executemany(_PARTITION, [(log, number) for number in range(partitions)])
    return found or _declare(db, row, partitions)


def _offsets(db: Connection, log: int, at: Edge | float) -> dict[int, int]:
    rows = db.execute(_TAILS, (log,)).fetchall()
    if at == "end":
        return {number: tail for number, _, tail in rows}
    since = float("-inf") if at == "first" else at
    return {number: first_since(db, part, tail, since) for number, part, tail in rows}


_: type[LogEngine] = SqliteLog
