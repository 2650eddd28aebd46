"""Giving up, for those who wait, a turn that does not come."""

import time
from collections.abc import Callable

from isthmus.engines.sqlite.processes.home import Home

__all__ = ["Patrol"]

_ROUNDS = 4
"""Rounds without anybody waiting, after which it rests."""


class Patrol:
    """A thread that waits for a lock on a file cannot be called back, and its
    holder may be a process that was stopped. So the loop walks by and, once the
    thread has waited for `timeout` seconds, calls `give_up`, again and again."""

    def __init__(self, home: Home, *, timeout: float, give_up: Callable[[], None]) -> None:
        self._home, self._timeout, self._give_up = home, timeout, give_up
        self._since: float | None = None
        self._walking = False
        self._idle = 0

    def __enter__(self) -> None:
        """The thread begins to wait."""
        self._since = time.monotonic()
        if not self._walking:
            self._walking = True
            self._home.call(self._walk)

    def __exit__(self, *_: object) -> None:
        self._since = None

    def _walk(self) -> None:
        since = self._since
        self._idle = 0 if since is not None else self._idle + 1
        if since is not None and time.monotonic() - since >= self._timeout:
            self._give_up()
        self._walking = self._idle < _ROUNDS
        if self._since is not None or self._walking:
            self._walking = True
            self._home.later(max(0.01, self._timeout / 4), self._walk)
