"""What a class of settings asks for, a leaf at a time, and under which name it is looked for."""

import dataclasses
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, Union, cast, get_args, get_origin

import msgspec
from msgspec import NODEFAULT

from isthmus.configuration.secret import Secret
from isthmus.errors import ConfigError

__all__ = ["Env", "Field", "bare", "built", "fields_of", "is_settings", "refuse_unless_settings"]

Path = tuple[str, ...]


class Env(msgspec.Struct, frozen=True):
    """`Annotated[Url, Env("DATABASE_URL")]`: the variable's name is given by the platform."""

    name: str


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """One value that is asked for."""

    path: Path
    """Where it lies: ("pool",), or ("database", "pool") in a class within."""
    variable: str
    """As SHOP_POOL, or SHOP_DATABASE__POOL."""
    type: Any
    default: Callable[[], Any] | None
    """None: it has to be said."""

    @property
    def name(self) -> str:
        return ".".join(self.path)

    @property
    def secret(self) -> bool:
        return _holds_secrets(self.type)


class _Asked(msgspec.Struct, frozen=True):
    """A field as its library has it."""

    name: str
    type: Any
    default: Callable[[], Any] | None


def is_settings(kind: Any) -> bool:
    """Return whether `kind` is a class of settings: a frozen Struct or dataclass."""
    if not isinstance(kind, type):
        return False
    found = cast("type[Any]", kind)
    if issubclass(found, msgspec.Struct):
        return found.__struct_config__.frozen
    parameters = getattr(found, "__dataclass_params__", None)
    return bool(getattr(parameters, "frozen", False))


def refuse_unless_settings(kind: Any) -> None:
    """Raises ConfigError, saying what it should be, or how such a class is used."""
    if is_settings(kind):
        return
    name: str = getattr(kind, "__name__", repr(kind))
    if hasattr(kind, "__pydantic_validator__"):
        raise ConfigError(
            f"{name} is pydantic's, which reads and checks it: give it as a resource, "
            f"`@app.resource` on `def settings() -> {name}: return {name}()`"
        )
    raise ConfigError(
        f"settings don't change while they are used: make {name} a msgspec.Struct with "
        "frozen=True, or a frozen dataclass"
    )


def fields_of(kind: type, prefix: str, *, within: Path = ()) -> list[Field]:
    """Return what `kind` asks for; what a class within asks for, in its place."""
    found = list[Field]()
    for asked in _asked(kind):
        path = (*within, asked.name)
        inner = bare(asked.type)
        if is_settings(inner):
            found += _within(inner, prefix, path, asked.default)
        else:
            variable = _given_name(asked.type) or prefix + "__".join(path).upper()
            found.append(
                Field(path=path, variable=variable, type=asked.type, default=asked.default)
            )
    return found


def built(kind: Any, values: Mapping[Path, Any]) -> Any:
    """Make a `kind` of the values of all its leaves."""
    arguments = dict[str, Any]()
    for asked in _asked(kind):
        inner = bare(asked.type)
        if is_settings(inner):
            below = {path[1:]: value for path, value in values.items() if path[0] == asked.name}
            arguments[asked.name] = built(inner, below)
        else:
            arguments[asked.name] = values[asked.name,]
    return kind(**arguments)


def bare(type_: Any) -> Any:
    """Return a type without what `Annotated` adds."""
    return get_args(type_)[0] if get_origin(type_) is Annotated else type_


def _within(
    kind: type, prefix: str, path: Path, default: Callable[[], Any] | None
) -> Iterator[Field]:
    """Yield the leaves of a class within; where that has a default, so have they."""
    for field in fields_of(kind, prefix, within=path):
        if default is None:
            yield field
        else:
            yield msgspec.structs.replace(field, default=_part(default, field.path[len(path) :]))


def _part(default: Callable[[], Any], path: Path) -> Callable[[], Any]:
    def part() -> Any:
        value = default()
        for name in path:
            value = getattr(value, name)
        return value

    return part


def _asked(kind: type[Any]) -> Iterator[_Asked]:
    if issubclass(kind, msgspec.Struct):
        for field in msgspec.structs.fields(kind):
            default = _default(field.default, field.default_factory, NODEFAULT)
            yield _Asked(field.name, field.type, default)
        return
    hints = typing.get_type_hints(kind, include_extras=True)
    for field in dataclasses.fields(cast("Any", kind)):
        default = _default(field.default, field.default_factory, dataclasses.MISSING)
        yield _Asked(field.name, hints[field.name], default)


def _default(value: Any, factory: Any, missing: Any) -> Callable[[], Any] | None:
    if value is not missing:
        return lambda: value
    return None if factory is missing else factory


def _given_name(type_: Any) -> str:
    marks = get_args(type_)[1:] if get_origin(type_) is Annotated else ()
    return next((mark.name for mark in marks if isinstance(mark, Env)), "")


def _holds_secrets(type_: Any) -> bool:
    if type_ is Secret:
        return True
    kinds = (Annotated, Union, types.UnionType, list, tuple, set, frozenset, dict)
    return get_origin(type_) in kinds and any(map(_holds_secrets, get_args(type_)))
