"""Several processes of one App on one memory database, on one clock: started, drained, killed."""

import asyncio
import itertools
from collections.abc import Callable
from contextlib import suppress

import pytest

from isthmus import App
from isthmus.clock import ManualClock
from isthmus.errors import IsthmusError
from isthmus.settings import Settings

_databases = itertools.count(1)


class Process:
    def __init__(self, app: App, clock: ManualClock) -> None:
        self.app, self._clock = app, clock
        self._running: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._running = asyncio.create_task(self.app.run())
        await self._clock.settle(200)

    async def drain(self) -> None:
        await self.app.drain()
        while not self._task.done():
            await self._clock.advance(0.5)
        await self._task

    async def kill(self) -> None:
        """End it as SIGKILL would: nothing of it reaches the database any more."""
        await self.app.declarations.host.engine.aclose()
        self._task.cancel()
        with suppress(asyncio.CancelledError, IsthmusError, ExceptionGroup):
            while not self._task.done():
                await self._clock.advance(0.1)
            await self._task

    @property
    def _task(self) -> asyncio.Task[None]:
        assert self._running is not None
        return self._running


class Processes:
    def __init__(self, declare: Callable[[App], object], *, session: float = 6.0) -> None:
        self.clock = ManualClock()
        self._engine = f"memory://processes-{next(_databases)}"
        self._settings = Settings(session=session, port=0)
        self._declare = declare
        self.up: list[Process] = []
        self.keeper = self._app(declare)  # opened, not run: keeps the database when none is up

    async def start(self) -> Process:
        """Start one more process; at first, `keeper` has to be open."""
        process = Process(self._app(self._declare), self.clock)
        await process.start()
        self.up.append(process)
        return process

    async def drain(self, process: Process) -> None:
        self.up.remove(process)
        await process.drain()

    async def kill(self, process: Process) -> None:
        self.up.remove(process)
        await process.kill()

    def _app(self, declare: Callable[[App], object]) -> App:
        app = App("shop", engine=self._engine, settings=self._settings, clock=self.clock)
        declare(app)
        return app


@pytest.fixture
def processes() -> type[Processes]:
    return Processes
