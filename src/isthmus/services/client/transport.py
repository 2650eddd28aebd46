"""What carries a request to the other side and brings its answer: the two types between.

`Transport` is fulfilled by aiohttp (`AiohttpTransport`), by any ASGI application in this process
(`AsgiTransport`), and by the fake and the recorder of `isthmus.testing.http`.
"""

from collections.abc import AsyncIterable, AsyncIterator, Mapping
from typing import Protocol

import msgspec
from multidict import CIMultiDict, CIMultiDictProxy

from isthmus.services.client.errors import AnswerTooLargeError

__all__ = ["Body", "Headers", "Outgoing", "Reply", "Transport", "Whole", "headers_of"]

Headers = Mapping[str, str]
"""By name, whatever its case; of several values under one name, the first."""


class Outgoing(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """One attempt of a call, as it leaves."""

    method: str
    """In capitals."""
    url: str
    """All of it, encoded."""
    headers: Headers
    body: bytes | AsyncIterable[bytes] = b""
    connect: float | None = None
    """Seconds to get a connection; None: as long as it takes."""
    repeatable: bool = False
    """Whether sending it twice has one effect, so that one which met a connection that had been
    closed meanwhile is sent again at once."""

    def __repr__(self) -> str:
        return f"Outgoing({self.method} {self.url.partition('?')[0]})"


class Body(Protocol):
    """What follows the headers of an answer. Read it once, by one of the two, or close it."""

    async def read(self, limit: int) -> bytes:
        """Return all of it.

        Raises:
            AnswerTooLargeError: It is larger than `limit` bytes; the rest is not read.
            ConnectionBrokenError: It ended too early.
        """
        ...

    def chunks(self) -> AsyncIterator[bytes]:
        """Yield it as it comes; raises ConnectionBrokenError if it ended too early."""
        ...

    async def aclose(self) -> None:
        """Give up what was not read, and the connection with it. Twice is once."""
        ...


class Reply(msgspec.Struct, frozen=True, eq=False):
    """An answer of which the headers are there."""

    status: int
    headers: Headers
    body: Body

    def __repr__(self) -> str:
        return f"Reply({self.status})"


class Transport(Protocol):
    """A way to the other side. Used in one event loop at a time."""

    async def send(self, request: Outgoing) -> Reply:
        """Return the answer as soon as its headers are there, whatever its status.

        A redirect is an answer, too. Cancelled, it gives up the request and its connection.

        Raises:
            UnreachableError: There is no connection, so that nothing was sent.
            ConnectionBrokenError: It broke after that; the request may have had its effect.
        """
        ...

    async def aclose(self) -> None:
        """Close what is open; `send` may open it again. Twice is once."""
        ...


class Whole:
    """A body that is here already."""

    __slots__ = ("content",)

    def __init__(self, content: bytes) -> None:
        self.content = content

    async def read(self, limit: int) -> bytes:
        if len(self.content) > limit:
            raise AnswerTooLargeError(limit)
        return self.content

    async def chunks(self) -> AsyncIterator[bytes]:
        if self.content:
            yield self.content

    async def aclose(self) -> None:
        """Nothing is open."""


def headers_of(pairs: Mapping[str, str] | list[tuple[str, str]]) -> Headers:
    """Return headers that are found whatever the case of their names."""
    return CIMultiDictProxy(CIMultiDict(pairs))
