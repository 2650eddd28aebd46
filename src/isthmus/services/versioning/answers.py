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

__all__ = ["Downgrade", "dressed"]

_log = logging.getLogger("isthmus.versions")

_BODILESS = frozenset({204, 205, 206})
_PLACES = frozenset({b"location", b"content-location", b"link"})
_TARGET = re.compile(rb"<(/[^>]*)>")

Failed = Callable[[], Awaitable[None]]
Dress = Callable[[Message], Message]


def dressed(
    event: Message,
    *,
    report: Headers,
    root: str | None,
    media_type: str,
    version: str | None,
    is_open: Callable[[str], bool],
) -> Message:
    """Return the start of an answer with what is said of versions.

    Places below the API's root get the version's, `root`; JSON is called `media_type`, if
    that was asked for; tags are those of `version`, unless that is HEAD (None).
    """
    headers: list[tuple[bytes, bytes]] = []
    for name, value in event.get("headers", ()):
        low = name.lower()
        if root and low in _PLACES:
            value = _below(root, low, value, is_open)  # noqa: PLW2901 - one header after another
        elif version is not None and low == b"etag":
            value = etags.answered(value, version)  # noqa: PLW2901
        elif media_type and low == b"content-type" and is_json(value.decode("latin-1")):
            value = media_type.encode("latin-1")  # noqa: PLW2901
        headers.append((name, value))
    return {**event, "headers": [*headers, *report]}


def _below(root: str, name: bytes, value: bytes, is_open: Callable[[str], bool]) -> bytes:
    def moved(path: bytes) -> bytes:
        text = path.decode("latin-1")
        away = text.startswith((f"{root}/", "//")) or text == root or is_open(text.split("?")[0])
        return path if away else root.encode() + path

    if name == b"link":
        return _TARGET.sub(lambda found: b"<" + moved(found[1]) + b">", value)
    return moved(value) if value.startswith(b"/") else value


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
