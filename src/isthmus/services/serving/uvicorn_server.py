"""Uvicorn, embedded: HTTP/1.1, with the limits that it lacks.

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

from isthmus.services.serving.listener import BACKLOG
from isthmus.services.serving.porter import Porter
from isthmus.services.serving.protocols import protocol_for
from isthmus.services.serving.tls import tls_context
from isthmus.settings import Settings

__all__ = ["UvicornServer"]

LAME = 0.5
"""Seconds that idle connections stay open while draining, so that a request which is
on its way to us gets its answer."""


class UvicornServer(uvicorn.Server):
    """Uvicorn, minus its hold on the process: signals and the exit are the runtime's."""

    def __init__(
        self,
        application: ASGIApp,
        listener: socket.socket,
        draining: asyncio.Event,
        settings: Settings,
    ) -> None:
        """Raises ConfigError if the certificate cannot be used."""
        self._listener, self._draining, self._settings = listener, draining, settings
        self._tls = tls_context(settings)
        super().__init__(
            uvicorn.Config(
                application,
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                h11_max_incomplete_event_size=settings.http_head_limit,
            )
        )
        self._porter = Porter(settings, self.server_state.connections)
        made: Any = protocol_for(self._porter)
        self.config.http = made

    async def work(self) -> None:
        """Serve until drained. If it is cancelled, so are the requests that still run."""
        watching = asyncio.create_task(self._porter.watch())
        try:
            await self.serve([self._listener])
        finally:
            watching.cancel()
            await self._cut()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        yield

    async def startup(self, sockets: Sequence[socket.socket] | None = None) -> None:
        self.servers = [
            await asyncio.get_running_loop().create_server(
                self._protocol,
                sock=each,
                ssl=self._tls,
                ssl_handshake_timeout=self._tls and self._settings.http_head_timeout,
                backlog=BACKLOG,
            )
            for each in sockets or ()
        ]
        self.started = True

    async def main_loop(self) -> None:
        while not self._draining.is_set():
            await self.on_tick(0)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await self._draining.wait()
        await self._grow_lame()

    async def _cut(self) -> None:
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
        with contextlib.suppress(OSError):  # it is gone, or does not speak TLS
            await asyncio.get_running_loop().connect_accepted_socket(
                self._protocol,
                connection,
                ssl=self._tls,
                ssl_handshake_timeout=self._tls and LAME,
            )

    def _protocol(self) -> asyncio.Protocol:
        made: Any = self.config.http_protocol_class
        return made(config=self.config, server_state=self.server_state, app_state={})


def _accepted(listener: socket.socket) -> Sequence[socket.socket]:
    """Return the connections that waited in the backlog: closing would reset them."""
    found = list[socket.socket]()
    with contextlib.suppress(BlockingIOError):
        while True:
            connection, _ = listener.accept()
            connection.setblocking(False)
            found.append(connection)
    return found
