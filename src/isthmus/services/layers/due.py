"""A deadline for whatever answers: after it, waits that know of it end, and nothing new begins."""

from starlette.types import ASGIApp, Receive, Scope, Send

from isthmus.clock import Clock
from isthmus.deadline import deadline

__all__ = ["Due"]


class Due:
    """Puts a deadline of so many seconds in force for each request; the nearer one holds."""

    def __init__(self, app: ASGIApp, seconds: float, clock: Clock) -> None:
        self._app, self._seconds, self._clock = app, seconds, clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with deadline(self._seconds, clock=self._clock):
            await self._app(scope, receive, send)
