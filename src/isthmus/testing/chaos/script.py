"""What goes wrong, and when: a script that replays exactly."""

import random
from collections.abc import Awaitable, Callable, Iterable, Iterator
from enum import StrEnum
from typing import TypeVar

from isthmus.clock import Clock, SystemClock
from isthmus.errors import UnavailableError

__all__ = ["ANY", "READS", "Chaos", "Fault"]

T = TypeVar("T")


class Fault(StrEnum):
    """What may befall a call. Each is something that the contracts allow."""

    NONE = "none"
    BEFORE = "fail before"
    """UnavailableError, and nothing was done."""
    AFTER = "fail after"
    """UnavailableError, though it was done."""
    DELAY = "delay"
    """Done, after a while."""
    TWICE = "duplicate"
    """Done twice: a message or a record that is sent again."""
    LOST = "drop"
    """Taken and never handed out: the deliveries lapse, as if their holder died."""


READS = frozenset({Fault.BEFORE, Fault.DELAY})
"""The faults of a call that changes nothing."""
ANY = READS | {Fault.AFTER}
"""The faults of a call that changes something, which shall not happen twice."""


class Chaos:
    """A script, one fault for each call, in the order of the calls.

    A fault that a call cannot suffer is passed over, and recorded so: `played`
    is a script that does the same to the same calls. Once the script is over,
    nothing goes wrong any more.

    Args:
        script: The faults; may be endless.
        clock: On which `Fault.DELAY` waits; default is the machine's.
        delay: How long `Fault.DELAY` lasts, in seconds.
    """

    def __init__(
        self, script: Iterable[Fault] = (), *, clock: Clock | None = None, delay: float = 1.0
    ) -> None:
        self._script: Iterator[Fault] = iter(script)
        self._clock = clock or SystemClock()
        self._delay = delay
        self.played: list[Fault] = []
        self.calls: list[str] = []
        """The names of the calls, one for each of `played`."""

    @classmethod
    def seeded(
        cls, seed: int, *, rate: float = 0.1, clock: Clock | None = None, delay: float = 1.0
    ) -> "Chaos":
        """Chaos without end, where each call suffers with the probability `rate`, 0 to 1."""
        return cls(_endless(random.Random(seed), rate), clock=clock, delay=delay)

    async def befall(
        self, name: str, call: Callable[[], Awaitable[T]], *, may: frozenset[Fault]
    ) -> T:
        """Make the call, with what the script has for it, if it is one of `may`."""
        fault = self._next(name, may)
        if fault is Fault.BEFORE:
            raise UnavailableError(f"chaos: {name} failed before it was done")
        if fault is Fault.DELAY:
            await self._clock.sleep(self._delay)
        result = await call()
        if fault is Fault.TWICE:
            return await call()
        if fault is Fault.AFTER:
            raise UnavailableError(f"chaos: {name} failed after it was done")
        return result

    def loses(self, name: str) -> bool:
        """Whether what this call has taken gets lost on its way."""
        return self._next(name, frozenset({Fault.LOST})) is Fault.LOST

    def _next(self, name: str, may: frozenset[Fault]) -> Fault:
        fault = next(self._script, Fault.NONE)
        self.played.append(fault if fault in may else Fault.NONE)
        self.calls.append(name)
        return self.played[-1]


def _endless(draw: random.Random, rate: float) -> Iterator[Fault]:
    faults = [fault for fault in Fault if fault is not Fault.NONE]
    while True:
        yield draw.choice(faults) if draw.random() < rate else Fault.NONE
