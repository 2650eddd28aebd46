"""A topic with its subscriptions, in the words of the queue's tests."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import pytest_asyncio

from isthmus.clock import Clock
from isthmus.contracts import (
    Ack,
    Delivery,
    Engine,
    Nack,
    Outcome,
    QueueCapabilities,
    QueueEngine,
    QueueStats,
    Receiver,
    Tx,
    Waiting,
)
from isthmus.message import Message
from isthmus.testing.conformance.wiring import Conformance, Opening, Rig

__all__ = ["Orders", "QueueTests", "Taker", "bodies"]

BILLING = "billing"


def bodies(found: Sequence[Delivery | Waiting]) -> list[str]:
    return [each.message.body.decode() for each in found]


class Taker:
    """A receiver, in ticks."""

    def __init__(self, receiver: Receiver, rig: Rig) -> None:
        self.receiver = receiver
        self._rig = rig

    async def take(self, count: int = 1) -> list[Delivery]:
        """Take exactly `count`, however many calls that needs."""
        taken: list[Delivery] = []
        while len(taken) < count:
            more = await self.receiver.receive(count - len(taken), wait=self._rig.patience)
            assert more, f"wanted {count} messages, got only {bodies(taken)}"
            taken += more
        assert len(taken) == count
        return taken

    async def one(self) -> Delivery:
        return (await self.take())[0]

    async def take_all(self) -> list[Delivery]:
        taken: list[Delivery] = []
        while more := await self.receiver.receive(100, wait=self._rig.patience):
            taken += more
        return taken

    async def finds_nothing(self) -> bool:
        return not await self.receiver.receive(10, wait=self._rig.patience)

    async def ack(self, *deliveries: Delivery, tx: Tx = None) -> None:
        await self.receiver.settle([Ack(each.receipt) for each in deliveries], tx=tx)

    async def nack(
        self,
        *deliveries: Delivery,
        delay: float = 0.0,
        headers: Mapping[str, str] | None = None,
        counted: bool = True,
        tx: Tx = None,
    ) -> None:
        span = delay * self._rig.tick
        outcomes: list[Outcome] = [
            Nack(each.receipt, span, headers or {}, counted) for each in deliveries
        ]
        await self.receiver.settle(outcomes, tx=tx)

    async def extend(self, *deliveries: Delivery) -> None:
        await self.receiver.extend([each.receipt for each in deliveries])


class Orders(Rig):
    """A topic of this test's own, with the subscription "billing" to begin with."""

    @property
    def queue(self) -> QueueEngine:
        assert self.engine.queue is not None
        return self.engine.queue

    @property
    def able(self) -> QueueCapabilities:
        return self.queue.capabilities

    @property
    def topic(self) -> str:
        return f"orders-{self.name}"

    async def declare(self, subscription: str = BILLING, **options: Any) -> None:
        await self.queue.declare(self.topic, subscription, **options)

    async def declare_ordered(self) -> None:
        """Declare "line", whose messages keep their order by key."""
        if not self.able.ordered:
            pytest.skip("capability: ordered")
        await self.declare("line", ordered=True)

    async def send(
        self, *texts: str, delay: float = 0.0, tx: Tx = None, **attributes: Any
    ) -> list[Message]:
        messages = [Message(body=text.encode(), **attributes) for text in texts]
        await self.queue.send(self.topic, messages, delay=delay * self.tick, tx=tx)
        return messages

    async def send_later(self, *texts: str, delay: float, **attributes: Any) -> list[Message]:
        if self.able.max_delay < delay * self.tick:
            pytest.skip("capability: max_delay")
        return await self.send(*texts, delay=delay, **attributes)

    async def taker(
        self, subscription: str = BILLING, *, limit: int = 100, lease: float = 10.0
    ) -> Taker:
        receiver = await self.queue.receiver(
            self.topic, subscription, limit=limit, lease=lease * self.tick
        )
        return Taker(receiver, self)

    async def timed_taker(
        self, subscription: str = BILLING, *, lease: float, limit: int = 100
    ) -> Taker:
        if not self.able.timed:
            pytest.skip("capability: timed")
        return await self.taker(subscription, lease=lease, limit=limit)

    async def stats(self, subscription: str = BILLING) -> QueueStats:
        return await self.queue.stats(self.topic, subscription)

    async def browse(self, subscription: str = BILLING, **page: Any) -> Sequence[Waiting]:
        if not self.able.browsable:
            pytest.skip("capability: browsable")
        return await self.queue.browse(self.topic, subscription, **page)

    async def remove(self, *messages: Message, subscription: str = BILLING, tx: Tx = None) -> int:
        if not self.able.browsable:
            pytest.skip("capability: browsable")
        return await self.queue.remove(
            self.topic, subscription, [message.id for message in messages], tx=tx
        )

    async def maintain(self) -> int:
        """Maintain until there is nothing left to do."""
        gone = 0
        while more := await self.queue.maintain():
            gone += more
        return gone


class QueueTests(Conformance):
    @pytest_asyncio.fixture
    async def orders(self, engine: Engine, clock: Clock, opening: Opening) -> Orders:
        if engine.queue is None:
            pytest.skip("contract: queue")
        orders = self.rig(Orders, engine, clock, opening)
        await orders.declare()
        return orders
