"""Waiting until a projection shows what was written."""

import asyncio
from collections.abc import Mapping

from isthmus.handling.host import Host
from isthmus.sourcing.generation import group_of
from isthmus.sourcing.recorded import Position
from isthmus.sourcing.standings import Standings

__all__ = ["CatchingUp", "Goal"]

Goal = Position | str | Mapping[int, int] | None
"""A position, or what `str` made of it; an offset for each of some partitions; or None, all that
is there."""

TURNS = 200
"""Turns of the loop before it waits: what is handled in this process may take no more."""
SOONEST, LATEST = 0.001, 0.05
"""Seconds between two looks, the first and the longest."""


class CatchingUp:
    def __init__(self, host: Host, log: str, standings: Standings, projection: str) -> None:
        self._host, self._name, self._standings = host, log, standings
        self._projection, self._log = projection, host.log
        self._offsets: Mapping[int, int] | None = None

    async def reach(self, goal: Goal, *, within: float) -> bool:
        """Return True once it is shown, False after `within` seconds; ConfigError if a text is no
        position."""
        clock = self._host.clock
        if isinstance(goal, str):
            goal = Position.parse(goal)
        until, turn, pause = clock.now() + within, 0, SOONEST
        if goal is None:
            goal = await self._log.offsets(self._name, at="end")
        while not await self._is_reached(goal):
            turn += 1
            if turn <= TURNS:
                await asyncio.sleep(0)
                continue
            if (left := until - clock.now()) <= 0:
                return False
            await clock.sleep(min(pause, left))
            pause = min(LATEST, 1.5 * pause)
        return True

    async def _is_reached(self, goal: Position | Mapping[int, int]) -> bool:
        if self._offsets is None:
            self._offsets = await self._offsets_of(goal)
            if self._offsets is None:
                return False
        live = (await self._standings.get(self._projection)).live.number
        of = group_of(self._name, self._projection, live)
        positions = await self._log.positions(self._name, of.group)
        if any(positions.get(partition, 0) < end for partition, end in self._offsets.items()):
            return False
        if not isinstance(goal, Position):
            return True
        return not await self._host.store.get(of.marks, [goal.key])  # parked: it is passed over

    async def _offsets_of(self, goal: Position | Mapping[int, int]) -> Mapping[int, int] | None:
        """Return how far the group has to be; None if the event is not there yet."""
        if not isinstance(goal, Position):
            return goal
        if goal.version < 1:
            return {}
        after = goal.version - 1
        found = await self._log.history(self._name, goal.key, after=after, limit=1)
        return {each.partition: each.offset + 1 for each in found} if found else None
