"""The user's own SQL, whatever connection runs it."""

from collections import namedtuple
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Never

from isthmus.engines.postgres.database.parameters import Compiled, compiled
from isthmus.errors import ConfigError

__all__ = ["Statements", "rows_of"]


class Statements:
    """Turns the calls of the contract into what a connection is asked."""

    async def count(self, statement: Compiled, values: list[Any]) -> int:
        """Run it; return how many rows it changed, -1 if it changes none."""
        raise NotImplementedError

    async def count_all(self, statement: Compiled, rows: list[list[Any]]) -> int:
        """Run it for each of the rows, all or none."""
        raise NotImplementedError

    async def answer(self, statement: Compiled, values: list[Any]) -> Sequence[Any]:
        """Run it; return its rows as named tuples."""
        raise NotImplementedError

    async def put_off(self, statement: Compiled, values: list[Any]) -> None:
        """Run it before whatever is answered next, or with the commit."""
        raise NotImplementedError

    async def execute(self, sql: str, /, *places: Never, **parameters: Any) -> int:
        _require_names(places)
        statement = compiled(sql)
        return await self.count(statement, statement.values(parameters))

    async def defer(self, sql: str, /, *places: Never, **parameters: Any) -> None:
        _require_names(places)
        statement = compiled(sql)
        await self.put_off(statement, statement.values(parameters))

    async def execute_many(self, sql: str, rows: Sequence[Mapping[str, Any]], /) -> int:
        statement = compiled(sql)
        values = [statement.values(row) for row in rows]
        return await self.count_all(statement, values) if values else 0

    async def fetch(self, sql: str, /, *places: Never, **parameters: Any) -> Sequence[Any]:
        _require_names(places)
        statement = compiled(sql)
        return await self.answer(statement, statement.values(parameters))


def _require_names(places: Sequence[object]) -> None:
    if places:
        raise ConfigError(
            'parameters are :name, given as keywords: execute("... WHERE id = :id", id=...)'
        )


def rows_of(names: Sequence[str], rows: Sequence[Any]) -> list[Any]:
    return list(map(_row(tuple(names))._make, rows))


@lru_cache(maxsize=1024)
def _row(names: tuple[str, ...]) -> Any:
    """Return the class of named tuples for these columns; odd names become _1, _2 ..."""
    return namedtuple("Row", names, rename=True)  # type: ignore[reportUntypedNamedTuple]  # noqa: PYI024
