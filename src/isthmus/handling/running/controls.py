"""Pause and resume, said once, heeded by every process."""

import asyncio
import logging
from collections.abc import Collection, Sequence
from typing import Protocol, runtime_checkable

from isthmus.contracts import Put, StoreEngine
from isthmus.errors import IsthmusError
from isthmus.handling.host import Host

__all__ = ["Controls", "Pausable", "pause", "paused", "resume"]

_log = logging.getLogger("isthmus.controls")

SPACE = "controls"

EVERY = 1.0
"""Seconds between two looks at the store."""

PAGE = 1000


async def pause(store: StoreEngine, address: str) -> None:
    """Have no process begin a message of `address`, as "orders", until `resume`."""
    await store.put(SPACE, [Put(address, b"paused")])


async def resume(store: StoreEngine, address: str) -> None:
    """Undo `pause`; do nothing if it is not paused."""
    await store.put(SPACE, [Put(address, None)])


async def paused(store: StoreEngine) -> Collection[str]:
    """Return the addresses that are paused."""
    found, after = set[str](), ""
    while page := await store.scan(SPACE, after=after, limit=PAGE):
        found.update(key for key, _ in page)
        after = page[-1][0]
    return found


@runtime_checkable
class Pausable(Protocol):
    """A worker that can stop beginning things for a while; named "kind:address"."""

    @property
    def name(self) -> str: ...

    @property
    def paused(self) -> bool: ...

    async def pause(self) -> None: ...

    def resume(self) -> None: ...


class Controls:
    """A Worker: has the consumers of this process do what the store says.

    A consumer that somebody paused here, in the process, is left alone.
    """

    name = "controls"

    def __init__(self, consumers: Sequence[Pausable], *, every: float = EVERY) -> None:
        self._consumers, self._every = consumers, every
        self._stop = asyncio.Event()
        self._ours: set[str] = set()

    async def run(self, host: Host) -> None:
        while not await host.clock.wait(self._stop, self._every):
            try:
                await self.apply(host)
            except IsthmusError as error:
                _log.debug("no look at what is paused: %s", error)

    async def drain(self) -> None:
        self._stop.set()

    async def apply(self, host: Host) -> None:
        """Do what the store says now: before anything runs, it begins paused."""
        wanted = await paused(host.store)
        for consumer in self._consumers:
            if consumer.name.partition(":")[2] in wanted:
                await self._pause(consumer)
            elif consumer.name in self._ours:
                self._resume(consumer)

    async def _pause(self, consumer: Pausable) -> None:
        if not consumer.paused:
            self._ours.add(consumer.name)
            await consumer.pause()
            _log.info("%s is paused", consumer.name)

    def _resume(self, consumer: Pausable) -> None:
        self._ours.discard(consumer.name)
        consumer.resume()
        _log.info("%s goes on", consumer.name)
