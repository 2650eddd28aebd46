"""What is given in one turn of the loop, done together."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from itertools import chain
from typing import Any, Generic, TypeVar

__all__ = ["Gathering"]

T = TypeVar("T")


class Gathering(Generic[T]):
    """Collects items, and has all of one turn worked on in one go."""

    def __init__(self, work: Callable[[list[T]], Coroutine[Any, Any, None]]) -> None:
        self._work = work
        self._new: list[T] = []
        self._tasks: dict[asyncio.Task[None], list[T]] = {}

    def add(self, items: Sequence[T]) -> None:
        """Have `items` worked on once this turn of the loop is over."""
        if not self._new:
            asyncio.get_running_loop().call_soon(self._begin)
        self._new += items

    @property
    def count(self) -> int:
        """How many were added and are not done."""
        return len(self._new) + sum(map(len, self._tasks.values()))

    def __iter__(self) -> Iterator[T]:
        return chain(self._new, *self._tasks.values())

    async def done(self) -> None:
        """Wait until everything added so far is done."""
        self._begin()
        while self._tasks:
            await asyncio.wait(list(self._tasks))

    def _begin(self) -> None:
        if items := self._new:
            self._new = []
            task = asyncio.create_task(self._work(items))
            self._tasks[task] = items
            task.add_done_callback(self._tasks.pop)
