"""Reading a request's body, bounded."""

from starlette.types import Message, Receive

from isthmus.services.problem import Problem

__all__ = ["again", "bounded", "read"]

PATIENCE = 8 << 20
"""Bytes of a body too large that are read and dropped, so that the client, who is
still writing, gets to read the answer."""


def bounded(receive: Receive, *, limit: int) -> Receive:
    """Return `receive`, raising a 413 Problem once the body is larger than `limit`."""
    size = 0

    async def received() -> Message:
        nonlocal size
        event = await receive()
        size += len(event.get("body", b""))
        if size > limit:
            raise await _too_large(receive, limit, left=PATIENCE if _goes_on(event) else 0)
        return event

    return received


def again(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that begins with `body`, which was read already."""
    events: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def received() -> Message:
        return events.pop() if events else await receive()

    return received


async def read(receive: Receive, *, announced: bytes, limit: int) -> bytes:
    """Return the whole body; `announced` is what its content-length says, "0" without one.

    Raises:
        Problem: 413, it is larger than `limit`; 400, the client went away before its end.
    """
    if announced.isdigit() and int(announced) > limit:
        raise await _too_large(receive, limit, left=int(announced))
    event = await receive()
    if "body" in event and not _goes_on(event) and len(event["body"]) <= limit:
        return event["body"]
    return await _in_parts(event, receive, limit=limit)


async def _in_parts(event: Message, receive: Receive, *, limit: int) -> bytes:
    firsts = [event]

    async def from_first() -> Message:
        return firsts.pop() if firsts else await receive()

    within, parts, more = bounded(from_first, limit=limit), list[bytes](), True
    while more:
        event = await within()
        _refuse_end(event)
        parts.append(event.get("body", b""))
        more = _goes_on(event)
    return b"".join(parts)


def _goes_on(event: Message) -> bool:
    return event.get("more_body", False)


def _refuse_end(event: Message) -> None:
    if event["type"] == "http.disconnect":
        raise Problem(400, "the connection was closed before the body was complete")


async def _too_large(receive: Receive, limit: int, *, left: int) -> Problem:
    if left <= PATIENCE:
        await _drop(receive, left)
    problem = f"the body is larger than {limit} bytes, the most that is taken here"
    return Problem(413, problem, headers={"Connection": "close"}, limit=limit)


async def _drop(receive: Receive, left: int) -> None:
    more = left > 0
    while more and left > 0:
        event = await receive()
        _refuse_end(event)
        left -= len(event.get("body", b""))
        more = _goes_on(event)
