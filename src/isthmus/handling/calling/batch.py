"""Several payloads handled by one call, of which some may fail."""

from collections.abc import Iterator, Sequence
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
        self,
        values: Sequence[T],
        messages: Sequence[Message],
        places: Sequence[int],
        failed: dict[int, Exception],
    ) -> None:
        """`places`: that of each item in the delivered batch; `failed` by place, added to."""
        self._values, self._places, self._failed = values, places, failed
        self.messages = messages
        """The message of each item."""

    def fail(self, item: T | int, error: Exception | str) -> None:
        """Count one item as failed: it is retried alone, and the others are done.

        `item` is the very object of the batch; an int is always an index.

        Raises:
            ConfigError: The batch has no such item.
        """
        place = self._places[self._index(item)]
        self._failed[place] = RuntimeError(error) if isinstance(error, str) else error

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[T]: ...
    def __getitem__(self, index: int | slice) -> T | Sequence[T]:
        return self._values[index]

    def __iter__(self) -> Iterator[T]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Batch({list(self)!r})"

    def _index(self, item: T | int) -> int:
        if isinstance(item, int) and -len(self) <= item < len(self):
            return item
        for index, value in enumerate(self._values):
            if value is item:
                return index
        raise ConfigError(f"the batch has no item {item!r}; give one of it, or its index")
