"""Several processes on one file: they wake each other, take turns, and may die at any time."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from isthmus.engines.sqlite.database.database import Connection, Database

Rows = Callable[[str], list[Any]]
Start = Callable[..., subprocess.Popen[str]]

PROCESS = Path(__file__).with_name("shop_process.py")


@pytest.fixture
def start(path: Path) -> Iterator[Start]:
    """Start a process that does one thing of shop_process.py to the file."""
    started: list[subprocess.Popen[str]] = []

    def one(does: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, PROCESS, does, path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield one
    for process in started:
        process.kill()
        with process:
            pass


async def paid(database: Database) -> tuple[list[Any], float]:
    look = database.read(lambda at: at.execute("SELECT id FROM paid").fetchall())
    return await look, float("inf")


@pytest.fixture
def deaf(monkeypatch: pytest.MonkeyPatch) -> None:
    """No looking for strangers: only letters wake."""
    monkeypatch.setattr("isthmus.engines.sqlite.processes.watch._EVERY", 3600.0)


@pytest.mark.usefixtures("deaf")
async def test_a_commit_wakes_who_waits_in_another_process(
    database: Database, start: Start
) -> None:
    other = start("once")
    assert other.stdout is not None
    assert other.stdin is not None
    await asyncio.to_thread(other.stdout.readline)
    waiting = asyncio.create_task(database.until(lambda: paid(database), channel="paid", wait=3600))
    while not (database._post.opened and database._wakes._events):
        await database.read(lambda at: at.execute("SELECT 1"))
    other.stdin.write("go\n")
    other.stdin.flush()
    assert await waiting == [(1,)]


async def test_without_letters_it_wakes_all_the_same(
    database: Database, start: Start, path: Path
) -> None:
    Path(f"{path}-wake").write_text("no folder: no letters can be sent or received")
    other = start("once")
    assert other.stdout is not None
    assert other.stdin is not None
    await asyncio.to_thread(other.stdout.readline)
    waiting = asyncio.create_task(database.until(lambda: paid(database), channel="paid", wait=3600))
    other.stdin.write("go\n")
    other.stdin.flush()
    assert await waiting == [(1,)]


async def test_the_box_of_a_dead_process_is_cleared_away(
    database: Database, start: Start, path: Path
) -> None:
    dead = start("die")
    assert await asyncio.to_thread(dead.wait, 30) == -signal.SIGKILL
    folder = Path(f"{path}-wake")
    assert len(list(folder.iterdir())) == 1

    def work(at: Connection) -> None:
        at.execute("INSERT INTO paid VALUES (1, 1)")
        at.wake("paid")

    await database.write(work)
    await database.write(lambda at: at.execute("SELECT 1").fetchone())  # the letters are out
    assert list(folder.iterdir()) == []


async def test_a_box_is_for_its_user_only_and_goes_with_its_process(
    opening: Any, path: Path
) -> None:
    database = await opening()
    waiting = asyncio.create_task(database.until(lambda: paid(database), channel="paid", wait=3600))
    folder = Path(f"{path}-wake")
    while not (folder.exists() and list(folder.iterdir())):
        await database.read(lambda at: at.execute("SELECT 1"))
    assert folder.stat().st_mode & 0o777 == 0o700
    database._wakes.wake("paid")
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await database.aclose()
    assert list(folder.iterdir()) == []


async def test_letters_reach_a_folder_with_a_long_name(tmp_path: Path) -> None:
    from isthmus.engines.sqlite.processes.post import Post

    deep = tmp_path / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True)
    here, there = Post(deep / "shop.db"), Post(deep / "shop.db")
    arrived: asyncio.Future[set[str]] = asyncio.get_running_loop().create_future()
    there.open_box(asyncio.get_running_loop(), lambda letters: arrived.set_result(set(letters)))
    here.send({"a", "b"})
    assert await arrived == {"a", "b"}
    here.close()
    there.close()


async def test_a_letter_too_long_wakes_everybody(tmp_path: Path) -> None:
    from isthmus.engines.sqlite.processes.post import Post

    here, there = Post(tmp_path / "shop.db"), Post(tmp_path / "shop.db")
    arrived: asyncio.Future[set[str]] = asyncio.get_running_loop().create_future()
    there.open_box(asyncio.get_running_loop(), lambda letters: arrived.set_result(set(letters)))
    here.send({f"channel-{number}" for number in range(10_000)})
    assert await arrived == {""}
    here.close()
    there.close()


async def test_counting_in_many_processes_loses_nothing(
    database: Database, start: Start, rows: Rows
) -> None:
    await database.write(lambda at: at.execute("INSERT INTO paid VALUES (0, 0)").rowcount)
    counting = [start("count") for _ in range(3)]
    assert [await asyncio.to_thread(process.wait, 60) for process in counting] == [0, 0, 0]
    assert rows("SELECT total FROM paid") == [(300,)]


async def test_a_killed_process_keeps_what_it_acknowledged_and_no_halves(
    database: Database, start: Start, rows: Rows
) -> None:
    acknowledged: set[int] = set()
    for round_ in range(3):
        victim = start("forever")
        assert victim.stdout is not None
        for _ in range(200 + 100 * round_):
            line = await asyncio.to_thread(victim.stdout.readline)
            acknowledged.add(int(line))
        victim.kill()
        rest = await asyncio.to_thread(victim.stdout.read)
        acknowledged |= {int(line) for line in rest.split("\n")[:-1]}
        kept = {id_ for (id_,) in rows("SELECT id FROM paid")}
        assert acknowledged <= kept
        assert {id_ ^ 1 for id_ in kept} == kept
        await database.write(lambda at: at.execute("DELETE FROM paid").rowcount)
        acknowledged.clear()


async def test_the_log_does_not_grow_without_end(
    opening: Any, rows: Rows, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("isthmus.engines.sqlite.database.checkpoints.BOUND", 1024 * 1024)
    monkeypatch.setattr("isthmus.engines.sqlite.database.checkpoints.GROWTH", 256 * 1024)
    database = await opening()
    await database.write(lambda at: at.execute("CREATE TABLE box (body BLOB)").rowcount)
    body = b"x" * 100_000
    longest = 0
    for _ in range(400):
        await database.write(lambda at: at.execute("INSERT INTO box VALUES (?)", (body,)).rowcount)
        longest = max(longest, Path(f"{path}-wal").stat().st_size)
    assert longest < 12 * 1024 * 1024  # of the 40 MB that were written
    assert rows("SELECT count(*) FROM box") == [(400,)]


async def test_a_log_of_small_commits_is_begun_anew_long_before_it_is_too_long(
    opening: Any, path: Path
) -> None:
    """Where it grows, each of them waits for the disk twice as long."""
    database = await opening()
    await database.write(lambda at: at.execute("CREATE TABLE box (body BLOB)").rowcount)
    body = b"x" * 10_000
    for _ in range(2_000):
        await database.write(lambda at: at.execute("INSERT INTO box VALUES (?)", (body,)).rowcount)
    assert Path(f"{path}-wal").stat().st_size < 16 * 1024 * 1024  # of the 30 MB that were written
