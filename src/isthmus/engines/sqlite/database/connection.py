"""Connections to the file, and what SQLite's errors mean to us."""

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from isthmus.errors import (
    ConflictError,
    CorruptedError,
    FullError,
    IsthmusError,
    LockedError,
    StatementError,
    UnavailableError,
)

__all__ = [
    "Connection",
    "OwnConnection",
    "Parameters",
    "Work",
    "is_busy",
    "is_partial",
    "is_the_statements",
    "refused",
    "told",
]

T = TypeVar("T")
Parameters = Sequence[Any] | Mapping[str, Any]


class Connection(Protocol):
    """What a Work is given: ours, or the user's own that was adopted."""

    def execute(self, sql: str, parameters: Parameters = (), /) -> sqlite3.Cursor: ...

    def executemany(self, sql: str, parameters: Iterable[Parameters], /) -> sqlite3.Cursor: ...

    def wake(self, channel: str, *, ahead: bool = False) -> None:
        """Note that, once this is committed, who waits on `channel` should look again.

        `ahead`: who waits there looks by writing, and so after this commit even if told before.
        """


Work = Callable[[Connection], T]
"""Runs in the database's thread, inside a transaction; may run more than once,
of which the last run counts. It neither begins nor ends transactions."""


class OwnConnection(sqlite3.Connection):
    """A connection that this engine opened."""

    woken: list[str]
    """Channels, as they were noted since the last commit."""
    ahead: set[str]
    """Those among them that may be told of it before."""

    @classmethod
    def open(cls, path: Path, *, busy_timeout: float, writes: bool) -> "OwnConnection":
        own = sqlite3.connect(
            path,
            timeout=max(busy_timeout, OPENING),
            isolation_level=None,
            check_same_thread=False,
            cached_statements=512,
            factory=cls,
        )
        own.woken, own.ahead = [], set()
        try:
            for pragma in (*_PRAGMAS, f"query_only = {'off' if writes else 'on'}"):
                own.execute(f"PRAGMA {pragma}")
            own.execute(f"PRAGMA busy_timeout = {int(busy_timeout * 1000)}")
        except BaseException:
            own.close()
            raise
        return own

    def wake(self, channel: str, *, ahead: bool = False) -> None:
        self.woken.append(channel)
        if ahead:
            self.ahead.add(channel)


OPENING = 5.0
"""Seconds to wait for a process that opens or closes the file at the same moment: the
first and the last one hold it alone."""

_PRAGMAS = (
    "secure_delete = off",
    "cache_size = -32768",
    "temp_store = memory",
    "foreign_keys = on",
    # a checkpoint inside somebody's commit costs it tens of milliseconds: see Checkpoints
    "wal_autocheckpoint = 0",
)


def told(error: Exception, path: Path) -> IsthmusError:
    """Return what `error` of the engine's own SQL means, with `error` as its cause."""
    code = getattr(error, "sqlite_errorcode", None)
    meaning = _meaning(code, error, path)
    meaning.__cause__ = error
    return meaning


def refused(error: Exception, sql: str, path: Path) -> IsthmusError:
    """Return what `error` of a statement of the user's own means."""
    if _code(error) not in _STATEMENT:
        return told(error, path)
    words = " ".join(sql.split()[:6])
    meaning = StatementError(f"{words!r} was refused: {error}")
    meaning.__cause__ = error
    return meaning


def is_the_statements(error: sqlite3.Error) -> bool:
    """Whether the statement is at fault; else the file is, and whatever wanted it."""
    return _code(error) in _STATEMENT


def is_busy(error: sqlite3.Error) -> bool:
    return _code(error) == sqlite3.SQLITE_BUSY


def is_partial(error: sqlite3.Error) -> bool:
    """Whether a part of a group may pass where the whole did not."""
    return _code(error) in _STATEMENT | {sqlite3.SQLITE_FULL, sqlite3.SQLITE_NOMEM}


def _code(error: Exception) -> int:
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF


_STATEMENT = {
    sqlite3.SQLITE_ERROR,
    sqlite3.SQLITE_CONSTRAINT,
    sqlite3.SQLITE_MISMATCH,
    sqlite3.SQLITE_MISUSE,
    sqlite3.SQLITE_RANGE,
    sqlite3.SQLITE_TOOBIG,
    sqlite3.SQLITE_AUTH,
}


def _meaning(code: int | None, error: Exception, path: Path) -> IsthmusError:
    if code is None:
        return UnavailableError(f"{path}: {error}")
    if code == sqlite3.SQLITE_BUSY_SNAPSHOT:
        return ConflictError(
            f"{path}: another commit came between this transaction's first read and its first "
            "write; nothing was written. Begin it with BEGIN IMMEDIATE (SQLAlchemy: a listener on "
            "the engine's 'begin' event that executes it)",
            subject="read",
        )
    match code & 0xFF:
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return LockedError(
                f"{path} is locked by another writer for too long, nothing was written; end that "
                "transaction, or raise ?busy_timeout="
            )
        case sqlite3.SQLITE_FULL:
            return FullError(f"{path}: no room left, nothing was written; free some and go on")
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return CorruptedError(
                f"{path} is not a sound SQLite database ({error}); stop, keep a copy of it with "
                "its -wal, and restore a backup, or rescue what is left with `sqlite3 .recover`"
            )
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
            return UnavailableError(f"{path} cannot be written ({error}); mend its permissions")
        case _:
            return UnavailableError(f"{path}: {error}")
