"""Where a saga's history is kept: entries of the store that only grow, fenced by their version.

It lies in the store's key-value rather than in a log, as it is read whole, by its own saga alone,
and goes when its retention is over, however old its neighbours are. What grows beyond CHUNK goes
on in another entry, so that a commit writes a bounded number of bytes.
"""

from collections.abc import Sequence

from isthmus.contracts import Put, StoreEngine, Transaction
from isthmus.sagas.events import Event, decode, encode

__all__ = ["SPACE", "History", "load"]

SPACE = "isthmus.sagas.history"
CHUNK = 32 * 1024
"""Bytes after which an entry is not appended to any more."""


class History:
    """One saga's history as it was read, and as this process went on writing it."""

    def __init__(self, key: str, chunks: Sequence[bytes], version: int) -> None:
        self.key = key
        self._chunks = list(chunks)
        self._version = version
        self._begun: list[Event] | None = None
        """All of it, while that is only what this process has just written."""

    @property
    def exists(self) -> bool:
        return bool(self._chunks)

    def events(self) -> list[Event]:
        if self._begun is not None:
            return list(self._begun)
        return [event for chunk in self._chunks for event in decode(chunk)]

    def append(self, events: list[Event]) -> Put:
        """Return the change that adds `events`, if nobody else has added any since; the next is
        made as if it were committed."""
        self._begun = events if not self._chunks else None
        if not self._chunks or len(self._chunks[-1]) >= CHUNK:
            self._chunks.append(b"")
            self._version = 0
        self._chunks[-1] += encode(events)
        put = Put(_entry(self.key, len(self._chunks) - 1), self._chunks[-1], self._version)
        self._version += 1
        return put

    def ending(self, put: Put, ttl: float) -> list[Put]:
        """Return the changes that have all of it go after `ttl` seconds; `put` is the last one."""
        older = [
            Put(_entry(self.key, number), chunk, ttl=ttl)
            for number, chunk in enumerate(self._chunks[:-1])
        ]
        return [*older, Put(put.key, put.value, put.if_version, ttl)]


async def load(store: StoreEngine, key: str, *, tx: Transaction | None = None) -> History:
    """Return the history of the saga called `key`, as "fulfil/A-1"; empty if there is none."""
    chunks, version = list[bytes](), 0
    while not chunks or len(chunks[-1]) >= CHUNK:
        entry = _entry(key, len(chunks))
        found = (await store.get(SPACE, [entry], tx=tx)).get(entry)
        if found is None:
            break
        chunks.append(found.value)
        version = found.version
    return History(key, chunks, version)


def _entry(key: str, number: int) -> str:
    return f"{key}\t{number:06}" if number else key
