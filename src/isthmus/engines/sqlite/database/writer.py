"""The one thread that writes: whatever waits is committed together."""

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

from isthmus.engines.sqlite.address import Address
from isthmus.engines.sqlite.database.batches import Batches, RefusedItemError
from isthmus.engines.sqlite.database.checkpoints import BOUND, Checkpoints
from isthmus.engines.sqlite.database.connection import OwnConnection, Work, is_busy, is_partial
from isthmus.engines.sqlite.database.favour import Favour
from isthmus.engines.sqlite.database.job import LAST, LOOK, MERGE, STEP, WRITE, Job
from isthmus.engines.sqlite.database.savepoints import Savepoints
from isthmus.engines.sqlite.database.script import Script
from isthmus.engines.sqlite.database.worker import Result, Worker
from isthmus.engines.sqlite.processes.home import Home
from isthmus.engines.sqlite.processes.patrol import Patrol
from isthmus.engines.sqlite.processes.post import Post
from isthmus.engines.sqlite.processes.turn import Turn
from isthmus.errors import LockedError

__all__ = ["Writer"]

_BUSY_PAUSE = 0.001
"""Between two attempts to begin while a stranger's transaction is open, in seconds."""

_APART = 16
"""Groups in which scripts are not fused, after one was refused an item, or have a
savepoint each, after one's lines were answered otherwise than before."""


class _ChangedError(Exception):
    """A script's lines were answered otherwise, outside of a savepoint: nothing may be kept."""


class _GivenUpError(Exception):
    """The turn came when nobody waited for it any more."""


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
        self._savepoints = Savepoints(connection, address.path)
        self._full = self._synced = address.durability == "disk"
        self._execute(f"PRAGMA journal_size_limit = {BOUND}")
        self._execute(f"PRAGMA synchronous = {'FULL' if self._full else 'NORMAL'}")
        self._apart = self._careful = 0
        self._committed = committed
        self._waiting: Sequence[Job] | None = None
        self._claiming = threading.Lock()
        self._patrol = Patrol(home, timeout=address.busy_timeout, give_up=self._give_up)
        super().__init__("isthmus-sqlite-writer", home=home, serve=self._serve_all)

    def end(self) -> None:
        self._checkpoints.close()
        self._connection.close()
        self._turn.close()

    # --- a group

    def _serve_all(self, jobs: Sequence[Job]) -> None:
        alike, others = _sorted(jobs)
        if alike:
            self._attempt(alike)
        for job in others:
            if job[1] == LOOK:
                self._look(job[0])
            else:
                self._favour(job)

    def _attempt(self, jobs: Sequence[Job]) -> None:
        """Commit the jobs together; if the file refuses, each alone or none."""
        try:
            self._group(jobs, fused=self._apart == 0)
        except _GivenUpError:
            pass  # they were told
        except RefusedItemError:
            self._apart = _APART
            self._attempt(jobs)
        except _ChangedError:
            self._careful = _APART
            self._attempt(jobs)
        except sqlite3.Error as error:
            if len(jobs) == 1 or not is_partial(error):
                self.fail(jobs, self._savepoints.told(error))
            else:
                for job in jobs:
                    self._attempt([job])

    def _group(self, jobs: Sequence[Job], *, fused: bool) -> None:
        self._apart, self._careful = max(0, self._apart - 1), max(0, self._careful - 1)
        steps = [job for job in jobs if job[1] == STEP]
        kept = [job for job in jobs if job[1] != STEP] if steps else jobs
        self._await_turn(jobs)
        try:
            if kept:
                self._sync(lazy=all(job[4] for job in kept))
            self._begin()
            if steps:
                self.answer(self._savepoints.played(steps))
            self._savepoints.alone = len(jobs) == 1
            results = self._apply(kept, fused=fused)
            told = self._tell_ahead()
            self._execute("COMMIT" if kept else "ROLLBACK")
        except BaseException:
            self._abandon()
            raise
        finally:
            self._turn.give()
        self._publish(results, told)

    def _apply(self, jobs: Sequence[Job], *, fused: bool) -> list[Result]:
        results: list[Result] = []
        last: list[tuple[asyncio.Future[Any], Work[Any]]] = []
        batches, isolated = Batches(self._savepoints), self._savepoints.isolated
        for future, kind, what, item, _ in jobs:
            if kind == MERGE:
                batches.add(what, item, future)
            elif kind == WRITE:
                results.append((future, *isolated(what)))
            elif kind == LAST:
                last.append((future, what))
            else:
                if what.sees_ours:  # also what others of this group have staged
                    results += batches.run()
                _, error = self._replayed(what) if fused else isolated(what.apply)
                results.append((future, None, error))
                if fused and error is None:
                    batches.add_staged(what)
        results += batches.run()
        return results + [(future, *isolated(what)) for future, what in last]

    def _replayed(self, script: Script) -> tuple[None, Exception | None]:
        """Play its lines for good; savepoints are for times in which lines change."""
        if self._careful:
            return self._savepoints.isolated(script.replay)
        try:
            script.replay(self._connection)
            if not self._connection.in_transaction:
                self._savepoints.require_transaction()
        except Exception as error:
            raise _ChangedError from error
        return None, None

    # --- its turn, its beginning and its end

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
            self.fail(
                jobs,
                LockedError(
                    f"{self._path}: another process has been writing for over "
                    f"{self._busy_timeout:g} s, nothing was written; is it stopped? "
                    f"`fuser {self._path}.lock` names it"
                ),
            )

    def _sync(self, *, lazy: bool) -> None:
        """Let the next commit wait for the disk, or not."""
        if self._full and self._synced is lazy:
            self._synced = not lazy
            self._connection.executescript(f"PRAGMA synchronous = {'NORMAL' if lazy else 'FULL'}")

    def _begin(self) -> None:
        """Begin; strangers, who don't queue, are waited for, up to `busy_timeout`."""
        give_up_at = time.monotonic() + self._busy_timeout
        while True:
            try:
                self._execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError as error:
                if not is_busy(error) or time.monotonic() >= give_up_at:
                    raise
                time.sleep(_BUSY_PAUSE)

    def _tell_ahead(self) -> set[str]:
        """Wake the other processes that will queue behind this commit, while the disk is
        waited for; return the channels."""
        ahead, self._connection.ahead = self._connection.ahead, set()
        if not (ahead and self._synced):
            return set()
        self._home.call(self._post.send, ahead)
        return ahead

    def _publish(self, results: list[Result], told: Collection[str]) -> None:
        """Answer, and wake who was not `told` before."""
        if self._connection.woken:
            woken, self._connection.woken = set(self._connection.woken), []
            self.answer(results, then=lambda: self._committed(woken))
            self._post.send(woken.difference(told))
        elif results:
            self.answer(results)
        self._checkpoints.note()

    def _abandon(self) -> None:
        self._connection.woken, self._connection.ahead = [], set()
        if self._connection.in_transaction:
            self._execute("ROLLBACK")

    def _look(self, future: asyncio.Future[Any]) -> None:
        """Answer a number that changes when others commit, and never by our own commits."""
        try:
            ((version,),) = self._execute("PRAGMA data_version").fetchall()
        except sqlite3.Error:
            version = None
        self.answer([(future, version, None)])

    # --- a favoured transaction

    def _favour(self, job: Job) -> None:
        try:
            self._await_turn([job])
        except _GivenUpError:
            return
        favour = Favour(
            job,
            self._connection,
            begin=self._begin,
            next_of=self._next_of,
            answer=lambda job, told: self.answer([(job[0], told, None)]),
        )
        try:
            self._sync(lazy=False)
            self._begin()
            granted = favour.grant()
            told = self._tell_ahead()
            self._execute("COMMIT" if granted else "ROLLBACK")
            results: list[Result] = [(favour.job[0], None, None)] if granted else []
        except Exception as error:  # noqa: BLE001  whoever asked shall see it
            self._abandon()
            results = [(favour.job[0], None, self._savepoints.told(error))]
            told = set[str]()
        finally:
            self._turn.give()
        self._publish(results, told)

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


def _sorted(jobs: Sequence[Job]) -> tuple[Sequence[Job], Sequence[Job]]:
    """Return those that share a commit, and the favoured and looking ones."""
    others = [job for job in jobs if job[1] >= STEP and (job[1] == LOOK or job[2].patient)]
    return ([job for job in jobs if job not in others], others) if others else (jobs, others)
