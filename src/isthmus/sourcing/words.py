"""Full-text search, as each dialect of SQL has it."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from isthmus.contracts import Transaction

__all__ = ["DIALECTS", "Words", "words_in"]

_WORD = re.compile(r"\w+")


def words_in(text: str) -> Sequence[str]:
    """Return the words of what a person typed, whatever else is between them."""
    return _WORD.findall(text)


class Words(Protocol):
    """The texts of one generation's table."""

    def __init__(self, table: str, texts: Sequence[str]) -> None: ...

    async def create(self, tx: Transaction) -> None: ...

    async def drop(self, tx: Transaction) -> None: ...

    async def put(self, key: str, texts: Mapping[str, str], tx: Transaction) -> None: ...

    async def remove(self, key: str, tx: Transaction) -> None: ...

    async def search(self, words: Sequence[str], limit: int, tx: Transaction) -> Sequence[Any]:
        """Return rows of key and texts, the best first; each word is the beginning of one."""
        ...


class Fts5:
    """SQLite's: rows are found by number, so that a table beside says which is whose."""

    def __init__(self, table: str, texts: Sequence[str]) -> None:
        self._table, self._texts = table, texts
        self._row = f"(select id from {table}_key where key = :key)"

    async def create(self, tx: Transaction) -> None:
        table = self._table
        await tx.execute(f"create virtual table {table} using fts5({', '.join(self._texts)})")
        await tx.execute(
            f"create table {table}_key (id integer primary key, key text not null unique)"
        )

    async def drop(self, tx: Transaction) -> None:
        await tx.execute(f"drop table if exists {self._table}")
        await tx.execute(f"drop table if exists {self._table}_key")

    async def put(self, key: str, texts: Mapping[str, str], tx: Transaction) -> None:
        table, named = self._table, _named(self._texts, texts)
        await tx.execute(f"insert or ignore into {table}_key (key) values (:key)", key=key)
        await tx.execute(f"delete from {table} where rowid = {self._row}", key=key)
        await tx.execute(
            f"insert into {table} (rowid, {', '.join(self._texts)}) "
            f"values ({self._row}, {', '.join(f':{name}' for name in named)})",
            key=key,
            **named,
        )

    async def remove(self, key: str, tx: Transaction) -> None:
        await tx.execute(f"delete from {self._table} where rowid = {self._row}", key=key)
        await tx.execute(f"delete from {self._table}_key where key = :key", key=key)

    async def search(self, words: Sequence[str], limit: int, tx: Transaction) -> Sequence[Any]:
        table, texts = self._table, ", ".join(f"t.{text}" for text in self._texts)
        return await tx.fetch(
            f"select k.key, {texts} from {table} t join {table}_key k on k.id = t.rowid "
            f"where {table} match :wanted order by t.rank, k.key limit :most",
            wanted=" ".join(f'"{word}"*' for word in words),
            most=limit,
        )


class Tsvector:
    """PostgreSQL's, with the words as they are written: of any language, and of several."""

    def __init__(self, table: str, texts: Sequence[str]) -> None:
        self._table, self._texts = table, texts

    async def create(self, tx: Transaction) -> None:
        table, texts = self._table, ", ".join(f"{text} text not null" for text in self._texts)
        await tx.execute(
            f"create table {table} (key text primary key, {texts}, isthmus_words tsvector not null)"
        )
        await tx.execute(f"create index {table}_words on {table} using gin (isthmus_words)")

    async def drop(self, tx: Transaction) -> None:
        await tx.execute(f"drop table if exists {self._table}")

    async def put(self, key: str, texts: Mapping[str, str], tx: Transaction) -> None:
        columns, named = [*self._texts, "isthmus_words"], _named(self._texts, texts)
        values = [f":{name}" for name in named] + ["to_tsvector('simple', :all_of_it)"]
        await tx.execute(
            f"insert into {self._table} (key, {', '.join(columns)}) "
            f"values (:key, {', '.join(values)}) on conflict (key) do update set "
            + ", ".join(f"{column} = excluded.{column}" for column in columns),
            key=key,
            all_of_it="\n".join(named.values()),
            **named,
        )

    async def remove(self, key: str, tx: Transaction) -> None:
        await tx.execute(f"delete from {self._table} where key = :key", key=key)

    async def search(self, words: Sequence[str], limit: int, tx: Transaction) -> Sequence[Any]:
        return await tx.fetch(
            f"select key, {', '.join(self._texts)} from {self._table}, "
            "to_tsquery('simple', :wanted) as isthmus_query "
            "where isthmus_words @@ isthmus_query "
            "order by ts_rank(isthmus_words, isthmus_query) desc, key limit :most",
            wanted=" & ".join(f"{word}:*" for word in words),
            most=limit,
        )


def _named(names: Sequence[str], texts: Mapping[str, str]) -> dict[str, str]:
    """Return the texts by names that no column has."""
    return {f"isthmus_t{number}": texts.get(name, "") for number, name in enumerate(names)}


DIALECTS: Mapping[str, type[Words]] = {"sqlite": Fts5, "postgresql": Tsvector}
