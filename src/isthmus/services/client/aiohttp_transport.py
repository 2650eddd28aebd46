"""Requests over aiohttp: its pool, its parser; errors that say how far a request came."""

import socket
import ssl
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
from yarl import URL

from isthmus.services.client.errors import (
    AnswerTooLargeError,
    ConnectionBrokenError,
    ConnectRefusedError,
    ConnectTimedOutError,
    NameUnknownError,
    NotHttpError,
    TlsFailedError,
    UnreachableError,
)
from isthmus.services.client.transport import Outgoing, Reply

__all__ = ["AiohttpTransport"]

USED = "isthmus_used"
STALE = 3
"""Pooled connections in a row that may prove closed before a request gives up."""


class AiohttpTransport:
    """A pool of connections that is one client's own. HTTP/1.1; environment variables for proxies
    and .netrc are not looked at; cookies are not kept."""

    def __init__(self, *, tls: ssl.SSLContext | None = None, keep_alive: float = 15.0) -> None:
        """
        Args:
            tls: Default: the system's authorities.
            keep_alive: Seconds that an idle connection is kept.
        """
        self._tls, self._keep_alive = tls, keep_alive
        self._session: aiohttp.ClientSession | None = None
        self._urls: dict[str, URL] = {}

    async def send(self, request: Outgoing) -> Reply:
        session = self._session
        if session is None:
            session = self._session = self._opened()
        for turn in range(1, STALE + 1):
            try:
                response = await session.request(
                    request.method,
                    URL(request.url, encoded=True),
                    data=request.body or None,
                    headers=request.headers,
                    allow_redirects=False,
                    timeout=aiohttp.ClientTimeout(connect=request.connect),
                )
                return Reply(response.status, response.headers, _Arriving(response))
            except _Lost as lost:
                if turn == STALE or not (lost.stale and request.repeatable):
                    raise _broken(request, lost.__cause__ or lost) from lost.__cause__
            except (aiohttp.ClientError, OSError) as error:
                raise _told(request, error) from error
        raise AssertionError

    async def aclose(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _opened(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            limit=0,  # the policy's bulkhead bounds calls, and the client its streams
            keepalive_timeout=self._keep_alive,
            ssl=self._tls or True,
        )
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(),
            request_class=_Request,
            response_class=_Response,
        )


class _Lost(Exception):  # noqa: N818 - caught in this file
    """The connection broke while a request was sent, or its answer awaited."""

    def __init__(self, *, stale: bool) -> None:
        super().__init__()
        self.stale = stale
        """Whether the connection had been used before, so that it may have been closed before
        the request came."""


class _Request(aiohttp.ClientRequest):
    async def send(self, conn: Any) -> aiohttp.ClientResponse:
        stale = getattr(conn.protocol, USED, False)
        setattr(conn.protocol, USED, True)
        try:
            response: Any = await super().send(conn)
        except (aiohttp.ClientConnectionError, OSError) as error:
            raise _Lost(stale=stale) from error
        response.stale = stale
        return response


class _Response(aiohttp.ClientResponse):
    stale = False

    async def start(self, connection: Any) -> aiohttp.ClientResponse:
        try:
            return await super().start(connection)
        except (aiohttp.ClientConnectionError, OSError) as error:
            raise _Lost(stale=self.stale) from error


class _Arriving:
    """The body of an aiohttp response."""

    __slots__ = ("_response",)

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    async def read(self, limit: int) -> bytes:
        headers = self._response.headers
        length = headers.get("Content-Length", "")
        if length.isdecimal() and "Content-Encoding" not in headers:
            if int(length) > limit:
                await self.aclose()
                raise AnswerTooLargeError(limit)
            try:
                return await self._response.read()
            except (aiohttp.ClientError, OSError) as error:
                raise _cut_short(self._response, error) from error
        return await self._gathered(limit)

    async def _gathered(self, limit: int) -> bytes:
        parts, size = list[bytes](), 0
        async for chunk in self.chunks():
            parts.append(chunk)
            size += len(chunk)
            if size > limit:
                await self.aclose()
                raise AnswerTooLargeError(limit)
        return b"".join(parts)

    async def chunks(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._response.content.iter_any():
                yield chunk
        except (aiohttp.ClientError, OSError) as error:
            raise _cut_short(self._response, error) from error

    async def aclose(self) -> None:
        if not self._response.closed:
            self._response.close()


def _told(request: Outgoing, error: Exception) -> Exception:
    """Return what an error of aiohttp's means."""
    what, why = _asked(request), f"{type(error).__name__}: {error}"
    match error:
        case aiohttp.ConnectionTimeoutError():
            return ConnectTimedOutError(
                f"{what} was not sent: no connection within {request.connect:.3g} s"
            )
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientConnectorSSLError():
            return TlsFailedError(f"{what} was not sent: TLS failed: {_reason(error)}")
        case aiohttp.ClientConnectorError():
            return _unconnected(what, error.os_error)
        case aiohttp.ClientResponseError():
            return NotHttpError(f"{what} was answered by what is not HTTP: {error.message}")
        case aiohttp.ClientPayloadError():
            return ConnectionBrokenError(f"{what}: the answer broke off: {why}")
        case _:
            return _broken(request, error)


def _unconnected(what: str, error: OSError) -> UnreachableError:
    reason = error.strerror or error
    if isinstance(error, socket.gaierror) or isinstance(error.__cause__, socket.gaierror):
        return NameUnknownError(f"{what} was not sent: its name cannot be resolved: {reason}")
    if isinstance(error, ssl.SSLError):
        return TlsFailedError(f"{what} was not sent: TLS failed: {reason}")
    if isinstance(error, ConnectionRefusedError):
        return ConnectRefusedError(f"{what} was not sent: the connection was refused")
    return UnreachableError(f"{what} was not sent: there is no way to it: {reason}")


def _broken(request: Outgoing, error: BaseException) -> ConnectionBrokenError:
    return ConnectionBrokenError(
        f"{_asked(request)}: the connection broke before an answer came, so that it may have had "
        f"its effect: {type(error).__name__}: {error}"
    )


def _cut_short(response: aiohttp.ClientResponse, error: Exception) -> ConnectionBrokenError:
    what = f"{response.method} {response.url.with_query(None)}"
    return ConnectionBrokenError(
        f"{what}: the answer {response.status} broke off before its end: "
        f"{type(error).__name__}: {error}"
    )


def _asked(request: Outgoing) -> str:
    return f"{request.method} {request.url.partition('?')[0]}"


def _reason(error: Any) -> str:
    found = getattr(error, "certificate_error", None) or getattr(error, "os_error", None)
    return str(found or error)
