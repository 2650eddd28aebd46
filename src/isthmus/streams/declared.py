"""What streams add to the declared model."""

from typing import Any, ClassVar

from isthmus.handling.model import Declared
from isthmus.schema import Schema
from isthmus.streams.options import GroupOptions

__all__ = ["DeclaredGroup", "DeclaredStream"]


class DeclaredStream(Declared, frozen=True, kw_only=True):
    """A stream."""

    kind: ClassVar[str] = "stream"
    payload: Schema[Any]
    """Written, it is the schema's name and version, or the type."""
    datacontenttype: str = "application/json"
    """What is written; other formats are read, too."""
    partitions: int
    retention: float | None
    max_bytes: int | None
    compaction: bool


class DeclaredGroup(Declared, frozen=True, kw_only=True):
    """A consumer group, "ledger/balances", and its handler."""

    kind: ClassVar[str] = "group"
    stream: str
    function: str
    """Where it is written: "shop.ledger:post"."""
    options: GroupOptions
