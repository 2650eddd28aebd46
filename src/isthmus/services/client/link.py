"""An open client: the policy around what is sent, and the transport that sends it."""

from collections.abc import AsyncGenerator, Awaitable
from contextlib import asynccontextmanager
from typing import Any

from isthmus.resilience.errors import BulkheadFullError
from isthmus.resilience.policy import Policy
from isthmus.services.client.call import Call
from isthmus.services.client.exchange import Exchange, Send
from isthmus.services.client.facts import log
from isthmus.services.client.guard import Guard
from isthmus.services.client.transport import Reply, Transport

__all__ = ["Link"]


class Link:
    """Sends calls, guarded."""

    def __init__(self, name: str, policy: Policy, exchange: Exchange, *, streams: int) -> None:
        self._name, self._exchange = name, exchange
        self._whole = Guard(policy, exchange.whole)
        self._opened = Guard(policy, exchange.opened)
        self._streams, self._open = streams, 0

    @property
    def transport(self) -> Transport:
        return self._exchange.transport

    def send(self, call: Call) -> Awaitable[Any]:
        """Return the answer, read to its end; or what a Fallback of the policy gives."""
        send = self._whole.around(call)
        return send(call) if call.body.__class__ is bytes else self._telling(send, call)

    @asynccontextmanager
    async def stream(self, call: Call) -> AsyncGenerator[Reply]:
        """Give the answer once its headers are there, and close it.

        Raises:
            BulkheadFullError: As many are open as may be.
        """
        if self._open >= self._streams:
            raise BulkheadFullError(
                f"{self._name}: {self._open} streamed answers are open, as many as may be, so "
                f"that {call.operation} was not called; leave their `async with`, or raise "
                "Client(..., streams=...)",
                policy=self._name,
            )
        self._open += 1
        try:
            reply = await self._telling(self._opened.around(call), call)
            try:
                yield reply
            finally:
                await reply.body.aclose()
        finally:
            self._open -= 1

    async def _telling(self, send: Send, call: Call) -> Any:
        """Say why a call is not tried again whose body can be read only once."""
        try:
            return await send(call)
        except Exception as error:
            if call.begun:
                why = "its body is a stream that was begun, and cannot be sent again"
                error.add_note(f"{call.operation} is not retried: {why}")
                log.warning("%s: %s is not retried: %s", self._name, call.operation, why)
            raise
