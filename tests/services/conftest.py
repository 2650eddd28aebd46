"""A real server on loopback, for what a test declares."""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import aiohttp
import pytest

from isthmus.clock import SystemClock
from isthmus.handling.declarations import Declarations
from isthmus.handling.host import Host
from isthmus.handling.running.opening import opened
from isthmus.services.serving.facts import ServerListening
from isthmus.services.serving.server import HttpServer
from isthmus.settings import Settings
from isthmus.signals import Signals


@dataclass
class Answer:
    """A response that was read to its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def kind(self) -> str:
        return self.headers.get("Content-Type", "").partition(";")[0]

    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    def __getattr__(self, method: str) -> Callable[..., Awaitable[Answer]]:
        return partial(self._request, method.upper())

    async def _request(self, method: str, path: str, **words: Any) -> Answer:
        async with self._session.request(method, path, **words) as response:
            return Answer(response.status, response.headers, await response.read())


@dataclass
class Served:
    client: Client
    host: Host
    server: HttpServer
    running: asyncio.Task[None]
    address: str


Serve = Callable[..., AbstractAsyncContextManager[Served]]


@asynccontextmanager
async def serving(declared: Declarations, **words: Any) -> AsyncGenerator[Served]:
    settings, signals = Settings(engine="memory://", port=0, **words), Signals()
    listening: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    signals.listen(ServerListening, lambda signal: listening.set_result(signal.address))
    async with opened(declared.name, declared, settings, SystemClock(), signals) as host:
        [server] = [w for w in declared.workers if isinstance(w, HttpServer)]
        running = asyncio.create_task(server.run(host))
        await asyncio.wait([running, listening], return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            await running
        try:
            async with aiohttp.ClientSession(listening.result()) as session:
                yield Served(Client(session), host, server, running, listening.result())
        except BaseException:
            running.cancel()  # what a failed test holds up is never done
            raise
        await server.drain()
        await asyncio.wait([running])
        if not running.cancelled():
            await running


@pytest.fixture
def serve() -> Serve:
    return serving


@pytest.fixture
def declared() -> Declarations:
    return Declarations("shop")
