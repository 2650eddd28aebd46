"""A full-text index that a projection writes."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from isthmus.contracts import Transaction
from isthmus.errors import ConfigError
from isthmus.handling.host import Host
from isthmus.handling.unit import Unit, current, repeat
from isthmus.sourcing.bound import Bound, require_sql
from isthmus.sourcing.generation import writing
from isthmus.sourcing.read_model import ReadModel, identifier

__all__ = ["Hit", "SearchIndex"]

_WORD = re.compile(r"\w+")


class Hit(msgspec.Struct, frozen=True):
    """Something found: its key, and the texts that were put."""

    key: str
    texts: Mapping[str, str]


class SearchIndex:
    """A read model in SQLite's FTS5: words, found in any of some texts.

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
        tx, table = self._writing()
        await tx.execute(f"insert or ignore into {table}_key (key) values (:key)", key=key)
        await tx.execute(f"delete from {table} where rowid = {_rowid(table)}", key=key)
        named = {f"t{number}": texts.get(text, "") for number, text in enumerate(self._texts)}
        await tx.execute(
            f"insert into {table} (rowid, {', '.join(self._texts)}) "
            f"values ({_rowid(table)}, {', '.join(f':{name}' for name in named)})",
            key=key,
            **named,
        )

    async def remove(self, key: str) -> None:
        """Have it found no more, when the handler commits. Raises as `put`."""
        tx, table = self._writing()
        await tx.execute(f"delete from {table} where rowid = {_rowid(table)}", key=key)
        await tx.execute(f"delete from {table}_key where key = :key", key=key)

    def _writing(self) -> tuple[Transaction, str]:
        unit, number = current.get(), writing.get()
        if unit is None or not number:
            raise ConfigError(f"search index {self.name!r} is written in its projection's handler")
        return unit.begin(), self._of(number)

    # --- reading ----------------------------------------------------------------------------

    async def search(self, words: str, *, limit: int = 20) -> Sequence[Hit]:
        """Return what has all of `words`, each the beginning of a word in any text; the best
        first. Nothing is found by no words."""
        wanted = " ".join(f'"{word}"*' for word in _WORD.findall(words))
        if not wanted:
            return ()
        table = self._of(await self._bound.generation())
        sql = (
            f"select k.key as key, {', '.join(f't.{text}' for text in self._texts)} "
            f"from {table} t join {table}_key k on k.id = t.rowid "
            f"where {table} match :wanted order by rank limit :limit"
        )
        rows = await self._fetch(sql, wanted=wanted, limit=limit)
        return [Hit(row[0], dict(zip(self._texts, row[1:], strict=True))) for row in rows]

    async def _fetch(self, sql: str, **parameters: Any) -> Sequence[Any]:
        unit: Unit | None = current.get()
        if unit is not None:
            return await unit.begin().fetch(sql, **parameters)
        async with self._bound.host.store.begin() as tx:
            return await tx.fetch(sql, **parameters)

    # --- as a read model --------------------------------------------------------------------

    @property
    def definition(self) -> str:
        return f"search {self.name} {self._texts}"

    def bind(self, host: Host, projection: str) -> None:
        require_sql(host, f"search index {self.name!r}", among=("sqlite",))
        self._bound.to(host, projection)

    async def create(self, generation: int, *, tx: Transaction) -> None:
        table = self._of(generation)
        await tx.execute(f"create virtual table {table} using fts5({', '.join(self._texts)})")
        await tx.execute(
            f"create table {table}_key (id integer primary key, key text not null unique)"
        )

    async def switch(self, generation: int, *, tx: Transaction) -> None: ...

    async def clear(self, generation: int, *, host: Host) -> None:
        async def drop(tx: Transaction) -> None:
            await tx.execute(f"drop table if exists {self._of(generation)}")
            await tx.execute(f"drop table if exists {self._of(generation)}_key")

        await repeat(host.store, drop)

    def _of(self, generation: int) -> str:
        return f"{self.name}_g{generation}"


def _rowid(table: str) -> str:
    return f"(select id from {table}_key where key = :key)"


_: type[ReadModel] = SearchIndex
