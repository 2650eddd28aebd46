"""Who waits for what, in this process."""

import asyncio

__all__ = ["Wakes"]


class Wakes:
    """Waiters by channel; an event serves one wake, the next gets a new one."""

    def __init__(self) -> None:
        self._events: dict[str, asyncio.Event] = {}
        self._news: dict[str, int] = {}

    def on(self, channel: str) -> asyncio.Event:
        """Return the event that the next wake of `channel` will set."""
        event = self._events.get(channel)
        if event is None:
            event = self._events[channel] = asyncio.Event()
        return event

    def news(self, channel: str) -> int:
        """Return a number that grows when there is something new on just this channel."""
        return self._news.get(channel, 0)

    def wake(self, channel: str) -> None:
        self._news[channel] = self.news(channel) + 1
        self._set(channel)

    def wake_all(self) -> None:
        """Something was committed; nobody knows what."""
        for channel in list(self._events):
            self._set(channel)

    def _set(self, channel: str) -> None:
        event = self._events.pop(channel, None)
        if event is not None:
            event.set()
