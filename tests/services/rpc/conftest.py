"""An App whose services are called over a real port."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest

from isthmus import App, Service
from isthmus.services.rpc import RpcListening

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
