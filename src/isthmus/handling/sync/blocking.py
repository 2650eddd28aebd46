"""One call from a thread to a loop. While the thread waits, it runs what has to run in it."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import CancelledError, Future
from contextvars import ContextVar
from functools import partial
from queue import SimpleQueue
from typing import Any, TypeVar

from isthmus.errors import ConfigError, TimedOutError

__all__ = ["Submit", "blocking", "in_thread"]

T = TypeVar("T")
Submit = Callable[[Awaitable[Any]], "Future[Any]"]
"""Has something awaited on a loop, in the context of who calls."""


def blocking(submit: Submit, awaitable: Awaitable[T]) -> T:
    """Return what `awaitable` gives, awaited on the loop that `submit` leads to.

    Raises:
        TimedOutError: The loop was closed meanwhile; it ran, perhaps.
    """
    call = _Call()
    token = _call.set(call)
    try:
        return call.wait(submit(awaitable))
    finally:
        _call.reset(token)


async def in_thread(thread: int, does: Callable[[], T]) -> T:
    """Return what `does` returns, called in the thread that waits for us.

    Raises:
        ConfigError: That is not `thread`, or none waits.
    """
    call = _call.get()
    if call is None or call.thread != thread:
        raise ConfigError(
            "the joined connection belongs to another thread than the one that calls; "
            "use what is joined in the thread that joined it"
        )
    return await call.run(does)


class _Call:
    """A thread that waits."""

    def __init__(self) -> None:
        self.thread = threading.get_ident()
        self._work: SimpleQueue[Callable[[], None] | None] = SimpleQueue()

    def wait(self, done: "Future[T]") -> T:
        """Return the result; serve `run` until it is there. Interrupted, cancel it."""
        done.add_done_callback(lambda _: self._work.put(None))
        try:
            while (work := self._work.get()) is not None:
                work()
            return done.result()
        except CancelledError:
            raise TimedOutError("the App was closed meanwhile; it ran, perhaps") from None
        except BaseException:
            done.cancel()
            raise

    async def run(self, does: Callable[[], T]) -> T:
        result: Future[T] = Future()
        self._work.put(partial(_perform, does, result))
        return await asyncio.wrap_future(result)


def _perform(does: Callable[[], T], result: "Future[T]") -> None:
    if not result.set_running_or_notify_cancel():
        return
    try:
        result.set_result(does())
    except BaseException as error:  # noqa: BLE001 - who asked has it
        result.set_exception(error)


_call: ContextVar[_Call | None] = ContextVar("isthmus-blocking", default=None)
"""The thread that waits for what runs here."""
