"""Answers to GET that the client has already are not sent again, whoever gives them."""

from collections.abc import Mapping

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from isthmus.services.layers.validators import SAFE, hashed_tag, judged

__all__ = ["TAGGED", "Conditional"]

TAGGED = 1 << 20
"""Bytes of an answer that is hashed for its ETag, at most: a millisecond's work."""

Headers = list[tuple[bytes, bytes]]


class Conditional:
    """Makes 304 of a 200 whose ETag or moment the client named; 412 where it asked for another.

    An answer without either gets a weak ETag from a hash of its bytes, if they are all there at
    once and few enough: nothing that is streamed waits.
    """

    def __init__(self, app: ASGIApp, *, limit: int = TAGGED) -> None:
        """`limit`: bytes of an answer that is hashed, at most; 0 hashes none."""
        self._app, self._limit = app, limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] not in SAFE:
            return await self._app(scope, receive, send)
        limit = self._limit if scope["method"] == "GET" else 0
        judging = _Judging(send, scope["method"], dict(scope["headers"]), limit)
        await self._app(scope, receive, judging.take)


class _Judging:
    """One answer on its way out: passed on, held until it is whole, or dropped."""

    def __init__(self, send: Send, method: str, told: Mapping[bytes, bytes], limit: int) -> None:
        self._send, self._method, self._told, self._limit = send, method, told, limit
        self._held: Message | None = None
        self._dropped = False

    async def take(self, event: Message) -> None:
        if event["type"] == "http.response.start":
            await self._begin(event)
        elif self._held is not None:
            await self._end(self._held, event)
        elif not self._dropped:
            await self._send(event)

    async def _begin(self, event: Message) -> None:
        headers = {name.lower(): value for name, value in event["headers"]}
        if event["status"] != 200:
            await self._send(event)
        elif b"etag" in headers or b"last-modified" in headers:
            await self._judge(event, headers.get(b"etag"), headers.get(b"last-modified"))
        elif self._limit and b"set-cookie" not in headers:
            self._held = event
        else:
            await self._send(event)

    async def _end(self, start: Message, event: Message) -> None:
        """Tag what is whole; what has more to come goes on as it is."""
        self._held = None
        body: bytes = event.get("body", b"")
        if event.get("more_body", False) or not 0 < len(body) <= self._limit:
            await self._send(start)
            return await self._send(event)
        tag = hashed_tag(body).encode()
        await self._judge({**start, "headers": [*start["headers"], (b"etag", tag)]}, tag, None)
        if not self._dropped:
            await self._send(event)

    async def _judge(self, start: Message, etag: bytes | None, modified: bytes | None) -> None:
        status = judged(self._method, self._told, etag=_text(etag), modified=_text(modified))
        if status is None:
            return await self._send(start)
        self._dropped = True
        await self._send({**start, "status": status, "headers": _without_body(start, status)})
        await self._send({"type": "http.response.body", "body": b""})


def _without_body(start: Message, status: int) -> Headers:
    left = {b"content-length", b"content-type", b"content-encoding", b"content-range"}
    kept = [(name, value) for name, value in start["headers"] if name.lower() not in left]
    return kept if status == 304 else [*kept, (b"content-length", b"0")]


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("latin-1")
