"""Confluent's schema registry: who reads a message learns there how it was written.

frame         the wire format: a zero byte, the schema's id, the body
registry      the client, and what it remembers; client, its HTTP
subjects      how a schema is called there
ids           the ids of what one place writes
descriptors   files of protobuf, as the registry keeps them
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from isthmus.schema.confluent.registry import Document, Reference, Registered, SchemaRegistry

__all__ = ["Document", "Reference", "Registered", "SchemaRegistry"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'isthmus.schema.confluent' has no attribute {name!r}")
    return getattr(import_module("isthmus.schema.confluent.registry"), name)
