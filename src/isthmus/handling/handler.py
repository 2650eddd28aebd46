"""The user's function, made callable with messages.

Its signature is read once, when it is declared: the payload, the transaction,
the message, dependencies and resources are given by annotation.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from isthmus.handling.declarations import Declarations
from isthmus.handling.host import Host
from isthmus.message import Message
from isthmus.schema import Schema

__all__ = ["Failed", "Handler", "Invoke"]

Failed = Mapping[int, Exception]
Invoke = Callable[[Sequence[Message]], Awaitable[Failed | None]]
"""Calls the user's handler with one message, or with a batch; returns which of a
batch failed, by index, or None."""


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

    def bind(self, host: Host) -> Invoke:
        """Return what calls the function, with the resources of an open Host."""
        raise NotImplementedError
