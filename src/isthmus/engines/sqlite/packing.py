"""A message as a row keeps it: its id and body as they are, the rest packed."""

from collections.abc import Mapping

import msgspec

from isthmus.message import Message

__all__ = ["merge_headers", "pack", "unpack"]


class _Attributes(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What is packed; new attributes go to the end, with a default."""

    key: str
    type: str
    source: str
    subject: str
    time: float
    dataschema: str
    datacontenttype: str
    priority: int
    expires_at: float
    headers: dict[str, str]


_encode = msgspec.msgpack.Encoder().encode
_decode_exactly = msgspec.msgpack.Decoder(_Attributes).decode


def _decode(packed: bytes) -> _Attributes:
    """What a hand has written otherwise than `pack` must not stop whoever receives it."""
    try:
        return _decode_exactly(packed)
    except msgspec.ValidationError:
        values = msgspec.msgpack.decode(packed)
        headers = {str(name): str(value) for name, value in values[-1].items()}
        return msgspec.convert([*values[:-1], headers], _Attributes, strict=False)


def pack(message: Message) -> bytes:
    """Return all of `message` but its id and body, as msgpack."""
    return _encode(
        (
            message.key,
            message.type,
            message.source,
            message.subject,
            message.time,
            message.dataschema,
            message.datacontenttype,
            message.priority,
            message.expires_at,
            message.headers,
        )
    )


def unpack(message_id: str, body: bytes, packed: bytes) -> Message:
    rest = _decode(packed)
    return Message(
        body=body,
        id=message_id,
        type=rest.type,
        source=rest.source,
        subject=rest.subject,
        time=rest.time,
        dataschema=rest.dataschema,
        datacontenttype=rest.datacontenttype,
        key=rest.key,
        priority=rest.priority,
        expires_at=rest.expires_at,
        headers=rest.headers,
    )


def merge_headers(packed: bytes, headers: Mapping[str, str]) -> bytes:
    """Return `packed` with `headers` over the ones it has."""
    rest = _decode(packed)
    return _encode(msgspec.structs.replace(rest, headers={**rest.headers, **headers}))
