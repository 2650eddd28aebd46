"""Reading a request's body: bounded, and of a media type that is understood."""

from starlette.requests import Request
from starlette.types import Receive

from isthmus.services.problem import Problem

__all__ = ["LIMIT", "accept_json", "read"]

LIMIT = 1 << 20
"""Largest body that is read, in bytes, unless the route says more."""
PATIENCE = 8 << 20
"""Bytes of a body too large that are read and dropped, so that the client, who is
still writing, gets to read the answer."""


def accept_json(request: Request) -> None:
    """Raise a 415 Problem unless the body says that it is JSON, or says nothing."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind in {"", "application/json"} or (kind.startswith("application/") and "+json" in kind):
        return
    raise Problem(
        415,
        f"the body is {kind}; send JSON, with the header 'content-type: application/json'",
        headers={"Accept": "application/json"},
    )


async def read(request: Request, *, limit: int) -> bytes:
    """Return the whole body.

    Raises:
        Problem: 413, it is larger than `limit`; 400, the client went away before its end.
    """
    announced = request.headers.get("content-length", "0")
    if announced.isdecimal() and int(announced) > limit:
        raise await _too_large(request.receive, limit, left=int(announced))
    parts, size, more = list[bytes](), 0, True
    while more:
        part, more = await _part(request.receive)
        size += len(part)
        if size > limit:
            raise await _too_large(request.receive, limit, left=PATIENCE if more else 0)
        parts.append(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


async def _part(receive: Receive) -> tuple[bytes, bool]:
    event = await receive()
    if event["type"] == "http.disconnect":
        raise Problem(400, "the connection was closed before the body was complete")
    return event.get("body", b""), event.get("more_body", False)


async def _too_large(receive: Receive, limit: int, *, left: int) -> Problem:
    if left <= PATIENCE:
        await _drop(receive, left)
    problem = f"the body is larger than {limit} bytes, the most that is taken here"
    return Problem(413, problem, headers={"Connection": "close"}, limit=limit)


async def _drop(receive: Receive, left: int) -> None:
    more = left > 0
    while more and left > 0:
        part, more = await _part(receive)
        left -= len(part)
