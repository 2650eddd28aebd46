"""A transaction of ours: one of the database's from the first statement of the user's on.

What isthmus does with it is staged, and done right before the commit in one statement. Without
a statement of the user's that is all there is: no connection is held, and it is one round trip.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from isthmus.contracts import Transaction
from isthmus.engines.postgres.database.native import Native, Server
from isthmus.engines.postgres.database.parameters import Compiled
from isthmus.engines.postgres.database.reads import Reads
from isthmus.engines.postgres.database.statements import Statements, rows_of
from isthmus.engines.postgres.database.steps import Call, Step, batches, merged, selection
from isthmus.errors import ConfigError, ConflictError

__all__ = ["Home", "PostgresTransaction"]

T = TypeVar("T")


class Home(Server, Protocol):
    """What a transaction needs of its database."""

    def now(self) -> float: ...

    def require_open(self) -> None: ...

    def tell(self, channels: Collection[int]) -> None: ...

    async def value(self, sql: str, *values: Any) -> Any: ...


class PostgresTransaction(Statements):
    def __init__(self, home: Home) -> None:
        self._home = home
        self._native = Native(home)
        self._turn = asyncio.Lock()  # a statement at a time, whoever asks
        self._wrote = False  # the user's statements may have changed rows
        self._ended = False
        self._deferred: list[tuple[Compiled, list[Any]]] = []
        self._staged: list[Step] = []
        self._reads = Reads()
        self._then: list[Callable[[], None]] = []

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
        async def work(connection: Any) -> int:
            if sql := statement.counting:
                return len(await connection.fetchmany(sql, rows))
            return sum([_changed(await connection.execute(statement.text, *row)) for row in rows])

        self._wrote = True
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

    async def _run(self, sql: str, work: Callable[[Any], Awaitable[T]]) -> T:
        async with self._turn:
            self.require_open()
            await self._begin(sql)
            return await self._native.run(sql, work)

    async def _begin(self, sql: str) -> None:
        """Begin, if nothing has, and run what was put off."""
        self._native.require_sound()
        deferred, self._deferred = self._deferred, []
        await self._native.begin(deferred[0][0].text if deferred else sql)
        await self._native.catch_up(deferred)

    # --- the end

    async def commit(self) -> None:
        async with self._turn:
            self.require_open()
            self._ended = True
            ended = False
            try:
                await self._commit()
                ended = True
            finally:
                await self._native.let_go(ended=ended)
        self._home.tell({number for step in self._staged for number in step.channels})
        for call in self._then:
            call()

    async def _commit(self) -> None:
        self._native.require_sound()
        parts = list(batches(self._calls()))
        if len(parts) <= 1 and not (self._native.begun or self._deferred):
            return await self._commit_at_once(parts)
        await self._begin("isthmus' own")
        for part in parts:
            await self._native.call(part)
        await self._native.commit()

    async def _commit_at_once(self, parts: Sequence[Sequence[Call]]) -> None:
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
            await self._native.let_go(ended=False)

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


_: type[Transaction] = PostgresTransaction
