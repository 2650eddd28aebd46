"""What isthmus does in the database, as calls of functions there: many in one statement."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import groupby
from typing import Any, NamedTuple, Protocol, Self, cast

__all__ = ["LARGE", "Call", "Function", "Step", "batches", "merged", "selection"]


AT_ONCE, LARGE = 24, 256 * 2**20
"""Most calls, and most bytes, in one statement."""


class Function(NamedTuple):
    """One of the engine's functions in the database."""

    name: str
    types: tuple[str, ...]

    @classmethod
    def of(cls, name: str, *types: str) -> "Function":
        return cls(name, types)

    def call(self, *values: Any) -> "Call":
        assert len(values) == len(self.types)
        return Call(self, values)


class Call(NamedTuple):
    function: Function
    values: tuple[Any, ...]

    @property
    def size(self) -> int:
        """About how many bytes its values are, as far as they may be many."""
        return sum(map(_size, self.values))


def _size(value: Any) -> int:
    if not isinstance(value, list):
        return 0
    return sum(len(each) for each in cast("list[Any]", value) if isinstance(each, bytes))


class Step(Protocol):
    """What one call of a contract's method does, now or when a transaction commits."""

    @property
    def channels(self) -> Collection[int]:
        """Who is to look again once it has committed."""
        ...

    @property
    def writes(self) -> Collection[tuple[str, str]]:
        """The entries that it puts, as space and key."""
        ...

    def call(self, now: float) -> Call:
        """Return what does it, at `now`: spans are counted from the commit."""
        ...

    @classmethod
    def merged(cls, steps: "Sequence[Self]") -> "Sequence[Self]":
        """Return steps that do what these do, in their order: fewer, if that can be."""
        ...


def merged(steps: Sequence[Step]) -> Iterator[Step]:
    """Merge neighbours of a kind."""
    for kind, some in groupby(steps, type):
        yield from cast("type[Step]", kind).merged(list(some))


def batches(calls: Iterable[Call]) -> Iterator[list[Call]]:
    """Divide calls into those that go in one statement."""
    batch, total = list[Call](), 0
    for call in calls:
        size = call.size
        if batch and (len(batch) == AT_ONCE or total + size > LARGE):
            yield batch
            batch, total = [], 0
        batch.append(call)
        total += size
    if batch:
        yield batch


def selection(calls: Sequence[Call]) -> tuple[str, list[Any]]:
    """Return one statement that makes the calls, in their order, and its values."""
    sql = _selection(tuple(call.function for call in calls))
    return sql, [value for call in calls for value in call.values]


@lru_cache(maxsize=512)
def _selection(functions: tuple[Function, ...]) -> str:
    """A list without FROM is worked off from left to right, and each function sees what
    those before it did."""
    asked, place = list[str](), 0
    for name, types in functions:
        given = [f"${place + n}::{kind}" for n, kind in enumerate(types, 1)]
        place += len(types)
        asked.append(f"isthmus.{name}({', '.join(given)})")
    return f"SELECT {', '.join(asked)}"
