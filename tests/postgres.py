"""The real server of a run of tests: databases are made from one, and dropped."""

import asyncio
from itertools import count

import psycopg

from isthmus.clock import ManualClock, SystemClock
from isthmus.connect import connect
from isthmus.testing.servers.postgres import PostgresServer

__all__ = ["Server"]

QUIET = ("dynamic_shared_memory_type=mmap", "autovacuum=off")
FIRST = "isthmus_first"


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

    def run(self, sql: str, database: str = "postgres") -> None:
        """Run statements as the superuser."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            connection.execute(sql.encode())

    def prepare(self) -> None:
        """Make the database that all others are copied from: it has the engine's tables."""
        self.run(f"CREATE DATABASE {FIRST}")
        asyncio.run(self._open_and_close())

    def create(self, template: str = FIRST) -> str:
        name = f"shop_{next(self._numbers)}"
        self.run(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    def drop(self, name: str) -> None:
        self.run(f"DROP DATABASE {name} WITH (FORCE)")

    async def _open_and_close(self) -> None:
        await (await connect(self.url(FIRST), clock=ManualClock())).aclose()
