"""Roles hold services to who owns what: a stranger is refused by the server itself."""

import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import asyncpg
import psycopg
import pytest
from tests.postgres import Server

from isthmus import App, ConfigError
from isthmus.errors import UnsupportedError
from isthmus.handling.roles import apply_roles, roles_for

Rows = Callable[..., Awaitable[list[Any]]]
TABLES = {"orders": "shop", "payments": "billing"}


@pytest.fixture(autouse=True)
def roles(server: Server, url: str) -> Iterator[None]:
    yield
    database = url.rpartition("/")[2]
    for role in ("shop", "billing"):
        exists = f"IF EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') THEN"
        for sql in (f"REASSIGN OWNED BY {role} TO postgres", f"DROP OWNED BY {role}"):
            server.run(f"DO $$ BEGIN {exists} EXECUTE '{sql}'; END IF; END $$", database)
        server.run(f"DROP ROLE IF EXISTS {role}")


def service(name: str, url: str, *, tables: Mapping[str, str] | None = None, **options: Any) -> App:
    app = App(name, engine=url)
    if tables is not None or options:
        app.database(shared=tables is not None, tables=tables or {}, **options)
    return app


def as_role(url: str, role: str) -> str:
    return url.replace("postgres@", f"{role}@")


async def enforced(app: App) -> None:
    """As `isthmus database roles --apply` does it."""
    async with app:
        host, declared = app.declarations.host, app.declarations.database
        assert declared is not None
        await apply_roles(host, await roles_for(host, declared))


async def refused(url: str, sql: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        connection = await asyncpg.connect(url)
        try:
            await connection.execute(sql)
        finally:
            await connection.close()


async def run(url: str, sql: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


async def test_a_stranger_is_refused_by_the_server(url: str, server: Server) -> None:
    app = service("shop", url)
    async with app, app.transaction() as tx:
        await tx.execute("CREATE TABLE orders (id int)")
    await enforced(app)
    await enforced(app)  # again changes nothing
    server.run("CREATE ROLE billing LOGIN")
    shop = service("shop", as_role(url, "shop"), roles="refuse")
    async with shop, shop.transaction() as tx:  # which goes on where it was
        await tx.execute("INSERT INTO orders VALUES (1)")
        await tx.execute("CREATE TABLE parcels (id int)")
    stranger = as_role(url, "billing")
    await refused(stranger, "SELECT 1")  # is not even let in
    server.run(f"GRANT CONNECT ON DATABASE {url.rpartition('/')[2]} TO billing")
    for table in ("public.orders", "public.parcels", "isthmus.slot", "isthmus.entry"):
        await refused(stranger, f"SELECT * FROM {table}")
    await refused(stranger, "INSERT INTO public.orders VALUES (2)")
    await refused(stranger, "CREATE TABLE public.stolen (id int)")
    with pytest.raises(ConfigError, match="belongs to the role 'shop', and 'billing' has no priv"):
        await service("shop", stranger).open()


async def test_who_shares_writes_what_it_owns_and_reads_the_rest(url: str) -> None:
    await enforced(service("shop", url, tables=TABLES))
    for name, table in (("shop", "orders"), ("billing", "payments")):
        app = service(name, as_role(url, name), tables=TABLES, roles="refuse")
        async with app, app.transaction() as tx:
            await tx.execute(f"CREATE TABLE {table} (id int)")
            await tx.execute(f"INSERT INTO {table} VALUES (1)")
    await run(as_role(url, "billing"), "SELECT * FROM orders")
    await refused(as_role(url, "billing"), "INSERT INTO orders VALUES (2)")
    await refused(as_role(url, "billing"), "DROP TABLE orders")
    await run(as_role(url, "shop"), "GRANT INSERT ON orders TO billing")  # the owner may let it
    billing = service("billing", as_role(url, "billing"), tables=TABLES, roles="refuse")
    async with billing, billing.transaction() as tx:
        await tx.execute("INSERT INTO orders VALUES (2)")
        await tx.execute("INSERT INTO payments VALUES (2)")


async def test_services_that_share_send_to_each_other(url: str) -> None:
    await enforced(service("shop", url, tables=TABLES))
    shop = service("shop", as_role(url, "shop"), tables=TABLES)
    billing = service("billing", as_role(url, "billing"), tables=TABLES)
    orders = shop.queue("orders", int)
    async with shop, billing:
        await orders.send(1)
        stats = await orders.stats()
    assert stats.ready == 1


async def test_a_stranger_with_privileges_is_named_with_what_ends_them(
    url: str, rows: Rows, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    await enforced(service("shop", url))
    server.run("CREATE ROLE billing LOGIN")
    await run(as_role(url, "shop"), "CREATE TABLE orders (id int)")
    await run(as_role(url, "shop"), "GRANT SELECT ON orders TO billing")
    refusing = service("shop", as_role(url, "shop"), roles="refuse")
    with pytest.raises(ConfigError, match=r"billing.*REVOKE ALL ON TABLE public.orders FROM bill"):
        await refusing.open()
    async with service("shop", as_role(url, "shop")):
        assert "other roles have privileges in it: billing" in caplog.text
    caplog.clear()
    async with service("shop", as_role(url, "shop"), roles="ignore"):
        assert caplog.text == ""
    await run(as_role(url, "shop"), "REVOKE ALL ON TABLE public.orders FROM billing")
    async with service("shop", as_role(url, "shop"), roles="refuse"):
        pass


async def test_a_table_of_another_owner_is_named(url: str, rows: Rows) -> None:
    await enforced(service("shop", url))
    await rows("CREATE TABLE strange (id int)")
    refusing = service("shop", as_role(url, "shop"), roles="refuse")
    with pytest.raises(ConfigError, match=r"ALTER TABLE public.strange OWNER TO shop"):
        await refusing.open()


async def test_a_superuser_is_refused_where_roles_have_to_enforce(url: str) -> None:
    with pytest.raises(ConfigError, match="a superuser, whom no role holds back"):
        await service("shop", url, roles="refuse").open()


def test_the_command_prints_the_sql_and_applies_it(
    url: str, tmp_path: Path, server: Server
) -> None:
    (tmp_path / "shop.py").write_text(f"from isthmus import App\napp = App('shop', engine='{url}')")
    command = [sys.executable, "-m", "isthmus", "database", "roles", "--app", "shop:app"]
    printed = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert 'ALTER SCHEMA isthmus OWNER TO "shop";' in printed.stdout
    with pytest.raises(psycopg.OperationalError, match='role "shop" does not exist'):
        psycopg.connect(as_role(url, "shop"))
    server.run(printed.stdout, url.rpartition("/")[2])  # as psql does
    subprocess.run([*command, "--apply"], cwd=tmp_path, capture_output=True, check=True)
    with psycopg.connect(as_role(url, "shop")) as connection:
        connection.execute("CREATE TABLE orders (id int)")


async def test_a_name_is_no_sql(url: str, rows: Rows) -> None:
    name = "o'neill\"; DROP TABLE x"
    app = service("shop", url)
    async with app:
        declared = app.declarations.database
        assert declared is not None
        found = await roles_for(app.declarations.host, type(declared)(name=name))
        await apply_roles(app.declarations.host, found)
    assert await rows("SELECT 1 FROM pg_roles WHERE rolname = $1", name) == [(1,)]
    quoted = '"' + name.replace('"', '""') + '"'
    await rows(f"REASSIGN OWNED BY {quoted} TO postgres")
    await rows(f"DROP OWNED BY {quoted}")
    await rows(f"DROP ROLE {quoted}")


async def test_where_there_are_no_roles_it_says_so() -> None:
    app = App("shop", engine="memory://")
    async with app:
        declared = app.declarations.database
        assert declared is not None
        with pytest.raises(UnsupportedError, match="advice between Apps"):
            await roles_for(app.declarations.host, declared)


def test_what_is_done_about_roles_is_one_of_three() -> None:
    with pytest.raises(ConfigError, match="roles='no': it is one of ignore, warn, refuse"):
        App("shop").database(roles="no")  # pyright: ignore[reportArgumentType]
