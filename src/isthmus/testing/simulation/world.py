"""What the traffic of a simulation may use: time, chance, and insistence."""

import hashlib
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from isthmus.clock import ManualClock
from isthmus.errors import UnavailableError

__all__ = ["World"]

T = TypeVar("T")


class World:
    """Where a seed rules, and what has happened in it so far."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.random = random.Random(seed)
        """Everything that is left to chance."""
        self.clock = ManualClock()
        self.trace: list[str] = []
        """All that happened, a line each: moment, process, what."""
        self._began_at = self.clock.now()

    @property
    def elapsed(self) -> float:
        """Seconds since it began."""
        return self.clock.now() - self._began_at

    @property
    def digest(self) -> str:
        """What is the same if, and only if, the same happened."""
        return hashlib.sha256("\n".join(self.trace).encode()).hexdigest()

    def note(self, who: str, what: str) -> None:
        """Add a line to the trace."""
        self.trace.append(f"{self.elapsed:.6f} {who} {what}")

    async def sleep(self, seconds: float) -> None:
        """Let virtual time pass."""
        await self.clock.sleep(seconds)

    async def insist(self, call: Callable[[], Awaitable[T]]) -> T:
        """Make a call until it is answered, as a client does that knows what it wants.
        Whatever is sent so needs an id of the client's own."""
        while True:
            try:
                return await call()
            except UnavailableError:
                await self.sleep(self.random.uniform(0.1, 2.0))
