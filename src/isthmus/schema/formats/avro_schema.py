"""Avro's schema of a Python type, and the values that go with it.

str int float bool bytes None      string long double boolean bytes null
datetime date time UUID            timestamp-micros date time-micros uuid
Decimal, timedelta                 string, as in JSON
list set tuple[X, ...]  dict       array  map
X | None                           a union with null
Enum, Literal (of names)           enum, string
models                             record, by the name of its schema
"""

import dataclasses
import datetime as dt
import decimal
import enum
import re
import typing
import uuid
from collections.abc import Mapping, Sequence
from types import NoneType
from typing import Annotated, Any, Literal, NamedTuple, cast, get_args, get_origin

import msgspec

from isthmus.errors import ConfigError
from isthmus.schema.kinds import is_model, is_struct, members_of, type_name
from isthmus.schema.named import Schema

__all__ = ["avro_schema", "generic", "is_record"]

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
MISSING: Any = object()

_PLAIN: dict[Any, Any] = {
    NoneType: "null",
    None: "null",
    bool: "boolean",
    int: "long",
    float: "double",
    str: "string",
    bytes: "bytes",
    decimal.Decimal: "string",
    dt.timedelta: "string",
    dt.datetime: {"type": "long", "logicalType": "timestamp-micros"},
    dt.date: {"type": "int", "logicalType": "date"},
    dt.time: {"type": "long", "logicalType": "time-micros"},
    uuid.UUID: {"type": "string", "logicalType": "uuid"},
}
_ARRAYS = (list, set, frozenset, tuple, Sequence)
_MAPS = (dict, Mapping)
NATIVE = (bytes, dt.datetime, dt.date, dt.time, uuid.UUID)
"""What Avro has types for."""


def avro_schema(schema: Schema[Any]) -> dict[str, Any]:
    """Return the Avro schema of a model, under its schema's name.

    Raises:
        ConfigError: It has what Avro cannot say.
    """
    made = _Making(schema.name or type_name(schema.type)).of(schema.type)
    if not isinstance(made, dict) or cast("Any", made).get("type") != "record":
        raise ConfigError(
            f"{type_name(schema.type)} is no record; Avro carries models, or give it schema="
        )
    return cast("dict[str, Any]", made)


def is_record(schema: Mapping[str, Any]) -> bool:
    return schema.get("type") == "record"


def generic(value: Any) -> Any:
    """Return a value as Avro's writer takes it: dicts and lists, and what Avro has types for."""
    return msgspec.to_builtins(value, builtin_types=NATIVE, str_keys=True, enc_hook=_other)


def _other(value: Any) -> Any:
    raise TypeError(f"Avro has no way to write {type(value).__qualname__}")


class _Field(NamedTuple):
    name: str
    type: Any
    default: Any


class _Making:
    """One schema document: a named type is written out once, then called by its name."""

    def __init__(self, name: str) -> None:
        self._root, self._named = name, dict[Any, str]()
        self._namespace = name.rpartition(".")[0]

    def of(self, type_: Any) -> Any:
        if get_origin(type_) is Annotated:
            return self.of(get_args(type_)[0])
        if _is_hashable(type_) and type_ in _PLAIN:
            return _PLAIN[type_]
        if members := members_of(type_):
            return self._union(members)
        if get_origin(type_) is Literal:
            return self._literal(get_args(type_))
        if isinstance(type_, type) and issubclass(type_, enum.Enum):
            return self._enum(type_)
        if is_model(type_):
            return self._record(type_)
        return self._container(type_)

    def _container(self, type_: Any) -> Any:
        origin, inner = get_origin(type_) or type_, get_args(type_)
        if origin in _ARRAYS and inner and (origin is not tuple or inner[1:] == (...,)):
            return {"type": "array", "items": self.of(inner[0])}
        if origin in _MAPS and inner[:1] == (str,):
            return {"type": "map", "values": self.of(inner[1])}
        raise ConfigError(f"Avro has no type for {type_name(type_)}; give Avro(schema=...)")

    def _union(self, members: Sequence[Any]) -> Any:
        made = [self.of(member) for member in members]
        records = [each for each in members if is_model(each)]
        if len(records) > 1:
            names = " | ".join(map(type_name, records))
            raise ConfigError(f"Avro cannot tell {names} apart in a field; carry them by a topic")
        if len({str(each) for each in made}) < len(made):
            raise ConfigError(f"{members!r} is a union with twice the same type for Avro")
        return sorted(made, key=lambda each: each != "null")

    def _literal(self, values: Sequence[Any]) -> Any:
        kinds: set[Any] = {cast("Any", type(value)) for value in values}
        if len(kinds) != 1:
            raise ConfigError(f"Avro has no type for Literal{list(values)}")
        return self.of(kinds.pop())

    def _enum(self, type_: type[enum.Enum]) -> Any:
        values = [member.value for member in type_]
        if not all(isinstance(value, str) and NAME.fullmatch(value) for value in values):
            return self._literal(values)
        if type_ in self._named:
            return self._named[type_]
        return {"type": "enum", "name": self._claim(type_, type_.__name__), "symbols": values}

    def _record(self, type_: Any) -> Any:
        if type_ in self._named:
            return self._named[type_]
        if is_struct(type_) and type_.__struct_config__.array_like:
            raise ConfigError(f"{type_name(type_)} is array_like, and Avro's records have names")
        name = self._claim(type_, type_name(type_) if self._named else self._root)
        return {
            "type": "record",
            "name": name,
            "fields": [self._field(each, name) for each in _fields(type_)],
        }

    def _field(self, field: _Field, record: str) -> dict[str, Any]:
        if not NAME.fullmatch(field.name):
            raise ConfigError(f"{record} has a field {field.name!r}, which Avro cannot call so")
        made: dict[str, Any] = {"name": field.name, "type": self.of(field.type)}
        if field.default is not MISSING:
            self._default(made, field.default)
        return made

    def _default(self, made: dict[str, Any], default: Any) -> None:
        """Write a default, of which Avro wants that it is of a union's first type."""
        if "logicalType" in str(made["type"]) and default is not None:
            return  # as JSON it is not what the type says
        if _is_json(default):
            made["default"] = default
            if isinstance(made["type"], list) and default is not None:
                made["type"] = _null_last(made["type"])

    def _claim(self, type_: Any, name: str) -> str:
        full = name if "." in name or not self._namespace else f"{self._namespace}.{name}"
        full = ".".join(re.sub(r"\W", "_", part) for part in full.split("."))
        if full in self._named.values():
            raise ConfigError(f"two types of {self._root} are called {full}; rename one")
        self._named[type_] = full
        return full


def _fields(type_: Any) -> list[_Field]:
    if is_struct(type_):
        return [
            _Field(f.encode_name, f.type, _given(f.default, f.default_factory, msgspec.NODEFAULT))
            for f in msgspec.structs.fields(type_)
        ]
    if dataclasses.is_dataclass(type_):
        hints = typing.get_type_hints(type_, include_extras=True)
        return [
            _Field(f.name, hints[f.name], _given(f.default, f.default_factory, dataclasses.MISSING))
            for f in dataclasses.fields(type_)
        ]
    if typing.is_typeddict(type_):
        hints = typing.get_type_hints(type_, include_extras=False)
        return [_Field(name, hint, MISSING) for name, hint in hints.items()]
    return _pydantic_fields(type_)


def _pydantic_fields(type_: Any) -> list[_Field]:
    from pydantic_core import PydanticUndefined

    if not hasattr(type_, "model_fields"):
        raise ConfigError(f"Avro has no type for {type_name(type_)}; give Avro(schema=...)")
    return [
        _Field(
            field.serialization_alias or field.alias or name,
            field.annotation,
            _given(field.default, field.default_factory, PydanticUndefined),
        )
        for name, field in type_.model_fields.items()
    ]


def _given(default: Any, factory: Any, missing: Any) -> Any:
    """Return a field's default as JSON; MISSING if it has none, or none that JSON can carry."""
    if default is missing:
        return {} if factory is dict else [] if factory in (list, set, frozenset) else MISSING
    try:
        return msgspec.to_builtins(default)
    except (TypeError, ValueError):
        return MISSING


def _is_json(value: Any) -> bool:
    return value is None or isinstance(value, str | bool | int | float | list | dict)


def _null_last(union: Any) -> list[Any]:
    return [each for each in union if each != "null"] + ["null"] * ("null" in union)


def _is_hashable(type_: Any) -> bool:
    return getattr(type_, "__hash__", None) is not None
