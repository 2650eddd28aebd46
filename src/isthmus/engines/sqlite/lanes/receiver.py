"""One taker of one subscription."""

from collections.abc import Awaitable, Sequence
from functools import lru_cache
from typing import Any

from isthmus.contracts import Delivery, Outcome, Receiver, Tx
from isthmus.engines.sqlite.database.database import Database
from isthmus.engines.sqlite.database.transaction import DONE
from isthmus.engines.sqlite.lanes.claims import Claim, Claimed, Row
from isthmus.engines.sqlite.lanes.held import Held
from isthmus.engines.sqlite.lanes.lanes import channel_of, first_due, lanes_of
from isthmus.engines.sqlite.lanes.leases import Receipt
from isthmus.engines.sqlite.lanes.moments import Moments
from isthmus.engines.sqlite.lanes.settlement import Extension, Settlement, settle
from isthmus.engines.sqlite.limits import require_few
from isthmus.engines.sqlite.packing import unpack_all
from isthmus.errors import LeaseLostError

__all__ = ["SqliteReceiver"]

FLOOD = 100
"""After so many that came back in a row, what is fresh has its turn."""

Found = tuple[Sequence[Delivery]] | None
"""None: look again later."""


class SqliteReceiver:
    def __init__(
        self, database: Database, moments: Moments, sub: int, *, limit: int, lease: float
    ) -> None:
        self._database, self._moments, self._sub = database, moments, sub
        self._channel = channel_of(sub)
        self._lease = lease
        self._held = Held(limit, lease=lease)
        self._asked = 0  # room that other calls have claims under way for
        self._busy = False  # the last claim took all it could
        self._heard = -1  # of the channel's news
        self._came_back = 0  # in a row
        self._drained = False

    # --- receiving

    async def receive(self, limit: int, *, wait: float) -> Sequence[Delivery]:
        async def probe() -> tuple[Found, float]:
            return await self._look(limit)

        found = await self._database.until(probe, channel=self._channel, wait=wait)
        return found[0] if found else ()

    async def _look(self, limit: int) -> tuple[Found, float]:
        if self._drained or limit <= 0:
            return ((),), 0.0
        now = await self._moments.now()
        heard, self._heard = self._heard, self._database.news(self._channel)
        # without a sign that there is something, look before asking for a turn to write
        if not self._busy and heard == self._heard and self._room(now) > 0:
            due = await self._database.read(lambda db: first_due(lanes_of(db, self._sub)))
            if due > now:
                return None, due
        return await self._claim(limit, now)

    def _room(self, now: float) -> int:
        return self._held.room(now) - self._asked

    async def _claim(self, limit: int, now: float) -> tuple[Found, float]:
        room = self._room(now)
        doubtful = () if room >= limit else self._held.doubtful()
        self._held.wanted = room <= 0
        if room <= 0 and not doubtful:
            return None, self._held.lapse_at()
        claim = Claim(
            sub=self._sub,
            most=limit,
            room=room,
            doubtful=[Receipt.read(receipt) for receipt in doubtful],
            now=now,
            span=self._lease,
            fresh_first=self._came_back >= FLOOD,
        )
        expected = max(0, min(limit, room + len(doubtful)))
        self._asked += expected
        try:
            claimed = await self._database.write(claim, lazy=True, last=True)
        finally:
            self._asked -= expected
            if self._held.wanted:  # another call may have what this one did not get
                self._database.wake(self._channel)
        return self._hand_out(claimed, now, all_of=limit)

    def _hand_out(self, claimed: Claimed, now: float, *, all_of: int) -> tuple[Found, float]:
        self._held.drop(map(str, claimed.settled))
        self._busy = len(claimed.rows) >= all_of
        if not claimed.rows:
            return None, min(claimed.due_at, self._held.lapse_at())
        deliveries = _deliveries(claimed.rows)
        self._held.take([each.receipt for each in deliveries], now)
        returned = all(each.attempt > 1 for each in deliveries)
        self._came_back = self._came_back + len(deliveries) if returned else 0
        return (deliveries,), 0.0

    # --- settling

    async def extend(self, receipts: Sequence[str]) -> None:
        if not receipts:
            return
        now = await self._moments.now()
        lost = await self._database.write(Extension(receipts, now, self._lease), lazy=True)
        self._held.drop(lost)
        self._held.extend([receipt for receipt in receipts if receipt not in lost], now)
        if lost:
            raise LeaseLostError(lost)

    def settle(self, outcomes: Sequence[Outcome], *, tx: Tx = None) -> Awaitable[None]:
        if not outcomes:
            return DONE
        require_few(outcomes)
        clock, whole = self._database.clock, tx is not None
        settlement = Settlement(self._sub, outcomes, clock, whole, self._held)
        receipts = [outcome.receipt for outcome in outcomes]
        settling: Awaitable[Any] = self._database.merge(settle, settlement, tx=tx)
        if not whole:
            return self._settled(settling, receipts)
        if not self._database.then(tx, lambda: self._let_go(receipts)):
            self._held.doubt(receipts)
        return settling

    async def _settled(self, settling: Awaitable[Sequence[str]], receipts: Sequence[str]) -> None:
        lost = await settling
        self._let_go(receipts)
        if lost:
            raise LeaseLostError(lost)

    def _let_go(self, receipts: Sequence[str]) -> None:
        self._held.drop(receipts)
        if self._held.wanted:
            self._database.wake(self._channel)

    async def drain(self) -> None:
        self._drained = True
        self._database.wake(self._channel)

    async def aclose(self) -> None:
        await self.drain()


def _deliveries(rows: Sequence[Row]) -> list[Delivery]:
    messages = unpack_all([packed for _, _, packed, _, _ in rows])
    return [
        Delivery(message, f"{_lease(token)}{id_:x}", attempt, lapses)
        for message, (id_, token, _, attempt, lapses) in zip(messages, rows, strict=True)
    ]


@lru_cache(maxsize=64)
def _lease(token: int) -> str:
    """Return how receipts begin, of all that a claim has taken."""
    return f"{token:x}."


_: type[Receiver] = SqliteReceiver
