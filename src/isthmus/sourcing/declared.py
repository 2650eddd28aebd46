"""What sourcing adds to the declared model."""

from collections.abc import Sequence
from typing import Any, ClassVar

from isthmus.handling.model import Declared
from isthmus.schema import Schema
from isthmus.streams.options import GroupOptions

__all__ = ["DeclaredAggregate", "DeclaredCommand", "DeclaredProjection", "DeclaredQuery"]


class DeclaredAggregate(Declared, frozen=True, kw_only=True):
    """An aggregate, whose events are the log of its name."""

    kind: ClassVar[str] = "aggregate"
    state: Schema[Any]
    commands: Schema[Any]
    events: Schema[Any]
    partitions: int
    snapshot_every: int | None
    """Events after which the state is kept; None is never."""
    keep_ids: float
    """Seconds for which the id of a command is remembered."""


class DeclaredProjection(Declared, frozen=True, kw_only=True):
    """A projection, and what it writes."""

    kind: ClassVar[str] = "projection"
    aggregate: str
    function: str
    """Where it is written: "bank.views:balances"."""
    into: Sequence[str]
    """The definitions of its read models."""
    version: int
    options: GroupOptions


class DeclaredCommand(Declared, frozen=True, kw_only=True):
    """A function that handles commands."""

    kind: ClassVar[str] = "command"
    command: Schema[Any]
    result: Schema[Any] | None
    function: str
    keep_ids: float


class DeclaredQuery(Declared, frozen=True, kw_only=True):
    """A function that reads what projections wrote."""

    kind: ClassVar[str] = "query"
    function: str
    reads: Sequence[str]
    """The projections it waits for."""
