"""What msgspec's schemas leave out, and the classes tell: attributes' docstrings, and that a
datetime is one, a decimal number another."""

from collections.abc import Iterator, Mapping, Sequence
from inspect import cleandoc
from typing import Any, cast

from msgspec import inspect as types

from isthmus.services.documents.attributes import attribute_docs

__all__ = ["completed"]

_Class = types.StructType | types.DataclassType | types.TypedDictType | types.NamedTupleType
_Json = dict[str, Any]
_DECIMAL = r"^[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?$"


def completed(
    infos: Sequence[types.Type],
    schemas: Sequence[_Json],
    components: Mapping[str, _Json],
    *,
    home: str,
) -> None:
    """Add to `schemas`, of types that `infos` tell of, and to the `components` below `home` that
    they refer to."""
    for component in components.values():
        if "description" in component:  # a docstring, with the source's indentation
            component["description"] = cleandoc(component["description"])
    waiting = list(zip(infos, schemas, strict=True))
    seen = set[int]()
    for info, schema in waiting:
        inner, found = _bare(info), schema
        if "$ref" in schema:
            found = components[schema["$ref"].removeprefix(home)]
        if id(found) in seen:
            continue
        seen.add(id(found))
        if isinstance(inner, types.DateTimeType):
            found.setdefault("format", "date-time")
        elif isinstance(inner, types.DecimalType):
            found.setdefault("pattern", _DECIMAL)
        elif isinstance(inner, _Class):
            _describe(inner, found)
        waiting += _inside(inner, found)


def _bare(info: types.Type) -> types.Type:
    while isinstance(info, types.Metadata):
        info = info.type
    return info


def _describe(info: _Class, schema: _Json) -> None:
    docs = attribute_docs(getattr(info.cls, "__origin__", info.cls))
    for field in info.fields:
        part = schema.get("properties", {}).get(field.encode_name)
        if part is not None and (doc := docs.get(field.name)):
            part.setdefault("description", doc)


def _inside(info: types.Type, schema: _Json) -> Iterator[tuple[types.Type, _Json]]:
    """Yield the parts of a type, each with its schema."""
    match info:
        case types.StructType() | types.DataclassType() | types.TypedDictType():
            parts = schema.get("properties", {})
            for field in info.fields:
                if field.encode_name in parts:
                    yield field.type, parts[field.encode_name]
        case types.DictType():
            yield info.value_type, schema.get("additionalProperties", {})
        case types.TupleType():
            yield from zip(info.item_types, schema.get("prefixItems", ()), strict=False)
        case types.CollectionType():
            yield info.item_type, schema.get("items", {})
        case types.UnionType():
            yield from _choices(info, schema)
        case _:
            pass


def _choices(info: types.UnionType, schema: _Json) -> Iterator[tuple[types.Type, _Json]]:
    """Yield the members of a choice whose schemas are found again: msgspec puts structs last."""
    plain = [each for each in map(_bare, info.types) if not isinstance(each, types.NoneType)]
    structs = [each for each in plain if isinstance(each, types.StructType)]
    others = [each for each in plain if not isinstance(each, types.StructType)]
    written = cast("Sequence[_Json]", schema.get("anyOf", ()))
    yield from zip(others, written, strict=False)
    for struct in structs:
        for part in written:
            for one in (part, *part.get("anyOf", ())):
                if one.get("$ref", "").endswith(f"/{struct.cls.__name__}"):
                    yield struct, one
