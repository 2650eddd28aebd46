"""Granian, embedded: HTTP/1.1 and HTTP/2, with prior knowledge or by ALPN.

Draining: granian accepts nothing more, tells its connections so (`Connection: close`, GOAWAY)
and finishes what runs. Who waits in the backlog at that moment is reset; it was not read.
"""

import asyncio
import socket
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from isthmus.errors import ConfigError, UnavailableError
from isthmus.services.serving.listener import BACKLOG
from isthmus.services.serving.streaming import Streaming
from isthmus.services.serving.tls import tls_context, tls_files
from isthmus.settings import Settings

__all__ = ["GranianServer"]

STREAMS = 100
"""Requests at once on one HTTP/2 connection."""
LEAST_BUFFER = 8_192
"""What granian takes at least for its buffer."""
OF_HTTP_1 = frozenset({b"connection", b"keep-alive", b"transfer-encoding", b"upgrade"})
END = 2.0
"""Seconds that granian gets to end once what ran was cut."""


class GranianServer:
    """Serves `application` on `listener` until drained."""

    def __init__(
        self,
        application: ASGIApp,
        listener: socket.socket,
        draining: asyncio.Event,
        settings: Settings,
    ) -> None:
        """Raises ConfigError: granian is not installed, or the certificate cannot be used."""
        self._application = Streaming(
            application, write=settings.http_write_timeout, body=settings.http_body_timeout
        )
        self._listener, self._draining = listener, draining
        self._running = set[asyncio.Task[Any]]()
        self._server = _server(self._serve, listener, settings)

    async def work(self) -> None:
        """
        Raises:
            UnavailableError: Granian ended by itself.
        """
        serving = asyncio.create_task(self._server.serve_quietly())
        draining = asyncio.create_task(self._draining.wait())
        try:
            await asyncio.wait([serving, draining], return_when=asyncio.FIRST_COMPLETED)
            if not self._draining.is_set():
                raise UnavailableError("granian ended by itself; its log says why")
            self._stop()
            await serving
        finally:
            draining.cancel()
            await self._cut(serving)

    def _stop(self) -> None:
        self._server.stop()
        self._listener.close()  # else clients would wait for nobody

    async def _cut(self, serving: "asyncio.Task[None]") -> None:
        """Cancel the requests that still run: their time is over."""
        self._stop()
        for task in self._running:
            task.cancel()
        await asyncio.wait([serving, *self._running], timeout=END)
        serving.cancel()

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        if scope.get("http_version") == "2":
            send = _without_connection(send)
        await self._application(scope, receive, send)


def _without_connection(send: Send) -> Send:
    """HTTP/2 forbids what HTTP/1 says of the connection: clients refuse such an answer.

    Source: RFC 9113, section 8.2.2.
    """

    async def sent(event: Message) -> None:
        if event["type"] == "http.response.start":
            headers = event.get("headers", ())
            kept = [(name, value) for name, value in headers if name.lower() not in OF_HTTP_1]
            event = {**event, "headers": kept}
        await send(event)

    return sent


def _server(application: ASGIApp, listener: socket.socket, settings: Settings) -> Any:
    try:
        from granian._granian import SocketHolder
        from granian.constants import Interfaces, SSLProtocols
        from granian.http import HTTP1Settings, HTTP2Settings
        from granian.server.embed import Server
    except ImportError as error:
        raise ConfigError(
            "http_server = 'granian' needs granian: pip install 'isthmus[http2]'"
        ) from error

    made: type[Any] = Server
    holder: Any = SocketHolder  # its hints know no arguments

    class Embedded(made):
        def _init_shared_socket(self) -> None:
            """Take our socket, in place of one of granian's own."""
            self._shd = holder(listener.dup().detach(), False, BACKLOG)

        async def serve_quietly(self) -> None:
            """As `serve`, which warns every time that embedding is an experiment."""
            await self._serve(self._spawn_asgi_worker, lambda: application)

    milliseconds = int(settings.http_head_timeout * 1000)
    return Embedded(
        application,
        interface=Interfaces.ASGINL,
        backlog=BACKLOG,
        backpressure=settings.http_connections,
        http1_settings=HTTP1Settings(
            header_read_timeout=milliseconds,
            max_buffer_size=max(LEAST_BUFFER, settings.http_head_limit),
        ),
        http2_settings=HTTP2Settings(
            keep_alive_interval=15_000,
            keep_alive_timeout=20,
            max_concurrent_streams=STREAMS,
            max_headers_size=settings.http_head_limit,
        ),
        log_enabled=False,
        **_tls(settings, SSLProtocols.tls12),
    )


def _tls(settings: Settings, least: Any) -> dict[str, Any]:
    if (files := tls_files(settings)) is None:
        return {}
    tls_context(settings)  # which says what is wrong with a file
    certificate, key, clients = files
    return {
        "ssl_cert": certificate,
        "ssl_key": key,
        "ssl_protocol_min": least,
        "ssl_ca": clients,
        "ssl_client_verify": clients is not None,
    }
