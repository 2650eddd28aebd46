"""Settings of an App's or a Module's own: declared as a class, read before anything is opened."""

import asyncio
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, TypeVar, cast

from isthmus.configuration.field import Field
from isthmus.configuration.lazy import Lazy
from isthmus.configuration.place import Place
from isthmus.configuration.report import refuse, report
from isthmus.configuration.section import Reading, Section, prefix_of, refuse_own_prefix
from isthmus.errors import ConfigError
from isthmus.handling.declarations import Declarations
from isthmus.handling.model import Declared

__all__ = ["Configured", "DeclaredSettings", "configured", "read_settings", "section_of"]

T = TypeVar("T")


class DeclaredSettings(Declared, frozen=True, kw_only=True):
    """A class of settings; `name` is the class's."""

    kind: ClassVar[str] = "settings"
    of: str
    """The App or Module."""
    variables: tuple[str, ...]
    """Of the environment, that say them."""


class Configured(Section):
    """A class of settings that a program declares, and what was read of it."""

    def __init__(self, kind: type, declared: Declarations, *, prefix: str) -> None:
        refuse_own_prefix(prefix, declared.name)
        super().__init__(kind, declared.name, prefix=prefix, table=(declared.name,))
        self._declared = declared
        self._kept: Any = None
        self._stand_in: Any = None

    @property
    def value(self) -> Any:
        """What was read; if nothing was until now, it is read now.

        Raises:
            ConfigError: It cannot be used; every fault that is known by now is listed.
        """
        if self._stand_in is not None:
            return self._stand_in
        if self._kept is None:
            self._kept = self._read_early()
        return self._kept

    async def __call__(self) -> Any:
        """Give it to handlers, as a resource."""
        return self.value

    def fields(self, place: Place) -> Sequence[Field]:
        return super().fields(place) if self._stand_in is None else ()

    def read(self, place: Place) -> Reading:
        if self._stand_in is None:
            return super().read(place)
        return Reading((), self.names(), value=self._stand_in)

    def keep(self, value: Any) -> None:
        if self._stand_in is None:
            self._kept = value

    @contextmanager
    def standing_in(self, value: object) -> Generator[None]:
        """Have `value` be what was read, whatever the place says."""
        before, self._stand_in = self._stand_in, value
        try:
            yield
        finally:
            self._stand_in = before

    def record(self) -> DeclaredSettings:
        """Return what the model says of it."""
        variables = tuple(field.variable for field in self._fields)
        return DeclaredSettings(name=self.kind.__name__, of=self.name, variables=variables)

    def _read_early(self) -> Any:
        root = self._declared.root
        found = report(root.sections, Place.here(source=root.secrets), complete=False)
        reading = next(reading for section, reading in found.readings if section is self)
        if reading.all_faults:
            refuse(found.faults)
        return reading.value


def configured(declared: Declarations, kind: type[T], *, prefix: str | None = None) -> T:
    """Return the settings of class `kind`, which are read when the App opens, or when they are
    first looked at.

    Raises:
        ConfigError: The class or the prefix cannot be used.
    """
    section = Configured(kind, declared, prefix=prefix or prefix_of(declared.name))
    declared.declare(section.record())
    declared.provide(kind, section)
    declared.configure_by(section)
    return cast("T", Lazy(kind, lambda: section.value))


async def read_settings(declared: Declarations) -> None:
    """Read all that is declared, in a thread, as files and a source are asked.

    Raises:
        ConfigError: Something cannot be used; every fault is listed.
    """
    if declared.sections:
        await asyncio.to_thread(_read_settings, declared)


def _read_settings(declared: Declarations) -> None:
    report(declared.sections, Place.here(source=declared.secrets)).keep()


def section_of(declared: Declarations, kind: type) -> Configured:
    """Return the section of a class.

    Raises:
        ConfigError: No such settings are declared.
    """
    found = declared.resources.get(kind)
    if isinstance(found, Configured):
        return found
    known = [each.kind.__name__ for each in declared.sections if isinstance(each, Configured)]
    raise ConfigError(
        f"{kind.__name__} is no class of settings here; there are: {', '.join(known) or 'none'}"
    )
