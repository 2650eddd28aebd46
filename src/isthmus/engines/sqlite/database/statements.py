"""The user's own SQL, whatever runs it."""

import re
import sqlite3
from collections import namedtuple
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, Never

from isthmus.engines.sqlite.database.connection import Connection, Work, refused
from isthmus.errors import ConfigError, StatementError

__all__ = ["Statements"]


class Statements:
    """Turns statements into Works, and their answers into what the contract says."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def ask(self, work: Work[Any], *, reads: bool, ours: bool) -> Any:
        """Answer `work`; it `reads` if it changes nothing, `ours` if it may read
        the tables of the engine, not only the user's."""
        raise NotImplementedError

    async def put_off(self, work: Work[Any], *, ours: bool) -> None:
        """Do `work` before whatever is answered next, or with the commit."""
        raise NotImplementedError

    async def execute(self, sql: str, /, *places: Never, **parameters: Any) -> int:
        require_plain(sql)
        _require_names(places)
        work = _execution(sql, parameters, self._path)
        return await self.ask(work, reads=False, ours=_OURS in sql)

    async def defer(self, sql: str, /, *places: Never, **parameters: Any) -> None:
        require_plain(sql)
        _require_names(places)
        await self.put_off(_execution(sql, parameters, self._path), ours=_OURS in sql)

    async def execute_many(self, sql: str, rows: Sequence[Mapping[str, Any]], /) -> int:
        require_plain(sql)
        kept, path = [dict(row) for row in rows], self._path
        if not kept:
            return 0
        return await self.ask(
            lambda at: _run_many(at, sql, kept, path).rowcount, reads=False, ours=_OURS in sql
        )

    async def fetch(self, sql: str, /, *places: Never, **parameters: Any) -> Sequence[Any]:
        require_plain(sql)
        _require_names(places)
        path = self._path

        def work(at: Connection) -> tuple[tuple[str, ...], list[Any]]:
            try:
                return _table(at.execute(sql, parameters))
            except _REFUSALS as error:
                raise refused(error, sql, path) from error

        names, rows = await self.ask(work, reads=only_reads(sql), ours=_OURS in sql)
        return list(map(row_of(names)._make, rows))


def _require_names(places: Sequence[object]) -> None:
    if places:
        raise ConfigError(
            'parameters are :name, given as keywords: execute("... WHERE id = :id", id=...)'
        )


def _execution(sql: str, parameters: Mapping[str, Any], path: Path) -> Work[int]:
    def work(at: Connection) -> int:  # which holds no transaction: it would make a circle
        try:
            return at.execute(sql, parameters).rowcount
        except _REFUSALS as error:
            raise refused(error, sql, path) from error

    return work


def _run_many(
    at: Connection, sql: str, rows: Sequence[Mapping[str, Any]], path: Path
) -> sqlite3.Cursor:
    at.execute("SAVEPOINT many")
    try:
        done = at.executemany(sql, rows)
    except _REFUSALS as error:
        with suppress(sqlite3.Error):  # no savepoint is left if the file itself refused
            at.execute("ROLLBACK TO many")
            at.execute("RELEASE many")
        raise refused(error, sql, path) from error
    at.execute("RELEASE many")
    return done


_REFUSALS = (sqlite3.Error, sqlite3.Warning, OverflowError, TypeError, ValueError)

_OURS = "isthmus_"
_ENDING = {"BEGIN", "COMMIT", "END", "ROLLBACK", "SAVEPOINT", "RELEASE"}
_ESCAPING = {"PRAGMA", "ATTACH", "DETACH", "VACUUM"}
_VERB = re.compile(r"(?:\s|;|--[^\n]*(?:\n|$)|/\*.*?(?:\*/|$))*([A-Za-z]*)", re.DOTALL)
_CHANGING = re.compile(r"\b(?:insert|update|delete|replace)\b", re.IGNORECASE)


@lru_cache(maxsize=4096)
def require_plain(sql: str) -> str:
    """Return the statement's verb.

    Raises:
        StatementError: It would end the transaction, or reach out of it.
    """
    match = _VERB.match(sql)
    verb = match[1].upper() if match else ""
    if verb in _ENDING:
        raise StatementError(
            f"{verb} cannot run here: the transaction begins, commits and rolls back by itself"
        )
    if verb in _ESCAPING:
        raise StatementError(
            f"{verb} cannot run in a transaction of isthmus; run it on a connection of your own"
        )
    return verb


@lru_cache(maxsize=4096)
def only_reads(sql: str) -> bool:
    """Whether the statement surely changes nothing."""
    verb = require_plain(sql)
    return verb in {"SELECT", "VALUES"} or (verb == "WITH" and not _CHANGING.search(sql))


def _table(cursor: sqlite3.Cursor) -> tuple[tuple[str, ...], list[Any]]:
    return tuple(column[0] for column in cursor.description or ()), cursor.fetchall()


@lru_cache(maxsize=1024)
def row_of(names: tuple[str, ...]) -> Any:
    """Return the class of named tuples for these columns; odd names become _1, _2 ..."""
    return namedtuple("Row", names, rename=True)  # type: ignore[reportUntypedNamedTuple]  # noqa: PYI024
