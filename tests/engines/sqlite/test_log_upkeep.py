"""What retention, size and compaction leave, and what they must not touch."""

import random
from collections.abc import Callable
from typing import Any

import pytest

from isthmus.clock import ManualClock
from isthmus.contracts import LogEngine
from isthmus.message import Message

Rows = Callable[[str], list[Any]]
DAY = 24 * 3600.0


async def keys(log: LogEngine, name: str = "ledger") -> list[str]:
    return [each.message.key for each in await log.read(name, 0, offset=0, limit=10_000)]


async def maintain(log: LogEngine) -> int:
    gone = 0
    while more := await log.maintain():
        gone += more
    return gone


@pytest.fixture(params=[1, 3, 1000])
def step(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many records one commit of upkeep looks at."""
    monkeypatch.setattr("isthmus.engines.sqlite.records.upkeep.STEP", request.param)
    return request.param


@pytest.mark.usefixtures("step")
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("versioned", [True, False])
async def test_compaction_keeps_the_newest_of_each_key_in_place(
    log: LogEngine, seed: int, *, versioned: bool
) -> None:
    await log.declare("ledger", compaction=True, versioned=versioned)
    chance, newest, keyless = random.Random(seed), dict[str, int](), set[int]()
    end = 0
    for _ in range(4):
        batch = [chance.choice(["a", "b", "c", "d", ""]) for _ in range(chance.randint(0, 12))]
        await log.append("ledger", [Message(key=key, body=b"x") for key in batch])
        for offset, key in enumerate(batch, end):
            newest[key] = offset
            keyless |= {offset} if not key else set()
        end += len(batch)
        await maintain(log)
        kept = {r.offset for r in await log.read("ledger", 0, offset=0, limit=1000)}
        assert kept == {newest[key] for key in newest if key} | keyless


async def test_compaction_may_begin_late(log: LogEngine) -> None:
    await log.declare("ledger")
    await log.append("ledger", [Message(key=key, body=b"x") for key in "aabab"])
    await maintain(log)
    await log.declare("ledger", compaction=True)
    assert await maintain(log) == 3
    assert await keys(log) == ["a", "b"]


async def test_a_tombstone_stays_a_day(log: LogEngine, clock: ManualClock) -> None:
    await log.declare("ledger", compaction=True)
    await log.append("ledger", [Message(key="a", body=b"x"), Message(key="a"), Message()])
    await maintain(log)
    assert await keys(log) == ["a", ""]
    await clock.advance(DAY - 1)
    assert not await maintain(log)
    await clock.advance(1)
    assert await maintain(log) == 1
    assert await keys(log) == [""]


@pytest.mark.parametrize("end", ["retention", "trim", "tombstone"])
async def test_versions_go_on_after_the_last_record_of_a_key_is_gone(
    log: LogEngine, clock: ManualClock, end: str
) -> None:
    await log.declare("ledger", versioned=True, compaction=True, retention=2 * DAY)
    await log.append("ledger", [Message(key="a"), Message(key="a"), Message(key="b", body=b"x")])
    if end == "trim":
        await log.trim("ledger", {0: 3})
    else:
        await clock.advance(2 * DAY if end == "retention" else DAY)
    await maintain(log)
    assert not await log.history("ledger", "a")
    await log.append("ledger", [Message(key="a")], expected={"a": 2})
    assert [record.version for record in await log.history("ledger", "a")] == [3]


async def test_the_size_of_a_partition_is_that_of_its_records(
    log: LogEngine, clock: ManualClock, rows: Rows
) -> None:
    await log.declare("ledger", compaction=True, max_bytes=400, partitions=2)
    for number in range(10):
        messages = [Message(key=f"ä{n % 9}", body=b"x" * n) for n in range(10 + number)]
        await log.append("ledger", messages)
        await maintain(log)
        await clock.advance(DAY / 4)
    await log.trim("ledger", {0: 60, 1: 30})
    sizes = rows("SELECT part, bytes FROM isthmus_partition")
    records = rows("SELECT id >> 40, length(CAST(key AS BLOB)) + size FROM isthmus_record")
    assert records
    assert dict(sizes) == {
        part: sum(size for of, size in records if of == part) for part, _ in sizes
    }


async def test_a_moment_is_found_among_gaps(log: LogEngine, clock: ManualClock) -> None:
    await log.declare("ledger", compaction=True)
    began = clock.now()
    for number in range(40):
        await log.append("ledger", [Message(key=f"{number * number % 7}", body=b"x")])
        await clock.advance(1)
        if number == 20:
            await maintain(log)
    records = await log.read("ledger", 0, offset=0, limit=100)
    for moment in range(42):
        expected = next((r.offset for r in records if r.at >= began + moment), 40)
        assert await log.offsets("ledger", at=began + moment) == {0: expected}


async def test_maintenance_is_done_in_portions(log: LogEngine, clock: ManualClock) -> None:
    await log.declare("ledger", retention=1)
    for _ in range(3):
        await log.append("ledger", [Message() for _ in range(5000)])
    await clock.advance(1)
    assert await log.maintain() == 10_000
    assert await log.maintain() == 5_000
    assert await log.maintain() == 0
