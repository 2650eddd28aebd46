"""Whose the database is: what a service is refused, and how several share one."""

import asyncio
import sqlite3
from collections.abc import Mapping
from pathlib import Path

import pytest

from isthmus import App, ConfigError, NotFoundError
from isthmus.handling.ownership import Claim, DeclaredDatabase, claim_of, released


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/data.db"


def service(name: str, url: str, *, tables: Mapping[str, str] | None = None) -> App:
    app = App(name, engine="memory://", store=url)
    if tables is not None:
        app.database(shared=True, tables=tables)
    return app


async def opened(*apps: App) -> Claim | None:
    """Open each once, and tell what the database says then."""
    claim = None
    for app in apps:
        async with app:
            claim = await claim_of(app.declarations.host)
    return claim


async def test_it_is_its_first_services_alone(url: str) -> None:
    assert await opened(service("shop", url)) == Claim(shared=False, services=("shop",))
    with pytest.raises(ConfigError, match=r"belongs to 'shop': give 'billing' a store of its own"):
        await opened(service("billing", url))
    assert await opened(service("shop", url)) == Claim(shared=False, services=("shop",))


async def test_who_is_refused_has_changed_nothing(url: str, tmp_path: Path) -> None:
    await opened(service("shop", url))
    (tmp_path / "migrations").mkdir()
    (tmp_path / "migrations/001.sql").write_text("create table stolen (id);")
    other = service("billing", url)
    other.migrations(tmp_path / "migrations")
    with pytest.raises(ConfigError):
        await opened(other)
    with sqlite3.connect(tmp_path / "data.db") as rows:
        assert rows.execute("select 1 from sqlite_master where name = 'stolen'").fetchall() == []


async def test_processes_of_one_service_open_it_together(url: str) -> None:
    first, second = service("shop", url), service("shop", url)
    await asyncio.gather(first.open(), second.open())
    await asyncio.gather(first.aclose(), second.aclose())


async def test_of_two_services_that_come_first_at_once_one_is_refused(url: str) -> None:
    apps = [service("shop", url), service("billing", url)]
    done = await asyncio.gather(*(app.open() for app in apps), return_exceptions=True)
    refused = [each for each in done if isinstance(each, ConfigError)]
    assert len(refused) == 1
    for app in apps:
        await app.aclose()


async def test_those_who_say_so_share_it(url: str) -> None:
    shop = service("shop", url, tables={"orders": "shop"})
    billing = service("billing", url, tables={"orders": "shop", "payments": "billing"})
    assert await opened(shop, billing) == Claim(
        shared=True,
        services=("billing", "shop"),
        tables={"orders": "shop", "payments": "billing"},
    )


async def test_both_have_to_say_so(url: str) -> None:
    await opened(service("shop", url, tables={}))
    with pytest.raises(ConfigError, match=r"is shared by shop: let 'billing' say"):
        await opened(service("billing", url))


async def test_an_owner_alone_may_begin_to_share_and_end_it(url: str) -> None:
    await opened(service("shop", url))
    assert await opened(service("shop", url, tables={})) == Claim(shared=True, services=("shop",))
    assert await opened(service("shop", url)) == Claim(shared=False, services=("shop",))


async def test_a_table_has_one_owner(url: str) -> None:
    await opened(service("shop", url, tables={"orders": "shop"}))
    with pytest.raises(
        ConfigError, match=r"table 'orders' of the shared database belongs to 'shop'"
    ):
        await opened(service("billing", url, tables={"orders": "billing"}))


async def test_a_table_that_nobody_owns_is_refused(url: str, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "data.db") as rows:
        rows.execute("create table orders (id)")
        rows.execute("create virtual table found using fts5 (body)")  # its shadows are its own
    shop = service("shop", url, tables={"found": "shop"})
    with pytest.raises(ConfigError, match=r"tables that nobody owns: orders; list each"):
        await opened(shop)
    await opened(service("shop", url, tables={"found": "shop", "orders": "shop"}))


async def test_rows_of_several_owners_commit_together(url: str, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "data.db") as rows:
        rows.executescript("create table orders (id); create table payments (id)")
    tables = {"orders": "shop", "payments": "billing"}
    async with service("shop", url, tables=tables) as app:
        with pytest.raises(ZeroDivisionError):
            async with app.transaction() as tx:
                await tx.execute("insert into orders values (1)")
                await tx.execute("insert into payments values (1)")
                raise ZeroDivisionError
        async with app.transaction() as tx:
            assert list(await tx.fetch("select * from orders, payments")) == []
            await tx.execute("insert into orders values (2)")
            await tx.execute("insert into payments values (2)")
        async with app.transaction() as tx:
            assert [tuple(row) for row in await tx.fetch("select * from orders, payments")] == [
                (2, 2)
            ]


async def test_what_was_released_may_be_anothers(url: str) -> None:
    shop = service("shop", url)
    async with shop:
        await released(shop.declarations.host, "shop")
    assert await opened(service("billing", url)) == Claim(shared=False, services=("billing",))


async def test_who_shares_may_leave(url: str) -> None:
    tables = {"orders": "shop", "payments": "billing"}
    shop = service("shop", url, tables=tables)
    await opened(shop, service("billing", url, tables=tables))
    async with shop:
        await released(shop.declarations.host, "billing")
        assert await claim_of(shop.declarations.host) == Claim(
            shared=True, services=("shop",), tables={"orders": "shop"}
        )
        with pytest.raises(
            NotFoundError, match=r"'billing' has no claim to the database; it is claimed by: shop"
        ):
            await released(shop.declarations.host, "billing")


def test_what_is_said_is_in_the_model(url: str) -> None:
    app = service("shop", url, tables={"orders": "shop"})
    [record] = app.describe().of(DeclaredDatabase)
    assert (record.name, record.shared, record.tables) == ("shop", True, {"orders": "shop"})


def test_it_is_said_once_and_makes_sense() -> None:
    app = App("shop")
    with pytest.raises(ConfigError, match=r"tables have owners where a database is shared"):
        app.database(tables={"orders": "shop"})
    app.database(shared=True)
    with pytest.raises(ConfigError, match=r"declared twice"):
        app.database(shared=True)
