"""A request that came to a fake or a recorder, read to its end."""

from collections.abc import AsyncIterable, Mapping
from typing import Any, TypeVar, overload
from urllib.parse import parse_qs, urlsplit

import msgspec

from isthmus.schema.codec import codec_of
from isthmus.services.client.transport import Outgoing

__all__ = ["Received", "received"]

T = TypeVar("T")


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """What the other side would have got."""

    method: str
    url: str
    path: str
    """As it was sent: encoded."""
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    """By name, in any case."""
    body: bytes
    path_params: Mapping[str, str] = {}
    """What stood where the expected path has {braces}, decoded."""

    def __repr__(self) -> str:
        return f"Received({self.method} {self.path}, {len(self.body)} bytes)"

    @overload
    def json(self, /) -> Any: ...
    @overload
    def json(self, type: type[T], /) -> T: ...
    def json(self, type: Any = Any, /) -> Any:
        """Return the body as JSON says it, or as a value of `type`."""
        return codec_of(type).decode(self.body)

    @property
    def form(self) -> Mapping[str, list[str]]:
        """The body as the fields of a form."""
        return parse_qs(self.body.decode(), keep_blank_values=True)


async def received(request: Outgoing) -> Received:
    """Return `request` with its body, a stream read to its end."""
    parts = urlsplit(request.url)
    return Received(
        method=request.method,
        url=request.url,
        path=parts.path or "/",
        query=parse_qs(parts.query, keep_blank_values=True),
        headers=request.headers,
        body=await _read(request.body),
    )


async def _read(body: bytes | AsyncIterable[bytes]) -> bytes:
    if isinstance(body, bytes):
        return body
    return b"".join([chunk async for chunk in body])
