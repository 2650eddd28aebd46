"""Requests to an ASGI application in this process: no socket, no port."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import unquote, urlsplit

from starlette.types import ASGIApp, Message

from isthmus.services.client.errors import AnswerTooLargeError, ConnectionBrokenError
from isthmus.services.client.transport import Outgoing, Reply, headers_of

__all__ = ["AsgiTransport"]


class AsgiTransport:
    """Has an application answer, as if it were served under the client's base URL.

    What it raises before its answer began is raised to the caller, so that a test shows it. Its
    lifespan is not run: start it yourself, if it needs that.
    """

    def __init__(self, application: ASGIApp) -> None:
        self._application = application

    async def send(self, request: Outgoing) -> Reply:
        running = _Running(self._application, request)
        try:
            status, headers = await running.begun()
        except BaseException:
            await running.aclose()
            raise
        return Reply(status, headers_of(headers), running)

    async def aclose(self) -> None:
        """Nothing is open."""


class _Running:
    """One request that the application works on; the body of its answer."""

    def __init__(self, application: ASGIApp, request: Outgoing) -> None:
        self._request = request
        self._chunks = _chunks_of(request)
        self._sent_all = False
        self._answer: asyncio.Queue[Message | None] = asyncio.Queue(1)
        self._gone = asyncio.Event()
        self._running = asyncio.create_task(self._run(application))

    async def begun(self) -> tuple[int, list[tuple[str, str]]]:
        """Return status and headers."""
        start = await self._answer.get()
        if start is None:
            self._running.result()  # raises what the application raised
            raise ConnectionBrokenError(f"{self._request!r}: the application gave no answer")
        pairs = start.get("headers", ())
        return start["status"], [(k.decode("latin-1"), v.decode("latin-1")) for k, v in pairs]

    async def read(self, limit: int) -> bytes:
        parts, size = list[bytes](), 0
        async for chunk in self.chunks():
            parts.append(chunk)
            size += len(chunk)
            if size > limit:
                await self.aclose()
                raise AnswerTooLargeError(limit)
        return b"".join(parts)

    async def chunks(self) -> AsyncIterator[bytes]:
        more = True
        while more:
            event = await self._answer.get()
            if event is None:
                why = None if self._running.cancelled() else self._running.exception()
                raise ConnectionBrokenError(
                    f"{self._request!r}: the application ended in the middle of its answer"
                ) from why
            more = event.get("more_body", False)
            if chunk := event.get("body", b""):
                yield chunk

    async def aclose(self) -> None:
        self._gone.set()
        self._running.cancel()
        await asyncio.wait((self._running,))
        if not self._running.cancelled():
            self._running.exception()  # seen

    async def _run(self, application: ASGIApp) -> None:
        try:
            await application(_scope(self._request), self._receive, self._answer.put)
        finally:
            if not self._gone.is_set():
                await self._answer.put(None)

    async def _receive(self) -> Message:
        if self._sent_all:
            await self._gone.wait()
            return {"type": "http.disconnect"}
        try:
            chunk = await anext(self._chunks)
        except StopAsyncIteration:
            self._sent_all = True
            return {"type": "http.request", "body": b"", "more_body": False}
        return {"type": "http.request", "body": chunk, "more_body": True}


async def _chunks_of(request: Outgoing) -> AsyncIterator[bytes]:
    if not isinstance(request.body, bytes):
        async for chunk in request.body:
            yield chunk
    elif request.body:
        yield request.body


def _scope(request: Outgoing) -> dict[str, Any]:
    parts = urlsplit(request.url)
    headers = [(name.lower(), value) for name, value in request.headers.items()]
    headers.insert(0, ("host", parts.netloc))
    if isinstance(request.body, bytes) and request.body:
        headers.append(("content-length", str(len(request.body))))
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": parts.scheme,
        "path": unquote(parts.path or "/"),
        "raw_path": (parts.path or "/").encode(),
        "query_string": parts.query.encode(),
        "root_path": "",
        "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers],
        "client": ("127.0.0.1", 0),
        "server": (parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)),
        "state": {},
        "extensions": {},
    }
