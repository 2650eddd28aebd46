"""How often a thing is tried, and how long to wait between."""

from collections.abc import Callable
from typing import Any, Literal, NoReturn, cast, get_args

from isthmus.clock import Span
from isthmus.resilience.budget import RetryBudget
from isthmus.resilience.classify import transient
from isthmus.resilience.inline import Inline
from isthmus.resilience.options import (
    INFINITE,
    Errors,
    ErrorTest,
    error_test,
    refuse_unless,
    refuse_unless_whole,
    span_of,
)
from isthmus.resilience.strategy import AsyncCall, Site, SyncCall, name_of
from isthmus.resilience.tries import Failure, Ladder, Tries

__all__ = ["Jitter", "Retry"]

Jitter = Literal["full", "equal", "decorrelated", "none"]


class Retry:
    """Exponential backoff with jitter, so that many who failed together don't return together.

    `Retry(3)` waits up to 1, 2, 4, 8 ... seconds; `Retry(3, delay=0)` retries at once, and
    `Retry(3, delay=2, factor=1, jitter="none")` at a fixed pace. For a message handler it is the
    ladder on which a failed message comes back. Around a call, it is a strategy: it tries again
    as long as the error may pass (`on`), there are attempts, time and budget, and no harm in
    it: a call that may have had its effect is repeated only if it is idempotent; by declaration
    (`@policy(idempotent=True)`), or by being given an `idempotency_key`.

    What the caller gets in the end: the result; the very error of an attempt that may not be
    retried, or of one that never ran; else RetriesSpentError from the last error.

    Pure: the state is the number of the attempt, and randomness is an argument.

    Source: "Exponential Backoff and Jitter", Marc Brooker, AWS Architecture Blog, 2015.
    """

    __slots__ = (
        "attempts",
        "budget",
        "cap",
        "delay",
        "factor",
        "jitter",
        "on",
        "wait_for_circuit",
        "when",
        "within",
    )

    attempts: int
    """Calls in all, the first among them. 1 up; default 3. (A handler that is given no Retry has
    Retry(5).)"""
    delay: float
    """Seconds before the second attempt, without jitter. 0 up; default 1."""
    factor: float
    """What each further delay is multiplied with. 1 up; default 2."""
    cap: float
    """Most seconds between two attempts. `delay` up; default 300. Who asks to be left alone for
    longer (Retry-After) is not tried again."""
    jitter: Jitter
    """How much of a delay is left to chance. "full": all of it; "equal": half of it; "none"; or
    "decorrelated": between `delay` and three times the last one, whatever the attempt."""
    within: float | None
    """Seconds from the first call after which no attempt begins any more. Above 0; default
    None: only the deadline in force bounds them. Calls only."""
    on: ErrorTest
    """Which errors may pass by themselves: types, or what tells of each. Default: lost
    connections, timeouts, HTTP 408, 425, 429, 500, 502, 503, 504 and the like of gRPC, and what
    isthmus calls retryable. Calls only."""
    when: Callable[[Any], bool] | None
    """Which results are as good as such an error, as `transient_result` tells of HTTP responses;
    the last of them is returned. Default None: no result is. Calls only."""
    budget: RetryBudget | None
    """What bounds the retries of all who share it. Default None. Calls only."""
    wait_for_circuit: bool
    """Whether to wait for a circuit breaker inside that is open, if it says until when. Default
    False: then it ends the retrying. Calls only."""

    def __init__(
        self,
        attempts: int = 3,
        *,
        delay: Span = 1.0,
        factor: float = 2.0,
        cap: Span = 300.0,
        jitter: Jitter = "full",
        within: Span | None = None,
        on: Errors = transient,
        when: Callable[[Any], bool] | None = None,
        budget: RetryBudget | None = None,
        wait_for_circuit: bool = False,
    ) -> None:
        """Raises ConfigError if one of them is out of its range."""
        wait, most = span_of("Retry", "delay", delay), span_of("Retry", "cap", cap)
        whole = None if within is None else span_of("Retry", "within", within, above_0=True)
        refuse_unless_whole("Retry", "attempts", attempts, 1)
        _refuse_unless(1 <= factor < INFINITE, "factor", factor, "1 or more")
        _refuse_unless(wait <= most, "cap", cap, f"delay ({wait:g}) or more seconds")
        _refuse_unless(jitter in get_args(Jitter), "jitter", jitter, ", ".join(get_args(Jitter)))
        put = object.__setattr__
        put(self, "attempts", attempts)
        put(self, "delay", wait)
        put(self, "factor", float(factor))
        put(self, "cap", most)
        put(self, "jitter", jitter)
        put(self, "within", whole)
        put(self, "on", error_test("Retry", "on", on))
        put(self, "when", when)
        put(self, "budget", budget)
        put(self, "wait_for_circuit", wait_for_circuit)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"a Retry stays as it was made: make another, with {name}={value!r}")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"a Retry stays as it was made: {name} can't be deleted")

    def __eq__(self, other: object) -> bool:
        return self._ladder() == other._ladder() if isinstance(other, Retry) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._ladder())

    def __reduce__(self) -> tuple[object, ...]:
        return _again, (self.options(),)

    def _ladder(self) -> tuple[object, ...]:
        """What makes two of them the same: how often and when, whatever they judge by."""
        ladder = (self.attempts, self.delay, self.factor, self.cap, self.jitter)
        return (*ladder, self.within, self.wait_for_circuit)

    def __repr__(self) -> str:
        usual = (1.0, 2.0, 300.0, "full", None, transient, None, None, False)
        said = [f"{self.attempts}"]
        for (name, value), normal in zip(list(self.options().items())[1:], usual, strict=True):
            if value != normal:
                shown = name_of(value) if callable(value) else repr(value)
                said.append(f"{name}={shown}")
        return f"Retry({', '.join(said)})"

    @property
    def kind(self) -> str:
        """Its name among the strategies."""
        return "retry"

    def options(self) -> dict[str, Any]:
        """Return what it was made with, by name."""
        return {name: getattr(self, name) for name in type(self).__annotations__}

    def spent(self, attempt: int) -> bool:
        """Return whether `attempt`, counted from 1, was the last."""
        return attempt >= self.attempts

    def delay_before(self, attempt: int, draw: float, *, last: float = 0.0) -> float:
        """Return the seconds to wait before `attempt`, which is 2 for the first retry.

        `draw` is a random number from 0 to 1; `last` the delay before, which "decorrelated"
        goes by, 0 if there was none.
        """
        most = self.longest_before(attempt)
        match self.jitter:
            case "none":
                return most
            case "full":
                return draw * most
            case "equal":
                return (1 + draw) * most / 2
            case "decorrelated":
                reach = 3 * max(last, self.delay) - self.delay
                return min(self.cap, self.delay + draw * reach)

    def longest_before(self, attempt: int) -> float:
        """Return the most seconds that `delay_before` may return."""
        if self.jitter == "decorrelated":
            return self.cap
        try:
            return min(self.cap, self.delay * self.factor ** max(0, attempt - 2))
        except OverflowError:
            return self.cap if self.delay else 0.0

    # -- the drivers --------------------------------------------------------------------------

    def around(self, call: AsyncCall, at: Site) -> AsyncCall:
        when, timed, now = self.when, self.within is not None, at.clock.now
        counted = None if self.budget in at.counted else self.budget
        again = self._again(call, at)

        async def guarded(*args: Any, **kwargs: Any) -> Any:
            began = now() if timed else 0.0
            if counted is not None:
                counted.called(now())
            try:
                result = await call(*args, **kwargs)
            except Exception as error:  # noqa: BLE001
                failure = Failure(error, None)
            else:
                if when is None or not when(result):
                    return result
                failure = Failure(None, result)
            return await again(failure, began, args, kwargs)

        return guarded

    def inline(self, call: AsyncCall, at: Site) -> Inline | None:
        """Return the lines of `around`."""
        if self.when is not None or self.within is not None or self.budget is not None:
            return None
        return Inline(
            names={"again_": self._again(call, at), "failure_": Failure},
            before="",
            after="",
            failed="""
                if not isinstance(error, Exception):
                    raise
                result = await again_(failure_(error, None), 0.0, args, kwargs)
            """,
        )

    def _again(self, call: AsyncCall, at: Site) -> AsyncCall:
        """Return what goes on after the first attempt has failed."""
        when, name, sleep = self.when, name_of(call), at.clock.sleep

        async def again(
            failure: Failure | None, began: float, args: Any, kwargs: dict[str, Any]
        ) -> Any:
            tries = Tries(cast("Ladder", self), name, at, began=began, keyed=bool(kwargs.get(KEY)))
            try:
                while failure is not None:
                    wait = tries.wait_after(failure)
                    if wait is None:
                        return tries.end(failure)
                    await sleep(wait)
                    try:
                        result = await call(*args, **kwargs)
                    except Exception as error:  # noqa: BLE001
                        failure = Failure(error, None)
                    else:
                        if when is None or not when(result):
                            return result
                        failure = Failure(None, result)
            finally:
                failure = None  # its traceback holds this frame

        return again

    def around_sync(self, call: SyncCall, at: Site) -> SyncCall:
        when, timed, now = self.when, self.within is not None, at.clock.now
        counted = None if self.budget in at.counted else self.budget
        name = name_of(call)

        def once(args: Any, kwargs: dict[str, Any]) -> tuple[Any, Failure | None]:
            try:
                result = call(*args, **kwargs)
            except Exception as error:  # noqa: BLE001
                return None, Failure(error, None)
            return result, None if when is None or not when(result) else Failure(None, result)

        def guarded(*args: Any, **kwargs: Any) -> Any:
            began = now() if timed else 0.0
            if counted is not None:
                counted.called(now())
            result, failure = once(args, kwargs)
            if failure is None:
                return result
            tries = Tries(cast("Ladder", self), name, at, began=began, keyed=bool(kwargs.get(KEY)))
            try:
                while failure is not None:
                    wait = tries.wait_after(failure)
                    if wait is None:
                        return tries.end(failure)
                    at.pause(wait)
                    result, failure = once(args, kwargs)
                return result
            finally:
                failure = None  # its traceback holds this frame

        return guarded


def _again(options: dict[str, Any]) -> Retry:
    """Make one again in the process that it was pickled for."""
    return Retry(**options)


KEY = "idempotency_key"
"""The keyword argument that makes a call idempotent."""


def _refuse_unless(ok: bool, option: str, value: object, wanted: str) -> None:  # noqa: FBT001
    refuse_unless(ok, "Retry", option, value, wanted)
