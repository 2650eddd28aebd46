"""Several processes of one App on one memory database, on one clock: started, drained, killed."""

import asyncio
import itertools
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import pytest

from isthmus import App
from isthmus.clock import Clock, ManualClock
from isthmus.connect import connect
from isthmus.contracts import Engine
from isthmus.errors import IsthmusError
from isthmus.handling.running.opening import opened
from isthmus.settings import Settings
from isthmus.testing import Chaos, Chaotic, Fault

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
        host = self.app.declarations.host
        await host.engine.aclose()
        await host.state.aclose()
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
    """`storm` is what befalls the engine's calls of those that are up."""

    def __init__(
        self, declare: Callable[[App], object], *, session: float = 6.0, apart: bool = False
    ) -> None:
        """`apart`: the store is another database than the engine's."""
        self.clock = ManualClock()
        self.storm: Callable[[], Fault] = lambda: Fault.NONE
        self._engine = f"memory://processes-{next(_databases)}"
        self._store = f"{self._engine}-store" if apart else self._engine
        self._settings = Settings(session=session, port=0)
        self._declare = declare
        self.up: list[Process] = []
        self.keeper = self._app(declare)  # opened, not run: keeps the database when none is up

    async def start(self) -> Process:
        """Start one more process; at first, `keeper` has to be open."""
        process = Process(self._app(self._declare), self.clock)
        storm, self.storm = self.storm, lambda: Fault.NONE  # an App that cannot open ends
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                "isthmus.handling.running.opening.opened", partial(opened, connect=self._connect)
            )
            await process.start()
        assert isinstance(process.app.declarations.host.engine, Chaotic)
        self.storm = storm
        self.up.append(process)
        return process

    async def drain(self, process: Process) -> None:
        self.up.remove(process)
        await process.drain()

    async def kill(self, process: Process) -> None:
        self.up.remove(process)
        await process.kill()

    async def _connect(self, url: str, *, clock: Clock) -> Engine:
        weather = (self.storm() for _ in itertools.count())
        return Chaotic(await connect(url, clock=clock), Chaos(weather, clock=clock, delay=0.05))

    def _app(self, declare: Callable[[App], object]) -> App:
        app = App(
            "shop",
            engine=self._engine,
            store=self._store,
            settings=self._settings,
            clock=self.clock,
        )
        declare(app)
        return app


@pytest.fixture
def processes() -> type[Processes]:
    return Processes
