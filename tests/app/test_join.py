"""A transaction that the user holds carries messages, and its commit wakes another process."""

import asyncio
import sqlite3
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from isthmus import App
from isthmus.errors import UnsupportedError
from isthmus.messaging import Queue

TAKER = Path(__file__).with_name("taker.py")
STOCK = text("insert into stock values ('lamp')")


class Shop:
    """One process that sends, another that takes, and the file between them."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.app = App("shop", engine=f"sqlite:///{file}?durability=normal")
        self.orders: Queue[str] = self.app.queue("orders", str)
        self._taker: asyncio.subprocess.Process | None = None

    async def open(self) -> None:
        await self.app.open()
        async with self.app.transaction() as tx:
            await tx.execute("create table stock (sku text)")
        self._taker = await asyncio.create_subprocess_exec(
            sys.executable,
            TAKER,
            self.app.settings.engine,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        await self.orders.send("hello")
        assert await self.taken() == "hello"  # it is up, and waits

    async def taken(self) -> str:
        """Return the next order that the other process handled."""
        assert self._taker is not None
        assert self._taker.stdout is not None
        return (await self._taker.stdout.readline()).decode().strip()

    async def stock(self) -> int:
        async with self.app.transaction() as tx:
            return len(await tx.fetch("select sku from stock"))

    async def waiting(self) -> int:
        """Return how many orders wait, or are held by the other process."""
        stats = await self.orders.stats()
        return stats.ready + stats.leased + stats.delayed

    async def close(self) -> None:
        assert self._taker is not None
        told, _ = await self._taker.communicate(b"")
        assert (told, self._taker.returncode) == (b"", 0), "it took what was rolled back"
        assert await self.waiting() == 0
        await self.app.aclose()


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    shop = Shop(tmp_path / "shop.db")
    await shop.open()
    yield shop
    await shop.close()


async def test_the_commit_of_a_sqlite3_connection_sends_and_wakes(shop: Shop) -> None:
    connection = sqlite3.connect(shop.file)
    connection.execute(str(STOCK))
    async with shop.app.join(connection):
        await shop.orders.send("mine")
    assert await shop.stock() == 0
    connection.commit()
    assert await shop.taken() == "mine"
    assert await shop.stock() == 1
    connection.close()


async def test_a_sqlite3_connection_that_rolls_back_sends_nothing(shop: Shop) -> None:
    connection = sqlite3.connect(shop.file)
    connection.execute(str(STOCK))
    async with shop.app.join(connection):
        await shop.orders.send("never")
    connection.rollback()
    connection.close()
    assert (await shop.stock(), await shop.waiting()) == (0, 0)


async def test_the_commit_of_a_session_sends_and_wakes(shop: Shop) -> None:
    engine = create_engine(f"sqlite:///{shop.file}")
    with Session(engine) as session:
        session.execute(STOCK)
        async with shop.app.join(session):
            await shop.orders.send("mine")
        session.commit()
        assert await shop.taken() == "mine"
        session.execute(STOCK)
        async with shop.app.join(session):
            await shop.orders.send("never")
        session.rollback()
    engine.dispose()
    assert await shop.stock() == 1


async def test_the_commit_of_an_async_session_sends_and_wakes(shop: Shop) -> None:
    engine = create_async_engine(f"sqlite+aiosqlite:///{shop.file}")
    async with AsyncSession(engine) as session:
        await session.execute(STOCK)
        async with shop.app.join(session):
            await shop.orders.send("mine")
        await session.commit()
        assert await shop.taken() == "mine"
        await session.execute(STOCK)
        async with shop.app.join(session):
            await shop.orders.send("never")
        await session.rollback()
    await engine.dispose()
    assert await shop.stock() == 1


async def test_an_error_inside_leaves_it_to_the_holder_what_becomes_of_all(shop: Shop) -> None:
    connection = sqlite3.connect(shop.file)
    for order in ("kept", "dropped"):
        connection.execute(str(STOCK))
        with pytest.raises(ValueError, match="changed my mind"):
            async with shop.app.join(connection):
                await shop.orders.send(order)
                raise ValueError("changed my mind")
        (connection.commit if order == "kept" else connection.rollback)()
    connection.close()
    assert await shop.taken() == "kept"
    assert await shop.stock() == 1


async def test_rows_written_through_the_joined_transaction_are_the_holders(shop: Shop) -> None:
    connection = sqlite3.connect(shop.file)
    async with shop.app.join(connection) as tx:
        await tx.execute(str(STOCK))
        assert len(await tx.fetch("select sku from stock")) == 1
    connection.rollback()
    connection.close()
    assert await shop.stock() == 0


async def test_a_connection_of_another_database_is_refused(shop: Shop, tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "other.db")
    with pytest.raises(UnsupportedError, match=r"other.db"):
        async with shop.app.join(connection):
            pass
    connection.close()
