"""States that were loaded lately, so that a command need not read the whole history."""

from collections import OrderedDict
from typing import Any, NamedTuple

__all__ = ["Live", "Living"]


class Live(NamedTuple):
    """A state, and the version it is of. It may be old: whoever writes says which he saw."""

    state: Any
    version: int


class Living:
    """The states used last, at most `size` of them."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._states: OrderedDict[str, Live] = OrderedDict()

    def get(self, key: str) -> Live | None:
        if (found := self._states.get(key)) is not None:
            self._states.move_to_end(key)
        return found

    def put(self, key: str, live: Live) -> None:
        """Keep it, unless a newer one is kept."""
        states = self._states
        if (known := states.get(key)) is not None and known.version > live.version:
            return
        states[key] = live
        states.move_to_end(key)
        if len(states) > self._size:
            states.popitem(last=False)

    def clear(self) -> None:
        self._states.clear()
