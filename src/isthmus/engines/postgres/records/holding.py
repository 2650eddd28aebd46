"""Partitions as a member owns them: under these epochs, or no longer."""

from collections.abc import Collection, Mapping, Sequence

import msgspec

from isthmus.engines.postgres.database.steps import Call, Function

__all__ = ["Fence", "Holding"]

_FENCE = Function.of("fence", "int", "text", "int[]", "bigint[]", "bigint[]")
_RELEASE = Function.of("release", "int", "text", "int[]", "bigint[]", "boolean")


class Holding(msgspec.Struct, frozen=True, gc=False):
    reader: int
    member: str
    epochs: Mapping[int, int]

    def release(self, *, leaving: bool) -> Call:
        epochs = list(self.epochs.values())
        return _RELEASE.call(self.reader, self.member, list(self.epochs), epochs, leaving)


class Fence(msgspec.Struct, frozen=True, gc=False):
    """What must still be held, and where the group then goes on."""

    holding: Holding
    positions: Mapping[int, int]

    @property
    def channels(self) -> Collection[int]:
        return ()

    @property
    def writes(self) -> Collection[tuple[str, str]]:
        return ()

    def call(self, now: float) -> Call:  # noqa: ARG002 - epochs know no time
        held = self.holding
        nexts = [self.positions.get(number) for number in held.epochs]
        epochs = list(held.epochs.values())
        return _FENCE.call(held.reader, held.member, list(held.epochs), epochs, nexts)

    @classmethod
    def merged(cls, steps: "Sequence[Fence]") -> "Sequence[Fence]":
        return steps
