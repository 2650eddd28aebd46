"""What came of a command."""

from collections.abc import Sequence
from typing import Generic, TypeVar

import msgspec

from isthmus.sourcing.recorded import Position

__all__ = ["Handled"]

E = TypeVar("E")


class Handled(msgspec.Struct, Generic[E], frozen=True, kw_only=True):
    """A command was decided. Outside a transaction its events are appended; inside, they are
    when it commits."""

    key: str
    version: int
    """Of the aggregate, after it."""
    events: Sequence[E]
    """What happened; maybe nothing."""
    repeated: bool = False
    """Whether its id was handled before: then this is what came of it then."""

    @property
    def position(self) -> Position:
        """Where it was written: a projection can be waited for (`caught_up(to=...)`)."""
        return Position(self.key, self.version)
