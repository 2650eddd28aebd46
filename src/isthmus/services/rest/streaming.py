"""An answer that is made while it is sent, a piece at a time."""

import asyncio
import contextlib
from collections.abc import AsyncIterable, AsyncIterator, Callable
from typing import Any, cast, get_args, get_origin

from starlette.types import Receive, Scope, Send

from isthmus.clock import Clock
from isthmus.schema import schema_of
from isthmus.schema.kinds import is_model, members_of
from isthmus.services.rest.call import RequestCall
from isthmus.services.rest.events import BEAT, MEDIA_TYPE, ServerSentEvent, written
from isthmus.services.rest.whole import Headers

__all__ = ["Stream", "Streaming", "stream_of"]

QUIET = 15.0
"""Seconds without an event after which a comment is sent."""

_STREAMS = (AsyncIterator, AsyncIterable)


class Stream:
    """How the pieces of one route are sent: their media type, and their way to bytes."""

    def __init__(self, piece: Any) -> None:
        """`piece`: bytes, str, ServerSentEvent[...], or any other type, then JSON lines."""
        self.piece = piece
        self.is_events = all(_is_event(each) for each in members_of(piece) or (piece,))
        if self.is_events:
            self.media_type, self.encode = MEDIA_TYPE, written
        elif piece is bytes:
            self.media_type, self.encode = "application/octet-stream", bytes
        elif piece is str:
            self.media_type, self.encode = "text/plain; charset=utf-8", _utf8
        else:
            self.media_type, self.encode = "application/jsonl", _lines(piece)


def stream_of(returns: Any) -> Stream | None:
    """Return how `AsyncIterator[piece]` is sent; None if the annotation promises none."""
    origin: Any = get_origin(returns)
    if isinstance(origin, type) and issubclass(origin, _STREAMS) and not is_model(origin):
        return Stream((*get_args(returns), bytes)[0])
    return None


class Streaming:
    """Sends pieces as they are made. What dependencies opened is closed after the last, or when the
    client has gone away: then the handler is cancelled where it waits."""

    def __init__(
        self, stream: Stream, pieces: AsyncIterable[Any], status_code: int, call: RequestCall
    ) -> None:
        self._stream, self._pieces, self._call = stream, aiter(pieces), call
        self.status_code = status_code
        self.raw_headers: Headers = [(b"content-type", stream.media_type.encode())]
        if stream.is_events:
            self.raw_headers += [(b"cache-control", b"no-store"), (b"x-accel-buffering", b"no")]
        self._said, self._ended = asyncio.Event(), False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._call, contextlib.AsyncExitStack() as stack:
            if hasattr(self._pieces, "aclose"):
                stack.push_async_callback(cast("Any", self._pieces).aclose)
            if scope["method"] == "HEAD":
                return await self._send_head(send, only=True)
            await self._send_all(receive, send)

    async def _send_all(self, receive: Receive, send: Send) -> None:
        """Send until there is no more, or nobody who reads."""
        sending = asyncio.create_task(self._send_pieces(send))
        others = {asyncio.create_task(_gone(receive))}
        if self._stream.is_events:
            others.add(asyncio.create_task(self._beat(send, self._call.host.clock)))
        try:
            await asyncio.wait({sending, *others}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            tasks = {sending, *others}
            for task in tasks - {sending} if sending.done() else tasks:
                task.cancel()
            await asyncio.wait(tasks)
            for task in others:
                if not task.cancelled():
                    task.exception()  # of a client that has gone away: looked at, and let be
        if not sending.cancelled():
            sending.result()

    async def _send_pieces(self, send: Send) -> None:
        """The head waits for the first piece, so that what fails before is an answer of its own;
        events are begun at once."""
        if self._stream.is_events:
            await self._send_head(send)
        begun, encode = self._stream.is_events, self._stream.encode
        async for piece in self._pieces:
            if not begun:
                await self._send_head(send)
            begun = True
            self._said.set()
            await send({"type": "http.response.body", "body": encode(piece), "more_body": True})
        if not begun:
            await self._send_head(send)
        self._ended = True
        await send({"type": "http.response.body", "body": b""})

    async def _send_head(self, send: Send, *, only: bool = False) -> None:
        start = {"status": self.status_code, "headers": self.raw_headers}
        await send({"type": "http.response.start", **start})
        if only:
            await send({"type": "http.response.body", "body": b""})

    async def _beat(self, send: Send, clock: Clock) -> None:
        while True:
            self._said.clear()
            if not await clock.wait(self._said, QUIET) and not self._ended:
                await send({"type": "http.response.body", "body": BEAT, "more_body": True})


async def _gone(receive: Receive) -> None:
    """Return when the client has gone away."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _is_event(type_: Any) -> bool:
    return (get_origin(type_) or type_) is ServerSentEvent


def _utf8(piece: str) -> bytes:
    return piece.encode()


def _lines(piece: Any) -> Callable[[Any], bytes]:
    encode = schema_of(piece).encode
    return lambda value: encode(value) + b"\n"
