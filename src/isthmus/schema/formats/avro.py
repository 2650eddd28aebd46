"""Avro: small and typed, read by the schema that it was written with.

With a registry, a body begins with the id of that schema; without, with its fingerprint.

Source: Apache Avro 1.12, with its single-object encoding; Confluent's wire format.
"""

import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from isthmus.errors import ConfigError, SchemaError, UnavailableError
from isthmus.schema.confluent.frame import Frame, framed
from isthmus.schema.confluent.ids import Ids
from isthmus.schema.confluent.registry import Document, SchemaRegistry
from isthmus.schema.confluent.subjects import Subject
from isthmus.schema.faults import pydantic_faults
from isthmus.schema.formats.avro_schema import avro_schema, generic
from isthmus.schema.formats.registering import Registering
from isthmus.schema.kinds import is_protobuf, is_pydantic, type_name
from isthmus.schema.named import Schema

__all__ = ["Avro"]

PLAIN, FRAMED = "application/avro", "application/vnd.confluent.avro"
MARK = b"\xc3\x01"
"""How a body in the single-object encoding begins; its schema's fingerprint follows."""

Written = str | Path | Mapping[str, Any]
"""A schema as .avsc has it: a file, its text, or what the text says."""


class Avro(Registering):
    """`format="avro"`, or `Avro(registry=...)`: by schemas of the payload types, or by `schema`."""

    name = "avro"

    def __init__(
        self,
        *,
        registry: SchemaRegistry | str | None = None,
        schema: Written | None = None,
        subject: Subject = "topic",
        register: bool = True,
    ) -> None:
        """`registry`: it, or its URL. `schema`: a file (a Path), or the text, of the one type that
        is carried. `subject`: how schemas are called there. `register`: whether what is not
        known there is registered; else it has to be there.

        Raises:
            ConfigError: The schema is none, or fastavro is missing.
        """
        super().__init__(registry, subject=subject, register=register)
        self.media_types = (FRAMED, PLAIN) if self._ids else (PLAIN, FRAMED)
        self.remote = self._ids is not None
        self._given = None if schema is None else _read(schema)
        self._writers: dict[int, Any] = {}

    def codec(self, schema: Schema[Any], *, place: str) -> "_Carrier":
        if schema.type is bytes or is_protobuf(schema.type):
            raise ConfigError(f"{type_name(schema.type)} is no payload of Avro; leave format=")
        return _Carrier(schema, self._schema(schema), place, self._ids, self._writer)

    async def document(self, schema: Schema[Any], ids: Ids) -> Document:  # noqa: ARG002
        return Document(json.dumps(self._schema(schema), separators=(",", ":")))

    async def prepare(self, schema: Schema[Any], *, place: str) -> None:
        await super().prepare(schema, place=place)
        if self._ids is not None:  # what we write, we read without asking
            own = _fastavro().parse_schema(self._schema(schema))
            self._writers[self._ids.of(schema, place)] = own

    async def fetch(self, body: bytes) -> None:
        if self._ids is None or (frame := Frame.of(body)) is None or frame.id in self._writers:
            return
        registry = self._ids.registry
        document = await registry.get(frame.id)
        if len(self._writers) >= MOST:
            self._writers.clear()
        self._writers[frame.id] = await _parsed(document, registry, {})

    def _schema(self, schema: Schema[Any]) -> Any:
        return avro_schema(schema) if self._given is None else self._given

    def _writer(self, id: int) -> Any:
        if self._ids is None:
            raise SchemaError(
                f"it is written with schema {id} of a registry that nobody named; "
                "declare format=Avro(registry=...)"
            )
        try:
            return self._writers[id]
        except KeyError:
            raise UnavailableError(f"schema {id} was not asked for yet") from None


MOST = 1000
"""Schemas of writers that are remembered."""


class _Carrier:
    """One type in Avro."""

    def __init__(
        self,
        schema: Schema[Any],
        written: Any,
        place: str,
        ids: Ids | None,
        writer: Callable[[int], Any],
    ) -> None:
        self._schema, self._place, self._ids, self._writer = schema, place, ids, writer
        self._avro = _fastavro()
        try:
            self._own = self._avro.parse_schema(written)
            self._mark = MARK + bytes.fromhex(_fingerprint(written))
        except Exception as error:
            raise ConfigError(f"the Avro schema of {schema} is none: {error}") from error
        self._convert = (
            _pydantic(schema.type) if is_pydantic(schema.type) else _msgspec(schema.type)
        )
        self.datacontenttype = PLAIN if ids is None else FRAMED

    def encode(self, value: Any) -> bytes:
        out = io.BytesIO()
        self._avro.schemaless_writer(out, self._own, self._convert.dump(value))
        body = out.getvalue()
        if self._ids is None:
            return self._mark + body
        return framed(self._ids.of(self._schema, self._place), body)

    def decode(self, body: bytes) -> Any:
        return self.build(self._read(body, self._own))

    def load(self, body: bytes) -> Any:
        """What it says in its own version, before ours is made of it."""
        return self._read(body, None)

    def build(self, value: dict[str, Any]) -> Any:
        return self._convert.build(value)

    def faults(self, body: bytes, error: Exception) -> list[str]:  # noqa: ARG002
        return pydantic_faults(error) if is_pydantic(self._schema.type) else [f"body: {error}"]

    def _read(self, body: bytes, reader: Any) -> Any:
        writer, bare = self._opened(body)
        stream = io.BytesIO(bare)
        try:
            value = self._avro.schemaless_reader(stream, writer, reader)
        except EOFError as error:
            raise SchemaError(f"not a {self._schema}: the body is cut off") from error
        if left := len(stream.read()):
            raise SchemaError(f"not a {self._schema}: {left} bytes too many")
        return value

    def _opened(self, body: bytes) -> tuple[Any, bytes]:
        """Return the writer's schema, and what is written with it."""
        if body.startswith(self._mark):
            return self._own, body[len(self._mark) :]
        if (frame := Frame.of(body)) is not None:
            return self._writer(frame.id), frame.body
        if body.startswith(MARK):
            raise SchemaError(
                f"not a {self._schema}: written with another Avro schema, and nothing tells which; "
                "a registry does: format=Avro(registry=...)"
            )
        raise SchemaError(f"not a {self._schema}: no Avro with its schema's fingerprint, or id")


class _Conversion(msgspec.Struct, frozen=True):
    """Between a model and what Avro reads and writes."""

    dump: Callable[[Any], Any]
    build: Callable[[Any], Any]


def _msgspec(type_: Any) -> _Conversion:
    return _Conversion(generic, lambda value: msgspec.convert(value, type_))


def _pydantic(type_: Any) -> _Conversion:
    from pydantic import TypeAdapter

    adapter: TypeAdapter[Any] = TypeAdapter(type_)
    return _Conversion(
        lambda value: generic(adapter.dump_python(value, by_alias=True, warnings="error")),
        lambda value: adapter.validate_python(value, strict=False),
    )


async def _parsed(document: Document, registry: SchemaRegistry, named: dict[str, Any]) -> Any:
    """Return a writer's schema, with the ones that it refers to."""
    if document.kind != "AVRO":
        raise SchemaError(f"it is written with a schema of {document.kind}, expected AVRO")
    for reference in document.references:
        other = await registry.version(reference.subject, reference.version)
        await _parsed(other.document, registry, named)
    try:
        return _fastavro().parse_schema(json.loads(document.text), named_schemas=named)
    except Exception as error:
        raise SchemaError(f"the registry's Avro schema cannot be read: {error}") from error


def _read(schema: Written) -> Any:
    if isinstance(schema, Mapping):
        return dict(schema)
    try:
        return json.loads(schema.read_text() if isinstance(schema, Path) else schema)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"schema={schema!r} is no Avro schema: {error}; a file is given as Path('order.avsc')"
        ) from error


def _fingerprint(schema: Any) -> str:
    from fastavro.schema import fingerprint, to_parsing_canonical_form

    return fingerprint(to_parsing_canonical_form(schema), "CRC-64-AVRO")


def _fastavro() -> Any:
    try:
        import fastavro
    except ImportError as error:
        raise ConfigError("Avro needs fastavro: pip install 'isthmus[avro]'") from error
    return fastavro
