"""Every fault of a payload, where its library stops at the first."""

import dataclasses
import typing
from collections.abc import Iterator, Mapping
from itertools import islice
from types import NoneType
from typing import Annotated, Any, NamedTuple, cast, get_args, get_origin

import msgspec

from isthmus.schema.kinds import is_struct, members_of

__all__ = ["MOST", "every_fault", "faults_in", "pydantic_faults"]

MOST = 50
"""Faults told of one payload; a long list of bad items says nothing new."""


class _Field(NamedTuple):
    type: Any
    required: bool


def every_fault(type_: Any, body: bytes, error: Exception) -> list[str]:
    """Return "path: what is wrong" for up to MOST faults of `body`, at least the one in `error`."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as malformed:
        return [f"body: {malformed}"]
    return faults_in(type_, value, error)


def faults_in(type_: Any, value: Any, error: Exception) -> list[str]:
    """Return the same of a body that was decoded, as far as its format goes, to `value`."""
    return list(islice(_faults(type_, value, "", depth=0), MOST)) or [_told(error, "")]


def pydantic_faults(error: Exception) -> list[str]:
    """Return the faults that a pydantic ValidationError lists, as `every_fault` does."""
    listed = getattr(error, "errors", None)
    if listed is None:
        return [f"body: {error}"]
    return [
        f"{_path(fault['loc']) or 'body'}: {fault['msg']}"
        for fault in listed(include_url=False, include_context=False, include_input=False)[:MOST]
    ]


def _path(steps: tuple[int | str, ...]) -> str:
    path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)
    return path.removeprefix(".")


def _faults(type_: Any, value: Any, path: str, *, depth: int) -> Iterator[str]:
    try:
        msgspec.convert(value, type_, str_keys=True)
    except msgspec.ValidationError as error:
        inner = list(islice(_inner(type_, value, path, depth=depth), MOST)) if depth < MOST else []
        yield from inner or [_told(error, path)]


def _inner(type_: Any, value: Any, path: str, *, depth: int) -> Iterator[str]:
    """Yield the faults of the parts of `value`, or nothing where it has none to look into."""
    type_ = _bare(type_)
    if isinstance(value, dict):
        yield from _in_object(type_, cast("dict[str, Any]", value), path, depth=depth + 1)
    elif isinstance(value, list) and get_origin(type_) in {list, set, frozenset, tuple}:
        item = get_args(type_)[0]
        for index, part in enumerate(cast("list[Any]", value)):
            yield from _faults(item, part, f"{path}[{index}]", depth=depth + 1)


def _in_object(type_: Any, value: dict[str, Any], path: str, *, depth: int) -> Iterator[str]:
    if get_origin(type_) in {dict, Mapping}:
        fields = dict.fromkeys(value, _Field(get_args(type_)[1], required=False))
    else:
        fields = _fields(type_)
    for name, field in fields.items():
        where = f"{path}.{name}".removeprefix(".")
        if name in value:
            yield from _faults(field.type, value[name], where, depth=depth)
        elif field.required:
            yield f"{where}: missing"


def _bare(type_: Any) -> Any:
    """Return `type_` without Annotated and Optional: a value that is there must be of the rest."""
    while True:
        if get_origin(type_) is Annotated:
            type_ = get_args(type_)[0]
        elif len(some := [member for member in members_of(type_) if member is not NoneType]) == 1:
            type_ = some[0]
        else:
            return type_


def _fields(type_: Any) -> dict[str, _Field]:
    if is_struct(type_):
        return {f.encode_name: _Field(f.type, f.required) for f in msgspec.structs.fields(type_)}
    if dataclasses.is_dataclass(type_):
        hints = typing.get_type_hints(type_, include_extras=True)
        return {f.name: _Field(hints[f.name], _has_none(f)) for f in dataclasses.fields(type_)}
    return _typed_keys(type_) if typing.is_typeddict(type_) else {}


def _typed_keys(type_: Any) -> dict[str, _Field]:
    hints = typing.get_type_hints(type_)
    return {name: _Field(hint, name in type_.__required_keys__) for name, hint in hints.items()}


def _has_none(field: dataclasses.Field[Any]) -> bool:
    """Return whether `field` has no default of any kind."""
    missing = dataclasses.MISSING
    return field.init and field.default is missing and field.default_factory is missing


def _told(error: Exception, path: str) -> str:
    """Return msgspec's "what - at `$.where`" as "path.where: what"."""
    what, _, where = str(error).partition(" - at `$")
    whole = (path + where.rstrip("`")).removeprefix(".")
    return f"{whole or 'body'}: {what}"
