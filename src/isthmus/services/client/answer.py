"""A streamed answer: its headers are here, its body comes."""

import asyncio
import codecs
from collections.abc import AsyncIterator, Mapping

import msgspec

from isthmus.deadline import remaining
from isthmus.services.client.errors import AnswerTooLargeError, ReadTimedOutError
from isthmus.services.client.transport import Reply

__all__ = ["Answer", "ServerEvent"]

LINE = 1 << 20
"""Most characters of one line."""


class ServerEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One of a stream of server-sent events.

    Source: HTML Living Standard, 9.2 Server-sent events.
    """

    event: str = "message"
    data: str
    id: str = ""
    """The last id that was said, to go on from there (header Last-Event-ID)."""
    retry: float | None = None
    """Seconds after which to connect again, if the other side says."""


class Answer:
    """What `client.stream` gives. Read it once, inside `async with`."""

    def __init__(self, reply: Reply, operation: str, *, wait: float, limit: int) -> None:
        """`wait`: seconds in which the next piece has to come."""
        self._reply, self._operation, self._wait, self._limit = reply, operation, wait, limit

    def __repr__(self) -> str:
        return f"Answer({self.status}, {self._operation!r})"

    @property
    def status(self) -> int:
        return self._reply.status

    @property
    def headers(self) -> Mapping[str, str]:
        """By name, in any case."""
        return self._reply.headers

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it comes.

        Raises:
            ReadTimedOutError: Nothing more came in time, or the deadline in force is over.
            ConnectionBrokenError: The connection broke before the end.
        """
        chunks = aiter(self._reply.body.chunks())
        while True:
            span = min(self._wait, remaining(self._wait))
            try:
                async with asyncio.timeout(span):
                    chunk = await anext(chunks)
            except StopAsyncIteration:
                return
            except TimeoutError as error:
                await self.aclose()
                raise ReadTimedOutError(
                    f"{self._operation}: nothing more of the answer came within {span:.3g} s"
                ) from error
            yield chunk

    async def read(self) -> bytes:
        """Return the rest of the body, as far as the client's limit allows."""
        parts, size = list[bytes](), 0
        async for chunk in self.chunks():
            size += len(chunk)
            if size > self._limit:
                await self.aclose()
                raise AnswerTooLargeError(self._limit)
            parts.append(chunk)
        return b"".join(parts)

    async def lines(self) -> AsyncIterator[str]:
        """Yield the body line by line, without their ends: LF, CR LF, or CR. UTF-8; what can't
        be read is replaced. A line has a million characters at most (AnswerTooLargeError)."""
        text = codecs.getincrementaldecoder("utf-8")("replace")
        rest = ""
        async for chunk in self.chunks():
            rest += text.decode(chunk)
            *lines, rest = _split(rest)
            for line in lines:
                yield line
            if len(rest) > LINE:
                await self.aclose()
                raise AnswerTooLargeError(LINE)
        rest += text.decode(b"", final=True)
        if rest:
            yield rest.removesuffix("\r")

    async def events(self) -> AsyncIterator[ServerEvent]:
        """Yield the body as server-sent events."""
        found: dict[str, list[str]] = {}
        last = ""
        async for line in self.lines():
            name, _, value = line.partition(":")
            if line:
                if name:
                    found.setdefault(name, []).append(value.removeprefix(" "))
                continue
            last = found.get("id", [last])[-1]
            if "data" in found:
                yield _event(found, last)
            found = {}

    async def aclose(self) -> None:
        """Give up the rest."""
        await self._reply.body.aclose()


def _split(text: str) -> list[str]:
    """Split at the ends of lines; the last has none yet. A CR at the very end may be half one."""
    held = text.endswith("\r")
    lines = text[:-1] if held else text
    parts = lines.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    if held:
        parts[-1] += "\r"
    return parts


def _event(found: Mapping[str, list[str]], last: str) -> ServerEvent:
    retry = found.get("retry", [""])[-1]
    return ServerEvent(
        event=found.get("event", ["message"])[-1] or "message",
        data="\n".join(found["data"]),
        id=last,
        retry=float(retry) / 1000 if retry.isdecimal() else None,
    )
