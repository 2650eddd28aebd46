"""An App as an ASGI application, under a server or inside an application of somebody else's."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from starlette.types import ASGIApp, Receive, Scope, Send

from isthmus.errors import ConfigError
from isthmus.handling.declarations import Declarations
from isthmus.handling.running.runtime import Runtime
from isthmus.services.serving.health import Health
from isthmus.services.serving.served import served

__all__ = ["Embedded"]

_log = logging.getLogger("isthmus.http")

SERVER = "http"
"""The worker that is left out: who serves is around us."""


class Embedded:
    """Answers requests while its lifespan is on; that opens the App, runs its workers beside,
    and drains them at the end.

    A server begins the lifespan by itself. Inside of another application, that must:
    `FastAPI(lifespan=service.lifespan)`, as frameworks do so for none of their mounts.

    Source: ASGI 3.0, lifespan protocol 2.0.
    """

    def __init__(
        self,
        declared: Declarations,
        app: AbstractAsyncContextManager[object],
        *,
        only: Sequence[str] = (),
    ) -> None:
        """`app` is opened by entering it."""
        self._declared, self._app, self._only = declared, app, only
        self._application: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await self._live(receive, send)
        if self._application is None:
            raise ConfigError(
                f"the App {self._declared.name!r} is not running; the application around it must "
                "begin its lifespan: service = app.asgi(); FastAPI(lifespan=service.lifespan)"
            )
        await self._application(scope, receive, send)

    @asynccontextmanager
    async def lifespan(self, _: object = None) -> AsyncGenerator[None]:
        """Have the App run inside of the block.

        Raises:
            ConfigError: It cannot run as it is configured.
            UnavailableError: An engine is out of reach.
        """
        async with self._app:
            host = self._declared.host
            health = Health(host)
            runtime = Runtime(self._declared, host, only=self._only, apart={SERVER})
            async with served(self._declared, host, health) as application:
                working = asyncio.create_task(runtime.run())
                working.add_done_callback(self._note_end)
                self._application = application
                try:
                    yield
                finally:
                    health.draining = True
                    await runtime.drain()
                    await asyncio.wait([working])
                    self._application = None

    def _note_end(self, working: "asyncio.Task[None]") -> None:
        """Workers that failed leave nobody who could be told but the log."""
        if not working.cancelled() and (error := working.exception()):
            _log.error("the workers of %s ended: %r", self._declared.name, error, exc_info=error)

    async def _live(self, receive: Receive, send: Send) -> None:
        """Speak the lifespan protocol with a server."""
        await receive()
        stage = "startup"
        try:
            async with self.lifespan():
                await send({"type": "lifespan.startup.complete"})
                await receive()
                stage = "shutdown"
        except Exception as error:
            await send({"type": f"lifespan.{stage}.failed", "message": str(error)})
            raise
        await send({"type": "lifespan.shutdown.complete"})
