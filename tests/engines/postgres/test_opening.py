"""The engine's tables are made once, whoever comes first, and change going forward only."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import asyncpg
import pytest
import pytest_asyncio

from isthmus.connect import connect
from isthmus.engines.postgres.database.migrations import Migration, upgrade
from isthmus.engines.postgres.schema import MIGRATIONS
from isthmus.errors import ConfigError

Rows = Callable[..., Awaitable[list[Any]]]


@pytest.fixture
def database(server: Any) -> Iterator[str]:
    """One that has no tables of ours."""
    name = server.create(template="template1")
    yield name
    server.drop(name)


@pytest_asyncio.fixture
async def connection(url: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(url)
    yield connection
    await connection.close()


def adding(version: int, *, serves: int = 1) -> Migration:
    return Migration(version, f"CREATE TABLE isthmus.extra_{version} (id int)", serves)


async def test_many_that_come_first_make_the_tables_once(url: str, rows: Rows) -> None:
    engines = await asyncio.gather(*(connect(url) for _ in range(5)))
    for engine in engines:
        assert engine.store is not None
        assert not await engine.store.scan("inbox")
        await engine.aclose()
    assert await rows("SELECT version FROM isthmus.migration") == [(MIGRATIONS[-1].version,)]
    assert len(await rows("SELECT id FROM isthmus.identity")) == 1


async def test_what_is_missing_is_applied_in_order(connection: Any, rows: Rows) -> None:
    await upgrade(connection, MIGRATIONS)
    newest = MIGRATIONS[-1].version
    await upgrade(connection, (*MIGRATIONS, adding(newest + 1), adding(newest + 2)))
    assert await rows("SELECT count(*) FROM isthmus.migration") == [(newest + 2,)]


async def test_an_older_process_works_beside_a_newer_one(connection: Any, url: str) -> None:
    older = await connect(url)
    await upgrade(connection, (*MIGRATIONS, adding(MIGRATIONS[-1].version + 1)))
    again = await connect(url)
    for engine in (older, again):
        assert engine.queue is not None
        await engine.queue.declare("orders", "billing")
        await engine.aclose()


async def test_a_process_that_is_too_old_is_told_to_be_upgraded(connection: Any, url: str) -> None:
    newer = MIGRATIONS[-1].version + 1
    await upgrade(connection, (*MIGRATIONS, adding(newer, serves=newer)))
    with pytest.raises(ConfigError, match="upgrade it"):
        await connect(url)


async def test_a_migration_that_fails_leaves_nothing(connection: Any, rows: Rows) -> None:
    await upgrade(connection, MIGRATIONS)
    version = MIGRATIONS[-1].version + 1
    broken = Migration(version, "CREATE TABLE isthmus.half (id int); SELECT nonsense", 1)
    with pytest.raises(asyncpg.UndefinedColumnError):
        await upgrade(connection, (*MIGRATIONS, broken))
    assert await rows("SELECT to_regclass('isthmus.half')") == [(None,)]
    assert await rows("SELECT max(version) FROM isthmus.migration") == [(version - 1,)]


async def test_who_may_not_create_them_opens_what_is_there(
    connection: Any, url: str, database: str
) -> None:
    await (await connect(url)).aclose()
    await connection.execute(f"CREATE ROLE worker_{database} LOGIN")
    await connection.execute(
        f"GRANT USAGE ON SCHEMA isthmus TO worker_{database};"
        f"GRANT ALL ON ALL TABLES IN SCHEMA isthmus TO worker_{database}"
    )
    engine = await connect(url.replace("postgres@", f"worker_{database}@"))
    assert engine.queue is not None
    await engine.queue.declare("orders", "billing")
    await engine.aclose()
    await connection.execute(f"DROP OWNED BY worker_{database}; DROP ROLE worker_{database}")


async def test_other_encodings_are_refused(server: Any) -> None:
    server.run("CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0")
    with pytest.raises(ConfigError, match="LATIN1"):
        await connect(server.url("latin"))
    server.drop("latin")


@pytest.mark.parametrize("options", ["", "?durability=normal"])
async def test_durability_is_what_the_server_gives(url: str, options: str) -> None:
    engine = await connect(f"{url}{options}")
    assert engine.store is not None
    assert engine.store.capabilities.durable == "process"  # the tests' server runs without fsync
    await engine.aclose()


async def test_both_schemes_and_drivers_names_open_it(url: str) -> None:
    scopes = set[str]()
    for scheme in ("postgres", "postgresql", "postgresql+asyncpg"):
        engine = await connect(url.replace("postgresql", scheme, 1))
        assert engine.store is not None
        scopes.add(engine.store.capabilities.scope)
        await engine.aclose()
    assert len(scopes) == 1


async def test_claims_wait_for_no_disk_and_what_is_sent_does(connection: Any) -> None:
    await upgrade(connection, MIGRATIONS)
    commits = "current_setting('synchronous_commit')"
    claim = f"SELECT {commits} FROM isthmus.claim(1, 1, 1, 0, 10)"
    assert await connection.fetchval(claim) == "off"
    send = f"SELECT isthmus.send('{{}}', '{{}}', '{{}}', '{{}}', '{{}}', '{{}}', 0), {commits}"
    assert (await connection.fetchrow(send))[1] == "on"


async def test_every_function_of_ours_goes_by_indices(connection: Any) -> None:
    await upgrade(connection, MIGRATIONS)
    found = await connection.fetch(
        "SELECT proname FROM pg_proc WHERE pronamespace = 'isthmus'::regnamespace "
        "AND NOT coalesce(proconfig @> ARRAY['enable_seqscan=off'], false)"
    )
    assert found == []
