"""So many calls at once and no more, so that a slow dependency cannot take everybody down."""

import asyncio
import threading
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

from isthmus.clock import Clock, Span
from isthmus.deadline import remaining
from isthmus.resilience.errors import BulkheadFullError
from isthmus.resilience.facts import CallRejected, LimitChanged, tell
from isthmus.resilience.inline import Inline
from isthmus.resilience.options import INFINITE, refuse_unless, refuse_unless_whole, span_of
from isthmus.resilience.outcome import trail
from isthmus.resilience.permits import Permits, Waiter
from isthmus.resilience.strategy import AsyncCall, Site, SyncCall, name_of

if TYPE_CHECKING:
    from isthmus.resilience.adaptive import AdaptiveLimit

__all__ = ["Bulkhead"]


class Bulkhead:
    """Lets `concurrency` calls run; `queue` more wait, in order; others are refused at once.

    Give each dependency one of its own, and the same to all who call it. A refused call raises
    BulkheadFullError and was not made. Nobody waits beyond `wait`, nor beyond the deadline in
    force. Safe from any thread, and from sync and async calls at once.

    Source: "Release It!", Michael Nygard, 2007.
    """

    kind = "bulkhead"

    def __init__(
        self,
        concurrency: int = 10,
        *,
        queue: int = 0,
        wait: Span | None = None,
        adaptive: "bool | AdaptiveLimit" = False,
    ) -> None:
        """
        Args:
            concurrency: Calls at once. 1 up; default 10. Where it adapts, the number to begin
                with.
            queue: Calls that may wait for others to end. 0 up; default 0.
            wait: Seconds that one of them waits at most. Above 0; default None: until its
                turn, or the deadline in force.
            adaptive: Whether `concurrency` follows the time that calls take; or how, as an
                AdaptiveLimit. Default False.

        Raises:
            ConfigError: One of them is out of its range.
        """
        refuse_unless_whole("Bulkhead", "concurrency", concurrency, 1)
        refuse_unless_whole("Bulkhead", "queue", queue, 0)
        self.wait = None if wait is None else span_of("Bulkhead", "wait", wait, above_0=True)
        limits = isinstance(adaptive, bool) or hasattr(adaptive, "begin")
        refuse_unless(limits, "Bulkhead", "adaptive", adaptive, "True, False or an AdaptiveLimit")
        self.adaptive = _adaptive() if adaptive is True else adaptive or None
        if self.adaptive:
            self.adaptive.begin(concurrency)
        self._told = concurrency  # as it adapts, what it was told to begin with
        self._permits = Permits(concurrency, queue)
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        said = [f"{self._told}"]
        said += [f"queue={self._permits.queue}"] * bool(self._permits.queue)
        said += [f"wait={self.wait:g}"] if self.wait else []
        said += [f"adaptive={self.adaptive!r}"] if self.adaptive else []
        return f"Bulkhead({', '.join(said)})"

    @property
    def concurrency(self) -> int:
        """How many calls may run at once now."""
        return self._permits.limit

    @property
    def running(self) -> int:
        """How many calls run now."""
        return self._permits.running

    @property
    def waiting(self) -> int:
        """How many calls wait now."""
        return len(self._permits.waiting)

    def resize(self, concurrency: int) -> None:
        """Let so many calls run at once from now on. Calls beyond that end in their own time.

        Raises:
            ConfigError: It is below 1.
        """
        refuse_unless_whole("Bulkhead", "concurrency", concurrency, 1)
        with self._lock:
            woken = self._permits.resize(concurrency)
        self._told = concurrency
        self._wake(woken)

    def options(self) -> dict[str, Any]:
        """Return what it was made with, by name."""
        return {
            "concurrency": self._told,
            "queue": self._permits.queue,
            "wait": self.wait,
            "adaptive": self.adaptive.anew() if self.adaptive else False,
        }

    def adopt(self, other: "Bulkhead") -> None:
        """Take the options of `other`, and keep who runs, who waits, and what was learnt if it
        goes on adapting in the same way."""
        self.wait = other.wait
        with self._lock:
            self._permits.queue = other._permits.queue
        if self.adaptive is None or repr(self.adaptive) != repr(other.adaptive):
            self.adaptive = other.adaptive
            self.resize(other.concurrency)

    # -- the drivers --------------------------------------------------------------------------

    def around(self, call: AsyncCall, at: Site) -> AsyncCall:
        permits, clock, name = self._permits, at.clock, name_of(call)
        take, put_back = permits.free.pop, permits.free.append

        async def guarded(*args: Any, **kwargs: Any) -> Any:
            try:
                take()
            except IndexError:
                await self._turn(name, at)
            adaptive, began = self.adaptive, 0.0
            if adaptive is not None:
                began = clock.now()
            try:
                result = await call(*args, **kwargs)
            except BaseException:
                self._give_back()
                raise
            if adaptive is not None:
                self._timed(adaptive, clock.now() - began, at)
            put_back(None)
            if permits.pressed:
                self._settle()
            return result

        return guarded

    def inline(self, call: AsyncCall, at: Site) -> Inline | None:
        """Return the lines of `around`."""
        if self.adaptive is not None:
            return None
        free = self._permits.free
        return Inline(
            names={
                "take_": free.pop,
                "put_back_": free.append,
                "permits_": self._permits,
                "turn_": partial(self._turn, name_of(call), at),
                "settle_": self._settle,
                "give_back_": self._give_back,
            },
            before="""
                try:
                    take_()
                except IndexError:
                    await turn_()
            """,
            after="""
                put_back_(None)
                if permits_.pressed:
                    settle_()
            """,
            failed="""
                give_back_()
                raise
            """,
        )

    def around_sync(self, call: SyncCall, at: Site) -> SyncCall:
        permits, clock, name = self._permits, at.clock, name_of(call)
        take, put_back = permits.free.pop, permits.free.append

        def guarded(*args: Any, **kwargs: Any) -> Any:
            try:
                take()
            except IndexError:
                self._turn_sync(name, at)
            adaptive, began = self.adaptive, 0.0
            if adaptive is not None:
                began = clock.now()
            try:
                result = call(*args, **kwargs)
            except BaseException:
                self._give_back()
                raise
            if adaptive is not None:
                self._timed(adaptive, clock.now() - began, at)
            put_back(None)
            if permits.pressed:
                self._settle()
            return result

        return guarded

    def _give_back(self) -> None:
        self._permits.free.append(None)
        if self._permits.pressed:
            self._settle()

    def _settle(self) -> None:
        with self._lock:
            woken = self._permits.settle()
        self._wake(woken)

    async def _turn(self, call: str, at: Site) -> None:
        """Return with a permit.

        Raises:
            BulkheadFullError: There is no room to wait, or the wait was over.
        """
        waiter = _Awaiting()
        self._line_up(waiter, call, at)
        try:
            await waiter.wait(self._patience(), at.clock)
        except BaseException:
            self._leave(waiter)
            raise
        if not waiter.given:
            self._give_up(waiter, call, at)

    def _turn_sync(self, call: str, at: Site) -> None:
        waiter, patience = _Blocking(), self._patience()
        self._line_up(waiter, call, at)
        try:
            waiter.event.wait(None if patience == INFINITE else patience)
        except BaseException:
            self._leave(waiter)
            raise
        if not waiter.given:
            self._give_up(waiter, call, at)

    def _patience(self) -> float:
        """Return for how many seconds it is of use to wait."""
        return min(remaining(INFINITE), INFINITE if self.wait is None else self.wait)

    def _line_up(self, waiter: Waiter, call: str, at: Site) -> None:
        with self._lock:
            joined, woken = self._permits.join(waiter)
        self._wake(woken)
        if not joined:
            raise self._full(call, "no more may wait", at)

    def _leave(self, waiter: Waiter) -> None:
        with self._lock:
            woken = self._permits.leave(waiter)
        self._wake(woken)

    def _give_up(self, waiter: Waiter, call: str, at: Site) -> None:
        """Leave the line; unless the permit came in the last moment."""
        with self._lock:
            if waiter.given:
                return
            self._permits.leave(waiter)
        raise self._full(call, "the wait for one of them was too long", at)

    def _full(self, call: str, why: str, at: Site) -> BulkheadFullError:
        if told := trail.get():
            told.refused(self.kind)
        tell(at.signals, CallRejected, policy=at.policy, call=call, by=self.kind, retry_after=None)
        return BulkheadFullError(
            f"{at.policy or call}: {self.concurrency} calls are running and {why}, so that "
            f"{call} was not called",
            policy=at.policy,
        )

    def _wake(self, waiters: Iterable[Waiter]) -> None:
        for waiter in waiters:
            try:
                waiter.wake()
            except RuntimeError:  # its event loop is closed, and it with it
                self._leave(waiter)

    def _timed(self, adaptive: "AdaptiveLimit", took: float, at: Site) -> None:
        """Let the limit follow how long a call took, if it was begun under the same."""
        with self._lock:
            if adaptive is not self.adaptive:
                return
            was = self._permits.limit
            limit = adaptive.after(took, running=self._permits.running)
            woken = self._permits.resize(limit) if limit != was else []
        self._wake(woken)
        if limit != was:
            tell(at.signals, LimitChanged, policy=at.policy, was=was, now=limit)


class _Awaiting(Waiter):
    """A coroutine in the line; may be woken from another thread than its loop's."""

    __slots__ = ("_event", "_loop", "_thread")

    def __init__(self) -> None:
        super().__init__()
        self._event = asyncio.Event()
        self._loop, self._thread = asyncio.get_running_loop(), threading.get_ident()

    async def wait(self, span: float, clock: Clock) -> None:
        if span == INFINITE:
            await self._event.wait()
        else:
            await clock.wait(self._event, span)

    def wake(self) -> None:
        if threading.get_ident() == self._thread:
            self._event.set()
        else:
            self._loop.call_soon_threadsafe(self._event.set)


class _Blocking(Waiter):
    """A thread in the line."""

    __slots__ = ("event",)

    def __init__(self) -> None:
        super().__init__()
        self.event = threading.Event()

    def wake(self) -> None:
        self.event.set()


def _adaptive() -> "AdaptiveLimit":
    from isthmus.resilience.adaptive import AdaptiveLimit

    return AdaptiveLimit()
