"""No request runs for ever: its answer begins in its time, or it is ended."""

import asyncio
from collections.abc import Awaitable
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from isthmus.services.problem import Problem

__all__ = ["TimeLimit"]

Task = asyncio.Task[Any]
GRACE = 1.0
"""Seconds in which who was told that its client is gone may end by itself."""
GONE: Message = {"type": "http.disconnect"}


class TimeLimit:
    """Cancels requests whose answer has not begun after `seconds`; they are answered 504.

    All have the same time, so that the first is the next to be over: one timer is enough.
    """

    def __init__(self, app: ASGIApp, *, seconds: float, foreign: bool = False) -> None:
        """`seconds` above 0. A `foreign` application that listens for the end of its client
        beside its work (Django does) is told of that first: if its task is cancelled, it leaves
        that work behind, running."""
        self._app, self._seconds, self._foreign = app, seconds, foreign
        self._running: dict[_Request, None] = {}
        self._timer: asyncio.TimerHandle | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        task = asyncio.current_task()
        if scope["type"] != "http" or task is None:
            return await self._app(scope, receive, send)
        request = _Request(task, task.get_loop().time() + self._seconds)
        running = self._running
        running[request] = None
        if self._timer is None:
            self._timer = task.get_loop().call_at(request.until, self._round, task.get_loop())

        def begun(event: Message) -> Awaitable[None]:
            if not request.begun:
                running.pop(request, None)
                request.spare(begun=True)
            return send(event)

        try:
            await self._app(scope, request.listening(receive) if self._foreign else receive, begun)
        except (Exception, asyncio.CancelledError) as error:
            if request.was_only_cut():
                raise self._late() from error
            raise
        finally:
            if not request.begun:
                running.pop(request, None)
                request.spare()
        if request.was_only_cut():
            raise self._late()

    def _round(self, loop: asyncio.AbstractEventLoop) -> None:
        """Cut off whose time is over; come again when the next one's is."""
        self._timer = None
        while self._running:
            request = next(iter(self._running))
            if request.until > loop.time():
                self._timer = loop.call_at(request.until, self._round, loop)
                return
            del self._running[request]
            request.cut()

    def _late(self) -> Problem:
        return Problem(504, f"there was no answer within {self._seconds:g} s")


class _Request:
    """One that runs, and how it is ended."""

    __slots__ = ("_before", "_cancelled", "_grace", "_listener", "_task", "begun", "until")

    def __init__(self, task: Task, until: float) -> None:
        self._task, self.until = task, until
        self._before: int | None = None
        """How often its task was cancelled by others before it was cut; None if it was not."""
        self._cancelled = self.begun = False
        self._grace: asyncio.TimerHandle | None = None
        self._listener: Task | None = None
        """Who waits for what the client says next."""

    def listening(self, receive: Receive) -> Receive:
        """Return `receive`, which says that the client is gone once the time is over."""

        async def received() -> Message:
            if self._before is not None:
                return GONE
            self._listener = listener = asyncio.current_task()
            try:
                return await receive()
            except asyncio.CancelledError:
                if self._grace is None or listener is None or listener.uncancel():
                    raise
                return GONE
            finally:
                self._listener = None

        return received

    def cut(self) -> None:
        self._before = self._task.cancelling()
        listener = self._listener
        if listener is None or listener is self._task:
            return self._cancel()
        self._grace = self._task.get_loop().call_later(GRACE, self._cancel)
        listener.cancel()

    def _cancel(self) -> None:
        self._cancelled = True
        self._task.cancel()

    def spare(self, *, begun: bool = False) -> None:
        """Nothing is left to be cancelled, as it has ended, or its answer has `begun`."""
        self.begun |= begun
        if self._grace is not None:
            self._grace.cancel()

    def was_only_cut(self) -> bool:
        """Return whether it was cut off and ended by nobody else, and call that off."""
        if self._before is None or self.begun:
            return False
        left = self._task.uncancel() if self._cancelled else self._task.cancelling()
        return left <= self._before
