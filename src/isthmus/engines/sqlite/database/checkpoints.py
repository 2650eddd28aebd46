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

COMMITS, FEWEST = 1000, 32
"""So many commits ask for a checkpoint, at most and at least; or GROWTH bytes that the log grew."""

GROWTH = 4 * 1024 * 1024
SMALL = 64 * 1024
"""Where commits are smaller than this, in bytes, most of their time is the disk's for a log that
grows, and it is begun anew every GROWTH bytes."""
BOUND = 32 * 1024 * 1024
"""A log longer than this is begun anew, in bytes; readers may delay it."""

STALL = 4
"""A log so many times too long makes the writer wait for its checkpoint."""

BUSY = 0.1
"""Seconds that a log which is too long waits for readers, in its turn."""

_LONGEST_STALL = 1.0


class Checkpoints:
    """A thread that checkpoints in the background: PASSIVE, which disturbs nobody;
    then, of small commits or above BOUND, RESTART in its turn, for under constant
    load a log never ends.

    The log keeps its length on disk up to BOUND: overwriting costs an fsync a
    quarter of what appending does. So a checkpoint is asked for shortly before a
    log of small commits would grow.
    """

    def __init__(self, path: Path, *, busy_timeout: float) -> None:
        self._connection = OwnConnection.open(
            path, busy_timeout=min(busy_timeout, BUSY), writes=True
        )
        self._log_name = f"{path}-wal"
        self._turn = Turn(Path(f"{path}.lock"))
        self._commits = self._length = self._counted = 0
        self._wanted = COMMITS
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
        if self._commits >= self._wanted or (self._commits % 16 == 0 and self._grown()):
            self._counted += self._commits
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
        """Only our own commits are counted: where others write, too, they seem to be larger."""
        (page,) = self._connection.execute("PRAGMA page_size").fetchone()
        _, pages, _ = self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        size, each = pages * page, pages * page / max(1, self._counted)
        if size > BOUND:
            self._begin_anew(wait=BUSY)
        elif self._counted and each <= SMALL:
            self._begin_anew(wait=0.0)
            self._wanted = max(FEWEST, min(COMMITS, int(0.75 * GROWTH / each)))

    def _begin_anew(self, *, wait: float) -> None:
        """Have the next commit write at the log's beginning, if no reader needs what is there."""
        self._connection.execute(f"PRAGMA busy_timeout = {int(wait * 1000)}")
        try:
            with self._turn:
                busy, *_ = self._connection.execute("PRAGMA wal_checkpoint(RESTART)").fetchone()
        finally:
            self._connection.execute(f"PRAGMA busy_timeout = {int(BUSY * 1000)}")
        if not busy:
            self._counted = 0


def _length(name: str) -> int:
    try:
        return os.stat(name).st_size  # noqa: PTH116
    except OSError:
        return 0
