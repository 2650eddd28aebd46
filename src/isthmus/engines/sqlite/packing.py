"""A message as a row keeps it: all of it in one value, as msgpack."""

from collections.abc import Collection, Mapping

import msgspec

from isthmus.message import Message

__all__ = ["merge_headers", "pack", "unpack", "unpack_all"]

pack = msgspec.msgpack.Encoder().encode
"""Return all of a message as bytes."""

_decode = msgspec.msgpack.Decoder(Message).decode


def unpack_all(packed: Collection[bytes]) -> list[Message]:
    """Return the messages that `pack` made bytes of."""
    try:
        return [_decode(each) for each in packed]
    except msgspec.ValidationError:
        return [unpack(each) for each in packed]


def unpack(packed: bytes) -> Message:
    try:
        return _decode(packed)
    except msgspec.ValidationError:
        # what a hand has written must not stop whoever receives it
        values = msgspec.msgpack.decode(packed)
        headers = {str(name): str(value) for name, value in values[_HEADERS].items()}
        values[_HEADERS] = headers
        return msgspec.convert(values, Message, strict=False)


_HEADERS = Message.__struct_fields__.index("headers")


def merge_headers(packed: bytes, headers: Mapping[str, str]) -> bytes:
    """Return `packed` with `headers` over the ones it has."""
    return pack(unpack(packed).with_headers(headers))
