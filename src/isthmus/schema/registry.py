"""Which names stand for which types, and the steps between their versions."""

import inspect
import re
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar, overload

from isthmus.errors import ConfigError
from isthmus.schema.kinds import is_model, members_of, own_name, type_name
from isthmus.schema.named import Label, Schema, Upcast
from isthmus.schema.union import UnionSchema

__all__ = ["Registry", "schema", "schema_of", "upcaster"]

T = TypeVar("T")
_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?")


class Registry:
    """Names and versions of payload types. A program has one; a test may have its own."""

    def __init__(self) -> None:
        self._schemas: dict[Any, Schema[Any]] = {}
        self._upcasters: dict[Label, Upcast] = {}
        self._places: dict[tuple[str, Label], str] = {}

    def schema(self, name: str, *, version: int = 1) -> Callable[[type[T]], type[T]]:
        """Name the decorated class; `name` as "shop.order", `version` from 1 up.

        Declared again at the same line (a module that is loaded twice), the later stands.

        Raises:
            ConfigError: Name or version are malformed, or stand for another class.
        """
        label = _checked(name, version)
        self._claim("class", label, _caller())

        def register(cls: type[T]) -> type[T]:
            if (taken := self._schemas.get(cls)) and taken.version:
                raise ConfigError(f"{type_name(cls)} is {taken} already; a class has one name")
            self._schemas[cls] = Schema(cls, name=name, version=version, upcasters=self._upcasters)
            return cls

        return register

    def upcaster(self, name: str, *, version: int) -> Callable[[Upcast], Upcast]:
        """Lead `version` of `name` to the next: the decorated function is given the old object
        as a dict and returns the new one. Steps chain, 1 to 2 to 3.

        Raises:
            ConfigError: Name or version are malformed, or have an upcaster.
        """
        label = _checked(name, version)
        self._claim("upcaster", label, _caller())

        def register(upcast: Upcast) -> Upcast:
            self._upcasters[label] = upcast
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
        try:
            found = self._schemas.get(type_)
        except TypeError as error:
            raise ConfigError(f"{type_!r} is no type; write one, as list[int]") from error
        if found is None:
            found = self._schemas[type_] = self._made(type_)
        return found

    def _made(self, type_: Any) -> Schema[Any]:
        members = members_of(type_)
        if members and all(map(is_model, members)):
            return UnionSchema(type_, [self.of(member) for member in members])
        made: Schema[Any] = Schema(type_, name=own_name(type_))
        with suppress(NameError):  # refers to a class further down its module: compiled when used
            _ = made.codec
        return made

    def _claim(self, what: str, label: Label, place: str) -> None:
        taken = self._places.setdefault((what, label), place)
        if taken != place:
            raise ConfigError(
                f"{label} has its {what} at {taken}, and another at {place}; "
                "give one of them another version or name"
            )


def _checked(name: str, version: int) -> Label:
    if not _NAME.fullmatch(name):
        raise ConfigError(f"schema name {name!r}: expected letters, digits, _ . -, as shop.order")
    if version < 1:
        raise ConfigError(f"schema {name!r}: version is {version}, expected 1 or more")
    return Label(name, version)


def _caller() -> str:
    """Return "file:line" of the decorator, two calls up."""
    frame = inspect.stack(0)[2].frame
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


_registry = Registry()
schema, upcaster, schema_of = _registry.schema, _registry.upcaster, _registry.of
