"""A connection or session that the user already holds carries what isthmus does."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import asyncpg
import psycopg
import pytest
import pytest_asyncio
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from isthmus.contracts import Ack, Lent, Put, Transaction
from isthmus.engines.postgres import PostgresEngine
from isthmus.errors import (
    ConfigError,
    ConflictError,
    LeaseLostError,
    StatementError,
    UnsupportedError,
)
from isthmus.message import Message

Rows = Callable[..., Awaitable[list[Any]]]

COUNTS = """
SELECT (SELECT count(*) FROM isthmus.slot), (SELECT count(*) FROM isthmus.record),
  (SELECT count(*) FROM isthmus.entry WHERE version > 0), (SELECT count(*) FROM paid)
"""


@pytest_asyncio.fixture(autouse=True)
async def declared(engine: PostgresEngine, rows: Rows) -> None:
    await engine.queue.declare("orders", "billing")
    await engine.log.declare("ledger")
    await rows("CREATE TABLE paid (id int PRIMARY KEY, total int NOT NULL)")


async def one_of_each(engine: PostgresEngine, tx: Transaction) -> None:
    await engine.queue.send("orders", [Message(body=b"a")], tx=tx)
    await engine.log.append("ledger", [Message(body=b"b")], tx=tx)
    await engine.store.put("inbox", [Put("c", b"1", if_version=0)], tx=tx)
    await tx.execute("INSERT INTO paid VALUES (:id, :total)", id=1, total=5)


def alchemy(url: str, driver: str) -> str:
    return url.replace("postgresql://", f"postgresql+{driver}://")


# --- each kind of connection


@pytest_asyncio.fixture
async def connection(url: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(url)
    yield connection
    await connection.close()


async def test_an_asyncpg_connection_carries_it(
    engine: PostgresEngine, connection: Any, rows: Rows
) -> None:
    async with connection.transaction():
        async with engine.store.adopt(connection) as tx:
            await one_of_each(engine, tx)
        assert await rows(COUNTS) == [(0, 0, 0, 0)]
    assert await rows(COUNTS) == [(1, 1, 1, 1)]


async def test_an_asyncpg_connection_of_a_pool_carries_it(
    engine: PostgresEngine, url: str, rows: Rows
) -> None:
    async with (
        asyncpg.create_pool(url, min_size=1, max_size=1) as pool,
        pool.acquire() as connection,
        connection.transaction(),
    ):
        await one_of_each(engine, engine.store.adopt(connection))
    assert await rows(COUNTS) == [(1, 1, 1, 1)]


async def test_a_psycopg_connection_carries_it(
    engine: PostgresEngine, url: str, rows: Rows
) -> None:
    async with await psycopg.AsyncConnection.connect(url) as connection:
        await one_of_each(engine, engine.store.adopt(connection))
        assert await rows(COUNTS) == [(0, 0, 0, 0)]
        await connection.commit()
    assert await rows(COUNTS) == [(1, 1, 1, 1)]


async def test_a_psycopg_connection_that_blocks_is_used_in_its_thread(
    engine: PostgresEngine, url: str, rows: Rows
) -> None:
    with ThreadPoolExecutor(1) as thread, psycopg.Connection.connect(url) as connection:

        async def run(does: Callable[[], Any]) -> Any:
            return await asyncio.wrap_future(thread.submit(does))

        await one_of_each(engine, engine.store.adopt(Lent(connection, run)))
        assert await rows(COUNTS) == [(0, 0, 0, 0)]
        await run(connection.commit)
    assert await rows(COUNTS) == [(1, 1, 1, 1)]


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
async def test_an_async_session_carries_it(
    engine: PostgresEngine, url: str, rows: Rows, driver: str
) -> None:
    alchemist = create_async_engine(alchemy(url, driver))
    async with AsyncSession(alchemist) as session:
        await one_of_each(engine, engine.store.adopt(session))
        await session.execute(text("INSERT INTO paid VALUES (2, 1)"))
        assert await rows(COUNTS) == [(0, 0, 0, 0)]
        await session.commit()
        await engine.queue.send("orders", [Message()], tx=engine.store.adopt(session))
        await session.rollback()
    await alchemist.dispose()
    assert await rows(COUNTS) == [(1, 1, 1, 2)]


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
async def test_an_async_connection_of_sqlalchemy_carries_it(
    engine: PostgresEngine, url: str, rows: Rows, driver: str
) -> None:
    alchemist = create_async_engine(alchemy(url, driver))
    async with alchemist.connect() as connection:
        await one_of_each(engine, engine.store.adopt(connection))
        assert await rows(COUNTS) == [(0, 0, 0, 0)]
        await connection.commit()
    await alchemist.dispose()
    assert await rows(COUNTS) == [(1, 1, 1, 1)]


async def test_a_session_that_blocks_carries_it(
    engine: PostgresEngine, url: str, rows: Rows
) -> None:
    alchemist = create_engine(alchemy(url, "psycopg"))
    with Session(alchemist) as session:
        await one_of_each(engine, engine.store.adopt(session))
        assert await rows(COUNTS) == [(0, 0, 0, 0)]
        session.commit()
    alchemist.dispose()
    assert await rows(COUNTS) == [(1, 1, 1, 1)]


# --- what is refused


async def test_what_is_no_connection_is_refused(engine: PostgresEngine) -> None:
    with pytest.raises(UnsupportedError, match="psycopg 3"):
        engine.store.adopt(object())


async def test_another_database_is_refused(engine: PostgresEngine, server: Any) -> None:
    other = server.create()
    connection = await asyncpg.connect(server.url(other))
    async with connection.transaction():
        with pytest.raises(UnsupportedError, match="same database"):
            await one_of_each(engine, engine.store.adopt(connection))
    await connection.close()
    server.drop(other)


async def test_a_database_without_our_tables_is_refused(
    engine: PostgresEngine, server: Any
) -> None:
    connection = await asyncpg.connect(server.url("postgres"))
    async with connection.transaction():
        with pytest.raises(UnsupportedError, match="not to postgresql://"):
            await one_of_each(engine, engine.store.adopt(connection))
    await connection.close()


async def test_a_connection_that_commits_each_statement_is_refused(
    engine: PostgresEngine, connection: Any, url: str
) -> None:
    with pytest.raises(ConfigError, match="commits every statement"):
        await engine.queue.send("orders", [Message()], tx=engine.store.adopt(connection))
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as other:
        with pytest.raises(ConfigError, match="commits every statement"):
            await engine.queue.send("orders", [Message()], tx=engine.store.adopt(other))


async def test_after_their_commit_it_has_ended(engine: PostgresEngine, connection: Any) -> None:
    tx = engine.store.adopt(connection)
    async with connection.transaction():
        await engine.queue.send("orders", [Message()], tx=tx)
    with pytest.raises(ConfigError, match="join again"):
        await engine.queue.send("orders", [Message()], tx=tx)


async def test_after_its_own_end_it_refuses_use(engine: PostgresEngine, connection: Any) -> None:
    async with connection.transaction():
        async with engine.store.adopt(connection) as tx:
            pass
        with pytest.raises(ConfigError, match="outlived"):
            await tx.execute("SELECT 1")


# --- what it does


async def test_it_goes_when_they_roll_back(
    engine: PostgresEngine, connection: Any, rows: Rows
) -> None:
    transaction = connection.transaction()
    await transaction.start()
    await one_of_each(engine, engine.store.adopt(connection))
    await transaction.rollback()
    assert await rows(COUNTS) == [(0, 0, 0, 0)]


@pytest.mark.parametrize("driver", ["asyncpg", "psycopg"])
async def test_what_is_refused_undoes_only_itself(
    engine: PostgresEngine, connection: Any, url: str, rows: Rows, driver: str
) -> None:
    await engine.store.put("inbox", [Put("taken", b"1")])
    receiver = await engine.queue.receiver("orders", "billing", limit=1, lease=10)
    other = await psycopg.AsyncConnection.connect(url)
    begun = connection.transaction()
    await begun.start()
    tx = engine.store.adopt(connection if driver == "asyncpg" else other)
    await one_of_each(engine, tx)
    with pytest.raises(StatementError, match="paid_pkey"):
        await tx.execute("INSERT INTO paid VALUES (1, 1)")
    with pytest.raises(StatementError, match="nowhere"):
        await tx.fetch("SELECT * FROM nowhere")
    with pytest.raises(ConflictError) as caught:
        await engine.store.put("inbox", [Put("taken", b"2", if_version=0)], tx=tx)
    assert caught.value.subject == "inbox/taken"
    with pytest.raises(LeaseLostError) as lost:
        await receiver.settle([Ack("nonsense")], tx=tx)
    assert lost.value.lost == ("nonsense",)
    await begun.commit()
    await other.commit()
    await other.close()
    assert await rows(COUNTS) == [(1, 1, 2, 1)]


async def test_statements_run_on_their_connection(engine: PostgresEngine, connection: Any) -> None:
    async with connection.transaction():
        tx = engine.store.adopt(connection)
        rows = [{"id": id_, "total": id_} for id_ in range(3)]
        assert await tx.execute_many("INSERT INTO paid VALUES (:id, :total)", rows) == 3
        assert await tx.execute("UPDATE paid SET total = 9 WHERE id > :id", id=0) == 2
        await tx.defer("DELETE FROM paid WHERE id = :id", id=2)
        assert await connection.fetchval("SELECT count(*) FROM paid") == 2
        (row,) = await tx.fetch("SELECT id, total FROM paid WHERE id = :id", id=1)
        assert (row.id, row.total) == (1, 9)
        assert await tx.execute("CREATE TABLE other (id int)") == -1


async def test_their_commit_wakes_who_waits(engine: PostgresEngine, connection: Any) -> None:
    receiver = await engine.queue.receiver("orders", "billing", limit=1, lease=10)
    waiting = asyncio.create_task(receiver.receive(1, wait=3600))
    async with connection.transaction():
        await engine.queue.send("orders", [Message(body=b"a")], tx=engine.store.adopt(connection))
        assert not waiting.done()
    async with asyncio.timeout(10):
        assert [each.message.body for each in await waiting] == [b"a"]


async def test_what_it_read_stays_until_they_commit(
    engine: PostgresEngine, connection: Any
) -> None:
    await engine.store.put("inbox", [Put("a", b"1")])
    async with connection.transaction():
        tx = engine.store.adopt(connection)
        assert (await engine.store.get("inbox", ["a", "absent"], tx=tx))["a"].value == b"1"
        changing = asyncio.gather(
            engine.store.put("inbox", [Put("a", b"2")]),
            engine.store.put("inbox", [Put("absent", b"2")]),
        )
        found = await engine.store.get("inbox", ["a", "absent"], tx=tx)
        assert {key: entry.value for key, entry in found.items()} == {"a": b"1"}
        assert not changing.done()
    await changing


async def test_what_their_transaction_settled_makes_room_once_it_is_asked_for(
    engine: PostgresEngine, connection: Any
) -> None:
    await engine.queue.send("orders", [Message(body=b"a"), Message(body=b"b")])
    receiver = await engine.queue.receiver("orders", "billing", limit=1, lease=10)
    (a,) = await receiver.receive(1, wait=0)
    async with connection.transaction():
        await receiver.settle([Ack(a.receipt)], tx=engine.store.adopt(connection))
        assert not await receiver.receive(1, wait=0)
    (b,) = await receiver.receive(1, wait=0)
    assert b.message.body == b"b"
