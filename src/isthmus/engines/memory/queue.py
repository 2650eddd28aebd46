"""Topics and subscriptions in memory."""

from collections.abc import Callable, Sequence

from isthmus.contracts import (
    Delivery,
    Outcome,
    QueueCapabilities,
    QueueEngine,
    QueueStats,
    Receiver,
    Tx,
    Waiting,
)
from isthmus.engines.memory.changes import Changes
from isthmus.engines.memory.database import FOREVER, MAX_BATCH, MAX_BODY, Connection
from isthmus.engines.memory.subscription import Slot, Subscription
from isthmus.engines.memory.transaction import Undo, undo_all
from isthmus.errors import ConfigError, LeaseLostError, NotFoundError
from isthmus.message import Message

__all__ = ["MemoryQueue", "MemoryReceiver"]

BOUND = 10_000
"""Most messages that one `maintain` drops."""


class MemoryQueue:
    def __init__(self, connection: Connection) -> None:
        self._at = connection
        self._capabilities = QueueCapabilities(
            scope=connection.scope,
            durable="memory",
            ordered=True,
            priorities=True,
            timed=True,
            counted=True,
            browsable=True,
            max_delay=FOREVER,
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
        self._at.require_open()
        found = self._all.setdefault((topic, subscription), Subscription(ordered=ordered))
        if found.ordered != ordered:
            raise ConfigError(
                f"subscription {topic}/{subscription} exists with ordered={found.ordered}: declare "
                "it so, or undeclare it first (which drops its messages)"
            )
        found.retention, found.max_length = retention, max_length

    @property
    def _all(self) -> dict[tuple[str, str], Subscription]:
        return self._at.database.subscriptions

    def _find(self, topic: str, subscription: str) -> Subscription:
        self._at.require_open()
        try:
            return self._all[topic, subscription]
        except KeyError:
            raise NotFoundError(
                f"subscription {topic}/{subscription} was never declared: declare it first"
            ) from None

    async def send(
        self, topic: str, messages: Sequence[Message], *, delay: float = 0.0, tx: Tx = None
    ) -> None:
        _require_fitting(topic, messages)

        def step() -> Undo:
            now = self._at.now()
            fed = [each for (name, _), each in self._all.items() if name == topic]
            done = [each.add(messages, delay=delay, now=now) for each in fed]
            return lambda: undo_all(done)

        if messages:
            self._at.apply(step, tx)

    async def receiver(
        self, topic: str, subscription: str, *, limit: int, lease: float
    ) -> Receiver:
        self._find(topic, subscription)
        return MemoryReceiver(
            self._at, lambda: self._find(topic, subscription), limit=limit, lease=lease
        )

    async def stats(self, topic: str, subscription: str) -> QueueStats:
        return self._find(topic, subscription).stats(self._at.now())

    async def subscriptions(self) -> Sequence[tuple[str, str]]:
        self._at.require_open()
        return list(self._all)

    async def browse(
        self, topic: str, subscription: str, *, after: str = "", limit: int = 100
    ) -> Sequence[Waiting]:
        found = self._find(topic, subscription)
        return found.browse(int(after or 0), limit, now=self._at.now())

    async def remove(
        self, topic: str, subscription: str, ids: Sequence[str], *, tx: Tx = None
    ) -> int:
        self._find(topic, subscription)
        gone = 0

        def step() -> Undo:
            nonlocal gone
            gone, undo = self._find(topic, subscription).remove(ids, now=self._at.now())
            return undo

        if ids:
            self._at.apply(step, tx)
        return gone

    async def purge(self, topic: str, subscription: str) -> int:
        return self._find(topic, subscription).purge(now=self._at.now())

    async def undeclare(self, topic: str, subscription: str) -> None:
        self._at.require_open()
        if (gone := self._all.pop((topic, subscription), None)) is not None:
            gone.changes.note()

    async def maintain(self) -> int:
        now, gone = self._at.now(), 0
        for subscription in self._all.values():
            gone += subscription.shorten(BOUND - gone, now=now)
        return gone


class MemoryReceiver:
    def __init__(
        self, connection: Connection, find: Callable[[], Subscription], *, limit: int, lease: float
    ) -> None:
        self._at = connection
        self._find = find
        self._limit = limit
        self._lease = lease
        self._drained = False
        self._numbers: dict[str, int] = {}  # of each receipt that was handed out

    async def receive(self, limit: int, *, wait: float) -> Sequence[Delivery]:
        def claim() -> Sequence[Delivery] | None:
            return [] if self._drained else self._claim(limit) or None

        return await self._at.until(claim, changes=self._changes, due=self._due, wait=wait) or []

    def _claim(self, limit: int) -> Sequence[Delivery]:
        subscription, now = self._find(), self._at.now()
        room = self._limit - self._count_held(subscription, now)
        claimed = subscription.claim(min(limit, room), lease=self._lease, now=now)
        self._numbers |= {delivery.receipt: number for number, delivery in claimed}
        return [delivery for _, delivery in claimed]

    def _count_held(self, subscription: Subscription, now: float) -> int:
        """Forget stale receipts; a lease that ran out leaves room."""
        held = {r: slot for r, n in self._numbers.items() if (slot := subscription.held(n, r))}
        self._numbers = {receipt: slot.number for receipt, slot in held.items()}
        return sum(slot.is_leased(now) for slot in held.values())

    def _changes(self) -> Changes:
        return self._find().changes

    def _due(self) -> float:
        return self._find().next_due(self._at.now())

    async def extend(self, receipts: Sequence[str]) -> None:
        subscription, now = self._find(), self._at.now()
        lost: list[str] = []
        for receipt in receipts:
            if (slot := self._slot(subscription, receipt)) is None:
                lost.append(receipt)
            else:
                subscription.extend(slot, lease=self._lease, now=now)
        if lost:
            raise LeaseLostError(lost)

    def _slot(self, subscription: Subscription, receipt: str) -> Slot | None:
        return subscription.held(self._numbers.get(receipt, 0), receipt)

    async def settle(self, outcomes: Sequence[Outcome], *, tx: Tx = None) -> None:
        if outcomes:
            self._at.apply(lambda: self._settle(outcomes, whole=tx is not None), tx)

    def _settle(self, outcomes: Sequence[Outcome], *, whole: bool) -> Undo:
        subscription, now = self._find(), self._at.now()
        lost: list[str] = []
        done: list[Undo] = []
        for outcome in outcomes:
            if (slot := self._slot(subscription, outcome.receipt)) is None:
                lost.append(outcome.receipt)
            else:
                done.append(subscription.end(slot, outcome, now=now))
        if lost and whole:
            undo_all(done)
        if lost:
            raise LeaseLostError(lost)
        return lambda: undo_all(done)

    async def drain(self) -> None:
        self._drained = True
        self._changes().note()

    async def aclose(self) -> None:
        await self.drain()


def _require_fitting(topic: str, messages: Sequence[Message]) -> None:
    if len(messages) > MAX_BATCH:
        raise ConfigError(f"{len(messages)} messages for {topic!r} at once, at most {MAX_BATCH}")
    for message in messages:
        if len(message.body) > MAX_BODY:
            raise ConfigError(
                f"message {message.id!r} for {topic!r} has {len(message.body)} bytes, at most "
                f"{MAX_BODY}: store the body elsewhere and send a reference to it"
            )


_: type[QueueEngine] = MemoryQueue
__: type[Receiver] = MemoryReceiver
