"""Whether the process lives, and whether it can take requests."""

import asyncio

from starlette.responses import JSONResponse, Response

from isthmus.errors import IsthmusError
from isthmus.handling.host import Host
from isthmus.services.problem import Problem

__all__ = ["Health"]

PATIENCE = 2.0
"""Seconds that the store may take to answer, to count as in reach."""


class Health:
    """GET /healthz: it answers, so it lives. GET /readyz: the store answers, too, and the
    process is not on its way out."""

    def __init__(self, host: Host) -> None:
        self._store = host.store
        self.draining = False

    async def live(self) -> Response:
        return JSONResponse({"status": "live"})

    async def ready(self) -> Response:
        """Raises a 503 Problem that says what is not ready."""
        if self.draining:
            raise Problem(503, "shutting down", headers={"Retry-After": "1"})
        try:
            async with asyncio.timeout(PATIENCE):
                await self._store.get("health", ["ready"])
        except (IsthmusError, TimeoutError) as error:
            raise Problem(503, "the store is out of reach", headers={"Retry-After": "1"}) from error
        return JSONResponse({"status": "ready"})
