"""All tables of the engine, as its migrations make them."""

from isthmus.engines.postgres.database.listener import TABLES
from isthmus.engines.postgres.database.migrations import Migration
from isthmus.engines.postgres.entries import tables as entries
from isthmus.engines.postgres.records import group_tables, keeping
from isthmus.engines.postgres.records import tables as records
from isthmus.engines.postgres.slots import claims
from isthmus.engines.postgres.slots import tables as slots

__all__ = ["MIGRATIONS"]

_FIRST = (
    TABLES,
    entries.SQL,
    slots.SQL,
    claims.SQL,
    records.SQL,
    group_tables.SQL,
    keeping.SQL,
)

MIGRATIONS = (Migration(1, "".join(_FIRST), serves=1),)
