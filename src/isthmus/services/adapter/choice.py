"""Which implementation is used: what configuration says, and the settings that it alone needs."""

from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import msgspec

from isthmus.configuration.field import Field, is_settings
from isthmus.configuration.place import PREFIX, Place, Unusable
from isthmus.configuration.section import DEFAULT, Found, Names, Reading, Section, prefix_of
from isthmus.handling.calling.signature import Signature
from isthmus.handling.declarations import Declarations

__all__ = ["Choice", "Chosen"]

TABLE = ("adapter",)
"""Of [tool.isthmus]."""


class Chosen(msgspec.Struct, frozen=True):
    """An implementation, and what was read for it."""

    name: str
    settings: Mapping[type, Any]
    """By class."""


class Choice:
    """Read before the App opens, as all settings are: ISTHMUS_ADAPTER_PAYMENTS=adyenlike, or
    `payments` in [tool.isthmus.adapter]."""

    def __init__(
        self,
        declared: Declarations,
        name: str,
        implementations: Mapping[str, Callable[..., Any]],
        use: str,
    ) -> None:
        self._declared, self._implementations = declared, implementations
        self._name, self._use = name, use
        variable = f"{PREFIX}ADAPTER_{prefix_of(name)[:-1]}"
        self._field = Field(path=(name,), variable=variable, type=str, default=None)
        self._names = Names(PREFIX, [variable], TABLE, [name], shared=True)
        self.chosen: Chosen | None = None
        """What was read."""
        self.stands_in = False
        """Whether another is given by the program, so that nothing is asked for."""

    def fields(self, place: Place, /) -> Sequence[Field]:
        return [field for section in self._sections(place) for field in section.fields(place)]

    def read(self, place: Place, /) -> Reading:
        if self.stands_in:
            return Reading((), [self._names])
        name, seen = self._look(place)
        sections = self._sections(place)
        readings = [section.read(place) for section in sections]
        found = [seen, *(each for reading in readings for each in reading.found)]
        names = [self._names, *(each for reading in readings for each in reading.names)]
        faults = [fault for reading in readings for fault in reading.faults]
        kinds = [section.kind for section in sections]
        read = {kind: each.value for kind, each in zip(kinds, readings, strict=True)}
        return Reading(found, names, faults, Chosen(name, read) if name else None)

    def keep(self, value: Any, /) -> None:
        self.chosen = value

    def _look(self, place: Place) -> tuple[str, Found]:
        """Return the name that is chosen, or "" and why that can't be."""
        try:
            given = place.find(self._field, TABLE)
        except Unusable as error:
            return "", self._found("", "", str(error))
        if given is None and self._use:
            return self._use, self._found(self._use, DEFAULT)
        if given is None:
            fault = f"{self._field.variable}: missing; there are {self._known}"
            return "", self._found("", "", fault)
        name = given.value
        if not isinstance(name, str) or name not in self._implementations:
            return "", self._found(repr(name), given.origin, self._wrong(given.origin, name))
        return name, self._found(name, given.origin)

    def _wrong(self, origin: str, name: object) -> str:
        close = get_close_matches(str(name), self._implementations, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        return f"{origin} = {name!r}: there is none of that name; there are {self._known}{hint}"

    @property
    def _known(self) -> str:
        return ", ".join(self._implementations)

    def _found(self, value: str, origin: str, fault: str = "") -> Found:
        return Found(
            name=f"adapter.{self._name}",
            value=value,
            origin=origin,
            variable=self._field.variable,
            fault=fault,
        )

    def _sections(self, place: Place) -> list[Section]:
        """Return the settings that the chosen one takes and no resource gives."""
        name, _ = ("", None) if self.stands_in else self._look(place)
        if not name:
            return []
        parameters = Signature(self._implementations[name]).parameters
        taken = dict.fromkeys(
            parameter.annotation
            for parameter in parameters
            if is_settings(parameter.annotation)
            and parameter.annotation not in self._declared.root.resources
        )
        return [self._section(kind, name) for kind in taken]

    def _section(self, kind: type, name: str) -> Section:
        of = self._declared.name
        return Section(
            kind,
            f"{of}.{name}",
            prefix=f"{prefix_of(of)}{prefix_of(name)}",
            table=(of, name),
        )
