"""Keeps logs to their limits, a little at a time: others write in between."""

from isthmus.engines.sqlite.database.database import Database
from isthmus.engines.sqlite.limits import BOUND
from isthmus.engines.sqlite.records.retention import (
    Dropping,
    Limits,
    below,
    compaction,
    limited,
    outdated,
    tombstones,
)

__all__ = ["Upkeep"]

STEP = 1_000
"""Most records in one commit."""


class Upkeep:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def trim(self, part: int, offset: int) -> None:
        while ids := await self._database.read(lambda db: below(db, part, offset, BOUND)):
            await self._drop(part, ids)

    async def maintain(self) -> int:
        """Return how many records went: about BOUND at most."""
        gone = 0
        for limits in await self._database.read(limited):
            gone += await self._drop_outdated(limits, BOUND - gone)
            if limits.compaction:
                gone += await self._compact(limits, BOUND - gone)
            if gone >= BOUND:
                break
        return gone

    async def _drop_outdated(self, limits: Limits, most: int) -> int:
        now = self._database.clock.now()
        ids = await self._database.read(lambda db: outdated(db, limits, now, most))
        return await self._drop(limits.part, ids)

    async def _compact(self, limits: Limits, most: int) -> int:
        gone, now = 0, self._database.clock.now()
        for _ in range(most // STEP):
            step = await self._database.read(lambda db: compaction(db, limits.part, STEP))
            if step is None:
                break
            gone += await self._database.write(step)
        ids = await self._database.read(lambda db: tombstones(db, limits.part, now, STEP))
        return gone + await self._drop(limits.part, ids)

    async def _drop(self, part: int, ids: list[int]) -> int:
        gone = 0
        for start in range(0, len(ids), STEP):
            gone += await self._database.write(Dropping(part, ids[start : start + STEP]))
        return gone
