"""Whatever goes wrong inside leaves as a problem document."""

import asyncio
import logging
from collections.abc import Awaitable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from isthmus.services.layers.request_id import request_id
from isthmus.services.problem import Problem, problem_of, response_to

__all__ = ["Failures"]

_log = logging.getLogger("isthmus.http")


class Failures:
    """Answers for requests that failed; once an answer has begun, it is cut off instead."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        def watched(event: Message) -> Awaitable[None]:
            nonlocal begun
            begun = True
            return send(event)

        try:
            await self._app(scope, receive, watched)
        except (Exception, asyncio.CancelledError) as error:
            if begun or scope["type"] != "http":
                raise
            problem = problem_of(error)
            if problem.status >= 500 and not isinstance(error, Problem):
                _tell(scope, problem, error)
            response = response_to(problem, request_id=request_id.get())
            await response(scope, receive, send)


def _tell(scope: Scope, problem: Problem, error: BaseException) -> None:
    """Log what the client is not told."""
    unforeseen = problem.status == 500
    _log.log(
        logging.ERROR if unforeseen else logging.WARNING,
        "%s %s answered %d (request %s): %r",
        scope["method"],
        scope["path"],
        problem.status,
        request_id.get(),
        error,
        exc_info=error if unforeseen else None,
    )
