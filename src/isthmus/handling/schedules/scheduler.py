"""Drives the schedules of a Host: one process moves each due one, whoever comes first."""

import asyncio
import logging
from collections.abc import Sequence

from isthmus.contracts import Transaction
from isthmus.errors import ConflictError, UnavailableError
from isthmus.handling.declarations import Declarations
from isthmus.handling.facts import ScheduleDue
from isthmus.handling.host import Host
from isthmus.handling.schedules.schedule import Schedule, Tick
from isthmus.handling.schedules.ticks import Ticks
from isthmus.handling.schedules.timetable import Standing, Timetable
from isthmus.handling.unit import repeat

__all__ = ["Roster", "Scheduler"]

_log = logging.getLogger("isthmus.schedules")

AT_LEAST = 30.0
"""Seconds after which the timetable is looked at, whatever is due: somebody may have changed it."""

AGAIN = 1.0
"""Seconds until the next try, when the store is out of reach."""


class Roster(dict[str, Schedule]):
    """The schedules of one App by their names; filled while it opens."""


class Scheduler:
    """A Worker: sends a tick for whatever is due.

    The timetable is moved, and the ticks are sent, in one transaction: of many processes
    one does it, and no crash comes between.
    """

    name = "schedules"

    def __init__(self, declared: Declarations) -> None:
        self._declared = declared
        self._stop = asyncio.Event()

    async def run(self, host: Host) -> None:
        self._stop = asyncio.Event()  # an App may be run again, on another loop
        schedules = self._declared.shared(Roster)
        wait = 0.0
        while not await host.clock.wait(self._stop, wait):
            try:
                wait = await self._tend(host, schedules)
            except (ConflictError, UnavailableError) as error:
                _log.warning("schedules wait %.0f s: %s", AGAIN, error)
                wait = AGAIN

    async def drain(self) -> None:
        self._stop.set()

    async def _tend(self, host: Host, schedules: Roster) -> float:
        """Move all that are due; return the seconds until the next one is."""
        timetable, now = Timetable(host.store), host.clock.now()
        standings = dict(await timetable.read(list(schedules)))
        for name, schedule in schedules.items():
            if schedule.is_due(standings[name], now):
                standings[name] = await self._move(host, timetable, schedule)
        due = [standing.due_at for standing in standings.values() if not standing.paused]
        return max(0.0, min(AT_LEAST, min(due, default=now + AT_LEAST) - host.clock.now()))

    async def _move(self, host: Host, timetable: Timetable, schedule: Schedule) -> Standing:
        ticks = Ticks(host, schedule.name)

        async def move(tx: Transaction) -> tuple[Standing, Sequence[Tick]]:
            standing = await timetable.take(schedule.name, tx=tx)
            now = host.clock.now()  # not before: what was taken may be newer than this round
            if not schedule.is_due(standing, now):
                return standing, ()  # another process was quicker
            to, due = schedule.moved(standing, now)
            await timetable.move(to, tx=tx)
            await ticks.send(due)
            return to, due

        standing, sent = await repeat(host.store, move)
        for tick in sent:
            host.signals.emit(ScheduleDue(name=tick.name, due_at=tick.due_at))
        return standing
