"""Starting and stopping a mounted ASGI application that wants to know.

Source: ASGI 3.0, lifespan protocol 2.0.
"""

import asyncio
import contextlib
from types import TracebackType
from typing import Any, Self

from starlette.types import ASGIApp, Message

from isthmus.errors import ConfigError

__all__ = ["Lifespan"]


class Lifespan:
    """Begun before the first request of `app`, ended after its last."""

    def __init__(self, app: ASGIApp, path: str) -> None:
        self._app, self._path = app, path
        self._told: asyncio.Queue[Message] = asyncio.Queue()
        self._answers: asyncio.Queue[Message] = asyncio.Queue()
        self._running: asyncio.Task[None] | None = None
        self.state: dict[str, Any] = {}

    async def __aenter__(self) -> Self:
        """Raises ConfigError if the application says that it cannot start."""
        self._running = asyncio.create_task(self._run())
        answer = await self._ask("startup")
        if answer is not None and answer["type"] == "lifespan.startup.failed":
            why = answer.get("message", "")
            raise ConfigError(f"the application mounted at {self._path} did not start: {why}")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._ask("shutdown")
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait([self._running])

    async def _run(self) -> None:
        scope = {
            "type": "lifespan",
            "asgi": {"version": "3.0", "spec_version": "2.0"},
            "state": self.state,
        }
        with contextlib.suppress(Exception):  # it knows no lifespan, says the protocol
            await self._app(scope, self._told.get, self._answers.put)

    async def _ask(self, event: str) -> Message | None:
        """Return the application's answer, or None if it has ended without one."""
        assert self._running is not None
        await self._told.put({"type": f"lifespan.{event}"})
        answer = asyncio.create_task(self._answers.get())
        await asyncio.wait([self._running, answer], return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            answer.cancel()
            return None
        return answer.result()
