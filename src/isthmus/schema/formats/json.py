"""JSON: what everybody reads. With a registry, framed as by Confluent's JSON serializer."""

from typing import Any

import msgspec

from isthmus.schema.carrier import Carrier
from isthmus.schema.confluent.frame import Frame, framed
from isthmus.schema.confluent.ids import Ids
from isthmus.schema.confluent.registry import Document, SchemaRegistry
from isthmus.schema.confluent.subjects import Subject
from isthmus.schema.formats.registering import Registering
from isthmus.schema.kinds import is_protobuf
from isthmus.schema.named import Schema
from isthmus.schema.protobuf import ProtobufCodec

__all__ = ["Json"]

FRAMED = "application/vnd.confluent.json"


class Json(Registering):
    """`format="json"`, or `Json(registry=...)`: the schema is registered, and each body begins
    with its id. Reading needs no registry: what a body is, is told by its message."""

    name = "json"

    def __init__(
        self,
        *,
        registry: "SchemaRegistry | str | None" = None,
        subject: Subject = "topic",
        register: bool = True,
    ) -> None:
        """`registry`: it, or its URL. `subject`: how the schema is called there. `register`:
        whether what is not known there is registered; else it has to be there."""
        super().__init__(registry, subject=subject, register=register)
        self.media_types = (
            (FRAMED, "application/json") if self._ids else ("application/json", FRAMED)
        )

    remote = False

    def codec(self, schema: Schema[Any], *, place: str) -> Carrier:
        if schema.type is bytes:
            return schema.codec
        plain: Carrier = _Mapped(schema.type) if is_protobuf(schema.type) else schema.codec
        return _Framed(plain, schema, place, self._ids)

    async def document(self, schema: Schema[Any], ids: Ids) -> Document:  # noqa: ARG002
        return Document(msgspec.json.encode(schema.json_schema()).decode(), "JSON")

    async def fetch(self, body: bytes) -> None: ...


class _Framed:
    def __init__(self, plain: Carrier, schema: Schema[Any], place: str, ids: Ids | None) -> None:
        self._plain, self._schema, self._place, self._ids = plain, schema, place, ids
        self.datacontenttype = plain.datacontenttype if ids is None else FRAMED

    def encode(self, value: Any) -> bytes:
        body = self._plain.encode(value)
        if self._ids is None:
            return body
        return framed(self._ids.of(self._schema, self._place), body)

    def decode(self, body: bytes) -> Any:
        return self._plain.decode(Frame.without(body))

    def load(self, body: bytes) -> Any:
        return self._plain.load(Frame.without(body))

    def build(self, value: dict[str, Any]) -> Any:
        return self._plain.build(value)

    def faults(self, body: bytes, error: Exception) -> list[str]:
        return self._plain.faults(Frame.without(body), error)


class _Mapped(ProtobufCodec):
    """A generated class as JSON."""

    datacontenttype = "application/json"

    def encode(self, value: Any) -> bytes:
        return self.to_json(value)

    def decode(self, body: bytes) -> Any:
        return self.from_json(body)
