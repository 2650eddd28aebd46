"""What flows add to the declared model."""

from collections.abc import Sequence
from typing import ClassVar

import msgspec

from isthmus.handling.model import Declared

__all__ = ["DeclaredExpectation", "DeclaredFlow"]


class DeclaredExpectation(msgspec.Struct, frozen=True, kw_only=True):
    """One event, or one of several, that is to come in time."""

    events: Sequence[str]
    after: Sequence[str]
    within: float
    ends: bool
    otherwise: Sequence[str]
    """The events that are published if it does not come."""


class DeclaredFlow(Declared, frozen=True, kw_only=True):
    """A flow of events through services; its lists grow as long as it is declared."""

    kind: ClassVar[str] = "flow"
    topics: Sequence[str]
    begins: Sequence[str]
    expects: Sequence[DeclaredExpectation]
    fails: Sequence[str]
    retention: float
