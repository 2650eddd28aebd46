"""Media types that bodies and answers may have: JSON, MessagePack, and whatever a route adds."""

from collections.abc import Callable, Sequence

import msgspec

from isthmus.errors import ConfigError

__all__ = ["FORMATS", "JSON", "MESSAGEPACK", "Accepted", "Format", "accepted"]


class Format(msgspec.Struct, frozen=True):
    """A media type, as a way to JSON and from it: what is said of JSON - every fault listed, older
    versions, every model library - holds of each format."""

    media_type: str
    """As "application/vnd.msgpack"."""
    read: Callable[[bytes], bytes]
    """Returns a body of this media type as JSON; raises any exception if it is none."""
    write: Callable[[bytes], bytes]
    """Returns JSON as this media type."""
    aliases: Sequence[str] = ()
    """Other names by which clients call it."""

    def __post_init__(self) -> None:
        for name in (self.media_type, *self.aliases):
            kind, _, subtype = name.partition("/")
            if not kind or not subtype or name != name.strip().lower() or ";" in name:
                raise ConfigError(f"media type {name!r}: expected as 'application/yaml'")


def _same(body: bytes) -> bytes:
    return body


def _of_messagepack(body: bytes) -> bytes:
    return msgspec.json.encode(msgspec.msgpack.decode(body))


def _to_messagepack(body: bytes) -> bytes:
    return msgspec.msgpack.encode(msgspec.json.decode(body))


JSON = Format("application/json", _same, _same)
MESSAGEPACK = Format(
    "application/vnd.msgpack",
    _of_messagepack,
    _to_messagepack,
    aliases=("application/msgpack", "application/x-msgpack"),
)
"""Bytes and moments are strings in it, as they are in JSON."""

FORMATS = (JSON, MESSAGEPACK)
"""What every route reads and writes unless it says otherwise."""


class Accepted(msgspec.Struct, frozen=True):
    """One range of an Accept header."""

    kind: str
    subtype: str
    quality: float

    def covers(self, name: str) -> int:
        """Return how exactly it names a media type: 3 by name, 1 by "*/*", 0 if not at all. JSON
        is meant by every "+json", too."""
        kind, _, subtype = name.partition("/")
        if (self.kind, self.subtype) == ("*", "*"):
            return 1
        if self.kind != kind:
            return 0
        if self.subtype == "*":
            return 2
        is_json = subtype == "json" and self.subtype.endswith("+json")
        return 3 if is_json or self.subtype == subtype else 0


def accepted(header: str) -> Sequence[Accepted]:
    """Return the ranges of an Accept header (RFC 9110, section 12.5.1); those that are malformed
    are left out."""
    found = list[Accepted]()
    for part in header.split(","):
        name, *parameters = (piece.strip().lower() for piece in part.split(";"))
        kind, _, subtype = name.partition("/")
        if kind and subtype:
            found.append(Accepted(kind, subtype, _quality(parameters)))
    return found


def _quality(parameters: Sequence[str]) -> float:
    for each in parameters:
        name, _, value = each.partition("=")
        if name.strip() == "q":
            try:
                return min(1.0, max(0.0, float(value)))
            except ValueError:
                return 0.0
    return 1.0
