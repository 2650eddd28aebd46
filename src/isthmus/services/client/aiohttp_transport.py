"""Requests over aiohttp: its pool, its connections, its parser.

Its ClientSession is not used: what that does beyond (cookies, redirects, proxies, middleware) is
twice the work of the rest, and its errors don't tell a request that was never sent from one that
was. What is used instead is `TCPConnector.connect`, and of a connection its `protocol`.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator
from functools import cached_property
from typing import Any

import aiohttp
from aiohttp.http import HttpProcessingError, StreamWriter
from multidict import CIMultiDict
from yarl import URL

from isthmus.errors import ConfigError
from isthmus.services.client.errors import AnswerTooLargeError
from isthmus.services.client.lost import broken, cut_short, not_connected
from isthmus.services.client.transport import Headers, Outgoing, Reply

__all__ = ["AiohttpTransport"]

USED = "isthmus_used"
"""Attribute of a connection's protocol that has carried a request."""
STALE = 3
"""Pooled connections in a row that may prove to be closed before a request gives up."""
JOINED = 1 << 16
"""Most bytes of a body that are copied to be one write with the headers."""
BUFFER = 1 << 16
"""Bytes of an answer after which its connection is not read until somebody takes them."""


class AiohttpTransport:
    """A pool of connections that is one client's own. HTTP/1.1; what the environment says of
    proxies is not looked at; cookies are not kept."""

    def __init__(self, *, tls: ssl.SSLContext | None = None, keep_alive: float = 15.0) -> None:
        """
        Args:
            tls: Default: the system's authorities.
            keep_alive: Seconds that an idle connection is kept.
        """
        self._tls, self._keep_alive = tls, keep_alive
        self._connector: aiohttp.TCPConnector | None = None
        self._places: dict[str, _Place] = {}
        self._timeouts: dict[float | None, aiohttp.ClientTimeout] = {}

    async def send(self, request: Outgoing) -> Reply:
        url = request.url
        split = url.find("/", 8)
        place = self._places.get(url[:split] if split > 0 else url)
        if place is None:
            place = self._place(url)
        head = _head(request, place.authority, url[split:] if split > 0 else "/")
        for turn in range(1, STALE + 1):
            connection = await self._connected(request, place)
            protocol = connection.protocol
            reused = getattr(protocol, USED, False)
            try:
                if request.body.__class__ is bytes:
                    _write(protocol, request, head)
                    message, content = await protocol.read()
                    if message.code < 200:
                        message, content = await _begun(protocol)
                else:
                    message, content = await _uploaded(connection, request, place)
            except (aiohttp.ClientError, HttpProcessingError, OSError) as error:
                connection.close()
                if reused and request.repeatable and turn < STALE and _is_stale(error):
                    continue
                raise broken(request, error) from error
            except BaseException:
                connection.close()
                raise
            return Reply(
                message.code, message.headers, _Arriving(connection, content, message, request)
            )
        raise AssertionError

    async def aclose(self) -> None:
        connector, self._connector = self._connector, None
        self._places.clear()
        if connector is not None:
            await connector.close()

    async def _connected(self, request: Outgoing, place: "_Place") -> Any:
        connector = self._connector
        if connector is None:
            raise ConfigError("the transport was closed while a request was sent")
        timeout = self._timeouts.get(request.connect)
        if timeout is None:
            timeout = aiohttp.ClientTimeout(total=None, connect=request.connect)
            self._timeouts[request.connect] = timeout
        try:
            return await connector.connect(place, traces=[], timeout=timeout)
        except (aiohttp.ClientError, OSError) as error:
            raise not_connected(request, error) from error

    def _place(self, url: str) -> "_Place":
        if self._connector is None:
            self._connector = aiohttp.TCPConnector(
                limit=0,  # the policy's bulkhead bounds calls, the client its streams
                keepalive_timeout=self._keep_alive,
                ssl=self._tls or True,
            )
        split = url.find("/", 8)
        origin = url[:split] if split > 0 else url
        place = self._places[origin] = _Place("GET", URL(origin), loop=asyncio.get_running_loop())
        return place


class _Place(aiohttp.ClientRequest):
    """What a connector has to know of where it connects to; the same for all requests."""

    @cached_property
    def connection_key(self) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        return super().connection_key

    @cached_property
    def authority(self) -> str:
        return self.headers["Host"]


def _write(protocol: Any, request: Outgoing, head: bytes) -> None:
    """Send all of a request."""
    transport = _prepared(protocol, request)
    body: Any = request.body
    if len(body) <= JOINED:
        transport.write(head + body)
    else:
        transport.write(head)
        transport.write(body)


def _prepared(protocol: Any, request: Outgoing) -> Any:
    """Return the transport to write to, ready for an answer."""
    transport = protocol.transport
    if transport is None or transport.is_closing():
        raise aiohttp.ServerDisconnectedError
    setattr(protocol, USED, True)
    protocol.set_response_params(
        timer=None,
        skip_payload=request.method == "HEAD",
        read_until_eof=True,
        auto_decompress=True,
        read_bufsize=BUFFER,
    )
    return transport


async def _begun(protocol: Any) -> Any:
    """Return status and headers, and the body that follows."""
    while True:
        message, content = await protocol.read()
        if message.code >= 200 or message.code == 101:
            return message, content


async def _uploaded(connection: Any, request: Outgoing, place: _Place) -> Any:
    """Send a request whose body comes in pieces, and return the answer's beginning: that may
    come before the end of the body, which is then given up."""
    protocol = connection.protocol
    _prepared(protocol, request)
    writing = asyncio.ensure_future(_written(protocol, request, place))
    reading = asyncio.ensure_future(_begun(protocol))
    try:
        await asyncio.wait((writing, reading), return_when=asyncio.FIRST_COMPLETED)
        if not writing.done():
            protocol.force_close()
        elif not reading.done():
            await writing
        return await reading
    finally:
        for task in (writing, reading):
            task.cancel()
        await asyncio.wait((writing, reading))
        for task in (writing, reading):
            if not task.cancelled():
                task.exception()  # seen


async def _written(protocol: Any, request: Outgoing, place: _Place) -> None:
    headers = CIMultiDict(request.headers)
    headers["Host"] = place.authority
    writer = StreamWriter(protocol, asyncio.get_running_loop())
    if "Content-Length" not in headers:
        headers["Transfer-Encoding"] = "chunked"
        writer.enable_chunking()
    target = request.url[request.url.find("/", 8) :]
    await writer.write_headers(f"{request.method} {target} HTTP/1.1", headers)
    source: Any = request.body
    async for chunk in source:
        await writer.write(chunk)
    await writer.write_eof()


class _Arriving:
    """The body of an answer, on its connection."""

    __slots__ = ("_connection", "_content", "_message", "_request")

    def __init__(self, connection: Any, content: Any, message: Any, request: Outgoing) -> None:
        self._connection, self._content = connection, content
        self._message, self._request = message, request

    async def read(self, limit: int) -> bytes:
        content = self._content
        try:
            if content.is_eof():
                body: bytes = content.read_nowait()  # all of it came with the headers
                if len(body) > limit:
                    raise AnswerTooLargeError(limit)
            else:
                body = await self._awaited(limit)
        except (aiohttp.ClientError, OSError) as error:
            self._connection.close()
            raise cut_short(self._request, self._message.code, error) from error
        except BaseException:
            self._connection.close()
            raise
        self._end()
        return body

    async def _awaited(self, limit: int) -> bytes:
        headers: Headers = self._message.headers
        length = headers.get("Content-Length", "")
        if length.isdecimal() and int(length) > limit:
            raise AnswerTooLargeError(limit)
        parts, size = list[bytes](), 0
        while chunk := await self._content.readany():
            parts.append(chunk)
            size += len(chunk)
            if size > limit:
                raise AnswerTooLargeError(limit)
        return b"".join(parts)

    async def chunks(self) -> AsyncIterator[bytes]:
        content = self._content
        try:
            while chunk := await content.readany():
                yield chunk
        except (aiohttp.ClientError, OSError) as error:
            self._connection.close()
            raise cut_short(self._request, self._message.code, error) from error
        except BaseException:
            self._connection.close()
            raise
        self._end()

    async def aclose(self) -> None:
        if self._content.is_eof():
            self._end()
        else:
            self._connection.close()

    def _end(self) -> None:
        """Give the connection back, unless what was sent is not all taken."""
        connection, body = self._connection, self._request.body
        if not isinstance(body, bytes) or len(body) > JOINED:
            transport = connection.transport
            if transport is not None and transport.get_write_buffer_size():
                return connection.close()
        connection.release()


def _head(request: Outgoing, authority: str, target: str) -> bytes:
    """Return the request's first lines.

    Raises:
        ConfigError: A header holds the end of a line.
    """
    headers, body = request.headers, request.body
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    if lines.count("\n") != len(headers) or lines.count("\r") != len(headers):
        raise ConfigError(f"a header of {request!r} holds the end of a line")
    if isinstance(body, bytes) and (body or request.method not in BARE):
        lines += f"Content-Length: {len(body)}\r\n"
    return f"{request.method} {target} HTTP/1.1\r\nHost: {authority}\r\n{lines}\r\n".encode()


BARE = frozenset(("GET", "HEAD", "OPTIONS", "TRACE", "DELETE"))
"""Methods whose requests need not say that they have no body."""


def _is_stale(error: BaseException) -> bool:
    """Return whether an error is as of a connection that had been closed meanwhile."""
    return isinstance(
        error, aiohttp.ServerDisconnectedError | ConnectionError | aiohttp.ClientOSError
    )
