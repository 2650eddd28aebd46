"""A transaction of ours: one of the database's from the first statement of the user's on.

What isthmus does with it is staged, and done right before the commit in one statement. Without
a statement of the user's that is all there is: no connection is held, and it is one round trip.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from isthmus.contracts import Transaction
from isthmus.engines.postgres.database.driver import ServerError
from isthmus.engines.postgres.database.faults import REFUSALS, told, told_of
from isthmus.engines.postgres.database.held import Watch
from isthmus.engines.postgres.database.parameters import Compiled
from isthmus.engines.postgres.database.pools import Pools
from isthmus.engines.postgres.database.reads import Reads
from isthmus.engines.postgres.database.statements import Statements, rows_of
from isthmus.engines.postgres.database.steps import Call, Step, batches, merged, selection
from isthmus.errors import (
    ConfigError,
    ConflictError,
    IsthmusError,
    StatementError,
    UnavailableError,
)
from isthmus.signals import Signals

__all__ = ["Home", "PostgresTransaction"]

T = TypeVar("T")

PROMPT = 5.0
"""Seconds that a rollback may take; then the connection is closed, which is one too."""

_BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"
_MARK, _MARK_AGAIN = "SAVEPOINT isthmus", "RELEASE SAVEPOINT isthmus; SAVEPOINT isthmus"
_UNDO = "ROLLBACK TO SAVEPOINT isthmus"
_BEGIN_AGAIN = f"ROLLBACK; {_BEGIN}"

Work = Callable[[Any], Awaitable[T]]


class Home(Protocol):
    """What a transaction needs of its database."""

    @property
    def scope(self) -> str: ...

    @property
    def pools(self) -> Pools: ...

    @property
    def signals(self) -> Signals: ...

    def now(self) -> float: ...

    def require_open(self) -> None: ...

    def tell(self, channels: Collection[int]) -> None: ...

    async def value(self, sql: str, *values: Any) -> Any: ...


class PostgresTransaction(Statements):
    def __init__(self, home: Home) -> None:
        self._home = home
        self._turn = asyncio.Lock()  # a statement at a time, whoever asks
        self._connection: Any = None
        self._marked = False  # something is done that a refusal must not undo
        self._savepoint = False
        self._wrote = False  # the user's statements may have changed rows
        self._ended = False
        self._failed: IsthmusError | None = None
        self._deferred: list[tuple[Compiled, list[Any]]] = []
        self._staged: list[Step] = []
        self._reads = Reads()
        self._then: list[Callable[[], None]] = []
        self._watch: Watch | None = None

    @property
    def scope(self) -> str:
        return self._home.scope

    def require_open(self) -> None:
        if self._ended:
            raise ConfigError("the transaction has ended; a task outlived its handler?")
        self._home.require_open()

    # --- what isthmus does

    async def stage(self, step: Step) -> Any:
        """Take the step when this commits."""
        self.require_open()
        self._staged.append(step)

    def then(self, call: Callable[[], None]) -> bool:
        """Call once this has committed; return True: that is known here."""
        self._then.append(call)
        return True

    async def look(self, sql: str, *values: Any) -> list[Any]:
        """Return rows of the engine's tables; what is staged is not seen.

        Raises: ConflictError: What was read before is so no longer.
        """
        self.require_open()
        async with self._home.pools.ours() as connection:
            for call in self._reads.looks():
                asked, given = selection([call])
                if (changed := await connection.fetchval(asked, *given)) is not None:
                    raise ConflictError(f"{changed} has changed since it was read", subject=changed)
            return await connection.fetch(sql, *values)

    async def saw(self, note: Callable[[Reads], None]) -> None:
        """Have the commit fail, if it writes and what was read has changed."""
        note(self._reads)

    # --- statements of the user's

    async def count(self, statement: Compiled, values: list[Any]) -> int:
        self._wrote = True
        status = await self._run(
            statement.text, lambda connection: connection.execute(statement.text, *values)
        )
        return _changed(status)

    async def count_all(self, statement: Compiled, rows: list[list[Any]]) -> int:
        self._wrote = True

        async def work(connection: Any) -> int:
            if sql := statement.counting:
                return len(await connection.fetchmany(sql, rows))
            return sum([_changed(await connection.execute(statement.text, *row)) for row in rows])

        return await self._run(statement.text, work)

    async def answer(self, statement: Compiled, values: list[Any]) -> Sequence[Any]:
        self._wrote = self._wrote or statement.changes
        rows = await self._run(
            statement.text, lambda connection: connection.fetch(statement.text, *values)
        )
        return rows_of(list(rows[0].keys()), rows) if rows else []

    async def put_off(self, statement: Compiled, values: list[Any]) -> None:
        self.require_open()
        self._wrote = True
        self._deferred.append((statement, values))

    async def _run(self, sql: str, work: Work[T]) -> T:
        async with self._turn:
            self.require_open()
            self._require_sound()
            connection = await self._begun(sql)
            try:
                await self._mark(connection)
                result = await work(connection)
            except REFUSALS as error:
                raise await self._refused(connection, error, sql) from error
            except asyncio.CancelledError:
                self._fail(UnavailableError("a statement of the transaction was cancelled"))
                raise
            self._marked = True
            return result

    def _require_sound(self) -> None:
        if self._failed is not None:
            raise self._failed

    def _fail(self, error: IsthmusError) -> IsthmusError:
        self._failed = error
        return error

    async def _begun(self, sql: str) -> Any:
        """Return the connection, once all that was put off is done."""
        if self._connection is None:
            with told():
                self._connection = await self._home.pools.take()
            self._watch = Watch(self._home.signals, self.scope, sql)
            try:
                await self._connection.execute(_BEGIN)
            except REFUSALS as error:
                raise self._fail(_out_of_reach(error)) from error
        await self._catch_up()
        return self._connection

    async def _catch_up(self) -> None:
        deferred, self._deferred = self._deferred, []
        for statement, values in deferred:
            try:
                await self._connection.execute(statement.text, *values)
            except REFUSALS as error:
                raise self._fail(_with(told_of(error), statement.text)) from error
            self._marked = True

    async def _mark(self, connection: Any) -> None:
        """Set a savepoint, if there is something that a refusal must not undo."""
        if self._marked:
            await connection.execute(_MARK_AGAIN if self._savepoint else _MARK)
            self._savepoint, self._marked = True, False

    async def _refused(self, connection: Any, error: Exception, sql: str) -> IsthmusError:
        """Undo the statement alone; return what its caller is told."""
        found = told_of(error)
        if not isinstance(found, StatementError):
            return self._fail(found)
        if isinstance(error, ServerError):
            try:
                await connection.execute(_UNDO if self._savepoint else _BEGIN_AGAIN)
            except REFUSALS as lost:
                return self._fail(_out_of_reach(lost))
        return _with(found, sql)

    # --- the end

    async def commit(self) -> None:
        async with self._turn:
            self.require_open()
            self._ended = True
            try:
                await self._commit()
            except BaseException:
                await self._let_go(sound=False)
                raise
            await self._let_go(sound=True)
        self._home.tell({number for step in self._staged for number in step.channels})
        for call in self._then:
            call()

    async def _commit(self) -> None:
        self._require_sound()
        if self._connection is None and not self._deferred:
            parts = list(batches(self._calls()))
            if len(parts) <= 1:
                return await self._at_once(parts)
        connection = await self._begun("")
        with told():
            for part in batches(self._calls()):
                sql, values = selection(part)
                await connection.fetchval(sql, *values)
        try:
            if await connection.execute("COMMIT") != "COMMIT":
                raise ConflictError("the database rolled it back", subject="read")
        except REFUSALS as error:
            raise told_of(error) from error

    async def _at_once(self, parts: Sequence[Sequence[Call]]) -> None:
        """Do what is staged, if anything, in one statement that commits itself."""
        for part in parts:
            sql, values = selection(part)
            await self._home.value(sql, *values)

    def _calls(self) -> list[Call]:
        """Return what is staged, and before it what has to be so still, if anything is written."""
        wrote = {place for step in self._staged for place in step.writes}
        kept = self._reads.keeps(wrote) if self._staged or self._wrote else []
        now = self._home.now()
        return [*kept, *(step.call(now) for step in merged(self._staged))]

    async def rollback(self) -> None:
        self._ended = True
        async with self._turn:
            await self._let_go(sound=False)

    async def _let_go(self, *, sound: bool) -> None:
        """Give the connection back, rolled back unless it is `sound`."""
        if self._watch is not None:
            self._watch.end()
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                sound = sound or await self._rolled_back(connection)
            finally:
                self._home.pools.give_back(connection, sound=sound)

    async def _rolled_back(self, connection: Any) -> bool:
        """Return whether it could be; the server does so itself where the connection is lost."""
        if isinstance(self._failed, UnavailableError):
            return False
        with suppress(*REFUSALS):
            async with asyncio.timeout(PROMPT):
                await connection.execute("ROLLBACK")
                return True
        return False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self._ended:
            await (self.commit() if kind is None else self.rollback())


def _changed(status: str) -> int:
    """Return the number of rows that a command's tag tells; -1 if it changes none."""
    verb, *numbers = status.split()
    return int(numbers[-1]) if verb in {"INSERT", "UPDATE", "DELETE", "MERGE"} else -1


def _out_of_reach(error: Exception) -> IsthmusError:
    found = told_of(error)
    return found if found.retryable else UnavailableError(str(error))


def _with(error: IsthmusError, sql: str) -> IsthmusError:
    if isinstance(error, StatementError):
        return StatementError(f"{error}; in: {sql[:200]}")
    return error


_: type[Transaction] = PostgresTransaction
