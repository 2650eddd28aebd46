"""One taker of one subscription."""

import secrets
from collections.abc import Awaitable, Sequence
from math import inf
from typing import Any, NamedTuple

from isthmus.contracts import Delivery, Outcome, Receiver, Tx
from isthmus.engines.postgres.database.database import Database
from isthmus.engines.postgres.database.funnel import Funnel
from isthmus.engines.postgres.database.steps import Function
from isthmus.engines.postgres.limits import require_few
from isthmus.engines.postgres.packing import unpack
from isthmus.engines.postgres.slots.held import Held
from isthmus.engines.postgres.slots.moments import Moments
from isthmus.engines.postgres.slots.settlement import Line, Receipt, Settlement
from isthmus.errors import LeaseLostError

__all__ = ["PostgresReceiver", "Settling"]

_CLAIM = "SELECT * FROM isthmus.claim($1, $2, $3, $4, $5)"
_EXTEND = Function.of("extend", "int", "bigint[]", "bigint[]", "float8", "float8")
_LIVE = """
SELECT w.receipt FROM unnest($2::bigint[], $3::bigint[], $4::text[]) AS w(seq, token, receipt)
JOIN isthmus.slot s ON s.sub = $1 AND s.seq = w.seq AND s.token = w.token
"""

Found = tuple[Sequence[Delivery]] | None
"""None: look again later."""
Settling = Funnel[Settlement, Sequence[str]]
"""Settlements of many callers in one commit; answers are what is stale in each."""


class _Claimed(NamedTuple):
    deliveries: Sequence[Delivery]
    due: float
    """When something is due, if there was nothing."""


class PostgresReceiver:
    def __init__(
        self,
        database: Database,
        moments: Moments,
        settling: Settling,
        line: Line,
        *,
        limit: int,
        lease: float,
    ) -> None:
        self._database, self._moments, self._settling, self._line = (
            database,
            moments,
            settling,
            line,
        )
        self._lease = lease
        self._held = Held(limit, lease=lease)
        self._asked = 0  # room that claims are under way for
        self._short = False  # somebody waits for room
        self._drained = False

    # --- receiving

    async def receive(self, limit: int, *, wait: float) -> Sequence[Delivery]:
        async def probe() -> tuple[Found, float]:
            return await self._look(limit)

        found = await self._database.until(probe, channel=self._line.channel, wait=wait)
        return found[0] if found else ()

    async def _look(self, limit: int) -> tuple[Found, float]:
        if self._drained or limit <= 0:
            return ((),), 0.0
        now = await self._moments.now()
        room = await self._room(now, wanted=limit) - self._asked
        if room <= 0:
            self._short = True
            return None, self._held.lapse_at()
        claimed = await self._claim(min(limit, room), now)
        if not claimed.deliveries:
            return None, min(claimed.due, self._held.lapse_at())
        return (claimed.deliveries,), 0.0

    async def _room(self, now: float, *, wanted: int) -> int:
        room = self._held.room(now)
        if room < wanted and (doubtful := self._held.doubtful()):
            receipts = [Receipt.read(receipt) for receipt in doubtful]
            seqs, tokens = [each.seq for each in receipts], [each.token for each in receipts]
            live = await self._database.rows(_LIVE, self._line.sub, seqs, tokens, doubtful)
            self._held.drop(set(doubtful) - {row[0] for row in live})
            room = self._held.room(now)
        return room

    async def _claim(self, most: int, now: float) -> _Claimed:
        self._asked += most
        try:
            token = secrets.randbits(62) + 1
            rows = await self._database.rows(_CLAIM, self._line.sub, most, token, now, self._lease)
            claimed = _claimed(rows, token)
            self._held.take([each.receipt for each in claimed.deliveries], now)
        finally:
            self._asked -= most
            self._make_room()
        return claimed

    def _make_room(self) -> None:
        """Let those look again who found no room, if there are any."""
        if self._short:
            self._short = False
            self._database.wake(self._line.channel)

    # --- settling

    async def extend(self, receipts: Sequence[str]) -> None:
        if not receipts:
            return
        now = await self._moments.now()
        named = list(dict.fromkeys(receipts))
        read = [Receipt.read(receipt) for receipt in named]
        seqs, tokens = [each.seq for each in read], [each.token for each in read]
        call = _EXTEND.call(self._line.sub, seqs, tokens, now, self._lease)
        lost: set[str] = {named[place - 1] for place in await self._database.call(call)}
        self._held.drop(lost)
        self._held.take([receipt for receipt in named if receipt not in lost], now)
        if lost:
            raise LeaseLostError([receipt for receipt in receipts if receipt in lost])

    def settle(self, outcomes: Sequence[Outcome], *, tx: Tx = None) -> Awaitable[None]:
        require_few(outcomes)
        return self._settle(outcomes, tx)

    async def _settle(self, outcomes: Sequence[Outcome], tx: Tx) -> None:
        if not outcomes:
            return
        settlement = Settlement.of(self._line, outcomes, whole=tx is not None)
        receipts = [outcome.receipt for outcome in outcomes]
        if tx is not None:
            await self._database.apply(settlement, tx)
            if not self._database.own(tx).then(lambda: self._let_go(receipts)):
                self._held.doubt(receipts)
            return
        self._database.require_open()
        lost = await self._settling.put(settlement)
        self._let_go(receipts)
        if lost:
            raise LeaseLostError(lost)

    def _let_go(self, receipts: Sequence[str]) -> None:
        self._held.drop(receipts)
        self._make_room()

    async def drain(self) -> None:
        self._drained = True
        self._database.wake(self._line.channel)

    async def aclose(self) -> None:
        await self.drain()


def _claimed(rows: list[Any], token: int) -> _Claimed:
    if rows[0]["seq"] is None:
        return _Claimed((), inf if rows[0]["due"] is None else rows[0]["due"])
    rows.sort(key=_rank)
    return _Claimed([_delivery(row, token) for row in rows], inf)


def _rank(row: Any) -> tuple[int, int]:
    return -row["priority"], row["seq"]


def _delivery(row: Any, token: int) -> Delivery:
    return Delivery(
        message=unpack(row["packed"], row["added"]),
        receipt=str(Receipt(row["seq"], token)),
        attempt=row["attempt"],
        lapses=row["lapses"],
    )


_: type[Receiver] = PostgresReceiver
