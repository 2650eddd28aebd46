"""Parts of one transaction that fail alone."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from isthmus.engines.sqlite.database.connection import OwnConnection, Work, is_the_statements, told
from isthmus.engines.sqlite.database.job import Job
from isthmus.engines.sqlite.database.worker import Result
from isthmus.errors import StatementError

__all__ = ["Savepoints"]


class _EndedError(sqlite3.Error):
    """A statement rolled back the transaction that all share."""


class Savepoints:
    """Runs works inside the open transaction of `connection`.

    An error of a work is returned; one of the file itself is raised, since it
    ends the transaction for all.
    """

    def __init__(self, connection: OwnConnection, path: Path) -> None:
        self._connection, self._path = connection, path
        self._execute = connection.execute
        self.alone = False
        """Whether one job has the transaction to itself: then it needs no savepoint."""

    def isolated(self, work: Work[Any]) -> tuple[Any, Exception | None]:
        """Return what `work` did, or why it failed and was undone."""
        if not self.alone:
            self._execute("SAVEPOINT job")
        woken = len(self._connection.woken)
        try:
            result = work(self._connection)
            self.require_transaction()
        except Exception as error:  # noqa: BLE001  whoever asked shall see it
            self._survive(error)
            del self._connection.woken[woken:]
            self._undo()
            return None, self.told(error)
        if not self.alone:
            self._execute("RELEASE job")
        return result, None

    def _undo(self) -> None:
        if self.alone:
            self._execute("ROLLBACK")
            self._execute("BEGIN")  # of nothing, or of what its caller gives up
        else:
            self._execute("ROLLBACK TO job")
            self._execute("RELEASE job")

    def played(self, steps: Sequence[Job]) -> list[Result]:
        """Answer one line of each script, and leave no trace."""
        results: list[Result] = []
        self._execute("SAVEPOINT step")
        for future, _, script, line, _ in steps:
            try:
                results.append((future, script.ask(self._connection, line), None))
                if not self._connection.in_transaction:
                    self.require_transaction()
            except Exception as error:  # noqa: BLE001  whoever asked shall see it
                self._survive(error)
                results.append((future, None, self.told(error)))
            self._execute("ROLLBACK TO step")
        self._execute("RELEASE step")
        return results

    def told(self, error: Exception) -> Exception:
        """Return `error`, or what it means if it is the driver's."""
        if isinstance(error, _EndedError):
            return StatementError(str(error))
        return told(error, self._path) if isinstance(error, sqlite3.Error) else error

    def _survive(self, error: Exception) -> None:
        if not self._connection.in_transaction:
            raise error
        if isinstance(error, sqlite3.Error) and not is_the_statements(error):
            raise error

    def require_transaction(self) -> None:
        """Raises: sqlite3.Error: It was ended by what ran in it."""
        if not self._connection.in_transaction:
            raise _EndedError(
                "a statement rolled the whole transaction back, by ON CONFLICT ROLLBACK or "
                "RAISE(ROLLBACK); let it ABORT instead"
            )
