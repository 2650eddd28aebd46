"""The user's function, made callable with messages.

Its signature is read once, when it is declared: the payload, the transaction,
the message, dependencies and resources are given by annotation.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from isthmus.contracts import Transaction
from isthmus.errors import ConfigError
from isthmus.handling.declarations import Declarations
from isthmus.handling.host import Host
from isthmus.handling.signature import NOTHING, Parameter, Signature
from isthmus.handling.unit import current
from isthmus.message import Message
from isthmus.schema import Schema

__all__ = ["Failed", "Handler", "Invoke"]

Failed = Mapping[int, Exception]
Invoke = Callable[[Sequence[Message]], Awaitable[Failed | None]]
"""Calls the user's handler with one message, or with a batch; returns which of a
batch failed, by index, or None."""

Function = Callable[..., Awaitable[Any]]


class Handler:
    """One function that handles messages of one schema."""

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        schema: Schema[Any],
        declared: Declarations,
        batch: bool = False,
    ) -> None:
        self.function, self.schema, self._declared, self.batch = function, schema, declared, batch
        self.signature = Signature(function)
        self._given = tuple(map(self._kind, self.signature.parameters))

    def bind(self, host: Host) -> Invoke:  # noqa: ARG002
        """Return what calls the function, with the resources of an open Host."""
        if (shape := _SHAPES.get(self._given)) and self.signature.is_async and not self.batch:
            return shape(self.function, self.schema.decode)
        raise ConfigError(
            f"{self.signature.title}(): expected (payload), (payload, tx: Transaction)"
        )

    def _kind(self, parameter: Parameter) -> str:
        if parameter.by_name:
            return parameter.name
        if parameter.annotation is Transaction:
            return "transaction"
        if parameter.annotation is Message:
            return "message"
        if parameter.annotation in {self.schema.type, NOTHING, Any}:
            return "payload"
        raise self.signature.error(parameter.name, f"is a {parameter.annotation}")


# --- the shapes that most handlers have: no loop, no dict --------------------------------------


def _payload(function: Function, decode: Callable[..., Any]) -> Invoke:
    async def invoke(messages: Sequence[Message]) -> None:
        message = messages[0]
        await function(decode(message.body, dataschema=message.dataschema, type=message.type))

    return invoke


def _payload_transaction(function: Function, decode: Callable[..., Any]) -> Invoke:
    async def invoke(messages: Sequence[Message]) -> None:
        message, unit = messages[0], current.get()
        assert unit is not None
        value = decode(message.body, dataschema=message.dataschema, type=message.type)
        await function(value, unit.begin())

    return invoke


def _payload_message(function: Function, decode: Callable[..., Any]) -> Invoke:
    async def invoke(messages: Sequence[Message]) -> None:
        message = messages[0]
        value = decode(message.body, dataschema=message.dataschema, type=message.type)
        await function(value, message)

    return invoke


_SHAPES: Mapping[tuple[str, ...], Callable[[Function, Callable[..., Any]], Invoke]] = {
    ("payload",): _payload,
    ("payload", "transaction"): _payload_transaction,
    ("payload", "message"): _payload_message,
}
