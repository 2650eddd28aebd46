"""A transaction of the user's own, on a connection or session they hold.

Everything runs on it at once, and becomes real when they commit. It never waits
its turn behind the side lock while it holds the database's, or the two would
wait for each other.
"""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from isthmus.contracts import Transaction
from isthmus.engines.sqlite.database.connection import Parameters, Work, told
from isthmus.engines.sqlite.database.guest import Guest
from isthmus.engines.sqlite.database.script import MergedWork
from isthmus.engines.sqlite.database.statements import Statements
from isthmus.engines.sqlite.processes.turn import Turn
from isthmus.errors import ConfigError

__all__ = ["AdoptedTransaction"]

T = TypeVar("T")

_FIRST_LOOK, _LAST_LOOK = 0.001, 0.02
"""How soon, and at last how often, it is seen whether the user has committed."""


class Borrowed:
    """A DB-API connection as a Work knows it."""

    def __init__(self, driver: Any, woken: set[str]) -> None:
        self._driver, self._woken = driver, woken

    def execute(self, sql: str, parameters: Parameters = (), /) -> sqlite3.Cursor:
        cursor = self._driver.cursor()
        cursor.execute(sql, parameters)
        return cursor

    def executemany(self, sql: str, parameters: Iterable[Parameters], /) -> sqlite3.Cursor:
        cursor = self._driver.cursor()
        cursor.executemany(sql, list(parameters))
        return cursor

    def wake(self, channel: str, *, ahead: bool = False) -> None:  # noqa: ARG002
        self._woken.add(channel)


class AdoptedTransaction(Statements):
    """See `isthmus.contracts.store.StoreEngine.adopt`."""

    def __init__(
        self, guest: Guest, *, path: Path, scope: str, committed: Callable[[set[str]], None]
    ) -> None:
        super().__init__(path)
        self._guest, self._scope, self._committed = guest, scope, committed
        self._woken: set[str] = set()
        self._watched = self._admitted = self._ended = False

    @property
    def scope(self) -> str:
        return self._scope

    def stage(self, work: Work[Any]) -> Awaitable[Any]:
        return self._do(work)

    def stage_merged(self, work: MergedWork, item: Any) -> Awaitable[Any]:
        return self._do(lambda at: _only(work(at, [item])))

    async def ask(self, work: Work[Any], *, reads: bool, ours: bool) -> Any:  # noqa: ARG002
        return await self._do(work)

    async def put_off(self, work: Work[Any], *, ours: bool) -> None:  # noqa: ARG002
        await self._do(work)

    async def _do(self, work: Work[T]) -> T:
        if self._ended:
            raise ConfigError("the transaction has ended; a task outlived its handler?")
        try:
            await self._admit()
            return await self._guest.run(lambda driver: _isolated(driver, work, self._woken))
        except sqlite3.Error as error:
            raise told(error, self._path) from error
        finally:
            self._watch()

    async def _admit(self) -> None:
        """Begin where nothing is begun; but what has ended does not begin again."""
        await self._guest.run(_nothing)
        if not self._guest.is_open():
            if self._admitted:
                raise ConfigError("the joined transaction was committed or rolled back; join again")
            await self._begin()
        self._admitted = True

    async def _begin(self) -> None:
        """Queue with our writers, once; alone it would depend on its luck against them."""
        turn = Turn(Path(f"{self._path}.lock"))
        try:
            await asyncio.to_thread(turn.take)
            await self._guest.run(lambda driver: driver.cursor().execute("BEGIN IMMEDIATE"))
        finally:
            turn.close()

    def _watch(self) -> None:
        if self._woken and not self._watched:
            self._watched = True
            loop = asyncio.get_running_loop()
            loop.call_later(_FIRST_LOOK, self._look, loop, _FIRST_LOOK)

    def _look(self, loop: asyncio.AbstractEventLoop, waited: float) -> None:
        """Wake who waits for this, soon after the user has committed."""
        if self._guest.is_open():
            wait = min(_LAST_LOOK, waited * 2)
            loop.call_later(wait, self._look, loop, wait)
            return
        self._watched = False
        woken, self._woken = self._woken, set()
        self._committed(woken)

    async def commit(self) -> None:
        self._ended = True

    async def rollback(self) -> None:
        self._ended = True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended = True


def _nothing(_: Any) -> None:
    """Look at the connection, and leave it."""


def _only(done: Any) -> Any:
    (answer,) = done
    if isinstance(answer, BaseException):
        raise answer
    return answer


def _isolated(driver: Any, work: Work[T], woken: set[str]) -> T:
    """Run `work`; if it raises, only it is undone."""
    borrowed = Borrowed(driver, woken)
    borrowed.execute("SAVEPOINT isthmus")
    try:
        result = work(borrowed)
    except Exception:
        with suppress(sqlite3.Error):
            borrowed.execute("ROLLBACK TO isthmus")
            borrowed.execute("RELEASE isthmus")
        raise
    borrowed.execute("RELEASE isthmus")
    return result


_: type[Transaction] = AdoptedTransaction
