"""Named, versioned payloads over msgspec Structs, dataclasses and pydantic models."""

from isthmus.schema.compatibility import Mode, incompatibilities
from isthmus.schema.named import PREFIX, Schema
from isthmus.schema.registry import Registry, schema, schema_of, upcaster
from isthmus.schema.union import UnionSchema

__all__ = [
    "PREFIX",
    "Mode",
    "Registry",
    "Schema",
    "UnionSchema",
    "incompatibilities",
    "schema",
    "schema_of",
    "upcaster",
]
