"""What time it is, for all machines that share a database.

They reckon by their own clocks, as long as those are in step with the server's; one that is
not reckons by the server's, or it would take for lapsed what others have just leased.
"""

import logging
from typing import Any

from isthmus.clock import Clock, MonotonicClock, SystemClock

__all__ = ["IN_STEP", "Timing"]

_log = logging.getLogger("isthmus.postgres")

IN_STEP = 1.0
"""Seconds by which a clock may differ from the server's."""

_ASK = "SELECT extract(epoch FROM clock_timestamp())::float8"


class Timing:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._behind = 0.0
        """What is added to the clock's moments."""
        # a clock that is moved by hand, or by a simulation, has no business with the server's
        self._measured = isinstance(clock, SystemClock) and not isinstance(clock, MonotonicClock)

    def now(self) -> float:
        return self._clock.now() + self._behind

    async def measure(self, connection: Any) -> None:
        """Compare the clock with the server's."""
        if not self._measured:
            return
        before = self._clock.now()
        there = await connection.fetchval(_ASK)
        after = self._clock.now()
        if 0.0 <= after - before < IN_STEP / 2:
            self._compare(there - (before + after) / 2)

    def _compare(self, behind: float) -> None:
        behind = behind if abs(behind) > IN_STEP else 0.0
        if abs(behind - self._behind) <= IN_STEP:
            return
        self._behind = behind
        if behind:
            _log.warning(
                "this machine's clock is %.1f s %s the database's, which is gone by; keep clocks "
                "in step with NTP",
                abs(behind),
                "behind" if behind > 0 else "ahead of",
            )
