"""The policy of a stub that is given none: every upstream gets one of its own."""

from isthmus.resilience.bulkhead import Bulkhead
from isthmus.resilience.circuit_breaker import CircuitBreaker
from isthmus.resilience.policy import Policy
from isthmus.resilience.retry import Retry
from isthmus.resilience.timeout import Timeout

__all__ = ["connect_within", "default_policy"]


def default_policy(name: str) -> Policy:
    """Return a new one: 30 s for all attempts together, three attempts, a circuit that opens
    when half of the calls of 10 s fail, 100 calls at once and 100 that wait, 10 s for each
    attempt, 5 s of them to get a connection."""
    return Policy(
        Timeout(30, total=True),
        Retry(3, delay=0.1),
        CircuitBreaker(),
        Bulkhead(100, queue=100),
        Timeout(10, connect=5),
        name=name,
    )


def connect_within(policy: Policy) -> float:
    """Return the seconds to get a connection, as the innermost of its timeouts says."""
    for strategy in reversed(policy.strategies):
        if isinstance(strategy, Timeout):
            return strategy.connect
    return Timeout().connect
