"""Which orders of strategies cannot do what they are meant for, and why."""

from collections.abc import Sequence

from isthmus.errors import ConfigError
from isthmus.resilience.strategy import Strategy

__all__ = ["refuse_what_cannot_work"]

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


def refuse_what_cannot_work(strategies: Sequence[Strategy]) -> None:
    """Raises ConfigError, with the reason, if one of them is where it has no effect."""
    kinds = [_kind(strategy) for strategy in strategies]
    for number, outer in enumerate(kinds):
        for inner in kinds[number + 1 :]:
            if why := CANNOT.get((outer, inner)):
                order = ", ".join(type(strategy).__name__ for strategy in strategies)
                raise ConfigError(
                    f"Policy({order}): {why}. The first is the outermost; as_written=True lets "
                    "it be"
                )


def _kind(strategy: Strategy) -> str:
    return "total timeout" if getattr(strategy, "total", False) is True else strategy.kind
