"""What every policy of this room is: one decision around a call, async or sync alike.

A strategy is made of options and, where it remembers, of a state that all its users share: the
same CircuitBreaker in two policies is one breaker. What it decides is a pure state machine over
`(state, outcome, now)`; `around` and `around_sync` are its two thin drivers. `Policy` binds each
to the next, the first outermost, once, so that a call passes through closures and nothing else.
"""

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, Protocol

from isthmus.clock import Clock
from isthmus.signals import Signals

__all__ = ["AsyncCall", "Site", "Strategy", "SyncCall", "name_of"]

AsyncCall = Callable[..., Awaitable[Any]]
SyncCall = Callable[..., Any]


class Site(NamedTuple):
    """Where a strategy is bound: what it is given instead of reading it from the world."""

    policy: str
    """The policy's name, for signals and errors; "" if it has none."""
    clock: Clock
    """Monotonic seconds, and async sleep."""
    pause: Callable[[float], None]
    """Sleep of the sync driver."""
    draw: Callable[[], float]
    """A random number from 0 to 1."""
    signals: Signals
    idempotent: bool
    """Whether the call may be made twice: by declaration, by method or by its key."""
    fn: object = None
    """The function that is guarded, as its user gave it; None where a strategy is bound by hand."""
    counted: tuple[object, ...] = ()
    """The budgets that strategies further out count the call for."""


class Strategy(Protocol):
    """One reliability decision around a call."""

    @property
    def kind(self) -> str:
        """What it is, in the field's word: "retry", "circuit breaker" ..."""
        ...

    def around(self, call: AsyncCall, at: Site) -> AsyncCall:
        """Return `call`, guarded. Bound once per policy and function; called often."""
        ...

    def around_sync(self, call: SyncCall, at: Site) -> SyncCall:
        """Like `around`, for functions that block their thread; safe from many threads."""
        ...


def name_of(call: object) -> str:
    """Return how a call is named in errors, signals and logs."""
    return getattr(call, "__name__", type(call).__name__)
