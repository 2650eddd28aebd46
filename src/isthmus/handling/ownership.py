"""Whose database the store is: one service's, or that of several who all say so.

One entry of the store tells it. Whoever opens the database later is held to it, so
that a service's tables have no readers but itself, unless that was decided.

Source: "database per service" and "shared database", Richardson, Microservices
Patterns (2018), ch. 2.
"""

from collections.abc import Mapping
from typing import Literal

import msgspec

from isthmus.contracts import Put
from isthmus.errors import ConfigError, ConflictError, NotFoundError
from isthmus.handling.host import Host
from isthmus.handling.model import Declared

__all__ = [
    "Claim",
    "DeclaredDatabase",
    "Roles",
    "claim_of",
    "claimed",
    "released",
    "require_owned_tables",
]

Roles = Literal["ignore", "warn", "refuse"]

SPACE, KEY = "isthmus.database", "claim"

TABLES = {
    "sqlite": """select name from pragma_table_list
        where schema = 'main' and type in ('table', 'virtual') and name not like 'sqlite\\_%'
        escape '\\'""",
    "postgresql": """select table_name from information_schema.tables
        where table_schema = current_schema() and table_type = 'BASE TABLE'""",
}


class DeclaredDatabase(Declared, frozen=True, kw_only=True):
    """The store of a service, as it is said to be; `name` is the service."""

    kind = "database"

    shared: bool = False
    """Others may open it, if they say so too."""
    tables: Mapping[str, str] = {}
    """Of a shared one: who owns each table, a service or a module of one."""
    roles: Roles = "warn"
    """What is done on PostgreSQL if other roles have privileges in it."""


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """What a database says of itself."""

    shared: bool
    services: tuple[str, ...]
    """Who opened it; the one that owns it, unless it is shared."""
    tables: Mapping[str, str] = {}


async def claimed(host: Host, declared: DeclaredDatabase) -> None:
    """Write down that the store is this service's, or also this service's.

    Raises:
        ConfigError: It is another's, or its tables are said to have other owners; nothing
            was written.
    """
    while True:
        found, version = await _found(host)
        claim = _joined(declared, found, where=host.store.capabilities.scope)
        if claim == found:
            return None
        put = Put(KEY, msgspec.json.encode(claim), if_version=version)
        try:
            return await host.store.put(SPACE, [put])
        except ConflictError:
            continue  # another process came first: what does it say?


async def require_owned_tables(host: Host, declared: DeclaredDatabase) -> None:
    """Hold a shared database to its list.

    Raises:
        ConfigError: A table is there that nobody is said to own.
    """
    query = TABLES.get(host.store.capabilities.sql)
    if not declared.shared or query is None:
        return
    async with host.store.begin() as tx:
        there = [row[0] for row in await tx.fetch(query)]
    strays = [name for name in there if name not in declared.tables and not _ours(name)]
    if strays:
        raise ConfigError(
            f"the shared database has tables that nobody owns: {', '.join(sorted(strays))}; "
            "list each with its owner, as app.database(shared=True, "
            f'tables={{"{min(strays)}": "{declared.name}"}})'
        )


async def claim_of(host: Host) -> Claim | None:
    """Return whose database the store is; None if no service has opened it yet."""
    return (await _found(host))[0]


async def released(host: Host, service: str) -> None:
    """Forget that `service` opened the store; stop its processes first.

    Raises:
        NotFoundError: It never did.
    """
    while True:
        found, version = await _found(host)
        if found is None or service not in found.services:
            there = ", ".join(found.services) if found else "nobody"
            raise NotFoundError(
                f"{service!r} has no claim to the database; it is claimed by: {there}"
            )
        try:
            return await host.store.put(SPACE, [_without(found, service, version)])
        except ConflictError:
            continue


def _without(found: Claim, service: str, version: int) -> Put:
    left = tuple(each for each in found.services if each != service)
    if not left:
        return Put(KEY, None, if_version=version)
    tables = {table: owner for table, owner in found.tables.items() if owner != service}
    claim = Claim(shared=found.shared, services=left, tables=tables)
    return Put(KEY, msgspec.json.encode(claim), if_version=version)


async def _found(host: Host) -> tuple[Claim | None, int]:
    entry = (await host.store.get(SPACE, [KEY])).get(KEY)
    if entry is None:
        return None, 0
    return msgspec.json.decode(entry.value, type=Claim), entry.version


def _joined(declared: DeclaredDatabase, found: Claim | None, *, where: str) -> Claim:
    """Return what the database says once the service has opened it."""
    others = found.services if found else ()
    others = tuple(each for each in others if each != declared.name)
    if found is not None and others:
        _require_shared(declared, found, others, where=where)
        _require_same_owners(declared, found)
    before: Mapping[str, str] = found.tables if found and others else {}
    theirs = {table: owner for table, owner in before.items() if owner != declared.name}
    return Claim(
        shared=declared.shared,
        services=tuple(sorted({*others, declared.name})),
        tables={**theirs, **declared.tables},
    )


def _require_shared(
    declared: DeclaredDatabase, found: Claim, others: tuple[str, ...], *, where: str
) -> None:
    if not found.shared:
        raise ConfigError(
            f"{where} belongs to {others[0]!r}: give {declared.name!r} a store of its own "
            f"(store=...), and have it get at the data by the API or the events of {others[0]!r}. "
            "Or let both say app.database(shared=True, tables=...); or, if the service has a "
            f"new name, `isthmus database release {others[0]}`"
        )
    if not declared.shared:
        raise ConfigError(
            f"{where} is shared by {', '.join(others)}: let {declared.name!r} say "
            "app.database(shared=True, tables=...), or give it a store of its own (store=...)"
        )


def _require_same_owners(declared: DeclaredDatabase, found: Claim) -> None:
    for table, owner in declared.tables.items():
        if (said := found.tables.get(table, owner)) != owner and said != declared.name:
            raise ConfigError(
                f"table {table!r} of the shared database belongs to {said!r}, as "
                f"{', '.join(found.services)} said; {declared.name!r} says: to {owner!r}"
            )


def _ours(table: str) -> bool:
    return table.startswith("isthmus_")
