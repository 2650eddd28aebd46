"""All tables of the engine, as its migrations make them."""

from isthmus.engines.postgres.database.listener import TABLES
from isthmus.engines.postgres.database.migrations import Migration
from isthmus.engines.postgres.entries import tables as entries
from isthmus.engines.postgres.records import group_tables, keeping
from isthmus.engines.postgres.records import tables as records
from isthmus.engines.postgres.slots import claims
from isthmus.engines.postgres.slots import tables as slots

__all__ = ["MIGRATIONS"]

_BY_INDEX = """
DO $$
DECLARE each regprocedure;
BEGIN
  FOR each IN SELECT p.oid FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
    WHERE p.pronamespace = 'isthmus'::regnamespace AND l.lanname = 'plpgsql'
  LOOP
    EXECUTE format('ALTER FUNCTION %s SET enable_seqscan = off', each);
  END LOOP;
END $$;
"""
"""A queue that was empty when a statement was planned may be a million long when it runs."""

_FIRST = (
    TABLES,
    entries.SQL,
    slots.SQL,
    claims.SQL,
    records.SQL,
    group_tables.SQL,
    keeping.SQL,
    _BY_INDEX,
)

MIGRATIONS = (Migration(1, "".join(_FIRST), serves=1),)
