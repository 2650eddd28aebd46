"""The event loop that an opened engine lives in."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from isthmus.errors import ConfigError

__all__ = ["Home"]


class Home:
    """The loop that first used the engine: its futures are resolved there."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None

    def future(self) -> asyncio.Future[Any]:
        """Raises: ConfigError: It was asked for in another loop."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._bind(loop)
        return loop.create_future()

    def _bind(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._loop is not None and not self._loop.is_closed():
            raise ConfigError(
                "this engine belongs to another event loop; open one in each, they share the file"
            )
        self._loop = loop

    def soon(self, call: Callable[[], None]) -> None:
        """Call at the end of this turn; from the loop itself."""
        assert self._loop is not None
        self._loop.call_soon(call)

    def call(self, call: Callable[..., None], *arguments: Any) -> None:
        """Call in the loop; from any thread."""
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop is gone, and all who waited with it
                self._loop.call_soon_threadsafe(call, *arguments)
