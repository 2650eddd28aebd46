"""A space of entries, in the words of the store's tests."""

from typing import Any

import pytest
import pytest_asyncio

from isthmus.clock import Clock
from isthmus.contracts import Engine, Put, StoreCapabilities, StoreEngine, Tx
from isthmus.testing.conformance.wiring import Conformance, Opening, Rig

__all__ = ["Shelf", "StoreTests"]


class Shelf(Rig):
    """A space of this test's own."""

    @property
    def store(self) -> StoreEngine:
        assert self.engine.store is not None
        return self.engine.store

    @property
    def able(self) -> StoreCapabilities:
        return self.store.capabilities

    @property
    def space(self) -> str:
        return f"shelf-{self.name}"

    async def put(self, key: str, value: str | None, *, tx: Tx = None, **options: Any) -> None:
        if "ttl" in options:
            options["ttl"] *= self.tick
        put = Put(key, None if value is None else value.encode(), **options)
        await self.store.put(self.space, [put], tx=tx)

    async def puts(self, *puts: Put, tx: Tx = None) -> None:
        await self.store.put(self.space, puts, tx=tx)

    async def values(self, *keys: str, tx: Tx = None) -> dict[str, str]:
        found = await self.store.get(self.space, keys, tx=tx)
        return {key: entry.value.decode() for key, entry in found.items()}

    async def version(self, key: str) -> int:
        """0 if there is no such entry."""
        found = await self.store.get(self.space, [key])
        return found[key].version if key in found else 0

    async def scan(self, **page: Any) -> dict[str, str]:
        found = await self.store.scan(self.space, **page)
        return {key: entry.value.decode() for key, entry in found}


class StoreTests(Conformance):
    @pytest_asyncio.fixture
    async def shelf(self, engine: Engine, clock: Clock, opening: Opening) -> Shelf:
        if engine.store is None:
            pytest.skip("contract: store")
        return self.rig(Shelf, engine, clock, opening)
