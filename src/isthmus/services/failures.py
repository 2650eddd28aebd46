"""The outermost layer: whatever goes wrong inside leaves as a problem document."""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from isthmus.services.problem import problem_of, response_to
from isthmus.services.request_id import request_id

__all__ = ["Failures"]


class Failures:
    """Answers for requests that failed; once an answer has begun, it is cut off instead."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def watched(event: Message) -> None:
            nonlocal begun
            begun = begun or event["type"] == "http.response.start"
            await send(event)

        try:
            await self._app(scope, receive, watched)
        except (Exception, asyncio.CancelledError) as error:
            if begun or scope["type"] != "http":
                raise
            response = response_to(problem_of(error), request_id=request_id.get())
            await response(scope, receive, send)
