"""A connection or session that the user already holds carries what isthmus does."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from isthmus.engines.sqlite.database.database import Connection, Database
from isthmus.errors import (
    ConfigError,
    ConflictError,
    LeaseLostError,
    StatementError,
    UnsupportedError,
)

Rows = Callable[[str], list[Any]]


def add(id_: int) -> Callable[[Connection], None]:
    def work(at: Connection) -> None:
        at.execute("INSERT INTO paid VALUES (?, 1)", (id_,))
        at.wake("paid")

    return work


def add_all(at: Connection, ids: list[int]) -> list[None]:
    at.executemany("INSERT INTO paid VALUES (?, 2)", [(id_,) for id_ in ids])
    return [None for _ in ids]


# --- sqlite3


@pytest.fixture
def connection(database: Database, path: Path) -> Any:
    connection = sqlite3.connect(path)
    yield connection
    connection.close()


async def test_it_leaves_when_their_connection_commits(
    database: Database, connection: sqlite3.Connection, rows: Rows
) -> None:
    connection.execute("INSERT INTO stock VALUES ('a', 1)")
    tx = database.adopt(connection)
    await database.write(add(1), tx=tx)
    await database.merge(add_all, 2, tx=tx)
    await tx.commit()
    assert rows("SELECT * FROM paid") == []
    connection.commit()
    assert rows("SELECT id FROM paid") == [(1,), (2,)]


async def test_it_goes_when_their_connection_rolls_back(
    database: Database, connection: sqlite3.Connection, rows: Rows
) -> None:
    async with database.adopt(connection) as tx:
        await database.write(add(1), tx=tx)
    connection.rollback()
    assert rows("SELECT * FROM paid") == []


async def test_where_nothing_is_begun_their_commit_still_decides(
    database: Database, connection: sqlite3.Connection, rows: Rows
) -> None:
    await database.write(add(1), tx=database.adopt(connection))
    assert rows("SELECT * FROM paid") == []
    connection.commit()
    assert rows("SELECT id FROM paid") == [(1,)]


async def test_statements_run_on_their_connection(
    database: Database, connection: sqlite3.Connection
) -> None:
    tx = database.adopt(connection)
    assert await tx.execute("insert into paid values (:id, :total)", id=1, total=5) == 1
    assert connection.execute("SELECT * FROM paid").fetchall() == [(1, 5)]
    (row,) = await tx.fetch("select * from paid")
    assert (row.id, row.total) == (1, 5)
    with pytest.raises(StatementError, match="UNIQUE"):
        await tx.execute("insert into paid values (1, 1)")
    connection.rollback()


async def test_reads_see_what_they_wrote(
    database: Database, connection: sqlite3.Connection
) -> None:
    connection.execute("INSERT INTO paid VALUES (7, 7)")
    tx = database.adopt(connection)
    found = await database.read(lambda at: at.execute("SELECT id FROM paid").fetchall(), tx=tx)
    assert found == [(7,)]
    connection.rollback()


async def test_their_commit_wakes_who_waits(
    database: Database, connection: sqlite3.Connection
) -> None:
    async def probe() -> tuple[list[Any], float]:
        look = database.read(lambda at: at.execute("SELECT id FROM paid").fetchall())
        return await look, float("inf")

    waiting = asyncio.create_task(database.until(probe, channel="paid", wait=3600))
    await database.write(add(1), tx=database.adopt(connection))
    connection.commit()
    assert await waiting == [(1,)]


async def test_work_that_raises_is_undone_and_the_rest_stays(
    database: Database, connection: sqlite3.Connection, rows: Rows
) -> None:
    def lose(at: Connection) -> None:
        add(2)(at)
        raise LeaseLostError(["r1"])

    tx = database.adopt(connection)
    await database.write(add(1), tx=tx)
    with pytest.raises(LeaseLostError):
        await database.write(lose, tx=tx)
    connection.commit()
    assert rows("SELECT id FROM paid") == [(1,)]


async def test_a_transaction_that_read_too_early_is_a_conflict(
    database: Database, connection: sqlite3.Connection
) -> None:
    connection.isolation_level = None
    connection.execute("BEGIN")
    connection.execute("SELECT * FROM paid").fetchall()
    await database.write(add(1))
    with pytest.raises(ConflictError, match="BEGIN IMMEDIATE"):
        await database.write(add(2), tx=database.adopt(connection))
    connection.execute("ROLLBACK")


async def test_a_connection_that_commits_each_statement_is_refused(
    database: Database, path: Path
) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    with pytest.raises(ConfigError, match="BEGIN IMMEDIATE"):
        await database.write(add(1), tx=database.adopt(connection))
    connection.execute("BEGIN IMMEDIATE")
    await database.write(add(1), tx=database.adopt(connection))
    connection.execute("COMMIT")
    connection.close()


async def test_after_their_commit_it_has_ended(
    database: Database, connection: sqlite3.Connection
) -> None:
    tx = database.adopt(connection)
    await database.write(add(1), tx=tx)
    connection.commit()
    with pytest.raises(ConfigError, match="join again"):
        await database.write(add(2), tx=tx)


async def test_after_its_own_end_it_refuses_use(
    database: Database, connection: sqlite3.Connection
) -> None:
    tx = database.adopt(connection)
    await tx.commit()
    with pytest.raises(ConfigError, match="outlived"):
        await tx.execute("select 1")


async def test_another_file_is_refused(database: Database, tmp_path: Path) -> None:
    for name in (str(tmp_path / "other.db"), ":memory:"):
        connection = sqlite3.connect(name)
        with pytest.raises(UnsupportedError, match="same file"):
            database.adopt(connection)
        connection.close()


async def test_the_same_file_by_another_name_is_taken(
    database: Database, path: Path, tmp_path: Path, rows: Rows
) -> None:
    (tmp_path / "link.db").symlink_to(path)
    connection = sqlite3.connect(tmp_path / "link.db")
    await database.write(add(1), tx=database.adopt(connection))
    connection.commit()
    connection.close()
    assert rows("SELECT id FROM paid") == [(1,)]


async def test_a_connection_of_another_thread_is_refused(database: Database, path: Path) -> None:
    with ThreadPoolExecutor(1) as thread:
        connection = thread.submit(sqlite3.connect, path).result()
        with pytest.raises(UnsupportedError, match="thread"):
            database.adopt(connection)
        thread.submit(connection.close).result()


async def test_what_is_no_connection_is_refused(database: Database) -> None:
    with pytest.raises(UnsupportedError, match=r"sqlite3\.Connection"):
        database.adopt(object())


async def test_writers_wait_while_they_hold_the_file(
    database: Database, connection: sqlite3.Connection, rows: Rows
) -> None:
    await database.write(add(1), tx=database.adopt(connection))
    other = asyncio.ensure_future(database.write(add(2)))
    await database.read(lambda at: at.execute("SELECT 1"))
    connection.commit()
    await other
    assert rows("SELECT id FROM paid") == [(1,), (2,)]


# --- SQLAlchemy


async def test_a_sqlalchemy_connection_carries_it(
    database: Database, path: Path, rows: Rows
) -> None:
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        async with database.adopt(connection) as tx:
            await database.write(add(1), tx=tx)
            await tx.execute("insert into stock values (:sku, 1)", sku="a")
        assert rows("SELECT * FROM paid") == []
        connection.commit()
    assert rows("SELECT * FROM paid, stock") == [(1, 1, "a", 1)]
    with engine.connect() as connection:
        connection.execute(text("insert into stock values ('b', 1)"))
        await database.write(add(2), tx=database.adopt(connection))
    engine.dispose()
    assert rows("SELECT * FROM paid, stock") == [(1, 1, "a", 1)]


async def test_a_sqlalchemy_session_carries_it(database: Database, path: Path, rows: Rows) -> None:
    engine = create_engine(f"sqlite:///{path}")
    with Session(engine) as session:
        session.execute(text("insert into stock values ('a', 1)"))
        await database.merge(add_all, 1, tx=database.adopt(session))
        assert rows("SELECT * FROM paid") == []
        session.commit()
        await database.merge(add_all, 2, tx=database.adopt(session))
        session.rollback()
    engine.dispose()
    assert rows("SELECT id, sku FROM paid, stock") == [(1, "a")]


@pytest_asyncio.fixture
async def aengine(database: Database, path: Path) -> AsyncIterator[AsyncEngine]:
    engine = create_async_engine(f"sqlite+aiosqlite:///{path}")
    yield engine
    await engine.dispose()


async def test_a_session_on_another_file_is_refused(database: Database, tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path}/other.db")
    with Session(engine) as session, pytest.raises(UnsupportedError, match="same file"):
        await database.write(add(1), tx=database.adopt(session))
    engine.dispose()


async def test_an_async_connection_carries_it(
    database: Database, aengine: AsyncEngine, rows: Rows
) -> None:
    async with aengine.connect() as connection:
        await connection.execute(text("insert into stock values ('a', 1)"))
        async with database.adopt(connection) as tx:
            await database.write(add(1), tx=tx)
            assert await tx.fetch("select id from paid") == [(1,)]
        assert rows("SELECT * FROM paid") == []
        await connection.commit()
    assert rows("SELECT id, sku FROM paid, stock") == [(1, "a")]


async def test_an_async_session_carries_it(
    database: Database, aengine: AsyncEngine, rows: Rows
) -> None:
    async with AsyncSession(aengine) as session:
        async with session.begin():
            tx = database.adopt(session)
            await database.write(add(1), tx=tx)
            await database.merge(add_all, 2, tx=tx)
            await session.execute(text("insert into stock values ('a', 1)"))
            with pytest.raises(StatementError, match="no such table"):
                await tx.execute("insert into nowhere values (1)")
        assert rows("SELECT id, sku FROM paid, stock") == [(1, "a"), (2, "a")]
        await database.write(add(3), tx=database.adopt(session))
        await session.rollback()
    assert rows("SELECT id FROM paid") == [(1,), (2,)]


async def test_an_async_session_s_commit_wakes_who_waits(
    database: Database, aengine: AsyncEngine
) -> None:
    async def probe() -> tuple[list[Any], float]:
        look = database.read(lambda at: at.execute("SELECT id FROM paid").fetchall())
        return await look, float("inf")

    waiting = asyncio.create_task(database.until(probe, channel="paid", wait=3600))
    async with AsyncSession(aengine) as session:
        await database.write(add(1), tx=database.adopt(session))
        await session.commit()
        assert await waiting == [(1,)]


async def test_many_sessions_and_writers_take_turns(
    database: Database, aengine: AsyncEngine, rows: Rows
) -> None:
    async def theirs(id_: int) -> None:
        async with AsyncSession(aengine) as session:
            await database.write(add(id_), tx=database.adopt(session))
            await session.commit()

    ours = [database.write(add(100 + id_)) for id_ in range(20)]
    await asyncio.gather(*(theirs(id_) for id_ in range(10)), *ours)
    assert rows("SELECT count(*) FROM paid") == [(30,)]
