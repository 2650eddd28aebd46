"""Generations: a projection is built anew beside the one that is read, and takes its place.

Each generation is a group of its own over the events, and writes into tables of its own. One of
them is live: what readers find under the read models' names.
"""

from collections.abc import Sequence
from contextvars import ContextVar
from typing import NamedTuple

import msgspec

from isthmus.streams.place import Place, place

__all__ = ["Generation", "Retired", "Standing", "Writing", "group_of", "writing"]


class Writing(NamedTuple):
    """Whose handler runs."""

    projection: str
    generation: int


writing: ContextVar[Writing | None] = ContextVar("isthmus-generation", default=None)
"""The generation whose handler runs here; None outside of one."""


class Generation(msgspec.Struct, frozen=True):
    """One building of a projection's read models."""

    number: int
    version: int
    """Of the projection's code."""
    definition: str
    """Fingerprint of its read models."""
    began_at: float


class Retired(msgspec.Struct, frozen=True):
    """A generation that nobody reads any more, and what is left of it."""

    number: int
    at: float


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """Where a projection stands, as the store keeps it."""

    log: str
    live: Generation
    building: Generation | None = None
    latest: int = 1
    asked: bool = False
    """Whether it is to be built anew."""
    switching_at: float = 0.0
    """Since when the live one takes no more, so that the other can overtake it; 0: it does."""
    retired: Sequence[Retired] = ()


def group_of(log: str, projection: str, number: int) -> Place:
    """Return the group that reads the events for one generation."""
    return place(log, f"{projection}.{number}")
