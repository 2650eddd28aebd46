"""A thread that reads: it sees the last commit, and waits for no writer."""

import asyncio
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from isthmus.engines.sqlite.connection import OwnConnection, Work, told
from isthmus.engines.sqlite.home import Home
from isthmus.engines.sqlite.worker import Worker
from isthmus.errors import IsthmusError

__all__ = ["Reader"]

Job = tuple[asyncio.Future[Any], Work[Any]]


class Reader(Worker[Job]):
    """Works that wait together see one snapshot, which is let go at once."""

    def __init__(self, name: str, connection: OwnConnection, *, home: Home, path: Path) -> None:
        self._connection, self._path = connection, path
        super().__init__(
            f"isthmus-sqlite-{name}", home=home, serve=self._serve_all, fail=self._fail_all
        )

    def end(self) -> None:
        self._connection.close()

    def _serve_all(self, jobs: Sequence[Job]) -> None:
        self._connection.execute("BEGIN")
        try:
            self.answer([(future, *self._read(work)) for future, work in jobs])
        finally:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")

    def _read(self, work: Work[Any]) -> tuple[Any, BaseException | None]:
        try:
            return work(self._connection), None
        except sqlite3.Error as error:
            return None, told(error, self._path)
        except Exception as error:  # noqa: BLE001  the one who asked shall see it
            return None, error

    def _fail_all(self, jobs: Sequence[Job], error: IsthmusError) -> None:
        self.answer([(job[0], None, error) for job in jobs])
