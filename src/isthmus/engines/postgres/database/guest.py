"""What a user may hold a transaction of this database with.

psycopg and SQLAlchemy are never imported here: who passes something of them has done so.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

from isthmus.contracts import Lent
from isthmus.engines.postgres.database.driver import CONNECTIONS
from isthmus.errors import ConfigError, UnsupportedError

__all__ = ["Answered", "Guest", "guest_of"]

T = TypeVar("T")
Run = Callable[[Callable[[], Any]], Awaitable[Any]]
"""Calls a function that blocks, where it may."""


class Answered(NamedTuple):
    names: Sequence[str]
    rows: Sequence[Sequence[Any]]
    status: str
    """The command's tag, as "UPDATE 3"; unknown where rows were asked for."""


class Guest(Protocol):
    """A connection, or a session, of the user's."""

    async def begin(self) -> None:
        """See to it that its transaction is open, so that its commit commits.

        Raises:
            ConfigError: Nothing would commit what is done there.
            UnsupportedError: It is no connection to PostgreSQL that we know how to use.
        """
        ...

    async def run(self, sql: str, values: Sequence[Any] = (), *, rows: bool = False) -> Answered:
        """Run one statement, with $1 for parameters."""
        ...

    def is_open(self) -> bool:
        """Whether its transaction is open."""
        ...


class AsyncpgGuest:
    """A connection of asyncpg's."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def begin(self) -> None:
        if not self.is_open():
            raise ConfigError(
                "the connection commits every statement by itself; join it inside of "
                "`async with connection.transaction():`"
            )

    async def run(self, sql: str, values: Sequence[Any] = (), *, rows: bool = False) -> Answered:
        if not rows:
            return Answered((), (), await self._connection.execute(sql, *values))
        found = await self._connection.fetch(sql, *values)
        return Answered(list(found[0].keys()) if found else (), found, "")

    def is_open(self) -> bool:
        return not self._connection.is_closed() and self._connection.is_in_transaction()


class PsycopgGuest:
    """A connection of psycopg's, of either kind; one that blocks is used where `run` says."""

    def __init__(self, connection: Any, run: Run | None) -> None:
        self._connection, self._run = connection, run

    async def begin(self) -> None:
        if self._connection.autocommit and not self.is_open():
            raise ConfigError(
                "the connection commits every statement by itself; join it inside of "
                "`with connection.transaction():`"
            )

    async def run(self, sql: str, values: Sequence[Any] = (), *, rows: bool = False) -> Answered:  # noqa: ARG002 - it tells both
        if self._run is not None:
            return await self._run(lambda: self._ask(sql, values))
        psycopg: Any = sys.modules["psycopg"]
        cursor = psycopg.AsyncRawCursor(self._connection, row_factory=psycopg.rows.tuple_row)
        await cursor.execute(sql, list(values) or None)
        found = await cursor.fetchall() if cursor.description else ()
        return _answered(cursor, found)

    def _ask(self, sql: str, values: Sequence[Any]) -> Answered:
        psycopg: Any = sys.modules["psycopg"]
        cursor = psycopg.RawCursor(self._connection, row_factory=psycopg.rows.tuple_row)
        cursor.execute(sql, list(values) or None)
        return _answered(cursor, cursor.fetchall() if cursor.description else ())

    def is_open(self) -> bool:
        info = self._connection.info
        return info.transaction_status.name in {"ACTIVE", "INTRANS", "INERROR"}


def _answered(cursor: Any, rows: Sequence[Sequence[Any]]) -> Answered:
    names = [column.name for column in cursor.description or ()]
    return Answered(names, rows, cursor.statusmessage or "")


class AlchemyGuest:
    """A Connection or Session of SQLAlchemy's, of either kind."""

    def __init__(self, subject: Any, run: Run | None) -> None:
        self._subject, self._run = subject, run
        self._guest: AsyncpgGuest | PsycopgGuest | None = None

    async def begin(self) -> None:
        if self._run is None:
            driver = await self._subject.run_sync(_begun)
        else:
            driver = await self._run(lambda: _begun(self._subject))
        self._guest = _driver_guest(driver, self._run)

    async def run(self, sql: str, values: Sequence[Any] = (), *, rows: bool = False) -> Answered:
        assert self._guest is not None
        return await self._guest.run(sql, values, rows=rows)

    def is_open(self) -> bool:
        return self._guest is not None and self._guest.is_open()


def _begun(subject: Any) -> Any:
    """Return the driver's connection, in a transaction that SQLAlchemy knows of."""
    connection: Any = subject.connection() if callable(subject.connection) else subject
    if not connection.in_transaction():
        connection.begin()
    pooled = connection.connection
    if not _is_open(pooled.driver_connection):
        connection.exec_driver_sql("SELECT 1")
    return pooled.driver_connection


def _is_open(driver: Any) -> bool:
    try:
        return bool(driver.is_in_transaction())
    except AttributeError:
        return False


def guest_of(subject: object) -> Guest:
    """Raises: UnsupportedError: It is nothing that can be joined; `begin` looks closer."""
    if isinstance(subject, Lent):
        return _lent(subject)
    if _is_of("sqlalchemy.ext.asyncio", ("AsyncConnection", "AsyncSession"), subject):
        return AlchemyGuest(subject, None)
    if _is_of("sqlalchemy.orm", ("Session",), subject) or _is_of(
        "sqlalchemy", ("Connection",), subject
    ):
        return AlchemyGuest(subject, asyncio.to_thread)
    return _driver_guest(subject, asyncio.to_thread)


def _lent(lent: Lent) -> Guest:
    subject = lent.connection
    if _is_of("sqlalchemy.orm", ("Session",), subject) or _is_of(
        "sqlalchemy", ("Connection",), subject
    ):
        return AlchemyGuest(subject, lent.run)
    if _is_of("psycopg", ("Connection",), subject):
        return PsycopgGuest(subject, lent.run)
    raise UnsupportedError(
        f"{type(subject).__name__} cannot be joined by code that blocks; pass a Connection of "
        "psycopg 3, or a Connection or Session of SQLAlchemy"
    )


def _driver_guest(driver: Any, run: Run | None) -> AsyncpgGuest | PsycopgGuest:
    if isinstance(driver, CONNECTIONS):
        return AsyncpgGuest(driver)
    if _is_of("psycopg", ("AsyncConnection",), driver):
        return PsycopgGuest(driver, None)
    if _is_of("psycopg", ("Connection",), driver):
        return PsycopgGuest(driver, run or asyncio.to_thread)
    raise UnsupportedError(
        f"a {type(driver).__module__}.{type(driver).__name__} cannot be joined; pass a connection "
        "of asyncpg or psycopg 3, or a Connection, Session, AsyncConnection or AsyncSession of "
        "SQLAlchemy over one of them"
    )


def _is_of(module: str, names: tuple[str, ...], subject: object) -> bool:
    found = sys.modules.get(module)
    return any(isinstance(subject, getattr(found, name, ())) for name in names)
