"""A process dies of kill -9 while it works on a request: one effect, and the same answer."""

import asyncio
import sqlite3
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

PROGRAM = Path(__file__).with_name("charging.py")
PLACES = ["claimed", "writing", "handled", "committed", "answering"]


@asynccontextmanager
async def charging(database: Path, place: str = "nowhere") -> AsyncGenerator[str]:
    """Yield the address of a process that takes charges, until it is to die."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, PROGRAM, database, place, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        yield (await process.stdout.readline()).decode().strip()
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def charge(address: str, key: str) -> tuple[int, bytes]:
    """Send it until it is answered, as a client does that was told to come back."""
    async with aiohttp.ClientSession(address) as session:
        while True:
            headers = {"Idempotency-Key": key}
            async with session.post("/charges", json={"total": 100}, headers=headers) as answer:
                if answer.status != 409:
                    return answer.status, await answer.read()
                assert "Retry-After" in answer.headers


@pytest.mark.parametrize("place", PLACES)
async def test_a_request_whose_process_was_killed_happens_once(place: str, tmp_path: Path) -> None:
    database = tmp_path / "charging.db"
    async with asyncio.timeout(50):
        async with charging(database, place) as address:
            with pytest.raises(aiohttp.ClientError):
                await charge(address, "k")
        written = place in {"committed", "answering"}
        assert charged(database) == int(written)
        async with charging(database) as address:
            first, second = await charge(address, "k"), await charge(address, "k")
            assert first == second
            assert first[0] == 201
    assert charged(database) == 1


async def test_of_many_that_are_sent_at_once_one_happens(tmp_path: Path) -> None:
    database = tmp_path / "charging.db"
    async with (
        asyncio.timeout(50),
        charging(database) as one,
        charging(database) as other,
    ):
        answers = await asyncio.gather(*(charge(where, "k") for where in (one, other) * 10))
    assert len(set(answers)) == 1
    assert charged(database) == 1


def charged(database: Path) -> int:
    with sqlite3.connect(database) as connection:
        return connection.execute("select count(*) from charges").fetchone()[0]
