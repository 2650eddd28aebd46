"""What the file refuses is said clearly, nobody hangs, and nothing acknowledged is lost."""

import asyncio
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from isthmus.clock import SystemClock
from isthmus.connect import connect
from isthmus.engines.sqlite.address import Address
from isthmus.engines.sqlite.database.database import Connection, Database
from isthmus.errors import (
    ConfigError,
    CorruptedError,
    FullError,
    LockedError,
    UnavailableError,
)

Rows = Callable[[str], list[Any]]
BODY = b"x" * 50_000


def add(id_: int) -> Callable[[Connection], None]:
    def work(at: Connection) -> None:
        at.execute("INSERT INTO paid VALUES (?, 1)", (id_,))

    return work


# --- a stranger's lock


async def test_a_stranger_s_transaction_is_waited_for(
    database: Database, path: Path, rows: Rows
) -> None:
    stranger = sqlite3.connect(path, isolation_level=None)
    stranger.execute("BEGIN IMMEDIATE")
    stranger.execute("INSERT INTO paid VALUES (1, 1)")
    writing = asyncio.ensure_future(database.write(add(2)))
    await database.read(lambda at: at.execute("SELECT 1"))
    stranger.execute("COMMIT")
    stranger.close()
    await writing
    assert rows("SELECT id FROM paid") == [(1,), (2,)]


async def test_a_stranger_that_stays_is_a_locked_file(opening: Any, path: Path, rows: Rows) -> None:
    database = await opening(busy_timeout=0.01)
    stranger = sqlite3.connect(path, isolation_level=None)
    stranger.execute("BEGIN IMMEDIATE")
    async with database.begin() as tx:
        await tx.fetch("select 1")
        with pytest.raises(LockedError, match=r"shop\.db.*busy_timeout"):
            await tx.execute("insert into paid values (7, 7)")
        await tx.rollback()
    results = await asyncio.gather(
        *(database.write(add(id_)) for id_ in range(5)), return_exceptions=True
    )
    assert [type(result) for result in results] == [LockedError] * 5
    assert len({id(result) for result in results}) == 5
    stranger.execute("ROLLBACK")
    stranger.close()
    await database.write(add(9))
    assert rows("SELECT id FROM paid") == [(9,)]


HOLD = """
import fcntl, sys
file = open(sys.argv[1], "r+b")
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


async def test_a_writer_of_ours_that_hangs_is_a_locked_file(
    opening: Any, path: Path, rows: Rows
) -> None:
    """A process that was stopped in its turn must not stop the others for ever."""
    database = await opening(busy_timeout=0.05)
    await database.write(add(1))
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, f"{path}.lock"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        for id_ in (2, 3):
            with pytest.raises(LockedError, match="another process"):
                await database.write(add(id_))
        tx = database.begin()
        with pytest.raises(LockedError):
            await tx.execute("insert into paid values (4, 4)")
        await tx.rollback()
        assert rows("SELECT id FROM paid") == [(1,)]
        holder.stdin.close()
    await database.write(add(5))
    assert rows("SELECT id FROM paid") == [(1,), (5,)]


# --- a full disk


@pytest.fixture
def small_disk(tmp_path: Path, require: Callable[[bool, str], None]) -> Iterator[Path]:
    """A file system of 2 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = (
        shutil.which("mount")
        and not subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)],
            check=False,
            capture_output=True,
        ).returncode
    )
    require(bool(mounted), "a file system of 2 MB needs the right to mount (root)")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


async def test_a_full_disk_refuses_and_loses_nothing(small_disk: Path) -> None:
    address = Address(path=small_disk / "shop.db", durability="process")
    tables = ["CREATE TABLE IF NOT EXISTS box (id INTEGER PRIMARY KEY, body BLOB)"]
    database = await Database.open(address, clock=SystemClock(), tables=tables)
    kept: list[int] = []

    async def fill(id_: int) -> None:
        await database.write(
            lambda at: at.execute("INSERT INTO box VALUES (?, ?)", (id_, BODY)).rowcount
        )
        kept.append(id_)

    results = await asyncio.gather(*(fill(id_) for id_ in range(100)), return_exceptions=True)
    refused = [result for result in results if result is not None]
    assert {type(result) for result in refused} == {FullError}
    assert len(kept) + len(refused) == 100

    ids = await database.read(lambda at: at.execute("SELECT id FROM box").fetchall())
    assert sorted(kept) == [id_ for (id_,) in ids]
    await database.aclose()
    (small_disk / "room").unlink(missing_ok=True)

    database = await Database.open(address, clock=SystemClock(), tables=tables)
    ids = await database.read(lambda at: at.execute("SELECT id FROM box").fetchall())
    assert sorted(kept) == [id_ for (id_,) in ids]
    await database.aclose()


async def test_with_room_again_it_goes_on(small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    address = Address(path=small_disk / "shop.db", durability="process")
    tables = ["CREATE TABLE IF NOT EXISTS box (id INTEGER PRIMARY KEY, body BLOB)"]
    database = await Database.open(address, clock=SystemClock(), tables=tables)

    async def fill(id_: int) -> None:
        await database.write(
            lambda at: at.execute("INSERT INTO box VALUES (?, ?)", (id_, BODY)).rowcount
        )

    with ballast.open("wb") as file:
        while True:
            try:
                os.write(file.fileno(), BODY)
            except OSError:
                break
    with pytest.raises(FullError, match="no room"):
        for id_ in range(100):
            await fill(id_)
    ballast.unlink()
    await fill(1000)
    found = await database.read(lambda at: at.execute("SELECT max(id) FROM box").fetchall())
    assert found == [(1000,)]
    await database.aclose()


async def test_what_fits_is_stored_though_another_of_its_turn_does_not(
    database: Database, rows: Rows
) -> None:
    await database.write(lambda at: at.execute("CREATE TABLE box (body BLOB)").rowcount)
    pages = database._writer._connection.execute("PRAGMA page_count").fetchone()[0]
    database._writer._connection.execute(f"PRAGMA max_page_count = {pages + 2}")
    big, small = await asyncio.gather(
        database.write(lambda at: at.execute("INSERT INTO box VALUES (?)", (BODY,)).rowcount),
        database.write(add(1)),
        return_exceptions=True,
    )
    assert isinstance(big, FullError)
    assert small is None
    assert rows("SELECT id FROM paid") == [(1,)]


# --- permissions


@pytest.fixture
def read_only(tmp_path: Path, require: Callable[[bool, str], None]) -> Iterator[Path]:
    """A file on a file system that is mounted read-only, for root may write all others."""
    folder = tmp_path / "still"
    folder.mkdir()
    connection = sqlite3.connect(folder / "shop.db")
    connection.execute("CREATE TABLE mine (id)")
    connection.close()
    bind = [["mount", "--bind", str(folder), str(folder)]]
    bind.append(["mount", "-o", "remount,ro,bind", str(folder)])
    mounted = all(
        subprocess.run(command, check=False, capture_output=True).returncode == 0
        for command in bind
    )
    require(mounted, "a read-only mount needs the right to mount (root)")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


async def test_a_read_only_file_is_refused_when_it_is_opened(read_only: Path) -> None:
    with pytest.raises(ConfigError, match="writable"):
        await connect(f"sqlite:///{read_only}/shop.db")


# --- damage


async def test_a_damaged_page_is_said_to_be_one(opening: Any, path: Path) -> None:
    database = await opening()
    for id_ in range(0, 5000, 50):
        await asyncio.gather(*(database.write(add(id_ + n)) for n in range(50)))
    await database.aclose()
    with path.open("r+b") as file:
        pages = path.stat().st_size // 4096
        for page in range(2, pages):
            file.seek(page * 4096)
            file.write(b"\xde\xad" * 2048)
    with pytest.raises(CorruptedError, match=r"shop\.db.*backup"):
        database = await opening()
        await database.read(
            lambda at: at.execute("SELECT count(*), sum(total) FROM paid").fetchall()
        )


# --- the thread itself


async def test_if_the_thread_fails_its_callers_hear_of_it(database: Database) -> None:
    class Mad(BaseException):
        """Not even an Exception."""

    def fails(_: Connection) -> None:
        raise Mad

    results = await asyncio.gather(
        database.write(fails), database.write(add(1)), return_exceptions=True
    )
    assert [type(result) for result in results] == [UnavailableError] * 2
    await database.write(add(2))


async def test_a_forked_child_is_told_to_open_its_own(database: Database) -> None:
    await database.write(add(1))
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:

        async def use() -> None:
            await database.write(add(2))

        try:
            asyncio.run(use())
        except ConfigError as error:
            os.write(writing, str(error).encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    os.close(writing)
    with os.fdopen(reading) as said:
        assert "fork" in said.read()
    await database.write(add(3))
