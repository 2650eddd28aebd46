"""A process of the App under simulation: opened, run, drained, or gone at once."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, TypeVar

from isthmus.app import App
from isthmus.clock import Clock
from isthmus.connect import connect
from isthmus.contracts import Engine
from isthmus.errors import IsthmusError
from isthmus.handling.host import Host
from isthmus.handling.running.opening import opened
from isthmus.handling.running.runtime import Runtime
from isthmus.settings import Settings
from isthmus.testing.chaos import Chaotic
from isthmus.testing.simulation.weather import Weather
from isthmus.testing.simulation.world import World

__all__ = ["Process", "Wrap"]

T = TypeVar("T")

Wrap = Callable[[Engine], Engine]
"""What is put around the engine of each process, below the weather."""

SERVER = "http"
"""The worker that is left out: sockets know nothing of virtual time."""


class Process(Generic[T]):
    """One process, on the database `engine`; `declared` is what declaring the App gave."""

    def __init__(
        self,
        world: World,
        name: str,
        declare: Callable[[App], T],
        *,
        settings: Settings,
        weather: Weather,
        wrap: Wrap,
        before: Callable[[App, str], None],
    ) -> None:
        self._world, self.name, self.weather, self._wrap = world, name, weather, wrap
        self.app = App("simulation", settings=settings, clock=world.clock)
        before(self.app, name)
        self.declared = declare(self.app)
        self._opening = opened(
            self.app.name,
            self.app.declarations,
            self.app.settings,
            world.clock,
            self.app.signals,
            connect=self._connect,
            draw=world.random.random,
        )
        self._runtime: Runtime | None = None
        self._running: asyncio.Task[None] | None = None

    async def open(self) -> Host:
        self.host: Host = await self._opening.__aenter__()
        return self.host

    async def start(self) -> None:
        """Open it, and let it work."""
        await self.open()
        self._runtime = Runtime(self.app.declarations, self.host, apart={SERVER})
        self._running = asyncio.create_task(self._runtime.run())
        await self._runtime.ready.wait()
        self._world.note(self.name, "started")

    async def drain(self) -> None:
        """End it in order."""
        self._world.note(self.name, "drains")
        if self._runtime is not None and self._running is not None:
            await self._runtime.drain()
            await self._over(self._running, pause=1.0)
        await self._close()

    async def crash(self) -> None:
        """End it as SIGKILL would: nothing of it reaches the database any more."""
        self._world.note(self.name, "crashes")
        self.weather.calm = True
        await self.host.engine.aclose()
        await self.host.state.aclose()
        if self._running is not None:
            self._running.cancel()
            await self._over(self._running, pause=0.01)
        await self._close()

    @property
    def fault(self) -> BaseException | None:
        """What ended it, if it ended by itself."""
        if self._running is None or not self._running.done() or self._running.cancelled():
            return None
        return self._running.exception()

    async def _over(self, running: asyncio.Task[None], *, pause: float) -> None:
        while not running.done():
            await self._world.clock.advance(pause)
        with suppress(asyncio.CancelledError, IsthmusError, ExceptionGroup):
            await running

    async def _close(self) -> None:
        with suppress(IsthmusError):
            await self._opening.__aexit__(None, None, None)

    async def _connect(self, url: str, *, clock: Clock) -> Engine:
        return Chaotic(self._wrap(await connect(url, clock=clock)), self.weather)
