"""The user's function, made callable with messages.

Its signature is read once, when it is declared: the payload, the transaction,
the message, dependencies and resources are given by annotation.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from isthmus.errors import ConfigError, SchemaError
from isthmus.handling.calling import given
from isthmus.handling.calling.batch import Batch
from isthmus.handling.calling.dependencies import depends, header
from isthmus.handling.calling.inject import Call, Plan
from isthmus.handling.calling.middleware import wrapped
from isthmus.handling.calling.payload import MessageCall, Payload
from isthmus.handling.calling.returned import noting, returned
from isthmus.handling.calling.signature import Signature
from isthmus.handling.calling.translations import Translate, Translations
from isthmus.handling.declarations import Declarations
from isthmus.handling.host import Host
from isthmus.handling.unit import current
from isthmus.message import Message
from isthmus.schema import Schema
from isthmus.schema.kinds import type_name
from isthmus.schema.wire import Wire

__all__ = ["Bindable", "Failed", "Handler", "Invoke"]

Failed = Mapping[int, Exception]
Invoke = Callable[[Sequence[Message]], Awaitable[Failed | None]]
"""Calls the user's handler with one message, or with a batch; returns which of a
batch failed, by index, or None."""

Function = Callable[..., Awaitable[Any]]
Guard = Callable[[Function, str], Function]
"""Puts something around every call of a function, known by a name."""


class Bindable(Protocol):
    """What a consumer needs of a handler."""

    def bind(self, host: Host) -> Invoke: ...


class Handler:
    """One function that handles messages of one schema."""

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        schema: Schema[Any],
        declared: Declarations,
        batch: bool = False,
        guard: Guard | None = None,
        wire: Wire[Any] | None = None,
    ) -> None:
        """`wire`: what reads the payloads; JSON unless it is given.

        Raises:
            ConfigError: The signature asks for what cannot be given.
        """
        self.function, self.schema, self.batch = function, schema, batch
        self.signature = Signature(function)
        self._declared, self._guard = declared, guard
        self.wire = wire or Wire(schema, place="")
        self.returned = returned(self.signature, batch=batch)
        self._payload = Payload(self.signature, schema, batch=batch)
        self._plan = self._planned()

    def bind(self, host: Host) -> Invoke:
        """Return what calls the function, with the resources of an open Host.

        Raises:
            ConfigError: It asks for a resource that nobody gives.
        """
        try:
            self._plan.require(host)
        except ConfigError as error:
            raise ConfigError(f"{self._missed}{error}; {self._possible}") from error
        function = self._function(host)
        if self.batch:
            invoke = self._several(host, function)
        else:
            invoke = self._direct(function) or self._single(host, function)
        if self._payload.is_read and (translate := self._translate()) is not None:
            invoke = _translated(invoke, translate)
        return wrapped(invoke, self._declared.root.middleware, self.signature.title)

    def _translate(self) -> Translate | None:
        return self._declared.shared(Translations).of(self.schema)

    def _function(self, host: Host) -> Function:
        """Return the function, to be awaited: in a thread if it is no async one, guarded if it
        is to be."""
        function: Function = self.function
        if not self.signature.is_async:
            function = partial(host.threads.run, self.function)
        if self.returned is not None:
            function = noting(function, self.returned)
        return function if self._guard is None else self._guard(function, self.signature.title)

    @property
    def _missed(self) -> str:
        if self._payload.is_read:
            return ""
        return f"the payload is {type_name(self.schema.type)}, which no parameter takes; "

    @property
    def _possible(self) -> str:
        return f"a handler may take {self._payload.described}, {given.POSSIBLE}"

    def _planned(self) -> Plan:
        possible = self._possible
        offers = (header, given.transaction, given.host, *self._payload.offers, given.resource)
        return Plan(
            self.signature, (depends(offers, possible=possible), *offers), possible=possible
        )

    # --- the shapes that most handlers have: no plan, no loop, no dict -----------------------

    def _direct(self, function: Function) -> Invoke | None:
        if not self.signature.is_async:
            return None
        shape = _SHAPES.get(self._payload.shape)
        return shape and shape(function, self.wire.read)

    # --- all others --------------------------------------------------------------------------

    def _single(self, host: Host, function: Function) -> Invoke:
        read, is_read = self.wire.read, self._payload.is_read

        async def invoke(messages: Sequence[Message]) -> None:
            value = read(messages[0]) if is_read else None
            await self._call(function, MessageCall(host, messages, value))

        return invoke

    def _several(self, host: Host, function: Function) -> Invoke:
        async def invoke(messages: Sequence[Message]) -> Failed | None:
            failed: dict[int, Exception] = {}
            batch = self._read(messages, failed)
            if batch:
                await self._call(function, MessageCall(host, batch.messages, batch))
            return failed or None

        return invoke

    def _read(self, messages: Sequence[Message], failed: dict[int, Exception]) -> Batch[Any]:
        """Return what can be read; the others are failures of their own."""
        try:
            values = self.wire.read_all(messages)
        except SchemaError:
            return self._read_each(messages, failed)
        return Batch(values, messages, range(len(values)), failed)

    def _read_each(self, messages: Sequence[Message], failed: dict[int, Exception]) -> Batch[Any]:
        read = list[tuple[Any, Message, int]]()
        for place, message in enumerate(messages):
            try:
                read.append((self.wire.read(message), message, place))
            except SchemaError as error:
                failed[place] = error
        values, kept, places = zip(*read, strict=True) if read else ((), (), ())
        return Batch(values, kept, places, failed)

    async def _call(self, function: Function, call: Call) -> None:
        async with call:
            by_place, by_name = await self._plan.arguments(call)
            await function(*by_place, **by_name)


def _translated(invoke: Invoke, translate: Translate) -> Invoke:
    async def led(messages: Sequence[Message]) -> Failed | None:
        return await invoke([translate(message) for message in messages])

    return led


Read = Callable[[Message], Any]


def _payload(function: Function, read: Read) -> Invoke:
    async def invoke(messages: Sequence[Message]) -> None:
        await function(read(messages[0]))

    return invoke


def _payload_transaction(function: Function, read: Read) -> Invoke:
    async def invoke(messages: Sequence[Message]) -> None:
        unit = current.get() or given.unit()
        await function(read(messages[0]), unit.begin())

    return invoke


def _payload_message(function: Function, read: Read) -> Invoke:
    async def invoke(messages: Sequence[Message]) -> None:
        message = messages[0]
        await function(read(message), message)

    return invoke


_SHAPES: Mapping[tuple[str, ...], Callable[[Function, Read], Invoke]] = {
    ("payload",): _payload,
    ("payload", "transaction"): _payload_transaction,
    ("payload", "message"): _payload_message,
}
