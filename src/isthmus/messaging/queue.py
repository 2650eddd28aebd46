"""A work queue: many may send, each message is handled by one."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Generic, TypeVar, Unpack

from isthmus.clock import Span, seconds
from isthmus.contracts import QueueStats, Waiting
from isthmus.deadline import Deadline
from isthmus.errors import ConfigError
from isthmus.handling.address import checked
from isthmus.handling.consuming.consumer import Consumer
from isthmus.handling.consuming.dead_letters import DeadLetters
from isthmus.handling.consuming.options import HandlerWords
from isthmus.handling.consuming.subscription import Subscription
from isthmus.handling.declarations import Declarations
from isthmus.handling.host import Host
from isthmus.handling.running.controls import pause, paused, resume
from isthmus.messaging.declared import DeclaredQueue
from isthmus.messaging.handlers import Function, attach
from isthmus.messaging.keeping import Keeping
from isthmus.messaging.opened import Opened, open_subscription
from isthmus.schema import Schema, schema_of
from isthmus.schema.formats.choice import Choice
from isthmus.schema.wire import Wire

__all__ = ["Queue"]

T = TypeVar("T")
R = TypeVar("R")


class Queue(Generic[T]):
    """Messages of type `T`, each handled by one of the consumers, then gone.

    Made by `app.queue`. Sending waits until the message is as durable as the
    engine says; inside a handler, it leaves only if the handler commits.
    """

    def __init__(
        self,
        name: str,
        payload: type[T],
        declared: Declarations,
        *,
        ordered: bool = False,
        keeping: Keeping | None = None,
        format: Choice = None,
    ) -> None:
        self.name = checked(name, what="queue")
        self.schema: Schema[T] = schema_of(payload)
        self.wire: Wire[T] = Wire(self.schema, place=name, format=format)
        self.subscription = Subscription(topic=name, name=name, ordered=ordered)
        self._declared, self._keeping = declared, keeping or Keeping()
        self._consumer: Consumer | None = None
        self._opened: Opened[T] | None = None
        declared.declare(self._record())
        declared.open_with(self._bind)

    # --- sending ----------------------------------------------------------------------------

    async def send(
        self,
        value: T,
        *,
        id: str | None = None,
        key: str = "",
        delay: Span = 0.0,
        at: datetime | None = None,
        ttl: Span | None = None,
        deadline: datetime | Deadline | None = None,
        priority: int = 0,
        subject: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> str:
        """Send one message, and return its id.

        The same `id` twice is one message in effect, for as long as the handler's
        inbox keeps it. It is handed out after `delay`, or at the moment `at`; after
        `ttl` it is worthless, and becomes a dead letter instead of being handled.
        Higher `priority` (-9 to 9) goes first. With an ordered queue, messages of
        one `key` are handled one after the other.

        `deadline`, a moment or `isthmus.deadline.deadline(30)`, travels with it: what is
        taken later becomes a dead letter, too, and for what the handler calls it is in force.
        That of the caller is not passed on: work that is queued may be done after it.

        Raises:
            SchemaError: `value` is not what this queue carries; nothing was sent.
            FullError: As many wait as `max_length` allows; nothing was sent.
            UnavailableError: It may have been sent. Send it again under the same id.
        """
        opened = self._opened or self._closed()
        if self.wire.unready:
            await self.wire.prepare()
        message = opened.envelope.message(
            value,
            id=id,
            key=key,
            subject=subject,
            priority=priority,
            ttl=None if ttl is None else seconds(ttl),
            deadline=deadline,
            headers=headers,
        )
        later = opened.until(delay, at) if delay or at is not None else 0.0
        await opened.send((message,), delay=later)
        return message.id

    async def send_many(
        self, values: Iterable[T], *, delay: Span = 0.0, priority: int = 0
    ) -> Sequence[str]:
        """Send messages in this order, in one go; return their ids."""
        opened = self._opened or self._closed()
        if self.wire.unready:
            await self.wire.prepare()
        messages = [opened.envelope.message(value, priority=priority) for value in values]
        await opened.send(messages, delay=seconds(delay))
        return [message.id for message in messages]

    async def debounce(self, value: T, *, key: str, delay: Span) -> str:
        """Send it once `delay` has passed without another of the same `key`; each
        call replaces the one before and begins the wait anew. Return the id."""
        opened = self._opened or self._closed()
        if self.wire.unready:
            await self.wire.prepare()
        message = opened.envelope.message(value, key=key)
        await opened.debounce(message, delay=seconds(delay))
        return message.id

    async def request(
        self,
        value: T,
        *,
        result: type[R],
        timeout: Span = 5.0,  # noqa: ASYNC109 - it travels with the request
        id: str | None = None,
        key: str = "",
        priority: int = 0,
        subject: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> R:
        """Send a message, and return what its handler returns, as a `result`.

        The answer leaves with the handler's transaction: who has it knows that all of it is
        committed. `result=type(None)` waits for a handler that returns nothing.

        It is sent at once, inside a transaction too, for nobody could answer what leaves with
        the commit; a handler that is run again after a conflict asks again. With an `id`, it
        has its effect once however often it is asked, and gets the same answer, for as long as
        the handler's inbox keeps the id.

        `timeout` seconds from now (or the deadline in force, if that is nearer) nobody waits any
        more: what is taken later is not handled, and failures are not retried beyond it.

        Raises:
            TimedOutError: No answer came; it ran, perhaps.
            Refusal: The handler refused it, by this error; what it wrote is undone.
            RemoteError: It failed for the last time, and is a dead letter there.
            DeadlinePassedError, FullError, SchemaError: It was not sent.
            UnavailableError: It may have been sent.
        """
        opened = self._opened or self._closed()
        if self._consumer is not None and self._consumer.batched:
            raise ConfigError(
                f"queue {self.name!r} is handled in batches, which answer nobody; "
                "ask a queue whose handler takes one message"
            )
        if self.wire.unready:
            await self.wire.prepare()
        message = opened.envelope.message(
            value, id=id, key=key, subject=subject, priority=priority, headers=headers
        )
        return await opened.requests.ask(
            message, result=schema_of(result), timeout=timeout, keep=id is not None
        )

    async def cancel(self, id: str) -> bool:
        """Take back a message that was not handed out yet; return whether it was there.
        In a transaction the answer comes with the commit, and is always True here."""
        return await (self._opened or self._closed()).remove([id]) > 0

    # --- handling ---------------------------------------------------------------------------

    def handler(
        self, bare: None = None, /, **options: Unpack[HandlerWords]
    ) -> Callable[[Function], Function]:
        """Have a function handle the messages; HandlerOptions says what
        each option means.

        It takes the payload, and by annotation whatever else it wants: Transaction,
        Message, Delivery, resources, dependencies. `def` handlers run in a thread.
        """
        if bare is not None:
            raise ConfigError(f"write @{self.name}.handler(), with parentheses")
        if self._consumer is not None:
            raise ConfigError(
                f"queue {self.name!r} has a handler already; "
                "for several takers of every message use a topic with subscriptions"
            )

        def attached(function: Function) -> Function:
            self._consumer = attach(
                function,
                self.subscription,
                self.schema,
                self._declared,
                options,
                wire=self.wire,
            )
            return function

        return attached

    # --- looking and mending ----------------------------------------------------------------

    @property
    def dead_letters(self) -> DeadLetters:
        return (self._opened or self._closed()).dead_letters

    async def stats(self) -> QueueStats:
        """How many are ready, leased, delayed, and how old the oldest is."""
        return await (self._opened or self._closed()).stats()

    async def browse(self, *, after: str = "", limit: int = 100) -> Sequence[Waiting]:
        """Look at what waits, without taking it."""
        opened = self._opened or self._closed()
        return await opened.host.queue.browse(self.name, self.name, after=after, limit=limit)

    async def purge(self) -> int:
        """Drop all that nobody holds; return how many."""
        return await (self._opened or self._closed()).host.queue.purge(self.name, self.name)

    async def pause(self) -> None:
        """Have no process begin a message until `resume`; within about a second."""
        await pause((self._opened or self._closed()).host.store, self.name)

    async def resume(self) -> None:
        """Undo `pause`."""
        await resume((self._opened or self._closed()).host.store, self.name)

    async def is_paused(self) -> bool:
        return self.name in await paused((self._opened or self._closed()).host.store)

    # --- opening ----------------------------------------------------------------------------

    def _record(self) -> DeclaredQueue:
        return DeclaredQueue(
            name=self.name,
            payload=self.schema,
            datacontenttype=self.wire.datacontenttype,
            ordered=self.subscription.ordered,
            retention=self._keeping.retention,
            max_length=self._keeping.max_length,
        )

    async def _bind(self, host: Host) -> None:
        self._opened = await open_subscription(host, self.subscription, self.wire, self._keeping)

    def _closed(self) -> Opened[T]:
        self._declared.host  # noqa: B018 - raises, saying how to open
        raise ConfigError(f"queue {self.name!r} was declared after the App opened")
