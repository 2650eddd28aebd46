"""What one call of `append` adds, and many calls together."""

from collections.abc import Collection, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

import msgspec

from isthmus.contracts import partition_of
from isthmus.engines.postgres.database.channels import channel
from isthmus.engines.postgres.database.steps import LARGE, Call, Function
from isthmus.engines.postgres.packing import pack, weight
from isthmus.message import Message

__all__ = ["Append", "Shape"]

_APPEND = Function.of(
    "append",
    "int",
    "boolean",
    "int[]",
    "text[]",
    "int[]",
    "bytea[]",
    "text[]",
    "bigint[]",
    "float8",
)


class Shape(NamedTuple):
    """What of a log never changes."""

    log: int
    name: str
    versioned: bool
    parts: tuple[int, ...]
    """The number that each partition has among all."""

    @property
    def channel(self) -> int:
        """What its readers, and the members of its groups, listen to."""
        return channel("log", self.name)

    def part_of(self, key: str) -> int:
        return self.parts[partition_of(key, len(self.parts))]


class Append(msgspec.Struct, frozen=True, gc=False):
    shape: Shape
    messages: Sequence[Message]
    expected: Mapping[str, int]

    @property
    def channels(self) -> Collection[int]:
        return (self.shape.channel,)

    @property
    def writes(self) -> Collection[tuple[str, str]]:
        return ()

    def call(self, now: float) -> Call:
        return _APPEND.call(
            self.shape.log,
            self.shape.versioned,
            [self.shape.part_of(message.key) for message in self.messages],
            [message.key for message in self.messages],
            [len(message.body) for message in self.messages],
            [pack(message) for message in self.messages],
            list(self.expected),
            list(self.expected.values()),
            now,
        )

    @classmethod
    def merged(cls, steps: "Sequence[Append]") -> "Sequence[Append]":
        """Merge neighbours that add to one log, if nothing of them can be refused."""
        found = list[Append]()
        for shape, some in groupby(steps, key=_shape):
            appends = list(some)
            if shape.versioned:
                found += appends
            elif weight(message for each in appends for message in each.messages) <= LARGE:
                added = [message for each in appends for message in each.messages]
                found.append(cls(shape, added, {}))
            else:
                found += appends
        return found


def _shape(append: Append) -> Shape:
    return append.shape
