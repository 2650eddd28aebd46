"""What one call of `put` asks for."""

from collections.abc import Collection, Sequence
from math import inf

import msgspec

from isthmus.contracts import Put
from isthmus.engines.postgres.database.steps import Call, Function

__all__ = ["Puts"]

_PUT = Function.of("put", "text[]", "text[]", "bytea[]", "bigint[]", "float8[]", "float8")
_PUT_ABSENT = Function.of("put_absent", "text[]", "text[]", "bytea[]", "float8[]", "float8")


class Puts(msgspec.Struct, frozen=True, gc=False):
    """Puts, each with its space."""

    puts: Sequence[tuple[str, Put]]

    @property
    def channels(self) -> Collection[int]:
        return ()

    @property
    def writes(self) -> Collection[tuple[str, str]]:
        return [(space, put.key) for space, put in self.puts]

    def call(self, now: float) -> Call:
        puts = sorted(self.puts, key=_place)  # the puts of one key keep their order
        spaces, keys = [space for space, _ in puts], [put.key for _, put in puts]
        values = [put.value for _, put in puts]
        untils = [inf if put.ttl is None else now + put.ttl for _, put in puts]
        if self._asks_for_absence() and len(set(self.writes)) == len(puts):
            return _PUT_ABSENT.call(spaces, keys, values, untils, now)
        versions = [put.if_version for _, put in puts]
        return _PUT.call(spaces, keys, values, versions, untils, now)

    def _asks_for_absence(self) -> bool:
        return all(put.if_version == 0 and put.value is not None for _, put in self.puts)

    @classmethod
    def merged(cls, steps: "Sequence[Puts]") -> "Sequence[Puts]":
        return [cls([each for step in steps for each in step.puts])]


def _place(one: tuple[str, Put]) -> tuple[str, str]:
    return one[0], one[1].key
