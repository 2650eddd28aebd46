"""What a user may hold a transaction of this file with.

SQLAlchemy is never imported here: who passes something of it has done so.
"""

import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TypeVar

from isthmus.contracts import Lent
from isthmus.errors import ConfigError, UnsupportedError

__all__ = ["Guest", "guest_of"]

T = TypeVar("T")


class Guest(Protocol):
    """A connection, or a session, of the user's."""

    async def run(self, does: Callable[[Any], T]) -> T:
        """Call `does` with its DB-API connection, where that may be used.

        Raises:
            ConfigError: Nothing would commit what is done there.
            UnsupportedError: It is a connection to something else.
        """
        ...

    def is_open(self) -> bool:
        """Whether its transaction is open, on the connection of the last `run`."""
        ...


class DriverGuest:
    """A sqlite3.Connection."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        _require_thread(connection)
        _require_file(connection, path)
        self._connection = connection

    async def run(self, does: Callable[[Any], T]) -> T:
        return self.run_here(does)

    def run_here(self, does: Callable[[Any], T]) -> T:
        _require_transactions(self._connection)
        return does(self._connection)

    def is_open(self) -> bool:
        return _in_transaction(self._connection)


class AlchemyGuest:
    """A SQLAlchemy Connection or Session."""

    def __init__(self, subject: Any, path: Path) -> None:
        self._subject, self._path = subject, path
        self._driver: Any = None

    async def run(self, does: Callable[[Any], T]) -> T:
        return self.run_here(does)

    def run_here(self, does: Callable[[Any], T]) -> T:
        return self.run_on(self._subject, does)

    def run_on(self, subject: Any, does: Callable[[Any], T]) -> T:
        pooled = _begun(subject).connection
        if pooled.driver_connection is not self._driver:
            _require_sqlite(pooled.driver_connection)
            _require_file(pooled, self._path)
            self._driver = pooled.driver_connection
        return does(pooled)

    def is_open(self) -> bool:
        return self._driver is not None and _in_transaction(self._driver)


class AsyncAlchemyGuest(AlchemyGuest):
    """A SQLAlchemy AsyncConnection or AsyncSession."""

    async def run(self, does: Callable[[Any], T]) -> T:
        return await self._subject.run_sync(self.run_on, does)


class LentGuest:
    """One of those that block, used in its own thread only."""

    def __init__(self, lent: Lent, path: Path) -> None:
        self._lent, self._path = lent, path
        self._guest: DriverGuest | AlchemyGuest | None = None

    async def run(self, does: Callable[[Any], T]) -> T:
        return await self._lent.run(lambda: self._there().run_here(does))

    def is_open(self) -> bool:
        return self._guest is not None and self._guest.is_open()

    def _there(self) -> DriverGuest | AlchemyGuest:
        """Return the guest, made in the connection's thread, which alone may look at it."""
        if self._guest is None:
            guest = guest_of(self._lent.connection, self._path)
            if isinstance(guest, AsyncAlchemyGuest | LentGuest):
                raise ConfigError("what must be awaited cannot be joined by code that blocks")
            assert isinstance(guest, DriverGuest | AlchemyGuest)
            self._guest = guest
        return self._guest


def guest_of(subject: object, path: Path) -> Guest:
    """Raises: UnsupportedError: It is no connection, or not to `path`; of what must be
    awaited to know that, `run` says so."""
    if isinstance(subject, Lent):
        return LentGuest(subject, path)
    if isinstance(subject, sqlite3.Connection):
        return DriverGuest(subject, path)
    if _is_of("sqlalchemy.ext.asyncio", ("AsyncConnection", "AsyncSession"), subject):
        return AsyncAlchemyGuest(subject, path)
    if _is_of("sqlalchemy.orm", ("Session",), subject):
        return AlchemyGuest(subject, path)
    if _is_of("sqlalchemy", ("Connection",), subject):
        return AlchemyGuest(subject, path)
    raise UnsupportedError(
        f"{type(subject).__name__} cannot be joined; pass a sqlite3.Connection, or a Connection, "
        "Session, AsyncConnection or AsyncSession of SQLAlchemy"
    )


def _is_of(module: str, names: tuple[str, ...], subject: object) -> bool:
    found = sys.modules.get(module)
    return any(isinstance(subject, getattr(found, name, ())) for name in names)


def _begun(subject: Any) -> Any:
    """Return the SQLAlchemy Connection, in a transaction, so that its commit commits."""
    if callable(subject.connection):
        return subject.connection()
    if not subject.in_transaction():
        subject.begin()
    return subject


def _in_transaction(connection: Any) -> bool:
    try:
        return connection.in_transaction
    except (sqlite3.Error, ValueError):
        return False  # closed: it ended


def _require_thread(connection: sqlite3.Connection) -> None:
    try:
        connection.cursor().close()
    except sqlite3.ProgrammingError as error:
        raise UnsupportedError(f"the connection cannot be joined: {error}") from error


def _require_transactions(connection: sqlite3.Connection) -> None:
    legacy = getattr(sqlite3, "LEGACY_TRANSACTION_CONTROL", -1)
    mode = getattr(connection, "autocommit", legacy)
    alone = connection.isolation_level is None if mode == legacy else mode is True
    if alone and not connection.in_transaction:
        raise ConfigError(
            "the connection commits every statement by itself; "
            'execute("BEGIN IMMEDIATE") on it before it is joined'
        )


def _require_sqlite(driver: Any) -> None:
    if not hasattr(driver, "in_transaction"):
        raise UnsupportedError(f"a {type(driver).__module__} connection is none to SQLite")


def _require_file(driver: Any, path: Path) -> None:
    cursor = driver.cursor()
    cursor.execute("PRAGMA database_list")
    found = next((row[2] for row in cursor.fetchall() if row[1] == "main"), "")
    if not found or Path(found).resolve() != path:
        raise UnsupportedError(
            f"the connection is to {found or 'a database in memory'}, not to {path}; "
            "only a transaction of the same file can be joined"
        )
