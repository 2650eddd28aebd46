"""The ids under which one format's schemas are registered, learned before the first is written."""

from typing import Any

from isthmus.errors import UnavailableError
from isthmus.schema.confluent.registry import Document, SchemaRegistry, registry_at
from isthmus.schema.confluent.subjects import Subject, subject_of
from isthmus.schema.named import Schema

__all__ = ["Ids"]


class Ids:
    """What is known of a registry by who writes."""

    def __init__(self, registry: SchemaRegistry | str, *, subject: Subject, register: bool) -> None:
        """Raises ConfigError if the URL, or the strategy, is none."""
        self.registry = registry_at(registry)
        self.register = register
        self._subject: Subject = subject
        subject_of(subject, "place", "record")
        self._known: dict[tuple[str, str], int] = {}

    def has(self, schema: Schema[Any], place: str) -> bool:
        return (place, str(schema)) in self._known

    def of(self, schema: Schema[Any], place: str) -> int:
        """Return the id of `schema` in `place`.

        Raises:
            UnavailableError: It was not learned.
        """
        try:
            return self._known[place, str(schema)]
        except KeyError:
            raise UnavailableError(f"the registry was not asked yet for {schema}") from None

    async def learn(self, schema: Schema[Any], place: str, document: Document) -> None:
        """Register `document`, or look it up; once."""
        if self.has(schema, place):
            return
        subject = subject_of(self._subject, place, schema.name or str(schema))
        ask = self.registry.register if self.register else self.registry.lookup
        self._known[place, str(schema)] = await ask(subject, document)
