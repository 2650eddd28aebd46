"""A loop in a thread of its own, for processes that have none."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from isthmus.errors import ConfigError

__all__ = ["LoopThread", "at_end"]

T = TypeVar("T")


class LoopThread:
    """A running loop. Its thread is a daemon: it never keeps the process from ending."""

    def __init__(self, name: str) -> None:
        self.loop = asyncio.new_event_loop()
        self._lock, self._closing = threading.Lock(), False
        self._thread = threading.Thread(target=self._work, name=f"{name}-loop", daemon=True)
        self._thread.start()

    def submit(self, coroutine: Coroutine[Any, Any, T]) -> "Future[T]":
        """Have `coroutine` run on the loop, in the context of who calls.

        Raises:
            ConfigError: The loop is being closed: nobody would run it.
        """
        with self._lock:
            if self._closing:
                coroutine.close()
                raise ConfigError("the App was closed; open it again")
            return asyncio.run_coroutine_threadsafe(coroutine, self.loop)

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Return what `coroutine` returns, run on the loop."""
        return self.submit(coroutine).result()

    def close(self) -> None:
        """Cancel what still runs, and end the thread."""
        with self._lock:
            self._closing = True
        asyncio.run_coroutine_threadsafe(_cancel_others(), self.loop).result()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    def _work(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()
        self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        self.loop.run_until_complete(self.loop.shutdown_default_executor())


async def _cancel_others() -> None:
    while others := asyncio.all_tasks() - {asyncio.current_task()}:
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


def at_end(function: Callable[[], None]) -> None:
    """Have `function` called when the process ends, while threads may still be begun: what
    `atexit` calls comes after that."""
    threading._register_atexit(function)  # pyright: ignore  # noqa: PGH003
