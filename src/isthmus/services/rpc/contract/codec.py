"""One side of a method as bytes: a model, a message of Protobuf's own, or nothing."""

from collections.abc import Callable
from typing import Any, NamedTuple

from isthmus.errors import SchemaError
from isthmus.services.rpc.wire.converter import Converter, UnreadableError

__all__ = ["Codec", "codec_of_message", "codec_of_model", "codec_of_nothing"]


class Codec(NamedTuple):
    encode: Callable[[Any], bytes]
    """Raises SchemaError if the value does not fit."""
    decode: Callable[[bytes], Any]
    """Raises UnreadableError, with every fault."""


def codec_of_model(converter: Converter) -> Codec:
    return Codec(converter.encode, converter.decode)


def codec_of_nothing() -> Codec:
    """Return what writes None as an empty message, and reads any message as None."""

    def encode(value: Any) -> bytes:
        if value is not None:
            raise SchemaError(f"expected None, got {type(value).__name__}")
        return b""

    def decode(_: bytes) -> None:
        return None

    return Codec(encode, decode)


def codec_of_message(message: Any) -> Codec:
    """`message`: the class of the message."""
    name: str = message.DESCRIPTOR.full_name

    def encode(value: Any) -> bytes:
        descriptor = getattr(value, "DESCRIPTOR", None)
        if descriptor is None or descriptor.full_name != name:
            raise SchemaError(f"expected the message {name}, got {type(value).__name__}")
        return value.SerializeToString()

    def decode(body: bytes) -> Any:
        try:
            return message.FromString(body)
        except Exception as error:
            fault = "body: it is no Protobuf message of this type"
            raise UnreadableError(f"{name}: {fault}", problems=[fault]) from error

    return Codec(encode, decode)
