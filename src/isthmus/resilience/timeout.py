"""How long a call may take; and what runs inside it knows until when."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any

from isthmus.clock import Clock, MonotonicClock, Span, SystemClock
from isthmus.deadline import in_force
from isthmus.errors import TimedOutError
from isthmus.resilience.errors import DeadlinePassedError
from isthmus.resilience.facts import CallRejected, CallTimedOut, tell
from isthmus.resilience.inline import Inline
from isthmus.resilience.options import refuse_unless, refuse_unless_flag, span_of
from isthmus.resilience.outcome import trail
from isthmus.resilience.strategy import AsyncCall, Site, SyncCall, name_of
from isthmus.resilience.wheel import GRAIN, PER_SECOND, Wheel, here, notches, wheel_of

__all__ = ["Timeout"]

_Timer = AbstractAsyncContextManager[asyncio.Timeout]
_InForce = tuple[float, Callable[[], float], bool]


class Timeout:
    """Cancels a call after `request` seconds, or when the caller's own deadline is over.

    Inside, the deadline is in force (`isthmus.deadline`): inner waits are bounded by it, and
    clients send it along. A cut-off call raises TimedOutError: its effect may have happened. If
    the caller's deadline is over before, DeadlinePassedError is raised and nothing was called.

    A call that blocks its thread can't be cut off: the deadline is in force for those who ask,
    and what it returns in the end stands, however late; that it was late is told.
    """

    kind = "timeout"

    request: float
    """Seconds from the call to its answer. Above 0; default 30."""
    connect: float
    """Seconds to get a connection, of them; for clients, which have a moment of connecting.
    Above 0; default 5."""
    total: bool
    """Whether `request` is meant for all attempts and the waits between them: such a timeout
    belongs outside of a Retry, and a Policy that has it inside is refused. Default False."""
    of: Mapping[str, float]
    """Other seconds for some operations: kinds ("read") or endpoints ("POST /charges"), as the
    caller of `for_` names them. Default: none."""
    precise: bool
    """Whether a timer of its own cuts off each call at its time, instead of up to 0.02 s
    later, at about seven times the cost. Default False."""

    def __init__(
        self,
        request: Span = 30.0,
        *,
        connect: Span = 5.0,
        total: bool = False,
        of: Mapping[str, Span] | None = None,
        precise: bool = False,
    ) -> None:
        """Raises ConfigError if one of them is out of its range."""
        self.request = _span("request", request)
        self.connect = _span("connect", connect)
        refuse_unless_flag("Timeout", "total", total)
        refuse_unless_flag("Timeout", "precise", precise)
        named = of is None or hasattr(of, "items")
        refuse_unless(named, "Timeout", "of", of, "a mapping to seconds, or None")
        self.total = total
        self.of = {name: _span(f"of={name!r}", span) for name, span in (of or {}).items()}
        self.precise = precise

    def __repr__(self) -> str:
        said = [f"{self.request:g}"]
        said += [f"connect={self.connect:g}"] * (self.connect != 5)
        said += ["total=True"] * self.total
        said += [f"of={dict(self.of)!r}"] * bool(self.of)
        said += ["precise=True"] * self.precise
        return f"Timeout({', '.join(said)})"

    def options(self) -> dict[str, Any]:
        """Return what it was made with, by name."""
        return {name: getattr(self, name) for name in self.__annotations__}

    def for_(self, *operations: str) -> "Timeout":
        """Return the timeout of an operation, named from the most to the least special, as
        `for_("POST /charges", "write")`: the first that `of` knows; else this one."""
        for operation in operations:
            if operation in self.of:
                special: dict[str, Any] = {"request": self.of[operation], "of": None}
                return Timeout(**self.options() | special)
        return self

    def around(self, call: AsyncCall, at: Site) -> AsyncCall:
        if not isinstance(at.clock, SystemClock):
            return self._by_timer(call, at, partial(_alarm, at.clock))
        if self.precise:
            return self._by_timer(call, at, asyncio.timeout)
        return self._by_wheel(call, at)

    def _by_wheel(self, call: AsyncCall, at: Site) -> AsyncCall:
        request, all_of_it = self.request, notches(self.request)
        task_of, name = asyncio.current_task, name_of(call)

        async def guarded(*args: Any, **kwargs: Any) -> Any:
            wheel = here.wheel
            task = task_of(wheel.loop)
            if task is None:
                wheel, task = _first_of_its_loop(name)
            now, outer = wheel.now, in_force.get()
            moment = now()
            if outer is None or outer[0] - outer[1]() >= request:
                span, until = all_of_it, (moment + request, now, False)
            else:
                span, until = _bounded(name, at, outer), outer
            notch = int(moment * PER_SECOND) + span
            slot = wheel.slots.get(notch)
            if slot is None:
                slot = wheel.slot(notch)
            key, before, token = object(), task.cancelling(), in_force.set(until)
            slot[key] = task
            try:
                result = await call(*args, **kwargs)
            except BaseException as error:
                if slot.pop(key, None) is None and _only_ours(task, before, error):
                    raise _cut_off(name, request, at, span) from error
                raise
            finally:
                in_force.reset(token)
            if slot.pop(key, None) is None:
                task.uncancel()  # it was cut off, and came back with a result all the same
            return result

        return guarded

    def inline(self, call: AsyncCall, at: Site) -> Inline | None:
        """Return the lines of `_by_wheel`."""
        if self.precise or not isinstance(at.clock, SystemClock):
            return None
        name = name_of(call)
        return Inline(
            names={
                "here_": here,
                "task_of_": asyncio.current_task,
                "first_of_its_loop_": partial(_first_of_its_loop, name),
                "in_force_": in_force,
                "request_": self.request,
                "all_of_it_": notches(self.request),
                "per_second_": PER_SECOND,
                "bounded_": partial(_bounded, name, at),
                "only_ours_": _only_ours,
                "cut_off_": partial(_cut_off, name, self.request, at),
            },
            before="""
                wheel_ = here_.wheel
                task_ = task_of_(wheel_.loop)
                if task_ is None:
                    wheel_, task_ = first_of_its_loop_()
                now_, outer_ = wheel_.now, in_force_.get()
                moment_ = now_()
                if outer_ is None or outer_[0] - outer_[1]() >= request_:
                    span_, until_ = all_of_it_, (moment_ + request_, now_, False)
                else:
                    span_, until_ = bounded_(outer_), outer_
                notch_ = int(moment_ * per_second_) + span_
                slot_ = wheel_.slots.get(notch_)
                if slot_ is None:
                    slot_ = wheel_.slot(notch_)
                key_, before_, token_ = object(), task_.cancelling(), in_force_.set(until_)
                slot_[key_] = task_
            """,
            after="""
                in_force_.reset(token_)
                if slot_.pop(key_, None) is None:
                    task_.uncancel()
            """,
            failed="""
                in_force_.reset(token_)
                if slot_.pop(key_, None) is None and only_ours_(task_, before_, error):
                    raise cut_off_(span_) from error
                raise
            """,
        )

    def _by_timer(self, call: AsyncCall, at: Site, timer: Callable[[float], _Timer]) -> AsyncCall:
        name, bound = name_of(call), self._bound(call, at)

        async def guarded(*args: Any, **kwargs: Any) -> Any:
            span, until = bound()
            token = in_force.set(until)
            expired = asyncio.timeout(None).expired
            try:
                async with timer(span) as scope:
                    expired = scope.expired
                    return await call(*args, **kwargs)
            except TimeoutError as error:
                if expired():
                    raise _over(name, span, at) from error
                raise
            finally:
                in_force.reset(token)

        return guarded

    def around_sync(self, call: SyncCall, at: Site) -> SyncCall:
        name, bound, now = name_of(call), self._bound(call, at), at.clock.now

        def guarded(*args: Any, **kwargs: Any) -> Any:
            span, until = bound()
            token, began = in_force.set(until), now()
            try:
                return call(*args, **kwargs)
            finally:
                in_force.reset(token)
                if now() - began > span:
                    tell(at.signals, CallTimedOut, policy=at.policy, call=name, timeout=span)

        return guarded

    def _bound(self, call: AsyncCall, at: Site) -> Callable[[], tuple[float, _InForce]]:
        """Return what tells the seconds of a call that begins, and the deadline it runs under."""
        request, name, now = self.request, name_of(call), at.clock.now
        unix = not isinstance(at.clock, MonotonicClock)

        def bound() -> tuple[float, _InForce]:
            outer = in_force.get()
            if outer is None or (left := outer[0] - outer[1]()) >= request:
                return request, (now() + request, now, unix)
            return _some(left, name, at), outer

        return bound


@asynccontextmanager
async def _alarm(clock: Clock, span: float) -> AsyncGenerator[asyncio.Timeout]:
    """Time out by a clock that is not the loop's."""
    async with asyncio.timeout(None) as scope:
        alarm = asyncio.ensure_future(_ring(clock, span, scope))
        try:
            yield scope
        finally:
            alarm.cancel()


async def _ring(clock: Clock, span: float, scope: asyncio.Timeout) -> None:
    await clock.sleep(span)
    scope.reschedule(asyncio.get_running_loop().time())


def _first_of_its_loop(call: str) -> tuple[Wheel, asyncio.Task[Any]]:
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError(f"{call} has a Timeout: await it in a task")
    return wheel_of(task.get_loop()), task


def _only_ours(task: asyncio.Task[Any], before: int, error: BaseException) -> bool:
    """Take back our cancelling; return whether nobody else asked for it, as asyncio.Timeout."""
    return task.uncancel() <= before and isinstance(error, asyncio.CancelledError)


def _some(left: float, call: str, at: Site) -> float:
    """Return what is left for the caller.

    Raises:
        DeadlinePassedError: Nothing.
    """
    if left > 0:
        return left
    if told := trail.get():
        told.refused(Timeout.kind)
    tell(at.signals, CallRejected, policy=at.policy, call=call, by=Timeout.kind, retry_after=None)
    raise DeadlinePassedError(
        f"{at.policy or call}: the caller's deadline is over, so that {call} was not called",
        policy=at.policy,
    )


def _bounded(call: str, at: Site, deadline: _InForce) -> int:
    """Return the notches until a deadline."""
    return notches(_some(deadline[0] - deadline[1](), call, at))


def _cut_off(call: str, request: float, at: Site, span: int) -> TimedOutError:
    return _over(call, min(request, (span - 1) * GRAIN), at)


def _over(call: str, span: float, at: Site) -> TimedOutError:
    if told := trail.get():
        told.ended(Timeout.kind)
    tell(at.signals, CallTimedOut, policy=at.policy, call=call, timeout=span)
    return TimedOutError(
        f"{at.policy or call}: {call} did not answer within {span:.3g} s and was cancelled; it "
        "may have had its effect"
    )


def _span(option: str, span: Span) -> float:
    return span_of("Timeout", option, span, above_0=True)
