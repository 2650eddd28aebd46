"""Which orders of strategies cannot do what they are meant for, and why."""

from collections.abc import Sequence

from isthmus.errors import ConfigError
from isthmus.resilience.strategy import Strategy

__all__ = ["refuse_around_opening", "refuse_what_cannot_work"]

CANNOT = {
    ("retry", "total timeout"): (
        "the total timeout is inside of the retry that it should bound, and so would begin anew "
        "with each attempt: put it outside, or leave out total=True to bound each attempt"
    ),
    ("bulkhead", "cache"): (
        "the cache is inside of the bulkhead that it should relieve: an answer that is there "
        "would wait for a permit; put the cache outside"
    ),
    ("rate limit", "cache"): (
        "the cache is inside of the rate limit that it should relieve: an answer that is there "
        "would count as a call; put the cache outside"
    ),
    ("retry", "fallback"): (
        "the fallback is inside of the retry: it never fails, so that nothing would be retried; "
        "put the fallback outside"
    ),
    ("circuit breaker", "fallback"): (
        "the fallback is inside of the circuit breaker: it hides every failure from it, so that "
        "it would never open; put the fallback outside"
    ),
    ("retry", "retry"): (
        "two retries multiply: 3 times 3 attempts are 9 on a dependency that is down already; "
        "keep one"
    ),
}
"""(outer, inner): why not. Retry and circuit breaker do well in both orders: a breaker inside
sees each attempt and ends the retrying when it opens; one outside sees how calls ended."""


CANNOT_OPEN = {
    "cache": "would give everybody the one that somebody else uses, or has closed",
    "hedge": "would leave open the one that comes second",
    "fallback": "has nothing of the kind to give instead",
}
"""What can't be around the opening of a generator or context manager: why not."""

ONCE = frozenset(("bulkhead", "cache", "circuit breaker", "rate limit"))
"""What a call must not meet twice: it would wait for itself, or count twice."""


def refuse_around_opening(strategies: Sequence[Strategy], call: str) -> None:
    """Raises ConfigError, with the reason, if one of them can't be around a function that opens
    something, as generators and context managers do."""
    for strategy in strategies:
        why = CANNOT_OPEN.get(strategy.kind)
        if why is None and getattr(strategy, "stands_in", False):
            why = CANNOT_OPEN["fallback"]
        if why is not None:
            raise ConfigError(
                f"{call} is a generator or a context manager, and {strategy!r} {why}: leave it "
                f"out, or guard a function that {call} calls"
            )


def refuse_what_cannot_work(strategies: Sequence[Strategy]) -> None:
    """Raises ConfigError, with the reason, if one of them is where it has no effect."""
    _refuse_twice(strategies)
    kinds = [_kind(strategy) for strategy in strategies]
    for number, outer in enumerate(kinds):
        for inner in kinds[number + 1 :]:
            if why := CANNOT.get((outer, inner)):
                order = ", ".join(type(strategy).__name__ for strategy in strategies)
                raise ConfigError(
                    f"Policy({order}): {why}. The first is the outermost; as_written=True lets "
                    "it be"
                )


def _refuse_twice(strategies: Sequence[Strategy]) -> None:
    seen: list[Strategy] = []
    for strategy in strategies:
        if strategy.kind in ONCE and any(strategy is one for one in seen):
            raise ConfigError(
                f"Policy(...): {strategy!r} is in it twice, so that a call would wait for itself, "
                "or count twice; keep one, or make two"
            )
        seen.append(strategy)


def _kind(strategy: Strategy) -> str:
    return "total timeout" if getattr(strategy, "total", False) is True else strategy.kind
