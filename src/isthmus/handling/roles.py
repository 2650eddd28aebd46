"""Roles of PostgreSQL that hold services to who owns what: the server itself refuses a stranger.

A service logs in with the role of its name, which owns its database and all in it. In a shared
one each role owns its service's tables, and the others may read them.

Source: PostgreSQL's documentation, "Schemas: Usage Patterns"; "Default Privileges".
"""

import logging
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from isthmus.errors import ConfigError, UnsupportedError
from isthmus.handling.host import Host
from isthmus.handling.migrations import TABLE
from isthmus.handling.ownership import DeclaredDatabase, claim_of

__all__ = ["apply_roles", "require_role", "roles_for"]

_log = logging.getLogger("isthmus.database")

_HERE = """
SELECT current_database(), current_schema(), current_user, rolsuper FROM pg_roles
WHERE rolname = current_user
"""

_CREATED = """DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = {text}) THEN
  CREATE ROLE {role} LOGIN; END IF; END $$"""

_OWNED = """DO $$ DECLARE each regclass; made regprocedure; BEGIN
  FOR each IN SELECT oid FROM pg_class AS c WHERE relkind IN ('r', 'p', 'v', 'm', 'S')
    AND relnamespace IN ('isthmus'::regnamespace, {schema}::regnamespace)
    AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = c.oid AND deptype IN ('a', 'i', 'e')
      AND c.relkind = 'S' OR objid = c.oid AND deptype = 'e')
  LOOP EXECUTE format('ALTER TABLE %s OWNER TO %I', each, {text}); END LOOP;
  FOR made IN SELECT oid FROM pg_proc WHERE pronamespace = 'isthmus'::regnamespace
  LOOP EXECUTE format('ALTER FUNCTION %s OWNER TO %I', made, {text}); END LOOP;
END $$"""

_GIVEN = """DO $$ BEGIN IF to_regclass({place}) IS NOT NULL THEN
  ALTER TABLE {table} OWNER TO {role}; END IF; END $$"""

_DEFAULTS = "ALTER DEFAULT PRIVILEGES FOR ROLE {role} IN SCHEMA {schema} GRANT SELECT ON TABLES"

_FOUND = """
WITH places AS (
  SELECT oid, nspname, nspowner, nspacl FROM pg_namespace
  WHERE nspname IN ('isthmus', current_schema())
), tables AS (
  SELECT format('%I.%I', nspname, relname) AS name, relname, relowner, relacl
  FROM pg_class JOIN places ON relnamespace = places.oid WHERE relkind IN ('r', 'p', 'v', 'm')
), grants AS (
  SELECT 'SCHEMA ' || quote_ident(nspname) AS what, nspowner AS owner, given.*
  FROM places, aclexplode(coalesce(nspacl, acldefault('n', nspowner))) AS given
  WHERE NOT (given.grantee = 0 AND given.privilege_type = 'USAGE' AND nspname <> 'isthmus')
  UNION ALL
  SELECT 'TABLE ' || name, relowner, given.* FROM tables, aclexplode(relacl) AS given
)
SELECT DISTINCT coalesce(rolname, 'PUBLIC') AS role, what, 'REVOKE ALL ON ' || what || ' FROM '
  || coalesce(quote_ident(rolname), 'PUBLIC') AS mend
FROM grants LEFT JOIN pg_roles ON pg_roles.oid = grantee
WHERE grantee <> owner AND coalesce(rolname, '') <> current_user AND NOT coalesce(rolsuper, false)
UNION
SELECT pg_get_userbyid(relowner), 'TABLE ' || name,
  format('ALTER TABLE %s OWNER TO %I', name, current_user)
FROM tables WHERE relowner <> current_user::regrole
ORDER BY 1, 2
"""
"""What another role may do here, and what ends that."""


class Finding(NamedTuple):
    role: str
    what: str
    mend: str


async def roles_for(host: Host, declared: DeclaredDatabase) -> Sequence[str]:
    """Return the statements that have roles enforce what is declared; a superuser runs them.

    Raises:
        UnsupportedError: The store knows no roles.
    """
    _require_postgres(host)
    async with host.store.begin() as tx:
        database, schema, *_ = (await tx.fetch(_HERE))[0]
    claim = await claim_of(host)
    if not declared.shared:
        return _alone(declared.name, _quoted(database), schema)
    services = {declared.name, *declared.tables.values(), *(claim.services if claim else ())}
    tables = {**(claim.tables if claim else {}), **declared.tables}
    return [
        *(_CREATED.format(text=_text(each), role=_quoted(each)) for each in sorted(services)),
        *_together(sorted(services), _quoted(database), _quoted(schema)),
        *(_owner(_quoted(schema), table, owner) for table, owner in sorted(tables.items())),
    ]


async def apply_roles(host: Host, statements: Iterable[str]) -> None:
    """Run them in one transaction: all, or none."""
    async with host.store.begin() as tx:
        for each in statements:
            await tx.execute(each)
        await tx.commit()


async def require_role(host: Host, declared: DeclaredDatabase) -> None:
    """See whether the server keeps others out of what is this service's, as far as
    `declared.roles` asks for that: "warn" tells of it unless the App is a superuser.

    Raises:
        ConfigError: It is to "refuse", and somebody else has privileges here.
    """
    if declared.roles == "ignore" or host.store.capabilities.sql != "postgresql":
        return
    async with host.store.begin() as tx:
        _, _, role, superuser = (await tx.fetch(_HERE))[0]
        if superuser and declared.roles == "warn":
            return
        found = [] if superuser else [Finding(*row) for row in await tx.fetch(_FOUND)]
    if superuser:
        raise ConfigError(
            f"{host.store.capabilities.scope} is opened as {role!r}, a superuser, whom no role "
            "holds back: let the service log in with a role of its own, which `isthmus database "
            "roles` makes"
        )
    strangers = [each for each in found if not _is_shared(declared, each)]
    if strangers:
        _tell(host, declared, strangers)


def _tell(host: Host, declared: DeclaredDatabase, found: Sequence[Finding]) -> None:
    named = ", ".join(sorted({each.role for each in found}))
    mend = "; ".join(each.mend for each in found[:5]) + (" ..." if len(found) > 5 else "")
    text = (
        f"{host.store.capabilities.scope} is {declared.name!r}'s, and other roles have privileges "
        f"in it: {named}; run: {mend}; or `isthmus database roles --apply`, for all"
    )
    if declared.roles == "refuse":
        raise ConfigError(text)
    _log.warning(text)


def _is_shared(declared: DeclaredDatabase, found: Finding) -> bool:
    """Whether it is as it has to be where several share a database."""
    own = {table for table, owner in declared.tables.items() if owner == declared.name}
    if not declared.shared or not found.mend.startswith("ALTER"):
        return declared.shared and found.role in declared.tables.values()
    return found.what.rpartition(".")[2].strip('"') not in own


def _alone(service: str, database: str, schema: str) -> list[str]:
    role, place = _quoted(service), _quoted(schema)
    return [
        _CREATED.format(text=_text(service), role=role),
        f"ALTER DATABASE {database} OWNER TO {role}",
        f"REVOKE ALL ON DATABASE {database} FROM PUBLIC",
        f"ALTER SCHEMA {place} OWNER TO {role}",
        f"ALTER SCHEMA isthmus OWNER TO {role}",
        f"REVOKE ALL ON SCHEMA {place}, isthmus FROM PUBLIC",
        _OWNED.format(text=_text(service), schema=_text(place)),
        f"REVOKE ALL ON ALL TABLES IN SCHEMA {place}, isthmus FROM PUBLIC",
        f"ALTER ROLE {role} IN DATABASE {database} SET search_path = {place}",
    ]


def _together(services: Sequence[str], database: str, schema: str) -> list[str]:
    roles = ", ".join(map(_quoted, services))
    statements = [
        f"REVOKE ALL ON DATABASE {database} FROM PUBLIC",
        f"REVOKE ALL ON SCHEMA {schema}, isthmus FROM PUBLIC",
        f"GRANT CONNECT, TEMPORARY ON DATABASE {database} TO {roles}",
        f"GRANT USAGE, CREATE ON SCHEMA {schema} TO {roles}",
        f"GRANT USAGE ON SCHEMA isthmus TO {roles}",
        f"GRANT ALL ON ALL TABLES IN SCHEMA isthmus TO {roles}",
        f"GRANT ALL ON ALL SEQUENCES IN SCHEMA isthmus TO {roles}",
        TABLE,
        f"GRANT ALL ON TABLE {schema}.isthmus_migrations TO {roles}",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {roles}",
    ]
    for role in map(_quoted, services):
        statements += [
            f"ALTER ROLE {role} IN DATABASE {database} SET search_path = {schema}",
            f"{_DEFAULTS.format(role=role, schema=schema)} TO {roles}",
        ]
    return statements


def _owner(schema: str, table: str, owner: str) -> str:
    place = f"{schema}.{_quoted(table)}"
    return _GIVEN.format(place=_text(place), table=place, role=_quoted(owner))


def _require_postgres(host: Host) -> None:
    if host.store.capabilities.sql != "postgresql":
        raise UnsupportedError(
            f"{host.store.capabilities.scope} knows no roles, so that whose it is is advice "
            "between Apps; PostgreSQL enforces it"
        )


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(name: str) -> str:
    return "'" + name.replace("'", "''") + "'"
