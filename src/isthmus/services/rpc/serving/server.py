"""The gRPC server of a process, as one of its Workers.

Draining loses no call: health says NOT_SERVING, new calls are answered that they were not
begun, connections are told to go away (GOAWAY), and what runs is finished. What takes longer
than the drain is cut, and told so.
"""

import asyncio
import contextlib
from typing import Any

import grpc
import grpc.aio

from isthmus.errors import ConfigError
from isthmus.handling.declarations import Declarations
from isthmus.handling.host import Host
from isthmus.services.rpc.facts import RpcListening
from isthmus.services.rpc.serving.about import About
from isthmus.services.rpc.serving.answering import Answering, Tasks
from isthmus.services.rpc.serving.credentials import server_credentials
from isthmus.services.rpc.serving.listener import address_of, reserved
from isthmus.services.rpc.serving.site import Site
from isthmus.settings import Settings

__all__ = ["RpcServer"]

LAME, QUIET = 1.0, 0.05
"""Seconds in which new calls are answered that they were not begun, until none came for a
while: those which grpcio has not handed out yet when it stops would end with CANCELLED, which
nobody knows to repeat."""
LAST = 2.0
"""Seconds that calls which are cut get to be answered so."""


class RpcServer:
    """Serves the services of an App."""

    name = "grpc"

    def __init__(self, declared: Declarations) -> None:
        self._declared = declared
        self._draining = asyncio.Event()

    async def run(self, host: Host) -> None:
        """Serve until drained; raises ConfigError if the port cannot be had."""
        self._draining = asyncio.Event()  # an App may be run again, on another loop
        site, settings = self._declared.shared(Site), host.settings
        server, tasks = grpc.aio.server(options=_options(settings)), Tasks()
        about = About(site.names, site.files())
        for name, endpoints in site.services():
            handlers = {
                each.wired.method.name: Answering(each, host, tasks).handler() for each in endpoints
            }
            server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, handlers),))
        await about.add_to(server, reflection=settings.grpc_reflection)
        port = _opened(server, settings)
        await server.start()
        self._tell(host, port)
        try:
            await self._draining.wait()
            await about.drain()
            tasks.lame = True
            await tasks.quiet(within=LAME, span=QUIET)
            await server.stop(settings.drain + LAST)
        finally:
            await _cut(server, tasks)

    async def drain(self) -> None:
        self._draining.set()

    def _tell(self, host: Host, port: int) -> None:
        settings = host.settings
        if not settings.grpc_shared:  # else the supervisor says it, once for all
            scheme = "grpcs" if settings.tls_certificate else "grpc"
            address = address_of(settings.grpc_host, port)
            host.signals.emit(RpcListening(address=f"{scheme}://{address}"))


async def _cut(server: Any, tasks: Tasks) -> None:
    """End what still runs: its time is over."""
    tasks.cut = True
    for task in list(tasks):
        task.cancel()
    if tasks:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST):
                await asyncio.wait(list(tasks))
    await server.stop(0)


def _options(settings: Settings) -> list[tuple[str, Any]]:
    return [
        ("grpc.so_reuseport", int(settings.grpc_shared)),
        ("grpc.max_receive_message_length", settings.grpc_limit),
        ("grpc.http2.max_concurrent_streams", settings.grpc_streams),
        # a client that is gone without a word is found within 80 s
        ("grpc.keepalive_time_ms", 60_000),
        ("grpc.keepalive_timeout_ms", 20_000),
        # and clients may look after us as often
        ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
        ("grpc.http2.max_pings_without_data", 0),
    ]


def _opened(server: Any, settings: Settings) -> int:
    """Open the port; return which it is."""
    credentials = server_credentials(settings)
    host, port = settings.grpc_host, settings.grpc_port
    if not settings.grpc_shared:
        reserved(host, port).close()  # refuses with the reason, where grpcio only fails
    address = address_of(host, port)
    try:
        if credentials is None:
            return server.add_insecure_port(address)
        return server.add_secure_port(address, credentials)
    except (RuntimeError, ValueError) as error:
        raise ConfigError(f"cannot listen on {address} for gRPC: {error}") from error
