"""State that processes share, and what a strategy does while it is out of reach.

A strategy asks for two things: read a named value with its version, and write it if that version
still holds. A store can do both; so can most databases and caches.
"""

import asyncio
import logging
import random
import struct
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import ClassVar, NamedTuple, Protocol, TypeVar

from isthmus.clock import Clock, Span, SystemClock, seconds
from isthmus.errors import ConflictError
from isthmus.resilience.facts import PolicySignal, signals, tell
from isthmus.resilience.options import refuse_unless_whole
from isthmus.resilience.strategy import Site
from isthmus.signals import Signals

__all__ = [
    "LocalState",
    "Reach",
    "SharedState",
    "SharedStateLost",
    "SharedStateRegained",
    "Unreached",
    "Versioned",
    "numbers_in",
    "numbers_to_bytes",
    "outside",
    "update",
]

T = TypeVar("T")


class Versioned(NamedTuple):
    """A value as it was read."""

    value: bytes
    """b"" if there is none."""
    version: int
    """Grows with every write, from 1; 0 if there is none."""


class SharedState(Protocol):
    """Named values that processes see alike. Compare-and-set is all there is."""

    async def read(self, name: str) -> Versioned:
        """Return the value and its version; one that has expired is none."""
        ...

    async def write(
        self, name: str, value: bytes, *, if_version: int, ttl: float | None = None
    ) -> bool:
        """Write it, to be gone after `ttl` seconds, if its version is still `if_version` (0:
        if there is none) and return True; else return False, and nothing was written."""
        ...


class LocalState:
    """Shared state of one process: for tests, and to run alone what will run in many.

    Bounded: of the names, `most` are kept, those that were written last.
    """

    def __init__(self, *, most: int = 100_000, clock: Clock | None = None) -> None:
        refuse_unless_whole("LocalState", "most", most, 1)
        self._most, self._clock = most, clock or SystemClock()
        self._values: OrderedDict[str, tuple[Versioned, float]] = OrderedDict()
        self._lock = threading.Lock()

    async def read(self, name: str) -> Versioned:
        with self._lock:
            return self._current(name)

    async def write(
        self, name: str, value: bytes, *, if_version: int, ttl: float | None = None
    ) -> bool:
        with self._lock:
            if self._current(name).version != if_version:
                return False
            until = float("inf") if ttl is None else self._clock.now() + ttl
            self._values[name] = Versioned(value, if_version + 1), until
            self._values.move_to_end(name)
            if len(self._values) > self._most:
                self._values.popitem(last=False)
            return True

    def _current(self, name: str) -> Versioned:
        value, until = self._values.get(name, (NOTHING, float("inf")))
        return value if self._clock.now() < until else NOTHING


NOTHING = Versioned(b"", 0)

Change = Callable[[bytes], tuple[bytes | None, T]]
"""From a value, b"" if there is none, to the one that replaces it (None: it stays), and an
answer. Called again if another was first, so it has no effect of its own."""


async def update(
    state: SharedState,
    name: str,
    change: Change[T],
    *,
    attempts: int = 10,
    ttl: float | None = None,
) -> T:
    """Change a value as if nobody else did, and return what `change` answered.

    Raises:
        ConflictError: Others were first, `attempts` times; nothing was written.
    """
    for _ in range(attempts):
        seen = await state.read(name)
        value, answer = change(seen.value)
        if value is None or await state.write(name, value, if_version=seen.version, ttl=ttl):
            return answer
    raise ConflictError(
        f"{name} changed {attempts} times while it was being written; too many share one name",
        subject=name,
    )


class SharedStateLost(PolicySignal, frozen=True, kw_only=True):
    """A strategy cannot reach what it shares with other processes, and goes by what it has."""

    level: ClassVar[int] = logging.WARNING

    name: str
    """Whose state: the strategy's kind and name."""
    error: str
    """Type of the error."""


class SharedStateRegained(PolicySignal, frozen=True, kw_only=True):
    """It can be reached again."""

    level: ClassVar[int] = logging.WARNING

    name: str


class Unreached(NamedTuple):
    """What `Reach.update` answers while the state is out of reach."""

    error: Exception


class Reach:
    """A strategy's hand on shared state. It never fails a call, and never holds one up for long:
    once out of reach, the state is left alone for a while."""

    __slots__ = ("_again_at", "_lost", "_state", "name", "pause", "timeout")

    def __init__(
        self, state: SharedState, name: str, *, timeout: Span = 0.25, pause: Span = 5.0
    ) -> None:
        """
        Args:
            state: What is shared.
            name: Whose state it is, for signals.
            timeout: Most seconds that one change may take. Above 0; default 0.25.
            pause: Seconds without an attempt after one that failed. 0 up; default 5.
        """
        self._state, self.name = state, name
        self.timeout, self.pause = seconds(timeout), seconds(pause)
        self._again_at = 0.0
        self._lost: Exception | None = None

    async def update(
        self, key: str, change: Change[T], *, at: Site, ttl: float | None = None
    ) -> T | Unreached:
        """Like `update`; Unreached if that failed, or failed a moment ago."""
        if self._lost is not None and at.clock.now() < self._again_at:
            return Unreached(self._lost)
        try:
            async with asyncio.timeout(self.timeout):
                answer = await update(self._state, key, change, ttl=ttl)
        except ConflictError as error:  # it is there, and this one name is in demand
            self._tell_lost(error, at)
            return Unreached(error)
        except Exception as error:  # noqa: BLE001 - whatever a store may raise
            first, self._lost = self._lost is None, error
            self._again_at = at.clock.now() + self.pause
            if first:
                self._tell_lost(error, at)
            return Unreached(error)
        if self._lost is not None:
            self._lost = None
            tell(at.signals, SharedStateRegained, policy=at.policy, name=self.name)
        return answer

    def _tell_lost(self, error: Exception, at: Site) -> None:
        kind = type(error).__name__
        tell(at.signals, SharedStateLost, policy=at.policy, name=self.name, error=kind)


def outside(clock: Clock, hub: Signals = signals) -> Site:
    """Return where a strategy is that is asked by hand, not by a policy."""
    return Site("", clock, time.sleep, random.random, hub, idempotent=False)


def numbers_to_bytes(numbers: tuple[float, ...]) -> bytes:
    return struct.pack(f"!{len(numbers)}d", *numbers)


def numbers_in(value: bytes) -> tuple[float, ...]:
    """Return the numbers of `numbers_to_bytes`; none of a value that is no such thing."""
    if len(value) % 8:
        return ()
    return struct.unpack(f"!{len(value) // 8}d", value)
