"""Others are notified of what they wait for, and nobody is in vain."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import asyncpg
import pytest_asyncio

from isthmus.clock import ManualClock
from isthmus.connect import connect
from isthmus.engines.postgres import PostgresEngine
from isthmus.message import Message

Rows = Callable[..., Awaitable[list[Any]]]
IDLE = "SELECT count(*) FROM isthmus.idle"


@pytest_asyncio.fixture
async def other(url: str, clock: ManualClock) -> AsyncIterator[PostgresEngine]:
    other = await connect(url, clock=clock)
    assert isinstance(other, PostgresEngine)
    yield other
    await other.aclose()


@pytest_asyncio.fixture
async def heard(url: str) -> AsyncIterator["asyncio.Queue[str]"]:
    """What everybody is notified of; "end" once all that was sent before has come."""
    connection = await asyncpg.connect(url)
    said: asyncio.Queue[str] = asyncio.Queue()
    await connection.add_listener("isthmus", lambda *told: said.put_nowait(told[3]))
    yield said
    await connection.close()


async def until(rows: Rows, sql: str, wanted: Any) -> None:
    async with asyncio.timeout(10):
        while await rows(sql) != [(wanted,)]:
            pass


async def test_where_nobody_waits_nobody_is_notified(
    engine: PostgresEngine, heard: "asyncio.Queue[str]", rows: Rows
) -> None:
    await engine.queue.declare("orders", "billing")
    for _ in range(20):
        await engine.queue.send("orders", [Message()])
    await rows("NOTIFY isthmus, '0'")
    assert await heard.get() == "0"


async def test_who_waits_is_notified_of_what_it_waits_for(
    engine: PostgresEngine, other: PostgresEngine, heard: "asyncio.Queue[str]", rows: Rows
) -> None:
    for topic in ("orders", "returns"):
        await engine.queue.declare(topic, "billing")
    receiver = await other.queue.receiver("orders", "billing", limit=1, lease=10)
    waiting = asyncio.create_task(receiver.receive(1, wait=1000))
    await until(rows, IDLE, 1)
    await engine.queue.send("returns", [Message()])
    await engine.queue.send("orders", [Message(body=b"a")])
    async with asyncio.timeout(10):
        assert [each.message.body for each in await waiting] == [b"a"]
        await heard.get()
    assert heard.empty()


async def test_what_nobody_waits_for_any_more_is_struck_off(
    engine: PostgresEngine, other: PostgresEngine, rows: Rows
) -> None:
    await engine.queue.declare("orders", "billing")
    receiver = await other.queue.receiver("orders", "billing", limit=9, lease=10)
    waiting = asyncio.create_task(receiver.receive(1, wait=1000))
    await until(rows, IDLE, 1)
    await engine.queue.send("orders", [Message()])
    await waiting
    await engine.queue.send("orders", [Message()])
    await until(rows, IDLE, 0)
    assert len(await receiver.receive(1, wait=0)) == 1


async def test_who_leaves_is_struck_off(other: PostgresEngine, rows: Rows) -> None:
    await other.queue.declare("orders", "billing")
    receiver = await other.queue.receiver("orders", "billing", limit=9, lease=10)
    waiting = asyncio.create_task(receiver.receive(1, wait=1000))
    await until(rows, IDLE, 1)
    await other.aclose()
    await asyncio.gather(waiting, return_exceptions=True)
    assert await rows(IDLE) == [(0,)]


async def test_of_many_who_send_at_once_few_commit(engine: PostgresEngine, rows: Rows) -> None:
    await engine.queue.declare("orders", "billing")
    messages = [Message() for _ in range(300)]
    await asyncio.gather(*(engine.queue.send("orders", [message]) for message in messages))
    assert await rows("SELECT count(*) FROM isthmus.slot") == [(300,)]
    ((commits,),) = await rows("SELECT count(DISTINCT xmin::text) FROM isthmus.slot")
    assert commits <= 4
