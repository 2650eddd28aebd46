"""Which names stand for which types, and the steps between their versions."""

import dataclasses
import re
from collections.abc import Callable
from contextlib import suppress
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, is_typeddict, overload

import msgspec

from isthmus.errors import ConfigError
from isthmus.schema.named import Schema, Step, Upcast
from isthmus.schema.union import UnionSchema

__all__ = ["Registry", "schema", "schema_of", "upcaster"]

T = TypeVar("T")
_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?")


class Registry:
    """Names and versions of payload types. A program has one; a test may have its own."""

    def __init__(self) -> None:
        self._named: dict[Step, Schema[Any]] = {}
        self._by_type: dict[Any, Schema[Any]] = {}
        self._upcasters: dict[Step, Upcast] = {}

    def schema(self, name: str, *, version: int = 1) -> Callable[[type[T]], type[T]]:
        """Name the decorated class; `name` as "shop.order", `version` from 1 up.

        Raises:
            ConfigError: The name or version is malformed, or another class has them.
        """
        place = _checked(name, version)

        def register(cls: type[T]) -> type[T]:
            if (taken := self._named.get(place)) and not _is_same(taken.type, cls):
                raise ConfigError(
                    f"{name}/{version} is {taken.type.__qualname__} already; "
                    f"give {cls.__qualname__} version={version + 1}, or a name of its own"
                )
            made = Schema(cls, name=name, version=version, upcasters=self._upcasters)
            self._named[place] = self._by_type[cls] = made
            return cls

        return register

    def upcaster(self, name: str, *, version: int) -> Callable[[Upcast], Upcast]:
        """Lead `version` of `name` to the next: the decorated function gets the old object as a
        dict and returns the new one. Steps chain, 1 to 2 to 3.

        Raises:
            ConfigError: The name or version is malformed, or the step has an upcaster.
        """
        place = _checked(name, version)

        def register(upcast: Upcast) -> Upcast:
            taken = self._upcasters.get(place)
            if taken and not _is_same(taken, upcast):
                raise ConfigError(f"{name}/{version} has an upcaster: {taken.__qualname__}")
            self._upcasters[place] = upcast
            return upcast

        return register

    @overload
    def of(self, type_: type[T]) -> Schema[T]: ...
    @overload
    def of(self, type_: Any) -> Schema[Any]: ...
    def of(self, type_: Any) -> Schema[Any]:
        """Return the schema of `type_`, registered or not; a union of classes is a choice.

        Raises:
            ConfigError: No library can carry such a type.
        """
        found = self._by_type.get(type_)
        if found is None:
            found = self._by_type[type_] = self._made(type_)
        return found

    def _made(self, type_: Any) -> Schema[Any]:
        if get_origin(type_) in {Union, UnionType} and all(map(_is_model, get_args(type_))):
            return UnionSchema(type_, [self.of(member) for member in get_args(type_)])
        made: Schema[Any] = Schema(type_, name=type_.__name__ if _is_model(type_) else "")
        with suppress(NameError):  # refers to a class further down its module: compiled when used
            _ = made.codec
        return made


def _checked(name: str, version: int) -> Step:
    if not _NAME.fullmatch(name):
        raise ConfigError(f"schema name {name!r}: expected letters, digits, _ . -, as shop.order")
    if version < 1:
        raise ConfigError(f"schema {name!r}: version is {version}, expected 1 or more")
    return Step(name, version)


def _is_same(one: Any, other: Any) -> bool:
    """A module that is loaded again defines its classes again; they are the same ones."""
    return (one.__module__, one.__qualname__) == (other.__module__, other.__qualname__)


def _is_model(type_: Any) -> bool:
    """Return whether `type_` is a class with fields, whose name means something."""
    return (
        (isinstance(type_, type) and issubclass(type_, msgspec.Struct))
        or (isinstance(type_, type) and dataclasses.is_dataclass(type_))
        or hasattr(type_, "__pydantic_validator__")
        or is_typeddict(type_)
    )


_registry = Registry()
schema, upcaster, schema_of = _registry.schema, _registry.upcaster, _registry.of
