"""No request runs for ever: its answer begins in its time, or it is ended."""

import asyncio
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from isthmus.services.problem import Problem

__all__ = ["TimeLimit"]


class TimeLimit:
    """Cancels requests whose answer has not begun after `seconds`; they are answered 504.

    All have the same time, so that the first is the next to be over: one timer is enough.
    """

    def __init__(self, app: ASGIApp, *, seconds: float) -> None:
        """`seconds` above 0."""
        self._app, self._seconds = app, seconds
        self._running: dict[object, _Request] = {}
        self._timer: asyncio.TimerHandle | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        task = asyncio.current_task()
        if scope["type"] != "http" or task is None:
            return await self._app(scope, receive, send)
        request = self._begin(task)
        running = self._running

        async def begun(event: Message) -> None:
            running.pop(request, None)
            await send(event)

        try:
            await self._app(scope, receive, begun)
        except asyncio.CancelledError as error:
            if request.is_only_cut():
                raise Problem(504, f"there was no answer within {self._seconds:g} s") from error
            raise
        finally:
            running.pop(request, None)

    def _begin(self, task: asyncio.Task[Any]) -> "_Request":
        loop = task.get_loop()
        request = _Request(task, loop.time() + self._seconds)
        self._running[request] = request
        if self._timer is None:
            self._timer = loop.call_at(request.until, self._round, loop)
        return request

    def _round(self, loop: asyncio.AbstractEventLoop) -> None:
        """Cut off whose time is over; come again when the next one's is."""
        self._timer = None
        while self._running:
            request = next(iter(self._running.values()))
            if request.until > loop.time():
                self._timer = loop.call_at(request.until, self._round, loop)
                return
            del self._running[request]
            request.cut()


class _Request:
    """What runs for one request."""

    __slots__ = ("_before", "_is_cut", "_task", "until")

    def __init__(self, task: asyncio.Task[Any], until: float) -> None:
        self._task, self.until = task, until
        self._before, self._is_cut = task.cancelling(), False

    def cut(self) -> None:
        self._is_cut = True
        self._task.cancel()

    def is_only_cut(self) -> bool:
        """Return whether it was cancelled by us alone, and call that off."""
        return self._is_cut and self._task.uncancel() <= self._before
