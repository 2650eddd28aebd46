"""Looking, while anybody waits, whether a stranger has committed."""

import asyncio
from collections.abc import Callable
from typing import Any

__all__ = ["Watch"]

_EVERY = 0.02
"""Between two looks, in seconds."""


class Watch:
    """The safety net under wake-ups: connections that are not ours, processes
    whose letters got lost. It looks only while `waiting`, and costs 0.2 % of a core."""

    def __init__(
        self, *, look: Callable[[], asyncio.Future[Any]], changed: Callable[[], None]
    ) -> None:
        self._look, self._changed = look, changed
        self._waiting = 0
        self._seen: Any = None
        self._timer: asyncio.TimerHandle | None = None
        self._asked: asyncio.Future[Any] | None = None

    def __enter__(self) -> None:
        self._waiting += 1
        if self._waiting == 1 and self._timer is None and self._asked is None:
            self._ask()

    def __exit__(self, *_: object) -> None:
        self._waiting -= 1

    def _ask(self) -> None:
        self._timer = None
        if self._waiting:
            self._asked = self._look()
            self._asked.add_done_callback(self._answered)

    def _answered(self, asked: asyncio.Future[Any]) -> None:
        self._asked = None
        if not asked.cancelled() and asked.exception() is None:
            seen, self._seen = self._seen, asked.result()
            if seen != self._seen:
                self._changed()
        if self._waiting:
            self._timer = asked.get_loop().call_later(_EVERY, self._ask)

    def close(self) -> None:
        self._waiting = 0
        if self._timer is not None:
            self._timer.cancel()
