"""Logs, and the groups that read them."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from isthmus.contracts import Edge, LogCapabilities, LogEngine, Member, Record, Tx, Versions
from isthmus.engines.postgres.database.database import Database
from isthmus.engines.postgres.database.funnel import Funnel
from isthmus.engines.postgres.limits import MAX_BATCH, MAX_BODY, require_fitting, require_text
from isthmus.engines.postgres.packing import weight
from isthmus.engines.postgres.records.appends import Append, Shape
from isthmus.engines.postgres.records.groups import Groups
from isthmus.engines.postgres.records.reading import pages, record_of, sequence
from isthmus.engines.postgres.records.upkeep import Upkeep
from isthmus.errors import ConfigError, NotFoundError
from isthmus.message import Message

__all__ = ["PostgresLog"]

_DECLARE = """
INSERT INTO isthmus.log AS l (name, versioned, retention, max_bytes, compaction)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (name) DO UPDATE SET retention = $3, max_bytes = $4, compaction = $5
WHERE l.versioned = $2 AND $6 = (SELECT count(*) FROM isthmus.part WHERE part.log = l.log)
RETURNING log
"""
_PARTS = """
INSERT INTO isthmus.part (log, number) SELECT $1, n FROM generate_series(0, $2::int - 1) AS n
ON CONFLICT DO NOTHING
"""
_SHAPE = """
SELECT l.log, l.versioned, array_agg(p.part ORDER BY p.number) AS parts
FROM isthmus.log l JOIN isthmus.part p USING (log) WHERE l.name = $1 GROUP BY l.log
"""
_LIMITS = "SELECT retention, max_bytes, compaction FROM isthmus.log WHERE name = $1"
_HISTORY = """
SELECT h.version AS head, r.* FROM (
  SELECT coalesce((SELECT version FROM isthmus.head WHERE log = $1 AND key = $3), 0) AS version
) AS h LEFT JOIN LATERAL (
  SELECT place, at, version, packed FROM isthmus.record
  WHERE part = $2 AND key = $3 AND version > $4 AND version IS NOT NULL
  ORDER BY version LIMIT $5) AS r ON true
ORDER BY r.version
"""
_ENDS = "SELECT number, tail FROM isthmus.part WHERE log = $1 ORDER BY number"
_SINCE = """
SELECT number, isthmus.first_since(part, $2) FROM isthmus.part WHERE log = $1 ORDER BY number
"""
_LOGS = "SELECT name FROM isthmus.log"


class PostgresLog:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._readers = Groups(database)
        self._upkeep = Upkeep(database)
        self._shapes: dict[str, Shape] = {}
        self._finding = asyncio.Lock()
        self._appending = Funnel[Append, None](self._append_all, weigh=_weight_of)
        database.finish_with(self._appending.empty)
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
        require_text((log,))
        if partitions < 1:
            raise ConfigError(f"log {log!r} needs at least 1 partition, not {partitions}")
        limits = (retention, max_bytes, compaction)
        found = await self._find(log)
        if found is None or tuple((await self._database.rows(_LIMITS, log))[0]) != limits:
            await self._declare(log, (versioned, *limits), partitions)
            found = await self._find(log)
        assert found is not None
        if (len(found.parts), found.versioned) != (partitions, versioned):
            raise ConfigError(
                f"log {log!r} exists with partitions={len(found.parts)}, "
                f"versioned={found.versioned}: declare it so, or name the new one otherwise"
            )

    async def _declare(self, log: str, wanted: tuple[object, ...], partitions: int) -> None:
        async def work(at: Any) -> None:
            number = await at.fetchval(_DECLARE, log, *wanted, partitions)
            if number is not None:
                await at.execute(_PARTS, number, partitions)

        await self._database.together(work)

    async def logs(self) -> Sequence[str]:
        return [name for (name,) in await self._database.rows(_LOGS)]

    async def _find(self, log: str) -> Shape | None:
        rows = await self._database.rows(_SHAPE, log)
        if not rows:
            return None
        number, versioned, parts = rows[0]
        return Shape(number, log, versioned, tuple(parts))

    async def _shape(self, log: str) -> Shape:
        self._database.require_open()
        if log not in self._shapes:
            async with self._finding:  # one asks for all
                shape = self._shapes.get(log) or await self._find(log)
                if shape is None:
                    raise NotFoundError(f"log {log!r} was never declared: declare it first")
                self._shapes[log] = shape
        return self._shapes[log]

    async def _part(self, log: str, partition: int) -> int:
        parts = (await self._shape(log)).parts
        if not 0 <= partition < len(parts):
            raise NotFoundError(
                f"log {log!r} has partitions 0 to {len(parts) - 1}, not {partition}"
            )
        return parts[partition]

    # --- appending and reading

    async def append(
        self, log: str, messages: Sequence[Message], *, expected: Versions = None, tx: Tx = None
    ) -> None:
        shape = await self._shape(log)
        require_fitting(log, messages)
        if expected is not None:
            _require_versioned(shape)
        if not messages and not expected:
            return
        append = Append(shape, list(messages), dict(expected or {}))
        if tx is not None or shape.versioned:
            await self._database.apply(append, tx)
        else:
            await self._appending.put(append)

    async def _append_all(self, appends: Sequence[Append]) -> Sequence[None]:
        by_log = sorted(appends, key=lambda append: append.shape.log)
        for append in Append.merged(by_log):
            await self._database.finish(append)
        return [None] * len(appends)

    async def read(
        self, log: str, partition: int, *, offset: int, limit: int, wait: float = 0.0
    ) -> Sequence[Record]:
        await self._part(log, partition)
        shape = await self._shape(log)

        async def probe() -> tuple[list[Record] | None, float]:
            found = await pages(self._database, shape, [(partition, offset)], limit)
            return found or None, float("inf")

        wait = wait if limit > 0 else 0.0
        return await self._database.until(probe, channel=shape.channel, wait=wait) or []

    async def history(
        self, log: str, key: str, *, after: int = 0, limit: int = 1000, tx: Tx = None
    ) -> Sequence[Record]:
        shape = await self._shape(log)
        _require_versioned(shape)
        part = shape.part_of(key)
        own = None if tx is None else self._database.own(tx)
        look = self._database.rows if own is None else own.look
        await sequence(self._database, shape.log)
        rows = await look(_HISTORY, shape.log, part, key, after, limit)
        if own is not None:
            head = rows[0]["head"]
            await own.saw(lambda reads: reads.saw_head(log, key, head))
        elif any(row["place"] is None and row["version"] is not None for row in rows):
            return await self.history(log, key, after=after, limit=limit)  # it came meanwhile
        number = shape.parts.index(part)
        return [record_of(row, number) for row in rows if row["version"] is not None]

    async def offsets(self, log: str, *, at: Edge | float) -> Mapping[int, int]:
        shape = await self._shape(log)
        await sequence(self._database, shape.log)
        if at == "end":
            return dict(await self._database.rows(_ENDS, shape.log))
        since = float("-inf") if at == "first" else at
        return dict(await self._database.rows(_SINCE, shape.log, since))

    # --- groups

    async def join(
        self, log: str, group: str, *, start: Edge = "first", session: float = 10.0
    ) -> Member:
        require_text((group,))
        begin = await self.offsets(log, at=start)
        return await self._readers.join(await self._shape(log), group, begin, session=session)

    async def positions(self, log: str, group: str) -> Mapping[int, int]:
        return await self._readers.positions(await self._shape(log), group)

    async def seek(self, log: str, group: str, positions: Mapping[int, int]) -> None:
        for partition in positions:
            await self._part(log, partition)
        await self._readers.seek(await self._shape(log), group, positions)

    async def groups(self, log: str) -> Sequence[str]:
        return await self._readers.names(await self._shape(log))

    # --- letting go

    async def trim(self, log: str, before: Mapping[int, int]) -> None:
        parts = {await self._part(log, number): offset for number, offset in before.items()}
        await sequence(self._database, (await self._shape(log)).log)
        for part, offset in parts.items():
            await self._upkeep.trim(part, offset)

    async def maintain(self) -> int:
        return await self._upkeep.maintain()


def _weight_of(append: Append) -> int:
    return weight(append.messages)


def _require_versioned(shape: Shape) -> None:
    if not shape.versioned:
        raise ConfigError(f"log {shape.name!r} keeps no versions: declare it with versioned=True")


_: type[LogEngine] = PostgresLog
