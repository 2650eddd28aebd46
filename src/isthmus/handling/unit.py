"""The unit of work: what one handler does, all of it or nothing.

A contextvar carries it, so that whatever isthmus does inside a handler joins
the handler's transaction without being told.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar
from typing import Any, NamedTuple, TypeVar

import msgspec

from isthmus.contracts import Delivery, Record, StoreEngine, Transaction
from isthmus.errors import ConfigError, ConflictError, IsthmusError
from isthmus.schema import Schema
from isthmus.signals import Signal

__all__ = [
    "PATIENCE",
    "Answer",
    "Seal",
    "Unit",
    "current",
    "joined",
    "repeat",
    "transaction",
    "uncommitted",
]

T = TypeVar("T")

PATIENCE = 50
"""How often work is run again after ConflictError before it counts as failed."""


class Answer(NamedTuple):
    """What a handler returned, and what it says that it returns; None if it does not say."""

    value: Any = None
    schema: Schema[Any] | None = None


Seal = Callable[["Unit", Transaction], Awaitable[None]]


class Unit(msgspec.Struct, eq=False):
    """A transaction that begins when something first needs it."""

    store: StoreEngine
    attempt: int = 1
    batch: Sequence[Delivery | Record] = ()
    """What is being handled: one delivery or record, or a batch; empty outside handlers."""
    tx: Transaction | None = None
    seal: Seal | None = None
    """How it is written into another transaction, the user's own, that the batch is
    handled; None outside handlers."""
    sealed: bool = False
    """Whether that was written."""
    answer: Answer = Answer()
    """What the handler returned, for who asked."""
    kept: bytes = b""
    """What is kept with the id of what is handled; of a request, its answer."""
    carried: Mapping[str, str] | None = None
    """Headers that go on to what is sent, from what is handled; None until they are asked for."""
    facts: Sequence[Signal] = ()
    """What is told once it is committed."""

    def begin(self) -> Transaction:
        """Return the transaction, beginning it if nobody has."""
        if self.tx is None:
            self.tx = self.store.begin(attempt=self.attempt)
        return self.tx

    async def undo(self) -> None:
        """Roll back, if anything was begun; what is out of reach was not committed either."""
        if self.tx is not None:
            with suppress(IsthmusError):
                await self.tx.rollback()


current: ContextVar[Unit | None] = ContextVar("isthmus-unit", default=None)
"""The unit of the handler that runs here; None outside of one."""


@asynccontextmanager
async def transaction(store: StoreEngine, *, attempt: int = 1) -> AsyncGenerator[Transaction]:
    """Make everything inside one transaction; leave by commit, or by rollback.

    Raises:
        ConflictError: What it read has changed; nothing was written, run it
            again (`repeat` does).
    """
    handler = current.get()
    unit = Unit(store, attempt, handler.batch if handler else ())
    token = current.set(unit)
    try:
        async with unit.begin() as tx:
            yield tx
    finally:
        current.reset(token)


@asynccontextmanager
async def joined(store: StoreEngine, connection: object) -> AsyncGenerator[Transaction]:
    """Make everything inside part of the transaction that the user holds; in a handler,
    the fact that its message is handled, too.

    Raises:
        ConflictError: It was handled before; let it through, so that the user's
            transaction is rolled back.
    """
    handler = current.get()
    unit = Unit(store, batch=handler.batch if handler else ())
    unit.tx = store.adopt(connection)
    token = current.set(unit)
    try:
        async with unit.tx as tx:
            yield tx
            if handler is not None and handler.seal is not None:
                await handler.seal(handler, tx)
                handler.sealed = True
    finally:
        current.reset(token)


def uncommitted() -> ConfigError:
    """Return the failure of a handler that returned, but whose joined transaction is not there."""
    return ConfigError(
        "the transaction that the handler joined was rolled back, or never committed; commit it "
        "before the handler returns, and after a rollback raise"
    )


async def repeat(store: StoreEngine, work: Callable[[Transaction], Awaitable[T]]) -> T:
    """Run `work` in a transaction, again at once while the world moves on.

    Raises:
        ConflictError: 50 runs met a conflict each; nothing was written.
    """
    for attempt in range(1, PATIENCE):
        try:
            async with transaction(store, attempt=attempt) as tx:
                return await work(tx)
        except ConflictError:
            continue
    async with transaction(store, attempt=PATIENCE) as tx:
        return await work(tx)
