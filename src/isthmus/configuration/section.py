"""The settings of one class, from one place: read together, judged together."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec

from isthmus.configuration.converting import (
    as_asked,
    converted,
    refuse_unless_readable,
    shown,
)
from isthmus.configuration.field import Field, built, fields_of, refuse_unless_settings
from isthmus.configuration.place import FILE, PREFIX, Given, Place, Unusable
from isthmus.errors import ConfigError

__all__ = [
    "DEFAULT",
    "Found",
    "Names",
    "Readable",
    "Reading",
    "Section",
    "prefix_of",
    "refuse_own_prefix",
]

DEFAULT = "default"
"""Where a value is from that was written nowhere."""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """One setting as it was found, for people to see."""

    name: str
    """As "shop.pool"."""
    value: str
    """Secrets and passwords as ***."""
    origin: str
    """Where it was written; "" if nowhere."""
    variable: str
    """Of the environment, that says it."""
    fault: str = ""


class Names(msgspec.Struct, frozen=True):
    """What may be written, so that what is almost that can be told."""

    prefix: str
    """How its variables begin."""
    variables: Sequence[str]
    table: tuple[str, ...]
    """Of [tool.isthmus]."""
    keys: Sequence[str]
    shared: bool = False
    """Whether other Apps write into that table, too, so that only what is almost a key is one."""


class Reading(msgspec.Struct, frozen=True):
    """What a section found, and what is wrong with it."""

    found: Sequence[Found]
    names: Sequence[Names]
    faults: Sequence[str] = ()
    """What is wrong with all of it together; what is wrong with one is in `found`."""
    value: Any = None
    """What was made of it; None if something is wrong."""

    @property
    def all_faults(self) -> list[str]:
        return [each.fault for each in self.found if each.fault] + list(self.faults)


class Readable(Protocol):
    """Something of an App that is configured by the place."""

    def fields(self, place: Place, /) -> Sequence[Field]:
        """Return what is asked for there."""
        ...

    def read(self, place: Place, /) -> Reading:
        """Read all of it; raises nothing."""
        ...

    def keep(self, value: Any, /) -> None:
        """Take over the `value` of a Reading without faults."""
        ...


def prefix_of(name: str) -> str:
    """Return how the variables of an App or Module begin: "my-shop" is MY_SHOP_."""
    plain = "".join(letter if letter.isalnum() else "_" for letter in name)
    return f"{plain.upper()}_"


class Section:
    """A class of settings, and where it is read."""

    def __init__(
        self,
        kind: type,
        name: str,
        *,
        prefix: str,
        table: Sequence[str],
        given: Mapping[str, Given] | None = None,
    ) -> None:
        """`name`: of whom they are. `given`: what wins over the place.

        Raises:
            ConfigError: The class is no class of settings, or the prefix is isthmus' own.
        """
        refuse_unless_settings(kind)
        self.kind, self.name = kind, name
        self._prefix, self._table, self._given = prefix, tuple(table), given or {}
        self._fields = fields_of(kind, prefix)
        for field in self._fields:
            try:
                refuse_unless_readable(field.type)
            except TypeError as error:
                raise ConfigError(
                    f"{kind.__name__}.{field.name} cannot be read: {error}"
                ) from error

    def fields(self, place: Place, /) -> Sequence[Field]:  # noqa: ARG002
        return self._fields

    def names(self) -> Sequence[Names]:
        """Return what may be written, by table."""
        keys: dict[tuple[str, ...], dict[str, None]] = {self._table: {}}
        for path in (field.path for field in self._fields):
            for depth, key in enumerate(path):
                keys.setdefault((*self._table, *path[:depth]), {})[key] = None
        variables = [field.variable for field in self._fields]
        return [Names(self._prefix, variables, table, list(known)) for table, known in keys.items()]

    def read(self, place: Place) -> Reading:
        values, found = dict[tuple[str, ...], Any](), list[Found]()
        for field in self._fields:
            value, seen = self._look(field, place)
            found.append(seen)
            values[field.path] = value
        if any(each.fault for each in found):
            return Reading(found, self.names())
        try:
            return Reading(found, self.names(), value=built(self.kind, values))
        except (ConfigError, ValueError, TypeError) as error:  # of the class' own checks
            return Reading(found, self.names(), [f"{self.name}: {error}"])

    def keep(self, value: Any) -> None:
        """Nothing keeps it."""

    def _look(self, field: Field, place: Place) -> tuple[Any, Found]:
        try:
            given = self._given.get(field.name) or place.find(field, self._table)
        except Unusable as error:
            return None, self._found(field, "", "", str(error))
        if given is not None:
            return self._converted(field, given)
        if field.default is None:
            return None, self._found(field, "", "", _missing(field))
        value = as_asked(field.default(), field.type)
        return value, self._found(field, shown(value, secret=field.secret), DEFAULT)

    def _converted(self, field: Field, given: Given) -> tuple[Any, Found]:
        seen = shown(given.value, secret=field.secret)
        try:
            value = converted(given.value, field.type)
        except ValueError as error:
            fault = f"{given.origin}{'' if field.secret else f' = {seen}'}: {error}"
            return None, self._found(field, seen, given.origin, fault)
        return value, self._found(field, shown(value, secret=field.secret), given.origin)

    def _found(self, field: Field, value: str, origin: str, fault: str = "") -> Found:
        return Found(
            name=f"{self.name}.{field.name}",
            value=value,
            origin=origin,
            variable=field.variable,
            fault=fault,
        )


def _missing(field: Field) -> str:
    if field.secret:
        return f"{field.variable}: missing; set it, or {field.variable}{FILE} to the path of a file"
    return f"{field.variable}: missing"


def refuse_own_prefix(prefix: str, name: str) -> None:
    """Raises ConfigError if variables would be mistaken for isthmus' own."""
    if prefix.startswith(PREFIX) or not prefix:
        raise ConfigError(
            f"settings of {name!r} with the prefix {prefix!r}: it is isthmus' own, or none; give "
            "another, as prefix='SHOP_'"
        )
