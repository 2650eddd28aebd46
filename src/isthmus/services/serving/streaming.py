"""What a server does not tell an application of its client: that it is gone, or stands still.

Servers take what is sent to a client that is gone, and say nothing. This notices, and ends
the answer that is streamed to it; and the body that does not come.
"""

import asyncio
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from isthmus.services.serving.gone import ClientGoneError, is_only_gone

__all__ = ["Streaming"]

GONE: Message = {"type": "http.disconnect"}


class Streaming:
    """Around `app`: streamed answers end with their client, or when it does not take a part
    for `write` seconds; bodies when nothing comes for `body` seconds."""

    def __init__(self, app: ASGIApp, *, write: float, body: float) -> None:
        self._app, self._write, self._body = app, write, body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        exchange = _Exchange(scope, receive, send, write=self._write, body=self._body)
        try:
            await self._app(scope, exchange.receive, exchange.send)
        except Exception as error:
            if not is_only_gone(error):
                raise
        finally:
            exchange.end()


class _Exchange:
    """One request and its answer."""

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, *, write: float, body: float
    ) -> None:
        self._receive, self._send, self._write, self._body = receive, send, write, body
        self._whole = scope["method"] in {"GET", "HEAD"}
        """Whether all of the body has come, so that the next thing to come is the end."""
        self._watching: asyncio.Task[Any] | None = None

    async def receive(self) -> Message:
        if self._watching is not None:
            await asyncio.wait([self._watching])
            return GONE
        try:
            async with asyncio.timeout(None if self._whole else self._body):
                event = await self._receive()
        except TimeoutError:
            return GONE
        self._whole = self._whole or not event.get("more_body")
        return event

    async def send(self, event: Message) -> None:
        if not event.get("more_body"):
            return await self._send(event)
        if self._watching is None and self._whole:
            self._watching = asyncio.create_task(self._watch())
        await asyncio.sleep(0)  # others have their turn between the parts
        if self._watching is not None and self._watching.done():
            raise ClientGoneError("the client has gone away")
        try:
            async with asyncio.timeout(self._write):
                await self._send(event)
        except TimeoutError:
            raise ClientGoneError("the client does not take its answer") from None

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass

    def end(self) -> None:
        if self._watching is not None:
            self._watching.cancel()
