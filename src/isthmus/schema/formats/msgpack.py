"""MessagePack: JSON's shapes in fewer bytes, and bytes and moments as they are."""

from collections.abc import Callable
from typing import Any, cast

import msgspec

from isthmus.errors import ConfigError
from isthmus.schema.faults import faults_in, pydantic_faults
from isthmus.schema.formats.local import Local
from isthmus.schema.kinds import is_protobuf, is_pydantic, type_name
from isthmus.schema.named import Schema

__all__ = ["MsgPack"]


class MsgPack(Local):
    """`format="msgpack"`. Source: msgpack specification, with its timestamp extension."""

    name = "msgpack"
    media_types = (
        "application/msgpack",
        "application/x-msgpack",
        "application/vnd.msgpack",
    )

    def codec(self, schema: Schema[Any], *, place: str) -> "_Msgspec | _Pydantic":  # noqa: ARG002
        if schema.type is bytes or is_protobuf(schema.type):
            raise ConfigError(f"{type_name(schema.type)} is no payload of msgpack; leave format=")
        return (_Pydantic if is_pydantic(schema.type) else _Msgspec)(schema.type)


class _Msgspec:
    datacontenttype = MsgPack.media_types[0]

    def __init__(self, type_: Any) -> None:
        self._type = type_
        self.decode: Callable[[bytes], Any] = msgspec.msgpack.Decoder(type_).decode
        self.encode: Callable[[Any], bytes] = msgspec.msgpack.Encoder().encode

    def faults(self, body: bytes, error: Exception) -> list[str]:
        try:
            value = self.load(body)
        except (msgspec.MsgspecError, UnicodeError, RecursionError, ValueError) as malformed:
            return [f"body: {malformed}"]
        return faults_in(self._type, value, error)

    def load(self, body: bytes) -> Any:
        return msgspec.msgpack.decode(body)

    def build(self, value: dict[str, Any]) -> Any:
        return self.decode(msgspec.msgpack.encode(value))


class _Pydantic:
    """What pydantic writes as JSON, written as MessagePack: its own words for moments."""

    datacontenttype = MsgPack.media_types[0]

    def __init__(self, type_: Any) -> None:
        from pydantic import TypeAdapter

        self._adapter: TypeAdapter[Any] = TypeAdapter(type_)

    def encode(self, value: Any) -> bytes:
        return msgspec.msgpack.encode(
            self._adapter.dump_python(value, mode="json", by_alias=True, warnings="error")
        )

    def decode(self, body: bytes) -> Any:
        return self.build(cast("dict[str, Any]", self.load(body)))

    def load(self, body: bytes) -> Any:
        return msgspec.msgpack.decode(body)

    def build(self, value: dict[str, Any]) -> Any:
        return self._adapter.validate_json(msgspec.json.encode(value))

    def faults(self, body: bytes, error: Exception) -> list[str]:  # noqa: ARG002
        return pydantic_faults(error)
