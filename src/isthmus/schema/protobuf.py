"""Classes that protoc generated, as payloads: their own bytes, and JSON.

protobuf is imported when such a class is declared: who has one has it.
"""

from typing import Any, cast

__all__ = ["PROTOBUF", "ProtobufCodec"]

PROTOBUF = "application/protobuf"

_JSON_TYPES: dict[int, dict[str, Any]] = {
    1: {"type": "number"},  # double
    2: {"type": "number"},  # float
    3: {"type": "string", "format": "int64"},
    4: {"type": "string", "format": "uint64"},
    5: {"type": "integer"},
    6: {"type": "string", "format": "uint64"},  # fixed64
    7: {"type": "integer"},  # fixed32
    8: {"type": "boolean"},
    9: {"type": "string"},
    12: {"type": "string", "contentEncoding": "base64"},
    13: {"type": "integer"},  # uint32
    15: {"type": "integer"},  # sfixed32
    16: {"type": "string", "format": "int64"},  # sfixed64
    17: {"type": "integer"},  # sint32
    18: {"type": "string", "format": "int64"},  # sint64
}
_ENUM, _MESSAGE, _GROUP = 14, 11, 10


class ProtobufCodec:
    """One generated class."""

    datacontenttype = PROTOBUF

    def __init__(self, type_: Any) -> None:
        self._type = type_

    def encode(self, value: Any) -> bytes:
        return value.SerializeToString()

    def decode(self, body: bytes) -> Any:
        return self._type.FromString(body)

    def load(self, body: bytes) -> Any:
        from google.protobuf import json_format

        return json_format.MessageToDict(self.decode(body), preserving_proto_field_name=True)

    def build(self, value: dict[str, Any]) -> Any:
        from google.protobuf import json_format

        return json_format.ParseDict(value, self._type())

    def from_json(self, body: bytes) -> Any:
        """Return the value in a body of JSON, as protobuf maps it."""
        from google.protobuf import json_format

        return json_format.Parse(body, self._type())

    def to_json(self, value: Any) -> bytes:
        from google.protobuf import json_format

        return json_format.MessageToJson(value, indent=None).encode()

    def faults(self, body: bytes, error: Exception) -> list[str]:  # noqa: ARG002
        return [f"body: {error}"]

    def json_schema(self) -> dict[str, Any]:
        """Return what its JSON is like, as protobuf maps it."""
        definitions: dict[str, Any] = {}
        root = _reference(self._type.DESCRIPTOR, definitions)
        return {**root, "$defs": definitions}


def _reference(descriptor: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    name = descriptor.full_name
    if name not in definitions:
        definitions[name] = made = {"title": name, "type": "object"}
        made["properties"] = cast(
            "Any", {field.json_name: _field(field, definitions) for field in descriptor.fields}
        )
    return {"$ref": f"#/$defs/{name}"}


def _field(field: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        return {
            "type": "object",
            "additionalProperties": _single(
                field.message_type.fields_by_name["value"], definitions
            ),
        }
    single = _single(field, definitions)
    return {"type": "array", "items": single} if field.is_repeated else single


def _single(field: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    if field.type in (_MESSAGE, _GROUP):
        if field.message_type.full_name.startswith("google.protobuf."):
            return {}  # well-known ones have a JSON of their own
        return _reference(field.message_type, definitions)
    if field.type == _ENUM:
        return {"enum": [value.name for value in field.enum_type.values]}
    return dict(_JSON_TYPES[field.type])
