"""Functions around every call of every handler: timing, logging, tenants, guards."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec

from isthmus.contracts import Delivery
from isthmus.handling.unit import current
from isthmus.message import Message

__all__ = ["Incoming", "Middleware", "Proceed", "wrapped"]

Failed = Mapping[int, Exception]

Proceed = Callable[[], Awaitable[Failed | None]]
"""Calls the next middleware, at last the handler; returns what failed of a batch, by index.
Not called: nothing is handled, and the message counts as done. Raises what the handler
raises: swallowed, the message is done too."""

Invoke = Callable[[Sequence[Message]], Awaitable[Failed | None]]


class Incoming(msgspec.Struct, frozen=True, kw_only=True):
    """What is about to be handled."""

    handler: str
    """The function, by module and name: "shop.orders.accept"."""
    messages: Sequence[Message] = ()
    """One, or a batch."""
    attempt: int = 1
    """Of the message; of a batch, the highest."""


Middleware = Callable[[Incoming, Proceed], Awaitable[None]]
"""`async def timing(incoming: Incoming, proceed: Proceed) -> None`"""


def wrapped(invoke: Invoke, middleware: Sequence[Middleware], handler: str) -> Invoke:
    """Return `invoke` with all `middleware` around it, the first outermost."""
    for each in reversed(middleware):
        invoke = _around(invoke, each, handler)
    return invoke


def _around(invoke: Invoke, middleware: Middleware, handler: str) -> Invoke:
    async def called(messages: Sequence[Message]) -> Failed | None:
        failed: Failed | None = None

        async def proceed() -> Failed | None:
            nonlocal failed
            failed = await invoke(messages)
            return failed

        await middleware(_incoming(handler, messages), proceed)
        return failed

    return called


def _incoming(handler: str, messages: Sequence[Message]) -> Incoming:
    unit = current.get()
    batch: Sequence[Any] = unit.batch if unit else ()
    attempts = [each.attempt for each in batch if isinstance(each, Delivery)]
    return Incoming(handler=handler, messages=messages, attempt=max(attempts, default=1))
