"""Where `def` functions run: threads beside the loop, within the caller's unit of work."""

import asyncio
import inspect
import logging
import threading
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from contextlib import suppress
from contextvars import ContextVar, copy_context
from functools import partial
from typing import Any, TypeVar

from isthmus.errors import ConfigError, TimedOutError

__all__ = ["Threads", "submitting", "wait"]

_log = logging.getLogger("isthmus.threads")

T = TypeVar("T")

IDLE = 10.0
"""Seconds without work after which a thread ends."""


class Threads:
    """A bounded pool of daemon threads, begun as they are needed.

    A thread whose caller was cancelled is left alone: nothing can stop it. It no
    longer counts, ends with what it does, and never keeps the process from ending.
    """

    def __init__(self, limit: int = 64) -> None:
        """`limit`: threads that work at once; what comes beyond them waits its turn."""
        self._limit = limit
        self._jobs: deque[_Job] = deque()
        self._changed = threading.Condition()
        self._idle = self._alive = 0

    @property
    def busy(self) -> bool:
        """Whether any of them works, or has to."""
        return self._alive > self._idle or bool(self._jobs)

    async def run(self, function: Callable[..., T], /, *args: Any, **named: Any) -> T:
        """Return what `function` returns, called in a thread with the caller's contextvars.

        Cancelled, it leaves the thread to itself: its `wait` raises TimedOutError from then on.
        """
        job = _Job(partial(function, *args, **named), asyncio.get_running_loop())
        self._submit(job)
        try:
            return await job.outcome
        except asyncio.CancelledError:
            self._abandon(job)
            raise

    def _submit(self, job: "_Job") -> None:
        with self._changed:
            self._jobs.append(job)
            if self._idle >= len(self._jobs):
                self._changed.notify()
            else:
                self._grow()

    def _abandon(self, job: "_Job") -> None:
        with self._changed:
            if job.begun and not job.ended:
                self._alive -= 1
                _log.warning("%s was cancelled, but its thread goes on", job.name)
                if self._jobs:
                    self._grow()
            job.abandon()

    def _grow(self) -> None:
        if self._alive < self._limit:
            self._alive += 1
            threading.Thread(target=self._work, name="isthmus", daemon=True).start()

    def _work(self) -> None:
        while (job := self._next()) is not None:
            job.run()
            with self._changed:
                job.ended = True
                if job.abandoned:
                    return  # no longer counted

    def _next(self) -> "_Job | None":
        with self._changed:
            self._idle += 1
            self._changed.wait_for(lambda: self._jobs, timeout=IDLE)
            self._idle -= 1
            while self._jobs:
                job = self._jobs.popleft()
                if not job.abandoned:
                    job.begun = True
                    return job
            self._alive -= 1
            return None


class _Job:
    """One call in a thread, and the way back to the loop it came from."""

    def __init__(self, call: "partial[Any]", loop: asyncio.AbstractEventLoop) -> None:
        self._call, self._loop = call, loop
        self.outcome: asyncio.Future[Any] = loop.create_future()
        self._context = copy_context()
        self._context.run(_home.set, self)
        self._tasks: set[asyncio.Task[Any]] = set()
        self.begun = self.ended = self.abandoned = False

    @property
    def name(self) -> str:
        return getattr(self._call.func, "__qualname__", repr(self._call.func))

    def run(self) -> None:
        try:
            settle = partial(self._succeed, self._context.run(self._call))
        except BaseException as error:  # noqa: BLE001 - it is the caller's
            settle = partial(self._fail, error)
        with suppress(RuntimeError):  # the loop is closed: nobody asks any more
            self._loop.call_soon_threadsafe(settle)

    def abandon(self) -> None:
        self.abandoned = True
        for task in self._tasks:
            task.cancel()

    def submit(self, awaitable: Awaitable[T]) -> "Future[T]":
        """Have `awaitable` awaited on the loop, within the handler's unit of work."""
        done: Future[T] = Future()
        begin = partial(self._begin, awaitable, done)
        try:
            self._loop.call_soon_threadsafe(begin, context=copy_context())
        except RuntimeError as error:
            _forget(awaitable)
            raise self._over() from error
        return done

    def _begin(self, awaitable: Awaitable[T], done: "Future[T]") -> None:
        if self.abandoned:
            _forget(awaitable)
            return done.set_exception(self._over())
        task = asyncio.ensure_future(_awaited(awaitable))
        self._tasks.add(task)
        task.add_done_callback(partial(self._finish, done))

    def _finish(self, done: "Future[Any]", task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        if task.cancelled():
            done.set_exception(self._over())
        elif error := task.exception():
            done.set_exception(error)
        else:
            done.set_result(task.result())

    def _succeed(self, result: object) -> None:
        if not self.outcome.done():
            self.outcome.set_result(result)

    def _fail(self, error: BaseException) -> None:
        if isinstance(error, StopIteration):  # no future can carry it
            error = RuntimeError(f"{self.name} raised StopIteration")
        if not self.outcome.done():
            self.outcome.set_exception(error)

    def _over(self) -> TimedOutError:
        return TimedOutError(
            f"{self.name} was cancelled and its transaction is over: what its thread still does "
            "in isthmus has no effect; give it a larger timeout=, or less to do"
        )


_home: ContextVar[_Job | None] = ContextVar("isthmus-thread", default=None)
"""The call that the current thread runs; None outside of one."""


def wait(awaitable: Awaitable[T]) -> T:
    """Return what `awaitable` gives, in a `def` handler: `wait(orders.send(order))`.

    It runs on the loop, within the handler's unit of work; errors come through.

    Raises:
        ConfigError: Not called in the thread of a `def` handler.
        TimedOutError: The handler was cancelled meanwhile; its transaction is over.
    """
    job, on_loop = _home.get(), _on_a_loop()
    if job is not None and not on_loop:
        return job.submit(awaitable).result()
    _forget(awaitable)
    if on_loop:
        raise ConfigError("wait() on the loop's own thread would wait forever; use `await`")
    raise ConfigError(
        "wait() has no loop here: call it in the thread in which a def handler runs, "
        "or use `asyncio.run`"
    )


def submitting() -> "Callable[[Awaitable[Any]], Future[Any]] | None":
    """Return what has something awaited on the loop of the `def` handler whose thread this is;
    None outside of one."""
    job = _home.get()
    return None if job is None or _on_a_loop() else job.submit


async def _awaited(awaitable: Awaitable[T]) -> T:
    return await awaitable


def _forget(awaitable: Awaitable[Any]) -> None:
    if inspect.iscoroutine(awaitable):
        awaitable.close()  # else Python warns that it was never awaited


def _on_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
