"""Offsets have no gaps, and no reader passes over what commits later, whatever commits when."""

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest_asyncio

from isthmus.connect import connect
from isthmus.contracts import LogEngine, Record, StoreEngine
from isthmus.engines.postgres import PostgresEngine
from isthmus.message import Message

PARTITIONS = 3


@pytest_asyncio.fixture
async def engines(url: str) -> AsyncIterator[list[PostgresEngine]]:
    opened: list[Any] = [await connect(url) for _ in range(3)]
    await opened[0].log.declare("ledger", partitions=PARTITIONS)
    yield opened
    for engine in opened:
        await engine.aclose()


async def write(log: LogEngine, store: StoreEngine, writer: int) -> list[str]:
    """Append alone and in transactions, short ones and long ones; return what was committed."""
    draw, kept = random.Random(writer), list[str]()
    for number in range(12):
        ids = [f"{writer}/{number}/{each}" for each in range(draw.randint(1, 3))]
        messages = [Message(id=id_, key=str(draw.randrange(7))) for id_ in ids]
        if draw.random() < 0.3:
            await log.append("ledger", messages)
            kept += ids
            continue
        tx = store.begin()
        await tx.fetch("SELECT pg_sleep(:span)", span=draw.random() / 50)
        await log.append("ledger", messages, tx=tx)
        if draw.random() < 0.2:
            await tx.rollback()
        else:
            await tx.commit()
            kept += ids
    return kept


async def follow(log: LogEngine, partition: int, done: asyncio.Event) -> list[Record]:
    """Read from the first record on, until all is written and read."""
    found: list[Record] = []
    while True:
        ended = done.is_set()
        offset = found[-1].offset + 1 if found else 0
        more = await log.read("ledger", partition, offset=offset, limit=7, wait=0.01)
        if ended and not more:
            return found
        found += more


async def test_every_reader_sees_every_record_once_and_in_one_order(
    engines: list[PostgresEngine],
) -> None:
    done = asyncio.Event()
    readers = [
        asyncio.create_task(follow(engine.log, partition, done))
        for engine in engines
        for partition in range(PARTITIONS)
    ]
    written = await asyncio.gather(
        *(write(each.log, each.store, number) for number, each in enumerate(engines * 4))
    )
    done.set()
    read = await asyncio.gather(*readers)
    for partition in range(PARTITIONS):
        first, *others = read[partition::PARTITIONS]
        assert all(other == first for other in others)
        assert [record.offset for record in first] == list(range(len(first)))
    ids = [record.message.id for found in read[:PARTITIONS] for record in found]
    assert sorted(ids) == sorted(id_ for some in written for id_ in some)
    for partition in range(PARTITIONS):
        for writer in range(len(engines) * 4):
            own = [r.message.id for r in read[partition] if r.message.id.startswith(f"{writer}/")]
            numbers = [tuple(map(int, id_.split("/")[1:])) for id_ in own]
            assert numbers == sorted(numbers)


async def test_a_long_transaction_elsewhere_stalls_no_reader(
    engines: list[PostgresEngine], url: str
) -> None:
    log = engines[0].log
    stranger = await asyncpg.connect(url)
    begun = stranger.transaction()
    await begun.start()
    await log.append("ledger", [Message(id="late")], tx=engines[0].store.adopt(stranger))
    await log.append("ledger", [Message(id="early")])
    found = [r async for r in every(log)]
    assert [record.message.id for record in found] == ["early"]
    await begun.commit()
    found = [r async for r in every(log)]
    assert [record.message.id for record in found] == ["early", "late"]
    await stranger.close()


async def every(log: LogEngine) -> AsyncIterator[Record]:
    for partition in range(PARTITIONS):
        for record in await log.read("ledger", partition, offset=0, limit=100):
            yield record
