"""Errors as clients see them: one JSON shape, nothing of the inside.

Source: RFC 9457, Problem Details for HTTP APIs (its `errors` extension for
several faults follows section 3's example).
"""

import asyncio
import math
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.responses import Response

from isthmus.errors import ConflictError, TimedOutError, UnavailableError
from isthmus.resilience.errors import DeadlinePassedError, NotCalledError, RetriesSpentError

__all__ = ["MEDIA_TYPE", "Fault", "Problem", "expired", "problem_of", "response_to"]

MEDIA_TYPE = "application/problem+json"


class Fault(msgspec.Struct, frozen=True):
    """One thing that is wrong with a request."""

    location: str
    """Which part: "path", "query", "header" or "body"."""
    at: str
    """The parameter's name, or where in the body: "items[0].total"; "" is all of it."""
    detail: str


class Problem(Exception):  # noqa: N818 - an answer, not a fault
    """The answer to a request that cannot be served; raise it in a handler.

    `type` is a URI that names the kind of problem, for programs; `detail` tells a
    person about this one; further members go out as they are.
    """

    def __init__(
        self,
        status: int,
        detail: str = "",
        *,
        title: str = "",
        type: str = "about:blank",
        faults: Sequence[Fault] = (),
        headers: Mapping[str, str] | None = None,
        **members: Any,
    ) -> None:
        super().__init__(detail or title or str(status))
        self.status = status
        self.title = title or _phrase(status)
        self.detail, self.type = detail, type
        self.faults, self.headers, self.members = tuple(faults), headers or {}, members

    def document(self) -> dict[str, Any]:
        """Return its members as RFC 9457 names them."""
        said: dict[str, Any] = {"type": self.type, "title": self.title, "status": self.status}
        if self.detail:
            said["detail"] = self.detail
        if self.faults:
            said["errors"] = self.faults
        return said | self.members


def problem_of(error: Exception | asyncio.CancelledError) -> Problem:
    """Return what the client of a failed request may know; the rest is for the log."""
    match error:
        case asyncio.CancelledError():
            return Problem(503, "cut off by a shutdown; try again", headers={"Retry-After": "1"})
        case Problem():
            return error
        case HTTPException():
            return Problem(error.status_code, _own_words(error), headers=error.headers)
        case ConflictError():
            return Problem(409, "what this request was based on has changed; read it again")
        case UnavailableError():
            again = {"Retry-After": "1"}
            return Problem(503, "this cannot be done just now; try again", headers=again)
        case DeadlinePassedError():
            return expired()
        case NotCalledError() | RetriesSpentError():
            return Problem(
                503,
                "a service behind this one is not to be had just now; try again",
                headers={"Retry-After": f"{max(1, math.ceil(error.retry_after or 0))}"},
            )
        case TimedOutError():
            return Problem(504, "a service behind this one did not answer in time")
        case _:
            return Problem(500, "the fault is ours; the request id tells us more")


def expired() -> Problem:
    """Return the answer to who asked for it by a moment that is over."""
    return Problem(504, "the time in which this answer was wanted is over")


def response_to(problem: Problem, *, request_id: str) -> Response:
    """Return `problem` as it is sent."""
    document = problem.document() | {"request_id": request_id}
    return Response(
        msgspec.json.encode(document),
        status_code=problem.status,
        headers=dict(problem.headers),
        media_type=MEDIA_TYPE,
    )


def _own_words(error: HTTPException) -> str:
    """Starlette repeats the phrase of the status where nobody said more."""
    return "" if error.detail == _phrase(error.status_code) else error.detail


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"
