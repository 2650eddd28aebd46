"""Server-sent events: what a page in a browser hears as it happens.

Source: WHATWG HTML, section 9.2.
"""

from typing import Any, Generic, TypeVar

import msgspec

from isthmus.errors import ConfigError
from isthmus.schema import schema_of

__all__ = ["BEAT", "MEDIA_TYPE", "ServerSentEvent", "written"]

T = TypeVar("T")

MEDIA_TYPE = "text/event-stream"
BEAT = b": \n\n"
"""A comment, which keeps a connection open where nothing happens."""


class ServerSentEvent(msgspec.Struct, Generic[T], frozen=True):
    """`async def stock() -> AsyncIterator[ServerSentEvent[Stock]]`, which yields these."""

    data: T
    """Text as it is, anything else as JSON."""
    event: str = ""
    """Its name; "" is "message"."""
    id: str = ""
    """What a client that comes back says in the header Last-Event-ID."""
    retry: float | None = None
    """Seconds after which a client that was cut off should come back. 0 or more."""

    def __post_init__(self) -> None:
        for name in ("event", "id"):
            value: str = getattr(self, name)
            if any(sign in value for sign in "\r\n\0"):
                raise ConfigError(f"{name}={value!r}: expected one line")
        if self.retry is not None and not 0 <= self.retry < float("inf"):
            raise ConfigError(f"retry={self.retry!r}: expected 0 seconds or more")


def written(event: ServerSentEvent[Any]) -> bytes:
    """Return an event as it is sent."""
    lines = list[str]()
    if event.event:
        lines.append(f"event: {event.event}")
    if event.id:
        lines.append(f"id: {event.id}")
    if event.retry is not None:
        lines.append(f"retry: {event.retry * 1000:.0f}")
    lines += [f"data: {line}" for line in _text(event.data).splitlines() or [""]]
    return "\n".join([*lines, "", ""]).encode()


def _text(data: Any) -> str:
    if isinstance(data, str):
        return data.replace("\r\n", "\n").replace("\r", "\n")
    kind: Any = type(data)  # pyright: ignore[reportUnknownVariableType]
    return schema_of(kind).encode(data).decode()
