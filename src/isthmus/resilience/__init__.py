"""What to do about a call that may fail: policies around any call, async or not, App or not.

pay = Policy(Retry(3, delay=0.1), CircuitBreaker(), Bulkhead(10), Timeout(2))
"""

from isthmus.resilience.adaptive import AdaptiveLimit
from isthmus.resilience.budget import RetryBudget
from isthmus.resilience.bulkhead import Bulkhead
from isthmus.resilience.circuit_breaker import CircuitBreaker
from isthmus.resilience.errors import (
    BulkheadFullError,
    CircuitOpenError,
    DeadlinePassedError,
    NotCalledError,
    RetriesSpentError,
)
from isthmus.resilience.outcome import Outcome
from isthmus.resilience.policy import Policy
from isthmus.resilience.retry import Jitter, Retry
from isthmus.resilience.strategy import Site, Strategy
from isthmus.resilience.timeout import Timeout

__all__ = [
    "AdaptiveLimit",
    "Bulkhead",
    "BulkheadFullError",
    "CircuitBreaker",
    "CircuitOpenError",
    "DeadlinePassedError",
    "Jitter",
    "NotCalledError",
    "Outcome",
    "Policy",
    "RetriesSpentError",
    "Retry",
    "RetryBudget",
    "Site",
    "Strategy",
    "Timeout",
]
