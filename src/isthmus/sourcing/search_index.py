"""A full-text index that a projection writes."""

from collections.abc import Mapping, Sequence

import msgspec

from isthmus.contracts import Transaction
from isthmus.errors import ConfigError
from isthmus.handling.host import Host
from isthmus.handling.unit import current, repeat
from isthmus.sourcing.bound import Bound, require_sql
from isthmus.sourcing.read_model import ReadModel, identifier
from isthmus.sourcing.words import DIALECTS, Words, words_in

__all__ = ["Hit", "SearchIndex"]


class Hit(msgspec.Struct, frozen=True):
    """Something found: its key, and the texts that were put."""

    key: str
    texts: Mapping[str, str]


class SearchIndex:
    """A read model to search in, by SQLite's FTS5 or PostgreSQL's tsvector: words, found in any
    of some texts.

    customers = SearchIndex("customers", "name", "city")

    await customers.put(event.key, name="Anna Weiss", city="Linz")     # in the handler
    hits = await customers.search("ann lin")                           # anywhere
    """

    def __init__(self, name: str, *texts: str) -> None:
        """Raises:
        ConfigError: A name cannot stand in SQL, or there are no texts.
        """
        self.name = identifier(name, what="search index")
        if not texts:
            raise ConfigError(f'search index {name!r} has no texts: SearchIndex("{name}", "title")')
        self._texts = tuple(identifier(text, what="text") for text in texts)
        self._bound = Bound(f"search index {name!r}")

    # --- writing ----------------------------------------------------------------------------

    async def put(self, key: str, **texts: str) -> None:
        """Set the texts of one key, when the handler commits; those not given are empty.

        Raises:
            ConfigError: No projection's handler runs here, or there is no such text.
        """
        if unknown := sorted(texts.keys() - set(self._texts)):
            raise ConfigError(
                f"search index {self.name!r} has no text {unknown[0]!r}; "
                f"it has {', '.join(self._texts)}"
            )
        words, tx = self._writing()
        await words.put(key, texts, tx)

    async def remove(self, key: str) -> None:
        """Have it found no more, when the handler commits. Raises as `put`."""
        words, tx = self._writing()
        await words.remove(key, tx)

    def _writing(self) -> tuple[Words, Transaction]:
        unit, number = current.get(), self._bound.written
        if unit is None or not number:
            raise ConfigError(f"search index {self.name!r} is written in its projection's handler")
        return self._of(number), unit.begin()

    # --- reading ----------------------------------------------------------------------------

    async def search(self, words: str, *, limit: int = 20) -> Sequence[Hit]:
        """Return what has all of `words`, each the beginning of a word in any text; the best
        first. Nothing is found by no words."""
        wanted = words_in(words)
        if not wanted:
            return ()
        index = self._of(await self._bound.generation())
        if (unit := current.get()) is not None:
            rows = await index.search(wanted, limit, unit.begin())
        else:
            async with self._bound.host.store.begin() as tx:
                rows = await index.search(wanted, limit, tx)
        return [Hit(row[0], dict(zip(self._texts, row[1:], strict=True))) for row in rows]

    # --- as a read model --------------------------------------------------------------------

    @property
    def definition(self) -> str:
        return f"search {self.name} {self._texts}"

    def bind(self, host: Host, projection: str) -> None:
        require_sql(host, f"search index {self.name!r}", among=tuple(DIALECTS))
        self._bound.to(host, projection)

    async def create(self, generation: int, *, tx: Transaction) -> None:
        await self._of(generation).create(tx)

    async def switch(self, generation: int, *, tx: Transaction) -> None: ...

    async def clear(self, generation: int, *, host: Host) -> None:
        await repeat(host.store, self._of(generation).drop)

    def _of(self, generation: int) -> Words:
        made = DIALECTS[self._bound.host.store.capabilities.sql]
        return made(f"{self.name}_g{generation}", self._texts)


_: type[ReadModel] = SearchIndex
