"""An App whose services are called over a real port."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from isthmus import App, Service
from isthmus.clock import SystemClock
from isthmus.handling.declarations import Declarations
from isthmus.handling.host import Host
from isthmus.handling.running.opening import opened
from isthmus.services.rpc import RpcListening
from isthmus.services.rpc.serving.server import RpcServer
from isthmus.settings import Settings
from isthmus.signals import Signals

Serve = Callable[..., AbstractAsyncContextManager[str]]


@asynccontextmanager
async def serving(
    *services: Service, app: App | None = None, **settings: Any
) -> AsyncGenerator[str]:
    """Yield the address at which an App serves them; drained at the end."""
    app = app or App("shop", engine="memory://")
    for service in services:
        app.serve(service)
    app.configure(grpc_port=0, **settings)
    listening: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    app.signals.listen(RpcListening, lambda signal: listening.set_result(signal.address))
    running = asyncio.create_task(app.run())
    await asyncio.wait([running, listening], return_when=asyncio.FIRST_COMPLETED)
    if running.done():
        await running
    try:
        yield listening.result().partition("://")[2]
    finally:
        await app.drain()
        await running


@pytest.fixture
def serve() -> Serve:
    return serving


@pytest.fixture
def caller() -> App:
    return App("caller", engine="memory://")


@dataclass
class Served:
    address: str
    host: Host
    server: RpcServer
    running: asyncio.Task[None]


Hold = Callable[..., AbstractAsyncContextManager[Served]]


@asynccontextmanager
async def held(declared: Declarations, **words: Any) -> AsyncGenerator[Served]:
    settings = Settings(**{"engine": "memory://", "grpc_port": 0, **words})
    signals = Signals()
    listening: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    signals.listen(RpcListening, lambda told: listening.set_result(told.address))
    async with opened(declared.name, declared, settings, SystemClock(), signals) as host:
        [server] = [each for each in declared.workers if isinstance(each, RpcServer)]
        running = asyncio.create_task(server.run(host))
        await asyncio.wait([running, listening], return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            await running
        try:
            yield Served(listening.result().partition("://")[2], host, server, running)
        except BaseException:
            running.cancel()  # what a failed test holds up is never done
            await asyncio.wait([running])
            raise
        await server.drain()
        await asyncio.wait([running])
        if not running.cancelled():
            await running


@pytest.fixture
def hold() -> Hold:
    """What is declared, served by its worker alone: a test holds Host, worker and task."""
    return held


@pytest.fixture
def declared() -> Declarations:
    return Declarations("shop")
