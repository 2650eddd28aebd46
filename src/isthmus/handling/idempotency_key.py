"""The key of a step that may be done again: whoever is called with it does it once.

A contextvar carries it, so that clients of isthmus send it along without being told.
"""

from contextvars import ContextVar

__all__ = ["IdempotencyKey", "in_force"]


class IdempotencyKey(str):
    """A key that stays the same however often a step is done, after a crash too. Annotated so,
    a parameter of a step's function is given it."""

    __slots__ = ("_used",)

    def __new__(cls, text: str) -> "IdempotencyKey":
        key = super().__new__(cls, text)
        key._used = 0
        return key

    def next(self) -> str:
        """Return the key of the next call that changes something: the key itself for the first
        one, and for others, told apart by their order, one that begins with it."""
        self._used += 1
        return str(self) if self._used == 1 else f"{self}/{self._used}"


in_force: ContextVar[IdempotencyKey | None] = ContextVar("isthmus-idempotency-key", default=None)
"""The key of the step that runs here; None outside of one."""
