"""Moving the write-ahead log into the file, away from anybody's commit."""

import logging
import os
import sqlite3
import threading
from contextlib import suppress
from pathlib import Path

from isthmus.engines.sqlite.database.connection import OwnConnection
from isthmus.engines.sqlite.processes.turn import Turn

__all__ = ["Checkpoints"]

_log = logging.getLogger("isthmus.engines.sqlite")

COMMITS = 1000
"""So many commits, or GROWTH bytes of log, ask for a checkpoint."""

GROWTH = 4 * 1024 * 1024
BOUND = 32 * 1024 * 1024
"""A log longer than this is begun anew, in bytes; readers may delay it."""

STALL = 4
"""A log so many times too long makes the writer wait for its checkpoint."""

_LONGEST_STALL = 1.0


class Checkpoints:
    """A thread that checkpoints in the background: PASSIVE, which disturbs nobody;
    above BOUND, RESTART in its turn, for under constant load a log never ends.

    The log keeps its length on disk up to BOUND: overwriting costs an fsync a
    quarter of what appending does.
    """

    def __init__(self, path: Path, *, busy_timeout: float) -> None:
        self._connection = OwnConnection.open(
            path, busy_timeout=min(busy_timeout, 0.1), writes=True
        )
        self._log_name = f"{path}-wal"
        self._turn = Turn(Path(f"{path}.lock"))
        self._commits = self._length = 0
        self._due, self._done = threading.Lock(), threading.Event()
        self._due.acquire()
        self._closing = False
        self._thread = threading.Thread(
            target=self._run, name="isthmus-sqlite-checkpoints", daemon=True
        )
        self._thread.start()

    def note(self) -> None:
        """Count a commit; from the writer's thread, out of its turn."""
        self._commits += 1
        if self._commits >= COMMITS or (self._commits % 16 == 0 and self._grown()):
            self._commits = 0
            self._done.clear()
            self._kick()
            if self._length > STALL * BOUND:
                self._done.wait(_LONGEST_STALL)

    def _grown(self) -> bool:
        length, before = _length(self._log_name), self._length
        if before <= length <= before + GROWTH:
            return False
        self._length = length
        return length > before

    def _kick(self) -> None:
        with suppress(RuntimeError):  # it is at it already
            self._due.release()

    def close(self) -> None:
        """End the thread; waits for what it is doing."""
        self._closing = True
        self._kick()
        self._thread.join()
        self._connection.close()
        self._turn.close()

    def _run(self) -> None:
        while self._due.acquire() and not self._closing:
            try:
                self._checkpoint()
            except sqlite3.Error as error:
                _log.warning(
                    "checkpoint of %s failed, a later one goes on: %s", self._log_name, error
                )
            finally:
                self._done.set()

    def _checkpoint(self) -> None:
        (page,) = self._connection.execute("PRAGMA page_size").fetchone()
        _, pages, _ = self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        if pages * page > BOUND:
            with self._turn:
                self._connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()


def _length(name: str) -> int:
    try:
        return os.stat(name).st_size  # noqa: PTH116
    except OSError:
        return 0
