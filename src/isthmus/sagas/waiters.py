"""Who waits in this process for a saga to end."""

import asyncio

from isthmus.handling.host import Host
from isthmus.sagas.course import Course

__all__ = ["Waiter", "Waiters"]


class Waiter:
    """One who waits."""

    def __init__(self) -> None:
        self.told = asyncio.Event()
        """Set once the saga ended, or is stuck."""
        self.course: Course | None = None
        """How it stood then, if that is known without a look at the store."""


class Waiters:
    """Wakes them without a look at the store, where the saga ended in their process."""

    def __init__(self, host: Host) -> None:
        del host
        self._waiting: dict[str, set[Waiter]] = {}

    def watch(self, key: str) -> Waiter:
        """Return one who waits for the saga called `key`."""
        waiter = Waiter()
        self._waiting.setdefault(key, set()).add(waiter)
        return waiter

    def leave(self, key: str, waiter: Waiter) -> None:
        waiting = self._waiting.get(key, set())
        waiting.discard(waiter)
        if not waiting:
            self._waiting.pop(key, None)

    def tell(self, key: str, course: Course) -> None:
        for waiter in self._waiting.get(key, ()):
            waiter.course = course
            waiter.told.set()
