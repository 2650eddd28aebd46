"""An ephemeral subscription: real-time updates for as long as somebody listens."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from types import TracebackType
from typing import Generic, TypeVar

from isthmus.contracts import Ack, Receiver
from isthmus.errors import SchemaError
from isthmus.handling.consuming.sift import is_wanted
from isthmus.handling.host import Host
from isthmus.handling.running.ephemeral import Ephemeral
from isthmus.message import new_id
from isthmus.schema.wire import Wire

__all__ = ["Listening"]

T = TypeVar("T")

KEPT = 60.0
"""Seconds for which a listener may fall behind; also how long it may be silent before
its subscription is swept away."""


class Listening(Generic[T]):
    """A subscription of its own, forgotten at the end, by its owner or by housekeeping."""

    def __init__(
        self, host: Host, topic: str, wire: Wire[T], where: Mapping[str, str | Sequence[str]]
    ) -> None:
        self._host, self._topic, self._wire, self._where = host, topic, wire, where
        self._name = f"listener-{new_id()}"
        self._ephemeral = Ephemeral(host)
        self._receiver: Receiver | None = None
        self._renewing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> AsyncIterator[T]:
        await self._ephemeral.register(self._topic, self._name, ttl=KEPT)
        await self._host.queue.declare(
            self._topic, self._name, retention=KEPT if self._limits else None
        )
        self._receiver = await self._host.queue.receiver(
            self._topic, self._name, limit=1000, lease=KEPT
        )
        self._renewing = asyncio.create_task(self._renew())
        return self._events(self._receiver)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._renewing is not None
        assert self._receiver is not None
        self._renewing.cancel()
        await self._receiver.aclose()
        await self._host.queue.undeclare(self._topic, self._name)
        await self._ephemeral.forget(self._topic, self._name)

    @property
    def _limits(self) -> bool:
        return self._host.queue.capabilities.browsable

    async def _renew(self) -> None:
        while True:
            await self._host.clock.sleep(KEPT / 3)
            await self._ephemeral.register(self._topic, self._name, ttl=KEPT)

    async def _events(self, receiver: Receiver) -> AsyncIterator[T]:
        while True:
            batch = await receiver.receive(100, wait=KEPT)
            await receiver.settle([Ack(delivery.receipt) for delivery in batch])
            for delivery in batch:
                message = delivery.message
                if is_wanted(message, self._where):
                    try:
                        await self._wire.fetch([message])
                        yield self._wire.read(message)
                    except SchemaError:
                        continue  # of a kind this listener does not know
