"""Topics and subscriptions in one table of messages."""

from collections.abc import Awaitable, Iterable, Mapping, Sequence
from itertools import accumulate, pairwise
from math import inf
from typing import Any

from isthmus.contracts import (
    QueueCapabilities,
    QueueEngine,
    QueueStats,
    Receiver,
    Tx,
    Waiting,
)
from isthmus.engines.postgres.database.database import Database
from isthmus.engines.postgres.database.funnel import Funnel
from isthmus.engines.postgres.database.steps import Function
from isthmus.engines.postgres.limits import (
    BOUND,
    MAX_BATCH,
    MAX_BODY,
    require_fitting,
    require_text,
)
from isthmus.engines.postgres.packing import weight
from isthmus.engines.postgres.slots.clearing import Removal, clear_all, sweep
from isthmus.engines.postgres.slots.moments import Moments
from isthmus.engines.postgres.slots.receiver import PostgresReceiver
from isthmus.engines.postgres.slots.sends import Send, Sends, channel_of
from isthmus.engines.postgres.slots.settlement import Line, Settlement
from isthmus.engines.postgres.slots.survey import COUNT, PAGE, number_of, waiting
from isthmus.errors import ConfigError, NotFoundError
from isthmus.message import Message

__all__ = ["PostgresQueue"]

_FIND = """
SELECT sub, ordered, retention, max_length FROM isthmus.subscription
WHERE topic = $1 AND name = $2
"""
_DECLARE = """
INSERT INTO isthmus.subscription (topic, name, ordered, retention, max_length)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (topic, name) DO UPDATE SET retention = $4, max_length = $5
WHERE subscription.ordered = $3
"""
_UNDECLARE = """
WITH gone AS (DELETE FROM isthmus.subscription WHERE topic = $1 AND name = $2 RETURNING sub)
INSERT INTO isthmus.dropped SELECT sub FROM gone
"""
_ALL = "SELECT topic, name FROM isthmus.subscription"
_LIMITED = """
SELECT sub, retention, max_length FROM isthmus.subscription
WHERE retention IS NOT NULL OR max_length IS NOT NULL
"""
_SHORTEN = Function.of("shorten", "int", "float8", "bigint", "float8", "int")


class PostgresQueue:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._moments = Moments(database)
        self._sending = Funnel[Send, None](
            self._send_all, weigh=_weight_of, in_any_order=_has_no_key
        )
        self._settling = Funnel[Settlement, Sequence[str]](
            self._settle_all, weigh=lambda settlement: 1000 * len(settlement.said)
        )
        database.finish_with(self._sending.empty)
        database.finish_with(self._settling.empty)
        self._capabilities = QueueCapabilities(
            scope=database.scope,
            durable=database.durability,
            ordered=True,
            priorities=True,
            timed=True,
            counted=True,
            browsable=True,
            max_delay=inf,
            max_batch=MAX_BATCH,
            max_body=MAX_BODY,
        )

    @property
    def capabilities(self) -> QueueCapabilities:
        return self._capabilities

    async def declare(
        self,
        topic: str,
        subscription: str,
        *,
        ordered: bool = False,
        retention: float | None = None,
        max_length: int | None = None,
    ) -> None:
        require_text((topic, subscription))
        wanted = (ordered, retention, max_length)
        found = await self._database.rows(_FIND, topic, subscription)
        if not found or tuple(found[0])[1:] != wanted:
            await self._database.rows(_DECLARE, topic, subscription, *wanted)
            found = await self._database.rows(_FIND, topic, subscription)
        if found[0]["ordered"] != ordered:
            raise ConfigError(
                f"subscription {topic}/{subscription} exists with ordered={not ordered}: "
                "declare it so, or undeclare it first (which drops its messages)"
            )

    # --- sending and settling

    def send(
        self, topic: str, messages: Sequence[Message], *, delay: float = 0.0, tx: Tx = None
    ) -> Awaitable[None]:
        require_fitting(topic, messages)
        return self._send(Send(topic, delay, list(messages)), tx)

    async def _send(self, send: Send, tx: Tx) -> None:
        if not send.messages:
            return
        if tx is not None:
            await self._database.apply(Sends([send]), tx)
            return
        self._database.require_open()
        await self._sending.put(send)

    async def _send_all(self, sends: Sequence[Send]) -> Sequence[None]:
        for step in Sends.merged([Sends(sends)]):
            await self._database.finish(step)
        return [None] * len(sends)

    async def _settle_all(self, settlements: Sequence[Settlement]) -> Sequence[Sequence[str]]:
        (together,) = Settlement.merged(settlements)
        stale = set(await self._database.finish(together, lazy=True))
        counts = [len(each.said) for each in settlements]
        return [
            [together.said[place].outcome.receipt for place in range(*span) if place + 1 in stale]
            for span in _spans(counts)
        ]

    async def receiver(
        self, topic: str, subscription: str, *, limit: int, lease: float
    ) -> Receiver:
        row = await self._find(topic, subscription)
        line = Line(row["sub"], row["ordered"], channel_of(topic))
        return PostgresReceiver(
            self._database, self._moments, self._settling, line, limit=limit, lease=lease
        )

    # --- looking

    async def stats(self, topic: str, subscription: str) -> QueueStats:
        sub, now = await self._sub(topic, subscription), await self._moments.now()
        (row,) = await self._database.rows(COUNT, sub, now)
        return QueueStats(**dict(row))

    async def subscriptions(self) -> Sequence[tuple[str, str]]:
        return [(topic, name) for topic, name in await self._database.rows(_ALL)]

    async def browse(
        self, topic: str, subscription: str, *, after: str = "", limit: int = 100
    ) -> Sequence[Waiting]:
        sub, now = await self._sub(topic, subscription), await self._moments.now()
        rows = await self._database.rows(PAGE, sub, number_of(after), limit)
        return [waiting(row, now) for row in rows]

    # --- letting go

    async def remove(
        self, topic: str, subscription: str, ids: Sequence[str], *, tx: Tx = None
    ) -> int:
        sub = await self._sub(topic, subscription)
        await self._moments.now()
        if not ids:
            return 0
        gone = await self._database.apply(Removal(sub, channel_of(topic), list(ids)), tx)
        return gone if tx is None else 0

    async def purge(self, topic: str, subscription: str) -> int:
        sub, now = await self._sub(topic, subscription), await self._moments.now()
        gone = await clear_all(self._database, sub, now)
        self._database.tell([channel_of(topic)])
        return gone

    async def undeclare(self, topic: str, subscription: str) -> None:
        await self._database.rows(_UNDECLARE, topic, subscription)
        self._database.tell([channel_of(topic)])
        while await sweep(self._database):
            pass

    async def maintain(self) -> int:
        now, gone = await self._moments.now(), await sweep(self._database)
        for row in await self._database.rows(_LIMITED):
            if gone >= BOUND:
                break
            gone += await self._database.call(_SHORTEN.call(*row, now, BOUND - gone))
        return gone

    async def _sub(self, topic: str, subscription: str) -> int:
        return (await self._find(topic, subscription))["sub"]

    async def _find(self, topic: str, subscription: str) -> Mapping[str, Any]:
        found = await self._database.rows(_FIND, topic, subscription)
        if not found:
            raise NotFoundError(
                f"subscription {topic}/{subscription} was never declared: declare it first"
            )
        return found[0]


def _has_no_key(send: Send) -> bool:
    return len(send.messages) == 1 and not send.messages[0].key


def _weight_of(send: Send) -> int:
    return weight(send.messages)


def _spans(counts: Iterable[int]) -> Iterable[tuple[int, int]]:
    return pairwise([0, *accumulate(counts)])


_: type[QueueEngine] = PostgresQueue
