"""What comes while something is done, done together after it."""

import asyncio
import sys
from collections.abc import Callable, Coroutine, Iterator, Sequence
from itertools import chain
from typing import Any, Generic, TypeVar

__all__ = ["Gathering"]

T = TypeVar("T")


class Gathering(Generic[T]):
    """Collects items as long as it works on those before them, then has all worked on in
    one go: the longer a go takes, the more share the next one. At most `most` items to a go;
    if there are more, several run beside each other."""

    def __init__(
        self,
        work: Callable[[list[T]], Coroutine[Any, Any, None]],
        *,
        most: int = sys.maxsize,
        fewer: Callable[[], None] = lambda: None,
    ) -> None:
        """`fewer` is called whenever a go is over, and `count` is without what was in it."""
        self._work, self._most, self._fewer = work, most, fewer
        self._new: list[T] = []
        self._tasks: dict[asyncio.Task[None], list[T]] = {}

    def add(self, items: Sequence[T]) -> None:
        """Have `items` worked on, once this turn of the loop is over at the earliest."""
        if not (self._new or self._tasks):
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
        while self._new or self._tasks:
            if not self._tasks:
                self._begin()
            await asyncio.wait(list(self._tasks))

    def _begin(self) -> None:
        items, self._new = self._new, []
        for start in range(0, len(items), self._most):
            part = items[start : start + self._most]
            task = asyncio.create_task(self._work(part))
            self._tasks[task] = part
            task.add_done_callback(self._end)

    def _end(self, task: asyncio.Task[None]) -> None:
        del self._tasks[task]
        if not self._tasks:
            self._begin()
        self._fewer()
