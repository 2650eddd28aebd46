"""The one thread that writes: whatever waits is committed together."""

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any

from isthmus.engines.sqlite.address import Address
from isthmus.engines.sqlite.checkpoints import Checkpoints
from isthmus.engines.sqlite.connection import (
    OwnConnection,
    Work,
    is_busy,
    is_partial,
    is_the_statements,
    told,
)
from isthmus.engines.sqlite.home import Home
from isthmus.engines.sqlite.patrol import Patrol
from isthmus.engines.sqlite.post import Post
from isthmus.engines.sqlite.script import MergedWork, Script
from isthmus.engines.sqlite.turn import Turn
from isthmus.engines.sqlite.worker import Result, Worker
from isthmus.errors import LockedError, StatementError

__all__ = ["COMMIT", "LOOK", "MERGE", "STEP", "WRITE", "Job", "Writer"]

WRITE, MERGE, STEP, COMMIT, LOOK = range(5)

Job = tuple[asyncio.Future[Any], int, Any, Any, bool]
"""Future, kind, its work or script, its item or line, and whether it is lazy."""

_HOLD = 0.1
"""Longest time a favoured transaction may hold the writer, in seconds."""

_BUSY_PAUSE = 0.001
"""Between two attempts to begin while a stranger's transaction is open, in seconds."""

_APART = 16
"""Groups in which scripts are not fused, after one was refused an item."""


class _RefusedItemError(Exception):
    """An item that a script staged was refused among others': play each script apart."""


class _GivenUpError(Exception):
    """The turn came when nobody waited for it any more."""


class _EndedError(sqlite3.Error):
    """A statement rolled back the transaction that all share."""


class _Held:
    """A favoured script that holds the writer: what it asks, and how far it was played."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.played = 0
        self.until = time.monotonic() + _HOLD


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
        checkpoints: Checkpoints,
        post: Post,
        *,
        home: Home,
        address: Address,
        committed: Callable[[Iterable[str]], None],
    ) -> None:
        self._connection, self._turn = connection, turn
        self._checkpoints, self._post = checkpoints, post
        self._path, self._busy_timeout = address.path, address.busy_timeout
        self._execute = connection.execute
        self._full = self._synced = address.durability == "disk"
        self._execute(f"PRAGMA synchronous = {'FULL' if self._full else 'NORMAL'}")
        self._apart = 0
        self._committed = committed
        self._waiting: Sequence[Job] | None = None
        self._claiming = threading.Lock()
        self._patrol = Patrol(home, timeout=address.busy_timeout, give_up=self._give_up)
        super().__init__(
            "isthmus-sqlite-writer", home=home, serve=self._serve_all, fail=self._fail_all
        )

    def end(self) -> None:
        self._checkpoints.close()
        self._connection.close()
        self._turn.close()

    # --- a group

    def _serve_all(self, jobs: Sequence[Job]) -> None:
        alike, others = _sorted(jobs)
        for job in others:
            if job[1] == LOOK:
                self._look(job[0])
        with suppress(_GivenUpError):
            if alike:
                self._attempt(alike)
        for job in others:
            if job[1] != LOOK:
                with suppress(_GivenUpError):
                    self._favour(job)

    def _attempt(self, jobs: Sequence[Job]) -> None:
        """Commit the jobs together; if the file refuses, each alone or none."""
        try:
            self._group(jobs, fused=self._apart == 0)
        except _RefusedItemError:
            self._apart = _APART
            self._attempt(jobs)
        except sqlite3.Error as error:
            if len(jobs) == 1 or not is_partial(error):
                self._fail_all(jobs, self._told(error))
            else:
                for job in jobs:
                    self._attempt([job])

    def _group(self, jobs: Sequence[Job], *, fused: bool) -> None:
        self._apart = max(0, self._apart - 1)
        steps = [job for job in jobs if job[1] == STEP]
        kept = [job for job in jobs if job[1] != STEP] if steps else jobs
        self._await_turn(jobs)
        try:
            self._begin(lazy=all(job[4] for job in kept))
            if steps:
                self.answer(self._play(steps))
            results = self._apply(kept, fused=fused)
            self._execute("COMMIT" if kept else "ROLLBACK")
        except BaseException:
            self._abandon()
            raise
        finally:
            self._turn.give()
        self._publish(results)

    def _await_turn(self, jobs: Sequence[Job]) -> None:
        """Raises: _GivenUpError: It took too long; the jobs were told, and are not to be done."""
        if self._turn.take_if_free():
            return
        self._waiting = jobs
        with self._patrol:
            self._turn.take()
        if self._claimed() is None:
            self._turn.give()
            raise _GivenUpError

    def _claimed(self) -> Sequence[Job] | None:
        """Return the jobs that wait for the turn, to the one of two threads that is first."""
        with self._claiming:
            waiting, self._waiting = self._waiting, None
        return waiting

    def _give_up(self) -> None:
        """Tell all who wait that the turn does not come; from the loop."""
        jobs = [*(self._claimed() or ()), *self.withdraw()]
        if jobs:
            self._fail_all(
                jobs,
                LockedError(
                    f"{self._path}: another process has been writing for over "
                    f"{self._busy_timeout:g} s, nothing was written; is it stopped? "
                    f"`fuser {self._path}.lock` names it"
                ),
            )

    def _begin(self, *, lazy: bool) -> None:
        """Begin; wait for strangers, who don't queue, as often as they may come."""
        if self._full and self._synced is lazy:
            self._synced = not lazy
            self._connection.executescript(f"PRAGMA synchronous = {'NORMAL' if lazy else 'FULL'}")
        give_up_at = time.monotonic() + self._busy_timeout
        while True:
            try:
                self._execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError as error:
                if not is_busy(error) or time.monotonic() >= give_up_at:
                    raise
                time.sleep(_BUSY_PAUSE)

    def _publish(self, results: list[Result]) -> None:
        if self._connection.woken:
            woken, self._connection.woken = set(self._connection.woken), []
            self.answer(results, then=lambda: self._committed(woken))
            self._post.send(woken)
        elif results:
            self.answer(results)
        self._checkpoints.note()

    def _abandon(self) -> None:
        self._connection.woken = []
        if self._connection.in_transaction:
            self._execute("ROLLBACK")

    def _fail_all(self, jobs: Sequence[Job], error: Exception) -> None:
        self.answer([(job[0], None, _again(error)) for job in jobs])

    def _look(self, future: asyncio.Future[Any]) -> None:
        """Answer a number that changes when others commit, and never by our own commits."""
        try:
            ((version,),) = self._execute("PRAGMA data_version").fetchall()
        except sqlite3.Error:
            version = None
        self.answer([(future, version, None)])

    # --- a favoured transaction

    def _favour(self, job: Job) -> None:
        """Hold the writer for one unlucky script, while it comes back in time."""
        held = _Held(job)
        self._await_turn([job])
        try:
            self._begin(lazy=False)
            committed = self._converse(held)
            self._execute("COMMIT" if committed else "ROLLBACK")
            results: list[Result] = [(held.job[0], None, None)] if committed else []
        except Exception as error:  # noqa: BLE001  whoever asked shall see it
            self._abandon()
            results = [(held.job[0], None, self._told(error))]
        finally:
            self._turn.give()
        self._publish(results)

    def _converse(self, held: "_Held") -> bool:
        """Answer line by line; return True once all is applied, False if it stays away."""
        script: Script = held.job[2]
        while held.job[1] == STEP:
            if held.played != len(script.lines):  # its last line was cancelled
                self._execute("ROLLBACK")
                self._begin(lazy=False)
                held.played = 0
            told = script.ask(self._connection, held.job[3], held.played)
            held.played = len(script.lines) + 1
            self.answer([(held.job[0], told, None)])
            following = self._next_of(script, held.until)
            if following is None:
                return False
            held.job = following
        script.apply_all(self._connection, held.played)
        return True

    def _next_of(self, script: Script, until: float) -> Job | None:
        """Return its next job; others wait aside."""
        aside: list[Job] = []
        try:
            while True:
                while self._jobs:
                    job = self._jobs.popleft()
                    if job[2] is script:
                        return job
                    aside.append(job)
                if script.ended or not self.rest(until - time.monotonic()):
                    return None
        finally:
            self._jobs.extendleft(reversed(aside))

    # --- what is in it

    def _play(self, steps: Sequence[Job]) -> list[Result]:
        """Answer one line of each script, and leave no trace."""
        results: list[Result] = []
        self._execute("SAVEPOINT step")
        for future, _, script, line, _ in steps:
            try:
                results.append((future, script.ask(self._connection, line), None))
                self._require_transaction()
            except Exception as error:  # noqa: BLE001  whoever asked shall see it
                self._survive(error)
                results.append((future, None, self._told(error)))
            self._execute("ROLLBACK TO step")
        self._execute("RELEASE step")
        return results

    def _apply(self, jobs: Sequence[Job], *, fused: bool) -> list[Result]:
        results: list[Result] = []
        merged: _Merged = {}
        for future, kind, what, item, _ in jobs:
            if kind == MERGE:
                merged.setdefault(what, []).append((future, item))
            elif kind == WRITE:
                results.append((future, *self._isolated(what)))
            else:
                if what.sees_ours:
                    results += self._merge_all(merged)
                results.append((future, *self._kept(what, merged if fused else None)))
        return results + self._merge_all(merged)

    def _kept(self, script: Script, merged: "_Merged | None") -> tuple[None, Exception | None]:
        """Play a script for good; its items join the others' if those are merged at all."""
        if merged is None:
            return self._isolated(script.apply_all)
        done = self._isolated(script.apply)
        if done[1] is None:
            for work, item in script.merged:
                merged.setdefault(work, []).append((None, item))
        return done

    def _merge_all(self, merged: "_Merged") -> list[Result]:
        results: list[Result] = []
        for work, parts in merged.items():
            results += self._merge(work, parts)
        merged.clear()
        return results

    def _merge(self, work: MergedWork, parts: "_Parts") -> list[Result]:
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

    def _isolated(self, work: Work[Any]) -> tuple[Any, Exception | None]:
        self._execute("SAVEPOINT job")
        woken = len(self._connection.woken)
        try:
            result = work(self._connection)
            self._require_transaction()
        except Exception as error:  # noqa: BLE001  whoever asked shall see it
            self._survive(error)
            del self._connection.woken[woken:]
            self._execute("ROLLBACK TO job")
            self._execute("RELEASE job")
            return None, self._told(error)
        self._execute("RELEASE job")
        return result, None

    def _survive(self, error: Exception) -> None:
        """Raise what ends the whole group, not just this part of it."""
        if not self._connection.in_transaction:
            raise error
        if isinstance(error, sqlite3.Error) and not is_the_statements(error):
            raise error

    def _require_transaction(self) -> None:
        if not self._connection.in_transaction:
            raise _EndedError(
                "a statement rolled the whole transaction back, by ON CONFLICT ROLLBACK or "
                "RAISE(ROLLBACK); let it ABORT instead"
            )

    def _told(self, error: Exception) -> Exception:
        if isinstance(error, _EndedError):
            return StatementError(str(error))
        return told(error, self._path) if isinstance(error, sqlite3.Error) else error


_Parts = list[tuple[asyncio.Future[Any] | None, Any]]
"""Items, each with the future of who waits for it alone; a script's has none."""

_Merged = dict[MergedWork, _Parts]


def _sorted(jobs: Sequence[Job]) -> tuple[Sequence[Job], Sequence[Job]]:
    """Return those that share a commit, and the favoured and looking ones."""
    others = [job for job in jobs if job[1] >= STEP and (job[1] == LOOK or job[2].patient)]
    return ([job for job in jobs if job not in others], others) if others else (jobs, others)


def _again(error: Exception) -> Exception:
    """Return an error of its own for each who waits: tracebacks are not shared."""
    copy = type(error)(*error.args)
    copy.__cause__ = error.__cause__
    return copy
