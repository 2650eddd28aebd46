"""Where projections stand: an entry each, changed by whoever is first."""

from collections.abc import Awaitable, Callable, Mapping

import msgspec

from isthmus.contracts import Put, StoreEngine, Transaction, Tx
from isthmus.errors import NotFoundError
from isthmus.handling.unit import repeat
from isthmus.sourcing.generation import Standing

__all__ = ["SPACE", "Change", "Standings"]

SPACE = "projections"
PAGE = 1000

Change = Callable[[Standing | None, Transaction], Awaitable[Standing | None]]
"""Given what is there, does what belongs to it in the transaction, and returns what is to be
there; None leaves it."""


class Standings:
    def __init__(self, store: StoreEngine) -> None:
        self._store = store

    async def find(self, name: str, *, tx: Tx = None) -> Standing | None:
        found = (await self._store.get(SPACE, [name], tx=tx)).get(name)
        return None if found is None else msgspec.json.decode(found.value, type=Standing)

    async def get(self, name: str) -> Standing:
        """Raises NotFoundError if no such projection was ever opened."""
        if (found := await self.find(name)) is None:
            known = ", ".join(await self.all()) or "none"
            raise NotFoundError(f"no projection is called {name!r}; there are: {known}")
        return found

    async def all(self) -> Mapping[str, Standing]:
        """Return every projection that was ever opened, by name."""
        found, after = dict[str, Standing](), ""
        while page := await self._store.scan(SPACE, after=after, limit=PAGE):
            for name, entry in page:
                found[name] = msgspec.json.decode(entry.value, type=Standing)
            after = page[-1][0]
        return found

    async def change(self, name: str, change: Change) -> Standing | None:
        """Change one, together with all that `change` does; return what is there then."""

        async def work(tx: Transaction) -> Standing | None:
            entry = (await self._store.get(SPACE, [name], tx=tx)).get(name)
            before = entry and msgspec.json.decode(entry.value, type=Standing)
            after = await change(before, tx)
            if after is None:
                return before
            version = 0 if entry is None else entry.version
            await self._store.put(SPACE, [Put(name, msgspec.json.encode(after), version)], tx=tx)
            return after

        return await repeat(self._store, work)
