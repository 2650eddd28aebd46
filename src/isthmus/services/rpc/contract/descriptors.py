"""The draft and its numbers, as Protobuf's own descriptors."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from google.protobuf import descriptor_pb2, duration_pb2, timestamp_pb2
from google.protobuf.descriptor_pool import DescriptorPool

from isthmus.services.rpc.contract.draft import Draft, DraftField, DraftMessage
from isthmus.services.rpc.contract.lock import Entry, Lock
from isthmus.services.rpc.wire.shapes import snake

__all__ = ["File", "file_name", "file_of", "pool_of"]

File = descriptor_pb2.FileDescriptorProto
_Message = descriptor_pb2.DescriptorProto
_Field = descriptor_pb2.FieldDescriptorProto

KNOWN: Mapping[str, Any] = {
    "google.protobuf.Duration": duration_pb2.DESCRIPTOR,
    "google.protobuf.Timestamp": timestamp_pb2.DESCRIPTOR,
}
"""Messages of Protobuf's own, by name: the file that each is in."""

_MAP = re.compile(r"map<(\w+), (.+)>")
_VERSION = re.compile(r"v\d+((alpha|beta)\d*|p\d+(alpha|beta)\d*|test\w*)?")
_PLAIN = frozenset((
    "double", "float", "int64", "uint64", "int32", "fixed64", "fixed32", "bool", "string",
    "bytes", "uint32", "sfixed32", "sfixed64", "sint32", "sint64",
))  # fmt: skip


def file_name(package: str) -> str:
    """Return "shop/v1/shop.proto" for "shop.v1": the folder that buf wants."""
    parts = package.split(".")
    last = next((part for part in reversed(parts) if not _VERSION.fullmatch(part)), parts[-1])
    return f"{'/'.join(parts)}/{snake(last)}.proto"


def file_of(draft: Draft, lock: Lock) -> File:
    """Return the descriptor of one service, with all messages that it needs."""
    file = File(name=file_name(draft.package), package=draft.package, syntax="proto3")
    used = {name for each in draft.messages.values() for name in _known(each.fields)}
    file.dependency.extend(sorted({KNOWN[name].name for name in used}))
    service = file.service.add(name=draft.service.rpartition(".")[2])
    for each in draft.methods:
        in_streams, out_streams = each.method.kind.value
        made = service.method.add(name=each.method.name)
        made.input_type, made.output_type = f".{each.takes}", f".{each.gives}"
        if in_streams:
            made.client_streaming = True
        if out_streams:
            made.server_streaming = True
        if each.method.idempotent:
            made.options.idempotency_level = descriptor_pb2.MethodOptions.IDEMPOTENT
    for message in draft.messages.values():
        _add_message(file, message, lock.messages[message.name], draft)
    for each in draft.enums.values():
        entries = lock.enums[each.name]
        made = file.enum_type.add(name=each.name.rpartition(".")[2])
        numbers = sorted((entries[name].number, name) for name, _ in each.values)
        for number, name in numbers:
            made.value.add(name=name, number=number)
        for name, entry in _gone(entries):
            made.reserved_name.append(name)
            made.reserved_range.add(start=entry.number, end=entry.number)
    return file


def pool_of(files: Iterable[File]) -> DescriptorPool:
    """Return a pool of their own for `files`, in the order of their dependencies."""
    pool = DescriptorPool()
    for known in KNOWN.values():
        pool.AddSerializedFile(known.serialized_pb)
    for file in files:
        pool.AddSerializedFile(file.SerializeToString())
    return pool


def _known(fields: Sequence[DraftField]) -> Iterable[str]:
    for field in fields:
        yield from (name for name in KNOWN if name in field.type)


def _add_message(
    file: File, message: DraftMessage, entries: Mapping[str, Entry], draft: Draft
) -> None:
    made = file.message_type.add(name=message.name.rpartition(".")[2])
    choices = list(dict.fromkeys(field.choice for field in message.fields if field.choice))
    for name in choices:
        made.oneof_decl.add(name=name)
    optional = list[Any]()
    for field in _in_order(message.fields, entries):
        added = _add_field(made, field, entries[field.name].number, draft)
        if field.choice:
            added.oneof_index = choices.index(field.choice)
        elif field.explicit:
            optional.append(added)
    for added in optional:  # proto3 keeps each `optional` in a oneof of its own, after the others
        added.proto3_optional = True
        added.oneof_index = len(made.oneof_decl)
        made.oneof_decl.add(name=f"_{added.name}")
    for name, entry in _gone(entries):
        made.reserved_name.append(name)
        made.reserved_range.add(start=entry.number, end=entry.number + 1)


def _in_order(fields: Sequence[DraftField], entries: Mapping[str, Entry]) -> Sequence[DraftField]:
    """Return them by number; those of a oneof stay together, where the first of them is."""
    first = dict[str, int]()
    for field in fields:
        number = entries[field.name].number
        first[field.choice] = min(number, first.get(field.choice, number))

    def place(field: DraftField) -> tuple[int, int]:
        number = entries[field.name].number
        return (first[field.choice] if field.choice else number, number)

    return sorted(fields, key=place)


def _add_field(made: _Message, field: DraftField, number: int, draft: Draft) -> Any:
    added = made.field.add(name=field.name, number=number, label=_Field.LABEL_OPTIONAL)
    if found := _MAP.fullmatch(field.type):
        entry = made.nested_type.add(name=f"{_camel(field.name)}Entry")
        entry.options.map_entry = True
        key = entry.field.add(name="key", number=1, label=_Field.LABEL_OPTIONAL)
        value = entry.field.add(name="value", number=2, label=_Field.LABEL_OPTIONAL)
        _give_type(key, found[1], draft)
        _give_type(value, found[2], draft)
        added.label = _Field.LABEL_REPEATED
        added.type = _Field.TYPE_MESSAGE
        added.type_name = f".{draft.package}.{made.name}.{entry.name}"
        return added
    if field.type.startswith("repeated "):
        added.label = _Field.LABEL_REPEATED
    _give_type(added, field.type.removeprefix("repeated "), draft)
    return added


def _give_type(field: Any, name: str, draft: Draft) -> None:
    if name in _PLAIN:
        field.type = _Field.Type.Value(f"TYPE_{name.upper()}")
        return
    field.type = _Field.TYPE_ENUM if name in draft.enums else _Field.TYPE_MESSAGE
    field.type_name = f".{name}"


def _camel(name: str) -> str:
    """Return what protoc calls the entries of a map: "ByColorEntry" of by_color."""
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))


def _gone(entries: Mapping[str, Entry]) -> Sequence[tuple[str, Entry]]:
    gone = [(name, entry) for name, entry in entries.items() if entry.gone]
    return sorted(gone, key=lambda each: each[1].number)
