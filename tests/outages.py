"""A server that is killed while others work with it."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Self

from isthmus.clock import SystemClock
from isthmus.testing.servers import PostgresServer

__all__ = ["Outages"]

PAUSE, AWAY = (1.0, 2.5), (0.0, 0.7)
"""Seconds between two blows, and until it is started again."""


class Outages:
    """Kills a server with SIGKILL so many times, and starts it again on what it left."""

    def __init__(self, server: PostgresServer | None, times: int) -> None:
        self._server, self._times, self.count = server, times, 0
        self._killing: asyncio.Task[None] | None = None

    def over(self, settled: Callable[[], Awaitable[bool]]) -> Callable[[], Awaitable[bool]]:
        """Have nothing be settled before the last one is over."""

        async def is_settled() -> bool:
            if self._killing is not None and self._killing.done():
                self._killing.result()
                return await settled()
            return False

        return is_settled

    async def __aenter__(self) -> Self:
        self._killing = asyncio.create_task(self._kill())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._killing is not None:
            self._killing.cancel()
            await asyncio.wait([self._killing])
        if self._server is not None and not self._server.runs:
            await asyncio.to_thread(self._server.start, within=30)

    def __str__(self) -> str:
        return f"the server killed {self.count} times" if self._server else "no server"

    async def _kill(self) -> None:
        for _ in range(self._times):
            assert self._server is not None
            await SystemClock().sleep(random.uniform(*PAUSE))
            self._server.kill()
            await SystemClock().sleep(random.uniform(*AWAY))
            await asyncio.to_thread(self._server.start, within=30)
            self.count += 1
