"""An engine and memory, asked the same and compared answer by answer."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from isthmus.clock import ManualClock
from isthmus.connect import connect
from isthmus.contracts import Engine, StoreEngine, Transaction
from isthmus.errors import ConflictError, IsthmusError, LeaseLostError

__all__ = ["OpenEmpty", "Side", "Twins"]

PROMPT = 10.0
"""Real seconds after which an answer is called hanging: nothing here waits for anything."""

OpenEmpty = Callable[[ManualClock], Awaitable[Engine]]
"""Opens the engine on this clock, on a database that holds nothing yet."""


class Side:
    """One of the two: its engine, and its own words for what both know by number."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.transactions: list[Transaction] = []

    @property
    def store(self) -> StoreEngine:
        assert self.engine.store is not None
        return self.engine.store

    def tx(self, number: int | None) -> Transaction | None:
        """The transaction that was begun as this number; None for none."""
        return None if number is None else self.transactions[number]

    def plain(self, error: IsthmusError) -> tuple[Any, ...]:
        """What two engines must agree on when they refuse."""
        match error:
            case ConflictError():
                return (ConflictError,)
            case LeaseLostError():
                assert [self.number_of(each) for each in error.lost]  # some that it was given
                return (LeaseLostError,)
            case _:
                return (type(error),)

    def number_of(self, lost: object) -> int:
        """What both sides call a lost receipt, or partition."""
        assert isinstance(lost, int)
        return lost


SideT = TypeVar("SideT", bound=Side)


class Twins:
    """Asks both sides, on one clock that nobody but the test moves."""

    def __init__(self, open_empty: OpenEmpty, kind: Callable[[Engine], SideT]) -> None:
        self._runner = asyncio.Runner()
        self.clock = ManualClock()
        self._engine = kind(self._runner.run(_open(open_empty, self.clock)))
        self._memory = kind(self._runner.run(connect("memory://", clock=self.clock)))

    def ask(self, call: Callable[[Any], Awaitable[Any]]) -> Any:
        """Return what both answered; fail if they disagree."""
        engine, memory = (self._runner.run(self._answer(side, call)) for side in self.sides)
        assert engine == memory, f"the engine answers {engine!r}, memory {memory!r}"
        return memory

    async def _answer(self, side: Side, call: Callable[[Any], Awaitable[Any]]) -> Any:
        try:
            async with asyncio.timeout(PROMPT):
                return await call(side)
        except IsthmusError as error:
            return side.plain(error)

    @property
    def sides(self) -> tuple[Side, Side]:
        return self._engine, self._memory

    def advance(self, seconds: float) -> None:
        self._runner.run(self.clock.advance(seconds))

    def close(self) -> None:
        for side in self.sides:
            self._runner.run(side.engine.aclose())
        self._runner.close()


async def _open(open_empty: OpenEmpty, clock: ManualClock) -> Engine:
    return await open_empty(clock)
