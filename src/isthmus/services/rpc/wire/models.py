"""The fields of a model: a msgspec Struct, a dataclass or a pydantic model."""

import dataclasses
import inspect
import typing
from collections.abc import Callable, Sequence
from typing import Annotated, Any, NamedTuple, get_origin

import msgspec

from isthmus.errors import ConfigError
from isthmus.schema.kinds import is_pydantic, is_struct, type_name

__all__ = ["ModelField", "is_by_place", "model_fields"]


class ModelField(NamedTuple):
    name: str
    hint: Any
    key: str
    """What the constructor calls it."""
    default: Callable[[], Any] | None
    """Makes its default; None if it has none."""
    checked: bool
    """Whether the model's own library checks what it is made of."""


def model_fields(type_: Any) -> Sequence[ModelField]:
    """Return the fields in the order in which they are written.

    Raises:
        ConfigError: It has none that can be told, as a TypedDict.
    """
    if is_struct(type_):
        return [_of_struct(each) for each in msgspec.structs.fields(type_)]
    if is_pydantic(type_) and hasattr(type_, "model_fields"):
        return [_of_pydantic(name, each) for name, each in type_.model_fields.items()]
    if dataclasses.is_dataclass(get_origin(type_) or type_):
        return _of_dataclass(get_origin(type_) or type_)
    raise ConfigError(
        f"{type_name(type_)} cannot be a message; use a msgspec.Struct, a dataclass or a "
        "pydantic model"
    )


def is_by_place(type_: Any) -> bool:
    """Return whether the constructor takes all fields by their places, in their order."""
    origin: Any = get_origin(type_) or type_
    if not is_struct(origin) and not dataclasses.is_dataclass(origin):
        return False
    constructor: Any = origin
    parameters = list(inspect.signature(constructor).parameters.values())
    by_place = all(each.kind is each.POSITIONAL_OR_KEYWORD for each in parameters)
    return by_place and [each.name for each in parameters] == [
        field.name for field in model_fields(origin)
    ]


def _of_struct(each: msgspec.structs.FieldInfo) -> ModelField:
    default: Callable[[], Any] | None = None
    if each.default_factory is not msgspec.NODEFAULT:
        default = each.default_factory
    elif each.default is not msgspec.NODEFAULT:
        value = each.default
        default = lambda: value  # noqa: E731
    return ModelField(each.name, each.type, each.name, default, checked=False)


def _of_pydantic(name: str, info: Any) -> ModelField:
    hint = info.annotation
    if info.metadata:
        hint = Annotated[(hint, *info.metadata)]  # pyright: ignore[reportInvalidTypeForm]
    alias = info.validation_alias if isinstance(info.validation_alias, str) else info.alias
    default: Callable[[], Any] | None = None
    if not info.is_required():
        default = lambda: info.get_default(call_default_factory=True)  # noqa: E731
    return ModelField(name, hint, alias or name, default, checked=True)


def _of_dataclass(type_: Any) -> Sequence[ModelField]:
    hints = typing.get_type_hints(type_, include_extras=True)
    return [
        ModelField(each.name, hints[each.name], each.name, _default(each), checked=False)
        for each in dataclasses.fields(type_)
        if each.init
    ]


def _default(field: dataclasses.Field[Any]) -> Callable[[], Any] | None:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory
    if field.default is not dataclasses.MISSING:
        value = field.default
        return lambda: value
    return None
