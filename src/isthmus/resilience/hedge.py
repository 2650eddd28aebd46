"""A second call beside one that is slow: the first answer is taken."""

import asyncio
import math
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from isthmus.clock import Span
from isthmus.errors import ConfigError
from isthmus.resilience.degraded import degrading, leave_scopes, note_degraded
from isthmus.resilience.facts import PolicySignal, tell
from isthmus.resilience.options import refuse_unless, refuse_unless_whole, span_of
from isthmus.resilience.outcome import Trail, trail
from isthmus.resilience.retry import KEY
from isthmus.resilience.strategy import AsyncCall, Site, SyncCall, name_of
from isthmus.resilience.tasks import end

__all__ = ["CallHedged", "Hedge", "HedgeWon", "Latencies"]

Args = tuple[Any, ...]


class CallHedged(PolicySignal, frozen=True, kw_only=True):
    """A call gave no answer in time, and another was begun beside it."""

    call: str
    delay: float
    """Seconds that were waited for the one before."""


class HedgeWon(PolicySignal, frozen=True, kw_only=True):
    """The answer of a call that was begun later came first."""

    call: str


class Budget(Protocol):
    """What Hedge asks of a RetryBudget."""

    def called(self, now: float) -> None: ...

    def spend(self, now: float) -> bool: ...


class Latencies:
    """How long the last calls took, and what most of them stayed under. Pure."""

    __slots__ = ("_added", "_known", "_last", "_least", "_share")

    def __init__(self, share: float, *, most: int = 256, least: int = 20) -> None:
        """`share` of the last `most` calls is asked for; below `least` of them, nobody knows."""
        self._share, self._least = share, least
        self._last: deque[float] = deque(maxlen=most)
        self._known: float | None = None
        self._added = 0

    def add(self, seconds: float) -> None:
        self._last.append(seconds)
        self._added += 1
        if self._added >= self._least and self._added % EVERY == 0:
            self._known = self._percentile()

    @property
    def known(self) -> float | None:
        """The seconds that `share` of the calls stayed under, None if too few are known. Up to
        `EVERY` calls old: it is not sorted out for each."""
        return self._known

    def _percentile(self) -> float:
        last = sorted(self._last)
        return last[max(0, math.ceil(self._share * len(last)) - 1)]


EVERY = 10


class Hedge:
    """Begins the call again if it has not answered after a while; the first success is taken.

    It cuts off the slow tail of a dependency of several instances, at the price of a few more
    calls; it helps nothing against one that is slow as a whole, for which there is the budget.
    Only calls that are idempotent are hedged, and only async ones. The other call is cancelled,
    and has ended when the answer is given. If all fail, the error of the first is raised; one
    that fails before another was begun is not hedged, as that is a matter of Retry.

    Source: "The Tail at Scale", Dean and Barroso, CACM 2013; hedging of Polly 8.
    """

    kind = "hedge"

    def __init__(
        self,
        delay: Span = 1.0,
        *,
        most: int = 1,
        percentile: float | None = None,
        budget: Budget | None = None,
    ) -> None:
        """
        Args:
            delay: Seconds to wait for an answer before each further call. 0 up; default 1.
            most: Further calls. 1 up; default 1.
            percentile: Wait as long as this share of the last 256 calls took instead, as 0.95;
                `delay` holds until 20 are known. Above 0, below 1; default None.
            budget: Of which further calls are taken; without one left, the call is waited for.
                Give the dependency's, shared with its Retry. Default: none.

        Raises:
            ConfigError: One of them is out of its range.
        """
        refuse_unless_whole("Hedge", "most", most, 1)
        share = percentile is None or 0 < percentile < 1
        refuse_unless(share, "Hedge", "percentile", percentile, "above 0, below 1, or None")
        self.delay, self.most, self.percentile = span_of("Hedge", "delay", delay), most, percentile
        self.budget = budget
        self._latencies = None if percentile is None else Latencies(percentile)

    def __repr__(self) -> str:
        said = [f"{self.delay:g}"]
        said += [f"most={self.most}"] * (self.most != 1)
        said += [f"percentile={self.percentile}"] * (self.percentile is not None)
        said += [f"budget={self.budget!r}"] * (self.budget is not None)
        return f"Hedge({', '.join(said)})"

    def options(self) -> dict[str, Any]:
        """Return what it was made with, by name."""
        return {
            "delay": self.delay,
            "most": self.most,
            "percentile": self.percentile,
            "budget": self.budget,
        }

    @property
    def waits(self) -> float:
        """The seconds it waits now before it begins another call."""
        known = self._latencies.known if self._latencies else None
        return self.delay if known is None else known

    def adopt(self, other: "Hedge") -> None:
        """Take the numbers of `other`, and its budget if it has one; what was learnt of
        latencies stays, unless another share of them is asked for."""
        if other.percentile != self.percentile:
            self._latencies = other._latencies
        self.delay, self.most, self.percentile = other.delay, other.most, other.percentile
        self.budget = other.budget or self.budget

    def around(self, call: AsyncCall, at: Site) -> AsyncCall:
        always = at.idempotent
        name, now, wait = name_of(call), at.clock.now, at.clock.wait

        async def guarded(*args: Any, **kwargs: Any) -> Any:
            if not always and not kwargs.get(KEY):
                return await call(*args, **kwargs)
            budget = self.budget
            if budget is not None and budget not in at.counted:
                budget.called(now())
            stirred, left, began = asyncio.Event(), self.most, now()
            calls = [Racer(call, args, kwargs, stirred)]
            try:
                while (first := _decided(calls)) is None:
                    stirred.clear()
                    delay = self.waits
                    if not left:
                        await stirred.wait()
                    elif not await wait(stirred, delay):
                        left -= 1
                        if budget is not None and not budget.spend(now()):
                            left = 0
                            continue
                        tell(at.signals, CallHedged, policy=at.policy, call=name, delay=delay)
                        if told := trail.get():
                            told.hedged()
                        calls.append(Racer(call, args, kwargs, stirred))
                if first is not calls[0]:
                    tell(at.signals, HedgeWon, policy=at.policy, call=name)
                return first.taken()
            finally:
                if told := trail.get():
                    told.raced(one.told for one in calls)
                self._learn(calls[0].task, now() - began)
                await end([one.task for one in calls])

        return guarded

    def around_sync(self, call: SyncCall, at: Site) -> SyncCall:  # noqa: ARG002
        raise ConfigError(
            f"{self!r} cancels the slower of two calls, and {name_of(call)} blocks its thread, "
            "which nothing can cancel; make it async, or leave out Hedge"
        )

    def _learn(self, call: asyncio.Future[Any], took: float) -> None:
        """Remember how long the first call took; if it still runs, it took at least so long:
        to drop it would make the slow ones look rare, and hedge ever more."""
        failed = call.done() and (call.cancelled() or call.exception() is not None)
        if self._latencies is not None and not failed:
            self._latencies.add(took)


class Racer:
    """One of the calls, in a task of its own. What it notes of its answer, that parts are degraded
    or who decided it, is told if the answer is taken."""

    __slots__ = ("_parts", "task", "told")

    def __init__(
        self, call: AsyncCall, args: Args, kwargs: Mapping[str, Any], stirred: asyncio.Event
    ) -> None:
        self._parts: dict[str, str] = {}
        self.told = Trail()
        self.task = asyncio.ensure_future(self._run(call, args, kwargs))
        self.task.add_done_callback(lambda _: stirred.set())

    async def _run(self, call: AsyncCall, args: Args, kwargs: Mapping[str, Any]) -> Any:
        if trail.get():
            trail.set(self.told)
        leave_scopes()
        with degrading() as self._parts:
            return await call(*args, **kwargs)

    @property
    def succeeded(self) -> bool:
        task = self.task
        return task.done() and not task.cancelled() and task.exception() is None

    def taken(self) -> Any:
        """Return, or raise, what came of it, and tell what it noted."""
        for part, reason in self._parts.items():
            note_degraded(part, reason)
        if self.told.ended_by and (told := trail.get()):
            told.ended(self.told.ended_by)
        return self.task.result()


def _decided(calls: Sequence[Racer]) -> Racer | None:
    """Return the call that came back well; if all failed the first; None as long as that is
    open."""
    for call in calls:
        if call.succeeded:
            return call
    return calls[0] if all(call.task.done() for call in calls) else None
