"""The HTTP server of a process: uvicorn, embedded as one of its Workers.

Draining loses no request: nothing more is accepted once what waited in the backlog
is; open connections are told to close with their next answer, and get LAME seconds
for it; what runs is finished.
"""

import asyncio
import contextlib
import socket
from collections.abc import Generator, Sequence
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from isthmus.handling.declarations import Declarations
from isthmus.handling.host import Host
from isthmus.services.documents.pages import Documents, Pages
from isthmus.services.rest.route import Route
from isthmus.services.serving.facts import ServerListening
from isthmus.services.serving.health import Health
from isthmus.services.serving.listener import address_of, inherited, listen
from isthmus.services.serving.site import Site

__all__ = ["HttpServer"]

LAME = 0.5
"""Seconds that idle connections stay open while draining, so that a request which is
on its way to us gets its answer."""


class HttpServer:
    """Serves the routes and mounts of an App."""

    name = "http"

    def __init__(self, declared: Declarations) -> None:
        self._declared = declared
        self._health: Health | None = None
        self._draining = asyncio.Event()

    async def run(self, host: Host) -> None:
        """Serve until drained; raises ConfigError if the port cannot be had."""
        self._draining = asyncio.Event()  # an App may be run again, on another loop
        health = self._health = Health(host)
        listener = _listener(host)
        try:
            pages = self._pages(host)
            async with self._declared.shared(Site).started(host, health, pages) as application:
                self._tell(host, listener)
                server = _Server(application, listener, self._draining)
                try:
                    await server.serve([listener])
                finally:
                    await server.cut()
        finally:
            listener.close()

    async def drain(self) -> None:
        if self._health is not None:
            self._health.draining = True
        self._draining.set()

    def _pages(self, host: Host) -> Sequence[Route]:
        """Return where the App's documents are read, unless it is set to show none."""
        declared = self._declared.root
        documents = declared.shared(Documents)
        pages = Pages(declared.name, declared.model, documents)
        return pages.routes() if host.settings.docs else ()

    def _tell(self, host: Host, listener: socket.socket) -> None:
        host.signals.emit(ServerListening(address=address_of(listener)))


def _listener(host: Host) -> socket.socket:
    settings = host.settings
    if settings.listener is not None:
        return inherited(settings.listener)
    return listen(settings.host, settings.port)


class _Server(uvicorn.Server):
    """Uvicorn, minus its hold on the process: signals and the exit are the runtime's."""

    def __init__(
        self, application: ASGIApp, listener: socket.socket, draining: asyncio.Event
    ) -> None:
        self._listener, self._draining = listener, draining
        super().__init__(
            uvicorn.Config(
                application,
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_keep_alive=75,
            )
        )

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield

    async def main_loop(self) -> None:
        while not self._draining.is_set():
            await self.on_tick(0)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await self._draining.wait()
        await self._grow_lame()

    async def cut(self) -> None:
        """Cancel the requests that still run: their time is over."""
        if tasks := list(self.server_state.tasks):
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def _grow_lame(self) -> None:
        """Take nothing new; let each open connection close with its next answer."""
        self.config.encoded_headers.append((b"connection", b"close"))
        await self.on_tick(0)
        for connection in self.server_state.connections:
            cycle: Any = getattr(connection, "cycle", None)
            if cycle is not None and not cycle.response_complete:
                cycle.keep_alive = False
        waiting = _accepted(self._listener)
        for server in self.servers:
            server.close()
        for connection in waiting:
            await self._serve_connection(connection)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAME):
                while self.server_state.connections:  # noqa: ASYNC110 - nobody tells
                    await asyncio.sleep(0.01)

    async def _serve_connection(self, connection: socket.socket) -> None:
        def protocol() -> asyncio.Protocol:
            made: Any = self.config.http_protocol_class
            return made(config=self.config, server_state=self.server_state, app_state={})

        await asyncio.get_running_loop().connect_accepted_socket(protocol, connection)


def _accepted(listener: socket.socket) -> Sequence[socket.socket]:
    """Return the connections that waited in the backlog: closing would reset them."""
    found = list[socket.socket]()
    with contextlib.suppress(BlockingIOError):
        while True:
            connection, _ = listener.accept()
            connection.setblocking(False)
            found.append(connection)
    return found
