"""Many rows in few statements: 64 at once cost half of what they cost one by one, and
give the other threads of the process a 64th of the occasions to cut in."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

from isthmus.engines.sqlite.database.connection import Connection

__all__ = ["find", "find_each", "insert"]

_SIZES = (64, 8, 1)
"""How many rows a statement has: few numbers, so that all stay prepared."""


def insert(
    db: Connection,
    into: str,
    rows: Sequence[Sequence[Any]],
    *,
    otherwise: str = "",
    parameters: Sequence[Any] = (),
) -> int:
    """Insert `rows`, all of one length, `into` a table; return how many were changed.

    `otherwise` is an ON CONFLICT clause, with `parameters` of its own.
    """
    changed = 0
    for part in _parts(rows):
        statement = _insertion(into, len(part), len(part[0]), otherwise)
        changed += db.execute(statement, (*chain.from_iterable(part), *parameters)).rowcount
    return changed


def find(
    db: Connection,
    select: str,
    wanted: Sequence[Any],
    *,
    parameters: Sequence[Any],
    then: str = "",
) -> list[Any]:
    """Return the rows of `select`, which has `parameters` and ends in IN, for `wanted`; `then`
    comes after those."""
    found: list[Any] = []
    for part in _parts(wanted):
        statement = _selection(select, len(part), then)
        found += db.execute(statement, (*parameters, *part)).fetchall()
    return found


def find_each(
    db: Connection, select: str, wanted: Sequence[Any], *, parameters: Sequence[Any]
) -> list[Any]:
    """Return the rows of `select`, which has `parameters` and asks for each w.key, for `wanted`:
    each is looked up by itself, which an IN with a GROUP BY would not do."""
    found: list[Any] = []
    for part in _parts(wanted):
        statement = _each(select, len(part))
        found += db.execute(statement, (*part, *parameters)).fetchall()
    return found


def _parts(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    start = 0
    for size in _SIZES:
        while len(items) - start >= size:
            yield items[start : start + size]
            start += size


@lru_cache(maxsize=256)
def _insertion(into: str, rows: int, columns: int, otherwise: str) -> str:
    row = f"({', '.join('?' * columns)})"
    return f"INSERT INTO {into} VALUES {', '.join([row] * rows)} {otherwise}"


@lru_cache(maxsize=256)
def _each(select: str, count: int) -> str:
    return f"WITH w(key) AS (VALUES {', '.join(['(?)'] * count)}) {select}"


@lru_cache(maxsize=256)
def _selection(select: str, count: int, then: str) -> str:
    return f"{select} ({', '.join('?' * count)}) {then}"
