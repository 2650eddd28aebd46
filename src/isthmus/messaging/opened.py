"""A queue while its App is open: everything sending and looking need, bound once."""

from collections.abc import Awaitable, Sequence
from datetime import datetime
from functools import cached_property, partial
from typing import Generic, Protocol, TypeVar

from isthmus.clock import Span, seconds
from isthmus.contracts import QueueStats
from isthmus.errors import ConfigError, FullError, UnsupportedError
from isthmus.handling.consuming.dead_letters import DeadLetters
from isthmus.handling.consuming.subscription import Subscription
from isthmus.handling.envelope import Envelope
from isthmus.handling.host import Host
from isthmus.handling.outbox import Sender
from isthmus.message import Message
from isthmus.messaging.debounce import Debounce
from isthmus.messaging.keeping import Keeping
from isthmus.messaging.requesting import Requests
from isthmus.schema.wire import Wire

__all__ = ["Opened", "open_subscription"]

T = TypeVar("T")


class Send(Protocol):
    def __call__(self, messages: Sequence[Message], *, delay: float = 0.0) -> Awaitable[None]: ...


async def open_subscription(
    host: Host, of: Subscription, wire: Wire[T], keeping: Keeping
) -> "Opened[T]":
    """Declare a subscription and its dead letters on the engine, and bind it.

    Raises:
        UnsupportedError: The engine cannot keep its order, or its limits.
    """
    _refuse_what_is_lacking(host, of, keeping)
    await host.queue.declare(of.topic, of.name, ordered=of.ordered, retention=keeping.retention)
    wire.open(host.closing)
    opened = Opened(host, of, wire, keeping)
    await opened.dead_letters.open(retention=keeping.dead_retention, max_length=keeping.dead_length)
    return opened


class Opened(Generic[T]):
    """One open queue or subscription."""

    def __init__(self, host: Host, of: Subscription, wire: Wire[T], keeping: Keeping) -> None:
        self.host, self._of = host, of
        self.envelope = Envelope(
            wire, of=f"queue {of.address!r}", source=host.source, clock=host.clock
        )
        self.debounce = Debounce(host, of)
        self.dead_letters = DeadLetters(host, of)
        self._sender = Sender(host, of.topic)
        self.send: Send = self._sender.send
        """Raises FullError if there is no room for the messages; none was sent."""
        self._room = None if keeping.max_length is None else _Room(self, keeping.max_length)
        if self._room is not None:
            self.send = partial(self._send_into, self._room)

    @cached_property
    def requests(self) -> Requests:
        return Requests(self.host, self._of.topic, self._send_now)

    async def _send_into(
        self, room: "_Room", messages: Sequence[Message], *, delay: float = 0.0
    ) -> None:
        await room.take(len(messages))
        await self._sender.send(messages, delay=delay)

    async def _send_now(self, messages: Sequence[Message]) -> None:
        if self._room is not None:
            await self._room.take(len(messages))
        await self.host.queue.send(self._of.topic, messages)

    async def remove(self, ids: Sequence[str]) -> int:
        return await self._sender.remove(ids)

    async def stats(self) -> QueueStats:
        return await self.host.queue.stats(self._of.topic, self._of.name)

    def until(self, delay: Span, at: datetime | None) -> float:
        """Return the seconds from now until `at`, or `delay`."""
        if at is None:
            return _not_negative(delay)
        if at.tzinfo is None:
            raise ConfigError(f"at={at.isoformat()} has no time zone; use datetime.now(UTC)")
        return max(0.0, at.timestamp() - self.host.clock.now())


def _not_negative(delay: Span) -> float:
    if isinstance(delay, str) or seconds(delay) < 0:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigError(f"delay={delay!r}: expected 0 or more seconds, or a timedelta")
    return seconds(delay)


class _Room:
    """How many more may wait; asked of the engine once a second, or when it ran out."""

    def __init__(self, opened: Opened[T], most: int) -> None:
        self._opened, self._most = opened, most
        self._left, self._until = 0, 0.0

    async def take(self, count: int) -> None:
        now = self._opened.host.clock.now()
        if count > self._left or now >= self._until:
            stats = await self._opened.stats()
            self._left = self._most - stats.ready - stats.delayed - stats.leased
            self._until = now + 1.0
        if count > self._left:
            raise FullError(
                f"{self._most} messages wait, as many as max_length allows; "
                "send again later, add consumers, or raise max_length"
            )
        self._left -= count


def _refuse_what_is_lacking(host: Host, of: Subscription, keeping: Keeping) -> None:
    able, engine = host.queue.capabilities, host.settings.engine.partition(":")[0]
    if of.ordered and not able.ordered:
        raise UnsupportedError(
            f"{of.address!r} is ordered, and {engine}:// keeps no order by key; "
            "sqlite:// and memory:// do, or use a stream"
        )
    if keeping.retention is not None and not able.browsable:
        raise UnsupportedError(
            f"{of.address!r} has a retention, and {engine}:// has none; sqlite:// has"
        )
