"""What waits together is committed together, and fails alone."""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from isthmus.clock import ManualClock
from isthmus.engines.sqlite.database.database import Connection, Database
from isthmus.errors import ConfigError, ConflictError, UnavailableError

Rows = Callable[[str], list[Any]]


def pay(id_: int, *, total: int = 1) -> Callable[[Connection], None]:
    def work(at: Connection) -> None:
        at.execute("INSERT INTO paid VALUES (?, ?)", (id_, total))

    return work


async def test_a_write_is_there_once_it_returns(database: Database, rows: Rows) -> None:
    await database.write(pay(1))
    assert rows("SELECT id FROM paid") == [(1,)]


async def test_a_write_answers_what_its_work_returned(database: Database) -> None:
    assert await database.write(lambda at: at.execute("SELECT 7").fetchone()) == (7,)


async def test_writes_of_one_turn_share_a_commit(database: Database, path: Path) -> None:
    stranger = sqlite3.connect(path)

    def version() -> int:
        return stranger.execute("PRAGMA data_version").fetchone()[0]

    seen = {version()}

    async def write(id_: int) -> None:
        await database.write(pay(id_))
        seen.add(version())

    await asyncio.gather(*(write(id_) for id_ in range(100)))
    stranger.close()
    assert len(seen) == 2


async def test_a_write_that_raises_is_undone_alone(database: Database, rows: Rows) -> None:
    def fails(at: Connection) -> None:
        pay(2)(at)
        raise ConflictError("no")

    results = await asyncio.gather(
        database.write(pay(1)),
        database.write(fails),
        database.write(pay(3)),
        return_exceptions=True,
    )
    assert [type(result) for result in results] == [type(None), ConflictError, type(None)]
    assert rows("SELECT id FROM paid") == [(1,), (3,)]


async def test_a_driver_error_comes_out_as_ours(database: Database) -> None:
    with pytest.raises(UnavailableError) as caught:
        await database.write(lambda at: at.execute("INSERT INTO nowhere VALUES (1)"))
    assert isinstance(caught.value.__cause__, sqlite3.OperationalError)


async def test_a_bug_in_a_work_reaches_its_caller(database: Database) -> None:
    def fails(_: Connection) -> None:
        raise KeyError("bug")

    with pytest.raises(KeyError):
        await database.write(fails)
    await database.write(pay(1))


class Merging:
    """Pays many in one call, and counts the calls; refuses negative ones."""

    def __init__(self) -> None:
        self.calls: list[int] = []

    def __call__(self, at: Connection, ids: list[int]) -> Sequence[int | Exception]:
        self.calls.append(len(ids))
        good = [id_ for id_ in ids if id_ >= 0]
        at.executemany("INSERT INTO paid VALUES (?, 1)", [(id_,) for id_ in good])
        return [id_ if id_ >= 0 else ValueError(str(id_)) for id_ in ids]


async def test_items_of_one_turn_are_one_call(database: Database, rows: Rows) -> None:
    merging = Merging()
    answers = await asyncio.gather(*(database.merge(merging, id_) for id_ in range(50)))
    assert answers == list(range(50))
    assert merging.calls == [50]
    assert rows("SELECT count(*) FROM paid") == [(50,)]


async def test_a_refused_item_fails_alone(database: Database, rows: Rows) -> None:
    merging = Merging()
    results = await asyncio.gather(
        *(database.merge(merging, id_) for id_ in (1, -1, 2)), return_exceptions=True
    )
    assert [str(result) for result in results] == ["1", "-1", "2"]
    assert isinstance(results[1], ValueError)
    assert rows("SELECT id FROM paid") == [(1,), (2,)]


async def test_an_item_that_breaks_the_call_fails_alone(database: Database, rows: Rows) -> None:
    merging = Merging()
    await database.merge(merging, 1)
    results = await asyncio.gather(
        *(database.merge(merging, id_) for id_ in (2, 1, 3)), return_exceptions=True
    )
    assert [isinstance(result, UnavailableError) for result in results] == [False, True, False]
    assert rows("SELECT id FROM paid") == [(1,), (2,), (3,)]


async def test_a_read_sees_the_last_commit(database: Database) -> None:
    await database.write(pay(1))
    found = await database.read(lambda at: at.execute("SELECT id FROM paid").fetchall())
    assert found == [(1,)]


async def test_a_read_changes_nothing(database: Database, rows: Rows) -> None:
    with pytest.raises(UnavailableError):
        await database.read(pay(1))
    assert rows("SELECT id FROM paid") == []


async def test_reads_go_on_while_a_stranger_writes(database: Database, path: Path) -> None:
    stranger = sqlite3.connect(path, isolation_level=None)
    stranger.execute("BEGIN IMMEDIATE")
    writing = asyncio.ensure_future(database.write(pay(1)))
    found = await database.read(lambda at: at.execute("SELECT count(*) FROM paid").fetchall())
    assert found == [(0,)]
    assert not writing.done()
    stranger.execute("COMMIT")
    await writing
    stranger.close()


async def test_a_cancelled_write_leaves_the_others(database: Database, rows: Rows) -> None:
    first = asyncio.ensure_future(database.write(pay(1)))
    second = asyncio.ensure_future(database.write(pay(2)))
    first.cancel()
    await second
    assert (2,) in rows("SELECT id FROM paid")


async def test_another_loop_is_refused(database: Database) -> None:
    await database.write(pay(1))

    def elsewhere() -> None:
        asyncio.run(database.until(lambda: nothing(database), channel="paid", wait=0))

    with pytest.raises(ConfigError, match="another event loop"):
        await asyncio.to_thread(elsewhere)


async def test_closing_finishes_what_was_asked(opening: Any, rows: Rows) -> None:
    database = await opening()
    asked = [asyncio.ensure_future(database.write(pay(id_))) for id_ in range(10)]
    await database.aclose()
    await asyncio.gather(*asked)
    assert rows("SELECT count(*) FROM paid") == [(10,)]


async def test_a_closed_database_refuses_all(opening: Any) -> None:
    database = await opening()
    await database.aclose()
    with pytest.raises(UnavailableError, match="closed"):
        await database.write(pay(1))
    with pytest.raises(UnavailableError, match="closed"):
        await database.read(pay(1))
    with pytest.raises(UnavailableError, match="closed"):
        database.begin()


# --- waiting


async def nothing(database: Database) -> tuple[list[Any], float]:
    found = await database.read(lambda at: at.execute("SELECT id FROM paid").fetchall())
    return found, float("inf")


def paying(id_: int, channel: str) -> Callable[[Connection], None]:
    def work(at: Connection) -> None:
        pay(id_)(at)
        at.wake(channel)

    return work


async def test_a_commit_wakes_who_waits_on_its_channel(database: Database) -> None:
    waiting = asyncio.create_task(
        database.until(lambda: nothing(database), channel="paid", wait=3600)
    )
    await database.read(lambda at: at.execute("SELECT 1"))
    await database.write(paying(1, "paid"))
    assert await waiting == [(1,)]


async def test_a_commit_wakes_nobody_on_other_channels(opening: Any) -> None:
    clock = ManualClock()
    database = await opening(clock=clock)
    asked = 0

    async def probe() -> tuple[list[Any], float]:
        nonlocal asked
        asked += 1
        return [], float("inf")

    waiting = asyncio.create_task(database.until(probe, channel="quiet", wait=10))
    for id_ in range(20):
        await database.write(paying(id_, "loud"))
    once = asked
    await clock.advance(11)
    await waiting
    assert once <= 2  # the second may be due to the first look for strangers
    assert asked <= 3


async def test_what_rolls_back_wakes_nobody(opening: Any) -> None:
    clock = ManualClock()
    database = await opening(clock=clock)
    woken = database._wakes.on("paid")

    def fails(at: Connection) -> None:
        at.wake("paid")
        raise ConflictError("no")

    with pytest.raises(ConflictError):
        await database.write(fails)
    assert not woken.is_set()


async def test_waiting_ends_when_it_is_over(opening: Any) -> None:
    clock = ManualClock()
    database = await opening(clock=clock)
    waiting = asyncio.create_task(
        database.until(lambda: nothing(database), channel="paid", wait=60)
    )
    while not clock._sleepers:
        await database.read(lambda at: at.execute("SELECT 1"))
    await clock.advance(60)
    for _ in range(100):
        await database.read(lambda at: at.execute("SELECT 1"))
    assert waiting.done()
    assert waiting.result() == []


async def test_a_due_moment_is_looked_at_when_it_comes(opening: Any) -> None:
    clock = ManualClock()
    database = await opening(clock=clock)
    due = clock.now() + 30

    async def probe() -> tuple[bool, float]:
        await database.read(lambda at: at.execute("SELECT 1"))
        return clock.now() >= due, due

    waiting = asyncio.create_task(database.until(probe, channel="paid", wait=3600))
    while not clock._sleepers:
        await database.read(lambda at: at.execute("SELECT 1"))
    await clock.advance(30)
    assert await waiting


async def test_closing_ends_who_waits(opening: Any) -> None:
    database = await opening()
    waiting = asyncio.create_task(
        database.until(lambda: nothing(database), channel="paid", wait=3600)
    )
    await database.read(lambda at: at.execute("SELECT 1"))
    await database.aclose()
    with pytest.raises(UnavailableError, match="closed"):
        await waiting


async def test_a_stranger_s_commit_wakes_who_waits(database: Database, path: Path) -> None:
    waiting = asyncio.create_task(
        database.until(lambda: nothing(database), channel="paid", wait=3600)
    )
    await database.read(lambda at: at.execute("SELECT 1"))
    stranger = sqlite3.connect(path)
    with stranger:
        stranger.execute("INSERT INTO paid VALUES (1, 1)")
    stranger.close()
    assert await waiting == [(1,)]


# --- durability


async def synchronous(database: Database, *, lazy: bool) -> int:
    """What the commit of this write waits for: 1 the system, 2 the disk."""
    ((level,),) = await database.write(
        lambda at: at.execute("SELECT synchronous FROM pragma_synchronous").fetchall(), lazy=lazy
    )
    return level


async def test_a_commit_waits_for_the_disk_unless_all_of_it_is_lazy(opening: Any) -> None:
    database = await opening(durability="disk")
    assert await synchronous(database, lazy=True) == 1
    assert await synchronous(database, lazy=False) == 2
    mixed = (synchronous(database, lazy=lazy) for lazy in (True, False, True))
    assert await asyncio.gather(*mixed) == [2, 2, 2]
    async with database.begin() as tx:
        await database.write(pay(1), tx=tx)
        assert await synchronous(database, lazy=True) == 1


async def test_where_the_disk_is_not_asked_for_no_commit_waits(database: Database) -> None:
    assert [await synchronous(database, lazy=lazy) for lazy in (True, False)] == [1, 1]
