"""What happened in a call, told to whoever asks and to nobody else.

`policy.outcome(...)` puts a Trail in force; strategies write on it, on their unhappy ways only.
"""

from collections.abc import Awaitable, Callable, Generator, Iterable
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Generic, TypeVar, cast

import msgspec

__all__ = ["Outcome", "Trail", "apart", "apart_sync", "trail"]

R = TypeVar("R")


class Trail:
    """What strategies did so far in the call whose outcome was asked for."""

    __slots__ = ("attempts", "degraded", "ended_by", "waits")

    def __init__(self) -> None:
        self.attempts = 1
        self.waits: list[float] = []
        self.ended_by = ""
        self.degraded: list[str] = []

    def retried(self, wait: float) -> None:
        """Another attempt follows after `wait` seconds; what ended the last is of no account."""
        self.attempts += 1
        self.waits.append(wait)
        self.ended_by = ""

    def refused(self, kind: str) -> None:
        """The strategy of this `kind` did not let the attempt happen."""
        self.attempts -= 1
        self.ended_by = kind

    def spared(self) -> None:
        """The attempt was not needed: somebody has, or gets, the answer."""
        self.attempts -= 1

    def hedged(self) -> None:
        """Another call was begun beside the last."""
        self.attempts += 1

    def ended(self, kind: str) -> None:
        """The strategy of this `kind` decided what the caller gets. The outermost has the word."""
        self.ended_by = kind

    def raced(self, beside: "Iterable[Trail]") -> None:
        """Calls were made beside each other, each with a trail of its own: add up their attempts.
        What else is told in them is that of the one which is taken."""
        for one in beside:
            self.attempts += one.attempts - 1
            self.waits += one.waits

    def degrade(self, part: str) -> None:
        """`part` of the answer is missing, stale or a stand-in."""
        self.degraded.append(part)

    def outcome(self, value: R | None, error: Exception | None = None) -> "Outcome[R]":
        """Return what a finished call's trail tells."""
        return Outcome(
            value, error, self.attempts, tuple(self.waits), self.ended_by, tuple(self.degraded)
        )


class Within(Trail):
    """What goes on inside the function itself. Of that, only what is degraded is told: other
    guarded calls that it makes have outcomes of their own."""

    __slots__ = ()

    def __init__(self, outer: Trail) -> None:
        super().__init__()
        self.degraded = outer.degraded


trail: ContextVar[Trail | None] = ContextVar("isthmus-trail", default=None)
"""The one in force; None where nobody asked."""


@contextmanager
def _within() -> Generator[None]:
    outer = trail.get()
    token = trail.set(None if outer is None else Within(outer))
    try:
        yield
    finally:
        trail.reset(token)


def apart(call: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Return `call` so that what happens inside of it does not look like its own outcome."""

    async def within(*args: Any, **kwargs: Any) -> Any:
        with _within():
            return await call(*args, **kwargs)

    within.__name__ = getattr(call, "__name__", "call")
    return within


def apart_sync(call: Callable[..., Any]) -> Callable[..., Any]:
    """Like `apart`, for a function that blocks its thread."""

    def within(*args: Any, **kwargs: Any) -> Any:
        with _within():
            return call(*args, **kwargs)

    within.__name__ = getattr(call, "__name__", "call")
    return within


class Outcome(msgspec.Struct, Generic[R], frozen=True):
    """A call's value or error, and what the policy did for it."""

    value: R | None = None
    """What was returned; None if `error` is there."""
    error: Exception | None = None
    """What was raised; None if it succeeded."""
    attempts: int = 1
    """Calls that were made, those of a hedge among them; 0 if a policy refused the only one, or
    the answer was kept, or is that of a call which somebody else makes."""
    waits: tuple[float, ...] = ()
    """Seconds waited before each further attempt."""
    ended_by: str = ""
    """Kind of the strategy that decided the end: "timeout", "retry", "circuit breaker",
    "cache", "fallback" ...; "" if the call's own result or error passed through."""
    degraded: tuple[str, ...] = ()
    """Parts of the answer that are missing, stale or a stand-in."""

    @property
    def ok(self) -> bool:
        return self.error is None

    def unwrap(self) -> R:
        """Return the value, or raise the error."""
        if self.error is not None:
            raise self.error
        return cast("R", self.value)
