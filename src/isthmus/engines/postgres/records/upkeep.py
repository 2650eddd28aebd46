"""Keeps logs to their limits, a little at a time: others write in between."""

from isthmus.engines.postgres.database.database import Database
from isthmus.engines.postgres.database.steps import Function
from isthmus.engines.postgres.limits import BOUND
from isthmus.engines.postgres.records.reading import sequence

__all__ = ["Upkeep"]

STEP = 1_000
"""Most records in one commit."""
TOMBSTONE = 24 * 3600.0
"""How long compaction keeps a tombstone, in seconds, so that readers see it.
Source: Kafka's delete.retention.ms."""

_TRIM = Function.of("trim_log", "int", "bigint", "int")
_OUTDATED = Function.of("drop_outdated", "int", "float8", "bigint", "int")
_COMPACT = Function.of("compact", "int", "int")
_TOMBSTONES = Function.of("drop_tombstones", "int", "float8", "int")
_LIMITED = """
SELECT log, part, retention, max_bytes, compaction FROM isthmus.part JOIN isthmus.log USING (log)
WHERE retention IS NOT NULL OR max_bytes IS NOT NULL OR compaction ORDER BY log, number
"""


class Upkeep:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def trim(self, part: int, before: int) -> None:
        while await self._database.call(_TRIM.call(part, before, STEP)):
            pass

    async def maintain(self) -> int:
        """Return how many records went: about BOUND at most."""
        gone, now, sequenced = 0, self._database.now(), set[int]()
        for log, part, retention, max_bytes, compaction in await self._database.rows(_LIMITED):
            if log not in sequenced:
                sequenced.add(log)
                await sequence(self._database, log)
            before = None if retention is None else now - retention
            gone += await self._drop_outdated(part, before, max_bytes, BOUND - gone)
            if compaction:
                gone += await self._compact(part, now, BOUND - gone)
            if gone >= BOUND:
                break
        return gone

    async def _drop_outdated(
        self, part: int, before: float | None, max_bytes: int | None, most: int
    ) -> int:
        gone = 0
        while gone < most:
            step = min(STEP, most - gone)
            went = await self._database.call(_OUTDATED.call(part, before, max_bytes, step))
            gone += went
            if went < step:
                break
        return gone

    async def _compact(self, part: int, now: float, most: int) -> int:
        gone = 0
        for _ in range(most // STEP):
            went = await self._database.call(_COMPACT.call(part, STEP))
            if went is None:
                break
            gone += went
        return gone + await self._database.call(_TOMBSTONES.call(part, now - TOMBSTONE, STEP))
