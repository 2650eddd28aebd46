"""How payloads are written: JSON unless a place says otherwise; each is read by what it says it is.

format      what a format is to the rooms above
json        `Json`: everybody reads it
msgpack     `MsgPack`: the same shapes in fewer bytes
protobuf    `Protobuf`: classes that protoc generated
avro        `Avro`: by schemas, its own or a registry's; avro_schema makes them of types
choice      the words that users write, and what is read without a word
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from isthmus.schema.formats.avro import Avro
    from isthmus.schema.formats.format import Format
    from isthmus.schema.formats.json import Json
    from isthmus.schema.formats.msgpack import MsgPack
    from isthmus.schema.formats.protobuf import Protobuf

_HOME = {
    "Avro": "avro",
    "Format": "format",
    "Json": "json",
    "MsgPack": "msgpack",
    "Protobuf": "protobuf",
}

__all__ = ["Avro", "Format", "Json", "MsgPack", "Protobuf"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'isthmus.schema.formats' has no attribute {name!r}")
    return getattr(import_module(f"isthmus.schema.formats.{_HOME[name]}"), name)
