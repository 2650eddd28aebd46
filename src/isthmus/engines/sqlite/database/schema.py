"""The engine's tables, created once, whoever opens the file first."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from isthmus.engines.sqlite.database.connection import OwnConnection, told
from isthmus.engines.sqlite.processes.turn import Turn
from isthmus.errors import ConfigError, UnavailableError

__all__ = ["VERSION", "prepare", "statements"]

VERSION = 1
"""Of the tables of this release; a file knows its own, in isthmus_meta."""

_META = """
CREATE TABLE IF NOT EXISTS isthmus_meta (
    name TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) WITHOUT ROWID;
"""


def prepare(path: Path, tables: Sequence[str], *, busy_timeout: float) -> None:
    """Make the file a database in WAL mode with our tables; safe from many processes.

    Raises:
        ConfigError: It cannot be written, or is of a newer release.
        CorruptedError: It is something else, or damaged; it is left as it is.
        LockedError: Another holds it for longer than `busy_timeout`.
    """
    try:
        turn = Turn(Path(f"{path}.lock"))
    except OSError as error:
        raise _unwritable(path, error) from error
    try:
        with turn:
            _prepare(path, tables, busy_timeout)
    except sqlite3.Error as error:
        raise _refusal(path, error) from error
    finally:
        turn.close()


def _prepare(path: Path, tables: Sequence[str], busy_timeout: float) -> None:
    connection = OwnConnection.open(path, busy_timeout=busy_timeout, writes=True)
    try:
        _require_wal(connection, path)
        connection.execute("BEGIN IMMEDIATE")
        version = _version(connection)
        if version > VERSION:
            raise ConfigError(
                f"{path} has tables of version {version}, this release knows {VERSION}; "
                "upgrade isthmus"
            )
        if version < VERSION:
            _create(connection, tables)
        connection.execute("COMMIT")
    finally:
        connection.close()


def _require_wal(connection: OwnConnection, path: Path) -> None:
    (mode,) = connection.execute("PRAGMA journal_mode = wal").fetchone()
    if mode != "wal":
        raise ConfigError(
            f"{path}: its file system cannot hold a write-ahead log (journal mode is {mode!r}); "
            "use a local disk"
        )


def _version(connection: OwnConnection) -> int:
    connection.execute(_META)
    rows = connection.execute("SELECT value FROM isthmus_meta WHERE name = 'version'").fetchall()
    return rows[0][0] if rows else 0


def _create(connection: OwnConnection, tables: Sequence[str]) -> None:
    for script in tables:
        for statement in statements(script):
            connection.execute(statement)
    connection.execute("REPLACE INTO isthmus_meta VALUES ('version', ?)", (VERSION,))


def statements(script: str) -> list[str]:
    """Split a script where its statements end; a last one may lack its semicolon."""
    found = [""]
    for piece in script.split(";"):
        found[-1] += piece + ";"
        if sqlite3.complete_statement(found[-1]):
            found.append("")
    return [statement for statement in found if statement.strip("; \n\t")]


def _refusal(path: Path, error: sqlite3.Error) -> Exception:
    meaning = told(error, path)
    return _unwritable(path, error) if type(meaning) is UnavailableError else meaning


def _unwritable(path: Path, error: Exception) -> ConfigError:
    return ConfigError(
        f"{path} cannot be opened for writing ({error}); the file, and the folder it lies in, "
        "must be writable by this user"
    )
