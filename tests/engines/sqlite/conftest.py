"""A database with two tables of a user's, opened as often as a test asks."""

import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from isthmus.clock import Clock, ManualClock, SystemClock
from isthmus.connect import connect
from isthmus.contracts import LogEngine, QueueEngine, StoreEngine
from isthmus.engines.sqlite import SqliteEngine
from isthmus.engines.sqlite.address import Address
from isthmus.engines.sqlite.database.database import Database

TABLES = """
CREATE TABLE IF NOT EXISTS paid (id INTEGER PRIMARY KEY, total INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS stock (sku TEXT PRIMARY KEY, left INTEGER NOT NULL CHECK (left >= 0));
"""

Opening = Callable[..., Awaitable[Database]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return (tmp_path / "shop.db").resolve()


@pytest_asyncio.fixture
async def opening(path: Path) -> AsyncIterator[Opening]:
    """Open the file once more; all are closed when the test ends."""
    opened: list[Database] = []

    async def open_(*, clock: Clock | None = None, **options: Any) -> Database:
        address = Address(path=path, **{"durability": "process", **options})
        database = await Database.open(address, clock=clock or SystemClock(), tables=[TABLES])
        opened.append(database)
        return database

    yield open_
    for database in opened:
        await database.aclose()


@pytest_asyncio.fixture
async def database(opening: Opening) -> Database:
    return await opening()


@pytest.fixture
def rows(path: Path) -> Callable[[str], list[Any]]:
    """What a stranger sees in the file."""

    def fetch(sql: str) -> list[Any]:
        connection = sqlite3.connect(path)
        try:
            return connection.execute(sql).fetchall()
        finally:
            connection.close()

    return fetch


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest_asyncio.fixture
async def engine(path: Path, clock: ManualClock) -> AsyncIterator[SqliteEngine]:
    """The three contracts, on a clock that the test moves."""
    engine = await connect(f"sqlite:///{path}?durability=normal", clock=clock)
    assert isinstance(engine, SqliteEngine)
    yield engine
    await engine.aclose()


@pytest.fixture
def queue(engine: SqliteEngine) -> QueueEngine:
    return engine.queue


@pytest.fixture
def log(engine: SqliteEngine) -> LogEngine:
    return engine.log


@pytest.fixture
def store(engine: SqliteEngine) -> StoreEngine:
    return engine.store
