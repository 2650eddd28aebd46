"""What a request carries: a value becomes bytes, with a media type."""

from collections.abc import AsyncIterable, Callable, Mapping
from typing import Any

from isthmus.errors import ConfigError, SchemaError
from isthmus.schema.codec import JSON, OCTETS, codec_of
from isthmus.schema.kinds import type_name
from isthmus.services.client.query import Params, encoded

__all__ = ["Form", "Sent", "content"]

Sent = bytes | AsyncIterable[bytes]

TEXT, FORM = "text/plain; charset=utf-8", "application/x-www-form-urlencoded"

Encode = Callable[[Any], tuple[Sent, str]]


class Form:
    """A body as HTML forms send it; `Form(amount=100)`, or `Form({"line[0]": "x"})`."""

    def __init__(self, fields: Params | None = None, /, **more: Any) -> None:
        self.fields: Mapping[str, Any] = {**(fields or {}), **more}

    def __repr__(self) -> str:
        return f"Form({', '.join(self.fields)})"


_encoders: dict[type, Encode] = {}


def content(value: Any) -> tuple[Sent, str]:
    """Return `value` as it is sent, and its media type: models, dicts and lists as JSON, text
    as text, bytes and async iterables of bytes as they are, a Form as a form.

    Raises:
        SchemaError: It holds what JSON cannot carry.
        ConfigError: It is none of these.
    """
    kind = value.__class__
    encode = _encoders.get(kind)
    if encode is None:
        encode = _encoder(kind, value)
        if not kind.__qualname__.startswith("<"):
            _encoders[kind] = encode
    return encode(value)


def _encoder(kind: type[Any], value: Any) -> Encode:
    if issubclass(kind, bytes | bytearray | memoryview):
        return lambda value: (bytes(value), OCTETS)
    if issubclass(kind, str):
        return lambda value: (value.encode(), TEXT)
    if issubclass(kind, Form):
        return lambda value: (encoded(value.fields).encode(), FORM)
    if isinstance(value, AsyncIterable):
        return lambda value: (value, OCTETS)
    if hasattr(value, "read"):
        raise ConfigError(
            f"a {kind.__name__} blocks the loop while it is read: send its bytes, or an async "
            "generator that reads it in a thread"
        )
    return _json(kind)


def _json(kind: type[Any]) -> Encode:
    encode = codec_of(kind).encode

    def as_json(value: Any) -> tuple[Sent, str]:
        try:
            return encode(value), JSON
        except Exception as error:
            raise SchemaError(f"{type_name(kind)} cannot be sent: {error}") from error

    return as_json
