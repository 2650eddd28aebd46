"""An answer on its way to a client of some version."""

import logging
import re
from collections.abc import Awaitable, Callable

import msgspec
from starlette.types import Message, Send

from isthmus.services.versioning import etags
from isthmus.services.versioning.asked import Headers
from isthmus.services.versioning.requests import is_json, resized
from isthmus.versions import MigrationError
from isthmus.versions.change import Lead

__all__ = ["Downgrade", "Dress"]

_log = logging.getLogger("isthmus.versions")

_BODILESS = frozenset({204, 205, 206})
_PLACES = frozenset({b"location", b"content-location", b"link"})
_TARGET = re.compile(rb"<(/[^>]*)>")

_TOUCHED = _PLACES | {b"etag"}
_TOUCHED_TYPE = _TOUCHED | {b"content-type"}

Failed = Callable[[], Awaitable[None]]


class Dress:
    """What the start of an answer says of versions, beside what the application says.

    Places below the API's root get the version's; JSON is called what was asked for;
    tags are those of the version, unless it is HEAD.
    """

    __slots__ = ("_is_open", "_report", "_root", "_tags", "_touched", "_type")

    def __init__(
        self,
        report: Headers,
        *,
        root: str | None,
        media_type: str,
        tags: str | None,
        is_open: Callable[[str], bool],
    ) -> None:
        """`root`: up to and with the version; `tags`: the version that tags are of, None for
        HEAD; `is_open`: whether a path has no versions."""
        self._report, self._root, self._tags, self._is_open = report, root, tags, is_open
        self._type = media_type.encode("latin-1")
        self._touched = _TOUCHED_TYPE if media_type else _TOUCHED

    def __call__(self, event: Message) -> Message:
        headers: Headers = event.get("headers", ())
        for name, _ in headers:
            if name in self._touched:
                headers = [self._touch(name, value) for name, value in headers]
                break
        return {**event, "headers": [*headers, *self._report]}

    def _touch(self, name: bytes, value: bytes) -> tuple[bytes, bytes]:
        if name in _PLACES and self._root:
            value = self._places(name, value)
        elif name == b"etag" and self._tags is not None:
            value = etags.answered(value, self._tags)
        elif name == b"content-type" and self._type and is_json(value.decode("latin-1")):
            value = self._type
        return name, value

    def _places(self, name: bytes, value: bytes) -> bytes:
        if name == b"link":
            return _TARGET.sub(lambda found: b"<" + self._below(found[1]) + b">", value)
        return self._below(value) if value.startswith(b"/") else value

    def _below(self, path: bytes) -> bytes:
        text, root = path.decode("latin-1"), self._root or ""
        away = text.startswith((f"{root}/", "//")) or text == root
        return path if away or self._is_open(text.partition("?")[0]) else root.encode() + path


class Downgrade:
    """A `send` that leads JSON answers that went well down to an older version; they are held
    back until they are whole, up to `limit` bytes. All others pass as they come."""

    def __init__(
        self, send: Send, dress: Dress, down: Lead, *, failed: Failed, limit: int, is_head: bool
    ) -> None:
        """`dress`: what is done with every start; `failed` answers instead, where an answer
        cannot be led down: sending it as it is would be a lie."""
        self._send, self._dress, self._down = send, dress, down
        self._fail, self._limit, self._is_head = failed, limit, is_head
        self._start: Message | None = None
        self._parts: list[bytes] = []
        self._size = 0
        self._over = False

    async def __call__(self, event: Message) -> None:
        kind = event["type"]
        if self._over:
            return
        if kind == "http.response.start":
            await self._begin(event)
        elif kind == "http.response.body" and self._start is not None:
            await self._hold(event)
        else:
            await self._send(event)

    async def _begin(self, event: Message) -> None:
        if not _is_held(event):
            await self._send(self._dress(event))
        elif _encoding(event):
            await self._failed("it is compressed; compress outside of the layer of versions")
        else:
            self._start = event

    async def _hold(self, event: Message) -> None:
        part: bytes = event.get("body", b"")
        self._parts.append(part)
        self._size += len(part)
        if self._size > self._limit:
            return await self._failed(f"it is larger than {self._limit} bytes")
        if not event.get("more_body", False):
            await self._finish(b"".join(self._parts))

    async def _finish(self, body: bytes) -> None:
        start, self._over = self._start, True
        assert start is not None
        if not body:
            return await self._whole(self._unsized(start) if self._is_head else start, body)
        try:
            led = msgspec.json.encode(self._down(msgspec.json.decode(body)))
        except MigrationError as error:
            return await self._failed(str(error), error)
        except (msgspec.MsgspecError, TypeError, ValueError, RecursionError) as error:
            return await self._failed(f"it is no JSON, or became none: {error}", error)
        sized = {**start, "headers": resized(start.get("headers", ()), len(led))}
        await self._whole(sized, led)

    async def _whole(self, start: Message, body: bytes) -> None:
        await self._send(self._dress(start))
        await self._send({"type": "http.response.body", "body": body, "more_body": False})

    def _unsized(self, start: Message) -> Message:
        """Without a length, which is that of another version's body."""
        return {**start, "headers": resized(start.get("headers", ()), 0)[:-1]}

    async def _failed(self, why: str, error: Exception | None = None) -> None:
        self._over, self._parts = True, []
        _log.error("an answer could not be led to an older version: %s", why, exc_info=error)
        await self._fail()


def _is_held(start: Message) -> bool:
    status: int = start["status"]
    kind = _header(start, b"content-type")
    return 200 <= status < 300 and status not in _BODILESS and bool(kind) and is_json(kind)


def _encoding(start: Message) -> bool:
    return _header(start, b"content-encoding").lower() not in {"", "identity"}


def _header(start: Message, name: bytes) -> str:
    for header, value in start.get("headers", ()):
        if header.lower() == name:
            return value.decode("latin-1")
    return ""
