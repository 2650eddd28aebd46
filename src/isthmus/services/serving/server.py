"""The HTTP server of a process, as one of its Workers: uvicorn, or granian."""

import asyncio
import socket
from typing import Protocol

from starlette.types import ASGIApp

from isthmus.handling.declarations import Declarations
from isthmus.handling.host import Host
from isthmus.services.serving.facts import ServerListening
from isthmus.services.serving.health import Health
from isthmus.services.serving.listener import address_of, inherited, listen
from isthmus.services.serving.served import served

__all__ = ["HttpServer"]


class Engine(Protocol):
    """What speaks HTTP on the listening socket that it was given."""

    async def work(self) -> None:
        """Serve until drained; if it is cancelled, end what still runs."""
        ...


class HttpServer:
    """Serves the routes and mounts of an App."""

    name = "http"

    def __init__(self, declared: Declarations) -> None:
        self._declared = declared
        self._health: Health | None = None
        self._draining = asyncio.Event()

    async def run(self, host: Host) -> None:
        """Serve until drained; raises ConfigError if the port cannot be had, or the
        certificate is none."""
        self._draining = asyncio.Event()  # an App may be run again, on another loop
        health = self._health = Health(host)
        listener = _listener(host)
        try:
            async with served(self._declared, host, health) as application:
                engine = self._engine(application, listener, host)
                self._tell(host, listener)
                await engine.work()
        finally:
            listener.close()

    async def drain(self) -> None:
        if self._health is not None:
            self._health.draining = True
        self._draining.set()

    def _engine(self, application: ASGIApp, listener: socket.socket, host: Host) -> Engine:
        if host.settings.http_server == "granian":
            from isthmus.services.serving.granian_server import GranianServer

            return GranianServer(application, listener, self._draining, host.settings)
        from isthmus.services.serving.uvicorn_server import UvicornServer

        return UvicornServer(application, listener, self._draining, host.settings)

    def _tell(self, host: Host, listener: socket.socket) -> None:
        address = address_of(listener, tls=bool(host.settings.tls_certificate))
        host.signals.emit(ServerListening(address=address))


def _listener(host: Host) -> socket.socket:
    settings = host.settings
    if settings.listener is not None:
        return inherited(settings.listener)
    return listen(settings.host, settings.port)
