"""What a policy raises, sorted by what to ask before a payment is repeated.

IsthmusError
├── NotCalledError           it never ran: nothing happened, repeat freely      retryable
│   ├── CircuitOpenError     the dependency is failing; come back later
│   ├── BulkheadFullError    too many calls of it run already
│   ├── DeadlinePassedError  the caller's time was over before the call began
│   ├── RateLimitedError     (in rate_limit) more often than allowed
│   └── FeatureOffError      (in feature) switched off, until it is switched on     not retryable
├── TimedOutError            (on the ground) it ran, perhaps                    retryable
└── RetriesSpentError        it ran, perhaps, and more than once                retryable
"""

from typing import ClassVar

from isthmus.errors import IsthmusError

__all__ = [
    "BulkheadFullError",
    "CircuitOpenError",
    "DeadlinePassedError",
    "NotCalledError",
    "RetriesSpentError",
]


class NotCalledError(IsthmusError):
    """A policy refused the call: it never ran, so nothing can have happened twice."""

    retryable: ClassVar[bool] = True

    def __init__(self, message: str, *, policy: str = "", retry_after: float | None = None) -> None:
        super().__init__(message)
        self.policy = policy
        """Name of the policy that refused; "" if it has none."""
        self.retry_after = retry_after
        """Seconds after which a call may pass; None if that can't be told."""


class CircuitOpenError(NotCalledError):
    """The circuit breaker of the dependency is open, or isolated by hand."""


class BulkheadFullError(NotCalledError):
    """As many calls run as may, and nobody may wait, or nobody was let in while this one did."""


class DeadlinePassedError(NotCalledError):
    """The caller's deadline was over before the call began; its answer had been worth nothing."""


class RetriesSpentError(IsthmusError):
    """The last attempt failed as well; any of them may have had its effect. `__cause__` is the
    error of the last."""

    retryable: ClassVar[bool] = True

    def __init__(
        self,
        message: str,
        *,
        policy: str = "",
        attempts: int = 1,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.policy = policy
        """Name of the policy that gave up; "" if it has none."""
        self.attempts = attempts
        """Calls made in all."""
        self.retry_after = retry_after
        """Seconds that the last failure asked to be left alone; None if it did not."""
