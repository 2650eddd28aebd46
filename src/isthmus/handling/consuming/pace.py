"""A limit on how many messages are begun a second, over all processes.

A token bucket whose level is one entry of the store: whoever takes tokens moves
it by compare-and-set, a tenth of a second's worth at a time.
"""

import msgspec

from isthmus.contracts import Entry, Put
from isthmus.errors import ConflictError
from isthmus.handling.host import Host

__all__ = ["Pace"]

SPACE = "pace"
TINY = 1e-9
"""What rounding may have taken from a token."""


class _Bucket(msgspec.Struct, array_like=True):
    level: float
    at: float


class Pace:
    """The share of one subscription's rate that this process takes."""

    def __init__(self, host: Host, address: str, rate: float | None) -> None:
        self._store, self._clock = host.store, host.clock
        self._address, self._rate = address, rate
        self._burst = 0.0 if rate is None else max(1.0, rate / 10)

    async def allow(self, most: int) -> int:
        """Wait until something may begin; return how many may, at most `most`."""
        if self._rate is None:
            return most
        while True:
            try:
                taken, wait = await self._take(most, self._rate)
            except ConflictError:
                continue  # another process took some: look again
            if taken:
                return taken
            await self._clock.sleep(wait)

    async def _take(self, most: int, rate: float) -> tuple[int, float]:
        entry = (await self._store.get(SPACE, [self._address])).get(self._address)
        level, now = self._level(entry, rate), self._clock.now()
        taken = min(most, int(level + TINY))
        if taken:
            value = msgspec.msgpack.encode(_Bucket(level - taken, now))
            version = entry.version if entry else 0
            await self._store.put(SPACE, [Put(self._address, value, version)])
        return taken, max(0.001, (1.0 - level) / rate)

    def _level(self, entry: Entry | None, rate: float) -> float:
        if entry is None:
            return self._burst
        bucket = msgspec.msgpack.decode(entry.value, type=_Bucket)
        passed = max(0.0, self._clock.now() - bucket.at)
        return min(self._burst, bucket.level + passed * rate)
