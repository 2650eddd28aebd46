"""The state of an aggregate: what its events come to."""

from collections.abc import AsyncGenerator, Sequence
from math import inf
from typing import Any

from isthmus.contracts import LogEngine, Record, Tx
from isthmus.sourcing.decider import Decider
from isthmus.sourcing.events import Events
from isthmus.sourcing.living import Live, Living
from isthmus.sourcing.seals import Seals
from isthmus.sourcing.snapshots import Snapshots

__all__ = ["States"]

PAGE = 1000
"""Events that are read at once."""


class States:
    """Loads states: from the last one known, and the events since."""

    def __init__(
        self,
        log: LogEngine,
        name: str,
        *,
        decider: Decider[Any],
        events: Events,
        snapshots: Snapshots,
        seals: Seals,
        living: Living,
    ) -> None:
        self._log, self._name, self._events, self._living = log, name, events, living
        self._decider, self._snapshots, self._seals = decider, snapshots, seals
        self._epoch = 0

    def known(self, key: str) -> Live | None:
        """Return what was loaded lately; it may be old."""
        return self._living.get(key)

    def keep(self, key: str, live: Live) -> None:
        self._living.put(key, live)

    async def attend(self) -> None:
        """Forget the states at hand if somebody was forgotten since they were loaded."""
        if self._seals.needed and (epoch := await self._seals.keys.epoch()) != self._epoch:
            self._epoch = epoch
            self._living.clear()

    async def load(self, key: str, *, tx: Tx = None) -> Live:
        """Return the state as it is now; with `tx`, its commit fails if that has changed."""
        await self.attend()
        known = self._living.get(key) or await self._begun(key)
        live = await self._gone_on(key, known, tx=tx)
        if live.version:
            self._living.put(key, live)
        return live

    async def load_at(self, key: str, *, version: float = inf, at: float = inf) -> Live:
        """Return the state as it was, with the events up to a version and a moment."""
        state, last = await self._begun(key, version=version if at == inf else 0)
        evolve, value = self._decider.evolve, self._events.value
        async for page in self.pages(key, after=last):
            for record in page:
                if record.version > version or (record.message.time or record.at) > at:
                    return Live(state, last)
                state, last = evolve(state, value(record)), record.version
        return Live(state, last)

    async def pages(
        self, key: str, *, after: int = 0, tx: Tx = None
    ) -> AsyncGenerator[Sequence[Record]]:
        """Yield the records of one aggregate after a version, a page at a time."""
        while True:
            page = await self._log.history(self._name, key, after=after, limit=PAGE, tx=tx)
            if page:
                yield await self._events.opened(page)
            if len(page) < PAGE:
                return
            after = page[-1].version

    async def _begun(self, key: str, *, version: float = inf) -> Live:
        """Return a state to begin with: of a snapshot that is not of a later version."""
        found = await self._snapshots.find(key) if version else None
        return found if found and found.version <= version else Live(self._decider.begun(), 0)

    async def _gone_on(self, key: str, live: Live, *, tx: Tx) -> Live:
        state, version = live
        evolve, value = self._decider.evolve, self._events.value
        async for page in self.pages(key, after=version, tx=tx):
            for record in page:
                state = evolve(state, value(record))
            version = page[-1].version
        return Live(state, version)
