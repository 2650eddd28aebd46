"""One file, as the rest of the engine sees it: write, merge, read, wait."""

import asyncio
from collections.abc import Awaitable, Callable, Generator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from isthmus.clock import Clock
from isthmus.contracts import Durability, Tx
from isthmus.engines.sqlite.address import Address
from isthmus.engines.sqlite.connection import Connection, OwnConnection, Work
from isthmus.engines.sqlite.reader import Reader
from isthmus.engines.sqlite.schema import prepare
from isthmus.engines.sqlite.script import Answer, Script
from isthmus.engines.sqlite.transaction import ScriptTransaction
from isthmus.engines.sqlite.turn import Turn
from isthmus.engines.sqlite.wakes import Wakes
from isthmus.engines.sqlite.writer import COMMIT, MERGE, STEP, WRITE, Writer
from isthmus.errors import ConfigError, UnavailableError

__all__ = ["Connection", "Database", "Work"]

T = TypeVar("T")
I = TypeVar("I")  # noqa: E741
R = TypeVar("R")


class Database:
    """The file's door. It belongs to the event loop that first uses it."""

    def __init__(self, address: Address, *, clock: Clock) -> None:
        self.path, self.clock = address.path, clock
        self.durability: Durability = address.durability
        self.scope = f"sqlite:///{address.path}"
        self._wakes = Wakes()
        self._closed = False
        self._turn = Turn(Path(f"{address.path}.lock"))
        self._own = [
            OwnConnection.open(address.path, busy_timeout=address.busy_timeout, writes=writes)
            for writes in (True, False)
        ]
        self._writer = Writer(
            self._own[0],
            self._turn,
            path=address.path,
            full=address.durability == "disk",
            committed=self._committed,
        )
        self._reader = Reader("reader", self._own[1], path=address.path)

    @classmethod
    async def open(cls, address: Address, *, clock: Clock, tables: Sequence[str]) -> "Database":
        """Open the file, creating it and `tables` (SQL) where missing."""
        await asyncio.to_thread(prepare, address.path, tables, busy_timeout=address.busy_timeout)
        return cls(address, clock=clock)

    # --- writing and reading

    def write(self, work: Work[T], *, tx: Tx = None, lazy: bool = False) -> Awaitable[T]:
        """Do `work` in the next commit. If it raises, only it is undone.

        With `tx` it is staged, and None returned at once; its errors come out
        of the commit. A `lazy` one may be lost with the machine's power: a group
        of nothing else does not wait for the disk.
        """
        if tx is not None:
            self._mine(tx).stage(work)
            return _STAGED
        future = self._writer.future()
        self._writer.submit((future, WRITE, work, None, lazy))
        return future

    def merge(
        self,
        work: Callable[[Connection, list[I]], Sequence[R | BaseException]],
        item: I,
        *,
        tx: Tx = None,
        lazy: bool = False,
    ) -> Awaitable[R]:
        """Like `write`, but all items for `work` in a group become one call of it.

        It answers each; an exception in an answer is raised for that item, of
        which nothing may have been written. If it raises, each is done alone.
        """
        if tx is not None:
            self._mine(tx).stage_merged(work, item)
            return _STAGED
        future = self._writer.future()
        self._writer.submit((future, MERGE, work, item, lazy))
        return future

    def read(self, work: Work[T], *, tx: Tx = None) -> Awaitable[T]:
        """Do `work`, which only reads, on the last commit. With `tx` it sees what
        that did by SQL, and must be answered the same when it commits."""
        if tx is not None:
            return self._mine(tx).ask(work, reads=True)
        future = self._reader.future()
        self._reader.submit((future, work))
        return future

    # --- transactions

    def begin(self, *, attempt: int = 1) -> ScriptTransaction:
        return ScriptTransaction(self, attempt=attempt)

    def ask(self, script: Script, work: Work[Any]) -> Awaitable[Answer]:
        """Answer one more line of a script."""
        future = self._writer.future()
        self._writer.submit((future, STEP, script, work, True))
        return future

    def commit(self, script: Script) -> Awaitable[None]:
        future = self._writer.future()
        self._writer.submit((future, COMMIT, script, None, False))
        return future

    def adopt(self, connection: object) -> ScriptTransaction:
        raise NotImplementedError

    def _mine(self, tx: Tx) -> ScriptTransaction:
        if not isinstance(tx, ScriptTransaction) or tx.scope != self.scope:
            raise ConfigError(
                f"the transaction is of {getattr(tx, 'scope', tx)!r}, but this is {self.scope!r}; "
                "only what shares a database shares a transaction"
            )
        return tx

    # --- waiting

    async def until(
        self, probe: Callable[[], Awaitable[tuple[T, float]]], *, channel: str, wait: float
    ) -> T:
        """Ask `probe` for (found, next due moment) until it found something, or
        `wait` is over; again whenever `channel` is woken, or it is due."""
        end = self.clock.now() + wait
        while True:
            event = self._wakes.on(channel)
            found, due = await probe()
            now = self.clock.now()
            if found or now >= end:
                return found
            if self._closed:
                raise UnavailableError(f"{self.path}: the engine is closed")
            await self.clock.wait(event, max(0.001, min(end, due) - now))

    def wake(self, channel: str) -> None:
        """Let who waits on `channel` in this process look again."""
        self._wakes.wake(channel)

    def _committed(self, woken: set[str]) -> None:
        for channel in woken:
            self._wakes.wake(channel)

    async def aclose(self) -> None:
        if self._closed:
            return
        self._closed = True
        closed = UnavailableError(f"{self.path}: the engine is closed")
        self._wakes.wake_all()
        await self._writer.aclose(closed)
        await self._reader.aclose(closed)
        for connection in self._own:
            connection.close()
        self._turn.close()


class _Staged:
    """Awaited, it is None at once."""

    def __await__(self) -> Generator[Any, Any, Any]:
        yield from ()


_STAGED: Any = _Staged()

