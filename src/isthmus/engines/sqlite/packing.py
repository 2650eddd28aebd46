"""A message as a row keeps it: all of it in one value, as msgpack."""

from collections.abc import Mapping

import msgspec

from isthmus.message import Message

__all__ = ["merge_headers", "pack", "unpack"]

pack = msgspec.msgpack.Encoder().encode
"""Return all of a message as bytes."""

_decode_exactly = msgspec.msgpack.Decoder(Message).decode


def unpack(packed: bytes) -> Message:
    """What a hand has written otherwise than `pack` must not stop whoever receives it."""
    try:
        return _decode_exactly(packed)
    except msgspec.ValidationError:
        values = msgspec.msgpack.decode(packed)
        headers = {str(name): str(value) for name, value in values[_HEADERS].items()}
        values[_HEADERS] = headers
        return msgspec.convert(values, Message, strict=False)


_HEADERS = Message.__struct_fields__.index("headers")


def merge_headers(packed: bytes, headers: Mapping[str, str]) -> bytes:
    """Return `packed` with `headers` over the ones it has."""
    return pack(unpack(packed).with_headers(headers))
