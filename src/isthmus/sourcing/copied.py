"""How events lie in a file: a line of JSON each, after one that says what they are."""

from collections.abc import Mapping
from typing import Any

import msgspec

from isthmus.contracts import Record
from isthmus.errors import CorruptedError
from isthmus.message import Message

__all__ = ["FORMAT", "End", "Event", "Head", "Subject", "copied", "line", "parsed"]

FORMAT = 1
NOTHING = b"null"


class Head(msgspec.Struct, frozen=True, kw_only=True, tag_field="line", tag="head"):
    """The first line."""

    format: int = FORMAT
    aggregate: str
    partitions: int
    ends: Mapping[int, int]
    """The offset that came next in each partition, when the copy was begun: it goes so far."""
    at: float


class Event(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="line", tag="event", omit_defaults=True
):
    """One event, with all that its message has."""

    key: str
    version: int
    partition: int
    offset: int
    id: str
    type: str
    time: float
    body: msgspec.Raw
    """As it was written, if that is a line of JSON."""
    octets: bytes | None = None
    """As it was written, if it is not."""
    source: str = ""
    subject: str = ""
    dataschema: str = ""
    datacontenttype: str = "application/json"
    headers: Mapping[str, str] = {}

    @property
    def message(self) -> Message:
        return Message(
            body=bytes(self.body) if self.octets is None else self.octets,
            id=self.id,
            type=self.type,
            source=self.source,
            subject=self.subject,
            time=self.time,
            dataschema=self.dataschema,
            datacontenttype=self.datacontenttype,
            key=self.key,
            headers=self.headers,
        )


class Subject(msgspec.Struct, frozen=True, kw_only=True, tag_field="line", tag="subject"):
    """The key of a person's data."""

    subject: str
    secret: bytes


class End(msgspec.Struct, frozen=True, kw_only=True, tag_field="line", tag="end"):
    """The last line: without it the copy is not whole."""

    events: int


Line = Head | Event | Subject | End
line = msgspec.json.Encoder().encode
_parse = msgspec.json.Decoder(Line).decode


def parsed(text: bytes, *, where: str) -> Any:
    """Return what a line says; CorruptedError if that is nothing of ours."""
    try:
        found = _parse(text)
    except msgspec.MsgspecError as error:
        raise CorruptedError(
            f"{where}: {error}; it is no copy of events, or was changed"
        ) from error
    if isinstance(found, Head) and found.format != FORMAT:
        raise CorruptedError(f"{where}: format {found.format} is newer than this program")
    return found


def copied(record: Record) -> bytes:
    """Return an event as a line, without its end."""
    message = record.message
    plain = _is_line_of_json(message.body)
    return line(
        Event(
            key=message.key,
            version=record.version,
            partition=record.partition,
            offset=record.offset,
            id=message.id,
            type=message.type,
            time=message.time or record.at,
            body=msgspec.Raw(message.body if plain else NOTHING),
            octets=None if plain else message.body,
            source=message.source,
            subject=message.subject,
            dataschema=message.dataschema,
            datacontenttype=message.datacontenttype,
            headers=message.headers,
        )
    )


def _is_line_of_json(body: bytes) -> bool:
    if b"\n" in body or b"\r" in body:
        return False
    try:
        msgspec.json.decode(body, type=msgspec.Raw)
    except msgspec.MsgspecError:
        return False
    return True
