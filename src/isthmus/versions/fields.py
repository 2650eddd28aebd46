"""What a model has inside: its fields by the names that they have in a document."""

import dataclasses
import typing
from collections.abc import Mapping
from typing import (
    Annotated,
    Any,
    Literal,
    NotRequired,
    Required,
    get_args,
    get_origin,
    is_typeddict,
)

import msgspec

from isthmus.schema.kinds import is_model, is_struct, members_of

__all__ = ["bare", "constants", "fields_of", "parts_of"]


def bare(type_: Any) -> Any:
    """Return `type_` without Annotated, NewType and aliases around it."""
    while True:
        if get_origin(type_) in {Annotated, Required, NotRequired}:
            type_ = get_args(type_)[0]
        elif hasattr(type_, "__supertype__"):
            type_ = type_.__supertype__
        elif type(type_).__name__ == "TypeAliasType":
            type_ = type_.__value__
        else:
            return type_


def fields_of(type_: Any) -> Mapping[str, Any]:
    """Return the types of the fields of a model by their names in JSON; empty for others."""
    if is_struct(type_):
        return {field.encode_name: field.type for field in msgspec.structs.fields(type_)}
    cls = get_origin(type_) or type_
    if hasattr(cls, "model_fields"):
        return {_alias(field, name): field.annotation for name, field in cls.model_fields.items()}
    if dataclasses.is_dataclass(cls) or is_typeddict(cls):
        return _substituted(type_, typing.get_type_hints(cls, include_extras=True))
    return {}


def parts_of(type_: Any) -> list[Any]:
    """Return the types right inside `type_`: of fields, items, members."""
    type_ = bare(type_)
    if members := members_of(type_):
        return list(members)
    if is_model(type_):
        return list(fields_of(type_).values())
    return [part for part in get_args(type_) if part is not Ellipsis]


def constants(type_: Any) -> Mapping[str, Any]:
    """Return what every document of a model says that those of others don't: its tag, and
    fields that are a Literal of one value."""
    said: dict[str, Any] = {}
    for name, field in fields_of(type_).items():
        values = get_args(bare(field)) if get_origin(bare(field)) is Literal else ()
        if len(values) == 1:
            said[name] = values[0]
    if is_struct(type_):
        config = (get_origin(type_) or type_).__struct_config__
        if config.tag_field is not None:
            said[config.tag_field] = config.tag
    return said


def _alias(field: Any, name: str) -> str:
    return field.serialization_alias or field.alias or name


def _substituted(type_: Any, hints: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return `hints` with the type variables of a generic class replaced."""
    cls = get_origin(type_)
    parameters = getattr(cls, "__parameters__", ())
    if not parameters:
        return hints
    given = dict(zip(parameters, get_args(type_), strict=False))
    return {name: _replaced(hint, given) for name, hint in hints.items()}


def _replaced(hint: Any, given: Mapping[Any, Any]) -> Any:
    if hint in given:
        return given[hint]
    inside = getattr(hint, "__parameters__", ())
    return hint[tuple(given.get(each, each) for each in inside)] if inside else hint
