"""A format whose schemas may be in a registry."""

from abc import ABC, abstractmethod
from contextlib import AsyncExitStack
from typing import Any

from isthmus.schema.confluent.ids import Ids
from isthmus.schema.confluent.registry import Document, SchemaRegistry
from isthmus.schema.confluent.subjects import Subject
from isthmus.schema.named import Schema

__all__ = ["Registering"]


class Registering(ABC):
    """What such formats have in common: they learn an id before they write."""

    def __init__(
        self, registry: SchemaRegistry | str | None, *, subject: Subject, register: bool
    ) -> None:
        self._ids = Ids(registry, subject=subject, register=register) if registry else None

    @abstractmethod
    async def document(self, schema: Schema[Any], ids: Ids) -> Document:
        """Return what `schema` is registered as."""

    async def prepare(self, schema: Schema[Any], *, place: str) -> None:
        if self._ids is not None and not self._ids.has(schema, place):
            document = await self.document(schema, self._ids)
            await self._ids.learn(schema, place, document)

    def is_prepared(self, schema: Schema[Any], *, place: str) -> bool:
        return self._ids is None or self._ids.has(schema, place)

    def open(self, stack: AsyncExitStack) -> None:
        if self._ids is not None:
            stack.push_async_callback(self._ids.registry.aclose)
