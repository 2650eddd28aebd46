"""What streams add to the declared model."""

from typing import ClassVar

from isthmus.handling.model import Declared
from isthmus.streams.options import GroupOptions

__all__ = ["DeclaredGroup", "DeclaredStream"]


class DeclaredStream(Declared, frozen=True, kw_only=True):
    """A stream."""

    kind: ClassVar[str] = "stream"
    payload: str
    """The schema's name and version, or the type as it is written."""
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
