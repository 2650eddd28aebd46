"""The event loop that an opened engine lives in."""

import asyncio
import os
import weakref
from collections.abc import Callable
from contextlib import suppress
from threading import get_ident
from typing import Any

from isthmus.errors import ConfigError

__all__ = ["Home"]


class Home:
    """The loop that first used the engine: its futures are resolved there."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0
        self._forked = False
        _homes.add(self)

    def future(self) -> asyncio.Future[Any]:
        """Raises: ConfigError: It was asked for in another loop."""
        loop = self._loop
        # a thread runs one loop at a time; get_running_loop() asks the kernel (Python 3.11)
        if loop is None or get_ident() != self._thread or not loop.is_running():
            loop = self._bind(asyncio.get_running_loop())
        return loop.create_future()

    def require(self) -> None:
        """Raises: ConfigError: This is another loop."""
        self._bind(asyncio.get_running_loop())

    def leave(self) -> None:
        """This is a forked child, where no thread of ours runs."""
        self._forked, self._loop = True, None

    def _bind(self, loop: asyncio.AbstractEventLoop) -> asyncio.AbstractEventLoop:
        if self._forked:
            raise ConfigError("this engine was opened before a fork; open one in each process")
        ours = self._loop
        if ours is not None and ours is not loop and not ours.is_closed():
            raise ConfigError(
                "this engine belongs to another event loop; open one in each, they share the file"
            )
        self._loop, self._thread = loop, get_ident()
        return loop

    def later(self, seconds: float, call: Callable[[], None]) -> None:
        """Call after so many real seconds; from the loop itself."""
        assert self._loop is not None
        self._loop.call_later(seconds, call)

    def soon(self, call: Callable[[], None]) -> None:
        """Call at the end of this turn; from the loop itself."""
        assert self._loop is not None
        self._loop.call_soon(call)

    def call(self, call: Callable[..., None], *arguments: Any) -> None:
        """Call in the loop; from any thread."""
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop is gone, and all who waited with it
                self._loop.call_soon_threadsafe(call, *arguments)


_homes: weakref.WeakSet[Home] = weakref.WeakSet()


def _leave_all() -> None:
    for home in _homes:
        home.leave()


os.register_at_fork(after_in_child=_leave_all)
