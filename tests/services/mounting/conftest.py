"""An App that runs, on a real port, with whatever is mounted on it."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import aiohttp
import pytest

from isthmus import App
from isthmus.services.serving.facts import ServerListening

Run = Callable[[App], AbstractAsyncContextManager[aiohttp.ClientSession]]


@asynccontextmanager
async def run_app(app: App) -> AsyncGenerator[aiohttp.ClientSession]:
    app.configure(port=0)
    listening: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    app.signals.listen(ServerListening, lambda signal: listening.set_result(signal.address))
    running = asyncio.create_task(app.run())
    await asyncio.wait([running, listening], return_when=asyncio.FIRST_COMPLETED)
    if running.done():
        await running
    try:
        async with aiohttp.ClientSession(listening.result()) as client:
            yield client
    finally:
        await app.drain()
        await running


@pytest.fixture
def run() -> Run:
    return run_app


@pytest.fixture
def app() -> App:
    return App("shop", engine="memory://")
