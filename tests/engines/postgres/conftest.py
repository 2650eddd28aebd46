"""A database of its own for each test, on the real server of the run."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest
import pytest_asyncio
from tests.postgres import Server

from isthmus.clock import ManualClock
from isthmus.connect import connect
from isthmus.contracts import LogEngine, QueueEngine, StoreEngine

Rows = Callable[..., Awaitable[list[Any]]]


@pytest.fixture
def database(server: Server) -> Iterator[str]:
    """The name of a database with nothing in it but the engine's empty tables."""
    name = server.create()
    yield name
    server.drop(name)


@pytest.fixture
def url(server: Server, database: str) -> str:
    return server.url(database)


@pytest.fixture
def rows(url: str) -> Rows:
    """What a stranger sees in the database."""
    import asyncpg

    async def fetch(sql: str, *values: Any) -> list[Any]:
        connection = await asyncpg.connect(url)
        try:
            return [tuple(row) for row in await connection.fetch(sql, *values)]
        finally:
            await connection.close()

    return fetch


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest_asyncio.fixture
async def engine(url: str, clock: ManualClock) -> AsyncIterator[Any]:
    """The three contracts, on a clock that the test moves."""
    engine = await connect(url, clock=clock)
    yield engine
    await engine.aclose()


@pytest.fixture
def queue(engine: Any) -> QueueEngine:
    return engine.queue


@pytest.fixture
def log(engine: Any) -> LogEngine:
    return engine.log


@pytest.fixture
def store(engine: Any) -> StoreEngine:
    return engine.store
