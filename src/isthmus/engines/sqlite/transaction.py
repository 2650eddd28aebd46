"""A transaction of ours: a script, and the statements that a user adds to it."""

import re
import sqlite3
from collections import namedtuple
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from isthmus.engines.sqlite.connection import Connection, Work, refused
from isthmus.engines.sqlite.script import MergedWork, Script
from isthmus.errors import ConfigError, StatementError

if TYPE_CHECKING:
    from isthmus.engines.sqlite.database import Database

__all__ = ["ScriptTransaction", "Statements"]


class Statements:
    """The user's own SQL, over whatever runs a Work and says what it answered."""

    _path: Path

    async def ask(self, work: Work[Any], *, reads: bool = False) -> Any:
        raise NotImplementedError

    async def execute(self, sql: str, /, **parameters: Any) -> int:
        require_statement(sql)
        path = self._path

        def work(connection: Connection) -> int:
            try:
                return connection.execute(sql, parameters).rowcount
            except _REFUSALS as error:
                raise refused(error, sql, path) from error

        return await self.ask(work)

    async def execute_many(self, sql: str, rows: Sequence[Mapping[str, Any]], /) -> int:
        require_statement(sql)
        path = self._path

        def work(connection: Connection) -> int:
            try:
                return connection.executemany(sql, rows).rowcount
            except _REFUSALS as error:
                raise refused(error, sql, path) from error

        return await self.ask(work) if rows else 0

    async def fetch(self, sql: str, /, **parameters: Any) -> Sequence[Any]:
        verb = require_statement(sql)
        path = self._path

        def work(connection: Connection) -> tuple[tuple[str, ...], list[Any]]:
            try:
                cursor = connection.execute(sql, parameters)
                names = tuple(column[0] for column in cursor.description or ())
                return names, cursor.fetchall()
            except _REFUSALS as error:
                raise refused(error, sql, path) from error

        names, rows = await self.ask(work, reads=verb in _READING)
        return list(map(row_of(names)._make, rows))


_REFUSALS = (sqlite3.Error, sqlite3.Warning, OverflowError, TypeError, ValueError)
_READING = {"SELECT", "VALUES"}
_FORBIDDEN = {
    "BEGIN", "COMMIT", "END", "ROLLBACK", "SAVEPOINT", "RELEASE", "PRAGMA", "ATTACH", "DETACH", "VACUUM",
}  # fmt: skip
_VERB = re.compile(r"(?:\s|;|--[^\n]*(?:\n|$)|/\*.*?(?:\*/|$))*([A-Za-z]*)", re.DOTALL)


@lru_cache(maxsize=4096)
def require_statement(sql: str) -> str:
    """Return the statement's verb; refuse those that end or escape a transaction."""
    match = _VERB.match(sql)
    verb = match[1].upper() if match else ""
    if verb in _FORBIDDEN:
        raise StatementError(
            f"{verb} cannot run inside a transaction of isthmus: it begins and ends by itself; "
            "use a connection of your own for it"
        )
    return verb


@lru_cache(maxsize=1024)
def row_of(names: tuple[str, ...]) -> Any:
    """Return the class of named tuples for these columns; odd names become _1, _2 ..."""
    return namedtuple("Row", names, rename=True)  # noqa: PYI024  columns are known at run time


class ScriptTransaction(Statements):
    """See `isthmus.contracts.store.Transaction`, and `Script` for how."""

    def __init__(self, database: "Database", *, attempt: int) -> None:
        self._database = database
        self._path = database.path
        self._script = Script(patient=attempt > 2)

    @property
    def scope(self) -> str:
        return self._database.scope

    def stage(self, work: Work[Any]) -> None:
        """Do `work` when this commits."""
        self._open().staged.append(work)

    def stage_merged(self, work: MergedWork, item: Any) -> None:
        self._open().merged.append((work, item))

    async def ask(self, work: Work[Any], *, reads: bool = False) -> Any:
        script = self._open()
        told = await self._database.ask(script, work)
        script.lines.append((work, told))
        script.wrote = script.wrote or not reads
        result, refusal = told
        if refusal:
            raise StatementError(refusal)
        return result

    async def commit(self) -> None:
        script = self._open()
        script.ended = True
        if script.changes:
            await self._database.commit(script)

    async def rollback(self) -> None:
        self._script.ended = True

    def _open(self) -> Script:
        if self._script.ended:
            raise ConfigError("the transaction has ended; a task outlived its handler?")
        return self._script

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._script.ended:
            return
        await (self.commit() if kind is None else self.rollback())
