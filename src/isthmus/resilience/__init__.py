"""What to do about a call that may fail: policies around any call, async or not, App or not.

    pay = Policy(Retry(3, delay=0.1), CircuitBreaker(), Bulkhead(10), Timeout(2))

A strategy is imported when its name is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from isthmus.resilience.adaptive import AdaptiveLimit
    from isthmus.resilience.budget import RetryBudget
    from isthmus.resilience.bulkhead import Bulkhead
    from isthmus.resilience.circuit import State
    from isthmus.resilience.circuit_breaker import CircuitBreaker
    from isthmus.resilience.classify import blames, transient, transient_result
    from isthmus.resilience.errors import (
        BulkheadFullError,
        CircuitOpenError,
        DeadlinePassedError,
        NotCalledError,
        RetriesSpentError,
    )
    from isthmus.resilience.facts import (
        CallRejected,
        CallRetried,
        CallTimedOut,
        CircuitChanged,
        LimitChanged,
        PolicySignal,
        RetriesSpent,
        signals,
    )
    from isthmus.resilience.outcome import Outcome
    from isthmus.resilience.policy import Policy
    from isthmus.resilience.registry import Policies, policies
    from isthmus.resilience.retry import Jitter, Retry
    from isthmus.resilience.strategy import AsyncCall, Site, Strategy, SyncCall
    from isthmus.resilience.timeout import Timeout

_HOMES = {
    "adaptive": ("AdaptiveLimit",),
    "budget": ("RetryBudget",),
    "bulkhead": ("Bulkhead",),
    "circuit": ("State",),
    "circuit_breaker": ("CircuitBreaker",),
    "classify": ("blames", "transient", "transient_result"),
    "errors": (
        "BulkheadFullError",
        "CircuitOpenError",
        "DeadlinePassedError",
        "NotCalledError",
        "RetriesSpentError",
    ),
    "facts": (
        "CallRejected",
        "CallRetried",
        "CallTimedOut",
        "CircuitChanged",
        "LimitChanged",
        "PolicySignal",
        "RetriesSpent",
        "signals",
    ),
    "outcome": ("Outcome",),
    "policy": ("Policy",),
    "registry": ("Policies", "policies"),
    "retry": ("Jitter", "Retry"),
    "strategy": ("AsyncCall", "Site", "Strategy", "SyncCall"),
    "timeout": ("Timeout",),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "AdaptiveLimit",
    "AsyncCall",
    "Bulkhead",
    "BulkheadFullError",
    "CallRejected",
    "CallRetried",
    "CallTimedOut",
    "CircuitBreaker",
    "CircuitChanged",
    "CircuitOpenError",
    "DeadlinePassedError",
    "Jitter",
    "LimitChanged",
    "NotCalledError",
    "Outcome",
    "Policies",
    "Policy",
    "PolicySignal",
    "RetriesSpent",
    "RetriesSpentError",
    "Retry",
    "RetryBudget",
    "Site",
    "State",
    "Strategy",
    "SyncCall",
    "Timeout",
    "blames",
    "policies",
    "signals",
    "transient",
    "transient_result",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'isthmus.resilience' has no attribute {name!r}")
    home = import_module(f"isthmus.resilience.{_HOME[name]}")
    found = globals()[name] = getattr(home, name)
    return found


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
