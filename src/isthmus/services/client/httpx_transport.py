"""A client of isthmus under one of httpx: code written for httpx gets the policy, the pool and
the headers of an upstream, and stays as it is.

    payments = Client("payments", "https://pay.example")
    async with httpx.AsyncClient(
        base_url=payments.base_url, transport=HttpxTransport(payments)
    ) as http:
        (await http.get("/charges")).raise_for_status()
"""

from collections.abc import Collection, Iterator
from types import TracebackType
from typing import Self

from multidict import CIMultiDict

from isthmus.errors import ConfigError, IsthmusError, TimedOutError
from isthmus.handling.idempotency_key import in_force as step_key
from isthmus.resilience.classify import TRANSIENT
from isthmus.resilience.errors import NotCalledError, RetriesSpentError
from isthmus.services.client.address import origin_of
from isthmus.services.client.call import IDEMPOTENT, Call
from isthmus.services.client.carried import id_here
from isthmus.services.client.client import Client
from isthmus.services.client.errors import (
    AnswerError,
    ConnectTimedOutError,
    UnreachableError,
)
from isthmus.services.client.requesting import quoted

try:
    import httpx
except ModuleNotFoundError as error:
    raise ImportError("HttpxTransport needs httpx: pip install 'isthmus[httpx]'") from error

__all__ = ["HttpxTransport"]

ALLOWED = frozenset(range(400, 600)) - TRANSIENT
"""Statuses that are nothing to the policy, and are handed on as they are."""
OURS = frozenset(("content-length", "content-encoding", "transfer-encoding", "host", "connection"))
"""Headers that belong to a connection, which is aiohttp's and not httpx's."""


class HttpxTransport(httpx.AsyncBaseTransport):
    """Sends what httpx asks for through a Client, and only to its upstream.

    The policy sees errors, and the statuses that may pass (408, 425, 429, 500, 502, 503, 504);
    in the end they are responses, as httpx's users expect. Other failures are httpx's own
    errors, from those of isthmus: PoolTimeout for a call that the policy refused. Answers are
    read at once, up to the client's limit. What httpx says of timeouts and pools is not looked
    at: the policy says it. An idempotency key among the headers makes a POST one that may be
    repeated; in a step of a saga, it is sent with the key of that.
    """

    def __init__(self, client: Client) -> None:
        """It is opened and closed with httpx's, unless it is open already."""
        self._client = client
        self._origin = origin_of(client.base_url)
        self._opened = False

    async def __aenter__(self) -> Self:
        await self._open()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        if self._opened:
            self._opened = False
            await self._client.aclose()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await self._open()
        url = str(request.url).partition("#")[0]
        if origin_of(url) != self._origin:
            raise httpx.UnsupportedProtocol(
                f"client {self._client.name!r} calls {self._client.base_url}, not {request.url}",
                request=request,
            )
        body = await request.aread()
        try:
            reply = await self._client.send(self._call(request, url, body))
            content = reply.body.content
        except ConfigError:
            raise
        except IsthmusError as error:
            return _answered(request, error)
        return httpx.Response(
            reply.status, headers=list(_kept(reply.headers.items())), content=content
        )

    async def _open(self) -> None:
        if not self._client.is_open:
            await self._client.open()
            self._opened = True

    def _call(self, request: httpx.Request, url: str, body: bytes) -> Call:
        headers, key = CIMultiDict(_kept(request.headers.items())), self._client.key_header
        safe = request.method in IDEMPOTENT
        if not safe and key not in headers and (step := step_key.get()) is not None:
            headers[key] = quoted(step.next())
        return Call(
            request.method,
            url,
            f"{request.method} {request.url.path}",
            headers=headers,
            body=body,
            idempotent=safe or key in headers,
            allow=ALLOWED,
            id=id_here(),
        )


def _kept(pairs: Collection[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    return ((name, value) for name, value in pairs if name.lower() not in OURS)


def _answered(request: httpx.Request, error: IsthmusError) -> httpx.Response:
    """Return the answer that an error is; else raise it as httpx's own."""
    last = error.__cause__ if isinstance(error, RetriesSpentError) else error
    if isinstance(last, AnswerError):
        headers = list(_kept(list(last.headers.items())))
        return httpx.Response(last.status, headers=headers, content=last.body)
    raise _of_httpx(last)(str(error), request=request) from error


def _of_httpx(error: BaseException | None) -> type[httpx.TransportError]:
    match error:
        case ConnectTimedOutError():
            return httpx.ConnectTimeout
        case UnreachableError():
            return httpx.ConnectError
        case NotCalledError():
            return httpx.PoolTimeout
        case TimedOutError():
            return httpx.ReadTimeout
        case _:
            return httpx.ReadError
