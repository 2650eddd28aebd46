"""All tables of the engine, as its migrations make them."""

from isthmus.engines.postgres.database.listener import TABLES
from isthmus.engines.postgres.database.migrations import Migration
from isthmus.engines.postgres.entries import tables as entries

__all__ = ["MIGRATIONS"]

MIGRATIONS = (Migration(1, TABLES + entries.SQL, serves=1),)
