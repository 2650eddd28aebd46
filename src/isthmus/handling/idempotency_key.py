"""The key of a step that may be done again: whoever is called with it does it once.

A contextvar carries it, so that clients of isthmus send it along without being told.
"""

from contextvars import ContextVar
from typing import NewType

__all__ = ["IdempotencyKey", "StepKey", "in_force"]

IdempotencyKey = NewType("IdempotencyKey", str)
"""A key that stays the same however often a step is done, after a crash too. A parameter of a
step's function that is annotated so is given it."""


class StepKey:
    """The key of a step that runs, handed out to the calls that it makes."""

    def __init__(self, text: str) -> None:
        self.text = IdempotencyKey(text)
        self._used = 0

    def next(self) -> str:
        """Return the key of the next call that changes something: the step's own for the first,
        and for others, told apart by their order, one that begins with it."""
        self._used += 1
        return self.text if self._used == 1 else f"{self.text}/{self._used}"


in_force: ContextVar[StepKey | None] = ContextVar("isthmus-idempotency-key", default=None)
"""The key of the step that runs here; None outside of one."""
