"""The attempts of one call whose first has failed: whether another follows, and what if none."""

from typing import Any, NamedTuple, Protocol

from isthmus.deadline import remaining
from isthmus.resilience.budget import RetryBudget
from isthmus.resilience.classify import never_ran, retry_after
from isthmus.resilience.errors import CircuitOpenError, NotCalledError, RetriesSpentError
from isthmus.resilience.facts import CallRetried, RetriesSpent, tell
from isthmus.resilience.options import INFINITE, ErrorTest
from isthmus.resilience.outcome import trail
from isthmus.resilience.strategy import Site

__all__ = ["Failure", "Ladder", "Tries"]


class Ladder(Protocol):
    """What is asked of a Retry, which documents it."""

    @property
    def attempts(self) -> int: ...
    @property
    def delay(self) -> float: ...
    @property
    def cap(self) -> float: ...
    @property
    def within(self) -> float | None: ...
    @property
    def on(self) -> ErrorTest: ...
    @property
    def budget(self) -> RetryBudget | None: ...
    @property
    def wait_for_circuit(self) -> bool: ...

    def spent(self, attempt: int) -> bool: ...

    def delay_before(self, attempt: int, draw: float, *, last: float) -> float: ...


class Failure(NamedTuple):
    """How an attempt failed: with an error, or with a result that is as good as one."""

    error: Exception | None
    result: Any

    @property
    def ran(self) -> bool:
        """Whether it may have had its effect."""
        return not never_ran(self.result if self.error is None else self.error)


class Tries:
    """The attempts of one call whose first has failed."""

    def __init__(self, retry: Ladder, call: str, at: Site, *, began: float, keyed: bool) -> None:
        self._retry, self._call, self._at, self._began = retry, call, at, began
        self._idempotent = at.idempotent or keyed
        self._attempt, self._last, self._ran, self._reason = 1, 0.0, False, ""
        self._made, self._failed = 0, Failure(None, None)  # calls, and how the last one failed

    def wait_after(self, failure: Failure) -> float | None:
        """Return the seconds to wait before the next attempt; None if this was the last."""
        self._ran = self._ran or failure.ran
        if not isinstance(failure.error, NotCalledError):
            self._made, self._failed = self._made + 1, failure
        self._reason = self._hindrance(failure)
        if self._reason:
            return None
        wait = self._wait(failure)
        self._reason = self._shortage(wait)
        if self._reason:
            return None
        self._go_on(failure, wait)
        return wait

    def end(self, failure: Failure) -> Any:
        """Return or raise what the caller gets."""
        final = self._reason == FINAL or (self._reason == CIRCUIT and self._attempt == 1)
        if not final and self._retry.attempts > 1:
            self._tell_spent(failure)
        if failure.error is None:
            return failure.result
        if self._attempt == 1 or not self._ran or (self._reason == FINAL and failure.ran):
            raise failure.error
        raise self._spent(failure.error) from failure.error

    def _hindrance(self, failure: Failure) -> str:
        """Return why the failure itself forbids another attempt; "" if it does not."""
        error = failure.error
        if isinstance(error, CircuitOpenError):
            waits = self._retry.wait_for_circuit and error.retry_after is not None
            return "" if waits else CIRCUIT
        if error is not None and not self._retry.on(error):
            return FINAL
        return "" if self._idempotent or not failure.ran else "it is not declared idempotent"

    def _shortage(self, wait: float) -> str:
        """Return of what there is too little for another attempt; "" if there is enough."""
        retry = self._retry
        if retry.spent(self._attempt):
            return "no attempt is left"
        if wait > max(retry.cap, retry.delay):
            return f"it asked for {wait:.3g} s"
        now = self._at.clock.now()
        if retry.within is not None and now + wait - self._began >= retry.within:
            return "its time is over"
        if remaining(INFINITE) <= wait:
            return "the deadline is too near"
        if retry.budget is not None and not retry.budget.spend(now):
            return "the retry budget is spent"
        return ""

    def _wait(self, failure: Failure) -> float:
        ours = self._retry.delay_before(self._attempt + 1, self._at.draw(), last=self._last)
        asked = retry_after(failure.result if failure.error is None else failure.error)
        return ours if asked is None else max(ours, asked)

    def _go_on(self, failure: Failure, wait: float) -> None:
        if told := trail.get():
            told.retried(wait)
        at = self._at
        tell(
            at.signals, CallRetried, policy=at.policy, call=self._call, attempt=self._attempt,
            delay=wait, error=_named(failure),
        )  # fmt: skip
        self._attempt, self._last = self._attempt + 1, wait

    def _tell_spent(self, failure: Failure) -> None:
        if told := trail.get():
            told.ended("retry")
        at = self._at
        tell(
            at.signals, RetriesSpent, policy=at.policy, call=self._call, attempts=self._made,
            reason=self._reason, error=_named(self._failed if self._made else failure),
        )  # fmt: skip

    def _spent(self, error: Exception) -> RetriesSpentError:
        last = self._failed.error or error  # that of a call, rather than of one that was refused
        times = "once" if self._made == 1 else f"{self._made} times"
        return RetriesSpentError(
            f"{self._at.policy or self._call}: {self._call} failed {times} and is "
            f"given up, as {self._reason}; the last error was {type(last).__name__}: {last}",
            policy=self._at.policy,
            attempts=self._made,
            retry_after=retry_after(error),
        )


FINAL = "its error is final"
CIRCUIT = "the circuit is open"


def _named(failure: Failure) -> str:
    return "" if failure.error is None else type(failure.error).__name__
