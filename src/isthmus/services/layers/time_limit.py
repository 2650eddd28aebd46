"""No request runs for ever: its answer begins in its time, or it is ended."""

import asyncio
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from isthmus.services.problem import Problem

__all__ = ["TimeLimit"]

Request = asyncio.Task[Any]


class TimeLimit:
    """Cancels requests whose answer has not begun after `seconds`; they are answered 504.

    All have the same time, so that the first is the next to be over: one timer is enough.
    """

    def __init__(self, app: ASGIApp, *, seconds: float) -> None:
        """`seconds` above 0."""
        self._app, self._seconds = app, seconds
        self._until: dict[Request, float] = {}
        self._cut: dict[Request, int] = {}
        """Who was cancelled here, and how often by others before."""
        self._timer: asyncio.TimerHandle | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        task = asyncio.current_task()
        if scope["type"] != "http" or task is None:
            return await self._app(scope, receive, send)
        running = self._until
        running[task] = until = task.get_loop().time() + self._seconds
        if self._timer is None:
            self._timer = task.get_loop().call_at(until, self._round, task.get_loop())

        async def begun(event: Message) -> None:
            running.pop(task, None)
            await send(event)

        try:
            await self._app(scope, receive, begun)
        except asyncio.CancelledError as error:
            if self._was_only_cut(task):
                raise Problem(504, f"there was no answer within {self._seconds:g} s") from error
            raise
        finally:
            running.pop(task, None)
            self._cut.pop(task, None)

    def _round(self, loop: asyncio.AbstractEventLoop) -> None:
        """Cut off whose time is over; come again when the next one's is."""
        self._timer = None
        while self._until:
            task, until = next(iter(self._until.items()))
            if until > loop.time():
                self._timer = loop.call_at(until, self._round, loop)
                return
            del self._until[task]
            self._cut[task] = task.cancelling()
            task.cancel()

    def _was_only_cut(self, task: Request) -> bool:
        """Return whether it was cancelled here and by nobody else, and call that off."""
        before = self._cut.get(task)
        return before is not None and task.uncancel() <= before
