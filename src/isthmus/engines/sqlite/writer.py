"""The one thread that writes: whatever waits is committed together."""

import asyncio
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from isthmus.engines.sqlite.connection import OwnConnection, Work, told
from isthmus.engines.sqlite.script import Script
from isthmus.engines.sqlite.turn import Turn
from isthmus.engines.sqlite.worker import Result, Worker
from isthmus.errors import IsthmusError

__all__ = ["COMMIT", "MERGE", "STEP", "WRITE", "Job", "Writer"]

WRITE, MERGE, STEP, COMMIT = range(4)

Job = tuple[asyncio.Future[Any], int, Any, Any, bool]
"""Future, kind, its work or script, its item or line, and whether it is lazy."""

_HOLD = 0.1
"""Longest time a favoured transaction may hold the writer, in seconds."""


class _RefusedItemError(Exception):
    """An item that a script staged was refused among others': play each script apart."""


class Writer(Worker[Job]):
    """Group commit.

    One BEGIN IMMEDIATE serves all jobs that wait. Each is isolated by a
    savepoint, so that it fails alone; items of one merged work, from writes and
    scripts alike, run as one call. Answers leave after the commit.
    """

    def __init__(
        self,
        connection: OwnConnection,
        turn: Turn,
        *,
        path: Path,
        full: bool,
        committed: Callable[[set[str]], None],
    ) -> None:
        self._connection, self._turn, self._path = connection, turn, path
        self._execute = connection.execute
        self._full = full
        self._synced = full
        self._execute(f"PRAGMA synchronous = {'FULL' if full else 'NORMAL'}")
        self._apart = 0
        self._committed = committed
        super().__init__("isthmus-sqlite-writer", serve=self._serve_all, fail=self._fail_all)

    # --- a group

    def _serve_all(self, jobs: Sequence[Job]) -> None:
        favoured = [job for job in jobs if job[1] >= STEP and job[2].patient]
        plain = [job for job in jobs if job not in favoured] if favoured else jobs
        if plain:
            self._attempt(plain)
        for script in dict.fromkeys(job[2] for job in favoured):
            self._attempt([job for job in favoured if job[2] is script])

    def _attempt(self, jobs: Sequence[Job]) -> None:
        """Commit the jobs together; if the file refuses, each alone or none."""
        try:
            self._group(jobs, fused=self._apart == 0)
        except _RefusedItemError:
            self._apart = 16
            self._group(jobs, fused=False)
        except sqlite3.Error as error:
            if len(jobs) == 1 or not _worth_splitting(error):
                self._fail_all(jobs, told(error, self._path))
            else:
                for job in jobs:
                    self._attempt([job])

    def _group(self, jobs: Sequence[Job], *, fused: bool) -> None:
        self._apart = max(0, self._apart - 1)
        steps = [job for job in jobs if job[1] == STEP]
        kept = [job for job in jobs if job[1] != STEP] if steps else jobs
        with self._turn:
            self._sync(any(not job[4] for job in kept))
            self._execute("BEGIN IMMEDIATE")
            try:
                if steps:
                    self.answer(self._play(steps))
                results = self._apply(kept, fused=fused)
                self._execute("COMMIT" if kept else "ROLLBACK")
            except BaseException:
                self._abandon()
                raise
        if kept:
            self._publish(results)

    def _publish(self, results: list[Result]) -> None:
        woken, self._connection.woken = self._connection.woken, set()
        self.answer(results, then=(lambda: self._committed(woken)) if woken else None)

    def _abandon(self) -> None:
        self._connection.woken = set()
        if self._connection.in_transaction:
            self._execute("ROLLBACK")

    def _fail_all(self, jobs: Sequence[Job], error: IsthmusError) -> None:
        self.answer([(job[0], None, _again(error)) for job in jobs])

    def _sync(self, needed: bool) -> None:
        """Set whether the next commit waits for the disk."""
        if self._full and needed is not self._synced:
            self._connection.executescript(f"PRAGMA synchronous = {'FULL' if needed else 'NORMAL'}")
            self._synced = needed

    # --- what is in it

    def _play(self, steps: Sequence[Job]) -> list[Result]:
        """Answer one line of each script, and leave no trace."""
        results: list[Result] = []
        self._execute("SAVEPOINT step")
        for future, _, script, line, _ in steps:
            try:
                results.append((future, script.ask(self._connection, line), None))
            except Exception as error:
                self._survive(error)
                results.append((future, None, self._told(error)))
            self._execute("ROLLBACK TO step")
        self._execute("RELEASE step")
        return results

    def _apply(self, jobs: Sequence[Job], *, fused: bool) -> list[Result]:
        results: list[Result] = []
        merged: dict[Any, list[tuple[asyncio.Future[Any] | None, Any]]] = {}
        for future, kind, what, item, _ in jobs:
            if kind == MERGE:
                merged.setdefault(what, []).append((future, item))
            elif kind == WRITE:
                results.append((future, *self._isolated(what)))
            else:
                result, error = self._isolated(what.apply if fused else what.apply_all)
                results.append((future, result, error))
                if fused and error is None:
                    for work, part in what.merged:
                        merged.setdefault(work, []).append((None, part))
        for work, parts in merged.items():
            results += self._merge(work, parts)
        return results

    def _merge(
        self, work: Any, parts: list[tuple[asyncio.Future[Any] | None, Any]]
    ) -> list[Result]:
        items = [item for _, item in parts]
        answers, error = self._isolated(lambda connection: work(connection, items))
        if error is not None:
            if len(parts) == 1 and parts[0][0] is not None:
                return [(parts[0][0], None, error)]
            answers = [self._alone(work, item) if future else error for future, item in parts]
        results: list[Result] = []
        for (future, _), answer in zip(parts, answers, strict=True):
            refused = isinstance(answer, BaseException)
            if future is not None:
                results.append((future, None, answer) if refused else (future, answer, None))
            elif refused:
                raise _RefusedItemError from answer
        return results

    def _alone(self, work: Any, item: Any) -> Any:
        answers, error = self._isolated(lambda connection: work(connection, [item]))
        return answers[0] if error is None else error

    def _isolated(self, work: Work[Any]) -> tuple[Any, BaseException | None]:
        self._execute("SAVEPOINT job")
        try:
            result = work(self._connection)
        except Exception as error:
            self._survive(error)
            self._execute("ROLLBACK TO job")
            self._execute("RELEASE job")
            return None, self._told(error)
        self._execute("RELEASE job")
        return result, None

    def _survive(self, error: Exception) -> None:
        """Raise what ends the whole group, not just this part of it."""
        if not self._connection.in_transaction:
            raise error
        if isinstance(error, sqlite3.Error) and _is_the_files(error):
            raise error

    def _told(self, error: Exception) -> Exception:
        return told(error, self._path) if isinstance(error, sqlite3.Error) else error


def _is_the_files(error: sqlite3.Error) -> bool:
    """Whether the file refused, not the statement."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    return code not in {
        sqlite3.SQLITE_ERROR,
        sqlite3.SQLITE_CONSTRAINT,
        sqlite3.SQLITE_MISMATCH,
        sqlite3.SQLITE_MISUSE,
        sqlite3.SQLITE_RANGE,
        sqlite3.SQLITE_TOOBIG,
    }


def _worth_splitting(error: sqlite3.Error) -> bool:
    """Whether a part of the group may pass where the whole did not."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    return code not in {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_READONLY,
    }


def _again(error: IsthmusError) -> IsthmusError:
    """Return an error of its own for each who waits: tracebacks are not shared."""
    copy = type(error)(*error.args)
    copy.__cause__ = error.__cause__
    return copy
