"""A topic: every subscription gets each message, at its own pace."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Generic, TypeVar, Union, Unpack

from isthmus.clock import Span, seconds
from isthmus.deadline import Deadline
from isthmus.errors import ConfigError
from isthmus.handling.address import checked
from isthmus.handling.consuming.options import HandlerWords
from isthmus.handling.consuming.subscription import Subscription as Place
from isthmus.handling.declarations import Declarations
from isthmus.handling.envelope import Envelope
from isthmus.handling.host import Host
from isthmus.handling.outbox import Sender
from isthmus.messaging.declared import DeclaredTopic
from isthmus.messaging.handlers import Function, attach
from isthmus.messaging.keeping import Keeping
from isthmus.messaging.listening import Listening
from isthmus.messaging.subscription import Subscription
from isthmus.schema import Schema, schema_of
from isthmus.schema.formats.choice import Choice
from isthmus.schema.wire import Wire

__all__ = ["Topic"]

T = TypeVar("T")


class Topic(Generic[T]):
    """Messages of type `T` (or of several) for whoever subscribed.

    A durable subscription exists from the first time an App that declares it is
    opened; it gets what is published from then on, and misses nothing while its
    processes are down. Made by `app.topic`.
    """

    def __init__(
        self,
        name: str,
        payload: Sequence[type[T]],
        declared: Declarations,
        *,
        format: Choice = None,
    ) -> None:
        self.name = checked(name, what="topic")
        if not payload:
            raise ConfigError(f"topic {name!r}: say what it carries: app.topic({name!r}, Order)")
        self.schema: Schema[T] = schema_of(_either(payload))
        self.wire: Wire[T] = Wire(self.schema, place=name, format=format)
        self._declared = declared
        self._subscriptions: dict[str, Subscription] = {}
        self._opened: tuple[Envelope[T], Sender, Host] | None = None
        declared.declare(
            DeclaredTopic(name=name, payload=self.schema, datacontenttype=self.wire.datacontenttype)
        )
        declared.open_with(self._bind)

    async def publish(
        self,
        value: T,
        *,
        id: str | None = None,
        key: str = "",
        delay: Span = 0.0,
        ttl: Span | None = None,
        deadline: datetime | Deadline | None = None,
        subject: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> str:
        """Publish one event, and return its id; it carries its time, type and version.

        The same `id` twice is one event in effect, for each subscription's inbox.

        Raises:
            SchemaError: `value` is not what this topic carries; nothing was published.
            UnavailableError: It may have been. Publish it again under the same id.
        """
        envelope, sender, _ = self._opened or self._closed()
        if self.wire.unready:
            await self.wire.prepare()
        message = envelope.message(
            value,
            id=id,
            key=key,
            subject=subject,
            ttl=None if ttl is None else seconds(ttl),
            deadline=deadline,
            headers=headers,
        )
        await sender.send((message,), delay=seconds(delay))
        return message.id

    async def publish_many(self, values: Iterable[T]) -> Sequence[str]:
        """Publish events in this order, in one go; return their ids."""
        envelope, sender, _ = self._opened or self._closed()
        if self.wire.unready:
            await self.wire.prepare()
        messages = [envelope.message(value) for value in values]
        await sender.send(messages)
        return [message.id for message in messages]

    def subscription(
        self,
        name: str,
        *,
        ordered: bool = False,
        keeping: Keeping | None = None,
        **options: Unpack[HandlerWords],
    ) -> Callable[[Function], Function]:
        """Have a function handle every event, under a durable `name` of its own.

        Each subscription has its own retries and dead letters. `where={"type":
        "shop.placed", "region": ["eu", "uk"]}` lets others pass by attribute or
        header; `ordered` handles events of one key one after the other.
        """
        place = Place(topic=self.name, name=checked(name, what="subscription"), ordered=ordered)
        if place.name == self.name:
            raise ConfigError(f"subscription {name!r} must not be called as its topic")

        def attached(function: Function) -> Function:
            consumer = attach(function, place, self.schema, self._declared, options, wire=self.wire)
            self._subscriptions[name] = Subscription(
                place, self.wire, self._declared, consumer, keeping or Keeping()
            )
            return function

        return attached

    def has(self, name: str) -> bool:
        """Whether it has a subscription of this name."""
        return name in self._subscriptions

    def __getitem__(self, name: str) -> Subscription:
        """Return one subscription: its dead letters, statistics, pausing."""
        if name not in self._subscriptions:
            known = ", ".join(self._subscriptions) or "none"
            raise ConfigError(f"topic {self.name!r} has no subscription {name!r}; it has {known}")
        return self._subscriptions[name]

    @asynccontextmanager
    async def listen(
        self, *, where: Mapping[str, str | Sequence[str]] | None = None
    ) -> AsyncGenerator[AsyncIterator[T]]:
        """Listen for as long as the block lasts, for real-time updates.

        What is published before and after is not seen, nothing is retried, and a
        listener that falls behind by more than a minute misses what is older.
        """
        *_, host = self._opened or self._closed()
        async with Listening(host, self.name, self.wire, where or {}) as events:
            yield events

    async def _bind(self, host: Host) -> None:
        self.wire.open(host.closing)
        envelope = Envelope(
            self.wire, of=f"topic {self.name!r}", source=host.source, clock=host.clock
        )
        self._opened = (envelope, Sender(host, self.name), host)

    def _closed(self) -> tuple[Envelope[T], Sender, Host]:
        self._declared.host  # noqa: B018 - raises, saying how to open
        raise ConfigError(f"topic {self.name!r} was declared after the App opened")


def _either(types: Sequence[Any]) -> Any:
    """Return the type that is any of `types`."""
    return Union[tuple(types)]  # noqa: UP007 - made at run time
