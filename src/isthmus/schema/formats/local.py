"""A format that asks nobody."""

from contextlib import AsyncExitStack
from typing import Any

from isthmus.schema.named import Schema

__all__ = ["Local"]


class Local:
    """What formats without a registry have in common: nothing to wait for."""

    remote = False

    async def prepare(self, schema: Schema[Any], *, place: str) -> None: ...

    def is_prepared(self, schema: Schema[Any], *, place: str) -> bool:  # noqa: ARG002
        return True

    async def fetch(self, body: bytes) -> None: ...

    def open(self, stack: AsyncExitStack) -> None: ...
