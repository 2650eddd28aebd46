"""Topics and subscriptions in one file."""

from collections.abc import Awaitable, Sequence
from functools import partial
from math import inf

from isthmus.contracts import (
    QueueCapabilities,
    QueueEngine,
    QueueStats,
    Receiver,
    Tx,
    Waiting,
)
from isthmus.engines.sqlite.database.database import Connection, Database
from isthmus.engines.sqlite.database.transaction import DONE
from isthmus.engines.sqlite.lanes.clearing import Clearing, Removal, find, sent, surplus, sweep
from isthmus.engines.sqlite.lanes.lanes import TABLES, channel_of
from isthmus.engines.sqlite.lanes.moments import Moments
from isthmus.engines.sqlite.lanes.receiver import SqliteReceiver
from isthmus.engines.sqlite.lanes.sends import Send, store
from isthmus.engines.sqlite.lanes.survey import Place, browse, count, oldest
from isthmus.engines.sqlite.limits import BOUND, MAX_BATCH, MAX_BODY, require_fitting
from isthmus.errors import ConfigError, NotFoundError
from isthmus.message import Message

__all__ = ["TABLES", "SqliteQueue"]

_FIND = """
SELECT sub, ordered, retention, max_length FROM isthmus_subscription
WHERE topic = ? AND name = ?
"""
_DECLARE = """
INSERT INTO isthmus_subscription (topic, name, ordered, retention, max_length)
VALUES (?1, ?2, ?3, ?4, ?5)
ON CONFLICT (topic, name) DO UPDATE SET retention = ?4, max_length = ?5 WHERE ordered = ?3
"""
_UNDECLARE = "DELETE FROM isthmus_subscription WHERE topic = ? AND name = ? RETURNING sub"
_ALL = "SELECT topic, name FROM isthmus_subscription"
_LIMITED = """
SELECT sub, retention, max_length FROM isthmus_subscription
WHERE retention IS NOT NULL OR max_length IS NOT NULL
"""


class SqliteQueue:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._moments = Moments(database)
        self._channels: dict[str, set[str]] = {}
        """What receivers of this process listen to, by topic."""
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
        wanted = (ordered, retention, max_length)
        found = await self._database.read(lambda db: _find(db, topic, subscription))
        if found is None or found[1:] != wanted:
            row = (topic, subscription, *wanted)
            found = await self._database.write(lambda db: _declare(db, row))
        if found[1] != ordered:
            raise ConfigError(
                f"subscription {topic}/{subscription} exists with ordered={bool(found[1])}: "
                "declare it so, or undeclare it first (which drops its messages)"
            )

    def send(
        self, topic: str, messages: Sequence[Message], *, delay: float = 0.0, tx: Tx = None
    ) -> Awaitable[None]:
        require_fitting(topic, messages)
        if not messages:
            return DONE
        send = Send.of(topic, messages, delay=delay, clock=self._database.clock)
        if tx is not None and not delay and topic in self._channels:
            self._database.meanwhile(tx, partial(self._wake, topic))
        return self._database.merge(store, send, tx=tx)

    async def receiver(
        self, topic: str, subscription: str, *, limit: int, lease: float
    ) -> Receiver:
        sub = await self._sub(topic, subscription)
        self._channels.setdefault(topic, set()).add(channel_of(sub))
        return SqliteReceiver(self._database, self._moments, sub, limit=limit, lease=lease)

    def _wake(self, topic: str) -> None:
        """Let who waits for this topic here claim in the commit that brings it something."""
        for channel in self._channels[topic]:
            self._database.wake(channel)

    async def stats(self, topic: str, subscription: str) -> QueueStats:
        sub, now = await self._sub(topic, subscription), await self._moments.now()
        return await self._database.read(lambda db: count(db, sub, now))

    async def subscriptions(self) -> Sequence[tuple[str, str]]:
        return await self._database.read(lambda db: db.execute(_ALL).fetchall())

    async def browse(
        self, topic: str, subscription: str, *, after: str = "", limit: int = 100
    ) -> Sequence[Waiting]:
        sub, now = await self._sub(topic, subscription), await self._moments.now()
        return await self._database.read(
            lambda db: browse(db, sub, after=after, limit=limit, now=now)
        )

    async def remove(
        self, topic: str, subscription: str, ids: Sequence[str], *, tx: Tx = None
    ) -> int:
        sub, now = await self._sub(topic, subscription), await self._moments.now()
        names = list(ids)
        # the long look happens beside the writers; what comes after `seen` is looked at in turn
        seen, found = await self._database.read(lambda db: (sent(db, sub), find(db, sub, names)))
        gone = await self._database.write(Removal(sub, names, found, seen, now), tx=tx)
        return gone or 0

    async def purge(self, topic: str, subscription: str) -> int:
        sub = await self._sub(topic, subscription)
        end = await self._database.read(lambda db: sent(db, sub))
        after = gone = 0
        while places := await self._next(sub, after, end):
            ids = [place.id for place in places]
            gone += await self._database.write(Clearing(sub, ids, await self._moments.now()))
            after = places[-1].number
        return gone

    async def _next(self, sub: int, after: int, end: int) -> Sequence[Place]:
        places = await self._database.read(lambda db: oldest(db, sub, after=after, limit=BOUND))
        return [place for place in places if place.number <= end]

    async def undeclare(self, topic: str, subscription: str) -> None:
        await self._database.write(lambda db: _undeclare(db, topic, subscription))
        while await self._database.write(lambda db: sweep(db, BOUND)):
            pass

    async def maintain(self) -> int:
        gone = await self._database.write(lambda db: sweep(db, BOUND), lazy=True)
        for limited in await self._database.read(lambda db: db.execute(_LIMITED).fetchall()):
            if gone >= BOUND:
                break
            gone += await self._shorten(*limited, most=BOUND - gone)
        return gone

    async def _shorten(
        self, sub: int, retention: float | None, max_length: int | None, *, most: int
    ) -> int:
        now = await self._moments.now()
        ids = await self._database.read(
            lambda db: surplus(
                db, sub, retention=retention, max_length=max_length, now=now, limit=most
            )
        )
        return await self._database.write(Clearing(sub, ids, now)) if ids else 0

    async def _sub(self, topic: str, subscription: str) -> int:
        found = await self._database.read(lambda db: _find(db, topic, subscription))
        if found is None:
            raise NotFoundError(
                f"subscription {topic}/{subscription} was never declared: declare it first"
            )
        return found[0]


def _find(db: Connection, topic: str, subscription: str) -> tuple[int, bool, float, int] | None:
    return db.execute(_FIND, (topic, subscription)).fetchone()


def _declare(db: Connection, row: tuple[object, ...]) -> tuple[int, bool, float, int]:
    """Return what is declared now."""
    db.execute(_DECLARE, row)
    return db.execute(_FIND, row[:2]).fetchone()


def _undeclare(db: Connection, topic: str, subscription: str) -> None:
    for (sub,) in db.execute(_UNDECLARE, (topic, subscription)).fetchall():
        db.wake(channel_of(sub))


_: type[QueueEngine] = SqliteQueue
