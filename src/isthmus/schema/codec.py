"""The two libraries that turn values into JSON and back, behind one face."""

from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from isthmus.errors import ConfigError
from isthmus.schema.carrier import Carrier
from isthmus.schema.faults import every_fault, pydantic_faults
from isthmus.schema.kinds import is_protobuf, is_pydantic, type_name
from isthmus.schema.protobuf import ProtobufCodec

__all__ = ["Codec", "codec_of"]

JSON, OCTETS = "application/json", "application/octet-stream"


class Codec(Carrier, Protocol):
    """The carrier of a type's own format: JSON, mostly."""

    def json_schema(self) -> dict[str, Any]: ...


def codec_of(type_: Any) -> Codec:
    """Compile the codec of `type_`.

    Raises:
        ConfigError: Neither library knows how to carry such a type.
        NameError: It refers to a class that is not defined yet.
    """
    if type_ is bytes:
        return _Octets()
    if is_protobuf(type_):
        return ProtobufCodec(type_)
    compile_ = _Pydantic if is_pydantic(type_) else _Msgspec
    try:
        return compile_(type_)
    except NameError:
        raise
    except Exception as error:
        raise ConfigError(
            f"{type_name(type_)} cannot be a payload: {error}; "
            "use a msgspec.Struct, a dataclass, a TypedDict or a pydantic model"
        ) from error


class _Octets:
    """Bytes, as they are."""

    datacontenttype = OCTETS

    def encode(self, value: bytes) -> bytes:
        return value

    def decode(self, body: bytes) -> bytes:
        return body

    def load(self, body: bytes) -> bytes:
        return body

    def build(self, value: dict[str, Any]) -> bytes:
        raise TypeError(f"bytes have no versions: {value!r}")

    def faults(self, body: bytes, error: Exception) -> list[str]:  # noqa: ARG002
        return [f"body: {error}"]

    def json_schema(self) -> dict[str, Any]:
        return {"type": "string", "contentMediaType": OCTETS}


class _Msgspec:
    datacontenttype = JSON

    def __init__(self, type_: Any) -> None:
        self._type = type_
        msgspec.json.schema(type_, schema_hook=_foreign)  # a decoder alone takes any class
        self.decode: Callable[[bytes], Any] = msgspec.json.Decoder(type_).decode
        self.encode: Callable[[Any], bytes] = msgspec.json.Encoder().encode

    def load(self, body: bytes) -> Any:
        return msgspec.json.decode(body)

    def build(self, value: dict[str, Any]) -> Any:
        return self.decode(msgspec.json.encode(value))

    def faults(self, body: bytes, error: Exception) -> list[str]:
        return every_fault(self._type, body, error)

    def json_schema(self) -> dict[str, Any]:
        return msgspec.json.schema(self._type)


def _foreign(type_: Any) -> dict[str, Any]:
    raise TypeError(f"JSON has no way to write {type_name(type_)}")


class _Pydantic:
    datacontenttype = JSON

    def __init__(self, type_: Any) -> None:
        from pydantic import TypeAdapter

        self._adapter: TypeAdapter[Any] = TypeAdapter(type_)
        self.decode: Callable[[bytes], Any] = self._adapter.validate_json

    def load(self, body: bytes) -> Any:
        return msgspec.json.decode(body)

    def build(self, value: dict[str, Any]) -> Any:
        return self.decode(msgspec.json.encode(value))

    def encode(self, value: Any) -> bytes:
        return self._adapter.dump_json(value, by_alias=True, warnings="error")

    def faults(self, body: bytes, error: Exception) -> list[str]:  # noqa: ARG002
        return pydantic_faults(error)

    def json_schema(self) -> dict[str, Any]:
        return self._adapter.json_schema(by_alias=True)
