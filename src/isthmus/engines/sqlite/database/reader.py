"""A thread that reads: it sees the last commit, and waits for no writer."""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from isthmus.engines.sqlite.database.connection import OwnConnection, Work, told
from isthmus.engines.sqlite.database.worker import Worker
from isthmus.engines.sqlite.processes.home import Home
from isthmus.errors import IsthmusError

__all__ = ["Reader", "Readers"]

Job = tuple[asyncio.Future[Any], Work[Any]]


class Reader(Worker[Job]):
    """Works that wait together see one snapshot, which is let go at once."""

    def __init__(self, name: str, connection: OwnConnection, *, home: Home, path: Path) -> None:
        self._connection, self._path = connection, path
        super().__init__(f"isthmus-sqlite-{name}", home=home, serve=self._serve_all)

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


class Readers:
    """As many readers as slow works need: one that reads for long holds up nobody else."""

    def __init__(self, opens: Callable[[str], Reader]) -> None:
        self._opens = opens
        self._readers: list[Reader] = []

    def pick(self) -> Reader:
        """Return the first that has not been reading for long, opened if need be."""
        for reader in self._readers:
            if reader.busy_for < _LONG:
                return reader
        if len(self._readers) < _MOST:
            self._readers.append(self._opens(f"fetcher-{len(self._readers) + 1}"))
            return self._readers[-1]
        return min(self._readers, key=lambda reader: reader.busy_for)

    async def aclose(self, refusal: IsthmusError) -> None:
        for reader in self._readers:
            await reader.aclose(refusal)


_MOST = 4
_LONG = 0.005
"""Seconds on one batch after which the next one goes to another reader."""
