"""What was planned while a queue was empty reads no more rows when it has become long."""

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest_asyncio

from isthmus.clock import ManualClock
from isthmus.engines.postgres import PostgresEngine
from isthmus.message import Message

READ = """
SELECT coalesce(sum(seq_tup_read + idx_tup_fetch), 0)::int FROM pg_stat_xact_user_tables
WHERE schemaname = 'isthmus' AND relname = ANY($1::text[])
"""
FEW, MANY = 200, 5_000


@pytest_asyncio.fixture
async def connection(url: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(url)
    yield connection
    await connection.close()


class Session:
    """One connection, whose plans are made early and kept."""

    def __init__(self, connection: Any, now: float) -> None:
        self._at, self._now, self._token = connection, now, 0

    async def claim(self, most: int) -> int:
        """Return how many were handed out."""
        return len(await self._claimed(most))

    async def _claimed(self, most: int) -> list[Any]:
        self._token += 1
        return await self._at.fetch(
            "SELECT seq FROM isthmus.claim(1, $1, $2, $3, 30.0)", most, self._token, self._now
        )

    async def round(self) -> None:
        """Claim one, extend it, acknowledge it; claim one more, and drop another."""
        [(seq,)], token, now = await self._claimed(1), self._token, self._now
        await self._at.fetch("SELECT isthmus.extend(1, $1, $2, $3, 30.0)", [seq], [token], now)
        await self._at.fetch(
            "SELECT isthmus.settle('{1}', $1, $2, '{NULL}', '{0}', '{NULL}', '{r}', true, $3)",
            [seq],
            [token],
            now,
        )
        await self._at.fetch("SELECT isthmus.clear(1, $1, $2)", [seq + 1], now)
        await self._at.fetch("SELECT isthmus.remove(1, $1, $2)", [f"m{seq + 2}"], now)

    async def rows_read(self, *tables: str) -> int:
        return await self._at.fetchval(READ, list(tables))


async def test_a_long_queue_costs_what_a_short_one_does(
    engine: PostgresEngine, clock: ManualClock, connection: Any
) -> None:
    await engine.queue.declare("orders", "billing")
    await engine.queue.send("orders", [Message() for _ in range(60)])
    session = Session(connection, clock.now())
    for _ in range(10):
        await session.round()
    await engine.queue.send("orders", [Message() for _ in range(MANY)])
    await engine.queue.send("orders", [Message() for _ in range(MANY)], delay=1000)
    async with connection.transaction():
        await session.round()
        assert await session.rows_read("slot") < FEW


async def test_many_are_claimed_from_a_long_queue_without_a_look_at_the_rest(
    engine: PostgresEngine, clock: ManualClock, connection: Any
) -> None:
    await engine.queue.declare("orders", "billing")
    await engine.queue.send("orders", [Message() for _ in range(MANY)])
    for _ in range(5):
        await engine.queue.send("orders", [Message(body=b"x" * 200) for _ in range(MANY)])
    session = Session(connection, clock.now())
    for _ in range(10):  # the first are planned for what they are given, the others once for all
        async with connection.transaction():
            before = await session.rows_read("slot")
            assert await session.claim(500) == 500
            assert await session.rows_read("slot") - before < 500 + 500 + FEW


async def test_a_long_log_costs_what_a_short_one_does(
    engine: PostgresEngine, connection: Any
) -> None:
    await engine.log.declare("ledger", versioned=True)
    append = "SELECT isthmus.append(1, true, '{1}', $1, '{1}', '{x}', $1, '{0}', 1.0)"
    keep = "SELECT isthmus.keep_heads('{ledger}', $1, '{1}')"
    pages = "SELECT count(*) FROM isthmus.pages(1, '{1}', $1, 1)"
    for number in range(10):
        await connection.fetch(append, [f"k{number}"])
        await connection.fetch(keep, [f"k{number}"])
        await connection.fetch(pages, [number])
    await engine.log.append("ledger", [Message(key=str(number)) for number in range(MANY)])
    await engine.log.offsets("ledger", at="end")
    async with connection.transaction():
        await connection.fetch(append, ["more"])
        await connection.fetch(keep, ["more"])
        await connection.fetch(pages, [1000])
        assert await Session(connection, 0.0).rows_read("record", "head", "part") < FEW


async def test_many_entries_cost_what_few_do(engine: PostgresEngine, connection: Any) -> None:
    put = "SELECT isthmus.put_absent('{inbox}', $1, '{x}', '{9e9}', 1.0)"
    change = "SELECT isthmus.put('{inbox}', $1, '{x}', '{1}', '{9e9}', 1.0)"
    keep = "SELECT isthmus.keep_entries('{inbox}', $1, '{0}', '{d}', '{1.0}', '{false}')"
    for number in range(10):
        await connection.fetch(put, [f"k{number}"])
        await connection.fetch(change, [f"k{number}"])
        await connection.fetch(keep, [f"absent{number}"])
    await connection.fetch(
        "INSERT INTO isthmus.entry SELECT 'inbox', 'm' || n, 'x', 1, 9e9 "
        "FROM generate_series(1, $1::int) AS n",
        MANY,
    )
    async with connection.transaction():
        await connection.fetch(put, ["more"])
        await connection.fetch(change, ["more"])
        await connection.fetch(keep, ["absent"])
        assert await Session(connection, 0.0).rows_read("entry") < FEW
