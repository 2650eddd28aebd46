"""Event sourcing and CQRS: what happened is kept, and all else is made of it."""

from isthmus.sourcing.aggregate import Aggregate
from isthmus.sourcing.command import Command
from isthmus.sourcing.declared import (
    DeclaredAggregate,
    DeclaredCommand,
    DeclaredProjection,
    DeclaredQuery,
)
from isthmus.sourcing.documents import Documents
from isthmus.sourcing.done import IdReusedError
from isthmus.sourcing.facts import GenerationBegun, GenerationSwitched
from isthmus.sourcing.feed import Feed
from isthmus.sourcing.handled import Handled
from isthmus.sourcing.metadata import Metadata, acting
from isthmus.sourcing.personal import Personal
from isthmus.sourcing.projection import Projection
from isthmus.sourcing.query import Query
from isthmus.sourcing.recorded import Position, Recorded
from isthmus.sourcing.search_index import Hit, SearchIndex
from isthmus.sourcing.table import Table

__all__ = [
    "Aggregate",
    "Command",
    "DeclaredAggregate",
    "DeclaredCommand",
    "DeclaredProjection",
    "DeclaredQuery",
    "Documents",
    "Feed",
    "GenerationBegun",
    "GenerationSwitched",
    "Handled",
    "Hit",
    "IdReusedError",
    "Metadata",
    "Personal",
    "Position",
    "Projection",
    "Query",
    "Recorded",
    "SearchIndex",
    "Table",
    "acting",
]
