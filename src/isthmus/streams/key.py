"""What keeps its order in a stream."""

import dataclasses
from collections.abc import Callable, Collection
from operator import attrgetter
from typing import Any, TypeVar, get_origin

from isthmus.errors import ConfigError
from isthmus.schema.kinds import is_struct, members_of, type_name

__all__ = ["Key", "key_function"]

T = TypeVar("T")

Key = Callable[[T], object] | str | None
"""What keeps its order: a function of the value, the name of an attribute, or nothing."""


def key_function(key: Key[T], payload: Any) -> Callable[[T], str]:
    """Return what gives the key of a value.

    Raises:
        ConfigError: `key` names an attribute that `payload`, or one of its types, has not.
    """
    if key is None:
        return lambda _: ""
    if isinstance(key, str):
        for type_ in members_of(payload) or (payload,):
            _require(key.partition(".")[0], type_)
    found: Callable[[T], object] = attrgetter(key) if isinstance(key, str) else key
    return lambda value: str(found(value))


def _require(name: str, type_: Any) -> None:
    fields = _fields(type_)
    if fields and name not in fields and not hasattr(type_, name):
        raise ConfigError(
            f"key={name!r}: {type_name(type_)} has no attribute of that name; "
            f"it has {', '.join(fields)}"
        )


def _fields(type_: Any) -> Collection[str]:
    """Return the fields of a model; none if its attributes cannot be told beforehand."""
    kind: Any = get_origin(type_) or type_
    if is_struct(kind):
        return kind.__struct_fields__
    if dataclasses.is_dataclass(kind):
        return [field.name for field in dataclasses.fields(kind)]
    return list(getattr(kind, "model_fields", ()))
