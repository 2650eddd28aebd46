"""How a message leaves: at once, with the transaction, or through the store.

In a handler, a message may only leave if the handler's rows commit. Where the
engine shares the store's scope, it is sent with the transaction. Where it does
not, the outbox takes it - a queue in the store's scope - and the relay moves it
to the engine: send, then ack, so that it leaves at least once, under one id.

Source: "transactional outbox", Richardson, Microservices Patterns (2018), ch. 3.
"""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from itertools import groupby

from isthmus.contracts import Ack, Delivery, LogEngine, Nack, QueueEngine, Receiver
from isthmus.errors import LeaseLostError, UnavailableError, UnsupportedError
from isthmus.handling.host import Host
from isthmus.handling.unit import current
from isthmus.message import Message

__all__ = ["Appender", "Relay", "Sender", "declare_outbox", "needs_outbox"]

OUTBOX, RELAY = "isthmus.outbox", "relay"
TO = "isthmus-to"
"""Header of a message in the outbox: "queue:orders" or "log:ledger"."""


def needs_outbox(host: Host) -> bool:
    """Whether a message can be held up between the store and the engine."""
    limited = host.engine.queue is not None and host.queue.capabilities.max_delay < float("inf")
    return host.engine is not host.state or limited


async def declare_outbox(host: Host) -> None:
    """Declare the outbox where it is needed, so that it keeps what no relay takes yet."""
    if needs_outbox(host):
        await host.letters.declare(OUTBOX, RELAY, ordered=True)


class Sender:
    """The way to one topic of the engine's queues."""

    def __init__(self, host: Host, topic: str) -> None:
        self._host, self._topic, self._queue = host, topic, host.queue
        self._joins = host.one_scope
        self._max_delay = self._queue.capabilities.max_delay

    def send(self, messages: Sequence[Message], *, delay: float = 0.0) -> Awaitable[None]:
        """Send now; inside a unit of work, when it commits or not at all.

        Raises:
            UnavailableError: Outside a unit: a leading part may be sent.
        """
        unit = current.get()
        if delay > self._max_delay or not (unit is None or self._joins):
            return _into_outbox(self._host, f"queue:{self._topic}", messages, delay=delay)
        tx = None if unit is None else unit.begin()
        return self._queue.send(self._topic, messages, delay=delay, tx=tx)

    async def remove(self, ids: Sequence[str]) -> int:
        """Drop messages that wait: on the engine, or still in the outbox."""
        unit = current.get()
        tx = unit.begin() if unit is not None and self._joins else None
        if self._queue.capabilities.browsable:
            return await self._queue.remove(self._topic, self._topic, ids, tx=tx)
        return await self._host.letters.remove(OUTBOX, RELAY, ids)


class Appender:
    """The way to one log of the engine."""

    def __init__(self, host: Host, log: str) -> None:
        self._host, self._name, self._log = host, log, host.log
        scope = self._log.capabilities.scope
        self._joins = scope != "" and scope == host.store.capabilities.scope

    async def append(self, messages: Sequence[Message]) -> None:
        """Append now; inside a unit of work, when it commits or not at all."""
        unit = current.get()
        if unit is None:
            await self._log.append(self._name, messages)
        elif self._joins:
            await self._log.append(self._name, messages, tx=unit.begin())
        else:
            await _into_outbox(self._host, f"log:{self._name}", messages)


async def _into_outbox(
    host: Host, to: str, messages: Sequence[Message], *, delay: float = 0.0
) -> None:
    unit, outbox = current.get(), host.letters
    if outbox.capabilities.scope != host.store.capabilities.scope:
        raise UnsupportedError(
            "a message sent in a transaction needs an outbox in the same database, "
            "and this store has no queues; use a store that has: sqlite:// or postgresql://"
        )
    labelled = [message.with_headers({TO: to}) for message in messages]
    await outbox.send(OUTBOX, labelled, delay=delay, tx=unit and unit.begin())


class Relay:
    """Moves the outbox to the engine, in order for each key."""

    name = "relay"

    def __init__(self) -> None:
        self._receiver: Receiver | None = None
        self._draining = False

    async def run(self, host: Host) -> None:
        receiver = self._receiver = await host.letters.receiver(
            OUTBOX, RELAY, limit=500, lease=host.settings.lease
        )
        while not self._draining:
            for to, batch in _by_destination(await receiver.receive(500, wait=60.0)):
                await self._move(host, to, batch)
        await receiver.aclose()

    async def drain(self) -> None:
        self._draining = True
        if self._receiver is not None:
            await self._receiver.drain()

    async def _move(self, host: Host, to: str, batch: Sequence[Delivery]) -> None:
        assert self._receiver is not None
        with suppress(LeaseLostError):
            try:
                await _deliver(host.queue, lambda: host.log, to, [d.message for d in batch])
            except UnavailableError:
                again = [Nack(d.receipt, delay=1.0, counted=False) for d in batch]
                return await self._receiver.settle(again)
            await self._receiver.settle([Ack(d.receipt) for d in batch])


def _by_destination(batch: Sequence[Delivery]) -> list[tuple[str, list[Delivery]]]:
    return [(to, list(run)) for to, run in groupby(batch, lambda d: d.message.headers[TO])]


async def _deliver(
    queue: QueueEngine, log: Callable[[], LogEngine], to: str, labelled: Sequence[Message]
) -> None:
    kind, _, name = to.partition(":")
    messages = [message.without_headers((TO,)) for message in labelled]
    if kind == "log":
        await log().append(name, messages)
    else:
        await queue.send(name, messages)
