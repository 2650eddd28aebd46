"""All tables of the engine, as its migrations make them."""

from isthmus.engines.postgres.database.listener import TABLES
from isthmus.engines.postgres.database.migrations import Migration
from isthmus.engines.postgres.entries import tables as entries
from isthmus.engines.postgres.slots import claims
from isthmus.engines.postgres.slots import tables as slots

__all__ = ["MIGRATIONS"]

MIGRATIONS = (Migration(1, TABLES + entries.SQL + slots.SQL + claims.SQL, serves=1),)
