"""A URL names a file; whoever opens it first makes it ready."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from isthmus.clock import SystemClock
from isthmus.connect import connect
from isthmus.engines.sqlite.address import Address
from isthmus.engines.sqlite.database.database import Database
from isthmus.engines.sqlite.database.schema import VERSION, statements
from isthmus.errors import ConfigError, CorruptedError, LockedError


def test_a_relative_and_an_absolute_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert Address.parse("sqlite:///shop.db").path == tmp_path.resolve() / "shop.db"
    assert Address.parse(f"sqlite:///{tmp_path}/a%20b.db").path.name == "a b.db"


def test_links_are_followed(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "there").symlink_to(tmp_path / "here")
    here, there = (Address.parse(f"sqlite:///{tmp_path}/{name}/a.db") for name in ("here", "there"))
    assert here.path == there.path


def test_the_default_is_to_survive_a_loss_of_power(tmp_path: Path) -> None:
    assert Address.parse(f"sqlite:///{tmp_path}/a.db").durability == "disk"
    assert Address.parse(f"sqlite:///{tmp_path}/a.db?durability=normal").durability == "process"
    assert Address.parse(f"sqlite:///{tmp_path}/a.db?busy_timeout=0.5").busy_timeout == 0.5


@pytest.mark.parametrize(
    ("url", "way_out"),
    [
        ("sqlite:/a.db", "sqlite:///a.db or sqlite:////a.db"),
        ("sqlite:a.db", "sqlite:///a.db or sqlite:////a.db"),
        ("sqlite:///a.db?flavour=salty", "busy_timeout"),
        ("sqlite:///a.db?durability=off", "full or normal"),
        ("sqlite:///a.db?busy_timeout=soon", "number of seconds"),
        ("sqlite:///a.db?busy_timeout=-1", "number of seconds"),
        ("sqlite:///a.db?busy_timeout=nan", "number of seconds"),
        ("sqlite://", "memory://"),
        ("sqlite:///:memory:", "memory://"),
        ("sqlite://shop.db", "sqlite:///shop.db"),
        ("sqlite:////no/such/folder/a.db", "/no/such/folder"),
        ("sqlite:////tmp", "folder"),
    ],
)
async def test_a_bad_url_says_what_to_write(url: str, way_out: str) -> None:
    with pytest.raises(ConfigError, match=way_out):
        await connect(url)


async def test_a_file_of_a_newer_release_is_refused_unharmed(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/a.db"
    await (await connect(url)).aclose()
    with sqlite3.connect(tmp_path / "a.db") as connection:
        connection.execute("UPDATE isthmus_meta SET value = ?", (VERSION + 1,))
    connection.close()
    with pytest.raises(ConfigError, match="upgrade isthmus"):
        await connect(url)


async def test_what_is_no_database_is_refused_unharmed(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("dear diary, " * 100)
    with pytest.raises(CorruptedError, match=r"notes\.txt"):
        await connect(f"sqlite:///{file}")
    assert file.read_text() == "dear diary, " * 100


async def test_a_file_with_tables_of_the_user_keeps_them(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "a.db") as connection:
        connection.execute("CREATE TABLE mine (id)")
        connection.execute("INSERT INTO mine VALUES (7)")
    connection.close()
    engine = await connect(f"sqlite:///{tmp_path}/a.db")
    assert engine.store is not None
    async with engine.store.begin() as tx:
        assert await tx.fetch("select id from mine") == [(7,)]
    await engine.aclose()


async def test_a_file_that_another_holds_says_locked(tmp_path: Path) -> None:
    stranger = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
    stranger.execute("BEGIN EXCLUSIVE")
    with pytest.raises(LockedError, match="busy_timeout"):
        await connect(f"sqlite:///{tmp_path}/a.db?busy_timeout=0.01")
    stranger.execute("ROLLBACK")
    stranger.close()
    await (await connect(f"sqlite:///{tmp_path}/a.db?busy_timeout=0.01")).aclose()


OPEN = """
import asyncio, sys
from isthmus.connect import connect
async def main():
    engine = await connect(sys.argv[1])
    await engine.queue.declare("orders", "billing")
    await engine.aclose()
asyncio.run(main())
"""


async def test_many_processes_may_open_it_first(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/a.db"
    opening = [subprocess.Popen([sys.executable, "-c", OPEN, url]) for _ in range(6)]
    assert [process.wait(30) for process in opening] == [0] * 6
    engine = await connect(url)
    assert engine.queue is not None
    assert list(await engine.queue.subscriptions()) == [("orders", "billing")]
    await engine.aclose()


async def test_one_process_may_open_it_twice(tmp_path: Path) -> None:
    address = Address(path=tmp_path / "a.db")
    tables = ["CREATE TABLE t (id)"]
    first = await Database.open(address, clock=SystemClock(), tables=tables)
    second = await Database.open(address, clock=SystemClock(), tables=tables)
    await first.write(lambda at: at.execute("INSERT INTO t VALUES (1)"))
    await second.write(lambda at: at.execute("INSERT INTO t VALUES (2)"))
    await first.aclose()
    found = await second.read(lambda at: at.execute("SELECT id FROM t").fetchall())
    assert found == [(1,), (2,)]
    await second.aclose()


def test_a_script_is_split_where_statements_end() -> None:
    trigger = "create trigger t after insert on a begin select 1; end;"
    script = f"create table a (b default ';'); {trigger} select 1"
    assert [piece.strip()[:9] for piece in statements(script)] == [
        "create ta",
        "create tr",
        "select 1;",
    ]
