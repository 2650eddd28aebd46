"""What many callers ask for at once becomes one call, and one commit."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

__all__ = ["Funnel"]

FLIGHT = 1_000_000
"""Most that goes in one commit, by weight: about as many bytes."""

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class Funnel(Generic[Item, Answer]):
    """Does items one flight after the other: what comes meanwhile goes with the next, as far
    as it is not too heavy.

    An error of a flight is told to all that were in it.
    """

    def __init__(
        self,
        does: Callable[[Sequence[Item]], Awaitable[Sequence[Answer]]],
        *,
        weigh: Callable[[Item], int],
    ) -> None:
        self._does, self._weigh = does, weigh
        self._waiting: list[tuple[Item, asyncio.Future[Answer]]] = []
        self._flying: asyncio.Task[None] | None = None

    def put(self, item: Item) -> asyncio.Future[Answer]:
        """Have it done; the future has its answer. Nobody needs to await it."""
        done: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, done))
        if self._flying is None:
            self._flying = asyncio.create_task(self._fly())
        return done

    async def _fly(self) -> None:
        try:
            while self._waiting:
                await self._do(self._board())
        finally:
            self._flying = None

    def _board(self) -> Sequence[tuple[Item, asyncio.Future[Answer]]]:
        """Return who goes with the next flight: at least one."""
        weight = count = 0
        for item, _ in self._waiting:
            weight += self._weigh(item)
            if count and weight > FLIGHT:
                break
            count += 1
        flight, self._waiting = self._waiting[:count], self._waiting[count:]
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
        while self._flying is not None:
            await asyncio.wait((self._flying,))
