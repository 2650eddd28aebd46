"""What is particular to entries in a table: many puts at once, and expiry in bounds."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from isthmus.clock import ManualClock
from isthmus.contracts import Entry, Put
from isthmus.engines.sqlite.address import Address
from isthmus.engines.sqlite.database.database import Database
from isthmus.engines.sqlite.store import BOUND, TABLES, SqliteStore
from isthmus.errors import ConfigError, ConflictError


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest_asyncio.fixture
async def store(path: Path, clock: ManualClock) -> AsyncIterator[SqliteStore]:
    address = Address(path=path, durability="process")
    database = await Database.open(address, clock=clock, tables=[TABLES])
    yield SqliteStore(database)
    await database.aclose()


def seen(id_: str) -> Put:
    """What an inbox puts."""
    return Put(id_, b"", if_version=0, ttl=3600)


async def test_of_many_who_put_the_same_absent_key_one_wins(store: SqliteStore) -> None:
    putting = (store.put("inbox", [seen(f"m{n % 10}"), seen(f"n{n}")]) for n in range(50))
    results = await asyncio.gather(*putting, return_exceptions=True)
    won = [n for n, result in enumerate(results) if result is None]
    lost = [result for result in results if result is not None]
    assert len({n % 10 for n in won}) == len(won) == 10
    assert {type(error) for error in lost} == {ConflictError}
    assert {error.subject for error in lost if isinstance(error, ConflictError)} == {
        f"inbox/m{n}" for n in range(10)
    }
    kept = {key for key, _ in await store.scan("inbox")}
    assert kept == {f"m{n}" for n in range(10)} | {f"n{n}" for n in won}


async def test_an_absent_key_within_one_put_is_absent_once(store: SqliteStore) -> None:
    with pytest.raises(ConflictError):
        await store.put("inbox", [seen("a"), seen("b"), seen("a")])
    assert await store.get("inbox", ["a", "b"]) == {}


async def test_many_expired_ones_are_absent_again(store: SqliteStore, clock: ManualClock) -> None:
    for _ in range(2):
        await asyncio.gather(*(store.put("inbox", [seen(f"m{n}")]) for n in range(20)))
        await clock.advance(3600)
    await asyncio.gather(*(store.put("inbox", [seen(f"m{n}")]) for n in range(20)))
    found = await store.get("inbox", ["m3"])
    assert found == {"m3": Entry(b"", 1)}


async def test_versions_begin_again_after_deletion_and_expiry(
    store: SqliteStore, clock: ManualClock
) -> None:
    async def version() -> int:
        return (await store.get("s", ["a"]))["a"].version

    for _ in range(3):
        await store.put("s", [Put("a", b"1", ttl=60)])
    assert await version() == 3
    await store.put("s", [Put("a", None)])
    await store.put("s", [Put("a", b"1", ttl=60)])
    assert await version() == 1
    await store.put("s", [Put("a", b"1", ttl=60)])
    await clock.advance(60)
    await store.put("s", [Put("a", b"1")])
    assert await version() == 1


async def test_maintain_drops_a_bounded_number(store: SqliteStore, clock: ManualClock) -> None:
    await store.put("s", [Put(f"k{n}", b"", ttl=1) for n in range(BOUND + 5)])
    await store.put("s", [Put("kept", b""), Put("later", b"", ttl=100)])
    assert await store.maintain() == 0
    await clock.advance(1)
    assert [await store.maintain() for _ in range(3)] == [BOUND, 5, 0]
    assert [key for key, _ in await store.scan("s")] == ["kept", "later"]


async def test_a_value_too_large_is_refused_with_the_way_out(store: SqliteStore) -> None:
    size = store.capabilities.max_value + 1
    with pytest.raises(ConfigError, match="reference"):
        await store.put("s", [Put("a", bytes(size))])


async def test_a_read_that_was_overtaken_by_a_put_is_a_conflict(store: SqliteStore) -> None:
    async def add(attempt: int) -> None:
        async with store.begin(attempt=attempt) as tx:
            found: Any = await store.get("s", ["n"], tx=tx)
            value = int(found["n"].value) if found else 0
            await store.put("s", [Put("n", b"%d" % (value + 1))], tx=tx)

    results = await asyncio.gather(*(add(1) for _ in range(8)), return_exceptions=True)
    won = [result for result in results if result is None]
    assert won
    assert all(isinstance(result, ConflictError) for result in results if result)
    assert (await store.get("s", ["n"]))["n"].value == b"%d" % len(won)
