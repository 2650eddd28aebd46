"""Schedules over real processes that are killed: each moment once, none lost."""

import asyncio
import itertools
import os
import sqlite3
import sys
from contextlib import closing, suppress
from pathlib import Path
from typing import Self

PROGRAM = """
import asyncio, sys
from isthmus import App, Tick, Transaction

app = App("shop", engine=f"sqlite:///{sys.argv[1]}")
app.migrations(sys.argv[2])

@app.schedule("beat", every=0.1, catch_up="all", lease=1)
async def beat(tick: Tick, tx: Transaction) -> None:
    await tx.execute("insert into beats values (:at)", at=tick.due_at)
    print("beat", flush=True)

asyncio.run(app.run())
"""


class Processes:
    """Two processes on one file, and what they print."""

    def __init__(self, *arguments: Path) -> None:
        self._arguments = arguments
        self._running: list[asyncio.subprocess.Process] = []
        self._printed = asyncio.StreamReader()

    async def __aenter__(self) -> Self:
        read, self._write = os.pipe()
        loop, pipe = asyncio.get_running_loop(), os.fdopen(read)
        self._transport, _ = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(self._printed), pipe
        )
        self._running = [await self._begin(), await self._begin()]
        return self

    async def beats(self, count: int) -> None:
        for _ in range(count):
            await self._printed.readline()

    async def replace_one(self) -> None:
        await self._kill()
        self._running.append(await self._begin())

    async def __aexit__(self, *_: object) -> None:
        while self._running:
            await self._kill()
        os.close(self._write)
        self._transport.close()

    async def _begin(self) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-c", PROGRAM, *map(str, self._arguments), stdout=self._write
        )

    async def _kill(self) -> None:
        process = self._running.pop(0)
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def test_each_moment_runs_once_though_processes_are_killed(tmp_path: Path) -> None:
    (tmp_path / "1.sql").write_text("create table beats (at real)")
    async with Processes(tmp_path / "shop.db", tmp_path) as processes:
        for _ in range(4):
            await processes.beats(5)
            await processes.replace_one()
        await processes.beats(10)
    with closing(sqlite3.connect(tmp_path / "shop.db")) as connection:
        found = [at for (at,) in connection.execute("select at from beats order by at")]
    steps = [round((after - before) * 10) for before, after in itertools.pairwise(found)]
    assert len(steps) > 15
    assert steps == [1] * len(steps), "0 would be a moment that ran twice, 2 one that was lost"
