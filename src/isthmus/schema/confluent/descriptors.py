"""Files of protobuf, as the registry keeps them: serialized, in base64, and by reference."""

import base64
import binascii
from typing import Any

from isthmus.schema.confluent.registry import Document, Reference, SchemaRegistry

__all__ = ["document_of", "indexes_of", "name_at"]

KNOWN = "google/protobuf/"
"""Files that everybody has."""


async def document_of(file: Any, registry: SchemaRegistry, *, register: bool) -> Document:
    """Return what a file descriptor is registered as, after the files that it imports, each
    in a subject that is called as it is imported."""
    references = list[Reference]()
    for imported in file.dependencies:
        if not imported.name.startswith(KNOWN):
            references.append(await _registered(imported, registry, register=register))
    return Document(_text(file), "PROTOBUF", tuple(references))


async def _registered(file: Any, registry: SchemaRegistry, *, register: bool) -> Reference:
    document = await document_of(file, registry, register=register)
    if register:
        await registry.register(file.name, document)
    version = (await registry.latest(file.name)).version
    return Reference(file.name, file.name, version)


def indexes_of(descriptor: Any) -> tuple[int, ...]:
    """Return the place of a message in its file: (1, 0) is the first inside of the second."""
    above = descriptor.containing_type
    beside = descriptor.file.message_types_by_name if above is None else above.nested_types_by_name
    index = [each.name for each in beside.values()].index(descriptor.name)
    return (index,) if above is None else (*indexes_of(above), index)


def name_at(text: str, indexes: tuple[int, ...]) -> str:
    """Return the full name of the message at a place of a serialized file; "" if that is no
    serialized file, or has no such place."""
    from google.protobuf.descriptor_pb2 import FileDescriptorProto
    from google.protobuf.message import DecodeError

    try:
        file = FileDescriptorProto.FromString(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError, DecodeError):
        return ""
    names, messages = [file.package] if file.package else [], file.message_type
    for index in indexes:
        if not 0 <= index < len(messages):
            return ""
        names.append(messages[index].name)
        messages = messages[index].nested_type
    return ".".join(names)


def _text(file: Any) -> str:
    return base64.b64encode(file.serialized_pb).decode()
