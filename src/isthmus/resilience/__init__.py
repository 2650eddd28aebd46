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
    from isthmus.resilience.cache import Cache, RefreshFailed, StaleServed
    from isthmus.resilience.chaos import Chaos, ChaosStruck, ChaosSwitched
    from isthmus.resilience.circuit import State
    from isthmus.resilience.circuit_breaker import CircuitBreaker
    from isthmus.resilience.classify import blames, transient, transient_result
    from isthmus.resilience.degraded import (
        degraded_headers,
        degraded_in,
        degraded_parts,
        degrading,
        note_degraded,
    )
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
    from isthmus.resilience.fallback import Fallback, FellBack, LastKnownGood
    from isthmus.resilience.feature import Feature, FeatureOffError, FeatureSwitched
    from isthmus.resilience.hedge import CallHedged, Hedge, HedgeWon
    from isthmus.resilience.outcome import Outcome
    from isthmus.resilience.parts import PartLeftOut, compose, optional
    from isthmus.resilience.policy import Policy
    from isthmus.resilience.rate_limit import RateLimit, RateLimitedError
    from isthmus.resilience.registry import Policies, policies
    from isthmus.resilience.retry import Jitter, Retry
    from isthmus.resilience.shared import (
        LocalState,
        SharedState,
        SharedStateLost,
        SharedStateRegained,
        Versioned,
    )
    from isthmus.resilience.strategy import AsyncCall, Site, Strategy, SyncCall
    from isthmus.resilience.timeout import Timeout

_HOMES = {
    "adaptive": ("AdaptiveLimit",),
    "budget": ("RetryBudget",),
    "bulkhead": ("Bulkhead",),
    "cache": ("Cache", "RefreshFailed", "StaleServed"),
    "chaos": ("Chaos", "ChaosStruck", "ChaosSwitched"),
    "circuit": ("State",),
    "circuit_breaker": ("CircuitBreaker",),
    "classify": ("blames", "transient", "transient_result"),
    "degraded": ("degraded_headers", "degraded_in", "degraded_parts", "degrading", "note_degraded"),
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
    "fallback": ("Fallback", "FellBack", "LastKnownGood"),
    "feature": ("Feature", "FeatureOffError", "FeatureSwitched"),
    "hedge": ("CallHedged", "Hedge", "HedgeWon"),
    "outcome": ("Outcome",),
    "parts": ("PartLeftOut", "compose", "optional"),
    "policy": ("Policy",),
    "rate_limit": ("RateLimit", "RateLimitedError"),
    "registry": ("Policies", "policies"),
    "retry": ("Jitter", "Retry"),
    "shared": ("LocalState", "SharedState", "SharedStateLost", "SharedStateRegained", "Versioned"),
    "strategy": ("AsyncCall", "Site", "Strategy", "SyncCall"),
    "timeout": ("Timeout",),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "AdaptiveLimit",
    "AsyncCall",
    "Bulkhead",
    "BulkheadFullError",
    "Cache",
    "CallHedged",
    "CallRejected",
    "CallRetried",
    "CallTimedOut",
    "Chaos",
    "ChaosStruck",
    "ChaosSwitched",
    "CircuitBreaker",
    "CircuitChanged",
    "CircuitOpenError",
    "DeadlinePassedError",
    "Fallback",
    "Feature",
    "FeatureOffError",
    "FeatureSwitched",
    "FellBack",
    "Hedge",
    "HedgeWon",
    "Jitter",
    "LastKnownGood",
    "LimitChanged",
    "LocalState",
    "NotCalledError",
    "Outcome",
    "PartLeftOut",
    "Policies",
    "Policy",
    "PolicySignal",
    "RateLimit",
    "RateLimitedError",
    "RefreshFailed",
    "RetriesSpent",
    "RetriesSpentError",
    "Retry",
    "RetryBudget",
    "SharedState",
    "SharedStateLost",
    "SharedStateRegained",
    "Site",
    "StaleServed",
    "State",
    "Strategy",
    "SyncCall",
    "Timeout",
    "Versioned",
    "blames",
    "compose",
    "degraded_headers",
    "degraded_in",
    "degraded_parts",
    "degrading",
    "note_degraded",
    "optional",
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
