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
DECLARE
  each regprocedure; setting text;
  settings text[] := '{enable_seqscan, enable_bitmapscan, enable_sort, enable_mergejoin,
    enable_hashjoin}';
BEGIN
  FOR each IN SELECT oid FROM pg_proc WHERE pronamespace = 'isthmus'::regnamespace LOOP
    FOREACH setting IN ARRAY settings LOOP
      EXECUTE format('ALTER FUNCTION %s SET %s = off', each, setting);
    END LOOP;
  END LOOP;
  FOR each IN SELECT oid FROM pg_proc WHERE pronamespace = 'isthmus'::regnamespace
    AND proname IN ('append', 'put_absent', 'send') -- which join what they are given
  LOOP
    EXECUTE format('ALTER FUNCTION %s SET enable_hashjoin = on', each);
    EXECUTE format('ALTER FUNCTION %s SET enable_sort = on', each);
  END LOOP;
END $$;
"""
"""Every statement has its index, and its order: a queue that was empty when a plan was made, and
kept, may have a million messages when it is used, and a claim must not sort them."""

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
