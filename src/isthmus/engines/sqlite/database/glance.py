"""Reading a few rows right where they are wanted, in the loop itself."""

import sqlite3
from collections.abc import Callable
from typing import TypeVar

from isthmus.engines.sqlite.database.connection import OwnConnection, Work
from isthmus.engines.sqlite.processes.home import Home

__all__ = ["Glance"]

T = TypeVar("T")


class Glance:
    """A connection that only the loop reads from, opened when it is first wanted.

    To have a thread take its turn costs more than to find a few keys. A look is for
    works that read a handful of pages: a larger one belongs to a Reader.
    """

    def __init__(self, home: Home, opens: Callable[[], OwnConnection]) -> None:
        self._home, self._opens = home, opens
        self._connection: OwnConnection | None = None

    def look(self, work: Work[T]) -> tuple[T] | None:
        """Return what `work` read in the last commit; None if a Reader has to do it."""
        self._home.require()
        try:
            if self._connection is None:
                self._connection = self._opens()
            return (work(self._connection),)
        except sqlite3.Error:
            return None  # locked, or worse: a Reader waits, and knows the words

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
