"""Which handlers take too long, found by looking now and then.

A timer per message would cost something while the timeout is kept; a look does not.
"""

from collections.abc import Sequence
from typing import Generic, TypeVar

from isthmus.handling.pool import Pool, Slot

__all__ = ["Lateness"]

T = TypeVar("T")


class Lateness(Generic[T]):
    """Over the slots of one pool; how exact it is depends on how often it looks."""

    def __init__(self, pool: Pool[T], *, timeout: float) -> None:
        self._pool, self._timeout = pool, timeout
        self._since: dict[int, tuple[Sequence[T], float]] = {}

    def late(self, now: float) -> Sequence[Slot[T]]:
        """Return the slots that were seen with what they hold for `timeout` or longer."""
        seen, self._since = self._since, {}
        return [
            slot for slot in self._pool.slots if slot.holding and self._is_late(slot, seen, now)
        ]

    def _is_late(
        self, slot: Slot[T], seen: dict[int, tuple[Sequence[T], float]], now: float
    ) -> bool:
        before, since = seen.get(id(slot), (slot.holding, now))
        since = since if before is slot.holding else now
        self._since[id(slot)] = (slot.holding, since)
        return now - since >= self._timeout
