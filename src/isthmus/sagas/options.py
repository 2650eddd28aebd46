"""What may be said of a saga, with unit, default and range; checked where it is said."""

from collections.abc import Collection
from typing import Any, TypedDict, Unpack, cast

import msgspec

from isthmus.clock import Span, seconds
from isthmus.errors import ConfigError
from isthmus.resilience import Policy, Retry

__all__ = ["SagaOptions", "SagaWords", "ladder", "options", "positive"]

MONTH = 30 * 86400.0


class SagaOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How sagas of one name and version run, in each process."""

    timeout: float | None = None
    """Seconds a saga may take in all; then it compensates. Above 0; None is no limit."""
    retry: Retry = Retry(5)
    """When a failed step is tried again, and after how many attempts it has failed for good."""
    step_timeout: float = 300.0
    """Seconds one attempt at a step, or at its undo, may take before it is cancelled. Above 0."""
    undo_retry: Retry = Retry(10)
    """When a failed undo is tried again, and after how many attempts the saga is stuck."""
    compensate_on: Collection[type[Exception]] = ()
    """Errors that are an answer: a step that raises one is not tried again and not undone, and
    the saga compensates. Compensate is always one."""
    concurrency: int = 64
    """Sagas that run at once in a process. 1 to 10,000."""
    lease: float = 30.0
    """Seconds a saga is held for this process, extended while it runs; a process that dies gives
    its sagas back after so long. 1 to 43,200."""
    retention: float = MONTH
    """Seconds for which a saga that has ended is kept, and its id is not used again. Above 0."""
    events_kept: float = MONTH
    """Seconds for which an event is kept that no saga waits for yet. Above 0."""

    def __post_init__(self) -> None:
        for name in ("retry", "undo_retry"):
            if not isinstance(getattr(self, name), Retry):
                raise ConfigError(f"{name}={getattr(self, name)!r}: expected a Retry, as Retry(5)")
        for kind in self.compensate_on:
            if not (isinstance(kind, type) and issubclass(kind, Exception)):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise ConfigError(f"compensate_on: {kind!r} is no class of an error")
        _within("concurrency", self.concurrency, 1, 10_000)
        _within("lease", self.lease, 1, 43_200)
        for name in ("timeout", "step_timeout", "retention", "events_kept"):
            value = getattr(self, name)
            if value is not None:
                _within(name, value, 0.001, float("inf"))


class SagaWords(TypedDict, total=False):
    """The same options as users write them; spans may be timedeltas."""

    timeout: Span | None
    retry: Retry
    step_timeout: Span
    undo_retry: Retry
    compensate_on: Collection[type[Exception]]
    concurrency: int
    lease: Span
    retention: Span
    events_kept: Span


SPANS = ("timeout", "step_timeout", "lease", "retention", "events_kept")


def options(**words: Unpack[SagaWords]) -> SagaOptions:
    """Return the options as they were written.

    Raises:
        ConfigError: One is unknown, or out of its range.
    """
    known = SagaOptions.__struct_fields__
    if unknown := sorted(set(words) - set(known)):
        raise ConfigError(f"a saga has no option {unknown[0]!r}; it has {', '.join(known)}")
    given = cast("dict[str, Any]", dict(words))
    spans: dict[str, Any] = {
        name: positive(name, given[name])
        for name in SPANS
        if name in given and given[name] is not None
    }
    chosen: dict[str, Any] = {**given, **spans}
    return SagaOptions(**chosen)


def ladder(policy: Policy | Retry | None, usual: Retry) -> tuple[Policy | None, Retry]:
    """Return what guards each attempt, and when another follows."""
    if policy is None:
        return None, usual
    if isinstance(policy, Retry):
        return None, policy
    if not isinstance(policy, Policy):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigError(f"policy={policy!r}: expected a Policy, or a Retry")
    retries = any(isinstance(each, Retry) for each in policy.strategies)
    return policy, Retry(1) if retries else usual


def positive(name: str, span: object) -> float:
    """Return `span` in seconds; ConfigError unless it is above 0."""
    try:
        value = seconds(cast("Span", span))
    except (TypeError, ValueError):
        value = -1.0
    if isinstance(span, bool | str) or not value > 0:
        raise ConfigError(f"{name}={span!r}: expected seconds above 0, or a timedelta")
    return value


def _within(name: str, value: object, low: float, high: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigError(f"{name}={value!r}: expected a number from {low:g} to {high:g}")
    if not low <= value <= high:
        raise ConfigError(f"{name}={value!r} is out of range: {low:g} to {high:g}")
