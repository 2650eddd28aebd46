"""Who waits for what, in this process."""

import asyncio

__all__ = ["Wakes"]


class Wakes:
    """Waiters by channel; an event serves one wake, the next gets a new one."""

    def __init__(self) -> None:
        self._events: dict[str, asyncio.Event] = {}

    def on(self, channel: str) -> asyncio.Event:
        """Return the event that the next wake of `channel` will set."""
        event = self._events.get(channel)
        if event is None:
            event = self._events[channel] = asyncio.Event()
        return event

    def wake(self, channel: str) -> None:
        event = self._events.pop(channel, None)
        if event is not None:
            event.set()

    def wake_all(self) -> None:
        for channel in list(self._events):
            self.wake(channel)
