"""A message as a row keeps it: all of it in one value, as msgpack; and what a nack adds to
its headers beside it, as JSON that the database can merge."""

from collections.abc import Iterable, Mapping

import msgspec

from isthmus.message import Message

__all__ = ["pack", "pack_headers", "unpack", "weight"]

pack = msgspec.msgpack.Encoder().encode
"""Return all of a message as bytes."""

_decode = msgspec.msgpack.Decoder(Message).decode
_HEADERS = Message.__struct_fields__.index("headers")


def unpack(packed: bytes, added: str | None = None) -> Message:
    """Return the message, with the headers that were `added` later over its own."""
    try:
        message = _decode(packed)
    except msgspec.ValidationError:
        message = _foreign(packed)
    return message if added is None else message.with_headers(_unpack_headers(added))


def _foreign(packed: bytes) -> Message:
    """What a hand has written must not stop whoever receives it."""
    values = msgspec.msgpack.decode(packed)
    values[_HEADERS] = {str(name): str(value) for name, value in values[_HEADERS].items()}
    return msgspec.convert(values, Message, strict=False)


def weight(messages: Iterable[Message]) -> int:
    """Return about how many bytes these are."""
    return sum(len(message.body) + 200 for message in messages)


_ESCAPE, _NUL = "\ue000", "\ue0000"
"""PostgreSQL's JSON holds every character but NUL."""


def pack_headers(headers: Mapping[str, str]) -> str:
    return msgspec.json.encode({_escaped(k): _escaped(v) for k, v in headers.items()}).decode()


def _unpack_headers(added: str) -> dict[str, str]:
    headers = msgspec.json.decode(added, type=dict[str, str])
    return {_plain(name): _plain(value) for name, value in headers.items()}


def _escaped(text: str) -> str:
    return text.replace(_ESCAPE, _ESCAPE + "e").replace("\0", _NUL)


def _plain(text: str) -> str:
    if _ESCAPE not in text:
        return text
    first, *rest = text.split(_ESCAPE)
    return first + "".join(("\0" if each[0] == "0" else _ESCAPE) + each[1:] for each in rest)
