"""Several payloads handled by one call, of which some may fail."""

from collections.abc import Iterable, Sequence
from typing import Generic, TypeVar, overload

from isthmus.errors import ConfigError
from isthmus.message import Message

__all__ = ["Batch"]

T = TypeVar("T")


class Batch(Sequence[T], Generic[T]):
    """The payloads of a batch, in the order of their messages.

    What the handler writes commits for the whole batch: to fail an item, write nothing for it.
    """

    def __init__(
        self, read: Iterable[tuple[int, Message, T]], failed: dict[int, Exception]
    ) -> None:
        """`read`: place in the delivered batch, message, payload; `failed` by place, added to."""
        self._read, self._failed = list(read), failed

    @property
    def messages(self) -> Sequence[Message]:
        """The message of each item."""
        return [message for _, message, _ in self._read]

    def fail(self, item: T | int, error: Exception | str) -> None:
        """Count one item as failed: it is retried alone, and the others are done.

        `item` is the very object of the batch; an int is always an index.

        Raises:
            ConfigError: The batch has no such item.
        """
        place = self._read[self._index(item)][0]
        self._failed[place] = RuntimeError(error) if isinstance(error, str) else error

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[T]: ...
    def __getitem__(self, index: int | slice) -> T | Sequence[T]:
        if isinstance(index, slice):
            return [value for _, _, value in self._read[index]]
        return self._read[index][2]

    def __len__(self) -> int:
        return len(self._read)

    def __repr__(self) -> str:
        return f"Batch({list(self)!r})"

    def _index(self, item: T | int) -> int:
        if isinstance(item, int) and -len(self) <= item < len(self):
            return item
        for index, (_, _, value) in enumerate(self._read):
            if value is item:
                return index
        raise ConfigError(f"the batch has no item {item!r}; give one of it, or its index")
