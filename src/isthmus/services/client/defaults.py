"""The policy of a client that is given none: every upstream gets one of its own."""

from isthmus.resilience.budget import RetryBudget
from isthmus.resilience.bulkhead import Bulkhead
from isthmus.resilience.circuit_breaker import CircuitBreaker
from isthmus.resilience.policy import Policy
from isthmus.resilience.registry import Policies, policies
from isthmus.resilience.retry import Retry
from isthmus.resilience.strategy import Strategy
from isthmus.resilience.timeout import Timeout

__all__ = ["default_policy", "default_strategies", "own_policy"]


def default_strategies() -> tuple[Strategy, ...]:
    """Return new ones: 30 s for all attempts together, three attempts, a circuit that opens when
    half of the calls of 10 s fail, 100 calls at once and 100 that wait, 10 s for each attempt,
    5 s of them to get a connection."""
    return (
        Timeout(30, total=True),
        Retry(3, delay=0.1),
        CircuitBreaker(),
        Bulkhead(100, queue=100),
        Timeout(10, connect=5),
    )


def default_policy(name: str, registry: Policies = policies) -> Policy:
    """Return the policy of the upstream `name`: that which code defined by this name, else the
    default; configuration amends it in either case."""
    return registry.default(name, *default_strategies())


def own_policy(name: str, registry: Policies = policies) -> Policy:
    """Return a policy like the default of `name`, with a state of its own: what a fake does to
    it, in a test, is nothing to others."""
    like = default_policy(name, registry)
    return Policy(*map(_anew, like.strategies), name=name, as_written=True)


def _anew(strategy: Strategy) -> Strategy:
    """Return one with the same options, of this process alone; `strategy` if it tells none."""
    tell = getattr(strategy, "options", None)
    if tell is None:
        return strategy
    options = tell()
    if options.get("shared") is not None:
        options["shared"] = None
    if isinstance(budget := options.get("budget"), RetryBudget):
        options["budget"] = RetryBudget(budget.rate, minimum=budget.minimum, window=budget.window)
    return type(strategy)(**options)
