"""A real server on loopback, for what a test declares."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

import aiohttp
import pytest

from isthmus.clock import SystemClock
from isthmus.handling.declarations import Declarations
from isthmus.handling.host import Host
from isthmus.handling.opening import opened
from isthmus.services.facts import ServerListening
from isthmus.services.server import HttpServer
from isthmus.settings import Settings
from isthmus.signals import Signals


@dataclass
class Served:
    client: aiohttp.ClientSession
    host: Host
    server: HttpServer
    running: asyncio.Task[None]
    address: str


Serve = Callable[[Declarations], AbstractAsyncContextManager[Served]]


@asynccontextmanager
async def serving(declared: Declarations) -> AsyncGenerator[Served]:
    settings, signals = Settings(engine="memory://", port=0), Signals()
    listening: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    signals.listen(ServerListening, lambda signal: listening.set_result(signal.address))
    async with opened(declared.name, declared, settings, SystemClock(), signals) as host:
        [server] = [w for w in declared.workers if isinstance(w, HttpServer)]
        running = asyncio.create_task(server.run(host))
        await asyncio.wait([running, listening], return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            await running
        async with aiohttp.ClientSession(listening.result()) as client:
            yield Served(client, host, server, running, listening.result())
        await server.drain()
        await running


@pytest.fixture
def serve() -> Serve:
    return serving


@pytest.fixture
def declared() -> Declarations:
    return Declarations("shop")
