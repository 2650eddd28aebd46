"""One reader of a group."""

import secrets
from collections.abc import Mapping, Sequence
from math import inf
from typing import Any, NamedTuple

from isthmus.contracts import Member, Record, Transaction, Tx
from isthmus.engines.postgres.database.database import Database
from isthmus.engines.postgres.records.appends import Shape
from isthmus.engines.postgres.records.holding import Fence, Holding
from isthmus.engines.postgres.records.reading import pages

__all__ = ["PostgresMember", "new_name"]

_ATTEND = "SELECT * FROM isthmus.attend($1, $2, $3, $4)"
_GENERATION = "SELECT generation FROM isthmus.reader WHERE reader = $1"

Found = tuple[Sequence[Record]] | None
"""None: look again later."""


class _Seat(NamedTuple):
    """What a member has, once it has attended."""

    owned: Mapping[int, int]
    revoking: frozenset[int]
    positions: Mapping[int, int]
    generation: int
    due_at: float
    """When the session of another ends, unless it attends."""

    @classmethod
    def of(cls, rows: Sequence[Any]) -> "_Seat":
        last, held = rows[-1], rows[:-1]
        return cls(
            owned={row["number"]: row["epoch"] for row in held},
            revoking=frozenset(row["number"] for row in held if row["revoked"]),
            positions={row["number"]: row["next"] for row in held},
            generation=last["generation"],
            due_at=inf if last["due"] is None else last["due"],
        )


class PostgresMember:
    def __init__(
        self, database: Database, shape: Shape, reader: int, name: str, *, session: float
    ) -> None:
        self._database, self._shape, self._reader = database, shape, reader
        self._name, self._session = name, session
        self._owned: dict[int, int] = {}
        self._revoking: frozenset[int] = frozenset()
        self._cursors: dict[int, int] = {}  # of each owned partition, where to read on
        self._generation = -1
        self._attended_at = float("-inf")
        self._due_at = inf
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

        found = await self._database.until(probe, channel=self._shape.channel, wait=wait)
        return found[0] if found else ()

    async def _look(self, limit: int) -> tuple[Found, float]:
        changed = await self._attend() if await self._is_due() else False
        if self._drained:
            return ((),), 0.0
        records = await self._advance(limit) if limit > 0 else ()
        if records or changed or limit <= 0:
            return (records,), 0.0
        return None, min(self._due_at, self._attended_at + self._session / 3)

    async def _is_due(self) -> bool:
        """Whether to say that we are alive, or somebody wants us to look who owns what."""
        if self._left:
            return False
        now, attended = self._database.now(), self._attended_at
        if not attended <= now < min(self._due_at, attended + self._session / 10):
            return True
        return await self._database.value(_GENERATION, self._reader) != self._generation

    async def _attend(self) -> bool:
        """Say that we are alive; return whether what we own has changed."""
        now = self._database.now()
        rows = await self._database.rows(_ATTEND, self._reader, self._name, self._session, now)
        seat = _Seat.of(rows)
        if rows[-1]["turned"]:
            self._database.tell([self._shape.channel])
        self._attended_at, self._due_at = now, seat.due_at
        self._generation = seat.generation
        changed = (seat.owned, seat.revoking) != (self._owned, self._revoking)
        self._sit(seat)
        return changed

    def _sit(self, seat: _Seat) -> None:
        """Go on where the group stands, in each partition that is newly ours."""
        self._cursors = {
            partition: self._cursors[partition]
            if self._owned.get(partition) == epoch
            else seat.positions[partition]
            for partition, epoch in seat.owned.items()
        }
        self._owned, self._revoking = dict(seat.owned), seat.revoking

    async def _advance(self, limit: int) -> Sequence[Record]:
        """Read on, beginning with another partition each time; what another task has read
        meanwhile is left out."""
        before = dict(self._cursors)
        numbers = sorted(before.keys() - self._revoking)
        if not numbers:
            return ()
        start = self._turn % len(numbers)
        places = [(p, before[p]) for p in (*numbers[start:], *numbers[:start])]
        found = await pages(self._database, self._shape, places, limit)
        untouched = {p for p, at in before.items() if self._cursors.get(p) == at}
        records = [record for record in found if record.partition in untouched]
        for record in records:
            self._cursors[record.partition] = record.offset + 1
        self._turn += bool(records)
        return records

    # --- committing

    def _holding(self, partitions: Sequence[int]) -> Holding:
        epochs = {partition: self._owned.get(partition, -1) for partition in partitions}
        return Holding(self._reader, self._name, epochs)

    async def commit(self, positions: Mapping[int, int], *, tx: Tx = None) -> None:
        if positions:
            fence = Fence(self._holding(list(positions)), dict(positions))
            await self._database.apply(fence, tx)

    async def guard(self, partitions: Sequence[int], *, tx: Transaction) -> None:
        await self._database.apply(Fence(self._holding(partitions), {}), tx)

    async def release(self, partitions: Sequence[int]) -> None:
        ours = [partition for partition in partitions if partition in self._owned]
        if not ours:
            return
        holding = self._holding(ours)
        for partition in ours:
            del self._owned[partition], self._cursors[partition]
        self._revoking -= frozenset(ours)
        await self._database.call(holding.release(leaving=False), lazy=True)
        self._database.tell([self._shape.channel])

    async def drain(self) -> None:
        self._drained = True
        self._database.wake(self._shape.channel)

    async def aclose(self) -> None:
        if self._left:
            return
        await self.drain()
        self._left = True
        holding = self._holding(list(self._owned))
        self._owned, self._revoking, self._cursors = {}, frozenset(), {}
        await self._database.call(holding.release(leaving=True), lazy=True)
        self._database.tell([self._shape.channel])


def new_name() -> str:
    return secrets.token_hex(8)


_: type[Member] = PostgresMember
