"""What may be said of a handler, with unit, default and range; checked where it is said."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, TypedDict, Unpack, cast

import msgspec

from isthmus.clock import Span, seconds
from isthmus.errors import ConfigError
from isthmus.handling.consuming.guarding import refuse_what_cannot_guard
from isthmus.resilience import Policy, Retry

__all__ = ["LADDER", "WEEK", "HandlerOptions", "HandlerWords", "options"]

WEEK = 7 * 86400.0

LADDER = Retry(5)
"""How a message comes back unless said otherwise: five attempts, as nobody waits for it; a call
that somebody waits for has three."""


class HandlerOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How messages of one subscription are handled, in each process."""

    concurrency: int = 16
    """Handlers that run at once. 1 to 10,000; 1 keeps the order of arrival."""
    retry: Retry = LADDER
    """When a failed message comes back, and after how many attempts it is given up."""
    timeout: float = 300.0
    """Seconds a handler may take before it is cancelled and counted as failed, give
    or take a second. Above 0; a handler in a thread goes on, but cannot commit."""
    lease: float = 30.0
    """Seconds a message is held for this process, extended while it is handled; a
    process that dies gives its messages back after so long. 1 to 43,200."""
    inbox: float = WEEK
    """Seconds for which an id handled once is not handled again. Above 0; longer
    than the longest time in which a producer may send again."""
    batch: int = 1
    """Messages given to one call of the handler, which then takes a list. 1 to 10,000."""
    linger: float = 0.0
    """Seconds to wait for a batch to fill. 0 to 60."""
    rate: float | None = None
    """Most messages begun a second, over all processes. None is no limit; above 0."""
    where: Mapping[str, Sequence[str]] = {}
    """Attributes or headers and the values wanted; other messages are let pass."""
    policy: Policy | None = None
    """What guards each call of the handler: breaker, timeout, bulkhead, rate limit. None is
    nothing; a Retry, Hedge, Fallback, Cache or Feature is refused. What it refuses goes back
    uncounted; while a circuit is open, the consumer pauses."""

    def __post_init__(self) -> None:
        if not isinstance(self.retry, Retry):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ConfigError(f"retry={self.retry!r}: expected a Retry, as Retry(attempts=5)")
        _within("concurrency", self.concurrency, 1, 10_000)
        _within("timeout", self.timeout, 0.001, float("inf"))
        _within("lease", self.lease, 1, 43_200)
        _within("inbox", self.inbox, 0.001, float("inf"))
        _within("batch", self.batch, 1, 10_000)
        _within("linger", self.linger, 0, 60)
        if self.rate is not None:
            _within("rate", self.rate, 1e-6, float("inf"))
        if self.policy is not None:
            refuse_what_cannot_guard(self.policy)


def _within(name: str, value: object, low: float, high: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigError(f"{name}={value!r}: expected a number from {low:g} to {high:g}")
    if not low <= value <= high:
        raise ConfigError(f"{name}={value!r} is out of range: {low:g} to {high:g}")


class HandlerWords(TypedDict, total=False):
    """The same options as users write them; spans may be timedeltas."""

    concurrency: int
    retry: Retry
    timeout: Span
    lease: Span
    inbox: Span
    batch: int
    linger: Span
    rate: float | None
    where: Mapping[str, str | Sequence[str]]
    policy: Policy | None


def options(**words: Unpack[HandlerWords]) -> HandlerOptions:
    """Return the options as they were written.

    Raises:
        ConfigError: One is unknown, or out of its range.
    """
    known = HandlerOptions.__struct_fields__
    if unknown := sorted(set(words) - set(known)):
        raise ConfigError(f"a handler has no option {unknown[0]!r}; it has {', '.join(known)}")
    given = cast("dict[str, Any]", dict(words))
    spans: dict[str, Any] = {name: _span(name, given[name]) for name in SPANS if name in given}
    wanted = {name: _listed(value) for name, value in words.get("where", {}).items()}
    chosen: dict[str, Any] = {**given, **spans, "where": wanted}
    return HandlerOptions(**chosen)


SPANS = ("timeout", "lease", "inbox", "linger")


def _span(name: str, value: object) -> float:
    if isinstance(value, timedelta) or (isinstance(value, int | float) and value is not True):
        return seconds(value)
    raise ConfigError(f"{name}={value!r}: expected seconds, or a timedelta")


def _listed(value: str | Sequence[str]) -> Sequence[str]:
    return (value,) if isinstance(value, str) else tuple(value)
