"""How a message leaves: at once, with the transaction, or through the store.

In a handler, a message may only leave if the handler's rows commit. Where the
engine shares the store's scope, it is sent with the transaction. Where it does
not, the outbox takes it - a queue in the store's scope - and the relay moves it
to the engine: send, then ack, so that it leaves at least once, under one id.

Source: "transactional outbox", Richardson, Microservices Patterns (2018), ch. 3.
"""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Protocol

from isthmus.errors import ConfigError, UnsupportedError
from isthmus.handling.host import Host
from isthmus.handling.unit import current
from isthmus.message import Message

__all__ = [
    "OUTBOX",
    "RELAY",
    "TO",
    "Appender",
    "Sender",
    "declare_outbox",
    "destination",
    "needs_outbox",
]

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
        """Drop messages that wait, on the engine or in the outbox; return how many
        went. In a unit of work only the commit knows: all of them is the answer."""
        unit, removed = current.get(), 0
        tx = None if unit is None else unit.begin()
        if self._queue.capabilities.browsable:
            within = tx if self._joins else None
            removed += await self._queue.remove(self._topic, self._topic, ids, tx=within)
        if needs_outbox(self._host):
            removed += await self._host.letters.remove(OUTBOX, RELAY, ids, tx=tx)
        return removed if unit is None else len(ids)


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
    _require_fitting(host, to, messages)
    labelled = [message.with_headers({TO: to}) for message in messages]
    await outbox.send(OUTBOX, labelled, delay=delay, tx=unit and unit.begin())


class _Limits(Protocol):
    @property
    def max_batch(self) -> int: ...
    @property
    def max_body(self) -> int: ...


def destination(
    host: Host, to: str
) -> tuple[Callable[[Sequence[Message]], Awaitable[None]], _Limits]:
    """Return what sends to "queue:orders" or "log:ledger" on the engine, and its limits."""
    kind, _, name = to.partition(":")
    if kind == "log":
        return partial(host.log.append, name), host.log.capabilities
    return partial(host.queue.send, name), host.queue.capabilities


def _require_fitting(host: Host, to: str, messages: Sequence[Message]) -> None:
    """Refuse now what the engine would refuse when the transaction is long committed."""
    _, limits = destination(host, to)
    for message in messages:
        if len(message.body) > limits.max_body:
            raise ConfigError(
                f"message {message.id!r} for {to.partition(':')[2]!r} has {len(message.body)} "
                f"bytes, at most {limits.max_body}: store the body elsewhere and send a "
                "reference to it (a claim check)"
            )
