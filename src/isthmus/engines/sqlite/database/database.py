"""One file, as the rest of the engine sees it: write, merge, read, wait."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from isthmus.clock import Clock
from isthmus.contracts import Durability, Tx
from isthmus.engines.sqlite.address import Address
from isthmus.engines.sqlite.database.adopted import AdoptedTransaction
from isthmus.engines.sqlite.database.checkpoints import Checkpoints
from isthmus.engines.sqlite.database.connection import Connection, OwnConnection, Work, told
from isthmus.engines.sqlite.database.glance import Glance
from isthmus.engines.sqlite.database.guest import guest_of
from isthmus.engines.sqlite.database.job import COMMIT, LAST, LOOK, MERGE, STEP, WRITE
from isthmus.engines.sqlite.database.reader import Reader, Readers
from isthmus.engines.sqlite.database.schema import prepare
from isthmus.engines.sqlite.database.script import Answer, Script
from isthmus.engines.sqlite.database.transaction import ScriptTransaction
from isthmus.engines.sqlite.database.writer import Writer
from isthmus.engines.sqlite.processes.home import Home
from isthmus.engines.sqlite.processes.post import Post
from isthmus.engines.sqlite.processes.turn import Turn
from isthmus.engines.sqlite.processes.wakes import Wakes
from isthmus.engines.sqlite.processes.watch import Watch
from isthmus.errors import ConfigError, UnavailableError

__all__ = ["Connection", "Database", "Work"]

T = TypeVar("T")
Item = TypeVar("Item")
Done = TypeVar("Done")

_SHORTEST_WAIT = 0.001
"""So that a due moment just missed by rounding is not asked for in a circle."""


class Database:
    """The file's door. It belongs to the event loop that first uses it."""

    def __init__(self, address: Address, *, clock: Clock) -> None:
        self.path, self.clock = address.path, clock
        self.durability: Durability = address.durability
        self.scope = f"sqlite:///{address.path}"
        self.closed = False
        self._home = Home()
        self._wakes = Wakes()
        self._post = Post(address.path)
        self._watch = Watch(look=self._look, changed=self._wakes.wake_all)
        self._writer = Writer(
            _opened(address, busy_timeout=0, writes=True),  # it waits by itself
            Turn(Path(f"{address.path}.lock")),
            Checkpoints(address.path, busy_timeout=address.busy_timeout),
            self._post,
            home=self._home,
            address=address,
            committed=self._woken,
        )
        self._reader = self._reading("reader", address)
        self._fetchers = Readers(lambda name: self._reading(name, address))
        self._glance = Glance(self._home, lambda: _opened(address, busy_timeout=0, writes=False))

    def _reading(self, name: str, address: Address) -> Reader:
        connection = _opened(address, busy_timeout=address.busy_timeout, writes=False)
        return Reader(name, connection, home=self._home, path=address.path)

    @classmethod
    async def open(cls, address: Address, *, clock: Clock, tables: Sequence[str]) -> "Database":
        """Open the file, creating it and `tables` (SQL) where missing."""
        await asyncio.to_thread(prepare, address.path, tables, busy_timeout=address.busy_timeout)
        return cls(address, clock=clock)

    # --- writing and reading

    def write(
        self, work: Work[T], *, tx: Tx = None, lazy: bool = False, last: bool = False
    ) -> Awaitable[T]:
        """Do `work` in the next commit. If it raises, only it is undone.

        With `tx` it is staged, and None returned at once; its errors come out
        of the commit. A `lazy` one may be lost with the machine's power: a group
        of nothing else does not wait for the disk. The `last` ones see what all
        others of that commit wrote.
        """
        if tx is not None:
            return self._mine(tx).stage(work)
        return self._writer.submit(LAST if last else WRITE, work, None, lazy)

    def merge(
        self,
        work: Callable[[Connection, list[Item]], Sequence[Done | BaseException]],
        item: Item,
        *,
        tx: Tx = None,
        lazy: bool = False,
    ) -> Awaitable[Done]:
        """Like `write`, but all items for `work` in a group become one call of it.

        It answers each; an exception in an answer is raised for that item, of
        which nothing may have been written. If it raises, each is done alone.
        """
        if tx is not None:
            ours = tx if isinstance(tx, ScriptTransaction) and tx.player is self else self._mine(tx)
            return ours.stage_merged(work, item)
        return self._writer.submit(MERGE, work, item, lazy)

    async def read(self, work: Work[T], *, tx: Tx = None, few: bool = False) -> T:
        """Do `work`, which only reads, on the last commit. With `tx` it sees what
        that did by SQL, and must be answered the same when it commits. Of `few` rows it
        is done at once, in the loop."""
        if tx is not None:
            return await self._mine(tx).ask(work, reads=True, ours=True)
        if few and not self.closed and (seen := self._glance.look(work)) is not None:
            return seen[0]
        return await self._read(work)

    def _read(self, work: Work[T]) -> Awaitable[T]:
        return self._reader.submit(work)

    # --- transactions

    def begin(self, *, attempt: int = 1) -> ScriptTransaction:
        self.require_open()
        return ScriptTransaction(self, patient=attempt > _UNLUCKY)

    def adopt(self, connection: object) -> AdoptedTransaction:
        self.require_open()
        guest = guest_of(connection, self.path)
        return AdoptedTransaction(guest, path=self.path, scope=self.scope, committed=self._adopted)

    def then(self, tx: Tx, call: Callable[[], None]) -> bool:
        """Call once `tx` has committed; return False if nobody here will know when it has."""
        if not isinstance(tx, ScriptTransaction):
            return False
        tx.then(call)
        return True

    def meanwhile(self, tx: Tx, call: Callable[[], None]) -> None:
        """Call when `tx`, if it is one of ours, is on its way to the disk: what is written then
        as one of the `last` mostly shares its commit."""
        if isinstance(tx, ScriptTransaction):
            tx.meanwhile(call)

    def ask(self, script: Script, work: Work[Any], *, reads: bool) -> asyncio.Future[Answer]:
        if reads and not script.wrote and not script.patient:
            script.reader = reader = script.reader or self._fetchers.pick()
            return reader.submit(partial(script.look, work=work))
        return self._writer.submit(STEP, script, work, True)

    def commit(self, script: Script) -> Awaitable[None]:
        return self._writer.submit(COMMIT, script, None, False)

    def forget(self, script: Script) -> None:
        if script.patient:
            self._writer.kick()

    def require_open(self) -> None:
        if self.closed:
            raise self._refusal()

    def _mine(self, tx: Tx) -> ScriptTransaction | AdoptedTransaction:
        if isinstance(tx, _OURS) and tx.scope == self.scope:
            return tx
        raise ConfigError(
            f"the transaction has the scope {getattr(tx, 'scope', tx)!r}, this has {self.scope!r}; "
            "only what lies in one database shares a transaction"
        )

    # --- waiting

    async def until(
        self, probe: Callable[[], Awaitable[tuple[T, float]]], *, channel: str, wait: float
    ) -> T:
        """Ask `probe` for (found, next due moment) until it found something, or
        `wait` is over; again whenever `channel` is woken, or it is due."""
        end = self.clock.now() + wait
        asked_at, event = self.clock.now(), self._wakes.on(channel)
        found, due = await probe()
        now = self.clock.now()
        if found or now >= end:
            return found
        with self._watching():
            while not (found or now >= end):
                self.require_open()
                if not asked_at < due <= now:  # else its moment came while `probe` looked
                    await self.clock.wait(event, max(_SHORTEST_WAIT, min(end, due) - now))
                asked_at, event = self.clock.now(), self._wakes.on(channel)
                found, due = await probe()
                now = self.clock.now()
        return found

    def news(self, channel: str) -> int:
        """Return a number that grows when there is something new on just this channel."""
        return self._wakes.news(channel)

    def wake(self, channel: str) -> None:
        """Let who waits on `channel` in this process look again."""
        self._wakes.wake(channel)

    def _watching(self) -> Watch:
        if not self._post.opened:
            self._post.open_box(asyncio.get_running_loop(), self._woken)
        return self._watch

    def _look(self) -> asyncio.Future[Any]:
        return self._writer.submit(LOOK, None, None, True)

    def _woken(self, channels: Iterable[str]) -> None:
        for channel in channels:
            if channel:
                self._wakes.wake(channel)
            else:
                self._wakes.wake_all()

    def _adopted(self, channels: set[str]) -> None:
        self._post.send(channels)
        self._woken(channels)

    # --- the end

    async def aclose(self) -> None:
        if self.closed:
            return
        self.closed = True
        self._watch.close()
        self._wakes.wake_all()
        for worker in (self._writer, self._reader, self._fetchers):
            await worker.aclose(self._refusal())
        self._glance.close()
        self._post.close()

    def _refusal(self) -> UnavailableError:
        return UnavailableError(f"{self.path}: the engine is closed")


_OURS = (ScriptTransaction, AdoptedTransaction)

_UNLUCKY = 2
"""Attempts after which a transaction may hold the writer for a moment."""


def _opened(address: Address, *, busy_timeout: float, writes: bool) -> OwnConnection:
    try:
        return OwnConnection.open(address.path, busy_timeout=busy_timeout, writes=writes)
    except sqlite3.Error as error:
        raise told(error, address.path) from error
