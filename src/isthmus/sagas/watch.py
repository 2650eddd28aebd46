"""The watch over what runs: cuts attempts whose time is over."""

import asyncio

from isthmus.clock import Clock
from isthmus.sagas.attempt import Attempt

__all__ = ["Watch"]

TICK = 1.0
"""Seconds between two looks, at most."""


class Watch:
    """Over the attempts of one worker."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._attempts: dict[Attempt, float] = {}
        self._changed = asyncio.Event()
        self._sleeps = True

    def begin(self, attempt: Attempt) -> None:
        """Have `attempt` looked after, until `end`."""
        self._attempts[attempt] = self._clock.now()
        if self._sleeps or attempt.timeout < TICK or (attempt.heartbeat or TICK) < TICK:
            self._changed.set()

    def end(self, attempt: Attempt) -> None:
        del self._attempts[attempt]

    async def run(self) -> None:
        """Look after them until cancelled."""
        while True:
            if not self._attempts:
                self._sleeps = True
                await self._changed.wait()
                self._sleeps = False
            self._changed.clear()
            await self._clock.wait(self._changed, self._tick())
            now = self._clock.now()
            for attempt, began in list(self._attempts.items()):
                attempt.cut_if_late(began, now)

    def _tick(self) -> float:
        spans = [min(each.timeout, each.heartbeat or each.timeout) for each in self._attempts]
        return min([TICK, *(span / 2 for span in spans)])
