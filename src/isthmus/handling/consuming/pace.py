"""A limit on how many messages are begun a second, over all processes.

A token bucket that is one entry of the store: whoever takes tokens writes it by
compare-and-set, a tenth of a second's worth at a time.
"""

import msgspec

from isthmus.contracts import Put
from isthmus.errors import ConflictError
from isthmus.handling.host import Host
from isthmus.resilience.meter import TokenBucket

__all__ = ["Pace"]

SPACE = "pace"


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
        bucket, now = TokenBucket(rate, self._burst), self._clock.now()
        taken, wait = 0, 0.0
        if entry is not None:
            bucket.recall(msgspec.msgpack.decode(entry.value, type=tuple[float, float]))
        while taken < most and not (wait := bucket.reserve(now, 0.0)):
            taken += 1
        if not taken:
            return 0, max(0.001, wait)
        value, version = msgspec.msgpack.encode(bucket.numbers()), entry.version if entry else 0
        await self._store.put(SPACE, [Put(self._address, value, version)])
        return taken, wait
