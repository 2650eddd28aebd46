"""What has to be tidied up in the engines, by one process at a time."""

import asyncio
import logging
from collections.abc import Iterator
from typing import Protocol

from isthmus.errors import IsthmusError
from isthmus.handling.host import Host
from isthmus.handling.running.ephemeral import Ephemeral
from isthmus.handling.running.leases import Lease
from isthmus.message import new_id

__all__ = ["Housekeeping"]

_log = logging.getLogger("isthmus.housekeeping")

EVERY, SPAN = 5.0, 30.0
"""Seconds between two rounds; for how long a round's lease holds."""
TURNS = 100
"""Times that each engine is asked to tidy up in one round, at most."""


class _Maintained(Protocol):
    async def maintain(self) -> int: ...


class Housekeeping:
    """A Worker: has what is too old dropped, and what nobody owns any more."""

    name = "housekeeping"

    def __init__(self) -> None:
        self._stop = asyncio.Event()

    async def run(self, host: Host) -> None:
        lease = Lease(
            host.store, f"{self.name}/{host.name}", holder=new_id(), span=SPAN, clock=host.clock
        )
        while not await host.clock.wait(self._stop, EVERY):
            try:
                if await lease.take():
                    await self._round(host, lease)
            except IsthmusError as error:
                _log.warning("housekeeping is put off by %.0f s: %s", EVERY, error)
        await _released(lease)

    async def drain(self) -> None:
        self._stop.set()

    async def _round(self, host: Host, lease: Lease) -> None:
        if host.engine.queue is not None:
            await Ephemeral(host).sweep()
        for maintained in _maintained(host):
            for _ in range(TURNS):
                if self._stop.is_set() or not lease.held or not await maintained.maintain():
                    break


def _maintained(host: Host) -> Iterator[_Maintained]:
    engines = [host.engine] if host.engine is host.state else [host.engine, host.state]
    for engine in engines:
        for contract in (engine.queue, engine.log, engine.store):
            if contract is not None:
                yield contract


async def _released(lease: Lease) -> None:
    try:
        await lease.release()
    except IsthmusError as error:
        _log.debug("the lease ends by itself: %s", error)
