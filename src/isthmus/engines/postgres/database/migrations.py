"""The engine's own tables: made once, and changed going forward only.

Old and new processes run side by side while a release is rolled out, so a migration adds, and
takes away only what no process uses any more: `serves` says which version of this code is the
oldest that may still work with the tables once it was applied.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from isthmus.errors import ConfigError

__all__ = ["Migration", "upgrade"]


class Migration(NamedTuple):
    version: int
    sql: str
    serves: int
    """The oldest version of the code that works with the tables as they are now."""


_LOCK = 0x1577_0001
"""Of the advisory lock under which one process at a time migrates."""

_FOUND = """
SELECT pg_get_userbyid(nspowner), has_schema_privilege(nsp.oid, 'USAGE'), current_user
FROM pg_catalog.pg_namespace AS nsp JOIN pg_catalog.pg_class ON relnamespace = nsp.oid
WHERE nspname = 'isthmus' AND relname = 'migration'
"""
_STATE = """
SELECT coalesce(max(version), 0), coalesce(max(serves), 0) FROM isthmus.migration
"""
_TABLE = """
CREATE SCHEMA IF NOT EXISTS isthmus;
CREATE TABLE IF NOT EXISTS isthmus.migration (
  version int PRIMARY KEY,
  serves int NOT NULL,
  applied_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE IF NOT EXISTS isthmus.identity (id uuid PRIMARY KEY DEFAULT gen_random_uuid());
INSERT INTO isthmus.identity SELECT gen_random_uuid()
  WHERE NOT EXISTS (SELECT 1 FROM isthmus.identity);
"""
_APPLIED = "INSERT INTO isthmus.migration (version, serves) VALUES ($1, $2)"


async def upgrade(connection: Any, migrations: Sequence[Migration]) -> None:
    """Apply what is missing, each in a transaction of its own, whoever else does so too.

    Raises:
        ConfigError: The tables are of a version that this code is too old for, or of another
            role that does not let this one in.
    """
    newest = migrations[-1].version
    while (version := await _version(connection, newest)) < newest:
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
            if await _version(connection, newest) > version:
                continue  # another was first
            if version == 0:
                await connection.execute(_TABLE)
            following = next(each for each in migrations if each.version > version)
            await connection.execute(following.sql)
            await connection.execute(_APPLIED, following.version, following.serves)


async def _version(connection: Any, ours: int) -> int:
    if (found := await connection.fetchrow(_FOUND)) is None:
        return 0
    owner, lets_in, role = found
    if not lets_in:
        raise ConfigError(
            f"the database belongs to the role {owner!r}, and {role!r} has no privileges in it: "
            f"give the service a store of its own (store=...), and have it get at the data by "
            f"the API or the events of {owner!r}"
        )
    version, serves = await connection.fetchrow(_STATE)
    if serves > ours:
        raise ConfigError(
            f"the tables of schema isthmus are of version {version}, which needs a newer isthmus "
            f"(this one knows {ours}): upgrade it"
        )
    return version
