"""One reader of a group in memory."""

import itertools
from collections.abc import Mapping, Sequence
from typing import TypeVar

from isthmus.contracts import Member, Record, Transaction, Tx
from isthmus.engines.memory.changes import Changes
from isthmus.engines.memory.database import Connection
from isthmus.engines.memory.group import Group
from isthmus.engines.memory.journal import Journal
from isthmus.engines.memory.transaction import Undo, nothing
from isthmus.errors import LeaseLostError

__all__ = ["MemoryMember"]

_members = itertools.count(1)


class MemoryMember:
    def __init__(
        self, connection: Connection, journal: Journal, group: Group, *, session: float
    ) -> None:
        self._at = connection
        self._journal = journal
        self._group = group
        self._session = session
        self._name = f"member-{next(_members)}"
        self._owned: dict[int, int] = {}
        self._revoking: frozenset[int] = frozenset()
        self._cursors: dict[int, int] = {}  # of each owned partition, where to read on
        self._turn = 0
        self._drained = self._left = False

    @property
    def owned(self) -> Mapping[int, int]:
        return dict(self._owned)

    @property
    def revoking(self) -> frozenset[int]:
        return self._revoking

    async def read(self, limit: int, *, wait: float) -> Sequence[Record]:
        before = self._owned, self._revoking

        def look() -> Sequence[Record] | None:
            self.attend()
            self._balance()
            if self._drained:
                return []
            changed = before != (self._owned, self._revoking)
            return self._next(limit) or ([] if changed else None)

        found = await self._at.until(look, changes=self._changes, due=self._due, wait=wait)
        return found or []

    def attend(self) -> None:
        if not self._left:
            self._group.attend(self._name, session=self._session, now=self._at.now())

    def _balance(self) -> None:
        """Take what is ours by now, note what is not, and start at the group's position."""
        if self._left:
            return
        self._group.take(self._name)
        owned = self._group.owned(self._name)
        self._revoking = self._group.surplus(self._name)
        self._cursors = {
            p: self._cursors[p] if self._owned.get(p) == epoch else self._group.positions[p]
            for p, epoch in owned.items()
        }
        self._owned = owned

    def _next(self, limit: int) -> Sequence[Record]:
        """At most `limit` records; the partition that begins changes every time."""
        open_ = [p for p in self._owned if p not in self._revoking]
        found: list[Record] = []
        for partition in _rotated(open_, self._turn):
            cursor = self._cursors[partition]
            records = self._journal.partitions[partition].slice(cursor, limit - len(found))
            if records:
                self._cursors[partition] = records[-1].offset + 1
                found += records
        self._turn += bool(found)
        return found

    def _changes(self) -> Changes:
        return self._journal.changes

    def _due(self) -> float:
        """When somebody's session ends, or ours wants to be renewed."""
        seats = self._group.seats
        others = [seat.until for name, seat in seats.items() if name != self._name]
        return min([*others, self._at.now() + self._session / 3])

    async def commit(self, positions: Mapping[int, int], *, tx: Tx = None) -> None:
        epochs = {partition: self._owned.get(partition) for partition in positions}

        def step() -> Undo:
            self._require(epochs)
            before = dict(self._group.positions)
            self._group.positions.update(positions)
            return lambda: self._group.positions.update(before)

        if positions:
            self._at.apply(step, tx)

    async def guard(self, partitions: Sequence[int], *, tx: Transaction) -> None:
        epochs = {partition: self._owned.get(partition) for partition in partitions}

        def step() -> Undo:
            self._require(epochs)
            return nothing

        if partitions:
            self._at.apply(step, tx)

    def _require(self, epochs: Mapping[int, int | None]) -> None:
        lost = [p for p, epoch in epochs.items() if not self._group.owns(self._name, p, epoch)]
        if lost:
            raise LeaseLostError(lost, what=f"partition of {self._journal.name!r}")

    async def release(self, partitions: Sequence[int]) -> None:
        self._at.require_open()
        self._group.release(
            self._name, {p: self._owned.pop(p) for p in partitions if p in self._owned}
        )
        self._revoking -= frozenset(partitions)
        self._journal.changes.note()

    async def drain(self) -> None:
        self._drained = True
        self._journal.changes.note()

    async def aclose(self) -> None:
        self._left = self._drained = True
        self._group.leave(self._name)
        self._owned, self._revoking = {}, frozenset()
        self._journal.changes.note()


T = TypeVar("T")


def _rotated(items: Sequence[T], by: int) -> Sequence[T]:
    start = by % len(items) if items else 0
    return [*items[start:], *items[:start]]


_: type[Member] = MemoryMember
