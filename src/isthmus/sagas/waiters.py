"""Who waits in this process for a saga to end."""

import asyncio

from isthmus.handling.host import Host

__all__ = ["Waiters"]


class Waiters:
    """Wakes them without a look at the store, where the saga ended in their process."""

    def __init__(self, host: Host) -> None:
        del host
        self._events: dict[str, set[asyncio.Event]] = {}

    def watch(self, key: str) -> asyncio.Event:
        """Return an event that is set once the saga called `key` ended, or is stuck."""
        event = asyncio.Event()
        self._events.setdefault(key, set()).add(event)
        return event

    def leave(self, key: str, event: asyncio.Event) -> None:
        watching = self._events.get(key, set())
        watching.discard(event)
        if not watching:
            self._events.pop(key, None)

    def tell(self, key: str) -> None:
        for event in self._events.get(key, ()):
            event.set()
