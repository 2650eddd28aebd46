"""Where every schedule stands, for all processes: one entry of the store each."""

from collections.abc import Mapping, Sequence
from typing import Self

import msgspec

from isthmus.contracts import Entry, Put, StoreEngine, Transaction
from isthmus.errors import NotFoundError
from isthmus.handling.unit import repeat

__all__ = ["Standing", "Timetable"]

SPACE = "schedules"

PAGE = 1000


class Standing(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How one schedule stands."""

    name: str
    definition: str = ""
    """Its timing in words, as "every 30 s"."""
    due_at: float = 0.0
    """When it is due next; 0 until a process that runs it has reckoned."""
    last_at: float = 0.0
    """The last due moment that was run; 0 if none was."""
    paused: bool = False
    version: int = 0

    @classmethod
    def read(cls, name: str, entry: Entry | None) -> Self:
        if entry is None:
            return cls(name=name)
        found = msgspec.json.decode(entry.value, type=cls)
        return msgspec.structs.replace(found, version=entry.version)

    @property
    def put(self) -> Put:
        """Its entry, if nobody changed it since it was read."""
        value = msgspec.json.encode(msgspec.structs.replace(self, version=0))
        return Put(self.name, value, self.version)


class Timetable:
    """The standings of a store's schedules; needs no App."""

    def __init__(self, store: StoreEngine) -> None:
        self._store = store

    async def all(self) -> Sequence[Standing]:
        """Return every schedule that ever ran, by name."""
        found, after = list[Standing](), ""
        while page := await self._store.scan(SPACE, after=after, limit=PAGE):
            found += [Standing.read(name, entry) for name, entry in page]
            after = page[-1][0]
        return found

    async def read(self, names: Sequence[str]) -> Mapping[str, Standing]:
        """Return how these stand; one that never ran has version 0."""
        entries = await self._store.get(SPACE, names)
        return {name: Standing.read(name, entries.get(name)) for name in names}

    async def take(self, name: str, *, tx: Transaction) -> Standing:
        """Read one; `tx` commits only if nobody moves it meanwhile."""
        entries = await self._store.get(SPACE, [name], tx=tx)
        return Standing.read(name, entries.get(name))

    async def move(self, to: Standing, *, tx: Transaction) -> None:
        await self._store.put(SPACE, [to.put], tx=tx)

    async def pause(self, name: str) -> None:
        """Have it not run until `resume`; what is due meanwhile is passed over.

        Raises:
            NotFoundError: No such schedule ever ran.
        """
        await self._change(name, paused=True)

    async def resume(self, name: str) -> None:
        """Have it run again, from its next moment on, within half a minute.

        Raises:
            NotFoundError: No such schedule ever ran.
        """
        await self._change(name, paused=False)

    async def require(self, name: str) -> Standing:
        """Raises NotFoundError, naming what there is."""
        standing = (await self.read([name]))[name]
        if not standing.version:
            known = ", ".join(each.name for each in await self.all()) or "none"
            raise NotFoundError(f"no schedule {name!r} has run on this store; there are: {known}")
        return standing

    async def _change(self, name: str, *, paused: bool) -> None:
        await self.require(name)

        async def change(tx: Transaction) -> None:
            standing = await self.take(name, tx=tx)
            if standing.paused != paused:
                changed = msgspec.structs.replace(standing, paused=paused, due_at=0.0)
                await self.move(changed, tx=tx)

        await repeat(self._store, change)
