"""What a transaction has read of the engine's tables, so that its commit can see whether it is
still so."""

from collections.abc import Collection, Mapping
from hashlib import md5
from typing import NamedTuple

from isthmus.engines.postgres.database.steps import Call, Function

__all__ = ["Reads", "Seen"]

_ENTRIES = ("text[]", "text[]", "bigint[]", "text[]", "float8[]")
_CHANGED_ENTRY = Function.of("changed_entry", *_ENTRIES)
_KEEP_ENTRIES = Function.of("keep_entries", *_ENTRIES, "boolean[]")
_CHANGED_HEAD = Function.of("changed_head", "text[]", "text[]", "bigint[]")
_KEEP_HEADS = Function.of("keep_heads", "text[]", "text[]", "bigint[]")


class Seen(NamedTuple):
    """An entry as it was read; version 0 if there was none."""

    version: int
    digest: str
    moment: float

    @classmethod
    def of(cls, version: int, value: bytes, moment: float) -> "Seen":
        return cls(version, md5(value, usedforsecurity=False).hexdigest(), moment)


class Reads:
    def __init__(self) -> None:
        self._entries: dict[tuple[str, str], Seen] = {}
        self._heads: dict[tuple[str, str], int] = {}

    def saw_entries(self, space: str, seen: Mapping[str, Seen]) -> None:
        for key, each in seen.items():
            self._entries.setdefault((space, key), each)

    def saw_head(self, log: str, key: str, version: int) -> None:
        """Note the last version that a key of a log had; 0 if it had none."""
        self._heads.setdefault((log, key), version)

    def looks(self) -> list[Call]:
        """Return what asks whether all of it is still so: the first that is not, or NULL."""
        calls = list[Call]()
        if self._entries:
            calls.append(_CHANGED_ENTRY.call(*self._columns()))
        if self._heads:
            calls.append(_CHANGED_HEAD.call(*self._head_columns()))
        return calls

    def keeps(self, writes: Collection[tuple[str, str]] = ()) -> list[Call]:
        """Return what has all of it stay so until the commit, or raises a conflict.

        `writes` are entries that the transaction is going to put itself.
        """
        calls = list[Call]()
        if self._entries:
            written = [place in writes for place in self._entries]
            calls.append(_KEEP_ENTRIES.call(*self._columns(), written))
        if self._heads:
            calls.append(_KEEP_HEADS.call(*self._head_columns()))
        return calls

    def _columns(self) -> tuple[list[str], list[str], list[int], list[str], list[float]]:
        seen = list(self._entries.values())
        return (
            [space for space, _ in self._entries],
            [key for _, key in self._entries],
            [each.version for each in seen],
            [each.digest for each in seen],
            [each.moment for each in seen],
        )

    def _head_columns(self) -> tuple[list[str], list[str], list[int]]:
        logs, keys = [log for log, _ in self._heads], [key for _, key in self._heads]
        return logs, keys, list(self._heads.values())
