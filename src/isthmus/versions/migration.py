"""The way of documents of one type, between an old version and HEAD."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from isthmus.versions.change import Lead
from isthmus.versions.lineages import Lineages
from isthmus.versions.names import Names
from isthmus.versions.walk import Walk

__all__ = ["Migration", "Migrations"]


class Migration(NamedTuple):
    """Each way is None where nothing has to be done. What is given is changed, and worthless
    afterwards; both raise MigrationError."""

    up: Lead | None
    down: Lead | None


class Migrations:
    """Made when first asked for, and kept."""

    def __init__(self, names: Names, lineages: Lineages) -> None:
        self._names, self._lineages = names, lineages
        self._walks: dict[tuple[str, bool], Walk] = {}
        self._steps: dict[tuple[Any, str, bool], Lead | None] = {}
        self._kept: dict[tuple[Any, str], Migration] = {}

    def forget(self) -> None:
        """Begin anew: there are more changes."""
        self._walks, self._steps, self._kept = {}, {}, {}

    def of(self, type_: Any, version: str) -> Migration:
        """Return the way between `version` and HEAD.

        Raises:
            ConfigError: `type_` is a union whose members cannot be told apart.
        """
        key = (type_, version)
        if key not in self._kept:
            way = self._names.after(version)
            up = [self.step(type_, each, up=True) for each in way]
            down = [self.step(type_, each, up=False) for each in reversed(way)]
            self._kept[key] = Migration(chained(up), chained(down))
        return self._kept[key]

    def step(self, type_: Any, version: str, *, up: bool) -> Lead | None:
        """Return what leads from the version before `version` to it, or back."""
        key = (type_, version, up)
        if key not in self._steps:
            self._steps[key] = self._walk(version, up=up).of(type_)
        return self._steps[key]

    def _walk(self, version: str, *, up: bool) -> Walk:
        if (version, up) not in self._walks:
            before = self._names.all[self._names.age(version) + 1]
            self._walks[version, up] = Walk(self._lineages, version, before, up=up)
        return self._walks[version, up]


def chained(leads: Sequence[Lead | None]) -> Lead | None:
    """Return one lead that is all of them, in this order."""
    some = [lead for lead in leads if lead is not None]
    if len(some) < 2:
        return some[0] if some else None

    def led(value: Any) -> Any:
        for lead in some:
            value = lead(value)
        return value

    return led
