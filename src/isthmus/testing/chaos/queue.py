"""A queue that fails by script."""

from collections.abc import Sequence
from typing import Any

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
from isthmus.message import Message
from isthmus.testing.chaos.script import ANY, READS, Chaos, Fault
from isthmus.testing.chaos.store import inner

__all__ = ["ChaoticQueue", "ChaoticReceiver"]


class ChaoticReceiver:
    def __init__(self, receiver: Receiver, chaos: Chaos) -> None:
        self._receiver = receiver
        self._chaos = chaos

    async def receive(self, limit: int, *, wait: float) -> Sequence[Delivery]:
        taken = await self._chaos.befall(
            "receive", lambda: self._receiver.receive(limit, wait=wait), may=READS
        )
        return [] if taken and self._chaos.loses("handing out") else taken

    async def extend(self, receipts: Sequence[str]) -> None:
        await self._chaos.befall("extend", lambda: self._receiver.extend(receipts), may=ANY)

    async def settle(self, outcomes: Sequence[Outcome], *, tx: Tx = None) -> None:
        await self._chaos.befall(
            "settle", lambda: self._receiver.settle(outcomes, tx=inner(tx)), may=ANY
        )

    async def drain(self) -> None:
        await self._receiver.drain()

    async def aclose(self) -> None:
        await self._receiver.aclose()


class ChaoticQueue:
    def __init__(self, queue: QueueEngine, chaos: Chaos) -> None:
        self._queue = queue
        self._chaos = chaos

    @property
    def capabilities(self) -> QueueCapabilities:
        return self._queue.capabilities

    async def declare(self, topic: str, subscription: str, **options: Any) -> None:
        await self._chaos.befall(
            "declare", lambda: self._queue.declare(topic, subscription, **options), may=ANY
        )

    async def send(
        self, topic: str, messages: Sequence[Message], *, delay: float = 0.0, tx: Tx = None
    ) -> None:
        await self._chaos.befall(
            "send",
            lambda: self._queue.send(topic, messages, delay=delay, tx=inner(tx)),
            may=ANY | {Fault.TWICE},
        )

    async def receiver(
        self, topic: str, subscription: str, *, limit: int, lease: float
    ) -> Receiver:
        opened = await self._chaos.befall(
            "receiver",
            lambda: self._queue.receiver(topic, subscription, limit=limit, lease=lease),
            may=READS,
        )
        return ChaoticReceiver(opened, self._chaos)

    async def stats(self, topic: str, subscription: str) -> QueueStats:
        return await self._chaos.befall(
            "stats", lambda: self._queue.stats(topic, subscription), may=READS
        )

    async def subscriptions(self) -> Sequence[tuple[str, str]]:
        return await self._chaos.befall("subscriptions", self._queue.subscriptions, may=READS)

    async def browse(
        self, topic: str, subscription: str, *, after: str = "", limit: int = 100
    ) -> Sequence[Waiting]:
        return await self._chaos.befall(
            "browse",
            lambda: self._queue.browse(topic, subscription, after=after, limit=limit),
            may=READS,
        )

    async def remove(
        self, topic: str, subscription: str, ids: Sequence[str], *, tx: Tx = None
    ) -> int:
        return await self._chaos.befall(
            "remove",
            lambda: self._queue.remove(topic, subscription, ids, tx=inner(tx)),
            may=ANY,
        )

    async def purge(self, topic: str, subscription: str) -> int:
        return await self._chaos.befall(
            "purge", lambda: self._queue.purge(topic, subscription), may=ANY
        )

    async def undeclare(self, topic: str, subscription: str) -> None:
        await self._chaos.befall(
            "undeclare", lambda: self._queue.undeclare(topic, subscription), may=ANY
        )

    async def maintain(self) -> int:
        return await self._chaos.befall("maintain", self._queue.maintain, may=ANY)


_: type[QueueEngine] = ChaoticQueue
__: type[Receiver] = ChaoticReceiver
