"""What a format is to the rooms above: a name, media types, and a codec for each type."""

from collections.abc import Awaitable, Sequence
from contextlib import AsyncExitStack
from typing import Any, Protocol

from isthmus.schema.carrier import Carrier
from isthmus.schema.named import Schema

__all__ = ["Format"]


class Format(Protocol):
    """How payloads are written. A family: json, msgpack, protobuf, avro."""

    @property
    def name(self) -> str:
        """What users write: "msgpack"."""
        ...

    @property
    def media_types(self) -> Sequence[str]:
        """What it reads; the first is what it writes."""
        ...

    @property
    def remote(self) -> bool:
        """Whether a registry has to be asked: `prepare` before writing, `fetch` before reading."""
        ...

    def codec(self, schema: Schema[Any], *, place: str) -> Carrier:
        """Compile the codec of one schema in one place ("orders").

        Raises:
            ConfigError: The format cannot carry such a type.
        """
        ...

    def prepare(self, schema: Schema[Any], *, place: str) -> Awaitable[None]:
        """Make known to the registry what will be written.

        Raises:
            UnavailableError: It is out of reach.
            SchemaError: It refuses the schema, as incompatible with earlier ones.
        """
        ...

    def is_prepared(self, schema: Schema[Any], *, place: str) -> bool: ...

    def fetch(self, body: bytes) -> Awaitable[None]:
        """Get from the registry what reading `body` needs, unless it is here.

        Raises:
            UnavailableError: It is out of reach.
            NotFoundError: It has no such schema.
        """
        ...

    def open(self, stack: AsyncExitStack) -> None:
        """Have what it keeps open closed with `stack`."""
        ...
