"""Until when an answer is worth anything: a moment that travels with a request.

It interrupts nothing. Whoever is about to wait asks `remaining`, and waits no longer.
"""

import math
from collections.abc import Callable, Mapping
from contextvars import ContextVar, Token
from types import TracebackType
from typing import Self, TypeVar

from isthmus.clock import Clock, Span, SystemClock, seconds

__all__ = ["HEADER", "Deadline", "deadline", "deadline_headers", "deadline_in", "remaining"]

HEADER = "isthmus-deadline"
"""Message and HTTP header: Unix seconds, with fractions."""

D = TypeVar("D")
_SYSTEM = SystemClock()


class Deadline:
    """A moment, in force for what runs inside `with`. Nested ones: the nearer is in force."""

    __slots__ = ("_clock", "_tokens", "at")

    def __init__(self, at: float, *, clock: Clock) -> None:
        self.at = at
        """Unix seconds; inf is none."""
        self._clock = clock
        self._tokens: list[Token[_InForce | None]] = []

    def __repr__(self) -> str:
        return f"Deadline(at={self.at})"

    def remaining(self) -> float:
        """Return the seconds left, 0 if it has passed."""
        return max(0.0, self.at - self._clock.now())

    def __enter__(self) -> Self:
        outer, mine = in_force.get(), (self.at, self._clock.now, True)
        nearer = outer if outer is not None and _left(outer) <= _left(mine) else mine
        self._tokens.append(in_force.set(nearer))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        in_force.reset(self._tokens.pop())


_InForce = tuple[float, Callable[[], float], bool]

in_force: ContextVar[_InForce | None] = ContextVar("isthmus-deadline", default=None)
"""The moment, what tells the moment it is, and whether those are Unix seconds: what `Deadline`
sets, and what guards a call sets at less cost."""


def _left(deadline: _InForce) -> float:
    at, now, _ = deadline
    return at - now()


def deadline(
    timeout: Span | None = None, *, at: float = math.inf, clock: Clock = _SYSTEM
) -> Deadline:
    """Return a deadline `timeout` from now, to put in force by `with`.

    `at`, a moment that came from elsewhere, stands if it is nearer; without either nothing
    changes. `clock` is the one that `remaining` asks, inside.
    """
    within = math.inf if timeout is None else clock.now() + seconds(timeout)
    return Deadline(min(within, at), clock=clock)


def remaining(default: D = None) -> float | D:
    """Return the seconds left, 0 if it has passed; `default` where no deadline is in force."""
    current = in_force.get()
    if current is None or current[0] == math.inf:
        return default
    return max(0.0, _left(current))


def deadline_headers() -> dict[str, str]:
    """Return the deadline in force as a header to send along; empty if there is none."""
    current = in_force.get()
    if current is None or current[0] == math.inf:
        return {}
    at, now, unix = current
    return {HEADER: f"{at if unix else at - now() + _SYSTEM.now():.3f}"}


def deadline_in(headers: Mapping[str, str]) -> float:
    """Return the moment that `headers` carry; inf if there is none, or none that can be read."""
    try:
        at = float(headers.get(HEADER, "inf"))
    except ValueError:
        return math.inf
    return math.inf if math.isnan(at) else at
