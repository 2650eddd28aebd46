"""An event as its reader sees it: decoded, at its place, with who did it and why."""

from collections.abc import Mapping
from typing import Generic, TypeVar

import msgspec

from isthmus.errors import ConfigError
from isthmus.sourcing.metadata import Metadata, metadata_of

__all__ = ["Position", "Recorded"]

E = TypeVar("E")


class Position(msgspec.Struct, frozen=True):
    """One event's place: the aggregate's id, and its version with that event. Written
    "acc-1@7", it travels in a header or a link."""

    key: str
    version: int

    def __str__(self) -> str:
        return f"{self.key}@{self.version}"

    @classmethod
    def parse(cls, text: str) -> "Position":
        """Read what `str` wrote; ConfigError if it is nothing of the kind."""
        key, _, version = text.rpartition("@")
        if not key or not version.isdecimal():
            raise ConfigError(f'{text!r} is no position; it is written "acc-1@7"')
        return cls(key, int(version))


class Recorded(msgspec.Struct, Generic[E], frozen=True):
    """One event of one aggregate."""

    value: E
    key: str
    """The aggregate's id."""
    version: int
    """1, 2, 3 ... of the aggregate."""
    id: str
    at: float
    """When it happened, Unix seconds."""
    partition: int
    offset: int
    """Where it lies in the feed: grows within the partition, with gaps."""
    headers: Mapping[str, str]

    @property
    def position(self) -> Position:
        return Position(self.key, self.version)

    @property
    def metadata(self) -> Metadata:
        """Who did it, why, and what led to it."""
        return metadata_of(self.headers)
