import asyncio
import sqlite3
from collections.abc import AsyncGenerator
from contextlib import closing
from pathlib import Path

import pytest

from isthmus import ConfigError, UnsupportedError
from isthmus.clock import ManualClock
from isthmus.connect import connect
from isthmus.errors import StatementError
from isthmus.handling.host import Host
from isthmus.handling.migrations import MigrationApplied, Migrations
from isthmus.settings import Settings
from isthmus.signals import Signals


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "sql").mkdir()
    return tmp_path / "sql"


@pytest.fixture
def opening(tmp_path: Path) -> Path:
    return tmp_path / "shop.db"


async def host_on(file: Path) -> Host:
    clock = ManualClock()
    engine = await connect(f"sqlite:///{file}", clock=clock)
    return Host(
        "shop", engine=engine, state=engine, settings=Settings(), clock=clock, signals=Signals()
    )


@pytest.fixture
async def host(opening: Path) -> AsyncGenerator[Host]:
    host = await host_on(opening)
    yield host
    await host.engine.aclose()


def rows(file: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(file)) as connection:
        return connection.execute(sql).fetchall()


async def test_files_are_applied_once_in_the_order_of_their_names(
    host: Host, folder: Path, opening: Path
) -> None:
    applied: list[str] = []
    host.signals.listen(MigrationApplied, lambda signal: applied.append(signal.name))
    (folder / "002_fill.sql").write_text("insert into orders values ('a'); -- the first\n")
    (folder / "001_orders.sql").write_text("create table orders (id text primary key);")
    await Migrations(folder).apply(host)
    await Migrations(folder).apply(host)
    assert applied == ["001_orders.sql", "002_fill.sql"]
    assert rows(opening, "select id from orders") == [("a",)]
    names = rows(opening, "select name, applied_at from isthmus_migrations order by name")
    assert names == [("001_orders.sql", host.clock.now()), ("002_fill.sql", host.clock.now())]


async def test_a_file_may_have_triggers_and_strings_with_semicolons(
    host: Host, folder: Path, opening: Path
) -> None:
    (folder / "1.sql").write_text(
        """create table a (x text); create table b (x text);
        create trigger copied after insert on a begin
            insert into b values (new.x || ';'); insert into b values ('end');
        end;
        insert into a values ('one;:two');"""
    )
    await Migrations(folder).apply(host)
    assert rows(opening, "select x from b") == [("one;:two;",), ("end",)]


async def test_a_file_that_fails_changes_nothing_and_is_named(
    host: Host, folder: Path, opening: Path
) -> None:
    (folder / "1_good.sql").write_text("create table good (x)")
    (folder / "2_bad.sql").write_text("create table half (x);\ninsert into nowhere values (1);")
    with pytest.raises(StatementError, match=r"2_bad\.sql, line 2: .*nowhere"):
        await Migrations(folder).apply(host)
    tables = rows(opening, "select name from sqlite_master where name in ('good', 'half')")
    assert tables == [("good",)]
    (folder / "2_bad.sql").write_text("create table half (x);")
    await Migrations(folder).apply(host)
    assert rows(opening, "select count(*) from half") == [(0,)]


async def test_a_changed_file_is_refused_with_the_way_out(host: Host, folder: Path) -> None:
    (folder / "1.sql").write_text("create table a (x)")
    await Migrations(folder).apply(host)
    (folder / "1.sql").write_text("create table a (x, y)")
    with pytest.raises(ConfigError, match=r"1\.sql was applied and has changed.*new file"):
        await Migrations(folder).apply(host)


async def test_line_endings_are_no_change(host: Host, folder: Path) -> None:
    (folder / "1.sql").write_bytes(b"create table a (x);\n-- done\n")
    await Migrations(folder).apply(host)
    (folder / "1.sql").write_bytes(b"create table a (x);\r\n-- done\r\n")
    await Migrations(folder).apply(host)


async def test_an_older_name_that_appears_later_is_refused(host: Host, folder: Path) -> None:
    (folder / "2.sql").write_text("create table a (x)")
    await Migrations(folder).apply(host)
    (folder / "1.sql").write_text("create table b (x)")
    with pytest.raises(ConfigError, match=r"1\.sql is new, but comes before 2\.sql"):
        await Migrations(folder).apply(host)


async def test_an_older_release_passes_over_what_a_newer_applied(host: Host, folder: Path) -> None:
    for name in ("1", "2"):
        (folder / f"{name}.sql").write_text(f"create table t{name} (x)")
    await Migrations(folder).apply(host)
    (folder / "2.sql").unlink()
    await Migrations(folder).apply(host)


async def test_two_folders_have_an_order_each(
    host: Host, folder: Path, tmp_path: Path, opening: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (folder / "2_a.sql").write_text("create table a (x)")
    (other / "1_b.sql").write_text("create table b (x)")
    await Migrations(folder).apply(host)
    await Migrations(other).apply(host)
    assert len(rows(opening, "select name from isthmus_migrations")) == 2


async def test_many_processes_may_start_at_once(folder: Path, opening: Path) -> None:
    (folder / "1.sql").write_text("create table a (x)")
    (folder / "2.sql").write_text("insert into a values (1)")
    hosts = [await host_on(opening) for _ in range(4)]
    await asyncio.gather(*(Migrations(folder).apply(each) for each in hosts * 2))
    for each in hosts:
        await each.engine.aclose()
    assert rows(opening, "select x from a") == [(1,)]


@pytest.mark.parametrize("word", ["begin", "COMMIT", "rollback", "savepoint a", "release a"])
async def test_a_file_cannot_break_its_transaction(host: Host, folder: Path, word: str) -> None:
    (folder / "1.sql").write_text(f"create table a (x);\n{word};")
    with pytest.raises(ConfigError, match=r"1\.sql, line 2: a migration is one transaction"):
        await Migrations(folder).apply(host)


async def test_a_string_without_an_end_is_refused_by_file_and_line(
    host: Host, folder: Path
) -> None:
    (folder / "1.sql").write_text("insert into a values ('x);")
    with pytest.raises(ConfigError, match=r"1\.sql: line 1: ' has no end"):
        await Migrations(folder).apply(host)


async def test_a_missing_folder_is_refused(host: Host, folder: Path) -> None:
    with pytest.raises(ConfigError, match="there is no folder"):
        await Migrations(folder / "none").apply(host)


async def test_a_store_without_sql_is_refused_and_one_with_it_named(
    memory: Host, folder: Path
) -> None:
    with pytest.raises(UnsupportedError, match=r"memory:// runs no SQL; .* sqlite://"):
        await Migrations(folder).apply(memory)
