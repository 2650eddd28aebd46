"""The declared model: everything a user declared, as frozen records in one place.

The topology, `isthmus check`, the console, the generated documents and the
tests read this and nothing else.
"""

from collections.abc import Iterator
from typing import ClassVar, TypeVar

import msgspec

from isthmus.errors import ConfigError, NotFoundError

__all__ = ["Declared", "Model"]

D = TypeVar("D", bound="Declared")


class Declared(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was declared. Rooms add their own kinds, with their fields."""

    kind: ClassVar[str] = "thing"
    name: str
    """Unique within its kind."""


class Model:
    """Records in the order of their declaration."""

    def __init__(self) -> None:
        self._records: dict[tuple[str, str], Declared] = {}

    def add(self, record: Declared) -> None:
        """Raises ConfigError if the kind has the name already."""
        if (record.kind, record.name) in self._records:
            raise ConfigError(
                f"{record.kind} {record.name!r} is declared twice; "
                "keep the first and pass it around, or give this one another name"
            )
        self._records[record.kind, record.name] = record

    def of(self, kind: type[D]) -> list[D]:
        """Return the records of one kind, oldest first."""
        return [record for record in self if isinstance(record, kind)]

    def find(self, kind: type[D], name: str) -> D:
        """Raises NotFoundError, naming what there is."""
        for record in self.of(kind):
            if record.name == name:
                return record
        known = ", ".join(record.name for record in self.of(kind)) or "none"
        raise NotFoundError(f"no {kind.kind} is called {name!r}; declared are: {known}")

    def __iter__(self) -> Iterator[Declared]:
        return iter(self._records.values())
