"""Bodies that are too large, before an application that sets no limit of its own."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from isthmus.services.problem import Problem

__all__ = ["BodyLimit"]


class BodyLimit:
    """Answers 413 to a body of more than `limit` bytes.

    One that is announced never reaches the application. One that grows too large ends there
    as if its client had gone; what the application says then is not sent.
    """

    def __init__(self, app: ASGIApp, *, limit: int) -> None:
        self._app, self._limit = app, limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        for name, value in scope["headers"]:
            if name == b"content-length" and value.isdigit() and int(value) > self._limit:
                raise self._too_large()
        await self._measured(scope, receive, send)

    async def _measured(self, scope: Scope, receive: Receive, send: Send) -> None:
        size, begun = 0, False

        async def received() -> Message:
            nonlocal size
            event = await receive() if size <= self._limit else _GONE
            size += len(event.get("body", b""))
            return event if size <= self._limit else _GONE

        async def sent(event: Message) -> None:
            nonlocal begun
            if size <= self._limit or begun:
                begun = True
                await send(event)

        try:
            await self._app(scope, received, sent)
        except Exception as error:
            if size <= self._limit or begun:
                raise
            raise self._too_large() from error
        if size > self._limit and not begun:
            raise self._too_large()

    def _too_large(self) -> Problem:
        told = f"the body is larger than {self._limit} bytes, the most that is taken here"
        return Problem(413, told, headers={"Connection": "close"}, limit=self._limit)


_GONE: Message = {"type": "http.disconnect"}
