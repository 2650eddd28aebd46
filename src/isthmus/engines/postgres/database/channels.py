"""Who waits for what: here, and, told by the database, in other processes."""

import asyncio
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from hashlib import blake2b

__all__ = ["Channels", "channel"]


def channel(*names: str) -> int:
    """Return the number that stands for what these names name."""
    digest = blake2b("\0".join(names).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


class Channels:
    """The waiting of this process: an event for each channel that somebody waits on."""

    def __init__(self) -> None:
        self._next: dict[int, asyncio.Event] = {}
        self._waiting = Counter[int]()

    def next(self, number: int) -> asyncio.Event:
        """Return the event of the channel's next change: look after you have it."""
        if number not in self._next:
            self._next[number] = asyncio.Event()
        return self._next[number]

    @contextmanager
    def waiting(self, number: int) -> Generator[None]:
        """Count somebody who waits for the channel's next change."""
        self._waiting[number] += 1
        try:
            yield
        finally:
            self._waiting[number] -= 1
            if not self._waiting[number]:
                del self._waiting[number]

    def fire(self, number: int) -> bool:
        """Wake who waits; return whether anybody did."""
        if (event := self._next.pop(number, None)) is not None:
            event.set()
        return number in self._waiting

    def fire_all(self) -> None:
        for number in list(self._next):
            self.fire(number)
