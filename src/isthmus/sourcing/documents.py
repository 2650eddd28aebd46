"""Documents that a projection writes: one value for each key."""

from collections.abc import Callable, Mapping, Sequence
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

from isthmus.contracts import Put, StoreEngine, Transaction, Tx
from isthmus.errors import ConfigError
from isthmus.handling.address import checked
from isthmus.handling.host import Host
from isthmus.handling.unit import Unit, current
from isthmus.schema import Schema, schema_of
from isthmus.sourcing.bound import Bound

__all__ = ["Documents"]

T = TypeVar("T")
PAGE = 1000


class Documents(Generic[T]):
    """A read model in the store's entries; on any engine.

    profiles = Documents("profiles", Profile)

    await profiles.put(event.key, Profile(...))        # in the projection's handler
    profile = await profiles.get("acc-1")              # anywhere
    """

    def __init__(self, name: str, type_: type[T]) -> None:
        self.name = checked(name, what="documents")
        self._schema: Schema[T] = schema_of(type_)
        self._bound = Bound(f"documents {name!r}")
        self._staged: WeakKeyDictionary[Transaction, dict[str, bytes | None]] = WeakKeyDictionary()

    # --- reading ----------------------------------------------------------------------------

    async def get(self, key: str) -> T | None:
        """Return one; None if there is none."""
        return (await self.get_many([key])).get(key)

    async def get_many(self, keys: Sequence[str]) -> Mapping[str, T]:
        """Return those of `keys` that exist."""
        space, tx = await self._space(), self._tx()
        found = await self._store.get(space, keys, tx=tx)
        values: dict[str, bytes | None] = {key: entry.value for key, entry in found.items()}
        if tx is not None:
            staged = self._staged.get(tx, {})
            values |= {key: staged[key] for key in keys if key in staged}
        return {key: self._schema.decode(v) for key, v in values.items() if v is not None}

    async def scan(self, *, after: str = "", limit: int = 100) -> Sequence[tuple[str, T]]:
        """Return a page of keys and values, by ascending key, from the first above `after`."""
        page = await self._store.scan(await self._space(), after=after, limit=limit)
        return [(key, self._schema.decode(entry.value)) for key, entry in page]

    # --- writing ----------------------------------------------------------------------------

    async def put(self, key: str, value: T) -> None:
        """Set one, when the handler commits.

        Raises:
            ConfigError: No projection's handler runs here.
        """
        await self._put(key, self._schema.encode(value))

    async def delete(self, key: str) -> None:
        """Drop one, when the handler commits. Raises as `put`."""
        await self._put(key, None)

    async def change(self, key: str, change: Callable[[T | None], T]) -> T:
        """Set one to what `change` makes of it, or of None; return that."""
        value = change(await self.get(key))
        await self.put(key, value)
        return value

    async def _put(self, key: str, value: bytes | None) -> None:
        tx = self._tx()
        if tx is None:
            raise ConfigError(f"documents {self.name!r} are written in their projection's handler")
        await self._store.put(await self._space(), [Put(key, value)], tx=tx)
        self._staged.setdefault(tx, {})[key] = value

    def _tx(self) -> Tx:
        """The transaction of the projection's handler that runs here, if one does."""
        unit: Unit | None = current.get() if self._bound.written else None
        return None if unit is None else unit.begin()

    @property
    def _store(self) -> StoreEngine:
        return self._bound.host.store

    async def _space(self) -> str:
        return self._of(await self._bound.generation())

    # --- as a read model --------------------------------------------------------------------

    @property
    def definition(self) -> str:
        return f"documents {self.name} {self._schema}"

    def bind(self, host: Host, projection: str) -> None:
        self._bound.to(host, projection)

    async def create(self, generation: int, *, tx: Transaction) -> None: ...

    async def switch(self, generation: int, *, tx: Transaction) -> None: ...

    async def clear(self, generation: int, *, host: Host) -> None:
        space = self._of(generation)
        while page := await host.store.scan(space, limit=PAGE):
            await host.store.put(space, [Put(key, None) for key, _ in page])

    def _of(self, generation: int) -> str:
        return f"documents/{self.name}.{generation}"
