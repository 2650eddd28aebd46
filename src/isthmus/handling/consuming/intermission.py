"""While a circuit is open a consumer begins nothing, except for a probe now and then.

    flowing ──CircuitOpenError──► paused ──time over, or a circuit closed──► probing
       ▲                            ▲                                         │  │
       │                            └───────────── refused again ─────────────┘  │
       └──────────────────────────── came through ───────────────────────────────┘

A message that was refused has not failed: it goes back, uncounted. So does a probe that the
dependency failed, which opens the circuit again: an outage costs no message its attempts.
"""

import asyncio
import logging
from collections.abc import Callable

from isthmus.handling.consuming.refusals import refusal
from isthmus.handling.facts import ConsumerPaused, ConsumerResumed
from isthmus.handling.host import Host
from isthmus.resilience.errors import CircuitOpenError, NotCalledError
from isthmus.resilience.facts import CircuitChanged

__all__ = ["LOOK", "REST", "Intermission"]

_log = logging.getLogger("isthmus.consumer")

SOON = 1.0
"""Seconds until what was refused is tried again, where the refusal does not tell."""
REST = 0.05
"""Seconds that a slot rests after a refusal without a pause: at most so often is one asked for."""
LOOK = 1.0
"""Seconds after which who waits looks whether it is to stop."""


class Intermission:
    """The pauses of one consumer; `began` is called when one begins."""

    def __init__(self, host: Host, address: str, *, began: Callable[[], None]) -> None:
        self._clock, self._signals, self._draw = host.clock, host.signals, host.draw
        self._address, self._began = address, began
        self.on = False
        """Whether nothing may be begun but a probe: one attribute, for hot code to test."""
        self._since = self._until = 0.0
        self._probe: object | None = None
        self._reopened = False
        self._stirred = asyncio.Event()
        self._leave: Callable[[], None] | None = None

    def refused(self, error: Exception) -> float | None:
        """Return the seconds after which what failed with `error` is to come back, uncounted;
        None if that counts. An open circuit begins a pause, or goes on with it."""
        found = refusal(error)
        if isinstance(found, CircuitOpenError):
            return self._pause(max(found.retry_after or SOON, REST), found)
        if found is not None:
            return max(found.retry_after or SOON, 2 * REST) + self._draw() * SOON
        if self.on and self._reopened:
            return self._pause(SOON, None)
        return None

    async def turn(self, who: object, *, stop: Callable[[], bool]) -> bool:
        """Return True once `who` may begin: as the probe, of which there is one at a time, or
        because the pause is over; False if it is to `stop`."""
        while self.on and self._probe is not who:
            if stop():
                return False
            left = min(self._until - self._clock.now(), LOOK)
            if left <= 0 and self._probe is None:
                self._probe, self._reopened = who, False
            else:
                await self._clock.wait(self._stirred, left if left > 0 else LOOK)
        return not stop()

    def passed(self, who: object) -> None:
        """`who` is through, be it with an error of its own; if it was the probe, go on."""
        if self._probe is not who:
            return
        lasted = self._clock.now() - self._since
        self.close()
        _log.info("consumer %r goes on after %.1f s", self._address, lasted)
        self._signals.emit(ConsumerResumed(address=self._address, after=lasted))

    def forgo(self, who: object) -> None:
        """`who` is no probe after all: there was nothing to try."""
        if self._probe is who:
            self._probe = None

    def stir(self) -> None:
        """Have all who wait look whether they are to stop."""
        self._stirred.set()
        self._stirred.clear()

    def close(self) -> None:
        """End it, and listen for nothing any more."""
        self.on, self._probe = False, None
        if self._leave is not None:
            self._leave()
            self._leave = None
        self.stir()

    def _pause(self, span: float, error: NotCalledError | None) -> float:
        now = self._clock.now()
        self._until, self._probe = now + span, None
        if not self.on and error is not None:
            self.on, self._since = True, now
            self._listen()
            self._tell(span, error)
            self._began()
        return 0.0 if error is not None else span

    def _listen(self) -> None:
        """Hear of a circuit that closes before its time, or opens again, in whatever thread."""
        loop = asyncio.get_running_loop()

        def heard(change: CircuitChanged) -> None:
            if change.now == "open":
                self._reopened = True
            elif change.now == "closed":
                loop.call_soon_threadsafe(self._hurry)

        self._leave = self._signals.listen(CircuitChanged, heard)

    def _hurry(self) -> None:
        self._until = 0.0
        self.stir()

    def _tell(self, span: float, error: NotCalledError) -> None:
        _log.warning("consumer %r pauses for %.3g s: %s", self._address, span, error)
        self._signals.emit(
            ConsumerPaused(
                address=self._address, policy=error.policy, retry_after=span, error=str(error)
            )
        )
