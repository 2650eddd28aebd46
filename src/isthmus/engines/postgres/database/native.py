"""A transaction of the database's, on a connection of its own, from its first statement on.

A refused statement is undone alone. That needs a savepoint, but not before the first one:
there is nothing yet that must stay.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, Protocol, TypeVar

from isthmus.engines.postgres.database.driver import ServerError
from isthmus.engines.postgres.database.faults import REFUSALS, told, told_of
from isthmus.engines.postgres.database.held import Watch
from isthmus.engines.postgres.database.parameters import Compiled
from isthmus.engines.postgres.database.pools import Pools
from isthmus.engines.postgres.database.steps import Call, selection
from isthmus.errors import ConflictError, IsthmusError, StatementError, UnavailableError
from isthmus.signals import Signals

__all__ = ["Native", "Server", "refused"]

T = TypeVar("T")
Work = Callable[[Any], Awaitable[T]]

PROMPT = 5.0
"""Seconds that a rollback may take; then the connection is closed, which is one too."""

_BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"
_MARK, _MARK_AGAIN = "SAVEPOINT isthmus", "RELEASE SAVEPOINT isthmus; SAVEPOINT isthmus"
_UNDO = "ROLLBACK TO SAVEPOINT isthmus"
_BEGIN_AGAIN = f"ROLLBACK; {_BEGIN}"


class Server(Protocol):
    """Where connections come from."""

    @property
    def scope(self) -> str: ...

    @property
    def pools(self) -> Pools: ...

    @property
    def signals(self) -> Signals: ...


class Native:
    def __init__(self, server: Server) -> None:
        self._server = server
        self._connection: Any = None
        self._savepoint = False
        self._unmarked = False  # something is done that a refusal must not undo
        self._watch: Watch | None = None
        self._failed: IsthmusError | None = None

    @property
    def begun(self) -> bool:
        return self._connection is not None

    def require_sound(self) -> None:
        """Raises what has ended it before its time, if anything has."""
        if self._failed is not None:
            raise self._failed

    def _fail(self, error: IsthmusError) -> IsthmusError:
        self._failed = error
        return error

    async def begin(self, sql: str) -> None:
        """Begin, if it has not begun, with this statement."""
        if self._connection is not None:
            return
        with told():
            self._connection = await self._server.pools.take()
        self._watch = Watch(self._server.signals, self._server.scope, sql)
        try:
            with self._server.pools.asked():
                await self._connection.execute(_BEGIN)
        except REFUSALS as error:
            raise self._fail(_out_of_reach(error)) from error

    async def run(self, sql: str, work: Work[T]) -> T:
        """Do `work`, which is this statement.

        Raises: StatementError: It was refused, and only it is undone.
        """
        try:
            with self._server.pools.asked():
                await self._mark()
                result = await work(self._connection)
        except REFUSALS as error:
            raise await self._undone(error, sql) from error
        except asyncio.CancelledError:
            self._fail(UnavailableError("a statement of the transaction was cancelled"))
            raise
        self._unmarked = True
        return result

    async def _mark(self) -> None:
        if self._unmarked:
            await self._connection.execute(_MARK_AGAIN if self._savepoint else _MARK)
            self._savepoint, self._unmarked = True, False

    async def _undone(self, error: Exception, sql: str) -> IsthmusError:
        found = told_of(error)
        if not isinstance(found, StatementError):
            return self._fail(found)
        if isinstance(error, ServerError):
            try:
                await self._connection.execute(_UNDO if self._savepoint else _BEGIN_AGAIN)
            except REFUSALS as lost:
                return self._fail(_out_of_reach(lost))
        return refused(found, sql)

    async def catch_up(self, deferred: Sequence[tuple[Compiled, list[Any]]]) -> None:
        """Run statements that nobody waits for: one that is refused undoes all."""
        for statement, values in deferred:
            try:
                with self._server.pools.asked():
                    await self._connection.execute(statement.text, *values)
            except REFUSALS as error:
                raise self._fail(refused(told_of(error), statement.text)) from error
            self._unmarked = True

    async def call(self, calls: Sequence[Call]) -> None:
        with told(), self._server.pools.asked():
            sql, values = selection(calls)
            await self._connection.fetchval(sql, *values)

    async def commit(self) -> None:
        try:
            with self._server.pools.asked():
                status = await self._connection.execute("COMMIT")
            if status != "COMMIT":
                raise ConflictError("the database rolled it back", subject="read")
        except REFUSALS as error:
            raise told_of(error) from error

    async def let_go(self, *, ended: bool) -> None:
        """Give the connection back; roll back first, unless it has `ended`."""
        if self._watch is not None:
            self._watch.end()
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                ended = ended or await self._rolled_back(connection)
            finally:
                self._server.pools.give_back(connection, sound=ended)

    async def _rolled_back(self, connection: Any) -> bool:
        """Return whether it could be; where the connection is lost, the server does so."""
        if isinstance(self._failed, UnavailableError):
            return False
        with suppress(*REFUSALS):
            async with asyncio.timeout(PROMPT):
                await connection.execute("ROLLBACK")
                return True
        return False


def _out_of_reach(error: Exception) -> IsthmusError:
    found = told_of(error)
    return found if found.retryable else UnavailableError(str(error))


def refused(error: IsthmusError, sql: str) -> IsthmusError:
    """Return the error with the statement in it, if it is about one."""
    if isinstance(error, StatementError):
        return StatementError(f"{error}; in: {sql[:200]}")
    return error
