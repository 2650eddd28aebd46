"""Protobuf: of classes that protoc generated. With a registry, framed as by Confluent's
serializer."""

from typing import Any

from isthmus.errors import ConfigError, SchemaError
from isthmus.schema.confluent.descriptors import document_of, indexes_of, name_at
from isthmus.schema.confluent.frame import Frame, framed, pack_indexes
from isthmus.schema.confluent.ids import Ids
from isthmus.schema.confluent.registry import Document, SchemaRegistry
from isthmus.schema.confluent.subjects import Subject
from isthmus.schema.formats.registering import Registering
from isthmus.schema.kinds import is_protobuf, type_name
from isthmus.schema.named import Schema
from isthmus.schema.protobuf import PROTOBUF, ProtobufCodec

__all__ = ["Protobuf"]

FRAMED = "application/vnd.confluent.protobuf"
OTHERS = ("application/x-protobuf", "application/vnd.google.protobuf")


class Protobuf(Registering):
    """What a queue of a generated class has by itself; or `Protobuf(registry=...)`: its file is
    registered, and each body begins with the id and the message's place in it."""

    name = "protobuf"

    def __init__(
        self,
        *,
        registry: "SchemaRegistry | str | None" = None,
        subject: Subject = "topic",
        register: bool = True,
    ) -> None:
        """As those of `Json`."""
        super().__init__(registry, subject=subject, register=register)
        first = (FRAMED, PROTOBUF) if self._ids else (PROTOBUF, FRAMED)
        self.media_types = (*first, *OTHERS)
        self.remote = self._ids is not None

    def codec(self, schema: Schema[Any], *, place: str) -> "_Carrier":
        if not is_protobuf(schema.type):
            raise ConfigError(
                f"protobuf carries classes that protoc generated, and {type_name(schema.type)} is "
                "none; use msgpack or Avro"
            )
        return _Carrier(schema, place, self._ids)

    async def document(self, schema: Schema[Any], ids: Ids) -> Document:
        file = schema.type.DESCRIPTOR.file
        return await document_of(file, ids.registry, register=ids.register)

    async def fetch(self, body: bytes) -> None:
        if self._ids and (frame := Frame.of(body)) is not None:
            await self._ids.registry.get(frame.id, serialized=True)


class _Carrier(ProtobufCodec):
    def __init__(self, schema: Schema[Any], place: str, ids: Ids | None) -> None:
        super().__init__(schema.type)
        self._schema, self._place, self._ids = schema, place, ids
        self._indexes = indexes_of(schema.type.DESCRIPTOR)
        self._packed = pack_indexes(self._indexes)
        self.datacontenttype = PROTOBUF if ids is None else FRAMED

    def encode(self, value: Any) -> bytes:
        body = super().encode(value)
        if self._ids is None:
            return body
        return framed(self._ids.of(self._schema, self._place), self._packed + body)

    def decode(self, body: bytes) -> Any:
        return super().decode(self._bare(body))

    def _bare(self, body: bytes) -> bytes:
        """Return what follows the frame; no message begins with a zero byte, as no field has
        the number 0."""
        if (frame := Frame.of(body)) is None:
            return body
        indexes, bare = frame.with_indexes()
        self._require_ours(frame.id, indexes)
        return bare

    def _require_ours(self, id: int, indexes: tuple[int, ...]) -> None:
        known = None if self._ids is None else self._ids.registry.known(id, serialized=True)
        found = "" if known is None else name_at(known.text, indexes)
        ours = self._schema.type.DESCRIPTOR.full_name
        if found and found != ours:
            raise SchemaError(f"expected {ours}, got {found} (schema {id})")
        if not found and indexes != self._indexes:
            raise SchemaError(
                f"expected {ours}, got the message at {list(indexes)} of schema {id}, whose name "
                "no registry tells; declare format=Protobuf(registry=...)"
            )
