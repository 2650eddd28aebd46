"""A transaction of the user's own, on a connection or session they hold.

Everything runs on it at once, and becomes real when they commit: the notifications that wake
who waits for it too.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from isthmus.contracts import Transaction
from isthmus.engines.postgres.database.faults import told_of
from isthmus.engines.postgres.database.guest import Answered, Guest
from isthmus.engines.postgres.database.parameters import Compiled
from isthmus.engines.postgres.database.reads import Reads
from isthmus.engines.postgres.database.statements import Statements, rows_of
from isthmus.engines.postgres.database.steps import Call, Function, Step, selection
from isthmus.errors import (
    ConfigError,
    IsthmusError,
    StatementError,
    UnavailableError,
    UnsupportedError,
)

__all__ = ["AdoptedTransaction", "Host"]

T = TypeVar("T")

_TELL = Function.of("tell", "bigint[]")
_MARK, _UNMARK = "SAVEPOINT isthmus", "RELEASE SAVEPOINT isthmus"
_UNDO = "ROLLBACK TO SAVEPOINT isthmus"
_THERE = "SELECT current_database()::text, to_regclass('isthmus.identity') IS NOT NULL"
_IDENTITY = "SELECT id::text FROM isthmus.identity"


class Host(Protocol):
    """What it needs of the database that it is a transaction of."""

    @property
    def scope(self) -> str: ...

    @property
    def identity(self) -> str: ...

    def now(self) -> float: ...

    def require_open(self) -> None: ...


class AdoptedTransaction(Statements):
    """See `isthmus.contracts.store.StoreEngine.adopt`."""

    def __init__(self, host: Host, guest: Guest) -> None:
        self._host, self._guest = host, guest
        self._turn = asyncio.Lock()
        self._admitted = self._ended = False

    @property
    def scope(self) -> str:
        return self._host.scope

    def require_open(self) -> None:
        if self._ended:
            raise ConfigError("the transaction has ended; a task outlived its handler?")
        self._host.require_open()

    # --- what isthmus does

    async def stage(self, step: Step) -> Any:
        """Take the step now: it is real once the user has committed."""
        calls = [step.call(self._host.now())]
        if step.channels:
            calls.append(_TELL.call(sorted(step.channels)))
        return await self._call(calls)

    def then(self, call: Callable[[], None]) -> bool:  # noqa: ARG002
        """Return False: nobody tells us whether they committed."""
        return False

    async def look(self, sql: str, *values: Any) -> list[Any]:
        return list((await self._do(sql, values, rows=True)).rows)

    async def saw(self, note: Callable[[Reads], None]) -> None:
        """Have what was read stay as it is until they have committed."""
        reads = Reads()
        note(reads)
        if calls := reads.keeps():
            await self._call(calls)

    async def _call(self, calls: Collection[Call]) -> Any:
        sql, values = selection(list(calls))
        return (await self._do(sql, values, rows=True)).rows[0][0]

    # --- statements of the user's

    async def count(self, statement: Compiled, values: list[Any]) -> int:
        return _changed(await self._do(statement.text, values))

    async def count_all(self, statement: Compiled, rows: list[list[Any]]) -> int:
        async def work() -> int:
            done = [_changed(await self._guest.run(statement.text, row)) for row in rows]
            return sum(done)

        return await self._isolated(work, statement.text)

    async def answer(self, statement: Compiled, values: list[Any]) -> Sequence[Any]:
        answered = await self._do(statement.text, values, rows=True)
        return rows_of(answered.names, answered.rows) if answered.rows else []

    async def put_off(self, statement: Compiled, values: list[Any]) -> None:
        await self._do(statement.text, values)

    # --- on the connection

    async def _do(self, sql: str, values: Sequence[Any], *, rows: bool = False) -> Answered:
        return await self._isolated(lambda: self._guest.run(sql, values, rows=rows), sql)

    async def _isolated(self, work: Callable[[], Awaitable[T]], sql: str) -> T:
        """Run `work`; if it raises, only it is undone."""
        async with self._turn:
            self.require_open()
            await self._admit()
            try:
                await self._guest.run(_MARK)
                try:
                    result = await work()
                except Exception:
                    await self._guest.run(_UNDO)
                    raise
                await self._guest.run(_UNMARK)
            except Exception as error:
                raise _told(error, sql) from error
            return result

    async def _admit(self) -> None:
        """Begin where nothing is begun; but what has ended does not begin again."""
        if self._admitted:
            if not self._guest.is_open():
                raise ConfigError("the joined transaction was committed or rolled back; join again")
            return
        try:
            await self._guest.begin()
            name = await self._name_of_ours()
        except IsthmusError:
            raise
        except Exception as error:
            raise _told(error, "") from error
        if name is not None:
            raise UnsupportedError(
                f"the connection is to {name}, not to {self.scope}; only a transaction of the "
                "same database can be joined"
            )
        self._admitted = True

    async def _name_of_ours(self) -> str | None:
        """Return None if it is a connection to our database, or the name of the other."""
        name, there = (await self._guest.run(_THERE, rows=True)).rows[0]
        if there and name == self.scope.rpartition("/")[2]:
            identity = (await self._guest.run(_IDENTITY, rows=True)).rows[0][0]
            return None if identity == self._host.identity else f"another {name}"
        return name

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


def _told(error: Exception, sql: str) -> IsthmusError:
    if isinstance(error, IsthmusError):
        return error
    found = told_of(error)
    if type(found) is UnavailableError and not isinstance(error, OSError) and not _lost(error):
        found = StatementError(str(error))  # which the driver refused, before the database could
    if isinstance(found, StatementError):
        return StatementError(f"{found}; in: {sql[:200]}")
    return found


def _lost(error: Exception) -> bool:
    """Whether it is an error of the connection, whatever driver raised it."""
    return type(error).__name__ in {"OperationalError", "InterfaceError"} or hasattr(
        error, "sqlstate"
    )


def _changed(answered: Answered) -> int:
    verb, *numbers = answered.status.split() or [""]
    return int(numbers[-1]) if verb in {"INSERT", "UPDATE", "DELETE", "MERGE"} else -1


_: type[Transaction] = AdoptedTransaction
