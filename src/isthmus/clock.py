"""Time, as a value passed in: nothing above or below reads the system clock."""

import asyncio
import heapq
import itertools
import logging
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Protocol

__all__ = ["Clock", "ManualClock", "MonotonicClock", "Span", "SystemClock", "seconds"]

PATIENCE = 2.0
"""Real seconds that one `settle` waits for what comes from outside of the loop, at most."""

Span = float | timedelta
"""What users may write where a span is wanted: seconds, or a timedelta."""

_log = logging.getLogger("isthmus.clock")


def seconds(span: Span) -> float:
    """Return `span` as float seconds; raises TypeError for a text, as "1d"."""
    if isinstance(span, str):
        raise TypeError(f"{span!r}: expected seconds, as 1.5, or a timedelta")
    return span.total_seconds() if isinstance(span, timedelta) else float(span)


class Clock(Protocol):
    """Source of time. Moments are Unix seconds (UTC); spans are seconds."""

    def now(self) -> float:
        """The moment; never the same thing as elapsed time: it may step back."""
        ...

    async def sleep(self, seconds: float) -> None: ...

    async def wait(self, event: asyncio.Event, seconds: float) -> bool:
        """Return True once `event` is set, False once `seconds` have passed."""
        ...


class SystemClock:
    """The machine's clock. A step back of over a second is logged, then followed.

    Leases in a database outlive such a step because engines store their span:
    one that seems to last longer than it was given for is cut to that.
    """

    def __init__(self) -> None:
        self._latest = 0.0

    def now(self) -> float:
        now = time.time()
        if now < self._latest - 1.0:
            _log.warning(
                "the system clock went back %.1f s; delayed messages and schedules wait for it, "
                "leases are cut to their span; keep clocks in step with NTP (slewed, not stepped)",
                self._latest - now,
            )
            self._latest = now
        elif now > self._latest:
            self._latest = now
        return now

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def wait(self, event: asyncio.Event, seconds: float) -> bool:
        if event.is_set():
            return True
        try:
            async with asyncio.timeout(seconds):
                return await event.wait()
        except TimeoutError:
            return event.is_set()


class MonotonicClock(SystemClock):
    """Elapsed seconds since some moment of the past: for spans only, and never stepping back."""

    now = staticmethod(time.monotonic)  # pyright: ignore[reportAssignmentType] - costs half


class ManualClock:
    """A clock that moves only when told to, and wakes who waited, in order."""

    def __init__(self, start: float = 1_700_000_000.0, *, pause: float = 0.0) -> None:
        """`pause`: real seconds that each turn of `settle` leaves to threads."""
        self._now, self._pause = start, pause
        self._attended: list[Callable[[], bool]] = []
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._ticket = itertools.count()

    def now(self) -> float:
        return self._now

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            return await asyncio.sleep(0)
        future = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now + seconds, next(self._ticket), future))
        await future

    async def wait(self, event: asyncio.Event, seconds: float) -> bool:
        sleeper = asyncio.ensure_future(self.sleep(seconds))
        waiter = asyncio.ensure_future(event.wait())
        try:
            await asyncio.wait((sleeper, waiter), return_when=asyncio.FIRST_COMPLETED)
            return event.is_set()
        finally:
            sleeper.cancel()
            waiter.cancel()

    @property
    def sleepers(self) -> int:
        """How many wait for a moment."""
        return sum(not future.done() for _, _, future in self._sleepers)

    @property
    def attends(self) -> bool:
        """Whether `settle` waits for anything outside of the loop."""
        return bool(self._attended)

    def attend(self, busy: Callable[[], bool]) -> None:
        """Have `settle` wait, some seconds at most, while `busy()` says that something from
        outside of the loop is still to come."""
        self._attended.append(busy)

    def set_back(self, seconds: float) -> None:
        """Step the clock back, as a bad time server would. Who sleeps still sleeps for the
        rest of its span, as on a real machine, where that is not measured by this clock."""
        self._now -= seconds
        self._sleepers = [(at - seconds, ticket, future) for at, ticket, future in self._sleepers]

    async def advance(self, seconds: float) -> None:
        """Move forward, stopping at every moment somebody waits for.

        Between two moments the loop runs until what was woken has had its turns;
        work in threads is given time by `settle`.
        """
        end = self._now + seconds
        await self.settle()
        while self._sleepers and self._sleepers[0][0] <= end:
            self._now = max(self._now, self._sleepers[0][0])
            if self._wake():
                await self.settle()
        self._now = max(self._now, end)
        await self.settle()

    def _wake(self) -> bool:
        """Wake all whose moment has come, in their order; return whether any slept."""
        woken = False
        while self._sleepers and self._sleepers[0][0] <= self._now:
            future = heapq.heappop(self._sleepers)[2]
            if not future.done():
                future.set_result(None)
                woken = True
        return woken

    async def settle(self, turns: int = 20) -> None:
        """Let the loop turn, so that everything woken gets as far as it can."""
        until = time.monotonic() + PATIENCE
        for _ in range(turns):
            await asyncio.sleep(self._pause)
            while any(busy() for busy in self._attended) and time.monotonic() < until:  # noqa: ASYNC110
                await asyncio.sleep(self._pause)
