"""What policies tell: a signal for who listens, and the same fact as one line of the log.

A policy used without an App tells `signals`, this module's; an App forwards them to its own
listeners. The logger is `isthmus.resilience`; no line holds an argument or a result.
"""

import logging
from typing import Any, ClassVar

from isthmus.signals import Signal, Signals

__all__ = [
    "CallRejected",
    "CallRetried",
    "CallTimedOut",
    "CircuitChanged",
    "LimitChanged",
    "PolicySignal",
    "RetriesSpent",
    "signals",
    "tell",
]

signals = Signals()
"""Where policies tell what happened, unless they were given another hub."""

log = logging.getLogger("isthmus.resilience")


class PolicySignal(Signal, frozen=True, kw_only=True):
    """What one policy did; `str` of it is its line in the log."""

    level: ClassVar[int] = logging.INFO

    policy: str
    """The policy's name; "" if it has none."""

    def __str__(self) -> str:
        values = (f"{name}={_shown(getattr(self, name))}" for name in self.__struct_fields__[1:])
        return f"{self.policy or 'a policy'}: {type(self).__name__} {' '.join(values)}"


def _shown(value: object) -> str:
    """Return `value` as it is read in a log: spans to a thousandth."""
    return repr(round(value, 3) if isinstance(value, float) else value)


class CallTimedOut(PolicySignal, frozen=True, kw_only=True):
    """A call took longer than it may. One that blocks its thread went on to its end."""

    level: ClassVar[int] = logging.WARNING

    call: str
    """The function's name."""
    timeout: float
    """Seconds that it was given."""


class CallRetried(PolicySignal, frozen=True, kw_only=True):
    """An attempt failed and another follows."""

    call: str
    attempt: int
    """The attempt that failed, from 1."""
    delay: float
    """Seconds until the next."""
    error: str
    """Type of its error; "" if its result was refused."""


class RetriesSpent(PolicySignal, frozen=True, kw_only=True):
    """A call that may be retried is not: none is left, or there is no time or budget for it."""

    level: ClassVar[int] = logging.WARNING

    call: str
    attempts: int
    reason: str
    """What ended it, as a clause: "no attempt is left", "it asked for 30 s", "its time is over",
    "the deadline is too near", "the retry budget is spent", "the circuit is open" or "it is not
    declared idempotent"."""
    error: str


class CallRejected(PolicySignal, frozen=True, kw_only=True):
    """A call was not made."""

    call: str
    by: str
    """Kind of the strategy that refused: "circuit breaker", "bulkhead" ..."""
    retry_after: float | None


class CircuitChanged(PolicySignal, frozen=True, kw_only=True):
    """A circuit breaker passed from one state to another."""

    level: ClassVar[int] = logging.WARNING

    circuit: str
    """The breaker's name; "" if it has none."""
    was: str
    now: str
    """closed, open, half-open or isolated."""


class LimitChanged(PolicySignal, frozen=True, kw_only=True):
    """An adaptive bulkhead lets in more calls, or fewer."""

    level: ClassVar[int] = logging.DEBUG

    was: int
    now: int


def tell(hub: Signals, kind: type[PolicySignal], /, **fields: Any) -> None:
    """Emit a signal of `kind` and log it, as far as anybody wants either."""
    wanted = hub.wanted(kind)
    if not wanted and not log.isEnabledFor(kind.level):
        return
    fact = kind(**fields)
    log.log(kind.level, "%s", fact)
    if wanted:
        hub.emit(fact)
