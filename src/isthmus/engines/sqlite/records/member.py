"""One reader of a group."""

import secrets
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from isthmus.contracts import Member, Record, Transaction, Tx
from isthmus.engines.sqlite.database.database import Connection, Database
from isthmus.engines.sqlite.records.groups import Attendance, Fence, Group, Holding, Seat, fence
from isthmus.engines.sqlite.records.records import Row, Shape, channel_of, page, records_of

__all__ = ["SqliteMember", "new_name"]

Found = tuple[Sequence[Record]] | None
"""None: look again later."""


class _Pages(NamedTuple):
    """What lies before the cursors, and who owned what then."""

    rows: Mapping[int, Sequence[Row]]
    generation: int


class SqliteMember:
    def __init__(
        self, database: Database, shape: Shape, group: Group, name: str, *, session: float
    ) -> None:
        self._database, self._shape, self._group = database, shape, group
        self._name, self._session = name, session
        self._owned: dict[int, int] = {}
        self._revoking: frozenset[int] = frozenset()
        self._cursors: dict[int, int] = {}  # of each owned partition, where to read on
        self._generation = -1
        self._attended_at = float("-inf")
        self._due_at = float("inf")  # when another's session ends
        self._turn = 0
        self._drained = self._left = False

    @property
    def owned(self) -> Mapping[int, int]:
        return dict(self._owned)

    @property
    def revoking(self) -> frozenset[int]:
        return self._revoking

    # --- reading

    async def read(self, limit: int, *, wait: float) -> Sequence[Record]:
        async def probe() -> tuple[Found, float]:
            return await self._look(limit)

        channel = channel_of(self._shape.log)
        found = await self._database.until(probe, channel=channel, wait=wait)
        return found[0] if found else ()

    async def _look(self, limit: int) -> tuple[Found, float]:
        changed = self._is_due() and await self._attend()
        if self._drained:
            return ((),), 0.0
        before = dict(self._cursors)
        pages = await self._pages(before, limit)
        if pages.generation != self._generation:
            changed = await self._attend() or changed
            before = dict(self._cursors)
            pages = await self._pages(before, limit)
        records = self._advance(before, pages)
        if records or changed or limit <= 0:
            return (records,), 0.0
        return None, min(self._due_at, self._attended_at + self._session / 3)

    def _is_due(self) -> bool:
        now = self._database.clock.now()
        attended = self._attended_at
        return not attended <= now < min(self._due_at, attended + self._session / 10)

    async def _attend(self) -> bool:
        """Say that we are alive; return whether what we own has changed."""
        if self._left:
            return False
        now = self._database.clock.now()
        attendance = Attendance(self._group, self._name, self._session, now)
        seat = await self._database.write(attendance, lazy=True)
        self._attended_at, self._due_at = now, seat.due_at
        self._generation = seat.generation
        changed = (seat.owned, seat.revoking) != (self._owned, self._revoking)
        self._sit(seat)
        return changed

    def _sit(self, seat: Seat) -> None:
        """Go on where the group stands, in each partition that is newly ours."""
        self._cursors = {
            partition: self._cursors[partition]
            if self._owned.get(partition) == epoch
            else seat.positions[partition]
            for partition, epoch in seat.owned.items()
        }
        self._owned, self._revoking = dict(seat.owned), seat.revoking

    async def _pages(self, cursors: Mapping[int, int], limit: int) -> _Pages:
        numbers = sorted(cursors.keys() - self._revoking)
        start = self._turn % len(numbers) if numbers else 0
        turns = [*numbers[start:], *numbers[:start]]
        return await self._database.read(
            lambda db: self._read_pages(db, [(p, cursors[p]) for p in turns], limit)
        )

    def _read_pages(self, db: Connection, places: Sequence[tuple[int, int]], limit: int) -> _Pages:
        rows: dict[int, Sequence[Row]] = {}
        for number, offset in places:
            if limit <= 0:
                break
            part = self._shape.parts[number]
            if found := page(db, part, offset=offset, limit=limit):
                rows[number] = found
                limit -= len(found)
        return _Pages(rows, self._group.generation(db))

    def _advance(self, before: Mapping[int, int], pages: _Pages) -> Sequence[Record]:
        """Return the records, unless another task read them meanwhile."""
        records: list[Record] = []
        for number, rows in pages.rows.items():
            if self._cursors.get(number) == before[number]:
                found = records_of(rows, number)
                self._cursors[number] = found[-1].offset + 1
                records += found
        self._turn += bool(records)
        return records

    # --- committing

    def _holding(self, partitions: Sequence[int]) -> Holding:
        return Holding(self._group, self._name, {p: self._owned.get(p, -1) for p in partitions})

    async def commit(self, positions: Mapping[int, int], *, tx: Tx = None) -> None:
        if positions:
            await self._fence(list(positions), dict(positions), tx)

    async def guard(self, partitions: Sequence[int], *, tx: Transaction) -> None:
        await self._fence(partitions, {}, tx)

    async def _fence(self, partitions: Sequence[int], positions: Mapping[int, int], tx: Tx) -> None:
        await self._database.merge(fence, Fence(self._holding(partitions), positions), tx=tx)

    async def release(self, partitions: Sequence[int]) -> None:
        ours = [partition for partition in partitions if partition in self._owned]
        if not ours:
            return
        holding = self._holding(ours)
        for partition in ours:
            del self._owned[partition], self._cursors[partition]
        self._revoking -= frozenset(ours)
        await self._database.write(holding.release)

    async def drain(self) -> None:
        self._drained = True
        self._database.wake(channel_of(self._shape.log))

    async def aclose(self) -> None:
        if self._left:
            return
        await self.drain()
        self._left = True
        holding = self._holding(list(self._owned))
        self._owned, self._revoking, self._cursors = {}, frozenset(), {}
        await self._database.write(holding.leave)


def new_name() -> str:
    return secrets.token_hex(8)


_: type[Member] = SqliteMember
