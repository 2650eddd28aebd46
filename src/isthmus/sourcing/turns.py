"""One after the other, by key, in this process: whoever would only meet a conflict waits."""

import asyncio
from weakref import WeakValueDictionary

__all__ = ["Turns"]


class Turns:
    def __init__(self) -> None:
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def of(self, key: str) -> asyncio.Lock:
        """Return what is held while something of `key` is done; gone when nobody has it."""
        if (lock := self._locks.get(key)) is None:
            lock = self._locks[key] = asyncio.Lock()
        return lock
