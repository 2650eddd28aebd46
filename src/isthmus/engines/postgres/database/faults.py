"""The driver's errors, as ours."""

import json
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from isthmus.engines.postgres.database.driver import (
    DRIVER_ERRORS,
    BrokenError,
    StalePlanError,
)
from isthmus.errors import (
    ConfigError,
    ConflictError,
    CorruptedError,
    FullError,
    IsthmusError,
    LeaseLostError,
    LockedError,
    StatementError,
    UnavailableError,
)

__all__ = ["CONFLICT", "LOST", "LOST_PARTITIONS", "REFUSALS", "told", "told_of"]

CONFLICT, LOST, LOST_PARTITIONS = "IS001", "IS002", "IS003"
"""Codes that the engine's own functions raise, with the details as DETAIL."""

REFUSALS = (*DRIVER_ERRORS, OSError, TimeoutError, ValueError)
"""All that a call of the driver raises."""

_CONFLICTS = frozenset({"40001", "40P01"})
_ENTRANCE = frozenset({"28000", "28P01", "3D000"})
_UNAVAILABLE = ("08", "53", "57P", "58", "25006")


@contextmanager
def told() -> Generator[None]:
    """Raise what isthmus' own calls raise as an IsthmusError."""
    try:
        yield
    except REFUSALS as error:
        raise _ours(error) from error


def _ours(error: Exception) -> IsthmusError:
    found = told_of(error)
    if not isinstance(found, StatementError):
        return found
    code = getattr(error, "sqlstate", None)
    if code == "57014":
        return UnavailableError("the database took too long, and was told to stop")
    return IsthmusError(f"the database refused what isthmus asked for: {error}")


def told_of(error: Any) -> IsthmusError:
    """Return what a statement's error says to its caller; StatementError if it was refused."""
    code = getattr(error, "sqlstate", None) or ""
    if code == CONFLICT:
        return ConflictError(str(error.args[0]).partition("\n")[0], subject=_detail(error))
    if code in {LOST, LOST_PARTITIONS}:
        what = "lease" if code == LOST else "partition"
        return LeaseLostError(json.loads(_detail(error)), what=what)
    if isinstance(error, StalePlanError) or code in _CONFLICTS:
        return ConflictError(f"{error}: run it again", subject="read")
    if code:
        return _by_code(error, code)
    if isinstance(error, ValueError) or str(error).startswith("the server expects"):
        return StatementError(str(error))
    if isinstance(error, BrokenError):
        return UnavailableError("the connection to the database was lost")
    return UnavailableError(f"the database is out of reach: {error or type(error).__name__}")


def _by_code(error: Exception, code: str) -> IsthmusError:
    if code == "53100":
        return FullError(str(error))
    if code == "55P03":
        return LockedError(str(error))
    if code in {"XX001", "XX002"}:
        return CorruptedError(str(error))
    if code in _ENTRANCE:
        return ConfigError(f"the database does not let us in: {error}")
    if code.startswith(_UNAVAILABLE):
        return UnavailableError(str(error))
    return StatementError(str(error))


def _detail(error: Any) -> str:
    """Return the DETAIL that the server gave, as asyncpg or psycopg has it."""
    return error.detail if hasattr(error, "detail") else error.diag.message_detail
