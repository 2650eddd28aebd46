"""Event sourcing and CQRS: what happened is kept, and all else is made of it."""

from isthmus.sourcing.aggregate import Aggregate
from isthmus.sourcing.declared import DeclaredAggregate
from isthmus.sourcing.handled import Handled
from isthmus.sourcing.metadata import Metadata, acting
from isthmus.sourcing.recorded import Position, Recorded

__all__ = [
    "Aggregate",
    "DeclaredAggregate",
    "Handled",
    "Metadata",
    "Position",
    "Recorded",
    "acting",
]
