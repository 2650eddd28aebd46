"""What a projection writes, and others read: in generations."""

import re
from typing import Protocol

from isthmus.contracts import Transaction
from isthmus.errors import ConfigError
from isthmus.handling.host import Host

__all__ = ["ReadModel", "identifier"]

_NAME = re.compile(r"[a-z_][a-z0-9_]{0,39}")


class ReadModel(Protocol):
    """A table, an index, a set of documents; of one projection."""

    @property
    def name(self) -> str: ...

    @property
    def definition(self) -> str:
        """All that its building depends on; when it changes, it is built anew."""
        ...

    def bind(self, host: Host, projection: str) -> None:
        """Be opened, as a part of `projection`.

        Raises:
            UnsupportedError: The store cannot keep it.
            ConfigError: It is part of another projection.
        """

    async def create(self, generation: int, *, tx: Transaction) -> None:
        """Make room for what a generation writes."""

    async def switch(self, generation: int, *, tx: Transaction) -> None:
        """Have readers find this generation."""

    async def clear(self, generation: int, *, host: Host) -> None:
        """Drop what a generation wrote, if it is there."""


def identifier(name: str, *, what: str) -> str:
    """Return a name that may stand in SQL; ConfigError says how they are written."""
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"{what} name {name!r}: up to 40 small letters, digits and '_', beginning with a letter"
        )
    return name
