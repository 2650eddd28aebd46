"""What many callers ask for at once becomes one call, and one commit."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar, cast

__all__ = ["Funnel"]

FLIGHT = 1_000_000
"""Most that goes in one commit, by weight: about as many bytes."""
MOST, MANY = 2, 128
"""Flights at a time; and how many have to wait for them to be divided among two."""

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class Funnel(Generic[Item, Answer]):
    """Does items one flight after the other: what comes meanwhile goes with the next, as far
    as it is not too heavy.

    Where many wait for what may be done `in_any_order`, there are two flights at a time: one is
    made up while the server is at the other. An error of a flight is told to all in it.
    """

    def __init__(
        self,
        does: Callable[[Sequence[Item]], Awaitable[Sequence[Answer]]],
        *,
        weigh: Callable[[Item], int],
        in_any_order: Callable[[Item], bool] = lambda _: False,
    ) -> None:
        self._does, self._weigh, self._in_any_order = does, weigh, in_any_order
        self._waiting: list[tuple[Item, asyncio.Future[Answer]]] = []
        self._bound = 0
        """How many of them have to keep their order."""
        self._flying: set[asyncio.Task[None]] = set()
        self._is_boarding = self._lets_pass = False

    def put(self, item: Item) -> asyncio.Future[Answer]:
        """Have it done; the future has its answer. Nobody needs to await it."""
        done: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, done))
        self._bound += not self._in_any_order(item)
        if not self._is_boarding:
            self._begin()
        return done

    def _begin(self) -> None:
        """Begin a flight at the end of this turn, if one may begin."""
        if self._waiting and (not self._flying or self._may_begin_beside()):
            self._is_boarding = True
            self._flying.add(asyncio.create_task(self._fly()))

    def _may_begin_beside(self) -> bool:
        free = self._lets_pass and not self._bound and len(self._flying) < MOST
        return free and len(self._waiting) >= MANY // 2

    async def _fly(self) -> None:
        flight = self._board()
        self._is_boarding = False
        self._begin()
        try:
            await self._do(flight)
        finally:
            self._flying.discard(cast("asyncio.Task[None]", asyncio.current_task()))
            if not self._is_boarding:
                self._begin()

    def _board(self) -> Sequence[tuple[Item, asyncio.Future[Answer]]]:
        """Return who goes with the next flight: at least one."""
        self._lets_pass = not self._bound
        waiting = self._waiting
        half = self._lets_pass and len(self._flying) == 1 and len(waiting) >= MANY
        weight = count = 0
        for item, _ in waiting[: len(waiting) // 2] if half else waiting:
            weight += self._weigh(item)
            if count and weight > FLIGHT:
                break
            count += 1
        flight, self._waiting = waiting[:count], waiting[count:]
        if self._bound:
            self._bound = sum(not self._in_any_order(item) for item, _ in self._waiting)
        return flight

    async def _do(self, flight: Sequence[tuple[Item, asyncio.Future[Answer]]]) -> None:
        try:
            answers = await self._does([item for item, _ in flight])
        except Exception as error:  # noqa: BLE001 - each caller has it
            for _, done in flight:
                if not done.done():
                    done.set_exception(error)
            return
        for (_, done), answer in zip(flight, answers, strict=True):
            if not done.done():
                done.set_result(answer)

    async def empty(self) -> None:
        """Return once everything that was asked for is done."""
        while self._flying:
            await asyncio.wait(self._flying)
